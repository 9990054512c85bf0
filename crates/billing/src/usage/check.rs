//! May this customer use this feature: answered, counted or held in one step.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use kernel::decimal::Decimal;
use kernel::error::FieldProblem;
use kernel::id::{self, Id};
use kernel::patch::Field;
use kernel::standing::{Allowance, Entitlement, Overage, Status};
use record::fields::Reader;
use record::plan::AdminError;
use record::tenant::Tenant;
use serde_json::{Value, json};
use store::{Batch, params};

use crate::catalog::Feature;
use crate::cloudevent::Event;
use crate::current::Current;
use crate::directory::Billing;
use crate::meter::{Aggregation, Denial, Meter};
use crate::quota::Verdict;
use crate::reservation::MAX_TTL_SECONDS;
use crate::sql;

use super::counter::Counted;
use super::report::{Direct, Outcome, Report};
use super::{Plan, Reporter, allowance, window};

/// What is done with an allowed quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nothing.
    Check,
    /// It is counted.
    Consume,
    /// It is held for so many seconds.
    Reserve(i64),
}

/// Why something is allowed, or is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The standing covers it.
    Allowed,
    /// It lies beyond the limit and is charged.
    OverageBilled,
    /// It lies beyond the limit and costs nothing.
    OverageFree,
    /// No plan of the customer grants the feature.
    NoEntitlement,
    /// The tenant has no such feature.
    FeatureUnknown,
    /// The limit is reached.
    QuotaExceeded,
    /// The subscription gives no access, or the customer is suspended.
    SubscriptionInactive,
    /// The customer has no subscription.
    NoSubscription,
    /// The scope requires a feature that the customer lacks, or is not among those left to it.
    ScopeNotEntitled,
    /// The client is disabled, expired or gone, or the token is not good any more.
    ClientInactive,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 10] = [
        Self::Allowed,
        Self::OverageBilled,
        Self::OverageFree,
        Self::NoEntitlement,
        Self::FeatureUnknown,
        Self::QuotaExceeded,
        Self::SubscriptionInactive,
        Self::NoSubscription,
        Self::ScopeNotEntitled,
        Self::ClientInactive,
    ];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::OverageBilled => "overage_billed",
            Self::OverageFree => "overage_free",
            Self::NoEntitlement => "no_entitlement",
            Self::FeatureUnknown => "feature_unknown",
            Self::QuotaExceeded => "quota_exceeded",
            Self::SubscriptionInactive => "subscription_inactive",
            Self::NoSubscription => "no_subscription",
            Self::ScopeNotEntitled => "scope_not_entitled",
            Self::ClientInactive => "client_inactive",
        }
    }

    /// Whether it lets the caller go on.
    pub const fn is_allowed(self) -> bool {
        matches!(self, Self::Allowed | Self::OverageBilled | Self::OverageFree)
    }

    /// Why a standing that gives no access refuses.
    pub fn of_refusal(refusal: kernel::standing::Refusal) -> Self {
        match refusal {
            kernel::standing::Refusal::NoSubscription => Self::NoSubscription,
            kernel::standing::Refusal::Suspended { .. } | kernel::standing::Refusal::Inactive(_) => {
                Self::SubscriptionInactive
            }
        }
    }
}

/// What is asked of a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The key of the feature; `None` asks whether the customer has access at all.
    pub feature: Option<String>,
    /// How much of it; 1 when nothing is said.
    pub quantity: Option<Decimal>,
    /// What is done when it is allowed.
    pub mode: Mode,
}

/// The members of `POST /api/check` that say whom it is about.
pub const SUBJECTS: [&str; 3] = ["customer_id", "client_id", "token"];

/// The body of `POST /api/check`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckFields {
    /// Which of [`SUBJECTS`] is given, and its value.
    pub subject: (&'static str, String),
    /// A scope that is asked for.
    pub scope: Option<String>,
    /// What is asked.
    pub question: Question,
}

