//! The search: pages and actions by their words, objects by the beginning of a name or an id.

use auth::client::fold;
use auth::key::KeyRecord;
use auth::sql::KEYS_LIST;
use axum::response::IntoResponse as _;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use store::params;

use super::ask::Seat;
use super::refused::{Answer, Refused};
use crate::pages::search::{self, Group, Item, Search};
use crate::shell::places;

/// Most objects of a kind.
const MOST: usize = 8;
/// Most keys, people and versions of plans that are looked at.
const LOOKED_AT: i64 = 500;

/// Text, path, scope and symbol of what can be done.
const ACTIONS: [(&str, &str, &str, &str); 9] = [
    ("New client", "identity/clients/new", "clients:write", "plus"),
    ("New customer", "customers/new", "customers:write", "plus"),
    ("New plan", "billing/plans/new", "billing:write", "plus"),
    ("Rotate the token key", "identity/keys", "keys:write", "refresh-cw"),
    ("New webhook endpoint", "developers/webhooks/new", "webhooks:write", "plus"),
    ("Invite a person", "team", "operators:write", "user-plus"),
    ("Export clients as CSV", "identity/clients?format=csv", "clients:read", "download"),
    ("Export the audit log as CSV", "audit?format=csv", "audit:export", "download"),
    ("Your account, passkeys and sessions", "account", "", "user"),
];

/// The scope that a page needs.
fn scope_of(path: &str) -> &'static str {
    match path {
        "audit" => "audit:read",
        "identity/clients" => "clients:read",
        "identity/apis" => "apis:read",
        "identity/keys" => "keys:read",
        "developers/webhooks" => "webhooks:read",
        "team" => "operators:read",
        "customers" => "customers:read",
        path if path.starts_with("billing/") => "billing:read",
        _ => "",
    }
}

pub(super) async fn show(seat: Seat) -> Answer {
    let q = seat.ask.query("q").trim();
    let word = fold(q);
    let mut groups = Vec::new();
    if !word.is_empty() {
        groups.extend([
            Group { title: "Clients", items: clients(&seat, q).await? },
            Group { title: "Customers", items: customers(&seat, q).await? },
            Group { title: "Plans", items: plans(&seat, &word).await? },
            Group { title: "APIs", items: apis(&seat, &word).await? },
            Group { title: "Keys", items: keys(&seat, q).await? },
            Group { title: "People", items: people(&seat, &word).await? },
        ]);
    }
    groups.extend([
        Group { title: "Pages", items: pages(&seat, &word) },
        Group { title: "Actions", items: actions(&seat, &word) },
    ]);
    groups.retain(|group| !group.items.is_empty());
    let found = Search { q: q.to_owned(), groups };
    if seat.ask.query("format") == "json" {
        let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
        return Ok((headers, found.to_json().to_string()).into_response());
    }
    Ok(search::search(&seat.visit(), &found).into_response())
}

/// Whether a word of a text begins with what was typed, or the text does.
fn begins(text: &str, word: &str) -> bool {
    let text = fold(text);
    text.starts_with(word) || text.split_whitespace().any(|part| part.starts_with(word))
}

fn refused(seat: &Seat, scope: &str) -> Option<String> {
    if scope.is_empty() { None } else { seat.viewer.refused(scope) }
}

fn pages(seat: &Seat, word: &str) -> Vec<Item> {
    let root = &seat.ask.root;
    places()
        .filter(|(_, text, _)| begins(text, word))
        .map(|(icon, text, path)| Item {
            text: text.to_owned(),
            detail: String::new(),
            href: match path {
                "" => root.clone(),
                path if path.starts_with('/') => path.to_owned(),
                path => format!("{root}/{path}"),
            },
            icon,
            refused: refused(seat, scope_of(path)),
        })
        .collect()
}

fn actions(seat: &Seat, word: &str) -> Vec<Item> {
    let found = ACTIONS.iter().filter(|(text, ..)| begins(text, word));
    found
        .map(|&(text, path, scope, icon)| Item {
            text: text.to_owned(),
            detail: String::new(),
            href: format!("{}/{path}", seat.ask.root),
            icon,
            refused: refused(seat, scope),
        })
        .collect()
}

