//! Signing keys: published before they sign, after they stopped, and never replaced twice (checklist row 53).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use http::Method;
use jose::{JwkSet, VerifyKey};
use kernel::clock::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::on_both_engines;
use crate::world::{World, claims};

async fn access(world: &World, id: &str, secret: &str) -> String {
    world.token(id, secret, "").await.expect(200).json()["access_token"].as_str().unwrap().to_owned()
}

async fn jwks(world: &World) -> JwkSet {
    let answer = world.request(Method::GET, "/.well-known/jwks.json", &[], "").await.expect(200);
    serde_json::from_str(&answer.text).unwrap()
}

fn kids(set: &JwkSet) -> Vec<String> {
    set.keys.iter().map(|k| k.kid.clone().unwrap()).collect()
}

fn kid_of(token: &str) -> String {
    claims(token).0["kid"].as_str().unwrap().to_owned()
}

async fn state_of(world: &World, kid: &str) -> String {
    let answer = world.admin(Method::GET, &format!("/api/keys/{kid}"), Value::Null).await.expect(200);
    answer.json()["state"].as_str().unwrap().to_owned()
}

/// Key ids of access tokens in a state.
async fn in_state(world: &World, state: &str) -> Vec<String> {
    let listed = world.admin(Method::GET, "/api/keys", Value::Null).await.expect(200).json();
    let of = |k: &&Value| k["purpose"] == "token" && k["alg"] == "ES256" && k["state"] == state;
    listed["data"].as_array().unwrap().iter().filter(of).map(|k| k["kid"].as_str().unwrap().to_owned()).collect()
}

async fn rotate(world: &World, body: Value, status: u16) -> Value {
    world.admin(Method::POST, "/api/keys/rotate", body).await.expect(status).json()
}

async fn audited(world: &World, action: &str) -> usize {
    let path = format!("/api/audit/records?action={action}&limit=200");
    world.admin(Method::GET, &path, Value::Null).await.expect(200).json()["data"].as_array().unwrap().len()
}

/// A resource server that verifies offline and keeps the JWKS for as long as it may.
struct Verifier {
    world: World,
    cached: Mutex<Option<(Timestamp, JwkSet)>>,
}

impl Verifier {
    fn new(world: &World) -> Self {
        Self { world: world.clone(), cached: Mutex::new(None) }
    }

    /// Whether the signature is good by what the cache holds; it is refreshed only after `max-age`.
    async fn verifies(&self, token: &str) -> bool {
        let now = self.world.auth.clock.now();
        let mut cached = self.cached.lock().await;
        if cached.as_ref().is_none_or(|(until, _)| *until <= now) {
            let answer = self.world.request(Method::GET, "/.well-known/jwks.json", &[], "").await.expect(200);
            let age: i64 = answer.header("cache-control").split("max-age=").nth(1).unwrap().parse().unwrap();
            *cached = Some((now.plus_seconds(age), serde_json::from_str(&answer.text).unwrap()));
        }
        let kid = kid_of(token);
        let (_, set) = cached.as_ref().unwrap();
        let Some(key) = set.keys.iter().find(|k| k.kid.as_deref() == Some(&kid)) else { return false };
        jose::jws::verify(token, &VerifyKey::from_jwk(key).unwrap()).is_ok()
    }
}

