//! Reading: a few threads with connections that can only read, behind one bounded queue, and as many connections on
//! which a caller finds a row by its key without waiting for a thread.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot};

use crate::error::Error;
use crate::sqlite::statements::{Statements, failure, look_up};
use crate::stmt::Stmt;
use crate::store::Shared;
use crate::value::{Row, Value};

/// Reads that may wait or run at once.
const BOUND: usize = 1024;
/// How long a read waits for its turn.
const WAIT: Duration = Duration::from_secs(1);

/// What a read thread is asked to do.
pub(crate) enum Ask {
    /// Rows of several queries.
    Rows(Vec<(&'static Stmt, Vec<Value>)>),
    /// Whether statements can be prepared.
    Prepare(Vec<&'static Stmt>),
}

type Answer = Result<Vec<Vec<Row>>, Error>;

#[derive(Default)]
struct Waiting {
    asks: VecDeque<(Ask, oneshot::Sender<Answer>)>,
    closed: bool,
}

#[derive(Default)]
struct Line {
    waiting: Mutex<Waiting>,
    filled: Condvar,
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The threads and their queue.
pub(crate) struct Readers {
    line: Arc<Line>,
    /// Connections for lookups that nobody uses now; none once the store is closed.
    free: Mutex<Vec<Connection>>,
    turns: Semaphore,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Readers {
    /// Opens the connections and starts the threads.
    pub(crate) fn start(path: &Path, shared: &Arc<Shared>) -> Result<Self, Error> {
        let line = Arc::new(Line::default());
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let mut threads = Vec::new();
        for number in 0..cores.saturating_mul(2).clamp(2, 16) {
            let connection = connect(path)?;
            let (line, shared) = (Arc::clone(&line), Arc::clone(shared));
            let thread = std::thread::Builder::new()
                .name(format!("store-read-{number}"))
                .spawn(move || serve(&mut Statements::new(&connection), &line, &shared))
                .map_err(|error| Error::Unavailable(Box::new(error)))?;
            threads.push(thread);
        }
        let mut free = Vec::new();
        for _ in 0..cores.clamp(2, 16) {
            let connection = connect(path)?;
            // a caller never waits for a lock of the file: a thread does that
            connection.busy_timeout(Duration::ZERO).map_err(|error| failure("PRAGMA", error))?;
            connection.set_prepared_statement_cache_capacity(64);
            free.push(connection);
        }
        Ok(Self { line, free: Mutex::new(free), turns: Semaphore::new(BOUND), threads: Mutex::new(threads) })
    }

    /// The rows that a key finds, at once; `None` when a thread must look.
    fn look_up(&self, asks: &[(&'static Stmt, Vec<Value>)]) -> Option<Answer> {
        let [(stmt, params)] = asks else { return None };
        if !stmt.by_key {
            return None;
        }
        let connection = self.free().pop()?;
        let found = look_up(&connection, stmt, params);
        if !self.line.lock().closed {
            self.free().push(connection);
        }
        match found {
            Ok(rows) => Some(Ok(vec![rows])),
            // a lock of the file among other things: the thread tries again and says what it is
            Err(Error::Unavailable(_)) => None,
            Err(error) => Some(Err(error)),
        }
    }

    fn free(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks a key up, or asks a read thread.
    pub(crate) async fn ask(&self, ask: Ask) -> Answer {
        if let Ask::Rows(asks) = &ask
            && let Some(found) = self.look_up(asks)
        {
            return found;
        }
        let turn = tokio::time::timeout(WAIT, self.turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(Error::Full) };
        let (reply, answer) = oneshot::channel();
        {
            let mut waiting = self.line.lock();
            if waiting.closed {
                return Err(Error::Unavailable("the store is closed".into()));
            }
            waiting.asks.push_back((ask, reply));
        }
        self.line.filled.notify_one();
        answer.await.unwrap_or_else(|_| Err(Error::Unavailable("the store is closed".into())))
    }

    /// Takes no more questions; the threads end once the queue is empty.
    pub(crate) fn close(&self) -> Vec<JoinHandle<()>> {
        self.line.lock().closed = true;
        self.free().clear();
        self.line.filled.notify_all();
        std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn connect(path: &Path) -> Result<Connection, Error> {
    let connection = super::connect(path)?;
    connection
        .execute_batch("PRAGMA query_only = 1; PRAGMA cache_size = -512")
        .map_err(|error| failure("PRAGMA", error))?;
    Ok(connection)
}

fn serve(statements: &mut Statements<'_>, line: &Line, shared: &Shared) {
    loop {
        let (ask, reply) = {
            let mut waiting = line.lock();
            loop {
                if let Some(next) = waiting.asks.pop_front() {
                    break next;
                }
                if waiting.closed {
                    return;
                }
                waiting = line.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
        };
        if !reply.is_closed() {
            let answer = answer(statements, ask);
            if let Err(error) = &answer {
                shared.watch(error);
            }
            let _ = reply.send(answer);
        }
    }
}

fn answer(statements: &mut Statements<'_>, ask: Ask) -> Answer {
    let asks = match ask {
        Ask::Rows(asks) => asks,
        Ask::Prepare(list) => {
            for stmt in list {
                statements.prepare(stmt)?;
            }
            return Ok(Vec::new());
        }
    };
    if let [(stmt, params)] = asks.as_slice() {
        return Ok(vec![statements.query(stmt, params)?]);
    }
    let connection = statements.connection();
    connection.execute_batch("BEGIN").map_err(|error| failure("BEGIN", error))?;
    let found = asks.iter().map(|(stmt, params)| statements.query(stmt, params)).collect();
    connection.execute_batch("COMMIT").map_err(|error| failure("COMMIT", error))?;
    found
}
