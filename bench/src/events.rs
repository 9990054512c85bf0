//! Events: how many can be written with one consumer beside plain inserts into the same store, and how many arrive at a
//! receiver on this machine.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use jose::{BufferedEntropy, SystemEntropy};
use kernel::clock::{Clock, Timestamp};
use kernel::event::{Event, Type};
use kernel::id::Id;
use kernel::tenant::DEFAULT;
use serde_json::{Value, json};
use store::{Batch, Location, Options, Store, Upkeep};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::arguments::Arguments;
use crate::floor::now;
use crate::load::float;
use crate::output::say;
use crate::world::World;

/// Commits that wait for their group at the same time.
const WRITERS: usize = 64;
/// How long the last messages may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// The wall clock.
struct Wall;

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        now()
    }
}

/// Measures from the command line.
pub(crate) fn main(arguments: &Arguments) -> Result<()> {
    let executable = std::env::current_exe()?;
    let beside = executable.parent().context("the program has no directory")?;
    let server = arguments.text("server").map_or_else(|| beside.join("bastionary"), PathBuf::from);
    ensure!(server.exists(), "{} is missing: cargo build --release -p bastionary", server.display());
    let seconds: f64 = arguments.value("seconds", 5.0)?;
    let count: usize = arguments.value("count", 5_000)?;
    let directory = beside.join(format!("bench-events-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        written(&directory, Duration::from_secs_f64(seconds)).await?;
        delivered(&server, &directory, count).await
    });
    std::fs::remove_dir_all(&directory)?;
    outcome
}

/// Commits of one plain row each, then commits of one event each with a reader beside them, in the same store.
async fn written(directory: &Path, duration: Duration) -> Result<()> {
    let options = Options {
        location: Location::File(directory.join("events.db")),
        entropy: Box::new(BufferedEntropy::new()),
        clock: Arc::new(Wall),
        allow_unsafe_durability: false,
    };
    let store = Store::open(options).await?;
    let plain =
        rate(&store, duration, |store, number| async move { Ok(store.set_mark(&format!("bench {number}"), 1).await?) })
            .await?;
    let read = Arc::new(AtomicU64::new(0));
    let reader = tokio::spawn(read_along(store.clone(), Arc::clone(&read)));
    let events = rate(&store, duration, |store, number| async move {
        let at = now();
        let event = Event {
            id: Id::generate(at, &mut SystemEntropy::new()),
            kind: Type::ClientCreated,
            at,
            customer: None,
            object_id: format!("client-{number}"),
            data: format!("{{\"object\":\"client\",\"id\":\"client-{number}\"}}"),
        };
        Ok(store.upkeep(Upkeep::Announced, Batch::new().announce(DEFAULT, event)).await?)
    })
    .await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    reader.abort();
    let read = read.load(Ordering::Relaxed);
    store.close().await;
    say(&format!(
        "| rows | per second |\n|---|---|\n| plain inserts, one per commit, {WRITERS} writers | {plain:.0} |\n\
         | events, one per commit, {WRITERS} writers, one reader that read {read} of them along | {events:.0} |\n\
         | ratio | {:.3} |",
        events / plain,
    ));
    Ok(())
}

/// Commits per second of many writers.
async fn rate<F>(
    store: &Store,
    duration: Duration,
    commit: impl Fn(Store, u64) -> F + Copy + Send + 'static,
) -> Result<f64>
where
    F: Future<Output = Result<()>> + Send,
{
    let (begun, number) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (store, number) = (store.clone(), Arc::clone(&number));
        writers.spawn(async move {
            let mut done = 0_u64;
            while begun.elapsed() < duration {
                commit(store.clone(), number.fetch_add(1, Ordering::Relaxed)).await?;
                done = done.saturating_add(1);
            }
            anyhow::Ok(done)
        });
    }
    let mut done = 0_u64;
    while let Some(more) = writers.join_next().await {
        done = done.saturating_add(more??);
    }
    Ok(float(done) / begun.elapsed().as_secs_f64())
}

/// Reads each event once, in the order of their commits.
async fn read_along(store: Store, read: Arc<AtomicU64>) -> Result<()> {
    let mut told = store.told();
    let mut position = 0;
    loop {
        let events = record::outbox::events_after(&store, DEFAULT, position, 200).await?;
        position = events.last().map_or(position, |event| event.position);
        read.fetch_add(u64::try_from(events.len())?, Ordering::Relaxed);
        if events.is_empty() {
            told.changed().await?;
        }
    }
}

/// Creates clients of a sandbox through the API, without an endpoint and with one, and waits until all messages arrived.
async fn delivered(server: &Path, directory: &Path, count: usize) -> Result<()> {
    let world = World::new(server, &directory.join("product"))?;
    let product = world.start()?;
    let root = world.admin_token().await?;
    let made = world.post(&root, "/api/tenants", &json!({"slug": "acme", "name": "Acme", "kind": "sandbox"})).await?;
    let text = |name: &str| made.pointer(&format!("/admin_client/{name}")).and_then(Value::as_str);
    let admin = text("client_id").zip(text("client_secret")).context("no administrator came with the tenant")?;
    let bearer = world.token_at("/t/acme/oauth2/token", admin).await?;
    let begun = Instant::now();
    world.tenant_clients("acme", &bearer, count).await?;
    let alone = per_second(count, begun)?;

    let receiver = Receiver::start().await?;
    let hook = json!({"url": receiver.url, "types": ["client.created"]});
    world.post(&bearer, "/t/acme/api/webhooks", &hook).await?;
    let begun = Instant::now();
    world.tenant_clients("acme", &bearer, count).await?;
    let together = per_second(count, begun)?;
    let meanwhile = receiver.heard.load(Ordering::Relaxed);
    while receiver.heard.load(Ordering::Relaxed) < u64::try_from(count)? {
        if begun.elapsed() > PATIENCE {
            bail!("{} of {count} messages arrived", receiver.heard.load(Ordering::Relaxed));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let arrived = per_second(count, begun)?;
    product.stop()?;
    say(&format!(
        "\n| through the API, {count} clients | per second |\n|---|---|\n| created, no endpoint | {alone:.0} |\n\
         | created, one endpoint | {together:.0} |\n| messages at its receiver, from the first creation to the last message \
         ({meanwhile} before the last creation) | {arrived:.0} |",
    ));
    Ok(())
}

fn per_second(count: usize, begun: Instant) -> Result<f64> {
    Ok(float(u64::try_from(count)?) / begun.elapsed().as_secs_f64())
}

/// Answers 204 to whatever is posted, and counts.
struct Receiver {
    url: String,
    heard: Arc<AtomicU64>,
}

impl Receiver {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", listener.local_addr()?);
        let heard = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let counter = Arc::clone(&counter);
                let service = service_fn(move |request: Request<Incoming>| {
                    let counter = Arc::clone(&counter);
                    async move {
                        // what was not read whole did not arrive
                        if request.into_body().collect().await.is_ok() {
                            counter.fetch_add(1, Ordering::Relaxed);
                        }
                        let mut answer = Response::new(Full::<bytes::Bytes>::default());
                        *answer.status_mut() = StatusCode::NO_CONTENT;
                        Ok::<_, Infallible>(answer)
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(Self { url, heard })
    }
}

impl World {
    /// Clients of a tenant, several at a time.
    async fn tenant_clients(&self, slug: &str, bearer: &str, count: usize) -> Result<()> {
        let path = format!("/t/{slug}/api/clients");
        self.create_each(&path, bearer, &json!({"scopes": []}), count).await
    }
}
