//! Backups: made under load, verified, damaged, restored; what was issued before a restore is revoked.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use http::Method;
use serde_json::{Value, json};
use server::outbound::Outbound;
use testkit::{TempDir, postgres};

use crate::crash::{SECRET, admin_token, all, api, body, post};
use crate::process::{Running, binary, json as printed, run, said};

/// A server with the administrator `harness`.
fn serve(data: &Path) -> Running {
    Running::serve(data, adjust)
}

fn adjust(command: &mut Command) {
    command.env("BASTIONARY_ISSUER", "http://bastionary.test");
    command.env("BASTIONARY_ADMIN_CLIENT_ID", "harness").env("BASTIONARY_ADMIN_CLIENT_SECRET", SECRET);
}

fn backup(verb: &str, file: &Path, data: &Path, more: &[&str]) -> Output {
    run(binary(&["backup", verb, "-o", "json"]).arg("--data-dir").arg(data).args(more).arg(file))
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

/// An empty data directory with the master key of another one.
fn fresh(dir: &TempDir, name: &str, like: &Path) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::create_dir(&path).unwrap();
    std::fs::copy(like.join("master.key"), path.join("master.key")).unwrap();
    path
}

async fn introspect(server: &Outbound, token: &str) -> Value {
    body(&post(server, "/oauth2/introspect", ("harness", SECRET), &[("token", token)]).await.unwrap())
}

/// Creates clients until it is told to stop; those that were acknowledged.
async fn load(server: Outbound, name: &'static str, made: Arc<Mutex<Vec<String>>>) {
    let admin = admin_token(&server).await.unwrap();
    for number in 0_u64.. {
        let id = format!("{name}-{number}");
        let sent = json!({"client_id": id, "scopes": ["s"]});
        let Some(answer) = api(&server, &admin, Method::POST, "/api/clients", Some(sent)).await else { return };
        assert_eq!(answer.status, 201, "{}", body(&answer));
        made.lock().unwrap().push(id);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_made_under_load_holds_what_was_acknowledged_and_its_restore_revokes_what_was_issued() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data");
    let mut running = serve(&data);
    let server = Outbound::new(&running.url, None);
    let admin = admin_token(&server).await.unwrap();
    let refreshing =
        json!({"client_id": "refreshing", "scopes": ["s"], "grant_types": ["client_credentials", "refresh_token"]});
    let made = body(&api(&server, &admin, Method::POST, "/api/clients", Some(refreshing)).await.unwrap());
    let secret = made["client_secret"].as_str().unwrap().to_owned();
    let tokens = body(
        &post(&server, "/oauth2/token", ("refreshing", &secret), &[("grant_type", "client_credentials")])
            .await
            .unwrap(),
    );
    assert_eq!(introspect(&server, &admin).await["active"], true);

    let known = Arc::new(Mutex::new(Vec::new()));
    let workers =
        ["a", "b", "c"].map(|name| tokio::spawn(load(Outbound::new(&running.url, None), name, Arc::clone(&known))));
    while known.lock().unwrap().len() < 30 {
        tokio::task::yield_now().await;
    }
    let before = known.lock().unwrap().clone();
    let file = dir.path().join("one.backup");
    let (to, of) = (file.clone(), data.clone());
    let output = tokio::task::spawn_blocking(move || backup("create", &to, &of, &[])).await.unwrap();
    let after = known.lock().unwrap().len();
    for worker in &workers {
        worker.abort();
    }
    let report = printed(&output);
    assert!(report["rows"].as_u64().unwrap() > 30, "{report}");
    assert!(after > before.len(), "the server went on meanwhile");
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&file).unwrap()) & 0o777;
    assert_eq!(mode, 0o600);
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "the directory, the backup and nothing else: {left:?}");
    assert!(!data.join("bastionary.db.snapshot").exists());
    let bytes = std::fs::read(&file).unwrap();
    for readable in ["CREATE TABLE", "refreshing", "harness"] {
        assert!(!bytes.windows(readable.len()).any(|part| part == readable.as_bytes()), "{readable} is readable");
    }
    assert_eq!(code(&backup("create", &file, &data, &[])), Some(5), "a backup is never overwritten");
    assert_eq!(printed(&backup("verify", &file, &data, &[]))["good"], true);
    assert_eq!(running.stop(), Some(0));
    let doctor = run(binary(&["doctor", "--data-dir"]).arg(&data));
    assert!(said(&doctor).contains("ok        backup: the last one is of"), "{}", said(&doctor));

    assert_eq!(code(&backup("restore", &file, &data, &[])), Some(5), "a directory in use is not restored into");
    let other = fresh(&dir, "other", &data);
    let restored = printed(&backup("restore", &file, &other, &[]));
    assert_eq!(restored["accepted"], false, "{restored}");
    let refused = Running::try_serve(&other, adjust).err().unwrap();
    assert!(refused.0 == Some(1) && refused.1.contains("restore_unconfirmed"), "{refused:?}");
    let accept = |data: &Path| run(binary(&["doctor", "accept", "restore_unconfirmed", "--data-dir"]).arg(data));
    assert_eq!(code(&accept(&other)), Some(0));
    assert_eq!(code(&accept(&other)), Some(4), "there is nothing left to accept");

    let mut running = serve(&other);
    let server = Outbound::new(&running.url, None);
    let anew = admin_token(&server).await.unwrap();
    let found = all(&server, &anew, "/api/clients", "client_id").await;
    let lost: Vec<_> = before.iter().filter(|id| !found.contains(*id)).collect();
    assert!(lost.is_empty(), "{lost:?}");
    assert_eq!(introspect(&server, &anew).await["active"], true);
    for token in [admin.as_str(), tokens["access_token"].as_str().unwrap()] {
        assert_eq!(introspect(&server, token).await, json!({"active": false}), "issued before the restore");
    }
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    let answer = post(&server, "/oauth2/token", ("refreshing", &secret), &refresh).await.unwrap();
    assert_eq!((answer.status.as_u16(), &body(&answer)["error"]), (400, &json!("invalid_grant")));
    let records = body(&api(&server, &anew, Method::GET, "/api/audit/records?object_kind=store", None).await.unwrap());
    let actions: Vec<_> = records["data"].as_array().unwrap().iter().map(|record| &record["action"]).collect();
    assert_eq!(actions, ["restore.accepted", "store.restored"]);
    assert_eq!(running.stop(), Some(0));
    let audit = run(binary(&["audit", "verify", "--data-dir"]).arg(&other));
    assert_eq!(code(&audit), Some(0), "{}", said(&audit));

    let accepted = fresh(&dir, "accepted", &data);
    assert_eq!(printed(&backup("restore", &file, &accepted, &["--accept"]))["accepted"], true);
    assert_eq!(serve(&accepted).stop(), Some(0));
}

