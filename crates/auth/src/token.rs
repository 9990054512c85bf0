//! Access tokens: RFC 9068 JWTs, encoded by hand around prepared parts, and opaque ones.

use std::fmt::Write as _;
use std::sync::Arc;

use kernel::clock::Timestamp;
use record::entry::Jti;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::client::Client;
use crate::standing::Gate;
use record::tenant::Tenant;

/// Claims that a client's static claims may not replace (RFC 9068 §2.2, RFC 7519 §4.1 and ours).
pub const RESERVED_CLAIMS: [&str; 19] = [
    "iss",
    "sub",
    "client_id",
    "aud",
    "exp",
    "iat",
    "nbf",
    "jti",
    "scope",
    "tenant",
    "cnf",
    "act",
    "ent",
    "ent_ver",
    "plan",
    "sub_status",
    "flags",
    "active",
    "token_type",
];

/// What a token says, before it is encoded.
pub struct Claims<'a> {
    /// The issuing tenant.
    pub tenant: &'a Tenant,
    /// Whom it is for.
    pub client: &'a Client,
    /// Where it is good.
    pub audience: &'a [Arc<str>],
    /// What it allows; may be empty.
    pub scope: &'a str,
    /// Its id.
    pub jti: &'a str,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// Seconds it lives.
    pub lifetime_seconds: u32,
    /// What it says about the client's customer.
    pub gate: Gate<'a>,
}

impl Claims<'_> {
    /// The JSON claims set.
    pub fn encode(&self) -> String {
        let iat = self.issued_at.as_seconds();
        let exp = iat.saturating_add(i64::from(self.lifetime_seconds));
        let mut json = String::with_capacity(512);
        json.push_str("{\"iss\":");
        push_string(&mut json, &self.tenant.issuer);
        json.push_str(",\"sub\":");
        push_string(&mut json, &self.client.client_id);
        json.push_str(",\"client_id\":");
        push_string(&mut json, &self.client.client_id);
        json.push_str(",\"aud\":");
        match self.audience {
            [one] => push_string(&mut json, one),
            several => {
                json.push('[');
                for (index, audience) in several.iter().enumerate() {
                    if index > 0 {
                        json.push(',');
                    }
                    push_string(&mut json, audience);
                }
                json.push(']');
            }
        }
        // Writing to a String cannot fail.
        let _ = write!(json, ",\"exp\":{exp},\"iat\":{iat},\"nbf\":{iat},\"jti\":\"{}\"", self.jti);
        // RFC 6749 §3.3: a scope has at least one name
        if !self.scope.is_empty() {
            json.push_str(",\"scope\":");
            push_string(&mut json, self.scope);
        }
        json.push_str(",\"tenant\":");
        push_string(&mut json, &self.tenant.slug);
        self.gate.push_claims(&mut json, &self.client.settings.claims);
        for (name, value) in &self.client.settings.static_claims {
            json.push(',');
            push_string(&mut json, name);
            let _ = write!(json, ":{value}");
        }
        json.push('}');
        json
    }
}

/// A JSON string with the escapes of RFC 8259 §7.
fn push_string(json: &mut String, text: &str) {
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            c if u32::from(c) < 0x20 => {
                let _ = write!(json, "\\u{:04x}", u32::from(c));
            }
            c => json.push(c),
        }
    }
    json.push('"');
}

/// One audience or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// A single audience.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Audience {
    /// Whether the token is for this audience.
    pub fn contains(&self, wanted: &str) -> bool {
        match self {
            Self::One(audience) => audience == wanted,
            Self::Several(all) => all.iter().any(|a| a == wanted),
        }
    }

    /// As a JSON value.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::One(audience) => serde_json::Value::from(audience.as_str()),
            Self::Several(all) => serde_json::Value::from(all.clone()),
        }
    }
}

/// Claims of a token that was presented to us, with strict types (a string `exp` is refused, not skipped).
#[derive(Debug, Clone, Deserialize)]
pub struct Presented {
    /// Issuer.
    pub iss: String,
    /// Subject.
    pub sub: String,
    /// The client it was issued to.
    pub client_id: String,
    /// Audience.
    pub aud: Audience,
    /// End, in seconds.
    pub exp: i64,
    /// Issuance, in seconds.
    pub iat: i64,
    /// First moment, in seconds.
    pub nbf: i64,
    /// Id.
    pub jti: String,
    /// Scopes.
    #[serde(default)]
    pub scope: String,
    /// Tenant slug.
    pub tenant: String,
    plan: Option<IgnoredAny>,
    ent: Option<IgnoredAny>,
    ent_ver: Option<IgnoredAny>,
    sub_status: Option<IgnoredAny>,
}

impl Presented {
    /// Whether it says anything about the client's customer.
    pub const fn tells_standing(&self) -> bool {
        self.plan.is_some() || self.ent.is_some() || self.ent_ver.is_some() || self.sub_status.is_some()
    }

    /// Reads a claims set and its `jti`; `None` when a member is missing, of another type or out of range.
    pub fn parse(payload: &[u8]) -> Option<(Self, Jti)> {
        let claims: Self = serde_json::from_slice(payload).ok()?;
        let plausible = |seconds: i64| (0..=253_402_300_799).contains(&seconds);
        if ![claims.exp, claims.iat, claims.nbf].into_iter().all(plausible) {
            return None;
        }
        let jti = Jti::parse(&claims.jti)?;
        Some((claims, jti))
    }
}
