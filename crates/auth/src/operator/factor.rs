//! What a signed-in person proves themselves by: setting up one-time codes, recovery codes, another passphrase.

use jose::mac::HmacKey;
use jose::seal::SealKey;
use kernel::id::{self, Id};
use kernel::secret::Secret;
use record::action;
use serde_json::{Value, json};
use store::keyring::Purpose;
use store::{Batch, ChangeKind, params};

use super::account::Operator;
use super::browser::Browser;
use super::error::OperatorError;
use super::passphrase::{self, Names, Refusal};
use super::session::{Live, SignedIn};
use super::ticket::Step;
use super::{recovery, sql, totp};
use crate::directory::Auth;
use crate::error::{AdminError, FieldProblem};
use record::plan::change_record;
use record::tenant::Tenant;

/// One-time codes about to be set up; nothing is stored until the first code proves that the app has the secret.
pub struct TotpOffer {
    /// What the confirmation brings back.
    pub ticket: Secret<String>,
    /// The secret in base32, to be typed by hand.
    pub secret: Secret<String>,
    /// The `otpauth` address for a QR code.
    pub address: Secret<String>,
}

/// One-time codes set up.
pub struct TotpEnrolled {
    /// Ten recovery codes, shown this once.
    pub recovery_codes: Vec<Secret<String>>,
    /// The session's new token: its rights may have risen.
    pub token: Secret<String>,
}

impl Auth {
    async fn totp_key(&self, tenant: &Tenant) -> Result<SealKey, store::Error> {
        let mut entropy = self.fresh_entropy();
        self.keyring.data_key(&self.store, tenant.id, "operator_totp", self.clock.now(), &mut entropy).await
    }

    /// The secret of one-time codes as it was set up.
    pub(crate) async fn open_totp(
        &self,
        tenant: &Tenant,
        operator: Id<id::Operator>,
        sealed: &[u8],
    ) -> Result<Secret<Vec<u8>>, store::Error> {
        self.totp_key(tenant).await?.open(sealed, &totp_place(tenant, operator)).map_err(|_| store::Error::RowCorrupt)
    }

    /// The key of an operator's recovery codes.
    pub(crate) fn recovery_key(&self, tenant: &Tenant, operator: Id<id::Operator>) -> HmacKey {
        self.operator_key(tenant, Purpose::Pepper, &[b"recovery codes".as_slice(), operator.as_bytes()].concat())
    }

    /// Ten new codes in place of all older ones.
    fn add_recovery_codes(&self, batch: Batch, tenant: &Tenant, operator: &Operator) -> (Batch, Vec<Secret<String>>) {
        let key = self.recovery_key(tenant, operator.id);
        let codes = self.with_entropy(recovery::generate);
        let mut batch = batch.run(&sql::RECOVERY_DELETE, params![tenant.id, operator.id]);
        for hash in codes.iter().filter_map(|code| recovery::hash(&key, code.reveal())) {
            batch = batch.expect(1, &sql::RECOVERY_INSERT, params![tenant.id, operator.id, hash.as_slice()]);
        }
        (batch, codes)
    }

    /// Offers a secret for an authenticator app. Whoever has a second factor already needs a fresh sign-in.
    ///
    /// # Errors
    /// [`OperatorError::NotFresh`], the store's.
    pub async fn offer_totp(&self, tenant: &Tenant, live: &Live) -> Result<TotpOffer, OperatorError> {
        let operator = self.own(tenant, live).await?;
        if operator.has_second_factor() {
            live.require_fresh(self.clock.now())?;
        }
        let secret = self.with_entropy(totp::generate);
        let account = Some((operator.id, operator.version));
        Ok(TotpOffer {
            ticket: self.ticket(tenant, Step::EnrollTotp, account, secret.reveal())?,
            secret: Secret::new(totp::base32(secret.reveal())),
            address: totp::address(secret.reveal(), &tenant.name, &operator.email),
        })
    }

