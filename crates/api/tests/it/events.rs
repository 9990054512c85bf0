//! Events: written with their cause, listed in one form, each type as its sample says.

use std::collections::BTreeSet;

use http::Method;
use kernel::event::Type;
use kernel::tenant::DEFAULT;
use serde_json::{Value, json};

use crate::on_both_engines;
use crate::world::World;

async fn list(world: &World, query: &str) -> Vec<Value> {
    let answer = world.admin(Method::GET, &format!("/api/events?{query}"), Value::Null).await.expect(200).json();
    answer["data"].as_array().unwrap().clone()
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

on_both_engines! {
    async fn what_happens_to_a_client_is_told_in_the_order_of_commits(world: World) {
        let secret = world.client("jobs", json!({"name": "Jobs"})).await;
        world.admin(Method::PATCH, "/api/clients/jobs", json!({"name": "Billing"})).await.expect(200);
        let added = world.admin(Method::POST, "/api/clients/jobs/secrets", json!({"label": "2027"})).await.expect(201).json();
        let path = format!("/api/clients/jobs/secrets/{}", added["secret_id"].as_str().or(added["id"].as_str()).unwrap());
        world.admin(Method::DELETE, &path, Value::Null).await.expect(204);
        let token = world.token("jobs", &secret, "").await.expect(200).json();
        world.revoke("jobs", &secret, token["access_token"].as_str().unwrap()).await.expect(200);
        world.admin(Method::POST, "/api/clients/jobs/disable", Value::Null).await.expect(200);
        world.admin(Method::POST, "/api/clients/jobs/enable", Value::Null).await.expect(200);
        world.admin(Method::POST, "/api/clients/jobs/revoke-tokens", Value::Null).await.expect(204);
        world.admin(Method::DELETE, "/api/clients/jobs", Value::Null).await.expect(204);

        let mut all = list(&world, "types=client.*,token.*").await;
        all.reverse();
        let all = all.split_off(all.iter().position(|event| event["data"]["id"] == "jobs").unwrap());
        assert_eq!(types(&all), [
            "client.created", "client.updated", "client.secret.created", "client.secret.revoked", "token.revoked",
            "client.disabled", "client.enabled", "client.tokens_revoked", "client.deleted",
        ]);
        let numbers: Vec<i64> = all.iter().map(|event| event["sequence"].as_i64().unwrap()).collect();
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
        assert_eq!(all[1]["data"], json!({
            "object": "client", "id": "jobs", "changed": {"name": "Billing"}, "previous": {"name": "Jobs"},
        }));
        assert_eq!((&all[0]["tenant"], &all[0]["customer_id"]), (&json!("default"), &Value::Null));
        let secrets = [secret.as_str(), added["client_secret"].as_str().unwrap(), token["access_token"].as_str().unwrap()];
        let text = serde_json::to_string(&all).unwrap();
        assert!(secrets.iter().all(|secret| !text.contains(secret)));

        let of_client = list(&world, "object_id=jobs").await;
        assert_eq!(of_client.len(), 6);
        let path = format!("/api/events/{}", all[4]["id"].as_str().unwrap());
        let one = world.admin(Method::GET, &path, Value::Null).await.expect(200);
        assert_eq!(one.text, all[4].to_string(), "the same bytes on every surface");
    }

    async fn a_list_goes_on_where_it_ended_and_bad_questions_are_refused(world: World) {
        for index in 0..5 {
            world.client(&format!("c{index}"), json!({})).await;
        }
        let mut seen = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/api/events?types=client.created&limit=2{cursor}");
            let page = world.admin(Method::GET, &path, Value::Null).await.expect(200).json();
            seen.extend(page["data"].as_array().unwrap().iter().map(|event| event["data"]["id"].as_str().unwrap().to_owned()));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen[..5], ["c4", "c3", "c2", "c1", "c0"]);
        let refused = world.admin(Method::GET, "/api/events?types=client.create", Value::Null).await.expect(400).json();
        assert_eq!(refused["detail"], "`client.create` is no type of event; did you mean `client.created`?");
        for bad in ["types=", "types=nothing.*", "limit=0", "cursor=x", "from=yesterday", "kind=x"] {
            world.admin(Method::GET, &format!("/api/events?{bad}"), Value::Null).await.expect(400);
        }
        for id in ["evt_00000000000000000000000000", "cl_00000000000000000000000000", "x"] {
            world.admin(Method::GET, &format!("/api/events/{id}"), Value::Null).await.expect(404);
        }
    }

    async fn keys_limits_and_reuse_are_told_and_every_sample_has_the_members_of_the_event(world: World) {
        let rate = json!({"limit": 1, "window_s": 60, "burst": 2, "enforce": true});
        let secret = world.client("fast", json!({"rate_limit": rate, "token_quota": {"per_hour": 1}})).await;
        for _ in 0..4 {
            world.token("fast", &secret, "").await;
        }
        world.admin(Method::POST, "/api/keys/rotate", json!({"force": true})).await.expect(200);
        world.admin(Method::POST, "/api/tenants", json!({"slug": "acme", "name": "Acme"})).await.expect(201);
        world.admin(Method::PATCH, "/api/tenants/acme", json!({"name": "Acme Inc."})).await.expect(200);
        world.admin(Method::PATCH, "/api/clients/fast", json!({"name": "Fast"})).await.expect(200);
        let told = record::outbox::events_after(&world.auth.store, DEFAULT, 0, 200).await.unwrap();
        let mut checked = BTreeSet::new();
        for event in &told {
            let members = |text: &str| -> BTreeSet<String> {
                serde_json::from_str::<serde_json::Map<String, Value>>(text).unwrap().into_iter().map(|(name, _)| name).collect()
            };
            let kind = Type::parse(&event.kind).unwrap();
            assert_eq!(members(&event.data), members(kind.sample()), "{}: {}", event.kind, event.data);
            checked.insert(event.kind.as_str());
        }
        for kind in ["rate_limit.exceeded", "token_quota.threshold_reached", "key.activated", "key.staged", "tenant.updated", "client.updated"] {
            assert!(checked.contains(kind), "{kind} was not told: {checked:?}");
        }
    }

    async fn an_event_is_kept_as_long_as_configured(world: World) {
        world.client("old", json!({})).await;
        world.clock.advance_seconds(29 * 86_400);
        world.auth.purge().await.unwrap();
        let kept = async || record::outbox::events_after(&world.auth.store, DEFAULT, 0, 200).await.unwrap().len();
        assert!(kept().await > 0);
        world.clock.advance_seconds(2 * 86_400);
        world.auth.purge().await.unwrap();
        assert_eq!(kept().await, 0);
    }
}
