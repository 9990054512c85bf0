//! The store: one type for both engines.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use kernel::audit::{Entry, Record};
use kernel::clock::{Clock, Timestamp};
use kernel::histogram::{Histogram, Reading};
use kernel::id::{Commit, Entropy, Id, Kind};
use kernel::tenant::TenantId;
use tokio::sync::watch;

use crate::batch::{Batch, Upkeep};
use crate::error::Error;
use crate::feed::{self, Feed, Listener, Starter};
use crate::fence::Fence;
use crate::ident::Ids;
use crate::plan::{Plan, checked};
use crate::postgres;
use crate::sqlite::queue::Work;
use crate::sqlite::snapshot::Snapshot;
use crate::sqlite::{self, Ask};
use crate::stmt::Stmt;
use crate::value::{Row, Value};
use crate::{lint, migrate, params, sql};

/// Where the data is.
#[derive(Debug, Clone)]
pub enum Location {
    /// A SQLite file; its directory exists.
    File(PathBuf),
    /// A PostgreSQL server: `postgres://…` or `key=value …`.
    Server(String),
}

/// How to open a store.
pub struct Options {
    /// Where the data is.
    pub location: Location,
    /// Randomness for commit ids.
    pub entropy: Box<dyn Entropy + Send>,
    /// Machine time.
    pub clock: Arc<dyn Clock>,
    /// Accept a PostgreSQL server that may lose acknowledged commits; for tests.
    pub allow_unsafe_durability: bool,
}

/// What a commit returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The feed number it took, or the shard's present one when it changed nothing that caches hold.
    pub seq: u64,
}

/// Counters since the store was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Read calls.
    pub reads: u64,
    /// Transactions committed; each holds many batches and entries.
    pub groups: u64,
    /// Batches run, upkeep included.
    pub batches: u64,
    /// Journal entries written.
    pub entries: u64,
    /// Batches that a guard ended, by the name of its statement.
    pub conflicts: BTreeMap<&'static str, u64>,
    /// From taking work on to the beginning of its commit, in microseconds.
    pub waits: Reading,
    /// From the beginning of a commit to its end, in microseconds.
    pub commits: Reading,
    /// Batches and entries per commit.
    pub group_sizes: Reading,
}

/// What keeps this process from serving, as a readiness check names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trouble {
    /// The stable code; its page says what to do.
    pub code: &'static str,
    /// Which of the causes on that page it is, where it has several.
    pub reason: Option<&'static str>,
    /// Since when.
    pub since: Timestamp,
}

/// The disk of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that this user may still write.
    pub free: u64,
    /// Bytes in all.
    pub total: u64,
    /// Whether a write has failed for want of space and none has succeeded since.
    pub is_full: bool,
}

/// How much an embedded engine keeps on its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Bytes of the data.
    pub data: u64,
    /// Bytes of the write-ahead log.
    pub log: u64,
}

impl Space {
    /// Whether less than a tenth or less than 1 GiB is left.
    pub const fn is_low(self) -> bool {
        self.free < 1 << 30 || self.free < self.total / 10
    }
}

#[derive(Default)]
pub(crate) struct Counter(AtomicU64);
impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }
    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

pub(crate) struct Counters {
    pub(crate) reads: Counter,
    pub(crate) groups: Counter,
    pub(crate) batches: Counter,
    pub(crate) entries: Counter,
    pub(crate) conflicts: Conflicts,
    /// From taking work on to the beginning of its commit.
    pub(crate) waits: Histogram,
    /// From the beginning of a commit to its end.
    pub(crate) commits: Histogram,
    /// Batches and entries per commit.
    pub(crate) groups_of: Histogram,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            reads: Counter::default(),
            groups: Counter::default(),
            batches: Counter::default(),
            entries: Counter::default(),
            conflicts: Conflicts::default(),
            waits: Histogram::of_durations(),
            commits: Histogram::of_durations(),
            groups_of: Histogram::of_sizes(),
        }
    }
}

