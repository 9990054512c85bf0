//! The writer thread: drains the queue, runs each batch in a savepoint, commits all with one sync, then answers.

use std::sync::Arc;

use rusqlite::{Connection, ErrorCode};

use crate::batch::{Change, Step};
use crate::error::Error;
use crate::plan::Plan;
use crate::segment::Segments;
use crate::sql;
use crate::sqlite::queue::{Job, Queue, Work};
use crate::sqlite::statements::{Statements, failure, stop_on_io_failure};
use crate::store::Shared;

/// Closes the queue when the thread ends for whatever reason, so that nobody waits for it.
struct Closing(Arc<Queue>);
impl Drop for Closing {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// Works until the queue is closed.
pub(crate) fn run(connection: &Connection, queue: Arc<Queue>, shared: &Shared) {
    let closing = Closing(queue);
    let mut writer = Writer { statements: Statements::new(connection), shared, segments: Segments::default() };
    let mut group = Vec::with_capacity(512);
    while closing.0.take(&mut group) {
        writer.group(&mut group);
    }
}

/// What a committed job leaves to deliver.
#[derive(Default)]
struct Done {
    seq: u64,
    shard: Option<i64>,
    changes: Vec<Change>,
}

/// Why a whole group came to nothing.
enum GroupError {
    /// The disk or the quota is full.
    NoSpace,
    /// Anything else.
    Other(String),
}

struct Writer<'c> {
    statements: Statements<'c>,
    shared: &'c Shared,
    segments: Segments,
}

impl Writer<'_> {
    fn group(&mut self, jobs: &mut Vec<Job>) {
        let mut outcome = self.attempt(jobs);
        if matches!(outcome, Err(GroupError::NoSpace)) && jobs.iter().any(|job| job.reserved) {
            // what narrows access is tried again alone: it may fit where the whole group did not
            let (kept, refused): (Vec<_>, Vec<_>) = jobs.drain(..).partition(|job| job.reserved);
            for job in refused {
                let _ = job.reply.send(Err(Error::NoSpace));
            }
            *jobs = kept;
            outcome = self.attempt(jobs);
        }
        match outcome {
            Ok(results) => {
                self.shared.counters.groups.add(1);
                for result in &results {
                    self.count_and_deliver(result);
                }
                for (job, result) in jobs.drain(..).zip(results) {
                    let _ = job.reply.send(result.map(|done| done.seq));
                }
            }
            Err(error) => {
                for job in jobs.drain(..) {
                    let _ = job.reply.send(Err(match &error {
                        GroupError::NoSpace => Error::NoSpace,
                        GroupError::Other(why) => Error::Unavailable(why.clone().into()),
                    }));
                }
            }
        }
    }

    fn count_and_deliver(&self, result: &Result<Done, Error>) {
        match result {
            Ok(done) => {
                if let (Some(shard), false) = (done.shard, done.changes.is_empty()) {
                    self.shared.feed.deliver(shard, done.seq, &done.changes);
                }
            }
            Err(Error::Conflict(_)) => self.shared.counters.conflicts.add(1),
            Err(_) => {}
        }
    }

    /// Runs the jobs in one transaction; an error means that none of it happened.
    fn attempt(&mut self, jobs: &[Job]) -> Result<Vec<Result<Done, Error>>, GroupError> {
        let connection = self.statements.connection();
        connection.execute_batch("BEGIN IMMEDIATE").map_err(|error| group_error(&error))?;
        let outcome = self.run_all(jobs).and_then(|results| {
            connection.execute_batch("COMMIT").map(|()| results).map_err(|error| {
                stop_on_io_failure(&error);
                group_error(&error)
            })
        });
        if outcome.is_err() && !connection.is_autocommit() {
            // the engine may have rolled back by itself; then there is nothing left to end
            let _ = connection.execute_batch("ROLLBACK");
        }
        outcome
    }

    fn run_all(&mut self, jobs: &[Job]) -> Result<Vec<Result<Done, Error>>, GroupError> {
        let _ = self.segments.take_steps(&self.shared.ids);
        let mut results = Vec::with_capacity(jobs.len());
        for job in jobs {
            results.push(match &job.work {
                Work::Journal(entry) => {
                    self.segments.add(entry);
                    self.shared.counters.entries.add(1);
                    Ok(Done::default())
                }
                Work::Batch(plan) => {
                    self.shared.counters.batches.add(1);
                    self.savepoint(plan)?
                }
            });
        }
        for step in self.segments.take_steps(&self.shared.ids) {
            self.step(&step).map_err(whole_group)?;
        }
        Ok(results)
    }

    fn savepoint(&mut self, plan: &Plan) -> Result<Result<Done, Error>, GroupError> {
        let connection = self.statements.connection();
        connection.execute_batch("SAVEPOINT batch").map_err(|error| group_error(&error))?;
        let result = self.batch(plan);
        if let Err(error) = result {
            if matches!(error, Error::NoSpace | Error::Unavailable(_)) || connection.is_autocommit() {
                return Err(whole_group(error));
            }
            connection.execute_batch("ROLLBACK TO batch; RELEASE batch").map_err(|error| group_error(&error))?;
            return Ok(Err(error));
        }
        connection.execute_batch("RELEASE batch").map_err(|error| group_error(&error))?;
        if let Some(entry) = &plan.entry {
            self.segments.add(entry);
            self.shared.counters.entries.add(1);
        }
        Ok(result)
    }

    fn batch(&mut self, plan: &Plan) -> Result<Done, Error> {
        for step in plan.before() {
            self.step(step)?;
        }
        let Some(stamp) = &plan.stamp else {
            let seq = plan.shard.map_or(0, |shard| self.shared.feed.applied(shard));
            return Ok(Done { seq, shard: plan.shard, changes: Vec::new() });
        };
        let taken = self.statements.query(&sql::HEAD_TAKE, &[stamp.shard.into()])?;
        let seq = taken.first().ok_or(Error::Defect("HEAD_TAKE", None))?.int(0)?;
        for step in &stamp.steps {
            self.step(step)?;
        }
        let seq = u64::try_from(seq).map_err(|_| Error::RowCorrupt)?;
        Ok(Done { seq, shard: Some(stamp.shard), changes: stamp.changes(seq) })
    }

    fn step(&mut self, step: &Step) -> Result<(), Error> {
        let rows = self.statements.execute(step.stmt, &step.params)?;
        match step.expect_rows {
            Some(expected) if expected != rows => Err(Error::Conflict(step.stmt.name)),
            _ => Ok(()),
        }
    }
}

fn whole_group(error: Error) -> GroupError {
    match error {
        Error::NoSpace => GroupError::NoSpace,
        Error::Unavailable(source) | Error::Defect(_, Some(source)) => GroupError::Other(source.to_string()),
        other => GroupError::Other(other.to_string()),
    }
}

fn group_error(error: &rusqlite::Error) -> GroupError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => GroupError::NoSpace,
        _ => GroupError::Other(error.to_string()),
    }
}

/// Runs a few statements once, outside of any queue (used while opening).
pub(crate) fn run_directly(connection: &Connection, steps: &[Step]) -> Result<(), Error> {
    let mut statements = Statements::new(connection);
    connection.execute_batch("BEGIN IMMEDIATE").map_err(|error| failure("BEGIN", error))?;
    for step in steps {
        statements.execute(step.stmt, &step.params)?;
    }
    connection.execute_batch("COMMIT").map_err(|error| failure("COMMIT", error))
}
