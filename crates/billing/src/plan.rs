//! A version of a plan: terms, prices, and what it grants.
//!
//! Its definition is kept as JSON in the form of the API. The same reader takes it from a request, where it collects every
//! problem, and from the store.

use std::collections::{BTreeMap, BTreeSet};

use kernel::clock::Timestamp;
use kernel::decimal::Decimal;
use kernel::error::FieldProblem;
use kernel::id::{self, Id};
use kernel::patch::Field;
use kernel::standing::{Overage, Reset};
use record::fields::Reader;
use serde_json::{Map, Value, json};
use store::Row;

use crate::catalog::{Feature, FeatureKind, is_key};
use crate::meter::{Denial, Meter};
use crate::period::{Billing, Cadence};
use crate::price::Price;
use crate::proration::Basis;
use crate::standing::{Combine, Grant, PlanRights, Right};
use crate::subscription::{AfterTrial, OnUnpaid, Terms, Trial, TrialStart};

/// Most prices of a plan.
const MAX_PRICES: usize = 50;
/// Most entitlements of a plan.
const MAX_ENTITLEMENTS: usize = 200;
/// Most names in a list of scopes or features.
const MAX_NAMES: usize = 100;
/// Longest trial, in days.
const MAX_TRIAL_DAYS: i64 = 730;
/// Longest grace, in days.
const MAX_GRACE_DAYS: i64 = 365;
/// Days of grace when nothing is said.
const GRACE_DAYS: i64 = 14;
/// Longest name and description, in characters.
const MAX_TEXT: usize = 200;

/// What may happen to a version of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanState {
    /// It may be changed, and nobody can subscribe.
    Draft,
    /// Customers can subscribe, and it does not change any more.
    Active,
    /// Nobody can subscribe any more; subscriptions keep it.
    Archived,
}

impl PlanState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Draft, Self::Active, Self::Archived];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Archived => "archived",
        }
    }

    /// Reads [`PlanState::name`].
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// A price of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanPrice {
    /// The price itself.
    pub price: Price,
    /// The key of the meter that counts its quantity; `None` for the quantity of the subscription.
    pub meter: Option<String>,
}

/// What the definition of a plan says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// For people.
    pub name: String,
    /// For people.
    pub description: String,
    /// Time and payment.
    pub terms: Terms,
    /// What has to be paid; a plan without a price is free.
    pub prices: Vec<PlanPrice>,
    /// What is granted, by the key of the feature.
    pub entitlements: BTreeMap<String, Right>,
    /// The scopes left to who does not pay, under `restrict`.
    pub restricted_scopes: BTreeSet<String>,
    /// The features left to who does not pay, under `restrict`.
    pub restricted_features: BTreeSet<String>,
}

/// One version of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Its id.
    pub id: Id<id::Plan>,
    /// The key that its versions share.
    pub key: String,
    /// Which version it is, from 1.
    pub number: i64,
    /// What may happen to it.
    pub state: PlanState,
    /// What it says.
    pub definition: Definition,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
    /// Guard for concurrent changes.
    pub version: i64,
}

impl Plan {
    /// Reads a row of [`crate::sql::PLAN_READ`].
    ///
    /// # Errors
    /// [`store::Error::RowCorrupt`] when the row is no plan.
    pub fn from_row(row: &Row) -> Result<Self, store::Error> {
        let corrupt = || store::Error::RowCorrupt;
        let definition: Value = serde_json::from_str(row.text(4)?).map_err(|_| corrupt())?;
        Ok(Self {
            id: row.id(0)?,
            key: row.text(1)?.to_owned(),
            number: row.int(2)?,
            state: PlanState::parse(row.text(3)?).ok_or_else(corrupt)?,
            definition: Definition::read(&definition, &[]).map_err(|_| corrupt())?,
            created_at: row.time(5)?,
            updated_at: row.time(6)?,
            version: row.int(7)?,
        })
    }

    /// What the standing of a subscriber takes from it.
    pub fn rights(&self, features: &BTreeMap<String, Feature>) -> PlanRights {
        let combine = |key: &str| features.get(key).map_or(Combine::Largest, |feature| feature.combine);
        let grants = self.definition.entitlements.iter();
        PlanRights {
            key: self.key.clone(),
            grants: grants
                .map(|(key, right)| (key.clone(), Grant { right: right.clone(), combine: combine(key) }))
                .collect(),
            restricted_features: self.definition.restricted_features.clone(),
            restricted_scopes: self.definition.restricted_scopes.clone(),
        }
    }
}

