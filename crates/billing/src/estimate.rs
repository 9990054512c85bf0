//! What one price of a plan would come to for a whole period, before anything is used or invoiced.

use kernel::decimal::Decimal;
use kernel::money::Money;

use crate::exact::{Rounding, Share};
use crate::plan::PlanPrice;
use crate::price::Model;
use crate::rating::{Rated, RatingError, Usage, rate, true_up};

/// What a price needs to be told for an estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: it is one amount.
    Nothing,
    /// The quantity of the subscription.
    Held,
    /// What its meter counted.
    Used,
    /// The value of each event that its meter counted.
    Events,
}

impl PlanPrice {
    /// What it needs to be told.
    pub fn needs(&self) -> Needs {
        match &self.price.model {
            Model::Flat { .. } => Needs::Nothing,
            Model::Percentage(percentage) if percentage.needs_events() => Needs::Events,
            _ if self.meter.is_some() => Needs::Used,
            _ => Needs::Held,
        }
    }
}

/// What a price comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Estimate {
    /// The charge, and how it came about.
    pub rated: Rated,
    /// What lifts it to the minimum of the price; zero when it reaches that.
    pub true_up: Money,
    /// Both, rounded.
    pub amount: Money,
}

/// Estimates a price for a whole period. `values` are the events for a price that [`Needs::Events`]; for every other one
/// their sum is the quantity.
///
/// # Errors
/// [`RatingError::Money`] for an amount that cannot be kept.
pub fn estimate(price: &PlanPrice, values: &[Decimal]) -> Result<Estimate, RatingError> {
    let sum = || {
        let add = |sum: Decimal, value: &Decimal| sum.checked_add(*value);
        let sum = values.iter().try_fold(Decimal::ZERO, add);
        sum.ok_or(RatingError::Money(kernel::money::MoneyError::AmountOutOfRange))
    };
    let usage = match price.needs() {
        Needs::Nothing => Usage::Licensed(Decimal::ONE),
        Needs::Held => Usage::Licensed(sum()?),
        Needs::Used => Usage::Metered(sum()?),
        Needs::Events => Usage::Events(values),
    };
    let rated = rate(&price.price, usage, Share::WHOLE)?;
    let charge = rated.amount(Rounding::default())?;
    let true_up = true_up(&price.price, charge, Share::WHOLE, Rounding::default())?;
    Ok(Estimate { rated, true_up, amount: charge.plus(true_up)? })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::price::Price;

    fn price(definition: &Value, meter: Option<&str>) -> PlanPrice {
        PlanPrice { price: Price::from_json(definition, &[]).unwrap(), meter: meter.map(str::to_owned) }
    }

    fn amounts(price: &PlanPrice, values: &[&str]) -> (String, String) {
        let values: Vec<Decimal> = values.iter().map(|text| Decimal::parse(text).unwrap()).collect();
        let found = estimate(price, &values).unwrap();
        (found.amount.to_string(), found.true_up.to_string())
    }

    fn is(amount: &str, true_up: &str) -> (String, String) {
        (amount.to_owned(), true_up.to_owned())
    }

    #[test]
    fn each_model_is_estimated_from_what_it_needs() {
        let base = |model: &str| json!({"model": model, "currency": "EUR", "timing": "arrears"});
        let with = |model: &str, more: Value| {
            let mut definition = base(model);
            definition.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            definition
        };
        let flat = price(&with("flat", json!({"amount": "49"})), None);
        assert_eq!((flat.needs(), amounts(&flat, &[])), (Needs::Nothing, is("49.00 EUR", "0.00 EUR")));
        let seats = price(&with("per_unit", json!({"unit_amount": "9.5", "minimum": "20"})), None);
        assert_eq!((seats.needs(), amounts(&seats, &["3"])), (Needs::Held, is("28.50 EUR", "0.00 EUR")));
        assert_eq!(amounts(&seats, &[]), is("20.00 EUR", "20.00 EUR"));
        let tiers = json!({"tiers": [{"up_to": "10", "unit_amount": "10", "flat_amount": "2"}, {"up_to": null, "unit_amount": "5", "flat_amount": "3"}]});
        let calls = price(&with("graduated", tiers), Some("calls"));
        assert_eq!((calls.needs(), amounts(&calls, &["11"])), (Needs::Used, is("110.00 EUR", "0.00 EUR")));
        let fees = json!({"rate": "1.3", "fixed_amount": "2", "free_events": 3, "free_amount": "250"});
        let fees = price(&with("percentage", fees), Some("payments"));
        assert_eq!(
            (fees.needs(), amounts(&fees, &["50", "100", "250", "400"])),
            (Needs::Events, is("11.15 EUR", "0.00 EUR"))
        );
    }
}
