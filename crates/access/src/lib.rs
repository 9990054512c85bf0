//! What needs several products: tokens and their introspection under the standing of the customer, and the changes of one
//! product that rest on a row of another.
//!
//! Nothing here decides by itself what a product decides: it reads of one and asks the other, or joins their batches.

mod charge;
mod usage;

use std::net::IpAddr;
use std::sync::Arc;

use auth::Auth;
use auth::catalog::Ask;
use auth::client::Client;
use auth::client_change::{ClientFields, ClientView};
use auth::credential::Authenticated;
use auth::error::{AdminError, FieldProblem, OauthError};
use auth::grant::{Outcome, Preview, Terms, TokenAnswer, TokenRequest};
use auth::introspect::{Caller, INACTIVE};
use auth::limit::LimitState;
use billing::Billing;
use kernel::id::{self, Id};
use kernel::principal::Principal;
use kernel::standing::Standing;
use record::plan::Planned;
use record::tenant::Tenant;
use store::params;

use crate::charge::Held;

/// The products of one process, together.
pub struct Access {
    /// Machines and their tokens.
    pub auth: Arc<Auth>,
    /// Who pays, and what for.
    pub billing: Arc<Billing>,
}

impl Access {
    /// Opens the products that stand on the same ground.
    pub fn open(auth: Arc<Auth>) -> Arc<Self> {
        let billing = Billing::open(Arc::clone(&auth.ground));
        Arc::new(Self { auth, billing })
    }

    /// What the customer of a client may do now; `None` for a client without one, and when there is no such customer.
    ///
    /// # Errors
    /// The store's.
    pub async fn standing_of(&self, tenant: &Tenant, client: &Client) -> Result<Option<Arc<Standing>>, store::Error> {
        match client.customer {
            Some(customer) => self.billing.standing(tenant, customer).await,
            None => Ok(None),
        }
    }

    /// Issues a token to an authenticated client under the standing of its customer. The first one of a trial that waits
    /// for its first use starts that trial, in a commit before the answer.
    ///
    /// # Errors
    /// Inside the outcome.
    pub async fn token(
        &self,
        tenant: &Tenant,
        who: &Authenticated,
        request: &TokenRequest<'_>,
        limits: LimitState,
    ) -> Outcome<TokenAnswer> {
        let Some(customer) = who.client.customer else {
            return self.auth.token(tenant, who, Terms::default(), request, limits).await;
        };
        let terms = match self.terms(tenant, customer).await {
            Ok(terms) => terms,
            Err(error) => return Outcome { limits, result: Err(error.into()) },
        };
        let outcome = self.auth.token(tenant, who, terms.of(), request, limits).await;
        if outcome.result.is_ok()
            && let Err(error) = Box::pin(self.first_use(tenant, customer)).await
        {
            return Outcome { limits: outcome.limits, result: Err(error) };
        }
        outcome
    }

    /// Starts the trials of a customer that wait for their first use, before a token is answered.
    async fn first_use(&self, tenant: &Tenant, customer: Id<id::Customer>) -> Result<(), OauthError> {
        self.start_trials(tenant, customer).await.map_err(|error| match error {
            AdminError::Store(store::Error::Conflict(_)) => OauthError::Unavailable,
            AdminError::Store(error) => error.into(),
            other => OauthError::Internal(Some(Box::new(other))),
        })
    }

    /// Starts the trials of a customer that wait for their first use.
    async fn start_trials(&self, tenant: &Tenant, customer: Id<id::Customer>) -> Result<(), AdminError> {
        let who = self.auth.system(tenant, "trials");
        let mut tries = 0_u8;
        loop {
            let Some(planned) = self.billing.plan_first_use(&who, tenant, customer).await? else { return Ok(()) };
            match self.auth.run(planned).await {
                // another request used it first, or something else changed: look again
                Err(AdminError::Store(store::Error::Conflict(_))) if tries < 3 => tries = tries.saturating_add(1),
                other => return other,
            }
        }
    }

    /// Gets a token as a client would, for a person who sent its secret; see [`Auth::try_token`].
    ///
    /// # Errors
    /// The refusal that the client would meet.
    pub async fn try_token(
        &self,
        who: &Principal,
        tenant: &Tenant,
        identified: Outcome<Authenticated>,
        scope: &str,
    ) -> Result<TokenAnswer, OauthError> {
        let customer = identified.result.as_ref().ok().and_then(|client| client.client.customer);
        let terms = match customer {
            Some(customer) => Some(self.terms(tenant, customer).await?),
            None => None,
        };
        let held = terms.as_ref().map(Held::of).unwrap_or_default();
        let answer = self.auth.try_token(who, tenant, identified, held, scope).await?;
        if let Some(customer) = customer {
            Box::pin(self.first_use(tenant, customer)).await?;
        }
        Ok(answer)
    }

