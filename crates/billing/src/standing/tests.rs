use kernel::clock::Timestamp;
use kernel::id::Id;
use kernel::standing::{Refusal, Status};
use proptest::prelude::*;

use super::*;
use crate::period::{Billing, Cadence, Unit};
use crate::proration::Basis;
use crate::subscription::{Activation, AfterTrial, Anchor, Event, Item, New, OnUnpaid, Payer, Subscription, Terms};
use crate::zone::Zone;

fn at(text: &str) -> BusinessTime {
    BusinessTime::of(Timestamp::parse(text).unwrap(), 0)
}

const START: &str = "2026-02-18T00:00:00Z";
const NOW: &str = "2026-03-10T00:00:00Z";

fn terms(on_unpaid: OnUnpaid) -> Terms {
    Terms {
        cadence: Cadence::every(Unit::Month),
        billing: Billing::Anniversary,
        proration: Basis::Second,
        is_free: false,
        trial: None,
        after_trial: AfterTrial::End,
        grace_days: 14,
        on_unpaid,
        credits_pause: false,
        credits_cancel: false,
    }
}

/// What holds on 10 March for a subscription of 18 February to which an event happened a day later.
fn held(number: u8, on_unpaid: OnUnpaid, activation: Activation, event: Option<Event>) -> Computed {
    let (terms, payer) = (terms(on_unpaid), Payer { zone: Zone::UTC, is_collectible: true });
    let item = Item { plan: Id::from_bytes([number; 16]), quantity: 1 };
    let new = New { id: Id::from_bytes([number; 16]), item, activation, term_end: None };
    let mut sub = Subscription::create(new, &terms, &payer, at(START)).subscription;
    if let Some(event) = event {
        sub = sub.apply(event, &terms, &payer, at("2026-02-18T12:00:00Z")).unwrap().subscription;
    }
    sub.at(&terms, &payer, at(NOW))
}

fn active(number: u8) -> Computed {
    held(number, OnUnpaid::Deny, Activation::Immediate, None)
}

fn unpaid(number: u8, on_unpaid: OnUnpaid) -> Computed {
    held(number, on_unpaid, Activation::Immediate, Some(Event::Overdue { since: at(START) }))
}

fn decimal(text: &str) -> Decimal {
    Decimal::parse(text).unwrap()
}

fn metered(limit: Option<&str>, overage: Overage, reset: Reset) -> Right {
    Right::Metered { limit: limit.map(decimal), overage, reset }
}

fn plan(key: &str, grants: &[(&str, Right)]) -> PlanRights {
    let grant = |(feature, right): &(&str, Right)| {
        ((*feature).to_owned(), Grant { right: right.clone(), combine: Combine::Largest })
    };
    PlanRights { key: key.to_owned(), grants: grants.iter().map(grant).collect(), ..PlanRights::default() }
}

fn of<'a>(computed: &'a Computed, plan: &'a PlanRights) -> Held<'a> {
    Held { computed, plan, paid_through: None }
}

fn features(standing: &Standing) -> Vec<&str> {
    standing.entitlements.keys().map(String::as_str).collect()
}

fn free() -> PlanRights {
    plan("free", &[("api", Right::Boolean), ("calls", metered(Some("100"), Overage::Deny, Reset::Month))])
}

fn paid() -> PlanRights {
    let calls = metered(Some("10000"), Overage::Bill, Reset::Month);
    let mut plan = plan("pro", &[("api", Right::Boolean), ("calls", calls), ("export", Right::Boolean)]);
    plan.restricted_features = ["export", "not-granted"].map(str::to_owned).into();
    plan.restricted_scopes = ["exports:read".to_owned()].into();
    plan
}

#[test]
fn a_customer_without_any_subscription_is_refused_as_such() {
    let standing = derive(&Customer { version: 3, ..Customer::default() }, &[]);
    assert_eq!((standing.version, standing.status(), standing.access), (3, None, Access::None));
    assert_eq!(standing.refusal(), Some(Refusal::NoSubscription));
    assert_eq!((standing.plans.len(), standing.entitlements.len(), standing.next_boundary), (0, 0, None));
}

