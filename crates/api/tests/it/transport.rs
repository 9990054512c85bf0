//! Transport and parsing at the token endpoint (checklist rows 1–9, 28, 60, 63, 67).

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::on_both_engines;
use crate::world::{Answer, World, basic};

const TOKEN: &str = "/oauth2/token";
const FORM: &str = "application/x-www-form-urlencoded";
const CC: &str = "grant_type=client_credentials";

/// Asserts what every answer of the token endpoint shares, and that an error has exactly the members of RFC 6749 §5.2.
#[track_caller]
pub(crate) fn well_formed(answer: &Answer) {
    assert_eq!(answer.header("cache-control"), "no-store", "{}", answer.text);
    assert_eq!(answer.header("pragma"), "no-cache", "{}", answer.text);
    assert_eq!(answer.header("content-type"), "application/json", "{}", answer.text);
    assert!(!answer.header("x-request-id").is_empty(), "{}", answer.text);
    if answer.status != 200 {
        let body = answer.json();
        let mut names: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["error", "error_description", "error_uri"]);
        assert!(body.as_object().unwrap().values().all(Value::is_string), "{body}");
        let code = body["error"].as_str().unwrap();
        assert_eq!(body["error_uri"], format!("https://id.example/errors/{code}"));
        assert!(describes(body["error_description"].as_str().unwrap()), "{body}");
    }
    let challenge = if answer.status == 401 { "Basic realm=\"bastionary\"" } else { "" };
    assert_eq!(answer.header("www-authenticate"), challenge, "{}", answer.text);
}

