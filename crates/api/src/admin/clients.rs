//! Clients: `/api/clients`.

use auth::client::{Client, RateLimit, Status, TokenQuota};
use auth::client_change::{ClientFields, ClientView, Warning};
use auth::client_list::{Asked, Filter, Order, Place};
use auth::error::{AdminError, FieldProblem};
use kernel::clock::Timestamp;
use kernel::patch::Field;
use kernel::secret::Secret;
use serde_json::{Map, Value, json};

use super::{Ask, Reply, change};
use crate::problem::{Problem, from_admin};
use record::fields::Reader;

/// A client as answers show it: never a secret, never a hash.
pub(crate) fn view(client: &Client, now: Timestamp) -> Value {
    let mut view = serde_json::to_value(&client.settings).unwrap_or_else(|_| json!({}));
    if let Value::Object(members) = &mut view {
        let mut all = Map::new();
        all.insert("client_id".to_owned(), json!(&*client.client_id));
        all.append(members);
        all.insert("customer_id".to_owned(), json!(client.customer.map(|id| id.to_string())));
        all.insert("expiry".to_owned(), json!(client.expires_at.map(|t| t.to_string())));
        all.insert("status".to_owned(), json!(client.status(now).name()));
        all.insert("created_at".to_owned(), json!(client.created_at.to_string()));
        all.insert("updated_at".to_owned(), json!(client.updated_at.to_string()));
        *members = all;
    }
    view
}

fn warned(mut view: Value, warnings: &[Warning]) -> Value {
    if let Value::Object(members) = &mut view {
        let list: Vec<Value> = warnings.iter().map(|w| json!({"code": w.code, "detail": w.detail})).collect();
        members.insert("warnings".to_owned(), Value::from(list));
    }
    view
}

/// The answer to a creation: the secret once, when it was generated here.
pub(crate) fn created(view: &ClientView, now: Timestamp) -> Value {
    let mut body = warned(self::view(&view.client, now), &view.warnings);
    if let Value::Object(members) = &mut body {
        if let Some(secret) = &view.secret {
            members.insert("client_secret".to_owned(), json!(secret.reveal()));
        }
        // RFC 7591 §3.2.1: 0 says that the secret does not expire.
        members.insert("client_secret_expires_at".to_owned(), json!(0));
    }
    body
}

fn rate(reader: &mut Reader<'_>, problems: &mut Vec<FieldProblem>) -> Field<RateLimit> {
    let members = match reader.object("rate_limit") {
        Field::Value(members) => members,
        Field::Null => return Field::Null,
        Field::Absent => return Field::Absent,
    };
    let mut inner = Reader::at("/rate_limit", &members);
    let number = |inner: &mut Reader<'_>, name: &'static str, default: i64| match inner.integer(name) {
        Field::Value(n) => match u32::try_from(n) {
            Ok(n) if n <= 1_000_000_000 => n,
            _ => {
                inner.refuse(name, "out_of_range", format!("{name} takes 0 to 1000000000"));
                0
            }
        },
        Field::Absent | Field::Null => u32::try_from(default).unwrap_or(0),
    };
    let limit = number(&mut inner, "limit", 1_000);
    let window_s = number(&mut inner, "window_s", 1);
    let burst = number(&mut inner, "burst", i64::from(limit).saturating_mul(2).min(1_000_000_000));
    let enforce = !matches!(inner.boolean("enforce"), Field::Value(false));
    problems.extend(inner.finish());
    Field::Value(RateLimit { limit, window_s, burst, enforce })
}

fn quota(reader: &mut Reader<'_>, problems: &mut Vec<FieldProblem>) -> Field<TokenQuota> {
    let members = match reader.object("token_quota") {
        Field::Value(members) => members,
        Field::Null => return Field::Null,
        Field::Absent => return Field::Absent,
    };
    let mut inner = Reader::at("/token_quota", &members);
    let number = |inner: &mut Reader<'_>, name: &'static str| match inner.integer(name) {
        Field::Value(n) => match u32::try_from(n) {
            Ok(n) if n <= 1_000_000_000 => Some(n),
            _ => {
                inner.refuse(name, "out_of_range", format!("{name} takes 0 to 1000000000"));
                None
            }
        },
        Field::Absent | Field::Null => None,
    };
    let per_hour = number(&mut inner, "per_hour");
    let per_day = number(&mut inner, "per_day");
    let enforce = !matches!(inner.boolean("enforce"), Field::Value(false));
    problems.extend(inner.finish());
    Field::Value(TokenQuota { per_hour, per_day, enforce })
}

