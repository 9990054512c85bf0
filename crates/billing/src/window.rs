//! Windows of time that counters and queries are kept by: half-open, touching, in a customer's zone.
//!
//! A window is known by its start. Days and months begin at the first midnight of their date; a day of 23 or 25 hours is
//! one. Hours and minutes are those of the wall clock: one that the clock repeats is two windows, and where the clock
//! jumps inside of one, it ends there. Every hour lies in one day and every day in one month.

use jiff::civil::Date;
use jiff::{Span, ToSpan};
use kernel::clock::BusinessTime;
use kernel::standing::Reset;

use crate::zone::Zone;

const MINUTE_MICROS: i64 = 60_000_000;
const HOUR_MICROS: i64 = 3_600_000_000;

/// The length of the windows of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Size {
    /// A minute of the wall clock.
    Minute,
    /// An hour of the wall clock.
    Hour,
    /// A calendar day.
    Day,
    /// A calendar month.
    Month,
}

impl Size {
    /// Every size.
    pub const ALL: [Self; 4] = [Self::Minute, Self::Hour, Self::Day, Self::Month];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// Reads the stable name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|size| size.name() == text)
    }
}

/// A time from `start` up to, and without, `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// The first instant of it.
    pub start: BusinessTime,
    /// The first instant after it.
    pub end: BusinessTime,
}

impl Window {
    /// All time: the window of what is never reset.
    pub const ALWAYS: Self = Self { start: BusinessTime::from_micros(0), end: BusinessTime::from_micros(1 << 62) };

    /// Whether an instant lies in it.
    pub fn contains(&self, at: BusinessTime) -> bool {
        self.start <= at && at < self.end
    }

    /// When counting starts anew; `None` for [`Self::ALWAYS`].
    pub fn resets_at(&self) -> Option<BusinessTime> {
        (*self != Self::ALWAYS).then_some(self.end)
    }

    /// The window of a size that an instant lies in; `None` outside the years −9999 to 9999.
    pub fn containing(at: BusinessTime, size: Size, zone: &Zone) -> Option<Self> {
        match size {
            Size::Minute => clock_window(at, MINUTE_MICROS, zone),
            Size::Hour => clock_window(at, HOUR_MICROS, zone),
            Size::Day => calendar_window(at, |date| date, 1.day(), zone),
            Size::Month => calendar_window(at, Date::first_of_month, 1.month(), zone),
        }
    }

    /// The window that use of a feature counts in at an instant; `period` is the open billing period.
    ///
    /// `None` for [`Reset::Period`] when the period is not given or does not hold the instant, and outside the years
    /// −9999 to 9999.
    pub fn of_reset(
        reset: Reset,
        at: BusinessTime,
        zone: &Zone,
        period: Option<(BusinessTime, BusinessTime)>,
    ) -> Option<Self> {
        match reset {
            Reset::Period => period.map(|(start, end)| Self { start, end }).filter(|window| window.contains(at)),
            Reset::Hour => Self::containing(at, Size::Hour, zone),
            Reset::Day => Self::containing(at, Size::Day, zone),
            Reset::Month => Self::containing(at, Size::Month, zone),
            Reset::Never => Some(Self::ALWAYS),
        }
    }

    /// The windows of a size that have an instant in common with this one, in their order; the first and the last may
    /// reach beyond it. There can be very many: take as many as are wanted.
    pub fn split(self, size: Size, zone: &Zone) -> impl Iterator<Item = Self> {
        let first = (self.start < self.end).then(|| Self::containing(self.start, size, zone)).flatten();
        std::iter::successors(first, move |before| Self::containing(before.end, size, zone))
            .take_while(move |window| window.start < self.end)
    }
}

/// Windows between midnights: from that of the date that `first` makes of a date to the one that is `step` later.
fn calendar_window(at: BusinessTime, first: fn(Date) -> Date, step: Span, zone: &Zone) -> Option<Window> {
    let date = first(zone.date(at)?);
    let midnight = |date: Date| zone.instant(date.at(0, 0, 0, 0));
    let next = date.checked_add(step).ok()?;
    let (start, end) = (midnight(date)?, midnight(next)?);
    if at < end {
        return Some(Window { start, end });
    }
    // The clock went back over midnight, and the evening comes a second time: it belongs to the day that has begun.
    Some(Window { start: end, end: midnight(next.checked_add(step).ok()?)? })
}

/// Windows between full hours or minutes of the wall clock.
fn clock_window(at: BusinessTime, length: i64, zone: &Zone) -> Option<Window> {
    let offset = zone.offset_micros(at)?;
    let passed = at.as_micros().checked_add(offset)?.checked_rem_euclid(length)?;
    let mut start = BusinessTime::from_micros(at.as_micros().checked_sub(passed)?);
    let mut end = BusinessTime::from_micros(start.as_micros().checked_add(length)?);
    if zone.offset_micros(start)? != offset {
        start = zone.transition_until(at)?;
    }
    if zone.offset_micros(BusinessTime::from_micros(end.as_micros().checked_sub(1)?))? != offset {
        end = zone.transition_after(at)?;
    }
    Some(Window { start, end })
}

#[cfg(test)]
mod tests {
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
}
