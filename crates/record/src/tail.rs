//! Following the outbox: a tenant's events as they are committed, without loss or repeat.

use std::time::Duration;

use kernel::event::Type;
use kernel::tenant::TenantId;
use store::Store;
use tokio::sync::watch;

use crate::error::Error;
use crate::outbox::{self, EventView};

/// How many events are read at once.
const AT_ONCE: u32 = 100;

/// Where a reader stands in a tenant's events.
pub struct Tail {
    store: Store,
    tenant: TenantId,
    /// Only these types; empty for all.
    kinds: Vec<Type>,
    customer: Option<String>,
    /// The last event that was read, told or not.
    position: i64,
    told: watch::Receiver<u64>,
    /// Whether more may be there already.
    is_behind: bool,
}

/// What a reader is told next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Events, in the order of their commits.
    Events(Vec<EventView>),
    /// Events after the reader's place are not kept any more; this is the oldest one that is; it is told next.
    Gap(EventView),
}

impl Tail {
    /// A reader that stands after `position`; 0 is before the first event.
    pub fn new(store: Store, tenant: TenantId, position: i64) -> Self {
        let told = store.told();
        Self { store, tenant, kinds: Vec::new(), customer: None, position, told, is_behind: true }
    }

    /// Tells only these types, and only events of this customer.
    #[must_use]
    pub fn only(mut self, kinds: Vec<Type>, customer: Option<String>) -> Self {
        (self.kinds, self.customer) = (kinds, customer);
        self
    }

    fn wants(&self, event: &EventView) -> bool {
        let kind = self.kinds.is_empty() || self.kinds.iter().any(|kind| kind.name() == event.kind);
        kind && self.customer.as_ref().is_none_or(|customer| event.customer_id.as_ref() == Some(customer))
    }

    /// What is committed and not told yet; `None` when it is nothing.
    ///
    /// # Errors
    /// Store errors.
    pub async fn read(&mut self) -> Result<Option<Next>, Error> {
        self.told.mark_unchanged();
        loop {
            let found = outbox::events_after(&self.store, self.tenant, self.position, AT_ONCE).await?;
            let Some((first, last)) = found.first().zip(found.last()) else {
                self.is_behind = false;
                return Ok(None);
            };
            // positions have no gap of their own
            if first.position > self.position.saturating_add(1) {
                self.position = first.position.saturating_sub(1);
                self.is_behind = true;
                return Ok(Some(Next::Gap(first.clone())));
            }
            self.position = last.position;
            self.is_behind = found.len() >= AT_ONCE as usize;
            let wanted: Vec<EventView> = found.into_iter().filter(|event| self.wants(event)).collect();
            if !wanted.is_empty() {
                return Ok(Some(Next::Events(wanted)));
            }
            if !self.is_behind {
                return Ok(None);
            }
        }
    }

    /// Waits until there may be more, but no longer than `at_most`.
    pub async fn wait(&mut self, at_most: Duration) {
        if !self.is_behind {
            // The store outlives its readers: that the channel is closed only ends the wait.
            let _ = tokio::time::timeout(at_most, self.told.changed()).await;
        }
    }
}