#[test]
fn a_backup_that_is_damaged_or_of_another_key_restores_nothing() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data");
    assert_eq!(serve(&data).stop(), Some(0));
    let file = dir.path().join("good.backup");
    let made = printed(&backup("create", &file, &data, &[]));
    assert_eq!(made["bytes"].as_u64().unwrap(), std::fs::metadata(&file).unwrap().len(), "a store at rest, too");
    let good = std::fs::read(&file).unwrap();
    let bad = dir.path().join("bad.backup");
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    let longer = [good.as_slice(), b"\0"].concat();
    for (what, bytes, said_so) in [
        ("a flipped bit", &flipped[..], "damaged"),
        ("a cut end", &good[..good.len() - 1], "damaged"),
        ("a longer end", &longer, "added after its end"),
        ("another file", b"SQLite format 3\0", "no backup"),
    ] {
        std::fs::write(&bad, bytes).unwrap();
        let target = fresh(&dir, "target", &data);
        for verb in ["verify", "restore", "restore"] {
            let output = backup(verb, &bad, &target, &[]);
            assert!(code(&output) == Some(1) && said(&output).contains(said_so), "{what}: {}", said(&output));
        }
        let left: Vec<_> = std::fs::read_dir(&target).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| name == "master.key" || name == "lock"), "{what}: {left:?}");
        std::fs::remove_dir_all(&target).unwrap();
    }
    let stranger = dir.path().join("stranger");
    assert_eq!(serve(&stranger).stop(), Some(0));
    let output = backup("verify", &file, &stranger, &[]);
    assert!(code(&output) == Some(3) && said(&output).contains("master key"), "{}", said(&output));
    assert_eq!(code(&backup("verify", &dir.path().join("none"), &data, &[])), Some(4));
}

