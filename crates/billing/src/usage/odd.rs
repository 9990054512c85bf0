//! What is told of events that are kept but may not be what was meant: each kind once a minute for a customer and type.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use kernel::clock::Timestamp;
use kernel::event::Type;
use kernel::id::{self, Id};
use kernel::tenant::TenantId;
use record::plan::event;
use record::tenant::Tenant;
use serde_json::json;
use store::Batch;

use crate::customer_change::{OBJECT, about};
use crate::directory::Billing;

/// How long nothing more is told of the same.
const QUIET_MICROS: i64 = 60_000_000;
/// Most that are remembered; beyond, all is told anew.
const REMEMBERED: usize = 50_000;

/// Whose events of which type are told, and how.
type Kind = (Id<id::Customer>, String, &'static str);

/// What was told last: when, of how many, and how many came since.
type Last = (Timestamp, u64, u64);

/// What was told lately.
#[derive(Default)]
pub(crate) struct Told(Mutex<HashMap<(TenantId, Kind), Last>>);

/// Events of a request that are to be told of.
#[derive(Default)]
pub(super) struct Odd(BTreeMap<Kind, u64>);

impl Odd {
    /// Counts an event by what it is kept as.
    pub(super) fn note(&mut self, customer: Id<id::Customer>, event_type: &str, state: &'static str) {
        if state != "counted" {
            let count = self.0.entry((customer, event_type.to_owned(), state)).or_default();
            *count = count.saturating_add(1);
        }
    }

    /// Adds the events of the outbox that are due.
    pub(super) fn tell(&self, batch: Batch, tenant: &Tenant, billing: &Billing, at: Timestamp) -> Batch {
        let mut batch = batch;
        for (kind, count) in &self.0 {
            if let Some(count) = billing.told.due(tenant.id, kind, *count, at) {
                let (customer, event_type, state) = kind;
                let name = if *state == "late" { Type::UsageLate } else { Type::UsageUnmatched };
                let facts = json!({"type": event_type, "count": count});
                let event = event(&billing.ground, name, (OBJECT, &customer.to_string()), facts);
                batch = batch.announce(tenant.id, about(event, *customer));
            }
        }
        batch
    }
}

impl Told {
    /// How many are to be told now; `None` while it was told lately. A request that is planned anew gets the same answer.
    fn due(&self, tenant: TenantId, kind: &Kind, count: u64, at: Timestamp) -> Option<u64> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= REMEMBERED {
            told.clear();
        }
        let key = (tenant, kind.clone());
        match told.get_mut(&key) {
            Some((since, number, _)) if *since == at => Some(*number),
            Some((since, _, waiting)) if at.micros_since(*since) < QUIET_MICROS => {
                *waiting = waiting.saturating_add(count);
                None
            }
            Some((since, number, waiting)) => {
                (*since, *number, *waiting) = (at, waiting.saturating_add(count), 0);
                Some(*number)
            }
            None => {
                told.insert(key, (at, count, 0));
                Some(count)
            }
        }
    }
}
