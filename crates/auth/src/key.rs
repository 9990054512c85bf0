//! Signing keys: staged, active, retiring, destroyed; published before they sign and after they stopped.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jose::{Alg, Jwk, SigningKey, VerifyKey};
use kernel::clock::Timestamp;
use kernel::event::Type;
use kernel::id::{self, Id};
use kernel::principal::Principal;
use kernel::secret::Secret;
use record::{Verifier, action};
use store::{Batch, ChangeKind, Row, params};

use crate::directory::Auth;
use crate::error::{AdminError, FieldProblem};
use crate::sql;
use record::plan::{Planned, change_record, event};
use record::tenant::Tenant;

/// Seconds a JWKS answer may be cached.
pub const JWKS_MAX_AGE_SECONDS: i64 = 300;
/// Seconds a staged key must have been published before it signs: the cache life and a minute.
pub const PUBLICATION_SECONDS: i64 = JWKS_MAX_AGE_SECONDS + 60;
/// Seconds a retired key stays published: the longest token life and a minute of skew.
pub const RETIREMENT_SECONDS: i64 = 86_400 + 60;

/// What a key signs; a verifier checks it too, so that one kind of document never passes for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyPurpose {
    /// Access tokens.
    Token,
    /// Introspection answers (RFC 9701): a key of their own, so that none passes for an access token (§8.1).
    Introspection,
    /// Audit checkpoints.
    Checkpoint,
}

impl KeyPurpose {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Introspection => "introspection",
            Self::Checkpoint => "checkpoint",
        }
    }

    /// Reads the stable name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Token, Self::Introspection, Self::Checkpoint].into_iter().find(|p| p.name() == text)
    }
}

/// What every tenant needs a key for from its beginning; others are made on first use.
const EVERY_TENANT: [KeyPurpose; 2] = [KeyPurpose::Token, KeyPurpose::Checkpoint];

/// Where a key is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// Published, does not sign yet.
    Staged,
    /// Signs.
    Active,
    /// Published, signs no more.
    Retiring,
    /// Gone; only the record is left.
    Destroyed,
}

impl KeyState {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Destroyed => "destroyed",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Staged, Self::Active, Self::Retiring, Self::Destroyed].into_iter().find(|s| s.name() == text)
    }
}

/// The public side of a key record.
#[derive(Debug, Clone)]
pub struct KeyRecord {
    /// Internal id.
    pub id: Id<id::Key>,
    /// What it signs.
    pub purpose: KeyPurpose,
    /// Its algorithm.
    pub alg: Alg,
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// Where it is in its life.
    pub state: KeyState,
    /// The public JWK.
    pub public_jwk: Jwk,
    /// Creation.
    pub created_at: Timestamp,
    /// First moment it may be promoted without force.
    pub promote_after: Timestamp,
    /// When it began to sign.
    pub promoted_at: Option<Timestamp>,
    /// When it stopped.
    pub retired_at: Option<Timestamp>,
    /// When it leaves the JWKS.
    pub remove_after: Option<Timestamp>,
    /// When a scheduled rotation replaces it.
    pub replace_at: Option<Timestamp>,
}

impl KeyRecord {
    /// What a checkpoint that this key signed under a name is verified by; `None` for a key of another purpose.
    pub fn verifier(&self, name: &str) -> Option<Verifier> {
        let x = self.public_jwk.x.as_deref().filter(|_| self.purpose == KeyPurpose::Checkpoint)?;
        let public = URL_SAFE_NO_PAD.decode(x).ok()?;
        Verifier::new(name, public.try_into().ok()?).ok()
    }

    /// Reads a row of [`crate::sql::KEYS`] or [`crate::sql::KEYS_LIST`].
    ///
    /// # Errors
    /// [`store::Error::RowCorrupt`] when the row is not a key.
    pub fn from_row(row: &Row) -> Result<Self, store::Error> {
        let corrupt = store::Error::RowCorrupt;
        Ok(Self {
            id: row.id(0)?,
            purpose: KeyPurpose::parse(row.text(1)?).ok_or(store::Error::RowCorrupt)?,
            alg: Alg::parse(row.text(2)?).ok_or(store::Error::RowCorrupt)?,
            kid: row.text(3)?.to_owned(),
            state: KeyState::parse(row.text(4)?).ok_or(store::Error::RowCorrupt)?,
            public_jwk: serde_json::from_str(row.text(5)?).map_err(|_| corrupt)?,
            created_at: row.time(7)?,
            promote_after: row.time(8)?,
            promoted_at: row.time_opt(9)?,
            retired_at: row.time_opt(10)?,
            remove_after: row.time_opt(11)?,
            replace_at: row.time_opt(12)?,
        })
    }
}

