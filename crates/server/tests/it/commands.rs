//! The command line against a running server and against a data directory at rest.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use testkit::TempDir;

use crate::process::{Running, binary, json, run, said};

/// A served directory with an administrator.
struct World {
    _dir: TempDir,
    data: PathBuf,
    server: Running,
    admin: Value,
}

impl World {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let data = dir.path().join("data");
        let server = Running::serve(&data, |_| {});
        let admin = json(&run(binary(&["admin", "client", "create", "-o", "json", "--data-dir"]).arg(&data)));
        Self { _dir: dir, data, server, admin }
    }

    /// A command of the administrator.
    fn admin(&self, arguments: &[&str]) -> Output {
        run(self.of(&self.admin, arguments))
    }

    fn of<'a>(&self, client: &Value, arguments: &[&str]) -> &'a mut Command {
        let mut command = binary(arguments);
        command
            .env("BASTIONARY_ISSUER", &self.server.url)
            .env("BASTIONARY_CLIENT_ID", client["client_id"].as_str().unwrap())
            .env("BASTIONARY_CLIENT_SECRET", client["client_secret"].as_str().unwrap());
        Box::leak(Box::new(command))
    }
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

#[test]
fn an_admin_client_is_made_by_a_running_server_and_by_a_directory_at_rest() {
    let mut world = World::new();
    assert!(world.admin["client_secret"].as_str().unwrap().starts_with("bst_cs_"));
    let second = run(binary(&["admin", "client", "create", "--client-id", "ops", "--data-dir"]).arg(&world.data));
    assert_eq!(code(&second), Some(0), "{}", said(&second));
    let taken = run(binary(&["admin", "client", "create", "--client-id", "ops", "--data-dir"]).arg(&world.data));
    assert_eq!(code(&taken), Some(5), "{}", said(&taken));

    assert_eq!(world.server.stop(), Some(0));
    let made = json(&run(binary(&["admin", "client", "create", "-o", "json", "--data-dir"]).arg(&world.data)));
    world.server = Running::serve(&world.data, |_| {});
    let output = run(world.of(&made, &["clients", "list", "-o", "id"]));
    let listed = out(&output);
    assert!(listed.lines().any(|id| id == "ops"), "{}", said(&output));
    assert!(listed.lines().any(|id| id == made["client_id"].as_str().unwrap()), "{listed}");
}

#[test]
fn a_directory_that_is_not_there_is_not_made_by_a_command() {
    let dir = TempDir::new().unwrap();
    let nowhere = dir.path().join("nowhere");
    let output = run(binary(&["admin", "client", "create", "--data-dir"]).arg(&nowhere));
    assert_eq!(code(&output), Some(4), "{}", said(&output));
    assert!(!nowhere.exists());
}

#[test]
fn another_user_is_turned_away_with_exit_code_3() {
    let is_root = out(&Command::new("id").arg("-u").output().unwrap()).trim() == "0";
    if !is_root {
        return; // Only root can become somebody else.
    }
    let world = World::new();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", env!("CARGO_BIN_EXE_bastionary")]);
    let output = run(command.args(["admin", "client", "create", "--data-dir"]).arg(&world.data).env_clear());
    assert_eq!(code(&output), Some(3), "{}", said(&output));
}

#[test]
fn a_token_is_printed_alone_and_inspect_says_why_an_api_would_refuse_it() {
    let world = World::new();
    let output = world.admin(&["token", "get", "--scope", "admin"]);
    assert_eq!(code(&output), Some(0), "{}", said(&output));
    let token = out(&output).trim().to_owned();
    assert_eq!(token.matches('.').count(), 2, "{token}");

    let good = json(&world.admin(&["token", "inspect", &token, "-o", "json"]));
    assert_eq!(good["valid"], true);
    assert_eq!(good["claims"]["scope"], "admin");

    let output = world.admin(&["token", "inspect", &token, "--audience", "https://other.example"]);
    assert_eq!(code(&output), Some(1));
    assert!(out(&output).contains("https://other.example"), "{}", said(&output));

    let (head, signature) = token.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { "B" } else { "A" };
    let output = world.admin(&["token", "inspect", &format!("{head}.{other}{}", &signature[1..])]);
    assert_eq!(code(&output), Some(1));
    assert!(out(&output).contains("signature does not fit"), "{}", said(&output));

    let output = world.admin(&["token", "inspect", "not-a-token"]);
    assert_eq!(code(&output), Some(2), "{}", said(&output));
}

