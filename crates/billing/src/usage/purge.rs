//! Forgetting usage whose time of keeping is over.

use record::tenant::Tenant;
use store::{Batch, Upkeep, params};

use crate::directory::Billing;
use crate::sql;

use super::{IDLE_DAYS, REJECTION_DAYS, RETENTION_DAYS};

/// Events that are forgotten in one commit.
const PAGE: i64 = 1_000;

impl Billing {
    /// Forgets events, and the keys under which they counted once, after [`RETENTION_DAYS`], and what belongs to them.
    ///
    /// # Errors
    /// The store's.
    pub async fn purge_usage(&self, tenant: &Tenant) -> Result<(), store::Error> {
        let store = &self.ground.store;
        let now = self.ground.clock.now();
        let days_ago = |days: i64| now.plus_seconds(days.saturating_mul(-86_400));
        let end = days_ago(RETENTION_DAYS);
        loop {
            let rows = store.read_all(&sql::USAGE_OLDEST, params![tenant.id, PAGE]).await?;
            let mut last = None;
            for row in &rows {
                if row.time(1)? < end {
                    last = Some(row.int(0)?);
                }
            }
            let Some(last) = last else { break };
            let batch = Batch::new()
                .run(&sql::PURGE_CORRECTIONS, params![tenant.id, last])
                .run(&sql::PURGE_USAGE, params![tenant.id, last]);
            store.upkeep(Upkeep::Purge, batch).await?;
        }
        // counters and months are kept by the business clock, which is never behind
        let business = tenant.business(end).as_micros();
        let reason = format!("nobody went on with it for {IDLE_DAYS} days");
        let batch = Batch::new()
            .run(&sql::BACKFILLS_FAIL, params![tenant.id, days_ago(IDLE_DAYS), reason, now])
            .run(&sql::PURGE_PARTS, params![tenant.id])
            .run(&sql::PURGE_STAGED, params![tenant.id])
            .run(&sql::PURGE_BACKFILLS, params![tenant.id, end])
            .run(&sql::PURGE_REJECTIONS, params![tenant.id, days_ago(REJECTION_DAYS)])
            .run(&sql::PURGE_QUOTAS, params![tenant.id, business])
            .run(&sql::PURGE_RESERVATIONS, params![tenant.id, business])
            .run(&sql::PURGE_SERIES, params![tenant.id, business]);
        store.upkeep(Upkeep::Purge, batch).await
    }
}
