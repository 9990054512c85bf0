//! HMAC-SHA-256 with a prepared key (RFC 2104), and comparison in constant time.

use aws_lc_rs::{constant_time, hmac};

use crate::hash::fixed;

/// A key whose inner and outer pads are hashed once.
#[derive(Clone)]
pub struct HmacKey(hmac::Key);

impl HmacKey {
    /// Prepares the key.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The tag of the message.
    pub fn tag(&self, message: &[u8]) -> [u8; 32] {
        fixed(hmac::sign(&self.0, message).as_ref())
    }

    /// Whether the tag is the message's, compared in constant time.
    pub fn verify(&self, message: &[u8], tag: &[u8; 32]) -> bool {
        hmac::verify(&self.0, message, tag).is_ok()
    }
}

/// HMAC-SHA-1, for one-time codes alone: RFC 6238 asks for it, and every authenticator app knows it.
pub fn hmac_sha1(key: &[u8], message: &[u8]) -> [u8; 20] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key), message);
    let mut bytes = [0_u8; 20];
    bytes.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
    bytes
}

/// Whether both are equal, in a time that depends on their lengths alone.
pub fn constant_time_eq(left: &[u8], right: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(left, right).is_ok()
}

#[cfg(test)]
mod tests {
    use super::hmac_sha1;

    /// RFC 2202 §3, cases 1 and 2.
    #[test]
    fn hmac_sha1_is_the_published_one() {
        let tag = hmac_sha1(&[0x0b; 20], b"Hi There");
        let expected: u128 = 0xb617_3186_5505_7264_e28b_c0b6_fb37_8c8e;
        assert_eq!(tag.split_at(16), (expected.to_be_bytes().as_slice(), [0xf1, 0x46, 0xbe, 0x00].as_slice()));
        let tag = hmac_sha1(b"Jefe", b"what do ya want for nothing?");
        let expected: u128 = 0xeffc_df6a_e5eb_2fa2_d274_16d5_f184_df9c;
        assert_eq!(tag.split_at(16), (expected.to_be_bytes().as_slice(), [0x25, 0x9a, 0x7c, 0x79].as_slice()));
    }
}
