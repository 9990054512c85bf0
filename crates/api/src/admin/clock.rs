//! The business clock of a tenant: `/api/clock`.

use auth::clock::{Advance, TwoTimes};
use http::StatusCode;
use record::plan::AdminError;
use serde_json::{Value, json};

use super::{Ask, Reply, change};
use crate::problem::{Problem, from_admin};

/// Seconds after which a store that did not take all is worth another try.
const RETRY: u32 = 5;

fn view(times: &TwoTimes) -> Value {
    let ahead = times.business.as_micros().saturating_sub(times.machine.as_micros());
    json!({
        "kind": times.kind.name(), "business_time": times.business.to_string(), "machine_time": times.machine.to_string(),
        "ahead_seconds": ahead.div_euclid(1_000_000),
    })
}

pub(super) fn get(ask: &Ask) -> Reply {
    Reply::ok(view(&ask.app.auth.two_times(&ask.tenant)))
}

pub(super) async fn advance(ask: &Ask) -> Result<Reply, Problem> {
    let advance = Advance::read(&ask.body).map_err(Problem::invalid)?;
    let (auth, slug) = (&ask.app.auth, &ask.tenant.slug);
    let reply = change!(ask, auth.advance_clock(&ask.who, slug, advance), |times: TwoTimes| Reply::ok(view(&times)))?;
    settle(ask).await?;
    Ok(reply)
}

/// Records what the time that a clock shows has done, so that the answer comes after it.
pub(super) async fn settle(ask: &Ask) -> Result<(), Problem> {
    let settled = async {
        let tenant = ask.app.auth.tenant(&ask.tenant.slug).await?.ok_or(AdminError::NotFound("tenant"))?;
        ask.app.billing.record_all(&tenant).await
    };
    settled.await.map_err(|error| match from_admin(&error) {
        // the clock has moved already
        late if late.status == StatusCode::SERVICE_UNAVAILABLE => Problem::unknown(late.retry_after.unwrap_or(RETRY)),
        refused => refused,
    })
}
