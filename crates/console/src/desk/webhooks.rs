//! Webhook endpoints: the list, making one, changing one.

use auth::error::AdminError;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use kernel::id::{self, Id};
use kernel::patch::Field;
use record::plan::Planned;
use webhook::change::{self, EndpointFields, Saved};
use webhook::endpoint::{self, MAX_ENDPOINTS, Reason, State};
use webhook::{Endpoint, delivery};

use super::ask::{Seat, to};
use super::client_form::number;
use super::refused::{Answer, Refused, capitalized_word, problems};
use crate::form::Entered;
use crate::pages::home::Need;
use crate::pages::webhook::{self as page, Log, Tab};
use crate::pages::webhooks::{self, Made, Row, SECTION};

pub(super) const READ: &str = "webhooks:read";
pub(super) const WRITE: &str = "webhooks:write";

/// Where the page of the endpoint in the address is.
pub(super) fn here(seat: &Seat) -> String {
    format!("{}/{SECTION}/{}", seat.ask.root, seat.ask.param("webhook"))
}

/// The endpoint in the address.
pub(super) async fn held(seat: &Seat) -> Result<Endpoint, Refused> {
    let id = seat.ask.id::<id::Webhook>("webhook")?;
    endpoint::read(&seat.ask.auth.store, seat.ask.tenant.id, id).await?.ok_or_else(Refused::not_found)
}

async fn all(seat: &Seat) -> Result<Vec<Endpoint>, Refused> {
    Ok(endpoint::list(&seat.ask.auth.store, seat.ask.tenant.id, None, MAX_ENDPOINTS).await?)
}

pub(super) async fn list(seat: Seat) -> Answer {
    seat.need(READ)?;
    let rows: Vec<Row> = all(&seat)
        .await?
        .into_iter()
        .map(|endpoint| Row {
            id: endpoint.id.to_string(),
            types: endpoint.filter.names().to_vec(),
            url: endpoint.url,
            description: endpoint.description,
            state: endpoint.state.name(),
            last_success_at: endpoint.last_success_at,
            failing_since: endpoint.failing_since,
        })
        .collect();
    Ok(webhooks::list(&seat.visit(), &rows).into_response())
}

/// Endpoints whose messages wait or are given up, for the first page.
pub(super) async fn stopped(seat: &Seat) -> Result<Vec<Need>, Refused> {
    if !seat.who.holds(READ) {
        return Ok(Vec::new());
    }
    let root = &seat.ask.root;
    let need = |endpoint: Endpoint| {
        let why = match endpoint.reason? {
            Reason::Failing => "is paused: nothing arrived for five days",
            Reason::Requested => "is paused",
            Reason::Gone => "is disabled: it answered 410",
        };
        let page = format!("{root}/{SECTION}/{}", endpoint.id);
        Some(Need {
            is_urgent: endpoint.reason == Some(Reason::Failing),
            text: format!("The webhook endpoint {} {why}.", endpoint.url),
            at: Some(endpoint.state_at),
            act: seat.who.holds(WRITE).then(|| (format!("{page}/resume"), "Send a test and resume")),
            href: page,
        })
    };
    Ok(all(seat).await?.into_iter().filter(|endpoint| endpoint.state != State::Enabled).filter_map(need).collect())
}

fn fields(seat: &Seat) -> EndpointFields {
    let mut found = Vec::new();
    let text = |name: &str| Field::Value(seat.ask.field(name).trim().to_owned());
    let fields = EndpointFields {
        url: text("url"),
        types: Field::Value(seat.ask.fields("types")),
        description: text("description"),
        signing: text("signing"),
        rate_per_second: number(seat, "rate_per_second", &mut found),
        ..EndpointFields::default()
    };
    EndpointFields { problems: found, ..fields }
}

/// Commits what was planned.
pub(super) async fn done<T>(seat: &Seat, planned: Result<Planned<T>, AdminError>) -> Result<T, AdminError> {
    seat.ask.auth.run(planned?).await
}

fn revealed(seat: &Seat, saved: Saved) -> Response {
    let Saved { endpoint, secret } = saved;
    let made = Made {
        id: endpoint.id.to_string(),
        secret: secret.map(|secret| secret.reveal().clone()),
        public_key: endpoint.signing.has_public_key().then(|| endpoint.public_key.clone()),
        overlap_until: endpoint.overlap(seat.ask.now).map(|old| old.until),
        url: endpoint.url,
    };
    webhooks::reveal(&seat.visit(), &made).into_response()
}

pub(super) async fn new(seat: Seat) -> Answer {
    seat.need(WRITE)?;
    Ok(webhooks::new(&seat.visit(), &Entered::default(), &seat.ask.new_form()).into_response())
}

