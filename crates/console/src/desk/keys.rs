//! Signing keys.

use auth::error::AdminError;
use auth::key::{KeyPurpose, KeyRecord, KeyState, RotateAt};
use auth::sql::KEYS_LIST;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use jose::Alg;
use kernel::clock::Timestamp;
use serde_json::Value;
use store::params;

use super::ask::{Seat, to};
use super::refused::{Answer, Refused, problems};
use crate::form::Entered;
use crate::pages::keys::{self, Key};

const WRITE: &str = "keys:write";
/// Most keys that the page draws.
const MOST: i64 = 50;

async fn draw(seat: &Seat, entered: &Entered) -> Result<Response, Refused> {
    seat.need("keys:read")?;
    let ask = &seat.ask;
    let rows = ask.auth.store.read_all(&KEYS_LIST, params![ask.tenant.id, None::<Vec<u8>>, MOST]).await?;
    let records = rows.iter().map(KeyRecord::from_row).collect::<Result<Vec<_>, _>>()?;
    let list: Vec<Key> = records
        .into_iter()
        .map(|key| Key {
            purpose: key.purpose.name(),
            alg: key.alg.name(),
            state: key.state.name(),
            is_live: key.state != KeyState::Destroyed,
            created_at: key.created_at,
            promoted_at: key.promoted_at,
            replace_at: key.replace_at.filter(|_| key.state == KeyState::Active),
            retired_at: key.retired_at,
            remove_after: key.remove_after,
            kid: key.kid,
        })
        .collect();
    let set: Value =
        serde_json::from_str(&ask.auth.keys(&ask.tenant).await?.jwks).map_err(|_| store::Error::RowCorrupt)?;
    let jwks = serde_json::to_string_pretty(&set).map_err(|_| store::Error::RowCorrupt)?;
    let address = format!("{}/.well-known/jwks.json", ask.tenant.issuer);
    let status = if entered.problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok((status, keys::list(&seat.visit(), &list, (&address, &jwks), entered)).into_response())
}

pub(super) async fn list(seat: Seat) -> Answer {
    draw(&seat, &Entered::default()).await
}

fn page(seat: &Seat) -> String {
    format!("{}/identity/keys", seat.ask.root)
}

/// The page again, with what is wrong at a field.
async fn back(seat: &Seat, field: &str, sentence: &str) -> Answer {
    let problems = vec![(field.to_owned(), sentence.to_owned())];
    draw(seat, &Entered { problems, ..seat.ask.entered() }).await
}

pub(super) async fn rotate(seat: Seat) -> Answer {
    seat.need(WRITE)?;
    let ask = &seat.ask;
    let named = ask.field("key").split_once(' ');
    let named = named.map(|(purpose, alg)| (KeyPurpose::parse(purpose), Alg::parse(alg)));
    let Some((Some(purpose), Some(alg))) = named else {
        return back(&seat, "key", "Choose a key.").await;
    };
    let when = match (ask.field("when"), Timestamp::parse(ask.field("at").trim())) {
        ("now", _) => RotateAt::Now,
        ("time", Ok(at)) => RotateAt::Time(at),
        ("time", Err(_)) => return back(&seat, "at", "This takes a time such as 2027-01-31T03:00:00Z.").await,
        _ => RotateAt::Published,
    };
    let planned = ask.auth.rotate_key(&seat.who, &ask.tenant, purpose, alg, when).await;
    let done = match planned {
        Ok(planned) => ask.auth.run(planned).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(_) => Ok(to(&page(&seat))),
        Err(AdminError::Invalid(list)) => draw(&seat, &Entered { problems: problems(list), ..ask.entered() }).await,
        Err(error) => Err(error.into()),
    }
}

/// Calls off what is scheduled; to undo that schedules it again.
pub(super) async fn cancel_rotation(seat: Seat) -> Answer {
    seat.need(WRITE)?;
    let ask = &seat.ask;
    let kid = ask.param("kid");
    let before =
        ask.auth.keys(&ask.tenant).await?.records.iter().find(|key| key.kid == kid).and_then(|key| key.replace_at);
    let planned = ask.auth.cancel_rotation(&seat.who, &ask.tenant, kid).await?;
    let key = ask.auth.run(planned).await?;
    let undo = before.map(|at| {
        let named = format!("{} {}", key.purpose.name(), key.alg.name());
        let fields = vec![("key", named), ("when", "time".to_owned()), ("at", at.to_string())];
        (format!("{}/rotate", page(&seat)), fields)
    });
    let sentence = format!("The rotation of the {} key {}… is called off", key.purpose.name(), keys::short(kid));
    Ok(seat.done(&page(&seat), sentence, undo))
}

pub(super) async fn revoke(seat: Seat) -> Answer {
    seat.need(WRITE)?;
    seat.need_fresh(&page(&seat))?;
    let ask = &seat.ask;
    let kid = ask.param("kid");
    if ask.field("confirm") != keys::short(kid) {
        return back(&seat, "", "Type the first characters of the key's id to revoke it.").await;
    }
    let planned = ask.auth.revoke_key(&seat.who, &ask.tenant, kid).await?;
    ask.auth.run_reserved(planned).await?;
    Ok(to(&page(&seat)))
}
