//! What is done to subscriptions, and what time has done to them.

use kernel::clock::{BusinessTime, Timestamp};
use kernel::error::FieldProblem;
use kernel::event::Type;
use kernel::id::{self, Id};
use kernel::patch::Field;
use kernel::principal::Principal;
use record::action;
use record::fields::Reader;
use record::plan::{AdminError, Planned, change_record, difference, event};
use record::tenant::Tenant;
use serde_json::{Value, json};
use store::{Batch, ChangeKind, params};

use crate::current::{Current, Kept, MAX_SUBSCRIPTIONS, features, read};
use crate::customer_change::about;
use crate::directory::Billing;
use crate::plan::{Plan, PlanState};
use crate::sql;
use crate::subscription::{
    Activation, Anchor, Change, Computed, Effect, Event, Item, New, Refused, Status, Step, Subscription,
};

/// The kind of object in audit records and events.
const OBJECT: &str = "subscription";
/// What a missing one is called.
const MISSING: AdminError = AdminError::NotFound("subscription");
/// Most of what is subscribed to.
const MAX_QUANTITY: i64 = 1_000_000_000;
/// Longest reference of a payment, in characters.
const MAX_REFERENCE: usize = 200;

/// A subscription as it is after a change.
pub struct Subscribed {
    /// Whose it is.
    pub customer: Id<id::Customer>,
    /// What holds for it.
    pub computed: Computed,
    /// The plan that it is subscribed to.
    pub plan: Plan,
    /// Last change.
    pub updated_at: Timestamp,
    /// Guard for concurrent changes.
    pub version: i64,
}

/// What is asked of a subscription.
#[derive(Debug, Clone)]
pub enum Wish {
    /// Stop until resumed.
    Pause,
    /// Go on; from a new anchor, or from the old one.
    Resume(Anchor),
    /// End, at once or with the period.
    Cancel {
        /// With the period.
        at_period_end: bool,
    },
    /// Do not end.
    Uncancel,
    /// Another plan or quantity, at once or from the next period on.
    Change {
        /// The key or id of the plan.
        plan: Option<String>,
        /// How many.
        quantity: Option<u64>,
        /// From the next period on.
        at_period_end: bool,
    },
    /// The first use of a trial that waits for it.
    FirstUse,
    /// What was heard of its payment.
    Payment {
        /// The due date of what is overdue; `None` when nothing is.
        overdue_since: Option<BusinessTime>,
        /// What the other system calls it.
        reference: Option<String>,
    },
}

impl Wish {
    const fn action(&self) -> &'static str {
        match self {
            Self::Pause => action::SUBSCRIPTION_PAUSED,
            Self::Resume(_) => action::SUBSCRIPTION_RESUMED,
            Self::Cancel { .. } => action::SUBSCRIPTION_CANCELED,
            Self::Uncancel => action::SUBSCRIPTION_UNCANCELED,
            Self::Change { .. } => action::SUBSCRIPTION_CHANGED,
            Self::FirstUse => action::SUBSCRIPTION_TRIAL_STARTED,
            Self::Payment { .. } => action::SUBSCRIPTION_PAYMENT_TOLD,
        }
    }
}

/// The body of `POST /api/subscriptions`, read but not judged.
pub struct NewFields {
    problems: Vec<FieldProblem>,
    customer: Option<String>,
    plan: Option<String>,
    quantity: Field<i64>,
    activation: Field<String>,
    term_end: Field<Timestamp>,
}

impl NewFields {
    /// Reads a body.
    ///
    /// # Errors
    /// One problem when it is no object.
    pub fn read(body: &Value) -> Result<Self, Vec<FieldProblem>> {
        let mut reader = Reader::new(body)?;
        let (customer, plan) = (reader.string("customer_id").given(), reader.string("plan").given());
        for (name, is_missing) in [("customer_id", customer.is_none()), ("plan", plan.is_none())] {
            if is_missing && !reader.is_given(name) {
                reader.refuse(name, "required", format!("{name} must be there"));
            }
        }
        Ok(Self {
            customer,
            plan,
            quantity: reader.integer("quantity"),
            activation: reader.string("activation"),
            term_end: reader.time("term_end"),
            problems: reader.finish(),
        })
    }
}

