//! What others hear: past events, in the bytes that every surface tells.

use kernel::event::{Type, covers};
use kernel::id::Id;
use kernel::mutant;
use kernel::principal::Subject;
use record::outbox::{self, EventFilter};
use serde_json::Value;

use super::{Ask, Reply, audit};
use crate::problem::{Problem, from_admin};

/// Most types that one request names.
const MAX_TYPES: usize = 100;

/// Reads a list of types between commas: whole names, or `object.*` for all that begin so.
///
/// # Errors
/// 400 with the nearest name for one that does not exist.
fn kinds(text: &str) -> Result<Vec<Type>, Problem> {
    let mut found = Vec::new();
    for (index, part) in text.split(',').map(str::trim).enumerate() {
        if index >= MAX_TYPES {
            return Err(Problem::parameter("types", format!("types takes up to {MAX_TYPES} names")));
        }
        let before = found.len();
        found.extend(Type::ALL.iter().filter(|kind| covers(part, kind.name())));
        if found.len() == before {
            return Err(Problem::parameter("types", super::webhooks::unknown_type(part)));
        }
    }
    Ok(found)
}

/// The types that are asked for; empty for all.
pub(super) fn kinds_of(ask: &Ask) -> Result<Vec<Type>, Problem> {
    Ok(ask.query.get("types").map(|text| kinds(text)).transpose()?.unwrap_or_default())
}

/// The customer that the caller acts for, whose events are all that it sees.
async fn own(ask: &Ask) -> Result<Option<String>, Problem> {
    let Subject::Client(client_id) = &ask.who.subject else { return Ok(None) };
    let client = ask.app.auth.client(ask.tenant.id, client_id).await.map_err(|error| from_admin(&error.into()))?;
    Ok(client.and_then(|client| client.customer).map(|customer| customer.to_string()))
}

/// The customer whose events are asked for.
///
/// # Errors
/// 404 for one that this tenant does not have, and for every other one than the caller's own when it acts for one.
pub(super) async fn customer_of(ask: &Ask) -> Result<Option<String>, Problem> {
    let asked = ask.query.get("customer_id");
    if let Some(own) = own(ask).await? {
        return if asked.is_none_or(|asked| *asked == own) {
            Ok(Some(own))
        } else {
            Err(Problem::not_found("there is no customer with this id in this tenant"))
        };
    }
    let Some(customer) = asked else { return Ok(None) };
    let known = outbox::knows_customer(&ask.app.auth.store, ask.tenant.id, customer).await.map_err(audit::refuse)?;
    if !known && !mutant::is("I01-customer") {
        return Err(Problem::not_found("there is no customer with this id in this tenant"));
    }
    Ok(Some(customer.clone()))
}

pub(super) async fn list(ask: &Ask) -> Result<Reply, Problem> {
    let limit = ask.limit()?;
    let before = match ask.position()? {
        None => None,
        Some(bytes) => Some(i64::from_be_bytes(bytes.try_into().map_err(|_| audit::refuse(record::Error::Cursor))?)),
    };
    let filter = EventFilter {
        kinds: kinds_of(ask)?,
        customer_id: customer_of(ask).await?,
        object_id: ask.query.get("object_id").cloned(),
        from: ask.time("from")?,
        to: ask.time("to")?,
        limit,
        before,
    };
    let store = &ask.app.auth.store;
    let found = outbox::events(store, ask.tenant.id, &filter).await.map_err(audit::refuse)?;
    let full = found.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
    let mut next = found.last().filter(|_| full).map(|event| event.position);
    // A full page may be the last one.
    let one_more = EventFilter { limit: 1, before: next, ..filter };
    if next.is_some() && outbox::events(store, ask.tenant.id, &one_more).await.map_err(audit::refuse)?.is_empty() {
        next = None;
    }
    let views: Vec<Value> =
        found.iter().map(|event| event.wire(&ask.tenant.slug)).collect::<Result<_, _>>().map_err(audit::refuse)?;
    Ok(ask.page(&views, next.map(i64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice)))
}

pub(super) async fn get(ask: &Ask) -> Result<Reply, Problem> {
    let absent = || Problem::not_found("no such event is kept");
    let id = Id::parse(ask.param("event_id")).map_err(|_| absent())?;
    let found = outbox::event(&ask.app.auth.store, ask.tenant.id, id).await.map_err(audit::refuse)?;
    let event = found.ok_or_else(absent)?;
    if own(ask).await?.is_some_and(|own| event.customer_id.as_ref() != Some(&own)) {
        return Err(absent());
    }
    Ok(Reply::ok(event.wire(&ask.tenant.slug).map_err(audit::refuse)?))
}
