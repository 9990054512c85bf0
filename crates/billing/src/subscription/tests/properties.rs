use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::proration::portion;

fn cadences() -> impl Strategy<Value = Cadence> {
    let all = [(Unit::Day, 1), (Unit::Day, 10), (Unit::Week, 1), (Unit::Month, 1), (Unit::Quarter, 1), (Unit::Year, 1)];
    proptest::sample::select(all.to_vec()).prop_map(|(unit, count)| Cadence::new(unit, count).unwrap())
}

fn terms() -> impl Strategy<Value = Terms> {
    let trial = proptest::option::of((1_u16..40, any::<bool>()).prop_map(|(days, is_first_use)| {
        let starts = if is_first_use { TrialStart::FirstUse } else { TrialStart::OnCreate };
        Trial { days, starts }
    }));
    (cadences(), trial, 0_u16..30, any::<[bool; 6]>()).prop_map(|(cadence, trial, grace_days, [a, b, c, d, e, f])| {
        Terms {
            proration: Basis::Second,
            cadence,
            billing: if a { Billing::Calendar } else { Billing::Anniversary },
            is_free: b && c,
            trial,
            after_trial: if c { AfterTrial::Pause } else { AfterTrial::End },
            grace_days,
            on_unpaid: if d { OnUnpaid::Restrict } else { OnUnpaid::Deny },
            credits_pause: e,
            credits_cancel: f,
        }
    })
}

fn events() -> impl Strategy<Value = Event> {
    let change = || {
        (terms(), 1_u8..4, 0_u64..9).prop_map(|(terms, plan, quantity)| Change { item: item(plan, quantity), terms })
    };
    prop_oneof![
        Just(Event::Pause),
        Just(Event::Resume(Anchor::New)),
        Just(Event::Resume(Anchor::Kept)),
        Just(Event::Cancel),
        Just(Event::CancelAtPeriodEnd),
        Just(Event::UndoCancel),
        change().prop_map(Event::Change),
        change().prop_map(Event::ChangeAtPeriodEnd),
        (0_i64..30).prop_map(|ago| Event::Overdue { since: BusinessTime::from_micros(ago) }),
        Just(Event::Settled),
        Just(Event::Settled),
        Just(Event::FirstUse),
    ]
}

#[derive(Debug, Clone)]
struct History {
    terms: Terms,
    /// Of all plans: what one basis charged another may not give back exactly.
    basis: Basis,
    zones: [String; 2],
    is_collectible: bool,
    activation: Activation,
    term_days: Option<i64>,
    /// Seconds before each event, and the event.
    events: Vec<(i64, Event)>,
    /// Seconds from the last event to the instants that are asked for.
    later: [i64; 3],
}

fn histories() -> impl Strategy<Value = History> {
    let gap = prop_oneof![Just(0_i64), 1_i64..86_400, 86_400_i64..8_000_000];
    let zone = || proptest::sample::select(vec!["UTC", "Europe/Berlin", "Pacific/Auckland", "America/Los_Angeles"]);
    let payer = (zone(), zone(), any::<bool>());
    let end = (any::<bool>(), proptest::option::of(1_i64..900));
    let terms = (terms(), proptest::sample::select(Basis::ALL.to_vec()));
    let later = [0_i64..3_000_000, 0_i64..40_000_000, 0_i64..90_000_000];
    (terms, payer, end, proptest::collection::vec((gap, events()), 0..12), later).prop_map(
        |((terms, basis), (zone, other, is_collectible), (is_immediate, term_days), events, later)| History {
            terms: Terms { proration: basis, ..terms },
            basis,
            zones: [zone.to_owned(), other.to_owned()],
            is_collectible,
            activation: if is_immediate { Activation::Immediate } else { Activation::OnPayment },
            term_days,
            events,
            later,
        },
    )
}

/// How far a status is on the way that time alone leads.
fn rank(status: Status) -> u8 {
    match status {
        Status::Incomplete | Status::Trialing => 0,
        Status::Active => 1,
        Status::PastDue => 2,
        Status::Unpaid => 3,
        Status::Paused => 4,
        Status::Canceled | Status::Ended => 5,
    }
}

/// What is charged in advance, and which period is open, followed step by step.
#[derive(Default)]
struct Books {
    /// The part of the open period that was charged and not given back.
    part: i128,
    charged_to: Option<BusinessTime>,
    open: Option<Period>,
    last: Option<BusinessTime>,
}

impl Books {
    fn enter(&mut self, steps: &[Step], basis: Basis, zone: &Zone) {
        for step in steps {
            assert!(self.last.is_none_or(|last| last <= step.at), "steps go forward: {step:?}");
            self.last = Some(step.at);
            for effect in &step.effects {
                self.post(effect, step);
                self.measure(effect, basis, zone);
            }
        }
    }

