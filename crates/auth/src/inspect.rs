//! What a token that somebody found is: what it says, whether it is ours and alive, and who would refuse it.
//!
//! Looking changes nothing: a refresh token that was used before is explained here, and its family lives on.

use std::sync::Arc;

use kernel::clock::Timestamp;
use kernel::secret::{ACCESS_TOKEN, CLIENT_SECRET, DEVICE, LINK, REFRESH_TOKEN, SESSION, has_good_checksum};
use record::action;
use record::entry::{Jti, Origin};
use record::query::{self, AuditFilter};
use serde_json::{Map, Value, json};
use store::params;

use crate::catalog::Api;
use crate::client::{Client, Status};
use crate::denial::Denial;
use crate::directory::Auth;
use crate::family::{Family, Judgment, RefreshToken};
use crate::introspect::{MAX_TOKEN_BYTES, Verified};
use crate::key::{KeyPurpose, KeyRecord, KeyState};
use crate::sql;
use crate::token::Presented;
use record::tenant::Tenant;

/// Keys that are looked through for one that was destroyed.
const KEYS_MOST: i64 = 1_000;

/// What a text turned out to be.
#[derive(Debug, Clone)]
pub enum Found {
    /// No token that this tenant issued, or one that it has forgotten after its end.
    NotOurs,
    /// No token at all, with what is wrong.
    Unreadable(String),
    /// A credential that is no token: what it is.
    Credential(&'static str),
    /// A token.
    Token(Box<Inspection>),
}

/// The kinds of token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An access token that says everything itself.
    Jwt,
    /// An access token that only introspection explains.
    Opaque,
    /// A refresh token.
    Refresh,
}

impl Kind {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Jwt => "Access token (JWT)",
            Self::Opaque => "Access token (opaque)",
            Self::Refresh => "Refresh token",
        }
    }
}

/// Why a token is not good at present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It cannot be verified.
    Unverified(String),
    /// Its time has passed.
    Expired(Timestamp),
    /// Its time has not come.
    Early(Timestamp),
    /// Its client was deleted.
    ClientGone,
    /// Its client is disabled, since a time.
    ClientDisabled(Timestamp),
    /// Its client has ended.
    ClientExpired(Timestamp),
    /// It was revoked, by itself or with others; the time where the record still tells.
    Revoked(Denial, Option<Timestamp>),
    /// The refresh token was used, and its successor is the one that counts.
    Used(Option<Timestamp>),
    /// The family of the refresh token ended.
    FamilyEnded(String, Timestamp),
    /// The refresh token was not used in time.
    Idle(Timestamp),
}

/// A token that was looked at.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// Its kind.
    pub kind: Kind,
    /// The header of a JWT.
    pub header: Option<Value>,
    /// What it says; of a refresh token, what its family says.
    pub claims: Map<String, Value>,
    /// Its id, when it is an access token of ours.
    pub jti: Option<Jti>,
    /// Its client as it is now.
    pub client: Option<Arc<Client>>,
    /// When it was issued, or its family began.
    pub issued_at: Option<Timestamp>,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// Why it is not good; empty while it is.
    pub faults: Vec<Fault>,
}

/// One reason for or against at an API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What is looked at.
    pub what: &'static str,
    /// Whether it speaks for the token.
    pub passed: bool,
    /// In a sentence.
    pub detail: String,
}

impl Auth {
    /// Explains a token. The text is kept nowhere.
    ///
    /// # Errors
    /// The store's, and the record's while it is asked for times.
    pub async fn inspect(&self, tenant: &Tenant, text: &str) -> Result<Found, record::Error> {
        let text = text.trim();
        let text = text.strip_prefix("Bearer ").unwrap_or(text).trim();
        let others = [
            (CLIENT_SECRET, "a client secret"),
            (SESSION, "the session of a person"),
            (LINK, "a one-time link"),
            (DEVICE, "the mark of a known browser"),
        ];
        if let Some((_, what)) = others.into_iter().find(|(prefix, _)| text.starts_with(prefix)) {
            return Ok(Found::Credential(what));
        }
        if text.len() > MAX_TOKEN_BYTES {
            return Ok(Found::Unreadable("it is longer than 16 KiB".to_owned()));
        }
        if [ACCESS_TOKEN, REFRESH_TOKEN].iter().any(|tag| text.starts_with(tag) && !has_good_checksum(tag, text)) {
            return Ok(Found::Unreadable("its checksum is wrong: a character is missing or changed".to_owned()));
        }
        if text.starts_with(REFRESH_TOKEN) {
            return self.inspect_refresh(tenant, text).await;
        }
        if let Some(verified) = self.verify_access_token(tenant, text).await? {
            return self.inspect_verified(tenant, text, &verified).await;
        }
        if text.starts_with(ACCESS_TOKEN) {
            return Ok(Found::NotOurs);
        }
        Ok(self.inspect_unverified(tenant, text).await?)
    }

