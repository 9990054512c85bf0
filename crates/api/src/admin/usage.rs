//! Usage: `/api/usage`, `/api/check`, and the form of ingestion that OpenMeter's clients speak, `/api/v1/events`.

use std::collections::BTreeSet;

use billing::cloudevent::{self, BodyError, Form};
use billing::rejection::{Code, Rejection};
use billing::usage::check::{CheckFields, Checked, Mode, Question};
use billing::usage::correct::{Corrected, CorrectionFields};
use billing::usage::hold::CommitFields;
use billing::usage::query::{Quantities, Query, QueryError};
use billing::usage::report::{Report, Reported};
use billing::usage::{Plan, Reporter};
use billing::window::{Size, Window};
use billing::zone::Zone;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use kernel::clock::{BusinessTime, Timestamp};
use kernel::id::{self, Id};
use record::fields::Reader;
use record::plan::AdminError;
use serde_json::{Value, json};

use super::customers::{add, corrupt, cut, missing, one_more};
use super::{Ask, Reply, bad_cursor, change};
use crate::problem::{Problem, from_admin};

/// How often a decision is made anew because another commit came first; each time, one did.
pub(super) const MOST_TRIES: usize = 200;
/// Rejections that one answer names.
const MAX_NAMED: usize = 10_000;
/// The scope that counting and holding need.
const WRITE: &str = "usage:write";

/// Plans and commits until no other commit comes first.
macro_rules! counted {
    ($ask:expr, $plan:expr, $render:expr) => {{
        let mut tries = 0_usize;
        loop {
            let planned: Plan<_> = $plan.await.map_err(|error| from_admin(&error))?;
            let reply: Result<Reply, Problem> = $render(planned.value);
            match $ask.count(planned.batch, reply.as_ref().ok()).await {
                Ok(kept) => break kept.map_or(reply, Ok),
                Err(AdminError::Store(store::Error::Conflict(guard)))
                    if tries < MOST_TRIES && Report::is_overtaken(guard) =>
                {
                    tries = tries.saturating_add(1);
                }
                Err(error) => break Err(from_admin(&error)),
            }
        }
    }};
}

pub(super) async fn reporter(ask: &Ask) -> Result<Reporter, Problem> {
    ask.app.access.reporter(&ask.tenant, &ask.who).await.map_err(corrupt)
}

pub(super) fn headers(headers: &HeaderMap) -> impl Iterator<Item = (&str, &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
}

pub(super) fn unreadable(error: BodyError) -> Problem {
    match error {
        BodyError::TooManyEvents => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", error.to_string()),
        _ => Problem::malformed(error.to_string()),
    }
}

/// A rejection as a list names it.
pub(super) fn rejected(index: usize, id: &str, rejection: &Rejection) -> Value {
    add(json!({"index": index, "id": id, "code": rejection.code.name(), "detail": rejection.detail}), facts(rejection))
}

fn facts(rejection: &Rejection) -> Value {
    rejection.exceeded.as_ref().map_or_else(
        || json!({}),
        |exceeded| {
            json!({
                "limit": exceeded.limit.to_string(), "used": exceeded.used.to_string(),
                "remaining": exceeded.remaining.to_string(),
                "resets_at": exceeded.resets_at.map(|at| at.to_string()),
            })
        },
    )
}

