//! What somebody should look at, and how far a tenant is set up; each is one read.

use kernel::clock::Timestamp;
use store::params;

use crate::client::Settings;
use crate::directory::Auth;
use crate::family::{Listed, Which};
use crate::operator;
use crate::sql;
use record::tenant::Tenant;

/// Seconds ahead in which the end of a last secret is told.
pub const ENDING_SECONDS: i64 = 30 * 86_400;
/// Most that is listed of a kind.
const MOST: i64 = 5;

/// The last live secret of a client, which ends soon.
#[derive(Debug, Clone)]
pub struct Ending {
    /// Public id of the client.
    pub client_id: String,
    /// Its name; may be empty.
    pub name: String,
    /// When nothing authenticates it any more.
    pub at: Timestamp,
}

impl Auth {
    /// Whether there is a client beside those that administer this server, and whether one of them ever got a token, as
    /// far as the journal is folded: what is younger is in the journal alone.
    ///
    /// # Errors
    /// The store's.
    pub async fn first_steps(&self, tenant: &Tenant) -> Result<(bool, bool), store::Error> {
        let client = self.store.read(&sql::CLIENT_PLAIN, params![tenant.id]).await?;
        let used = self.store.read(&sql::CREDENTIAL_PLAIN_USED, params![tenant.id]).await?;
        Ok((client.is_some(), used.is_some()))
    }

    /// Clients whose last live secret ends within [`ENDING_SECONDS`], the next end first, at most five.
    ///
    /// # Errors
    /// The store's.
    pub async fn last_secrets_ending(&self, tenant: &Tenant) -> Result<Vec<Ending>, store::Error> {
        let now = self.clock.now();
        let values = params![tenant.id, now, now.plus_seconds(ENDING_SECONDS), MOST];
        let rows = self.store.read_all(&sql::CREDENTIALS_LAST_ENDING, values).await?;
        let ending = |row: &store::Row| {
            let settings: Settings = serde_json::from_str(row.text(3)?).map_err(|_| store::Error::RowCorrupt)?;
            Ok(Ending { client_id: row.text(2)?.to_owned(), name: settings.name, at: row.time(1)? })
        };
        rows.iter().map(ending).collect()
    }

    /// Families that ended because a used token came again, the newest first, at most five.
    ///
    /// # Errors
    /// The store's.
    pub async fn reuse_alarms(&self, tenant: &Tenant) -> Result<Vec<Listed>, store::Error> {
        self.newest_families(tenant, Which::Reused, None, MOST).await
    }

    /// How many people may sign in with nothing beside a passphrase; nobody counts where no second factor is asked.
    ///
    /// # Errors
    /// The store's.
    pub async fn people_without_second_factor(&self, tenant: &Tenant) -> Result<i64, store::Error> {
        if !self.settings.second_factor_required {
            return Ok(0);
        }
        let row = self.store.read(&operator::sql::OPERATORS_BARE, params![tenant.id]).await?;
        row.map_or(Ok(0), |row| row.int(0))
    }
}
