//! What the console shows to those who write programs: snippets, Run, the first token.

use http::Method;
use serde_json::{Value, json};

use crate::console::{Browser, owner, relaxed, value};
use crate::on_both_engines;
use crate::world::World;

const CLIENT: &str = "/console/identity/clients/worker";

/// Makes a client in the console; the page that shows its secret, and the secret.
async fn made(ada: &mut Browser, scopes: &[&str]) -> (String, String) {
    let mut fields = vec![("name", "worker"), ("client_id", "worker")];
    fields.extend(scopes.iter().map(|scope| ("scope", *scope)));
    let page = ada.submit("/console/identity/clients/new", "/console/identity/clients", &fields).await.expect(200).text;
    let secret = page.split("<code id=\"secret\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    (page, secret)
}

/// The text of a code block of a page.
fn code<'a>(page: &'a str, id: &str) -> &'a str {
    let start = format!("<pre class=\"code\" id=\"{id}\" tabindex=\"0\"><code>");
    page.split(&start).nth(1).unwrap_or_else(|| panic!("no block {id}")).split("</code>").next().unwrap()
}

on_both_engines! {
    async fn a_run_gets_a_token_as_its_client_would_and_shows_no_more_than_its_ends(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        let (_, secret) = made(&mut ada, &["read"]).await;
        let waiting = format!("{CLIENT}/first-token");
        ada.get(&waiting).await.expect(204);

        let path = format!("{CLIENT}/token");
        let again = ada.submit(CLIENT, &path, &[("secret", &secret), ("reveal", "client")]).await.expect(200);
        assert_eq!(again.header("cache-control"), "no-store");
        assert!(again.text.contains("id=\"reveal\"") && again.text.contains("Client created: worker"), "{}", again.text);
        assert!(again.text.contains("A token came in "));
        let claims = code(&again.text, "ran-claims").replace("&#34;", "\"");
        let claims: Value = serde_json::from_str(&claims).unwrap();
        assert_eq!((&claims["client_id"], &claims["scope"]), (&json!("worker"), &json!("read")));
        let longest = again.text.split(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c));
        let longest = longest.filter(|word| word.starts_with("eyJ")).map(str::len).max();
        assert_eq!(longest, Some(10), "the token is not in the page");
        assert!(ada.get(&waiting).await.expect(200).text.contains("First token"));

        let overview = ada.submit(CLIENT, &path, &[("secret", &secret)]).await.expect(200).text;
        assert!(overview.contains("A token came in ") && !overview.contains(&secret));
        let wrong = "bst_cs_somebody_tries_this";
        let refused = ada.submit(CLIENT, &path, &[("secret", wrong), ("reveal", "client")]).await.expect(200).text;
        assert!(refused.contains("invalid_client") && refused.contains("href=\"/errors/invalid_client\""), "{refused}");
        assert!(!refused.contains(wrong) && !refused.contains("id=\"reveal\""), "what was sent is not sent back");

        world.admin(Method::PATCH, "/api/clients/worker", json!({"rate_limit": {"limit": 1, "window_s": 60, "burst": 1}})).await.expect(200);
        let limited = ada.submit(CLIENT, &path, &[("secret", &secret)]).await.expect(200).text;
        assert!(limited.contains("href=\"/errors/slow_down\""), "the limit of the client holds here too");

        let tried = world.admin(Method::GET, "/api/audit/records?action=token.tried", Value::Null).await.json();
        let tried = tried["data"].as_array().unwrap();
        assert_eq!(tried.len(), 2);
        for record in tried {
            assert!(record["actor"].as_str().unwrap().starts_with("operator:ada@example.com"), "{record}");
            assert_eq!((&record["object_id"], &record["after"]["scope"]), (&json!("worker"), &json!("read")), "{record}");
        }
        let issued = "/api/audit/journal?client_id=worker&outcome=issued";
        let issued = world.admin(Method::GET, issued, Value::Null).await.json();
        assert_eq!(issued["data"].as_array().unwrap().len(), 2, "each is an issuance of the client's secret");
    }

    async fn programs_ask_for_what_one_token_can_have(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        // `tokens:revoke` is a scope of another API, and a token is for one
        let (page, secret) = made(&mut ada, &["read", "tokens:revoke", "write"]).await;
        let curl = code(&page, "reveal-curl");
        assert!(curl.contains("scope=read write&#39;") && curl.contains(&secret), "{curl}");
        let overview = ada.get(CLIENT).await.expect(200).text;
        assert!(code(&overview, "token-curl").contains("$BASTIONARY_CLIENT_SECRET") && !overview.contains(&secret));
        world.token("worker", &secret, "&scope=read%20write").await.expect(200);
        let files = [("env", "BASTIONARY_CLIENT_SECRET="), ("json", "client_secret"), ("kubernetes", "kind: Secret")];
        for (file, part) in files {
            let text = code(&page, &format!("reveal-{file}"));
            assert!(text.contains(part) && text.contains(&secret), "{text}");
        }
    }

    async fn a_language_is_kept_without_scripts(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        made(&mut ada, &["read"]).await;
        let page = ada.get(CLIENT).await.expect(200).text;
        assert!(page.contains("value=\"curl\" checked"), "{page}");
        let csrf = value(&page, "csrf").to_owned();
        let chosen = [("csrf", csrf.as_str()), ("language", "go"), ("next", CLIENT)];
        let kept = ada.post("/console/preferences", &chosen).await.expect(303);
        assert_eq!(kept.header("location"), CLIENT);
        let page = ada.get(CLIENT).await.expect(200).text;
        assert!(page.contains("value=\"go\" checked") && !page.contains("value=\"curl\" checked"));
        for (name, text) in [("language", "cobol"), ("next", CLIENT)] {
            ada.post("/console/preferences", &[("csrf", csrf.as_str()), (name, text)]).await.expect(400);
        }
        let away = [("csrf", csrf.as_str()), ("language", "go"), ("next", "https://evil.example")];
        assert_eq!(ada.post("/console/preferences", &away).await.header("location"), "/console");
    }
}
