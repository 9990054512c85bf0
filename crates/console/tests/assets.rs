//! The assets as a browser gets them: immutable, compressed, within their budgets.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail like the test itself")]

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

async fn get(path: &str, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap, Vec<u8>) {
    let mut request = Request::builder().uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let app: Router = console::router(console::Protection::new(console::Transport::Tls, || [7; 16]));
    let response = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    (parts.status, parts.headers, body.collect().await.unwrap().to_bytes().to_vec())
}

fn addresses(html: &str) -> Vec<String> {
    let mut found: Vec<String> = html
        .split("/console/assets/")
        .skip(1)
        .map(|rest| format!("/console/assets/{}", rest.split(['"', '#']).next().unwrap()))
        .collect();
    found.sort();
    found.dedup();
    found
}

async fn book_style() -> String {
    let (_, _, body) = get("/docs", &[]).await;
    let is_style = |address: &String| address.rsplit('.').next() == Some("css");
    addresses(std::str::from_utf8(&body).unwrap()).into_iter().find(is_style).unwrap()
}

#[tokio::test]
async fn an_asset_is_named_by_its_content_and_never_asked_for_again() {
    let address = book_style().await;
    let (status, headers, body) = get(&address, &[]).await;
    assert_eq!((status, &headers["content-type"]), (StatusCode::OK, &"text/css; charset=utf-8".parse().unwrap()));
    assert_eq!(headers["cache-control"], "public, max-age=31536000, immutable");
    assert_eq!(headers["vary"], "Accept-Encoding");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    let css = String::from_utf8(body).unwrap();
    assert!(css.starts_with("@layer reset, tokens, base, layout, components;"));
    assert!(!css.contains("/*") && !css.contains("@import") && !css.contains("url("));
    let (status, _, body) = get(&address, &[("if-none-match", headers["etag"].to_str().unwrap())]).await;
    assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0));
    assert_eq!(get("/console/assets/0000.css", &[]).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_smallest_form_that_the_caller_takes_is_sent() {
    let address = book_style().await;
    let (_, headers, plain) = get(&address, &[]).await;
    assert!(!headers.contains_key("content-encoding"));
    let (_, headers, brotli) = get(&address, &[("accept-encoding", "gzip, deflate, br, zstd")]).await;
    assert_eq!(headers["content-encoding"], "br");
    let (_, headers, gzip) = get(&address, &[("accept-encoding", "gzip;q=1.0, br;q=0")]).await;
    assert_eq!(headers["content-encoding"], "gzip");
    assert!(brotli.len() < gzip.len() && gzip.len() < plain.len() / 2);
    // The deflate stream between the header and the trailer of RFC 1952, and the length at the end.
    let inner = miniz_oxide::inflate::decompress_to_vec(&gzip[10..gzip.len() - 8]).unwrap();
    assert_eq!(inner, plain);
    assert_eq!(gzip[gzip.len() - 4..], u32::try_from(plain.len()).unwrap().to_le_bytes());
    let (_, headers, _) = get(&address, &[("accept-encoding", "gzip;q=0.0, identity")]).await;
    assert!(!headers.contains_key("content-encoding"));
}

#[tokio::test]
async fn over_tls_a_page_asks_for_nothing_in_the_clear() {
    let (_, headers, _) = get("/docs", &[]).await;
    assert!(headers["content-security-policy"].to_str().unwrap().ends_with("; upgrade-insecure-requests"));
}

#[test]
fn every_work_of_others_is_named_with_its_license() {
    let names: Vec<_> = console::notices().iter().map(|notice| (notice.name, notice.license)).collect();
    for wanted in [("htmx", "0BSD"), ("Lucide", "ISC")] {
        assert!(names.contains(&wanted), "{names:?}");
    }
    for notice in console::notices() {
        assert!(notice.text.len() > 100 && notice.origin.starts_with("https://"), "{}", notice.name);
    }
}
