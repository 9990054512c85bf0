//! The team: who is in it, with which role, and who is out of it.
//!
//! Nobody gives or touches a role that holds more than they do themselves, and a tenant keeps its last owner.

use std::collections::HashMap;

use kernel::event::Type;
use kernel::id::{self, Id};
use kernel::principal::{Principal, Subject};
use record::action;
use serde_json::json;
use store::{Batch, ChangeKind, params};

use super::account::{Operator, judge_name};
use super::error::OperatorError;
use super::link::one_owner_more;
use super::role::Role;
use super::scope::{OPERATORS_READ, OPERATORS_WRITE};
use super::session::allow_over;
use super::sql;
use crate::directory::Auth;
use crate::error::AdminError;
use record::plan::{Planned, change_record, difference, event};
use record::tenant::Tenant;

/// What a change of an operator asks for; absent fields stay.
#[derive(Debug, Clone, Default)]
pub struct OperatorChange {
    /// Another name.
    pub name: Option<String>,
    /// Another role.
    pub role: Option<Role>,
    /// Disabled or enabled.
    pub disabled: Option<bool>,
    /// The version that the change was decided on; another one makes it stale.
    pub if_version: Option<i64>,
}

/// What a change does beyond the row itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effects {
    /// Active owners more or less: 1, 0 or -1.
    pub owners: i8,
    /// Whether the person's sessions end: when they are disabled, and when their rights rise, so that a session that
    /// was opened with fewer rights never holds more (OWASP ASVS 7.2.4).
    pub ends_sessions: bool,
    /// Whether the person loses rights and gains none.
    pub narrows: bool,
}

/// An operator after a change.
#[derive(Debug)]
pub struct Changed {
    /// The person as they are now.
    pub operator: Operator,
    /// Whether the person lost rights and gained none.
    pub narrows: bool,
}

/// Decides what a change does.
pub fn effects(before: (Role, bool), after: (Role, bool)) -> Effects {
    let ((old, was_disabled), (new, is_disabled)) = (before, after);
    let (was, is) = (old == Role::Owner && !was_disabled, new == Role::Owner && !is_disabled);
    let owners = match (was, is) {
        (false, true) => 1,
        (true, false) => -1,
        _ => 0,
    };
    let is_disabling = is_disabled && !was_disabled;
    let is_lowering = old != new && old.covers(new) && is_disabled == was_disabled;
    Effects { owners, ends_sessions: is_disabling || !old.covers(new), narrows: is_disabling || is_lowering }
}

impl Auth {
    /// Operators of the tenant in the order they joined, up to `limit` after an id.
    ///
    /// # Errors
    /// [`AdminError::Forbidden`] without `operators:read`, the store's.
    pub async fn operators(
        &self,
        who: &Principal,
        tenant: &Tenant,
        after: Option<Id<id::Operator>>,
        limit: i64,
    ) -> Result<Vec<Operator>, OperatorError> {
        if !who.holds(OPERATORS_READ) {
            return Err(AdminError::Forbidden(OPERATORS_READ).into());
        }
        let after = after.unwrap_or(Id::from_bytes([0; 16]));
        let rows = self.store.read_all(&sql::OPERATORS, params![tenant.id, after, limit]).await?;
        Ok(rows.iter().map(Operator::from_row).collect::<Result<Vec<_>, _>>()?)
    }

    /// How many sessions each operator of the tenant has that have not passed their deadline.
    ///
    /// # Errors
    /// [`AdminError::Forbidden`] without `operators:read`, the store's.
    pub async fn session_counts(
        &self,
        who: &Principal,
        tenant: &Tenant,
    ) -> Result<HashMap<Id<id::Operator>, i64>, OperatorError> {
        if !who.holds(OPERATORS_READ) {
            return Err(AdminError::Forbidden(OPERATORS_READ).into());
        }
        let rows = self.store.read_all(&sql::SESSION_COUNTS, params![tenant.id, self.clock.now()]).await?;
        Ok(rows.iter().map(|row| Ok((row.id(0)?, row.int(1)?))).collect::<Result<_, store::Error>>()?)
    }

    /// Carries out [`Auth::plan_operator_change`].
    ///
    /// # Errors
    /// Those of the plan, and [`AdminError::State`] when the tenant would lose its last owner.
    pub async fn change_operator(
        &self,
        who: &Principal,
        tenant: &Tenant,
        operator: Id<id::Operator>,
        change: OperatorChange,
    ) -> Result<Operator, OperatorError> {
        let Planned { batch, record, value } = self.plan_operator_change(who, tenant, operator, change).await?;
        // What takes rights away is committed even when there is room for little else.
        judged(if value.narrows {
            self.store.commit_reserved(batch, record).await
        } else {
            self.store.commit(batch, record).await
        })?;
        Ok(value.operator)
    }

