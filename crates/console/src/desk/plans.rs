//! Plans: the list, one version with its calculator, drafts, publishing, archiving.

use std::collections::BTreeMap;

use axum::response::IntoResponse as _;
use billing::catalog_change::MAX_COUNTED;
use billing::estimate::{Needs, estimate};
use billing::plan::{Plan, PlanPrice, PlanState};
use http::StatusCode;
use kernel::decimal::Decimal;
use kernel::error::FieldProblem;
use kernel::id::{self, Id};
use record::plan::AdminError;
use serde_json::{Map, Value, json};

use super::ask::{Seat, to};
use super::audit::limit;
use super::customers::{cut, one_more, place};
use super::refused::{Answer, Refused, capitalized_word};
use crate::form::Entered;
use crate::pages::plan::{self as page, New, Offer, Sum, Tab, Whole, named};
use crate::pages::plans::{self, List, SECTION};

pub(super) const READ: &str = "billing:read";
pub(super) const WRITE: &str = "billing:write";
/// Versions among which those are that can be subscribed to.
const LOOKED_AT: i64 = 1_000;
/// Most events that the calculator takes.
const MAX_EVENTS: usize = 1_000;
/// What the calculator counts with at first.
const FIRST_QUANTITY: &str = "1";

pub(super) async fn list(seat: Seat) -> Answer {
    seat.need(READ)?;
    let ask = &seat.ask;
    let billing = &ask.access.billing;
    let (size, name) = (limit(ask.query("limit")), "plans of the console");
    let bytes = place(&seat, name)?;
    let after = match &bytes {
        None => (String::new(), 0),
        Some(bytes) => key_and_number(bytes).ok_or(record::Error::Cursor)?,
    };
    let mut found = billing.plans(&ask.tenant, (&after.0, after.1), one_more(size)).await?;
    let has_more = cut(&mut found, size);
    let seal = |last: &Plan| {
        let place = [last.number.to_be_bytes().as_slice(), last.key.as_bytes()].concat();
        ask.auth.seal_cursor(ask.tenant.id, name, &place)
    };
    let next = found.last().filter(|_| has_more).map(seal);
    let mut counted = Vec::with_capacity(found.len());
    for plan in found {
        let count = if plan.state == PlanState::Draft { 0 } else { billing.subscribers(&ask.tenant, plan.id).await? };
        counted.push((plan, count));
    }
    let data = List { plans: counted, limit: size, is_first: bytes.is_none(), next };
    Ok(plans::list(&seat.visit(), &data).into_response())
}

/// A place in the order of keys and numbers.
fn key_and_number(bytes: &[u8]) -> Option<(String, i64)> {
    let (number, key) = bytes.split_first_chunk::<8>()?;
    Some((std::str::from_utf8(key).ok()?.to_owned(), i64::from_be_bytes(*number)))
}

/// The newest active version of each plan.
pub(super) async fn offers(seat: &Seat) -> Result<Vec<Offer>, Refused> {
    let ask = &seat.ask;
    let all = ask.access.billing.plans(&ask.tenant, ("", 0), LOOKED_AT).await?;
    let newest = all.iter().filter(|plan| plan.state == PlanState::Active).fold(BTreeMap::new(), |mut map, plan| {
        map.insert(plan.key.clone(), plan);
        map
    });
    Ok(newest.into_values().map(Offer::of).collect())
}

/// What a definition begins with: one that can be published as it is, with the first meter and features of the tenant.
async fn example(seat: &Seat) -> Result<String, Refused> {
    let ask = &seat.ask;
    let billing = &ask.access.billing;
    let features = billing.features(&ask.tenant).await?;
    let meters = billing.active_meters(&ask.tenant).await?;
    let mut prices = vec![json!({"model": "flat", "amount": "49", "currency": "EUR", "timing": "advance"})];
    if let Some(meter) = meters.keys().next() {
        prices.push(json!({
            "model": "graduated", "currency": "EUR", "timing": "arrears", "meter": meter,
            "tiers": [{"up_to": "1000", "unit_amount": "0"}, {"up_to": null, "unit_amount": "0.002"}],
        }));
    }
    let grants = features.values().take(3).map(|feature| match feature.kind {
        billing::catalog::FeatureKind::Boolean => json!({"feature": feature.key, "value": true}),
        billing::catalog::FeatureKind::Static => json!({"feature": feature.key, "value": 5}),
        billing::catalog::FeatureKind::Metered => {
            json!({"feature": feature.key, "limit": "100000", "reset": "period", "overage": "allow"})
        }
    });
    let whole = json!({
        "name": "Pro", "cadence": "month", "trial_days": 14, "grace_days": 14, "prices": prices,
        "entitlements": grants.collect::<Vec<_>>(),
    });
    Ok(serde_json::to_string_pretty(&whole).map_err(|_| store::Error::RowCorrupt)?)
}

/// The version of the address.
async fn held(seat: &Seat) -> Result<Plan, Refused> {
    let id = seat.ask.id::<id::Plan>("plan")?;
    seat.ask.access.billing.plan(&seat.ask.tenant, id).await?.ok_or_else(Refused::not_found)
}

