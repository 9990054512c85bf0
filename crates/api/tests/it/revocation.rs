//! Revocation, RFC 7009 (checklist rows 40–46).

use http::Method;
use kernel::tenant::DEFAULT;
use serde_json::{Value, json};

use crate::on_both_engines;
use crate::world::{World, basic, claims};

async fn access(world: &World, id: &str, secret: &str) -> String {
    world.token(id, secret, "").await.expect(200).json()["access_token"].as_str().unwrap().to_owned()
}

on_both_engines! {
    async fn a_token_that_is_nothing_to_us_is_answered_200_and_empty(world: World) {
        let secret = world.client("r", json!({"access_token_ttl_seconds": 60})).await;
        let expired = access(&world, "r", &secret).await;
        world.clock.advance_seconds(61);
        let revoked = access(&world, "r", &secret).await;
        world.revoke("r", &secret, &revoked).await.expect(200);
        let cut = &revoked[..revoked.len() - 4];
        for token in [
            "unknown", "a.b.c", "bst_rt_unknown", "bst_at_unknown", "%22%01", cut, &expired, &revoked,
            &"x".repeat(20_000),
        ] {
            let answer = world.revoke("r", &secret, token).await.expect(200);
            assert_eq!(answer.text, "");
            assert_eq!(answer.header("cache-control"), "no-store");
        }
    }

    async fn every_kind_of_token_can_be_revoked_whatever_the_hint_says(world: World) {
        let grants = json!(["client_credentials", "refresh_token"]);
        let jwt = world.client("jwt", json!({"grant_types": grants})).await;
        let opaque = world.client("opq", json!({"grant_types": grants, "access_token_format": "opaque"})).await;
        for (id, secret) in [("jwt", &jwt), ("opq", &opaque)] {
            for hint in ["access_token", "refresh_token", "never_heard_of"] {
                let first = world.token(id, secret, "").await.expect(200).json();
                for name in ["access_token", "refresh_token"] {
                    let token = first[name].as_str().unwrap();
                    assert_eq!(world.introspect(id, secret, token).await["active"], true, "{name}");
                    let header = basic(id, secret);
                    let body = format!("token={token}&token_type_hint={hint}");
                    world.form("/oauth2/revoke", &[("authorization", &header)], &body).await.expect(200);
                    assert_eq!(world.introspect(id, secret, token).await, json!({"active": false}), "{name}");
                }
            }
        }
    }

    async fn the_revocation_endpoint_wants_client_authentication_and_a_token(world: World) {
        let secret = world.client("auth", json!({})).await;
        let token = access(&world, "auth", &secret).await;
        let wrong = basic("auth", "bst_cs_wrong");
        let unknown = basic("nobody", &secret);
        let headers: [&[(&str, &str)]; 3] = [&[], &[("authorization", &wrong)], &[("authorization", &unknown)]];
        for headers in headers {
            let answer = world.form("/oauth2/revoke", headers, &format!("token={token}")).await.expect(401);
            assert_eq!(answer.error(), "invalid_client");
            assert_eq!(answer.header("www-authenticate"), "Basic realm=\"bastionary\"");
        }
        assert_eq!(world.introspect("auth", &secret, &token).await["active"], true);
        let right = basic("auth", &secret);
        for body in ["", "token=", "token_type_hint=access_token"] {
            let answer = world.form("/oauth2/revoke", &[("authorization", &right)], body).await.expect(400);
            assert_eq!(answer.error(), "invalid_request");
        }
        let twice = world.form("/oauth2/revoke", &[("authorization", &right)], &format!("token={token}&token={token}")).await;
        assert_eq!(twice.expect(400).error(), "invalid_request");
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            assert_eq!(world.request(method, "/oauth2/revoke", &[], "").await.expect(405).header("allow"), "POST");
        }
        // The methods of the token endpoint are the methods here.
        let body = format!("client_id=auth&client_secret={secret}&token={token}");
        world.form("/oauth2/revoke", &[], &body).await.expect(200);
        assert_eq!(world.introspect("auth", &secret, &token).await, json!({"active": false}));
    }

    async fn revoking_a_refresh_token_ends_its_family_and_an_access_token_only_itself(world: World) {
        let secret = world.client("fam", json!({"grant_types": ["client_credentials", "refresh_token"]})).await;
        let first = world.token("fam", &secret, "").await.expect(200).json();
        let other = world.token("fam", &secret, "").await.expect(200).json();
        let of = |body: &Value, name: &str| body[name].as_str().unwrap().to_owned();
        let second = world.refresh("fam", &secret, &of(&first, "refresh_token"), "").await.expect(200).json();
        let refresh = of(&second, "refresh_token");
        world.revoke("fam", &secret, &of(&first, "access_token")).await.expect(200);
        assert_eq!(world.introspect("fam", &secret, &of(&first, "access_token")).await, json!({"active": false}));
        assert_eq!(world.introspect("fam", &secret, &of(&second, "access_token")).await["active"], true);
        let third = world.refresh("fam", &secret, &refresh, "").await.expect(200).json();
        // A rotated token of the family is a token of the family.
        world.revoke("fam", &secret, &refresh).await.expect(200);
        for body in [&first, &second, &third] {
            for name in ["access_token", "refresh_token"] {
                assert_eq!(world.introspect("fam", &secret, &of(body, name)).await, json!({"active": false}));
            }
        }
        let dead = world.refresh("fam", &secret, &of(&third, "refresh_token"), "").await.expect(400);
        assert_eq!(dead.error(), "invalid_grant");
        for name in ["access_token", "refresh_token"] {
            assert_eq!(world.introspect("fam", &secret, &of(&other, name)).await["active"], true, "another family");
        }
        world.revoke("fam", &secret, &refresh).await.expect(200);
    }

    async fn a_token_of_another_client_is_left_alone_and_nothing_says_so(world: World) {
        let secret = world.client("owner", json!({"grant_types": ["client_credentials", "refresh_token"]})).await;
        let stranger = world.client("stranger", json!({})).await;
        let first = world.token("owner", &secret, "").await.expect(200).json();
        let unknown = world.revoke("stranger", &stranger, "unknown").await.expect(200);
        for name in ["access_token", "refresh_token"] {
            let token = first[name].as_str().unwrap();
            let answer = world.revoke("stranger", &stranger, token).await.expect(200);
            assert_eq!(answer.text, unknown.text);
            assert_eq!(world.introspect("owner", &secret, token).await["active"], true, "{name}");
        }
    }

    async fn a_revocation_outlives_a_restart_and_the_next_token_is_good(world: World) {
        let secret = world.client("again", json!({})).await;
        let token = access(&world, "again", &secret).await;
        world.revoke("again", &secret, &token).await.expect(200);
        let fresh = auth::denial::Denials::default();
        fresh.load(&world.auth.store, world.auth.clock.now()).await.unwrap();
        let client = world.auth.read_client(DEFAULT, "again").await.unwrap().unwrap();
        let jti = |token: &str| record::entry::Jti::parse(claims(token).1["jti"].as_str().unwrap()).unwrap();
        assert!(!fresh.allows(DEFAULT, &client, &jti(&token)));
        let next = access(&world, "again", &secret).await;
        assert!(fresh.allows(DEFAULT, &client, &jti(&next)));
        assert_eq!(world.introspect("again", &secret, &next).await["active"], true);
    }

    async fn ending_all_tokens_of_a_client_ends_them_and_no_later_one(world: World) {
        let secret = world.client("all", json!({})).await;
        let opaque = world.client("allo", json!({"access_token_format": "opaque"})).await;
        let before = [access(&world, "all", &secret).await, access(&world, "all", &secret).await];
        let other = access(&world, "allo", &opaque).await;
        world.admin(Method::POST, "/api/clients/all/revoke-tokens", Value::Null).await.expect(204);
        let after = access(&world, "all", &secret).await;
        for token in &before {
            assert_eq!(world.introspect("all", &secret, token).await, json!({"active": false}));
        }
        assert_eq!(world.introspect("all", &secret, &after).await["active"], true);
        assert_eq!(world.introspect("allo", &opaque, &other).await["active"], true);
        world.admin(Method::POST, "/api/clients/allo/revoke-tokens", Value::Null).await.expect(204);
        assert_eq!(world.introspect("allo", &opaque, &other).await, json!({"active": false}));
    }

    async fn a_token_is_not_claimed_revoked_while_the_store_is_away(world: World) {
        let secret = world.client("down", json!({"grant_types": ["client_credentials", "refresh_token"]})).await;
        let first = world.token("down", &secret, "").await.expect(200).json();
        world.introspect("down", &secret, first["access_token"].as_str().unwrap()).await;
        world.auth.store.close().await;
        for name in ["access_token", "refresh_token"] {
            let answer = world.revoke("down", &secret, first[name].as_str().unwrap()).await.expect(503);
            assert_eq!(answer.error(), "temporarily_unavailable");
            assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
        }
        let answer = world.token("down", &secret, "").await.expect(503);
        assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
    }

    async fn a_hundred_parallel_revocations_are_all_visible_at_their_answers(world: World) {
        let secret = world.client("par", json!({"rate_limit": {"limit": 0, "window_s": 1, "burst": 0}})).await;
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let (world, secret) = (world.clone(), secret.clone());
            tasks.spawn(async move {
                let token = access(&world, "par", &secret).await;
                world.revoke("par", &secret, &token).await.expect(200);
                world.introspect("par", &secret, &token).await
            });
        }
        for answer in tasks.join_all().await {
            assert_eq!(answer, json!({"active": false}));
        }
    }
}
