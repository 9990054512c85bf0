//! One connection from accept to close: handshake, first bytes, HTTP, under the deadlines of its [`Activity`].

use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use api::peer::Transport;
use api::refusal::Refusal;
use axum::Router;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;

use super::activity::{Activity, Order, Verdict};
use super::head::{self, Overheard, RequestLine};
use super::registry::{Registry, Slot};
use super::request::Edge;
use super::stream::{Prefixed, Stream, Watched};
use super::{ListenStats, Refuse};
use crate::config::Limits;

/// What every HTTP/2 connection begins with (RFC 9113 §3.4).
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long an idle connection may take to close after it was told to.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long a peer whose head was refused may take for the answer.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What all connections of one listener have in common.
pub(super) struct House {
    pub(super) app: Router,
    pub(super) limits: Arc<Limits>,
    pub(super) registry: Arc<Registry>,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) stats: Arc<ListenStats>,
    refuse: Refuse,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl House {
    pub(super) fn new(
        app: Router,
        limits: Arc<Limits>,
        registry: Arc<Registry>,
        tls: Option<TlsAcceptor>,
        stats: Arc<ListenStats>,
        refuse: Refuse,
    ) -> Self {
        let head_bytes = usize::try_from(limits.head_bytes).unwrap_or(usize::MAX).max(8192);
        let mut http1 = http1::Builder::new();
        // hyper's own head timer also runs while a connection is idle, so it cannot tell 10 s from 60 s: the watchdog
        // does. The buffer bounds a head that never ends, the header size one that ends late; both answer 431, as does
        // the 101st field, hyper's default.
        http1.timer(TokioTimer::new()).header_read_timeout(None);
        http1.max_buf_size(head_bytes).max_header_size(head_bytes);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(100)
            .max_header_list_size(limits.head_bytes)
            .keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(10))
            .initial_stream_window_size(64 << 10)
            .initial_connection_window_size(1 << 20)
            .max_send_buf_size(64 << 10)
            .max_pending_accept_reset_streams(200)
            .max_local_error_reset_streams(200);
        Self { app, limits, registry, tls, stats, refuse, http1, http2 }
    }

    /// Serves one admitted connection to its end.
    pub(super) async fn serve(self: Arc<Self>, tcp: TcpStream, peer: IpAddr, slot: Slot) {
        let activity = Arc::clone(&slot.activity);
        let opened = tokio::select! {
            biased;
            opened = self.open(tcp, &activity) => opened,
            // Nothing was asked yet, so there is nothing to finish.
            () = activity.order_above(Order::Serve) => return,
        };
        if let Ok(Some((stream, version, transport))) = opened {
            let edge = Edge {
                app: self.app.clone(),
                limits: Arc::clone(&self.limits),
                refuse: Arc::clone(&self.refuse),
                registry: Arc::clone(&self.registry),
                activity: Arc::clone(&activity),
                peer,
                transport,
            };
            match version {
                Protocol::Http1 => self.serve_http1(Overheard::new(stream, Arc::clone(&activity)), edge).await,
                Protocol::Http2 => {
                    activity.is_http2();
                    let mut connection = pin!(self.http2.serve_connection(TokioIo::new(stream), edge));
                    self.supervise(connection.as_mut(), &activity).await;
                }
            }
        }
        drop(slot);
    }

    async fn serve_http1(&self, stream: Overheard, edge: Edge) {
        let (activity, transport) = (Arc::clone(&edge.activity), edge.transport);
        let mut connection = self.http1.serve_connection(TokioIo::new(stream), edge);
        let ended = self.supervise(Pin::new(&mut connection), &activity).await;
        let parts = connection.into_parts();
        let stream = parts.io.into_inner();
        let status = match ended {
            Ended::SlowHead => Some(StatusCode::REQUEST_TIMEOUT),
            Ended::Done => stream.refused(),
            Ended::Overdue => None,
        };
        if let Some(status) = status {
            let (stream, line) = stream.into_parts(&parts.read_buf);
            self.last_words(stream, status, &line, transport).await;
        }
    }

    /// Refuses a head that never became a request, and closes.
    async fn last_words(&self, mut stream: Prefixed, status: StatusCode, line: &RequestLine, transport: Transport) {
        let refusal = match status {
            StatusCode::REQUEST_TIMEOUT => Refusal::head_too_slow(),
            StatusCode::URI_TOO_LONG => Refusal::uri_too_long(self.limits.url_bytes),
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Refusal::head_too_large(self.limits.head_bytes),
            _ => Refusal::malformed("the request head breaks the rules of RFC 9112"),
        };
        let answer = (self.refuse)(refusal, &line.path, &HeaderMap::new(), transport);
        // A peer that does not take its answer in time goes without; there is nothing more to say to it.
        drop(timeout(LAST_WORDS, head::write(&mut stream, answer, line)).await);
    }

    /// The handshake, if any, and the first bytes; `None` when the peer went away or was too slow.
    async fn open(
        &self,
        tcp: TcpStream,
        activity: &Arc<Activity>,
    ) -> io::Result<Option<(Prefixed, Protocol, Transport)>> {
        // Answers are written whole, so Nagle's algorithm could only delay them.
        tcp.set_nodelay(true)?;
        let tcp = Watched::new(tcp, Arc::clone(activity));
        let (mut stream, transport) = match &self.tls {
            None => (Stream::Plain(tcp), Transport::Plain),
            Some(acceptor) => {
                let Ok(Ok(stream)) = timeout(self.limits.tls_handshake, acceptor.accept(tcp)).await else {
                    ListenStats::count(&self.stats.handshake_failed);
                    return Ok(None);
                };
                activity.forget_head();
                (Stream::Tls(Box::new(stream)), Transport::Tls)
            }
        };
        let mut prefix = BytesMut::with_capacity(1024);
        let Ok(read) = timeout(self.limits.first_byte, stream.read_buf(&mut prefix)).await else {
            ListenStats::count(&self.stats.timed_out);
            return Ok(None);
        };
        if read? == 0 {
            return Ok(None);
        }
        activity.read();
        let head_deadline = deadline_after(self.limits.head);
        loop {
            if let Some(protocol) = Protocol::of(&prefix) {
                return Ok(Some((Prefixed::new(prefix.freeze(), stream), protocol, transport)));
            }
            match timeout_at(head_deadline, stream.read_buf(&mut prefix)).await {
                Ok(Ok(0)) => return Ok(None),
                Ok(read) => read.map(drop)?,
                Err(_) => {
                    ListenStats::count(&self.stats.timed_out);
                    let stream = Prefixed::new(Bytes::new(), stream);
                    // What came so far is a beginning of the preface of HTTP/2, which names no path.
                    self.last_words(stream, StatusCode::REQUEST_TIMEOUT, &RequestLine::default(), transport).await;
                    return Ok(None);
                }
            }
        }
    }

    /// Drives a connection until it ends by itself, by an order, or by a deadline.
    async fn supervise<C: GracefulConnection>(&self, mut connection: Pin<&mut C>, activity: &Activity) -> Ended {
        let mut watchdog = Watchdog::new(&self.limits, activity);
        let mut order = Order::Serve;
        loop {
            tokio::select! {
                biased;
                ended = std::future::poll_fn(|cx| watchdog.poll(connection.as_mut(), cx)) => {
                    if !matches!(ended, Ended::Done) {
                        ListenStats::count(&self.stats.timed_out);
                    }
                    return ended;
                }
                () = activity.order_above(order) => {
                    order = activity.order();
                    if order == Order::End {
                        return Ended::Done;
                    }
                    connection.as_mut().graceful_shutdown();
                    watchdog.farewell();
                }
            }
        }
    }
}

