//! The journal's committer: gathers what is queued and writes it as one group, one group at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kernel::audit::Entry;
use tokio::sync::{mpsc, oneshot};

use crate::batch::Step;
use crate::error::Error;
use crate::postgres::commit::is_proof;
use crate::postgres::pool::{Boxed, Connection, Failed, Pool, join};
use crate::postgres::value::{Verdict, failure, verdict};
use crate::segment::Segments;
use crate::store::Shared;

/// Entries that may wait.
pub(crate) const BOUND: usize = 4096;
/// Entries in one group at most.
const GROUP: usize = 512;
/// How long one flight may take.
const FLIGHT: Duration = Duration::from_secs(10);
/// How long a group is tried again after its connection was lost.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the committer is sent.
pub(crate) enum Message {
    /// An entry, where its answer goes, and since when it waits.
    Entry(Entry, oneshot::Sender<Result<(), Error>>, Instant),
    /// The end.
    Close,
}

/// Works until told to close or until nobody can send any more.
pub(crate) async fn run(pool: Arc<Pool>, shared: Arc<Shared>, mut queue: mpsc::Receiver<Message>) {
    let mut committer = Committer { pool, shared, connection: None };
    let mut messages = Vec::with_capacity(GROUP);
    let mut replies = Vec::with_capacity(GROUP);
    let mut waiting = Vec::with_capacity(GROUP);
    let mut segments = Segments::default();
    let mut closing = false;
    while !closing && queue.recv_many(&mut messages, GROUP).await > 0 {
        for message in messages.drain(..) {
            match message {
                // nobody waits for it, and nothing has been begun
                Message::Entry(_, reply, _) if reply.is_closed() => {}
                Message::Entry(entry, reply, since) => {
                    segments.add(&entry);
                    waiting.push(since);
                    replies.push(reply);
                }
                Message::Close => closing = true,
            }
        }
        let steps = segments.take_steps(&committer.shared.ids);
        if steps.is_empty() {
            continue;
        }
        let (began, count) = (Instant::now(), u64::try_from(replies.len()).unwrap_or(0));
        let counters = &committer.shared.counters;
        for since in waiting.drain(..) {
            counters.waits.add_duration(began.saturating_duration_since(since));
        }
        let written = committer.write(&steps).await;
        if written.is_ok() {
            let counters = &committer.shared.counters;
            counters.groups.add(1);
            counters.commits.add_duration(began.elapsed());
            counters.groups_of.add(count);
            counters.entries.add(count);
        }
        for reply in replies.drain(..) {
            let _ = reply.send(match &written {
                Ok(()) => Ok(()),
                Err(Error::NoSpace) => Err(Error::NoSpace),
                Err(Error::Unknown(source)) => Err(Error::Unknown(source.to_string().into())),
                Err(Error::Unavailable(source)) => Err(Error::Unavailable(source.to_string().into())),
                Err(other) => Err(Error::Unavailable(other.to_string().into())),
            });
        }
    }
}

struct Committer {
    pool: Arc<Pool>,
    shared: Arc<Shared>,
    /// Its own, so that it waits for nobody.
    connection: Option<Connection>,
}

impl Committer {
    async fn write(&mut self, steps: &[Step]) -> Result<(), Error> {
        let began = Instant::now();
        // whether an earlier attempt may have been committed
        let mut is_open = false;
        loop {
            let error = match self.attempt(steps, &mut is_open).await {
                Ok(()) => return Ok(()),
                // the ids stay the same, so an attempt finds out whether an earlier one was committed
                Err(Failed::Server(_, error)) if is_open && was_written(&error) => return Ok(()),
                Err(Failed::Store(error)) => error,
                Err(Failed::Server(name, error)) => match verdict(&error) {
                    Verdict::Lost | Verdict::Again => Error::Unavailable(Box::new(error)),
                    _ if is_open => Error::Unavailable(Box::new(error)),
                    _ => return Err(failure(name, error)),
                },
            };
            if began.elapsed() > PATIENCE || self.pool.away().is_some() {
                return Err(if is_open { Error::Unknown(Box::new(error)) } else { error });
            }
            let jitter = u64::from(self.shared.ids.jitter());
            tokio::time::sleep(Duration::from_millis(jitter.saturating_add(2) / 2)).await;
        }
    }

    async fn attempt(&mut self, steps: &[Step], is_open: &mut bool) -> Result<(), Failed> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.pool.within(FLIGHT, self.pool.connect()).await.flatten().map_err(Failed::Store)?,
        };
        let prepared = self.pool.within(FLIGHT, connection.prepare(steps.iter().map(|step| step.stmt))).await;
        prepared.map_err(Failed::Store)?.map_err(|(name, error)| self.failed(name, error))?;
        let answers = self.pool.within(FLIGHT, send(&connection, steps)).await.map_err(|error| {
            *is_open = true;
            Failed::Store(error)
        })?;
        for answer in answers {
            answer.map_err(|error| {
                *is_open |= matches!(verdict(&error), Verdict::Lost | Verdict::Unavailable);
                self.failed("SEGMENT_INSERT", error)
            })?;
        }
        self.connection = Some(connection);
        Ok(())
    }

    /// A session that failed is not used again, and neither are its neighbors if it was the server that refused.
    fn failed(&self, name: &'static str, error: tokio_postgres::Error) -> Failed {
        if matches!(verdict(&error), Verdict::Lost | Verdict::Unavailable) {
            self.pool.doubt();
        }
        Failed::Server(name, error)
    }
}

fn was_written(error: &tokio_postgres::Error) -> bool {
    matches!(verdict(error), Verdict::Taken(constraint) if is_proof(&constraint))
}

/// One INSERT commits by itself; several are sent between BEGIN and COMMIT, all in one flight.
async fn send(connection: &Connection, steps: &[Step]) -> Vec<Result<u64, tokio_postgres::Error>> {
    let mut futures: Vec<Boxed<'_, Result<u64, tokio_postgres::Error>>> = Vec::new();
    let several = steps.len() > 1;
    if several {
        futures.push(Box::pin(async { connection.client().batch_execute("BEGIN").await.map(|()| 0) }));
    }
    for step in steps {
        futures.push(Box::pin(async move { connection.execute(step).await }));
    }
    if several {
        futures.push(Box::pin(async { connection.client().batch_execute("COMMIT").await.map(|()| 0) }));
    }
    join(futures).await
}
