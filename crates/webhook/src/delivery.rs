//! The log of deliveries, and sending again what it holds.

use auth::Auth;
use auth::error::{AdminError, FieldProblem};
use kernel::clock::Timestamp;
use kernel::event::{Type, covers};
use kernel::id::{self, Id};
use kernel::page::MAX_LIMIT;
use kernel::principal::Principal;
use kernel::tenant::TenantId;
use record::action;
use record::plan::{Planned, change_record};
use record::tenant::Tenant;
use serde_json::json;
use store::{Batch, Row, Store, Value, params};

use crate::change::require_enabled;
use crate::endpoint::read as read_endpoint;
use crate::sql;

/// Most deliveries that one request sends again.
pub const MAX_RESENT: i64 = 10_000;
/// Most open deliveries that are counted.
pub const MAX_BACKLOG: i64 = 10_000;
/// Attempts that the figures of an endpoint are taken from, at most.
const MEASURED: i64 = 1_000;
/// How far back those figures look, in seconds.
const MEASURED_SECONDS: i64 = 86_400;
/// Attempts that are listed of one delivery, the latest ones.
const MAX_ATTEMPTS: i64 = 200;

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// It is tried, or waits for its endpoint.
    Pending,
    /// The receiver has it.
    Delivered,
    /// Every attempt failed.
    Failed,
    /// It was given up: its endpoint is gone, or the data was restored from a backup.
    Canceled,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Delivered, Self::Failed, Self::Canceled];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// Reads the stable name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == text)
    }
}

/// One event on its way to one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its id.
    pub id: Id<id::Delivery>,
    /// The event's place among those of its tenant.
    pub event_position: i64,
    /// The event, whose id is the `webhook-id` of every attempt.
    pub event_id: Id<id::Event>,
    /// The event's type.
    pub kind: String,
    /// What became of it.
    pub state: DeliveryState,
    /// Attempts in all.
    pub attempts: i64,
    /// Attempts since it was last sent anew: its place in the schedule.
    pub tries: i64,
    /// When it is tried next; `None` once it has ended and while its endpoint is paused.
    pub next_at: Option<Timestamp>,
    /// The status of the last answer.
    pub last_status: Option<i64>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

impl Delivery {
    /// Reads a row of [`sql::DELIVERY_READ`].
    ///
    /// # Errors
    /// [`store::Error::RowCorrupt`] when the row is no delivery.
    pub fn from_row(row: &Row) -> Result<Self, store::Error> {
        Ok(Self {
            id: row.id(0)?,
            event_position: row.int(1)?,
            event_id: row.id(2)?,
            kind: row.text(3)?.to_owned(),
            state: DeliveryState::parse(row.text(4)?).ok_or(store::Error::RowCorrupt)?,
            attempts: row.int(5)?,
            tries: row.int(6)?,
            next_at: row.time_opt(7)?,
            last_status: row.int_opt(8)?,
            last_error: row.text_opt(9)?.map(str::to_owned),
            created_at: row.time(10)?,
            ended_at: row.time_opt(11)?,
        })
    }
}

/// One attempt at a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// From 1.
    pub number: i64,
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// The status of the answer; `None` when none came.
    pub status: Option<i64>,
    /// Why it failed; `None` for one that delivered.
    pub error: Option<String>,
    /// The process that made it.
    pub node: String,
}

/// Which deliveries of an endpoint are meant.
#[derive(Debug, Clone, Default)]
pub struct Range {
    /// Only these types; empty for all.
    pub kinds: Vec<&'static str>,
    /// Only this state.
    pub state: Option<DeliveryState>,
    /// Made at this millisecond or later.
    pub from: Option<Timestamp>,
    /// Made before this millisecond.
    pub to: Option<Timestamp>,
}

impl Range {
    /// Limits the range to the types that names cover.
    ///
    /// # Errors
    /// The first name that covers none.
    pub fn of_types<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) -> Result<(), &'a str> {
        for name in names {
            let before = self.kinds.len();
            self.kinds.extend(Type::ALL.iter().map(|kind| kind.name()).filter(|kind| covers(name, kind)));
            if self.kinds.len() == before {
                return Err(name);
            }
        }
        Ok(())
    }

    /// Ids rise with time, so a stretch of time is a stretch of ids.
    fn ids(&self, before: Option<Id<id::Delivery>>) -> (Id<id::Delivery>, Id<id::Delivery>) {
        let end = self.to.map_or(Id::from_bytes([0xff; 16]), first_of);
        (before.map_or(end, |before| before.min(end)), self.from.map_or(Id::from_bytes([0; 16]), first_of))
    }

    fn kinds_text(&self) -> String {
        if self.kinds.is_empty() { String::new() } else { format!(",{},", self.kinds.join(",")) }
    }
}

/// The smallest id that a millisecond can have.
fn first_of(at: Timestamp) -> Id<id::Delivery> {
    let [_, _, time @ ..] = at.as_millis().max(0).to_be_bytes();
    let mut bytes = [0_u8; 16];
    bytes.iter_mut().zip(time).for_each(|(to, from)| *to = from);
    Id::from_bytes(bytes)
}

