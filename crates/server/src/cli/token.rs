//! `bastionary token`: get one, look into one.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use jose::{Alg, JwkSet, VerifyKey};
use kernel::clock::{Clock as _, Timestamp};
use serde_json::{Value, json};

use super::remote::{credentials, oauth_failure, read_text, server, token_request};
use super::shape::{Shape, print};
use crate::clock::WallClock;
use crate::failure::{Exit, Failure};
use crate::outbound::Message;
use crate::terminal;

/// Clocks of issuer and reader may differ by this much, in seconds.
const SKEW_SECONDS: i64 = 60;

#[derive(clap::Subcommand)]
pub(crate) enum Token {
    /// Print an access token
    #[command(
        after_help = "Example:\n  BASTIONARY_CLIENT_SECRET=… bastionary token get --client-id demo --scope invoices:read"
    )]
    Get(Get),
    /// Decode and verify a token, and say why an API would refuse it
    #[command(
        after_help = "Example:\n  bastionary token inspect \"$ACCESS_TOKEN\" --audience https://invoices.example"
    )]
    Inspect(Inspect),
}

#[derive(clap::Args)]
pub(crate) struct Get {
    /// URL of the server [env: BASTIONARY_ISSUER] [default: http://127.0.0.1:8080]
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// The client [env: BASTIONARY_CLIENT_ID]
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// File with the secret; `-` reads standard input [env: BASTIONARY_CLIENT_SECRET, BASTIONARY_CLIENT_SECRET_FILE]
    #[arg(long, value_name = "FILE")]
    client_secret_file: Option<PathBuf>,
    #[command(flatten)]
    argument: super::remote::SecretArgument,
    /// Scopes, separated by spaces; may be repeated
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// Audience of the token, an API's identifier; may be repeated
    #[arg(long, value_name = "URI")]
    resource: Vec<String>,
    /// Certificates to trust, PEM, instead of the system's [env: BASTIONARY_CA_FILE]
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// `json` prints the whole answer; otherwise the token alone
    #[arg(short, long, value_enum, default_value_t)]
    output: Shape,
}

#[derive(clap::Args)]
pub(crate) struct Inspect {
    /// The token; read from standard input when it is left out or `-`
    token: Option<String>,
    /// The identifier of the API that would read the token
    #[arg(long, value_name = "URI")]
    audience: Option<String>,
    /// URL to fetch the keys from, in place of the token's own issuer
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// Key set in a file; then no server is asked
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// Certificates to trust, PEM, instead of the system's [env: BASTIONARY_CA_FILE]
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: Shape,
}

pub(crate) async fn carry_out(command: Token) -> Result<Exit, Failure> {
    match command {
        Token::Get(get) => get.carry_out().await,
        Token::Inspect(inspect) => inspect.carry_out().await,
    }
}

impl Get {
    async fn carry_out(self) -> Result<Exit, Failure> {
        self.argument.refuse()?;
        let server = server(self.issuer.as_deref(), self.ca_file.as_deref());
        let (id, secret) = credentials(self.client_id.as_deref(), self.client_secret_file.as_deref())?;
        let scope = self.scope.join(" ");
        let mut fields = vec![("grant_type", "client_credentials")];
        if !scope.is_empty() {
            fields.push(("scope", scope.as_str()));
        }
        fields.extend(self.resource.iter().map(|resource| ("resource", resource.as_str())));
        let answer = token_request(&server, &id, &secret, &fields).await?;
        let Some(token) = answer.get("access_token").and_then(Value::as_str) else {
            return Err(oauth_failure(&answer));
        };
        match self.output {
            Shape::Json | Shape::Yaml => print(&answer, self.output, &[]),
            Shape::Table | Shape::Id => terminal::line(token),
        }
        Ok(Exit::Done)
    }
}

