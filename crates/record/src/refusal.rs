//! Counting refused requests in memory: repeated ones become one journal entry per minute, none is dropped.
//!
//! The number of counters is bounded, so a flood of invented client ids or sources cannot fill the memory: past
//! the bound, refusals are counted per tenant and reason under the name of [`OTHER`].

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use kernel::clock::Timestamp;
use kernel::id::{Id, Request};
use kernel::tenant::TenantId;

use crate::entry::Refusal;

/// The client id that stands for many when there were too many to count apart.
pub const OTHER: &str = "(other)";
/// Most bytes of a presented client id that are kept.
const CLIENT_ID_MAX: usize = 256;
const MINUTE_MICROS: i64 = 60_000_000;

/// One refused request.
#[derive(Debug, Clone)]
pub struct Refused<'a> {
    /// The tenant whose endpoint refused.
    pub tenant: TenantId,
    /// The client id as presented.
    pub client_id: Option<&'a str>,
    /// Peer address.
    pub source: Option<IpAddr>,
    /// A stable code from this program, never text from outside.
    pub reason: &'static str,
    /// The request.
    pub request: Id<Request>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    tenant: TenantId,
    client_id: Option<String>,
    source: Option<IpAddr>,
    reason: &'static str,
    minute: i64,
}

impl Key {
    fn into_refusal(self, counter: &Counter) -> Refusal {
        Refusal {
            at: counter.first_at,
            client_id: self.client_id,
            source: self.source,
            reason: self.reason.to_owned(),
            count: counter.count,
            request: counter.request,
        }
    }
}

#[derive(Debug)]
struct Counter {
    first_at: Timestamp,
    request: Id<Request>,
    count: u32,
}

/// The refusals not yet written to the journal.
#[derive(Debug)]
pub struct Refusals {
    max: usize,
    counters: Mutex<HashMap<Key, Counter>>,
}

impl Refusals {
    /// An empty aggregator that keeps at most `max` counters apart.
    pub fn new(max: usize) -> Self {
        Self { max, counters: Mutex::new(HashMap::new()) }
    }

    /// Counts one refusal.
    pub fn add(&self, refused: &Refused<'_>, now: Timestamp) {
        let mut key = Key {
            tenant: refused.tenant,
            client_id: refused.client_id.map(|text| shorten(text).to_owned()),
            source: refused.source,
            reason: refused.reason,
            minute: now.as_micros().div_euclid(MINUTE_MICROS),
        };
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        if counters.len() >= self.max && !counters.contains_key(&key) {
            key.client_id = Some(OTHER.to_owned());
            key.source = None;
            // One minute for all keeps the number of these counters at one per tenant and reason.
            key.minute = i64::MIN;
        }
        let counter = counters.entry(key).or_insert(Counter { first_at: now, request: refused.request, count: 0 });
        counter.count = counter.count.saturating_add(1);
    }

    /// Takes out what was counted in minutes that are over, oldest first.
    pub fn drain(&self, now: Timestamp) -> Vec<(TenantId, Refusal)> {
        let present = now.as_micros().div_euclid(MINUTE_MICROS);
        self.take(|key| key.minute < present)
    }

    /// Takes out everything, for the last write before the process ends.
    pub fn drain_all(&self) -> Vec<(TenantId, Refusal)> {
        self.take(|_| true)
    }

    /// What is being counted for one client id, the newest first.
    pub fn pending(&self, tenant: TenantId, client_id: &str) -> Vec<Refusal> {
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let of_client = |key: &&Key| key.tenant == tenant && key.client_id.as_deref() == Some(client_id);
        let mut found: Vec<Refusal> = counters
            .iter()
            .filter(|(key, _)| of_client(key))
            .map(|(key, counter)| key.clone().into_refusal(counter))
            .collect();
        drop(counters);
        found.sort_by_key(|refusal| std::cmp::Reverse((refusal.at, refusal.request)));
        found
    }

    fn take(&self, ripe: impl Fn(&Key) -> bool) -> Vec<(TenantId, Refusal)> {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken: Vec<(TenantId, Refusal)> = counters
            .extract_if(|key, _| ripe(key))
            .map(|(key, counter)| (key.tenant, key.into_refusal(&counter)))
            .collect();
        drop(counters);
        taken.sort_by_key(|(tenant, refusal)| (refusal.at, *tenant, refusal.request));
        taken
    }
}

fn shorten(text: &str) -> &str {
    text.get(..text.floor_char_boundary(CLIENT_ID_MAX)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: TenantId = kernel::tenant::DEFAULT;

    fn refused<'a>(client_id: &'a str, source: &str) -> Refused<'a> {
        Refused {
            tenant: TENANT,
            client_id: Some(client_id),
            source: Some(source.parse().unwrap()),
            reason: "invalid_client",
            request: Id::from_bytes([1; 16]),
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn repeated_refusals_of_a_minute_become_one_entry_with_their_count() {
        let refusals = Refusals::new(100);
        for second in [60, 70, 119, 120] {
            refusals.add(&refused("acme", "192.0.2.1"), at(second));
        }
        refusals.add(&refused("acme", "192.0.2.2"), at(61));
        let drained = refusals.drain(at(125));
        let counts: Vec<(i64, u32)> = drained.iter().map(|(_, r)| (r.at.as_seconds(), r.count)).collect();
        assert_eq!(counts, [(60, 3), (61, 1)]);
        assert!(refusals.drain(at(179)).is_empty(), "the present minute is still counted");
        let pending: Vec<u32> = refusals.pending(TENANT, "acme").iter().map(|refusal| refusal.count).collect();
        assert_eq!((pending, refusals.pending(TENANT, "other").len()), (vec![1], 0));
        assert_eq!(refusals.drain(at(180)).len(), 1);
        assert!(refusals.drain_all().is_empty());
    }

    #[test]
    fn past_the_bound_refusals_are_counted_together_and_none_is_lost() {
        let refusals = Refusals::new(10);
        for index in 0..1_000_u32 {
            refusals.add(&refused(&format!("made-up-{index}"), "192.0.2.1"), at(i64::from(index)));
        }
        let drained = refusals.drain_all();
        assert_eq!(drained.len(), 11);
        assert_eq!(drained.iter().map(|(_, r)| r.count).sum::<u32>(), 1_000);
        assert!(drained.iter().any(|(_, r)| r.client_id.as_deref() == Some(OTHER) && r.count == 990));
    }

    #[test]
    fn a_long_client_id_is_cut_at_a_character() {
        let refusals = Refusals::new(10);
        refusals.add(&refused(&"é".repeat(10_000), "192.0.2.1"), at(0));
        assert_eq!(refusals.drain_all()[0].1.client_id.as_ref().map(String::len), Some(256));
    }
}
