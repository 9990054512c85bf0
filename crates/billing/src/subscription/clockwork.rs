//! What time does to a subscription.

use kernel::clock::BusinessTime;

use super::{
    Access, AfterTrial, Cause, Change, DAY_SECONDS, Effect, FIRST_PAYMENT_SECONDS, Payer, Status, Step, Subscription,
    TRIAL_NOTICE_SECONDS, Terms, Timed, access,
};
use crate::period::{Period, Schedule};
use crate::proration::Edge;

/// The most transitions that are listed at once: a year of days. More are recorded in several commits.
pub const MAX_DUE: usize = 366;

/// What holds at an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Computed {
    /// The subscription at that instant, all transitions by time included.
    pub current: Subscription,
    /// The terms that are in force: a scheduled change may have brought others.
    pub terms: Terms,
    /// What its status gives access to.
    pub access: Access,
    /// When that access ends, in part or whole, if nothing happens; `None` when it does not. Without access: when it was
    /// lost, `None` when there never was any.
    pub access_until: Option<BusinessTime>,
    /// When something happens next by time.
    pub next_boundary: Option<BusinessTime>,
    /// The transitions that are not recorded yet, in order, at most [`MAX_DUE`].
    pub due: Vec<Step>,
    /// The subscription after the last of `due`, as it is to be recorded with them; `current` is further when even more
    /// is due than is listed.
    pub recorded: Subscription,
}

impl Computed {
    /// Whether `due` lists everything that is due.
    pub fn is_complete(&self) -> bool {
        self.recorded == self.current
    }
}

impl Subscription {
    /// What holds at `now`, computed from the record, the terms of its plan and what is known of the customer.
    ///
    /// The work does not grow with the number of periods that have passed.
    pub fn at(&self, terms: &Terms, payer: &Payer, now: BusinessTime) -> Computed {
        let mut machine = Machine { sub: self.clone(), terms: *terms, payer };
        let mut due = Vec::new();
        let mut recorded = None;
        while let Some((at, timed)) = machine.next_timed().filter(|(at, _)| *at <= now) {
            if due.len() < MAX_DUE {
                due.push(machine.pass(at, timed));
                continue;
            }
            recorded.get_or_insert_with(|| machine.sub.clone());
            if !machine.skip_periods(now) {
                machine.pass(at, timed);
            }
        }
        Computed {
            access: machine.access(),
            access_until: machine.access_until(),
            next_boundary: machine.next_timed().map(|(at, _)| at),
            due,
            recorded: recorded.unwrap_or_else(|| machine.sub.clone()),
            terms: machine.terms,
            current: machine.sub,
        }
    }
}

/// A subscription on its way through its transitions.
#[derive(Clone)]
pub(super) struct Machine<'a> {
    pub(super) sub: Subscription,
    pub(super) terms: Terms,
    pub(super) payer: &'a Payer,
}

