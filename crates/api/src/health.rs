//! For machines that watch: liveness, readiness, version, metrics.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use kernel::clock::Timestamp;
use kernel::mutant;
use serde_json::{Value, json};

use crate::App;

/// What `/readyz` depends on beside the store.
#[derive(Debug, Default)]
pub struct Readiness {
    draining: AtomicBool,
}

impl Readiness {
    /// From now on the process takes no new work.
    pub fn set_draining(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }
}

pub(crate) fn public() -> Router<App> {
    let router = Router::new().route("/livez", get(live)).route("/readyz", get(ready)).route("/version", get(version));
    if mutant::is("I04-metrics") { router.route("/metrics", get(metrics)) } else { router }
}

pub(crate) fn management() -> Router<App> {
    let router = public();
    if mutant::is("I04-metrics") { router } else { router.route("/metrics", get(metrics)) }
}

async fn live() -> &'static str {
    "ok\n"
}

async fn version() -> Json<serde_json::Value> {
    Json(json!({"name": "bastionary", "version": env!("CARGO_PKG_VERSION")}))
}

fn check(code: &str, reason: Option<&str>, since: Option<Timestamp>) -> Value {
    let members = [
        ("code", Some(code.to_owned())),
        ("reason", reason.map(str::to_owned)),
        ("since", since.map(|at| at.to_string())),
        ("runbook", Some(format!("/errors/{code}"))),
    ];
    members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), Value::from(value?)))).collect()
}

async fn ready(State(app): State<App>) -> Response {
    let mut checks = Vec::new();
    if app.readiness.draining.load(Ordering::SeqCst) {
        checks.push(check("draining", None, None));
    }
    let troubles = app.auth.store.troubles();
    checks.extend(troubles.iter().map(|t| check(t.code, t.reason, Some(t.since))));
    if troubles.is_empty() && app.auth.store.ping().await.is_err() {
        checks.push(check("store_unreachable", None, None));
    }
    let (status, word) =
        if checks.is_empty() { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not_ready") };
    let mut answer = (status, Json(json!({"status": word, "checks": checks}))).into_response();
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

async fn metrics(State(app): State<App>) -> Response {
    let counters = &app.auth.counters;
    let stats = app.auth.store.stats();
    let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let rows: [(&str, &str, &str, u64); 13] = [
        ("tokens_issued_total", "{grant=\"client_credentials\"}", "counter", read(&counters.issued_client_credentials)),
        ("tokens_issued_total", "{grant=\"refresh_token\"}", "counter", read(&counters.issued_refresh)),
        ("auth_failures_total", "", "counter", read(&counters.failed_authentications)),
        ("secrets_expiring_total", "", "counter", read(&counters.secrets_expiring)),
        ("limited_total", "", "counter", read(&counters.limited)),
        ("cache_hits_total", "{cache=\"clients\"}", "counter", read(&counters.client_hits)),
        ("cache_misses_total", "{cache=\"clients\"}", "counter", read(&counters.client_misses)),
        ("denied_entries", "", "gauge", u64::try_from(app.auth.denials.len()).unwrap_or(u64::MAX)),
        ("store_reads_total", "", "counter", stats.reads),
        ("store_flights_total", "", "counter", stats.groups),
        ("store_batches_total", "", "counter", stats.batches),
        ("journal_entries_total", "", "counter", stats.entries),
        ("queue_depth", "{stage=\"store\"}", "gauge", u64::try_from(app.auth.store.queue_depth()).unwrap_or(u64::MAX)),
    ];
    let mut text = String::new();
    let mut last = "";
    for (name, labels, kind, value) in rows {
        if name != last {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "# TYPE bastionary_{name} {kind}");
            last = name;
        }
        let _ = writeln!(text, "bastionary_{name}{labels} {value}");
    }
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
