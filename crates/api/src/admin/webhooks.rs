//! Webhook endpoints and their deliveries: `/api/webhooks`.

use auth::error::FieldProblem;
use http::StatusCode;
use kernel::event::nearest;
use kernel::id::{self, Id};
use kernel::patch::Field;
use record::outbox;
use serde_json::{Value, json};
use webhook::change::{self, EndpointFields, Saved, Test};
use webhook::delivery::{self, Attempt, Delivery, DeliveryState, Health, Range};
use webhook::{Endpoint, endpoint};

use super::{Ask, Reply, change};
use crate::problem::{Problem, from_admin};
use record::fields::Reader;

fn missing(what: &str) -> Problem {
    Problem::not_found(format!("there is no {what} with this id in this tenant"))
}

fn corrupt(error: store::Error) -> Problem {
    from_admin(&error.into())
}

fn add(mut body: Value, members: Value) -> Value {
    if let (Value::Object(body), Value::Object(members)) = (&mut body, members) {
        body.extend(members);
    }
    body
}

fn view(ask: &Ask, endpoint: &Endpoint) -> Value {
    let overlap = endpoint.overlap(ask.app.auth.clock.now());
    let public = |key: &str| endpoint.signing.has_public_key().then(|| key.to_owned());
    json!({
        "id": endpoint.id.to_string(), "url": endpoint.url, "types": endpoint.filter.names(),
        "description": endpoint.description, "signing": endpoint.signing.name(),
        "rate_per_second": endpoint.rate_per_second, "state": endpoint.state.name(),
        "reason": endpoint.reason.map(endpoint::Reason::name), "state_since": endpoint.state_at.to_string(),
        "public_key": public(&endpoint.public_key),
        "old_public_key": overlap.and_then(|old| public(&old.public_key)),
        "overlap_ends_at": overlap.map(|old| old.until.to_string()),
        "last_success_at": endpoint.last_success_at.map(|at| at.to_string()),
        "failing_since": endpoint.failing_since.map(|at| at.to_string()),
        "created_at": endpoint.created_at.to_string(), "updated_at": endpoint.updated_at.to_string(),
    })
}

fn saved_view(ask: &Ask, saved: &Saved) -> Value {
    let body = view(ask, &saved.endpoint);
    match &saved.secret {
        Some(secret) => add(body, json!({"secret": secret.reveal()})),
        None => body,
    }
}

fn health_view(health: Health) -> Value {
    json!({
        "backlog": health.backlog.min(delivery::MAX_BACKLOG), "is_backlog_capped": health.backlog > delivery::MAX_BACKLOG,
        "attempts": health.measured, "succeeded": health.succeeded, "p95_ms": health.p95_ms,
    })
}

fn delivery_view(delivery: &Delivery, endpoint: Id<id::Webhook>) -> Value {
    json!({
        "id": delivery.id.to_string(), "webhook_id": endpoint.to_string(), "event_id": delivery.event_id.to_string(),
        "type": delivery.kind, "state": delivery.state.name(), "attempt_count": delivery.attempts,
        "last_status": delivery.last_status, "last_error": delivery.last_error,
        "next_at": delivery.next_at.map(|at| at.to_string()), "created_at": delivery.created_at.to_string(),
        "ended_at": delivery.ended_at.map(|at| at.to_string()),
    })
}

fn attempt_view(attempt: &Attempt) -> Value {
    json!({
        "number": attempt.number, "at": attempt.at.to_string(), "duration_ms": attempt.duration_ms,
        "status": attempt.status, "error": attempt.error, "node": attempt.node,
    })
}

fn test_view(test: Test) -> Value {
    json!({"event_id": test.event.to_string(), "delivery_id": test.delivery.to_string()})
}

fn accepted(body: Value) -> Reply {
    Reply { status: StatusCode::ACCEPTED, ..Reply::ok(body) }
}

fn webhook_id(ask: &Ask) -> Result<Id<id::Webhook>, Problem> {
    Id::parse(ask.param("webhook_id")).map_err(|_| missing("webhook endpoint"))
}

fn delivery_id(ask: &Ask) -> Result<Id<id::Delivery>, Problem> {
    Id::parse(ask.param("delivery_id")).map_err(|_| missing("delivery"))
}

async fn held(ask: &Ask) -> Result<Endpoint, Problem> {
    let found = endpoint::read(&ask.app.auth.store, ask.tenant.id, webhook_id(ask)?).await.map_err(corrupt)?;
    found.ok_or_else(|| missing("webhook endpoint"))
}

