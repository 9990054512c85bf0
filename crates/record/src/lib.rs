//! What happened, provably: the audit tree, the issuance journal, checkpoints, proofs and queries.
//!
//! Commits write records and journal segments through `store`; this crate owns their formats, folds segments
//! into blocks, numbers the leaves of each tenant's Merkle tree and signs its checkpoints. What all products stand on and
//! share in their decisions is here too: [`ground`], [`plan`], [`tenant`] and [`epoch`].

pub mod action;
pub mod activity;
pub mod block;
pub mod canonical;
pub mod checkpoint;
pub mod entry;
pub mod epoch;
pub mod error;
pub mod fields;
pub mod ground;
pub mod outbox;
pub mod plan;
pub mod proof;
pub mod query;
pub mod refusal;
pub mod segment;
pub mod sequence;
pub mod sql;
pub mod tail;
pub mod tenant;
pub mod tree;
pub mod verify;
mod wire;

pub use checkpoint::{Checkpoint, CheckpointSigner, KeySigner, Verifier};
pub use error::Error;
pub use ground::Ground;
pub use sequence::{ENTRIES_PER_ROUND, Extent, Sequencer, sequence, unsigned_leaves};
