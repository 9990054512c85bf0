//! Amounts of money: whole minor units of a currency of ISO 4217.
//!
//! Not the prices and results in between, which are exact numbers until one rounding makes an amount of them.

use std::cmp::Reverse;
use std::fmt;

/// 2^62: the first magnitude that an amount may not have, so that any two amounts can be added in 64 bits.
const MINOR_LIMIT: u64 = 1 << 62;

/// The active codes of ISO 4217 with the number of digits after the point, funds included. Codes without minor units
/// (metals, drawing rights, testing) are no currencies of an invoice and are left out.
const CURRENCIES: [(u8, &str); 4] = [
    (
        2,
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW \
         CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF \
         IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK \
         MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP \
         SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG \
         YER ZAR ZMW ZWG",
    ),
    (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
    (3, "BHD IQD JOD KWD LYD OMR TND"),
    (4, "CLF UYW"),
];

/// Why an amount is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The text is not a plain decimal number.
    #[error("not an amount such as 12.34")]
    AmountInvalid,
    /// More digits after the point than the currency has.
    #[error("{currency} has {} digits after the point, and the amount has more", .currency.exponent())]
    AmountPrecision {
        /// The currency of the amount.
        currency: Currency,
    },
    /// 2^62 minor units or more, in either direction.
    #[error("the amount is too large to be kept")]
    AmountOutOfRange,
    /// No active code of ISO 4217.
    #[error("not a currency code of ISO 4217 such as EUR")]
    CurrencyUnknown,
    /// Two amounts of different currencies in one calculation.
    #[error("the amounts are of different currencies")]
    CurrencyMismatch,
    /// A total that is not zero over weights that add up to zero.
    #[error("there is nothing to split the amount over")]
    NothingToSplitOver,
}

impl MoneyError {
    /// The stable code for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::AmountInvalid => "amount_invalid",
            Self::AmountPrecision { .. } => "amount_precision",
            Self::AmountOutOfRange => "amount_out_of_range",
            Self::CurrencyUnknown => "currency_unknown",
            Self::CurrencyMismatch => "currency_mismatch",
            Self::NothingToSplitOver => "nothing_to_split_over",
        }
    }
}

/// A currency that an amount can be of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency {
    code: &'static str,
    exponent: u8,
}

impl Currency {
    /// Reads an active code of ISO 4217, in capitals.
    ///
    /// # Errors
    /// [`MoneyError::CurrencyUnknown`] for any other text.
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        let find = |(exponent, codes): (u8, &'static str)| {
            codes.split(' ').find(|code| *code == text).map(|code| Self { code, exponent })
        };
        CURRENCIES.into_iter().find_map(find).ok_or(MoneyError::CurrencyUnknown)
    }

    /// The three letters.
    pub const fn code(self) -> &'static str {
        self.code
    }

    /// Digits after the point, 0 to 4: an amount of one major unit is 10^exponent minor units.
    pub const fn exponent(self) -> u8 {
        self.exponent
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
    }
}

/// An amount in whole minor units, of a magnitude below 2^62.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

impl Money {
    /// An amount of minor units.
    ///
    /// # Errors
    /// [`MoneyError::AmountOutOfRange`] from 2^62 on, in either direction.
    pub const fn from_minor(minor: i64, currency: Currency) -> Result<Self, MoneyError> {
        if minor.unsigned_abs() < MINOR_LIMIT {
            Ok(Self { minor, currency })
        } else {
            Err(MoneyError::AmountOutOfRange)
        }
    }

