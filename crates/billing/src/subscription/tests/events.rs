use super::*;
use crate::exact::Share;
use crate::proration::portion;

const CHANGE: Change = Change { item: Item { plan: Id::from_bytes([2; 16]), quantity: 5 }, terms: OTHER };

const OTHER: Terms = Terms {
    cadence: Cadence::every(Unit::Month),
    billing: Billing::Anniversary,
    proration: Basis::Second,
    is_free: false,
    trial: None,
    after_trial: AfterTrial::End,
    grace_days: 14,
    on_unpaid: OnUnpaid::Restrict,
    credits_pause: true,
    credits_cancel: true,
};

/// A subscription in each status at [`NOW`].
fn standing(status: Status) -> Story {
    let mut story = match status {
        Status::Incomplete => Story::new(monthly(), Activation::OnPayment),
        Status::Trialing => Story::new(with_trial(TrialStart::OnCreate), Activation::Immediate),
        _ => Story::active(),
    };
    let event = match status {
        Status::Active | Status::Incomplete | Status::Trialing => None,
        Status::PastDue => Some(Event::Overdue { since: at(START) }),
        Status::Unpaid => Some(Event::Overdue { since: at("2027-01-10T00:00:00Z") }),
        Status::Paused => Some(Event::Pause),
        Status::Canceled => Some(Event::Cancel),
        Status::Ended => {
            story.sub.term_end = Some(at("2027-01-31T11:00:00Z"));
            None
        }
    };
    if let Some(event) = event {
        story.tell(START, event);
    }
    story
}

const NOW: &str = "2027-02-01T08:00:00Z";

fn event(kind: EventKind) -> Event {
    match kind {
        EventKind::Pause => Event::Pause,
        EventKind::Resume => Event::Resume(Anchor::New),
        EventKind::Cancel => Event::Cancel,
        EventKind::CancelAtPeriodEnd => Event::CancelAtPeriodEnd,
        EventKind::UndoCancel => Event::UndoCancel,
        EventKind::Change => Event::Change(CHANGE),
        EventKind::ChangeAtPeriodEnd => Event::ChangeAtPeriodEnd(CHANGE),
        EventKind::Overdue => Event::Overdue { since: at("2027-01-31T12:00:00Z") },
        EventKind::Settled => Event::Settled,
        EventKind::FirstUse => Event::FirstUse,
    }
}

/// Checks each event against what it leads to; every other one must be refused with the list of those.
fn check(story: &Story, from: Status, follows: &[(EventKind, Status)]) {
    let allowed: Vec<EventKind> = follows.iter().map(|(kind, _)| *kind).collect();
    assert!(allowed.is_sorted(), "in the order of the names");
    assert_eq!(story.on(NOW).current.status, from);
    for kind in EventKind::ALL {
        let found = story.sub.apply(event(kind), &story.terms, &story.payer, at(NOW));
        let to = follows.iter().find(|(one, _)| *one == kind).map(|(_, to)| to);
        if let Some(to) = to {
            let done = found.unwrap();
            let step = done.steps.last().unwrap();
            assert_eq!((step.from, step.to, step.cause), (Some(from), *to, Cause::Event(kind)), "{kind:?}");
            assert_eq!((done.subscription.status, step.at), (*to, at(NOW)), "{kind:?}");
        } else {
            let refused = Refused::Illegal { from, event: kind, allowed: allowed.clone() };
            assert_eq!(found.unwrap_err(), refused, "{from:?}");
        }
    }
}

