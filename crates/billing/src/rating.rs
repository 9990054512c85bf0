//! What a quantity costs under a price for a period: the one function behind preview, estimate, check and invoice.
//!
//! Everything up to the end is exact; a line is rounded once. What counts a quantity is a meter, what turns lines into
//! a document is an invoice, and tax comes after both.

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "whole numbers of any size, and small ones of the generator")]
mod model;
#[cfg(test)]
mod tests;

use kernel::decimal::Decimal;
use kernel::money::{Currency, Money, MoneyError};

use crate::exact::{Exact, Rounding, Share};
use crate::price::{Model, Percentage, Price, Tier, Tiers};

/// What is rated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage<'a> {
    /// Units that a customer holds, such as seats: their charge is prorated by the share of the period.
    Licensed(Decimal),
    /// Units that were used: what was used is charged in full, however short the period.
    Metered(Decimal),
    /// The values of the events of the period, ordered by time and then by receipt. Their sum is the metered quantity.
    Events(&'a [Decimal]),
}

/// Why nothing was rated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RatingError {
    /// The price counts something per event ([`Percentage::needs_events`]) and only a quantity was given.
    #[error("this price is rated by single events, and only their sum was given")]
    EventsNeeded,
    /// An amount that cannot be kept, or of the wrong currency.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

/// What a part of a charge pays for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartKind {
    /// An amount that does not depend on the quantity, or for reaching a tier.
    Flat,
    /// Units, each at the price.
    Unit,
    /// Packages that were begun, each at the price.
    Package,
    /// A value, of which the price is a percentage.
    Percent,
    /// Events that are not free, each at the fixed amount.
    Fixed,
    /// Events whose fee was lifted to the minimum per event.
    MinPerEvent,
    /// Events whose fee was cut to the maximum per event.
    MaxPerEvent,
}

impl PartKind {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::Unit => "unit",
            Self::Package => "package",
            Self::Percent => "percent",
            Self::Fixed => "fixed",
            Self::MinPerEvent => "min_per_event",
            Self::MaxPerEvent => "max_per_event",
        }
    }
}

/// A part of a charge, so that a reader can follow it: quantity × price, for percentages a hundredth of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What it pays for.
    pub kind: PartKind,
    /// The number of the tier, from 1, of a tiered price.
    pub tier: Option<usize>,
    /// How many.
    pub quantity: Exact,
    /// Major units for one, or percent.
    pub price: Decimal,
    /// Major units for all, before proration and maximum.
    pub amount: Exact,
}

impl Part {
    fn new(kind: PartKind, quantity: Exact, price: Decimal) -> Self {
        let product = quantity.times(&price.into());
        let amount = if kind == PartKind::Percent { product.percent() } else { product };
        Self { kind, tier: None, quantity, price, amount }
    }

    fn in_tier(self, number: usize) -> Self {
        Self { tier: Some(number), ..self }
    }
}

/// What a quantity costs, exactly, and how that came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rated {
    /// The quantity that was rated: never negative.
    pub quantity: Decimal,
    /// How much of it was free by the free units or the free value of the price.
    pub free: Decimal,
    /// Where the charge comes from.
    pub parts: Vec<Part>,
    /// What the sum of the parts was multiplied by.
    pub share: Share,
    /// The maximum of the price for the share of the period, whether it was reached or not.
    pub maximum: Option<Exact>,
    /// The charge in major units.
    pub charge: Exact,
    /// Its currency.
    pub currency: Currency,
}

impl Rated {
    /// The charge as an amount, rounded once.
    ///
    /// # Errors
    /// [`MoneyError::AmountOutOfRange`].
    pub fn amount(&self, rounding: Rounding) -> Result<Money, MoneyError> {
        self.charge.round(self.currency, rounding)
    }

    /// What is to be billed now when part of the period was billed before. The whole charge is rounded and not the
    /// difference, so that the lines of a period add up to its amount, however often it was billed on the way.
    ///
    /// # Errors
    /// [`MoneyError::AmountOutOfRange`], and [`MoneyError::CurrencyMismatch`] when the other lines are of another currency.
    pub fn amount_after(&self, billed: Money, rounding: Rounding) -> Result<Money, MoneyError> {
        self.amount(rounding)?.minus(billed)
    }
}

