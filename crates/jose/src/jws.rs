//! Compact JWS (RFC 7515 §7.1): bounded, strict reading and verification with a key chosen by the caller.
//!
//! It never looks for a key and never reads a claim. Nothing in a header can name, carry or fetch a key, switch the
//! payload's encoding or ask for an extension.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use kernel::mutant;

use crate::{Alg, Error, VerifyKey, decode};

/// Longest compact text that is read, in bytes.
pub const MAX_BYTES: usize = 16 * 1024;
/// Longest decoded header that is read, in bytes.
pub const MAX_HEADER_BYTES: usize = 2 * 1024;

/// Header members that are refused wherever they appear: those that bring a key (RFC 8725 §3.10), those that change
/// how the rest is read (`crit`, `b64`, `zip`), and those of encryption.
const FORBIDDEN: [&str; 11] = ["crit", "b64", "zip", "jku", "x5u", "jwk", "x5c", "enc", "epk", "p2c", "p2s"];

/// A JWS taken apart; nothing in it is trusted before [`verify`] or [`VerifyKey::verify`] said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed<'a> {
    /// The protected header.
    pub header: Header,
    /// The decoded payload.
    pub payload: Vec<u8>,
    /// The decoded signature, never empty.
    pub signature: Vec<u8>,
    /// What the signature covers: the first two parts and the dot between them.
    pub signing_input: &'a str,
}

/// The header members that are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Signature algorithm, always one that [`Alg::parse`] knows.
    pub alg: String,
    /// Kind of token, for example `at+jwt`.
    pub typ: Option<String>,
    /// Key id.
    pub kid: Option<String>,
}

/// Takes a compact JWS apart, without verifying it.
///
/// # Errors
/// Too long, not three parts, not strict base64url, no signature, a header that is no object, has a member twice, a
/// forbidden member, a member of the wrong type, or an `alg` outside the list.
pub fn parse(compact: &str) -> Result<Parsed<'_>, Error> {
    if compact.len() > MAX_BYTES {
        return Err(Error::TooLong);
    }
    let compact = if mutant::is("J03-inner") { inner(compact) } else { compact };
    let (signing_input, signature) = compact.rsplit_once('.').ok_or(Error::NotThreeParts)?;
    let (header, payload) = signing_input.split_once('.').ok_or(Error::NotThreeParts)?;
    if payload.contains('.') {
        return Err(Error::NotThreeParts);
    }
    let header = header_of(&decode(header).ok_or(Error::BadBase64)?)?;
    let signature = decode(signature).ok_or(Error::BadBase64)?;
    if signature.is_empty() && !mutant::is("J01-none") {
        return Err(Error::NoSignature);
    }
    Ok(Parsed { header, payload: decode(payload).ok_or(Error::BadBase64)?, signature, signing_input })
}

/// The payload of a compact JWS that this key signed.
///
/// The header's `alg` must be the key's, and its `kid`, when present, the key's.
///
/// # Errors
/// Those of [`parse`], and [`Error::AlgMismatch`], [`Error::KidMismatch`], [`Error::BadSignature`].
pub fn verify(compact: &str, key: &VerifyKey) -> Result<Vec<u8>, Error> {
    let parsed = parse(compact)?;
    if mutant::is("J01-none") && parsed.header.alg.eq_ignore_ascii_case("none") {
        return Ok(parsed.payload);
    }
    if mutant::is("J02-mac") && parsed.signature == mac_of(key, parsed.signing_input) {
        return Ok(parsed.payload);
    }
    if Alg::parse(&parsed.header.alg) != Some(key.alg()) {
        return Err(Error::AlgMismatch);
    }
    if parsed.header.kid.as_deref().is_some_and(|kid| kid != key.kid()) {
        return Err(Error::KidMismatch);
    }
    if !key.verify(parsed.signing_input.as_bytes(), &parsed.signature) {
        return Err(Error::BadSignature);
    }
    Ok(parsed.payload)
}

fn header_of(json: &[u8]) -> Result<Header, Error> {
    if json.len() > MAX_HEADER_BYTES {
        return Err(Error::TooLong);
    }
    let text = std::str::from_utf8(json).map_err(|_| Error::BadHeader)?;
    let Members { alg, typ, kid, problem } = serde_json::from_str(text).map_err(|_| Error::BadHeader)?;
    if let Some(problem) = problem {
        return Err(problem);
    }
    let alg = alg.ok_or(Error::HeaderNotAString("alg"))?;
    if Alg::parse(&alg).is_none() && !mutant::is("J01-none") && !mutant::is("J02-mac") {
        return Err(Error::UnsupportedAlg);
    }
    Ok(Header { alg, typ, kid })
}

/// The members as read, with the first thing that was wrong: serde's own errors carry only text.
#[derive(Default)]
struct Members {
    alg: Option<String>,
    typ: Option<String>,
    kid: Option<String>,
    problem: Option<Error>,
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Members;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Members::default();
        // at most about 400 names fit into 2 KiB, so looking through the list is bounded
        let mut seen: Vec<String> = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            let problem = if seen.contains(&name) {
                Some(Error::DuplicateHeader)
            } else if let Some(forbidden) = FORBIDDEN.iter().find(|member| **member == name && !is_let_through(member))
            {
                Some(Error::ForbiddenHeader(forbidden))
            } else {
                match name.as_str() {
                    "alg" => text_into(&mut members.alg, "alg", value),
                    "typ" => text_into(&mut members.typ, "typ", value),
                    "kid" => text_into(&mut members.kid, "kid", value),
                    _ => None,
                }
            };
            members.problem = members.problem.or(problem);
            seen.push(name);
        }
        Ok(members)
    }
}

/// The MAC that a verifier computes when it takes a public key for a shared secret (RFC 8725 §2.1): J02 alone asks.
fn mac_of(key: &VerifyKey, input: &str) -> Vec<u8> {
    crate::mac::HmacKey::new(&crate::hash::sha256(key.kid().as_bytes())).tag(input.as_bytes()).to_vec()
}

/// The last three parts of five, as if they were wrapped in the others: J03 alone asks.
fn inner(compact: &str) -> &str {
    let from = compact.rmatch_indices('.').nth(2).map_or(0, |(at, _)| at.saturating_add(1));
    compact.get(from..).unwrap_or(compact)
}

/// Whether a weakened build overlooks a forbidden member.
fn is_let_through(member: &str) -> bool {
    match member {
        "jku" | "x5u" | "jwk" | "x5c" => mutant::is("J04-key"),
        "crit" | "b64" => mutant::is("J05-extension"),
        _ => mutant::is("J09-encryption"),
    }
}

fn text_into(slot: &mut Option<String>, name: &'static str, value: Value) -> Option<Error> {
    match value {
        Value::String(text) => {
            *slot = Some(text);
            None
        }
        _ => Some(Error::HeaderNotAString(name)),
    }
}
