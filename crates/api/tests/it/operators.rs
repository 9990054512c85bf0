//! People through the admin API: what the Team page does, for programs.

use auth::operator::Role;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::console::{Browser, goes_to, member, member_of, owner, relaxed};
use crate::on_both_engines;
use crate::world::{Answer, World};

const OPERATORS: &str = "/api/operators";
const INVITATIONS: &str = "/api/operators/invitations";

async fn id_of(world: &World, email: &str) -> String {
    let all = world.admin(Method::GET, OPERATORS, Value::Null).await.expect(200).json();
    let found = all["data"].as_array().unwrap().iter().find(|o| o["email"] == email).unwrap_or_else(|| panic!("{all}"));
    found["id"].as_str().unwrap().to_owned()
}

async fn audited(world: &World, action: &str) -> Vec<Value> {
    let path = format!("/api/audit/records?action={action}");
    world.admin(Method::GET, &path, Value::Null).await.expect(200).json()["data"].as_array().unwrap().clone()
}

async fn events(world: &World, kind: &str) -> Vec<Value> {
    let path = format!("/api/events?types={kind}");
    world.admin(Method::GET, &path, Value::Null).await.expect(200).json()["data"].as_array().unwrap().clone()
}

/// A request with a token of a client that holds these scopes.
async fn with_scopes(world: &World, scopes: &[&str], method: Method, path: &str, body: Value) -> Answer {
    let id = format!("holder-of-{}", scopes.len());
    let secret = world.client(&id, json!({"scopes": scopes})).await;
    let token = world.token(&id, &secret, &format!("&scope={}", scopes.join("+"))).await.expect(200).json();
    let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    world.request(method, path, &headers, &body.to_string()).await
}

