//! Signing keys: `/api/keys`.

use auth::error::FieldProblem;
use auth::key::{KeyPurpose, KeyRecord, RotateAt, Rotation};
use http::StatusCode;
use jose::Alg;
use kernel::patch::Field;
use record::checkpoint::origin_of;
use serde_json::{Value, json};
use store::params;

use super::secrets::refused;
use super::{Ask, Reply, change};
use crate::problem::{Problem, from_admin};
use record::fields::Reader;

fn view(ask: &Ask, key: &KeyRecord) -> Value {
    json!({
        "kid": key.kid, "purpose": key.purpose.name(), "alg": key.alg.name(), "state": key.state.name(),
        "public_jwk": key.public_jwk, "created_at": key.created_at.to_string(),
        "promote_after": key.promote_after.to_string(), "promoted_at": key.promoted_at.map(|t| t.to_string()),
        "retired_at": key.retired_at.map(|t| t.to_string()), "remove_after": key.remove_after.map(|t| t.to_string()),
        "replace_at": key.replace_at.map(|t| t.to_string()),
        "verifier_key": key.verifier(&origin_of(&ask.tenant.issuer)).map(|verifier| verifier.to_string()),
    })
}

async fn rows(ask: &Ask, after: Option<Vec<u8>>, limit: i64) -> Result<Vec<KeyRecord>, Problem> {
    let found = ask.app.auth.store.read_all(&auth::sql::KEYS_LIST, params![ask.tenant.id, after, limit]).await;
    let found = found.map_err(|e| from_admin(&e.into()))?;
    found.iter().map(|row| KeyRecord::from_row(row).map_err(|e| from_admin(&e.into()))).collect()
}

pub(super) async fn list(ask: &Ask) -> Result<Reply, Problem> {
    let limit = usize::try_from(ask.limit()?).unwrap_or(0);
    let after = ask.position_id()?.map(|id| id.to_vec());
    let found = rows(ask, after, i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX)).await?;
    let next = found.get(limit).and(limit.checked_sub(1)).and_then(|i| found.get(i)).map(|k| *k.id.as_bytes());
    Ok(ask.page(
        &found.iter().take(limit).map(|key| view(ask, key)).collect::<Vec<_>>(),
        next.as_ref().map(<[u8; 16]>::as_slice),
    ))
}

pub(super) async fn get(ask: &Ask) -> Result<Reply, Problem> {
    let all = rows(ask, None, 10_000).await?;
    let key = all.iter().find(|k| k.kid == ask.param("kid"));
    key.map(|k| Reply::ok(view(ask, k)))
        .ok_or_else(|| Problem::not_found("there is no key with this id in this tenant"))
}

fn answer(rotation: &Rotation) -> Reply {
    let body = json!({"kid": rotation.kid, "promotes_at": rotation.promotes_at.map(|t| t.to_string())});
    let mut reply = Reply::ok(body);
    if rotation.promotes_at.is_some() {
        reply.status = StatusCode::ACCEPTED;
    }
    reply
}

pub(super) async fn rotate(ask: &Ask) -> Result<Reply, Problem> {
    let mut reader = Reader::new(&ask.body).map_err(Problem::invalid)?;
    let mut problems = Vec::new();
    let alg = match reader.string("alg") {
        Field::Value(text) => Alg::parse(&text).unwrap_or_else(|| {
            problems.push(FieldProblem::new("alg", "bad_value", "alg takes ES256, EdDSA, ES384, PS256 or RS256"));
            Alg::Es256
        }),
        Field::Absent | Field::Null => Alg::Es256,
    };
    let purpose = match reader.string("purpose") {
        Field::Value(text) => KeyPurpose::parse(&text).unwrap_or_else(|| {
            problems.push(FieldProblem::new(
                "purpose",
                "bad_value",
                "purpose takes token, introspection or checkpoint",
            ));
            KeyPurpose::Token
        }),
        Field::Absent | Field::Null => KeyPurpose::Token,
    };
    let alg = if purpose == KeyPurpose::Checkpoint { Alg::EdDsa } else { alg };
    let when = match (reader.boolean("force"), reader.time("at")) {
        (Field::Value(true), Field::Value(_)) => {
            problems.push(FieldProblem::new("at", "bad_value", "at cannot be given with force"));
            RotateAt::Now
        }
        (Field::Value(true), _) => RotateAt::Now,
        (_, Field::Value(at)) => RotateAt::Time(at),
        _ => RotateAt::Published,
    };
    reader.absorb(problems);
    refused(reader.finish())?;
    // The key that this call read is the one it replaces; whoever came first has given the answer.
    let auth = &ask.app.auth;
    let keys = auth.keys(&ask.tenant).await.map_err(|e| from_admin(&e.into()))?;
    let before = keys.active(purpose, alg).map(|k| k.key.kid().to_owned());
    let planned = auth.rotate_key(&ask.who, &ask.tenant, purpose, alg, when).await;
    let outcome = match planned {
        Ok(planned) => ask.commit(planned, |rotation| answer(&rotation)).await,
        Err(error) => Err(error),
    };
    match outcome {
        Err(auth::error::AdminError::Store(store::Error::Conflict(_))) => {
            let now = auth.keys(&ask.tenant).await.map_err(|e| from_admin(&e.into()))?;
            match now.active(purpose, alg).map(|k| k.key.kid().to_owned()) {
                Some(kid) if Some(&kid) != before.as_ref() => Ok(answer(&Rotation { kid, promotes_at: None })),
                _ => Err(Problem::conflict("conflict", "another rotation came first; ask again")),
            }
        }
        other => other.map_err(|e| from_admin(&e)),
    }
}

pub(super) async fn cancel_rotation(ask: &Ask) -> Result<Reply, Problem> {
    let auth = &ask.app.auth;
    change!(ask, auth.cancel_rotation(&ask.who, &ask.tenant, ask.param("kid")), |key: KeyRecord| Reply::ok(view(
        ask, &key
    )))
}

pub(super) async fn revoke(ask: &Ask) -> Result<Reply, Problem> {
    let auth = &ask.app.auth;
    change!(ask, auth.revoke_key(&ask.who, &ask.tenant, ask.param("kid")), |rotation: Rotation| answer(&rotation))
}