/// Rates what was used or held in `share` of a period. A negative quantity, left by corrections, is rated as none.
///
/// The share prorates flat prices, licensed units and the maximum; what was metered is not prorated. A change within a
/// period is two such ratings, the one of the old item taken as a credit.
///
/// # Errors
/// [`RatingError::EventsNeeded`], and [`MoneyError::AmountOutOfRange`] when the values of events add up to more than a
/// [`Decimal`] holds.
pub fn rate(price: &Price, usage: Usage<'_>, share: Share) -> Result<Rated, RatingError> {
    let events = match usage {
        Usage::Events(events) => Some(running_totals(events)?),
        Usage::Licensed(_) | Usage::Metered(_) => None,
    };
    let quantity = match usage {
        Usage::Licensed(quantity) | Usage::Metered(quantity) => quantity,
        Usage::Events(_) => events.as_deref().and_then(<[Decimal]>::last).copied().unwrap_or_default(),
    };
    let quantity = quantity.max(Decimal::ZERO);
    let (free, parts) = match &price.model {
        Model::Flat { amount } => (Decimal::ZERO, vec![Part::new(PartKind::Flat, Exact::from(1), *amount)]),
        Model::PerUnit { unit_amount } => {
            (Decimal::ZERO, vec![Part::new(PartKind::Unit, quantity.into(), *unit_amount)])
        }
        Model::Graduated(tiers) => (Decimal::ZERO, graduated(tiers, PartKind::Unit, quantity)),
        Model::GraduatedPercentage(tiers) => (Decimal::ZERO, graduated(tiers, PartKind::Percent, quantity)),
        Model::Volume(tiers) => (Decimal::ZERO, volume(tiers, quantity)),
        Model::Package { size, amount, free } => {
            let free = quantity.min(*free);
            let paid = Exact::from(quantity).minus(&free.into());
            // A size of zero is refused where a price is read.
            let packages = paid.over(&(*size).into()).unwrap_or_else(Exact::zero).ceil();
            (free, vec![Part::new(PartKind::Package, packages, *amount)])
        }
        Model::Percentage(percentage) => match &events {
            None if percentage.needs_events() => return Err(RatingError::EventsNeeded),
            None => percentage_of(percentage, quantity, &[]),
            Some(totals) => percentage_of(percentage, quantity, totals),
        },
    };
    let is_prorated = matches!(usage, Usage::Licensed(_)) || matches!(price.model, Model::Flat { .. });
    let maximum = price.maximum.map(|maximum| Exact::from(maximum).times(&share.into()));
    let share = if is_prorated { share } else { Share::WHOLE };
    let sum = parts.iter().fold(Exact::zero(), |sum, part| sum.plus(&part.amount));
    let mut charge = sum.times(&share.into()).max(Exact::zero());
    if let Some(maximum) = &maximum {
        charge = charge.min(maximum.clone());
    }
    Ok(Rated { quantity, free, parts, share, maximum, charge, currency: price.currency })
}

/// What lifts the lines of `share` of a period to the minimum of its price: the rounded minimum less the `billed` lines,
/// or nothing. It belongs to the last line of the period alone.
///
/// # Errors
/// [`MoneyError::AmountOutOfRange`], and [`MoneyError::CurrencyMismatch`] when the lines are of another currency.
pub fn true_up(price: &Price, billed: Money, share: Share, rounding: Rounding) -> Result<Money, MoneyError> {
    let minimum = Exact::from(price.minimum.unwrap_or_default()).times(&share.into());
    let missing = minimum.round(price.currency, rounding)?.minus(billed)?;
    let is_missing = price.minimum.is_some() && missing.minor() > 0;
    Ok(if is_missing { missing } else { Money::zero(price.currency) })
}

/// The sum after each event.
fn running_totals(events: &[Decimal]) -> Result<Vec<Decimal>, MoneyError> {
    let mut sum = Decimal::ZERO;
    let add = |value: &Decimal| {
        sum = sum.checked_add(*value).ok_or(MoneyError::AmountOutOfRange)?;
        Ok(sum)
    };
    events.iter().map(add).collect()
}

