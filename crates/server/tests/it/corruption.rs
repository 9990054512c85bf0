//! Bytes of the store that changed while it was at rest: a damaged log is refused by name or forgets nothing that was
//! acknowledged, and no damage anywhere ends in a panic or in a request without an answer.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use http::Method;
use serde_json::{Value, json};
use server::outbound::{Message, Outbound};
use testkit::{SeededEntropy, TempDir};

use crate::crash::{admin_token, api, body, post};
use crate::process::{Running, binary, run, said};

const SECRET: &str = "the secret of the crash harness, long enough";
const CLIENTS: usize = 40;

fn environment(command: &mut Command) {
    command
        .args(["--issuer", "http://bastionary.test"])
        .env("BASTIONARY_ADMIN_CLIENT_ID", "harness")
        .env("BASTIONARY_ADMIN_CLIENT_SECRET", SECRET);
}

/// What was stored: secrets by client, and tokens.
#[derive(Default)]
struct Known {
    clients: Vec<(String, String)>,
    tokens: Vec<String>,
}

/// Fills a store: clients of every kind, tokens of both formats, some of them revoked.
async fn fill(server: &Outbound, from: usize, known: &mut Known) {
    let admin = admin_token(server).await.unwrap();
    for number in from..from + CLIENTS / 2 {
        let id = format!("client-{number}");
        let scopes: Vec<String> = (0..=number % 4).map(|scope| format!("scope:{scope}")).collect();
        let client = json!({
            "client_id": id, "name": format!("Client {number}"), "scopes": scopes, "access_token_ttl_seconds": 86_400,
            "access_token_format": if number % 3 == 0 { "opaque" } else { "jwt" },
            "metadata": {"note": "x".repeat(number * 20)},
        });
        let created = api(server, &admin, Method::POST, "/api/clients", Some(client)).await.unwrap();
        assert_eq!(created.status, 201, "{}", body(&created));
        let secret = body(&created)["client_secret"].as_str().unwrap().to_owned();
        for round in 0..3 {
            let issued = post(server, "/oauth2/token", (&id, &secret), &[("grant_type", "client_credentials")]).await;
            let token = body(&issued.unwrap())["access_token"].as_str().unwrap().to_owned();
            if round == 1 {
                post(server, "/oauth2/revoke", (&id, &secret), &[("token", &token)]).await.unwrap();
            }
            known.tokens.push(token);
        }
        if number % 5 == 0 {
            let path = format!("/api/clients/{id}/disable");
            assert_eq!(api(server, &admin, Method::POST, &path, None).await.unwrap().status, 200);
        }
        known.clients.push((id, secret));
    }
}

/// Status and content of every answer about what was stored; no entry where there was no answer.
async fn ask(server: &Outbound, known: &Known) -> BTreeMap<String, (u16, Value)> {
    let mut answers = BTreeMap::new();
    let admin = admin_token(server).await.unwrap_or_default();
    for (id, secret) in &known.clients {
        if let Some(answer) = api(server, &admin, Method::GET, &format!("/api/clients/{id}"), None).await {
            answers.insert(format!("client {id}"), (answer.status.as_u16(), body(&answer)));
        }
        for secret in [secret.as_str(), "a wrong one"] {
            let fields = [("grant_type", "client_credentials")];
            if let Some(answer) = post(server, "/oauth2/token", (id, secret), &fields).await {
                let mut content = body(&answer);
                if let Some(token) = content.get_mut("access_token") {
                    *token = "some".into();
                }
                answers.insert(format!("token for {id} by {secret}"), (answer.status.as_u16(), content));
            }
        }
    }
    for (number, token) in known.tokens.iter().enumerate() {
        if let Some(answer) = post(server, "/oauth2/introspect", ("harness", SECRET), &[("token", token)]).await {
            answers.insert(format!("token {number}"), (answer.status.as_u16(), body(&answer)));
        }
    }
    if let Ok(answer) = server.send(Method::GET, "/.well-known/jwks.json", Message::default()).await {
        answers.insert("keys".to_owned(), (answer.status.as_u16(), body(&answer)));
    }
    answers
}

/// A directory at rest, and what a server on it answers.
struct Original {
    dir: TempDir,
    known: Known,
    answers: BTreeMap<String, (u16, Value)>,
}

impl Original {
    /// Half of the data is in the database file; the other half too, or in the log of a server that was killed.
    async fn new(is_killed: bool) -> Self {
        let dir = TempDir::new().unwrap();
        let data = dir.path().join("data");
        let mut known = Known::default();
        let mut server = Running::serve(&data, environment);
        fill(&Outbound::new(&server.url, None), 0, &mut known).await;
        assert_eq!(server.stop(), Some(0));
        let mut server = Running::serve(&data, environment);
        fill(&Outbound::new(&server.url, None), CLIENTS / 2, &mut known).await;
        if is_killed {
            server.kill();
        } else {
            assert_eq!(server.stop(), Some(0));
        }
        let mut original = Self { dir, known, answers: BTreeMap::new() };
        let (_copy, data) = original.copy();
        let mut server = Running::serve(&data, environment);
        original.answers = ask(&Outbound::new(&server.url, None), &original.known).await;
        assert_eq!(original.answers.len(), CLIENTS * 6 + 1);
        assert_eq!(server.stop(), Some(0));
        original
    }

