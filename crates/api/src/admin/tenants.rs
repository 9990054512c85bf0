//! Tenants and the limits of a tenant.

use auth::client_change::ClientView;
use auth::setup::TenantFields;
use kernel::patch::Field;
use record::tenant::Tenant;
use serde_json::{Value, json};
use store::params;

use super::secrets::refused;
use super::{Ask, Reply, change, clients};
use crate::problem::{Problem, from_admin};
use record::fields::Reader;

fn view(tenant: &Tenant) -> Value {
    json!({
        "slug": &*tenant.slug, "id": tenant.id.to_string(), "name": tenant.name, "kind": tenant.kind.name(),
        "issuer": &*tenant.issuer, "disabled": tenant.disabled_at.is_some(),
        "created_at": tenant.created_at.to_string(), "updated_at": tenant.updated_at.to_string(),
    })
}

fn read(body: &Value) -> TenantFields {
    let mut reader = match Reader::new(body) {
        Ok(reader) => reader,
        Err(problems) => return TenantFields { problems, ..TenantFields::default() },
    };
    let disabled = reader.boolean("disabled").given();
    let mut text = |name: &'static str| reader.string(name).given();
    let (slug, name, kind) = (text("slug"), text("name"), text("kind"));
    TenantFields { problems: reader.finish(), slug, name, kind, disabled }
}

async fn find(ask: &Ask) -> Result<std::sync::Arc<Tenant>, Problem> {
    let found = ask.app.auth.tenant(ask.param("slug")).await.map_err(|e| from_admin(&e.into()))?;
    found.ok_or_else(|| Problem::not_found("there is no tenant with this slug"))
}

pub(super) async fn list(ask: &Ask) -> Result<Reply, Problem> {
    let limit = usize::try_from(ask.limit()?).unwrap_or(0);
    let after = ask.position()?.map_or(String::new(), |p| String::from_utf8_lossy(&p).into_owned());
    let more = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
    let auth = &ask.app.auth;
    let rows =
        auth.store.read_all(&auth::sql::TENANTS, params![after, more]).await.map_err(|e| from_admin(&e.into()))?;
    let mut data = Vec::new();
    let mut last = None;
    for row in rows.iter().take(limit) {
        let tenant = Tenant::from_row(row, &auth.keyring, &auth.settings.issuer).map_err(|e| from_admin(&e.into()))?;
        last = Some(tenant.slug.to_string());
        data.push(view(&tenant));
    }
    let next = last.filter(|_| rows.len() > limit);
    Ok(ask.page(&data, next.as_ref().map(String::as_bytes)))
}

pub(super) async fn create(ask: &Ask) -> Result<Reply, Problem> {
    let auth = &ask.app.auth;
    let reply =
        change!(ask, auth.create_tenant(&ask.who, read(&ask.body)), |(tenant, admin): (Tenant, ClientView)| {
            let mut body = view(&tenant);
            if let Value::Object(members) = &mut body {
                members.insert("admin_client".to_owned(), clients::created(&admin, auth.clock.now()));
            }
            Reply::created(format!("{}/api/tenants/{}", ask.tenant.issuer, tenant.slug), body)
        })?;
    // Keys that cannot be made now are made at the first token.
    let slug = reply.body.as_ref().and_then(|b| b.get("slug")).and_then(Value::as_str).unwrap_or_default();
    if let Ok(Some(tenant)) = auth.tenant(slug).await
        && let Err(error) = auth.first_keys(&tenant).await
    {
        tracing::warn!(code = "keys_not_made", %error, "a new tenant's keys will be made at its first token");
    }
    Ok(reply)
}

pub(super) async fn get(ask: &Ask) -> Result<Reply, Problem> {
    let tenant = find(ask).await?;
    Ok(Reply::ok(view(&tenant)).version(tenant.updated_at.as_micros()))
}

pub(super) async fn update(ask: &Ask) -> Result<Reply, Problem> {
    if let Some(version) = ask.if_version()?
        && find(ask).await?.updated_at.as_micros() != version
    {
        return Err(Problem::precondition_failed());
    }
    let slug = ask.param("slug");
    change!(ask, ask.app.auth.patch_tenant(&ask.who, slug, read(&ask.body)), |()| Reply::empty())?;
    get(ask).await
}

fn limits_view(ask: &Ask) -> Value {
    let settings = &ask.app.auth.settings;
    let rate = |r: auth::limit::Rate| json!({"limit": r.limit, "window_s": r.window_s, "burst": r.burst});
    json!({
        "client": rate(ask.app.auth.default_rate(&ask.tenant)),
        "source": rate(settings.source_rate),
        "authentication_failures_per_client_and_source": rate(settings.pair_failures),
        "authentication_failures_per_source": rate(settings.source_failures),
    })
}

pub(super) fn limits(ask: &Ask) -> Reply {
    Reply::ok(limits_view(ask)).version(ask.tenant.updated_at.as_micros())
}

pub(super) async fn update_limits(ask: &Ask) -> Result<Reply, Problem> {
    if ask.if_version()?.is_some_and(|version| version != ask.tenant.updated_at.as_micros()) {
        return Err(Problem::precondition_failed());
    }
    let mut reader = Reader::new(&ask.body).map_err(Problem::invalid)?;
    let mut inner = Vec::new();
    let rate = match reader.object("client") {
        Field::Absent => None,
        Field::Null => Some(None),
        Field::Value(members) => {
            let mut part = Reader::at("/client", &members);
            let current = ask.app.auth.default_rate(&ask.tenant);
            let mut number = |name: &'static str, low: i64, high: i64, now: u32| match part.integer(name) {
                Field::Absent => now,
                Field::Value(n) if (low..=high).contains(&n) => u32::try_from(n).unwrap_or(0),
                _ => {
                    part.refuse(name, "out_of_range", format!("{name} takes {low} to {high}"));
                    0
                }
            };
            let rate = auth::limit::Rate {
                limit: number("limit", 0, 1_000_000_000, current.limit),
                window_s: number("window_s", 1, 86_400, current.window_s),
                burst: number("burst", 1, 1_000_000_000, current.burst),
            };
            inner.extend(part.finish());
            Some(Some(rate))
        }
    };
    reader.absorb(inner);
    refused(reader.finish())?;
    let Some(rate) = rate else { return Ok(limits(ask)) };
    let reply = change!(ask, ask.app.auth.patch_limits(&ask.who, &ask.tenant, rate), |()| Reply::empty())?;
    let fresh = ask.app.auth.tenant(&ask.tenant.slug).await.map_err(|e| from_admin(&e.into()))?;
    match fresh {
        Some(tenant) => {
            let rate = ask.app.auth.default_rate(&tenant);
            let mut body = limits_view(ask);
            if let Value::Object(members) = &mut body {
                let shown = json!({"limit": rate.limit, "window_s": rate.window_s, "burst": rate.burst});
                members.insert("client".to_owned(), shown);
            }
            Ok(Reply::ok(body).version(tenant.updated_at.as_micros()))
        }
        None => Ok(reply),
    }
}
