//! The first page.

use auth::client_list::Filter;
use store::params;

use super::ask::Seat;
use super::refused::Answer;
use crate::pages::home::{self, Step};
use axum::response::IntoResponse as _;
use kernel::clock::Timestamp;
use record::query::{self, AuditFilter, JournalFilter, Outcome};

pub(super) async fn show(seat: Seat) -> Answer {
    let ask = &seat.ask;
    let (store, tenant) = (&ask.auth.store, ask.tenant.id);
    let clients = ask.auth.count_clients(tenant, &Filter::default()).await?;
    let issued = JournalFilter { outcome: Some(Outcome::Issued), limit: 1, ..JournalFilter::default() };
    let has_token = !query::journal(store, tenant, &issued).await?.items.is_empty();
    let keys = ask.auth.key_shortfall(&ask.tenant).await?;
    let checkpoint = store.read(&record::sql::LAST_CHECKPOINT, params![tenant]).await?;
    let signed_at: Option<Timestamp> = checkpoint.map(|row| row.time(3)).transpose()?;
    let latest = if seat.who.holds("audit:read") {
        let filter = AuditFilter { limit: 8, ..AuditFilter::default() };
        super::audit::records(&seat, &query::audit(store, tenant, &filter).await?).await?
    } else {
        Vec::new()
    };
    let root = &ask.root;
    let step = |text, detail, href: String, is_done| Step { text, detail, href, is_done };
    let steps = vec![
        step(
            "Protect your account",
            "A passkey or an authenticator besides the passphrase.",
            format!("{root}/account"),
            seat.live.operator.has_second_factor(),
        ),
        step(
            "Make a client",
            "A program that asks for tokens: name, scopes, Create.",
            format!("{root}/identity/clients/new"),
            clients.number > 0,
        ),
        step(
            "Get the first token",
            "Paste the curl of the client's page into a shell.",
            format!("{root}/identity/clients"),
            has_token,
        ),
    ];
    let mut needs = Vec::new();
    if keys.lacks_active {
        needs.push(("There is no active signing key; no token can be issued.", format!("{root}/identity/keys")));
    }
    if keys.is_overdue {
        needs.push(("A signing key is overdue for rotation.", format!("{root}/identity/keys")));
    }
    let data = home::Home { steps, needs, latest, signed_at, issuer: ask.tenant.issuer.to_string() };
    Ok(home::home(&seat.visit(), &data).into_response())
}