impl Definition {
    /// Reads a definition; members named in `elsewhere` are passed over.
    ///
    /// # Errors
    /// Every problem of its fields.
    pub fn read(value: &Value, elsewhere: &[&'static str]) -> Result<Self, Vec<FieldProblem>> {
        let mut reader = Reader::new(value)?;
        for name in elsewhere {
            reader.is_given(name);
        }
        let name = text(&mut reader, "name").unwrap_or_default();
        if name.is_empty() {
            reader.refuse("name", "required", "a plan has a name of 1 to 200 characters");
        }
        let description = text(&mut reader, "description").unwrap_or_default();
        let prices = prices(&mut reader);
        let entitlements = entitlements(&mut reader);
        let terms = terms(&mut reader, prices.is_empty());
        let restricted_scopes = names(&mut reader, "restricted_scopes");
        let restricted_features = names(&mut reader, "restricted_features");
        for (at, feature) in restricted_features.iter().enumerate() {
            if !entitlements.contains_key(feature) {
                let detail = "only a feature that the plan grants can be left to who does not pay";
                let pointer = format!("/restricted_features/{at}");
                reader.absorb(vec![FieldProblem { pointer, code: "bad_value", detail: detail.to_owned() }]);
            }
        }
        let problems = reader.finish();
        match terms {
            Some(terms) if problems.is_empty() => Ok(Self {
                name,
                description,
                terms,
                prices,
                entitlements,
                restricted_scopes: restricted_scopes.into_iter().collect(),
                restricted_features: restricted_features.into_iter().collect(),
            }),
            _ => Err(problems),
        }
    }

    /// The form that [`Definition::read`] reads, every member given.
    pub fn to_json(&self) -> Value {
        let Terms { cadence, billing, trial, after_trial, grace_days, on_unpaid, proration, .. } = self.terms;
        let prices = self.prices.iter().map(|price| {
            let mut members = price.price.to_json();
            if let (Value::Object(members), Some(meter)) = (&mut members, &price.meter) {
                members.insert("meter".to_owned(), Value::from(meter.as_str()));
            }
            members
        });
        let entitlements = self.entitlements.iter().map(|(key, right)| {
            let mut members = Map::from_iter([("feature".to_owned(), Value::from(key.as_str()))]);
            match right {
                Right::Boolean => drop(members.insert("value".to_owned(), true.into())),
                Right::Text(text) => drop(members.insert("value".to_owned(), text.as_str().into())),
                Right::Number(number) => drop(members.insert("value".to_owned(), number.to_integer().into())),
                Right::Metered { limit, overage, reset } => {
                    members.insert("limit".to_owned(), limit.map(|limit| limit.to_string()).into());
                    members.insert("reset".to_owned(), reset.name().into());
                    members.insert("overage".to_owned(), overage.name().into());
                }
            }
            Value::Object(members)
        });
        json!({
            "name": self.name, "description": self.description, "cadence": cadence.to_string(),
            "billing": match billing { Billing::Anniversary => "anniversary", Billing::Calendar => "calendar" },
            "trial_days": trial.map_or(0, |trial| trial.days),
            "trial_start": match trial.map(|trial| trial.starts) {
                Some(TrialStart::FirstUse) => "first_use",
                _ => "on_create",
            },
            "after_trial": match after_trial { AfterTrial::Pause => "pause", AfterTrial::End => "end" },
            "grace_days": grace_days,
            "on_unpaid": match on_unpaid { OnUnpaid::Deny => "deny", OnUnpaid::Restrict => "restrict" },
            "restricted_scopes": self.restricted_scopes, "restricted_features": self.restricted_features,
            "credits_pause": self.terms.credits_pause, "credits_cancel": self.terms.credits_cancel,
            "proration": match proration {
                Basis::Second => "second",
                Basis::Day => "day",
                Basis::Day30360 => "day_30_360",
                Basis::None => "none",
            },
            "prices": prices.collect::<Vec<_>>(), "entitlements": entitlements.collect::<Vec<_>>(),
        })
    }

    /// What keeps it from being published: features and meters that do not exist or do not fit.
    pub fn misfits(&self, features: &BTreeMap<String, Feature>, meters: &BTreeMap<String, Meter>) -> Vec<FieldProblem> {
        let mut problems = Vec::new();
        let mut refuse = |pointer: String, detail: String| {
            problems.push(FieldProblem { pointer, code: "bad_value", detail });
        };
        for (at, price) in self.prices.iter().enumerate() {
            if let Some(meter) = price.meter.as_ref().filter(|meter| !meters.contains_key(*meter)) {
                refuse(format!("/prices/{at}/meter"), format!("there is no meter {meter}"));
            }
        }
        for (at, (key, right)) in self.entitlements.iter().enumerate() {
            let here = |member: &str| format!("/entitlements/{at}/{member}");
            let Some(feature) = features.get(key) else {
                refuse(here("feature"), format!("there is no feature {key}"));
                continue;
            };
            let fits = match right {
                Right::Boolean => feature.kind == FeatureKind::Boolean,
                Right::Text(_) | Right::Number(_) => feature.kind == FeatureKind::Static,
                Right::Metered { .. } => feature.kind == FeatureKind::Metered,
            };
            if !fits {
                let wanted = match feature.kind {
                    FeatureKind::Boolean => "value true",
                    FeatureKind::Static => "a text or a whole number as value",
                    FeatureKind::Metered => "limit, reset and overage",
                };
                refuse(here("value"), format!("the feature {key} is {}: it takes {wanted}", feature.kind.name()));
                continue;
            }
            let Right::Metered { overage, .. } = right else { continue };
            let meter = feature.meter.as_ref();
            match (overage, meter.and_then(|key| meters.get(key))) {
                (Overage::Deny, Some(meter)) if meter.denial() == Denial::Never => {
                    refuse(
                        here("overage"),
                        "usage of this meter cannot be refused at a limit; take allow or bill".to_owned(),
                    );
                }
                (Overage::Bill, _) if !self.prices.iter().any(|price| price.meter.as_ref() == meter) => {
                    refuse(here("overage"), "what is billed beyond the limit needs a price on the meter".to_owned());
                }
                _ => {}
            }
        }
        problems
    }
}

fn text(reader: &mut Reader<'_>, name: &'static str) -> Option<String> {
    let text = reader.string(name).given()?;
    if text.chars().count() > MAX_TEXT || text.chars().any(char::is_control) {
        reader.refuse(name, "bad_value", format!("{name} takes up to {MAX_TEXT} characters, none of control"));
        return None;
    }
    Some(text)
}

fn choice<T: Copy>(reader: &mut Reader<'_>, name: &'static str, choices: &[(&str, T)], default: T) -> T {
    let Some(text) = reader.string(name).given() else { return default };
    if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == text) {
        return *choice;
    }
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    reader.refuse(name, "bad_value", format!("{name} takes {}", names.join(" or ")));
    default
}

