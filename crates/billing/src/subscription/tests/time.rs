use super::*;

fn causes(computed: &Computed) -> Vec<(Timed, String)> {
    let timed = |step: &Step| match step.cause {
        Cause::Time(timed) => (timed, step.at.to_string()),
        other => panic!("{other:?} is not due by time"),
    };
    computed.due.iter().map(timed).collect()
}

#[test]
fn a_trial_is_told_to_end_then_ends_and_its_first_period_begins_where_it_ended() {
    let story = Story::new(with_trial(TrialStart::OnCreate), Activation::OnPayment);
    assert_eq!((story.sub.status, event_names(story.last())), (Status::Trialing, vec!["subscription.created"]));
    let during = story.on("2027-02-01T00:00:00Z");
    assert_eq!((during.access, during.access_until, during.due.len()), (Access::Full, None, 0));
    assert_eq!(during.next_boundary, Some(at("2027-02-11T10:00:00Z")));
    let after = story.on("2027-02-14T10:00:00Z");
    let expected = [
        (Timed::TrialEnding, "2027-02-11T10:00:00Z".to_owned()),
        (Timed::TrialEnded, "2027-02-14T10:00:00Z".to_owned()),
    ];
    assert_eq!(causes(&after), expected);
    assert_eq!(event_names(&after.due[0]), ["subscription.trial_ending"]);
    assert_eq!(event_names(&after.due[1]), ["subscription.trial_ended", "subscription.activated"]);
    assert_eq!(writes(&after.due[1]), ["open 2027-02-14 to 2027-03-14", "charge 2027-02-14 to 2027-03-14"]);
    assert_eq!((after.current.status, after.current.status_since), (Status::Active, at("2027-02-14T10:00:00Z")));
}

#[test]
fn a_trial_without_a_way_to_be_paid_ends_its_access_as_the_plan_says() {
    let table = [
        (AfterTrial::End, Status::Ended, ["subscription.trial_ended", "subscription.ended"]),
        (AfterTrial::Pause, Status::Paused, ["subscription.trial_ended", "subscription.paused"]),
    ];
    for (after_trial, status, events) in table {
        let mut story = Story::new(Terms { after_trial, ..with_trial(TrialStart::OnCreate) }, Activation::Immediate);
        story.payer.is_collectible = false;
        let end = at("2027-02-14T10:00:00Z");
        assert_eq!(story.on(START).access_until, Some(end));
        let after = story.on("2027-02-20T00:00:00Z");
        assert_eq!((after.current.status, after.access, after.access_until), (status, Access::None, Some(end)));
        assert_eq!(event_names(&after.due[1]), events);
        let free = Terms { is_free: true, ..story.terms };
        assert_eq!(story.sub.at(&free, &story.payer, end).current.status, Status::Active);
        // as is one that changes to a free plan with its end
        let change = Change { item: item(2, 1), terms: Terms { is_free: true, ..monthly() } };
        story.tell("2027-02-02T00:00:00Z", Event::ChangeAtPeriodEnd(change));
        let after = story.on("2027-02-20T00:00:00Z");
        assert_eq!((after.current.status, after.current.item), (Status::Active, item(2, 1)));
        assert_eq!(story.on("2027-02-02T00:00:00Z").access_until, None);
    }
}

#[test]
fn a_trial_from_the_first_use_waits_for_it_however_long() {
    let mut story = Story::new(with_trial(TrialStart::FirstUse), Activation::Immediate);
    let waiting = story.on("2029-01-01T00:00:00Z");
    assert_eq!((waiting.access, waiting.next_boundary, waiting.due.len()), (Access::Full, None, 0));
    assert!(waiting.current.awaits_first_use());
    assert!(!waiting.current.allowed().contains(&EventKind::CancelAtPeriodEnd));
    // the promised trial stays with another plan that has none
    story.tell("2028-01-01T00:00:00Z", Event::Change(Change { item: item(2, 1), terms: monthly() }));
    story.tell("2029-01-01T00:00:00Z", Event::FirstUse);
    assert_eq!(story.sub.trial_end, Some(at("2029-01-15T00:00:00Z")));
    assert!(!story.sub.awaits_first_use() && !story.sub.allowed().contains(&EventKind::FirstUse));
    assert_eq!(story.on("2029-01-15T00:00:00Z").current.status, Status::Active);
}

