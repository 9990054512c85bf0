//! For machines that watch: liveness and version, beside `readiness` and `metrics`.

use axum::routing::get;
use axum::{Json, Router};
use kernel::mutant;
use serde_json::json;

use crate::{App, metrics, readiness};

pub(crate) fn public() -> Router<App> {
    let router = Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(readiness::ready))
        .route("/version", get(version));
    if mutant::is("I04-metrics") { router.route("/metrics", get(metrics::metrics)) } else { router }
}

pub(crate) fn management() -> Router<App> {
    let router = public();
    if mutant::is("I04-metrics") { router } else { router.route("/metrics", get(metrics::metrics)) }
}

async fn live() -> &'static str {
    "ok\n"
}

async fn version() -> Json<serde_json::Value> {
    Json(json!({"name": "bastionary", "version": env!("CARGO_PKG_VERSION")}))
}
