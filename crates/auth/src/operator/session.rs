//! Sessions: 256 random bits in a cookie, a keyed hash in the store, one hour idle, one day at most.
//!
//! A session shows what its person may do at this moment: role and state are read with it, and the change feed drops
//! what is held in memory. A rise of rights within a session gives it a new token.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::clock::Timestamp;
use kernel::id::{self, Id};
use kernel::principal::{Principal, Subject};
use kernel::secret::{SESSION, Secret, credential_bytes, generate_credential};
use kernel::tenant::TenantId;
use record::action;
use serde_json::json;
use store::keyring::Purpose;
use store::{Batch, ChangeKind, Row, Upkeep, params};

use super::account::Operator;
use super::browser::Browser;
use super::error::OperatorError;
use super::role::Role;
use super::scope::{OPERATORS_READ, OPERATORS_WRITE};
use super::sql;
use crate::directory::Auth;
use crate::error::AdminError;
use record::plan::{Planned, change_record};
use record::tenant::Tenant;

/// Seconds without a request after which a session ends.
pub const IDLE_SECONDS: i64 = 3_600;
/// Seconds after which a session ends in any case.
pub const ABSOLUTE_SECONDS: i64 = 86_400;
/// Seconds for which a sign-in counts as fresh.
pub const FRESH_SECONDS: i64 = 600;
/// How often "last seen" is written down, in seconds; a restart forgets at most that much of a session's hour.
const SEEN_SECONDS: i64 = 60;
/// Sessions held in memory.
const HELD: usize = 10_000;

/// How a person proved themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Passphrase alone.
    Passphrase,
    /// Passphrase and a one-time code.
    Totp,
    /// Passphrase and a recovery code.
    RecoveryCode,
    /// Passkey with user verification.
    Passkey,
    /// The link that sets up an owner.
    SetupLink,
    /// An invitation.
    Invitation,
    /// The link that `dev` prints on loopback.
    Development,
    /// An owner of the first tenant entered another one; see [`super::enter`].
    Entered,
}

impl Method {
    const ALL: [Self; 8] = [
        Self::Passphrase,
        Self::Totp,
        Self::RecoveryCode,
        Self::Passkey,
        Self::SetupLink,
        Self::Invitation,
        Self::Development,
        Self::Entered,
    ];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passphrase => "passphrase",
            Self::Totp => "passphrase and totp",
            Self::RecoveryCode => "passphrase and recovery code",
            Self::Passkey => "passkey",
            Self::SetupLink => "setup link",
            Self::Invitation => "invitation",
            Self::Development => "development link",
            Self::Entered => "owner of default",
        }
    }

    /// Reads the stable name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == text)
    }
}

/// One session as it is stored.
#[derive(Debug, Clone)]
pub struct Session {
    /// Its id, as lists show it; never a credential.
    pub id: Id<id::Session>,
    /// Whose it is.
    pub operator: Id<id::Operator>,
    /// Keyed hash of the token.
    pub(crate) hash: Vec<u8>,
    /// How it was signed in.
    pub method: Method,
    /// The browser's name.
    pub browser: String,
    /// The address it was opened from.
    pub source: String,
    /// When it was opened.
    pub created_at: Timestamp,
    /// The last request, as far as it was written down.
    pub last_seen_at: Timestamp,
    /// Until when the last full sign-in counts as fresh.
    pub fresh_until: Timestamp,
    /// When it ends in any case.
    pub absolute_deadline: Timestamp,
}

impl Session {
    /// Reads a row of [`sql::SESSION_BY_HASH`].
    ///
    /// # Errors
    /// [`store::Error::RowCorrupt`] when the row is not a session.
    pub fn from_row(row: &Row) -> Result<Self, store::Error> {
        Ok(Self {
            id: row.id(0)?,
            operator: row.id(1)?,
            hash: row.bytes(2)?.to_vec(),
            method: Method::parse(row.text(3)?).ok_or(store::Error::RowCorrupt)?,
            browser: row.text(4)?.to_owned(),
            source: row.text(5)?.to_owned(),
            created_at: row.time(6)?,
            last_seen_at: row.time(7)?,
            fresh_until: row.time(8)?,
            absolute_deadline: row.time(9)?,
        })
    }
}

