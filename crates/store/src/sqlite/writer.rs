//! The writer thread: drains the queue, runs each batch in a savepoint, commits all with one sync, then answers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use rusqlite::{Connection, ErrorCode};

use crate::batch::{Change, Step};
use crate::error::Error;
use crate::plan::Plan;
use crate::segment::Segments;
use crate::sql;
use crate::sqlite::ballast::Ballast;
use crate::sqlite::check::is_damage;
use crate::sqlite::checkpoint::{self, Signal};
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
pub(crate) fn run(connection: &Connection, queue: Arc<Queue>, shared: &Shared, ballast: Ballast, log: &Signal) {
    let closing = Closing(queue);
    let mut writer = Writer { statements: Statements::new(connection), shared, segments: Segments::default(), ballast };
    let mut group = Vec::with_capacity(512);
    loop {
        shared.is_full.store(writer.ballast.is_known_full(), Ordering::Relaxed);
        if !closing.0.take(&mut group) {
            return;
        }
        writer.group(&mut group);
        checkpoint::last_part(connection, log);
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
    /// The engine met damage in the file.
    Damaged(String),
    /// Anything else.
    Other(String),
}

struct Writer<'c> {
    statements: Statements<'c>,
    shared: &'c Shared,
    segments: Segments,
    ballast: Ballast,
}

