//! Clients, APIs and keys in the console: what their forms make, what they say before, and who was faster.

use auth::operator::Role;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::console::{Browser, PASSPHRASE, encoded, goes_to, member, owner, relaxed, value};
use crate::on_both_engines;
use crate::world::{Answer, World, claims};

const CLIENTS: &str = "/console/identity/clients";
const APIS: &str = "/console/identity/apis";
const KEYS: &str = "/console/identity/keys";

/// What a page shows in an element with an id, without markup.
fn shown(page: &str, id: &str) -> String {
    let rest = page.split(&format!("id=\"{id}\"")).nth(1).unwrap_or_else(|| panic!("no {id} in {page}"));
    let text = rest.split_once('>').unwrap().1.trim_start_matches("<code>").split('<').next().unwrap();
    text.replace("&#34;", "\"").replace("&#39;", "'").replace("&#38;", "&")
}

async fn api(world: &World, path: &str) -> Value {
    world.admin(Method::GET, path, Value::Null).await.expect(200).json()
}

/// Makes an API with two scopes in the console and gives its page.
async fn orders(ada: &mut Browser) -> String {
    let fields = [("identifier", "https://orders.example"), ("name", "Orders"), ("token_ttl_seconds", "600")];
    let made = ada.submit(&format!("{APIS}/new"), APIS, &fields).await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.text);
    let page = made.header("location").to_owned();
    for (scope, text) in [("orders:read", "Read orders"), ("orders:write", "Place orders")] {
        let fields = [("new_scope", scope), ("description", text)];
        goes_to(&ada.submit(&page, &format!("{page}/scopes"), &fields).await, &page);
    }
    page
}

/// Signs in again for what cannot be undone.
async fn step_up(ada: &mut Browser, refused: &Answer, page: &str) {
    goes_to(refused, &format!("/console/step-up?next={}", encoded(page)));
    let fields = [("passphrase", PASSPHRASE), ("next", page)];
    goes_to(&ada.submit(refused.header("location"), "/console/step-up", &fields).await, page);
}

