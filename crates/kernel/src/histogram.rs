//! A histogram that many threads fill without a lock; what it means and how it is written is its owner's matter.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of durations, in microseconds.
const DURATIONS: &[u64] = &[500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 2_000_000];
/// Upper bounds of sizes.
const SIZES: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/// Values counted by their size.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// One more than bounds: the last takes what is larger than all of them.
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    fn over(bounds: &'static [u64]) -> Self {
        let buckets = std::iter::repeat_with(AtomicU64::default).take(bounds.len().saturating_add(1)).collect();
        Self { bounds, buckets, sum: AtomicU64::new(0) }
    }

    /// For durations of half a millisecond to 2 s.
    pub fn of_durations() -> Self {
        Self::over(DURATIONS)
    }

    /// For sizes from 1 to 512.
    pub fn of_sizes() -> Self {
        Self::over(SIZES)
    }

    /// Counts a value.
    pub fn add(&self, value: u64) {
        let place = self.bounds.iter().position(|bound| value <= *bound).unwrap_or(self.bounds.len());
        if let Some(bucket) = self.buckets.get(place) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Counts a duration, in microseconds.
    pub fn add_duration(&self, took: Duration) {
        self.add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// What was counted so far: each upper bound with how many values are not larger, how many there are in all, and
    /// their sum.
    pub fn read(&self) -> Reading {
        let mut total = 0_u64;
        let mut below = Vec::with_capacity(self.bounds.len());
        for (place, bucket) in self.buckets.iter().enumerate() {
            total = total.saturating_add(bucket.load(Ordering::Relaxed));
            if let Some(bound) = self.bounds.get(place) {
                below.push((*bound, total));
            }
        }
        Reading { below, total, sum: self.sum.load(Ordering::Relaxed) }
    }
}

/// A histogram at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Each bound with the number of values up to it.
    pub below: Vec<(u64, u64)>,
    /// How many values there are.
    pub total: u64,
    /// Their sum.
    pub sum: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_under_every_bound_that_it_does_not_pass() {
        let sizes = Histogram::of_sizes();
        for value in [1, 2, 3, 512, 513] {
            sizes.add(value);
        }
        let reading = sizes.read();
        assert_eq!((reading.total, reading.sum), (5, 1_031));
        let below = |bound| reading.below.iter().find(|(b, _)| *b == bound).unwrap().1;
        assert_eq!([below(1), below(2), below(4), below(256), below(512)], [1, 2, 3, 3, 4]);
    }

    #[test]
    fn durations_are_counted_in_microseconds() {
        let durations = Histogram::of_durations();
        durations.add_duration(Duration::from_micros(500));
        durations.add_duration(Duration::from_secs(3));
        let reading = durations.read();
        assert_eq!((reading.below[0], reading.total, reading.sum), ((500, 1), 2, 3_000_500));
    }
}
