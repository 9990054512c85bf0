//! The record: what was changed, issued and refused, and that it verifies.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use jose::{Alg, SigningKey};
use kernel::tenant::DEFAULT;
use record::canonical::parse_block;
use record::checkpoint::{Checkpoint, KeySigner, Verifier};
use record::entry::{Entry, decode};
use record::tree::{Hash, leaf_hash, verify_inclusion};
use serde_json::{Value, json};

use crate::on_both_engines;
use crate::world::{World, claims};

async fn get(world: &World, path: &str) -> Value {
    world.admin(Method::GET, path, Value::Null).await.expect(200).json()
}

fn signer() -> KeySigner {
    KeySigner::new("https://id.example", SigningKey::generate(Alg::EdDsa).unwrap().0).unwrap()
}

/// Folds what was journaled, and signs the tree.
pub(crate) async fn fold(world: &World) {
    let now = world.auth.clock.now();
    for (tenant, refused) in world.auth.refusals.drain_all() {
        let entry = kernel::audit::Entry { tenant, at: refused.at, bytes: refused.encode() };
        world.auth.store.journal(entry).await.unwrap();
    }
    record::sequence(&world.auth.store, DEFAULT, now, &signer()).await.unwrap();
}

on_both_engines! {
    async fn a_change_says_who_did_what_to_which_object_and_never_a_secret(world: World) {
        let headers = [("x-request-id", "from-outside")];
        let body = json!({"client_id": "c", "client_secret": "correct horse battery staple", "scopes": ["read"]});
        world.admin_with(Method::POST, "/api/clients", &headers, body).await.expect(201);
        world.admin(Method::PATCH, "/api/clients/c", json!({"name": "New"})).await.expect(200);
        let secret = world.admin(Method::POST, "/api/clients/c/secrets", json!({"label": "l"})).await.expect(201).json();
        let all = world.admin(Method::GET, "/api/audit/records", Value::Null).await.expect(200);
        assert!(!all.text.contains("correct horse") && !all.text.contains(secret["client_secret"].as_str().unwrap()));
        let list = all.json();
        let of = |action: &str| list["data"].as_array().unwrap().iter().find(|r| r["action"] == action).unwrap().clone();
        let updated = of("client.updated");
        assert_eq!(updated["object_kind"], "client");
        assert_eq!(updated["object_id"], "c");
        assert_eq!(updated["before"], json!({"name": ""}));
        assert_eq!(updated["after"], json!({"name": "New"}));
        assert!(updated["actor"].as_str().unwrap().contains("ops"), "{updated}");
        assert!(updated["credential"].as_str().unwrap().starts_with("sec_"));
        assert!(updated["request_id"].is_string());
        assert_eq!(updated["at"], "2026-06-01T12:00:00Z");
        assert_eq!(list["data"][0]["action"], "secret.created", "newest first");
    }

    async fn records_are_found_by_what_they_say_and_page_by_page(world: World) {
        for id in ["a", "b", "c"] {
            world.clock.advance_seconds(10);
            world.client(id, json!({})).await;
        }
        world.admin(Method::DELETE, "/api/clients/b", Value::Null).await.expect(204);
        let count = async |query: &str| get(&world, &format!("/api/audit/records?{query}")).await["data"].as_array().unwrap().len();
        assert_eq!(count("object_id=b").await, 2);
        assert_eq!(count("object_id=b&action=client.deleted").await, 1);
        assert_eq!(count("action=client.created&from=2026-06-01T12:00:05Z").await, 3);
        assert_eq!(count("action=client.created&from=2026-06-01T12:00:05Z&to=2026-06-01T12:00:21Z").await, 2);
        assert_eq!(count("object_kind=client&action=client.deleted").await, 1);
        assert_eq!(count("actor=nobody").await, 0);
        let mut seen = Vec::new();
        let mut path = "/api/audit/records?action=client.created&from=2026-06-01T12:00:05Z&limit=1".to_owned();
        loop {
            let page = get(&world, &path).await;
            seen.extend(page["data"].as_array().unwrap().iter().map(|r| r["object_id"].as_str().unwrap().to_owned()));
            assert_eq!(page["has_more"], !page["next_cursor"].is_null());
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            assert!(seen.len() < 3, "the last page says that more follows");
            path = format!("/api/audit/records?action=client.created&from=2026-06-01T12:00:05Z&limit=1&cursor={cursor}");
        }
        assert_eq!(seen, ["c", "b", "a"]);
        for bad in ["from=yesterday", "limit=0", "limit=201", "cursor=x", "unknown=1", "object_kind=%00", "actor=a%00b"] {
            world.admin(Method::GET, &format!("/api/audit/records?{bad}"), Value::Null).await.expect(400);
        }
    }

    async fn the_journal_finds_tokens_and_refusals_before_and_after_folding(world: World) {
        let one = world.client("one", json!({"grant_types": ["client_credentials", "refresh_token"]})).await;
        let two = world.client("two", json!({})).await;
        let first = world.token("one", &one, "").await.expect(200).json();
        world.refresh("one", &one, first["refresh_token"].as_str().unwrap(), "&scope=read").await.expect(200);
        world.token("two", &two, "").await.expect(200);
        world.token("two", &two, "&scope=nope").await.expect(400);
        world.token("two", "bst_cs_wrong", "").await.expect(401);
        let jti = claims(first["access_token"].as_str().unwrap()).1["jti"].as_str().unwrap().to_owned();
        for folded in [false, true] {
            if folded {
                fold(&world).await;
            }
            let by_client = get(&world, "/api/audit/journal?client_id=one&outcome=issued").await;
            let list = by_client["data"].as_array().unwrap();
            assert_eq!(list.len(), 2, "folded {folded}");
            assert_eq!(list[0]["grant_type"], "refresh_token");
            assert_eq!(list[0]["scope"], "read");
            let found = get(&world, &format!("/api/audit/journal?jti={jti}")).await;
            assert_eq!(found["data"].as_array().unwrap().len(), 1);
            let token = &found["data"][0];
            for (name, expected) in [
                ("outcome", json!("issued")), ("jti", json!(jti)), ("client_id", json!("one")), ("scope", json!("read write")),
                ("audience", json!(["https://id.example/apis/default"])), ("at", json!("2026-06-01T12:00:00Z")),
                ("expires_at", json!("2026-06-01T12:15:00Z")), ("grant_type", json!("client_credentials")),
            ] {
                assert_eq!(token[name], expected, "{name}");
            }
            assert!(token["credential"].as_str().unwrap().starts_with("sec_"));
        }
        let refused = get(&world, "/api/audit/journal?client_id=two&outcome=refused").await;
        let reasons: Vec<_> = refused["data"].as_array().unwrap().iter().map(|r| r["reason"].as_str().unwrap()).collect();
        assert!(reasons.contains(&"invalid_scope") && reasons.contains(&"invalid_secret"), "{reasons:?}");
        let tokens = get(&world, "/api/clients/one/tokens").await;
        assert_eq!(tokens["data"].as_array().unwrap().len(), 2);
        for bad in ["jti=x", "outcome=maybe", "cursor=x"] {
            world.admin(Method::GET, &format!("/api/audit/journal?{bad}"), Value::Null).await.expect(400);
        }
        world.admin(Method::GET, "/api/clients/nobody/tokens", Value::Null).await.expect(404);
    }

    async fn the_record_of_a_busy_day_verifies_and_damage_is_found(world: World) {
        let key = signer();
        let secret = world.client("c", json!({"grant_types": ["client_credentials", "refresh_token"]})).await;
        for round in 0..5 {
            let first = world.token("c", &secret, "").await.expect(200).json();
            world.refresh("c", &secret, first["refresh_token"].as_str().unwrap(), "").await.expect(200);
            world.revoke("c", &secret, first["access_token"].as_str().unwrap()).await.expect(200);
            world.admin(Method::PATCH, "/api/clients/c", json!({"name": format!("n{round}")})).await.expect(200);
            world.clock.advance_seconds(1);
            record::sequence(&world.auth.store, DEFAULT, world.auth.clock.now(), &key).await.unwrap();
        }
        let known = [Verifier::of(&key).unwrap()];
        let report = record::verify::verify(&world.auth.store, DEFAULT, &[], &known).await.unwrap();
        assert!(report.is_good(), "{:?}", report.findings);
        assert_eq!((report.unsequenced_records, report.unsequenced_segments), (0, 0));
        assert!(report.entries >= 10 && report.checkpoints == 5, "{report:?}");
        let stranger = [Verifier::of(&signer()).unwrap()];
        let report = record::verify::verify(&world.auth.store, DEFAULT, &[], &stranger).await.unwrap();
        assert!(!report.is_good(), "another key did not sign these checkpoints");
        let listed = get(&world, "/api/audit/checkpoints?limit=2").await;
        assert_eq!(listed["data"].as_array().unwrap().len(), 2);
        assert_eq!(listed["has_more"], true);
        let proof = get(&world, "/api/audit/proofs?leaf=0").await;
        assert_eq!(proof["kind"], "inclusion");
        let size = listed["data"].as_array().unwrap().iter().map(|c| c["size"].as_u64().unwrap()).min().unwrap();
        assert_eq!(get(&world, &format!("/api/audit/proofs?from_size={size}")).await["kind"], "consistency");
        world.admin(Method::GET, "/api/audit/proofs?leaf=1000000", Value::Null).await.expect(404);
    }

    async fn a_token_has_a_proof_that_leads_from_its_entry_to_the_signed_root(world: World) {
        let secret = world.client("c", json!({})).await;
        let mut tokens = Vec::new();
        for _ in 0..3 {
            let answer = world.token("c", &secret, "").await.expect(200).json();
            tokens.push(claims(answer["access_token"].as_str().unwrap()).1["jti"].as_str().unwrap().to_owned());
        }
        let path = |jti: &str| format!("/api/audit/proofs?jti={jti}");
        let early = world.admin(Method::GET, &path(&tokens[0]), Value::Null).await.expect(404).json();
        assert!(early["detail"].as_str().unwrap().contains("next checkpoint"), "{early}");
        fold(&world).await;
        for jti in &tokens {
            let proof = get(&world, &path(jti)).await;
            let bytes = |value: &Value| STANDARD.decode(value.as_str().unwrap()).unwrap();
            let hashes = |name: &str| -> Vec<Hash> {
                proof[name].as_array().unwrap().iter().map(|hash| bytes(hash).try_into().unwrap()).collect()
            };
            let (entry, block) = (bytes(&proof["entry"]), bytes(&proof["block"]));
            assert_eq!((&proof["kind"], &bytes(&proof["hash"])), (&json!("token"), &leaf_hash(&block).to_vec()));
            let Entry::Issuance(issued) = decode(&entry).unwrap() else { panic!("{entry:?}") };
            assert_eq!((&issued.jti(), &*issued.client_id), (jti, "c"));
            // The steps of the documentation.
            let (entries, root) = parse_block(&block).unwrap();
            let at = proof["entry_index"].as_u64().unwrap();
            assert!(verify_inclusion(&leaf_hash(&entry), at, entries, &hashes("entry_path"), &root));
            let signed = Checkpoint::parse(proof["checkpoint"].as_str().unwrap()).unwrap();
            let leaf = proof["leaf"].as_u64().unwrap();
            assert!(verify_inclusion(&leaf_hash(&block), leaf, signed.size, &hashes("path"), &signed.root));
        }
        let other = tokens[0].replacen(&tokens[0][..1], if tokens[0].starts_with('0') { "1" } else { "0" }, 1);
        let never = world.admin(Method::GET, &path(&other), Value::Null).await.expect(404).json();
        assert!(never["detail"].as_str().unwrap().contains("was issued"), "{never}");
        world.admin(Method::GET, &path("x"), Value::Null).await.expect(400);
        world.admin(Method::GET, "/api/audit/proofs", Value::Null).await.expect(400);
    }

    async fn the_last_use_of_a_secret_comes_from_the_journal(world: World) {
        let secret = world.client("c", json!({})).await;
        let used = async || get(&world, "/api/clients/c/secrets").await["data"][0]["last_used_at"].clone();
        world.clock.advance_seconds(60);
        world.token("c", &secret, "").await.expect(200);
        assert_eq!(used().await, Value::Null);
        fold(&world).await;
        assert_eq!(used().await, "2026-06-01T12:01:00Z");
        let stale = get(&world, "/api/secrets?unused_since=2026-06-01T12:00:30Z").await;
        assert!(stale["data"].as_array().unwrap().iter().all(|s| s["client_id"] != "c"), "{stale}");
        let all = get(&world, "/api/secrets?unused_since=2026-06-01T12:02:00Z").await;
        assert!(all["data"].as_array().unwrap().iter().any(|s| s["client_id"] == "c"));
    }

    async fn a_folded_token_takes_at_most_64_bytes(world: World) {
        const TOKENS: usize = 2_000;
        let free = json!({"rate_limit": {"limit": 0, "window_s": 1, "burst": 0}});
        let mut secrets = Vec::new();
        for n in 0..20 {
            let id = format!("client-{n}");
            secrets.push((id.clone(), world.client(&id, free.clone()).await));
        }
        fold(&world).await;
        let (before, _) = blocks(&world).await;
        for n in 0..TOKENS {
            world.clock.advance_micros(1_700);
            let (id, secret) = &secrets[n * 7 % secrets.len()];
            world.token(id, secret, "").await.expect(200);
        }
        fold(&world).await;
        let (after, entries) = blocks(&world).await;
        assert!(entries >= TOKENS);
        let per_token = (after - before) / TOKENS;
        assert!(per_token <= 64, "{per_token} bytes per token");
    }

    async fn every_statement_can_be_prepared(world: World) {
        world.auth.store.prepare_all(auth::sql::ALL).await.unwrap();
        world.auth.store.prepare_all(auth::client_list::sql::ALL).await.unwrap();
        world.auth.store.prepare_all(auth::operator::sql::ALL).await.unwrap();
        world.auth.store.prepare_all(webhook::sql::ALL).await.unwrap();
        world.auth.store.prepare_all(record::sql::ALL).await.unwrap();
    }
}

/// Bytes and entries of all folded blocks.
async fn blocks(world: &World) -> (usize, usize) {
    let store = &world.auth.store;
    let all = store::params![DEFAULT, i64::MAX, i64::MAX, i64::MIN, i64::MAX, 1_000_i64];
    let (mut bytes, mut entries) = (0, 0);
    for row in store.read_all(&record::sql::BLOCKS_BEFORE, all).await.unwrap() {
        let body =
            store.read(&record::sql::BLOCK_BODY, store::params![DEFAULT, row.int(0).unwrap()]).await.unwrap().unwrap();
        bytes += row.bytes(2).unwrap().len() + body.bytes(1).unwrap().len();
        entries += usize::try_from(body.int(0).unwrap()).unwrap();
    }
    (bytes, entries)
}
