//! Rate limits (GCRA, in memory) and token quotas (leased from the store in slices).

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::Mutex;

use kernel::clock::Timestamp;
use kernel::id::{self, Id};
use kernel::mutant;
pub use kernel::rate::{Rate, Verdict};
use kernel::tenant::TenantId;
use store::{Batch, Store, Upkeep, params};

use crate::client::{RateLimit, TokenQuota};
use crate::error::OauthError;
use crate::sql;

const SHARDS: u64 = 16;
const KEYS_PER_SHARD: usize = 62_500;

/// Arrival times by key, and the latest moment any request of the shard has brought.
struct Shard<K> {
    map: HashMap<K, i64>,
    latest: Timestamp,
}

/// Limits by key, bounded: a full shard forgets the keys whose burst is whole again, then everything.
pub struct Limiter<K> {
    shards: Vec<Mutex<Shard<K>>>,
    hasher: RandomState,
}

impl<K: Hash + Eq + Clone> Default for Limiter<K> {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS)
                .map(|_| Mutex::new(Shard { map: HashMap::new(), latest: Timestamp::default() }))
                .collect(),
            hasher: RandomState::new(),
        }
    }
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    fn shard(&self, key: &K) -> usize {
        usize::try_from(self.hasher.hash_one(key) % SHARDS).unwrap_or(0)
    }

    /// Counts one request of the key. A limit of 0 allows everything and counts nothing.
    pub fn count(&self, key: &K, rate: Rate, now: Timestamp) -> Verdict {
        if rate.limit == 0 || mutant::is("S-34-unlimited") {
            return Verdict { allowed: true, remaining: u32::MAX, reset_seconds: 0 };
        }
        let shard = self.shard(key);
        let Some(Ok(mut guard)) = self.shards.get(shard).map(Mutex::lock) else {
            // A poisoned limiter fails closed.
            return Verdict { allowed: false, remaining: 0, reset_seconds: 1 };
        };
        // A thread that was held up since it read the clock must not be refused for what came after it.
        let Shard { map, latest } = &mut *guard;
        *latest = now.max(*latest);
        let now = *latest;
        let (next, verdict) = rate.decide(map.get(key).copied().unwrap_or(0), now);
        if let Some(tat) = map.get_mut(key) {
            *tat = next;
        } else {
            if map.len() >= KEYS_PER_SHARD {
                map.retain(|_, tat| *tat > now.as_micros());
                if map.len() >= KEYS_PER_SHARD {
                    map.clear();
                }
            }
            map.insert(key.clone(), next);
        }
        verdict
    }

    /// Takes back one request that was let through.
    fn take_back(&self, key: &K, rate: Rate) {
        let shard = self.shard(key);
        if let Some(Ok(mut guard)) = self.shards.get(shard).map(Mutex::lock)
            && let Some(tat) = guard.map.get_mut(key)
        {
            *tat = rate.without_one(*tat);
        }
    }

    /// Forgets a key.
    pub fn forget(&self, key: &K) {
        let shard = self.shard(key);
        if let Some(Ok(mut guard)) = self.shards.get(shard).map(Mutex::lock) {
            guard.map.remove(key);
        }
    }
}

/// An address as limits see it: IPv4 whole, IPv6 by its /64.
pub fn source_key(source: IpAddr) -> u128 {
    match source.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits() & (u128::MAX << 64),
    }
}

/// Failures of slow authentication, per (client, source) and per source; consulted before Argon2id only.
pub struct FailureLimiter {
    pairs: Limiter<(String, u128)>,
    sources: Limiter<u128>,
    pair_rate: Rate,
    source_rate: Rate,
}

impl FailureLimiter {
    /// With the two rates.
    pub fn new(pair_rate: Rate, source_rate: Rate) -> Self {
        Self { pairs: Limiter::default(), sources: Limiter::default(), pair_rate, source_rate }
    }

    /// Counts an attempt before its slow hash.
    ///
    /// # Errors
    /// [`OauthError::SlowDown`] when the pair or the source has failed too often.
    pub fn admit(&self, client_id: &str, source: Option<IpAddr>, now: Timestamp) -> Result<(), OauthError> {
        let source = source.map_or(0, source_key);
        let pair = self.pairs.count(&(client_id.chars().take(128).collect(), source), self.pair_rate, now);
        let whole = self.sources.count(&source, self.source_rate, now);
        match (pair.allowed, whole.allowed) {
            (true, true) => Ok(()),
            _ => Err(OauthError::SlowDown {
                policy: "authentication-failures",
                retry_after_seconds: if pair.allowed { whole.reset_seconds } else { pair.reset_seconds },
            }),
        }
    }

    /// Takes an attempt back that turned out right: the failures of the pair are forgotten, those of others behind the
    /// same address are not.
    pub fn forgive(&self, client_id: &str, source: Option<IpAddr>) {
        let source = source.map_or(0, source_key);
        self.pairs.forget(&(client_id.chars().take(128).collect(), source));
        self.sources.take_back(&source, self.source_rate);
    }
}

