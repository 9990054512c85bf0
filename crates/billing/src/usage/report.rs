//! Reported events: each is kept once, counted in the same commit, or refused by itself.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::try_join_all;
use kernel::clock::BusinessTime;
use kernel::decimal::Decimal;
use kernel::id::{self, Id};
use kernel::standing::Standing;
use record::tenant::Tenant;
use store::{Batch, params};

use crate::cloudevent::{self, Event, MAX_LATE_DAYS};
use crate::current::Current;
use crate::directory::Billing;
use crate::rejection::{Code, Rejection};
use crate::sample::{Measure, select};
use crate::sql;

use super::counter::Counter;
use super::metering::{Metered, Metering};
use super::odd::Odd;
use super::series::Fresh;
use super::{Plan, Reporter, allowance, tokens, window};

/// Rejections of one request that are kept for people to look at.
const KEPT_REJECTIONS: usize = 100;
/// Keys that are looked up at the same time.
const LOOKUPS: usize = 100;

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is kept, and counted where a meter looks at it.
    Accepted,
    /// It was kept before.
    Duplicate,
    /// It is not kept.
    Rejected(Rejection),
}

/// An event that the product writes itself counts for one meter, with a quantity of its own.
#[derive(Debug, Clone)]
pub(super) struct Direct {
    /// The key of the meter.
    pub(super) meter: String,
    /// How much.
    pub(super) quantity: Decimal,
}

/// Events of one request on their way to being counted.
pub struct Report<'a> {
    /// Who reports.
    pub reporter: Reporter,
    /// Whether one that is rejected keeps all from being stored.
    pub is_atomic: bool,
    /// Whether a repetition may have another time, as where clients write a new one with each attempt.
    pub with_any_time: bool,
    events: Vec<Result<Event<'a>, Rejection>>,
    prints: Vec<Print>,
    /// The customers of the subjects, for those that name one.
    customers: HashMap<String, Id<id::Customer>>,
    /// What was found under keys that came before.
    known: HashMap<(String, String), Print>,
    /// Days that the time of an event may lie back.
    past_days: i64,
}

/// By what an event is told from another one under its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Print {
    /// Of all members as they came.
    whole: [u8; 32],
    /// Of what it says whenever it was sent: its customer, type and data.
    told: [u8; 32],
}

impl Print {
    fn new(whole: [u8; 32], customer: Option<Id<id::Customer>>, event_type: &str, data: Option<&str>) -> Self {
        let customer = customer.as_ref().map_or(&[][..], |customer| customer.as_bytes());
        let told = [customer, event_type.as_bytes(), b"\n", data.unwrap_or_default().as_bytes()].concat();
        let told = jose::hash::sha256(&told);
        Self { whole, told }
    }
}

/// What of a request is written and answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// One for each event, in their order.
    pub outcomes: Vec<Outcome>,
}

impl Reported {
    /// How many were accepted.
    pub fn accepted(&self) -> usize {
        self.outcomes.iter().filter(|outcome| **outcome == Outcome::Accepted).count()
    }

    /// How many were kept before.
    pub fn duplicates(&self) -> usize {
        self.outcomes.iter().filter(|outcome| **outcome == Outcome::Duplicate).count()
    }

    /// Those that were not kept, with their place.
    pub fn rejected(&self) -> impl Iterator<Item = (usize, &Rejection)> {
        self.outcomes.iter().enumerate().filter_map(|(index, outcome)| match outcome {
            Outcome::Rejected(rejection) => Some((index, rejection)),
            Outcome::Accepted | Outcome::Duplicate => None,
        })
    }
}

