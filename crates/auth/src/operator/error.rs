//! Why a sign-in or a request of a signed-in person was refused.

use crate::error::{AdminError, FieldProblem, OauthError};

/// A refusal; nothing here knows of HTTP.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// Not signed in: wrong, unknown, disabled; deliberately says nothing about which.
    #[error("this sign-in was refused: the address, the passphrase or the code is wrong")]
    Refused,
    /// Too many failures of this account from this browser or network.
    #[error("too many attempts; try again in {retry_after_seconds} s")]
    Wait {
        /// When the next attempt is looked at.
        retry_after_seconds: u32,
    },
    /// A hundred failures in a row from this browser or network: passphrases are not looked at any more.
    #[error("passphrases are not accepted from here any more; use a passkey, or ask for `bastionary admin setup-link`")]
    PassphraseOff,
    /// What the browser brought back is too old, was used, or is not ours.
    #[error("this step has expired or was completed already; begin again")]
    Expired,
    /// The link was used, has expired, was replaced, or never existed; all the same to its holder.
    #[error("this link is not good any more; ask for a new one")]
    LinkGone,
    /// The last full sign-in is more than ten minutes ago.
    #[error("this needs a sign-in of the last 10 minutes")]
    NotFresh,
    /// The server is busy with other slow hashes.
    #[error("the server cannot answer now; try again shortly")]
    Busy,
    /// Any other refusal, and failures of the store.
    #[error(transparent)]
    Admin(#[from] AdminError),
}

impl OperatorError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused => "sign_in_refused",
            Self::Wait { .. } => "sign_in_wait",
            Self::PassphraseOff => "passphrase_off",
            Self::Expired => "sign_in_expired",
            Self::LinkGone => "link_gone",
            Self::NotFresh => "sign_in_not_fresh",
            Self::Busy => "temporarily_unavailable",
            Self::Admin(_) => "refused",
        }
    }

    /// One refused field.
    pub(crate) fn field(problem: FieldProblem) -> Self {
        Self::Admin(AdminError::Invalid(vec![problem]))
    }

    /// A state that does not allow this.
    pub(crate) fn state(sentence: impl Into<String>) -> Self {
        Self::Admin(AdminError::State(sentence.into()))
    }
}

impl From<store::Error> for OperatorError {
    fn from(error: store::Error) -> Self {
        Self::Admin(AdminError::Store(error))
    }
}

impl From<jose::Error> for OperatorError {
    fn from(error: jose::Error) -> Self {
        Self::Admin(AdminError::Jose(error))
    }
}

impl From<OauthError> for OperatorError {
    fn from(error: OauthError) -> Self {
        match error {
            OauthError::SlowDown { retry_after_seconds, .. } => Self::Wait { retry_after_seconds },
            _ => Self::Busy,
        }
    }
}
