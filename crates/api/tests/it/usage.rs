//! Usage over the API, on both engines: events that count once, limits, reservations, corrections and the check.

use http::Method;
use serde_json::{Value, json};

use crate::billing::{Shop, refused};
use crate::on_both_engines;
use crate::world::{Answer, World};

/// A shop with a customer `acme` on a plan that lets it call ten times a month, and a client of it.
pub(crate) struct Counter {
    pub(crate) shop: Shop,
    pub(crate) customer: String,
    subscription: String,
    secret: String,
}

const KEY: &str = "idempotency-key";

impl Counter {
    pub(crate) async fn open(world: World, calls: Value) -> Self {
        let shop = Shop::open(world).await;
        let meter = |key: &str, kind: &str, more: Value| {
            let mut body = json!({"key": key, "event_type": kind, "aggregation": "sum", "value_path": "$.n"});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            body
        };
        let meters = [
            json!({"key": "calls", "event_type": "call", "aggregation": "count", "group_by": {"region": "$.region"}}),
            meter("tokens", "tokens", json!({})),
            meter("seats", "seat", json!({"aggregation": "unique", "operation_path": "$.op"})),
            meter("peak", "peak", json!({"aggregation": "max"})),
            meter("balance", "balance", json!({"allow_negative": true})),
        ];
        for body in meters {
            shop.post("/api/meters", body).await.expect(201);
        }
        shop.post("/api/features", json!({"key": "sso", "kind": "boolean"})).await.expect(201);
        for key in ["calls", "tokens", "seats", "peak"] {
            shop.post("/api/features", json!({"key": key, "kind": "metered", "meter": key})).await.expect(201);
        }
        let mut entitlement = json!({"feature": "calls", "limit": "10"});
        entitlement.as_object_mut().unwrap().extend(calls.as_object().unwrap().clone());
        let mut rights = vec![json!({"feature": "sso", "value": true}), entitlement];
        rights.push(json!({"feature": "tokens", "limit": "2.5", "reset": "hour"}));
        rights.push(json!({"feature": "seats", "limit": "2", "reset": "never"}));
        rights.push(json!({"feature": "peak", "limit": "100"}));
        shop.plan(json!({"key": "starter", "name": "Starter", "cadence": "month", "entitlements": rights})).await;
        rights.truncate(1);
        rights.push(json!({"feature": "calls", "limit": "20"}));
        shop.plan(json!({"key": "more", "name": "More", "cadence": "month", "entitlements": rights})).await;
        let customer = shop.customer("acme").await;
        let subscription = shop.subscribe("acme", "starter").await;
        let free = json!({"limit": 0, "window_s": 1, "burst": 0});
        let scopes = ["usage:write", "entitlements:check", "billing:read"];
        let more = json!({"scopes": scopes, "customer_id": customer, "rate_limit": free});
        let secret = shop.world.client("worker", more).await;
        Self { shop, customer, subscription, secret }
    }

    /// Sends events of any form.
    async fn send(&self, kind: &str, more: &[(&str, &str)], body: &str) -> Answer {
        let bearer = format!("Bearer {}", self.shop.world.admin);
        let mut headers = vec![("authorization", bearer.as_str()), ("content-type", kind)];
        headers.extend_from_slice(more);
        self.shop.world.request(Method::POST, "/api/usage/events", &headers, body).await
    }

    pub(crate) async fn one(&self, event: &Value) -> Answer {
        self.send("application/cloudevents+json", &[], &event.to_string()).await
    }

    pub(crate) async fn batch(&self, events: &[Value]) -> Value {
        let kind = "application/cloudevents-batch+json";
        self.send(kind, &[], &json!(events).to_string()).await.expect(200).json()
    }

    /// A request of the client that acts for the customer.
    pub(crate) async fn worker(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let world = &self.shop.world;
        let scope = "&scope=usage:write entitlements:check billing:read".replace(' ', "%20");
        let token = world.token("worker", &self.secret, &scope).await.expect(200).json();
        let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
        let mut all = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
        all.extend_from_slice(headers);
        let text = if body.is_null() { String::new() } else { body.to_string() };
        world.request(method, path, &all, &text).await
    }

    async fn check(&self, body: Value) -> Value {
        self.shop.post("/api/check", body).await.expect(200).json()
    }

    /// What is used, reserved and left of a feature.
    pub(crate) async fn left(&self, feature: &str) -> [String; 3] {
        let answer = self.check(json!({"customer_id": "acme", "feature": feature})).await;
        ["used", "reserved", "remaining"].map(|name| answer["feature"][name].as_str().unwrap_or("-").to_owned())
    }

    async fn consume(&self, key: &str, quantity: &str) -> Answer {
        let body = json!({"customer_id": "acme", "feature": "calls", "quantity": quantity, "mode": "consume"});
        self.shop.world.admin_with(Method::POST, "/api/check", &[(KEY, key)], body).await
    }

    async fn reserve(&self, quantity: &str, seconds: i64) -> Answer {
        let body = json!({"customer_id": "acme", "feature": "calls", "quantity": quantity, "ttl_seconds": seconds});
        self.shop.post("/api/usage/reservations", body).await
    }