#[test]
fn every_event_leads_from_every_status_where_the_table_says_or_is_refused() {
    use EventKind::{Cancel, CancelAtPeriodEnd, Change, ChangeAtPeriodEnd, Overdue, Pause, Resume, Settled};
    use Status::{Active, Canceled, Ended, Incomplete, PastDue, Paused, Trialing, Unpaid};
    let table: [(Status, &[(EventKind, Status)]); 8] = [
        (Incomplete, &[(Cancel, Ended), (Change, Incomplete), (ChangeAtPeriodEnd, Incomplete), (Settled, Active)]),
        (
            Trialing,
            &[
                (Pause, Paused),
                (Cancel, Canceled),
                (CancelAtPeriodEnd, Trialing),
                (Change, Trialing),
                (ChangeAtPeriodEnd, Trialing),
                (Overdue, Trialing),
                (Settled, Trialing),
            ],
        ),
        (
            Active,
            &[
                (Pause, Paused),
                (Cancel, Canceled),
                (CancelAtPeriodEnd, Active),
                (Change, Active),
                (ChangeAtPeriodEnd, Active),
                (Overdue, PastDue),
                (Settled, Active),
            ],
        ),
        (
            PastDue,
            &[
                (Pause, Paused),
                (Cancel, Canceled),
                (CancelAtPeriodEnd, PastDue),
                (Change, PastDue),
                (ChangeAtPeriodEnd, PastDue),
                (Overdue, PastDue),
                (Settled, Active),
            ],
        ),
        (
            Unpaid,
            &[
                (Pause, Paused),
                (Cancel, Canceled),
                (Change, Unpaid),
                (ChangeAtPeriodEnd, Unpaid),
                (Overdue, Unpaid),
                (Settled, Active),
            ],
        ),
        (
            Paused,
            &[
                (Resume, Active),
                (Cancel, Canceled),
                (Change, Paused),
                (ChangeAtPeriodEnd, Paused),
                (Overdue, Paused),
                (Settled, Paused),
            ],
        ),
        (Canceled, &[]),
        (Ended, &[]),
    ];
    for (from, follows) in table {
        check(&standing(from), from, follows);
    }
}

#[test]
fn a_cancellation_can_be_undone_in_every_status_until_it_holds() {
    for status in Status::ALL.into_iter().filter(|status| !status.is_final() && *status != Status::Incomplete) {
        let mut story = standing(status);
        assert!(!story.on(NOW).current.allowed().contains(&EventKind::UndoCancel));
        story.sub.cancel_at = Some(at("2027-02-05T00:00:00Z"));
        assert!(story.on(NOW).current.allowed().contains(&EventKind::UndoCancel), "{status}");
        assert_eq!(story.on("2027-02-05T00:00:00Z").current.status, Status::Canceled, "{status}");
        story.tell(NOW, Event::UndoCancel);
        assert_eq!(story.sub.cancel_at, None);
        assert_ne!(story.on("2027-02-05T00:00:00Z").current.status, Status::Canceled, "{status}");
    }
}

