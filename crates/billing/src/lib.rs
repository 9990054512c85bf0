//! Plans, customers, subscriptions, usage, and what they entitle to.
//!
//! Money and quantities are exact: no floating point number is in this crate. Decisions are pure functions of what was
//! read and of the time that is passed in.
//!
//! Rows, commits and what is held in memory are in [`directory`], [`current`] and the files named after what they change.

pub mod aggregate;
pub mod catalog;
pub mod catalog_change;
pub mod cloudevent;
pub mod current;
pub mod customer;
pub mod customer_change;
pub mod directory;
pub mod estimate;
pub mod exact;
pub mod meter;
pub mod path;
pub mod period;
pub mod plan;
pub mod price;
pub mod proration;
pub mod quota;
pub mod rating;
mod raw;
pub mod reason;
pub mod recording;
pub mod rejection;
pub mod reservation;
pub mod sample;
pub mod sql;
pub mod standing;
pub mod subscribe;
pub mod subscription;
pub mod usage;
pub mod window;
pub mod zone;

pub use directory::Billing;
