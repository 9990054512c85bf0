//! Webhook endpoints in the console: what a person sees, changes and sends again, and what their role keeps from them.

use auth::operator::Role;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::console::{Browser, encoded, goes_to, member, needs, owner, relaxed, value};
use crate::on_both_engines;
use crate::world::{Answer, World};

const LIST: &str = "/console/developers/webhooks";
const FORM: [(&str, &str); 4] =
    [("url", "https://hooks.example.com/in"), ("types", "client.*"), ("types", "token.revoked"), ("signing", "v1")];

async fn endpoints(world: &World) -> Vec<Value> {
    let list = world.admin(Method::GET, "/api/webhooks", Value::Null).await.expect(200).json();
    list["data"].as_array().unwrap().clone()
}

/// Makes an endpoint and says where its page is.
async fn made(world: &World, ada: &mut Browser) -> (String, Answer) {
    let answer = ada.submit(&format!("{LIST}/new"), LIST, &FORM).await.expect(200);
    let id = endpoints(world).await.last().unwrap()["id"].as_str().unwrap().to_owned();
    (format!("{LIST}/{id}"), answer)
}

fn shown(page: &str, id: &str) -> String {
    let rest = page.split(&format!("id=\"{id}\"")).nth(1).unwrap_or_else(|| panic!("{id}: {page}"));
    rest.split_once('>')
        .unwrap()
        .1
        .split("</code>")
        .next()
        .unwrap()
        .replace("<code>", "")
        .replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&#38;", "&")
}

