//! Tickets: what the server has to remember between two steps of one person, sealed and carried by the browser.
//!
//! A ticket costs no row, so asking for one writes nothing. The step that it leads to notes it as spent in the commit
//! of its effect, so it works once.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jose::seal::SealKey;
use kernel::clock::Timestamp;
use kernel::id::{self, Id};
use kernel::mutant;
use kernel::secret::Secret;
use serde::{Deserialize, Serialize};
use store::keyring::Purpose;
use store::{Batch, params};

use super::error::OperatorError;
use super::sql;
use crate::directory::Auth;
use record::tenant::Tenant;

/// How long the next step may take, in seconds.
pub const TICKET_SECONDS: i64 = 600;
/// Longest ticket, in bytes.
const MAX_TICKET: usize = 2_048;

/// Which step a ticket leads to; a ticket of one step opens no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    /// The second factor after a passphrase.
    SecondFactor,
    /// Setting up one-time codes.
    EnrollTotp,
    /// Registering a passkey.
    RegisterPasskey,
    /// Signing in with a passkey.
    AssertPasskey,
    /// Taking a link up with a passkey.
    JoinByPasskey,
}

/// What is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ticket {
    /// The step it leads to.
    pub(crate) step: Step,
    /// The account, when the step belongs to one, in base32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<String>,
    /// The version the account had.
    #[serde(default)]
    pub(crate) version: i64,
    /// Challenge or secret of the step, base64url.
    #[serde(default)]
    pub(crate) secret: String,
    /// Microseconds of its end.
    pub(crate) until: i64,
}

/// A ticket that came back.
pub(crate) struct Presented {
    /// What is remembered.
    pub(crate) ticket: Ticket,
    hash: [u8; 32],
}

impl Presented {
    /// Notes the ticket as used; the whole commit fails when it was used before.
    pub(crate) fn spend(&self, batch: Batch, tenant: &Tenant) -> Batch {
        let until = Timestamp::from_micros(self.ticket.until);
        batch.expect(1, &sql::SPENT_INSERT, params![tenant.id, self.hash.as_slice(), until])
    }

    /// The account.
    pub(crate) fn account(&self) -> Option<Id<id::Operator>> {
        self.ticket.account.as_deref().and_then(kernel::id::base32_decode).map(Id::from_bytes)
    }

    /// The challenge or secret.
    pub(crate) fn secret(&self) -> Option<Secret<Vec<u8>>> {
        URL_SAFE_NO_PAD.decode(&self.ticket.secret).ok().map(Secret::new)
    }
}

impl Auth {
    fn ticket_key(&self, tenant: &Tenant) -> SealKey {
        SealKey::new(self.keyring.derive(Purpose::Cookie, tenant.id, b"operator tickets").reveal())
    }

    /// A new ticket.
    pub(crate) fn ticket(
        &self,
        tenant: &Tenant,
        step: Step,
        account: Option<(Id<id::Operator>, i64)>,
        secret: &[u8],
    ) -> Result<Secret<String>, OperatorError> {
        let ticket = Ticket {
            step,
            account: account.map(|(id, _)| id.base32()),
            version: account.map_or(0, |(_, version)| version),
            secret: URL_SAFE_NO_PAD.encode(secret),
            until: self.clock.now().plus_seconds(TICKET_SECONDS).as_micros(),
        };
        let text = Secret::new(serde_json::to_vec(&ticket).map_err(|_| store::Error::RowCorrupt)?);
        let sealed = self.ticket_key(tenant).seal(text.reveal(), b"ticket", &mut self.fresh_entropy())?;
        Ok(Secret::new(URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// Opens a ticket that came back for a step.
    pub(crate) fn open_ticket(&self, tenant: &Tenant, step: Step, text: &str) -> Result<Presented, OperatorError> {
        let read = || {
            let sealed = (text.len() <= MAX_TICKET).then(|| URL_SAFE_NO_PAD.decode(text).ok()).flatten()?;
            let opened = self.ticket_key(tenant).open(&sealed, b"ticket").ok()?;
            let ticket: Ticket = serde_json::from_slice(opened.reveal()).ok()?;
            let is_of_step = ticket.step == step || mutant::is("S-29-step");
            let is_due = is_of_step && ticket.until > self.clock.now().as_micros();
            is_due.then(|| Presented { ticket, hash: jose::hash::sha256(&sealed) })
        };
        read().ok_or(OperatorError::Expired)
    }
}
