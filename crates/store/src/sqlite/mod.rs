//! SQLite: one writer thread, a few read threads, one thread for checkpoints, one file.

mod ballast;
mod check;
mod checkpoint;
mod log;
pub(crate) mod queue;
mod reads;
pub(crate) mod snapshot;
mod statements;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::batch::Step;
use crate::error::Error;
use crate::feed::SHARDS;
use crate::migrate::{self, Applied};
use crate::rewrite::Dialect;
use crate::sql;
use crate::store::{Shared, Size, Space};
use crate::value::Value;
pub(crate) use check::is_damage;
use queue::{Queue, Work};
pub(crate) use reads::Ask;
use statements::{Statements, failure};

/// The open database file.
pub(crate) struct Engine {
    queue: Arc<Queue>,
    readers: reads::Readers,
    signal: Arc<checkpoint::Signal>,
    writer: Mutex<Option<JoinHandle<()>>>,
    checkpointer: Mutex<Option<JoinHandle<()>>>,
    is_check_due: bool,
    path: PathBuf,
    /// Whether a copy is being made or used.
    copying: Arc<AtomicBool>,
    shared: Arc<Shared>,
}

impl Engine {
    /// Opens the file, creating it when it is absent, and brings its schema up to date. Blocks.
    pub(crate) fn open(path: &Path, shared: &Arc<Shared>) -> Result<Self, Error> {
        create_private(path)?;
        let is_check_due = check::files(path)?;
        let connection = connect(path)?;
        // the ends that several crashes leave behind must not stand behind each other in one log
        checkpoint::empty(&connection);
        migrate(&connection, path, shared).map_err(check::refused)?;
        for row in Statements::new(&connection).query(&sql::HEADS, &[])? {
            shared.feed.start_at(row.int(0)?, u64::try_from(row.int(1)?).map_err(|_| Error::RowCorrupt)?);
        }
        let readers = reads::Readers::start(path, shared)?;
        let queue = Arc::new(Queue::default());
        let signal = Arc::new(checkpoint::Signal::default());
        let writer = {
            let (queue, shared, signal) = (Arc::clone(&queue), Arc::clone(shared), Arc::clone(&signal));
            let ballast = ballast::Ballast::new(beside(path, ".ballast"));
            spawn("store-write", move || writer::run(&connection, queue, &shared, ballast, &signal))?
        };
        let checkpointer = {
            let (connection, signal, log) = (connect(path)?, Arc::clone(&signal), beside(path, "-wal"));
            spawn("store-checkpoint", move || checkpoint::run(&connection, &log, &signal))?
        };
        Ok(Self {
            queue,
            readers,
            signal,
            writer: Mutex::new(Some(writer)),
            checkpointer: Mutex::new(Some(checkpointer)),
            is_check_due,
            path: path.to_owned(),
            copying: Arc::default(),
            shared: Arc::clone(shared),
        })
    }

    /// Hands work to the writer and waits for its commit.
    pub(crate) async fn write(&self, work: Work, reserved: bool) -> Result<u64, Error> {
        let answer = self.queue.push(work, reserved)?;
        answer.await.unwrap_or_else(|_| Err(Error::Unknown("the writer has ended".into())))
    }

    /// Asks a read thread.
    pub(crate) async fn ask(&self, ask: Ask) -> Result<Vec<Vec<crate::value::Row>>, Error> {
        self.readers.ask(ask).await
    }

    /// How much work waits for the writer.
    pub(crate) fn queue_depth(&self) -> usize {
        self.queue.depth()
    }

    /// Whether the last process did not end cleanly.
    pub(crate) const fn is_check_due(&self) -> bool {
        self.is_check_due
    }

    /// Looks at everything, beside what else goes on; the damage found. Blocks.
    pub(crate) fn check(&self) -> Result<Option<String>, Error> {
        check::whole(&self.path)
    }

    /// Copies everything as of this moment. Blocks.
    pub(crate) fn snapshot(&self) -> Result<snapshot::Snapshot, Error> {
        snapshot::take(&self.path, &self.copying)
    }

    /// What is left on the disk; `None` when the system does not say.
    pub(crate) fn space(&self) -> Option<Space> {
        let found = rustix::fs::statvfs(&self.path).ok()?;
        Some(Space {
            free: found.f_bavail.saturating_mul(found.f_frsize),
            total: found.f_blocks.saturating_mul(found.f_frsize),
            is_full: self.shared.is_full.load(Ordering::Relaxed),
        })
    }