    /// What is charged for a period is never more than all of it, and no more is given back.
    fn measure(&mut self, effect: &Effect, basis: Basis, zone: &Zone) {
        let (period, from, to, sign) = match effect {
            Effect::PeriodOpened(_) => {
                self.part = 0;
                return;
            }
            Effect::ChargeAdvance { period, from, to } => (period, from, to, 1),
            Effect::CreditUnused { period, from, to } | Effect::Prorate { period, from, to, new: None, .. } => {
                (period, from, to, -1)
            }
            _ => return,
        };
        let (part, whole) = portion(basis, period, *from, *to, zone).unwrap().parts();
        // seconds and microseconds may meet
        let unit = if basis == Basis::Second {
            i128::from(period.end.micros_since(period.nominal_start)) / i128::from(whole)
        } else {
            1
        };
        self.part += sign * unit * i128::from(part);
        let whole = unit * i128::from(whole);
        assert!((0..=whole).contains(&self.part), "{basis:?} {} of {whole}: {effect:?}", self.part);
    }

    fn post(&mut self, effect: &Effect, step: &Step) {
        match effect {
            Effect::PeriodOpened(period) => {
                assert!(self.open.is_none_or(|open| open.end <= period.start), "one period at a time: {step:?}");
                assert!(period.start < period.end && period.nominal_start <= period.start, "{step:?}");
                self.open = Some(*period);
            }
            Effect::PeriodClosed { period, until, .. } => {
                assert_eq!(self.open.take(), Some(*period), "{step:?}");
                assert!(until.at <= period.end, "{step:?}");
                if step.cause == Cause::Event(EventKind::Resume) {
                    // what the pause did not give back is lost with the period
                    self.charged_to = None;
                }
            }
            Effect::ChargeAdvance { period, from, to } => {
                assert_eq!(self.open, Some(*period), "{step:?}");
                assert!(!matches!(step.to, Status::Unpaid | Status::Paused), "no new charge: {step:?}");
                assert!(self.charged_to.is_none_or(|charged| charged <= from.at), "nothing is charged twice: {step:?}");
                assert!(from.at < to.at && to.at <= period.end && period.start <= from.at, "{step:?}");
                self.charged_to = Some(to.at);
            }
            Effect::CreditUnused { period, from, to } | Effect::Prorate { period, from, to, new: None, .. } => {
                assert_eq!(
                    (self.open, self.charged_to),
                    (Some(*period), Some(to.at)),
                    "only what was charged: {step:?}"
                );
                assert!(period.start <= from.at && from.at < to.at, "{step:?}");
                self.charged_to = Some(from.at);
            }
            Effect::Prorate { period, from, to, .. } => {
                assert_eq!((self.open, self.charged_to), (Some(*period), Some(to.at)), "{step:?}");
                assert!(period.start <= from.at && from.at < to.at, "{step:?}");
            }
            Effect::Event(_) | Effect::ItemChanged { .. } | Effect::VoidFirstInvoice => {}
        }
        // a trial, and a first period that was not paid, end without being rated
        let is_left = matches!(step.to, Status::Paused) && step.from == Some(Status::Trialing);
        let is_trial_over = matches!(effect, Effect::Event("subscription.trial_ended"));
        if is_left || is_trial_over {
            self.open = None;
        }
    }
}

/// The end of access by the list of the specification: what is known on the record without going through time.
fn listed_end(sub: &Subscription, terms: &Terms, payer: &Payer) -> Option<BusinessTime> {
    let grace = i64::from(terms.grace_days) * 86_400;
    let converts = terms.is_free || payer.is_collectible;
    let grace_end = sub.overdue_since.map(|since| since.plus_seconds(grace).max(sub.recorded_at));
    let ends = [
        sub.cancel_at,
        sub.term_end,
        sub.trial_end.filter(|_| sub.status == Status::Trialing && !converts),
        grace_end.filter(|_| sub.status == Status::PastDue),
    ];
    ends.into_iter().flatten().min()
}

