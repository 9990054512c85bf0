//! Exact decimal numbers with twelve fraction digits: quantities, values of usage events, unit prices.
//!
//! Not money: amounts of a currency are whole minor units. Not the result of a division either: that is a rational
//! number until it is rounded once.

use std::fmt;

/// Fraction digits that a [`Decimal`] holds.
pub const FRACTION_DIGITS: u8 = 12;
/// One, in units of 10^-12.
const ONE: i128 = 1_000_000_000_000;
/// 10^18, in units of 10^-12: the first magnitude that a value from outside may not have.
const VALUE_LIMIT: u128 = 1_000_000_000_000_000_000_000_000_000_000;

/// An exact number, counted in units of 10^-12.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Decimal(i128);

/// Why a text is not taken as a [`Decimal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// The text does not follow the grammar of a JSON number (RFC 8259 §6).
    #[error("not a decimal number such as 12, -0.5 or 1e3")]
    NotANumber,
    /// The number is not a multiple of 10^-12.
    #[error("more than 12 fraction digits")]
    TooManyDigits,
    /// The number is too large, or too far below zero.
    #[error("the number must lie between -10^18 and 10^18")]
    OutOfRange,
}

/// How a quantity is brought to whole steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepMode {
    /// To the nearest step; half a step goes away from zero.
    Round,
    /// To the next step towards positive infinity.
    Ceil,
    /// To the next step towards negative infinity.
    Floor,
}

/// A rounding of quantities to steps of 10^-precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    mode: StepMode,
    precision: i8,
}

impl Step {
    /// A rounding to `precision` fraction digits, from -6 (whole millions) to 12; `None` outside.
    pub fn new(mode: StepMode, precision: i8) -> Option<Self> {
        (-6..=12).contains(&precision).then_some(Self { mode, precision })
    }

    /// The direction.
    pub const fn mode(self) -> StepMode {
        self.mode
    }

    /// Fraction digits that are left; negative for whole tens, hundreds and so on.
    pub const fn precision(self) -> i8 {
        self.precision
    }
}

impl Decimal {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// One.
    pub const ONE: Self = Self(ONE);

    /// From a count of units of 10^-12.
    pub const fn from_units(units: i128) -> Self {
        Self(units)
    }

    /// The count of units of 10^-12.
    pub const fn units(self) -> i128 {
        self.0
    }

    /// Reads a value that came from outside: [`Self::parse`], with a magnitude below 10^18.
    ///
    /// # Errors
    /// [`DecimalError`], by what is wrong first.
    pub fn parse_value(text: &str) -> Result<Self, DecimalError> {
        let value = Self::parse(text)?;
        if value.0.unsigned_abs() < VALUE_LIMIT { Ok(value) } else { Err(DecimalError::OutOfRange) }
    }

    /// Reads the text of a JSON number, which may have an exponent; zeros at the end of the fraction do not count as
    /// digits. Every [`Decimal`] can be read back from what it displays.
    ///
    /// # Errors
    /// [`DecimalError::NotANumber`] for another text, then [`DecimalError::TooManyDigits`], then
    /// [`DecimalError::OutOfRange`] beyond what 128 bits hold.
    pub fn parse(text: &str) -> Result<Self, DecimalError> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, read_exponent(exponent)?),
            None => (text, 0),
        };
        let (unsigned, negative) = mantissa.strip_prefix('-').map_or((mantissa, false), |rest| (rest, true));
        let (whole, fraction) = match unsigned.split_once('.') {
            Some((_, "")) => return Err(DecimalError::NotANumber),
            Some(parts) => parts,
            None => (unsigned, ""),
        };
        let leading_zero = whole.len() > 1 && whole.starts_with('0');
        if whole.is_empty() || leading_zero || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
            return Err(DecimalError::NotANumber);
        }
        let count = |digits: usize| i64::try_from(digits).unwrap_or(i64::MAX);
        let digits = || whole.bytes().chain(fraction.bytes());
        let trailing = digits().rev().take_while(|b| *b == b'0').count();
        let significant = whole.len().saturating_add(fraction.len()).saturating_sub(trailing);
        if significant == 0 {
            return Ok(Self::ZERO);
        }
        // The power of ten, in units, of the last digit that is not zero.
        let lowest = exponent
            .saturating_add(i64::from(FRACTION_DIGITS))
            .saturating_sub(count(fraction.len()))
            .saturating_add(count(trailing));
        let power = match u32::try_from(lowest) {
            Ok(power) => 10_i128.checked_pow(power).ok_or(DecimalError::OutOfRange)?,
            Err(_) if lowest < 0 => return Err(DecimalError::TooManyDigits),
            Err(_) => return Err(DecimalError::OutOfRange),
        };
        // Counted below zero, where 128 bits reach one unit further.
        let mut units: i128 = 0;
        for digit in digits().take(significant) {
            let digit = i128::from(digit.wrapping_sub(b'0'));
            units = units.checked_mul(10).and_then(|u| u.checked_sub(digit)).ok_or(DecimalError::OutOfRange)?;
        }
        let units = units.checked_mul(power).ok_or(DecimalError::OutOfRange)?;
        let units = if negative { Some(units) } else { units.checked_neg() };
        units.map(Self).ok_or(DecimalError::OutOfRange)
    }

    /// The whole number, when there is no fraction and 64 bits hold it.
    pub fn to_integer(self) -> Option<i64> {
        if self.0.checked_rem(ONE)? != 0 {
            return None;
        }
        i64::try_from(self.0.checked_div(ONE)?).ok()
    }

    /// Whether the number is below zero.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Whether the number is zero.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum; `None` beyond what 128 bits hold.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference; `None` beyond what 128 bits hold.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The product with a whole number; `None` beyond what 128 bits hold.
    pub fn checked_mul(self, factor: i64) -> Option<Self> {
        self.0.checked_mul(i128::from(factor)).map(Self)
    }

    /// The number with the other sign; `None` for the one number that has none.
    pub fn checked_neg(self) -> Option<Self> {
        self.0.checked_neg().map(Self)
    }

    /// The number brought to whole steps; `None` beyond what 128 bits hold.
    pub fn rounded(self, step: Step) -> Option<Self> {
        let digits = i16::from(FRACTION_DIGITS).checked_sub(i16::from(step.precision))?;
        let size = 10_i128.checked_pow(u32::try_from(digits).ok()?)?;
        let floor = self.0.checked_div_euclid(size)?;
        let rest = self.0.checked_rem_euclid(size)?;
        let missing = size.checked_sub(rest)?;
        let up = match step.mode {
            StepMode::Floor => false,
            StepMode::Ceil => rest > 0,
            StepMode::Round if rest == missing => self.0 > 0,
            StepMode::Round => rest > missing,
        };
        floor.checked_add(i128::from(up))?.checked_mul(size).map(Self)
    }
}

