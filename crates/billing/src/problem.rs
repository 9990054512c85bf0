//! What is wrong with a field of a request or of a definition.

/// One field that cannot be taken as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: a JSON pointer (RFC 6901) from the object that was read, for example `/tiers/0/up_to`.
    pub pointer: String,
    /// A stable code for programs.
    pub code: &'static str,
    /// A sentence for people: what is wrong and what is accepted.
    pub detail: String,
}