#[test]
fn a_trial_shorter_than_the_notice_is_told_to_end_when_it_begins() {
    let trial = Trial { days: 2, starts: TrialStart::OnCreate };
    let story = Story::new(Terms { trial: Some(trial), ..monthly() }, Activation::Immediate);
    assert_eq!(causes(&story.on(START)), [(Timed::TrialEnding, START.to_owned())]);
}

#[test]
fn a_first_payment_that_never_comes_ends_the_subscription_after_23_hours() {
    let story = Story::new(monthly(), Activation::OnPayment);
    assert_eq!(story.on("2027-02-01T08:59:59.999999Z").current.status, Status::Incomplete);
    let ended = story.on("2027-02-01T09:00:00Z");
    assert_eq!((ended.current.status, ended.next_boundary), (Status::Ended, None));
    assert_eq!(writes(&ended.due[0]), ["void"]);
    assert_eq!(event_names(&ended.due[0]), ["subscription.ended"]);
    assert_eq!((ended.access_until, ended.current.lost_access_at), (None, None));
}

#[test]
fn an_overdue_invoice_leads_to_unpaid_at_the_end_of_its_grace_and_no_advance_is_charged_any_more() {
    for (on_unpaid, access) in [(OnUnpaid::Deny, Access::None), (OnUnpaid::Restrict, Access::Restricted)] {
        let mut story = Story::new(Terms { on_unpaid, ..monthly() }, Activation::Immediate);
        story.tell("2027-02-21T00:00:00Z", Event::Overdue { since: at("2027-02-20T00:00:00Z") });
        let end = at("2027-03-06T00:00:00Z");
        let grace = story.on("2027-03-05T23:59:59.999999Z");
        assert_eq!(
            (grace.current.status, grace.access, grace.access_until),
            (Status::PastDue, Access::Full, Some(end))
        );
        let unpaid = story.on("2027-04-10T00:00:00Z");
        assert_eq!((unpaid.current.status, unpaid.access), (Status::Unpaid, access));
        assert_eq!((unpaid.current.status_since, unpaid.current.lost_access_at), (end, Some(end)));
        let steps: Vec<Vec<String>> = unpaid.due.iter().map(writes).collect();
        let expected = [
            vec!["close 2027-02-28 x1", "open 2027-02-28 to 2027-03-31", "charge 2027-02-28 to 2027-03-31"],
            vec![],
            vec!["close 2027-03-31 x1", "open 2027-03-31 to 2027-04-30"],
        ];
        assert_eq!(steps, expected);
    }
}

#[test]
fn a_due_date_older_than_its_grace_makes_the_subscription_unpaid_when_it_is_told_not_before() {
    let mut story = Story::active();
    let told = "2027-02-21T00:00:00Z";
    story.tell(told, Event::Overdue { since: at("2027-01-01T00:00:00Z") });
    assert_eq!(story.sub.status, Status::PastDue);
    let unpaid = story.on(told);
    assert_eq!((unpaid.current.status, unpaid.current.lost_access_at), (Status::Unpaid, Some(at(told))));
}

#[test]
fn what_was_overdue_in_the_trial_counts_from_its_end() {
    let mut story = Story::new(with_trial(TrialStart::OnCreate), Activation::Immediate);
    story.tell("2027-02-02T00:00:00Z", Event::Overdue { since: at("2027-02-02T00:00:00Z") });
    assert_eq!(story.on("2027-02-10T00:00:00Z").access_until, Some(at("2027-02-16T00:00:00Z")));
    let found: Vec<Timed> = causes(&story.on("2027-02-16T00:00:00Z")).into_iter().map(|(timed, _)| timed).collect();
    assert_eq!(found, [Timed::TrialEnding, Timed::TrialEnded, Timed::Overdue, Timed::GraceOver]);
}

#[test]
fn a_cancellation_at_the_period_end_opens_no_further_period() {
    let mut story = Story::active();
    story.tell("2027-02-10T00:00:00Z", Event::CancelAtPeriodEnd);
    let end = at("2027-02-28T10:00:00Z");
    let until = story.on("2027-02-28T09:59:59.999999Z");
    assert_eq!((until.current.status, until.access_until, until.next_boundary), (Status::Active, Some(end), Some(end)));
    let canceled = story.on("2027-07-01T00:00:00Z");
    assert_eq!(causes(&canceled), [(Timed::CancelReached, "2027-02-28T10:00:00Z".to_owned())]);
    assert_eq!(writes(&canceled.due[0]), ["close 2027-02-28 x1"]);
    assert_eq!((canceled.access, canceled.access_until), (Access::None, Some(end)));
    assert_eq!(canceled.next_boundary, None);
}