impl Machine<'_> {
    pub(super) fn access(&self) -> Access {
        access(self.sub.status, &self.terms)
    }

    /// Takes one step: what `change` does to the record and adds to the effects holds from `at` on.
    pub(super) fn step(
        &mut self,
        at: BusinessTime,
        cause: Cause,
        change: impl FnOnce(&mut Self, &mut Vec<Effect>),
    ) -> Step {
        let (from, access) = (self.sub.status, self.access());
        let mut effects = Vec::new();
        change(self, &mut effects);
        self.sub.recorded_at = at;
        if self.sub.status != from {
            self.sub.status_since = at;
        }
        if self.access() < access {
            self.sub.lost_access_at = Some(at);
        }
        Step { at, cause, from: Some(from), to: self.sub.status, effects }
    }

    /// The next transition by time. Of several at the same instant the one that ends more comes first, so that no period is
    /// opened by a subscription that ends with the one before.
    fn next_timed(&self) -> Option<(BusinessTime, Timed)> {
        let period_end = self.rolls_at().map(|at| (at, Timed::PeriodEnded));
        // the first of equal ones is the least
        self.next_beside_periods().into_iter().chain(period_end).min_by_key(|(at, _)| *at)
    }

    /// When the open period ends by itself.
    fn rolls_at(&self) -> Option<BusinessTime> {
        let rolls = matches!(self.sub.status, Status::Active | Status::PastDue | Status::Unpaid | Status::Paused);
        let end = self.sub.period.filter(|_| rolls)?.end;
        (end < END_OF_TIME).then_some(end.max(self.sub.recorded_at))
    }

    /// The next transition by time that is not the end of a period.
    fn next_beside_periods(&self) -> Option<(BusinessTime, Timed)> {
        use Status::{Active, Incomplete, PastDue, Trialing};
        let sub = &self.sub;
        let status = sub.status;
        if status.is_final() {
            return None;
        }
        let is_lasting = status != Incomplete;
        let first_payment = sub.created_at.plus_seconds(FIRST_PAYMENT_SECONDS);
        let trial_end = sub.trial_end.filter(|_| status == Trialing);
        let notice = trial_end.filter(|_| !sub.is_trial_ending_told).map(|end| {
            let start = sub.period.map_or(sub.created_at, |period| period.start);
            end.plus_seconds(-TRIAL_NOTICE_SECONDS).max(start)
        });
        let candidates = [
            (sub.cancel_at.filter(|_| is_lasting), Timed::CancelReached),
            (sub.term_end.filter(|_| is_lasting), Timed::TermEnded),
            (Some(first_payment).filter(|_| status == Incomplete), Timed::FirstPaymentMissed),
            (sub.overdue_since.filter(|_| status == Active), Timed::Overdue),
            (self.grace_end().filter(|_| status == PastDue), Timed::GraceOver),
            (notice, Timed::TrialEnding),
            (trial_end, Timed::TrialEnded),
        ];
        // What was decided later than a transition would have held is not undone by it: it holds from then on.
        let candidates = candidates.into_iter().filter_map(|(at, timed)| Some((at?.max(sub.recorded_at), timed)));
        candidates.min_by_key(|(at, _)| *at)
    }

    fn grace_end(&self) -> Option<BusinessTime> {
        let grace = i64::from(self.terms.grace_days).saturating_mul(DAY_SECONDS);
        self.sub.overdue_since.map(|since| since.plus_seconds(grace))
    }

    /// Takes a transition by time.
    fn pass(&mut self, at: BusinessTime, timed: Timed) -> Step {
        self.step(at, Cause::Time(timed), |machine, effects| match timed {
            Timed::CancelReached => machine.end(Status::Canceled, at, effects),
            Timed::TermEnded | Timed::FirstPaymentMissed => machine.end(Status::Ended, at, effects),
            Timed::Overdue => machine.enter(Status::PastDue, "subscription.past_due", effects),
            Timed::GraceOver => machine.enter(Status::Unpaid, "subscription.unpaid", effects),
            Timed::TrialEnding => {
                machine.sub.is_trial_ending_told = true;
                effects.push(Effect::Event("subscription.trial_ending"));
            }
            Timed::TrialEnded => machine.end_trial(at, effects),
            Timed::PeriodEnded => machine.roll(effects),
        })
    }

    /// Moves to a status and tells it.
    pub(super) fn enter(&mut self, status: Status, event: &'static str, effects: &mut Vec<Effect>) {
        self.sub.status = status;
        effects.push(Effect::Event(event));
    }

    /// Ends the subscription for good.
    pub(super) fn end(&mut self, status: Status, at: BusinessTime, effects: &mut Vec<Effect>) {
        if self.sub.status == Status::Incomplete {
            effects.push(Effect::VoidFirstInvoice);
            (self.sub.period, self.sub.advance_to) = (None, None);
        } else {
            if self.terms.credits_cancel {
                self.credit_unused(at, effects);
            }
            self.close_period(Edge::left(at), effects);
        }
        self.sub.scheduled = None;
        let event = if status == Status::Canceled { "subscription.canceled" } else { "subscription.ended" };
        self.enter(status, event, effects);
    }

    fn end_trial(&mut self, at: BusinessTime, effects: &mut Vec<Effect>) {
        effects.push(Effect::Event("subscription.trial_ended"));
        self.sub.period = None;
        let terms = self.sub.scheduled.map_or(self.terms, |change| change.terms);
        if terms.is_free || self.payer.is_collectible {
            self.sub.anchor = at;
            self.enter(Status::Active, "subscription.activated", effects);
            self.open_period(at, effects);
            return;
        }
        match self.terms.after_trial {
            AfterTrial::Pause => self.enter(Status::Paused, "subscription.paused", effects),
            AfterTrial::End => self.end(Status::Ended, at, effects),
        }
    }

    /// Closes the period that has ended and opens the next one.
    fn roll(&mut self, effects: &mut Vec<Effect>) {
        let Some(Period { end, .. }) = self.sub.period else { return };
        self.close_period(Edge::left(end), effects);
        if self.sub.status == Status::Paused {
            return;
        }
        // The next one begins where this one was stored to end, also when the zone is another one by now.
        let next = if self.adopt_scheduled(end, effects) { None } else { self.schedule().following(end) };
        match next {
            Some(period) => self.begin(period, effects),
            None => self.open_period(end, effects),
        }
        effects.push(Effect::Event("subscription.updated"));
    }

    /// Closes the open period, if there is one: what is charged in arrears is rated. A trial is not charged for.
    pub(super) fn close_period(&mut self, until: Edge, effects: &mut Vec<Effect>) {
        let is_charged = self.sub.status != Status::Trialing;
        if let Some(period) = self.sub.period.take().filter(|_| is_charged) {
            // What is paused is not used any more, and what waits for its first payment may have outlived its period.
            let until = match self.sub.status {
                Status::Paused => Edge::left(self.sub.status_since),
                _ => Edge { at: until.at.min(period.end), ..until },
            };
            effects.push(Effect::PeriodClosed { period, until, item: self.sub.item });
        }
        self.sub.advance_to = None;
    }

    /// Opens the period that holds `at`, by the scheduled change if there is one.
    pub(super) fn open_period(&mut self, at: BusinessTime, effects: &mut Vec<Effect>) {
        self.adopt_scheduled(at, effects);
        // Beyond the calendar's last year the last period has no end.
        let period = self.schedule().open(at).unwrap_or_else(|| Period::whole(at, END_OF_TIME));
        self.begin(period, effects);
    }

    fn begin(&mut self, period: Period, effects: &mut Vec<Effect>) {
        self.sub.period = Some(period);
        self.sub.advance_to = None;
        effects.push(Effect::PeriodOpened(period));
        self.charge_advance(Edge::joined(period.start), effects);
    }

    /// Takes the scheduled change over; whether periods are counted anew from here.
    fn adopt_scheduled(&mut self, at: BusinessTime, effects: &mut Vec<Effect>) -> bool {
        self.sub.scheduled.take().is_some_and(|change| self.adopt(change, at, effects))
    }

    /// Takes another item and its terms over; whether periods are counted anew from here.
    pub(super) fn adopt(
        &mut self,
        Change { item, terms }: Change,
        at: BusinessTime,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let is_other_grid = self.has_other_periods(&terms);
        if is_other_grid {
            self.sub.anchor = at;
        }
        if item != self.sub.item {
            effects.push(Effect::ItemChanged { from: self.sub.item, to: item });
        }
        self.sub.item = item;
        self.terms = terms;
        is_other_grid
    }

    /// Whether other terms have other boundaries.
    pub(super) fn has_other_periods(&self, terms: &Terms) -> bool {
        (terms.cadence, terms.billing) != (self.terms.cadence, self.terms.billing)
    }

    /// Charges the open period in advance, from `from` or from where its charges reach to, up to its end or to the end of
    /// the subscription when that is known. What is unpaid or paused is not charged.
    pub(super) fn charge_advance(&mut self, from: Edge, effects: &mut Vec<Effect>) {
        if !matches!(self.sub.status, Status::Active | Status::PastDue | Status::Incomplete) {
            return;
        }
        let Some(period) = self.sub.period else { return };
        let ends = [self.sub.cancel_at, self.sub.term_end];
        let to = ends.into_iter().flatten().fold(period.end, BusinessTime::min);
        let from = self.sub.advance_to.map_or(from, Edge::left);
        if from.at < to {
            effects.push(Effect::ChargeAdvance { period, from, to: Edge::left(to) });
            self.sub.advance_to = Some(to);
        }
    }

    /// Gives back what was charged in advance beyond `at`.
    pub(super) fn credit_unused(&mut self, at: BusinessTime, effects: &mut Vec<Effect>) {
        if let (Some(period), Some(to)) = (self.sub.period, self.sub.advance_to.filter(|to| at < *to)) {
            effects.push(Effect::CreditUnused { period, from: Edge::left(at), to: Edge::left(to) });
            self.sub.advance_to = None;
        }
    }

    fn schedule(&self) -> Schedule<'_> {
        let Terms { cadence, billing, .. } = self.terms;
        Schedule { anchor: self.sub.anchor, billing, cadence, zone: &self.payer.zone }
    }

    /// Passes over all periods that end before anything else happens and not after `now`, at once; false when the next
    /// transition has to be taken by itself. By now many periods were opened, so they follow the schedule: nothing is
    /// scheduled any more, and no end is left from another zone.
    fn skip_periods(&mut self, now: BusinessTime) -> bool {
        // What else happens comes before a period that would be opened at the same instant.
        let limit = match self.next_beside_periods() {
            Some((at, _)) if at <= now => BusinessTime::from_micros(at.as_micros().saturating_sub(1)),
            _ => now,
        };
        // The last years of the calendar have no whole period of five years; they are gone through one by one.
        let last = self.schedule().period_at(limit.min(LAST_YEARS));
        let is_later = |last: &Period| self.sub.period.is_some_and(|open| open.end < last.start);
        let Some(last) = last.filter(is_later) else { return false };
        let at = last.start.max(self.sub.recorded_at);
        self.step(at, Cause::Time(Timed::PeriodEnded), |machine, effects| machine.begin(last, effects));
        true
    }

    /// The first instant at which there is less access than now, if nothing happens; without access, when it was lost.
    fn access_until(&self) -> Option<BusinessTime> {
        let access = self.access();
        if access == Access::None {
            return self.sub.lost_access_at;
        }
        let mut machine = self.clone();
        loop {
            // The end of a period changes access only by the scheduled change that it brings.
            let change =
                machine.rolls_at().filter(|_| machine.sub.scheduled.is_some()).map(|at| (at, Timed::PeriodEnded));
            let (at, timed) = machine.next_beside_periods().into_iter().chain(change).min_by_key(|(at, _)| *at)?;
            machine.pass(at, timed);
            if machine.access() < access {
                return Some(at);
            }
        }
    }
}

/// The beginning of the year 9990.
const LAST_YEARS: BusinessTime = BusinessTime::from_micros(253_086_768_000_000_000);

/// The end of a period that has none.
const END_OF_TIME: BusinessTime = BusinessTime::from_micros(i64::MAX);
