//! One serving process at a time. On SQLite the lock of a file stands for that right and ends with the process; on
//! PostgreSQL it is a row that ends by itself unless it is renewed.
//!
//! The row's end is counted by the clock of the database alone, so that clocks of hosts need not agree. The holder
//! counts from before it sent the renewal and stops a second early: it has fallen silent before another process can
//! take the row. A holder whose lease ended is fenced, and comes back as a new holder with empty caches.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kernel::id::{Id, Node};

use crate::batch::{Batch, Upkeep};
use crate::error::Error;
use crate::fence::Moment;
use crate::store::Store;
use crate::{params, sql};

/// How long a lease is valid.
const VALID: Duration = Duration::from_secs(6);
/// How much earlier the holder stops.
const MARGIN: Duration = Duration::from_secs(1);
/// How often it is renewed.
const RENEW: Duration = Duration::from_secs(2);
/// How soon a renewal or a claim that failed is tried again.
const RETRY: Duration = Duration::from_millis(250);
/// How often a lease that may have been left behind is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How often at most: a lease that nobody renews is over by then.
const LOOKS: usize = 14;

/// The right to serve this database; kept in the background until released or dropped.
pub struct Lease {
    claim: Arc<Claim>,
    /// Ends once another process holds the lease; `None` where the lock of a file stands for it.
    keeping: Option<tokio::task::JoinHandle<Error>>,
    file: Option<File>,
}

/// Who claims.
struct Claim {
    store: Store,
    detail: String,
    names: Mutex<Names>,
}

/// Under which ids.
#[derive(Clone, Copy)]
struct Names {
    /// The holder's.
    present: Id<Node>,
    /// The next holder's, the same until it was taken: a claim without an answer may have been carried out.
    next: Id<Node>,
}

impl Store {
    /// Takes the right to serve this database.
    ///
    /// # Errors
    /// [`Error::Refused`], naming the `detail` of the holder, while another process has it.
    pub async fn claim_single_writer(&self, detail: &str) -> Result<Lease, Error> {
        let file = self.lock_path().map(|path| {
            let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(path);
            file.map_err(|error| Error::Refused(format!("the lock file of the database cannot be opened: {error}")))
        });
        let file = file.transpose()?;
        let names = Names { present: self.new_id(), next: self.new_id() };
        let claim = Arc::new(Claim { store: self.clone(), detail: detail.to_owned(), names: Mutex::new(names) });
        if let Some(file) = file {
            if file.try_lock().is_err() {
                return Err(claim.held().await);
            }
            // whoever holds the file has outlived every earlier holder
            claim.take(true).await?;
            return Ok(Lease { claim, keeping: None, file: Some(file) });
        }
        claim.take_patiently().await?;
        let keeping = tokio::spawn(keep(Arc::clone(&claim)));
        Ok(Lease { claim, keeping: Some(keeping), file: None })
    }
}

impl Claim {
    fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the lease under a new id where it is free, over or this process's own.
    async fn take(&self, overrule: bool) -> Result<(), Error> {
        let Names { present, next } = *self.names();
        let batch = Batch::new().expect(
            1,
            &sql::LEASE_CLAIM,
            params![next, self.detail.as_str(), micros(VALID), present, i64::from(overrule)],
        );
        self.store.upkeep(Upkeep::Lease, batch).await?;
        *self.names() = Names { present: next, next: self.store.new_id() };
        Ok(())
    }

    /// Takes the lease at a start: waits for one that was left behind to end.
    async fn take_patiently(&self) -> Result<(), Error> {
        let mut seen = None;
        for _ in 0..LOOKS {
            let sent = Moment::now();
            match self.take(false).await {
                Err(Error::Conflict(_)) => {}
                Ok(()) => {
                    self.open(sent);
                    return Ok(());
                }
                Err(other) => return Err(other),
            }
            let row = self.store.read(&sql::LEASE_READ, Vec::new()).await?;
            let until = row.map(|row| row.time(2)).transpose()?;
            // a lease that moved is alive; one that stands still may belong to a process that ended
            if seen.is_some() && until.is_some() && seen != until {
                break;
            }
            seen = until;
            tokio::time::sleep(LOOK).await;
        }
        Err(self.held().await)
    }

