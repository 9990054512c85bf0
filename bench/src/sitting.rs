//! A sitting: floors and product measured in turns, printed as medians, ranges and paired ratios.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::floor;
use crate::load::{Outcome, float};
use crate::output::{complain, say};
use crate::peer;
use crate::process::{GENERATOR_CORE, Process, pinned};
use crate::summary::{Measured, Rounds, Spread};
use crate::workload::{Kind, token_request};
use crate::world::{Credentials, World, write_pairs};

/// A floor whose rates differ by more than this makes the sitting void.
const MOST_NOISE: f64 = 1.3;

/// Clients whose secret somebody chose; each costs two slow hashes before the rounds begin.
const CHOSEN: usize = 256;
/// Wrong secrets per second in a flood.
const FLOOD: &str = "200";

/// Goals that are ratios: id, what, target, floor, gate, target figure.
const RATIOS: [(&str, &str, &str, &str, [f64; 3]); 8] = [
    ("P1", "client_credentials, ES256", "token es256", "floor token es256", [0.45, 0.60, 0.75]),
    ("P2", "the same against oidc-provider", "token es256", PEER, [4.0, 6.0, 8.0]),
    ("P3", "client_credentials, EdDSA", "token eddsa", "floor token es256", [0.55, 0.72, 0.90]),
    ("P4", "refresh with rotation", "refresh", "floor token es256", [0.35, 0.50, 0.60]),
    ("P5", "introspection, known tokens", "introspect", "floor plain", [0.30, 0.45, 0.60]),
    ("P5b", "introspection, first sight", "introspect once", "floor plain", [0.08, 0.12, 0.14]),
    ("P6", "a chosen secret from its second use", "token chosen", "token generated", [0.95, 0.98, 1.0]),
    ("P15", "wrong secrets at 200/s for one client", FLOODED, "token es256", [0.8, 0.9, 0.95]),
];

/// The peer that keeps everything in memory.
const PEER: &str = "oidc-provider";
/// Tokens of everybody else during a flood of wrong secrets.
const FLOODED: &str = "token es256, flooded";

/// What is measured in turns.
struct Target<'a> {
    name: &'static str,
    process: &'a Process,
    kind: Kind,
    list: PathBuf,
}

/// How long and how often.
struct Plan {
    rounds: u32,
    seconds: f64,
    clients: usize,
    soak: f64,
    server: PathBuf,
    directory: PathBuf,
    json: Option<std::fs::File>,
}

/// Runs a sitting from the command line.
pub(crate) fn main(arguments: &Arguments) -> Result<()> {
    let executable = std::env::current_exe()?;
    let beside = executable.parent().context("the program has no directory")?;
    let server = arguments.text("server").map_or_else(|| beside.join("bastionary"), PathBuf::from);
    ensure!(server.exists(), "{} is missing: cargo build --release -p server", server.display());
    let directory = beside.join(format!("bench-{}", std::process::id()));
    let mut plan = Plan {
        rounds: arguments.value("rounds", 5)?,
        seconds: arguments.value("seconds", 8.0)?,
        clients: arguments.value("clients", 10_000)?,
        soak: arguments.value("soak", 60.0)?,
        server,
        directory: directory.clone(),
        json: arguments.text("json").map(std::fs::File::create).transpose()?,
    };
    std::fs::create_dir_all(&directory)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(plan.run());
    std::fs::remove_dir_all(&directory)?;
    outcome
}

