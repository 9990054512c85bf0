//! From when until when a certificate holds: the one thing that is read from it here (RFC 5280 §4.1.2.5).

use kernel::clock::Timestamp;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version, which stands in front of the serial number in all but the oldest certificates.
const VERSION: u8 = 0xa0;

/// Seconds before the end at which a certificate of ordinary life should have been renewed.
const MARGIN_SECONDS: i64 = 14 * 86_400;

/// The validity of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    from: Timestamp,
    until: Timestamp,
}

impl Validity {
    /// Reads it from a certificate in DER; `None` when it is none.
    pub(super) fn of(certificate: &[u8]) -> Option<Self> {
        let (mut certificate, _) = take(certificate, SEQUENCE)?;
        let (mut body, _) = take(certificate, SEQUENCE)?;
        certificate = body;
        if let Some((_, rest)) = take(certificate, VERSION) {
            body = rest;
        }
        for tag in [INTEGER, SEQUENCE, SEQUENCE] {
            (_, body) = take(body, tag)?;
        }
        let (validity, _) = take(body, SEQUENCE)?;
        let (from, rest) = time(validity)?;
        let (until, _) = time(rest)?;
        Some(Self { from, until })
    }

    /// Whether less than two weeks are left, or less than a third of the whole where that is shorter.
    pub(super) fn is_nearly_over(self, now: Timestamp) -> bool {
        let third = self.until.seconds_since(self.from) / 3;
        self.until.seconds_since(now) < third.min(MARGIN_SECONDS)
    }
}

/// The content of the element at the beginning, if it has the tag, and what follows it.
fn take(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length: usize, digit| (length << 8) | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length).filter(|_| found == tag)
}

fn time(bytes: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (text, century, rest) = if let Some((text, rest)) = take(bytes, UTC_TIME) {
        // Two digits of the year stand for 1950 to 2049.
        (text, if text.first()? < &b'5' { "20" } else { "19" }, rest)
    } else {
        let (text, rest) = take(bytes, GENERALIZED_TIME)?;
        (text, "", rest)
    };
    let digits = format!("{century}{}", std::str::from_utf8(text).ok()?);
    let part = |from: usize, to: usize| digits.get(from..to);
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    let parsed = Timestamp::parse(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z")).ok()?;
    (part(14, 15) == Some("Z") && digits.len() == 15).then_some((parsed, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(from: (i32, u8, u8), until: (i32, u8, u8)) -> Vec<u8> {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
        params.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn both_times_are_read_in_both_forms() {
        for (from, until, expected) in [
            ((2026, 1, 31), (2026, 5, 1), ["2026-01-31T00:00:00Z", "2026-05-01T00:00:00Z"]),
            ((1999, 12, 31), (2060, 2, 29), ["1999-12-31T00:00:00Z", "2060-02-29T00:00:00Z"]),
        ] {
            let found = Validity::of(&certificate(from, until));
            assert_eq!(found, Some(Validity { from: at(expected[0]), until: at(expected[1]) }));
        }
    }

    #[test]
    fn a_certificate_is_nearly_over_two_weeks_or_a_third_of_its_life_before_its_end() {
        let ordinary = Validity::of(&certificate((2026, 1, 1), (2026, 4, 1))).unwrap();
        assert!(!ordinary.is_nearly_over(at("2026-03-17T23:00:00Z")));
        assert!(ordinary.is_nearly_over(at("2026-03-18T01:00:00Z")));
        assert!(ordinary.is_nearly_over(at("2027-01-01T00:00:00Z")));
        let short = Validity::of(&certificate((2026, 1, 1), (2026, 1, 7))).unwrap();
        assert!(!short.is_nearly_over(at("2026-01-04T23:00:00Z")));
        assert!(short.is_nearly_over(at("2026-01-05T01:00:00Z")));
    }

    #[test]
    fn what_is_no_certificate_has_no_validity() {
        let good = certificate((2026, 1, 1), (2026, 4, 1));
        for length in 0..good.len().min(120) {
            assert_eq!(Validity::of(&good[..length]), None, "{length}");
        }
        for at in 0..good.len().min(200) {
            let mut bad = good.clone();
            bad[at] ^= 0x7f;
            let _ = Validity::of(&bad);
        }
    }
}
