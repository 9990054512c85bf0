//! Passkeys of operators: registering, signing in, proving oneself again.
//!
//! Passkeys are not throttled: there is nothing to guess. They keep working where passphrases are off.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jose::Jwk;
use kernel::clock::Timestamp;
use kernel::id::{self, Id};
use kernel::secret::Secret;
use record::action;
use serde_json::{Value, json};
use store::{Batch, ChangeKind, Row, params};

use super::account::Operator;
use super::browser::Browser;
use super::error::OperatorError;
use super::session::{Live, Method, SignedIn};
use super::sign_in::Ending;
use super::sql;
use super::ticket::{Presented, Step};
use super::webauthn::{Assertion, Party, Refusal, Registration, register, verify};
use crate::directory::Auth;
use crate::error::{AdminError, FieldProblem};
use record::tenant::Tenant;

/// Passkeys one person may have.
pub const MAX_PASSKEYS: usize = 20;
/// Milliseconds a browser waits for the person.
const TIMEOUT_MS: u32 = 300_000;

/// A passkey as it is stored.
#[derive(Debug, Clone)]
pub struct Passkey {
    /// Its id, as lists show it.
    pub id: Id<id::Passkey>,
    /// Whose it is.
    pub operator: Id<id::Operator>,
    pub(crate) credential: Vec<u8>,
    pub(crate) jwk: Jwk,
    pub(crate) counter: u32,
    /// Its name for people.
    pub name: String,
    /// Creation.
    pub created_at: Timestamp,
    /// Its last use.
    pub last_used_at: Option<Timestamp>,
}

impl Passkey {
    /// Reads a row of [`sql::PASSKEYS`].
    ///
    /// # Errors
    /// [`store::Error::RowCorrupt`] when the row is not a passkey.
    pub fn from_row(row: &Row) -> Result<Self, store::Error> {
        Ok(Self {
            id: row.id(0)?,
            operator: row.id(1)?,
            credential: row.bytes(2)?.to_vec(),
            jwk: serde_json::from_str(row.text(3)?).map_err(|_| store::Error::RowCorrupt)?,
            counter: u32::try_from(row.int(4)?).map_err(|_| store::Error::RowCorrupt)?,
            name: row.text(5)?.to_owned(),
            created_at: row.time(6)?,
            last_used_at: row.time_opt(7)?,
        })
    }
}

/// What a page hands to `navigator.credentials`.
pub struct PasskeyRequest {
    /// What the response is brought back with.
    pub ticket: Secret<String>,
    /// The options in the form of `PublicKeyCredential.parseCreationOptionsFromJSON` or `parseRequestOptionsFromJSON`.
    pub options: Value,
}

impl Auth {
    /// Asks for a new passkey. Whoever has a second factor already needs a fresh sign-in.
    ///
    /// # Errors
    /// [`OperatorError::NotFresh`], [`AdminError::TooMany`], the store's.
    pub async fn offer_passkey(&self, tenant: &Tenant, live: &Live) -> Result<PasskeyRequest, OperatorError> {
        let operator = self.own(tenant, live).await?;
        if operator.has_second_factor() {
            live.require_fresh(self.clock.now())?;
        }
        let held = self.passkeys_of(tenant, operator.id).await?;
        if held.len() >= MAX_PASSKEYS {
            let detail = format!("a person has at most {MAX_PASSKEYS} passkeys; remove one first");
            return Err(AdminError::TooMany("too_many_passkeys", detail).into());
        }
        let exclude = held.iter().map(|key| descriptor(&key.credential)).collect();
        let account = (operator.id, operator.version);
        self.ask_registration(tenant, Step::RegisterPasskey, account, (&operator.email, &operator.name, exclude))
    }

