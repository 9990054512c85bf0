//! Why the store did not do what was asked.

use kernel::error::Fault;

/// An error of the storage seam; none carries SQL text, parameters, paths or connection strings in `Display`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A guard failed or a unique key was taken: another commit came first. Carries the statement's name.
    #[error("another change came first (guard {0})")]
    Conflict(&'static str),
    /// The store's queue is full or its deadline passed before the work began; nothing was written.
    #[error("the store is full")]
    Full,
    /// The engine cannot be reached or refuses to write; nothing was written, or the outcome is unknown.
    #[error("the store did not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The disk or the quota of the store is full; nothing was written.
    #[error("the store has no space left")]
    NoSpace,
    /// A row cannot be read as what it should be.
    #[error("a stored row cannot be read")]
    RowCorrupt,
    /// A statement failed for a reason that is a defect of this program.
    #[error("a statement failed: {0}")]
    Defect(&'static str, #[source] Option<Box<dyn std::error::Error + Send + Sync>>),
    /// The store refused to open, in a sentence for the operator.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    /// Who is to blame and whether a retry can help.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Conflict(_) => Fault::Caller,
            Self::Full | Self::Unavailable(_) | Self::NoSpace => Fault::Busy,
            Self::RowCorrupt | Self::Defect(..) | Self::Refused(_) => Fault::Internal,
        }
    }
}
