//! Scopes that the product asks for by name. The last one is of the console alone: a client holds it by `admin`.

/// See operators, invitations and their sessions.
pub const OPERATORS_READ: &str = "operators:read";
/// Invite, change, disable and remove operators.
pub const OPERATORS_WRITE: &str = "operators:write";
/// Take the audit log away as a file.
pub const AUDIT_EXPORT: &str = "audit:export";
