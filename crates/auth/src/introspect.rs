//! What a presented token is worth: introspection (RFC 7662) and the admin API's own bearer check (RFC 9068 §4).

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use kernel::clock::Timestamp;
use kernel::id::{self, Id};
use kernel::mutant;
use kernel::principal::{Principal, Subject};
use kernel::secret::{ACCESS_TOKEN, REFRESH_TOKEN, has_good_checksum};
use kernel::standing::Standing;
use kernel::tenant::TenantId;
use record::entry::{Jti, Origin};
use serde_json::{Map, Value, json};
use store::params;

use crate::catalog::Catalog;
use crate::client::{Client, Status};
use crate::directory::Auth;
use crate::error::OauthError;
use crate::family::{Family, RefreshToken};
use crate::key::KeyPurpose;
use crate::sql;
use crate::standing::Gate;
use crate::token::Presented;
use record::tenant::Tenant;

/// The algorithm of signed introspection answers.
pub const INTROSPECTION_ALG: jose::Alg = jose::Alg::Es256;
/// The whole answer about a token that is not alive, or that its caller may not see.
pub const INACTIVE: &str = "{\"active\":false}";
/// Longest token that is looked at, in bytes.
pub const MAX_TOKEN_BYTES: usize = 16_384;

/// A token whose signature (or row) is good; whether it is still alive is asked at every use.
#[derive(Debug)]
pub struct Verified {
    /// Its claims.
    pub claims: Presented,
    /// Its id, taken apart.
    pub jti: Jti,
    /// The introspection answer while it is alive, written once: what is asked most often is not built anew.
    answer: Box<str>,
    kid: Option<String>,
    /// Its client when it was last looked for, while no client has changed since.
    owner: Mutex<Option<(u64, Arc<Client>)>>,
}

impl Verified {
    /// Everything that the token says.
    pub fn members(&self) -> Map<String, Value> {
        let mut members: Map<String, Value> = serde_json::from_str(&self.answer).unwrap_or_default();
        // what introspection adds
        members.remove("active");
        members.remove("token_type");
        members
    }
}

/// Who asks about a token.
pub enum Caller<'a> {
    /// An authenticated client.
    Client(&'a Client),
    /// A bearer of `tokens:introspect`.
    Bearer(&'a Principal),
}

impl Caller<'_> {
    fn may_see(&self, token: &Verified) -> bool {
        match self {
            Self::Bearer(principal) => principal.holds("tokens:introspect"),
            Self::Client(client) => {
                mutant::is("C06-anyone")
                    || *client.client_id == *token.claims.client_id
                    || client.settings.introspects.iter().any(|audience| token.claims.aud.contains(audience))
                    || client.settings.scopes.iter().any(|s| matches!(&**s, "tokens:introspect" | "admin"))
            }
        }
    }
}

impl Auth {
    /// Verifies an access token of this tenant, JWT or opaque, without asking whether it is still alive.
    ///
    /// # Errors
    /// The store's. `Ok(None)` for everything that is not such a token.
    pub async fn verify_access_token(
        &self,
        tenant: &Tenant,
        token: &str,
    ) -> Result<Option<Arc<Verified>>, store::Error> {
        if token.len() > MAX_TOKEN_BYTES || !token.is_ascii() {
            return Ok(None);
        }
        if token.starts_with(ACCESS_TOKEN) {
            return Box::pin(self.verify_opaque(tenant, token)).await;
        }
        let digest = jose::hash::sha256(token.as_bytes());
        let keys = self.keys(tenant).await?;
        if let Some(known) = self.verified.get(&digest)
            && known.claims.tenant == *tenant.slug
            && known.kid.as_deref().is_some_and(|kid| keys.verifier(KeyPurpose::Token, kid).is_some())
        {
            return Ok(Some(known));
        }
        let Ok(parsed) = jose::jws::parse(token) else { return Ok(None) };
        let Some(kid) = parsed.header.kid.clone() else { return Ok(None) };
        let typ = parsed.header.typ.as_deref().unwrap_or_default();
        let typed = typ.eq_ignore_ascii_case("at+jwt") || typ.eq_ignore_ascii_case("application/at+jwt");
        if !typed && !mutant::is("J08-untyped") {
            return Ok(None);
        }
        let Some(key) = keys.verifier(KeyPurpose::Token, &kid) else { return Ok(None) };
        let Ok(payload) = jose::jws::verify(token, key) else { return Ok(None) };
        let verified = read_claims(tenant, &payload, Some(kid));
        if let Some(verified) = &verified {
            self.verified.insert(digest, Arc::clone(verified));
        }
        Ok(verified)
    }

