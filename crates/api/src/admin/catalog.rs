//! What is sold: `/api/features`, `/api/meters` and `/api/plans`.

use billing::catalog::Feature;
use billing::catalog_change::StoredMeter;
use billing::plan::{Plan, PlanState};
use kernel::id::{self, Id};
use serde_json::{Map, Value, json};

use super::customers::{add, corrupt, cut, missing, one_more};
use super::{Ask, Reply, bad_cursor, change};
use crate::problem::Problem;

/// The place of a list that is ordered by key.
fn key(ask: &Ask) -> Result<String, Problem> {
    let place = ask.position()?.unwrap_or_default();
    String::from_utf8(place).map_err(|_| bad_cursor())
}

fn feature_view(feature: &Feature) -> Value {
    let times = json!({"created_at": feature.created_at.to_string(), "updated_at": feature.updated_at.to_string()});
    add(add(json!({"id": feature.id}), feature.view()), times)
}

fn feature_id(ask: &Ask) -> Result<Id<id::Feature>, Problem> {
    Id::parse(ask.param("feature_id")).map_err(|_| missing("feature"))
}

pub(super) async fn features(ask: &Ask) -> Result<Reply, Problem> {
    let limit = ask.limit()?;
    let found = ask.app.billing.features_after(&ask.tenant, &key(ask)?, one_more(limit)).await.map_err(corrupt)?;
    let (page, last) = cut(&found, limit);
    let data: Vec<Value> = page.iter().map(feature_view).collect();
    Ok(ask.page(&data, last.map(|last| last.key.as_bytes())))
}

pub(super) async fn feature(ask: &Ask) -> Result<Reply, Problem> {
    let found = ask.app.billing.feature(&ask.tenant, feature_id(ask)?).await.map_err(corrupt)?;
    let feature = found.ok_or_else(|| missing("feature"))?;
    Ok(Reply::ok(feature_view(&feature)).version(feature.version))
}

pub(super) async fn create_feature(ask: &Ask) -> Result<Reply, Problem> {
    change!(ask, ask.app.billing.create_feature(&ask.who, &ask.tenant, &ask.body), |feature: Feature| {
        let location = format!("{}/api/features/{}", ask.tenant.issuer, feature.id);
        Reply::created(location, feature_view(&feature)).version(feature.version)
    })
}

pub(super) async fn update_feature(ask: &Ask) -> Result<Reply, Problem> {
    let which = (feature_id(ask)?, ask.if_version()?);
    change!(ask, ask.app.billing.update_feature(&ask.who, &ask.tenant, which, &ask.body), |feature: Feature| {
        Reply::ok(feature_view(&feature)).version(feature.version)
    })
}

pub(super) async fn delete_feature(ask: &Ask) -> Result<Reply, Problem> {
    let which = (feature_id(ask)?, ask.if_version()?);
    change!(ask, ask.app.billing.delete_feature(&ask.who, &ask.tenant, which), |()| Reply::empty())
}

fn meter_view(stored: &StoredMeter) -> Value {
    let state = if stored.is_active { "active" } else { "archived" };
    let body = add(json!({"id": stored.id, "version": stored.number, "state": state}), stored.meter.to_json());
    let times = json!({"created_at": stored.created_at.to_string(), "updated_at": stored.updated_at.to_string()});
    add(body, times)
}

fn meter_id(ask: &Ask) -> Result<Id<id::Meter>, Problem> {
    Id::parse(ask.param("meter_id")).map_err(|_| missing("meter"))
}

pub(super) async fn meters(ask: &Ask) -> Result<Reply, Problem> {
    let limit = ask.limit()?;
    let found = ask.app.billing.meters(&ask.tenant, &key(ask)?, one_more(limit)).await.map_err(corrupt)?;
    let (page, last) = cut(&found, limit);
    let data: Vec<Value> = page.iter().map(meter_view).collect();
    Ok(ask.page(&data, last.map(|last| last.meter.key.as_bytes())))
}

pub(super) async fn meter(ask: &Ask) -> Result<Reply, Problem> {
    let found = ask.app.billing.meter(&ask.tenant, meter_id(ask)?).await.map_err(corrupt)?;
    let stored = found.ok_or_else(|| missing("meter"))?;
    Ok(Reply::ok(meter_view(&stored)).version(stored.version))
}

