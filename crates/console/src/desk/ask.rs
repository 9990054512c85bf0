//! One request of a browser: tenant, session, form. What is not ours is refused here, before any handler runs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use access::Access;
use auth::Auth;
use auth::operator::browser::Browser;
use auth::operator::session::{Live, Method as SignInMethod};
use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts as _, RawPathParams, Request};
use axum::response::{IntoResponse as _, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{CONTENT_TYPE, ORIGIN, USER_AGENT};
use http::{HeaderMap, Method, StatusCode};
use kernel::clock::Timestamp;
use kernel::id::{Id, Kind, Session};
use kernel::principal::Principal;
use kernel::secret::Secret;
use record::refusal::Refused as CountedRefusal;
use record::tenant::{Tenant, TenantKind};
use serde_json::Value;

use super::cookie::{self, Jar};
use super::refused::Refused;
use super::{Caller, Desk};
use crate::address::{decoded_form, decoded_query};
use crate::form::Entered;
use crate::protect::Nonce;
use crate::shell::{Done, Environment, Theme, Viewer, Visit};
use crate::snippet;

/// Characters of the token of forms before sign-in: 192 random bits.
const DOOR_TOKEN: usize = 32;
/// Forms that are remembered, and for how many seconds: as long as a session lives.
const FORMS_MAX: usize = 10_000;
const FORM_SECONDS: i64 = 86_400;
/// For how many seconds the next page says what was done.
const UNDO_SECONDS: i64 = 10;
/// Most bytes of a form.
const BODY_MAX: usize = 64 * 1024;

/// A request.
pub(crate) struct Ask {
    pub(crate) auth: Arc<Auth>,
    /// What needs more products than one.
    pub(crate) access: Arc<Access>,
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) browser: Browser,
    pub(crate) nonce: Nonce,
    pub(crate) now: Timestamp,
    pub(crate) jar: Jar,
    /// Where the console of the tenant begins.
    pub(crate) root: String,
    /// Path and query as they were asked for.
    pub(crate) address: String,
    /// See [`Caller`].
    pub(crate) is_encrypted: bool,
    headers: HeaderMap,
    params: Vec<(String, String)>,
    query: Vec<(String, String)>,
    form: Vec<(String, String)>,
    json: Value,
    sent: Arc<Mutex<HashMap<String, Timestamp>>>,
    done: Arc<Mutex<Vec<Noted>>>,
}

/// What somebody did, until their next page has said so.
pub(crate) struct Noted {
    session: Id<Session>,
    path: String,
    at: Timestamp,
    done: Done,
}

impl FromRequest<Desk> for Ask {
    type Rejection = Response;

    async fn from_request(request: Request, desk: &Desk) -> Result<Self, Response> {
        Self::read(request, desk).await.map_err(Refused::into_response)
    }
}

impl Ask {
    async fn read(request: Request, desk: &Desk) -> Result<Self, Refused> {
        let (mut parts, body) = request.into_parts();
        let access = Arc::clone(&desk.access);
        let auth = Arc::clone(&access.auth);
        let params: Vec<(String, String)> = match RawPathParams::from_request_parts(&mut parts, desk).await {
            Ok(params) => params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            Err(_) => return Err(Refused::not_found()),
        };
        let slug = params.iter().find(|(name, _)| name == "tenant").map(|(_, value)| value.as_str());
        let slug = slug.unwrap_or(kernel::tenant::DEFAULT_SLUG);
        let tenant = auth.tenant(slug).await?.filter(|tenant| tenant.disabled_at.is_none());
        let tenant = tenant.ok_or_else(Refused::not_found)?;
        let root = if *tenant.slug == *kernel::tenant::DEFAULT_SLUG {
            "/console".to_owned()
        } else {
            format!("/t/{}/console", tenant.slug)
        };
        let jar = Jar::new(&tenant.slug, auth.settings.issuer.starts_with("https:"));
        let caller = parts.extensions.get::<Caller>().copied();
        let caller =
            caller.ok_or_else(|| Refused::page(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "Lost."))?;
        let agent = parts.headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let browser = Browser {
            source: caller.source,
            agent: agent.to_owned(),
            device: jar.read(&parts.headers, cookie::DEVICE),
            request: caller.request,
        };
        let mut ask = Self {
            access,
            now: auth.clock.now(),
            nonce: parts.extensions.get::<Nonce>().cloned().unwrap_or_else(|| Nonce::new([0; 16])),
            address: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            is_encrypted: caller.is_encrypted,
            query: decoded_query(parts.uri.query().unwrap_or_default()),
            form: Vec::new(),
            json: Value::Null,
            sent: Arc::clone(&desk.sent),
            done: Arc::clone(&desk.done),
            headers: parts.headers,
            auth,
            tenant,
            browser,
            jar,
            root,
            params,
        };
        if parts.method != Method::GET && parts.method != Method::HEAD {
            let kind = ask.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
            let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            let is_ours =
                ask.is_same_origin() && ["application/x-www-form-urlencoded", "application/json"].contains(&&*kind);
            if !is_ours {
                return Err(ask.cross_site());
            }
            let body = to_bytes(body, BODY_MAX).await.map_err(|_| {
                Refused::page(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "The form is larger than 64 KiB.")
            })?;
            if kind == "application/json" {
                ask.json = serde_json::from_slice(&body).map_err(|_| {
                    Refused::page(StatusCode::BAD_REQUEST, "malformed_request", "The body is not JSON.")
                })?;
            } else {
                ask.form = decoded_form(std::str::from_utf8(&body).unwrap_or_default());
            }
        }
        Ok(ask)
    }

