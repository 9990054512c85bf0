//! A product under test: its configuration and data, its clients and their tokens.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::client::{Connection, member};
use crate::process::{Process, SERVER_CORE, pinned};
use crate::workload::{basic, document, form, token_request};

/// The admin client that the first start creates.
const ADMIN_ID: &str = "bench-admin";
const ADMIN_SECRET: &str = "a benchmark's own admin secret, 0123456789abcdef0123456789abcdef";
/// The secret of clients whose secret somebody chose.
const CHOSEN_SECRET: &str = "a secret that somebody chose for a benchmark";
/// Connections that prepare clients and tokens.
const PREPARERS: usize = 32;

/// A client id and its secret.
pub(crate) type Credentials = (String, String);

/// A data directory and the way to start the product on it.
pub(crate) struct World {
    server: PathBuf,
    directory: PathBuf,
    address: SocketAddr,
}

impl World {
    /// Writes a configuration into a new directory.
    ///
    /// The limits are the largest that the configuration accepts, not off: the limiter still counts every request.
    pub(crate) fn new(server: &Path, directory: &Path) -> Result<Self> {
        std::fs::create_dir_all(directory)?;
        // the port is free again at once; nothing else on the machine is expected to take it before the server does
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let most = 10_000_000;
        let config = format!(
            "listen = \"{address}\"\nmanagement_listen = \"off\"\nlog = \"warn\"\ndata_dir = {}\n\n[limits]\n\
             source_rate = {most}\nsource_burst = {most}\nclient_rate = {most}\nclient_burst = {most}\n\n\
             [outbound]\nallow = [\"127.0.0.1\"]\n",
            json!(directory.join("data").to_string_lossy()),
        );
        std::fs::write(directory.join("bastionary.toml"), config)?;
        Ok(Self { server: server.to_owned(), directory: directory.to_owned(), address })
    }

    /// Starts the server, pinned; it may not listen yet.
    pub(crate) fn start(&self) -> Result<Process> {
        let mut command = pinned(SERVER_CORE, &self.server);
        let log = std::fs::File::create(self.directory.join("server.log"))?;
        command
            .args(["serve", "--config"])
            .arg(self.directory.join("bastionary.toml"))
            .env("BASTIONARY_ADMIN_CLIENT_ID", ADMIN_ID)
            .env("BASTIONARY_ADMIN_CLIENT_SECRET", ADMIN_SECRET)
            .stdout(Stdio::null())
            .stderr(Stdio::from(log));
        Process::start(command, self.address)
    }

    /// The header value of the admin client, which may introspect every token.
    pub(crate) fn admin_authorization() -> String {
        basic(ADMIN_ID, ADMIN_SECRET)
    }

    /// An admin token, asked for until the server answers.
    pub(crate) async fn admin_token(&self) -> Result<String> {
        self.token_at("/oauth2/token", (ADMIN_ID, ADMIN_SECRET)).await
    }

