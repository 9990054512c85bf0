//! The read threads: a few connections that can only read, behind one bounded queue.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

use crate::error::Error;
use crate::sqlite::statements::{Statements, failure};
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
            let connection = super::connect(path)?;
            connection
                .execute_batch("PRAGMA query_only = 1; PRAGMA cache_size = -512")
                .map_err(|error| failure("PRAGMA", error))?;
            let (line, shared) = (Arc::clone(&line), Arc::clone(shared));
            let thread = std::thread::Builder::new()
                .name(format!("store-read-{number}"))
                .spawn(move || serve(&mut Statements::new(&connection), &line, &shared))
                .map_err(|error| Error::Unavailable(Box::new(error)))?;
            threads.push(thread);
        }
        Ok(Self { line, turns: Semaphore::new(BOUND), threads: Mutex::new(threads) })
    }

    /// Asks a read thread.
    pub(crate) async fn ask(&self, ask: Ask) -> Answer {
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
        self.line.filled.notify_all();
        std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner))
    }
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
