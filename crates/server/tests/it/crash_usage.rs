//! Killing the server while usage is reported and consumed: what was acknowledged is counted, and nothing twice, although
//! everything is sent again.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use server::outbound::{Message, Outbound};
use testkit::{SeededEntropy, TempDir};

use crate::crash::{admin_token, api, body, durable, proof_cycles, start_with};
use crate::process::Running;

const WORKERS: u64 = 4;
const BATCH: u64 = 20;

fn start(data: &Path, database: Option<&str>) -> Running {
    start_with(data, database, &[])
}

/// What was sent, and whether its answer came.
#[derive(Default)]
struct Sent {
    batches: Vec<(Value, bool)>,
    consumed: Vec<(String, bool)>,
}

fn batch(name: &str) -> Value {
    let event = |number: u64| json!({"specversion": "1.0", "id": format!("{name}-{number}"), "source": "crash", "type": "call", "subject": "acme"});
    Value::Array((0..BATCH).map(event).collect())
}

async fn consume(server: &Outbound, token: &str, key: &str) -> Option<Value> {
    let sent = json!({"customer_id": "acme", "feature": "calls", "mode": "consume"}).to_string().into_bytes();
    let message = Message {
        authorization: Some(format!("Bearer {token}")),
        fields: vec![(http::HeaderName::from_static("idempotency-key"), key.to_owned())],
        body: Some(("application/json", sent)),
    };
    let answer = server.send(Method::POST, "/api/check", message).await.ok()?;
    (answer.status == 200).then(|| body(&answer))
}

/// Reports and consumes until the server is gone.
async fn load(server: Outbound, token: String, name: String, sent: Arc<Mutex<Sent>>) {
    for number in 0_u64.. {
        let events = batch(&format!("{name}-{number}"));
        let at = {
            let mut sent = sent.lock().unwrap();
            sent.batches.push((events.clone(), false));
            sent.batches.len() - 1
        };
        let Some(answer) = api(&server, &token, Method::POST, "/api/usage/events", Some(events)).await else { return };
        assert_eq!((answer.status.as_u16(), &body(&answer)["accepted"]), (200, &json!(BATCH)), "{}", body(&answer));
        sent.lock().unwrap().batches[at].1 = true;
        let key = format!("{name}-{number}");
        let at = {
            let mut sent = sent.lock().unwrap();
            sent.consumed.push((key.clone(), false));
            sent.consumed.len() - 1
        };
        let Some(answer) = consume(&server, &token, &key).await else { return };
        assert_eq!(answer["allowed"], true, "{answer}");
        sent.lock().unwrap().consumed[at].1 = true;
    }
}

/// What the events come to, and what the counter says.
async fn counted(server: &Outbound, token: &str) -> (u64, u64) {
    let get = async |path: &str| {
        let answer = api(server, token, Method::GET, path, None).await.unwrap();
        assert_eq!(answer.status, 200, "{}", body(&answer));
        body(&answer)
    };
    let number = |value: &Value| value.as_str().map_or(0, |text| text.parse::<u64>().unwrap());
    let query = "/api/usage/query?customer_id=acme&meter=calls&from=2020-01-01T00:00:00Z&to=2100-01-01T00:00:00Z";
    let (events, standing) = (get(query).await, get("/api/customers/acme/standing").await);
    (number(&events["data"][0]["value"]), number(&standing["entitlements"][0]["used"]))
}

async fn crash(cycles: u64, database: Option<&str>) {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data");
    let mut dice = SeededEntropy::new(cycles);
    let mut server = start(&data, database);
    let outbound = Outbound::new(&server.url, None);
    let token = admin_token(&outbound).await.unwrap();
    let made = async |path: &str, sent: Value| {
        let answer = api(&outbound, &token, Method::POST, path, Some(sent)).await.unwrap();
        assert!(answer.status.is_success(), "{path}: {}", body(&answer));
        body(&answer)
    };
    made("/api/meters", json!({"key": "calls", "event_type": "call", "aggregation": "count"})).await;
    made("/api/features", json!({"key": "calls", "kind": "metered", "meter": "calls"})).await;
    let rights = json!([{"feature": "calls", "limit": "1000000000", "reset": "never"}]);
    let plan = made("/api/plans", json!({"key": "p", "name": "P", "cadence": "month", "entitlements": rights})).await;
    made(&format!("/api/plans/{}/publish", plan["id"].as_str().unwrap()), json!({})).await;
    made("/api/customers", json!({"name": "Acme", "external_id": "acme"})).await;
    made("/api/subscriptions", json!({"customer_id": "acme", "plan": "p"})).await;
    let (mut total, mut acknowledged, mut repeated) = (0, 0, 0);
    for cycle in 0..cycles {
        let sent = Arc::new(Mutex::new(Sent::default()));
        let token = admin_token(&Outbound::new(&server.url, None)).await.unwrap();
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let name = format!("c{cycle}-w{worker}");
                tokio::spawn(load(Outbound::new(&server.url, None), token.clone(), name, Arc::clone(&sent)))
            })
            .collect();
        // At least one acknowledgment, then any moment.
        while !sent.lock().unwrap().batches.iter().any(|(_, is_known)| *is_known) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(dice.below(400))).await;
        server.kill();
        for worker in workers {
            worker.await.unwrap();
        }
        server = start(&data, database);
        let outbound = Outbound::new(&server.url, None);
        let token = admin_token(&outbound).await.unwrap();
        let sent = std::mem::take(&mut *sent.lock().unwrap());
        for (events, is_known) in &sent.batches {
            let answer = api(&outbound, &token, Method::POST, "/api/usage/events", Some(events.clone())).await.unwrap();
            let report = body(&answer);
            assert_eq!(
                report["accepted"].as_u64().unwrap() + report["duplicates"].as_u64().unwrap(),
                BATCH,
                "{report}"
            );
            // a batch is one commit: it is there as a whole or not at all
            assert!([0, BATCH].contains(&report["accepted"].as_u64().unwrap()), "{report}");
            assert!(!is_known || report["duplicates"] == BATCH, "acknowledged and forgotten: {report}");
            repeated += report["duplicates"].as_u64().unwrap();
            acknowledged += if *is_known { BATCH } else { 0 };
            total += BATCH;
        }
        for (key, is_known) in &sent.consumed {
            let answer = consume(&outbound, &token, key).await.unwrap();
            assert_eq!(answer["allowed"], true, "{answer}");
            acknowledged += u64::from(*is_known);
            total += 1;
        }
        assert_eq!(counted(&outbound, &token).await, (total, total), "cycle {cycle}");
    }
    assert_eq!(server.stop(), Some(0));
    let engine = if database.is_some() { "PostgreSQL" } else { "SQLite" };
    #[expect(clippy::print_stdout, reason = "a proof hands in its figures on standard output")]
    {
        println!(
            "PROOF {cycles} kills on {engine} while usage was reported and consumed: {acknowledged} uses acknowledged, none lost; \
             {total} sent, all of them again after each start ({repeated} events were there already), each counted once, \
             by events and by counter"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_acknowledged_use_is_counted_once_after_a_kill_on_sqlite() {
    crash(3, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_acknowledged_use_is_counted_once_after_a_kill_on_postgresql() {
    let (_cluster, database) = durable();
    crash(3, Some(&database)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; run by `cargo xtask proof usage_crash`"]
async fn proof_usage_crash() {
    crash(proof_cycles(), None).await;
    let (_cluster, database) = durable();
    crash(proof_cycles(), Some(&database)).await;
}
