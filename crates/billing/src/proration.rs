//! Which part of a whole period a line pays for, as an exact fraction.
//!
//! The denominator is always the whole nominal period, also for whoever joined in the middle of it, so that the parts of
//! one period add up to one. Amounts are `rating`'s work.

use jiff::civil::Date;
use kernel::clock::BusinessTime;

use crate::exact::Share;
use crate::period::Period;
use crate::zone::Zone;

/// How a part of a period is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// By the time that passed; a day of 23 or 25 hours counts as such.
    #[default]
    Second,
    /// By the calendar days touched in the customer's zone.
    Day,
    /// By days of which every month has 30: a 31st counts as the 30th.
    Day30360,
    /// Not at all: whoever joins pays the whole period, whoever leaves gets nothing back, a change pays from the next one.
    None,
}

impl Basis {
    /// Every basis.
    pub const ALL: [Self; 4] = [Self::Second, Self::Day, Self::Day30360, Self::None];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Day => "day",
            Self::Day30360 => "day_30_360",
            Self::None => "none",
        }
    }

    /// Reads [`Basis::name`].
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|basis| basis.name() == name)
    }
}

/// Why a part of a period begins or ends where it does: it decides who has the day that holds the instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cut {
    /// Use begins here; the day counts as used.
    Joined,
    /// One item gives way to another here; the day belongs to the new one.
    Changed,
    /// Use ends here; the day counts as used.
    Left,
}

/// One side of a part of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Edge {
    /// Where.
    pub at: BusinessTime,
    /// Why.
    pub cut: Cut,
}

impl Edge {
    /// Use begins at an instant.
    pub const fn joined(at: BusinessTime) -> Self {
        Self { at, cut: Cut::Joined }
    }

    /// An item gives way to another at an instant.
    pub const fn changed(at: BusinessTime) -> Self {
        Self { at, cut: Cut::Changed }
    }

    /// Use ends at an instant.
    pub const fn left(at: BusinessTime) -> Self {
        Self { at, cut: Cut::Left }
    }
}

/// Microseconds per second.
const SECOND: u64 = 1_000_000;

/// The part of a whole nominal period between two edges. An edge at the nominal start or before, or at the end or after, is
/// the border itself; a part that ends before it begins is 0. The fraction is not reduced, so that `explain` can show what
/// was counted: seconds, or microseconds when an edge is no whole second; or days.
///
/// `None` outside the years −9999 to 9999.
pub fn portion(basis: Basis, period: &Period, from: Edge, to: Edge, zone: &Zone) -> Option<Share> {
    let (before, denominator) = elapsed(basis, period, from, zone)?;
    let (after, _) = elapsed(basis, period, to, zone)?;
    let numerator = after.saturating_sub(before);
    let seconds = |micros: u64| micros.checked_div(SECOND).filter(|whole| whole.checked_mul(SECOND) == Some(micros));
    if basis == Basis::Second
        && let (Some(numerator), Some(denominator)) = (seconds(numerator), seconds(denominator))
    {
        return Share::new(numerator, denominator);
    }
    Share::new(numerator, denominator)
}

/// The units of a period before an edge, and all of its units.
fn elapsed(basis: Basis, period: &Period, edge: Edge, zone: &Zone) -> Option<(u64, u64)> {
    let Period { nominal_start, end, .. } = *period;
    let total = match basis {
        Basis::Second => u64::try_from(end.micros_since(nominal_start)).ok()?,
        Basis::Day => days_between(zone.date(nominal_start)?, zone.date(end)?)?,
        Basis::Day30360 => days_360_between(zone.date(nominal_start)?, zone.date(end)?)?,
        Basis::None => 1,
    };
    // A period from the 30th to the 31st has no day of 30/360 but is still one period.
    let total = total.max(1);
    if edge.at >= end {
        return Some((total, total));
    }
    if edge.at < nominal_start {
        return Some((0, total));
    }
    let day_after = u64::from(edge.cut == Cut::Left);
    let units = match basis {
        Basis::Second => u64::try_from(edge.at.micros_since(nominal_start)).ok()?,
        Basis::Day => days_between(zone.date(nominal_start)?, zone.date(edge.at)?)?.saturating_add(day_after),
        Basis::Day30360 => days_360_between(zone.date(nominal_start)?, zone.date(edge.at)?)?.saturating_add(day_after),
        Basis::None => u64::from(edge.cut != Cut::Joined && (edge.at > nominal_start || edge.cut == Cut::Left)),
    };
    Some((units.min(total), total))
}

fn days_between(from: Date, to: Date) -> Option<u64> {
    u64::try_from(from.until(to).ok()?.get_days()).ok()
}

fn days_360_between(from: Date, to: Date) -> Option<u64> {
    let day = |date: Date| {
        let months = i64::from(date.year()).checked_mul(12)?.checked_add(i64::from(date.month()))?;
        months.checked_mul(30)?.checked_add(i64::from(date.day().min(30)))
    };
    u64::try_from(day(to)?.checked_sub(day(from)?)?).ok()
}

#[cfg(test)]
mod tests;
