//! Secrets as canaries through a whole life of the binary (attack row S01): none is found in a log line, a metric, a
//! later answer, the command line, or anywhere in the data directory or the database.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use http::{HeaderName, Method};
use serde_json::{Value, json};
use server::outbound::{Answer, Message, Outbound, encoded, form};
use testkit::TempDir;

use crate::process::{Running, binary, json as printed, run};

/// Secrets by what they are, as they were shown or chosen.
struct Canaries(Vec<(&'static str, Vec<u8>)>);

impl Canaries {
    fn add(&mut self, what: &'static str, secret: impl Into<Vec<u8>>) {
        self.0.push((what, secret.into()));
    }

    /// What the search looks for, by the first two bytes: every place is read once for all of them.
    fn needles(&self) -> Needles {
        let mut needles = Needles { all: Vec::new(), beginning: vec![Vec::new(); 1 << 16] };
        for (what, secret) in &self.0 {
            for (form, bytes) in forms(secret) {
                needles.beginning[beginning(&bytes)].push(needles.all.len());
                needles.all.push((format!("{what} {form}"), bytes));
            }
        }
        needles
    }
}

/// Canaries in every form in which bytes are written down.
struct Needles {
    all: Vec<(String, Vec<u8>)>,
    beginning: Vec<Vec<usize>>,
}

fn beginning(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

impl Needles {
    /// Which canaries a place holds.
    fn found_in(&self, place: &str, haystack: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        for at in 0..haystack.len().saturating_sub(1) {
            for needle in &self.beginning[beginning(&haystack[at..])] {
                let (what, bytes) = &self.all[*needle];
                if haystack[at..].starts_with(bytes) {
                    found.push(format!("{place} holds {what}"));
                }
            }
        }
        found
    }
}

/// A secret as it stands, in hexadecimal, in base64 at each of the three places it can begin, and percent-encoded.
fn forms(secret: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let hex = secret.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let mut all = vec![("as it is", secret.to_vec()), ("in hexadecimal", hex.clone().into_bytes())];
    all.push(("in hexadecimal", hex.to_uppercase().into_bytes()));
    for before in 0..3 {
        let padded = [&vec![0; before], secret].concat();
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let text = engine.encode(&padded);
            // The characters at both ends mix in bits of the neighbors.
            let inner = &text[if before == 0 { 0 } else { before + 1 }..text.len() - 2];
            all.push(("in base64", inner.as_bytes().to_vec()));
        }
    }
    if let Ok(text) = std::str::from_utf8(secret) {
        all.push(("percent-encoded", encoded(text).into_bytes()));
    }
    all
}

fn body(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("{name}: {value}")).to_owned()
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

/// A running server with everything that happened in it.
struct Life {
    server: Running,
    asked: Outbound,
    canaries: Canaries,
    /// Answers that may show no secret.
    answers: Vec<(String, Vec<u8>)>,
}

impl Life {
    async fn send(&mut self, method: Method, path: &str, authorization: Option<String>, body: Option<Value>) -> Answer {
        let body = body.map(|value| ("application/json", value.to_string().into_bytes()));
        let fields = vec![];
        let answer = self.asked.send(method, path, Message { authorization, fields, body }).await.unwrap();
        self.server.hear();
        answer
    }

    async fn form(&mut self, path: &str, authorization: Option<String>, fields: &[(&str, &str)]) -> Answer {
        let message = Message { authorization, body: Some(form(fields)), ..Message::default() };
        let answer = self.asked.send(Method::POST, path, message).await.unwrap();
        self.server.hear();
        answer
    }

    /// Notes an answer that may not show a secret.
    fn keep(&mut self, what: &str, answer: &Answer) {
        let head: String =
            answer.headers.values().map(|v| v.to_str().unwrap_or_default()).collect::<Vec<_>>().join("\n");
        self.answers.push((format!("the answer to {what}"), [head.as_bytes(), &answer.body].concat()));
    }
}

/// The whole story: every way in which a secret is made, used, presented wrongly and ended.
async fn live(mut server: Running, data: &Path, management: &str) -> Life {
    let admin = printed(&run(binary(&["admin", "client", "create", "-o", "json", "--data-dir"]).arg(data)));
    let (admin_id, admin_secret) = (text(&admin, "client_id"), text(&admin, "client_secret"));
    let asked = Outbound::new(&server.url, None);
    server.hear();
    let mut life = Life { server, asked, canaries: Canaries(Vec::new()), answers: Vec::new() };
    let key = std::fs::read_to_string(data.join("master.key")).unwrap().trim().to_owned();
    life.canaries.add("the master key", STANDARD.decode(&key).unwrap());
    life.canaries.add("the administrator's secret", admin_secret.clone());

    let grant = [("grant_type", "client_credentials"), ("scope", "admin")];
    let answer = life.form("/oauth2/token", Some(basic(&admin_id, &admin_secret)), &grant).await;
    let token = text(&body(&answer), "access_token");
    life.canaries.add("the administrator's token", token.clone());
    let bearer = Some(format!("Bearer {token}"));

    // Made: chosen, generated, in a new tenant, and under a key that seals the first answer.
    let chosen = "canary: a secret that somebody chose/+ü";
    life.canaries.add("a chosen secret", chosen);
    let fields = json!({"client_id": "chosen", "client_secret": chosen, "scopes": ["read"]});
    let answer = life.send(Method::POST, "/api/clients", bearer.clone(), Some(fields)).await;
    assert_eq!(answer.status, 201, "{}", body(&answer));
    life.keep("the creation with a chosen secret", &answer);
    let idempotency = "canary-idempotency-key-0123456789";
    life.canaries.add("an idempotency key", idempotency);
    let grants =
        json!({"client_id": "generated", "scopes": ["read"], "grant_types": ["client_credentials", "refresh_token"]});
    let mut generated = String::new();
    for _ in 0..2 {
        let message = Message {
            authorization: bearer.clone(),
            fields: vec![(HeaderName::from_static("idempotency-key"), idempotency.to_owned())],
            body: Some(("application/json", grants.to_string().into_bytes())),
        };
        let answer = life.asked.send(Method::POST, "/api/clients", message).await.unwrap();
        generated = text(&body(&answer), "client_secret");
    }
    life.canaries.add("a generated secret", generated.clone());
    let rotate = json!({"expire_others_in_seconds": 600});
    let answer = life.send(Method::POST, "/api/clients/generated/secrets", bearer.clone(), Some(rotate)).await;
    let rotated = text(&body(&answer), "client_secret");
    life.canaries.add("a rotated secret", rotated.clone());
    let opaque = json!({"client_id": "opaque", "scopes": ["read"], "access_token_format": "opaque"});
    let answer = life.send(Method::POST, "/api/clients", bearer.clone(), Some(opaque)).await;
    let opaque = text(&body(&answer), "client_secret");
    life.canaries.add("the secret of a client with opaque tokens", opaque.clone());
    let answer = life.send(Method::POST, "/api/tenants", bearer.clone(), Some(json!({"slug": "acme"}))).await;
    life.canaries
        .add("the secret of a tenant's first administrator", text(&body(&answer)["admin_client"], "client_secret"));

    // Used: tokens of every kind, refreshed, introspected, revoked.
    let grant = [("grant_type", "client_credentials")];
    let mut tokens = Vec::new();
    for (id, secret) in [("chosen", chosen), ("generated", &generated), ("generated", &rotated), ("opaque", &opaque)] {
        let answer = life.form("/oauth2/token", Some(basic(id, secret)), &grant).await;
        assert_eq!(answer.status, 200, "{id}: {}", body(&answer));
        let in_body = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
        life.form("/oauth2/token", None, &in_body).await;
        let answer = body(&answer);
        life.canaries.add("an access token", text(&answer, "access_token"));
        if let Some(refresh) = answer["refresh_token"].as_str() {
            life.canaries.add("a refresh token", refresh);
            let again = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
            let answer = body(&life.form("/oauth2/token", Some(basic(id, secret)), &again).await);
            life.canaries.add("a rotated refresh token", text(&answer, "refresh_token"));
            life.canaries.add("a refreshed access token", text(&answer, "access_token"));
            tokens.push((id, secret.to_owned(), text(&answer, "refresh_token")));
        }
        tokens.push((id, secret.to_owned(), text(&answer, "access_token")));
    }
    for (id, secret, token) in &tokens {
        let answer = life.form("/oauth2/introspect", Some(basic(id, secret)), &[("token", token)]).await;
        life.keep("an introspection", &answer);
        life.form("/oauth2/revoke", Some(basic(id, secret)), &[("token", token)]).await;
    }

    // Presented wrongly: in the URL, in the wrong field, as the wrong kind, broken.
    for secret in [chosen, &generated, &rotated, &token] {
        let quoted = encoded(secret);
        for path in ["/oauth2/token", "/oauth2/introspect", "/api/clients", "/docs", "/errors", "/nothing", "/livez"] {
            let answer =
                life.send(Method::GET, &format!("{path}?client_secret={quoted}&token={quoted}"), None, None).await;
            life.keep("a secret in the URL", &answer);
        }
        for name in ["client_id", "scope", "grant_type", "refresh_token", "token", "resource", "client_assertion", "x"]
        {
            for authorization in [
                None,
                Some(basic("generated", &format!("{secret}x"))),
                Some(format!("Bearer {secret}")),
                Some(format!("Basic {secret}")),
            ] {
                let fields = [(name, secret), ("grant_type", "client_credentials"), ("client_id", "generated")];
                let answer = life.form("/oauth2/token", authorization, &fields).await;
                life.keep("a secret in the wrong place", &answer);
            }
        }
        for fields in [
            json!({secret: 1}),
            json!({"client_id": secret}),
            json!({"expiry": secret}),
            json!({"client_secret": [secret]}),
            json!({"signing_alg": secret}),
        ] {
            let answer = life.send(Method::POST, "/api/clients", bearer.clone(), Some(fields)).await;
            assert!(answer.status.is_client_error(), "{}", body(&answer));
        }
    }

    // Shown: everything that can be read, and what the machine says about itself.
    for path in [
        "/api/clients",
        "/api/clients/chosen",
        "/api/clients/generated",
        "/api/clients/chosen/secrets",
        "/api/clients/generated/secrets",
        "/api/secrets",
        "/api/clients/generated/token-families",
        "/api/clients/generated/tokens",
        "/api/audit/records?limit=200",
        "/api/audit/journal?limit=200",
        "/api/audit/checkpoints",
        "/api/keys",
        "/api/apis",
        "/api/tenants",
        "/api/limits",
        "/api/openapi.json",
        "/.well-known/jwks.json",
    ] {
        let answer = life.send(Method::GET, path, bearer.clone(), None).await;
        assert_eq!(answer.status, 200, "{path}");
        life.keep(path, &answer);
    }
    let metrics = Outbound::new(&format!("http://{management}"), None)
        .send(Method::GET, "/metrics", Message::default())
        .await
        .unwrap();
    assert_eq!(metrics.status, 200);
    life.keep("/metrics", &metrics);
    for file in ["cmdline", "environ"] {
        let text = std::fs::read(format!("/proc/{}/{file}", life.server.id())).unwrap();
        life.answers.push((format!("/proc/…/{file}"), text));
    }
    // Ended: a client deleted, its secrets with it.
    life.send(Method::DELETE, "/api/clients/generated", bearer, None).await;
    life
}

/// Every file of a directory but the master key, which is the one place where that key belongs.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        if kind.is_dir() {
            all.extend(files(&entry.path()));
        } else if kind.is_file() && name != "master.key" {
            all.push((name, std::fs::read(entry.path()).unwrap()));
        }
    }
    all
}

