//! Backfills: usage of the past, brought in parts and counted in one commit.
//!
//! What a part brings waits beside the events that count, and each part is judged as a whole: who sends a history mends
//! the part and sends it again. [`Billing::plan_completion`] lets all of it count.

mod complete;

use std::collections::HashMap;

use kernel::clock::{BusinessTime, Timestamp};
use kernel::error::FieldProblem;
use kernel::id::{self, Id};
use kernel::principal::Principal;
use record::action;
use record::fields::Reader;
use record::plan::{AdminError, Planned, change_record};
use record::tenant::Tenant;
use serde_json::{Value, json};
use store::{Batch, Row, params};

use crate::cloudevent::{self, Event};
use crate::directory::Billing;
use crate::rejection::{Code, Rejection};
use crate::sample::select;
use crate::sql;
use crate::window::Window;

use super::series::Fresh;
use super::{Plan, RETENTION_DAYS, Reporter};

pub use complete::Completion;

/// Most events of one backfill.
pub const MAX_EVENTS: i64 = 20_000;
/// Most parts of one backfill; they are numbered from 1.
pub const MAX_PARTS: i64 = 100;

const MISSING: AdminError = AdminError::NotFound("backfill");

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$of])* $variant,)* }
        impl $name {
            /// Each of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The stable name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            /// Reads the stable name.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.name() == text)
            }
        }
    };
}

named! {
    /// What becomes of the usage that is kept already.
    Mode {
        /// It goes on counting.
        Add = "add",
        /// What lies in the time of the backfill counts no more.
        Replace = "replace",
    }
}

named! {
    /// Where a backfill stands.
    State {
        /// No part came.
        Pending = "pending",
        /// Parts came; nothing of them counts.
        Running = "running",
        /// All of it counts.
        Completed = "completed",
        /// Nobody went on with it.
        Failed = "failed",
        /// Somebody gave it up.
        Canceled = "canceled",
    }
}

/// The body of `POST /api/usage/backfills`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackfillFields {
    /// The customer, by its id or the operator's own.
    pub customer: String,
    /// The key of the meter.
    pub meter: String,
    /// The time that it covers.
    pub over: Window,
    /// What becomes of what is kept already.
    pub mode: Mode,
}

impl BackfillFields {
    /// Reads a body.
    ///
    /// # Errors
    /// All problems of all fields.
    pub fn read(body: &Value) -> Result<Self, Vec<FieldProblem>> {
        let mut reader = Reader::new(body)?;
        let mut text = |name: &'static str| {
            let given = reader.string(name).given();
            if given.as_ref().is_none_or(String::is_empty) {
                reader.refuse(name, "required", format!("{name} must be there"));
            }
            given.unwrap_or_default()
        };
        let (customer, meter, mode) = (text("customer_id"), text("meter"), text("mode"));
        let mode = Mode::parse(&mode);
        if mode.is_none() {
            reader.refuse("mode", "bad_value", "mode takes add or replace");
        }
        let mut instant = |name: &'static str| {
            let given = reader.time(name).given();
            if given.is_none() {
                reader.refuse(name, "required", format!("{name} must be an instant"));
            }
            given.map(|at| BusinessTime::from_micros(at.as_micros()))
        };
        let (from, to) = (instant("from"), instant("to"));
        if from.zip(to).is_some_and(|(from, to)| from >= to) {
            reader.refuse("to", "bad_value", "to must lie behind from");
        }
        let problems = reader.finish();
        match (mode, from, to) {
            (Some(mode), Some(start), Some(end)) if problems.is_empty() => {
                Ok(Self { customer, meter, over: Window { start, end }, mode })
            }
            _ => Err(problems),
        }
    }
}

/// A backfill as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backfill {
    /// Its id.
    pub id: Id<id::Backfill>,
    /// Whose usage it brings.
    pub customer: Id<id::Customer>,
    /// The key of the meter.
    pub meter: String,
    /// The type of event that the meter looked at when the backfill was begun.
    pub event_type: String,
    /// The time that it covers.
    pub over: Window,
    /// What becomes of what is kept already.
    pub mode: Mode,
    /// Where it stands.
    pub state: State,
    /// Parts that came.
    pub parts: i64,
    /// Events in them, each key once.
    pub events: i64,
    /// Events that count since it was completed.
    pub accepted: i64,
    /// Events that counted before.
    pub duplicates: i64,
    /// Events that count no more.
    pub replaced: i64,
    /// Why it failed.
    pub reason: Option<String>,
    /// Who began it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When something happened to it last.
    pub updated_at: Timestamp,
    version: i64,
}

