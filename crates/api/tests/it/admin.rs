//! The admin API: who may ask, what is refused and how, and what is promised of every route (rows 61, 62, 64, 65).

use api::route::{ROUTES, Route, Verb};
use auth::Settings;
use auth::operator::Role;
use http::{Method, Request};
use kernel::clock::Clock as _;
use kernel::tenant::DEFAULT;
use serde_json::{Value, json};

use crate::billing::Sold;
use crate::console::member;
use crate::on_both_engines;
use crate::world::{Answer, Engine, World};

async fn get(world: &World, path: &str) -> Value {
    world.admin(Method::GET, path, Value::Null).await.expect(200).json()
}

/// A POST, PATCH or DELETE with a body that is not made by a serializer.
async fn raw(world: &World, method: Method, path: &str, body: &str) -> Answer {
    let bearer = format!("Bearer {}", world.admin);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    world.request(method, path, &headers, body).await
}

/// A token of a client that has just these management scopes.
async fn token_with(world: &World, id: &str, scopes: &[&str]) -> String {
    let secret = world.client(id, json!({"scopes": scopes})).await;
    let answer = world.token(id, &secret, &format!("&scope={}", scopes.join("+"))).await.expect(200);
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

fn pointers(answer: &Answer) -> Vec<String> {
    let errors = answer.json()["errors"].as_array().unwrap_or_else(|| panic!("{}", answer.text)).clone();
    let mut all: Vec<_> = errors.iter().map(|e| e["pointer"].as_str().unwrap().to_owned()).collect();
    all.sort_unstable();
    all
}

/// Objects that the paths of the routes can name.
struct Objects {
    api: String,
    secret: String,
    family: String,
    kid: String,
    operator: String,
    session: String,
    invitation: String,
    event: String,
    webhook: String,
    delivery: String,
    sold: Sold,
}

async fn objects(world: &World) -> Objects {
    let grants = json!(["client_credentials", "refresh_token"]);
    let secret = world.client("target", json!({"grant_types": grants})).await;
    world.token("target", &secret, "").await.expect(200);
    world.admin(Method::POST, "/api/tenants", json!({"slug": "acme"})).await.expect(201);
    let api =
        world.admin(Method::POST, "/api/apis", json!({"identifier": "https://one.example"})).await.expect(201).json();
    let api = api["id"].as_str().unwrap().to_owned();
    world.admin(Method::POST, &format!("/api/apis/{api}/scopes"), json!({"name": "one:read"})).await.expect(201);
    let first = |list: &Value, name: &str| list["data"][0][name].as_str().unwrap().to_owned();
    member(world, Role::Support).await;
    let operator = first(&get(world, "/api/operators").await, "id");
    let invitation = json!({"email": "kim@example.com", "role": "developer"});
    world.admin(Method::POST, "/api/operators/invitations", invitation).await.expect(201);
    let keys = get(world, "/api/keys").await;
    let staged =
        keys["data"].as_array().unwrap().iter().find(|k| k["purpose"] == "token" && k["state"] == "staged").unwrap();
    let webhook = json!({"url": "https://hooks.example.com", "types": ["client.*"]});
    let webhook = world.admin(Method::POST, "/api/webhooks", webhook).await.expect(201).json();
    let webhook = webhook["id"].as_str().unwrap().to_owned();
    let test =
        world.admin(Method::POST, &format!("/api/webhooks/{webhook}/test"), Value::Null).await.expect(202).json();
    let made = async |path: String, body| world.admin(Method::POST, &path, body).await.json();
    Objects {
        api,
        sold: Sold::new("subscriber", made).await,
        delivery: test["delivery_id"].as_str().unwrap().to_owned(),
        webhook,
        secret: first(&get(world, "/api/clients/target/secrets").await, "id"),
        family: first(&get(world, "/api/clients/target/token-families").await, "id"),
        kid: staged["kid"].as_str().unwrap().to_owned(),
        session: first(&get(world, &format!("/api/operators/{operator}/sessions")).await, "id"),
        invitation: first(&get(world, "/api/operators/invitations").await, "id"),
        operator,
        event: first(&get(world, "/api/events").await, "id"),
    }
}

/// The path of a route with the names in braces filled in.
fn path_of(route: &Route, with: &Objects) -> String {
    let id = match route.path.split('/').nth(2) {
        Some("apis") => &with.api,
        _ if route.path.contains("token-families") => &with.family,
        _ if route.path.contains("/sessions/") => &with.session,
        _ if route.path.contains("/invitations/") => &with.invitation,
        _ => &with.secret,
    };
    route
        .path
        .replace("{client_id}", "target")
        .replace("{slug}", "acme")
        .replace("{kid}", &with.kid)
        .replace("{name}", "one:read")
        .replace("{event_id}", &with.event)
        .replace("{webhook_id}", &with.webhook)
        .replace("{delivery_id}", &with.delivery)
        .replace("{operator_id}", &with.operator)
        .replace("{customer_id}", &with.sold.customer)
        .replace("{feature_id}", &with.sold.feature)
        .replace("{meter_id}", &with.sold.meter)
        .replace("{plan_id}", with.sold.plan_of(route.operation_id))
        .replace("{subscription_id}", &with.sold.subscription)
        .replace("{reservation_id}", with.sold.reservation_of(route.operation_id))
        .replace("{backfill_id}", with.sold.backfill_of(route.operation_id))
        .replace("{id}", id)
}

/// A body with which a route succeeds.
pub(crate) fn body_of(route: &Route) -> Value {
    match route.operation_id {
        "createClient" => json!({"client_id": "fresh"}),
        "updateClient" | "updateApi" | "updateTenant" | "updateOperator" | "createCustomer" | "updateCustomer"
        | "updateFeature" | "updatePlan" => json!({"name": "New"}),
        "createApi" => json!({"identifier": "https://two.example"}),
        "createScope" => json!({"name": "one:write"}),
        "updateScope" => json!({"description": "New"}),
        "createTenant" => json!({"slug": "second"}),
        "createInvitation" => json!({"email": "new@example.com", "role": "developer"}),
        "advanceClock" => json!({"by_seconds": 60}),
        "updateLimits" => json!({"client": {"limit": 500, "window_s": 1, "burst": 1_000}}),
        "rotateKey" => json!({"force": true}),
        "createWebhook" => json!({"url": "https://hooks.example.com", "types": ["client.*"]}),
        "createFeature" => json!({"key": "new", "kind": "boolean"}),
        "createMeter" => json!({"key": "new", "event_type": "new", "aggregation": "count"}),
        "createPlan" => json!({"key": "new", "name": "New", "cadence": "month"}),
        "createSubscription" => json!({"customer_id": "subscriber", "plan": "basic"}),
        "cancelSubscription" => json!({"at": "period_end"}),
        "changeSubscription" => json!({"quantity": 2}),
        "tellPayment" => json!({"overdue_since": "2026-06-01T11:00:00Z"}),
        "reportUsage" | "ingestEvents" => {
            json!({"specversion": "1.0", "id": "new", "source": "test", "type": "call", "subject": "subscriber"})
        }
        "correctUsage" => json!({"source": "test", "id": "subscriber", "void": true, "reason": "Test"}),
        "createBackfill" => json!({
            "customer_id": "subscriber", "meter": "calls", "from": "2026-05-01T00:00:00Z", "to": "2026-06-01T00:00:00Z",
            "mode": "add",
        }),
        "reserveUsage" => json!({"customer_id": "subscriber", "feature": "calls-subscriber", "quantity": "1"}),
        "check" => json!({"customer_id": "subscriber"}),
        "resendDeliveries" => json!({"from": "2026-06-01T00:00:00Z", "to": "2026-06-02T00:00:00Z"}),
        _ if route.request.is_some() => json!({}),
        _ => Value::Null,
    }
}

/// Schedules a rotation of the token key; the key that signs until then.
pub(crate) async fn scheduled(world: &World) -> String {
    let body = json!({"at": "2031-01-31T03:00:00Z"});
    let answer = world.admin(Method::POST, "/api/keys/rotate", body).await.expect(202).json();
    answer["kid"].as_str().unwrap().to_owned()
}

async fn actions(world: &World) -> Vec<String> {
    let mut all = Vec::new();
    let acme = world.auth.tenant("acme").await.unwrap().map(|t| t.id);
    let second = world.auth.tenant("second").await.unwrap().map(|t| t.id);
    for tenant in [Some(DEFAULT), acme, second].into_iter().flatten() {
        let filter = record::query::AuditFilter { limit: 200, ..record::query::AuditFilter::default() };
        let found = record::query::audit(&world.auth.store, tenant, &filter).await.unwrap();
        all.extend(found.into_iter().filter(|r| !r.actor.starts_with("system")).map(|r| r.action));
    }
    all
}

on_both_engines! {
    async fn a_client_that_takes_a_name_again_repeats_no_version_of_the_former_one(world: World) {
        world.client("again", json!({})).await;
        let tag = world.admin(Method::GET, "/api/clients/again", Value::Null).await.expect(200).header("etag").to_owned();
        world.admin(Method::DELETE, "/api/clients/again", Value::Null).await.expect(204);
        world.clock.advance_micros(1);
        world.client("again", json!({})).await;
        let old = [("if-none-match", tag.as_str())];
        world.admin_with(Method::GET, "/api/clients/again", &old, Value::Null).await.expect(200);
        let old = [("if-match", tag.as_str())];
        world.admin_with(Method::DELETE, "/api/clients/again", &old, Value::Null).await.expect(412);
    }

    async fn a_name_that_is_reserved_is_refused_with_a_value_and_passes_without(world: World) {
        for name in ["jwks", "jwks_uri", "assertion_audience", "require_dpop", "profile"] {
            let refused = world.admin(Method::POST, "/api/clients", json!({name: "x"})).await.expect(422).json();
            assert_eq!(refused["errors"][0]["code"], "reserved", "{refused}");
            world.admin(Method::POST, "/api/clients", json!({name: null})).await.expect(201);
        }
    }

    async fn no_route_answers_without_a_token_or_with_a_token_that_lacks_its_scope(world: World) {
        let with = objects(&world).await;
        let free = json!({"limit": 0, "window_s": 1, "burst": 0});
        world.admin(Method::PATCH, "/api/clients/ops", json!({"rate_limit": free})).await.expect(200);
        let none = token_with(&world, "none", &["tokens:introspect"]).await;
        let read_only = token_with(
            &world,
            "reader",
            &[
                "clients:read",
                "apis:read",
                "keys:read",
                "tenants:read",
                "operators:read",
                "audit:read",
                "events:read",
                "limits:read",
                "webhooks:read",
                "customers:read",
                "billing:read",
            ],
        ).await;
        for route in ROUTES.iter().filter(|r| !r.public) {
            let path = path_of(route, &with);
            for wrong in ["", "Bearer ", "Bearer nonsense", "Basic b3BzOm9wcw=="] {
                let headers: &[(&str, &str)] = if wrong.is_empty() { &[] } else { &[("authorization", wrong)] };
                let answer = world.request(route.method.method(), &path, headers, "").await.expect(401);
                let challenge = answer.header("www-authenticate");
                let metadata = "resource_metadata=\"https://id.example/.well-known/oauth-protected-resource/api\"";
                assert!(challenge.starts_with("Bearer ") && challenge.contains(metadata), "{path}: {challenge}");
                assert_eq!(answer.header("content-type"), "application/problem+json");
            }
            let Some(scope) = route.scope else { continue };
            let mut tokens = vec![&none];
            if scope.ends_with(":write") {
                tokens.push(&read_only);
            }
            for token in tokens {
                let bearer = format!("Bearer {token}");
                let answer = world.request(route.method.method(), &path, &[("authorization", &bearer)], "").await.expect(403);
                assert_eq!(answer.json()["code"], "insufficient_scope");
                let challenge = answer.header("www-authenticate");
                assert!(challenge.contains("insufficient_scope") && challenge.contains(scope), "{path}: {challenge}");
            }
            if scope.ends_with(":read") {
                let bearer = format!("Bearer {read_only}");
                let answer = world.request(Method::GET, &path, &[("authorization", &bearer)], "").await;
                // These need to be told what to prove, and what to add up.
                let needs_query = ["getAuditProof", "queryUsage"].contains(&route.operation_id);
                assert!(answer.status == 200 || needs_query, "{path}: {}", answer.text);
            }
        }
        world.request(Method::GET, "/api/openapi.json", &[], "").await.expect(200);
    }

    async fn a_body_over_a_mebibyte_is_refused_by_every_route_that_takes_one(world: World) {
        let with = objects(&world).await;
        let huge = format!("{{\"name\":\"{}\"}}", "x".repeat(1_048_576));
        for route in ROUTES.iter().filter(|r| r.request.is_some()) {
            let answer = raw(&world, route.method.method(), &path_of(route, &with), &huge).await.expect(413);
            assert_eq!(answer.header("content-type"), "application/problem+json");
        }
        for route in ROUTES.iter().filter(|r| r.request.is_none() && r.method == Verb::Post) {
            raw(&world, Method::POST, &path_of(route, &with), "{\"a\":1}").await.expect(400);
        }
    }

    async fn each_change_leaves_exactly_one_audit_record_with_the_action_of_its_route(world: World) {
        let world = World::sandbox(world.engine).await;
        let with = objects(&world).await;
        let mut changes: Vec<&Route> = ROUTES.iter().filter(|r| r.audit.is_some()).collect();
        // A family must still live when it is ended; what others still need goes last.
        let order = ["deleteTokenFamily", "", "archiveMeter", "deleteScope", "deleteApi", "deleteSecret", "deleteClient", "deleteWebhook", "deleteFeature", "deleteCustomer"];
        changes.sort_by_key(|r| order.iter().position(|name| *name == r.operation_id).unwrap_or(1));
        for route in changes {
            let mut before = actions(&world).await;
            let path = path_of(route, &with);
            let path = if route.operation_id == "revokeKey" {
                let keys = get(&world, "/api/keys").await;
                let staged = keys["data"].as_array().unwrap().iter().find(|k| k["state"] == "staged" && k["purpose"] == "token").unwrap().clone();
                format!("/api/keys/{}/revoke", staged["kid"].as_str().unwrap())
            } else if route.operation_id == "deleteApi" {
                let apis = get(&world, "/api/apis").await;
                let two = apis["data"].as_array().unwrap().iter().find(|a| a["identifier"] == "https://two.example").unwrap().clone();
                format!("/api/apis/{}", two["id"].as_str().unwrap())
            } else {
                path
            };
            let path = if route.operation_id == "cancelKeyRotation" {
                let active = scheduled(&world).await;
                before = actions(&world).await;
                format!("/api/keys/{active}/cancel-rotation")
            } else {
                path
            };
            let answer = world.admin(route.method.method(), &path, body_of(route)).await;
            assert_eq!(answer.status.as_u16(), route.status, "{}: {}", route.operation_id, answer.text);
            let mut new = actions(&world).await;
            for action in before {
                let at = new.iter().position(|a| *a == action).unwrap();
                new.swap_remove(at);
            }
            assert_eq!(new, [route.audit.unwrap()], "{}", route.operation_id);
        }
    }

    async fn every_refused_field_is_named(world: World) {
        let body = json!({
            "client_id": "usr_x", "client_secret": "short", "scopes": ["ok", "not ok", "\"", 7], "expiry": "tomorrow", "name": 7,
            "grant_types": ["password"], "access_token_ttl_seconds": 59, "access_token_format": "xml", "unknown": 1,
            "rate_limit": {"limit": "x", "more": 1}, "static_claims": {"iss": "me"}, "signing_alg": "none",
            "audiences": ["https://nowhere.example"], "customer_id": "cus_1",
        });
        let answer = world.admin(Method::POST, "/api/clients", body).await.expect(422);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(answer.json()["code"], "validation_failed");
        let found = pointers(&answer);
        for expected in [
            "/client_id", "/client_secret", "/expiry", "/name", "/grant_types/0", "/access_token_ttl_seconds", "/access_token_format",
            "/unknown", "/rate_limit/limit", "/rate_limit/more", "/static_claims/iss", "/signing_alg", "/audiences/0", "/customer_id",
        ] {
            assert!(found.iter().any(|p| p == expected), "{expected} is not in {found:?}");
        }
        assert!(found.iter().any(|p| p.starts_with("/scopes")), "{found:?}");
        assert!(!answer.text.contains("\"short\""), "a secret is not echoed");
        for id in [".", "..", "a b", "a/b", "", "bst_x", "usr_x", "cl_00000000000000000000000000", &"x".repeat(129)] {
            let answer = world.admin(Method::POST, "/api/clients", json!({"client_id": id})).await.expect(422);
            assert_eq!(pointers(&answer), ["/client_id"], "{id}");
        }
        for id in ["a", "A", "a.b_c~d-e", "...", &"x".repeat(128)] {
            world.admin(Method::POST, "/api/clients", json!({"client_id": id})).await.expect(201);
            assert_eq!(world.admin(Method::POST, "/api/clients", json!({"client_id": id})).await.expect(409).json()["code"], "client_id_taken");
        }
        for secret in ["elevenchars", "bst_cs_012345678901234567890"] {
            let answer = world.admin(Method::POST, "/api/clients", json!({"client_secret": secret})).await.expect(422);
            assert_eq!(pointers(&answer), ["/client_secret"]);
            assert!(!answer.text.contains(secret));
        }
    }

    async fn json_that_is_malformed_is_400_and_of_the_wrong_shape_422(world: World) {
        let deep = format!("{{\"metadata\":{}1{}}}", "{\"a\":".repeat(40), "}".repeat(40));
        let fine = format!("{{\"metadata\":{}1{}}}", "{\"a\":".repeat(30), "}".repeat(30));
        for bad in ["{", "{\"name\":\"a\",\"name\":\"b\"}", "{\"metadata\":{\"a\":1,\"a\":1}}", "[1,]", "{} x", &deep, "\u{feff}{}"] {
            let answer = raw(&world, Method::POST, "/api/clients", bad).await.expect(400);
            assert_eq!(answer.header("content-type"), "application/problem+json");
        }
        raw(&world, Method::POST, "/api/clients", &fine).await.expect(201);
        for wrong in ["[]", "7", "\"text\"", "null"] {
            raw(&world, Method::POST, "/api/clients", wrong).await.expect(422);
        }
        let bearer = format!("Bearer {}", world.admin);
        world.request(Method::POST, "/api/clients", &[("authorization", &bearer), ("content-type", "text/plain")], "{}").await.expect(415);
        let request = Request::builder().method("POST").uri("/api/clients").header("authorization", &bearer)
            .header("content-type", "application/json").body(axum::body::Body::from(vec![b'"', 0xff, b'"'])).unwrap();
        world.send(request).await.expect(400);
        world.admin(Method::GET, "/api/clients?limit=1&limit=2", Value::Null).await.expect(400);
        let wrong = world.admin(Method::PUT, "/api/clients", json!({})).await.expect(405);
        assert!(wrong.header("allow").contains("POST"), "{}", wrong.header("allow"));
        world.admin(Method::GET, "/api/nothing", Value::Null).await.expect(404);
    }

    async fn a_patch_merges_and_null_brings_the_default_back(world: World) {
        let more = json!({
            "name": "Old", "metadata": {"keep": 1, "drop": 2, "deep": {"a": 1, "b": 2}}, "access_token_ttl_seconds": 60,
            "rate_limit": {"limit": 10, "window_s": 5, "burst": 7, "enforce": false}, "expiry": "2027-01-01T00:00:00Z",
        });
        world.client("p", more).await;
        let body = json!({"metadata": {"drop": null, "new": 3, "deep": {"a": null}}, "rate_limit": {"enforce": true}});
        let changed = world.admin(Method::PATCH, "/api/clients/p", body).await.expect(200).json();
        assert_eq!(changed["metadata"], json!({"keep": 1, "new": 3, "deep": {"b": 2}}), "RFC 7396 merges objects");
        assert_eq!(changed["rate_limit"], json!({"limit": 10, "window_s": 5, "burst": 7, "enforce": true}));
        assert_eq!(changed["name"], "Old", "what is absent stays");
        assert_eq!(changed["access_token_ttl_seconds"], 60);
        let body = json!({"name": null, "access_token_ttl_seconds": null, "rate_limit": null, "metadata": null, "expiry": null});
        let changed = world.admin(Method::PATCH, "/api/clients/p", body).await.expect(200).json();
        assert_eq!((&changed["name"], &changed["metadata"], &changed["expiry"]), (&json!(""), &json!({}), &Value::Null));
        for name in ["access_token_ttl_seconds", "rate_limit"] {
            assert!(changed.get(name).is_none_or(Value::is_null), "{name}: {changed}");
        }
        assert_eq!(changed["scopes"], json!(["read", "write"]));
        world.admin(Method::PATCH, "/api/clients/p", json!({"scopes": "read"})).await.expect(200);
        for (name, value) in [("client_id", json!("q")), ("client_secret", json!("x".repeat(40))), ("unknown", json!(1))] {
            let refused = world.admin(Method::PATCH, "/api/clients/p", json!({name: value})).await.expect(422);
            assert_eq!(pointers(&refused), [format!("/{name}")]);
        }
        let read = get(&world, "/api/clients/p").await;
        assert_eq!((&read["scopes"], &read["default_scopes"]), (&json!(["read"]), &json!(["read"])));
    }

    async fn a_version_that_the_caller_has_is_answered_with_304_until_it_changes_or_expires(world: World) {
        let expiry = world.clock.now().plus_seconds(60).to_string();
        world.client("v", json!({"expiry": expiry})).await;
        let path = "/api/clients/v";
        let first = world.admin(Method::GET, path, Value::Null).await.expect(200);
        let tag = first.header("etag").to_owned();
        for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            let same = world.admin_with(Method::GET, path, &[("if-none-match", &known)], Value::Null).await.expect(304);
            assert_eq!((same.text.as_str(), same.header("etag"), same.header("content-type")), ("", tag.as_str(), ""));
        }
        for other in ["\"x\"", "nonsense"] {
            world.admin_with(Method::GET, path, &[("if-none-match", other)], Value::Null).await.expect(200);
        }
        world.clock.advance_seconds(61);
        let expired = world.admin_with(Method::GET, path, &[("if-none-match", &tag)], Value::Null).await.expect(200);
        assert_eq!(expired.json()["status"], "expired");
        let later = json!({"expiry": world.clock.now().plus_seconds(60).to_string()});
        world.admin_with(Method::PATCH, path, &[("if-none-match", &tag)], later).await.expect(200);
        world.admin_with(Method::GET, path, &[("if-none-match", &tag)], Value::Null).await.expect(200);
    }

    async fn an_entity_tag_that_is_out_of_date_stops_a_change(world: World) {
        world.client("e", json!({})).await;
        let tag = world.admin(Method::GET, "/api/clients/e", Value::Null).await.expect(200).header("etag").to_owned();
        assert!(tag.starts_with('"'));
        let path = "/api/clients/e";
        let fresh = world.admin_with(Method::PATCH, path, &[("if-match", &tag)], json!({"name": "A"})).await.expect(200);
        assert_ne!(fresh.header("etag"), tag);
        for (method, body) in [(Method::PATCH, json!({"name": "B"})), (Method::DELETE, Value::Null)] {
            let answer = world.admin_with(method, path, &[("if-match", &tag)], body).await.expect(412);
            assert_eq!(answer.json()["code"], "precondition_failed");
        }
        world.admin_with(Method::PATCH, path, &[("if-match", "nonsense")], json!({"name": "B"})).await.expect(400);
        world.admin_with(Method::PATCH, path, &[("if-match", "*")], json!({"name": "C"})).await.expect(200);
        let now = world.admin(Method::GET, path, Value::Null).await.header("etag").to_owned();
        let list = format!("\"other\", {now}");
        world.admin_with(Method::PATCH, path, &[("if-match", &list)], json!({"name": "D"})).await.expect(200);
        let mut tasks = tokio::task::JoinSet::new();
        let now = world.admin(Method::GET, path, Value::Null).await.header("etag").to_owned();
        for n in 0..10 {
            let (world, now) = (world.clone(), now.clone());
            tasks.spawn(async move {
                world.admin_with(Method::PATCH, "/api/clients/e", &[("if-match", &now)], json!({"name": format!("n{n}")})).await.status.as_u16()
            });
        }
        let answers = tasks.join_all().await;
        assert_eq!(answers.iter().filter(|s| **s == 200).count(), 1, "{answers:?}");
        assert!(answers.iter().all(|s| [200, 412].contains(s)), "{answers:?}");
    }

    async fn a_repeated_request_gets_the_first_answer_with_its_secret(world: World) {
        let headers = [("idempotency-key", "k-1")];
        let body = json!({"name": "Once", "scopes": ["read"]});
        let first = world.admin_with(Method::POST, "/api/clients", &headers, body.clone()).await.expect(201);
        assert!(first.json()["client_secret"].is_string());
        for _ in 0..3 {
            let again = world.admin_with(Method::POST, "/api/clients", &headers, body.clone()).await.expect(201);
            assert_eq!(again.text, first.text);
            for name in ["location", "etag"] {
                assert_eq!(again.header(name), first.header(name));
            }
            assert_eq!((first.header("idempotent-replayed"), again.header("idempotent-replayed")), ("", "true"));
        }
        let other = world.admin_with(Method::POST, "/api/clients", &headers, json!({"name": "Other"})).await.expect(422);
        assert_eq!(other.json()["code"], "idempotency_key_reused");
        // A refusal is not kept: the same key is good for the request put right.
        let headers = [("idempotency-key", "k-2")];
        world.admin_with(Method::POST, "/api/clients", &headers, json!({"name": 7})).await.expect(422);
        world.admin_with(Method::POST, "/api/clients", &headers, json!({"name": "Right"})).await.expect(201);
        // Another caller's key is another key.
        let other = token_with(&world, "second", &["clients:write"]).await;
        let bearer = format!("Bearer {other}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json"), ("idempotency-key", "k-1")];
        world.request(Method::POST, "/api/clients", &headers, "{\"name\":\"Mine\"}").await.expect(201);
        let headers = [("idempotency-key", "k-3")];
        world.client("gone", json!({})).await;
        for _ in 0..2 {
            world.admin_with(Method::DELETE, "/api/clients/gone", &headers, Value::Null).await.expect(204);
        }
        world.admin(Method::DELETE, "/api/clients/gone", Value::Null).await.expect(404);
        for bad in ["", &"k".repeat(256)] {
            world.admin_with(Method::POST, "/api/clients", &[("idempotency-key", bad)], json!({})).await.expect(400);
        }
        world.clock.advance_seconds(10);
        let kept = world.auth.count_clients(DEFAULT, &auth::client_list::Filter::default()).await.unwrap();
        assert_eq!(kept.number, 5, "ops, Once, Right, second and Mine");
    }

    async fn a_hundred_parallel_requests_with_one_key_make_one_client(world: World) {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let world = world.clone();
            tasks.spawn(async move {
                world.admin_with(Method::POST, "/api/clients", &[("idempotency-key", "same")], json!({"name": "One"})).await
            });
        }
        let answers = tasks.join_all().await;
        let created: Vec<_> = answers.iter().filter(|a| a.status == 201).collect();
        assert!(!created.is_empty());
        assert!(created.iter().all(|a| a.text == created[0].text));
        for other in answers.iter().filter(|a| a.status != 201) {
            assert_eq!((other.status.as_u16(), &other.json()["code"]), (409, &json!("idempotency_in_flight")));
            assert_eq!(other.header("retry-after"), "1");
        }
        let again = world.admin_with(Method::POST, "/api/clients", &[("idempotency-key", "same")], json!({"name": "One"})).await.expect(201);
        assert_eq!(again.text, created[0].text);
        assert_eq!(get(&world, "/api/clients?q=one").await["data"].as_array().unwrap().len(), 1);
    }

    async fn lists_are_paged_with_cursors_that_only_the_list_itself_made(world: World) {
        for n in 0..5 {
            world.clock.advance_micros(1_000);
            world.client(&format!("c{n}"), json!({})).await;
        }
        let mut seen = Vec::new();
        let mut path = "/api/clients?limit=2".to_owned();
        let mut last_cursor = String::new();
        loop {
            let answer = world.admin(Method::GET, &path, Value::Null).await.expect(200);
            let page = answer.json();
            let data = page["data"].as_array().unwrap();
            assert!(!data.is_empty() && data.len() <= 2);
            seen.extend(data.iter().map(|c| c["client_id"].as_str().unwrap().to_owned()));
            let Some(cursor) = page["next_cursor"].as_str() else {
                assert_eq!((&page["has_more"], answer.header("link")), (&json!(false), ""));
                break;
            };
            assert_eq!(page["has_more"], true);
            last_cursor = cursor.to_owned();
            let next = answer.header("link").strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
            path = format!("/api/clients{}", next.unwrap());
            assert!(path.starts_with("/api/clients?limit=2&cursor=") && path.ends_with(cursor), "{path}");
        }
        assert_eq!(seen, ["c4", "c3", "c2", "c1", "c0", "ops"]);
        let mut forged = last_cursor.clone();
        let first = if forged.remove(0) == 'A' { 'B' } else { 'A' };
        forged.insert(0, first);
        for bad in [forged.as_str(), "AAAA", "x", ""] {
            world.admin(Method::GET, &format!("/api/clients?cursor={bad}x"), Value::Null).await.expect(400);
        }
        for other in ["/api/keys", "/api/apis", "/api/audit/records", "/api/secrets", "/api/tenants"] {
            let answer = world.admin(Method::GET, &format!("{other}?cursor={last_cursor}"), Value::Null).await.expect(400);
            assert_eq!(answer.json()["code"], "invalid_cursor", "{other}");
        }
        for bad in ["0", "201", "-1", "x", "1x", "%00"] {
            let answer = world.admin(Method::GET, &format!("/api/clients?limit={bad}"), Value::Null).await.expect(400);
            assert_eq!(answer.json()["errors"][0]["parameter"], "limit", "{bad}");
        }
    }

    async fn clients_are_found_by_status_scope_and_the_beginning_of_a_name(world: World) {
        world.client("alpha", json!({"name": "Invoice Job", "scopes": ["invoices"]})).await;
        world.client("beta", json!({"name": "Other", "scopes": ["invoices", "read"]})).await;
        world.client("INV-3", json!({"expiry": "2026-06-01T12:30:00Z"})).await;
        world.admin(Method::POST, "/api/clients/beta/disable", Value::Null).await.expect(200);
        let found = async |query: &str| {
            let page = get(&world, &format!("/api/clients?{query}")).await;
            let mut ids: Vec<_> = page["data"].as_array().unwrap().iter().map(|c| c["client_id"].as_str().unwrap().to_owned()).collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(found("q=inv").await, ["INV-3", "alpha"]);
        assert_eq!(found("q=INVOICE%20j").await, ["alpha"]);
        assert_eq!(found("scope=invoices").await, ["alpha", "beta"]);
        assert_eq!(found("scope=invoices&status=disabled").await, ["beta"]);
        assert_eq!(found("status=active").await, ["INV-3", "alpha", "ops"]);
        assert_eq!(found("status=disabled").await, ["beta"]);
        assert_eq!(found("q=nothing").await, [""; 0]);
        world.clock.advance_seconds(800);
        world.client("late", json!({})).await;
        assert_eq!(found("status=active&q=la").await, ["late"]);
        world.admin(Method::GET, "/api/clients?status=maybe", Value::Null).await.expect(400);
        world.admin(Method::GET, "/api/clients?nonsense=1", Value::Null).await.expect(400);
        world.admin(Method::PATCH, "/api/clients/beta", json!({"scopes": ["read"]})).await.expect(200);
        assert_eq!(found("scope=invoices").await, ["alpha"]);
    }

    async fn a_secret_is_shown_once_and_in_no_later_answer(world: World) {
        let generated = world.client("g", json!({})).await;
        let chosen = "a caller chosen secret of some length 0123456789";
        let body = json!({"client_id": "h", "client_secret": chosen});
        let made = world.admin(Method::POST, "/api/clients", body).await.expect(201);
        assert!(!made.text.contains(chosen) && made.json().get("client_secret").is_none());
        world.clock.advance_seconds(1);
        let added = world.admin(Method::POST, "/api/clients/g/secrets", json!({"label": "two"})).await.expect(201).json();
        let second = added["client_secret"].as_str().unwrap();
        assert!(second.starts_with("bst_cs_") && second != generated);
        world.admin(Method::PATCH, "/api/clients/g", json!({"name": "n"})).await.expect(200);
        for path in [
            "/api/clients", "/api/clients/g", "/api/clients/h", "/api/clients/g/secrets", "/api/clients/h/secrets", "/api/secrets",
            "/api/audit/records", "/api/audit/journal", "/api/clients/g/tokens",
        ] {
            let answer = world.admin(Method::GET, path, Value::Null).await.expect(200);
            for secret in [generated.as_str(), second, chosen] {
                assert!(!answer.text.contains(secret), "{path} shows a secret");
            }
            assert!(!answer.text.contains("\"client_secret\":\"bst"), "{path}");
        }
        let listed = get(&world, "/api/clients/g/secrets").await;
        let hints: Vec<_> = listed["data"].as_array().unwrap().iter().map(|s| s["hint"].as_str().unwrap().to_owned()).collect();
        assert!(generated.ends_with(&hints[0]) && second.ends_with(&hints[1]));
        for row in world.auth.store.read_all(&auth::sql::CREDENTIALS_BY_CLIENT_ID, store::params![DEFAULT, "g"]).await.unwrap() {
            assert!(!String::from_utf8_lossy(row.bytes(4).unwrap()).contains("bst_cs_"));
        }
    }

    async fn dated_secrets_follow_their_rules(world: World) {
        world.client("s", json!({})).await;
        let path = "/api/clients/s/secrets";
        for bad in [
            json!({"expires_at": "2026-06-01T11:59:59Z"}), json!({"expires_at": "2026-06-02T00:00:00Z", "not_before": "2026-06-03T00:00:00Z"}),
            json!({"expire_others_in_seconds": -1}), json!({"expire_others_in_seconds": 2_592_001}), json!({"scopes": ["other"]}), json!({"x": 1}),
        ] {
            world.admin(Method::POST, path, bad).await.expect(422);
        }
        for _ in 0..9 {
            world.admin(Method::POST, path, json!({})).await.expect(201);
        }
        world.admin(Method::POST, path, json!({})).await.expect(409);
        let ends = json!({"expire_others_in_seconds": 0, "not_before": "2026-06-01T12:00:10Z", "expires_at": "2026-06-01T12:00:20Z"});
        let secret = world.admin(Method::POST, path, ends).await.expect(201).json()["client_secret"].as_str().unwrap().to_owned();
        for (wait, status) in [(0, 401), (10, 200), (9, 200), (1, 401)] {
            world.clock.advance_seconds(wait);
            world.token("s", &secret, "").await.expect(status);
        }
        let states = get(&world, path).await;
        assert!(states["data"].as_array().unwrap().iter().all(|s| s["status"] == "expired"), "{states}");
        world.admin(Method::DELETE, &format!("{path}/sec_00000000000000000000000000"), Value::Null).await.expect(404);
        world.admin(Method::DELETE, &format!("{path}/nothing"), Value::Null).await.expect(404);
    }

    async fn a_dead_client_is_dead_everywhere_from_the_next_request(world: World) {
        for (id, expiry) in [("off", Value::Null), ("del", Value::Null), ("old", json!("2026-06-01T12:00:30Z")), ("cut", Value::Null)] {
            let body = json!({"scopes": ["read", "clients:read"], "expiry": expiry, "multi_audience": true});
            let secret = world.client(id, body).await;
            let plain = world.token(id, &secret, "&scope=read").await.expect(200).json()["access_token"].as_str().unwrap().to_owned();
            let manage = world.token(id, &secret, "&scope=clients:read").await.expect(200).json()["access_token"].as_str().unwrap().to_owned();
            let bearer = format!("Bearer {manage}");
            world.request(Method::GET, "/api/clients", &[("authorization", &bearer)], "").await.expect(200);
            let seen = async |token: &str| {
                let admin = format!("Bearer {}", world.admin);
                world.form("/oauth2/introspect", &[("authorization", &admin)], &format!("token={token}")).await.expect(200).json()
            };
            assert_eq!(seen(&plain).await["active"], true);
            match id {
                "off" => { world.admin(Method::POST, "/api/clients/off/disable", Value::Null).await.expect(200); }
                "del" => { world.admin(Method::DELETE, "/api/clients/del", Value::Null).await.expect(204); }
                "old" => { world.clock.advance_seconds(30); }
                // An end that is set after the token was issued ends the token too.
                _ => {
                    world.admin(Method::PATCH, "/api/clients/cut", json!({"expiry": "2026-06-01T12:01:00Z"})).await.expect(200);
                    assert_eq!(seen(&plain).await["active"], true);
                    world.clock.advance_seconds(30);
                }
            }
            assert_eq!(world.token(id, &secret, "").await.expect(401).error(), "invalid_client");
            assert_eq!(seen(&plain).await, json!({"active": false}), "{id}");
            assert_eq!(seen(&manage).await, json!({"active": false}), "{id}");
            world.request(Method::GET, "/api/clients", &[("authorization", &bearer)], "").await.expect(401);
        }
        assert_eq!(get(&world, "/api/clients/old").await["status"], "expired");
        assert_eq!(get(&world, "/api/clients/off").await["status"], "disabled");
        world.admin(Method::GET, "/api/clients/del", Value::Null).await.expect(404);
    }

    async fn a_scope_says_which_feature_it_requires_and_a_client_what_its_tokens_tell(world: World) {
        let api = world.admin(Method::POST, "/api/apis", json!({"identifier": "https://a.example"})).await.expect(201).json();
        let scopes = format!("/api/apis/{}/scopes", api["id"].as_str().unwrap());
        let made = world.admin(Method::POST, &scopes, json!({"name": "a:read", "requires_feature": "reports"})).await.expect(201);
        assert_eq!(made.json()["requires_feature"], "reports");
        let path = format!("{scopes}/a:read");
        let kept = world.admin(Method::PATCH, &path, json!({"description": "Read"})).await.expect(200).json();
        assert_eq!((&kept["description"], &kept["requires_feature"]), (&json!("Read"), &json!("reports")));
        for (bad, code) in [(json!("No Key"), "bad_value"), (json!(7), "wrong_type")] {
            let refused = world.admin(Method::PATCH, &path, json!({"requires_feature": bad})).await.expect(422);
            assert_eq!((pointers(&refused), &refused.json()["errors"][0]["code"]), (vec!["/requires_feature".to_owned()], &json!(code)));
        }
        let free = world.admin(Method::PATCH, &path, json!({"requires_feature": null})).await.expect(200).json();
        assert_eq!((&free["description"], &free["requires_feature"]), (&json!("Read"), &Value::Null));

        world.client("teller", json!({"claims": ["plan", "sub_status", "plan"]})).await;
        let told = get(&world, "/api/clients/teller").await;
        assert_eq!((&told["claims"], &told["customer_id"]), (&json!(["plan", "sub_status"]), &Value::Null));
        let refused = world.admin(Method::PATCH, "/api/clients/teller", json!({"claims": ["flags"]})).await.expect(422);
        assert_eq!(pointers(&refused), ["/claims/0"]);
        let none = world.admin(Method::PATCH, "/api/clients/teller", json!({"claims": null})).await.expect(200).json();
        assert_eq!(none["claims"], json!([]));
    }

    async fn apis_and_scopes_have_one_owner_and_are_kept_while_used(world: World) {
        for bad in ["relative", "https://a.example/#f", "", "not a uri"] {
            world.admin(Method::POST, "/api/apis", json!({"identifier": bad})).await.expect(422);
        }
        let api = world.admin(Method::POST, "/api/apis", json!({"identifier": "https://a.example"})).await.expect(201).json();
        world.admin(Method::POST, "/api/apis", json!({"identifier": "https://a.example"})).await.expect(409);
        let path = format!("/api/apis/{}", api["id"].as_str().unwrap());
        let scopes = format!("{path}/scopes");
        world.admin(Method::POST, &scopes, json!({"name": "a:read"})).await.expect(201);
        world.admin(Method::POST, &scopes, json!({"name": "a:read"})).await.expect(409);
        for bad in ["", "a b", "\"", "\\", "ü"] {
            world.admin(Method::POST, &scopes, json!({"name": bad})).await.expect(422);
        }
        world.client("user", json!({"scopes": ["a:read"]})).await;
        world.admin(Method::DELETE, &format!("{scopes}/a:read"), Value::Null).await.expect(409);
        world.admin(Method::DELETE, &path, Value::Null).await.expect(409);
        world.admin(Method::DELETE, "/api/clients/user", Value::Null).await.expect(204);
        world.admin(Method::DELETE, &format!("{scopes}/a:read"), Value::Null).await.expect(204);
        world.admin(Method::DELETE, &path, Value::Null).await.expect(204);
        world.admin(Method::GET, &path, Value::Null).await.expect(404);
        let builtin = get(&world, "/api/apis").await;
        for api in builtin["data"].as_array().unwrap().iter().filter(|a| a["builtin"].is_string()) {
            world.admin(Method::DELETE, &format!("/api/apis/{}", api["id"].as_str().unwrap()), Value::Null).await.expect(409);
        }
    }
}

