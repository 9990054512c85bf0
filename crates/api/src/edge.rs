//! What holds for every request: its id, its deadline, the bound on requests in flight, what a panic answers, and that
//! a fenced process says nothing about credentials.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use auth::error::OauthError;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use http::header::{HeaderValue, RETRY_AFTER};
use http::{Method, StatusCode};
use tokio::sync::Notify;

use crate::metrics::{Group, count};
use crate::peer::Transport;
use crate::problem::Problem;
use crate::readiness::RowCorrupt;
use crate::request_id::{self, RequestId};
use crate::{App, oauth_error, refusal};

/// Told by a handler once it has read the body: from then on the deadline runs. The listener bounds the reading.
#[derive(Clone, Default)]
pub(crate) struct BodyRead(Arc<Notify>);

impl BodyRead {
    /// The body is here.
    pub(crate) fn tell(extensions: &http::Extensions) {
        if let Some(read) = extensions.get::<Self>() {
            read.0.notify_one();
        }
    }
}

/// What a path belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Surface {
    /// `/oauth2/…`: speaks about credentials.
    Oauth,
    /// `/api/…`: the same.
    Admin,
    /// `/console/…`: the same, in pages.
    Console,
    /// Everything else says what it says whoever holds the lease.
    Open,
}

/// How long a request may take, which lane it uses, and what its answer means.
struct Terms {
    deadline: Duration,
    reserved: bool,
    surface: Surface,
    group: Group,
    /// Whether it may change something.
    changes: bool,
}

/// Introspection 1 s, tokens 2 s, everything else 10 s; revocation, disabling and health use the reserved lane.
fn terms(method: &Method, path: &str) -> Terms {
    let oauth = refusal::is_oauth(path);
    let path = refusal::within_tenant(path);
    let ends = |tail: &str| path.ends_with(tail);
    let seconds = match path {
        "/oauth2/introspect" => 1,
        "/oauth2/token" => 2,
        _ => 10,
    };
    let reserved = path == "/oauth2/revoke"
        || ["/livez", "/readyz", "/metrics"].contains(&path)
        || (path.starts_with("/api/") && ["/disable", "/revoke", "/revoke-tokens"].iter().any(|tail| ends(tail)))
        || (path.starts_with("/console/") && ["/disable", "/end", "/sign-out"].iter().any(|tail| ends(tail)));
    let surface = match path {
        _ if oauth => Surface::Oauth,
        _ if path.starts_with("/api/") => Surface::Admin,
        _ if path.starts_with("/console/assets/") => Surface::Open,
        _ if path == "/console" || path.starts_with("/console/") => Surface::Console,
        _ => Surface::Open,
    };
    let is_managing = matches!(surface, Surface::Admin | Surface::Console);
    let changes = !method.is_safe() && (is_managing || path == "/oauth2/revoke");
    Terms { deadline: Duration::from_secs(seconds), reserved, surface, group: Group::of(path), changes }
}

/// Requests that may be carried out at the same time when nothing else is said.
pub(crate) const IN_FLIGHT: u32 = 1_024;

/// The requests being carried out, and their bound; an eighth of it is kept for the reserved lane.
#[derive(Debug)]
pub(crate) struct Places {
    taken: AtomicUsize,
    /// How many of them are in the reserved lane.
    reserved: AtomicUsize,
    bound: usize,
}

impl Places {
    /// No request yet.
    pub(crate) fn new(bound: usize) -> Arc<Self> {
        Arc::new(Self { taken: AtomicUsize::new(0), reserved: AtomicUsize::new(0), bound })
    }

    /// How many requests are being carried out.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// How many of them use the reserved lane.
    pub(crate) fn taken_by_reserved(&self) -> usize {
        self.reserved.load(Ordering::Relaxed)
    }
}

/// Counts a request for as long as it is carried out.
struct Place(Arc<Places>, bool);

impl Place {
    fn take(places: &Arc<Places>, reserved: bool) -> Option<Self> {
        let kept = if reserved { 0 } else { places.bound / 8 };
        let place = Self(Arc::clone(places), reserved);
        places.reserved.fetch_add(usize::from(reserved), Ordering::Relaxed);
        (places.taken.fetch_add(1, Ordering::SeqCst) < places.bound.saturating_sub(kept)).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::SeqCst);
        self.0.reserved.fetch_sub(usize::from(self.1), Ordering::Relaxed);
    }
}