#[test]
fn a_client_lives_through_the_shell_and_each_refusal_has_its_exit_code() {
    let world = World::new();
    let made = json(&world.admin(&["clients", "create", "--client-id", "export", "--scope", "a b", "-o", "json"]));
    assert_eq!(made["scopes"], serde_json::json!(["a", "b"]));
    assert_eq!(code(&world.admin(&["clients", "create", "--client-id", "export"])), Some(5));
    assert_eq!(code(&world.admin(&["clients", "create", "--client-id", ".."])), Some(2));
    assert_eq!(code(&world.admin(&["clients", "get", "nobody"])), Some(4));
    assert_eq!(code(&run(world.of(&made, &["clients", "list"]))), Some(3), "it holds no management scope");

    let yaml = out(&world.admin(&["clients", "get", "export", "-o", "yaml"]));
    assert!(yaml.starts_with("client_id: export\n") && yaml.contains("scopes:\n  - a\n  - b\n"), "{yaml}");
    let changed = json(&world.admin(&["clients", "update", "export", "--name", "Export", "-o", "json"]));
    assert_eq!(changed["name"], "Export");

    let secret = json(&world.admin(&["secrets", "create", "export", "--expire-others-in-seconds", "0", "-o", "json"]));
    assert_eq!(code(&run(world.of(&made, &["token", "get"]))), Some(3), "the old secret has ended");
    let fresh = serde_json::json!({"client_id": "export", "client_secret": secret["secret"].as_str().or(secret["client_secret"].as_str())});
    assert_eq!(code(&run(world.of(&fresh, &["token", "get"]))), Some(0));

    assert_eq!(code(&world.admin(&["clients", "disable", "export"])), Some(0));
    assert_ne!(code(&run(world.of(&fresh, &["token", "get"]))), Some(0));
    assert_eq!(code(&world.admin(&["clients", "enable", "export"])), Some(0));
    assert_eq!(code(&world.admin(&["clients", "delete", "export"])), Some(2), "there is no terminal to ask on");
    assert_eq!(code(&world.admin(&["clients", "delete", "export", "--yes"])), Some(0));
    assert_eq!(code(&world.admin(&["clients", "get", "export"])), Some(4));
}