impl CheckFields {
    /// Reads a body.
    ///
    /// # Errors
    /// All problems of all fields.
    pub fn read(body: &Value) -> Result<Self, Vec<FieldProblem>> {
        let mut reader = Reader::new(body)?;
        let mut given = Vec::new();
        for name in SUBJECTS {
            if let Field::Value(value) = reader.string(name) {
                given.push((name, value));
            }
        }
        let mode = mode(&mut reader);
        let quantity = quantity(&mut reader, "quantity");
        if quantity.is_some_and(|quantity| quantity <= Decimal::ZERO) {
            reader.refuse("quantity", "bad_value", "quantity must be above zero");
        }
        let feature = reader.string("feature").given();
        let scope = reader.string("scope").given();
        if feature.is_none() && quantity.is_some() {
            reader.refuse("quantity", "bad_value", "quantity goes with a feature");
        }
        if feature.is_none() && mode != Mode::Check {
            reader.refuse("feature", "required", "only use of a feature can be consumed or reserved");
        }
        let mut problems = reader.finish();
        let subject = match given.pop() {
            Some(subject) if given.is_empty() => subject,
            _ => {
                let detail = "exactly one of customer_id, client_id and token says whom it is about";
                problems.push(FieldProblem::new("customer_id", "bad_value", detail));
                ("customer_id", String::new())
            }
        };
        let question = Question { feature, quantity, mode };
        if problems.is_empty() { Ok(Self { subject, scope, question }) } else { Err(problems) }
    }
}

fn mode(reader: &mut Reader<'_>) -> Mode {
    let text = reader.string("mode").given();
    let seconds = ttl(reader);
    match text.as_deref() {
        None | Some("check") => Mode::Check,
        Some("consume") => Mode::Consume,
        Some("reserve") => Mode::Reserve(seconds),
        Some(_) => {
            reader.refuse("mode", "bad_value", "mode takes check, consume or reserve");
            Mode::Check
        }
    }
}

/// Seconds that a reservation lasts; a minute when nothing is said.
pub(super) fn ttl(reader: &mut Reader<'_>) -> i64 {
    match reader.integer("ttl_seconds") {
        Field::Absent | Field::Null => 60,
        Field::Value(seconds) if (1..=MAX_TTL_SECONDS).contains(&seconds) => seconds,
        Field::Value(_) => {
            reader.refuse("ttl_seconds", "bad_value", format!("ttl_seconds takes 1 to {MAX_TTL_SECONDS}"));
            1
        }
    }
}

/// A decimal number, written as a text so that no digit is lost.
pub(super) fn quantity(reader: &mut Reader<'_>, name: &'static str) -> Option<Decimal> {
    let text = reader.string(name).given()?;
    Decimal::parse_value(&text)
        .map_err(|error| reader.refuse(name, "bad_value", format!("{name} is {error}; write it as a text")))
        .ok()
}

/// The answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Why.
    pub reason: Reason,
    /// Whom it is about; `None` for a client that acts for no customer, and for a token that is not good.
    pub customer: Option<Id<id::Customer>>,
    /// The status of the customer.
    pub status: Option<Status>,
    /// The version of its standing.
    pub version: Option<u64>,
    /// What it may of the feature.
    pub feature: Option<Value>,
    /// What was held.
    pub reservation: Option<(Id<id::Reservation>, kernel::clock::BusinessTime)>,
    /// When this was decided, by the clock of the tenant.
    pub at: kernel::clock::BusinessTime,
}

impl Checked {
    /// A refusal that names no customer.
    pub const fn refused(reason: Reason, at: kernel::clock::BusinessTime) -> Self {
        Self { reason, customer: None, status: None, version: None, feature: None, reservation: None, at }
    }