on_both_engines! {
    async fn an_endpoint_is_made_with_its_secret_shown_once_changed_rolled_and_deleted(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        assert!(ada.get(LIST).await.expect(200).text.contains("No endpoint yet"));
        let new = format!("{LIST}/new");
        let fields = [("url", "http://hooks.example.com"), ("signing", "v1"), ("rate_per_second", "fast")];
        let wrong = ada.submit(&new, LIST, &fields).await.expect(422).text;
        for part in ["id=\"url-error\"", "href=\"#types\"", "id=\"rate_per_second-error\"", "value=\"http://hooks.example.com\""] {
            assert!(wrong.contains(part), "{part}: {wrong}");
        }
        assert!(endpoints(&world).await.is_empty());
        let (page, answer) = made(&world, &mut ada).await;
        let secret = shown(&answer.text, "secret");
        assert!(secret.starts_with("whsec_") && answer.header("cache-control") == "no-store");
        let seen = ada.get(&page).await.expect(200).text;
        assert!(seen.contains("No attempt") && !seen.contains("whsec_"), "{seen}");
        for part in ["events", "verify", "settings", "danger"] {
            assert!(!ada.get(&format!("{page}/{part}")).await.expect(200).text.contains(&secret), "{part}");
        }
        assert!(ada.get(&format!("{page}/events?q=reuse")).await.text.contains("token.reuse_detected"));
        assert!(ada.get(LIST).await.text.contains("https://hooks.example.com/in"));

        let settings = format!("{page}/settings");
        let etag = value(&ada.get(&settings).await.text, "etag").to_owned();
        let fields = [("etag", etag.as_str()), ("url", "https://other.example.com"), ("types", "*"), ("signing", "v1a"), ("rate_per_second", "7")];
        goes_to(&ada.submit(&settings, &settings, &fields).await, &settings);
        let now = &endpoints(&world).await[0];
        assert_eq!((&now["url"], &now["types"], &now["signing"], &now["rate_per_second"]), (&json!("https://other.example.com"), &json!(["*"]), &json!("v1a"), &json!(7)));
        let late = ada.submit(&settings, &settings, &fields).await.expect(422).text;
        assert!(late.contains("Somebody changed this while you had it open"), "{late}");
        let etag = value(&ada.get(&settings).await.text, "etag").to_owned();
        let fields = [("etag", etag.as_str()), ("url", "https://other.example.com"), ("types", "*"), ("signing", "both")];
        let answer = ada.submit(&settings, &settings, &fields).await.expect(200).text;
        assert!(shown(&answer, "secret").starts_with("whsec_"), "a secret that a change made is shown");

        let rolled = ada.submit(&settings, &format!("{page}/roll"), &[("overlap_seconds", "3600")]).await.expect(200).text;
        assert_ne!(shown(&rolled, "secret"), secret);
        let again = ada.submit(&settings, &format!("{page}/roll"), &[("overlap_seconds", "0")]).await.expect(422).text;
        assert!(again.contains("2026-06-01T13:00:00Z"), "{again}");
        assert!(ada.get(&settings).await.text.contains("The keys before the last roll still sign"));

        goes_to(&ada.submit(&format!("{page}/danger"), &format!("{page}/delete"), &[]).await, LIST);
        ada.get(&page).await.expect(404);
    }

    async fn a_delivery_is_shown_sent_again_and_copied_with_a_fresh_signature(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        let (page, answer) = made(&world, &mut ada).await;
        let secret = shown(&answer.text, "secret");
        goes_to(&ada.submit(&page, &format!("{page}/test"), &[]).await, &page);
        let log = ada.get(&page).await.expect(200).text;
        assert!(log.contains("webhook.test") && log.contains("A test is on its way"), "{log}");
        let delivery = log.split("/deliveries/dlv_").nth(1).unwrap().split('"').next().unwrap();
        let delivery = format!("{page}/deliveries/dlv_{delivery}");
        let seen = ada.get(&delivery).await.expect(200).text;
        let command = shown(&seen, "by-hand");
        let header = |name: &str| command.split(&format!("{name}: ")).nth(1).unwrap().split('\'').next().unwrap().to_owned();
        let body = command.split("--data-raw '").nth(1).unwrap().trim_end().trim_end_matches('\'').to_owned();
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["type"], "webhook.test");
        let key = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, secret.strip_prefix("whsec_").unwrap()).unwrap();
        let message = format!("{}.{}.{body}", header("webhook-id"), header("webhook-timestamp"));
        let tag = jose::mac::HmacKey::new(key.as_slice().try_into().unwrap()).tag(message.as_bytes());
        let expected = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, tag);
        assert_eq!(header("webhook-signature"), format!("v1,{expected}"));
        goes_to(&ada.submit(&delivery, &format!("{delivery}/resend"), &[]).await, &delivery);

        for (query, count) in [("status=failed", "0"), ("status=pending", "")] {
            let answer = ada.get(&format!("{page}/resend?{query}")).await;
            assert_eq!(answer.status == StatusCode::OK, !count.is_empty(), "{}", answer.text);
        }
        let wrong = ada.get(&format!("{page}?from=yesterday")).await.expect(422).text;
        assert!(wrong.contains("This takes a time such as"), "{wrong}");
        for bad in ["type=nothing", "status=lost"] {
            ada.get(&format!("{page}?{bad}")).await.expect(422);
            ada.get(&format!("{page}/resend?{bad}")).await.expect(422);
        }
        ada.get(&format!("{page}?cursor=x")).await.expect(400);
        let range = [("from", "2026-06-01T00:00:00Z"), ("to", "2026-06-02T00:00:00Z")];
        goes_to(&ada.submit(&page, &format!("{page}/resend"), &range).await, &page);
        assert!(ada.get(&page).await.text.contains("0 deliveries are on their way again"));
        let records = world.admin(Method::GET, "/api/audit/records?action=webhook.resent", Value::Null).await.json();
        assert_eq!(records["data"].as_array().unwrap().len(), 2);
    }

    async fn a_paused_endpoint_is_told_at_home_and_resumed_with_one_button(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        let (page, _) = made(&world, &mut ada).await;
        assert_eq!(needs(&ada.get("/console").await.text), Vec::<&str>::new());
        goes_to(&ada.submit(&page, &format!("{page}/pause"), &[]).await, &page);
        let home = ada.get("/console").await.expect(200).text;
        assert_eq!(needs(&home), ["The webhook endpoint https://hooks.example.com/in is paused."]);
        assert!(home.contains(&format!("action=\"{page}/resume\"")) && home.contains("Send a test and resume"), "{home}");
        goes_to(&ada.submit("/console", &format!("{page}/resume"), &[]).await, &page);
        assert_eq!(endpoints(&world).await[0]["state"], "enabled");
        assert!(ada.get(&page).await.text.contains("webhook.test"));
        assert_eq!(needs(&ada.get("/console").await.text), Vec::<&str>::new());
    }

    async fn a_role_that_reads_sees_the_log_and_signs_nothing(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        let (page, _) = made(&world, &mut ada).await;
        ada.submit(&page, &format!("{page}/test"), &[]).await;
        let mut sam = member(&world, Role::ReadOnly).await;
        let log = sam.get(&page).await.expect(200).text;
        assert!(log.contains("Needs the scope webhooks:write, which the role Read-only does not hold."), "{log}");
        let delivery = log.split("/deliveries/dlv_").nth(1).unwrap().split('"').next().unwrap();
        let seen = sam.get(&format!("{page}/deliveries/dlv_{delivery}")).await.expect(200).text;
        assert!(seen.contains("webhook.test") && !seen.contains("by-hand") && !seen.contains("v1,"), "{seen}");
        for path in [format!("{LIST}/new"), format!("{page}/resend?from={}", encoded("2026-06-01T00:00:00Z"))] {
            sam.get(&path).await.expect(403);
        }
        assert_eq!(sam.submit(&page, &format!("{page}/pause"), &[]).await.status, StatusCode::FORBIDDEN);
        assert_eq!(endpoints(&world).await[0]["state"], "enabled");
    }

    async fn support_sees_nothing_of_webhooks(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        let (page, _) = made(&world, &mut ada).await;
        ada.submit(&page, &format!("{page}/pause"), &[]).await;
        let mut sam = member(&world, Role::Support).await;
        for path in [LIST.to_owned(), page.clone(), format!("{page}/settings")] {
            sam.get(&path).await.expect(403);
        }
        assert!(!sam.get("/console").await.expect(200).text.contains("hooks.example.com"));
    }
}
