//! Adding, ending and listing the dated secrets of a client: rotation without a gap in one commit.

use std::ops::RangeInclusive;
use std::sync::Arc;

use kernel::clock::Timestamp;
use kernel::event::Type;
use kernel::id::{self, Id};
use kernel::principal::Principal;
use kernel::secret::{CLIENT_SECRET, Secret, generate_credential};
use record::action;
use serde_json::json;
use store::{Batch, ChangeKind, params};

use crate::client::{AuthMethod, Client, MAX_LIVE_SECRETS};
use crate::client_change::hint_of;
use crate::credential::{Credential, SecretKind};
use crate::directory::Auth;
use crate::error::{AdminError, FieldProblem};
use crate::family::Family;
use crate::sql;
use record::plan::{Planned, change_record, event};
use record::tenant::Tenant;

/// Longest overlap of a rotation, in seconds: 30 days.
pub const OVERLAP_SECONDS: RangeInclusive<i64> = 0..=2_592_000;

/// The body of `POST /api/clients/{client_id}/secrets`, read but not judged.
#[derive(Default)]
pub struct SecretFields {
    /// Problems that reading has found already.
    pub problems: Vec<FieldProblem>,
    /// Label for people.
    pub label: Option<String>,
    /// First moment it is good.
    pub not_before: Option<Timestamp>,
    /// First moment it is no longer good.
    pub expires_at: Option<Timestamp>,
    /// A narrower set of scopes.
    pub scopes: Option<Vec<String>>,
    /// When the other live secrets end, counted from now.
    pub expire_others_in_seconds: Option<i64>,
}

/// A new secret, shown once.
pub struct NewSecret {
    /// The record.
    pub credential: Credential,
    /// Its text.
    pub text: Secret<String>,
}

impl Auth {
    /// Adds a secret, and sets the end of the others in the same commit when asked.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Invalid`], [`AdminError::TooMany`], the store's.
    pub async fn add_secret(
        &self,
        who: &Principal,
        tenant: &Tenant,
        client_id: &str,
        fields: SecretFields,
    ) -> Result<Planned<NewSecret>, AdminError> {
        let client = self.read_client(tenant.id, client_id).await?.ok_or(AdminError::NotFound("client"))?;
        let now = self.clock.now();
        let credential = self.judge_new_secret(&client, &fields, now)?;
        let text = self.with_entropy(|entropy| generate_credential(CLIENT_SECRET, entropy));
        let credential = Credential {
            hash: tenant.pepper.tag(text.reveal().as_bytes()).to_vec(),
            hint: hint_of(text.reveal()),
            ..credential
        };
        let scopes = credential.scopes.as_ref().map(|s| s.join(" "));
        let mut batch =
            Batch::new().expect(1, &sql::CLIENT_TOUCH, params![tenant.id, client.id, client.version, now]).expect(
                1,
                &sql::CREDENTIAL_INSERT,
                params![
                    tenant.id,
                    credential.id,
                    client.id,
                    credential.label.as_str(),
                    credential.kind.name(),
                    credential.hash.as_slice(),
                    credential.root_version,
                    credential.hint.as_str(),
                    scopes,
                    credential.not_before,
                    credential.expires_at,
                    now,
                ],
            );
        let mut ended = Vec::new();
        if let Some(overlap) = fields.expire_others_in_seconds {
            let end = now.plus_seconds(overlap);
            for other in client.credentials.iter().filter(|c| c.is_unended(now)) {
                batch = batch.run(&sql::CREDENTIAL_EXPIRE, params![tenant.id, other.id, end]);
                ended.push(other.id.to_string());
            }
        }
        let id = credential.id.to_string();
        let facts = json!({"client_id": client_id, "label": credential.label});
        let note = event(self, Type::SecretCreated, ("secret", &id), facts);
        let batch = batch.change(ChangeKind::Client, client_id).event(note);
        let after = json!({
            "client_id": client_id, "label": credential.label, "secret": "changed",
            "expires_at": credential.expires_at.map(|t| t.to_string()),
            "others_end_in_seconds": fields.expire_others_in_seconds, "others": ended,
        });
        let record = change_record(self, who, tenant, action::SECRET_CREATED, ("secret", &id), (None, Some(after)));
        Ok(Planned { batch, record, value: NewSecret { credential, text } })
    }