fn live(history: &History) {
    let mut payer = Payer { zone: Zone::parse(&history.zones[0]).unwrap(), is_collectible: history.is_collectible };
    let start = at(START);
    let term_end = history.term_days.map(|count| start.plus_seconds(days(count)));
    let made = Subscription::create(New { term_end, ..new(history.activation) }, &history.terms, &payer, start);
    let (mut sub, mut terms, mut now) = (made.subscription, made.terms, start);
    let mut books = Books::default();
    books.enter(&made.steps, history.basis, &payer.zone);
    for (gap, event) in &history.events {
        now = now.plus_seconds(*gap);
        let with_basis =
            |change: &Change| Change { terms: Terms { proration: history.basis, ..change.terms }, ..*change };
        let event = match event {
            Event::Overdue { since } => Event::Overdue { since: now.plus_seconds(-days(since.as_micros())) },
            Event::Change(change) => Event::Change(with_basis(change)),
            Event::ChangeAtPeriodEnd(change) => Event::ChangeAtPeriodEnd(with_basis(change)),
            other => *other,
        };
        let before = sub.at(&terms, &payer, now);
        match sub.apply(event, &terms, &payer, now) {
            Ok(done) => {
                books.enter(&done.steps, history.basis, &payer.zone);
                let after = access(done.subscription.status, &done.terms);
                if after < before.access {
                    assert_eq!(done.subscription.lost_access_at, Some(now), "{event:?}");
                }
                assert!(!before.current.status.is_final(), "{event:?}");
                (sub, terms) = (done.subscription, done.terms);
            }
            Err(Refused::Illegal { from, allowed, .. }) => {
                assert_eq!((from, &allowed), (before.current.status, &before.current.allowed()));
                assert!(!allowed.contains(&event.kind()));
            }
            Err(Refused::Behind) => {
                books.enter(&before.due, history.basis, &payer.zone);
                (sub, terms) = (before.recorded, before.terms);
            }
        }
    }
    payer.zone = Zone::parse(&history.zones[1]).unwrap();
    let mut seen = sub.at(&terms, &payer, now);
    for gap in history.later {
        now = now.plus_seconds(gap);
        let found = sub.at(&terms, &payer, now);
        // time leads one way, and what it led to before is where it goes on from
        assert!(rank(seen.current.status) <= rank(found.current.status));
        assert!(seen.current.lost_access_at <= found.current.lost_access_at);
        // only a plan that was scheduled may leave an unpaid subscription more than the one before
        assert!(found.access <= seen.access || seen.current.scheduled.is_some());
        assert_eq!(seen.current.at(&seen.terms, &payer, now).current, found.current);
        assert!(found.next_boundary.is_none_or(|next| next > now));
        until_it_ends(&found, &payer, now);
        one_by_one(&sub, &terms, &payer, &found, now);
        seen = found;
    }
    let rest = sub.at(&terms, &payer, now);
    books.enter(&rest.due, history.basis, &Zone::parse(&history.zones[0]).unwrap());
    if rest.is_complete() {
        let expected = rest.current.period.filter(|_| rest.current.status != Status::Trialing);
        if let Some(period) = expected {
            assert_eq!(books.open, Some(period));
        }
    }
}

/// Access lasts exactly to `access_until`, and that is what the specification lists.
fn until_it_ends(found: &Computed, payer: &Payer, now: BusinessTime) {
    if found.access == Access::None {
        assert_eq!(found.access_until, found.current.lost_access_at);
        return;
    }
    let then = |at| found.current.at(&found.terms, payer, at).access;
    match found.access_until {
        Some(end) => {
            assert!(now < end);
            assert_eq!(then(BusinessTime::from_micros(end.as_micros() - 1)), found.access);
            assert!(then(end) < found.access);
        }
        None => assert_eq!(then(now.plus_seconds(days(4_000))), found.access),
    }
    let sub = &found.current;
    let is_listed = sub.scheduled.is_none() && !(sub.status == Status::Trialing && sub.overdue_since.is_some());
    if is_listed {
        assert_eq!(found.access_until, listed_end(sub, &found.terms, payer));
    }
}

/// Recording each transition at its own instant comes to the same as computing them all at the end.
fn one_by_one(sub: &Subscription, terms: &Terms, payer: &Payer, found: &Computed, now: BusinessTime) {
    let (mut record, mut terms, mut steps) = (sub.clone(), *terms, Vec::new());
    for due in found.due.iter().take(40) {
        let part = record.at(&terms, payer, due.at);
        steps.extend(part.due);
        (record, terms) = (part.recorded, part.terms);
    }
    assert_eq!(record.at(&terms, payer, now).current, found.current);
    let listed = steps.len().min(found.due.len());
    assert_eq!(steps[..listed], found.due[..listed]);
}

#[test]
fn whatever_happens_in_whatever_order_time_and_events_agree() {
    // the same histories in each run
    let config = Config { cases: 200, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    runner
        .run(&histories(), |history| {
            live(&history);
            Ok(())
        })
        .unwrap();
}

#[test]
#[ignore = "many histories"]
fn proof_subscriptions() {
    #[expect(clippy::disallowed_methods, reason = "the proof runner says how many")]
    let is_full = std::env::var("BASTIONARY_PROOF").is_ok_and(|wanted| wanted == "full");
    let cases = if is_full { 200_000 } else { 1_000 };
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    runner
        .run(&histories(), |history| {
            live(&history);
            Ok(())
        })
        .unwrap();
    let line = format!(
        "PROOF subscriptions: {cases} random histories; recorded one by one or computed at once 0 differences, 0 periods \
         charged twice, access ended where it was said in all\n"
    );
    std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes()).unwrap();
}
