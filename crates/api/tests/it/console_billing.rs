//! Customers, plans, subscriptions, features and meters in the console: what a person sees and changes without scripts,
//! and what their role keeps from them.

use auth::operator::Role;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::billing::Sold;
use crate::console::{Browser, encoded, goes_to, member_of, owner, relaxed, value};
use crate::on_both_engines;
use crate::world::{Answer, World};

const CUSTOMERS: &str = "/console/customers";
const PLANS: &str = "/console/billing/plans";
const SUBSCRIPTIONS: &str = "/console/billing/subscriptions";
const FEATURES: &str = "/console/billing/features";

/// The scope that a change needs, where its form goes, and its fields.
type Change<'a> = (&'a str, String, &'a [(&'a str, &'a str)]);

async fn post(world: &World, path: &str, body: Value) -> Value {
    let answer = world.admin(Method::POST, path, body).await;
    assert!(answer.status.is_success(), "{path}: {}", answer.text);
    answer.json()
}

async fn get(world: &World, path: &str) -> Value {
    world.admin(Method::GET, path, Value::Null).await.expect(200).json()
}

/// Actions of the audit log about a kind of object, the oldest first.
async fn recorded(world: &World, kind: &str) -> Vec<String> {
    let records = get(world, &format!("/api/audit/records?object_kind={kind}&limit=200")).await;
    let mut all: Vec<String> =
        records["data"].as_array().unwrap().iter().map(|r| r["action"].as_str().unwrap().to_owned()).collect();
    all.reverse();
    all
}

/// Makes and publishes a version of a plan; its id.
async fn publish(world: &World, body: Value) -> String {
    let id = post(world, "/api/plans", body).await["id"].as_str().unwrap().to_owned();
    post(world, &format!("/api/plans/{id}/publish"), Value::Null).await;
    id
}

/// The feature `sso`, the meter `calls`, and the plans `pro` and `team`.
async fn stock(world: &World) {
    post(world, "/api/meters", json!({"key": "calls", "event_type": "call", "aggregation": "count"})).await;
    post(world, "/api/features", json!({"key": "sso", "kind": "boolean", "name": "Single sign-on"})).await;
    let flat = json!({"model": "flat", "amount": "49", "currency": "EUR", "timing": "advance"});
    let pro = json!({
        "key": "pro", "name": "Pro", "cadence": "month", "prices": [flat],
        "entitlements": [{"feature": "sso", "value": true}],
    });
    publish(world, pro).await;
    let seats = json!({"model": "per_unit", "unit_amount": "9.5", "currency": "EUR", "timing": "advance"});
    publish(world, json!({"key": "team", "name": "Team", "cadence": "month", "grace_days": 7, "prices": [seats]}))
        .await;
}

async fn customer(world: &World, own: &str) -> String {
    let body =
        json!({"name": "Northwind Traders", "external_id": own, "currency": "EUR", "address": {"country": "DE"}});
    post(world, "/api/customers", body).await["id"].as_str().unwrap().to_owned()
}

/// The path of the page of a new subscription.
async fn subscribed(world: &World, own: &str, plan: &str) -> String {
    let made = post(world, "/api/subscriptions", json!({"customer_id": own, "plan": plan, "quantity": 3})).await;
    format!("{SUBSCRIPTIONS}/{}", made["id"].as_str().unwrap())
}

async fn sent(browser: &mut Browser, page: &str, part: &str, fields: &[(&str, &str)]) -> Answer {
    browser.submit(page, &format!("{page}/{part}"), fields).await
}

