//! Customers, the catalog and subscriptions over the API, on both engines.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use crate::on_both_engines;
use crate::world::{Answer, World};

/// One object of each kind that paths name.
pub(crate) struct Sold {
    /// Without a subscription.
    pub(crate) customer: String,
    /// That no plan grants.
    pub(crate) feature: String,
    pub(crate) meter: String,
    /// That nobody subscribes to.
    pub(crate) plan: String,
    pub(crate) draft: String,
    spare: String,
    /// Of the customer whose own id is the tag, to the plan `basic`.
    pub(crate) subscription: String,
    /// Of that customer, of the feature `calls-` and the tag.
    reservations: [String; 2],
    /// Of that customer, of the meter `calls` and the May of 2026.
    backfills: [String; 3],
}

impl Sold {
    /// Makes them; `made` posts a body to a path.
    pub(crate) async fn new(tag: &str, made: impl AsyncFn(String, Value) -> Value) -> Self {
        let id = async |path: &str, body: Value| {
            let made = made(path.to_owned(), body).await;
            made["id"].as_str().unwrap_or_else(|| panic!("{path}: {made}")).to_owned()
        };
        let meter = id("/api/meters", json!({"key": "calls", "event_type": "call", "aggregation": "count"})).await;
        let calls = format!("calls-{tag}");
        id("/api/features", json!({"key": calls, "kind": "metered", "meter": "calls"})).await;
        let plan = async |key: &str, rights: Value| {
            id("/api/plans", json!({"key": key, "name": key, "cadence": "month", "entitlements": rights})).await
        };
        let basic = plan("basic", json!([{"feature": calls, "limit": "1000"}])).await;
        let old = plan(&format!("old-{tag}"), json!([])).await;
        for plan in [&basic, &old] {
            id(&format!("/api/plans/{plan}/publish"), Value::Null).await;
        }
        id("/api/customers", json!({"name": "Subscriber", "external_id": tag})).await;
        let subscription = id("/api/subscriptions", json!({"customer_id": tag, "plan": basic})).await;
        let event = json!({"specversion": "1.0", "id": tag, "source": "test", "type": "call", "subject": tag});
        assert_eq!(made("/api/usage/events".to_owned(), event).await["accepted"], 1);
        let hold = json!({"customer_id": tag, "feature": calls, "quantity": "2"});
        let hold = async || id("/api/usage/reservations", hold.clone()).await;
        let past = json!({
            "customer_id": tag, "meter": "calls", "from": "2026-05-01T00:00:00Z", "to": "2026-06-01T00:00:00Z", "mode": "add",
        });
        let past = async || id("/api/usage/backfills", past.clone()).await;
        Self {
            customer: id("/api/customers", json!({"name": "Idle"})).await,
            feature: id("/api/features", json!({"key": tag, "kind": "boolean"})).await,
            meter,
            draft: plan(&format!("draft-{tag}"), json!([])).await,
            spare: plan(&format!("spare-{tag}"), json!([])).await,
            subscription,
            reservations: [hold().await, hold().await],
            backfills: [past().await, past().await, past().await],
            plan: old,
        }
    }

    /// The reservation with which an operation succeeds.
    pub(crate) fn reservation_of(&self, operation_id: &str) -> &str {
        let [first, second] = &self.reservations;
        if operation_id == "releaseReservation" { second } else { first }
    }

    /// The backfill with which an operation succeeds.
    pub(crate) fn backfill_of(&self, operation_id: &str) -> &str {
        let [first, second, third] = &self.backfills;
        match operation_id {
            "completeBackfill" => second,
            "cancelBackfill" => third,
            _ => first,
        }
    }

    /// The version of a plan with which an operation succeeds.
    pub(crate) fn plan_of(&self, operation_id: &str) -> &str {
        match operation_id {
            "archivePlan" => &self.plan,
            "deletePlan" => &self.spare,
            _ => &self.draft,
        }
    }
}

/// A world whose caller stays signed in over months.
pub(crate) struct Shop {
    pub(crate) world: World,
    secret: String,
}

impl Shop {
    pub(crate) async fn open(world: World) -> Self {
        let free = json!({"limit": 0, "window_s": 1, "burst": 0});
        let secret = world.client("shop", json!({"scopes": ["admin"], "rate_limit": free})).await;
        let mut shop = Self { world, secret };
        shop.later(0).await;
        shop
    }

