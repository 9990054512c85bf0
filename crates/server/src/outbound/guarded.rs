//! The connector of the server's own requests, whose targets other people choose.
//!
//! A host is resolved once, every address is judged, and the connection goes to the address that was judged. One
//! deadline spans everything from the name to the answer's head; no redirect is followed; of the answer's body a bounded
//! part is read and dropped. Of what went wrong the caller hears a code and nothing else.

use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HOST, LOCATION};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use kernel::mutant;
use kernel::target::{Host, Policy, Target, Verdict, check};
use rustls::pki_types::{DnsName, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

/// Names that are looked up at once; a system's resolver blocks a thread for each.
const LOOKUPS: usize = 128;
/// Bytes of an answer's head.
const HEAD_MAX: usize = 64 << 10;
/// Fields of an answer's head.
const FIELDS_MAX: usize = 100;

/// Finds the addresses of a name.
pub trait Resolve: Send + Sync {
    /// All addresses of a host.
    fn resolve(&self, host: &str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;
}

/// The resolver of the system.
pub struct SystemResolver {
    lookups: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self { lookups: Arc::new(Semaphore::new(LOOKUPS)) }
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, host: &str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
        let (host, lookups) = (host.to_owned(), Arc::clone(&self.lookups));
        Box::pin(async move {
            let permit = lookups.acquire_owned().await.map_err(io::Error::other)?;
            // A caller that gives up leaves the thread behind until the system does: the permit stays with the thread.
            let found = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                let found = std::net::ToSocketAddrs::to_socket_addrs(&(host.as_str(), 0_u16))?;
                Ok(found.map(|address| address.ip()).collect())
            });
            found.await.map_err(io::Error::other)?
        })
    }
}

/// The connector.
pub struct Guarded {
    policy: Policy,
    resolver: Arc<dyn Resolve>,
    tls: Arc<rustls::ClientConfig>,
    openings: Mutex<Openings>,
}

/// Which openings of the configuration were used since the start.
#[derive(Default)]
struct Openings {
    seen: BTreeSet<String>,
    fresh: Vec<String>,
}

/// A request to send.
pub struct Call<'a> {
    /// Where to.
    pub url: &'a str,
    /// Whether plain HTTP may be spoken.
    pub has_plain: bool,
    /// Header fields; `Host` is added.
    pub fields: HeaderMap,
    /// The body of the POST.
    pub body: Bytes,
    /// From the name to the answer's head.
    pub within: Duration,
    /// Bytes of the answer's body that are read and dropped, so that the other side can finish.
    pub read_max: usize,
}

/// The head of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The field `Retry-After`, when there is one in ASCII.
    pub retry_after: Option<String>,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The URL or all addresses of its host are closed.
    #[error("address_not_allowed")]
    AddressNotAllowed,
    /// The name is unknown, or nobody accepts connections there.
    #[error("connect_failed")]
    ConnectFailed,
    /// No handshake, or a certificate that is not trusted for the host.
    #[error("tls_failed")]
    TlsFailed,
    /// No answer within the deadline.
    #[error("timeout")]
    Timeout,
    /// The head of the answer has no end.
    #[error("too_large")]
    TooLarge,
    /// The connection ended without an answer, or with one that is not HTTP.
    #[error("no_answer")]
    NoAnswer,
}

impl CallError {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::AddressNotAllowed => "address_not_allowed",
            Self::ConnectFailed => "connect_failed",
            Self::TlsFailed => "tls_failed",
            Self::Timeout => "timeout",
            Self::TooLarge => "too_large",
            Self::NoAnswer => "no_answer",
        }
    }
}

impl Guarded {
    /// A connector under a policy.
    pub fn new(policy: Policy, resolver: Arc<dyn Resolve>, tls: Arc<rustls::ClientConfig>) -> Self {
        Self { policy, resolver, tls, openings: Mutex::default() }
    }

    /// Posts and waits for the head of the answer. Dropping the future ends the connection.
    ///
    /// # Errors
    /// [`CallError`]; an answer of any status is none.
    pub async fn post(&self, call: Call<'_>) -> Result<Reply, CallError> {
        let deadline = Instant::now().checked_add(call.within).ok_or(CallError::Timeout)?;
        let policy = self.policy.clone().with_plain(call.has_plain);
        let target = check(call.url, &policy).map_err(|_| CallError::AddressNotAllowed)?;
        let request = request(&target, call.fields, call.body)?;
        let exchanged = async {
            let mut connections = JoinSet::new();
            let tcp = self.connect(&target, deadline).await?;
            let response = if target.is_tls {
                let stream = TlsConnector::from(Arc::clone(&self.tls)).connect(server_name(&target.host)?, tcp).await;
                exchange(stream.map_err(|_| CallError::TlsFailed)?, request, &mut connections).await?
            } else {
                exchange(tcp, request, &mut connections).await?
            };
            Ok((response, connections))
        };
        let (response, connections) = timeout_at(deadline, exchanged).await.map_err(|_| CallError::Timeout)??;
        if mutant::is("W02-followed") && response.status().is_redirection() {
            let next = response.headers().get(LOCATION).and_then(|next| next.to_str().ok()).unwrap_or_default();
            let call = Call { url: next, fields: HeaderMap::new(), body: Bytes::new(), ..call };
            return Box::pin(self.post(call)).await;
        }
        let retry_after = response.headers().get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let reply = Reply { status: response.status(), retry_after: retry_after.map(str::to_owned) };
        // The head decides; whatever the body does is only waited for.
        let _ = timeout_at(deadline, drain(response.into_body(), call.read_max)).await;
        drop(connections);
        Ok(reply)
    }