async fn weak_secrets_and_unknown_scopes(engine: Engine) {
    let settings = Settings {
        issuer: "https://id.example".to_owned(),
        auto_create_scopes: false,
        reject_weak_secrets: true,
        ..Settings::default()
    };
    let strict = World::with(engine, settings).await;
    let weak =
        strict.admin(Method::POST, "/api/clients", json!({"client_secret": "my_client_secret"})).await.expect(422);
    assert_eq!(
        (pointers(&weak), &weak.json()["errors"][0]["code"]),
        (vec!["/client_secret".to_owned()], &json!("weak_secret"))
    );
    let unknown = strict
        .admin(Method::POST, "/api/clients", json!({"scopes": ["never", "clients:read", "seen"]}))
        .await
        .expect(422);
    assert_eq!(pointers(&unknown), ["/scopes/0", "/scopes/2"]);
    let loose = World::new(engine).await;
    let body = json!({"client_id": "w", "client_secret": "my_client_secret", "scopes": "brand:new read"});
    let made = loose.admin(Method::POST, "/api/clients", body).await.expect(201).json();
    assert_eq!(made["warnings"][0]["code"], "weak_secret");
    assert_eq!(made["scopes"], json!(["brand:new", "read"]));
    assert_eq!(loose.token("w", "my_client_secret", "").await.expect(200).json()["scope"], "brand:new read");
}

#[tokio::test]
async fn weak_secrets_and_unknown_scopes_follow_the_settings_embedded() {
    weak_secrets_and_unknown_scopes(Engine::Embedded).await;
}

#[tokio::test]
async fn weak_secrets_and_unknown_scopes_follow_the_settings_server() {
    weak_secrets_and_unknown_scopes(Engine::Server).await;
}
