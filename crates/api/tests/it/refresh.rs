//! Refresh rotation: one line of descent whatever happens beside it (checklist rows 33–38).

use http::Method;
use kernel::tenant::DEFAULT;
use serde_json::{Value, json};

use crate::on_both_engines;
use crate::world::{Answer, Engine, World};

/// A client with the refresh grant; its secret.
async fn refresher(world: &World, id: &str, more: Value) -> String {
    let mut body = json!({"grant_types": ["client_credentials", "refresh_token"]});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    world.client(id, body).await
}

fn text(answer: &Value, name: &str) -> String {
    answer[name].as_str().unwrap_or_else(|| panic!("{name} in {answer}")).to_owned()
}

async fn start(world: &World, id: &str, secret: &str) -> (String, String) {
    let first = world.token(id, secret, "").await.expect(200).json();
    (text(&first, "access_token"), text(&first, "refresh_token"))
}

async fn events(world: &World, kind: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut after = 0;
    loop {
        let page = record::outbox::events_after(&world.auth.store, DEFAULT, after, 200).await.unwrap();
        let Some(last) = page.last() else { return found };
        after = last.position;
        found.extend(page.iter().filter(|e| e.kind == kind).map(|e| serde_json::from_str(&e.data).unwrap()));
    }
}

#[track_caller]
fn refused(answer: Answer, code: &str) {
    assert_eq!(answer.expect(400).error(), code);
}