#[test]
fn free_active_and_paid_unpaid_is_free_only() {
    let (free, paid) = (free(), paid());
    let (one, other) = (active(1), unpaid(2, OnUnpaid::Deny));
    let standing = derive(&Customer::default(), &[of(&other, &paid), of(&one, &free)]);
    assert_eq!((standing.status(), standing.access), (Some(Status::Active), Access::Full));
    assert_eq!((standing.plans.as_slice(), features(&standing)), (&["free".to_owned()][..], vec!["api", "calls"]));
    let Some(Entitlement::Metered(calls)) = standing.entitlements.get("calls") else { panic!("{standing:?}") };
    assert_eq!((calls.limit, calls.overage), (Some(decimal("100")), Overage::Deny));
    assert_eq!((standing.refusal(), standing.access_until, standing.narrows_at), (None, None, None));
    // tokens of the time when both were paid are void
    assert_eq!(standing.not_before, Some(at("2026-03-04T00:00:00Z")));
}

#[test]
fn an_unpaid_subscription_under_restrict_adds_what_its_plan_lists_alone() {
    let (free, paid) = (free(), paid());
    let (one, other) = (active(1), unpaid(2, OnUnpaid::Restrict));
    let alone = derive(&Customer::default(), &[of(&other, &paid)]);
    assert_eq!((alone.status(), alone.access), (Some(Status::Unpaid), Access::Restricted));
    assert_eq!(features(&alone), ["export"]);
    assert_eq!(alone.restricted_scopes, ["exports:read".to_owned()].into());
    assert_eq!((alone.refusal(), alone.access_until), (None, None));
    let both = derive(&Customer::default(), &[of(&one, &free), of(&other, &paid)]);
    assert_eq!((both.access, features(&both)), (Access::Full, vec!["api", "calls", "export"]));
    assert!(both.restricted_scopes.is_empty());
    assert_eq!(both.plans, ["free", "pro"]);
}

#[test]
fn the_best_status_counts_and_names_its_subscription() {
    use Status::{Active, Canceled, Ended, Paused, Unpaid};
    let plan = free();
    let event = |number, event| held(number, OnUnpaid::Deny, Activation::Immediate, Some(event));
    let in_order = [
        active(8),
        held(7, OnUnpaid::Deny, Activation::Immediate, Some(Event::Overdue { since: at("2026-02-25T00:00:00Z") })),
        event(5, Event::Pause),
        unpaid(4, OnUnpaid::Deny),
        event(3, Event::Cancel),
        held(2, OnUnpaid::Deny, Activation::OnPayment, None),
    ];
    let mut all: Vec<Held<'_>> = in_order.iter().map(|computed| of(computed, &plan)).collect();
    let expected = [Active, Unpaid, Paused, Unpaid, Canceled, Ended];
    let found: Vec<Status> = all.iter().map(|one| one.computed.current.status).collect();
    assert_eq!(found, expected);
    let mut seen = Vec::new();
    while !all.is_empty() {
        let standing = derive(&Customer::default(), &all);
        let source = standing.source.unwrap();
        let best = all.iter().position(|one| one.computed.current.id == source.subscription).unwrap();
        seen.push(all.remove(best).computed.current.status);
    }
    assert_eq!(seen, [Active, Paused, Unpaid, Unpaid, Canceled, Ended]);
}

#[test]
fn a_refusal_tells_which_subscription_since_when_and_what_to_do() {
    let (computed, plan) = (unpaid(4, OnUnpaid::Deny), paid());
    let standing = derive(&Customer::default(), &[of(&computed, &plan)]);
    let text = standing.refusal().unwrap().to_string();
    let expected = format!(
        "subscription_inactive: subscription {} is unpaid since 2026-03-04; pay or contact the provider",
        computed.current.id
    );
    assert_eq!(text, expected);
    assert_eq!((standing.plans.as_slice(), standing.access_until), (&["pro".to_owned()][..], standing.not_before));
}

