//! Client authentication at the token endpoint (checklist rows 10–20 but the assertions of row 21 on).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Method, Request};
use serde_json::{Value, json};

use crate::on_both_engines;
use crate::transport::{granted, refused};
use crate::world::{Answer, World, basic, claims};

const TOKEN: &str = "/oauth2/token";
const CC: &str = "grant_type=client_credentials";
const BEARER_ASSERTION: &str = "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";

/// Form-encodes every byte that is not a letter or digit (RFC 6749 Appendix B).
fn encode(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b' ' => "+".to_owned(),
            b if b.is_ascii_alphanumeric() => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        })
        .collect()
}

async fn with_header(world: &World, header: &str, body: &str) -> Answer {
    world.form(TOKEN, &[("authorization", header)], body).await
}

async fn in_body(world: &World, id: &str, secret: &str) -> Answer {
    world.form(TOKEN, &[], &format!("{CC}&client_id={}&client_secret={}", encode(id), encode(secret))).await
}

async fn chosen(world: &World, id: &str, secret: &str) {
    world
        .admin(Method::POST, "/api/clients", json!({"client_id": id, "client_secret": secret, "scopes": ["read"]}))
        .await
        .expect(201);
}

/// Everything a caller can tell apart but what names the request.
fn seen(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| *name != "x-request-id")
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.sort();
    (answer.status.as_u16(), headers, answer.text.clone())
}