#[test]
fn the_clock_of_a_sandbox_moves_from_the_shell_and_a_live_one_does_not() {
    let world = World::new();
    let here = json(&world.admin(&["clock", "get", "-o", "json"]));
    assert_eq!((&here["kind"], &here["ahead_seconds"]), (&"live".into(), &0.into()));
    let live = world.admin(&["clock", "advance", "30d"]);
    assert_eq!(code(&live), Some(5), "{}", said(&live));
    let made = json(&world.admin(&["api", "POST", "/api/tenants", "--data", r#"{"slug": "box", "kind": "sandbox"}"#]));
    let issuer = format!("{}/t/box", world.server.url);
    let boxed = |arguments: &[&str]| run(world.of(&made["admin_client"], arguments).env("BASTIONARY_ISSUER", &issuer));
    let moved = json(&boxed(&["clock", "advance", "30d", "-o", "json"]));
    assert_eq!((&moved["kind"], &moved["ahead_seconds"]), (&"sandbox".into(), &2_592_000.into()));
    for (how_far, expected) in [("2020-01-01T00:00:00Z", 2), ("0s", 2), ("20y", 2), ("1h", 0)] {
        let output = boxed(&["clock", "advance", how_far]);
        assert_eq!(code(&output), Some(expected), "{how_far}: {}", said(&output));
    }
    assert_eq!(json(&boxed(&["clock", "get", "-o", "json"]))["ahead_seconds"], 2_595_600);
}

#[test]
fn apis_and_keys_are_managed_from_the_shell() {
    let world = World::new();
    let api = json(&world.admin(&["apis", "create", "--identifier", "https://a.example", "--name", "A", "-o", "json"]));
    let id = api["id"].as_str().unwrap();
    assert_eq!(code(&world.admin(&["apis", "add-scope", id, "a:read"])), Some(0));
    assert_eq!(out(&world.admin(&["apis", "scopes", id, "-o", "id"])), "a:read\n");
    assert_eq!(code(&world.admin(&["apis", "delete-scope", id, "a:read", "--yes"])), Some(0));
    assert_eq!(code(&world.admin(&["apis", "delete", id, "--yes"])), Some(0));

    let before = out(&world.admin(&["keys", "list", "-o", "id"]));
    let rotated = json(&world.admin(&["keys", "rotate", "--force", "-o", "json"]));
    let kid = rotated["kid"].as_str().unwrap();
    assert!(before.lines().any(|k| k == kid), "the staged key is the one that signs now");
    let token = out(&world.admin(&["token", "get", "--scope", "admin"]));
    let seen = json(&world.admin(&["token", "inspect", token.trim(), "-o", "json"]));
    assert_eq!(seen["header"]["kid"], kid);
}

#[test]
fn the_audit_log_verifies_through_the_socket_and_at_rest_with_what_the_server_signed() {
    let mut world = World::new();
    assert_eq!(code(&world.admin(&["clients", "create", "--client-id", "x"])), Some(0));
    let verify = |data: &PathBuf| json(&run(binary(&["audit", "verify", "-o", "json", "--data-dir"]).arg(data)));
    assert_eq!(verify(&world.data)["good"], true);
    assert_eq!(world.server.stop(), Some(0));
    // The issuer of a command at rest is another one; the checkpoints keep the name they were signed under.
    let report = verify(&world.data);
    let tree = &report["trees"][0];
    assert_eq!(report["good"], true, "{report}");
    assert_eq!(tree["unsequenced_records"], 0, "the server signs everything before it ends: {report}");
    assert!(tree["entries"].as_u64().unwrap() >= 1 && tree["records"].as_u64().unwrap() >= 2, "{report}");
}

#[test]
fn a_token_is_proven_by_a_file_and_a_key_without_the_server_and_a_changed_proof_is_not_believed() {
    let mut world = World::new();
    let token = out(&world.admin(&["token", "get", "--scope", "admin"]));
    let seen = json(&world.admin(&["token", "inspect", token.trim(), "-o", "json"]));
    let jti = seen["claims"]["jti"].as_str().unwrap();
    // The end of a server signs what is new.
    assert_eq!(world.server.stop(), Some(0));
    world.server = Running::serve(&world.data, |_| {});
    let proof = json(&world.admin(&["audit", "prove", "--jti", jti]));
    let listed = json(&world.admin(&["keys", "list", "-o", "json"]));
    let is_signer = |key: &&Value| key["purpose"] == "checkpoint" && key["state"] == "active";
    let key = listed["data"].as_array().unwrap().iter().find(is_signer).unwrap()["verifier_key"].clone();
    let other = |text: &str| if text.starts_with('A') { "B" } else { "A" }.to_owned() + &text[1..];
    let verify = |proof: &Value, key: &str| {
        let file = world.data.with_extension("json");
        std::fs::write(&file, proof.to_string()).unwrap();
        run(binary(&["audit", "verify", "-o", "json", "--key", key, "--proof"]).arg(&file))
    };
    world.server.stop();
    let good = verify(&proof, key.as_str().unwrap());
    let verdict = json(&good);
    assert_eq!((code(&good), &verdict["jti"], &verdict["scope"]), (Some(0), &jti.into(), &"admin".into()));
    for member in ["entry", "block", "path"] {
        let mut changed = proof.clone();
        match &mut changed[member] {
            Value::String(text) => *text = other(text),
            Value::Array(hashes) => hashes.push(proof["hash"].clone()),
            wrong => panic!("{wrong}"),
        }
        let refused = verify(&changed, key.as_str().unwrap());
        assert_ne!(code(&refused), Some(0), "{member}: {}", said(&refused));
    }
    let foreign = "auth.example.com/audit+9c5bb7b0+AS3Kx2cnY2Qpr5Zy1wdWyXVhkWYgnPGhGEtHqPOLIW6A";
    assert_eq!(code(&verify(&proof, foreign)), Some(2), "the hash is not that of the key");
    assert_eq!(code(&verify(&Value::Null, key.as_str().unwrap())), Some(2));
    let alone = run(&mut binary(&["audit", "verify", "--proof", "proof.json"]));
    assert_eq!(code(&alone), Some(2), "a proof that brings its own key proves nothing");
}

#[test]
fn doctor_names_one_remedy_per_finding() {
    let world = World::new();
    let good = run(binary(&["doctor", "--data-dir"]).arg(&world.data));
    assert_eq!(code(&good), Some(0), "{}", said(&good));
    let address = world.server.url.trim_start_matches("http://");
    assert!(out(&good).contains(&format!("listener: the running server is reached at {address}")), "{}", said(&good));
    assert!(!out(&good).contains("127.0.0.1:8080"), "the configured one is not where it listens: {}", said(&good));
    crate::process::chmod(&world.data.join("master.key"), 0o644);
    let bad = run(binary(&["doctor", "--data-dir"]).arg(&world.data));
    assert_eq!(code(&bad), Some(1), "{}", said(&bad));
    assert!(out(&bad).contains("chmod 600"), "{}", said(&bad));
}

#[test]
fn a_secret_among_the_arguments_is_refused_with_the_reason() {
    let output = run(&mut binary(&["token", "get", "--client-id", "a", "--client-secret", "hunter2"]));
    assert_eq!(code(&output), Some(2));
    assert!(
        said(&output).contains("can read the arguments") && !said(&output).contains("hunter2"),
        "{}",
        said(&output)
    );
}

#[test]
fn wrong_command_lines_exit_2_and_help_and_version_exit_0() {
    for wrong in [&["clientz"][..], &["serve", "--nope"], &["clients", "list", "-o", "xml"], &["token", "get"], &[]] {
        assert_eq!(code(&run(&mut binary(wrong))), Some(2), "{wrong:?}");
    }
    for right in [&["--help"][..], &["--version"], &["version"], &["completion", "bash"], &["openapi"]] {
        assert_eq!(code(&run(&mut binary(right))), Some(0), "{right:?}");
    }
}

#[test]
fn with_json_asked_for_an_error_is_the_problem_as_json_on_standard_error() {
    let world = World::new();
    let problem = |output: &Output| -> Value {
        assert!(output.stdout.is_empty(), "{}", said(output));
        serde_json::from_slice(&output.stderr).unwrap_or_else(|_| panic!("{}", said(output)))
    };
    let missing = world.admin(&["clients", "get", "nobody", "-o", "json"]);
    assert_eq!((code(&missing), &problem(&missing)["code"]), (Some(4), &"not_found".into()));
    let invalid = world.admin(&["clients", "create", "--client-id", "..", "--output=json"]);
    assert_eq!(problem(&invalid)["errors"][0]["pointer"], "/client_id");
    let stranger = serde_json::json!({"client_id": "nobody", "client_secret": "wrong"});
    let denied = run(world.of(&stranger, &["token", "get", "-o", "json"]));
    assert_eq!((code(&denied), &problem(&denied)["error"]), (Some(3), &"invalid_client".into()));
    let elsewhere = run(binary(&["doctor", "-o", "json", "--data-dir", "/proc/nowhere"]).env("BASTIONARY_LISTE", "x"));
    assert_eq!(json_of(&elsewhere)["data"][0]["level"], "critical");
    let nowhere = run(&mut binary(&["admin", "client", "create", "-o", "json", "--data-dir", "/proc/nowhere"]));
    let local = problem(&nowhere);
    assert_eq!((code(&nowhere), &local["exit_code"]), (Some(4), &4.into()));
    assert!(local["title"].as_str().unwrap().contains("no data directory"), "{local}");
    let words = String::from_utf8_lossy(&world.admin(&["clients", "get", "nobody"]).stderr).into_owned();
    assert!(words.starts_with("bastionary: the server refused with 404: not_found"), "{words}");
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(output)))
}

#[test]
fn what_is_sold_and_who_has_it_live_through_the_shell() {
    let world = World::new();
    let id = |output: &Output| out(output).trim().to_owned();
    let meter = id(&world.admin(&[
        "meters",
        "create",
        "--key",
        "calls",
        "--event-type",
        "call",
        "--aggregation",
        "count",
        "-o",
        "id",
    ]));
    let feature = ["features", "create", "--key", "calls", "--kind", "metered", "--meter", "calls", "-o", "id"];
    let feature = id(&world.admin(&feature));
    assert_eq!(code(&world.admin(&["features", "create", "--key", "calls", "--kind", "boolean"])), Some(5));
    assert_eq!(code(&world.admin(&["features", "create", "--key", "calls", "--kind", "rich"])), Some(2));
    let summed = json(&world.admin(&["features", "update", &feature, "--combine", "sum", "-o", "json"]));
    assert_eq!(summed["combine"], "sum");

    let file = world.data.parent().unwrap().join("plan.json");
    let plan =
        r#"{"key": "pro", "name": "Pro", "cadence": "month", "entitlements": [{"feature": "calls", "limit": "10"}]}"#;
    std::fs::write(&file, plan).unwrap();
    let file = file.to_str().unwrap();
    let plan = id(&world.admin(&["plans", "create", "-f", file, "-o", "id"]));
    assert_eq!(code(&world.admin(&["plans", "create", "-f", file])), Some(5), "there is a draft");
    assert_eq!(json(&world.admin(&["plans", "update", &plan, "--name", "Pro 1", "-o", "json"]))["name"], "Pro 1");
    assert_eq!(json(&world.admin(&["plans", "publish", &plan, "-o", "json"]))["state"], "active");
    assert_eq!(code(&world.admin(&["plans", "delete", &plan, "--yes"])), Some(5), "it is published");
    assert_eq!(code(&world.admin(&["features", "delete", &feature, "--yes"])), Some(5), "a plan grants it");

    let made =
        ["customers", "create", "--name", "Northwind", "--external-id", "crm-1", "--country", "DE", "-o", "json"];
    let customer = json(&world.admin(&made));
    assert_eq!(code(&world.admin(&made)), Some(5));
    assert_eq!(customer["address"]["country"], "DE");
    let changed = ["customers", "update", "crm-1", "--payment-terms-days", "30", "--currency", "EUR", "-o", "json"];
    assert_eq!(json(&world.admin(&changed))["payment_terms_days"], 30);
    let cleared = ["customers", "update", "crm-1", "--payment-terms-days", "none", "-o", "json"];
    assert_eq!(json(&world.admin(&cleared))["payment_terms_days"], Value::Null);
    assert_eq!(code(&world.admin(&["customers", "update", "crm-1", "--payment-terms-days", "soon"])), Some(2));
    assert_eq!(code(&world.admin(&["customers", "get", "crm-2"])), Some(4));

    let create = ["subscriptions", "create", "--customer", "crm-1", "--plan", "pro", "--quantity", "3", "-o", "json"];
    let made = json(&world.admin(&create));
    assert_eq!((&made["status"], &made["quantity"]), (&serde_json::json!("active"), &serde_json::json!(3)));
    let subscription = made["id"].as_str().unwrap();
    let verb = |words: &[&str], expected: &str| {
        let arguments = [&["subscriptions", words[0], subscription], &words[1..], &["-o", "json"]].concat();
        assert_eq!(json(&world.admin(&arguments))["status"], expected, "{words:?}");
    };
    verb(&["pause"], "paused");
    verb(&["resume", "--anchor", "kept"], "active");
    verb(&["change", "--quantity", "2"], "active");
    verb(&["cancel", "--at", "period_end"], "active");
    verb(&["uncancel"], "active");
    verb(&["payment-status", "--overdue-since", "2026-01-01T00:00:00Z", "--reference", "inv-1"], "unpaid");
    let standing = out(&world.admin(&["customers", "standing", "crm-1", "-o", "yaml"]));
    assert!(standing.contains("status: unpaid\n") && standing.contains("access: none\n"), "{standing}");
    verb(&["payment-status", "--settled-at", "2026-01-01T00:00:00Z"], "active");
    assert_eq!(code(&world.admin(&["subscriptions", "resume", subscription])), Some(5));
    assert_eq!(
        code(&world.admin(&["subscriptions", "cancel", subscription])),
        Some(2),
        "there is no terminal to ask on"
    );
    assert_eq!(code(&world.admin(&["customers", "delete", "crm-1", "--yes"])), Some(5));
    verb(&["cancel", "--yes"], "canceled");

    // the server records what holds by time, without being asked
    let end = json(&world.admin(&[
        "token",
        "inspect",
        &id(&world.admin(&["token", "get", "--scope", "admin"])),
        "-o",
        "json",
    ]));
    let now = kernel::clock::Timestamp::from_seconds(end["claims"]["iat"].as_i64().unwrap());
    let end = now.plus_seconds(5).to_string();
    let termed = ["subscriptions", "create", "--customer", "crm-1", "--plan", "pro", "--term-end", &end, "-o", "id"];
    assert_eq!(code(&world.admin(&termed)), Some(0));
    assert_eq!(out(&world.admin(&["subscriptions", "list", "--customer", "crm-1", "-o", "id"])).lines().count(), 2);
    let list = ["events", "list", "--types", "subscription.ended", "-o", "json"];
    let started = std::time::Instant::now();
    while json(&world.admin(&list))["data"].as_array().unwrap().is_empty() {
        assert!(started.elapsed() < std::time::Duration::from_mins(1), "the end was not recorded");
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    assert_eq!(code(&world.admin(&["customers", "suspend", "crm-1"])), Some(0));
    assert_eq!(code(&world.admin(&["customers", "suspend", "crm-1"])), Some(5));
    assert_eq!(code(&world.admin(&["customers", "reinstate", "crm-1"])), Some(0));
    let found = out(&world.admin(&["customers", "list", "--q", "north"]));
    assert!(found.starts_with("ID ") && found.contains("crm-1"), "{found}");
    assert_eq!(code(&world.admin(&["customers", "delete", "crm-1", "--yes"])), Some(0));
    assert_eq!(code(&world.admin(&["plans", "archive", &plan, "--yes"])), Some(0));
    assert_eq!(code(&world.admin(&["meters", "archive", &meter, "--yes"])), Some(0));
    for noun in ["plans", "features", "meters"] {
        assert!(out(&world.admin(&[noun, "list"])).starts_with("ID "), "{noun}");
    }
}
