//! The console as a browser meets it, without scripts: cookies, forms, redirects, and what is refused.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use auth::Settings;
use auth::operator::Role;
use http::{Method, StatusCode};

use crate::on_both_engines;
use crate::world::{Answer, Engine, World};

pub(crate) const PASSPHRASE: &str = "correct horse battery staple nine";

/// A browser with its cookies.
#[derive(Clone)]
pub(crate) struct Browser {
    world: World,
    pub(crate) cookies: BTreeMap<String, String>,
}

/// A text as a form or a query carries it.
pub(crate) fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// What the first page says needs attention, apart from the disk of the machine that runs the tests.
pub(crate) fn needs(page: &str) -> Vec<&str> {
    let list = page.split("<ul class=\"attention\">").nth(1).and_then(|rest| rest.split("</ul>").next()).unwrap_or("");
    let texts = list.split("<li>").skip(1).filter_map(|need| need.split("<a ").nth(1)?.split(['>', '<']).nth(1));
    texts.filter(|text| !text.starts_with("The disk of the store is")).collect()
}

/// The value of a field of the page's first form that has it.
pub(crate) fn value<'a>(page: &'a str, name: &str) -> &'a str {
    let start = format!("name=\"{name}\" value=\"");
    page.split(&start).nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default()
}

impl Browser {
    pub(crate) fn new(world: &World) -> Self {
        Self { world: world.clone(), cookies: BTreeMap::new() }
    }

    async fn ask(&mut self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut all = vec![("cookie", cookies.as_str()), ("user-agent", "A browser")];
        all.extend_from_slice(headers);
        let answer = self.world.request(method, path, &all, body).await;
        for text in answer.headers.get_all("set-cookie") {
            let (name, rest) = text.to_str().unwrap().split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[], "").await
    }

    /// How long a page takes; the next one comes a tenth of a second later.
    pub(crate) async fn timed(&mut self, path: String) -> (Duration, String) {
        let begun = Instant::now();
        let answer = self.get(&path).await;
        let taken = begun.elapsed();
        answer.expect(200);
        self.world.clock.advance_micros(100_000);
        (taken, path)
    }

    pub(crate) async fn stream(&self, path: &str) -> crate::world::Messages {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.world.stream(path, &[("cookie", &cookies.join("; "))]).await
    }

    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "same-origin")];
        self.ask(Method::POST, path, &headers, &pairs.join("&")).await
    }

    /// Sends the form of a page: its token, and the fields given.
    pub(crate) async fn submit(&mut self, page: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let page = self.get(page).await.text;
        let mut all = vec![("csrf", value(&page, "csrf")), ("form", value(&page, "form"))];
        all.extend_from_slice(fields);
        self.post(path, &all).await
    }

    fn session(&self) -> Option<&String> {
        self.cookies.get("__Host-bst_default")
    }
}

#[track_caller]
pub(crate) fn goes_to(answer: &Answer, path: &str) {
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, path), "{}", answer.text);
}

/// A world in which a second factor is not asked of owners.
pub(crate) async fn relaxed(engine: Engine) -> World {
    let settings =
        Settings { issuer: "https://id.example".to_owned(), second_factor_required: false, ..Settings::default() };
    World::with(engine, settings).await
}

async fn setup_path(world: &World) -> String {
    let tenant = world.tenant().await;
    let who = world.auth.system(&tenant, "test");
    let link = world.auth.create_setup_link(&who, &tenant).await.unwrap();
    link.address.reveal().strip_prefix("https://id.example").unwrap().to_owned()
}

const OWNER: [(&str, &str); 4] = [
    ("organization", "Northwind Energy"),
    ("name", "Ada Okafor"),
    ("email", "ada@example.com"),
    ("passphrase", PASSPHRASE),
];

pub(crate) async fn owner(world: &World) -> Browser {
    let path = setup_path(world).await;
    let mut browser = Browser::new(world);
    goes_to(&browser.submit(&path, &path, &OWNER).await, "/console");
    browser
}

/// A person of a role, who joined by an invitation.
pub(crate) async fn member(world: &World, role: Role) -> Browser {
    member_of(world, "default", "sam@example.com", role).await
}

/// The same with the tenant and the address.
pub(crate) async fn member_of(world: &World, slug: &str, email: &str, role: Role) -> Browser {
    let tenant = world.auth.tenant(slug).await.unwrap().unwrap();
    let system = world.auth.system(&tenant, "test");
    let link = world.auth.invite_operator(&system, &tenant, email, role).await.unwrap();
    let path = link.address.reveal().strip_prefix("https://id.example").unwrap().to_owned();
    let mut browser = Browser::new(world);
    let fields = [("name", "Sam"), ("passphrase", "several words that nobody would guess")];
    let home = path.split("/join/").next().unwrap().to_owned();
    goes_to(&browser.submit(&path, &path, &fields).await, &home);
    browser
}

