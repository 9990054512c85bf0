//! Why the audit tree or the journal could not be written or read.

use kernel::error::Fault;

use crate::checkpoint::NoteError;
use crate::entry::FormatError;

/// An error of this crate's use-cases.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Stored bytes cannot be read.
    #[error("a stored part of the journal cannot be read: {0}")]
    Format(#[from] FormatError),
    /// A checkpoint could not be signed or a stored one cannot be read.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The stored leaves are not the tree that the last checkpoint signed; nothing more is signed over them.
    #[error("the audit tree does not fit its last checkpoint; run `bastionary audit verify` and restore from a backup")]
    Broken,
    /// The process is ending and took the work back; nothing was written.
    #[error("the server is stopping")]
    Stopped,
    /// A list was asked to go on from a place that no answer named.
    #[error("`cursor` is not one that an earlier answer gave")]
    Cursor,
}

impl Error {
    /// Who is to blame and whether a retry can help.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Store(error) => error.fault(),
            Self::Format(_) | Self::Note(_) | Self::Broken => Fault::Internal,
            Self::Stopped => Fault::Busy,
            Self::Cursor => Fault::Caller,
        }
    }
}