    /// The options of a registration, and the ticket that its response comes back with.
    pub(crate) fn ask_registration(
        &self,
        tenant: &Tenant,
        step: Step,
        account: (Id<id::Operator>, i64),
        (email, name, exclude): (&str, &str, Vec<Value>),
    ) -> Result<PasskeyRequest, OperatorError> {
        let challenge = self.challenge();
        // ES256, EdDSA, and RS256 for the security chips of Windows machines
        let accepted = [-7, -8, -257].map(|alg| json!({"type": "public-key", "alg": alg}));
        let options = json!({
            "rp": {"id": party(tenant)?.id, "name": tenant.name},
            "user": {"id": URL_SAFE_NO_PAD.encode(account.0.as_bytes()), "name": email, "displayName": name},
            "challenge": URL_SAFE_NO_PAD.encode(challenge),
            "pubKeyCredParams": accepted,
            "timeout": TIMEOUT_MS,
            "excludeCredentials": exclude,
            "authenticatorSelection": {
                "residentKey": "required", "requireResidentKey": true, "userVerification": "required",
            },
            "attestation": "none",
        });
        Ok(PasskeyRequest { ticket: self.ticket(tenant, step, Some(account), &challenge)?, options })
    }

    /// Judges a registration and adds its passkey to a batch.
    pub(crate) fn add_registered(
        &self,
        batch: Batch,
        tenant: &Tenant,
        operator: Id<id::Operator>,
        presented: &Presented,
        (response, name): (&Registration, &str),
    ) -> Result<(Batch, Passkey), OperatorError> {
        let challenge = presented.secret().ok_or(OperatorError::Expired)?;
        let made = register(response, challenge.reveal(), &party(tenant)?).map_err(invalid)?;
        let now = self.clock.now();
        let passkey = Passkey {
            id: self.with_entropy(|entropy| Id::generate(now, entropy)),
            operator,
            credential: made.credential,
            jwk: made.jwk,
            counter: made.counter,
            name: passkey_name(name)?,
            created_at: now,
            last_used_at: None,
        };
        let jwk = serde_json::to_string(&passkey.jwk).map_err(|_| store::Error::RowCorrupt)?;
        let batch = presented.spend(batch, tenant).expect(
            1,
            &sql::PASSKEY_INSERT,
            params![
                tenant.id,
                passkey.id,
                operator,
                passkey.credential.as_slice(),
                jwk,
                passkey.counter,
                passkey.name.as_str(),
                now,
            ],
        );
        Ok((batch, passkey))
    }

    /// Registers a passkey; the answer is the session's new token, whose rights may have risen.
    ///
    /// # Errors
    /// [`OperatorError::Expired`], [`AdminError::Invalid`] for a response that proves nothing,
    /// [`AdminError::Taken`] for a passkey that is registered already, the store's.
    pub async fn add_passkey(
        &self,
        tenant: &Tenant,
        live: &Live,
        ticket: &str,
        (response, name): (&Registration, &str),
        browser: &Browser,
    ) -> Result<Secret<String>, OperatorError> {
        let presented = self.open_ticket(tenant, Step::RegisterPasskey, ticket)?;
        let operator = self.own(tenant, live).await?;
        if presented.account() != Some(operator.id) || presented.ticket.version != operator.version {
            return Err(OperatorError::Expired);
        }
        let touched = params![tenant.id, operator.id, self.clock.now(), operator.version];
        let batch = Batch::new().expect(1, &sql::OPERATOR_TOUCH, touched);
        let (batch, passkey) = self.add_registered(batch, tenant, operator.id, &presented, (response, name))?;
        let known = params![tenant.id, passkey.credential.as_slice()];
        if self.store.read(&sql::PASSKEY_BY_CREDENTIAL, known).await?.is_some() {
            return Err(AdminError::Taken("passkey_taken", "this passkey is registered already".to_owned()).into());
        }
        let (batch, token) = self.renew_session(batch, tenant, live, live.session.method);
        let after = json!({"passkey": passkey.id.to_string(), "name": passkey.name});
        self.record_own(batch, tenant, live, browser, (action::PASSKEY_ADDED, after)).await?;
        Ok(token)
    }

