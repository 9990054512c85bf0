//! Tenants: their own issuer, keys and data, and nothing of each other's.

use http::Method;
use serde_json::{Value, json};

use crate::on_both_engines;
use crate::world::{Answer, World, basic, claims};

/// A second tenant with its first admin's token.
pub(crate) struct Acme {
    pub(crate) admin: String,
    client_id: String,
    secret: String,
}

pub(crate) async fn token_at(world: &World, prefix: &str, id: &str, secret: &str, more: &str) -> Answer {
    let header = basic(id, secret);
    let body = format!("grant_type=client_credentials{more}");
    world.form(&format!("{prefix}/oauth2/token"), &[("authorization", &header)], &body).await
}

pub(crate) async fn acme(world: &World) -> Acme {
    let created =
        world.admin(Method::POST, "/api/tenants", json!({"slug": "acme", "name": "Acme"})).await.expect(201).json();
    let client = &created["admin_client"];
    let (client_id, secret) = (client["client_id"].as_str().unwrap(), client["client_secret"].as_str().unwrap());
    let token = token_at(world, "/t/acme", client_id, secret, "&scope=admin").await.expect(200).json();
    Acme {
        admin: token["access_token"].as_str().unwrap().to_owned(),
        client_id: client_id.to_owned(),
        secret: secret.to_owned(),
    }
}

async fn as_acme(world: &World, acme: &Acme, method: Method, path: &str, body: Value) -> Answer {
    let bearer = format!("Bearer {}", acme.admin);
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    world.request(method, &format!("/t/acme{path}"), &headers, &text).await
}

async fn introspect_at(world: &World, prefix: &str, id: &str, secret: &str, token: &str) -> Value {
    let header = basic(id, secret);
    let path = format!("{prefix}/oauth2/introspect");
    world.form(&path, &[("authorization", &header)], &format!("token={token}")).await.expect(200).json()
}

