//! One-time links: to set up an owner, and to join as invited. 256 random bits, a keyed hash in the store.
//!
//! A setup link can be made by whoever has the machine, and by nobody else. It also brings back an owner who has lost
//! every factor: what the account proved itself by before ends with it.

use kernel::clock::Timestamp;
use kernel::event::Type;
use kernel::id::{self, Id};
use kernel::mutant;
use kernel::principal::{Principal, Subject};
use kernel::secret::{LINK, Secret, credential_bytes, generate_credential};
use record::action;
use serde_json::json;
use store::keyring::Purpose;
use store::{Batch, ChangeKind, Row, params};

use super::account::{Operator, judge_email, judge_name};
use super::browser::Browser;
use super::error::OperatorError;
use super::passkey::PasskeyRequest;
use super::passphrase::Names;
use super::role::Role;
use super::scope::OPERATORS_READ;
use super::session::{Method, SignedIn, allow_over};
use super::sign_in::person;
use super::sql;
use super::ticket::{Presented, Step};
use super::webauthn::Registration;
use crate::directory::Auth;
use crate::error::{AdminError, FieldProblem};
use record::plan::{Planned, change_record, event};
use record::tenant::Tenant;

/// Seconds a setup link is good.
pub const SETUP_SECONDS: i64 = 3_600;
/// Seconds an invitation is good.
pub const INVITATION_SECONDS: i64 = 259_200;

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkKind {
    /// To set up an owner.
    Setup,
    /// To join as invited.
    Invitation,
}

impl LinkKind {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Invitation => "invitation",
        }
    }
}

/// A link as it is stored.
#[derive(Debug, Clone)]
pub struct Link {
    /// Its id.
    pub id: Id<id::Link>,
    /// What it is for.
    pub kind: LinkKind,
    /// The invited address, folded; empty for a setup link.
    pub email: String,
    /// The role it gives.
    pub role: Role,
    /// Who made it.
    pub made_by: String,
    /// Creation.
    pub created_at: Timestamp,
    /// First moment it is no longer good.
    pub expires_at: Timestamp,
    /// When it was used, replaced or withdrawn.
    pub ended_at: Option<Timestamp>,
}

impl Link {
    /// Reads a row of [`sql::LINK_BY_HASH`].
    ///
    /// # Errors
    /// [`store::Error::RowCorrupt`] when the row is not a link.
    pub fn from_row(row: &Row) -> Result<Self, store::Error> {
        let kind = match row.text(1)? {
            "setup" => LinkKind::Setup,
            "invitation" => LinkKind::Invitation,
            _ => return Err(store::Error::RowCorrupt),
        };
        Ok(Self {
            id: row.id(0)?,
            kind,
            email: row.text(2)?.to_owned(),
            role: Role::parse(row.text(3)?).ok_or(store::Error::RowCorrupt)?,
            made_by: row.text(4)?.to_owned(),
            created_at: row.time(5)?,
            expires_at: row.time(6)?,
            ended_at: row.time_opt(7)?,
        })
    }

    /// Whether it can be used.
    pub fn is_good(&self, now: Timestamp) -> bool {
        (self.ended_at.is_none() || mutant::is("S-26-reused")) && now < self.expires_at
    }
}

/// A new link; its token is shown this once.
pub struct NewLink {
    /// The record.
    pub link: Link,
    /// The token, the last segment of the address.
    pub token: Secret<String>,
    /// The whole address.
    pub address: Secret<String>,
}

/// What a person will sign in with.
pub enum FirstFactor<'a> {
    /// A passphrase.
    Passphrase(&'a Secret<String>),
    /// A passkey, asked for by [`Auth::offer_joining_passkey`].
    Passkey {
        /// The ticket of the request.
        ticket: &'a str,
        /// What the browser answered.
        response: &'a Registration,
        /// Its name for people.
        name: &'a str,
    },
}