    /// What was used of a meter in all.
    pub(crate) async fn used(&self, meter: &str) -> String {
        let path = format!(
            "/api/usage/query?customer_id=acme&meter={meter}&from=2026-01-01T00:00:00Z&to=2027-01-01T00:00:00Z"
        );
        let found = self.shop.get(&path).await;
        found["data"].as_array().unwrap().iter().map(|one| one["value"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
    }
}

#[expect(clippy::needless_pass_by_value, reason = "a literal at each call")]
pub(crate) fn event(kind: &str, id: &str, data: Value) -> Value {
    json!({"specversion": "1.0", "id": id, "source": "test", "type": kind, "subject": "acme", "data": data})
}

pub(crate) fn call(id: &str) -> Value {
    event("call", id, json!({}))
}

pub(crate) fn codes(report: &Value) -> Vec<(u64, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let list = report["rejected"].as_array().unwrap();
    list.iter().map(|one| (one["index"].as_u64().unwrap(), text(&one["code"]))).collect()
}

pub(crate) fn counts(report: &Value) -> (u64, u64) {
    (report["accepted"].as_u64().unwrap(), report["duplicates"].as_u64().unwrap())
}

on_both_engines! {
    async fn an_event_counts_once_in_whatever_form_it_comes(world: World) {
        let counter = Counter::open(world, json!({})).await;
        let first = counter.one(&call("1")).await.expect(200).json();
        assert_eq!(first, json!({"accepted": 1, "duplicates": 0, "rejected": []}));
        assert_eq!(counter.one(&call("1")).await.expect(200).json(), json!({"accepted": 0, "duplicates": 1, "rejected": []}));
        let other = counter.one(&event("call", "1", json!({"region": "eu"}))).await.expect(409).json();
        assert_eq!(other["code"], "event_conflict", "{other}");
        let report = counter.batch(&[call("1"), call("2"), call("2"), event("call", "2", json!({"region": "eu"}))]).await;
        assert_eq!((counts(&report), codes(&report)), ((1, 2), vec![(3, "event_conflict".to_owned())]));
        let lines = format!("{}\n\n{}\n", call("2"), call("3"));
        let report = counter.send("application/x-ndjson", &[], &lines).await.expect(200).json();
        assert_eq!(counts(&report), (1, 1));
        let attributes = [("ce-specversion", "1.0"), ("ce-id", "4"), ("ce-source", "test"), ("ce-type", "call"), ("ce-subject", "acme")];
        for expected in [(1, 0), (0, 1)] {
            assert_eq!(counts(&counter.send("application/json", &attributes, "{}").await.expect(200).json()), expected);
        }
        assert_eq!(counts(&counter.send("application/json", &[], &json!([call("5")]).to_string()).await.expect(200).json()), (1, 0));
        assert_eq!(counts(&counter.send("application/json", &[], &call("6").to_string()).await.expect(200).json()), (1, 0));
        assert_eq!((counter.left("calls").await, counter.used("calls").await), (["6", "0", "4"].map(str::to_owned), "6".to_owned()));
        let refused = counter.send("text/plain", &[], "x").await.expect(415).json();
        assert!(refused["detail"].as_str().unwrap().contains("application/cloudevents-batch+json"), "{refused}");
        // who reads the list sees each once, with who reported it
        let list = counter.shop.get("/api/usage/events?limit=2").await;
        let sequences: Vec<_> = list["data"].as_array().unwrap().iter().map(|one| one["sequence"].as_i64().unwrap()).collect();
        assert_eq!((sequences, &list["data"][0]["reporter"], &list["data"][0]["state"]), (vec![6, 5], &json!("client:shop"), &json!("counted")));
    }

    async fn what_does_not_fit_is_refused_and_the_rest_of_its_batch_counts(world: World) {
        let counter = Counter::open(world, json!({})).await;
        let events: Vec<Value> = (0..12).map(|id| call(&id.to_string())).collect();
        let report = counter.batch(&events).await;
        assert_eq!((counts(&report), codes(&report)), ((10, 0), [10, 11].map(|at| (at, "quota_exceeded".to_owned())).to_vec()));
        let facts = &report["rejected"][0];
        assert_eq!((&facts["limit"], &facts["used"], &facts["remaining"], &facts["resets_at"]), (&json!("10"), &json!("10"), &json!("0"), &json!("2026-07-01T12:00:00Z")));
        // what was counted is no further use, also where nothing is left
        assert_eq!(counts(&counter.batch(&events[..10]).await), (0, 10));
        let single = counter.one(&call("12")).await.expect(409).json();
        assert_eq!((&single["code"], &single["remaining"]), (&json!("quota_exceeded"), &json!("0")));
        // sums, to the last digit
        for (id, n, status) in [("a", json!("1.000000000001"), 200), ("b", json!(1.5), 409), ("c", json!("1.499999999999"), 200), ("d", json!("0.000000000001"), 409)] {
            counter.one(&event("tokens", id, json!({"n": n}))).await.expect(status);
        }
        assert_eq!(counter.left("tokens").await, ["2.5", "0", "0"]);
        // all or none
        let before = counter.used("tokens").await;
        let mixed = format!("{}\n{}", event("balance", "x", json!({"n": 1})), event("tokens", "e", json!({"n": 1})));
        let bearer = format!("Bearer {}", counter.shop.world.admin);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/x-ndjson")];
        let refused = counter.shop.world.request(Method::POST, "/api/usage/events?atomic=true", &headers, &mixed).await.expect(422).json();
        assert_eq!((&refused["code"], &refused["rejected"][0]["code"]), (&json!("events_rejected"), &json!("quota_exceeded")));
        assert_eq!((counter.used("tokens").await, counter.used("balance").await), (before, String::new()));
        let kept = counter.shop.get("/api/usage/rejections").await;
        let kept: Vec<&str> = kept["data"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
        assert_eq!(kept.len(), 6, "{kept:?}");
    }

    async fn a_limit_counts_what_does_not_add_too(world: World) {
        let counter = Counter::open(world, json!({})).await;
        let seat = |id: &str, who: &str, op: &str| event("seat", id, json!({"n": who, "op": op}));
        for (id, who, op, status) in [
            ("1", "ann", "add", 200), ("2", "ben", "add", 200), ("3", "ann", "add", 200), ("4", "cyd", "add", 409),
            ("5", "ann", "remove", 200), ("6", "cyd", "add", 200), ("7", "dan", "add", 409),
        ] {
            let answer = counter.one(&seat(id, who, op)).await;
            assert_eq!(answer.status, status, "{id}: {}", answer.text);
        }
        assert_eq!((counter.left("seats").await, counter.used("seats").await), (["2", "0", "0"].map(str::to_owned), "2".to_owned()));
        for (id, n, status) in [("1", 60, 200), ("2", 101, 409), ("3", 40, 200), ("4", 100, 200)] {
            counter.one(&event("peak", &format!("p{id}"), json!({"n": n}))).await.expect(status);
        }
        assert_eq!((counter.left("peak").await, counter.used("peak").await), (["100", "0", "0"].map(str::to_owned), "100".to_owned()));
        let held = counter.shop.post("/api/usage/reservations", json!({"customer_id": "acme", "feature": "seats", "quantity": "1"})).await;
        refused(&held, &[("/mode", "bad_value")]);
    }

    async fn a_reservation_holds_its_quantity_until_it_is_settled_or_over(world: World) {
        let mut counter = Counter::open(world, json!({})).await;
        let held = counter.reserve("6", 60).await.expect(201);
        let (path, held) = (held.header("location").trim_start_matches("https://id.example").to_owned(), held.json());
        assert_eq!((&held["state"], &held["quantity"], &held["feature"]), (&json!("held"), &json!("6"), &json!("calls")));
        assert_eq!(counter.left("calls").await, ["0", "6", "4"]);
        assert_eq!(counter.reserve("5", 60).await.expect(409).json()["code"], "quota_exceeded");
        let events: Vec<Value> = (0..5).map(|id| call(&id.to_string())).collect();
        assert_eq!(counts(&counter.batch(&events).await), (4, 0));
        refused(&counter.shop.post(&format!("{path}/commit"), json!({"quantity": "7"})).await, &[("/quantity", "bad_value")]);
        refused(&counter.shop.post(&format!("{path}/commit"), json!({"quantity": "1.5"})).await, &[("/quantity", "bad_value")]);
        let done = counter.shop.post(&format!("{path}/commit"), json!({"quantity": "2"})).await.expect(200).json();
        assert_eq!((&done["state"], &done["used"]), (&json!("committed"), &json!("2")));
        assert_eq!(counter.shop.post(&format!("{path}/commit"), json!({"quantity": "6"})).await.expect(200).json(), done);
        assert_eq!(counter.shop.post(&format!("{path}/release"), Value::Null).await.expect(409).json()["code"], "illegal_transition");
        assert_eq!((counter.left("calls").await, counter.used("calls").await), (["6", "0", "4"].map(str::to_owned), "6".to_owned()));
        // released, and over by itself
        let second = counter.reserve("4", 60).await.expect(201).json();
        let second = format!("/api/usage/reservations/{}", second["id"].as_str().unwrap());
        for _ in 0..2 {
            assert_eq!(counter.shop.post(&format!("{second}/release"), Value::Null).await.expect(200).json()["state"], "released");
        }
        assert_eq!(counter.shop.post(&format!("{second}/commit"), json!({})).await.expect(409).json()["code"], "illegal_transition");
        let third = counter.reserve("4", 30).await.expect(201).json();
        let third = format!("/api/usage/reservations/{}", third["id"].as_str().unwrap());
        counter.one(&call("full")).await.expect(409);
        counter.shop.later(30).await;
        assert_eq!(counter.left("calls").await, ["6", "0", "4"]);
        assert_eq!(counter.shop.get(&third).await["state"], "expired");
        assert_eq!(counter.shop.post(&format!("{third}/commit"), json!({})).await.expect(409).json()["code"], "reservation_expired");
        let fourth = counter.reserve("4", 30).await.expect(201).json();
        let kept = event("call", "for-fourth", json!({"region": "eu"}));
        let path = format!("/api/usage/reservations/{}", fourth["id"].as_str().unwrap());
        let other = event("unheard", "other", json!({}));
        refused(&counter.shop.post(&format!("{path}/commit"), json!({"event": other})).await, &[("/event", "bad_value")]);
        assert_eq!(counter.shop.post(&format!("{path}/commit"), json!({"event": call("0")})).await.expect(409).json()["code"], "event_conflict");
        counter.shop.post(&format!("{path}/commit"), json!({"event": kept})).await.expect(200);
        assert_eq!(counter.left("calls").await, ["10", "0", "0"]);
        assert_eq!(counter.one(&kept).await.expect(200).json()["duplicates"], 1);
        assert_eq!(counter.shop.get(&third).await["state"], "expired");
    }

    async fn the_check_says_what_may_be_used_and_counts_it_once(world: World) {
        let counter = Counter::open(world, json!({})).await;
        let answer = counter.check(json!({"customer_id": "acme", "feature": "calls", "quantity": "3"})).await;
        let whole = json!({
            "allowed": true, "reason": "allowed", "customer_id": counter.customer, "status": "active",
            "snapshot_version": answer["snapshot_version"],
            "feature": {
                "key": "calls", "kind": "metered", "limit": "10", "used": "0", "reserved": "0", "remaining": "10",
                "resets_at": "2026-07-01T12:00:00Z", "overage": "deny", "reset": "period",
            },
            "checked_at": answer["checked_at"],
        });
        assert_eq!(answer, whole);
        assert_eq!(counter.check(json!({"client_id": "worker", "feature": "calls"})).await["allowed"], true);
        for (body, reason) in [
            (json!({"customer_id": "acme"}), "allowed"),
            (json!({"customer_id": "acme", "feature": "sso"}), "allowed"),
            (json!({"customer_id": "acme", "feature": "calls", "quantity": "11"}), "quota_exceeded"),
            (json!({"customer_id": "acme", "feature": "nothing"}), "feature_unknown"),
            (json!({"token": "no token at all"}), "client_inactive"),
            (json!({"client_id": "shop"}), "no_subscription"),
        ] {
            let answer = counter.check(body.clone()).await;
            assert_eq!((&answer["reason"], &answer["allowed"]), (&json!(reason), &json!(reason == "allowed")), "{body}");
        }
        let first = counter.consume("a", "4").await.expect(200).json();
        assert_eq!((&first["allowed"], &first["feature"]["used"], &first["feature"]["remaining"]), (&json!(true), &json!("4"), &json!("6")));
        assert_eq!(counter.consume("a", "4").await.expect(200).json(), first);
        counter.consume("a", "5").await.expect(422);
        assert_eq!(counter.consume("b", "7").await.expect(200).json()["reason"], "quota_exceeded");
        assert_eq!(counter.consume("c", "6").await.expect(200).json()["feature"]["remaining"], "0");
        assert_eq!(counter.used("calls").await, "10");
        let consume = json!({"customer_id": "acme", "feature": "calls", "mode": "consume"});
        assert_eq!(counter.shop.post("/api/check", consume).await.expect(400).json()["code"], "invalid_parameter");
        for (body, pointer) in [
            (json!({}), "/customer_id"),
            (json!({"customer_id": "acme", "client_id": "worker"}), "/customer_id"),
            (json!({"customer_id": "acme", "feature": "calls", "quantity": "0"}), "/quantity"),
            (json!({"customer_id": "acme", "feature": "calls", "quantity": "1000000000000000000"}), "/quantity"),
            (json!({"customer_id": "acme", "feature": "calls", "quantity": "0.5"}), "/quantity"),
            (json!({"customer_id": "acme", "feature": "sso", "quantity": "1"}), "/quantity"),
            (json!({"customer_id": "acme", "quantity": "1"}), "/quantity"),
            (json!({"customer_id": "acme", "mode": "take"}), "/mode"),
        ] {
            refused(&counter.shop.post("/api/check", body).await, &[(pointer, "bad_value")]);
        }
        for body in [json!({"customer_id": "nobody"}), json!({"client_id": "nobody"})] {
            counter.shop.post("/api/check", body).await.expect(404);
        }
        // without usage:write nothing is counted
        let secret = counter.shop.world.client("asker", json!({"scopes": ["entitlements:check"]})).await;
        let token = counter.shop.world.token("asker", &secret, "&scope=entitlements:check").await.expect(200).json();
        let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json"), (KEY, "z")];
        let body = json!({"customer_id": "acme", "feature": "tokens", "mode": "consume"}).to_string();
        assert_eq!(counter.shop.world.request(Method::POST, "/api/check", &headers, &body).await.expect(403).json()["code"], "insufficient_scope");
    }

    async fn a_scope_is_checked_by_the_feature_that_it_requires(world: World) {
        let counter = Counter::open(world, json!({})).await;
        let api = counter.shop.post("/api/apis", json!({"identifier": "https://api.example"})).await.expect(201).json();
        let scopes = format!("/api/apis/{}/scopes", api["id"].as_str().unwrap());
        for (name, requires) in [("reports:read", "sso"), ("audit:export", "vault")] {
            counter.shop.post("/api/features", json!({"key": "vault", "kind": "boolean"})).await;
            counter.shop.post(&scopes, json!({"name": name, "requires_feature": requires})).await.expect(201);
        }
        for (scope, reason) in [("reports:read", "allowed"), ("audit:export", "scope_not_entitled")] {
            assert_eq!(counter.check(json!({"customer_id": "acme", "scope": scope})).await["reason"], reason);
        }
        refused(&counter.shop.post("/api/check", json!({"customer_id": "acme", "scope": "no:such"})).await, &[("/scope", "bad_value")]);
    }

    async fn as_many_of_the_parallel_consumers_succeed_as_there_is_room_for(world: World) {
        let mut counter = Counter::open(world, json!({})).await;
        counter.consume("before", "3").await.expect(200);
        // what one holds the others cannot consume, whichever comes first
        let keys: Vec<String> = (0..10).map(|n| format!("key-{n}")).collect();
        let (consumed, held) = futures_util::future::join(
            futures_util::future::join_all(keys.iter().map(|key| counter.consume(key, "1"))),
            futures_util::future::join_all((0..10).map(|_| counter.reserve("1", 600))),
        ).await;
        let consumed = consumed.into_iter().filter(|answer| answer.json()["reason"] == "allowed").count();
        let held = held.into_iter().filter(|answer| answer.status == 201).count();
        assert_eq!(consumed + held, 7, "{consumed} consumed, {held} held");
        let used = (3 + consumed).to_string();
        assert_eq!((counter.left("calls").await, counter.used("calls").await), ([used.clone(), held.to_string(), "0".to_owned()], used));
        // far from every threshold the statement alone keeps what is held
        for round in 0..8 {
            counter.shop.later(3_600).await;
            let hold = json!({"customer_id": "acme", "feature": "tokens", "quantity": "1.5"});
            let take = json!({"customer_id": "acme", "feature": "tokens", "quantity": "1.2", "mode": "consume"});
            let key = format!("round-{round}");
            let headers = [(KEY, key.as_str())];
            let (held, taken) = futures_util::future::join(
                counter.shop.post("/api/usage/reservations", hold),
                counter.shop.world.admin_with(Method::POST, "/api/check", &headers, take),
            ).await;
            let both = (held.status == 201, taken.expect(200).json()["allowed"] == true);
            assert!(both.0 != both.1, "{both:?} with {:?}", counter.left("tokens").await);
        }
    }

    async fn the_same_event_from_many_sides_counts_once(world: World) {
        let counter = Counter::open(world, json!({})).await;
        let one = call("same");
        let events = [call("a"), one.clone(), call("b")];
        let (batches, singles) = futures_util::future::join(
            futures_util::future::join_all((0..4).map(|_| counter.batch(&events))),
            futures_util::future::join_all((0..12).map(|_| counter.one(&one))),
        ).await;
        let singles = singles.into_iter().map(|answer| answer.expect(200).json());
        let (accepted, duplicates) = batches.into_iter().chain(singles).map(|report| counts(&report)).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        assert_eq!((accepted, duplicates), (3, 21));
        assert_eq!((counter.left("calls").await[0].as_str(), counter.used("calls").await.as_str()), ("3", "3"));
    }

    async fn a_client_of_a_customer_reports_and_asks_for_that_customer_alone(world: World) {
        let counter = Counter::open(world, json!({})).await;
        let other = counter.shop.customer("globex").await;
        counter.shop.subscribe("globex", "starter").await;
        let own = [call("1"), event("call", "2", json!({})), json!({"specversion": "1.0", "id": "3", "source": "w", "type": "call", "subject": "worker"})];
        let report = counter.worker(Method::POST, "/api/usage/events", &[], &json!(own)).await.expect(200).json();
        assert_eq!(counts(&report), (3, 0));
        let mut foreign = call("4");
        foreign["subject"] = json!(other);
        let refused = counter.worker(Method::POST, "/api/usage/events", &[], &foreign).await.expect(422).json();
        assert_eq!(refused["code"], "customer_unknown");
        for name in ["globex", other.as_str()] {
            let check = json!({"customer_id": name, "feature": "calls"});
            counter.worker(Method::POST, "/api/check", &[], &check).await.expect(404);
            let consume = json!({"customer_id": name, "feature": "calls", "mode": "consume"});
            counter.worker(Method::POST, "/api/check", &[(KEY, name)], &consume).await.expect(404);
            let reserve = json!({"customer_id": name, "feature": "calls", "quantity": "1"});
            counter.worker(Method::POST, "/api/usage/reservations", &[], &reserve).await.expect(404);
            let query = format!("/api/usage/query?customer_id={name}&meter=calls&from=2026-01-01T00:00:00Z&to=2027-01-01T00:00:00Z");
            counter.worker(Method::GET, &query, &[], &Value::Null).await.expect(404);
        }
        counter.worker(Method::GET, "/api/usage/query?customer_id=acme&meter=calls&from=2026-01-01T00:00:00Z&to=2027-01-01T00:00:00Z", &[], &Value::Null).await.expect(200);
        for path in ["/api/usage/events", "/api/usage/rejections"] {
            counter.worker(Method::GET, path, &[], &Value::Null).await.expect(404);
        }
        // nor does it settle what others hold, or correct what they used
        let held = counter.shop.post("/api/usage/reservations", json!({"customer_id": "globex", "feature": "calls", "quantity": "2"})).await.expect(201).json();
        let path = format!("/api/usage/reservations/{}", held["id"].as_str().unwrap());
        counter.worker(Method::GET, &path, &[], &Value::Null).await.expect(404);
        for verb in ["commit", "release"] {
            let body = if verb == "commit" { json!({}) } else { Value::Null };
            counter.worker(Method::POST, &format!("{path}/{verb}"), &[], &body).await.expect(404);
        }
        foreign["id"] = json!("5");
        counter.one(&foreign).await.expect(200);
        let correction = json!({"source": "test", "id": "5", "void": true, "reason": "not mine"});
        counter.worker(Method::POST, "/api/usage/corrections", &[], &correction).await.expect(404);
    }

    async fn what_paying_gives_decides_what_may_be_used_from_the_next_request_on(world: World) {
        let counter = Counter::open(world, json!({})).await;
        counter.consume("all", "10").await.expect(200);
        counter.one(&call("no")).await.expect(409);
        counter.shop.ask(&counter.subscription, "change", json!({"plan": "more"})).await.expect(200);
        counter.one(&call("yes")).await.expect(200);
        assert_eq!(counter.left("calls").await, ["11", "0", "9"]);
        let lacking = counter.one(&event("tokens", "1", json!({"n": 1}))).await.expect(422).json();
        assert_eq!(lacking["code"], "no_entitlement");
        assert_eq!(counter.check(json!({"customer_id": "acme", "feature": "tokens"})).await["reason"], "no_entitlement");
        // a meter that no feature rests on counts all the same
        counter.one(&event("balance", "1", json!({"n": -3}))).await.expect(200);
        counter.shop.post(&format!("/api/customers/{}/suspend", counter.customer), Value::Null).await.expect(200);
        let suspended = counter.one(&call("late")).await.expect(422).json();
        assert!(suspended["code"] == "no_entitlement" && suspended["detail"].as_str().unwrap().contains("suspended"), "{suspended}");
        assert_eq!(counter.check(json!({"customer_id": "acme", "feature": "calls"})).await["reason"], "subscription_inactive");
        let held = counter.reserve("1", 60).await.expect(409).json();
        assert_eq!(held["code"], "subscription_inactive");
        counter.shop.post(&format!("/api/customers/{}/reinstate", counter.customer), Value::Null).await.expect(200);
        counter.one(&call("late")).await.expect(200);
        counter.shop.ask(&counter.subscription, "cancel", json!({})).await.expect(200);
        assert_eq!(counter.check(json!({"customer_id": "acme", "feature": "calls"})).await["reason"], "subscription_inactive");
        counter.one(&call("gone")).await.expect(422);
        assert_eq!(counter.shop.delete(&format!("/api/customers/{}", counter.customer)).await.expect(409).json()["code"], "in_use");
    }

    async fn beyond_a_limit_usage_goes_on_where_the_plan_lets_it(world: World) {
        let counter = Counter::open(world, json!({"overage": "allow"})).await;
        counter.consume("most", "9").await.expect(200);
        assert_eq!(counter.consume("over", "4").await.expect(200).json()["reason"], "overage_free");
        assert_eq!(counter.left("calls").await, ["13", "0", "0"]);
        // each threshold is told once, in the commit that reaches it
        let told = counter.shop.get(&format!("/api/events?customer_id={}&types=entitlement.threshold_reached", counter.customer)).await;
        let percents: Vec<_> = told["data"].as_array().unwrap().iter().map(|one| one["data"]["percent"].as_i64().unwrap()).collect();
        assert_eq!(percents, [100, 80, 50]);
    }

    async fn a_window_counts_from_zero_when_it_is_over(world: World) {
        let mut counter = Counter::open(world, json!({})).await;
        counter.one(&event("tokens", "1", json!({"n": 2}))).await.expect(200);
        counter.one(&event("tokens", "2", json!({"n": 1}))).await.expect(409);
        // the hour before had room of its own
        let mut late = event("tokens", "3", json!({"n": 1}));
        late["time"] = json!(counter.shop.ago(3_600));
        counter.one(&late).await.expect(200);
        counter.shop.later(3_600).await;
        counter.one(&event("tokens", "4", json!({"n": 2.5}))).await.expect(200);
        // a period is not avoided by an earlier time
        let mut before = call("early");
        before["time"] = json!(counter.shop.ago(10 * 86_400));
        counter.one(&before).await.expect(200);
        assert_eq!(counter.left("calls").await, ["1", "0", "9"]);
        let list = counter.shop.get("/api/usage/events?limit=1").await;
        assert_eq!(list["data"][0]["state"], "late");
        let told = counter.shop.get(&format!("/api/events?customer_id={}&types=usage.late", counter.customer)).await;
        assert_eq!(told["data"][0]["data"]["count"], 1, "{told}");
        let query = "/api/usage/query?customer_id=acme&meter=tokens&from=2026-06-01T11:00:00Z&to=2026-06-01T14:00:00Z&window=hour";
        let values: Vec<Value> = counter.shop.get(query).await["data"].as_array().unwrap().iter().map(|one| json!([one["start"], one["value"]])).collect();
        assert_eq!(json!(values), json!([["2026-06-01T11:00:00Z", "1"], ["2026-06-01T12:00:00Z", "2"], ["2026-06-01T13:00:00Z", "2.5"]]));
    }

    async fn a_correction_changes_what_an_event_counts_and_keeps_both(world: World) {
        let counter = Counter::open(world, json!({})).await;
        for (id, n) in [("1", 2), ("2", 0)] {
            counter.one(&event("tokens", id, json!({"n": n}))).await.expect(200);
        }
        let correct = async |id: &str, more: Value| {
            let mut body = json!({"source": "test", "id": id, "reason": "miscounted"});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            counter.shop.post("/api/usage/corrections", body).await
        };
        let first = correct("1", json!({"value": "0.5"})).await.expect(200).json();
        assert_eq!(first, json!({"source": "test", "id": "1", "number": 1, "customer_id": counter.customer, "value": "0.5", "void": false, "reason": "miscounted"}));
        assert_eq!((counter.left("tokens").await[0].as_str(), counter.used("tokens").await.as_str()), ("0.5", "0.5"));
        assert_eq!(correct("1", json!({"void": true})).await.expect(200).json()["number"], 2);
        assert_eq!((counter.left("tokens").await[0].as_str(), counter.used("tokens").await.as_str()), ("0", "0"));
        counter.one(&event("tokens", "3", json!({"n": 2.5}))).await.expect(200);
        for (id, n) in [("1", 60), ("2", 90)] {
            counter.one(&event("peak", &format!("p{id}"), json!({"n": n}))).await.expect(200);
        }
        correct("p2", json!({"value": "70"})).await.expect(200);
        assert_eq!((counter.left("peak").await[0].as_str(), counter.used("peak").await.as_str()), ("70", "70"));
        correct("p2", json!({"void": true})).await.expect(200);
        assert_eq!((counter.left("peak").await[0].as_str(), counter.used("peak").await.as_str()), ("60", "60"));
        for (more, pointer) in [(json!({}), "/value"), (json!({"value": "1", "void": true}), "/value"), (json!({"value": "x"}), "/value")] {
            refused(&correct("1", more).await, &[(pointer, "bad_value")]);
        }
        refused(&correct("1", json!({"value": "-1"})).await, &[("/value", "bad_value")]);
        correct("none", json!({"void": true})).await.expect(404);
        let log = counter.shop.get("/api/audit/records?action=usage.corrected").await;
        assert_eq!(log["data"].as_array().unwrap().len(), 4, "{log}");
    }

    async fn bad_events_are_refused_by_name_and_nothing_is_counted(world: World) {
        let counter = Counter::open(world, json!({})).await;
        let with = |name: &str, value: Value| {
            let mut event = event("tokens", "bad", json!({"n": 1}));
            event[name] = value;
            event
        };
        let ahead = kernel::clock::Clock::now(&*counter.shop.world.clock).plus_seconds(301).to_string();
        let bad = [
            (with("id", json!("")), "event_invalid"),
            (with("specversion", json!("0.3")), "event_invalid"),
            (with("time", json!("yesterday")), "event_invalid"),
            (with("time", json!(ahead)), "event_in_future"),
            (with("time", json!(counter.shop.ago(36 * 86_400))), "event_too_old"),
            (with("subject", json!("nobody")), "customer_unknown"),
            (with("subject", Value::Null), "customer_unknown"),
            (with("subject", json!("cus_00000000000000000000000001")), "customer_unknown"),
            (with("data", json!({})), "value_invalid"),
            (with("data", json!({"n": "NaN"})), "value_invalid"),
            (with("data", json!({"n": [1]})), "value_invalid"),
            (with("data", json!({"n": "1e30"})), "value_invalid"),
            (with("data", json!({"n": "0.0000000000001"})), "value_invalid"),
            (with("data", json!({"n": -1})), "value_negative"),
            (with("data", json!({"n": 1, "pad": "x".repeat(66_000)})), "event_too_large"),
        ];
        let events: Vec<Value> = bad.iter().map(|(event, _)| event.clone()).collect();
        let report = counter.batch(&events).await;
        let expected: Vec<_> = bad.iter().zip(0_u64..).map(|((_, code), at)| (at, (*code).to_owned())).collect();
        assert_eq!((counts(&report), codes(&report)), ((0, 0), expected));
        for (event, code) in &bad {
            assert_eq!(counter.one(event).await.expect(422).json()["code"], **code);
        }
        for (kind, body) in [("application/cloudevents-batch+json", "{}"), ("application/cloudevents+json", "[]"), ("application/cloudevents+json", "{"), ("application/json", "nothing")] {
            counter.send(kind, &[], body).await.expect(400);
        }
        let many = format!("[{}1]", "1,".repeat(10_000));
        counter.send("application/cloudevents-batch+json", &[], &many).await.expect(413);
        // an event that no meter looks at is kept, and told apart
        counter.one(&event("unheard", "1", json!({}))).await.expect(200);
        let list = counter.shop.get("/api/usage/events").await;
        assert_eq!((list["data"].as_array().unwrap().len(), &list["data"][0]["state"]), (1, &json!("unmatched")));
        assert_eq!((counter.left("tokens").await, counter.left("calls").await), (["0", "0", "2.5"].map(str::to_owned), ["0", "0", "10"].map(str::to_owned)));
    }

    async fn usage_is_read_by_window_and_group(world: World) {
        let counter = Counter::open(world, json!({"overage": "allow"})).await;
        let mut events = Vec::new();
        for (id, region, minutes) in [("1", "eu", 0), ("2", "us", 1), ("3", "eu", 61), ("4", "eu", 24 * 60)] {
            let mut event = event("call", id, json!({"region": region}));
            event["time"] = json!(counter.shop.ago(minutes * 60));
            events.push(event);
        }
        counter.batch(&events).await;
        let query = async |more: &str| {
            let path = format!("/api/usage/query?customer_id=acme&meter=calls&from=2026-05-01T00:00:00Z&to=2026-07-01T00:00:00Z{more}");
            let found = counter.shop.get(&path).await;
            assert_eq!(found["as_of"], 4);
            let one = |one: &Value| format!("{} {} {}", one["start"].as_str().unwrap(), one["group"], one["value"].as_str().unwrap());
            found["data"].as_array().unwrap().iter().map(one).collect::<Vec<_>>()
        };
        assert_eq!(query("").await, ["2026-05-01T00:00:00Z {} 4"]);
        assert_eq!(query("&window=day").await, ["2026-05-31T00:00:00Z {} 1", "2026-06-01T00:00:00Z {} 3"]);
        assert_eq!(query("&window=month&group_by=region").await, [
            "2026-05-01T00:00:00Z {\"region\":\"eu\"} 1", "2026-06-01T00:00:00Z {\"region\":\"eu\"} 2", "2026-06-01T00:00:00Z {\"region\":\"us\"} 1",
        ]);
        // a day of Kiritimati begins fourteen hours before that of Greenwich
        assert_eq!(query("&window=day&timezone=Pacific/Kiritimati").await, ["2026-05-31T10:00:00Z {} 1", "2026-06-01T10:00:00Z {} 3"]);
        for (more, name) in [("&window=week", "window"), ("&timezone=Mars", "timezone"), ("&group_by=color", "group_by")] {
            let path = format!("/api/usage/query?customer_id=acme&meter=calls&from=2026-05-01T00:00:00Z&to=2026-07-01T00:00:00Z{more}");
            let refused = counter.shop.world.admin(Method::GET, &path, Value::Null).await.expect(400).json();
            assert_eq!(refused["errors"][0]["parameter"], name, "{refused}");
        }
    }

    async fn a_person_sees_what_was_used_what_came_and_what_was_refused(world: World) {
        let counter = Counter::open(crate::console::relaxed(world.engine).await, json!({})).await;
        counter.batch(&[call("seen-1"), call("seen-2"), event("unheard", "seen-3", json!({}))]).await;
        counter.one(&event("tokens", "seen-4", json!({"n": "many"}))).await.expect(422);
        let mut ada = crate::console::owner(&counter.shop.world).await;
        let page = ada.get("/console/billing/usage?customer=acme&meter=calls&window=day").await.expect(200).text;
        for shown in ["seen-1", "seen-2", "No meter", "value_invalid", "seen-4", "Northwind Traders", "2026-06-01", "aria-label=\"100 % of the largest\""] {
            assert!(page.contains(shown), "{shown}: {page}");
        }
        let wrong = ada.get("/console/billing/usage?customer=nobody&meter=calls").await.expect(200).text;
        assert!(wrong.contains("There is no customer with this id"));
    }

    async fn the_form_of_openmeter_answers_as_openmeter_does(world: World) {
        let counter = Counter::open(world, json!({})).await;
        let bearer = format!("Bearer {}", counter.shop.world.admin);
        let send = async |kind: &str, body: String| {
            let headers = [("authorization", bearer.as_str()), ("content-type", kind)];
            counter.shop.world.request(Method::POST, "/api/v1/events", &headers, &body).await
        };
        for _ in 0..2 {
            assert_eq!(send("application/cloudevents+json", call("1").to_string()).await.expect(204).text, "");
        }
        send("application/cloudevents-batch+json", call("2").to_string()).await.expect(204);
        let mut again = call("1");
        again["time"] = json!(counter.shop.ago(5));
        send("application/cloudevents-batch+json", json!([again]).to_string()).await.expect(204);
        let other = send("application/cloudevents+json", event("call", "1", json!({"region": "eu"})).to_string()).await.expect(400).json();
        assert_eq!(codes(&other), [(0, "event_conflict".to_owned())]);
        let mut bad = call("4");
        bad["subject"] = json!("nobody");
        let refused = send("application/cloudevents-batch+json", json!([call("3"), bad]).to_string()).await.expect(400).json();
        assert_eq!((&refused["code"], codes(&refused)), (&json!("events_rejected"), vec![(1, "customer_unknown".to_owned())]));
        assert_eq!(counter.used("calls").await, "3");
    }
}
