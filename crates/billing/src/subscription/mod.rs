//! Subscriptions: the record, its plan's terms, and the closed table of what may follow what.
//!
//! Nothing here writes. [`Subscription::at`] computes what holds at an instant, with the transitions by time that are not
//! recorded yet; [`Subscription::apply`] decides an event. Both answer with steps whose effects the caller commits.

mod clockwork;
mod event;

use kernel::clock::BusinessTime;
use kernel::id::{self, Id};

pub use clockwork::{Computed, MAX_DUE};
pub use event::{Anchor, Event, EventKind, Refused, Transition};
pub use kernel::standing::{Access, Status};

use crate::period::{Billing, Cadence, Period};
use crate::proration::{Basis, Edge};
use crate::zone::Zone;

/// Seconds that a first payment may take; then an incomplete subscription ends.
pub const FIRST_PAYMENT_SECONDS: i64 = 23 * 3_600;

/// Seconds before its end that a trial is announced to end, or at its beginning when it is shorter.
pub const TRIAL_NOTICE_SECONDS: i64 = 3 * DAY_SECONDS;

/// Trials and grace are counted in days of 24 hours.
const DAY_SECONDS: i64 = 86_400;

/// What is subscribed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Item {
    /// The version of the plan.
    pub plan: Id<id::Plan>,
    /// How many: 0 ..= 10^9.
    pub quantity: u64,
}

/// When the clock of a trial starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialStart {
    /// When the subscription is created.
    OnCreate,
    /// With the first token or metered event.
    FirstUse,
}

/// A trial before the first period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Trial {
    /// Days of 24 hours, at least 1.
    pub days: u16,
    /// When its clock starts.
    pub starts: TrialStart,
}

/// What becomes of a trial that ends without a way to be paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterTrial {
    /// Paused until somebody resumes it.
    Pause,
    /// Ended.
    End,
}

/// What is left to a subscription that is unpaid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnpaid {
    /// Nothing.
    Deny,
    /// What the plan lists as restricted.
    Restrict,
}

/// What the version of a plan says about time and payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Terms {
    /// The length of a period.
    pub cadence: Cadence,
    /// Where periods begin.
    pub billing: Billing,
    /// How parts of a period are measured.
    pub proration: Basis,
    /// Whether nothing has to be paid.
    pub is_free: bool,
    /// The trial of a new subscription.
    pub trial: Option<Trial>,
    /// What becomes of a trial that ends without a way to be paid.
    pub after_trial: AfterTrial,
    /// Days of 24 hours from an invoice's due date to unpaid.
    pub grace_days: u16,
    /// What is left when unpaid.
    pub on_unpaid: OnUnpaid,
    /// Whether a pause gives the unused time of an advance charge back.
    pub credits_pause: bool,
    /// Whether a cancellation gives the unused time of an advance charge back.
    pub credits_cancel: bool,
}

/// What the machine needs to know of the customer. Record what is due before either changes: what has already held by
/// time is computed from the present values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payer {
    /// The time zone; another one applies from the next period on.
    pub zone: Zone,
    /// Whether a charge can be collected: a payment method is on file, or terms by invoice are agreed.
    pub is_collectible: bool,
}

/// Another plan or quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Change {
    /// What is subscribed to afterwards.
    pub item: Item,
    /// The terms of its plan.
    pub terms: Terms,
}

/// A subscription as it was last recorded.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Subscription {
    /// Its id.
    pub id: Id<id::Subscription>,
    /// What is subscribed to.
    pub item: Item,
    /// Where it stood.
    pub status: Status,
    /// Since when.
    pub status_since: BusinessTime,
    /// When it was created.
    pub created_at: BusinessTime,
    /// The instant of the last step that was recorded; no later step lies before it.
    pub recorded_at: BusinessTime,
    /// What periods are counted from.
    pub anchor: BusinessTime,
    /// The open period; that of a trial is the trial. `None` while a trial waits for its first use, and from the end of the
    /// period in which it was paused.
    pub period: Option<Period>,
    /// Where the advance charges of the open period reach to; `None` when there are none.
    pub advance_to: Option<BusinessTime>,
    /// Days of 24 hours of the trial, as promised when the subscription was created; 0 without one.
    pub trial_days: u16,
    /// When the trial ends; `None` without a trial or until its clock starts.
    pub trial_end: Option<BusinessTime>,
    /// Whether the end of the trial was announced.
    pub is_trial_ending_told: bool,
    /// The due date of the oldest invoice that is overdue.
    pub overdue_since: Option<BusinessTime>,
    /// When it will be canceled.
    pub cancel_at: Option<BusinessTime>,
    /// When its term ends.
    pub term_end: Option<BusinessTime>,
    /// What is subscribed to from the next period that opens on.
    pub scheduled: Option<Change>,
    /// When it last lost access, in part or whole.
    pub lost_access_at: Option<BusinessTime>,
}