    /// Changes name, role or state of an operator. People change their own name with no scope at all. When the tenant
    /// would lose its last owner, the guard `OWNERS_LESS` of the batch fails; see [`without_owner`].
    ///
    /// # Errors
    /// [`AdminError::Forbidden`] for a role beyond one's own, [`AdminError::NotFound`], [`AdminError::Invalid`],
    /// [`AdminError::State`] when people would disable themselves, [`AdminError::Stale`] when another change came
    /// first, the store's.
    pub async fn plan_operator_change(
        &self,
        who: &Principal,
        tenant: &Tenant,
        operator: Id<id::Operator>,
        change: OperatorChange,
    ) -> Result<Planned<Changed>, AdminError> {
        let is_own = matches!(&who.subject, Subject::Operator { id, .. } if *id == operator);
        let renames_self = is_own && change.role.is_none() && change.disabled.is_none();
        if !renames_self && !who.holds(OPERATORS_WRITE) {
            return Err(AdminError::Forbidden(OPERATORS_WRITE));
        }
        let before = self.operator(tenant.id, operator).await?.ok_or(AdminError::NotFound("operator"))?;
        if change.if_version.is_some_and(|version| version != before.version) {
            return Err(AdminError::Stale);
        }
        if !renames_self {
            allow_over(who, before.role)?;
        }
        if let Some(role) = change.role {
            allow_over(who, role)?;
        }
        if is_own && change.disabled == Some(true) {
            return Err(AdminError::State("nobody disables themselves; another owner can".to_owned()));
        }
        let name = match &change.name {
            Some(name) => judge_name(name).map_err(|problem| AdminError::Invalid(vec![problem]))?,
            None => before.name.clone(),
        };
        let now = self.clock.now();
        let role = change.role.unwrap_or(before.role);
        let disabled_at = match change.disabled {
            None => before.disabled_at,
            Some(true) => Some(before.disabled_at.unwrap_or(now)),
            Some(false) => None,
        };
        let after = Operator { name, role, disabled_at, updated_at: now, ..before.clone() };
        let effects = effects((before.role, before.disabled_at.is_some()), (role, disabled_at.is_some()));
        let key = operator.to_string();
        let mut batch = owners(Batch::new(), tenant, effects.owners)
            .expect(
                1,
                &sql::OPERATOR_UPDATE,
                params![tenant.id, operator, after.name.as_str(), role.name(), disabled_at, now, before.version],
            )
            .change(ChangeKind::Operator, key.as_str());
        if role != before.role {
            let facts = json!({"role": role.name(), "previous": {"role": before.role.name()}});
            batch = batch.event(event(self, Type::OperatorRoleChanged, ("operator", &key), facts));
        }
        if effects.ends_sessions {
            batch = batch.run(&sql::SESSION_DELETE_ALL, params![tenant.id, operator]);
        }
        let action = match (before.disabled_at.is_some(), disabled_at.is_some()) {
            (false, true) => action::OPERATOR_DISABLED,
            (true, false) => action::OPERATOR_ENABLED,
            _ => action::OPERATOR_UPDATED,
        };
        let (old, new) = difference(&shown(&before), &shown(&after));
        let record = change_record(self, who, tenant, action, ("operator", &key), (Some(old), Some(new)));
        let operator = Operator { version: before.version.saturating_add(1), ..after };
        Ok(Planned { batch, record, value: Changed { operator, narrows: effects.narrows } })
    }

    /// Carries out [`Auth::plan_operator_removal`].
    ///
    /// # Errors
    /// Those of [`Auth::change_operator`].
    pub async fn remove_operator(
        &self,
        who: &Principal,
        tenant: &Tenant,
        operator: Id<id::Operator>,
    ) -> Result<(), OperatorError> {
        let Planned { batch, record, .. } = self.plan_operator_removal(who, tenant, operator).await?;
        judged(self.store.commit_reserved(batch, record).await)
    }

