//! What one commit does: guarded statements, changes for caches, events for others.

use kernel::event::Event;
use kernel::tenant::TenantId;

use crate::plan::event_steps;
use crate::stmt::Stmt;
use crate::value::Value;

/// One statement of a batch.
#[derive(Debug, Clone)]
pub struct Step {
    /// The statement.
    pub stmt: &'static Stmt,
    /// Its parameters.
    pub params: Vec<Value>,
    /// How many rows it must touch; another number rolls the whole batch back as a `Conflict`.
    pub expect_rows: Option<u64>,
}

/// What a cache must forget or learn once a commit is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// A client, its scopes or its credentials; the key is the public `client_id`.
    Client,
    /// The APIs and scopes of a tenant.
    Apis,
    /// The signing keys of a tenant.
    Keys,
    /// A tenant's own row; the key is its slug.
    Tenant,
    /// A token id or family id on the denylist, until the given time.
    Denied,
    /// A not-before number; the key names what it applies to. The number is the commit's own `seq`.
    Epoch,
    /// A customer, its subscriptions or its standing; the key is the customer's id.
    Customer,
    /// The meters, features and plans of a tenant.
    Catalog,
    /// An operator, their factors or their sessions; the key is the operator's id.
    Operator,
}

impl ChangeKind {
    /// The stable name in the `change` table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Apis => "apis",
            Self::Keys => "keys",
            Self::Tenant => "tenant",
            Self::Denied => "denied",
            Self::Epoch => "epoch",
            Self::Operator => "operator",
            Self::Customer => "customer",
            Self::Catalog => "catalog",
        }
    }

    /// The kind of a name in the `change` table.
    pub fn parse(name: &str) -> Option<Self> {
        let all = [
            Self::Client,
            Self::Apis,
            Self::Keys,
            Self::Tenant,
            Self::Denied,
            Self::Epoch,
            Self::Operator,
            Self::Customer,
            Self::Catalog,
        ];
        all.into_iter().find(|kind| kind.name() == name)
    }
}

/// One line of the change feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The feed number of the commit in the tenant's shard.
    pub seq: u64,
    /// Whose object changed.
    pub tenant: TenantId,
    /// What kind of object.
    pub kind: ChangeKind,
    /// Which one.
    pub key: String,
    /// Microseconds of machine time until which the line matters (denylist); otherwise 0.
    pub until: i64,
}

/// Guarded statements with their changes and events, committed as a whole or not at all.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Statements in order.
    pub steps: Vec<Step>,
    /// Statements that run after the feed number was taken, so that they may read it with
    /// `(SELECT seq FROM change_head WHERE shard = ?N)`.
    pub stamped: Vec<Step>,
    /// Lines for the change feed: kind, key, until.
    pub changes: Vec<(ChangeKind, String, i64)>,
    /// Events for the outbox.
    pub events: Vec<Event>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a statement that may touch any number of rows.
    #[must_use]
    pub fn run(mut self, stmt: &'static Stmt, params: Vec<Value>) -> Self {
        self.steps.push(Step { stmt, params, expect_rows: None });
        self
    }

    /// Adds a statement that must touch exactly this many rows.
    #[must_use]
    pub fn expect(mut self, rows: u64, stmt: &'static Stmt, params: Vec<Value>) -> Self {
        self.steps.push(Step { stmt, params, expect_rows: Some(rows) });
        self
    }

    /// Adds a statement that runs once the commit's feed number is known.
    #[must_use]
    pub fn stamp(mut self, stmt: &'static Stmt, params: Vec<Value>) -> Self {
        self.stamped.push(Step { stmt, params, expect_rows: None });
        self
    }

    /// Adds a line to the change feed.
    #[must_use]
    pub fn change(mut self, kind: ChangeKind, key: impl Into<String>) -> Self {
        self.changes.push((kind, key.into(), 0));
        self
    }

    /// Adds a line to the change feed that matters until a time (microseconds).
    #[must_use]
    pub fn change_until(mut self, kind: ChangeKind, key: impl Into<String>, until: i64) -> Self {
        self.changes.push((kind, key.into(), until));
        self
    }

    /// Adds an event to the outbox.
    #[must_use]
    pub fn event(mut self, event: Event) -> Self {
        self.events.push(event);
        self
    }

    /// Adds an event of a tenant to upkeep, which names no tenant of its own.
    #[must_use]
    pub fn announce(mut self, tenant: TenantId, event: Event) -> Self {
        self.steps.extend(event_steps(tenant, event));
        self
    }
}

/// The closed list of writes that need no record (DESIGN: upkeep), with the tables each may touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upkeep {
    /// Taking, renewing or giving back a lease.
    Lease,
    /// Forgetting rows whose time has passed.
    Purge,
    /// Folding segments into blocks, numbering leaves, writing checkpoints.
    Fold,
    /// Writing `last_used_at` computed from the journal.
    LastUsed,
    /// Raising a quota counter one slice ahead.
    QuotaSlice,
    /// Root and data keys, and marks such as the time floor.
    Keyring,
    /// Noting which expiry announcements were written.
    Announced,
    /// Counting attempts to sign in, and noting when a session was last seen.
    SignIn,
    /// Making deliveries of the events that an endpoint asks for, and letting those of a paused one wait.
    FanOut,
    /// Counting usage. Its events are their own record: each says who reported it and when, and none is ever changed.
    Usage,
    /// Noting an attempt at a delivery, and how its endpoint fares.
    Attempt,
}

impl Upkeep {
    /// The tables this upkeep may write.
    pub const fn tables(self) -> &'static [&'static str] {
        match self {
            Self::Lease => &["lease"],
            Self::Purge => &[
                "opaque_token",
                "denied",
                "epoch",
                "idempotency",
                "family",
                "change",
                "event",
                "quota",
                "operator_session",
                "operator_attempt",
                "operator_spent",
                "operator_link",
                "webhook_delivery",
                "webhook_attempt",
                "usage_event",
                "usage_correction",
                "usage_rejection",
                "usage_quota",
                "usage_reservation",
                "usage_series",
                "usage_backfill",
                "usage_backfill_part",
                "usage_backfill_event",
            ],
            Self::Fold => &["journal_segment", "journal_block", "audit_leaf", "audit_record", "audit_checkpoint"],
            Self::LastUsed => &["credential"],
            Self::QuotaSlice => &["quota"],
            Self::Keyring => &["root_key", "data_key", "mark"],
            Self::Announced => &["credential", "client", "event", "event_head"],
            Self::SignIn => &["operator_session", "operator_attempt"],
            Self::Usage => &[
                "usage_head",
                "usage_event",
                "usage_rejection",
                "usage_quota",
                "usage_reservation",
                "usage_series",
                "usage_backfill",
                "usage_backfill_part",
                "usage_backfill_event",
                "customer",
                "event",
                "event_head",
                "idempotency",
            ],
            Self::FanOut => &["webhook_endpoint", "webhook_delivery"],
            Self::Attempt => &["webhook_endpoint", "webhook_delivery", "webhook_attempt"],
        }
    }
}