impl Session {
    /// The tenant that the account of a session of a tenant belongs to.
    fn home(&self, tenant: TenantId) -> TenantId {
        if self.method == Method::Entered { kernel::tenant::DEFAULT } else { tenant }
    }
}

/// Whether a session lives: it was seen within the hour, and it is younger than a day.
pub fn is_alive(last_seen_at: Timestamp, absolute_deadline: Timestamp, now: Timestamp) -> bool {
    now < absolute_deadline && now < last_seen_at.plus_seconds(IDLE_SECONDS)
}

/// A live session and the person it belongs to, as they are at this moment.
#[derive(Debug, Clone)]
pub struct Live {
    /// The session.
    pub session: Arc<Session>,
    /// The person.
    pub operator: Arc<Operator>,
    /// Whether the person must enroll a passkey or one-time codes before anything else.
    pub must_enroll: bool,
}

impl Live {
    /// The person as the principal of use-cases. Without the second factor that the role needs, it holds no scope.
    pub fn principal(&self, browser: &Browser, tenant: TenantId) -> Principal {
        let scopes = if self.must_enroll { Arc::from([]) } else { self.operator.role.scopes() };
        Principal {
            tenant,
            subject: Subject::Operator {
                id: self.operator.id,
                email: Arc::clone(&self.operator.email),
                method: self.session.method.name(),
            },
            credential: None,
            scopes,
            source: browser.source,
            request: browser.request,
        }
    }

    /// Whether the last full sign-in is at most ten minutes old.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now < self.session.fresh_until
    }

    /// What the page of an action that needs a fresh sign-in asks first.
    ///
    /// # Errors
    /// [`OperatorError::NotFresh`].
    pub fn require_fresh(&self, now: Timestamp) -> Result<(), OperatorError> {
        if self.is_fresh(now) { Ok(()) } else { Err(OperatorError::NotFresh) }
    }
}

/// What a new session begins with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) id: Id<id::Session>,
    pub(crate) fresh_until: Timestamp,
    pub(crate) absolute_deadline: Timestamp,
}

/// A completed sign-in: what the browser keeps.
pub struct SignedIn {
    /// The session cookie's value.
    pub token: Secret<String>,
    /// The device cookie's value, to be kept for [`super::browser::DEVICE_SECONDS`].
    pub device: Secret<String>,
    /// The session.
    pub live: Live,
}

/// A tenant and the keyed hash of a token.
type SessionKey = (TenantId, [u8; 32]);

/// A session in memory.
struct Held {
    session: Arc<Session>,
    operator: Arc<Operator>,
    /// Microseconds of the last request, and of the last one written down.
    seen: AtomicI64,
    written: AtomicI64,
}

/// Sessions in memory; what the feed names is forgotten, and nothing read before a change is kept after it.
#[derive(Default)]
pub(crate) struct Sessions {
    map: RwLock<HashMap<SessionKey, Arc<Held>>>,
    generation: AtomicU64,
}

impl Sessions {
    /// Forgets the sessions of an operator, or of everyone when the key names nobody.
    pub(crate) fn forget(&self, tenant: TenantId, key: &str) {
        let operator = Id::<id::Operator>::parse(key).ok();
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        self.generation.fetch_add(1, Ordering::SeqCst);
        map.retain(|(of, _), held| {
            let is_of = *of == tenant || held.session.home(*of) == tenant;
            !is_of || operator.is_some_and(|id| id != held.operator.id)
        });
    }

    fn get(&self, key: &SessionKey) -> Option<Arc<Held>> {
        self.map.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn put(&self, key: SessionKey, held: &Arc<Held>, generation: u64) {
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        if self.generation.load(Ordering::SeqCst) != generation {
            return;
        }
        if map.len() >= HELD {
            map.clear();
        }
        map.insert(key, Arc::clone(held));
    }
}

impl Auth {
    /// The keyed hash under which a session token is stored; `None` when the text is none.
    fn session_hash(&self, tenant: &Tenant, token: &str) -> Option<[u8; 32]> {
        credential_bytes::<32>(SESSION, token)?;
        Some(self.operator_key(tenant, Purpose::Cookie, b"sessions").tag(token.as_bytes()))
    }

