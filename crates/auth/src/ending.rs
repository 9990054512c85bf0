//! What ends by time alone: told before, and once it has ended.

use std::sync::atomic::Ordering;

use kernel::event::{Event, Type};
use kernel::id::{self, Id};
use kernel::tenant::TenantId;
use serde_json::json;
use store::{Batch, Stmt, Upkeep, Value, params};

use crate::directory::Auth;
use crate::sql;
use record::plan::event;

const DAY: i64 = 86_400;
/// For how long an end that nobody has told is looked for, in seconds: a process that was away so long tells it late.
const LATELY: i64 = 7 * DAY;

impl Auth {
    /// Announces secrets that end in 30, 7 or 1 day, once each.
    ///
    /// # Errors
    /// The store's.
    pub async fn announce_expiring_secrets(&self) -> Result<usize, store::Error> {
        let now = self.clock.now();
        let within = |days: i64| now.plus_seconds(days.saturating_mul(DAY));
        let mut announced = 0_usize;
        let ask = params![now, within(30), within(7), within(1)];
        for row in self.store.read_all(&sql::CREDENTIALS_EXPIRING, ask).await? {
            let (tenant, secret): (TenantId, Id<id::Secret>) = (row.id(0)?, row.id(1)?);
            let ends_at = row.time(4)?;
            let left = ends_at.seconds_since(now);
            let Some(days) = [1_i64, 7, 30].into_iter().find(|days| left <= days.saturating_mul(DAY)) else {
                continue;
            };
            let facts = json!({
                "client_id": row.text(2)?, "label": row.text(3)?, "expires_at": ends_at.to_string(), "days": days,
            });
            let note = event(self, Type::SecretExpiring, ("secret", &secret.to_string()), facts);
            if self.tell(tenant, (&sql::CREDENTIAL_ANNOUNCED, params![tenant, secret, days]), note).await? {
                self.counters.secrets_expiring.fetch_add(1, Ordering::Relaxed);
                announced = announced.saturating_add(1);
            }
        }
        Ok(announced)
    }

    /// Tells of the clients and secrets that have ended by their time, once each.
    ///
    /// # Errors
    /// The store's.
    pub async fn announce_expired(&self) -> Result<usize, store::Error> {
        let now = self.clock.now();
        let lately = now.plus_seconds(LATELY.saturating_neg());
        let mut told = 0_usize;
        for row in self.store.read_all(&sql::CREDENTIALS_EXPIRED, params![lately, now]).await? {
            let (tenant, secret): (TenantId, Id<id::Secret>) = (row.id(0)?, row.id(1)?);
            let facts = json!({"client_id": row.text(2)?, "label": row.text(3)?, "at": row.time(4)?.to_string()});
            let note = event(self, Type::SecretExpired, ("secret", &secret.to_string()), facts);
            let done = self.tell(tenant, (&sql::CREDENTIAL_ANNOUNCED, params![tenant, secret, 0_i64]), note).await?;
            told = told.saturating_add(usize::from(done));
        }
        for row in self.store.read_all(&sql::CLIENTS_EXPIRED, params![lately, now]).await? {
            let (tenant, client): (TenantId, Id<id::Client>) = (row.id(0)?, row.id(1)?);
            let at = row.time(3)?;
            let note = event(self, Type::ClientExpired, ("client", row.text(2)?), json!({"at": at.to_string()}));
            let done = self.tell(tenant, (&sql::CLIENT_EXPIRED_TOLD, params![tenant, client, at]), note).await?;
            told = told.saturating_add(usize::from(done));
        }
        Ok(told)
    }

    /// Writes an event with the mark that it was told; whether it was this process that did.
    async fn tell(
        &self,
        tenant: TenantId,
        (mark, values): (&'static Stmt, Vec<Value>),
        note: Event,
    ) -> Result<bool, store::Error> {
        match self.store.upkeep(Upkeep::Announced, Batch::new().expect(1, mark, values).announce(tenant, note)).await {
            Ok(()) => Ok(true),
            Err(store::Error::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
