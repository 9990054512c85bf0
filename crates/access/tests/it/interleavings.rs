//! Changes of a subscription among requests of its machines: an answer that comes after a change was acknowledged never
//! shows what was before it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use kernel::id::Entropy as _;
use kernel::standing::Access;
use serde_json::{Value, json};
use testkit::SeededEntropy;

use crate::world::{Engine, Machine, World};

/// What is asked of the subscription in turn, and the access that it comes to.
fn changes(now: &str) -> [(&'static str, Value, bool); 8] {
    [
        ("pause", json!({}), false),
        ("resume", json!({}), true),
        ("payment-status", json!({"overdue_since": now}), false),
        ("payment-status", json!({"settled_at": now}), true),
        ("change", json!({"quantity": 2}), true),
        ("change", json!({"quantity": 3, "at": "period_end"}), true),
        ("pause", json!({}), false),
        ("resume", json!({"anchor": "kept"}), true),
    ]
}

/// The states that the subscription has been in, by the number of the change that made them.
#[derive(Default)]
struct Course {
    /// Changes that were begun.
    begun: AtomicUsize,
    /// Changes whose answer came.
    acknowledged: AtomicUsize,
    /// Whether there is access after each change; the first is the state before any.
    access: std::sync::Mutex<Vec<bool>>,
    is_over: AtomicBool,
}

impl Course {
    /// Whether an answer fits a state between what was acknowledged before the request and what was begun before the end.
    fn fits(&self, from: usize, is_allowed: bool) -> bool {
        let to = self.begun.load(Ordering::SeqCst);
        let access = self.access.lock().unwrap();
        (from..=to).any(|number| access.get(number).copied().unwrap_or(!is_allowed) == is_allowed)
    }
}

async fn ask(world: &World, machine: &Machine, course: &Course, seed: u64) -> (usize, usize) {
    let mut entropy = SeededEntropy::new(seed);
    let (mut asked, mut stale) = (0, 0);
    let mut held: Option<(usize, String)> = None;
    while !course.is_over.load(Ordering::SeqCst) {
        // an answer from memory alone waits for nothing, and others need the thread too
        tokio::task::yield_now().await;
        let mut byte = [0];
        entropy.fill(&mut byte);
        let from = course.acknowledged.load(Ordering::SeqCst);
        let is_allowed = match (byte[0] % 3, &held) {
            (0, Some((since, token))) => {
                let is_active = world.introspect(machine, token).await["active"] == true;
                // No token outlives a loss that began after its answer and was acknowledged before it was shown.
                let was_lost = course.access.lock().unwrap().iter().take(from + 1).skip(since + 1).any(|has| !has);
                assert!(!(is_active && was_lost), "a token from before a loss is shown as active");
                asked += 1;
                continue;
            }
            (1, _) if byte[0] & 4 == 0 => world.checked(machine).await,
            (1, _) => world.standing(world.customer_of(machine).await).await.access == Access::Full,
            _ => match world.token(machine, None).await {
                Ok(answer) => {
                    held = Some((course.begun.load(Ordering::SeqCst), answer.access_token.reveal().clone()));
                    true
                }
                Err(error) => {
                    assert_eq!(error.code(), "unauthorized_client");
                    false
                }
            },
        };
        asked += 1;
        stale += usize::from(!course.fits(from, is_allowed));
    }
    (asked, stale)
}

async fn run(engine: Engine, rounds: usize) -> (usize, usize) {
    let world = World::new(engine).await;
    world
        .plan(json!({
            "key": "pro", "name": "Pro", "cadence": "month", "grace_days": 0,
            "prices": [{"model": "flat", "amount": "50", "currency": "EUR", "timing": "advance"}],
        }))
        .await;
    let acme = world.customer("Acme").await;
    let machine = world.machine(acme, "acme-jobs", &["read"]).await;
    let subscription = world.subscribe(acme, json!({"plan": "pro"})).await;
    let course = Arc::new(Course { access: std::sync::Mutex::new(vec![true]), ..Course::default() });
    let mut askers = tokio::task::JoinSet::new();
    for seed in 0..3 {
        let (world, machine, course) = (world.clone(), machine.clone(), Arc::clone(&course));
        askers.spawn(async move { ask(&world, &machine, &course, seed).await });
    }
    for round in 0..rounds {
        let all = changes(&world.clock_text());
        let (verb, body, has_access) = &all[round % all.len()];
        course.access.lock().unwrap().push(*has_access);
        let number = course.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let done = world.wish(subscription, verb, body.clone()).await.unwrap();
        assert_eq!(done.computed.access == Access::Full, *has_access, "{verb} {body}");
        course.acknowledged.store(number, Ordering::SeqCst);
        tokio::task::yield_now().await;
    }
    course.is_over.store(true, Ordering::SeqCst);
    let (mut asked, mut stale) = (0, 0);
    while let Some(counts) = askers.join_next().await {
        let (one, other) = counts.unwrap();
        (asked, stale) = (asked + one, stale + other);
    }
    (asked, stale)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_after_an_acknowledged_change_shows_the_old_state() {
    for engine in [Engine::Embedded, Engine::Server] {
        let (asked, stale) = run(engine, 64).await;
        assert!(asked > 0);
        assert_eq!(stale, 0, "{engine:?}");
    }
}

/// 10,000 changes on each engine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a proof is asked for by a variable and prints its result"
)]
#[ignore = "the long proof; BASTIONARY_PROOF=full makes it 10,000 changes"]
async fn proof_interleavings() {
    let rounds = if std::env::var("BASTIONARY_PROOF").is_ok_and(|value| value == "full") { 10_000 } else { 64 };
    for engine in [Engine::Embedded, Engine::Server] {
        let (asked, stale) = run(engine, rounds).await;
        assert_eq!(stale, 0);
        println!(
            "PROOF {rounds} changes of a subscription ({engine:?}) among {asked} tokens, introspections, standings and checks: {stale} stale"
        );
    }
}