    async fn inspect_verified(&self, tenant: &Tenant, text: &str, token: &Verified) -> Result<Found, record::Error> {
        let (now, claims) = (self.clock.now(), &token.claims);
        let header = jose::jws::parse(text).ok().map(|parsed| header_of(&parsed.header));
        let expires_at = Timestamp::from_seconds(claims.exp);
        let starts_at = Timestamp::from_seconds(claims.nbf);
        let client = self.client(tenant.id, &claims.client_id).await?;
        let mut faults = Vec::new();
        if expires_at <= now {
            faults.push(Fault::Expired(expires_at));
        }
        if starts_at > now.plus_seconds(60) {
            faults.push(Fault::Early(starts_at));
        }
        faults.extend(client_fault(client.as_deref(), now));
        if let Some(client) = &client
            && let Some(denial) = self.denials.denial(tenant.id, client, &token.jti)
        {
            faults.push(Fault::Revoked(denial, self.denied_at(tenant, client, &token.jti, denial).await?));
        }
        Ok(Found::Token(Box::new(Inspection {
            kind: if header.is_some() { Kind::Jwt } else { Kind::Opaque },
            header,
            claims: token.members(),
            jti: Some(token.jti),
            client,
            issued_at: Some(Timestamp::from_seconds(claims.iat)),
            expires_at: Some(expires_at),
            faults,
        })))
    }

    /// When a denial came about, as the newest record about its object tells.
    async fn denied_at(
        &self,
        tenant: &Tenant,
        client: &Client,
        jti: &Jti,
        denial: Denial,
    ) -> Result<Option<Timestamp>, record::Error> {
        let (kind, object, actions): (_, _, &[&str]) = match (denial, &jti.origin) {
            (Denial::Token, _) => ("token", jti.to_string(), &[action::TOKEN_REVOKED]),
            (Denial::Origin, Origin::Credential(id)) => ("secret", id.to_string(), &[action::SECRET_REVOKED]),
            (Denial::Origin, Origin::Family(id)) => {
                let row = self.store.read(&sql::FAMILY_BY_ID, params![tenant.id, *id]).await?;
                let family = row.as_ref().map(Family::from_row).transpose()?;
                return Ok(family.and_then(|family| family.ended_at));
            }
            (Denial::Client, _) => {
                let actions = &[action::CLIENT_TOKENS_REVOKED, action::CLIENT_DISABLED, action::CLIENT_CREATED];
                ("client", client.client_id.to_string(), actions)
            }
            // the record of that is not about an object of this product
            (Denial::Customer, _) => return Ok(None),
            (Denial::Tenant, _) => ("tenant", tenant.slug.to_string(), &[action::TENANT_UPDATED]),
        };
        let mut newest = None;
        for action in actions {
            let filter = AuditFilter {
                action: Some((*action).to_owned()),
                object_kind: Some(kind.to_owned()),
                object_id: Some(object.clone()),
                limit: 1,
                ..AuditFilter::default()
            };
            let found = query::audit(&self.store, tenant.id, &filter).await?;
            newest = newest.max(found.first().map(|record| record.at));
        }
        Ok(newest)
    }

