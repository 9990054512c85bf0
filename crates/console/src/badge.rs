//! The words of states and their colors: one table, so that a state looks the same everywhere.

/// A word on its ground.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Badge {
    /// Class of the pair; empty for neutral.
    pub(crate) pair: &'static str,
    /// What it says.
    pub(crate) word: String,
}

/// The stable name of a state, the word for people, and the pair.
const WORDS: &[(&str, &str, &str)] = &[
    ("active", "Active", "ok"),
    ("verified", "Verified", "ok"),
    ("accepted", "Accepted", "ok"),
    ("issued", "Issued", "ok"),
    ("granted", "Gets tokens", "ok"),
    ("live", "Live", "ok"),
    ("sandbox", "Sandbox", "warn"),
    ("pending", "Not valid yet", "violet"),
    ("underway", "Pending", "violet"),
    ("enabled", "Enabled", "ok"),
    ("delivered", "Delivered", "ok"),
    ("paused", "Paused", "warn"),
    ("failed", "Failed", "bad"),
    ("canceled", "Canceled", ""),
    ("ended", "Ended", ""),
    ("trialing", "Trial", "violet"),
    ("incomplete", "Incomplete", "violet"),
    ("past_due", "Past due", "warn"),
    ("unpaid", "Unpaid", "bad"),
    ("no_subscription", "No subscription", ""),
    ("suspended", "Suspended", "bad"),
    ("full", "Full access", "ok"),
    ("restricted", "Restricted", "warn"),
    ("none", "No access", "bad"),
    ("draft", "Draft", "violet"),
    ("archived", "Archived", ""),
    ("counted", "Counted", "ok"),
    ("late", "Late", "warn"),
    ("unmatched", "No meter", "warn"),
    ("replaced", "Replaced", ""),
    ("staged", "Next", "violet"),
    ("invited", "Invited", "violet"),
    ("retiring", "Retiring", "warn"),
    ("disabled", "Disabled", "warn"),
    ("expired", "Expired", "bad"),
    ("revoked", "Revoked", "bad"),
    ("issued", "Issued", "ok"),
    ("changed", "Changed", "info"),
    ("denied", "Denied", "bad"),
    ("reused", "Reused", "bad"),
    ("unverified", "Not verified", "bad"),
    ("used", "Used", "warn"),
    ("enforced", "Enforced", "ok"),
    ("monitored", "Monitored only", "warn"),
    ("destroyed", "Retired", ""),
    ("built_in", "Built in", "info"),
    ("you", "You", "info"),
];

/// The badge of a state; a name outside the table is shown as it is, without a color.
pub(crate) fn of(state: &str) -> Badge {
    WORDS.iter().find(|(name, _, _)| *name == state).map_or_else(
        || Badge { pair: "", word: state.to_owned() },
        |(_, word, pair)| Badge { pair, word: (*word).to_owned() },
    )
}
