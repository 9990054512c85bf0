//! The load generator: closed loop, or open loop with latency from the scheduled time of sending.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::LocalSet;

use crate::arguments::Arguments;
use crate::client::Connection;
use crate::histogram::Histogram;
use crate::output::say;
use crate::workload::{Kind, Workload};

/// How hard and how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Connections kept alive.
    pub(crate) conns: usize,
    /// Requests per second of an open loop; 0: closed loop.
    pub(crate) rate: u64,
    /// Not counted, at the start.
    pub(crate) warmup: Duration,
    /// Counted, after the warm-up.
    pub(crate) window: Duration,
    /// Most requests, the warm-up included.
    pub(crate) requests: u64,
}

/// What a run measured; a run with an unexpected answer measures nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Outcome {
    /// Answers inside the window.
    pub(crate) answers: u64,
    /// The window, in seconds.
    pub(crate) seconds: f64,
    /// Answers per second.
    pub(crate) rate: f64,
    /// Latency in microseconds: median.
    pub(crate) p50: f64,
    /// Latency in microseconds: 99 of 100.
    pub(crate) p99: f64,
    /// Latency in microseconds: 999 of 1000.
    pub(crate) p999: f64,
}

/// A count as a floating-point number; counts of a sitting stay far below 2³².
pub(crate) fn float(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

impl Outcome {
    /// As one JSON object.
    pub(crate) fn to_json(self) -> Value {
        json!({ "answers": self.answers, "seconds": self.seconds, "rate": self.rate,
                "p50_us": self.p50, "p99_us": self.p99, "p999_us": self.p999 })
    }

    /// Reads what [`Outcome::to_json`] wrote.
    pub(crate) fn from_json(value: &Value) -> Result<Self> {
        let number = |name: &str| value.get(name).and_then(Value::as_f64).with_context(|| format!("no {name}"));
        Ok(Self {
            answers: value.get("answers").and_then(Value::as_u64).context("no answers")?,
            seconds: number("seconds")?,
            rate: number("rate")?,
            p50: number("p50_us")?,
            p99: number("p99_us")?,
            p999: number("p999_us")?,
        })
    }
}

/// What the connections of a run share.
struct Run {
    address: SocketAddr,
    workload: Workload,
    bounds: Bounds,
    sent: Cell<u64>,
    start: Cell<Instant>,
    last: Cell<Instant>,
    latencies: RefCell<Histogram>,
    ready: tokio::sync::Barrier,
    turn: Mutex<()>,
}

/// Runs one load from the command line and prints its outcome as a JSON line.
pub(crate) fn main(arguments: &Arguments) -> Result<()> {
    let kind = Kind::parse(arguments.required("kind")?)?;
    let list = match arguments.text("list") {
        Some(path) => std::fs::read_to_string(path).with_context(|| format!("reading {path}"))?,
        None => String::new(),
    };
    let pairs = || -> Vec<(String, String)> {
        list.lines().filter_map(|l| l.split_once(' ')).map(|(id, secret)| (id.to_owned(), secret.to_owned())).collect()
    };
    let workload = match kind {
        Kind::Get => Workload::get(arguments.text("path").unwrap_or("/livez")),
        Kind::Token => Workload::tokens(pairs()),
        Kind::Refresh => Workload::refresh(pairs()),
        Kind::Check => Workload::check(arguments.required("bearer")?),
        Kind::Usage => Workload::usage(arguments.required("bearer")?),
        Kind::Introspect | Kind::IntrospectOnce => {
            let tokens: Vec<String> = list.lines().map(str::to_owned).collect();
            Workload::introspect(kind, arguments.required("authorization")?, &tokens)
        }
    };
    let bounds = Bounds {
        conns: arguments.value("conns", 32)?,
        rate: arguments.value("rate", 0)?,
        warmup: Duration::from_secs_f64(arguments.value("warmup", 1.0)?),
        window: Duration::from_secs_f64(arguments.value("seconds", 8.0)?),
        requests: arguments.value("requests", u64::MAX)?,
    };
    let address = arguments.required("addr")?.parse().context("--addr")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(run(address, workload, bounds))?;
    say(&outcome.to_json().to_string());
    Ok(())
}

/// Validates one answer, then loads the address within the bounds.
pub(crate) async fn run(address: SocketAddr, workload: Workload, bounds: Bounds) -> Result<Outcome> {
    workload.validate(address).await.context("the first answer")?;
    let now = Instant::now();
    let run = Rc::new(Run {
        address,
        workload,
        bounds,
        sent: Cell::new(0),
        start: Cell::new(now),
        last: Cell::new(now),
        latencies: RefCell::new(Histogram::new()),
        ready: tokio::sync::Barrier::new(bounds.conns),
        turn: Mutex::new(()),
    });
    let tasks = LocalSet::new();
    let handles: Vec<_> =
        (0..bounds.conns).map(|index| tasks.spawn_local(connection(Rc::clone(&run), index))).collect();
    // The generator has a core of its own and never sleeps on it: a server would otherwise pay for waking it with
    // every answer, the more the slower it is, which on a virtual machine costs as much as a small request.
    tasks.spawn_local(async {
        loop {
            tokio::task::yield_now().await;
        }
    });
    tasks
        .run_until(async {
            for handle in handles {
                handle.await.context("a connection")??;
            }
            anyhow::Ok(())
        })
        .await?;
    let latencies = run.latencies.borrow();
    let answers = latencies.total();
    let from = run.start.get().checked_add(bounds.warmup).unwrap_or(now);
    let seconds = run.last.get().saturating_duration_since(from).as_secs_f64();
    anyhow::ensure!(answers > 0 && seconds > 0.0, "no answer came inside the window");
    let micros = |of_ten_thousand| float(latencies.quantile(of_ten_thousand)) / 1e3;
    Ok(Outcome {
        answers,
        seconds,
        rate: float(answers) / seconds,
        p50: micros(5_000),
        p99: micros(9_900),
        p999: micros(9_990),
    })
}

async fn connection(run: Rc<Run>, index: usize) -> Result<()> {
    let mut connection = Connection::open(run.address).await?;
    let mut chain = run.workload.chain(index, &mut connection).await?;
    if run.ready.wait().await.is_leader() {
        run.start.set(Instant::now());
    }
    // the leader came last and did not pause, so the others, who wake after it, read the start it has set
    let from = run.start.get().checked_add(run.bounds.warmup).context("the warm-up")?;
    let until = from.checked_add(run.bounds.window).context("the window")?;
    loop {
        let Some(begun) = run.next_send(until).await else { return Ok(()) };
        let Some(request) = run.workload.next(chain.as_mut()) else { return Ok(()) };
        let answer = connection.exchange(request).await?;
        run.workload.accept(&answer, chain.as_mut())?;
        let done = Instant::now();
        if done >= from && done <= until {
            run.last.set(done);
            let taken = done.saturating_duration_since(begun).as_nanos();
            run.latencies.borrow_mut().record(u64::try_from(taken).unwrap_or(u64::MAX));
        }
    }
}

impl Run {
    /// When the next request counts as sent, having waited for that time; `None` ends the connection.
    async fn next_send(&self, until: Instant) -> Option<Instant> {
        if self.bounds.rate == 0 {
            let number = self.sent.get();
            self.sent.set(number.saturating_add(1));
            return Some(Instant::now()).filter(|now| number < self.bounds.requests && *now < until);
        }
        // first come, first served: one connection at a time watches the clock, which timers of 1 ms are too coarse for
        let _turn = self.turn.lock().await;
        let number = self.sent.get();
        self.sent.set(number.saturating_add(1));
        let offset = number.saturating_mul(1_000_000_000).checked_div(self.bounds.rate)?;
        let due = self.start.get().checked_add(Duration::from_nanos(offset))?;
        if number >= self.bounds.requests || due >= until {
            return None;
        }
        while Instant::now() < due {
            tokio::task::yield_now().await;
        }
        Some(due)
    }
}
