//! Clients: the list, one client, and what can be done with it.

use std::sync::Arc;

use auth::client::{Client, Status, TokenFormat};
use auth::client_list::{Asked, Filter, Order, Place};
use auth::family::Family;
use auth::secret_change::SecretFields;
use auth::sql::FAMILIES_OF_CLIENT;
use auth::standing::Gate;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use kernel::clock::Timestamp;
use kernel::id::{self, Id};
use record::entry::Entry;
use record::query::{self, JournalFilter, Outcome};
use serde_json::json;
use store::params;

use super::ask::{Seat, to};
use super::audit::limit;
use super::export::{self, Format, Part, ROWS, Reading};
use super::refused::{Answer, Refused};
use super::{client_access, client_form, client_log, cookie};
use crate::form::Entered;
use crate::pages::client::{self, Caller, Credential, Tab};
use crate::pages::clients::{self, List, Row};
use crate::pages::reveal::{Made, reveal};

pub(super) const READ: &str = "clients:read";
pub(super) const WRITE: &str = "clients:write";

fn row(client: &Client, now: Timestamp) -> Row {
    Row {
        client_id: client.client_id.to_string(),
        name: name(client),
        scopes: client.settings.scopes.iter().map(ToString::to_string).collect(),
        status: client.status(now).name(),
        expires_at: client.expires_at,
        created_at: client.created_at,
        updated_at: client.updated_at,
    }
}

/// The name for people, or the public id of a client that has none.
pub(super) fn name(client: &Client) -> String {
    if client.settings.name.is_empty() { client.client_id.to_string() } else { client.settings.name.clone() }
}

pub(super) async fn list(seat: Seat) -> Answer {
    seat.need(READ)?;
    let ask = &seat.ask;
    let (auth, tenant) = (&ask.auth, ask.tenant.id);
    let (q, size, cursor) = (ask.query("q").trim(), limit(ask.query("limit")), ask.query("cursor"));
    let status = Status::parse(ask.query("status"));
    let order = Order::parse(ask.query("sort"));
    let sort = if order.is_some() { ask.query("sort") } else { "-created_at" };
    let status_name = status.map_or("", Status::name);
    let name = ["clients of the console", q, status_name, sort].join("\0");
    let place = if cursor.is_empty() {
        None
    } else {
        let bytes = auth.open_cursor(tenant, &name, cursor).ok();
        Some(bytes.and_then(|bytes| Place::from_bytes(&bytes)).ok_or(record::Error::Cursor)?)
    };
    let filter = Filter { q: Some(q.to_owned()).filter(|q| !q.is_empty()), status, scope: None };
    let asked = Asked { order: order.unwrap_or_default(), limit: size, place, filter: filter.clone() };
    if let Some(format) = Format::parse(ask.query("format")) {
        return export(&seat, format, asked).await;
    }
    let found = auth.list_clients(tenant, &asked).await?;
    let all = auth.count_clients(tenant, &Filter::default()).await?;
    let of = if filter == Filter::default() { all } else { auth.count_clients(tenant, &filter).await? };
    let window = match (found.window, q.is_empty()) {
        (None, _) => None,
        (Some(_), true) => Some(
            "The filter looks at 10,000 clients at a time, and there are more of them. Choose the order by status to see all of one status.",
        ),
        (Some(_), false) => Some(
            "More than 2,500 names or 2,500 ids begin with this. The first of each are here; type more to see fewer.",
        ),
    };
    let seal = |place: Place| auth.seal_cursor(tenant, &name, &place.to_bytes());
    let data = List {
        rows: found.clients.iter().map(|client| row(client, ask.now)).collect(),
        q: q.to_owned(),
        status: status_name.to_owned(),
        sort: sort.to_owned(),
        limit: size,
        is_first: cursor.is_empty(),
        previous: found.previous.map(seal),
        next: found.next.map(seal),
        counts: [all, of].map(|count| (count.number, count.is_capped)),
        window,
        here: ask.address.clone(),
        columns: clients::columns(ask.cookie(cookie::COLUMNS).as_deref()),
    };
    Ok(clients::list(&seat.visit(), &data).into_response())
}

pub(super) const COLUMNS: &[&str] =
    &["client_id", "name", "status", "scopes", "expiry", "grant_types", "created_at", "updated_at"];

/// A client in the columns of a file.
pub(super) fn values(client: &Client, now: Timestamp) -> Vec<serde_json::Value> {
    vec![
        json!(&*client.client_id),
        json!(client.settings.name),
        json!(client.status(now).name()),
        json!(client.settings.scopes),
        json!(client.expires_at.map(|at| at.to_string())),
        json!(client.settings.grant_types),
        json!(client.created_at.to_string()),
        json!(client.updated_at.to_string()),
    ]
}