    /// Nothing, in a currency.
    pub const fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    /// Reads the text of an amount in major units, such as `12.34` or `-0.5`: a plain decimal number with at most the
    /// digits of the currency after the point.
    ///
    /// # Errors
    /// [`MoneyError::AmountInvalid`], [`MoneyError::AmountPrecision`] or [`MoneyError::AmountOutOfRange`].
    pub fn parse(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let (unsigned, negative) = text.strip_prefix('-').map_or((text, false), |rest| (rest, true));
        let (whole, fraction) = match unsigned.split_once('.') {
            Some((_, "")) => return Err(MoneyError::AmountInvalid),
            Some(parts) => parts,
            None => (unsigned, ""),
        };
        let leading_zero = whole.len() > 1 && whole.starts_with('0');
        if whole.is_empty() || leading_zero || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
            return Err(MoneyError::AmountInvalid);
        }
        let places = usize::from(currency.exponent);
        let missing = places.checked_sub(fraction.len()).ok_or(MoneyError::AmountPrecision { currency })?;
        let mut minor: i64 = 0;
        for digit in whole.bytes().chain(fraction.bytes()).chain(std::iter::repeat_n(b'0', missing)) {
            let digit = i64::from(digit.wrapping_sub(b'0'));
            let shifted = minor.checked_mul(10).and_then(|m| m.checked_add(digit));
            minor = shifted.ok_or(MoneyError::AmountOutOfRange)?;
        }
        Self::from_minor(if negative { minor.saturating_neg() } else { minor }, currency)
    }

    /// Minor units.
    pub const fn minor(self) -> i64 {
        self.minor
    }

    /// The currency.
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// The amount in major units with exactly the digits of the currency, as JSON carries it: `12.30`, `-0.05`, `1200`.
    pub fn amount_text(self) -> String {
        let places = usize::from(self.currency.exponent);
        let sign = if self.minor < 0 { "-" } else { "" };
        // One digit more than the places, so that there is one before the point.
        let digits = format!("{:0width$}", self.minor.unsigned_abs(), width = places.saturating_add(1));
        match digits.split_at_checked(digits.len().saturating_sub(places)) {
            Some((whole, fraction)) if places > 0 => format!("{sign}{whole}.{fraction}"),
            _ => format!("{sign}{digits}"),
        }
    }

    /// The sum.
    ///
    /// # Errors
    /// [`MoneyError::CurrencyMismatch`] or [`MoneyError::AmountOutOfRange`].
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrencyMismatch);
        }
        Self::from_minor(self.minor.saturating_add(other.minor), self.currency)
    }

    /// The difference.
    ///
    /// # Errors
    /// [`MoneyError::CurrencyMismatch`] or [`MoneyError::AmountOutOfRange`].
    pub fn minus(self, other: Self) -> Result<Self, MoneyError> {
        self.plus(other.negated())
    }

    /// The amount with the other sign.
    #[must_use]
    pub const fn negated(self) -> Self {
        Self { minor: self.minor.saturating_neg(), currency: self.currency }
    }

    /// Splits the amount in proportion to weights, by the largest remainder (ties: the lowest index), so that the parts
    /// add up to it exactly. Weights may be negative, as the lines of an invoice may be; the parts of the negated amount
    /// are the negated parts.
    ///
    /// # Errors
    /// [`MoneyError::NothingToSplitOver`] when the amount is not zero and the weights add up to zero, and
    /// [`MoneyError::AmountOutOfRange`] when weights of both signs make a part too large.
    pub fn split(self, weights: &[i64]) -> Result<Vec<Self>, MoneyError> {
        if self.minor == 0 {
            return Ok(vec![self; weights.len()]);
        }
        let range = MoneyError::AmountOutOfRange;
        let sum: i128 = weights.iter().copied().map(i128::from).sum();
        let whole = i128::from(self.minor.unsigned_abs());
        // Each share rounded down, and what was cut off in units of one part in |sum|.
        let mut parts = Vec::with_capacity(weights.len());
        for weight in weights {
            let share =
                whole.checked_mul(i128::from(*weight)).and_then(|s| s.checked_mul(sum.signum())).ok_or(range)?;
            let floor = share.checked_div_euclid(sum.abs()).ok_or(MoneyError::NothingToSplitOver)?;
            let rest = share.checked_rem_euclid(sum.abs()).ok_or(range)?;
            parts.push((i64::try_from(floor).map_err(|_| range)?, rest));
        }
        let floors: i128 = parts.iter().map(|(floor, _)| i128::from(*floor)).sum();
        // Fewer than there are parts: every remainder is smaller than one.
        let left = whole.checked_sub(floors).and_then(|left| usize::try_from(left).ok()).ok_or(range)?;
        let mut order: Vec<usize> = (0..parts.len()).collect();
        order.sort_by_key(|index| Reverse(parts.get(*index).map(|(_, rest)| *rest)));
        for index in order.into_iter().take(left) {
            if let Some((floor, _)) = parts.get_mut(index) {
                *floor = floor.saturating_add(1);
            }
        }
        let signed =
            |(minor, _): (i64, i128)| Self::from_minor(minor.saturating_mul(self.minor.signum()), self.currency);
        if parts.is_empty() { Err(MoneyError::NothingToSplitOver) } else { parts.into_iter().map(signed).collect() }
    }
}

