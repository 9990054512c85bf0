//! What client_credentials grants and refuses (checklist rows 26–32).

use http::Method;
use serde_json::{Value, json};

use crate::on_both_engines;
use crate::transport::{granted, refused};
use crate::world::{World, claims};

const TOKEN: &str = "/oauth2/token";
const DEFAULT_API: &str = "https://id.example/apis/default";

/// Creates an API with scopes.
async fn api(world: &World, identifier: &str, scopes: &[&str]) {
    let answer =
        world.admin(Method::POST, "/api/apis", json!({"identifier": identifier, "name": "an API"})).await.expect(201);
    let path = format!("/api/apis/{}/scopes", answer.json()["id"].as_str().unwrap());
    for scope in scopes {
        world.admin(Method::POST, &path, json!({"name": scope})).await.expect(201);
    }
}

fn audience(body: &Value) -> Value {
    claims(body["access_token"].as_str().unwrap()).1["aud"].clone()
}

fn names(object: &Value) -> Vec<&str> {
    let mut names: Vec<_> = object.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

on_both_engines! {
    async fn a_public_client_has_no_client_credentials(world: World) {
        world.client("app", json!({"token_endpoint_auth_method": "none", "grant_types": ["client_credentials", "refresh_token"]})).await;
        world.client("app-refresh", json!({"token_endpoint_auth_method": "none", "grant_types": ["refresh_token"]})).await;
        for id in ["app", "app-refresh"] {
            refused(world.form(TOKEN, &[], &format!("grant_type=client_credentials&client_id={id}")).await, 400, "unauthorized_client");
        }
        // Only the grant is refused: the client itself is known.
        let body = "grant_type=refresh_token&client_id=app&refresh_token=bst_rt_x";
        refused(world.form(TOKEN, &[], body).await, 400, "invalid_grant");
        refused(world.form(TOKEN, &[], "grant_type=client_credentials&client_id=nobody").await, 401, "invalid_client");
    }

    async fn a_success_has_exactly_the_members_of_rfc_6749(world: World) {
        let secret = world.client("plain", json!({})).await;
        let body = granted(world.token("plain", &secret, "").await);
        assert_eq!(names(&body), ["access_token", "expires_in", "scope", "token_type"]);
        assert_eq!(body["token_type"], "Bearer");
        assert!(body["expires_in"].is_u64());
        assert_eq!(body["scope"], "read write");
        let bare = world.client("bare", json!({"scopes": []})).await;
        let body = granted(world.token("bare", &bare, "").await);
        assert!(body.get("scope").is_none(), "an empty scope is left out");
        assert_eq!(audience(&body), DEFAULT_API);
    }

    async fn the_life_is_that_of_the_client_and_never_past_its_end(world: World) {
        let secret = world.client("short", json!({"access_token_ttl_seconds": 60})).await;
        assert_eq!(granted(world.token("short", &secret, "").await)["expires_in"], 60);
        let secret = world.client("ending", json!({"expiry": "2026-06-01T12:05:00Z"})).await;
        let body = granted(world.token("ending", &secret, "").await);
        assert_eq!(body["expires_in"], 300);
        let (_, claims) = claims(body["access_token"].as_str().unwrap());
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);
    }

    async fn only_a_client_with_the_grant_gets_a_refresh_token_and_nobody_an_id_token(world: World) {
        let scopes = json!(["openid", "profile", "offline_access"]);
        let without = world.client("without", json!({"scopes": scopes})).await;
        let with = world.client("with", json!({"scopes": scopes, "grant_types": ["client_credentials", "refresh_token"]})).await;
        for more in ["", "&scope=openid+offline_access"] {
            let body = granted(world.token("without", &without, more).await);
            assert!(body.get("refresh_token").is_none() && body.get("id_token").is_none(), "{body}");
            let body = granted(world.token("with", &with, more).await);
            assert!(body["refresh_token"].as_str().unwrap().starts_with("bst_rt_"));
            assert!(body.get("id_token").is_none(), "{body}");
        }
    }

    async fn an_omitted_scope_is_the_default_of_the_client(world: World) {
        let narrow = world.client("narrow", json!({"scopes": ["read", "write", "erase"], "default_scopes": ["write"]})).await;
        assert_eq!(granted(world.token("narrow", &narrow, "").await)["scope"], "write");
        assert_eq!(granted(world.token("narrow", &narrow, "&scope=erase").await)["scope"], "erase");
        let none = world.client("none", json!({"default_scopes": []})).await;
        refused(world.token("none", &none, "").await, 400, "invalid_scope");
        refused(world.token("none", &none, "&scope=++").await, 400, "invalid_scope");
        granted(world.token("none", &none, "&scope=read").await);
        let manager = world.client("manager", json!({"scopes": ["read", "clients:read"]})).await;
        assert_eq!(granted(world.token("manager", &manager, "").await)["scope"], "read", "management is never a default");
        let only = world.client("only-manager", json!({"scopes": ["clients:read"]})).await;
        refused(world.token("only-manager", &only, "").await, 400, "invalid_scope");
        let body = granted(world.token("only-manager", &only, "&scope=clients:read").await);
        assert_eq!(audience(&body), "https://id.example/api");
    }

    async fn scopes_keep_their_order_lose_repeats_and_are_compared_byte_by_byte(world: World) {
        let secret = world.client("scopes", json!({})).await;
        world.client("owner", json!({"scopes": ["elsewhere"]})).await;
        assert_eq!(granted(world.token("scopes", &secret, "&scope=write+read").await)["scope"], "write read");
        assert_eq!(granted(world.token("scopes", &secret, "&scope=read+write+read+read").await)["scope"], "read write");
        assert_eq!(granted(world.token("scopes", &secret, "&scope=+read++write+").await)["scope"], "read write");
        for refusal in ["nope", "READ", "Read", "read+nope", "elsewhere", "read,write", "read%C2%A0write", "admin"] {
            refused(world.token("scopes", &secret, &format!("&scope={refusal}")).await, 400, "invalid_scope");
        }
    }

    async fn a_scope_outside_the_grammar_is_refused_and_not_repeated(world: World) {
        let secret = world.client("grammar", json!({})).await;
        for bad in ["%22", "%5C", "%09", "%00", "read%22", "read%5C", "read%09write", "read%00", "%0A", "read%0D%0Awrite", "%7F", "%C3%A9"] {
            let answer = refused(world.token("grammar", &secret, &format!("&scope=zq{bad}zq")).await, 400, "invalid_scope");
            assert!(!answer.text.contains("zq"), "{}", answer.text);
        }
        for long in ["x".repeat(300), "x".repeat(5_000), (0..150).map(|i| format!("s{i}+")).collect::<Vec<_>>().concat()] {
            refused(world.token("grammar", &secret, &format!("&scope={long}")).await, 400, "invalid_scope");
        }
    }

    async fn a_secret_with_narrower_scopes_grants_no_more(world: World) {
        world.client("narrowed", json!({})).await;
        let answer = world.admin(Method::POST, "/api/clients/narrowed/secrets", json!({"scopes": ["read"]})).await.expect(201);
        let secret = answer.json()["client_secret"].as_str().unwrap().to_owned();
        assert_eq!(granted(world.token("narrowed", &secret, "").await)["scope"], "read");
        refused(world.token("narrowed", &secret, "&scope=write").await, 400, "invalid_scope");
    }

    async fn a_resource_names_an_api_that_the_client_may_have(world: World) {
        api(&world, "https://orders.example/v1", &["orders:read"]).await;
        api(&world, "https://stock.example/", &["stock:read"]).await;
        let secret = world.client("shop", json!({"scopes": ["read", "orders:read"]})).await;
        for bad in ["relative", "%2Frelative", "orders.example", "%2F%2Forders.example%2Fv1", "https%3A%2F%2Forders.example%2Fv1%23part", "https%3A%2F%2Forders.example%2Fv1%23",
            "https%3A%2F%2Fstock.example%2F", "https%3A%2F%2Fid.example%2Fapi", "https%3A%2F%2Fnobody.example", "https%3A%2F%2Forders.example%2FV1",
            "https%3A%2F%2Forders.example%2Fv1%2F", "https%3A", "%3A", "%00"] {
            refused(world.token("shop", &secret, &format!("&scope=orders:read&resource={bad}")).await, 400, "invalid_target");
        }
        for good in ["https%3A%2F%2Forders.example%2Fv1", "HTTPS%3A%2F%2FOrders.EXAMPLE%2Fv1"] {
            let body = granted(world.token("shop", &secret, &format!("&scope=orders:read&resource={good}")).await);
            assert_eq!(audience(&body), "https://orders.example/v1", "the identifier is the registered one");
        }
        // Without a resource the API that owns the scopes is the audience.
        assert_eq!(audience(&granted(world.token("shop", &secret, "&scope=orders:read").await)), "https://orders.example/v1");
        assert_eq!(audience(&granted(world.token("shop", &secret, "&scope=read").await)), DEFAULT_API);
        // The resource narrows the default scopes, and does not own the scopes of others.
        refused(world.token("shop", &secret, "&scope=read&resource=https%3A%2F%2Forders.example%2Fv1").await, 400, "invalid_scope");
    }

    async fn several_resources_are_for_clients_that_may_name_several(world: World) {
        api(&world, "https://orders.example/v1", &["orders:read"]).await;
        let fields = json!({"scopes": ["read", "orders:read"]});
        let one = world.client("one", fields.clone()).await;
        let orders = "resource=https%3A%2F%2Forders.example%2Fv1";
        let default = "resource=https%3A%2F%2Fid.example%2Fapis%2Fdefault";
        refused(world.token("one", &one, &format!("&{orders}&{default}&scope=read")).await, 400, "invalid_target");
        refused(world.token("one", &one, "&scope=read+orders:read").await, 400, "invalid_target");
        let body = granted(world.token("one", &one, &format!("&{default}&{default}&scope=read")).await);
        assert_eq!(audience(&body), DEFAULT_API);
        let mut fields = fields;
        fields["multi_audience"] = json!(true);
        let several = world.client("several", fields).await;
        let body = granted(world.token("several", &several, &format!("&{orders}&{default}&scope=read+orders:read")).await);
        assert_eq!(audience(&body), json!(["https://orders.example/v1", DEFAULT_API]));
        let body = granted(world.token("several", &several, &format!("&{default}&{orders}&scope=read+orders:read")).await);
        assert_eq!(audience(&body), json!([DEFAULT_API, "https://orders.example/v1"]));
        refused(world.token("several", &several, &format!("&{default}&resource=https%3A%2F%2Fnobody.example")).await, 400, "invalid_target");
    }

    async fn the_resource_is_judged_before_the_scope(world: World) {
        api(&world, "https://orders.example/v1", &["orders:read"]).await;
        let secret = world.client("both", json!({"scopes": ["read", "orders:read"]})).await;
        refused(world.token("both", &secret, "&resource=relative&scope=nope").await, 400, "invalid_target");
        let two = "&resource=https%3A%2F%2Forders.example%2Fv1&resource=https%3A%2F%2Fid.example%2Fapis%2Fdefault";
        refused(world.token("both", &secret, &format!("{two}&scope=nope")).await, 400, "invalid_target");
        refused(world.token("both", &secret, &format!("{two}&scope=%00")).await, 400, "invalid_target");
    }

    async fn a_client_with_a_list_of_audiences_has_no_other(world: World) {
        api(&world, "https://orders.example/v1", &["orders:read"]).await;
        let fields = json!({"scopes": ["read", "orders:read"], "audiences": ["https://orders.example/v1"], "default_scopes": []});
        let secret = world.client("listed", fields).await;
        granted(world.token("listed", &secret, "&scope=orders:read").await);
        refused(world.token("listed", &secret, "&scope=read").await, 400, "invalid_target");
        refused(world.token("listed", &secret, "&scope=read&resource=https%3A%2F%2Fid.example%2Fapis%2Fdefault").await, 400, "invalid_target");
    }

    async fn the_token_is_an_rfc_9068_token_with_every_claim(world: World) {
        let fields = json!({"static_claims": {"team": "billing", "level": 3}});
        let secret = world.client("claims", fields).await;
        let body = granted(world.token("claims", &secret, "").await);
        let (header, claims) = claims(body["access_token"].as_str().unwrap());
        assert_eq!(header["typ"], "at+jwt");
        assert_eq!(header["alg"], "ES256");
        let keys = world.request(Method::GET, "/.well-known/jwks.json", &[], "").await.expect(200).json();
        assert!(keys["keys"].as_array().unwrap().iter().any(|k| k["kid"] == header["kid"] && k["alg"] == "ES256"), "{keys}");
        assert_eq!(names(&claims), ["aud", "client_id", "exp", "iat", "iss", "jti", "level", "nbf", "scope", "sub", "team", "tenant"]);
        assert_eq!(claims["sub"], "claims");
        assert_eq!(claims["client_id"], claims["sub"]);
        assert_eq!(claims["iss"], "https://id.example");
        assert_eq!(claims["aud"], DEFAULT_API);
        assert_eq!(claims["scope"], "read write");
        assert_eq!(claims["tenant"], "default");
        assert_eq!((&claims["team"], &claims["level"]), (&json!("billing"), &json!(3)));
        let now = claims["iat"].as_i64().unwrap();
        assert_eq!(now, 1_780_315_200);
        assert_eq!((claims["nbf"].as_i64(), claims["exp"].as_i64()), (Some(now), Some(now + 900)));
        let jti: Vec<_> = claims["jti"].as_str().unwrap().split('.').collect();
        assert_eq!(jti.len(), 3);
        assert_eq!(jti[0].len(), 26);
        assert!(jti[1].starts_with("sec_"), "the credential: {jti:?}");
        let family = world.client("family", json!({"grant_types": ["client_credentials", "refresh_token"]})).await;
        let body = granted(world.token("family", &family, "").await);
        let jti = crate::world::claims(body["access_token"].as_str().unwrap()).1["jti"].as_str().unwrap().to_owned();
        assert!(jti.split('.').nth(1).unwrap().starts_with("fam_"), "the refresh family: {jti}");
    }

    async fn two_tokens_of_one_moment_differ_in_their_id(world: World) {
        let secret = world.client("twin", json!({})).await;
        let mut ids = Vec::new();
        for _ in 0..5 {
            // The caller's own request id is no part of the token's id: it may repeat.
            let auth = crate::world::basic("twin", &secret);
            let headers = [("authorization", auth.as_str()), ("x-request-id", "same")];
            let body = granted(world.form(TOKEN, &headers, "grant_type=client_credentials").await);
            ids.push(claims(body["access_token"].as_str().unwrap()).1["jti"].as_str().unwrap().to_owned());
        }
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 5);
    }

    async fn an_opaque_token_answers_the_same_members(world: World) {
        let secret = world.client("opaque", json!({"access_token_format": "opaque"})).await;
        let body = granted(world.token("opaque", &secret, "").await);
        assert!(body["access_token"].as_str().unwrap().starts_with("bst_at_"));
        assert_eq!((&body["token_type"], &body["expires_in"], &body["scope"]), (&json!("Bearer"), &json!(900), &json!("read write")));
    }
}
