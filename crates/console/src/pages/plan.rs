//! One version of a plan: terms, prices with a calculator, what it grants, its definition, danger zone.

use std::collections::BTreeMap;

use askama::Template;
use billing::estimate::{Estimate, Needs};
use billing::plan::{Plan, PlanPrice, PlanState};
use billing::price::{Model, TaxBehavior, Tiers, Timing};
use billing::rating::PartKind;
use billing::standing::Right;
use billing::subscription::{AfterTrial, OnUnpaid, TrialStart};
use kernel::decimal::Decimal;
use kernel::money::{Currency, Money};
use kernel::standing::{Entitlement, Overage, Reset};

use super::plans::{SECTION, versions};
use crate::address::counted;
use crate::badge::{self, Badge};
use crate::code;
use crate::form::{Confirm, Entered, Field};
use crate::moment::{Grouped, Moment, grouped};
use crate::shell::{Document, Frame, Visit};

/// A plan that can be subscribed to.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Its key.
    pub key: String,
    /// The newest active version.
    pub number: i64,
    /// For people.
    pub name: String,
    /// What it costs, in one line.
    pub price: String,
}

impl Offer {
    pub(crate) fn of(plan: &Plan) -> Self {
        Self { key: plan.key.clone(), number: plan.number, name: plan.definition.name.clone(), price: price_line(plan) }
    }
}

/// `Pro, version 2`.
pub(crate) fn named(plan: &Plan) -> String {
    format!("{}, version {}", plan.definition.name, plan.number)
}

/// An amount of major units with at least the digits of its currency: `49.00 EUR`, `0.002 EUR`.
fn money(amount: Decimal, currency: Currency) -> String {
    let mut text = amount.to_string();
    let places = usize::from(currency.exponent());
    let given = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    if given < places {
        if given == 0 {
            text.push('.');
        }
        text.extend(std::iter::repeat_n('0', places.saturating_sub(given)));
    }
    format!("{} {}", grouped(&text), currency.code())
}

fn amount(money: Money) -> String {
    format!("{} {}", grouped(&money.amount_text()), money.currency().code())
}

/// What one unit is called.
fn unit(price: &PlanPrice) -> &str {
    price.meter.as_deref().unwrap_or("unit")
}

/// What a price says, in a few words.
fn price_words(price: &PlanPrice, cadence: &str) -> String {
    let money = |amount: Decimal| money(amount, price.price.currency);
    match &price.price.model {
        Model::Flat { amount } => format!("{} each {cadence}", money(*amount)),
        Model::PerUnit { unit_amount } => format!("{} per {}", money(*unit_amount), unit(price)),
        Model::Graduated(_) | Model::Volume(_) => format!("by tiers of {}", unit(price)),
        Model::Package { size, amount, .. } => {
            format!("{} per {} {}", money(*amount), grouped(&size.to_string()), unit(price))
        }
        Model::Percentage(percentage) => format!("{} % of {}", percentage.rate, unit(price)),
        Model::GraduatedPercentage(_) => format!("percent by tiers of {}", unit(price)),
    }
}

/// What a plan costs, in one line.
pub(crate) fn price_line(plan: &Plan) -> String {
    let cadence = plan.definition.terms.cadence.to_string();
    let words: Vec<String> = plan.definition.prices.iter().take(3).map(|price| price_words(price, &cadence)).collect();
    match plan.definition.prices.len().saturating_sub(words.len()) {
        _ if words.is_empty() => "Free".to_owned(),
        0 => words.join(" + "),
        more => format!("{} and {more} more", words.join(" + ")),
    }
}

/// What an entitlement is worth, and its terms; those are empty for what is not metered.
fn allowance(limit: Option<Decimal>, reset: Reset, overage: Overage) -> (String, String) {
    let value = limit.map_or_else(|| "Without limit".to_owned(), |limit| grouped(&limit.to_string()));
    let window = match reset {
        Reset::Period => "each billing period",
        Reset::Hour => "each hour",
        Reset::Day => "each day",
        Reset::Month => "each month",
        Reset::Never => "in all",
    };
    let beyond = match overage {
        _ if limit.is_none() => "",
        Overage::Deny => ", refused beyond",
        Overage::Allow => ", free beyond",
        Overage::Bill => ", billed beyond",
    };
    (value, format!("{window}{beyond}"))
}

