//! The HTTP client of the command line: one request per connection, HTTP/1.1, over TCP or TLS.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::failure::Failure;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_mins(1);
/// Largest answer that is read, in bytes.
const ANSWER_MAX: usize = 64 << 20;
/// A server to talk to.
pub struct Outbound {
    base: String,
    ca_file: Option<PathBuf>,
}

/// What it answered.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// What is sent.
#[derive(Default)]
pub struct Message {
    /// Value of `Authorization`, never printed.
    pub authorization: Option<String>,
    /// Further fields.
    pub fields: Vec<(HeaderName, String)>,
    /// Media type and body.
    pub body: Option<(&'static str, Vec<u8>)>,
}

impl Outbound {
    /// A server by its base URL; `ca_file` names the certificates to trust in place of the system's.
    pub fn new(base: &str, ca_file: Option<&Path>) -> Self {
        Self { base: base.trim_end_matches('/').to_owned(), ca_file: ca_file.map(Path::to_path_buf) }
    }

    /// The base URL.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Sends a request to a path below the base URL.
    ///
    /// # Errors
    /// When there is no answer; an answer of any status is none.
    pub async fn send(&self, method: Method, path: &str, message: Message) -> Result<Answer, Failure> {
        self.send_to(method, &format!("{}{path}", self.base), message).await
    }

    /// Sends a request to an absolute URL.
    ///
    /// # Errors
    /// As [`Outbound::send`].
    pub async fn send_to(&self, method: Method, url: &str, message: Message) -> Result<Answer, Failure> {
        let answered = timeout(ANSWER, async {
            let Opening { head, body, driving } = self.begin(method, url, message).await?;
            let read = Limited::new(body, ANSWER_MAX).collect().await;
            driving.abort();
            let body = read.map_err(|error| no_answer(url, error))?.to_bytes();
            Ok(Answer { status: head.status, headers: head.headers, body })
        });
        answered.await.unwrap_or_else(|_| Err(no_answer(url, "no answer within 60 s")))
    }

    /// Sends a GET whose answer goes on; `Err` holds the refusal when its status is no success.
    ///
    /// # Errors
    /// As [`Outbound::send`].
    pub async fn follow(&self, path: &str, message: Message) -> Result<Result<Flow, Answer>, Failure> {
        let url = format!("{}{path}", self.base);
        let begun = timeout(ANSWER, self.begin(Method::GET, &url, message)).await;
        let Opening { head, body, driving } =
            begun.unwrap_or_else(|_| Err(no_answer(&url, "no answer within 60 s")))?;
        if head.status.is_success() {
            return Ok(Ok(Flow { body, driving }));
        }
        let read = timeout(ANSWER, Limited::new(body, ANSWER_MAX).collect()).await;
        driving.abort();
        let body = read.ok().and_then(Result::ok).map(http_body_util::Collected::to_bytes).unwrap_or_default();
        Ok(Err(Answer { status: head.status, headers: head.headers, body }))
    }

    /// Connects, sends, and reads the head of the answer.
    async fn begin(&self, method: Method, url: &str, message: Message) -> Result<Opening, Failure> {
        let failed = |why: String| no_answer(url, why);
        let uri: Uri = url.parse().map_err(|error| failed(format!("it is not a URL: {error}")))?;
        let host = uri.host().ok_or_else(|| failed("it names no host".to_owned()))?.to_owned();
        let is_tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(failed("only http and https can be spoken".to_owned())),
        };
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let request = request(method, &uri, message).map_err(|error| failed(error.to_string()))?;
        let connected = timeout(CONNECT, TcpStream::connect((bare.as_str(), port))).await;
        let tcp = connected
            .map_err(|_| failed("no connection within 10 s".to_owned()))?
            .map_err(|e| failed(e.to_string()))?;
        if is_tls {
            let name = ServerName::try_from(bare).map_err(|error| failed(error.to_string()))?;
            let connector = TlsConnector::from(super::tls(self.ca_file.as_deref()).map_err(failed)?);
            let stream = connector.connect(name, tcp).await.map_err(|error| failed(error.to_string()))?;
            exchange(stream, request).await.map_err(failed)
        } else {
            exchange(tcp, request).await.map_err(failed)
        }
    }
}

fn request(method: Method, uri: &Uri, message: Message) -> Result<Request<Full<Bytes>>, http::Error> {
    let target = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let authority = uri.authority().map_or("", http::uri::Authority::as_str);
    let mut builder = Request::builder()
        .method(method)
        .uri(target)
        .header(HOST, authority)
        .header(USER_AGENT, concat!("bastionary/", env!("CARGO_PKG_VERSION")));
    if let Some(authorization) = message.authorization {
        let mut value = HeaderValue::try_from(authorization)?;
        value.set_sensitive(true);
        builder = builder.header(http::header::AUTHORIZATION, value);
    }
    for (name, value) in message.fields {
        builder = builder.header(name, value);
    }
    let body = message.body.map_or_else(Bytes::new, |(kind, bytes)| {
        if let Some(headers) = builder.headers_mut() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        Bytes::from(bytes)
    });
    builder.body(Full::new(body))
}

/// The head of an answer whose body is still to be read.
struct Opening {
    head: http::response::Parts,
    body: Incoming,
    driving: JoinHandle<hyper::Result<()>>,
}

/// An answer that goes on.
pub struct Flow {
    body: Incoming,
    driving: JoinHandle<hyper::Result<()>>,
}

impl Flow {
    /// The next bytes; `None` when the answer has ended, broke off, or said nothing for `patience`.
    pub async fn next(&mut self, patience: Duration) -> Option<Bytes> {
        loop {
            let frame = timeout(patience, self.body.frame()).await.ok()??.ok()?;
            if let Ok(bytes) = frame.into_data() {
                return Some(bytes);
            }
        }
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.driving.abort();
    }
}

fn no_answer(url: &str, why: impl std::fmt::Display) -> Failure {
    let remedy = "Check that the server runs and that `--issuer` is its URL.";
    Failure::new(format!("{url} does not answer"), why, remedy)
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Opening, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let said = |error: hyper::Error| error.to_string();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(said)?;
    let driving = tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await.map_err(said)?.into_parts();
    Ok(Opening { head, body, driving })
}

/// Text of one part of a URL or of a form: everything but unreserved characters is percent-encoded (RFC 3986 §2.3).
pub fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A form body (RFC 6749 appendix B).
pub fn form(fields: &[(&str, &str)]) -> (&'static str, Vec<u8>) {
    let pairs: Vec<String> =
        fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    ("application/x-www-form-urlencoded", pairs.join("&").into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_keeps_spaces_ampersands_and_other_scripts_apart_from_its_own_signs() {
        let (_, body) = form(&[("scope", "a b"), ("x", "ä&=+%")]);
        assert_eq!(String::from_utf8(body).unwrap(), "scope=a%20b&x=%C3%A4%26%3D%2B%25");
    }
}
