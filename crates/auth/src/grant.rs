//! The token endpoint's use-case: who asks, for what, within which limits, and the token.
//!
//! The order of checks is fixed, so that every bad request has one defined answer: client authentication and
//! limits, `grant_type`, parameters of the grant, the standing of the client's customer, `resource`, `scope`, what the
//! scopes require, quota. A refusal never rotates a refresh token: rotation happens in the commit that issues.

use std::borrow::Cow;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use jose::Alg;
use kernel::audit::{Entry, Record};
use kernel::clock::Timestamp;
use kernel::event::Type;
use kernel::id::{self, Id};
use kernel::mutant;
use kernel::secret::{ACCESS_TOKEN, Secret, generate_credential};
use kernel::standing::Standing;
use record::action;
use record::entry::{Grant, Issuance, Jti, Origin, TokenKind};
use store::{Batch, ChangeKind, params};

use crate::catalog::{Ask, Granted};
use crate::client::{
    CLIENT_CREDENTIALS, Client, REFRESH_IDLE_DEFAULT_SECONDS, REFRESH_TOKEN, REFRESH_TTL_DEFAULT_SECONDS,
    REUSE_WINDOW_DEFAULT_SECONDS, Settings, Status, TokenFormat,
};
use crate::credential::{Authenticated, Denial, Presented};
use crate::directory::Auth;
use crate::error::OauthError;
use crate::family::{Family, Judgment, RefreshToken, new_handle, token_text};
use crate::key::KeyPurpose;
use crate::limit::{LimitState, Rate, rate_of};
use crate::sql;
use crate::standing::Gate;
use crate::token::Claims;
use record::plan::{change_record, event};
use record::tenant::Tenant;

/// What the plan of a customer asks for each token, counted in the commit of the token.
pub trait Charge: Send + Sync {
    /// The statements that count one token on what is stored now, or the refusal when there is no room for it.
    fn plan(&self) -> Pin<Box<dyn Future<Output = Result<Batch, OauthError>> + Send + '_>>;
    /// Whether a guard that failed is that of one of these statements.
    fn is_overtaken(&self, guard: &str) -> bool;
}

/// What holds for a client because of its customer; nothing for a client without one.
#[derive(Clone, Copy, Default)]
pub struct Terms<'a> {
    /// The standing of the customer.
    pub standing: Option<&'a Standing>,
    /// What its plan asks for each token.
    pub charge: Option<&'a dyn Charge>,
}

impl<'a> From<Option<&'a Standing>> for Terms<'a> {
    fn from(standing: Option<&'a Standing>) -> Self {
        Self { standing, charge: None }
    }
}

/// One request at the token endpoint, parsed.
pub struct TokenRequest<'a> {
    /// `grant_type`.
    pub grant_type: Option<&'a str>,
    /// `scope`.
    pub scope: Option<&'a str>,
    /// `resource`, any number.
    pub resources: Vec<&'a str>,
    /// `refresh_token`.
    pub refresh_token: Option<&'a str>,
    /// Peer address.
    pub source: Option<IpAddr>,
    /// The request; its id becomes the first part of `jti`.
    pub request: Id<id::Request>,
}

/// What the endpoint answers.
pub struct TokenAnswer {
    /// The access token.
    pub access_token: Secret<String>,
    /// Seconds it lives.
    pub expires_in: u32,
    /// Granted scopes.
    pub scope: Arc<str>,
    /// The refresh token, where the client has that grant.
    pub refresh_token: Option<Secret<String>>,
}

/// An outcome with the limit headers that go with it, once a client was identified.
pub struct Outcome<T> {
    /// Header state.
    pub limits: LimitState,
    /// The answer or the refusal.
    pub result: Result<T, OauthError>,
}

/// What a token would be, with nothing issued, counted or written.
pub struct Preview {
    /// The claims set, as a token would carry it.
    pub claims: String,
    /// The algorithm that would sign it; `None` for an opaque token, whose claims introspection shows.
    pub alg: Option<Alg>,
    /// Seconds it would live.
    pub lifetime_seconds: u32,
}

