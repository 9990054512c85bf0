//! The change feed in this process: listeners, and how far each shard has been delivered.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use kernel::tenant::TenantId;

use crate::batch::Change;
use crate::error::Error;

/// How many sequences of feed numbers there are; a tenant belongs to one.
pub(crate) const SHARDS: i64 = 16;

/// What is called with the changes of a commit.
pub(crate) type Listener = Arc<dyn Fn(&[Change]) + Send + Sync>;

/// What is called when caches must begin anew, because another process may have served in between.
pub(crate) type Starter = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send>> + Send + Sync>;

/// Listeners and delivered positions.
#[derive(Default)]
pub(crate) struct Feed {
    listeners: RwLock<Vec<Listener>>,
    starters: RwLock<Vec<Starter>>,
    applied: [AtomicU64; 16],
}

/// The shard of a tenant: the last four bits of its id, which are random.
pub(crate) fn shard(tenant: TenantId) -> i64 {
    let [.., last] = *tenant.as_bytes();
    i64::from(last & 0x0f)
}

impl Feed {
    /// Adds a listener; it hears every later commit.
    pub(crate) fn listen(&self, listener: Listener) {
        self.listeners.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// Adds what is called when caches must begin anew.
    pub(crate) fn on_start_over(&self, starter: Starter) {
        self.starters.write().unwrap_or_else(PoisonError::into_inner).push(starter);
    }

    /// Lets every cache begin anew.
    pub(crate) async fn start_over(&self) -> Result<(), Error> {
        let starters = self.starters.read().unwrap_or_else(PoisonError::into_inner).clone();
        for starter in starters {
            starter().await?;
        }
        Ok(())
    }

    /// Where every shard stands.
    pub(crate) fn positions(&self) -> [u64; 16] {
        std::array::from_fn(|index| self.applied.get(index).map_or(0, |slot| slot.load(Ordering::Acquire)))
    }

    /// The number up to which a shard has been delivered.
    pub(crate) fn applied(&self, shard: i64) -> u64 {
        self.slot(shard).map_or(0, |slot| slot.load(Ordering::Acquire))
    }

    /// Sets the position of a shard without delivering: what is there at open is read by the caches themselves.
    pub(crate) fn start_at(&self, shard: i64, seq: u64) {
        if let Some(slot) = self.slot(shard) {
            slot.store(seq, Ordering::Release);
        }
    }

    /// Calls the listeners with the changes of one or more commits of a shard, then moves its position to `seq`.
    ///
    /// The caller delivers in feed order and never twice at the same time for one shard.
    pub(crate) fn deliver(&self, shard: i64, seq: u64, changes: &[Change]) {
        if !changes.is_empty() {
            for listener in &*self.listeners.read().unwrap_or_else(PoisonError::into_inner) {
                listener(changes);
            }
        }
        if let Some(slot) = self.slot(shard) {
            slot.fetch_max(seq, Ordering::AcqRel);
        }
    }

    fn slot(&self, shard: i64) -> Option<&AtomicU64> {
        usize::try_from(shard).ok().and_then(|index| self.applied.get(index))
    }
}
