//! Times and numbers as people read them.

use std::fmt;

use kernel::clock::Timestamp;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A time: relative to read, exact for machines and the curious.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moment {
    /// RFC 3339 in UTC.
    pub(crate) exact: String,
    /// `2 min ago`, `in 6 d`.
    pub(crate) relative: String,
    is_today: bool,
}

impl Moment {
    /// A time as seen at another.
    pub(crate) fn new(at: Timestamp, now: Timestamp) -> Self {
        let exact = at.to_string();
        let exact = match exact.split_once('.') {
            Some((seconds, _)) => format!("{seconds}Z"),
            None => exact,
        };
        let is_today = now.to_string().get(..10) == exact.get(..10);
        Self { exact, relative: relative(at.seconds_since(now)), is_today }
    }

    /// `12:04 UTC`, with the date in front when it is not the day of the look.
    pub(crate) fn clock(&self) -> String {
        let time = self.exact.get(11..16).unwrap_or_default();
        if self.is_today { format!("{time} UTC") } else { format!("{} {time} UTC", self.day()) }
    }

    /// The date alone.
    pub(crate) fn day(&self) -> &str {
        self.exact.get(..10).unwrap_or_default()
    }
}

/// `in 6 d` for a positive number of seconds, `2 min ago` for a negative one, each to the nearest unit: what ends in
/// 72 hours reads `in 3 d` a second later too.
pub(crate) fn relative(seconds: i64) -> String {
    let distance = seconds.saturating_abs();
    let nearest = |unit: i64| distance.saturating_add(unit / 2).checked_div(unit).unwrap_or(0);
    let text = match distance {
        0..45 => return "just now".to_owned(),
        _ if nearest(MINUTE) < 60 => format!("{} min", nearest(MINUTE)),
        _ if nearest(HOUR) < 48 => format!("{} h", nearest(HOUR)),
        _ if nearest(DAY) < 730 => format!("{} d", nearest(DAY)),
        _ => format!("{} y", nearest(365 * DAY)),
    };
    if seconds > 0 { format!("in {text}") } else { format!("{text} ago") }
}

/// A length of time in the largest unit that divides it.
pub(crate) fn duration(seconds: i64) -> String {
    match seconds {
        s if s >= DAY && s % DAY == 0 => format!("{} d", s / DAY),
        s if s >= HOUR && s % HOUR == 0 => format!("{} h", s / HOUR),
        s if s >= MINUTE && s % MINUTE == 0 => format!("{} min", s / MINUTE),
        s => format!("{s} s"),
    }
}

/// A number with its digits in groups of three, separated by a narrow space that does not break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grouped(pub(crate) u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut left = digits.len();
        for digit in digits.chars() {
            write!(f, "{digit}")?;
            left = left.saturating_sub(1);
            if left > 0 && left.is_multiple_of(3) {
                f.write_str("\u{202f}")?;
            }
        }
        Ok(())
    }
}

/// A decimal text with the digits before its point in groups, as [`Grouped`] writes them.
pub(crate) fn grouped(decimal: &str) -> String {
    let (whole, rest) = decimal.split_at(decimal.find('.').unwrap_or(decimal.len()));
    let start = whole.find(|c: char| c.is_ascii_digit()).unwrap_or(whole.len());
    let (sign, digits) = whole.split_at(start);
    let mut out = sign.to_owned();
    for (at, digit) in digits.chars().enumerate() {
        let left = digits.len().saturating_sub(at);
        if at > 0 && left.is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_a_narrow_space() {
        let shown = |n| Grouped(n).to_string();
        assert_eq!(
            [shown(7), shown(999), shown(1_000), shown(10_914_000)],
            ["7", "999", "1\u{202f}000", "10\u{202f}914\u{202f}000"]
        );
    }

    #[test]
    fn a_decimal_is_grouped_before_its_point_alone() {
        for (text, shown) in
            [("0.0025", "0.0025"), ("-1234.5", "-1\u{202f}234.5"), ("≈ 1000000", "≈ 1\u{202f}000\u{202f}000")]
        {
            assert_eq!(grouped(text), shown);
        }
    }

    #[test]
    fn a_time_reads_in_its_largest_sensible_unit() {
        for (seconds, text) in [
            (-3, "just now"),
            (-120, "2 min ago"),
            (-7200, "2 h ago"),
            (6 * DAY, "in 6 d"),
            (72 * HOUR - 1, "in 3 d"),
            (60 * HOUR - HOUR, "in 2 d"),
            (HOUR - 20, "in 1 h"),
            (2 * DAY - 600, "in 2 d"),
            (-41 * DAY, "41 d ago"),
            (1000 * DAY, "in 3 y"),
        ] {
            assert_eq!(relative(seconds), text);
        }
        for (seconds, text) in [(900, "15 min"), (86_400, "1 d"), (90, "90 s"), (7200, "2 h")] {
            assert_eq!(duration(seconds), text);
        }
    }
}
