//! Backfills of usage: `/api/usage/backfills`.

use billing::cloudevent;
use billing::usage::backfill::{Backfill, BackfillFields, Completion, MAX_PARTS, Part, Staged};
use http::StatusCode;
use kernel::id::{self, Id};
use record::plan::AdminError;
use serde_json::{Value, json};

use super::customers::{corrupt, cut, missing, one_more};
use super::usage::{MOST_TRIES, foreign, form, headers, refused_together, rejected, reporter, unreadable};
use super::{Ask, Reply, change};
use crate::problem::{Problem, from_admin};

fn backfill_id(ask: &Ask) -> Result<Id<id::Backfill>, Problem> {
    Id::parse(ask.param("backfill_id")).map_err(|_| missing("backfill"))
}

fn view(backfill: &Backfill) -> Reply {
    Reply::ok(backfill.view())
}

pub(super) async fn list(ask: &Ask) -> Result<Reply, Problem> {
    foreign(ask).await?;
    let limit = ask.limit()?;
    let before = ask.position_id()?.map(Id::<id::Backfill>::from_bytes);
    let found = ask.app.billing.backfills(&ask.tenant, before, one_more(limit)).await.map_err(corrupt)?;
    let (page, last) = cut(&found, limit);
    let data: Vec<Value> = page.iter().map(Backfill::view).collect();
    Ok(ask.page(&data, last.map(|last| last.id.as_bytes().as_slice())))
}

pub(super) async fn create(ask: &Ask) -> Result<Reply, Problem> {
    foreign(ask).await?;
    let fields = BackfillFields::read(&ask.body).map_err(Problem::invalid)?;
    change!(ask, ask.app.billing.plan_backfill(&ask.who, &ask.tenant, &fields), |backfill: Backfill| {
        let location = format!("{}/api/usage/backfills/{}", ask.tenant.issuer, backfill.id);
        Reply::created(location, backfill.view())
    })
}

/// The backfill that the path names.
async fn held(ask: &Ask) -> Result<Backfill, Problem> {
    foreign(ask).await?;
    let found = ask.app.billing.backfill(&ask.tenant, backfill_id(ask)?).await;
    found.map_err(|error| from_admin(&error))
}

pub(super) async fn get(ask: &Ask) -> Result<Reply, Problem> {
    Ok(view(&held(ask).await?))
}

/// The number of the part that the query names.
fn number(ask: &Ask) -> Result<i64, Problem> {
    let number = ask.query.get("number").and_then(|text| text.parse().ok());
    number
        .filter(|number| (1..=MAX_PARTS).contains(number))
        .ok_or_else(|| Problem::parameter("number", format!("number takes 1 to {MAX_PARTS}")))
}

pub(super) async fn part(ask: &Ask) -> Result<Reply, Problem> {
    let (id, number) = (held(ask).await?.id, number(ask)?);
    let events = cloudevent::read(form(ask)?, headers(&ask.headers), &ask.raw).map_err(unreadable)?;
    let customers = ask.app.access.subjects(&ask.tenant, &events).await.map_err(corrupt)?;
    let reporter = reporter(ask).await?;
    let part = Part { number, hash: jose::hash::sha256(&ask.raw), events, customers };
    let mut tries = 0_usize;
    loop {
        let staged = ask.app.billing.plan_part(&ask.tenant, &reporter, id, &part).await;
        let plan = match staged.map_err(|error| from_admin(&error))? {
            Staged::Kept(plan) => plan,
            Staged::Refused(list) => {
                let id =
                    |index: usize| part.events.get(index).and_then(|event| event.as_ref().ok()).map(|one| &*one.id);
                let list = list.iter().map(|(index, why)| rejected(*index, id(*index).unwrap_or_default(), why));
                return Err(refused_together(StatusCode::UNPROCESSABLE_ENTITY, &list.collect::<Vec<_>>()));
            }
        };
        let reply = Reply::ok(json!({"backfill_id": id, "number": number, "events": plan.value}));
        match ask.count(plan.batch, Some(&reply)).await {
            Ok(kept) => return Ok(kept.unwrap_or(reply)),
            Err(AdminError::Store(store::Error::Conflict(_))) if tries < MOST_TRIES => {
                tries = tries.saturating_add(1);
            }
            Err(error) => return Err(from_admin(&error)),
        }
    }
}

pub(super) async fn complete(ask: &Ask) -> Result<Reply, Problem> {
    foreign(ask).await?;
    let (id, reporter) = (backfill_id(ask)?, reporter(ask).await?);
    let mut tries = 0_usize;
    loop {
        let completion = ask.app.billing.plan_completion(&ask.who, &ask.tenant, &reporter, id).await;
        let planned = match completion.map_err(|error| from_admin(&error))? {
            Completion::Now(planned) => *planned,
            Completion::Before(backfill) => return Ok(view(&backfill)),
            Completion::Refused(list) => {
                let index = |place: i64| usize::try_from(place.saturating_sub(1)).unwrap_or(0);
                let list = list.iter().map(|(place, id, why)| rejected(index(*place), id, why));
                return Err(refused_together(StatusCode::CONFLICT, &list.collect::<Vec<_>>()));
            }
        };
        match ask.commit(planned, |backfill| view(&backfill)).await {
            Ok(reply) => return Ok(reply),
            Err(AdminError::Store(store::Error::Conflict(_))) if tries < MOST_TRIES => {
                tries = tries.saturating_add(1);
            }
            Err(error) => return Err(from_admin(&error)),
        }
    }
}

pub(super) async fn cancel(ask: &Ask) -> Result<Reply, Problem> {
    foreign(ask).await?;
    let id = backfill_id(ask)?;
    change!(ask, ask.app.billing.plan_backfill_cancel(&ask.who, &ask.tenant, id), |backfill: Backfill| view(&backfill))
}
