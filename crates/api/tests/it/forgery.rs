//! Forged tokens (attack rows J01 to J10): presented wherever a token can be presented, each is refused, and what is
//! alive stays alive.
//!
//! Headers and claims that a server would never write are also signed with the tenant's own key: then the rule in
//! question is the only thing that stands between them and an answer.

use std::net::TcpListener;

use auth::key::KeyPurpose;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::Method;
use jose::mac::HmacKey;
use jose::{Alg, Jwk, SigningKey};
use serde_json::{Value, json};

use crate::mutation::percent;
use crate::on_both_engines;
use crate::world::{World, basic, claims};

fn part(json: &str) -> String {
    URL_SAFE_NO_PAD.encode(json)
}

/// An administrator whose tokens are the material.
struct Forge {
    world: World,
    secret: String,
    real: String,
    header: Value,
    claims: Value,
}

impl Forge {
    async fn new(world: World) -> Self {
        let free = json!({"limit": 0, "window_s": 1, "burst": 1});
        let more = json!({"scopes": ["admin", "read"], "rate_limit": free, "grant_types": ["client_credentials", "refresh_token"]});
        let secret = world.client("smith", more).await;
        let answer = world.token("smith", &secret, "&scope=admin").await.expect(200).json();
        let real = answer["access_token"].as_str().unwrap().to_owned();
        let (header, claims) = claims(&real);
        Self { world, secret, real, header, claims }
    }

    /// The claims with one set to a JSON text, or taken away.
    fn with(&self, name: &str, value: Option<&str>) -> String {
        let mut members = self.claims.as_object().unwrap().clone();
        members.shift_remove(name);
        let rest = Value::Object(members).to_string();
        value.map_or(rest.clone(), |value| format!("{{\"{name}\":{value},{}", &rest[1..]))
    }

    /// The header with members put in front.
    fn header_with(&self, members: &str) -> String {
        format!("{{{members},{}", &self.header.to_string()[1..])
    }

    /// The token that the tenant's own key makes of a header and claims.
    async fn signed(&self, header: &str, claims: &str) -> String {
        let keys = self.world.auth.keys(&*self.world.tenant().await).await.unwrap();
        let active = keys.active(KeyPurpose::Token, Alg::Es256).unwrap();
        active.key.sign_compact(&part(header), claims.as_bytes()).unwrap()
    }

    async fn is_alive(&self, token: &str) -> bool {
        self.world.introspect("smith", &self.secret, token).await["active"] == true
    }

    /// Asserts that a token gives nobody anything.
    async fn is_dead(&self, token: &str, why: &str) {
        let bearer = format!("Bearer {token}");
        for (method, path) in [(Method::GET, "/api/whoami"), (Method::POST, "/api/clients/smith/disable")] {
            let answer = self.world.request(method, path, &[("authorization", &bearer)], "").await;
            assert_eq!(answer.status, 401, "{why}: {path}: {}", answer.text);
        }
        let answer = self.world.form("/oauth2/introspect", &[("authorization", &bearer)], "token=x").await;
        assert_eq!(answer.status, 401, "{why}: as a bearer: {}", answer.text);
        let header = basic("smith", &self.secret);
        let answer = self
            .world
            .form("/oauth2/introspect", &[("authorization", &header)], &format!("token={}", percent(token.as_bytes())))
            .await;
        let expected = if token.is_empty() { (400, "invalid_request") } else { (200, "") };
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), expected, "{why}: {}", answer.text);
        assert!(token.is_empty() || answer.text == "{\"active\":false}", "{why}: {}", answer.text);
    }

    /// Asserts that a token is dead, and that whoever revokes it ends nothing.
    async fn is_refused(&self, token: &str, why: &str) {
        self.is_dead(token, why).await;
        let header = basic("smith", &self.secret);
        let answer = self
            .world
            .form("/oauth2/revoke", &[("authorization", &header)], &format!("token={}", percent(token.as_bytes())))
            .await;
        assert_eq!(answer.status, if token.is_empty() { 400 } else { 200 }, "{why}: {}", answer.text);
        assert!(self.is_alive(&self.real).await, "{why}: the real token was revoked");
    }

    fn kid(&self) -> &str {
        self.header["kid"].as_str().unwrap()
    }

    async fn published(&self) -> Value {
        let set = self.world.request(Method::GET, "/.well-known/jwks.json", &[], "").await.expect(200).json();
        set["keys"].as_array().unwrap().iter().find(|key| key["kid"] == self.kid()).unwrap().clone()
    }
}

