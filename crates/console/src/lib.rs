//! Pages for people: the book at `/docs` and one page for each stable error code at `/errors/{code}`.
//!
//! Nothing here reads the store or knows who is asking: every page is the same for everyone, needs no script and
//! names no other host. The book is rendered by the build step from `docs/`; the error pages come from one table.

mod answer;
mod book;
mod errors;
mod frame;

use axum::Router;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use http::{HeaderMap, StatusCode, Uri};

pub use errors::{ERROR_CODES, ErrorPage, Surface, error_page};

/// Routes of the book, the error pages and their assets; all answer GET and HEAD.
pub fn router<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    Router::new()
        .route("/docs", get(first_page))
        .route("/docs/", get(|| async { Redirect::permanent("/docs") }))
        .route("/docs/style.css", get(|uri: Uri, headers: HeaderMap| async move { answer::style(&uri, &headers) }))
        .route("/docs/icon.svg", get(|uri: Uri, headers: HeaderMap| async move { answer::icon(&uri, &headers) }))
        .route("/docs/{page}", get(page))
        .route("/errors", get(|| async { Redirect::permanent("/docs/error-codes") }))
        .route("/errors/{code}", get(error))
        .route("/llms.txt", get(|headers: HeaderMap| async move { answer::text(&headers, book::index_for_agents()) }))
}

/// The page for an address that does not exist, in the frame of the book. Status 404.
pub fn not_found() -> Response {
    answer::html(&HeaderMap::new(), StatusCode::NOT_FOUND, frame::missing())
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
