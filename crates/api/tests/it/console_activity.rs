//! The page of all that happened.

use auth::operator::Role;
use http::{Method, StatusCode};
use serde_json::json;

use crate::audit::fold;
use crate::console::{member, owner, relaxed};
use crate::on_both_engines;
use crate::world::World;

const LIST: &str = "/console/activity";

/// The sentences of a page, newest first.
fn sentences(page: &str) -> Vec<String> {
    let summaries = page.split("<details class=\"record\"><summary>").skip(1);
    let bare = |html: &str| {
        let text: String = html.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text)).collect();
        text.replace("&#38;", "&").split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let text =
        |summary: &str| bare(summary.split("</time>").nth(1).unwrap().split("<span class=\"badge").next().unwrap());
    summaries.map(text).collect()
}

/// The address of the next page.
fn next(page: &str) -> Option<String> {
    let link = page.split("rel=\"next\" href=\"").nth(1)?;
    Some(link.split('"').next()?.replace("&#38;", "&"))
}

on_both_engines! {
    async fn what_happened_is_told_in_sentences_and_found_by_what_it_is_about(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        let secret = world.client("billing-api", json!({"name": "Billing API"})).await;
        world.clock.advance_seconds(10);
        let jti = {
            let token = world.token("billing-api", &secret, "&scope=read").await.expect(200).json();
            crate::world::claims(token["access_token"].as_str().unwrap()).1["jti"].as_str().unwrap().to_owned()
        };
        world.clock.advance_seconds(10);
        world.token("billing-api", "wrong", "").await.expect(401);
        world.token("billing-api", "wrong", "").await.expect(401);
        world.token("billing-api", &secret, "&scope=nothing").await.expect(400);
        world.token("nobody", "wrong", "").await.expect(401);
        fold(&world).await;
        world.clock.advance_seconds(10);
        let csrf_page = "/console/identity/clients/billing-api/danger";
        ada.submit(csrf_page, "/console/identity/clients/billing-api/disable", &[]).await;

        let all = sentences(&ada.get(LIST).await.expect(200).text);
        assert_eq!(all[0], "Client Billing API was disabled · by ada@example.com (setup link)");
        let rest = all[1..].join("\n");
        for sentence in [
            "Client Billing API was denied · the secret was none of its own · 2 times within a minute",
            "Client Billing API was denied · it may not have the scope",
            "Unknown client nobody was denied · there is no client with this id",
            "Client Billing API got a token · scope read",
            "Client Billing API was created · by client Admin",
        ] {
            assert_eq!(rest.matches(sentence).count(), 1, "{sentence} in {rest}");
        }
        let place = |text: &str| rest.find(text).unwrap();
        assert!(place("was denied") < place("got a token") && place("got a token") < place("was created"));

        let found = async |ada: &mut crate::console::Browser, query: &str| {
            sentences(&ada.get(&format!("{LIST}?{query}")).await.expect(200).text)
        };
        let of_client = found(&mut ada, "kind=client&object=billing-api").await;
        assert_eq!(of_client.len(), 5, "{of_client:?}");
        let denied = found(&mut ada, "outcome=denied").await;
        assert_eq!(denied.len(), 3, "{denied:?}");
        let issued = found(&mut ada, "outcome=issued&object=billing-api").await;
        assert_eq!(issued, ["Client Billing API got a token · scope read"]);
        assert_eq!(found(&mut ada, &format!("kind=token&object={jti}")).await, issued);
        let by_ada = found(&mut ada, "actor=Ada%40example.com&outcome=changed").await;
        assert!(by_ada.iter().any(|s| s.contains("was disabled")) && by_ada.iter().all(|s| s.contains("ada@example.com")));
        let by_client = found(&mut ada, "actor=billing-api").await;
        assert_eq!(by_client.len(), 3, "{by_client:?}");
        assert!(found(&mut ada, "source=203.0.113.77").await.is_empty());
        assert!(found(&mut ada, "object=nothing").await.is_empty());
        ada.get(&format!("{LIST}?cursor=short")).await.expect(400);
        ada.get(&format!("{LIST}?cursor=%21")).await.expect(400);
    }

    async fn pages_of_changes_and_tokens_together_repeat_nothing_and_lose_nothing(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        let secret = world.client("busy", json!({})).await;
        for round in 0..40 {
            world.clock.advance_seconds(1);
            world.token("busy", &secret, "&scope=read").await.expect(200);
            if round % 3 == 0 {
                world.admin(Method::PATCH, "/api/clients/busy", json!({"name": format!("busy {round}")})).await.expect(200);
            }
            if round == 20 {
                fold(&world).await;
            }
        }
        let mut seen = Vec::new();
        let mut path = format!("{LIST}?object=busy&limit=25");
        loop {
            let page = ada.get(&path).await.expect(200).text;
            let times = page.split("<summary><time datetime=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
            let of_page: Vec<_> = times.map(str::to_owned).zip(sentences(&page)).collect();
            assert!(of_page.len() <= 25);
            seen.extend(of_page);
            match next(&page) {
                Some(link) => path = link,
                None => break,
            }
        }
        assert_eq!(seen.iter().filter(|(_, s)| s.contains("got a token")).count(), 40);
        assert_eq!(seen.iter().filter(|(_, s)| s.contains("was updated")).count(), 14);
        assert_eq!(seen.len(), 40 + 14 + 1);
        assert!(seen.is_sorted_by(|a, b| a.0 >= b.0), "{seen:?}");
    }

    async fn an_open_page_is_told_until_its_session_ends(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        let mut stream = ada.stream("/console/activity/stream").await;
        world.client("fresh", json!({})).await;
        assert_eq!(stream.next().await.as_deref(), Some("data: news"));
        ada.submit("/console/account", "/console/sign-out", &[]).await;
        while stream.next().await.is_some() {}
        assert_eq!(ada.get("/console/activity/stream").await.status, StatusCode::SEE_OTHER);
    }

    async fn only_who_may_read_the_record_sees_what_happened(world: World) {
        let world = relaxed(world.engine).await;
        owner(&world).await;
        let mut sam = member(&world, Role::Developer).await;
        assert_eq!(sam.get("/console/activity/stream").await.status, StatusCode::FORBIDDEN);
        assert_eq!(sam.get(LIST).await.status, StatusCode::FORBIDDEN);
    }
}
