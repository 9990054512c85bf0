//! The pages as a browser gets them.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "the helpers of a test fail like the test itself")]

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicU8, Ordering};

use axum::Router;
use axum::body::Body;
use console::{error_page, error_pages};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

fn policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self'{nonce}; style-src 'self'; img-src 'self'; font-src 'self'; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types htmx"
    )
}

/// The nonce of an answer, of 128 bits, after checking that all the rest of the policy is as it should be.
fn nonce(headers: &HeaderMap) -> String {
    let policy_found = headers["content-security-policy"].to_str().unwrap();
    let nonce = policy_found.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    assert_eq!(policy_found, policy(&format!(" 'nonce-{nonce}'")));
    assert_eq!(nonce.len(), 22, "{nonce}");
    nonce.to_owned()
}

/// So that each answer gets another nonce.
static ANSWERS: AtomicU8 = AtomicU8::new(0);

async fn send(method: Method, path: &str, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap, String) {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let random = || [ANSWERS.fetch_add(1, Ordering::Relaxed); 16];
    let app: Router = console::router::<()>(console::Protection::new(console::Transport::Plain, random))
        .fallback(|| async { console::not_found() });
    let response = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, String::from_utf8(bytes.to_vec()).unwrap())
}

async fn get(path: &str) -> (StatusCode, HeaderMap, String) {
    send(Method::GET, path, &[]).await
}

fn attributes<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!(" {name}=\"");
    html.split(&start).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// Every page that can be reached from the first one by links, and every error page.
async fn crawl() -> HashMap<String, (HeaderMap, String)> {
    let mut found = HashMap::new();
    let mut queue: VecDeque<String> = VecDeque::from(["/docs".to_owned()]);
    queue.extend(error_pages().map(|page| format!("/errors/{}", page.code)));
    while let Some(path) = queue.pop_front() {
        if found.contains_key(&path) {
            continue;
        }
        let (status, headers, body) = get(&path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        let is_page = headers["content-type"] == "text/html; charset=utf-8";
        if is_page {
            for link in attributes(&body, "href").into_iter().filter(|link| link.starts_with('/')) {
                queue.push_back(link.split('#').next().unwrap().to_owned());
            }
        }
        found.insert(path, (headers, body));
    }
    found
}

#[tokio::test]
async fn every_page_is_served_with_the_policy_and_without_script_or_inline_style() {
    let pages = crawl().await;
    assert!(pages.len() > error_pages().count() + 20, "only {} pages", pages.len());
    for (path, (headers, body)) in &pages {
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        if headers["content-type"] != "text/html; charset=utf-8" {
            continue;
        }
        nonce(headers);
        assert_eq!(headers["referrer-policy"], "no-referrer", "{path}");
        assert_eq!(headers["cross-origin-opener-policy"], "same-origin", "{path}");
        assert_eq!(headers["cross-origin-resource-policy"], "same-origin", "{path}");
        assert!(headers["permissions-policy"].to_str().unwrap().contains("camera=()"), "{path}");
        assert!(headers.contains_key("etag") && headers.contains_key("cache-control"), "{path}");
        let lower = body.to_lowercase();
        for refused in ["<script", " style=", " onclick=", "javascript:", "<style"] {
            assert!(!lower.contains(refused), "{path} contains {refused}");
        }
    }
}

#[tokio::test]
async fn every_link_and_fragment_leads_to_something() {
    let pages = crawl().await;
    for (path, (_, body)) in
        pages.iter().filter(|(_, (headers, _))| headers["content-type"] == "text/html; charset=utf-8")
    {
        for link in attributes(body, "href") {
            let Some((target, fragment)) = link.split_once('#') else { continue };
            if link.starts_with("http") {
                continue;
            }
            let target = if target.is_empty() { path } else { target };
            let ids = attributes(&pages[target].1, "id");
            assert!(ids.contains(&fragment), "{path} links to {link}, which has no such section");
        }
    }
}

#[tokio::test]
async fn ids_are_unique_within_a_page_and_there_is_one_first_level_heading() {
    for (path, (headers, body)) in crawl().await {
        if headers["content-type"] != "text/html; charset=utf-8" {
            continue;
        }
        let ids = attributes(&body, "id");
        assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len(), "{path}: {ids:?}");
        assert_eq!(body.matches("<h1").count(), 1, "{path}");
    }
}