impl Writer<'_> {
    fn group(&mut self, jobs: &mut Vec<Job>) {
        if self.ballast.is_full() {
            keep_reserved(jobs);
        }
        if jobs.is_empty() {
            return;
        }
        let began = Instant::now();
        let counters = &self.shared.counters;
        for job in &*jobs {
            counters.waits.add_duration(began.saturating_duration_since(job.since));
        }
        let mut outcome = self.attempt(jobs);
        if matches!(outcome, Err(GroupError::NoSpace)) {
            self.ballast.give_up();
            // what narrows access is tried again alone, in the space just given up
            keep_reserved(jobs);
            if jobs.is_empty() {
                return;
            }
            outcome = self.attempt(jobs);
        }
        match outcome {
            Ok(results) => {
                counters.groups.add(1);
                counters.commits.add_duration(began.elapsed());
                counters.groups_of.add(u64::try_from(jobs.len()).unwrap_or(u64::MAX));
                for result in &results {
                    self.count_and_deliver(result);
                }
                for (job, result) in jobs.drain(..).zip(results) {
                    let _ = job.reply.send(result.map(|done| done.seq));
                }
            }
            Err(error) => {
                if let GroupError::Damaged(why) = &error {
                    self.shared.condemn(why);
                }
                for job in jobs.drain(..) {
                    let _ = job.reply.send(Err(match &error {
                        GroupError::NoSpace => Error::NoSpace,
                        GroupError::Damaged(why) | GroupError::Other(why) => Error::Unavailable(why.clone().into()),
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
            Err(error) => self.shared.counters.conflicts.note(error),
        }
    }

    /// Runs the jobs in one transaction; an error means that none of it happened.
    fn attempt(&mut self, jobs: &[Job]) -> Result<Vec<Result<Done, Error>>, GroupError> {
        let connection = self.statements.connection();
        control(connection, "BEGIN IMMEDIATE")?;
        let outcome = self.run_all(jobs).and_then(|results| {
            let commit = connection.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([]));
            commit.map(|_| results).map_err(|error| {
                stop_on_io_failure(&error);
                group_error(&error)
            })
        });
        if outcome.is_err() && !connection.is_autocommit() {
            // the engine may have rolled back by itself; then there is nothing left to end
            let _ = control(connection, "ROLLBACK");
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
        control(connection, "SAVEPOINT batch")?;
        let result = self.batch(plan);
        if let Err(error) = result {
            if matches!(error, Error::NoSpace | Error::Unavailable(_)) || connection.is_autocommit() {
                return Err(whole_group(error));
            }
            control(connection, "ROLLBACK TO batch")?;
            control(connection, "RELEASE batch")?;
            return Ok(Err(error));
        }
        control(connection, "RELEASE batch")?;
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

/// Refuses what is outside the reserved lane.
fn keep_reserved(jobs: &mut Vec<Job>) {
    let (kept, refused): (Vec<_>, Vec<_>) = jobs.drain(..).partition(|job| job.reserved);
    *jobs = kept;
    for job in refused {
        let _ = job.reply.send(Err(Error::NoSpace));
    }
}

fn whole_group(error: Error) -> GroupError {
    let is_damage = is_damage(&error);
    match error {
        Error::Unavailable(source) if is_damage => GroupError::Damaged(source.to_string()),
        Error::NoSpace => GroupError::NoSpace,
        Error::Unavailable(source) | Error::Defect(_, Some(source)) => GroupError::Other(source.to_string()),
        other => GroupError::Other(other.to_string()),
    }
}

/// Runs a statement that begins or ends something; it is parsed once.
fn control(connection: &Connection, sql: &'static str) -> Result<(), GroupError> {
    let done = connection.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
    done.map(drop).map_err(|error| group_error(&error))
}

fn group_error(error: &rusqlite::Error) -> GroupError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => GroupError::NoSpace,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => GroupError::Damaged(error.to_string()),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Batch;
    use crate::stmt::Stmt;
    use crate::{Upkeep, Value};
    use kernel::clock::{Clock, Timestamp};
    use kernel::id::Entropy;

    static MARK_NEW: Stmt = Stmt {
        name: "MARK_NEW",
        sql: "INSERT INTO mark (name, value) VALUES (?1, 0)",
        across_tenants: Some("test"),
        by_key: false,
    };

    struct Fixed;
    impl Clock for Fixed {
        fn now(&self) -> Timestamp {
            Timestamp::from_seconds(1)
        }
    }
    impl Entropy for Fixed {
        fn fill(&mut self, buffer: &mut [u8]) {
            buffer.fill(7);
        }
    }

    type Answer = tokio::sync::oneshot::Receiver<Result<u64, Error>>;

    fn mark(queue: &Queue, name: &str, size: usize, reserved: bool) -> Answer {
        let name = format!("{name}{}", "x".repeat(size));
        let batch = Batch::new().run(&MARK_NEW, vec![Value::Text(name)]);
        let plan = Plan::upkeep(Upkeep::Keyring, batch).unwrap();
        queue.push(Work::Batch(Box::new(plan)), reserved).unwrap()
    }

    fn answers(mut waiting: Vec<Answer>) -> Vec<&'static str> {
        let read = |answer: &mut Answer| match answer.try_recv().unwrap() {
            Ok(_) => "done",
            Err(Error::NoSpace) => "no space",
            Err(other) => panic!("{other}"),
        };
        waiting.iter_mut().map(read).collect()
    }

    #[test]
    fn on_a_full_disk_only_what_narrows_access_is_committed_until_there_is_space_again() {
        let directory = testkit::directory::TempDir::new().unwrap();
        let path = directory.path().join("data.db");
        let shared = Shared::new(Box::new(Fixed), Arc::new(Fixed));
        super::super::create_private(&path).unwrap();
        let connection = super::super::connect(&path).unwrap();
        super::super::migrate(&connection, &path, &shared).unwrap();
        let limit =
            |pages: i64| connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();
        let ballast_path = directory.path().join("ballast");
        let mut writer = Writer {
            statements: Statements::new(&connection),
            shared: &shared,
            segments: Segments::default(),
            ballast: Ballast::new(ballast_path.clone()),
        };
        assert_eq!(std::fs::metadata(&ballast_path).unwrap().len(), 8 << 20);
        let queue = Queue::default();
        let mut group = Vec::new();
        let mut run = |writer: &mut Writer<'_>| {
            queue.take(&mut group);
            writer.group(&mut group);
        };

        limit(1); // SQLite takes the present size as the least
        let waiting = vec![mark(&queue, "a", 100_000, false), mark(&queue, "b", 0, true), mark(&queue, "c", 0, false)];
        run(&mut writer);
        assert_eq!(answers(waiting), ["no space", "done", "no space"]);
        assert!(!ballast_path.exists(), "the space set aside is given up");

        limit(100_000);
        let waiting = vec![mark(&queue, "d", 0, false), mark(&queue, "e", 0, true)];
        run(&mut writer);
        assert_eq!(answers(waiting), ["no space", "done"], "the disk is not looked at again at once");

        writer.ballast.forget_probe();
        let waiting = vec![mark(&queue, "f", 100_000, false)];
        run(&mut writer);
        assert_eq!(answers(waiting), ["done"]);
        assert!(ballast_path.exists(), "the space is set aside anew");
        let names: i64 = connection.query_row("SELECT COUNT(*) FROM mark", [], |row| row.get(0)).unwrap();
        assert_eq!(names, 3);
    }
}