impl<'a> Report<'a> {
    /// A report of events as [`cloudevent::read`] leaves them; `customers` are those of their subjects.
    pub fn new(
        reporter: Reporter,
        events: Vec<Result<Event<'a>, Rejection>>,
        customers: HashMap<String, Id<id::Customer>>,
        is_atomic: bool,
    ) -> Self {
        let print = |event: &Result<Event<'_>, Rejection>| match event {
            Ok(event) => {
                let whole = jose::hash::sha256(event.canonical.as_bytes());
                let customer = event.subject.as_deref().and_then(|subject| customers.get(subject)).copied();
                Print::new(whole, customer, &event.event_type, event.data.as_deref())
            }
            Err(_) => Print { whole: [0; 32], told: [0; 32] },
        };
        let prints = events.iter().map(print).collect();
        Self {
            reporter,
            is_atomic,
            with_any_time: false,
            events,
            prints,
            customers,
            known: HashMap::new(),
            past_days: MAX_LATE_DAYS,
        }
    }

    /// The events, in their order.
    pub fn events(&self) -> &[Result<Event<'a>, Rejection>] {
        &self.events
    }

    /// Whether a guard that failed says that the report must be planned again, and not that the store is of another mind.
    pub fn is_overtaken(guard: &str) -> bool {
        guard.starts_with("QUOTA_")
            || ["USAGE_INSERT", "CUSTOMER_AS_READ", "RESERVATION_SETTLE", "USAGE_NUMBERS"].contains(&guard)
    }
}

/// A counter by the customer, the feature and where its window begins.
type Key = (Id<id::Customer>, Arc<str>, i64);

/// What is known of a customer for one plan.
struct Payer {
    current: Arc<Current>,
    standing: Arc<Standing>,
    is_held: bool,
}

/// One use of an event: the counters by their keys, and what it adds to each.
struct Use {
    counters: Vec<Key>,
    measure: Measure,
    at: BusinessTime,
}

/// What is gathered while the events are gone through.
struct Gathering<'p> {
    billing: &'p Billing,
    tenant: &'p Tenant,
    metering: Arc<Metering>,
    now: BusinessTime,
    payers: HashMap<Id<id::Customer>, Payer>,
    counters: HashMap<Key, Counter>,
    series: Fresh,
}

impl Billing {
    /// Looks up which keys of a report came before, after a guard said that one did.
    ///
    /// # Errors
    /// The store's.
    pub async fn recognize(&self, tenant: &Tenant, report: &mut Report<'_>) -> Result<(), store::Error> {
        let keys: Vec<(String, String)> = report
            .events
            .iter()
            .flatten()
            .map(|event| (event.source.clone().into_owned(), event.id.clone().into_owned()))
            .collect();
        for keys in keys.chunks(LOOKUPS) {
            let lookups = keys.iter().map(|(source, id)| {
                self.ground.store.read(&sql::USAGE_HASH, params![tenant.id, source.as_str(), id.as_str()])
            });
            for (key, row) in keys.iter().zip(try_join_all(lookups).await?) {
                if let Some(row) = row {
                    let hash = <[u8; 32]>::try_from(row.bytes(0)?).map_err(|_| store::Error::RowCorrupt)?;
                    report
                        .known
                        .insert(key.clone(), Print::new(hash, Some(row.id(1)?), row.text(2)?, row.text_opt(3)?));
                }
            }
        }
        Ok(())
    }

    /// Decides a report on what holds now.
    ///
    /// # Errors
    /// The store's.
    pub async fn plan_report(&self, tenant: &Tenant, report: &mut Report<'_>) -> Result<Plan<Reported>, store::Error> {
        loop {
            let plan = self.plan_events(tenant, report, None).await?;
            if plan.value.rejected().next().is_none() {
                return Ok(plan);
            }
            // What came before is no longer judged: it may have used up the limit itself. The keys are looked up after the
            // counters were read, so that whatever is in these is among those.
            let known = report.known.len();
            self.recognize(tenant, report).await?;
            if report.known.len() == known {
                return Ok(plan);
            }
        }
    }

