//! Key pairs prepared for signing: parsed once, used from any thread.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair, Signature,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::secret::Secret;

use crate::{Alg, Error, Jwk, encode};

/// A private key with its algorithm, id and public JWK.
pub struct SigningKey {
    alg: Alg,
    pair: Pair,
    jwk: Jwk,
    kid: String,
}

enum Pair {
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl SigningKey {
    /// A new random key and its unencrypted PKCS#8 document, which the caller seals; RSA keys have 2048 bits.
    ///
    /// # Errors
    /// [`Error::Crypto`] when the library cannot generate a key.
    pub fn generate(alg: Alg) -> Result<(Self, Secret<Vec<u8>>), Error> {
        let document = match alg {
            Alg::Es256 | Alg::Es384 => EcdsaKeyPair::generate(curve(alg)).and_then(|pair| pair.to_pkcs8v1()),
            Alg::EdDsa => Ed25519KeyPair::generate().and_then(|pair| pair.to_pkcs8v1()),
            Alg::Ps256 | Alg::Rs256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| Error::Crypto)?;
                let document: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| Error::Crypto)?;
                let document = Secret::new(document.as_ref().to_vec());
                return Ok((Self::from_pkcs8(alg, document.reveal())?, document));
            }
        };
        let document = Secret::new(document.map_err(|_| Error::Crypto)?.as_ref().to_vec());
        Ok((Self::from_pkcs8(alg, document.reveal())?, document))
    }

    /// Prepares the key of an unencrypted PKCS#8 document.
    ///
    /// # Errors
    /// [`Error::InvalidKey`] when the document does not hold a key of this algorithm; RSA keys have 2048 ..= 8192 bits.
    pub fn from_pkcs8(alg: Alg, pkcs8: &[u8]) -> Result<Self, Error> {
        let mut jwk = Jwk { alg: Some(alg.name().to_owned()), use_: Some("sig".to_owned()), ..Jwk::default() };
        let pair = match alg {
            Alg::Es256 | Alg::Es384 => {
                let pair = EcdsaKeyPair::from_pkcs8(curve(alg), pkcs8).map_err(|_| Error::InvalidKey)?;
                let (name, length) = if alg == Alg::Es256 { ("P-256", 32) } else { ("P-384", 48) };
                // SEC 1 §2.3.3: 0x04, x, y
                let coordinates = pair.public_key().as_ref().strip_prefix(&[4]).ok_or(Error::InvalidKey)?;
                let (x, y) = coordinates.split_at_checked(length).ok_or(Error::InvalidKey)?;
                "EC".clone_into(&mut jwk.kty);
                jwk.crv = Some(name.to_owned());
                jwk.x = Some(encode(x));
                jwk.y = Some(encode(y));
                Pair::Ec(pair)
            }
            Alg::EdDsa => {
                let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| Error::InvalidKey)?;
                "OKP".clone_into(&mut jwk.kty);
                jwk.crv = Some("Ed25519".to_owned());
                jwk.x = Some(encode(pair.public_key().as_ref()));
                Pair::Ed25519(pair)
            }
            Alg::Ps256 | Alg::Rs256 => {
                let pair = RsaKeyPair::from_pkcs8(pkcs8).map_err(|_| Error::InvalidKey)?;
                let (n, e) = rsa_numbers(pair.public_key().as_ref()).ok_or(Error::InvalidKey)?;
                "RSA".clone_into(&mut jwk.kty);
                jwk.n = Some(encode(n));
                jwk.e = Some(encode(e));
                Pair::Rsa(pair)
            }
        };
        let kid = jwk.thumbprint()?;
        jwk.kid = Some(kid.clone());
        Ok(Self { alg, pair, jwk, kid })
    }

    /// The algorithm.
    pub const fn alg(&self) -> Alg {
        self.alg
    }

    /// The key id: its RFC 7638 SHA-256 thumbprint in base64url.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public key, with `alg`, `use` and `kid`.
    pub const fn public_jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// The raw public key of an Ed25519 pair, as signed notes use it.
    pub fn ed25519_public(&self) -> Option<[u8; 32]> {
        match &self.pair {
            Pair::Ed25519(pair) => pair.public_key().as_ref().try_into().ok(),
            Pair::Ec(_) | Pair::Rsa(_) => None,
        }
    }

    /// The signature in JOSE encoding: R ‖ S of fixed length for ECDSA (RFC 7518 §3.4).
    ///
    /// # Errors
    /// [`Error::Crypto`] when the library fails.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        match self.signed(message)? {
            Signed::Short(signature) => Ok(signature.as_ref().to_vec()),
            Signed::Rsa(signature) => Ok(signature),
        }
    }

    /// The base64url protected header `{"alg","typ","kid"}`; callers keep it, it is the same for every token.
    pub fn header(&self, typ: &str) -> String {
        let typ = serde_json::Value::from(typ);
        encode(format!(r#"{{"alg":"{}","typ":{typ},"kid":"{}"}}"#, self.alg.name(), self.kid).as_bytes())
    }

    /// The compact JWS `header.payload.signature`, built in one buffer of the final size.
    ///
    /// # Errors
    /// [`Error::Crypto`] when the library fails.
    pub fn sign_compact(&self, header_b64: &str, payload: &[u8]) -> Result<String, Error> {
        let parts = [header_b64.len(), encoded_length(payload.len()), encoded_length(self.signature_length())];
        let mut text = String::with_capacity(parts.iter().fold(2_usize, |sum, part| sum.saturating_add(*part)));
        text.push_str(header_b64);
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut text);
        let signature = self.signed(text.as_bytes())?;
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(&signature, &mut text);
        Ok(text)
    }

    fn signature_length(&self) -> usize {
        match &self.pair {
            Pair::Ec(_) if self.alg == Alg::Es384 => 96,
            Pair::Ec(_) | Pair::Ed25519(_) => 64,
            Pair::Rsa(pair) => pair.public_modulus_len(),
        }
    }

    fn signed(&self, message: &[u8]) -> Result<Signed, Error> {
        // the library takes its own randomness; the handle is a unit value that the interface asks for
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ec(pair) => pair.sign(&random, message).map(Signed::Short),
            Pair::Ed25519(pair) => pair.try_sign(message).map(Signed::Short),
            Pair::Rsa(pair) => {
                let padding = if self.alg == Alg::Ps256 { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                let mut signature = vec![0_u8; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signature).map(|()| Signed::Rsa(signature))
            }
        }
        .map_err(|_| Error::Crypto)
    }
}