    /// Sets one-time codes up, once a first code is right.
    ///
    /// # Errors
    /// [`OperatorError::Expired`], [`AdminError::Invalid`] for a wrong code, the store's.
    pub async fn enroll_totp(
        &self,
        tenant: &Tenant,
        live: &Live,
        (ticket, code): (&str, &str),
        browser: &Browser,
    ) -> Result<TotpEnrolled, OperatorError> {
        let presented = self.open_ticket(tenant, Step::EnrollTotp, ticket)?;
        let operator = self.own(tenant, live).await?;
        if presented.account() != Some(operator.id) || presented.ticket.version != operator.version {
            return Err(OperatorError::Expired);
        }
        let secret = presented.secret().ok_or(OperatorError::Expired)?;
        let now = self.clock.now();
        let Some(step) = totp::accept(secret.reveal(), code, 0, now) else {
            let detail = "this is not the code of this moment; check the clock of the device that shows it";
            return Err(OperatorError::field(FieldProblem::new("code", "bad_value", detail)));
        };
        let place = totp_place(tenant, operator.id);
        let sealed = self.totp_key(tenant).await?.seal(secret.reveal(), &place, &mut self.fresh_entropy())?;
        let stored = operator.passphrase.clone();
        let batch = presented.spend(Batch::new(), tenant).expect(
            1,
            &sql::OPERATOR_FACTORS,
            params![tenant.id, operator.id, stored, sealed, step, now, operator.version],
        );
        let (batch, recovery_codes) = self.add_recovery_codes(batch, tenant, &operator);
        let (batch, token) = self.renew_session(batch, tenant, live, live.session.method);
        let after = json!({"totp": "changed", "recovery_codes": recovery::CODES});
        self.record_own(batch, tenant, live, browser, (action::TOTP_ENABLED, after)).await?;
        Ok(TotpEnrolled { recovery_codes, token })
    }

    /// Gives one-time codes and recovery codes up.
    ///
    /// # Errors
    /// [`OperatorError::NotFresh`], [`AdminError::State`] when the role needs them, the store's.
    pub async fn remove_totp(&self, tenant: &Tenant, live: &Live, browser: &Browser) -> Result<(), OperatorError> {
        let now = self.clock.now();
        live.require_fresh(now)?;
        let operator = self.own(tenant, live).await?;
        if !operator.has_totp() {
            return Err(AdminError::NotFound("authenticator").into());
        }
        if operator.role.needs_second_factor() && operator.passkeys == 0 {
            return Err(OperatorError::state("your role needs a second factor; add a passkey first"));
        }
        let none: Option<Vec<u8>> = None;
        let batch = Batch::new()
            .expect(
                1,
                &sql::OPERATOR_FACTORS,
                params![tenant.id, operator.id, operator.passphrase.clone(), none, 0_i64, now, operator.version],
            )
            .run(&sql::RECOVERY_DELETE, params![tenant.id, operator.id])
            .change(ChangeKind::Operator, operator.id.to_string());
        self.record_own(batch, tenant, live, browser, (action::TOTP_DISABLED, json!({"totp": null}))).await
    }

    /// Ten new recovery codes, shown this once; the older ones end.
    ///
    /// # Errors
    /// [`OperatorError::NotFresh`], the store's.
    pub async fn renew_recovery_codes(
        &self,
        tenant: &Tenant,
        live: &Live,
        browser: &Browser,
    ) -> Result<Vec<Secret<String>>, OperatorError> {
        let now = self.clock.now();
        live.require_fresh(now)?;
        let operator = self.own(tenant, live).await?;
        if !operator.has_second_factor() {
            return Err(OperatorError::state("recovery codes stand in for a second factor; set one up first"));
        }
        let touched = params![tenant.id, operator.id, now, operator.version];
        let batch = Batch::new().expect(1, &sql::OPERATOR_TOUCH, touched);
        let (batch, codes) = self.add_recovery_codes(batch, tenant, &operator);
        let batch = batch.change(ChangeKind::Operator, operator.id.to_string());
        let after = json!({"recovery_codes": recovery::CODES});
        self.record_own(batch, tenant, live, browser, (action::RECOVERY_RENEWED, after)).await?;
        Ok(codes)
    }

