//! Before there is a session: passphrase, second factor, and out again.

use auth::operator::OperatorError;
use auth::operator::session::{Method, SignedIn};
use auth::operator::sign_in::{Code, Progress};
use axum::response::{IntoResponse as _, Redirect, Response};
use http::StatusCode;

use super::ask::{Ask, Seat};
use super::cookie;
use super::refused::{Answer, Refused, back};
use crate::form::Entered;
use crate::pages::sign_in::{self, Door, Factor};
use crate::shell::Document;

/// A page before sign-in, with the cookie that its form needs.
pub(super) fn page(ask: &Ask, entered: &Entered, draw: impl FnOnce(&Door<'_>) -> Document) -> Response {
    let (token, is_new) = ask.door_token();
    let door = Door { root: &ask.root, tenant_name: &ask.tenant.name, nonce: &ask.nonce, csrf: &token, entered };
    let status = if entered.problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let mut response = (status, draw(&door)).into_response();
    if is_new {
        ask.jar.set(response.headers_mut(), cookie::DOOR, &token);
    }
    response
}

/// Gives the browser what a completed sign-in leaves with it.
pub(super) fn seat(ask: &Ask, done: &SignedIn, response: &mut Response) {
    let headers = response.headers_mut();
    if ask.cookie(cookie::SESSION).is_none() || !kernel::mutant::is("S-29-fixed") {
        ask.jar.set(headers, cookie::SESSION, done.token.reveal());
    }
    ask.jar.set(headers, cookie::DEVICE, done.device.reveal());
    ask.jar.clear(headers, cookie::STEP);
    ask.jar.clear(headers, cookie::DOOR);
}

fn in_to(ask: &Ask, done: &SignedIn, next: &str) -> Response {
    let mut response = Redirect::to(&ask.next(next)).into_response();
    seat(ask, done, &mut response);
    response
}

pub(super) async fn show(ask: Ask) -> Answer {
    if ask.session().await?.is_some() {
        return Err(Refused::Elsewhere(ask.next(ask.query("next"))));
    }
    Ok(page(&ask, &Entered::default(), |door| sign_in::sign_in(door, ask.query("next"))))
}

pub(super) async fn sign_in(ask: Ask) -> Answer {
    ask.check_door(ask.field("csrf"))?;
    let next = ask.field("next");
    let outcome = ask.auth.sign_in(&ask.tenant, ask.field("email"), &ask.secret("passphrase"), &ask.browser).await;
    match outcome {
        Ok(Progress::Done(done)) => Ok(in_to(&ask, &done, next)),
        Ok(Progress::SecondFactor(asked)) => {
            let next = crate::address::encoded(&ask.next(next));
            let page = format!("{}/sign-in/second-factor?next={next}", ask.root);
            let mut response = Redirect::to(&page).into_response();
            ask.jar.set(response.headers_mut(), cookie::STEP, asked.ticket.reveal());
            Ok(response)
        }
        Err(error) => {
            let retry =
                if let OperatorError::Wait { retry_after_seconds } = error { Some(retry_after_seconds) } else { None };
            let mut entered = ask.entered();
            back(error, &mut entered)?;
            let mut response = page(&ask, &entered, |door| sign_in::sign_in(door, next));
            if let Some(seconds) = retry {
                *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
                response.headers_mut().insert(http::header::RETRY_AFTER, seconds.into());
            }
            Ok(response)
        }
    }
}

pub(super) async fn show_code(ask: Ask) -> Answer {
    second(&ask, Factor::Totp, ask.query("next"), &Entered::default())
}

pub(super) async fn show_recovery(ask: Ask) -> Answer {
    second(&ask, Factor::Recovery, ask.query("next"), &Entered::default())
}

/// The second question, or the first one when nothing was answered yet.
fn second(ask: &Ask, factor: Factor, next: &str, entered: &Entered) -> Answer {
    if ask.cookie(cookie::STEP).is_none() {
        return Err(Refused::Elsewhere(format!("{}/sign-in", ask.root)));
    }
    Ok(page(ask, entered, |door| sign_in::second_factor(door, factor, next)))
}

pub(super) async fn sign_in_code(ask: Ask) -> Answer {
    ask.check_door(ask.field("csrf"))?;
    let start_again = || {
        ask.count_refusal("sign_in_step");
        Refused::Elsewhere(format!("{}/sign-in", ask.root))
    };
    let ticket = ask.cookie(cookie::STEP).ok_or_else(start_again)?;
    let is_recovery = !ask.field("recovery_code").is_empty();
    let code = if is_recovery { Code::Recovery(ask.field("recovery_code")) } else { Code::Totp(ask.field("code")) };
    match ask.auth.sign_in_code(&ask.tenant, &ticket, code, &ask.browser).await {
        Ok(done) => Ok(in_to(&ask, &done, ask.field("next"))),
        Err(OperatorError::Expired) => Err(start_again()),
        Err(error) => {
            let mut entered = ask.entered();
            back(error, &mut entered)?;
            let factor = if is_recovery { Factor::Recovery } else { Factor::Totp };
            second(&ask, factor, ask.field("next"), &entered)
        }
    }
}

pub(super) async fn sign_out(seat: Seat) -> Answer {
    let (ask, session) = (&seat.ask, &seat.live.session);
    ask.auth.end_sessions(&seat.who, &ask.tenant, session.operator, Some(session.id)).await?;
    let next = match session.method {
        Method::Entered => "/console/tenants".to_owned(),
        _ => format!("{}/sign-in", ask.root),
    };
    let mut response = Redirect::to(&next).into_response();
    ask.jar.clear(response.headers_mut(), cookie::SESSION);
    Ok(response)
}
