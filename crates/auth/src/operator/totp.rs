//! Time-based one-time codes (RFC 6238): HMAC-SHA-1, six digits, 30 seconds, one step of drift, each code once.
//!
//! Pure: the secret is sealed in [`super::factor`], and which step was used last is guarded by the commit.

use kernel::clock::Timestamp;
use kernel::id::Entropy;
use kernel::secret::Secret;

/// Seconds of a step.
pub const STEP_SECONDS: i64 = 30;
/// Digits of a code.
pub const DIGITS: usize = 6;
/// Bytes of a secret: the length of the hash (RFC 4226 §4, R6).
pub const SECRET_BYTES: usize = 20;

/// A new secret.
pub fn generate(entropy: &mut dyn Entropy) -> Secret<[u8; SECRET_BYTES]> {
    let mut bytes = [0; SECRET_BYTES];
    entropy.fill(&mut bytes);
    Secret::new(bytes)
}

/// The step that a moment lies in.
pub const fn step_of(now: Timestamp) -> i64 {
    now.as_seconds().div_euclid(STEP_SECONDS)
}

/// The step whose code this is, when it lies at most one step away and later than every step that was used before.
pub fn accept(secret: &[u8], code: &str, last_step: i64, now: Timestamp) -> Option<i64> {
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    let present = step_of(now);
    let mut found = None;
    // All three are computed, so that the time does not tell which one it was.
    for step in [present.saturating_sub(1), present, present.saturating_add(1)] {
        let matches = jose::constant_time_eq(code_at(secret, step, DIGITS).as_bytes(), code.as_bytes());
        if matches && step > last_step && found.is_none() {
            found = Some(step);
        }
    }
    found
}

/// The code of a step (RFC 4226 §5.3).
pub fn code_at(secret: &[u8], step: i64, digits: usize) -> String {
    let tag = jose::mac::hmac_sha1(secret, &step.to_be_bytes());
    let offset = usize::from(tag.last().copied().unwrap_or(0) & 0x0f);
    let word = tag.get(offset..).and_then(|rest| rest.first_chunk::<4>()).copied().unwrap_or_default();
    let number = u64::from(u32::from_be_bytes(word) & 0x7fff_ffff);
    let modulus = (0..digits).fold(1_u64, |product, _| product.saturating_mul(10));
    format!("{:0digits$}", number.checked_rem(modulus).unwrap_or(0))
}

/// Base32 of RFC 4648 §6 without padding, as authenticator apps take a secret by hand.
pub fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::with_capacity(bytes.len().saturating_mul(8).div_ceil(5));
    for chunk in bytes.chunks(5) {
        let mut group = [0_u8; 8];
        group.iter_mut().skip(3).zip(chunk).for_each(|(to, from)| *to = *from);
        let bits = u64::from_be_bytes(group);
        for digit in 0..chunk.len().saturating_mul(8).div_ceil(5) {
            let shift = 35_usize.saturating_sub(digit.saturating_mul(5));
            let index = usize::try_from((bits >> shift) & 31).unwrap_or(0);
            text.push(ALPHABET.get(index).copied().map_or('A', char::from));
        }
    }
    text
}

/// The `otpauth` address that a QR code carries.
pub fn address(secret: &[u8], issuer: &str, account: &str) -> Secret<String> {
    let (issuer, account) = (percent(issuer), percent(account));
    let secret = base32(secret);
    Secret::new(format!(
        "otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={STEP_SECONDS}"
    ))
}

fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = std::fmt::Write::write_fmt(&mut out, format_args!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const RFC_SECRET: &[u8] = b"12345678901234567890";

    /// RFC 6238 Appendix B, the rows of SHA-1.
    #[test]
    fn codes_are_those_of_rfc_6238() {
        for (seconds, code) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            assert_eq!(code_at(RFC_SECRET, step_of(Timestamp::from_seconds(seconds)), 8), code, "{seconds}");
        }
    }

    #[test]
    fn a_code_holds_for_one_step_either_way_and_once() {
        let now = Timestamp::from_seconds(1_111_111_111);
        let present = step_of(now);
        for (away, is_good) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            let code = code_at(RFC_SECRET, present + away, DIGITS);
            assert_eq!(accept(RFC_SECRET, &code, 0, now), is_good.then_some(present + away), "{away}");
            assert_eq!(accept(RFC_SECRET, &code, present + away, now), None, "{away} again");
        }
        let code = code_at(RFC_SECRET, present, DIGITS);
        let spaced = format!("{} {}", &code[..3], &code[3..]);
        assert_eq!(accept(RFC_SECRET, &spaced, 0, now), Some(present));
        for bad in ["", "000000", "050471x", "14050471", "٠٥٠٤٧١"] {
            assert_eq!(accept(RFC_SECRET, bad, 0, now), None, "{bad}");
        }
    }

    /// RFC 4648 §10.
    #[test]
    fn base32_is_the_published_one() {
        for (bytes, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
        assert_eq!(
            address(b"foobar", "Acme & Co", "a@b.example").reveal(),
            "otpauth://totp/Acme%20%26%20Co:a@b.example?secret=MZXW6YTBOI&issuer=Acme%20%26%20Co&algorithm=SHA1&digits=6&period=30"
        );
    }
}
