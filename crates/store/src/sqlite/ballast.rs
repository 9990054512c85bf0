//! Space set aside: given up when the disk is full, so that what narrows access can still be committed.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How much is set aside.
const SIZE: usize = 8 << 20;
/// How often, at most, a full disk is tried again.
const PROBE: Duration = Duration::from_secs(1);

/// The file, and whether the disk is known to be full.
pub(crate) struct Ballast {
    path: PathBuf,
    full_since_probe: Option<Instant>,
}

impl Ballast {
    /// Sets the space aside; on a full disk, starts as full.
    pub(crate) fn new(path: PathBuf) -> Self {
        let mut ballast = Self { path, full_since_probe: None };
        let there = std::fs::metadata(&ballast.path).is_ok_and(|meta| meta.len() >= u64::try_from(SIZE).unwrap_or(0));
        if !there && !ballast.fill() {
            ballast.give_up();
        }
        ballast
    }

    /// Gives the space up and counts the disk as full.
    pub(crate) fn give_up(&mut self) {
        if self.full_since_probe.is_none() {
            tracing::error!(code = "disk_full", "the disk of the store is full: only what narrows access is committed");
        }
        // a file that is already gone has given its space already
        let _ = std::fs::remove_file(&self.path);
        self.full_since_probe = Some(Instant::now());
    }

    /// Whether the disk was full when it was looked at last.
    pub(crate) const fn is_known_full(&self) -> bool {
        self.full_since_probe.is_some()
    }

    /// Whether the disk is full; looks again once in a while, by setting the space aside anew.
    pub(crate) fn is_full(&mut self) -> bool {
        let Some(probed) = self.full_since_probe else { return false };
        if probed.elapsed() < PROBE {
            return true;
        }
        if self.fill() {
            tracing::info!(code = "disk_full", "the disk of the store has space again");
            self.full_since_probe = None;
            return false;
        }
        let _ = std::fs::remove_file(&self.path);
        self.full_since_probe = Some(Instant::now());
        true
    }

    /// Writes the file; a hole would set nothing aside.
    fn fill(&self) -> bool {
        let zeros = vec![0_u8; SIZE];
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&self.path)
            .is_ok_and(|mut file| file.write_all(&zeros).is_ok())
    }

    /// Makes the next question look at the disk at once.
    #[cfg(test)]
    pub(crate) fn forget_probe(&mut self) {
        self.full_since_probe = self.full_since_probe.and_then(|at| at.checked_sub(PROBE));
    }
}
