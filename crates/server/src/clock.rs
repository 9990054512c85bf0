//! The wall clock: the only place where the time of day is read.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use kernel::clock::{Clock, Timestamp};

/// The system's clock with a floor: it never answers earlier than before, however the clock is set back.
#[derive(Debug, Default)]
pub struct WallClock {
    floor: AtomicI64,
}

impl WallClock {
    /// A clock without a floor yet.
    pub const fn new() -> Self {
        Self { floor: AtomicI64::new(0) }
    }

    fn raise(&self, wall: i64) -> Timestamp {
        let before = self.floor.fetch_max(wall, Ordering::AcqRel);
        Timestamp::from_micros(before.max(wall))
    }
}

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else is given")]
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        self.raise(wall.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_stands_still_until_the_wall_catches_up() {
        let clock = WallClock::new();
        let answers: Vec<i64> = [5, 3, 5, 6].into_iter().map(|wall| clock.raise(wall).as_micros()).collect();
        assert_eq!(answers, [5, 5, 5, 6]);
    }
}