/// The words of what a plan grants.
fn right_words(right: &Right) -> (String, String) {
    match right {
        Right::Boolean => ("Yes".to_owned(), String::new()),
        Right::Text(text) => (text.clone(), String::new()),
        Right::Number(number) => (grouped(&number.to_string()), String::new()),
        Right::Metered { limit, overage, reset } => allowance(*limit, *reset, *overage),
    }
}

/// The words of what a customer may do.
pub(crate) fn entitlement_words(entitlement: &Entitlement) -> (String, String) {
    match entitlement {
        Entitlement::Boolean => ("Yes".to_owned(), String::new()),
        Entitlement::Text(text) => (text.clone(), String::new()),
        Entitlement::Number(number) => (grouped(&number.to_string()), String::new()),
        Entitlement::Metered(allowed) => allowance(allowed.limit, allowed.reset, allowed.overage),
    }
}

/// What was typed into the calculator, and what the plan comes to.
#[derive(Debug, Clone, Default)]
pub struct Sum {
    /// The quantity of the subscription, as it was typed.
    pub quantity: String,
    /// For each price in order: what was typed, where it asks for something of its own.
    pub typed: Vec<String>,
    /// For each price in order: what it comes to, or what is wrong with what was typed.
    pub estimates: Vec<Result<Estimate, String>>,
    /// The sum in each currency.
    pub totals: Vec<Money>,
}

/// A version of a plan as its pages show it.
#[derive(Debug, Clone)]
pub struct Whole {
    /// The plan.
    pub plan: Plan,
    /// Its versions, the newest first: id, number and state of each.
    pub versions: Vec<(String, i64, PlanState)>,
    /// How many subscriptions to this version last.
    pub subscribers: u64,
    /// Whether there are more of them.
    pub is_capped: bool,
    /// Names of features by their keys.
    pub features: BTreeMap<String, String>,
    /// The calculator.
    pub sum: Sum,
}

/// The parts of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    /// Prices, terms and what is granted.
    Overview,
    /// All of it as JSON.
    Definition,
    /// Archiving or deletion.
    Danger,
}

impl Tab {
    const ALL: [Self; 3] = [Self::Overview, Self::Definition, Self::Danger];

    /// Last segment of its address, empty for the first.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Overview => "",
            Self::Definition => "definition",
            Self::Danger => "danger",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tab| !tab.path().is_empty() && tab.path() == text)
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Definition => "Definition",
            Self::Danger => "Danger zone",
        }
    }

    const fn operations(self) -> &'static [&'static str] {
        match self {
            Self::Overview => &["getPlan", "publishPlan", "createSubscription"],
            Self::Definition => &["getPlan", "updatePlan", "createPlan"],
            Self::Danger => &["archivePlan", "deletePlan"],
        }
    }
}

/// A field of the calculator.
struct Asked {
    name: String,
    label: String,
    hint: &'static str,
    value: String,
}

/// A price as a card of the page.
struct Price {
    title: String,
    model: &'static str,
    facts: Vec<String>,
    /// Where each tier reaches to, the amount of a unit in it, and that for reaching it.
    tiers: Vec<(String, String, String)>,
    rate: &'static str,
    asked: Option<Asked>,
    /// The lines of the estimate, and its amount; or what is wrong.
    estimate: Result<(Vec<String>, String), String>,
}

fn tiers(
    list: &Tiers,
    amount: impl Fn(Decimal) -> String,
    flat: impl Fn(Decimal) -> String,
) -> Vec<(String, String, String)> {
    let mut from = Decimal::ZERO;
    let row = |tier: &billing::price::Tier| {
        let start = grouped(&from.to_string());
        let range = match tier.up_to {
            Some(end) if from.is_zero() => format!("up to {}", grouped(&end.to_string())),
            Some(end) => format!("over {start}, up to {}", grouped(&end.to_string())),
            None if from.is_zero() => "all".to_owned(),
            None => format!("over {start}"),
        };
        from = tier.up_to.unwrap_or(from);
        let reached = if tier.flat_amount.is_zero() { "–".to_owned() } else { flat(tier.flat_amount) };
        (range, amount(tier.rate), reached)
    };
    list.as_slice().iter().map(row).collect()
}

