#![expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]

use kernel::clock::Timestamp;
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> BusinessTime {
    BusinessTime::of(Timestamp::parse(text).unwrap(), 0)
}

fn zone(name: &str) -> Zone {
    Zone::parse(name).unwrap()
}

fn schedule<'a>(anchor: &str, billing: Billing, cadence: &str, zone: &'a Zone) -> Schedule<'a> {
    Schedule { anchor: at(anchor), billing, cadence: Cadence::parse(cadence).unwrap(), zone }
}

fn boundaries(schedule: &Schedule<'_>, indexes: std::ops::RangeInclusive<i64>) -> Vec<String> {
    indexes.map(|index| schedule.boundary(index).unwrap().to_string()).collect()
}

#[test]
fn a_cadence_has_one_text_and_bounds() {
    for text in ["day", "week", "month", "quarter", "year", "2 days", "366 days", "260 weeks", "60 months", "5 years"] {
        assert_eq!(Cadence::parse(text).unwrap().to_string(), text);
    }
    let bad = [
        "",
        "Month",
        "months",
        "1 month",
        "1 months",
        "2 month",
        "02 months",
        "+2 months",
        "0 days",
        "-1 days",
        "2  days",
        " month",
        "367 days",
        "261 weeks",
        "61 months",
        "21 quarters",
        "6 years",
        "99999 days",
        "2 fortnights",
        "2 ",
    ];
    for text in bad {
        assert_eq!(Cadence::parse(text), Err(NotACadence), "{text:?}");
    }
    assert_eq!(Cadence::new(Unit::Month, 0), None);
    assert_eq!(Cadence::new(Unit::Month, 1), Some(Cadence::every(Unit::Month)));
}

