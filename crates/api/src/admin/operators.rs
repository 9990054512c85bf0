//! People: `/api/operators`, their sessions, and invitations.

use auth::error::{AdminError, FieldProblem};
use auth::operator::account::judge_email;
use auth::operator::link::{Link, NewLink};
use auth::operator::team::{Changed, OperatorChange, without_owner};
use auth::operator::{Operator, OperatorError, Role, Session};
use kernel::id::{self, Id};
use kernel::patch::Field;
use serde_json::{Value, json};

use super::secrets::refused;
use super::{Ask, Reply, decided};
use crate::problem::{Problem, from_admin};
use record::fields::Reader;

fn view(operator: &Operator) -> Value {
    json!({
        "id": operator.id.to_string(), "email": &*operator.email, "name": operator.name, "role": operator.role.name(),
        "status": if operator.disabled_at.is_some() { "disabled" } else { "active" },
        "has_passphrase": operator.has_passphrase(), "has_totp": operator.has_totp(), "passkeys": operator.passkeys,
        "signed_in_at": operator.signed_in_at.map(|t| t.to_string()),
        "created_at": operator.created_at.to_string(), "updated_at": operator.updated_at.to_string(),
    })
}

fn session_view(session: &Session) -> Value {
    json!({
        "id": session.id.to_string(), "method": session.method.name(), "browser": session.browser,
        "source": session.source, "created_at": session.created_at.to_string(),
        "last_seen_at": session.last_seen_at.to_string(), "ends_at": session.absolute_deadline.to_string(),
    })
}

fn invitation_view(link: &Link) -> Value {
    json!({
        "id": link.id.to_string(), "email": link.email, "role": link.role.name(), "made_by": link.made_by,
        "created_at": link.created_at.to_string(), "expires_at": link.expires_at.to_string(),
    })
}

fn missing(what: &str) -> Problem {
    Problem::not_found(format!("there is no {what} with this id in this tenant"))
}

/// What the use-cases for people say; the refusals of a sign-in are none of theirs.
fn told(error: OperatorError) -> Problem {
    match error {
        OperatorError::Admin(error) => from_admin(&error),
        _ => Problem::internal(),
    }
}

/// What a change of the team says when it fails.
fn of_team(error: AdminError) -> Problem {
    from_admin(&without_owner(error))
}

fn operator_id(ask: &Ask) -> Result<Id<id::Operator>, Problem> {
    Id::parse(ask.param("operator_id")).map_err(|_| missing("operator"))
}

async fn read(ask: &Ask) -> Result<Operator, Problem> {
    let found = ask.app.auth.operator(ask.tenant.id, operator_id(ask)?).await;
    found.map_err(|e| from_admin(&e.into()))?.ok_or_else(|| missing("operator"))
}

/// A page of items that are few and come in the order of their ids.
fn page<T>(ask: &Ask, all: &[T], id: impl Fn(&T) -> [u8; 16], view: impl Fn(&T) -> Value) -> Result<Reply, Problem> {
    let limit = usize::try_from(ask.limit()?).unwrap_or(0);
    let after = ask.position_id()?;
    let mut rest = all.iter().filter(|item| after.is_none_or(|after| id(item) > after));
    let shown: Vec<&T> = rest.by_ref().take(limit).collect();
    let next = rest.next().and(shown.last()).map(|item| id(item));
    let data: Vec<Value> = shown.into_iter().map(view).collect();
    Ok(ask.page(&data, next.as_ref().map(<[u8; 16]>::as_slice)))
}

pub(super) async fn list(ask: &Ask) -> Result<Reply, Problem> {
    let limit = usize::try_from(ask.limit()?).unwrap_or(0);
    let after = ask.position_id()?.map(Id::<id::Operator>::from_bytes);
    let more = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
    let found = ask.app.auth.operators(&ask.who, &ask.tenant, after, more).await.map_err(told)?;
    let next = found.get(limit).and(limit.checked_sub(1)).and_then(|i| found.get(i)).map(|o| *o.id.as_bytes());
    let data: Vec<Value> = found.iter().take(limit).map(view).collect();
    Ok(ask.page(&data, next.as_ref().map(<[u8; 16]>::as_slice)))
}

pub(super) async fn get(ask: &Ask) -> Result<Reply, Problem> {
    let operator = read(ask).await?;
    Ok(Reply::ok(view(&operator)).version(operator.version))
}

fn role(reader: &mut Reader<'_>, problems: &mut Vec<FieldProblem>) -> Option<Role> {
    let Field::Value(text) = reader.string("role") else { return None };
    let role = Role::parse(&text);
    if role.is_none() {
        let detail = "role takes owner, admin, developer, billing, support or read_only";
        problems.push(FieldProblem::new("role", "bad_value", detail));
    }
    role
}

