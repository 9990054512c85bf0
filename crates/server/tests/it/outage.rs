//! A database that goes away: what is refused and how soon, what goes on, and that the server comes back by itself.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use http::Method;
use http::header::RETRY_AFTER;
use serde_json::{Value, json};
use server::outbound::{Answer, Message, Outbound};
use testkit::{Mode, Proxy, TempDir, Trap, postgres};

use crate::crash::{SECRET, admin_token, api, body, post};
use crate::process::Running;

/// Nobody waits longer for an answer while the database is away.
const SOON: Duration = Duration::from_secs(1);

/// A server whose way to its database can be broken, an administrator's token, and a token to ask about.
struct Scene {
    database: String,
    proxy: Proxy,
    running: Running,
    server: Outbound,
    admin: String,
    token: String,
    /// A token that no test succeeds in revoking.
    spare: String,
    directory: TempDir,
}

impl Scene {
    async fn new(database: String, user: &str) -> Self {
        let proxy = Proxy::start(&database).unwrap();
        let directory = TempDir::new().unwrap();
        let running = serve(&directory.path().join("data"), &proxy.url(user));
        let server = Outbound::new(&running.url, None);
        let admin = admin_token(&server).await.unwrap();
        let token = admin_token(&server).await.unwrap();
        let spare = admin_token(&server).await.unwrap();
        let scene = Self { database, proxy, running, server, admin, token, spare, directory };
        assert_eq!(scene.introspect().await.status, 200);
        scene
    }

    async fn get(&self, path: &str) -> Answer {
        soon(path, self.server.send(Method::GET, path, Message::default())).await.unwrap()
    }

