//! Two kinds of time and the clock that is passed in.
//!
//! *Machine time* ([`Timestamp`]) never moves except forward and rules tokens, credentials, limits and
//! audit. *Business time* ([`BusinessTime`]) is the tenant's own clock, which a sandbox may move ahead.
//! They are different types, so mixing them does not compile; a duration crosses, never an instant.

use std::fmt;

/// Microseconds per second.
const MICROS: i64 = 1_000_000;

/// An instant of machine time: microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// An instant of a tenant's business time: microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
pub struct BusinessTime(i64);

/// A text that is not an RFC 3339 date and time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 date and time such as 2026-12-31T23:59:59Z")]
pub struct NotRfc3339;

/// A text that is not a date of HTTP.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a date such as Sun, 06 Nov 1994 08:49:37 GMT")]
pub struct NotHttpDate;

impl Timestamp {
    /// From microseconds since the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From whole seconds since the Unix epoch (RFC 7519 `NumericDate`), saturating.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(MICROS))
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(MICROS)
    }

    /// Whole milliseconds since the Unix epoch, rounded down.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This instant moved by a number of seconds, saturating at the ends of the range.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(MICROS)))
    }

    /// Whole seconds from `earlier` to this instant, rounded down; negative when `earlier` is later.
    pub const fn seconds_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0).div_euclid(MICROS)
    }

    /// Microseconds from `earlier` to this instant, saturating.
    pub const fn micros_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Reads an RFC 3339 date and time with an offset.
    ///
    /// # Errors
    /// [`NotRfc3339`] for anything else, a date without time or without offset included.
    pub fn parse(text: &str) -> Result<Self, NotRfc3339> {
        // jiff accepts more than RFC 3339 (annotations, a space); the grammar's shape is checked first.
        let bytes = text.as_bytes();
        let shaped = (20..=40).contains(&bytes.len())
            && bytes.iter().all(|b| b.is_ascii_digit() || b"-:.+TtZz".contains(b))
            && bytes.get(10).is_some_and(|b| b.eq_ignore_ascii_case(&b'T'));
        if !shaped {
            return Err(NotRfc3339);
        }
        text.parse::<jiff::Timestamp>().map(|t| Self(t.as_microsecond())).map_err(|_| NotRfc3339)
    }

    /// Reads a date of HTTP (RFC 9110 §5.6.7) in its preferred form.
    ///
    /// # Errors
    /// [`NotHttpDate`] for anything else.
    pub fn parse_http_date(text: &str) -> Result<Self, NotHttpDate> {
        let parsed = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text);
        parsed.map(|at| Self(at.as_microsecond())).map_err(|_| NotHttpDate)
    }

    /// The form of HTTP's `Date` (RFC 9110 §5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`; empty outside the years 0 to 9999.
    pub fn to_http_date(self) -> String {
        let instant = jiff::Timestamp::from_microsecond(self.0);
        let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
        instant.ok().and_then(|instant| printer.timestamp_to_rfc9110_string(&instant).ok()).unwrap_or_default()
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, with microseconds only when they are not zero.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(instant) => write!(f, "{instant}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

impl BusinessTime {
    /// From microseconds since the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// This instant moved by a number of seconds, saturating at the ends of the range.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(MICROS)))
    }

    /// Microseconds from `earlier` to this instant, saturating.
    pub const fn micros_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The business time of a tenant whose clock stands `ahead_micros` ahead of machine time.
    pub const fn of(now: Timestamp, ahead_micros: i64) -> Self {
        Self(now.0.saturating_add(ahead_micros))
    }
}

impl fmt::Display for BusinessTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Timestamp(self.0).fmt(f)
    }
}

/// Where machine time comes from: the wall clock in `server`, a clock under the test's control elsewhere.
pub trait Clock: Send + Sync {
    /// The present machine time; never earlier than an answer given before.
    fn now(&self) -> Timestamp;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_3339_is_read_and_written_in_utc() {
        let t = Timestamp::parse("2023-12-31T23:59:59Z").unwrap();
        assert_eq!(t.as_seconds(), 1_704_067_199);
        assert_eq!(t.to_string(), "2023-12-31T23:59:59Z");
        assert_eq!(Timestamp::parse("2024-01-01T00:59:59+01:00").unwrap(), t);
        for bad in [
            "",
            "2023-12-31",
            "2023-12-31T23:59:59",
            "2023-12-31 23:59:59Z",
            "31.12.2023T00:00:00Z",
            "2023-12-31T23:59:59Z[UTC]",
            "1704067199",
        ] {
            assert_eq!(Timestamp::parse(bad), Err(NotRfc3339), "{bad}");
        }
    }

    #[test]
    fn a_date_of_http_is_the_fixed_form_in_gmt() {
        let example = Timestamp::parse("1994-11-06T09:49:37.5+01:00").unwrap();
        assert_eq!(example.to_http_date(), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(Timestamp::from_micros(i64::MAX).to_http_date(), "");
    }
}