async fn change(ask: &Ask, change: &OperatorChange) -> Result<Reply, Problem> {
    let (auth, id) = (&ask.app.auth, operator_id(ask)?);
    let done = decided!(ask, auth.plan_operator_change(&ask.who, &ask.tenant, id, change.clone()), |made: Changed| {
        Reply::ok(view(&made.operator)).version(made.operator.version)
    });
    done.map_err(of_team)
}

pub(super) async fn update(ask: &Ask) -> Result<Reply, Problem> {
    let mut reader = Reader::new(&ask.body).map_err(Problem::invalid)?;
    let mut problems = Vec::new();
    let asked = OperatorChange {
        name: reader.string("name").given(),
        role: role(&mut reader, &mut problems),
        disabled: None,
        if_version: ask.if_version()?,
    };
    reader.absorb(problems);
    refused(reader.finish())?;
    change(ask, &asked).await
}

pub(super) async fn set_enabled(ask: &Ask, enabled: bool) -> Result<Reply, Problem> {
    let if_version = ask.if_version()?;
    change(ask, &OperatorChange { disabled: Some(!enabled), if_version, ..OperatorChange::default() }).await
}

pub(super) async fn remove(ask: &Ask) -> Result<Reply, Problem> {
    let (auth, id) = (&ask.app.auth, operator_id(ask)?);
    if let Some(version) = ask.if_version()?
        && read(ask).await?.version != version
    {
        return Err(Problem::precondition_failed());
    }
    decided!(ask, auth.plan_operator_removal(&ask.who, &ask.tenant, id), |()| Reply::empty()).map_err(of_team)
}

pub(super) async fn sessions(ask: &Ask) -> Result<Reply, Problem> {
    let operator = read(ask).await?;
    let all = ask.app.auth.sessions(&ask.who, &ask.tenant, operator.id).await.map_err(told)?;
    page(ask, &all, |session| *session.id.as_bytes(), session_view)
}

pub(super) async fn end_sessions(ask: &Ask) -> Result<Reply, Problem> {
    let session = match ask.param("id") {
        "" => None,
        text => Some(Id::<id::Session>::parse(text).map_err(|_| missing("session"))?),
    };
    let (auth, id) = (&ask.app.auth, operator_id(ask)?);
    let done = decided!(ask, auth.plan_session_end(&ask.who, &ask.tenant, id, session), |()| Reply::empty());
    done.map_err(|error| from_admin(&error))
}

pub(super) async fn invitations(ask: &Ask) -> Result<Reply, Problem> {
    let all = ask.app.auth.invitations(&ask.who, &ask.tenant).await.map_err(told)?;
    page(ask, &all, |link| *link.id.as_bytes(), invitation_view)
}

pub(super) async fn invite(ask: &Ask) -> Result<Reply, Problem> {
    let mut reader = Reader::new(&ask.body).map_err(Problem::invalid)?;
    let mut problems = Vec::new();
    let email = reader.string("email").given().unwrap_or_default();
    problems.extend(judge_email(&email).err());
    let role = role(&mut reader, &mut problems);
    if role.is_none() && problems.iter().all(|problem| problem.pointer != "/role") {
        problems.push(FieldProblem::new("role", "required", "role is missing; it says what the person may do"));
    }
    reader.absorb(problems);
    refused(reader.finish())?;
    let Some(role) = role else { return Err(Problem::internal()) };
    let auth = &ask.app.auth;
    let done = decided!(ask, auth.plan_invitation(&ask.who, &ask.tenant, &email, role), |new: NewLink| {
        let mut body = invitation_view(&new.link);
        if let Value::Object(members) = &mut body {
            members.insert("address".to_owned(), json!(new.address.reveal()));
        }
        Reply::created(format!("{}/api/operators/invitations", ask.tenant.issuer), body)
    });
    done.map_err(|error| from_admin(&error))
}

pub(super) async fn withdraw(ask: &Ask) -> Result<Reply, Problem> {
    let link = Id::<id::Link>::parse(ask.param("id")).map_err(|_| missing("invitation"))?;
    let auth = &ask.app.auth;
    let done = decided!(ask, auth.plan_invitation_end(&ask.who, &ask.tenant, link), |()| Reply::empty());
    done.map_err(|error| from_admin(&error))
}

pub(super) fn roles(ask: &Ask) -> Result<Reply, Problem> {
    let view = |role: &Role| {
        json!({
            "name": role.name(), "scopes": role.scopes().iter().map(ToString::to_string).collect::<Vec<_>>(),
            "needs_second_factor": role.needs_second_factor(),
        })
    };
    // six fixed sets: all on one page
    ask.limit()?;
    Ok(ask.page(&Role::ALL.iter().map(view).collect::<Vec<_>>(), None))
}
