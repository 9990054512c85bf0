//! APIs and scopes.

use auth::api_change::{ApiFields, ScopeFields};
use auth::catalog::{Builtin, Catalog};
use auth::client::Client;
use auth::error::AdminError;
use auth::sql::{API_CLIENTS, API_SCOPES_USED};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use kernel::id::{self, Id};
use kernel::patch::Field;
use record::plan::Planned;
use store::params;

use super::ask::{Seat, to};
use super::client_form::{choice, number, text};
use super::refused::{Answer, Refused, problems};
use crate::form::Entered;
use crate::pages::api::{self, Scope, Tab};
use crate::pages::apis::{self, Api};

const READ: &str = "apis:read";
const WRITE: &str = "apis:write";
/// Clients that the page of an API names.
const CLIENTS: usize = 50;

/// The name for people, or the identifier of an API that has none.
fn name(api: &auth::catalog::Api) -> String {
    if api.name.is_empty() { api.identifier.to_string() } else { api.name.clone() }
}

/// Names and descriptions of the scopes of an API, in order.
fn scopes(catalog: &Catalog, api: Id<id::Api>) -> Vec<(String, String)> {
    let owned = catalog.scopes.iter().filter(|(_, scope)| scope.api == api);
    let mut list: Vec<_> = owned.map(|(name, scope)| (name.to_string(), scope.description.clone())).collect();
    list.sort();
    list
}

pub(super) async fn list(seat: Seat) -> Answer {
    seat.need(READ)?;
    let ask = &seat.ask;
    let catalog = ask.auth.catalog(&ask.tenant).await?;
    let list: Vec<Api> = catalog
        .apis
        .iter()
        .map(|api| Api {
            id: api.id.to_string(),
            name: name(api),
            identifier: api.identifier.to_string(),
            is_built_in: api.builtin.is_some(),
            token_ttl_seconds: api.token_ttl_seconds.map(i64::from),
            signing_alg: api.signing_alg.map(|alg| alg.name().to_owned()),
            scopes: scopes(&catalog, api.id).into_iter().map(|(name, _)| name).collect(),
        })
        .collect();
    Ok(apis::list(&seat.visit(), &list).into_response())
}

pub(super) async fn new(seat: Seat) -> Answer {
    seat.need(WRITE)?;
    Ok(api::new(&seat.visit(), &Entered::default(), &seat.ask.new_form()).into_response())
}

fn fields(seat: &Seat) -> ApiFields {
    let mut found = Vec::new();
    let fields = ApiFields {
        name: text(seat, "name"),
        token_ttl_seconds: number(seat, "token_ttl_seconds", &mut found),
        signing_alg: choice(seat, "signing_alg"),
        ..ApiFields::default()
    };
    ApiFields { problems: found, ..fields }
}

/// Commits what was planned.
async fn done<T>(seat: &Seat, planned: Result<Planned<T>, AdminError>) -> Result<T, AdminError> {
    seat.ask.auth.run(planned?).await
}

/// What is wrong with a form, or an error that is not of the form.
fn returned(error: AdminError, of_taken: &str) -> Result<Vec<(String, String)>, Refused> {
    match error {
        AdminError::Invalid(list) => Ok(problems(list)),
        AdminError::Taken(_, sentence) => Ok(vec![(of_taken.to_owned(), sentence)]),
        AdminError::State(sentence) => Ok(vec![(String::new(), sentence)]),
        other => Err(other.into()),
    }
}

