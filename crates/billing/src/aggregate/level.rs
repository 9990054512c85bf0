//! A level that events change, and its average over time.
//!
//! A change of the level by v at the time t adds v for as long as the window lasts after t. So the whole history need not
//! be kept: the sum of the changes and the sum of change × time into the window are enough, in any order of arrival, and a
//! change can be taken back.

use kernel::clock::BusinessTime;
use kernel::decimal::{Decimal, FRACTION_DIGITS, Step, StepMode};

use super::AggregateError;
use crate::window::Window;

/// Units of 10^-12 in one.
const ONE: i128 = 1_000_000_000_000;

/// The sum of the changes of a level within a window, and their moment: the sum of change × time since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    pub(super) change: Decimal,
    pub(super) moment: Product,
}

/// A value times microseconds. It can exceed 128 bits in units of 10^-12, so wholes and the rest are apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Product {
    /// Whole microseconds times one.
    pub(super) whole: i128,
    /// The rest in units of 10^-12, from 0 up to, and without, 10^12.
    pub(super) rest: i128,
}

impl Product {
    const ZERO: Self = Self { whole: 0, rest: 0 };

    fn of(value: Decimal, micros: i64) -> Option<Self> {
        let micros = i128::from(micros);
        let whole = value.units().checked_div_euclid(ONE)?.checked_mul(micros)?;
        Self::carried(whole, value.units().checked_rem_euclid(ONE)?.checked_mul(micros)?)
    }

    /// With the rest brought into its range.
    fn carried(whole: i128, rest: i128) -> Option<Self> {
        let whole = whole.checked_add(rest.checked_div_euclid(ONE)?)?;
        Some(Self { whole, rest: rest.checked_rem_euclid(ONE)? })
    }

    /// Whether the rest is in its range.
    pub(super) fn is_normal(self) -> bool {
        (0..ONE).contains(&self.rest)
    }

    fn checked_add(self, other: Self) -> Option<Self> {
        Self::carried(self.whole.checked_add(other.whole)?, self.rest.checked_add(other.rest)?)
    }

    fn checked_sub(self, other: Self) -> Option<Self> {
        Self::carried(self.whole.checked_sub(other.whole)?, self.rest.checked_sub(other.rest)?)
    }

    /// The quotient with a positive number of microseconds, brought to whole steps once.
    fn divided(self, micros: i64, step: Step) -> Option<Decimal> {
        let micros = i128::from(micros);
        let ones = self.whole.checked_div_euclid(micros)?;
        let left = self.whole.checked_rem_euclid(micros)?.checked_mul(ONE)?.checked_add(self.rest)?;
        // The quotient is `floor` units of 10^-12 and `remainder` ÷ `micros` of one.
        let floor = ones.checked_mul(ONE)?.checked_add(left.checked_div_euclid(micros)?)?;
        let remainder = left.checked_rem_euclid(micros)?;
        let digits = i16::from(FRACTION_DIGITS).checked_sub(i16::from(step.precision()))?;
        let size = 10_i128.checked_pow(u32::try_from(digits).ok()?)?;
        let steps = floor.checked_div_euclid(size)?;
        let over = floor.checked_rem_euclid(size)?.checked_mul(micros)?.checked_add(remainder)?;
        let missing = size.checked_mul(micros)?.checked_sub(over)?;
        let up = match step.mode() {
            StepMode::Floor => false,
            StepMode::Ceil => over > 0,
            // Half a step goes away from zero.
            StepMode::Round if over == missing => steps >= 0,
            StepMode::Round => over > missing,
        };
        steps.checked_add(i128::from(up))?.checked_mul(size).map(Decimal::from_units)
    }
}

impl Level {
    /// No change.
    pub const NONE: Self = Self { change: Decimal::ZERO, moment: Product::ZERO };

    /// One change at an instant of the window.
    pub(super) fn changed(by: Decimal, window: Window, at: BusinessTime) -> Option<Self> {
        let into = at.as_micros().checked_sub(window.start.as_micros())?;
        Some(Self { change: by, moment: Product::of(by, into)? })
    }

    /// What the changes come to at the end of the window.
    pub const fn change(&self) -> Decimal {
        self.change
    }

    pub(super) fn checked_add(self, other: Self) -> Option<Self> {
        let change = self.change.checked_add(other.change)?;
        Some(Self { change, moment: self.moment.checked_add(other.moment)? })
    }

    pub(super) fn checked_sub(self, other: Self) -> Option<Self> {
        let change = self.change.checked_sub(other.change)?;
        Some(Self { change, moment: self.moment.checked_sub(other.moment)? })
    }

    /// The average over the window of a level that stood at `before` when it began.
    pub(super) fn average(
        &self,
        window: Window,
        before: Decimal,
        rounding: Option<Step>,
    ) -> Result<Decimal, AggregateError> {
        let average = || {
            let micros = window.end.as_micros().checked_sub(window.start.as_micros()).filter(|micros| *micros > 0)?;
            let held = Product::of(before.checked_add(self.change)?, micros)?;
            let step = rounding.or_else(|| Step::new(StepMode::Round, 12))?;
            held.checked_sub(self.moment)?.divided(micros, step)
        };
        average().ok_or(AggregateError::Overflow)
    }
}