    /// As it is answered.
    pub fn view(&self) -> Value {
        let mut view = json!({
            "allowed": self.reason.is_allowed(), "reason": self.reason.name(), "customer_id": self.customer,
            "status": self.status.map(Status::name), "snapshot_version": self.version, "feature": self.feature,
            "checked_at": self.at.to_string(),
        });
        if let (Some((id, at)), Some(members)) = (self.reservation, view.as_object_mut()) {
            members.insert("reservation".to_owned(), json!({"id": id, "expires_at": at.to_string()}));
        }
        view
    }
}

/// A feature with a limit, as answers show it.
pub(super) fn metered_view(key: &str, counted: &Counted) -> Value {
    let quota = counted.quota();
    json!({
        "key": key, "kind": "metered", "limit": quota.limit.map(|limit| limit.to_string()),
        "used": quota.used.to_string(), "reserved": quota.reserved.to_string(),
        "remaining": quota.remaining().map(|left| left.to_string()),
        "resets_at": quota.resets_at.map(|at| at.to_string()), "overage": quota.overage.name(),
        "reset": counted.allowance.reset.name(),
    })
}

fn setting_view(key: &str, entitlement: &Entitlement) -> Value {
    match entitlement {
        Entitlement::Text(text) => json!({"key": key, "kind": "static", "value": text}),
        Entitlement::Number(number) => json!({"key": key, "kind": "static", "value": number.to_string()}),
        Entitlement::Boolean | Entitlement::Metered(_) => json!({"key": key, "kind": "boolean", "value": true}),
    }
}

fn refused(name: &str, detail: impl Into<String>) -> AdminError {
    AdminError::Invalid(vec![FieldProblem::new(name, "bad_value", detail.into())])
}

/// A feature that is counted, with what a customer may of it.
struct Metered<'a> {
    feature: &'a Feature,
    meter: &'a Arc<Meter>,
    allowance: Allowance,
    quantity: Decimal,
}

impl Billing {
    /// Answers a question about a customer; `key` is the idempotency key under which consumption counts once.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] when there is no such customer, [`AdminError::Invalid`] for what cannot be asked of the
    /// feature, [`AdminError::Taken`] when the key came before for another consumption, the store's.
    pub async fn plan_check(
        &self,
        tenant: &Tenant,
        reporter: &Reporter,
        customer: Id<id::Customer>,
        question: &Question,
        key: Option<&str>,
    ) -> Result<Plan<Checked>, AdminError> {
        let now = tenant.business(reporter.at);
        let current = self.current(tenant, customer).await?.ok_or(AdminError::NotFound("customer"))?;
        let standing = current.standing(now)?;
        let answer = |reason: Reason, feature: Option<Value>| Checked {
            reason,
            customer: Some(customer),
            status: standing.status(),
            version: Some(standing.version),
            feature,
            reservation: None,
            at: now,
        };
        let done = |checked: Checked| Ok(Plan { batch: Batch::new(), value: checked });
        let metering = self.metering(tenant).await?;
        let feature = question.feature.as_deref().map(|key| (key, metering.feature(key)));
        // what cannot be asked is refused whatever the customer may
        let quantity = match feature {
            Some((_, Some(feature))) => amount(feature, metering.meter_of(feature), question)?,
            _ => Decimal::ONE,
        };
        if let Some(refusal) = standing.refusal() {
            return done(answer(Reason::of_refusal(refusal), None));
        }
        let Some((key_of, feature)) = feature else { return done(answer(Reason::Allowed, None)) };
        let Some(feature) = feature else { return done(answer(Reason::FeatureUnknown, None)) };
        let Some(entitlement) = standing.entitlements.get(key_of) else {
            return done(answer(Reason::NoEntitlement, None));
        };
        let (Some(allowance), Some(meter)) = (allowance(&standing, key_of).copied(), metering.meter_of(feature)) else {
            return done(answer(Reason::Allowed, Some(setting_view(key_of, entitlement))));
        };
        let metered = Metered { feature, meter, allowance, quantity };
        let plan = self.decide(tenant, reporter, &current, &metered, question.mode, key).await?;
        let (batch, (reason, counted, reservation)) = (plan.batch, plan.value);
        let checked = Checked { reservation, ..answer(reason, Some(metered_view(key_of, &counted))) };
        Ok(Plan { batch, value: checked })
    }

