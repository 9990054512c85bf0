//! The business clock of a tenant: a sandbox may move it forward, and nobody moves it back.
//!
//! Machine time, by which tokens, secrets, limits and the audit log go, does not move. What the new instant means for
//! subscriptions is recorded by `billing`.

use kernel::clock::{BusinessTime, Timestamp};
use kernel::error::FieldProblem;
use kernel::event::Type;
use kernel::principal::Principal;
use record::action;
use record::fields::Reader;
use record::plan::{AdminError, Planned, change_record, event};
use record::tenant::{Tenant, TenantKind};
use serde_json::{Value, json};
use store::{Batch, ChangeKind, params};

use crate::directory::Auth;
use crate::sql;

const SECOND_MICROS: i64 = 1_000_000;

/// Seconds that business time may stand ahead of machine time: ten years.
pub const MAX_AHEAD_SECONDS: i64 = 3_653 * 86_400;

/// How a clock is to be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advance {
    /// To an instant.
    To(BusinessTime),
    /// By seconds.
    By(i64),
}

impl Advance {
    /// Reads the body of `POST /api/clock/advance`.
    ///
    /// # Errors
    /// Every problem of its fields.
    pub fn read(body: &Value) -> Result<Self, Vec<FieldProblem>> {
        let mut reader = Reader::new(body)?;
        let is_one = reader.is_given("to") != reader.is_given("by_seconds");
        let to = reader.time("to").given().map(|at| Self::To(BusinessTime::from_micros(at.as_micros())));
        let by = reader.integer("by_seconds").given().map(Self::By);
        if !is_one {
            reader.refuse(
                "to",
                "required",
                "either to or by_seconds says how far, as a time or as a number of seconds",
            );
        }
        let problems = reader.finish();
        match to.or(by) {
            Some(advance) if problems.is_empty() => Ok(advance),
            _ => Err(problems),
        }
    }

    const fn field(self) -> &'static str {
        match self {
            Self::To(_) => "to",
            Self::By(_) => "by_seconds",
        }
    }

    /// How far business time is to stand ahead.
    ///
    /// # Errors
    /// The problem when that is not later than now, or too far.
    fn judge(self, tenant: &Tenant, now: Timestamp) -> Result<i64, FieldProblem> {
        let ahead = match self {
            Self::To(at) => at.as_micros().saturating_sub(now.as_micros()),
            Self::By(seconds) => tenant.clock_ahead_micros.saturating_add(seconds.saturating_mul(SECOND_MICROS)),
        };
        let refuse = |detail: String| Err(FieldProblem::new(self.field(), "out_of_range", detail));
        if ahead <= tenant.clock_ahead_micros {
            return refuse(format!("the clock shows {} and moves forward only", tenant.business(now)));
        }
        if ahead > MAX_AHEAD_SECONDS.saturating_mul(SECOND_MICROS) {
            let last = BusinessTime::of(now.plus_seconds(MAX_AHEAD_SECONDS), 0);
            return refuse(format!("the clock moves ten years ahead at most, to {last}"));
        }
        Ok(ahead)
    }
}

/// The two times of a tenant at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TwoTimes {
    /// Whether the clock can be moved.
    pub kind: TenantKind,
    /// Machine time.
    pub machine: Timestamp,
    /// Business time.
    pub business: BusinessTime,
}

impl Auth {
    /// What the clocks of a tenant show.
    pub fn two_times(&self, tenant: &Tenant) -> TwoTimes {
        let now = self.clock.now();
        TwoTimes { kind: tenant.kind, machine: now, business: tenant.business(now) }
    }

    /// Moves the business clock of a sandbox forward.
    ///
    /// # Errors
    /// [`AdminError::Taken`] (`live_tenant`) outside a sandbox, [`AdminError::Invalid`] for an instant that is not later or
    /// more than [`MAX_AHEAD_SECONDS`] ahead, the store's.
    pub async fn advance_clock(
        &self,
        who: &Principal,
        slug: &str,
        advance: Advance,
    ) -> Result<Planned<TwoTimes>, AdminError> {
        // past the cache: what another request has moved is not moved back
        let tenant = self.read_tenant(slug).await?.ok_or(AdminError::NotFound("tenant"))?;
        if tenant.kind != TenantKind::Sandbox {
            let detail = "the tenant is live, and its time is the real one; create a sandbox to move a clock";
            return Err(AdminError::Taken("live_tenant", detail.to_owned()));
        }
        let now = self.clock.now();
        let ahead = advance.judge(&tenant, now).map_err(|problem| AdminError::Invalid(vec![problem]))?;
        let (from, to) = (tenant.business(now), BusinessTime::of(now, ahead));
        let shown = |at: BusinessTime| json!({"business_time": at.to_string()});
        let (before, after) = (shown(from), shown(to));
        let facts = json!({"changed": after, "previous": before});
        let batch = Batch::new()
            .expect(1, &sql::TENANT_ADVANCE, params![tenant.id, ahead, tenant.clock_ahead_micros])
            .change(ChangeKind::Tenant, slug)
            .event(event(self, Type::TenantUpdated, ("tenant", slug), facts));
        let states = (Some(before), Some(after));
        let record = change_record(self, who, &tenant, action::CLOCK_ADVANCED, ("tenant", slug), states);
        Ok(Planned { batch, record, value: TwoTimes { kind: tenant.kind, machine: now, business: to } })
    }
}
