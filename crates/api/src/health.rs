//! For machines that watch: liveness, readiness, version, metrics.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::header::CONTENT_TYPE;
use kernel::mutant;
use serde_json::json;

use crate::{App, readiness};

pub(crate) fn public() -> Router<App> {
    let router = Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(readiness::ready))
        .route("/version", get(version));
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
