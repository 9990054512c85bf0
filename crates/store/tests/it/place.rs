//! Fresh databases, clocks, records and statements for the tests.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use kernel::audit::{Change, Entry, Record};
use kernel::clock::{BusinessTime, Clock, Timestamp};
use kernel::id::{Entropy, Id};
use kernel::tenant::{DEFAULT, TenantId};
use store::{Batch, Location, Options, Store, params};

store::statements! {
    /// A new counter.
    MARK_NEW across_tenants("test") = "INSERT INTO mark (name, value) VALUES (?1, ?2)";
    /// A counter raised within a maximum.
    MARK_RAISE across_tenants("test") = "UPDATE mark SET value = value + ?2 WHERE name = ?1 AND value + ?2 <= ?3";
    /// A counter.
    MARK across_tenants("test") = "SELECT value FROM mark WHERE name = ?1";
    /// All counters.
    MARKS across_tenants("test") = "SELECT name FROM mark ORDER BY name";
    /// Records of a tenant.
    RECORDS = "SELECT object_id, leaf FROM audit_record WHERE tenant_id = ?1 ORDER BY commit_id";
    /// Segments of a tenant.
    SEGMENTS = "SELECT id, entries, body, first_at, last_at FROM journal_segment WHERE tenant_id = ?1 ORDER BY id";
    /// Events of a tenant.
    EVENTS = "SELECT kind FROM event WHERE tenant_id = ?1";
    /// The feed.
    FEED across_tenants("test") = "SELECT seq, part, kind, key FROM change ORDER BY shard, seq, part";
    /// A not-before number that is the commit's own.
    EPOCH = "INSERT INTO epoch (tenant_id, key, not_before_seq, expires_at) SELECT ?1, ?2, h.seq, ?3 FROM change_head h WHERE h.shard = ?4 ON CONFLICT (tenant_id, key) DO UPDATE SET not_before_seq = excluded.not_before_seq";
    /// A not-before number.
    EPOCH_READ = "SELECT not_before_seq FROM epoch WHERE tenant_id = ?1 AND key = ?2";
    /// Who holds the lease.
    LEASE across_tenants("test") = "SELECT holder FROM lease";
    /// Gives the lease to somebody else.
    LEASE_ROB across_tenants("test") = "UPDATE lease SET holder = CAST('0123456789abcdef' AS {bytes}), detail = ?1, lease_until = lease_until + 60000000";
    /// Makes the schema look newer.
    NEWER across_tenants("test") = "INSERT INTO schema_migration (version, name, sha256, min_reader, applied_at) VALUES (?1, 'later', 'x', ?2, 0)";
}

/// A clock under the test's control.
#[derive(Default)]
pub(crate) struct Hand(pub(crate) AtomicI64);
impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// A repeatable stream that never repeats itself.
pub(crate) struct Stream(u64);
impl Entropy for Stream {
    fn fill(&mut self, buffer: &mut [u8]) {
        for byte in buffer {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = self.0.to_be_bytes()[0];
        }
    }
}

/// A stream of its own for every caller.
pub(crate) fn entropy() -> Stream {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    Stream(NEXT.fetch_add(1, Ordering::SeqCst).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(std::process::id()))
}

/// A database that goes away with the test.
pub(crate) struct Place {
    pub(crate) location: Location,
    pub(crate) clock: Arc<Hand>,
    directory: Option<PathBuf>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(directory) = &self.directory {
            let _ = std::fs::remove_dir_all(directory);
        }
    }
}

impl Place {
    /// An empty SQLite file.
    pub(crate) fn sqlite() -> Self {
        let name = Id::<kernel::id::Node>::generate(Timestamp::default(), &mut entropy()).to_string();
        let directory = std::env::temp_dir().join(format!("store-test-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        Self { location: Location::File(directory.join("data.db")), clock: clock(), directory: Some(directory) }
    }

    /// An empty PostgreSQL database.
    pub(crate) fn postgres() -> Self {
        let address = testkit::postgres::fresh_database().unwrap();
        Self { location: Location::Server(address), clock: clock(), directory: None }
    }

    /// The database at an address.
    pub(crate) fn at(address: String) -> Self {
        Self { location: Location::Server(address), clock: clock(), directory: None }
    }

    /// The database, opened.
    pub(crate) async fn open(&self) -> Store {
        self.try_open().await.unwrap()
    }

    /// The database, opened if it can be.
    pub(crate) async fn try_open(&self) -> Result<Store, store::Error> {
        let clock: Arc<dyn Clock> = self.clock.clone();
        let entropy = Box::new(entropy());
        let location = self.location.clone();
        Store::open(Options { location, entropy, clock, allow_unsafe_durability: true }).await
    }
}

fn clock() -> Arc<Hand> {
    Arc::new(Hand(AtomicI64::new(Timestamp::from_seconds(1_800_000_000).as_micros())))
}

/// A record about an object.
pub(crate) fn record(object: &str) -> Record {
    record_of(DEFAULT, object)
}

/// A record about a tenant's object.
pub(crate) fn record_of(tenant: TenantId, object: &str) -> Record {
    Record::Change(Change {
        commit: Id::generate(Timestamp::from_seconds(1_800_000_000), &mut entropy()),
        tenant,
        actor: "client:test".to_owned(),
        credential: None,
        action: "test.done",
        object_kind: "test",
        object_id: object.to_owned(),
        before: None,
        after: Some("{}".to_owned()),
        at: Timestamp::from_seconds(1_800_000_000),
        business_at: BusinessTime::from_micros(1),
        source: Some("::1".parse().unwrap()),
        request: None,
    })
}

/// A journal entry.
pub(crate) fn entry(tenant: TenantId, number: u32) -> Entry {
    let at = Timestamp::from_seconds(1_800_000_000 + i64::from(number));
    Entry { tenant, at, bytes: number.to_le_bytes().to_vec() }
}

/// A tenant other than the default one.
pub(crate) fn tenant(last: u8) -> TenantId {
    Id::from_bytes([7, 7, 7, 7, 7, 7, 0x70, 7, 0x80, 7, 7, 7, 7, 7, 7, last])
}

/// A batch that makes a counter.
pub(crate) fn counter(name: &str) -> Batch {
    Batch::new().run(&MARK_NEW, params![name, 0_i64])
}

/// The value of a counter.
pub(crate) async fn value(store: &Store, name: &str) -> Option<i64> {
    store.read(&MARK, params![name]).await.unwrap().map(|row| row.int(0).unwrap())
}

/// Runs a test on every engine.
#[macro_export]
macro_rules! on_both_engines {
    ($($(#[$attribute:meta])* async fn $name:ident($place:ident: &Place) $body:block)*) => {$(
        mod $name {
            use super::*;

            async fn run($place: &Place) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                run(&Place::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgresql() {
                run(&Place::postgres()).await;
            }
        }
    )*};
}
