//! PostgreSQL: pipelined batches on a few connections, one committer for the journal, the feed in order.

mod commit;
mod journal;
mod pool;
mod probe;
mod tls;
mod value;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kernel::audit::Entry;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinHandle};

use crate::batch::{Change, ChangeKind};
use crate::error::Error;
use crate::feed::SHARDS;
use crate::fence::Moment;
use crate::migrate::{self, Applied};
use crate::plan::Plan;
use crate::rewrite::Dialect;
use crate::sql;
use crate::stmt::Stmt;
use crate::store::{Shared, Trouble};
use crate::value::{Row, Value};
use journal::Message;
use pool::{Boxed, Connection, Failed, Pool, join};
use value::failure;

/// Taken while migrating; any number will do as long as it stays.
const MIGRATION_LOCK: i64 = 0x6261_7374_696f_6e31;
/// How often the feed is looked at for commits of other processes.
const POLL: Duration = Duration::from_secs(1);
/// How long a read may take.
const READ: Duration = Duration::from_secs(10);
/// Lines of the feed read at once.
const PAGE: usize = 10_000;

/// How long a commit whose caller was told nothing may still come to be: longer than a session may idle in it.
const LATE: Duration = Duration::from_secs(30);

struct Core {
    pool: Arc<Pool>,
    shared: Arc<Shared>,
    order: [tokio::sync::Mutex<()>; 16],
    /// Until when the data may hold changes of this process that it has not heard of.
    unsure: Mutex<Option<Moment>>,
}

/// The connected server.
pub(crate) struct Engine {
    core: Arc<Core>,
    journal: mpsc::Sender<Message>,
    committer: Mutex<Option<JoinHandle<()>>>,
    /// How many commits run, and whether more are taken.
    running: watch::Sender<Running>,
    watching: [AbortHandle; 2],
}

/// Commits that were taken on and have not ended.
#[derive(Default)]
struct Running {
    commits: usize,
    is_closed: bool,
}

/// One of them.
struct Turn(watch::Sender<Running>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.send_modify(|running| running.commits = running.commits.saturating_sub(1));
    }
}

impl Engine {
    /// Connects, checks that the server keeps what it acknowledges, and brings the schema up to date.
    pub(crate) async fn open(address: &str, shared: &Arc<Shared>, allow_unsafe: bool) -> Result<Self, Error> {
        let pool = Arc::new(Pool::new(address, shared)?);
        let connection = pool.connect().await?;
        check_settings(&connection, allow_unsafe).await?;
        migrate(&connection, shared).await?;
        connection.prepare([&sql::HEAD_SEED, &sql::HEADS].into_iter()).await.map_err(|(n, e)| failure(n, e))?;
        for shard in 0..SHARDS {
            connection.query(&sql::HEAD_SEED, &[Value::Int(shard)]).await?;
        }
        for (shard, seq) in heads(&connection.query(&sql::HEADS, &[]).await?)? {
            shared.feed.start_at(shard, seq);
        }
        let core = Arc::new(Core {
            pool: Arc::clone(&pool),
            shared: Arc::clone(shared),
            order: Default::default(),
            unsure: Mutex::default(),
        });
        let (journal, queue) = mpsc::channel(journal::BOUND);
        let committer = tokio::spawn(journal::run(Arc::clone(&pool), Arc::clone(shared), queue));
        let poller = tokio::spawn(poll(Arc::clone(&core))).abort_handle();
        let prober = tokio::spawn(probe::run(pool, Arc::clone(shared), connection)).abort_handle();
        let running = watch::Sender::default();
        Ok(Self { core, journal, committer: Mutex::new(Some(committer)), running, watching: [poller, prober] })
    }

