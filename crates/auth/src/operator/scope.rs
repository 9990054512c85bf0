//! The scopes of the team pages. Operators hold them by role; a client holds them by `admin` alone.

/// See operators, invitations and their sessions.
pub const OPERATORS_READ: &str = "operators:read";
/// Invite, change, disable and remove operators.
pub const OPERATORS_WRITE: &str = "operators:write";