    /// Lets time pass.
    pub(crate) async fn later(&mut self, seconds: i64) {
        self.world.clock.advance_seconds(seconds);
        let answer = self.world.token("shop", &self.secret, "&scope=admin").await.expect(200).json();
        self.world.admin = answer["access_token"].as_str().unwrap().to_owned();
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.world.admin(Method::POST, path, body).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.world.admin(Method::PATCH, path, body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.world.admin(Method::DELETE, path, Value::Null).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.world.admin(Method::GET, path, Value::Null).await.expect(200).json()
    }

    pub(crate) fn now(&self) -> String {
        kernel::clock::Clock::now(&*self.world.clock).to_string()
    }

    pub(crate) fn ago(&self, seconds: i64) -> String {
        kernel::clock::Clock::now(&*self.world.clock).plus_seconds(-seconds).to_string()
    }

    /// Creates and publishes a version of a plan; its id.
    pub(crate) async fn plan(&self, body: Value) -> String {
        let made = self.post("/api/plans", body).await.expect(201).json();
        let id = made["id"].as_str().unwrap().to_owned();
        self.post(&format!("/api/plans/{id}/publish"), Value::Null).await.expect(200);
        id
    }

    /// The features `sso` and `calls`, and the plans `pro`, `team` and `free`.
    pub(crate) async fn stock(&self) {
        self.post("/api/meters", json!({"key": "calls", "event_type": "call", "aggregation": "count"}))
            .await
            .expect(201);
        self.post("/api/features", json!({"key": "sso", "kind": "boolean"})).await.expect(201);
        self.post("/api/features", json!({"key": "calls", "kind": "metered", "meter": "calls"})).await.expect(201);
        self.plan(pro()).await;
        self.plan(json!({
            "key": "team", "name": "Team", "cadence": "month",
            "prices": [{"model": "per_unit", "unit_amount": "9.5", "currency": "EUR", "timing": "advance"}],
            "entitlements": [{"feature": "calls", "limit": null}],
        }))
        .await;
        self.plan(json!({
            "key": "free", "name": "Free", "cadence": "month",
            "entitlements": [{"feature": "calls", "limit": "10", "reset": "day"}],
        }))
        .await;
    }

    pub(crate) async fn customer(&self, own: &str) -> String {
        let body = json!({
            "name": "Northwind Traders", "external_id": own, "currency": "EUR", "address": {"country": "DE"},
            "payment_terms_days": 14,
        });
        self.post("/api/customers", body).await.expect(201).json()["id"].as_str().unwrap().to_owned()
    }

    /// The path of a new subscription.
    pub(crate) async fn subscribe(&self, customer: &str, plan: &str) -> String {
        let made = self.post("/api/subscriptions", json!({"customer_id": customer, "plan": plan})).await.expect(201);
        let path = format!("/api/subscriptions/{}", made.json()["id"].as_str().unwrap());
        assert_eq!(made.header("location"), format!("https://id.example{path}"));
        path
    }

    pub(crate) async fn ask(&self, subscription: &str, verb: &str, body: Value) -> Answer {
        self.post(&format!("{subscription}/{verb}"), body).await
    }

    pub(crate) async fn standing(&self, customer: &str) -> Value {
        self.get(&format!("/api/customers/{customer}/standing")).await
    }

    /// Version, status and access of the standing.
    pub(crate) async fn stands(&self, customer: &str) -> (i64, String, String) {
        let standing = self.standing(customer).await;
        let text = |name: &str| standing[name].as_str().unwrap_or("-").to_owned();
        (standing["version"].as_i64().unwrap(), text("status"), text("access"))
    }

    /// The types of the events of a customer, the first one first. Their numbers are 1, 2, 3 and so on.
    pub(crate) async fn told(&self, customer: &str) -> Vec<String> {
        let page = self.get(&format!("/api/events?customer_id={customer}&limit=200")).await;
        let mut events = page["data"].as_array().unwrap().clone();
        events.reverse();
        for (event, number) in events.iter().zip(1_i64..) {
            assert_eq!((&event["sequence"], &event["customer_id"]), (&json!(number), &json!(customer)), "{event}");
        }
        events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }

    /// Does what the job of the server does: records what holds by time. How many customers that were.
    pub(crate) async fn record(&self) -> usize {
        let billing = billing::Billing::open(Arc::clone(&self.world.auth.ground));
        let due = billing.due(100).await.unwrap();
        for (slug, customer) in &due {
            let tenant = self.world.auth.tenant(slug).await.unwrap().unwrap();
            let who = self.world.auth.system(&tenant, "billing");
            let planned = billing.plan_recording(&who, &tenant, *customer).await.unwrap().expect("something is due");
            self.world.auth.run_reserved(planned).await.unwrap();
        }
        due.len()
    }
}

fn pro() -> Value {
    json!({
        "key": "pro", "name": "Pro", "cadence": "month", "trial_days": 14, "grace_days": 7, "on_unpaid": "restrict",
        "restricted_features": ["sso"], "restricted_scopes": ["invoices:read"],
        "prices": [{"model": "flat", "amount": "49", "currency": "EUR", "timing": "advance"}],
        "entitlements": [{"feature": "sso", "value": true}, {"feature": "calls", "limit": "1000"}],
    })
}

/// The pointers and codes of a refusal, in order of pointers.
fn problems(answer: &Answer) -> Vec<(String, String)> {
    assert_eq!(answer.status, 422, "{}", answer.text);
    let errors = answer.json()["errors"].as_array().unwrap_or_else(|| panic!("{}", answer.text)).clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut all: Vec<_> = errors.iter().map(|e| (text(&e["pointer"]), text(&e["code"]))).collect();
    all.sort_unstable();
    all
}

#[track_caller]
pub(crate) fn refused(answer: &Answer, expected: &[(&str, &str)]) {
    let expected: Vec<_> = expected.iter().map(|(p, c)| ((*p).to_owned(), (*c).to_owned())).collect();
    assert_eq!(problems(answer), expected, "{}", answer.text);
}

const DAY: i64 = 86_400;

on_both_engines! {
    async fn a_client_of_a_customer_hears_of_that_customer_alone(world: World) {
        let made = async |path: &str, body: Value| world.admin(Method::POST, path, body).await.expect(201).json();
        let plan = made("/api/plans", json!({"key": "free", "name": "Free", "cadence": "month"})).await;
        world.admin(Method::POST, &format!("/api/plans/{}/publish", plan["id"].as_str().unwrap()), Value::Null).await.expect(200);
        let mut customers = Vec::new();
        for name in ["Acme", "Globex"] {
            let customer = made("/api/customers", json!({"name": name})).await["id"].clone();
            made("/api/subscriptions", json!({"customer_id": customer, "plan": "free"})).await;
            customers.push(customer.as_str().unwrap().to_owned());
        }
        let more = json!({"scopes": ["events:read"], "customer_id": customers[0]});
        let secret = world.client("listener", more).await;
        let token = world.token("listener", &secret, "&scope=events:read").await.expect(200).json();
        let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
        let get = async |path: &str| world.request(Method::GET, path, &[("authorization", &bearer)], "").await;
        let own = get("/api/events").await.expect(200).json();
        let heard: Vec<&str> = own["data"].as_array().unwrap().iter().map(|event| event["customer_id"].as_str().unwrap()).collect();
        assert!(heard.len() >= 3 && heard.iter().all(|customer| *customer == customers[0]), "{own}");
        assert_eq!(get(&format!("/api/events?customer_id={}", customers[0])).await.expect(200).json()["data"], own["data"]);
        for path in ["/api/events", "/api/events/stream"] {
            get(&format!("{path}?customer_id={}", customers[1])).await.expect(404);
        }
        let all = world.admin(Method::GET, &format!("/api/events?customer_id={}", customers[1]), Value::Null).await.expect(200).json();
        get(&format!("/api/events/{}", all["data"][0]["id"].as_str().unwrap())).await.expect(404);
        get(&format!("/api/events/{}", own["data"][0]["id"].as_str().unwrap())).await.expect(200);
    }

    async fn what_is_sold_is_made_published_and_kept(world: World) {
        let shop = Shop::open(world).await;
        let now = shop.now();
        let meter = json!({"key": "calls", "event_type": "call", "aggregation": "sum", "value_path": "$.n", "unit": "calls"});
        let made = shop.post("/api/meters", meter).await.expect(201).json();
        let whole = json!({
            "id": made["id"], "version": 1, "state": "active", "key": "calls", "event_type": "call", "aggregation": "sum",
            "value_path": "$.n", "unit": "calls", "created_at": now, "updated_at": now,
        });
        assert_eq!(made, whole);
        let path = format!("/api/meters/{}", made["id"].as_str().unwrap());
        assert_eq!(shop.get(&path).await, whole);
        let next = shop.post("/api/meters", json!({"key": "calls", "event_type": "call", "aggregation": "count"})).await.expect(201).json();
        assert_eq!((&next["version"], &shop.get("/api/meters").await["data"]), (&json!(2), &json!([next])));
        refused(&shop.post("/api/meters", json!({"key": "Calls", "aggregation": "median", "x": 1})).await, &[
            ("/aggregation", "bad_value"), ("/event_type", "required"), ("/key", "bad_value"), ("/x", "unknown_field"),
        ]);
        let archived = shop.post(&format!("{path}/archive"), Value::Null).await.expect(200).json();
        assert_eq!(archived["state"], "archived");
        assert_eq!(shop.post(&format!("{path}/archive"), Value::Null).await.expect(409).json()["code"], "conflict");

        let feature = shop.post("/api/features", json!({"key": "calls", "kind": "metered", "meter": "calls", "combine": "sum"})).await.expect(201);
        let tag = feature.header("etag").to_owned();
        let feature = feature.json();
        assert_eq!(feature, json!({
            "id": feature["id"], "key": "calls", "kind": "metered", "name": "calls", "meter": "calls", "combine": "sum",
            "created_at": now, "updated_at": now,
        }));
        let sso = shop.post("/api/features", json!({"key": "sso", "kind": "boolean", "name": "Single sign-on"})).await.expect(201).json();
        let taken = shop.post("/api/features", json!({"key": "sso", "kind": "boolean"})).await.expect(409).json();
        assert_eq!(taken["code"], "feature_taken");
        refused(&shop.post("/api/features", json!({"key": "", "kind": "rich", "name": "", "combine": "all"})).await, &[
            ("/combine", "bad_value"), ("/key", "bad_value"), ("/kind", "bad_value"), ("/name", "bad_value"),
        ]);
        for bad in [json!({"key": "a", "kind": "metered"}), json!({"key": "a", "kind": "metered", "meter": "none"}), json!({"key": "a", "kind": "static", "meter": "calls"})] {
            refused(&shop.post("/api/features", bad).await, &[("/meter", "bad_value")]);
        }
        let path = format!("/api/features/{}", feature["id"].as_str().unwrap());
        refused(&shop.patch(&path, json!({"key": "b", "kind": "boolean", "meter": null})).await, &[
            ("/key", "read_only"), ("/kind", "read_only"), ("/meter", "read_only"),
        ]);
        let changed = shop.patch(&path, json!({"name": "API calls", "combine": null})).await.expect(200).json();
        assert_eq!((&changed["name"], &changed["combine"]), (&json!("API calls"), &json!("largest")));
        let stale = shop.world.admin_with(Method::PATCH, &path, &[("if-match", &tag)], json!({"name": "Late"})).await;
        assert_eq!(stale.expect(412).json()["code"], "precondition_failed");

        // a draft may name what there is not yet; to be published it may not
        let body = json!({
            "key": "pro", "name": "Pro", "cadence": "month",
            "prices": [{"model": "per_unit", "unit_amount": "0.002", "currency": "EUR", "timing": "arrears", "meter": "none"}],
            "entitlements": [{"feature": "calls", "value": true}, {"feature": "later", "value": true}],
        });
        let draft = shop.post("/api/plans", body).await.expect(201).json();
        assert_eq!(draft, json!({
            "id": draft["id"], "key": "pro", "version": 1, "state": "draft", "name": "Pro", "description": "", "cadence": "month",
            "billing": "anniversary", "trial_days": 0, "trial_start": "on_create", "after_trial": "pause", "grace_days": 14,
            "on_unpaid": "deny", "restricted_scopes": [], "restricted_features": [], "credits_pause": false,
            "credits_cancel": false, "proration": "second",
            "prices": [{
                "model": "per_unit", "currency": "EUR", "timing": "arrears", "unit_amount": "0.002", "meter": "none",
                "tax_behavior": "exclusive", "tax_category": draft["prices"][0]["tax_category"],
            }],
            "entitlements": [{"feature": "calls", "value": true}, {"feature": "later", "value": true}],
            "created_at": now, "updated_at": now,
        }));
        let path = format!("/api/plans/{}", draft["id"].as_str().unwrap());
        refused(&shop.post(&format!("{path}/publish"), Value::Null).await, &[
            ("/entitlements/0/value", "bad_value"), ("/entitlements/1/feature", "bad_value"), ("/prices/0/meter", "bad_value"),
        ]);
        assert_eq!(shop.post("/api/plans", json!({"key": "pro", "name": "P", "cadence": "day"})).await.expect(409).json()["code"], "conflict");
        refused(&shop.post("/api/plans", json!({"key": "!", "cadence": "fortnight", "trial_days": -1, "prices": [{}], "entitlements": [7], "owner": 1})).await, &[
            ("/cadence", "bad_value"), ("/entitlements/0", "wrong_type"), ("/key", "bad_value"), ("/name", "required"), ("/owner", "unknown_field"),
            ("/prices/0/currency", "required"), ("/prices/0/model", "required"), ("/prices/0/timing", "required"), ("/trial_days", "out_of_range"),
        ]);
        refused(&shop.patch(&path, json!({"owner": null})).await, &[("/owner", "unknown_field")]);
        refused(&shop.patch(&path, json!({"key": "other"})).await, &[("/key", "read_only")]);
        let fixed = json!({
            "prices": [{"model": "flat", "amount": "49", "currency": "EUR", "timing": "advance"}], "trial_days": 14, "grace_days": null,
            "entitlements": [{"feature": "sso", "value": true}, {"feature": "calls", "limit": "1000.5", "overage": "deny"}],
        });
        let changed = shop.patch(&path, fixed).await.expect(200).json();
        assert_eq!(changed["entitlements"], json!([
            {"feature": "calls", "limit": "1000.5", "reset": "period", "overage": "deny"}, {"feature": "sso", "value": true},
        ]));
        assert_eq!((&changed["trial_days"], &changed["grace_days"]), (&json!(14), &json!(14)));
        let published = shop.post(&format!("{path}/publish"), Value::Null).await.expect(200).json();
        assert_eq!(published["state"], "active");
        for answer in [shop.patch(&path, json!({"name": "Late"})).await, shop.delete(&path).await] {
            assert_eq!(answer.expect(409).json()["code"], "immutable");
        }
        let sso = format!("/api/features/{}", sso["id"].as_str().unwrap());
        assert_eq!(shop.delete(&sso).await.expect(409).json()["code"], "in_use");
        let second = shop.post("/api/plans", json!({"key": "pro", "name": "Pro", "cadence": "year"})).await.expect(201).json();
        assert_eq!((&second["version"], &second["state"]), (&json!(2), &json!("draft")));
        let all = shop.get("/api/plans").await;
        assert_eq!(all["data"], json!([published, second]));
        let first = shop.get("/api/plans?limit=1").await;
        let rest = shop.get(&format!("/api/plans?limit=1&cursor={}", first["next_cursor"].as_str().unwrap())).await;
        assert_eq!((&first["data"], &rest["data"], &rest["has_more"]), (&json!([published]), &json!([second]), &json!(false)));
        shop.delete(&format!("/api/plans/{}", second["id"].as_str().unwrap())).await.expect(204);
        shop.post(&format!("{path}/archive"), Value::Null).await.expect(200);
        assert_eq!(shop.post(&format!("{path}/publish"), Value::Null).await.expect(409).json()["code"], "conflict");
        let gone = shop.post("/api/features", json!({"key": "gone", "kind": "static"})).await.expect(201).json();
        let gone = format!("/api/features/{}", gone["id"].as_str().unwrap());
        shop.delete(&gone).await.expect(204);
        shop.delete(&gone).await.expect(404);
        let page = shop.get("/api/features?limit=1").await;
        let rest = shop.get(&format!("/api/features?limit=1&cursor={}", page["next_cursor"].as_str().unwrap())).await;
        assert_eq!((&page["data"][0]["key"], &rest["data"][0]["key"], &rest["has_more"]), (&json!("calls"), &json!("sso"), &json!(false)));
    }

    async fn a_customer_is_made_found_changed_suspended_and_deleted(world: World) {
        let shop = Shop::open(world).await;
        let body = json!({
            "name": "Northwind Traders", "external_id": "crm-1042", "email": "billing@northwind.example", "currency": "EUR",
            "timezone": "Europe/Berlin", "address": {"country": "DE", "city": "Berlin"}, "tax_ids": ["DE123456789"],
            "tax_status": "business", "language": "de", "payment_terms_days": 14, "metadata": {"tier": "gold"},
        });
        let headers = [("idempotency-key", "customer-1")];
        let made = shop.world.admin_with(Method::POST, "/api/customers", &headers, body.clone()).await.expect(201);
        let again = shop.world.admin_with(Method::POST, "/api/customers", &headers, body.clone()).await.expect(201);
        assert_eq!((again.header("idempotent-replayed"), &again.text), ("true", &made.text));
        let tag = made.header("etag").to_owned();
        let first = made.json();
        let id = first["id"].as_str().unwrap().to_owned();
        let mut whole = body;
        whole["address"] = json!({"line1": "", "line2": "", "city": "Berlin", "region": "", "postal_code": "", "country": "DE"});
        for (name, value) in [("status", Value::Null), ("access", json!("none")), ("suspended_at", Value::Null)] {
            whole[name] = value;
        }
        (whole["id"], whole["created_at"], whole["updated_at"]) = (json!(id), json!(shop.now()), json!(shop.now()));
        assert_eq!(first, whole);
        let path = format!("/api/customers/{id}");
        assert_eq!(shop.get(&path).await, whole);
        assert_eq!(shop.get("/api/customers/crm-1042").await, whole);
        let standing = shop.standing(&id).await;
        assert_eq!(standing["refusal"].as_str().unwrap().split(':').next(), Some("no_subscription"), "{standing}");
        assert_eq!((&standing["version"], &standing["entitlements"]), (&json!(1), &json!([])));

        let bad = json!({
            "name": "", "external_id": "cus_x", "email": "nobody", "currency": "EURO", "timezone": "Mars/Base", "address": {"country": "de"},
            "tax_ids": [""], "tax_status": "rich", "language": "x", "payment_terms_days": 366, "metadata": 7, "access": "full",
        });
        let mut expected = vec![
            ("/access", "unknown_field"), ("/address", "bad_value"), ("/currency", "bad_value"), ("/email", "bad_value"),
            ("/external_id", "bad_value"), ("/language", "bad_value"), ("/metadata", "wrong_type"), ("/name", "bad_value"),
            ("/payment_terms_days", "bad_value"), ("/tax_ids", "bad_value"), ("/tax_status", "bad_value"), ("/timezone", "bad_value"),
        ];
        refused(&shop.post("/api/customers", bad.clone()).await, &expected);
        refused(&shop.patch(&path, bad).await, &expected);
        expected.clear();
        refused(&shop.post("/api/customers", json!({})).await, &[("/name", "bad_value")]);
        let taken = shop.post("/api/customers", json!({"name": "Other", "external_id": "crm-1042"})).await.expect(409).json();
        assert_eq!(taken["code"], "external_id_taken");
        assert!(taken["detail"].as_str().unwrap().contains(&id), "{taken}");

        let patch = json!({"address": {"city": "Bonn", "line1": "Hauptstr. 1"}, "metadata": {"tier": null, "seat": 3}, "email": null});
        let changed = shop.world.admin_with(Method::PATCH, &path, &[("if-match", &tag)], patch.clone()).await.expect(200);
        let changed = changed.json();
        let bonn = json!({"line1": "Hauptstr. 1", "line2": "", "city": "Bonn", "region": "", "postal_code": "", "country": "DE"});
        assert_eq!((&changed["address"], &changed["metadata"], &changed["email"]), (&bonn, &json!({"seat": 3}), &Value::Null));
        assert_eq!(shop.get(&path).await, changed);
        let stale = shop.world.admin_with(Method::PATCH, &path, &[("if-match", &tag)], patch).await.expect(412);
        assert_eq!(stale.json()["code"], "precondition_failed");

        let suspended = shop.post(&format!("{path}/suspend"), Value::Null).await.expect(200).json();
        assert_eq!(suspended["suspended_at"], shop.now());
        assert_eq!(shop.post(&format!("{path}/suspend"), Value::Null).await.expect(409).json()["code"], "conflict");
        let standing = shop.standing(&id).await;
        assert_eq!((&standing["version"], &standing["suspended_at"]), (&json!(2), &json!(shop.now())));
        assert!(standing["refusal"].as_str().unwrap().starts_with("subscription_inactive"), "{standing}");
        let back = shop.post(&format!("{path}/reinstate"), Value::Null).await.expect(200).json();
        assert_eq!(back["suspended_at"], Value::Null);
        assert_eq!(shop.post(&format!("{path}/reinstate"), Value::Null).await.expect(409).json()["code"], "conflict");
        assert_eq!(shop.told(&id).await, ["customer.created", "customer.updated", "customer.suspended", "customer.reinstated"]);

        for name in ["Northern Lights", "northwest", "Ostwind"] {
            shop.world.clock.advance_seconds(1);
            shop.post("/api/customers", json!({"name": name})).await.expect(201);
        }
        let names = |page: &Value| page["data"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        let found = shop.get("/api/customers?q=NORTH&limit=2").await;
        let rest = shop.get(&format!("/api/customers?q=NORTH&limit=2&cursor={}", found["next_cursor"].as_str().unwrap())).await;
        assert_eq!([names(&found), names(&rest)].concat(), ["Northern Lights", "northwest", "Northwind Traders"]);
        assert_eq!(names(&shop.get("/api/customers").await), ["Ostwind", "northwest", "Northern Lights", "Northwind Traders"]);
        let page = shop.get("/api/customers?limit=3").await;
        let rest = shop.get(&format!("/api/customers?limit=3&cursor={}", page["next_cursor"].as_str().unwrap())).await;
        assert_eq!((names(&page).len(), names(&rest)), (3, vec!["Northwind Traders".to_owned()]));

        shop.stock().await;
        let subscription = shop.subscribe("crm-1042", "free").await;
        assert_eq!(shop.delete(&path).await.expect(409).json()["code"], "in_use");
        shop.ask(&subscription, "cancel", json!({})).await.expect(200);
        shop.delete(&path).await.expect(204);
        for gone in [path.as_str(), "/api/customers/crm-1042", &subscription, &format!("{path}/standing"), &format!("/api/subscriptions?customer_id={id}")] {
            shop.world.admin(Method::GET, gone, Value::Null).await.expect(404);
        }
        assert_eq!(shop.told(&id).await.last().unwrap(), "customer.deleted");
    }

    async fn a_trial_becomes_a_paid_period_falls_behind_and_comes_back(world: World) {
        let mut shop = Shop::open(world).await;
        shop.stock().await;
        let id = shop.customer("crm-1").await;
        let body = json!({"customer_id": "crm-1", "plan": "pro", "quantity": 2});
        let headers = [("idempotency-key", "subscription-1")];
        let made = shop.world.admin_with(Method::POST, "/api/subscriptions", &headers, body.clone()).await.expect(201);
        let again = shop.world.admin_with(Method::POST, "/api/subscriptions", &headers, body).await.expect(201);
        assert_eq!(again.text, made.text);
        let made = made.json();
        let whole = json!({
            "id": made["id"], "customer_id": id, "plan_id": made["plan_id"], "plan": "pro", "plan_version": 1, "quantity": 2,
            "status": "trialing", "status_since": "2026-06-01T12:00:00Z", "access": "full", "access_until": made["access_until"],
            "anchor": made["anchor"], "period_start": "2026-06-01T12:00:00Z", "period_end": "2026-06-15T12:00:00Z",
            "trial_end": "2026-06-15T12:00:00Z", "cancel_at": null, "term_end": null, "overdue_since": null, "scheduled_change": null,
            "allowed": ["pause", "cancel", "cancel_at_period_end", "change", "change_at_period_end", "overdue", "settled"],
            "created_at": "2026-06-01T12:00:00Z", "updated_at": "2026-06-01T12:00:00Z",
        });
        assert_eq!(made, whole);
        let path = format!("/api/subscriptions/{}", made["id"].as_str().unwrap());
        assert_eq!(shop.get(&path).await, whole);
        assert_eq!(shop.get("/api/subscriptions?customer_id=crm-1").await["data"], json!([whole]));
        assert_eq!(shop.standing(&id).await["entitlements"], json!([
            {
                "feature": "calls", "kind": "metered", "limit": "1000", "reset": "period", "overage": "deny", "used": "0",
                "reserved": "0", "remaining": "1000", "resets_at": "2026-06-15T12:00:00Z",
            },
            {"feature": "sso", "kind": "boolean", "value": true},
        ]));
        assert_eq!(shop.stands(&id).await, (2, "trialing".to_owned(), "full".to_owned()));

        // the answer follows the time at once; what was recorded does not
        shop.later(14 * DAY).await;
        let active = shop.get(&path).await;
        assert_eq!((&active["status"], &active["period_start"], &active["period_end"]), (&json!("active"), &json!("2026-06-15T12:00:00Z"), &json!("2026-07-15T12:00:00Z")));
        assert_eq!(shop.get(&format!("/api/customers/{id}")).await["status"], "active");
        assert_eq!(shop.stands(&id).await, (2, "active".to_owned(), "full".to_owned()));
        let before = shop.told(&id).await;
        assert_eq!(before, ["customer.created", "subscription.created", "entitlement.changed"]);
        assert_eq!((shop.record().await, shop.record().await), (1, 0));
        assert_eq!(shop.stands(&id).await, (3, "active".to_owned(), "full".to_owned()));
        assert_eq!(shop.told(&id).await[before.len()..], ["subscription.trial_ending", "subscription.trial_ended", "subscription.activated"]);

        // what is overdue takes effect by its due date and the grace of the plan
        let overdue = json!({"overdue_since": shop.ago(DAY), "reference": "inv-7"});
        let late = shop.ask(&path, "payment-status", overdue).await.expect(200).json();
        assert_eq!((&late["status"], &late["access"], &late["overdue_since"]), (&json!("past_due"), &json!("full"), &json!(shop.ago(DAY))));
        assert_eq!(shop.stands(&id).await, (4, "past_due".to_owned(), "full".to_owned()));
        shop.later(6 * DAY).await;
        let unpaid = shop.get(&path).await;
        assert_eq!((&unpaid["status"], &unpaid["access"]), (&json!("unpaid"), &json!("restricted")));
        let standing = shop.standing(&id).await;
        assert_eq!((&standing["version"], &standing["access"], &standing["restricted_scopes"]), (&json!(4), &json!("restricted"), &json!(["invoices:read"])));
        assert_eq!(standing["entitlements"], json!([{"feature": "sso", "kind": "boolean", "value": true}]));
        shop.record().await;
        assert_eq!(shop.stands(&id).await, (5, "unpaid".to_owned(), "restricted".to_owned()));
        let settled = shop.ask(&path, "payment-status", json!({"settled_at": shop.now()})).await.expect(200).json();
        assert_eq!((&settled["status"], &settled["access"], &settled["overdue_since"]), (&json!("active"), &json!("full"), &Value::Null));
        assert_eq!(shop.stands(&id).await, (6, "active".to_owned(), "full".to_owned()));
        let told = shop.told(&id).await;
        assert_eq!(told[before.len() + 3..], ["subscription.past_due", "subscription.unpaid", "entitlement.changed", "subscription.activated", "entitlement.changed"]);
        for bad in [json!({}), json!({"overdue_since": shop.now(), "settled_at": shop.now()})] {
            refused(&shop.ask(&path, "payment-status", bad).await, &[("/overdue_since", "required")]);
        }
        refused(&shop.ask(&path, "payment-status", json!({"settled_at": shop.ago(-60)})).await, &[("/settled_at", "out_of_range")]);
        let records = shop.get("/api/audit/records?action=subscription.payment_told&limit=1").await;
        assert_eq!(records["data"][0]["object_kind"], "subscription");
    }

    async fn a_subscription_is_paused_changed_canceled_and_ends(world: World) {
        let mut shop = Shop::open(world).await;
        shop.stock().await;
        let id = shop.customer("crm-1").await;
        let path = shop.subscribe("crm-1", "team").await;
        let first = shop.world.admin(Method::GET, &path, Value::Null).await.expect(200);
        let tag = first.header("etag").to_owned();
        assert_eq!((&first.json()["status"], &first.json()["period_end"]), (&json!("active"), &json!("2026-07-01T12:00:00Z")));
        assert_eq!(shop.stands(&id).await, (2, "active".to_owned(), "full".to_owned()));
        let illegal = shop.ask(&path, "resume", json!({})).await.expect(409).json();
        assert_eq!((&illegal["code"], &illegal["from"], &illegal["event"]), (&json!("illegal_transition"), &json!("active"), &json!("resume")));
        assert_eq!(illegal["allowed"], first.json()["allowed"]);

        let paused = shop.world.admin_with(Method::POST, &format!("{path}/pause"), &[("if-match", &tag)], Value::Null).await.expect(200).json();
        assert_eq!((&paused["status"], &paused["access"]), (&json!("paused"), &json!("none")));
        let stale = shop.world.admin_with(Method::POST, &format!("{path}/resume"), &[("if-match", &tag)], json!({})).await;
        assert_eq!(stale.expect(412).json()["code"], "precondition_failed");
        assert_eq!(shop.stands(&id).await, (3, "paused".to_owned(), "none".to_owned()));
        assert!(shop.standing(&id).await["refusal"].as_str().unwrap().contains("resume it"));
        assert_eq!(shop.ask(&path, "pause", Value::Null).await.expect(409).json()["from"], "paused");
        shop.later(DAY).await;
        refused(&shop.ask(&path, "resume", json!({"anchor": "old"})).await, &[("/anchor", "bad_value")]);
        let resumed = shop.ask(&path, "resume", json!({"anchor": "kept"})).await.expect(200).json();
        assert_eq!((&resumed["status"], &resumed["period_end"]), (&json!("active"), &json!("2026-07-01T12:00:00Z")));

        let ending = shop.ask(&path, "cancel", json!({"at": "period_end"})).await.expect(200).json();
        assert_eq!((&ending["status"], &ending["cancel_at"]), (&json!("active"), &json!("2026-07-01T12:00:00Z")));
        let going = shop.ask(&path, "uncancel", Value::Null).await.expect(200).json();
        assert_eq!(going["cancel_at"], Value::Null);
        assert_eq!(shop.ask(&path, "uncancel", Value::Null).await.expect(409).json()["event"], "undo_cancel");

        let scheduled = shop.ask(&path, "change", json!({"plan": "pro", "quantity": 5, "at": "period_end"})).await.expect(200).json();
        assert_eq!((&scheduled["plan"], &scheduled["quantity"]), (&json!("team"), &json!(1)));
        assert_eq!((&scheduled["scheduled_change"]["quantity"], &scheduled["scheduled_change"]["at"]), (&json!(5), &json!("2026-07-01T12:00:00Z")));
        let now = shop.ask(&path, "change", json!({"quantity": 3})).await.expect(200).json();
        assert_eq!((&now["plan"], &now["quantity"]), (&json!("team"), &json!(3)));
        for bad in [json!({}), json!({"plan": "nowhere"})] {
            assert_eq!(problems(&shop.ask(&path, "change", bad).await)[0].0, "/plan");
        }
        shop.ask(&path, "change", json!({"plan": "pro", "quantity": 5, "at": "period_end"})).await.expect(200);
        shop.later(30 * DAY).await;
        let changed = shop.get(&path).await;
        assert_eq!((&changed["plan"], &changed["quantity"], &changed["scheduled_change"]), (&json!("pro"), &json!(5), &Value::Null));
        assert_eq!(shop.standing(&id).await["plans"], json!(["pro"]));
        shop.record().await;
        let free = shop.ask(&path, "change", json!({"plan": "free"})).await.expect(200).json();
        assert_eq!((&free["plan"], &free["status"]), (&json!("free"), &json!("active")));
        let (version, ..) = shop.stands(&id).await;
        let canceled = shop.ask(&path, "cancel", json!({"at": "now"})).await.expect(200).json();
        assert_eq!((&canceled["status"], &canceled["access"], &canceled["allowed"]), (&json!("canceled"), &json!("none"), &json!([])));
        assert_eq!(shop.stands(&id).await, (version + 1, "canceled".to_owned(), "none".to_owned()));
        for (verb, body) in [("pause", Value::Null), ("resume", json!({})), ("cancel", json!({})), ("uncancel", Value::Null), ("change", json!({"quantity": 1})), ("payment-status", json!({"settled_at": shop.now()}))] {
            let answer = shop.ask(&path, verb, body).await.expect(409).json();
            assert_eq!((&answer["code"], &answer["from"], &answer["allowed"]), (&json!("illegal_transition"), &json!("canceled"), &json!([])), "{verb}");
        }

        let end = shop.ago(-DAY);
        let body = json!({"customer_id": id, "plan": "team", "term_end": end});
        let termed = shop.post("/api/subscriptions", body).await.expect(201).json();
        assert_eq!((&termed["term_end"], &termed["status"]), (&json!(end), &json!("active")));
        shop.later(DAY).await;
        let path = format!("/api/subscriptions/{}", termed["id"].as_str().unwrap());
        let termed = shop.get(&path).await;
        assert_eq!((&termed["status"], &termed["access"]), (&json!("ended"), &json!("none")));
        shop.record().await;
        let termed = shop.get(&path).await;
        assert_eq!(shop.told(&id).await.iter().filter(|kind| *kind == "subscription.ended").count(), 1);
        let page = shop.get(&format!("/api/subscriptions?customer_id={id}&limit=1")).await;
        let rest = shop.get(&format!("/api/subscriptions?customer_id={id}&limit=1&cursor={}", page["next_cursor"].as_str().unwrap())).await;
        assert_eq!((&page["data"], &rest["data"][0]["status"], &rest["has_more"]), (&json!([termed]), &json!("canceled"), &json!(false)));
    }

    async fn a_subscription_needs_what_its_charges_need(world: World) {
        let shop = Shop::open(world).await;
        shop.stock().await;
        refused(&shop.post("/api/subscriptions", json!({"customer_id": "nobody", "plan": "nothing", "quantity": -1, "activation": "later", "term_end": "2026-06-01T12:00:00Z", "price": 1})).await, &[
            ("/activation", "bad_value"), ("/customer_id", "bad_value"), ("/plan", "bad_value"), ("/price", "unknown_field"), ("/quantity", "out_of_range"), ("/term_end", "out_of_range"),
        ]);
        refused(&shop.post("/api/subscriptions", json!({})).await, &[("/customer_id", "required"), ("/plan", "required")]);
        let id = shop.post("/api/customers", json!({"name": "Bare", "external_id": "bare"})).await.expect(201).json()["id"].as_str().unwrap().to_owned();
        let paid = json!({"customer_id": "bare", "plan": "team"});
        refused(&shop.post("/api/subscriptions", paid.clone()).await, &[("/plan", "price_currency_missing")]);
        shop.patch("/api/customers/bare", json!({"currency": "USD"})).await.expect(200);
        refused(&shop.post("/api/subscriptions", paid.clone()).await, &[("/plan", "price_currency_missing")]);
        shop.patch("/api/customers/bare", json!({"currency": "EUR"})).await.expect(200);
        refused(&shop.post("/api/subscriptions", paid.clone()).await, &[("/plan", "tax_undetermined")]);
        // a trial is not charged, and a free plan never is
        shop.subscribe("bare", "pro").await;
        let free = shop.subscribe("bare", "free").await;
        refused(&shop.ask(&free, "change", json!({"plan": "team"})).await, &[("/plan", "tax_undetermined")]);
        shop.patch("/api/customers/bare", json!({"address": {"country": "FR"}})).await.expect(200);
        let waiting = shop.post("/api/subscriptions", json!({"customer_id": id, "plan": "team", "activation": "on_payment"})).await.expect(201).json();
        assert_eq!((&waiting["status"], &waiting["access"]), (&json!("incomplete"), &json!("none")));
        let path = format!("/api/subscriptions/{}", waiting["id"].as_str().unwrap());
        assert_eq!(shop.ask(&path, "payment-status", json!({"settled_at": shop.now()})).await.expect(200).json()["status"], "active");
        let draft = shop.post("/api/plans", json!({"key": "draft", "name": "D", "cadence": "month"})).await.expect(201).json();
        for name in ["draft", draft["id"].as_str().unwrap()] {
            refused(&shop.post("/api/subscriptions", json!({"customer_id": id, "plan": name})).await, &[("/plan", "bad_value")]);
        }
    }

    async fn a_paid_plan_that_is_unpaid_leaves_what_the_free_one_grants(world: World) {
        let mut shop = Shop::open(world).await;
        shop.stock().await;
        let id = shop.customer("crm-1").await;
        shop.subscribe("crm-1", "free").await;
        let paid = shop.subscribe("crm-1", "team").await;
        let calls = |standing: &Value| standing["entitlements"].as_array().unwrap().iter().find(|e| e["feature"] == "calls").unwrap()["limit"].clone();
        assert_eq!(calls(&shop.standing(&id).await), Value::Null);
        shop.ask(&paid, "payment-status", json!({"overdue_since": shop.now()})).await.expect(200);
        shop.later(14 * DAY).await;
        let standing = shop.standing(&id).await;
        assert_eq!((calls(&standing), &standing["access"], &standing["status"], &standing["plans"]), (json!("10"), &json!("full"), &json!("active"), &json!(["free"])));
        assert_eq!(shop.get(&paid).await["status"], "unpaid");

        // a feature that adds up more is one for all at once
        let features = shop.get("/api/features").await;
        let feature = features["data"][0]["id"].as_str().unwrap().to_owned();
        shop.patch(&format!("/api/features/{feature}"), json!({"combine": "sum"})).await.expect(200);
        shop.subscribe("crm-1", "free").await;
        assert_eq!(calls(&shop.standing(&id).await), json!("20"));
        // who is suspended has nothing, and has it back as it was
        shop.post("/api/customers/crm-1/suspend", Value::Null).await.expect(200);
        let (version, _, access) = shop.stands(&id).await;
        assert_eq!(access, "none");
        let back = shop.post("/api/customers/crm-1/reinstate", Value::Null).await.expect(200).json();
        assert_eq!((&back["access"], &back["status"]), (&json!("full"), &json!("active")));
        let standing = shop.standing(&id).await;
        assert_eq!((&standing["version"], &standing["not_before"].is_null()), (&json!(version + 1), &false));
    }
}