impl Plan {
    async fn run(&mut self) -> Result<()> {
        say(&machine());
        let plain = Process::floor("plain")?;
        let floor_es256 = Process::floor("token-es256")?;
        let floor_eddsa = Process::floor("token-eddsa")?;
        let world = World::new(&self.server, &self.directory.join("product"))?;
        let product = world.start()?;
        let bearer = world.admin_token().await?;

        complain(&format!("creating {} clients", self.clients));
        let begun = Instant::now();
        let clients = world.clients(&bearer, self.clients, &json!({})).await?;
        let created = float(u64::try_from(clients.len())?) / begun.elapsed().as_secs_f64();
        let list = |name: &str, pairs: &[Credentials]| -> Result<PathBuf> {
            let path = self.directory.join(name);
            write_pairs(&path, pairs)?;
            Ok(path)
        };
        let es256 = list("es256", &clients)?;
        let resident = self.soak(&product, &es256)?;

        complain("preparing the other workloads");
        let eddsa = world.clients(&bearer, self.clients, &json!({ "signing_alg": "EdDSA" })).await?;
        // every client is read from the store once before rounds begin; what that costs is a figure of its own
        let begun = Instant::now();
        world.tokens(&eddsa, self.clients).await?;
        let first_seen = float(u64::try_from(eddsa.len())?) / begun.elapsed().as_secs_f64();
        let eddsa = list("eddsa", &eddsa)?;
        let grants = json!({ "grant_types": ["client_credentials", "refresh_token"] });
        let refresh = list("refresh", &world.clients(&bearer, 32, &grants).await?)?;
        let chosen = world.chosen_clients(&bearer, CHOSEN).await?;
        let victim = chosen.first().context("no clients with a chosen secret")?.0.clone();
        let chosen = list("chosen", &chosen)?;
        // as many clients as have a chosen secret, so that the two lists differ in nothing else
        let generated = list("generated", clients.get(..CHOSEN).unwrap_or(&clients))?;
        let peer = match peer::start().await? {
            Ok(peer) => Some(peer),
            Err(why) => {
                complain(&why);
                None
            }
        };
        let to_peer = list("peer", &[(peer::CLIENT.to_owned(), floor::SECRET.to_owned())])?;
        let anyone: Vec<_> = clients.iter().map(|(id, _)| (id.clone(), floor::SECRET.to_owned())).collect();
        let anyone = list("anyone", &anyone)?;
        let live = self.directory.join("live");
        std::fs::write(&live, world.tokens(&clients, self.clients).await?.join("\n"))?;
        let once = self.directory.join("once");

        let target = |name, process, kind, list: &Path| Target { name, process, kind, list: list.to_owned() };
        let mut targets = vec![
            target("floor plain", &plain, Kind::Get, &anyone),
            target("floor token es256", &floor_es256, Kind::Token, &anyone),
            target("token es256", &product, Kind::Token, &es256),
            target("token eddsa", &product, Kind::Token, &eddsa),
            target("floor token eddsa", &floor_eddsa, Kind::Token, &anyone),
            target("refresh", &product, Kind::Refresh, &refresh),
            target("introspect", &product, Kind::Introspect, &live),
            target("introspect once", &product, Kind::IntrospectOnce, &once),
            target("token generated", &product, Kind::Token, &generated),
            target("token chosen", &product, Kind::Token, &chosen),
            target(FLOODED, &product, Kind::Token, &es256),
        ];
        targets.extend(peer.as_ref().map(|peer| target(PEER, peer, Kind::Token, &to_peer)));
        let mut rounds = Rounds::default();
        for round in 1..=self.rounds {
            complain(&format!("round {round} of {}", self.rounds));
            for target in &targets {
                if target.kind == Kind::IntrospectOnce {
                    // as many as a server at the target figure answers in half the time
                    let count = self.clients.saturating_mul(2);
                    std::fs::write(&once, world.tokens(&clients, count).await?.join("\n"))?;
                }
                let flood = (target.name == FLOODED).then(|| flood(target.process.address, &victim)).transpose()?;
                let (outcome, measured) = self.measure(target, &[])?;
                if let Some(mut flood) = flood {
                    ensure!(flood.is_running()?, "the flood of wrong secrets ended by itself");
                }
                rounds.add(target.name, measured);
                self.note(&json!({ "round": round, "target": target.name, "load": outcome.to_json(),
                                   "cpu": measured.cpu, "resident_mib": measured.resident }))?;
            }
        }
        let half = rounds.spread("token es256", |measured| measured.rate).median / 2.0;
        let open = target("open loop", &product, Kind::Token, &es256);
        let (open, _) = self.measure(&open, &["--rate", &format!("{half:.0}")])?;
        self.note(&json!({ "target": "open loop", "load": open.to_json() }))?;
        report(&targets, &rounds);
        product.stop()?;
        let start = self.starts().await?;

        say(&format!(
            "\n| id | what | measured | gate | target |\n|---|---|---|---|---|\n\
             | P7 | open loop at {half:.0}/s: p50, p99, p99.9 | {:.2}, {:.2}, {:.2} ms | 10 ms | 5 ms |\n\
             | P8 | resident memory after {:.0} s at full load, {} clients | {resident:.1} MiB | 64 MiB | 40 MiB |\n\
             | P9 | exec to first token, 100 clients | {:.0} ms ({:.0}–{:.0}) | 250 ms | 120 ms |\n\n\
             Clients created through the API: {created:.0}/s. First token of a client after its creation: {first_seen:.0}/s.",
            open.p50 / 1e3,
            open.p99 / 1e3,
            open.p999 / 1e3,
            self.soak,
            self.clients,
            start.median,
            start.least,
            start.most,
        ));
        for name in ["floor plain", "floor token es256"] {
            let noise = rounds.spread(name, |measured| measured.rate).noise();
            if noise > MOST_NOISE {
                bail!("void: the rates of `{name}` differ by {noise:.2}×, more than {MOST_NOISE}×");
            }
        }
        Ok(())
    }

    /// Full load for a minute, then the memory (P8).
    fn soak(&self, product: &Process, list: &Path) -> Result<f64> {
        complain(&format!("full load for {} s", self.soak));
        let target = Target { name: "soak", process: product, kind: Kind::Token, list: list.to_owned() };
        Ok(Self::load(&target, self.soak, &[])?.1.resident)
    }

