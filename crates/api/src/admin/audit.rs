//! The record: what was changed, what was issued and refused, and the proofs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kernel::clock::Timestamp;
use kernel::id::Id;
use record::entry::{Entry, Jti};
use record::proof::{self, Recorded, TokenProof};
use record::query::{self, AuditFilter, AuditView, JournalFilter, Outcome};
use record::tree::Hash;
use serde_json::{Value, json};

use super::{Ask, Reply};
use crate::problem::{Problem, from_admin};

pub(super) fn refuse(error: record::Error) -> Problem {
    match error {
        record::Error::Store(error) => from_admin(&error.into()),
        record::Error::Cursor => super::bad_cursor(),
        other => {
            tracing::error!(code = "audit_unreadable", error = %other, "the record could not be read");
            Problem::internal()
        }
    }
}

fn record_view(record: &AuditView) -> Value {
    let parsed = |text: &Option<String>| text.as_deref().and_then(|t| serde_json::from_str::<Value>(t).ok());
    json!({
        "id": record.commit.to_string(), "at": record.at.to_string(), "business_at": record.business_at.to_string(),
        "actor": record.actor, "credential": record.credential.map(|c| c.to_string()), "action": record.action,
        "object_kind": record.object_kind, "object_id": record.object_id, "before": parsed(&record.before),
        "after": parsed(&record.after), "source": record.source,
        "request_id": record.request.map(|r| r.to_string()), "leaf": record.leaf,
    })
}

pub(super) async fn records(ask: &Ask) -> Result<Reply, Problem> {
    let limit = ask.limit()?;
    let filter = AuditFilter {
        actor: ask.query.get("actor").cloned(),
        action: ask.query.get("action").cloned(),
        object_kind: ask.query.get("object_kind").cloned(),
        object_id: ask.query.get("object_id").cloned(),
        from: ask.time("from")?,
        to: ask.time("to")?,
        limit,
        after: ask.position_id()?.map(Id::from_bytes),
    };
    let store = &ask.app.auth.store;
    let found = query::audit(store, ask.tenant.id, &filter).await.map_err(refuse)?;
    let full = found.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
    let mut next = found.last().filter(|_| full).map(|r| r.commit);
    // A full page may be the last one.
    let one_more = AuditFilter { limit: 1, after: next, ..filter };
    if next.is_some() && query::audit(store, ask.tenant.id, &one_more).await.map_err(refuse)?.is_empty() {
        next = None;
    }
    let next = next.map(|commit| *commit.as_bytes());
    Ok(ask.page(&found.iter().map(record_view).collect::<Vec<_>>(), next.as_ref().map(<[u8; 16]>::as_slice)))
}

fn entry_view(entry: &Entry) -> Value {
    match entry {
        Entry::Issuance(issued) => json!({
            "outcome": "issued", "at": issued.at.to_string(), "jti": issued.jti(), "client_id": &*issued.client_id,
            "credential": issued.credential.to_string(), "grant_type": issued.grant.name(),
            "scope": &*issued.scope, "audience": issued.audience.split(' ').collect::<Vec<_>>(),
            "expires_at": issued.at.plus_seconds(i64::from(issued.lifetime_seconds)).to_string(),
            "source": issued.source.map(|s| s.to_string()), "request_id": issued.request.to_string(),
            "generation": issued.generation,
        }),
        Entry::Refusal(refused) => json!({
            "outcome": "refused", "at": refused.at.to_string(), "client_id": refused.client_id,
            "reason": refused.reason, "count": refused.count, "source": refused.source.map(|s| s.to_string()),
            "request_id": refused.request.to_string(),
        }),
    }
}

async fn entries(ask: &Ask, filter: JournalFilter) -> Result<Reply, Problem> {
    let page = query::journal(&ask.app.auth.store, ask.tenant.id, &filter).await.map_err(refuse)?;
    Ok(ask.page(&page.items.iter().map(entry_view).collect::<Vec<_>>(), page.next.as_deref()))
}

/// The token that a query names.
fn jti(ask: &Ask) -> Result<Option<Jti>, Problem> {
    let parse = |text: &String| {
        Jti::parse(text).ok_or_else(|| Problem::parameter("jti", "jti is not the id of a token of ours"))
    };
    ask.query.get("jti").map(parse).transpose()
}

pub(super) async fn journal(ask: &Ask) -> Result<Reply, Problem> {
    let outcome = match ask.query.get("outcome").map(String::as_str) {
        None => None,
        Some("issued") => Some(Outcome::Issued),
        Some("refused") => Some(Outcome::Refused),
        Some(_) => return Err(Problem::parameter("outcome", "outcome takes issued or refused")),
    };
    let filter = JournalFilter {
        client_id: ask.query.get("client_id").cloned(),
        from: ask.time("from")?,
        to: ask.time("to")?,
        outcome,
        jti: jti(ask)?,
        limit: ask.limit()?,
        cursor: ask.position()?,
    };
    entries(ask, filter).await
}

