//! Values that must not be printed, and the shape of generated credentials.

use zeroize::Zeroize;

use crate::id::Entropy;

/// A value without `Debug`, `Display`, `Serialize` or `Clone`, erased when dropped.
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes the value into custody.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value; called only where it is compared, sealed or written to the one answer that shows it.
    pub const fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Type tag of a generated client secret.
pub const CLIENT_SECRET: &str = "bst_cs_";
/// Type tag of an opaque access token.
pub const ACCESS_TOKEN: &str = "bst_at_";
/// Type tag of a refresh token.
pub const REFRESH_TOKEN: &str = "bst_rt_";
/// Type tag of an operator's session, which lives in a cookie.
pub const SESSION: &str = "bst_os_";
/// Type tag of a setup link or an invitation.
pub const LINK: &str = "bst_ol_";
/// Type tag of what tells a browser of an earlier sign-in from a stranger's.
pub const DEVICE: &str = "bst_od_";

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The text of a generated credential: tag, base62 of the bytes, six characters of base62 CRC-32 of all before.
///
/// A mistyped or cut credential is refused by its checksum before any read, and secret scanners can find it.
pub fn credential_text(tag: &str, bytes: &[u8]) -> String {
    let mut text = String::with_capacity(tag.len().saturating_add(bytes.len().saturating_mul(2)));
    text.push_str(tag);
    text.push_str(&base62(bytes));
    let sum = checksum(text.as_bytes());
    text.extend(sum.map(char::from));
    text
}

/// A credential of 256 random bits.
pub fn generate_credential(tag: &str, entropy: &mut dyn Entropy) -> Secret<String> {
    let mut bytes = [0_u8; 32];
    entropy.fill(&mut bytes);
    let text = credential_text(tag, &bytes);
    bytes.zeroize();
    Secret::new(text)
}

/// The bytes of a credential with this tag and length; `None` when tag, alphabet, length or checksum is wrong.
pub fn credential_bytes<const N: usize>(tag: &str, text: &str) -> Option<[u8; N]> {
    if !has_good_checksum(tag, text) {
        return None;
    }
    let body = text.get(tag.len()..text.len().checked_sub(6)?)?;
    unbase62(body)
}

/// Whether the text begins with the tag and ends in the checksum of what comes before.
pub fn has_good_checksum(tag: &str, text: &str) -> bool {
    let Some(split) = text.len().checked_sub(6) else { return false };
    if !text.is_ascii() || !text.starts_with(tag) || split <= tag.len() {
        return false;
    }
    match (text.get(..split), text.get(split..)) {
        (Some(head), Some(sum)) => checksum(head.as_bytes()) == sum.as_bytes(),
        _ => false,
    }
}

/// 62⁵: the most base62 digits that one step of long division in 64 bits can take.
const FIVE_DIGITS: u64 = 916_132_832;

/// Big-endian base62 of the bytes, padded to the length that every value of this many bytes fits.
fn base62(bytes: &[u8]) -> String {
    let width = digits_for(bytes.len());
    // big-endian limbs of 32 bits, the first one padded on the left
    let mut limbs: Vec<u32> = bytes
        .rchunks(4)
        .rev()
        .map(|chunk| chunk.iter().fold(0_u32, |limb, byte| (limb << 8) | u32::from(*byte)))
        .collect();
    let mut digits = Vec::with_capacity(width.saturating_add(5));
    while digits.len() < width {
        let mut rest = 0_u64;
        for limb in &mut limbs {
            let value = (rest << 32) | u64::from(*limb);
            *limb = u32::try_from(value / FIVE_DIGITS).unwrap_or(0);
            rest = value % FIVE_DIGITS;
        }
        for _ in 0..5 {
            digits.push(digit(rest % 62));
            rest /= 62;
        }
    }
    limbs.zeroize();
    digits.truncate(width);
    digits.iter().rev().map(|digit| char::from(*digit)).collect()
}

