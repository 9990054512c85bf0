//! The audit tree and the journal on a real store.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod queries;
mod tampering;
mod tree;
mod world;