    /// From exec to the first token on existing data, in milliseconds (P9).
    async fn starts(&self) -> Result<Spread> {
        let world = World::new(&self.server, &self.directory.join("start"))?;
        let process = world.start()?;
        let bearer = world.admin_token().await?;
        let clients = world.clients(&bearer, 100, &json!({})).await?;
        process.stop()?;
        let (id, secret) = clients.first().context("no clients")?;
        let request = token_request(id, secret);
        let mut taken = Vec::new();
        for _ in 0..self.rounds.max(3) {
            let begun = Instant::now();
            let process = world.start()?;
            world.first_answer(&request, Duration::from_secs(20)).await?;
            taken.push(begun.elapsed().as_secs_f64() * 1e3);
            process.stop()?;
        }
        Ok(Spread::of(taken))
    }

    fn measure(&self, target: &Target<'_>, extra: &[&str]) -> Result<(Outcome, Measured)> {
        Self::load(target, self.seconds, extra).with_context(|| format!("`{}`", target.name))
    }

    /// One run of the generator in a process of its own on a core of its own.
    fn load(target: &Target<'_>, seconds: f64, extra: &[&str]) -> Result<(Outcome, Measured)> {
        let mut command: Command = pinned(GENERATOR_CORE, &std::env::current_exe()?);
        let warmup = if target.kind == Kind::IntrospectOnce { "0" } else { "1" };
        command
            .args(["load", "--addr", &target.process.address.to_string(), "--kind", target.kind.name()])
            .args(["--authorization", &World::admin_authorization(), "--seconds", &seconds.to_string()])
            .args(["--warmup", warmup, "--list"])
            .arg(&target.list)
            .args(extra)
            .stderr(Stdio::inherit());
        let (begun, used) = (Instant::now(), target.process.cpu_seconds()?);
        let output = command.output().context("taskset")?;
        let cpu = (target.process.cpu_seconds()? - used) / begun.elapsed().as_secs_f64();
        ensure!(output.status.success(), "no rate: the generator met an answer that it does not accept");
        let outcome = Outcome::from_json(&serde_json::from_slice(&output.stdout).context("the generator's answer")?)?;
        let resident = target.process.resident_mib()?;
        Ok((outcome, Measured { rate: outcome.rate, p99: outcome.p99, cpu, resident }))
    }

    fn note(&mut self, line: &Value) -> Result<()> {
        if let Some(file) = &mut self.json {
            writeln!(file, "{line}")?;
        }
        Ok(())
    }
}

/// Wrong secrets for one client, until it is dropped.
fn flood(address: SocketAddr, id: &str) -> Result<Process> {
    let mut command = pinned(GENERATOR_CORE, &std::env::current_exe()?);
    command.args(["flood", "--addr", &address.to_string(), "--id", id, "--rate", FLOOD]);
    Process::start(command, address)
}

fn report(targets: &[Target<'_>], rounds: &Rounds) {
    say("\n| target | answers/s, median | range | p99 | server's core | resident |\n|---|---|---|---|---|---|");
    for target in targets {
        let rate = rounds.spread(target.name, |measured| measured.rate);
        say(&format!(
            "| {} | {:.0} | {:.0}–{:.0} | {:.2} ms | {:.0} % | {:.1} MiB |",
            target.name,
            rate.median,
            rate.least,
            rate.most,
            rounds.spread(target.name, |measured| measured.p99).median / 1e3,
            rounds.spread(target.name, |measured| measured.cpu).median * 100.0,
            rounds.spread(target.name, |measured| measured.resident).median,
        ));
    }
    say("\n| id | path | ratio, median | range | gate | target | moonshot | |\n|---|---|---|---|---|---|---|---|");
    let is_measured = |name: &str| targets.iter().any(|target| target.name == name);
    let measured = RATIOS.into_iter().filter(|(_, _, target, floor, _)| is_measured(target) && is_measured(floor));
    for (id, what, target, floor, [gate, goal, moonshot]) in measured {
        let ratio = rounds.ratio(target, floor);
        let verdict = match ratio.median {
            median if median >= moonshot => "moonshot",
            median if median >= goal => "target",
            median if median >= gate => "gate",
            _ => "missed",
        };
        say(&format!(
            "| {id} | {what} | {:.3} | {:.3}–{:.3} | {gate} | {goal} | {moonshot} | {verdict} |",
            ratio.median, ratio.least, ratio.most,
        ));
    }
    for name in ["floor plain", "floor token es256"] {
        say(&format!("\nNoise of {name}: {:.2}×.", rounds.spread(name, |measured| measured.rate).noise()));
    }
}

/// The machine in one line: the figures mean nothing without it.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    format!("{}, {cores} cores, {}", model.trim_start_matches([' ', '\t', ':']), floor::now())
}