/// Everything an issuance needs once it is allowed.
struct Issue<'a> {
    tenant: &'a Tenant,
    who: &'a Authenticated,
    credential: Id<id::Secret>,
    gate: Gate<'a>,
    granted: &'a Granted,
    lifetime_seconds: u32,
    origin: Origin,
    grant: Grant,
    generation: Option<u32>,
    source: Option<IpAddr>,
    request: Id<id::Request>,
    now: Timestamp,
}

struct Issued {
    access_token: Secret<String>,
    lifetime_seconds: u32,
    entry: Entry,
    opaque: Option<(Vec<u8>, String)>,
}

/// A token with what is answered beside it.
struct Answer<'a> {
    issued: Issued,
    granted: &'a Granted,
    refresh_token: Option<Secret<String>>,
}

impl Terms<'_> {
    /// What the plan asks for a token on what is stored now; nothing where it asks for nothing.
    async fn charged(&self) -> Result<Batch, OauthError> {
        match self.charge {
            Some(charge) => charge.plan().await,
            None => Ok(Batch::new()),
        }
    }
}

/// How often what a plan asks is planned anew because another commit came first; each time, one did.
const CHARGE_TRIES: u8 = 200;

const NOT_ITS_GRANT: OauthError =
    OauthError::UnauthorizedClient(Cow::Borrowed("this client may not use this grant_type"));

/// The gate of a client, or the refusal that names the state of its customer's subscription.
fn gate<'a>(client: &Client, standing: Option<&'a Standing>) -> Result<Gate<'a>, OauthError> {
    Gate::of(client, standing).map_err(|refusal| OauthError::UnauthorizedClient(refusal.to_string().into()))
}

/// What signs a token: the client's choice, else its API's.
fn algorithm(client: &Client, granted: &Granted) -> Alg {
    let own = client.settings.signing_alg.as_deref().and_then(Alg::parse);
    own.or(granted.signing_alg).unwrap_or(Alg::Es256)
}

impl Auth {
    /// Seconds that a token of a client lives.
    fn lifetime_seconds(
        &self,
        tenant: &Tenant,
        client: &Client,
        gate: Gate<'_>,
        granted: &Granted,
        now: Timestamp,
    ) -> Result<u32, OauthError> {
        let ttl = client.access_ttl_seconds(granted.token_ttl_seconds, now);
        if ttl == 0 {
            return Err(OauthError::InvalidClient);
        }
        let longest = match client.settings.access_token_format {
            TokenFormat::Jwt => self.settings.max_jwt_ttl_seconds,
            TokenFormat::Opaque => u32::MAX,
        };
        gate.lifetime_seconds(ttl, longest, tenant.business(now))
    }

    /// Authenticates a client and counts the request against its rate.
    ///
    /// # Errors
    /// Inside the outcome: [`OauthError::InvalidClient`], [`OauthError::SlowDown`], the store's.
    pub async fn identify(
        &self,
        tenant: &Tenant,
        presented: &Presented,
        source: Option<IpAddr>,
    ) -> Outcome<Authenticated> {
        let mut limits = LimitState::default();
        let mut denial = None;
        let result = self.identify_within(tenant, presented, source, &mut limits, &mut denial).await;
        if let Err(error) = &result {
            let reason = denial.map_or_else(|| error.reason(), Denial::name);
            self.note(tenant, Some(&presented.client_id), source, reason);
        }
        Outcome { limits, result }
    }

