//! Limits: what holds for every client, which clients have their own, and who met one lately.

use std::collections::BTreeMap;

use auth::client::Client;
use auth::client_change::ClientFields;
use auth::error::FieldProblem;
use auth::limit::Rate;
use axum::response::IntoResponse as _;
use http::StatusCode;
use kernel::id::{self, Id};
use kernel::patch::Field;
use record::entry::Entry;
use record::query::{self, JournalFilter, Outcome};

use super::ask::{Seat, to};
use super::audit::limit;
use super::refused::{Answer, Refused, problems};
use crate::form::Entered;
use crate::pages::limits::{self, Data, Met, Own};

const READ: &str = "limits:read";
const WRITE: &str = "limits:write";
/// Refusals that are looked through, of the last day.
const REFUSALS: u32 = 200;
const DAY_SECONDS: i64 = 86_400;
/// Clients that met a limit lately and are drawn.
const MET_SHOWN: usize = 10;

pub(super) async fn show(seat: Seat) -> Answer {
    draw(&seat, Entered::default()).await
}

async fn draw(seat: &Seat, entered: Entered) -> Answer {
    seat.need(READ)?;
    let (ask, rules) = (&seat.ask, &seat.ask.auth.settings);
    let status = if entered.problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let rate = |rate: Rate| limits::Rate { limit: rate.limit, window_s: rate.window_s, burst: rate.burst };
    let size = limit(ask.query("limit"));
    let (own, next) = if seat.who.holds("clients:read") { own(seat, size).await? } else { (Vec::new(), None) };
    let data = Data {
        client: rate(ask.auth.default_rate(&ask.tenant)),
        is_own: ask.tenant.client_rate.is_some(),
        server: rate(rules.client_rate),
        source: rate(rules.source_rate),
        pair_failures: rate(rules.pair_failures),
        source_failures: rate(rules.source_failures),
        own,
        limit: size,
        is_first: ask.query("cursor").is_empty(),
        next,
        met: if seat.who.holds("clients:read") { met(seat).await? } else { Vec::new() },
        version: ask.tenant.updated_at.as_micros().to_string(),
        entered,
    };
    Ok((status, limits::show(&seat.visit(), &data)).into_response())
}

fn named(client: &Client) -> String {
    if client.settings.name.is_empty() { client.client_id.to_string() } else { client.settings.name.clone() }
}

/// A page of the clients with limits of their own, and where the next one begins.
async fn own(seat: &Seat, size: u32) -> Result<(Vec<Own>, Option<String>), Refused> {
    let ask = &seat.ask;
    let behind = match ask.query("cursor") {
        "" => None,
        text => Some(Id::<id::Client>::parse(text).map_err(|_| Refused::from(record::Error::Cursor))?),
    };
    let found = ask.auth.limited_clients(ask.tenant.id, behind, size.saturating_add(1)).await?;
    let keep = usize::try_from(size).unwrap_or(usize::MAX);
    let next = if found.len() > keep { found.iter().take(keep).next_back().map(|c| c.id.to_string()) } else { None };
    let mut own = Vec::new();
    for client in found.iter().take(keep).filter(|client| client.settings.has_limits()) {
        own.push(shown(seat, client).await?);
    }
    Ok((own, next))
}

async fn shown(seat: &Seat, client: &Client) -> Result<Own, Refused> {
    let (ask, settings) = (&seat.ask, &client.settings);
    let used = match settings.token_quota {
        Some(quota) => ask.auth.quotas.usage(&ask.auth.store, ask.tenant.id, client.id, quota, ask.now).await?,
        None => Vec::new(),
    };
    let enforced = [settings.rate_limit.map(|rate| rate.enforce), settings.token_quota.map(|quota| quota.enforce)];
    Ok(Own {
        client_id: client.client_id.to_string(),
        name: named(client),
        rate: settings.rate_limit.map(|r| limits::Rate { limit: r.limit, window_s: r.window_s, burst: r.burst }),
        quotas: used.into_iter().map(|usage| (usage.span, usage.used, i64::from(usage.max))).collect(),
        is_enforced: !enforced.contains(&Some(false)),
        version: client.version.to_string(),
    })
}