    /// Why a text that looks like a JWT did not verify. One whose key is not ours is not opened further.
    async fn inspect_unverified(&self, tenant: &Tenant, text: &str) -> Result<Found, store::Error> {
        let parsed = match jose::jws::parse(text) {
            Ok(parsed) => parsed,
            Err(error) => return Ok(Found::Unreadable(error.to_string())),
        };
        let Some(kid) = parsed.header.kid.as_deref() else { return Ok(Found::NotOurs) };
        let Some(key) = self.key_of(tenant, kid).await? else { return Ok(Found::NotOurs) };
        let keys = self.keys(tenant).await?;
        let typ = parsed.header.typ.as_deref().unwrap_or("none");
        let why = match keys.verifier(key.purpose, kid) {
            None => "the key that it names was removed; nobody can verify it any more".to_owned(),
            Some(verifier) => match jose::jws::verify(text, verifier) {
                Err(error) => format!("{error}: it was changed, or signed by somebody else"),
                Ok(_) if key.purpose != KeyPurpose::Token => {
                    format!("it is signed by a key for another purpose, {}; it is no access token", key.purpose.name())
                }
                Ok(payload) => match Presented::parse(&payload) {
                    Some((claims, _)) if claims.iss != *tenant.issuer => {
                        format!("its issuer is {}, and this is {}", claims.iss, tenant.issuer)
                    }
                    Some(_) => format!("its typ is {typ}, and an access token has at+jwt"),
                    None => "its claims are not those of an access token".to_owned(),
                },
            },
        };
        let claims = match serde_json::from_slice(&parsed.payload) {
            Ok(Value::Object(claims)) => claims,
            _ => Map::new(),
        };
        let time = |name: &str| claims.get(name).and_then(Value::as_i64).map(Timestamp::from_seconds);
        Ok(Found::Token(Box::new(Inspection {
            kind: Kind::Jwt,
            header: Some(header_of(&parsed.header)),
            jti: None,
            client: None,
            issued_at: time("iat"),
            expires_at: time("exp"),
            faults: vec![Fault::Unverified(why)],
            claims,
        })))
    }