    async fn identify_within(
        &self,
        tenant: &Tenant,
        presented: &Presented,
        source: Option<IpAddr>,
        limits: &mut LimitState,
        denial: &mut Option<Denial>,
    ) -> Result<Authenticated, OauthError> {
        // Read before anything that a token's life depends on: a change that comes later has a higher number.
        let seq = self.store.applied(tenant.id);
        let now = self.clock.now();
        let client = self.client(tenant.id, &presented.client_id).await?;
        let who = match self.authenticator.authenticate(tenant, (client, seq), presented, source, now).await? {
            Ok(who) => who,
            Err(found) => {
                *denial = Some(found);
                return Err(OauthError::InvalidClient);
            }
        };
        let (rate, enforce) = rate_of(who.client.settings.rate_limit, self.default_rate(tenant));
        if rate.limit > 0 {
            let verdict = self.client_rates.count(&who.client.id, rate, now);
            limits.add("client", rate.limit, rate.window_s, verdict.remaining, verdict.reset_seconds);
            if !verdict.allowed {
                self.counters.limited.fetch_add(1, Ordering::Relaxed);
                // One event a minute says enough about a client that keeps asking.
                if self.limit_events.count(&who.client.id, Rate { limit: 1, window_s: 60, burst: 1 }, now).allowed {
                    let facts = serde_json::json!({"policy": "client", "enforced": enforce});
                    Box::pin(self.announce_limit(tenant, &who.client, Type::RateLimitExceeded, facts)).await?;
                }
                if enforce {
                    return Err(OauthError::SlowDown { policy: "client", retry_after_seconds: verdict.reset_seconds });
                }
                self.note(tenant, Some(&presented.client_id), source, "rate_limit_monitored");
            }
        }
        Ok(who)
    }

    /// The request rate of a client that has none of its own.
    pub fn default_rate(&self, tenant: &Tenant) -> Rate {
        tenant.client_rate.unwrap_or(self.settings.client_rate)
    }

    /// Counts a refused authorization at the admin API.
    pub fn note_denied(&self, tenant: &Tenant, client_id: &str, source: Option<IpAddr>) {
        self.note(tenant, Some(client_id), source, "insufficient_scope");
    }

    fn note(&self, tenant: &Tenant, client_id: Option<&str>, source: Option<IpAddr>, reason: &'static str) {
        let now = self.clock.now();
        let request = self.with_entropy(|entropy| Id::generate(now, entropy));
        let refused = record::refusal::Refused { tenant: tenant.id, client_id, source, reason, request };
        self.refusals.add(&refused, now);
    }

    /// Issues a token to an authenticated client. The standing of its customer is read after the client was authenticated;
    /// it is `None` for a client without a customer.
    ///
    /// # Errors
    /// Inside the outcome: every variant of [`OauthError`] but `InvalidClient`.
    pub async fn token(
        &self,
        tenant: &Tenant,
        who: &Authenticated,
        terms: Terms<'_>,
        request: &TokenRequest<'_>,
        limits: LimitState,
    ) -> Outcome<TokenAnswer> {
        let mut limits = limits;
        let result = self.token_within(tenant, who, terms, request, &mut limits).await;
        if let Err(error) = &result {
            self.note(tenant, Some(&who.client.client_id), request.source, error.reason());
        }
        Outcome { limits, result }
    }

    async fn token_within(
        &self,
        tenant: &Tenant,
        who: &Authenticated,
        terms: Terms<'_>,
        request: &TokenRequest<'_>,
        limits: &mut LimitState,
    ) -> Result<TokenAnswer, OauthError> {
        let grant_type = request
            .grant_type
            .ok_or(OauthError::InvalidRequest("grant_type is missing; send client_credentials".into()))?;
        let grant = match grant_type {
            CLIENT_CREDENTIALS => Grant::ClientCredentials,
            REFRESH_TOKEN => Grant::RefreshToken,
            _ => return Err(OauthError::UnsupportedGrantType),
        };
        if !who.client.may_use(grant_type) {
            return Err(NOT_ITS_GRANT);
        }
        match grant {
            Grant::ClientCredentials => self.client_credentials(tenant, who, terms, request, limits).await,
            Grant::RefreshToken => Box::pin(self.refresh(tenant, who, terms, request, limits)).await,
        }
    }

