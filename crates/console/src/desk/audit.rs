//! The audit log.

use std::collections::{BTreeSet, HashMap};

use auth::client::Client;
use auth::operator::scope::AUDIT_EXPORT;
use auth::sql::CLIENT_BY_CLIENT_ID;
use axum::response::IntoResponse as _;
use kernel::id::{Commit, Id};
use record::query::{self, AuditFilter, AuditView};
use serde_json::{Map, Value, json};
use store::params;

use super::ask::Seat;
use super::export::{self, Format, Part, ROWS, Reading};
use super::refused::{Answer, Refused};
use crate::pages::audit::{self, Difference, Log, Record};

/// Rows of a list when nothing is asked, and the sizes that can be asked for.
const SIZES: [u32; 4] = [50, 25, 100, 200];

/// Most people whose names are looked up.
const PEOPLE: i64 = 500;

/// The number of rows that a query asks for.
pub(super) fn limit(text: &str) -> u32 {
    let asked = text.parse::<u32>().ok();
    asked.filter(|size| SIZES.contains(size)).unwrap_or(SIZES[0])
}

/// Records as pages show them, with the names of clients, APIs and people as they are now.
pub(super) async fn records(seat: &Seat, views: &[AuditView]) -> Result<Vec<Record>, Refused> {
    let ask = &seat.ask;
    let mut names: HashMap<(&str, String), String> = HashMap::new();
    if seat.viewer.may("clients:read") {
        let actors = views.iter().filter_map(|view| view.actor.strip_prefix("client:"));
        let objects = views.iter().filter(|view| view.object_kind == "client").map(|view| view.object_id.as_str());
        let ids: BTreeSet<&str> = actors.chain(objects).collect();
        let asks: Vec<_> = ids.iter().map(|id| (&CLIENT_BY_CLIENT_ID, params![ask.tenant.id, *id])).collect();
        for row in ask.auth.store.read_many(asks).await?.iter().flatten() {
            let client = Client::from_row(row, Vec::new())?;
            if !client.settings.name.is_empty() {
                names.insert(("client", client.client_id.to_string()), client.settings.name);
            }
        }
    }
    if views.iter().any(|view| view.object_kind == "api") {
        let catalog = ask.auth.catalog(&ask.tenant).await?;
        names.extend(catalog.apis.iter().map(|api| (("api", api.id.to_string()), api.name.clone())));
    }
    if seat.viewer.may("operators:read") && views.iter().any(|view| view.object_kind == "operator") {
        let people = ask.auth.operators(&seat.who, &ask.tenant, None, PEOPLE).await?;
        names.extend(people.into_iter().map(|person| (("operator", person.id.to_string()), person.name)));
    }
    let name = |kind: &str, id: &str| names.get(&(kind, id.to_owned())).cloned();
    let named = |view: &AuditView| Record {
        actor_name: view.actor.strip_prefix("client:").and_then(|id| name("client", id)),
        object_name: name(&view.object_kind, &view.object_id),
        ..record(view)
    };
    Ok(views.iter().map(named).collect())
}

fn record(view: &AuditView) -> Record {
    Record {
        id: view.commit.to_string(),
        actor: view.actor.clone(),
        actor_name: None,
        object_name: None,
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
    let name = ["audit log of the console", ask.query("actor"), ask.query("action")].join("\0");
    let after = match asked("cursor") {
        Some(text) => {
            let bytes = ask.auth.open_cursor(ask.tenant.id, &name, &text).ok();
            let id = bytes.and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
            Some(Id::<Commit>::from_bytes(id.ok_or(record::Error::Cursor)?))
        }
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
    if let Some(format) = Format::parse(ask.query("format")) {
        return export(&seat, format, filter);
    }
    let mut found = query::audit(store, ask.tenant.id, &filter).await?;
    let size = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = found.len() > size;
    found.truncate(size);
    let next = found.last().filter(|_| has_more).map(|last| last.commit);
    let next = next.map(|commit| ask.auth.seal_cursor(ask.tenant.id, &name, commit.as_bytes()));
    let signed_at = query::checkpoint_at(store, ask.tenant.id).await?;
    let log = Log {
        records: records(&seat, &found).await?,
        action: ask.query("action").to_owned(),
        actor: ask.query("actor").to_owned(),
        limit,
        next,
        is_first: ask.query("cursor").is_empty(),
        signed_at,
    };
    Ok(audit::log(&seat.visit(), &log).into_response())
}

const COLUMNS: &[&str] = &[
    "at",
    "actor",
    "action",
    "object_kind",
    "object_id",
    "before",
    "after",
    "source",
    "credential",
    "request_id",
    "id",
    "leaf",
];

/// The records of a filter as a file, from the newest on.
fn export(seat: &Seat, format: Format, filter: AuditFilter) -> Answer {
    seat.need(AUDIT_EXPORT)?;
    let (store, tenant) = (seat.ask.auth.store.clone(), seat.ask.tenant.id);
    let filter = AuditFilter { limit: ROWS, after: None, ..filter };
    let read = move |after: Option<Id<Commit>>| -> Reading<Id<Commit>> {
        let (store, filter) = (store.clone(), AuditFilter { after, ..filter.clone() });
        Box::pin(async move {
            let found = query::audit(&store, tenant, &filter).await.map_err(|error| match error {
                record::Error::Store(error) => error,
                _ => store::Error::RowCorrupt,
            })?;
            let is_full = u32::try_from(found.len()).is_ok_and(|rows| rows == ROWS);
            let next = found.last().filter(|_| is_full).map(|record| record.commit);
            Ok(Part { rows: found.iter().map(values).collect(), next })
        })
    };
    Ok(export::file(format, "audit-log", COLUMNS, read))
}

fn values(record: &AuditView) -> Vec<Value> {
    vec![
        json!(record.at.to_string()),
        json!(record.actor),
        json!(record.action),
        json!(record.object_kind),
        json!(record.object_id),
        json!(record.before),
        json!(record.after),
        json!(record.source),
        json!(record.credential.map(|id| id.to_string())),
        json!(record.request.map(|id| id.to_string())),
        json!(record.commit.to_string()),
        json!(record.leaf),
    ]
}
