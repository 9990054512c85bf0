//! What a plan asks for each token of a customer.

use std::pin::Pin;
use std::sync::Arc;

use auth::error::OauthError;
use auth::grant::{Charge, Terms};
use billing::Billing;
use billing::usage::report::Report;
use kernel::id::{self, Id};
use kernel::standing::Standing;
use record::tenant::Tenant;
use store::Batch;

use crate::Access;

/// The terms of a customer while one of its requests is answered.
pub(crate) struct Held<'a> {
    standing: Option<Arc<Standing>>,
    charge: Option<PlanCharge<'a>>,
}

/// One token of a plan that limits them.
struct PlanCharge<'a> {
    billing: &'a Billing,
    tenant: &'a Tenant,
    customer: Id<id::Customer>,
}

impl Held<'_> {
    /// As the token endpoint takes them.
    pub(crate) fn of(&self) -> Terms<'_> {
        Terms {
            standing: self.standing.as_deref(),
            charge: self.charge.as_ref().map(|charge| {
                let charge: &dyn Charge = charge;
                charge
            }),
        }
    }
}

impl Access {
    /// What holds for the machines of a customer now.
    pub(crate) async fn terms<'a>(
        &'a self,
        tenant: &'a Tenant,
        customer: Id<id::Customer>,
    ) -> Result<Held<'a>, store::Error> {
        let standing = self.billing.standing(tenant, customer).await?;
        let is_limited = match &standing {
            Some(standing) => self.billing.limits_tokens(tenant, standing).await?,
            None => false,
        };
        let charge = is_limited.then(|| PlanCharge { billing: &self.billing, tenant, customer });
        Ok(Held { standing, charge })
    }
}

impl Charge for PlanCharge<'_> {
    fn plan(&self) -> Pin<Box<dyn Future<Output = Result<Batch, OauthError>> + Send + '_>> {
        Box::pin(async {
            match self.billing.plan_token(self.tenant, self.customer).await? {
                Ok(batch) => Ok(batch),
                Err(rejection) => Err(OauthError::UnauthorizedClient(rejection.to_string().into())),
            }
        })
    }

    fn is_overtaken(&self, guard: &str) -> bool {
        Report::is_overtaken(guard)
    }
}