    /// The body of the first 200; a refused connection is tried again, any other status is an error.
    pub(crate) async fn first_answer(&self, request: &[u8], patience: Duration) -> Result<Vec<u8>> {
        let begun = Instant::now();
        loop {
            if let Ok(mut connection) = Connection::open(self.address).await {
                let answer = connection.exchange(request).await?;
                ensure!(answer.status == 200, "{}", answer.describe());
                return Ok(answer.body.to_vec());
            }
            if begun.elapsed() > patience {
                let log = std::fs::read_to_string(self.directory.join("server.log")).unwrap_or_default();
                bail!("the server did not start: {log}");
            }
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
    }

    /// Creates clients with the given members beside their scope and life, several at a time.
    pub(crate) async fn clients(&self, bearer: &str, count: usize, extra: &Value) -> Result<Vec<Credentials>> {
        let mut body = json!({ "scopes": ["read"], "access_token_ttl_seconds": 86_400 });
        if let (Some(body), Some(extra)) = (body.as_object_mut(), extra.as_object()) {
            body.extend(extra.clone());
        }
        let request = creation(bearer, &body.to_string());
        // the first one alone creates the scope
        let first = self.each(vec![request.clone()], 201, credentials).await?;
        let rest = self.each(vec![request; count.saturating_sub(1)], 201, credentials).await?;
        Ok(first.into_iter().chain(rest).collect())
    }

    /// Creates clients whose secret somebody chose, and uses each once: from then on it is remembered. One at a time,
    /// because a slow hash is paid for both.
    pub(crate) async fn chosen_clients(&self, bearer: &str, count: usize) -> Result<Vec<Credentials>> {
        let mut connection = Connection::open(self.address).await?;
        let mut clients = Vec::with_capacity(count);
        for number in 0..count {
            let id = format!("chosen-{number}");
            let body = json!({ "client_id": id, "client_secret": CHOSEN_SECRET, "scopes": ["read"],
                               "access_token_ttl_seconds": 86_400 });
            let answer = connection.exchange(&creation(bearer, &body.to_string())).await?;
            ensure!(answer.status == 201, "while preparing: {}", answer.describe());
            let answer = connection.exchange(&token_request(&id, CHOSEN_SECRET)).await?;
            ensure!(answer.status == 200, "while preparing: {}", answer.describe());
            clients.push((id, CHOSEN_SECRET.to_owned()));
        }
        Ok(clients)
    }

    /// Posts a document once; the answer.
    pub(crate) async fn post(&self, bearer: &str, path: &str, body: &Value) -> Result<Value> {
        let mut connection = Connection::open(self.address).await?;
        let answer = connection.exchange(&posting(path, bearer, &body.to_string())).await?;
        ensure!(answer.status == 201, "{}", answer.describe());
        Ok(serde_json::from_slice(answer.body)?)
    }

    /// Publishes a version of a plan.
    pub(crate) async fn publish(&self, bearer: &str, plan: &str) -> Result<()> {
        let mut connection = Connection::open(self.address).await?;
        let answer = connection.exchange(&posting(&format!("/api/plans/{plan}/publish"), bearer, "{}")).await?;
        ensure!(answer.status == 200, "{}", answer.describe());
        Ok(())
    }

    /// Posts the same document so many times, several at a time.
    pub(crate) async fn create_each(&self, path: &str, bearer: &str, body: &Value, count: usize) -> Result<()> {
        let request = posting(path, bearer, &body.to_string());
        self.each(vec![request; count], 201, |_| Some(())).await.map(|_| ())
    }

    /// An administrator's token from a token endpoint, asked for until the server answers.
    pub(crate) async fn token_at(&self, path: &str, (id, secret): (&str, &str)) -> Result<String> {
        let request = form(path, &basic(id, secret), "grant_type=client_credentials&scope=admin");
        let answer = self.first_answer(&request, Duration::from_secs(20)).await?;
        Ok(member(&answer, "access_token").context("no access token for the admin client")?.to_owned())
    }

    /// One access token per request, the clients in rotation.
    pub(crate) async fn tokens(&self, clients: &[Credentials], count: usize) -> Result<Vec<String>> {
        let requests = clients.iter().cycle().take(count).map(|(id, secret)| token_request(id, secret)).collect();
        self.each(requests, 200, |body| member(body, "access_token").map(str::to_owned)).await
    }

    /// Sends every request once over several connections and reads something from each answer.
    async fn each<T: Send + 'static>(
        &self,
        requests: Vec<Vec<u8>>,
        status: u16,
        read: fn(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>> {
        let (requests, next) = (Arc::new(requests), Arc::new(AtomicUsize::new(0)));
        let mut tasks = JoinSet::new();
        for _ in 0..PREPARERS {
            let (requests, next, address) = (Arc::clone(&requests), Arc::clone(&next), self.address);
            tasks.spawn(async move {
                let mut connection = Connection::open(address).await?;
                let mut found = Vec::new();
                while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let answer = connection.exchange(request).await?;
                    ensure!(answer.status == status, "while preparing: {}", answer.describe());
                    let value = read(answer.body);
                    found.push(value.with_context(|| format!("while preparing: {}", answer.describe()))?);
                }
                anyhow::Ok(found)
            });
        }
        let mut all = Vec::new();
        while let Some(found) = tasks.join_next().await {
            all.extend(found??);
        }
        Ok(all)
    }
}

/// The request that creates a client.
fn creation(bearer: &str, body: &str) -> Vec<u8> {
    posting("/api/clients", bearer, body)
}

/// The request that posts a document.
fn posting(path: &str, bearer: &str, body: &str) -> Vec<u8> {
    document(path, bearer, "application/json", body)
}

fn credentials(body: &[u8]) -> Option<Credentials> {
    Some((member(body, "client_id")?.to_owned(), member(body, "client_secret")?.to_owned()))
}

/// Writes pairs as the load generator reads them.
pub(crate) fn write_pairs(path: &Path, pairs: &[Credentials]) -> Result<()> {
    let mut text = String::new();
    for (id, secret) in pairs {
        writeln!(text, "{id} {secret}")?;
    }
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}