/// How an estimate came about, line by line.
fn explained(estimate: &Estimate) -> Vec<String> {
    let (rated, currency) = (&estimate.rated, estimate.rated.currency);
    let mut lines = Vec::new();
    if !rated.free.is_zero() {
        lines.push(format!("{} are free", grouped(&rated.free.to_string())));
    }
    for part in &rated.parts {
        let tier = part.tier.map(|number| format!("Tier {number}: ")).unwrap_or_default();
        let quantity = grouped(&part.quantity.plain());
        let sum = format!("{} {}", grouped(&part.amount.plain()), currency.code());
        lines.push(match part.kind {
            PartKind::Flat => format!("{tier}{} fixed", money(part.price, currency)),
            PartKind::Percent => format!("{tier}{quantity} × {} % = {sum}", part.price),
            kind => {
                let (one, several) = match kind {
                    PartKind::Package => (" package", " packages"),
                    PartKind::Fixed => (" event", " events"),
                    PartKind::MinPerEvent => (" event at the minimum", " events at the minimum"),
                    PartKind::MaxPerEvent => (" event at the maximum", " events at the maximum"),
                    _ => ("", ""),
                };
                let what = if quantity == "1" { one } else { several };
                format!("{tier}{quantity}{what} × {} = {sum}", money(part.price, currency))
            }
        });
    }
    if rated.maximum.as_ref().is_some_and(|maximum| rated.charge == *maximum) {
        lines.push(format!("Held at the maximum of {} {}", grouped(&rated.charge.plain()), currency.code()));
    }
    if estimate.true_up.minor() > 0 {
        lines.push(format!("Lifted to the minimum by {}", amount(estimate.true_up)));
    }
    lines
}

fn price(at: usize, one: &PlanPrice, plan: &Plan, sum: &Sum) -> Price {
    let price = &one.price;
    let currency = price.currency;
    let money = |amount: Decimal| money(amount, currency);
    let percent = |rate: Decimal| format!("{rate} %");
    let mut facts = vec![match price.timing {
        Timing::Advance => "Charged when a period begins".to_owned(),
        Timing::Arrears => "Charged when a period has ended".to_owned(),
    }];
    match &one.meter {
        Some(meter) => facts.push(format!("Counted by the meter {meter}")),
        None if matches!(price.model, Model::Flat { .. }) => {}
        None => facts.push("For the quantity of the subscription".to_owned()),
    }
    match &price.model {
        Model::Package { free, .. } if !free.is_zero() => {
            facts.push(format!("{} are free", grouped(&free.to_string())));
        }
        Model::Percentage(percentage) => {
            let fixed = Some(percentage.fixed_amount).filter(|amount| !amount.is_zero());
            facts.extend(fixed.map(|amount| format!("{} for each event", money(amount))));
            facts.extend(percentage.free_events.map(|count| format!("The first {} events are free", Grouped(count))));
            facts.extend(percentage.free_amount.map(|amount| format!("The first {} are free", money(amount))));
            facts.extend(percentage.min_per_event.map(|amount| format!("At least {} for an event", money(amount))));
            facts.extend(percentage.max_per_event.map(|amount| format!("At most {} for an event", money(amount))));
        }
        _ => {}
    }
    facts.extend(price.minimum.map(|amount| format!("At least {} a period", money(amount))));
    facts.extend(price.maximum.map(|amount| format!("At most {} a period", money(amount))));
    facts.push(match price.tax_behavior {
        TaxBehavior::Exclusive => format!("Tax category {} is added", price.tax_category),
        TaxBehavior::Inclusive => format!("Tax category {} is included", price.tax_category),
    });
    let value = sum.typed.get(at).cloned().unwrap_or_default();
    let estimate = sum.estimates.get(at);
    // The quantity of the subscription is one for all prices, and has a field of its own.
    let asked = match one.needs() {
        Needs::Nothing | Needs::Held => None,
        Needs::Used => Some((format!("Used of {}", unit(one)), "")),
        Needs::Events => Some((format!("Events of {}", unit(one)), "The value of each, between commas.")),
    };
    Price {
        title: price_words(one, &plan.definition.terms.cadence.to_string()),
        model: model_word(&price.model),
        facts,
        tiers: match &price.model {
            Model::Graduated(list) | Model::Volume(list) => tiers(list, money, money),
            Model::GraduatedPercentage(list) => tiers(list, percent, money),
            _ => Vec::new(),
        },
        rate: if matches!(price.model, Model::GraduatedPercentage(_)) { "Rate" } else { "Each" },
        asked: asked.map(|(label, hint)| Asked { name: format!("q{at}"), label, hint, value }),
        estimate: match estimate {
            Some(Ok(found)) => Ok((explained(found), amount(found.amount))),
            Some(Err(error)) => Err(error.clone()),
            None => Ok((Vec::new(), "–".to_owned())),
        },
    }
}

