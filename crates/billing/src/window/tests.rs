use kernel::clock::Timestamp;

use super::*;

fn at(text: &str) -> BusinessTime {
    BusinessTime::from_micros(Timestamp::parse(text).unwrap().as_micros())
}

fn zone(name: &str) -> Zone {
    Zone::parse(name).unwrap()
}

fn around(text: &str, size: Size, name: &str) -> String {
    let window = Window::containing(at(text), size, &zone(name)).unwrap();
    format!("{} {}", window.start, window.end)
}

#[test]
fn windows_are_those_of_the_wall_clock() {
    for (instant, size, name, expected) in [
        ("2026-03-15T12:34:56.789Z", Size::Minute, "UTC", "2026-03-15T12:34:00Z 2026-03-15T12:35:00Z"),
        ("2026-03-15T12:00:00Z", Size::Hour, "UTC", "2026-03-15T12:00:00Z 2026-03-15T13:00:00Z"),
        ("2026-03-15T12:34:56Z", Size::Hour, "Asia/Kathmandu", "2026-03-15T12:15:00Z 2026-03-15T13:15:00Z"),
        ("2026-03-15T22:59:59Z", Size::Day, "Europe/Berlin", "2026-03-14T23:00:00Z 2026-03-15T23:00:00Z"),
        ("2026-03-15T23:00:00Z", Size::Day, "Europe/Berlin", "2026-03-15T23:00:00Z 2026-03-16T23:00:00Z"),
        ("2026-02-28T23:30:00Z", Size::Month, "Europe/Berlin", "2026-02-28T23:00:00Z 2026-03-31T22:00:00Z"),
        ("2028-02-29T23:59:59Z", Size::Month, "UTC", "2028-02-01T00:00:00Z 2028-03-01T00:00:00Z"),
    ] {
        assert_eq!(around(instant, size, name), expected, "{instant} {} {name}", size.name());
    }
}

#[test]
fn days_on_which_the_clock_is_changed_are_shorter_or_longer() {
    for (instant, name, expected) in [
        ("2027-03-28T12:00:00Z", "Europe/Berlin", "2027-03-27T23:00:00Z 2027-03-28T22:00:00Z"),
        ("2027-10-31T12:00:00Z", "Europe/Berlin", "2027-10-30T22:00:00Z 2027-10-31T23:00:00Z"),
        // midnight is skipped: the day begins at one
        ("2018-11-04T12:00:00Z", "America/Sao_Paulo", "2018-11-04T03:00:00Z 2018-11-05T02:00:00Z"),
        // the clock goes back from midnight to 23:00: the day has 25 hours
        ("2018-02-18T02:30:00Z", "America/Sao_Paulo", "2018-02-17T02:00:00Z 2018-02-18T03:00:00Z"),
        // the clock goes back from 00:01 to 23:01 of the day before: the day has begun by then
        ("2010-11-07T02:45:00Z", "America/St_Johns", "2010-11-07T02:30:00Z 2010-11-08T03:30:00Z"),
        // the 30th is skipped as a whole
        ("2011-12-30T09:59:59Z", "Pacific/Apia", "2011-12-29T10:00:00Z 2011-12-30T10:00:00Z"),
        ("2011-12-30T10:00:00Z", "Pacific/Apia", "2011-12-30T10:00:00Z 2011-12-31T10:00:00Z"),
    ] {
        assert_eq!(around(instant, Size::Day, name), expected, "{instant} {name}");
    }
}

#[test]
fn an_hour_that_comes_twice_is_two_and_one_with_a_jump_inside_ends_there() {
    let berlin = |instant| around(instant, Size::Hour, "Europe/Berlin");
    assert_eq!(berlin("2027-10-31T00:30:00Z"), "2027-10-31T00:00:00Z 2027-10-31T01:00:00Z");
    assert_eq!(berlin("2027-10-31T01:30:00Z"), "2027-10-31T01:00:00Z 2027-10-31T02:00:00Z");
    // the clock goes forward from 02:00 to 02:30
    let lord_howe = |instant| around(instant, Size::Hour, "Australia/Lord_Howe");
    assert_eq!(lord_howe("2027-10-02T15:20:00Z"), "2027-10-02T14:30:00Z 2027-10-02T15:30:00Z");
    assert_eq!(lord_howe("2027-10-02T15:30:00Z"), "2027-10-02T15:30:00Z 2027-10-02T16:00:00Z");
    // and back from 02:00 to 01:30
    assert_eq!(lord_howe("2027-04-03T14:59:59Z"), "2027-04-03T14:00:00Z 2027-04-03T15:00:00Z");
    assert_eq!(lord_howe("2027-04-03T15:00:00Z"), "2027-04-03T15:00:00Z 2027-04-03T15:30:00Z");
}