/// Wraps every request.
pub(crate) async fn wrap(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let (now, started) = (app.auth.clock.now(), Instant::now());
    let id = app.auth.with_entropy(|entropy| request_id::assign(request.headers(), now, entropy));
    let text = Arc::clone(&id.text);
    let uri = request.uri().clone();
    let terms = terms(request.method(), uri.path());
    let transport = request.extensions().get::<Transport>().copied().unwrap_or(Transport::Plain);
    request.extensions_mut().insert::<RequestId>(id.clone());
    let read = BodyRead::default();
    request.extensions_mut().insert(read.clone());
    let refused = |problem: Problem| match terms.surface {
        Surface::Oauth => oauth_error::response(&OauthError::Unavailable, &app.error_pages, &text),
        Surface::Console => console::unavailable(),
        Surface::Admin | Surface::Open => problem.into_response(),
    };
    let busy = || refused(Problem::unavailable(1));
    // What was begun may have been done.
    let lost = || refused(if terms.changes { Problem::unknown(1) } else { Problem::unavailable(1) });
    let fenced = || terms.surface != Surface::Open && app.auth.store.is_fenced();
    let mut answer = match Place::take(&app.requests, terms.reserved) {
        None => {
            app.readiness.shed(now);
            count(&app.traffic.shed_full);
            busy()
        }
        Some(_) if fenced() => busy(),
        Some(_place) => {
            // A future that is bound to a name before it is polled is held twice in this one, which is made anew for every
            // request: hence none is. A handler that is dropped here has either not committed or its commit is carried out
            // regardless.
            let outcome = tokio::select! {
                // an answer that needs no wait needs no timer either
                biased;
                outcome = AssertUnwindSafe(async {
                    let answer = next.run(request).await;
                    // What it found done must be known to the next request too.
                    let is_open = terms.changes && !answer.status().is_server_error();
                    if is_open && app.auth.store.settle().await.is_err() { lost() } else { answer }
                }).catch_unwind() => Some(outcome),
                () = async {
                    read.0.notified().await;
                    tokio::time::sleep(terms.deadline).await;
                } => None,
            };
            match outcome {
                // The lease may have ended meanwhile: then another process may know better.
                Some(Ok(_)) if fenced() => lost(),
                Some(Ok(answer)) => answer,
                Some(Err(_)) => {
                    count(&app.traffic.panics);
                    tracing::error!(code = "handler_panicked", request_id = %text, "a handler ended in a panic");
                    if terms.surface == Surface::Oauth {
                        oauth_error::response(&OauthError::Internal(None), &app.error_pages, &text)
                    } else {
                        Problem::internal().into_response()
                    }
                }
                None => {
                    count(&app.traffic.shed_late);
                    lost()
                }
            }
        }
    };
    app.traffic.answered(terms.group, answer.status(), started.elapsed());
    if answer.extensions().get::<RowCorrupt>().is_some() {
        app.readiness.met_corrupt_row(now);
    }
    Problem::complete(&mut answer, &app.error_pages, uri.path(), &id);
    spread(&mut answer, &id);
    refusal::mark(answer.headers_mut(), &id, transport);
    answer
}

/// Adds up to two seconds to the `Retry-After` of a 503: callers who were refused together come back apart. The last
/// byte of the request's id is as good as a draw.
fn spread(answer: &mut Response, request: &RequestId) {
    if answer.status() != StatusCode::SERVICE_UNAVAILABLE {
        return;
    }
    let said = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse::<u32>().ok());
    let [.., last] = request.id.as_bytes();
    if let Some(seconds) = said {
        let seconds = seconds.saturating_add(u32::from(*last) % 3);
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_house_refuses_ordinary_requests_and_still_takes_reserved_ones() {
        let places = Places::new(1_024);
        let held: Vec<_> = (0..896).map(|_| Place::take(&places, false).unwrap()).collect();
        assert!(Place::take(&places, false).is_none());
        assert!(Place::take(&places, true).is_some());
        drop(held);
        assert_eq!(places.taken.load(Ordering::SeqCst), 0);
        assert!(Place::take(&places, false).is_some());
    }

    #[test]
    fn refused_callers_come_back_apart_and_within_the_seconds_that_the_limits_say() {
        let mut waits = std::collections::BTreeSet::new();
        for last in 0..=255 {
            let mut bytes = [0; 16];
            bytes[15] = last;
            let id = RequestId { id: kernel::id::Id::from_bytes(bytes), text: Arc::from(""), trace: None };
            let mut answer = Problem::unavailable(1).into_response();
            spread(&mut answer, &id);
            waits.insert(answer.headers()[RETRY_AFTER].to_str().unwrap().to_owned());
            let mut limited = Problem::too_many_requests("client", 7).into_response();
            spread(&mut limited, &id);
            assert_eq!(limited.headers()[RETRY_AFTER], "7", "a limit says exactly when");
        }
        assert_eq!(waits.into_iter().collect::<Vec<_>>(), ["1", "2", "3"]);
    }

    #[test]
    fn narrowing_requests_use_the_reserved_lane_in_every_tenant() {
        for path in ["/oauth2/revoke", "/t/acme/oauth2/revoke", "/api/clients/x/disable", "/t/a/api/keys/k/revoke"] {
            assert!(terms(&Method::POST, path).reserved, "{path}");
        }
        for path in ["/oauth2/token", "/api/clients", "/docs", "/t/acme/oauth2/introspect"] {
            assert!(!terms(&Method::POST, path).reserved, "{path}");
        }
        assert_eq!(terms(&Method::POST, "/t/acme/oauth2/introspect").deadline.as_secs(), 1);
    }

    #[test]
    fn what_speaks_about_credentials_is_guarded_in_every_tenant() {
        for path in ["/oauth2/token", "/t/acme/oauth2/introspect", "/api/clients", "/t/acme/api/whoami"] {
            assert!(terms(&Method::POST, path).surface != Surface::Open, "{path}");
        }
        for path in ["/.well-known/jwks.json", "/t/acme/.well-known/jwks.json", "/docs/api", "/livez", "/readyz"] {
            assert!(terms(&Method::POST, path).surface == Surface::Open, "{path}");
        }
    }
}