pub(super) async fn new(seat: Seat) -> Answer {
    seat.need(WRITE)?;
    let ask = &seat.ask;
    let from = match Id::<id::Plan>::parse(ask.query("from")) {
        Ok(id) => Some(ask.access.billing.plan(&ask.tenant, id).await?.ok_or_else(Refused::not_found)?),
        Err(_) => None,
    };
    let data = match from {
        Some(plan) => New {
            definition: serde_json::to_string_pretty(&plan.definition.to_json())
                .map_err(|_| store::Error::RowCorrupt)?,
            key: plan.key,
            form: ask.new_form(),
        },
        None => New { key: String::new(), definition: example(&seat).await?, form: ask.new_form() },
    };
    Ok(page::new(&seat.visit(), &data, &Entered::default()).into_response())
}

/// The members of the definition that was typed, or what is wrong with the text.
fn typed(seat: &Seat) -> Result<Map<String, Value>, AdminError> {
    let refuse = |detail: String| AdminError::Invalid(vec![FieldProblem::new("", "bad_value", detail)]);
    match serde_json::from_str(seat.ask.field("definition")) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(refuse("a definition is an object: it begins with { and ends with }".to_owned())),
        Err(error) => Err(refuse(format!("this is no JSON: {error}"))),
    }
}

/// What is wrong with a definition, each with its place in it; or an error that is not of the form.
fn returned(error: AdminError) -> Result<Vec<(String, String)>, Refused> {
    match error {
        AdminError::Invalid(list) => Ok(list.iter().map(placed).collect()),
        AdminError::State(sentence) => Ok(vec![(String::new(), format!("{}.", capitalized_word(&sentence)))]),
        other => Err(other.into()),
    }
}

fn placed(problem: &FieldProblem) -> (String, String) {
    let detail = problem.detail.trim_end_matches('.');
    match problem.pointer.as_str() {
        "/key" => ("key".to_owned(), format!("{}.", capitalized_word(detail))),
        "" | "/" => ("definition".to_owned(), format!("{}.", capitalized_word(detail))),
        pointer => ("definition".to_owned(), format!("{pointer}: {detail}.")),
    }
}

pub(super) async fn create(seat: Seat) -> Answer {
    seat.need(WRITE)?;
    let ask = &seat.ask;
    if !ask.is_first_of_form() {
        return Ok(to(&format!("{}/{SECTION}", ask.root)));
    }
    let made = async {
        let mut members = typed(&seat)?;
        members.insert("key".to_owned(), Value::from(ask.field("key").trim()));
        let planned = ask.access.billing.create_plan(&seat.who, &ask.tenant, &Value::Object(members)).await?;
        ask.auth.run(planned).await
    };
    match made.await {
        Ok(plan) => {
            let here = format!("{}/{SECTION}/{}", ask.root, plan.id);
            Ok(seat.done(&here, format!("{} is a draft", named(&plan)), None))
        }
        Err(error) => {
            ask.forget_form();
            let entered = Entered { problems: returned(error)?, ..ask.entered() };
            let data = New { key: ask.field("from").to_owned(), definition: String::new(), form: ask.new_form() };
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page::new(&seat.visit(), &data, &entered)).into_response())
        }
    }
}

/// The numbers of a field of the calculator: one, or several between commas for events.
fn numbers(text: &str, needs: Needs) -> Result<Vec<Decimal>, String> {
    let parts: Vec<&str> = text.split([',', ' ']).map(str::trim).filter(|part| !part.is_empty()).collect();
    if parts.len() > MAX_EVENTS || (needs != Needs::Events && parts.len() > 1) {
        return Err(match needs {
            Needs::Events => format!("This takes up to {MAX_EVENTS} values."),
            _ => "This takes one number, such as 1500 or 0.5.".to_owned(),
        });
    }
    let number = |part: &str| match Decimal::parse_value(part) {
        Ok(value) if !value.is_negative() => Ok(value),
        _ => Err(format!("{part} is no number of 0 or more with up to 12 fraction digits.")),
    };
    parts.into_iter().map(number).collect()
}

/// The calculator: what each price comes to with what was typed, and the sums.
fn sum(seat: &Seat, prices: &[PlanPrice]) -> Sum {
    let ask = &seat.ask;
    let given = |name: &str, first: &str| match ask.query(name).trim() {
        "" => first.to_owned(),
        text => text.to_owned(),
    };
    let mut sum = Sum { quantity: given("quantity", FIRST_QUANTITY), ..Sum::default() };
    for (at, price) in prices.iter().enumerate() {
        let needs = price.needs();
        let text = match needs {
            Needs::Nothing => String::new(),
            Needs::Held => sum.quantity.clone(),
            Needs::Used => given(&format!("q{at}"), "0"),
            Needs::Events => given(&format!("q{at}"), ""),
        };
        let found = numbers(&text, needs).and_then(|values| {
            estimate(price, &values).map_err(|error| format!("{}.", capitalized_word(&error.to_string())))
        });
        if let Ok(found) = &found {
            match sum.totals.iter_mut().find(|total| total.currency() == found.amount.currency()) {
                Some(total) => *total = total.plus(found.amount).unwrap_or(*total),
                None => sum.totals.push(found.amount),
            }
        }
        sum.typed.push(text);
        sum.estimates.push(found);
    }
    // a sum that leaves something out is none
    if sum.estimates.iter().any(Result::is_err) {
        sum.totals.clear();
    }
    sum
}

