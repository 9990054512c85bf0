//! APIs and scopes: `/api/apis`.

use auth::api_change::{ApiFields, ScopeFields};
use auth::catalog::{Api, Catalog, Scope};
use kernel::id::{self, Id};
use serde_json::{Value, json};

use super::clients::select_key;
use super::{Ask, Reply, change};
use crate::problem::{Problem, from_admin};
use record::fields::Reader;

fn view(api: &Api) -> Value {
    json!({
        "id": api.id.to_string(), "identifier": &*api.identifier, "name": api.name,
        "builtin": api.builtin.map(auth::catalog::Builtin::name), "token_ttl_seconds": api.token_ttl_seconds,
        "signing_alg": api.signing_alg.map(jose::Alg::name), "created_at": api.created_at.to_string(),
        "updated_at": api.updated_at.to_string(),
    })
}

fn scope_view(name: &str, scope: &Scope) -> Value {
    json!({
        "name": name, "api_id": scope.api.to_string(), "description": scope.description,
        "requires_feature": scope.requires.as_deref(),
        "created_at": scope.created_at.to_string(),
    })
}

fn missing(what: &str) -> Problem {
    Problem::not_found(format!("there is no {what} with this id in this tenant"))
}

fn api_id(ask: &Ask) -> Result<Id<id::Api>, Problem> {
    Id::parse(ask.param("id")).map_err(|_| missing("API"))
}

async fn catalog(ask: &Ask) -> Result<Catalog, Problem> {
    ask.app.auth.read_catalog(&ask.tenant).await.map_err(|e| from_admin(&e.into()))
}

fn read(body: &Value) -> ApiFields {
    let mut reader = match Reader::new(body) {
        Ok(reader) => reader,
        Err(problems) => return ApiFields { problems, ..ApiFields::default() },
    };
    let fields = ApiFields {
        problems: Vec::new(),
        identifier: reader.string("identifier"),
        name: reader.string("name"),
        token_ttl_seconds: reader.integer("token_ttl_seconds"),
        signing_alg: reader.string("signing_alg"),
    };
    ApiFields { problems: reader.finish(), ..fields }
}

fn read_scope(body: &Value) -> ScopeFields {
    let mut reader = match Reader::new(body) {
        Ok(reader) => reader,
        Err(problems) => return ScopeFields { problems, ..ScopeFields::default() },
    };
    let (name, description) = (reader.string("name").given(), reader.string("description").given());
    let requires_feature = reader.string("requires_feature");
    ScopeFields { problems: reader.finish(), name, description, requires_feature, was: None }
}

pub(super) async fn list(ask: &Ask) -> Result<Reply, Problem> {
    let limit = usize::try_from(ask.limit()?).unwrap_or(0);
    let after = ask.position_id()?;
    let catalog = catalog(ask).await?;
    let mut rest = catalog.apis.iter().filter(|api| after.is_none_or(|a| api.id.as_bytes() > &a));
    let page: Vec<&Api> = rest.by_ref().take(limit).collect();
    let next = rest.next().and(page.last()).map(|api| *api.id.as_bytes());
    Ok(ask.page(&page.iter().map(|api| view(api)).collect::<Vec<_>>(), next.as_ref().map(<[u8; 16]>::as_slice)))
}

pub(super) async fn get(ask: &Ask) -> Result<Reply, Problem> {
    let catalog = catalog(ask).await?;
    let api = catalog.api(api_id(ask)?).ok_or_else(|| missing("API"))?;
    Ok(Reply::ok(view(api)).version(api.version))
}

pub(super) async fn create(ask: &Ask) -> Result<Reply, Problem> {
    let reply = change!(ask, ask.app.auth.create_api(&ask.who, &ask.tenant, read(&ask.body)), |api: Api| {
        Reply::created(format!("{}/api/apis/{}", ask.tenant.issuer, api.id), view(&api)).version(api.version)
    })?;
    select_key(ask, reply).await
}

pub(super) async fn update(ask: &Ask) -> Result<Reply, Problem> {
    let (id, version) = (api_id(ask)?, ask.if_version()?);
    let reply =
        change!(ask, ask.app.auth.patch_api(&ask.who, &ask.tenant, id, version, read(&ask.body)), |api: Api| {
            Reply::ok(view(&api)).version(api.version)
        })?;
    select_key(ask, reply).await
}

pub(super) async fn delete(ask: &Ask) -> Result<Reply, Problem> {
    let (id, version) = (api_id(ask)?, ask.if_version()?);
    change!(ask, ask.app.auth.delete_api(&ask.who, &ask.tenant, id, version), |()| Reply::empty())
}

pub(super) async fn list_scopes(ask: &Ask) -> Result<Reply, Problem> {
    let id = api_id(ask)?;
    let limit = usize::try_from(ask.limit()?).unwrap_or(0);
    let after = ask.position()?;
    let catalog = catalog(ask).await?;
    catalog.api(id).ok_or_else(|| missing("API"))?;
    let mut owned: Vec<(&str, &Scope)> =
        catalog.scopes.iter().filter(|(_, s)| s.api == id).map(|(name, s)| (&**name, s)).collect();
    owned.sort_unstable_by_key(|(name, _)| *name);
    let mut rest = owned.iter().filter(|(name, _)| after.as_ref().is_none_or(|a| name.as_bytes() > a.as_slice()));
    let page: Vec<_> = rest.by_ref().take(limit).collect();
    let next = rest.next().and(page.last()).map(|(name, _)| name.as_bytes());
    Ok(ask.page(&page.iter().map(|(name, s)| scope_view(name, s)).collect::<Vec<_>>(), next))
}

pub(super) async fn create_scope(ask: &Ask) -> Result<Reply, Problem> {
    let id = api_id(ask)?;
    let auth = &ask.app.auth;
    change!(ask, auth.create_scope(&ask.who, &ask.tenant, id, read_scope(&ask.body)), |(name, scope): (
        String,
        Scope
    )| {
        Reply::created(format!("{}/api/apis/{id}/scopes/{name}", ask.tenant.issuer), scope_view(&name, &scope))
    })
}

pub(super) async fn update_scope(ask: &Ask) -> Result<Reply, Problem> {
    let id = api_id(ask)?;
    let (auth, name) = (&ask.app.auth, ask.param("name"));
    change!(ask, auth.patch_scope(&ask.who, &ask.tenant, id, name, read_scope(&ask.body)), |scope: Scope| {
        Reply::ok(scope_view(name, &scope))
    })
}

pub(super) async fn delete_scope(ask: &Ask) -> Result<Reply, Problem> {
    let id = api_id(ask)?;
    change!(ask, ask.app.auth.delete_scope(&ask.who, &ask.tenant, id, ask.param("name")), |()| Reply::empty())
}

pub(super) async fn resource_metadata(ask: &Ask) -> Result<Reply, Problem> {
    let catalog = catalog(ask).await?;
    let api = catalog.api(api_id(ask)?).ok_or_else(|| missing("API"))?;
    let mut scopes: Vec<&str> =
        catalog.scopes.iter().filter(|(_, s)| s.api == api.id).map(|(name, _)| &**name).collect();
    scopes.sort_unstable();
    Ok(Reply::ok(crate::metadata::resource_document(&ask.tenant.issuer, &api.identifier, &scopes)))
}
