//! Tells an open page that something happened; what it was, the page asks for like any other reader.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use auth::Auth;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue};
use record::outbox;
use record::tail::Tail;
use record::tenant::Tenant;
use tokio::sync::OwnedSemaphorePermit;

use super::Desk;
use super::ask::Seat;
use super::cookie;
use super::refused::{Answer, Refused};

/// Pages that are told at the same time in this process.
pub(super) const WATCHERS: usize = 256;
/// How often the session is looked at, and tokens are noticed, which are no events.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// `GET …/activity/stream`: a message per moment in which something happened.
pub(super) async fn open(State(desk): State<Desk>, seat: Seat) -> Answer {
    seat.need("audit:read")?;
    let ask = seat.ask;
    let Ok(permit) = Arc::clone(&desk.watchers).try_acquire_owned() else { return Err(Refused::unavailable(5)) };
    let latest = outbox::latest(&ask.auth.store, ask.tenant.id).await?;
    let watcher = Watcher {
        tail: Tail::new(ask.auth.store.clone(), ask.tenant.id, latest),
        session: ask.cookie(cookie::SESSION).unwrap_or_default(),
        issued: issued(&ask.auth),
        auth: ask.auth,
        tenant: ask.tenant,
        sent: Instant::now(),
        is_new: true,
        _permit: permit,
    };
    let chunks = stream::unfold(watcher, |mut watcher| async {
        let chunk = watcher.next().await?;
        Some((Ok::<_, Infallible>(chunk), watcher))
    });
    Ok(event_stream(Body::from_stream(chunks)))
}

/// An answer of server-sent events (WHATWG HTML §9.2).
pub fn event_stream(body: Body) -> Response {
    let mut answer = Response::new(body);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx and its like hand on what they have instead of waiting for more
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    answer
}

/// Tokens issued by this process.
fn issued(auth: &Auth) -> u64 {
    let counters = &auth.counters;
    let (first, again) = (&counters.issued_client_credentials, &counters.issued_refresh);
    first.load(Ordering::Relaxed).wrapping_add(again.load(Ordering::Relaxed))
}

struct Watcher {
    auth: Arc<Auth>,
    tenant: Arc<Tenant>,
    session: String,
    tail: Tail,
    issued: u64,
    sent: Instant,
    is_new: bool,
    _permit: OwnedSemaphorePermit,
}

impl Watcher {
    /// The next bytes; `None` ends the stream.
    async fn next(&mut self) -> Option<&'static str> {
        if std::mem::take(&mut self.is_new) {
            return Some(":\n\n");
        }
        loop {
            let is_live = self.auth.is_live(&self.tenant, &self.session).await;
            if !matches!(is_live, Ok(true)) || self.auth.is_ending.load(Ordering::Relaxed) {
                return None;
            }
            let mut is_news = false;
            while self.tail.read().await.ok()?.is_some() {
                is_news = true;
            }
            let issued = issued(&self.auth);
            is_news |= std::mem::replace(&mut self.issued, issued) != issued;
            if is_news {
                self.sent = Instant::now();
                return Some("data: news\n\n");
            }
            if self.sent.elapsed() >= SIGN_OF_LIFE {
                self.sent = Instant::now();
                return Some(":\n\n");
            }
            self.tail.wait(LOOK_AGAIN).await;
        }
    }
}
