//! Signing in: passphrase, then a second factor where there is one, then a session.
//!
//! An unknown address, a wrong passphrase and a disabled account get the same answer after the same work. Every
//! attempt is counted before it is looked at ([`super::attempt`]). Passkeys come in through [`super::passkey`].

use kernel::principal::{Principal, Subject};
use kernel::secret::Secret;
use record::action;
use serde_json::json;
use store::{Batch, params};

use super::account::{Operator, fold_email};
use super::browser::{Browser, Pair};
use super::error::OperatorError;
use super::passphrase::normalize;
use super::session::{Live, Method, SignedIn};
use super::ticket::Step;
use super::{recovery, sql, totp};
use crate::credential::PassphraseMatch;
use crate::directory::Auth;
use record::plan::change_record;
use record::tenant::Tenant;

/// How far a sign-in has come.
pub enum Progress {
    /// The person is signed in.
    Done(Box<SignedIn>),
    /// The passphrase was right; a second factor is asked.
    SecondFactor(SecondFactorAsked),
}

/// What the page of the second factor offers.
pub struct SecondFactorAsked {
    /// What the next step brings back.
    pub ticket: Secret<String>,
    /// Whether one-time codes are set up.
    pub totp: bool,
    /// Whether a passkey can be used instead.
    pub passkey: bool,
}

/// What a person types as a second factor.
pub enum Code<'a> {
    /// A one-time code of an authenticator app.
    Totp(&'a str),
    /// A recovery code.
    Recovery(&'a str),
}

/// What follows from a compared passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The one answer to everything that is wrong.
    Refuse,
    /// A second factor is asked.
    AskSecondFactor,
    /// A session is opened.
    Open,
}

/// Decides what follows from a passphrase. Whoever has a second factor is asked for it, whatever their role.
pub fn after_passphrase(account: Option<&Operator>, is_match: bool) -> Next {
    match account {
        Some(operator) if is_match && operator.disabled_at.is_none() => {
            if operator.has_second_factor() {
                Next::AskSecondFactor
            } else {
                Next::Open
            }
        }
        _ => Next::Refuse,
    }
}

/// The account that the end of a sign-in is about, and where it came from.
#[derive(Clone, Copy)]
pub(crate) struct Ending<'a> {
    pub(crate) operator: &'a Operator,
    pub(crate) method: Method,
    pub(crate) pair: &'a Pair,
    pub(crate) browser: &'a Browser,
}

/// How a person within a session proves themselves again.
pub struct Proof<'a> {
    /// The passphrase.
    pub passphrase: &'a Secret<String>,
    /// A one-time code; needed by those who have set them up.
    pub code: Option<&'a str>,
}

impl Auth {
    /// First step: e-mail address and passphrase.
    ///
    /// # Errors
    /// [`OperatorError::Refused`], [`OperatorError::Wait`], [`OperatorError::PassphraseOff`], [`OperatorError::Busy`],
    /// the store's.
    pub async fn sign_in(
        &self,
        tenant: &Tenant,
        email: &str,
        passphrase: &Secret<String>,
        browser: &Browser,
    ) -> Result<Progress, OperatorError> {
        // What is no address may be a passphrase in the wrong field; it is neither looked up nor recorded.
        let email = fold_email(email);
        let detail = email.clone().unwrap_or_else(|| "no address".to_owned());
        let account = self.operator_by_email(tenant.id, email.as_deref().unwrap_or_default()).await?;
        let pair = self.pair(tenant, &detail, account.as_ref().map(|a| a.id), browser);
        self.admit_attempt(tenant, &pair, &detail, browser).await?;
        let normal = normalize(passphrase.reveal()).unwrap_or_else(|| Secret::new(String::new()));
        let stored = account.as_ref().and_then(|a| a.passphrase.as_deref());
        let found = match self.authenticator.match_passphrase(normal.reveal(), stored).await {
            Ok(found) => found,
            Err(error) => {
                // Nobody looked at it.
                self.take_attempt_back(tenant, &pair).await?;
                return Err(error.into());
            }
        };
        let (Some(operator), next) = (&account, after_passphrase(account.as_ref(), found != PassphraseMatch::No))
        else {
            self.note_failure(tenant, &pair, &detail, account.as_ref().map(|a| a.id), browser).await?;
            return Err(OperatorError::Refused);
        };
        if next == Next::Refuse {
            self.note_failure(tenant, &pair, &detail, account.as_ref().map(|a| a.id), browser).await?;
            return Err(OperatorError::Refused);
        }
        let rehashed = if found == PassphraseMatch::YesAtAnotherCost {
            self.authenticator.hash_passphrase(normal.reveal(), &mut self.fresh_entropy()).await?
        } else {
            Vec::new()
        };
        if next == Next::AskSecondFactor {
            self.take_attempt_back(tenant, &pair).await?;
            let ticket = self.ticket(tenant, Step::SecondFactor, Some((operator.id, operator.version)), &rehashed)?;
            let asked = SecondFactorAsked { ticket, totp: operator.has_totp(), passkey: operator.passkeys > 0 };
            return Ok(Progress::SecondFactor(asked));
        }
        let batch = rehash(Batch::new(), tenant, operator, &rehashed);
        let ending = Ending { operator, method: Method::Passphrase, pair: &pair, browser };
        Ok(Progress::Done(Box::new(self.complete(tenant, batch, ending).await?)))
    }

