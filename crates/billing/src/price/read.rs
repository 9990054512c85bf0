//! Reads a price from JSON and collects every problem instead of the first.

use kernel::decimal::{Decimal, DecimalError};
use kernel::money::Currency;
use serde_json::{Map, Value};

use super::{
    MAX_CATEGORY_LENGTH, MAX_FREE_EVENTS, MAX_TIERS, Model, Percentage, Price, TaxBehavior, Tier, Tiers, Timing,
};
use crate::problem::Problem;

/// Unknown members that one answer names: a definition of thousands of them must not become a larger answer.
const MAX_UNKNOWN: usize = 100;
/// The members that only some models have.
const OF_MODELS: [&str; 11] = [
    "amount",
    "unit_amount",
    "tiers",
    "size",
    "free",
    "rate",
    "fixed_amount",
    "free_events",
    "free_amount",
    "min_per_event",
    "max_per_event",
];

/// The members of one object, those that were asked for, and what is wrong with them.
struct Reader<'a> {
    members: &'a Map<String, Value>,
    base: String,
    asked: Vec<&'a str>,
    problems: Vec<Problem>,
}

/// Reads a price; members named in `elsewhere` are passed over.
pub(super) fn price(definition: &Value, elsewhere: &[&str]) -> Result<Price, Vec<Problem>> {
    let Some(members) = definition.as_object() else {
        return Err(vec![wrong_type(String::new(), "an object", definition)]);
    };
    let mut reader = Reader { members, base: String::new(), asked: elsewhere.to_vec(), problems: Vec::new() };
    let model = reader.model();
    let currency = reader.required("currency").and_then(|code| match Currency::parse(code) {
        Ok(currency) => Some(currency),
        Err(error) => reader.refuse("currency", error.code(), format!("this is {error}")),
    });
    let timing = reader.required("timing").and_then(|name| reader.choice("timing", name, Timing::ALL, Timing::name));
    let (minimum, maximum) = (reader.decimal("minimum"), reader.decimal("maximum"));
    if minimum.zip(maximum).is_some_and(|(minimum, maximum)| maximum < minimum) {
        let detail = "the maximum is below the minimum; a period cannot cost at least one and at most the other";
        reader.refuse::<()>("maximum", "maximum_below_minimum", detail);
    }
    let behavior = |name, reader: &mut Reader<'_>| {
        reader.choice("tax_behavior", name, TaxBehavior::ALL, TaxBehavior::name).unwrap_or(TaxBehavior::Exclusive)
    };
    let tax_behavior = match reader.text("tax_behavior") {
        Some(name) => behavior(name, &mut reader),
        None => TaxBehavior::Exclusive,
    };
    let tax_category = reader.tax_category();
    let problems = reader.finish();
    match (model, currency, timing) {
        (Some(model), Some(currency), Some(timing)) if problems.is_empty() => {
            Ok(Price { model, currency, timing, minimum, maximum, tax_behavior, tax_category })
        }
        _ => Err(problems),
    }
}

impl<'a> Reader<'a> {
    fn model(&mut self) -> Option<Model> {
        let Some(name) = self.required("model") else {
            self.asked.extend(OF_MODELS);
            return None;
        };
        match name {
            "flat" => Some(Model::Flat { amount: self.required_decimal("amount")? }),
            "per_unit" => Some(Model::PerUnit { unit_amount: self.required_decimal("unit_amount")? }),
            "graduated" => self.tiers("unit_amount").map(Model::Graduated),
            "volume" => self.tiers("unit_amount").map(Model::Volume),
            "graduated_percentage" => self.tiers("rate").map(Model::GraduatedPercentage),
            "package" => self.package(),
            "percentage" => self.percentage(),
            _ => {
                self.asked.extend(OF_MODELS);
                let detail = format!("there is no model of this name; models are {}", Model::NAMES.join(", "));
                self.refuse("model", "bad_value", detail)
            }
        }
    }

