//! The pages of the console: complete, escaped, within their budgets, and written without what the policy forbids.
#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "the helpers of a test fail like the test itself"
)]

mod samples;

use std::collections::BTreeSet;
use std::fs;

use auth::operator::Role;
use axum::Router;
use axum::body::Body;
use console::{Document, Entered, Environment, Nonce, Protection, Theme, Transport, Viewer, Visit};
use http::Request;
use http_body_util::BodyExt as _;
use kernel::clock::Timestamp;
use tower::ServiceExt as _;

fn owner() -> Viewer {
    samples::viewer(Role::Owner, &["admin"], Environment::Sandbox, Theme::System)
}

fn all(viewer: &Viewer) -> Vec<(String, String)> {
    let pages = samples::pages(viewer, &Nonce::new([7; 16]));
    pages.into_iter().map(|(name, page)| (name, page.as_str().to_owned())).collect()
}

fn attributes<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!(" {name}=\"");
    html.split(&start).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

async fn gzip(path: &str) -> Vec<u8> {
    let app: Router = console::router(Protection::new(Transport::Plain, || [7; 16]));
    let request = Request::builder().uri(path).header("accept-encoding", "gzip").body(Body::empty()).unwrap();
    let response = app.oneshot(request).await.unwrap();
    assert!(response.status().is_success(), "{path}");
    response.into_body().collect().await.unwrap().to_bytes().to_vec()
}

#[tokio::test]
async fn the_first_load_of_each_page_stays_within_its_budget() {
    for (name, html) in all(&owner()) {
        let assets: BTreeSet<String> = html
            .split("/console/assets/")
            .skip(1)
            .map(|rest| format!("/console/assets/{}", rest.split(['"', '#']).next().unwrap()))
            .collect();
        // Deflate of level 6 is what a proxy in front does with the page itself.
        let page = miniz_oxide::deflate::compress_to_vec(html.as_bytes(), 6).len();
        let mut total = page;
        for asset in &assets {
            let size = gzip(asset).await.len();
            total += size;
            if asset.contains(".css") {
                assert!(size <= 12 * 1024, "{name}: style of {size} bytes");
            }
        }
        assert!(assets.len() < 8, "{name}: {} requests", assets.len() + 1);
        assert!(total <= 60 * 1024, "{name}: {total} bytes");
        assert!(page <= 20 * 1024, "{name}: page of {page} bytes");
    }
    let own = ["console.js", "keys.js"].map(|name| {
        let script = fs::read(format!("{}/assets/js/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert!(script.len() <= 9 * 1024, "{name} has {} bytes", script.len());
        miniz_oxide::deflate::compress_to_vec(&script, 9).len()
    });
    assert!(own.iter().sum::<usize>() <= 8 * 1024, "our own scripts have {own:?} bytes");
}

#[test]
fn a_page_has_one_first_level_heading_unique_ids_and_a_name_for_each_control() {
    for (name, html) in all(&owner()) {
        assert_eq!(html.matches("<h1").count(), 1, "{name}");
        let ids = attributes(&html, "id");
        assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len(), "{name}: {ids:?}");
        for part in ["lang=\"en\"", "class=\"skip\" href=\"#content\"", "<main ", "<title>"] {
            assert!(html.contains(part), "{name}: {part}");
        }
        for attribute in ["aria-describedby", "aria-labelledby", "commandfor", "popovertarget", "for"] {
            for target in attributes(&html, attribute).iter().flat_map(|list| list.split_whitespace()) {
                assert!(ids.contains(&target), "{name}: {attribute} names {target}, which is not there");
            }
        }
        for icon in html.split("<use href=\"").skip(1).filter_map(|rest| rest.split(['#', '"']).nth(1)) {
            let sprite = include_str!("../assets/vendor/lucide.svg");
            assert!(sprite.contains(&format!("id=\"{icon}\"")), "{name}: no symbol {icon}");
        }
    }
}

#[test]
fn every_form_that_changes_something_carries_the_token_and_every_htmx_element_the_nonce() {
    for (name, html) in all(&owner()) {
        for form in html.split("<form ").skip(1).map(|rest| rest.split("</form>").next().unwrap()) {
            if form.split('>').next().unwrap().contains("method=\"post\"") {
                assert!(form.contains("name=\"csrf\" value=\"csrf-token\""), "{name}: {form}");
            }
        }
        let tags = html.split('<').map(|rest| rest.split('>').next().unwrap());
        for tag in tags.filter(|tag| tag.contains(" hx-")) {
            assert!(tag.contains(&format!("hx-nonce=\"{}\"", Nonce::new([7; 16]).as_str())), "{name}: {tag}");
        }
        for script in html.split("<script").skip(1) {
            let tag = script.split('>').next().unwrap();
            assert!(tag.contains(" nonce=\"") && tag.contains(" src=\""), "{name}: {tag}");
        }
    }
}

#[test]
fn a_role_without_the_scope_sees_the_control_and_the_reason() {
    let reader = samples::viewer(Role::ReadOnly, &["clients:read"], Environment::Live, Theme::Dark);
    // one's own account is everybody's to change
    for (name, html) in all(&reader).into_iter().filter(|(name, _)| name != "account") {
        assert!(!html.contains("command=\"show-modal\""), "{name}");
        assert!(!name.starts_with("client") || !html.contains("type=\"submit\">Save"), "{name}");
    }
    let html = &all(&reader)[0].1;
    assert!(html.contains("Needs the scope clients:write, which the role Read-only does not hold."));
    assert!(html.contains("Needs keys:read") && !html.contains("href=\"/console/identity/keys\""), "{html}");
    assert!(html.contains("data-theme=\"dark\"") && html.contains("Live") && !html.contains("Sandbox"));
}

#[test]
fn names_with_markup_are_inert() {
    let hostile = "<script>alert(1)</script>\"'&";
    let nonce = Nonce::new([7; 16]);
    let viewer = Viewer { name: hostile.to_owned(), tenant_name: hostile.to_owned(), ..owner() };
    let visit = Visit { viewer: &viewer, nonce: &nonce, now: Timestamp::from_seconds(0) };
    let client = console::pages::client::Client {
        name: hostile.to_owned(),
        says: console::pages::access::Says::Refusal { code: "invalid_scope", sentence: hostile.to_owned() },
        ..samples::one_client()
    };
    let page: Document =
        console::pages::client::detail(&visit, &client, console::pages::client::Tab::Overview, &Entered::default());
    assert!(!page.as_str().contains("<script>alert") && page.as_str().contains("&#60;script&#62;alert(1)"));
}

#[test]
fn the_secret_stands_in_the_reveal_and_on_no_other_page() {
    let pages = all(&owner());
    for (name, html) in &pages {
        let shown = html.matches("bst_cs_").count();
        assert_eq!(shown > 0, name == "reveal", "{name}");
        assert!(!html.contains("type=\"password\" value=\"a"), "{name}");
    }
}

#[test]
fn other_tenants_are_reached_below_their_own_path() {
    let viewer = Viewer { tenant_slug: "acme".to_owned(), ..owner() };
    let html = &all(&viewer)[0].1;
    assert!(html.contains("href=\"/t/acme/console/identity/clients\""));
    assert!(!html.contains("href=\"/console/identity"));
}

#[test]
fn templates_contain_nothing_that_the_policy_forbids() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/templates");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(forbidden(&fs::read_to_string(&path).unwrap()), Vec::<String>::new(), "{}", path.display());
        count += 1;
    }
    assert!(count > 10);
}

