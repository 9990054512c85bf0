//! The desk: requests of people, from the cookie to the page.
//!
//! A handler reads its [`ask::Ask`], calls one use-case of the product and shows a page over plain data; it decides
//! nothing. Who is signed in, whether the request comes from our own pages and which tenant it means is settled once, in
//! [`ask`], before any handler runs.

mod account;
mod activity;
mod apis;
mod ask;
mod audit;
mod catalog;
mod client_access;
mod client_form;
mod client_log;
mod clients;
mod cookie;
mod customers;
mod deliveries;
mod door;
mod export;
mod home;
mod keys;
mod limits;
mod link;
mod passkey;
mod plans;
mod refused;
mod run;
mod search;
mod selection;
mod settings;
mod subscriptions;
mod team;
mod tenants;
mod tokens;
mod usage;
mod watch;
mod webhooks;

pub use watch::event_stream;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use access::Access;
use axum::Router;
use axum::routing::{get, post};
use kernel::clock::Timestamp;
use kernel::id::{Id, Request};
use tokio::sync::Semaphore;

/// Who sends a request, as the listener knows it; set on every request before it reaches the console.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    /// Address of the peer.
    pub source: Option<IpAddr>,
    /// The request's id.
    pub request: Id<Request>,
    /// Whether the hop of the browser is encrypted, here or at a trusted proxy.
    pub is_encrypted: bool,
}

/// What the handlers reach.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) access: Arc<Access>,
    /// Forms that were sent, with their time: a double click or a reload sends one again.
    sent: Arc<Mutex<HashMap<String, Timestamp>>>,
    /// What people did in the last seconds, for the page that comes after.
    done: Arc<Mutex<Vec<ask::Noted>>>,
    /// Seats of pages that are told what happens.
    watchers: Arc<Semaphore>,
}

/// The page while the server cannot answer.
pub(crate) fn unavailable() -> refused::Refused {
    refused::Refused::unavailable(1)
}