impl Backfill {
    fn from_row(row: &Row) -> Result<Self, store::Error> {
        let time = |column| row.int(column).map(BusinessTime::from_micros);
        Ok(Self {
            id: row.id(0)?,
            customer: row.id(1)?,
            meter: row.text(2)?.to_owned(),
            event_type: row.text(3)?.to_owned(),
            over: Window { start: time(4)?, end: time(5)? },
            mode: Mode::parse(row.text(6)?).ok_or(store::Error::RowCorrupt)?,
            state: State::parse(row.text(7)?).ok_or(store::Error::RowCorrupt)?,
            parts: row.int(8)?,
            events: row.int(9)?,
            accepted: row.int(10)?,
            duplicates: row.int(11)?,
            replaced: row.int(12)?,
            reason: row.text_opt(13)?.map(str::to_owned),
            created_by: row.text(14)?.to_owned(),
            created_at: row.time(15)?,
            updated_at: row.time(16)?,
            version: row.int(17)?,
        })
    }

    /// As it is answered.
    pub fn view(&self) -> Value {
        json!({
            "id": self.id, "customer_id": self.customer, "meter": self.meter, "type": self.event_type,
            "from": self.over.start.to_string(), "to": self.over.end.to_string(), "mode": self.mode.name(),
            "state": self.state.name(), "parts": self.parts, "events": self.events, "accepted": self.accepted,
            "duplicates": self.duplicates, "replaced": self.replaced, "reason": self.reason,
            "created_by": self.created_by, "created_at": self.created_at.to_string(),
            "updated_at": self.updated_at.to_string(),
        })
    }

    /// That it is open, and takes what is asked of it.
    fn open(&self, event: &'static str) -> Result<(), AdminError> {
        if matches!(self.state, State::Pending | State::Running) {
            return Ok(());
        }
        let detail = format!("the backfill is {}; begin another one", self.state.name());
        Err(AdminError::Illegal { detail, from: self.state.name(), event, allowed: Vec::new() })
    }

    /// The statement that ends it as it stands now.
    fn end(&self, batch: Batch, tenant: &Tenant) -> Batch {
        let row = params![
            tenant.id,
            self.id,
            self.version,
            self.state.name(),
            self.accepted,
            self.duplicates,
            self.replaced,
            self.updated_at
        ];
        batch.expect(1, &sql::BACKFILL_END, row)
    }

    /// The statements that forget what waits for it.
    fn forget(&self, batch: Batch, tenant: &Tenant) -> Batch {
        let key = params![tenant.id, self.id];
        batch.run(&sql::STAGED_DELETE, key.clone()).run(&sql::PARTS_DELETE, key)
    }
}

/// One part of a backfill on its way.
pub struct Part<'a> {
    /// Its number.
    pub number: i64,
    /// SHA-256 of its bytes.
    pub hash: [u8; 32],
    /// Its events as [`cloudevent::read`] leaves them.
    pub events: Vec<Result<Event<'a>, Rejection>>,
    /// The customers of their subjects.
    pub customers: HashMap<String, Id<id::Customer>>,
}

/// What a part comes to.
pub enum Staged {
    /// It waits, with so many events whose keys are new to the backfill; nothing is written for one that came before.
    Kept(Plan<i64>),
    /// Nothing of it is kept: which events are refused, by their place.
    Refused(Vec<(usize, Rejection)>),
}

fn refused(name: &str, detail: impl Into<String>) -> AdminError {
    AdminError::Invalid(vec![FieldProblem::new(name, "bad_value", detail.into())])
}