fn days(reader: &mut Reader<'_>, name: &'static str, most: i64, default: i64) -> u16 {
    let days = reader.integer(name).given().unwrap_or(default);
    if !(0..=most).contains(&days) {
        reader.refuse(name, "out_of_range", format!("{name} takes 0 to {most} days"));
    }
    u16::try_from(days).unwrap_or(0)
}

fn flag(reader: &mut Reader<'_>, name: &'static str) -> bool {
    reader.boolean(name).given().unwrap_or(false)
}

fn terms(reader: &mut Reader<'_>, is_free: bool) -> Option<Terms> {
    let cadence = match reader.string("cadence") {
        Field::Value(text) => {
            Cadence::parse(&text).map_err(|error| reader.refuse("cadence", "bad_value", error.to_string()))
        }
        Field::Null | Field::Absent => {
            reader.refuse("cadence", "required", "a plan has a cadence, such as month");
            Err(())
        }
    };
    let billing = [("anniversary", Billing::Anniversary), ("calendar", Billing::Calendar)];
    let billing = choice(reader, "billing", &billing, Billing::Anniversary);
    let trial_days = days(reader, "trial_days", MAX_TRIAL_DAYS, 0);
    let starts = [("on_create", TrialStart::OnCreate), ("first_use", TrialStart::FirstUse)];
    let starts = choice(reader, "trial_start", &starts, TrialStart::OnCreate);
    let after_trial = [("pause", AfterTrial::Pause), ("end", AfterTrial::End)];
    let after_trial = choice(reader, "after_trial", &after_trial, AfterTrial::Pause);
    let grace_days = days(reader, "grace_days", MAX_GRACE_DAYS, GRACE_DAYS);
    let on_unpaid = [("deny", OnUnpaid::Deny), ("restrict", OnUnpaid::Restrict)];
    let on_unpaid = choice(reader, "on_unpaid", &on_unpaid, OnUnpaid::Deny);
    let bases =
        [("second", Basis::Second), ("day", Basis::Day), ("day_30_360", Basis::Day30360), ("none", Basis::None)];
    let proration = choice(reader, "proration", &bases, Basis::Second);
    let (credits_pause, credits_cancel) = (flag(reader, "credits_pause"), flag(reader, "credits_cancel"));
    Some(Terms {
        cadence: cadence.ok()?,
        billing,
        is_free,
        trial: (trial_days > 0).then_some(Trial { days: trial_days, starts }),
        after_trial,
        grace_days,
        on_unpaid,
        proration,
        credits_pause,
        credits_cancel,
    })
}

fn names(reader: &mut Reader<'_>, member: &'static str) -> Vec<String> {
    let names = reader.strings(member).given().unwrap_or_default();
    let is_name = |name: &String| (1..=200).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
    if names.len() > MAX_NAMES || !names.iter().all(is_name) {
        reader.refuse(member, "bad_value", format!("{member} takes up to {MAX_NAMES} names"));
    }
    names
}

