//! The log of one client: what is being counted, then the journal.

use auth::client::Client;
use record::entry::{self, Refusal};
use record::query::{self, JournalFilter, Outcome};

use super::ask::Seat;
use super::audit::limit;
use super::refused::Refused;
use crate::pages::client_log::{Entry, Log};

/// The page of the log that a request asks for.
pub(super) async fn read(seat: &Seat, client: &Client) -> Result<Log, Refused> {
    let ask = &seat.ask;
    let (auth, tenant) = (&ask.auth, ask.tenant.id);
    let (outcome, name) = match ask.query("outcome") {
        "issued" => (Some(Outcome::Issued), "issued"),
        "refused" => (Some(Outcome::Refused), "refused"),
        _ => (None, ""),
    };
    let list = ["log of the console", &*client.client_id, name].join("\0");
    let cursor = match ask.query("cursor") {
        "" => None,
        text => Some(auth.open_cursor(tenant, &list, text).map_err(|_| record::Error::Cursor)?),
    };
    let is_first = cursor.is_none();
    let limit = limit(ask.query("limit"));
    let client_id = Some(client.client_id.to_string());
    let filter = JournalFilter { client_id, outcome, limit, cursor, ..JournalFilter::default() };
    let page = query::journal(&auth.store, tenant, &filter).await?;
    let mut entries = Vec::new();
    if is_first && outcome != Some(Outcome::Issued) {
        entries.extend(auth.refusals.pending(tenant, &client.client_id).iter().map(denied));
    }
    entries.extend(page.items.iter().map(|item| match item {
        entry::Entry::Refusal(refusal) => denied(refusal),
        entry::Entry::Issuance(issuance) => Entry {
            at: issuance.at,
            denied: None,
            count: 1,
            issued: Some((issuance.grant.name(), issuance.scope.to_string())),
            source: issuance.source.map(|source| source.to_string()),
            request: issuance.request.to_string(),
        },
    }));
    let next = page.next.map(|place| auth.seal_cursor(tenant, &list, &place));
    Ok(Log { entries, outcome: name.to_owned(), limit, is_first, next })
}

fn denied(refusal: &Refusal) -> Entry {
    Entry {
        at: refusal.at,
        denied: Some(refusal.reason.clone()),
        count: refusal.count,
        issued: None,
        source: refusal.source.map(|source| source.to_string()),
        request: refusal.request.to_string(),
    }
}