    /// How long the files are; `None` when the system does not say.
    pub(crate) fn size(&self) -> Option<Size> {
        let length = |path: &Path| std::fs::metadata(path).ok().map(|file| file.len());
        Some(Size { data: length(&self.path)?, log: length(&beside(&self.path, "-wal")).unwrap_or(0) })
    }

    /// The file whose exclusive lock stands for the right to write.
    pub(crate) fn lock_path(&self) -> PathBuf {
        beside(&self.path, ".serve")
    }

    /// Finishes what is queued, empties the log and ends all threads. Blocks.
    pub(crate) fn close(&self) {
        self.queue.close();
        join(&self.writer);
        for thread in self.readers.close() {
            let _ = thread.join();
        }
        self.signal.stop();
        join(&self.checkpointer);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // the threads end by themselves; nothing acknowledged depends on them
        self.queue.close();
        drop(self.readers.close());
        self.signal.stop();
    }
}

fn join(thread: &Mutex<Option<JoinHandle<()>>>) {
    let taken = thread.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(thread) = taken {
        let _ = thread.join();
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map_err(|error| Error::Unavailable(Box::new(error)))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Creates the file for its owner alone; SQLite gives its log the same mode.
fn create_private(path: &Path) -> Result<(), Error> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, if kernel::mutant::is("S02-mode") { 0o644 } else { 0o600 });
    options
        .open(path)
        .map(|_| ())
        .map_err(|error| Error::Refused(format!("the database file {} cannot be opened: {error}", path.display())))
}

/// A connection as all threads use it.
fn connect(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let refused = |error: rusqlite::Error| {
        let code = if check::is_corruption(&error) { " (store_corrupt)" } else { "" };
        Error::Refused(format!("the database file {} cannot be used: {error}{code}", path.display()))
    };
    let connection = Connection::open_with_flags(path, flags).map_err(refused)?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(refused)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(refused)?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(Error::Refused(format!(
            "the database file {} cannot have a write-ahead log: use a local file system",
            path.display()
        )));
    }
    connection
        .execute_batch(
            "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 67108864; \
             PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;",
        )
        .map_err(refused)?;
    Ok(connection)
}

/// What ran on a file; nothing for one that is not there. It is not changed.
pub(crate) fn applied(path: &Path) -> Result<Vec<Applied>, Error> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error| failure("SCHEMA", error);
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    let table = "SELECT COUNT(*) FROM sqlite_schema WHERE name = 'schema_migration'";
    let is_there: i64 = connection.query_row(table, [], |row| row.get(0)).map_err(failed)?;
    if is_there == 0 { Ok(Vec::new()) } else { history(&connection).map_err(failed) }
}

fn history(connection: &Connection) -> Result<Vec<Applied>, rusqlite::Error> {
    let mut statement = connection.prepare(migrate::APPLIED)?;
    let rows = statement.query_map([], |row| {
        Ok(Applied { version: row.get(0)?, sha256: row.get(1)?, min_reader: row.get(2)?, at: row.get(3)? })
    })?;
    rows.collect()
}

fn migrate(connection: &Connection, path: &Path, shared: &Shared) -> Result<(), Error> {
    let failed = |error| failure("MIGRATION", error);
    connection.execute_batch("BEGIN IMMEDIATE").map_err(failed)?;
    connection.execute_batch(&migrate::history(Dialect::Sqlite)).map_err(failed)?;
    let applied = history(connection).map_err(failed)?;
    // what fails from here on leaves the transaction open; closing the connection rolls it back
    let pending = migrate::pending(&applied)?;
    connection.execute_batch("COMMIT").map_err(failed)?;
    if let (Some(last), false) = (applied.iter().map(|row| row.version).max(), pending.is_empty()) {
        snapshot::copy(path, &beside(path, &format!(".schema-{last}")))?;
    }
    for migration in pending {
        connection.execute_batch("BEGIN IMMEDIATE").map_err(failed)?;
        connection.execute_batch(&migration.text(Dialect::Sqlite)).map_err(failed)?;
        let now = shared.ids.now().as_micros();
        connection
            .execute(
                "INSERT INTO schema_migration (version, name, sha256, min_reader, applied_at) VALUES (?1, ?2, ?3, ?4, ?5)",
                (migration.version, migration.name, migration.sha256(), migration.min_reader, now),
            )
            .map_err(failed)?;
        connection.execute_batch("COMMIT").map_err(failed)?;
    }
    let seeds: Vec<Step> = (0..SHARDS)
        .map(|shard| Step { stmt: &sql::HEAD_SEED, params: vec![Value::Int(shard)], expect_rows: None })
        .collect();
    writer::run_directly(connection, &seeds)
}
