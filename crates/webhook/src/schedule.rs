//! When a delivery is tried, and when it is given up.

use kernel::clock::Timestamp;
use kernel::id::Entropy;

/// Seconds from one attempt to the next, the first one counted from the event: about three days in all.
pub const AFTER_SECONDS: [i64; 10] = [0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// Longest wait that a receiver may ask for with `Retry-After`, in seconds.
pub const MAX_RETRY_AFTER_SECONDS: i64 = 86_400;
/// Seconds without a success after which an endpoint is paused.
pub const PAUSED_AFTER_SECONDS: i64 = 5 * 86_400;

/// When a delivery is tried again after `tries` attempts that failed, the last one now; `None` when that was the last one.
///
/// The wait of the schedule varies by a tenth, so that what failed at once does not come back at once. A receiver may ask
/// for a longer wait, never for a shorter one.
pub fn next(
    tries: i64,
    now: Timestamp,
    retry_after_seconds: Option<i64>,
    entropy: &mut dyn Entropy,
) -> Option<Timestamp> {
    let after = usize::try_from(tries).ok().and_then(|index| AFTER_SECONDS.get(index))?;
    let mut random = [0_u8; 4];
    entropy.fill(&mut random);
    let thousandths = i64::from(u32::from_le_bytes(random).wrapping_rem(201)).saturating_add(900);
    let varied = after.saturating_mul(thousandths).saturating_mul(1_000);
    let asked = retry_after_seconds.unwrap_or(0).clamp(0, MAX_RETRY_AFTER_SECONDS).saturating_mul(1_000_000);
    Some(Timestamp::from_micros(now.as_micros().saturating_add(varied.max(asked))))
}

#[cfg(test)]
mod tests {
    use testkit::entropy::SeededEntropy;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    #[test]
    fn ten_attempts_spread_over_three_days_and_then_none() {
        let mut entropy = SeededEntropy::new(7);
        let mut at = NOW;
        for tries in 1..10 {
            at = next(tries, at, None, &mut entropy).unwrap();
        }
        let hours = at.seconds_since(NOW) / 3_600;
        assert!((68..=84).contains(&hours), "{hours}");
        assert_eq!(next(10, NOW, None, &mut entropy), None);
        assert_eq!(next(11, NOW, Some(5), &mut entropy), None);
        assert_eq!(next(-1, NOW, None, &mut entropy), None);
    }

    #[test]
    fn a_receiver_may_ask_for_a_longer_wait_of_a_day_at_most() {
        let mut entropy = SeededEntropy::new(7);
        let mut wait = |asked| next(1, NOW, Some(asked), &mut entropy).unwrap().seconds_since(NOW);
        assert_eq!(wait(3_600), 3_600);
        assert_eq!(wait(1_000_000), MAX_RETRY_AFTER_SECONDS);
        assert!((4..=5).contains(&wait(0)) && (4..=5).contains(&wait(-7)));
    }

    proptest::proptest! {
        #[test]
        fn a_wait_stays_within_a_tenth_of_the_schedule(tries in 1_i64..10, seed: u64) {
            let at = next(tries, NOW, None, &mut SeededEntropy::new(seed)).unwrap();
            let nominal = AFTER_SECONDS[usize::try_from(tries).unwrap()].saturating_mul(1_000_000);
            proptest::prop_assert!(at.micros_since(NOW).abs_diff(nominal) <= nominal.unsigned_abs() / 10);
        }
    }
}
