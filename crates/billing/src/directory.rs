//! The product's state in one process.

use std::collections::BTreeMap;
use std::sync::Arc;

use kernel::id::{self, Id};
use kernel::standing::Standing;
use record::Ground;
use record::tenant::Tenant;
use store::Change;

use crate::current::{Current, Currents};
use crate::usage::{Known, Meterings, Told};

/// Billing in one process.
pub struct Billing {
    /// What it shares with the other products.
    pub ground: Arc<Ground>,
    pub(crate) currents: Currents,
    pub(crate) meterings: Meterings,
    pub(crate) series: Known,
    pub(crate) told: Told,
}

impl Billing {
    /// Opens the product over its ground and follows the change feed.
    pub fn open(ground: Arc<Ground>) -> Arc<Self> {
        let billing = Arc::new(Self {
            ground,
            currents: Currents::default(),
            meterings: Meterings::default(),
            series: Known::default(),
            told: Told::default(),
        });
        let listener = Arc::downgrade(&billing);
        billing.ground.store.on_change(Arc::new(move |changes: &[Change]| {
            if let Some(billing) = listener.upgrade() {
                for change in changes {
                    billing.currents.apply(change);
                    billing.meterings.apply(change);
                }
            }
        }));
        let starter = Arc::downgrade(&billing);
        billing.ground.store.on_start_over(Arc::new(move || {
            if let Some(billing) = starter.upgrade() {
                billing.currents.clear();
                billing.meterings.clear();
            }
            Box::pin(async { Ok(()) })
        }));
        billing
    }

    /// A customer with its subscriptions; `None` when there is none of this id in the tenant.
    ///
    /// # Errors
    /// The store's.
    pub async fn current(
        &self,
        tenant: &Tenant,
        customer: Id<id::Customer>,
    ) -> Result<Option<Arc<Current>>, store::Error> {
        self.currents.get(&self.ground, tenant.id, customer).await
    }

    /// What a customer may do now; `None` when there is none of this id in the tenant.
    ///
    /// # Errors
    /// The store's.
    pub async fn standing(
        &self,
        tenant: &Tenant,
        customer: Id<id::Customer>,
    ) -> Result<Option<Arc<Standing>>, store::Error> {
        let Some(current) = self.current(tenant, customer).await? else { return Ok(None) };
        current.standing(tenant.business(self.ground.clock.now())).map(Some)
    }

    /// How many customers are held in memory.
    pub fn cached(&self) -> usize {
        self.currents.len()
    }

    /// Every feature of a tenant, by its key.
    ///
    /// # Errors
    /// The store's.
    pub async fn features(&self, tenant: &Tenant) -> Result<BTreeMap<String, crate::catalog::Feature>, store::Error> {
        crate::current::features(&self.ground.store, tenant.id).await
    }
}
