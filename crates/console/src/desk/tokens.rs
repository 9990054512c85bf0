//! Tokens: refresh families, live access tokens of one client, their end, and what a pasted token is.

use std::sync::Arc;

use auth::client::Client;
use auth::denial::Denial;
use auth::error::AdminError;
use auth::family::{Family, Listed, Which};
use auth::inspect::{Fault, Found, Inspection};
use axum::response::IntoResponse as _;
use kernel::clock::Timestamp;
use kernel::id::{self, Id};
use record::entry::{Entry, Issuance, Jti};
use record::query::{self, JournalFilter, Outcome};

use super::ask::{Seat, to};
use super::audit::limit;
use super::refused::{Answer, Refused};
use crate::pages::tokens::{self, Check, Group, Inspected, List, Question, Reason, Token};

const READ: &str = "clients:read";
const REVOKE: &str = "tokens:revoke";
const INSPECT: &str = "tokens:introspect";
/// Reads of the list that a filter by state may take.
const READS: usize = 50;
/// Seconds that an access token can live.
const LONGEST_SECONDS: i64 = 86_400;
/// Live access tokens of a client that are shown.
const TOKENS_SHOWN: u32 = 25;

fn state(family: &Family, now: Timestamp) -> &'static str {
    match family.end_reason.as_deref() {
        Some("reuse") => "reused",
        Some(_) => "revoked",
        None if family.is_live(now) => "active",
        None => "expired",
    }
}

/// Why a family ended, as people say it.
fn ending(reason: &str) -> String {
    match reason {
        "reuse" => "a used refresh token came again".to_owned(),
        "revoked" => "it was revoked".to_owned(),
        "tokens_revoked" => "all tokens of the client were revoked".to_owned(),
        "client_disabled" => "the client was disabled".to_owned(),
        "client_deleted" => "the client was deleted".to_owned(),
        "secret_revoked" => "its secret was ended".to_owned(),
        "too_many_families" => "the client began too many".to_owned(),
        other => other.replace('_', " "),
    }
}

/// Public id and name, the id standing in for a name that was not given.
fn named(client_id: &str, name: &str) -> (String, String) {
    (client_id.to_owned(), if name.is_empty() { client_id } else { name }.to_owned())
}

fn group(listed: &Listed, now: Timestamp) -> Group {
    let family = &listed.family;
    Group {
        id: family.id.to_string(),
        client: listed.client.as_ref().map(|(client_id, name)| named(client_id, name)),
        scopes: family.scope.split_whitespace().map(str::to_owned).collect(),
        state: state(family, now),
        why: family.end_reason.as_deref().map(ending),
        generation: family.generation,
        created_at: family.created_at,
        used_at: family.rotations.last().map(|(_, at)| *at),
        ends_at: family.ended_at.unwrap_or_else(|| family.idle_deadline.min(family.absolute_deadline)),
    }
}

pub(super) async fn list(seat: Seat) -> Answer {
    seat.need(READ)?;
    let ask = &seat.ask;
    let (wanted, asked, size) = (ask.query("client").trim(), ask.query("state"), limit(ask.query("limit")));
    let cursor = ask.query("cursor");
    let mut after = match cursor {
        "" => None,
        text => Some(Id::<id::Family>::parse(text).map_err(|_| Refused::from(record::Error::Cursor))?),
    };
    let client = if wanted.is_empty() { None } else { ask.auth.read_client(ask.tenant.id, wanted).await? };
    let which = match (&client, asked) {
        (Some(client), _) => Some(Which::OfClient(client.id)),
        (None, "reused") if wanted.is_empty() => Some(Which::Reused),
        (None, _) if wanted.is_empty() => Some(Which::All),
        (None, _) => None,
    };
    let keep = usize::try_from(size).unwrap_or(usize::MAX);
    let mut found: Vec<Listed> = Vec::new();
    // The state is derived, so its filter narrows a bounded window of rows.
    if let Some(which) = which {
        for _ in 0..READS {
            let rows = ask.auth.newest_families(&ask.tenant, which, after, i64::from(size).saturating_add(1)).await?;
            after = rows.last().map(|row| row.family.id);
            let is_last = rows.len() <= keep;
            found.extend(rows.into_iter().filter(|row| asked.is_empty() || state(&row.family, ask.now) == asked));
            if is_last || found.len() > keep {
                break;
            }
        }
    }
    let has_more = found.len() > keep;
    found.truncate(keep);
    let tokens = match &client {
        Some(client) => live_tokens(&seat, client).await?,
        None => Vec::new(),
    };
    let reused = ask.auth.newest_families(&ask.tenant, Which::Reused, None, 1).await?;
    let data = List {
        next: found.last().filter(|_| has_more).map(|row| row.family.id.to_string()),
        groups: found.iter().map(|row| group(row, ask.now)).collect(),
        wanted: wanted.to_owned(),
        client: client.map(|client| named(&client.client_id, &client.settings.name)),
        tokens,
        state: asked.to_owned(),
        limit: size,
        is_first: cursor.is_empty(),
        alarm: reused.first().map(|row| group(row, ask.now)),
    };
    Ok(tokens::list(&seat.visit(), &data).into_response())
}

