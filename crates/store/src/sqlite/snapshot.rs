//! A copy of the whole database as of one moment, made beside what else goes on, and what stands in it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jose::hash::Sha256;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use crate::error::Error;
use crate::sqlite::statements::failure;
use crate::sqlite::{beside, check, connect, create_private};

/// What a table holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// How many rows.
    pub rows: u64,
    /// SHA-256 over its rows in the order of the primary key.
    pub sha256: [u8; 32],
}

/// A copy in a file of its own; the file goes with it.
pub struct Snapshot {
    path: PathBuf,
    /// One copy at a time.
    making: Arc<AtomicBool>,
    /// What stands in it, by table.
    pub tables: Vec<Table>,
}

impl Snapshot {
    /// The copy, opened for reading.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(&self) -> std::io::Result<File> {
        File::open(&self.path)
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // What is left is overwritten by the next copy.
        let _ = std::fs::remove_file(&self.path);
        self.making.store(false, Ordering::SeqCst);
    }
}

/// Copies a database; takes time and space in proportion to it. Writers go on meanwhile, only the write-ahead log grows.
pub(crate) fn take(path: &Path, making: &Arc<AtomicBool>) -> Result<Snapshot, Error> {
    if making.swap(true, Ordering::SeqCst) {
        return Err(Error::Refused("a backup is being made already: wait for it to end".to_owned()));
    }
    let mut snapshot = Snapshot { path: beside(path, ".snapshot"), making: Arc::clone(making), tables: Vec::new() };
    copy(path, &snapshot.path)?;
    snapshot.tables = survey(&snapshot.path)?;
    Ok(snapshot)
}

/// Copies all pages as of one moment into a new file of this user alone.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    match std::fs::remove_file(to) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Error::Unavailable(Box::new(error))),
        _ => {}
    }
    create_private(to)?;
    let failed = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => Error::NoSpace,
        _ => failure("SNAPSHOT", error),
    };
    let source = connect(from)?;
    let mut target = Connection::open(to).map_err(failed)?;
    let done = Backup::new(&source, &mut target).and_then(|copying| copying.step(-1)).map_err(failed)?;
    if done != StepResult::Done {
        return Err(Error::Unavailable("the database was busy for too long".into()));
    }
    // A copy has no log beside it.
    target.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(())).map_err(failed)
}

/// What stands in a copy, by table, in the order of the names.
///
/// # Errors
/// [`Error::Refused`] when the engine finds damage in the file; the engine's.
pub fn survey(path: &Path) -> Result<Vec<Table>, Error> {
    if let Some(finding) = check::whole(path)? {
        return Err(Error::Refused(format!("the copy is damaged: {finding}")));
    }
    let failed = |error| failure("SURVEY", error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    let names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name";
    let mut statement = connection.prepare(names).map_err(failed)?;
    let names = statement.query_map([], |row| row.get::<_, String>(0)).map_err(failed)?;
    names.map(|name| table(&connection, &name?)).collect::<Result<_, _>>().map_err(failed)
}

fn table(connection: &Connection, name: &str) -> Result<Table, rusqlite::Error> {
    let quoted = name.replace('"', "\"\"");
    let mut keys = connection.prepare("SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk")?;
    let keys: Vec<String> = keys.query_map([name], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let order = keys.iter().map(|key| format!("\"{}\"", key.replace('"', "\"\""))).collect::<Vec<_>>().join(", ");
    let mut statement = connection.prepare(&format!("SELECT * FROM \"{quoted}\" ORDER BY {order}"))?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    let (mut count, mut digest) = (0_u64, Sha256::default());
    while let Some(row) = rows.next()? {
        count = count.saturating_add(1);
        for column in 0..columns {
            let (kind, bytes) = match row.get_ref(column)? {
                ValueRef::Null => (0, Vec::new()),
                ValueRef::Integer(number) => (1, number.to_be_bytes().to_vec()),
                ValueRef::Real(number) => (2, number.to_be_bytes().to_vec()),
                ValueRef::Text(text) => (3, text.to_vec()),
                ValueRef::Blob(bytes) => (4, bytes.to_vec()),
            };
            digest.update(&[kind]);
            digest.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(&bytes);
        }
    }
    Ok(Table { name: name.to_owned(), rows: count, sha256: digest.finish() })
}
