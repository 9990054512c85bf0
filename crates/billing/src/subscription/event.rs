//! What others do to a subscription.

use kernel::clock::BusinessTime;

use super::clockwork::Machine;
use super::{
    Activation, Cause, Change, DAY_SECONDS, Effect, New, Payer, Status, Step, Subscription, Terms, TrialStart,
};
use crate::period::Period;
use crate::proration::{Edge, portion};

/// What periods are counted from when a subscription is resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// From the resumption: a new period begins with it.
    New,
    /// From where they were counted before: the period goes on, or the one that holds the resumption is joined.
    Kept,
}

/// What is asked of a subscription, or told about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Stop until resumed.
    Pause,
    /// Go on.
    Resume(Anchor),
    /// End at once.
    Cancel,
    /// End with the open period.
    CancelAtPeriodEnd,
    /// Do not end.
    UndoCancel,
    /// Another plan or quantity from now on.
    Change(Change),
    /// Another plan or quantity from the next period on; the present one takes a scheduled change back.
    ChangeAtPeriodEnd(Change),
    /// An invoice is overdue.
    Overdue {
        /// Its due date.
        since: BusinessTime,
    },
    /// Nothing is overdue; also the first payment.
    Settled,
    /// The first token or metered event of a trial whose clock it starts.
    FirstUse,
}

/// The name of an [`Event`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// [`Event::Pause`].
    Pause,
    /// [`Event::Resume`].
    Resume,
    /// [`Event::Cancel`].
    Cancel,
    /// [`Event::CancelAtPeriodEnd`].
    CancelAtPeriodEnd,
    /// [`Event::UndoCancel`].
    UndoCancel,
    /// [`Event::Change`].
    Change,
    /// [`Event::ChangeAtPeriodEnd`].
    ChangeAtPeriodEnd,
    /// [`Event::Overdue`].
    Overdue,
    /// [`Event::Settled`].
    Settled,
    /// [`Event::FirstUse`].
    FirstUse,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Pause,
        Self::Resume,
        Self::Cancel,
        Self::CancelAtPeriodEnd,
        Self::UndoCancel,
        Self::Change,
        Self::ChangeAtPeriodEnd,
        Self::Overdue,
        Self::Settled,
        Self::FirstUse,
    ];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cancel => "cancel",
            Self::CancelAtPeriodEnd => "cancel_at_period_end",
            Self::UndoCancel => "undo_cancel",
            Self::Change => "change",
            Self::ChangeAtPeriodEnd => "change_at_period_end",
            Self::Overdue => "overdue",
            Self::Settled => "settled",
            Self::FirstUse => "first_use",
        }
    }
}

impl Event {
    /// Its name.
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::Pause => EventKind::Pause,
            Self::Resume(_) => EventKind::Resume,
            Self::Cancel => EventKind::Cancel,
            Self::CancelAtPeriodEnd => EventKind::CancelAtPeriodEnd,
            Self::UndoCancel => EventKind::UndoCancel,
            Self::Change(_) => EventKind::Change,
            Self::ChangeAtPeriodEnd(_) => EventKind::ChangeAtPeriodEnd,
            Self::Overdue { .. } => EventKind::Overdue,
            Self::Settled => EventKind::Settled,
            Self::FirstUse => EventKind::FirstUse,
        }
    }
}

/// What was decided, to be committed as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The record afterwards.
    pub subscription: Subscription,
    /// The terms in force afterwards.
    pub terms: Terms,
    /// What was due by time, then the event itself.
    pub steps: Vec<Step>,
}

/// Why an event was not decided.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It must not follow here; nothing has changed.
    #[error("`{}` is not possible while the subscription is {from}; {}", event.name(), list(allowed))]
    Illegal {
        /// Where the subscription stands.
        from: Status,
        /// What was asked.
        event: EventKind,
        /// What may follow now.
        allowed: Vec<EventKind>,
    },
    /// More is due by time than one commit records; record that, then decide again.
    #[error("more transitions by time are due than one commit records; they are recorded first")]
    Behind,
}

fn list(allowed: &[EventKind]) -> String {
    if allowed.is_empty() {
        return "nothing can follow it".to_owned();
    }
    let names: Vec<String> = allowed.iter().map(|kind| format!("`{}`", kind.name())).collect();
    format!("possible now: {}", names.join(", "))
}

