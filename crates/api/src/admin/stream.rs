//! The event stream: server-sent events (WHATWG HTML §9.2) in the order of commits, resumed by the id of the last one.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::HeaderName;
use http::header::AUTHORIZATION;
use kernel::id::{self, Id};
use kernel::mutant;
use kernel::principal::Principal;
use kernel::secret::Secret;
use kernel::tenant::TenantId;
use record::outbox::{self, EventView};
use record::tail::{Next, Tail};
use record::tenant::Tenant;
use serde_json::json;

use super::{Ask, audit, events, once};
use crate::App;
use crate::basic::{self, Authorization};
use crate::problem::Problem;
use crate::route::Route;

/// Streams open at the same time in this process.
const STREAMS: usize = 256;
/// Streams open at the same time for one tenant, so that no tenant can take them all.
const STREAMS_OF_TENANT: usize = 64;
/// When a refused reader may come back, in seconds.
const RETRY_AFTER: u32 = 5;
/// How often the token is looked at again; events of other processes are found as late.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How often something is sent, so that no proxy takes the connection for dead.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// Opens a stream.
pub(super) async fn open(ask: Ask) -> Result<Response, Problem> {
    let kinds = events::kinds_of(&ask)?;
    let customer = events::customer_of(&ask).await?;
    let (position, gap) = start(&ask).await?;
    let seat = Seats::take(&ask.app.streams, ask.tenant.id).ok_or_else(|| {
        let detail = format!("too many streams are open here; try again in {RETRY_AFTER} s");
        Problem::new(http::StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail).with_retry_after(RETRY_AFTER)
    })?;
    let header = ask.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(Ok(Authorization::Bearer(token))) = header.map(basic::parse) else { return Err(Problem::internal()) };
    let tail = Tail::new(ask.app.auth.store.clone(), ask.tenant.id, position).only(kinds, customer);
    let reader = Reader {
        app: ask.app,
        tenant: ask.tenant,
        route: ask.route,
        who: ask.who,
        token: Secret::new(token),
        tail,
        // the first bytes leave at once, so that a reader knows that it is heard
        unsent: Some(Bytes::from(gap.unwrap_or_else(|| ":\n\n".to_owned()))),
        looked: Instant::now(),
        sent: Instant::now(),
        _seat: seat,
    };
    let chunks = stream::unfold(reader, |mut reader| async {
        let chunk = reader.next().await?;
        Some((Ok::<_, Infallible>(chunk), reader))
    });
    Ok(console::event_stream(Body::from_stream(chunks)))
}

/// The streams that are open, by tenant.
#[derive(Debug, Default)]
pub(crate) struct Seats(Mutex<HashMap<TenantId, usize>>);

impl Seats {
    fn taken(&self) -> MutexGuard<'_, HashMap<TenantId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(seats: &Arc<Self>, tenant: TenantId) -> Option<Seat> {
        let mut taken = seats.taken();
        let all: usize = taken.values().sum();
        let own = taken.entry(tenant).or_default();
        if all >= STREAMS || *own >= STREAMS_OF_TENANT {
            return None;
        }
        *own = own.saturating_add(1);
        Some(Seat { seats: Arc::clone(seats), tenant })
    }
}

/// One open stream.
struct Seat {
    seats: Arc<Seats>,
    tenant: TenantId,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        if let Some(own) = taken.get_mut(&self.tenant) {
            *own = own.saturating_sub(1);
        }
        taken.retain(|_, count| *count > 0);
    }
}

/// Where the stream begins, and what it says first when events before that are missing.
async fn start(ask: &Ask) -> Result<(i64, Option<String>), Problem> {
    let name = HeaderName::from_static("last-event-id");
    once(&ask.headers, &name)?;
    let given = match ask.headers.get(&name) {
        Some(value) => Some((name.as_str(), value.to_str().unwrap_or_default().trim())),
        None => ask.query.get("after").map(|text| ("after", text.as_str())),
    };
    let (store, tenant) = (&ask.app.auth.store, ask.tenant.id);
    let Some((name, text)) = given else {
        return Ok((outbox::latest(store, tenant).await.map_err(audit::refuse)?, None));
    };
    let id: Id<id::Event> =
        Id::parse(text).map_err(|_| Problem::parameter(name, format!("{name} takes the id of an event: evt_…")))?;
    if let Some(event) = outbox::event(store, tenant, id).await.map_err(audit::refuse)? {
        return Ok((event.position, None));
    }
    let Some(oldest) = outbox::oldest(store, tenant).await.map_err(audit::refuse)? else {
        return Ok((outbox::latest(store, tenant).await.map_err(audit::refuse)?, Some(gap(None))));
    };
    Ok((oldest.position.saturating_sub(1), Some(gap(Some(&oldest)))))
}

/// Tells that events are missing, with the oldest one that is kept.
fn gap(oldest: Option<&EventView>) -> String {
    format!("event: stream.gap\ndata: {}\n\n", json!({"oldest_id": oldest.map(|event| event.id.to_string())}))
}

struct Reader {
    app: App,
    route: &'static Route,
    tenant: Arc<Tenant>,
    who: Principal,
    token: Secret<String>,
    tail: Tail,
    unsent: Option<Bytes>,
    looked: Instant,
    sent: Instant,
    _seat: Seat,
}

impl Reader {
    /// The next bytes; `None` ends the stream.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.unsent.take() {
            return Some(first);
        }
        loop {
            if self.looked.elapsed() >= LOOK_AGAIN {
                self.looked = Instant::now();
                if !self.may_go_on().await {
                    return None;
                }
            }
            match self.tail.read().await {
                Ok(Some(next)) => {
                    self.sent = Instant::now();
                    return self.written(&next);
                }
                Ok(None) => {}
                // It resumes where it was once the store is back.
                Err(error) => {
                    tracing::warn!(%error, tenant = &*self.tenant.slug, "an event stream could not be read and ends");
                    return None;
                }
            }
            if self.sent.elapsed() >= SIGN_OF_LIFE {
                self.sent = Instant::now();
                return Some(Bytes::from_static(b":\n\n"));
            }
            self.tail.wait(LOOK_AGAIN.saturating_sub(self.looked.elapsed())).await;
        }
    }

    fn written(&self, next: &Next) -> Option<Bytes> {
        let events = match next {
            Next::Gap(oldest) => return Some(Bytes::from(gap(Some(oldest)))),
            Next::Events(events) => events,
        };
        let mut text = String::new();
        for event in events {
            let whole = event.wire(&self.tenant.slug).ok()?;
            // Writing to a String cannot fail.
            let _ = write!(text, "id: {}\nevent: {}\ndata: {whole}\n\n", event.id, event.kind);
        }
        Some(Bytes::from(text))
    }

    /// Whether the token is still good for this, and the process not about to end.
    async fn may_go_on(&self) -> bool {
        let auth = &self.app.auth;
        if auth.is_ending.load(Ordering::Relaxed) || auth.store.is_fenced() {
            return false;
        }
        if mutant::is("S-18-stream") {
            return true;
        }
        let Ok(Some(tenant)) = auth.tenant(&self.tenant.slug).await else { return false };
        let found = self.app.access.principal(&tenant, self.token.reveal(), self.who.source, self.who.request).await;
        matches!(found, Ok(Some((who, _))) if self.route.scope.is_none_or(|scope| who.holds(scope)))
    }
}
