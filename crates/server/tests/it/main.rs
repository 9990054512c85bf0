//! The listener over real sockets on loopback.

mod rig;

mod deadlines;
mod drain;
mod heads;
mod proxies;
mod tls;