on_both_engines! {
    async fn the_jwks_holds_public_members_of_unique_keys_and_may_be_cached(world: World) {
        let answer = world.request(Method::GET, "/.well-known/jwks.json", &[], "").await.expect(200);
        assert_eq!(answer.header("content-type"), "application/jwk-set+json");
        assert_eq!(answer.header("cache-control"), "public, max-age=300");
        let keys = answer.json()["keys"].as_array().unwrap().clone();
        assert_eq!(keys.len(), 2, "an active key and a staged one");
        let mut seen = std::collections::HashSet::new();
        for key in &keys {
            for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"] {
                assert!(key.get(private).is_none(), "{private}");
            }
            assert_eq!(key["use"], "sig");
            assert_eq!(key["alg"], "ES256");
            assert!(seen.insert(key["kid"].as_str().unwrap().to_owned()));
            let jwk: jose::Jwk = serde_json::from_value(key.clone()).unwrap();
            assert_eq!(key["kid"], jwk.thumbprint().unwrap(), "RFC 7638");
        }
        let etag = answer.header("etag").to_owned();
        assert!(etag.starts_with('"'), "a strong tag: {etag}");
        let again = world.request(Method::GET, "/.well-known/jwks.json", &[("if-none-match", &etag)], "").await.expect(304);
        assert_eq!(again.text, "");
        assert_eq!(again.header("etag"), etag);
        rotate(&world, json!({"force": true}), 200).await;
        world.request(Method::GET, "/.well-known/jwks.json", &[("if-none-match", &etag)], "").await.expect(200);
        let head = world.request(Method::HEAD, "/.well-known/jwks.json", &[], "").await.expect(200);
        assert_eq!(head.text, "");
    }

    async fn a_key_is_published_before_it_signs_and_until_its_last_token_has_ended(world: World) {
        let secret = world.client("c", json!({"access_token_ttl_seconds": 86_400})).await;
        let first = kid_of(&access(&world, "c", &secret).await);
        let staged = in_state(&world, "staged").await;
        assert_eq!(staged.len(), 1);
        assert!(kids(&jwks(&world).await).contains(&staged[0]), "before");
        world.clock.advance_seconds(300);
        let young = rotate(&world, json!({}), 202).await;
        assert_eq!(young["kid"], first.as_str());
        assert_eq!(young["promotes_at"], "2026-06-01T12:06:00Z");
        assert_eq!(rotate(&world, json!({}), 202).await, young, "asking again changes nothing");
        world.clock.advance_seconds(59);
        world.auth.key_upkeep(&*world.tenant().await).await.unwrap();
        assert_eq!(kid_of(&access(&world, "c", &secret).await), first);
        world.clock.advance_seconds(1);
        world.auth.key_upkeep(&*world.tenant().await).await.unwrap();
        let last_of_first = world.clock.advance_seconds(0);
        let token = access(&world, "c", &secret).await;
        assert_eq!(kid_of(&token), staged[0], "during");
        let during = kids(&jwks(&world).await);
        assert!(during.contains(&first) && during.contains(&staged[0]));
        assert_eq!(during.len(), 3, "retiring, active and the next one");
        assert_eq!(state_of(&world, &first).await, "retiring");
        // A token of 24 hours that the first key signed in its last moment.
        world.clock.set(last_of_first.plus_seconds(86_400 + 59));
        world.auth.key_upkeep(&*world.tenant().await).await.unwrap();
        assert!(kids(&jwks(&world).await).contains(&first));
        world.clock.advance_seconds(1);
        world.auth.key_upkeep(&*world.tenant().await).await.unwrap();
        assert!(!kids(&jwks(&world).await).contains(&first), "after");
        // The admin token has ended by now, so the record is read from the store.
        let rows = world.auth.store.read_all(&auth::sql::KEYS_LIST, store::params![kernel::tenant::DEFAULT, None::<&[u8]>, 100_i64]).await;
        let states: Vec<_> = rows.unwrap().iter().map(|r| auth::key::KeyRecord::from_row(r).unwrap()).collect();
        let old = states.iter().find(|k| k.kid == first).unwrap();
        assert_eq!(old.state, auth::key::KeyState::Destroyed);
    }

    async fn keys_are_replaced_by_schedule_after_ninety_days(world: World) {
        let first = in_state(&world, "active").await;
        let tenant = world.tenant().await;
        world.clock.advance_seconds(90 * 86_400 - 1);
        world.auth.key_upkeep(&tenant).await.unwrap();
        assert_eq!(active(&world).await, first[0]);
        world.clock.advance_seconds(1);
        world.auth.key_upkeep(&tenant).await.unwrap();
        let second = active(&world).await;
        assert_ne!(second, first[0]);
        world.auth.key_upkeep(&tenant).await.unwrap();
        assert_eq!(active(&world).await, second, "once");
    }

    async fn any_number_of_concurrent_rotations_give_one_new_key(world: World) {
        world.clock.advance_seconds(360);
        let first = in_state(&world, "active").await;
        let staged = in_state(&world, "staged").await;
        let before = jwks(&world).await.keys.len();
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let world = world.clone();
            tasks.spawn(async move { world.admin(Method::POST, "/api/keys/rotate", json!({})).await });
        }
        for answer in tasks.join_all().await {
            assert!([200, 202].contains(&answer.status.as_u16()), "{}: {}", answer.status, answer.text);
            assert_eq!(answer.json()["kid"], staged[0].as_str());
        }
        assert_eq!(in_state(&world, "active").await, staged);
        assert_eq!(in_state(&world, "retiring").await, first);
        assert_eq!(in_state(&world, "staged").await.len(), 1);
        assert_eq!(jwks(&world).await.keys.len(), before + 1);
        assert_eq!(audited(&world, "key.rotated").await, 1);
    }

    async fn forced_rotations_at_the_same_moment_leave_one_active_and_one_staged_key(world: World) {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let world = world.clone();
            tasks.spawn(async move { world.admin(Method::POST, "/api/keys/rotate", json!({"force": true})).await });
        }
        for answer in tasks.join_all().await {
            assert!([200, 409].contains(&answer.status.as_u16()), "{}: {}", answer.status, answer.text);
        }
        assert_eq!(in_state(&world, "active").await.len(), 1);
        assert_eq!(in_state(&world, "staged").await.len(), 1);
        let secret = world.client("c", json!({})).await;
        assert_eq!(kid_of(&access(&world, "c", &secret).await), in_state(&world, "active").await[0]);
    }

    async fn a_rotation_under_load_fails_no_verification(world: World) {
        let secret = world.client("load", json!({"rate_limit": {"limit": 0, "window_s": 1, "burst": 0}})).await;
        let verifier = Arc::new(Verifier::new(&world));
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let (world, secret, verifier, stop) = (world.clone(), secret.clone(), Arc::clone(&verifier), Arc::clone(&stop));
            tasks.spawn(async move {
                let mut used = std::collections::HashSet::new();
                let mut count = 0_u32;
                while !stop.load(Ordering::SeqCst) || count == 0 {
                    let token = access(&world, "load", &secret).await;
                    assert!(verifier.verifies(&token).await, "a token that the cached JWKS does not know");
                    used.insert(kid_of(&token));
                    count += 1;
                }
                used
            });
        }
        let tenant = world.tenant().await;
        for _ in 0..5 {
            for _ in 0..8 {
                world.clock.advance_seconds(47);
                world.auth.key_upkeep(&tenant).await.unwrap();
                tokio::task::yield_now().await;
                access(&world, "load", &secret).await;
            }
            let fresh = world.auth.rotate_key(&world.auth.system(&tenant, "test"), &tenant, auth::key::KeyPurpose::Token, jose::Alg::Es256, auth::key::RotateAt::Published).await;
            world.auth.run(fresh.unwrap()).await.unwrap();
            for _ in 0..20 {
                access(&world, "load", &secret).await;
            }
        }
        stop.store(true, Ordering::SeqCst);
        let used: std::collections::HashSet<_> = tasks.join_all().await.into_iter().flatten().collect();
        assert!(used.len() >= 3, "the load has met {} keys", used.len());
    }

    async fn a_revoked_key_is_out_at_once_with_all_it_signed(world: World) {
        let secret = world.client("c", json!({"rate_limit": {"limit": 0, "window_s": 1, "burst": 0}})).await;
        let old = access(&world, "c", &secret).await;
        assert_eq!(world.introspect("c", &secret, &old).await["active"], true);
        let (first, staged) = (kid_of(&old), in_state(&world, "staged").await);
        // The token that asks is signed by this key too: its answer still comes, the next one does not.
        let path = format!("/api/keys/{first}/revoke");
        let answer = world.admin(Method::POST, &path, Value::Null).await.expect(200).json();
        assert_eq!(answer["kid"], staged[0].as_str(), "the staged key signs, whatever its age");
        let published = kids(&jwks(&world).await);
        assert!(!published.contains(&first) && published.contains(&staged[0]));
        assert_eq!(published.len(), 2, "the next one stands by");
        assert_eq!(world.introspect("c", &secret, &old).await, json!({"active": false}));
        world.admin(Method::GET, "/api/keys", Value::Null).await.expect(401);
        let fresh = access(&world, "c", &secret).await;
        assert_eq!(kid_of(&fresh), staged[0]);
        assert_eq!(world.introspect("c", &secret, &fresh).await["active"], true);
        let events = record::outbox::events_after(&world.auth.store, kernel::tenant::DEFAULT, 0, 200).await.unwrap();
        assert_eq!(events.iter().filter(|e| e.kind == "key.revoked").count(), 1);
    }

    async fn a_staged_key_can_be_revoked_and_an_unknown_one_cannot(world: World) {
        let active = in_state(&world, "active").await;
        let staged = in_state(&world, "staged").await;
        let path = format!("/api/keys/{}/revoke", staged[0]);
        let answer = world.admin(Method::POST, &path, Value::Null).await.expect(200).json();
        assert_eq!(answer["kid"], active[0].as_str());
        assert_eq!(state_of(&world, &staged[0]).await, "destroyed");
        let next = in_state(&world, "staged").await;
        assert!(next.len() == 1 && next != staged);
        world.admin(Method::POST, &path, Value::Null).await.expect(404);
        world.admin(Method::POST, "/api/keys/nothing/revoke", Value::Null).await.expect(404);
        world.admin(Method::GET, "/api/keys/nothing", Value::Null).await.expect(404);
        for body in [json!({"alg": "none"}), json!({"alg": 1}), json!({"purpose": "license"}), json!({"x": 1})] {
            world.admin(Method::POST, "/api/keys/rotate", body).await.expect(422);
        }
    }

    async fn a_client_may_ask_for_another_algorithm(world: World) {
        for alg in ["EdDSA", "ES384"] {
            let secret = world.client(alg, json!({"signing_alg": alg})).await;
            let token = access(&world, alg, &secret).await;
            assert_eq!(claims(&token).0["alg"], alg);
            let set = jwks(&world).await;
            let key = set.keys.iter().find(|k| k.kid.as_deref() == Some(&kid_of(&token))).unwrap();
            jose::jws::verify(&token, &VerifyKey::from_jwk(key).unwrap()).unwrap();
            assert_eq!(world.introspect(alg, &secret, &token).await["active"], true);
        }
    }

    async fn rotating_secrets_under_load_fails_no_request(world: World) {
        let first = world.client("rot", json!({"rate_limit": {"limit": 0, "window_s": 1, "burst": 0}})).await;
        let current = Arc::new(Mutex::new(first));
        let stop = Arc::new(AtomicBool::new(false));
        let rounds: Arc<[AtomicUsize; 4]> = Arc::default();
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..4 {
            let (world, current, stop) = (world.clone(), Arc::clone(&current), Arc::clone(&stop));
            let rounds = Arc::clone(&rounds);
            tasks.spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    // Picked up before the rotation, presented after it.
                    let secret = current.lock().await.clone();
                    tokio::task::yield_now().await;
                    let token = access(&world, "rot", &secret).await;
                    assert_eq!(world.introspect("rot", &secret, &token).await["active"], true);
                    rounds[task].fetch_add(1, Ordering::SeqCst);
                }
                rounds[task].load(Ordering::SeqCst)
            });
        }
        for _ in 0..20 {
            let before: Vec<usize> = rounds.iter().map(|r| r.load(Ordering::SeqCst)).collect();
            let body = json!({"expire_others_in_seconds": 300});
            let answer = world.admin(Method::POST, "/api/clients/rot/secrets", body).await.expect(201).json();
            *current.lock().await = answer["client_secret"].as_str().unwrap().to_owned();
            // The clock moves only once every caller has finished what it began: the overlap is longer than any
            // request, which a clock that runs ahead of a starved task would deny.
            while tasks.len() == 4
                && rounds.iter().zip(&before).any(|(now, before)| now.load(Ordering::SeqCst) < before + 2)
            {
                tokio::task::yield_now().await;
                if let Some(ended) = tasks.try_join_next() {
                    panic!("a caller ended early: {ended:?}");
                }
            }
            world.clock.advance_seconds(40);
        }
        stop.store(true, Ordering::SeqCst);
        assert!(tasks.join_all().await.into_iter().sum::<usize>() > 4);
    }
}

/// The active key id, read past the admin API, whose token may have ended.
async fn active(world: &World) -> String {
    let keys = world.auth.keys(&*world.tenant().await).await.unwrap();
    keys.active(auth::key::KeyPurpose::Token, jose::Alg::Es256).unwrap().key.kid().to_owned()
}
