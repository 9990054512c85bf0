//! Roles: fixed sets of the scopes that the admin API and the console ask for.
//!
//! A role shows what the table says and nothing else; nobody gives a role whose scopes they do not hold themselves.

use std::sync::Arc;

use kernel::principal::Principal;

use super::scope::{AUDIT_EXPORT, OPERATORS_READ, OPERATORS_WRITE};

/// What an operator may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Everything, other owners and tenants included.
    Owner,
    /// Everything but owners and tenants.
    Admin,
    /// Clients, APIs and limits; no signing keys.
    Developer,
    /// Plans, invoices and payments.
    Billing,
    /// Reads, and ends tokens; no secrets, no payments.
    Support,
    /// Reads.
    ReadOnly,
}

use Role::{Admin, Billing, Developer, Owner, ReadOnly, Support};

/// Which roles hold a scope.
///
/// `audit:read` shows the whole log, so a role that should see a part of it only is not listed there. `admin` implies
/// every scope, so the owner alone holds it.
pub const PLACES: &[(&str, &[Role])] = &[
    ("admin", &[Owner]),
    ("clients:read", &[Owner, Admin, Developer, Support, ReadOnly]),
    ("clients:write", &[Owner, Admin, Developer]),
    ("apis:read", &[Owner, Admin, Developer, Support, ReadOnly]),
    ("apis:write", &[Owner, Admin, Developer]),
    ("keys:read", &[Owner, Admin, Support, ReadOnly]),
    ("keys:write", &[Owner, Admin]),
    ("tenants:read", &[Owner]),
    ("tenants:write", &[Owner]),
    ("audit:read", &[Owner, Admin, ReadOnly]),
    (AUDIT_EXPORT, &[Owner, Admin]),
    ("events:read", &[Owner, Admin, Developer, ReadOnly]),
    ("webhooks:read", &[Owner, Admin, Developer, ReadOnly]),
    ("webhooks:write", &[Owner, Admin, Developer]),
    ("customers:read", &[Owner, Admin, Developer, Billing, Support, ReadOnly]),
    ("customers:write", &[Owner, Admin, Billing]),
    ("billing:read", &[Owner, Admin, Developer, Billing, Support, ReadOnly]),
    ("billing:write", &[Owner, Billing]),
    ("usage:write", &[Owner, Billing]),
    ("entitlements:check", &[Owner, Admin, Developer, Billing, Support]),
    ("limits:read", &[Owner, Admin, Developer, Support, ReadOnly]),
    ("limits:write", &[Owner, Admin, Developer]),
    ("tokens:introspect", &[Owner, Admin, Developer]),
    ("tokens:revoke", &[Owner, Admin, Developer, Support]),
    (OPERATORS_READ, &[Owner, Admin]),
    (OPERATORS_WRITE, &[Owner, Admin]),
];

impl Role {
    /// Every role, the mightiest first.
    pub const ALL: [Self; 6] = [Owner, Admin, Developer, Billing, Support, ReadOnly];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Developer => "developer",
            Self::Billing => "billing",
            Self::Support => "support",
            Self::ReadOnly => "read_only",
        }
    }

    /// The word that people read.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Owner => "Owner",
            Self::Admin => "Admin",
            Self::Developer => "Developer",
            Self::Billing => "Billing",
            Self::Support => "Support",
            Self::ReadOnly => "Read-only",
        }
    }

    /// Reads the stable name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == text)
    }

    /// The scopes of the role.
    pub fn scopes(self) -> Arc<[Arc<str>]> {
        PLACES.iter().filter(|(_, roles)| roles.contains(&self)).map(|(scope, _)| Arc::from(*scope)).collect()
    }

    /// Whether the role may do nothing but enroll a factor until its holder has a passkey or TOTP.
    pub const fn needs_second_factor(self) -> bool {
        matches!(self, Self::Owner | Self::Admin | Self::Billing)
    }

    /// Whether the role holds every scope of the other one.
    pub fn covers(self, other: Self) -> bool {
        PLACES.iter().all(|(_, roles)| !roles.contains(&other) || roles.contains(&self))
    }

    /// Whether the principal holds every scope of the role, so that it may give the role and act on those who have it.
    pub fn is_within(self, who: &Principal) -> bool {
        PLACES.iter().all(|(scope, roles)| !roles.contains(&self) || who.holds(scope))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::MANAGEMENT_SCOPES;

    #[test]
    fn every_management_scope_is_placed_once_and_the_owner_holds_all() {
        for (scope, _) in MANAGEMENT_SCOPES {
            assert_eq!(PLACES.iter().filter(|(placed, _)| *placed == scope).count(), 1, "{scope}");
        }
        for (scope, roles) in PLACES {
            assert!(roles.contains(&Owner), "{scope}");
            let is_known = MANAGEMENT_SCOPES.iter().any(|(known, _)| known == scope);
            assert!(is_known || *scope == AUDIT_EXPORT, "{scope}");
        }
    }

    #[test]
    fn a_role_covers_itself_and_the_weaker_ones() {
        let covered: Vec<String> = Role::ALL
            .into_iter()
            .map(|role| {
                let under: Vec<_> = Role::ALL.into_iter().filter(|o| role.covers(*o)).map(Role::name).collect();
                format!("{}: {}", role.name(), under.join(" "))
            })
            .collect();
        assert_eq!(
            covered,
            [
                "owner: owner admin developer billing support read_only",
                "admin: admin developer support read_only",
                "developer: developer",
                "billing: billing",
                "support: support",
                "read_only: read_only",
            ]
        );
    }

    #[test]
    fn a_name_is_read_back_and_nothing_else_is() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.name()), Some(role));
        }
        assert_eq!(Role::parse("Owner"), None);
        assert_eq!(Role::parse(""), None);
    }
}