/// Failed guards, by the statement that states them.
#[derive(Default)]
pub(crate) struct Conflicts(Mutex<BTreeMap<&'static str, u64>>);
impl Conflicts {
    /// Counts an error that is one.
    pub(crate) fn note(&self, error: &Error) {
        if let Error::Conflict(guard) = error {
            let mut guards = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let count = guards.entry(*guard).or_default();
            *count = count.saturating_add(1);
        }
    }
    fn get(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What the engines' threads and tasks share with the store.
pub(crate) struct Shared {
    pub(crate) feed: Feed,
    pub(crate) fence: Fence,
    pub(crate) counters: Counters,
    pub(crate) ids: Ids,
    /// Since when the data is known to be damaged.
    pub(crate) damage: OnceLock<Timestamp>,
    /// Whether the disk of the data is full.
    pub(crate) is_full: AtomicBool,
    /// Commits with events since the store was opened.
    told: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn new(entropy: Box<dyn Entropy + Send>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            feed: Feed::default(),
            fence: Fence::default(),
            counters: Counters::default(),
            ids: Ids::new(entropy, clock),
            damage: OnceLock::new(),
            is_full: AtomicBool::new(false),
            told: watch::Sender::new(0),
        })
    }

    /// The data is not what was written: from here on this process says nothing about credentials and writes nothing.
    pub(crate) fn condemn(&self, finding: &str) {
        if self.damage.set(self.ids.now()).is_ok() {
            tracing::error!(
                code = "store_corrupt",
                finding,
                "the store is damaged: credentials are refused until it is repaired or restored from a backup"
            );
        }
    }

    /// Looks whether an error of the engine tells of damage.
    pub(crate) fn watch(&self, error: &Error) {
        if sqlite::is_damage(error) {
            self.condemn(&std::error::Error::source(error).map(ToString::to_string).unwrap_or_default());
        }
    }
}

enum Engine {
    Sqlite(Arc<sqlite::Engine>),
    Postgres(postgres::Engine),
}

/// The open store; a clone is another handle on the same one.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    engine: Engine,
    shared: Arc<Shared>,
    /// Entries journaled for each tenant since they were last taken.
    journaled: Mutex<HashMap<TenantId, u64>>,
}

impl Store {
    /// Every version of the schema, applied or not; nothing is changed.
    ///
    /// # Errors
    /// [`Error::Refused`] when the data needs a newer program, or was made by another one; the engine's.
    pub async fn schema(options: Options) -> Result<Vec<migrate::SchemaVersion>, Error> {
        let shared = Shared::new(options.entropy, options.clock);
        let applied = match options.location {
            Location::File(path) => blocking(move || sqlite::applied(&path)).await??,
            Location::Server(address) => postgres::applied(&address, &shared).await?,
        };
        migrate::versions(&applied)
    }

    /// Opens the store, creates or migrates its schema and checks that the engine keeps what it acknowledges.
    pub async fn open(options: Options) -> Result<Self, Error> {
        let shared = Shared::new(options.entropy, options.clock);
        let engine = match options.location {
            Location::File(path) => {
                let shared = Arc::clone(&shared);
                let opened = blocking(move || sqlite::Engine::open(&path, &shared)).await??;
                Engine::Sqlite(Arc::new(opened))
            }
            Location::Server(address) => {
                let opened = postgres::Engine::open(&address, &shared, options.allow_unsafe_durability).await?;
                Engine::Postgres(opened)
            }
        };
        Ok(Self(Arc::new(Inner { engine, shared, journaled: Mutex::default() })))
    }

    /// The first row of a query.
    pub async fn read(&self, stmt: &'static Stmt, params: Vec<Value>) -> Result<Option<Row>, Error> {
        Ok(self.read_all(stmt, params).await?.into_iter().next())
    }

    /// All rows of a query, whose text bounds them.
    pub async fn read_all(&self, stmt: &'static Stmt, params: Vec<Value>) -> Result<Vec<Row>, Error> {
        Ok(self.read_many(vec![(stmt, params)]).await?.pop().unwrap_or_default())
    }