/// The key that signs, with its encoded header.
pub struct ActiveKey {
    /// The prepared key.
    pub key: SigningKey,
    /// The protected header of an access token, encoded once.
    pub access_token_header: String,
}

/// The keys of a tenant, ready to sign and verify.
#[derive(Default)]
pub struct KeySet {
    /// Keys that are not destroyed.
    pub records: Vec<KeyRecord>,
    active: HashMap<(KeyPurpose, Alg), Arc<ActiveKey>>,
    verify: HashMap<String, (KeyPurpose, Arc<VerifyKey>)>,
    /// The JWKS document.
    pub jwks: Arc<str>,
    /// Its strong entity tag, quotes included.
    pub etag: String,
}

impl KeySet {
    /// The key that signs for a purpose and algorithm.
    pub fn active(&self, purpose: KeyPurpose, alg: Alg) -> Option<&Arc<ActiveKey>> {
        self.active.get(&(purpose, alg))
    }

    /// The key that verifies for a purpose.
    pub fn verifier(&self, purpose: KeyPurpose, kid: &str) -> Option<&Arc<VerifyKey>> {
        self.verify.get(kid).filter(|(p, _)| *p == purpose).map(|(_, key)| key)
    }

    fn record(&self, purpose: KeyPurpose, alg: Alg, state: KeyState) -> Option<&KeyRecord> {
        self.records.iter().find(|r| r.purpose == purpose && r.alg == alg && r.state == state)
    }

    async fn load(auth: &Auth, tenant: &Tenant) -> Result<Self, store::Error> {
        let rows = auth.store.read_all(&sql::KEYS, params![tenant.id]).await?;
        let mut set = Self::default();
        let mut public = Vec::new();
        for row in &rows {
            let record = KeyRecord::from_row(row)?;
            let verify = VerifyKey::from_jwk(&record.public_jwk).map_err(|_| store::Error::RowCorrupt)?;
            set.verify.insert(record.kid.clone(), (record.purpose, Arc::new(verify)));
            if record.state == KeyState::Active {
                let sealed = row.bytes(6)?;
                let opened = unseal(auth, tenant, &record, sealed).await?;
                let key = SigningKey::from_pkcs8(record.alg, opened.reveal()).map_err(|_| store::Error::RowCorrupt)?;
                let access_token_header = key.header("at+jwt");
                set.active.insert((record.purpose, record.alg), Arc::new(ActiveKey { key, access_token_header }));
            }
            if record.purpose != KeyPurpose::Checkpoint {
                public.push(record.public_jwk.clone());
            }
            set.records.push(record);
        }
        let document = serde_json::to_string(&jose::JwkSet { keys: public }).map_err(|_| store::Error::RowCorrupt)?;
        let digest = jose::hash::sha256(document.as_bytes());
        let short: [u8; 16] = digest.first_chunk().copied().unwrap_or_default();
        set.etag = format!("\"{}\"", id::base32_encode(&short));
        set.jwks = Arc::from(document);
        Ok(set)
    }
}

fn associated(tenant: &Tenant, purpose: KeyPurpose, kid: &str) -> Vec<u8> {
    [b"signing_key\0sealed\0".as_slice(), tenant.id.as_bytes(), purpose.name().as_bytes(), b"\0", kid.as_bytes()]
        .concat()
}

async fn unseal(
    auth: &Auth,
    tenant: &Tenant,
    record: &KeyRecord,
    sealed: &[u8],
) -> Result<Secret<Vec<u8>>, store::Error> {
    let key = data_key(auth, tenant).await?;
    key.open(sealed, &associated(tenant, record.purpose, &record.kid)).map_err(|_| store::Error::RowCorrupt)
}

async fn data_key(auth: &Auth, tenant: &Tenant) -> Result<jose::seal::SealKey, store::Error> {
    let mut entropy = auth.fresh_entropy();
    auth.keyring.data_key(&auth.store, tenant.id, "signing_key", auth.clock.now(), &mut entropy).await
}