/// The refusal of a request that is one event.
fn refusal(rejection: &Rejection) -> Problem {
    let status = match rejection.code {
        Code::EventConflict | Code::QuotaExceeded => StatusCode::CONFLICT,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let problem = Problem::new(status, rejection.code.name(), rejection.detail.as_str());
    Problem { facts: rejection.exceeded.is_some().then(|| Box::new(facts(rejection))), ..problem }
}

/// The rejections of a request by the place and id of their events.
fn named(report: &Report<'_>, reported: &Reported) -> Vec<Value> {
    let id = |index: usize| report.events().get(index).and_then(|event| event.as_ref().ok()).map(|event| &*event.id);
    reported
        .rejected()
        .take(MAX_NAMED)
        .map(|(index, rejection)| rejected(index, id(index).unwrap_or_default(), rejection))
        .collect()
}

pub(super) fn refused_together(status: StatusCode, rejected: &[Value]) -> Problem {
    let detail = format!("{} events are refused; rejected names each with its reason", rejected.len());
    Problem { facts: Some(Box::new(json!({"rejected": rejected}))), ..Problem::new(status, "events_rejected", detail) }
}

/// Keeps and counts the events of the body; `render` makes the answer of what became of them.
async fn keep(
    ask: &Ask,
    form: Form,
    (is_atomic, with_any_time): (bool, bool),
    render: impl Fn(&Report<'_>, &Reported) -> Result<Reply, Problem>,
) -> Result<Reply, Problem> {
    let events = cloudevent::read(form, headers(&ask.headers), &ask.raw).map_err(unreadable)?;
    let customers = ask.app.access.subjects(&ask.tenant, &events).await.map_err(corrupt)?;
    let reporter = reporter(ask).await?;
    let own = customers.values().copied().filter(|customer| reporter.own.is_none_or(|own| own == *customer)).collect();
    ask.app.access.first_uses(&ask.tenant, own).await.map_err(|error| from_admin(&error))?;
    let mut report = Report::new(reporter, events, customers, is_atomic);
    report.with_any_time = with_any_time;
    let mut tries = 0_usize;
    loop {
        let plan = ask.app.billing.plan_report(&ask.tenant, &mut report).await.map_err(corrupt)?;
        let reply = render(&report, &plan.value);
        match ask.count(plan.batch, reply.as_ref().ok()).await {
            Ok(kept) => return kept.map_or(reply, Ok),
            Err(AdminError::Store(store::Error::Conflict(guard)))
                if tries < MOST_TRIES && Report::is_overtaken(guard) =>
            {
                tries = tries.saturating_add(1);
                if guard == "USAGE_INSERT" {
                    ask.app.billing.recognize(&ask.tenant, &mut report).await.map_err(corrupt)?;
                }
            }
            Err(error) => return Err(from_admin(&error)),
        }
    }
}

/// The form that the headers announce; plain JSON is one event or an array of them.
pub(super) fn form(ask: &Ask) -> Result<Form, Problem> {
    let kind = ask.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_json = kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
    let first = ask.raw.iter().find(|byte| !byte.is_ascii_whitespace());
    match Form::of(headers(&ask.headers)) {
        Some(form) => Ok(form),
        None if is_json && first == Some(&b'[') => Ok(Form::Batch),
        None if is_json => Ok(Form::Structured),
        None => Err(Problem::unsupported_media_type(
            "application/cloudevents+json, application/cloudevents-batch+json, application/x-ndjson or \
             application/json, or the attributes must be in ce- headers",
        )),
    }
}

fn is_set(ask: &Ask, name: &str) -> Result<bool, Problem> {
    match ask.query.get(name).map(String::as_str) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Problem::parameter(name, format!("{name} takes true or false"))),
    }
}

pub(super) async fn report(ask: &Ask) -> Result<Reply, Problem> {
    let (form, is_atomic) = (form(ask)?, is_set(ask, "atomic")?);
    let is_single = matches!(form, Form::Structured | Form::Binary);
    keep(ask, form, (is_atomic, false), |report, reported| {
        let first = reported.rejected().next();
        match first {
            Some((_, rejection)) if is_single => return Err(refusal(rejection)),
            Some(_) if is_atomic => {
                return Err(refused_together(StatusCode::UNPROCESSABLE_ENTITY, &named(report, reported)));
            }
            _ => {}
        }
        Ok(Reply::ok(json!({
            "accepted": reported.accepted(), "duplicates": reported.duplicates(), "rejected": named(report, reported),
        })))
    })
    .await
}

/// As OpenMeter answers: nothing when every event is kept, else 400; what is good of a batch is kept all the same.
pub(super) async fn ingest(ask: &Ask) -> Result<Reply, Problem> {
    let first = ask.raw.iter().find(|byte| !byte.is_ascii_whitespace());
    let form = match (form(ask)?, first) {
        // its clients send one event under the type of a batch, too
        (Form::Batch, Some(b'{')) => Form::Structured,
        (form, _) => form,
    };
    // and they write the time of the attempt into each, so that a repetition has another one
    keep(ask, form, (false, true), |report, reported| match named(report, reported) {
        rejected if rejected.is_empty() => Ok(Reply::empty()),
        rejected => Err(refused_together(StatusCode::BAD_REQUEST, &rejected)),
    })
    .await
}

/// Who acts for one customer sees nothing of what concerns all of them.
pub(super) async fn foreign(ask: &Ask) -> Result<(), Problem> {
    match reporter(ask).await?.own {
        None => Ok(()),
        Some(_) => Err(Problem::not_found(
            "a client that acts for a customer finds nothing here; it reads its usage with /api/usage/query",
        )),
    }
}