async fn page_of(seat: &Seat, plan: Plan) -> Result<Whole, Refused> {
    let ask = &seat.ask;
    let billing = &ask.access.billing;
    let versions = billing.plan_versions(&ask.tenant, &plan.key).await?;
    let subscribers = billing.subscribers(&ask.tenant, plan.id).await?;
    let features = billing.features(&ask.tenant).await?;
    Ok(Whole {
        sum: sum(seat, &plan.definition.prices),
        versions: versions.iter().map(|plan| (plan.id.to_string(), plan.number, plan.state)).collect(),
        is_capped: subscribers >= MAX_COUNTED.unsigned_abs(),
        subscribers,
        features: features.into_iter().map(|(key, feature)| (key, feature.name)).collect(),
        plan,
    })
}

async fn draw(seat: &Seat, tab: Tab, entered: &Entered) -> Answer {
    seat.need(READ)?;
    let whole = page_of(seat, held(seat).await?).await?;
    let status = if entered.problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok((status, page::detail(&seat.visit(), &whole, tab, entered)).into_response())
}

pub(super) async fn show(seat: Seat) -> Answer {
    draw(&seat, Tab::Overview, &Entered::default()).await
}

pub(super) async fn show_part(seat: Seat) -> Answer {
    let tab = Tab::parse(seat.ask.param("part")).ok_or_else(Refused::not_found)?;
    draw(&seat, tab, &Entered::default()).await
}

/// The form and the buttons of one version.
pub(super) async fn change(seat: Seat) -> Answer {
    seat.need(WRITE)?;
    let plan = held(&seat).await?;
    let here = format!("{}/{SECTION}/{}", seat.ask.root, plan.id);
    match seat.ask.param("part") {
        "definition" => save(&seat, &plan, &here).await,
        "publish" => publish(&seat, &plan, &here).await,
        "archive" => {
            let ask = &seat.ask;
            let billing = &ask.access.billing;
            let planned = billing.set_plan_state(&seat.who, &ask.tenant, (plan.id, None), PlanState::Archived).await?;
            ask.auth.run(planned).await?;
            Ok(seat.done(&here, format!("{} is archived", named(&plan)), None))
        }
        "delete" => {
            let ask = &seat.ask;
            let planned = ask.access.billing.delete_plan(&seat.who, &ask.tenant, (plan.id, None)).await?;
            ask.auth.run(planned).await?;
            let list = format!("{}/{SECTION}", ask.root);
            Ok(seat.done(&list, format!("The draft of {} is deleted", plan.key), None))
        }
        _ => Err(Refused::not_found()),
    }
}

async fn save(seat: &Seat, plan: &Plan, here: &str) -> Answer {
    let ask = &seat.ask;
    let version = ask.field("etag").parse().ok();
    let saved = async {
        let mut patch = typed(seat)?;
        // what was taken out of the text is taken out of the definition
        if let Value::Object(present) = plan.definition.to_json() {
            for name in present.keys() {
                patch.entry(name.clone()).or_insert(Value::Null);
            }
        }
        let planned = ask.access.billing.update_plan(&seat.who, &ask.tenant, (plan.id, version), &patch).await?;
        ask.auth.run(planned).await
    };
    let mut entered = ask.entered();
    match saved.await {
        Ok(_) => return Ok(seat.done(here, "Saved".to_owned(), None)),
        Err(AdminError::Stale | AdminError::Store(store::Error::Conflict(_))) => {
            let stored = serde_json::to_string_pretty(&held(seat).await?.definition.to_json());
            let stored = stored.map_err(|_| store::Error::RowCorrupt)?;
            entered.overtaken([("Definition", stored, ask.field("definition").to_owned())]);
        }
        Err(error) => entered.problems = returned(error)?,
    }
    draw(seat, Tab::Definition, &entered).await
}

async fn publish(seat: &Seat, plan: &Plan, here: &str) -> Answer {
    let ask = &seat.ask;
    let which = (plan.id, None);
    let done = match ask.access.billing.set_plan_state(&seat.who, &ask.tenant, which, PlanState::Active).await {
        Ok(planned) => ask.auth.run(planned).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(_) => Ok(seat.done(here, format!("{} is published", named(plan)), None)),
        Err(AdminError::Invalid(list)) => {
            let text = serde_json::to_string_pretty(&plan.definition.to_json());
            let text = text.map_err(|_| store::Error::RowCorrupt)?;
            let entered = Entered {
                values: vec![("definition".to_owned(), text)],
                problems: list.iter().map(placed).collect(),
                ..Entered::default()
            };
            draw(seat, Tab::Definition, &entered).await
        }
        Err(error) => Err(error.into()),
    }
}
