//! Why a customer may do what it may: what each of its subscriptions adds to a feature.

use std::collections::BTreeMap;
use std::sync::Arc;

use kernel::clock::BusinessTime;
use kernel::id::{self, Id};
use kernel::standing::{Access, Entitlement, Status};

use crate::current::Current;
use crate::plan::Plan;
use crate::standing::{Held, granted};

/// What one subscription adds to a feature.
#[derive(Debug, Clone)]
pub struct Reason {
    /// The subscription.
    pub subscription: Id<id::Subscription>,
    /// Where it stands.
    pub status: Status,
    /// Its plan.
    pub plan: Arc<Plan>,
    /// What it grants by itself.
    pub grants: Entitlement,
}

impl Current {
    /// What the subscriptions that give access at an instant add to each feature, that of the best status first; nothing
    /// while the customer is suspended. Together they are the entitlements of [`Current::standing`].
    ///
    /// # Errors
    /// [`store::Error::RowCorrupt`] when the plan of a subscription is not there.
    pub fn reasons(&self, now: BusinessTime) -> Result<BTreeMap<String, Vec<Reason>>, store::Error> {
        let mut reasons: BTreeMap<String, Vec<Reason>> = BTreeMap::new();
        if self.customer.suspended_at.is_some() {
            return Ok(reasons);
        }
        for kept in &self.kept {
            let computed = self.computed(&kept.subscription, now)?;
            if computed.access == Access::None {
                continue;
            }
            let key = computed.current.item.plan;
            let rights = self.rights.get(key.as_bytes()).ok_or(store::Error::RowCorrupt)?;
            let plan = self.plans.get(key.as_bytes()).ok_or(store::Error::RowCorrupt)?;
            for (feature, grants, _) in granted(Held { computed: &computed, plan: rights, paid_through: None }) {
                reasons.entry(feature.to_owned()).or_default().push(Reason {
                    subscription: computed.current.id,
                    status: computed.current.status,
                    plan: Arc::clone(plan),
                    grants,
                });
            }
        }
        for list in reasons.values_mut() {
            list.sort_by_key(|reason| (reason.status, reason.subscription));
        }
        Ok(reasons)
    }
}