fn tier_parts(kind: PartKind, number: usize, tier: &Tier, quantity: Exact) -> impl Iterator<Item = Part> {
    let flat = Part::new(PartKind::Flat, Exact::from(1), tier.flat_amount).in_tier(number);
    let units = Part::new(kind, quantity, tier.rate).in_tier(number);
    std::iter::once(units).chain((!tier.flat_amount.is_zero()).then_some(flat))
}

/// The first tier is reached even by nothing, a later one by more than the tiers before it hold.
fn graduated(tiers: &Tiers, kind: PartKind, quantity: Decimal) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut start = Decimal::ZERO;
    for (number, tier) in (1..).zip(tiers.as_slice()) {
        if number > 1 && quantity <= start {
            break;
        }
        let end = tier.up_to.unwrap_or(quantity);
        let inside = Exact::from(end.min(quantity)).minus(&start.into());
        parts.extend(tier_parts(kind, number, tier, inside));
        start = end;
    }
    parts
}

fn volume(tiers: &Tiers, quantity: Decimal) -> Vec<Part> {
    let holds = |(_, tier): &(usize, &Tier)| tier.up_to.is_none_or(|end| quantity <= end);
    let tier = (1..).zip(tiers.as_slice()).find(holds);
    tier.into_iter().flat_map(|(number, tier)| tier_parts(PartKind::Unit, number, tier, quantity.into())).collect()
}

/// The free value and the parts of a percentage price; `totals` are the sums after each event.
fn percentage_of(percentage: &Percentage, value: Decimal, totals: &[Decimal]) -> (Decimal, Vec<Part>) {
    let free_events = percentage.free_events.map(|count| usize::try_from(count).unwrap_or(usize::MAX));
    // The value of the free events: the total after the last of them, or after the last event when there are fewer.
    let first_value = free_events.map(|count| totals.iter().take(count).next_back().copied().unwrap_or_default());
    let allowance = first_value.into_iter().chain(percentage.free_amount).min().unwrap_or_default();
    let free = allowance.clamp(Decimal::ZERO, value);
    let is_free = |index: usize, total: Decimal| {
        (free_events.is_some() || percentage.free_amount.is_some())
            && free_events.is_none_or(|count| index <= count)
            && percentage.free_amount.is_none_or(|amount| total <= amount)
    };

    let (min, max) = (percentage.min_per_event.map(Exact::from), percentage.max_per_event.map(Exact::from));
    let is_clamped = min.is_some() || max.is_some();
    let (mut inside, mut lifted, mut cut): (i64, i64, i64) = (0, 0, 0);
    let mut paid = Exact::zero();
    let mut before = Exact::zero();
    for (index, total) in (1..).zip(totals) {
        if !is_clamped {
            inside = inside.saturating_add(i64::from(!is_free(index, *total)));
            continue;
        }
        let beyond = Exact::from(*total).minus(&free.into()).max(Exact::zero());
        let value = beyond.minus(&before);
        before = beyond;
        if is_free(index, *total) {
            continue;
        }
        let fee = value.times(&percentage.rate.into()).percent().plus(&percentage.fixed_amount.into());
        if min.as_ref().is_some_and(|min| fee < *min) {
            lifted = lifted.saturating_add(1);
        } else if max.as_ref().is_some_and(|max| fee > *max) {
            cut = cut.saturating_add(1);
        } else {
            inside = inside.saturating_add(1);
            paid = paid.plus(&value);
        }
    }
    if !is_clamped {
        paid = Exact::from(value).minus(&free.into());
    }
    let mut parts = vec![Part::new(PartKind::Percent, paid, percentage.rate)];
    for (kind, events, amount) in [
        (PartKind::Fixed, inside, percentage.fixed_amount),
        (PartKind::MinPerEvent, lifted, percentage.min_per_event.unwrap_or_default()),
        (PartKind::MaxPerEvent, cut, percentage.max_per_event.unwrap_or_default()),
    ] {
        if events > 0 && !amount.is_zero() {
            parts.push(Part::new(kind, Exact::from(events), amount));
        }
    }
    (free, parts)
}