/// Deliveries of an endpoint, newest first, from the one before an id on.
///
/// # Errors
/// The store's.
pub async fn list(
    store: &Store,
    tenant: TenantId,
    endpoint: Id<id::Webhook>,
    range: &Range,
    (before, limit): (Option<Id<id::Delivery>>, u32),
) -> Result<Vec<Delivery>, store::Error> {
    let (end, start) = range.ids(before);
    // one more than a page tells whether there is a next one
    let limit = i64::from(limit.clamp(1, MAX_LIMIT.saturating_add(1)));
    let mut values = params![tenant, endpoint, end, start, range.kinds_text(), limit];
    let stmt = match range.state {
        None => &sql::DELIVERIES_BEFORE,
        Some(state) => {
            values.push(Value::from(state.name()));
            &sql::DELIVERIES_IN_STATE
        }
    };
    store.read_all(stmt, values).await?.iter().map(Delivery::from_row).collect()
}

/// One delivery with its latest attempts, the first one first.
///
/// # Errors
/// The store's.
pub async fn read(
    store: &Store,
    tenant: TenantId,
    endpoint: Id<id::Webhook>,
    id: Id<id::Delivery>,
) -> Result<Option<(Delivery, Vec<Attempt>)>, store::Error> {
    let Some(row) = store.read(&sql::DELIVERY_READ, params![tenant, endpoint, id]).await? else { return Ok(None) };
    let rows = store.read_all(&sql::ATTEMPTS, params![tenant, id, MAX_ATTEMPTS]).await?;
    let attempt = |row: &Row| {
        Ok(Attempt {
            number: row.int(0)?,
            at: row.time(1)?,
            duration_ms: row.int(2)?,
            status: row.int_opt(3)?,
            error: row.text_opt(4)?.map(str::to_owned),
            node: row.text(5)?.to_owned(),
        })
    };
    let attempts = rows.iter().rev().map(attempt).collect::<Result<_, store::Error>>()?;
    Ok(Some((Delivery::from_row(&row)?, attempts)))
}

/// How an endpoint fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Health {
    /// Open deliveries, counted up to [`MAX_BACKLOG`] and one more.
    pub backlog: i64,
    /// Attempts of the last day that the next figures are taken from: the latest thousand at most.
    pub measured: i64,
    /// How many of them delivered.
    pub succeeded: i64,
    /// What 95 of a hundred of them took at most, in milliseconds.
    pub p95_ms: Option<i64>,
}

/// How an endpoint fares.
///
/// # Errors
/// The store's.
pub async fn health(
    store: &Store,
    tenant: TenantId,
    endpoint: Id<id::Webhook>,
    now: Timestamp,
) -> Result<Health, store::Error> {
    let backlog = store.read(&sql::BACKLOG, params![tenant, endpoint, MAX_BACKLOG.saturating_add(1)]).await?;
    let since = now.plus_seconds(-MEASURED_SECONDS);
    let rows = store.read_all(&sql::ATTEMPTS_SINCE, params![tenant, endpoint, since, MEASURED]).await?;
    let mut durations = Vec::with_capacity(rows.len());
    let mut succeeded = 0_i64;
    for row in &rows {
        durations.push(row.int(0)?);
        succeeded = succeeded.saturating_add(i64::from(row.text_opt(1)?.is_none()));
    }
    durations.sort_unstable();
    // the smallest duration that at least 95 of a hundred do not exceed
    let rank = durations.len().saturating_mul(95).div_ceil(100).saturating_sub(1);
    Ok(Health {
        backlog: backlog.ok_or(store::Error::RowCorrupt)?.int(0)?,
        measured: i64::try_from(durations.len()).unwrap_or(i64::MAX),
        succeeded,
        p95_ms: durations.get(rank).copied(),
    })
}

/// Sends one delivery again, whatever became of it.
///
/// # Errors
/// [`AdminError::NotFound`], [`AdminError::State`] when messages of the endpoint do not go out, the store's.
pub async fn resend(
    auth: &Auth,
    who: &Principal,
    tenant: &Tenant,
    endpoint: Id<id::Webhook>,
    id: Id<id::Delivery>,
) -> Result<Planned<Delivery>, AdminError> {
    let held = read_endpoint(&auth.store, tenant.id, endpoint).await?;
    let held = held.ok_or(AdminError::NotFound("webhook endpoint"))?;
    let found = read(&auth.store, tenant.id, endpoint, id).await?.ok_or(AdminError::NotFound("delivery"))?;
    require_enabled(&held)?;
    let now = auth.clock.now();
    let batch = Batch::new().expect(1, &sql::RESEND_ONE, params![tenant.id, endpoint, id, now]);
    let after = Some(json!({"delivery": id.to_string(), "event": found.0.event_id.to_string()}));
    let object = ("webhook_endpoint", &*endpoint.to_string());
    let record = change_record(auth, who, tenant, action::WEBHOOK_RESENT, object, (None, after));
    let value = Delivery { state: DeliveryState::Pending, tries: 0, next_at: Some(now), ended_at: None, ..found.0 };
    Ok(Planned { batch, record, value })
}

