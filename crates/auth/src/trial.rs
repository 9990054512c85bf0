//! A token that a person gets with a client's own secret, to see what its programs would get.
//!
//! Nothing is issued in a client's name without its secret: the way to the token is that of the token endpoint, from the
//! count of the request to the entry in the journal. The audit record beside it says which person it was.

use kernel::clock::Timestamp;
use kernel::id::{self, Id};
use kernel::principal::Principal;
use kernel::secret::Secret;
use record::action;
use record::entry::Entry;
use record::query::{JournalFilter, Outcome};
use serde_json::json;
use store::Batch;

use crate::client::CLIENT_CREDENTIALS;
use crate::credential::{Authenticated, Place, Presented};
use crate::directory::Auth;
use crate::error::OauthError;
use crate::grant::{self, Terms, TokenAnswer, TokenRequest};
use record::plan::change_record;
use record::tenant::Tenant;

/// Entries of the journal that are searched for a token of one secret.
const SEARCHED: u32 = 200;

/// The credentials of a client that a person tries.
pub fn trial_of(client_id: &str, secret: Secret<String>) -> Presented {
    Presented { client_id: client_id.to_owned(), secret: Some(secret), raw_secret: None, place: Place::Basic }
}

impl Auth {
    /// Gets a token as the client would, with the client credentials grant: for a client that [`Auth::identify`] knows by
    /// [`trial_of`], under the terms of its customer as [`Auth::token`] wants them.
    ///
    /// # Errors
    /// Those of the token endpoint; [`OauthError::Unavailable`] also when the audit record could not be written, and
    /// then nobody sees the token that was issued.
    pub async fn try_token(
        &self,
        who: &Principal,
        tenant: &Tenant,
        identified: grant::Outcome<Authenticated>,
        terms: Terms<'_>,
        scope: &str,
    ) -> Result<TokenAnswer, OauthError> {
        let client = identified.result?;
        let request = TokenRequest {
            grant_type: Some(CLIENT_CREDENTIALS),
            scope: Some(scope).filter(|scope| !scope.is_empty()),
            resources: Vec::new(),
            refresh_token: None,
            source: who.source,
            request: who.request,
        };
        let answer = self.token(tenant, &client, terms, &request, identified.limits).await.result?;
        let after = json!({"scope": &*answer.scope, "expires_in": answer.expires_in});
        let record = change_record(
            self,
            who,
            tenant,
            action::TOKEN_TRIED,
            ("client", &client.client.client_id),
            (None, Some(after)),
        );
        self.store.commit(Batch::new(), record).await?;
        Ok(answer)
    }

    /// When a secret of a client got a token for the first time, as far as the newest entries of the journal say.
    ///
    /// # Errors
    /// The journal's.
    pub async fn first_token(
        &self,
        tenant: &Tenant,
        client_id: &str,
        secret: Id<id::Secret>,
        since: Timestamp,
    ) -> Result<Option<Timestamp>, record::Error> {
        let filter = JournalFilter {
            client_id: Some(client_id.to_owned()),
            from: Some(since),
            to: None,
            outcome: Some(Outcome::Issued),
            jti: None,
            limit: SEARCHED,
            cursor: None,
        };
        let page = record::query::journal(&self.store, tenant.id, &filter).await?;
        let of_secret = |entry: &Entry| match entry {
            Entry::Issuance(issuance) if issuance.credential == secret => Some(issuance.at),
            Entry::Issuance(_) | Entry::Refusal(_) => None,
        };
        Ok(page.items.iter().filter_map(of_secret).min())
    }
}
