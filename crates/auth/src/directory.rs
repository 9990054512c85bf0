//! The product's state in one process: the store, derived keys, and caches that follow the change feed.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use jose::mac::HmacKey;
use kernel::clock::{Clock, Timestamp};
use kernel::id::{self, Entropy, Id};
use kernel::mutant;
use kernel::target::Policy;
use kernel::tenant::TenantId;
use quick_cache::Equivalent;
use quick_cache::sync::Cache;
use store::keyring::{Keyring, Purpose};
use store::{Change, ChangeKind, Store, params};

use crate::catalog::Catalog;
use crate::client::Client;
use crate::credential::{Authenticator, Credential};
use crate::denial::Denials;
use crate::family::Family;
use crate::introspect::Verified;
use crate::key::KeySet;
use crate::limit::{FailureLimiter, Limiter, Quotas, Rate};
use crate::operator::session::Sessions;
use crate::sql;
use record::ground::Ground;
use record::tenant::{Tenant, TenantKind};

/// Clients held ready.
const CLIENTS: usize = 1_000_000;
/// Unknown client ids remembered, so that guessing costs no reads.
const UNKNOWN: usize = 10_000;
/// Seconds an unknown client id is remembered.
const UNKNOWN_SECONDS: i64 = 10;
/// Verified tokens remembered by their SHA-256.
const VERIFIED: usize = 20_000;
/// Refresh families held at their current generation.
const FAMILIES: usize = 50_000;

/// What configuration decides for this product.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches of the configuration, each with its own key")]
pub struct Settings {
    /// The issuer of the tenant `default`, without a trailing slash.
    pub issuer: String,
    /// What the tenant `default` is made as; live everywhere but in `dev`.
    pub default_kind: TenantKind,
    /// Whether a scope unknown to the tenant is created with a client.
    pub auto_create_scopes: bool,
    /// Whether new clients get no default scopes.
    pub hardened: bool,
    /// Longest life of a JWT of a client that acts for a customer, in seconds: nobody can take one back earlier from a
    /// resource server that verifies it by itself.
    pub max_jwt_ttl_seconds: u32,
    /// Whether a weak chosen secret is refused instead of warned about.
    pub reject_weak_secrets: bool,
    /// Request rate of a client that has none of its own.
    pub client_rate: Rate,
    /// Request rate of a source address.
    pub source_rate: Rate,
    /// Slow authentications of one client from one source.
    pub pair_failures: Rate,
    /// Slow authentications from one source.
    pub source_failures: Rate,
    /// Days between automatic key rotations.
    pub key_rotation_days: u32,
    /// Days an event is kept.
    pub event_retention_days: u32,
    /// Where this server may send requests of its own.
    pub outbound: Policy,
    /// Live refresh families a client may have.
    pub max_families: usize,
    /// Workers for slow hashes.
    pub slow_hash_workers: usize,
    /// Whether owners, admins and billing need a passkey or one-time codes; everywhere but in `dev`.
    pub second_factor_required: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            issuer: "http://127.0.0.1:8080".to_owned(),
            default_kind: TenantKind::Live,
            auto_create_scopes: true,
            hardened: false,
            max_jwt_ttl_seconds: 900,
            reject_weak_secrets: false,
            client_rate: Rate::per_second(1_000, 2_000),
            source_rate: Rate::per_second(20_000, 40_000),
            pair_failures: Rate::per_second(1, 20),
            source_failures: Rate::per_second(20, 200),
            key_rotation_days: 90,
            event_retention_days: 30,
            outbound: Policy::default(),
            max_families: 100,
            slow_hash_workers: 1,
            second_factor_required: true,
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct ClientKey(TenantId, Arc<str>);

#[derive(Hash)]
struct ClientQuery<'a>(TenantId, &'a str);

impl Equivalent<ClientKey> for ClientQuery<'_> {
    fn equivalent(&self, key: &ClientKey) -> bool {
        self.0 == key.0 && *self.1 == *key.1
    }
}

/// A value per tenant that the change feed throws away; a value read before a change is never kept after it.
pub struct PerTenant<V> {
    map: RwLock<HashMap<TenantId, Arc<V>>>,
    generation: AtomicU64,
}

impl<V> Default for PerTenant<V> {
    fn default() -> Self {
        Self { map: RwLock::default(), generation: AtomicU64::new(0) }
    }
}

impl<V> PerTenant<V> {
    /// The value, when it is held.
    pub fn get(&self, tenant: TenantId) -> Option<Arc<V>> {
        self.map.read().ok()?.get(&tenant).cloned()
    }