    /// Second step: a one-time code or a recovery code.
    ///
    /// # Errors
    /// [`OperatorError::Expired`] for a ticket that is not good any more, and those of [`Auth::sign_in`].
    pub async fn sign_in_code(
        &self,
        tenant: &Tenant,
        ticket: &str,
        code: Code<'_>,
        browser: &Browser,
    ) -> Result<SignedIn, OperatorError> {
        let presented = self.open_ticket(tenant, Step::SecondFactor, ticket)?;
        let id = presented.account().ok_or(OperatorError::Expired)?;
        let operator = self.operator(tenant.id, id).await?.ok_or(OperatorError::Expired)?;
        if operator.version != presented.ticket.version || operator.disabled_at.is_some() {
            return Err(OperatorError::Expired);
        }
        let pair = self.pair(tenant, &operator.email, Some(operator.id), browser);
        self.admit_attempt(tenant, &pair, &operator.email, browser).await?;
        let method = match code {
            Code::Totp(_) => Method::Totp,
            Code::Recovery(_) => Method::RecoveryCode,
        };
        let used = match code {
            Code::Totp(text) => self.use_totp(Batch::new(), tenant, &operator, text).await?,
            Code::Recovery(text) => self.use_recovery(Batch::new(), tenant, &operator, text).await?,
        };
        let Some(batch) = used else {
            self.note_failure(tenant, &pair, &operator.email, Some(operator.id), browser).await?;
            return Err(OperatorError::Refused);
        };
        let rehashed = presented.secret().ok_or(OperatorError::Expired)?;
        let batch = rehash(presented.spend(batch, tenant), tenant, &operator, rehashed.reveal());
        self.complete(tenant, batch, Ending { operator: &operator, method, pair: &pair, browser }).await
    }

    /// Proves the person again within their session; the answer is the session's new token.
    ///
    /// # Errors
    /// Those of [`Auth::sign_in`].
    pub async fn step_up(
        &self,
        tenant: &Tenant,
        live: &Live,
        proof: Proof<'_>,
        browser: &Browser,
    ) -> Result<Secret<String>, OperatorError> {
        let operator = self.operator(tenant.id, live.operator.id).await?.ok_or(OperatorError::Refused)?;
        let pair = self.pair(tenant, &operator.email, Some(operator.id), browser);
        self.admit_attempt(tenant, &pair, &operator.email, browser).await?;
        let normal = normalize(proof.passphrase.reveal()).unwrap_or_else(|| Secret::new(String::new()));
        let found = match self.authenticator.match_passphrase(normal.reveal(), operator.passphrase.as_deref()).await {
            Ok(found) => found,
            Err(error) => {
                self.take_attempt_back(tenant, &pair).await?;
                return Err(error.into());
            }
        };
        let next = after_passphrase(Some(&operator), found != PassphraseMatch::No);
        let proved = match (next, proof.code) {
            (Next::Open, _) => Some((Batch::new(), Method::Passphrase)),
            (Next::AskSecondFactor, Some(code)) => {
                self.use_totp(Batch::new(), tenant, &operator, code).await?.map(|batch| (batch, Method::Totp))
            }
            // Passphrase alone proves nobody who has set up more.
            (Next::Refuse, _) | (Next::AskSecondFactor, None) => None,
        };
        let Some((batch, method)) = proved else {
            self.note_failure(tenant, &pair, &operator.email, Some(operator.id), browser).await?;
            return Err(OperatorError::Refused);
        };
        self.finish_step_up(tenant, live, batch, Ending { operator: &operator, method, pair: &pair, browser }).await
    }

    /// The end of every step-up: a new token for the session, and no failures any more.
    pub(crate) async fn finish_step_up(
        &self,
        tenant: &Tenant,
        live: &Live,
        batch: Batch,
        ending: Ending<'_>,
    ) -> Result<Secret<String>, OperatorError> {
        let Ending { operator, method, pair, browser } = ending;
        let (batch, token) = self.renew_session(batch, tenant, live, method);
        let batch = clear(batch, tenant, pair);
        let id = operator.id.to_string();
        let after = json!({"session": live.session.id.to_string(), "method": method.name()});
        let who = person(tenant, operator, method, browser);
        let record = change_record(self, &who, tenant, action::STEPPED_UP, ("operator", &id), (None, Some(after)));
        self.commit_once(batch, record).await?;
        Ok(token)
    }