/// A new key, sealed and ready to be inserted.
struct Fresh {
    id: Id<id::Key>,
    jwk: Jwk,
    kid: String,
    sealed: Vec<u8>,
}

async fn fresh(auth: &Auth, tenant: &Tenant, purpose: KeyPurpose, alg: Alg) -> Result<Fresh, AdminError> {
    // RSA keys take long to find; none is made on a thread that serves requests.
    let made = tokio::task::spawn_blocking(move || SigningKey::generate(alg))
        .await
        .map_err(|e| store::Error::Unavailable(Box::new(e)))?;
    let (key, pkcs8) = made?;
    let seal = data_key(auth, tenant).await?;
    let mut entropy = auth.fresh_entropy();
    let kid = key.kid().to_owned();
    let sealed = seal.seal(pkcs8.reveal(), &associated(tenant, purpose, &kid), &mut entropy)?;
    let id = Id::generate(auth.clock.now(), &mut entropy);
    Ok(Fresh { id, jwk: key.public_jwk().clone(), kid, sealed })
}

fn insert(
    batch: Batch,
    tenant: &Tenant,
    (purpose, alg): (KeyPurpose, Alg),
    key: &Fresh,
    state: KeyState,
    now: Timestamp,
) -> Result<Batch, AdminError> {
    let jwk = serde_json::to_string(&key.jwk).map_err(|_| store::Error::RowCorrupt)?;
    let promoted = (state == KeyState::Active).then_some(now);
    Ok(batch.expect(
        1,
        &sql::KEY_INSERT,
        params![
            tenant.id,
            key.id,
            purpose.name(),
            alg.name(),
            key.kid.as_str(),
            state.name(),
            jwk,
            key.sealed.as_slice(),
            now,
            now.plus_seconds(PUBLICATION_SECONDS),
            promoted,
        ],
    ))
}

/// Where a key schedule falls short.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyShortfall {
    /// No key is active for a purpose that every tenant needs.
    pub lacks_active: bool,
    /// An active key is more than a day older than the rotation allows.
    pub is_overdue: bool,
}

/// When a rotation happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotateAt {
    /// As soon as every verifier can have the staged key.
    Published,
    /// Now, although verifiers may not know the staged key yet.
    Now,
    /// At a time, or when the staged key is old enough, whichever is later.
    Time(Timestamp),
}

/// What a rotation did.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// The key that signs now.
    pub kid: String,
    /// When the staged key will be promoted, when that is not now.
    pub promotes_at: Option<Timestamp>,
}

impl Auth {
    /// The keys of a tenant, from the cache or the store.
    ///
    /// # Errors
    /// The store's.
    pub async fn keys(&self, tenant: &Tenant) -> Result<Arc<KeySet>, store::Error> {
        if let Some(set) = self.keysets.get(tenant.id) {
            return Ok(set);
        }
        let generation = self.keysets.generation();
        let set = Arc::new(Box::pin(KeySet::load(self, tenant)).await?);
        self.keysets.put(tenant.id, Arc::clone(&set), generation);
        Ok(set)
    }

