//! Starting and stopping the real binary: what it prints, what it refuses, how it ends.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use serde_json::{Value, json};
use server::outbound::{Message, Outbound};
use testkit::TempDir;

use crate::process::{self, Running, binary, chmod, run, said};

fn stderr(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A data directory that was served once.
fn used() -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data");
    let mut server = Running::serve(&data, |_| {});
    assert_eq!(server.stop(), Some(0));
    (dir, data)
}

fn serve(data: &Path) -> Command {
    let mut command = binary(&["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
    command.arg(data);
    command
}

fn entries(dir: &TempDir) -> Vec<String> {
    let read = std::fs::read_dir(dir.path()).unwrap();
    read.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

/// The pasted lines below a title.
fn below(text: &str, title: &str) -> String {
    let lines = text.lines().skip_while(|line| !line.starts_with(title)).skip(1);
    lines.take_while(|line| line.starts_with("  ")).collect::<Vec<_>>().join("\n")
}

fn claims(token: &str) -> Value {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&claims).unwrap()
}

fn pasted(lines: &str) -> Value {
    let output = Command::new("sh").arg("-c").arg(lines).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{lines}\n{}", said(&output)))
}

#[test]
fn dev_prints_lines_that_work_when_pasted_and_leaves_nothing_behind() {
    let dir = TempDir::new().unwrap();
    let mut command = binary(&["dev", "--listen", "127.0.0.1:0"]);
    command.env("TMPDIR", dir.path());
    let mut server = Running::start(command, true);
    server.until("Stop with Ctrl-C");
    let order = ["/docs", "client_id", "client_secret", "Get a token", "Call the API", "Stop with"];
    let places: Vec<usize> = order.iter().map(|part| server.text.find(part).unwrap()).collect();
    assert!(places.is_sorted(), "{}", server.text);
    assert_eq!(entries(&dir).len(), 1);
    if Command::new("curl").arg("--version").output().is_ok() {
        let token = pasted(&below(&server.text, "Get a token"));
        assert_eq!(token["token_type"], "Bearer");
        assert_eq!(token["scope"], "invoices:read invoices:write");
        let clients = pasted(&below(&server.text, "Call the API"));
        let ids: Vec<&str> =
            clients["data"].as_array().unwrap().iter().filter_map(|c| c["client_id"].as_str()).collect();
        assert!(["demo", "demo-refresh", "demo-admin"].iter().all(|id| ids.contains(id)), "{ids:?}");
        let of_customer = below(&server.text, "A token of a customer");
        let token = pasted(&of_customer);
        let claims = claims(token["access_token"].as_str().unwrap());
        assert_eq!(
            (&claims["plan"], &claims["ent"]),
            (&json!("starter"), &json!({"archive": true, "documents": 1000}))
        );
        let admin = below(&server.text, "Call the API");
        let admin = admin.lines().next().unwrap();
        let suspended = pasted(&format!("{admin}\n{}", below(&server.text, "Suspend the customer")));
        assert_eq!((&suspended["name"], &suspended["access"]), (&json!("Example Company"), &json!("none")));
        assert_eq!(pasted(&of_customer)["error"], "unauthorized_client");
        let base = server.text.split_whitespace().find(|word| word.starts_with("http://")).unwrap();
        let clock = pasted(&format!("{admin}\ncurl -s -H \"Authorization: Bearer $TOKEN\" {base}/api/clock"));
        assert_eq!(clock["kind"], "sandbox");
    }
    assert_eq!(server.stop(), Some(0));
    assert_eq!(entries(&dir), Vec::<String>::new());
}

#[test]
fn dev_on_a_taken_port_names_the_address_and_leaves_nothing_behind() {
    let dir = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(binary(&["dev", "--listen", &address]).env("TMPDIR", dir.path()));
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(stderr(&output).contains(&address) && stderr(&output).contains("another process listens there"));
    assert_eq!(entries(&dir), Vec::<String>::new());
}

#[test]
fn dev_refuses_a_directory_that_holds_a_real_installation() {
    let (_dir, data) = used();
    process::json(&run(binary(&["admin", "client", "create", "-o", "json", "--data-dir"]).arg(&data)));
    let output = run(binary(&["dev", "--listen", "127.0.0.1:0", "--data-dir"]).arg(&data));
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
}

#[test]
fn dev_on_its_own_directory_starts_again_with_new_secrets() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data");
    let mut secrets = Vec::new();
    for _ in 0..2 {
        let mut command = binary(&["dev", "--listen", "127.0.0.1:0", "--data-dir"]);
        command.arg(&data);
        let mut server = Running::start(command, true);
        server.until("Stop with Ctrl-C");
        let line = server.text.lines().find(|line| line.contains("client_secret")).unwrap();
        secrets.push(line.split_whitespace().last().unwrap().to_owned());
        assert_eq!(server.stop(), Some(0));
    }
    assert_ne!(secrets[0], secrets[1]);
}

#[test]
fn the_first_start_makes_private_files_and_says_how_to_get_an_administrator() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data");
    let mut server = Running::serve(&data, |_| {});
    assert!(server.text.contains("bastionary admin client create"), "{}", server.text);
    assert!(server.text.contains("master.key"), "{}", server.text);
    let mode = |file: &Path| std::fs::metadata(file).unwrap().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    for file in ["master.key", "bastionary.db", "admin.sock", "lock"] {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
    assert_eq!(server.stop(), Some(0));
    assert!(!data.join("admin.sock").exists());
}

#[test]
fn a_server_without_an_operator_prints_a_setup_link_and_the_command_makes_others() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data");
    let setup_link = || {
        let mut command = binary(&["admin", "setup-link", "-o", "json", "--data-dir"]);
        process::json(&run(command.arg(&data)))["url"].as_str().unwrap().to_owned()
    };
    let mut server = Running::serve(&data, |_| {});
    let printed = server.text.lines().find(|line| line.contains("/console/setup/bst_ol_")).unwrap().trim().to_owned();
    let by_socket = setup_link();
    assert!(by_socket.starts_with("http://127.0.0.1:") && by_socket.contains("/console/setup/bst_ol_"), "{by_socket}");
    assert_eq!(server.stop(), Some(0));
    let by_directory = setup_link();
    assert!(printed != by_socket && by_socket != by_directory && by_directory.contains("/console/setup/bst_ol_"));
    let mut unknown = binary(&["admin", "setup-link", "--tenant", "nobody", "--data-dir"]);
    let output = run(unknown.arg(&data));
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
}