/// Fields that have a meaning in a later version; with a value they are refused, so that nobody counts on them.
const RESERVED: &[&str] =
    &["jwks", "jwks_uri", "assertion_audience", "assertion_max_lifetime", "require_dpop", "profile"];

/// Reads a body; every problem of form is collected.
pub(crate) fn read(body: &Value) -> ClientFields {
    let mut reader = match Reader::new(body) {
        Ok(reader) => reader,
        Err(problems) => return ClientFields { problems, ..ClientFields::default() },
    };
    let mut inner = Vec::new();
    let secret = reader.string("client_secret").given().map(Secret::new);
    for name in RESERVED {
        if reader.is_given(name) {
            let detail = format!("{name} is reserved for what this server does not offer yet; leave it out");
            inner.push(FieldProblem::new(name, "reserved", detail));
        }
    }
    let fields = ClientFields {
        problems: Vec::new(),
        client_id: reader.string("client_id"),
        client_secret: secret,
        scopes: reader.scopes("scopes"),
        expiry: reader.time("expiry"),
        name: reader.string("name"),
        grant_types: reader.strings("grant_types"),
        token_endpoint_auth_method: reader.string("token_endpoint_auth_method"),
        default_scopes: reader.scopes("default_scopes"),
        audiences: reader.strings("audiences"),
        multi_audience: reader.boolean("multi_audience"),
        introspects: reader.strings("introspects"),
        static_claims: reader.object("static_claims"),
        customer_id: reader.string("customer_id"),
        claims: reader.strings("claims"),
        signing_alg: reader.string("signing_alg"),
        access_token_ttl_seconds: reader.integer("access_token_ttl_seconds"),
        access_token_format: reader.string("access_token_format"),
        refresh_token_ttl_seconds: reader.integer("refresh_token_ttl_seconds"),
        refresh_token_idle_seconds: reader.integer("refresh_token_idle_seconds"),
        refresh_reuse_window_seconds: reader.integer("refresh_reuse_window_seconds"),
        rate_limit: rate(&mut reader, &mut inner),
        token_quota: quota(&mut reader, &mut inner),
        metadata: reader.object("metadata"),
    };
    reader.absorb(inner);
    ClientFields { problems: reader.finish(), ..fields }
}

fn filter(ask: &Ask) -> Result<Filter, Problem> {
    let status = match ask.query.get("status") {
        None => None,
        Some(text) => {
            let refused = || Problem::parameter("status", "status takes active, expired or disabled");
            Some(Status::parse(text).ok_or_else(refused)?)
        }
    };
    Ok(Filter { q: ask.query.get("q").cloned(), status, scope: ask.query.get("scope").cloned() })
}

pub(super) async fn list(ask: &Ask) -> Result<Reply, Problem> {
    let order = match ask.query.get("sort") {
        None => Order::default(),
        Some(text) => Order::parse(text).ok_or_else(|| {
            let detail = "sort takes created_at, name, status or expiry, with - in front for the last first";
            Problem::parameter("sort", detail)
        })?,
    };
    let place = match ask.position()? {
        None => None,
        Some(bytes) => Some(Place::from_bytes(&bytes).ok_or_else(super::bad_cursor)?),
    };
    let asked = Asked { filter: filter(ask)?, order, limit: ask.limit()?, place };
    let auth = &ask.app.auth;
    let found = auth.list_clients(ask.tenant.id, &asked).await.map_err(|e| from_admin(&e.into()))?;
    let now = auth.clock.now();
    let data: Vec<Value> = found.clients.iter().map(|client| view(client, now)).collect();
    let next = found.next.map(|place| place.to_bytes());
    let mut reply = ask.page(&data, next.as_deref());
    if let (Some(window), Some(Value::Object(members))) = (found.window, &mut reply.body) {
        members.insert("window".to_owned(), json!(window));
    }
    Ok(reply)
}

pub(super) async fn count(ask: &Ask) -> Result<Reply, Problem> {
    let count = ask.app.auth.count_clients(ask.tenant.id, &filter(ask)?).await.map_err(|e| from_admin(&e.into()))?;
    Ok(Reply::ok(json!({"count": count.number, "is_capped": count.is_capped})))
}