/// How many ended deliveries a range holds.
///
/// # Errors
/// [`AdminError::NotFound`], [`AdminError::Invalid`] for a range without an end or of more than [`MAX_RESENT`], the
/// store's.
pub async fn count(
    auth: &Auth,
    tenant: &Tenant,
    endpoint: Id<id::Webhook>,
    range: &Range,
    mut problems: Vec<FieldProblem>,
) -> Result<i64, AdminError> {
    let held = read_endpoint(&auth.store, tenant.id, endpoint).await?;
    held.ok_or(AdminError::NotFound("webhook endpoint"))?;
    for (name, time) in [("from", range.from), ("to", range.to)] {
        if time.is_none() && problems.iter().all(|problem| problem.pointer != format!("/{name}")) {
            problems.push(FieldProblem::new(name, "required", format!("{name} takes a time in RFC 3339")));
        }
    }
    if range.state == Some(DeliveryState::Pending) {
        let detail = "status takes delivered, failed or canceled: what is pending is on its way";
        problems.push(FieldProblem::new("status", "bad_value", detail));
    }
    if !problems.is_empty() {
        return Err(AdminError::Invalid(problems));
    }
    let mut values = range_values(tenant, endpoint, range);
    values.push(Value::from(MAX_RESENT.saturating_add(1)));
    let count = auth.store.read(&sql::RESEND_COUNT, values).await?.ok_or(store::Error::RowCorrupt)?.int(0)?;
    if count > MAX_RESENT && !kernel::mutant::is("W03-range") {
        let detail = format!("this range holds more than {MAX_RESENT} deliveries; ask for a shorter one");
        return Err(AdminError::Invalid(vec![FieldProblem::new("from", "too_many", detail)]));
    }
    Ok(count)
}

fn range_values(tenant: &Tenant, endpoint: Id<id::Webhook>, range: &Range) -> Vec<Value> {
    let (end, start) = range.ids(None);
    params![tenant.id, endpoint, end, start, range.kinds_text(), range.state.map_or("", DeliveryState::name)]
}

/// Sends the ended deliveries of a range again.
///
/// # Errors
/// Those of [`count`], and [`AdminError::State`] when messages of the endpoint do not go out.
pub async fn resend_range(
    auth: &Auth,
    who: &Principal,
    tenant: &Tenant,
    endpoint: Id<id::Webhook>,
    (range, problems): (&Range, Vec<FieldProblem>),
) -> Result<Planned<i64>, AdminError> {
    let count = count(auth, tenant, endpoint, range, problems).await?;
    let held = read_endpoint(&auth.store, tenant.id, endpoint).await?;
    require_enabled(&held.ok_or(AdminError::NotFound("webhook endpoint"))?)?;
    let mut values = range_values(tenant, endpoint, range);
    values.push(Value::from(auth.clock.now()));
    let batch = Batch::new().run(&sql::RESEND, values);
    let after = Some(json!({
        "from": range.from.map(|at| at.to_string()), "to": range.to.map(|at| at.to_string()), "types": range.kinds,
        "status": range.state.map(DeliveryState::name), "count": count,
    }));
    let object = ("webhook_endpoint", &*endpoint.to_string());
    let record = change_record(auth, who, tenant, action::WEBHOOK_RESENT, object, (None, after));
    Ok(Planned { batch, record, value: count })
}

#[cfg(test)]
mod tests {
    use testkit::entropy::SeededEntropy;

    use super::*;

    #[test]
    fn a_stretch_of_time_holds_the_ids_made_in_it_and_no_other() {
        let mut entropy = SeededEntropy::new(3);
        let at = |millis: i64| Timestamp::from_micros(millis * 1_000);
        let range = Range { from: Some(at(1_000)), to: Some(at(2_000)), ..Range::default() };
        let (end, start) = range.ids(None);
        for (millis, is_in) in [(999, false), (1_000, true), (1_999, true), (2_000, false)] {
            let id = Id::<id::Delivery>::generate(at(millis), &mut entropy);
            assert_eq!(start <= id && id < end, is_in, "{millis}");
        }
        let before = Id::generate(at(1_500), &mut entropy);
        assert_eq!(range.ids(Some(before)).0, before);
        assert_eq!(range.ids(Some(Id::generate(at(9_000), &mut entropy))).0, end);
    }

    #[test]
    fn names_of_types_are_those_that_exist_now() {
        let mut range = Range::default();
        assert_eq!(range.of_types(["webhook.*", "token.revoked"]), Ok(()));
        assert!(range.kinds.contains(&"webhook.test") && range.kinds.contains(&"token.revoked"));
        assert_eq!(range.of_types(["token.*", "nothing"]), Err("nothing"));
    }
}