    /// Whether the browser says that one of our own pages sent this. An old browser names its origin, which must be the
    /// one that the configuration names: `Host` is the caller's word.
    fn is_same_origin(&self) -> bool {
        if kernel::mutant::is("X03-origin") {
            return true;
        }
        let text = |name: &str| self.headers.get(name).and_then(|value| value.to_str().ok());
        match (text("sec-fetch-site"), text(ORIGIN.as_str())) {
            (Some(site), _) => site == "same-origin",
            (None, Some(origin)) => origin == origin_of(&self.auth.settings.issuer),
            (None, None) => false,
        }
    }

    /// Refuses what another site sent, and counts it for the record.
    fn cross_site(&self) -> Refused {
        self.count_refusal("cross_site_request");
        Refused::page(
            StatusCode::FORBIDDEN,
            "cross_site_request",
            "This request did not come from a page of this console.",
        )
    }

    /// Counts a refused request; repeated ones become one journal entry with a count.
    pub(crate) fn count_refusal(&self, reason: &'static str) {
        let refused = CountedRefusal {
            tenant: self.tenant.id,
            client_id: None,
            source: self.browser.source,
            reason,
            request: self.browser.request,
        };
        self.auth.refusals.add(&refused, self.now);
    }

    /// A name for a new form that makes something.
    pub(crate) fn new_form(&self) -> String {
        let mut bytes = [0; 16];
        self.auth.with_entropy(|entropy| entropy.fill(&mut bytes));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Whether a form comes for the first time within a day. One without a name never does.
    pub(crate) fn is_first_of_form(&self) -> bool {
        let name = self.field("form");
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if sent.len() >= FORMS_MAX {
            sent.retain(|_, at| self.now.seconds_since(*at) < FORM_SECONDS);
        }
        // past the bound a form that was sent twice makes two, which both are in the list
        let is_kept = sent.len() < FORMS_MAX;
        !name.is_empty() && (!is_kept || sent.insert(name.to_owned(), self.now).is_none())
    }

    /// Lets a form be sent again: it came back with something to correct.
    pub(crate) fn forget_form(&self) {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).remove(self.field("form"));
    }

    pub(crate) fn param(&self, name: &str) -> &str {
        find(&self.params, name)
    }

    /// An id in the path.
    pub(crate) fn id<K: Kind>(&self, name: &str) -> Result<Id<K>, Refused> {
        Id::parse(self.param(name)).map_err(|_| Refused::not_found())
    }

    pub(crate) fn query(&self, name: &str) -> &str {
        find(&self.query, name)
    }

    pub(crate) fn field(&self, name: &str) -> &str {
        find(&self.form, name)
    }

    /// All values of a field that may come more than once.
    pub(crate) fn fields(&self, name: &str) -> Vec<String> {
        self.form.iter().filter(|(given, _)| given == name).map(|(_, value)| value.clone()).collect()
    }

    pub(crate) fn secret(&self, name: &str) -> Secret<String> {
        Secret::new(self.field(name).to_owned())
    }

    pub(crate) fn json(&self) -> &Value {
        &self.json
    }

