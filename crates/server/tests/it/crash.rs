//! Killing the server under load: what was acknowledged is there afterwards, on both engines.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::Method;
use serde_json::{Value, json};
use server::outbound::{Answer, Message, Outbound, form};
use testkit::{SeededEntropy, TempDir, postgres};

use crate::process::{Running, binary, json as printed, run};

const ISSUER: &str = "http://bastionary.test";
pub(crate) const SECRET: &str = "the secret of the crash harness, long enough";
const WORKERS: u64 = 4;

/// What the server has acknowledged.
#[derive(Default)]
struct Acknowledged {
    clients: BTreeSet<String>,
    issued: BTreeSet<String>,
    /// Token by `jti`, and whether it was revoked.
    tokens: BTreeMap<String, (String, bool)>,
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

pub(crate) fn body(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

fn jti(token: &str) -> String {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice::<Value>(&claims).unwrap()["jti"].as_str().unwrap().to_owned()
}

/// A form to an OAuth endpoint; `None` when the server is gone.
pub(crate) async fn post(
    server: &Outbound,
    path: &str,
    client: (&str, &str),
    fields: &[(&str, &str)],
) -> Option<Answer> {
    let message =
        Message { authorization: Some(basic(client.0, client.1)), body: Some(form(fields)), ..Message::default() };
    server.send(Method::POST, path, message).await.ok()
}

pub(crate) async fn admin_token(server: &Outbound) -> Option<String> {
    let fields = [("grant_type", "client_credentials"), ("scope", "admin")];
    let answer = body(&post(server, "/oauth2/token", ("harness", SECRET), &fields).await?);
    Some(answer["access_token"].as_str()?.to_owned())
}

pub(crate) async fn api(
    server: &Outbound,
    token: &str,
    method: Method,
    path: &str,
    sent: Option<Value>,
) -> Option<Answer> {
    let message = Message {
        authorization: Some(format!("Bearer {token}")),
        body: sent.map(|value| ("application/json", value.to_string().into_bytes())),
        ..Message::default()
    };
    server.send(method, path, message).await.ok()
}

/// Creates clients, gets tokens and revokes some until the server is gone.
async fn load(server: Outbound, name: String, known: Arc<Mutex<Acknowledged>>) {
    let Some(admin) = admin_token(&server).await else { return };
    known.lock().unwrap().issued.insert(jti(&admin));
    for number in 0_u64.. {
        let id = format!("{name}-{number}");
        let created =
            api(&server, &admin, Method::POST, "/api/clients", Some(json!({"client_id": id, "scopes": ["s"]}))).await;
        let Some(created) = created else { return };
        assert_eq!(created.status, 201, "{}", body(&created));
        let secret = body(&created)["client_secret"].as_str().unwrap().to_owned();
        known.lock().unwrap().clients.insert(id.clone());
        for round in 0..3 {
            let answer = post(&server, "/oauth2/token", (&id, &secret), &[("grant_type", "client_credentials")]).await;
            let Some(answer) = answer else { return };
            assert_eq!(answer.status, 200, "{}", body(&answer));
            let token = body(&answer)["access_token"].as_str().unwrap().to_owned();
            let jti = jti(&token);
            {
                let mut known = known.lock().unwrap();
                known.issued.insert(jti.clone());
                if round != 0 {
                    known.tokens.insert(jti.clone(), (token.clone(), false));
                }
            }
            if round == 1 {
                // From the request on the outcome is open until it is acknowledged.
                known.lock().unwrap().tokens.remove(&jti);
                let Some(answer) = post(&server, "/oauth2/revoke", (&id, &secret), &[("token", &token)]).await else {
                    return;
                };
                assert_eq!(answer.status, 200, "{}", body(&answer));
                known.lock().unwrap().tokens.insert(jti, (token, true));
            }
        }
    }
}

/// All values of a member over the pages of a list.
pub(crate) async fn all(server: &Outbound, token: &str, path: &str, member: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let answer = api(server, token, Method::GET, &format!("{path}?limit=200{cursor}"), None).await.unwrap();
        let page = body(&answer);
        assert_eq!(answer.status, 200, "{page}");
        found.extend(
            page["data"].as_array().unwrap().iter().filter_map(|item| item[member].as_str()).map(str::to_owned),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={}", server::outbound::encoded(next)),
            None => return found,
        }
    }
}

async fn check(server: &Outbound, known: &Acknowledged) {
    let admin = admin_token(server).await.unwrap();
    let clients = all(server, &admin, "/api/clients", "client_id").await;
    let lost: Vec<&String> = known.clients.difference(&clients).collect();
    assert!(lost.is_empty(), "acknowledged clients are gone: {lost:?}");
    let journal = all(server, &admin, "/api/audit/journal", "jti").await;
    let lost: Vec<&String> = known.issued.difference(&journal).collect();
    assert!(lost.is_empty(), "issued tokens are not in the journal: {lost:?}");
    for (jti, (token, is_revoked)) in &known.tokens {
        let answer = post(server, "/oauth2/introspect", ("harness", SECRET), &[("token", token)]).await.unwrap();
        assert_eq!(body(&answer)["active"], !is_revoked, "{jti}");
    }
}

fn start(data: &Path, database: Option<&str>) -> Running {
    start_with(data, database, &[])
}

pub(crate) fn start_with(data: &Path, database: Option<&str>, environment: &[(&str, &str)]) -> Running {
    Running::serve(data, |command| {
        command
            .args(["--issuer", ISSUER])
            .env("BASTIONARY_ADMIN_CLIENT_ID", "harness")
            .env("BASTIONARY_ADMIN_CLIENT_SECRET", SECRET)
            .env("BASTIONARY_LIMITS_CLIENT_RATE", "1000000")
            .env("BASTIONARY_LIMITS_SOURCE_RATE", "1000000")
            .envs(environment.iter().copied());
        if let Some(database) = database {
            command.env("BASTIONARY_DATABASE_URL", database);
        }
    })
}

async fn crash(cycles: u64, database: Option<&str>) {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data");
    let mut dice = SeededEntropy::new(cycles);
    let mut server = start(&data, database);
    let mut acknowledged = (0, 0, 0);
    for cycle in 0..cycles {
        let known = Arc::new(Mutex::new(Acknowledged::default()));
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                tokio::spawn(load(Outbound::new(&server.url, None), format!("c{cycle}-w{worker}"), Arc::clone(&known)))
            })
            .collect();
        // At least one acknowledgment, then any moment: the crash shall meet every step of a commit.
        while known.lock().unwrap().clients.is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(dice.below(700))).await;
        server.kill();
        for worker in workers {
            worker.await.unwrap();
        }
        server = start(&data, database);
        let known = std::mem::take(&mut *known.lock().unwrap());
        acknowledged.0 += known.clients.len();
        acknowledged.1 += known.issued.len();
        acknowledged.2 += known.tokens.values().filter(|(_, is_revoked)| *is_revoked).count();
        check(&Outbound::new(&server.url, None), &known).await;
        let report = printed(&run(binary(&["audit", "verify", "-o", "json", "--data-dir"]).arg(&data)));
        assert_eq!(report["good"], true, "{report}");
    }
    assert_eq!(server.stop(), Some(0));
    let (clients, tokens, revocations) = acknowledged;
    let engine = if database.is_some() { "PostgreSQL" } else { "SQLite" };
    #[expect(clippy::print_stdout, reason = "a proof hands in its figures on standard output")]
    {
        println!(
            "PROOF {cycles} kills on {engine}: {clients} clients, {tokens} tokens and {revocations} revocations acknowledged, none lost"
        );
    }
}

pub(crate) fn durable() -> (postgres::Cluster, String) {
    let cluster = postgres::durable_cluster().unwrap();
    let database = cluster.fresh_database().unwrap();
    let name = database.rsplit_once("dbname=").unwrap().1;
    let sockets = server::outbound::encoded(&cluster.sockets().display().to_string());
    let url = format!("postgres://postgres@{sockets}/{name}");
    (cluster, url)
}

pub(crate) fn proof_cycles() -> u64 {
    if server::environment::given("BASTIONARY_PROOF").as_deref() == Some("full") { 100 } else { 20 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_acknowledged_before_a_kill_is_there_after_it_on_sqlite() {
    crash(5, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_acknowledged_before_a_kill_is_there_after_it_on_postgresql() {
    let (_cluster, database) = durable();
    crash(5, Some(&database)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; run by `cargo xtask proof crash`"]
async fn proof_crash() {
    crash(proof_cycles(), None).await;
    let (_cluster, database) = durable();
    crash(proof_cycles(), Some(&database)).await;
}