    /// What a client would get, with nothing issued; see [`Auth::preview`].
    ///
    /// # Errors
    /// The refusal that the request would meet.
    pub async fn preview(
        &self,
        tenant: &Tenant,
        client: &Client,
        ask: &Ask<'_>,
        request: Id<id::Request>,
    ) -> Result<Preview, OauthError> {
        let standing = self.standing_of(tenant, client).await?;
        self.auth.preview(tenant, client, standing.as_deref(), ask, request).await
    }

    /// Answers an introspection request (RFC 7662 §2.2): the members of a live token that the caller may see, exactly
    /// [`INACTIVE`] otherwise.
    ///
    /// # Errors
    /// The store's.
    pub async fn introspect(&self, tenant: &Tenant, caller: &Caller<'_>, token: &str) -> Result<String, OauthError> {
        let Some(seen) = self.auth.look(tenant, caller, token).await? else { return Ok(INACTIVE.to_owned()) };
        let standing = self.standing_of(tenant, seen.client()).await?;
        seen.answer(standing.as_deref())
    }

    /// The principal behind a bearer token of the admin API, with its client; `None` for a token that is not good here.
    ///
    /// # Errors
    /// The store's.
    pub async fn principal(
        &self,
        tenant: &Tenant,
        token: &str,
        source: Option<IpAddr>,
        request: Id<id::Request>,
    ) -> Result<Option<(Principal, Arc<Client>)>, store::Error> {
        let Some(bearer) = self.auth.bearer(tenant, token).await? else { return Ok(None) };
        let standing = self.standing_of(tenant, bearer.client()).await?;
        Ok(bearer.principal(standing.as_deref(), source, request))
    }

    /// Creates a client, of a customer when it names one.
    ///
    /// # Errors
    /// Those of [`Auth::create_client`]; [`AdminError::Invalid`] when there is no such customer.
    pub async fn create_client(
        &self,
        who: &Principal,
        tenant: &Tenant,
        fields: ClientFields,
    ) -> Result<Planned<ClientView>, AdminError> {
        let planned = self.auth.create_client(who, tenant, fields).await?;
        self.joined(tenant, planned).await
    }

    /// Changes a client, and the customer that it acts for when that is asked.
    ///
    /// # Errors
    /// Those of [`Auth::patch_client`]; [`AdminError::Invalid`] when there is no such customer.
    pub async fn patch_client(
        &self,
        who: &Principal,
        tenant: &Tenant,
        client_id: &str,
        if_version: Option<i64>,
        fields: ClientFields,
    ) -> Result<Planned<ClientView>, AdminError> {
        let planned = self.auth.patch_client(who, tenant, client_id, if_version, fields).await?;
        self.joined(tenant, planned).await
    }

    /// Holds the customer that a change puts a client under until the commit.
    async fn joined(&self, tenant: &Tenant, planned: Planned<ClientView>) -> Result<Planned<ClientView>, AdminError> {
        let Some(customer) = planned.value.joins else { return Ok(planned) };
        if self.billing.current(tenant, customer).await?.is_none() {
            let detail = "there is no customer with this id in this tenant";
            return Err(AdminError::Invalid(vec![FieldProblem::new("customer_id", "bad_value", detail)]));
        }
        let batch = planned.batch.expect(1, &billing::sql::CUSTOMER_HOLD, params![tenant.id, customer]);
        Ok(Planned { batch, ..planned })
    }

    /// Deletes a customer that has no client and no lasting subscription.
    ///
    /// # Errors
    /// Those of [`Billing::delete_customer`]; [`AdminError::Taken`] while a client acts for it.
    pub async fn delete_customer(
        &self,
        who: &Principal,
        tenant: &Tenant,
        which: (Id<id::Customer>, Option<i64>),
    ) -> Result<Planned<()>, AdminError> {
        let planned = self.billing.delete_customer(who, tenant, which).await?;
        let row = self.auth.store.read(&auth::sql::CLIENT_OF_CUSTOMER, params![tenant.id, which.0]).await?;
        if let Some(row) = row {
            let detail = format!("the client {} acts for it; delete it or take it away first", row.text(0)?);
            return Err(AdminError::Taken("in_use", detail));
        }
        let batch = planned.batch.expect(1, &auth::sql::CUSTOMER_WITHOUT_CLIENT, params![tenant.id, which.0]);
        Ok(Planned { batch, ..planned })
    }
}
