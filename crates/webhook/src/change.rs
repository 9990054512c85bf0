//! Creating, changing, stopping and deleting endpoints, and rolling their keys.

use auth::Auth;
use auth::error::{AdminError, FieldProblem};
use jose::seal::SealKey;
use kernel::clock::Timestamp;
use kernel::event::Type;
use kernel::id::{self, Id};
use kernel::patch::Field;
use kernel::principal::Principal;
use kernel::secret::Secret;
use kernel::tenant::TenantId;
use record::action;
use record::plan::{Planned, change_record, difference, event};
use record::tenant::{Tenant, TenantKind};
use serde_json::{Value, json};
use store::{Batch, params};

use crate::endpoint::{Endpoint, MAX_ENDPOINTS, Old, Reason, Signing, State, read};
use crate::filter::Filter;
use crate::signature::NewKeys;
use crate::sql;

/// The kind of object in audit records and events.
const OBJECT: &str = "webhook_endpoint";
/// Seconds that old keys sign beside new ones when the request does not say it.
pub const OVERLAP_SECONDS: i64 = 86_400;
/// Longest overlap, in seconds.
pub const MAX_OVERLAP_SECONDS: i64 = 604_800;
/// Seconds by which a test goes ahead of the deliveries that waited with it.
const AHEAD_SECONDS: i64 = 2;

/// The body of `POST /api/webhooks` or `PATCH /api/webhooks/{id}`, read but not judged.
#[derive(Default)]
pub struct EndpointFields {
    /// Problems that reading has found already.
    pub problems: Vec<FieldProblem>,
    /// Where messages are posted.
    pub url: Field<String>,
    /// Which events it asks for.
    pub types: Field<Vec<String>>,
    /// For people.
    pub description: Field<String>,
    /// Which signatures its messages carry.
    pub signing: Field<String>,
    /// Most messages in a second.
    pub rate_per_second: Field<i64>,
}

/// An endpoint as it is after a change.
pub struct Saved {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The shared secret, where the change made one: shown this once.
    pub secret: Option<Secret<String>>,
}

/// A test on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Test {
    /// The event.
    pub event: Id<id::Event>,
    /// Its delivery.
    pub delivery: Id<id::Delivery>,
}

impl Endpoint {
    fn apply(&mut self, auth: &Auth, tenant: &Tenant, fields: EndpointFields, problems: &mut Vec<FieldProblem>) {
        match fields.url {
            Field::Value(url) => {
                let policy = auth.settings.outbound.clone().with_plain(tenant.kind == TenantKind::Sandbox);
                match kernel::target::check(&url, &policy) {
                    Ok(_) => self.url = url,
                    Err(refusal) => {
                        let detail = format!("messages cannot be posted to this URL: {refusal}");
                        problems.push(FieldProblem::new("url", "url_not_allowed", detail));
                    }
                }
            }
            Field::Null => problems.push(FieldProblem::new("url", "bad_value", "url takes where messages are posted")),
            Field::Absent => {}
        }
        match fields.types {
            Field::Value(names) => match Filter::parse(names) {
                Ok(filter) => self.filter = filter,
                Err(refused) => problems.extend(refused),
            },
            Field::Null => problems.extend(Filter::parse(Vec::new()).err().unwrap_or_default()),
            Field::Absent => {}
        }
        match fields.description {
            Field::Value(text) if text.chars().count() > 200 || text.chars().any(char::is_control) => {
                let detail = "description takes up to 200 characters, none of control";
                problems.push(FieldProblem::new("description", "bad_value", detail));
            }
            Field::Value(text) => self.description = text,
            Field::Null => self.description = String::new(),
            Field::Absent => {}
        }
        match fields.signing {
            Field::Value(text) => match Signing::parse(&text) {
                Some(signing) => self.signing = signing,
                None => problems.push(FieldProblem::new("signing", "bad_value", "signing takes v1, v1a or both")),
            },
            Field::Null => self.signing = Signing::V1,
            Field::Absent => {}
        }
        match fields.rate_per_second {
            Field::Value(rate) if !(1..=1_000).contains(&rate) => {
                let detail = "rate_per_second takes 1 to 1000 messages, or null for no bound";
                problems.push(FieldProblem::new("rate_per_second", "out_of_range", detail));
            }
            Field::Value(rate) => self.rate_per_second = u32::try_from(rate).ok(),
            Field::Null => self.rate_per_second = None,
            Field::Absent => {}
        }
    }

