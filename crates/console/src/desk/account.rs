//! The person's own account: sessions, factors, passphrase, colors.

use auth::operator::passkey::Passkey;
use auth::operator::session::Session;
use auth::operator::sign_in::Proof;
use auth::operator::{Operator, OperatorError};
use axum::response::{IntoResponse as _, Redirect};
use kernel::id;

use super::ask::{Seat, to};
use super::cookie;
use super::refused::{Answer, Refused, back};
use crate::form::Entered;
use crate::pages::account::{self, Account, Open, Own};
use crate::shell::Theme;
use crate::snippet;

/// What the page shows of a session.
fn open(session: &Session, present: &Session) -> Open {
    Open {
        id: session.id.to_string(),
        browser: session.browser.clone(),
        source: session.source.clone(),
        method: session.method.name(),
        created_at: session.created_at,
        last_seen_at: session.last_seen_at,
        is_present: session.id == present.id,
    }
}

fn own(passkey: &Passkey) -> Own {
    Own {
        id: passkey.id.to_string(),
        name: passkey.name.clone(),
        created_at: passkey.created_at,
        last_used_at: passkey.last_used_at,
    }
}

pub(super) async fn show(seat: Seat) -> Answer {
    draw(&seat, &Entered::default()).await
}

async fn draw(seat: &Seat, entered: &Entered) -> Answer {
    let ask = &seat.ask;
    let operator: &Operator = &seat.live.operator;
    let sessions = ask.auth.sessions(&seat.who, &ask.tenant, operator.id).await?;
    let passkeys = ask.auth.passkeys(&ask.tenant, &seat.live).await?;
    let data = Account {
        must_enroll: seat.live.must_enroll,
        has_passphrase: operator.has_passphrase(),
        has_totp: operator.has_totp(),
        codes_left: ask.auth.recovery_codes_left(&ask.tenant, &seat.live).await?,
        passkey_host: passkey_host(&ask.auth.settings.issuer),
        passkeys: passkeys.iter().map(own).collect(),
        sessions: sessions.iter().rev().map(|session| open(session, &seat.live.session)).collect(),
    };
    Ok(account::account(&seat.visit(), &data, entered).into_response())
}

/// What an issuer of a bare IP address must become before browsers make passkeys for it (WebAuthn §5.1.3: the effective
/// domain must be a domain).
fn passkey_host(issuer: &str) -> Option<String> {
    let host = issuer.split_once("://").map_or(issuer, |(_, rest)| rest).split('/').next().unwrap_or_default();
    let address: std::net::SocketAddr = host.parse().or_else(|_| format!("{host}:443").parse()).ok()?;
    Some(if address.ip().is_loopback() { format!("http://localhost:{}", address.port()) } else { String::new() })
}

/// The page of the account, to which changes go back.
fn page(seat: &Seat) -> String {
    format!("{}/account", seat.ask.root)
}

pub(super) async fn offer_totp(seat: Seat) -> Answer {
    if seat.live.operator.has_second_factor() {
        seat.need_fresh(&format!("{}/authenticator", page(&seat)))?;
    }
    totp(&seat, &Entered::default()).await
}

async fn totp(seat: &Seat, entered: &Entered) -> Answer {
    let offer = seat.ask.auth.offer_totp(&seat.ask.tenant, &seat.live).await?;
    let (ticket, secret, address) = (offer.ticket.reveal(), offer.secret.reveal(), offer.address.reveal());
    Ok(account::totp(&seat.visit(), ticket, secret, address, entered).into_response())
}

pub(super) async fn enroll_totp(seat: Seat) -> Answer {
    let ask = &seat.ask;
    let typed = (ask.field("ticket"), ask.field("code"));
    match ask.auth.enroll_totp(&ask.tenant, &seat.live, typed, &ask.browser).await {
        Ok(done) => {
            let codes: Vec<&str> = done.recovery_codes.iter().map(|code| code.reveal().as_str()).collect();
            let seat = seat.renewed(done.token.reveal()).await?;
            let mut response = account::codes(&seat.visit(), &codes).into_response();
            seat.ask.jar.set(response.headers_mut(), cookie::SESSION, done.token.reveal());
            Ok(response)
        }
        Err(error) => {
            let mut entered = Entered::default();
            back(error, &mut entered)?;
            totp(&seat, &entered).await
        }
    }
}

pub(super) async fn remove_totp(seat: Seat) -> Answer {
    seat.need_fresh(&page(&seat))?;
    seat.ask.auth.remove_totp(&seat.ask.tenant, &seat.live, &seat.ask.browser).await?;
    Ok(to(&page(&seat)))
}