/// The name of a model as people say it.
const fn model_word(model: &Model) -> &'static str {
    match model {
        Model::Flat { .. } => "Flat",
        Model::PerUnit { .. } => "Per unit",
        Model::Graduated(_) => "Graduated",
        Model::Volume(_) => "Volume",
        Model::Package { .. } => "Package",
        Model::Percentage(_) => "Percentage",
        Model::GraduatedPercentage(_) => "Graduated percentage",
    }
}

/// What the plan says about time and payment: label and words.
fn terms(plan: &Plan) -> Vec<(&'static str, String)> {
    let terms = &plan.definition.terms;
    let days = |days: u16| counted(usize::from(days), "day");
    let mut out = vec![
        (
            "Period",
            match terms.billing {
                billing::period::Billing::Anniversary => format!("Each {}, from the subscription on", terms.cadence),
                billing::period::Billing::Calendar => format!("Each {} of the calendar", terms.cadence),
            },
        ),
        (
            "Trial",
            terms.trial.map_or_else(
                || "None".to_owned(),
                |trial| match trial.starts {
                    TrialStart::OnCreate => days(trial.days),
                    TrialStart::FirstUse => format!("{} from the first use on", days(trial.days)),
                },
            ),
        ),
    ];
    if terms.trial.is_some() {
        let after = match terms.after_trial {
            AfterTrial::Pause => "Paused",
            AfterTrial::End => "Ended",
        };
        out.push(("A trial that nobody pays for", after.to_owned()));
    }
    if !terms.is_free {
        out.push(("Grace after a due date", days(terms.grace_days)));
    }
    let left = match terms.on_unpaid {
        OnUnpaid::Deny => "Nothing".to_owned(),
        OnUnpaid::Restrict => {
            let (scopes, features) = (&plan.definition.restricted_scopes, &plan.definition.restricted_features);
            let names: Vec<&str> = scopes.iter().chain(features).map(String::as_str).collect();
            if names.is_empty() { "Nothing".to_owned() } else { names.join(", ") }
        }
    };
    out.push(("Left when unpaid", left));
    let given: Vec<&str> = [(terms.credits_pause, "a pause"), (terms.credits_cancel, "a cancellation")]
        .into_iter()
        .filter_map(|(is_given, word)| is_given.then_some(word))
        .collect();
    if !given.is_empty() {
        out.push(("Unused time is given back after", given.join(" and ")));
    }
    out
}

struct Granted {
    feature: String,
    name: String,
    value: String,
    terms: String,
    is_left: bool,
}

#[derive(Template)]
#[template(path = "plan.html")]
struct Page<'a> {
    frame: Frame<'a>,
    whole: &'a Whole,
    here: String,
    tab: Tab,
    tabs: Vec<(&'static str, String, bool)>,
    badge: Badge,
    subscribers: String,
    created: Moment,
    updated: Moment,
    terms: Vec<(&'static str, String)>,
    prices: Vec<Price>,
    /// Whether a price is for the quantity of the subscription.
    asks_quantity: bool,
    totals: Vec<String>,
    granted: Vec<Granted>,
    versions: Vec<(String, String, Badge, bool)>,
    definition: String,
    field: Field,
    entered: &'a Entered,
    publish: Confirm,
    end: Confirm,
    next: Option<String>,
    refused: Option<String>,
}

impl Page<'_> {
    /// Whether a price asks for something of its own.
    fn asks(&self) -> bool {
        self.prices.iter().any(|price| price.asked.is_some())
    }
}

