//! The first page.

use auth::operator::scope::OPERATORS_READ;
use axum::response::IntoResponse as _;
use kernel::tenant::DEFAULT_SLUG;
use record::activity::{ActivityFilter, activity, pace};
use record::query::{self, JournalFilter, Outcome};

use super::ask::Seat;
use super::refused::{Answer, Refused};
use crate::pages::home::{self, Need, Step};

/// Minutes that the line of requests shows.
const MINUTES: usize = 60;
/// Tokens that are looked through for the first one.
const LOOKED_AT: u32 = 50;
/// Events on the page.
const EVENTS: u32 = 8;

pub(super) async fn show(seat: Seat) -> Answer {
    let ask = &seat.ask;
    let (store, tenant) = (&ask.auth.store, ask.tenant.id);
    let reads_clients = seat.who.holds("clients:read");
    let signed_at = query::checkpoint_at(store, tenant).await?;
    let latest = if seat.who.holds("audit:read") {
        let filter = ActivityFilter { limit: EVENTS, ..ActivityFilter::default() };
        Some(super::activity::events(ask, &activity(store, tenant, &filter).await?.items).await?)
    } else {
        None
    };
    let data = home::Home {
        steps: steps(&seat).await?,
        needs: needs(&seat).await?,
        latest,
        pace: if reads_clients { Some(pace(store, tenant, ask.now, MINUTES).await?) } else { None },
        signed_at,
        issuer: ask.tenant.issuer.to_string(),
    };
    Ok(home::home(&seat.visit(), &data).into_response())
}

/// What is left to set up, as far as the person may do it.
async fn steps(seat: &Seat) -> Result<Vec<Step>, Refused> {
    let (ask, root) = (&seat.ask, &seat.ask.root);
    let step = |text, detail, href: String, is_done| Step { text, detail, href, is_done };
    let mut steps = vec![step(
        "Protect your account",
        "A passkey or an authenticator besides the passphrase.",
        format!("{root}/account"),
        seat.live.operator.has_second_factor(),
    )];
    if !seat.who.holds("clients:write") {
        return Ok(steps);
    }
    let (has_client, mut has_token) = ask.auth.first_steps(&ask.tenant).await?;
    if has_client && !has_token {
        has_token = has_fresh_token(seat).await?;
    }
    steps.push(step(
        "Make a client",
        "A program that asks for tokens: name, scopes, Create.",
        format!("{root}/identity/clients/new"),
        has_client,
    ));
    steps.push(step(
        "Get the first token",
        "Paste the curl of the client's page into a shell.",
        format!("{root}/identity/clients"),
        has_token,
    ));
    Ok(steps)
}

/// Whether a client that does not administer this server got a token so lately that it is in the journal alone.
async fn has_fresh_token(seat: &Seat) -> Result<bool, Refused> {
    let ask = &seat.ask;
    let issued = JournalFilter { outcome: Some(Outcome::Issued), limit: LOOKED_AT, ..JournalFilter::default() };
    for entry in query::journal(&ask.auth.store, ask.tenant.id, &issued).await?.items {
        let Some(client) = entry.client_id() else { continue };
        let client = ask.auth.client(ask.tenant.id, client).await?;
        if client.is_some_and(|client| !client.settings.scopes.iter().any(|scope| &**scope == "admin")) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What needs attention and may be seen, the most urgent first.
async fn needs(seat: &Seat) -> Result<Vec<Need>, Refused> {
    let (ask, root) = (&seat.ask, &seat.ask.root);
    let mut needs = Vec::new();
    let mut add = |is_urgent, text: String, href: String, at| needs.push(Need { is_urgent, text, href, at, act: None });
    let named = |client_id: &str, name: &str| if name.is_empty() { client_id.to_owned() } else { name.to_owned() };
    if seat.who.holds("keys:read") {
        let keys = ask.auth.key_shortfall(&ask.tenant).await?;
        let page = format!("{root}/identity/keys");
        if keys.lacks_active {
            add(true, "There is no active signing key; no token can be issued.".to_owned(), page.clone(), None);
        }
        if keys.is_overdue {
            add(false, "A signing key is overdue for rotation.".to_owned(), page, None);
        }
    }
    if seat.who.holds(OPERATORS_READ)
        && *ask.tenant.slug == *DEFAULT_SLUG
        && let Some(space) = ask.auth.store.space()
        && (space.is_full || space.is_low())
    {
        let text =
            if space.is_full { "The disk of the store is full." } else { "The disk of the store is nearly full." };
        add(space.is_full, text.to_owned(), format!("{root}/settings"), None);
    }
    if seat.who.holds("clients:read") {
        for alarm in ask.auth.reuse_alarms(&ask.tenant).await? {
            let whose = alarm.client.map_or_else(|| "a deleted client".to_owned(), |(id, name)| named(&id, &name));
            let text = format!("A used refresh token of {whose} came again; its family was ended.");
            add(true, text, format!("{root}/identity/tokens?state=reused"), alarm.family.ended_at);
        }
        for ending in ask.auth.last_secrets_ending(&ask.tenant).await? {
            let text = format!("The last secret of {} ends.", named(&ending.client_id, &ending.name));
            let href = format!("{root}/identity/clients/{}/credentials", ending.client_id);
            add(false, text, href, Some(ending.at));
        }
    }
    if seat.who.holds(OPERATORS_READ) {
        let bare = ask.auth.people_without_second_factor(&ask.tenant).await?;
        if bare > 0 {
            let people = if bare == 1 { "1 person".to_owned() } else { format!("{bare} people") };
            let verb = if bare == 1 { "has" } else { "have" };
            add(false, format!("{people} {verb} no second factor."), format!("{root}/team"), None);
        }
    }
    needs.extend(super::webhooks::stopped(seat).await?);
    needs.sort_by_key(|need| !need.is_urgent);
    Ok(needs)
}
