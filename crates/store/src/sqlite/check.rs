//! Is the data what was written? A short look while opening, and a long one while serving.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::Error;
use crate::sqlite::log::{self, Condition};
use crate::sqlite::statements::failure;

/// What a database file begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Asks for the first few damages that the engine finds in its structures.
const INTEGRITY: &str = "PRAGMA integrity_check(3)";

/// Whether an error of the engine says that the file is damaged.
pub(crate) fn is_corruption(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Whether an error of the store says so.
pub(crate) fn is_damage(error: &Error) -> bool {
    let Error::Unavailable(source) = error else { return false };
    source.downcast_ref::<rusqlite::Error>().is_some_and(is_corruption)
}

/// While opening, damage is a refusal.
pub(crate) fn refused(error: Error) -> Error {
    if is_damage(&error) {
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        return corrupt(&source);
    }
    error
}

fn corrupt(finding: &str) -> Error {
    Error::Refused(format!(
        "the store is damaged (store_corrupt): {finding}. Nothing was changed. Look at the disk and restore a backup"
    ))
}

/// Looks at the header and at the write-ahead log before the engine touches them; whether the last end was unclean.
pub(crate) fn files(path: &Path) -> Result<bool, Error> {
    let unreadable = |error: std::io::Error| Error::Unavailable(Box::new(error));
    let mut head = Vec::new();
    File::open(path).and_then(|file| file.take(100).read_to_end(&mut head)).map_err(unreadable)?;
    if !head.is_empty() && !head.starts_with(MAGIC) {
        return Err(corrupt("the database file does not begin as one"));
    }
    let log = super::beside(path, "-wal");
    if let Condition::Damaged(frame) = log::examine(&log).map_err(unreadable)? {
        return Err(corrupt(&format!("frame {frame} of the write-ahead log differs from its checksum")));
    }
    // A clean end empties the log.
    Ok(std::fs::metadata(&log).is_ok_and(|meta| meta.len() > 0))
}

/// Lets the engine check its structures; the damage found. Blocks.
pub(crate) fn whole(path: &Path) -> Result<Option<String>, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error| failure("CHECK", error);
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    match connection.query_row(INTEGRITY, [], |row| row.get::<_, String>(0)) {
        Ok(text) if text == "ok" => Ok(None),
        // The first line begins with the name of the schema.
        Ok(text) => Ok(Some(text.replace('\n', " ").replace("*** in database main *** ", ""))),
        Err(error) if is_corruption(&error) => Ok(Some(error.to_string())),
        Err(error) => Err(failed(error)),
    }
}
