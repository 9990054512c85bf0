//! The examples of the OpenAPI document and the requests that the pages of the console show, sent as they stand.

use auth::operator::Role;
use http::Method;
use serde_json::{Value, json};

use crate::admin::scheduled;
use crate::audit::fold;
use crate::billing::Sold;
use crate::console::{member_of, owner, relaxed};
use crate::on_both_engines;
use crate::world::{Answer, World, basic};

/// The operations; the one that ends the key of the caller's own token is the last.
fn operations(document: &Value) -> Vec<(String, Method, Value)> {
    let mut list = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            list.push((path.clone(), method.to_uppercase().parse().unwrap(), operation.clone()));
        }
    }
    list.sort_by_key(|(path, ..)| path.ends_with("/revoke"));
    list
}

async fn made(world: &World, path: &str, body: Value) -> Value {
    world.admin(Method::POST, path, body).await.expect(201).json()
}

async fn first(world: &World, path: &str, name: &str) -> String {
    let list = world.admin(Method::GET, path, Value::Null).await.expect(200).json();
    list["data"][0][name].as_str().unwrap_or_else(|| panic!("{path}: {list}")).to_owned()
}

/// The path with the ids of objects that are made for it.
async fn filled(world: &World, path: &str, number: usize) -> String {
    let mut path = path.to_owned();
    if path.contains("{slug}") {
        let slug = format!("acme-{number}");
        made(world, "/api/tenants", json!({"slug": slug})).await;
        path = path.replace("{slug}", &slug);
    } else if path.ends_with("/cancel-rotation") {
        path = path.replace("{kid}", &scheduled(world).await);
    } else if path.contains("{kid}") {
        let kid = first(world, "/api/keys", "kid").await;
        path = path.replace("{kid}", &kid);
    } else if path.contains("{event_id}") {
        let event = first(world, "/api/events", "id").await;
        path = path.replace("{event_id}", &event);
    } else if path.contains("{webhook_id}") {
        let body = json!({"url": format!("https://{number}.example"), "types": ["client.*"]});
        let id = made(world, "/api/webhooks", body).await["id"].as_str().unwrap().to_owned();
        let endpoint = format!("/api/webhooks/{id}");
        if path.ends_with("/resume") {
            world.admin(Method::POST, &format!("{endpoint}/pause"), Value::Null).await.expect(200);
        } else if path.contains("{delivery_id}") {
            let test = world.admin(Method::POST, &format!("{endpoint}/test"), Value::Null).await.expect(202).json();
            path = path.replace("{delivery_id}", test["delivery_id"].as_str().unwrap());
        }
        path = path.replace("{webhook_id}", &id);
    } else if path.contains("{client_id}") {
        let client = format!("example-{number}");
        let grants = json!({"grant_types": ["client_credentials", "refresh_token"]});
        let secret = world.client(&client, grants).await;
        world.token(&client, &secret, "&scope=read").await.expect(200);
        path = path.replace("{client_id}", &client);
        let part = path.split('/').nth(4).unwrap_or_default().to_owned();
        if path.contains("{id}") {
            let id = first(world, &format!("/api/clients/{client}/{part}"), "id").await;
            path = path.replace("{id}", &id);
        }
    } else if path.contains("{operator_id}") {
        let email = format!("person-{number}@example.com");
        member_of(world, "default", &email, Role::Support).await;
        let all = world.admin(Method::GET, "/api/operators?limit=200", Value::Null).await.expect(200).json();
        let id = all["data"].as_array().unwrap().iter().find(|o| o["email"] == *email).unwrap()["id"].clone();
        let id = id.as_str().unwrap();
        path = path.replace("{operator_id}", id);
        if path.contains("{id}") {
            let session = first(world, &format!("/api/operators/{id}/sessions"), "id").await;
            path = path.replace("{id}", &session);
        }
    } else if ["{customer_id}", "{feature_id}", "{meter_id}", "{plan_id}", "{subscription_id}", "{reservation_id}"]
        .iter()
        .any(|name| path.contains(name))
    {
        let made = async |path: String, body| world.admin(Method::POST, &path, body).await.json();
        let sold = Sold::new(&format!("subscriber-{number}"), made).await;
        let plan = if path.ends_with("/archive") { &sold.plan } else { &sold.draft };
        path = path
            .replace("{customer_id}", &sold.customer)
            .replace("{feature_id}", &sold.feature)
            .replace("{meter_id}", &sold.meter)
            .replace("{plan_id}", plan)
            .replace("{reservation_id}", sold.reservation_of("commitReservation"))
            .replace("{subscription_id}", &sold.subscription);
        let (object, verb) = path.rsplit_once('/').unwrap();
        let before = match verb {
            "reinstate" => Some(("suspend", Value::Null)),
            "resume" => Some(("pause", Value::Null)),
            "uncancel" => Some(("cancel", json!({"at": "period_end"}))),
            _ => None,
        };
        if let Some((verb, body)) = before {
            world.admin(Method::POST, &format!("{object}/{verb}"), body).await.expect(200);
        }
    } else if path.contains("{backfill_id}") {
        let body = json!({
            "customer_id": "crm-1042", "meter": "api-calls", "from": "2026-05-01T00:00:00Z", "to": "2026-06-01T00:00:00Z",
            "mode": "add",
        });
        let made = made(world, "/api/usage/backfills", body).await;
        path = path.replace("{backfill_id}", made["id"].as_str().unwrap());
    } else if path.contains("/invitations/{id}") {
        let body = json!({"email": format!("invited-{number}@example.com"), "role": "support"});
        let made = made(world, "/api/operators/invitations", body).await;
        path = path.replace("{id}", made["id"].as_str().unwrap());
    } else if path.contains("{id}") {
        let api = made(world, "/api/apis", json!({"identifier": format!("https://{number}.example")})).await;
        let api = api["id"].as_str().unwrap();
        let scope = format!("example-{number}:read");
        // an API that owns a scope is not deleted
        if path.contains("/scopes") {
            made(world, &format!("/api/apis/{api}/scopes"), json!({"name": scope})).await;
        }
        path = path.replace("{id}", api).replace("{name}", &scope);
    }
    path
}

