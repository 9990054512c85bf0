//! Usage: checks beside plain GETs, and events in batches beside plain inserts into the same engine, in turns.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use jose::BufferedEntropy;
use kernel::clock::{Clock, Timestamp};
use serde_json::json;
use store::{Batch, Location, Options, Store, Upkeep, params};
use tokio::task::JoinSet;

use crate::arguments::Arguments;
use crate::floor::now;
use crate::load::{Outcome, float};
use crate::output::say;
use crate::process::{GENERATOR_CORE, Process, pinned};
use crate::summary::Spread;
use crate::workload::{BATCH, CUSTOMER, EVENT_TYPE, FEATURE};
use crate::world::World;

/// Batches that wait for their group at the same time, here and there.
const WRITERS: usize = 16;

/// The wall clock.
struct Wall;

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        now()
    }
}

store::statements! {
    /// A row of the same width as that of an event, without its key.
    PLAIN_INSERT across_tenants("a yardstick in a store of its own") = "INSERT INTO mark (name, value) VALUES (?1, ?2)";
}

/// Measures from the command line.
pub(crate) fn main(arguments: &Arguments) -> Result<()> {
    let executable = std::env::current_exe()?;
    let beside = executable.parent().context("the program has no directory")?;
    let server = arguments.text("server").map_or_else(|| beside.join("bastionary"), PathBuf::from);
    ensure!(server.exists(), "{} is missing: cargo build --release -p bastionary", server.display());
    let (rounds, seconds): (u32, f64) = (arguments.value("rounds", 5)?, arguments.value("seconds", 5.0)?);
    let directory = beside.join(format!("bench-usage-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let world = World::new(&server, &directory.join("product"))?;
        let product = world.start()?;
        let bearer = stock(&world).await?;
        let plain = Process::floor("plain")?;
        let (mut gets, mut checks, mut events, mut inserts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for round in 0..rounds {
            gets.push(load(&plain, "get", &bearer, 32, seconds)?.rate);
            checks.push(load(&product, "check", &bearer, 32, seconds)?.rate);
            let batches = load(&product, "usage", &bearer, WRITERS, seconds)?;
            events.push(batches.rate * float(u64::try_from(BATCH)?));
            let path = directory.join(format!("plain-{round}.db"));
            inserts.push(plain_inserts(path, Duration::from_secs_f64(seconds)).await?);
        }
        product.stop()?;
        let ratio =
            |own: &[f64], floor: &[f64]| Spread::of(own.iter().zip(floor).map(|(own, floor)| own / floor).collect());
        let (check, event) = (ratio(&checks, &gets), ratio(&events, &inserts));
        let line = |what: &str, rates: &[f64], note: String| {
            let rate = Spread::of(rates.to_vec());
            say(&format!("| {what} | {:.0} | {:.0}–{:.0} | {note} |", rate.median, rate.least, rate.most));
        };
        let told = |spread: &Spread| format!("{:.3} ({:.3}–{:.3})", spread.median, spread.least, spread.most);
        say("| what | per second, median | range | ratio |\n|---|---|---|---|");
        line("plain GET", &gets, String::new());
        line("P13: `/api/check`", &checks, told(&check));
        line(&format!("plain inserts, {BATCH} a commit, {WRITERS} writers"), &inserts, String::new());
        line(&format!("P14: events in batches of {BATCH}, durable, each counted once"), &events, told(&event));
        anyhow::Ok(())
    });
    std::fs::remove_dir_all(&directory)?;
    outcome
}

/// A customer on a plan with a feature that is counted; a token that may report and check.
async fn stock(world: &World) -> Result<String> {
    let bearer = world.admin_token().await?;
    let post = async |path: &str, body: serde_json::Value| world.post(&bearer, path, &body).await;
    post("/api/meters", json!({"key": FEATURE, "event_type": EVENT_TYPE, "aggregation": "count"})).await?;
    post("/api/features", json!({"key": FEATURE, "kind": "metered", "meter": FEATURE})).await?;
    let rights = json!([{"feature": FEATURE, "limit": "1000000000"}]);
    let plan = json!({"key": "bench", "name": "Bench", "cadence": "month", "entitlements": rights});
    let plan = post("/api/plans", plan).await?;
    let id = plan.get("id").and_then(serde_json::Value::as_str).context("a plan without an id")?;
    world.publish(&bearer, id).await?;
    post("/api/customers", json!({"name": "Bench", "external_id": CUSTOMER})).await?;
    post("/api/subscriptions", json!({"customer_id": CUSTOMER, "plan": "bench"})).await?;
    Ok(bearer)
}

/// One run of the generator in a process of its own on a core of its own.
fn load(target: &Process, kind: &str, bearer: &str, conns: usize, seconds: f64) -> Result<Outcome> {
    let mut command: Command = pinned(GENERATOR_CORE, &std::env::current_exe()?);
    command
        .args(["load", "--addr", &target.address.to_string(), "--kind", kind, "--bearer", bearer])
        .args(["--conns", &conns.to_string(), "--seconds", &seconds.to_string()])
        .stderr(Stdio::inherit());
    let output = command.output().context("taskset")?;
    ensure!(output.status.success(), "no rate: the generator met an answer that it does not accept");
    Outcome::from_json(&serde_json::from_slice(&output.stdout).context("the generator's answer")?)
}

/// Rows per second of commits that insert as many rows as a batch has events, and nothing else.
async fn plain_inserts(path: PathBuf, duration: Duration) -> Result<f64> {
    let options = Options {
        location: Location::File(path),
        entropy: Box::new(BufferedEntropy::new()),
        clock: Arc::new(Wall),
        allow_unsafe_durability: false,
    };
    let store = Store::open(options).await?;
    let (begun, number) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (store, number) = (store.clone(), Arc::clone(&number));
        writers.spawn(async move {
            let mut done = 0_u64;
            while begun.elapsed() < duration {
                let first = number.fetch_add(1, Ordering::Relaxed);
                let rows = (0..BATCH).fold(Batch::new(), |batch, row| {
                    batch.expect(1, &PLAIN_INSERT, params![format!("bench {first} {row}"), 1_i64])
                });
                store.upkeep(Upkeep::Keyring, rows).await?;
                done = done.saturating_add(1);
            }
            anyhow::Ok(done)
        });
    }
    let mut done = 0_u64;
    while let Some(more) = writers.join_next().await {
        done = done.saturating_add(more??);
    }
    let rows = float(done) * float(u64::try_from(BATCH)?);
    let rate = rows / begun.elapsed().as_secs_f64();
    store.close().await;
    Ok(rate)
}
