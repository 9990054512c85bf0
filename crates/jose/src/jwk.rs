//! JSON Web Keys: public members only (RFC 7517, RFC 7518 §6, RFC 8037 §2), and their thumbprints (RFC 7638).

use std::fmt;

use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Error, decode, encode, hash};

/// Members that carry private or symmetric key material (RFC 7518 §6.2.2, §6.3.2, §6.4; `priv` of the AKP keys).
const PRIVATE_MEMBERS: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];
/// A key has at most nine members of ours and a handful of others' (`x5c`, `key_ops`, `ext`).
const MAX_MEMBERS: usize = 32;

/// A public key in JSON.
///
/// Reading refuses a member that appears twice, a member of the wrong type and any private member; members of other
/// specifications are ignored (RFC 7517 §4), `x5u` and `x5c` among them: no key is ever fetched or taken from there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Jwk {
    /// Key type: `EC`, `OKP` or `RSA`.
    pub kty: String,
    /// Curve of an EC or OKP key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    /// The x coordinate (EC), or the public key (OKP), base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// The y coordinate of an EC key, base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// Modulus of an RSA key, base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// Public exponent of an RSA key, base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
    /// The one algorithm the key is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// `sig` for signature keys.
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    pub use_: Option<String>,
    /// Key id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
}

/// A set of public keys (RFC 7517 §5).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JwkSet {
    /// The keys; their ids should be unique.
    pub keys: Vec<Jwk>,
}

impl Jwk {
    /// The SHA-256 thumbprint in base64url (RFC 7638 §3): it depends on the required members alone.
    ///
    /// # Errors
    /// An unsupported type or curve, and an absent or malformed required member.
    pub fn thumbprint(&self) -> Result<String, Error> {
        // members in lexicographic order, no white space (RFC 7638 §3.3); the values are checked, so none needs escaping
        let canonical = match self.kty.as_str() {
            "EC" => {
                let crv = self.known_curve(&["P-256", "P-384"])?;
                let (x, y) = (required("x", self.x.as_ref())?, required("y", self.y.as_ref())?);
                format!(r#"{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}"#)
            }
            "OKP" => {
                let crv = self.known_curve(&["Ed25519"])?;
                let x = required("x", self.x.as_ref())?;
                format!(r#"{{"crv":"{crv}","kty":"OKP","x":"{x}"}}"#)
            }
            "RSA" => {
                let (e, n) = (required("e", self.e.as_ref())?, required("n", self.n.as_ref())?);
                format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#)
            }
            "oct" => return Err(Error::SymmetricKey),
            _ => return Err(Error::UnsupportedKeyType),
        };
        Ok(encode(&hash::sha256(canonical.as_bytes())))
    }

    /// The curve, when it is one of these.
    pub(crate) fn known_curve(&self, known: &[&'static str]) -> Result<&'static str, Error> {
        let crv = self.crv.as_deref().ok_or(Error::MissingMember("crv"))?;
        known.iter().find(|name| **name == crv).copied().ok_or(Error::UnsupportedCurve)
    }
}

/// The text of a required member, checked to be base64url.
fn required<'a>(name: &'static str, member: Option<&'a String>) -> Result<&'a str, Error> {
    let text = member.ok_or(Error::MissingMember(name))?;
    octets(name, Some(text)).map(|_| text.as_str())
}

/// The bytes of a required member.
pub(crate) fn octets(name: &'static str, member: Option<&String>) -> Result<Vec<u8>, Error> {
    let bytes = decode(member.ok_or(Error::MissingMember(name))?).ok_or(Error::BadMember(name))?;
    if bytes.is_empty() { Err(Error::BadMember(name)) } else { Ok(bytes) }
}

impl<'de> Deserialize<'de> for Jwk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Jwk;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a public JSON Web Key")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Jwk, A::Error> {
        let mut key = Jwk::default();
        let mut kty = None;
        let mut seen: Vec<String> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if let Some(private) = PRIVATE_MEMBERS.iter().find(|member| **member == name) {
                return Err(A::Error::custom(format_args!(
                    "the key contains its private member `{private}`; send the public key alone and replace this one"
                )));
            }
            if seen.contains(&name) {
                return Err(A::Error::custom("a member of the key appears twice"));
            }
            if seen.len() >= MAX_MEMBERS {
                return Err(A::Error::custom("the key has more than 32 members"));
            }
            let slot = match name.as_str() {
                "kty" => &mut kty,
                "crv" => &mut key.crv,
                "x" => &mut key.x,
                "y" => &mut key.y,
                "n" => &mut key.n,
                "e" => &mut key.e,
                "alg" => &mut key.alg,
                "use" => &mut key.use_,
                "kid" => &mut key.kid,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    seen.push(name);
                    continue;
                }
            };
            *slot = Some(map.next_value::<String>()?);
            seen.push(name);
        }
        key.kty = kty.ok_or_else(|| A::Error::missing_field("kty"))?;
        Ok(key)
    }
}