    /// The rows of several queries in one flight.
    pub(crate) async fn read(&self, asks: Vec<(&'static Stmt, Vec<Value>)>) -> Result<Vec<Vec<Row>>, Error> {
        // boxed: it is a part of nearly every handler's future
        Box::pin(self.core.read(&asks)).await
    }

    /// Prepares statements without running them.
    pub(crate) async fn prepare(&self, list: &[&'static Stmt]) -> Result<(), Error> {
        let connection = self.core.pool.get(false).await?;
        for stmt in list {
            connection.prepare(std::iter::once(*stmt)).await.map_err(|(name, error)| failure(name, error))?;
        }
        connection.give_back();
        Ok(())
    }

    /// Commits a plan and delivers its changes.
    pub(crate) async fn commit(&self, plan: Plan, reserved: bool) -> Result<u64, Error> {
        let turn = self.turn()?;
        let core = Arc::clone(&self.core);
        // a task of its own: a caller that goes away must not leave a commit undelivered
        let task = tokio::spawn(async move {
            let committed = core.commit(&plan, reserved).await;
            drop(turn);
            committed
        });
        task.await.unwrap_or_else(|error| Err(Error::Unknown(Box::new(error))))
    }

    fn turn(&self) -> Result<Turn, Error> {
        let is_open = self.running.send_if_modified(|running| {
            if !running.is_closed {
                running.commits = running.commits.saturating_add(1);
            }
            !running.is_closed
        });
        if is_open { Ok(Turn(self.running.clone())) } else { Err(Error::Unavailable("the store is closed".into())) }
    }

    /// Appends an entry to the journal.
    pub(crate) async fn journal(&self, entry: Entry) -> Result<(), Error> {
        if self.core.pool.away().is_some() {
            return Err(Error::Unavailable("the server is away".into()));
        }
        let (reply, answer) = oneshot::channel();
        self.journal.try_send(Message::Entry(entry, reply, Instant::now())).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::Full,
            mpsc::error::TrySendError::Closed(_) => Error::Unavailable("the store is closed".into()),
        })?;
        answer.await.unwrap_or_else(|_| Err(Error::Unknown("the store is closed".into())))
    }

    /// How many journal entries wait and how many commits run.
    pub(crate) fn queue_depth(&self) -> usize {
        let entries = self.journal.max_capacity().saturating_sub(self.journal.capacity());
        entries.saturating_add(self.running.borrow().commits)
    }

    /// What keeps the server away.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        self.core.pool.away().map(probe::Away::trouble)
    }

    /// Reads the feed to its head now.
    pub(crate) async fn catch_up(&self) -> Result<(), Error> {
        self.core.poll_once().await
    }

    /// Reads the feed to its head if the data may hold more than this process has heard.
    pub(crate) async fn settle(&self) -> Result<(), Error> {
        let unsure = *self.core.unsure.lock().unwrap_or_else(PoisonError::into_inner);
        if unsure.is_some_and(|end| Moment::now() < end) { self.core.poll_once().await } else { Ok(()) }
    }

    /// Finishes what was accepted and ends all connections.
    pub(crate) async fn close(&self) {
        self.running.send_modify(|running| running.is_closed = true);
        // an error would mean that the sender, which is ours, has gone
        let _ = self.running.subscribe().wait_for(|running| running.commits == 0).await;
        // an error means that the committer has ended already
        let _ = self.journal.send(Message::Close).await;
        let committer = self.committer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(committer) = committer {
            let _ = committer.await;
        }
        self.stop_watching();
        self.core.pool.close();
    }

    fn stop_watching(&self) {
        for task in &self.watching {
            task.abort();
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop_watching();
    }
}

