//! Introspection, RFC 7662 and RFC 9701 (checklist rows 47–51).

use http::Method;
use serde_json::{Value, json};

use crate::on_both_engines;
use crate::world::{Answer, World, basic, claims};

const INTROSPECT: &str = "/oauth2/introspect";

async fn access(world: &World, id: &str, secret: &str, more: &str) -> String {
    world.token(id, secret, more).await.expect(200).json()["access_token"].as_str().unwrap().to_owned()
}

async fn ask_as_bearer(world: &World, bearer: &str, token: &str) -> Answer {
    world.form(INTROSPECT, &[("authorization", &format!("Bearer {bearer}"))], &format!("token={token}")).await
}

/// Member names of an answer, without the values.
fn names(value: &Value) -> Vec<String> {
    let mut names: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
    names.sort_unstable();
    names
}

on_both_engines! {
    async fn whoever_is_not_authenticated_learns_nothing_about_a_token(world: World) {
        let secret = world.client("seen", json!({})).await;
        let live = access(&world, "seen", &secret, "").await;
        let wrong = basic("seen", "bst_cs_wrong");
        let without_scope = format!("Bearer {live}");
        let headers: [&[(&str, &str)]; 5] = [
            &[],
            &[("authorization", &wrong)],
            &[("authorization", "Bearer nonsense")],
            &[("authorization", "Bearer bst_at_nonsense")],
            &[("authorization", &without_scope)],
        ];
        for headers in headers {
            let mut texts = Vec::new();
            for token in [live.as_str(), "unknown"] {
                let answer = world.form(INTROSPECT, headers, &format!("token={token}")).await.expect(401);
                assert_eq!(answer.error(), "invalid_client");
                assert!(answer.header("www-authenticate").contains("Basic realm=\"bastionary\""));
                assert_eq!(answer.header("cache-control"), "no-store");
                texts.push(answer.text);
            }
            assert_eq!(texts[0], texts[1], "the answer tells a live token from an unknown one");
        }
        // A management token that lacks the one scope is not enough either.
        let admin = world.client("half", json!({"scopes": ["clients:read"], "audiences": ["https://id.example/api"]})).await;
        let half = access(&world, "half", &admin, "&scope=clients:read").await;
        ask_as_bearer(&world, &half, &live).await.expect(401);
        // A public client proves nothing.
        world.client("public", json!({"token_endpoint_auth_method": "none"})).await;
        world.form(INTROSPECT, &[], &format!("client_id=public&token={live}")).await.expect(401);
    }

    async fn unknown_expired_and_revoked_tokens_are_exactly_inactive(world: World) {
        let secret = world.client("dead", json!({"access_token_ttl_seconds": 60})).await;
        let expired = access(&world, "dead", &secret, "").await;
        world.clock.advance_seconds(59);
        assert_eq!(world.introspect("dead", &secret, &expired).await["active"], true);
        world.clock.advance_seconds(1);
        let revoked = access(&world, "dead", &secret, "").await;
        world.revoke("dead", &secret, &revoked).await.expect(200);
        let mut parts: Vec<&str> = revoked.split('.').collect();
        let none = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0";
        let unsigned = format!("{none}.{}.", parts[1]);
        parts[2] = "AAAA";
        let forged = parts.join(".");
        let long = "x".repeat(20_000);
        let basic = basic("dead", &secret);
        for token in ["unknown", "a.b.c", "bst_at_x", "bst_rt_x", &expired, &revoked, &forged, &unsigned, &long] {
            let answer = world.form(INTROSPECT, &[("authorization", &basic)], &format!("token={token}")).await.expect(200);
            assert_eq!(answer.text, "{\"active\":false}");
            assert_eq!(answer.header("cache-control"), "no-store");
            assert_eq!(answer.header("content-type"), "application/json");
        }
        for body in ["", "token="] {
            let answer = world.form(INTROSPECT, &[("authorization", &basic)], body).await.expect(400);
            assert_eq!(answer.error(), "invalid_request");
        }
    }

    async fn an_active_token_shows_its_members_and_an_opaque_one_the_same(world: World) {
        let claim = json!({"team": "blue", "level": 3});
        let jwt = world.client("jwt", json!({"static_claims": claim})).await;
        let opaque = world.client("opq", json!({"static_claims": claim, "access_token_format": "opaque"})).await;
        let first = access(&world, "jwt", &jwt, "&scope=read").await;
        let second = access(&world, "opq", &opaque, "&scope=read").await;
        assert!(second.starts_with("bst_at_") && !second.contains('.'));
        let a = world.introspect("jwt", &jwt, &first).await;
        let b = world.introspect("opq", &opaque, &second).await;
        assert_eq!(names(&a), names(&b));
        for (id, answer) in [("jwt", &a), ("opq", &b)] {
            for (name, expected) in [
                ("active", json!(true)), ("iss", json!("https://id.example")), ("sub", json!(id)), ("client_id", json!(id)),
                ("aud", json!("https://id.example/apis/default")), ("scope", json!("read")), ("token_type", json!("Bearer")),
                ("tenant", json!("default")), ("team", json!("blue")), ("level", json!(3)),
            ] {
                assert_eq!(answer[name], expected, "{name}");
            }
            let now = world.auth.clock.now().as_seconds();
            assert_eq!(answer["exp"], json!(now + 900));
            assert_eq!(answer["iat"], json!(now));
            assert_eq!(answer["nbf"], json!(now));
            assert!(answer["jti"].is_string());
        }
        let inside = claims(&first).1;
        for (name, value) in inside.as_object().unwrap() {
            assert_eq!(&a[name], value, "{name}");
        }
    }

    async fn an_opaque_token_is_kept_as_a_hash_expires_and_is_forgotten(world: World) {
        let secret = world.client("opq", json!({"access_token_format": "opaque", "access_token_ttl_seconds": 60})).await;
        let token = access(&world, "opq", &secret, "").await;
        assert_eq!(world.introspect("opq", &secret, &token).await["active"], true);
        world.clock.advance_seconds(60);
        assert_eq!(world.introspect("opq", &secret, &token).await, json!({"active": false}));
        world.clock.advance_seconds(1);
        world.auth.purge().await.unwrap();
        let hash = world.tenant().await.pepper.tag(token.as_bytes());
        let row = world.auth.store.read(&auth::sql::OPAQUE_BY_HASH, store::params![kernel::tenant::DEFAULT, hash.as_slice()]).await;
        assert!(row.unwrap().is_none());
        let mut bad = access(&world, "opq", &secret, "").await;
        let last = bad.pop().unwrap();
        bad.push(if last == 'a' { 'b' } else { 'a' });
        let reads = world.auth.store.stats().reads;
        assert_eq!(world.introspect("opq", &secret, &bad).await, json!({"active": false}));
        assert_eq!(world.auth.store.stats().reads, reads, "a bad checksum costs no read");
    }

    async fn only_who_may_see_a_token_sees_it(world: World) {
        world.admin(Method::POST, "/api/apis", json!({"identifier": "https://orders.example"})).await.expect(201);
        let orders = world.admin(Method::GET, "/api/apis", Value::Null).await.json();
        let id = orders["data"].as_array().unwrap().iter().find(|a| a["identifier"] == "https://orders.example").unwrap()["id"].clone();
        let scopes = format!("/api/apis/{}/scopes", id.as_str().unwrap());
        world.admin(Method::POST, &scopes, json!({"name": "orders:read"})).await.expect(201);
        let mine = world.client("mine", json!({"scopes": ["read", "orders:read"], "audiences": ["https://orders.example", "https://id.example/apis/default"]})).await;
        let api = world.client("api", json!({"introspects": ["https://orders.example"]})).await;
        let stranger = world.client("stranger", json!({})).await;
        let orders = access(&world, "mine", &mine, "&resource=https://orders.example&scope=orders:read").await;
        let aud = world.introspect("mine", &mine, &orders).await["aud"].clone();
        assert_eq!(aud, "https://orders.example");
        assert_eq!(world.introspect("api", &api, &orders).await["active"], true);
        assert_eq!(world.introspect("stranger", &stranger, &orders).await, json!({"active": false}));
        let other = access(&world, "mine", &mine, "&scope=read").await;
        assert_eq!(world.introspect("api", &api, &other).await, json!({"active": false}));
        let all = world.client("all", json!({"scopes": ["tokens:introspect"]})).await;
        assert_eq!(world.introspect("all", &all, &other).await["active"], true);
        let bearer = access(&world, "all", &all, "&scope=tokens:introspect").await;
        assert_eq!(ask_as_bearer(&world, &bearer, &other).await.expect(200).json()["active"], true);
        assert_eq!(ask_as_bearer(&world, &world.admin, &other).await.expect(200).json()["active"], true);
        assert_eq!(ask_as_bearer(&world, &bearer, "unknown").await.expect(200).text, "{\"active\":false}");
        world.revoke("all", &all, &bearer).await.expect(200);
        ask_as_bearer(&world, &bearer, &other).await.expect(401);
    }

    async fn introspection_takes_post_alone_and_no_answer_may_be_stored(world: World) {
        for method in [Method::GET, Method::PUT, Method::PATCH, Method::DELETE] {
            let answer = world.request(method, INTROSPECT, &[], "").await.expect(405);
            assert_eq!(answer.header("allow"), "POST");
            assert_eq!(answer.header("cache-control"), "no-store");
        }
        let secret = world.client("c", json!({})).await;
        let token = access(&world, "c", &secret, "").await;
        let header = basic("c", &secret);
        let answer = world.form(INTROSPECT, &[("authorization", &header)], &format!("token={token}")).await.expect(200);
        assert_eq!(answer.header("cache-control"), "no-store");
        let url = format!("{INTROSPECT}?token={token}");
        let answer = world.form(&url, &[("authorization", &header)], "").await.expect(400);
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.error(), "invalid_request");
    }

    async fn a_jwt_answer_is_signed_for_its_caller(world: World) {
        let secret = world.client("c", json!({})).await;
        let token = access(&world, "c", &secret, "").await;
        let header = basic("c", &secret);
        let accept = "application/token-introspection+jwt";
        let headers = [("authorization", header.as_str()), ("accept", accept)];
        let metadata = world.request(Method::GET, "/.well-known/oauth-authorization-server", &[], "").await.json();
        let algs = metadata["introspection_signing_alg_values_supported"].clone();
        let jwks = |text: String| serde_json::from_str::<jose::JwkSet>(&text).unwrap();
        for (asked, active) in [(token.as_str(), true), ("unknown", false)] {
            let answer = world.form(INTROSPECT, &headers, &format!("token={asked}")).await.expect(200);
            assert_eq!(answer.header("content-type"), accept);
            assert_eq!(answer.header("cache-control"), "no-store");
            let (head, body) = claims(&answer.text);
            assert_eq!(head["typ"], "token-introspection+jwt");
            assert!(algs.as_array().unwrap().contains(&head["alg"]));
            assert_eq!(body["iss"], "https://id.example");
            assert_eq!(body["aud"], "c");
            assert_eq!(body["iat"], json!(world.auth.clock.now().as_seconds()));
            assert_eq!(body["token_introspection"]["active"], active);
            if active {
                assert_eq!(body["token_introspection"], world.introspect("c", &secret, asked).await);
            } else {
                assert_eq!(body["token_introspection"], json!({"active": false}));
            }
            let set = jwks(world.request(Method::GET, "/.well-known/jwks.json", &[], "").await.expect(200).text);
            let key = set.keys.iter().find(|k| k.kid.as_deref() == head["kid"].as_str()).expect("its key is published");
            jose::jws::verify(&answer.text, &jose::VerifyKey::from_jwk(key).unwrap()).unwrap();
            // RFC 9701 §8.1: such an answer must never pass for an access token.
            assert_eq!(world.introspect("c", &secret, &answer.text).await, json!({"active": false}));
        }
        let bearer = format!("Bearer {}", world.admin);
        let answer = world.form(INTROSPECT, &[("authorization", &bearer), ("accept", accept)], &format!("token={token}")).await;
        assert_eq!(claims(&answer.expect(200).text).1["aud"], "ops");
        for (weight, kind) in [("0", "application/json"), ("0.000", "application/json"), ("0.1", accept)] {
            let weighed = format!("application/json, {accept}; q={weight}");
            let headers = [("authorization", header.as_str()), ("accept", weighed.as_str())];
            let answer = world.form(INTROSPECT, &headers, &format!("token={token}")).await.expect(200);
            assert_eq!(answer.header("content-type"), kind, "{weighed}");
        }
    }

    async fn a_token_without_scopes_says_nothing_of_scopes(world: World) {
        let secret = world.client("bare", json!({"scopes": []})).await;
        let answer = world.token("bare", &secret, "").await.expect(200).json();
        assert_eq!(answer.get("scope"), None);
        let token = answer["access_token"].as_str().unwrap().to_owned();
        assert_eq!(claims(&token).1.get("scope"), None);
        let seen = world.introspect("bare", &secret, &token).await;
        assert_eq!((&seen["active"], seen.get("scope")), (&json!(true), None), "{seen}");
        // one whose last scope was taken away says the same
        let secret = world.client("poor", json!({"scopes": ["read"]})).await;
        let token = access(&world, "poor", &secret, "").await;
        world.admin(Method::PATCH, "/api/clients/poor", json!({"scopes": []})).await.expect(200);
        let seen = world.introspect("poor", &secret, &token).await;
        assert_eq!((&seen["active"], seen.get("scope")), (&json!(true), None), "{seen}");
    }
}