    async fn held(&self) -> Error {
        match self.store.read(&sql::LEASE_READ, Vec::new()).await {
            Ok(Some(row)) => {
                let detail = row.text(1).unwrap_or("an unknown process");
                Error::Refused(format!("the database is served by another process ({detail}): stop that one first"))
            }
            Ok(None) => Error::Refused("the database is served by another process: stop that one first".to_owned()),
            Err(error) => error,
        }
    }

    fn open(&self, sent: Moment) {
        self.store.fence().open_until(sent.after(VALID.saturating_sub(MARGIN)));
    }

    /// Renews the lease; [`Error::Conflict`] when the row is no longer this holder's.
    async fn renew(&self) -> Result<Moment, Error> {
        let sent = Moment::now();
        let holder = self.names().present;
        let batch = Batch::new().expect(1, &sql::LEASE_RENEW, params![holder, micros(VALID)]);
        self.store.upkeep(Upkeep::Lease, batch).await.map(|()| sent)
    }

    /// Renews for as long as the lease can be kept.
    async fn hold(&self) {
        let fence = self.store.fence();
        let mut pause = RENEW;
        loop {
            tokio::time::sleep(pause).await;
            let renewed = self.renew().await;
            // over a store that was rolled back the lease is kept all the same, so that no other process serves it
            if fence.is_closed() && fence.rolled_back_at().is_none() {
                return;
            }
            pause = match renewed {
                Ok(sent) => {
                    self.open(sent);
                    RENEW
                }
                Err(Error::Conflict(_)) => return fence.close(),
                Err(_) => RETRY,
            };
        }
    }

    /// Comes back: a new holder, the feed read to its head, caches empty, and then the lease once more.
    async fn come_back(&self) -> Result<(), Error> {
        match self.take(false).await {
            Err(Error::Conflict(_)) => return Err(self.held().await),
            other => other?,
        }
        self.store.start_over().await?;
        self.open(self.renew().await?);
        Ok(())
    }
}

/// Keeps the lease; what it returns names the process that holds it now.
async fn keep(claim: Arc<Claim>) -> Error {
    let fence = claim.store.fence();
    loop {
        claim.hold().await;
        tracing::error!(
            code = "lease_lost",
            "the lease of the database ended: no request about credentials is answered until it is held again"
        );
        loop {
            match claim.come_back().await {
                Ok(()) => break,
                // over a store that was rolled back nobody may take this silence for an end
                Err(error @ Error::Refused(_)) if fence.rolled_back_at().is_none() => return error,
                Err(error) => tracing::debug!(%error, "the lease could not be taken yet"),
            }
            tokio::time::sleep(RETRY).await;
        }
        if fence.rolled_back_at().is_none() {
            tracing::info!("the lease of the database is held again; requests are answered");
        }
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

impl Lease {
    /// Resolves, naming the holder, once another process holds the lease; then this one must end.
    pub async fn taken(&mut self) -> Error {
        match &mut self.keeping {
            Some(keeping) => keeping.await.unwrap_or_else(|error| Error::Unavailable(Box::new(error))),
            None => std::future::pending().await,
        }
    }

    /// Gives the right back, so that the next process need not wait.
    pub async fn release(mut self) -> Result<(), Error> {
        if let Some(keeping) = self.keeping.take() {
            keeping.abort();
        }
        let holder = self.claim.names().present;
        let batch = Batch::new().run(&sql::LEASE_RELEASE, params![holder]);
        self.claim.store.upkeep(Upkeep::Lease, batch).await
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(keeping) = &self.keeping {
            keeping.abort();
        }
        if let Some(file) = self.file.take() {
            // closing the file ends the lock as well; unlocking says so
            let _ = file.unlock();
        }
    }
}