/// Routes of the console for `default` and, below `/t/{tenant}`, for every tenant.
pub(crate) fn routes<S>(access: Arc<Access>) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let mut router = Router::new();
    for prefix in ["/console", "/t/{tenant}/console"] {
        let at = |path: &str| format!("{prefix}{path}");
        router = router
            .route(&at(""), get(home::show))
            .route(&at("/"), get(home::show))
            .route(&at("/sign-in"), get(door::show).post(door::sign_in))
            .route(&at("/sign-in/passkey"), post(passkey::sign_in))
            .route(&at("/sign-in/second-factor"), get(door::show_code).post(door::sign_in_code))
            .route(&at("/sign-in/recovery"), get(door::show_recovery))
            .route(&at("/sign-in/second-factor/passkey"), post(passkey::second_factor))
            .route(&at("/sign-out"), post(door::sign_out))
            .route(&at("/setup/{token}"), get(link::show_setup).post(link::set_up))
            .route(&at("/join/{token}"), get(link::show_invitation).post(link::join))
            .route(&at("/step-up"), get(account::show_step_up).post(account::step_up))
            .route(&at("/step-up/passkey"), post(passkey::step_up))
            .route(&at("/preferences"), post(account::prefer))
            .route(&at("/account"), get(account::show))
            .route(&at("/account/authenticator"), get(account::offer_totp).post(account::enroll_totp))
            .route(&at("/account/authenticator/remove"), post(account::remove_totp))
            .route(&at("/account/recovery-codes"), post(account::renew_codes))
            .route(&at("/account/passphrase"), post(account::change_passphrase))
            .route(&at("/account/passkeys"), post(passkey::add))
            .route(&at("/account/passkeys/{id}/remove"), post(account::remove_passkey))
            .route(&at("/account/sessions/end"), post(account::end_sessions))
            .route(&at("/account/sessions/{id}/end"), post(account::end_session))
            .route(&at("/team"), get(team::list))
            .route(&at("/team/invitations"), post(team::invite))
            .route(&at("/team/invitations/{id}/withdraw"), post(team::withdraw))
            .route(&at("/team/{id}/role"), post(team::change_role))
            .route(&at("/team/{id}/disable"), post(team::disable))
            .route(&at("/team/{id}/enable"), post(team::enable))
            .route(&at("/team/{id}/remove"), post(team::remove))
            .route(&at("/search"), get(search::show))
            .route(&at("/tenants"), get(tenants::list).post(tenants::create))
            .route(&at("/tenants/{slug}/enter"), post(tenants::enter))
            .route(&at("/tenants/{slug}/disable"), get(tenants::ask_disable).post(tenants::disable))
            .route(&at("/tenants/{slug}/enable"), post(tenants::enable))
            .route(&at("/activity"), get(activity::list))
            .route(&at("/activity/stream"), get(watch::open))
            .route(&at("/audit"), get(audit::list))
            .route(&at("/settings"), get(settings::show))
            .route(&at("/settings/notices"), get(settings::notices))
            .route(&at("/settings/diagnostics"), get(settings::diagnostics))
            .route(&at("/customers"), get(customers::list).post(customers::create))
            .route(&at("/customers/new"), get(customers::new))
            .route(&at("/customers/{customer}"), get(customers::show))
            .route(&at("/customers/{customer}/{part}"), get(customers::show_part).post(customers::change))
            .route(&at("/billing/plans"), get(plans::list).post(plans::create))
            .route(&at("/billing/plans/new"), get(plans::new))
            .route(&at("/billing/plans/{plan}"), get(plans::show))
            .route(&at("/billing/plans/{plan}/{part}"), get(plans::show_part).post(plans::change))
            .route(&at("/billing/subscriptions"), get(subscriptions::list))
            .route(&at("/billing/subscriptions/{subscription}"), get(subscriptions::show))
            .route(&at("/billing/subscriptions/{subscription}/{part}"), post(subscriptions::change))
            .route(&at("/billing/usage"), get(usage::show))
            .route(&at("/billing/features"), get(catalog::list).post(catalog::create_feature))
            .route(&at("/billing/features/{feature}/{part}"), post(catalog::change_feature))
            .route(&at("/billing/meters"), post(catalog::create_meter))
            .route(&at("/billing/meters/{meter}/archive"), post(catalog::archive_meter))
            .route(&at("/identity/limits"), get(limits::show).post(limits::save))
            .route(&at("/identity/limits/{client}/mode"), post(limits::set_mode))
            .route(&at("/identity/tokens"), get(tokens::list))
            .route(&at("/identity/tokens/inspect"), get(tokens::ask).post(tokens::inspect))
            .route(&at("/identity/tokens/end"), post(tokens::end_token))
            .route(&at("/identity/tokens/clients/end"), post(tokens::end_all))
            .route(&at("/identity/tokens/families/{family}/end"), post(tokens::end_family))
            .route(&at("/identity/apis"), get(apis::list).post(apis::create))
            .route(&at("/identity/apis/new"), get(apis::new))
            .route(&at("/identity/apis/{api}"), get(apis::show))
            .route(&at("/identity/apis/{api}/{part}"), get(apis::show_part).post(apis::change))
            .route(&at("/identity/keys"), get(keys::list))
            .route(&at("/identity/keys/rotate"), post(keys::rotate))
            .route(&at("/identity/keys/{kid}/cancel-rotation"), post(keys::cancel_rotation))
            .route(&at("/identity/keys/{kid}/revoke"), post(keys::revoke))
            .route(&at("/developers/webhooks"), get(webhooks::list).post(webhooks::create))
            .route(&at("/developers/webhooks/new"), get(webhooks::new))
            .route(&at("/developers/webhooks/{webhook}"), get(deliveries::log))
            .route(&at("/developers/webhooks/{webhook}/resend"), get(deliveries::count).post(deliveries::resend_range))
            .route(&at("/developers/webhooks/{webhook}/{part}"), get(webhooks::show_part).post(webhooks::change))
            .route(&at("/developers/webhooks/{webhook}/deliveries/{delivery}"), get(deliveries::show))
            .route(&at("/developers/webhooks/{webhook}/deliveries/{delivery}/resend"), post(deliveries::resend))
            .route(&at("/identity/clients"), get(clients::list).post(client_form::create))
            .route(&at("/identity/clients/new"), get(client_form::new))
            .route(&at("/identity/selected-clients"), post(selection::act))
            .route(&at("/identity/clients/{client}"), get(clients::show))
            .route(&at("/identity/clients/{client}/token"), post(run::run))
            .route(&at("/identity/clients/{client}/first-token"), get(run::first_token))
            .route(&at("/identity/clients/{client}/{part}"), get(clients::show_part).post(clients::change))
            .route(&at("/identity/clients/{client}/secrets/{secret}/end"), post(clients::end_secret));
    }
    let watchers = Arc::new(Semaphore::new(watch::WATCHERS));
    router.with_state(Desk { access, sent: Arc::default(), done: Arc::default(), watchers })
}
