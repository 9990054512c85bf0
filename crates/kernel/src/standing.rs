//! What a customer may do now: one value per customer, which billing derives and tokens, licenses and flags answer from.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::clock::BusinessTime;
use crate::decimal::Decimal;
use crate::id::{Id, Subscription};

/// Where a subscription stands; the variants are in the order in which the best of several counts for the customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// In use and paid, or not yet due.
    Active,
    /// Tried before the first period begins.
    Trialing,
    /// An invoice is overdue, and its grace is not over.
    PastDue,
    /// Waiting for its first payment.
    Incomplete,
    /// Stopped until it is resumed.
    Paused,
    /// An invoice is overdue beyond its grace.
    Unpaid,
    /// Ended by a cancellation; final.
    Canceled,
    /// Ended by its term, its trial or a first payment that never came; final.
    Ended,
}

impl Status {
    /// Every status, the best first.
    pub const ALL: [Self; 8] = [
        Self::Active,
        Self::Trialing,
        Self::PastDue,
        Self::Incomplete,
        Self::Paused,
        Self::Unpaid,
        Self::Canceled,
        Self::Ended,
    ];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Trialing => "trialing",
            Self::PastDue => "past_due",
            Self::Incomplete => "incomplete",
            Self::Paused => "paused",
            Self::Unpaid => "unpaid",
            Self::Canceled => "canceled",
            Self::Ended => "ended",
        }
    }

    /// Reads [`Status::name`].
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// Whether nothing can follow.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Canceled | Self::Ended)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How much a customer may do; a greater one includes the lesser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// Nothing.
    None,
    /// Only what the plans list as left to those who do not pay.
    Restricted,
    /// Everything that the entitlements cover.
    Full,
}

impl Access {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Restricted => "restricted",
            Self::Full => "full",
        }
    }
}

/// What happens beyond a limit; a greater one is more favorable to the customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Overage {
    /// It is refused.
    Deny,
    /// It is accepted and charged.
    Bill,
    /// It is accepted and costs nothing.
    Allow,
}

impl Overage {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Deny, Self::Bill, Self::Allow];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Bill => "bill",
            Self::Allow => "allow",
        }
    }

    /// Reads [`Overage::name`].
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|overage| overage.name() == name)
    }
}

/// When the use of a feature is counted from zero again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reset {
    /// With each billing period.
    Period,
    /// Each hour.
    Hour,
    /// Each day in the customer's zone.
    Day,
    /// Each month in the customer's zone.
    Month,
    /// Never.
    Never,
}

impl Reset {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Period, Self::Hour, Self::Day, Self::Month, Self::Never];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Period => "period",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::Never => "never",
        }
    }

    /// Reads [`Reset::name`].
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reset| reset.name() == name)
    }
}

/// How much of a metered feature a customer may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// The most in one window; `None` is without limit.
    pub limit: Option<Decimal>,
    /// What happens beyond it.
    pub overage: Overage,
    /// When use counts from zero again.
    pub reset: Reset,
    /// The open billing period, from its start to its end, when `reset` is [`Reset::Period`] and one is open.
    pub period: Option<(BusinessTime, BusinessTime)>,
}

/// Whether a text can be the key of a feature: `[a-z0-9][a-z0-9._-]{0,63}`.
pub fn is_feature_key(text: &str) -> bool {
    let first = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.len() <= 64
        && bytes.first().is_some_and(first)
        && bytes.iter().all(|byte| first(byte) || matches!(byte, b'.' | b'_' | b'-'))
}

/// A customer's right to a feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entitlement {
    /// It may be used.
    Boolean,
    /// A setting in words.
    Text(String),
    /// A setting in figures.
    Number(Decimal),
    /// So much of it may be used.
    Metered(Allowance),
}

/// Which subscription gives a customer its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// The subscription.
    pub subscription: Id<Subscription>,
    /// Its status.
    pub status: Status,
    /// Since when.
    pub since: BusinessTime,
}

/// What a customer may do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Strictly rising per customer with every recorded change; a change that holds by time alone has not raised it yet.
    pub version: u64,
    /// The keys of the plans that give access, the one of the best status first; when none does, the plan of `source`.
    pub plans: Vec<String>,
    /// Where the status comes from; `None` without any subscription.
    pub source: Option<Source>,
    /// How much may be done.
    pub access: Access,
    /// Since when an operator suspends the customer.
    pub suspended_at: Option<BusinessTime>,
    /// The rights by the key of their feature; a feature that is not here may not be used.
    pub entitlements: BTreeMap<String, Entitlement>,
    /// With [`Access::Restricted`], the only scopes that are granted.
    pub restricted_scopes: BTreeSet<String>,
    /// What was issued before this instant is void: the latest loss of access, in part or whole.
    pub not_before: Option<BusinessTime>,
    /// When access ends if nothing happens; `None` when it does not. Without access: when it was lost.
    pub access_until: Option<BusinessTime>,
    /// When the first part of what is granted here ends if nothing happens: earlier than `access_until` when one of several
    /// subscriptions ends before the others. What is issued now must not outlive it.
    pub narrows_at: Option<BusinessTime>,
    /// Until when what gives access is paid or not yet due.
    pub paid_through: Option<BusinessTime>,
    /// When this standing has to be computed again although nothing was written.
    pub next_boundary: Option<BusinessTime>,
}