impl Billing {
    /// Backfills before an id, the newest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn backfills(
        &self,
        tenant: &Tenant,
        before: Option<Id<id::Backfill>>,
        limit: i64,
    ) -> Result<Vec<Backfill>, store::Error> {
        let before = before.unwrap_or(Id::from_bytes([0xff; 16]));
        let rows = self.ground.store.read_all(&sql::BACKFILLS_BEFORE, params![tenant.id, before, limit]).await?;
        rows.iter().map(Backfill::from_row).collect()
    }

    /// One backfill.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], the store's.
    pub async fn backfill(&self, tenant: &Tenant, id: Id<id::Backfill>) -> Result<Backfill, AdminError> {
        let row = self.ground.store.read(&sql::BACKFILL_READ, params![tenant.id, id]).await?.ok_or(MISSING)?;
        Ok(Backfill::from_row(&row)?)
    }

    /// Begins a backfill.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] for the customer, [`AdminError::Invalid`] for the meter, the store's.
    pub async fn plan_backfill(
        &self,
        who: &Principal,
        tenant: &Tenant,
        fields: &BackfillFields,
    ) -> Result<Planned<Backfill>, AdminError> {
        let found = self.find_customer(tenant, &fields.customer).await?;
        let customer = found.ok_or(AdminError::NotFound("customer"))?.id;
        let metering = self.metering(tenant).await?;
        let meter = metering.meter(&fields.meter).filter(|meter| meter.key != super::tokens::METER);
        let meter = meter.ok_or_else(|| refused("meter", "there is no meter with this key that counts events"))?;
        let at = self.ground.clock.now();
        let backfill = Backfill {
            id: self.ground.with_entropy(|entropy| Id::generate(at, entropy)),
            customer,
            meter: meter.key.clone(),
            event_type: meter.event_type.clone(),
            over: fields.over,
            mode: fields.mode,
            state: State::Pending,
            parts: 0,
            events: 0,
            accepted: 0,
            duplicates: 0,
            replaced: 0,
            reason: None,
            created_by: who.actor(),
            created_at: at,
            updated_at: at,
            version: 1,
        };
        let row = params![
            tenant.id,
            backfill.id,
            customer,
            meter.key.as_str(),
            meter.event_type.as_str(),
            fields.over.start.as_micros(),
            fields.over.end.as_micros(),
            fields.mode.name(),
            backfill.created_by.as_str(),
            at
        ];
        let batch = Batch::new().expect(1, &sql::BACKFILL_INSERT, row);
        let object = ("usage_backfill", &*backfill.id.to_string());
        let states = (None, Some(backfill.view()));
        let record = change_record(&self.ground, who, tenant, action::USAGE_BACKFILL_CREATED, object, states);
        Ok(Planned { batch, record, value: backfill })
    }

    /// Judges a part. One that came before under its number gets the answer that it got then.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Illegal`] for a backfill that has ended, [`AdminError::Taken`] when the number
    /// was used for other content, [`AdminError::TooMany`] for more than [`MAX_EVENTS`], the store's.
    pub async fn plan_part(
        &self,
        tenant: &Tenant,
        reporter: &Reporter,
        id: Id<id::Backfill>,
        part: &Part<'_>,
    ) -> Result<Staged, AdminError> {
        let backfill = self.backfill(tenant, id).await?;
        backfill.open("part")?;
        let store = &self.ground.store;
        if let Some(row) = store.read(&sql::PART_READ, params![tenant.id, id, part.number]).await? {
            if row.bytes(0)? == part.hash {
                return Ok(Staged::Kept(Plan { batch: Batch::new(), value: row.int(1)? }));
            }
            let detail = format!("part {} came before, with other content", part.number);
            return Err(AdminError::Taken("backfill_part_taken", detail));
        }
        let rows = store.read_all(&sql::STAGED_KEYS, params![tenant.id, id, MAX_EVENTS]).await?;
        let mut known: HashMap<(String, String), [u8; 32]> = HashMap::with_capacity(rows.len());
        for row in &rows {
            let hash = <[u8; 32]>::try_from(row.bytes(2)?).map_err(|_| store::Error::RowCorrupt)?;
            known.insert((row.text(0)?.to_owned(), row.text(1)?.to_owned()), hash);
        }
        let now = tenant.business(reporter.at);
        let (mut bad, mut batch, mut count, mut fresh) = (Vec::new(), Batch::new(), 0_i64, Fresh::default());
        for (index, event) in part.events.iter().enumerate() {
            let judged = match event {
                Ok(event) => {
                    let about = (event, &part.customers);
                    self.judge(tenant, &backfill, about, now, &mut fresh).await?.map(|at| (event, at))
                }
                Err(rejection) => Err(rejection.clone()),
            };
            let (event, at) = match judged {
                Ok(judged) => judged,
                Err(rejection) => {
                    bad.push((index, rejection));
                    continue;
                }
            };
            let hash = jose::hash::sha256(event.canonical.as_bytes());
            let key = (event.source.clone().into_owned(), event.id.clone().into_owned());
            match known.get(&key) {
                Some(before) if *before == hash => continue,
                Some(_) => {
                    let detail = "the backfill has an event with this id and source, with other content";
                    bad.push((index, Rejection::new(Code::EventConflict, detail)));
                    continue;
                }
                None => {}
            }
            count = count.saturating_add(1);
            let row = params![
                tenant.id,
                id,
                key.0.as_str(),
                key.1.as_str(),
                backfill.events.saturating_add(count),
                at.as_micros(),
                hash.as_slice(),
                event.data.as_deref(),
                event.attributes_json()
            ];
            batch = batch.expect(1, &sql::STAGED_INSERT, row);
            known.insert(key, hash);
        }
        if !bad.is_empty() {
            return Ok(Staged::Refused(bad));
        }
        if backfill.events.saturating_add(count) > MAX_EVENTS {
            let detail = format!("a backfill takes {MAX_EVENTS} events; begin another one for the rest");
            return Err(AdminError::TooMany("backfill_full", detail));
        }
        let stage = params![tenant.id, id, backfill.version, count, reporter.at];
        let row = params![tenant.id, id, part.number, part.hash.as_slice(), count];
        batch = batch.expect(1, &sql::BACKFILL_STAGE, stage).expect(1, &sql::PART_INSERT, row);
        Ok(Staged::Kept(Plan { batch, value: count }))
    }

    /// When an event of a backfill happened, or why it is none of it.
    async fn judge(
        &self,
        tenant: &Tenant,
        backfill: &Backfill,
        (event, customers): (&Event<'_>, &HashMap<String, Id<id::Customer>>),
        now: BusinessTime,
        fresh: &mut Fresh,
    ) -> Result<Result<BusinessTime, Rejection>, store::Error> {
        let invalid = |detail: String| Ok(Err(Rejection::new(Code::EventInvalid, detail)));
        if event.event_type != backfill.event_type {
            return invalid(format!("the type of this backfill is {}", backfill.event_type));
        }
        let subject = event.subject.as_deref().and_then(|subject| customers.get(subject));
        if subject != Some(&backfill.customer) {
            let detail = format!("`subject` must name the customer of this backfill, {}", backfill.customer);
            return Ok(Err(Rejection::new(Code::CustomerUnknown, detail)));
        }
        let Some(at) = event.time else { return invalid("`time` must be there in a backfill".to_owned()) };
        if let Err(rejection) = cloudevent::check_time(at, now, RETENTION_DAYS) {
            return Ok(Err(rejection));
        }
        if !backfill.over.contains(at) {
            return invalid(format!(
                "`time` lies outside of the backfill, {} to {}",
                backfill.over.start, backfill.over.end
            ));
        }
        let mut is_counted = false;
        for metered in self.metering(tenant).await?.of_type(&event.event_type) {
            let meter = &metered.meter;
            match select(meter, &event.event_type, event.data.as_deref()) {
                Ok(Some(sample)) => {
                    is_counted |= meter.key == backfill.meter;
                    let which = (backfill.customer, &**meter, &sample.dimensions);
                    if let Err(rejection) = self.admit(tenant, which, at, fresh).await? {
                        return Ok(Err(rejection));
                    }
                }
                Ok(None) => {}
                Err(rejection) => return Ok(Err(rejection)),
            }
        }
        if !is_counted {
            return invalid(format!("the meter {} does not look at this event", backfill.meter));
        }
        Ok(Ok(at))
    }

    /// Gives a backfill up: nothing of it counts, and its parts are forgotten.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Illegal`] for one that has ended, the store's.
    pub async fn plan_backfill_cancel(
        &self,
        who: &Principal,
        tenant: &Tenant,
        id: Id<id::Backfill>,
    ) -> Result<Planned<Backfill>, AdminError> {
        let before = self.backfill(tenant, id).await?;
        before.open("cancel")?;
        let after = Backfill { state: State::Canceled, updated_at: self.ground.clock.now(), ..before.clone() };
        let batch = after.forget(after.end(Batch::new(), tenant), tenant);
        let object = ("usage_backfill", &*id.to_string());
        let states = (Some(json!({"state": before.state.name()})), Some(json!({"state": after.state.name()})));
        let record = change_record(&self.ground, who, tenant, action::USAGE_BACKFILL_CANCELED, object, states);
        Ok(Planned { batch, record, value: after })
    }
}