    fn package(&mut self) -> Option<Model> {
        let (size, amount) = (self.required_decimal("size"), self.required_decimal("amount"));
        let free = self.decimal("free").unwrap_or_default();
        if size.is_some_and(Decimal::is_zero) {
            self.refuse("size", "out_of_range", "a package holds more than 0 units")
        } else {
            Some(Model::Package { size: size?, amount: amount?, free })
        }
    }

    fn percentage(&mut self) -> Option<Model> {
        let rate = self.required_decimal("rate");
        let fixed_amount = self.decimal("fixed_amount").unwrap_or_default();
        let (free_events, free_amount) = (self.count("free_events"), self.decimal("free_amount"));
        let (min_per_event, max_per_event) = (self.decimal("min_per_event"), self.decimal("max_per_event"));
        if min_per_event.zip(max_per_event).is_some_and(|(min, max)| max < min) {
            let detail = "the maximum per event is below the minimum per event";
            self.refuse::<()>("max_per_event", "maximum_below_minimum", detail);
        }
        let rate = rate?;
        Some(Model::Percentage(Percentage {
            rate,
            fixed_amount,
            free_events,
            free_amount,
            min_per_event,
            max_per_event,
        }))
    }

    /// The tiers, each priced by the member `rate`.
    fn tiers(&mut self, rate: &'static str) -> Option<Tiers> {
        let items = match self.member("tiers") {
            Some(Value::Array(items)) => items,
            Some(other) => return self.wrong("tiers", "an array of tiers", other),
            None => return self.refuse("tiers", "required", "this model needs tiers"),
        };
        if items.is_empty() {
            return self.refuse("tiers", "required", "this model needs at least one tier");
        }
        if items.len() > MAX_TIERS {
            return self.refuse("tiers", "too_many", format!("a price has at most {MAX_TIERS} tiers"));
        }
        let mut tiers = Vec::with_capacity(items.len());
        let mut reached: Option<Decimal> = None;
        for (place, item) in (1..).zip(items) {
            let base = format!("{}/tiers/{}", self.base, tiers.len());
            let Some(members) = item.as_object() else {
                self.problems.push(wrong_type(base, "an object", item));
                tiers.push(None);
                continue;
            };
            let mut reader = Reader { members, base, asked: Vec::new(), problems: Vec::new() };
            let tier = reader.tier(rate, reached, place == items.len());
            reached = tier.up_to.or(reached);
            self.problems.extend(reader.finish());
            tiers.push(Some(tier));
        }
        tiers.into_iter().collect::<Option<Vec<Tier>>>().map(Tiers)
    }

    /// One tier; `reached` is the end of those before it.
    fn tier(&mut self, rate: &'static str, reached: Option<Decimal>, is_last: bool) -> Tier {
        let is_bounded = self.member("up_to").is_some();
        let up_to = self.decimal("up_to");
        if is_bounded && is_last {
            let detail = "the last tier holds every larger quantity; its up_to is null";
            self.refuse::<()>("up_to", "last_tier_bounded", detail);
        } else if !is_bounded && !is_last {
            self.refuse::<()>("up_to", "required", "only the last tier is without an end");
        } else if up_to.zip(reached).is_some_and(|(up_to, reached)| up_to <= reached) {
            let detail = "tiers ascend; this one ends where an earlier one has ended, or before it";
            self.refuse::<()>("up_to", "tiers_not_ascending", detail);
        }
        if self.member(rate).is_none() && self.member("flat_amount").is_none() {
            self.refuse::<()>(rate, "required", format!("a tier needs {rate} or flat_amount"));
        }
        let rate = self.decimal(rate).unwrap_or_default();
        Tier { up_to, rate, flat_amount: self.decimal("flat_amount").unwrap_or_default() }
    }

    fn tax_category(&mut self) -> String {
        let name = self.text("tax_category").unwrap_or("standard");
        let is_good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.".contains(&b);
        if name.is_empty() || name.len() > MAX_CATEGORY_LENGTH || !name.bytes().all(is_good) {
            let detail = format!(
                "a tax category is a name of 1 to {MAX_CATEGORY_LENGTH} small letters, digits, dots, hyphens and underscores"
            );
            self.refuse::<()>("tax_category", "bad_value", detail);
        }
        name.to_owned()
    }

