//! Attacks on requests: what a caller sends beside its credentials changes nothing it should not (rows C05, H01, I02 to
//! I04, D01, T01).

use std::time::{Duration, Instant};

use axum::body::Body;
use futures_util::stream;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::billing::Sold;
use crate::on_both_engines;
use crate::transport::{granted, refused};
use crate::world::{Answer, World, basic, claims};

/// Headers with which a caller would like to be somewhere else.
const POISON: [(&str, &str); 7] = [
    ("host", "evil.example"),
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-proto", "gopher"),
    ("x-forwarded-prefix", "/evil"),
    ("x-original-url", "/evil"),
    ("forwarded", "host=evil.example;proto=gopher"),
    ("x-host", "evil.example"),
];

/// The time that the fastest of some requests takes: what is left is the work, not the scheduler.
async fn fastest(world: &World, id: &str, secret: &str) -> Duration {
    let mut least = Duration::MAX;
    for _ in 0..5 {
        let begun = Instant::now();
        refused(world.token(id, secret, "").await, 401, "invalid_client");
        least = least.min(begun.elapsed());
    }
    least
}

/// A body that is declared nowhere and never ends; counts what was taken of it.
fn endless(chunk: &'static str, taken: std::sync::Arc<std::sync::atomic::AtomicUsize>) -> Body {
    Body::from_stream(stream::repeat_with(move || {
        taken.fetch_add(chunk.len(), std::sync::atomic::Ordering::SeqCst);
        Ok::<_, std::convert::Infallible>(chunk)
    }))
}

async fn post(world: &World, path: &str, kind: &str, body: Body) -> Answer {
    let bearer = format!("Bearer {}", world.admin);
    let request = Request::post(path).header("authorization", bearer).header("content-type", kind);
    world.send(request.body(body).unwrap()).await
}