#[test]
fn a_term_that_ends_inside_a_period_is_charged_up_to_its_end() {
    let terms = monthly();
    let new = New { term_end: Some(at("2027-03-15T00:00:00Z")), ..new(Activation::Immediate) };
    let made = Subscription::create(new, &terms, &payer(), at(START));
    let ended = made.subscription.at(&terms, &payer(), at("2027-04-01T00:00:00Z"));
    assert_eq!(ended.current.status, Status::Ended);
    let steps: Vec<Vec<String>> = ended.due.iter().map(writes).collect();
    let opened = vec!["close 2027-02-28 x1", "open 2027-02-28 to 2027-03-31", "charge 2027-02-28 to 2027-03-15"];
    assert_eq!(steps, [opened, vec!["close 2027-03-15 x1"]]);
    let during = made.subscription.at(&terms, &payer(), at("2027-02-05T00:00:00Z"));
    assert_eq!(during.access_until, Some(at("2027-03-15T00:00:00Z")));
}

#[test]
fn a_cancellation_that_is_undone_charges_what_was_left_out_for_it() {
    let mut story = Story::active();
    story.sub.cancel_at = Some(at("2027-03-10T00:00:00Z"));
    story.tell("2027-03-01T00:00:00Z", Event::UndoCancel);
    assert!(writes(&story.steps[0]).contains(&"charge 2027-02-28 to 2027-03-10".to_owned()));
    assert_eq!(writes(story.last()), ["charge 2027-03-10 to 2027-03-31"]);
}

#[test]
fn a_scheduled_change_comes_with_the_next_period_and_brings_its_terms() {
    let mut story = Story::active();
    let quarterly = Terms { cadence: Cadence::every(Unit::Quarter), grace_days: 3, ..monthly() };
    let change = Change { item: item(2, 4), terms: quarterly };
    story.tell("2027-02-10T00:00:00Z", Event::ChangeAtPeriodEnd(change));
    let after = story.on("2027-06-01T00:00:00Z");
    let steps: Vec<Vec<String>> = after.due.iter().map(writes).collect();
    let expected = [
        vec![
            "close 2027-02-28 x1",
            "item x1 to x4",
            "open 2027-02-28 to 2027-05-28",
            "charge 2027-02-28 to 2027-05-28",
        ],
        vec!["close 2027-05-28 x4", "open 2027-05-28 to 2027-08-28", "charge 2027-05-28 to 2027-08-28"],
    ];
    assert_eq!(steps, expected);
    assert_eq!((after.terms, after.current.item, after.current.scheduled), (quarterly, item(2, 4), None));
    // a shorter grace that comes with it ends access earlier than the present terms would
    story.tell("2027-02-20T00:00:00Z", Event::Overdue { since: at("2027-02-20T00:00:00Z") });
    assert_eq!(story.on("2027-02-20T00:00:00Z").access_until, Some(at("2027-02-28T10:00:00Z")));
}

#[test]
fn an_open_period_keeps_its_end_when_the_zone_changes() {
    let mut story = Story::new(Terms { billing: Billing::Calendar, ..monthly() }, Activation::Immediate);
    assert_eq!(story.sub.period.unwrap().end, at("2027-02-01T00:00:00Z"));
    story.payer.zone = Zone::parse("America/New_York").unwrap();
    let after = story.on("2027-02-15T00:00:00Z");
    let expected = Period::whole(at("2027-02-01T00:00:00Z"), at("2027-03-01T05:00:00Z"));
    assert_eq!((after.due.len(), after.current.period), (1, Some(expected)));
}

#[test]
fn a_jump_over_many_periods_takes_each_in_order_once() {
    let story = Story::active();
    let year = story.on("2028-01-31T10:00:00Z");
    assert_eq!(year.due.len(), 12);
    assert!(year.due.is_sorted_by_key(|step| step.at) && year.is_complete());
    let ends: Vec<String> = year.due.iter().map(|step| step.at.to_string()[5..10].to_owned()).collect();
    let expected =
        ["02-28", "03-31", "04-30", "05-31", "06-30", "07-31", "08-31", "09-30", "10-31", "11-30", "12-31", "01-31"];
    assert_eq!(ends, expected);
}