    /// The live session of a cookie; `None` when there is none any more, whatever the reason.
    ///
    /// # Errors
    /// The store's.
    pub async fn session(&self, tenant: &Tenant, token: &str) -> Result<Option<Live>, store::Error> {
        let Some(hash) = self.session_hash(tenant, token) else { return Ok(None) };
        let key = (tenant.id, hash);
        let Some(held) = self.held_session(key).await? else { return Ok(None) };
        let now = self.clock.now();
        let last_seen = Timestamp::from_micros(held.seen.load(Ordering::SeqCst));
        let is_good = is_alive(last_seen, held.session.absolute_deadline, now) && held.operator.disabled_at.is_none();
        if !is_good {
            return Ok(None);
        }
        held.seen.fetch_max(now.as_micros(), Ordering::SeqCst);
        let written = held.written.load(Ordering::SeqCst);
        let is_due = Timestamp::from_micros(written).plus_seconds(SEEN_SECONDS) <= now;
        let is_ours = is_due
            && held.written.compare_exchange(written, now.as_micros(), Ordering::SeqCst, Ordering::SeqCst).is_ok();
        if is_ours {
            let seen = Batch::new().run(&sql::SESSION_SEEN, params![tenant.id, held.session.id, now]);
            self.store.upkeep(Upkeep::SignIn, seen).await?;
        }
        let operator = Arc::clone(&held.operator);
        Ok(Some(Live { must_enroll: self.must_enroll(&operator), session: Arc::clone(&held.session), operator }))
    }

    /// Whether the session of a cookie still lives; asking does not keep it alive.
    ///
    /// # Errors
    /// The store's.
    pub async fn is_live(&self, tenant: &Tenant, token: &str) -> Result<bool, store::Error> {
        let Some(hash) = self.session_hash(tenant, token) else { return Ok(false) };
        let Some(held) = self.held_session((tenant.id, hash)).await? else { return Ok(false) };
        let last_seen = Timestamp::from_micros(held.seen.load(Ordering::SeqCst));
        let is_timely = is_alive(last_seen, held.session.absolute_deadline, self.clock.now());
        Ok(is_timely && held.operator.disabled_at.is_none())
    }

    /// A session from memory, or read with its person.
    async fn held_session(&self, key: SessionKey) -> Result<Option<Arc<Held>>, store::Error> {
        if let Some(held) = self.operator_sessions.get(&key) {
            return Ok(Some(held));
        }
        let (tenant, hash) = key;
        let generation = self.operator_sessions.generation.load(Ordering::SeqCst);
        let row = self.store.read(&sql::SESSION_BY_HASH, params![tenant, hash.as_slice()]).await?;
        let Some(session) = row.as_ref().map(Session::from_row).transpose()? else { return Ok(None) };
        let home = session.home(tenant);
        let Some(operator) = self.operator(home, session.operator).await? else { return Ok(None) };
        if session.method == Method::Entered && !self.may_stay(home, &session, &operator).await? {
            return Ok(None);
        }
        let seen = session.last_seen_at.as_micros();
        let held = Arc::new(Held {
            session: Arc::new(session),
            operator: Arc::new(operator),
            seen: AtomicI64::new(seen),
            written: AtomicI64::new(seen),
        });
        self.operator_sessions.put(key, &held, generation);
        Ok(Some(held))
    }

    /// Whether the role asks for a second factor that is not there.
    pub(crate) const fn must_enroll(&self, operator: &Operator) -> bool {
        self.settings.second_factor_required && operator.role.needs_second_factor() && !operator.has_second_factor()
    }

    /// The token that forms carry, bound to the session and its present cookie (console: CSRF).
    pub fn form_token(&self, tenant: &Tenant, session: &Session) -> String {
        let tag = self.operator_key(tenant, Purpose::Cookie, b"forms").tag(&session.hash);
        URL_SAFE_NO_PAD.encode(tag)
    }

    /// Whether a form carried the token of this session.
    pub fn is_form_token(&self, tenant: &Tenant, session: &Session, text: &str) -> bool {
        jose::constant_time_eq(self.form_token(tenant, session).as_bytes(), text.as_bytes())
    }

