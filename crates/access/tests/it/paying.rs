//! One commit of billing, and the next token, introspection and standing show it.

use kernel::standing::{Access, Status};
use serde_json::json;

use crate::on_both_engines;
use crate::world::World;

/// A plan for 50 euros a month with a feature, left with one scope when unpaid.
async fn pro(world: &World) {
    world.feature("reports", "boolean").await;
    world
        .plan(json!({
            "key": "pro", "name": "Pro", "cadence": "month", "on_unpaid": "restrict",
            "restricted_scopes": ["read"], "grace_days": 14,
            "prices": [{"model": "flat", "amount": "50", "currency": "EUR", "timing": "advance"}],
            "entitlements": [{"feature": "reports", "value": true}],
        }))
        .await;
}

on_both_engines! {
    async fn who_does_not_pay_gets_less_and_then_everything_again(world: World) {
        pro(&world).await;
        let acme = world.customer("Acme").await;
        let machine = world.machine(acme, "acme-jobs", &["read", "write"]).await;
        let (code, why) = world.refusal(&machine, None).await;
        assert_eq!((code, &*why), ("unauthorized_client", "no_subscription: this customer has no subscription; subscribe to a plan"));
        let subscription = world.subscribe(acme, json!({"plan": "pro"})).await;
        let first = world.token(&machine, None).await.unwrap();
        assert_eq!((&*first.scope, first.expires_in), ("read write", 900));
        let version = world.standing(acme).await.version;

        let overdue = world.clock_text();
        let told = world.wish(subscription, "payment-status", json!({"overdue_since": overdue})).await.unwrap();
        assert_eq!(told.computed.current.status, Status::PastDue);
        let late = world.token(&machine, None).await.unwrap();
        let seen = world.introspect(&machine, late.access_token.reveal()).await;
        assert_eq!((&seen["active"], &seen["sub_status"]), (&json!(true), &json!("past_due")));
        assert!(world.standing(acme).await.version > version);

        // A token of the last minutes of the grace ends with it.
        world.clock.advance_seconds(14 * 86_400 - 60);
        let short = world.token(&machine, None).await.unwrap();
        assert_eq!(short.expires_in, 60);
        // Nobody records anything: the instant alone decides.
        world.clock.advance_seconds(60);
        let narrowed = world.token(&machine, None).await.unwrap();
        assert_eq!(&*narrowed.scope, "read");
        let (code, why) = world.refusal(&machine, Some("write")).await;
        assert_eq!(code, "invalid_scope");
        assert!(why.starts_with("subscription_inactive: subscription sub_") && why.contains("is unpaid since 2026-06-15"), "{why}");
        assert_eq!(world.standing(acme).await.access, Access::Restricted);
        assert_eq!(world.record_due().await, 1);
        assert_eq!(world.record_due().await, 0);
        // What was issued with full access ended in the commit that recorded the loss.
        assert_eq!(world.introspect(&machine, short.access_token.reveal()).await, json!({"active": false}));

        world.wish(subscription, "payment-status", json!({"settled_at": world.clock_text(), "reference": "R-1"})).await.unwrap();
        let again = world.token(&machine, Some("write")).await.unwrap();
        assert_eq!(world.introspect(&machine, again.access_token.reveal()).await["scope"], "write");
        assert_eq!(world.introspect(&machine, late.access_token.reveal()).await, json!({"active": false}));
        assert_eq!(
            world.events(acme).await,
            [
                "customer.created", "subscription.created", "subscription.activated", "entitlement.changed",
                "subscription.past_due", "subscription.unpaid", "entitlement.changed", "subscription.activated",
                "entitlement.changed",
            ]
        );
    }

    async fn a_cancellation_ends_tokens_at_once_and_what_was_issued_never_comes_back(world: World) {
        pro(&world).await;
        let acme = world.customer("Acme").await;
        let machine = world.machine(acme, "acme-jobs", &["read"]).await;
        let subscription = world.subscribe(acme, json!({"plan": "pro"})).await;
        let token = world.token(&machine, None).await.unwrap();
        assert_eq!(world.introspect(&machine, token.access_token.reveal()).await["active"], true);
        world.wish(subscription, "cancel", json!({})).await.unwrap();
        assert_eq!(world.introspect(&machine, token.access_token.reveal()).await, json!({"active": false}));
        let (code, why) = world.refusal(&machine, None).await;
        assert_eq!(code, "unauthorized_client");
        assert!(why.contains("is canceled since 2026-06-01; subscribe again or contact the provider"), "{why}");
        world.subscribe(acme, json!({"plan": "pro"})).await;
        world.token(&machine, None).await.unwrap();
        assert_eq!(world.introspect(&machine, token.access_token.reveal()).await, json!({"active": false}));
    }

    async fn a_suspended_customer_gets_nothing_whatever_it_pays(world: World) {
        pro(&world).await;
        let acme = world.customer("Acme").await;
        let machine = world.machine(acme, "acme-jobs", &["read"]).await;
        world.subscribe(acme, json!({"plan": "pro"})).await;
        let token = world.token(&machine, None).await.unwrap();
        let set = async |is_suspended: bool| {
            let planned = world.access.billing.suspend_customer(&world.who(), &world.tenant, (acme, None), is_suspended).await;
            world.access.auth.run(planned.unwrap()).await.unwrap();
        };
        set(true).await;
        assert_eq!(world.introspect(&machine, token.access_token.reveal()).await, json!({"active": false}));
        assert_eq!(
            world.refusal(&machine, None).await.1,
            "subscription_inactive: this customer is suspended since 2026-06-01; contact the provider"
        );
        set(false).await;
        world.token(&machine, None).await.unwrap();
        assert_eq!(world.introspect(&machine, token.access_token.reveal()).await, json!({"active": false}));
    }

    async fn the_first_token_starts_the_clock_of_a_trial_that_waits_for_it(world: World) {
        world.plan(json!({
            "key": "try", "name": "Try", "cadence": "month", "trial_days": 7, "trial_start": "first_use", "after_trial": "end",
            "prices": [{"model": "flat", "amount": "50", "currency": "EUR", "timing": "advance"}],
        })).await;
        let acme = world.customer("Acme").await;
        let body = json!({"payment_terms_days": null});
        let fields = billing::customer::CustomerFields::read(&body).unwrap();
        let changed = world.access.billing.update_customer(&world.who(), &world.tenant, (acme, None), fields).await.unwrap();
        world.access.auth.run(changed).await.unwrap();
        let machine = world.machine(acme, "acme-jobs", &["read"]).await;
        let subscription = world.subscribe(acme, json!({"plan": "try"})).await;
        world.pass_days(30);
        world.token(&machine, None).await.unwrap();
        let begun = world.access.billing.subscription(&world.tenant, subscription).await.unwrap().unwrap();
        assert_eq!(begun.computed.current.trial_end.unwrap().to_string(), "2026-07-08T12:00:00Z");
        world.pass_days(7);
        let (code, why) = world.refusal(&machine, None).await;
        assert_eq!(code, "unauthorized_client");
        assert!(why.contains("is ended since 2026-07-08"), "{why}");
    }

    async fn a_free_plan_beside_an_unpaid_one_gives_what_is_free_alone(world: World) {
        world.feature("seats", "static").await;
        world.feature("reports", "boolean").await;
        world.plan(json!({"key": "free", "name": "Free", "cadence": "month", "entitlements": [{"feature": "seats", "value": 1}]})).await;
        world.plan(json!({
            "key": "paid", "name": "Paid", "cadence": "month", "grace_days": 0,
            "prices": [{"model": "flat", "amount": "50", "currency": "EUR", "timing": "advance"}],
            "entitlements": [{"feature": "seats", "value": 10}, {"feature": "reports", "value": true}],
        })).await;
        let acme = world.customer("Acme").await;
        world.subscribe(acme, json!({"plan": "free"})).await;
        let paid = world.subscribe(acme, json!({"plan": "paid"})).await;
        assert_eq!(world.standing(acme).await.entitlements.len(), 2);
        world.wish(paid, "payment-status", json!({"overdue_since": world.clock_text()})).await.unwrap();
        let standing = world.standing(acme).await;
        assert_eq!((standing.access, standing.entitlements.len(), &*standing.plans), (Access::Full, 1, &["free".to_owned()][..]));
    }

    async fn a_customer_goes_when_nothing_rests_on_it(world: World) {
        pro(&world).await;
        let acme = world.customer("Acme").await;
        let subscription = world.subscribe(acme, json!({"plan": "pro"})).await;
        world.machine(acme, "acme-jobs", &["read"]).await;
        let delete = async || world.access.delete_customer(&world.who(), &world.tenant, (acme, None)).await;
        assert!(delete().await.err().unwrap().to_string().contains("has not ended"));
        world.wish(subscription, "cancel", json!({})).await.unwrap();
        assert!(delete().await.err().unwrap().to_string().contains("the client acme-jobs acts for it"));
        let gone = world.access.auth.delete_client(&world.who(), &world.tenant, "acme-jobs", None).await.unwrap();
        world.access.auth.run(gone).await.unwrap();
        world.access.auth.run(delete().await.unwrap()).await.unwrap();
        assert!(world.access.billing.standing(&world.tenant, acme).await.unwrap().is_none());
    }
}