    /// What a customer has used of what its standing limits, by feature, as answers show it.
    ///
    /// # Errors
    /// The store's.
    pub async fn used(&self, tenant: &Tenant, current: &Current) -> Result<BTreeMap<String, Value>, store::Error> {
        let now = tenant.business(self.ground.clock.now());
        let (standing, metering) = (current.standing(now)?, self.metering(tenant).await?);
        let mut used = BTreeMap::new();
        for key in standing.entitlements.keys() {
            let meter = metering.feature(key).and_then(|feature| metering.meter_of(feature));
            let (Some(allowance), Some(meter)) = (allowance(&standing, key).copied(), meter) else { continue };
            let window = window(&allowance, now, &current.payer.zone);
            let which = (&Arc::from(key.as_str()), meter);
            let counter = self.counter(tenant, current.customer.id, which, (allowance, window), now).await?;
            used.insert(key.clone(), metered_view(key, &counter.counted));
        }
        Ok(used)
    }

    /// Whether the quantity is allowed, what is left then, and what was held.
    async fn decide(
        &self,
        tenant: &Tenant,
        reporter: &Reporter,
        current: &Arc<Current>,
        metered: &Metered<'_>,
        mode: Mode,
        key: Option<&str>,
    ) -> Result<Plan<Decided>, AdminError> {
        let Metered { feature, meter, allowance, quantity } = metered;
        let now = tenant.business(reporter.at);
        let customer = current.customer.id;
        let window = window(allowance, now, &current.payer.zone);
        let name: Arc<str> = Arc::from(feature.key.as_str());
        let counter = self.counter(tenant, customer, (&name, meter), (*allowance, window), now).await?;
        let mut counted = counter.counted.clone();
        let asked = counted.used.checked_add(*quantity).unwrap_or(counted.used);
        let reason = match (counted.quota().decide_aggregate(asked), allowance.overage) {
            (Verdict::Within, _) => Reason::Allowed,
            (Verdict::Beyond, Overage::Bill) => Reason::OverageBilled,
            (Verdict::Beyond, _) => Reason::OverageFree,
            (Verdict::Refused(_), _) => Reason::QuotaExceeded,
        };
        let plain = |batch: Batch, counted: Counted| Ok(Plan { batch, value: (reason, counted, None) });
        if !reason.is_allowed() {
            return plain(Batch::new(), counted);
        }
        match mode {
            Mode::Check => plain(Batch::new(), counted),
            Mode::Reserve(seconds) => {
                let id = self.ground.with_entropy(|entropy| Id::<id::Reservation>::generate(reporter.at, entropy));
                let until = now.plus_seconds(seconds);
                let version = current.customer.standing_version;
                let batch = Batch::new().expect(1, &sql::CUSTOMER_AS_READ, params![tenant.id, customer, version]);
                let (start, actor) = (window.start.as_micros(), reporter.actor.as_str());
                let text = quantity.to_string();
                let row = params![tenant.id, id, customer, &*name, start, text, until.as_micros(), reporter.at, actor];
                let batch = counter.hold(batch, tenant, *quantity)?.expect(1, &sql::RESERVATION_INSERT, row);
                counted.reserved = counted.reserved.checked_add(*quantity).unwrap_or(counted.reserved);
                Ok(Plan { batch, value: (reason, counted, Some((id, until))) })
            }
            Mode::Consume => {
                let direct = Direct { meter: meter.key.clone(), quantity: *quantity };
                let id = key.map_or_else(|| self.ground.store.new_commit_id().to_string(), str::to_owned);
                let event = consumption(customer, meter, (format!("bastionary:check/{}", reporter.actor), id), &direct);
                let plan = Box::pin(self.plan_direct(tenant, reporter, event, &direct)).await?;
                match plan.value {
                    Outcome::Accepted => {
                        counted.used = asked;
                        plain(plan.batch, counted)
                    }
                    // the kept answer of the key is gone, the use that it counted is not
                    Outcome::Duplicate => plain(Batch::new(), counted),
                    Outcome::Rejected(rejection) if rejection.code == crate::rejection::Code::EventConflict => {
                        let detail = "this Idempotency-Key consumed something else before; choose a new one";
                        Err(AdminError::Taken("idempotency_key_reused", detail.to_owned()))
                    }
                    // another feature on the same meter has no room
                    Outcome::Rejected(_) => {
                        Ok(Plan { batch: Batch::new(), value: (Reason::QuotaExceeded, counted, None) })
                    }
                }
            }
        }
    }