#[test]
fn a_suspension_takes_everything_and_what_was_issued_before_it_stays_void() {
    let (computed, plan) = (active(1), paid());
    let suspended_at = Some(at("2026-03-01T00:00:00Z"));
    let suspended = derive(&Customer { version: 7, suspended_at, not_before: None }, &[of(&computed, &plan)]);
    assert_eq!((suspended.access, suspended.entitlements.len()), (Access::None, 0));
    assert_eq!((suspended.status(), suspended.not_before), (Some(Status::Active), suspended_at));
    assert_eq!(suspended.refusal(), Some(Refusal::Suspended { since: at("2026-03-01T00:00:00Z") }));
    let customer = Customer { version: 8, suspended_at: None, not_before: suspended.not_before };
    let reinstated = derive(&customer, &[of(&computed, &plan)]);
    assert_eq!((reinstated.access, reinstated.not_before), (Access::Full, suspended_at));
    let none = derive(&Customer { version: 1, suspended_at, not_before: None }, &[]);
    assert_eq!(none.refusal(), Some(Refusal::Suspended { since: at("2026-03-01T00:00:00Z") }));
}

#[test]
fn access_lasts_as_long_as_the_last_subscription_and_narrows_with_the_first() {
    let plan = free();
    let ends = |number| held(number, OnUnpaid::Deny, Activation::Immediate, Some(Event::CancelAtPeriodEnd));
    let overdue = Event::Overdue { since: at(START) };
    let (forever, grace) = (active(1), held(2, OnUnpaid::Deny, Activation::Immediate, Some(overdue)));
    assert_eq!(grace.current.status, Status::Unpaid);
    let canceled = ends(3);
    // canceled with its period on 18 March
    let end = Some(at("2026-03-18T00:00:00Z"));
    let alone = derive(&Customer::default(), &[of(&canceled, &plan)]);
    assert_eq!((canceled.access_until, alone.access_until, alone.narrows_at), (end, end, end));
    let both = derive(&Customer::default(), &[of(&canceled, &plan), of(&forever, &plan)]);
    assert_eq!((both.access_until, both.narrows_at, both.next_boundary), (None, end, end));
    assert_eq!(both.paid_through, end);
    // what is left to an unpaid one is less than full access, which ends
    let rest = unpaid(4, OnUnpaid::Restrict);
    let narrowed = derive(&Customer::default(), &[of(&canceled, &plan), of(&rest, &plan)]);
    assert_eq!((rest.access_until, narrowed.access, narrowed.access_until), (None, Access::Full, end));
    let told = Held { paid_through: Some(at("2026-06-01T00:00:00Z")), ..of(&forever, &plan) };
    let both = derive(&Customer::default(), &[of(&canceled, &plan), told]);
    assert_eq!(both.paid_through, Some(at("2026-06-01T00:00:00Z")));
}

fn granted(first: &Right, second: &Right, combine: Combine) -> Entitlement {
    let make = |key, right: &Right| {
        let mut plan = plan(key, &[("f", right.clone())]);
        plan.grants.values_mut().for_each(|grant| grant.combine = combine);
        plan
    };
    let (one, other) = (active(1), active(2));
    let (first, second) = (make("a", first), make("b", second));
    let forth = derive(&Customer::default(), &[of(&one, &first), of(&other, &second)]);
    let back = derive(&Customer::default(), &[of(&other, &second), of(&one, &first)]);
    assert_eq!(forth, back);
    forth.entitlements["f"].clone()
}

#[test]
fn the_largest_limit_counts_or_the_sum_as_the_feature_says() {
    let number = |text| Right::Number(decimal(text));
    assert_eq!(granted(&number("5"), &number("7.5"), Combine::Largest), Entitlement::Number(decimal("7.5")));
    assert_eq!(granted(&number("5"), &number("7.5"), Combine::Sum), Entitlement::Number(decimal("12.5")));
    let text = |text: &str| Right::Text(text.to_owned());
    assert_eq!(granted(&text("eu"), &text("us"), Combine::Sum), Entitlement::Text("eu".to_owned()));
    assert_eq!(granted(&Right::Boolean, &Right::Boolean, Combine::Sum), Entitlement::Boolean);

    let limit = |first: (Option<&str>, Reset), second: (Option<&str>, Reset), combine| {
        let first = metered(first.0, Overage::Deny, first.1);
        let second = metered(second.0, Overage::Bill, second.1);
        let Entitlement::Metered(found) = granted(&first, &second, combine) else { panic!("metered") };
        assert_eq!(found.overage, Overage::Bill, "the more favorable");
        (found.limit.map(|limit| limit.to_string()), found.reset)
    };
    let some = |text: &str| Some(text.to_owned());
    let (month, hour) = (Reset::Month, Reset::Hour);
    assert_eq!(limit((Some("10"), month), (Some("30"), month), Combine::Largest), (some("30"), month));
    assert_eq!(limit((Some("10"), month), (Some("30"), month), Combine::Sum), (some("40"), month));
    assert_eq!(limit((None, month), (Some("30"), month), Combine::Sum), (None, month));
    assert_eq!(limit((Some("10"), month), (None, hour), Combine::Largest), (None, hour));
    // limits of unlike windows have no sum
    assert_eq!(limit((Some("10"), month), (Some("30"), hour), Combine::Sum), (some("30"), hour));
}

