//! The process around the house: configuration, the listener, jobs, the command line.
//!
//! What a request means is decided in `api` and below; this crate owns the edge: sockets, files, signals, the clock.

mod backup;
pub mod boot;
pub mod cli;
pub mod clock;
pub mod config;
pub mod data_dir;
pub mod dev;
pub mod environment;
pub mod failure;
pub mod integrity;
pub mod jobs;
pub mod listen;
pub mod local;
pub mod operation;
pub mod outbound;
pub mod sender;
pub mod serve;
pub mod stopping;
pub mod telemetry;
pub mod terminal;
pub mod vitals;
