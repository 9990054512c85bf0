//! Home, settings, limits and tenants: what each role sees, and what their forms change.

use auth::operator::Role;
use auth::operator::team::OperatorChange;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::audit::fold;
use crate::console::{Browser, PASSPHRASE, goes_to, member, needs, owner, relaxed, value};
use crate::on_both_engines;
use crate::tenants::token_at;
use crate::world::{Answer, Engine, World};

const TENANTS: &str = "/console/tenants";
const LIMITS: &str = "/console/identity/limits";

async fn operator(world: &World, email: &str) -> auth::operator::Operator {
    let tenant = world.tenant().await;
    let who = world.auth.system(&tenant, "test");
    let all = world.auth.operators(&who, &tenant, None, 10).await.unwrap();
    all.into_iter().find(|operator| &*operator.email == email).unwrap()
}

/// Sends the form of the limits, with the version that the page has.
async fn save(browser: &mut Browser, fields: &[(&str, &str)]) -> Answer {
    let page = browser.get(LIMITS).await.expect(200).text;
    let version = value(&page, "version").to_owned();
    let mut all = vec![("version", version.as_str())];
    all.extend_from_slice(fields);
    browser.submit(LIMITS, LIMITS, &all).await
}

on_both_engines! {
    async fn home_counts_no_admin_client_and_says_what_needs_attention(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        let page = ada.get("/console").await.expect(200).text;
        assert!(page.contains("Make a client") && !page.contains("class=\"done\""), "{page}");
        assert_eq!(needs(&page), Vec::<&str>::new());
        let secret = world.client("worker", json!({"grant_types": ["client_credentials", "refresh_token"]})).await;
        assert_eq!(ada.get("/console").await.text.matches("class=\"done\"").count(), 1);
        world.clock.advance_seconds(1);
        world.token("worker", &secret, "").await.expect(200);
        let page = ada.get("/console").await.expect(200).text;
        assert_eq!(page.matches("class=\"done\"").count(), 2, "a token counts at once");
        fold(&world).await;
        assert_eq!(ada.get("/console").await.text.matches("class=\"done\"").count(), 2);
        assert!(page.contains("got a token") && page.contains("in the present one"), "{page}");

        let body = json!({"expires_at": "2026-06-06T13:00:00Z", "expire_others_in_seconds": 0});
        world.admin(Method::POST, "/api/clients/worker/secrets", body).await.expect(201);
        let page = ada.get("/console").await.text;
        assert!(page.contains("The last secret of worker ends.") && page.contains("in 5 d"), "{page}");
        let body = json!({"expires_at": "2027-06-06T12:00:00Z"});
        let secret = world.admin(Method::POST, "/api/clients/worker/secrets", body).await.expect(201).json();
        let secret = secret["client_secret"].as_str().unwrap();
        assert!(!ada.get("/console").await.text.contains("The last secret"), "another one lives on");

        let again = world.token("worker", secret, "").await.expect(200).json();
        let used = again["refresh_token"].as_str().unwrap();
        world.refresh("worker", secret, used, "").await.expect(200);
        world.clock.advance_seconds(60);
        world.refresh("worker", secret, used, "").await.expect(400);
        let page = ada.get("/console").await.text;
        assert!(page.contains("A used refresh token of worker came again"), "{page}");

        let mut sam = member(&world, Role::Developer).await;
        let page = sam.get("/console").await.expect(200).text;
        assert!(!page.contains("Nothing yet") && !page.contains("got a token"), "{page}");
        assert!(page.contains("Needs the scope audit:read, which the role Developer does not hold."), "{page}");
        assert!(page.contains("A used refresh token of worker came again"));
    }

    async fn people_without_a_second_factor_are_counted_where_one_is_asked_for(world: World) {
        let tenant = world.tenant().await;
        assert_eq!(world.auth.people_without_second_factor(&tenant).await.unwrap(), 0);
        owner(&world).await;
        assert_eq!(world.auth.people_without_second_factor(&tenant).await.unwrap(), 1);
    }

    async fn settings_are_shown_and_the_bundle_holds_no_name_and_no_secret(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        let secret = world.client("worker", json!({"name": "Payroll"})).await;
        world.token("worker", &secret, "").await.expect(200);
        let page = ada.get("/console/settings").await.expect(200).text;
        let engine = if world.engine == Engine::Embedded { "Embedded" } else { "Database server" };
        for part in ["https://id.example", "keys.rotation_days", "90 d", engine, "Retention", "Plain HTTP"] {
            assert!(page.contains(part), "{part}: {page}");
        }
        let page = ada.get("/console/settings/notices").await.expect(200).text;
        assert!(page.contains("htmx") && page.contains("axum") && page.contains("Apache-2.0"));
        let bundle = ada.get("/console/settings/diagnostics").await.expect(200);
        assert!(bundle.header("content-disposition").starts_with("attachment"));
        assert_eq!(bundle.header("cache-control"), "no-store");
        let read = bundle.json();
        assert_eq!(read["settings"]["key_rotation_days"], 90);
        assert!(read["keys"][0]["kid"].is_string() && read["store"]["schema_version"].as_i64() > Some(0));
        for hidden in ["worker", "Payroll", "ada@", "Northwind", "id.example", &secret, "sealed", "bst_"] {
            assert!(!bundle.text.contains(hidden), "{hidden}: {}", bundle.text);
        }
        let mut sam = member(&world, Role::Developer).await;
        for path in ["/console/settings", "/console/settings/notices", "/console/settings/diagnostics"] {
            assert_eq!(sam.get(path).await.status, StatusCode::FORBIDDEN, "{path}");
        }
    }

    async fn limits_are_changed_and_a_client_is_only_monitored(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        let fields = [("limit", "7"), ("window_s", "60"), ("burst", "9")];
        goes_to(&save(&mut ada, &fields).await, LIMITS);
        let limits = world.admin(Method::GET, "/api/limits", Value::Null).await.expect(200).json();
        assert_eq!(limits["client"], json!({"limit": 7, "window_s": 60, "burst": 9}));
        let wrong = save(&mut ada, &[("limit", "many"), ("window_s", "0"), ("burst", "1")]).await.expect(422);
        for part in ["value=\"many\"", "id=\"limit-error\"", "id=\"window_s-error\""] {
            assert!(wrong.text.contains(part), "{part}: {}", wrong.text);
        }
        ada.submit(LIMITS, LIMITS, &[("version", "1"), ("limit", "1"), ("window_s", "1"), ("burst", "1")]).await.expect(409);
        goes_to(&save(&mut ada, &[("reset", "1")]).await, LIMITS);
        assert!(ada.get(LIMITS).await.text.contains("It is the server’s."));
        world.clock.advance_seconds(90);

        let rate = json!({"limit": 1, "window_s": 3600, "burst": 1, "enforce": true});
        let quota = json!({"per_hour": 100, "enforce": true});
        let secret = world.client("busy", json!({"name": "Busy", "rate_limit": rate, "token_quota": quota})).await;
        world.token("busy", &secret, "").await.expect(200);
        world.token("busy", &secret, "").await.expect(429);
        fold(&world).await;
        let page = ada.get(LIMITS).await.expect(200).text;
        for part in ["1 each hour, 1 at once", "1 of 100 this hour", "Enforced", "1 request refused"] {
            assert!(page.contains(part), "{part}: {page}");
        }
        let version = page.split("/busy/mode\"").nth(1).map(|form| value(form, "version").to_owned()).unwrap();
        let mode = [("version", version.as_str()), ("enforce", "0")];
        goes_to(&ada.submit(LIMITS, &format!("{LIMITS}/busy/mode"), &mode).await, LIMITS);
        world.token("busy", &secret, "").await.expect(200);
        assert!(ada.get(LIMITS).await.text.contains("Monitored only"));
        let busy = world.admin(Method::GET, "/api/clients/busy", Value::Null).await.json();
        assert_eq!((&busy["rate_limit"]["limit"], &busy["rate_limit"]["enforce"]), (&json!(1), &json!(false)));
        assert_eq!(busy["token_quota"]["enforce"], false);
        assert_eq!(ada.submit(LIMITS, &format!("{LIMITS}/busy/mode"), &mode).await.status, StatusCode::CONFLICT);

        let mut sam = member(&world, Role::ReadOnly).await;
        sam.get(LIMITS).await.expect(200);
        for path in [LIMITS.to_owned(), format!("{LIMITS}/busy/mode")] {
            assert_eq!(sam.submit(LIMITS, &path, &mode).await.status, StatusCode::FORBIDDEN, "{path}");
        }
    }

    async fn clients_with_limits_of_their_own_come_page_by_page_as_limits_come_and_go(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        let rate = json!({"limit": 5, "window_s": 1, "burst": 5});
        for n in 0..30 {
            world.clock.advance_micros(2_000);
            world.client(&format!("plain-{n}"), json!({})).await;
            world.clock.advance_micros(2_000);
            world.client(&format!("own-{n:02}"), json!({"rate_limit": rate})).await;
        }
        world.admin(Method::PATCH, "/api/clients/own-29", json!({"rate_limit": null})).await.expect(200);
        world.admin(Method::PATCH, "/api/clients/plain-0", json!({"token_quota": {"per_day": 7}})).await.expect(200);
        let listed = |page: &str| -> Vec<String> {
            let rows = page.split("<code class=\"sub\">").skip(1);
            rows.map(|row| row.split('<').next().unwrap().to_owned()).collect()
        };
        let first = ada.get(&format!("{LIMITS}?limit=25")).await.expect(200).text;
        let next = first.split("rel=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&").replace("&#38;", "&");
        let second = ada.get(&next).await.expect(200).text;
        assert!(!second.contains("rel=\"next\"") && second.contains("rel=\"first\""), "{second}");
        let mut expected: Vec<String> = (0..29).rev().map(|n| format!("own-{n:02}")).collect();
        expected.push("plain-0".to_owned());
        assert_eq!(listed(&first).len(), 25);
        assert_eq!([listed(&first), listed(&second)].concat(), expected);
        ada.get(&format!("{LIMITS}?cursor=nothing")).await.expect(400);
    }

    async fn an_owner_makes_a_tenant_and_enters_it_with_a_session_of_its_own(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        let wrong = ada.submit(TENANTS, TENANTS, &[("slug", "Not One"), ("kind", "live")]).await.expect(422).text;
        assert!(wrong.contains("value=\"Not One\"") && wrong.contains("id=\"slug-error\""), "{wrong}");
        let fields = [("slug", "acme"), ("name", "Acme"), ("kind", "sandbox")];
        let made = ada.submit(TENANTS, TENANTS, &fields).await.expect(200).text;
        let text = |id: &str| made.split(&format!("id=\"{id}\">")).nth(1).unwrap().split('<').next().unwrap().to_owned();
        let (id, secret) = (text("made-client"), text("made-secret"));
        token_at(&world, "/t/acme", &id, &secret, "&scope=admin").await.expect(200);
        let taken = ada.submit(TENANTS, TENANTS, &fields).await;
        assert_eq!(taken.status, StatusCode::UNPROCESSABLE_ENTITY);
        let list = ada.get(TENANTS).await.expect(200).text;
        assert!(list.contains("Acme") && list.contains("You are here") && !list.contains(&secret), "{list}");

        let home = "/t/acme/console";
        goes_to(&ada.get(home).await, "/t/acme/console/sign-in?next=%2Ft%2Facme%2Fconsole");
        goes_to(&ada.submit(TENANTS, &format!("{TENANTS}/acme/enter"), &[]).await, home);
        assert_ne!(ada.cookies["__Host-bst_acme"], ada.cookies["__Host-bst_default"]);
        let page = ada.get(home).await.expect(200).text;
        assert!(page.contains("Acme") && page.contains("href=\"/console/tenants\""), "{page}");
        ada.get("/t/acme/console/team").await.expect(200);
        ada.get("/t/acme/console/tenants").await.expect(404);
        for path in ["/t/acme/console/account", "/t/acme/console/step-up"] {
            goes_to(&ada.get(path).await, "/console/account");
        }
        let settings = ada.get("/t/acme/console/settings").await.expect(200).text;
        assert!(!settings.contains("Write-ahead log") && !settings.contains("Diagnostics"));
        ada.get("/t/acme/console/settings/diagnostics").await.expect(404);
        for log in ["/console/audit?action=tenant.entered", "/t/acme/console/audit?action=tenant.entered"] {
            assert!(ada.get(log).await.expect(200).text.contains("operator:ada@example.com"), "{log}");
        }
        // again, from the same session: the older entry ends
        let older = ada.cookies["__Host-bst_acme"].clone();
        goes_to(&ada.submit(TENANTS, &format!("{TENANTS}/acme/enter"), &[]).await, home);
        let newer = ada.cookies.insert("__Host-bst_acme".to_owned(), older).unwrap();
        assert_eq!(ada.get(home).await.status, StatusCode::SEE_OTHER);
        ada.cookies.insert("__Host-bst_acme".to_owned(), newer);
        ada.get(home).await.expect(200);
        // out of the first tenant is out of all
        goes_to(&ada.submit("/console", "/console/sign-out", &[]).await, "/console/sign-in");
        assert_eq!(ada.get(home).await.status, StatusCode::SEE_OTHER);
    }

    async fn who_entered_leaves_alone_and_is_out_when_no_owner_any_more(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        world.admin(Method::POST, "/api/tenants", json!({"slug": "acme"})).await.expect(201);
        let enter = format!("{TENANTS}/acme/enter");
        goes_to(&ada.submit(TENANTS, &enter, &[]).await, "/t/acme/console");
        goes_to(&ada.submit("/t/acme/console", "/t/acme/console/sign-out", &[]).await, TENANTS);
        assert_eq!(ada.get("/t/acme/console").await.status, StatusCode::SEE_OTHER);
        ada.get("/console").await.expect(200);

        goes_to(&ada.submit(TENANTS, &enter, &[]).await, "/t/acme/console");
        member(&world, Role::Owner).await;
        ada.get("/t/acme/console").await.expect(200);
        let (tenant, id) = (world.tenant().await, operator(&world, "ada@example.com").await.id);
        let who = world.auth.system(&tenant, "test");
        let change = OperatorChange { role: Some(Role::Admin), ..OperatorChange::default() };
        world.auth.change_operator(&who, &tenant, id, change).await.unwrap();
        assert_eq!(ada.get("/t/acme/console").await.status, StatusCode::SEE_OTHER);
        let page = ada.get("/console").await.expect(200).text;
        assert!(!page.contains("/console/tenants"), "{page}");
        for (path, is_post) in [(TENANTS, false), (TENANTS, true), (enter.as_str(), true)] {
            let answer = if is_post { ada.submit("/console", path, &[("slug", "x")]).await } else { ada.get(path).await };
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        }
    }

    async fn an_owner_disables_a_tenant_after_its_slug_is_typed_and_enables_it_again(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        let made = world.admin(Method::POST, "/api/tenants", json!({"slug": "acme", "name": "Acme"})).await.expect(201).json();
        let admin = &made["admin_client"];
        let (id, secret) = (admin["client_id"].as_str().unwrap(), admin["client_secret"].as_str().unwrap());
        token_at(&world, "/t/acme", id, secret, "&scope=admin").await.expect(200);
        fold(&world).await;
        goes_to(&ada.submit(TENANTS, &format!("{TENANTS}/acme/enter"), &[]).await, "/t/acme/console");
        let page = format!("{TENANTS}/acme/disable");
        assert!(ada.get(TENANTS).await.expect(200).text.contains(&page));
        let asked = ada.get(&page).await.expect(200).text;
        for part in ["<h1>Disable Acme</h1>", "<dt>Clients</dt><dd>1</dd>", "hour</dt><dd>1</dd>", "people</dt><dd>1</dd>"] {
            assert!(asked.contains(part), "{part}: {asked}");
        }
        let wrong = ada.submit(&page, &page, &[("confirm", "Acme")]).await.expect(422).text;
        assert!(wrong.contains("Type the slug of the tenant"), "{wrong}");
        token_at(&world, "/t/acme", id, secret, "&scope=admin").await.expect(200);

        goes_to(&ada.submit(&page, &page, &[("confirm", "acme")]).await, TENANTS);
        let list = ada.get(TENANTS).await.expect(200).text;
        assert!(list.contains("Acme is disabled") && list.contains("Undo") && list.contains("acme/enable"), "{list}");
        assert_eq!(token_at(&world, "/t/acme", id, secret, "&scope=admin").await.status, StatusCode::NOT_FOUND);
        ada.get("/t/acme/console").await.expect(404);
        let log = world.admin(Method::GET, "/api/tenants/acme", Value::Null).await.expect(200).json();
        assert_eq!(log["disabled"], true);

        world.clock.advance_seconds(700);
        let enable = format!("{TENANTS}/acme/enable");
        for path in [&page, &enable] {
            let asked = ada.submit(TENANTS, path, &[("confirm", "acme")]).await;
            assert!(asked.header("location").starts_with("/console/step-up"), "{path}");
        }
        let again = [("passphrase", PASSPHRASE), ("next", TENANTS)];
        goes_to(&ada.submit("/console/step-up?next=%2Fconsole%2Ftenants", "/console/step-up", &again).await, TENANTS);
        goes_to(&ada.submit(TENANTS, &enable, &[]).await, TENANTS);
        token_at(&world, "/t/acme", id, secret, "&scope=admin").await.expect(200);

        let mut sam = member(&world, Role::Admin).await;
        sam.get(&page).await.expect(404);
        for path in [page.as_str(), enable.as_str(), "/console/tenants/default/disable", "/console/tenants/nowhere/disable"] {
            assert_eq!(sam.submit("/console", path, &[("confirm", "acme")]).await.status, StatusCode::NOT_FOUND, "{path}");
            let is_none = !path.contains("acme");
            assert!(!is_none || ada.submit(TENANTS, path, &[("confirm", "default")]).await.status == StatusCode::NOT_FOUND);
        }
    }

    async fn entering_asks_for_a_sign_in_of_the_last_minutes(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        world.admin(Method::POST, "/api/tenants", json!({"slug": "acme"})).await.expect(201);
        ada.submit(TENANTS, &format!("{TENANTS}/acme/enter"), &[]).await;
        world.clock.advance_seconds(700);
        let asked = ada.submit(TENANTS, &format!("{TENANTS}/acme/enter"), &[]).await;
        goes_to(&asked, "/console/step-up?next=%2Fconsole%2Ftenants");
        // and what was entered is as old as the sign-in that it came from
        let there = "/t/acme/console";
        let invite = [("email", "x@example.com"), ("role", "admin")];
        let asked = ada.submit(&format!("{there}/team"), &format!("{there}/team/invitations"), &invite).await;
        goes_to(&asked, "/console/step-up?next=%2Fconsole%2Ftenants");
        ada.submit(TENANTS, &format!("{TENANTS}/nowhere/enter"), &[]).await.expect(303);
    }
}
