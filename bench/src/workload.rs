//! Workloads: which request comes next on a connection, and whether its answer is the expected one.

use std::cell::Cell;
use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jose::{JwkSet, VerifyKey, jws};
use serde_json::Value;

use crate::client::{Answer, Connection, find, member};

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A plain GET.
    Get,
    /// The client credentials grant, clients in rotation.
    Token,
    /// The refresh grant, one chain per connection.
    Refresh,
    /// Introspection of tokens in rotation.
    Introspect,
    /// Introspection of each token once; the run ends with the tokens.
    IntrospectOnce,
    /// Whether a customer may use a feature.
    Check,
    /// Batches of events of use, none of which came before.
    Usage,
}

impl Kind {
    /// Reads the name of the command line.
    pub(crate) fn parse(name: &str) -> Result<Self> {
        Ok(match name {
            "get" => Self::Get,
            "token" => Self::Token,
            "refresh" => Self::Refresh,
            "introspect" => Self::Introspect,
            "introspect-once" => Self::IntrospectOnce,
            "check" => Self::Check,
            "usage" => Self::Usage,
            _ => bail!("no workload is called `{name}`"),
        })
    }

    /// The name of the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Token => "token",
            Self::Refresh => "refresh",
            Self::Introspect => "introspect",
            Self::IntrospectOnce => "introspect-once",
            Self::Check => "check",
            Self::Usage => "usage",
        }
    }
}

/// A workload whose requests are written out before the clock runs.
pub(crate) struct Workload {
    kind: Kind,
    requests: Vec<Vec<u8>>,
    clients: Vec<(String, String)>,
    next: Cell<usize>,
}

/// The chain of one connection: its client's header value and the newest refresh token.
pub(crate) struct Chain {
    authorization: String,
    token: String,
    request: Vec<u8>,
}

/// The header value of HTTP Basic; ids and secrets of ours need no form encoding (RFC 6749 §2.3.1).
pub(crate) fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

/// A POST of a form.
pub(crate) fn form(path: &str, authorization: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {authorization}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A POST of a document.
pub(crate) fn document(path: &str, bearer: &str, kind: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {bearer}\r\n\
         Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len(),
    )
    .into_bytes()
}

/// The customer and feature that workloads of usage ask about.
pub(crate) const CUSTOMER: &str = "bench-customer";
pub(crate) const FEATURE: &str = "calls";
/// The type of their events.
pub(crate) const EVENT_TYPE: &str = "bench.call";
/// Events of a batch.
pub(crate) const BATCH: usize = 100;

/// A GET.
pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").into_bytes()
}

const TOKEN_FORM: &str = "grant_type=client_credentials&scope=read";

/// The request of the client credentials grant.
pub(crate) fn token_request(id: &str, secret: &str) -> Vec<u8> {
    form("/oauth2/token", &basic(id, secret), TOKEN_FORM)
}

/// A batch of events whose ids begin so.
fn batch(bearer: &str, prefix: &str) -> Vec<u8> {
    let events: Vec<String> = (0..BATCH)
        .map(|number| {
            format!(
                "{{\"specversion\":\"1.0\",\"id\":\"{prefix}-{number}\",\"source\":\"bench\",\"type\":\"{EVENT_TYPE}\",\
                 \"subject\":\"{CUSTOMER}\",\"data\":{{\"path\":\"/v1/search\",\"status\":200}}}}"
            )
        })
        .collect();
    let body = format!("[{}]", events.join(","));
    document("/api/usage/events", bearer, "application/cloudevents-batch+json", &body)
}

impl Workload {
    /// Plain GETs of one path.
    pub(crate) fn get(path: &str) -> Self {
        Self::of(Kind::Get, vec![get(path)], Vec::new())
    }

    /// Token requests of these clients, in rotation.
    pub(crate) fn tokens(clients: Vec<(String, String)>) -> Self {
        let requests = clients.iter().map(|(id, secret)| token_request(id, secret)).collect();
        Self::of(Kind::Token, requests, clients)
    }

    /// Refresh chains, the n-th connection on the n-th client.
    pub(crate) fn refresh(clients: Vec<(String, String)>) -> Self {
        Self::of(Kind::Refresh, Vec::new(), clients)
    }

    /// One question about usage, again and again.
    pub(crate) fn check(bearer: &str) -> Self {
        let body = format!("{{\"customer_id\":\"{CUSTOMER}\",\"feature\":\"{FEATURE}\"}}");
        Self::of(Kind::Check, vec![document("/api/check", bearer, "application/json", &body)], Vec::new())
    }

    /// Batches of events of use.
    pub(crate) fn usage(bearer: &str) -> Self {
        Self::of(Kind::Usage, Vec::new(), vec![(String::new(), bearer.to_owned())])
    }

