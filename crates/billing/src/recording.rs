//! What time has done to customers, written down: by a job that nobody waits for, and when a clock was moved.

use kernel::id::{self, Id};
use kernel::principal::Principal;
use record::plan::AdminError;
use record::tenant::Tenant;
use store::params;

use crate::directory::Billing;
use crate::sql;

/// Customers read at once.
const BATCH: i64 = 200;

impl Billing {
    /// Records what time has done to a customer, up to as many steps as one commit holds; whether there was anything to
    /// record. Another process or a person may come first; then this does nothing.
    ///
    /// # Errors
    /// The store's.
    pub async fn record_some(
        &self,
        who: &Principal,
        tenant: &Tenant,
        customer: Id<id::Customer>,
    ) -> Result<bool, AdminError> {
        let Some(planned) = self.plan_recording(who, tenant, customer).await? else { return Ok(false) };
        // it narrows access, as an operator's change would
        match self.ground.run_reserved(planned).await {
            Ok(()) | Err(AdminError::Store(store::Error::Conflict(_))) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Records all that time has done to the customers of a tenant until now: the steps of each in their order, once.
    ///
    /// # Errors
    /// The store's; of a row that cannot be read only after everything else was recorded.
    pub async fn record_all(&self, tenant: &Tenant) -> Result<(), AdminError> {
        let now = tenant.business(self.ground.clock.now());
        let who = self.ground.system(tenant, "billing");
        let mut last = Id::<id::Customer>::from_bytes([0; 16]);
        let mut outcome = Ok(());
        loop {
            let ask = params![tenant.id, now.as_micros(), last, BATCH];
            let rows = self.ground.store.read_all(&sql::DUE_AFTER, ask).await?;
            if rows.is_empty() {
                return outcome;
            }
            for row in &rows {
                last = row.id(0)?;
                match self.record_whole(&who, tenant, last).await {
                    Err(AdminError::Store(store::Error::RowCorrupt)) => outcome = Err(store::Error::RowCorrupt.into()),
                    done => done?,
                }
            }
        }
    }

    async fn record_whole(
        &self,
        who: &Principal,
        tenant: &Tenant,
        customer: Id<id::Customer>,
    ) -> Result<(), AdminError> {
        while self.record_some(who, tenant, customer).await? {}
        Ok(())
    }
}
