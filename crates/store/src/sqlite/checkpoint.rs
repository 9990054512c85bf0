//! Moves the write-ahead log into the database file, off the path of commits.

use std::path::PathBuf;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

use crate::sqlite::statements::stop_on_io_failure;

/// How often the log's size is looked at.
const PERIOD: Duration = Duration::from_millis(200);
/// Log size from which it is moved.
const START: u64 = 4 << 20;
/// Log size from which writers wait for the last part, so that the log can begin anew.
const RESTART: u64 = 64 << 20;

/// Tells the thread to stop.
#[derive(Default)]
pub(crate) struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
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
pub(crate) fn run(connection: &Connection, log: &PathBuf, stop: &Stop) {
    let mut done_at = 0;
    while !stop.wait() {
        let size = std::fs::metadata(log).map_or(0, |meta| meta.len());
        if size < START {
            continue;
        }
        let frames = checkpoint(connection, "PASSIVE");
        // the log only begins anew when no frame is left over, which a steady writer never lets happen by itself
        if size >= RESTART && frames != done_at {
            done_at = checkpoint(connection, "RESTART");
        }
    }
    empty(connection);
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