/// The objects of a list, each with its place; anything else is a problem.
fn objects(reader: &mut Reader<'_>, member: &'static str, most: usize) -> Vec<(usize, Value)> {
    let Some(items) = reader.list(member).given() else { return Vec::new() };
    if items.len() > most {
        reader.refuse(member, "too_many", format!("{member} takes up to {most}"));
        return Vec::new();
    }
    items.into_iter().enumerate().collect()
}

fn prices(reader: &mut Reader<'_>) -> Vec<PlanPrice> {
    let mut found = Vec::new();
    for (at, item) in objects(reader, "prices", MAX_PRICES) {
        let base = format!("/prices/{at}");
        let meter = match item.get("meter") {
            None | Some(Value::Null) => None,
            Some(Value::String(key)) if is_key(key) => Some(key.clone()),
            Some(_) => {
                let detail = "meter takes the key of a meter".to_owned();
                reader.absorb(vec![FieldProblem { pointer: format!("{base}/meter"), code: "bad_value", detail }]);
                None
            }
        };
        match Price::from_json(&item, &["meter"]) {
            Ok(price) => found.push(PlanPrice { price, meter }),
            Err(problems) => reader.absorb(
                problems
                    .into_iter()
                    .map(|problem| FieldProblem { pointer: format!("{base}{}", problem.pointer), ..problem })
                    .collect(),
            ),
        }
    }
    found
}

fn entitlements(reader: &mut Reader<'_>) -> BTreeMap<String, Right> {
    let mut found = BTreeMap::new();
    for (at, item) in objects(reader, "entitlements", MAX_ENTITLEMENTS) {
        let base = format!("/entitlements/{at}");
        let Some(members) = item.as_object() else {
            let detail = "an entitlement is an object".to_owned();
            reader.absorb(vec![FieldProblem { pointer: base, code: "wrong_type", detail }]);
            continue;
        };
        let mut inner = Reader::at(&base, members);
        let feature = inner.string("feature").given().filter(|key| is_key(key));
        if feature.is_none() {
            inner.refuse("feature", "required", "an entitlement names the key of a feature");
        }
        let right = right(&mut inner, members);
        reader.absorb(inner.finish());
        if let (Some(feature), Some(right)) = (feature, right)
            && found.insert(feature, right).is_some()
        {
            let detail = "the plan has this feature already".to_owned();
            reader.absorb(vec![FieldProblem { pointer: format!("{base}/feature"), code: "taken", detail }]);
        }
    }
    found
}

fn right(reader: &mut Reader<'_>, members: &Map<String, Value>) -> Option<Right> {
    let has_limit = reader.has("limit");
    let resets: Vec<(&str, Reset)> = Reset::ALL.iter().map(|reset| (reset.name(), *reset)).collect();
    let reset = choice(reader, "reset", &resets, Reset::Period);
    let overages: Vec<(&str, Overage)> = Overage::ALL.iter().map(|overage| (overage.name(), *overage)).collect();
    let overage = choice(reader, "overage", &overages, Overage::Deny);
    reader.is_given("value");
    match (members.get("value"), has_limit) {
        (Some(_), true) => {
            reader.refuse("value", "bad_value", "an entitlement has a value or a limit, not both");
            None
        }
        (Some(Value::Bool(true)), false) => Some(Right::Boolean),
        (Some(Value::String(text)), false) if text.chars().count() <= MAX_TEXT => Some(Right::Text(text.clone())),
        (Some(Value::Number(number)), false) if number.as_i64().is_some() => {
            Some(Right::Number(Decimal::from(number.as_i64().unwrap_or_default())))
        }
        (Some(_), false) => {
            reader.refuse("value", "bad_value", "value takes true, a whole number, or a text of up to 200 characters");
            None
        }
        (None, true) => {
            let limit = match members.get("limit") {
                None | Some(Value::Null) => None,
                Some(Value::String(text)) => Some(Decimal::parse_value(text)),
                Some(Value::Number(number)) => Some(Decimal::parse_value(&number.to_string())),
                Some(_) => Some(Err(kernel::decimal::DecimalError::NotANumber)),
            };
            match limit.transpose() {
                Ok(limit) if limit.is_none_or(|limit| !limit.is_negative()) => {
                    Some(Right::Metered { limit, overage, reset })
                }
                _ => {
                    let detail =
                        "limit takes a decimal of 0 or more with up to 12 fraction digits, or null for no limit";
                    reader.refuse("limit", "bad_value", detail);
                    None
                }
            }
        }
        (None, false) => {
            reader.refuse("value", "required", "an entitlement has a value, or a limit that may be null");
            None
        }
    }
}