/// One part of the page; `entered` is what came back from its form.
pub fn detail<'a>(visit: &Visit<'a>, whole: &'a Whole, tab: Tab, entered: &'a Entered) -> Document {
    let plan = &whole.plan;
    let mut frame = Frame::new(visit, SECTION, &named(plan));
    let id = plan.id.to_string();
    frame.code = code::shown(tab.operations(), &visit.viewer.issuer, &[("plan_id", &id)]);
    let list = format!("{}/{SECTION}", frame.root);
    let here = format!("{list}/{id}");
    let address = |tab: Tab| if tab.path().is_empty() { here.clone() } else { format!("{here}/{}", tab.path()) };
    let refused = visit.viewer.refused("billing:write");
    let is_draft = plan.state == PlanState::Draft;
    let subscribers = format!("{}{}", Grouped(whole.subscribers), if whole.is_capped { " or more" } else { "" });
    let has = if whole.subscribers == 1 {
        "1 subscription has".to_owned()
    } else {
        format!("{subscribers} subscriptions have")
    };
    let confirm = |id: &str, title: String, consequence: String, verb: &'static str| Confirm {
        id: id.to_owned(),
        action: format!("{here}/{id}"),
        title,
        consequence,
        verb,
        typed: None,
        refused: refused.clone(),
    };
    let end = if is_draft {
        let consequence = "The draft is gone; no subscription can have it. This cannot be undone.";
        confirm("delete", format!("Delete {}", named(plan)), consequence.to_owned(), "Delete draft")
    } else {
        let consequence = format!(
            "Nobody can subscribe to this version any more. {has} it and keep it as it is. An archived version does not \
             become active again."
        );
        let archived = (plan.state == PlanState::Archived).then(|| "This version is archived already.".to_owned());
        let confirm = confirm("archive", format!("Archive {}", named(plan)), consequence, "Archive version");
        Confirm { refused: confirm.refused.clone().or(archived), ..confirm }
    };
    let definition = serde_json::to_string_pretty(&plan.definition.to_json()).unwrap_or_default();
    Document::of(&Page {
        tabs: Tab::ALL.map(|each| (each.word(), address(each), each == tab)).to_vec(),
        badge: badge::of(plan.state.name()),
        created: Moment::new(plan.created_at, visit.now),
        updated: Moment::new(plan.updated_at, visit.now),
        terms: terms(plan),
        prices: (0..).zip(&plan.definition.prices).map(|(at, one)| price(at, one, plan, &whole.sum)).collect(),
        asks_quantity: plan.definition.prices.iter().any(|price| price.needs() == Needs::Held),
        totals: whole.sum.totals.iter().map(|total| amount(*total)).collect(),
        granted: plan
            .definition
            .entitlements
            .iter()
            .map(|(feature, right)| {
                let (value, terms) = right_words(right);
                Granted {
                    name: whole.features.get(feature).unwrap_or(feature).clone(),
                    is_left: plan.definition.restricted_features.contains(feature),
                    feature: feature.clone(),
                    value,
                    terms,
                }
            })
            .collect(),
        versions: versions(&whole.versions)
            .into_iter()
            .map(|(id, word, badge)| (format!("{list}/{id}"), word, badge, id == plan.id.to_string()))
            .collect(),
        field: definition_field().given(&definition, entered),
        definition,
        publish: confirm(
            "publish",
            format!("Publish {}", named(plan)),
            "Customers can subscribe to it from now on. A version that was published does not change any more; a change \
             is the next version."
                .to_owned(),
            "Publish",
        ),
        end,
        // one draft at a time: the next version begins where this one is published
        next: (!whole.versions.iter().any(|(_, _, state)| *state == PlanState::Draft))
            .then(|| format!("{list}/new?from={id}")),
        subscribers,
        refused,
        whole,
        here,
        tab,
        entered,
        frame,
    })
}

fn definition_field() -> Field {
    Field::new("definition", "Definition", "text")
        .lines(24)
        .hint("JSON in the form of the API: name, cadence, prices, entitlements and terms.")
}

/// A plan that is about to be made, or the next version of one.
#[derive(Debug, Clone, Default)]
pub struct New {
    /// The key of the plan whose next version this is; empty for a new plan.
    pub key: String,
    /// What the form begins with.
    pub definition: String,
    /// Names the form, so that sending it twice makes one.
    pub form: String,
}

#[derive(Template)]
#[template(path = "plan_new.html")]
struct NewPage<'a> {
    frame: Frame<'a>,
    list: String,
    data: &'a New,
    key: Field,
    field: Field,
    entered: &'a Entered,
}

/// The form for a new plan, or for the next version of one.
pub fn new<'a>(visit: &Visit<'a>, data: &'a New, entered: &'a Entered) -> Document {
    let title = if data.key.is_empty() { "New plan".to_owned() } else { format!("Next version of {}", data.key) };
    let frame = Frame::new(visit, SECTION, &title);
    Document::of(&NewPage {
        list: format!("{}/{SECTION}", frame.root),
        key: Field::new("key", "Key", "text")
            .hint("What its versions share and programs name, such as pro: a-z, 0-9, dot, hyphen, underscore.")
            .autocomplete("off")
            .given(&data.key, entered),
        field: definition_field().given(&data.definition, entered),
        data,
        entered,
        frame,
    })
}
