//! Published vectors, attacks on parsing, and properties of every algorithm.

mod attacks;
mod published;
mod roundtrip;
mod wycheproof;

use crate::{Alg, Jwk, SigningKey, VerifyKey};
use std::sync::OnceLock;

/// One key per algorithm for the whole run: generating RSA keys is slow.
fn keys() -> &'static [SigningKey] {
    static KEYS: OnceLock<Vec<SigningKey>> = OnceLock::new();
    KEYS.get_or_init(|| Alg::ALL.iter().map(|alg| SigningKey::generate(*alg).unwrap().0).collect())
}

fn verifier(key: &SigningKey) -> VerifyKey {
    VerifyKey::from_jwk(key.public_jwk()).unwrap()
}

fn jwk(json: &str) -> Jwk {
    serde_json::from_str(json).unwrap()
}