    /// The passkeys of the person, the oldest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn passkeys(&self, tenant: &Tenant, live: &Live) -> Result<Vec<Passkey>, OperatorError> {
        Ok(self.passkeys_of(tenant, live.operator.id).await?)
    }

    async fn passkeys_of(&self, tenant: &Tenant, operator: Id<id::Operator>) -> Result<Vec<Passkey>, store::Error> {
        let rows = self.store.read_all(&sql::PASSKEYS, params![tenant.id, operator]).await?;
        rows.iter().map(Passkey::from_row).collect()
    }

    /// Gives a passkey another name.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Invalid`], the store's.
    pub async fn rename_passkey(
        &self,
        tenant: &Tenant,
        live: &Live,
        (passkey, name): (Id<id::Passkey>, &str),
        browser: &Browser,
    ) -> Result<(), OperatorError> {
        let name = passkey_name(name)?;
        let renamed = params![tenant.id, live.operator.id, passkey, name.as_str()];
        let batch = Batch::new().expect(1, &sql::PASSKEY_RENAME, renamed);
        let after = json!({"passkey": passkey.to_string(), "name": name});
        missing(self.record_own(batch, tenant, live, browser, (action::PASSKEY_RENAMED, after)).await)
    }

    /// Removes a passkey.
    ///
    /// # Errors
    /// [`OperatorError::NotFresh`], [`AdminError::NotFound`], [`AdminError::State`] when it is the last factor that the
    /// person or their role needs, the store's.
    pub async fn remove_passkey(
        &self,
        tenant: &Tenant,
        live: &Live,
        passkey: Id<id::Passkey>,
        browser: &Browser,
    ) -> Result<(), OperatorError> {
        let now = self.clock.now();
        live.require_fresh(now)?;
        let operator = self.own(tenant, live).await?;
        if !may_lose_passkey(&operator) {
            let sentence = "this is the last passkey and nothing else is there to sign in with; add another one first";
            return Err(OperatorError::state(sentence));
        }
        let batch = Batch::new()
            .expect(1, &sql::PASSKEY_DELETE, params![tenant.id, operator.id, passkey])
            .expect(1, &sql::OPERATOR_TOUCH, params![tenant.id, operator.id, now, operator.version])
            .change(ChangeKind::Operator, operator.id.to_string());
        let after = json!({"passkey": passkey.to_string()});
        missing(self.record_own(batch, tenant, live, browser, (action::PASSKEY_REMOVED, after)).await)
    }

    /// Asks for a passkey: any of this site, or those of the person whose second factor is asked.
    ///
    /// # Errors
    /// [`OperatorError::Expired`], the store's.
    pub async fn ask_passkey(
        &self,
        tenant: &Tenant,
        second_factor: Option<&str>,
    ) -> Result<PasskeyRequest, OperatorError> {
        let mut allowed = Vec::new();
        let mut account = None;
        if let Some(ticket) = second_factor {
            let presented = self.open_ticket(tenant, Step::SecondFactor, ticket)?;
            let id = presented.account().ok_or(OperatorError::Expired)?;
            let keys = self.passkeys_of(tenant, id).await?;
            allowed = keys.iter().map(|key| descriptor(&key.credential)).collect();
            account = Some((id, presented.ticket.version));
        }
        let challenge = self.challenge();
        let ticket = self.ticket(tenant, Step::AssertPasskey, account, &challenge)?;
        let options = json!({
            "rpId": party(tenant)?.id,
            "challenge": URL_SAFE_NO_PAD.encode(challenge),
            "timeout": TIMEOUT_MS,
            "allowCredentials": allowed,
            "userVerification": "required",
        });
        Ok(PasskeyRequest { ticket, options })
    }

    /// Signs in with a passkey, as first and only step or as second one.
    ///
    /// # Errors
    /// [`OperatorError::Expired`], [`OperatorError::Refused`], the store's.
    pub async fn sign_in_passkey(
        &self,
        tenant: &Tenant,
        ticket: &str,
        response: &Assertion,
        browser: &Browser,
    ) -> Result<SignedIn, OperatorError> {
        let presented = self.open_ticket(tenant, Step::AssertPasskey, ticket)?;
        let (operator, batch) = self.prove(tenant, &presented, response, browser).await?;
        let pair = self.pair(tenant, &operator.email, Some(operator.id), browser);
        let ending = Ending { operator: &operator, method: Method::Passkey, pair: &pair, browser };
        self.complete(tenant, batch, ending).await
    }

    /// Proves the person again within their session; the answer is the session's new token.
    ///
    /// # Errors
    /// Those of [`Auth::sign_in_passkey`].
    pub async fn step_up_passkey(
        &self,
        tenant: &Tenant,
        live: &Live,
        (ticket, response): (&str, &Assertion),
        browser: &Browser,
    ) -> Result<Secret<String>, OperatorError> {
        let presented = self.open_ticket(tenant, Step::AssertPasskey, ticket)?;
        let (operator, batch) = self.prove(tenant, &presented, response, browser).await?;
        if operator.id != live.operator.id {
            return Err(OperatorError::Refused);
        }
        let pair = self.pair(tenant, &operator.email, Some(operator.id), browser);
        let ending = Ending { operator: &operator, method: Method::Passkey, pair: &pair, browser };
        self.finish_step_up(tenant, live, batch, ending).await
    }

    /// The person that an assertion proves, and the batch that notes its use.
    async fn prove(
        &self,
        tenant: &Tenant,
        presented: &Presented,
        response: &Assertion,
        browser: &Browser,
    ) -> Result<(Operator, Batch), OperatorError> {
        let known = params![tenant.id, response.credential.as_slice()];
        let row = self.store.read(&sql::PASSKEY_BY_CREDENTIAL, known).await?;
        let passkey = row.as_ref().map(Passkey::from_row).transpose()?;
        let operator = match &passkey {
            Some(passkey) => self.operator(tenant.id, passkey.operator).await?,
            None => None,
        };
        let (Some(passkey), Some(operator)) = (passkey, operator) else {
            self.note_bad_passkey(tenant, None, browser).await?;
            return Err(OperatorError::Refused);
        };
        let challenge = presented.secret().ok_or(OperatorError::Expired)?;
        let is_theirs = response.user_handle.as_deref().is_none_or(|handle| handle == operator.id.as_bytes())
            && presented.account().is_none_or(|id| id == operator.id);
        let key = (&passkey.jwk, passkey.counter);
        let proved = verify(response, challenge.reveal(), &party(tenant)?, key).ok().filter(|_| is_theirs);
        let (Some(counter), None) = (proved, operator.disabled_at) else {
            self.note_bad_passkey(tenant, Some(&operator), browser).await?;
            return Err(OperatorError::Refused);
        };
        let used = params![tenant.id, passkey.id, counter, self.clock.now(), passkey.counter];
        Ok((operator, presented.spend(Batch::new(), tenant).expect(1, &sql::PASSKEY_USE, used)))
    }

    async fn note_bad_passkey(
        &self,
        tenant: &Tenant,
        operator: Option<&Operator>,
        browser: &Browser,
    ) -> Result<(), OperatorError> {
        let detail = operator.map_or("unknown passkey", |o| &o.email);
        let pair = self.pair(tenant, detail, operator.map(|o| o.id), browser);
        match self.count_attempt(tenant, &pair, detail).await {
            // Passkeys are looked at in any case.
            Ok(()) | Err(OperatorError::Wait { .. } | OperatorError::PassphraseOff) => {}
            Err(error) => return Err(error),
        }
        self.note_failure(tenant, &pair, detail, None, browser).await
    }

    fn challenge(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.with_entropy(|entropy| entropy.fill(&mut bytes));
        bytes
    }
}