/// The published key as `SubjectPublicKeyInfo` (RFC 5480).
fn spki(key: &Value) -> Vec<u8> {
    let prefix = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
    let mut der: Vec<u8> =
        (0..prefix.len()).step_by(2).map(|at| u8::from_str_radix(&prefix[at..at + 2], 16).unwrap()).collect();
    der.push(4);
    for name in ["x", "y"] {
        der.extend(URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap());
    }
    der
}

on_both_engines! {
    async fn the_forge_makes_good_tokens_of_honest_headers_and_claims(world: World) {
        let forge = Forge::new(world).await;
        let token = forge.signed(&forge.header.to_string(), &forge.claims.to_string()).await;
        assert!(forge.is_alive(&token).await);
        let bearer = format!("Bearer {token}");
        forge.world.request(Method::GET, "/api/whoami", &[("authorization", &bearer)], "").await.expect(200);
    }

    async fn a_token_without_a_signature_or_with_an_odd_algorithm_is_nothing(world: World) {
        let forge = Forge::new(world).await;
        let claims = forge.claims.to_string();
        for alg in ["\"none\"", "\"None\"", "\"nOnE\"", "\"NONE\"", "\"\"", "[\"none\"]", "[\"ES256\"]", "null", "\"ES512\"", "\"RSA-OAEP\""] {
            let header = json!({"typ": "at+jwt", "kid": forge.kid()}).to_string();
            let header = format!("{{\"alg\":{alg},{}", &header[1..]);
            for signature in ["", "AA", "."] {
                forge.is_refused(&format!("{}.{}.{signature}", part(&header), part(&claims)), alg).await;
            }
            forge.is_refused(&forge.signed(&header, &claims).await, alg).await;
        }
        let missing = json!({"typ": "at+jwt", "kid": forge.kid()}).to_string();
        forge.is_refused(&format!("{}.{}.", part(&missing), part(&claims)), "no alg").await;
        forge.is_refused(&forge.signed(&missing, &claims).await, "no alg").await;
        for alg in ["EdDSA", "RS256", "ES384"] {
            let header = json!({"alg": alg, "typ": "at+jwt", "kid": forge.kid()}).to_string();
            forge.is_refused(&forge.signed(&header, &claims).await, alg).await;
        }
    }

    async fn a_mac_keyed_with_the_published_key_is_nothing(world: World) {
        let forge = Forge::new(world).await;
        let key = forge.published().await;
        let der = spki(&key);
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(&der));
        let materials: Vec<Vec<u8>> = vec![
            key.to_string().into_bytes(), pem.clone().into_bytes(), format!("\n {pem}").into_bytes(), pem.trim_end().into(), der,
            forge.kid().into(), key["x"].as_str().unwrap().into(),
        ];
        for (material, alg) in materials.iter().flat_map(|m| [(m, "HS256"), (m, "ES256"), (m, "none")]) {
            let header = json!({"alg": alg, "typ": "at+jwt", "kid": forge.kid()}).to_string();
            let input = format!("{}.{}", part(&header), part(&forge.claims.to_string()));
            // HMAC hashes a key that is longer than its block, and every material is, but for two short ones.
            let tag = HmacKey::new(&jose::hash::sha256(material)).tag(input.as_bytes());
            forge.is_refused(&format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag)), alg).await;
        }
    }

    async fn five_parts_are_nothing_whatever_they_carry(world: World) {
        let forge = Forge::new(world).await;
        let unsigned = format!("{}.{}.", part(r#"{"alg":"none","typ":"at+jwt"}"#), part(&forge.claims.to_string()));
        let kid = forge.kid();
        for header in [r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#.to_owned(), format!(r#"{{"alg":"dir","enc":"A256GCM","kid":"{kid}","typ":"at+jwt"}}"#), forge.header.to_string()] {
            let header = part(&header);
            for inner in [&unsigned, &forge.real] {
                for token in [format!("{header}..{inner}"), format!("{header}.AA.{inner}"), format!("{header}.AA.AA.{}.AA", URL_SAFE_NO_PAD.encode(inner)), format!("{inner}..")] {
                    forge.is_refused(&token, "five parts").await;
                }
            }
        }
    }

    async fn a_key_that_comes_with_the_token_is_neither_used_nor_fetched(world: World) {
        let forge = Forge::new(world).await;
        let canary = TcpListener::bind("127.0.0.1:0").unwrap();
        canary.set_nonblocking(true).unwrap();
        let address = canary.local_addr().unwrap();
        let (own, _) = SigningKey::generate(Alg::Es256).unwrap();
        let embedded = serde_json::to_string(&Jwk { kid: Some(forge.kid().into()), ..own.public_jwk().clone() }).unwrap();
        let claims = forge.claims.to_string();
        let certificate = STANDARD.encode(spki(&serde_json::to_value(own.public_jwk()).unwrap()));
        for member in [
            format!("\"jwk\":{embedded}"), format!("\"x5c\":[\"{certificate}\"]"), format!("\"jku\":\"http://{address}/jwks.json\""),
            format!("\"jku\":\"https://{address}/jwks.json\""), format!("\"x5u\":\"http://{address}/x\""), "\"x5u\":\"file:///etc/passwd\"".to_owned(),
            format!("\"jku\":\"ftp://{address}/x\""), "\"jwk\":null".to_owned(),
        ] {
            let header = forge.header_with(&member);
            forge.is_refused(&own.sign_compact(&part(&header), claims.as_bytes()).unwrap(), &member).await;
            forge.is_refused(&forge.signed(&header, &claims).await, &member).await;
        }
        assert_eq!(canary.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "somebody was asked for a key");
    }

    async fn extensions_encryption_and_compression_in_a_header_are_refused(world: World) {
        let forge = Forge::new(world).await;
        let claims = forge.claims.to_string();
        for member in [
            "\"crit\":[\"x\"],\"x\":1", "\"crit\":[]", "\"crit\":[\"b64\"],\"b64\":false", "\"b64\":false", "\"b64\":true",
        ] {
            forge.is_refused(&forge.signed(&forge.header_with(member), &claims).await, member).await;
        }
        for member in ["\"zip\":\"DEF\"", "\"p2c\":2147483648", "\"p2s\":\"AA\"", "\"enc\":\"A256GCM\"", "\"epk\":{}"] {
            forge.is_refused(&forge.signed(&forge.header_with(member), &claims).await, member).await;
        }
        let bomb = format!("{}.{}.AA", part(r#"{"alg":"PBES2-HS256+A128KW","p2c":2147483648,"enc":"A128GCM"}"#), "A".repeat(18_000));
        forge.is_refused(&bomb, "longer than any token").await;
    }

    async fn times_that_are_missing_of_another_kind_or_out_of_reach_are_refused(world: World) {
        let forge = Forge::new(world).await;
        let now = forge.world.auth.clock.now().as_seconds();
        let header = forge.header.to_string();
        for name in ["exp", "nbf", "iat"] {
            let odd = [format!("\"{}\"", now + 60), "null".into(), "true".into(), "[]".into(), "{}".into(), "1e400".into(), format!("{now}.5"), "-1".into(),
                "9223372036854775807".into(), "9223372036854775808".into(), "1e18".into()];
            for value in odd.iter().map(String::as_str) {
                forge.is_refused(&forge.signed(&header, &forge.with(name, Some(value))).await, &format!("{name}: {value}")).await;
            }
            forge.is_refused(&forge.signed(&header, &forge.with(name, None)).await, &format!("no {name}")).await;
        }
        for (name, value) in [("exp", now), ("exp", now - 1), ("exp", 0)] {
            forge.is_refused(&forge.signed(&header, &forge.with(name, Some(&value.to_string()))).await, &format!("{name}: {value}")).await;
        }
        // Not good yet; revoking it early is no mistake.
        for ahead in [61, 86_400] {
            let early = (now + ahead).to_string();
            forge.is_dead(&forge.signed(&header, &forge.with("nbf", Some(&early))).await, &early).await;
        }
        let twice = format!("{{\"exp\":{},{}", now + 60, &forge.claims.to_string()[1..]);
        forge.is_refused(&forge.signed(&header, &twice).await, "exp twice").await;
    }

    async fn a_signature_that_is_cut_empty_or_another_ones_is_refused(world: World) {
        let forge = Forge::new(world).await;
        let (input, signature) = forge.real.rsplit_once('.').unwrap();
        let other = forge.signed(&forge.header.to_string(), &forge.with("scope", Some("\"read\""))).await;
        let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let swapped = [&bytes[32..], &bytes[..32]].concat();
        for bad in [
            String::new(), "A".into(), signature[..43].into(), signature[..85].into(), format!("{signature}AA"), "A".repeat(86),
            URL_SAFE_NO_PAD.encode(swapped), other.rsplit_once('.').unwrap().1.to_owned(), STANDARD.encode(&bytes),
        ] {
            forge.is_refused(&format!("{input}.{bad}"), &bad).await;
        }
    }

    async fn each_kind_of_credential_is_nothing_where_another_kind_belongs(world: World) {
        let forge = Forge::new(world).await;
        let world = &forge.world;
        let header = basic("smith", &forge.secret);
        let opaque_secret = world.client("opaque", json!({"access_token_format": "opaque"})).await;
        let opaque = world.token("opaque", &opaque_secret, "").await.expect(200).json()["access_token"].as_str().unwrap().to_owned();
        let refresh = world.token("smith", &forge.secret, "&scope=read").await.expect(200).json()["refresh_token"].as_str().unwrap().to_owned();
        let accept = [("authorization", header.as_str()), ("accept", "application/token-introspection+jwt")];
        let introspection = world.form("/oauth2/introspect", &accept, &format!("token={}", forge.real)).await.expect(200).text;
        let cursor = world.admin(Method::GET, "/api/clients?limit=1", Value::Null).await.expect(200).json()["next_cursor"].as_str().unwrap().to_owned();
        // At the admin API nothing but an access token for it is good.
        for credential in [&opaque, &refresh, &introspection, &cursor, &forge.secret] {
            let bearer = format!("Bearer {credential}");
            world.request(Method::GET, "/api/whoami", &[("authorization", &bearer)], "").await.expect(401);
            world.form("/oauth2/introspect", &[("authorization", &bearer)], "token=x").await.expect(401);
        }
        for credential in [&introspection, &cursor, &forge.secret] {
            forge.is_refused(credential, "another kind of credential").await;
        }
        for credential in [&opaque, &forge.real, &introspection, &cursor, &forge.secret] {
            let answer = world.refresh("smith", &forge.secret, credential, "").await.expect(400);
            assert_eq!(answer.error(), "invalid_grant", "{credential}");
        }
        for credential in [&opaque, &forge.real, &introspection, &cursor, &refresh] {
            assert_eq!(world.token("smith", credential, "").await.expect(401).error(), "invalid_client", "{credential}");
        }
        // A good signature of the right key over the right claims, of another type.
        let claims = forge.claims.to_string();
        for typ in ["\"JWT\"", "\"token-introspection+jwt\"", "\"dpop+jwt\"", "\"license+jwt\"", "\"at+jwt \"", "\"\"", "null", "7"] {
            let header = format!("{{\"alg\":\"ES256\",\"typ\":{typ},\"kid\":\"{}\"}}", forge.kid());
            forge.is_refused(&forge.signed(&header, &claims).await, typ).await;
        }
        let untyped = format!("{{\"alg\":\"ES256\",\"kid\":\"{}\"}}", forge.kid());
        forge.is_refused(&forge.signed(&untyped, &claims).await, "no typ").await;
    }

    async fn a_token_for_another_audience_is_nothing_at_the_admin_api(world: World) {
        let forge = Forge::new(world).await;
        let world = &forge.world;
        let elsewhere = world.token("smith", &forge.secret, "&scope=read").await.expect(200).json()["access_token"].as_str().unwrap().to_owned();
        assert!(forge.is_alive(&elsewhere).await);
        let header = forge.header.to_string();
        let mut tokens = vec![elsewhere];
        for audience in ["\"https://id.example\"", "\"https://id.example/api/\"", "\"HTTPS://ID.EXAMPLE/api\"", "\"https://id.example:443/api\"", "\"api\"", "\"\"", "[]", "[\"https://id.example/apis/default\"]"] {
            tokens.push(forge.signed(&header, &forge.with("aud", Some(audience))).await);
        }
        for token in &tokens {
            let bearer = format!("Bearer {token}");
            world.request(Method::GET, "/api/whoami", &[("authorization", &bearer)], "").await.expect(401);
            world.form("/oauth2/introspect", &[("authorization", &bearer)], "token=x").await.expect(401);
        }
        for audience in ["7", "null", "{}", "[7]", "[null]"] {
            forge.is_refused(&forge.signed(&header, &forge.with("aud", Some(audience))).await, audience).await;
        }
    }

    async fn an_issuer_or_tenant_that_is_not_the_same_byte_by_byte_is_another(world: World) {
        let forge = Forge::new(world).await;
        forge.world.admin(Method::POST, "/api/tenants", json!({"slug": "acme"})).await.expect(201);
        let header = forge.header.to_string();
        for issuer in [
            "https://id.example/", "https://ID.example", "HTTPS://id.example", "https://id.example:443", "http://id.example", "https://id.example/t/acme",
            "https://id.example.evil.example", "https://evil.example", "id.example", " https://id.example", "",
        ] {
            forge.is_refused(&forge.signed(&header, &forge.with("iss", Some(&json!(issuer).to_string()))).await, issuer).await;
        }
        for tenant in ["\"acme\"", "\"Default\"", "\"\"", "null", "7"] {
            forge.is_refused(&forge.signed(&header, &forge.with("tenant", Some(tenant))).await, tenant).await;
        }
        for name in ["iss", "aud", "client_id", "sub", "jti", "tenant"] {
            forge.is_refused(&forge.signed(&header, &forge.with(name, None)).await, name).await;
        }
    }
}