impl Subscription {
    /// When the scheduled change takes effect; `None` without one, and while no next period is in sight.
    pub fn scheduled_at(&self) -> Option<BusinessTime> {
        self.scheduled.and(self.period).filter(|_| self.status != Status::Paused).map(|period| period.end)
    }

    /// Whether the next token or metered event starts the clock of the trial: it is answered after that commit.
    pub fn awaits_first_use(&self) -> bool {
        self.status == Status::Trialing && self.trial_end.is_none()
    }
}

/// What a status gives access to under the terms of a plan.
pub fn access(status: Status, terms: &Terms) -> Access {
    match status {
        Status::Active | Status::Trialing | Status::PastDue => Access::Full,
        Status::Unpaid if terms.on_unpaid == OnUnpaid::Restrict => Access::Restricted,
        Status::Unpaid | Status::Incomplete | Status::Paused | Status::Canceled | Status::Ended => Access::None,
    }
}

/// How a new subscription becomes active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// At once, or after the trial that the plan has.
    Immediate,
    /// After the trial that the plan has; without one, when the first invoice is paid.
    OnPayment,
}

/// A subscription to be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct New {
    /// Its id.
    pub id: Id<id::Subscription>,
    /// What is subscribed to.
    pub item: Item,
    /// How it becomes active.
    pub activation: Activation,
    /// When its term ends.
    pub term_end: Option<BusinessTime>,
}

/// A transition that holds by time alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timed {
    /// `cancel_at` was reached.
    CancelReached,
    /// The term ended.
    TermEnded,
    /// The first payment did not come.
    FirstPaymentMissed,
    /// What was overdue when the subscription became active makes it past due.
    Overdue,
    /// The grace of an overdue invoice is over.
    GraceOver,
    /// The trial ends soon.
    TrialEnding,
    /// The trial ended.
    TrialEnded,
    /// The period ended.
    PeriodEnded,
}

/// Why a step was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The subscription was created.
    Created,
    /// Time passed.
    Time(Timed),
    /// An event was decided.
    Event(EventKind),
}

/// One transition, with what belongs to the same commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// From when on it holds.
    pub at: BusinessTime,
    /// Why.
    pub cause: Cause,
    /// Where the subscription stood before; `None` when it was created.
    pub from: Option<Status>,
    /// Where it stands after.
    pub to: Status,
    /// What else the commit writes, in order.
    pub effects: Vec<Effect>,
}

/// What a commit writes beside the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// An event of this type; `data.at` is the instant of the step.
    Event(&'static str),
    /// A period is over: what is charged in arrears is rated, up to `until`.
    PeriodClosed {
        /// The period.
        period: Period,
        /// Where use ended.
        until: Edge,
        /// What was subscribed to at its end; what changed within it is in the history of items.
        item: Item,
    },
    /// Something else is subscribed to.
    ItemChanged {
        /// Before.
        from: Item,
        /// From now on.
        to: Item,
    },
    /// A period was opened; its boundaries are stored and do not move.
    PeriodOpened(Period),
    /// What is charged in advance is invoiced for a part of the open period.
    ChargeAdvance {
        /// The period.
        period: Period,
        /// Where the part begins.
        from: Edge,
        /// Where it ends.
        to: Edge,
    },
    /// What was charged in advance for a part of the period is given back.
    CreditUnused {
        /// The period.
        period: Period,
        /// Where the part begins.
        from: Edge,
        /// Where it ends.
        to: Edge,
    },
    /// A change of what was charged in advance: one line takes the rest of the old item back, one charges that of the new.
    Prorate {
        /// The period.
        period: Period,
        /// Where the rest begins.
        from: Edge,
        /// Where it ends.
        to: Edge,
        /// What was charged.
        old: Item,
        /// What is charged instead; `None` when the new item gets a period of its own.
        new: Option<Item>,
    },
    /// The first invoice becomes void.
    VoidFirstInvoice,
}

#[cfg(test)]
mod tests;