on_both_engines! {
    async fn a_new_tenant_comes_with_its_first_admin_and_its_own_issuer(world: World) {
        let body = json!({"slug": "acme", "name": "Acme", "kind": "live"});
        let answer = world.admin(Method::POST, "/api/tenants", body).await.expect(201);
        assert_eq!(answer.header("location"), "https://id.example/api/tenants/acme");
        let created = answer.json();
        assert_eq!(created["issuer"], "https://id.example/t/acme");
        assert_eq!(created["disabled"], false);
        let secret = created["admin_client"]["client_secret"].as_str().unwrap();
        assert!(secret.starts_with("bst_cs_"));
        let read = world.admin(Method::GET, "/api/tenants/acme", Value::Null).await.expect(200);
        assert!(!read.text.contains(secret));
        let id = created["admin_client"]["client_id"].as_str().unwrap();
        let token = token_at(&world, "/t/acme", id, secret, "&scope=admin").await.expect(200).json();
        let (head, inside) = claims(token["access_token"].as_str().unwrap());
        assert_eq!(inside["iss"], "https://id.example/t/acme");
        assert_eq!(inside["tenant"], "acme");
        assert_eq!(inside["aud"], "https://id.example/t/acme/api");
        let own = world.request(Method::GET, "/t/acme/.well-known/jwks.json", &[], "").await.expect(200).text;
        let root = world.request(Method::GET, "/.well-known/jwks.json", &[], "").await.expect(200).text;
        assert!(own.contains(head["kid"].as_str().unwrap()) && !root.contains(head["kid"].as_str().unwrap()));
    }

    async fn slugs_are_checked_taken_ones_refused_and_unknown_ones_missing(world: World) {
        for bad in ["", "-a", "A", "a_b", "a b", "../x", &"a".repeat(64)] {
            let answer = world.admin(Method::POST, "/api/tenants", json!({"slug": bad})).await.expect(422);
            assert_eq!(answer.json()["errors"][0]["pointer"], "/slug", "{bad}");
        }
        world.admin(Method::POST, "/api/tenants", json!({"slug": 7, "kind": "x", "more": 1})).await.expect(422);
        world.admin(Method::POST, "/api/tenants", json!({"slug": "default"})).await.expect(409);
        world.admin(Method::POST, "/api/tenants", json!({"slug": "a".repeat(63)})).await.expect(201);
        world.admin(Method::POST, "/api/tenants", json!({"slug": "acme"})).await.expect(201);
        assert_eq!(world.admin(Method::POST, "/api/tenants", json!({"slug": "acme"})).await.expect(409).json()["code"], "slug_taken");
        for path in ["/t/nobody/oauth2/token", "/t/nobody/oauth2/revoke", "/t/nobody/oauth2/introspect"] {
            world.form(path, &[], "grant_type=client_credentials").await.expect(404);
        }
        world.admin(Method::GET, "/t/nobody/api/clients", Value::Null).await.expect(404);
        world.admin(Method::GET, "/api/tenants/nobody", Value::Null).await.expect(404);
        world.admin(Method::PATCH, "/api/tenants/nobody", json!({"name": "x"})).await.expect(404);
    }

    async fn a_repeated_creation_with_one_idempotency_key_gives_the_first_answer(world: World) {
        let headers = [("idempotency-key", "tenant-1")];
        let first = world.admin_with(Method::POST, "/api/tenants", &headers, json!({"slug": "acme"})).await.expect(201);
        let again = world.admin_with(Method::POST, "/api/tenants", &headers, json!({"slug": "acme"})).await.expect(201);
        assert_eq!(first.text, again.text);
        assert!(first.json()["admin_client"]["client_secret"].is_string());
        world.admin_with(Method::POST, "/api/tenants", &headers, json!({"slug": "other"})).await.expect(422);
    }

    async fn a_token_of_one_tenant_is_nothing_at_another(world: World) {
        let acme = acme(&world).await;
        let secret = world.client("c", json!({})).await;
        as_acme(&world, &acme, Method::POST, "/api/clients", json!({"client_id": "c"})).await.expect(201);
        let token = world.token("c", &secret, "").await.json()["access_token"].as_str().unwrap().to_owned();
        // The same client id is another client there, and its secret is not known.
        token_at(&world, "/t/acme", "c", &secret, "").await.expect(401);
        assert_eq!(introspect_at(&world, "/t/acme", &acme.client_id, &acme.secret, &token).await, json!({"active": false}));
        assert_eq!(world.introspect("c", &secret, &acme.admin).await, json!({"active": false}));
        let root = format!("Bearer {}", world.admin);
        let other = format!("Bearer {}", acme.admin);
        world.request(Method::GET, "/t/acme/api/clients", &[("authorization", &root)], "").await.expect(401);
        world.request(Method::GET, "/api/clients", &[("authorization", &other)], "").await.expect(401);
        let body = format!("token={token}");
        world.form("/oauth2/introspect", &[("authorization", &other)], &body).await.expect(401);
        let header = basic(&acme.client_id, &acme.secret);
        world.form("/t/acme/oauth2/revoke", &[("authorization", &header)], &body).await.expect(200);
        assert_eq!(world.introspect("c", &secret, &token).await["active"], true);
    }

    async fn ids_of_one_tenant_are_unknown_to_another(world: World) {
        let acme = acme(&world).await;
        world.client("c", json!({})).await;
        let api = world.admin(Method::POST, "/api/apis", json!({"identifier": "https://orders.example"})).await.expect(201).json();
        let kid = world.admin(Method::GET, "/api/keys", Value::Null).await.json()["data"][0]["kid"].as_str().unwrap().to_owned();
        let secret_id = world.admin(Method::GET, "/api/clients/c/secrets", Value::Null).await.json()["data"][0]["id"].as_str().unwrap().to_owned();
        let api = format!("/api/apis/{}", api["id"].as_str().unwrap());
        let key = format!("/api/keys/{kid}");
        for (method, path, body) in [
            (Method::GET, "/api/clients/c", Value::Null),
            (Method::PATCH, "/api/clients/c", json!({"name": "x"})),
            (Method::DELETE, "/api/clients/c", Value::Null),
            (Method::POST, "/api/clients/c/disable", Value::Null),
            (Method::POST, "/api/clients/c/revoke-tokens", Value::Null),
            (Method::GET, "/api/clients/c/secrets", Value::Null),
            (Method::GET, "/api/clients/c/tokens", Value::Null),
            (Method::DELETE, &format!("/api/clients/c/secrets/{secret_id}"), Value::Null),
            (Method::GET, &api, Value::Null),
            (Method::PATCH, &api, json!({"name": "x"})),
            (Method::DELETE, &api, Value::Null),
            (Method::POST, &format!("{api}/scopes"), json!({"name": "s"})),
            (Method::GET, &key, Value::Null),
            (Method::POST, &format!("{key}/revoke"), Value::Null),
        ] {
            let here = as_acme(&world, &acme, method.clone(), path, body.clone()).await;
            assert_eq!(here.status, 404, "{method} {path}: {}", here.text);
        }
        let clients = as_acme(&world, &acme, Method::GET, "/api/clients", Value::Null).await.expect(200).json();
        assert_eq!(clients["data"].as_array().unwrap().len(), 1);
        let audit = as_acme(&world, &acme, Method::GET, "/api/audit/records", Value::Null).await.expect(200).text;
        assert!(!audit.contains("\"c\""));
        // A cursor of one tenant is none of another.
        let cursor = world.admin(Method::GET, "/api/clients?limit=1", Value::Null).await.json()["next_cursor"].as_str().unwrap().to_owned();
        as_acme(&world, &acme, Method::GET, &format!("/api/clients?cursor={cursor}"), Value::Null).await.expect(400);
    }

    async fn tenants_are_managed_at_default_alone(world: World) {
        let acme = acme(&world).await;
        for (method, path) in [
            (Method::GET, "/api/tenants"), (Method::POST, "/api/tenants"), (Method::GET, "/api/tenants/acme"), (Method::PATCH, "/api/tenants/acme"),
        ] {
            as_acme(&world, &acme, method, path, json!({"slug": "x"})).await.expect(404);
        }
        let listed = world.admin(Method::GET, "/api/tenants", Value::Null).await.expect(200).json();
        let slugs: Vec<_> = listed["data"].as_array().unwrap().iter().map(|t| t["slug"].as_str().unwrap()).collect();
        assert_eq!(slugs, ["acme", "default"]);
        let page = world.admin(Method::GET, "/api/tenants?limit=1", Value::Null).await.expect(200).json();
        assert_eq!((page["data"][0]["slug"].as_str(), page["has_more"].as_bool()), (Some("acme"), Some(true)));
        let next = format!("/api/tenants?limit=1&cursor={}", page["next_cursor"].as_str().unwrap());
        let last = world.admin(Method::GET, &next, Value::Null).await.expect(200).json();
        assert_eq!((last["data"][0]["slug"].as_str(), last["has_more"].as_bool()), (Some("default"), Some(false)));
        let tag = world.admin(Method::GET, "/api/tenants/acme", Value::Null).await.header("etag").to_owned();
        let named = world.admin_with(Method::PATCH, "/api/tenants/acme", &[("if-match", &tag)], json!({"name": "New"})).await.expect(200);
        assert_eq!(named.json()["name"], "New");
        world.admin_with(Method::PATCH, "/api/tenants/acme", &[("if-match", &tag)], json!({"name": "Late"})).await.expect(412);
        world.admin(Method::PATCH, "/api/tenants/acme", json!({"slug": "x"})).await.expect(422);
    }

    async fn a_disabled_tenant_is_dead_from_the_next_request(world: World) {
        let acme = acme(&world).await;
        let client = as_acme(&world, &acme, Method::POST, "/api/clients", json!({"client_id": "c", "scopes": ["read"], "grant_types": ["client_credentials", "refresh_token"]}))
            .await.expect(201).json();
        let secret = client["client_secret"].as_str().unwrap();
        let first = token_at(&world, "/t/acme", "c", secret, "").await.expect(200).json();
        let token = first["access_token"].as_str().unwrap();
        assert_eq!(introspect_at(&world, "/t/acme", "c", secret, token).await["active"], true);
        world.admin(Method::PATCH, "/api/tenants/acme", json!({"disabled": true})).await.expect(200);
        token_at(&world, "/t/acme", "c", secret, "").await.expect(404);
        as_acme(&world, &acme, Method::GET, "/api/clients", Value::Null).await.expect(404);
        for path in ["/t/acme/.well-known/jwks.json", "/.well-known/oauth-authorization-server/t/acme", "/t/acme/.well-known/oauth-protected-resource/api"] {
            world.request(Method::GET, path, &[], "").await.expect(404);
        }
        world.token("ops", "wrong secret", "").await.expect(401);
        world.admin(Method::GET, "/api/clients", Value::Null).await.expect(200);
        world.admin(Method::PATCH, "/api/tenants/default", json!({"disabled": true})).await.expect(409);
        world.admin(Method::PATCH, "/api/tenants/acme", json!({"disabled": false})).await.expect(200);
        token_at(&world, "/t/acme", "c", secret, "").await.expect(200);
        assert_eq!(introspect_at(&world, "/t/acme", "c", secret, token).await, json!({"active": false}), "a token from before");
        as_acme(&world, &acme, Method::GET, "/api/clients", Value::Null).await.expect(401);
    }
}
