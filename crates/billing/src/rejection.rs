//! Why one usage event is not counted, while the others of its request are.
//!
//! What is wrong with a whole request is [`crate::cloudevent::BodyError`].

use std::fmt;

use crate::quota::Exceeded;

/// The stable code of a rejection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// Not a CloudEvent that can be stored: a member is missing, repeated, of another type or too long.
    EventInvalid,
    /// The event takes more than 64 KiB.
    EventTooLarge,
    /// The event's time lies more than five minutes ahead.
    EventInFuture,
    /// The event's time lies further back than this way of reporting takes.
    EventTooOld,
    /// The same source and id came before with other content.
    EventConflict,
    /// The subject names no customer that the caller may report for.
    CustomerUnknown,
    /// A value that a meter needs is missing, of another type or out of range.
    ValueInvalid,
    /// A value below zero for a meter that takes none.
    ValueNegative,
    /// The meter has as many combinations of dimensions as one customer may have in a window.
    CardinalityExceeded,
    /// The customer's plan does not have the feature.
    NoEntitlement,
    /// The limit is reached, and the plan does not let usage go on.
    QuotaExceeded,
}

impl Code {
    /// Every code.
    pub const ALL: [Self; 11] = [
        Self::EventInvalid,
        Self::EventTooLarge,
        Self::EventInFuture,
        Self::EventTooOld,
        Self::EventConflict,
        Self::CustomerUnknown,
        Self::ValueInvalid,
        Self::ValueNegative,
        Self::CardinalityExceeded,
        Self::NoEntitlement,
        Self::QuotaExceeded,
    ];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EventInvalid => "event_invalid",
            Self::EventTooLarge => "event_too_large",
            Self::EventInFuture => "event_in_future",
            Self::EventTooOld => "event_too_old",
            Self::EventConflict => "event_conflict",
            Self::CustomerUnknown => "customer_unknown",
            Self::ValueInvalid => "value_invalid",
            Self::ValueNegative => "value_negative",
            Self::CardinalityExceeded => "cardinality_exceeded",
            Self::NoEntitlement => "no_entitlement",
            Self::QuotaExceeded => "quota_exceeded",
        }
    }
}

/// One event that is not counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// A stable code for programs.
    pub code: Code,
    /// A sentence for people: what is wrong and what is accepted.
    pub detail: String,
    /// The limit that is reached and what is used of it, for [`Code::QuotaExceeded`].
    pub exceeded: Option<Box<Exceeded>>,
}

impl Rejection {
    /// A rejection.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), exceeded: None }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.detail)
    }
}