pub(super) async fn get(ask: &Ask) -> Result<Reply, Problem> {
    let client = ask.client().await?;
    Ok(Reply::ok(view(&client, ask.app.auth.clock.now())).version(client.version))
}

pub(super) async fn create(ask: &Ask) -> Result<Reply, Problem> {
    let auth = &ask.app.auth;
    let reply =
        change!(ask, ask.app.access.create_client(&ask.who, &ask.tenant, read(&ask.body)), |view: ClientView| {
            let location = format!("{}/api/clients/{}", ask.tenant.issuer, view.client.client_id);
            Reply::created(location, created(&view, auth.clock.now())).version(view.client.version)
        })?;
    select_key(ask, reply).await
}

/// Makes the keys of an algorithm when a client or an API first selects it, so that they are published before
/// the first token needs them.
pub(super) async fn select_key(ask: &Ask, reply: Reply) -> Result<Reply, Problem> {
    let selected = reply.body.as_ref().and_then(|b| b.get("signing_alg")).and_then(Value::as_str);
    if let Some(alg) = selected.and_then(jose::Alg::parse)
        && let Err(error) = ask.app.auth.ensure_keys(&ask.tenant, auth::key::KeyPurpose::Token, alg).await
    {
        tracing::warn!(code = "keys_not_made", %error, "the selected algorithm's keys will be made at the first token");
    }
    Ok(reply)
}

fn changed(ask: &Ask, view: &ClientView) -> Reply {
    let body = warned(self::view(&view.client, ask.app.auth.clock.now()), &view.warnings);
    Reply::ok(body).version(view.client.version)
}

/// Applies a merge patch (RFC 7396 §2). Depth is bounded by the reader of the body.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(members) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    if let Value::Object(all) = target {
        for (name, value) in members {
            if value.is_null() {
                all.remove(name);
            } else {
                merge(all.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
    }
}

/// The body with its nested objects merged into those that the client has.
fn merged(body: &Value, client: &Client) -> Value {
    let current = serde_json::to_value(&client.settings).unwrap_or_default();
    let mut whole = body.clone();
    for name in ["metadata", "static_claims", "rate_limit", "token_quota"] {
        if let Some(patch) = whole.get_mut(name).filter(|patch| patch.is_object()) {
            let mut value = current.get(name).cloned().unwrap_or_default();
            merge(&mut value, patch);
            *patch = value;
        }
    }
    whole
}

pub(super) async fn update(ask: &Ask) -> Result<Reply, Problem> {
    let version = ask.if_version()?;
    let id = ask.param("client_id");
    let auth = &ask.app.auth;
    let plan = || async {
        let current = auth.read_client(ask.tenant.id, id).await?.ok_or(AdminError::NotFound("client"))?;
        let fields = read(&merged(&ask.body, &current));
        let based_on = version.or(Some(current.version));
        match ask.app.access.patch_client(&ask.who, &ask.tenant, id, based_on, fields).await {
            // Nobody named a version, so a change in between is a reason to merge again.
            Err(AdminError::Stale) if version.is_none() => Err(store::Error::Conflict("CLIENT_UPDATE").into()),
            other => other,
        }
    };
    change!(ask, plan(), |view: ClientView| changed(ask, &view))
}

pub(super) async fn delete(ask: &Ask) -> Result<Reply, Problem> {
    let version = ask.if_version()?;
    let id = ask.param("client_id");
    change!(ask, ask.app.auth.delete_client(&ask.who, &ask.tenant, id, version), |()| Reply::empty())
}

pub(super) async fn set_enabled(ask: &Ask, enabled: bool) -> Result<Reply, Problem> {
    let version = ask.if_version()?;
    let id = ask.param("client_id");
    let auth = &ask.app.auth;
    change!(ask, auth.set_client_enabled(&ask.who, &ask.tenant, id, version, enabled), |view: ClientView| changed(
        ask, &view
    ))
}

pub(super) async fn revoke_tokens(ask: &Ask) -> Result<Reply, Problem> {
    let client = ask.client().await?;
    let plan = || async { Ok(ask.app.auth.plan_revoke_all(&ask.who, &ask.tenant, &client)) };
    change!(ask, plan(), |()| Reply::empty())
}
