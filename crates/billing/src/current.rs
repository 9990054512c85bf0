//! What is known of one customer now, held in memory until the change feed says otherwise, and its standing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use kernel::clock::BusinessTime;
use kernel::id::{self, Id};
use kernel::standing::Standing;
use kernel::tenant::TenantId;
use quick_cache::sync::Cache;
use record::Ground;
use record::tenant::Tenant;
use store::{Change, ChangeKind, Row, Store, params};

use crate::catalog::Feature;
use crate::customer::Customer;
use crate::directory::Billing;
use crate::plan::Plan;
use crate::sql;
use crate::standing::{self, Held, PlanRights};
use crate::subscription::{Computed, Payer, Subscription};

/// Customers held ready.
const CUSTOMERS: usize = 100_000;
/// Most subscriptions of a customer that count; of more, the newest do.
pub(crate) const MAX_SUBSCRIPTIONS: i64 = 200;
/// Features read at once.
const PAGE: i64 = 1_000;

/// A subscription as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Whose it is.
    pub customer: Id<id::Customer>,
    /// The record.
    pub subscription: Subscription,
    /// Last change.
    pub updated_at: kernel::clock::Timestamp,
    /// Guard for concurrent changes.
    pub version: i64,
}

impl Kept {
    /// Reads a row of [`sql::SUBSCRIPTION_READ`].
    ///
    /// # Errors
    /// [`store::Error::RowCorrupt`] when the row is no subscription.
    pub fn from_row(row: &Row) -> Result<Self, store::Error> {
        Ok(Self {
            customer: row.id(1)?,
            subscription: serde_json::from_str(row.text(2)?).map_err(|_| store::Error::RowCorrupt)?,
            updated_at: row.time(3)?,
            version: row.int(4)?,
        })
    }
}

/// A customer with its subscriptions and their plans, as they were recorded.
pub struct Current {
    /// The customer.
    pub customer: Customer,
    /// What its subscriptions depend on.
    pub payer: Payer,
    /// Its subscriptions, the newest first.
    pub kept: Vec<Kept>,
    /// The plans that they name.
    pub plans: BTreeMap<[u8; 16], Arc<Plan>>,
    pub(crate) rights: BTreeMap<[u8; 16], PlanRights>,
    standing: RwLock<Option<(BusinessTime, Arc<Standing>)>>,
}

impl Current {
    /// What holds for a subscription at an instant.
    ///
    /// # Errors
    /// [`store::Error::RowCorrupt`] when its plan is not there.
    pub fn computed(&self, subscription: &Subscription, now: BusinessTime) -> Result<Computed, store::Error> {
        let plan = self.plans.get(subscription.item.plan.as_bytes()).ok_or(store::Error::RowCorrupt)?;
        Ok(subscription.at(&plan.definition.terms, &self.payer, now))
    }

    /// The standing at an instant.
    ///
    /// # Errors
    /// [`store::Error::RowCorrupt`] when the plan of a subscription is not there.
    pub fn standing(&self, now: BusinessTime) -> Result<Arc<Standing>, store::Error> {
        let known = self.standing.read().unwrap_or_else(PoisonError::into_inner).clone();
        // a clock that a test moved back asks about an instant before the one that is known
        if let Some((since, standing)) = known
            && since <= now
            && standing.next_boundary.is_none_or(|boundary| now < boundary)
        {
            return Ok(standing);
        }
        let standing = Arc::new(self.derive(&self.customer, &self.kept, Some(now))?);
        *self.standing.write().unwrap_or_else(PoisonError::into_inner) = Some((now, Arc::clone(&standing)));
        Ok(standing)
    }

    /// The standing that a customer with these subscriptions would have at an instant; without one, as recorded.
    ///
    /// # Errors
    /// [`store::Error::RowCorrupt`] when the plan of a subscription is not there.
    pub fn derive(
        &self,
        customer: &Customer,
        kept: &[Kept],
        now: Option<BusinessTime>,
    ) -> Result<Standing, store::Error> {
        let all = kept
            .iter()
            .map(|Kept { subscription, .. }| self.computed(subscription, now.unwrap_or(subscription.recorded_at)));
        let all = all.collect::<Result<Vec<Computed>, store::Error>>()?;
        let held = all.iter().map(|computed| {
            let plan = self.rights.get(computed.current.item.plan.as_bytes()).ok_or(store::Error::RowCorrupt)?;
            Ok(Held { computed, plan, paid_through: computed.current.advance_to })
        });
        let held = held.collect::<Result<Vec<Held<'_>>, store::Error>>()?;
        let facts = standing::Customer {
            version: u64::try_from(customer.standing_version).unwrap_or(0),
            suspended_at: customer.suspended_at,
            not_before: customer.not_before,
        };
        Ok(standing::derive(&facts, &held))
    }

    /// The same with one more plan known.
    pub(crate) fn know(&mut self, plan: &Plan, features: &BTreeMap<String, Feature>) {
        self.rights.insert(*plan.id.as_bytes(), plan.rights(features));
        self.plans.insert(*plan.id.as_bytes(), Arc::new(plan.clone()));
    }
}