impl Wish {
    /// Reads the body of `POST /api/subscriptions/{id}/{verb}`.
    ///
    /// # Errors
    /// Every problem of its fields. `None` for a verb that there is not.
    pub fn read(verb: &str, body: &Value, now: BusinessTime) -> Option<Result<Self, Vec<FieldProblem>>> {
        let mut reader = match Reader::new(body) {
            Ok(reader) => reader,
            Err(problems) => return Some(Err(problems)),
        };
        let wish = match verb {
            "pause" => Self::Pause,
            "uncancel" => Self::Uncancel,
            "resume" => match reader.string("anchor").given().as_deref() {
                None | Some("new") => Self::Resume(Anchor::New),
                Some("kept") => Self::Resume(Anchor::Kept),
                Some(_) => {
                    reader.refuse("anchor", "bad_value", "anchor takes new or kept");
                    Self::Resume(Anchor::New)
                }
            },
            "cancel" => Self::Cancel { at_period_end: at_period_end(&mut reader) },
            "change" => {
                let plan = reader.string("plan").given();
                let quantity = quantity(&mut reader);
                if plan.is_none() && quantity.is_none() {
                    reader.refuse("plan", "required", "plan, quantity or both say what changes");
                }
                Self::Change { plan, quantity, at_period_end: at_period_end(&mut reader) }
            }
            "payment-status" => {
                let instant = |time: Timestamp| BusinessTime::from_micros(time.as_micros());
                let overdue = reader.time("overdue_since").given().map(instant);
                let settled = reader.time("settled_at").given().map(instant);
                let reference = reader.string("reference").given();
                if overdue.is_some() == settled.is_some() {
                    let detail = "either overdue_since or settled_at says what was heard, as a time";
                    reader.refuse("overdue_since", "required", detail);
                }
                for (name, at) in [("overdue_since", overdue), ("settled_at", settled)] {
                    if at.is_some_and(|at| at > now) {
                        reader.refuse(name, "out_of_range", "this time is in the future");
                    }
                }
                if reference.as_ref().is_some_and(|text| text.chars().count() > MAX_REFERENCE) {
                    reader.refuse("reference", "too_long", "reference takes up to 200 characters");
                }
                Self::Payment { overdue_since: overdue, reference }
            }
            _ => return None,
        };
        let problems = reader.finish();
        Some(if problems.is_empty() { Ok(wish) } else { Err(problems) })
    }
}

fn at_period_end(reader: &mut Reader<'_>) -> bool {
    match reader.string("at").given().as_deref() {
        None | Some("now") => false,
        Some("period_end") => true,
        Some(_) => {
            reader.refuse("at", "bad_value", "at takes now or period_end");
            false
        }
    }
}

fn quantity(reader: &mut Reader<'_>) -> Option<u64> {
    let quantity = reader.integer("quantity").given()?;
    if !(0..=MAX_QUANTITY).contains(&quantity) {
        reader.refuse("quantity", "out_of_range", "quantity takes 0 to 1000000000");
    }
    u64::try_from(quantity).ok()
}

impl Billing {
    /// The version of a plan that a key (the newest that can be subscribed to) or an id names.
    async fn subscribable(&self, tenant: &Tenant, name: &str) -> Result<Plan, AdminError> {
        let missing = |detail: String| AdminError::Invalid(vec![FieldProblem::new("plan", "bad_value", detail)]);
        let store = &self.ground.store;
        if let Ok(id) = Id::<id::Plan>::parse(name) {
            let row = store.read(&sql::PLAN_READ, params![tenant.id, id]).await?;
            let plan = row.as_ref().map(Plan::from_row).transpose()?;
            let plan = plan.ok_or_else(|| missing(format!("there is no plan {id}")))?;
            return match plan.state {
                PlanState::Active => Ok(plan),
                state => {
                    Err(missing(format!("the plan {id} is {}; only an active one can be subscribed to", state.name())))
                }
            };
        }
        let active = self.plan_versions(tenant, name).await?.into_iter().find(|plan| plan.state == PlanState::Active);
        active.ok_or_else(|| missing("there is no active plan of this key".to_owned()))
    }

