//! The listener over real sockets on loopback, and the real binary as a child process.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "helpers of tests fail the test"
)]

mod process;
mod rig;

mod backup;
mod canaries;
mod commands;
mod corruption;
mod crash;
mod crash_events;
mod crash_usage;
mod deadlines;
mod drain;
mod first_start;
mod flood;
mod fuzz;
mod heads;
mod listening;
mod outage;
mod outbound;
mod proxies;
mod sender;
mod timing;
mod tls;
