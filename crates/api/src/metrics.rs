//! `/metrics`: figures in the text format of Prometheus. Labels come from closed sets; none names a client or a path.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use kernel::histogram::{Histogram, Reading};

use crate::App;

/// Classes of status codes.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// How a figure moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only rises while the process lives.
    Counter,
    /// It rises and falls.
    Gauge,
}

/// One figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Its name without the prefix `bastionary_`.
    pub name: &'static str,
    /// Its labels in braces, or nothing.
    pub labels: &'static str,
    /// How it moves.
    pub kind: Kind,
    /// The figure.
    pub value: u64,
}

/// Figures of the process around the router: connections, descriptors, panics.
#[derive(Clone)]
pub struct Outside(pub Arc<dyn Fn() -> Vec<Sample> + Send + Sync>);

/// What a request asked for, as far as figures tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    Token,
    Introspect,
    Revoke,
    Metadata,
    Admin,
    Pages,
    Health,
    Other,
}

impl Group {
    const ALL: [Self; 8] = [
        Self::Token,
        Self::Introspect,
        Self::Revoke,
        Self::Metadata,
        Self::Admin,
        Self::Pages,
        Self::Health,
        Self::Other,
    ];

    /// The group of a path without its tenant.
    pub(crate) fn of(path: &str) -> Self {
        match path {
            "/oauth2/token" => Self::Token,
            "/oauth2/introspect" => Self::Introspect,
            "/oauth2/revoke" => Self::Revoke,
            "/livez" | "/readyz" | "/version" | "/metrics" => Self::Health,
            _ if path.starts_with("/.well-known/") => Self::Metadata,
            _ if path.starts_with("/api/") => Self::Admin,
            _ if path.starts_with("/docs") || path.starts_with("/errors/") => Self::Pages,
            _ => Self::Other,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Introspect => "introspect",
            Self::Revoke => "revoke",
            Self::Metadata => "metadata",
            Self::Admin => "admin",
            Self::Pages => "pages",
            Self::Health => "health",
            Self::Other => "other",
        }
    }
}

/// Answers and durations of one group.
#[derive(Debug)]
struct Tally {
    answers: [AtomicU64; 5],
    durations: Histogram,
}

impl Default for Tally {
    fn default() -> Self {
        Self { answers: Default::default(), durations: Histogram::of_durations() }
    }
}

/// What background work looks at now and then.
#[derive(Debug, Default)]
pub struct Gauges {
    /// Seconds since the oldest staged signing key was made.
    pub staged_key_age: AtomicU64,
    /// Seconds since the oldest active signing key was made.
    pub active_key_age: AtomicU64,
    /// Seconds since the oldest retiring signing key was made.
    pub retiring_key_age: AtomicU64,
    /// Records and journal segments that the last round left without a signed checkpoint.
    pub unsigned_leaves: AtomicU64,
    /// Messages to webhooks.
    pub webhooks: Webhooks,
}

/// How an attempt at a delivery may end, but for a success.
const FAILURES: [&str; 11] = [
    "redirected",
    "client_error",
    "server_error",
    "unexpected_status",
    "address_not_allowed",
    "connect_failed",
    "tls_failed",
    "timeout",
    "too_large",
    "no_answer",
    "unreadable",
];

/// What the sender of webhooks has met.
#[derive(Debug, Default)]
pub struct Webhooks {
    delivered: AtomicU64,
    failed: [AtomicU64; 11],
    /// Seconds since the oldest event that has not arrived everywhere.
    pub oldest: AtomicU64,
    /// Open deliveries of the endpoints that have waited longest, by their ids.
    pub backlogs: Mutex<Vec<(String, u64)>>,
}

impl Webhooks {
    /// An attempt has ended: with this error, or without one.
    pub fn count(&self, error: Option<&str>) {
        let place = error.map(|error| FAILURES.iter().position(|name| *name == error));
        match place {
            None => count(&self.delivered),
            Some(place) => self.failed.get(place.unwrap_or(3)).into_iter().for_each(count),
        }
    }

    fn write(&self, text: &mut String) {
        text.push_str("# TYPE bastionary_webhook_attempts_total counter\n");
        let ended = [("delivered", &self.delivered)].into_iter().chain(FAILURES.into_iter().zip(&self.failed));
        for (outcome, counter) in ended.filter(|(_, counter)| read(counter) > 0) {
            let _ = writeln!(text, "bastionary_webhook_attempts_total{{outcome=\"{outcome}\"}} {}", read(counter));
        }
        text.push_str("# TYPE bastionary_webhook_backlog gauge\n");
        for (endpoint, waiting) in self.backlogs.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let _ = writeln!(text, "bastionary_webhook_backlog{{endpoint=\"{endpoint}\"}} {waiting}");
        }
    }
}