    /// The same; an event that the product writes itself counts for one meter.
    pub(super) async fn plan_events(
        &self,
        tenant: &Tenant,
        report: &Report<'_>,
        direct: Option<&Direct>,
    ) -> Result<Plan<Reported>, store::Error> {
        let now = tenant.business(report.reporter.at);
        let mut gathering = Gathering {
            billing: self,
            tenant,
            metering: self.metering(tenant).await?,
            now,
            payers: HashMap::new(),
            counters: HashMap::new(),
            series: Fresh::default(),
        };
        let mut outcomes = Vec::with_capacity(report.events.len());
        let mut kept: Vec<Kept<'_>> = Vec::new();
        let mut seen: HashMap<(&str, &str), Print> = HashMap::new();
        for (event, print) in report.events.iter().zip(&report.prints) {
            let event = match event {
                Ok(event) => event,
                Err(rejection) => {
                    outcomes.push(Outcome::Rejected(rejection.clone()));
                    continue;
                }
            };
            let key = (&*event.source, &*event.id);
            let before = seen.get(&key).or_else(|| report.known.get(&(key.0.to_owned(), key.1.to_owned())));
            if let Some(before) = before {
                let is_same = before == print || (report.with_any_time && before.told == print.told);
                outcomes.push(if is_same { Outcome::Duplicate } else { Outcome::Rejected(conflict(event)) });
                continue;
            }
            match gathering.judge(report, event, direct).await? {
                Ok((customer, state, at)) => {
                    seen.insert(key, *print);
                    kept.push(Kept { event, hash: &print.whole, customer, state, at, direct });
                    outcomes.push(Outcome::Accepted);
                }
                Err(rejection) => outcomes.push(Outcome::Rejected(rejection)),
            }
        }
        let is_refused = report.is_atomic && outcomes.iter().any(|outcome| matches!(outcome, Outcome::Rejected(_)));
        let mut batch = Batch::new();
        if !is_refused {
            batch = gathering.write(batch, &kept, &report.reporter)?;
        }
        if direct.is_none() {
            batch = self.note_rejections(batch, tenant, report, &outcomes);
        }
        Ok(Plan { batch, value: Reported { outcomes } })
    }

    /// Keeps why events were refused.
    fn note_rejections(&self, batch: Batch, tenant: &Tenant, report: &Report<'_>, outcomes: &[Outcome]) -> Batch {
        let at = report.reporter.at;
        let rejected = report.events.iter().zip(outcomes).filter_map(|(event, outcome)| match outcome {
            Outcome::Rejected(rejection) => Some((event.as_ref().ok(), rejection)),
            Outcome::Accepted | Outcome::Duplicate => None,
        });
        rejected.take(KEPT_REJECTIONS).fold(batch, |batch, (event, rejection)| {
            let id = self.ground.with_entropy(|entropy| Id::<id::Rejection>::generate(at, entropy));
            let text = |part: fn(&Event<'_>) -> String| event.map(part).unwrap_or_default();
            let subject = event.and_then(|event| event.subject.as_deref());
            let customer = subject.and_then(|subject| report.customers.get(subject)).copied();
            let (source, event_id) = (text(|e| e.source.clone().into_owned()), text(|e| e.id.clone().into_owned()));
            let event_type = text(|e| e.event_type.clone().into_owned());
            let (code, detail) = (rejection.code.name(), rejection.detail.as_str());
            let actor = report.reporter.actor.as_str();
            let row = params![tenant.id, id, customer, source, event_id, event_type, code, detail, actor, at];
            batch.run(&sql::REJECTION_INSERT, row)
        })
    }
}

fn conflict(event: &Event<'_>) -> Rejection {
    let detail = format!("an event with the id {} and this source came before, with other content", event.id);
    Rejection::new(Code::EventConflict, detail)
}

/// An event that is kept.
pub(super) struct Kept<'e> {
    pub(super) event: &'e Event<'e>,
    pub(super) hash: &'e [u8; 32],
    pub(super) customer: Id<id::Customer>,
    pub(super) state: &'static str,
    pub(super) at: BusinessTime,
    pub(super) direct: Option<&'e Direct>,
}

