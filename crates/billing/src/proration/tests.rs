#![expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]

use kernel::clock::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::period::{Billing, Cadence, Schedule, Unit};

fn at(text: &str) -> BusinessTime {
    BusinessTime::of(Timestamp::parse(text).unwrap(), 0)
}

fn whole(start: &str, end: &str) -> Period {
    Period::whole(at(start), at(end))
}

fn found(basis: Basis, period: &Period, from: Edge, to: Edge) -> (u64, u64) {
    portion(basis, period, from, to, &Zone::UTC).unwrap().parts()
}

/// An amount in minor units times a ratio that divides it.
fn times(minor: u64, (numerator, denominator): (u64, u64)) -> u64 {
    assert_eq!(minor * numerator % denominator, 0);
    minor * numerator / denominator
}

#[test]
fn a_week_that_is_canceled_on_its_first_day_gives_six_of_seven_days_back() {
    let week = whole("2027-01-04T00:00:00Z", "2027-01-11T00:00:00Z");
    let rest = found(Basis::Day, &week, Edge::left(at("2027-01-04T15:00:00Z")), Edge::left(week.end));
    assert_eq!(rest, (6, 7));
    let used = found(Basis::Day, &week, Edge::joined(week.start), Edge::left(at("2027-01-04T15:00:00Z")));
    assert_eq!(used, (1, 7));
}

#[test]
fn a_february_joined_on_the_4th_has_25_of_28_days() {
    let february = whole("2027-02-01T00:00:00Z", "2027-03-01T00:00:00Z");
    assert_eq!(
        found(Basis::Day, &february, Edge::joined(at("2027-02-04T18:30:00Z")), Edge::left(february.end)),
        (25, 28)
    );
    assert_eq!(
        found(Basis::Day, &february, Edge::joined(february.start), Edge::left(at("2027-02-25T00:00:00Z"))),
        (25, 28)
    );
}

#[test]
fn a_january_joined_on_the_8th_has_24_of_31_days_however_the_period_was_shortened() {
    let schedule = Schedule {
        anchor: at("2027-01-08T10:00:00Z"),
        billing: Billing::Calendar,
        cadence: Cadence::every(Unit::Month),
        zone: &Zone::UTC,
    };
    let period = schedule.open(schedule.anchor).unwrap();
    let rest = found(Basis::Day, &period, Edge::joined(period.start), Edge::left(period.end));
    assert_eq!(rest, (24, 31));
    // 50.00 and its share, rounded to the nearest minor unit
    assert_eq!((2 * 5_000 * rest.0 / rest.1).div_ceil(2), 3_871);
}

#[test]
fn a_change_at_half_of_the_period_splits_it_in_equal_parts() {
    let month = whole("2027-04-01T00:00:00Z", "2027-05-01T00:00:00Z");
    let change = Edge::changed(at("2027-04-16T00:00:00Z"));
    let by_second = found(Basis::Second, &month, change, Edge::left(month.end));
    assert_eq!(by_second, (1_296_000, 2_592_000));
    assert_eq!((times(1_000, by_second), times(2_000, by_second)), (500, 1_000));
    let by_day = found(Basis::Day, &month, change, Edge::left(month.end));
    assert_eq!(by_day, (15, 30));
    assert_eq!((times(10_000, by_day), times(20_000, by_day)), (5_000, 10_000));
    assert_eq!(times(20_000, by_day) + times(5_000, by_day) - times(10_000, by_day) - times(3_000, by_day), 6_000);
    assert_eq!(times(5 * 1_000, by_second), 2_500);
}

#[test]
fn thirty_days_of_a_year_are_30_of_365() {
    let year = whole("2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z");
    let rest = found(Basis::Day, &year, Edge::joined(at("2027-12-02T09:00:00Z")), Edge::left(year.end));
    assert_eq!((rest, times(365_000, rest)), ((30, 365), 30_000));
    let rest = found(Basis::Second, &year, Edge::changed(at("2027-12-02T00:00:00Z")), Edge::left(year.end));
    assert_eq!((rest, times(365_000, rest)), ((30 * 86_400, 365 * 86_400), 30_000));
}

#[test]
fn the_day_of_a_change_belongs_to_the_new_item_and_the_day_of_leaving_counts_as_used() {
    let month = whole("2027-04-01T00:00:00Z", "2027-05-01T00:00:00Z");
    let noon = at("2027-04-10T12:00:00Z");
    for basis in [Basis::Day, Basis::Day30360] {
        assert_eq!(found(basis, &month, Edge::joined(month.start), Edge::changed(noon)), (9, 30));
        assert_eq!(found(basis, &month, Edge::changed(noon), Edge::left(month.end)), (21, 30));
        assert_eq!(found(basis, &month, Edge::joined(month.start), Edge::left(noon)), (10, 30));
        assert_eq!(found(basis, &month, Edge::left(noon), Edge::left(month.end)), (20, 30));
    }
}

#[test]
fn a_day_is_one_of_the_customers_zone_and_a_second_counts_the_change_of_the_clock() {
    let berlin = Zone::parse("Europe/Berlin").unwrap();
    // March 2027 in Berlin: 31 days, one of them with 23 hours
    let march = whole("2027-02-28T23:00:00Z", "2027-03-31T22:00:00Z");
    let late = at("2027-03-27T23:30:00Z");
    let by_day = portion(Basis::Day, &march, Edge::joined(late), Edge::left(march.end), &berlin).unwrap();
    assert_eq!(by_day, Share::new(4, 31).unwrap());
    let by_second = portion(Basis::Second, &march, Edge::joined(late), Edge::left(march.end), &berlin).unwrap();
    assert_eq!(by_second, Share::new(4 * 86_400 - 3_600 - 1_800, 31 * 86_400 - 3_600).unwrap());
}