#[test]
fn a_jump_over_thousands_of_periods_lists_the_first_and_answers_with_the_last() {
    let daily = Terms { cadence: Cadence::every(Unit::Day), ..monthly() };
    let mut story = Story::new(daily, Activation::Immediate);
    story.tell("2027-02-01T00:00:00Z", Event::Overdue { since: at("2027-02-01T00:00:00Z") });
    let far = "2047-02-01T00:00:00Z";
    let jump = story.on(far);
    assert_eq!((jump.due.len(), jump.is_complete(), jump.current.status), (MAX_DUE, false, Status::Unpaid));
    assert_eq!(jump.current.period, Some(Period::whole(at("2047-01-31T10:00:00Z"), at("2047-02-01T10:00:00Z"))));
    assert_eq!(jump.recorded.recorded_at, jump.due.last().unwrap().at);
    let refused = story.sub.apply(Event::Settled, &story.terms, &story.payer, at(far));
    assert_eq!(refused, Err(Refused::Behind));
    // recorded part by part, the same comes out
    let (mut record, mut steps) = (jump.recorded.clone(), jump.due.len());
    loop {
        let next = record.at(&jump.terms, &story.payer, at(far));
        assert_eq!(next.current, jump.current);
        steps += next.due.len();
        record = next.recorded.clone();
        if next.is_complete() {
            break;
        }
    }
    // one more than days, for the end of the grace
    assert_eq!(
        i64::try_from(steps).unwrap(),
        at("2047-01-31T10:00:00Z").micros_since(at(START)) / days(1) / 1_000_000 + 1
    );
}

#[test]
fn a_jump_past_the_end_of_the_calendar_comes_to_an_end() {
    for (unit, count) in [(Unit::Day, 1), (Unit::Year, 5)] {
        let terms = Terms { cadence: Cadence::new(unit, count).unwrap(), ..monthly() };
        let story = Story::new(terms, Activation::Immediate);
        let end = story.sub.at(&story.terms, &story.payer, BusinessTime::from_micros(i64::MAX));
        assert_eq!((end.current.status, end.is_complete(), end.next_boundary), (Status::Active, false, None));
        assert_eq!(end.current.period.unwrap().end, BusinessTime::from_micros(i64::MAX));
    }
}

#[test]
fn a_far_jump_to_an_end_on_a_boundary_opens_no_period_there() {
    let terms = Terms { cadence: Cadence::every(Unit::Day), ..monthly() };
    let end = at("2031-01-31T10:00:00Z");
    let made =
        Subscription::create(New { term_end: Some(end), ..new(Activation::Immediate) }, &terms, &payer(), at(START));
    let far = made.subscription.at(&terms, &payer(), at("2032-01-01T00:00:00Z"));
    assert_eq!((far.current.status, far.current.status_since, far.is_complete()), (Status::Ended, end, false));
    let (mut record, mut last) = (made.subscription, Vec::new());
    while record != far.current {
        let part = record.at(&terms, &payer(), at("2032-01-01T00:00:00Z"));
        (record, last) = (part.recorded, part.due);
    }
    let taken: Vec<Vec<String>> = last.iter().rev().take(2).map(writes).collect();
    let opened = vec!["close 2031-01-30 x1", "open 2031-01-30 to 2031-01-31", "charge 2031-01-30 to 2031-01-31"];
    assert_eq!(taken, [vec!["close 2031-01-31 x1"], opened]);
}

#[test]
fn a_far_jump_to_the_end_of_a_grace_on_a_boundary_charges_no_period_there() {
    let terms = Terms { cadence: Cadence::every(Unit::Day), grace_days: 400, ..monthly() };
    let mut story = Story::new(terms, Activation::Immediate);
    story.tell(START, Event::Overdue { since: at(START) });
    let end = at(START).plus_seconds(days(400));
    let jump = story.sub.at(&story.terms, &story.payer, end);
    assert_eq!((jump.is_complete(), jump.current.status, jump.current.advance_to), (false, Status::Unpaid, None));
    assert_eq!(jump.recorded.at(&story.terms, &story.payer, end).current, jump.current);
}