/// Whether a text is one that `error_description` may hold (RFC 6749 §5.2).
pub(crate) fn describes(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

/// Asserts a refusal with its code, in the shape of RFC 6749 §5.2.
#[track_caller]
pub(crate) fn refused(answer: Answer, status: u16, error: &str) -> Answer {
    let answer = answer.expect(status);
    well_formed(&answer);
    assert_eq!(answer.error(), error, "{}", answer.text);
    answer
}

/// Asserts a token.
#[track_caller]
pub(crate) fn granted(answer: Answer) -> Value {
    let answer = answer.expect(200);
    well_formed(&answer);
    let body = answer.json();
    assert!(body["access_token"].as_str().is_some_and(|t| !t.is_empty()), "{body}");
    body
}

async fn raw(world: &World, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
    let mut request = Request::post(TOKEN);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    world.send(request.body(Body::from(body)).unwrap()).await
}

on_both_engines! {
    async fn a_problem_says_where_its_page_is_and_what_the_log_calls_the_request(world: World) {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let headers = [("x-request-id", "one.of-mine"), ("traceparent", trace)];
        let path = "/api/clients?statu=active&limit=5";
        let answer = world.admin_with(Method::GET, path, &headers, Value::Null).await.expect(400);
        let detail = answer.json()["detail"].clone();
        assert_eq!(
            answer.json(),
            json!({
                "type": "https://id.example/errors/invalid_parameter", "title": "Invalid parameter", "status": 400,
                "code": "invalid_parameter", "detail": detail,
                "errors": [{"parameter": "statu", "code": "invalid_parameter", "detail": detail}],
                "instance": "/api/clients", "request_id": "one.of-mine",
            })
        );
        assert_eq!((answer.header("x-request-id"), answer.header("traceparent")), ("one.of-mine", trace));
        assert_eq!(world.request(Method::GET, "/api/nothing", &[], "").await.expect(404).json()["instance"], "/api/nothing");
    }

    async fn every_method_but_post_is_refused_before_anything_else(world: World) {
        let secret = world.client("verbs", json!({})).await;
        let auth = basic("verbs", &secret);
        for method in [Method::GET, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS] {
            let headers = [("authorization", auth.as_str()), ("content-type", FORM)];
            for path in [TOKEN, "/oauth2/token?client_id=verbs", "/t/default/oauth2/token"] {
                let answer = refused(world.request(method.clone(), path, &headers, CC).await, 405, "invalid_request");
                assert_eq!(answer.header("allow"), "POST", "{method} {path}");
            }
        }
        let head = world.request(Method::HEAD, TOKEN, &[], "").await.expect(405);
        assert_eq!(head.header("allow"), "POST");
    }

    async fn what_does_not_exist_is_said_in_the_form_of_its_surface(world: World) {
        for path in ["/oauth2", "/oauth2/", "/oauth2/toke", "/t/acme/oauth2/token/x", "/oauth2/%ff"] {
            refused(world.request(Method::GET, path, &[], "").await, 404, "invalid_request");
        }
        for (method, path) in [(Method::PUT, "/oauth2/authorize"), (Method::DELETE, "/t/default/oauth2/authorize")] {
            refused(world.request(method, path, &[], "").await, 405, "invalid_request");
        }
        for (path, status) in [("/api", 404), ("/api/nothing", 404), ("/t/default/api/x", 404), ("/api/clients/%ff", 400)] {
            let answer = world.request(Method::GET, path, &[], "").await.expect(status);
            assert_eq!(answer.header("content-type"), "application/problem+json", "{path}");
        }
        for path in ["/docs/%ff", "/errors/%ff", "/apis", "/oauth2x", "/%ff", "/t/%ff/docs"] {
            let answer = world.request(Method::GET, path, &[], "").await.expect(404);
            assert_eq!(answer.header("content-type"), "text/html; charset=utf-8", "{path}");
            assert!(answer.text.contains("Page not found") && !answer.header("x-request-id").is_empty(), "{path}");
        }
    }

    async fn a_parameter_in_the_url_is_refused_and_not_repeated(world: World) {
        let secret = world.client("url", json!({})).await;
        let auth = basic("url", &secret);
        for name in ["client_secret", "client_id", "grant_type", "scope", "refresh_token", "client_assertion", "x"] {
            let path = format!("{TOKEN}?{name}={secret}");
            let answer = refused(world.form(&path, &[("authorization", &auth)], CC).await, 400, "invalid_request");
            assert!(!answer.text.contains(&secret));
        }
    }

    async fn a_refusal_for_the_url_comes_before_the_body_is_read(world: World) {
        let body = format!("{CC}&pad={}", "x".repeat(70_000));
        refused(world.request(Method::POST, "/oauth2/token?a=b", &[("content-type", "text/plain")], &body).await, 400, "invalid_request");
        refused(world.request(Method::POST, TOKEN, &[("content-type", "text/plain")], &body).await, 413, "invalid_request");
    }

    async fn a_form_is_a_form_in_any_letter_case_and_with_its_charset(world: World) {
        let secret = world.client("kind", json!({})).await;
        let auth = basic("kind", &secret);
        for kind in [FORM, "APPLICATION/X-WWW-FORM-URLENCODED", "Application/x-www-Form-urlencoded", "application/x-www-form-urlencoded; charset=UTF-8",
            "application/x-www-form-urlencoded;charset=utf-8", "application/x-www-form-urlencoded; charset=\"UTF-8\""] {
            granted(world.request(Method::POST, TOKEN, &[("authorization", &auth), ("content-type", kind)], CC).await);
        }
    }

    async fn any_other_content_type_or_none_is_refused_before_authentication(world: World) {
        let secret = world.client("other", json!({})).await;
        let json = r#"{"grant_type":"client_credentials"}"#;
        let multipart = "--b\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\nclient_credentials\r\n--b--\r\n";
        for auth in [basic("other", &secret), basic("other", "wrong")] {
            for (kind, body) in [("application/json", json), ("multipart/form-data; boundary=b", multipart), ("text/plain", CC), ("", CC)] {
                refused(world.request(Method::POST, TOKEN, &[("authorization", &auth), ("content-type", kind)], body).await, 400, "invalid_request");
            }
            refused(world.request(Method::POST, TOKEN, &[("authorization", &auth)], CC).await, 400, "invalid_request");
        }
    }

    async fn a_body_that_is_not_utf_8_after_decoding_is_refused(world: World) {
        let secret = world.client("utf8", json!({})).await;
        let auth = basic("utf8", &secret);
        let headers = [("authorization", auth.as_str()), ("content-type", FORM)];
        for bad in [&b"&scope=\xff"[..], b"&scope=%FF", b"&scope=%C3", b"&x=%ED%A0%80", b"&%FF=x", b"&x=%C0%AF", b"&x=%zz", b"&x=%"] {
            refused(raw(&world, &headers, [CC.as_bytes(), bad].concat()).await, 400, "invalid_request");
        }
        granted(raw(&world, &headers, [CC.as_bytes(), b"&x=%C3%A9\xc3\xa9"].concat()).await);
    }

    async fn a_parameter_comes_once_except_resource_and_audience(world: World) {
        let secret = world.client("twice", json!({})).await;
        let auth = basic("twice", &secret);
        let headers = [("authorization", auth.as_str())];
        for twice in ["grant_type=client_credentials", "scope=read&scope=write", "scope=read&scope=read", "scope=&scope=", "scope=read&sc%6Fpe=read",
            "client_id=twice&client_id=twice", "nonsense=1&nonsense=1", "refresh_token=a&refresh_token=a", "client_secret=a&client_secret=a"] {
            refused(world.form(TOKEN, &headers, &format!("{CC}&{twice}")).await, 400, "invalid_request");
        }
        let api = "https%3A%2F%2Fid.example%2Fapis%2Fdefault";
        granted(world.form(TOKEN, &headers, &format!("{CC}&resource={api}&resource={api}")).await);
        granted(world.form(TOKEN, &headers, &format!("{CC}&audience=a&audience=a")).await);
    }

    async fn duplicates_are_refused_before_authentication(world: World) {
        refused(world.form(TOKEN, &[], &format!("{CC}&scope=a&scope=a")).await, 400, "invalid_request");
        refused(world.form(TOKEN, &[("authorization", &basic("nobody", "wrong"))], &format!("{CC}&{CC}")).await, 400, "invalid_request");
    }

    async fn an_empty_value_counts_as_an_absent_parameter(world: World) {
        let secret = world.client("empty", json!({})).await;
        let plain = granted(world.token("empty", &secret, "").await);
        assert_eq!(plain["scope"], "read write");
        for empty in ["&scope=", "&scope", "&resource=", "&client_id=", "&client_secret=", "&client_assertion=&client_assertion_type=", "&=", "&&"] {
            assert_eq!(granted(world.token("empty", &secret, empty).await)["scope"], "read write", "{empty}");
        }
        refused(world.form(TOKEN, &[("authorization", &basic("empty", &secret))], "grant_type=").await, 400, "invalid_request");
    }

    async fn an_unknown_parameter_is_ignored(world: World) {
        let secret = world.client("unknown", json!({})).await;
        let body = granted(world.token("unknown", &secret, "&foo=bar&response_type=token&redirect_uri=https%3A%2F%2Fevil&username=a&password=b").await);
        assert_eq!(body["scope"], "read write");
    }

    async fn the_grant_type_has_one_answer_for_each_defect(world: World) {
        let secret = world.client("grant", json!({})).await;
        let auth = basic("grant", &secret);
        let headers = [("authorization", auth.as_str())];
        for body in ["", "scope=read", "grant_type="] {
            refused(world.form(TOKEN, &headers, body).await, 400, "invalid_request");
        }
        for kind in ["authorization_code", "implicit", "password", "CLIENT_CREDENTIALS", "client_credentials+", "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer",
            "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange", "%22%5C%00"] {
            refused(world.form(TOKEN, &headers, &format!("grant_type={kind}")).await, 400, "unsupported_grant_type");
        }
        // Known, but not for this client: the token itself is not looked at.
        for token in ["", "&refresh_token=bst_rt_x"] {
            refused(world.form(TOKEN, &headers, &format!("grant_type=refresh_token{token}")).await, 400, "unauthorized_client");
        }
        let only = world.client("only-refresh", json!({"grant_types": ["refresh_token"]})).await;
        refused(world.token("only-refresh", &only, "").await, 400, "unauthorized_client");
    }

    async fn the_grant_type_is_looked_at_only_after_the_client_is_known(world: World) {
        world.client("order", json!({})).await;
        for body in ["", "grant_type=password", "grant_type=refresh_token"] {
            refused(world.form(TOKEN, &[("authorization", &basic("order", "wrong"))], body).await, 401, "invalid_client");
        }
    }

    async fn a_body_may_have_64_kib_and_not_a_byte_more(world: World) {
        let secret = world.client("large", json!({})).await;
        let auth = basic("large", &secret);
        let headers = [("authorization", auth.as_str())];
        let body = |length: usize| format!("{CC}&pad={}", "x".repeat(length - CC.len() - 5));
        assert_eq!(body(65_536).len(), 65_536);
        granted(world.form(TOKEN, &headers, &body(65_536)).await);
        for length in [65_537, 70_000, 1_000_000] {
            refused(world.form(TOKEN, &headers, &body(length)).await, 413, "invalid_request");
        }
        refused(world.form(TOKEN, &[], &body(65_537)).await, 413, "invalid_request");
    }

    async fn a_form_of_many_parameters_is_refused_as_malformed(world: World) {
        let secret = world.client("many", json!({})).await;
        let more: Vec<_> = (0..200).map(|i| format!("&p{i}=1")).collect();
        refused(world.token("many", &secret, &more.concat()).await, 400, "invalid_request");
    }

    async fn a_preflight_or_a_foreign_origin_gets_no_cors_header(world: World) {
        let secret = world.client("cors", json!({})).await;
        world.client("cors-public", json!({"token_endpoint_auth_method": "none"})).await;
        let preflight = [("origin", "https://app.example"), ("access-control-request-method", "POST"), ("access-control-request-headers", "authorization")];
        let auth = basic("cors", &secret);
        let answers = [
            world.request(Method::OPTIONS, TOKEN, &preflight, "").await,
            world.form(TOKEN, &[("origin", "https://app.example"), ("authorization", &auth)], CC).await.expect(200),
            world.form(TOKEN, &[("origin", "null"), ("authorization", &auth)], CC).await.expect(200),
            world.form(TOKEN, &[("origin", "https://app.example")], &format!("{CC}&client_id=cors-public")).await,
            world.form(TOKEN, &[("origin", "https://app.example")], CC).await.expect(401),
        ];
        for answer in answers {
            assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control-")), "{:?}", answer.headers);
        }
    }

    async fn the_published_samples_have_their_answers(world: World) {
        let secret = world.client("sample", json!({"grant_types": ["client_credentials", "refresh_token"]})).await;
        let auth = basic("sample", &secret);
        let with = [("authorization", auth.as_str())];
        refused(world.form(TOKEN, &[], "grant_type=refresh_token&refresh_token=").await, 401, "invalid_client");
        refused(world.form(TOKEN, &with, "grant_type=refresh_token&refresh_token=").await, 400, "invalid_request");
        for lines in ["grant_type=refresh_token\nrefresh_token=\n", "grant_type=refresh_token\r\nrefresh_token=x", "grant_type=client_credentials\nscope=read\n"] {
            refused(world.form(TOKEN, &with, lines).await, 400, "unsupported_grant_type");
            refused(world.form(TOKEN, &[], lines).await, 401, "invalid_client");
        }
    }

    async fn the_password_grant_and_the_implicit_flow_do_not_exist(world: World) {
        let secret = world.client("never", json!({})).await;
        let body = "grant_type=password&username=a&password=b";
        refused(world.form(TOKEN, &[("authorization", &basic("never", &secret))], body).await, 400, "unsupported_grant_type");
        let path = "/oauth2/authorize?response_type=token&client_id=never&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&state=%3Cscript%3E";
        let answers = [
            world.request(Method::GET, path, &[], "").await,
            world.form("/oauth2/authorize", &[], "response_type=token&client_id=never&state=%3Cscript%3E").await,
            world.request(Method::GET, "/oauth2/authorize?response_type=code", &[], "").await,
        ];
        for answer in answers {
            let answer = answer.expect(400);
            assert!(answer.text.contains("unsupported_response_type"));
            assert!(answer.header("content-type").starts_with("text/html"));
            assert_eq!(answer.header("location"), "");
            assert_eq!(answer.header("cache-control"), "no-store");
            assert!(!answer.text.contains("script") && !answer.text.contains("app.example"));
        }
    }

    async fn success_and_every_kind_of_refusal_carry_the_same_headers(world: World) {
        let secret = world.client("same", json!({})).await;
        granted(world.token("same", &secret, "").await);
        refused(world.token("same", "wrong", "").await, 401, "invalid_client");
        refused(world.token("same", &secret, "&scope=nope").await, 400, "invalid_scope");
        refused(world.token("same", &secret, "&resource=nope").await, 400, "invalid_target");
        let limited = world.client("limited", json!({"rate_limit": {"limit": 1, "window_s": 3600, "burst": 1}})).await;
        granted(world.token("limited", &limited, "").await);
        let answer = refused(world.token("limited", &limited, "").await, 429, "slow_down");
        assert!(answer.header("retry-after").parse::<u32>().unwrap() >= 1);
        let missing = world.form("/t/nowhere/oauth2/token", &[], CC).await;
        refused(missing, 404, "invalid_request");
    }

    async fn the_request_id_of_the_caller_comes_back(world: World) {
        let answer = world.form(TOKEN, &[("x-request-id", "trace-1")], CC).await.expect(401);
        assert_eq!(answer.header("x-request-id"), "trace-1");
        let answer = world.form(TOKEN, &[("x-request-id", "a b\"c")], CC).await.expect(401);
        assert!(answer.header("x-request-id").starts_with("req_"));
    }
}
