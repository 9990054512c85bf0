//! Metadata and the first documents of a server (checklist row 52, RFC 8414, RFC 9728).

use http::Method;
use serde_json::{Value, json};

use crate::on_both_engines;
use crate::world::World;

async fn get(world: &World, path: &str) -> crate::world::Answer {
    world.request(Method::GET, path, &[], "").await
}

on_both_engines! {
    async fn whom_to_write_about_a_weakness_is_told_only_when_it_is_configured(world: World) {
        const PATH: &str = "/.well-known/security.txt";
        let none = get(&world, PATH).await.expect(404);
        assert_eq!(none.header("content-type"), "application/problem+json");
        assert!(none.text.contains("security.contact"), "{}", none.text);
        let contacts = ["mailto:security@example.com", "https://example.com/security"].map(str::to_owned).to_vec();
        let mut told = world.clone();
        told.app = api::router(api::App::configured(std::sync::Arc::clone(&world.auth), 10, contacts));
        let answer = get(&told, PATH).await.expect(200);
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(
            answer.text,
            "Contact: mailto:security@example.com\nContact: https://example.com/security\n\
             Expires: 2026-08-30T12:00:00Z\nCanonical: https://id.example/.well-known/security.txt\n"
        );
    }

    async fn the_metadata_is_the_same_bytes_at_every_path_and_names_its_issuer(world: World) {
        world.admin(Method::POST, "/api/tenants", json!({"slug": "acme"})).await.expect(201);
        let root = ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"];
        let acme = [
            "/.well-known/oauth-authorization-server/t/acme",
            "/.well-known/openid-configuration/t/acme",
            "/t/acme/.well-known/openid-configuration",
            "/t/acme/.well-known/oauth-authorization-server",
        ];
        for (paths, issuer) in [(root.as_slice(), "https://id.example"), (acme.as_slice(), "https://id.example/t/acme")] {
            let first = get(&world, paths[0]).await.expect(200);
            for path in paths {
                let answer = get(&world, path).await.expect(200);
                assert_eq!(answer.text, first.text, "{path}");
                assert_eq!(answer.header("cache-control"), "public, max-age=300");
                assert_eq!(answer.header("content-type"), "application/json");
                let head = world.request(Method::HEAD, path, &[], "").await.expect(200);
                assert_eq!(head.text, "");
                world.request(Method::POST, path, &[], "").await.expect(405);
            }
            let body = first.json();
            assert_eq!(body["issuer"], issuer);
            for (name, path) in [
                ("token_endpoint", "/oauth2/token"), ("revocation_endpoint", "/oauth2/revoke"),
                ("introspection_endpoint", "/oauth2/introspect"), ("authorization_endpoint", "/oauth2/authorize"),
                ("jwks_uri", "/.well-known/jwks.json"),
            ] {
                assert_eq!(body[name], format!("{issuer}{path}"), "{name}");
            }
            assert_eq!(body["response_types_supported"], json!([]));
            assert_eq!(body["code_challenge_methods_supported"], json!(["S256"]));
            assert_eq!(body["grant_types_supported"], json!(["client_credentials", "refresh_token"]));
            let methods = json!(["client_secret_basic", "client_secret_post"]);
            for name in ["token", "revocation", "introspection"] {
                assert_eq!(body[format!("{name}_endpoint_auth_methods_supported")], methods, "{name}");
            }
            assert!(!body["introspection_signing_alg_values_supported"].as_array().unwrap().is_empty());
            let resources = body["protected_resources"].as_array().unwrap();
            assert!(resources.contains(&json!(format!("{issuer}/api"))), "{resources:?}");
            assert!(body["scopes_supported"].as_array().unwrap().contains(&json!("clients:write")));
            assert!(body["service_documentation"].is_string());
            // What is not offered is not published (RFC 8414 §3.2, OAuth requirements §13).
            for name in ["registration_endpoint", "dpop_signing_alg_values_supported", "mtls_endpoint_aliases"] {
                assert!(body.get(name).is_none(), "{name}");
            }
        }
        for path in acme {
            get(&world, &path.replace("acme", "nobody")).await.expect(404);
        }
    }

    async fn what_the_metadata_publishes_works(world: World) {
        let body = get(&world, "/.well-known/oauth-authorization-server").await.json();
        let secret = world.client("c", json!({})).await;
        let path = |name: &str| body[name].as_str().unwrap().strip_prefix("https://id.example").unwrap().to_owned();
        let form = format!("client_id=c&client_secret={secret}");
        let token = world.form(&path("token_endpoint"), &[], &format!("{form}&grant_type=client_credentials")).await.expect(200);
        let token = token.json()["access_token"].as_str().unwrap().to_owned();
        let seen = world.form(&path("introspection_endpoint"), &[], &format!("{form}&token={token}")).await.expect(200).json();
        assert_eq!(seen["active"], true);
        world.form(&path("revocation_endpoint"), &[], &format!("{form}&token={token}")).await.expect(200);
        get(&world, &path("jwks_uri")).await.expect(200);
        let page = get(&world, &format!("{}?response_type=code", path("authorization_endpoint"))).await.expect(400);
        assert!(page.text.contains("unsupported_response_type"));
    }

    async fn our_own_api_describes_itself_as_a_protected_resource(world: World) {
        let created = world.admin(Method::POST, "/api/tenants", json!({"slug": "acme"})).await.expect(201).json();
        assert_eq!(created["issuer"], "https://id.example/t/acme");
        for (paths, issuer) in [
            (vec!["/.well-known/oauth-protected-resource/api"], "https://id.example"),
            (
                vec!["/.well-known/oauth-protected-resource/t/acme/api", "/t/acme/.well-known/oauth-protected-resource/api"],
                "https://id.example/t/acme",
            ),
        ] {
            for path in paths {
                let body = get(&world, path).await.expect(200).json();
                assert_eq!(body["resource"], format!("{issuer}/api"), "{path}");
                assert_eq!(body["authorization_servers"], json!([issuer]));
                assert_eq!(body["bearer_methods_supported"], json!(["header"]));
                assert!(body["scopes_supported"].as_array().unwrap().contains(&json!("clients:read")));
            }
        }
        let own = world.admin(Method::POST, "/api/apis", json!({"identifier": "https://orders.example"})).await.expect(201).json();
        let scopes = format!("/api/apis/{}/scopes", own["id"].as_str().unwrap());
        world.admin(Method::POST, &scopes, json!({"name": "orders:read"})).await.expect(201);
        let path = format!("/api/apis/{}/protected-resource-metadata", own["id"].as_str().unwrap());
        let body = world.admin(Method::GET, &path, Value::Null).await.expect(200).json();
        assert_eq!(body["resource"], "https://orders.example");
        assert_eq!(body["authorization_servers"], json!(["https://id.example"]));
        assert_eq!(body["scopes_supported"], json!(["orders:read"]));
    }
}
