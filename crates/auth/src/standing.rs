//! What the standing of a customer leaves of what its client could have.
//!
//! Billing derives the standing. Here it is read, for a token that is asked for and for one that is shown. A client without
//! a customer is internal, and nothing here applies to it.

use kernel::clock::BusinessTime;
use kernel::mutant;
use kernel::standing::{Access, Allowance, Entitlement, Refusal, Standing, Status};
use serde_json::{Map, Value};

use crate::client::{Claim, Client};
use crate::error::OauthError;

/// Longest text of the claim `ent`, in bytes; a longer one is left out.
pub const MAX_ENT_BYTES: usize = 4_096;

const MICROS: i64 = 1_000_000;

/// What lies between a client and its tokens: the standing of its customer, when it has one.
#[derive(Debug, Clone, Copy)]
pub struct Gate<'a>(Option<&'a Standing>);

/// Why a scope that a client may request is not granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withheld<'a> {
    /// The customer has access to its restricted scopes alone.
    Restricted,
    /// The scope requires a feature that the customer lacks.
    Lacks(&'a str),
}

impl<'a> Gate<'a> {
    /// The gate of a client without a customer.
    pub const OPEN: Self = Self(None);

    /// The gate of a client. A customer whose standing nobody knows has no subscription; that of a client without a
    /// customer does not matter.
    ///
    /// # Errors
    /// Why the customer may do nothing.
    pub fn of(client: &Client, standing: Option<&'a Standing>) -> Result<Self, Refusal> {
        if client.customer.is_none() {
            return Ok(Self::OPEN);
        }
        let standing = standing.ok_or(Refusal::NoSubscription)?;
        match standing.refusal() {
            Some(_) if mutant::is("S-22-refused") => Ok(Self::OPEN),
            Some(refusal) => Err(refusal),
            None => Ok(Self(Some(standing))),
        }
    }

    /// Why a scope is not granted, with the feature that it requires; `None` when nothing stands against it. The feature
    /// is not asked for when it does not matter.
    pub fn withholds<'f>(self, scope: &str, requires: impl FnOnce() -> Option<&'f str>) -> Option<Withheld<'f>> {
        let standing = self.0?;
        let is_restricted = standing.access != Access::Full && !standing.restricted_scopes.contains(scope);
        if is_restricted && !mutant::is("S-22-restricted") {
            return Some(Withheld::Restricted);
        }
        let lacked = requires().filter(|feature| !standing.entitlements.contains_key(*feature));
        lacked.filter(|_| !mutant::is("S-22-feature")).map(Withheld::Lacks)
    }

    /// Whether a scope is granted.
    pub fn leaves<'f>(self, scope: &str, requires: impl FnOnce() -> Option<&'f str>) -> bool {
        self.withholds(scope, requires).is_none()
    }

    /// The answer to a request that names a scope which is withheld.
    pub fn refused(self, scope: &str, withheld: Withheld<'_>) -> OauthError {
        OauthError::InvalidScope(match withheld {
            Withheld::Lacks(feature) => {
                format!(
                    "scope_not_entitled: the scope {scope} requires the feature {feature}, which this customer lacks"
                )
            }
            Withheld::Restricted => {
                let source = self.0.and_then(|standing| standing.source);
                let why = source.map_or(Refusal::NoSubscription, Refusal::Inactive);
                format!("{why}; until then the scope {scope} is not granted")
            }
        })
    }

    /// Seconds that a token may live: at most `ttl`, for a client of a customer at most `longest`, and never past the
    /// moment at which the customer's access ends or shrinks.
    ///
    /// # Errors
    /// [`OauthError::UnauthorizedClient`] when less than a second is left.
    pub fn lifetime_seconds(self, ttl: u32, longest: u32, now: BusinessTime) -> Result<u32, OauthError> {
        let Some(standing) = self.0 else { return Ok(ttl) };
        let ttl = ttl.min(longest);
        let Some(end) = standing.access_until.into_iter().chain(standing.narrows_at).min() else { return Ok(ttl) };
        let left =
            u32::try_from(end.micros_since(now).div_euclid(MICROS)).unwrap_or(if end > now { u32::MAX } else { 0 });
        match ttl.min(left) {
            0 => Err(OauthError::UnauthorizedClient(
                format!("subscription_inactive: what this customer may do changes at {end}; ask again after it").into(),
            )),
            left => Ok(left),
        }
    }

    /// Adds the claims that the client asked for to a claims set that is still open. A customer whose invoice is overdue
    /// is told in any case.
    pub fn push_claims(self, json: &mut String, asked: &[Claim]) {
        let Some(standing) = self.0 else { return };
        for claim in Claim::ALL.into_iter().filter(|claim| asked.contains(claim) || is_told(standing, *claim)) {
            if let Some(value) = value_of(standing, claim) {
                json.push_str(",\"");
                json.push_str(claim.name());
                json.push_str("\":");
                json.push_str(&value);
            }
        }
    }

    /// Whether an introspection answer shows more than the token says, or other values.
    pub fn speaks(self, token_tells: bool) -> bool {
        self.0.is_some_and(|standing| token_tells || is_told(standing, Claim::SubStatus))
    }

    /// Brings what a token says about its customer up to date.
    pub fn renew(self, members: &mut Map<String, Value>) {
        let Some(standing) = self.0 else { return };
        for claim in Claim::ALL {
            if !members.contains_key(claim.name()) && !is_told(standing, claim) {
                continue;
            }
            match value_of(standing, claim).and_then(|text| serde_json::from_str(&text).ok()) {
                Some(value) => members.insert(claim.name().to_owned(), value),
                None => members.shift_remove(claim.name()),
            };
        }
    }
}

/// Whether a claim is shown although nobody asked for it.
fn is_told(standing: &Standing, claim: Claim) -> bool {
    claim == Claim::SubStatus && standing.status() == Some(Status::PastDue)
}

/// The value of a claim as JSON.
fn value_of(standing: &Standing, claim: Claim) -> Option<String> {
    match claim {
        Claim::Plan => standing.plans.first().map(|plan| Value::from(plan.as_str()).to_string()),
        Claim::Ent => entitlements(standing),
        Claim::EntVer => Some(standing.version.to_string()),
        Claim::SubStatus => standing.status().map(|status| format!("\"{status}\"")),
    }
}

/// Every feature with its value: true, a text, a number, the limit of what is metered, true without a limit.
fn entitlements(standing: &Standing) -> Option<String> {
    let mut json = String::from("{");
    for (feature, entitlement) in &standing.entitlements {
        if json.len() > 1 {
            json.push(',');
        }
        json.push_str(&Value::from(feature.as_str()).to_string());
        json.push(':');
        match entitlement {
            Entitlement::Boolean | Entitlement::Metered(Allowance { limit: None, .. }) => json.push_str("true"),
            Entitlement::Text(text) => json.push_str(&Value::from(text.as_str()).to_string()),
            // a decimal displays as a JSON number
            Entitlement::Number(number) | Entitlement::Metered(Allowance { limit: Some(number), .. }) => {
                json.push_str(&number.to_string());
            }
        }
    }
    json.push('}');
    (json.len() <= MAX_ENT_BYTES).then_some(json)
}
