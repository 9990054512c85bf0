//! Time zones of customers, from the data that is built into the binary.
//!
//! The machine's own zone files are never read: two nodes with different files would bill different periods.

use jiff::civil::{Date, DateTime};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use kernel::clock::BusinessTime;

/// A zone of the IANA database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// UTC.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// The zone of a name such as `Europe/Berlin`, in any letter case; `None` when the database has none of this name.
    pub fn parse(name: &str) -> Option<Self> {
        let zone = TimeZoneDatabase::bundled().get(name).ok()?;
        (!zone.is_unknown()).then_some(Self(zone))
    }

    /// The name in the database's own spelling.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// Every name that [`Zone::parse`] knows.
    pub fn names() -> Vec<String> {
        let database = TimeZoneDatabase::bundled();
        database.available().map(|name| name.as_str().to_owned()).filter(|name| Self::parse(name).is_some()).collect()
    }

    /// The wall time of an instant; `None` outside the years −9999 to 9999.
    pub(crate) fn local(&self, at: BusinessTime) -> Option<DateTime> {
        jiff::Timestamp::from_microsecond(at.as_micros()).ok().map(|instant| self.0.to_datetime(instant))
    }

    /// The day of an instant in this zone; `None` outside the years −9999 to 9999.
    pub(crate) fn date(&self, at: BusinessTime) -> Option<Date> {
        self.local(at).map(DateTime::date)
    }

    /// The instant of a wall time: inside a gap it moves forward by the gap, of two it is the first.
    pub(crate) fn instant(&self, local: DateTime) -> Option<BusinessTime> {
        let instant = self.0.to_ambiguous_timestamp(local).compatible().ok()?;
        Some(BusinessTime::from_micros(instant.as_microsecond()))
    }

    /// How far the wall time is ahead of UTC, in microseconds; `None` outside the years −9999 to 9999.
    pub(crate) fn offset_micros(&self, at: BusinessTime) -> Option<i64> {
        let instant = jiff::Timestamp::from_microsecond(at.as_micros()).ok()?;
        Some(i64::from(self.0.to_offset(instant).seconds()).saturating_mul(1_000_000))
    }

    /// The last instant up to this one at which the zone's rules changed the wall time or its name.
    pub(crate) fn transition_until(&self, at: BusinessTime) -> Option<BusinessTime> {
        let after = jiff::Timestamp::from_microsecond(at.as_micros().saturating_add(1)).ok()?;
        let transition = self.0.preceding(after).next()?.timestamp();
        Some(BusinessTime::from_micros(transition.as_microsecond()))
    }

    /// The first instant after this one at which the zone's rules change the wall time or its name.
    pub(crate) fn transition_after(&self, at: BusinessTime) -> Option<BusinessTime> {
        let instant = jiff::Timestamp::from_microsecond(at.as_micros()).ok()?;
        let transition = self.0.following(instant).next()?.timestamp();
        Some(BusinessTime::from_micros(transition.as_microsecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_in_any_letter_case_and_an_unknown_one_is_not() {
        assert_eq!(Zone::parse("europe/berlin").unwrap().name(), "Europe/Berlin");
        assert_eq!(Zone::parse("utc").unwrap(), Zone::UTC);
        assert_eq!(Zone::UTC.name(), "UTC");
        for bad in ["", "Mars/Olympus", "Etc/Unknown", "+02:00", "/etc/localtime", "Europe/Berlin "] {
            assert_eq!(Zone::parse(bad), None, "{bad}");
        }
        assert!(Zone::names().len() > 400);
    }

    #[test]
    fn a_time_in_a_gap_moves_forward_by_the_gap_and_of_two_the_first_counts() {
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        let instant = |day, hour, minute| {
            let month = if day == 28 { 3 } else { 10 };
            berlin.instant(jiff::civil::date(2027, month, day).at(hour, minute, 0, 0)).unwrap().to_string()
        };
        // clocks go from 02:00 to 03:00 on 28 March and from 03:00 back to 02:00 on 31 October
        assert_eq!(instant(28, 2, 30), "2027-03-28T01:30:00Z");
        assert_eq!(instant(28, 3, 30), "2027-03-28T01:30:00Z");
        assert_eq!(instant(31, 2, 30), "2027-10-31T00:30:00Z");
        assert_eq!(instant(31, 3, 30), "2027-10-31T02:30:00Z");
    }
}