    /// How many recovery codes a person has left.
    ///
    /// # Errors
    /// The store's.
    pub async fn recovery_codes_left(&self, tenant: &Tenant, live: &Live) -> Result<i64, store::Error> {
        let row = self.store.read(&sql::RECOVERY_LEFT, params![tenant.id, live.operator.id]).await?;
        row.ok_or(store::Error::RowCorrupt)?.int(0)
    }

    /// Sets or changes the person's passphrase: every session ends, and this browser gets a new one.
    ///
    /// # Errors
    /// [`OperatorError::NotFresh`], [`AdminError::Invalid`] with each reason, [`OperatorError::Busy`], the store's.
    pub async fn change_passphrase(
        &self,
        tenant: &Tenant,
        live: &Live,
        passphrase: &Secret<String>,
        browser: &Browser,
    ) -> Result<SignedIn, OperatorError> {
        let now = self.clock.now();
        live.require_fresh(now)?;
        let operator = self.own(tenant, live).await?;
        let names = Names { email: &operator.email, person: &operator.name, organization: &tenant.name };
        let hash = self.hash_new_passphrase(passphrase, names).await?;
        let batch = Batch::new()
            .expect(
                1,
                &sql::OPERATOR_FACTORS,
                params![tenant.id, operator.id, hash, operator.totp.clone(), operator.totp_step, now, operator.version],
            )
            .run(&sql::SESSION_DELETE_ALL, params![tenant.id, operator.id])
            .change(ChangeKind::Operator, operator.id.to_string());
        let operator = Operator { version: operator.version.saturating_add(1), ..operator };
        let (batch, signed_in) = self.open_session(batch, tenant, &operator, live.session.method, browser);
        let after = json!({"passphrase": "changed", "session": signed_in.live.session.id.to_string()});
        self.record_own(batch, tenant, live, browser, (action::PASSPHRASE_CHANGED, after)).await?;
        Ok(signed_in)
    }

    /// Judges and hashes a new passphrase.
    pub(crate) async fn hash_new_passphrase(
        &self,
        text: &Secret<String>,
        names: Names<'_>,
    ) -> Result<Vec<u8>, OperatorError> {
        let normal = passphrase::judge(text.reveal(), names).map_err(|refusals| {
            let problems = refusals.into_iter().map(|refusal: Refusal| refusal.problem("passphrase")).collect();
            AdminError::Invalid(problems)
        })?;
        Ok(self.authenticator.hash_passphrase(normal.reveal(), &mut self.fresh_entropy()).await?)
    }

    /// The person of a session, past the cache: what a decision about them starts from.
    pub(crate) async fn own(&self, tenant: &Tenant, live: &Live) -> Result<Operator, OperatorError> {
        let found = self.operator(tenant.id, live.operator.id).await?.filter(|o| o.disabled_at.is_none());
        found.ok_or(OperatorError::Refused)
    }

    /// Commits what a person did to their own account.
    pub(crate) async fn record_own(
        &self,
        batch: Batch,
        tenant: &Tenant,
        live: &Live,
        browser: &Browser,
        (action, after): (&'static str, Value),
    ) -> Result<(), OperatorError> {
        let who = live.principal(browser, tenant.id);
        let id = live.operator.id.to_string();
        let record = change_record(self, &who, tenant, action, ("operator", &id), (None, Some(after)));
        self.commit_once(batch, record).await
    }
}

fn totp_place(tenant: &Tenant, operator: Id<id::Operator>) -> Vec<u8> {
    [b"operator\0totp\0".as_slice(), tenant.id.as_bytes(), operator.as_bytes()].concat()
}