impl Inspect {
    async fn carry_out(self) -> Result<Exit, Failure> {
        let text = match self.token.as_deref() {
            Some(token) if token != "-" => token.to_owned(),
            _ => read_text(Path::new("-"), "token")?,
        };
        let text = text.trim();
        if text.starts_with(kernel::secret::ACCESS_TOKEN) {
            return Err(Failure::new(
                "this is an opaque token",
                "it holds nothing to decode; only its server knows what it stands for",
                "Ask the server with `POST /oauth2/introspect`.",
            ));
        }
        let not_jwt = |error: &dyn std::fmt::Display| {
            Failure::new(
                "this is not a token that can be decoded",
                error,
                "Pass the value of `access_token`, with nothing around it.",
            )
            .exit(Exit::Usage)
        };
        // Decoded by hand: a token with an algorithm that is never accepted is still worth looking into.
        let (header, claims) =
            decode(text).ok_or_else(|| not_jwt(&"it is not three parts of base64url with JSON in the first two"))?;
        let mut reasons = claim_reasons(&header, &claims, self.audience.as_deref(), WallClock::new().now());
        match self.keys(&claims).await {
            Ok(keys) => reasons.extend(signature_reason(text, &header, &keys)),
            Err(failure) => {
                reasons.push(format!("the signature could not be checked: {}; {}", failure.what, failure.why));
            }
        }
        let report = json!({"valid": reasons.is_empty(), "reasons": reasons, "header": header, "claims": claims});
        match self.output {
            Shape::Json | Shape::Yaml => print(&report, self.output, &[]),
            Shape::Id => terminal::line(claims.get("jti").and_then(Value::as_str).unwrap_or("-")),
            Shape::Table => {
                terminal::line("header");
                terminal::data(&indented(&header));
                terminal::line("claims");
                terminal::data(&indented(&claims));
                if reasons.is_empty() {
                    terminal::line("An API that is named in `aud` would accept this token.");
                } else {
                    terminal::line("An API would refuse this token:");
                    for reason in &reasons {
                        terminal::line(&format!("  {reason}"));
                    }
                }
            }
        }
        Ok(if reasons.is_empty() { Exit::Done } else { Exit::Failed })
    }

    async fn keys(&self, claims: &Value) -> Result<JwkSet, Failure> {
        let unreadable = |error: serde_json::Error| Failure::new("the key set cannot be read", error, "");
        if let Some(file) = &self.jwks {
            return serde_json::from_str(&read_text(file, "key set")?).map_err(unreadable);
        }
        let issuer = self.issuer.as_deref().or_else(|| claims.get("iss").and_then(Value::as_str));
        let server = server(issuer, self.ca_file.as_deref());
        let answer = server.send(Method::GET, "/.well-known/jwks.json", Message::default()).await?;
        serde_json::from_slice(&answer.body).map_err(unreadable)
    }
}

fn decode(token: &str) -> Option<(Value, Value)> {
    let mut parts = token.split('.');
    let mut next = || {
        let bytes = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
        serde_json::from_slice(&bytes).ok().filter(Value::is_object)
    };
    let decoded = (next()?, next()?);
    (parts.count() == 1).then_some(decoded)
}

fn indented(value: &Value) -> String {
    let mut out = String::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        let moment = ["exp", "iat", "nbf"].contains(&name.as_str()).then(|| value.as_i64()).flatten();
        let moment = moment.map(|at| format!("  ({})", Timestamp::from_seconds(at))).unwrap_or_default();
        let text = value.as_str().map_or_else(|| value.to_string(), |text| text.escape_debug().to_string());
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  {name:9}  {text}{moment}");
    }
    out
}