on_both_engines! {
    async fn a_refresh_token_is_worth_nothing_to_another_client(world: World) {
        let owner = refresher(&world, "owner", json!({})).await;
        let thief = refresher(&world, "thief", json!({})).await;
        let (_, token) = start(&world, "owner", &owner).await;
        refused(world.refresh("thief", &thief, &token, "").await, "invalid_grant");
        assert_eq!(world.introspect("thief", &thief, &token).await, json!({"active": false}));
        world.refresh("owner", &owner, &token, "").await.expect(200);
        let plain = world.client("plain", json!({})).await;
        refused(world.refresh("plain", &plain, &token, "").await, "unauthorized_client");
    }

    async fn a_refresh_narrows_the_scope_never_widens_it_and_keeps_the_grant(world: World) {
        let secret = refresher(&world, "narrow", json!({"scopes": ["read", "write", "extra"]})).await;
        let first = world.token("narrow", &secret, "&scope=read+write").await.expect(200).json();
        let r0 = text(&first, "refresh_token");
        refused(world.refresh("narrow", &secret, &r0, "&scope=read+extra").await, "invalid_scope");
        refused(world.refresh("narrow", &secret, &r0, "&resource=https://other.example").await, "invalid_target");
        let narrow = world.refresh("narrow", &secret, &r0, "&scope=read").await.expect(200).json();
        assert_eq!(narrow["scope"], "read");
        let r1 = text(&narrow, "refresh_token");
        assert_ne!(r0, r1, "a refusal does not rotate, a success does");
        let whole = world.refresh("narrow", &secret, &r1, "").await.expect(200).json();
        assert_eq!(whole["scope"], "read write");
        let aud = world.introspect("narrow", &secret, &text(&whole, "access_token")).await["aud"].clone();
        assert_eq!(aud, "https://id.example/apis/default");
        let fewer = json!({"scopes": ["read", "extra"]});
        world.admin(Method::PATCH, "/api/clients/narrow", fewer).await.expect(200);
        let lost = world.refresh("narrow", &secret, &text(&whole, "refresh_token"), "").await.expect(200).json();
        assert_eq!(lost["scope"], "read", "a scope the client has lost falls away");
    }

    async fn each_refresh_gives_a_new_token_and_an_old_one_ends_the_family_after_the_window(world: World) {
        let secret = refresher(&world, "reuse", json!({})).await;
        let (a0, r0) = start(&world, "reuse", &secret).await;
        let mut line = vec![r0.clone()];
        let mut access = vec![a0];
        for _ in 0..5 {
            world.clock.advance_seconds(1);
            let next = world.refresh("reuse", &secret, line.last().unwrap(), "").await.expect(200).json();
            line.push(text(&next, "refresh_token"));
            access.push(text(&next, "access_token"));
        }
        let mut unique = line.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), line.len());
        assert!(events(&world, "token.reuse_detected").await.is_empty());
        world.clock.advance_seconds(11);
        for token in &access {
            assert_eq!(world.introspect("reuse", &secret, token).await["active"], true);
        }
        refused(world.refresh("reuse", &secret, &r0, "").await, "invalid_grant");
        for token in &access {
            assert_eq!(world.introspect("reuse", &secret, token).await, json!({"active": false}));
        }
        for token in &line {
            refused(world.refresh("reuse", &secret, token, "").await, "invalid_grant");
            assert_eq!(world.introspect("reuse", &secret, token).await, json!({"active": false}));
        }
        let told = events(&world, "token.reuse_detected").await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0]["client_id"], "reuse");
        for name in ["family", "credential", "at", "rotated_at"] {
            assert!(told[0][name].is_string(), "{name} in {}", told[0]);
        }
    }

    async fn a_window_of_zero_refuses_the_first_repeat(world: World) {
        let secret = refresher(&world, "strict", json!({"refresh_reuse_window_seconds": 0})).await;
        let (_, r0) = start(&world, "strict", &secret).await;
        let next = world.refresh("strict", &secret, &r0, "").await.expect(200).json();
        world.clock.advance_seconds(1);
        refused(world.refresh("strict", &secret, &r0, "").await, "invalid_grant");
        refused(world.refresh("strict", &secret, &text(&next, "refresh_token"), "").await, "invalid_grant");
    }

    async fn concurrent_refreshes_of_one_token_are_one_line_and_no_alarm(world: World) {
        let secret = refresher(&world, "many", json!({})).await;
        let (_, mut token) = start(&world, "many", &secret).await;
        for _ in 0..5 {
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..20 {
                let (world, secret, token) = (world.clone(), secret.clone(), token.clone());
                tasks.spawn(async move { world.refresh("many", &secret, &token, "").await.expect(200).json() });
            }
            let answers = tasks.join_all().await;
            let successor = text(&answers[0], "refresh_token");
            for answer in &answers {
                assert_eq!(text(answer, "refresh_token"), successor);
                assert_eq!(world.introspect("many", &secret, &text(answer, "access_token")).await["active"], true);
            }
            assert_ne!(successor, token);
            token = successor;
        }
        let families = world.admin(Method::GET, "/api/clients/many/token-families", Value::Null).await.expect(200).json();
        assert_eq!(families["data"].as_array().unwrap().len(), 1);
        assert_eq!(families["data"][0]["generation"], 5);
        assert!(events(&world, "token.reuse_detected").await.is_empty());
    }

    async fn a_family_ends_at_its_idle_and_at_its_absolute_deadline(world: World) {
        let times = json!({"refresh_token_ttl_seconds": 300, "refresh_token_idle_seconds": 100});
        let secret = refresher(&world, "lives", times).await;
        let (_, idle) = start(&world, "lives", &secret).await;
        world.clock.advance_seconds(101);
        refused(world.refresh("lives", &secret, &idle, "").await, "invalid_grant");
        let (_, mut token) = start(&world, "lives", &secret).await;
        for _ in 0..3 {
            world.clock.advance_seconds(90);
            token = text(&world.refresh("lives", &secret, &token, "").await.expect(200).json(), "refresh_token");
        }
        world.clock.advance_seconds(31);
        refused(world.refresh("lives", &secret, &token, "").await, "invalid_grant");
        let both = json!({"refresh_token_ttl_seconds": 100, "refresh_token_idle_seconds": 101});
        world.admin(Method::PATCH, "/api/clients/lives", both).await.expect(422);
        for bad in [59, 2_592_001] {
            world.admin(Method::PATCH, "/api/clients/lives", json!({"refresh_token_ttl_seconds": bad})).await.expect(422);
        }
        world.admin(Method::PATCH, "/api/clients/lives", json!({"refresh_reuse_window_seconds": 61})).await.expect(422);
    }

    async fn a_family_dies_with_its_client(world: World) {
        let secret = refresher(&world, "off", json!({})).await;
        let (_, token) = start(&world, "off", &secret).await;
        world.admin(Method::POST, "/api/clients/off/disable", Value::Null).await.expect(200);
        assert_eq!(world.refresh("off", &secret, &token, "").await.expect(401).error(), "invalid_client");
        world.admin(Method::POST, "/api/clients/off/enable", Value::Null).await.expect(200);
        refused(world.refresh("off", &secret, &token, "").await, "invalid_grant");

        let secret = refresher(&world, "old", json!({"expiry": "2026-06-01T12:10:00Z"})).await;
        let (_, token) = start(&world, "old", &secret).await;
        world.clock.advance_seconds(600);
        assert_eq!(world.refresh("old", &secret, &token, "").await.expect(401).error(), "invalid_client");

        let secret = refresher(&world, "del", json!({})).await;
        let (_, token) = start(&world, "del", &secret).await;
        world.admin(Method::DELETE, "/api/clients/del", Value::Null).await.expect(204);
        assert_eq!(world.refresh("del", &secret, &token, "").await.expect(401).error(), "invalid_client");
        let again = refresher(&world, "del", json!({})).await;
        refused(world.refresh("del", &again, &token, "").await, "invalid_grant");
    }

    async fn a_family_dies_with_the_credential_that_started_it_or_the_end_of_all_tokens(world: World) {
        let first = refresher(&world, "cred", json!({})).await;
        let more = world.admin(Method::POST, "/api/clients/cred/secrets", json!({})).await.expect(201).json();
        let second = text(&more, "client_secret");
        let (access, by_first) = start(&world, "cred", &first).await;
        let (kept, by_second) = start(&world, "cred", &second).await;
        let listed = world.admin(Method::GET, "/api/clients/cred/secrets", Value::Null).await.expect(200).json();
        let id = listed["data"].as_array().unwrap().iter().map(|s| text(s, "id")).find(|id| *id != text(&more, "id"));
        world.admin(Method::DELETE, &format!("/api/clients/cred/secrets/{}", id.unwrap()), Value::Null).await.expect(204);
        refused(world.refresh("cred", &second, &by_first, "").await, "invalid_grant");
        assert_eq!(world.introspect("cred", &second, &access).await, json!({"active": false}));
        assert_eq!(world.introspect("cred", &second, &kept).await["active"], true);
        let next = world.refresh("cred", &second, &by_second, "").await.expect(200).json();
        world.admin(Method::POST, "/api/clients/cred/revoke-tokens", Value::Null).await.expect(204);
        refused(world.refresh("cred", &second, &text(&next, "refresh_token"), "").await, "invalid_grant");
        assert_eq!(world.introspect("cred", &second, &text(&next, "access_token")).await, json!({"active": false}));
        let (fresh, _) = start(&world, "cred", &second).await;
        assert_eq!(world.introspect("cred", &second, &fresh).await["active"], true);
    }

    async fn a_rotated_out_secret_keeps_its_families_until_its_own_end(world: World) {
        let old = refresher(&world, "overlap", json!({})).await;
        let (_, token) = start(&world, "overlap", &old).await;
        let body = json!({"expire_others_in_seconds": 120});
        let new = text(&world.admin(Method::POST, "/api/clients/overlap/secrets", body).await.expect(201).json(), "client_secret");
        let next = text(&world.refresh("overlap", &new, &token, "").await.expect(200).json(), "refresh_token");
        world.clock.advance_seconds(121);
        refused(world.refresh("overlap", &new, &next, "").await, "invalid_grant");
    }

    async fn an_administrator_lists_and_ends_a_family(world: World) {
        let secret = refresher(&world, "fam", json!({})).await;
        let (access, token) = start(&world, "fam", &secret).await;
        let path = "/api/clients/fam/token-families";
        let listed = world.admin(Method::GET, path, Value::Null).await.expect(200).json();
        let id = text(&listed["data"][0], "id");
        assert!(id.starts_with("fam_"));
        let one = format!("{path}/{id}");
        world.client("other", json!({})).await;
        world.admin(Method::DELETE, &format!("/api/clients/other/token-families/{id}"), Value::Null).await.expect(404);
        world.admin(Method::DELETE, &one, Value::Null).await.expect(204);
        world.admin(Method::DELETE, &one, Value::Null).await.expect(404);
        refused(world.refresh("fam", &secret, &token, "").await, "invalid_grant");
        assert_eq!(world.introspect("fam", &secret, &access).await, json!({"active": false}));
        let listed = world.admin(Method::GET, path, Value::Null).await.expect(200).json();
        assert_eq!(listed["data"], json!([]));
    }

    async fn a_token_that_this_server_never_made_costs_no_read(world: World) {
        let secret = refresher(&world, "noise", json!({})).await;
        let (_, token) = start(&world, "noise", &secret).await;
        let mut bad_checksum = token.clone();
        let last = bad_checksum.pop().unwrap();
        bad_checksum.push(if last == 'A' { 'B' } else { 'A' });
        let before = world.auth.store.stats().reads;
        for wrong in [bad_checksum.as_str(), "bst_rt_", "bst_rt_short", "nothing", "bst_at_abc"] {
            refused(world.refresh("noise", &secret, wrong, "").await, "invalid_grant");
        }
        assert_eq!(world.auth.store.stats().reads, before);
        let basic = crate::world::basic("noise", &secret);
        let headers = [("authorization", basic.as_str())];
        let empty = world.form("/oauth2/token", &headers, "grant_type=refresh_token&refresh_token=").await;
        refused(empty, "invalid_request");
    }

    async fn a_refresh_token_with_one_changed_byte_and_a_good_checksum_is_nothing(world: World) {
        let secret = refresher(&world, "forged", json!({})).await;
        let (_, token) = start(&world, "forged", &secret).await;
        let bytes: [u8; 36] = kernel::secret::credential_bytes("bst_rt_", &token).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes;
            changed[at] ^= 1;
            let wrong = kernel::secret::credential_text("bst_rt_", &changed);
            refused(world.refresh("forged", &secret, &wrong, "").await, "invalid_grant");
            assert_eq!(world.introspect("forged", &secret, &wrong).await, json!({"active": false}), "byte {at}");
            world.revoke("forged", &secret, &wrong).await.expect(200);
        }
        assert_eq!(world.introspect("forged", &secret, &token).await["active"], true, "no forgery ended the family");
        world.refresh("forged", &secret, &token, "").await.expect(200);
    }

    async fn the_oldest_family_ends_when_a_client_has_too_many(world: World) {
        let secret = refresher(&world, "crowd", json!({})).await;
        let (oldest_access, oldest) = start(&world, "crowd", &secret).await;
        let (_, second) = start(&world, "crowd", &secret).await;
        for _ in 0..99 {
            world.clock.advance_micros(1_000);
            start(&world, "crowd", &secret).await;
        }
        refused(world.refresh("crowd", &secret, &oldest, "").await, "invalid_grant");
        assert_eq!(world.introspect("crowd", &secret, &oldest_access).await, json!({"active": false}));
        world.refresh("crowd", &secret, &second, "").await.expect(200);
        let path = "/api/audit/records?action=family.revoked";
        let audited = world.admin(Method::GET, path, Value::Null).await.expect(200).json();
        assert_eq!(audited["data"].as_array().unwrap().len(), 1);
    }

    async fn no_refresh_commits_after_the_200_of_a_revocation(world: World) {
        races(&world, 50).await;
    }
}