pub(super) async fn events(ask: &Ask) -> Result<Reply, Problem> {
    foreign(ask).await?;
    let limit = ask.limit()?;
    let before = match ask.position()? {
        None => i64::MAX,
        Some(bytes) => <[u8; 8]>::try_from(bytes).map(i64::from_be_bytes).map_err(|_| bad_cursor())?,
    };
    let found = ask.app.billing.usage_events(&ask.tenant, before, one_more(limit)).await.map_err(corrupt)?;
    let (page, last) = cut(&found, limit);
    let next = last.map(|last| last.sequence.to_be_bytes());
    let data: Vec<Value> = page.iter().map(billing::usage::list::Stored::view).collect();
    Ok(ask.page(&data, next.as_ref().map(<[u8; 8]>::as_slice)))
}

pub(super) async fn rejections(ask: &Ask) -> Result<Reply, Problem> {
    foreign(ask).await?;
    let limit = ask.limit()?;
    let before = ask.position_id()?.map(Id::<id::Rejection>::from_bytes);
    let found = ask.app.billing.usage_rejections(&ask.tenant, before, one_more(limit)).await.map_err(corrupt)?;
    let (page, last) = cut(&found, limit);
    let data: Vec<Value> = page.iter().map(billing::usage::list::Rejected::view).collect();
    Ok(ask.page(&data, last.map(|last| last.id.as_bytes().as_slice())))
}

pub(super) async fn correct(ask: &Ask) -> Result<Reply, Problem> {
    let fields = CorrectionFields::read(&ask.body).map_err(Problem::invalid)?;
    let reporter = reporter(ask).await?;
    let billing = &ask.app.billing;
    change!(ask, billing.plan_correction(&ask.who, &ask.tenant, &reporter, &fields), |corrected: Corrected| {
        Reply::ok(corrected.view())
    })
}

/// An instant of the query.
fn instant(ask: &Ask, name: &str) -> Result<BusinessTime, Problem> {
    let text = ask.query.get(name).ok_or_else(|| Problem::parameter(name, format!("{name} must be given")))?;
    let at = Timestamp::parse(text).map_err(|error| Problem::parameter(name, format!("{name} is {error}")))?;
    Ok(BusinessTime::from_micros(at.as_micros()))
}

pub(super) async fn query(ask: &Ask) -> Result<Reply, Problem> {
    let text = |name: &str| ask.query.get(name).map(String::as_str);
    let must = |name: &str| text(name).ok_or_else(|| Problem::parameter(name, format!("{name} must be given")));
    let customer = ask.app.billing.find_customer(&ask.tenant, must("customer_id")?).await.map_err(corrupt)?;
    let own = reporter(ask).await?.own;
    let customer = customer.filter(|customer| own.is_none_or(|own| own == customer.id));
    let customer = customer.ok_or_else(|| missing("customer"))?;
    let over = Window { start: instant(ask, "from")?, end: instant(ask, "to")? };
    if over.start >= over.end {
        return Err(Problem::parameter("to", "to must lie behind from"));
    }
    let size = text("window").map(|name| {
        Size::parse(name).ok_or_else(|| Problem::parameter("window", "window takes minute, hour, day or month"))
    });
    let zone = text("timezone").unwrap_or(&customer.details.timezone);
    let zone = Zone::parse(zone)
        .ok_or_else(|| Problem::parameter("timezone", "timezone takes a name of the IANA database"))?;
    let names = text("group_by").unwrap_or_default().split(',').filter(|name| !name.is_empty());
    let group_by: BTreeSet<String> = names.map(str::to_owned).collect();
    let meter = must("meter")?.to_owned();
    let query = Query { customer: customer.id, meter, over, size: size.transpose()?, zone, group_by };
    let found = ask.app.billing.query_usage(&ask.tenant, &query).await.map_err(|error| match error {
        QueryError::NoMeter | QueryError::Journal => Problem::parameter("meter", error.to_string()),
        QueryError::NoDimension(_) => Problem::parameter("group_by", error.to_string()),
        QueryError::TooMany | QueryError::OutOfRange => Problem::parameter("from", error.to_string()),
        QueryError::Store(error) => corrupt(error),
    })?;
    Ok(Reply::ok(quantities(&query, &found)))
}

fn quantities(query: &Query, found: &Quantities) -> Value {
    let data: Vec<Value> = found
        .quantities
        .iter()
        .map(|quantity| {
            json!({
                "start": quantity.window.start.to_string(), "end": quantity.window.end.to_string(),
                "group": quantity.group, "value": quantity.value.to_string(),
            })
        })
        .collect();
    json!({
        "customer_id": query.customer, "meter": query.meter, "window": query.size.map(Size::name),
        "timezone": query.zone.name(), "as_of": found.as_of, "data": data,
    })
}

fn reservation_id(ask: &Ask) -> Result<Id<id::Reservation>, Problem> {
    Id::parse(ask.param("reservation_id")).map_err(|_| missing("reservation"))
}

