//! Exact rational numbers between quantities, prices and money, and the one rounding that makes an amount of them.

use std::fmt;

use kernel::decimal::{Decimal, FRACTION_DIGITS};
use kernel::money::{Currency, Money, MoneyError};
use num_bigint::{BigInt, Sign};
use num_rational::BigRational;

/// Most characters of a number that is rounded to an amount when it arrives.
const MAX_TEXT_LENGTH: usize = 100;

/// How an exact number becomes whole minor units; a tenant's setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rounding {
    /// To the nearest unit; half a unit goes away from zero.
    #[default]
    HalfAwayFromZero,
    /// To the nearest unit; half a unit goes to the even one.
    HalfEven,
}

/// A share of a period: 0 to 1, from whole numbers of the same measure (seconds, or days).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    part: u64,
    whole: u64,
}

impl Share {
    /// The whole period.
    pub const WHOLE: Self = Self { part: 1, whole: 1 };

    /// `part` of `whole`; `None` unless part <= whole and whole > 0.
    pub const fn new(part: u64, whole: u64) -> Option<Self> {
        if part <= whole && whole > 0 { Some(Self { part, whole }) } else { None }
    }

    /// The numerator and the denominator, as they were given.
    pub const fn parts(self) -> (u64, u64) {
        (self.part, self.whole)
    }
}

/// A rational number of any size.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exact(BigRational);

#[expect(clippy::arithmetic_side_effects, reason = "rational numbers of any size cannot overflow")]
impl Exact {
    /// Nothing.
    pub fn zero() -> Self {
        Self::from(0)
    }

    /// The sum.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self(&self.0 + &other.0)
    }

    /// The difference.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        Self(&self.0 - &other.0)
    }

    /// The product.
    #[must_use]
    pub fn times(&self, other: &Self) -> Self {
        Self(&self.0 * &other.0)
    }

    /// The quotient; `None` when the divisor is zero.
    pub fn over(&self, divisor: &Self) -> Option<Self> {
        (*divisor != Self::zero()).then(|| Self(&self.0 / &divisor.0))
    }

    /// The hundredth part, as a rate in percent takes it.
    #[must_use]
    pub fn percent(&self) -> Self {
        Self(&self.0 / BigInt::from(100))
    }

    /// The next whole number towards positive infinity.
    #[must_use]
    pub fn ceil(&self) -> Self {
        Self(self.0.ceil())
    }

    /// This many major units of a currency as an amount, rounded once.
    ///
    /// # Errors
    /// [`MoneyError::AmountOutOfRange`] when an amount cannot be so large.
    pub fn round(&self, currency: Currency, rounding: Rounding) -> Result<Money, MoneyError> {
        let scaled = &self.0 * BigInt::from(10).pow(u32::from(currency.exponent()));
        // `round` takes halves away from zero.
        let mut minor = scaled.round().to_integer();
        let is_half = *(&scaled * BigInt::from(2)).denom() == BigInt::from(1) && !scaled.is_integer();
        if rounding == Rounding::HalfEven && is_half && minor.bit(0) {
            minor -= if scaled > BigRational::from(BigInt::from(0)) { 1 } else { -1 };
        }
        Money::from_minor(i64::try_from(minor).map_err(|_| MoneyError::AmountOutOfRange)?, currency)
    }

    /// The decimal number with up to 12 fraction digits, for people; `≈` before one that has more.
    pub fn plain(&self) -> String {
        let scaled = &self.0 * BigInt::from(10).pow(u32::from(FRACTION_DIGITS));
        let units = scaled.round().to_integer();
        let sign = if units.sign() == Sign::Minus { "-" } else { "" };
        let width = usize::from(FRACTION_DIGITS);
        let digits = format!("{:0>width$}", units.magnitude().to_string(), width = width.saturating_add(1));
        let (whole, fraction) = digits.split_at_checked(digits.len().saturating_sub(width)).unwrap_or((&digits, ""));
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        format!("{}{sign}{whole}{point}{fraction}", if scaled.is_integer() { "" } else { "≈ " })
    }
}

impl Exact {
    /// Reads a plain decimal number with any number of digits, as converted amounts arrive: at most 100 characters,
    /// without exponent.
    pub fn parse(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
        let plain = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        if text.len() > MAX_TEXT_LENGTH || !plain(whole) || !plain(fraction) {
            return None;
        }
        let digits: BigInt = text.replace('.', "").parse().ok()?;
        let places = if unsigned.contains('.') { u32::try_from(fraction.len()).ok()? } else { 0 };
        Some(Self(BigRational::new(digits, BigInt::from(10).pow(places))))
    }

    /// Whether the number is below zero.
    pub fn is_negative(&self) -> bool {
        *self < Self::zero()
    }
}

impl From<i64> for Exact {
    fn from(whole: i64) -> Self {
        Self(BigRational::from(BigInt::from(whole)))
    }
}