    /// What a priced plan needs of who pays.
    fn fits(current: &Current, plan: &Plan, is_charged_now: bool) -> Result<(), AdminError> {
        if plan.definition.prices.is_empty() {
            return Ok(());
        }
        let details = &current.customer.details;
        let refuse = |code, detail: String| {
            Err(AdminError::Invalid(vec![FieldProblem { pointer: "/plan".to_owned(), code, detail }]))
        };
        let currency = details.currency.as_deref();
        let has_price = |code: &str| plan.definition.prices.iter().any(|price| price.price.currency.code() == code);
        if !currency.is_some_and(has_price) {
            let of = currency.map_or("the customer has no currency".to_owned(), |code| {
                format!("the plan has no price in the customer's currency {code}")
            });
            return refuse("price_currency_missing", of);
        }
        if is_charged_now && details.address.is_none() {
            let detail = "the customer has no address, and what is charged cannot be taxed without one";
            return refuse("tax_undetermined", detail.to_owned());
        }
        Ok(())
    }

    /// One subscription, with what holds for it now.
    ///
    /// # Errors
    /// The store's.
    pub async fn subscription(
        &self,
        tenant: &Tenant,
        id: Id<id::Subscription>,
    ) -> Result<Option<Subscribed>, store::Error> {
        let row = self.ground.store.read(&sql::SUBSCRIPTION_READ, params![tenant.id, id]).await?;
        let Some(kept) = row.as_ref().map(Kept::from_row).transpose()? else { return Ok(None) };
        let current = self.current(tenant, kept.customer).await?.ok_or(store::Error::RowCorrupt)?;
        self.subscribed(tenant, &current, &kept).await.map(Some)
    }

