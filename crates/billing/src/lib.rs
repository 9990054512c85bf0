//! Plans, customers, subscriptions, usage, and what they entitle to.
//!
//! Money and quantities are exact: no floating point number is in this crate. Decisions are pure functions of what was
//! read and of the time that is passed in.

pub mod aggregate;
pub mod cloudevent;
pub mod exact;
pub mod meter;
pub mod path;
pub mod period;
pub mod price;
pub mod proration;
pub mod quota;
pub mod rating;
mod raw;
pub mod rejection;
pub mod reservation;
pub mod sample;
pub mod standing;
pub mod subscription;
pub mod window;
pub mod zone;
