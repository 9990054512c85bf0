//! Nothing crosses a tenant's border (attack row I01): the matrix of every operation of the OpenAPI document, every id in
//! its path, and every role, each with an id that belongs to another tenant.

use std::collections::{BTreeMap, BTreeSet};

use api::route::ROUTES;
use auth::catalog::MANAGEMENT_SCOPES;
use auth::operator::Role;
use http::Method;
use serde_json::{Value, json};

use crate::admin::body_of;
use crate::billing::Sold;
use crate::console::member_of;
use crate::on_both_engines;
use crate::tenants::{acme, token_at};
use crate::world::{Answer, World};

/// One tenant seen by its administrator, with an object of every kind.
struct Side<'a> {
    world: &'a World,
    prefix: &'static str,
    admin: String,
    /// What the names in a path stand for here.
    ids: BTreeMap<&'static str, String>,
}

impl<'a> Side<'a> {
    async fn new(world: &'a World, prefix: &'static str, name: &'static str, admin: &str) -> Self {
        let mut side = Side { world, prefix, admin: admin.to_owned(), ids: BTreeMap::new() };
        let grants = json!(["client_credentials", "refresh_token"]);
        let client = format!("client-of-{name}");
        let secret =
            side.make("/api/clients", json!({"client_id": client, "scopes": ["read"], "grant_types": grants})).await;
        let secret = secret["client_secret"].as_str().unwrap();
        token_at(world, prefix, &client, secret, "").await.expect(200);
        let api = side.make("/api/apis", json!({"identifier": format!("https://{name}.example")})).await;
        let api = api["id"].as_str().unwrap().to_owned();
        let scope = format!("{name}:read");
        side.make(&format!("/api/apis/{api}/scopes"), json!({"name": scope})).await;
        let first = async |path: String, id: &str| side.get(&path).await["data"][0][id].as_str().unwrap().to_owned();
        let secret = first(format!("/api/clients/{client}/secrets"), "id").await;
        let family = first(format!("/api/clients/{client}/token-families"), "id").await;
        let kid = first("/api/keys".to_owned(), "kid").await;
        let slug = prefix.strip_prefix("/t/").unwrap_or("default");
        member_of(world, slug, &format!("{name}@example.com"), Role::Support).await;
        let operator = first("/api/operators".to_owned(), "id").await;
        let session = first(format!("/api/operators/{operator}/sessions"), "id").await;
        let invitation = json!({"email": format!("new@{name}.example"), "role": "support"});
        let invitation = side.make("/api/operators/invitations", invitation).await["id"].as_str().unwrap().to_owned();
        let event = first("/api/events".to_owned(), "id").await;
        let webhook = json!({"url": format!("https://{name}.example"), "types": ["client.*"]});
        let webhook = side.make("/api/webhooks", webhook).await["id"].as_str().unwrap().to_owned();
        let test = side.send(&side.admin, Method::POST, &format!("/api/webhooks/{webhook}/test"), &Value::Null).await;
        let delivery = test.expect(202).json()["delivery_id"].as_str().unwrap().to_owned();
        let sold = Sold::new("subscriber", async |path: String, body| {
            side.send(&side.admin, Method::POST, &path, &body).await.json()
        });
        let sold = sold.await;
        side.ids = BTreeMap::from([
            ("reservation", sold.reservation_of("commitReservation").to_owned()),
            ("backfill", sold.backfill_of("getBackfill").to_owned()),
            ("customer", sold.customer),
            ("feature", sold.feature),
            ("meter", sold.meter),
            ("plan", sold.draft),
            ("subscription", sold.subscription),
            ("webhook", webhook),
            ("delivery", delivery),
            ("client_id", client),
            ("api", api),
            ("name", scope),
            ("secret", secret),
            ("family", family),
            ("kid", kid),
            ("operator_id", operator),
            ("session", session),
            ("invitation", invitation),
            ("event", event),
        ]);
        side
    }

    async fn send(&self, bearer: &str, method: Method, path: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {bearer}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let headers = if body.is_null() { &headers[..1] } else { &headers[..] };
        self.world.request(method, &format!("{}{path}", self.prefix), headers, &text).await
    }

    async fn make(&self, path: &str, body: Value) -> Value {
        self.send(&self.admin, Method::POST, path, &body).await.expect(201).json()
    }

    async fn get(&self, path: &str) -> Value {
        self.send(&self.admin, Method::GET, path, &Value::Null).await.expect(200).json()
    }

    /// Everything that the administrator can see of the tenant: what an attack must leave as it is.
    async fn all(&self) -> String {
        let mut all = String::new();
        for route in ROUTES.iter().filter(|r| r.method == api::route::Verb::Get && !r.default_tenant_only) {
            if ["whoami", "getOpenapi", "getAuditProof", "queryUsage", "streamEvents"].contains(&route.operation_id) {
                continue;
            }
            let path = fill(route.path, |name| self.ids[name].clone());
            all.push_str(&self.get(&path).await.to_string());
        }
        all
    }