fn deadline_after(limit: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(limit).unwrap_or(now)
}

/// The two protocols, told apart by the first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    /// `None` while the bytes are a beginning of the HTTP/2 preface.
    fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(H2_PREFACE) {
            Some(Self::Http2)
        } else if H2_PREFACE.starts_with(bytes) {
            None
        } else {
            Some(Self::Http1)
        }
    }
}

enum Ended {
    Done,
    SlowHead,
    Overdue,
}

/// Polls a connection and asks after each poll whether it is overdue. One timer, moved only when a deadline came nearer.
struct Watchdog<'a> {
    limits: &'a Limits,
    activity: &'a Activity,
    sleep: Pin<Box<Sleep>>,
    armed: u64,
    farewell: Option<u64>,
}

impl<'a> Watchdog<'a> {
    fn new(limits: &'a Limits, activity: &'a Activity) -> Self {
        Self {
            limits,
            activity,
            sleep: Box::pin(sleep_until(deadline_after(limits.keepalive))),
            armed: u64::MAX,
            farewell: None,
        }
    }

    /// From now on an idle connection has a few seconds left.
    fn farewell(&mut self) {
        let millis = u64::try_from(FAREWELL.as_millis()).unwrap_or(0);
        self.farewell.get_or_insert(self.activity.now().saturating_add(millis));
    }

    fn poll<C: GracefulConnection>(&mut self, mut connection: Pin<&mut C>, cx: &mut Context<'_>) -> Poll<Ended> {
        loop {
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ended::Done);
            }
            let now = self.activity.now();
            let mut until = match self.activity.verdict(self.limits, now) {
                Verdict::Until(until) => until,
                Verdict::SlowHead => return Poll::Ready(Ended::SlowHead),
                Verdict::Broken => return Poll::Ready(Ended::Overdue),
                Verdict::Lingered => return Poll::Ready(Ended::Done),
                Verdict::Idle if self.farewell.is_none() => {
                    connection.as_mut().graceful_shutdown();
                    self.farewell();
                    continue;
                }
                Verdict::Idle => u64::MAX,
            };
            if let Some(farewell) = self.farewell {
                if self.activity.is_busy() {
                    // A request came in before the peer heard; it is answered, then the connection closes.
                    self.farewell = (farewell > now).then_some(farewell);
                } else if now >= farewell {
                    return Poll::Ready(Ended::Done);
                }
                until = until.min(farewell.max(now.saturating_add(1)));
            }
            if until < self.armed {
                self.armed = until;
                self.sleep.as_mut().reset(self.activity.instant(until));
            }
            if self.sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.armed = u64::MAX;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Protocol;

    #[test]
    fn the_protocol_is_known_as_soon_as_the_bytes_leave_the_preface() {
        assert_eq!(Protocol::of(b"G"), Some(Protocol::Http1));
        assert_eq!(Protocol::of(b"P"), None);
        assert_eq!(Protocol::of(b"PO"), Some(Protocol::Http1));
        assert_eq!(Protocol::of(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r"), None);
        assert_eq!(Protocol::of(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0"), Some(Protocol::Http2));
    }
}
