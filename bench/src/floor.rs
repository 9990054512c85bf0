//! Floors: the least a server on the same HTTP stack can do for a request, measured beside the product.
//!
//! They keep no state and know no policy. Their form and Basic parsing is deliberately not the product's, so that
//! the yardstick stays what it is when the product's parsers change.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jose::mac::HmacKey;
use jose::{Alg, JwkSet, SigningKey, SystemEntropy};
use kernel::clock::Timestamp;
use kernel::id::{Id, Token};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use crate::arguments::Arguments;
use crate::output::say;

/// The one secret that a token floor accepts, from any client.
pub(crate) const SECRET: &str = "bst_floor_0123456789abcdefghjkmnpqrstvwxyz0123456789abcdefgh";
const ISSUER: &str = "http://127.0.0.1:8080";

/// Which floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Token(Alg),
}

impl Kind {
    /// Reads the name of the command line.
    pub(crate) fn parse(name: &str) -> Result<Self> {
        match name {
            "plain" => Ok(Self::Plain),
            "token-es256" => Ok(Self::Token(Alg::Es256)),
            "token-eddsa" => Ok(Self::Token(Alg::EdDsa)),
            _ => bail!("no floor is called `{name}`"),
        }
    }
}

/// What a token floor needs, prepared once.
struct Issuer {
    key: SigningKey,
    header: String,
    keys: Bytes,
    mac: HmacKey,
    tag: [u8; 32],
}

impl Issuer {
    fn new(alg: Alg) -> Result<Self> {
        let (key, _) = SigningKey::generate(alg)?;
        let keys = serde_json::to_vec(&JwkSet { keys: vec![key.public_jwk().clone()] })?;
        let mac = HmacKey::new(&[7; 32]);
        let tag = mac.tag(SECRET.as_bytes());
        Ok(Self { header: key.header("at+jwt"), key, keys: Bytes::from(keys), mac, tag })
    }

    fn issue(&self, client_id: &str, scope: &str) -> Result<Bytes> {
        let now = now();
        let jti = Id::<Token>::generate(now, &mut SystemEntropy::new()).base32();
        let iat = now.as_seconds();
        let claims = json!({
            "iss": ISSUER, "sub": client_id, "client_id": client_id, "aud": "https://api.example",
            "exp": iat.saturating_add(900), "iat": iat, "nbf": iat, "jti": jti, "scope": scope, "tenant": "default",
        });
        let token = self.key.sign_compact(&self.header, &serde_json::to_vec(&claims)?)?;
        let answer = json!({ "access_token": token, "token_type": "Bearer", "expires_in": 900, "scope": scope });
        Ok(Bytes::from(serde_json::to_vec(&answer)?))
    }
}

/// Wall time; the floor is no part of the product and has no clock to be given.
#[expect(clippy::disallowed_methods, reason = "the process entry of the floor: there is nobody to pass a clock")]
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Serves until it is killed, having said its address.
pub(crate) fn main(kind: Kind, arguments: &Arguments) -> Result<()> {
    let address: SocketAddr = arguments.value("listen", SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))?;
        say(&format!("listening {}", listener.local_addr()?));
        serve(kind, listener).await
    })
}

/// Answers every connection of the listener.
pub(crate) async fn serve(kind: Kind, listener: TcpListener) -> Result<()> {
    let issuer = match kind {
        Kind::Plain => None,
        Kind::Token(alg) => Some(Arc::new(Issuer::new(alg)?)),
    };
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(connection(stream, issuer.clone()));
    }
}

async fn connection(stream: TcpStream, issuer: Option<Arc<Issuer>>) {
    let service = service_fn(move |request| {
        let issuer = issuer.clone();
        async move {
            Ok::<_, Infallible>(match &issuer {
                None => plain(),
                Some(issuer) => token(issuer, request).await.unwrap_or_else(refusal),
            })
        }
    });
    // a connection that breaks off is the load generator's business, which counts its answers
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

fn plain() -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from_static(b"{\"status\":\"ok\"}")));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

fn refusal(status: StatusCode) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::new()));
    *answer.status_mut() = status;
    answer
}

async fn token(issuer: &Issuer, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, StatusCode> {
    if request.method() == Method::GET {
        let mut answer = Response::new(Full::new(issuer.keys.clone()));
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        return Ok(answer);
    }
    let (parts, body) = request.into_parts();
    let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let encoded = header.and_then(|value| value.strip_prefix("Basic ")).ok_or(StatusCode::UNAUTHORIZED)?;
    let decoded = STANDARD.decode(encoded).map_err(|_| StatusCode::UNAUTHORIZED)?;
    let decoded = String::from_utf8(decoded).map_err(|_| StatusCode::UNAUTHORIZED)?;
    let (id, secret) = decoded.split_once(':').ok_or(StatusCode::UNAUTHORIZED)?;
    if !issuer.mac.verify(secret.as_bytes(), &issuer.tag) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let body = body.collect().await.map_err(|_| StatusCode::BAD_REQUEST)?.to_bytes();
    let (mut grant, mut scope) = (None, None);
    for (name, value) in form_urlencoded::parse(&body) {
        match &*name {
            "grant_type" => grant = Some(value),
            "scope" => scope = Some(value),
            _ => {}
        }
    }
    if grant.as_deref() != Some("client_credentials") {
        return Err(StatusCode::BAD_REQUEST);
    }
    let body = issuer.issue(id, scope.as_deref().unwrap_or("read"));
    let mut answer = Response::new(Full::new(body.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}