/// What a person fills in to take a link up.
pub struct Joining<'a> {
    /// The e-mail address; an invitation knows it already.
    pub email: Option<&'a str>,
    /// Name for people.
    pub name: &'a str,
    /// Passphrase or passkey.
    pub factor: FirstFactor<'a>,
    /// The organization's name as the setup page asks it, when it differs from the tenant's.
    pub organization: Option<&'a str>,
}

impl Auth {
    fn link_hash(&self, tenant: &Tenant, token: &str) -> [u8; 32] {
        self.operator_key(tenant, Purpose::Pepper, b"links").tag(token.as_bytes())
    }

    /// Makes a setup link; an older one ends with the same commit.
    ///
    /// # Errors
    /// [`AdminError::Forbidden`] for everybody but the process and the person at the machine, the store's.
    pub async fn create_setup_link(&self, who: &Principal, tenant: &Tenant) -> Result<NewLink, OperatorError> {
        if !matches!(who.subject, Subject::LocalOperator | Subject::System(_)) {
            return Err(AdminError::Forbidden("admin").into());
        }
        let action = action::SETUP_LINK_CREATED;
        let planned = self.plan_link(who, tenant, (LinkKind::Setup, "", Role::Owner), (SETUP_SECONDS, action));
        Ok(self.run(planned).await?)
    }

    /// Invites a person to a role; an older invitation of the same address ends with the same commit.
    ///
    /// # Errors
    /// [`AdminError::Forbidden`] without `operators:write` or for a role that holds more than the inviter,
    /// [`AdminError::Invalid`], [`AdminError::Taken`] when the address has an account, the store's.
    pub async fn invite_operator(
        &self,
        who: &Principal,
        tenant: &Tenant,
        email: &str,
        role: Role,
    ) -> Result<NewLink, OperatorError> {
        let planned = self.plan_invitation(who, tenant, email, role).await?;
        Ok(self.run(planned).await?)
    }

    /// What [`Auth::invite_operator`] carries out.
    ///
    /// # Errors
    /// Those of [`Auth::invite_operator`].
    pub async fn plan_invitation(
        &self,
        who: &Principal,
        tenant: &Tenant,
        email: &str,
        role: Role,
    ) -> Result<Planned<NewLink>, AdminError> {
        allow_over(who, role)?;
        let email = judge_email(email).map_err(|problem| AdminError::Invalid(vec![problem]))?;
        if self.operator_by_email(tenant.id, &email).await?.is_some() {
            return Err(AdminError::Taken("email_taken", format!("{email} has an account here already")));
        }
        let action = action::INVITATION_CREATED;
        Ok(self.plan_link(who, tenant, (LinkKind::Invitation, &email, role), (INVITATION_SECONDS, action)))
    }

