//! Public keys prepared for verification, each pinned to one algorithm.

use std::fmt;

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaParameters,
};

use crate::jwk::octets;
use crate::{Alg, Error, Jwk};

/// A public key that verifies signatures of exactly one algorithm (RFC 8725 §3.1).
pub struct VerifyKey {
    alg: Alg,
    kid: String,
    key: ParsedPublicKey,
}

impl VerifyKey {
    /// Prepares a key; the algorithm is its `alg`, or follows from its type and curve. RSA keys need `alg`.
    ///
    /// # Errors
    /// A symmetric key, an algorithm, type or curve outside the list, a `use` other than `sig`, an `alg` of another
    /// type, a malformed or absent member, an RSA modulus outside 2048 ..= 8192 bits, a point off its curve.
    pub fn from_jwk(jwk: &Jwk) -> Result<Self, Error> {
        if jwk.kty == "oct" {
            return Err(Error::SymmetricKey);
        }
        if jwk.use_.as_deref().is_some_and(|purpose| purpose != "sig") {
            return Err(Error::NotASignatureKey);
        }
        let stated = jwk.alg.as_deref().map(|name| Alg::parse(name).ok_or(Error::UnsupportedAlg)).transpose()?;
        let (alg, key) = match jwk.kty.as_str() {
            "EC" => match jwk.known_curve(&["P-256", "P-384"])? {
                "P-256" => (pinned(stated, Alg::Es256)?, point(jwk, Alg::Es256)?),
                _ => (pinned(stated, Alg::Es384)?, point(jwk, Alg::Es384)?),
            },
            "OKP" => {
                jwk.known_curve(&["Ed25519"])?;
                let x = of_length("x", octets("x", jwk.x.as_ref())?, 32)?;
                (pinned(stated, Alg::EdDsa)?, ParsedPublicKey::new(&ED25519, x).map_err(|_| Error::InvalidKey)?)
            }
            "RSA" => match stated.ok_or(Error::AlgRequired)? {
                Alg::Ps256 => (Alg::Ps256, rsa(jwk, &RSA_PSS_2048_8192_SHA256)?),
                Alg::Rs256 => (Alg::Rs256, rsa(jwk, &RSA_PKCS1_2048_8192_SHA256)?),
                Alg::Es256 | Alg::Es384 | Alg::EdDsa => return Err(Error::AlgDoesNotFitKey),
            },
            _ => return Err(Error::UnsupportedKeyType),
        };
        let kid = match &jwk.kid {
            Some(kid) => kid.clone(),
            None => jwk.thumbprint()?,
        };
        Ok(Self { alg, kid, key })
    }

    /// The algorithm the key is pinned to.
    pub const fn alg(&self) -> Alg {
        self.alg
    }

    /// The key's `kid`, or its thumbprint when it came without one.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Whether the signature, in JOSE encoding, is this key's over the message.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok() || kernel::mutant::is("J07-unverified")
    }
}

impl fmt::Debug for VerifyKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("VerifyKey").field("alg", &self.alg).field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// A public key of an authenticator: as [`VerifyKey`], but ECDSA signatures come in DER (WebAuthn §6.5.5).
pub struct AssertionKey(ParsedPublicKey);

impl AssertionKey {
    /// Prepares an ES256, Ed25519 or RS256 key.
    ///
    /// # Errors
    /// Any other type or curve, a malformed or absent member, a point off its curve, a modulus outside 2048 ..= 8192 bits.
    pub fn from_jwk(jwk: &Jwk) -> Result<Self, Error> {
        match jwk.kty.as_str() {
            "EC" => {
                jwk.known_curve(&["P-256"])?;
                let mut uncompressed = vec![4_u8];
                uncompressed.extend(of_length("x", octets("x", jwk.x.as_ref())?, 32)?);
                uncompressed.extend(of_length("y", octets("y", jwk.y.as_ref())?, 32)?);
                let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, uncompressed);
                key.map(Self).map_err(|_| Error::InvalidKey)
            }
            "OKP" => {
                jwk.known_curve(&["Ed25519"])?;
                let x = of_length("x", octets("x", jwk.x.as_ref())?, 32)?;
                ParsedPublicKey::new(&ED25519, x).map(Self).map_err(|_| Error::InvalidKey)
            }
            "RSA" => rsa(jwk, &RSA_PKCS1_2048_8192_SHA256).map(Self),
            _ => Err(Error::UnsupportedKeyType),
        }
    }

    /// Whether the signature is this key's over the message.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.verify_sig(message, signature).is_ok()
    }
}

fn pinned(stated: Option<Alg>, implied: Alg) -> Result<Alg, Error> {
    if stated.is_some_and(|alg| alg != implied) { Err(Error::AlgDoesNotFitKey) } else { Ok(implied) }
}

fn of_length(name: &'static str, bytes: Vec<u8>, length: usize) -> Result<Vec<u8>, Error> {
    if bytes.len() == length { Ok(bytes) } else { Err(Error::BadMember(name)) }
}

/// An EC key from coordinates of the curve's full length (RFC 7518 §6.2.1.2).
fn point(jwk: &Jwk, alg: Alg) -> Result<ParsedPublicKey, Error> {
    let (algorithm, length) = match alg {
        Alg::Es256 => (&ECDSA_P256_SHA256_FIXED, 32),
        _ => (&ECDSA_P384_SHA384_FIXED, 48),
    };
    let mut uncompressed = vec![4_u8];
    uncompressed.extend(of_length("x", octets("x", jwk.x.as_ref())?, length)?);
    uncompressed.extend(of_length("y", octets("y", jwk.y.as_ref())?, length)?);
    ParsedPublicKey::new(algorithm, uncompressed).map_err(|_| Error::InvalidKey)
}

fn rsa(jwk: &Jwk, parameters: &'static RsaParameters) -> Result<ParsedPublicKey, Error> {
    let n = unsigned("n", jwk.n.as_ref())?;
    let e = unsigned("e", jwk.e.as_ref())?;
    let unused = n.first().map_or(8, |byte| byte.leading_zeros());
    let bits = u32::try_from(n.len()).unwrap_or(u32::MAX).saturating_mul(8).saturating_sub(unused);
    if bits < 2048 {
        return Err(Error::RsaTooShort);
    }
    if bits > 8192 {
        return Err(Error::RsaTooLong);
    }
    // an even modulus or exponent is no RSA key, 1 verifies everything, and a long exponent only costs time
    let odd = |bytes: &[u8]| bytes.last().is_some_and(|byte| byte & 1 == 1);
    if !odd(&n) || !odd(&e) || e == [1] || e.len() > 4 {
        return Err(Error::InvalidKey);
    }
    PublicKeyComponents { n, e }.to_parsed_public_key(parameters).map_err(|_| Error::InvalidKey)
}

/// A Base64urlUInt: the fewest octets that hold the number (RFC 7518 §2, §6.3.1.1).
fn unsigned(name: &'static str, member: Option<&String>) -> Result<Vec<u8>, Error> {
    let bytes = octets(name, member)?;
    if bytes.first() == Some(&0) { Err(Error::BadMember(name)) } else { Ok(bytes) }
}