/// Every address that changes something, with the fields that a browser would send.
const CHANGES: &[(&str, &[(&str, &str)])] = &[
    ("/console/identity/clients", &[("name", "x"), ("scope", "read")]),
    ("/console/identity/selected-clients", &[("client", "demo"), ("do", "disable"), ("sure", "1")]),
    ("/console/identity/clients/demo/secrets", &[("expire_others_in_seconds", "0")]),
    ("/console/identity/clients/demo/token", &[("secret", "anything")]),
    ("/console/identity/clients/demo/settings", &[("name", "other")]),
    ("/console/identity/clients/demo/limits", &[("rate_limit", "1")]),
    ("/console/identity/clients/demo/access", &[("scope", "read")]),
    ("/console/identity/clients/demo/disable", &[]),
    ("/console/identity/clients/demo/enable", &[]),
    ("/console/identity/clients/demo/delete", &[("confirm", "demo")]),
    ("/console/identity/clients/demo/secrets/SECRET/end", &[]),
    ("/console/identity/apis", &[("identifier", "https://new.example")]),
    ("/console/identity/apis/API/settings", &[("name", "other")]),
    ("/console/identity/apis/API/scopes", &[("new_scope", "more")]),
    ("/console/identity/apis/API/describe", &[("scope", "read"), ("description", "other")]),
    ("/console/identity/apis/API/withdraw", &[("scope", "read")]),
    ("/console/identity/apis/API/delete", &[("confirm", "https://demo.example")]),
    ("/console/identity/keys/rotate", &[("key", "token ES256")]),
    ("/console/identity/keys/KID/cancel-rotation", &[]),
    ("/console/identity/keys/KID/revoke", &[("confirm", "KID")]),
    ("/console/identity/limits", &[("limit", "1"), ("window_s", "1"), ("burst", "1")]),
    ("/console/identity/limits/demo/mode", &[("enforce", "0")]),
    ("/console/identity/tokens/inspect", &[("token", "x")]),
    ("/console/identity/tokens/end", &[("client", "demo"), ("jti", "x")]),
    ("/console/identity/tokens/clients/end", &[("client", "demo")]),
    ("/console/identity/tokens/families/fam_00000000000000000000000000/end", &[("client", "demo")]),
    ("/console/customers", &[("name", "x")]),
    ("/console/customers/CUSTOMER/settings", &[("name", "other")]),
    ("/console/customers/CUSTOMER/suspend", &[]),
    ("/console/customers/CUSTOMER/reinstate", &[]),
    ("/console/customers/CUSTOMER/subscribe", &[("plan", "basic"), ("quantity", "1")]),
    ("/console/customers/CUSTOMER/delete", &[("confirm", "Idle")]),
    ("/console/billing/plans", &[("key", "x"), ("definition", "{\"name\": \"X\", \"cadence\": \"month\"}")]),
    ("/console/billing/plans/PLAN/definition", &[("definition", "{\"name\": \"X\", \"cadence\": \"day\"}")]),
    ("/console/billing/plans/PLAN/publish", &[]),
    ("/console/billing/plans/PLAN/archive", &[]),
    ("/console/billing/plans/PLAN/delete", &[]),
    ("/console/billing/subscriptions/SUBSCRIPTION/pause", &[]),
    ("/console/billing/subscriptions/SUBSCRIPTION/resume", &[]),
    ("/console/billing/subscriptions/SUBSCRIPTION/cancel", &[("when", "now")]),
    ("/console/billing/subscriptions/SUBSCRIPTION/uncancel", &[]),
    ("/console/billing/subscriptions/SUBSCRIPTION/change", &[("quantity", "7"), ("when", "now")]),
    ("/console/billing/subscriptions/SUBSCRIPTION/payment-status", &[("heard", "settled_at")]),
    ("/console/billing/features", &[("key", "x"), ("kind", "boolean")]),
    ("/console/billing/features/FEATURE/settings", &[("name", "other")]),
    ("/console/billing/features/FEATURE/delete", &[]),
    ("/console/billing/meters", &[("meter_key", "x"), ("event_type", "x"), ("aggregation", "count")]),
    ("/console/billing/meters/METER/archive", &[]),
    ("/console/developers/webhooks", &[("url", "https://hooks.example.com"), ("types", "*")]),
    ("/console/developers/webhooks/whe_00000000000000000000000000/settings", &[("url", "https://hooks.example.com")]),
    ("/console/developers/webhooks/whe_00000000000000000000000000/test", &[]),
    ("/console/developers/webhooks/whe_00000000000000000000000000/resend", &[("from", "2026-06-01T00:00:00Z")]),
    (
        "/console/developers/webhooks/whe_00000000000000000000000000/deliveries/dlv_00000000000000000000000000/resend",
        &[],
    ),
    ("/console/team/invitations", &[("email", "eve@example.com"), ("role", "owner")]),
    ("/console/team/invitations/lnk_00000000000000000000000000/withdraw", &[]),
    ("/console/team/OPERATOR/role", &[("role", "read_only")]),
    ("/console/team/OPERATOR/disable", &[]),
    ("/console/team/OPERATOR/enable", &[]),
    ("/console/team/OPERATOR/remove", &[]),
    ("/console/account/authenticator/remove", &[]),
    ("/console/account/recovery-codes", &[]),
];