    async fn verify_opaque(&self, tenant: &Tenant, token: &str) -> Result<Option<Arc<Verified>>, store::Error> {
        if !has_good_checksum(ACCESS_TOKEN, token) {
            return Ok(None);
        }
        let hash = tenant.pepper.tag(token.as_bytes());
        let row = self.store.read(&sql::OPAQUE_BY_HASH, params![tenant.id, hash.as_slice()]).await?;
        match row {
            Some(row) => Ok(read_claims(tenant, row.text(0)?.as_bytes(), None)),
            None => Ok(None),
        }
    }

    /// Whether a verified token is alive: unexpired, not revoked, its client in order.
    ///
    /// # Errors
    /// The store's.
    pub async fn alive(&self, tenant: &Tenant, token: &Verified) -> Result<Option<Arc<Client>>, store::Error> {
        let now = self.clock.now();
        if !fresh(token, now) || tenant.disabled_at.is_some() {
            return Ok(None);
        }
        let Some(client) = self.owner(tenant, token).await? else { return Ok(None) };
        let allowed = self.denials.allows(tenant.id, &client, &token.jti) || mutant::is("S-18-unrevoked");
        let good = (client.status(now) == Status::Active || mutant::is("C04-alive")) && allowed;
        Ok(good.then_some(client))
    }

    /// The client of a token; one that was found before is found again without a look into the cache of clients.
    async fn owner(&self, tenant: &Tenant, token: &Verified) -> Result<Option<Arc<Client>>, store::Error> {
        // taken before the client is looked for: with what changes meanwhile it is too low
        let generation = self.client_generation.load(Ordering::SeqCst);
        let known = token.owner.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((since, client)) = known
            && since == generation
        {
            return Ok(Some(client));
        }
        let client = self.client(tenant.id, &token.claims.client_id).await?;
        let known = client.clone().map(|client| (generation, client));
        *token.owner.lock().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(client)
    }

    /// Finds a token that a caller may see and that is alive, as far as the standing of its client's customer does not
    /// decide: [`Seen::answer`] asks for that. `None` for every other one, whose answer is [`INACTIVE`].
    ///
    /// # Errors
    /// The store's.
    pub async fn look(&self, tenant: &Tenant, caller: &Caller<'_>, token: &str) -> Result<Option<Seen>, OauthError> {
        let (what, client) = if token.starts_with(REFRESH_TOKEN) {
            let Some((family, client)) = Box::pin(self.look_at_refresh(tenant, caller, token)).await? else {
                return Ok(None);
            };
            (What::Refresh(Box::new(family)), client)
        } else {
            let Some(verified) = self.verify_access_token(tenant, token).await? else { return Ok(None) };
            if !caller.may_see(&verified) {
                return Ok(None);
            }
            let Some(client) = self.alive(tenant, &verified).await? else { return Ok(None) };
            (What::Access(verified), client)
        };
        let catalog = match client.customer {
            Some(_) => Some(self.catalog(tenant).await?),
            None => None,
        };
        Ok(Some(Seen { what, client, catalog }))
    }

    /// The client of an access token that is alive, as far as the standing of its customer does not decide; `None` for
    /// every other text.
    ///
    /// # Errors
    /// The store's.
    pub async fn holder(&self, tenant: &Tenant, token: &str) -> Result<Option<Arc<Client>>, store::Error> {
        let Some(token) = self.verify_access_token(tenant, token).await? else { return Ok(None) };
        self.alive(tenant, &token).await
    }

    /// An introspection answer as a JWT for its caller (RFC 9701 §5).
    ///
    /// # Errors
    /// The store's and cryptography's.
    pub async fn sign_introspection(
        &self,
        tenant: &Tenant,
        caller: &Caller<'_>,
        answer: &str,
    ) -> Result<String, OauthError> {
        let answer: Value =
            serde_json::from_str(answer).map_err(|error| OauthError::Internal(Some(Box::new(error))))?;
        let audience = match caller {
            Caller::Client(client) => client.client_id.to_string(),
            Caller::Bearer(principal) => match &principal.subject {
                Subject::Client(client_id) => client_id.to_string(),
                Subject::System(_) | Subject::LocalOperator | Subject::Operator { .. } => principal.actor(),
            },
        };
        let mut keys = self.keys(tenant).await?;
        if keys.active(KeyPurpose::Introspection, INTROSPECTION_ALG).is_none() {
            self.ensure_keys(tenant, KeyPurpose::Introspection, INTROSPECTION_ALG)
                .await
                .map_err(|error| OauthError::Internal(Some(Box::new(error))))?;
            keys = self.keys(tenant).await?;
        }
        let active = keys.active(KeyPurpose::Introspection, INTROSPECTION_ALG).ok_or(OauthError::Internal(None))?;
        let payload = json!({
            "iss": &*tenant.issuer, "aud": audience, "iat": self.clock.now().as_seconds(), "token_introspection": answer,
        });
        let header = active.key.header("token-introspection+jwt");
        Ok(active.key.sign_compact(&header, payload.to_string().as_bytes())?)
    }