    async fn client_credentials(
        &self,
        tenant: &Tenant,
        who: &Authenticated,
        terms: Terms<'_>,
        request: &TokenRequest<'_>,
        limits: &mut LimitState,
    ) -> Result<TokenAnswer, OauthError> {
        let Some(credential) = who.credential else {
            return Err(OauthError::UnauthorizedClient(
                "client_credentials is for confidential clients (RFC 6749 section 4.4)".into(),
            ));
        };
        let now = self.clock.now();
        let gate = gate(&who.client, terms.standing)?;
        let catalog = self.catalog(tenant).await?;
        let ask = Ask { scope: request.scope, resources: request.resources.clone() };
        let granted = catalog.grant(&who.client, who.narrowed.as_deref(), gate, &ask)?;
        let lifetime_seconds = self.lifetime_seconds(tenant, &who.client, gate, &granted, now)?;
        let charged = terms.charged().await?;
        self.take_quota(tenant, &who.client, limits, now).await?;
        let family = who
            .client
            .may_use(REFRESH_TOKEN)
            .then(|| self.with_entropy(|entropy| Id::<id::Family>::generate(now, entropy)));
        let issue = Issue {
            tenant,
            who,
            credential,
            gate,
            granted: &granted,
            lifetime_seconds,
            origin: family.map_or(Origin::Credential(credential), Origin::Family),
            grant: Grant::ClientCredentials,
            generation: family.map(|_| 0),
            source: request.source,
            request: request.request,
            now,
        };
        let issued = self.issue(&issue).await?;
        self.counters.issued_client_credentials.fetch_add(1, Ordering::Relaxed);
        let mut batch = Batch::new();
        let mut refresh_token = None;
        if let Some(family) = family {
            let handle = self.with_entropy(new_handle);
            batch = Box::pin(self.start_family(batch, &issue, family, handle)).await?;
            refresh_token = Some(token_text(tenant, family, &handle, 0));
        }
        let answer = Answer { issued, granted: &granted, refresh_token };
        self.finish(tenant, batch, answer, (terms.charge, charged)).await
    }

    /// What a client would get by client credentials with one of its secrets, under the standing of its customer: decided
    /// by the code that issues, but for limits and quotas. Secrets with narrower scopes of their own get less.
    ///
    /// # Errors
    /// The refusal that the request would meet.
    pub async fn preview(
        &self,
        tenant: &Tenant,
        client: &Client,
        standing: Option<&Standing>,
        ask: &Ask<'_>,
        request: Id<id::Request>,
    ) -> Result<Preview, OauthError> {
        let now = self.clock.now();
        let credential = client.credentials.iter().find(|credential| credential.is_live(now));
        let Some(credential) = credential.filter(|_| client.status(now) == Status::Active) else {
            return Err(OauthError::InvalidClient);
        };
        if !client.may_use(CLIENT_CREDENTIALS) {
            return Err(NOT_ITS_GRANT);
        }
        let gate = gate(client, standing)?;
        let granted = self.catalog(tenant).await?.grant(client, None, gate, ask)?;
        let lifetime_seconds = self.lifetime_seconds(tenant, client, gate, &granted, now)?;
        let origin = if client.may_use(REFRESH_TOKEN) {
            Origin::Family(self.with_entropy(|entropy| Id::generate(now, entropy)))
        } else {
            Origin::Credential(credential.id)
        };
        let jti = Jti { token: *request.as_bytes(), origin, seq: self.store.applied(tenant.id) };
        let claims = Claims {
            tenant,
            client,
            audience: &granted.audience,
            scope: &granted.scope,
            jti: &jti.to_string(),
            issued_at: now,
            lifetime_seconds,
            gate,
        };
        let claims = claims.encode();
        let is_jwt = client.settings.access_token_format == TokenFormat::Jwt;
        Ok(Preview { claims, alg: is_jwt.then(|| algorithm(client, &granted)), lifetime_seconds })
    }