impl fmt::Display for Money {
    /// `12.34 EUR`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount_text(), self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn currency(code: &str) -> Currency {
        Currency::parse(code).unwrap()
    }

    fn minor(minor: i64) -> Money {
        Money::from_minor(minor, currency("EUR")).unwrap()
    }

    fn split(total: i64, weights: &[i64]) -> Result<Vec<i64>, MoneyError> {
        Ok(minor(total).split(weights)?.into_iter().map(Money::minor).collect())
    }

    #[test]
    fn every_code_is_three_capitals_and_listed_once() {
        let mut codes: Vec<&str> = CURRENCIES.iter().flat_map(|(_, codes)| codes.split(' ')).collect();
        assert!(codes.iter().all(|code| code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase())));
        assert_eq!(codes.len(), 165);
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), 165);
    }

    #[test]
    fn a_currency_has_the_digits_that_iso_4217_gives_it() {
        let digits = ["EUR", "JPY", "KWD", "CLF", "ISK", "HUF", "UGX", "XCG"].map(|code| currency(code).exponent());
        assert_eq!(digits, [2, 0, 3, 4, 0, 2, 0, 2]);
        for unknown in ["", "eur", "EU", "EURO", "EUR ", "EUR USD", "BGN", "XTS", "XAU", "DEM"] {
            assert_eq!(Currency::parse(unknown), Err(MoneyError::CurrencyUnknown), "{unknown}");
        }
    }

    #[test]
    fn an_amount_is_read_and_written_with_the_digits_of_its_currency() {
        for (text, code, minor, written) in [
            ("12.34", "EUR", 1_234, "12.34"),
            ("12.3", "EUR", 1_230, "12.30"),
            ("-0.05", "EUR", -5, "-0.05"),
            ("-0", "EUR", 0, "0.00"),
            ("7", "EUR", 700, "7.00"),
            ("1200", "JPY", 1_200, "1200"),
            ("0", "JPY", 0, "0"),
            ("-1.005", "KWD", -1_005, "-1.005"),
            ("0.0001", "CLF", 1, "0.0001"),
            ("46116860184273879.03", "EUR", (1 << 62) - 1, "46116860184273879.03"),
        ] {
            let money = Money::parse(text, currency(code)).unwrap();
            assert_eq!((money.minor(), money.amount_text().as_str()), (minor, written), "{text} {code}");
        }
        assert_eq!(minor(-1_234).to_string(), "-12.34 EUR");
    }

    #[test]
    fn an_amount_that_is_refused_is_refused_for_its_own_reason() {
        let code = |text, code| Money::parse(text, currency(code)).unwrap_err().code();
        for text in ["", "-", "1.", ".5", "01", "1e3", "+1", "1,5", " 1", "1 EUR", "--1", "0x1", "NaN"] {
            assert_eq!(code(text, "EUR"), "amount_invalid", "{text}");
        }
        for (text, currency) in [("1.234", "EUR"), ("1.230", "EUR"), ("1.0", "JPY"), ("1.0001", "KWD")] {
            assert_eq!(code(text, currency), "amount_precision", "{text} {currency}");
        }
        for text in ["46116860184273879.04", "-46116860184273879.04", "99999999999999999999", "1000000000000000000000"]
        {
            assert_eq!(code(text, "EUR"), "amount_out_of_range", "{text}");
        }
        let told = Money::parse("1.5", currency("JPY")).unwrap_err().to_string();
        assert_eq!(told, "JPY has 0 digits after the point, and the amount has more");
    }

    #[test]
    fn sums_stay_in_one_currency_and_in_range() {
        let largest = minor((1 << 62) - 1);
        assert_eq!(minor(5).plus(minor(-7)).unwrap(), minor(-2));
        assert_eq!(minor(5).minus(minor(7)).unwrap(), minor(-2));
        assert_eq!(largest.plus(minor(1)), Err(MoneyError::AmountOutOfRange));
        assert_eq!(largest.negated().minus(largest), Err(MoneyError::AmountOutOfRange));
        assert_eq!(minor(1).plus(Money::zero(currency("USD"))), Err(MoneyError::CurrencyMismatch));
    }

    #[test]
    fn a_total_is_split_by_the_largest_remainder() {
        for (total, weights, expected) in [
            (100, &[1, 1, 1][..], &[34, 33, 33][..]),
            (-100, &[1, 1, 1], &[-34, -33, -33]),
            (101, &[1, 1, 1], &[34, 34, 33]),
            (10, &[1, 2, 7], &[1, 2, 7]),
            (1, &[1, 3, 3], &[0, 1, 0]),
            (2, &[5, 0, 5], &[1, 0, 1]),
            (10, &[-50, 100], &[-10, 20]),
            (10, &[50, -100], &[-10, 20]),
            (0, &[3, -3], &[0, 0]),
            (0, &[], &[]),
            ((1 << 62) - 1, &[i64::MAX, i64::MAX], &[1 << 61, (1 << 61) - 1]),
        ] {
            assert_eq!(split(total, weights).unwrap(), expected, "{total} over {weights:?}");
        }
        for weights in [&[][..], &[0, 0], &[3, -3]] {
            assert_eq!(split(1, weights), Err(MoneyError::NothingToSplitOver), "{weights:?}");
        }
        assert_eq!(split(1 << 40, &[i64::MAX, i64::MIN]), Err(MoneyError::AmountOutOfRange));
        let balanced = [[i64::MAX; 9], [-i64::MAX; 9], [1; 9]].concat();
        assert_eq!(split((1 << 62) - 1, &balanced), Err(MoneyError::AmountOutOfRange));
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_reads_back(amount in -((1_i64 << 62) - 1)..(1_i64 << 62), place in 0_usize..4) {
            let money = Money::from_minor(amount, currency(["EUR", "JPY", "KWD", "CLF"][place])).unwrap();
            proptest::prop_assert_eq!(Money::parse(&money.amount_text(), money.currency()), Ok(money));
        }

        #[test]
        fn parts_add_up_and_lie_within_one_unit_of_their_share(
            total in -1_000_000_i64..1_000_000,
            weights in proptest::collection::vec(0_i64..1_000_000, 1..40),
        ) {
            let sum: i64 = weights.iter().sum();
            proptest::prop_assume!(sum > 0);
            let parts = split(total, &weights).unwrap();
            proptest::prop_assert_eq!(parts.iter().sum::<i64>(), total);
            for (part, weight) in parts.iter().zip(&weights) {
                let off = part.saturating_mul(sum).abs_diff(total.saturating_mul(*weight));
                proptest::prop_assert!(off < sum.unsigned_abs());
            }
            let mirrored: Vec<i64> = parts.iter().map(|part| part.saturating_neg()).collect();
            proptest::prop_assert_eq!(split(total.saturating_neg(), &weights).unwrap(), mirrored);
        }
    }
}