#[test]
fn a_limit_per_period_tells_the_open_period() {
    let right = metered(Some("10"), Overage::Deny, Reset::Period);
    let Entitlement::Metered(found) = granted(&right, &right, Combine::Largest) else { panic!("metered") };
    assert_eq!(found.period, Some((at(START), at("2026-03-18T00:00:00Z"))));
    let right = metered(Some("10"), Overage::Deny, Reset::Never);
    let Entitlement::Metered(found) = granted(&right, &right, Combine::Largest) else { panic!("metered") };
    assert_eq!(found.period, None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn more_subscriptions_never_take_a_right_away_and_their_order_does_not_matter(
        kinds in proptest::collection::vec(0_u8..6, 1..5), swap: proptest::sample::Index,
    ) {
        let plans = [free(), paid()];
        let computed: Vec<Computed> = (1_u8..).zip(&kinds).map(|(number, kind)| {
            let on_unpaid = if number % 2 == 0 { OnUnpaid::Restrict } else { OnUnpaid::Deny };
            let event = match kind {
                0 => Some(Event::Pause),
                1 => Some(Event::Overdue { since: at(START) }),
                2 => Some(Event::Overdue { since: at("2026-02-18T11:00:00Z") }),
                3 => Some(Event::Cancel),
                4 => Some(Event::CancelAtPeriodEnd),
                _ => None,
            };
            held(number, on_unpaid, Activation::Immediate, event)
        }).collect();
        let all: Vec<Held<'_>> = computed.iter().zip(plans.iter().cycle()).map(|(one, plan)| of(one, plan)).collect();
        let customer = Customer::default();
        let whole = derive(&customer, &all);
        let mut turned = all.clone();
        turned.rotate_left(swap.index(all.len()));
        prop_assert_eq!(&derive(&customer, &turned), &whole);
        for one in &all {
            let alone = derive(&customer, std::slice::from_ref(one));
            prop_assert!(alone.access <= whole.access && alone.status() >= whole.status());
            prop_assert!(alone.entitlements.keys().all(|key| whole.entitlements.contains_key(key)));
            prop_assert!(alone.not_before <= whole.not_before);
            if one.computed.access < Access::Full && all.len() == 1 {
                prop_assert!(!whole.entitlements.contains_key("api"));
            }
        }
        let some = whole.access > Access::None;
        prop_assert_eq!(some, all.iter().any(|one| one.computed.access > Access::None));
        prop_assert_eq!(some, whole.refusal().is_none());
        prop_assert!(whole.narrows_at.is_none_or(|first| whole.access_until.is_none_or(|last| first <= last)));
    }

    #[test]
    fn what_resumes_has_its_access_back_and_its_old_tokens_stay_void(hours in 13_i64..400) {
        let (terms, payer) = (terms(OnUnpaid::Deny), Payer { zone: Zone::UTC, is_collectible: true });
        let paused = held(1, OnUnpaid::Deny, Activation::Immediate, Some(Event::Pause));
        let then = at(NOW).plus_seconds(hours.saturating_mul(3_600));
        let done = paused.current.apply(Event::Resume(Anchor::New), &terms, &payer, then).unwrap();
        let (resumed, plan) = (done.subscription.at(&terms, &payer, then), free());
        let standing = derive(&Customer::default(), &[of(&resumed, &plan)]);
        prop_assert_eq!((standing.access, standing.not_before), (Access::Full, Some(at("2026-02-18T12:00:00Z"))));
    }
}
