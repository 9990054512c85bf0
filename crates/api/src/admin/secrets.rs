//! Secrets and refresh families of clients.

use auth::credential::Credential;
use auth::error::FieldProblem;
use auth::family::Family;
use auth::secret_change::{NewSecret, SecretFields};
use kernel::clock::Timestamp;
use kernel::id::{self, Id};
use serde_json::{Value, json};
use store::params;

use super::{Ask, Reply, change};
use crate::problem::{Problem, from_admin};
use record::fields::Reader;

fn view(credential: &Credential, client_id: &str, now: Timestamp) -> Value {
    json!({
        "id": credential.id.to_string(),
        "client_id": client_id,
        "label": credential.label,
        "kind": credential.kind.name(),
        "hint": credential.hint,
        "scopes": credential.scopes.as_ref().map(|s| s.iter().map(|x| &**x).collect::<Vec<_>>()),
        "status": credential.status(now),
        "not_before": credential.not_before.to_string(),
        "expires_at": credential.expires_at.map(|t| t.to_string()),
        "last_used_at": credential.last_used_at.map(|t| t.to_string()),
        "created_at": credential.created_at.to_string(),
    })
}

fn missing(what: &'static str) -> Problem {
    Problem::not_found(format!("there is no {what} with this id in this tenant"))
}

pub(super) async fn list(ask: &Ask) -> Result<Reply, Problem> {
    let client_id = ask.param("client_id");
    let client = ask.client().await?;
    let now = ask.app.auth.clock.now();
    let limit = usize::try_from(ask.limit()?).unwrap_or(0);
    let after = ask.position_id()?;
    let mut rest = client.credentials.iter().filter(|c| after.is_none_or(|a| c.id.as_bytes() > &a));
    let page: Vec<&Credential> = rest.by_ref().take(limit).collect();
    let next = rest.next().and(page.last()).map(|c| *c.id.as_bytes());
    let data: Vec<Value> = page.iter().map(|c| view(c, client_id, now)).collect();
    Ok(ask.page(&data, next.as_ref().map(<[u8; 16]>::as_slice)))
}

fn read(body: &Value) -> SecretFields {
    let mut reader = match Reader::new(body) {
        Ok(reader) => reader,
        Err(problems) => return SecretFields { problems, ..SecretFields::default() },
    };
    let fields = SecretFields {
        problems: Vec::new(),
        label: reader.string("label").given(),
        not_before: reader.time("not_before").given(),
        expires_at: reader.time("expires_at").given(),
        scopes: reader.scopes("scopes").given(),
        expire_others_in_seconds: reader.integer("expire_others_in_seconds").given(),
    };
    SecretFields { problems: reader.finish(), ..fields }
}

pub(super) async fn create(ask: &Ask) -> Result<Reply, Problem> {
    let client_id = ask.param("client_id");
    let auth = &ask.app.auth;
    change!(ask, auth.add_secret(&ask.who, &ask.tenant, client_id, read(&ask.body)), |new: NewSecret| {
        let mut body = view(&new.credential, client_id, auth.clock.now());
        if let Value::Object(members) = &mut body {
            members.insert("client_secret".to_owned(), json!(new.text.reveal()));
        }
        let location = format!("{}/api/clients/{client_id}/secrets/{}", ask.tenant.issuer, new.credential.id);
        Reply::created(location, body)
    })
}

pub(super) async fn delete(ask: &Ask) -> Result<Reply, Problem> {
    let secret = Id::<id::Secret>::parse(ask.param("id")).map_err(|_| missing("secret"))?;
    let revoke_tokens = match ask.query.get("revoke_tokens").map(String::as_str) {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Problem::parameter("revoke_tokens", "revoke_tokens takes true or false")),
    };
    let (auth, client_id) = (&ask.app.auth, ask.param("client_id"));
    change!(ask, auth.revoke_secret(&ask.who, &ask.tenant, client_id, secret, revoke_tokens), |()| Reply::empty())
}

pub(super) async fn stale(ask: &Ask) -> Result<Reply, Problem> {
    let auth = &ask.app.auth;
    let now = auth.clock.now();
    let since = ask.time("unused_since")?.unwrap_or_else(|| now.plus_seconds(1));
    let limit = usize::try_from(ask.limit()?).unwrap_or(0);
    let after = Id::<id::Secret>::from_bytes(ask.position_id()?.unwrap_or([0; 16]));
    let more = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
    let rows = auth
        .store
        .read_all(&auth::sql::CREDENTIALS_UNUSED, params![ask.tenant.id, since, after, more])
        .await
        .map_err(|e| from_admin(&e.into()))?;
    let mut data = Vec::new();
    let mut last = None;
    for row in rows.iter().take(limit) {
        let corrupt = |e: store::Error| from_admin(&e.into());
        let credential = Credential::from_row(row).map_err(corrupt)?;
        last = Some(*credential.id.as_bytes());
        data.push(view(&credential, row.text(13).map_err(corrupt)?, now));
    }
    let next = last.filter(|_| rows.len() > limit);
    Ok(ask.page(&data, next.as_ref().map(<[u8; 16]>::as_slice)))
}

fn family_view(family: &Family) -> Value {
    json!({
        "id": family.id.to_string(), "secret_id": family.credential.to_string(), "scope": family.scope,
        "audience": family.audience.split(' ').collect::<Vec<_>>(), "generation": family.generation,
        "created_at": family.created_at.to_string(), "idle_deadline": family.idle_deadline.to_string(),
        "absolute_deadline": family.absolute_deadline.to_string(),
        "last_rotated_at": family.rotations.last().map(|(_, at)| at.to_string()),
    })
}

pub(super) async fn families(ask: &Ask) -> Result<Reply, Problem> {
    let limit = usize::try_from(ask.limit()?).unwrap_or(0);
    let after = ask.position_id()?.map(Id::<id::Family>::from_bytes);
    let more = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
    let found =
        ask.app.auth.families(&ask.tenant, ask.param("client_id"), after, more).await.map_err(|e| from_admin(&e))?;
    let next = found.get(limit).and(limit.checked_sub(1)).and_then(|i| found.get(i)).map(|f| *f.id.as_bytes());
    let data: Vec<Value> = found.iter().take(limit).map(family_view).collect();
    Ok(ask.page(&data, next.as_ref().map(<[u8; 16]>::as_slice)))
}

pub(super) async fn end_family(ask: &Ask) -> Result<Reply, Problem> {
    let id = Id::<id::Family>::parse(ask.param("id")).map_err(|_| missing("token family"))?;
    let auth = &ask.app.auth;
    let client = ask.client().await?;
    let plan = || async {
        let family = auth.family(&ask.tenant, &client, id).await?;
        Ok(auth.plan_family_end(&ask.who, &ask.tenant, &family, "revoked"))
    };
    change!(ask, plan(), |()| Reply::empty())
}

/// A body that must stay empty of problems of form, for callers that read one optional member.
pub(super) fn refused(problems: Vec<FieldProblem>) -> Result<(), Problem> {
    if problems.is_empty() { Ok(()) } else { Err(Problem::invalid(problems)) }
}