    /// Entries of `outbound.allow` that were used for the first time since the last call of this.
    pub fn fresh_openings(&self) -> Vec<String> {
        std::mem::take(&mut self.openings.lock().unwrap_or_else(PoisonError::into_inner).fresh)
    }

    /// Connects to the first permitted address that accepts.
    async fn connect(&self, target: &Target, deadline: Instant) -> Result<TcpStream, CallError> {
        let resolved = match &target.host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => self.resolver.resolve(name).await.map_err(|_| CallError::ConnectFailed)?,
        };
        let mut permitted: Vec<IpAddr> = Vec::new();
        for address in &resolved {
            match self.policy.judge(&target.host, *address) {
                Verdict::Public => permitted.push(*address),
                Verdict::Opened(opening) => {
                    permitted.push(*address);
                    self.note(opening.to_string());
                }
                Verdict::Refused => {}
            }
        }
        if permitted.is_empty() {
            let is_closed = !resolved.is_empty();
            return Err(if is_closed { CallError::AddressNotAllowed } else { CallError::ConnectFailed });
        }
        if let Host::Name(name) = &target.host
            && mutant::is("W01-pinned")
        {
            permitted = self.resolver.resolve(name).await.map_err(|_| CallError::ConnectFailed)?;
        }
        let mut left = u32::try_from(permitted.len()).unwrap_or(u32::MAX);
        for address in permitted {
            // One that does not answer leaves the others their part of the time.
            let share = deadline.saturating_duration_since(Instant::now()).checked_div(left).unwrap_or_default();
            left = left.saturating_sub(1);
            if let Ok(Ok(tcp)) = timeout(share, TcpStream::connect(SocketAddr::new(address, target.port))).await {
                // Delivery does not depend on it.
                let _ = tcp.set_nodelay(true);
                return Ok(tcp);
            }
        }
        if Instant::now() >= deadline { Err(CallError::Timeout) } else { Err(CallError::ConnectFailed) }
    }

    fn note(&self, opening: String) {
        let mut openings = self.openings.lock().unwrap_or_else(PoisonError::into_inner);
        if openings.seen.insert(opening.clone()) {
            openings.fresh.push(opening);
        }
    }
}

fn request(target: &Target, fields: HeaderMap, body: Bytes) -> Result<Request<Full<Bytes>>, CallError> {
    // `check` has let through nothing that a request line could not hold.
    let unsayable = |_| CallError::AddressNotAllowed;
    let mut request =
        Request::builder().method(Method::POST).uri(&target.path).body(Full::new(body)).map_err(unsayable)?;
    *request.headers_mut() = fields;
    let host = HeaderValue::try_from(target.authority()).map_err(|_| CallError::AddressNotAllowed)?;
    request.headers_mut().insert(HOST, host);
    request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(request)
}

/// The name that the certificate must carry.
fn server_name(host: &Host) -> Result<ServerName<'static>, CallError> {
    match host {
        Host::Address(address) => Ok(ServerName::IpAddress((*address).into())),
        Host::Name(name) => {
            let name = DnsName::try_from(name.to_string()).map_err(|_| CallError::TlsFailed)?;
            Ok(ServerName::DnsName(name))
        }
    }
}

async fn exchange<S>(
    stream: S,
    request: Request<Full<Bytes>>,
    connections: &mut JoinSet<hyper::Result<()>>,
) -> Result<http::Response<Incoming>, CallError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let said = |error: hyper::Error| if error.is_parse_too_large() { CallError::TooLarge } else { CallError::NoAnswer };
    let mut builder = hyper::client::conn::http1::Builder::new();
    builder.max_buf_size(HEAD_MAX).max_headers(FIELDS_MAX);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(said)?;
    connections.spawn(connection);
    sender.send_request(request).await.map_err(said)
}

/// Reads at most `max` bytes of a body and drops them.
async fn drain(mut body: Incoming, max: usize) {
    let mut left = max;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        let Some(rest) = left.checked_sub(length) else { return };
        left = rest;
    }
}