    /// A new token and its hash.
    fn new_token(&self, tenant: &Tenant) -> (Secret<String>, [u8; 32]) {
        let token = self.with_entropy(|entropy| generate_credential(SESSION, entropy));
        let hash = self.operator_key(tenant, Purpose::Cookie, b"sessions").tag(token.reveal().as_bytes());
        (token, hash)
    }

    /// Adds a new session to the batch of a sign-in.
    pub(crate) fn open_session(
        &self,
        batch: Batch,
        tenant: &Tenant,
        operator: &Operator,
        method: Method,
        browser: &Browser,
    ) -> (Batch, SignedIn) {
        let now = self.clock.now();
        let times = Times {
            id: self.with_entropy(|entropy| Id::generate(now, entropy)),
            fresh_until: now.plus_seconds(FRESH_SECONDS),
            absolute_deadline: now.plus_seconds(ABSOLUTE_SECONDS),
        };
        self.open_session_as(batch, tenant, (operator, method), browser, times)
    }

    /// The same with an id and times that are given.
    pub(crate) fn open_session_as(
        &self,
        batch: Batch,
        tenant: &Tenant,
        (operator, method): (&Operator, Method),
        browser: &Browser,
        times: Times,
    ) -> (Batch, SignedIn) {
        let now = self.clock.now();
        let (token, hash) = self.new_token(tenant);
        let session = Session {
            id: times.id,
            operator: operator.id,
            hash: hash.to_vec(),
            method,
            browser: browser.agent_text(),
            source: browser.source_text(),
            created_at: now,
            last_seen_at: now,
            fresh_until: times.fresh_until,
            absolute_deadline: times.absolute_deadline,
        };
        let batch = batch.expect(
            1,
            &sql::SESSION_INSERT,
            params![
                tenant.id,
                session.id,
                session.operator,
                session.hash.as_slice(),
                method.name(),
                session.browser.as_str(),
                session.source.as_str(),
                now,
                session.fresh_until,
                session.absolute_deadline,
            ],
        );
        let device = self.device_for(tenant, operator.id, browser);
        let operator = Arc::new(operator.clone());
        let live = Live { must_enroll: self.must_enroll(&operator), session: Arc::new(session), operator };
        (batch, SignedIn { token, device, live })
    }

    /// Gives a session a new token: its rights rise with this batch.
    pub(crate) fn renew_session(
        &self,
        batch: Batch,
        tenant: &Tenant,
        live: &Live,
        method: Method,
    ) -> (Batch, Secret<String>) {
        let now = self.clock.now();
        let (token, hash) = self.new_token(tenant);
        let fresh = now.plus_seconds(FRESH_SECONDS);
        let old = live.session.hash.as_slice();
        let batch = batch
            .expect(
                1,
                &sql::SESSION_RENEW,
                params![tenant.id, live.session.id, old, hash.as_slice(), method.name(), now, fresh],
            )
            .change(ChangeKind::Operator, live.operator.id.to_string());
        (batch, token)
    }

    /// The sessions of an operator that still live, the oldest first.
    ///
    /// # Errors
    /// [`AdminError::Forbidden`] for somebody else's without `operators:read`, the store's.
    pub async fn sessions(
        &self,
        who: &Principal,
        tenant: &Tenant,
        operator: Id<id::Operator>,
    ) -> Result<Vec<Session>, OperatorError> {
        let is_own = matches!(&who.subject, Subject::Operator { id, .. } if *id == operator);
        if !is_own && !who.holds(OPERATORS_READ) {
            return Err(AdminError::Forbidden(OPERATORS_READ).into());
        }
        let now = self.clock.now();
        let rows = self.store.read_all(&sql::SESSIONS, params![tenant.id, operator, now]).await?;
        let mut sessions = rows.iter().map(Session::from_row).collect::<Result<Vec<_>, _>>()?;
        for session in &mut sessions {
            let held = <[u8; 32]>::try_from(session.hash.as_slice())
                .ok()
                .and_then(|hash| self.operator_sessions.get(&(tenant.id, hash)));
            if let Some(held) = held {
                session.last_seen_at = Timestamp::from_micros(held.seen.load(Ordering::SeqCst));
            }
        }
        sessions.retain(|session| is_alive(session.last_seen_at, session.absolute_deadline, now));
        Ok(sessions)
    }