pub(super) async fn reserve(ask: &Ask) -> Result<Reply, Problem> {
    let fields = reservation(&ask.body).map_err(Problem::invalid)?;
    let reporter = reporter(ask).await?;
    counted!(ask, ask.app.access.plan_check(&ask.tenant, &reporter, &fields, None), |checked: Checked| {
        let Some((id, until)) = checked.reservation else {
            let detail = match &checked.feature {
                Some(feature) => format!("nothing is held: {feature}"),
                None => "nothing is held, because the customer may not use this now".to_owned(),
            };
            let facts = Some(Box::new(json!({"feature": checked.feature})));
            return Err(Problem { facts, ..Problem::conflict(checked.reason.name(), detail) });
        };
        let location = format!("{}/api/usage/reservations/{id}", ask.tenant.issuer);
        let quantity = fields.question.quantity.map(|quantity| quantity.to_string());
        Ok(Reply::created(
            location,
            json!({
                "id": id, "customer_id": checked.customer, "feature": fields.question.feature, "state": "held",
                "quantity": quantity, "used": null, "expires_at": until.to_string(),
                "created_at": reporter.at.to_string(),
            }),
        ))
    })
}

/// The body of a reservation as a question.
fn reservation(body: &Value) -> Result<CheckFields, Vec<kernel::error::FieldProblem>> {
    let mut reader = Reader::new(body)?;
    let mut problems = Vec::new();
    for name in ["feature", "quantity"] {
        if !reader.is_given(name) {
            problems.push(kernel::error::FieldProblem::new(name, "required", format!("{name} must be there")));
        }
    }
    for name in ["mode", "scope", "token"] {
        if reader.has(name) {
            problems.push(kernel::error::FieldProblem::new(
                name,
                "unknown_field",
                "there is no field of this name here",
            ));
        }
    }
    let seconds = reader.integer("ttl_seconds").given().unwrap_or(60);
    let mut whole = body.clone();
    if let Some(members) = whole.as_object_mut() {
        members.insert("mode".to_owned(), json!("reserve"));
    }
    match CheckFields::read(&whole) {
        Ok(fields) if problems.is_empty() => {
            let question = Question { mode: Mode::Reserve(seconds), ..fields.question };
            Ok(CheckFields { question, ..fields })
        }
        Ok(_) => Err(problems),
        Err(more) => {
            problems.extend(more);
            Err(problems)
        }
    }
}

pub(super) async fn held(ask: &Ask) -> Result<Reply, Problem> {
    let reporter = reporter(ask).await?;
    let found = ask.app.billing.reservation(&ask.tenant, &reporter, reservation_id(ask)?).await;
    let hold = found.map_err(|error| from_admin(&error))?;
    Ok(Reply::ok(hold.view(ask.tenant.business(reporter.at))))
}

pub(super) async fn commit(ask: &Ask) -> Result<Reply, Problem> {
    let (id, reporter) = (reservation_id(ask)?, reporter(ask).await?);
    let fields = CommitFields::read(&ask.body).map_err(Problem::invalid)?;
    let now = ask.tenant.business(reporter.at);
    let billing = &ask.app.billing;
    counted!(ask, billing.plan_commit(&ask.tenant, &reporter, id, &fields), |hold: billing::usage::hold::Hold| {
        Ok(Reply::ok(hold.view(now)))
    })
}

pub(super) async fn release(ask: &Ask) -> Result<Reply, Problem> {
    let (id, reporter) = (reservation_id(ask)?, reporter(ask).await?);
    let now = ask.tenant.business(reporter.at);
    let billing = &ask.app.billing;
    counted!(ask, billing.plan_release(&ask.tenant, &reporter, id), |hold: billing::usage::hold::Hold| {
        Ok(Reply::ok(hold.view(now)))
    })
}

pub(super) async fn check(ask: &Ask) -> Result<Reply, Problem> {
    let fields = CheckFields::read(&ask.body).map_err(Problem::invalid)?;
    let key = ask.headers.get("idempotency-key").and_then(|key| key.to_str().ok());
    if fields.question.mode != Mode::Check {
        if !ask.who.holds(WRITE) && !kernel::mutant::is("U03-write") {
            return Err(Problem::insufficient_scope(WRITE));
        }
        if key.is_none() {
            let detail = "consume and reserve take an Idempotency-Key, so that a retry counts nothing twice";
            return Err(Problem::parameter("Idempotency-Key", detail));
        }
    }
    let reporter = reporter(ask).await?;
    counted!(ask, ask.app.access.plan_check(&ask.tenant, &reporter, &fields, key), |checked: Checked| {
        Ok(Reply::ok(checked.view()))
    })
}