impl Gathering<'_> {
    /// Whose event it is, what it is kept as and when it happened; its uses are taken into the counters.
    async fn judge(
        &mut self,
        report: &Report<'_>,
        event: &Event<'_>,
        direct: Option<&Direct>,
    ) -> Result<Result<(Id<id::Customer>, &'static str, BusinessTime), Rejection>, store::Error> {
        let at = event.time.unwrap_or(self.now);
        if event.event_type.starts_with(tokens::RESERVED) && direct.is_none() {
            let detail = format!("types that begin with `{}` are the product's own", tokens::RESERVED);
            return Ok(Err(Rejection::new(Code::EventInvalid, detail)));
        }
        if let Err(rejection) = cloudevent::check_time(at, self.now, report.past_days) {
            return Ok(Err(rejection));
        }
        let customer = match subject(report, event) {
            Ok(customer) => customer,
            Err(rejection) => return Ok(Err(rejection)),
        };
        if !self.know(customer).await? {
            return Ok(Err(unknown(event)));
        }
        let uses = match self.uses(customer, event, at, direct).await? {
            Ok(uses) => uses,
            Err(rejection) => return Ok(Err(rejection)),
        };
        let state = match &uses[..] {
            [] => "unmatched",
            _ if self.is_late(customer, at) => "late",
            _ => "counted",
        };
        if let Err(rejection) = self.take(&uses) {
            return Ok(Err(rejection));
        }
        if let Some(payer) = self.payers.get_mut(&customer) {
            payer.is_held = true;
        }
        Ok(Ok((customer, state, at)))
    }

    /// Whether it happened before the billing period that is open.
    fn is_late(&self, customer: Id<id::Customer>, at: BusinessTime) -> bool {
        let Some(payer) = self.payers.get(&customer) else { return false };
        let Some(source) = payer.standing.source else { return false };
        let kept = payer.current.kept.iter().find(|kept| kept.subscription.id == source.subscription);
        let computed = kept.and_then(|kept| payer.current.computed(&kept.subscription, self.now).ok());
        computed.and_then(|computed| computed.current.period).is_some_and(|period| at < period.start)
    }

    /// Whether the customer is there; what is known of it is kept for the plan.
    async fn know(&mut self, customer: Id<id::Customer>) -> Result<bool, store::Error> {
        if self.payers.contains_key(&customer) {
            return Ok(true);
        }
        let Some(current) = self.billing.current(self.tenant, customer).await? else { return Ok(false) };
        let standing = current.standing(self.now)?;
        self.payers.insert(customer, Payer { current, standing, is_held: false });
        Ok(true)
    }

    /// The uses of an event: one for each meter that looks at it.
    async fn uses(
        &mut self,
        customer: Id<id::Customer>,
        event: &Event<'_>,
        at: BusinessTime,
        direct: Option<&Direct>,
    ) -> Result<Result<Vec<Use>, Rejection>, store::Error> {
        let metering = Arc::clone(&self.metering);
        let mut uses = Vec::new();
        for Metered { meter, features } in metering.of_type(&event.event_type) {
            let measure = match direct {
                Some(direct) if direct.meter == meter.key => Measure::Value(direct.quantity),
                Some(_) => continue,
                None => match select(meter, &event.event_type, event.data.as_deref()) {
                    Ok(Some(sample)) => {
                        let which = (customer, &**meter, &sample.dimensions);
                        let admitted = self.billing.admit(self.tenant, which, at, &mut self.series).await?;
                        if let Err(rejection) = admitted {
                            return Ok(Err(rejection));
                        }
                        sample.measure
                    }
                    Ok(None) => continue,
                    Err(rejection) => return Ok(Err(rejection)),
                },
            };
            let mut counters = Vec::new();
            for feature in features {
                let Some(payer) = self.payers.get(&customer) else { continue };
                let Some(allowance) = allowance(&payer.standing, feature).copied() else { continue };
                let window = window(&allowance, at, &payer.current.payer.zone);
                let key = (customer, Arc::clone(feature), window.start.as_micros());
                if !self.counters.contains_key(&key) {
                    let which = (feature, meter);
                    let counter =
                        self.billing.counter(self.tenant, customer, which, (allowance, window), self.now).await?;
                    self.counters.insert(key.clone(), counter);
                }
                counters.push(key);
            }
            if counters.is_empty() && !features.is_empty() && !kernel::mutant::is("U01-entitlement") {
                return Ok(Err(self.not_entitled(customer, features)));
            }
            uses.push(Use { counters, measure, at });
        }
        Ok(Ok(uses))
    }

    fn not_entitled(&self, customer: Id<id::Customer>, features: &[Arc<str>]) -> Rejection {
        let refusal = self.payers.get(&customer).and_then(|payer| payer.standing.refusal());
        let why = refusal.map_or_else(
            || {
                let keys: Vec<&str> = features.iter().map(AsRef::as_ref).collect();
                format!("no plan of the customer grants {}", keys.join(" or "))
            },
            |refusal| refusal.to_string(),
        );
        Rejection::new(Code::NoEntitlement, why)
    }

    /// Takes all uses of an event, or none.
    fn take(&mut self, uses: &[Use]) -> Result<(), Rejection> {
        let mut taken = Vec::new();
        for one in uses {
            for key in &one.counters {
                if let Some(counter) = self.counters.get(key) {
                    taken.push((key, counter.next(&one.measure, one.at)?));
                }
            }
        }
        for (key, next) in taken {
            if let Some(counter) = self.counters.get_mut(key) {
                counter.take(next)?;
            }
        }
        Ok(())
    }

    /// The statements of everything that is kept: who it is decided for, the counters, and the events under their numbers.
    fn write(&self, batch: Batch, kept: &[Kept<'_>], reporter: &Reporter) -> Result<Batch, store::Error> {
        let mut batch = batch;
        if kept.is_empty() {
            return Ok(batch);
        }
        // all in one order, so that two commits never wait for one another
        let mut payers: Vec<_> = self.payers.iter().filter(|(_, payer)| payer.is_held).collect();
        payers.sort_by_key(|(customer, _)| **customer);
        for (customer, payer) in payers {
            let version = payer.current.customer.standing_version;
            batch = batch.expect(1, &sql::CUSTOMER_AS_READ, params![self.tenant.id, *customer, version]);
        }
        let mut counters: Vec<_> = self.counters.iter().collect();
        counters.sort_by_key(|(key, _)| (*key).clone());
        for (_, counter) in counters {
            batch = counter.steps(batch, self.tenant, &self.billing.ground)?;
        }
        let mut odd = Odd::default();
        for one in kept {
            odd.note(one.customer, &one.event.event_type, one.state);
        }
        batch = odd.tell(batch, self.tenant, self.billing, reporter.at);
        batch = self.series.write(batch);
        write_events(batch, self.tenant, kept, reporter)
    }
}