/// The exponent behind `e`; what 64 bits do not hold is as good as their largest number.
fn read_exponent(text: &str) -> Result<i64, DecimalError> {
    let (digits, negative) = match text.strip_prefix('-') {
        Some(rest) => (rest, true),
        None => (text.strip_prefix('+').unwrap_or(text), false),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(DecimalError::NotANumber);
    }
    let exponent = digits.parse::<i64>().unwrap_or(i64::MAX);
    Ok(if negative { exponent.saturating_neg() } else { exponent })
}

impl From<i64> for Decimal {
    fn from(whole: i64) -> Self {
        // The product has at most 19 + 12 digits.
        Self(i128::from(whole).saturating_mul(ONE))
    }
}

impl fmt::Display for Decimal {
    /// Without exponent and without zeros at the end of the fraction: `-0.5`, `12`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = ONE.unsigned_abs();
        let units = self.0.unsigned_abs();
        let whole = units.checked_div(one).unwrap_or_default();
        let fraction = units.checked_rem(one).unwrap_or_default();
        if self.is_negative() {
            f.write_str("-")?;
        }
        if fraction == 0 {
            return write!(f, "{whole}");
        }
        write!(f, "{whole}.{}", format!("{fraction:012}").trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, DecimalError> {
        Decimal::parse_value(text).map(|value| value.to_string())
    }

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn a_number_is_written_in_one_way_however_it_came() {
        for (text, expected) in [
            ("0", "0"),
            ("-0", "0"),
            ("-0.000", "0"),
            ("0e999999999999999999999999", "0"),
            ("12", "12"),
            ("-12.50", "-12.5"),
            ("0.000000000001", "0.000000000001"),
            ("-0.000000000001", "-0.000000000001"),
            ("1e3", "1000"),
            ("1E+3", "1000"),
            ("1.5e-3", "0.0015"),
            ("1500e-12", "0.0000000015"),
            ("10e-13", "0.000000000001"),
            ("0.00000000000000000000000000001e29", "1"),
            ("1.0000000000000000", "1"),
            ("999999999999999999.999999999999", "999999999999999999.999999999999"),
            ("-999999999999999999.999999999999", "-999999999999999999.999999999999"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_refused_is_refused_for_its_own_reason() {
        let not_numbers = [
            "",
            "-",
            "+1",
            ".5",
            "1.",
            "-.5",
            "01",
            "-01",
            "00",
            "1e",
            "1e+",
            "e3",
            "1e1.5",
            "0x10",
            "1_000",
            "1,5",
            " 1",
            "1 ",
            "NaN",
            "nan",
            "Infinity",
            "-Infinity",
            "inf",
            "null",
            "--1",
            "1-",
            "1.2.3",
            "1e2e3",
            "\u{0661}",
        ];
        for text in not_numbers {
            assert_eq!(read(text), Err(DecimalError::NotANumber), "{text}");
        }
        for text in
            ["0.0000000000001", "1.0000000000001", "1e-13", "15e-13", "1e-99999999999999999999", "-0.1234567890123"]
        {
            assert_eq!(read(text), Err(DecimalError::TooManyDigits), "{text}");
        }
        for text in [
            "1000000000000000000",
            "-1000000000000000000",
            "1e18",
            "1e30",
            "1e400",
            "-1e400",
            "1e99999999999999999999",
            "170141183460469231731687303.715884105728",
            "999999999999999999999999999999999999999999999999",
        ] {
            assert_eq!(read(text), Err(DecimalError::OutOfRange), "{text}");
        }
    }

    #[test]
    fn sums_pass_the_limit_of_a_value_and_stop_at_128_bits() {
        let largest = decimal("999999999999999999.999999999999");
        let sum = largest.checked_mul(1_000).unwrap();
        assert_eq!(sum.to_string(), "999999999999999999999.999999999");
        assert_eq!(decimal(&sum.to_string()), sum);
        let (max, min) = (Decimal::from_units(i128::MAX), Decimal::from_units(i128::MIN));
        assert_eq!(min.to_string(), "-170141183460469231731687303.715884105728");
        assert_eq!((decimal(&max.to_string()), decimal(&min.to_string())), (max, min));
        assert_eq!(max.checked_add(Decimal::from_units(1)), None);
        assert_eq!(min.checked_sub(Decimal::from_units(1)), None);
        assert_eq!(max.checked_mul(2), None);
        assert_eq!(min.checked_neg(), None);
        assert_eq!(max.checked_neg().and_then(|n| n.checked_add(max)), Some(Decimal::ZERO));
    }

    #[test]
    fn only_a_whole_number_is_an_integer() {
        assert_eq!(Decimal::from(i64::MIN).to_integer(), Some(i64::MIN));
        assert_eq!(decimal("1e3").to_integer(), Some(1_000));
        assert_eq!(decimal("-7").to_integer(), Some(-7));
        assert_eq!(decimal("0.5").to_integer(), None);
        assert_eq!(decimal("9223372036854775808").to_integer(), None);
        assert!(decimal("-0.5").is_negative() && !decimal("-0").is_negative() && decimal("-0").is_zero());
        assert!(decimal("-2") < decimal("-1.5") && decimal("0.5") < Decimal::ONE);
    }

    #[test]
    fn a_quantity_is_brought_to_whole_steps() {
        use StepMode::{Ceil, Floor, Round};
        for (quantity, mode, precision, expected) in [
            ("123.456", Round, 2, "123.46"),
            ("123.456", Round, 0, "123"),
            ("123.456", Round, -2, "100"),
            ("123.456", Ceil, -2, "200"),
            ("123.456", Floor, 2, "123.45"),
            ("0.5", Round, 0, "1"),
            ("-0.5", Round, 0, "-1"),
            ("-1.4", Round, 0, "-1"),
            ("-1.5", Ceil, 0, "-1"),
            ("-1.5", Floor, 0, "-2"),
            ("200", Ceil, -2, "200"),
            ("0", Ceil, -6, "0"),
            ("0.000000000001", Ceil, -6, "1000000"),
            ("500000", Round, -6, "1000000"),
            ("499999.999999999999", Round, -6, "0"),
            ("0.000000000001", Floor, 12, "0.000000000001"),
        ] {
            let rounded = decimal(quantity).rounded(Step::new(mode, precision).unwrap()).unwrap();
            assert_eq!(rounded.to_string(), expected, "{quantity} {mode:?} {precision}");
        }
        assert_eq!(Step::new(Round, 13), None);
        assert_eq!(Step::new(Round, -7), None);
        assert_eq!(Decimal::from_units(i128::MAX).rounded(Step::new(Ceil, 0).unwrap()), None);
    }

    proptest::proptest! {
        #[test]
        fn what_is_displayed_reads_back(units: i128, zeros in 0_usize..5, shift in 0_usize..15) {
            let value = Decimal::from_units(units);
            let text = value.to_string();
            proptest::prop_assert_eq!(Decimal::parse(&text), Ok(value));
            let point = if text.contains('.') { "" } else { "." };
            let padded = format!("{text}{point}{}", "0".repeat(zeros.saturating_add(1)));
            proptest::prop_assert_eq!(Decimal::parse(&padded), Ok(value));
            let shifted = format!("{units}{}e-{}", "0".repeat(shift), shift.saturating_add(12));
            proptest::prop_assert_eq!(Decimal::parse(&shifted), Ok(value));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[-+0-9.eE]{0,12}") {
            if let Ok(value) = Decimal::parse(&text) {
                proptest::prop_assert_eq!(Decimal::parse(&value.to_string()), Ok(value));
            }
        }
    }
}