/// The words of a command as a shell reads them, with variables replaced.
fn words(command: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let (mut list, mut word, mut is_word, mut quote) = (Vec::new(), String::new(), false, None);
    let mut letters = command.chars().peekable();
    while let Some(c) = letters.next() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '\'' | '"') => (quote, is_word) = (Some(c), true),
            (None, '\\') if letters.peek() == Some(&'\n') => {
                letters.next();
            }
            (None, ' ' | '\n') if is_word => {
                list.push(std::mem::take(&mut word));
                is_word = false;
            }
            (None, ' ' | '\n') => {}
            (Some('"') | None, '$') => {
                let mut name = String::new();
                while let Some(c) = letters.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
                    name.push(c);
                }
                let known = variables.iter().find(|(known, _)| *known == name);
                word.push_str(known.unwrap_or_else(|| panic!("no value for ${name}: {command}")).1);
                is_word = true;
            }
            _ => {
                word.push(c);
                is_word = true;
            }
        }
    }
    list.extend(is_word.then_some(word));
    list
}

/// Sends what a `curl` command sends.
async fn sent(world: &World, command: &str, variables: &[(&str, &str)]) -> Answer {
    let words = words(command, variables);
    let mut words = words.iter().map(String::as_str);
    assert_eq!(words.next(), Some("curl"));
    let (mut method, mut path, mut body) = (None, "", "");
    let mut headers = Vec::new();
    while let Some(word) = words.next() {
        match word {
            "-s" => {}
            "-X" => method = words.next(),
            "-d" => body = words.next().unwrap(),
            "-H" => headers.push(words.next().unwrap().split_once(": ").unwrap()),
            address => path = address.strip_prefix("https://id.example").unwrap(),
        }
    }
    let method = method.unwrap_or(if body.is_empty() { "GET" } else { "POST" });
    world.request(method.parse().unwrap(), path, &headers, body).await
}

