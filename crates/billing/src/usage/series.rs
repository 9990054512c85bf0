//! Combinations of dimensions: a customer has a bounded number of them in a month, so that no query drowns in groups.

use std::collections::BTreeSet;

use kernel::clock::BusinessTime;
use kernel::id::{self, Id};
use kernel::tenant::TenantId;
use quick_cache::sync::Cache;
use record::tenant::Tenant;
use store::{Batch, params};

use crate::directory::Billing;
use crate::meter::{MAX_COMBINATIONS, Meter};
use crate::rejection::{Code, Rejection};
use crate::sample::Dimensions;
use crate::sql;
use crate::window::{Size, Window};
use crate::zone::Zone;

/// Combinations that are known to be stored.
const KNOWN: usize = 200_000;

/// One combination: tenant, customer, meter, month, and the hash of its values.
type Series = (TenantId, Id<id::Customer>, String, i64, [u8; 32]);

/// The combinations that are stored, as far as this process knows.
pub(crate) struct Known(Cache<Series, ()>);

impl Default for Known {
    fn default() -> Self {
        Self(Cache::new(KNOWN))
    }
}

/// Combinations that a request brings.
#[derive(Default)]
pub(super) struct Fresh(BTreeSet<Series>);

impl Billing {
    /// Lets a combination in, or refuses it when there are too many.
    pub(super) async fn admit(
        &self,
        tenant: &Tenant,
        (customer, meter, dimensions): (Id<id::Customer>, &Meter, &Dimensions),
        at: BusinessTime,
        fresh: &mut Fresh,
    ) -> Result<Result<(), Rejection>, store::Error> {
        if meter.group_by.is_empty() {
            return Ok(Ok(()));
        }
        let month = Window::containing(at, Size::Month, &Zone::UTC).map_or(0, |window| window.start.as_micros());
        let hash = jose::hash::sha256(dimensions.to_text().as_bytes());
        let series = (tenant.id, customer, meter.key.clone(), month, hash);
        if self.series.0.get(&series).is_some() || fresh.0.contains(&series) {
            return Ok(Ok(()));
        }
        let key = params![tenant.id, customer, meter.key.as_str(), month];
        let store = &self.ground.store;
        if store.read(&sql::SERIES_READ, [key.clone(), params![hash.as_slice()]].concat()).await?.is_some() {
            self.series.0.insert(series, ());
            return Ok(Ok(()));
        }
        let most = i64::try_from(MAX_COMBINATIONS).unwrap_or(i64::MAX);
        let stored = store.read(&sql::SERIES_COUNT, [key, params![most]].concat()).await?;
        let stored = stored.map_or(Ok(0), |row| row.int(0))?;
        let beside = |known: &&Series| (&known.1, &known.2, &known.3) == (&series.1, &series.2, &series.3);
        let coming = i64::try_from(fresh.0.iter().filter(beside).count()).unwrap_or(i64::MAX);
        if stored.saturating_add(coming) >= most {
            let detail =
                format!("the meter {} has {MAX_COMBINATIONS} combinations of dimensions in this month", meter.key);
            return Ok(Err(Rejection::new(Code::CardinalityExceeded, detail)));
        }
        fresh.0.insert(series);
        Ok(Ok(()))
    }
}

impl Fresh {
    /// The statements that store them.
    pub(super) fn write(&self, batch: Batch) -> Batch {
        self.0.iter().fold(batch, |batch, (tenant, customer, meter, month, hash)| {
            batch.run(&sql::SERIES_INSERT, params![*tenant, *customer, meter.as_str(), *month, hash.as_slice()])
        })
    }
}