/// The statements that keep events under the next numbers.
pub(super) fn write_events(
    batch: Batch,
    tenant: &Tenant,
    kept: &[Kept<'_>],
    reporter: &Reporter,
) -> Result<Batch, store::Error> {
    let count = i64::try_from(kept.len()).map_err(|_| store::Error::Full)?;
    let mut batch = batch.expect(1, &sql::USAGE_NUMBERS, params![tenant.id, count]);
    for (Kept { event, hash, customer, state, at, direct }, place) in kept.iter().zip(1_i64..) {
        batch = batch.expect(
            1,
            &sql::USAGE_INSERT,
            params![
                tenant.id,
                &*event.source,
                &*event.id,
                count.saturating_sub(place),
                *customer,
                &*event.event_type,
                at.as_micros(),
                reporter.at,
                reporter.actor.as_str(),
                *state,
                hash.as_slice(),
                event.data.as_deref(),
                event.attributes_json(),
                direct.map(|direct| direct.meter.as_str()),
                direct.map(|direct| direct.quantity.to_string()),
            ],
        );
    }
    Ok(batch)
}

fn unknown(event: &Event<'_>) -> Rejection {
    let detail = match &event.subject {
        Some(subject) => format!("{subject} names no customer that you may report for"),
        None => {
            "`subject` is missing; it names the customer by its id, its external id or one of its clients".to_owned()
        }
    };
    Rejection::new(Code::CustomerUnknown, detail)
}

/// The customer of an event, when the reporter may report for it.
fn subject(report: &Report<'_>, event: &Event<'_>) -> Result<Id<id::Customer>, Rejection> {
    let named = event.subject.as_deref().and_then(|subject| report.customers.get(subject)).copied();
    let customer = named.ok_or_else(|| unknown(event))?;
    let is_foreign = report.reporter.own.is_some_and(|own| own != customer);
    if is_foreign && !kernel::mutant::is("U02-foreign") { Err(unknown(event)) } else { Ok(customer) }
}