fn read(body: &Value) -> EndpointFields {
    let mut reader = match Reader::new(body) {
        Ok(reader) => reader,
        Err(problems) => return EndpointFields { problems, ..EndpointFields::default() },
    };
    let fields = EndpointFields {
        problems: Vec::new(),
        url: reader.string("url"),
        types: reader.strings("types"),
        description: reader.string("description"),
        signing: reader.string("signing"),
        rate_per_second: reader.integer("rate_per_second"),
    };
    EndpointFields { problems: reader.finish(), ..fields }
}

pub(super) async fn list(ask: &Ask) -> Result<Reply, Problem> {
    let limit = usize::try_from(ask.limit()?).unwrap_or(0);
    let after = ask.position_id()?.map(Id::<id::Webhook>::from_bytes);
    let more = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
    let found = endpoint::list(&ask.app.auth.store, ask.tenant.id, after, more).await.map_err(corrupt)?;
    let next = found.get(limit).and(limit.checked_sub(1)).and_then(|i| found.get(i)).map(|e| *e.id.as_bytes());
    let data: Vec<Value> = found.iter().take(limit).map(|endpoint| view(ask, endpoint)).collect();
    Ok(ask.page(&data, next.as_ref().map(<[u8; 16]>::as_slice)))
}

pub(super) async fn get(ask: &Ask) -> Result<Reply, Problem> {
    let endpoint = held(ask).await?;
    let auth = &ask.app.auth;
    let health = delivery::health(&auth.store, ask.tenant.id, endpoint.id, auth.clock.now()).await.map_err(corrupt)?;
    let body = add(view(ask, &endpoint), json!({"health": health_view(health)}));
    // the tag is for changes alone: how it fares changes without a new one, so no answer is left out for it
    Ok(Reply::ok(body).version(endpoint.version))
}

pub(super) async fn create(ask: &Ask) -> Result<Reply, Problem> {
    change!(ask, change::create(&ask.app.auth, &ask.who, &ask.tenant, read(&ask.body)), |saved: Saved| {
        let location = format!("{}/api/webhooks/{}", ask.tenant.issuer, saved.endpoint.id);
        Reply::created(location, saved_view(ask, &saved)).version(saved.endpoint.version)
    })
}

pub(super) async fn update(ask: &Ask) -> Result<Reply, Problem> {
    let which = (webhook_id(ask)?, ask.if_version()?);
    change!(ask, change::patch(&ask.app.auth, &ask.who, &ask.tenant, which, read(&ask.body)), |saved: Saved| {
        Reply::ok(saved_view(ask, &saved)).version(saved.endpoint.version)
    })
}

pub(super) async fn delete(ask: &Ask) -> Result<Reply, Problem> {
    let which = (webhook_id(ask)?, ask.if_version()?);
    change!(ask, change::delete(&ask.app.auth, &ask.who, &ask.tenant, which), |()| Reply::empty())
}

pub(super) async fn pause(ask: &Ask) -> Result<Reply, Problem> {
    let which = (webhook_id(ask)?, ask.if_version()?);
    change!(ask, change::pause(&ask.app.auth, &ask.who, &ask.tenant, which), |endpoint: Endpoint| {
        Reply::ok(view(ask, &endpoint)).version(endpoint.version)
    })
}

pub(super) async fn resume(ask: &Ask) -> Result<Reply, Problem> {
    let which = (webhook_id(ask)?, ask.if_version()?);
    change!(ask, change::resume(&ask.app.auth, &ask.who, &ask.tenant, which), |(endpoint, test): (Endpoint, Test)| {
        Reply::ok(add(view(ask, &endpoint), json!({"test": test_view(test)}))).version(endpoint.version)
    })
}

pub(super) async fn test(ask: &Ask) -> Result<Reply, Problem> {
    let id = webhook_id(ask)?;
    change!(ask, change::test(&ask.app.auth, &ask.who, &ask.tenant, id), |test: Test| accepted(test_view(test)))
}

pub(super) async fn roll(ask: &Ask) -> Result<Reply, Problem> {
    let which = (webhook_id(ask)?, ask.if_version()?);
    let read = || match Reader::new(&ask.body) {
        Ok(mut reader) => (reader.integer("overlap_seconds").given(), reader.finish()),
        Err(problems) => (None, problems),
    };
    change!(ask, change::roll(&ask.app.auth, &ask.who, &ask.tenant, which, read()), |saved: Saved| {
        Reply::ok(saved_view(ask, &saved)).version(saved.endpoint.version)
    })
}

