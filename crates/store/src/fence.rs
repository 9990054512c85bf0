//! Whether this process may speak about credentials now: until its lease ends, and never over a store that was rolled
//! back.
//!
//! Time is read at every question and not set by a task: a process that was stopped must find the lease lost before
//! anything else runs.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use kernel::clock::Timestamp;
use rustix::time::ClockId;

/// A clock that nobody sets, and that goes on while the machine sleeps.
#[cfg(target_os = "linux")]
const CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const CLOCK: ClockId = ClockId::Monotonic;

/// An instant of that clock, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl Moment {
    /// Without a lease there is no end.
    const NEVER: Self = Self(u64::MAX);

    /// The present one.
    pub(crate) fn now() -> Self {
        let time = rustix::time::clock_gettime(CLOCK);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0).saturating_mul(1_000_000_000);
        Self(seconds.saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0)))
    }

    /// This one moved ahead.
    pub(crate) fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// The end of the lease, and what else keeps this process from answering.
pub(crate) struct Fence {
    until: AtomicU64,
    /// Microseconds of machine time at which the store was found to be older than before; 0 while it was not.
    rolled_back_at: AtomicI64,
}

impl Default for Fence {
    fn default() -> Self {
        Self { until: AtomicU64::new(Moment::NEVER.0), rolled_back_at: AtomicI64::new(0) }
    }
}

impl Fence {
    /// Whether this process must not answer.
    pub(crate) fn is_closed(&self) -> bool {
        let until = Moment(self.until.load(Ordering::SeqCst));
        // without a lease the clock need not be read
        until != Moment::NEVER && Moment::now() >= until
    }

    /// How long it stays open; `None` without a lease.
    pub(crate) fn remaining(&self) -> Option<Duration> {
        let until = Moment(self.until.load(Ordering::SeqCst));
        (until != Moment::NEVER).then(|| Duration::from_nanos(until.0.saturating_sub(Moment::now().0)))
    }

    /// Opens it until the lease ends, unless the store was rolled back.
    pub(crate) fn open_until(&self, end: Moment) {
        self.until.store(end.0, Ordering::SeqCst);
        // looked at after the store: whichever of the two comes last, it ends closed
        if self.rolled_back_at().is_some() {
            self.close();
        }
    }

    /// Closes it now.
    pub(crate) fn close(&self) {
        self.until.fetch_min(Moment::now().0, Ordering::SeqCst);
    }

    /// Closes it for good; whether that was news.
    pub(crate) fn roll_back(&self, now: Timestamp) -> bool {
        let first = self.rolled_back_at.compare_exchange(0, now.as_micros(), Ordering::SeqCst, Ordering::SeqCst);
        self.close();
        first.is_ok()
    }

    /// When the store was found to be older than before.
    pub(crate) fn rolled_back_at(&self) -> Option<Timestamp> {
        Some(self.rolled_back_at.load(Ordering::SeqCst)).filter(|at| *at != 0).map(Timestamp::from_micros)
    }

    /// Since when it is closed, given the present machine time.
    pub(crate) fn closed_since(&self, now: Timestamp) -> Option<Timestamp> {
        let closed_for = Moment::now().0.checked_sub(self.until.load(Ordering::SeqCst))?;
        let micros = i64::try_from(closed_for / 1_000).unwrap_or(0);
        Some(Timestamp::from_micros(now.as_micros().saturating_sub(micros)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_closes_by_itself_when_the_lease_ends_and_a_renewal_opens_it_again() {
        let fence = Fence::default();
        let now = Timestamp::from_seconds(1_800_000_000);
        assert!(!fence.is_closed(), "a store without a lease is open");
        assert_eq!((fence.closed_since(now), fence.remaining()), (None, None));
        fence.open_until(Moment::now().after(Duration::from_millis(20)));
        assert!(fence.remaining().unwrap() <= Duration::from_millis(20));
        assert!(!fence.is_closed());
        std::thread::sleep(Duration::from_millis(30));
        assert!(fence.is_closed() && fence.remaining() == Some(Duration::ZERO));
        let since = fence.closed_since(now).unwrap();
        assert!(since < now && now.micros_since(since) < 5_000_000);
        fence.open_until(Moment::now().after(Duration::from_mins(1)));
        assert!(!fence.is_closed());
        fence.close();
        assert!(fence.is_closed());
    }

    #[test]
    fn a_store_that_was_rolled_back_is_never_opened_again() {
        let fence = Fence::default();
        let now = Timestamp::from_seconds(1_800_000_000);
        assert!(fence.roll_back(now));
        assert!(!fence.roll_back(now.plus_seconds(1)));
        fence.open_until(Moment::now().after(Duration::from_mins(1)));
        assert!(fence.is_closed());
        assert_eq!(fence.rolled_back_at(), Some(now));
    }
}