/// Why a customer is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is no subscription.
    NoSubscription,
    /// An operator suspends the customer.
    Suspended {
        /// Since when.
        since: BusinessTime,
    },
    /// No subscription gives access; the best of them is named.
    Inactive(Source),
}

impl Standing {
    /// The status that counts for the customer; `None` without any subscription.
    pub fn status(&self) -> Option<Status> {
        self.source.map(|source| source.status)
    }

    /// Why the customer may do nothing; `None` when something is allowed.
    pub fn refusal(&self) -> Option<Refusal> {
        match (self.suspended_at, self.source) {
            (Some(since), _) => Some(Refusal::Suspended { since }),
            (None, None) => Some(Refusal::NoSubscription),
            (None, Some(source)) => (self.access == Access::None).then_some(Refusal::Inactive(source)),
        }
    }
}

impl Refusal {
    /// The stable code that a description begins with.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoSubscription => "no_subscription",
            Self::Suspended { .. } | Self::Inactive(_) => "subscription_inactive",
        }
    }
}

impl fmt::Display for Refusal {
    /// The code, then what happened and what to do, in the characters of RFC 6749 §5.2; never a figure of an account.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = |at: BusinessTime| at.to_string().chars().take_while(|c| *c != 'T').collect::<String>();
        write!(f, "{}: ", self.code())?;
        let source = match self {
            Self::NoSubscription => return f.write_str("this customer has no subscription; subscribe to a plan"),
            Self::Suspended { since } => {
                return write!(f, "this customer is suspended since {}; contact the provider", date(*since));
            }
            Self::Inactive(source) => source,
        };
        let Source { subscription, status, since } = source;
        let next = match status {
            Status::Unpaid => "pay or contact the provider",
            Status::Incomplete => "pay its first invoice",
            Status::Paused => "resume it",
            Status::Canceled | Status::Ended => "subscribe again or contact the provider",
            Status::Active | Status::Trialing | Status::PastDue => "contact the provider",
        };
        write!(f, "subscription {subscription} is {status} since {}; {next}", date(*since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inactive(status: Status) -> Refusal {
        let subscription = Id::parse("sub_00000000000000000000000001").unwrap();
        Refusal::Inactive(Source { subscription, status, since: BusinessTime::from_micros(1_772_600_000_000_000) })
    }

    #[test]
    fn a_refusal_names_the_subscription_its_state_and_the_way_out() {
        let table = [
            (Status::Unpaid, "pay or contact the provider"),
            (Status::Incomplete, "pay its first invoice"),
            (Status::Paused, "resume it"),
            (Status::Canceled, "subscribe again or contact the provider"),
            (Status::Ended, "subscribe again or contact the provider"),
        ];
        for (status, next) in table {
            let expected = format!(
                "subscription_inactive: subscription sub_00000000000000000000000001 is {status} since 2026-03-04; {next}"
            );
            assert_eq!(inactive(status).to_string(), expected);
        }
        let suspended = Refusal::Suspended { since: BusinessTime::from_micros(1_772_600_000_000_000) };
        let expected = "subscription_inactive: this customer is suspended since 2026-03-04; contact the provider";
        assert_eq!(suspended.to_string(), expected);
        let none = Refusal::NoSubscription.to_string();
        assert_eq!(none, "no_subscription: this customer has no subscription; subscribe to a plan");
        for text in [inactive(Status::Paused).to_string(), suspended.to_string(), none] {
            assert!(text.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)), "{text}");
        }
    }

    #[test]
    fn a_feature_has_a_plain_key() {
        for good in ["a", "0", "sso", "api.calls_2-x", &"k".repeat(64)] {
            assert!(is_feature_key(good), "{good}");
        }
        for bad in ["", ".a", "-a", "_a", "A", "aB", "a b", "a/b", "ä", &"k".repeat(65)] {
            assert!(!is_feature_key(bad), "{bad}");
        }
    }

    #[test]
    fn names_are_read_back() {
        assert!(Status::ALL.into_iter().all(|status| Status::parse(status.name()) == Some(status)));
        assert!(Overage::ALL.into_iter().all(|overage| Overage::parse(overage.name()) == Some(overage)));
        assert!(Reset::ALL.into_iter().all(|reset| Reset::parse(reset.name()) == Some(reset)));
        assert_eq!((Status::parse("Active"), Overage::parse(""), Reset::parse("week")), (None, None, None));
        assert!(Status::ALL.is_sorted() && Overage::ALL.is_sorted());
    }
}
