//! Connections: few, reused, opened when needed, with two kept for the reserved lane.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::task::AbortHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::batch::Step;
use crate::error::Error;
use crate::postgres::probe::Away;
use crate::postgres::value::{self, Param, failure};
use crate::rewrite::{Dialect, Use, expand};
use crate::sql;
use crate::stmt::Stmt;
use crate::store::Shared;
use crate::value::{Row, Value};

/// How long a caller waits for a connection.
const WAIT: Duration = Duration::from_millis(250);
/// How long the reserved lane waits for one.
const RESERVED_WAIT: Duration = Duration::from_secs(2);
/// How long opening a connection may take for each host of the address.
const OPEN: Duration = Duration::from_secs(1);
/// After a connection failed, how long nobody tries another.
const PAUSE: Duration = Duration::from_millis(250);
/// Connections kept for the reserved lane.
const RESERVED: usize = 2;

/// What every session is told: nothing waits without end, and guards are written for READ COMMITTED.
const SESSION: &str = "SET statement_timeout = '10s'; SET idle_in_transaction_session_timeout = '10s'; \
    SET default_transaction_isolation = 'read committed'; SET client_min_messages = 'warning'; \
    SET standard_conforming_strings = on";

/// A future in a pipeline.
pub(crate) type Boxed<'f, T> = Pin<Box<dyn Future<Output = T> + Send + 'f>>;

/// Runs futures side by side, first polled in order: what each sends goes out in one flight, in this order.
pub(crate) async fn join<T>(futures: Vec<Boxed<'_, T>>) -> Vec<T> {
    let mut waiting: Vec<_> = futures.into_iter().map(|future| (Some(future), None)).collect();
    poll_fn(move |context| {
        let mut ready = true;
        for (slot, result) in &mut waiting {
            if let Some(future) = slot {
                match future.as_mut().poll(context) {
                    Poll::Ready(value) => (*slot, *result) = (None, Some(value)),
                    Poll::Pending => ready = false,
                }
            }
        }
        if ready { Poll::Ready(waiting.drain(..).filter_map(|(_, result)| result).collect()) } else { Poll::Pending }
    })
    .await
}

/// One connection with the statements prepared on it.
pub(crate) struct Connection {
    client: Client,
    prepared: Mutex<HashMap<usize, Statement>>,
    driver: AbortHandle,
}

impl Drop for Connection {
    /// Left alone, the driver of a connection would wait for answers that nobody wants, without end if none comes.
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    /// The session.
    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    fn known(&self) -> MutexGuard<'_, HashMap<usize, Statement>> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, stmt: &'static Stmt) -> Option<Statement> {
        self.known().get(&std::ptr::from_ref(stmt).addr()).cloned()
    }

    /// Prepares what is not prepared yet, in one flight.
    pub(crate) async fn prepare(
        &self,
        list: impl Iterator<Item = &'static Stmt>,
    ) -> Result<(), (&'static str, tokio_postgres::Error)> {
        let mut new: Vec<&'static Stmt> = list.filter(|stmt| self.find(stmt).is_none()).collect();
        new.sort_unstable_by_key(|stmt| std::ptr::from_ref(*stmt).addr());
        new.dedup_by_key(|stmt| std::ptr::from_ref(*stmt).addr());
        let futures = new.iter().map(|stmt| -> Boxed<'_, _> {
            let sql = expand(stmt.sql, Dialect::Postgres, Use::Statement);
            Box::pin(async move { self.client.prepare(&sql).await })
        });
        for (stmt, prepared) in new.iter().zip(join(futures.collect()).await) {
            let prepared = prepared.map_err(|error| (stmt.name, error))?;
            self.known().insert(std::ptr::from_ref(*stmt).addr(), prepared);
        }
        Ok(())
    }

    fn statement(&self, stmt: &'static Stmt, params: &[Value]) -> Result<Statement, Error> {
        let found = self.find(stmt).ok_or(Error::Defect(stmt.name, None))?;
        if found.params().len() == params.len() { Ok(found) } else { Err(Error::Defect(stmt.name, None)) }
    }

    /// Whether every statement is prepared and given as many parameters as it has.
    pub(crate) fn check<'s>(&self, mut steps: impl Iterator<Item = &'s Step>) -> Result<(), Error> {
        steps.try_for_each(|step| self.statement(step.stmt, &step.params).map(|_| ()))
    }

    /// Runs a prepared statement: the number of rows it wrote or answered.
    pub(crate) async fn execute(&self, step: &Step) -> Result<u64, tokio_postgres::Error> {
        let Some(statement) = self.find(step.stmt) else { return Ok(0) };
        let params: Vec<Param<'_>> = step.params.iter().map(Param).collect();
        let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|param| param as &(dyn ToSql + Sync)).collect();
        self.client.execute(&statement, &params).await
    }

    /// Takes the next feed number.
    pub(crate) async fn take_head(&self, step: &Step) -> Result<u64, tokio_postgres::Error> {
        let Some(statement) = self.find(step.stmt) else { return Ok(0) };
        let params: Vec<Param<'_>> = step.params.iter().map(Param).collect();
        let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|param| param as &(dyn ToSql + Sync)).collect();
        let row = self.client.query_one(&statement, &params).await?;
        // numbers begin at 0 and only rise
        Ok(u64::try_from(row.try_get::<_, i64>(0)?).unwrap_or(0))
    }

    /// The rows of a prepared query.
    pub(crate) async fn query(&self, stmt: &'static Stmt, params: &[Value]) -> Result<Vec<Row>, Failed> {
        let statement = self.statement(stmt, params).map_err(Failed::Store)?;
        let params: Vec<Param<'_>> = params.iter().map(Param).collect();
        let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|param| param as &(dyn ToSql + Sync)).collect();
        let rows = self.client.query(&statement, &params).await.map_err(|error| Failed::Server(stmt.name, error))?;
        rows.iter().map(value::row).collect::<Result<_, _>>().map_err(Failed::Store)
    }
}