on_both_engines! {
    async fn a_new_client_gets_tokens_without_naming_a_scope(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        orders(&mut ada).await;
        let new = format!("{CLIENTS}/new");
        let page = ada.get(&new).await.expect(200).text;
        assert!(page.contains("name=\"defaults\" value=\"true\" checked"), "{page}");
        let fields = [
            ("name", "worker"), ("client_id", "worker"), ("scope", "orders:read"), ("scope", "clients:read"),
            ("defaults", "true"), ("rate_limit", "600"), ("rate_window_seconds", "60"), ("rate_mode", "count"),
            ("quota_per_hour", "1000"), ("audience", "https://orders.example"),
        ];
        let made = ada.submit(&new, CLIENTS, &fields).await.expect(200);
        let token = world.token("worker", &shown(&made.text, "secret"), "").await.expect(200).json();
        assert_eq!(token["scope"], "orders:read", "a scope of this server's own API is never a default");
        assert_eq!(token["expires_in"], 600);
        let stored = api(&world, "/api/clients/worker").await;
        assert_eq!(stored["rate_limit"], json!({"limit": 600, "window_s": 60, "burst": 1200, "enforce": false}));
        assert_eq!(stored["token_quota"], json!({"per_hour": 1000, "per_day": null, "enforce": true}));
        assert_eq!(stored["audiences"], json!(["https://orders.example"]));

        let none = [("name", "named"), ("client_id", "named"), ("scope", "orders:read")];
        ada.submit(&new, CLIENTS, &none).await.expect(200);
        assert_eq!(api(&world, "/api/clients/named").await["default_scopes"], json!([]));
    }

    async fn what_deserves_a_second_thought_is_said_before_a_client_is_made(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        let new = format!("{CLIENTS}/new");
        let weak = [("client_id", "weak"), ("secret", "twelve-letters"), ("expires_at", "2020-01-01T00:00:00Z"), ("scope", "read")];
        let asked = ada.submit(&new, CLIENTS, &weak).await.expect(422).text;
        assert!(asked.contains("<code>weak_secret</code>") && asked.contains("<code>expired</code>"), "{asked}");
        assert!(asked.contains("Create client all the same") && !asked.contains("twelve-letters"), "{asked}");
        world.admin(Method::GET, "/api/clients/weak", Value::Null).await.expect(404);
        let mut all = vec![("csrf", value(&asked, "csrf")), ("form", value(&asked, "form")), ("accepted", "expired")];
        all.extend_from_slice(&weak);
        let again = ada.post(CLIENTS, &all).await.expect(422).text;
        all = vec![("csrf", value(&again, "csrf")), ("form", value(&again, "form"))];
        all.extend_from_slice(&[("accepted", "weak_secret"), ("accepted", "expired")]);
        all.extend_from_slice(&weak);
        goes_to(&ada.post(CLIENTS, &all).await, &format!("{CLIENTS}/weak"));
        assert_eq!(api(&world, "/api/clients/weak").await["status"], "expired");
        let page = ada.get(&format!("{CLIENTS}/weak")).await.expect(200).text;
        assert!(page.contains("The request would be refused: client authentication failed."), "{page}");
    }

    async fn the_page_of_secrets_shows_who_used_which_last_and_dialogs_what_depends_on_them(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        let grants = json!({"grant_types": ["client_credentials", "refresh_token"]});
        let first = world.client("worker", grants).await;
        world.token("worker", &first, "").await.expect(200);
        let (page, rotate) = (format!("{CLIENTS}/worker/credentials"), format!("{CLIENTS}/worker/secrets"));
        for keep in [[("expire_others_in_seconds", "custom"), ("hours", "")], [("expire_others_in_seconds", ""), ("hours", "2")]] {
            ada.submit(&page, &rotate, &keep).await.expect(422);
        }
        let keep = [("expire_others_in_seconds", "custom"), ("hours", "2")];
        let second = shown(&ada.submit(&page, &rotate, &keep).await.expect(200).text, "secret");
        let listed = api(&world, "/api/clients/worker/secrets").await;
        let mut ends: Vec<&Value> = listed["data"].as_array().unwrap().iter().map(|secret| &secret["expires_at"]).collect();
        // made in one millisecond, they are in no order
        ends.sort_by_key(|end| end.is_null());
        assert_eq!(ends, [&json!("2026-06-01T14:00:00Z"), &Value::Null]);
        world.clock.advance_seconds(120);
        world.token("worker", &second, "").await.expect(200);
        let text = ada.get(&page).await.expect(200).text;
        let callers = text.split("Callers of the last 24 hours").nth(1).unwrap();
        assert!(callers.contains(&format!("…{}", second.get(second.len() - 4..).unwrap())), "{callers}");
        assert!(text.contains("1 refresh family started with it."), "{text}");
        let danger = ada.get(&format!("{CLIENTS}/worker/danger")).await.expect(200).text;
        assert!(danger.contains("It has 2 live secrets") && danger.contains("got 2 tokens in the last hour and holds 2 refresh families."), "{danger}");
        goes_to(&ada.submit(&page, &format!("{CLIENTS}/worker/disable"), &[]).await, &format!("{CLIENTS}/worker"));
        let after = ada.get(&format!("{CLIENTS}/worker")).await.expect(200).text;
        assert!(after.contains("worker is disabled") && after.contains("/worker/enable\""), "{after}");
        assert!(!ada.get(&page).await.expect(200).text.contains("worker is disabled"), "it is said on the page that follows");
        world.clock.advance_seconds(11);
        assert!(!ada.get(&format!("{CLIENTS}/worker")).await.expect(200).text.contains("worker is disabled"), "and for ten seconds");
    }

    async fn the_table_of_access_says_what_a_token_will_say_before_it_is_saved(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        orders(&mut ada).await;
        let secret = world.client("worker", json!({"scopes": ["read"], "static_claims": {"team": "sales"}})).await;
        let (access, save) = (format!("{CLIENTS}/worker/access"), format!("{CLIENTS}/worker/access"));
        let etag = value(&ada.get(&access).await.expect(200).text, "etag").to_owned();
        let ticks = [
            ("etag", etag.as_str()), ("scope", "read"), ("scope", "orders:read"), ("scope", "orders:write"),
            ("default_scope", "orders:write"), ("default_scope", "clients:read"), ("preview_scope", ""),
        ];
        let before = api(&world, "/api/clients/worker").await;
        let mut preview = ticks.to_vec();
        preview.push(("preview", "1"));
        let page = ada.submit(&access, &save, &preview).await.expect(200).text;
        assert_eq!(api(&world, "/api/clients/worker").await, before, "a preview changes nothing");
        assert!(page.contains("name=\"scope\" value=\"orders:write\" checked"), "{page}");
        let mut said: Value = serde_json::from_str(&shown(&page, "claims")).unwrap();
        goes_to(&ada.submit(&access, &save, &ticks).await, &save);
        let token = world.token("worker", &secret, "").await.expect(200).json();
        let (_, mut real) = claims(token["access_token"].as_str().unwrap());
        for made_new in ["jti", "iat", "nbf", "exp"] {
            assert!(said[made_new].take() != Value::Null && real[made_new].take() != Value::Null, "{made_new}");
        }
        assert_eq!(said, real);
        assert_eq!((said["scope"].as_str(), said["team"].as_str()), (Some("orders:write"), Some("sales")));
        assert_eq!(said["aud"], "https://orders.example");

        let named = [("etag", value(&page, "etag")), ("scope", "read"), ("preview", "1"), ("preview_scope", "orders:read")];
        let refused = ada.submit(&access, &save, &named).await.expect(200).text;
        let told = world.token("worker", &secret, "&scope=keys%3Aread").await.expect(400).json();
        assert!(told["error_description"].as_str().unwrap().contains("may not request the scope keys:read"));
        assert!(refused.contains("<code>invalid_scope</code>") && refused.contains("may not request the scope orders:read"), "{refused}");

        let mut sam = member(&world, Role::ReadOnly).await;
        let page = sam.get(&access).await.expect(200).text;
        assert!(page.contains("value=\"orders:write\" checked disabled") && page.contains("Needs the scope clients:write"), "{page}");
    }

    async fn a_table_of_many_scopes_is_saved_whole(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        let scopes: Vec<String> = (0..600).map(|n| format!("s{n:03}")).collect();
        world.client("worker", json!({"scopes": scopes})).await;
        let path = format!("{CLIENTS}/worker/access");
        let both = scopes.iter().flat_map(|scope| [("scope", scope.as_str()), ("default_scope", scope.as_str())]);
        let etag = value(&ada.get(&path).await.expect(200).text, "etag").to_owned();
        let ticks: Vec<_> = both.chain([("etag", etag.as_str())]).collect();
        goes_to(&ada.submit(&path, &path, &ticks).await, &path);
        let stored = api(&world, "/api/clients/worker").await;
        assert_eq!((&stored["scopes"], &stored["default_scopes"]), (&json!(scopes), &json!(scopes)));
    }

    async fn who_saves_too_late_sees_both_versions_and_keeps_what_was_typed(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        let orders = orders(&mut ada).await;
        world.client("worker", json!({"name": "worker"})).await;
        let id = orders.rsplit('/').next().unwrap().to_owned();
        let others = [
            (format!("{CLIENTS}/worker/settings"), "/api/clients/worker".to_owned(), json!({"name": "theirs"}),
                vec![("name", "mine"), ("access_token_ttl_seconds", "120")]),
            (format!("{CLIENTS}/worker/limits"), "/api/clients/worker".to_owned(), json!({"token_quota": {"per_hour": 7}}),
                vec![("quota_per_hour", "9")]),
            (format!("{CLIENTS}/worker/access"), "/api/clients/worker".to_owned(), json!({"scopes": ["read"]}),
                vec![("scope", "write")]),
            (format!("{orders}/settings"), format!("/api/apis/{id}"), json!({"name": "theirs"}),
                vec![("name", "mine")]),
        ];
        for (page, path, theirs, mine) in others {
            let opened = ada.get(&page).await.expect(200).text;
            world.admin(Method::PATCH, &path, theirs.clone()).await.expect(200);
            let before = api(&world, &path).await;
            let mut all = vec![("csrf", value(&opened, "csrf")), ("etag", value(&opened, "etag"))];
            all.extend_from_slice(&mine);
            let both = ada.post(&page, &all).await.expect(422).text;
            assert!(both.contains("Somebody changed this while you had it open"), "{both}");
            assert!(both.contains("Stored now") && both.contains("<ins>") && both.contains("<del>"), "{page}: {both}");
            assert!(both.contains(&format!("value=\"{}\"", mine[0].1)), "{page}: {both}");
            assert_eq!(api(&world, &path).await, before, "{page}: nothing was replaced");
            // saving again is a decision
            all = vec![("csrf", value(&both, "csrf")), ("etag", value(&both, "etag"))];
            all.extend_from_slice(&mine);
            goes_to(&ada.post(&page, &all).await, &page);
            assert_ne!(api(&world, &path).await, before);
        }
        let opened = ada.get(&orders).await.expect(200).text;
        let scopes = format!("/api/apis/{id}/scopes");
        world.admin(Method::PATCH, &format!("{scopes}/orders:read"), json!({"description": "Theirs"})).await.expect(200);
        let mine = [("csrf", value(&opened, "csrf")), ("scope", "orders:read"), ("was", "Read orders"), ("description", "Mine")];
        let both = ada.post(&format!("{orders}/describe"), &mine).await.expect(422).text;
        assert!(both.contains("<del>Theirs</del>") && both.contains("<ins>Mine</ins>") && both.contains("value=\"Mine\""), "{both}");
    }

    async fn a_role_that_was_changed_meanwhile_is_not_changed_unseen(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        member(&world, Role::ReadOnly).await;
        let page = ada.get("/console/team").await.expect(200).text;
        assert!(page.contains("sam@example.com is signed out of 1 session at once."), "{page}");
        let tenant = world.tenant().await;
        let who = world.auth.system(&tenant, "test");
        let who = kernel::principal::Principal { scopes: Role::Owner.scopes(), ..who };
        let people = world.auth.operators(&who, &tenant, None, 10).await.unwrap();
        let sam = people.iter().find(|person| &*person.email == "sam@example.com").unwrap();
        let theirs = auth::operator::team::OperatorChange { role: Some(Role::Support), ..Default::default() };
        world.auth.change_operator(&who, &tenant, sam.id, theirs).await.unwrap();
        let etag = sam.version.to_string();
        let path = format!("/console/team/{}/role", sam.id);
        let mine = [("csrf", value(&page, "csrf")), ("etag", etag.as_str()), ("role", "admin")];
        let both = ada.post(&path, &mine).await.expect(422).text;
        assert!(both.contains("<del>Support</del>") && both.contains("<ins>Admin</ins>"), "{both}");
        let role = async || world.auth.operator(tenant.id, sam.id).await.unwrap().unwrap().role;
        assert_eq!(role().await, Role::Support);
        let now = sam.version.saturating_add(1).to_string();
        let mine = [("csrf", value(&both, "csrf")), ("etag", now.as_str()), ("role", "admin")];
        goes_to(&ada.post(&path, &mine).await, "/console/team");
        assert_eq!(role().await, Role::Admin);
        let undo = ada.get("/console/team").await.expect(200).text;
        assert!(undo.contains("Sam is Admin now") && undo.contains("name=\"role\" value=\"support\""), "{undo}");
    }

    async fn an_api_is_made_described_and_deleted_when_nothing_is_left_of_it(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        let page = orders(&mut ada).await;
        let id = page.rsplit('/').next().unwrap().to_owned();
        let wrong = ada.submit(&format!("{APIS}/new"), APIS, &[("identifier", "orders"), ("name", "x")]).await.expect(422).text;
        assert!(wrong.contains("id=\"identifier-error\"") && wrong.contains("value=\"orders\""), "{wrong}");
        let taken = [("identifier", "https://ORDERS.example"), ("name", "x")];
        assert!(ada.submit(&format!("{APIS}/new"), APIS, &taken).await.expect(422).text.contains("there is already an API"));

        let edited = [("name", "Orders API"), ("token_ttl_seconds", ""), ("signing_alg", "EdDSA")];
        let settings = format!("{page}/settings");
        goes_to(&ada.submit(&settings, &settings, &edited).await, &settings);
        let stored = api(&world, &format!("/api/apis/{id}")).await;
        assert_eq!((&stored["name"], &stored["token_ttl_seconds"], &stored["signing_alg"]), (&json!("Orders API"), &Value::Null, &json!("EdDSA")));
        let verify = ada.get(&format!("{page}/verify")).await.expect(200).text;
        for part in ["https://orders.example", "https://id.example", "EdDSA", "jwtVerify", "PyJWKClient", "jsonwebtoken"] {
            assert!(verify.contains(part), "{part}: {verify}");
        }
        assert!(!verify.contains("127.0.0.1") && !verify.contains("ES256"), "{verify}");

        world.client("worker", json!({"scopes": ["orders:read"]})).await;
        assert!(ada.get(&format!("{page}/clients")).await.expect(200).text.contains("/identity/clients/worker/access"));
        let used = ada.submit(&page, &format!("{page}/withdraw"), &[("scope", "orders:read")]).await.expect(422).text;
        assert!(used.contains("clients may still request this scope"), "{used}");
        let danger = format!("{page}/danger");
        assert!(ada.get(&danger).await.expect(200).text.contains("It still owns 2 scopes; remove them first."));
        world.admin(Method::DELETE, "/api/clients/worker", Value::Null).await.expect(204);
        for scope in ["orders:read", "orders:write"] {
            let gone = ada.submit(&page, &format!("{page}/withdraw"), &[("scope", scope)]).await;
            assert_eq!(gone.status, StatusCode::SEE_OTHER, "{}", gone.text);
        }
        let confirm = [("confirm", "https://orders.example")];
        world.clock.advance_seconds(601);
        let asked = ada.submit(&danger, &format!("{page}/delete"), &confirm).await;
        step_up(&mut ada, &asked, &danger).await;
        let typed = ada.submit(&danger, &format!("{page}/delete"), &[("confirm", "Orders API")]).await.expect(422).text;
        assert!(typed.contains("Type the audience of the API"), "{typed}");
        goes_to(&ada.submit(&danger, &format!("{page}/delete"), &confirm).await, APIS);
        world.admin(Method::GET, &format!("/api/apis/{id}"), Value::Null).await.expect(404);
        for built_in in api(&world, "/api/apis").await["data"].as_array().unwrap() {
            let danger = format!("{APIS}/{}/danger", built_in["id"].as_str().unwrap());
            assert!(ada.get(&danger).await.expect(200).text.contains("This API came with the tenant and stays."));
        }
    }

    async fn a_key_is_rotated_when_it_is_asked_for_and_revoked_when_its_name_is_typed(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        let (rotate, key) = (format!("{KEYS}/rotate"), ("key", "token ES256"));
        let active = async || {
            let keys = api(&world, "/api/keys").await;
            let is_signing = |key: &&Value| key["state"] == "active" && key["purpose"] == "token";
            keys["data"].as_array().unwrap().iter().find(is_signing).unwrap().clone()
        };
        let page = ada.get(KEYS).await.expect(200).text;
        let set: Value = serde_json::from_str(&shown(&page, "jwks")).unwrap();
        let published = world.request(Method::GET, "/.well-known/jwks.json", &[], "").await.expect(200).json();
        assert_eq!(set, published);
        let first = active().await["kid"].clone();
        for (at, said) in [("soon", "This takes a time such as"), ("2020-01-01T00:00:00Z", "At takes a time in the future")] {
            let wrong = ada.submit(KEYS, &rotate, &[key, ("when", "time"), ("at", at)]).await.expect(422).text;
            assert!(wrong.contains(said), "{wrong}");
        }
        goes_to(&ada.submit(KEYS, &rotate, &[key, ("when", "time"), ("at", "2026-06-02T03:00:00Z")]).await, KEYS);
        assert_eq!(active().await["replace_at"], "2026-06-02T03:00:00Z");
        assert!(ada.get(KEYS).await.expect(200).text.contains("is replaced in 15 h"));
        let who = world.tenant().await;
        world.auth.key_upkeep(&who).await.unwrap();
        assert_eq!(active().await["kid"], first, "not before its time");
        goes_to(&ada.submit(KEYS, &rotate, &[key, ("when", "now")]).await, KEYS);
        let second = active().await["kid"].as_str().unwrap().to_owned();
        assert_ne!(first, second.as_str());
        assert_eq!(active().await["replace_at"], Value::Null);

        world.clock.advance_seconds(601);
        let revoke = format!("{KEYS}/{second}/revoke");
        let short = second.get(..10).unwrap();
        let asked = ada.submit(KEYS, &revoke, &[("confirm", short)]).await;
        step_up(&mut ada, &asked, KEYS).await;
        ada.submit(KEYS, &revoke, &[("confirm", "")]).await.expect(422);
        assert_eq!(active().await["kid"], second.as_str());
        goes_to(&ada.submit(KEYS, &revoke, &[("confirm", short)]).await, KEYS);
        assert_ne!(active().await["kid"], second.as_str());
        assert!(!ada.get(KEYS).await.expect(200).text.contains(&format!("id=\"revoke-{second}\"")), "it is gone");
    }
}