    /// The text member of a JSON body.
    pub(crate) fn member(&self, name: &str) -> &str {
        self.json.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn cookie(&self, kind: &str) -> Option<String> {
        self.jar.read(&self.headers, kind)
    }

    /// What was typed, but secrets.
    pub(crate) fn entered(&self) -> Entered {
        let is_shown =
            |name: &str| !["csrf", "form", "passphrase", "secret", "code", "recovery_code", "ticket"].contains(&name);
        let values = self.form.iter().filter(|(name, _)| is_shown(name)).cloned().collect();
        Entered { values, ..Entered::default() }
    }

    /// Where to go on after a sign-in: a page of this console, or its first.
    pub(crate) fn next(&self, asked: &str) -> String {
        let rest = asked.strip_prefix(&self.root);
        let is_page = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
        let is_plain = !asked.contains("//")
            && !asked.contains("/.")
            && asked.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        let is_door = rest.is_some_and(|rest| rest.starts_with("/sign-in"));
        if is_page && is_plain && !is_door { asked.to_owned() } else { self.root.clone() }
    }

    /// The live session, when there is one.
    pub(crate) async fn session(&self) -> Result<Option<Live>, Refused> {
        let Some(token) = self.cookie(cookie::SESSION) else { return Ok(None) };
        Ok(self.auth.session(&self.tenant, &token).await?)
    }

    /// The token of the forms before sign-in, and whether the browser must be given it.
    pub(crate) fn door_token(&self) -> (String, bool) {
        if let Some(token) = self.cookie(cookie::DOOR).filter(|token| token.len() == DOOR_TOKEN) {
            return (token, false);
        }
        let mut bytes = [0; 24];
        self.auth.with_entropy(|entropy| entropy.fill(&mut bytes));
        (URL_SAFE_NO_PAD.encode(bytes), true)
    }

    /// Refuses a form before sign-in that does not carry the token of this browser.
    pub(crate) fn check_door(&self, given: &str) -> Result<(), Refused> {
        let is_known = self.cookie(cookie::DOOR).is_some_and(|token| {
            token.len() == DOOR_TOKEN && jose::constant_time_eq(token.as_bytes(), given.as_bytes())
        });
        if is_known || kernel::mutant::is("X03-door") { Ok(()) } else { Err(self.cross_site()) }
    }
}

/// A request of somebody who is signed in.
pub(crate) struct Seat {
    pub(crate) ask: Ask,
    pub(crate) live: Live,
    pub(crate) who: Principal,
    pub(crate) viewer: Viewer,
}

impl FromRequest<Desk> for Seat {
    type Rejection = Response;

    async fn from_request(request: Request, desk: &Desk) -> Result<Self, Response> {
        let is_safe = request.method().is_safe();
        let ask = Ask::from_request(request, desk).await?;
        Self::take(ask, is_safe).await.map_err(Refused::into_response)
    }
}

impl Seat {
    /// The same seat after its session got another token, to which the forms of the next page belong.
    pub(crate) async fn renewed(self, token: &str) -> Result<Self, Refused> {
        let live = self.ask.auth.session(&self.ask.tenant, token).await?;
        let live = live.ok_or_else(|| Refused::Elsewhere(format!("{}/sign-in", self.ask.root)))?;
        let who = live.principal(&self.ask.browser, self.ask.tenant.id);
        let viewer = viewer(&self.ask, &live, &who);
        Ok(Self { ask: self.ask, live, who, viewer })
    }

    async fn take(ask: Ask, is_safe: bool) -> Result<Self, Refused> {
        let Some(live) = ask.session().await? else {
            if ask.cookie(cookie::SESSION).is_some() {
                ask.count_refusal("session_unknown");
            }
            let next = if is_safe { ask.next(&ask.address) } else { ask.root.clone() };
            let next = crate::address::encoded(&next);
            return Err(Refused::Elsewhere(format!("{}/sign-in?next={next}", ask.root)));
        };
        if !is_safe {
            let given = if ask.json().is_null() { ask.field("csrf") } else { ask.member("csrf") };
            let is_ours = ask.auth.is_form_token(&ask.tenant, &live.session, given);
            if !is_ours && !kernel::mutant::is("X03-token") {
                return Err(ask.cross_site());
            }
        }
        let within = ask.address.strip_prefix(&ask.root).unwrap_or_default();
        let is_open = ["/account", "/sign-out", "/preferences", "/step-up"].iter().any(|path| within.starts_with(path));
        if live.must_enroll && !is_open {
            return Err(Refused::Elsewhere(format!("{}/account", ask.root)));
        }
        // Who entered from the first tenant has their account there.
        let is_own = ["/account", "/step-up"].iter().any(|path| within.starts_with(path));
        if live.session.method == SignInMethod::Entered && is_own {
            return Err(Refused::Elsewhere("/console/account".to_owned()));
        }
        let who = live.principal(&ask.browser, ask.tenant.id);
        let viewer = viewer(&ask, &live, &who);
        Ok(Self { ask, live, who, viewer })
    }

