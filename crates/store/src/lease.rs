//! The lease that makes sure one process serves a database at a time.

use kernel::clock::Timestamp;
use kernel::id::{Id, Node};

use crate::batch::{Batch, Upkeep};
use crate::error::Error;
use crate::{Store, params, sql};

/// Seconds a lease holds without renewal.
pub const LEASE_SECONDS: i64 = 6;
/// Seconds between renewals.
pub const RENEW_SECONDS: u64 = 2;

const NAME: &str = "serve";

impl Store {
    /// Takes or renews the lease on serving this database.
    ///
    /// # Errors
    /// [`Error::Refused`] naming the holder while another process has it; the store's.
    pub async fn take_lease(&self, holder: Id<Node>, detail: &str, now: Timestamp) -> Result<(), Error> {
        let until = now.plus_seconds(LEASE_SECONDS);
        let batch = Batch::new().expect(1, &sql::LEASE_TAKE, params![NAME, holder, detail, until, now]);
        match self.upkeep(Upkeep::Lease, batch).await {
            Err(Error::Conflict(_)) => {
                let row = self.read(&sql::LEASE_READ, params![NAME]).await?;
                let other = row.as_ref().and_then(|r| r.text(1).ok()).unwrap_or("another process");
                Err(Error::Refused(format!(
                    "this database is served by {other}; one server per database for now: stop that one, or wait \
                     {LEASE_SECONDS} s after it ended"
                )))
            }
            other => other,
        }
    }

    /// Gives the lease back, so that a successor need not wait.
    ///
    /// # Errors
    /// The store's.
    pub async fn release_lease(&self, holder: Id<Node>) -> Result<(), Error> {
        self.upkeep(Upkeep::Lease, Batch::new().run(&sql::LEASE_RELEASE, params![NAME, holder])).await
    }
}