    /// Removes an operator, their factors and their sessions. People may remove themselves.
    ///
    /// # Errors
    /// Those of [`Auth::plan_operator_change`].
    pub async fn plan_operator_removal(
        &self,
        who: &Principal,
        tenant: &Tenant,
        operator: Id<id::Operator>,
    ) -> Result<Planned<()>, AdminError> {
        let is_own = matches!(&who.subject, Subject::Operator { id, .. } if *id == operator);
        if !is_own && !who.holds(OPERATORS_WRITE) {
            return Err(AdminError::Forbidden(OPERATORS_WRITE));
        }
        let before = self.operator(tenant.id, operator).await?.ok_or(AdminError::NotFound("operator"))?;
        if !is_own {
            allow_over(who, before.role)?;
        }
        let lost = effects((before.role, before.disabled_at.is_some()), (before.role, true)).owners;
        let key = operator.to_string();
        let batch = owners(Batch::new(), tenant, lost)
            .expect(1, &sql::OPERATOR_DELETE, params![tenant.id, operator, before.version])
            .run(&sql::RECOVERY_DELETE, params![tenant.id, operator])
            .run(&sql::PASSKEY_DELETE_ALL, params![tenant.id, operator])
            .run(&sql::SESSION_DELETE_ALL, params![tenant.id, operator])
            .change(ChangeKind::Operator, key.as_str())
            .event(event(self, Type::OperatorRemoved, ("operator", &key), json!({"role": before.role.name()})));
        let object = ("operator", key.as_str());
        let record = change_record(self, who, tenant, action::OPERATOR_REMOVED, object, (Some(shown(&before)), None));
        Ok(Planned { batch, record, value: () })
    }
}

/// What a failed guard of a change of the team means, when it is the one that keeps the last owner.
pub fn without_owner(error: AdminError) -> AdminError {
    match error {
        AdminError::Store(store::Error::Conflict(guard)) if guard == sql::OWNERS_LESS.name => {
            AdminError::State("this is the last owner; make somebody else an owner first".to_owned())
        }
        other => other,
    }
}

/// What the outcome of a commit means to the caller.
fn judged(outcome: Result<store::Committed, store::Error>) -> Result<(), OperatorError> {
    match outcome {
        Ok(_) => Ok(()),
        Err(error) => Err(match without_owner(error.into()) {
            AdminError::Store(store::Error::Conflict(_)) => AdminError::Stale,
            other => other,
        }
        .into()),
    }
}

fn owners(batch: Batch, tenant: &Tenant, change: i8) -> Batch {
    match change {
        1 => one_owner_more(batch, tenant),
        -1 => batch.expect(1, &sql::OWNERS_LESS, params![tenant.id]),
        _ => batch,
    }
}

/// An operator as the audit log shows them.
fn shown(operator: &Operator) -> serde_json::Value {
    json!({
        "email": &*operator.email, "name": operator.name, "role": operator.role.name(),
        "disabled": operator.disabled_at.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_end_when_a_person_is_disabled_or_rises_and_stay_otherwise() {
        let ends = |before, after| effects(before, after).ends_sessions;
        assert!(ends((Role::Admin, false), (Role::Admin, true)));
        assert!(ends((Role::ReadOnly, false), (Role::Support, false)));
        assert!(ends((Role::Admin, false), (Role::Owner, false)));
        assert!(!ends((Role::Owner, false), (Role::Admin, false)));
        assert!(!ends((Role::Admin, true), (Role::Admin, false)));
        assert!(!ends((Role::Support, false), (Role::Support, false)));
    }

    #[test]
    fn disabling_and_lowering_narrow_and_nothing_else_does() {
        let narrows = |before, after| effects(before, after).narrows;
        assert!(narrows((Role::Admin, false), (Role::Admin, true)));
        assert!(narrows((Role::Admin, false), (Role::ReadOnly, false)));
        assert!(!narrows((Role::Admin, true), (Role::Admin, false)));
        assert!(!narrows((Role::Admin, true), (Role::ReadOnly, false)));
        assert!(!narrows((Role::Support, false), (Role::Admin, false)));
        assert!(!narrows((Role::Support, false), (Role::Support, false)));
    }

    #[test]
    fn owners_are_counted_by_role_and_state() {
        let owners = |before, after| effects(before, after).owners;
        assert_eq!(owners((Role::Owner, false), (Role::Owner, true)), -1);
        assert_eq!(owners((Role::Owner, false), (Role::Support, false)), -1);
        assert_eq!(owners((Role::Owner, true), (Role::Support, true)), 0);
        assert_eq!(owners((Role::Owner, true), (Role::Owner, false)), 1);
        assert_eq!(owners((Role::Admin, false), (Role::Owner, false)), 1);
        assert_eq!(owners((Role::Admin, false), (Role::Owner, true)), 0);
    }
}
