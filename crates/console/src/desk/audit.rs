//! The audit log.

use std::collections::BTreeSet;

use axum::response::IntoResponse as _;
use kernel::id::{Commit, Id};
use record::query::{self, AuditFilter, AuditView};
use serde_json::{Map, Value};

use super::ask::Seat;
use super::refused::{Answer, Refused};
use crate::pages::audit::{self, Difference, Log, Record};

/// Rows of a list when nothing is asked, and the sizes that can be asked for.
const SIZES: [u32; 4] = [50, 25, 100, 200];

/// The number of rows that a query asks for.
pub(super) fn limit(text: &str) -> u32 {
    let asked = text.parse::<u32>().ok();
    asked.filter(|size| SIZES.contains(size)).unwrap_or(SIZES[0])
}

/// A record as the page shows it.
pub(super) fn record(view: &AuditView) -> Record {
    Record {
        id: view.commit.to_string(),
        actor: view.actor.clone(),
        action: view.action.clone(),
        object: format!("{} {}", view.object_kind, view.object_id),
        at: view.at,
        source: view.source.clone(),
        request: view.request.map(|id| id.to_string()),
        differences: differences(view.before.as_deref(), view.after.as_deref()),
    }
}

fn members(text: Option<&str>) -> Map<String, Value> {
    match text.and_then(|text| serde_json::from_str(text).ok()) {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

pub(super) fn differences(before: Option<&str>, after: Option<&str>) -> Vec<Difference> {
    let (before, after) = (members(before), members(after));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    names
        .into_iter()
        .map(|name| (name, before.get(name), after.get(name)))
        .filter(|(_, before, after)| before != after)
        .map(|(name, before, after)| Difference {
            field: name.clone(),
            before: before.map(text),
            after: after.map(text),
        })
        .collect()
}

pub(super) async fn list(seat: Seat) -> Answer {
    seat.need("audit:read")?;
    let ask = &seat.ask;
    let limit = limit(ask.query("limit"));
    let asked = |name: &str| Some(ask.query(name).to_owned()).filter(|text| !text.is_empty());
    let after = match asked("cursor") {
        Some(text) => Some(Id::<Commit>::parse(&text).map_err(|_| Refused::from(record::Error::Cursor))?),
        None => None,
    };
    let filter = AuditFilter {
        actor: asked("actor"),
        action: asked("action"),
        object_kind: asked("object_kind"),
        object_id: asked("object_id"),
        limit: limit.saturating_add(1),
        after,
        ..AuditFilter::default()
    };
    let store = &ask.auth.store;
    let mut found = query::audit(store, ask.tenant.id, &filter).await?;
    let size = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = found.len() > size;
    found.truncate(size);
    let next = found.last().filter(|_| has_more).map(|last| last.commit.to_string());
    let signed_at = query::checkpoint_at(store, ask.tenant.id).await?;
    let log = Log {
        records: found.iter().map(record).collect(),
        action: ask.query("action").to_owned(),
        actor: ask.query("actor").to_owned(),
        limit,
        next,
        is_first: ask.query("cursor").is_empty(),
        signed_at,
    };
    Ok(audit::log(&seat.visit(), &log).into_response())
}
