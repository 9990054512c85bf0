//! Getting a token from a client's page, and seeing that the first one came.

use auth::trial::trial_of;
use axum::response::IntoResponse as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use kernel::secret::ACCESS_TOKEN;
use serde_json::Value;

use super::ask::Seat;
use super::clients::{READ, WRITE, page_of, read};
use super::refused::Answer;
use crate::form::Entered;
use crate::moment::Moment;
use crate::pages::client::{self, Tab};
use crate::pages::reveal::{self, Made};
use crate::pages::run::{Failure, Ran, Shown, masked};

/// Gets a token with the secret that the form carries.
pub(super) async fn run(seat: Seat) -> Answer {
    seat.need(WRITE)?;
    let ask = &seat.ask;
    let client = read(&seat).await?;
    let mut shown = page_of(&seat, &client).await?;
    let begun = ask.auth.clock.now();
    let secret = ask.secret("secret");
    let identified = ask.auth.identify(&ask.tenant, &trial_of(&client.client_id, secret), seat.who.source).await;
    let tried = ask.access.try_token(&seat.who, &ask.tenant, identified, &shown.scope).await;
    let micros = ask.auth.clock.now().as_micros().saturating_sub(begun.as_micros());
    let outcome = match tried {
        Ok(answer) => {
            let token = answer.access_token.reveal();
            Ok(Shown { masked: masked(token), claims: claims(token), expires_in: answer.expires_in })
        }
        Err(error) => Err(Failure { code: error.code(), description: error.to_string() }),
    };
    // Only a secret that works is a secret that this page had shown.
    let made = Made::parse(ask.field("reveal")).filter(|_| outcome.is_ok());
    shown.ran = Some(Ran { outcome, micros });
    let page = match made {
        Some(made) => reveal::reveal(&seat.visit(), &shown, ask.secret("secret").reveal(), made),
        None => client::detail(&seat.visit(), &shown, Tab::Overview, &Entered::default()),
    };
    Ok(page.into_response())
}

/// The claims of a token as JSON.
fn claims(token: &str) -> String {
    let payload = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims = payload.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    match claims.and_then(|claims| serde_json::to_string_pretty(&claims).ok()) {
        Some(text) => text,
        None if token.starts_with(ACCESS_TOKEN) => "An opaque token holds nothing to decode.".to_owned(),
        None => String::new(),
    }
}

/// The line about the first token of the newest secret; 204 until it came.
pub(super) async fn first_token(seat: Seat) -> Answer {
    seat.need(READ)?;
    let ask = &seat.ask;
    let client = read(&seat).await?;
    let Some(newest) = client.credentials.iter().max_by_key(|credential| credential.created_at) else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let came = ask.auth.first_token(&ask.tenant, &client.client_id, newest.id, newest.created_at).await?;
    Ok(match came {
        Some(at) => reveal::first_token(&seat.visit(), &client.client_id, Moment::new(at, ask.now)).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}