/// What the router has met.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    groups: [Tally; 8],
    /// Refused because too many requests were being carried out.
    pub(crate) shed_full: AtomicU64,
    /// Given up at their deadline.
    pub(crate) shed_late: AtomicU64,
    /// Handlers that panicked.
    pub(crate) panics: AtomicU64,
}

/// Adds one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl Traffic {
    /// A request was answered after this time.
    pub(crate) fn answered(&self, group: Group, status: StatusCode, took: Duration) {
        let Some(tally) = self.groups.get(group as usize) else { return };
        if let Some(answers) = tally.answers.get(usize::from(status.as_u16() / 100).saturating_sub(1)) {
            count(answers);
        }
        tally.durations.add_duration(took);
    }

    fn write(&self, text: &mut String) {
        // Writing to a String cannot fail, here and below.
        text.push_str("# TYPE bastionary_http_requests_total counter\n");
        let groups = || Group::ALL.into_iter().zip(&self.groups);
        for (group, tally) in groups() {
            for (class, answers) in CLASSES.iter().zip(&tally.answers).filter(|(_, answers)| read(answers) > 0) {
                let (route, value) = (group.name(), read(answers));
                let _ =
                    writeln!(text, "bastionary_http_requests_total{{route=\"{route}\",status=\"{class}\"}} {value}");
            }
        }
        text.push_str("# TYPE bastionary_http_request_seconds histogram\n");
        for (group, tally) in groups() {
            let (labels, reading) = (format!("route=\"{}\"", group.name()), tally.durations.read());
            if reading.total > 0 {
                write_histogram(text, "http_request_seconds", &labels, &reading, seconds);
            }
        }
    }
}

/// One histogram; `show` writes a bound or a sum.
fn write_histogram(text: &mut String, name: &str, labels: &str, reading: &Reading, show: fn(u64) -> String) {
    let and = if labels.is_empty() { "" } else { "," };
    let braces = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
    let total = reading.total;
    for (bound, below) in &reading.below {
        let _ = writeln!(text, "bastionary_{name}_bucket{{{labels}{and}le=\"{}\"}} {below}", show(*bound));
    }
    let _ = writeln!(text, "bastionary_{name}_bucket{{{labels}{and}le=\"+Inf\"}} {total}");
    let _ = writeln!(text, "bastionary_{name}_sum{braces} {}", show(reading.sum));
    let _ = writeln!(text, "bastionary_{name}_count{braces} {total}");
}

