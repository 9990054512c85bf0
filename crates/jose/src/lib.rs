//! The house's cryptography: signature algorithms, keys, JWK, JWS, hash, HMAC, key derivation and sealing.
//!
//! The only crate that names aws-lc-rs. It decides nothing about claims, clients or key rotation: those live in
//! `auth`. Symmetric JOSE algorithms, `none` and JWE do not exist here (RFC 8725 §3.1, §3.2).

mod alg;
mod entropy;
mod error;
pub mod hash;
mod jwk;
pub mod jws;
mod kdf;
pub mod mac;
pub mod note;
pub mod seal;
mod signing;
mod verifying;

#[cfg(test)]
mod tests;

pub use alg::Alg;
pub use entropy::{BufferedEntropy, SystemEntropy};
pub use error::Error;
pub use jwk::{Jwk, JwkSet};
pub use kdf::{Root, derive};
pub use mac::constant_time_eq;
pub use signing::SigningKey;
pub use verifying::{AssertionKey, VerifyKey};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Base64url without padding (RFC 7515 §2).
fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of strict base64url: no padding, no white space, unused trailing bits zero.
///
/// One value has one text, so a signature cannot be respelled to slip past a replay memory (RFC 4648 §3.5).
fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
