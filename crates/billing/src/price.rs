//! What a price is: a model with its amounts, what bounds a period, and when and how it is charged.
//!
//! Amounts are decimal numbers of major units with at most twelve fraction digits, so that a thousandth of a cent per
//! call can be a price. How often a price recurs belongs to periods, and what it counts to meters; neither is read here.
//! What a quantity costs under a price is for [`crate::rating`].

mod read;
#[cfg(test)]
mod tests;

use kernel::decimal::Decimal;
use kernel::money::Currency;
use serde_json::{Map, Value, json};

use crate::problem::Problem;

/// Most tiers of one price.
pub const MAX_TIERS: usize = 100;
/// Most free events of one percentage price.
pub const MAX_FREE_EVENTS: u64 = 1_000_000_000_000;
/// Longest name of a tax category, in bytes.
pub const MAX_CATEGORY_LENGTH: usize = 64;

/// When a price is charged for a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    /// When the period begins.
    Advance,
    /// When the period has ended.
    Arrears,
}

impl Timing {
    /// All, in the order of documentation.
    pub const ALL: [Self; 2] = [Self::Advance, Self::Arrears];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Advance => "advance",
            Self::Arrears => "arrears",
        }
    }
}

/// Whether tax is added to the amounts of a price or is in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaxBehavior {
    /// Tax is added.
    Exclusive,
    /// The amounts contain it.
    Inclusive,
}

impl TaxBehavior {
    /// All, in the order of documentation.
    pub const ALL: [Self; 2] = [Self::Exclusive, Self::Inclusive];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exclusive => "exclusive",
            Self::Inclusive => "inclusive",
        }
    }
}

/// One step of a tiered price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tier {
    /// The largest quantity of this tier, itself included; `None` in the last tier alone.
    pub up_to: Option<Decimal>,
    /// The amount per unit; for a graduated percentage the percent of the value.
    pub rate: Decimal,
    /// The amount for reaching the tier.
    pub flat_amount: Decimal,
}

/// The steps of a tiered price: 1 to [`MAX_TIERS`], ascending, the last one without an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tiers(Vec<Tier>);

impl Tiers {
    /// The steps, the lowest first.
    pub fn as_slice(&self) -> &[Tier] {
        &self.0
    }
}

/// A part of the value of events, and what each event costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percentage {
    /// Percent of the value beyond what is free.
    pub rate: Decimal,
    /// The amount per event that is not free.
    pub fixed_amount: Decimal,
    /// The first events of a period that are free, 0 to [`MAX_FREE_EVENTS`].
    pub free_events: Option<u64>,
    /// The value up to which a period is free.
    pub free_amount: Option<Decimal>,
    /// The least that an event costs that is not free.
    pub min_per_event: Option<Decimal>,
    /// The most that an event costs.
    pub max_per_event: Option<Decimal>,
}

impl Percentage {
    /// Whether the sum of the values is not enough to know the charge: something counts per event.
    pub fn needs_events(&self) -> bool {
        !self.fixed_amount.is_zero()
            || self.free_events.is_some()
            || self.min_per_event.is_some()
            || self.max_per_event.is_some()
    }
}

/// How a quantity becomes a charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Model {
    /// One amount per period, whatever the quantity.
    Flat {
        /// The amount.
        amount: Decimal,
    },
    /// An amount for each unit.
    PerUnit {
        /// The amount per unit.
        unit_amount: Decimal,
    },
    /// Each tier prices the part of the quantity that lies in it.
    Graduated(Tiers),
    /// The tier that holds the quantity prices all of it.
    Volume(Tiers),
    /// An amount for each package that was begun.
    Package {
        /// Units of one package, above zero.
        size: Decimal,
        /// The amount per package.
        amount: Decimal,
        /// Units that cost nothing, before the first package.
        free: Decimal,
    },
    /// A percentage of the value of events, with what each event costs.
    Percentage(Percentage),
    /// Each tier takes its percentage of the part of the value that lies in it.
    GraduatedPercentage(Tiers),
}

