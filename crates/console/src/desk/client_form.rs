//! The forms of a client: making one, and changing its settings, its limits and its access.

use std::sync::Arc;

use auth::client::{RateLimit, TokenQuota};
use auth::client_change::{ClientFields, Warning};
use auth::error::{AdminError, FieldProblem};
use axum::response::IntoResponse as _;
use http::StatusCode;
use kernel::clock::Timestamp;
use kernel::patch::Field;
use kernel::secret::Secret;

use super::ask::{Seat, to};
use super::client_access;
use super::clients::{WRITE, answered, page_of, read};
use super::refused::{Answer, Refused, problems};
use crate::form::Entered;
use crate::pages::client::{self, Tab};
use crate::pages::clients::{self, New};
use crate::pages::reveal::{Made, reveal};

/// Names and descriptions.
type Scopes = Vec<(String, String)>;

/// The scopes that can be given: those of the tenant's own APIs, and those of this server's.
async fn scopes(seat: &Seat) -> Result<(Scopes, Scopes), Refused> {
    let catalog = seat.ask.auth.catalog(&seat.ask.tenant).await?;
    let is_built_in = |api| catalog.builtin(auth::catalog::Builtin::Management).is_some_and(|own| own.id == api);
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
    let mut values = if seat.ask.auth.settings.hardened { Vec::new() } else { vec![pair("defaults", "true")] };
    if !seat.ask.query("customer").is_empty() {
        values.push(pair("customer_id", seat.ask.query("customer")));
    }
    draw_new(&seat, StatusCode::OK, Entered { values, ..Entered::default() }, &[]).await
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

async fn draw_new(seat: &Seat, status: StatusCode, entered: Entered, warnings: &[Warning]) -> Answer {
    let (scopes, management) = scopes(seat).await?;
    let catalog = seat.ask.auth.catalog(&seat.ask.tenant).await?;
    let apis = catalog.apis.iter().map(|api| (api.identifier.to_string(), api.name.clone())).collect();
    let warnings = warnings.iter().map(|warning| (warning.code, warning.detail.clone())).collect();
    let data = New { scopes, management, apis, entered, warnings, form: seat.ask.new_form() };
    Ok((status, clients::new(&seat.visit(), &data)).into_response())
}

/// A field of a form: empty is absent.
pub(super) fn text(seat: &Seat, name: &str) -> Field<String> {
    let value = seat.ask.field(name).trim();
    if value.is_empty() { Field::Absent } else { Field::Value(value.to_owned()) }
}

/// A choice of a form; the empty one means "as the default", which is what null says in the API.
pub(super) fn choice(seat: &Seat, name: &str) -> Field<String> {
    match text(seat, name) {
        Field::Absent => Field::Null,
        given => given,
    }
}

/// A number of a form; an empty field means "as the default", which is what null says in the API.
pub(super) fn number(seat: &Seat, name: &str, found: &mut Vec<FieldProblem>) -> Field<i64> {
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

pub(super) async fn create(seat: Seat) -> Answer {
    seat.need(WRITE)?;
    let ask = &seat.ask;
    if !ask.is_first_of_form() {
        return Ok(to(&format!("{}/identity/clients", ask.root)));
    }
    let mut found = Vec::new();
    let chosen = ask.fields("scope");
    let (_, management) = scopes(&seat).await?;
    let is_default = |scope: &String| management.iter().all(|(name, _)| name != scope);
    let defaults = chosen.iter().filter(|scope| is_default(scope) && ask.field("defaults") == "true");
    let fields = ClientFields {
        name: text(&seat, "name"),
        client_id: text(&seat, "client_id"),
        client_secret: Some(ask.field("secret")).filter(|s| !s.is_empty()).map(|s| Secret::new(s.to_owned())),
        default_scopes: Field::Value(defaults.cloned().collect()),
        scopes: Field::Value(chosen),
        expiry: time(&seat, "expires_at", &mut found),
        access_token_ttl_seconds: number(&seat, "access_token_ttl_seconds", &mut found),
        audiences: Field::Value(ask.fields("audience")),
        customer_id: text(&seat, "customer_id"),
        rate_limit: rate(&seat, &mut found),
        token_quota: quota(&seat, &mut found),
        ..ClientFields::default()
    };
    let fields = ClientFields { problems: found, ..fields };
    let made = match ask.access.create_client(&seat.who, &ask.tenant, fields).await {
        Ok(planned) => {
            // What deserves a second thought is said before it is done.
            let accepted = ask.fields("accepted");
            let warnings = &planned.value.warnings;
            if warnings.iter().any(|warning| !accepted.iter().any(|code| code == warning.code)) {
                ask.forget_form();
                return draw_new(&seat, StatusCode::UNPROCESSABLE_ENTITY, ask.entered(), warnings).await;
            }
            ask.auth.run(planned).await
        }
        Err(error) => Err(error),
    };
    match made {
        Ok(view) => match &view.secret {
            Some(secret) => {
                let client = ask.auth.read_client(ask.tenant.id, &view.client.client_id).await?;
                let shown = page_of(&seat, &*client.ok_or_else(Refused::not_found)?).await?;
                Ok(reveal(&seat.visit(), &shown, secret.reveal(), Made::Client).into_response())
            }
            None => Ok(to(&format!("{}/identity/clients/{}", ask.root, view.client.client_id))),
        },
        Err(error) => {
            ask.forget_form();
            let mut entered = ask.entered();
            entered.problems = returned(error)?;
            draw_new(&seat, StatusCode::UNPROCESSABLE_ENTITY, entered, &[]).await
        }
    }
}

/// What is wrong with a form, or an error that is not of the form.
fn returned(error: AdminError) -> Result<Vec<(String, String)>, Refused> {
    match error {
        AdminError::Invalid(list) => {
            let of_form = |name: &str| match name {
                "scopes" => "scope".to_owned(),
                "default_scopes" | "audiences" => String::new(),
                "expiry" => "expires_at".to_owned(),
                "client_secret" => "secret".to_owned(),
                "token_quota" => "quota_per_hour".to_owned(),
                other => other.to_owned(),
            };
            Ok(problems(list).into_iter().map(|(name, text)| (of_form(&name), text)).collect())
        }
        AdminError::Taken(_, sentence) => Ok(vec![("client_id".to_owned(), sentence)]),
        other => Err(other.into()),
    }
}

/// What a tab of the client asks to change.
fn changes(seat: &Seat, tab: Tab) -> ClientFields {
    let ask = &seat.ask;
    let mut found = Vec::new();
    let fields = match tab {
        Tab::Settings => ClientFields {
            name: text(seat, "name"),
            access_token_ttl_seconds: number(seat, "access_token_ttl_seconds", &mut found),
            expiry: time(seat, "expires_at", &mut found),
            access_token_format: choice(seat, "access_token_format"),
            signing_alg: choice(seat, "signing_alg"),
            customer_id: choice(seat, "customer_id"),
            ..ClientFields::default()
        },
        Tab::Access => {
            let allowed = ask.fields("scope");
            // A tick under "by default" means nothing beside a scope that may not be requested.
            let defaults = ask.fields("default_scope").into_iter().filter(|scope| allowed.contains(scope)).collect();
            ClientFields {
                default_scopes: Field::Value(defaults),
                scopes: Field::Value(allowed),
                audiences: Field::Value(ask.fields("audience")),
                multi_audience: Field::Value(ask.field("multi_audience") == "true"),
                ..ClientFields::default()
            }
        }
        _ => ClientFields {
            rate_limit: rate(seat, &mut found),
            token_quota: quota(seat, &mut found),
            ..ClientFields::default()
        },
    };
    ClientFields { problems: found, ..fields }
}

/// Saves a tab, or shows what saving it would come to.
pub(super) async fn save(seat: &Seat, tab: Tab) -> Answer {
    let ask = &seat.ask;
    let is_preview = tab == Tab::Access && !ask.field("preview").is_empty();
    let version = ask.field("etag").parse().ok().filter(|_| !is_preview);
    let planned =
        ask.access.patch_client(&seat.who, &ask.tenant, ask.param("client"), version, changes(seat, tab)).await;
    let done = match planned {
        Ok(planned) if is_preview => {
            let stored = read(seat).await?;
            let says =
                client_access::says(seat, &planned.value.client, Some(ask.field("preview_scope").trim())).await?;
            // The form goes on from the version that it was opened with.
            let etag = ask.field("etag").to_owned();
            let page = client::Client { says, etag, ..page_of(seat, &stored).await? };
            return Ok(answered(seat, &page, tab, &ask.entered()));
        }
        Ok(planned) => ask.auth.run(planned).await.map(|_| ()),
        Err(error) => Err(error),
    };
    let mut entered = ask.entered();
    match done {
        Ok(()) => {
            let path = format!("{}/identity/clients/{}/{}", ask.root, ask.param("client"), tab.path());
            Ok(seat.done(&path, "Saved".to_owned(), None))
        }
        Err(AdminError::Stale | AdminError::Store(store::Error::Conflict(_))) => {
            let page = page_of(seat, &*read(seat).await?).await?;
            entered.overtaken(client::both_versions(&page, tab, &entered.clone()));
            Ok(answered(seat, &page, tab, &entered))
        }
        Err(error) => {
            entered.problems = returned(error)?;
            let page = page_of(seat, &*read(seat).await?).await?;
            Ok(answered(seat, &page, tab, &entered))
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
    let burst = bounded(seat, "rate_burst", found);
    limit.map_or(Field::Null, |limit| {
        let burst = burst.unwrap_or_else(|| limit.saturating_mul(2).min(1_000_000_000));
        let enforce = seat.ask.field("rate_mode") != "count";
        Field::Value(RateLimit { limit, window_s: window.unwrap_or(1).max(1), burst, enforce })
    })
}

fn quota(seat: &Seat, found: &mut Vec<FieldProblem>) -> Field<TokenQuota> {
    let (per_hour, per_day) = (bounded(seat, "quota_per_hour", found), bounded(seat, "quota_per_day", found));
    if per_hour.is_none() && per_day.is_none() {
        return Field::Null;
    }
    Field::Value(TokenQuota { per_hour, per_day, enforce: seat.ask.field("quota_mode") != "count" })
}