pub(super) async fn renew_codes(seat: Seat) -> Answer {
    seat.need_fresh(&page(&seat))?;
    let codes = seat.ask.auth.renew_recovery_codes(&seat.ask.tenant, &seat.live, &seat.ask.browser).await?;
    let codes: Vec<&str> = codes.iter().map(|code| code.reveal().as_str()).collect();
    Ok(account::codes(&seat.visit(), &codes).into_response())
}

pub(super) async fn change_passphrase(seat: Seat) -> Answer {
    seat.need_fresh(&page(&seat))?;
    let ask = &seat.ask;
    match ask.auth.change_passphrase(&ask.tenant, &seat.live, &ask.secret("passphrase"), &ask.browser).await {
        Ok(done) => {
            let mut response = Redirect::to(&page(&seat)).into_response();
            super::door::seat(ask, &done, &mut response);
            Ok(response)
        }
        Err(error) => {
            let mut entered = Entered::default();
            back(error, &mut entered)?;
            draw(&seat, &entered).await
        }
    }
}

pub(super) async fn remove_passkey(seat: Seat) -> Answer {
    seat.need_fresh(&page(&seat))?;
    let passkey = seat.ask.id::<id::Passkey>("id")?;
    seat.ask.auth.remove_passkey(&seat.ask.tenant, &seat.live, passkey, &seat.ask.browser).await?;
    Ok(to(&page(&seat)))
}

pub(super) async fn end_session(seat: Seat) -> Answer {
    let ask = &seat.ask;
    let session = ask.id::<id::Session>("id")?;
    ask.auth.end_sessions(&seat.who, &ask.tenant, seat.live.operator.id, Some(session)).await?;
    Ok(to(&page(&seat)))
}

/// Ends every session of the person, this one included.
pub(super) async fn end_sessions(seat: Seat) -> Answer {
    let ask = &seat.ask;
    ask.auth.end_sessions(&seat.who, &ask.tenant, seat.live.operator.id, None).await?;
    Ok(to(&format!("{}/sign-in", ask.root)))
}

pub(super) async fn show_step_up(seat: Seat) -> Answer {
    let next = seat.ask.next(seat.ask.query("next"));
    Ok(ask_again(&seat, &next, &Entered::default()))
}

fn ask_again(seat: &Seat, next: &str, entered: &Entered) -> axum::response::Response {
    let operator = &seat.live.operator;
    let again = account::Again {
        has_passphrase: operator.has_passphrase(),
        has_totp: operator.has_totp(),
        has_passkey: operator.passkeys > 0,
        next,
    };
    account::step_up(&seat.visit(), &again, entered).into_response()
}

pub(super) async fn step_up(seat: Seat) -> Answer {
    let ask = &seat.ask;
    let next = ask.next(ask.field("next"));
    let passphrase = ask.secret("passphrase");
    let code = Some(ask.field("code")).filter(|code| !code.is_empty());
    let proof = Proof { passphrase: &passphrase, code };
    match ask.auth.step_up(&ask.tenant, &seat.live, proof, &ask.browser).await {
        Ok(token) => {
            let mut response = Redirect::to(&next).into_response();
            ask.jar.set(response.headers_mut(), cookie::SESSION, token.reveal());
            Ok(response)
        }
        Err(error @ (OperatorError::Refused | OperatorError::Wait { .. } | OperatorError::PassphraseOff)) => {
            let mut entered = Entered::default();
            back(error, &mut entered)?;
            Ok(ask_again(&seat, &next, &entered))
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn prefer(seat: Seat) -> Answer {
    let ask = &seat.ask;
    let columns = crate::pages::clients::kept(&ask.fields("column"));
    let chosen = [
        (cookie::THEME, Theme::parse(ask.field("theme")).map(Theme::name)),
        (cookie::LANGUAGE, snippet::language(ask.field("language"))),
        (cookie::COLUMNS, (ask.field("columns") == "1").then_some(columns.as_str())),
    ];
    let mut response = Redirect::to(&ask.next(ask.field("next"))).into_response();
    let mut is_any = false;
    for (kind, value) in chosen {
        if let Some(value) = value {
            ask.jar.set(response.headers_mut(), kind, value);
            is_any = true;
        }
    }
    if is_any {
        return Ok(response);
    }
    Err(Refused::page(http::StatusCode::BAD_REQUEST, "malformed_request", "There is no such preference."))
}