/// Refreshes and a revocation of one family at the same moment; the number of refreshes that won.
async fn races(world: &World, rounds: usize) -> usize {
    let secret = refresher(world, "race", json!({})).await;
    let mut won = 0;
    for round in 0..rounds {
        world.clock.advance_seconds(61);
        let (access, token) = start(world, "race", &secret).await;
        let next = world.refresh("race", &secret, &token, "").await.expect(200).json();
        let mut all = vec![access, text(&next, "access_token")];
        let current = text(&next, "refresh_token");
        let family = crate::world::claims(&all[0]).1["jti"].as_str().unwrap().split('.').nth(1).unwrap().to_owned();
        let mut tasks = tokio::task::JoinSet::new();
        for at in 0..4 {
            // The current token, and a repeat of the one before.
            let presented = if at % 2 == 0 { current.clone() } else { token.clone() };
            let (world, secret) = (world.clone(), secret.clone());
            tasks.spawn(async move {
                for _ in 0..at.min(round % 5) {
                    tokio::task::yield_now().await;
                }
                world.refresh("race", &secret, &presented, "").await
            });
        }
        for _ in 0..(round % 7) {
            tokio::task::yield_now().await;
        }
        assert_eq!(world.revoke("race", &secret, &current).await.expect(200).text, "");
        let generation = generation(world, &family).await;
        // Nothing commits from here on, whatever is still under way.
        let mut successors = Vec::new();
        for answer in tasks.join_all().await {
            if answer.status == 200 {
                won += 1;
                let body = answer.json();
                all.push(text(&body, "access_token"));
                successors.push(text(&body, "refresh_token"));
            } else {
                refused(answer, "invalid_grant");
            }
        }
        assert_eq!(self::generation(world, &family).await, generation, "a refresh committed after the revocation");
        successors.sort_unstable();
        successors.dedup();
        successors.retain(|s| *s != current);
        assert!(successors.len() <= 1, "the family forked: {successors:?}");
        for token in &all {
            assert_eq!(world.introspect("race", &secret, token).await, json!({"active": false}));
        }
        for token in successors.iter().chain([&current, &token]) {
            refused(world.refresh("race", &secret, token, "").await, "invalid_grant");
            assert_eq!(world.introspect("race", &secret, token).await, json!({"active": false}));
        }
    }
    assert!(events(world, "token.reuse_detected").await.is_empty());
    won
}

/// The stored generation of a family, dead or alive.
async fn generation(world: &World, family: &str) -> u32 {
    let id = kernel::id::Id::<kernel::id::Family>::parse(family).unwrap();
    let row = world.auth.store.read(&auth::sql::FAMILY_BY_ID, store::params![DEFAULT, id]).await.unwrap().unwrap();
    auth::family::Family::from_row(&row).unwrap().generation
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a proof is asked for by a variable and prints its result"
)]
#[ignore = "the long proof; BASTIONARY_PROOF=full makes it 1,000 rounds"]
async fn proof_refresh_revoke_races() {
    let full = std::env::var("BASTIONARY_PROOF").is_ok_and(|v| v == "full");
    let rounds = if full { 1_000 } else { 50 };
    for engine in [Engine::Embedded, Engine::Server] {
        let world = World::new(engine).await;
        let won = races(&world, rounds).await;
        println!(
            "PROOF refresh against revoke, {engine:?}: {rounds} rounds, {won} refreshes won, 0 forks, 0 live tokens"
        );
    }
}