fn unknown_state(text: &str) -> String {
    let names = DeliveryState::ALL.map(DeliveryState::name).join(", ");
    format!("`{text}` is no state of a delivery; there are {names}")
}

pub(super) fn unknown_type(name: &str) -> String {
    format!("`{name}` is no type of event; did you mean `{}`?", nearest(name))
}

pub(super) async fn deliveries(ask: &Ask) -> Result<Reply, Problem> {
    let endpoint = held(ask).await?;
    let limit = ask.limit()?;
    let before = ask.position_id()?.map(Id::<id::Delivery>::from_bytes);
    let mut range = Range { from: ask.time("from")?, to: ask.time("to")?, ..Range::default() };
    if let Some(text) = ask.query.get("status") {
        let state = DeliveryState::parse(text).ok_or_else(|| Problem::parameter("status", unknown_state(text)))?;
        range.state = Some(state);
    }
    if let Some(text) = ask.query.get("type") {
        range.of_types(text.split(',')).map_err(|name| Problem::parameter("type", unknown_type(name)))?;
    }
    let more = limit.saturating_add(1);
    let found = delivery::list(&ask.app.auth.store, ask.tenant.id, endpoint.id, &range, (before, more)).await;
    let found = found.map_err(corrupt)?;
    let limit = usize::try_from(limit).unwrap_or(0);
    let next = found.get(limit).and(limit.checked_sub(1)).and_then(|i| found.get(i)).map(|d| *d.id.as_bytes());
    let data: Vec<Value> = found.iter().take(limit).map(|delivery| delivery_view(delivery, endpoint.id)).collect();
    Ok(ask.page(&data, next.as_ref().map(<[u8; 16]>::as_slice)))
}

pub(super) async fn delivery(ask: &Ask) -> Result<Reply, Problem> {
    let (endpoint, id) = (webhook_id(ask)?, delivery_id(ask)?);
    let store = &ask.app.auth.store;
    let found = delivery::read(store, ask.tenant.id, endpoint, id).await.map_err(corrupt)?;
    let (delivery, attempts) = found.ok_or_else(|| missing("delivery"))?;
    let event = outbox::event(store, ask.tenant.id, delivery.event_id).await.map_err(super::audit::refuse)?;
    let event = event.map(|event| event.wire(&ask.tenant.slug)).transpose().map_err(super::audit::refuse)?;
    let attempts: Vec<Value> = attempts.iter().map(attempt_view).collect();
    Ok(Reply::ok(add(delivery_view(&delivery, endpoint), json!({"attempts": attempts, "event": event}))))
}

pub(super) async fn resend(ask: &Ask) -> Result<Reply, Problem> {
    let (endpoint, id) = (webhook_id(ask)?, delivery_id(ask)?);
    change!(ask, delivery::resend(&ask.app.auth, &ask.who, &ask.tenant, endpoint, id), |delivery: Delivery| accepted(
        delivery_view(&delivery, endpoint)
    ))
}

/// The body of a resend of many: a range, and every problem of its form.
fn read_range(body: &Value) -> (Range, Vec<FieldProblem>) {
    let mut reader = match Reader::new(body) {
        Ok(reader) => reader,
        Err(problems) => return (Range::default(), problems),
    };
    let mut range = Range { from: reader.time("from").given(), to: reader.time("to").given(), ..Range::default() };
    if let Field::Value(text) = reader.string("status") {
        range.state = DeliveryState::parse(&text);
        if range.state.is_none() {
            reader.refuse("status", "bad_value", unknown_state(&text));
        }
    }
    if let Field::Value(names) = reader.strings("types")
        && let Err(name) = range.of_types(names.iter().map(String::as_str))
    {
        reader.refuse("types", "unknown_type", unknown_type(name));
    }
    (range, reader.finish())
}

pub(super) async fn resend_range(ask: &Ask) -> Result<Reply, Problem> {
    let id = webhook_id(ask)?;
    let (range, problems) = read_range(&ask.body);
    let auth = &ask.app.auth;
    match ask.query.get("dry_run").map(String::as_str) {
        Some("true") => {
            let count = delivery::count(auth, &ask.tenant, id, &range, problems).await.map_err(|e| from_admin(&e))?;
            Ok(Reply::ok(json!({"count": count})))
        }
        None | Some("false") => {
            change!(
                ask,
                delivery::resend_range(auth, &ask.who, &ask.tenant, id, (&range, problems.clone())),
                |count: i64| accepted(json!({"count": count}))
            )
        }
        Some(_) => Err(Problem::parameter("dry_run", "dry_run takes true or false")),
    }
}
