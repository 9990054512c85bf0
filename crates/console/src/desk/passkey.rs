//! Passkeys: what scripts ask and bring back, as JSON. The first call of each address asks, the second one answers.

use auth::operator::OperatorError;
use auth::operator::passkey::PasskeyRequest;
use auth::operator::webauthn::{Assertion, Registration};
use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde_json::{Value, json};

use super::ask::{Ask, Seat};
use super::refused::Refused;
use super::{cookie, door};

fn asked(request: &PasskeyRequest) -> Response {
    answer(StatusCode::OK, json!({"ticket": request.ticket.reveal(), "publicKey": request.options}))
}

fn answer(status: StatusCode, body: Value) -> Response {
    (status, [(http::header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// The sentence of a refusal, which the script shows.
fn told(outcome: Result<Response, Refused>) -> Response {
    outcome.unwrap_or_else(|refused| {
        let (status, sentence) = refused.sentence();
        answer(status, json!({"detail": sentence}))
    })
}

/// The credential that the browser made or used, as text; `None` in the first call.
fn credential(ask: &Ask) -> Option<String> {
    ask.json().get("credential").filter(|value| value.is_object()).map(ToString::to_string)
}

fn assertion(text: &str) -> Result<Assertion, OperatorError> {
    Assertion::parse(text).map_err(|_| OperatorError::Refused)
}

pub(super) async fn sign_in(ask: Ask) -> Response {
    told(enter(&ask, None).await)
}

pub(super) async fn second_factor(ask: Ask) -> Response {
    let step = ask.cookie(cookie::STEP);
    told(enter(&ask, Some(step.unwrap_or_default())).await)
}

async fn enter(ask: &Ask, step: Option<String>) -> Result<Response, Refused> {
    ask.check_door(ask.member("csrf"))?;
    let Some(text) = credential(ask) else {
        return Ok(asked(&ask.auth.ask_passkey(&ask.tenant, step.as_deref()).await?));
    };
    let response = assertion(&text)?;
    let done = ask.auth.sign_in_passkey(&ask.tenant, ask.member("ticket"), &response, &ask.browser).await;
    if let Err(OperatorError::Expired) = &done {
        ask.count_refusal("sign_in_step");
    }
    let done = done?;
    let mut response = answer(StatusCode::OK, json!({"next": ask.next(ask.member("next"))}));
    door::seat(ask, &done, &mut response);
    Ok(response)
}

pub(super) async fn step_up(seat: Seat) -> Response {
    told(prove(&seat).await)
}

async fn prove(seat: &Seat) -> Result<Response, Refused> {
    let ask = &seat.ask;
    let Some(text) = credential(ask) else {
        return Ok(asked(&ask.auth.ask_passkey(&ask.tenant, None).await?));
    };
    let response = assertion(&text)?;
    let proof = (ask.member("ticket"), &response);
    let token = ask.auth.step_up_passkey(&ask.tenant, &seat.live, proof, &ask.browser).await?;
    let mut response = answer(StatusCode::OK, json!({"next": ask.next(ask.member("next"))}));
    ask.jar.set(response.headers_mut(), cookie::SESSION, token.reveal());
    Ok(response)
}

/// Adds a passkey to the person's account.
pub(super) async fn add(seat: Seat) -> Response {
    told(register(&seat).await)
}

async fn register(seat: &Seat) -> Result<Response, Refused> {
    let ask = &seat.ask;
    let Some(text) = credential(ask) else {
        return Ok(asked(&ask.auth.offer_passkey(&ask.tenant, &seat.live).await?));
    };
    let response = Registration::parse(&text).map_err(|_| OperatorError::Refused)?;
    let named = (&response, ask.member("name"));
    let token = ask.auth.add_passkey(&ask.tenant, &seat.live, ask.member("ticket"), named, &ask.browser).await?;
    let mut response = answer(StatusCode::OK, json!({"next": format!("{}/account", ask.root)}));
    ask.jar.set(response.headers_mut(), cookie::SESSION, token.reveal());
    Ok(response)
}
