//! `listen`, `trigger` and `events tail`, as somebody tries them out.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jose::mac::HmacKey;
use kernel::event::Type;
use serde_json::Value;
use testkit::TempDir;

use crate::process::{Running, binary, json, run, said};

/// A message that a program got.
struct Message {
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

/// A program that answers 204 to everything and tells what it got.
fn receiver() -> (String, mpsc::Receiver<Message>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (told, messages) = mpsc::sync_channel(1_000);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut headers = BTreeMap::new();
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap() > 2 {
                if let Some((name, value)) = line.trim().split_once(": ") {
                    headers.insert(name.to_lowercase(), value.to_owned());
                }
                line.clear();
            }
            let mut body = vec![0; headers["content-length"].parse().unwrap()];
            reader.read_exact(&mut body).unwrap();
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
            if told.send(Message { headers, body }).is_err() {
                return;
            }
        }
    });
    (url, messages)
}

/// A server with a sandbox, and commands of the sandbox's administrator.
struct World {
    _dir: TempDir,
    _server: Running,
    issuer: String,
    live: (String, Value),
    sandbox: Value,
}

impl World {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let data = dir.path().join("data");
        let server = Running::serve(&data, |_| {});
        let admin = json(&run(binary(&["admin", "client", "create", "-o", "json", "--data-dir"]).arg(&data)));
        let live = (server.url.clone(), admin);
        let issuer = format!("{}/t/try-out", server.url);
        let mut world = Self { _dir: dir, _server: server, issuer, live, sandbox: Value::Null };
        let body = r#"{"slug": "try-out", "kind": "sandbox"}"#;
        let made = json(&run(&mut world.of_live(&["api", "post", "/api/tenants", "--data", body])));
        world.sandbox = made["admin_client"].clone();
        world
    }

    fn command(issuer: &str, client: &Value, arguments: &[&str]) -> Command {
        let mut command = binary(arguments);
        command
            .env("BASTIONARY_ISSUER", issuer)
            .env("BASTIONARY_CLIENT_ID", client["client_id"].as_str().unwrap())
            .env("BASTIONARY_CLIENT_SECRET", client["client_secret"].as_str().unwrap());
        command
    }

    fn of_live(&self, arguments: &[&str]) -> Command {
        Self::command(&self.live.0, &self.live.1, arguments)
    }

    fn of_sandbox(&self, arguments: &[&str]) -> Command {
        Self::command(&self.issuer, &self.sandbox, arguments)
    }
}

#[test]
fn what_is_triggered_arrives_signed_at_a_program_on_this_machine() {
    let world = World::new();
    let (url, messages) = receiver();
    let mut listen = Running::start(world.of_sandbox(&["listen", "--forward-to", &url, "--types", "client.*"]), true);
    let line = listen.until("Signing secret: ");
    let secret = line.lines().find_map(|line| line.strip_prefix("Signing secret: ")).unwrap().trim().to_owned();
    let secret = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mac = HmacKey::new(secret.as_slice().try_into().unwrap());
    // the stream begins when it is open
    std::thread::sleep(Duration::from_millis(500));
    let told = run(&mut world.of_sandbox(&["trigger", "client.disabled"]));
    assert_eq!(told.status.code(), Some(0), "{}", said(&told));
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!((told["type"].as_str(), told["tenant"].as_str()), (Some("client.disabled"), Some("try-out")));
    for kind in ["client.created", "client.disabled"] {
        let message = messages.recv_timeout(Duration::from_secs(10)).unwrap();
        let event: Value = serde_json::from_slice(&message.body).unwrap();
        assert_eq!(event["type"], kind);
        assert_eq!(message.headers["webhook-id"], event["id"].as_str().unwrap());
        let signed = [
            message.headers["webhook-id"].as_bytes(),
            b".",
            message.headers["webhook-timestamp"].as_bytes(),
            b".",
            &message.body,
        ];
        let expected = format!("v1,{}", STANDARD.encode(mac.tag(&signed.concat())));
        assert_eq!(message.headers["webhook-signature"], expected);
    }
    let printed = listen.until("client.disabled");
    assert!(printed.contains("204 in "), "{printed}");
    listen.kill();
}

#[test]
fn every_type_that_can_be_triggered_is_told_and_the_others_say_why_not() {
    let world = World::new();
    for kind in Type::ALL {
        let output = run(&mut world.of_sandbox(&["trigger", kind.name()]));
        if output.status.code() == Some(0) {
            let told: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(told["type"], kind.name());
        } else {
            assert!(said(&output).contains("cannot be triggered"), "{}: {}", kind.name(), said(&output));
            assert!(!kind.name().starts_with("client.") || *kind == Type::SecretExpiring, "{}", kind.name());
        }
    }
}

#[test]
fn a_live_tenant_an_unknown_type_and_another_machine_are_refused() {
    let world = World::new();
    let live = run(&mut world.of_live(&["trigger", "client.created"]));
    assert_eq!(live.status.code(), Some(5), "{}", said(&live));
    let unknown = run(&mut world.of_sandbox(&["trigger", "client.create"]));
    assert_eq!(unknown.status.code(), Some(2), "{}", said(&unknown));
    assert!(said(&unknown).contains("Did you mean `client.created`?"), "{}", said(&unknown));
    let elsewhere = run(&mut world.of_sandbox(&["listen", "--forward-to", "http://192.0.2.1/hook"]));
    assert_eq!(elsewhere.status.code(), Some(2), "{}", said(&elsewhere));
    let mut stranger = world.of_sandbox(&["events", "tail"]);
    let refused = run(stranger.env("BASTIONARY_CLIENT_SECRET", "bst_cs_wrong"));
    assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));
}

#[test]
fn a_tail_goes_on_after_the_server_was_gone() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data");
    let mut server = Running::serve(&data, |_| {});
    let admin = json(&run(binary(&["admin", "client", "create", "-o", "json", "--data-dir"]).arg(&data)));
    let url = server.url.clone();
    let command = |arguments: &[&str]| World::command(&url, &admin, arguments);
    let mut tail = Running::start(command(&["events", "tail"]), true);
    std::thread::sleep(Duration::from_millis(800));
    let create =
        |id: &str| assert_eq!(run(&mut command(&["clients", "create", "--client-id", id])).status.code(), Some(0));
    create("before");
    tail.until("before");
    assert_eq!(server.stop(), Some(0));
    let address = url.strip_prefix("http://").unwrap().to_owned();
    let mut again = binary(&["serve", "--listen", &address, "--data-dir"]);
    again.arg(&data);
    let mut server = Running::start(again, false);
    server.until("the server is ready");
    create("after");
    let told = tail.until("after");
    assert!(!told.contains("before"), "{told}");
    tail.kill();
    assert_eq!(server.stop(), Some(0));
}
