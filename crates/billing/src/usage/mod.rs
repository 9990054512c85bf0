//! Usage: events that are counted once, the counters that limit it, reservations, and what was used of what.
//!
//! The numbers of a customer change in the commit that keeps the event, so whoever reads after the answer sees them. A
//! decision is made on what was read and restated in the guards of its statements; when one fails, another commit came
//! first, and the caller plans again. Events are their own record: no record of the audit log stands beside them, but
//! one does beside each correction.

pub mod backfill;
pub mod check;
pub mod correct;
mod counter;
pub mod hold;
pub mod list;
mod metering;
mod odd;
mod purge;
pub mod query;
pub mod report;
mod series;
pub mod tokens;

use kernel::clock::Timestamp;
use kernel::id::{self, Id};
use kernel::standing::{Allowance, Entitlement, Standing};
use store::Batch;

use crate::window::Window;
use crate::zone::Zone;

pub use counter::Counted;
pub(crate) use metering::Meterings;
pub(crate) use odd::Told;
pub(crate) use series::Known;

/// Days that events are kept, and with them the keys under which they count once.
pub const RETENTION_DAYS: i64 = 400;
/// Days after which a backfill that nobody goes on with is given up.
pub const IDLE_DAYS: i64 = 7;
/// Days that rejections are kept.
pub const REJECTION_DAYS: i64 = 7;

/// Who reports usage.
#[derive(Debug, Clone)]
pub struct Reporter {
    /// As events and reservations name it.
    pub actor: String,
    /// The customer that it acts for and may report for alone; `None` for one who may for every customer.
    pub own: Option<Id<id::Customer>>,
    /// When its request came.
    pub at: Timestamp,
}

/// What is to be committed as [`store::Upkeep::Usage`], and what is answered then.
pub struct Plan<T> {
    /// Empty when there is nothing to write.
    pub batch: Batch,
    /// The answer.
    pub value: T,
}

/// What a standing gives of a metered feature.
fn allowance<'a>(standing: &'a Standing, feature: &str) -> Option<&'a Allowance> {
    match standing.entitlements.get(feature) {
        Some(Entitlement::Metered(allowance)) => Some(allowance),
        _ => None,
    }
}

/// The window in which use at an instant counts. What lies outside of the open billing period counts in it: a limit is
/// not avoided by an earlier time. Without an open period there is one window for all time.
fn window(allowance: &Allowance, at: kernel::clock::BusinessTime, zone: &Zone) -> Window {
    let period = allowance.period.map(|(start, end)| Window { start, end });
    let at = period.map_or(at, |period| {
        let last = kernel::clock::BusinessTime::from_micros(period.end.as_micros().saturating_sub(1));
        if allowance.reset == kernel::standing::Reset::Period {
            at.clamp(period.start, last.max(period.start))
        } else {
            at
        }
    });
    Window::of_reset(allowance.reset, at, zone, allowance.period).unwrap_or(Window::ALWAYS)
}