pub(super) async fn create(seat: Seat) -> Answer {
    seat.need(WRITE)?;
    let ask = &seat.ask;
    if !ask.is_first_of_form() {
        return Ok(to(&format!("{}/{SECTION}", ask.root)));
    }
    let planned = change::create(&ask.auth, &seat.who, &ask.tenant, fields(&seat)).await;
    match done(&seat, planned).await {
        Ok(saved) => Ok(revealed(&seat, saved)),
        Err(error) => {
            ask.forget_form();
            let AdminError::Invalid(list) = error else { return Err(error.into()) };
            let entered = Entered { problems: problems(list), ..ask.entered() };
            let page = webhooks::new(&seat.visit(), &entered, &ask.new_form());
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
    }
}

/// An endpoint as its pages show it.
pub(super) async fn page_of(seat: &Seat, endpoint: &Endpoint) -> Result<page::Endpoint, Refused> {
    let ask = &seat.ask;
    let health = delivery::health(&ask.auth.store, ask.tenant.id, endpoint.id, ask.now).await?;
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    Ok(page::Endpoint {
        id: endpoint.id.to_string(),
        url: endpoint.url.clone(),
        description: endpoint.description.clone(),
        types: endpoint.filter.names().to_vec(),
        signing: endpoint.signing.name(),
        rate_per_second: endpoint.rate_per_second,
        state: endpoint.state.name(),
        reason: endpoint.reason.map(Reason::name),
        state_at: endpoint.state_at,
        public_key: endpoint.signing.has_public_key().then(|| endpoint.public_key.clone()),
        overlap_until: endpoint.overlap(ask.now).map(|old| old.until),
        last_success_at: endpoint.last_success_at,
        failing_since: endpoint.failing_since,
        backlog: count(health.backlog.min(delivery::MAX_BACKLOG)),
        is_backlog_capped: health.backlog > delivery::MAX_BACKLOG,
        attempts: count(health.measured),
        succeeded: count(health.succeeded),
        p95_ms: health.p95_ms.map(count),
        created_at: endpoint.created_at,
        updated_at: endpoint.updated_at,
        etag: endpoint.version.to_string(),
    })
}

async fn draw(seat: &Seat, tab: Tab, entered: &Entered) -> Answer {
    seat.need(READ)?;
    let shown = page_of(seat, &held(seat).await?).await?;
    let status = if entered.problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let log = Log::default();
    let document = page::detail(&seat.visit(), &shown, tab, (&log, seat.ask.query("q")), entered);
    Ok((status, document).into_response())
}

pub(super) async fn show_part(seat: Seat) -> Answer {
    let tab = Tab::parse(seat.ask.param("part")).ok_or_else(Refused::not_found)?;
    draw(&seat, tab, &Entered::default()).await
}

/// The forms and buttons of one endpoint.
pub(super) async fn change(seat: Seat) -> Answer {
    seat.need(WRITE)?;
    let ask = &seat.ask;
    let (id, page) = (ask.id::<id::Webhook>("webhook")?, here(&seat));
    let sentence = match ask.param("part") {
        "test" => {
            let planned = change::test(&ask.auth, &seat.who, &ask.tenant, id).await;
            done(&seat, planned).await.map(|_| "A test is on its way")?
        }
        "pause" => {
            let planned = change::pause(&ask.auth, &seat.who, &ask.tenant, (id, None)).await;
            done(&seat, planned).await?;
            let undo = Some((format!("{page}/resume"), Vec::new()));
            return Ok(seat.done(&page, "Paused".to_owned(), undo));
        }
        "resume" => {
            let planned = change::resume(&ask.auth, &seat.who, &ask.tenant, (id, None)).await;
            done(&seat, planned).await.map(|_| "Resumed; a test is on its way")?
        }
        "settings" => return save(&seat, id, &page).await,
        "roll" => return roll(&seat, id).await,
        "delete" => {
            seat.need_fresh(&format!("{page}/danger"))?;
            let planned = change::delete(&ask.auth, &seat.who, &ask.tenant, (id, None)).await;
            done(&seat, planned).await?;
            return Ok(to(&format!("{}/{SECTION}", ask.root)));
        }
        _ => return Err(Refused::not_found()),
    };
    Ok(seat.done(&page, sentence.to_owned(), None))
}

async fn save(seat: &Seat, id: Id<id::Webhook>, here: &str) -> Answer {
    let ask = &seat.ask;
    let version = ask.field("etag").parse().ok();
    let planned = change::patch(&ask.auth, &seat.who, &ask.tenant, (id, version), fields(seat)).await;
    let mut entered = ask.entered();
    match done(seat, planned).await {
        Ok(saved) if saved.secret.is_some() => return Ok(revealed(seat, saved)),
        Ok(_) => return Ok(seat.done(&format!("{here}/settings"), "Saved".to_owned(), None)),
        Err(AdminError::Invalid(list)) => entered.problems = problems(list),
        Err(AdminError::Stale | AdminError::Store(store::Error::Conflict(_))) => {
            let now = page::stored(&page_of(seat, &held(seat).await?).await?);
            let both = |label, name: &str| (label, of(&now, name), of(&entered, name));
            let fields = [
                both("URL", "url"),
                both("Description", "description"),
                both("Signatures", "signing"),
                both("Messages in a second", "rate_per_second"),
                both("Events", "types"),
            ];
            entered.overtaken(fields);
        }
        Err(error) => return Err(error.into()),
    }
    draw(seat, Tab::Settings, &entered).await
}

/// All values of a field, in one text.
fn of(entered: &Entered, name: &str) -> String {
    let values = entered.values.iter().filter(|(given, _)| given == name).map(|(_, value)| value.as_str());
    values.collect::<Vec<_>>().join(" ")
}

async fn roll(seat: &Seat, id: Id<id::Webhook>) -> Answer {
    let ask = &seat.ask;
    // a value that the page does not offer is refused as one out of range
    let overlap = (Some(ask.field("overlap_seconds").parse().unwrap_or(-1)), Vec::new());
    let planned = change::roll(&ask.auth, &seat.who, &ask.tenant, (id, None), overlap).await;
    match done(seat, planned).await {
        Ok(saved) => Ok(revealed(seat, saved)),
        Err(AdminError::State(sentence)) => {
            let problem = (String::new(), format!("{}.", capitalized_word(&sentence)));
            draw(seat, Tab::Settings, &Entered { problems: vec![problem], ..Entered::default() }).await
        }
        Err(error) => Err(error.into()),
    }
}
