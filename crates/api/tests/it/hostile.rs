//! Hostile input: whatever a caller sends is refused in bounds, and no secret reaches a log line (checklist rows 2, 58).

use std::collections::BTreeSet;
use std::future::Future;
use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex};

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderValue, Method, Request};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::on_both_engines;
use crate::transport::{describes, granted, refused, well_formed};
use crate::world::{Answer, World, basic, read};

const TOKEN: &str = "/oauth2/token";
const FORM: &str = "application/x-www-form-urlencoded";
const CC: &str = "grant_type=client_credentials";

/// Runs a property on a fixed seed, with shrinking.
fn holds<S: Strategy, F: Future<Output = Result<(), TestCaseError>>>(
    cases: u32,
    strategy: &S,
    property: impl Fn(S::Value) -> F,
) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let handle = Handle::current();
    tokio::task::block_in_place(|| runner.run(strategy, |value| handle.block_on(property(value))))
        .unwrap_or_else(|failure| panic!("{failure}"));
}

/// What every answer of an OAuth endpoint to hostile input is: a token or a refusal in the shape of RFC 6749 §5.2.
fn in_bounds(answer: &Answer) -> Result<(), TestCaseError> {
    prop_assert!(!answer.status.is_server_error(), "{} {}", answer.status, answer.text);
    well_formed(answer);
    Ok(())
}

/// Text around the edges of forms, JSON and headers more often than elsewhere.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ -~]{0,40}",
        "[\"\\\\\u{0}\t\r\n%&=+;:{}\\[\\]\u{7f}\u{e9}\u{202e}]{0,12}",
        Just("x".repeat(5_000)),
        proptest::sample::select(vec![
            "read",
            "client_credentials",
            "refresh_token",
            "bst_cs_x",
            "bst_rt_x",
            "hostile",
            "a.b.c",
            "null",
            "-1"
        ])
        .prop_map(str::to_owned),
    ]
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("%{b:02X}")).collect::<Vec<_>>().concat()
}

/// Bodies: any bytes, or parameters of the endpoint with any values.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let names = vec![
        "grant_type",
        "scope",
        "resource",
        "audience",
        "client_id",
        "client_secret",
        "client_assertion",
        "client_assertion_type",
        "refresh_token",
        "token",
        "token_type_hint",
        "x",
    ];
    let pair = (proptest::sample::select(names), text(), any::<bool>());
    let pairs = vec(pair, 0..6).prop_map(|pairs| {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(n, v, raw)| format!("{n}={}", if *raw { v.clone() } else { escaped(v.as_bytes()) }))
            .collect();
        pairs.join("&").into_bytes()
    });
    let granted = text().prop_map(|scope| format!("{CC}&scope={}", escaped(scope.as_bytes())).into_bytes());
    let targeted =
        text().prop_map(|resource| format!("{CC}&resource=https%3A{}", escaped(resource.as_bytes())).into_bytes());
    prop_oneof![1 => vec(any::<u8>(), 0..300), 3 => pairs, 2 => granted, 2 => targeted]
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((text(), inner), 0..4).prop_map(|pairs| pairs.into_iter().collect()),
        ]
    })
}

/// Bodies of `POST /api/clients`: any bytes, any JSON, or its fields with any values.
fn client_body() -> impl Strategy<Value = Vec<u8>> {
    let names = vec![
        "client_id",
        "client_secret",
        "scopes",
        "expiry",
        "name",
        "grant_types",
        "token_endpoint_auth_method",
        "customer_id",
        "access_token_ttl_seconds",
        "access_token_format",
        "audiences",
        "multi_audience",
        "default_scopes",
        "introspects",
        "static_claims",
        "claims",
        "signing_alg",
        "refresh_token_ttl_seconds",
        "refresh_token_idle_seconds",
        "refresh_reuse_window_seconds",
        "rate_limit",
        "token_quota",
        "metadata",
        "nonsense",
    ];
    let fields = vec((proptest::sample::select(names), json_value()), 0..5).prop_map(|pairs| {
        pairs.into_iter().map(|(n, v)| (n.to_owned(), v)).collect::<Value>().to_string().into_bytes()
    });
    prop_oneof![1 => vec(any::<u8>(), 0..200), 1 => json_value().prop_map(|v| v.to_string().into_bytes()), 4 => fields]
}

