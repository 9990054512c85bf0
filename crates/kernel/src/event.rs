//! What others must hear: written to the outbox in the commit of its cause.

use crate::clock::Timestamp;
use crate::id::{self, Id};

/// The closed table of event types this product writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// A client was created.
    ClientCreated,
    /// A client was changed.
    ClientUpdated,
    /// A client was disabled.
    ClientDisabled,
    /// A client was enabled.
    ClientEnabled,
    /// A client was deleted.
    ClientDeleted,
    /// A secret was added.
    SecretCreated,
    /// A secret ends in 30, 7 or 1 day.
    SecretExpiring,
    /// A secret was ended by hand.
    SecretRevoked,
    /// A token or refresh family was revoked.
    TokenRevoked,
    /// A refresh token was used again outside its window.
    TokenReuseDetected,
    /// A limit or quota threshold was passed.
    LimitReached,
    /// A signing key was promoted.
    KeyRotated,
    /// A signing key was destroyed in an emergency.
    KeyRevoked,
    /// A tenant was created.
    TenantCreated,
}

impl Type {
    /// The stable name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientCreated => "client.created",
            Self::ClientUpdated => "client.updated",
            Self::ClientDisabled => "client.disabled",
            Self::ClientEnabled => "client.enabled",
            Self::ClientDeleted => "client.deleted",
            Self::SecretCreated => "client.secret.created",
            Self::SecretExpiring => "client.secret.expiring",
            Self::SecretRevoked => "client.secret.revoked",
            Self::TokenRevoked => "token.revoked",
            Self::TokenReuseDetected => "token.reuse_detected",
            Self::LimitReached => "client.limit.reached",
            Self::KeyRotated => "key.rotated",
            Self::KeyRevoked => "key.revoked",
            Self::TenantCreated => "tenant.created",
        }
    }
}

/// One event.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its id, kept across deliveries.
    pub id: Id<id::Event>,
    /// What happened.
    pub kind: Type,
    /// When.
    pub at: Timestamp,
    /// JSON object with the details; never a secret.
    pub data: String,
}