/// Runs the story and searches everything that is left of it.
async fn no_canary_is_found(database: Option<&str>) {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data");
    let management = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let server = Running::serve(&data, |command| {
        command.env("BASTIONARY_LOG", "trace").env("BASTIONARY_MANAGEMENT_LISTEN", &management);
        if let Some((url, _)) = database.map(|name| (address(name), name)) {
            command.env("BASTIONARY_DATABASE_URL", url).env("BASTIONARY_STORE_ALLOW_UNSAFE_DURABILITY", "true");
        }
    });
    let mut life = live(server, &data, &management).await;
    let mut places = files(&data);
    assert!(
        database.is_some() || places.iter().any(|(name, _)| name.ends_with("-wal")),
        "the log of the database is searched too"
    );
    assert_eq!(life.server.stop(), Some(0));
    life.server.hear_out();
    places.extend(files(&data));
    if let Some(database) = database {
        let dump = testkit::postgres::programs().unwrap().join("pg_dump");
        let dumped = Command::new(dump).args(["--data-only", "--inserts", "-d", database]).output().unwrap();
        assert!(dumped.status.success(), "{}", String::from_utf8_lossy(&dumped.stderr));
        assert!(dumped.stdout.len() > 10_000);
        places.push(("the database".to_owned(), dumped.stdout));
    }
    places.push(("the log".to_owned(), life.server.text.clone().into_bytes()));
    let log = &life.server.text;
    assert!(log.contains("the server is ready") && log.contains("stopping"), "the log is captured whole: {log}");
    places.append(&mut life.answers);
    // The search finds what is there.
    assert!(life.canaries.0.len() > 15);
    let needles = life.canaries.needles();
    for (what, secret) in &life.canaries.0 {
        for (_, form) in forms(secret) {
            let wrapped = [b"\0log: ".as_slice(), &form, b"\n"].concat();
            assert!(needles.found_in("a test", &wrapped).iter().any(|found| found.contains(what)), "{what}");
        }
    }
    let found: Vec<String> = places.iter().flat_map(|(place, bytes)| needles.found_in(place, bytes)).collect();
    assert!(found.is_empty(), "{found:#?}");
}

/// The URL of a test database that its connection string names.
fn address(database: &str) -> String {
    let (sockets, name) = database.split_once(" user=postgres dbname=").unwrap();
    let sockets = encoded(sockets.trim_start_matches("host="));
    format!("postgres://postgres@{sockets}/{name}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_anywhere_after_a_whole_life_on_sqlite() {
    no_canary_is_found(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_anywhere_after_a_whole_life_on_postgresql() {
    let database = testkit::postgres::fresh_database().unwrap();
    no_canary_is_found(Some(&database)).await;
}