/// Customers in memory.
pub(crate) struct Currents {
    cache: Cache<(TenantId, Id<id::Customer>), Arc<Current>>,
    /// Which customer had an id of the operator's own when it was last asked for; the customer itself says whether it has.
    named: Cache<(TenantId, Box<str>), Id<id::Customer>>,
    /// Raised with each change, so that a value read before one is never kept after it.
    generation: AtomicU64,
}

impl Default for Currents {
    fn default() -> Self {
        Self { cache: Cache::new(CUSTOMERS), named: Cache::new(CUSTOMERS), generation: AtomicU64::new(0) }
    }
}

impl Currents {
    pub(crate) fn apply(&self, change: &Change) {
        match change.kind {
            ChangeKind::Customer => {
                self.generation.fetch_add(1, Ordering::SeqCst);
                if let Ok(customer) = Id::parse(&change.key) {
                    self.cache.remove(&(change.tenant, customer));
                }
            }
            // plans do not change once they are subscribed to, features do
            ChangeKind::Catalog => self.clear(),
            _ => {}
        }
    }

    pub(crate) fn clear(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.cache.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.cache.len()
    }

    /// A customer, from memory or from the store.
    pub(crate) async fn get(
        &self,
        ground: &Ground,
        tenant: TenantId,
        customer: Id<id::Customer>,
    ) -> Result<Option<Arc<Current>>, store::Error> {
        if let Some(current) = self.cache.get(&(tenant, customer)) {
            return Ok(Some(current));
        }
        let generation = self.generation.load(Ordering::SeqCst);
        let Some(current) = Box::pin(read(&ground.store, tenant, customer)).await? else { return Ok(None) };
        let current = Arc::new(current);
        if self.generation.load(Ordering::SeqCst) == generation {
            self.cache.insert((tenant, customer), Arc::clone(&current));
            // a change that came between the look and the insert found nothing to remove
            if self.generation.load(Ordering::SeqCst) != generation {
                self.cache.remove(&(tenant, customer));
            }
        }
        Ok(Some(current))
    }
}

impl Billing {
    /// The customer of an id, or of an id of the operator's own; `None` when there is none in the tenant.
    ///
    /// # Errors
    /// The store's.
    pub async fn named(&self, tenant: &Tenant, name: &str) -> Result<Option<Arc<Current>>, store::Error> {
        if let Ok(id) = Id::parse(name) {
            return self.current(tenant, id).await;
        }
        let key = (tenant.id, Box::from(name));
        if let Some(id) = self.currents.named.get(&key)
            && let Some(current) = self.current(tenant, id).await?
            && current.customer.external_id.as_deref() == Some(name)
        {
            return Ok(Some(current));
        }
        let Some(customer) = self.find_customer(tenant, name).await? else { return Ok(None) };
        self.currents.named.insert(key, customer.id);
        self.current(tenant, customer.id).await
    }
}

/// A customer as the store has it.
pub(crate) async fn read(
    store: &Store,
    tenant: TenantId,
    customer: Id<id::Customer>,
) -> Result<Option<Current>, store::Error> {
    let Some(row) = store.read(&sql::CUSTOMER_READ, params![tenant, customer]).await? else { return Ok(None) };
    let customer = Customer::from_row(&row)?;
    let last = Id::<id::Subscription>::from_bytes([0xff; 16]);
    let rows = store.read_all(&sql::SUBSCRIPTIONS_OF, params![tenant, customer.id, last, MAX_SUBSCRIPTIONS]).await?;
    let kept = rows.iter().map(Kept::from_row).collect::<Result<Vec<_>, _>>()?;
    let payer = customer.payer()?;
    let mut current = Current {
        customer,
        payer,
        kept: Vec::new(),
        plans: BTreeMap::new(),
        rights: BTreeMap::new(),
        standing: RwLock::default(),
    };
    let named = kept.iter().flat_map(|kept| {
        let scheduled = kept.subscription.scheduled.map(|change| change.item.plan);
        [Some(kept.subscription.item.plan), scheduled].into_iter().flatten()
    });
    let features = if kept.is_empty() { BTreeMap::new() } else { features(store, tenant).await? };
    for id in named {
        if !current.plans.contains_key(id.as_bytes()) {
            let row = store.read(&sql::PLAN_READ, params![tenant, id]).await?.ok_or(store::Error::RowCorrupt)?;
            current.know(&Plan::from_row(&row)?, &features);
        }
    }
    current.kept = kept;
    Ok(Some(current))
}

/// Every feature of a tenant, by its key.
pub(crate) async fn features(store: &Store, tenant: TenantId) -> Result<BTreeMap<String, Feature>, store::Error> {
    let mut found: BTreeMap<String, Feature> = BTreeMap::new();
    loop {
        let after = found.keys().next_back().cloned().unwrap_or_default();
        let rows = store.read_all(&sql::FEATURES_AFTER, params![tenant, after, PAGE]).await?;
        let is_last = rows.len() < usize::try_from(PAGE).unwrap_or(0);
        for row in &rows {
            let feature = Feature::from_row(row)?;
            found.insert(feature.key.clone(), feature);
        }
        if is_last {
            return Ok(found);
        }
    }
}
