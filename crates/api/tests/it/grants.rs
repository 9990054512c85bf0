//! The token endpoint, from the first token to the last refusal (checklist rows 1–20, 26–38).

use http::Method;
use serde_json::json;

use crate::on_both_engines;
use crate::world::{World, basic, claims};

on_both_engines! {
    async fn a_client_gets_a_token_that_says_what_rfc_9068_asks(world: World) {
        let secret = world.client("billing", json!({})).await;
        let answer = world.token("billing", &secret, "&scope=write+read").await.expect(200);
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("pragma"), "no-cache");
        assert_eq!(answer.header("content-type"), "application/json");
        let body = answer.json();
        assert_eq!(body["token_type"], "Bearer");
        assert_eq!(body["expires_in"], 900);
        assert_eq!(body["scope"], "write read");
        assert!(body.get("refresh_token").is_none());
        let (header, claims) = claims(body["access_token"].as_str().unwrap());
        assert_eq!(header["typ"], "at+jwt");
        assert_eq!(header["alg"], "ES256");
        for (name, expected) in [
            ("iss", json!("https://id.example")), ("sub", json!("billing")), ("client_id", json!("billing")),
            ("aud", json!("https://id.example/apis/default")), ("scope", json!("write read")), ("tenant", json!("default")),
        ] {
            assert_eq!(claims[name], expected, "{name}");
        }
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 900);
        assert_eq!(claims["nbf"], claims["iat"]);
        assert_eq!(claims["jti"].as_str().unwrap().split('.').count(), 3);
    }

    async fn a_warm_token_request_reads_nothing_and_commits_once(world: World) {
        let secret = world.client("hot", json!({})).await;
        world.token("hot", &secret, "").await.expect(200);
        let before = world.auth.store.stats();
        for _ in 0..10 {
            world.token("hot", &secret, "").await.expect(200);
        }
        let after = world.auth.store.stats();
        assert_eq!(after.reads - before.reads, 0);
        assert_eq!(after.entries - before.entries, 10);
        assert_eq!(after.batches, before.batches);
    }

    async fn the_published_body_creates_an_expired_client_with_its_warnings(world: World) {
        let body = r#"{ "client_id": "my_client_id", "client_secret": "my_client_secret", "scopes": ["read", "write"], "expiry": "2023-12-31T23:59:59Z" }"#;
        let bearer = format!("Bearer {}", world.admin);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let answer = world.request(Method::POST, "/api/clients", &headers, body).await.expect(201);
        let created = answer.json();
        assert_eq!(created["status"], "expired");
        assert_eq!(created["client_id"], "my_client_id");
        assert_eq!(created["scopes"], json!(["read", "write"]));
        assert_eq!(created["expiry"], "2023-12-31T23:59:59Z");
        assert!(created.get("client_secret").is_none());
        let codes: Vec<_> = created["warnings"].as_array().unwrap().iter().map(|w| w["code"].as_str().unwrap()).collect();
        assert_eq!(codes, ["weak_secret", "expired"]);
        assert_eq!(world.token("my_client_id", "my_client_secret", "").await.expect(401).error(), "invalid_client");
    }

    async fn refresh_rotates_repeats_inside_the_window_and_ends_the_family_on_reuse(world: World) {
        let secret = world.client("batch", json!({"grant_types": ["client_credentials", "refresh_token"]})).await;
        let first = world.token("batch", &secret, "").await.expect(200).json();
        let r0 = first["refresh_token"].as_str().unwrap();
        assert!(r0.starts_with("bst_rt_"));
        let second = world.refresh("batch", &secret, r0, "").await.expect(200).json();
        let r1 = second["refresh_token"].as_str().unwrap();
        assert_ne!(r0, r1);
        world.clock.advance_seconds(9);
        let repeat = world.refresh("batch", &secret, r0, "").await.expect(200).json();
        assert_eq!(repeat["refresh_token"], r1);
        world.clock.advance_seconds(5);
        let access = second["access_token"].as_str().unwrap();
        assert_eq!(world.introspect("batch", &secret, access).await["active"], true);
        assert_eq!(world.refresh("batch", &secret, r0, "").await.expect(400).error(), "invalid_grant");
        assert_eq!(world.introspect("batch", &secret, access).await, json!({"active": false}));
        assert_eq!(world.refresh("batch", &secret, r1, "").await.expect(400).error(), "invalid_grant");
    }

    async fn revoking_an_access_token_ends_that_token_only(world: World) {
        let secret = world.client("two", json!({})).await;
        let one = world.token("two", &secret, "").await.json()["access_token"].as_str().unwrap().to_owned();
        let other = world.token("two", &secret, "").await.json()["access_token"].as_str().unwrap().to_owned();
        let answer = world.revoke("two", &secret, &one).await.expect(200);
        assert_eq!(answer.text, "");
        assert_eq!(world.introspect("two", &secret, &one).await, json!({"active": false}));
        let live = world.introspect("two", &secret, &other).await;
        assert_eq!(live["active"], true);
        assert_eq!(live["token_type"], "Bearer");
        assert_eq!(live["scope"], "read write");
    }

    async fn a_disabled_client_is_refused_and_its_tokens_are_dead_from_the_next_request(world: World) {
        let secret = world.client("gone", json!({})).await;
        let other = world.client("watcher", json!({"introspects": ["https://id.example/apis/default"]})).await;
        let token = world.token("gone", &secret, "").await.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(world.introspect("watcher", &other, &token).await["active"], true);
        world.admin(Method::POST, "/api/clients/gone/disable", serde_json::Value::Null).await.expect(200);
        assert_eq!(world.token("gone", &secret, "").await.expect(401).error(), "invalid_client");
        assert_eq!(world.introspect("watcher", &other, &token).await, json!({"active": false}));
    }

    async fn a_rotated_secret_overlaps_until_its_own_end(world: World) {
        let old = world.client("rot", json!({})).await;
        let body = json!({"label": "next", "expire_others_in_seconds": 60});
        let new = world.admin(Method::POST, "/api/clients/rot/secrets", body).await.expect(201).json()["client_secret"]
            .as_str().unwrap().to_owned();
        world.token("rot", &old, "").await.expect(200);
        world.token("rot", &new, "").await.expect(200);
        world.clock.advance_seconds(61);
        world.token("rot", &old, "").await.expect(401);
        world.token("rot", &new, "").await.expect(200);
    }

    async fn fifty_parallel_refreshes_give_one_line_of_descent(world: World) {
        let secret = world.client("par", json!({"grant_types": ["client_credentials", "refresh_token"]})).await;
        let first = world.token("par", &secret, "").await.expect(200).json();
        let token = first["refresh_token"].as_str().unwrap().to_owned();
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let (world, secret, token) = (world.clone(), secret.clone(), token.clone());
            tasks.spawn(async move { world.refresh("par", &secret, &token, "").await.expect(200).json()["refresh_token"].as_str().unwrap().to_owned() });
        }
        let answers = tasks.join_all().await;
        assert!(answers.iter().all(|a| *a == answers[0]));
        world.refresh("par", &secret, &answers[0], "").await.expect(200);
    }

    async fn a_wrong_method_or_a_parameter_in_the_url_is_refused(world: World) {
        for method in [Method::GET, Method::PUT, Method::PATCH, Method::DELETE] {
            let answer = world.request(method, "/oauth2/token", &[], "").await.expect(405);
            assert_eq!(answer.header("allow"), "POST");
            assert_eq!(answer.error(), "invalid_request");
        }
        let secret = world.client("q", json!({})).await;
        let auth = basic("q", &secret);
        let path = format!("/oauth2/token?client_secret={secret}");
        let answer = world.form(&path, &[("authorization", &auth)], "grant_type=client_credentials").await.expect(400);
        assert_eq!(answer.error(), "invalid_request");
        assert!(!answer.text.contains(&secret));
    }
}
