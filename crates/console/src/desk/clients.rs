//! Clients: the list, one client, and what can be done with it.

use std::sync::Arc;

use auth::client::{Client, RateLimit, TokenQuota};
use auth::client_change::{ClientFields, Field};
use auth::error::{AdminError, FieldProblem};
use auth::secret_change::SecretFields;
use auth::sql::{CLIENT_LIST, CLIENT_LIST_PREFIX};
use axum::response::IntoResponse as _;
use http::StatusCode;
use kernel::clock::Timestamp;
use kernel::id::{self, Id};
use kernel::secret::Secret;
use serde_json::json;
use store::params;

use super::ask::{Seat, to};
use super::audit::limit;
use super::refused::{Answer, Refused, problems};
use crate::form::Entered;
use crate::pages::client::{self, Access, Credential, Tab};
use crate::pages::clients::{self, List, New, Row};
use crate::pages::reveal::{Made, reveal};

pub(super) const READ: &str = "clients:read";
pub(super) const WRITE: &str = "clients:write";
/// Seconds that a token lives when neither the client nor its API says.
const TOKEN_SECONDS: u32 = 900;
/// Reads of the list that a filter by status may take.
const READS: usize = 50;

fn row(client: &Client, now: Timestamp) -> Row {
    Row {
        client_id: client.client_id.to_string(),
        name: name(client),
        scopes: client.settings.scopes.iter().map(ToString::to_string).collect(),
        status: client.status(now).name(),
        created_at: client.created_at,
    }
}

/// The name for people, or the public id of a client that has none.
fn name(client: &Client) -> String {
    if client.settings.name.is_empty() { client.client_id.to_string() } else { client.settings.name.clone() }
}

pub(super) async fn list(seat: Seat) -> Answer {
    seat.need(READ)?;
    let ask = &seat.ask;
    let (q, status, size) = (ask.query("q").trim(), ask.query("status"), limit(ask.query("limit")));
    let cursor = ask.query("cursor");
    let mut after = if cursor.is_empty() {
        None
    } else {
        let id = Id::<id::Client>::parse(cursor).map_err(|_| Refused::from(record::Error::Cursor))?;
        Some(id.as_bytes().to_vec())
    };
    let keep = usize::try_from(size).unwrap_or(usize::MAX);
    let more = i64::from(size).saturating_add(1);
    let mut found: Vec<Client> = Vec::new();
    // Status is derived, so its filter narrows a bounded window of rows.
    for _ in 0..READS {
        let place = params![ask.tenant.id, after.clone(), more];
        let rows = if q.is_empty() {
            ask.auth.store.read_all(&CLIENT_LIST, place).await?
        } else {
            let low = auth::client::fold(q);
            let high = format!("{low}\u{10ffff}");
            let place = params![ask.tenant.id, after.clone(), more, low, high];
            ask.auth.store.read_all(&CLIENT_LIST_PREFIX, place).await?
        };
        let is_last = rows.len() <= keep;
        for row in &rows {
            let client = Client::from_row(row, Vec::new())?;
            after = Some(client.id.as_bytes().to_vec());
            if status.is_empty() || status == client.status(ask.now).name() {
                found.push(client);
            }
        }
        if is_last || found.len() > keep {
            break;
        }
    }
    let has_more = found.len() > keep;
    found.truncate(keep);
    let next = found.last().filter(|_| has_more).map(|client| client.id.to_string());
    let data = List {
        rows: found.iter().map(|client| row(client, ask.now)).collect(),
        q: q.to_owned(),
        status: status.to_owned(),
        limit: size,
        next,
        is_first: cursor.is_empty(),
    };
    Ok(clients::list(&seat.visit(), &data).into_response())
}

/// Names and descriptions.
type Scopes = Vec<(String, String)>;