    /// The way to a page that says what was done and offers for a few seconds to undo it.
    pub(crate) fn done(&self, path: &str, sentence: String, undo: Option<Undo>) -> Response {
        let mut list = self.ask.done.lock().unwrap_or_else(PoisonError::into_inner);
        list.retain(|noted| self.ask.now.seconds_since(noted.at) <= UNDO_SECONDS);
        if list.len() < FORMS_MAX {
            let (session, path) = (self.live.session.id, path.to_owned());
            list.push(Noted { session, path, at: self.ask.now, done: Done { sentence, undo } });
        }
        to(path)
    }

    pub(crate) fn visit(&self) -> Visit<'_> {
        Visit { viewer: &self.viewer, nonce: &self.ask.nonce, now: self.ask.now }
    }

    /// Refuses, and counts for the record, what the person's role does not allow.
    pub(crate) fn need(&self, scope: &str) -> Result<(), Refused> {
        if self.who.holds(scope) || kernel::mutant::is("I01-role") {
            return Ok(());
        }
        self.ask.count_refusal("insufficient_scope");
        Err(Refused::forbidden(scope))
    }

    /// Asks for a fresh sign-in before what cannot be undone.
    pub(crate) fn need_fresh(&self, page: &str) -> Result<(), Refused> {
        if self.live.is_fresh(self.ask.now) || kernel::mutant::is("S-25-fresh") {
            return Ok(());
        }
        if self.live.session.method == SignInMethod::Entered {
            return Err(Refused::Elsewhere("/console/step-up?next=%2Fconsole%2Ftenants".to_owned()));
        }
        let next = crate::address::encoded(page);
        Err(Refused::Elsewhere(format!("{}/step-up?next={next}", self.ask.root)))
    }
}

/// The way to a page after a change; the browser asks for it with GET.
pub(crate) fn to(path: &str) -> Response {
    Redirect::to(path).into_response()
}

/// Address and fields of the form that undoes something.
pub(crate) type Undo = (String, Vec<(&'static str, String)>);

/// What the person did a moment ago, when this is the page that says so.
fn just_done(ask: &Ask, live: &Live) -> Option<Done> {
    let list = ask.done.lock().unwrap_or_else(PoisonError::into_inner);
    let is_due = |noted: &&Noted| {
        noted.session == live.session.id && noted.path == ask.address && ask.now.seconds_since(noted.at) <= UNDO_SECONDS
    };
    list.iter().rfind(is_due).map(|noted| noted.done.clone())
}

fn viewer(ask: &Ask, live: &Live, who: &Principal) -> Viewer {
    Viewer {
        done: just_done(ask, live),
        name: live.operator.name.clone(),
        email: live.operator.email.to_string(),
        role: live.operator.role,
        tenant_slug: ask.tenant.slug.to_string(),
        tenant_name: ask.tenant.name.clone(),
        issuer: ask.tenant.issuer.to_string(),
        environment: if ask.tenant.kind == TenantKind::Live { Environment::Live } else { Environment::Sandbox },
        csrf: ask.auth.form_token(&ask.tenant, &live.session),
        holds: who.scopes.iter().map(ToString::to_string).collect(),
        theme: ask.cookie(cookie::THEME).as_deref().and_then(Theme::parse).unwrap_or_default(),
        language: ask.cookie(cookie::LANGUAGE).as_deref().and_then(snippet::language).unwrap_or(snippet::FIRST),
        goes_between: super::tenants::goes_between(&ask.tenant, live),
    }
}

/// Scheme, host and port of an address.
fn origin_of(address: &str) -> &str {
    let after = address.find("://").and_then(|at| at.checked_add(3)).unwrap_or(0);
    let rest = address.get(after..).unwrap_or_default();
    let end = rest.find('/').and_then(|at| at.checked_add(after)).unwrap_or(address.len());
    address.get(..end).unwrap_or(address)
}

fn find<'a>(pairs: &'a [(String, String)], name: &str) -> &'a str {
    pairs.iter().find(|(given, _)| given == name).map_or("", |(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_ends_before_the_path() {
        assert_eq!(origin_of("https://id.example.com/a/b"), "https://id.example.com");
        assert_eq!(origin_of("http://127.0.0.1:8080"), "http://127.0.0.1:8080");
    }
}