#[test]
fn a_second_server_on_the_same_directory_exits_5_and_names_the_first() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data");
    let mut server = Running::serve(&data, |_| {});
    let output = run(&mut serve(&data));
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    let holder = std::fs::read_to_string(data.join("lock")).unwrap();
    assert!(stderr(&output).contains(&format!("process {}", holder.trim())), "{}", said(&output));
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn plain_http_beyond_loopback_is_refused_by_the_name_of_its_setting() {
    let dir = TempDir::new().unwrap();
    let mut command = binary(&["serve", "--listen", "0.0.0.0:0", "--issuer", "http://auth.example", "--data-dir"]);
    let output = run(command.arg(dir.path().join("data")));
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(stderr(&output).contains("`listen`") && stderr(&output).contains("insecure_http"), "{}", said(&output));
    assert_eq!(entries(&dir), Vec::<String>::new(), "nothing is made before the configuration is right");
}

#[test]
fn a_master_key_that_is_readable_by_others_missing_or_another_one_stops_the_start() {
    let (_dir, data) = used();
    let key = data.join("master.key");
    let text = std::fs::read_to_string(&key).unwrap();

    chmod(&key, 0o640);
    let output = run(&mut serve(&data));
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(stderr(&output).contains("0640") && stderr(&output).contains("chmod 600"), "{}", said(&output));

    std::fs::write(&key, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n").unwrap();
    chmod(&key, 0o600);
    let output = run(&mut serve(&data));
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(stderr(&output).contains("does not open this store"), "{}", said(&output));

    std::fs::remove_file(&key).unwrap();
    let output = run(&mut serve(&data));
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(stderr(&output).contains("master.key is missing"), "{}", said(&output));
    assert!(!key.exists(), "no second key is made beside existing data");

    std::fs::write(&key, text).unwrap();
    chmod(&key, 0o600);
    assert_eq!(Running::serve(&data, |_| {}).stop(), Some(0));
}

#[test]
fn a_second_sigterm_ends_the_server_although_a_request_is_still_in_flight() {
    let dir = TempDir::new().unwrap();
    let mut server = Running::serve(&dir.path().join("data"), |_| {});
    let mut peer = TcpStream::connect(server.url.trim_start_matches("http://")).unwrap();
    let head = "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                Expect: 100-continue\r\nContent-Length: 100\r\n\r\n";
    peer.write_all(head.as_bytes()).unwrap();
    // The interim answer says that the handler waits for the body.
    let mut interim = [0_u8; 12];
    peer.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100");
    server.signal("TERM");
    server.until("stopping");
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(1));
}