/// A signature where the library left it: ECDSA and Ed25519 ones are on the stack.
#[expect(clippy::large_enum_variant, reason = "lives for one call; a box would be the allocation it avoids")]
enum Signed {
    Short(Signature),
    Rsa(Vec<u8>),
}

impl AsRef<[u8]> for Signed {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Short(signature) => signature.as_ref(),
            Self::Rsa(signature) => signature,
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SigningKey").field("alg", &self.alg).field("kid", &self.kid).finish_non_exhaustive()
    }
}

const fn curve(alg: Alg) -> &'static EcdsaSigningAlgorithm {
    match alg {
        Alg::Es384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
        _ => &ECDSA_P256_SHA256_FIXED_SIGNING,
    }
}

/// Characters of base64url without padding for that many bytes.
const fn encoded_length(bytes: usize) -> usize {
    bytes.saturating_mul(4).div_ceil(3)
}

/// Modulus and exponent of a DER `RSAPublicKey` (RFC 8017 A.1.1), without the sign octet.
fn rsa_numbers(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (sequence, _) = der_value(der, 0x30)?;
    let (n, rest) = der_value(sequence, 0x02)?;
    let (e, _) = der_value(rest, 0x02)?;
    Some((n.strip_prefix(&[0]).unwrap_or(n), e.strip_prefix(&[0]).unwrap_or(e)))
}

/// The content of the first DER value, which must have this tag, and what follows it.
fn der_value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    if *found != tag {
        return None;
    }
    if *first < 0x80 {
        return rest.split_at_checked(usize::from(*first));
    }
    let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
    let length = length.iter().try_fold(0_usize, |sum, byte| sum.checked_mul(256)?.checked_add(usize::from(*byte)))?;
    rest.split_at_checked(length)
}