/// Issuance records of a client's unexpired tokens: those younger than the longest life a token can have.
pub(super) async fn tokens(ask: &Ask) -> Result<Reply, Problem> {
    let client_id = ask.param("client_id").to_owned();
    let auth = &ask.app.auth;
    ask.client().await?;
    let now = auth.clock.now();
    let filter = JournalFilter {
        client_id: Some(client_id),
        from: Some(now.plus_seconds(-86_400)),
        outcome: Some(Outcome::Issued),
        limit: ask.limit()?,
        cursor: ask.position()?,
        ..JournalFilter::default()
    };
    let page = query::journal(&auth.store, ask.tenant.id, &filter).await.map_err(refuse)?;
    let live = |entry: &&Entry| match entry {
        Entry::Issuance(issued) => ends_at(issued.at, issued.lifetime_seconds) > now,
        Entry::Refusal(_) => false,
    };
    Ok(ask.page(&page.items.iter().filter(live).map(entry_view).collect::<Vec<_>>(), page.next.as_deref()))
}

fn ends_at(at: Timestamp, lifetime_seconds: u32) -> Timestamp {
    at.plus_seconds(i64::from(lifetime_seconds))
}

pub(super) async fn checkpoints(ask: &Ask) -> Result<Reply, Problem> {
    let limit = usize::try_from(ask.limit()?).unwrap_or(0);
    let past = match ask.position()? {
        None => 0,
        Some(bytes) => <[u8; 8]>::try_from(bytes).map(u64::from_be_bytes).map_err(|_| refuse(record::Error::Cursor))?,
    };
    let found = query::checkpoints(&ask.app.auth.store, ask.tenant.id, past).await.map_err(refuse)?;
    let next = found.get(limit).and(limit.checked_sub(1)).and_then(|i| found.get(i)).map(|c| c.size.to_be_bytes());
    let view = |c: &record::checkpoint::Checkpoint| json!({"origin": c.origin, "size": c.size, "root": STANDARD.encode(c.root), "note": c.note});
    Ok(ask.page(&found.iter().take(limit).map(view).collect::<Vec<_>>(), next.as_ref().map(<[u8; 8]>::as_slice)))
}

fn base64_of(path: &[Hash]) -> Vec<String> {
    path.iter().map(|hash| STANDARD.encode(hash)).collect()
}

pub(super) async fn proofs(ask: &Ask) -> Result<Reply, Problem> {
    let number = |name: &str| -> Result<Option<u64>, Problem> {
        ask.query
            .get(name)
            .map(|text| text.parse().map_err(|_| Problem::parameter(name, format!("{name} takes a number"))))
            .transpose()
    };
    let store = &ask.app.auth.store;
    let absent = || Problem::not_found("no checkpoint covers that yet");
    if let Some(jti) = jti(ask)? {
        return match proof::token(store, ask.tenant.id, &jti).await.map_err(refuse)? {
            Some(Recorded::Proven(proof)) => Ok(Reply::ok(token_proof(&proof))),
            Some(Recorded::Waiting) => Err(Problem::not_found(
                "the token is in the journal, and the next checkpoint covers it; ask again in a minute",
            )),
            None => Err(Problem::not_found("no token with this jti was issued")),
        };
    }
    if let Some(leaf) = number("leaf")? {
        let proof = proof::inclusion(store, ask.tenant.id, leaf).await.map_err(refuse)?.ok_or_else(absent)?;
        return Ok(Reply::ok(json!({
            "kind": "inclusion", "leaf": proof.leaf, "hash": STANDARD.encode(proof.hash),
            "path": base64_of(&proof.path), "checkpoint": proof.checkpoint.note,
        })));
    }
    if let Some(size) = number("from_size")? {
        let found = proof::consistency(store, ask.tenant.id, size).await.map_err(refuse)?;
        let (path, checkpoint) = found.ok_or_else(absent)?;
        return Ok(Reply::ok(json!({
            "kind": "consistency", "from_size": size, "path": base64_of(&path), "checkpoint": checkpoint.note,
        })));
    }
    Err(Problem::parameter("jti", "name a jti, a leaf or a from_size"))
}

fn token_proof(proof: &TokenProof) -> Value {
    let TokenProof { entry, block, inclusion } = proof;
    json!({
        "kind": "token", "entry": STANDARD.encode(&entry.bytes), "entry_index": entry.index,
        "entry_path": base64_of(&entry.path), "block": STANDARD.encode(block), "leaf": inclusion.leaf,
        "hash": STANDARD.encode(inclusion.hash), "path": base64_of(&inclusion.path),
        "checkpoint": inclusion.checkpoint.note,
    })
}