on_both_engines! {
    async fn a_scope_of_any_size_is_refused_with_bounded_work(world: World) {
        let secret = world.client("many", json!({"scopes": ["read"]})).await;
        let auth = basic("many", &secret);
        let scopes = |count: usize| vec!["read"; count].join("+");
        granted(world.token("many", &secret, &format!("&scope={}", scopes(100))).await);
        for scope in [scopes(101), scopes(819), "x".repeat(4_097), "%00".into(), "read%09write".into(), "read%00".into(), "%C2%A0".into()] {
            refused(world.token("many", &secret, &format!("&scope={scope}")).await, 400, "invalid_scope");
        }
        for size in [100_000, 1_000_000] {
            let body = format!("grant_type=client_credentials&scope={}", "a+".repeat(size / 2));
            refused(world.form("/oauth2/token", &[("authorization", &auth)], &body).await, 413, "invalid_request");
        }
    }

    async fn what_a_caller_says_about_the_host_is_in_no_answer(world: World) {
        let secret = world.client("somewhere", json!({})).await;
        let auth = basic("somewhere", &secret);
        let bearer = format!("Bearer {}", world.admin);
        let with = |own: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
            POISON.iter().chain(own).map(|(name, value)| (*name, (*value).to_owned())).collect()
        };
        let send = async |method: Method, path: &str, own: &[(&'static str, &str)], body: &str| {
            let headers = with(own);
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let answer = world.request(method, path, &headers, body).await;
            let said: String = answer.headers.values().map(|v| v.to_str().unwrap()).collect();
            assert!(!answer.text.contains("evil") && !said.contains("evil"), "{path}: {:?} {}", answer.headers, answer.text);
            answer
        };
        for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/.well-known/oauth-protected-resource/api", "/api/openapi.json"] {
            let plain = world.request(Method::GET, path, &[], "").await.expect(200);
            assert_eq!(send(Method::GET, path, &[], "").await.text, plain.text, "{path}");
        }
        let form = ("content-type", "application/x-www-form-urlencoded");
        let token = send(Method::POST, "/oauth2/token", &[form, ("authorization", &auth)], "grant_type=client_credentials").await.expect(200);
        assert_eq!(claims(token.json()["access_token"].as_str().unwrap()).1["iss"], "https://id.example");
        send(Method::POST, "/oauth2/token", &[form], "grant_type=client_credentials").await.expect(401);
        let challenge = send(Method::GET, "/api/clients", &[], "").await.expect(401);
        assert!(challenge.header("www-authenticate").contains("https://id.example/.well-known/"));
        let json = ("content-type", "application/json");
        let made = send(Method::POST, "/api/clients", &[json, ("authorization", &bearer)], "{}").await.expect(201);
        assert!(made.header("location").starts_with("https://id.example/api/clients/"));
        let missing = send(Method::GET, "/api/nothing", &[("authorization", &bearer)], "").await.expect(404);
        assert!(missing.json()["type"].as_str().unwrap().starts_with("https://id.example/errors/"));
        assert_eq!(send(Method::GET, "/", &[], "").await.header("location"), "/docs");
    }

    async fn a_field_that_no_request_may_set_is_refused_by_every_operation_with_a_body(world: World) {
        let document = world.request(Method::GET, "/api/openapi.json", &[], "").await.expect(200).json();
        world.client("target", json!({})).await;
        let api = world.admin(Method::POST, "/api/apis", json!({"identifier": "https://one.example"})).await.expect(201).json();
        let scopes = format!("/api/apis/{}/scopes", api["id"].as_str().unwrap());
        world.admin(Method::POST, &scopes, json!({"name": "one:read"})).await.expect(201);
        let hook = json!({"url": "https://hooks.example/", "types": ["*"]});
        let hook = world.admin(Method::POST, "/api/webhooks", hook).await.expect(201).json();
        let sold = Sold::new("subscriber", async |path: String, body| world.admin(Method::POST, &path, body).await.json()).await;
        let mut asked = 0;
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                if !operation["requestBody"]["content"]["application/json"].is_object() {
                    continue;
                }
                let path = path.replace("{client_id}", "target").replace("{slug}", "default").replace("{id}", api["id"].as_str().unwrap()).replace("{name}", "one:read").replace("{webhook_id}", hook["id"].as_str().unwrap());
                let path = path.replace("{customer_id}", &sold.customer).replace("{feature_id}", &sold.feature).replace("{plan_id}", &sold.draft).replace("{subscription_id}", &sold.subscription).replace("{reservation_id}", sold.reservation_of("commitReservation")).replace("{backfill_id}", sold.backfill_of("getBackfill"));
                let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
                let schema = schema["$ref"].as_str().map_or(schema, |name| document.pointer(&name[1..]).unwrap());
                // a body that another specification owns keeps what it does not know
                if schema["additionalProperties"] == true {
                    continue;
                }
                for field in ["tenant_id", "role", "balance", "secret_hash", "verified", "version", "status", "created_at", "disabled_at", "hash", "builtin"] {
                    if schema["properties"][field].is_object() {
                        // here it is a filter, and a request may set it
                        continue;
                    }
                    let answer = world.admin(method.to_uppercase().parse().unwrap(), &path, json!({field: 1})).await;
                    assert_eq!(answer.status, 422, "{method} {path} {field}: {}", answer.text);
                    let errors = answer.json()["errors"].as_array().unwrap().clone();
                    let pointer = json!(format!("/{field}"));
                    assert!(errors.iter().any(|e| e["pointer"] == pointer && e["code"] == "unknown_field"), "{method} {path} {field}: {}", answer.text);
                    asked += 1;
                }
            }
        }
        assert!(asked >= 10 * 11, "{asked}");
    }

    async fn a_patch_is_judged_as_a_creation_is(world: World) {
        world.client("target", json!({})).await;
        for bad in [
            json!({"scopes": ["not ok", "\""]}), json!({"grant_types": ["password"]}), json!({"access_token_ttl_seconds": 59}),
            json!({"access_token_ttl_seconds": 86_401}), json!({"refresh_token_ttl_seconds": 60, "refresh_token_idle_seconds": 61}),
            json!({"static_claims": {"iss": "me"}}), json!({"signing_alg": "none"}), json!({"audiences": ["https://nowhere.example"]}),
            json!({"rate_limit": {"limit": -1}}), json!({"rate_limit": {"limit": 1, "window_s": 0}}), json!({"expiry": "tomorrow"}), json!({"name": 7}),
            json!({"default_scopes": ["never:granted"]}), json!({"metadata": []}), json!({"name": "a\u{0}b"}),
        ] {
            let created = world.admin(Method::POST, "/api/clients", bad.clone()).await.expect(422).json();
            let patched = world.admin(Method::PATCH, "/api/clients/target", bad.clone()).await.expect(422).json();
            assert_eq!(created["errors"], patched["errors"], "{bad}");
        }
    }

    async fn a_cursor_or_filter_that_a_caller_made_up_finds_nothing(world: World) {
        for id in ["percent", "o_ne", "quote"] {
            world.client(id, json!({"name": format!("{id} name")})).await;
        }
        let cursor = world.admin(Method::GET, "/api/clients?limit=1", Value::Null).await.expect(200).json()["next_cursor"].as_str().unwrap().to_owned();
        let changed = |at: usize| {
            let mut bytes = cursor.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            String::from_utf8(bytes).unwrap()
        };
        let mut forged: Vec<String> = (0..cursor.len() - 1).step_by(3).map(changed).collect();
        forged.extend(["-1", "0", "..", "%00", "'%20OR%201=1%20--", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"].map(str::to_owned));
        forged.push("A".repeat(3_000));
        for bad in &forged {
            let answer = world.admin(Method::GET, &format!("/api/clients?cursor={bad}"), Value::Null).await.expect(400);
            assert_eq!(answer.json()["code"], "invalid_cursor", "{bad}");
        }
        for bad in ["-1", "0", "201", "1e3", "0x10", "1;DROP", "99999999999999999999"] {
            world.admin(Method::GET, &format!("/api/clients?limit={bad}"), Value::Null).await.expect(400);
        }
        let found = async |query: &str| {
            let answer = world.admin(Method::GET, &format!("/api/{query}"), Value::Null).await.expect(200).json();
            answer["data"].as_array().unwrap().len()
        };
        for hostile in ["%25", "_", "'%20OR%20'1'='1", "%27%3B%20DROP%20TABLE%20client--", "*", "%5C", "%C3%A9%27", "%22"] {
            for filter in ["clients?q", "clients?scope", "audit/records?actor", "audit/records?action", "audit/records?object_kind", "audit/journal?client_id"] {
                assert_eq!(found(&format!("{filter}={hostile}")).await, 0, "{filter}={hostile}");
            }
        }
        assert_eq!(found("clients?q=o_ne").await, 1);
        for unknown in ["clients?sort=id", "clients?order_by=1", "clients?tenant=acme", "keys?state=active", "clients?limit=1&limit=2"] {
            world.admin(Method::GET, &format!("/api/{unknown}"), Value::Null).await.expect(400);
        }
    }

    async fn nothing_for_operators_is_served_to_everybody(world: World) {
        for path in [
            "/metrics", "/debug", "/debug/pprof/", "/debug/vars", "/pprof", "/sys/seal", "/sys/rekey/init", "/v1/sys/unseal", "/actuator/env", "/admin", "/internal",
            "/api/metrics", "/api/debug", "/api/sys/seal", "/api/keys/rekey/init", "/.git/config", "/.env", "/server-status", "/t/default/metrics",
        ] {
            for method in [Method::GET, Method::POST] {
                // Neither a health probe's name nor a credential makes a difference.
                let bearer = format!("Bearer {}", world.admin);
                for headers in [&[][..], &[("user-agent", "kube-probe/1.30")], &[("authorization", bearer.as_str())]] {
                    let answer = world.request(method.clone(), path, headers, "").await;
                    assert!(matches!(answer.status.as_u16(), 404 | 405), "{method} {path}: {} {}", answer.status, answer.text);
                    assert!(!answer.text.contains("bastionary_"), "{path}");
                }
            }
        }
        for path in ["/livez", "/readyz", "/version"] {
            let answer = world.request(Method::GET, path, &[], "").await.expect(200);
            assert!(answer.text.len() < 200, "{path}: {}", answer.text);
        }
    }

    async fn a_body_without_end_or_bottom_is_refused_before_it_is_read(world: World) {
        let taken = std::sync::Arc::<std::sync::atomic::AtomicUsize>::default();
        let chunk: &'static str = Box::leak("[".repeat(16_384).into_boxed_str());
        for (path, kind, limit) in [
            ("/oauth2/token", "application/x-www-form-urlencoded", 65_536_usize),
            ("/oauth2/introspect", "application/x-www-form-urlencoded", 65_536),
            ("/oauth2/revoke", "application/x-www-form-urlencoded", 65_536),
            ("/api/clients", "application/json", 1_048_576),
            ("/api/clients/ops/disable", "application/json", 1_048_576),
        ] {
            taken.store(0, std::sync::atomic::Ordering::SeqCst);
            post(&world, path, kind, endless(chunk, std::sync::Arc::clone(&taken))).await.expect(413);
            assert!(taken.load(std::sync::atomic::Ordering::SeqCst) <= limit + 2 * chunk.len(), "{path} took {taken:?}");
        }
        let deep = |open: &str, close: &str, depth: usize| format!("{{\"metadata\":{}1{}}}", open.repeat(depth), close.repeat(depth));
        for depth in [33, 1_000, 100_000] {
            for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
                let answer = post(&world, "/api/clients", "application/json", Body::from(deep(open, close, depth))).await;
                assert!(matches!(answer.status.as_u16(), 400 | 413), "{depth}: {} {}", answer.status, answer.text);
            }
        }
        let keys: Vec<String> = (0..100_000).map(|n| format!("\"{n}\":0")).collect();
        for (count, status) in [(19_000, 422), (20_001, 400), (100_000, 400)] {
            let body = format!("{{\"metadata\":{{{}}}}}", keys[..count].join(","));
            post(&world, "/api/clients", "application/json", Body::from(body)).await.expect(status);
        }
    }

    async fn an_unknown_client_gets_the_same_bytes_and_costs_the_same_work_as_a_known_one(world: World) {
        let body = json!({"client_id": "chosen", "client_secret": "a secret that somebody chose 1"});
        world.admin(Method::POST, "/api/clients", body).await.expect(201);
        let generated = world.client("generated", json!({})).await;
        let mut texts = Vec::new();
        for id in ["chosen", "generated", "nobody"] {
            // A good checksum of another secret, a bad one, and a chosen text.
            for secret in [generated.as_str(), "bst_cs_0000000000000000000000000000000000000000000000000", "a secret that nobody chose"] {
                if id != "generated" || secret != generated {
                    let answer = refused(world.token(id, secret, "").await, 401, "invalid_client");
                    texts.push((answer.header("www-authenticate").to_owned(), answer.text));
                }
            }
        }
        texts.dedup();
        assert_eq!(texts.len(), 1, "{texts:?}");
        // One slow hash each: without the dummy the unknown one would answer some twenty times faster.
        world.clock.advance_seconds(120);
        let known = fastest(&world, "chosen", "a secret that nobody chose").await;
        world.clock.advance_seconds(120);
        let unknown = fastest(&world, "nobody", "a secret that nobody chose").await;
        world.clock.advance_seconds(120);
        let without = fastest(&world, "generated", "a secret that nobody chose").await;
        for other in [unknown, without] {
            assert!(other > known / 3 && known > other / 3, "known {known:?}, unknown {unknown:?}, without a chosen secret {without:?}");
        }
    }
}
