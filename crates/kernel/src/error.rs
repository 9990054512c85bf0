//! Who is to blame for an error, and whether sending the same again can help.

/// Who has to change something before the request can succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The request is wrong; sending it again gives the same answer.
    Caller,
    /// The server is full or its store is away; sending it again later can help.
    Busy,
    /// A defect or damaged data; sending it again does not help.
    Internal,
}

/// One refused field of an administrative request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// RFC 6901 pointer to the field.
    pub pointer: String,
    /// Stable code.
    pub code: &'static str,
    /// What is wrong and what is accepted.
    pub detail: String,
}

impl FieldProblem {
    /// A problem of a top-level field.
    pub fn new(field: &str, code: &'static str, detail: impl Into<String>) -> Self {
        Self { pointer: format!("/{field}"), code, detail: detail.into() }
    }
}
