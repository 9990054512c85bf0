//! The small vocabulary every other crate speaks: time, ids, secrets, principals, audit records, events, decimals, money.
//!
//! No I/O, no async, no HTTP and no SQL: those live in `store`, `server` and `api`.

pub mod audit;
pub mod clock;
pub mod decimal;
pub mod error;
pub mod event;
pub mod histogram;
pub mod id;
pub mod money;
pub mod mutant;
pub mod network;
pub mod page;
pub mod principal;
pub mod secret;
pub mod standing;
pub mod target;
pub mod tenant;
pub mod words;
