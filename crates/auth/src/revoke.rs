//! Revocation (RFC 7009): of one access token, of a refresh family, of everything a client holds.

use kernel::event::Type;
use kernel::id::{self, Id, Kind};
use kernel::mutant;
use kernel::principal::{Principal, Subject};
use kernel::secret::REFRESH_TOKEN;
use record::action;
use record::entry::Jti;
use serde_json::json;
use store::{Batch, ChangeKind, params};

use crate::client::Client;
use crate::denial::token_key;
use crate::directory::Auth;
use crate::error::{AdminError, OauthError};
use crate::family::{Family, RefreshToken};
use crate::sql;
use record::epoch::MEMORY_SECONDS;
use record::plan::{Planned, change_record, event};
use record::tenant::Tenant;

impl Auth {
    /// Revokes a token for the client it was issued to. Unknown tokens and those of others change nothing.
    ///
    /// # Errors
    /// The store's: then the token must not be claimed revoked.
    pub async fn revoke(
        &self,
        who: &Principal,
        tenant: &Tenant,
        client: &Client,
        token: &str,
    ) -> Result<(), OauthError> {
        let everyones = client.settings.scopes.iter().any(|s| matches!(&**s, "tokens:revoke" | "admin"));
        if token.starts_with(REFRESH_TOKEN) {
            let Some(presented) = RefreshToken::parse(tenant, token) else { return Ok(()) };
            let Some(family) = self.family_of(tenant, &presented).await? else { return Ok(()) };
            if family.client != client.id && !everyones {
                return Ok(());
            }
            let planned = self.plan_family_end(who, tenant, &family, "revoked");
            return match self.store.commit_reserved(planned.batch, planned.record).await {
                // The guard says that it has ended already: nothing is left to do.
                Ok(_) | Err(store::Error::Conflict(_)) => Ok(()),
                Err(error) => Err(error.into()),
            };
        }
        let Some(verified) = self.verify_access_token(tenant, token).await? else { return Ok(()) };
        let now = self.clock.now();
        let own = *verified.claims.client_id == *client.client_id || mutant::is("C07-foreign");
        if (!own && !everyones) || verified.claims.exp <= now.as_seconds() {
            return Ok(());
        }
        let claims = &verified.claims;
        let planned = self.plan_token_end(who, tenant, &verified.jti, (client.id, &claims.client_id), claims.exp);
        self.store.commit_reserved(planned.batch, planned.record).await?;
        Ok(())
    }

    /// The end of one access token, which would end by itself at `exp`, in seconds. The client is the one that the
    /// denial belongs to, with the public id of the one that the token was issued to.
    pub fn plan_token_end(
        &self,
        who: &Principal,
        tenant: &Tenant,
        jti: &Jti,
        (client, client_id): (Id<id::Client>, &str),
        exp: i64,
    ) -> Planned<()> {
        let key = token_key(jti.token);
        let until = kernel::clock::Timestamp::from_seconds(exp.saturating_add(60));
        let name = jti.to_string();
        let data = json!({"jti": name, "client_id": client_id});
        let ends_at = kernel::clock::Timestamp::from_seconds(exp).to_string();
        let facts = json!({"client_id": client_id, "expires_at": ends_at});
        let batch = Batch::new()
            .run(&sql::DENIED_INSERT, params![tenant.id, key.as_str(), client, until])
            .change_until(ChangeKind::Denied, key.as_str(), until.as_micros())
            .event(event(self, Type::TokenRevoked, ("token", &name), facts));
        let record = change_record(self, who, tenant, action::TOKEN_REVOKED, ("token", &name), (None, Some(data)));
        Planned { batch, record, value: () }
    }

    /// The end of a family and of its access tokens.
    pub fn plan_family_end(
        &self,
        who: &Principal,
        tenant: &Tenant,
        family: &Family,
        reason: &'static str,
    ) -> Planned<()> {
        let now = self.clock.now();
        let until = now.plus_seconds(MEMORY_SECONDS);
        let id = family.id.to_string();
        let secret = family.credential.to_string();
        let data = json!({"family": id, "credential": secret, "reason": reason});
        let ends_at = family.absolute_deadline.to_string();
        let facts = json!({"secret_id": secret, "reason": reason, "expires_at": ends_at});
        let batch = Batch::new()
            .expect(1, &sql::FAMILY_END, params![tenant.id, family.id, now, reason])
            .run(&sql::DENIED_INSERT, params![tenant.id, id.as_str(), family.client, until])
            .change_until(ChangeKind::Denied, id.as_str(), until.as_micros())
            .event(event(self, Type::TokenRevoked, ("family", &id), facts));
        let record = change_record(self, who, tenant, action::FAMILY_REVOKED, ("family", &id), (None, Some(data)));
        Planned { batch, record, value: () }
    }

    /// Ends every token and refresh family of a client, by raising its not-before number.
    pub fn plan_revoke_all(&self, who: &Principal, tenant: &Tenant, client: &Client) -> Planned<()> {
        let data = json!({"client_id": client.client_id});
        let batch = self
            .end_everything(Batch::new(), tenant, client.id, "tokens_revoked")
            .change(ChangeKind::Client, &*client.client_id)
            .event(event(self, Type::ClientTokensRevoked, ("client", &client.client_id), json!({})));
        let object = ("client", &*client.client_id);
        let record = change_record(self, who, tenant, action::CLIENT_TOKENS_REVOKED, object, (None, Some(data)));
        Planned { batch, record, value: () }
    }

    /// Adds the end of all tokens and families of a client to a batch.
    pub fn end_everything(&self, batch: Batch, tenant: &Tenant, client: Id<id::Client>, reason: &'static str) -> Batch {
        let now = self.clock.now();
        let batch = batch.run(&sql::FAMILY_END_CLIENT, params![tenant.id, client, now, reason]);
        self.raise_epoch(batch, tenant, client)
    }

    /// Adds a not-before number for a client, a credential or a tenant to a batch: tokens stamped with a lower
    /// feed number than this commit's are dead.
    pub fn raise_epoch<K: Kind>(&self, batch: Batch, tenant: &Tenant, of: Id<K>) -> Batch {
        record::epoch::raise(batch, tenant.id, of, self.clock.now())
    }

    /// A client at the revocation endpoint as a principal.
    pub fn as_principal(
        &self,
        tenant: &Tenant,
        who: &crate::credential::Authenticated,
        source: Option<std::net::IpAddr>,
        request: Id<id::Request>,
    ) -> Principal {
        Principal {
            tenant: tenant.id,
            subject: Subject::Client(std::sync::Arc::clone(&who.client.client_id)),
            credential: who.credential,
            scopes: std::sync::Arc::from([]),
            source,
            request,
        }
    }

    /// A live family of a client by id.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] and the store's.
    pub async fn family(&self, tenant: &Tenant, client: &Client, id: Id<id::Family>) -> Result<Family, AdminError> {
        let row = self.store.read(&sql::FAMILY_BY_ID, params![tenant.id, id]).await?;
        let family = row.as_ref().map(Family::from_row).transpose()?;
        family.filter(|f| f.client == client.id && f.ended_at.is_none()).ok_or(AdminError::NotFound("token family"))
    }
}