/// The scopes that can be given: those of the tenant's own APIs, and those of this server's.
async fn scopes(seat: &Seat) -> Result<(Scopes, Scopes), Refused> {
    let catalog = seat.ask.auth.catalog(&seat.ask.tenant).await?;
    let is_built_in = |api| catalog.apis.iter().any(|known| known.id == api && known.builtin.is_some());
    let mut list: Vec<_> = catalog.scopes.iter().collect();
    list.sort_by(|a, b| a.0.cmp(b.0));
    let (management, own): (Vec<_>, Vec<_>) = list.into_iter().partition(|(_, scope)| is_built_in(scope.api));
    let text = |list: Vec<(&Arc<str>, &auth::catalog::Scope)>| {
        list.into_iter().map(|(name, scope)| (name.to_string(), scope.description.clone())).collect()
    };
    Ok((text(own), text(management)))
}

pub(super) async fn new(seat: Seat) -> Answer {
    seat.need(WRITE)?;
    draw_new(&seat, Entered::default()).await
}

async fn draw_new(seat: &Seat, entered: Entered) -> Answer {
    let status = if entered.problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let (scopes, management) = scopes(seat).await?;
    let data = New { scopes, management, entered, form: seat.ask.new_form() };
    Ok((status, clients::new(&seat.visit(), &data)).into_response())
}

/// A field of a form: empty is absent.
fn text(seat: &Seat, name: &str) -> Field<String> {
    let value = seat.ask.field(name).trim();
    if value.is_empty() { Field::Absent } else { Field::Value(value.to_owned()) }
}

/// A number of a form; an empty field means "as the default", which is what null says in the API.
fn number(seat: &Seat, name: &str, found: &mut Vec<FieldProblem>) -> Field<i64> {
    match seat.ask.field(name).trim() {
        "" => Field::Null,
        text => text.parse().map_or_else(
            |_| {
                found.push(FieldProblem::new(name, "bad_value", "this takes a whole number"));
                Field::Absent
            },
            Field::Value,
        ),
    }
}

fn time(seat: &Seat, name: &str, found: &mut Vec<FieldProblem>) -> Field<Timestamp> {
    match seat.ask.field(name).trim() {
        "" => Field::Null,
        text => Timestamp::parse(text).map_or_else(
            |_| {
                found.push(FieldProblem::new(name, "bad_value", "this takes a time such as 2027-01-31T00:00:00Z"));
                Field::Absent
            },
            Field::Value,
        ),
    }
}

/// Words between spaces.
fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

pub(super) async fn create(seat: Seat) -> Answer {
    seat.need(WRITE)?;
    let ask = &seat.ask;
    if !ask.is_first_of_form() {
        return Ok(to(&format!("{}/identity/clients", ask.root)));
    }
    let mut found = Vec::new();
    let expiry = time(&seat, "expires_at", &mut found);
    let seconds = number(&seat, "access_token_ttl_seconds", &mut found);
    let audiences = words(ask.field("audiences"));
    let fields = ClientFields {
        name: text(&seat, "name"),
        client_id: text(&seat, "client_id"),
        client_secret: Some(ask.field("secret")).filter(|s| !s.is_empty()).map(|s| Secret::new(s.to_owned())),
        scopes: Field::Value(ask.fields("scope")),
        expiry,
        access_token_ttl_seconds: seconds,
        audiences: if audiences.is_empty() { Field::Absent } else { Field::Value(audiences) },
        problems: found,
        ..ClientFields::default()
    };
    let planned = ask.auth.create_client(&seat.who, &ask.tenant, fields).await;
    let made = match planned {
        Ok(planned) => ask.auth.run(planned).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(view) => {
            let shown = page_of(&seat, &view.client).await?;
            match &view.secret {
                Some(secret) => Ok(reveal(&seat.visit(), &shown, secret.reveal(), Made::Client).into_response()),
                None => Ok(to(&format!("{}/identity/clients/{}", ask.root, view.client.client_id))),
            }
        }
        Err(error) => {
            ask.forget_form();
            let mut entered = ask.entered();
            entered.problems = returned(error)?;
            draw_new(&seat, entered).await
        }
    }
}

