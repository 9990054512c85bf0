//! All that happened, in sentences.

use std::collections::BTreeMap;

use axum::response::IntoResponse as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use record::activity::{ActivityFilter, Kind, Line, activity};
use record::entry::{Entry, Grant, Issuance, Refusal};
use record::query::AuditView;
use serde_json::{Map, Value};

use super::ask::{Ask, Seat};
use super::audit::{differences, limit};
use super::refused::{Answer, Refused};
use crate::address::counted;
use crate::pages::activity::{self, Asked, Event, List};

/// Names of clients by their public ids; an id without a client has none.
type Names = BTreeMap<String, Option<String>>;

pub(super) async fn list(seat: Seat) -> Answer {
    seat.need("audit:read")?;
    let ask = &seat.ask;
    let size = limit(ask.query("limit"));
    let asked = |name: &str| ask.query(name).trim().to_owned();
    let asked = Asked {
        // a kind says something about an id alone
        kind: if asked("object").is_empty() { String::new() } else { asked("kind") },
        object: asked("object"),
        actor: asked("actor"),
        source: asked("source"),
        outcome: asked("outcome"),
        limit: size,
    };
    let cursor = match ask.query("cursor") {
        "" => None,
        text => Some(URL_SAFE_NO_PAD.decode(text).map_err(|_| Refused::from(record::Error::Cursor))?),
    };
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let filter = ActivityFilter {
        object: given(&asked.object).map(|id| (given(&asked.kind).unwrap_or_else(|| "client".to_owned()), id)),
        actor: given(&asked.actor).map(|text| actor(&text)),
        source: given(&asked.source),
        kind: match &*asked.outcome {
            "changed" => Some(Kind::Changed),
            "issued" => Some(Kind::Issued),
            "denied" => Some(Kind::Refused),
            _ => None,
        },
        limit: size,
        cursor: cursor.clone(),
    };
    let page = activity(&ask.auth.store, ask.tenant.id, &filter).await?;
    let events = events(ask, &page.items).await?;
    let list = List {
        events,
        asked,
        is_first: cursor.is_none(),
        next: page.next.map(|cursor| URL_SAFE_NO_PAD.encode(cursor)),
    };
    Ok(activity::list(&seat.visit(), &list).into_response())
}

/// Lines in sentences, with the names of the clients in them.
pub(super) async fn events(ask: &Ask, lines: &[Line]) -> Result<Vec<Event>, Refused> {
    let mut names = Names::new();
    for id in lines.iter().flat_map(clients) {
        if !names.contains_key(&id) {
            let client = ask.auth.client(ask.tenant.id, &id).await?;
            let name = client.map(|client| client.settings.name.clone());
            names.insert(id.clone(), name.map(|name| if name.is_empty() { id } else { name }));
        }
    }
    Ok(lines.iter().map(|line| event(line, &names)).collect())
}

/// Who a filter means: an e-mail address is a person, a word a client; everything else as records write it.
fn actor(text: &str) -> String {
    match text {
        text if text.contains(':') || text == "local-operator" => text.to_owned(),
        text if text.contains('@') => format!("operator:{}", text.to_lowercase()),
        text => format!("client:{text}"),
    }
}