impl From<Decimal> for Exact {
    fn from(decimal: Decimal) -> Self {
        let one = Decimal::ONE.units();
        Self(BigRational::new(BigInt::from(decimal.units()), BigInt::from(one)))
    }
}

impl From<Share> for Exact {
    fn from(share: Share) -> Self {
        Self(BigRational::new(BigInt::from(share.part), BigInt::from(share.whole)))
    }
}

impl fmt::Display for Exact {
    /// The fraction in lowest terms, `892857/1000`, or the whole number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(text: &str) -> Exact {
        Exact::parse(text).unwrap()
    }

    fn minor(text: &str, code: &str, rounding: Rounding) -> i64 {
        exact(text).round(Currency::parse(code).unwrap(), rounding).unwrap().minor()
    }

    #[test]
    fn a_number_is_rounded_once_to_the_units_of_its_currency() {
        use Rounding::{HalfAwayFromZero, HalfEven};
        for (text, code, away, even) in [
            ("0.005", "EUR", 1, 0),
            ("0.015", "EUR", 2, 2),
            ("0.025", "EUR", 3, 2),
            ("-0.005", "EUR", -1, 0),
            ("-0.015", "EUR", -2, -2),
            ("-0.025", "EUR", -3, -2),
            ("0.0250000000000000000000000001", "EUR", 3, 3),
            ("0.0249999999999999999999999999", "EUR", 2, 2),
            ("-0.0350000000000000000000000001", "EUR", -4, -4),
            ("12.34", "EUR", 1_234, 1_234),
            ("0.5", "JPY", 1, 0),
            ("1.5", "JPY", 2, 2),
            ("0.0005", "KWD", 1, 0),
            ("17.9699999999999988631316", "EUR", 1_797, 1_797),
        ] {
            assert_eq!(minor(text, code, HalfAwayFromZero), away, "{text} {code}");
            assert_eq!(minor(text, code, HalfEven), even, "{text} {code}, half to even");
        }
    }

    #[test]
    fn what_no_amount_can_hold_is_an_error() {
        let euro = Currency::parse("EUR").unwrap();
        let round = |text| exact(text).round(euro, Rounding::default()).map(Money::minor);
        assert_eq!(round("46116860184273879.034"), Ok((1 << 62) - 1));
        assert_eq!(round("46116860184273879.035"), Err(MoneyError::AmountOutOfRange));
        assert_eq!(round("-46116860184273879.035"), Err(MoneyError::AmountOutOfRange));
        assert_eq!(round("99999999999999999999999999999999999999999999999999"), Err(MoneyError::AmountOutOfRange));
    }

    #[test]
    fn arithmetic_is_exact() {
        let third = Exact::from(1).over(&Exact::from(3)).unwrap();
        assert_eq!(third.plus(&third).plus(&third), Exact::from(1));
        assert_eq!(third.minus(&exact("0.5")).to_string(), "-1/6");
        assert_eq!(third.times(&Exact::from(Share::new(3, 4).unwrap())).to_string(), "1/4");
        assert_eq!(Exact::from(Decimal::parse("-1.3").unwrap()).percent().to_string(), "-13/1000");
        assert_eq!((third.ceil(), exact("-0.5").ceil(), exact("2").ceil()), (exact("1"), exact("0"), exact("2")));
        assert!(exact("-0.1").is_negative() && !Exact::zero().is_negative() && !third.is_negative());
        assert_eq!(third.over(&Exact::zero()), None);
    }

    #[test]
    fn only_a_plain_number_is_read() {
        assert_eq!(exact("-01.50").to_string(), "-3/2");
        let long = "1".repeat(MAX_TEXT_LENGTH);
        assert_eq!(exact(&long).to_string(), long);
        for text in ["", "-", ".", "1.", ".5", "1e3", "--1", "1-", "+1", "1_0", "1.2.3", "NaN", &"1".repeat(101)] {
            assert_eq!(Exact::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_person_is_shown_a_decimal_and_told_when_it_is_not_all() {
        for (text, shown) in [("0", "0"), ("-1.50", "-1.5"), ("1234.000000000001", "1234.000000000001")] {
            assert_eq!(exact(text).plain(), shown);
        }
        let third = Exact::from(-1).over(&Exact::from(3)).unwrap();
        assert_eq!(third.plain(), "≈ -0.333333333333");
        assert_eq!(exact("0.0000000000001").plain(), "≈ 0");
    }

    #[test]
    fn a_share_lies_between_nothing_and_the_whole() {
        assert_eq!(Share::new(0, 1).map(Share::parts), Some((0, 1)));
        assert_eq!(Share::new(28, 28).map(Exact::from), Some(Exact::from(Share::WHOLE)));
        for (part, whole) in [(3, 2), (0, 0), (1, 0)] {
            assert_eq!(Share::new(part, whole), None, "{part}/{whole}");
        }
    }
}
