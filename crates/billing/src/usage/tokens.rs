//! The allowance of tokens: a plan that limits a feature on the built-in meter limits how many tokens are issued.
//!
//! The record of an issuance is its entry in the journal; what is counted here is written in the commit of that entry.

use std::sync::Arc;

use kernel::id::{self, Id};
use kernel::standing::{Entitlement, Standing};
use record::tenant::Tenant;
use store::{Batch, params};

use crate::directory::Billing;
use crate::meter::{Aggregation, Meter};
use crate::rejection::Rejection;
use crate::sample::Measure;
use crate::sql;

use super::{allowance, window};

/// The key of the built-in meter of tokens.
pub const METER: &str = "tokens.issued";
/// Types of events that begin so are the product's own.
pub const RESERVED: &str = "bastionary.";

/// The built-in meter of tokens.
pub(crate) fn meter() -> Meter {
    Meter {
        key: METER.to_owned(),
        event_type: format!("{RESERVED}token.issued"),
        aggregation: Aggregation::Count,
        value_path: None,
        group_by: std::collections::BTreeMap::new(),
        filter: Vec::new(),
        unit: Some("tokens".to_owned()),
        rounding: None,
        carry_over: false,
        allow_negative: false,
        operation_path: None,
    }
}

impl Billing {
    /// Whether a standing limits how many tokens are issued.
    ///
    /// # Errors
    /// The store's.
    pub async fn limits_tokens(&self, tenant: &Tenant, standing: &Standing) -> Result<bool, store::Error> {
        let is_metered = |right: &Entitlement| matches!(right, Entitlement::Metered(_));
        if !standing.entitlements.values().any(is_metered) {
            return Ok(false);
        }
        let metering = self.metering(tenant).await?;
        let counts =
            |key: &String| metering.feature(key).is_some_and(|feature| feature.meter.as_deref() == Some(METER));
        Ok(standing.entitlements.keys().any(counts))
    }

    /// The statements that count one token of a customer, on what is stored now; or why there is no room for it.
    ///
    /// # Errors
    /// The store's.
    pub async fn plan_token(
        &self,
        tenant: &Tenant,
        customer: Id<id::Customer>,
    ) -> Result<Result<Batch, Rejection>, store::Error> {
        let mut batch = Batch::new();
        let Some(current) = self.current(tenant, customer).await? else { return Ok(Ok(batch)) };
        let now = tenant.business(self.ground.clock.now());
        let (standing, metering) = (current.standing(now)?, self.metering(tenant).await?);
        let version = current.customer.standing_version;
        batch = batch.expect(1, &sql::CUSTOMER_AS_READ, params![tenant.id, customer, version]);
        for key in standing.entitlements.keys() {
            let feature = metering.feature(key).filter(|feature| feature.meter.as_deref() == Some(METER));
            let meter = feature.and_then(|feature| metering.meter_of(feature));
            let (Some(meter), Some(allowance)) = (meter, allowance(&standing, key).copied()) else { continue };
            let window = window(&allowance, now, &current.payer.zone);
            let which = (&Arc::from(key.as_str()), meter);
            let mut counter = self.counter(tenant, customer, which, (allowance, window), now).await?;
            match counter.next(&Measure::Event, now).and_then(|next| counter.take(next)) {
                Ok(()) => batch = counter.steps(batch, tenant, &self.ground)?,
                Err(rejection) => return Ok(Err(rejection)),
            }
        }
        Ok(Ok(batch))
    }
}