/// What is refused in a template, each with the place.
fn forbidden(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let lower = line.to_lowercase();
        let mut refuse = |what: &str| found.push(format!("line {}: {what}", at + 1));
        for word in [
            " style=",
            "<style",
            "hx-on",
            "hx-live",
            "js:",
            "javascript:",
            "|safe",
            "| safe",
            "|escape(",
            "{% autoescape",
        ] {
            if lower.contains(word) {
                refuse(word);
            }
        }
        if lower.split(" on").skip(1).any(|rest| {
            let name: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
            !name.is_empty() && rest[name.len()..].starts_with('=')
        }) {
            refuse("an on…= attribute");
        }
        if lower.split("hx-trigger=\"").skip(1).any(|rest| rest.split('"').next().unwrap().contains('[')) {
            refuse("a filter in hx-trigger");
        }
        for tag in lower.split("<script").skip(1).map(|rest| rest.split('>').next().unwrap()) {
            if !tag.contains("nonce=\"{{") {
                refuse("a script without nonce");
            }
        }
    }
    found
}

#[test]
fn the_check_of_templates_finds_what_it_looks_for() {
    for bad in [
        "<p style=\"color:red\">",
        "<a onclick=\"x()\">",
        "<a hx-on:click=\"x\">",
        "<a hx-vals=\"js:{a:1}\">",
        "<a hx-get=\"/\" hx-trigger=\"click[ctrlKey]\">",
        "{{ name|safe }}",
        "<script>x()</script>",
        "<script src=\"/x.js\"></script>",
    ] {
        assert_eq!(forbidden(bad).len(), 1, "{bad}");
    }
    assert!(forbidden("<script nonce=\"{{ nonce }}\" src=\"x\"></script><p>on = off</p>").is_empty());
}