/// Microseconds written as seconds.
fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// `GET /metrics`.
pub(crate) async fn metrics(State(app): State<App>, outside: Option<Extension<Outside>>) -> Response {
    use Kind::{Counter, Gauge};
    let (counters, store) = (&app.auth.counters, &app.auth.store);
    let (stats, traffic, gauges) = (store.stats(), &app.traffic, &app.gauges);
    let (failed, slow) = (&app.auth.authenticator.failed, app.auth.authenticator.slow_figures());
    let size = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let reserved = app.requests.taken_by_reserved();
    let rows = [
        ("tokens_issued_total", "{grant=\"client_credentials\"}", Counter, read(&counters.issued_client_credentials)),
        ("tokens_issued_total", "{grant=\"refresh_token\"}", Counter, read(&counters.issued_refresh)),
        ("auth_failures_total", "{reason=\"unknown_client\"}", Counter, read(&failed.unknown_client)),
        ("auth_failures_total", "{reason=\"wrong_secret\"}", Counter, read(&failed.wrong_secret)),
        ("auth_failures_total", "{reason=\"not_allowed\"}", Counter, read(&failed.not_allowed)),
        ("secrets_expiring_total", "", Counter, read(&counters.secrets_expiring)),
        ("limited_total", "", Counter, read(&counters.limited)),
        ("cache_hits_total", "{cache=\"clients\"}", Counter, read(&counters.client_hits)),
        ("cache_misses_total", "{cache=\"clients\"}", Counter, read(&counters.client_misses)),
        ("denied_entries", "", Gauge, size(app.auth.denials.len())),
        ("store_reads_total", "", Counter, stats.reads),
        ("store_flights_total", "", Counter, stats.groups),
        ("store_batches_total", "", Counter, stats.batches),
        ("journal_entries_total", "", Counter, stats.entries),
        ("queue_depth", "{stage=\"store\"}", Gauge, size(store.queue_depth())),
        ("queue_depth", "{stage=\"argon2\"}", Gauge, size(slow.waiting)),
        ("inflight", "{lane=\"ordinary\"}", Gauge, size(app.requests.taken().saturating_sub(reserved))),
        ("inflight", "{lane=\"reserved\"}", Gauge, size(reserved)),
        ("shed_total", "{stage=\"requests\",reason=\"full\"}", Counter, read(&traffic.shed_full)),
        ("shed_total", "{stage=\"requests\",reason=\"deadline\"}", Counter, read(&traffic.shed_late)),
        ("key_age_seconds", "{state=\"staged\"}", Gauge, read(&gauges.staged_key_age)),
        ("key_age_seconds", "{state=\"active\"}", Gauge, read(&gauges.active_key_age)),
        ("key_age_seconds", "{state=\"retiring\"}", Gauge, read(&gauges.retiring_key_age)),
        ("audit_unsigned_leaves", "", Gauge, read(&gauges.unsigned_leaves)),
        ("outbox_oldest_seconds", "", Gauge, read(&gauges.webhooks.oldest)),
        ("panics_total", "{where=\"handler\"}", Counter, read(&traffic.panics)),
    ];
    let rows = rows.map(|(name, labels, kind, value)| Sample { name, labels, kind, value });
    let outside = outside.map(|Extension(outside)| (outside.0)()).unwrap_or_default();
    let mut text = String::new();
    let mut last = "";
    for Sample { name, labels, kind, value } in rows.into_iter().chain(outside) {
        if name != last {
            let kind = if kind == Counter { "counter" } else { "gauge" };
            let _ = writeln!(text, "# TYPE bastionary_{name} {kind}");
            last = name;
        }
        let _ = writeln!(text, "bastionary_{name}{labels} {value}");
    }
    text.push_str("# TYPE bastionary_cache_entries gauge\n");
    for (cache, entries) in app.auth.cache_entries() {
        let _ = writeln!(text, "bastionary_cache_entries{{cache=\"{cache}\"}} {entries}");
    }
    text.push_str("# TYPE bastionary_store_conflicts_total counter\n");
    for (guard, count) in &stats.conflicts {
        let _ = writeln!(text, "bastionary_store_conflicts_total{{guard=\"{guard}\"}} {count}");
    }
    text.push_str("# TYPE bastionary_lease_remaining_seconds gauge\n");
    if let Some(left) = store.lease_remaining() {
        let micros = u64::try_from(left.as_micros()).unwrap_or(u64::MAX);
        let _ = writeln!(text, "bastionary_lease_remaining_seconds {}", seconds(micros));
    }
    traffic.write(&mut text);
    gauges.webhooks.write(&mut text);
    let engine = format!("engine=\"{}\"", store.engine_name());
    text.push_str("# TYPE bastionary_store_commit_seconds histogram\n");
    write_histogram(&mut text, "store_commit_seconds", &engine, &stats.commits, seconds);
    text.push_str("# TYPE bastionary_store_group_size histogram\n");
    write_histogram(&mut text, "store_group_size", "", &stats.group_sizes, |size| size.to_string());
    text.push_str("# TYPE bastionary_queue_wait_seconds histogram\n");
    write_histogram(&mut text, "queue_wait_seconds", "stage=\"store\"", &stats.waits, seconds);
    write_histogram(&mut text, "queue_wait_seconds", "stage=\"argon2\"", &slow.waited, seconds);
    text.push_str("# TYPE bastionary_argon2_seconds histogram\n");
    write_histogram(&mut text, "argon2_seconds", "", &slow.took, seconds);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_durations_are_told_by_group_and_class() {
        let traffic = Traffic::default();
        traffic.answered(Group::Token, StatusCode::OK, Duration::from_micros(500));
        traffic.answered(Group::Token, StatusCode::UNAUTHORIZED, Duration::from_micros(501));
        traffic.answered(Group::Token, StatusCode::OK, Duration::from_secs(3));
        let mut text = String::new();
        traffic.write(&mut text);
        for line in [
            "bastionary_http_requests_total{route=\"token\",status=\"2xx\"} 2",
            "bastionary_http_requests_total{route=\"token\",status=\"4xx\"} 1",
            "bastionary_http_request_seconds_bucket{route=\"token\",le=\"0.000500\"} 1",
            "bastionary_http_request_seconds_bucket{route=\"token\",le=\"0.001000\"} 2",
            "bastionary_http_request_seconds_bucket{route=\"token\",le=\"2.000000\"} 2",
            "bastionary_http_request_seconds_bucket{route=\"token\",le=\"+Inf\"} 3",
            "bastionary_http_request_seconds_sum{route=\"token\"} 3.001001",
            "bastionary_http_request_seconds_count{route=\"token\"} 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
        assert!(!text.contains("introspect"), "{text}");
    }

    #[test]
    fn each_group_has_its_place() {
        for (place, group) in Group::ALL.into_iter().enumerate() {
            assert_eq!(group as usize, place);
        }
        for (path, group) in [
            ("/oauth2/token", Group::Token),
            ("/oauth2/authorize", Group::Other),
            ("/.well-known/jwks.json", Group::Metadata),
            ("/api/clients/x", Group::Admin),
            ("/errors/x", Group::Pages),
        ] {
            assert_eq!(Group::of(path), group, "{path}");
        }
    }
}