    /// A token of this tenant with exactly these scopes, by scope; the last one has them all.
    async fn roles(&self) -> Vec<(&'static str, String)> {
        let mut roles = Vec::new();
        for (number, (scope, _)) in MANAGEMENT_SCOPES.iter().enumerate() {
            let id = format!("role-{number}");
            let made = self.make("/api/clients", json!({"client_id": id, "scopes": [scope]})).await;
            let secret = made["client_secret"].as_str().unwrap();
            let token =
                token_at(self.world, self.prefix, &id, secret, &format!("&scope={scope}")).await.expect(200).json();
            roles.push((*scope, token["access_token"].as_str().unwrap().to_owned()));
        }
        roles
    }
}

/// The names in a path, each with the kind of object it means.
fn fill(path: &str, value: impl Fn(&'static str) -> String) -> String {
    let id = if path.contains("/secrets/") {
        "secret"
    } else if path.contains("/token-families/") {
        "family"
    } else if path.contains("/sessions/") {
        "session"
    } else if path.contains("/invitations/") {
        "invitation"
    } else {
        "api"
    };
    let mut filled = path.to_owned();
    let names = [
        ("client_id", "client_id"),
        ("operator_id", "operator_id"),
        ("id", id),
        ("name", "name"),
        ("kid", "kid"),
        ("event_id", "event"),
        ("webhook_id", "webhook"),
        ("delivery_id", "delivery"),
        ("customer_id", "customer"),
        ("feature_id", "feature"),
        ("meter_id", "meter"),
        ("plan_id", "plan"),
        ("subscription_id", "subscription"),
        ("reservation_id", "reservation"),
        ("backfill_id", "backfill"),
    ];
    for (name, kind) in names {
        let braced = format!("{{{name}}}");
        if filled.contains(&braced) {
            filled = filled.replace(&braced, &value(kind));
        }
    }
    filled
}

/// The kinds of object that a path names.
fn kinds(path: &str) -> Vec<&'static str> {
    let found = std::cell::RefCell::new(Vec::new());
    fill(path, |kind| {
        found.borrow_mut().push(kind);
        String::new()
    });
    found.into_inner()
}

/// Tries every operation of `own` with ids of `other`, in every role; returns how many requests that were.
async fn attack(own: &Side<'_>, other: &Side<'_>, document: &Value) -> usize {
    let roles = own.roles().await;
    let before = other.all().await;
    let mut asked = 0;
    let mut operations = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            let Some(route) = ROUTES.iter().find(|r| r.operation_id == name && !r.default_tenant_only) else {
                continue;
            };
            let needed = operation["security"][0]["oauth2"][0].as_str().unwrap_or_default();
            for foreign in kinds(path) {
                // One id of the other tenant, and all of them.
                for alone in [true, false] {
                    let target = fill(path, |kind| {
                        let side = if !alone || kind == foreign { other } else { own };
                        side.ids[kind].clone()
                    });
                    for (scope, token) in &roles {
                        let answer =
                            own.send(token, method.to_uppercase().parse().unwrap(), &target, &body_of(route)).await;
                        let allowed = *scope == "admin" || *scope == needed;
                        let expected = if allowed { 404 } else { 403 };
                        assert_eq!(answer.status, expected, "{name} {target} as {scope}: {}", answer.text);
                        asked += 1;
                    }
                    operations.insert(name);
                }
            }
        }
    }
    // The other tenant's token is no token here, and ours is none there.
    for (_, token) in &roles {
        for path in ["/api/clients", "/api/whoami", "/api/audit/records"] {
            other.send(token, Method::GET, path, &Value::Null).await.expect(401);
        }
    }
    let seen = own.all().await;
    for (kind, id) in &other.ids {
        assert!(!seen.contains(id.as_str()), "the {kind} {id} of the other tenant is listed");
    }
    assert_eq!(other.all().await, before, "the other tenant has changed");
    let with_ids = ROUTES.iter().filter(|r| r.path.contains('{') && !r.default_tenant_only).count();
    assert_eq!(operations.len(), with_ids);
    asked
}

on_both_engines! {
    async fn no_id_of_another_tenant_is_known_to_any_operation_in_any_role(world: World) {
        let free = json!({"client": {"limit": 0, "window_s": 1, "burst": 1}});
        world.admin(Method::PATCH, "/api/limits", free.clone()).await.expect(200);
        let root = Side::new(&world, "", "root", &world.admin).await;
        let acme = acme(&world).await;
        let acme = Side::new(&world, "/t/acme", "acme", &acme.admin).await;
        acme.send(&acme.admin, Method::PATCH, "/api/limits", &free).await.expect(200);
        let document = world.request(Method::GET, "/api/openapi.json", &[], "").await.expect(200).json();
        let roles = MANAGEMENT_SCOPES.len();
        for (own, other) in [(&root, &acme), (&acme, &root)] {
            let asked = attack(own, other, &document).await;
            assert!(asked >= 20 * 2 * roles, "{asked} requests in {roles} roles");
        }
    }
}