/// The newest tokens of a client that have not expired.
async fn live_tokens(seat: &Seat, client: &Client) -> Result<Vec<Token>, Refused> {
    let ask = &seat.ask;
    let filter = JournalFilter {
        client_id: Some(client.client_id.to_string()),
        from: Some(ask.now.plus_seconds(LONGEST_SECONDS.saturating_neg())),
        outcome: Some(Outcome::Issued),
        limit: TOKENS_SHOWN,
        ..JournalFilter::default()
    };
    let page = query::journal(&ask.auth.store, ask.tenant.id, &filter).await?;
    let issued = page.items.iter().filter_map(|entry| match entry {
        Entry::Issuance(issued) if issued.client == client.id => Some(issued),
        Entry::Issuance(_) | Entry::Refusal(_) => None,
    });
    let shown = issued.map(|issued| {
        let jti = Jti { token: issued.token, origin: issued.origin, seq: issued.seq };
        Token {
            jti: jti.to_string(),
            scopes: issued.scope.split_whitespace().map(str::to_owned).collect(),
            issued_at: issued.at,
            ends_at: end_of(issued),
            is_revoked: ask.auth.denials.denial(ask.tenant.id, client, &jti).is_some(),
        }
    });
    Ok(shown.filter(|token| token.ends_at > ask.now).collect())
}

fn end_of(issued: &Issuance) -> Timestamp {
    issued.at.plus_seconds(i64::from(issued.lifetime_seconds))
}

/// Back to the list, as narrow as it was.
fn back(seat: &Seat) -> axum::response::Response {
    let client = crate::address::encoded(seat.ask.field("client"));
    to(&format!("{}/identity/tokens?client={client}", seat.ask.root))
}

pub(super) async fn end_family(seat: Seat) -> Answer {
    seat.need(REVOKE)?;
    let ask = &seat.ask;
    let client = read(&seat, ask.field("client")).await?;
    let family = ask.auth.family(&ask.tenant, &client, ask.id::<id::Family>("family")?).await?;
    let planned = ask.auth.plan_family_end(&seat.who, &ask.tenant, &family, "revoked");
    ask.auth.run_reserved(planned).await?;
    Ok(back(&seat))
}

pub(super) async fn end_all(seat: Seat) -> Answer {
    seat.need(REVOKE)?;
    let ask = &seat.ask;
    let client = read(&seat, ask.field("client")).await?;
    let planned = ask.auth.plan_revoke_all(&seat.who, &ask.tenant, &client);
    ask.auth.run_reserved(planned).await?;
    Ok(back(&seat))
}

pub(super) async fn end_token(seat: Seat) -> Answer {
    seat.need(REVOKE)?;
    let ask = &seat.ask;
    let jti = Jti::parse(ask.field("jti")).ok_or_else(Refused::not_found)?;
    let filter = JournalFilter { jti: Some(jti), limit: 1, ..JournalFilter::default() };
    let page = query::journal(&ask.auth.store, ask.tenant.id, &filter).await?;
    let Some(Entry::Issuance(issued)) = page.items.first() else { return Err(Refused::not_found()) };
    let end = end_of(issued);
    if end <= ask.now {
        return Err(AdminError::State("This token has expired already.".to_owned()).into());
    }
    let owner = (issued.client, &*issued.client_id);
    let planned = ask.auth.plan_token_end(&seat.who, &ask.tenant, &jti, owner, end.as_seconds());
    ask.auth.run_reserved(planned).await?;
    Ok(back(&seat))
}

async fn read(seat: &Seat, client_id: &str) -> Result<Arc<Client>, Refused> {
    seat.ask.auth.read_client(seat.ask.tenant.id, client_id).await?.ok_or_else(Refused::not_found)
}

/// The question with the APIs that it can be about; the token is never part of it.
async fn question(seat: &Seat, api: &str, scope: &str) -> Result<Question, Refused> {
    let catalog = seat.ask.auth.catalog(&seat.ask.tenant).await?;
    let apis = catalog.apis.iter().map(|api| (api.identifier.to_string(), api.name.clone())).collect();
    Ok(Question { apis, api: api.to_owned(), scope: scope.to_owned() })
}

