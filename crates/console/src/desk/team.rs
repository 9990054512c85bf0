//! The people who may sign in.

use auth::error::AdminError;
use auth::operator::team::OperatorChange;
use auth::operator::{Operator, OperatorError, Role};
use axum::response::IntoResponse as _;
use http::StatusCode;
use kernel::id;

use super::ask::{Seat, to};
use super::refused::{Answer, Refused, back};
use crate::form::Entered;
use crate::pages::team::{self, Invitation, Member};

/// Most people of a page; a team is not a customer base.
const MOST: i64 = 500;

pub(super) async fn list(seat: Seat) -> Answer {
    draw(&seat, &Entered::default(), None).await
}

fn member(operator: &Operator, sessions: i64) -> Member {
    let mut factors = Vec::new();
    if operator.has_totp() {
        factors.push("authenticator".to_owned());
    }
    if operator.passkeys > 0 {
        factors.push(crate::address::counted(usize::try_from(operator.passkeys).unwrap_or(0), "passkey"));
    }
    Member {
        id: operator.id.to_string(),
        name: operator.name.clone(),
        email: operator.email.to_string(),
        role: operator.role,
        status: if operator.disabled_at.is_some() { "disabled" } else { "active" },
        factors,
        last_seen_at: operator.signed_in_at,
        sessions: usize::try_from(sessions).unwrap_or(0),
        etag: operator.version.to_string(),
    }
}

async fn draw(seat: &Seat, entered: &Entered, link: Option<&str>) -> Answer {
    seat.need("operators:read")?;
    let ask = &seat.ask;
    let people = ask.auth.operators(&seat.who, &ask.tenant, None, MOST).await?;
    let open = ask.auth.invitations(&seat.who, &ask.tenant).await?;
    let sessions = ask.auth.session_counts(&seat.who, &ask.tenant).await?;
    let open_of = |person: &Operator| sessions.get(&person.id).copied().unwrap_or(0);
    let members: Vec<Member> = people.iter().map(|person| member(person, open_of(person))).collect();
    let invitations: Vec<Invitation> = open
        .into_iter()
        .map(|link| Invitation {
            id: link.id.to_string(),
            email: link.email,
            role: link.role,
            made_by: link.made_by,
            expires_at: link.expires_at,
        })
        .collect();
    let status = if entered.problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok((status, team::list(&seat.visit(), &members, &invitations, link, entered)).into_response())
}

fn page(seat: &Seat) -> String {
    format!("{}/team", seat.ask.root)
}

/// What every change of the team needs: the scope, and a sign-in of the last ten minutes.
fn may(seat: &Seat) -> Result<(), Refused> {
    seat.need("operators:write")?;
    seat.need_fresh(&page(seat))
}

pub(super) async fn invite(seat: Seat) -> Answer {
    may(&seat)?;
    let ask = &seat.ask;
    let mut entered = ask.entered();
    let Some(role) = Role::parse(ask.field("role")) else {
        entered.problems.push(("role".to_owned(), "Choose a role.".to_owned()));
        return draw(&seat, &entered, None).await;
    };
    match ask.auth.invite_operator(&seat.who, &ask.tenant, ask.field("email"), role).await {
        Ok(link) => draw(&seat, &Entered::default(), Some(link.address.reveal())).await,
        Err(error) => {
            back(error, &mut entered)?;
            draw(&seat, &entered, None).await
        }
    }
}

pub(super) async fn withdraw(seat: Seat) -> Answer {
    may(&seat)?;
    let link = seat.ask.id::<id::Link>("id")?;
    seat.ask.auth.revoke_invitation(&seat.who, &seat.ask.tenant, link).await?;
    Ok(to(&page(&seat)))
}

async fn change(seat: &Seat, change: OperatorChange) -> Answer {
    may(seat)?;
    let (ask, page) = (&seat.ask, page(seat));
    let operator = ask.id::<id::Operator>("id")?;
    let before = ask.auth.operator(ask.tenant.id, operator).await?.ok_or_else(Refused::not_found)?;
    let after = match ask.auth.change_operator(&seat.who, &ask.tenant, operator, change).await {
        Err(OperatorError::Admin(AdminError::Stale)) => {
            let mut entered = Entered::default();
            let typed = Role::parse(ask.field("role")).map_or("", Role::word).to_owned();
            entered.overtaken([("Role", before.role.word().to_owned(), typed)]);
            return draw(seat, &entered, None).await;
        }
        other => other?,
    };
    let back = |verb: &str| format!("{page}/{operator}/{verb}");
    let (word, undo) = match (before.disabled_at.is_some(), after.disabled_at.is_some()) {
        (false, true) => ("disabled".to_owned(), (back("enable"), Vec::new())),
        (true, false) => ("enabled".to_owned(), (back("disable"), Vec::new())),
        _ => {
            let word = format!("{} now", after.role.word());
            (word, (back("role"), vec![("role", before.role.name().to_owned())]))
        }
    };
    Ok(seat.done(&page, format!("{} is {word}", after.name), Some(undo)))
}

pub(super) async fn change_role(seat: Seat) -> Answer {
    let role = Role::parse(seat.ask.field("role")).ok_or_else(Refused::not_found)?;
    let if_version = seat.ask.field("etag").parse().ok();
    change(&seat, OperatorChange { role: Some(role), if_version, ..OperatorChange::default() }).await
}

pub(super) async fn disable(seat: Seat) -> Answer {
    change(&seat, OperatorChange { disabled: Some(true), ..OperatorChange::default() }).await
}

pub(super) async fn enable(seat: Seat) -> Answer {
    change(&seat, OperatorChange { disabled: Some(false), ..OperatorChange::default() }).await
}

pub(super) async fn remove(seat: Seat) -> Answer {
    may(&seat)?;
    let operator = seat.ask.id::<id::Operator>("id")?;
    seat.ask.auth.remove_operator(&seat.who, &seat.ask.tenant, operator).await?;
    Ok(to(&page(&seat)))
}
