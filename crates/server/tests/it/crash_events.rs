//! Killing the server while it posts to receivers: one event for each acknowledged change, and each of them arrives.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};
use server::outbound::Outbound;
use testkit::{SeededEntropy, TempDir};

use crate::crash::{admin_token, api, body, durable, post, proof_cycles, start_with};
use crate::process::Running;
use crate::sender::Receiver;

const WORKERS: u64 = 4;
/// How long a started server may take until everything has arrived.
const PATIENCE: Duration = Duration::from_mins(1);

/// One event, as the list of events tells it.
struct Event {
    id: String,
    kind: String,
    object: String,
    sequence: u64,
}

fn start(data: &Path, database: Option<&str>) -> Running {
    start_with(data, database, &[("BASTIONARY_OUTBOUND_ALLOW", "127.0.0.1")])
}

/// Creates and changes clients of the sandbox until the server is gone; notes what was acknowledged.
async fn load(server: Outbound, token: String, name: String, known: Arc<Mutex<BTreeSet<(String, String)>>>) {
    for number in 0_u64.. {
        let id = format!("{name}-{number}");
        let sent = Some(json!({"client_id": id, "scopes": []}));
        let Some(created) = api(&server, &token, Method::POST, "/t/acme/api/clients", sent).await else { return };
        assert_eq!(created.status, 201, "{}", body(&created));
        known.lock().unwrap().insert(("client.created".to_owned(), id.clone()));
        let path = format!("/t/acme/api/clients/{id}");
        let Some(changed) = api(&server, &token, Method::PATCH, &path, Some(json!({"name": "New"}))).await else {
            return;
        };
        assert_eq!(changed.status, 200, "{}", body(&changed));
        known.lock().unwrap().insert(("client.updated".to_owned(), id));
    }
}

/// All events of the sandbox, oldest first.
async fn events(server: &Outbound, token: &str) -> Vec<Event> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/t/acme/api/events?limit=200{cursor}");
        let answer = api(server, token, Method::GET, &path, None).await.unwrap();
        let page = body(&answer);
        assert_eq!(answer.status, 200, "{page}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        found.extend(page["data"].as_array().unwrap().iter().map(|event| Event {
            id: text(&event["id"]),
            kind: text(&event["type"]),
            object: text(&event["data"]["id"]),
            sequence: event["sequence"].as_u64().unwrap(),
        }));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={}", server::outbound::encoded(next)),
            None => break,
        }
    }
    found.reverse();
    found
}

/// The token of the sandbox's administrator.
async fn sandbox_token(server: &Outbound, admin: &(String, String)) -> String {
    let fields = [("grant_type", "client_credentials"), ("scope", "admin")];
    let answer = post(server, "/t/acme/oauth2/token", (&admin.0, &admin.1), &fields).await.unwrap();
    body(&answer)["access_token"].as_str().unwrap().to_owned()
}

async fn crash(cycles: u64, database: Option<&str>) {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data");
    let mut dice = SeededEntropy::new(cycles);
    let mut server = start(&data, database);
    let outbound = Outbound::new(&server.url, None);
    let root = admin_token(&outbound).await.unwrap();
    let sent = Some(json!({"slug": "acme", "name": "Acme", "kind": "sandbox"}));
    let created = body(&api(&outbound, &root, Method::POST, "/api/tenants", sent).await.unwrap());
    let text = |name: &str| created["admin_client"][name].as_str().unwrap_or_default().to_owned();
    let admin = (text("client_id"), text("client_secret"));
    let token = sandbox_token(&outbound, &admin).await;
    let (healthy, failing) = (Receiver::new(&[]).await, Receiver::always(500).await);
    for receiver in [&healthy, &failing] {
        let sent = Some(json!({"url": receiver.url(), "types": ["*"]}));
        let made = api(&outbound, &token, Method::POST, "/t/acme/api/webhooks", sent).await.unwrap();
        assert_eq!(made.status, 201, "{}", body(&made));
    }
    // what happened before is not for them
    let before = events(&outbound, &token).await.len();

    let (mut all_known, mut told) = (0, 0);
    for cycle in 0..cycles {
        let known = Arc::new(Mutex::new(BTreeSet::new()));
        let outbound = Outbound::new(&server.url, None);
        let token = sandbox_token(&outbound, &admin).await;
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let name = format!("c{cycle}-w{worker}");
                tokio::spawn(load(Outbound::new(&server.url, None), token.clone(), name, Arc::clone(&known)))
            })
            .collect();
        // At least one acknowledgment, then any moment: the crash shall meet every step on the way of a message.
        while known.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(dice.below(700))).await;
        server.kill();
        for worker in workers {
            worker.await.unwrap();
        }
        server = start(&data, database);
        let outbound = Outbound::new(&server.url, None);
        let token = sandbox_token(&outbound, &admin).await;
        let events = events(&outbound, &token).await;
        let sequences: Vec<u64> = events.iter().map(|event| event.sequence).collect();
        assert_eq!(sequences, (1..=sequences.len() as u64).collect::<Vec<_>>(), "no gap and no repeat");
        let mut written: BTreeMap<(String, String), usize> = BTreeMap::new();
        for event in &events {
            *written.entry((event.kind.clone(), event.object.clone())).or_default() += 1;
        }
        let known = std::mem::take(&mut *known.lock().unwrap());
        for change in &known {
            assert_eq!(written.get(change), Some(&1), "{change:?} was acknowledged");
        }
        let clients = written.iter().filter(|((kind, _), _)| kind == "client.created");
        assert!(clients.clone().all(|(_, count)| *count == 1), "no client has two beginnings");
        let expected: BTreeSet<&str> = events.iter().skip(before).map(|event| &*event.id).collect();
        let end = Instant::now() + PATIENCE;
        loop {
            let arrived = healthy.ids();
            let missing: Vec<&&str> = expected.iter().filter(|id| !arrived.contains(**id)).collect();
            if missing.is_empty() {
                break;
            }
            assert!(Instant::now() < end, "cycle {cycle}: these never arrived: {missing:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(healthy.ids().iter().all(|id| expected.contains(&**id)), "nothing arrives that is not an event");
        all_known += known.len();
        told = expected.len();
    }
    assert_eq!(server.stop(), Some(0));
    let repeated = healthy.count() - healthy.ids().len();
    let engine = if database.is_some() { "PostgreSQL" } else { "SQLite" };
    #[expect(clippy::print_stdout, reason = "a proof hands in its figures on standard output")]
    {
        println!(
            "PROOF {cycles} kills on {engine} with receivers: {all_known} changes acknowledged, each with one event; {told} events in all, without a gap, each arrived, {repeated} more than once"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_acknowledged_change_has_one_event_that_arrives_after_a_kill_on_sqlite() {
    crash(3, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_acknowledged_change_has_one_event_that_arrives_after_a_kill_on_postgresql() {
    let (_cluster, database) = durable();
    crash(3, Some(&database)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; run by `cargo xtask proof events_crash`"]
async fn proof_events_crash() {
    crash(proof_cycles(), None).await;
    let (_cluster, database) = durable();
    crash(proof_cycles(), Some(&database)).await;
}
