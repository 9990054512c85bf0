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
    /// The engine cannot be reached or refuses to write; nothing was written.
    #[error("the store did not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The engine did not answer whether it carried a commit out, and could not be asked again.
    #[error("the store did not answer, so it is not known whether the change was saved")]
    Unknown(#[source] Box<dyn std::error::Error + Send + Sync>),
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
    /// It and its causes in one sentence, for the log.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(inner) = source {
            text.push_str(": ");
            text.push_str(&inner.to_string());
            source = inner.source();
        }
        text
    }

    /// Who is to blame and whether a retry can help.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Conflict(_) => Fault::Caller,
            Self::Full | Self::Unavailable(_) | Self::Unknown(_) | Self::NoSpace => Fault::Busy,
            Self::RowCorrupt | Self::Defect(..) | Self::Refused(_) => Fault::Internal,
        }
    }
}