    /// The number to read before loading a value.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    /// Keeps a value that was loaded after `generation` was read, unless something changed since.
    pub fn put(&self, tenant: TenantId, value: Arc<V>, generation: u64) {
        if let Ok(mut map) = self.map.write()
            && self.generation.load(Ordering::SeqCst) == generation
        {
            map.insert(tenant, value);
        }
    }

    fn forget(&self, tenant: TenantId) {
        if let Ok(mut map) = self.map.write() {
            self.generation.fetch_add(1, Ordering::SeqCst);
            map.remove(&tenant);
        }
    }

    fn forget_all(&self) {
        if let Ok(mut map) = self.map.write() {
            self.generation.fetch_add(1, Ordering::SeqCst);
            map.clear();
        }
    }
}

/// Counters that `/metrics` shows.
#[derive(Debug, Default)]
pub struct Counters {
    /// Tokens issued by client credentials.
    pub issued_client_credentials: AtomicU64,
    /// Tokens issued by refresh.
    pub issued_refresh: AtomicU64,
    /// Requests refused by a limit or quota.
    pub limited: AtomicU64,
    /// Announcements that a secret ends in 30, 7 or 1 day.
    pub secrets_expiring: AtomicU64,
    /// Client cache hits.
    pub client_hits: AtomicU64,
    /// Client cache misses.
    pub client_misses: AtomicU64,
}

/// The product in one process.
pub struct Auth {
    /// What it shares with the other products.
    pub ground: Arc<Ground>,
    /// What configuration decides.
    pub settings: Settings,
    /// Client authentication.
    pub authenticator: Authenticator,
    /// Revocations.
    pub denials: Denials,
    /// Request rates by client.
    pub client_rates: Limiter<Id<id::Client>>,
    /// Events about clients past their rate, so that each minute tells once.
    pub limit_events: Limiter<Id<id::Client>>,
    /// Request rates by source address.
    pub source_rates: Limiter<u128>,
    /// Token quotas.
    pub quotas: Quotas,
    /// Refused requests, counted until they are journaled.
    pub refusals: record::refusal::Refusals,
    /// Counters for metrics.
    pub counters: Counters,
    /// Whether the process is about to end: answers that go on for long end now.
    pub is_ending: AtomicBool,
    /// Keys by tenant.
    pub(crate) keysets: PerTenant<KeySet>,
    pub(crate) verified: Cache<[u8; 32], Arc<Verified>>,
    /// Families at the generation this process last saw. A value may be outdated: every use of it is guarded by
    /// the generation in the commit, and only a current token is judged by it.
    pub(crate) families_seen: Cache<(TenantId, [u8; 16]), Arc<Family>>,
    /// Sessions of operators that were used lately.
    pub(crate) operator_sessions: Sessions,
    catalogs: PerTenant<Catalog>,
    tenants: RwLock<HashMap<String, Arc<Tenant>>>,
    tenant_generation: AtomicU64,
    clients: Cache<ClientKey, Arc<Client>>,
    pub(crate) client_generation: AtomicU64,
    unknown: Cache<ClientKey, Timestamp>,
}

impl Deref for Auth {
    type Target = Ground;

    fn deref(&self) -> &Ground {
        &self.ground
    }
}

impl Auth {
    /// Opens the product over a store: reads the revocations that still matter and follows the change feed.
    ///
    /// # Errors
    /// The store's.
    pub async fn open(
        store: Store,
        keyring: Keyring,
        clock: Arc<dyn Clock>,
        entropy: Box<dyn Entropy>,
        settings: Settings,
    ) -> Result<Arc<Self>, store::Error> {
        let memo = keyring.derive(Purpose::Cookie, kernel::tenant::DEFAULT, b"memo of verified secrets");
        let failures = FailureLimiter::new(settings.pair_failures, settings.source_failures);
        let auth = Arc::new(Self {
            authenticator: Authenticator::new(failures, HmacKey::new(memo.reveal()), settings.slow_hash_workers),
            denials: Denials::default(),
            client_rates: Limiter::default(),
            limit_events: Limiter::default(),
            source_rates: Limiter::default(),
            quotas: Quotas::default(),
            is_ending: AtomicBool::new(false),
            refusals: record::refusal::Refusals::new(10_000),
            counters: Counters::default(),
            keysets: PerTenant::default(),
            verified: Cache::new(VERIFIED),
            families_seen: Cache::new(FAMILIES),
            operator_sessions: Sessions::default(),
            catalogs: PerTenant::default(),
            tenants: RwLock::default(),
            tenant_generation: AtomicU64::new(0),
            clients: Cache::new(CLIENTS),
            client_generation: AtomicU64::new(0),
            unknown: Cache::new(UNKNOWN),
            ground: Ground::new(store, keyring, clock, entropy),
            settings,
        });
        let listener = Arc::downgrade(&auth);
        auth.store.on_change(Arc::new(move |changes: &[Change]| {
            if let Some(auth) = listener.upgrade() {
                for change in changes {
                    auth.apply(change);
                }
            }
        }));
        let starter = Arc::downgrade(&auth);
        auth.store.on_start_over(Arc::new(move || {
            let auth = starter.upgrade();
            Box::pin(async move {
                match auth {
                    Some(auth) => auth.start_over().await,
                    None => Ok(()),
                }
            })
        }));
        auth.denials.load(&auth.store, auth.clock.now()).await?;
        Ok(auth)
    }