    fn audit_view(&self) -> Value {
        json!({
            "url": self.url, "types": self.filter.names(), "description": self.description,
            "signing": self.signing.name(), "rate_per_second": self.rate_per_second, "state": self.state.name(),
        })
    }
}

async fn seal_key(auth: &Auth, tenant: TenantId) -> Result<SealKey, store::Error> {
    auth.keyring.data_key(&auth.store, tenant, "webhook", auth.clock.now(), &mut auth.fresh_entropy()).await
}

fn place(tenant: TenantId, endpoint: Id<id::Webhook>) -> Vec<u8> {
    [b"webhook\0keys\0".as_slice(), tenant.as_bytes(), endpoint.as_bytes()].concat()
}

/// The stored form of an endpoint's keys.
pub(crate) async fn open_keys(
    auth: &Auth,
    tenant: TenantId,
    endpoint: Id<id::Webhook>,
    sealed: &[u8],
) -> Result<Secret<Vec<u8>>, store::Error> {
    let key = seal_key(auth, tenant).await?;
    key.open(sealed, &place(tenant, endpoint)).map_err(|_| store::Error::RowCorrupt)
}

async fn seal_keys(
    auth: &Auth,
    tenant: TenantId,
    endpoint: Id<id::Webhook>,
    keys: &NewKeys,
) -> Result<Vec<u8>, AdminError> {
    let key = seal_key(auth, tenant).await?;
    Ok(key.seal(keys.bytes.reveal(), &place(tenant, endpoint), &mut auth.fresh_entropy())?)
}

async fn present(
    auth: &Auth,
    tenant: &Tenant,
    id: Id<id::Webhook>,
    if_version: Option<i64>,
) -> Result<Endpoint, AdminError> {
    let endpoint = read(&auth.store, tenant.id, id).await?.ok_or(AdminError::NotFound("webhook endpoint"))?;
    if if_version.is_some_and(|version| version != endpoint.version) {
        return Err(AdminError::Stale);
    }
    Ok(endpoint)
}

fn full() -> AdminError {
    let detail = format!("a tenant has up to {MAX_ENDPOINTS} webhook endpoints; delete one first");
    AdminError::Invalid(vec![FieldProblem { pointer: String::new(), code: "too_many", detail }])
}

/// Creates an endpoint, which hears what happens from here on.
///
/// # Errors
/// [`AdminError::Invalid`], the store's.
pub async fn create(
    auth: &Auth,
    who: &Principal,
    tenant: &Tenant,
    mut fields: EndpointFields,
) -> Result<Planned<Saved>, AdminError> {
    let mut problems = std::mem::take(&mut fields.problems);
    for (name, is_absent) in [("url", fields.url == Field::Absent), ("types", fields.types == Field::Absent)] {
        // a member of the wrong type has its problem already
        if is_absent && problems.iter().all(|problem| !problem.pointer.starts_with(&format!("/{name}"))) {
            problems.push(FieldProblem::new(name, "required", format!("{name} must be there")));
        }
    }
    let now = auth.clock.now();
    let keys = NewKeys::generate(None, &mut auth.fresh_entropy())?;
    let mut endpoint = Endpoint {
        id: auth.with_entropy(|entropy| Id::generate(now, entropy)),
        url: String::new(),
        filter: Filter::from_text(""),
        description: String::new(),
        signing: Signing::V1,
        rate_per_second: None,
        keys: Vec::new(),
        public_key: keys.public_key.clone(),
        old: None,
        state: State::Enabled,
        reason: None,
        state_at: now,
        fanned_to: 0,
        last_success_at: None,
        failing_since: None,
        slowed_at: None,
        created_at: now,
        updated_at: now,
        version: 1,
    };
    endpoint.apply(auth, tenant, fields, &mut problems);
    if !problems.is_empty() {
        return Err(AdminError::Invalid(problems));
    }
    let most = if kernel::mutant::is("W03-endpoints") { i64::MAX } else { MAX_ENDPOINTS };
    let held = crate::endpoint::list(&auth.store, tenant.id, None, MAX_ENDPOINTS).await?;
    if i64::try_from(held.len()).unwrap_or(i64::MAX) >= most {
        return Err(full());
    }
    endpoint.keys = seal_keys(auth, tenant.id, endpoint.id, &keys).await?;
    let batch = Batch::new().expect(1, &sql::TENANT_HOLD, params![tenant.id]).expect(
        1,
        &sql::ENDPOINT_INSERT,
        params![
            tenant.id,
            endpoint.id,
            endpoint.url.as_str(),
            endpoint.filter.to_text(),
            endpoint.description.as_str(),
            endpoint.signing.name(),
            endpoint.rate_per_second,
            endpoint.keys.as_slice(),
            endpoint.public_key.as_str(),
            now,
            most,
        ],
    );
    let object = endpoint.id.to_string();
    let after = Some(endpoint.audit_view());
    let record = change_record(auth, who, tenant, action::WEBHOOK_CREATED, (OBJECT, &object), (None, after));
    let secret = endpoint.signing.has_secret().then_some(keys.secret);
    Ok(Planned { batch, record, value: Saved { endpoint, secret } })
}

