//! Pages for people: the console at `/console`, the book at `/docs`, one page for each error code at `/errors/{code}`.
//!
//! A page is a function over plain data: it reads no store, is complete without script and names no other host. The
//! book is rendered by the build step from `docs/`; the error pages come from one table.

mod address;
mod agent;
mod answer;
mod assets;
mod badge;
mod book;
mod code;
mod desk;
mod errors;
mod form;
mod frame;
mod moment;
pub mod pages;
mod protect;
mod qr;
mod shell;
mod snippet;

use std::sync::Arc;

use access::Access;
use axum::Router;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::middleware;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use http::{HeaderMap, StatusCode};

pub use assets::{Notice, notices};
pub use codes::{ErrorPage, Surface, error_page, error_pages};
pub use desk::{Caller, event_stream};
pub use form::{Entered, Field};
pub use protect::{Nonce, Protection, Transport, protect};
pub use shell::{Document, Done, Environment, Theme, Viewer, Visit};

/// The version that pages show.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Routes of the console over a product, behind [`protect`]. Each request must carry a [`Caller`] among its extensions.
pub fn desk<S>(access: Arc<Access>, protection: Protection) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    desk::routes(access).layer(middleware::from_fn_with_state(protection, protect))
}

/// Routes of the book, the error pages and all assets, behind [`protect`]; all answer GET and HEAD.
pub fn router<S>(protection: Protection) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    Router::new()
        .route("/docs", get(first_page))
        .route("/docs/", get(|| async { Redirect::permanent("/docs") }))
        .route("/docs/{page}", get(page))
        .route("/errors", get(|| async { Redirect::permanent("/docs/error-codes") }))
        .route("/errors/{code}", get(error))
        .route("/llms.txt", get(|headers: HeaderMap| async move { answer::text(&headers, book::index_for_agents()) }))
        .route(
            "/llms-full.txt",
            get(|headers: HeaderMap| async move { answer::text(&headers, book::whole_for_agents()) }),
        )
        .route("/console/assets/{file}", get(asset))
        .layer(middleware::from_fn_with_state(protection, protect))
}

/// The page for an address that does not exist, in the frame of the book. Status 404.
pub fn not_found() -> Response {
    answer::html(&HeaderMap::new(), StatusCode::NOT_FOUND, frame::missing())
}

/// What a page of the console is while the server cannot answer. Status 503.
pub fn unavailable() -> Response {
    desk::unavailable().into_response()
}

async fn first_page(headers: HeaderMap) -> Response {
    book::PAGES.first().map_or_else(not_found, |page| chapter(page, &headers))
}

/// The last segment of a path; one that is not UTF-8 after decoding names no page.
type Segment = Result<Path<String>, PathRejection>;

async fn page(slug: Segment, headers: HeaderMap) -> Response {
    match slug.ok().and_then(|Path(slug)| book::page(&slug)) {
        Some((0, _)) => Redirect::permanent("/docs").into_response(),
        Some((_, page)) => chapter(page, &headers),
        None => not_found(),
    }
}

fn chapter(page: &'static book::Page, headers: &HeaderMap) -> Response {
    if answer::prefers_markdown(headers) {
        return answer::markdown(headers, page.markdown.to_owned());
    }
    answer::html(headers, StatusCode::OK, frame::chapter(page))
}

async fn error(code: Segment, headers: HeaderMap) -> Response {
    match code.ok().and_then(|Path(code)| error_page(&code)) {
        Some(page) if answer::prefers_markdown(&headers) => answer::markdown(&headers, page.markdown()),
        Some(page) => answer::html(&headers, StatusCode::OK, frame::error(page)),
        None => not_found(),
    }
}

async fn asset(file: Segment, headers: HeaderMap) -> Response {
    file.ok().and_then(|Path(file)| assets::answer(&file, &headers)).unwrap_or_else(not_found)
}