    /// A key of the tenant, those that were destroyed included.
    async fn key_of(&self, tenant: &Tenant, kid: &str) -> Result<Option<KeyRecord>, store::Error> {
        let keys = self.keys(tenant).await?;
        if let Some(known) = keys.records.iter().find(|key| key.kid == kid) {
            return Ok(Some(known.clone()));
        }
        let rows = self.store.read_all(&sql::KEYS_LIST, params![tenant.id, None::<Vec<u8>>, KEYS_MOST]).await?;
        for row in &rows {
            let key = KeyRecord::from_row(row)?;
            if key.kid == kid && key.state == KeyState::Destroyed {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    async fn inspect_refresh(&self, tenant: &Tenant, text: &str) -> Result<Found, record::Error> {
        let Some(presented) = RefreshToken::parse(tenant, text) else { return Ok(Found::NotOurs) };
        let Some(family) = self.family_of(tenant, &presented).await? else { return Ok(Found::NotOurs) };
        let now = self.clock.now();
        let row = self.store.read(&sql::CLIENT_BY_ID, params![tenant.id, family.client]).await?;
        let client = row.map(|row| Client::from_row(&row, Vec::new())).transpose()?;
        let mut faults = Vec::new();
        match family.judge(presented.generation, 0, now) {
            Judgment::Current => {}
            Judgment::Repeat => faults.push(Fault::Used(None)),
            Judgment::Reuse(at) => faults.push(Fault::Used(at)),
        }
        if let Some(at) = family.ended_at {
            faults.push(Fault::FamilyEnded(family.end_reason.clone().unwrap_or_default(), at));
        }
        if family.absolute_deadline <= now {
            faults.push(Fault::Expired(family.absolute_deadline));
        } else if family.idle_deadline <= now {
            faults.push(Fault::Idle(family.idle_deadline));
        }
        faults.extend(client_fault(client.as_ref(), now));
        let says = json!({
            "client_id": client.as_ref().map(|client| client.client_id.to_string()), "family": family.id.to_string(),
            "secret": family.credential.to_string(), "scope": family.scope, "aud": family.audience,
            "generation": presented.generation, "current_generation": family.generation,
            "created_at": family.created_at.to_string(), "idle_deadline": family.idle_deadline.to_string(),
            "absolute_deadline": family.absolute_deadline.to_string(),
        });
        Ok(Found::Token(Box::new(Inspection {
            kind: Kind::Refresh,
            header: None,
            claims: if let Value::Object(says) = says { says } else { Map::new() },
            jti: None,
            client: client.map(Arc::new),
            issued_at: Some(family.created_at),
            expires_at: Some(family.idle_deadline.min(family.absolute_deadline)),
            faults,
        })))
    }
}

fn header_of(header: &jose::jws::Header) -> Value {
    json!({"alg": header.alg, "typ": header.typ, "kid": header.kid})
}

fn client_fault(client: Option<&Client>, now: Timestamp) -> Option<Fault> {
    let Some(client) = client else { return Some(Fault::ClientGone) };
    match client.status(now) {
        Status::Active => None,
        Status::Disabled => client.disabled_at.map(Fault::ClientDisabled),
        Status::Expired => client.expires_at.map(Fault::ClientExpired),
    }
}

impl Inspection {
    /// Whether our signature, or our row, stands behind it.
    pub fn is_verified(&self) -> bool {
        !self.faults.iter().any(|fault| matches!(fault, Fault::Unverified(_)))
    }

    /// Words of the claim `scope`.
    pub fn scopes(&self) -> Vec<&str> {
        self.claims.get("scope").and_then(Value::as_str).unwrap_or_default().split_whitespace().collect()
    }

    fn has_audience(&self, wanted: &str) -> bool {
        match self.claims.get("aud") {
            Some(Value::String(one)) => one.split(' ').any(|audience| audience == wanted),
            Some(Value::Array(all)) => all.iter().any(|audience| audience.as_str() == Some(wanted)),
            _ => false,
        }
    }

    /// What an API would find, in the order in which it looks; it accepts the token when all speak for it.
    pub fn at_api(&self, api: &Api, scope: Option<&str>) -> Vec<Check> {
        let check = |what, passed, yes: &str, no: String| Check {
            what,
            passed,
            detail: if passed { yes.to_owned() } else { no },
        };
        let mut checks = Vec::new();
        match self.kind {
            Kind::Jwt => checks.push(check(
                "Signature",
                self.is_verified(),
                "A key of this issuer signed it.",
                "It does not verify.".to_owned(),
            )),
            Kind::Opaque => checks.push(Check {
                what: "Form",
                passed: true,
                detail: "It is opaque: the API has to ask the introspection endpoint.".to_owned(),
            }),
            Kind::Refresh => checks.push(Check {
                what: "Form",
                passed: false,
                detail: "It is a refresh token: it goes to the token endpoint, and no API takes it.".to_owned(),
            }),
        }
        let audience = format!("It is not meant for {}: request it with resource={}.", api.name, api.identifier);
        let meant = self.has_audience(&api.identifier);
        checks.push(check("Audience", meant, "It is meant for this API.", audience));
        let ended = self.faults.iter().find_map(|fault| match fault {
            Fault::Expired(at) | Fault::Early(at) | Fault::Idle(at) => {
                Some(format!("Its time ends or begins at {at}."))
            }
            _ => None,
        });
        checks.push(check("Time", ended.is_none(), "It is within its time.", ended.unwrap_or_default()));
        if let Some(scope) = scope {
            let has = self.scopes().contains(&scope);
            let lost = has && self.client.as_ref().is_some_and(|client| !client.holds(scope));
            let no = if lost {
                format!("The client has lost {scope}: introspection leaves it out, the token itself still says it.")
            } else {
                format!("It does not contain {scope}.")
            };
            checks.push(check("Scope", has && !lost, "It contains the scope.", no));
        }
        let revoked = self
            .faults
            .iter()
            .any(|fault| !matches!(fault, Fault::Unverified(_) | Fault::Expired(_) | Fault::Early(_) | Fault::Idle(_)));
        let no = match self.kind {
            Kind::Jwt => "An API that introspects refuses it; one that only verifies accepts it until it expires.",
            Kind::Opaque | Kind::Refresh => "Introspection calls it inactive.",
        };
        checks.push(check("Revocation", !revoked, "It is not revoked, and its client is active.", no.to_owned()));
        checks
    }
}