/// Changes an endpoint. One that did not sign with a shared secret before and does now gets a new one.
///
/// # Errors
/// [`AdminError::NotFound`], [`AdminError::Stale`], [`AdminError::Invalid`], the store's.
pub async fn patch(
    auth: &Auth,
    who: &Principal,
    tenant: &Tenant,
    (id, if_version): (Id<id::Webhook>, Option<i64>),
    mut fields: EndpointFields,
) -> Result<Planned<Saved>, AdminError> {
    let current = present(auth, tenant, id, if_version).await?;
    let mut problems = std::mem::take(&mut fields.problems);
    let mut endpoint = current.clone();
    endpoint.apply(auth, tenant, fields, &mut problems);
    if !problems.is_empty() {
        return Err(AdminError::Invalid(problems));
    }
    let now = auth.clock.now();
    let mut secret = None;
    if endpoint.signing.has_secret() && !current.signing.has_secret() {
        let held = open_keys(auth, tenant.id, id, &current.keys).await?;
        let keys = NewKeys::generate(Some(held.reveal()), &mut auth.fresh_entropy())?;
        endpoint.keys = seal_keys(auth, tenant.id, id, &keys).await?;
        secret = Some(keys.secret);
    }
    let batch = Batch::new().expect(
        1,
        &sql::ENDPOINT_UPDATE,
        params![
            tenant.id,
            id,
            endpoint.url.as_str(),
            endpoint.filter.to_text(),
            endpoint.description.as_str(),
            endpoint.signing.name(),
            endpoint.rate_per_second,
            endpoint.keys.as_slice(),
            now,
            current.version,
        ],
    );
    let changed = difference(&current.audit_view(), &endpoint.audit_view());
    let changed = (Some(changed.0), Some(changed.1));
    let record = change_record(auth, who, tenant, action::WEBHOOK_UPDATED, (OBJECT, &id.to_string()), changed);
    touch(&mut endpoint, now);
    Ok(Planned { batch, record, value: Saved { endpoint, secret } })
}

fn touch(endpoint: &mut Endpoint, now: Timestamp) {
    endpoint.version = endpoint.version.saturating_add(1);
    endpoint.updated_at = now;
}

/// Deletes an endpoint and gives its open deliveries up.
///
/// # Errors
/// [`AdminError::NotFound`], [`AdminError::Stale`], the store's.
pub async fn delete(
    auth: &Auth,
    who: &Principal,
    tenant: &Tenant,
    (id, if_version): (Id<id::Webhook>, Option<i64>),
) -> Result<Planned<()>, AdminError> {
    let endpoint = present(auth, tenant, id, if_version).await?;
    let batch = Batch::new()
        .expect(1, &sql::ENDPOINT_DELETE, params![tenant.id, id, endpoint.version])
        .run(&sql::DELIVERIES_CANCEL, params![tenant.id, id, auth.clock.now()]);
    let before = (Some(endpoint.audit_view()), None);
    let record = change_record(auth, who, tenant, action::WEBHOOK_DELETED, (OBJECT, &id.to_string()), before);
    Ok(Planned { batch, record, value: () })
}

/// Lets the messages of an endpoint wait until somebody resumes it.
///
/// # Errors
/// [`AdminError::NotFound`], [`AdminError::Stale`], [`AdminError::State`] when they do not go out as it is, the store's.
pub async fn pause(
    auth: &Auth,
    who: &Principal,
    tenant: &Tenant,
    (id, if_version): (Id<id::Webhook>, Option<i64>),
) -> Result<Planned<Endpoint>, AdminError> {
    let endpoint = present(auth, tenant, id, if_version).await?;
    if endpoint.state != State::Enabled {
        return Err(AdminError::State(format!("this endpoint is {} already", endpoint.state.name())));
    }
    Ok(stop(auth, who, tenant, &endpoint, Reason::Requested))
}