/// The clients of a filter as a file, from the first on.
async fn export(seat: &Seat, format: Format, asked: Asked) -> Answer {
    let (auth, tenant, now) = (Arc::clone(&seat.ask.auth), seat.ask.tenant.id, seat.ask.now);
    let asked = Asked { limit: ROWS, place: None, ..asked };
    // what a prefix leaves out has no next page, so the name of the file says that there is more
    let is_cut = asked.filter.q.is_some() && auth.list_clients(tenant, &asked).await?.window.is_some();
    let read = move |place: Option<Place>| -> Reading<Place> {
        let (auth, asked) = (Arc::clone(&auth), Asked { place, ..asked.clone() });
        Box::pin(async move {
            let found = auth.list_clients(tenant, &asked).await?;
            let rows = found.clients.iter().map(|client| values(client, now)).collect();
            Ok(Part { rows, next: found.next })
        })
    };
    Ok(export::file(format, if is_cut { "clients-not-all" } else { "clients" }, COLUMNS, read))
}

pub(super) async fn read(seat: &Seat) -> Result<Arc<Client>, Refused> {
    let found = seat.ask.auth.read_client(seat.ask.tenant.id, seat.ask.param("client")).await?;
    found.ok_or_else(Refused::not_found)
}

/// The client as the pages show it.
pub(super) async fn page_of(seat: &Seat, client: &Client) -> Result<client::Client, Refused> {
    let (ask, settings) = (&seat.ask, &client.settings);
    let catalog = ask.auth.catalog(&ask.tenant).await?;
    let texts = |list: &[Arc<str>]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    let scope = catalog.grantable(client, Gate::OPEN).map(|granted| granted.scope.to_string()).unwrap_or_default();
    Ok(client::Client {
        client_id: client.client_id.to_string(),
        name: name(client),
        status: client.status(ask.now).name(),
        customer: match client.customer {
            Some(id) => {
                let current = ask.access.billing.current(&ask.tenant, id).await?;
                let name = current.filter(|_| seat.viewer.may(super::customers::READ));
                Some((id.to_string(), name.map_or_else(|| id.to_string(), |current| current.customer.name.clone())))
            }
            None => None,
        },
        issuer: ask.tenant.issuer.to_string(),
        grants: settings.grant_types.clone(),
        auth_method: settings.token_endpoint_auth_method.name(),
        scopes: texts(&settings.scopes),
        access: client_access::table(&catalog, settings),
        multi_audience: settings.multi_audience,
        says: client_access::says(seat, client, Some(&scope)).await?,
        scope,
        credentials: client.credentials.iter().map(|credential| shown(credential, ask.now)).collect(),
        token_ttl_seconds: settings.access_token_ttl_seconds.map(i64::from),
        format: if settings.access_token_format == TokenFormat::Opaque { "opaque" } else { "jwt" },
        signing_alg: settings.signing_alg.clone().unwrap_or_default(),
        rate: settings.rate_limit,
        quota: settings.token_quota,
        created_at: client.created_at,
        updated_at: client.updated_at,
        expires_at: client.expires_at,
        last_token_at: client.credentials.iter().filter_map(|credential| credential.last_used_at).max(),
        families: 0,
        issued_lately: None,
        callers: Vec::new(),
        etag: client.version.to_string(),
        form: ask.new_form(),
        log: None,
        ran: None,
    })
}

fn shown(credential: &auth::credential::Credential, now: Timestamp) -> Credential {
    Credential {
        id: credential.id.to_string(),
        label: if credential.label.is_empty() { "Secret".to_owned() } else { credential.label.clone() },
        kind: credential.kind.name(),
        hint: credential.hint.clone(),
        status: credential.status(now),
        created_at: credential.created_at,
        expires_at: credential.expires_at,
        last_used_at: credential.last_used_at,
        families: 0,
    }
}

pub(super) async fn show(seat: Seat) -> Answer {
    draw(&seat, Tab::Overview, &Entered::default()).await
}

pub(super) async fn show_part(seat: Seat) -> Answer {
    let part = seat.ask.param("part");
    let tab = Tab::parse(part).ok_or_else(Refused::not_found)?;
    draw(&seat, tab, &Entered::default()).await
}

async fn draw(seat: &Seat, tab: Tab, entered: &Entered) -> Answer {
    seat.need(READ)?;
    let client = read(seat).await?;
    let page = page_of(seat, &client).await?;
    let page = match tab {
        Tab::Danger | Tab::Credentials => reach(seat, &client, page).await?,
        Tab::Logs => client::Client { log: Some(client_log::read(seat, &client).await?), ..page },
        _ => page,
    };
    Ok(answered(seat, &page, tab, entered))
}