    /// Plans an event that the product writes itself.
    pub(super) async fn plan_direct(
        &self,
        tenant: &Tenant,
        reporter: &Reporter,
        event: Event<'static>,
        direct: &Direct,
    ) -> Result<Plan<Outcome>, AdminError> {
        let subject = event.subject.clone().unwrap_or_default().into_owned();
        let customer = Id::parse(&subject).map_err(|_| store::Error::RowCorrupt)?;
        let reporter = Reporter { own: None, ..reporter.clone() };
        let mut report = Report::new(reporter, vec![Ok(event)], std::iter::once((subject, customer)).collect(), false);
        self.recognize(tenant, &mut report).await?;
        let plan = self.plan_events(tenant, &report, Some(direct)).await?;
        let outcome = plan.value.outcomes.into_iter().next().ok_or(store::Error::RowCorrupt)?;
        Ok(Plan { batch: plan.batch, value: outcome })
    }
}

/// Why, what is left, and what was held until when.
type Decided = (Reason, Counted, Option<(Id<id::Reservation>, kernel::clock::BusinessTime)>);

/// An event of a use that no event reported.
pub(super) fn consumption(
    customer: Id<id::Customer>,
    meter: &Meter,
    (source, id): (String, String),
    direct: &Direct,
) -> Event<'static> {
    let canonical = format!("{source}\n{id}\n{customer}\n{}\n{}", direct.meter, direct.quantity);
    Event {
        id: Cow::Owned(id),
        source: Cow::Owned(source),
        event_type: Cow::Owned(meter.event_type.clone()),
        subject: Some(Cow::Owned(customer.to_string())),
        time: None,
        data: None,
        attributes: Vec::new(),
        canonical,
    }
}

/// The quantity that is asked of a feature, where one can be.
fn amount(feature: &Feature, meter: Option<&Arc<Meter>>, question: &Question) -> Result<Decimal, AdminError> {
    let quantity = question.quantity.unwrap_or(Decimal::ONE);
    let Some(meter) = meter else {
        if question.quantity.is_some() {
            let detail = format!("{} is not counted, so it has no quantity", feature.key);
            return Err(refused("quantity", detail));
        }
        if question.mode != Mode::Check {
            let detail = format!("{} is not counted, so it cannot be consumed or reserved", feature.key);
            return Err(refused("mode", detail));
        }
        return Ok(quantity);
    };
    if question.mode != Mode::Check && meter.key == super::tokens::METER {
        return Err(refused("mode", "tokens are counted when they are issued"));
    }
    if question.mode != Mode::Check && meter.denial() != Denial::ByValue {
        let detail = format!("the meter {} does not add, so its use is reported and not consumed here", meter.key);
        return Err(refused("mode", detail));
    }
    if meter.aggregation == Aggregation::Count && quantity.to_integer().is_none() {
        return Err(refused("quantity", format!("{} counts whole events", feature.key)));
    }
    Ok(quantity)
}