    /// The rows of several queries in one round trip.
    pub async fn read_many(&self, asks: Vec<(&'static Stmt, Vec<Value>)>) -> Result<Vec<Vec<Row>>, Error> {
        self.0.shared.counters.reads.add(1);
        match &self.0.engine {
            Engine::Sqlite(engine) => engine.ask(Ask::Rows(asks)).await,
            Engine::Postgres(engine) => Box::pin(engine.read(asks)).await,
        }
    }

    /// Commits a batch with its record; durable, and heard by every listener, when it returns.
    pub async fn commit(&self, batch: Batch, record: Record) -> Result<Committed, Error> {
        let plan = Plan::commit(batch, record, self.0.shared.ids.now())?;
        self.write(plan, false).await
    }

    /// [`commit`](Self::commit) on the lane kept for what narrows access: revoke, disable, destroy.
    pub async fn commit_reserved(&self, batch: Batch, record: Record) -> Result<Committed, Error> {
        let plan = Plan::commit(batch, record, self.0.shared.ids.now())?;
        self.write(plan, true).await
    }

    /// Appends an entry to its tenant's journal; durable when it returns.
    pub async fn journal(&self, entry: Entry) -> Result<(), Error> {
        let entry = checked(entry)?;
        self.refuse_when_fenced()?;
        self.count(entry.tenant);
        match &self.0.engine {
            Engine::Sqlite(engine) => engine.write(Work::Journal(entry), false).await.map(|_| ()),
            Engine::Postgres(engine) => Box::pin(engine.journal(entry)).await,
        }
    }

    fn count(&self, tenant: TenantId) {
        let mut journaled = self.0.journaled.lock().unwrap_or_else(PoisonError::into_inner);
        let count = journaled.entry(tenant).or_default();
        *count = count.saturating_add(1);
    }

    /// The tenants for which this process wrote at least so many entries to the journal since it last named them here.
    pub fn take_journaled(&self, least: u64) -> Vec<TenantId> {
        let mut journaled = self.0.journaled.lock().unwrap_or_else(PoisonError::into_inner);
        journaled.extract_if(|_, count| *count >= least).map(|(tenant, _)| tenant).collect()
    }

    /// Commits statements that need no record; each writes a table of the kind, or nothing is written.
    pub async fn upkeep(&self, kind: Upkeep, batch: Batch) -> Result<(), Error> {
        let plan = Plan::upkeep(kind, batch)?;
        if kind == Upkeep::Lease {
            return self.run(plan, true).await.map(|_| ());
        }
        self.write(plan, false).await.map(|_| ())
    }

    async fn write(&self, plan: Plan, reserved: bool) -> Result<Committed, Error> {
        self.refuse_when_fenced()?;
        self.run(plan, reserved).await
    }

    /// A process without its lease writes nothing: another one may be deciding by what it holds in memory. On damaged
    /// data nothing is built either: what is written there could not be told from the damage.
    fn refuse_when_fenced(&self) -> Result<(), Error> {
        if self.is_fenced() { Err(Error::Unavailable("this process is fenced".into())) } else { Ok(()) }
    }

    async fn run(&self, plan: Plan, reserved: bool) -> Result<Committed, Error> {
        if let Some(entry) = &plan.entry {
            self.count(entry.tenant);
        }
        let tells = plan.tells();
        let seq = match &self.0.engine {
            Engine::Sqlite(engine) => engine.write(Work::Batch(Box::new(plan)), reserved).await?,
            Engine::Postgres(engine) => Box::pin(engine.commit(plan, reserved)).await?,
        };
        if tells {
            self.0.shared.told.send_modify(|count| *count = count.wrapping_add(1));
        }
        Ok(Committed { seq })
    }

    /// Changes after each commit of this process that wrote an event. Events of other processes, and of a commit whose
    /// caller was gone before its end, are not announced here: who waits looks for them once in a while too.
    pub fn told(&self) -> watch::Receiver<u64> {
        self.0.shared.told.subscribe()
    }

    /// Adds a listener that hears the changes of every later commit, in feed order, before the commit returns.
    ///
    /// It is called on the committing thread and must neither block nor panic.
    pub fn on_change(&self, listener: Listener) {
        self.0.shared.feed.listen(listener);
    }

    /// Adds what is called when caches must begin anew, because another process may have served in between.
    pub fn on_start_over(&self, starter: Starter) {
        self.0.shared.feed.on_start_over(starter);
    }

    /// Reads the feed to its head and lets caches begin anew.
    pub(crate) async fn start_over(&self) -> Result<(), Error> {
        if let Engine::Postgres(engine) = &self.0.engine {
            engine.catch_up().await?;
        }
        self.0.shared.feed.start_over().await
    }

    /// Hears of every change that a read may have seen.
    ///
    /// Costs nothing unless a commit lately ended in [`Error::Unknown`]: what it changed may be in the data, where a
    /// repetition finds it done, before this process has heard of it.
    pub async fn settle(&self) -> Result<(), Error> {
        match &self.0.engine {
            Engine::Sqlite(_) => Ok(()),
            Engine::Postgres(engine) => Box::pin(engine.settle()).await,
        }
    }

    /// Whether this process must say nothing about credentials: its lease has ended, or the store was rolled back or is
    /// damaged.
    ///
    /// Asked again right before an answer is written. Costs one atomic load without a lease and a look at the clock with
    /// one.
    pub fn is_fenced(&self) -> bool {
        self.0.shared.damage.get().is_some() || self.0.shared.fence.is_closed()
    }

    /// What keeps this process from serving; empty while nothing does.
    pub fn troubles(&self) -> Vec<Trouble> {
        let Inner { engine, shared, .. } = &*self.0;
        let mut troubles = Vec::new();
        if let Engine::Postgres(engine) = engine {
            troubles.extend(engine.trouble());
        }
        if let Some(since) = shared.damage.get().copied() {
            troubles.push(Trouble { code: "store_corrupt", reason: None, since });
        }
        if let Some(since) = shared.fence.rolled_back_at() {
            troubles.push(Trouble { code: "store_rolled_back", reason: None, since });
        } else if let Some(since) = shared.fence.closed_since(shared.ids.now()) {
            troubles.push(Trouble { code: "lease_lost", reason: None, since });
        }
        troubles
    }

    pub(crate) fn fence(&self) -> &Fence {
        &self.0.shared.fence
    }

    /// A new id that nobody sorts by.
    pub(crate) fn new_id<K: Kind>(&self) -> Id<K> {
        self.0.shared.ids.any()
    }

    /// The feed number up to which the changes of the tenant's shard have been heard.
    pub fn applied(&self, tenant: TenantId) -> u64 {
        self.0.shared.feed.applied(feed::shard(tenant))
    }

    /// The shard of a tenant, 0 to 15.
    pub fn shard(tenant: TenantId) -> i64 {
        feed::shard(tenant)
    }

    /// A commit id above every one this store has given.
    pub fn new_commit_id(&self) -> Id<Commit> {
        self.0.shared.ids.commit()
    }

    /// Counters since the store was opened.
    pub fn stats(&self) -> Stats {
        let counters = &self.0.shared.counters;
        Stats {
            reads: counters.reads.get(),
            groups: counters.groups.get(),
            batches: counters.batches.get(),
            entries: counters.entries.get(),
            conflicts: counters.conflicts.get(),
            waits: counters.waits.read(),
            commits: counters.commits.read(),
            group_sizes: counters.groups_of.read(),
        }
    }

    /// How long this process may still speak about credentials; `None` where no lease ends it.
    pub fn lease_remaining(&self) -> Option<Duration> {
        self.0.shared.fence.remaining()
    }

    /// How much work was taken on and is not committed yet.
    pub fn queue_depth(&self) -> usize {
        match &self.0.engine {
            Engine::Sqlite(engine) => engine.queue_depth(),
            Engine::Postgres(engine) => engine.queue_depth(),
        }
    }

    /// Asks the engine for a sign of life.
    pub async fn ping(&self) -> Result<(), Error> {
        self.read(&sql::PING, Vec::new()).await.map(|_| ())
    }

    /// Whether opening found a reason to [`check`](Self::check) at once.
    pub fn is_check_due(&self) -> bool {
        match &self.0.engine {
            Engine::Sqlite(engine) => engine.is_check_due(),
            Engine::Postgres(_) => false,
        }
    }

    /// Looks at everything that is stored, beside what else goes on; takes time in proportion to the data.
    ///
    /// What is found is remembered (see [`condemn`](Self::condemn)) and returned. An engine that is a server checks its
    /// own files, so nothing is looked at there.
    pub async fn check(&self) -> Result<Option<String>, Error> {
        let Engine::Sqlite(engine) = &self.0.engine else { return Ok(None) };
        let engine = Arc::clone(engine);
        let found = blocking(move || engine.check()).await??;
        if let Some(finding) = &found {
            self.condemn(finding);
        }
        Ok(found)
    }

    /// Whether [`snapshot`](Self::snapshot) can be made here.
    pub fn has_snapshots(&self) -> bool {
        matches!(self.0.engine, Engine::Sqlite(_))
    }

    /// A copy of everything as of this moment, made beside what else goes on.
    ///
    /// # Errors
    /// [`Error::Refused`] while another copy is made, and where the data is in a database server, whose own tools make
    /// backups; the engine's.
    pub async fn snapshot(&self) -> Result<Snapshot, Error> {
        let Engine::Sqlite(engine) = &self.0.engine else {
            let why = "the data is in a PostgreSQL database, whose own tools make its backups: use `pg_dump`, as the book says under `Backup`";
            return Err(Error::Refused(why.to_owned()));
        };
        let engine = Arc::clone(engine);
        blocking(move || engine.snapshot()).await?
    }

    /// A number kept under a name.
    ///
    /// # Errors
    /// The engine's.
    pub async fn mark(&self, name: &str) -> Result<Option<i64>, Error> {
        self.read(&sql::MARK_READ, params![name]).await?.map(|row| row.int(0)).transpose()
    }

    /// Keeps a number under a name, without a record.
    ///
    /// # Errors
    /// The engine's.
    pub async fn set_mark(&self, name: &str, value: i64) -> Result<(), Error> {
        self.upkeep(Upkeep::Keyring, Batch::new().run(&sql::MARK_SET, params![name, value])).await
    }

    /// Remembers that the data is damaged: from here on this process must say nothing about credentials.
    pub fn condemn(&self, finding: &str) {
        self.0.shared.condemn(finding);
    }

    /// What is left for the data, on an engine that keeps it on a disk of this machine.
    pub fn space(&self) -> Option<Space> {
        match &self.0.engine {
            Engine::Sqlite(engine) => engine.space(),
            Engine::Postgres(_) => None,
        }
    }

    /// How much is kept, on an engine that keeps it in files of its own on this machine.
    pub fn size(&self) -> Option<Size> {
        match &self.0.engine {
            Engine::Sqlite(engine) => engine.size(),
            Engine::Postgres(_) => None,
        }
    }

    /// Checks the form of the statements and prepares each on the engine.
    pub async fn prepare_all(&self, list: &[&'static Stmt]) -> Result<(), Error> {
        for stmt in list {
            if let Some(complaint) = lint::complaint(stmt) {
                return Err(Error::Refused(format!("the statement {} {complaint}", stmt.name)));
            }
        }
        match &self.0.engine {
            Engine::Sqlite(engine) => engine.ask(Ask::Prepare(list.to_vec())).await.map(|_| ()),
            Engine::Postgres(engine) => Box::pin(engine.prepare(list)).await,
        }
    }

    /// Finishes what was accepted, empties the write-ahead log and ends all threads and connections.
    pub async fn close(&self) {
        match &self.0.engine {
            Engine::Sqlite(engine) => {
                let engine = Arc::clone(engine);
                // a join that fails has nothing left to close
                let _ = blocking(move || engine.close()).await;
            }
            Engine::Postgres(engine) => Box::pin(engine.close()).await,
        }
    }

    /// `sqlite` or `postgresql`.
    pub fn engine_name(&self) -> &'static str {
        match &self.0.engine {
            Engine::Sqlite(_) => "sqlite",
            Engine::Postgres(_) => "postgresql",
        }
    }

    /// The version of the schema this program writes.
    pub fn schema_version(&self) -> i64 {
        migrate::newest()
    }

    /// The file whose lock stands for the right to write, on an engine that has one.
    pub(crate) fn lock_path(&self) -> Option<PathBuf> {
        match &self.0.engine {
            Engine::Sqlite(engine) => Some(engine.lock_path()),
            Engine::Postgres(_) => None,
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Unavailable(Box::new(error)))
}