    async fn look_at_refresh(
        &self,
        tenant: &Tenant,
        caller: &Caller<'_>,
        token: &str,
    ) -> Result<Option<(RefreshAnswer, Arc<Client>)>, OauthError> {
        let Some(presented) = RefreshToken::parse(tenant, token) else { return Ok(None) };
        let Some(family) = self.family_of(tenant, &presented).await? else { return Ok(None) };
        let now = self.clock.now();
        let row = self.store.read(&sql::CLIENT_BY_ID, params![tenant.id, family.client]).await?;
        let Some(client) = row.map(|row| Client::from_row(&row, Vec::new())).transpose()? else { return Ok(None) };
        let owner = match caller {
            Caller::Client(asking) => {
                asking.id == family.client
                    || asking.settings.scopes.iter().any(|s| &**s == "admin" || &**s == "tokens:introspect")
            }
            Caller::Bearer(principal) => principal.holds("tokens:introspect"),
        };
        let live = family.is_live(now) && presented.generation == family.generation;
        if !owner || !live || client.status(now) != Status::Active {
            return Ok(None);
        }
        Ok(Some((
            RefreshAnswer { family, issuer: Arc::clone(&tenant.issuer), tenant: Arc::clone(&tenant.slug) },
            Arc::new(client),
        )))
    }

    /// The family that a refresh token belongs to, when this server made the token.
    ///
    /// # Errors
    /// The store's.
    pub async fn family_of(&self, tenant: &Tenant, token: &RefreshToken) -> Result<Option<Family>, store::Error> {
        let row = self.store.read(&sql::FAMILY_BY_HANDLE, params![tenant.id, token.handle.as_slice()]).await?;
        let family = row.as_ref().map(Family::from_row).transpose()?;
        Ok(family.filter(|family| token.is_of(tenant, family)))
    }

    /// Finds a bearer token for the admin API: audience `<issuer>/api`, alive as far as the standing of its client's
    /// customer does not decide: [`Bearer::principal`] asks for that.
    ///
    /// # Errors
    /// The store's. `Ok(None)` for every token that is not good here.
    pub async fn bearer(&self, tenant: &Tenant, token: &str) -> Result<Option<Bearer>, store::Error> {
        let Some(token) = self.verify_access_token(tenant, token).await? else { return Ok(None) };
        if !token.claims.aud.contains(&tenant.api_audience) && !mutant::is("J10-audience") {
            return Ok(None);
        }
        let client = self.alive(tenant, &token).await?;
        Ok(client.map(|client| Bearer { tenant: tenant.id, token, client }))
    }
}

/// A token that its caller may see; who it belongs to is known, and what is left of it is not yet.
pub struct Seen {
    what: What,
    client: Arc<Client>,
    /// Only where a customer's features matter.
    catalog: Option<Arc<Catalog>>,
}

enum What {
    Access(Arc<Verified>),
    Refresh(Box<RefreshAnswer>),
}

struct RefreshAnswer {
    family: Family,
    issuer: Arc<str>,
    tenant: Arc<str>,
}

impl RefreshAnswer {
    fn members(&self, client: &Client) -> Value {
        let family = &self.family;
        let audience: Vec<&str> = family.audience.split(' ').collect();
        json!({
            "active": true, "iss": &*self.issuer, "client_id": &*client.client_id, "sub": &*client.client_id,
            "aud": if let [one] = audience.as_slice() { json!(one) } else { json!(audience) },
            "exp": family.idle_deadline.min(family.absolute_deadline).as_seconds(),
            "iat": family.created_at.as_seconds(), "token_type": "refresh_token", "tenant": &*self.tenant,
        })
    }
}

/// Says which scopes are left; nothing when none is (RFC 6749 §3.3: a scope has at least one name).
fn set_scope(members: &mut Map<String, Value>, scope: &str) {
    if scope.is_empty() {
        members.remove("scope");
    } else {
        members.insert("scope".to_owned(), Value::from(scope));
    }
}

