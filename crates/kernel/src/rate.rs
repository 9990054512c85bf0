//! A limit on requests over time, decided without state of its own (GCRA).

use crate::clock::Timestamp;

const MICROS: i64 = 1_000_000;

/// What a limiter says about one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the request is inside the limit.
    pub allowed: bool,
    /// How many more may come at once now.
    pub remaining: u32,
    /// Seconds until a request would be allowed, or until the burst is whole again.
    pub reset_seconds: u32,
}

/// One limit: `limit` requests per `window_s`, `burst` of them at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Rate {
    /// Requests per window; 0 means no limit.
    pub limit: u32,
    /// Window in seconds.
    pub window_s: u32,
    /// Requests that may come at once.
    pub burst: u32,
}

impl Rate {
    /// Per second, with a burst.
    pub const fn per_second(limit: u32, burst: u32) -> Self {
        Self { limit, window_s: 1, burst }
    }

    /// Microseconds that one request takes of the limit.
    fn interval(self) -> i64 {
        let limit = i64::from(self.limit).max(1);
        i64::from(self.window_s).max(1).saturating_mul(MICROS).checked_div(limit).unwrap_or(1).max(1)
    }

    /// The theoretical arrival time without one request that was let through.
    pub fn without_one(self, tat: i64) -> i64 {
        tat.saturating_sub(self.interval())
    }

    /// Decides one request, pure: the theoretical arrival time goes in, the next one comes out (GCRA).
    pub fn decide(self, tat: i64, now: Timestamp) -> (i64, Verdict) {
        let now = now.as_micros();
        let interval = self.interval();
        let tolerance = interval.saturating_mul(i64::from(self.burst.max(1)));
        let start = tat.max(now);
        let next = start.saturating_add(interval);
        let room = now.saturating_add(tolerance).saturating_sub(next);
        let seconds =
            |micros: i64| u32::try_from(micros.max(0).saturating_add(MICROS - 1) / MICROS).unwrap_or(u32::MAX);
        if room < 0 {
            let wait = room.saturating_neg();
            return (tat, Verdict { allowed: false, remaining: 0, reset_seconds: seconds(wait).max(1) });
        }
        let remaining = u32::try_from(room.checked_div(interval).unwrap_or(0)).unwrap_or(u32::MAX);
        (next, Verdict { allowed: true, remaining, reset_seconds: seconds(next.saturating_sub(now)).max(1) })
    }
}
