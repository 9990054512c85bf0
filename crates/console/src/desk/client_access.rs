//! What a client may ask for, and what it would be told.

use auth::catalog::{Ask, Builtin, Catalog};
use auth::client::{Client, Settings};
use auth::error::OauthError;
use serde_json::Value;

use super::ask::Seat;
use super::refused::Refused;
use crate::pages::access::{Api, Says, Scope};

/// The APIs of the tenant with what a client has of each; this server's own comes last.
pub(super) fn table(catalog: &Catalog, settings: &Settings) -> Vec<Api> {
    let api = |api: &auth::catalog::Api| {
        let owned = catalog.scopes.iter().filter(|(_, scope)| scope.api == api.id);
        let mut scopes: Vec<Scope> = owned
            .map(|(name, scope)| Scope {
                name: name.to_string(),
                text: scope.description.clone(),
                is_allowed: settings.scopes.contains(name),
                is_default: settings.default_scopes.contains(name),
            })
            .collect();
        scopes.sort_by(|a, b| a.name.cmp(&b.name));
        Api {
            name: api.name.clone(),
            audience: api.identifier.to_string(),
            is_management: api.builtin == Some(Builtin::Management),
            is_listed: settings.audiences.contains(&api.identifier),
            scopes,
        }
    };
    let mut all: Vec<Api> = catalog.apis.iter().map(api).collect();
    all.sort_by_key(|api| api.is_management);
    all
}

/// What a request of the client with these scopes comes to, by the code that issues.
pub(super) async fn says(seat: &Seat, client: &Client, scope: Option<&str>) -> Result<Says, Refused> {
    let ask = &seat.ask;
    let asked = Ask { scope: scope.filter(|scope| !scope.is_empty()), resources: Vec::new() };
    match ask.access.preview(&ask.tenant, client, &asked, ask.browser.request).await {
        Ok(preview) => {
            let claims: Value = serde_json::from_str(&preview.claims).map_err(|_| store::Error::RowCorrupt)?;
            Ok(Says::Token {
                claims: serde_json::to_string_pretty(&claims).map_err(|_| store::Error::RowCorrupt)?,
                alg: preview.alg.map(jose::Alg::name),
                lifetime: i64::from(preview.lifetime_seconds),
            })
        }
        Err(OauthError::Unavailable) => Err(Refused::unavailable(1)),
        Err(OauthError::Internal(_)) => Err(store::Error::RowCorrupt.into()),
        Err(error) => Ok(Says::Refusal { code: error.code(), sentence: error.to_string() }),
    }
}
