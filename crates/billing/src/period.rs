//! Billing periods: the boundaries that a cadence, an anchor and a time zone give.
//!
//! Boundaries are wall times in the customer's zone, counted from the anchor and never from the boundary before, so that
//! the 31st returns after February. A period that was opened is stored with its end; this module computes the next one.

use std::fmt;

use jiff::Span;
use jiff::civil::{Date, Time};
use kernel::clock::BusinessTime;

use crate::zone::Zone;

/// What a cadence counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// A calendar day.
    Day,
    /// Seven days; from Monday in calendar billing.
    Week,
    /// A calendar month.
    Month,
    /// Three months; from January, April, July or October in calendar billing.
    Quarter,
    /// A calendar year.
    Year,
}

impl Unit {
    /// Every unit, the shortest first.
    pub const ALL: [Self; 5] = [Self::Day, Self::Week, Self::Month, Self::Quarter, Self::Year];

    /// The name in a cadence's text form.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
        }
    }

    /// The most of this unit in one period: no period is longer than five years.
    pub const fn max(self) -> u16 {
        match self {
            Self::Day => 366,
            Self::Week => 260,
            Self::Month => 60,
            Self::Quarter => 20,
            Self::Year => 5,
        }
    }
}

/// The length of a period: a number of units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cadence {
    unit: Unit,
    count: u16,
}

/// A text that is not a cadence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a cadence such as `month` or `2 weeks`: at most 366 days, 260 weeks, 60 months, 20 quarters or 5 years, \
     without a number for one"
)]
pub struct NotACadence;

impl Cadence {
    /// A cadence of 1 to [`Unit::max`] units; `None` for another count.
    pub fn new(unit: Unit, count: u16) -> Option<Self> {
        (1..=unit.max()).contains(&count).then_some(Self { unit, count })
    }

    /// One of a unit.
    pub const fn every(unit: Unit) -> Self {
        Self { unit, count: 1 }
    }

    /// What it counts.
    pub const fn unit(self) -> Unit {
        self.unit
    }

    /// How many of the unit.
    pub const fn count(self) -> u16 {
        self.count
    }

    /// Reads the text form: `month`, `3 months`.
    ///
    /// # Errors
    /// [`NotACadence`] for anything else, other ways to write the same included.
    pub fn parse(text: &str) -> Result<Self, NotACadence> {
        let (count, name) = match text.split_once(' ') {
            Some((count, plural)) => {
                let shaped = !count.starts_with(['0', '+']);
                let count = count.parse::<u16>().ok().filter(|count| shaped && *count > 1).ok_or(NotACadence)?;
                (count, plural.strip_suffix('s').ok_or(NotACadence)?)
            }
            None => (1, text),
        };
        let unit = Unit::ALL.into_iter().find(|unit| unit.name() == name).ok_or(NotACadence)?;
        Self::new(unit, count).ok_or(NotACadence)
    }

    /// The length as whole months, or as whole days.
    fn length(self) -> Length {
        let count = i64::from(self.count);
        match self.unit {
            Unit::Day => Length::Days(count),
            Unit::Week => Length::Days(count.saturating_mul(7)),
            Unit::Month => Length::Months(count),
            Unit::Quarter => Length::Months(count.saturating_mul(3)),
            Unit::Year => Length::Months(count.saturating_mul(12)),
        }
    }
}

impl serde::Serialize for Cadence {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Cadence {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Cadence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            1 => f.write_str(self.unit.name()),
            count => write!(f, "{count} {}s", self.unit.name()),
        }
    }
}

enum Length {
    Days(i64),
    Months(i64),
}

/// Where boundaries lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Billing {
    /// At the wall time of the anchor.
    Anniversary,
    /// At midnight of the first day of the cadence's unit.
    Calendar,
}

/// A billing period, half-open: it holds `start` and not `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Period {
    /// Where the whole period begins that proration divides by: before `start` for whoever joined in the middle of it.
    pub nominal_start: BusinessTime,
    /// Where it begins.
    pub start: BusinessTime,
    /// Where it ends and the next one begins.
    pub end: BusinessTime,
}

impl Period {
    /// A period that is whole by itself.
    pub const fn whole(start: BusinessTime, end: BusinessTime) -> Self {
        Self { nominal_start: start, start, end }
    }

    /// Whether an instant lies in it.
    pub fn contains(&self, at: BusinessTime) -> bool {
        self.start <= at && at < self.end
    }
}