on_both_engines! {
    async fn a_program_invites_a_person_and_only_its_answer_has_the_link(world: World) {
        let body = json!({"email": "Kim@Example.com", "role": "developer"});
        let key = [("idempotency-key", "one")];
        let made = world.admin_with(Method::POST, INVITATIONS, &key, body.clone()).await.expect(201).json();
        assert_eq!((&made["email"], &made["role"], &made["made_by"]), (&json!("kim@example.com"), &json!("developer"), &json!("client:ops")));
        let address = made["address"].as_str().unwrap();
        let again = world.admin_with(Method::POST, INVITATIONS, &key, body).await.expect(201);
        assert_eq!(again.json(), made, "a repeat gets the same answer");
        assert_eq!(audited(&world, "invitation.created").await.len(), 1);
        let list = world.admin(Method::GET, INVITATIONS, Value::Null).await.expect(200);
        assert_eq!(list.json()["data"][0]["id"], made["id"]);
        assert!(!list.text.contains("bst_ol_") && address.contains("bst_ol_"));

        let told = events(&world, "operator.invited").await;
        assert_eq!((told.len(), &told[0]["data"]["id"], &told[0]["data"]["role"]), (1, &made["id"], &json!("developer")));
        assert!(!told[0].to_string().contains("kim@"), "an event names no person");
        let path = address.strip_prefix("https://id.example").unwrap();
        let mut kim = Browser::new(&world);
        let fields = [("name", "Kim"), ("passphrase", "several words that nobody would guess")];
        goes_to(&kim.submit(path, path, &fields).await, "/console");
        let person = world.admin(Method::GET, &format!("{OPERATORS}/{}", id_of(&world, "kim@example.com").await), Value::Null).await.expect(200).json();
        assert_eq!((&person["role"], &person["status"], &person["has_passphrase"], &person["passkeys"]), (&json!("developer"), &json!("active"), &json!(true), &json!(0)));
        let taken = world.admin(Method::POST, INVITATIONS, json!({"email": "kim@example.com", "role": "support"})).await.expect(409).json();
        assert_eq!(taken["code"], "email_taken");

        let open = world.admin(Method::POST, INVITATIONS, json!({"email": "lea@example.com", "role": "support"})).await.expect(201).json();
        let path = format!("{INVITATIONS}/{}", open["id"].as_str().unwrap());
        world.admin(Method::DELETE, &path, Value::Null).await.expect(204);
        world.admin(Method::DELETE, &path, Value::Null).await.expect(404);
        let wrong = world.admin(Method::POST, INVITATIONS, json!({"email": "nobody", "role": "king", "x": 1})).await.expect(422).json();
        let mut pointers: Vec<&str> = wrong["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap()).collect();
        pointers.sort_unstable();
        assert_eq!(pointers, ["/email", "/role", "/x"]);
        world.admin(Method::POST, INVITATIONS, json!({})).await.expect(422);
    }

    async fn a_role_that_is_changed_holds_from_the_next_request_and_an_older_version_changes_nothing(world: World) {
        let world = relaxed(world.engine).await;
        let mut sam = member(&world, Role::Admin).await;
        let path = format!("{OPERATORS}/{}", id_of(&world, "sam@example.com").await);
        let tag = world.admin(Method::GET, &path, Value::Null).await.expect(200).header("etag").to_owned();
        sam.get("/console/identity/keys").await.expect(200);
        let lower = world.admin(Method::PATCH, &path, json!({"role": "developer", "name": "Samuel"})).await.expect(200).json();
        assert_eq!((&lower["role"], &lower["name"]), (&json!("developer"), &json!("Samuel")));
        assert_eq!(sam.get("/console/identity/keys").await.status, StatusCode::FORBIDDEN);
        for (method, tail) in [(Method::PATCH, ""), (Method::POST, "/disable"), (Method::DELETE, "")] {
            let body = if method == Method::PATCH { json!({"role": "support"}) } else { Value::Null };
            world.admin_with(method, &format!("{path}{tail}"), &[("if-match", &tag)], body).await.expect(412);
        }
        world.admin(Method::PATCH, &path, json!({"role": "king"})).await.expect(422);
        world.admin(Method::PATCH, &path, json!({"email": "x@example.com"})).await.expect(422);
        let told = events(&world, "operator.role_changed").await;
        assert_eq!((told.len(), &told[0]["data"]["role"], &told[0]["data"]["previous"]["role"]), (1, &json!("developer"), &json!("admin")));
        let records = audited(&world, "operator.updated").await;
        assert_eq!(records.len(), 1);
        assert_eq!((&records[0]["actor"], &records[0]["before"]["role"], &records[0]["after"]["role"]), (&json!("client:ops"), &json!("admin"), &json!("developer")));
    }

    async fn sessions_are_listed_and_end_at_once(world: World) {
        let world = relaxed(world.engine).await;
        let mut sam = member(&world, Role::Support).await;
        let id = id_of(&world, "sam@example.com").await;
        let path = format!("{OPERATORS}/{id}/sessions");
        let list = world.admin(Method::GET, &path, Value::Null).await.expect(200).json();
        assert_eq!((list["data"].as_array().unwrap().len(), &list["data"][0]["method"]), (1, &json!("invitation")));
        let session = format!("{path}/{}", list["data"][0]["id"].as_str().unwrap());
        sam.get("/console").await.expect(200);
        world.admin(Method::DELETE, &session, Value::Null).await.expect(204);
        assert_eq!(sam.get("/console").await.status, StatusCode::SEE_OTHER);
        world.admin(Method::DELETE, &session, Value::Null).await.expect(404);

        let mut lea = member_of(&world, "default", "lea@example.com", Role::Support).await;
        let lea_id = id_of(&world, "lea@example.com").await;
        lea.get("/console").await.expect(200);
        world.admin(Method::POST, &format!("{OPERATORS}/{lea_id}/disable"), Value::Null).await.expect(200);
        assert_eq!(lea.get("/console").await.status, StatusCode::SEE_OTHER);
        let enabled = world.admin(Method::POST, &format!("{OPERATORS}/{lea_id}/enable"), Value::Null).await.expect(200).json();
        assert_eq!(enabled["status"], "active");
        world.admin(Method::DELETE, &format!("{OPERATORS}/{lea_id}/sessions"), Value::Null).await.expect(204);
        world.admin(Method::DELETE, &format!("{OPERATORS}/{lea_id}"), Value::Null).await.expect(204);
        world.admin(Method::GET, &format!("{OPERATORS}/{lea_id}"), Value::Null).await.expect(404);
        assert_eq!(events(&world, "operator.removed").await[0]["data"]["id"], *lea_id);
        let page = world.admin(Method::GET, &format!("{OPERATORS}?limit=1"), Value::Null).await.expect(200).json();
        assert_eq!((page["data"].as_array().unwrap().len(), &page["has_more"]), (1, &json!(false)));
    }

    async fn the_last_owner_stays_and_nobody_gives_more_than_they_hold(world: World) {
        let world = relaxed(world.engine).await;
        owner(&world).await;
        let path = format!("{OPERATORS}/{}", id_of(&world, "ada@example.com").await);
        for (method, tail, body) in [
            (Method::PATCH, "", json!({"role": "admin"})),
            (Method::POST, "/disable", Value::Null),
            (Method::DELETE, "", Value::Null),
        ] {
            let kept = world.admin(method, &format!("{path}{tail}"), body).await.expect(409).json();
            assert!(kept["detail"].as_str().unwrap().contains("last owner"), "{kept}");
        }
        let invite = |role: &str| json!({"email": format!("{role}@example.com"), "role": role});
        let weak = ["operators:read", "operators:write"];
        assert_eq!(with_scopes(&world, &weak, Method::POST, INVITATIONS, invite("developer")).await.status, StatusCode::FORBIDDEN);
        let developer = ["operators:write", "entitlements:check", "customers:read", "billing:read", "clients:read", "clients:write", "apis:read", "apis:write", "limits:read", "limits:write", "tokens:introspect", "tokens:revoke", "events:read", "webhooks:read", "webhooks:write"];
        let known: Vec<&str> = developer.into_iter().filter(|scope| auth::catalog::MANAGEMENT_SCOPES.iter().any(|(name, _)| name == scope)).collect();
        with_scopes(&world, &known, Method::POST, INVITATIONS, invite("developer")).await.expect(201);
        let more = [known.as_slice(), &["keys:read"]].concat();
        for role in ["owner", "admin"] {
            assert_eq!(with_scopes(&world, &more, Method::POST, INVITATIONS, invite(role)).await.status, StatusCode::FORBIDDEN, "{role}");
            world.admin(Method::DELETE, &format!("/api/clients/holder-of-{}", more.len()), Value::Null).await.expect(204);
        }
        let roles = world.admin(Method::GET, "/api/operators/roles", Value::Null).await.expect(200).json();
        let names: Vec<&str> = roles["data"].as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["owner", "admin", "developer", "billing", "support", "read_only"]);
        assert!(roles["data"][0]["scopes"].as_array().unwrap().contains(&json!("operators:write")));
    }
}
