#![expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]

use proptest::prelude::*;

use super::*;

fn decimal(text: &str) -> Decimal {
    Decimal::parse(text).unwrap()
}

fn quota(limit: &str, overage: Overage, used: &str, reserved: &str) -> Quota {
    let resets_at = Some(BusinessTime::from_micros(1_775_001_600_000_000));
    Quota { limit: Some(decimal(limit)), overage, used: decimal(used), reserved: decimal(reserved), resets_at }
}

/// `+` within, `>` beyond, `-` refused.
fn signs(quota: Quota, values: &[&str]) -> (String, String) {
    let decision = quota.decide(values.iter().map(|value| decimal(value)));
    let sign = |verdict: &Verdict| match verdict {
        Verdict::Within => '+',
        Verdict::Beyond => '>',
        Verdict::Refused(_) => '-',
    };
    (decision.verdicts.iter().map(sign).collect(), decision.accepted.to_string())
}

#[test]
fn each_item_is_decided_after_those_before_it() {
    for (overage, expected) in [
        (Overage::Deny, ("++-+-".to_owned(), "4".to_owned())),
        (Overage::Bill, ("++>>>".to_owned(), "9.000000000001".to_owned())),
        (Overage::Allow, ("++>>>".to_owned(), "9.000000000001".to_owned())),
    ] {
        let quota = quota("10", overage, "4", "2");
        assert_eq!(signs(quota, &["1", "2", "5", "1", "0.000000000001"]), expected, "{overage:?}");
    }
    let unlimited = Quota { limit: None, ..quota("0", Overage::Deny, "4", "0") };
    assert_eq!(signs(unlimited, &["999999999999999999", "1"]).0, "++");
    assert_eq!((unlimited.remaining(), unlimited.thresholds(0).count()), (None, 0));
    assert_eq!(signs(quota("10", Overage::Deny, "0", "0"), &[]), (String::new(), "0".to_owned()));
}

#[test]
fn a_refusal_says_what_is_used_and_left_and_when_it_resets() {
    let full = quota("1000", Overage::Deny, "990.5", "4");
    let decision = full.decide(["5", "6"].map(decimal));
    let Verdict::Refused(exceeded) = decision.verdicts[1] else { panic!("{decision:?}") };
    assert_eq!(
        exceeded.rejection().to_string(),
        "quota_exceeded: 995.5 of 1000 used, 0.5 left, resets 2026-04-01T00:00:00Z"
    );
    let never = Exceeded { resets_at: None, ..exceeded };
    assert!(never.rejection().detail.ends_with(", does not reset"));
    // A limit that was lowered below what is used leaves nothing, not less.
    let lowered = quota("10", Overage::Deny, "12", "1");
    assert_eq!(lowered.remaining(), Some(Decimal::ZERO));
    assert_eq!(signs(lowered, &["0", "1"]).0, "--");
}

#[test]
fn an_aggregate_is_compared_as_a_whole() {
    let seats = quota("5", Overage::Deny, "5", "0");
    assert_eq!(seats.decide_aggregate(decimal("5")), Verdict::Within);
    assert!(matches!(seats.decide_aggregate(decimal("6")), Verdict::Refused(_)));
    let billed = Quota { overage: Overage::Bill, ..seats };
    assert_eq!(billed.decide_aggregate(decimal("6")), Verdict::Beyond);
}

#[test]
fn thresholds_are_told_once_and_at_their_exact_place() {
    let told = |limit, used, told| -> Vec<u8> { quota(limit, Overage::Bill, used, "7").thresholds(told).collect() };
    assert!(told("10", "4.999999999999", 0).is_empty());
    assert_eq!(told("10", "5", 0), [50]);
    assert!(told("10", "5", 50).is_empty());
    assert_eq!(told("10", "250", 0), [50, 80, 100]);
    assert_eq!(told("10", "8", 50), [80]);
    assert!(told("10", "9.999999999999", 80).is_empty());
    assert_eq!(told("10", "10", 80), [100]);
    assert!(told("10", "11", 100).is_empty());
    assert!(told("0", "0", 0).is_empty());
    assert_eq!(told("0", "0.1", 0), [50, 80, 100]);
    assert_eq!(told("0.000000000001", "0.000000000001", 0), [50, 80, 100]);
    let most = Quota { used: Decimal::from_units(i128::MAX), ..quota("10", Overage::Bill, "0", "0") };
    assert_eq!(most.thresholds(80).collect::<Vec<_>>(), [100]);
    assert_eq!(signs(most, &["1"]).0, ">");
}