    /// Subscriptions before an id, the newest first; of one customer, when it is given.
    ///
    /// # Errors
    /// The store's.
    pub async fn subscriptions(
        &self,
        tenant: &Tenant,
        customer: Option<Id<id::Customer>>,
        before: Option<Id<id::Subscription>>,
        limit: i64,
    ) -> Result<Vec<Subscribed>, store::Error> {
        let before = before.unwrap_or(Id::from_bytes([0xff; 16]));
        let store = &self.ground.store;
        let rows = match customer {
            Some(customer) => {
                store.read_all(&sql::SUBSCRIPTIONS_OF, params![tenant.id, customer, before, limit]).await?
            }
            None => store.read_all(&sql::SUBSCRIPTIONS_BEFORE, params![tenant.id, before, limit]).await?,
        };
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let kept = Kept::from_row(row)?;
            let current = self.current(tenant, kept.customer).await?.ok_or(store::Error::RowCorrupt)?;
            found.push(self.subscribed(tenant, &current, &kept).await?);
        }
        Ok(found)
    }

    async fn subscribed(&self, tenant: &Tenant, current: &Current, kept: &Kept) -> Result<Subscribed, store::Error> {
        let now = tenant.business(self.ground.clock.now());
        let known = current.plans.contains_key(kept.subscription.item.plan.as_bytes());
        let terms = match current.plans.get(kept.subscription.item.plan.as_bytes()) {
            Some(plan) => plan.definition.terms,
            // older than what the standing counts
            None => self.plan_of(tenant, kept.subscription.item.plan).await?.definition.terms,
        };
        let computed = if known {
            current.computed(&kept.subscription, now)?
        } else {
            kept.subscription.at(&terms, &current.payer, now)
        };
        let plan = self.plan_of(tenant, computed.current.item.plan).await?;
        Ok(Subscribed { customer: kept.customer, computed, plan, updated_at: kept.updated_at, version: kept.version })
    }

    async fn plan_of(&self, tenant: &Tenant, id: Id<id::Plan>) -> Result<Plan, store::Error> {
        let row = self.ground.store.read(&sql::PLAN_READ, params![tenant.id, id]).await?;
        Plan::from_row(&row.ok_or(store::Error::RowCorrupt)?)
    }

    /// Subscribes a customer to a plan.
    ///
    /// # Errors
    /// [`AdminError::Invalid`], [`AdminError::TooMany`], the store's.
    pub async fn subscribe(
        &self,
        who: &Principal,
        tenant: &Tenant,
        fields: NewFields,
    ) -> Result<Planned<Subscribed>, AdminError> {
        let ground = &self.ground;
        let machine_now = ground.clock.now();
        let now = tenant.business(machine_now);
        let mut problems = fields.problems;
        let mut refuse = |name: &str, code, detail: &str| problems.push(FieldProblem::new(name, code, detail));
        let quantity = fields.quantity.given().unwrap_or(1);
        if !(0..=MAX_QUANTITY).contains(&quantity) {
            refuse("quantity", "out_of_range", "quantity takes 0 to 1000000000");
        }
        let activation = match fields.activation.given().as_deref() {
            None | Some("immediate") => Activation::Immediate,
            Some("on_payment") => Activation::OnPayment,
            Some(_) => {
                refuse("activation", "bad_value", "activation takes immediate or on_payment");
                Activation::Immediate
            }
        };
        let term_end = fields.term_end.given().map(|at| BusinessTime::from_micros(at.as_micros()));
        if term_end.is_some_and(|end| end <= now) {
            refuse("term_end", "out_of_range", "the term must end in the future");
        }
        let customer = match &fields.customer {
            Some(name) => self.find_customer(tenant, name).await?,
            None => None,
        };
        if customer.is_none() && fields.customer.is_some() {
            refuse("customer_id", "bad_value", "there is no customer of this id");
        }
        let plan = match &fields.plan {
            Some(name) => match self.subscribable(tenant, name).await {
                Ok(plan) => Some(plan),
                Err(AdminError::Invalid(more)) => {
                    problems.extend(more);
                    None
                }
                Err(other) => return Err(other),
            },
            None => None,
        };
        let (Some(customer), Some(plan), true) = (customer, plan, problems.is_empty()) else {
            return Err(AdminError::Invalid(problems));
        };
        let mut current = self.present(tenant, customer.id, None).await?;
        let lasting = current.kept.iter().filter(|kept| !kept.subscription.status.is_final()).count();
        if i64::try_from(lasting).unwrap_or(i64::MAX) >= MAX_SUBSCRIPTIONS / 2 {
            let detail = "a customer has up to 100 subscriptions that last; change one, or cancel one first";
            return Err(AdminError::TooMany("too_many_subscriptions", detail.to_owned()));
        }
        let terms = plan.definition.terms;
        Self::fits(&current, &plan, terms.trial.is_none())?;
        let id = ground.with_entropy(|entropy| Id::generate(machine_now, entropy));
        let item = Item { plan: plan.id, quantity: u64::try_from(quantity).unwrap_or(0) };
        let transition = Subscription::create(New { id, item, activation, term_end }, &terms, &current.payer, now);
        let subscription = transition.subscription;
        let next_at = subscription.at(&terms, &current.payer, now).next_boundary.map(BusinessTime::as_micros);
        let mut batch = Batch::new()
            .expect(1, &sql::PLAN_HOLD, params![tenant.id, plan.id])
            .expect(1, &sql::CUSTOMER_HOLD, params![tenant.id, customer.id])
            .expect(
                1,
                &sql::SUBSCRIPTION_INSERT,
                params![
                    tenant.id,
                    id,
                    customer.id,
                    plan.id,
                    subscription.status.name(),
                    document(&subscription)?,
                    next_at,
                    machine_now,
                ],
            );
        batch = self.tell(batch, customer.id, &subscription, &transition.steps);
        current.know(&plan, &features(&ground.store, tenant.id).await?);
        let kept = Kept { customer: customer.id, subscription, updated_at: machine_now, version: 1 };
        let mut all = current.kept.clone();
        all.insert(0, kept.clone());
        let mut after = current.customer.clone();
        batch = self.restate(batch, tenant, &current, (&mut after, &all), false)?;
        let text = id.to_string();
        let view = Some(audit_view(&kept.subscription));
        let record = change_record(ground, who, tenant, action::SUBSCRIPTION_CREATED, (OBJECT, &text), (None, view));
        let computed = current.computed(&kept.subscription, now)?;
        let value = Subscribed { customer: customer.id, computed, plan, updated_at: machine_now, version: 1 };
        Ok(Planned { batch, record, value })
    }

    /// Does what is asked of a subscription, after what time has done to it.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Stale`], [`AdminError::Illegal`], [`AdminError::Invalid`], the store's.
    pub async fn change_subscription(
        &self,
        who: &Principal,
        tenant: &Tenant,
        (id, if_version): (Id<id::Subscription>, Option<i64>),
        wish: &Wish,
    ) -> Result<Planned<Subscribed>, AdminError> {
        let ground = &self.ground;
        let row = ground.store.read(&sql::SUBSCRIPTION_READ, params![tenant.id, id]).await?.ok_or(MISSING)?;
        let customer = Kept::from_row(&row)?.customer;
        let mut current = self.present(tenant, customer, None).await?;
        let place = current.kept.iter().position(|kept| kept.subscription.id == id);
        let place = place.ok_or_else(|| AdminError::State("the subscription ended long ago".to_owned()))?;
        let Some(before) = current.kept.get(place).cloned() else { return Err(MISSING) };
        if if_version.is_some_and(|version| version != before.version) {
            return Err(AdminError::Stale);
        }
        let machine_now = ground.clock.now();
        let now = tenant.business(machine_now);
        let event = self.event_of(tenant, &mut current, &before, wish).await?;
        let terms = current.plans.get(before.subscription.item.plan.as_bytes()).ok_or(store::Error::RowCorrupt)?;
        let terms = terms.definition.terms;
        let transition =
            before.subscription.apply(event, &terms, &current.payer, now).map_err(|error| refused(&error))?;
        let after = transition.subscription;
        let next_at = after.at(&transition.terms, &current.payer, now).next_boundary;
        let mut batch = self.save(Batch::new(), tenant, (&after, before.version), next_at)?;
        // another quantity of an archived version is fine, to come to it is not
        if let Event::Change(change) | Event::ChangeAtPeriodEnd(change) = event
            && change.item.plan != before.subscription.item.plan
        {
            batch = batch.expect(1, &sql::PLAN_HOLD, params![tenant.id, change.item.plan]);
        }
        batch = self.tell(batch, customer, &after, &transition.steps);
        let has_lost = loses(&after, &transition.steps);
        let version = before.version.saturating_add(1);
        let kept = Kept { customer, subscription: after, updated_at: machine_now, version };
        let mut all = current.kept.clone();
        if let Some(slot) = all.get_mut(place) {
            *slot = kept.clone();
        }
        let mut payer = current.customer.clone();
        batch = self.restate(batch, tenant, &current, (&mut payer, &all), has_lost)?;
        let (from, mut to) = difference(&audit_view(&before.subscription), &audit_view(&kept.subscription));
        if let (Value::Object(to), Wish::Payment { reference: Some(reference), .. }) = (&mut to, wish) {
            to.insert("reference".to_owned(), Value::from(reference.as_str()));
        }
        let text = id.to_string();
        let record = change_record(ground, who, tenant, wish.action(), (OBJECT, &text), (Some(from), Some(to)));
        let computed = current.computed(&kept.subscription, now)?;
        let plan = current.plans.get(computed.current.item.plan.as_bytes()).ok_or(store::Error::RowCorrupt)?;
        let value = Subscribed { customer, computed, plan: (**plan).clone(), updated_at: machine_now, version };
        Ok(Planned { batch, record, value })
    }

    async fn event_of(
        &self,
        tenant: &Tenant,
        current: &mut Current,
        before: &Kept,
        wish: &Wish,
    ) -> Result<Event, AdminError> {
        Ok(match wish {
            Wish::Pause => Event::Pause,
            Wish::Resume(anchor) => Event::Resume(*anchor),
            Wish::Cancel { at_period_end: false } => Event::Cancel,
            Wish::Cancel { at_period_end: true } => Event::CancelAtPeriodEnd,
            Wish::Uncancel => Event::UndoCancel,
            Wish::FirstUse => Event::FirstUse,
            Wish::Payment { overdue_since: Some(since), .. } => Event::Overdue { since: *since },
            Wish::Payment { overdue_since: None, .. } => Event::Settled,
            Wish::Change { plan, quantity, at_period_end } => {
                let now = tenant.business(self.ground.clock.now());
                let present = current.computed(&before.subscription, now)?.current;
                let plan = match plan {
                    Some(name) => self.subscribable(tenant, name).await?,
                    None => self.plan_of(tenant, present.item.plan).await?,
                };
                Self::fits(current, &plan, present.status != Status::Trialing)?;
                let item = Item { plan: plan.id, quantity: quantity.unwrap_or(present.item.quantity) };
                let change = Change { item, terms: plan.definition.terms };
                current.know(&plan, &features(&self.ground.store, tenant.id).await?);
                if *at_period_end { Event::ChangeAtPeriodEnd(change) } else { Event::Change(change) }
            }
        })
    }

    /// Adds to a batch what time has done to the subscriptions of a customer; `kept` is as they are then. Also says whether
    /// access was lost by it.
    pub(crate) fn record_due(
        &self,
        mut batch: Batch,
        tenant: &Tenant,
        current: &Current,
        kept: &mut [Kept],
    ) -> Result<(Batch, bool), AdminError> {
        let mut has_lost = false;
        let machine_now = self.ground.clock.now();
        let now = tenant.business(machine_now);
        for one in kept {
            let computed = current.computed(&one.subscription, now)?;
            if computed.due.is_empty() {
                continue;
            }
            let next_at = if computed.is_complete() { computed.next_boundary } else { Some(now) };
            let after = computed.recorded;
            batch = self.save(batch, tenant, (&after, one.version), next_at)?;
            batch = self.tell(batch, one.customer, &after, &computed.due);
            has_lost |= loses(&after, &computed.due);
            *one = Kept {
                subscription: after,
                updated_at: machine_now,
                version: one.version.saturating_add(1),
                ..one.clone()
            };
        }
        Ok((batch, has_lost))
    }

    /// Records what time has done to a customer; `None` when that is nothing.
    ///
    /// # Errors
    /// The store's.
    pub async fn plan_recording(
        &self,
        who: &Principal,
        tenant: &Tenant,
        customer: Id<id::Customer>,
    ) -> Result<Option<Planned<()>>, AdminError> {
        let ground = &self.ground;
        let Some(current) = read(&ground.store, tenant.id, customer).await? else { return Ok(None) };
        let mut kept = current.kept.clone();
        let (mut batch, has_lost) = self.record_due(Batch::new(), tenant, &current, &mut kept)?;
        if batch.steps.is_empty() {
            return Ok(None);
        }
        let mut after = current.customer.clone();
        batch = self.restate(batch, tenant, &current, (&mut after, &kept), has_lost)?;
        let changed: Vec<Value> = kept
            .iter()
            .zip(&current.kept)
            .filter(|(after, before)| after != before)
            .map(
                |(after, _)| json!({"subscription": after.subscription.id, "status": after.subscription.status.name()}),
            )
            .collect();
        let text = customer.to_string();
        let facts = (None, Some(json!({"subscriptions": changed})));
        let object = (crate::customer_change::OBJECT, text.as_str());
        let record = change_record(ground, who, tenant, action::SUBSCRIPTION_TIME_RECORDED, object, facts);
        Ok(Some(Planned { batch, record, value: () }))
    }

    /// Starts the trials of a customer that wait for their first use; `None` when there are none.
    ///
    /// # Errors
    /// The store's.
    pub async fn plan_first_use(
        &self,
        who: &Principal,
        tenant: &Tenant,
        customer: Id<id::Customer>,
    ) -> Result<Option<Planned<()>>, AdminError> {
        let Some(current) = self.current(tenant, customer).await? else { return Ok(None) };
        let waiting = current.kept.iter().find(|kept| kept.subscription.awaits_first_use());
        let Some(waiting) = waiting.map(|kept| kept.subscription.id) else { return Ok(None) };
        match self.change_subscription(who, tenant, (waiting, None), &Wish::FirstUse).await {
            Ok(Planned { batch, record, .. }) => Ok(Some(Planned { batch, record, value: () })),
            // what is held in memory was older: it waits no more
            Err(AdminError::Illegal { .. } | AdminError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Customers of all tenants for whom something holds by time that is not recorded: the slug of the tenant, and the id.
    ///
    /// # Errors
    /// The store's.
    pub async fn due(&self, limit: i64) -> Result<Vec<(String, Id<id::Customer>)>, store::Error> {
        let now = self.ground.clock.now();
        let rows = self.ground.store.read_all(&sql::DUE, params![now, limit]).await?;
        rows.iter().map(|row| Ok((row.text(0)?.to_owned(), row.id(1)?))).collect()
    }

    /// Adds what became of a subscription to a batch, if it is still at the version that was read.
    fn save(
        &self,
        batch: Batch,
        tenant: &Tenant,
        (after, version): (&Subscription, i64),
        next_at: Option<BusinessTime>,
    ) -> Result<Batch, store::Error> {
        let values = params![
            tenant.id,
            after.id,
            after.item.plan,
            after.status.name(),
            document(after)?,
            next_at.map(BusinessTime::as_micros),
            self.ground.clock.now(),
            version,
        ];
        Ok(batch.expect(1, &sql::SUBSCRIPTION_UPDATE, values))
    }

    /// Adds the events of the steps of a subscription.
    fn tell(&self, mut batch: Batch, customer: Id<id::Customer>, after: &Subscription, steps: &[Step]) -> Batch {
        let text = after.id.to_string();
        for step in steps {
            for effect in &step.effects {
                let Effect::Event(name) = effect else { continue };
                let Some(kind) = Type::parse(name) else { continue };
                let mut facts = json!({
                    "customer_id": customer, "plan_id": after.item.plan, "status": step.to.name(), "at": step.at.to_string(),
                });
                if let (Value::Object(facts), Some(from)) = (&mut facts, step.from.filter(|from| *from != step.to)) {
                    facts.insert("previous".to_owned(), json!({"status": from.name()}));
                }
                batch = batch.event(about(event(&self.ground, kind, (OBJECT, &text), facts), customer));
            }
        }
        batch.change(ChangeKind::Customer, customer.to_string())
    }
}

/// Whether one of these steps took access away.
fn loses(after: &Subscription, steps: &[Step]) -> bool {
    after.lost_access_at.is_some_and(|lost| steps.iter().any(|step| step.at == lost))
}

fn refused(refused: &Refused) -> AdminError {
    match refused {
        Refused::Illegal { from, event, allowed } => AdminError::Illegal {
            detail: refused.to_string(),
            from: from.name(),
            event: event.name(),
            allowed: allowed.iter().map(|kind| kind.name()).collect(),
        },
        Refused::Behind => AdminError::State(refused.to_string()),
    }
}

fn document(subscription: &Subscription) -> Result<String, store::Error> {
    serde_json::to_string(subscription).map_err(|_| store::Error::RowCorrupt)
}

fn audit_view(subscription: &Subscription) -> Value {
    let at = |at: Option<BusinessTime>| at.map(|at| at.to_string());
    json!({
        "plan_id": subscription.item.plan, "quantity": subscription.item.quantity, "status": subscription.status.name(),
        "period_end": at(subscription.period.map(|period| period.end)), "trial_end": at(subscription.trial_end),
        "cancel_at": at(subscription.cancel_at), "overdue_since": at(subscription.overdue_since),
        "scheduled": subscription.scheduled.map(|change| json!({"plan_id": change.item.plan, "quantity": change.item.quantity})),
    })
}

/// The members of a subscription's answer.
pub fn view(subscribed: &Subscribed) -> Value {
    let Subscribed { customer, computed, plan, updated_at, .. } = subscribed;
    let current = &computed.current;
    let at = |at: Option<BusinessTime>| at.map(|at| at.to_string());
    json!({
        "id": current.id, "customer_id": customer, "plan_id": plan.id, "plan": plan.key, "plan_version": plan.number,
        "quantity": current.item.quantity, "status": current.status.name(), "status_since": current.status_since.to_string(),
        "access": computed.access.name(), "access_until": at(computed.access_until),
        "anchor": current.anchor.to_string(), "period_start": at(current.period.map(|period| period.start)),
        "period_end": at(current.period.map(|period| period.end)), "trial_end": at(current.trial_end),
        "cancel_at": at(current.cancel_at), "term_end": at(current.term_end), "overdue_since": at(current.overdue_since),
        "scheduled_change": current.scheduled.map(|change| json!({
            "plan_id": change.item.plan, "quantity": change.item.quantity, "at": at(current.scheduled_at()),
        })),
        "allowed": current.allowed().into_iter().map(crate::subscription::EventKind::name).collect::<Vec<_>>(),
        "created_at": current.created_at.to_string(), "updated_at": updated_at.to_string(),
    })
}
