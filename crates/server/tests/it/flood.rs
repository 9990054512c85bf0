//! Bodies without end against the binary: each is refused, the connection ends, and memory stays (attack row D01).

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use testkit::TempDir;

use crate::process::{Running, binary, json, run};

/// The most memory the process ever had, in KiB.
fn peak(server: &Running) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

/// Writes a head and then the same chunk until the server ends the connection; what was sent, and the answer.
fn flood(server: &Running, head: &str, chunk: &[u8], most: usize) -> (usize, String) {
    let mut peer = TcpStream::connect(server.url.trim_start_matches("http://")).unwrap();
    peer.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    peer.write_all(head.as_bytes()).unwrap();
    let framed = [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat();
    let mut sent = 0;
    while sent < most && peer.write_all(&framed).is_ok() {
        sent += chunk.len();
    }
    let mut answer = Vec::new();
    // A reset may follow the answer; what came before it counts.
    let _ = peer.read_to_end(&mut answer);
    (sent, String::from_utf8_lossy(&answer).into_owned())
}

#[test]
fn a_body_without_end_costs_neither_memory_nor_the_next_caller() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data");
    let server = Running::serve(&data, |_| {});
    let admin = json(&run(binary(&["admin", "client", "create", "-o", "json", "--data-dir"]).arg(&data)));
    let [id, secret] = ["client_id", "client_secret"].map(|name| admin[name].as_str().unwrap().to_owned());
    let token = || {
        let mut command =
            binary(&["token", "get", "--scope", "admin", "--client-id", &id, "--issuer", &server.url, "-o", "json"]);
        json(&run(command.env("BASTIONARY_CLIENT_SECRET", &secret)))["access_token"].as_str().unwrap().to_owned()
    };
    let bearer = token();
    let before = peak(&server);
    let most = 256 << 20;
    for (path, kind, own) in [
        ("/oauth2/token", "application/x-www-form-urlencoded", String::new()),
        ("/oauth2/introspect", "application/x-www-form-urlencoded", String::new()),
        ("/oauth2/revoke", "application/x-www-form-urlencoded", String::new()),
        ("/api/clients", "application/json", format!("Authorization: Bearer {bearer}\r\n")),
    ] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\n{own}Transfer-Encoding: chunked\r\n\r\n"
        );
        for chunk in [b"[".repeat(64 << 10), b"a=1&".repeat(16 << 10)] {
            let (sent, answer) = flood(&server, &head, &chunk, most);
            assert!(sent < most, "{path} took everything");
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413 "), "{path}: {answer}");
        }
    }
    // Declared, and never sent.
    let declared = "POST /oauth2/token HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1073741824\r\n\r\n";
    let (_, answer) = flood(&server, declared, b"a", 1);
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let grown = peak(&server) - before;
    assert!(grown < 32 << 10, "the floods took {grown} KiB");
    assert_ne!(token(), bearer, "the next caller is served");
}
