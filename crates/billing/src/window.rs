//! Windows of time that counters and queries are kept by: half-open, touching, in a customer's zone.
//!
//! A window is known by its start. Days and months begin at the first midnight of their date; a day of 23 or 25 hours is
//! one. Hours and minutes are those of the wall clock: one that the clock repeats is two windows, and where the clock
//! jumps inside of one, it ends there. Every hour lies in one day and every day in one month.

#[cfg(test)]
mod tests;

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