pub(super) async fn ask(seat: Seat) -> Answer {
    seat.need(INSPECT)?;
    let question = question(&seat, "", "").await?;
    Ok(tokens::inspector(&seat.visit(), &question, None).into_response())
}

pub(super) async fn inspect(seat: Seat) -> Answer {
    seat.need(INSPECT)?;
    let ask = &seat.ask;
    let (wanted, scope) = (ask.field("api"), ask.field("scope").trim());
    let question = question(&seat, wanted, scope).await?;
    let found = ask.auth.inspect(&ask.tenant, ask.field("token")).await?;
    let catalog = ask.auth.catalog(&ask.tenant).await?;
    let api = catalog.apis.iter().find(|api| *api.identifier == *wanted);
    let scope = Some(scope).filter(|scope| !scope.is_empty());
    let shown = match &found {
        Found::NotOurs => Err("This is not ours.".to_owned()),
        Found::Unreadable(why) => Err(format!("This is no token: {why}.")),
        Found::Credential(what) => Err(format!(
            "This is {what} and no token. It was not looked at. Whoever has seen it can use it: end it if that is not you alone."
        )),
        Found::Token(token) => {
            let at_api = api.map(|api| (api.name.clone(), token.at_api(api, scope)));
            let checks = at_api.map(|(name, checks)| {
                let shown =
                    checks.into_iter().map(|c| Check { what: c.what, passed: c.passed, detail: c.detail }).collect();
                (name, shown)
            });
            Ok(inspected(token, checks))
        }
    };
    Ok(tokens::inspector(&seat.visit(), &question, Some(&shown)).into_response())
}

fn inspected(token: &Inspection, checks: Option<(String, Vec<Check>)>) -> Inspected {
    let pretty = |value: &serde_json::Value| serde_json::to_string_pretty(value).unwrap_or_default();
    let lost = token.client.as_ref().map(|client| {
        let lost = token.scopes().into_iter().filter(|scope| !client.holds(scope));
        lost.map(str::to_owned).collect()
    });
    Inspected {
        kind: token.kind.words(),
        state: token.faults.first().map_or("active", word),
        is_verified: token.is_verified(),
        reasons: token.faults.iter().map(reason).collect(),
        client: token.client.as_ref().map(|client| named(&client.client_id, &client.settings.name)),
        jti: token.jti.map(|jti| jti.to_string()),
        issued_at: token.issued_at,
        expires_at: token.expires_at,
        header: token.header.as_ref().map(pretty),
        claims: pretty(&serde_json::Value::Object(token.claims.clone())),
        lost_scopes: lost.unwrap_or_default(),
        checks,
    }
}

/// The state that a reason stands for.
fn word(fault: &Fault) -> &'static str {
    match fault {
        Fault::Unverified(_) => "unverified",
        Fault::Expired(_) | Fault::Idle(_) | Fault::ClientExpired(_) => "expired",
        Fault::Early(_) => "pending",
        Fault::ClientGone | Fault::Revoked(..) | Fault::FamilyEnded(..) => "revoked",
        Fault::ClientDisabled(_) => "disabled",
        Fault::Used(_) => "used",
    }
}

fn reason(fault: &Fault) -> Reason {
    let (text, at) = match fault {
        Fault::Unverified(why) => (format!("It does not verify: {why}."), None),
        Fault::Expired(at) => ("It expired.".to_owned(), Some(*at)),
        Fault::Idle(at) => ("It was not used in time.".to_owned(), Some(*at)),
        Fault::Early(at) => ("Its time has not come.".to_owned(), Some(*at)),
        Fault::ClientGone => ("Its client was deleted.".to_owned(), None),
        Fault::ClientDisabled(at) => ("Its client is disabled.".to_owned(), Some(*at)),
        Fault::ClientExpired(at) => ("Its client has ended.".to_owned(), Some(*at)),
        Fault::Revoked(denial, at) => {
            let what = match denial {
                Denial::Token => "The token itself was revoked.",
                Denial::Origin => "What it came from was ended, its secret or its refresh family.",
                Denial::Client => "All tokens of its client from before were revoked.",
                Denial::Customer => "What its customer may do became less.",
                Denial::Tenant => "All tokens of the tenant from before were revoked.",
            };
            (what.to_owned(), *at)
        }
        Fault::Used(at) => {
            ("It was exchanged already; only its successor counts. To use it again ends the family.".to_owned(), *at)
        }
        Fault::FamilyEnded(why, at) => (format!("Its family ended: {}.", ending(why)), Some(*at)),
    };
    Reason { text, at }
}
