//! What a use-case decided and has not committed yet: the caller may add an idempotency record to the batch.

use kernel::audit::{Change, Record};
use kernel::error::FieldProblem;
use kernel::event::{Event, MAX_DATA, Type};
use kernel::id::Id;
use kernel::principal::Principal;
use serde_json::{Value, json};
use store::Batch;

use crate::ground::Ground;
use crate::tenant::Tenant;

/// A decision: what to write, what to record, what to answer.
pub struct Planned<T> {
    /// Guarded statements, changes and events.
    pub batch: Batch,
    /// The record of the commit.
    pub record: Record,
    /// The answer once it is committed.
    pub value: T,
}

/// A refusal of an administrative use-case.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// There is no such object in this tenant.
    #[error("there is no {0} with this id in this tenant")]
    NotFound(&'static str),
    /// The caller lacks a scope.
    #[error("this needs the scope {0}")]
    Forbidden(&'static str),
    /// Fields are refused.
    #[error("{} field(s) are refused", .0.len())]
    Invalid(Vec<FieldProblem>),
    /// The name or id is taken. Carries the code and a sentence.
    #[error("{1}")]
    Taken(&'static str, String),
    /// A limit on the number of objects is reached. Carries the code and a sentence.
    #[error("{1}")]
    TooMany(&'static str, String),
    /// The object stands where this must not follow.
    #[error("{detail}")]
    Illegal {
        /// What was asked, where it stands, and what may follow.
        detail: String,
        /// Where it stands.
        from: &'static str,
        /// What was asked.
        event: &'static str,
        /// What may follow.
        allowed: Vec<&'static str>,
    },
    /// The object is in a state that does not allow this. Carries a sentence.
    #[error("{0}")]
    State(String),
    /// The `If-Match` version is not the present one.
    #[error("the object has changed since it was read")]
    Stale,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Cryptography failed.
    #[error(transparent)]
    Jose(#[from] jose::Error),
}

impl Ground {
    /// Commits a decision.
    ///
    /// # Errors
    /// The store's; [`store::Error::Conflict`] when another change came first.
    pub async fn run<T>(&self, planned: Planned<T>) -> Result<T, AdminError> {
        self.store.commit(planned.batch, planned.record).await?;
        Ok(planned.value)
    }

    /// Commits what narrows access, on the lane kept for it.
    ///
    /// # Errors
    /// As [`Ground::run`].
    pub async fn run_reserved<T>(&self, planned: Planned<T>) -> Result<T, AdminError> {
        self.store.commit_reserved(planned.batch, planned.record).await?;
        Ok(planned.value)
    }
}

/// The audit record of a change by a principal.
pub fn change_record(
    ground: &Ground,
    who: &Principal,
    tenant: &Tenant,
    action: &'static str,
    (object_kind, object_id): (&'static str, &str),
    (before, after): (Option<Value>, Option<Value>),
) -> Record {
    let now = ground.clock.now();
    Record::Change(Change {
        commit: ground.store.new_commit_id(),
        tenant: tenant.id,
        actor: who.actor(),
        credential: who.credential,
        action,
        object_kind,
        object_id: object_id.to_owned(),
        before: before.map(|v| v.to_string()),
        after: after.map(|v| v.to_string()),
        at: now,
        business_at: tenant.business(now),
        source: who.source,
        request: Some(who.request),
    })
}

/// An event about an object (its kind and its public id) with the facts that a receiver decides on.
pub fn event(ground: &Ground, kind: Type, object: (&str, &str), facts: Value) -> Event {
    let at = ground.clock.now();
    let id = ground.with_entropy(|entropy| Id::generate(at, entropy));
    let mut whole = json!({"object": object.0, "id": object.1});
    if let (Value::Object(whole), Value::Object(facts)) = (&mut whole, facts) {
        whole.extend(facts);
    }
    let mut data = whole.to_string();
    if data.len() >= MAX_DATA {
        // a receiver fetches the rest by the id
        data = json!({"object": object.0, "id": object.1, "truncated": true}).to_string();
    }
    Event { id, kind, at, customer: None, object_id: object.1.to_owned(), data }
}

/// The fields of `after` that differ from `before`, as the audit log shows a change.
pub fn difference(before: &Value, after: &Value) -> (Value, Value) {
    let (Value::Object(old), Value::Object(new)) = (before, after) else { return (before.clone(), after.clone()) };
    let mut from = serde_json::Map::new();
    let mut to = serde_json::Map::new();
    for (key, value) in new {
        if old.get(key) != Some(value) {
            from.insert(key.clone(), old.get(key).cloned().unwrap_or(Value::Null));
            to.insert(key.clone(), value.clone());
        }
    }
    (Value::Object(from), Value::Object(to))
}