on_both_engines! {
    async fn both_halves_of_basic_are_form_decoded(world: World) {
        let secret = "p@ss: w+rd/%41&=?;\"\\é{}~ reserved";
        chosen(&world, "cl~ient-1.a_b", secret).await;
        granted(with_header(&world, &basic(&encode("cl~ient-1.a_b"), &encode(secret)), CC).await);
        granted(with_header(&world, &basic("cl%7Eient-1%2Ea%5Fb", &encode(secret)), CC).await);
        granted(in_body(&world, "cl~ient-1.a_b", secret).await);
        refused(with_header(&world, &basic("cl~ient-1.a_b", &encode(&encode(secret))), CC).await, 401, "invalid_client");
    }

    async fn a_secret_that_was_not_encoded_and_reads_the_same_is_good(world: World) {
        let secret = "not:encoded/at=all~since*it-has_no.escape";
        chosen(&world, "plain", secret).await;
        granted(with_header(&world, &basic("plain", secret), CC).await);
        let generated = world.client("made", json!({})).await;
        granted(with_header(&world, &basic("made", &encode(&generated)), CC).await);
    }

    async fn the_scheme_name_has_any_letter_case(world: World) {
        let secret = world.client("case", json!({})).await;
        let credentials = STANDARD.encode(format!("case:{secret}"));
        for scheme in ["Basic", "basic", "BASIC", "bAsIc"] {
            granted(with_header(&world, &format!("{scheme} {credentials}"), CC).await);
        }
    }

    async fn basic_alone_identifies_the_client(world: World) {
        let secret = world.client("alone", json!({})).await;
        granted(with_header(&world, &basic("alone", &secret), CC).await);
    }

    async fn bad_basic_credentials_get_the_challenge(world: World) {
        let secret = world.client("bad", json!({})).await;
        chosen(&world, "bad-chosen", "a secret somebody chose").await;
        let flipped = if secret.ends_with('a') { "b" } else { "a" };
        let damaged = format!("{}{flipped}", &secret[..secret.len() - 1]);
        for header in [
            basic("bad", "wrong"), basic("bad", ""), basic("bad", &damaged), basic("bad", &secret.to_uppercase()), basic("bad", &secret[1..]),
            basic("bad-chosen", "a secret somebody chosE"), basic("", &secret), basic("BAD", &secret),
            "Basic !!!not-base64!!!".to_owned(), "Basic".to_owned(), "Basic ".to_owned(), String::new(), "Basic /w==".to_owned(),
            format!("Basic {}", STANDARD.encode("bad")), format!("Basic {}", STANDARD.encode(format!("bad{secret}"))),
            format!("Basic {}", STANDARD.encode(format!("bad:{secret}\0"))), format!("Basic{}", STANDARD.encode(format!("bad:{secret}"))),
            format!("Bearer {secret}"), format!("Digest username=\"bad\", response=\"{secret}\""), "Negotiate abc".to_owned(), format!("Basic {}", "A".repeat(20_000)),
        ] {
            refused(with_header(&world, &header, CC).await, 401, "invalid_client");
        }
        let mut request = Request::post(TOKEN).header("content-type", "application/x-www-form-urlencoded");
        request = request.header("authorization", HeaderValue::from_bytes(b"Basic \xff\xfe").unwrap());
        refused(world.send(request.body(CC.into()).unwrap()).await, 401, "invalid_client");
    }

    async fn a_bad_secret_or_assertion_in_the_body_gets_the_same_challenge(world: World) {
        let secret = world.client("body", json!({})).await;
        granted(in_body(&world, "body", &secret).await);
        let basic_answer = refused(with_header(&world, &basic("body", "wrong"), CC).await, 401, "invalid_client");
        for more in [
            "client_id=body&client_secret=wrong".to_owned(),
            "client_id=body".to_owned(),
            "client_id=body&client_secret=".to_owned(),
            format!("client_secret={secret}"),
            format!("client_id=body&{BEARER_ASSERTION}&client_assertion=a.b.c"),
            format!("{BEARER_ASSERTION}&client_assertion=a.b.c"),
            format!("client_id=body&client_secret={secret}&{BEARER_ASSERTION}&client_assertion=a.b.c"),
            "client_assertion=a.b.c".to_owned(),
            format!("client_id=body&{BEARER_ASSERTION}"),
            "client_id=body&client_assertion_type=other&client_assertion=a.b.c".to_owned(),
        ] {
            let answer = refused(world.form(TOKEN, &[], &format!("{CC}&{more}")).await, 401, "invalid_client");
            assert_eq!(seen(&answer), seen(&basic_answer), "{more}");
        }
    }

    async fn no_authentication_is_invalid_client_whatever_the_grant(world: World) {
        for body in [CC, "", "grant_type=refresh_token&refresh_token=x", "grant_type=password", "grant_type=client_credentials&scope=nope&resource=nope"] {
            refused(world.form(TOKEN, &[], body).await, 401, "invalid_client");
        }
    }

    async fn the_id_in_the_body_equals_the_one_in_basic(world: World) {
        let secret = world.client("one", json!({})).await;
        world.client("two", json!({})).await;
        granted(with_header(&world, &basic("one", &secret), &format!("{CC}&client_id=one")).await);
        granted(with_header(&world, &basic("%6Fne", &secret), &format!("{CC}&client_id=o%6Ee")).await);
        for other in ["two", "ONE", "one+", "nobody", "%00"] {
            refused(with_header(&world, &basic("one", &secret), &format!("{CC}&client_id={other}")).await, 400, "invalid_request");
        }
    }

    async fn credentials_in_two_places_are_one_too_many(world: World) {
        let secret = world.client("both", json!({})).await;
        let auth = basic("both", &secret);
        for more in [format!("client_secret={secret}"), format!("client_id=both&client_secret={secret}"), "client_secret=wrong".to_owned(),
            format!("{BEARER_ASSERTION}&client_assertion=a.b.c"), "client_assertion=a".to_owned()] {
            let answer = refused(with_header(&world, &auth, &format!("{CC}&{more}")).await, 400, "invalid_request");
            assert!(!answer.text.contains(&secret));
        }
        let twice = Request::post(TOKEN).header("content-type", "application/x-www-form-urlencoded");
        let twice = twice.header("authorization", &auth).header("authorization", &auth).body(CC.into()).unwrap();
        refused(world.send(twice).await, 400, "invalid_request");
    }

    async fn a_method_that_is_not_registered_proves_nothing(world: World) {
        let post = world.client("post", json!({"token_endpoint_auth_method": "client_secret_post"})).await;
        granted(in_body(&world, "post", &post).await);
        refused(with_header(&world, &basic("post", &post), CC).await, 401, "invalid_client");
        let both = world.client("default", json!({})).await;
        granted(in_body(&world, "default", &both).await);
        granted(with_header(&world, &basic("default", &both), CC).await);
        refused(world.form(TOKEN, &[], &format!("{CC}&client_id=default")).await, 401, "invalid_client");
        let none = world.client("public", json!({"token_endpoint_auth_method": "none"})).await;
        assert_eq!(none, "");
        for answer in [with_header(&world, &basic("public", &both), CC).await, in_body(&world, "public", &both).await,
            with_header(&world, &basic("public", ""), CC).await, in_body(&world, "public", "a text of no meaning").await] {
            refused(answer, 401, "invalid_client");
        }
    }

    async fn a_client_that_became_public_is_not_proved_by_its_old_secret(world: World) {
        let secret = world.client("was", json!({})).await;
        granted(with_header(&world, &basic("was", &secret), CC).await);
        let patched = world.admin_with(Method::PATCH, "/api/clients/was", &[("content-type", "application/merge-patch+json")],
            json!({"token_endpoint_auth_method": "client_secret_post"})).await;
        patched.expect(200);
        refused(with_header(&world, &basic("was", &secret), CC).await, 401, "invalid_client");
        granted(in_body(&world, "was", &secret).await);
    }

    async fn unknown_wrong_disabled_and_expired_cannot_be_told_apart(world: World) {
        let generated = world.client("alive", json!({})).await;
        let disabled = world.client("disabled", json!({})).await;
        let deleted = world.client("deleted", json!({})).await;
        let ended = world.client("ended", json!({"expiry": "2026-06-01T12:00:30Z"})).await;
        let dated = world.client("dated", json!({})).await;
        let body = json!({"expire_others_in_seconds": 30});
        world.admin(Method::POST, "/api/clients/dated/secrets", body).await.expect(201);
        for (id, path) in [("disabled-chosen", Some("/api/clients/disabled-chosen/disable")), ("alive-chosen", None)] {
            chosen(&world, id, "a secret somebody chose").await;
            if let Some(path) = path {
                world.admin(Method::POST, path, Value::Null).await.expect(200);
            }
        }
        world.admin(Method::POST, "/api/clients/disabled/disable", Value::Null).await.expect(200);
        world.admin(Method::DELETE, "/api/clients/deleted", Value::Null).await.expect(204);
        world.clock.advance_seconds(31);
        // A new client's secret is well-formed and proves none of the others.
        let foreign = world.client("foreign", json!({})).await;
        let cases = [
            ("nobody", generated.as_str()), ("nobody", "a secret somebody chose"), ("nobody", "bst_cs_nonsense"),
            ("alive", "wrong wrong wrong"), ("alive", &foreign), ("alive", "bst_cs_nonsense"), ("alive-chosen", "not the one they chose"),
            ("disabled", &disabled), ("disabled", "wrong wrong wrong"), ("disabled-chosen", "a secret somebody chose"),
            ("deleted", &deleted), ("ended", &ended), ("dated", &dated), ("dated", "wrong wrong wrong"),
        ];
        let first = seen(&refused(with_header(&world, &basic("nobody", "wrong"), CC).await, 401, "invalid_client"));
        for (id, secret) in cases {
            assert_eq!(seen(&with_header(&world, &basic(id, secret), CC).await), first, "Basic {id}");
            assert_eq!(seen(&in_body(&world, id, secret).await), first, "body {id}");
        }
        // The counterparts are good, so none of the refusals above is for another reason.
        granted(with_header(&world, &basic("alive", &generated), CC).await);
        granted(with_header(&world, &basic("alive-chosen", "a secret somebody chose"), CC).await);
    }

    async fn a_long_secret_counts_to_its_last_character(world: World) {
        let secret: String = (0..128).map(|i: u32| char::from_digit(i * 7 % 36, 36).unwrap()).collect();
        chosen(&world, "long", &secret).await;
        granted(with_header(&world, &basic("long", &secret), CC).await);
        for wrong in [&secret[..72], &secret[..127], &format!("{secret}x"), &format!("{}x", &secret[..127]), &secret[1..]] {
            refused(with_header(&world, &basic("long", wrong), CC).await, 401, "invalid_client");
        }
    }

    async fn each_of_three_overlapping_secrets_is_good_and_named_in_the_record(world: World) {
        let first = world.client("three", json!({})).await;
        let mut secrets = vec![first];
        for (label, end) in [("second", json!(null)), ("third", json!("2026-06-01T12:01:00Z"))] {
            let answer = world.admin(Method::POST, "/api/clients/three/secrets", json!({"label": label, "expires_at": end})).await.expect(201);
            secrets.push(answer.json()["client_secret"].as_str().unwrap().to_owned());
        }
        let listed = world.admin(Method::GET, "/api/clients/three/secrets", Value::Null).await.expect(200).json();
        let mut ids: Vec<_> = listed["data"].as_array().unwrap().iter().map(|s| s["id"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        assert!(ids.len() == 3 && ids.iter().all(|id| id.starts_with("sec_")), "{ids:?}");
        let mut named = Vec::new();
        for secret in &secrets {
            let body = granted(with_header(&world, &basic("three", secret), CC).await);
            let jti = claims(body["access_token"].as_str().unwrap()).1["jti"].as_str().unwrap().to_owned();
            let path = format!("/api/audit/journal?jti={jti}");
            let journal = world.admin(Method::GET, &path, Value::Null).await.expect(200).json();
            assert_eq!(journal["data"].as_array().unwrap().len(), 1, "{journal}");
            let entry = &journal["data"][0];
            assert_eq!(entry["outcome"], "issued");
            assert_eq!(entry["client_id"], "three");
            let credential = entry["credential"].as_str().unwrap().to_owned();
            assert_eq!(jti.split('.').nth(1), Some(credential.as_str()));
            named.push(credential);
        }
        named.sort();
        assert_eq!(named, ids);
        world.clock.advance_seconds(59);
        granted(with_header(&world, &basic("three", &secrets[2]), CC).await);
        world.clock.advance_seconds(1);
        refused(with_header(&world, &basic("three", &secrets[2]), CC).await, 401, "invalid_client");
        for secret in &secrets[..2] {
            granted(with_header(&world, &basic("three", secret), CC).await);
        }
    }

    async fn guessing_chosen_secrets_is_limited_and_never_locks_a_generated_one_out(world: World) {
        chosen(&world, "guessed", "a secret somebody chose").await;
        let generated = world.client("machine", json!({})).await;
        let mut answers = Vec::new();
        for _ in 0..25 {
            answers.push(with_header(&world, &basic("guessed", "a guess of somebody"), CC).await);
        }
        for answer in &answers[..20] {
            assert_eq!(answer.status, 401);
        }
        let last = refused(answers.pop().unwrap(), 429, "slow_down");
        assert!(last.header("retry-after").parse::<u32>().unwrap() >= 1);
        granted(with_header(&world, &basic("machine", &generated), CC).await);
    }
}