impl Subscription {
    /// A new subscription.
    pub fn create(new: New, terms: &Terms, payer: &Payer, now: BusinessTime) -> Transition {
        let status = match (terms.trial, new.activation) {
            (Some(_), _) => Status::Trialing,
            (None, Activation::Immediate) => Status::Active,
            (None, Activation::OnPayment) => Status::Incomplete,
        };
        let sub = Self {
            id: new.id,
            item: new.item,
            status,
            status_since: now,
            created_at: now,
            recorded_at: now,
            anchor: now,
            period: None,
            advance_to: None,
            trial_days: terms.trial.map_or(0, |trial| trial.days),
            trial_end: None,
            is_trial_ending_told: false,
            overdue_since: None,
            cancel_at: None,
            term_end: new.term_end,
            scheduled: None,
            lost_access_at: None,
        };
        let mut machine = Machine { sub, terms: *terms, payer };
        let step = machine.step(now, Cause::Created, |machine, effects| {
            effects.push(Effect::Event("subscription.created"));
            match (machine.terms.trial.map(|trial| trial.starts), status) {
                (Some(TrialStart::OnCreate), _) => machine.start_trial(now, effects),
                (Some(TrialStart::FirstUse), _) => {}
                (None, _) => machine.open_period(now, effects),
            }
            if status == Status::Active {
                effects.push(Effect::Event("subscription.activated"));
            }
        });
        let steps = vec![Step { from: None, ..step }];
        Transition { subscription: machine.sub, terms: machine.terms, steps }
    }

    /// The events that may follow now, by the record alone: compute it with [`Subscription::at`] first.
    pub fn allowed(&self) -> Vec<EventKind> {
        EventKind::ALL.into_iter().filter(|kind| self.allows(*kind)).collect()
    }

    fn allows(&self, event: EventKind) -> bool {
        use Status::{Active, Incomplete, PastDue, Paused, Trialing, Unpaid};
        let status = self.status;
        if status.is_final() {
            return false;
        }
        match event {
            EventKind::Pause => matches!(status, Active | Trialing | PastDue | Unpaid),
            EventKind::Resume => status == Paused && self.overdue_since.is_none(),
            EventKind::Cancel | EventKind::Change | EventKind::ChangeAtPeriodEnd | EventKind::Settled => true,
            EventKind::CancelAtPeriodEnd => matches!(status, Active | Trialing | PastDue) && self.period.is_some(),
            EventKind::UndoCancel => self.cancel_at.is_some(),
            EventKind::Overdue => status != Incomplete,
            EventKind::FirstUse => self.awaits_first_use(),
        }
    }

    /// Decides an event at `now`, after what is due by time.
    ///
    /// # Errors
    /// [`Refused::Illegal`] when it must not follow where the subscription stands by then; [`Refused::Behind`] when more
    /// is due than [`super::MAX_DUE`] transitions.
    pub fn apply(&self, event: Event, terms: &Terms, payer: &Payer, now: BusinessTime) -> Result<Transition, Refused> {
        let computed = self.at(terms, payer, now);
        if !computed.is_complete() {
            return Err(Refused::Behind);
        }
        let kind = event.kind();
        if !computed.current.allows(kind) {
            let (from, allowed) = (computed.current.status, computed.current.allowed());
            return Err(Refused::Illegal { from, event: kind, allowed });
        }
        let mut machine = Machine { sub: computed.current, terms: computed.terms, payer };
        let now = now.max(machine.sub.recorded_at);
        let mut steps = computed.due;
        steps.push(machine.step(now, Cause::Event(kind), |machine, effects| machine.decide(event, now, effects)));
        Ok(Transition { subscription: machine.sub, terms: machine.terms, steps })
    }
}

