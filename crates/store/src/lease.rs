//! One serving process at a time: a lease in the database, and on SQLite the lock of a file besides.
//!
//! The file lock ends with the process that held it, so a restart after a crash need not wait for the lease to run out.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kernel::clock::Timestamp;
use kernel::id::{Id, Node};

use crate::batch::{Batch, Upkeep};
use crate::error::Error;
use crate::store::Store;
use crate::{params, sql};

/// Seconds a lease is valid.
const VALID: i64 = 6;
/// How often it is renewed.
const RENEW: Duration = Duration::from_secs(2);
/// How often a lease that may have been left behind is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How often at most: a lease that nobody renews is over by then.
const LOOKS: usize = 14;

/// The right to serve this database; renewed in the background until released or dropped.
pub struct Lease {
    store: Store,
    holder: Id<Node>,
    lost: Arc<AtomicBool>,
    renewing: tokio::task::JoinHandle<()>,
    file: Option<File>,
}

impl Store {
    /// Takes the right to serve this database.
    ///
    /// # Errors
    /// [`Error::Refused`], naming the `detail` of the holder, while another process has it.
    pub async fn claim_single_writer(&self, holder: Id<Node>, detail: &str, now: Timestamp) -> Result<Lease, Error> {
        let file = self.lock_path().map(|path| {
            let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(path);
            file.map_err(|error| Error::Refused(format!("the lock file of the database cannot be opened: {error}")))
        });
        let file = file.transpose()?;
        if let Some(file) = &file
            && file.try_lock().is_err()
        {
            return Err(self.held().await);
        }
        // whoever holds the file lock has outlived every earlier holder
        let overrule = if file.is_some() { Timestamp::from_micros(i64::MAX) } else { now };
        self.claim(holder, detail, now, overrule).await?;
        let lost = Arc::new(AtomicBool::new(false));
        let renewing = tokio::spawn(renew(self.clone(), holder, Arc::clone(&lost)));
        Ok(Lease { store: self.clone(), holder, lost, renewing, file })
    }

    async fn claim(&self, holder: Id<Node>, detail: &str, now: Timestamp, over: Timestamp) -> Result<(), Error> {
        let mut seen = None;
        let mut now = now;
        for _ in 0..LOOKS {
            let over = over.max(now);
            let until = now.plus_seconds(VALID);
            let batch = Batch::new().expect(1, &sql::LEASE_CLAIM, params![holder, detail, until, over]);
            match self.upkeep(Upkeep::Lease, batch).await {
                Err(Error::Conflict(_)) => {}
                other => return other,
            }
            let row = self.read(&sql::LEASE_READ, Vec::new()).await?;
            let until = row.map(|row| row.time(2)).transpose()?;
            // a lease that moved is alive; one that stands still may belong to a process that ended
            if seen.is_some() && until.is_some() && seen != until {
                break;
            }
            seen = until;
            tokio::time::sleep(LOOK).await;
            now = self.now();
        }
        Err(self.held().await)
    }

    async fn held(&self) -> Error {
        match self.read(&sql::LEASE_READ, Vec::new()).await {
            Ok(Some(row)) => {
                let detail = row.text(1).unwrap_or("an unknown process");
                Error::Refused(format!("the database is served by another process ({detail}): stop that one first"))
            }
            Ok(None) => Error::Refused("the database is served by another process: stop that one first".to_owned()),
            Err(error) => error,
        }
    }
}

impl Lease {
    /// Whether the lease ran out or passed to another process; then this one must stop answering.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Gives the right back, so that the next process need not wait.
    pub async fn release(self) -> Result<(), Error> {
        self.renewing.abort();
        let batch = Batch::new().run(&sql::LEASE_RELEASE, params![self.holder]);
        self.store.upkeep(Upkeep::Lease, batch).await
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewing.abort();
        if let Some(file) = self.file.take() {
            // closing the file ends the lock as well; unlocking says so
            let _ = file.unlock();
        }
    }
}

async fn renew(store: Store, holder: Id<Node>, lost: Arc<AtomicBool>) {
    let mut valid_until = store.now().plus_seconds(VALID);
    loop {
        tokio::time::sleep(RENEW).await;
        // counted from before the renewal was sent, and a second less than the row says
        let now = store.now();
        let batch = Batch::new().expect(1, &sql::LEASE_RENEW, params![holder, now.plus_seconds(VALID)]);
        match store.upkeep(Upkeep::Lease, batch).await {
            Ok(()) => valid_until = now.plus_seconds(VALID - 1),
            Err(Error::Conflict(_)) => {
                lost.store(true, Ordering::Release);
                tracing::error!(code = "lease_lost", "another process took the lease of the database");
                return;
            }
            Err(error) => tracing::warn!(code = "lease_late", %error, "the lease was not renewed"),
        }
        lost.store(store.now() > valid_until, Ordering::Release);
    }
}
