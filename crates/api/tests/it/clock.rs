//! The business clock of a sandbox: what moves with it, in order and once, and what does not.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};

use crate::on_both_engines;
use crate::tenants::token_at;
use crate::world::{Answer, World, basic, claims};

const DAY: i64 = 86_400;
const ADVANCE: &str = "/api/clock/advance";

/// A sandbox with its administrator's token.
struct Sandbox<'a> {
    world: &'a World,
    prefix: String,
    admin: String,
}

impl<'a> Sandbox<'a> {
    async fn new(world: &'a World, slug: &str) -> Self {
        let made =
            world.admin(Method::POST, "/api/tenants", json!({"slug": slug, "kind": "sandbox"})).await.expect(201);
        let made = made.json();
        let client = |name: &str| made["admin_client"][name].as_str().unwrap().to_owned();
        let prefix = format!("/t/{slug}");
        let (id, secret) = (client("client_id"), client("client_secret"));
        let token = token_at(world, &prefix, &id, &secret, "&scope=admin").await.expect(200).json();
        Self { world, prefix, admin: token["access_token"].as_str().unwrap().to_owned() }
    }

    async fn send(&self, method: Method, path: &str, more: &[(&str, &str)], body: &Value) -> Answer {
        let bearer = format!("Bearer {}", self.admin);
        let mut headers = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
        headers.extend_from_slice(more);
        let text = if body.is_null() { String::new() } else { body.to_string() };
        self.world.request(method, &format!("{}{path}", self.prefix), &headers, &text).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, &[], &body).await
    }

    async fn get(&self, path: &str) -> Value {
        self.send(Method::GET, path, &[], &Value::Null).await.expect(200).json()
    }

    async fn made(&self, path: &str, body: Value) -> String {
        self.post(path, body).await.expect(201).json()["id"].as_str().unwrap().to_owned()
    }

    async fn advance(&self, body: Value) -> Value {
        self.post(ADVANCE, body).await.expect(200).json()
    }

    async fn business_time(&self) -> String {
        self.get("/api/clock").await["business_time"].as_str().unwrap().to_owned()
    }

    async fn plan(&self, body: Value) {
        let plan = self.made("/api/plans", body).await;
        self.post(&format!("/api/plans/{plan}/publish"), Value::Null).await.expect(200);
    }

    async fn customer(&self, terms: Option<i64>) -> String {
        let body = json!({
            "name": "Northwind Traders", "currency": "EUR", "address": {"country": "DE"}, "payment_terms_days": terms,
        });
        self.made("/api/customers", body).await
    }

    /// The path of a new subscription.
    async fn subscribe(&self, customer: &str, plan: &str) -> String {
        let body = json!({"customer_id": customer, "plan": plan});
        format!("/api/subscriptions/{}", self.made("/api/subscriptions", body).await)
    }

    /// A client of a customer: its secret.
    async fn machine(&self, id: &str, customer: &str) -> String {
        let body = json!({"client_id": id, "scopes": ["read"], "customer_id": customer});
        self.post("/api/clients", body).await.expect(201).json()["client_secret"].as_str().unwrap().to_owned()
    }

    async fn token(&self, id: &str, secret: &str) -> Answer {
        token_at(self.world, &self.prefix, id, secret, "").await
    }

    async fn is_active(&self, id: &str, secret: &str, token: &str) -> bool {
        let path = format!("{}/oauth2/introspect", self.prefix);
        let header = basic(id, secret);
        let answer = self.world.form(&path, &[("authorization", &header)], &format!("token={token}")).await;
        answer.expect(200).json()["active"] == true
    }

    /// The events of a customer, the first one first; their numbers have no gap.
    async fn events(&self, customer: &str) -> Vec<Value> {
        let page = self.get(&format!("/api/events?customer_id={customer}&limit=200")).await;
        let mut events = page["data"].as_array().unwrap().clone();
        events.reverse();
        for (event, number) in events.iter().zip(1_i64..) {
            assert_eq!(event["sequence"], number, "{event}");
        }
        events
    }

    async fn told(&self, customer: &str) -> Vec<String> {
        self.events(customer).await.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }

    async fn records(&self, action: &str) -> Vec<Value> {
        let page = self.get(&format!("/api/audit/records?action={action}&limit=200")).await;
        page["data"].as_array().unwrap().clone()
    }
}

