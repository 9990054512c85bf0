//! The process around the house: configuration, the listener, telemetry.
//!
//! What a request means is decided in `api` and below; this crate owns the edge: sockets, files, signals, the clock.

pub mod config;
pub mod listen;
pub mod telemetry;