    /// Introspection of these tokens by one caller.
    pub(crate) fn introspect(kind: Kind, authorization: &str, tokens: &[String]) -> Self {
        let request = |token: &String| form("/oauth2/introspect", authorization, &format!("token={token}"));
        Self::of(kind, tokens.iter().map(request).collect(), Vec::new())
    }

    fn of(kind: Kind, requests: Vec<Vec<u8>>, clients: Vec<(String, String)>) -> Self {
        Self { kind, requests, clients, next: Cell::new(0) }
    }

    /// The chain of the n-th connection: `None` where connections carry nothing.
    pub(crate) async fn chain(&self, index: usize, connection: &mut Connection) -> Result<Option<Chain>> {
        if self.kind == Kind::Usage {
            let authorization = self.clients.first().map(|(_, bearer)| bearer.clone()).unwrap_or_default();
            // no other run and no other connection has these ids
            let token = format!("{}-{index}", std::process::id());
            return Ok(Some(Chain { authorization, token, request: Vec::new() }));
        }
        if self.kind != Kind::Refresh {
            return Ok(None);
        }
        let (id, secret) = self.clients.get(index).context("fewer clients than connections")?;
        let answer = connection.exchange(&token_request(id, secret)).await?;
        let token = member(answer.body, "refresh_token");
        let token = token.with_context(|| format!("no refresh token: {}", answer.describe()))?.to_owned();
        Ok(Some(Chain { authorization: basic(id, secret), token, request: Vec::new() }))
    }

    /// The next request; `None` ends the run.
    pub(crate) fn next<'a>(&'a self, chain: Option<&'a mut Chain>) -> Option<&'a [u8]> {
        if self.kind == Kind::Usage {
            let (chain, number) = (chain?, self.next.get());
            self.next.set(number.saturating_add(1));
            chain.request = batch(&chain.authorization, &format!("{}-{number}", chain.token));
            return Some(&chain.request);
        }
        if let Some(chain) = chain {
            let body = format!("grant_type=refresh_token&refresh_token={}", chain.token);
            chain.request = form("/oauth2/token", &chain.authorization, &body);
            return Some(&chain.request);
        }
        let index = self.next.get();
        let rotates = self.kind != Kind::IntrospectOnce;
        let after = index.saturating_add(1);
        self.next.set(if rotates && after >= self.requests.len() { 0 } else { after });
        self.requests.get(index).map(Vec::as_slice)
    }

    /// Whether the answer is the expected one; a chain moves on.
    pub(crate) fn accept(&self, answer: &Answer<'_>, chain: Option<&mut Chain>) -> Result<()> {
        let is_expected = answer.status == 200
            && match self.kind {
                Kind::Get => true,
                Kind::Token | Kind::Refresh => find(answer.body, b"\"access_token\":\"").is_some(),
                Kind::Introspect | Kind::IntrospectOnce => find(answer.body, b"\"active\":true").is_some(),
                Kind::Check => find(answer.body, b"\"allowed\":true").is_some(),
                Kind::Usage => find(answer.body, b"\"accepted\":100,\"duplicates\":0").is_some(),
            };
        if !is_expected {
            bail!("an answer that is not the expected one: {}", answer.describe());
        }
        if let Some(chain) = chain.filter(|_| self.kind == Kind::Refresh) {
            let token = member(answer.body, "refresh_token").context("a refresh without a new refresh token")?;
            token.clone_into(&mut chain.token);
        }
        Ok(())
    }

    /// Asks once before the clock runs and looks closely: JSON, and the signature against the published keys.
    pub(crate) async fn validate(&self, address: SocketAddr) -> Result<()> {
        let mut connection = Connection::open(address).await?;
        if self.kind == Kind::Refresh {
            self.chain(0, &mut connection).await?;
            return Ok(());
        }
        // the same request again does no harm, except to a token that must be seen for the first time
        if matches!(self.kind, Kind::IntrospectOnce | Kind::Usage) {
            return Ok(());
        }
        let request = self.requests.first().context("there is nothing to ask")?;
        let answer = connection.exchange(request).await?;
        self.accept(&answer, None)?;
        let value: Value = serde_json::from_slice(answer.body).context("an answer that is not JSON")?;
        if self.kind == Kind::Token {
            let token = value.get("access_token").and_then(Value::as_str).context("no access token")?.to_owned();
            let answer = connection.exchange(&get("/.well-known/jwks.json")).await?;
            let keys: JwkSet = serde_json::from_slice(answer.body).context("the keys are not a JWK set")?;
            let kid = jws::parse(&token)?.header.kid;
            let jwk = keys.keys.iter().find(|jwk| jwk.kid == kid).context("the token's key is not published")?;
            jws::verify(&token, &VerifyKey::from_jwk(jwk)?).context("the token's signature")?;
        }
        Ok(())
    }
}