/// Decides that the messages of an endpoint wait, or that it is gone and its open deliveries are given up.
pub fn stop(auth: &Auth, who: &Principal, tenant: &Tenant, endpoint: &Endpoint, reason: Reason) -> Planned<Endpoint> {
    let now = auth.clock.now();
    let (state, kind, verb) = match reason {
        Reason::Requested | Reason::Failing => (State::Paused, Type::WebhookPaused, action::WEBHOOK_PAUSED),
        Reason::Gone => (State::Disabled, Type::WebhookDisabled, action::WEBHOOK_DISABLED),
    };
    let id = endpoint.id.to_string();
    let values = params![tenant.id, endpoint.id, state.name(), reason.name(), now, endpoint.version];
    let batch = Batch::new().expect(1, &sql::ENDPOINT_STOP, values);
    let batch = match state {
        State::Disabled => batch.run(&sql::DELIVERIES_CANCEL, params![tenant.id, endpoint.id, now]),
        State::Paused | State::Enabled => batch.run(&sql::DELIVERIES_PARK, params![tenant.id, endpoint.id]),
    };
    let facts = match reason {
        Reason::Gone => json!({"reason": reason.name()}),
        Reason::Requested | Reason::Failing => {
            let since = endpoint.failing_since.filter(|_| reason == Reason::Failing).map(|at| at.to_string());
            json!({"reason": reason.name(), "failing_since": since})
        }
    };
    let batch = batch.event(event(auth, kind, (OBJECT, &id), facts));
    let change =
        (Some(json!({"state": endpoint.state.name()})), Some(json!({"state": state.name(), "reason": reason.name()})));
    let record = change_record(auth, who, tenant, verb, (OBJECT, &id), change);
    let mut stopped = Endpoint { state, reason: Some(reason), state_at: now, ..endpoint.clone() };
    touch(&mut stopped, now);
    Planned { batch, record, value: stopped }
}

/// Adds a test, due at once, to a batch.
fn with_test(auth: &Auth, batch: Batch, tenant: &Tenant, endpoint: Id<id::Webhook>) -> (Batch, Test) {
    let now = auth.clock.now();
    let event = event(auth, Type::WebhookTest, (OBJECT, &endpoint.to_string()), json!({}));
    let delivery = auth.with_entropy(|entropy| Id::generate(now, entropy));
    let test = Test { event: event.id, delivery };
    let values = params![tenant.id, endpoint, delivery, event.id, now];
    // the event stands before the row that reads its position
    (batch.announce(tenant.id, event).expect(1, &sql::DELIVERY_OF_EVENT, values), test)
}

/// Lets the messages of an endpoint go out again, a test ahead of them and one at a time until one arrives.
///
/// # Errors
/// [`AdminError::NotFound`], [`AdminError::Stale`], [`AdminError::State`] when they go out as it is, the store's.
pub async fn resume(
    auth: &Auth,
    who: &Principal,
    tenant: &Tenant,
    (id, if_version): (Id<id::Webhook>, Option<i64>),
) -> Result<Planned<(Endpoint, Test)>, AdminError> {
    let endpoint = present(auth, tenant, id, if_version).await?;
    if endpoint.state == State::Enabled {
        return Err(AdminError::State("this endpoint is enabled; send a test instead".to_owned()));
    }
    let now = auth.clock.now();
    let batch = Batch::new()
        .expect(1, &sql::ENDPOINT_RESUME, params![tenant.id, id, now, endpoint.version])
        .run(&sql::DELIVERIES_WAKE, params![tenant.id, id, now.plus_seconds(AHEAD_SECONDS)]);
    let (batch, test) = with_test(auth, batch, tenant, id);
    let change = (Some(json!({"state": endpoint.state.name()})), Some(json!({"state": State::Enabled.name()})));
    let record = change_record(auth, who, tenant, action::WEBHOOK_RESUMED, (OBJECT, &id.to_string()), change);
    let mut resumed = Endpoint {
        state: State::Enabled,
        reason: None,
        state_at: now,
        failing_since: None,
        slowed_at: Some(now),
        ..endpoint
    };
    touch(&mut resumed, now);
    Ok(Planned { batch, record, value: (resumed, test) })
}

