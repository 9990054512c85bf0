//! Serves every page with made-up data and the real headers on loopback, for looking at them and for axe:
//! `cargo run -p console --example preview -- 8091`, then `/preview` lists them; `?theme=dark` and `?role=read`.
#![expect(clippy::arithmetic_side_effects, reason = "made-up data")]

#[path = "../tests/samples/mod.rs"]
mod samples;

use std::net::{Ipv4Addr, SocketAddr};

use auth::operator::Role;
use axum::extract::{Extension, Path, RawQuery};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;
use axum::{Router, middleware};
use console::{Environment, Nonce, Protection, Theme, Transport};

fn all(nonce: &Nonce, query: &str) -> Vec<(String, console::Document)> {
    let theme = match query {
        q if q.contains("theme=dark") => Theme::Dark,
        q if q.contains("theme=light") => Theme::Light,
        _ => Theme::System,
    };
    let viewer = if query.contains("role=read") {
        samples::viewer(Role::ReadOnly, &["clients:read"], Environment::Live, theme)
    } else {
        samples::viewer(Role::Owner, &["admin"], Environment::Sandbox, theme)
    };
    samples::pages(&viewer, nonce)
}

async fn page(Path(name): Path<String>, RawQuery(query): RawQuery, Extension(nonce): Extension<Nonce>) -> Response {
    let pages = all(&nonce, query.as_deref().unwrap_or_default());
    pages
        .into_iter()
        .find(|(known, _)| *known == name)
        .map_or_else(console::not_found, |(_, page)| page.into_response())
}

async fn index(Extension(nonce): Extension<Nonce>) -> Html<String> {
    let line = |name: &str| format!("<li><a href=\"/preview/{name}\">{name}</a></li>");
    Html(all(&nonce, "").iter().fold(String::new(), |list, (name, _)| list + &line(name)))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).map_or(Ok(8091), |text| text.parse())?;
    let listener = tokio::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    // A preview has nothing to protect: its nonces are fixed.
    let protection = Protection::new(Transport::Plain, || [7; 16]);
    let pages = Router::new()
        .route("/preview", get(index))
        .route("/preview/{name}", get(page))
        .layer(middleware::from_fn_with_state(protection.clone(), console::protect));
    let app = pages.merge(console::router(protection)).fallback(|| async { console::not_found() });
    loop {
        let (stream, _) = listener.accept().await?;
        let service = hyper_util::service::TowerToHyperService::new(app.clone());
        tokio::spawn(async move {
            let io = hyper_util::rt::TokioIo::new(stream);
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
        });
    }
}