/// The seconds that a token lives, by its own claims.
fn life(answer: &Answer) -> i64 {
    let claims = claims(answer.json()["access_token"].as_str().unwrap()).1;
    claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap()
}

fn pro() -> Value {
    json!({
        "key": "pro", "name": "Pro", "cadence": "month", "trial_days": 14,
        "prices": [{"model": "flat", "amount": "49", "currency": "EUR", "timing": "advance"}],
    })
}

/// What a year does to customers of one sandbox, moved by these steps in days: per plan the subscription at the end and
/// what was told of it.
async fn year(world: &World, slug: &str, steps: &[i64]) -> BTreeMap<String, (Value, Vec<Value>)> {
    let sandbox = Sandbox::new(world, slug).await;
    sandbox.advance(json!({"to": "2027-01-31T12:00:00Z"})).await;
    let price = json!([{"model": "flat", "amount": "1", "currency": "EUR", "timing": "advance"}]);
    for (key, more) in [
        ("monthly", json!({})),
        ("tried", json!({"trial_days": 20})),
        ("canceled", json!({})),
        ("late", json!({"grace_days": 9, "prices": price})),
        ("yearly", json!({"cadence": "year"})),
        ("ends", json!({"cadence": "week"})),
    ] {
        let mut body = json!({"key": key, "name": key, "cadence": "month"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        sandbox.plan(body).await;
    }
    let mut all = BTreeMap::new();
    for key in ["monthly", "tried", "canceled", "late", "yearly", "ends"] {
        let customer = sandbox.customer(Some(14)).await;
        let mut body = json!({"customer_id": customer, "plan": key});
        if key == "ends" {
            body["term_end"] = json!("2027-03-10T00:00:00Z");
        }
        let path = format!("/api/subscriptions/{}", sandbox.made("/api/subscriptions", body).await);
        if key == "canceled" {
            sandbox.post(&format!("{path}/cancel"), json!({"at": "period_end"})).await.expect(200);
        }
        if key == "late" {
            let since = sandbox.business_time().await;
            sandbox.post(&format!("{path}/payment-status"), json!({"overdue_since": since})).await.expect(200);
        }
        all.insert(key.to_owned(), (path, customer));
    }
    for days in steps {
        sandbox.advance(json!({"by_seconds": days * DAY})).await;
    }
    let mut found = BTreeMap::new();
    for (key, (path, customer)) in all {
        let mut subscription = sandbox.get(&path).await;
        for own in ["id", "customer_id", "plan_id"] {
            subscription.as_object_mut().unwrap().remove(own);
        }
        let told = sandbox.events(&customer).await;
        let told = told.iter().filter(|event| event["data"]["object"] == "subscription");
        let told = told.map(|event| json!([event["type"], event["data"]["at"], event["data"]["status"]])).collect();
        found.insert(key, (subscription, told));
    }
    found
}

on_both_engines! {
    async fn what_time_does_is_recorded_before_the_answer_and_tokens_follow_it(world: World) {
        let sandbox = Sandbox::new(&world, "box").await;
        sandbox.plan(pro()).await;
        // who agreed how to pay goes on after the trial, who did not is paused
        let (payer, other) = (sandbox.customer(Some(14)).await, sandbox.customer(None).await);
        for customer in [&payer, &other] {
            sandbox.subscribe(customer, "pro").await;
        }
        let paying = sandbox.machine("paying", &payer).await;
        let trying = sandbox.machine("trying", &other).await;
        let start = json!({
            "kind": "sandbox", "business_time": "2026-06-01T12:00:00Z", "machine_time": "2026-06-01T12:00:00Z", "ahead_seconds": 0,
        });
        assert_eq!(sandbox.get("/api/clock").await, start);
        assert_eq!((life(&sandbox.token("paying", &paying).await), life(&sandbox.token("trying", &trying).await)), (900, 900));

        let moved = sandbox.advance(json!({"to": "2026-06-15T11:58:20Z"})).await;
        assert_eq!(moved, json!({
            "kind": "sandbox", "business_time": "2026-06-15T11:58:20Z", "machine_time": "2026-06-01T12:00:00Z",
            "ahead_seconds": 14 * DAY - 100,
        }));
        assert_eq!(sandbox.get("/api/clock").await, moved);
        assert_eq!(sandbox.told(&payer).await.last().unwrap(), "subscription.trial_ending");
        // no token outlives the access that it rests on, whichever clock is ahead
        let held = sandbox.token("trying", &trying).await.expect(200);
        assert_eq!((life(&held), life(&sandbox.token("paying", &paying).await)), (100, 900));
        let held = held.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(claims(&held).1["iat"].as_i64().unwrap(), kernel::clock::Clock::now(&*world.clock).as_seconds());
        assert!(sandbox.is_active("trying", &trying, &held).await);

        sandbox.advance(json!({"by_seconds": 100})).await;
        let created = ["customer.created", "subscription.created", "entitlement.changed"];
        let ended = ["subscription.trial_ending", "subscription.trial_ended"];
        assert_eq!(sandbox.told(&payer).await, [&created[..], &ended[..], &["subscription.activated"]].concat());
        assert_eq!(sandbox.told(&other).await, [&created[..], &ended[..], &["subscription.paused", "entitlement.changed"]].concat());
        let standing = sandbox.get(&format!("/api/customers/{other}/standing")).await;
        assert_eq!((&standing["status"], &standing["access"]), (&json!("paused"), &json!("none")));
        let refused = sandbox.token("trying", &trying).await.expect(400);
        assert_eq!(refused.error(), "unauthorized_client");
        assert!(!sandbox.is_active("trying", &trying, &held).await, "its exp is not past, the access is");
        assert_eq!(life(&sandbox.token("paying", &paying).await), 900);

        let records = sandbox.records("clock.advanced").await;
        assert_eq!(records.len(), 2);
        let last = &records[0];
        let time = |at: &str| json!({"business_time": at});
        assert_eq!((&last["before"], &last["after"]), (&time("2026-06-15T11:58:20Z"), &time("2026-06-15T12:00:00Z")));
        assert_eq!((&last["at"], &last["business_at"]), (&json!("2026-06-01T12:00:00Z"), &json!("2026-06-15T11:58:20Z")));
        assert_eq!((&last["object_kind"], &last["object_id"]), (&json!("tenant"), &json!("box")));
        let recorded = sandbox.records("subscription.time_recorded").await;
        assert_eq!(recorded.len(), 4, "two customers, twice: {recorded:?}");
        assert_eq!((&recorded[0]["at"], &recorded[0]["business_at"]), (&json!("2026-06-01T12:00:00Z"), &json!("2026-06-15T12:00:00Z")));
        let heard = sandbox.get("/api/events?types=tenant.updated").await;
        assert_eq!(heard["data"][0]["data"]["changed"], time("2026-06-15T12:00:00Z"));
        // another tenant has its own time
        let home = world.admin(Method::GET, "/api/clock", Value::Null).await.expect(200).json();
        assert_eq!((&home["kind"], &home["ahead_seconds"]), (&json!("live"), &json!(0)));
    }

    async fn a_year_in_steps_and_in_one_jump_comes_to_the_same_once_each(world: World) {
        let stepped = year(&world, "steps", &[31; 12]).await;
        let jumped = year(&world, "jump", &[372]).await;
        assert_eq!(stepped, jumped);
        let times = |key: &str, kind: &str| {
            let told = stepped[key].1.iter().filter(|event| event[0] == kind);
            told.map(|event| event[1].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let months: Vec<String> = [
            "2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31", "2027-06-30", "2027-07-31", "2027-08-31", "2027-09-30",
            "2027-10-31", "2027-11-30", "2027-12-31", "2028-01-31",
        ].iter().map(|day| format!("{day}T12:00:00Z")).collect();
        assert_eq!(times("monthly", "subscription.updated"), months);
        assert_eq!(stepped["monthly"].0["period_start"], "2028-01-31T12:00:00Z");
        for kind in ["subscription.trial_ending", "subscription.trial_ended", "subscription.activated"] {
            assert_eq!(times("tried", kind).len(), 1, "{kind}");
        }
        assert_eq!(times("tried", "subscription.trial_ended"), ["2027-02-20T12:00:00Z"]);
        assert_eq!(times("canceled", "subscription.canceled"), ["2027-02-28T12:00:00Z"]);
        assert_eq!(times("late", "subscription.unpaid"), ["2027-02-09T12:00:00Z"]);
        assert_eq!(times("yearly", "subscription.updated"), ["2028-01-31T12:00:00Z"]);
        assert_eq!((times("ends", "subscription.ended"), times("ends", "subscription.updated").len()), (vec!["2027-03-10T00:00:00Z".to_owned()], 5));
        assert_eq!(stepped["late"].0["status"], "unpaid");
    }

    async fn more_steps_than_one_commit_holds_are_all_recorded(world: World) {
        let sandbox = Sandbox::new(&world, "box").await;
        sandbox.plan(json!({"key": "daily", "name": "Daily", "cadence": "day"})).await;
        let customer = sandbox.customer(None).await;
        let path = sandbox.subscribe(&customer, "daily").await;
        sandbox.advance(json!({"by_seconds": 800 * DAY})).await;
        let recorded = sandbox.records("subscription.time_recorded").await;
        assert_eq!(recorded.len(), 3, "366, 366 and 68 steps");
        let events = sandbox.get(&format!("/api/events?customer_id={customer}&limit=1")).await;
        assert_eq!((&events["data"][0]["sequence"], &events["data"][0]["data"]["at"]), (&json!(804), &json!("2028-08-09T12:00:00Z")));
        assert_eq!(sandbox.get(&path).await["period_start"], "2028-08-09T12:00:00Z");
    }

    async fn a_clock_moves_forward_only_and_a_live_one_not_at_all(world: World) {
        let body = json!({"by_seconds": 60});
        let live = world.admin(Method::POST, ADVANCE, body).await.expect(409).json();
        assert_eq!(live["code"], "live_tenant");
        let sandbox = Sandbox::new(&world, "box").await;
        let moved = sandbox.advance(json!({"by_seconds": 3_600})).await;
        let ten_years = 3_653 * DAY;
        for (body, pointer, code) in [
            (json!({}), "/to", "required"),
            (json!({"to": "2026-06-02T00:00:00Z", "by_seconds": 60}), "/to", "required"),
            (json!({"to": "2026-06-01T13:00:00Z"}), "/to", "out_of_range"),
            (json!({"to": "2026-06-01T12:30:00Z"}), "/to", "out_of_range"),
            (json!({"to": "1970-01-01T00:00:00Z"}), "/to", "out_of_range"),
            (json!({"to": "9999-01-01T00:00:00Z"}), "/to", "out_of_range"),
            (json!({"to": "tomorrow"}), "/to", "bad_value"),
            (json!({"to": 7}), "/to", "wrong_type"),
            (json!({"by_seconds": 0}), "/by_seconds", "out_of_range"),
            (json!({"by_seconds": -1}), "/by_seconds", "out_of_range"),
            (json!({"by_seconds": i64::MIN}), "/by_seconds", "out_of_range"),
            (json!({"by_seconds": i64::MAX}), "/by_seconds", "out_of_range"),
            (json!({"by_seconds": ten_years}), "/by_seconds", "out_of_range"),
            (json!({"by_seconds": 1.5}), "/by_seconds", "wrong_type"),
            (json!({"by_seconds": 60, "by_days": 1}), "/by_days", "unknown_field"),
        ] {
            let refused = sandbox.post(ADVANCE, body.clone()).await.expect(422).json();
            assert_eq!((&refused["errors"][0]["pointer"], &refused["errors"][0]["code"]), (&json!(pointer), &json!(code)), "{body}");
            assert_eq!(refused["errors"].as_array().unwrap().len(), 1, "{body}");
        }
        assert_eq!(sandbox.get("/api/clock").await, moved);
        assert_eq!(sandbox.records("clock.advanced").await.len(), 1);
        let end = sandbox.advance(json!({"by_seconds": ten_years - 3_600})).await;
        assert_eq!((&end["business_time"], &end["ahead_seconds"]), (&json!("2036-06-01T12:00:00Z"), &json!(ten_years)));
        // it goes on with machine time
        world.clock.advance_seconds(60);
        assert_eq!(sandbox.business_time().await, "2036-06-01T12:01:00Z");
        // a change of anything else of the tenant leaves it where it is
        sandbox.send(Method::PATCH, "/api/limits", &[], &json!({"client": {"limit": 900}})).await.expect(200);
        world.admin(Method::PATCH, "/api/tenants/box", json!({"name": "Box"})).await.expect(200);
        assert_eq!(sandbox.business_time().await, "2036-06-01T12:01:00Z");
    }

    async fn moves_at_the_same_time_all_count_and_none_goes_back(world: World) {
        let sandbox = Sandbox::new(&world, "box").await;
        let hour = || sandbox.post(ADVANCE, json!({"by_seconds": 3_600}));
        let (first, second, third) = tokio::join!(hour(), hour(), hour());
        let mut ahead: Vec<i64> =
            [first, second, third].into_iter().map(|answer| answer.expect(200).json()["ahead_seconds"].as_i64().unwrap()).collect();
        ahead.sort_unstable();
        assert_eq!(ahead, [3_600, 7_200, 10_800]);
        assert_eq!(sandbox.get("/api/clock").await["ahead_seconds"], 10_800);
        let to = |time: &str| sandbox.post(ADVANCE, json!({"to": time}));
        let (near, far, by) = tokio::join!(to("2026-06-01T16:00:00Z"), to("2026-06-02T12:00:00Z"), hour());
        assert!([200, 422].contains(&near.status.as_u16()), "{}", near.text);
        far.expect(200);
        let end = by.expect(200).json()["ahead_seconds"].as_i64().unwrap();
        let shown = sandbox.get("/api/clock").await["ahead_seconds"].as_i64().unwrap();
        assert_eq!(shown, end.max(DAY), "whoever came last, the clock is at the latest of them");

        // a repeat with the same key moves nothing, and brings what is still to be recorded
        let key = [("idempotency-key", "one-day")];
        let day = json!({"by_seconds": DAY});
        let moved = sandbox.send(Method::POST, ADVANCE, &key, &day).await.expect(200);
        sandbox.plan(json!({"key": "free", "name": "Free", "cadence": "month"})).await;
        let customer = sandbox.customer(None).await;
        let soon = kernel::clock::Timestamp::parse(&sandbox.business_time().await).unwrap().plus_seconds(60).to_string();
        sandbox.made("/api/subscriptions", json!({"customer_id": customer, "plan": "free", "term_end": soon})).await;
        world.clock.advance_seconds(61);
        let again = sandbox.send(Method::POST, ADVANCE, &key, &day).await.expect(200);
        assert_eq!((again.header("idempotent-replayed"), &again.text), ("true", &moved.text));
        assert_eq!(sandbox.get("/api/clock").await["ahead_seconds"], shown + DAY);
        assert!(sandbox.told(&customer).await.contains(&"subscription.ended".to_owned()));
    }
}