impl Core {
    async fn read(&self, asks: &[(&'static Stmt, Vec<Value>)]) -> Result<Vec<Vec<Row>>, Error> {
        let mut first = true;
        loop {
            let connection = self.pool.get(false).await?;
            match self.pool.within(READ, read_on(&connection, asks)).await? {
                // a connection at rest may have ended unnoticed; a read is safe to repeat
                Err(Failed::Server(_, error)) if first && error.as_db_error().is_none() => {
                    first = false;
                    self.pool.doubt();
                }
                answer => {
                    connection.give_back();
                    return answer.map_err(Error::from);
                }
            }
        }
    }

    async fn commit(&self, plan: &Plan, reserved: bool) -> Result<u64, Error> {
        let counters = &self.shared.counters;
        counters.batches.add(1);
        let began = Instant::now();
        let committed = commit::commit(&self.pool, &self.shared, plan, reserved).await;
        if let Err(error) = &committed {
            counters.conflicts.note(error);
        }
        if matches!(committed, Err(Error::Unknown(_))) && plan.stamp.is_some() {
            *self.unsure.lock().unwrap_or_else(PoisonError::into_inner) = Some(Moment::now().after(LATE));
        }
        let seq = committed?;
        counters.groups.add(1);
        counters.commits.add_duration(began.elapsed());
        counters.groups_of.add(1);
        if plan.entry.is_some() {
            counters.entries.add(1);
        }
        if let (Some(seq), Some(stamp)) = (seq, &plan.stamp) {
            self.deliver(stamp.shard, seq, &stamp.changes(seq)).await;
            return Ok(seq);
        }
        Ok(plan.shard.map_or(0, |shard| self.shared.feed.applied(shard)))
    }

    /// Delivers a commit after every earlier one of its shard.
    async fn deliver(&self, shard: i64, seq: u64, changes: &[Change]) {
        let Some(order) = usize::try_from(shard).ok().and_then(|index| self.order.get(index)) else { return };
        let _turn = order.lock().await;
        let feed = &self.shared.feed;
        let applied = feed.applied(shard);
        if applied.saturating_add(1) == seq {
            feed.deliver(shard, seq, changes);
        } else if applied < seq && self.catch_up(shard, seq).await.is_err() {
            // heard now, and again when the missing ones before it can be read
            feed.deliver(shard, applied, changes);
        }
    }

    /// Reads and delivers what was committed up to a number. The shard's row was locked by each commit until its
    /// end, so every number below a committed one is committed and can be read. The caller holds the shard's turn.
    async fn catch_up(&self, shard: i64, seq: u64) -> Result<(), Error> {
        let feed = &self.shared.feed;
        let upper = i64::try_from(seq).map_err(|_| Error::RowCorrupt)?;
        while feed.applied(shard) < seq {
            let applied = feed.applied(shard);
            let lower = i64::try_from(applied).map_err(|_| Error::RowCorrupt)?;
            let params = vec![Value::Int(shard), Value::Int(lower), Value::Int(upper)];
            let rows = self.read(&[(&sql::CHANGES_AFTER, params)]).await?.pop().unwrap_or_default();
            let changes = rows.iter().filter_map(|row| change(row).transpose()).collect::<Result<Vec<_>, _>>()?;
            let last = match changes.last() {
                // a full page may end inside a commit, whose lines are then read again
                Some(last) if rows.len() >= PAGE => last.seq.saturating_sub(1).max(applied.saturating_add(1)),
                _ => seq,
            };
            feed.deliver(shard, last, &changes);
        }
        Ok(())
    }

    async fn poll_once(&self) -> Result<(), Error> {
        let applied = self.shared.feed.positions();
        let rows = self.read(&[(&sql::HEADS, Vec::new())]).await?.pop().unwrap_or_default();
        let heads = heads(&rows)?;
        let head = |shard| heads.iter().find(|(known, _)| *known == shard).map_or(0, |(_, seq)| *seq);
        self.pool.compare(applied, std::array::from_fn(|index| i64::try_from(index).map_or(0, head)));
        for (shard, seq) in heads {
            if seq > self.shared.feed.applied(shard)
                && let Some(order) = usize::try_from(shard).ok().and_then(|index| self.order.get(index))
            {
                let _turn = order.lock().await;
                self.catch_up(shard, seq).await?;
            }
        }
        Ok(())
    }
}

async fn read_on(connection: &Connection, asks: &[(&'static Stmt, Vec<Value>)]) -> Result<Vec<Vec<Row>>, Failed> {
    connection
        .prepare(asks.iter().map(|(stmt, _)| *stmt))
        .await
        .map_err(|(name, error)| Failed::Server(name, error))?;
    let futures = asks
        .iter()
        .map(|(stmt, params)| -> Boxed<'_, Result<Vec<Row>, Failed>> { Box::pin(connection.query(stmt, params)) });
    join(futures.collect()).await.into_iter().collect()
}

async fn poll(core: Arc<Core>) {
    loop {
        tokio::time::sleep(POLL).await;
        if let Err(error) = core.poll_once().await {
            tracing::debug!(%error, "the change feed was not read");
        }
    }
}

fn heads(rows: &[Row]) -> Result<Vec<(i64, u64)>, Error> {
    rows.iter().map(|row| Ok((row.int(0)?, u64::try_from(row.int(1)?).map_err(|_| Error::RowCorrupt)?))).collect()
}

/// A line of the feed; `None` for a kind that a later release has added.
fn change(row: &Row) -> Result<Option<Change>, Error> {
    let Some(kind) = ChangeKind::parse(row.text(2)?) else { return Ok(None) };
    Ok(Some(Change {
        seq: u64::try_from(row.int(0)?).map_err(|_| Error::RowCorrupt)?,
        tenant: row.id(1)?,
        kind,
        key: row.text(3)?.to_owned(),
        until: row.int(4)?,
    }))
}

async fn check_settings(connection: &Connection, allow_unsafe: bool) -> Result<(), Error> {
    for name in ["server_encoding", "fsync", "full_page_writes", "synchronous_commit"] {
        let row = connection.client().query_one("SELECT current_setting($1)", &[&name]).await;
        let value: String = row.and_then(|row| row.try_get(0)).map_err(|error| failure("SETTINGS", error))?;
        if name == "server_encoding" {
            if value != "UTF8" {
                return Err(Error::Refused(format!(
                    "the PostgreSQL database has the encoding {value}: create it with UTF8"
                )));
            }
        } else if value == "off" && !allow_unsafe {
            return Err(Error::Refused(format!(
                "PostgreSQL runs with {name} = off and may lose what it acknowledged: set it to on, or set \
                 store.allow_unsafe_durability = true for a test"
            )));
        }
    }
    Ok(())
}

/// What ran on a database; nothing for an empty one. It is not changed.
pub(crate) async fn applied(address: &str, shared: &Arc<Shared>) -> Result<Vec<Applied>, Error> {
    let connection = Pool::new(address, shared)?.connect().await?;
    let failed = |error| failure("SCHEMA", error);
    let table = "SELECT to_regclass('schema_migration') IS NOT NULL";
    let is_there = connection.client().query_one(table, &[]).await.map_err(failed)?.try_get(0).map_err(failed)?;
    if is_there { history(&connection).await } else { Ok(Vec::new()) }
}

async fn history(connection: &Connection) -> Result<Vec<Applied>, Error> {
    let failed = |error| failure("MIGRATION", error);
    let rows = connection.client().query(migrate::APPLIED, &[]).await.map_err(failed)?;
    let read = |row: &tokio_postgres::Row| -> Result<Applied, tokio_postgres::Error> {
        Ok(Applied {
            version: row.try_get(0)?,
            sha256: row.try_get(1)?,
            min_reader: row.try_get(2)?,
            at: row.try_get(3)?,
        })
    };
    rows.iter().map(read).collect::<Result<_, _>>().map_err(failed)
}

async fn migrate(connection: &Connection, shared: &Shared) -> Result<(), Error> {
    let client = connection.client();
    let failed = |error| failure("MIGRATION", error);
    loop {
        let begin = format!("BEGIN; SELECT pg_advisory_xact_lock({MIGRATION_LOCK}); SET LOCAL lock_timeout = '2s'");
        client.batch_execute(&begin).await.map_err(failed)?;
        client.batch_execute(&migrate::history(Dialect::Postgres)).await.map_err(failed)?;
        let rows = history(connection).await?;
        // what returns early leaves the transaction open; it ends with the connection
        let Some(next) = migrate::pending(&rows)?.into_iter().next() else {
            return client.batch_execute("COMMIT").await.map_err(failed);
        };
        client.batch_execute(&next.text(Dialect::Postgres)).await.map_err(failed)?;
        let now = shared.ids.now().as_micros();
        client
            .execute(
                "INSERT INTO schema_migration (version, name, sha256, min_reader, applied_at) VALUES ($1, $2, $3, $4, $5)",
                &[&next.version, &next.name, &next.sha256(), &next.min_reader, &now],
            )
            .await
            .map_err(failed)?;
        client.batch_execute("COMMIT").await.map_err(failed)?;
    }
}