    /// A member that is there with any value but null.
    fn member(&mut self, name: &'a str) -> Option<&'a Value> {
        self.asked.push(name);
        self.members.get(name).filter(|value| !value.is_null())
    }

    fn text(&mut self, name: &'static str) -> Option<&'a str> {
        match self.member(name)? {
            Value::String(text) => Some(text),
            other => self.wrong(name, "a string", other),
        }
    }

    /// A text, with a problem when it is missing.
    fn required(&mut self, name: &'static str) -> Option<&'a str> {
        if self.member(name).is_none() {
            return self.refuse(name, "required", format!("{name} is missing"));
        }
        self.text(name)
    }

    fn required_decimal(&mut self, name: &'static str) -> Option<Decimal> {
        if self.member(name).is_none() {
            return self.refuse(name, "required", format!("{name} is missing; this model needs it"));
        }
        self.decimal(name)
    }

    /// A decimal number in a string, not negative. Numbers of JSON are refused: many programs round them.
    fn decimal(&mut self, name: &'static str) -> Option<Decimal> {
        let text = match self.member(name)? {
            Value::String(text) => text,
            other => return self.wrong(name, "a decimal number in a string, such as \"0.015\"", other),
        };
        match Decimal::parse_value(text) {
            Ok(value) if value.is_negative() => {
                self.refuse(name, "out_of_range", "this takes no negative number; what is taken off a bill is a coupon")
            }
            Ok(value) => Some(value),
            Err(error) => {
                let code = match error {
                    DecimalError::NotANumber => "bad_value",
                    DecimalError::TooManyDigits => "too_many_digits",
                    DecimalError::OutOfRange => "out_of_range",
                };
                self.refuse(name, code, format!("this is refused: {error}"))
            }
        }
    }

    fn count(&mut self, name: &'static str) -> Option<u64> {
        let value = self.member(name)?;
        match value.as_u64() {
            Some(count) if count <= MAX_FREE_EVENTS => Some(count),
            None if !value.is_number() => self.wrong(name, "a whole number", value),
            _ => self.refuse(name, "out_of_range", format!("this takes a whole number from 0 to {MAX_FREE_EVENTS}")),
        }
    }

    fn choice<T: Copy, const N: usize>(
        &mut self,
        member: &str,
        name: &str,
        all: [T; N],
        name_of: fn(T) -> &'static str,
    ) -> Option<T> {
        let found = all.into_iter().find(|choice| name_of(*choice) == name);
        found.or_else(|| self.refuse(member, "bad_value", format!("this takes {}", all.map(name_of).join(" or "))))
    }

    fn wrong<T>(&mut self, name: &str, wanted: &str, found: &Value) -> Option<T> {
        self.problems.push(wrong_type(self.pointer(name), wanted, found));
        None
    }

    fn refuse<T>(&mut self, name: &str, code: &'static str, detail: impl Into<String>) -> Option<T> {
        self.problems.push(Problem { pointer: self.pointer(name), code, detail: detail.into() });
        None
    }

    fn pointer(&self, name: &str) -> String {
        // RFC 6901 §3.
        format!("{}/{}", self.base, name.replace('~', "~0").replace('/', "~1"))
    }

    /// All problems, with one for each member that nobody asked for.
    fn finish(mut self) -> Vec<Problem> {
        let unknown = self.members.keys().filter(|name| !self.asked.contains(&name.as_str()));
        for name in unknown.take(MAX_UNKNOWN).cloned().collect::<Vec<_>>() {
            self.refuse::<()>(&name, "unknown_field", "there is no field of this name here");
        }
        self.problems
    }
}

fn wrong_type(pointer: String, wanted: &str, found: &Value) -> Problem {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    Problem { pointer, code: "wrong_type", detail: format!("this takes {wanted}, not {found}") }
}
