//! A log-linear histogram of nanoseconds: 64 steps per power of two, so every value is kept within 1.6 %.

const STEPS: u64 = 64;
const STEP_BITS: u32 = 6;
/// Buckets for every `u64`.
const BUCKETS: usize = 3776;

/// Counts by bucket.
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0 }
    }

    /// Counts one value.
    pub(crate) fn record(&mut self, value: u64) {
        if let Some(count) = usize::try_from(bucket(value)).ok().and_then(|index| self.counts.get_mut(index)) {
            *count = count.saturating_add(1);
            self.total = self.total.saturating_add(1);
        }
    }

    /// How many values there are.
    pub(crate) const fn total(&self) -> u64 {
        self.total
    }

    /// The value that so many of ten thousand do not pass: 5000 is the median. 0 when empty.
    pub(crate) fn quantile(&self, of_ten_thousand: u64) -> u64 {
        let wanted = self.total.saturating_mul(of_ten_thousand).div_ceil(10_000).max(1);
        let mut seen = 0_u64;
        for (index, count) in (0_u64..).zip(&self.counts) {
            seen = seen.saturating_add(*count);
            if seen >= wanted {
                return upper_end(index);
            }
        }
        0
    }
}

fn bucket(value: u64) -> u64 {
    let shift = value.checked_ilog2().unwrap_or(0).saturating_sub(STEP_BITS);
    if value < STEPS {
        return value;
    }
    u64::from(shift).saturating_mul(STEPS).saturating_add(value.wrapping_shr(shift))
}

/// The largest value of a bucket.
fn upper_end(bucket: u64) -> u64 {
    if bucket < STEPS.saturating_mul(2) {
        return bucket;
    }
    let shift = u32::try_from(bucket / STEPS).unwrap_or(1).saturating_sub(1);
    let first = (bucket % STEPS).saturating_add(STEPS);
    first.saturating_add(1).checked_shl(shift).unwrap_or(0).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_a_bucket_whose_end_is_within_two_percent() {
        for value in (0..64)
            .flat_map(|bit| [1_u64 << bit, (1_u64 << bit) | ((1_u64 << bit) >> 1), (2_u64 << bit).wrapping_sub(1)])
        {
            let end = upper_end(bucket(value));
            assert!(end >= value, "{value} ends at {end}");
            assert!(end - value <= value / 50, "{value} ends at {end}");
            assert!(usize::try_from(bucket(value)).unwrap() < BUCKETS);
        }
    }

    #[test]
    fn quantiles_of_a_uniform_row_are_where_they_should_be() {
        let mut histogram = Histogram::new();
        (1..=10_000).for_each(|value| histogram.record(value));
        assert_eq!(histogram.total(), 10_000);
        for (of, expected) in [(5_000, 5_000), (9_900, 9_900), (1, 1), (10_000, 10_000)] {
            let found = histogram.quantile(of);
            assert!((expected..=expected + expected / 50).contains(&found), "{of}: {found}");
        }
        assert_eq!(Histogram::new().quantile(5_000), 0);
    }
}