pub(super) async fn create(seat: Seat) -> Answer {
    seat.need(WRITE)?;
    let ask = &seat.ask;
    if !ask.is_first_of_form() {
        return Ok(to(&format!("{}/identity/apis", ask.root)));
    }
    let fields = ApiFields { identifier: Field::Value(ask.field("identifier").trim().to_owned()), ..fields(&seat) };
    let planned = ask.auth.create_api(&seat.who, &ask.tenant, fields).await;
    match done(&seat, planned).await {
        Ok(made) => Ok(to(&format!("{}/identity/apis/{}", ask.root, made.id))),
        Err(error) => {
            ask.forget_form();
            let entered = Entered { problems: returned(error, "identifier")?, ..ask.entered() };
            let page = api::new(&seat.visit(), &entered, &ask.new_form());
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
    }
}

/// The API of the address, as it is stored now.
async fn page_of(seat: &Seat) -> Result<api::Api, Refused> {
    let ask = &seat.ask;
    let catalog = ask.auth.read_catalog(&ask.tenant).await?;
    let id = ask.id::<id::Api>("api")?;
    let found = catalog.api(id).ok_or_else(Refused::not_found)?;
    let most = i64::try_from(CLIENTS).unwrap_or(i64::MAX).saturating_add(1);
    let rows = ask.auth.store.read_all(&API_CLIENTS, params![ask.tenant.id, id, most]).await?;
    let mut clients = Vec::new();
    for row in rows.iter().take(CLIENTS) {
        let client = Client::from_row(row, Vec::new())?;
        clients.push((client.client_id.to_string(), super::clients::name(&client), client.status(ask.now).name()));
    }
    let used = ask.auth.store.read_all(&API_SCOPES_USED, params![ask.tenant.id, id]).await?;
    let used = used.iter().map(|row| row.text(0)).collect::<Result<Vec<_>, _>>()?;
    let scope = |(name, text): (String, String)| Scope { is_used: used.contains(&name.as_str()), name, text };
    Ok(api::Api {
        id: id.to_string(),
        name: name(found),
        identifier: found.identifier.to_string(),
        is_built_in: found.builtin.is_some(),
        is_management: found.builtin == Some(Builtin::Management),
        token_ttl_seconds: found.token_ttl_seconds.map(i64::from),
        signing_alg: found.signing_alg.map(|alg| alg.name().to_owned()).unwrap_or_default(),
        issuer: ask.tenant.issuer.to_string(),
        scopes: scopes(&catalog, id).into_iter().map(scope).collect(),
        has_more_clients: rows.len() > CLIENTS,
        clients,
        created_at: found.created_at,
        updated_at: found.updated_at,
        etag: found.version.to_string(),
    })
}

fn answered(seat: &Seat, page: &api::Api, tab: Tab, entered: &Entered) -> Response {
    let status = if entered.problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    (status, api::detail(&seat.visit(), page, tab, &seat.ask.new_form(), entered)).into_response()
}

async fn draw(seat: &Seat, tab: Tab, entered: &Entered) -> Answer {
    seat.need(READ)?;
    Ok(answered(seat, &page_of(seat).await?, tab, entered))
}

pub(super) async fn show(seat: Seat) -> Answer {
    draw(&seat, Tab::Scopes, &Entered::default()).await
}

pub(super) async fn show_part(seat: Seat) -> Answer {
    let tab = Tab::parse(seat.ask.param("part")).ok_or_else(Refused::not_found)?;
    draw(&seat, tab, &Entered::default()).await
}

/// The forms and buttons of one API.
pub(super) async fn change(seat: Seat) -> Answer {
    seat.need(WRITE)?;
    let ask = &seat.ask;
    let (id, here) = (ask.id::<id::Api>("api")?, format!("{}/identity/apis/{}", ask.root, ask.param("api")));
    let (auth, who, tenant) = (&ask.auth, &seat.who, &*ask.tenant);
    let mut undo = None;
    let (tab, outcome) = match ask.param("part") {
        "settings" => {
            let version = ask.field("etag").parse().ok();
            let planned = auth.patch_api(who, tenant, id, version, fields(&seat)).await;
            (Tab::Settings, done(&seat, planned).await.map(|_| ()))
        }
        "scopes" => {
            if !ask.is_first_of_form() {
                return Ok(to(&here));
            }
            let scope = |name: &str| Some(ask.field(name).trim().to_owned());
            let fields =
                ScopeFields { name: scope("new_scope"), description: scope("description"), ..ScopeFields::default() };
            let planned = auth.create_scope(who, tenant, id, fields).await;
            (Tab::Scopes, done(&seat, planned).await.map(|_| ()).inspect_err(|_| ask.forget_form()))
        }
        "describe" => {
            let text = |name: &str| Some(ask.field(name).trim().to_owned());
            let fields = ScopeFields { description: text("description"), was: text("was"), ..ScopeFields::default() };
            let back = [
                ("scope", ask.field("scope")),
                ("was", ask.field("description").trim()),
                ("description", ask.field("was")),
            ];
            undo = Some((format!("{here}/describe"), back.map(|(name, value)| (name, value.to_owned())).into()));
            let planned = auth.patch_scope(who, tenant, id, ask.field("scope"), fields).await;
            (Tab::Scopes, done(&seat, planned).await.map(|_| ()))
        }
        "withdraw" => {
            let name = ask.field("scope");
            let text = auth.catalog(tenant).await?.scopes.get(name).map(|scope| scope.description.clone());
            let again = vec![
                ("form", ask.new_form()),
                ("new_scope", name.to_owned()),
                ("description", text.unwrap_or_default()),
            ];
            undo = Some((format!("{here}/scopes"), again));
            let planned = auth.delete_scope(who, tenant, id, name).await;
            (Tab::Scopes, done(&seat, planned).await)
        }
        "delete" => return delete(&seat, id, &here).await,
        _ => return Err(Refused::not_found()),
    };
    let Err(error) = outcome else {
        let path = if tab.path().is_empty() { here } else { format!("{here}/{}", tab.path()) };
        let sentence = match ask.param("part") {
            "scopes" => format!("{} is added", ask.field("new_scope").trim()),
            "withdraw" => format!("{} is removed", ask.field("scope")),
            _ => "Saved".to_owned(),
        };
        return Ok(seat.done(&path, sentence, undo));
    };
    let page = page_of(&seat).await?;
    let mut entered = ask.entered();
    match error {
        AdminError::Stale | AdminError::Store(store::Error::Conflict(_)) if tab == Tab::Settings => {
            entered.overtaken(api::both_versions(&page, &entered.clone()));
        }
        AdminError::Stale | AdminError::Store(store::Error::Conflict(_)) => {
            let stored = page.scopes.iter().find(|scope| scope.name == ask.field("scope"));
            let stored = stored.map(|scope| scope.text.clone()).unwrap_or_default();
            entered.overtaken([("What it allows", stored, ask.field("description").to_owned())]);
        }
        error => {
            let of_form =
                |name: String| if name == "name" && tab == Tab::Scopes { "new_scope".to_owned() } else { name };
            let found = returned(error, "new_scope")?;
            entered.problems = found.into_iter().map(|(name, text)| (of_form(name), text)).collect();
        }
    }
    Ok(answered(&seat, &page, tab, &entered))
}

async fn delete(seat: &Seat, id: Id<id::Api>, here: &str) -> Answer {
    let ask = &seat.ask;
    seat.need_fresh(&format!("{here}/danger"))?;
    let page = page_of(seat).await?;
    if ask.field("confirm") != page.identifier {
        let problem = ("confirm".to_owned(), "Type the audience of the API to delete it.".to_owned());
        return Ok(answered(seat, &page, Tab::Danger, &Entered { problems: vec![problem], ..Entered::default() }));
    }
    let planned = ask.auth.delete_api(&seat.who, &ask.tenant, id, None).await;
    match done(seat, planned).await {
        Ok(()) => Ok(to(&format!("{}/identity/apis", ask.root))),
        Err(error) => {
            let entered = Entered { problems: returned(error, "")?, ..Entered::default() };
            Ok(answered(seat, &page, Tab::Danger, &entered))
        }
    }
}
