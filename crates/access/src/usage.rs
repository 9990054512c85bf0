//! Who may report, check and hold usage for whom, and whom a question is about.

use std::collections::HashMap;

use auth::client::{Client, Status};
use billing::cloudevent::Event;
use billing::rejection::Rejection;
use billing::usage::check::{CheckFields, Checked, Mode, Question, Reason};
use billing::usage::{Plan, Reporter};
use kernel::error::FieldProblem;
use kernel::id::{self, Id};
use kernel::principal::{Principal, Subject};
use kernel::standing::{Access as Reach, Standing};
use record::plan::AdminError;
use record::tenant::Tenant;
use store::Batch;

use crate::Access;

/// Whom a question is about, as far as clients and tokens decide.
enum About {
    /// A customer.
    Customer(Id<id::Customer>),
    /// Nobody who could pay.
    Nobody(Reason),
}

impl Access {
    /// Who a principal is to usage: a client that acts for a customer reports and asks for that one alone.
    ///
    /// # Errors
    /// The store's.
    pub async fn reporter(&self, tenant: &Tenant, who: &Principal) -> Result<Reporter, store::Error> {
        let own = match &who.subject {
            Subject::Client(client_id) => {
                self.auth.client(tenant.id, client_id).await?.and_then(|client| client.customer)
            }
            Subject::System(_) | Subject::LocalOperator | Subject::Operator { .. } => None,
        };
        Ok(Reporter { actor: who.actor(), own, at: self.auth.clock.now() })
    }

    /// The customers that the subjects of events name: by their id, by the operator's own id, or by one of their clients.
    ///
    /// # Errors
    /// The store's.
    pub async fn subjects(
        &self,
        tenant: &Tenant,
        events: &[Result<Event<'_>, Rejection>],
    ) -> Result<HashMap<String, Id<id::Customer>>, store::Error> {
        let mut found: HashMap<String, Option<Id<id::Customer>>> = HashMap::new();
        for subject in events.iter().flatten().filter_map(|event| event.subject.as_deref()) {
            if !found.contains_key(subject) {
                found.insert(subject.to_owned(), self.subject(tenant, subject).await?);
            }
        }
        Ok(found.into_iter().filter_map(|(subject, customer)| Some((subject, customer?))).collect())
    }

    async fn subject(&self, tenant: &Tenant, subject: &str) -> Result<Option<Id<id::Customer>>, store::Error> {
        if let Ok(id) = Id::parse(subject) {
            return Ok(Some(id));
        }
        if let Some(current) = self.billing.named(tenant, subject).await? {
            return Ok(Some(current.customer.id));
        }
        Ok(self.auth.client(tenant.id, subject).await?.and_then(|client| client.customer))
    }

    /// Starts the trials that wait for their first use, of every customer that events name.
    ///
    /// # Errors
    /// Those of a commit.
    pub async fn first_uses(&self, tenant: &Tenant, customers: Vec<Id<id::Customer>>) -> Result<(), AdminError> {
        for customer in customers {
            Box::pin(self.start_trials(tenant, customer)).await?;
        }
        Ok(())
    }

    /// Answers `POST /api/check`; `key` is the idempotency key under which consumption counts once.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] for a customer or client that is not there or not the reporter's, [`AdminError::Invalid`] for
    /// what cannot be asked, those of [`billing::Billing::plan_check`].
    pub async fn plan_check(
        &self,
        tenant: &Tenant,
        reporter: &Reporter,
        fields: &CheckFields,
        key: Option<&str>,
    ) -> Result<Plan<Checked>, AdminError> {
        let now = tenant.business(reporter.at);
        let customer = match self.about(tenant, reporter, fields).await? {
            About::Customer(customer) => customer,
            About::Nobody(reason) => {
                return Ok(Plan { batch: Batch::new(), value: Checked::refused(reason, now) });
            }
        };
        if fields.question.mode != Mode::Check {
            Box::pin(self.start_trials(tenant, customer)).await?;
        }
        let lacks_scope = match &fields.scope {
            Some(scope) => !self.covers(tenant, customer, scope).await?,
            None => false,
        };
        if lacks_scope && !kernel::mutant::is("U03-scope") {
            // what stands against the customer itself is said first, and nothing is counted
            let question = Question { feature: None, quantity: None, mode: Mode::Check };
            let plan = self.billing.plan_check(tenant, reporter, customer, &question, None).await?;
            let reason = if plan.value.reason.is_allowed() { Reason::ScopeNotEntitled } else { plan.value.reason };
            return Ok(Plan { batch: Batch::new(), value: Checked { reason, ..plan.value } });
        }
        self.billing.plan_check(tenant, reporter, customer, &fields.question, key).await
    }

    async fn about(&self, tenant: &Tenant, reporter: &Reporter, fields: &CheckFields) -> Result<About, AdminError> {
        let (kind, name) = (fields.subject.0, fields.subject.1.as_str());
        let customer = match kind {
            "customer_id" => {
                let found = self.billing.named(tenant, name).await?;
                Some(found.ok_or(AdminError::NotFound("customer"))?.customer.id)
            }
            "client_id" => {
                let found = self.auth.client(tenant.id, name).await?;
                let client = found.ok_or(AdminError::NotFound("client"))?;
                if !own(reporter, client.customer) {
                    return Err(AdminError::NotFound("client"));
                }
                if client.status(reporter.at) != Status::Active {
                    return Ok(About::Nobody(Reason::ClientInactive));
                }
                client.customer
            }
            _ => match self.auth.holder(tenant, name).await? {
                // who asks for one customer learns nothing of another's token
                Some(client) if own(reporter, client.customer) => {
                    if !self.is_live(tenant, &client).await? {
                        return Ok(About::Nobody(Reason::ClientInactive));
                    }
                    client.customer
                }
                _ => return Ok(About::Nobody(Reason::ClientInactive)),
            },
        };
        match customer {
            None => Ok(About::Nobody(Reason::NoSubscription)),
            Some(customer) if own(reporter, Some(customer)) => Ok(About::Customer(customer)),
            Some(_) => Err(AdminError::NotFound("customer")),
        }
    }

    /// Whether the customer of a client is still there.
    async fn is_live(&self, tenant: &Tenant, client: &Client) -> Result<bool, store::Error> {
        Ok(client.customer.is_none() || self.standing_of(tenant, client).await?.is_some())
    }

    /// Whether the standing of a customer covers a scope.
    async fn covers(&self, tenant: &Tenant, customer: Id<id::Customer>, scope: &str) -> Result<bool, AdminError> {
        let catalog = self.auth.catalog(tenant).await?;
        if catalog.owner(scope).is_none() {
            let detail = "there is no scope of this name in this tenant";
            return Err(AdminError::Invalid(vec![FieldProblem::new("scope", "bad_value", detail)]));
        }
        let Some(standing) = self.billing.standing(tenant, customer).await? else { return Ok(false) };
        Ok(leaves(&standing, scope, catalog.requires(scope)))
    }
}

fn leaves(standing: &Standing, scope: &str, requires: Option<&str>) -> bool {
    let is_left = standing.access != Reach::Restricted || standing.restricted_scopes.contains(scope);
    is_left && requires.is_none_or(|feature| standing.entitlements.contains_key(feature))
}

/// Whether a reporter may ask about a customer.
fn own(reporter: &Reporter, customer: Option<Id<id::Customer>>) -> bool {
    reporter.own.is_none_or(|own| customer == Some(own)) || kernel::mutant::is("U02-other")
}