/// Addresses that everybody may post to: sign-in, and what is one's own.
const OPEN: &[&str] = &["/sign-in", "/sign-out", "/setup/", "/join/", "/step-up", "/preferences", "/account"];

/// Addresses that only owners of the first tenant know of; `console_house` tries them.
const HIDDEN: &[&str] = &["/tenants"];

#[test]
fn every_address_that_takes_a_form_is_among_the_changes() {
    let routes = include_str!("../../../console/src/desk/mod.rs");
    let posted = routes.lines().filter(|line| line.contains(".route(&at(") && line.contains("post("));
    let paths: Vec<&str> = posted.filter_map(|line| line.split('"').nth(1)).collect();
    assert!(paths.len() > 20, "{paths:?}");
    let is_else = |path: &str| OPEN.iter().chain(HIDDEN).any(|open| path.starts_with(open));
    for path in paths.into_iter().filter(|path| !is_else(path)) {
        let is_tried = CHANGES.iter().any(|(tried, _)| {
            let (pattern, tried) = (path.split('/'), tried.trim_start_matches("/console").split('/'));
            pattern.clone().count() == tried.clone().count()
                && pattern.zip(tried).all(|(a, b)| a.starts_with('{') || a == b)
        });
        assert!(is_tried, "{path}");
    }
}

/// What the changes would change.
async fn state(world: &World) -> String {
    let mut all = String::new();
    for path in [
        "/api/clients",
        "/api/clients/demo",
        "/api/clients/demo/secrets",
        "/api/keys",
        "/api/apis",
        "/api/customers",
        "/api/plans",
        "/api/subscriptions",
        "/api/features",
        "/api/meters",
        "/api/audit/records",
    ] {
        all.push_str(&world.admin(Method::GET, path, serde_json::Value::Null).await.expect(200).text);
    }
    all
}

async fn filled_in(world: &World, path: &str) -> String {
    let secrets = world.admin(Method::GET, "/api/clients/demo/secrets", serde_json::Value::Null).await.json();
    let tenant = world.tenant().await;
    let who = world.auth.system(&tenant, "test");
    let owner = world.auth.operators(&who, &tenant, None, 1).await.unwrap().remove(0);
    let secret = secrets["data"][0]["id"].as_str().unwrap();
    let apis = world.admin(Method::GET, "/api/apis", serde_json::Value::Null).await.json();
    let keys = world.admin(Method::GET, "/api/keys", serde_json::Value::Null).await.json();
    let mut path = path.to_owned();
    for (word, list) in [
        ("CUSTOMER", "/api/customers"),
        ("PLAN", "/api/plans"),
        ("SUBSCRIPTION", "/api/subscriptions"),
        ("FEATURE", "/api/features"),
        ("METER", "/api/meters"),
    ] {
        if path.contains(word) {
            let found = world.admin(Method::GET, list, serde_json::Value::Null).await.json();
            path = path.replace(word, found["data"][0]["id"].as_str().unwrap_or("none"));
        }
    }
    path.replace("SECRET", secret)
        .replace("OPERATOR", &owner.id.to_string())
        .replace("API", apis["data"][0]["id"].as_str().unwrap())
        .replace("KID", keys["data"][0]["kid"].as_str().unwrap())
}

/// How often requests were refused for a reason since the last call.
pub(crate) fn refused(world: &World, reason: &str) -> u32 {
    world.auth.refusals.drain_all().iter().filter(|(_, r)| r.reason == reason).map(|(_, r)| r.count).sum()
}

