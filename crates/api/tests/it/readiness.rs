//! What `/readyz` says of damage, of refused load and of keys, and to whom it says how much.

use std::sync::Arc;

use http::Method;
use kernel::audit::{Entry, Record};
use kernel::clock::Clock as _;
use serde_json::{Value, json};
use store::{Batch, ChangeKind, Stmt, params};

use crate::on_both_engines;
use crate::world::{Answer, World};

store::statements! {
    /// Makes the settings of one client unreadable.
    SPOIL = "UPDATE client SET settings = 'not an object' WHERE tenant_id = ?1 AND client_id = ?2";
    /// Takes the key of one purpose out of use.
    UNKEY = "UPDATE signing_key SET state = 'destroyed' WHERE tenant_id = ?1 AND purpose = ?2 AND state = 'active'";
}

/// Runs a statement as a person with access to the database could, and has caches forget what it touched.
async fn tamper(world: &World, stmt: &'static Stmt, value: &str, kind: ChangeKind) {
    let tenant = world.tenant().await.id;
    let batch = Batch::new().expect(1, stmt, params![tenant, value]).change(kind, value);
    let entry = Entry { tenant, at: world.clock.now(), bytes: vec![0] };
    world.auth.store.commit(batch, Record::Issued(entry)).await.unwrap();
}

async fn ready(world: &World, query: &str) -> Answer {
    world.request(Method::GET, &format!("/readyz{query}"), &[], "").await
}

on_both_engines! {
    async fn a_row_that_cannot_be_read_is_500_for_its_object_alone_and_degraded_for_an_hour(world: World) {
        let secret = world.client("good", json!({})).await;
        let bad = world.client("bad", json!({})).await;
        assert_eq!(ready(&world, "?verbose").await.expect(200).json(), json!({"status": "ready", "checks": []}));
        tamper(&world, &SPOIL, "bad", ChangeKind::Client).await;
        let since = world.clock.now().to_string();

        let answer = world.admin(Method::GET, "/api/clients/bad", Value::Null).await.expect(500);
        assert_eq!(answer.json()["code"], "row_corrupt");
        let degraded = json!({"status": "degraded", "checks": [
            {"code": "row_corrupt", "since": since, "runbook": "/errors/row_corrupt"},
        ]});
        assert_eq!(ready(&world, "?verbose").await.expect(200).json(), degraded);
        assert_eq!(ready(&world, "").await.expect(200).json(), json!({"status": "degraded"}));
        world.admin(Method::GET, "/api/clients/good", Value::Null).await.expect(200);
        world.token("good", &secret, "").await.expect(200);

        world.clock.advance_seconds(3_000);
        let refused = world.token("bad", &bad, "").await.expect(500);
        assert_eq!(refused.error(), "server_error");
        world.clock.advance_seconds(3_599);
        assert_eq!(ready(&world, "?verbose").await.expect(200).json(), degraded, "each meeting prolongs it");
        world.clock.advance_seconds(1);
        assert_eq!(ready(&world, "").await.expect(200).json(), json!({"status": "ready"}));
    }

    async fn a_refused_request_counts_as_shed_for_a_minute(world: World) {
        let app = api::App::configured(Arc::clone(&world.auth), 0, Vec::new());
        let mut full = world.clone();
        full.app = api::router(app.clone());
        assert_eq!(app.readiness.holding(world.clock.now()), []);
        full.request(Method::GET, "/docs", &[], "").await.expect(503);
        let expected = [(api::readiness::Condition::Shedding, world.clock.now())];
        world.clock.advance_seconds(59);
        assert_eq!(app.readiness.holding(world.clock.now()), expected);
        world.clock.advance_seconds(1);
        assert_eq!(app.readiness.holding(world.clock.now()), []);
    }

    async fn a_draining_process_is_not_ready(world: World) {
        let app = api::App::new(Arc::clone(&world.auth));
        app.readiness.drain(world.clock.now());
        let mut draining = world.clone();
        draining.app = api::router(app);
        let answer = ready(&draining, "?verbose").await.expect(503);
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.json(), json!({"status": "not_ready", "checks": [
            {"code": "draining", "since": world.clock.now().to_string(), "runbook": "/errors/draining"},
        ]}));
        draining.request(Method::GET, "/livez", &[], "").await.expect(200);
    }

    async fn the_key_schedule_says_where_it_falls_short(world: World) {
        let tenant = world.tenant().await;
        let shortfall = async || {
            let found = world.auth.key_shortfall(&tenant).await.unwrap();
            (found.lacks_active, found.is_overdue)
        };
        world.clock.advance_seconds(90 * 86_400 + 86_399);
        assert_eq!(shortfall().await, (false, false), "less than a day late");
        world.clock.advance_seconds(1);
        assert_eq!(shortfall().await, (false, true));
        world.auth.key_upkeep(&tenant).await.unwrap();
        assert_eq!(shortfall().await, (false, false));
        tamper(&world, &UNKEY, "checkpoint", ChangeKind::Keys).await;
        assert_eq!(shortfall().await, (true, false));
    }
}
