//! A clock that stands still until a test moves it.

use std::sync::atomic::{AtomicI64, Ordering};

use kernel::clock::{Clock, Timestamp};

/// A clock under the test's control; share it in an `Arc` and move it from anywhere.
#[derive(Debug, Default)]
pub struct FakeClock {
    micros: AtomicI64,
}

impl FakeClock {
    /// A clock that stands at this instant.
    pub const fn at(now: Timestamp) -> Self {
        Self { micros: AtomicI64::new(now.as_micros()) }
    }

    /// Moves the clock by whole seconds and answers with the new instant.
    pub fn advance_seconds(&self, seconds: i64) -> Timestamp {
        self.advance_micros(seconds.saturating_mul(1_000_000))
    }

    /// Moves the clock by microseconds and answers with the new instant.
    pub fn advance_micros(&self, micros: i64) -> Timestamp {
        let before = self.micros.fetch_add(micros, Ordering::SeqCst);
        Timestamp::from_micros(before.wrapping_add(micros))
    }

    /// Puts the clock at an instant, backwards too: the wall clock of a real machine may be set back.
    pub fn set(&self, now: Timestamp) {
        self.micros.store(now.as_micros(), Ordering::SeqCst);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.micros.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_fake_clock_moves_only_when_told_and_for_everyone_who_shares_it() {
        let clock = Arc::new(FakeClock::at(Timestamp::from_seconds(100)));
        let shared: Arc<dyn Clock> = clock.clone();
        assert_eq!(shared.now(), shared.now());
        assert_eq!(clock.advance_seconds(901), Timestamp::from_seconds(1001));
        clock.advance_micros(5);
        assert_eq!(shared.now(), Timestamp::from_micros(1_001_000_005));
        clock.set(Timestamp::from_seconds(7));
        assert_eq!(shared.now(), Timestamp::from_seconds(7));
    }
}
