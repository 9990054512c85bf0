//! Plans, customers, subscriptions, usage, and what they entitle to.
//!
//! Money and quantities are exact: no floating point number is in this crate. Decisions are pure functions of what was
//! read and of the time that is passed in.

pub mod exact;
pub mod period;
pub mod price;
pub mod problem;
pub mod proration;
pub mod rating;
pub mod standing;
pub mod subscription;
pub mod zone;
