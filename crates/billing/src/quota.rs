//! Whether usage fits under a limit, item by item, and which thresholds it crosses.
//!
//! The decision is made on what was read and must be restated as a guard by whoever writes it: `accepted` is added where
//! used + reserved + accepted is still within the limit, else the items are decided again. Reservations are in
//! [`crate::reservation`].

#[cfg(test)]
mod tests;

use kernel::clock::BusinessTime;
use kernel::decimal::Decimal;
use kernel::standing::Overage;

use crate::rejection::{Code, Rejection};

/// Percentages of a limit that are told when usage reaches them.
pub const THRESHOLDS: [u8; 3] = [50, 80, 100];

/// A limit and what is used of it in one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// The most in the window; `None` is without limit.
    pub limit: Option<Decimal>,
    /// What happens beyond it.
    pub overage: Overage,
    /// What is used.
    pub used: Decimal,
    /// What live reservations hold.
    pub reserved: Decimal,
    /// When the window ends; `None` for one that does not.
    pub resets_at: Option<BusinessTime>,
}

/// Usage that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// The most in the window.
    pub limit: Decimal,
    /// What was used when this was refused, the accepted items before it included.
    pub used: Decimal,
    /// What was left then, without what reservations hold; never below zero.
    pub remaining: Decimal,
    /// When the window ends; `None` for one that does not.
    pub resets_at: Option<BusinessTime>,
}

/// What becomes of one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is accepted and within the limit.
    Within,
    /// It is accepted beyond the limit, at a price or for nothing as the overage says.
    Beyond,
    /// It is refused.
    Refused(Exceeded),
}

/// What becomes of the items of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// One verdict for each, in their order.
    pub verdicts: Vec<Verdict>,
    /// The sum of those that are accepted.
    pub accepted: Decimal,
}

impl Exceeded {
    /// As the rejection of an event.
    pub fn rejection(&self) -> Rejection {
        let reset = self.resets_at.map_or("does not reset".to_owned(), |at| format!("resets {at}"));
        let detail = format!("{} of {} used, {} left, {reset}", self.used, self.limit, self.remaining);
        Rejection { exceeded: Some(Box::new(*self)), ..Rejection::new(Code::QuotaExceeded, detail) }
    }
}

impl Quota {
    /// What is left; `None` without a limit, never below zero.
    pub fn remaining(&self) -> Option<Decimal> {
        let left = self.limit?.checked_sub(sum(self.used, self.reserved)).unwrap_or_default();
        Some(left.max(Decimal::ZERO))
    }

    /// Decides items that each add a value, for `count` and `sum`: each is accepted that fits after the accepted ones
    /// before it, so that one that is too large does not cost a smaller one behind it.
    pub fn decide(&self, values: impl IntoIterator<Item = Decimal>) -> Decision {
        let mut decision = Decision { verdicts: Vec::new(), accepted: Decimal::ZERO };
        for value in values {
            let now = Self { used: sum(self.used, decision.accepted), ..*self };
            let verdict = now.decide_aggregate(sum(now.used, value));
            if !matches!(verdict, Verdict::Refused(_)) {
                decision.accepted = sum(decision.accepted, value);
            }
            decision.verdicts.push(verdict);
        }
        decision
    }

    /// Decides an event after which `used` would be `new`: for `unique`, `max` and `latest`.
    pub fn decide_aggregate(&self, new: Decimal) -> Verdict {
        match (self.limit, self.overage) {
            (Some(limit), overage) if sum(new, self.reserved) > limit => match overage {
                Overage::Deny => Verdict::Refused(Exceeded {
                    limit,
                    used: self.used,
                    remaining: self.remaining().unwrap_or_default(),
                    resets_at: self.resets_at,
                }),
                Overage::Bill | Overage::Allow => Verdict::Beyond,
            },
            _ => Verdict::Within,
        }
    }

    /// The thresholds that are reached and lie above `told`, the highest one that was told in this window (0 for none).
    ///
    /// Each is told once, because a correction may let usage cross it again. What reservations hold does not count, and
    /// nothing is reached while nothing is used.
    pub fn thresholds(&self, told: u8) -> impl Iterator<Item = u8> {
        let Self { limit, used, .. } = *self;
        THRESHOLDS.into_iter().filter(move |percent| {
            let bound = limit.and_then(|limit| limit.checked_mul(i64::from(*percent)));
            // A hundredfold beyond 128 bits is beyond every bound.
            let reached =
                bound.is_some_and(|bound| used.checked_mul(100).is_none_or(|hundredfold| hundredfold >= bound));
            *percent > told && used > Decimal::ZERO && reached
        })
    }
}

/// The sum, or the largest number where 128 bits do not hold it: above every limit, which lies below 10^18.
fn sum(one: Decimal, other: Decimal) -> Decimal {
    one.checked_add(other).unwrap_or(Decimal::from_units(i128::MAX))
}