    /// Counts an attempt; one that is not even looked at is recorded as well.
    pub(crate) async fn admit_attempt(
        &self,
        tenant: &Tenant,
        pair: &Pair,
        detail: &str,
        browser: &Browser,
    ) -> Result<(), OperatorError> {
        let counted = self.count_attempt(tenant, pair, detail).await;
        if let Err(OperatorError::Wait { .. } | OperatorError::PassphraseOff) = counted {
            self.note_failure(tenant, pair, detail, None, browser).await?;
        }
        counted
    }

    /// Adds the use of a one-time code, when it is a good one.
    async fn use_totp(
        &self,
        batch: Batch,
        tenant: &Tenant,
        operator: &Operator,
        code: &str,
    ) -> Result<Option<Batch>, OperatorError> {
        let Some(sealed) = &operator.totp else { return Ok(None) };
        let secret = self.open_totp(tenant, operator.id, sealed).await?;
        let step = totp::accept(secret.reveal(), code, operator.totp_step, self.clock.now());
        let used = |step| params![tenant.id, operator.id, step, operator.version];
        Ok(step.map(|step| batch.expect(1, &sql::OPERATOR_TOTP_USE, used(step))))
    }

    /// Adds the use of a recovery code, when it is an unused one.
    async fn use_recovery(
        &self,
        batch: Batch,
        tenant: &Tenant,
        operator: &Operator,
        code: &str,
    ) -> Result<Option<Batch>, OperatorError> {
        let Some(hash) = recovery::hash(&self.recovery_key(tenant, operator.id), code) else { return Ok(None) };
        let key = params![tenant.id, operator.id, hash.as_slice()];
        if self.store.read(&sql::RECOVERY_READ, key.clone()).await?.is_none() {
            return Ok(None);
        }
        Ok(Some(batch.expect(1, &sql::RECOVERY_USE, [key, params![self.clock.now()]].concat())))
    }

    /// The end of every sign-in: the account as it was seen, a session, no failures any more, one record.
    pub(crate) async fn complete(
        &self,
        tenant: &Tenant,
        batch: Batch,
        ending: Ending<'_>,
    ) -> Result<SignedIn, OperatorError> {
        let Ending { operator, method, pair, browser } = ending;
        let key = params![tenant.id, pair.account.as_slice(), pair.place.as_slice()];
        let failed = self.store.read(&sql::ATTEMPT_READ, key).await?.map(|row| row.int(0)).transpose()?;
        // A passphrase or a code counted its own attempt; a passkey did not.
        let own = i64::from(matches!(method, Method::Passphrase | Method::Totp | Method::RecoveryCode));
        let now = self.clock.now();
        let batch = batch.expect(1, &sql::OPERATOR_SIGNED_IN, params![tenant.id, operator.id, now, operator.version]);
        let (batch, signed_in) = self.open_session(clear(batch, tenant, pair), tenant, operator, method, browser);
        let after = json!({
            "session": signed_in.live.session.id.to_string(), "method": method.name(),
            "failures_before": failed.unwrap_or(0).saturating_sub(own).max(0),
        });
        let who = person(tenant, operator, method, browser);
        let id = operator.id.to_string();
        let record = change_record(self, &who, tenant, action::SIGNED_IN, ("operator", &id), (None, Some(after)));
        self.commit_once(batch, record).await?;
        Ok(signed_in)
    }

    /// Commits a step that works once; a failed guard means that it was completed or overtaken.
    pub(crate) async fn commit_once(&self, batch: Batch, record: kernel::audit::Record) -> Result<(), OperatorError> {
        match self.store.commit(batch, record).await {
            Ok(_) => Ok(()),
            Err(store::Error::Conflict(_)) => Err(OperatorError::Expired),
            Err(error) => Err(error.into()),
        }
    }
}

/// The person of a sign-in, as its records name them.
pub(crate) fn person(tenant: &Tenant, operator: &Operator, method: Method, browser: &Browser) -> Principal {
    Principal {
        tenant: tenant.id,
        subject: Subject::Operator {
            id: operator.id,
            email: std::sync::Arc::clone(&operator.email),
            method: method.name(),
        },
        credential: None,
        scopes: std::sync::Arc::from([]),
        source: browser.source,
        request: browser.request,
    }
}

fn clear(batch: Batch, tenant: &Tenant, pair: &Pair) -> Batch {
    batch.run(&sql::ATTEMPT_CLEAR, params![tenant.id, pair.account.as_slice(), pair.place.as_slice()])
}

fn rehash(batch: Batch, tenant: &Tenant, operator: &Operator, hash: &[u8]) -> Batch {
    if hash.is_empty() {
        return batch;
    }
    batch.expect(1, &sql::OPERATOR_REHASH, params![tenant.id, operator.id, hash, operator.version])
}