/// Clients that met a limit in the last day, among the newest refusals.
async fn met(seat: &Seat) -> Result<Vec<Met>, Refused> {
    let ask = &seat.ask;
    let filter = JournalFilter {
        from: Some(ask.now.plus_seconds(DAY_SECONDS.saturating_neg())),
        outcome: Some(Outcome::Refused),
        limit: REFUSALS,
        ..JournalFilter::default()
    };
    let page = query::journal(&ask.auth.store, ask.tenant.id, &filter).await?;
    let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for entry in page.items {
        let Entry::Refusal(refusal) = entry else { continue };
        let Some(client_id) = refusal.client_id else { continue };
        let count = u64::from(refusal.count);
        match &*refusal.reason {
            "rate_limit" | "quota" => {
                let counted = counts.entry(client_id).or_default();
                counted.0 = counted.0.saturating_add(count);
            }
            "rate_limit_monitored" => {
                let counted = counts.entry(client_id).or_default();
                counted.1 = counted.1.saturating_add(count);
            }
            _ => {}
        }
    }
    let mut found: Vec<_> = counts.into_iter().collect();
    found.sort_by_key(|(_, (refused, monitored))| std::cmp::Reverse(refused.saturating_add(*monitored)));
    let mut shown = Vec::new();
    for (client_id, (refused, monitored)) in found.into_iter().take(MET_SHOWN) {
        let client = ask.auth.client(ask.tenant.id, &client_id).await?;
        shown.push(Met {
            name: client.as_deref().map_or_else(|| client_id.clone(), named),
            client_id,
            refused,
            monitored,
        });
    }
    Ok(shown)
}

/// A whole number in a range, or a problem at its field.
fn number(seat: &Seat, name: &'static str, range: std::ops::RangeInclusive<u32>, found: &mut Vec<FieldProblem>) -> u32 {
    let value = seat.ask.field(name).trim().parse().ok().filter(|value| range.contains(value));
    value.unwrap_or_else(|| {
        found.push(FieldProblem::new(name, "out_of_range", format!("this takes {} to {}", range.start(), range.end())));
        0
    })
}

pub(super) async fn save(seat: Seat) -> Answer {
    seat.need(WRITE)?;
    let ask = &seat.ask;
    let mut found = Vec::new();
    let rate = if ask.field("reset").is_empty() {
        Some(Rate {
            limit: number(&seat, "limit", 0..=1_000_000_000, &mut found),
            window_s: number(&seat, "window_s", 1..=86_400, &mut found),
            burst: number(&seat, "burst", 1..=1_000_000_000, &mut found),
        })
    } else {
        None
    };
    if ask.field("version") != ask.tenant.updated_at.as_micros().to_string() {
        return Err(auth::error::AdminError::Stale.into());
    }
    if !found.is_empty() {
        let entered = Entered { problems: problems(found), ..ask.entered() };
        return draw(&seat, entered).await;
    }
    let planned = ask.auth.patch_limits(&seat.who, &ask.tenant, rate).await?;
    ask.auth.run(planned).await?;
    Ok(to(&format!("{}/identity/limits", ask.root)))
}

/// Makes the limits of a client refuse, or only count.
pub(super) async fn set_mode(seat: Seat) -> Answer {
    seat.need("clients:write")?;
    let ask = &seat.ask;
    let enforce = ask.field("enforce") == "1";
    let client_id = ask.param("client");
    let client = ask.auth.read_client(ask.tenant.id, client_id).await?.ok_or_else(Refused::not_found)?;
    let settings = &client.settings;
    let fields = ClientFields {
        rate_limit: settings.rate_limit.map_or(Field::Absent, |mut rate| {
            rate.enforce = enforce;
            Field::Value(rate)
        }),
        token_quota: settings.token_quota.map_or(Field::Absent, |mut quota| {
            quota.enforce = enforce;
            Field::Value(quota)
        }),
        ..ClientFields::default()
    };
    let version = ask.field("version").parse().ok();
    let planned = ask.access.patch_client(&seat.who, &ask.tenant, client_id, version, fields).await?;
    ask.auth.run(planned).await?;
    Ok(to(&format!("{}/identity/limits", ask.root)))
}