/// What is wrong with a form, or an error that is not of the form.
fn returned(error: AdminError) -> Result<Vec<(String, String)>, Refused> {
    match error {
        AdminError::Invalid(list) => {
            let of_form = |name: &str| match name {
                "scopes" => "scope".to_owned(),
                "expiry" => "expires_at".to_owned(),
                "client_secret" => "secret".to_owned(),
                "rate_limit" => "rate_limit".to_owned(),
                "token_quota" => "quota_per_hour".to_owned(),
                other => other.to_owned(),
            };
            Ok(problems(list).into_iter().map(|(name, text)| (of_form(&name), text)).collect())
        }
        AdminError::Taken(_, sentence) => Ok(vec![("client_id".to_owned(), sentence)]),
        other => Err(other.into()),
    }
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
    let access: Vec<Access> = catalog
        .apis
        .iter()
        .map(|api| Access {
            api: api.name.clone(),
            audience: api.identifier.to_string(),
            scopes: settings
                .scopes
                .iter()
                .filter(|name| catalog.scopes.get(*name).is_some_and(|scope| scope.api == api.id))
                .map(ToString::to_string)
                .collect(),
        })
        .filter(|access| !access.scopes.is_empty() || settings.audiences.iter().any(|a| **a == *access.audience))
        .collect();
    let seconds = settings.access_token_ttl_seconds.unwrap_or(TOKEN_SECONDS);
    let granted = catalog.grantable(client);
    let scope = granted.as_ref().map(|granted| granted.scope.to_string()).unwrap_or_default();
    let audience = granted.map(|granted| match granted.audience.as_slice() {
        [one] => json!(**one),
        several => several.iter().map(|audience| json!(**audience)).collect(),
    });
    let claims = json!({
        "iss": &*ask.tenant.issuer,
        "sub": &*client.client_id,
        "client_id": &*client.client_id,
        "aud": audience,
        "scope": scope,
        "iat": ask.now.as_seconds(),
        "exp": ask.now.as_seconds().saturating_add(i64::from(seconds)),
    });
    Ok(client::Client {
        client_id: client.client_id.to_string(),
        name: name(client),
        status: client.status(ask.now).name(),
        issuer: ask.tenant.issuer.to_string(),
        grants: settings.grant_types.clone(),
        auth_method: settings.token_endpoint_auth_method.name(),
        scopes: texts(&settings.scopes),
        scope,
        access,
        claims: serde_json::to_string_pretty(&claims).unwrap_or_default(),
        credentials: client.credentials.iter().map(|credential| shown(credential, ask.now)).collect(),
        token_ttl_seconds: i64::from(seconds),
        rate: settings.rate_limit.as_ref().map(|r| (u64::from(r.limit), i64::from(r.window_s), r.enforce)),
        quota: settings.token_quota.as_ref().map(|q| (q.per_hour.map(u64::from), q.per_day.map(u64::from), q.enforce)),
        created_at: client.created_at,
        updated_at: client.updated_at,
        expires_at: client.expires_at,
        last_token_at: client.credentials.iter().filter_map(|credential| credential.last_used_at).max(),
        live_tokens: None,
        etag: client.version.to_string(),
        form: ask.new_form(),
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
    let page = client::detail(&seat.visit(), &page_of(seat, &client).await?, tab, entered);
    let status = if entered.problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok((status, page).into_response())
}

/// The forms and buttons of one client.
pub(super) async fn change(seat: Seat) -> Answer {
    seat.need(WRITE)?;
    let here = format!("{}/identity/clients/{}", seat.ask.root, seat.ask.param("client"));
    match seat.ask.param("part") {
        "secrets" => add_secret(&seat).await,
        "settings" => save(&seat, Tab::Settings).await,
        "limits" => save(&seat, Tab::Limits).await,
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
    let keep = ask.field("expire_others_in_seconds").parse().ok();
    let fields = SecretFields { expire_others_in_seconds: keep, ..SecretFields::default() };
    let planned = ask.auth.add_secret(&seat.who, &ask.tenant, ask.param("client"), fields).await?;
    let made = ask.auth.run(planned).await?;
    let client = page_of(seat, &*read(seat).await?).await?;
    Ok(reveal(&seat.visit(), &client, made.text.reveal(), Made::Secret).into_response())
}

async fn save(seat: &Seat, tab: Tab) -> Answer {
    let ask = &seat.ask;
    let mut found = Vec::new();
    let fields = if tab == Tab::Settings {
        ClientFields {
            name: text(seat, "name"),
            access_token_ttl_seconds: number(seat, "access_token_ttl_seconds", &mut found),
            expiry: time(seat, "expires_at", &mut found),
            ..ClientFields::default()
        }
    } else {
        ClientFields {
            rate_limit: rate(seat, &mut found),
            token_quota: quota(seat, &mut found),
            ..ClientFields::default()
        }
    };
    let fields = ClientFields { problems: found, ..fields };
    let version = ask.field("etag").parse().ok();
    let planned = ask.auth.patch_client(&seat.who, &ask.tenant, ask.param("client"), version, fields).await;
    let done = match planned {
        Ok(planned) => ask.auth.run(planned).await.map(|_| ()),
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => Ok(to(&format!("{}/identity/clients/{}/{}", ask.root, ask.param("client"), tab.path()))),
        Err(error) => {
            let mut entered = ask.entered();
            entered.problems = returned(error)?;
            draw(seat, tab, &entered).await
        }
    }
}

/// A whole number within what limits take, or a problem at its field.
fn bounded(seat: &Seat, name: &str, found: &mut Vec<FieldProblem>) -> Option<u32> {
    let Field::Value(value) = number(seat, name, found) else { return None };
    let value = u32::try_from(value).ok().filter(|value| *value <= 1_000_000_000);
    if value.is_none() {
        found.push(FieldProblem::new(name, "out_of_range", "this takes 0 to 1000000000"));
    }
    value
}

fn rate(seat: &Seat, found: &mut Vec<FieldProblem>) -> Field<RateLimit> {
    let limit = bounded(seat, "rate_limit", found);
    let window = bounded(seat, "rate_window_seconds", found);
    limit.map_or(Field::Null, |limit| {
        let burst = limit.saturating_mul(2).min(1_000_000_000);
        Field::Value(RateLimit { limit, window_s: window.unwrap_or(1).max(1), burst, enforce: true })
    })
}

fn quota(seat: &Seat, found: &mut Vec<FieldProblem>) -> Field<TokenQuota> {
    let (per_hour, per_day) = (bounded(seat, "quota_per_hour", found), bounded(seat, "quota_per_day", found));
    if per_hour.is_none() && per_day.is_none() {
        return Field::Null;
    }
    Field::Value(TokenQuota { per_hour, per_day, enforce: true })
}

async fn set_enabled(seat: &Seat, enabled: bool, here: &str) -> Answer {
    let ask = &seat.ask;
    let planned = ask.auth.set_client_enabled(&seat.who, &ask.tenant, ask.param("client"), None, enabled).await?;
    if enabled {
        ask.auth.run(planned).await?;
    } else {
        // what narrows access has a lane of its own, which is open when the others are full
        ask.auth.run_reserved(planned).await?;
    }
    Ok(to(here))
}

async fn delete(seat: &Seat, here: &str) -> Answer {
    let ask = &seat.ask;
    seat.need_fresh(&format!("{here}/danger"))?;
    if ask.field("confirm") != ask.param("client") {
        let problem = ("confirm".to_owned(), "Type the id of the client to delete it.".to_owned());
        return draw(seat, Tab::Danger, &Entered { values: Vec::new(), problems: vec![problem] }).await;
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