    fn copy(&self) -> (TempDir, PathBuf) {
        let copy = TempDir::new().unwrap();
        let data = copy.path().join("data");
        std::fs::create_dir(&data).unwrap();
        for entry in std::fs::read_dir(self.dir.path().join("data")).unwrap() {
            let entry = entry.unwrap();
            // What the killed server left of its socket is none of the data.
            if entry.file_type().unwrap().is_file() {
                std::fs::copy(entry.path(), data.join(entry.file_name())).unwrap();
            }
        }
        (copy, data)
    }
}

/// Damages a file in one of the ways of a failing disk, up to the given length; what was done.
fn damage(file: &Path, length: u64, dice: &mut SeededEntropy) -> String {
    let opened = OpenOptions::new().read(true).write(true).open(file).unwrap();
    let at = dice.below(length);
    match dice.below(8) {
        0 => {
            let sector = at / 512 * 512;
            opened.write_all_at(&[0; 512], sector).unwrap();
            format!("zeroed a sector at {sector}")
        }
        1 => {
            let bytes: Vec<u8> = (0..512).map(|_| u8::try_from(dice.below(256)).unwrap()).collect();
            opened.write_all_at(&bytes, at).unwrap();
            format!("wrote noise at {at}")
        }
        _ => {
            let count = 1 + dice.below(4);
            let mut places = Vec::new();
            for _ in 0..count {
                let (at, flip) = (dice.below(length), u8::try_from(1 + dice.below(255)).unwrap());
                let mut byte = [0];
                opened.read_exact_at(&mut byte, at).unwrap();
                opened.write_all_at(&[byte[0] ^ flip], at).unwrap();
                places.push(at);
            }
            format!("flipped bytes at {places:?}")
        }
    }
}

#[derive(Default)]
struct Tally {
    refused: u64,
    served: u64,
}

/// Starts a server on damaged data: it refuses by name, or it answers.
async fn start_on(original: &Original, data: &Path, done: &str, tally: &mut Tally) {
    let is_log = done.contains("-wal");
    match Running::try_serve(data, environment) {
        Err((code, text)) => {
            assert_eq!(code, Some(1), "{done}: {text}");
            assert!(text.contains("store_corrupt") && !text.contains("panicked"), "{done}: {text}");
            tally.refused += 1;
        }
        Ok(mut server) => {
            let answers = ask(&Outbound::new(&server.url, None), &original.known).await;
            // A changed letter in a text is beyond what the engine can know; a forgotten commit is not.
            let differs = |(question, answer): (&String, &(u16, Value))| {
                Some(answer) != original.answers.get(question) && answer.0 < 500
            };
            let wrong = answers.iter().find(|pair| differs(*pair));
            if is_log {
                assert_eq!(wrong, None, "{done}");
            }
            let by_a_wrong_secret =
                answers.iter().find(|(question, (status, _))| question.ends_with("by a wrong one") && *status == 200);
            assert_eq!(by_a_wrong_secret, None, "{done}");
            assert!(matches!(server.stop(), Some(0)), "{done}");
            tally.served += 1;
        }
    }
}

async fn corrupt(runs: u64, seed: u64) {
    let (clean, killed) = (Original::new(false).await, Original::new(true).await);
    let mut dice = SeededEntropy::new(seed);
    let mut tally = Tally::default();
    for number in 0..runs {
        let (original, name) = match number % 3 {
            0 => (&clean, "bastionary.db"),
            1 => (&killed, "bastionary.db"),
            _ => (&killed, "bastionary.db-wal"),
        };
        let (_copy, data) = original.copy();
        let file = data.join(name);
        let length = std::fs::metadata(&file).unwrap().len();
        // Damage in the last transactions of a log looks like the crash that it may have been.
        let length = if name.ends_with("wal") { length * 3 / 4 } else { length };
        let done = format!("seed {seed}, run {number}: {name}: {}", damage(&file, length, &mut dice));
        start_on(original, &data, &done, &mut tally).await;
        let doctor = run(binary(&["doctor", "--data-dir"]).arg(&data));
        assert!(!said(&doctor).contains("panicked"), "{done}: {}", said(&doctor));
    }
    let Tally { refused, served } = tally;
    assert!(refused > 0 && served > 0, "{refused} refused, {served} served");
    #[expect(clippy::print_stdout, reason = "a proof hands in its figures on standard output")]
    {
        println!(
            "PROOF {runs} damaged stores: {refused} refused by name at the start, {served} served; no acknowledged commit forgotten, no panic"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_store_is_refused_by_name_or_answers() {
    corrupt(18, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; run by `cargo xtask proof corruption`"]
async fn proof_corruption() {
    let runs = if server::environment::given("BASTIONARY_PROOF").as_deref() == Some("full") { 1_000 } else { 100 };
    corrupt(runs, 2).await;
}
