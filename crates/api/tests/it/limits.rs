//! Request rates, token quotas and monitor-only limits (checklist rows 56, 66).

use http::Method;
use kernel::tenant::DEFAULT;
use serde_json::{Value, json};

use crate::on_both_engines;
use crate::world::World;

async fn reached(world: &World) -> Vec<(String, u64)> {
    let events = record::outbox::events_after(&world.auth.store, DEFAULT, 0, 200).await.unwrap();
    let of = |e: &record::outbox::EventView| {
        let data: Value = serde_json::from_str(&e.data).unwrap();
        (data["policy"].as_str().unwrap().to_owned(), data["percent"].as_u64().unwrap_or(100))
    };
    let told = ["token_quota.threshold_reached", "rate_limit.exceeded"];
    events.iter().filter(|e| told.contains(&e.kind.as_str())).map(of).collect()
}

/// Sends many token requests at once; how many were answered 200 and how many 429.
async fn hammer(world: &World, id: &str, secret: &str, times: usize) -> (usize, usize) {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..times {
        let (world, id, secret) = (world.clone(), id.to_owned(), secret.to_owned());
        tasks.spawn(async move { world.token(&id, &secret, "").await.status.as_u16() });
    }
    let answers = tasks.join_all().await;
    let count = |status| answers.iter().filter(|s| **s == status).count();
    assert_eq!(count(200) + count(429), times, "{answers:?}");
    (count(200), count(429))
}

