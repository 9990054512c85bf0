//! APIs and scopes.

use axum::response::IntoResponse as _;

use super::ask::Seat;
use super::refused::Answer;
use crate::pages::apis::{self, Api};

pub(super) async fn list(seat: Seat) -> Answer {
    seat.need("apis:read")?;
    let ask = &seat.ask;
    let catalog = ask.auth.catalog(&ask.tenant).await?;
    let list: Vec<Api> = catalog
        .apis
        .iter()
        .map(|api| {
            let owned = catalog.scopes.iter().filter(|(_, scope)| scope.api == api.id);
            let mut scopes: Vec<_> = owned.map(|(name, scope)| (name.to_string(), scope.description.clone())).collect();
            scopes.sort();
            Api {
                id: api.id.to_string(),
                name: api.name.clone(),
                identifier: api.identifier.to_string(),
                is_built_in: api.builtin.is_some(),
                token_ttl_seconds: api.token_ttl_seconds.map(i64::from),
                signing_alg: api.signing_alg.map(|alg| alg.name().to_owned()),
                scopes,
            }
        })
        .collect();
    Ok(apis::list(&seat.visit(), &list).into_response())
}