/// Why a query gave no rows.
pub(crate) enum Failed {
    /// The server or the connection.
    Server(&'static str, tokio_postgres::Error),
    /// This program or a row.
    Store(Error),
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Server(name, error) => failure(name, error),
            Failed::Store(error) => error,
        }
    }
}

/// A connection on loan; it goes back only through [`Held::give_back`], so that no half-done one is used again.
pub(crate) struct Held<'p> {
    pool: &'p Pool,
    connection: Arc<Connection>,
    _turn: SemaphorePermit<'p>,
}

impl std::ops::Deref for Held<'_> {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl Held<'_> {
    /// Returns the connection for the next caller.
    pub(crate) fn give_back(self) {
        if !self.connection.client.is_closed() {
            self.pool.idle().push(Arc::clone(&self.connection));
        }
    }
}

/// The connections.
pub(crate) struct Pool {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    shared: Arc<Shared>,
    turns: Semaphore,
    reserved: Semaphore,
    idle: Mutex<Vec<Arc<Connection>>>,
    failed_at: Mutex<Option<Instant>>,
    /// What the probe found last.
    away: watch::Sender<Option<Away>>,
    /// Whether the probe must look at the server through a new connection.
    doubted: AtomicBool,
}

impl Pool {
    /// A pool for a server; opens nothing yet.
    pub(crate) fn new(address: &str, shared: &Arc<Shared>) -> Result<Self, Error> {
        let (mut config, tls) = super::tls::read_address(address)?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(OPEN);
        }
        if config.get_application_name().is_none() {
            config.application_name("bastionary");
        }
        if tls.is_none() && config.get_ssl_mode() == SslMode::Require {
            return Err(Error::Refused(
                "the PostgreSQL address has sslmode=require but no sslrootcert=FILE".to_owned(),
            ));
        }
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let most = cores.saturating_mul(4).clamp(4, 32);
        Ok(Self {
            config,
            tls,
            shared: Arc::clone(shared),
            turns: Semaphore::new(most.saturating_sub(RESERVED)),
            reserved: Semaphore::new(RESERVED),
            idle: Mutex::default(),
            failed_at: Mutex::default(),
            away: watch::Sender::new(None),
            doubted: AtomicBool::new(false),
        })
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Arc<Connection>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection, from those at rest or a new one.
    pub(crate) async fn get(&self, reserved: bool) -> Result<Held<'_>, Error> {
        self.within(Duration::MAX, self.next(reserved)).await?
    }

    async fn next(&self, reserved: bool) -> Result<Held<'_>, Error> {
        let turn = match self.turns.try_acquire() {
            Ok(turn) => turn,
            Err(_) if reserved => in_time(RESERVED_WAIT, &self.reserved).await?,
            Err(_) => in_time(WAIT, &self.turns).await?,
        };
        let rested = {
            let mut idle = self.idle();
            idle.retain(|connection| !connection.client.is_closed());
            idle.pop()
        };
        let connection = match rested {
            Some(connection) => connection,
            None => Arc::new(self.connect().await?),
        };
        Ok(Held { pool: self, connection, _turn: turn })
    }

    /// A new connection outside the count.
    pub(crate) async fn connect(&self) -> Result<Connection, Error> {
        {
            let failed_at = self.failed_at.lock().unwrap_or_else(PoisonError::into_inner);
            if failed_at.is_some_and(|at| at.elapsed() < PAUSE) {
                return Err(Error::Unavailable("the server was not reachable a moment ago".into()));
            }
        }
        let opened = self.open().await;
        let failed_at = if opened.is_ok() { None } else { Some(Instant::now()) };
        *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner) = failed_at;
        opened
    }

    /// A new connection, however short the last failure lies back; for the probe.
    pub(crate) async fn open(&self) -> Result<Connection, Error> {
        let hosts = u32::try_from(self.config.get_hosts().len()).unwrap_or(1).max(1);
        let opened = tokio::time::timeout(OPEN.saturating_mul(hosts), self.open_session()).await;
        opened.unwrap_or_else(|_| Err(Error::Unavailable("connecting took too long".into())))
    }

    async fn open_session(&self) -> Result<Connection, Error> {
        let failed = |error: tokio_postgres::Error| Error::Unavailable(Box::new(error));
        let (client, driver) = if let Some(tls) = &self.tls {
            let (client, connection) = self.config.connect(tls.clone()).await.map_err(failed)?;
            (client, tokio::spawn(connection).abort_handle())
        } else {
            let (client, connection) = self.config.connect(NoTls).await.map_err(failed)?;
            (client, tokio::spawn(connection).abort_handle())
        };
        let connection = Connection { client, prepared: Mutex::default(), driver };
        connection.client.batch_execute(SESSION).await.map_err(failed)?;
        // whatever answers behind a new connection may be another server than before
        self.check_heads(&connection).await.map_err(failed)?;
        Ok(connection)
    }

    /// Looks for a server that has forgotten what this process has seen of it.
    async fn check_heads(&self, connection: &Connection) -> Result<(), tokio_postgres::Error> {
        let applied = self.shared.feed.positions();
        if applied.iter().all(|seq| *seq == 0) {
            return Ok(());
        }
        let mut heads = [0; 16];
        for message in connection.client.simple_query(sql::HEADS.sql).await? {
            if let SimpleQueryMessage::Row(row) = message
                && let (Some(shard), Some(seq)) = (row.get(0), row.get(1))
                && let Some(head) = shard.parse().ok().and_then(|shard: usize| heads.get_mut(shard))
            {
                *head = seq.parse().unwrap_or(0);
            }
        }
        self.compare(applied, heads);
        Ok(())
    }

    /// Fences this process when a head stands below what had been applied before the heads were read.
    pub(crate) fn compare(&self, applied: [u64; 16], heads: [u64; 16]) {
        let lost = applied.iter().zip(&heads).enumerate().find(|(_, (applied, head))| head < applied);
        if let Some((shard, (applied, head))) = lost
            && self.shared.fence.roll_back(self.shared.ids.now())
        {
            tracing::error!(
                code = "store_rolled_back",
                shard,
                applied,
                head,
                "the database has lost commits that it had acknowledged: nothing is answered from it until an operator                  has looked at it and restarts this process"
            );
        }
    }

    /// What keeps the server away.
    pub(crate) fn away(&self) -> Option<Away> {
        *self.away.borrow()
    }

    /// Takes what the probe found.
    pub(crate) fn set_away(&self, away: Option<Away>) {
        self.away.send_replace(away);
        if away.is_some() {
            self.flush();
        } else {
            *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// Does work for as long as the server answers the probe, and within a time.
    pub(crate) async fn within<T>(&self, time: Duration, work: impl Future<Output = T>) -> Result<T, Error> {
        let mut away = self.away.subscribe();
        tokio::select! {
            biased;
            // an error means that the pool is gone, and with it whoever waits here
            _ = away.wait_for(Option::is_some) => Err(Error::Unavailable("the server is away".into())),
            done = tokio::time::timeout(time, work) => {
                done.map_err(|_| Error::Unavailable("the server did not answer in time".into()))
            }
        }
    }

    /// After a connection broke or was refused a write: its neighbors are likely no better, and the probe must ask anew.
    pub(crate) fn doubt(&self) {
        self.doubted.store(true, Ordering::SeqCst);
        self.flush();
    }

    /// Whether the probe must ask through a new connection.
    pub(crate) fn take_doubt(&self) -> bool {
        self.doubted.swap(false, Ordering::SeqCst)
    }

    /// Ends the connections at rest.
    fn flush(&self) {
        self.idle().clear();
    }

    /// Gives nobody a connection from here on.
    pub(crate) fn close(&self) {
        self.turns.close();
        self.reserved.close();
        self.flush();
    }
}

async fn in_time(wait: Duration, turns: &Semaphore) -> Result<SemaphorePermit<'_>, Error> {
    match tokio::time::timeout(wait, turns.acquire()).await {
        Ok(Ok(turn)) => Ok(turn),
        Ok(Err(_)) => Err(Error::Unavailable("the store is closed".into())),
        Err(_) => Err(Error::Full),
    }
}