    /// Ends one session, or with `None` all sessions of an operator. Signing out is ending one's own.
    ///
    /// # Errors
    /// [`AdminError::Forbidden`] for somebody else's without `operators:write` or without the rights of their role,
    /// [`AdminError::NotFound`], the store's.
    pub async fn end_sessions(
        &self,
        who: &Principal,
        tenant: &Tenant,
        operator: Id<id::Operator>,
        session: Option<Id<id::Session>>,
    ) -> Result<(), OperatorError> {
        let Planned { batch, record, .. } = self.plan_session_end(who, tenant, operator, session).await?;
        match self.store.commit_reserved(batch, record).await {
            Ok(_) => Ok(()),
            Err(store::Error::Conflict(_)) => Err(AdminError::NotFound("session").into()),
            Err(error) => Err(error.into()),
        }
    }

    /// What [`Auth::end_sessions`] carries out.
    ///
    /// # Errors
    /// Those of [`Auth::end_sessions`].
    pub async fn plan_session_end(
        &self,
        who: &Principal,
        tenant: &Tenant,
        operator: Id<id::Operator>,
        session: Option<Id<id::Session>>,
    ) -> Result<Planned<()>, AdminError> {
        let is_own = matches!(&who.subject, Subject::Operator { id, .. } if *id == operator);
        // whoever entered from another tenant has sessions here and no account
        let person = self.operator(tenant.id, operator).await?;
        if person.is_none() && !is_own {
            return Err(AdminError::NotFound("operator"));
        }
        if let Some(id) = session {
            let known = self.store.read(&sql::SESSION_BY_ID, params![tenant.id, operator, id]).await?;
            known.ok_or(AdminError::NotFound("session"))?;
        }
        if let Some(person) = person.filter(|_| !is_own) {
            allow_over(who, person.role)?;
        }
        let batch = match session {
            Some(id) => Batch::new().expect(1, &sql::SESSION_DELETE, params![tenant.id, operator, id]),
            None => Batch::new().run(&sql::SESSION_DELETE_ALL, params![tenant.id, operator]),
        };
        let key = operator.to_string();
        let batch = batch.change(ChangeKind::Operator, key.as_str());
        let after = json!({"session": session.map_or_else(|| "all".to_owned(), |id| id.to_string())});
        let object = ("operator", key.as_str());
        let record = change_record(self, who, tenant, action::SESSION_ENDED, object, (None, Some(after)));
        Ok(Planned { batch, record, value: () })
    }

    /// Ends every session of the tenant.
    ///
    /// # Errors
    /// [`AdminError::Forbidden`] without the rights of an owner, the store's.
    pub async fn end_all_sessions(&self, who: &Principal, tenant: &Tenant) -> Result<(), OperatorError> {
        allow_over(who, Role::Owner)?;
        let batch =
            Batch::new().run(&sql::SESSION_DELETE_TENANT, params![tenant.id]).change(ChangeKind::Operator, "everyone");
        let after = Some(json!({"session": "all"}));
        let object = ("operator", "everyone");
        let record = change_record(self, who, tenant, action::SESSION_ENDED, object, (None, after));
        self.store.commit_reserved(batch, record).await?;
        Ok(())
    }
}

/// Whether a principal may act on people of a role: it writes operators, and holds all that they hold.
pub(crate) fn allow_over(who: &Principal, role: Role) -> Result<(), AdminError> {
    if who.holds(OPERATORS_WRITE) && role.is_within(who) { Ok(()) } else { Err(AdminError::Forbidden(OPERATORS_WRITE)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_after_an_idle_hour_and_after_a_day() {
        let start = Timestamp::from_seconds(1_000_000);
        let end = start.plus_seconds(ABSOLUTE_SECONDS);
        assert!(is_alive(start, end, start.plus_seconds(IDLE_SECONDS - 1)));
        assert!(!is_alive(start, end, start.plus_seconds(IDLE_SECONDS)));
        assert!(is_alive(end.plus_seconds(-10), end, end.plus_seconds(-1)));
        assert!(!is_alive(end.plus_seconds(-10), end, end));
    }

    #[test]
    fn a_method_is_read_back() {
        for method in Method::ALL {
            assert_eq!(Method::parse(method.name()), Some(method));
        }
    }
}
