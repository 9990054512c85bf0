//! The seam to SQLite and PostgreSQL: named statements in, rows out, guarded batches committed as a whole.
//!
//! Nothing outside this crate names an engine. Every commit carries a [`kernel::audit::Record`]; only
//! [`Store::upkeep`] does without, for the closed list of [`Upkeep`].

pub mod batch;
pub mod error;
mod feed;
mod fence;
mod ident;
pub mod keyring;
mod lease;
mod lint;
mod migrate;
mod plan;
mod postgres;
mod rewrite;
mod segment;
pub mod sql;
mod sqlite;
pub mod stmt;
mod store;
pub mod value;

pub use batch::{Batch, Change, ChangeKind, Step, Upkeep};
pub use error::Error;
pub use lease::Lease;
pub use migrate::SchemaVersion;
pub use sqlite::snapshot::{Snapshot, Table, survey};
pub use stmt::Stmt;
pub use store::{Committed, Location, Options, Size, Space, Stats, Store, Trouble};
pub use value::{Row, Value};