#[test]
fn the_31st_becomes_the_last_day_of_a_shorter_month_and_returns() {
    let found = boundaries(&schedule("2027-01-31T10:00:00Z", Billing::Anniversary, "month", &Zone::UTC), -2..=4);
    let expected = [
        "2026-11-30T10:00:00Z",
        "2026-12-31T10:00:00Z",
        "2027-01-31T10:00:00Z",
        "2027-02-28T10:00:00Z",
        "2027-03-31T10:00:00Z",
        "2027-04-30T10:00:00Z",
        "2027-05-31T10:00:00Z",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_year_from_29_february_ends_on_the_28th_except_in_leap_years() {
    let found = boundaries(&schedule("2024-02-29T00:00:00Z", Billing::Anniversary, "year", &Zone::UTC), -1..=4);
    let expected = [
        "2023-02-28T00:00:00Z",
        "2024-02-29T00:00:00Z",
        "2025-02-28T00:00:00Z",
        "2026-02-28T00:00:00Z",
        "2027-02-28T00:00:00Z",
        "2028-02-29T00:00:00Z",
    ];
    assert_eq!(found, expected);
}

#[test]
fn calendar_periods_begin_on_the_first_day_of_their_unit_in_the_zone_of_the_customer() {
    let zone = zone("America/New_York");
    // 20:00 on Wednesday, 30 June 2027 in New York
    let first = |cadence| {
        schedule("2027-07-01T00:00:00Z", Billing::Calendar, cadence, &zone).period_at(at("2027-07-01T00:00:00Z"))
    };
    let table = [
        ("day", "2027-06-30T04:00:00Z", "2027-07-01T04:00:00Z"),
        ("week", "2027-06-28T04:00:00Z", "2027-07-05T04:00:00Z"),
        ("2 weeks", "2027-06-28T04:00:00Z", "2027-07-12T04:00:00Z"),
        ("month", "2027-06-01T04:00:00Z", "2027-07-01T04:00:00Z"),
        ("3 months", "2027-06-01T04:00:00Z", "2027-09-01T04:00:00Z"),
        ("quarter", "2027-04-01T04:00:00Z", "2027-07-01T04:00:00Z"),
        ("year", "2027-01-01T05:00:00Z", "2028-01-01T05:00:00Z"),
    ];
    for (cadence, start, end) in table {
        assert_eq!(first(cadence), Some(Period::whole(at(start), at(end))), "{cadence}");
    }
}

#[test]
fn who_joins_in_the_middle_gets_the_rest_of_the_whole_period() {
    let utc = Zone::UTC;
    let schedule = schedule("2027-01-08T09:00:00Z", Billing::Calendar, "month", &utc);
    let opened = schedule.open(at("2027-01-08T09:00:00Z")).unwrap();
    let (nominal_start, start, end) =
        (at("2027-01-01T00:00:00Z"), at("2027-01-08T09:00:00Z"), at("2027-02-01T00:00:00Z"));
    assert_eq!(opened, Period { nominal_start, start, end });
    assert!(opened.contains(start) && !opened.contains(nominal_start) && !opened.contains(end));
    assert_eq!(schedule.following(end), Some(Period::whole(end, at("2027-03-01T00:00:00Z"))));
    assert_eq!(schedule.boundary_after(start), Some(end));
}

#[test]
fn a_boundary_in_a_gap_moves_forward_by_the_gap_and_the_wall_time_returns() {
    let berlin = zone("Europe/Berlin");
    let daily = schedule("2027-03-27T01:30:00Z", Billing::Anniversary, "day", &berlin);
    // 02:30 on the 27th; on the 28th it would be 02:30, which is 03:30; then 02:30 in summer
    assert_eq!(boundaries(&daily, 0..=2), ["2027-03-27T01:30:00Z", "2027-03-28T01:30:00Z", "2027-03-29T00:30:00Z"]);
    let cairo = zone("Africa/Cairo");
    let calendar = schedule("2027-04-29T12:00:00Z", Billing::Calendar, "day", &cairo);
    // midnight of 30 April is left out there: the day begins at 01:00
    assert_eq!(boundaries(&calendar, 0..=2), ["2027-04-28T22:00:00Z", "2027-04-29T22:00:00Z", "2027-04-30T21:00:00Z"]);
}

#[test]
fn of_two_equal_wall_times_the_first_is_the_boundary_but_an_anchor_stays_what_it_is() {
    let berlin = zone("Europe/Berlin");
    let monthly = schedule("2027-09-30T00:30:00Z", Billing::Anniversary, "month", &berlin);
    assert_eq!(monthly.boundary(1).unwrap(), at("2027-10-30T00:30:00Z"));
    let before = schedule("2027-10-30T00:30:00Z", Billing::Anniversary, "day", &berlin);
    assert_eq!(boundaries(&before, 0..=2), ["2027-10-30T00:30:00Z", "2027-10-31T00:30:00Z", "2027-11-01T01:30:00Z"]);
    let second = schedule("2027-10-31T01:30:00Z", Billing::Anniversary, "day", &berlin);
    assert_eq!(boundaries(&second, -1..=1), ["2027-10-30T00:30:00Z", "2027-10-31T01:30:00Z", "2027-11-01T01:30:00Z"]);
    let hour_before = at("2027-10-31T00:45:00Z");
    assert_eq!(second.period_at(hour_before).unwrap().end, second.anchor);
}

#[test]
fn a_day_that_a_zone_left_out_is_no_period_of_its_own() {
    let apia = zone("Pacific/Apia");
    // 30 December 2011 did not happen there
    let daily = schedule("2011-12-28T20:00:00Z", Billing::Anniversary, "day", &apia);
    assert_eq!(boundaries(&daily, 1..=3), ["2011-12-29T20:00:00Z", "2011-12-30T20:00:00Z", "2011-12-30T20:00:00Z"]);
    let mut period = daily.open(daily.anchor).unwrap();
    for _ in 0..6 {
        let next = daily.following(period.end).unwrap();
        assert!(next.start < next.end && next.start == period.end, "{next:?}");
        assert_eq!(daily.period_at(next.start), Some(next));
        period = next;
    }
}

#[test]
fn a_changed_zone_applies_from_the_stored_end_without_a_stub() {
    let (auckland, los_angeles) = (zone("Pacific/Auckland"), zone("America/Los_Angeles"));
    let stored =
        schedule("2027-01-15T00:00:00Z", Billing::Calendar, "month", &auckland).open(at("2027-01-15T00:00:00Z"));
    let end = stored.unwrap().end;
    assert_eq!(end, at("2027-01-31T11:00:00Z"));
    let moved = schedule("2027-01-15T00:00:00Z", Billing::Calendar, "month", &los_angeles);
    let next = moved.following(end).unwrap();
    assert_eq!(next, Period::whole(end, at("2027-03-01T08:00:00Z")));
    assert_eq!(moved.following(next.end), moved.period_at(next.end));
    let back = schedule("2027-01-15T00:00:00Z", Billing::Calendar, "month", &auckland).following(next.end).unwrap();
    assert_eq!(back, Period::whole(next.end, at("2027-03-31T11:00:00Z")));
}

#[test]
fn what_lies_beyond_the_calendar_has_no_boundary() {
    let utc = Zone::UTC;
    let schedule = schedule("2027-01-31T00:00:00Z", Billing::Anniversary, "5 years", &utc);
    assert_eq!(schedule.boundary(i64::MAX), None);
    assert_eq!(schedule.boundary(i64::MIN), None);
    for far in [i64::MAX, i64::MIN] {
        assert_eq!(schedule.period_at(BusinessTime::from_micros(far)), None);
        assert_eq!(schedule.following(BusinessTime::from_micros(far)), None);
        let lost = Schedule { anchor: BusinessTime::from_micros(far), ..schedule };
        assert_eq!(lost.period_at(at("2027-01-31T00:00:00Z")), None);
    }
}

/// Walks all boundaries of a schedule and checks that they rise, that periods touch, and that wall times are right.
fn walk(schedule: &Schedule<'_>, indexes: std::ops::RangeInclusive<i64>) -> u64 {
    let mut before: Option<Period> = None;
    let mut count = 0;
    let clock = match schedule.billing {
        Billing::Anniversary => schedule.zone.local(schedule.anchor).unwrap().time(),
        Billing::Calendar => Time::midnight(),
    };
    for index in indexes {
        let start = schedule.boundary(index).unwrap();
        let period = schedule.period_at(start).unwrap();
        let what = || format!("{schedule:?} {index} {period:?}");
        assert!(period.start == start && start < period.end, "{}", what());
        if let Some(before) = before {
            assert_eq!(before.end, period.start, "{}", what());
            assert_eq!(schedule.following(before.end), Some(period), "{}", what());
            assert_eq!(
                schedule.period_at(BusinessTime::from_micros(start.as_micros() - 1)),
                Some(before),
                "{}",
                what()
            );
        }
        let local = schedule.zone.local(start).unwrap();
        // another time of day only where the clock never showed this one, which may have been the day before
        let is_moved = |date: Date| schedule.zone.instant(date.to_datetime(clock)) == Some(start);
        let date = local.date();
        assert!(local.time() == clock || is_moved(date) || is_moved(date.yesterday().unwrap()), "{}", what());
        before = Some(period);
        count += 1;
    }
    count
}

/// Every zone, one year back and forth from each anchor.
fn walk_all_zones(anchors: &[(&str, Billing)], every_day: bool) -> (usize, u64) {
    let names = Zone::names();
    let mut count = 0;
    for name in &names {
        let zone = zone(name);
        for (anchor, billing) in anchors {
            let of = |cadence| schedule(anchor, *billing, cadence, &zone);
            if every_day {
                count += walk(&of("day"), -366..=366) + walk(&of("week"), -53..=53);
                count += walk(&of("2 months"), -6..=6) + walk(&of("quarter"), -4..=4);
            }
            count += walk(&of("month"), -12..=13) + walk(&of("year"), -1..=2);
        }
    }
    (names.len(), count)
}

#[test]
fn periods_touch_in_every_zone_a_year_back_and_forth_and_across_29_february() {
    let anchors = [("2028-01-31T01:30:00.000001Z", Billing::Anniversary), ("2028-02-29T12:00:00Z", Billing::Calendar)];
    walk_all_zones(&anchors, false);
}

#[test]
fn days_touch_across_every_change_of_the_clock() {
    for name in [
        "Europe/Berlin",
        "America/Sao_Paulo",
        "Australia/Lord_Howe",
        "Africa/Casablanca",
        "Asia/Gaza",
        "Antarctica/Troll",
        "America/Nuuk",
    ] {
        let zone = zone(name);
        for billing in [Billing::Anniversary, Billing::Calendar] {
            walk(&schedule("2028-02-29T01:30:00Z", billing, "day", &zone), -366..=366);
        }
    }
}

#[test]
#[ignore = "every day of every zone"]
fn proof_periods() {
    let anchors = [
        "2028-01-31T01:30:00.000001Z",
        "2028-02-29T12:00:00Z",
        "2027-03-28T01:30:00Z",
        "2027-10-31T00:30:00Z",
        "2026-12-31T22:59:59Z",
    ];
    let anchors = anchors.map(|anchor| [(anchor, Billing::Anniversary), (anchor, Billing::Calendar)]).concat();
    #[expect(clippy::disallowed_methods, reason = "the proof runner says how many")]
    let is_full = std::env::var("BASTIONARY_PROOF").is_ok_and(|wanted| wanted == "full");
    let (zones, count) = walk_all_zones(if is_full { &anchors } else { &anchors[..1] }, is_full);
    let line = format!(
        "PROOF periods: {count} periods of {zones} zones, each touches the one before it: 0 gaps, 0 overlaps\n"
    );
    std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes()).unwrap();
}

fn cadences() -> impl Strategy<Value = Cadence> {
    (proptest::sample::select(Unit::ALL.to_vec()), 1_u16..=366)
        .prop_map(|(unit, count)| Cadence::new(unit, count.min(unit.max())).unwrap())
}

proptest! {
    #[test]
    fn the_period_of_an_instant_holds_it_and_is_found_from_any_distance(
        anchor in 0_i64..4_000_000_000_000_000, now in -1_000_000_000_000_000_i64..9_000_000_000_000_000,
        cadence in cadences(), is_calendar: bool, name in proptest::sample::select(Zone::names()),
    ) {
        let zone = zone(&name);
        let billing = if is_calendar { Billing::Calendar } else { Billing::Anniversary };
        let schedule = Schedule { anchor: BusinessTime::from_micros(anchor), billing, cadence, zone: &zone };
        let now = BusinessTime::from_micros(now);
        let period = schedule.period_at(now).unwrap();
        prop_assert!(period.contains(now));
        prop_assert_eq!(schedule.following(period.end), schedule.period_at(period.end));
        prop_assert_eq!(schedule.open(now), Some(Period { start: now, ..period }));
    }

    #[test]
    fn after_a_change_of_zone_the_next_period_begins_at_the_stored_end_and_is_whole(
        anchor in 0_i64..4_000_000_000_000_000, cadence in cadences(), is_calendar: bool,
        from in proptest::sample::select(Zone::names()), to in proptest::sample::select(Zone::names()),
    ) {
        let (from, to) = (zone(&from), zone(&to));
        let billing = if is_calendar { Billing::Calendar } else { Billing::Anniversary };
        let old = Schedule { anchor: BusinessTime::from_micros(anchor), billing, cadence, zone: &from };
        let end = old.open(old.anchor).unwrap().end;
        let new = Schedule { zone: &to, ..old };
        let next = new.following(end).unwrap();
        prop_assert_eq!(next.start, end);
        let length = next.end.micros_since(end);
        let usual = new.period_at(next.end).unwrap();
        let usual = usual.end.micros_since(usual.start);
        // at most half a period away, and never more than zones and month lengths are apart
        prop_assert!(length > 0 && length * 2 >= usual * 3 / 4, "{} of {}", length, usual);
        prop_assert_eq!(new.following(next.end), new.period_at(next.end));
    }

    #[test]
    fn any_text_is_read_as_a_cadence_without_a_panic(text: String) {
        if let Ok(cadence) = Cadence::parse(&text) {
            prop_assert_eq!(cadence.to_string(), text);
        }
    }
}