/// What a resource server finds wrong without the signature (RFC 9068 §4).
fn claim_reasons(header: &Value, claims: &Value, audience: Option<&str>, now: Timestamp) -> Vec<String> {
    let mut reasons = Vec::new();
    let typ = header.get("typ").and_then(Value::as_str).unwrap_or_default();
    if !typ.eq_ignore_ascii_case("at+jwt") && !typ.eq_ignore_ascii_case("application/at+jwt") {
        reasons.push(format!("`typ` is {typ:?} and not `at+jwt`, so this is no access token (RFC 9068 section 4)"));
    }
    let seconds = |name: &str| claims.get(name).and_then(Value::as_i64);
    match seconds("exp") {
        None => reasons.push("`exp` is missing".to_owned()),
        Some(exp) if exp.saturating_add(SKEW_SECONDS) <= now.as_seconds() => {
            let ago = now.as_seconds().saturating_sub(exp);
            reasons.push(format!("it expired at {}, {ago} s ago; get a new one", Timestamp::from_seconds(exp)));
        }
        Some(exp) if exp <= now.as_seconds() => {
            reasons
                .push(format!("it expired at {}; an API without tolerance refuses it", Timestamp::from_seconds(exp)));
        }
        Some(_) => {}
    }
    if let Some(nbf) = seconds("nbf").filter(|nbf| nbf.saturating_sub(SKEW_SECONDS) > now.as_seconds()) {
        reasons.push(format!("it is not valid before {}", Timestamp::from_seconds(nbf)));
    }
    for name in ["iss", "sub", "client_id", "jti", "iat"] {
        if claims.get(name).is_none() {
            reasons.push(format!("`{name}` is missing (RFC 9068 section 2.2)"));
        }
    }
    let named: Vec<&str> = match claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if named.is_empty() {
        reasons.push("`aud` is missing".to_owned());
    } else if let Some(audience) = audience.filter(|audience| !named.contains(audience)) {
        reasons.push(format!("`aud` is {} and not {audience}; ask with `resource={audience}`", named.join(" ")));
    }
    reasons
}

fn signature_reason(token: &str, header: &Value, keys: &JwkSet) -> Option<String> {
    let alg = header.get("alg").and_then(Value::as_str).unwrap_or_default();
    if Alg::parse(alg).is_none() {
        return Some(format!("`alg` is {alg:?}, which no API should accept (RFC 8725 section 3.1)"));
    }
    let kid = header.get("kid").and_then(Value::as_str).unwrap_or_default();
    let key = keys.keys.iter().filter_map(|jwk| VerifyKey::from_jwk(jwk).ok()).find(|key| key.kid() == kid);
    let Some(key) = key else {
        return Some(format!("the issuer has no key {kid:?}: another server signed it, or the key was revoked"));
    };
    jose::jws::verify(token, &key)
        .err()
        .map(|_| "the signature does not fit: the token was changed on its way".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_seconds(1_000)
    }

    fn good() -> (Value, Value) {
        let claims =
            json!({"iss": "i", "sub": "s", "client_id": "c", "jti": "j", "iat": 900, "exp": 1_900, "aud": ["a"]});
        (json!({"typ": "at+jwt", "alg": "ES256", "kid": "k"}), claims)
    }

    #[test]
    fn a_sound_token_has_no_reason_against_it() {
        let (header, claims) = good();
        assert_eq!(claim_reasons(&header, &claims, Some("a"), now()), Vec::<String>::new());
    }

    #[test]
    fn each_flaw_is_named_by_its_claim() {
        let (header, claims) = good();
        for (name, value, part) in [
            ("exp", json!(900), "expired"),
            ("exp", Value::Null, "`exp` is missing"),
            ("nbf", json!(1_500), "not valid before"),
            ("aud", json!("b"), "ask with `resource=a`"),
            ("aud", json!([]), "`aud` is missing"),
        ] {
            let mut flawed = claims.clone();
            flawed[name] = value;
            let reasons = claim_reasons(&header, &flawed, Some("a"), now());
            assert!(reasons.len() == 1 && reasons[0].contains(part), "{reasons:?}");
        }
        let reasons = claim_reasons(&json!({"typ": "JWT"}), &claims, None, now());
        assert!(reasons.len() == 1 && reasons[0].contains("at+jwt"), "{reasons:?}");
    }

    #[test]
    fn an_unsigned_or_symmetric_token_is_refused_by_its_algorithm() {
        for alg in ["none", "HS256"] {
            let reason = signature_reason("x", &json!({"alg": alg}), &JwkSet { keys: Vec::new() }).unwrap();
            assert!(reason.contains(alg), "{reason}");
        }
    }
}
