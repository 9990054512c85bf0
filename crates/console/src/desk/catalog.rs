//! Features and meters.

use axum::response::IntoResponse as _;
use http::StatusCode;
use kernel::id::{self, Id};
use record::plan::AdminError;
use serde_json::{Map, Value};

use super::ask::{Seat, to};
use super::customers::{cut, one_more};
use super::plans::{READ, WRITE};
use super::refused::{Answer, Refused, capitalized_word, problems};
use crate::form::Entered;
use crate::pages::catalog::{self, Catalog, SECTION};

/// Features, and meters, on a page.
const SIZE: u32 = 100;

async fn draw(seat: &Seat, entered: &Entered) -> Answer {
    seat.need(READ)?;
    let ask = &seat.ask;
    let billing = &ask.access.billing;
    let mut features = billing.features_after(&ask.tenant, ask.query("features"), one_more(SIZE)).await?;
    let has_more_features = cut(&mut features, SIZE);
    let mut meters = billing.meters(&ask.tenant, ask.query("meters"), one_more(SIZE)).await?;
    let has_more_meters = cut(&mut meters, SIZE);
    let data = Catalog {
        more_features: features.last().filter(|_| has_more_features).map(|last| last.key.clone()),
        more_meters: meters.last().filter(|_| has_more_meters).map(|last| last.meter.key.clone()),
        counting: billing.active_meters(&ask.tenant).await?.into_keys().collect(),
        form: ask.new_form(),
        features,
        meters,
    };
    let status = if entered.problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok((status, catalog::page(&seat.visit(), &data, entered)).into_response())
}

pub(super) async fn list(seat: Seat) -> Answer {
    draw(&seat, &Entered::default()).await
}

fn here(seat: &Seat) -> String {
    format!("{}/{SECTION}", seat.ask.root)
}

/// The fields of a form that say something, under the names that the API has for them.
fn body(seat: &Seat, fields: &[(&str, &str)]) -> Value {
    let given = fields.iter().map(|(name, member)| (*member, seat.ask.field(name).trim()));
    let members: Map<String, Value> = given
        .filter(|(_, value)| !value.is_empty())
        .map(|(member, value)| (member.to_owned(), Value::from(value)))
        .collect();
    Value::Object(members)
}

/// The form again with what is wrong with it, or an error that is not of the form.
async fn back(seat: &Seat, error: AdminError, key: &str) -> Answer {
    seat.ask.forget_form();
    let found = match error {
        AdminError::Invalid(list) => {
            let at = |name: String| if name == "key" { key.to_owned() } else { name };
            problems(list).into_iter().map(|(name, text)| (at(name), text)).collect()
        }
        AdminError::Taken(_, sentence) => vec![(key.to_owned(), format!("{}.", capitalized_word(&sentence)))],
        other => return Err(other.into()),
    };
    draw(seat, &Entered { problems: found, ..seat.ask.entered() }).await
}

pub(super) async fn create_feature(seat: Seat) -> Answer {
    seat.need(WRITE)?;
    let ask = &seat.ask;
    if !ask.is_first_of_form() {
        return Ok(to(&here(&seat)));
    }
    let body =
        body(&seat, &[("key", "key"), ("name", "name"), ("kind", "kind"), ("meter", "meter"), ("combine", "combine")]);
    let made = async {
        let planned = ask.access.billing.create_feature(&seat.who, &ask.tenant, &body).await?;
        ask.auth.run(planned).await
    };
    match made.await {
        Ok(feature) => Ok(seat.done(&here(&seat), format!("The feature {} is there", feature.key), None)),
        Err(error) => back(&seat, error, "key").await,
    }
}

pub(super) async fn create_meter(seat: Seat) -> Answer {
    seat.need(WRITE)?;
    let ask = &seat.ask;
    if !ask.is_first_of_form() {
        return Ok(to(&here(&seat)));
    }
    let body = body(
        &seat,
        &[
            ("meter_key", "key"),
            ("event_type", "event_type"),
            ("aggregation", "aggregation"),
            ("value_path", "value_path"),
            ("unit", "unit"),
        ],
    );
    let made = async {
        let planned = ask.access.billing.create_meter(&seat.who, &ask.tenant, &body).await?;
        ask.auth.run(planned).await
    };
    match made.await {
        Ok(stored) => {
            let sentence = format!("Version {} of the meter {} counts", stored.number, stored.meter.key);
            Ok(seat.done(&here(&seat), sentence, None))
        }
        Err(error) => back(&seat, error, "meter_key").await,
    }
}

/// The forms and buttons of one feature.
pub(super) async fn change_feature(seat: Seat) -> Answer {
    seat.need(WRITE)?;
    let ask = &seat.ask;
    let id: Id<id::Feature> = ask.id("feature")?;
    let billing = &ask.access.billing;
    let done = match ask.param("part") {
        "settings" => {
            let version = ask.field("etag").parse().ok();
            let combine = if ask.field("combine") == "sum" { "sum" } else { "largest" };
            let body = serde_json::json!({"name": ask.field("name").trim(), "combine": combine});
            match billing.update_feature(&seat.who, &ask.tenant, (id, version), &body).await {
                Ok(planned) => ask.auth.run(planned).await.map(|feature| format!("{} is saved", feature.key)),
                Err(error) => Err(error),
            }
        }
        "delete" => match billing.delete_feature(&seat.who, &ask.tenant, (id, None)).await {
            Ok(planned) => ask.auth.run(planned).await.map(|()| "The feature is deleted".to_owned()),
            Err(error) => Err(error),
        },
        _ => return Err(Refused::not_found()),
    };
    let sentence = match done {
        Ok(sentence) => return Ok(seat.done(&here(&seat), sentence, None)),
        Err(AdminError::Taken(_, sentence)) => sentence,
        Err(AdminError::Invalid(list)) => list.into_iter().map(|problem| problem.detail).collect::<Vec<_>>().join("; "),
        Err(error) => return Err(error.into()),
    };
    let problem = (String::new(), format!("{}.", capitalized_word(&sentence)));
    draw(&seat, &Entered { problems: vec![problem], ..Entered::default() }).await
}

pub(super) async fn archive_meter(seat: Seat) -> Answer {
    seat.need(WRITE)?;
    let ask = &seat.ask;
    let id: Id<id::Meter> = ask.id("meter")?;
    let planned = ask.access.billing.archive_meter(&seat.who, &ask.tenant, (id, None)).await?;
    let stored = ask.auth.run(planned).await?;
    Ok(seat.done(&here(&seat), format!("The meter {} is archived", stored.meter.key), None))
}