on_both_engines! {
    async fn a_client_over_its_rate_is_told_to_slow_down_and_others_are_not(world: World) {
        let rate = json!({"limit": 1, "window_s": 10, "burst": 3, "enforce": true});
        let secret = world.client("fast", json!({"rate_limit": rate})).await;
        let other = world.client("other", json!({"rate_limit": rate})).await;
        for left in [2, 1, 0] {
            let answer = world.token("fast", &secret, "").await.expect(200);
            assert_eq!(answer.header("ratelimit-policy"), "\"client\";q=1;w=10");
            assert!(answer.header("ratelimit").starts_with(&format!("\"client\";r={left};t=")), "{}", answer.header("ratelimit"));
        }
        let answer = world.token("fast", &secret, "").await.expect(429);
        assert_eq!(answer.error(), "slow_down");
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("ratelimit-policy"), "\"client\";q=1;w=10");
        assert!(answer.header("ratelimit").starts_with("\"client\";r=0;t="));
        let wait: i64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=10).contains(&wait));
        world.token("other", &other, "").await.expect(200);
        world.clock.advance_seconds(wait - 1);
        world.token("fast", &secret, "").await.expect(429);
        world.clock.advance_seconds(1);
        world.token("fast", &secret, "").await.expect(200);
        world.token("fast", &secret, "").await.expect(429);
        // A wrong secret cannot use up the limit of a client.
        for _ in 0..10 {
            world.token("other", "bst_cs_wrong", "").await.expect(401);
        }
        world.token("other", &other, "").await.expect(200);
    }

    async fn parallel_requests_get_exactly_the_burst(world: World) {
        let rate = json!({"limit": 1, "window_s": 60, "burst": 20});
        let secret = world.client("par", json!({"rate_limit": rate})).await;
        assert_eq!(hammer(&world, "par", &secret, 60).await, (20, 40));
    }

    async fn a_limit_that_only_watches_counts_and_refuses_nothing(world: World) {
        let rate = json!({"limit": 1, "window_s": 10, "burst": 2, "enforce": false});
        let quota = json!({"per_hour": 2, "enforce": false});
        let secret = world.client("watch", json!({"rate_limit": rate, "token_quota": quota})).await;
        for _ in 0..2 {
            world.token("watch", &secret, "").await.expect(200);
        }
        for _ in 0..5 {
            let answer = world.token("watch", &secret, "").await.expect(200);
            let state = answer.header("ratelimit").to_owned();
            assert!(state.contains("\"client\";r=0;t=") && state.contains("\"tokens-hour\";r=0;t="), "{state}");
            let policy = answer.header("ratelimit-policy");
            assert_eq!(policy, "\"client\";q=1;w=10, \"tokens-hour\";q=2;w=3600");
        }
        assert!(reached(&world).await.contains(&("tokens-hour".to_owned(), 100)));
        for (_, refused) in world.auth.refusals.drain_all() {
            assert_eq!((refused.reason.as_str(), refused.count), ("rate_limit_monitored", 5));
        }
    }

    async fn a_limit_of_zero_is_no_limit(world: World) {
        let secret = world.client("free", json!({"rate_limit": {"limit": 0, "window_s": 1, "burst": 0}})).await;
        for _ in 0..20 {
            let answer = world.token("free", &secret, "").await.expect(200);
            assert_eq!(answer.header("ratelimit"), "");
        }
        for bad in [json!({"limit": -1}), json!({"window_s": 0}), json!({"limit": 5, "burst": 0}), json!({"window_s": 86_401}), json!({"x": 1})] {
            let answer = world.admin(Method::PATCH, "/api/clients/free", json!({"rate_limit": bad})).await.expect(422);
            assert!(answer.json()["errors"][0]["pointer"].as_str().unwrap().starts_with("/rate_limit"), "{}", answer.text);
        }
    }

    async fn a_quota_of_the_hour_is_exact_with_parallel_requests(world: World) {
        let free = json!({"limit": 0, "window_s": 1, "burst": 0});
        let secret = world.client("q", json!({"rate_limit": free, "token_quota": {"per_hour": 50}})).await;
        assert_eq!(hammer(&world, "q", &secret, 120).await, (50, 70));
        let answer = world.token("q", &secret, "").await.expect(429);
        assert_eq!(answer.error(), "slow_down");
        assert_eq!(answer.header("retry-after"), "3600");
        assert_eq!(answer.header("ratelimit-policy"), "\"tokens-hour\";q=50;w=3600");
        assert_eq!(answer.header("ratelimit"), "\"tokens-hour\";r=0;t=3600");
        let mut told = reached(&world).await;
        told.sort_unstable();
        assert_eq!(told, [("tokens-hour".to_owned(), 60), ("tokens-hour".to_owned(), 80), ("tokens-hour".to_owned(), 100)]);
        // Revocation is never refused by a quota; the window is aligned to the hour.
        world.revoke("q", &secret, "unknown").await.expect(200);
        world.clock.advance_seconds(3_599);
        world.token("q", &secret, "").await.expect(429);
        world.clock.advance_seconds(1);
        assert_eq!(hammer(&world, "q", &secret, 60).await, (50, 10));
    }

    async fn a_quota_of_the_day_is_exact_over_its_hours(world: World) {
        let free = json!({"limit": 0, "window_s": 1, "burst": 0});
        let quota = json!({"per_hour": 30, "per_day": 40});
        let secret = world.client("d", json!({"rate_limit": free, "token_quota": quota})).await;
        assert_eq!(hammer(&world, "d", &secret, 50).await, (30, 20));
        world.clock.advance_seconds(3_600);
        assert_eq!(hammer(&world, "d", &secret, 50).await, (10, 40));
        let answer = world.token("d", &secret, "").await.expect(429);
        // It is 13:00 UTC, so eleven hours are left of the day.
        assert_eq!(answer.header("retry-after"), "39600");
        assert!(answer.header("ratelimit").contains("\"tokens-day\";r=0;t=39600"));
        world.clock.advance_seconds(39_600);
        assert_eq!(hammer(&world, "d", &secret, 50).await, (30, 20));
    }

    async fn a_quota_counts_refreshes_and_a_refusal_does_not_rotate(world: World) {
        let more = json!({"grant_types": ["client_credentials", "refresh_token"], "token_quota": {"per_hour": 3}});
        let secret = world.client("r", more).await;
        let mut token = world.token("r", &secret, "").await.expect(200).json()["refresh_token"].as_str().unwrap().to_owned();
        for _ in 0..2 {
            let next = world.refresh("r", &secret, &token, "").await.expect(200).json();
            token = next["refresh_token"].as_str().unwrap().to_owned();
        }
        world.refresh("r", &secret, &token, "").await.expect(429);
        world.admin(Method::PATCH, "/api/clients/r", json!({"token_quota": null})).await.expect(200);
        world.clock.advance_seconds(30);
        world.refresh("r", &secret, &token, "").await.expect(200);
    }

    async fn the_limits_of_a_tenant_hold_where_a_client_has_none(world: World) {
        let secret = world.client("c", json!({})).await;
        let answer = world.token("c", &secret, "").await.expect(200);
        assert_eq!(answer.header("ratelimit-policy"), "\"client\";q=1000;w=1");
        let before = world.admin(Method::GET, "/api/limits", Value::Null).await.expect(200);
        assert_eq!(before.json()["client"], json!({"limit": 1_000, "window_s": 1, "burst": 2_000}));
        let change = json!({"client": {"limit": 100, "window_s": 1, "burst": 5}});
        let tag = before.header("etag").to_owned();
        let changed = world.admin_with(Method::PATCH, "/api/limits", &[("if-match", &tag)], change.clone()).await.expect(200);
        assert_eq!(changed.json()["client"], change["client"]);
        world.admin_with(Method::PATCH, "/api/limits", &[("if-match", &tag)], change).await.expect(412);
        let five = world.client("five", json!({})).await;
        let answer = world.token("five", &five, "").await.expect(200);
        assert_eq!(answer.header("ratelimit-policy"), "\"client\";q=100;w=1");
        let merged = world.admin(Method::PATCH, "/api/limits", json!({"client": {"limit": 7}})).await.expect(200).json();
        assert_eq!(merged["client"], json!({"limit": 7, "window_s": 1, "burst": 5}));
        world.admin(Method::PATCH, "/api/limits", json!({"client": {"limit": -1, "window_s": 1, "burst": 1}})).await.expect(422);
        world.clock.advance_seconds(1);
        let reset = world.admin(Method::PATCH, "/api/limits", json!({"client": null})).await.expect(200).json();
        assert_eq!(reset["client"]["limit"], 1_000);
    }
}
