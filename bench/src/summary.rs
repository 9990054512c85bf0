//! Medians, ranges and paired ratios of a sitting.

use std::collections::BTreeMap;

/// One measurement of one target.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    /// Answers per second.
    pub(crate) rate: f64,
    /// Latency of 99 of 100 answers, in microseconds.
    pub(crate) p99: f64,
    /// Share of one core that the server used.
    pub(crate) cpu: f64,
    /// Resident memory of the server afterwards, in MiB.
    pub(crate) resident: f64,
}

/// The measurements of every target, in the order of rounds.
#[derive(Debug, Default)]
pub(crate) struct Rounds(BTreeMap<&'static str, Vec<Measured>>);

/// Smallest, median and largest of some figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// Of figures in any order; zeros when there are none.
    pub(crate) fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let at = |index: usize| figures.get(index).copied().unwrap_or(0.0);
        let half = figures.len() / 2;
        let even = figures.len().is_multiple_of(2);
        let median = if even { f64::midpoint(at(half.saturating_sub(1)), at(half)) } else { at(half) };
        Self { least: at(0), median, most: at(figures.len().saturating_sub(1)) }
    }

    /// How many times the smallest the largest is.
    pub(crate) fn noise(self) -> f64 {
        self.most / self.least
    }
}

impl Rounds {
    /// Adds a measurement of the present round.
    pub(crate) fn add(&mut self, target: &'static str, measured: Measured) {
        self.0.entry(target).or_default().push(measured);
    }

    /// One figure of a target over all rounds.
    pub(crate) fn spread(&self, target: &str, figure: fn(&Measured) -> f64) -> Spread {
        Spread::of(self.0.get(target).into_iter().flatten().map(figure).collect())
    }

    /// The ratio of two targets' rates, formed round by round.
    pub(crate) fn ratio(&self, target: &str, floor: &str) -> Spread {
        let rates = |name: &str| self.0.get(name).into_iter().flatten().map(|measured| measured.rate);
        Spread::of(rates(target).zip(rates(floor)).map(|(above, below)| above / below).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_formed_within_a_round_so_drift_cancels() {
        let mut rounds = Rounds::default();
        for (floor, product) in [(100.0, 50.0), (200.0, 100.0), (50.0, 25.0)] {
            for (name, rate) in [("floor", floor), ("product", product)] {
                rounds.add(name, Measured { rate, p99: 0.0, cpu: 1.0, resident: 1.0 });
            }
        }
        assert_eq!(rounds.ratio("product", "floor"), Spread { least: 0.5, median: 0.5, most: 0.5 });
        let floor = rounds.spread("floor", |measured| measured.rate);
        assert_eq!((floor.median, floor.noise()), (100.0, 4.0));
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_two_in_the_middle() {
        let spread = Spread::of(vec![4.0, 1.0, 3.0, 2.0]);
        assert_eq!(spread, Spread { least: 1.0, median: 2.5, most: 4.0 });
    }
}