/// The page with what depends on the client at the moment, for those who are about to end something.
async fn reach(seat: &Seat, client: &Client, page: client::Client) -> Result<client::Client, Refused> {
    let (ask, most) = (&seat.ask, client::MOST_COUNTED);
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let (store, first) = (&ask.auth.store, Id::<id::Family>::from_bytes([0; 16]));
    let place = params![ask.tenant.id, client.id, ask.now, first, limit];
    let rows = store.read_all(&FAMILIES_OF_CLIENT, place).await?;
    let families = rows.iter().map(Family::from_row).collect::<Result<Vec<_>, _>>()?;
    let filter = JournalFilter {
        client_id: Some(client.client_id.to_string()),
        from: Some(ask.now.plus_seconds(-86_400)),
        outcome: Some(Outcome::Issued),
        limit: u32::try_from(most).unwrap_or(u32::MAX),
        ..JournalFilter::default()
    };
    let mut callers: Vec<Caller> = Vec::new();
    let mut issued = 0_usize;
    for entry in query::journal(store, ask.tenant.id, &filter).await?.items {
        let Entry::Issuance(token) = entry else { continue };
        issued = issued.saturating_add(usize::from(ask.now.seconds_since(token.at) < 3_600));
        let source = token.source.map(|source| source.to_canonical().to_string()).unwrap_or_default();
        if callers.iter().all(|caller| caller.source != source) {
            callers.push(Caller { source, secret: token.credential.to_string(), at: token.at });
        }
    }
    let mut credentials = page.credentials;
    for shown in &mut credentials {
        shown.families = families.iter().filter(|family| family.credential.to_string() == shown.id).count();
    }
    Ok(client::Client { credentials, families: families.len(), issued_lately: Some(issued), callers, ..page })
}

/// A part of the page; 422 when its form came back with something to correct.
pub(super) fn answered(seat: &Seat, client: &client::Client, tab: Tab, entered: &Entered) -> Response {
    let status = if entered.problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    (status, client::detail(&seat.visit(), client, tab, entered)).into_response()
}

/// The forms and buttons of one client.
pub(super) async fn change(seat: Seat) -> Answer {
    seat.need(WRITE)?;
    let here = format!("{}/identity/clients/{}", seat.ask.root, seat.ask.param("client"));
    match seat.ask.param("part") {
        "secrets" => add_secret(&seat).await,
        "settings" => client_form::save(&seat, Tab::Settings).await,
        "limits" => client_form::save(&seat, Tab::Limits).await,
        "access" => client_form::save(&seat, Tab::Access).await,
        "disable" => set_enabled(&seat, false, &here).await,
        "enable" => set_enabled(&seat, true, &here).await,
        "delete" => delete(&seat, &here).await,
        _ => Err(Refused::not_found()),
    }
}

/// Makes a new secret, which this answer alone shows.
async fn add_secret(seat: &Seat) -> Answer {
    let ask = &seat.ask;
    if !ask.is_first_of_form() {
        return Ok(to(&format!("{}/identity/clients/{}/credentials", ask.root, ask.param("client"))));
    }
    let keep = match ask.field("expire_others_in_seconds") {
        "custom" => ask.field("hours").trim().parse().ok().and_then(|hours: i64| hours.checked_mul(3_600)),
        seconds => seconds.parse().ok(),
    };
    let Some(keep) = keep else {
        ask.forget_form();
        let sentence = "Say for how many hours the old secrets stay valid: a whole number up to 720.";
        return Err(Refused::page(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed", sentence));
    };
    let fields = SecretFields { expire_others_in_seconds: Some(keep), ..SecretFields::default() };
    let planned = ask.auth.add_secret(&seat.who, &ask.tenant, ask.param("client"), fields).await?;
    let made = ask.auth.run(planned).await?;
    let client = page_of(seat, &*read(seat).await?).await?;
    Ok(reveal(&seat.visit(), &client, made.text.reveal(), Made::Secret).into_response())
}

async fn set_enabled(seat: &Seat, enabled: bool, here: &str) -> Answer {
    let ask = &seat.ask;
    let planned = ask.auth.set_client_enabled(&seat.who, &ask.tenant, ask.param("client"), None, enabled).await?;
    let made = if enabled {
        ask.auth.run(planned).await?
    } else {
        // what narrows access has a lane of its own, which is open when the others are full
        ask.auth.run_reserved(planned).await?
    };
    let (word, undo) = if enabled { ("enabled", "disable") } else { ("disabled", "enable") };
    let sentence = format!("{} is {word}", name(&made.client));
    Ok(seat.done(here, sentence, Some((format!("{here}/{undo}"), Vec::new()))))
}

async fn delete(seat: &Seat, here: &str) -> Answer {
    let ask = &seat.ask;
    seat.need_fresh(&format!("{here}/danger"))?;
    if ask.field("confirm") != ask.param("client") {
        let problem = ("confirm".to_owned(), "Type the id of the client to delete it.".to_owned());
        return draw(seat, Tab::Danger, &Entered { problems: vec![problem], ..Entered::default() }).await;
    }
    let planned = ask.auth.delete_client(&seat.who, &ask.tenant, ask.param("client"), None).await?;
    ask.auth.run_reserved(planned).await?;
    Ok(to(&format!("{}/identity/clients", ask.root)))
}

pub(super) async fn end_secret(seat: Seat) -> Answer {
    seat.need(WRITE)?;
    let ask = &seat.ask;
    let secret = ask.id::<id::Secret>("secret")?;
    let planned = ask.auth.revoke_secret(&seat.who, &ask.tenant, ask.param("client"), secret, false).await?;
    ask.auth.run_reserved(planned).await?;
    Ok(to(&format!("{}/identity/clients/{}/credentials", ask.root, ask.param("client"))))
}