    /// Begins anew after another process may have served: forgets what caches hold, reads the revocations again, and
    /// makes the tenant `default` ready. Rates and quota slices go on, and revocations that are known stay known.
    async fn start_over(&self) -> Result<(), store::Error> {
        self.client_generation.fetch_add(1, Ordering::SeqCst);
        self.clients.clear();
        self.unknown.clear();
        self.client_generation.fetch_add(1, Ordering::SeqCst);
        self.verified.clear();
        self.families_seen.clear();
        self.catalogs.forget_all();
        self.keysets.forget_all();
        self.tenant_generation.fetch_add(1, Ordering::SeqCst);
        if let Ok(mut map) = self.tenants.write() {
            map.clear();
        }
        self.denials.load(&self.store, self.clock.now()).await?;
        self.make_ready(kernel::tenant::DEFAULT_SLUG).await
    }

    /// Reads what a tenant publishes, so that it can still be answered when the store goes away.
    ///
    /// # Errors
    /// The store's.
    pub async fn make_ready(&self, slug: &str) -> Result<(), store::Error> {
        if let Some(tenant) = self.tenant(slug).await? {
            self.keys(&tenant).await?;
            self.catalog(&tenant).await?;
        }
        Ok(())
    }

    fn apply(&self, change: &Change) {
        match change.kind {
            ChangeKind::Client => {
                // before, so that a row that was read earlier is not kept here; after, so that what was still found here in
                // between is not kept with a token
                self.client_generation.fetch_add(1, Ordering::SeqCst);
                let query = ClientQuery(change.tenant, &change.key);
                self.clients.remove(&query);
                self.unknown.remove(&query);
                self.client_generation.fetch_add(1, Ordering::SeqCst);
            }
            ChangeKind::Apis => self.catalogs.forget(change.tenant),
            ChangeKind::Keys => self.keysets.forget(change.tenant),
            ChangeKind::Tenant => {
                self.tenant_generation.fetch_add(1, Ordering::SeqCst);
                if let Ok(mut map) = self.tenants.write() {
                    map.remove(&change.key);
                }
            }
            ChangeKind::Denied | ChangeKind::Epoch => self.denials.apply(change),
            ChangeKind::Operator => self.operator_sessions.forget(change.tenant, &change.key),
            ChangeKind::Customer | ChangeKind::Catalog => {}
        }
    }

    /// A tenant by slug, disabled ones included.
    ///
    /// # Errors
    /// The store's.
    pub async fn tenant(&self, slug: &str) -> Result<Option<Arc<Tenant>>, store::Error> {
        if let Some(tenant) = self.tenants.read().ok().and_then(|map| map.get(slug).cloned()) {
            return Ok(Some(tenant));
        }
        if !kernel::tenant::is_slug(slug) {
            return Ok(None);
        }
        let generation = self.tenant_generation.load(Ordering::SeqCst);
        let Some(tenant) = Box::pin(self.read_tenant(slug)).await? else { return Ok(None) };
        let tenant = Arc::new(tenant);
        if let Ok(mut map) = self.tenants.write()
            && self.tenant_generation.load(Ordering::SeqCst) == generation
        {
            map.insert(slug.to_owned(), Arc::clone(&tenant));
        }
        Ok(Some(tenant))
    }

    /// A tenant, past the cache.
    pub(crate) async fn read_tenant(&self, slug: &str) -> Result<Option<Tenant>, store::Error> {
        let row = self.store.read(&sql::TENANT_BY_SLUG, params![slug]).await?;
        row.map(|row| Tenant::from_row(&row, &self.keyring, &self.settings.issuer)).transpose()
    }