    /// Appends the issuance to the journal, in the commit of its rows where it has any, and answers after. What the plan
    /// asks for it is planned again while other commits come first.
    async fn finish(
        &self,
        tenant: &Tenant,
        batch: Batch,
        answer: Answer<'_>,
        (charge, charged): (Option<&dyn Charge>, Batch),
    ) -> Result<TokenAnswer, OauthError> {
        let Answer { issued: Issued { access_token, lifetime_seconds, entry, opaque }, granted, refresh_token } =
            answer;
        let batch = match opaque {
            Some((hash, claims)) => {
                let end = entry.at.plus_seconds(i64::from(lifetime_seconds));
                batch.expect(1, &sql::OPAQUE_INSERT, params![tenant.id, hash, claims, end])
            }
            None => batch,
        };
        if let Some(charge) = charge {
            let (mut charged, mut tries) = (charged, 0_u8);
            loop {
                let mut whole = batch.clone();
                whole.steps.extend(charged.steps);
                match Box::pin(self.store.commit(whole, Record::Issued(entry.clone()))).await {
                    Err(store::Error::Conflict(guard)) if charge.is_overtaken(guard) && tries < CHARGE_TRIES => {
                        tries = tries.saturating_add(1);
                        charged = charge.plan().await?;
                    }
                    done => break done.map(|_| ())?,
                }
            }
        } else if batch.steps.is_empty() {
            self.store.journal(entry).await?;
        } else {
            Box::pin(self.store.commit(batch, Record::Issued(entry))).await?;
        }
        Ok(TokenAnswer { access_token, expires_in: lifetime_seconds, scope: Arc::clone(&granted.scope), refresh_token })
    }

    async fn start_family(
        &self,
        batch: Batch,
        issue: &Issue<'_>,
        family: Id<id::Family>,
        handle: [u8; 16],
    ) -> Result<Batch, OauthError> {
        let (tenant, client, now) = (issue.tenant, &issue.who.client, issue.now);
        let settings = &client.settings;
        let absolute = i64::from(settings.refresh_token_ttl_seconds.unwrap_or(REFRESH_TTL_DEFAULT_SECONDS));
        let idle = i64::from(settings.refresh_token_idle_seconds.unwrap_or(REFRESH_IDLE_DEFAULT_SECONDS)).min(absolute);
        let none = Id::<id::Family>::from_bytes([0; 16]);
        let limit = i64::try_from(self.settings.max_families.saturating_add(1)).unwrap_or(i64::MAX);
        let live =
            self.store.read_all(&sql::FAMILIES_OF_CLIENT, params![tenant.id, client.id, now, none, limit]).await?;
        let mut batch = batch;
        if live.len() >= self.settings.max_families
            && let Some(oldest) = live.first()
        {
            let oldest = Family::from_row(oldest)?;
            self.end_family(tenant, client, &oldest, "too_many_families").await?;
        }
        let absolute_deadline = now.plus_seconds(absolute);
        batch = batch.expect(
            1,
            &sql::FAMILY_INSERT,
            params![
                tenant.id,
                family,
                handle.as_slice(),
                client.id,
                issue.credential,
                &*issue.granted.scope,
                issue.granted.audience.join(" "),
                now,
                idle,
                now.plus_seconds(idle),
                absolute_deadline,
            ],
        );
        Ok(batch)
    }