on_both_engines! {
    async fn a_customer_is_made_changed_suspended_and_deleted(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        assert!(ada.get(CUSTOMERS).await.expect(200).text.contains("No customer yet"));
        let new = format!("{CUSTOMERS}/new");
        let fields = [
            ("name", ""), ("email", "nobody"), ("currency", "euro"), ("country", "Germany"), ("payment_terms_days", "soon"),
            ("timezone", "Berlin"), ("external_id", "cus_1"), ("metadata", ""), ("tax_status", "consumer"),
        ];
        let wrong = ada.submit(&new, CUSTOMERS, &fields).await.expect(422).text;
        for name in ["name", "email", "currency", "country", "payment_terms_days", "timezone", "external_id"] {
            assert!(wrong.contains(&format!("id=\"{name}-error\"")), "{name}: {wrong}");
        }
        assert!(wrong.contains("value=\"Germany\"") && wrong.contains("value=\"soon\""), "{wrong}");
        let broken = ada.submit(&new, CUSTOMERS, &[("name", "x"), ("metadata", "{")]).await.expect(422).text;
        assert!(broken.contains("This is no JSON"), "{broken}");
        assert_eq!(get(&world, "/api/customers").await["data"], json!([]));

        let fields = [
            ("name", "Northwind Traders"), ("external_id", "crm-1042"), ("currency", "EUR"), ("country", "DE"), ("city", "Hamburg"),
            ("payment_terms_days", "14"), ("timezone", "Europe/Berlin"), ("tax_status", "business"), ("tax_ids", "DE1, DE2"),
            ("metadata", "{\"tier\": 2}"),
        ];
        let form = ada.get(&new).await.expect(200).text;
        let twice = [&[("csrf", value(&form, "csrf")), ("form", value(&form, "form"))], fields.as_slice()].concat();
        let made = ada.post(CUSTOMERS, &twice).await;
        let page = made.header("location").to_owned();
        assert!(page.starts_with("/console/customers/cus_"), "{page}");
        goes_to(&ada.post(CUSTOMERS, &twice).await, CUSTOMERS);
        let found = get(&world, "/api/customers").await;
        assert_eq!(found["data"].as_array().unwrap().len(), 1, "a form that is sent twice makes one customer");
        let stored = &found["data"][0];
        assert_eq!(
            (&stored["address"]["city"], &stored["payment_terms_days"], &stored["tax_ids"], &stored["metadata"], &stored["tax_status"]),
            (&json!("Hamburg"), &json!(14), &json!(["DE1", "DE2"]), &json!({"tier": 2}), &json!("business")),
        );
        let seen = ada.get(&page).await.expect(200).text;
        for part in ["Northwind Traders", "crm-1042", "Hamburg", "No subscription", "no_subscription: this customer has no subscription", "14 days"] {
            assert!(seen.contains(part), "{part}: {seen}");
        }
        let taken = ada.submit(&new, CUSTOMERS, &[("name", "x"), ("external_id", "crm-1042")]).await.expect(422).text;
        assert!(taken.contains("id=\"external_id-error\""), "{taken}");

        let settings = format!("{page}/settings");
        let first = ada.get(&settings).await.expect(200).text;
        assert!(first.contains("value=\"DE1, DE2\"") && first.contains("&#34;tier&#34;: 2"), "{first}");
        let etag = value(&first, "etag").to_owned();
        let fields = [("etag", etag.as_str()), ("name", "Northwind"), ("country", "AT"), ("tax_status", "consumer")];
        goes_to(&ada.submit(&settings, &settings, &fields).await, &settings);
        let now = get(&world, "/api/customers").await["data"][0].clone();
        assert_eq!((&now["name"], &now["address"]["country"], &now["external_id"]), (&json!("Northwind"), &json!("AT"), &Value::Null));
        let late = ada.submit(&settings, &settings, &fields).await.expect(422).text;
        assert!(late.contains("Somebody changed this while you had it open"), "{late}");

        goes_to(&sent(&mut ada, &page, "suspend", &[]).await, &page);
        let seen = ada.get(&page).await.expect(200).text;
        assert!(seen.contains("Northwind is suspended") && seen.contains("Undo") && seen.contains("It may do nothing now"), "{seen}");
        assert!(ada.get(CUSTOMERS).await.text.contains("Suspended"));
        assert_eq!(sent(&mut ada, &page, "suspend", &[]).await.status, StatusCode::CONFLICT);
        goes_to(&sent(&mut ada, &page, "reinstate", &[]).await, &page);

        let danger = format!("{page}/danger");
        let typed = ada.submit(&danger, &format!("{page}/delete"), &[("confirm", "Northwind Traders")]).await.expect(422);
        assert!(typed.text.contains("Type the name of the customer"), "{}", typed.text);
        world.clock.advance_seconds(660);
        let asked = ada.submit(&danger, &format!("{page}/delete"), &[("confirm", "Northwind")]).await;
        goes_to(&asked, &format!("/console/step-up?next={}", encoded(&danger)));
        let again = [("passphrase", crate::console::PASSPHRASE), ("next", danger.as_str())];
        goes_to(&ada.submit(asked.header("location"), "/console/step-up", &again).await, &danger);
        goes_to(&ada.submit(&danger, &format!("{page}/delete"), &[("confirm", "Northwind")]).await, CUSTOMERS);
        ada.get(&page).await.expect(404);
        let log = ada.get("/console/audit").await.expect(200).text;
        for action in ["created", "updated", "suspended", "reinstated", "deleted"] {
            assert!(log.contains(&format!("customer.{action}")), "{action}");
        }
    }

    async fn customers_are_found_paged_and_exported(world: World) {
        let world = relaxed(world.engine).await;
        for n in 0..30 {
            world.clock.advance_micros(1_000);
            post(&world, "/api/customers", json!({"name": format!("=Shop {n:02}"), "external_id": format!("crm-{n:02}")})).await;
        }
        post(&world, "/api/customers", json!({"name": "Other"})).await;
        let mut ada = owner(&world).await;
        let count = |page: &str| page.matches("class=\"name\"").count();
        let link = |page: &str| page.split("rel=\"next\" href=\"").nth(1).map(|rest| rest.split('"').next().unwrap().replace("&#38;", "&"));
        for (query, sizes) in [("", [25, 6]), ("q=%3DSHOP&", [25, 5])] {
            let first = ada.get(&format!("{CUSTOMERS}?{query}limit=25")).await.expect(200).text;
            let next = ada.get(&link(&first).unwrap()).await.expect(200).text;
            assert_eq!(([count(&first), count(&next)], link(&next)), (sizes, None), "{query}");
            let other = format!("{CUSTOMERS}?q=o&{}", link(&first).unwrap().split("limit=").nth(1).map(|rest| format!("limit={rest}")).unwrap());
            ada.get(&other).await.expect(400);
        }
        for (q, found) in [("crm-07", 1), ("%3Dshop+07", 1), ("crm-", 0)] {
            assert_eq!(count(&ada.get(&format!("{CUSTOMERS}?q={q}")).await.expect(200).text), found, "{q}");
        }
        let csv = ada.get(&format!("{CUSTOMERS}?q=%3D&format=csv")).await.expect(200);
        assert!(csv.header("content-disposition").contains("customers.csv") && csv.header("cache-control") == "no-store");
        assert_eq!(csv.text.lines().count(), 31);
        assert!(csv.text.contains("\"'=Shop 00\""), "{}", csv.text);
        assert_eq!(ada.get(&format!("{CUSTOMERS}?format=json")).await.expect(200).json().as_array().unwrap().len(), 31);
        let own = get(&world, "/api/customers/crm-07").await["id"].as_str().unwrap().to_owned();
        assert!(ada.get(&format!("{CUSTOMERS}/crm-07")).await.expect(200).text.contains(&own), "the own id stands for the id");
        ada.get(&format!("{CUSTOMERS}/nobody")).await.expect(404);
        ada.get(&format!("{CUSTOMERS}?cursor=x")).await.expect(400);
    }

    async fn a_plan_is_drafted_corrected_published_versioned_and_archived(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        assert!(ada.get(PLANS).await.expect(200).text.contains("No plan yet"));
        let new = format!("{PLANS}/new");
        let text = |page: &str| {
            let rest = page.split("<textarea").nth(1).unwrap().split_once('>').unwrap().1;
            rest.split("</textarea>").next().unwrap().replace("&#34;", "\"")
        };
        let example = text(&ada.get(&new).await.expect(200).text);
        goes_to(&ada.submit(&new, PLANS, &[("key", "first"), ("definition", &example)]).await.expect(303), &{
            let made = get(&world, "/api/plans").await;
            format!("{PLANS}/{}", made["data"][0]["id"].as_str().unwrap())
        });
        let first = get(&world, "/api/plans").await["data"][0]["id"].as_str().unwrap().to_owned();
        goes_to(&sent(&mut ada, &format!("{PLANS}/{first}"), "publish", &[]).await, &format!("{PLANS}/{first}"));

        let broken = ada.submit(&new, PLANS, &[("key", "pro"), ("definition", "{\"name\": \"Pro\",")]).await.expect(422).text;
        assert!(broken.contains("This is no JSON: EOF") && broken.contains("value=\"pro\""), "{broken}");
        let fields = [("key", "Pro!"), ("definition", r#"{"name": "Pro", "prices": [{"model": "flat", "amount": "1", "currency": "EUR"}], "x": 1}"#)];
        let wrong = ada.submit(&new, PLANS, &fields).await.expect(422).text;
        for part in ["id=\"key-error\"", "/prices/0/timing:", "/x:", "/cadence:"] {
            assert!(wrong.contains(part), "{part}: {wrong}");
        }

        let misfit = r#"{"name": "Pro", "cadence": "month", "prices": [{"model": "per_unit", "unit_amount": "0.002", "currency": "EUR", "timing": "arrears", "meter": "calls"}], "entitlements": [{"feature": "sso", "value": true}]}"#;
        let made = ada.submit(&new, PLANS, &[("key", "pro"), ("definition", misfit)]).await;
        let page = made.header("location").to_owned();
        let draft = ada.get(&page).await.expect(200).text;
        assert!(draft.contains("Draft") && draft.contains("commandfor=\"publish\"") && !draft.contains("Next version</a>"), "{draft}");
        let refused = sent(&mut ada, &page, "publish", &[]).await.expect(422).text;
        for part in ["/prices/0/meter: there is no meter calls.", "/entitlements/0/feature: there is no feature sso."] {
            assert!(refused.contains(part), "{part}: {refused}");
        }
        post(&world, "/api/meters", json!({"key": "calls", "event_type": "call", "aggregation": "count"})).await;
        post(&world, "/api/features", json!({"key": "sso", "kind": "boolean", "name": "Single sign-on"})).await;
        let definition = format!("{page}/definition");
        let etag = value(&ada.get(&definition).await.expect(200).text, "etag").to_owned();
        // what the text does not say any more is as usual again
        let better = r#"{"name": "Pro", "cadence": "month", "prices": [{"model": "graduated", "currency": "EUR", "timing": "arrears", "meter": "calls", "tiers": [{"up_to": "10", "unit_amount": "10", "flat_amount": "2"}, {"up_to": null, "unit_amount": "5", "flat_amount": "3"}]}, {"model": "per_unit", "unit_amount": "9.5", "currency": "EUR", "timing": "advance", "minimum": "20"}]}"#;
        let fields = [("etag", etag.as_str()), ("definition", better)];
        goes_to(&ada.submit(&definition, &definition, &fields).await, &page);
        assert_eq!(get(&world, "/api/plans").await["data"][1]["entitlements"], json!([]));
        let late = ada.submit(&definition, &definition, &fields).await.expect(422).text;
        assert!(late.contains("Somebody changed this while you had it open"), "{late}");
        goes_to(&sent(&mut ada, &page, "publish", &[]).await, &page);
        assert_eq!(ada.submit(&definition, &definition, &[("definition", better)]).await.status, StatusCode::CONFLICT);

        let again = text(&ada.get(&format!("{new}?from={}", page.rsplit('/').next().unwrap())).await.expect(200).text);
        assert!(again.contains("\"grace_days\": 14") && again.contains("graduated"), "{again}");
        let second = ada.submit(&new, PLANS, &[("key", "pro"), ("from", "pro"), ("definition", &again)]).await;
        let second = second.header("location").to_owned();
        let other = ada.submit(&new, PLANS, &[("key", "pro"), ("from", "pro"), ("definition", &again)]).await.expect(422).text;
        assert!(other.contains("Version 2 of this plan is a draft"), "{other}");
        goes_to(&sent(&mut ada, &second, "delete", &[]).await, PLANS);
        goes_to(&sent(&mut ada, &page, "archive", &[]).await, &page);
        assert!(ada.get(&format!("{page}/danger")).await.text.contains("This version is archived already."));
        assert_eq!(
            recorded(&world, "plan").await,
            ["plan.created", "plan.published", "plan.created", "plan.updated", "plan.published", "plan.created", "plan.deleted", "plan.archived"],
        );
    }

    async fn the_calculator_says_what_a_plan_comes_to_and_how(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        post(&world, "/api/meters", json!({"key": "calls", "event_type": "call", "aggregation": "count"})).await;
        let tiers = json!([{"up_to": "10", "unit_amount": "10", "flat_amount": "2"}, {"up_to": null, "unit_amount": "5", "flat_amount": "3"}]);
        let plan = publish(&world, json!({
            "key": "pro", "name": "Pro", "cadence": "month",
            "prices": [
                {"model": "flat", "amount": "49", "currency": "EUR", "timing": "advance"},
                {"model": "per_unit", "unit_amount": "9.5", "currency": "EUR", "timing": "advance", "minimum": "20"},
                {"model": "graduated", "currency": "EUR", "timing": "arrears", "meter": "calls", "tiers": tiers},
                {"model": "percentage", "rate": "1.3", "fixed_amount": "2", "free_events": 3, "free_amount": "250", "currency": "USD", "timing": "arrears", "meter": "calls"},
            ],
        })).await;
        let page = format!("{PLANS}/{plan}");
        let sums = |page: &str| page.split("<strong class=\"amount\">").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()).collect::<Vec<_>>();
        let total = |page: &str| page.split("class=\"total\">").nth(1).map(|rest| rest.split("</p>").next().unwrap().to_owned());
        let first = ada.get(&page).await.expect(200).text;
        assert_eq!(sums(&first), ["49.00 EUR", "20.00 EUR", "2.00 EUR", "0.00 USD"]);
        assert!(first.contains("Lifted to the minimum by 10.50 EUR"), "{first}");
        let asked = ada.get(&format!("{page}?quantity=3&q2=11&q3=50,+100,+250,+400")).await.expect(200).text;
        assert_eq!(sums(&asked), ["49.00 EUR", "28.50 EUR", "110.00 EUR", "11.15 USD"]);
        for part in ["Tier 1: 10 × 10.00 EUR = 100 EUR", "Tier 2: 3.00 EUR fixed", "3 × 9.50 EUR = 28.5 EUR", "value=\"11\""] {
            assert!(asked.contains(part), "{part}: {asked}");
        }
        let whole = total(&asked).unwrap();
        assert!(whole.contains("187.50 EUR") && whole.contains("11.15 USD"), "{whole}");
        let wrong = ada.get(&format!("{page}?quantity=-1&q2=many")).await.expect(200).text;
        assert!(wrong.contains("-1 is no number of 0 or more") && wrong.contains("many is no number") && total(&wrong).is_none(), "{wrong}");
    }

    async fn features_and_meters_are_made_changed_and_ended(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        let wrong = ada.submit(FEATURES, FEATURES, &[("what", "feature"), ("key", "SSO"), ("kind", "metered")]).await.expect(422).text;
        assert!(wrong.contains("id=\"key-error\"") && wrong.contains("href=\"#meter\"") && wrong.contains("value=\"SSO\""), "{wrong}");
        let meters = "/console/billing/meters";
        let wrong = ada.submit(FEATURES, meters, &[("what", "meter"), ("meter_key", "calls"), ("aggregation", "sum")]).await.expect(422).text;
        assert!(wrong.contains("id=\"event_type-error\"") && wrong.contains("id=\"value_path-error\""), "{wrong}");
        let fields = [("what", "meter"), ("meter_key", "calls"), ("event_type", "call"), ("aggregation", "count")];
        goes_to(&ada.submit(FEATURES, meters, &fields).await, FEATURES);
        let fields = [("what", "feature"), ("key", "calls"), ("name", "API calls"), ("kind", "metered"), ("meter", "calls")];
        goes_to(&ada.submit(FEATURES, FEATURES, &fields).await, FEATURES);
        let taken = ada.submit(FEATURES, FEATURES, &fields).await.expect(422).text;
        assert!(taken.contains("There is a feature calls already."), "{taken}");
        let feature = get(&world, "/api/features").await["data"][0].clone();
        let page = format!("{FEATURES}/{}", feature["id"].as_str().unwrap());
        let edit = [("etag", "1"), ("name", "Calls"), ("combine", "sum")];
        goes_to(&ada.submit(FEATURES, &format!("{page}/settings"), &edit).await, FEATURES);
        assert_eq!(ada.submit(FEATURES, &format!("{page}/settings"), &edit).await.status, StatusCode::CONFLICT);
        let feature = get(&world, "/api/features").await["data"][0].clone();
        assert_eq!((&feature["name"], &feature["combine"]), (&json!("Calls"), &json!("sum")));
        publish(&world, json!({"key": "pro", "name": "Pro", "cadence": "month", "entitlements": [{"feature": "calls", "limit": null}]})).await;
        let kept = ada.submit(FEATURES, &format!("{page}/delete"), &[]).await.expect(422).text;
        assert!(kept.contains("Version 1 of the plan pro grants it."), "{kept}");
        let meter = get(&world, "/api/meters").await["data"][0]["id"].as_str().unwrap().to_owned();
        goes_to(&ada.submit(FEATURES, &format!("{meters}/{meter}/archive"), &[]).await, FEATURES);
        assert!(ada.get(FEATURES).await.text.contains("Archived"));
        assert_eq!(recorded(&world, "feature").await, ["feature.created", "feature.updated"]);
        assert_eq!(recorded(&world, "meter").await, ["meter.created", "meter.archived"]);
    }

    async fn a_subscription_goes_through_its_states_and_offers_what_may_follow_alone(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        stock(&world).await;
        post(&world, "/api/customers", json!({"name": "Northwind Traders", "external_id": "crm-1", "payment_terms_days": 14})).await;
        let own = format!("{CUSTOMERS}/{}", get(&world, "/api/customers/crm-1").await["id"].as_str().unwrap());
        let subscribe = format!("{own}/subscribe");
        let fields = [("plan", "team"), ("quantity", "3"), ("activation", "immediate"), ("term_end", "")];
        let poor = ada.submit(&subscribe, &subscribe, &fields).await.expect(422).text;
        assert!(poor.contains("The customer has no currency") && poor.contains("href=\"#plan\""), "{poor}");
        let body = json!({"currency": "EUR", "address": {"country": "DE"}});
        world.admin(Method::PATCH, "/api/customers/crm-1", body).await.expect(200);
        goes_to(&ada.submit(&subscribe, &subscribe, &fields).await, &own);
        let seen = ada.get(&own).await.expect(200).text;
        assert!(seen.contains("Team, version 1") && seen.contains("Renews") && seen.contains("Full access"), "{seen}");
        let page = format!("{SUBSCRIPTIONS}/{}", get(&world, "/api/subscriptions").await["data"][0]["id"].as_str().unwrap());
        let offered = |page: &str| -> Vec<bool> {
            ["commandfor=\"pause\"", "commandfor=\"resume\"", "commandfor=\"cancel\"", "/uncancel\"", "/change\"", "/payment-status\""].iter().map(|form| page.contains(form)).collect()
        };
        let active = ada.get(&page).await.expect(200).text;
        assert_eq!(offered(&active), [true, false, true, false, true, true], "{active}");
        assert!(active.contains("Subscribed") && active.contains("The next period begins") && active.contains("0 % have passed"), "{active}");

        let etag = value(&active, "etag").to_owned();
        let wrong = sent(&mut ada, &page, "change", &[("etag", &etag), ("quantity", "many"), ("when", "now")]).await.expect(422).text;
        assert!(wrong.contains("id=\"quantity-error\"") && wrong.contains("value=\"many\""), "{wrong}");
        let change = [("etag", etag.as_str()), ("plan", ""), ("quantity", "5"), ("when", "now")];
        goes_to(&sent(&mut ada, &page, "change", &change).await, &page);
        let late = sent(&mut ada, &page, "change", &change).await.expect(422).text;
        assert!(late.contains("Somebody changed this while you had it open"), "{late}");
        goes_to(&sent(&mut ada, &page, "change", &[("plan", "pro"), ("quantity", "1"), ("when", "period_end")]).await, &page);
        let planned = ada.get(&page).await.text;
        assert!(planned.contains("Changes to Pro, version 1, quantity 1") && planned.contains("Take it back"), "{planned}");
        goes_to(&sent(&mut ada, &page, "change", &[("quantity", "5"), ("when", "period_end")]).await, &page);
        assert!(!ada.get(&page).await.text.contains("Changes to Pro"));

        goes_to(&sent(&mut ada, &page, "pause", &[]).await, &page);
        let paused = ada.get(&page).await.text;
        assert_eq!(offered(&paused), [false, true, true, false, true, true], "{paused}");
        let again = sent(&mut ada, &page, "pause", &[]).await.expect(409).text;
        assert!(again.contains("Pause is not possible while the subscription is paused") && again.contains("<h1>"), "{again}");
        goes_to(&sent(&mut ada, &page, "resume", &[("anchor", "kept")]).await, &page);

        let future = sent(&mut ada, &page, "payment-status", &[("heard", "overdue_since"), ("at", "2027-01-31T00:00:00Z")]).await.expect(422).text;
        assert!(future.contains("id=\"at-error\""), "{future}");
        let overdue = [("heard", "overdue_since"), ("at", "2026-05-31T00:00:00Z"), ("reference", "inv-2031")];
        goes_to(&sent(&mut ada, &page, "payment-status", &overdue).await, &page);
        let late = ada.get(&page).await.text;
        assert!(late.contains("Past due") && late.contains("Overdue since") && late.contains("The grace is over: unpaid"), "{late}");
        goes_to(&sent(&mut ada, &page, "payment-status", &[("heard", "settled_at")]).await, &page);

        goes_to(&sent(&mut ada, &page, "cancel", &[("when", "period_end")]).await, &page);
        let ending = ada.get(&page).await.text;
        assert!(ending.contains("Is canceled") && ending.contains("Undo"), "{ending}");
        assert_eq!(offered(&ending), [true, false, true, true, true, true], "{ending}");
        goes_to(&sent(&mut ada, &page, "uncancel", &[]).await, &page);
        goes_to(&sent(&mut ada, &page, "cancel", &[("when", "now")]).await, &page);
        let over = ada.get(&page).await.text;
        assert_eq!(offered(&over), [false; 6], "{over}");
        let history: Vec<bool> = ["Subscribed", "Paused", "Resumed", "An invoice became overdue", "Canceled"].iter().map(|word| over.contains(word)).collect();
        assert_eq!(history, [true; 5], "{over}");
        sent(&mut ada, &page, "explode", &[]).await.expect(404);
        assert_eq!(
            recorded(&world, "subscription").await,
            ["subscription.created", "subscription.changed", "subscription.changed", "subscription.changed", "subscription.paused",
             "subscription.resumed", "subscription.payment_told", "subscription.payment_told", "subscription.canceled",
             "subscription.uncanceled", "subscription.canceled"],
        );
        assert!(ada.get(&own).await.text.contains("subscription_inactive"), "the customer says why it may do nothing");
        for (query, found) in [("", 1), ("?customer=crm-1", 1), ("?customer=nobody", 0)] {
            let list = ada.get(&format!("{SUBSCRIPTIONS}{query}")).await.expect(200).text;
            assert_eq!(list.matches("class=\"name\"").count(), found, "{query}");
        }
        let csv = ada.get(&format!("{SUBSCRIPTIONS}?format=csv")).await.expect(200).text;
        assert!(csv.lines().nth(1).unwrap().contains("\"Northwind Traders\",\"team\",\"1\",\"5\",\"canceled\""), "{csv}");
    }

    async fn the_customer_page_says_why_each_client_may_do_what_it_does(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        stock(&world).await;
        let api = post(&world, "/api/apis", json!({"identifier": "https://orders.example"})).await["id"].as_str().unwrap().to_owned();
        post(&world, &format!("/api/apis/{api}/scopes"), json!({"name": "orders:read"})).await;
        for (scope, feature) in [("reports", "sso"), ("bulk", "bulk-export")] {
            post(&world, &format!("/api/apis/{api}/scopes"), json!({"name": scope, "requires_feature": feature})).await;
        }
        let id = customer(&world, "crm-1").await;
        let sub = subscribed(&world, "crm-1", "pro").await;
        let page = format!("{CUSTOMERS}/{id}");
        let form = ada.get(&format!("/console/identity/clients/new?customer={id}")).await.expect(200).text;
        assert!(form.contains(&format!("name=\"customer_id\" type=\"text\" value=\"{id}\"")), "{form}");
        let secret = world.client("jobs", json!({"scopes": ["orders:read", "reports", "bulk"], "customer_id": id})).await;
        world.token("jobs", &secret, "&scope=reports").await.expect(200);
        let seen = ada.get(&page).await.expect(200).text;
        for part in [
            "Single sign-on", "Pro, version 1", &sub, "A request gets a token for 15 min.", "Granted by Pro, version 1.",
            "No plan of the customer grants bulk-export.", "The client may request it, and it requires no feature.", "/console/identity/clients/jobs",
        ] {
            assert!(seen.contains(part), "{part}: {seen}");
        }
        assert!(ada.get("/console/identity/clients/jobs").await.text.contains(&format!("href=\"{page}\">Northwind Traders")));
        let danger = ada.get(&format!("{page}/danger")).await.text;
        assert!(danger.contains("A subscription lasts; cancel it first.") && danger.contains("Its client gets no token"), "{danger}");
        goes_to(&sent(&mut ada, &page, "suspend", &[]).await, &page);
        world.token("jobs", &secret, "&scope=reports").await.expect(400);
        let seen = ada.get(&page).await.expect(200).text;
        assert!(seen.contains("Its customer has no access.") && seen.contains("unauthorized_client: ") && !seen.contains("Granted by Pro"), "{seen}");
        let found = ada.get("/console/search?q=north&format=json").await.expect(200).json();
        assert_eq!((&found["groups"][0]["title"], &found["groups"][0]["items"][0]["text"]), (&json!("Customers"), &json!("Northwind Traders")));
        let found = ada.get("/console/search?q=team&format=json").await.expect(200).json();
        assert_eq!((&found["groups"][0]["title"], &found["groups"][0]["items"][0]["text"]), (&json!("Plans"), &json!("Team, version 1")));
    }

    async fn each_role_changes_what_its_scopes_name_and_reads_the_rest(world: World) {
        let world = relaxed(world.engine).await;
        owner(&world).await;
        let sold = Sold::new("shop", async |path, body| world.admin(Method::POST, &path, body).await.json()).await;
        let customer = format!("{CUSTOMERS}/{}", sold.customer);
        let sub = format!("{SUBSCRIPTIONS}/{}", sold.subscription);
        // with fields that no use-case takes: what is allowed is told what is wrong, and nothing changes
        let changes: [Change<'_>; 10] = [
            ("customers:write", CUSTOMERS.to_owned(), &[("name", "")]),
            ("customers:write", format!("{customer}/settings"), &[("name", "")]),
            ("customers:write", format!("{customer}/reinstate"), &[]),
            ("billing:write", format!("{customer}/subscribe"), &[("plan", "nothing")]),
            ("billing:write", PLANS.to_owned(), &[("definition", "")]),
            ("billing:write", format!("{PLANS}/{}/definition", sold.draft), &[("definition", "")]),
            ("billing:write", format!("{sub}/change"), &[("quantity", "many")]),
            ("billing:write", format!("{sub}/resume"), &[]),
            ("billing:write", FEATURES.to_owned(), &[("key", "!")]),
            ("billing:write", "/console/billing/meters".to_owned(), &[("meter_key", "!")]),
        ];
        for role in [Role::Admin, Role::Developer, Role::Billing, Role::Support, Role::ReadOnly] {
            let mut sam = member_of(&world, "default", &format!("{}@example.com", role.name().replace('_', "-")), role).await;
            let held = role.scopes();
            for (scope, path, fields) in &changes {
                let answer = sam.submit("/console/account", path, fields).await;
                let is_refused = answer.status == StatusCode::FORBIDDEN;
                assert_eq!(is_refused, !held.iter().any(|held| **held == **scope), "{role:?} {path}: {}", answer.text);
            }
            for path in [CUSTOMERS, PLANS, SUBSCRIPTIONS, FEATURES, &customer, &sub, &format!("{PLANS}/{}", sold.plan)] {
                let seen = sam.get(path).await.expect(200).text;
                if !held.iter().any(|held| **held == *"billing:write") && path != CUSTOMERS && path != SUBSCRIPTIONS {
                    assert!(seen.contains("Needs the scope billing:write, which the role"), "{role:?} {path}: {seen}");
                }
            }
        }
        assert_eq!(get(&world, "/api/customers").await["data"].as_array().unwrap().len(), 2);
    }
}