/// Sends a test to an endpoint.
///
/// # Errors
/// [`AdminError::NotFound`], [`AdminError::State`] when its messages do not go out, the store's.
pub async fn test(
    auth: &Auth,
    who: &Principal,
    tenant: &Tenant,
    id: Id<id::Webhook>,
) -> Result<Planned<Test>, AdminError> {
    let endpoint = present(auth, tenant, id, None).await?;
    require_enabled(&endpoint)?;
    let (batch, test) = with_test(auth, Batch::new(), tenant, id);
    let after = Some(json!({"event": test.event.to_string(), "delivery": test.delivery.to_string()}));
    let record = change_record(auth, who, tenant, action::WEBHOOK_TESTED, (OBJECT, &id.to_string()), (None, after));
    Ok(Planned { batch, record, value: test })
}

/// Refuses what would wait or be given up.
pub(crate) fn require_enabled(endpoint: &Endpoint) -> Result<(), AdminError> {
    match endpoint.state {
        State::Enabled => Ok(()),
        State::Paused | State::Disabled => Err(AdminError::State(format!(
            "this endpoint is {}; resume it, which sends a test first",
            endpoint.state.name()
        ))),
    }
}

/// Gives an endpoint new keys; the old ones sign as well for `overlap_seconds`, [`OVERLAP_SECONDS`] when it is absent.
///
/// # Errors
/// [`AdminError::NotFound`], [`AdminError::Invalid`], [`AdminError::State`] while the overlap of the last roll goes on,
/// the store's.
pub async fn roll(
    auth: &Auth,
    who: &Principal,
    tenant: &Tenant,
    (id, if_version): (Id<id::Webhook>, Option<i64>),
    (overlap_seconds, problems): (Option<i64>, Vec<FieldProblem>),
) -> Result<Planned<Saved>, AdminError> {
    let current = present(auth, tenant, id, if_version).await?;
    let overlap = overlap_seconds.unwrap_or(OVERLAP_SECONDS);
    let mut problems = problems;
    if !(0..=MAX_OVERLAP_SECONDS).contains(&overlap) {
        let detail = format!("overlap_seconds takes 0 to {MAX_OVERLAP_SECONDS}");
        problems.push(FieldProblem::new("overlap_seconds", "out_of_range", detail));
    }
    if !problems.is_empty() {
        return Err(AdminError::Invalid(problems));
    }
    let now = auth.clock.now();
    if let Some(old) = current.overlap(now)
        && !kernel::mutant::is("W03-overlap")
    {
        let until = old.until;
        return Err(AdminError::State(format!(
            "the keys were rolled before, and the older ones sign until {until}; roll them again after that"
        )));
    }
    let keys = NewKeys::generate(None, &mut auth.fresh_entropy())?;
    let until = now.plus_seconds(overlap);
    let old = Old { keys: current.keys.clone(), public_key: current.public_key.clone(), until };
    let mut endpoint = Endpoint {
        keys: seal_keys(auth, tenant.id, id, &keys).await?,
        public_key: keys.public_key.clone(),
        old: (overlap > 0).then_some(old),
        ..current.clone()
    };
    let old = endpoint.old.as_ref();
    let batch = Batch::new().expect(
        1,
        &sql::ENDPOINT_ROLL,
        params![
            tenant.id,
            id,
            endpoint.keys.as_slice(),
            endpoint.public_key.as_str(),
            old.map(|old| old.keys.as_slice()),
            old.map(|old| old.public_key.as_str()),
            old.map(|old| old.until),
            now,
            current.version,
        ],
    );
    let facts = json!({"overlap_ends_at": old.map(|old| old.until.to_string())});
    let object = id.to_string();
    let batch = batch.event(event(auth, Type::WebhookSecretRolled, (OBJECT, &object), facts.clone()));
    let mut after = json!({"keys": "changed"});
    if let (Value::Object(after), Value::Object(facts)) = (&mut after, facts) {
        after.extend(facts);
    }
    let record =
        change_record(auth, who, tenant, action::WEBHOOK_SECRET_ROLLED, (OBJECT, &object), (None, Some(after)));
    touch(&mut endpoint, now);
    let secret = endpoint.signing.has_secret().then_some(keys.secret);
    Ok(Planned { batch, record, value: Saved { endpoint, secret } })
}

/// What a restored store needs before messages go out from it: nothing older than the copy is sent again by itself.
pub fn after_restore(batch: Batch, now: Timestamp) -> Batch {
    batch.run(&sql::RESTORED_DELIVERIES, params![now]).run(&sql::RESTORED_ENDPOINTS, params![])
}
