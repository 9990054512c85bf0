//! Moves the write-ahead log into the database file, off the path of commits.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

use crate::sqlite::statements::stop_on_io_failure;

/// How often the log's size is looked at.
const PERIOD: Duration = Duration::from_millis(200);
/// Log size from which it is moved.
const START: u64 = 4 << 20;
/// Frames from which the writer is asked to move the last part, so that the log can begin anew; 64 MiB.
const RESTART: i64 = (64 << 20) / 4096;

/// What the thread and the writer tell each other.
#[derive(Default)]
pub(crate) struct Signal {
    stopped: Mutex<bool>,
    changed: Condvar,
    is_last_part_due: AtomicBool,
}

impl Signal {
    /// Stops the thread.
    pub(crate) fn stop(&self) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits one period; whether it was stopped.
    fn wait(&self) -> bool {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        if *stopped {
            return true;
        }
        self.changed.wait_timeout(stopped, PERIOD).map_or(true, |(stopped, _)| *stopped)
    }
}

/// Works until stopped, then empties the log.
pub(crate) fn run(connection: &Connection, log: &PathBuf, signal: &Signal) {
    while !signal.wait() {
        let size = std::fs::metadata(log).map_or(0, |meta| meta.len());
        if size < START || signal.is_last_part_due.load(Ordering::Relaxed) {
            continue;
        }
        if checkpoint(connection, "PASSIVE") >= RESTART {
            signal.is_last_part_due.store(true, Ordering::Relaxed);
        }
    }
    empty(connection);
}

/// Moves the little that has come since the last round, when that is due. The log begins anew only when no frame is left
/// over, which a steady writer never lets happen; so the writer does this itself, between two commits. A checkpoint that
/// shuts the writer out instead (`RESTART`) would let it sleep, and wait for the readers besides.
pub(crate) fn last_part(connection: &Connection, signal: &Signal) {
    if signal.is_last_part_due.load(Ordering::Relaxed) {
        checkpoint(connection, "PASSIVE");
        signal.is_last_part_due.store(false, Ordering::Relaxed);
    }
}

/// Moves everything and cuts the log to nothing.
pub(crate) fn empty(connection: &Connection) {
    checkpoint(connection, "TRUNCATE");
}

/// Runs a checkpoint; the number of frames in the log.
fn checkpoint(connection: &Connection, mode: &str) -> i64 {
    let result = connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| row.get::<_, i64>(1));
    result.unwrap_or_else(|error| {
        stop_on_io_failure(&error);
        tracing::debug!(%error, "checkpoint put off");
        0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_begins_anew_after_the_writer_moved_the_last_part_and_only_when_that_is_due() {
        let directory = testkit::directory::TempDir::new().unwrap();
        let path = directory.path().join("data.db");
        super::super::create_private(&path).unwrap();
        let (writer, mover) = (super::super::connect(&path).unwrap(), super::super::connect(&path).unwrap());
        writer.execute_batch("CREATE TABLE t (body BLOB)").unwrap();
        let write = |count| {
            for _ in 0..count {
                writer.execute("INSERT INTO t VALUES (zeroblob(9000))", []).unwrap();
            }
        };
        let signal = Signal::default();
        write(20);
        last_part(&writer, &signal);
        write(1);
        let kept = checkpoint(&mover, "PASSIVE");
        assert!(kept > 60, "nothing was due, so the log went on: {kept}");
        write(20);
        signal.is_last_part_due.store(true, Ordering::Relaxed);
        last_part(&writer, &signal);
        assert!(!signal.is_last_part_due.load(Ordering::Relaxed));
        write(1);
        let anew = checkpoint(&mover, "PASSIVE");
        assert!(anew < 10, "the writer had moved everything: {anew}");
    }
}