#[test]
fn an_edge_within_a_second_is_counted_in_microseconds() {
    let month = whole("2027-04-01T00:00:00Z", "2027-05-01T00:00:00Z");
    let edge = Edge::joined(at("2027-04-30T23:59:59.999999Z"));
    assert_eq!(found(Basis::Second, &month, edge, Edge::left(month.end)), (1, 2_592_000_000_000));
}

#[test]
fn by_30_360_every_month_has_30_days_and_every_year_360() {
    let table = [
        ("2027-01-01T00:00:00Z", "2027-02-01T00:00:00Z", 30),
        ("2027-02-01T00:00:00Z", "2027-03-01T00:00:00Z", 30),
        ("2027-01-15T08:00:00Z", "2027-02-15T08:00:00Z", 30),
        ("2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z", 360),
        ("2027-01-01T00:00:00Z", "2027-04-01T00:00:00Z", 90),
        ("2027-01-31T00:00:00Z", "2027-03-31T00:00:00Z", 60),
    ];
    for (start, end, days) in table {
        let period = whole(start, end);
        let all = found(Basis::Day30360, &period, Edge::joined(period.start), Edge::left(period.end));
        assert_eq!(all, (days, days), "{start}");
    }
    let january = whole("2027-01-01T00:00:00Z", "2027-02-01T00:00:00Z");
    for last in ["2027-01-30T12:00:00Z", "2027-01-31T12:00:00Z"] {
        assert_eq!(found(Basis::Day30360, &january, Edge::left(at(last)), Edge::left(january.end)), (0, 30));
        assert_eq!(found(Basis::Day30360, &january, Edge::joined(at(last)), Edge::left(january.end)), (1, 30));
    }
    // no day of 30/360 lies between them, and it is one period all the same
    let day = whole("2027-01-30T00:00:00Z", "2027-01-31T00:00:00Z");
    assert_eq!(found(Basis::Day30360, &day, Edge::joined(day.start), Edge::left(day.end)), (1, 1));
}

#[test]
fn without_proration_joining_pays_all_leaving_gives_nothing_back_and_a_change_waits() {
    let month = whole("2027-04-01T00:00:00Z", "2027-05-01T00:00:00Z");
    for noon in ["2027-04-01T00:00:00Z", "2027-04-10T12:00:00Z"].map(at) {
        assert_eq!(found(Basis::None, &month, Edge::joined(noon), Edge::left(month.end)), (1, 1));
        assert_eq!(found(Basis::None, &month, Edge::left(noon), Edge::left(month.end)), (0, 1));
        assert_eq!(found(Basis::None, &month, Edge::joined(month.start), Edge::left(noon)), (1, 1));
    }
    let noon = at("2027-04-10T12:00:00Z");
    assert_eq!(found(Basis::None, &month, Edge::changed(noon), Edge::left(month.end)), (0, 1));
    assert_eq!(found(Basis::None, &month, Edge::joined(month.start), Edge::changed(noon)), (1, 1));
    // at its very beginning a change replaces the item for the whole period
    assert_eq!(found(Basis::None, &month, Edge::changed(month.start), Edge::left(month.end)), (1, 1));
}

#[test]
fn a_basis_has_a_stable_name() {
    for basis in Basis::ALL {
        assert_eq!(Basis::parse(basis.name()), Some(basis));
    }
    assert_eq!(Basis::parse("hour"), None);
}

proptest! {
    #[test]
    fn the_parts_of_a_period_add_up_to_one(
        anchor in 1_600_000_000_000_000_i64..2_000_000_000_000_000, a in 0_i64..1_000_000, b in 0_i64..1_000_000,
        basis in proptest::sample::select(Basis::ALL.to_vec()), unit in proptest::sample::select(Unit::ALL.to_vec()),
        is_calendar: bool, is_change: bool, name in proptest::sample::select(Zone::names()),
    ) {
        let zone = Zone::parse(&name).unwrap();
        let billing = if is_calendar { Billing::Calendar } else { Billing::Anniversary };
        let anchor = BusinessTime::from_micros(anchor);
        let period = Schedule { anchor, billing, cadence: Cadence::every(unit), zone: &zone }.period_at(anchor).unwrap();
        let length = i128::from(period.end.micros_since(period.start));
        let inside = |part: i64| {
            let offset = i64::try_from(length * i128::from(part) / 1_000_000).unwrap();
            BusinessTime::from_micros(period.start.as_micros() + offset)
        };
        let (first, second) = (inside(a.min(b)), inside(a.max(b)));
        let cut = if is_change { Cut::Changed } else { Cut::Left };
        let part = |from, to| portion(basis, &period, from, to, &zone).unwrap();
        let (start, end) = (Edge::joined(period.start), Edge::left(period.end));
        let (first, second) = (Edge { at: first, cut }, Edge { at: second, cut });
        let (part_of_all, all) = part(start, end).parts();
        prop_assert_eq!(part_of_all, all);
        // microseconds and seconds may meet
        let all = if basis == Basis::Second { u64::try_from(length).unwrap() } else { all };
        let scaled = |(part, whole): (u64, u64)| part * (all / whole);
        let parts = [part(start, first), part(first, second), part(second, end)];
        prop_assert_eq!(parts.iter().map(|part| scaled(part.parts())).sum::<u64>(), all);
    }
}
