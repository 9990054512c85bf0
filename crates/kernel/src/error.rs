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
