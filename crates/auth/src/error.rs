//! Why a token request, a revocation, an introspection or an administrative use-case was refused.
//!
//! Nothing here knows of HTTP: `api::oauth_error` and `api::problem` turn these into answers.

use std::borrow::Cow;

use kernel::error::Fault;
pub use kernel::error::FieldProblem;
pub use record::plan::AdminError;

/// A refusal at the OAuth endpoints (RFC 6749 §5.2, RFC 8707 §2, RFC 6585 §4).
#[derive(Debug, thiserror::Error)]
pub enum OauthError {
    /// The request is malformed.
    #[error("{0}")]
    InvalidRequest(Cow<'static, str>),
    /// Client authentication is missing or failed; deliberately says nothing about why.
    #[error("client authentication failed")]
    InvalidClient,
    /// The refresh token is not good for this client any more.
    #[error("{0}")]
    InvalidGrant(&'static str),
    /// This client may not use this grant.
    #[error("{0}")]
    UnauthorizedClient(Cow<'static, str>),
    /// The grant type is not offered here.
    #[error("this server offers client_credentials and refresh_token")]
    UnsupportedGrantType,
    /// A scope is malformed, unknown or not allowed.
    #[error("{0}")]
    InvalidScope(String),
    /// A resource is malformed, unknown or not allowed.
    #[error("{0}")]
    InvalidTarget(String),
    /// A limit or quota of the caller is used up.
    #[error("the {policy} limit is used up; try again in {retry_after_seconds} s")]
    SlowDown {
        /// Which limit.
        policy: &'static str,
        /// When a retry can succeed.
        retry_after_seconds: u32,
    },
    /// The store or a pool is full or away.
    #[error("the server cannot answer now; try again shortly")]
    Unavailable,
    /// A defect or damaged data.
    #[error("internal error")]
    Internal(#[source] Option<Box<dyn std::error::Error + Send + Sync>>),
}

impl OauthError {
    /// The code that a caller sees (RFC 6749 §5.2).
    pub const fn code(&self) -> &'static str {
        match self {
            Self::SlowDown { .. } => "slow_down",
            other => other.reason(),
        }
    }

    /// The stable name under which refusals are counted and journaled.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::InvalidRequest(_) => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant(_) => "invalid_grant",
            Self::UnauthorizedClient(_) => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope(_) => "invalid_scope",
            Self::InvalidTarget(_) => "invalid_target",
            Self::SlowDown { policy, .. } => match policy.as_bytes() {
                b"client" => "rate_limit",
                b"authentication-failures" => "too_many_failures",
                b"source address" => "source_limit",
                _ => "quota",
            },
            Self::Unavailable => "temporarily_unavailable",
            Self::Internal(_) => "server_error",
        }
    }
}

impl From<store::Error> for OauthError {
    fn from(error: store::Error) -> Self {
        match error.fault() {
            Fault::Caller | Fault::Busy => Self::Unavailable,
            Fault::Internal => Self::Internal(Some(Box::new(error))),
        }
    }
}

impl From<jose::Error> for OauthError {
    fn from(error: jose::Error) -> Self {
        Self::Internal(Some(Box::new(error)))
    }
}