    /// Makes sure that a purpose and algorithm has its active key and its staged key.
    ///
    /// # Errors
    /// The store's and cryptography's.
    pub async fn ensure_keys(&self, tenant: &Tenant, purpose: KeyPurpose, alg: Alg) -> Result<(), AdminError> {
        let who = self.system(tenant, "keys");
        for state in [KeyState::Active, KeyState::Staged] {
            if self.keys(tenant).await?.record(purpose, alg, state).is_some() {
                continue;
            }
            let key = fresh(self, tenant, purpose, alg).await?;
            let now = self.clock.now();
            let batch = insert(Batch::new(), tenant, (purpose, alg), &key, state, now)?
                .change(ChangeKind::Keys, purpose.name());
            let after = serde_json::json!({"kid": key.kid, "alg": alg.name(), "state": state.name()});
            let record = change_record(self, &who, tenant, action::KEY_STAGED, ("key", &key.kid), (None, Some(after)));
            match self.store.commit(batch, record).await {
                // Somebody else made it: their key is as good.
                Ok(_) | Err(store::Error::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Rotates the key of a purpose and algorithm, at once or scheduled. Any number of concurrent calls gives one new key.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for a time that has passed, the store's and cryptography's.
    pub async fn rotate_key(
        &self,
        who: &Principal,
        tenant: &Tenant,
        purpose: KeyPurpose,
        alg: Alg,
        when: RotateAt,
    ) -> Result<Planned<Rotation>, AdminError> {
        let now = self.clock.now();
        let earliest = match when {
            RotateAt::Published => Some(now),
            RotateAt::Now => None,
            RotateAt::Time(at) if at > now => Some(at),
            RotateAt::Time(_) => {
                let problem = FieldProblem::new("at", "out_of_range", "at takes a time in the future");
                return Err(AdminError::Invalid(vec![problem]));
            }
        };
        self.ensure_keys(tenant, purpose, alg).await?;
        let set = self.keys(tenant).await?;
        let (Some(active), Some(staged)) =
            (set.record(purpose, alg, KeyState::Active), set.record(purpose, alg, KeyState::Staged))
        else {
            return Err(store::Error::Conflict("signing_key").into());
        };
        if let Some(at) = earliest.map(|at| at.max(staged.promote_after)).filter(|at| *at > now) {
            let batch = Batch::new()
                .expect(1, &sql::KEY_SCHEDULE, params![tenant.id, active.id, at])
                .change(ChangeKind::Keys, purpose.name());
            let after = serde_json::json!({"replace_at": at.to_string()});
            let record =
                change_record(self, who, tenant, action::KEY_SCHEDULED, ("key", &active.kid), (None, Some(after)));
            let value = Rotation { kid: active.kid.clone(), promotes_at: Some(at) };
            return Ok(Planned { batch, record, value });
        }
        let next = fresh(self, tenant, purpose, alg).await?;
        let batch = Batch::new()
            .expect(1, &sql::KEY_RETIRE, params![tenant.id, active.id, now, now.plus_seconds(RETIREMENT_SECONDS)])
            .expect(1, &sql::KEY_PROMOTE, params![tenant.id, staged.id, now]);
        let facts = serde_json::json!({"alg": alg.name(), "replaces": active.kid});
        let batch = insert(batch, tenant, (purpose, alg), &next, KeyState::Staged, now)?
            .change(ChangeKind::Keys, purpose.name())
            .event(event(self, Type::KeyActivated, ("key", &staged.kid), facts))
            .event(event(self, Type::KeyStaged, ("key", &next.kid), serde_json::json!({"alg": alg.name()})));
        let before = serde_json::json!({"active": active.kid});
        let after = serde_json::json!({"active": staged.kid, "staged": next.kid});
        let record =
            change_record(self, who, tenant, action::KEY_ROTATED, ("key", &staged.kid), (Some(before), Some(after)));
        Ok(Planned { batch, record, value: Rotation { kid: staged.kid.clone(), promotes_at: None } })
    }

    /// Calls off the rotation that is scheduled for a key. The age of the key may bring the next one all the same.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::State`] when nothing is scheduled for it, the store's.
    pub async fn cancel_rotation(
        &self,
        who: &Principal,
        tenant: &Tenant,
        kid: &str,
    ) -> Result<Planned<KeyRecord>, AdminError> {
        let set = self.keys(tenant).await?;
        let key = set.records.iter().find(|r| r.kid == kid).ok_or(AdminError::NotFound("key"))?;
        let scheduled = key.replace_at.filter(|_| key.state == KeyState::Active);
        let at = scheduled.ok_or_else(|| AdminError::State("no rotation is scheduled for this key".to_owned()))?;
        let batch = Batch::new()
            .expect(1, &sql::KEY_UNSCHEDULE, params![tenant.id, key.id, at])
            .change(ChangeKind::Keys, key.purpose.name());
        let before = serde_json::json!({"replace_at": at.to_string()});
        let after = serde_json::json!({"replace_at": null});
        let changed = (Some(before), Some(after));
        let record = change_record(self, who, tenant, action::KEY_ROTATION_CANCELED, ("key", kid), changed);
        Ok(Planned { batch, record, value: KeyRecord { replace_at: None, ..key.clone() } })
    }

    /// Takes a key out of use at once: out of the JWKS, its tokens inactive, the staged key promoted whatever
    /// its age.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], the store's and cryptography's.
    pub async fn revoke_key(
        &self,
        who: &Principal,
        tenant: &Tenant,
        kid: &str,
    ) -> Result<Planned<Rotation>, AdminError> {
        let set = self.keys(tenant).await?;
        let key = set.records.iter().find(|r| r.kid == kid).ok_or(AdminError::NotFound("key"))?;
        let now = self.clock.now();
        let pair = (key.purpose, key.alg);
        let mut batch = Batch::new().expect(1, &sql::KEY_DESTROY, params![tenant.id, key.id, now]);
        let mut signs = set.record(key.purpose, key.alg, KeyState::Active).map_or(String::new(), |r| r.kid.clone());
        if key.state == KeyState::Active {
            if let Some(staged) = set.record(key.purpose, key.alg, KeyState::Staged) {
                batch = batch.expect(1, &sql::KEY_PROMOTE, params![tenant.id, staged.id, now]);
                signs.clone_from(&staged.kid);
            } else {
                let next = fresh(self, tenant, key.purpose, key.alg).await?;
                batch = insert(batch, tenant, pair, &next, KeyState::Active, now)?;
                signs.clone_from(&next.kid);
            }
        }
        if key.state != KeyState::Retiring {
            let next = fresh(self, tenant, key.purpose, key.alg).await?;
            batch = insert(batch, tenant, pair, &next, KeyState::Staged, now)?;
        }
        let facts = serde_json::json!({"alg": key.alg.name(), "signs": signs});
        let note = event(self, Type::KeyRevoked, ("key", kid), facts);
        let batch = batch.change(ChangeKind::Keys, key.purpose.name()).event(note);
        let before = serde_json::json!({"state": key.state.name()});
        let after = serde_json::json!({"state": "destroyed"});
        let record = change_record(self, who, tenant, action::KEY_REVOKED, ("key", kid), (Some(before), Some(after)));
        Ok(Planned { batch, record, value: Rotation { kid: signs, promotes_at: None } })
    }

    /// Where the key schedule of a tenant falls short.
    ///
    /// # Errors
    /// The store's.
    pub async fn key_shortfall(&self, tenant: &Tenant) -> Result<KeyShortfall, store::Error> {
        let set = self.keys(tenant).await?;
        let active = || set.records.iter().filter(|record| record.state == KeyState::Active);
        let late = i64::from(self.settings.key_rotation_days).saturating_add(1).saturating_mul(86_400);
        let now = self.clock.now();
        Ok(KeyShortfall {
            lacks_active: EVERY_TENANT.iter().any(|purpose| !active().any(|record| record.purpose == *purpose)),
            is_overdue: active().any(|record| record.promoted_at.is_some_and(|at| now.seconds_since(at) >= late)),
        })
    }

    /// One round of the key schedule: promotes what is due, destroys what has retired long enough.
    ///
    /// # Errors
    /// The store's and cryptography's.
    pub async fn key_upkeep(&self, tenant: &Tenant) -> Result<(), AdminError> {
        let who = self.system(tenant, "keys");
        let now = self.clock.now();
        let set = self.keys(tenant).await?;
        let rotation_seconds = i64::from(self.settings.key_rotation_days).saturating_mul(86_400);
        for record in &set.records {
            let aged = record.promoted_at.is_some_and(|at| now.seconds_since(at) >= rotation_seconds);
            let asked = record.replace_at.is_some_and(|at| at <= now);
            if record.state == KeyState::Active && (aged || asked) {
                let planned = self.rotate_key(&who, tenant, record.purpose, record.alg, RotateAt::Published).await?;
                self.run(planned).await?;
            }
            if record.state == KeyState::Retiring && record.remove_after.is_some_and(|at| at <= now) {
                let facts = serde_json::json!({"alg": record.alg.name()});
                let batch = Batch::new()
                    .expect(1, &sql::KEY_DESTROY, params![tenant.id, record.id, now])
                    .change(ChangeKind::Keys, record.purpose.name())
                    .event(event(self, Type::KeyRetired, ("key", &record.kid), facts));
                let after = serde_json::json!({"state": "destroyed"});
                let audit = change_record(
                    self,
                    &who,
                    tenant,
                    action::KEY_DESTROYED,
                    ("key", &record.kid),
                    (Some(serde_json::json!({"state": "retiring"})), Some(after)),
                );
                match self.store.commit(batch, audit).await {
                    Ok(_) | Err(store::Error::Conflict(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }
}
