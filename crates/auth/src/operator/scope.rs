//! The scopes of pages that the admin API does not have. Operators hold them by role; a client holds them by `admin` alone.

/// See operators, invitations and their sessions.
pub const OPERATORS_READ: &str = "operators:read";
/// Invite, change, disable and remove operators.
pub const OPERATORS_WRITE: &str = "operators:write";
/// Take the audit log away as a file.
pub const AUDIT_EXPORT: &str = "audit:export";
