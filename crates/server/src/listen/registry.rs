//! The open connections: admission under the caps, and the choice of an idle one to close when they are reached.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kernel::network::Cidr;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::ListenStats;
use super::activity::{Activity, Order};
use super::source::Source;
use crate::config::Limits;

/// Connections looked at per eviction; at most this much work is spent on one accept.
const SAMPLE: usize = 512;

#[derive(Default)]
struct Open {
    next: u64,
    cursor: u64,
    connections: BTreeMap<u64, Arc<Activity>>,
    sources: HashMap<Source, BTreeSet<u64>>,
}

/// All open connections of one listener.
pub(super) struct Registry {
    epoch: Instant,
    total: usize,
    per_source: usize,
    trusted: Vec<Cidr>,
    stats: Arc<ListenStats>,
    open: Mutex<Open>,
    emptied: Notify,
}

impl Registry {
    /// An empty registry with the caps of the limits, and never more than 80 % of the descriptors.
    pub(super) fn new(limits: &Limits, trusted: Vec<Cidr>, stats: Arc<ListenStats>) -> Arc<Self> {
        let configured = usize::try_from(limits.connections).unwrap_or(usize::MAX);
        let total = descriptor_limit().map_or(configured, |limit| configured.min(limit.saturating_mul(4) / 5));
        Arc::new(Self {
            epoch: Instant::now(),
            total,
            per_source: usize::try_from(limits.connections_per_source).unwrap_or(usize::MAX),
            trusted,
            stats,
            open: Mutex::new(Open::default()),
            emptied: Notify::new(),
        })
    }

    /// Whether the peer is a named proxy.
    pub(super) fn is_trusted(&self, peer: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(peer))
    }

    /// The named proxies.
    pub(super) fn trusted(&self) -> &[Cidr] {
        &self.trusted
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A slot for a new connection, after telling the longest-idle one to go if a cap is reached; `None` if none is idle.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Slot> {
        let source = (!self.is_trusted(peer)).then(|| Source::from(peer));
        let mut open = self.open();
        if let Some(held) = source.as_ref().and_then(|s| open.sources.get(s))
            && held.len() >= self.per_source
            && !self.evict(held.iter().filter_map(|id| open.connections.get(id)).take(SAMPLE))
        {
            ListenStats::count(&self.stats.refused_source);
            return None;
        }
        if open.connections.len() >= self.total {
            let cursor = open.cursor;
            let (before, from) = (open.connections.range(..cursor), open.connections.range(cursor..));
            let last = from.clone().chain(before.clone()).take(SAMPLE).last().map_or(0, |(id, _)| *id);
            let evicted = self.evict(from.chain(before).map(|(_, a)| a).take(SAMPLE));
            open.cursor = last.wrapping_add(1);
            if !evicted {
                ListenStats::count(&self.stats.refused);
                return None;
            }
        }
        let id = open.next;
        open.next = open.next.wrapping_add(1);
        let activity = Activity::new(self.epoch);
        open.connections.insert(id, Arc::clone(&activity));
        if let Some(source) = source {
            open.sources.entry(source).or_default().insert(id);
        }
        drop(open);
        ListenStats::count(&self.stats.open);
        Some(Slot { registry: Arc::clone(self), id, source, activity })
    }

    fn evict<'a>(&self, candidates: impl Iterator<Item = &'a Arc<Activity>>) -> bool {
        let longest = candidates.filter_map(|a| a.idle_since().map(|since| (since, a))).min_by_key(|(since, _)| *since);
        if let Some((_, activity)) = longest {
            activity.give(Order::Finish);
            ListenStats::count(&self.stats.evicted);
        }
        longest.is_some()
    }

    /// Gives all open connections the same order.
    pub(super) fn order_all(&self, order: Order) {
        for activity in self.open().connections.values() {
            activity.give(order);
        }
    }

    /// Resolves when no connection is open.
    pub(super) async fn empty(&self) {
        while !self.open().connections.is_empty() {
            self.emptied.notified().await;
        }
    }
}

/// The soft limit of open files (`RLIMIT_NOFILE`), as Linux shows it; `None` elsewhere or when unlimited.
fn descriptor_limit() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// One admitted connection; dropping it frees its place.
pub(super) struct Slot {
    registry: Arc<Registry>,
    id: u64,
    source: Option<Source>,
    /// The marks of the connection.
    pub(super) activity: Arc<Activity>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.registry.open();
        open.connections.remove(&self.id);
        if let Some(source) = &self.source
            && let Some(held) = open.sources.get_mut(source)
        {
            held.remove(&self.id);
            if held.is_empty() {
                open.sources.remove(source);
            }
        }
        let is_empty = open.connections.is_empty();
        drop(open);
        self.registry.stats.open.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        if is_empty {
            self.registry.emptied.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::activity::Flight;
    use super::*;
    use crate::config::{Config, Overrides};

    fn registry(total: u32, per_source: u32) -> Arc<Registry> {
        let mut limits = Config::load(None, &std::collections::BTreeMap::new(), Overrides::default()).unwrap().limits;
        limits.connections = total;
        limits.connections_per_source = per_source;
        Registry::new(&limits, vec!["10.0.0.0/8".parse().unwrap()], Arc::default())
    }

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_source_loses_its_longest_idle_connection_and_never_a_busy_one() {
        let registry = registry(100, 2);
        let busy = registry.admit(ip(1)).unwrap();
        let _flight = Flight::start(&busy.activity);
        let idle = registry.admit(ip(1)).unwrap();
        let third = registry.admit(ip(1)).unwrap();
        assert_eq!(idle.activity.order(), Order::Finish);
        assert_eq!(busy.activity.order(), Order::Serve);
        let _flight = Flight::start(&third.activity);
        assert!(registry.admit(ip(1)).is_none());
        assert_eq!((registry.stats.evicted(), registry.stats.refused_source()), (1, 1));
        assert!(registry.admit(ip(2)).is_some(), "another source is not affected");
        drop((busy, idle));
        assert!(registry.admit(ip(1)).is_some(), "closed connections free their place");
    }

    #[tokio::test(start_paused = true)]
    async fn named_proxies_are_exempt_from_the_cap_per_source_but_not_from_the_total() {
        let registry = registry(3, 1);
        let proxy: IpAddr = "10.1.1.1".parse().unwrap();
        let slots: Vec<_> = (0..3).map(|_| registry.admit(proxy).unwrap()).collect();
        let _flights: Vec<_> = slots.iter().map(|s| Flight::start(&s.activity)).collect();
        assert!(registry.admit(proxy).is_none());
        assert_eq!(registry.stats.refused(), 1);
        assert_eq!(registry.stats.open(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_idle_connection_goes_first_when_the_total_is_reached() {
        let registry = registry(2, 10);
        let first = registry.admit(ip(1)).unwrap();
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        let second = registry.admit(ip(2)).unwrap();
        let _third = registry.admit(ip(3)).unwrap();
        assert_eq!((first.activity.order(), second.activity.order()), (Order::Finish, Order::Serve));
    }
}