/// All boundaries of a subscription, before and after its anchor. Each answer takes the same time, however far away.
#[derive(Debug, Clone, Copy)]
pub struct Schedule<'a> {
    /// Boundary 0 of anniversary billing; in calendar billing boundary 0 is the first day of its unit.
    pub anchor: BusinessTime,
    /// Where boundaries lie.
    pub billing: Billing,
    /// How far apart.
    pub cadence: Cadence,
    /// Whose wall time counts.
    pub zone: &'a Zone,
}

impl Schedule<'_> {
    /// Boundary `index` from the anchor; `None` beyond the years −9999 to 9999.
    pub fn boundary(&self, index: i64) -> Option<BusinessTime> {
        // The anchor may be the second of two equal wall times; it stays what it is.
        if index == 0 && self.billing == Billing::Anniversary {
            return Some(self.anchor);
        }
        let (date, time) = self.origin()?;
        let span = match self.cadence.length() {
            Length::Days(days) => Span::new().try_days(index.checked_mul(days)?),
            Length::Months(months) => Span::new().try_months(index.checked_mul(months)?),
        };
        // A day that the month lacks becomes its last one.
        let date = date.checked_add(span.ok()?).ok()?;
        self.zone.instant(date.to_datetime(time))
    }

    /// The whole period that holds an instant.
    pub fn period_at(&self, at: BusinessTime) -> Option<Period> {
        let index = self.index_at(at)?;
        Some(Period::whole(self.boundary(index)?, self.boundary(index.checked_add(1)?)?))
    }

    /// The first boundary after an instant.
    pub fn boundary_after(&self, at: BusinessTime) -> Option<BusinessTime> {
        self.period_at(at).map(|period| period.end)
    }

    /// The period of somebody who begins at `start`: the rest of the whole period that holds it.
    pub fn open(&self, start: BusinessTime) -> Option<Period> {
        self.period_at(start).map(|whole| Period { start, ..whole })
    }

    /// The period after one that ended at `end`.
    ///
    /// It begins there also when the zone was changed in between and `end` is no boundary any more: the boundary nearest
    /// to it then counts as reached, and the period is whole as it is.
    pub fn following(&self, end: BusinessTime) -> Option<Period> {
        let index = self.index_at(end)?;
        let next = self.boundary(index.checked_add(1)?)?;
        let is_nearer_to_next = end.micros_since(self.boundary(index)?) > next.micros_since(end);
        let next = if is_nearer_to_next { self.boundary(index.checked_add(2)?)? } else { next };
        Some(Period::whole(end, next))
    }

    /// The greatest index whose boundary is not after an instant.
    fn index_at(&self, at: BusinessTime) -> Option<i64> {
        let (origin, _) = self.origin()?;
        let date = self.zone.date(at)?;
        let mut index = match self.cadence.length() {
            Length::Days(days) => i64::from(origin.until(date).ok()?.get_days()).checked_div_euclid(days)?,
            Length::Months(months) => month_of(date).checked_sub(month_of(origin))?.checked_div_euclid(months)?,
        };
        // By the date alone it is off by one at most, and by one more where a zone left out a day.
        for _ in 0_u8..4 {
            let next = index.checked_add(1)?;
            if self.boundary(index)? > at {
                index = index.checked_sub(1)?;
            } else if self.boundary(next)? <= at {
                index = next;
            } else {
                return Some(index);
            }
        }
        None
    }

    /// The wall time that boundaries are counted from.
    fn origin(&self) -> Option<(Date, Time)> {
        let local = self.zone.local(self.anchor)?;
        let date = local.date();
        if self.billing == Billing::Anniversary {
            return Some((date, local.time()));
        }
        let first = match self.cadence.unit {
            Unit::Day => date,
            Unit::Week => {
                let since_monday = i64::from(date.weekday().to_monday_zero_offset());
                date.checked_sub(Span::new().try_days(since_monday).ok()?).ok()?
            }
            Unit::Month => date.first_of_month(),
            Unit::Quarter => {
                let month = date.month().checked_sub(1)?.checked_div(3)?.checked_mul(3)?.checked_add(1)?;
                Date::new(date.year(), month, 1).ok()?
            }
            Unit::Year => date.first_of_year(),
        };
        Some((first, Time::midnight()))
    }
}

/// Months since the year 0.
fn month_of(date: Date) -> i64 {
    i64::from(date.year()).saturating_mul(12).saturating_add(i64::from(date.month()))
}

#[cfg(test)]
mod tests;