on_both_engines! {
    async fn every_operation_does_what_its_example_says(world: World) {
        let world = World::sandbox(world.engine).await;
        let document = api::openapi::document("https://id.example");
        fold(&world).await;
        let all = operations(&document);
        made(&world, "/api/meters", json!({"key": "calls", "event_type": "call", "aggregation": "count"})).await;
        made(&world, "/api/features", json!({"key": "calls", "kind": "metered", "meter": "calls"})).await;
        let rights = json!([{"feature": "calls", "limit": "1000"}]);
        let plan = made(&world, "/api/plans", json!({"key": "pro", "name": "Pro", "cadence": "month", "entitlements": rights})).await;
        world.admin(Method::POST, &format!("/api/plans/{}/publish", plan["id"].as_str().unwrap()), Value::Null).await.expect(200);
        let secret = world.client("example", json!({"scopes": ["invoices:read"]})).await;
        let token = world.token("example", &secret, "&scope=invoices:read").await.json();
        let token = token["access_token"].as_str().unwrap();
        for (number, (path, method, operation)) in all.iter().enumerate() {
            let form = operation.pointer("/requestBody/content/application~1x-www-form-urlencoded/example");
            if let Some(fields) = form.and_then(Value::as_object) {
                let pairs = fields.iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap()));
                let body = pairs.collect::<Vec<_>>().join("&").replace("ACCESS_TOKEN", token);
                world.form(path, &[("authorization", &basic("example", &secret))], &body).await.expect(200);
                continue;
            }
            let path = filled(&world, path, number).await;
            let example = operation.pointer("/requestBody/content/application~1json/example");
            let takes = operation.get("requestBody").is_some();
            assert_eq!(takes, example.is_some_and(Value::is_object), "{path} has an example of its body");
            let has_command = operation["x-cli"].as_str().is_some_and(|command| command.starts_with("bastionary "));
            assert!(has_command || !path.starts_with("/api"), "{path} has a command");
            let query = match operation["operationId"].as_str() {
                Some("getAuditProof") => "?leaf=0",
                Some("addBackfillPart") => "?number=1",
                Some("queryUsage") => "?customer_id=crm-1042&meter=api-calls&from=2026-05-01T00:00:00Z&to=2026-06-01T00:00:00Z",
                _ => "",
            };
            let body = example.cloned().unwrap_or(Value::Null);
            let answer = world.admin(method.clone(), &format!("{path}{query}"), body).await;
            let is_promised = operation["responses"].get(answer.status.as_str()).is_some();
            assert!(answer.status.is_success() && is_promised, "{method} {path}: {} {}", answer.status, answer.text);
        }
        assert!(all.len() > 45, "{}", all.len());
    }

    async fn what_a_page_shows_as_code_works_as_it_stands(world: World) {
        let world = relaxed(world.engine).await;
        let mut ada = owner(&world).await;
        member_of(&world, "default", "sam@example.com", Role::Support).await;
        let people = world.admin(Method::GET, "/api/operators", Value::Null).await.expect(200).json();
        let sam = people["data"].as_array().unwrap().iter().find(|o| o["email"] == "sam@example.com").unwrap();
        let sam = sam["id"].as_str().unwrap().to_owned();
        world.client("worker", json!({})).await;
        let api = made(&world, "/api/apis", json!({"identifier": "https://invoices.example"})).await;
        let api = api["id"].as_str().unwrap().to_owned();
        made(&world, &format!("/api/apis/{api}/scopes"), json!({"name": "example:read"})).await;
        let client = "/console/identity/clients/worker";
        let mut pages: Vec<String> =
            ["", "/activity", "/audit", "/identity/apis", "/identity/keys", "/identity/tokens", "/identity/limits", "/identity/clients", "/identity/clients/new", "/team", "/tenants", "/settings", "/account"]
                .map(|path| format!("/console{path}")).to_vec();
        pages.extend(["", "/credentials", "/access", "/limits", "/settings", "/danger"].map(|part| format!("{client}{part}")));
        // the scope that an earlier page added is gone again before the API is
        pages.extend(["", "/clients", "/verify", "/settings"].map(|part| format!("/console/identity/apis/{api}{part}")));
        let mut count = 0;
        for page in &pages {
            let html = ada.get(page).await.expect(200).text;
            assert!(html.contains("popovertarget=\"as-code\"") && html.contains("id=\"as-code\""), "{page}");
            // the first request of the page that schedules a rotation does it again
            let kid = if page.ends_with("/keys") { scheduled(&world).await } else { String::new() };
            let secret = if page.ends_with("/credentials") { first(&world, "/api/clients/worker/secrets", "id").await } else { api.clone() };
            for block in html.split("<pre class=\"code\" id=\"code-").skip(1) {
                let (id, rest) = block.split_once('"').unwrap();
                let Some(operation) = id.strip_suffix("-curl") else { continue };
                let command = rest.split("<code>").nth(1).unwrap().split("</code>").next().unwrap();
                let command = command.replace("&#34;", "\"").replace("&#39;", "'").replace("&#38;", "&");
                let answer = sent(&world, &command, &[("TOKEN", &world.admin), ("ID", &secret), ("NAME", "example:read"), ("CLIENT_ID", "worker"), ("KID", &kid), ("SLUG", "acme"), ("OPERATOR_ID", &sam)]).await;
                assert!(answer.status.is_success(), "{page}, {operation}: {} {}", answer.status, answer.text);
                count += 1;
            }
        }
        assert!(count > 20, "{count} requests");
        world.admin(Method::GET, "/api/clients/worker", Value::Null).await.expect(404);
    }
}

#[test]
fn a_command_is_read_as_a_shell_does() {
    let command = "curl -s \"https://id.example/a/$ID\" \\\n  -H 'A: $B' -d '{\"c\":\"d e\"}'";
    let read = words(command, &[("ID", "x")]);
    assert_eq!(read, ["curl", "-s", "https://id.example/a/x", "-H", "A: $B", "-d", "{\"c\":\"d e\"}"]);
}
