//! The listener over real sockets on loopback.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail the test")]

mod rig;

mod deadlines;
mod drain;
mod heads;
mod proxies;
mod tls;