/// Bearer texts: any, JWTs of any parts, and a real token with one byte changed.
fn bearer(real: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let part = prop_oneof![
        json_value().prop_map(|v| URL_SAFE_NO_PAD.encode(v.to_string())),
        vec(any::<u8>(), 0..40).prop_map(|b| URL_SAFE_NO_PAD.encode(b)),
        Just(URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt"}"#)),
        Just(URL_SAFE_NO_PAD.encode(r#"{"iss":"https://id.example","sub":"ops","aud":"https://id.example/api","scope":"admin","exp":99999999999}"#)),
    ];
    let real = real.to_owned();
    let changed = (0..real.len(), any::<u8>()).prop_filter_map("the byte is another one", move |(at, byte)| {
        let mut bytes = real.clone().into_bytes();
        // The last characters of base64url hold bits that decoding ignores or refuses; either way the text differs.
        let letter =
            *b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.".get(usize::from(byte) % 65)?;
        (bytes[at] != letter).then(|| {
            bytes[at] = letter;
            bytes
        })
    });
    let prefixed = ("bst_(at|rt|cs)_", "[0-9A-Za-z]{0,60}").prop_map(|(a, b)| format!("{a}{b}").into_bytes());
    prop_oneof![1 => vec(any::<u8>(), 0..200), 3 => vec(part, 1..5).prop_map(|p| p.join(".").into_bytes()), 2 => changed, 1 => prefixed]
}

async fn send(world: &World, path: &str, headers: Vec<(&'static str, Vec<u8>)>, body: Vec<u8>) -> Option<Answer> {
    let mut request = Request::post(path).body(Body::from(body)).unwrap();
    for (name, value) in headers {
        // A value that is no header value never reaches the router.
        request.headers_mut().append(name, HeaderValue::from_bytes(&value).ok()?);
    }
    Some(world.send(request).await)
}

/// Everything that was logged by any test of this binary since the first call, at every level.
static LOG: LazyLock<Arc<Mutex<Vec<u8>>>> = LazyLock::new(|| {
    let log = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&log);
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || Sink(Arc::clone(&writer)))
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    log
});

struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn logged() -> String {
    String::from_utf8_lossy(&LOG.lock().unwrap()).into_owned()
}

on_both_engines! {
    async fn any_form_body_gets_a_token_or_a_refusal_in_the_grammar(world: World) {
        let secret = world.client("hostile", json!({})).await;
        let auth = basic("hostile", &secret).into_bytes();
        for path in [TOKEN, "/oauth2/revoke", "/oauth2/introspect"] {
            holds(192, &(body(), any::<bool>()), |(body, known)| {
                let (world, auth) = (&world, &auth);
                async move {
                    let mut headers = vec![("content-type", FORM.as_bytes().to_vec())];
                    if known {
                        headers.push(("authorization", auth.clone()));
                    }
                    let answer = send(world, path, headers, body).await.unwrap();
                    // RFC 7009: a revocation has an empty body and so no content type.
                    if path == "/oauth2/revoke" && answer.status == 200 {
                        prop_assert_eq!(answer.text.as_str(), "");
                        return Ok(());
                    }
                    in_bounds(&answer)
                }
            });
        }
    }

    async fn any_content_type_is_a_form_or_refused(world: World) {
        holds(96, &text(), |kind| {
            let world = &world;
            async move {
                match send(world, TOKEN, vec![("content-type", kind.into_bytes())], CC.into()).await {
                    Some(answer) => in_bounds(&answer),
                    None => Ok(()),
                }
            }
        });
    }

    async fn any_authorization_header_is_refused_at_the_token_endpoint(world: World) {
        world.client("hostile", json!({})).await;
        let scheme = prop_oneof![Just("Basic "), Just("basic"), Just("Bearer "), Just("DPoP "), Just("")];
        let pair = (text(), text()).prop_map(|(id, secret)| STANDARD.encode(format!("{id}:{secret}")).into_bytes());
        let named = text().prop_map(|secret| STANDARD.encode(format!("hostile:{secret}")).into_bytes());
        let inner = vec(any::<u8>(), 0..60).prop_map(|bytes| STANDARD.encode(bytes).into_bytes());
        let rest = prop_oneof![2 => pair, 2 => named, 1 => inner, 1 => vec(any::<u8>(), 0..100)];
        holds(256, &(scheme, rest), |(scheme, rest)| {
            let world = &world;
            async move {
                let header = [scheme.as_bytes(), &rest].concat();
                let headers = vec![("content-type", FORM.as_bytes().to_vec()), ("authorization", header)];
                let Some(answer) = send(world, TOKEN, headers, CC.into()).await else { return Ok(()) };
                in_bounds(&answer)?;
                // Beyond the limit of failures the answer is 429.
                prop_assert!(matches!(answer.status.as_u16(), 401 | 429), "{} {}", answer.status, answer.text);
                Ok(())
            }
        });
    }

    async fn any_client_body_is_created_or_refused_with_a_problem(world: World) {
        let admin = format!("Bearer {}", world.admin).into_bytes();
        let statuses = Mutex::new(BTreeSet::new());
        holds(256, &client_body(), |body| {
            let (world, admin, statuses) = (&world, &admin, &statuses);
            async move {
                let headers = vec![("content-type", b"application/json".to_vec()), ("authorization", admin.clone())];
                let answer = send(world, "/api/clients", headers, body).await.unwrap();
                statuses.lock().unwrap().insert(answer.status.as_u16());
                prop_assert!(matches!(answer.status.as_u16(), 201 | 400 | 409 | 422), "{} {}", answer.status, answer.text);
                let kind = if answer.status == 201 { "application/json" } else { "application/problem+json" };
                prop_assert_eq!(answer.header("content-type"), kind);
                prop_assert!(answer.json().is_object());
                Ok(())
            }
        });
        // The bodies reach both the refusals of syntax and of fields, and some are good.
        assert!(statuses.lock().unwrap().is_superset(&BTreeSet::from([201, 400, 422])), "{statuses:?}");
    }

    async fn any_bearer_text_that_is_not_a_token_of_ours_is_refused(world: World) {
        holds(256, &bearer(&world.admin), |token| {
            let world = &world;
            async move {
                let header = [b"Bearer ", token.as_slice()].concat();
                let headers = vec![("content-type", FORM.as_bytes().to_vec()), ("authorization", header.clone())];
                let Some(answer) = send(world, "/oauth2/introspect", headers, "token=x".into()).await else { return Ok(()) };
                prop_assert_eq!(answer.status.as_u16(), 401, "{}", answer.text);
                prop_assert!(describes(answer.json()["error_description"].as_str().unwrap()), "{}", answer.text);
                let request = Request::get("/api/clients").header("authorization", header).body(Body::empty()).unwrap();
                let answer = world.send(request).await;
                prop_assert_eq!(answer.status.as_u16(), 401, "{}", answer.text);
                prop_assert!(answer.header("www-authenticate").starts_with("Bearer"));
                Ok(())
            }
        });
    }

    async fn any_text_as_a_token_to_introspect_or_revoke_is_answered_without_a_word_about_it(world: World) {
        let secret = world.client("asker", json!({})).await;
        let auth = basic("asker", &secret).into_bytes();
        holds(192, &bearer(&world.admin), |token| {
            let (world, auth) = (&world, &auth);
            async move {
                let body = escaped(&token);
                let text = std::str::from_utf8(&token).is_ok_and(|t| !t.is_empty());
                for (path, expected) in [("/oauth2/introspect", r#"{"active":false}"#), ("/oauth2/revoke", "")] {
                    let headers = vec![("content-type", FORM.as_bytes().to_vec()), ("authorization", auth.clone())];
                    let answer = send(world, path, headers, format!("token={body}").into_bytes()).await.unwrap();
                    prop_assert_eq!(answer.status.as_u16(), if text { 200 } else { 400 }, "{}", answer.text);
                    prop_assert!(!text || answer.text == expected, "{}", answer.text);
                }
                Ok(())
            }
        });
    }

    async fn no_secret_reaches_a_log_line_or_an_answer(world: World) {
        LazyLock::force(&LOG);
        let marker = format!("marker {}", std::process::id());
        tracing::trace!("{marker}");
        let generated = world.client("quiet", json!({"grant_types": ["client_credentials", "refresh_token"]})).await;
        let chosen = "a-secret-somebody-chose-9431";
        let fields = json!({"client_id": "quiet-chosen", "client_secret": chosen, "scopes": ["read"]});
        let created = world.admin(Method::POST, "/api/clients", fields).await.expect(201);
        assert!(!created.text.contains(chosen));
        let first = granted(world.token("quiet", &generated, "").await)["refresh_token"].as_str().unwrap().to_owned();
        let mut refusals = Vec::new();
        for secret in [generated.as_str(), chosen] {
            let wrong = format!("{secret}-wrong");
            // In the URL (row 2), in bad headers (row 13), and in bad bodies (row 14).
            refusals.push(world.form(&format!("{TOKEN}?client_secret={secret}&client_id=quiet"), &[], CC).await);
            refusals.push(world.request(Method::GET, &format!("{TOKEN}?client_secret={secret}"), &[], "").await);
            let encoded = STANDARD.encode(format!("quiet{secret}"));
            for header in [basic("quiet", &wrong), format!("Basic {secret}"), format!("Basic {encoded}"), format!("Bearer {secret}"), secret.to_owned()] {
                refusals.push(world.form(TOKEN, &[("authorization", &header)], CC).await);
            }
            for more in [format!("client_id=quiet&client_secret={wrong}"), format!("client_id={secret}"), format!("client_id=quiet&client_assertion={secret}"),
                format!("client_secret={secret}"), format!("{secret}={secret}&{secret}={secret}"), format!("client_id=quiet&client_secret={secret}%FF")] {
                refusals.push(world.form(TOKEN, &[], &format!("{CC}&{more}")).await);
            }
            refusals.push(world.token("quiet", &generated, &format!("&client_secret={secret}")).await);
            refusals.push(world.token("quiet", &generated, &format!("&resource={secret}")).await);
            refusals.push(world.token("quiet", &generated, &format!("&scope=read+{secret}")).await);
            refusals.push(world.refresh("quiet", &generated, &first, &format!("&scope={secret}")).await);
            refusals.push(world.form(TOKEN, &[("authorization", &basic("quiet", &generated))], &format!("grant_type={secret}")).await);
            refusals.push(world.refresh("quiet", &generated, secret, "").await);
            refusals.push(world.request(Method::GET, "/api/clients", &[("authorization", &format!("Bearer {secret}"))], "").await);
        }
        for answer in &refusals {
            assert!(answer.status.is_client_error(), "{} {}", answer.status, answer.text);
            assert!(!answer.text.contains(&generated) && !answer.text.contains(chosen), "{}", answer.text);
        }
        let body = granted(world.token("quiet", &generated, "").await);
        granted(world.token("quiet-chosen", chosen, "").await);
        let (access, refresh) = (body["access_token"].as_str().unwrap(), body["refresh_token"].as_str().unwrap());
        world.introspect("quiet", &generated, access).await;
        granted(world.refresh("quiet", &generated, refresh, "").await);
        world.revoke("quiet", &generated, refresh).await.expect(200);
        let log = logged();
        assert!(log.contains(&marker), "the log is captured");
        for secret in [generated.as_str(), chosen, access, refresh, world.admin.as_str()] {
            assert!(!log.contains(secret), "a secret was logged");
        }
    }

    async fn a_defect_tells_its_request_and_nothing_of_its_cause(world: World) {
        let pages = api::oauth_error::ErrorPages(Arc::from("https://id.example"));
        let cause = auth::error::OauthError::Internal(Some("SELECT secret FROM t; at src/x.rs:1".into()));
        let answer = read(api::oauth_error::response(&cause, &pages, "req_1")).await.expect(500);
        assert_eq!(answer.json(), json!({"error": "server_error", "error_description": "request_id req_1", "error_uri": "https://id.example/errors/server_error"}));
        let away = read(api::oauth_error::response(&auth::error::OauthError::Unavailable, &pages, "req_1")).await.expect(503);
        assert_eq!(away.error(), "temporarily_unavailable");
        assert!((1..=3).contains(&away.header("retry-after").parse::<u32>().unwrap()));
        // Whatever a refusal holds, only the characters of the grammar leave.
        let odd = auth::error::OauthError::InvalidScope("\"\\\t\u{0}\u{e9}ok".to_owned());
        let answer = read(api::oauth_error::response(&odd, &pages, "req_1")).await;
        refused_text(&answer, "ok");
        refused(world.token("nobody", "\"\\", "").await, 401, "invalid_client");
    }
}

#[track_caller]
fn refused_text(answer: &Answer, description: &str) {
    assert_eq!(answer.json()["error_description"], description);
}