    fn judge_new_secret(
        &self,
        client: &Client,
        fields: &SecretFields,
        now: Timestamp,
    ) -> Result<Credential, AdminError> {
        let mut problems = fields.problems.clone();
        let not_before = fields.not_before.unwrap_or(now);
        if fields.expires_at.is_some_and(|end| end <= now || end <= not_before) {
            let detail = "expires_at must lie in the future and after not_before";
            problems.push(FieldProblem::new("expires_at", "out_of_range", detail));
        }
        if fields.expire_others_in_seconds.is_some_and(|s| !OVERLAP_SECONDS.contains(&s)) {
            let detail = "expire_others_in_seconds takes 0 to 2592000 (30 days)";
            problems.push(FieldProblem::new("expire_others_in_seconds", "out_of_range", detail));
        }
        if fields.label.as_ref().is_some_and(|l| l.chars().count() > 200 || l.chars().any(char::is_control)) {
            let detail = "label takes up to 200 characters, none of control";
            problems.push(FieldProblem::new("label", "bad_value", detail));
        }
        for (index, scope) in fields.scopes.iter().flatten().enumerate() {
            if !client.settings.scopes.iter().any(|s| **s == **scope) {
                let detail = format!("{scope} is not among the scopes of this client");
                problems.push(FieldProblem { pointer: format!("/scopes/{index}"), code: "bad_value", detail });
            }
        }
        if client.settings.token_endpoint_auth_method == AuthMethod::None {
            let detail = "a public client (token_endpoint_auth_method none) has no secret";
            problems.push(FieldProblem::new("label", "bad_value", detail));
        }
        if !problems.is_empty() {
            return Err(AdminError::Invalid(problems));
        }
        let ends_now = fields.expire_others_in_seconds == Some(0);
        let live = client.credentials.iter().filter(|c| c.is_unended(now)).count();
        if !ends_now && live >= MAX_LIVE_SECRETS {
            let detail = format!("this client holds {MAX_LIVE_SECRETS} live secrets; end one first");
            return Err(AdminError::TooMany("too_many_secrets", detail));
        }
        Ok(Credential {
            id: self.with_entropy(|entropy| Id::generate(now, entropy)),
            client: client.id,
            label: fields.label.clone().unwrap_or_default(),
            kind: SecretKind::Generated,
            hash: Vec::new(),
            root_version: 1,
            hint: String::new(),
            scopes: fields.scopes.as_ref().map(|list| list.iter().map(|s| Arc::from(s.as_str())).collect()),
            not_before,
            expires_at: fields.expires_at,
            revoked_at: None,
            last_used_at: None,
            created_at: now,
        })
    }

    /// Ends a secret at once and with it every refresh family it started; its access tokens too when asked.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], the store's.
    pub async fn revoke_secret(
        &self,
        who: &Principal,
        tenant: &Tenant,
        client_id: &str,
        secret: Id<id::Secret>,
        revoke_tokens: bool,
    ) -> Result<Planned<()>, AdminError> {
        let client = self.read_client(tenant.id, client_id).await?.ok_or(AdminError::NotFound("client"))?;
        let credential = client
            .credentials
            .iter()
            .find(|c| c.id == secret && c.revoked_at.is_none())
            .ok_or(AdminError::NotFound("secret"))?;
        let now = self.clock.now();
        let id = secret.to_string();
        let families = self.store.read_all(&sql::FAMILIES_OF_CREDENTIAL, params![tenant.id, secret]).await?;
        let mut batch = Batch::new()
            .expect(1, &sql::CREDENTIAL_REVOKE, params![tenant.id, secret, now])
            .run(&sql::FAMILY_END_CREDENTIAL, params![tenant.id, secret, now, "secret_revoked"])
            .change(ChangeKind::Client, client_id);
        let until = now.plus_seconds(record::epoch::MEMORY_SECONDS);
        for row in &families {
            let family = row.id::<id::Family>(0)?.to_string();
            batch = batch.run(&sql::DENIED_INSERT, params![tenant.id, family.as_str(), client.id, until]).change_until(
                ChangeKind::Denied,
                family,
                until.as_micros(),
            );
        }
        if revoke_tokens {
            batch = self.raise_epoch(batch, tenant, secret);
        }
        let facts = json!({"client_id": client_id, "label": credential.label});
        let batch = batch.event(event(self, Type::SecretRevoked, ("secret", &id), facts));
        let before = json!({"status": credential.status(now)});
        let after = json!({"status": "revoked", "tokens_revoked": revoke_tokens, "families_ended": families.len()});
        let record =
            change_record(self, who, tenant, action::SECRET_REVOKED, ("secret", &id), (Some(before), Some(after)));
        Ok(Planned { batch, record, value: () })
    }

    /// Live families of a client, oldest first.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], the store's.
    pub async fn families(
        &self,
        tenant: &Tenant,
        client_id: &str,
        after: Option<Id<id::Family>>,
        limit: i64,
    ) -> Result<Vec<Family>, AdminError> {
        let client = self.read_client(tenant.id, client_id).await?.ok_or(AdminError::NotFound("client"))?;
        let after = after.unwrap_or(Id::from_bytes([0; 16]));
        let now = self.clock.now();
        let rows =
            self.store.read_all(&sql::FAMILIES_OF_CLIENT, params![tenant.id, client.id, now, after, limit]).await?;
        Ok(rows.iter().map(Family::from_row).collect::<Result<Vec<_>, _>>()?)
    }
}