impl Model {
    /// The names on the wire, in the order of documentation.
    pub const NAMES: [&'static str; 7] =
        ["flat", "per_unit", "graduated", "volume", "package", "percentage", "graduated_percentage"];

    /// The name on the wire.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Flat { .. } => "flat",
            Self::PerUnit { .. } => "per_unit",
            Self::Graduated(_) => "graduated",
            Self::Volume(_) => "volume",
            Self::Package { .. } => "package",
            Self::Percentage(_) => "percentage",
            Self::GraduatedPercentage(_) => "graduated_percentage",
        }
    }
}

/// A price. No amount of it is negative.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// How a quantity becomes a charge.
    pub model: Model,
    /// The currency of all its amounts.
    pub currency: Currency,
    /// When it is charged.
    pub timing: Timing,
    /// The least that a whole period costs.
    pub minimum: Option<Decimal>,
    /// The most that a whole period costs; not below the minimum.
    pub maximum: Option<Decimal>,
    /// Whether tax is added or contained.
    pub tax_behavior: TaxBehavior,
    /// The product category by which a tax rate is chosen.
    pub tax_category: String,
}

impl Price {
    /// Reads a definition from JSON. Members named in `elsewhere` belong to other readers of the same object.
    ///
    /// # Errors
    /// All problems of the definition, in the order of its members as documented.
    pub fn from_json(definition: &Value, elsewhere: &[&str]) -> Result<Self, Vec<Problem>> {
        read::price(definition, elsewhere)
    }

    /// The definition as [`Self::from_json`] reads it, without members that say nothing.
    pub fn to_json(&self) -> Value {
        let mut members = Map::new();
        let mut set = |name: &str, value: Value| members.insert(name.to_owned(), value);
        set("model", self.model.name().into());
        set("currency", self.currency.code().into());
        set("timing", self.timing.name().into());
        match &self.model {
            Model::Flat { amount } => drop(set("amount", text(*amount))),
            Model::PerUnit { unit_amount } => drop(set("unit_amount", text(*unit_amount))),
            Model::Graduated(tiers) | Model::Volume(tiers) => drop(set("tiers", tiers_json(tiers, "unit_amount"))),
            Model::GraduatedPercentage(tiers) => drop(set("tiers", tiers_json(tiers, "rate"))),
            Model::Package { size, amount, free } => {
                set("size", text(*size));
                set("amount", text(*amount));
                if !free.is_zero() {
                    set("free", text(*free));
                }
            }
            Model::Percentage(percentage) => {
                set("rate", text(percentage.rate));
                if !percentage.fixed_amount.is_zero() {
                    set("fixed_amount", text(percentage.fixed_amount));
                }
                if let Some(events) = percentage.free_events {
                    set("free_events", events.into());
                }
                for (name, amount) in [
                    ("free_amount", percentage.free_amount),
                    ("min_per_event", percentage.min_per_event),
                    ("max_per_event", percentage.max_per_event),
                ] {
                    amount.map(|amount| set(name, text(amount)));
                }
            }
        }
        for (name, amount) in [("minimum", self.minimum), ("maximum", self.maximum)] {
            amount.map(|amount| set(name, text(amount)));
        }
        set("tax_behavior", self.tax_behavior.name().into());
        set("tax_category", self.tax_category.as_str().into());
        Value::Object(members)
    }
}

fn text(decimal: Decimal) -> Value {
    decimal.to_string().into()
}

fn tiers_json(tiers: &Tiers, rate: &str) -> Value {
    let tier = |tier: &Tier| {
        let mut value = json!({ "up_to": tier.up_to.map(text), rate: text(tier.rate) });
        if let Some(members) = value.as_object_mut().filter(|_| !tier.flat_amount.is_zero()) {
            members.insert("flat_amount".to_owned(), text(tier.flat_amount));
        }
        value
    };
    tiers.0.iter().map(tier).collect()
}