/// What the limit headers of an answer say (draft-ietf-httpapi-ratelimit-headers).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LimitState {
    /// `RateLimit-Policy`.
    pub policy: String,
    /// `RateLimit`.
    pub state: String,
}

impl LimitState {
    /// Adds one policy and its state.
    pub fn add(&mut self, name: &str, quota: u32, window_s: u32, remaining: u32, reset_seconds: u32) {
        let separator = if self.policy.is_empty() { "" } else { ", " };
        // Writing to a String cannot fail.
        let _ = write!(self.policy, "{separator}\"{name}\";q={quota};w={window_s}");
        let _ = write!(self.state, "{separator}\"{name}\";r={remaining};t={reset_seconds}");
    }
}

/// A quota window: its name in the store and headers, its length.
const SPANS: [(&str, &str, i64); 2] = [("hour", "tokens-hour", 3_600), ("day", "tokens-day", 86_400)];

#[derive(Debug, Default, Clone, Copy)]
struct Lease {
    window_start: i64,
    used: i64,
    leased: i64,
    announced: i64,
}

/// Token quotas: the counter row in the store is raised one slice ahead, this node hands the slice out.
#[derive(Default)]
pub struct Quotas {
    leases: tokio::sync::Mutex<HashMap<(Id<id::Client>, &'static str), Lease>>,
}

/// Outcome of taking one token from a quota.
#[derive(Debug, Default)]
pub struct Taken {
    /// Header state of each window.
    pub limits: LimitState,
    /// The window that is used up and enforced, with the seconds to its end.
    pub refused: Option<(&'static str, u32)>,
    /// Thresholds passed by this token: window name and percentage.
    pub passed: Vec<(&'static str, u32)>,
}

impl Quotas {
    /// Takes one token from the client's windows.
    ///
    /// # Errors
    /// The store's, when a slice could not be leased.
    pub async fn take(
        &self,
        store: &Store,
        tenant: TenantId,
        client: Id<id::Client>,
        quota: TokenQuota,
        now: Timestamp,
    ) -> Result<Taken, store::Error> {
        let mut taken = Taken::default();
        let mut counted = Vec::new();
        let mut leases = self.leases.lock().await;
        for (span, header, length) in SPANS {
            let max = match span {
                "hour" => quota.per_hour,
                _ => quota.per_day,
            };
            let Some(max) = max else { continue };
            let window_start = now.as_seconds().div_euclid(length).saturating_mul(length);
            let ends_in = window_start.saturating_add(length).saturating_sub(now.as_seconds());
            let ends_in = u32::try_from(ends_in.max(1)).unwrap_or(1);
            let lease = leases.entry((client, span)).or_default();
            if lease.window_start != window_start {
                *lease = Lease { window_start, ..Lease::default() };
            }
            if lease.used >= lease.leased {
                lease_slice(store, tenant, client, span, i64::from(max), lease).await?;
            }
            let allowed = lease.used < lease.leased;
            if allowed || !quota.enforce {
                lease.used = lease.used.saturating_add(1);
                counted.push(span);
            }
            let left = i64::from(max).saturating_sub(lease.used).max(0);
            let percent = lease.used.saturating_mul(100).checked_div(i64::from(max).max(1)).unwrap_or(100);
            let threshold = [100, 80, 60].into_iter().find(|t| percent >= *t).unwrap_or(0);
            if threshold > lease.announced {
                lease.announced = threshold;
                taken.passed.push((header, u32::try_from(threshold).unwrap_or(100)));
            }
            let window = u32::try_from(length).unwrap_or(u32::MAX);
            taken.limits.add(header, max, window, u32::try_from(left).unwrap_or(u32::MAX), ends_in);
            if !allowed && quota.enforce {
                taken.refused = Some((header, ends_in));
                break;
            }
        }
        // A request that one window refuses has taken nothing from another.
        if taken.refused.is_some() {
            for span in counted {
                if let Some(lease) = leases.get_mut(&(client, span)) {
                    lease.used = lease.used.saturating_sub(1);
                }
            }
        }
        Ok(taken)
    }
}

/// What a client has taken in one of its windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// `hour` or `day`.
    pub span: &'static str,
    /// Tokens taken since the window began; with several nodes, what they were given out of it.
    pub used: i64,
    /// Tokens of the whole window.
    pub max: u32,
}

impl Quotas {
    /// What a client has taken in the present windows of its quota.
    ///
    /// # Errors
    /// The store's.
    pub async fn usage(
        &self,
        store: &Store,
        tenant: TenantId,
        client: Id<id::Client>,
        quota: TokenQuota,
        now: Timestamp,
    ) -> Result<Vec<Usage>, store::Error> {
        let mut found = Vec::new();
        for (span, _, length) in SPANS {
            let Some(max) = (if span == "hour" { quota.per_hour } else { quota.per_day }) else { continue };
            let window_start = now.as_seconds().div_euclid(length).saturating_mul(length);
            let held = self.leases.lock().await.get(&(client, span)).copied();
            let held = held.filter(|lease| lease.window_start == window_start);
            let used = match held {
                Some(lease) => lease.used,
                None => match store.read(&sql::QUOTA_READ, params![tenant, client, span]).await? {
                    Some(row) if row.int(0)? == window_start => row.int(1)?,
                    _ => 0,
                },
            };
            found.push(Usage { span, used, max });
        }
        Ok(found)
    }
}

/// Raises the counter by max(1, 1 % of what is left); leaves the lease as it is when nothing is left.
async fn lease_slice(
    store: &Store,
    tenant: TenantId,
    client: Id<id::Client>,
    span: &'static str,
    max: i64,
    lease: &mut Lease,
) -> Result<(), store::Error> {
    let open = Batch::new().run(&sql::QUOTA_OPEN, params![tenant, client, span, lease.window_start]);
    store.upkeep(Upkeep::QuotaSlice, open).await?;
    let used = store.read(&sql::QUOTA_READ, params![tenant, client, span]).await?;
    let used = used.map_or(Ok(0), |row| row.int(1))?;
    let left = max.saturating_sub(used);
    if left <= 0 {
        return Ok(());
    }
    let slice = left.checked_div(100).unwrap_or(1).max(1);
    let raise =
        Batch::new().expect(1, &sql::QUOTA_RAISE, params![tenant, client, span, lease.window_start, slice, max]);
    match store.upkeep(Upkeep::QuotaSlice, raise).await {
        Ok(()) => {
            // What earlier holders took of this window counts as used here.
            lease.used = lease.used.max(used);
            lease.leased = used.saturating_add(slice);
            Ok(())
        }
        Err(store::Error::Conflict(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The rate of a client: its own, or the server's default.
pub fn rate_of(own: Option<RateLimit>, default: Rate) -> (Rate, bool) {
    own.map_or((default, true), |r| (Rate { limit: r.limit, window_s: r.window_s, burst: r.burst }, r.enforce))
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn a_burst_passes_at_once_and_the_rest_at_the_rate() {
        let limiter = Limiter::default();
        let rate = Rate { limit: 10, window_s: 1, burst: 5 };
        let passed = (0..20).filter(|_| limiter.count(&1, rate, at(0)).allowed).count();
        assert_eq!(passed, 5);
        assert!(!limiter.count(&1, rate, at(99_999)).allowed);
        assert!(limiter.count(&1, rate, at(100_000)).allowed);
        assert!(limiter.count(&2, rate, at(0)).allowed, "another key has its own burst");
    }

    #[test]
    fn a_thread_that_was_held_up_is_not_refused_for_what_came_after_it() {
        let limiter = Limiter::default();
        let rate = Rate { limit: 1_000_000, window_s: 1, burst: 10 };
        assert!(limiter.count(&1, rate, at(1_000_000)).allowed);
        assert!(limiter.count(&1, rate, at(900_000)).allowed);
    }

    #[test]
    fn a_limit_of_zero_refuses_nothing() {
        let limiter = Limiter::default();
        assert!((0..1_000).all(|_| limiter.count(&1, Rate { limit: 0, window_s: 1, burst: 0 }, at(0)).allowed));
    }

    #[test]
    fn right_secrets_use_up_nothing_of_what_an_address_may_guess() {
        let limiter = FailureLimiter::new(Rate::per_second(1, 20), Rate::per_second(20, 200));
        let client = |n: i32| format!("client-{n}");
        for n in 0..150 {
            limiter.admit(&client(n), None, at(0)).unwrap();
        }
        for n in 0..1_000 {
            limiter.admit(&client(n % 7), None, at(0)).unwrap();
            limiter.forgive(&client(n % 7), None);
        }
        // the wrong ones before still count
        assert!((0..50).all(|n| limiter.admit(&client(1_000 + n), None, at(0)).is_ok()));
        assert!(limiter.admit("one-more", None, at(0)).is_err());
    }

    proptest::proptest! {
        /// The leaky bucket, counted plainly, is the oracle: a request passes while the bucket has room for it.
        #[test]
        fn gcra_decides_like_a_bucket_that_leaks(
            limit in 1_u32..50, burst in 1_u32..20, gaps in proptest::collection::vec(0_i64..200_000, 1..200),
        ) {
            let rate = Rate { limit, window_s: 1, burst };
            let interval = 1_000_000 / i64::from(limit);
            let (mut tat, mut now, mut level, mut last) = (0, 1_000_000_i64, 0_i64, 1_000_000_i64);
            for gap in gaps {
                now += gap;
                level = (level - (now - last)).max(0);
                last = now;
                let room = level + interval <= interval * i64::from(burst);
                let (next, verdict) = rate.decide(tat, at(now));
                tat = next;
                assert_eq!(verdict.allowed, room);
                if room {
                    level += interval;
                } else {
                    assert!(verdict.reset_seconds >= 1);
                }
            }
        }
    }
}