#[test]
fn the_versions_of_the_schema_are_listed_before_and_after_they_are_applied() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data");
    let states = |verb: &str| -> Vec<Value> {
        let listed = printed(&run(binary(&["migrate", verb, "-o", "json", "--data-dir"]).arg(&data)));
        listed["data"].as_array().unwrap().iter().map(|version| version["state"].clone()).collect()
    };
    let pending = states("status");
    assert!(pending.len() >= 2 && pending.iter().all(|state| state == "pending"), "{pending:?}");
    assert!(!data.exists(), "looking changes nothing");
    assert!(states("up").iter().all(|state| state == "applied"));
    assert!(states("status").iter().all(|state| state == "applied"));
    let mut running = serve(&data);
    assert!(states("status").iter().all(|state| state == "applied"), "beside a server, too");
    let up = run(binary(&["migrate", "up", "--data-dir"]).arg(&data));
    assert_eq!(code(&up), Some(5), "{}", said(&up));
    assert_eq!(running.stop(), Some(0));
}

/// The recipe of the book for a database server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_its_own_tools_restored_is_told_so_and_revokes_what_was_issued() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data");
    let database = postgres::fresh_database().unwrap();
    let (sockets, name) = database.split_once(" user=postgres dbname=").unwrap();
    let sockets = sockets.trim_start_matches("host=").to_owned();
    let url = |name: &str| format!("postgres://postgres@{}/{name}", server::outbound::encoded(&sockets));
    let on = |command: &mut Command, name: &str| {
        command.env("BASTIONARY_DATABASE_URL", url(name)).env("BASTIONARY_STORE_ALLOW_UNSAFE_DURABILITY", "true");
    };
    let start = |name: &str| {
        Running::try_serve(&data, |command| {
            adjust(command);
            on(command, name);
        })
    };
    let mut running = start(name).ok().unwrap();
    let server = Outbound::new(&running.url, None);
    let token = admin_token(&server).await.unwrap();
    let refused = backup("create", &dir.path().join("no.backup"), &data, &[]);
    assert!(code(&refused) == Some(5) && said(&refused).contains("pg_dump"), "{}", said(&refused));

    let tool = |program: &str, arguments: &[&str]| {
        let output = run(Command::new(postgres::programs().unwrap().join(program))
            .args(["-h", &sockets, "-U", "postgres"])
            .args(arguments));
        assert!(output.status.success(), "{program}: {}", said(&output));
    };
    let dump = dir.path().join("dump");
    tool("pg_dump", &["-Fc", "-d", name, "-f", dump.to_str().unwrap()]);
    assert_eq!(running.stop(), Some(0));
    let restored = format!("{name}_restored");
    tool("createdb", &[&restored]);
    tool("pg_restore", &["-d", &restored, dump.to_str().unwrap()]);
    let mut command = binary(&["backup", "restored", "--taken-at", "2026-06-01T12:00:00Z", "--data-dir"]);
    on(command.arg(&data), &restored);
    let output = run(&mut command);
    assert_eq!(code(&output), Some(0), "{}", said(&output));
    let refused = start(&restored).err().unwrap();
    assert!(refused.0 == Some(1) && refused.1.contains("restore_unconfirmed"), "{refused:?}");
    let mut command = binary(&["doctor", "accept", "restore_unconfirmed", "--data-dir"]);
    on(command.arg(&data), &restored);
    assert_eq!(code(&run(&mut command)), Some(0));
    let mut running = start(&restored).ok().unwrap();
    let server = Outbound::new(&running.url, None);
    let anew = admin_token(&server).await.unwrap();
    assert_eq!(introspect(&server, &token).await, json!({"active": false}), "issued before the restore");
    assert_eq!(introspect(&server, &anew).await["active"], true);
    assert_eq!(running.stop(), Some(0));
}
