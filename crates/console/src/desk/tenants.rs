//! Tenants, for owners of the first one; to everyone else there is no such page.

use std::sync::Arc;

use auth::client_change::ClientView;
use auth::client_list::Filter;
use auth::error::AdminError;
use auth::operator::session::Method;
use auth::setup::TenantFields;
use axum::response::IntoResponse as _;
use http::StatusCode;
use kernel::tenant::DEFAULT_SLUG;
use record::query::{self, JournalFilter, Outcome};
use record::tenant::Tenant;
use store::params;

use super::ask::{Seat, to};
use super::audit::limit;
use super::cookie::{self, Jar};
use super::refused::{Answer, Refused, problems};
use crate::form::Entered;
use crate::moment::Grouped;
use crate::pages::tenants::{self, Disable, List, Made, Row};

const HOUR_SECONDS: i64 = 3_600;
/// Tokens of the last hour that are counted.
const TOKENS: u32 = 200;

/// Refuses everyone but owners of the first tenant, and does not say that there is anything.
fn need_owner(seat: &Seat) -> Result<(), Refused> {
    let is_home = *seat.ask.tenant.slug == *DEFAULT_SLUG;
    let is_owner = seat.who.holds("tenants:write") || kernel::mutant::is("I01-house");
    if is_home && is_owner { Ok(()) } else { Err(Refused::not_found()) }
}

/// Whether the person may go from one tenant to another.
pub(super) fn goes_between(tenant: &Tenant, live: &auth::operator::session::Live) -> bool {
    let is_owner = live.operator.role == auth::operator::Role::Owner && !live.must_enroll;
    is_owner && (*tenant.slug == *DEFAULT_SLUG || live.session.method == Method::Entered)
}

pub(super) async fn list(seat: Seat) -> Answer {
    draw(&seat, None, &Entered::default()).await
}

async fn draw(seat: &Seat, made: Option<&Made>, entered: &Entered) -> Answer {
    need_owner(seat)?;
    let ask = &seat.ask;
    let size = limit(ask.query("limit"));
    let after = ask.query("cursor").to_owned();
    let is_first = after.is_empty();
    let more = i64::from(size).saturating_add(1);
    let rows = ask.auth.store.read_all(&auth::sql::TENANTS, params![after, more]).await?;
    let keep = usize::try_from(size).unwrap_or(usize::MAX);
    let mut list = List { rows: Vec::new(), limit: size, is_first, next: None, form: ask.new_form() };
    for row in rows.iter().take(keep) {
        let tenant = Tenant::from_row(row, &ask.auth.keyring, &ask.auth.settings.issuer)?;
        list.rows.push(Row {
            slug: tenant.slug.to_string(),
            name: tenant.name.clone(),
            kind: tenant.kind.name(),
            is_disabled: tenant.disabled_at.is_some(),
            issuer: tenant.issuer.to_string(),
            created_at: tenant.created_at,
        });
    }
    list.next = list.rows.last().filter(|_| rows.len() > keep).map(|row| row.slug.clone());
    let status = if entered.problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok((status, tenants::list(&seat.visit(), &list, made, entered)).into_response())
}

/// Makes a tenant; its first admin client's secret is in this answer alone.
pub(super) async fn create(seat: Seat) -> Answer {
    need_owner(&seat)?;
    let ask = &seat.ask;
    let page = format!("{}/tenants", ask.root);
    if !ask.is_first_of_form() {
        return Ok(to(&page));
    }
    let given = |name: &str| Some(ask.field(name).trim().to_owned()).filter(|text| !text.is_empty());
    let fields =
        TenantFields { slug: given("slug"), name: given("name"), kind: given("kind"), ..TenantFields::default() };
    let planned = ask.auth.create_tenant(&seat.who, fields).await;
    let done: Result<(Tenant, ClientView), AdminError> = match planned {
        Ok(planned) => ask.auth.run(planned).await,
        Err(error) => Err(error),
    };
    let problems = match done {
        Ok((tenant, admin)) => {
            // Keys that cannot be made now are made at the first token.
            if let Some(tenant) = ask.auth.tenant(&tenant.slug).await?
                && let Err(error) = ask.auth.first_keys(&tenant).await
            {
                tracing::warn!(code = "keys_not_made", %error, "a new tenant's keys will be made at its first token");
            }
            let made = Made {
                slug: tenant.slug.to_string(),
                name: tenant.name.clone(),
                client_id: admin.client.client_id.to_string(),
                secret: admin.secret.map(|secret| secret.reveal().clone()).unwrap_or_default(),
            };
            return draw(&seat, Some(&made), &Entered::default()).await;
        }
        Err(AdminError::Invalid(list)) => problems(list),
        Err(AdminError::Taken(_, sentence)) => vec![("slug".to_owned(), sentence)],
        Err(other) => return Err(other.into()),
    };
    ask.forget_form();
    let entered = Entered { problems, ..ask.entered() };
    draw(&seat, None, &entered).await
}