pub(super) async fn create_meter(ask: &Ask) -> Result<Reply, Problem> {
    change!(ask, ask.app.billing.create_meter(&ask.who, &ask.tenant, &ask.body), |stored: StoredMeter| {
        let location = format!("{}/api/meters/{}", ask.tenant.issuer, stored.id);
        Reply::created(location, meter_view(&stored)).version(stored.version)
    })
}

pub(super) async fn archive_meter(ask: &Ask) -> Result<Reply, Problem> {
    let which = (meter_id(ask)?, ask.if_version()?);
    change!(ask, ask.app.billing.archive_meter(&ask.who, &ask.tenant, which), |stored: StoredMeter| {
        Reply::ok(meter_view(&stored)).version(stored.version)
    })
}

fn plan_view(plan: &Plan) -> Value {
    let body = json!({"id": plan.id, "key": plan.key, "version": plan.number, "state": plan.state.name()});
    let times = json!({"created_at": plan.created_at.to_string(), "updated_at": plan.updated_at.to_string()});
    add(add(body, plan.definition.to_json()), times)
}

fn plan_id(ask: &Ask) -> Result<Id<id::Plan>, Problem> {
    Id::parse(ask.param("plan_id")).map_err(|_| missing("plan"))
}

pub(super) async fn plans(ask: &Ask) -> Result<Reply, Problem> {
    let limit = ask.limit()?;
    let place = match ask.position()? {
        None => (String::new(), 0),
        Some(bytes) => place(&bytes).ok_or_else(bad_cursor)?,
    };
    let found = ask.app.billing.plans(&ask.tenant, (&place.0, place.1), one_more(limit)).await.map_err(corrupt)?;
    let (page, last) = cut(&found, limit);
    let next = last.map(|last| [last.number.to_be_bytes().as_slice(), last.key.as_bytes()].concat());
    let data: Vec<Value> = page.iter().map(plan_view).collect();
    Ok(ask.page(&data, next.as_deref()))
}

/// The place of a cursor in the order of keys and versions.
fn place(bytes: &[u8]) -> Option<(String, i64)> {
    let (number, key) = bytes.split_first_chunk::<8>()?;
    Some((std::str::from_utf8(key).ok()?.to_owned(), i64::from_be_bytes(*number)))
}

pub(super) async fn plan(ask: &Ask) -> Result<Reply, Problem> {
    let found = ask.app.billing.plan(&ask.tenant, plan_id(ask)?).await.map_err(corrupt)?;
    let plan = found.ok_or_else(|| missing("plan"))?;
    Ok(Reply::ok(plan_view(&plan)).version(plan.version))
}

pub(super) async fn create_plan(ask: &Ask) -> Result<Reply, Problem> {
    change!(ask, ask.app.billing.create_plan(&ask.who, &ask.tenant, &ask.body), |plan: Plan| {
        let location = format!("{}/api/plans/{}", ask.tenant.issuer, plan.id);
        Reply::created(location, plan_view(&plan)).version(plan.version)
    })
}

pub(super) async fn update_plan(ask: &Ask) -> Result<Reply, Problem> {
    let which = (plan_id(ask)?, ask.if_version()?);
    let nothing = Map::new();
    let patch = match &ask.body {
        Value::Object(members) => members,
        // the reader refuses what is no object, and says so
        other => {
            record::fields::Reader::new(other).map_err(Problem::invalid)?;
            &nothing
        }
    };
    change!(ask, ask.app.billing.update_plan(&ask.who, &ask.tenant, which, patch), |plan: Plan| {
        Reply::ok(plan_view(&plan)).version(plan.version)
    })
}

pub(super) async fn set_plan_state(ask: &Ask, state: PlanState) -> Result<Reply, Problem> {
    let which = (plan_id(ask)?, ask.if_version()?);
    change!(ask, ask.app.billing.set_plan_state(&ask.who, &ask.tenant, which, state), |plan: Plan| {
        Reply::ok(plan_view(&plan)).version(plan.version)
    })
}

pub(super) async fn delete_plan(ask: &Ask) -> Result<Reply, Problem> {
    let which = (plan_id(ask)?, ask.if_version()?);
    change!(ask, ask.app.billing.delete_plan(&ask.who, &ask.tenant, which), |()| Reply::empty())
}