fn members(record: &AuditView) -> Map<String, Value> {
    let text = record.after.as_deref().or(record.before.as_deref());
    match text.and_then(|text| serde_json::from_str(text).ok()) {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// Public ids of the clients that a line is about or by.
fn clients(line: &Line) -> Vec<String> {
    match line {
        Line::Entry(entry) => entry.client_id().map(str::to_owned).into_iter().collect(),
        Line::Change(record) => {
            let object = (record.object_kind == "client").then(|| record.object_id.clone());
            let actor = record.actor.strip_prefix("client:").map(str::to_owned);
            let named = text(&members(record), "client_id").map(str::to_owned);
            object.into_iter().chain(actor).chain(named).collect()
        }
    }
}

fn event(line: &Line, names: &Names) -> Event {
    match line {
        Line::Entry(Entry::Issuance(issued)) => issuance(issued, names),
        Line::Entry(Entry::Refusal(refused)) => refusal(refused, names),
        Line::Change(record) => change(record, names),
    }
}

fn known(names: &Names, id: &str) -> Option<String> {
    names.get(id).cloned().flatten()
}

fn issuance(issued: &Issuance, names: &Names) -> Event {
    let verb = match issued.grant {
        Grant::ClientCredentials => "got a token",
        Grant::RefreshToken => "refreshed its token",
    };
    let scope = if issued.scope.is_empty() { "no scope".to_owned() } else { format!("scope {}", issued.scope) };
    Event {
        at: issued.at,
        state: "issued",
        subject: format!("Client {}", known(names, &issued.client_id).unwrap_or_else(|| issued.client_id.to_string())),
        verb: verb.to_owned(),
        detail: scope,
        by: None,
        client: known(names, &issued.client_id).map(|_| issued.client_id.to_string()),
        ids: vec![
            ("Token", issued.jti()),
            ("Client", issued.client_id.to_string()),
            ("Audience", issued.audience.to_string()),
            ("Request", issued.request.to_string()),
        ],
        source: issued.source.map(|address| address.to_string()),
        differences: Vec::new(),
    }
}

/// What a refusal means, by its stable code.
fn because(reason: &str) -> &str {
    match reason {
        "unknown_client" => "there is no client with this id",
        "client_disabled" => "it is disabled",
        "client_expired" => "it has ended",
        "invalid_secret" => "the secret was none of its own",
        "secret_ended" => "the secret has ended",
        "no_secret" => "no secret came",
        "wrong_auth_method" => "it authenticates in another way",
        "too_many_failures" => "too many wrong secrets came from the address",
        "invalid_request" => "the request was malformed",
        "invalid_grant" => "the refresh token was not good",
        "unauthorized_client" => "it may not use this grant",
        "unsupported_grant_type" => "there is no such grant",
        "invalid_scope" => "it may not have the scope",
        "invalid_target" => "it may not have the audience",
        "rate_limit" => "its rate was used up",
        "source_limit" => "the rate of the address was used up",
        "quota" => "its quota was used up",
        "rate_limit_monitored" => "its rate was used up; monitored only, so it was answered",
        "temporarily_unavailable" => "the server could not answer",
        "server_error" => "something went wrong on the server",
        "insufficient_scope" => "it did not hold the scope",
        "cross_site_request" => "it did not come from a page of this console",
        "sign_in_step" => "it was the second step of a sign-in without its first",
        "session_unknown" => "its session is over, or was never opened here",
        "link_gone" => "the one-time link was used, or has ended",
        other => other,
    }
}

fn refusal(refused: &Refusal, names: &Names) -> Event {
    let client = refused.client_id.as_deref();
    let name = client.and_then(|id| known(names, id));
    let subject = match (&name, client) {
        (Some(name), _) => format!("Client {name}"),
        (None, Some(record::refusal::OTHER)) => "Many unknown clients".to_owned(),
        (None, Some(id)) => format!("Unknown client {id}"),
        (None, None) => "A request".to_owned(),
    };
    let times = if refused.count > 1 {
        format!(" · {} within a minute", counted(usize::try_from(refused.count).unwrap_or(usize::MAX), "time"))
    } else {
        String::new()
    };
    let verb = if refused.reason == "rate_limit_monitored" { "passed its limit" } else { "was denied" };
    Event {
        at: refused.at,
        state: "denied",
        subject,
        verb: verb.to_owned(),
        detail: format!("{}{times}", because(&refused.reason)),
        by: None,
        client: name.and(client.map(str::to_owned)),
        ids: [("Client", client.map(str::to_owned)), ("Code", Some(refused.reason.clone()))]
            .into_iter()
            .filter_map(|(label, id)| id.map(|id| (label, id)))
            .chain([("First request", refused.request.to_string())])
            .collect(),
        source: refused.source.map(|address| address.to_string()),
        differences: Vec::new(),
    }
}

/// What happened to the object, in words.
fn verb(action: &str) -> String {
    let event = action.split_once('.').map_or(action, |(_, event)| event);
    match action {
        "client.tokens_revoked" => "lost all its tokens".to_owned(),
        "family.reuse_detected" => "was ended: a used token came again".to_owned(),
        "session.started" => "began: signed in".to_owned(),
        "session.stepped_up" => "was confirmed: signed in again".to_owned(),
        "session.refused" => "was refused: the sign-in failed".to_owned(),
        "limit.reached" => "reached a threshold of its limit".to_owned(),
        _ if event.contains('_') => format!("· {}", event.replace('_', " ")),
        _ => format!("was {event}"),
    }
}

fn change(record: &AuditView, names: &Names) -> Event {
    let members = members(record);
    let owner = text(&members, "client_id").filter(|_| record.object_kind != "client");
    let noun = match &*record.object_kind {
        "api" => "API".to_owned(),
        "family" => "Refresh family".to_owned(),
        other => super::refused::capitalized_word(&other.replace('_', " ")),
    };
    let name = if record.object_kind == "client" {
        known(names, &record.object_id)
    } else {
        ["email", "name", "label"].into_iter().find_map(|member| text(&members, member).map(str::to_owned))
    };
    let short = || match record.object_id.char_indices().nth(24) {
        Some((at, _)) => format!("{}…", record.object_id.get(..at).unwrap_or_default()),
        None => record.object_id.clone(),
    };
    let client = (record.object_kind == "client").then_some(record.object_id.as_str()).or(owner);
    let by = match record.actor.split_once(':') {
        Some(("client", id)) => format!("client {}", known(names, id).unwrap_or_else(|| id.to_owned())),
        Some(("operator", person)) => person.to_owned(),
        Some(("system", part)) => format!("the server ({part})"),
        _ => record.actor.clone(),
    };
    Event {
        at: record.at,
        state: "changed",
        subject: format!("{noun} {}", name.unwrap_or_else(short)),
        verb: verb(&record.action),
        detail: owner
            .map_or(String::new(), |id| format!("of client {}", known(names, id).unwrap_or_else(|| id.to_owned()))),
        by: Some(by),
        client: client.filter(|id| known(names, id).is_some()).map(str::to_owned),
        ids: [
            ("Action", Some(record.action.clone())),
            ("Object", Some(record.object_id.clone())),
            ("Actor", Some(record.actor.clone())),
            ("Request", record.request.map(|id| id.to_string())),
            ("Record", Some(record.commit.to_string())),
        ]
        .into_iter()
        .filter_map(|(label, id)| id.map(|id| (label, id)))
        .collect(),
        source: record.source.clone(),
        differences: differences(record.before.as_deref(), record.after.as_deref()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_meant_is_read_from_the_shape_of_the_text() {
        assert_eq!(actor("Ada@Example.com"), "operator:ada@example.com");
        assert_eq!(actor("billing-worker"), "client:billing-worker");
        assert_eq!(actor("system:keys"), "system:keys");
    }

    #[test]
    fn every_action_reads_as_a_verb() {
        for action in record::action::ALL {
            let verb = verb(action);
            assert!(!verb.contains('_') && !verb.ends_with(' '), "{action}: {verb}");
        }
        assert_eq!(verb("client.created"), "was created");
        assert_eq!(verb("operator.passphrase_changed"), "· passphrase changed");
    }
}
