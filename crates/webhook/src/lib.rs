//! Webhook endpoints: what each asks for, how its messages are signed, when they are tried again, and what became of them.
//!
//! Everything here is decided and written without a connection: the process posts the messages, with the statements of
//! [`sql`] and the outcome rules of [`schedule`].

pub mod change;
pub mod delivery;
pub mod endpoint;
pub mod filter;
pub mod schedule;
pub mod signature;
pub mod sql;

pub use endpoint::Endpoint;
pub use filter::Filter;
pub use signature::Signer;