#[tokio::test]
async fn every_error_code_has_a_page_that_says_what_why_and_what_to_do() {
    let codes: BTreeSet<_> = error_pages().map(|page| page.code).collect();
    assert_eq!(codes.len(), error_pages().count(), "a code is listed twice");
    for page in error_pages() {
        let (status, _, body) = get(&format!("/errors/{}", page.code)).await;
        assert_eq!(status, StatusCode::OK);
        for part in [page.code, "What happened", "Why", "What to do", "What it looks like"] {
            assert!(body.contains(part), "{}: {part}", page.code);
        }
        for text in [page.title, page.what, page.why, page.fix] {
            assert!(!text.trim().is_empty(), "{}", page.code);
            assert_eq!(text.matches('`').count() % 2, 0, "{}: unbalanced backquotes", page.code);
            assert!(!text.contains('!'), "{}", page.code);
        }
        assert_eq!(error_page(page.code), Some(page));
    }
    assert_eq!(error_page("no_such_code"), None);
}

#[tokio::test]
async fn the_chapter_of_error_codes_lists_exactly_the_codes_of_the_table() {
    let (_, _, body) = get("/docs/error-codes").await;
    let article = body.split("<article>").nth(1).unwrap().split("</article>").next().unwrap();
    let listed: BTreeSet<_> =
        attributes(article, "href").into_iter().filter_map(|l| l.strip_prefix("/errors/")).collect();
    let known: BTreeSet<_> = error_pages().map(|page| page.code).collect();
    assert_eq!(listed, known);
}

#[tokio::test]
async fn an_unknown_page_is_404_in_the_frame_of_the_book_and_repeats_nothing_of_the_address() {
    for path in [
        "/docs/no-such-page",
        "/errors/no_such_code",
        "/errors/%3Cscript%3E",
        "/docs/..%2f..%2fetc",
        "/docs/%ff",
        "/errors/%ff%00",
    ] {
        let (status, headers, body) = get(path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert!(headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'; "));
        assert_eq!(headers["cache-control"], "no-store");
        assert!(body.contains("id=\"chapters\"") && body.contains("Page not found"));
        assert!(!body.contains("no-such-page") && !body.contains("no_such_code") && !body.contains("<script"));
    }
}

#[tokio::test]
async fn head_answers_like_get_without_a_body_and_other_methods_are_refused() {
    let (status, headers, body) = send(Method::HEAD, "/docs/clients", &[]).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, ""));
    nonce(&headers);
    let (status, headers, _) = send(Method::POST, "/docs/clients", &[]).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(headers["allow"], "GET,HEAD");
}

#[tokio::test]
async fn a_known_entity_tag_is_answered_by_304_and_another_one_by_the_page() {
    let (_, headers, _) = get("/docs/clients").await;
    let tag = headers["etag"].to_str().unwrap();
    let (status, headers, body) = send(Method::GET, "/docs/clients", &[("if-none-match", tag)]).await;
    assert_eq!((status, body.as_str()), (StatusCode::NOT_MODIFIED, ""));
    assert_eq!(headers["etag"], tag);
    let (status, _, body) = send(Method::GET, "/docs/clients", &[("if-none-match", "\"other\"")]).await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.contains("<article>"));
}

#[tokio::test]
async fn each_answer_has_a_nonce_of_its_own() {
    let (_, first, _) = get("/docs").await;
    let (_, second, _) = get("/docs").await;
    assert_ne!(nonce(&first), nonce(&second));
}

#[tokio::test]
async fn agents_get_the_source_of_a_page_as_markdown() {
    let (status, headers, body) = send(Method::GET, "/docs/clients", &[("accept", "text/markdown")]).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["content-type"], "text/markdown; charset=utf-8");
    assert!(body.starts_with("# Clients\n"));
    let (_, _, body) = send(Method::GET, "/errors/invalid_scope", &[("accept", "text/markdown")]).await;
    assert!(body.contains("## What to do"));
    let (_, headers, body) = get("/llms.txt").await;
    assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
    assert!(body.contains("](/docs/quick-start)") && body.contains("](/llms-full.txt)"));
    let (_, headers, body) = get("/llms-full.txt").await;
    assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
    for title in ["\n# Clients\n", "\n# Verify tokens in your API\n", "\n# Admin API operations\n"] {
        assert!(body.contains(title), "{title}");
    }
}

#[tokio::test]
async fn the_first_chapter_has_one_address() {
    for path in ["/docs/", "/docs/introduction"] {
        let (status, headers, _) = get(path).await;
        assert_eq!((status, &headers["location"]), (StatusCode::PERMANENT_REDIRECT, &"/docs".parse().unwrap()));
    }
}