/// The value of a digit; `None` for every other byte.
fn value(character: u8) -> Option<u64> {
    let (first, before) = match character {
        b'0'..=b'9' => (b'0', 0),
        b'A'..=b'Z' => (b'A', 10),
        b'a'..=b'z' => (b'a', 36),
        _ => return None,
    };
    Some(u64::from(character.checked_sub(first)?.checked_add(before)?))
}

fn unbase62<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != digits_for(N) {
        return None;
    }
    let mut bytes = [0_u8; N];
    for digits in text.as_bytes().chunks(5) {
        let (mut factor, mut carry) = (1_u64, 0_u64);
        for character in digits {
            factor = factor.checked_mul(62)?;
            carry = carry.checked_mul(62)?.checked_add(value(*character)?)?;
        }
        for chunk in bytes.rchunks_mut(4) {
            let limb = chunk.iter().fold(0_u64, |limb, byte| (limb << 8) | u64::from(*byte));
            carry = carry.checked_add(limb.checked_mul(factor)?)?;
            for byte in chunk.iter_mut().rev() {
                *byte = u8::try_from(carry & 0xff).ok()?;
                carry >>= 8;
            }
        }
        if carry != 0 {
            return None;
        }
    }
    Some(bytes)
}

/// Digits of base62 that hold any number of `bytes` bytes: 43 for 32, 49 for 36.
const fn digits_for(bytes: usize) -> usize {
    // log(256)/log(62) = 1.34359…, rounded up
    bytes.saturating_mul(134_360).div_ceil(100_000)
}

fn digit(value: u64) -> u8 {
    usize::try_from(value).ok().and_then(|i| DIGITS.get(i)).copied().unwrap_or(b'0')
}

fn checksum(bytes: &[u8]) -> [u8; 6] {
    let mut value = u64::from(crc32(bytes));
    let mut out = [b'0'; 6];
    for slot in out.iter_mut().rev() {
        *slot = digit(value % 62);
        value /= 62;
    }
    out
}

/// CRC-32 (ISO-HDLC), four bits at a time.
fn crc32(bytes: &[u8]) -> u32 {
    /// What four bits that leave the register do to it.
    const TABLE: [u32; 16] = [
        0x0000_0000,
        0x1db7_1064,
        0x3b6e_20c8,
        0x26d9_30ac,
        0x76dc_4190,
        0x6b6b_51f4,
        0x4db2_6158,
        0x5005_713c,
        0xedb8_8320,
        0xf00f_9344,
        0xd6d6_a3e8,
        0xcb61_b38c,
        0x9b64_c2b0,
        0x86d3_d2d4,
        0xa00a_e278,
        0xbdbd_f21c,
    ];
    let four = |crc: u32| (crc >> 4) ^ usize::try_from(crc & 15).ok().and_then(|i| TABLE.get(i)).copied().unwrap_or(0);
    !bytes.iter().fold(u32::MAX, |crc, byte| four(four(crc ^ u32::from(*byte))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_published_crc_32() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    proptest::proptest! {
        #[test]
        fn a_credential_round_trips_and_one_changed_character_is_refused(bytes: [u8; 32], at in 7_usize..56, with in 0_usize..62) {
            let text = credential_text(CLIENT_SECRET, &bytes);
            assert_eq!(text.len(), 7 + 43 + 6);
            assert_eq!(credential_bytes::<32>(CLIENT_SECRET, &text), Some(bytes));
            let mut other = text.clone().into_bytes();
            other[at] = DIGITS[with];
            let other = String::from_utf8(other).unwrap();
            assert_eq!(has_good_checksum(CLIENT_SECRET, &other), other == text);
        }

        #[test]
        fn a_refresh_body_round_trips(bytes: [u8; 36]) {
            assert_eq!(credential_bytes::<36>(REFRESH_TOKEN, &credential_text(REFRESH_TOKEN, &bytes)), Some(bytes));
        }

        #[test]
        fn any_text_is_read_without_a_panic(text: String) {
            let _ = credential_bytes::<32>(CLIENT_SECRET, &text);
            let _ = has_good_checksum("", &text);
        }
    }
}