/// The tenant of the path, when there is one that can be disabled.
async fn other(seat: &Seat) -> Result<Arc<Tenant>, Refused> {
    need_owner(seat)?;
    let slug = seat.ask.param("slug");
    let found = if *slug == *DEFAULT_SLUG { None } else { seat.ask.auth.tenant(slug).await? };
    found.ok_or_else(Refused::not_found)
}

pub(super) async fn ask_disable(seat: Seat) -> Answer {
    draw_disable(&seat, &Entered::default()).await
}

/// What depends on a tenant at the moment, and the question whether to disable it.
async fn draw_disable(seat: &Seat, entered: &Entered) -> Answer {
    let tenant = other(seat).await?;
    let ask = &seat.ask;
    let clients = ask.auth.count_clients(tenant.id, &Filter::default()).await?;
    let sessions = ask.auth.session_counts(&seat.who, &tenant).await?;
    let filter = JournalFilter {
        from: Some(ask.now.plus_seconds(-HOUR_SECONDS)),
        outcome: Some(Outcome::Issued),
        limit: TOKENS,
        ..JournalFilter::default()
    };
    let issued = query::journal(&ask.auth.store, tenant.id, &filter).await?.items.len();
    let more = |is_more: bool| if is_more { " or more" } else { "" };
    let is_full = issued >= usize::try_from(TOKENS).unwrap_or(usize::MAX);
    let data = Disable {
        slug: tenant.slug.to_string(),
        name: tenant.name.clone(),
        issuer: tenant.issuer.to_string(),
        clients: format!("{}{}", Grouped(u64::from(clients.number)), more(clients.is_capped)),
        tokens: format!("{issued}{}", more(is_full)),
        sessions: sessions.values().sum(),
    };
    let status = if entered.problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok((status, tenants::disable(&seat.visit(), &data, entered)).into_response())
}

/// Switches a tenant off: nobody gets a token there, and nobody signs in.
pub(super) async fn disable(seat: Seat) -> Answer {
    let tenant = other(&seat).await?;
    let ask = &seat.ask;
    let page = format!("{}/tenants", ask.root);
    seat.need_fresh(&format!("{page}/{}/disable", tenant.slug))?;
    if ask.field("confirm") != &*tenant.slug {
        let problem = ("confirm".to_owned(), "Type the slug of the tenant to disable it.".to_owned());
        return draw_disable(&seat, &Entered { problems: vec![problem], ..ask.entered() }).await;
    }
    set_disabled(&seat, &tenant, true).await?;
    let undo = (format!("{page}/{}/enable", tenant.slug), Vec::new());
    Ok(seat.done(&page, format!("{} is disabled", tenant.name), Some(undo)))
}

pub(super) async fn enable(seat: Seat) -> Answer {
    let tenant = other(&seat).await?;
    let page = format!("{}/tenants", seat.ask.root);
    seat.need_fresh(&page)?;
    set_disabled(&seat, &tenant, false).await?;
    Ok(seat.done(&page, format!("{} is enabled", tenant.name), None))
}

async fn set_disabled(seat: &Seat, tenant: &Tenant, is_disabled: bool) -> Result<(), Refused> {
    let auth = &seat.ask.auth;
    let fields = TenantFields { disabled: Some(is_disabled), ..TenantFields::default() };
    let planned = auth.patch_tenant(&seat.who, &tenant.slug, fields).await?;
    let done = if is_disabled { auth.run_reserved(planned).await } else { auth.run(planned).await };
    done.map_err(Refused::from)
}

/// Enters a tenant with a session of its own.
pub(super) async fn enter(seat: Seat) -> Answer {
    need_owner(&seat)?;
    let ask = &seat.ask;
    seat.need_fresh(&format!("{}/tenants", ask.root))?;
    let (tenant, signed_in) =
        ask.auth.enter_tenant(&seat.who, &ask.tenant, &seat.live, ask.param("slug"), &ask.browser).await?;
    let mut response = to(&format!("/t/{}/console", tenant.slug));
    let jar = Jar::new(&tenant.slug, ask.auth.settings.issuer.starts_with("https:"));
    jar.set(response.headers_mut(), cookie::SESSION, signed_in.token.reveal());
    Ok(response)
}