on_both_engines! {
    async fn a_person_makes_rotates_disables_and_deletes_a_client(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        let home = ada.get("/console").await.expect(200);
        assert!(home.text.contains("Northwind Energy"), "the tenant has the name of the setup page");
        assert_eq!(home.header("cache-control"), "no-store");

        let list = "/console/identity/clients";
        let new = format!("{list}/new");
        let wrong = ada.submit(&new, list, &[("name", "worker"), ("expires_at", "soon")]).await.expect(422);
        assert!(wrong.text.contains("value=\"worker\"") && wrong.text.contains("id=\"expires_at-error\""), "{}", wrong.text);
        let fields = [("name", "worker"), ("client_id", "worker"), ("scope", "read"), ("defaults", "true")];
        let made = ada.submit(&new, list, &fields).await.expect(200);
        assert_eq!(made.header("cache-control"), "no-store");
        let secret_of = |text: &str| text.split("<code id=\"secret\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
        let first = secret_of(&made.text);
        world.token("worker", &first, "").await.expect(200);

        let client = format!("{list}/worker");
        let form = value(&ada.get(&new).await.text, "form").to_owned();
        let csrf = value(&ada.get(&new).await.text, "csrf").to_owned();
        let twice = [("csrf", csrf.as_str()), ("form", form.as_str()), ("name", "twice"), ("scope", "read")];
        ada.post(list, &twice).await.expect(200);
        goes_to(&ada.post(list, &twice).await, list);
        let found = world.admin(Method::GET, "/api/clients?q=twice", serde_json::Value::Null).await.json();
        assert_eq!(found["data"].as_array().unwrap().len(), 1, "a form that is sent twice makes one client");
        assert!(!ada.get(&client).await.expect(200).text.contains(&first), "no later page has the secret");
        let rotated = ada.submit(&client, &format!("{client}/secrets"), &[("expire_others_in_seconds", "3600")]).await;
        let second = secret_of(&rotated.expect(200).text);
        world.token("worker", &first, "").await.expect(200);
        world.token("worker", &second, "").await.expect(200);
        world.clock.advance_seconds(1_800);
        ada.get(&client).await.expect(200);
        world.clock.advance_seconds(1_800);
        world.token("worker", &first, "").await.expect(401);

        goes_to(&ada.submit(&client, &format!("{client}/disable"), &[]).await, &client);
        world.token("worker", &second, "").await.expect(401);
        goes_to(&ada.submit(&client, &format!("{client}/enable"), &[]).await, &client);
        world.token("worker", &second, "").await.expect(200);

        let danger = format!("{client}/danger");
        let asked = ada.submit(&danger, &format!("{client}/delete"), &[("confirm", "worker")]).await;
        goes_to(&asked, &format!("/console/step-up?next={}", encoded(&danger)));
        let again = [("passphrase", PASSPHRASE), ("next", danger.as_str())];
        let before = ada.session().cloned();
        goes_to(&ada.submit(asked.header("location"), "/console/step-up", &again).await, &danger);
        assert_ne!(ada.session().cloned(), before, "rights rise with a new token");
        let typed = ada.submit(&danger, &format!("{client}/delete"), &[("confirm", "wrong")]).await;
        assert_eq!(typed.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(typed.text.contains("Type the id of the client"), "{}", typed.text);
        goes_to(&ada.submit(&danger, &format!("{client}/delete"), &[("confirm", "worker")]).await, list);
        ada.get(&client).await.expect(404);

        let log = ada.get("/console/audit?actor=operator%3Aada%40example.com+%28setup+link%29").await.expect(200).text;
        for action in ["client.created", "secret.created", "client.disabled", "client.enabled"] {
            assert!(log.contains(action), "{action}");
        }
        let log = ada.get("/console/audit?limit=25").await.expect(200).text;
        assert!(log.contains("client.deleted") && log.contains("ada@example.com (passphrase)"), "{log}");
    }

    async fn selected_clients_are_disabled_enabled_and_exported_each_with_its_own_record(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        let list = "/console/identity/clients?q=s&limit=25";
        let selected = "/console/identity/selected-clients";
        let grants = serde_json::json!({"grant_types": ["client_credentials", "refresh_token"]});
        let secret = world.client("s1", grants).await;
        world.token("s1", &secret, "").await.expect(200);
        for id in ["s2", "s3"] {
            world.client(id, serde_json::json!({"name": format!("={id}")})).await;
        }
        world.admin(Method::POST, "/api/clients/s3/disable", serde_json::Value::Null).await.expect(200);
        let page = ada.get(list).await.expect(200).text;
        assert!(page.contains("value=\"s1\" form=\"selection\"") && page.contains("name=\"do\" value=\"disable\""), "{page}");
        let three = [("client", "s1"), ("client", "s2"), ("client", "s3"), ("client", "s1"), ("next", list)];
        let with = |more: &[(&'static str, &'static str)]| [three.as_slice(), more].concat();

        let asked = ada.submit(list, selected, &with(&[("do", "disable")])).await.expect(200).text;
        assert!(asked.contains("<h1>Disable 2 clients</h1>") && asked.contains("1 live refresh family ends with them."), "{asked}");
        world.token("s1", &secret, "").await.expect(200);
        goes_to(&ada.submit(list, selected, &with(&[("do", "disable"), ("sure", "1")])).await, list);
        let after = ada.get(list).await.expect(200).text;
        assert!(after.contains("2 clients are disabled") && after.contains("Undo"), "{after}");
        world.token("s1", &secret, "").await.expect(401);
        let records = world.admin(Method::GET, "/api/audit/records?action=client.disabled&actor=operator%3Aada%40example.com%20(setup%20link)", serde_json::Value::Null).await.expect(200).json();
        let mut ids: Vec<&str> = records["data"].as_array().unwrap().iter().map(|r| r["object_id"].as_str().unwrap()).collect();
        ids.sort_unstable();
        assert_eq!(ids, ["s1", "s2"], "what was disabled already is no change");

        world.admin(Method::DELETE, "/api/clients/s2", serde_json::Value::Null).await.expect(204);
        let told = ada.submit(list, selected, &with(&[("do", "enable")])).await.expect(200).text;
        assert!(told.contains("<h1>2 clients are enabled, 1 not</h1>") && told.contains("There is no client with this id any more."), "{told}");
        world.token("s1", &secret, "").await.expect(200);

        let csv = ada.submit(list, selected, &with(&[("do", "csv")])).await.expect(200);
        assert!(csv.header("content-disposition").contains("clients-selected.csv"));
        let lines: Vec<&str> = csv.text.lines().collect();
        assert_eq!(lines.len(), 4, "{}", csv.text);
        assert!(lines[2].starts_with("\"s2\",") && lines[3].contains("\"'=s3\""), "{}", csv.text);
        let json = ada.submit(list, selected, &with(&[("do", "json")])).await.expect(200).json();
        assert_eq!((&json[0]["status"], &json[1]["name"]), (&serde_json::json!("active"), &serde_json::Value::Null));

        ada.submit(list, selected, &[("do", "csv")]).await.expect(422);
        let many: Vec<String> = (0..201).map(|n| format!("m{n}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|id| ("client", id.as_str())).chain([("do", "enable")]).collect();
        assert!(ada.submit(list, selected, &many).await.expect(422).text.contains("201 clients are selected"));
        ada.submit(list, selected, &with(&[("do", "delete")])).await.expect(404);
        let elsewhere = [("client", "s3"), ("do", "enable"), ("next", "https://other.example/")];
        goes_to(&ada.submit(list, selected, &elsewhere).await, "/console");
        let mut sam = member(&world, Role::ReadOnly).await;
        assert_eq!(sam.submit(list, selected, &with(&[("do", "disable")])).await.status, StatusCode::FORBIDDEN);
        sam.submit(list, selected, &with(&[("do", "csv")])).await.expect(200);
    }

    async fn the_columns_of_the_list_are_those_that_a_person_chose(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        let list = "/console/identity/clients";
        let heads = |page: &str| -> Vec<bool> {
            ["Scopes", "Status", "Expiry", "Created", "Changed"].iter().map(|head| page.contains(&format!("data-label=\"{head}\""))).collect()
        };
        assert_eq!(heads(&ada.get(list).await.text), [true, true, true, true, false]);
        let chosen = [("columns", "1"), ("next", list), ("column", "changed"), ("column", "status"), ("column", "nothing")];
        goes_to(&ada.submit(list, "/console/preferences", &chosen).await, list);
        assert_eq!(heads(&ada.get(list).await.expect(200).text), [false, true, false, false, true]);
        goes_to(&ada.submit(list, "/console/preferences", &chosen[..2]).await, list);
        assert_eq!(heads(&ada.get(list).await.expect(200).text), [false; 5], "the client alone");
    }

    async fn a_list_is_put_in_order_goes_back_and_leaves_as_a_file(world: World) {
        let world = relaxed(world.engine).await;
        for n in 0..30 {
            world.clock.advance_micros(1_000);
            world.client(&format!("c{n:02}"), serde_json::json!({"name": format!("={n:02}\"")})).await;
        }
        let mut ada = owner(&world).await;
        let names = |page: &str| -> Vec<String> { page.split("<code class=\"sub\">").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()).collect() };
        let link = |page: &str, rel: &str| page.split(&format!("rel=\"{rel}\" href=\"")).nth(1).map(|rest| rest.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&"));
        let first = ada.get("/console/identity/clients?q=%3D&sort=-name&limit=25").await.expect(200).text;
        assert!(first.contains("aria-sort=\"descending\"") && first.contains("25 clients of 30"), "{first}");
        assert_eq!((names(&first)[0].as_str(), link(&first, "prev")), ("c29", None));
        let second = ada.get(&link(&first, "next").unwrap()).await.expect(200).text;
        assert_eq!((names(&second), link(&second, "next")), (vec!["c04".to_owned(), "c03".to_owned(), "c02".to_owned(), "c01".to_owned(), "c00".to_owned()], None));
        assert_eq!(names(&ada.get(&link(&second, "prev").unwrap()).await.expect(200).text), names(&first));
        ada.get(&link(&second, "prev").unwrap().replace("-name", "name")).await.expect(400);

        let csv = ada.get("/console/identity/clients?q=%3D&sort=name&format=csv").await.expect(200);
        assert!(csv.header("content-type").starts_with("text/csv") && csv.header("content-disposition").contains("clients.csv"));
        assert_eq!((csv.header("cache-control"), csv.text.lines().count()), ("no-store", 31));
        assert!(csv.text.lines().nth(1).unwrap().starts_with("\"c00\",\"'=00\"\"\",\"active\""), "{}", csv.text);
        let json = ada.get("/console/identity/clients?format=json").await.expect(200).json();
        assert_eq!(json.as_array().unwrap().len(), 31, "with the administrator's");

        for n in 0..250 {
            world.admin(Method::PATCH, "/api/clients/c00", serde_json::json!({"name": format!("n{n}")})).await.expect(200);
        }
        let all = ada.get("/console/audit?action=client.updated&format=json").await.expect(200).json();
        assert_eq!(all.as_array().unwrap().len(), 250);
        assert_eq!(all[0]["after"], "{\"name\":\"n249\"}");
        let log = ada.get("/console/audit?limit=25").await.expect(200).text;
        ada.get(&link(&log, "next").unwrap()).await.expect(200);
        ada.get("/console/audit?cursor=x").await.expect(400);
        let mut sam = member(&world, Role::ReadOnly).await;
        assert!(sam.get("/console/audit").await.expect(200).text.contains("Needs the scope audit:export"));
        sam.get("/console/audit?format=csv").await.expect(403);
        sam.get("/console/identity/clients?format=csv").await.expect(200);
    }

    async fn the_log_of_a_client_says_why_each_request_was_denied(world: World) {
        let world = relaxed(world.engine).await;
        let old = world.client("demo", serde_json::json!({})).await;
        let rotated = world.admin(Method::POST, "/api/clients/demo/secrets", serde_json::json!({"expire_others_in_seconds": 0})).await;
        let good = rotated.expect(201).json()["client_secret"].as_str().unwrap().to_owned();
        let quota = serde_json::json!({"token_quota": {"per_hour": 1, "per_day": null, "enforce": true}});
        world.token("demo", &good, "").await.expect(200);
        world.token("demo", &good, "&scope=nope").await.expect(400);
        world.token("demo", &old, "").await.expect(401);
        for _ in 0..3 {
            world.token("demo", "bst_cs_wrong", "").await.expect(401);
        }
        world.token("nobody", &good, "").await.expect(401);
        world.admin(Method::PATCH, "/api/clients/demo", quota).await.expect(200);
        world.token("demo", &good, "").await.expect(200);
        world.token("demo", &good, "").await.expect(429);
        world.admin(Method::POST, "/api/clients/demo/disable", serde_json::Value::Null).await.expect(200);
        world.token("demo", &good, "").await.expect(401);
        world.admin(Method::POST, "/api/clients/demo/enable", serde_json::Value::Null).await.expect(200);
        world.admin(Method::PATCH, "/api/clients/demo", serde_json::json!({"expiry": "2026-06-01T11:00:00Z"})).await.expect(200);
        world.token("demo", &good, "").await.expect(401);
        let mut sam = member(&world, Role::Developer).await;
        let page = "/console/identity/clients/demo/logs";
        let reasons = ["invalid_scope", "secret_ended", "invalid_secret", "quota", "client_disabled", "client_expired"];
        for is_journaled in [false, true] {
            if is_journaled {
                crate::audit::fold(&world).await;
            }
            let all = sam.get(page).await.expect(200).text;
            for reason in reasons {
                assert!(all.contains(&format!("<code class=\"sub\">{reason}</code>")), "{reason}, {is_journaled}: {all}");
            }
            assert!(all.contains("3 times within a minute") && all.contains("Token by client_credentials"), "{all}");
            assert!(!all.contains("unknown_client"), "another id is no entry of this client");
            let issued = sam.get(&format!("{page}?outcome=issued")).await.expect(200).text;
            assert!(!issued.contains("invalid_secret") && issued.contains("2 entries"), "{issued}");
        }
        let journal = world.admin(Method::GET, "/api/audit/journal?client_id=demo&outcome=refused", serde_json::Value::Null).await;
        let mut found: Vec<String> = journal.expect(200).json()["data"].as_array().unwrap().iter().map(|e| e["reason"].as_str().unwrap().to_owned()).collect();
        found.sort_unstable();
        let mut expected = reasons.map(str::to_owned).to_vec();
        expected.sort_unstable();
        assert_eq!(found, expected);
        let first = sam.get(&format!("{page}?limit=25")).await.expect(200).text;
        assert!(!first.contains("rel=\"next\""), "everything is on the first page");
    }

    async fn what_does_not_come_from_our_pages_is_refused_and_counted(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        world.client("demo", serde_json::json!({})).await;
        let page = ada.get("/console/identity/clients/demo/danger").await.expect(200).text;
        let csrf = value(&page, "csrf").to_owned();
        let before = state(&world).await;
        refused(&world, "");
        let form = ("content-type", "application/x-www-form-urlencoded");
        let good = format!("csrf={csrf}");
        let attempts: [(&[(&str, &str)], &str); 8] = [
            (&[form, ("sec-fetch-site", "cross-site")], &good),
            (&[form, ("sec-fetch-site", "same-site")], &good),
            (&[form, ("sec-fetch-site", "none")], &good),
            (&[form], &good),
            (&[form, ("origin", "null")], &good),
            (&[form, ("origin", "https://id.example.evil.example")], &good),
            (&[("content-type", "text/plain"), ("sec-fetch-site", "same-origin")], &good),
            (&[form, ("sec-fetch-site", "same-origin")], "csrf=wrong"),
        ];
        for (headers, body) in attempts {
            let answer = ada.ask(Method::POST, "/console/identity/clients/demo/disable", headers, body).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{headers:?}");
            assert!(answer.text.contains("cross_site_request"), "{}", answer.text);
        }
        assert_eq!(state(&world).await, before);
        assert_eq!(refused(&world, "cross_site_request"), 8);
        // an old browser says no Sec-Fetch-Site, but its origin
        let origin = [form, ("origin", "https://id.example")];
        let answer = ada.ask(Method::POST, "/console/identity/clients/demo/disable", &origin, &good).await;
        goes_to(&answer, "/console/identity/clients/demo");
        // a GET changes nothing
        for (path, _) in CHANGES {
            let path = filled_in(&world, path).await;
            let answer = ada.get(&path).await;
            assert!(matches!(answer.status.as_u16(), 200 | 404 | 405), "{path}: {}", answer.status);
        }
    }

    async fn a_sign_in_that_another_site_sends_opens_nothing(world: World) {
        let world = relaxed(world.engine).await;
        owner(&world).await;
        let mut ada = Browser::new(&world);
        ada.get("/console/sign-in").await.expect(200);
        for csrf in ["", "wrong", "00000000000000000000000000000000"] {
            let fields = [("csrf", csrf), ("email", "ada@example.com"), ("passphrase", PASSPHRASE)];
            let answer = ada.post("/console/sign-in", &fields).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{csrf}");
            assert!(ada.session().is_none());
        }
    }

    async fn who_may_only_read_changes_nothing_and_is_counted(world: World) {
        let world = relaxed(world.engine).await;
        owner(&world).await;
        world.client("demo", serde_json::json!({})).await;
        crate::billing::Sold::new("shop", async |path, body| world.admin(Method::POST, &path, body).await.json()).await;
        let mut sam = member(&world, Role::ReadOnly).await;
        let before = state(&world).await;
        refused(&world, "");
        let mut count = 0;
        for (path, fields) in CHANGES.iter().filter(|(path, _)| !path.starts_with("/console/account")) {
            let path = filled_in(&world, path).await;
            let answer = sam.submit("/console/identity/clients", &path, fields).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}: {}", answer.text);
            count += 1;
        }
        assert_eq!(state(&world).await, before);
        assert_eq!(refused(&world, "insufficient_scope"), count);
        let page = sam.get("/console/identity/clients").await.expect(200).text;
        assert!(page.contains("Needs the scope clients:write"));
    }

    async fn a_link_works_once_and_all_that_do_not_work_look_alike(world: World) {
        let world = relaxed(world.engine).await;
        let path = setup_path(&world).await;
        let (mut ada, mut thief) = (Browser::new(&world), Browser::new(&world));
        ada.get(&path).await.expect(200);
        goes_to(&ada.submit(&path, &path, &OWNER).await, "/console");
        let used = thief.get(&path).await.expect(410);
        let unknown = thief.get("/console/setup/bst_ol_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").await.expect(410);
        let bare = |text: &str| text.split("nonce=").map(|part| part.get(26..).unwrap_or_default().to_owned()).collect::<String>();
        assert_eq!(bare(&used.text), bare(&unknown.text));
        thief.get("/console/sign-in").await.expect(200);
        let door = thief.cookies["__Host-bst_door_default"].clone();
        let mut fields = vec![("csrf", door.as_str())];
        fields.extend_from_slice(&OWNER);
        refused(&world, "");
        goes_to(&thief.post(&path, &fields).await, &path);
        assert!(thief.session().is_none());
        assert_eq!(refused(&world, "link_gone"), 1);
    }

    async fn steps_out_of_order_lead_to_the_first(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        let mut eve = Browser::new(&world);
        for path in ["/console/sign-in/second-factor", "/console/sign-in/recovery"] {
            goes_to(&eve.get(path).await, "/console/sign-in");
        }
        eve.get("/console/sign-in").await.expect(200);
        let door = eve.cookies["__Host-bst_door_default"].clone();
        let code = [("csrf", door.as_str()), ("code", "123456")];
        goes_to(&eve.post("/console/sign-in/second-factor", &code).await, "/console/sign-in");
        eve.cookies.insert("__Host-bst_step_default".to_owned(), "bst_ot_forged".to_owned());
        goes_to(&eve.post("/console/sign-in/second-factor", &code).await, "/console/sign-in");
        // what was given out for another step is good for that step alone
        let page = ada.get("/console/account/authenticator").await.expect(200).text;
        eve.cookies.insert("__Host-bst_step_default".to_owned(), value(&page, "ticket").to_owned());
        goes_to(&eve.post("/console/sign-in/second-factor", &code).await, "/console/sign-in");
        assert_eq!(refused(&world, "sign_in_step"), 3);
        for path in ["/console", "/console/team", "/console/identity/clients?q=a"] {
            goes_to(&eve.get(path).await, &format!("/console/sign-in?next={}", encoded(path)));
        }
        goes_to(&eve.post("/console/sign-out", &code).await, "/console/sign-in?next=%2Fconsole");
    }

    async fn a_session_is_new_at_sign_in_and_goes_nowhere_but_home(world: World) {
        let world = relaxed(world.engine).await;
        owner(&world).await;
        let mut ada = Browser::new(&world);
        ada.cookies.insert("__Host-bst_default".to_owned(), "bst_os_chosen_by_somebody_else".to_owned());
        refused(&world, "");
        goes_to(&ada.get("/console/team").await, "/console/sign-in?next=%2Fconsole%2Fteam");
        assert_eq!(refused(&world, "session_unknown"), 1);
        let wrong = [("email", "ada@example.com"), ("passphrase", "several wrong words in a row")];
        let refused = ada.submit("/console/sign-in", "/console/sign-in", &wrong).await.expect(422).text;
        let nobody = [("email", "nobody@example.com"), ("passphrase", "several wrong words in a row")];
        let unknown = ada.submit("/console/sign-in", "/console/sign-in", &nobody).await.expect(422).text;
        let sentence = "This sign-in was refused: the address, the passphrase or the code is wrong.";
        assert!(refused.contains(sentence) && unknown.contains(sentence), "{refused}");
        for next in ["https://evil.example/", "//evil.example", "/console/../x", "/consolex", "/console//evil.example", "/console\\x"] {
            let fields = [("email", "Ada@Example.com"), ("passphrase", PASSPHRASE), ("next", next)];
            let mut fresh = Browser::new(&world);
            let answer = fresh.submit("/console/sign-in", "/console/sign-in", &fields).await;
            goes_to(&answer, "/console");
        }
        let fields = [("email", "ada@example.com"), ("passphrase", PASSPHRASE), ("next", "/console/team")];
        let answer = ada.submit("/console/sign-in", "/console/sign-in", &fields).await;
        goes_to(&answer, "/console/team");
        let session = ada.session().unwrap().clone();
        assert_ne!(session, "bst_os_chosen_by_somebody_else");
        let set: Vec<_> = answer.headers.get_all("set-cookie").iter().map(|v| v.to_str().unwrap()).collect();
        for cookie in set {
            assert!(cookie.starts_with("__Host-") && cookie.contains("; Path=/; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
        }
        // the console's cookie is nobody's token
        let headers = [("cookie", format!("__Host-bst_default={session}"))];
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        world.request(Method::GET, "/api/clients", &headers, "").await.expect(401);
        goes_to(&ada.submit("/console", "/console/sign-out", &[]).await, "/console/sign-in");
        ada.cookies.insert("__Host-bst_default".to_owned(), session);
        goes_to(&ada.get("/console/team").await, "/console/sign-in?next=%2Fconsole%2Fteam");
    }

    async fn an_owner_without_a_second_factor_reaches_only_the_enrollment(world: World) {
        let mut ada = owner(&world).await;
        for path in ["/console", "/console/identity/clients", "/console/team"] {
            goes_to(&ada.get(path).await, "/console/account");
        }
        assert!(ada.get("/console/account").await.expect(200).text.contains("One more step"));
        let path = "/console/account/authenticator";
        let page = ada.get(path).await.expect(200).text;
        let secret = page.split("id=\"totp-secret\">").nth(1).unwrap().split('<').next().unwrap().replace(' ', "");
        let secret = from_base32(&secret);
        let step = kernel::clock::Clock::now(&*world.clock).as_seconds() / 30;
        let code = auth::operator::totp::code_at(&secret, step, 6);
        let (csrf, ticket) = (value(&page, "csrf").to_owned(), value(&page, "ticket").to_owned());
        let fields = [("csrf", csrf.as_str()), ("ticket", ticket.as_str()), ("code", code.as_str())];
        let codes = ada.post(path, &fields).await.expect(200).text;
        assert!(codes.contains("Recovery codes"));
        let theme = [("csrf", value(&codes, "csrf")), ("theme", "dark")];
        goes_to(&ada.post("/console/preferences", &theme).await, "/console");
        ada.get("/console/team").await.expect(200);

        let mut later = Browser::new(&world);
        let fields = [("email", "ada@example.com"), ("passphrase", PASSPHRASE), ("next", "/console/team")];
        let asked = later.submit("/console/sign-in", "/console/sign-in", &fields).await;
        let second = "/console/sign-in/second-factor?next=%2Fconsole%2Fteam";
        goes_to(&asked, second);
        assert!(later.session().is_none());
        let used = later.submit(second, "/console/sign-in/second-factor", &[("code", &code), ("next", "/console/team")]).await;
        assert_eq!(used.status, StatusCode::UNPROCESSABLE_ENTITY, "a code works once");
        world.clock.advance_seconds(60);
        let code = auth::operator::totp::code_at(&secret, step + 2, 6);
        let fields = [("code", code.as_str()), ("next", "/console/team")];
        goes_to(&later.submit(second, "/console/sign-in/second-factor", &fields).await, "/console/team");
        later.get("/console/team").await.expect(200);
    }
}

/// RFC 4648 §6 without padding.
fn from_base32(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut bits, mut held) = (0_u32, 0_u32);
    for c in text.bytes() {
        let five = match c {
            b'A'..=b'Z' => c - b'A',
            _ => c - b'2' + 26,
        };
        held = (held << 5) | u32::from(five);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from((held >> bits) & 0xff).unwrap());
        }
    }
    out
}
