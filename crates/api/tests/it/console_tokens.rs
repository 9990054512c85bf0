//! The pages about tokens: what a pasted one is, what lives, and how it is ended.

use auth::operator::Role;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::console::{Browser, goes_to, member, owner, refused, relaxed};
use crate::on_both_engines;
use crate::tenants::acme;
use crate::world::World;

const LIST: &str = "/console/identity/tokens";
const INSPECT: &str = "/console/identity/tokens/inspect";
const DEFAULT_API: &str = "https://id.example/apis/default";

/// The answer of the inspector, after a look that the token is nowhere in it.
async fn inspect(browser: &mut Browser, token: &str, more: &[(&str, &str)]) -> String {
    let mut fields = vec![("token", token)];
    fields.extend_from_slice(more);
    let answer = browser.submit(INSPECT, INSPECT, &fields).await.expect(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    let bare = token.trim().trim_start_matches("Bearer ");
    assert!(!answer.text.contains(bare), "the token came back");
    answer.text
}

fn text(answer: &Value, name: &str) -> String {
    answer[name].as_str().unwrap().to_owned()
}

/// A client with the refresh grant: its secret.
async fn refresher(world: &World, id: &str) -> String {
    world.client(id, json!({"grant_types": ["client_credentials", "refresh_token"]})).await
}

on_both_engines! {
    async fn a_pasted_access_token_is_explained_and_kept_nowhere(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        let secret = world.client("demo", json!({"name": "Demo program"})).await;
        let issued = world.token("demo", &secret, "&scope=read").await.expect(200).json();
        let token = text(&issued, "access_token");

        let page = inspect(&mut ada, &format!("  Bearer {token}\n"), &[("api", DEFAULT_API), ("scope", "read")]).await;
        for part in ["would accept it", "Demo program", "&#34;scope&#34;: &#34;read&#34;", "at+jwt", "Yes, it is ours"] {
            assert!(page.contains(part), "{part}: {page}");
        }
        let page = inspect(&mut ada, &token, &[("api", DEFAULT_API), ("scope", "write")]).await;
        assert!(page.contains("would refuse it") && page.contains("It does not contain write."), "{page}");
        let page = inspect(&mut ada, &token, &[("api", "https://id.example/api")]).await;
        assert!(page.contains("It is not meant for"), "{page}");

        let (signed, signature) = token.rsplit_once('.').unwrap();
        let other = if signature.starts_with('A') { "B" } else { "A" };
        let changed = format!("{signed}.{other}{}", &signature[1..]);
        let page = inspect(&mut ada, &changed, &[]).await;
        assert!(page.contains("the signature does not verify") && page.contains("Not verified"), "{page}");

        let jti = page_jti(&inspect(&mut ada, &token, &[]).await);
        let ended = ada.submit(LIST, &format!("{LIST}/end"), &[("client", "demo"), ("jti", &jti)]).await;
        goes_to(&ended, &format!("{LIST}?client=demo"));
        let page = inspect(&mut ada, &token, &[("api", DEFAULT_API)]).await;
        for part in ["The token itself was revoked.", "datetime=\"2026-06-01T12:00:00Z\"", "one that only verifies accepts it"] {
            assert!(page.contains(part), "{part}: {page}");
        }
        let log = ada.get("/console/audit?action=token.revoked").await.expect(200).text;
        assert!(log.contains(&jti) && log.contains("ada@example.com"), "{log}");

        let patch = json!({"access_token_ttl_seconds": 60});
        world.admin(Method::PATCH, "/api/clients/demo", patch).await.expect(200);
        let second = text(&world.token("demo", &secret, "").await.expect(200).json(), "access_token");
        world.admin(Method::POST, "/api/clients/demo/disable", Value::Null).await.expect(200);
        let page = inspect(&mut ada, &second, &[]).await;
        assert!(page.contains("Its client is disabled.") && page.contains("All tokens of its client"), "{page}");
        world.clock.advance_seconds(61);
        let page = inspect(&mut ada, &second, &[]).await;
        assert!(page.contains("It expired."), "{page}");
        world.admin(Method::DELETE, "/api/clients/demo", Value::Null).await.expect(204);
        assert!(inspect(&mut ada, &second, &[]).await.contains("Its client was deleted."));

        for other in [secret.as_str(), "bst_os_whatever"] {
            assert!(inspect(&mut ada, other, &[]).await.contains("no token. It was not looked at."));
        }
        for broken in ["not a token", "a.b.c", "bst_at_short", "bst_rt_0123456789"] {
            assert!(inspect(&mut ada, broken, &[]).await.contains("This is no token:"), "{broken}");
        }
        let log = world.admin(Method::GET, "/api/audit/records?limit=200", Value::Null).await.text;
        assert!(!log.contains(&token) && !log.contains(&second));
    }

    async fn opaque_and_refresh_tokens_are_known_and_looking_is_no_use_of_them(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        let secret = world.client("opaque", json!({"access_token_format": "opaque"})).await;
        let token = text(&world.token("opaque", &secret, "&scope=read").await.expect(200).json(), "access_token");
        let page = inspect(&mut ada, &token, &[("api", DEFAULT_API), ("scope", "read")]).await;
        assert!(page.contains("Access token (opaque)") && page.contains("would accept it"), "{page}");

        let secret = refresher(&world, "again").await;
        let first = text(&world.token("again", &secret, "").await.expect(200).json(), "refresh_token");
        let page = inspect(&mut ada, &first, &[("api", DEFAULT_API)]).await;
        assert!(page.contains("Refresh token") && page.contains("no API takes it") && !page.contains("exchanged"), "{page}");
        let second = text(&world.refresh("again", &secret, &first, "").await.expect(200).json(), "refresh_token");
        world.clock.advance_seconds(60);
        let page = inspect(&mut ada, &first, &[]).await;
        assert!(page.contains("It was exchanged already"), "{page}");
        world.refresh("again", &secret, &second, "").await.expect(200);
        world.clock.advance_seconds(60);
        world.refresh("again", &secret, &first, "").await.expect(400);
        let page = inspect(&mut ada, &second, &[]).await;
        assert!(page.contains("Its family ended: a used refresh token came again."), "{page}");
        let page = ada.get(LIST).await.expect(200).text;
        assert!(page.contains("A used refresh token came again") && page.contains("Reused"), "{page}");
        let page = ada.get(&format!("{LIST}?state=active")).await.expect(200).text;
        assert!(page.contains("No family here"), "{page}");
    }

    async fn a_token_of_another_tenant_is_not_ours_and_nothing_more(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        let foreign = acme(&world).await.admin;
        let page = inspect(&mut ada, &foreign, &[("api", DEFAULT_API)]).await;
        assert!(page.contains("This is not ours."), "{page}");
        for part in ["acme", "admin&", "token-claims", "Signature"] {
            assert!(!page.contains(part), "{part}: {page}");
        }
    }

    async fn families_and_tokens_of_a_client_are_ended_from_their_list(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        let secret = refresher(&world, "demo").await;
        let mut tokens = Vec::new();
        for _ in 0..3 {
            world.clock.advance_micros(2_000);
            tokens.push(world.token("demo", &secret, "").await.expect(200).json());
            // those of one millisecond are in no order
            world.clock.advance_micros(1_000);
        }
        let of_client = format!("{LIST}?client=demo");
        let page = ada.get(&of_client).await.expect(200).text;
        assert_eq!(page.matches("id=\"family-").count(), 3);
        assert_eq!(page.matches("id=\"jti-").count(), 3);
        let first = ada.get(&format!("{LIST}?limit=25&state=active")).await.expect(200).text;
        assert_eq!(first.matches("id=\"family-").count(), 3);

        let family = page.split("id=\"family-1\">").nth(1).unwrap().split('<').next().unwrap();
        let ended = ada.submit(&of_client, &format!("{LIST}/families/{family}/end"), &[("client", "demo")]).await;
        goes_to(&ended, &of_client);
        let newest = &tokens[2];
        world.refresh("demo", &secret, &text(newest, "refresh_token"), "").await.expect(400);
        assert_eq!(world.introspect("demo", &secret, &text(newest, "access_token")).await, json!({"active": false}));
        world.refresh("demo", &secret, &text(&tokens[0], "refresh_token"), "").await.expect(200);
        let page = ada.get(&of_client).await.expect(200).text;
        assert!(page.contains("it was revoked"), "{page}");

        goes_to(&ada.submit(&of_client, &format!("{LIST}/clients/end"), &[("client", "demo")]).await, &of_client);
        world.refresh("demo", &secret, &text(&tokens[1], "refresh_token"), "").await.expect(400);
        for token in &tokens {
            let token = text(token, "access_token");
            assert_eq!(world.introspect("demo", &secret, &token).await, json!({"active": false}));
        }
        world.token("demo", &secret, "").await.expect(200);
        assert!(ada.get(&format!("{LIST}?client=nobody")).await.expect(200).text.contains("No client has this id"));
        ada.get(&format!("{LIST}?cursor=x")).await.expect(400);
    }

    async fn each_role_sees_and_ends_tokens_as_its_scopes_say(world: World) {
        let world = relaxed(world.engine).await;
        owner(&world).await;
        let secret = refresher(&world, "demo").await;
        let refresh = text(&world.token("demo", &secret, "").await.expect(200).json(), "refresh_token");
        // role, list, inspector, revocation
        for (role, list, inspector, end) in [
            (Role::Admin, 200, 200, 303),
            (Role::Developer, 200, 200, 303),
            (Role::Support, 200, 403, 303),
            (Role::ReadOnly, 200, 403, 403),
            (Role::Billing, 403, 403, 403),
        ] {
            let mut sam = member(&world, role).await;
            let answers = [
                sam.get(LIST).await.status,
                sam.get(INSPECT).await.status,
                sam.submit("/console/account", INSPECT, &[("token", "x")]).await.status,
                sam.submit("/console/account", &format!("{LIST}/clients/end"), &[("client", "demo")]).await.status,
            ];
            assert_eq!(answers.map(|status| status.as_u16()), [list, inspector, inspector, end], "{role:?}");
            let tenant = world.tenant().await;
            let who = world.auth.system(&tenant, "test");
            let all = world.auth.operators(&who, &tenant, None, 10).await.unwrap();
            let id = all.iter().find(|operator| &*operator.email == "sam@example.com").unwrap().id;
            world.auth.remove_operator(&who, &tenant, id).await.unwrap();
        }
        world.refresh("demo", &secret, &refresh, "").await.expect(400);
        refused(&world, "");
        let mut sam = member(&world, Role::ReadOnly).await;
        let family = "fam_00000000000000000000000000";
        for path in [format!("{LIST}/end"), format!("{LIST}/families/{family}/end")] {
            let answer = sam.submit("/console/account", &path, &[("client", "demo"), ("jti", "x")]).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
        }
        assert_eq!(refused(&world, "insufficient_scope"), 2);
        assert!(!sam.get(&format!("{LIST}?client=demo")).await.text.contains(">Revoke</button></form>"));
    }
}

fn page_jti(page: &str) -> String {
    page.split("<code id=\"jti\">").nth(1).unwrap().split('<').next().unwrap().to_owned()
}