    /// Every tenant, for jobs.
    ///
    /// # Errors
    /// The store's.
    pub async fn all_tenants(&self) -> Result<Vec<Arc<Tenant>>, store::Error> {
        let mut all: Vec<Arc<Tenant>> = Vec::new();
        loop {
            let after = all.last().map_or(String::new(), |t| t.slug.to_string());
            let rows = self.store.read_all(&sql::TENANTS, params![after, 500_i64]).await?;
            if rows.is_empty() {
                return Ok(all);
            }
            for row in &rows {
                all.push(Arc::new(Tenant::from_row(row, &self.keyring, &self.settings.issuer)?));
            }
        }
    }

    /// How many entries each cache holds.
    pub fn cache_entries(&self) -> [(&'static str, usize); 5] {
        [
            ("clients", self.clients.len()),
            ("unknown_clients", self.unknown.len()),
            ("verified_tokens", self.verified.len()),
            ("families", self.families_seen.len()),
            ("chosen_secrets", self.authenticator.remembered()),
        ]
    }

    /// A client with its credentials, from the cache or by one batched read.
    ///
    /// # Errors
    /// The store's.
    pub async fn client(&self, tenant: TenantId, client_id: &str) -> Result<Option<Arc<Client>>, store::Error> {
        let query = ClientQuery(tenant, client_id);
        if let Some(client) = self.clients.get(&query) {
            self.counters.client_hits.fetch_add(1, Ordering::Relaxed);
            return Ok(Some(client));
        }
        if client_id.len() > 128 || client_id.contains('\0') {
            return Ok(None);
        }
        let now = self.clock.now();
        if self.unknown.get(&query).is_some_and(|until| until > now) {
            return Ok(None);
        }
        self.counters.client_misses.fetch_add(1, Ordering::Relaxed);
        let generation = self.client_generation.load(Ordering::SeqCst);
        let key = ClientKey(tenant, Arc::from(client_id));
        let loaded = Box::pin(self.read_client(tenant, client_id)).await?;
        match &loaded {
            Some(client) => self.clients.insert(key.clone(), Arc::clone(client)),
            None => self.unknown.insert(key.clone(), now.plus_seconds(UNKNOWN_SECONDS)),
        }
        // A change that was delivered while the rows were on their way may have removed the key already.
        if self.client_generation.load(Ordering::SeqCst) != generation {
            self.clients.remove(&key);
            self.unknown.remove(&key);
        }
        Ok(loaded)
    }

    /// A client with its credentials, past the cache: what a decision to change it starts from.
    ///
    /// # Errors
    /// The store's.
    pub async fn read_client(&self, tenant: TenantId, client_id: &str) -> Result<Option<Arc<Client>>, store::Error> {
        let tenant = if mutant::is("I01-tenant") { kernel::tenant::DEFAULT } else { tenant };
        let answers = self
            .store
            .read_many(vec![
                (&sql::CLIENT_BY_CLIENT_ID, params![tenant, client_id]),
                (&sql::CREDENTIALS_BY_CLIENT_ID, params![tenant, client_id]),
            ])
            .await?;
        let (Some(clients), Some(credentials)) = (answers.first(), answers.get(1)) else {
            return Err(store::Error::RowCorrupt);
        };
        let Some(row) = clients.first() else { return Ok(None) };
        let mut credentials = credentials.iter().map(Credential::from_row).collect::<Result<Vec<_>, _>>()?;
        credentials.sort_unstable_by_key(|c| c.id);
        Ok(Some(Arc::new(Client::from_row(row, credentials)?)))
    }

    /// The APIs and scopes of a tenant, from the cache or the store.
    ///
    /// # Errors
    /// The store's.
    pub async fn catalog(&self, tenant: &Tenant) -> Result<Arc<Catalog>, store::Error> {
        if let Some(catalog) = self.catalogs.get(tenant.id) {
            return Ok(catalog);
        }
        let generation = self.catalogs.generation();
        let catalog = Arc::new(Box::pin(self.read_catalog(tenant)).await?);
        self.catalogs.put(tenant.id, Arc::clone(&catalog), generation);
        Ok(catalog)
    }

    /// The APIs and scopes of a tenant, past the cache.
    ///
    /// # Errors
    /// The store's.
    pub async fn read_catalog(&self, tenant: &Tenant) -> Result<Catalog, store::Error> {
        let answers =
            self.store.read_many(vec![(&sql::APIS, params![tenant.id]), (&sql::SCOPES, params![tenant.id])]).await?;
        let (Some(apis), Some(scopes)) = (answers.first(), answers.get(1)) else {
            return Err(store::Error::RowCorrupt);
        };
        Catalog::from_rows(apis, scopes, &tenant.issuer)
    }
}
