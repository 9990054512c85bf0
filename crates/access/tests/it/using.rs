//! What may be used is used up exactly, however many ask at once and wherever they ask.

use std::collections::HashMap;

use billing::cloudevent::{self, Form};
use billing::usage::Reporter;
use billing::usage::check::{CheckFields, Reason};
use billing::usage::report::{Report, Reported};
use kernel::clock::Clock as _;
use kernel::id::{self, Id};
use serde_json::{Value, json};
use store::Upkeep;

use crate::world::{Engine, Machine, World};

impl World {
    fn reporter(&self) -> Reporter {
        Reporter { actor: "local-operator".to_owned(), own: None, at: self.clock.now() }
    }

    /// Asks and counts as the API does: until no other commit comes first.
    async fn ask(&self, body: &Value, key: &str) -> Reason {
        let fields = CheckFields::read(body).unwrap();
        loop {
            let plan = self.access.plan_check(&self.tenant, &self.reporter(), &fields, Some(key)).await.unwrap();
            if plan.batch.steps.is_empty() {
                return plan.value.reason;
            }
            match self.access.auth.store.upkeep(Upkeep::Usage, plan.batch).await {
                Ok(()) => return plan.value.reason,
                Err(store::Error::Conflict(guard)) => assert!(Report::is_overtaken(guard), "{guard}"),
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Whether the customer of a machine may do anything.
    pub(crate) async fn checked(&self, machine: &Machine) -> bool {
        self.ask(&json!({"client_id": machine.client_id}), "none").await.is_allowed()
    }

    /// Reports events as the API does.
    async fn report(&self, body: &str, customer: Id<id::Customer>) -> Reported {
        let events = cloudevent::read(Form::Batch, [], body.as_bytes()).unwrap();
        let customers = HashMap::from([(customer.to_string(), customer)]);
        let mut report = Report::new(self.reporter(), events, customers, false);
        loop {
            let plan = self.access.billing.plan_report(&self.tenant, &mut report).await.unwrap();
            if plan.batch.steps.is_empty() {
                return plan.value;
            }
            match self.access.auth.store.upkeep(Upkeep::Usage, plan.batch).await {
                Ok(()) => return plan.value,
                Err(store::Error::Conflict("USAGE_INSERT")) => {
                    self.access.billing.recognize(&self.tenant, &mut report).await.unwrap();
                }
                Err(store::Error::Conflict(guard)) => assert!(Report::is_overtaken(guard), "{guard}"),
                Err(error) => panic!("{error}"),
            }
        }
    }

    async fn calls(&self, limit: usize) {
        let meter = json!({"key": "calls", "event_type": "call", "aggregation": "count"});
        let made = self.access.billing.create_meter(&self.who(), &self.tenant, &meter).await.unwrap();
        self.access.auth.run(made).await.unwrap();
        let feature = json!({"key": "calls", "kind": "metered", "meter": "calls"});
        let made = self.access.billing.create_feature(&self.who(), &self.tenant, &feature).await.unwrap();
        self.access.auth.run(made).await.unwrap();
        let rights = json!([{"feature": "calls", "limit": limit.to_string(), "reset": "hour"}]);
        self.plan(json!({"key": "p", "name": "P", "cadence": "month", "entitlements": rights})).await;
    }

    async fn used(&self, customer: Id<id::Customer>) -> String {
        let current = self.access.billing.current(&self.tenant, customer).await.unwrap().unwrap();
        self.access.billing.used(&self.tenant, &current).await.unwrap()["calls"]["used"].as_str().unwrap().to_owned()
    }
}

/// So many consumers against each remainder, spread over nodes; how many of them there were in all.
async fn consume(nodes: &[World], consumers: usize, remainders: impl Iterator<Item = usize>) -> usize {
    let world = &nodes[0];
    world.calls(consumers).await;
    let customer = world.customer("Acme").await;
    world.subscribe(customer, json!({"plan": "p"})).await;
    let name = customer.to_string();
    let mut asked = 0;
    for left in remainders {
        // a new window
        world.clock.advance_seconds(3_600);
        let before = json!({"customer_id": name, "feature": "calls", "mode": "consume", "quantity": (consumers - left).to_string()});
        assert_eq!(world.ask(&before, &format!("before {left}")).await, Reason::Allowed);
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..consumers {
            let (node, name) = (nodes[number % nodes.len()].clone(), name.clone());
            tasks.spawn(async move {
                let mode = if number % 4 == 0 { "reserve" } else { "consume" };
                let body = json!({"customer_id": name, "feature": "calls", "mode": mode, "ttl_seconds": 3_600});
                node.ask(&body, &format!("{left} {number}")).await
            });
        }
        let reasons = tasks.join_all().await;
        let count = |reason| reasons.iter().filter(|one| **one == reason).count();
        assert_eq!((count(Reason::Allowed), count(Reason::QuotaExceeded)), (left, consumers - left));
        asked += consumers;
    }
    asked
}

/// The same event in so many reports at once, beside events of their own, across the end of a window.
async fn repeat(nodes: &[World], times: usize) {
    let world = &nodes[0];
    world.calls(10 * times).await;
    let customer = world.customer("Acme").await;
    world.subscribe(customer, json!({"plan": "p"})).await;
    let at = world.clock_text();
    let event = |id: String| json!({"specversion": "1.0", "id": id, "source": "s", "type": "call", "subject": customer.to_string(), "time": at});
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..times {
        let node = nodes[number % nodes.len()].clone();
        let body = json!([event("same".to_owned()), event(format!("own {number}"))]).to_string();
        if number == times / 2 {
            node.clock.advance_seconds(3_600);
        }
        tasks.spawn(async move { node.report(&body, customer).await });
    }
    let reports = tasks.join_all().await;
    let accepted: usize = reports.iter().map(Reported::accepted).sum();
    let duplicates: usize = reports.iter().map(Reported::duplicates).sum();
    assert_eq!((accepted, duplicates), (times + 1, times - 1));
    assert!(reports.iter().all(|report| report.rejected().next().is_none()));
    world.clock.advance_seconds(-3_600);
    assert_eq!(world.used(customer).await, (times + 1).to_string());
}

/// So many token requests at once against a remainder, in each round a new window; how many were asked for.
async fn tokens(engine: Engine, askers: usize, left: usize, rounds: usize) -> usize {
    let world = World::new(engine).await;
    let feature = json!({"key": "tokens", "kind": "metered", "meter": "tokens.issued"});
    let made = world.access.billing.create_feature(&world.who(), &world.tenant, &feature).await.unwrap();
    world.access.auth.run(made).await.unwrap();
    let rights = json!([{"feature": "tokens", "limit": left.to_string(), "reset": "hour"}]);
    world.plan(json!({"key": "p", "name": "P", "cadence": "month", "entitlements": rights})).await;
    let customer = world.customer("Acme").await;
    world.subscribe(customer, json!({"plan": "p"})).await;
    let machine = world.machine(customer, "acme-jobs", &["read"]).await;
    for _ in 0..rounds {
        world.clock.advance_seconds(3_600);
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..askers {
            let (world, machine) = (world.clone(), machine.clone());
            tasks.spawn(async move { world.token(&machine, None).await.map_err(|error| error.to_string()) });
        }
        let answers = tasks.join_all().await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), left);
        let reason = format!("quota_exceeded: {left} of {left} used, 0 left, resets ");
        for why in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            assert!(why.starts_with(&reason), "{why}");
        }
        let current = world.access.billing.current(&world.tenant, customer).await.unwrap().unwrap();
        let used = world.access.billing.used(&world.tenant, &current).await.unwrap();
        assert_eq!(used["tokens"]["used"], left.to_string());
    }
    askers * rounds
}