impl Machine<'_> {
    fn decide(&mut self, event: Event, now: BusinessTime, effects: &mut Vec<Effect>) {
        match event {
            Event::Pause => self.pause(now, effects),
            Event::Resume(anchor) => self.resume(anchor, now, effects),
            Event::Cancel => {
                let is_unpaid_for = self.sub.status == Status::Incomplete;
                self.end(if is_unpaid_for { Status::Ended } else { Status::Canceled }, now, effects);
            }
            Event::CancelAtPeriodEnd => {
                self.sub.cancel_at = self.sub.period.map(|period| period.end);
                effects.push(Effect::Event("subscription.updated"));
            }
            Event::UndoCancel => {
                self.sub.cancel_at = None;
                // it was charged up to the cancellation alone
                self.charge_advance(Edge::joined(now), effects);
                effects.push(Effect::Event("subscription.updated"));
            }
            Event::Change(change) => self.change(change, now, effects),
            Event::ChangeAtPeriodEnd(change) => {
                let is_other = change.item != self.sub.item || change.terms != self.terms;
                self.sub.scheduled = is_other.then_some(change);
                effects.push(Effect::Event("subscription.updated"));
            }
            Event::Overdue { since } => {
                let since = since.min(now);
                self.sub.overdue_since = Some(self.sub.overdue_since.map_or(since, |earlier| earlier.min(since)));
                if self.sub.status == Status::Active {
                    self.enter(Status::PastDue, "subscription.past_due", effects);
                }
            }
            Event::Settled => {
                self.sub.overdue_since = None;
                if matches!(self.sub.status, Status::Incomplete | Status::PastDue | Status::Unpaid) {
                    self.enter(Status::Active, "subscription.activated", effects);
                    // a period that was opened while unpaid was not charged for
                    self.charge_advance(Edge::joined(now), effects);
                }
            }
            Event::FirstUse => {
                self.start_trial(now, effects);
                effects.push(Effect::Event("subscription.updated"));
            }
        }
    }

    fn start_trial(&mut self, at: BusinessTime, effects: &mut Vec<Effect>) {
        let end = at.plus_seconds(i64::from(self.sub.trial_days).saturating_mul(DAY_SECONDS));
        let period = Period::whole(at, end);
        self.sub.trial_end = Some(end);
        self.sub.period = Some(period);
        effects.push(Effect::PeriodOpened(period));
    }

    fn pause(&mut self, now: BusinessTime, effects: &mut Vec<Effect>) {
        if self.sub.status == Status::Trialing {
            // a trial does not go on after a pause
            self.sub.period = None;
        }
        if self.terms.credits_pause {
            self.credit_unused(now, effects);
        }
        self.enter(Status::Paused, "subscription.paused", effects);
    }

    fn resume(&mut self, anchor: Anchor, now: BusinessTime, effects: &mut Vec<Effect>) {
        if anchor == Anchor::New {
            self.close_period(Edge::left(now), effects);
            self.sub.anchor = now;
        }
        let paused = Edge::left(self.sub.status_since);
        self.enter(Status::Active, "subscription.resumed", effects);
        let Some(period) = self.sub.period else { return self.open_period(now, effects) };
        // What the pause gave back is charged again, except for a day that counted as used before it.
        let from = Edge::changed(now);
        let overlap = portion(self.terms.proration, &period, from, paused, &self.payer.zone);
        let is_same_day = overlap.is_some_and(|share| share.parts().0 > 0);
        self.charge_advance(if is_same_day { Edge::left(now) } else { from }, effects);
    }

    /// Another item from now on: the rest of the period is charged anew, or a period of the new length begins.
    fn change(&mut self, change: Change, now: BusinessTime, effects: &mut Vec<Effect>) {
        self.sub.scheduled = None;
        let old = self.sub.item;
        let begins_anew = self.has_other_periods(&change.terms) && self.sub.status != Status::Trialing;
        if let (Some(period), Some(to)) = (self.sub.period, self.sub.advance_to.filter(|to| now < *to))
            && (begins_anew || change.item != old)
        {
            let new = (!begins_anew).then_some(change.item);
            effects.push(Effect::Prorate { period, from: Edge::changed(now), to: Edge::left(to), old, new });
        }
        if begins_anew {
            self.close_period(Edge::changed(now), effects);
        }
        self.adopt(change, now, effects);
        if begins_anew && self.sub.status != Status::Paused {
            self.open_period(now, effects);
        }
        effects.push(Effect::Event("subscription.updated"));
    }
}
