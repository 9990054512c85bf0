#![expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]

mod events;
mod properties;
mod time;

use kernel::clock::{BusinessTime, Timestamp};
use kernel::id::Id;

use super::*;
use crate::period::Unit;

fn at(text: &str) -> BusinessTime {
    BusinessTime::of(Timestamp::parse(text).unwrap(), 0)
}

fn days(count: i64) -> i64 {
    count * 86_400
}

fn item(plan: u8, quantity: u64) -> Item {
    Item { plan: Id::from_bytes([plan; 16]), quantity }
}

/// A monthly plan to be paid, without a trial.
fn monthly() -> Terms {
    Terms {
        cadence: Cadence::every(Unit::Month),
        billing: Billing::Anniversary,
        proration: Basis::Second,
        is_free: false,
        trial: None,
        after_trial: AfterTrial::End,
        grace_days: 14,
        on_unpaid: OnUnpaid::Deny,
        credits_pause: true,
        credits_cancel: true,
    }
}

fn with_trial(starts: TrialStart) -> Terms {
    Terms { trial: Some(Trial { days: 14, starts }), ..monthly() }
}

fn payer() -> Payer {
    Payer { zone: Zone::UTC, is_collectible: true }
}

fn new(activation: Activation) -> New {
    New { id: Id::from_bytes([9; 16]), item: item(1, 1), activation, term_end: None }
}

const START: &str = "2027-01-31T10:00:00Z";

/// A subscription with the terms it is under, so that a test tells a story.
struct Story {
    sub: Subscription,
    terms: Terms,
    payer: Payer,
    steps: Vec<Step>,
}

impl Story {
    fn new(terms: Terms, activation: Activation) -> Self {
        let made = Subscription::create(new(activation), &terms, &payer(), at(START));
        Self { sub: made.subscription, terms: made.terms, payer: payer(), steps: made.steps }
    }

    fn active() -> Self {
        Self::new(monthly(), Activation::Immediate)
    }

    fn on(&self, now: &str) -> Computed {
        self.sub.at(&self.terms, &self.payer, at(now))
    }

    /// Applies an event and keeps the steps that it took.
    fn tell(&mut self, now: &str, event: Event) -> &mut Self {
        let done = self.sub.apply(event, &self.terms, &self.payer, at(now)).unwrap();
        (self.sub, self.terms, self.steps) = (done.subscription, done.terms, done.steps);
        self
    }

    fn last(&self) -> &Step {
        self.steps.last().unwrap()
    }
}

fn event_names(step: &Step) -> Vec<&'static str> {
    let name = |effect: &Effect| if let Effect::Event(name) = effect { Some(*name) } else { None };
    step.effects.iter().filter_map(name).collect()
}

/// What is written beside events, in short.
fn writes(step: &Step) -> Vec<String> {
    let date = |at: BusinessTime| at.to_string()[..10].to_owned();
    let part = |from: &Edge, to: &Edge| format!("{} to {}", date(from.at), date(to.at));
    let write = |effect: &Effect| match effect {
        Effect::Event(_) => None,
        Effect::PeriodClosed { until, item, .. } => Some(format!("close {} x{}", date(until.at), item.quantity)),
        Effect::ItemChanged { from, to } => Some(format!("item x{} to x{}", from.quantity, to.quantity)),
        Effect::PeriodOpened(period) => Some(format!("open {} to {}", date(period.start), date(period.end))),
        Effect::ChargeAdvance { from, to, .. } => Some(format!("charge {}", part(from, to))),
        Effect::CreditUnused { from, to, .. } => Some(format!("credit {}", part(from, to))),
        Effect::Prorate { from, to, new: Some(_), .. } => Some(format!("prorate {}", part(from, to))),
        Effect::Prorate { from, to, new: None, .. } => Some(format!("take back {}", part(from, to))),
        Effect::VoidFirstInvoice => Some("void".to_owned()),
    };
    step.effects.iter().filter_map(write).collect()
}