async fn clients(seat: &Seat, q: &str) -> Result<Vec<Item>, Refused> {
    if !seat.viewer.may("clients:read") {
        return Ok(Vec::new());
    }
    let found = seat.ask.auth.find_clients(seat.ask.tenant.id, q, MOST).await?;
    let item = |client: &auth::client::Client| Item {
        text: super::clients::name(client),
        detail: client.client_id.to_string(),
        href: format!("{}/identity/clients/{}", seat.ask.root, client.client_id),
        icon: "boxes",
        refused: None,
    };
    Ok(found.iter().map(item).collect())
}

async fn customers(seat: &Seat, q: &str) -> Result<Vec<Item>, Refused> {
    if !seat.viewer.may("customers:read") {
        return Ok(Vec::new());
    }
    let most = i64::try_from(MOST).unwrap_or(i64::MAX);
    let found = super::customers::find(&seat.ask.access.billing, &seat.ask.tenant, q, None, most).await?;
    let item = |customer: &billing::customer::Customer| Item {
        text: customer.name.clone(),
        detail: customer.external_id.clone().unwrap_or_else(|| customer.id.to_string()),
        href: format!("{}/customers/{}", seat.ask.root, customer.id),
        icon: "users",
        refused: None,
    };
    Ok(found.iter().take(MOST).map(item).collect())
}

async fn plans(seat: &Seat, word: &str) -> Result<Vec<Item>, Refused> {
    if !seat.viewer.may("billing:read") {
        return Ok(Vec::new());
    }
    let all = seat.ask.access.billing.plans(&seat.ask.tenant, ("", 0), LOOKED_AT).await?;
    let is_found = |plan: &&billing::plan::Plan| {
        begins(&plan.definition.name, word) || begins(&plan.key, word) || plan.id.to_string().starts_with(word)
    };
    let item = |plan: &billing::plan::Plan| Item {
        text: crate::pages::plan::named(plan),
        detail: format!("{}, {}", plan.key, plan.state.name()),
        href: format!("{}/billing/plans/{}", seat.ask.root, plan.id),
        icon: "coins",
        refused: None,
    };
    Ok(all.iter().filter(is_found).take(MOST).map(item).collect())
}

async fn apis(seat: &Seat, word: &str) -> Result<Vec<Item>, Refused> {
    if !seat.viewer.may("apis:read") {
        return Ok(Vec::new());
    }
    let catalog = seat.ask.auth.catalog(&seat.ask.tenant).await?;
    let found = catalog.apis.iter().filter(|api| begins(&api.name, word) || begins(&api.identifier, word));
    let item = |api: &auth::catalog::Api| Item {
        text: api.name.clone(),
        detail: api.identifier.to_string(),
        href: format!("{}/identity/apis", seat.ask.root),
        icon: "layers",
        refused: None,
    };
    Ok(found.take(MOST).map(item).collect())
}

async fn keys(seat: &Seat, q: &str) -> Result<Vec<Item>, Refused> {
    if !seat.viewer.may("keys:read") {
        return Ok(Vec::new());
    }
    let values = params![seat.ask.tenant.id, None::<Vec<u8>>, LOOKED_AT];
    let mut found = Vec::new();
    for row in &seat.ask.auth.store.read_all(&KEYS_LIST, values).await? {
        let key = KeyRecord::from_row(row)?;
        if key.kid.starts_with(q) && found.len() < MOST {
            found.push(Item {
                text: key.kid,
                detail: format!("{}, {}", key.alg.name(), key.state.name()),
                href: format!("{}/identity/keys", seat.ask.root),
                icon: "key-round",
                refused: None,
            });
        }
    }
    Ok(found)
}

async fn people(seat: &Seat, word: &str) -> Result<Vec<Item>, Refused> {
    if !seat.viewer.may("operators:read") {
        return Ok(Vec::new());
    }
    let all = seat.ask.auth.operators(&seat.who, &seat.ask.tenant, None, LOOKED_AT).await?;
    let found = all.iter().filter(|person| begins(&person.name, word) || begins(person.email.as_ref(), word));
    let item = |person: &auth::operator::Operator| Item {
        text: person.name.clone(),
        detail: person.email.to_string(),
        href: format!("{}/team", seat.ask.root),
        icon: "user",
        refused: None,
    };
    Ok(found.take(MOST).map(item).collect())
}