#[test]
fn a_quota_counts_in_the_window_of_its_reset() {
    let (berlin, now) = (zone("Europe/Berlin"), at("2026-03-15T12:34:56Z"));
    let (start, end) = (at("2026-03-10T08:00:00Z"), at("2026-04-10T07:00:00Z"));
    let period = Some((start, end));
    let window = |reset, period| Window::of_reset(reset, now, &berlin, period);
    let whole = window(Reset::Period, period).unwrap();
    assert_eq!(whole, Window { start, end });
    assert_eq!(whole.resets_at(), Some(whole.end));
    assert_eq!(window(Reset::Period, None), None);
    assert_eq!(window(Reset::Period, Some((at("2026-04-10T07:00:00Z"), at("2026-05-10T07:00:00Z")))), None);
    for (reset, size) in [(Reset::Hour, Size::Hour), (Reset::Day, Size::Day), (Reset::Month, Size::Month)] {
        assert_eq!(window(reset, None), Window::containing(now, size, &berlin));
    }
    assert_eq!(window(Reset::Never, period), Some(Window::ALWAYS));
    assert!(Window::ALWAYS.contains(now) && Window::ALWAYS.resets_at().is_none());
}

#[test]
fn a_time_is_split_into_all_windows_that_it_touches() {
    let time = Window { start: at("2027-10-30T23:30:00Z"), end: at("2027-11-02T00:00:00Z") };
    let berlin = zone("Europe/Berlin");
    let lengths = |size| -> Vec<i64> {
        time.split(size, &berlin).map(|w| (w.end.as_micros() - w.start.as_micros()) / HOUR_MICROS).collect()
    };
    assert_eq!(lengths(Size::Day), [25, 24, 24]);
    assert_eq!(lengths(Size::Month), [31 * 24 + 1, 30 * 24]);
    assert_eq!(lengths(Size::Hour).len(), 49);
    assert_eq!(Window { start: time.end, end: time.end }.split(Size::Day, &berlin).count(), 0);
    for size in Size::ALL {
        assert_eq!(Size::parse(size.name()), Some(size));
    }
    assert_eq!(Window::containing(BusinessTime::from_micros(i64::MAX), Size::Day, &Zone::UTC), None);
    assert_eq!(Window::containing(BusinessTime::from_micros(i64::MIN), Size::Hour, &Zone::UTC), None);
}

#[test]
fn windows_of_every_zone_touch_and_lie_in_one_another_over_each_change_of_the_clock() {
    let mut changes = 0;
    for name in Zone::names() {
        let zone = zone(&name);
        let mut from = at("2005-01-01T00:00:00Z");
        while let Some(change) = zone.transition_after(from).filter(|change| *change < at("2030-01-01T00:00:00Z")) {
            let nearby = |micros: i64| BusinessTime::from_micros(change.as_micros() + micros);
            let mut instant = nearby(-3 * HOUR_MICROS);
            while instant < nearby(3 * HOUR_MICROS) {
                let hour = Window::containing(instant, Size::Hour, &zone).unwrap();
                assert!(hour.contains(instant), "{name} {instant} {hour:?}");
                let last = BusinessTime::from_micros(hour.end.as_micros() - 1);
                for size in Size::ALL {
                    let window = Window::containing(instant, size, &zone).unwrap();
                    assert!(window.contains(instant), "{name} {instant} {window:?}");
                    let next = Window::containing(window.end, size, &zone).unwrap();
                    assert_eq!(next.start, window.end, "{name} {instant} {}", size.name());
                    if matches!(size, Size::Day | Size::Month) {
                        assert!(window.contains(hour.start) && window.contains(last), "{name} {instant}");
                    }
                }
                instant = hour.end;
            }
            changes += 1;
            from = change;
        }
    }
    assert!(changes > 5_000, "{changes}");
}