async fn nodes(engine: Engine, count: u64) -> Vec<World> {
    let mut nodes = vec![World::new(engine).await];
    for number in 1..count {
        let another = nodes[0].another(100 * number).await;
        nodes.push(another);
    }
    nodes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_as_many_consumers_succeed_as_there_is_room_for() {
    for (engine, count) in [(Engine::Embedded, 1), (Engine::Server, 1), (Engine::Server, 3)] {
        consume(&nodes(engine, count).await, 12, [0, 1, 5, 11].into_iter()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_event_from_many_nodes_counts_once() {
    for (engine, count) in [(Engine::Embedded, 1), (Engine::Server, 3)] {
        repeat(&nodes(engine, count).await, 10).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_as_many_tokens_are_issued_as_the_plan_allows() {
    for engine in [Engine::Embedded, Engine::Server] {
        tokens(engine, 12, 3, 2).await;
    }
}

/// 1,000 rounds of 64 token requests against a remainder of 10.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a proof is asked for by a variable and prints its result"
)]
#[ignore = "the long proof; BASTIONARY_PROOF=full makes it 1,000 rounds"]
async fn proof_allowance() {
    let rounds = if std::env::var("BASTIONARY_PROOF").is_ok_and(|value| value == "full") { 1_000 } else { 5 };
    for engine in [Engine::Embedded, Engine::Server] {
        let asked = tokens(engine, 64, 10, rounds).await;
        println!(
            "PROOF {asked} token requests, 64 at once in each of {rounds} windows with room for 10 ({engine:?}): 10 issued in each"
        );
    }
}

/// 100 consumers against each remainder from 0 to 99, and an event that comes 100 times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a proof is asked for by a variable and prints its result"
)]
#[ignore = "the long proof; BASTIONARY_PROOF=full makes it 100 consumers"]
async fn proof_consumers() {
    let most = if std::env::var("BASTIONARY_PROOF").is_ok_and(|value| value == "full") { 100 } else { 10 };
    for (engine, count) in [(Engine::Embedded, 1), (Engine::Server, 1), (Engine::Server, 3)] {
        let asked = consume(&nodes(engine, count).await, most, 0..most).await;
        println!(
            "PROOF {asked} consumers, {most} at a time against 0 to {} ({engine:?}, nodes: {count}): as many succeeded as there was room for",
            most - 1
        );
        repeat(&nodes(engine, count).await, most).await;
        println!(
            "PROOF an event sent {most} times at once, across the end of a window ({engine:?}, nodes: {count}): counted once"
        );
    }
}