    fn plan_link(
        &self,
        who: &Principal,
        tenant: &Tenant,
        (kind, email, role): (LinkKind, &str, Role),
        (seconds, action): (i64, &'static str),
    ) -> Planned<NewLink> {
        let now = self.clock.now();
        let (id, token) = self.with_entropy(|entropy| (Id::generate(now, entropy), generate_credential(LINK, entropy)));
        let link = Link {
            id,
            kind,
            email: email.to_owned(),
            role,
            made_by: who.actor(),
            created_at: now,
            expires_at: now.plus_seconds(seconds),
            ended_at: None,
        };
        let hash = self.link_hash(tenant, token.reveal());
        let batch = Batch::new().run(&sql::LINK_END_OLDER, params![tenant.id, kind.name(), email, now]).expect(
            1,
            &sql::LINK_INSERT,
            params![
                tenant.id,
                link.id,
                kind.name(),
                hash.as_slice(),
                email,
                role.name(),
                link.made_by.as_str(),
                now,
                link.expires_at,
            ],
        );
        let after = json!({"email": email, "role": role.name(), "expires_at": link.expires_at.to_string()});
        let object = link.id.to_string();
        let batch = if kind == LinkKind::Invitation {
            let facts = json!({"role": role.name(), "expires_at": link.expires_at.to_string()});
            batch.event(event(self, Type::OperatorInvited, (kind.name(), &object), facts))
        } else {
            batch
        };
        let record = change_record(self, who, tenant, action, (kind.name(), &object), (None, Some(after)));
        let page = match kind {
            LinkKind::Setup => "setup",
            LinkKind::Invitation => "join",
        };
        let address = Secret::new(format!("{}/console/{page}/{}", tenant.issuer, token.reveal()));
        Planned { batch, record, value: NewLink { link, token, address } }
    }

    /// The link of a token while it is good; used, expired, replaced and unknown ones are all the same.
    ///
    /// # Errors
    /// [`OperatorError::LinkGone`], the store's.
    pub async fn link(&self, tenant: &Tenant, kind: LinkKind, token: &str) -> Result<Link, OperatorError> {
        if credential_bytes::<32>(LINK, token).is_none() {
            return Err(OperatorError::LinkGone);
        }
        let hash = self.link_hash(tenant, token);
        let row = self.store.read(&sql::LINK_BY_HASH, params![tenant.id, hash.as_slice()]).await?;
        let link = row.as_ref().map(Link::from_row).transpose()?;
        link.filter(|l| l.kind == kind && l.is_good(self.clock.now())).ok_or(OperatorError::LinkGone)
    }

    /// Invitations that are still good, the oldest first.
    ///
    /// # Errors
    /// [`AdminError::Forbidden`] without `operators:read`, the store's.
    pub async fn invitations(&self, who: &Principal, tenant: &Tenant) -> Result<Vec<Link>, OperatorError> {
        if !who.holds(OPERATORS_READ) {
            return Err(AdminError::Forbidden(OPERATORS_READ).into());
        }
        let open = params![tenant.id, LinkKind::Invitation.name()];
        let rows = self.store.read_all(&sql::LINKS_OPEN, open).await?;
        let mut links = rows.iter().map(Link::from_row).collect::<Result<Vec<_>, _>>()?;
        links.retain(|link| link.is_good(self.clock.now()));
        Ok(links)
    }

    /// Withdraws an invitation.
    ///
    /// # Errors
    /// [`AdminError::Forbidden`], [`AdminError::NotFound`] when it is not open, the store's.
    pub async fn revoke_invitation(
        &self,
        who: &Principal,
        tenant: &Tenant,
        link: Id<id::Link>,
    ) -> Result<(), OperatorError> {
        let Planned { batch, record, .. } = self.plan_invitation_end(who, tenant, link).await?;
        match self.store.commit_reserved(batch, record).await {
            Ok(_) => Ok(()),
            Err(store::Error::Conflict(_)) => Err(AdminError::NotFound("invitation").into()),
            Err(error) => Err(error.into()),
        }
    }

    /// What [`Auth::revoke_invitation`] carries out.
    ///
    /// # Errors
    /// Those of [`Auth::revoke_invitation`].
    pub async fn plan_invitation_end(
        &self,
        who: &Principal,
        tenant: &Tenant,
        link: Id<id::Link>,
    ) -> Result<Planned<()>, AdminError> {
        let row = self.store.read(&sql::LINK_BY_ID, params![tenant.id, link]).await?;
        let now = self.clock.now();
        let found = row.as_ref().map(Link::from_row).transpose()?;
        let found = found.filter(|l| l.kind == LinkKind::Invitation && l.is_good(now));
        let found = found.ok_or(AdminError::NotFound("invitation"))?;
        allow_over(who, found.role)?;
        let batch = Batch::new().expect(1, &sql::LINK_END, params![tenant.id, link, now]);
        let before = json!({"email": found.email, "role": found.role.name()});
        let id = link.to_string();
        let object = (LinkKind::Invitation.name(), id.as_str());
        let record = change_record(self, who, tenant, action::INVITATION_REVOKED, object, (Some(before), None));
        Ok(Planned { batch, record, value: () })
    }

    /// Asks for the passkey that a link is to be taken up with.
    ///
    /// # Errors
    /// [`OperatorError::LinkGone`], [`AdminError::Invalid`], the store's.
    pub async fn offer_joining_passkey(
        &self,
        tenant: &Tenant,
        kind: LinkKind,
        token: &str,
        (email, name): (Option<&str>, &str),
    ) -> Result<PasskeyRequest, OperatorError> {
        let link = self.link(tenant, kind, token).await?;
        let email = match kind {
            LinkKind::Invitation => link.email,
            LinkKind::Setup => judge_email(email.unwrap_or_default()).map_err(OperatorError::field)?,
        };
        let name = judge_name(name).map_err(OperatorError::field)?;
        let now = self.clock.now();
        let account = match self.operator_by_email(tenant.id, &email).await? {
            Some(operator) => (operator.id, operator.version),
            None => (self.with_entropy(|entropy| Id::generate(now, entropy)), 0),
        };
        self.ask_registration(tenant, Step::JoinByPasskey, account, (&email, &name, Vec::new()))
    }

    /// Takes a link up with a passphrase or a passkey: makes the account, or brings an owner's back, and signs the person in.
    ///
    /// # Errors
    /// [`OperatorError::LinkGone`], [`AdminError::Invalid`] with every reason, [`AdminError::Taken`],
    /// [`OperatorError::Busy`], the store's.
    pub async fn join(
        &self,
        tenant: &Tenant,
        kind: LinkKind,
        token: &str,
        joining: Joining<'_>,
        browser: &Browser,
    ) -> Result<SignedIn, OperatorError> {
        let link = self.link(tenant, kind, token).await?;
        let mut problems: Vec<FieldProblem> = Vec::new();
        let email = match kind {
            LinkKind::Invitation => link.email.clone(),
            LinkKind::Setup => judge_email(joining.email.unwrap_or_default()).unwrap_or_else(|problem| {
                problems.push(problem);
                String::new()
            }),
        };
        let name = judge_name(joining.name).unwrap_or_else(|problem| {
            problems.push(problem);
            String::new()
        });
        let organization = joining.organization.unwrap_or(&tenant.name);
        let names = Names { email: &email, person: &name, organization };
        if let FirstFactor::Passphrase(text) = &joining.factor
            && let Err(refusals) = super::passphrase::judge(text.reveal(), names)
        {
            problems.extend(refusals.into_iter().map(|refusal| refusal.problem("passphrase")));
        }
        if !problems.is_empty() {
            return Err(AdminError::Invalid(problems).into());
        }
        let (hash, presented) = match &joining.factor {
            FirstFactor::Passphrase(text) => (Some(self.hash_new_passphrase(text, names).await?), None),
            FirstFactor::Passkey { ticket, .. } => (None, Some(self.open_ticket(tenant, Step::JoinByPasskey, ticket)?)),
        };
        let existing = self.operator_by_email(tenant.id, &email).await?;
        let now = self.clock.now();
        let batch = Batch::new().expect(1, &sql::LINK_END, params![tenant.id, link.id, now]);
        let (batch, operator, was) = match existing {
            Some(_) if kind == LinkKind::Invitation => {
                return Err(AdminError::Taken("email_taken", format!("{email} has an account here already")).into());
            }
            Some(operator) => {
                let was = json!({"role": operator.role.name(), "disabled": operator.disabled_at.is_some()});
                let (batch, operator) = recovered(batch, tenant, operator, &name, hash, now);
                (batch, operator, Some(was))
            }
            None => {
                let fresh = || self.with_entropy(|entropy| Id::generate(now, entropy));
                let id = presented.as_ref().and_then(Presented::account).unwrap_or_else(fresh);
                let (batch, operator) = created(batch, tenant, (id, &email, &name), (link.role, hash), now);
                (batch, operator, None)
            }
        };
        let (batch, operator) = match (&joining.factor, &presented) {
            (FirstFactor::Passkey { response, name, .. }, Some(presented)) => {
                // The passkey carries the id it was asked for.
                if presented.account() != Some(operator.id) {
                    return Err(OperatorError::Expired);
                }
                let (batch, _) = self.add_registered(batch, tenant, operator.id, presented, (response, name))?;
                (batch, Operator { passkeys: 1, ..operator })
            }
            _ => (batch, operator),
        };
        let method = match kind {
            LinkKind::Setup => Method::SetupLink,
            LinkKind::Invitation => Method::Invitation,
        };
        let pair = self.pair(tenant, &email, Some(operator.id), browser);
        let batch = batch
            .run(&sql::ATTEMPT_CLEAR, params![tenant.id, pair.account.as_slice(), pair.place.as_slice()])
            .change(ChangeKind::Operator, operator.id.to_string());
        let (batch, signed_in) = self.open_session(batch, tenant, &operator, method, browser);
        let who = person(tenant, &operator, method, browser);
        let action = if was.is_some() { action::OPERATOR_RECOVERED } else { action::OPERATOR_CREATED };
        let after = json!({
            "email": email, "name": name, "role": operator.role.name(),
            "factor": if operator.has_passphrase() { "passphrase" } else { "passkey" },
            "link": link.id.to_string(), "made_by": link.made_by,
            "session": signed_in.live.session.id.to_string(),
        });
        let id = operator.id.to_string();
        let record = change_record(self, &who, tenant, action, ("operator", &id), (was, Some(after)));
        match self.store.commit(batch, record).await {
            Ok(_) => Ok(signed_in),
            Err(store::Error::Conflict(_)) => Err(OperatorError::LinkGone),
            Err(error) => Err(error.into()),
        }
    }
}

/// A new account.
fn created(
    batch: Batch,
    tenant: &Tenant,
    (id, email, name): (Id<id::Operator>, &str, &str),
    (role, hash): (Role, Option<Vec<u8>>),
    now: Timestamp,
) -> (Batch, Operator) {
    let row = params![tenant.id, id, email, name, role.name(), hash.clone(), now];
    let mut batch = batch.expect(1, &sql::OPERATOR_INSERT, row);
    if role == Role::Owner {
        batch = one_owner_more(batch, tenant);
    }
    let operator = Operator {
        id,
        email: email.into(),
        name: name.to_owned(),
        role,
        passphrase: hash,
        totp: None,
        totp_step: 0,
        passkeys: 0,
        disabled_at: None,
        signed_in_at: Some(now),
        version: 1,
        created_at: now,
        updated_at: now,
    };
    (batch, operator)
}

/// An owner brought back: a new passphrase, and nothing left of what the account proved itself by before.
fn recovered(
    batch: Batch,
    tenant: &Tenant,
    operator: Operator,
    name: &str,
    hash: Option<Vec<u8>>,
    now: Timestamp,
) -> (Batch, Operator) {
    let (none, enabled): (Option<Vec<u8>>, Option<Timestamp>) = (None, None);
    let next = operator.version.saturating_add(1);
    let mut batch = batch
        .expect(
            1,
            &sql::OPERATOR_UPDATE,
            params![tenant.id, operator.id, name, Role::Owner.name(), enabled, now, operator.version],
        )
        .expect(1, &sql::OPERATOR_FACTORS, params![tenant.id, operator.id, hash.clone(), none, 0_i64, now, next])
        .run(&sql::RECOVERY_DELETE, params![tenant.id, operator.id])
        .run(&sql::PASSKEY_DELETE_ALL, params![tenant.id, operator.id])
        .run(&sql::SESSION_DELETE_ALL, params![tenant.id, operator.id]);
    if operator.role != Role::Owner || operator.disabled_at.is_some() {
        batch = one_owner_more(batch, tenant);
    }
    let operator = Operator {
        name: name.to_owned(),
        role: Role::Owner,
        passphrase: hash,
        totp: None,
        totp_step: 0,
        passkeys: 0,
        disabled_at: None,
        version: next.saturating_add(1),
        updated_at: now,
        ..operator
    };
    (batch, operator)
}

/// Counts an active owner.
pub(crate) fn one_owner_more(batch: Batch, tenant: &Tenant) -> Batch {
    batch.run(&sql::OWNERS_OPEN, params![tenant.id]).expect(1, &sql::OWNERS_MORE, params![tenant.id])
}