    async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        soon(path, post(&self.server, path, ("harness", SECRET), fields)).await.unwrap()
    }

    async fn issue(&self) -> Answer {
        self.form("/oauth2/token", &[("grant_type", "client_credentials"), ("scope", "admin")]).await
    }

    async fn issue_to(&self, id: &str, secret: &str) -> Answer {
        post(&self.server, "/oauth2/token", (id, secret), &[("grant_type", "client_credentials")]).await.unwrap()
    }

    /// A new client; its secret.
    async fn client(&self, id: &str) -> String {
        let sent = json!({"client_id": id, "scopes": ["s"]});
        let created = api(&self.server, &self.admin, Method::POST, "/api/clients", Some(sent)).await.unwrap();
        body(&created)["client_secret"].as_str().unwrap().to_owned()
    }

    async fn introspect(&self) -> Answer {
        self.form("/oauth2/introspect", &[("token", &self.token)]).await
    }

    /// A change with an `Idempotency-Key`.
    async fn change(&self, path: &str, sent: Option<&Value>) -> Answer {
        let message = Message {
            authorization: Some(format!("Bearer {}", self.admin)),
            fields: vec![("idempotency-key".parse().unwrap(), format!("the one of {path}"))],
            body: sent.map(|value| ("application/json", value.to_string().into_bytes())),
        };
        soon(path, self.server.send(Method::POST, path, message)).await.unwrap()
    }

    /// What needs the database is refused with a time to come back, and what does not is served.
    async fn is_out(&self) {
        for answer in [self.issue().await, self.form("/oauth2/revoke", &[("token", &self.spare)]).await] {
            assert_eq!((answer.status.as_u16(), &body(&answer)["error"]), (503, &json!("temporarily_unavailable")));
            assert!(answer.headers.contains_key(RETRY_AFTER));
        }
        let listed = soon("/api", api(&self.server, &self.admin, Method::GET, "/api/clients", None)).await.unwrap();
        assert_eq!((listed.status.as_u16(), &body(&listed)["code"]), (503, &json!("store_unavailable")));
        assert!(listed.headers.contains_key(RETRY_AFTER));
        for path in ["/.well-known/jwks.json", "/.well-known/oauth-authorization-server", "/docs/operations", "/livez"]
        {
            assert_eq!(self.get(path).await.status, 200, "{path}");
        }
    }

    /// Waits until `/readyz` says why the store is out of reach.
    async fn names(&self, reason: &str) {
        let end = Instant::now() + Duration::from_secs(15);
        loop {
            let said = body(&self.get("/readyz?verbose").await);
            let checks = said["checks"].as_array().unwrap();
            if checks.iter().any(|c| c["code"] == "store_unreachable" && c["reason"] == reason) {
                return;
            }
            assert!(Instant::now() < end, "{said} does not say {reason}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The codes and reasons of `/readyz`, once it is not ready.
    async fn named(&self, expected: &Value) {
        let end = Instant::now() + Duration::from_secs(7);
        loop {
            let answer = self.get("/readyz?verbose").await;
            let said = body(&answer);
            let checks = said["checks"].as_array().unwrap();
            let found: Value = checks.iter().map(|check| json!([check["code"], check["reason"]])).collect();
            if found == *expected {
                assert_eq!((answer.status.as_u16(), &said["status"]), (503, &json!("not_ready")));
                for check in checks {
                    assert_eq!(check["runbook"], format!("/errors/{}", check["code"].as_str().unwrap()));
                    assert!(check["since"].as_str().unwrap().ends_with('Z'));
                }
                return;
            }
            assert!(Instant::now() < end, "{said} is not {expected}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ready within 2 s.
    async fn is_back(&self) {
        let end = Instant::now() + Duration::from_secs(2);
        loop {
            let answer = self.get("/readyz").await;
            if answer.status == 200 {
                break;
            }
            assert!(Instant::now() < end, "{}", body(&answer));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(self.issue().await.status, 200);
    }

    /// Another server on the same database, past the proxy.
    fn another(&self) -> Running {
        let data = self.directory.path().join("another");
        std::fs::create_dir(&data).unwrap();
        std::fs::copy(self.directory.path().join("data/master.key"), data.join("master.key")).unwrap();
        serve(&data, &url(&self.database))
    }
}

async fn soon<T>(what: &str, asked: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let answer = asked.await;
    assert!(began.elapsed() < SOON, "{what} took {:?}", began.elapsed());
    answer
}

fn serve(data: &Path, database: &str) -> Running {
    Running::serve(data, |command| {
        command
            .args(["--issuer", "http://bastionary.test"])
            .env("BASTIONARY_DATABASE_URL", database)
            .env("BASTIONARY_STORE_ALLOW_UNSAFE_DURABILITY", "true")
            .env("BASTIONARY_ADMIN_CLIENT_ID", "harness")
            .env("BASTIONARY_ADMIN_CLIENT_SECRET", SECRET);
    })
}

/// The address of a database of the test cluster for a server.
fn url(database: &str) -> String {
    let (sockets, name) = database.split_once(" user=postgres dbname=").unwrap();
    format!("postgres://postgres@{}/{name}", server::outbound::encoded(sockets.trim_start_matches("host=")))
}

fn sql(database: &str, text: &str) {
    let psql = postgres::programs().unwrap().join("psql");
    let done = Command::new(psql).args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", text]).status();
    assert!(done.unwrap().success(), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_refuses_what_needs_it_is_refused_at_once_and_the_rest_goes_on() {
    let mut scene = Scene::new(postgres::fresh_database().unwrap(), "postgres").await;
    scene.proxy.set(Mode::Refuse);
    scene.is_out().await;
    // the lease still holds, so what is known in memory is still true
    let answer = scene.introspect().await;
    assert_eq!((answer.status.as_u16(), &body(&answer)["active"]), (200, &json!(true)));
    scene.named(&json!([["store_unreachable", "unreachable"]])).await;
    scene.proxy.set(Mode::Pass);
    scene.is_back().await;
    assert_eq!(body(&scene.introspect().await)["active"], true);
    assert_eq!(scene.running.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_lease_ended_is_silent_and_comes_back_knowing_what_another_one_did() {
    let mut scene = Scene::new(postgres::fresh_database().unwrap(), "postgres").await;
    let (narrowed, edited) = (scene.client("narrowed").await, scene.client("edited").await);
    assert_eq!(scene.issue_to("edited", &edited).await.status, 200);
    let issued = scene.issue_to("narrowed", &narrowed).await;
    scene.token = body(&issued)["access_token"].as_str().unwrap().to_owned();
    assert_eq!(body(&scene.introspect().await)["active"], true);

    scene.proxy.set(Mode::Silent);
    scene.is_out().await;
    scene.named(&json!([["store_unreachable", "silent"], ["lease_lost", null]])).await;
    scene.is_out().await;
    let silenced = scene.introspect().await;
    assert_eq!((silenced.status.as_u16(), &body(&silenced)["error"]), (503, &json!("temporarily_unavailable")));

    let mut another = scene.another();
    let there = Outbound::new(&another.url, None);
    let admin = admin_token(&there).await.unwrap();
    let disabled = api(&there, &admin, Method::POST, "/api/clients/narrowed/disable", None).await.unwrap();
    assert_eq!(disabled.status, 200, "{}", body(&disabled));
    assert_eq!(another.stop(), Some(0));
    // and what no server did, which is in no feed
    sql(&scene.database, "UPDATE client SET disabled_at = 1 WHERE client_id = 'edited'");

    scene.proxy.set(Mode::Pass);
    scene.is_back().await;
    assert_eq!(body(&scene.introspect().await), json!({"active": false}));
    assert_eq!(scene.issue_to("edited", &edited).await.status, 401);
    assert_eq!(scene.issue_to("narrowed", &narrowed).await.status, 401);
    assert_eq!(scene.running.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_stopped_says_nothing_and_ends_once_another_one_serves() {
    let mut scene = Scene::new(postgres::fresh_database().unwrap(), "postgres").await;
    scene.running.signal("STOP");
    let mut another = scene.another();
    scene.running.signal("CONT");
    for _ in 0..20 {
        let asked = post(&scene.server, "/oauth2/introspect", ("harness", SECRET), &[("token", &scene.token)]).await;
        let Some(answer) = asked else { break };
        assert_eq!(answer.status, 503, "{}", body(&answer));
    }
    assert_eq!(scene.running.wait().code(), Some(5));
    assert_eq!(another.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_whose_outcome_was_lost_is_made_once_and_its_repetition_gives_the_first_answer() {
    let mut scene = Scene::new(postgres::fresh_database().unwrap(), "postgres").await;
    let sent = json!({"client_id": "made-once", "name": "cut at its commit", "scopes": ["s"]});
    scene.proxy.trap(&[b"cut at its commit", b"COMMIT"], Trap::CutAndRefuse);
    let lost = scene.change("/api/clients", Some(&sent)).await;
    assert!(scene.proxy.has_trapped());
    assert_eq!((lost.status.as_u16(), &body(&lost)["code"]), (503, &json!("store_unavailable")));
    let detail = body(&lost)["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("not known whether the change was saved"), "{detail}");
    assert!(lost.headers.contains_key(RETRY_AFTER));
    scene.proxy.set(Mode::Pass);
    scene.is_back().await;
    let made = scene.change("/api/clients", Some(&sent)).await;
    assert_eq!(made.status, 201, "{}", body(&made));
    assert_eq!(body(&scene.change("/api/clients", Some(&sent)).await), body(&made));
    let secret = body(&made)["client_secret"].as_str().unwrap().to_owned();
    let issued = scene.issue_to("made-once", &secret).await;
    assert_eq!(issued.status, 200, "{}", body(&issued));
    let path = "/api/audit/records?object_id=made-once";
    let records = api(&scene.server, &scene.admin, Method::GET, path, None).await.unwrap();
    let actions: Value = body(&records)["data"].as_array().unwrap().iter().map(|r| r["action"].clone()).collect();
    assert_eq!(actions, json!(["client.created"]));

    // a narrowing change that is found done is in force when its answer comes
    scene.token = body(&issued)["access_token"].as_str().unwrap().to_owned();
    assert_eq!(body(&scene.introspect().await)["active"], true);
    let path = "/api/clients/made-once/disable";
    scene.proxy.trap(&[b"client.disabled", b"COMMIT"], Trap::CutAndRefuse);
    assert_eq!(scene.change(path, None).await.status, 503);
    assert!(scene.proxy.has_trapped());
    scene.proxy.set(Mode::Pass);
    scene.is_back().await;
    assert_eq!(scene.change(path, None).await.status, 200);
    assert_eq!(body(&scene.introspect().await), json!({"active": false}));
    assert_eq!(scene.running.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_lock_is_held_each_request_ends_by_its_deadline_and_all_is_well_right_after() {
    let mut scene = Scene::new(postgres::fresh_database().unwrap(), "postgres").await;
    let psql = postgres::programs().unwrap().join("psql");
    let locked = "BEGIN; LOCK TABLE journal_segment; SELECT pg_sleep(4)";
    let mut holder = Command::new(psql).args(["-X", "-q", "-t", "-d", &scene.database, "-c", locked]).spawn().unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let asked: Vec<_> = (0..50)
        .map(|_| {
            let server = Outbound::new(&scene.running.url, None);
            tokio::spawn(async move {
                let began = Instant::now();
                let fields = [("grant_type", "client_credentials"), ("scope", "admin")];
                let answer = post(&server, "/oauth2/token", ("harness", SECRET), &fields).await.unwrap();
                (answer, began.elapsed())
            })
        })
        .collect();
    for asked in asked {
        let (answer, took) = asked.await.unwrap();
        assert_eq!(answer.status, 503, "{}", body(&answer));
        assert!(answer.headers.contains_key(RETRY_AFTER));
        assert!(took < Duration::from_secs(3), "{took:?}");
    }
    // the database answers, so that what needs no journal goes on
    assert_eq!(scene.get("/readyz").await.status, 200);
    assert_eq!(body(&scene.introspect().await)["active"], true);
    assert!(holder.wait().unwrap().success());
    assert_eq!(scene.issue().await.status, 200);
    assert_eq!(scene.running.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_takes_no_writes_or_refuses_the_login_is_named_and_recovered_from() {
    let mut cluster = postgres::durable_cluster().unwrap();
    let database = cluster.fresh_database().unwrap();
    let name = database.rsplit_once("dbname=").unwrap().1;
    sql(&database, &format!("CREATE ROLE app LOGIN PASSWORD 'one'; ALTER DATABASE {name} OWNER TO app"));
    let rules = "VALUES ('local all app scram-sha-256'), ('local all all trust')";
    let copy = format!(
        "DO $$ BEGIN EXECUTE format('COPY ({}) TO %L', current_setting('hba_file')); END $$",
        rules.replace('\'', "''")
    );
    sql(&database, &copy);
    sql(&database, "SELECT pg_reload_conf()");
    let mut scene = Scene::new(database.clone(), "app:one").await;

    sql(&database, "ALTER SYSTEM SET default_transaction_read_only = on");
    sql(&database, "SELECT pg_reload_conf()");
    scene.named(&json!([["store_unreachable", "read_only"]])).await;
    scene.is_out().await;
    scene.running.until("\"reason\":\"read_only\"");
    sql(&database, "ALTER SYSTEM RESET default_transaction_read_only");
    sql(&database, "SELECT pg_reload_conf()");
    scene.is_back().await;

    sql(&database, "ALTER ROLE app PASSWORD 'two'");
    cluster.crash().unwrap();
    scene.named(&json!([["store_unreachable", "unreachable"]])).await;
    cluster.restart().unwrap();
    // on a busy machine the restart takes longer than the lease, which then stands beside it
    scene.names("login_refused").await;
    scene.is_out().await;
    scene.running.until("\"reason\":\"login_refused\"");
    sql(&database, "ALTER ROLE app PASSWORD 'one'");
    scene.is_back().await;
    assert_eq!(scene.running.stop(), Some(0));
}