/// Whether the person can still sign in, and their role is satisfied, with one passkey less.
fn may_lose_passkey(operator: &Operator) -> bool {
    let others = operator.passkeys > 1;
    others || (operator.has_passphrase() && (operator.has_totp() || !operator.role.needs_second_factor()))
}

fn passkey_name(text: &str) -> Result<String, OperatorError> {
    let name = text.trim();
    if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        let problem = FieldProblem::new("name", "bad_value", "name takes 1 to 100 characters, none of control");
        return Err(OperatorError::field(problem));
    }
    Ok(name.to_owned())
}

fn party(tenant: &Tenant) -> Result<Party, OperatorError> {
    Party::of_issuer(&tenant.issuer).ok_or_else(|| OperatorError::state("the issuer has no host name for passkeys"))
}

fn descriptor(credential: &[u8]) -> Value {
    json!({"type": "public-key", "id": URL_SAFE_NO_PAD.encode(credential)})
}

fn invalid(refusal: Refusal) -> OperatorError {
    OperatorError::field(FieldProblem::new("passkey", "bad_value", refusal.to_string()))
}

/// A guard that failed means that the passkey is not there.
fn missing(outcome: Result<(), OperatorError>) -> Result<(), OperatorError> {
    match outcome {
        Err(OperatorError::Expired) => Err(AdminError::NotFound("passkey").into()),
        other => other,
    }
}
