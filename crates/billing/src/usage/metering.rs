//! Which meters and features look at which events, held in memory until the catalog changes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kernel::tenant::TenantId;
use quick_cache::sync::Cache;
use record::tenant::Tenant;
use store::{Change, ChangeKind};

use crate::catalog::Feature;
use crate::directory::Billing;
use crate::meter::Meter;

/// Tenants held ready.
const TENANTS: usize = 1_000;

/// A meter with the features that it counts.
#[derive(Debug)]
pub(crate) struct Metered {
    /// The meter.
    pub(crate) meter: Arc<Meter>,
    /// The keys of the features.
    pub(crate) features: Vec<Arc<str>>,
}

/// What counts in a tenant.
#[derive(Debug)]
pub(crate) struct Metering {
    by_type: HashMap<String, Vec<Metered>>,
    meters: BTreeMap<String, Arc<Meter>>,
    features: BTreeMap<String, Feature>,
}

impl Metering {
    /// The meters that look at events of a type.
    pub(crate) fn of_type(&self, event_type: &str) -> &[Metered] {
        self.by_type.get(event_type).map_or(&[], Vec::as_slice)
    }

    /// A feature by its key.
    pub(crate) fn feature(&self, key: &str) -> Option<&Feature> {
        self.features.get(key)
    }

    /// The meter of a key that counts.
    pub(crate) fn meter(&self, key: &str) -> Option<&Arc<Meter>> {
        self.meters.get(key)
    }

    /// The meter that counts a feature.
    pub(crate) fn meter_of(&self, feature: &Feature) -> Option<&Arc<Meter>> {
        self.meters.get(feature.meter.as_deref()?)
    }
}

/// What counts in the tenants that are held in memory.
pub(crate) struct Meterings {
    cache: Cache<TenantId, Arc<Metering>>,
    /// Raised with each change, so that a value read before one is never kept after it.
    generation: AtomicU64,
}

impl Default for Meterings {
    fn default() -> Self {
        Self { cache: Cache::new(TENANTS), generation: AtomicU64::new(0) }
    }
}

impl Meterings {
    pub(crate) fn apply(&self, change: &Change) {
        if change.kind == ChangeKind::Catalog {
            self.generation.fetch_add(1, Ordering::SeqCst);
            self.cache.remove(&change.tenant);
        }
    }

    pub(crate) fn clear(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.cache.clear();
    }
}

impl Billing {
    /// What counts in a tenant, from memory or from the store.
    pub(crate) async fn metering(&self, tenant: &Tenant) -> Result<Arc<Metering>, store::Error> {
        let known = &self.meterings;
        if let Some(metering) = known.cache.get(&tenant.id) {
            return Ok(metering);
        }
        let generation = known.generation.load(Ordering::SeqCst);
        let meters = self.active_meters(tenant).await?;
        let features = self.features(tenant).await?;
        let meters: BTreeMap<String, Arc<Meter>> =
            meters.into_iter().map(|(key, meter)| (key, Arc::new(meter))).collect();
        let mut by_type: HashMap<String, Vec<Metered>> = HashMap::new();
        for (key, meter) in &meters {
            let counts = |feature: &&Feature| feature.meter.as_deref() == Some(key.as_str());
            let features = features.values().filter(counts).map(|feature| Arc::from(feature.key.as_str())).collect();
            let metered = Metered { meter: Arc::clone(meter), features };
            by_type.entry(meter.event_type.clone()).or_default().push(metered);
        }
        let metering = Arc::new(Metering { by_type, meters, features });
        if known.generation.load(Ordering::SeqCst) == generation {
            known.cache.insert(tenant.id, Arc::clone(&metering));
            // a change that came between the look and the insert found nothing to remove
            if known.generation.load(Ordering::SeqCst) != generation {
                known.cache.remove(&tenant.id);
            }
        }
        Ok(metering)
    }
}