#[test]
fn what_is_paused_resumes_only_when_nothing_is_overdue() {
    let mut story = Story::active();
    story.tell("2027-02-10T00:00:00Z", Event::Overdue { since: at("2027-02-09T00:00:00Z") });
    story.tell("2027-02-11T00:00:00Z", Event::Pause);
    let refused = story.sub.apply(Event::Resume(Anchor::New), &story.terms, &story.payer, at("2027-03-30T00:00:00Z"));
    let Err(Refused::Illegal { from, allowed, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!((from, allowed.contains(&EventKind::Resume)), (Status::Paused, false));
    // a pause stops the grace, and what is settled does not resume it
    story.tell("2027-03-30T00:00:00Z", Event::Settled);
    assert_eq!(story.sub.status, Status::Paused);
    story.tell("2027-03-31T00:00:00Z", Event::Resume(Anchor::New));
    assert_eq!((story.sub.status, event_names(story.last())), (Status::Active, vec!["subscription.resumed"]));
}

#[test]
fn a_refusal_names_what_is_possible_instead() {
    let story = standing(Status::Unpaid);
    let refused = story.sub.apply(Event::CancelAtPeriodEnd, &story.terms, &story.payer, at(NOW)).unwrap_err();
    let expected = "`cancel_at_period_end` is not possible while the subscription is unpaid; possible now: \
                    `pause`, `cancel`, `change`, `change_at_period_end`, `overdue`, `settled`";
    assert_eq!(refused.to_string(), expected);
    let story = standing(Status::Ended);
    let refused = story.sub.apply(Event::Pause, &story.terms, &story.payer, at(NOW)).unwrap_err();
    assert_eq!(refused.to_string(), "`pause` is not possible while the subscription is ended; nothing can follow it");
}

#[test]
fn a_first_payment_makes_an_incomplete_subscription_active() {
    let mut story = Story::new(monthly(), Activation::OnPayment);
    assert_eq!(writes(story.last()), ["open 2027-01-31 to 2027-02-28", "charge 2027-01-31 to 2027-02-28"]);
    assert_eq!(event_names(story.last()), ["subscription.created"]);
    assert_eq!((story.on(START).access, story.on(START).access_until), (Access::None, None));
    story.tell("2027-02-01T08:59:59Z", Event::Settled);
    assert_eq!((story.sub.status, event_names(story.last())), (Status::Active, vec!["subscription.activated"]));
    assert_eq!(writes(story.last()), [""; 0]);
    let canceled = Story::new(monthly(), Activation::OnPayment).tell(NOW, Event::Cancel).last().clone();
    assert_eq!((canceled.to, writes(&canceled)), (Status::Ended, vec!["void".to_owned()]));
}

#[test]
fn a_cancellation_now_rates_the_use_and_gives_unused_time_back_when_the_plan_says_so() {
    let mut story = Story::active();
    story.tell("2027-02-09T00:00:00Z", Event::ChangeAtPeriodEnd(CHANGE));
    story.tell("2027-02-10T00:00:00Z", Event::Cancel);
    assert_eq!(writes(story.last()), ["credit 2027-02-10 to 2027-02-28", "close 2027-02-10 x1"]);
    assert_eq!((story.sub.scheduled, story.sub.period, story.sub.advance_to), (None, None, None));
    assert_eq!(event_names(story.last()), ["subscription.canceled"]);
    assert_eq!(story.sub.lost_access_at, Some(at("2027-02-10T00:00:00Z")));
    let terms = Terms { credits_cancel: false, ..monthly() };
    let mut story = Story::new(terms, Activation::Immediate);
    story.tell("2027-02-10T00:00:00Z", Event::Cancel);
    assert_eq!(writes(story.last()), ["close 2027-02-10 x1"]);
}

#[test]
fn a_change_now_is_prorated_and_drops_what_was_scheduled() {
    let mut story = Story::active();
    story.tell("2027-02-05T00:00:00Z", Event::ChangeAtPeriodEnd(CHANGE));
    let more = Change { item: item(1, 7), terms: monthly() };
    story.tell("2027-02-14T00:00:00Z", Event::Change(more));
    assert_eq!(writes(story.last()), ["prorate 2027-02-14 to 2027-02-28", "item x1 to x7"]);
    assert_eq!((story.sub.scheduled, story.sub.item), (None, item(1, 7)));
    let expected = Effect::Prorate {
        period: story.sub.period.unwrap(),
        from: Edge::changed(at("2027-02-14T00:00:00Z")),
        to: Edge::left(at("2027-02-28T10:00:00Z")),
        old: item(1, 1),
        new: Some(item(1, 7)),
    };
    assert_eq!(story.last().effects[0], expected);
    // the same again changes nothing
    story.tell("2027-02-15T00:00:00Z", Event::Change(more));
    assert_eq!(writes(story.last()), [""; 0]);
}

#[test]
fn a_change_to_another_cadence_begins_a_new_period_at_once() {
    let mut story = Story::active();
    let yearly = Terms { cadence: Cadence::every(Unit::Year), ..monthly() };
    story.tell("2027-02-14T00:00:00Z", Event::Change(Change { item: item(2, 1), terms: yearly }));
    let expected = [
        "take back 2027-02-14 to 2027-02-28",
        "close 2027-02-14 x1",
        "item x1 to x1",
        "open 2027-02-14 to 2028-02-14",
        "charge 2027-02-14 to 2028-02-14",
    ];
    assert_eq!(writes(story.last()), expected);
    assert_eq!(story.terms, yearly);
}

#[test]
fn a_change_while_trialing_costs_nothing_and_leaves_the_trial() {
    let mut story = Story::new(with_trial(TrialStart::OnCreate), Activation::OnPayment);
    let trial = story.sub.period;
    let yearly = Terms { cadence: Cadence::every(Unit::Year), ..monthly() };
    story.tell("2027-02-03T00:00:00Z", Event::Change(Change { item: item(2, 3), terms: yearly }));
    assert_eq!(writes(story.last()), ["item x1 to x3"]);
    assert_eq!((story.sub.status, story.sub.period), (Status::Trialing, trial));
    assert_eq!(story.on("2027-02-14T10:00:00Z").current.period.unwrap().end, at("2028-02-14T10:00:00Z"));
}

#[test]
fn the_present_plan_asked_for_at_the_period_end_takes_a_scheduled_change_back() {
    let mut story = Story::active();
    story.tell("2027-02-05T00:00:00Z", Event::ChangeAtPeriodEnd(CHANGE));
    assert_eq!(story.sub.scheduled_at(), Some(at("2027-02-28T10:00:00Z")));
    let present = Change { item: story.sub.item, terms: story.terms };
    story.tell("2027-02-06T00:00:00Z", Event::ChangeAtPeriodEnd(present));
    assert_eq!((story.sub.scheduled, story.sub.scheduled_at()), (None, None));
}

#[test]
fn a_pause_credits_the_rest_and_a_resumption_begins_a_period_or_goes_on() {
    let mut story = Story::active();
    story.tell("2027-02-10T00:00:00Z", Event::Pause);
    assert_eq!(writes(story.last()), ["credit 2027-02-10 to 2027-02-28"]);
    let paused = (story.sub.clone(), story.terms);
    story.tell("2027-02-20T00:00:00Z", Event::Resume(Anchor::Kept));
    assert_eq!(writes(story.last()), ["charge 2027-02-20 to 2027-02-28"]);
    (story.sub, story.terms) = paused.clone();
    story.tell("2027-02-20T00:00:00Z", Event::Resume(Anchor::New));
    let expected = ["close 2027-02-10 x1", "open 2027-02-20 to 2027-03-20", "charge 2027-02-20 to 2027-03-20"];
    assert_eq!(writes(story.last()), expected);
    // the period in which it was paused ends meanwhile; none follows before the resumption
    (story.sub, story.terms) = paused;
    story.tell("2027-05-10T00:00:00Z", Event::Resume(Anchor::Kept));
    let steps: Vec<Vec<String>> = story.steps.iter().map(writes).collect();
    assert_eq!(
        steps,
        [vec!["close 2027-02-10 x1"], vec!["open 2027-05-10 to 2027-05-31", "charge 2027-05-10 to 2027-05-31"]]
    );
    assert_eq!(story.sub.period.unwrap().nominal_start, at("2027-04-30T10:00:00Z"));
}

#[test]
fn a_pause_that_credits_nothing_charges_nothing_when_it_ends_in_the_same_period() {
    let mut story = Story::new(Terms { credits_pause: false, ..monthly() }, Activation::Immediate);
    story.tell("2027-02-10T00:00:00Z", Event::Pause);
    assert_eq!(writes(story.last()), [""; 0]);
    story.tell("2027-02-20T00:00:00Z", Event::Resume(Anchor::Kept));
    assert_eq!(writes(story.last()), [""; 0]);
}

#[test]
fn the_earliest_due_date_counts_and_none_lies_in_the_future() {
    let mut story = Story::active();
    story.tell("2027-02-10T00:00:00Z", Event::Overdue { since: at("2027-06-01T00:00:00Z") });
    assert_eq!(story.sub.overdue_since, Some(at("2027-02-10T00:00:00Z")));
    story.tell("2027-02-11T00:00:00Z", Event::Overdue { since: at("2027-02-09T00:00:00Z") });
    story.tell("2027-02-12T00:00:00Z", Event::Overdue { since: at("2027-02-11T00:00:00Z") });
    assert_eq!(story.sub.overdue_since, Some(at("2027-02-09T00:00:00Z")));
}

#[test]
fn an_event_records_what_was_due_before_it_in_the_same_commit() {
    let mut story = Story::active();
    story.tell("2027-02-01T00:00:00Z", Event::Overdue { since: at("2027-02-01T00:00:00Z") });
    story.tell("2027-03-05T00:00:00Z", Event::Settled);
    let taken: Vec<(Cause, Status)> = story.steps.iter().map(|step| (step.cause, step.to)).collect();
    let expected = [
        (Cause::Time(Timed::GraceOver), Status::Unpaid),
        (Cause::Time(Timed::PeriodEnded), Status::Unpaid),
        (Cause::Event(EventKind::Settled), Status::Active),
    ];
    assert_eq!(taken, expected);
    // the period that was opened while unpaid was not charged for; the rest of it is from now on
    assert_eq!(writes(&story.steps[1]), ["close 2027-02-28 x1", "open 2027-02-28 to 2027-03-31"]);
    assert_eq!(writes(&story.steps[2]), ["charge 2027-03-05 to 2027-03-31"]);
}

/// The part of the open period that a step charges or credits, by a basis.
fn share(story: &Story, basis: Basis) -> (u64, u64) {
    let part = |effect: &Effect| match effect {
        Effect::ChargeAdvance { period, from, to } | Effect::CreditUnused { period, from, to } => {
            portion(basis, period, *from, *to, &story.payer.zone)
        }
        _ => None,
    };
    story.last().effects.iter().find_map(part).unwrap().parts()
}

#[test]
fn a_day_that_a_pause_did_not_give_back_is_not_charged_again() {
    let of = |pause: &str, resume: &str, basis| {
        let mut story = Story::new(Terms { proration: basis, ..monthly() }, Activation::Immediate);
        story.tell(pause, Event::Pause);
        let credit = share(&story, basis);
        story.tell(resume, Event::Resume(Anchor::Kept));
        (credit, share(&story, basis))
    };
    let pause = "2027-02-10T06:00:00Z";
    // the period has the days from 31 January to 27 February; it was used up to the 10th
    assert_eq!(of(pause, "2027-02-10T18:00:00Z", Basis::Day), ((17, 28), (17, 28)));
    assert_eq!(of(pause, "2027-02-20T18:00:00Z", Basis::Day), ((17, 28), (8, 28)));
    // nothing is given back by this basis, so nothing is charged again
    assert_eq!(of(pause, "2027-02-10T18:00:00Z", Basis::None), ((0, 1), (0, 1)));
    assert_eq!(of(pause, "2027-02-20T18:00:00Z", Basis::None), ((0, 1), (0, 1)));
    // the 30th and the 31st are one day of 30/360
    let mut story = Story::new(Terms { proration: Basis::Day30360, ..monthly() }, Activation::Immediate);
    story.sub.period = Some(Period::whole(at("2027-03-25T10:00:00Z"), at("2027-04-04T10:00:00Z")));
    story.sub.advance_to = Some(at("2027-04-04T10:00:00Z"));
    story.tell("2027-03-30T12:00:00Z", Event::Pause);
    assert_eq!(share(&story, Basis::Day30360), (3, 9));
    story.tell("2027-03-31T06:00:00Z", Event::Resume(Anchor::Kept));
    assert_eq!(share(&story, Basis::Day30360), (3, 9));
}

#[test]
fn a_cancellation_that_is_undone_charges_from_the_day_after_it() {
    let mut story = Story::active();
    story.sub.cancel_at = Some(at("2027-03-10T06:00:00Z"));
    story.tell("2027-03-01T00:00:00Z", Event::UndoCancel);
    let first = &story.steps[0].effects;
    let charged = first.iter().find_map(|effect| match effect {
        Effect::ChargeAdvance { period, from, to } => portion(Basis::Day, period, *from, *to, &Zone::UTC),
        _ => None,
    });
    // from 28 February to 10 March, then to 30 March
    assert_eq!(charged.map(Share::parts), Some((11, 31)));
    assert_eq!((share(&story, Basis::Day), share(&story, Basis::None)), ((20, 31), (0, 1)));
}

#[test]
fn a_change_of_what_waits_for_its_first_payment_beyond_its_period_closes_that_at_its_end() {
    let mut story = Story::new(Terms { billing: Billing::Calendar, ..monthly() }, Activation::OnPayment);
    let yearly = Terms { cadence: Cadence::every(Unit::Year), ..monthly() };
    story.tell(NOW, Event::Change(Change { item: item(1, 1), terms: yearly }));
    assert_eq!(
        writes(story.last()),
        ["close 2027-02-01 x1", "open 2027-02-01 to 2028-02-01", "charge 2027-02-01 to 2028-02-01"]
    );
    assert_eq!(story.sub.period.unwrap().start, at(NOW));
    let Effect::PeriodClosed { until, .. } = story.last().effects[0] else { panic!("{:?}", story.last()) };
    assert_eq!(until, Edge::changed(at("2027-02-01T00:00:00Z")));
}