    /// Ends a family in a commit of its own, with its tokens listed.
    async fn end_family(
        &self,
        tenant: &Tenant,
        client: &Client,
        family: &Family,
        reason: &'static str,
    ) -> Result<(), OauthError> {
        let now = self.clock.now();
        let until = now.plus_seconds(86_400 + 60);
        let id = family.id.to_string();
        let who = self.system(tenant, "families");
        let (kind, audit) = match reason {
            "reuse" => (Type::TokenReuseDetected, action::FAMILY_REUSE_DETECTED),
            _ => (Type::TokenRevoked, action::FAMILY_REVOKED),
        };
        let data = serde_json::json!({
            "family": id, "client_id": &*client.client_id, "credential": family.credential.to_string(), "reason": reason,
            "at": now.to_string(),
            "rotated_at": family.rotations.last().map(|(_, at)| at.to_string()),
        });
        let batch = Batch::new()
            .expect(1, &sql::FAMILY_END, params![tenant.id, family.id, now, reason])
            .run(&sql::DENIED_INSERT, params![tenant.id, id.as_str(), client.id, until])
            .change_until(ChangeKind::Denied, id.as_str(), until.as_micros())
            .event(event(self, kind, ("family", &id), data.clone()));
        let record = change_record(self, &who, tenant, audit, ("family", &id), (None, Some(data)));
        match self.store.commit_reserved(batch, record).await {
            Ok(_) | Err(store::Error::Conflict(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn take_quota(
        &self,
        tenant: &Tenant,
        client: &Client,
        limits: &mut LimitState,
        now: Timestamp,
    ) -> Result<(), OauthError> {
        let Some(quota) = client.settings.token_quota else { return Ok(()) };
        let taken = Box::pin(self.quotas.take(&self.store, tenant.id, client.id, quota, now)).await?;
        if !taken.limits.policy.is_empty() {
            let separator = if limits.policy.is_empty() { "" } else { ", " };
            limits.policy = format!("{}{separator}{}", limits.policy, taken.limits.policy);
            limits.state = format!("{}{separator}{}", limits.state, taken.limits.state);
        }
        for (window, percent) in &taken.passed {
            let facts = serde_json::json!({"policy": window, "percent": percent});
            Box::pin(self.announce_limit(tenant, client, Type::QuotaThresholdReached, facts)).await?;
        }
        match taken.refused {
            Some((policy, retry_after_seconds)) => {
                self.counters.limited.fetch_add(1, Ordering::Relaxed);
                Err(OauthError::SlowDown { policy, retry_after_seconds })
            }
            None => Ok(()),
        }
    }

    async fn announce_limit(
        &self,
        tenant: &Tenant,
        client: &Client,
        kind: Type,
        facts: serde_json::Value,
    ) -> Result<(), OauthError> {
        let who = self.system(tenant, "limits");
        let batch = Batch::new().event(event(self, kind, ("client", &client.client_id), facts.clone()));
        let record = change_record(
            self,
            &who,
            tenant,
            action::LIMIT_REACHED,
            ("client", &client.client_id),
            (None, Some(facts)),
        );
        self.store.commit(batch, record).await?;
        Ok(())
    }

    async fn refresh(
        &self,
        tenant: &Tenant,
        who: &Authenticated,
        terms: Terms<'_>,
        request: &TokenRequest<'_>,
        limits: &mut LimitState,
    ) -> Result<TokenAnswer, OauthError> {
        const DEAD: OauthError =
            OauthError::InvalidGrant("the refresh token is not valid, has ended or is another client's");
        let text = request.refresh_token.ok_or(OauthError::InvalidRequest("refresh_token is missing".into()))?;
        let presented = RefreshToken::parse(tenant, text).ok_or(DEAD)?;
        let settings = &who.client.settings;
        let window = settings.refresh_reuse_window_seconds.unwrap_or(REUSE_WINDOW_DEFAULT_SECONDS);
        let mut quota_taken = false;
        // A lost swap means that another request rotated: read again, where this token is now a repeat.
        for attempt in 0..8 {
            let now = self.clock.now();
            // What was seen last is good enough for a current token: the commit's guard decides. Everything else,
            // a suspected reuse above all, is judged by the store.
            let seen = self.families_seen.get(&(tenant.id, presented.handle));
            let seen = seen.filter(|f| attempt == 0 && f.generation == presented.generation && f.is_live(now));
            let family = if let Some(family) = seen {
                family
            } else {
                let ask = params![tenant.id, presented.handle.as_slice()];
                let row = self.store.read(&sql::FAMILY_BY_HANDLE, ask).await?.ok_or(DEAD)?;
                Arc::new(Family::from_row(&row)?)
            };
            if !presented.is_of(tenant, &family) || !family.is_live(now) {
                return Err(DEAD);
            }
            // The credential that started the family must not have ended (RFC 6749 §10.4).
            let starter = who.client.credentials.iter().find(|c| c.id == family.credential);
            let own = family.client == who.client.id && starter.is_some_and(|c| c.is_unended(now));
            if !own && !mutant::is("S-04-foreign") {
                return Err(DEAD);
            }
            let judgment = family.judge(presented.generation, window, now);
            if let Judgment::Reuse(_) = judgment {
                self.end_family(tenant, &who.client, &family, "reuse").await?;
                return Err(OauthError::InvalidGrant("the refresh token was used before; its family has been revoked"));
            }
            let gate = gate(&who.client, terms.standing)?;
            let granted = self.regrant(tenant, &who.client, gate, &family, request).await?;
            let lifetime_seconds = self.lifetime_seconds(tenant, &who.client, gate, &granted, now)?;
            let charged = terms.charged().await?;
            if !quota_taken {
                self.take_quota(tenant, &who.client, limits, now).await?;
                quota_taken = true;
            }
            let generation = match judgment {
                Judgment::Current => family.generation.checked_add(1).ok_or(DEAD)?,
                Judgment::Repeat | Judgment::Reuse(_) => family.generation,
            };
            let issued = self
                .issue(&Issue {
                    tenant,
                    who,
                    credential: family.credential,
                    gate,
                    granted: &granted,
                    lifetime_seconds,
                    origin: Origin::Family(family.id),
                    grant: Grant::RefreshToken,
                    generation: Some(generation),
                    source: request.source,
                    request: request.request,
                    now,
                })
                .await?;
            let next = (judgment == Judgment::Current).then(|| family.after_rotation(window, now));
            let batch = match &next {
                Some(next) => Batch::new().expect(
                    1,
                    &sql::FAMILY_ROTATE,
                    params![tenant.id, family.id, family.generation, next.rotations_text(), next.idle_deadline],
                ),
                None => Batch::new().expect(1, &sql::FAMILY_REPEAT, params![tenant.id, family.id, family.generation]),
            };
            let refresh_token = Some(token_text(tenant, family.id, &family.handle, generation));
            let answer = Answer { issued, granted: &granted, refresh_token };
            match self.finish(tenant, batch, answer, (terms.charge, charged)).await {
                Err(OauthError::Unavailable) if self.lost_swap(tenant, &family).await? => {}
                other => {
                    if other.is_ok() {
                        self.counters.issued_refresh.fetch_add(1, Ordering::Relaxed);
                        if let Some(next) = next {
                            self.families_seen.insert((tenant.id, family.handle), Arc::new(next));
                        }
                    }
                    return other;
                }
            }
        }
        Err(OauthError::Unavailable)
    }

    /// Whether the family moved on or ended since it was read: then the failed commit was a lost swap.
    async fn lost_swap(&self, tenant: &Tenant, family: &Family) -> Result<bool, OauthError> {
        let row = self.store.read(&sql::FAMILY_BY_ID, params![tenant.id, family.id]).await?;
        let now = row.as_ref().map(Family::from_row).transpose()?;
        Ok(now.is_none_or(|f| f.generation != family.generation || f.ended_at != family.ended_at))
    }

    /// Scopes and audience of a refresh: within the original grant, and within what the client may still have.
    async fn regrant(
        &self,
        tenant: &Tenant,
        client: &Client,
        gate: Gate<'_>,
        family: &Family,
        request: &TokenRequest<'_>,
    ) -> Result<Granted, OauthError> {
        let original: Vec<Arc<str>> = family.scope.split(' ').filter(|s| !s.is_empty()).map(Arc::from).collect();
        let audiences: Vec<&str> = family.audience.split(' ').filter(|a| !a.is_empty()).collect();
        let catalog = self.catalog(tenant).await?;
        let asked = if let Some(scope) = request.scope {
            scope.to_owned()
        } else {
            // Scopes the client or its customer has lost since then fall away; none may be added.
            let left = original.iter().filter(|s| client.holds(s) && gate.leaves(s, || catalog.requires(s)));
            left.map(|s| &**s).collect::<Vec<_>>().join(" ")
        };
        if asked.is_empty() && !original.is_empty() {
            return Err(OauthError::InvalidScope(
                "the client or its customer no longer has any scope of the original grant".to_owned(),
            ));
        }
        let resources = if request.resources.is_empty() { audiences.clone() } else { request.resources.clone() };
        for resource in &resources {
            let named = catalog.by_resource(resource).map(|api| &*api.identifier);
            if !named.is_some_and(|identifier| audiences.contains(&identifier)) {
                return Err(OauthError::InvalidTarget("the resource is not in the original grant".to_owned()));
            }
        }
        let scope = (!asked.is_empty()).then_some(asked.as_str());
        if scope.is_none() {
            // A grant without scopes stays one, whatever the client's defaults are by now.
            let bare = Client {
                settings: Settings { scopes: Vec::new(), default_scopes: Vec::new(), ..client.settings.clone() },
                ..client.clone()
            };
            return catalog.grant(&bare, None, gate, &Ask { scope: None, resources });
        }
        // The original grant bounds every refresh (RFC 6749 §6).
        let bound = (!mutant::is("S-04-widened")).then_some(original.as_slice());
        catalog.grant(client, bound, gate, &Ask { scope, resources })
    }

    /// Makes the token and its journal entry; writes nothing.
    async fn issue(&self, issue: &Issue<'_>) -> Result<Issued, OauthError> {
        let client = &issue.who.client;
        let token = *issue.request.as_bytes();
        let seq = if mutant::is("S-36-stamp") { self.store.applied(issue.tenant.id) } else { issue.who.seq };
        let lifetime_seconds = issue.lifetime_seconds;
        let claims = Claims {
            tenant: issue.tenant,
            client,
            audience: &issue.granted.audience,
            scope: &issue.granted.scope,
            jti: &Jti { token, origin: issue.origin, seq }.to_string(),
            issued_at: issue.now,
            lifetime_seconds,
            gate: issue.gate,
        };
        let claims = claims.encode();
        let (access_token, kind, opaque) = match client.settings.access_token_format {
            TokenFormat::Jwt => (self.sign(issue, &claims).await?, TokenKind::Jwt, None),
            TokenFormat::Opaque => {
                let token = self.with_entropy(|entropy| generate_credential(ACCESS_TOKEN, entropy));
                let hash = issue.tenant.pepper.tag(token.reveal().as_bytes()).to_vec();
                (token, TokenKind::Opaque, Some((hash, claims)))
            }
        };
        let audience = match issue.granted.audience.as_slice() {
            [one] => Arc::clone(one),
            several => Arc::from(several.join(" ")),
        };
        let issuance = Issuance {
            at: issue.now,
            token,
            origin: issue.origin,
            seq,
            client: client.id,
            client_id: Arc::clone(&client.client_id),
            credential: issue.credential,
            grant: issue.grant,
            kind,
            scope: Arc::clone(&issue.granted.scope),
            audience,
            lifetime_seconds,
            source: issue.source,
            request: issue.request,
            generation: issue.generation,
        };
        let entry = Entry { tenant: issue.tenant.id, at: issue.now, bytes: issuance.encode() };
        Ok(Issued { access_token, lifetime_seconds, entry, opaque })
    }

    async fn sign(&self, issue: &Issue<'_>, claims: &str) -> Result<Secret<String>, OauthError> {
        let alg = algorithm(&issue.who.client, issue.granted);
        let mut keys = self.keys(issue.tenant).await?;
        if keys.active(KeyPurpose::Token, alg).is_none() {
            self.ensure_keys(issue.tenant, KeyPurpose::Token, alg)
                .await
                .map_err(|error| OauthError::Internal(Some(Box::new(error))))?;
            keys = self.keys(issue.tenant).await?;
        }
        let active = keys.active(KeyPurpose::Token, alg).ok_or(OauthError::Internal(None))?;
        Ok(Secret::new(active.key.sign_compact(&active.access_token_header, claims.as_bytes())?))
    }
}