impl Seen {
    /// The client that the token was issued to; with its customer, the one whose standing decides.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The introspection answer (RFC 7662 §2.2) under the standing of the client's customer, which is `None` for a client
    /// without a customer. A scope that was taken from either is gone from live tokens too.
    ///
    /// # Errors
    /// [`OauthError::Internal`] when the token cannot be read again, which it always can.
    pub fn answer(&self, standing: Option<&Standing>) -> Result<String, OauthError> {
        let Ok(gate) = Gate::of(&self.client, standing) else { return Ok(INACTIVE.to_owned()) };
        let requires = |scope: &str| self.catalog.as_deref().and_then(|catalog| catalog.requires(scope));
        let token = match &self.what {
            What::Access(token) => token,
            What::Refresh(answer) => {
                let kept = |scope: &&str| gate.leaves(scope, || requires(scope));
                let left: Vec<&str> = answer.family.scope.split(' ').filter(kept).collect();
                let mut members = answer.members(&self.client);
                if let Value::Object(members) = &mut members {
                    set_scope(members, &left.join(" "));
                    gate.renew(members);
                }
                return Ok(members.to_string());
            }
        };
        let kept = |scope: &&str| self.client.holds(scope) && gate.leaves(scope, || requires(scope));
        let is_whole = token.claims.scope.split(' ').filter(|scope| !scope.is_empty()).all(|scope| kept(&scope));
        if is_whole && !gate.speaks(token.claims.tells_standing()) {
            return Ok(token.answer.to_string());
        }
        let mut members: Map<String, Value> =
            serde_json::from_str(&token.answer).map_err(|error| OauthError::Internal(Some(Box::new(error))))?;
        if !is_whole {
            let left: Vec<&str> = token.claims.scope.split(' ').filter(kept).collect();
            set_scope(&mut members, &left.join(" "));
        }
        gate.renew(&mut members);
        Ok(Value::Object(members).to_string())
    }
}

/// A bearer token of the admin API; who it belongs to is known, and what is left of it is not yet.
pub struct Bearer {
    tenant: TenantId,
    token: Arc<Verified>,
    client: Arc<Client>,
}

impl Bearer {
    /// The client that the token was issued to; with its customer, the one whose standing decides.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The principal behind the token under the standing of the client's customer, which is `None` for a client without a
    /// customer; no principal when the customer has no access.
    pub fn principal(
        self,
        standing: Option<&Standing>,
        source: Option<IpAddr>,
        request: Id<id::Request>,
    ) -> Option<(Principal, Arc<Client>)> {
        let Self { tenant, token, client } = self;
        let gate = Gate::of(&client, standing).ok()?;
        // A scope that was taken from the client or its customer is gone from live tokens too. Those of the admin API
        // require no feature.
        let kept = |scope: &&str| client.holds(scope) && gate.leaves(scope, || None);
        let scopes: Vec<Arc<str>> = token.claims.scope.split(' ').filter(kept).map(Arc::from).collect();
        let credential = match &token.jti.origin {
            Origin::Credential(id) => Some(*id),
            Origin::Family(_) => None,
        };
        let principal = Principal {
            tenant,
            subject: Subject::Client(Arc::clone(&client.client_id)),
            credential,
            scopes: Arc::from(scopes),
            source,
            request,
        };
        Some((principal, client))
    }
}

fn read_claims(tenant: &Tenant, payload: &[u8], kid: Option<String>) -> Option<Arc<Verified>> {
    let (claims, jti) = Presented::parse(payload)?;
    if (claims.iss != *tenant.issuer && !mutant::is("J10-issuer")) || claims.tenant != *tenant.slug {
        return None;
    }
    // The claims set is an object, as its parsing has shown: its members go on where the answer begins.
    let members = std::str::from_utf8(payload).ok()?.trim().strip_prefix('{')?;
    let answer = format!("{{\"active\":true,\"token_type\":\"Bearer\",{members}").into_boxed_str();
    Some(Arc::new(Verified { claims, jti, answer, kid, owner: Mutex::default() }))
}

fn fresh(token: &Verified, now: Timestamp) -> bool {
    let now = now.as_seconds();
    // Our own clock made these times; a small skew is allowed for a node that was ahead.
    (token.claims.exp > now || mutant::is("J06-expired"))
        && (token.claims.nbf <= now.saturating_add(60) || mutant::is("J06-early"))
}
