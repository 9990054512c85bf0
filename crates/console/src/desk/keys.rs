//! Signing keys.

use auth::key::{KeyPurpose, KeyRecord};
use auth::sql::KEYS_LIST;
use axum::response::IntoResponse as _;
use jose::Alg;
use store::params;

use super::ask::{Seat, to};
use super::refused::Answer;
use crate::pages::keys::{self, Key};

/// Most keys that the page draws.
const MOST: i64 = 50;

pub(super) async fn list(seat: Seat) -> Answer {
    seat.need("keys:read")?;
    let ask = &seat.ask;
    let rows = ask.auth.store.read_all(&KEYS_LIST, params![ask.tenant.id, None::<Vec<u8>>, MOST]).await?;
    let mut list = Vec::new();
    for row in &rows {
        let key = KeyRecord::from_row(row)?;
        list.push(Key {
            purpose: key.purpose.name(),
            alg: key.alg.name().to_owned(),
            state: key.state.name(),
            created_at: key.created_at,
            promoted_at: key.promoted_at,
            retired_at: key.retired_at,
            remove_after: key.remove_after,
            kid: key.kid,
        });
    }
    let jwks = format!("{}/.well-known/jwks.json", ask.tenant.issuer);
    Ok(keys::list(&seat.visit(), &list, &jwks).into_response())
}

pub(super) async fn rotate(seat: Seat) -> Answer {
    seat.need("keys:write")?;
    let ask = &seat.ask;
    let page = format!("{}/identity/keys", ask.root);
    let planned = ask.auth.rotate_key(&seat.who, &ask.tenant, KeyPurpose::Token, Alg::Es256, false).await?;
    ask.auth.run(planned).await?;
    Ok(to(&page))
}
