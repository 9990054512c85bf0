//! Webhook endpoints: what is taken and refused, keys and their roll, tests, pauses, the log, sending again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use jose::mac::HmacKey;
use kernel::clock::Clock as _;
use kernel::id::{self, Id};
use kernel::tenant::DEFAULT;
use serde_json::{Value, json};
use store::{Batch, Upkeep, params};
use webhook::{Endpoint, Signer, change, delivery, endpoint, sql};

use crate::on_both_engines;
use crate::world::{Answer, World};

const WEBHOOKS: &str = "/api/webhooks";

async fn post(world: &World, path: &str, body: Value) -> Answer {
    world.admin(Method::POST, path, body).await
}

async fn get(world: &World, path: &str) -> Value {
    world.admin(Method::GET, path, Value::Null).await.expect(200).json()
}

/// A new endpoint with these members beside its URL and types.
async fn made(world: &World, more: Value) -> Value {
    let mut body = json!({"url": "https://hooks.example.com/in", "types": ["client.*"]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    post(world, WEBHOOKS, body).await.expect(201).json()
}

fn path(endpoint: &Value, rest: &str) -> String {
    format!("{WEBHOOKS}/{}{rest}", endpoint["id"].as_str().unwrap())
}

async fn stored(world: &World, endpoint: &Value) -> Endpoint {
    let id = Id::parse(endpoint["id"].as_str().unwrap()).unwrap();
    endpoint::read(&world.auth.store, DEFAULT, id).await.unwrap().unwrap()
}

/// The pointers and codes of a 422.
fn refused(answer: Answer) -> Vec<(String, String)> {
    let problem = answer.expect(422).json();
    assert_eq!(problem["code"], "validation_failed");
    let text = |error: &Value, name: &str| error[name].as_str().unwrap().to_owned();
    problem["errors"].as_array().unwrap().iter().map(|e| (text(e, "pointer"), text(e, "code"))).collect()
}

/// Ends a delivery as the sender does.
async fn end(world: &World, endpoint: &Value, delivery: &str, state: &str) {
    store::statements! {
        /// A delivery that ended.
        END = "UPDATE webhook_delivery SET state = ?4, next_at = NULL, ended_at = ?5, attempts = 1, tries = 1 \
            WHERE tenant_id = ?1 AND endpoint_id = ?2 AND id = ?3";
    }
    assert_eq!(ALL.len(), 1);
    let id = Id::<id::Delivery>::parse(delivery).unwrap();
    let values = params![DEFAULT, stored(world, endpoint).await.id, id, state, world.clock.now()];
    world.auth.store.upkeep(Upkeep::Attempt, Batch::new().expect(1, &END, values)).await.unwrap();
}

async fn tested(world: &World, endpoint: &Value) -> String {
    let test = post(world, &path(endpoint, "/test"), Value::Null).await.expect(202).json();
    test["delivery_id"].as_str().unwrap().to_owned()
}

on_both_engines! {
    async fn an_endpoint_is_created_read_changed_listed_and_deleted(world: World) {
        let made = post(&world, WEBHOOKS, json!({
            "url": "https://hooks.example.com/in", "types": ["client.*", "token.revoked"], "description": "Billing",
            "signing": "both", "rate_per_second": 20,
        })).await.expect(201);
        let body = made.json();
        let own = path(&body, "");
        assert!(made.header("location").ends_with(&own), "{}", made.header("location"));
        assert!(body["secret"].as_str().unwrap().starts_with("whsec_"));
        assert!(body["public_key"].as_str().unwrap().starts_with("whpk_"));
        let read = world.admin(Method::GET, &own, Value::Null).await.expect(200);
        assert!(!read.text.contains("whsec_") && !read.text.contains("whsk_"));
        assert_eq!(read.json()["types"], json!(["client.*", "token.revoked"]));
        assert_eq!(read.json()["state"], "enabled");
        let health = json!({"backlog": 0, "is_backlog_capped": false, "attempts": 0, "succeeded": 0, "p95_ms": null});
        assert_eq!(read.json()["health"], health);

        let tag = read.header("etag").to_owned();
        let patch = json!({"url": "https://hooks.example.com/other", "rate_per_second": null});
        let changed = world.admin_with(Method::PATCH, &own, &[("if-match", &tag)], patch.clone()).await.expect(200);
        assert_eq!((&changed.json()["rate_per_second"], &changed.json()["signing"]), (&Value::Null, &json!("both")));
        assert!(changed.json().get("secret").is_none());
        world.admin_with(Method::PATCH, &own, &[("if-match", &tag)], patch).await.expect(412);

        world.clock.advance_seconds(1);
        let other = self::made(&world, json!({"signing": "v1a"})).await;
        assert!(other.get("secret").is_none(), "{other}");
        let list = get(&world, &format!("{WEBHOOKS}?limit=1")).await;
        assert_eq!((&list["data"][0]["id"], &list["has_more"]), (&body["id"], &json!(true)));
        let next = format!("{WEBHOOKS}?limit=1&cursor={}", list["next_cursor"].as_str().unwrap());
        assert_eq!(get(&world, &next).await["data"][0]["id"], other["id"]);

        world.admin(Method::DELETE, &own, Value::Null).await.expect(204);
        for gone in ["", "/deliveries"] {
            world.admin(Method::GET, &path(&body, gone), Value::Null).await.expect(404);
        }
    }

    async fn bad_endpoints_are_refused_with_every_reason_at_its_place(world: World) {
        let answer = post(&world, WEBHOOKS, json!({
            "url": "http://hooks.example.com", "types": ["client.creatd", "token.revoked"], "signing": "v2",
            "rate_per_second": 1_001, "description": "x".repeat(201), "secret": "whsec_x",
        })).await;
        assert_eq!(refused(answer), [
            ("/secret", "unknown_field"), ("/url", "url_not_allowed"), ("/types/0", "unknown_type"),
            ("/description", "bad_value"), ("/signing", "bad_value"), ("/rate_per_second", "out_of_range"),
        ].map(|(pointer, code)| (pointer.to_owned(), code.to_owned())));
        let answer = post(&world, WEBHOOKS, json!({})).await;
        assert_eq!(refused(answer), [("/url", "required"), ("/types", "required")].map(|(p, c)| (p.to_owned(), c.to_owned())));
        for (body, pointer) in [
            (json!({"types": []}), "/types"),
            (json!({"types": null}), "/types"),
            (json!({"types": "client.*"}), "/types"),
            (json!({"types": vec!["client.*"; 101]}), "/types"),
            (json!({"types": ["invoice.*"]}), "/types/0"),
            (json!({"url": null}), "/url"),
            (json!({"url": "https://user:pass@hooks.example.com"}), "/url"),
            (json!({"url": "https://hooks.example.com/#x"}), "/url"),
            (json!({"url": "https://127.0.0.1/in"}), "/url"),
            (json!({"url": "https://0x7f.1/in"}), "/url"),
            (json!({"url": "https://169.254.169.254/latest"}), "/url"),
            (json!({"url": format!("https://hooks.example.com/{}", "x".repeat(2_048))}), "/url"),
            (json!({"rate_per_second": 0}), "/rate_per_second"),
        ] {
            let mut whole = json!({"url": "https://hooks.example.com", "types": ["client.*"]});
            whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
            let problems = refused(post(&world, WEBHOOKS, whole.clone()).await);
            assert_eq!(problems.len(), 1, "{whole}: {problems:?}");
            assert_eq!(problems[0].0, pointer);
        }
        let endpoint = made(&world, json!({})).await;
        let answer = world.admin(Method::PATCH, &path(&endpoint, ""), json!({"types": ["nothing"], "state": "paused"})).await;
        assert_eq!(refused(answer).len(), 2);
        let plain = json!({"url": "http://hooks.example.com/in", "types": ["*"]});
        let sandbox = post(&world, "/api/tenants", json!({"slug": "box", "kind": "sandbox"})).await.expect(201).json();
        let (id, secret) = (&sandbox["admin_client"]["client_id"], &sandbox["admin_client"]["client_secret"]);
        assert!(id.is_string() && secret.is_string(), "{sandbox}");
        let auth = [("authorization", crate::world::basic(id.as_str().unwrap(), secret.as_str().unwrap()))];
        let auth = auth.each_ref().map(|(name, value)| (*name, value.as_str()));
        let token = world.form("/t/box/oauth2/token", &auth, "grant_type=client_credentials&scope=admin").await.expect(200).json();
        let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        world.request(Method::POST, "/t/box/api/webhooks", &headers, &plain.to_string()).await.expect(201);
        // what belongs to another tenant does not exist
        let foreign = format!("/t/box{}", path(&endpoint, ""));
        world.request(Method::GET, &foreign, &headers, "").await.expect(404);
        world.request(Method::POST, &format!("{foreign}/test"), &headers, "").await.expect(404);
    }

    async fn a_tenant_has_fifty_endpoints_at_most(world: World) {
        let mut last = Value::Null;
        for _ in 0..50 {
            last = made(&world, json!({})).await;
        }
        let body = json!({"url": "https://hooks.example.com", "types": ["*"]});
        assert_eq!(refused(post(&world, WEBHOOKS, body.clone()).await), [(String::new(), "too_many".to_owned())]);
        world.admin(Method::DELETE, &path(&last, ""), Value::Null).await.expect(204);
        post(&world, WEBHOOKS, body).await.expect(201);
    }

    async fn a_message_is_signed_with_the_secret_that_was_shown_and_with_both_in_an_overlap(world: World) {
        let made = made(&world, json!({"signing": "both"})).await;
        let tag = |secret: &Value, at: i64| {
            let key = STANDARD.decode(secret.as_str().unwrap().strip_prefix("whsec_").unwrap()).unwrap();
            let tag = HmacKey::new(key.as_slice().try_into().unwrap()).tag(format!("evt_1.{at}.{{}}").as_bytes());
            format!("v1,{}", STANDARD.encode(tag))
        };
        let sign = async || {
            let signer = Signer::open(&world.auth, DEFAULT, &stored(&world, &made).await).await.unwrap();
            signer.sign("evt_1", world.clock.now(), b"{}").unwrap()
        };
        let now = || world.clock.now().as_seconds();
        let header = sign().await;
        assert_eq!((header.split(' ').count(), header.split(' ').next().unwrap()), (2, tag(&made["secret"], now()).as_str()));

        let roll = path(&made, "/roll-secret");
        for bad in [-1, 604_801] {
            let answer = post(&world, &roll, json!({"overlap_seconds": bad})).await;
            assert_eq!(refused(answer), [("/overlap_seconds".to_owned(), "out_of_range".to_owned())]);
        }
        let rolled = post(&world, &roll, json!({"overlap_seconds": 600})).await.expect(200).json();
        assert_ne!(rolled["secret"], made["secret"]);
        assert_eq!((&rolled["old_public_key"], &rolled["overlap_ends_at"]), (&made["public_key"], &json!("2026-06-01T12:10:00Z")));
        let both = sign().await;
        assert_eq!(both.split(' ').count(), 4, "{both}");
        assert!(both.contains(&tag(&made["secret"], now())) && both.contains(&tag(&rolled["secret"], now())));
        let again = post(&world, &roll, json!({})).await.expect(409).json();
        assert!(again["detail"].as_str().unwrap().contains("2026-06-01T12:10:00Z"), "{again}");

        world.clock.advance_seconds(600);
        assert_eq!(sign().await.split(' ').count(), 2);
        assert!(!sign().await.contains(&tag(&made["secret"], now())));
        let read = get(&world, &path(&made, "")).await;
        assert_eq!((&read["overlap_ends_at"], &read["old_public_key"]), (&Value::Null, &Value::Null));
        post(&world, &roll, json!({"overlap_seconds": 0})).await.expect(200);
        assert_eq!(sign().await.split(' ').count(), 2);

        let told = get(&world, "/api/events?types=webhook.secret_rolled").await;
        let ends: Vec<&Value> = told["data"].as_array().unwrap().iter().map(|e| &e["data"]["overlap_ends_at"]).collect();
        assert_eq!(ends, [&Value::Null, &json!("2026-06-01T12:10:00Z")]);
        let records = get(&world, &format!("/api/audit/records?object_id={}", made["id"].as_str().unwrap())).await;
        assert!(records["data"].as_array().unwrap().len() == 3 && !records.to_string().contains("whsec_"));
    }

    async fn an_endpoint_that_begins_to_use_a_secret_gets_one(world: World) {
        let endpoint = made(&world, json!({"signing": "v1a"})).await;
        let changed = world.admin(Method::PATCH, &path(&endpoint, ""), json!({"signing": "both"})).await.expect(200).json();
        assert!(changed["secret"].as_str().unwrap().starts_with("whsec_"));
        assert_eq!(changed["public_key"], endpoint["public_key"], "receivers of v1a keep their key");
        let changed = world.admin(Method::PATCH, &path(&endpoint, ""), json!({"signing": "v1"})).await.expect(200).json();
        assert!(changed.get("secret").is_none() && changed["public_key"].is_null());
    }

    async fn a_test_goes_to_its_endpoint_alone_and_a_pause_lets_deliveries_wait(world: World) {
        let endpoint = made(&world, json!({"types": ["webhook.*"]})).await;
        let delivery = tested(&world, &endpoint).await;
        let shown = get(&world, &path(&endpoint, &format!("/deliveries/{delivery}"))).await;
        assert_eq!((&shown["state"], &shown["type"], &shown["next_at"]), (&json!("pending"), &json!("webhook.test"), &json!("2026-06-01T12:00:00Z")));
        assert_eq!(shown["event"]["id"], shown["event_id"]);
        assert_eq!(shown["event"]["data"], json!({"object": "webhook_endpoint", "id": endpoint["id"]}));
        assert!(!stored(&world, &endpoint).await.filter.matches("webhook.test"), "no endpoint asks for the tests of others");

        let paused = post(&world, &path(&endpoint, "/pause"), Value::Null).await.expect(200).json();
        assert_eq!((&paused["state"], &paused["reason"]), (&json!("paused"), &json!("requested")));
        assert_eq!(get(&world, &path(&endpoint, "")).await["health"]["backlog"], 1);
        let shown = get(&world, &path(&endpoint, &format!("/deliveries/{delivery}"))).await;
        assert_eq!((&shown["state"], &shown["next_at"]), (&json!("pending"), &Value::Null));
        post(&world, &path(&endpoint, "/pause"), Value::Null).await.expect(409);
        post(&world, &path(&endpoint, "/test"), Value::Null).await.expect(409);
        post(&world, &path(&endpoint, &format!("/deliveries/{delivery}/resend")), Value::Null).await.expect(409);

        world.clock.advance_seconds(60);
        let resumed = post(&world, &path(&endpoint, "/resume"), Value::Null).await.expect(200).json();
        assert_eq!((&resumed["state"], &resumed["reason"]), (&json!("enabled"), &Value::Null));
        let list = get(&world, &path(&endpoint, "/deliveries")).await;
        let due: Vec<(&Value, &Value)> = list["data"].as_array().unwrap().iter().map(|d| (&d["id"], &d["next_at"])).collect();
        assert_eq!(due, [
            (&resumed["test"]["delivery_id"], &json!("2026-06-01T12:01:00Z")),
            (&json!(delivery), &json!("2026-06-01T12:01:02Z")),
        ], "the test goes ahead");
        assert!(stored(&world, &endpoint).await.slowed_at.is_some());
        post(&world, &path(&endpoint, "/resume"), Value::Null).await.expect(409);
    }

    async fn an_endpoint_that_fails_or_is_gone_is_stopped_and_comes_back(world: World) {
        let endpoint = made(&world, json!({})).await;
        let delivery = tested(&world, &endpoint).await;
        let tenant = world.tenant().await;
        let who = world.auth.system(&tenant, "webhooks");
        let held = stored(&world, &endpoint).await;
        let failing = Endpoint { failing_since: Some(world.clock.now()), ..held };
        world.auth.run(change::stop(&world.auth, &who, &tenant, &failing, endpoint::Reason::Failing)).await.unwrap();
        let shown = get(&world, &path(&endpoint, "")).await;
        assert_eq!((&shown["state"], &shown["reason"]), (&json!("paused"), &json!("failing")));
        // decided on a version that is past
        let late = change::stop(&world.auth, &who, &tenant, &failing, endpoint::Reason::Gone);
        assert!(matches!(world.auth.run(late).await, Err(auth::error::AdminError::Store(store::Error::Conflict(_)))));
        post(&world, &path(&endpoint, "/resume"), Value::Null).await.expect(200);

        let held = stored(&world, &endpoint).await;
        world.auth.run(change::stop(&world.auth, &who, &tenant, &held, endpoint::Reason::Gone)).await.unwrap();
        let shown = get(&world, &path(&endpoint, &format!("/deliveries/{delivery}"))).await;
        assert_eq!((&shown["state"], &shown["next_at"]), (&json!("canceled"), &Value::Null));
        world.client("missed", json!({})).await;
        let head = record::outbox::events_after(&world.auth.store, DEFAULT, 0, 200).await.unwrap().last().unwrap().position;
        post(&world, &path(&endpoint, "/resume"), Value::Null).await.expect(200);
        assert_eq!(stored(&world, &endpoint).await.fanned_to, head, "what happened meanwhile is missed");

        let told = get(&world, "/api/events?types=webhook.paused,webhook.disabled").await;
        let data: Vec<&Value> = told["data"].as_array().unwrap().iter().map(|event| &event["data"]).collect();
        assert_eq!(data, [
            &json!({"object": "webhook_endpoint", "id": endpoint["id"], "reason": "gone"}),
            &json!({"object": "webhook_endpoint", "id": endpoint["id"], "reason": "failing", "failing_since": "2026-06-01T12:00:00Z"}),
        ]);
    }

    async fn the_log_is_filtered_and_what_ended_is_sent_again(world: World) {
        let endpoint = made(&world, json!({})).await;
        let mut ids = Vec::new();
        for state in ["delivered", "failed", "canceled", "pending"] {
            let id = tested(&world, &endpoint).await;
            if state != "pending" {
                end(&world, &endpoint, &id, state).await;
            }
            ids.push(id);
            world.clock.advance_seconds(10);
        }
        let listed = async |query: &str| -> Vec<String> {
            let list = get(&world, &path(&endpoint, &format!("/deliveries?{query}"))).await;
            list["data"].as_array().unwrap().iter().map(|d| d["id"].as_str().unwrap().to_owned()).collect()
        };
        let newest_first: Vec<String> = ids.iter().rev().cloned().collect();
        assert_eq!(listed("").await, newest_first);
        assert_eq!(listed("status=failed").await, ids[1..2]);
        assert_eq!(listed("type=webhook.*").await.len(), 4);
        assert!(listed("type=token.*").await.is_empty());
        assert_eq!(listed("from=2026-06-01T12:00:10Z&to=2026-06-01T12:00:30Z").await, newest_first[1..3]);
        let page = get(&world, &path(&endpoint, "/deliveries?limit=3")).await;
        let rest = format!("limit=3&cursor={}", page["next_cursor"].as_str().unwrap());
        assert_eq!(listed(&rest).await, ids[..1]);
        for bad in ["status=lost", "type=nothing", "from=now", "cursor=x", "limit=0", "state=failed"] {
            world.admin(Method::GET, &path(&endpoint, &format!("/deliveries?{bad}")), Value::Null).await.expect(400);
        }

        let resend = path(&endpoint, "/resend");
        let range = json!({"from": "2026-06-01T12:00:00Z", "to": "2026-06-01T13:00:00Z"});
        let counted = post(&world, &format!("{resend}?dry_run=true"), range.clone()).await.expect(200).json();
        assert_eq!(counted, json!({"count": 3}), "what is pending is on its way");
        assert_eq!(listed("status=failed").await.len(), 1, "a dry run sends nothing");
        let failed = json!({"from": range["from"], "to": range["to"], "status": "failed", "types": ["webhook.*"]});
        assert_eq!(post(&world, &resend, failed).await.expect(202).json(), json!({"count": 1}));
        let shown = get(&world, &path(&endpoint, &format!("/deliveries/{}", ids[1]))).await;
        assert_eq!((&shown["state"], &shown["attempt_count"], &shown["ended_at"]), (&json!("pending"), &json!(1), &Value::Null));
        let one = post(&world, &path(&endpoint, &format!("/deliveries/{}/resend", ids[0])), Value::Null).await.expect(202).json();
        assert_eq!((&one["state"], &one["next_at"]), (&json!("pending"), &json!("2026-06-01T12:00:40Z")));

        assert_eq!(refused(post(&world, &resend, json!({})).await).len(), 2);
        let bad = json!({"from": "now", "to": range["to"], "status": "pending", "types": ["nothing"], "all": true});
        let pointers: Vec<String> = refused(post(&world, &resend, bad).await).into_iter().map(|(pointer, _)| pointer).collect();
        assert_eq!(pointers, ["/from", "/types", "/all", "/status"]);
        post(&world, &format!("{resend}?dry_run=perhaps"), range).await.expect(400);
        for id in ["dlv_00000000000000000000000000", "x"] {
            world.admin(Method::GET, &path(&endpoint, &format!("/deliveries/{id}")), Value::Null).await.expect(404);
            post(&world, &path(&endpoint, &format!("/deliveries/{id}/resend")), Value::Null).await.expect(404);
        }
        let other = made(&world, json!({})).await;
        world.admin(Method::GET, &path(&other, &format!("/deliveries/{}", ids[0])), Value::Null).await.expect(404);
    }

    async fn a_range_of_more_than_ten_thousand_is_not_sent_again(world: World) {
        store::statements! {
            /// An ended delivery.
            FILL = "INSERT INTO webhook_delivery (tenant_id, endpoint_id, id, event_position, event_id, kind, state, \
                attempts, tries, created_at, ended_at) VALUES (?1, ?2, ?3, 1, ?3, 'client.created', 'failed', 1, 1, ?4, ?4)";
        }
        assert_eq!(ALL.len(), 1);
        let endpoint = made(&world, json!({})).await;
        let id = stored(&world, &endpoint).await.id;
        let now = world.clock.now();
        let fill = async |count: i64| {
            let mut batch = Batch::new();
            for _ in 0..count {
                let delivery = world.auth.with_entropy(|entropy| Id::<id::Delivery>::generate(now, entropy));
                batch = batch.expect(1, &FILL, params![DEFAULT, id, delivery, now]);
            }
            world.auth.store.upkeep(Upkeep::FanOut, batch).await.unwrap();
        };
        fill(10_000).await;
        let resend = path(&endpoint, "/resend");
        let range = json!({"from": "2026-06-01T12:00:00Z", "to": "2026-06-01T13:00:00Z"});
        assert_eq!(post(&world, &format!("{resend}?dry_run=true"), range.clone()).await.expect(200).json()["count"], 10_000);
        fill(1).await;
        for query in ["?dry_run=true", ""] {
            let answer = post(&world, &format!("{resend}{query}"), range.clone()).await;
            assert_eq!(refused(answer), [("/from".to_owned(), "too_many".to_owned())]);
        }
    }

    async fn an_event_is_kept_while_it_is_on_its_way_and_what_waits_ends_with_its_retention(world: World) {
        let endpoint = made(&world, json!({})).await;
        let delivery = tested(&world, &endpoint).await;
        world.clock.advance_seconds(31 * 86_400);
        world.auth.purge().await.unwrap();
        let left = record::outbox::events_after(&world.auth.store, DEFAULT, 0, 200).await.unwrap();
        assert_eq!(left.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>(), ["webhook.test"]);
        let id = stored(&world, &endpoint).await.id;
        let batch = Batch::new().run(&sql::DELIVERIES_PARK, params![DEFAULT, id]);
        world.auth.store.upkeep(Upkeep::FanOut, batch).await.unwrap();
        world.auth.purge().await.unwrap();
        assert!(record::outbox::events_after(&world.auth.store, DEFAULT, 0, 200).await.unwrap().is_empty());
        let found = delivery::read(&world.auth.store, DEFAULT, id, Id::parse(&delivery).unwrap()).await.unwrap();
        assert!(found.is_none());
    }

    async fn how_an_endpoint_fares_is_taken_from_the_attempts_of_a_day(world: World) {
        store::statements! {
            /// An attempt.
            TRIED = "INSERT INTO webhook_attempt (tenant_id, endpoint_id, delivery_id, number, at, duration_ms, status, \
                error, node) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'node')";
        }
        assert_eq!(ALL.len(), 1);
        let endpoint = made(&world, json!({})).await;
        let delivery = tested(&world, &endpoint).await;
        let (endpoint_id, delivery_id) = (stored(&world, &endpoint).await.id, Id::<id::Delivery>::parse(&delivery).unwrap());
        let now = world.clock.now();
        let mut batch = Batch::new();
        for number in 1..=20_i64 {
            let (status, error) = if number <= 5 { (500_i64, Some("status")) } else { (200, None) };
            let values = params![DEFAULT, endpoint_id, delivery_id, number, now.plus_seconds(number), number * 10, status, error];
            batch = batch.expect(1, &TRIED, values);
        }
        let older = params![DEFAULT, endpoint_id, delivery_id, 21_i64, now.plus_seconds(-86_500), 9_999_i64, None::<i64>, "timeout"];
        world.auth.store.upkeep(Upkeep::Attempt, batch.expect(1, &TRIED, older)).await.unwrap();
        let health = get(&world, &path(&endpoint, "")).await["health"].clone();
        assert_eq!(health, json!({"backlog": 1, "is_backlog_capped": false, "attempts": 20, "succeeded": 15, "p95_ms": 190}));
        let shown = get(&world, &path(&endpoint, &format!("/deliveries/{delivery}"))).await;
        assert_eq!(shown["attempts"][0], json!({
            "number": 1, "at": "2026-06-01T12:00:01Z", "duration_ms": 10, "status": 500, "error": "status", "node": "node",
        }));
        assert_eq!(shown["attempts"].as_array().unwrap().len(), 21);
    }

    async fn after_a_restore_nothing_older_than_the_copy_goes_out(world: World) {
        let endpoint = made(&world, json!({})).await;
        let delivery = tested(&world, &endpoint).await;
        world.client("later", json!({})).await;
        let tenant = world.tenant().await;
        let who = world.auth.system(&tenant, "test");
        let mut planned = world.auth.plan_restored(&who, &tenant, world.clock.now(), true).await.unwrap();
        planned.batch = change::after_restore(planned.batch, world.clock.now());
        world.auth.run(planned).await.unwrap();
        let id = stored(&world, &endpoint).await.id;
        let (found, _) = delivery::read(&world.auth.store, DEFAULT, id, Id::parse(&delivery).unwrap()).await.unwrap().unwrap();
        assert_eq!(found.state, delivery::DeliveryState::Canceled);
        let head = record::outbox::events_after(&world.auth.store, DEFAULT, 0, 200).await.unwrap().last().unwrap().position;
        assert_eq!(stored(&world, &endpoint).await.fanned_to, head);
    }
}
