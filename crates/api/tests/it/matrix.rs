//! Every refusal of the token endpoint under every way to authenticate, as one snapshot.
//!
//! It shows at a glance that authentication is judged after the syntax and before everything else, and that no way to
//! authenticate changes the shape of an answer.

use http::Method;
use serde_json::{Value, json};

use crate::on_both_engines;
use crate::world::{Answer, World, basic};

const TOKEN: &str = "/oauth2/token";
const FORM: &str = "application/x-www-form-urlencoded";

/// One refusal: its name, the method and content type, and the parameters beside those of the client.
struct Case {
    name: &'static str,
    method: Method,
    path: &'static str,
    content_type: &'static str,
    body: String,
}

fn case(name: &'static str, body: &str) -> Case {
    Case { name, method: Method::POST, path: TOKEN, content_type: FORM, body: body.to_owned() }
}

fn cases() -> Vec<Case> {
    let cc = "grant_type=client_credentials";
    vec![
        Case { method: Method::GET, ..case("405 method", cc) },
        Case { path: "/oauth2/token?scope=read", ..case("400 url", cc) },
        case("413 body", &format!("{cc}&pad={}", "x".repeat(66_000))),
        Case { content_type: "application/json", ..case("400 content type", cc) },
        case("400 not utf-8", &format!("{cc}&scope=%FF")),
        case("400 duplicate", &format!("{cc}&scope=read&scope=read")),
        case("success", cc),
        case("no grant_type", "scope=read"),
        case("unsupported_grant_type", "grant_type=password"),
        case("invalid_request of refresh", "grant_type=refresh_token"),
        case("invalid_grant", "grant_type=refresh_token&refresh_token=bst_rt_x"),
        case("invalid_scope unknown", &format!("{cc}&scope=read+nope")),
        case("invalid_scope of others", &format!("{cc}&scope=admin")),
        case("invalid_scope grammar", &format!("{cc}&scope=%22")),
        case("invalid_target", &format!("{cc}&resource=relative")),
    ]
}

/// The ways to authenticate, each as a header and the parameters it adds to the body.
fn ways(secrets: &[String; 3]) -> Vec<(&'static str, Option<String>, String)> {
    let [both, post, limited] = secrets;
    vec![
        ("client_secret_basic", Some(basic("m-basic", both)), String::new()),
        ("client_secret_post", None, format!("&client_id=m-post&client_secret={post}")),
        ("none", None, "&client_id=m-public".to_owned()),
        ("missing", None, String::new()),
        ("wrong basic", Some(basic("m-basic", "wrong")), String::new()),
        ("wrong post", None, "&client_id=m-post&client_secret=wrong".to_owned()),
        ("basic for post", Some(basic("m-post", post)), String::new()),
        ("both", Some(basic("m-basic", both)), format!("&client_id=m-basic&client_secret={both}")),
        ("other id in body", Some(basic("m-basic", both)), "&client_id=m-post".to_owned()),
        ("bearer", Some("Bearer x".to_owned()), String::new()),
        ("assertion", None, "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=a.b.c".to_owned()),
        ("past its limit", Some(basic("m-limited", limited)), String::new()),
    ]
}

/// One line: status, headers, body; what differs from run to run is replaced.
fn line(answer: &Answer) -> String {
    let mut body: Value = answer.text.parse().unwrap_or_else(|_| json!(answer.text));
    for name in ["access_token", "refresh_token"] {
        if let Some(token) = body.get_mut(name) {
            *token = json!("[token]");
        }
    }
    let id = answer.header("x-request-id");
    assert!(id.starts_with("req_"));
    let headers = ["www-authenticate", "cache-control", "pragma", "content-type", "allow", "retry-after"];
    let headers: Vec<_> =
        headers.iter().map(|name| answer.header(name)).map(|v| if v.is_empty() { "-" } else { v }).collect();
    format!("{} | {} | {}", answer.status.as_u16(), headers.join(" | "), body.to_string().replace(id, "[request id]"))
}

on_both_engines! {
    async fn every_refusal_under_every_way_to_authenticate(world: World) {
        let grants = json!(["client_credentials", "refresh_token"]);
        let both = world.client("m-basic", json!({"grant_types": grants})).await;
        let post = world.client("m-post", json!({"token_endpoint_auth_method": "client_secret_post"})).await;
        world.client("m-public", json!({"token_endpoint_auth_method": "none", "grant_types": grants})).await;
        let limited = world.client("m-limited", json!({"rate_limit": {"limit": 1, "window_s": 3600, "burst": 1}})).await;
        world.token("m-limited", &limited, "").await.expect(200);
        let ways = ways(&[both, post, limited]);
        let mut lines = vec![String::from("status | WWW-Authenticate | Cache-Control | Pragma | Content-Type | Allow | Retry-After | body")];
        for case in cases() {
            lines.push(format!("\n# {}", case.name));
            for (way, header, more) in &ways {
                let mut headers = vec![("content-type", case.content_type)];
                if let Some(header) = header {
                    headers.push(("authorization", header));
                }
                let answer = world.request(case.method.clone(), case.path, &headers, &format!("{}{more}", case.body)).await;
                lines.push(format!("{way}: {}", line(&answer)));
            }
        }
        insta::assert_snapshot!("refusals_by_authentication", lines.join("\n"));
    }
}