proptest! {
    #[test]
    fn of_n_equal_items_exactly_those_that_remain_are_accepted(
        items in 0..200_usize, left in 0..200_i64, used in 0..1_000_000_i64, reserved in 0..1_000_i64,
    ) {
        let limit = Decimal::from(left + used + reserved);
        let quota = Quota {
            limit: Some(limit),
            overage: Overage::Deny,
            used: Decimal::from(used),
            reserved: Decimal::from(reserved),
            resets_at: None,
        };
        let decision = quota.decide(std::iter::repeat_n(Decimal::ONE, items));
        let accepted = decision.verdicts.iter().take_while(|verdict| **verdict == Verdict::Within).count();
        prop_assert_eq!(accepted, items.min(usize::try_from(left).unwrap()));
        prop_assert_eq!(Some(decision.accepted), i64::try_from(accepted).ok().map(Decimal::from));
        for refused in &decision.verdicts[accepted..] {
            let Verdict::Refused(exceeded) = refused else { panic!("{refused:?} after a refusal") };
            prop_assert_eq!(exceeded.remaining, Decimal::ZERO);
            prop_assert_eq!(exceeded.used, Decimal::from(used + left));
        }
    }

    #[test]
    fn the_limit_is_never_passed_and_nothing_that_fits_is_refused(
        values in prop::collection::vec(0..40_i64, 0..40), limit in 0..300_i64, used in 0..150_i64,
        reserved in 0..50_i64, cut: prop::sample::Index,
    ) {
        let quota = Quota {
            limit: Some(Decimal::from(limit)),
            overage: Overage::Deny,
            used: Decimal::from(used),
            reserved: Decimal::from(reserved),
            resets_at: None,
        };
        let decision = quota.decide(values.iter().copied().map(Decimal::from));
        let mut total = used + reserved;
        for (value, verdict) in values.iter().zip(&decision.verdicts) {
            prop_assert_eq!(*verdict == Verdict::Within, total + value <= limit);
            total += if *verdict == Verdict::Within { *value } else { 0 };
        }
        prop_assert_eq!(decision.accepted, Decimal::from(total - used - reserved));
        // In two requests the same items are accepted as in one.
        let (first, second) = values.split_at(cut.index(values.len() + 1));
        let before = quota.decide(first.iter().copied().map(Decimal::from));
        let after = Quota { used: sum(quota.used, before.accepted), ..quota };
        let rest = after.decide(second.iter().copied().map(Decimal::from));
        prop_assert_eq!([before.verdicts, rest.verdicts].concat(), decision.verdicts);
    }

    #[test]
    fn over_any_course_of_usage_each_threshold_is_told_once(
        steps in prop::collection::vec(-30..60_i64, 1..40), limit in 1..200_i64,
    ) {
        let (mut used, mut told, mut all) = (0_i64, 0, Vec::new());
        let mut most = 0;
        for step in steps {
            used = (used + step).max(0);
            most = most.max(used);
            let quota = Quota { used: Decimal::from(used), ..quota(&limit.to_string(), Overage::Bill, "0", "0") };
            let now: Vec<u8> = quota.thresholds(told).collect();
            told = now.last().copied().unwrap_or(told);
            all.extend(now);
        }
        let reached = THRESHOLDS.into_iter().filter(|percent| most * 100 >= limit * i64::from(*percent));
        prop_assert_eq!(all, reached.collect::<Vec<_>>());
    }
}