#[tokio::test]
async fn metrics_are_served_on_the_management_listener_alone() {
    let dir = TempDir::new().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut server = Running::serve(&dir.path().join("data"), |command| {
        command.env("BASTIONARY_MANAGEMENT_LISTEN", free.to_string());
    });
    for (base, status) in [(format!("http://{free}"), 200), (server.url.clone(), 404)] {
        let asked = Outbound::new(&base, None);
        let metrics = asked.send(Method::GET, "/metrics", Message::default()).await.unwrap();
        assert_eq!(metrics.status, status, "{base}");
        if status == 200 {
            let text = String::from_utf8_lossy(&metrics.body).into_owned();
            let names: std::collections::BTreeSet<&str> =
                text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
            assert_eq!(names.len(), text.matches("# TYPE ").count(), "each name has one type: {text}");
            let documented = include_str!("../../../../docs/operations.md");
            let in_the_book: std::collections::BTreeSet<&str> =
                documented.split('`').filter(|word| word.starts_with("bastionary_")).collect();
            assert_eq!(names, in_the_book.into_iter().filter(|name| *name != "bastionary_").collect());
            for line in ["bastionary_connections{state=\"open\"} ", "bastionary_open_fds ", "bastionary_shed_total{"] {
                assert!(text.contains(line), "{line}: {text}");
            }
        }
        let ready = asked.send(Method::GET, "/readyz", Message::default()).await.unwrap();
        assert_eq!(ready.status, 200, "{base}");
    }
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn sighup_does_not_end_a_server_that_has_no_certificate_to_reload() {
    let dir = TempDir::new().unwrap();
    let mut server = Running::serve(&dir.path().join("data"), |_| {});
    server.signal("HUP");
    let output = run(binary(&["doctor", "--data-dir"]).arg(dir.path().join("data")));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_second_server_is_refused_and_a_lease_that_somebody_deleted_is_taken_again() {
    let dir = TempDir::new().unwrap();
    let database = testkit::postgres::fresh_database().unwrap();
    let (sockets, name) = database.split_once(" user=postgres dbname=").unwrap();
    let sockets = server::outbound::encoded(sockets.trim_start_matches("host="));
    let url = format!("postgres://postgres@{sockets}/{name}");
    let mut server = Running::serve(&dir.path().join("data"), |command| {
        command.env("BASTIONARY_DATABASE_URL", &url).env("BASTIONARY_STORE_ALLOW_UNSAFE_DURABILITY", "true");
    });
    let second = dir.path().join("second");
    std::fs::create_dir(&second).unwrap();
    std::fs::copy(dir.path().join("data/master.key"), second.join("master.key")).unwrap();
    let output = run(serve(&second)
        .env("BASTIONARY_DATABASE_URL", &url)
        .env("BASTIONARY_STORE_ALLOW_UNSAFE_DURABILITY", "true"));
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    let psql = testkit::postgres::programs().unwrap().join("psql");
    let deleted = Command::new(psql).args(["-X", "-q", "-d", &database, "-c", "DELETE FROM lease"]).status().unwrap();
    assert!(deleted.success());
    server.until("\"code\":\"lease_lost\"");
    server.until("the lease of the database is held again");
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_configured_admin_client_is_created_once_and_gets_tokens() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data");
    let configured = |command: &mut Command| {
        command
            .env("BASTIONARY_ADMIN_CLIENT_ID", "ops")
            .env("BASTIONARY_ADMIN_CLIENT_SECRET", "a long chosen secret, 1 of 1");
    };
    for _ in 0..2 {
        let mut server = Running::serve(&data, configured);
        let mut get =
            binary(&["token", "get", "--scope", "admin", "--client-id", "ops", "--issuer", &server.url, "-o", "json"]);
        let answer = process::json(&run(get.env("BASTIONARY_CLIENT_SECRET", "a long chosen secret, 1 of 1")));
        assert_eq!(answer["scope"], "admin");
        assert_eq!(server.stop(), Some(0));
    }
}

#[test]
fn an_unknown_variable_stops_the_start_with_2_and_the_nearest_name() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data");
    let output = run(serve(&data).env("BASTIONARY_LIMITS_CLIENTRATE", "5"));
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let text = stderr(&output);
    assert!(
        text.contains("`BASTIONARY_LIMITS_CLIENTRATE`") && text.contains("BASTIONARY_LIMITS_CLIENT_RATE"),
        "{text}"
    );
    assert!(!data.exists());
}

#[test]
fn what_the_listener_refuses_has_a_request_id_of_its_own_and_a_date() {
    let dir = TempDir::new().unwrap();
    let server = Running::serve(&dir.path().join("data"), |_| {});
    let exchange = |request: &str| {
        let mut peer = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
        peer.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        peer.read_to_string(&mut answer).unwrap();
        answer
    };
    for (request, kind) in [
        ("GET /api/clients HTTP/1.1\r\nHost : a\r\n\r\n", "application/problem+json"),
        ("GET /docs HTTP/1.1\r\nHost: a b/c\r\n\r\n", "application/problem+json"),
        ("POST /oauth2/token HTTP/1.1\r\nHost : a\r\n\r\n", "application/json"),
        ("POST /oauth2/token HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "application/json"),
    ] {
        let answer = exchange(request);
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
        for field in
            [&format!("content-type: {kind}\r\n"), "x-request-id: req_", "date: ", "x-content-type-options: nosniff"]
        {
            assert_eq!(answer.matches(&format!("\r\n{field}")).count(), 1, "{field}: {answer}");
        }
    }
}
