//! Request heads of HTTP/1 that hyper refuses by itself: its bare answer is caught, and ours is sent instead.
//!
//! hyper answers a head that it cannot parse without asking the service, with a status and no body. The only bytes it
//! writes while no request is open and all earlier answers have left are these, which is how they are recognized.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONNECTION, CONTENT_LENGTH};
use http_body_util::BodyExt as _;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use super::activity::Activity;
use super::stream::Prefixed;

/// Bytes of a head that are kept: a method, `/t/`, the longest slug, `/oauth2/introspect`, and some more.
const KEPT: usize = 128;

/// A stream of HTTP/1 that keeps the beginning of the latest head and catches what hyper says by itself.
pub(super) struct Overheard {
    inner: Prefixed,
    activity: Arc<Activity>,
    beginning: [u8; KEPT],
    kept: usize,
    refused: Option<StatusCode>,
}

impl Overheard {
    /// Listens in on a stream.
    pub(super) const fn new(inner: Prefixed, activity: Arc<Activity>) -> Self {
        Self { inner, activity, beginning: [0; KEPT], kept: 0, refused: None }
    }

    /// The status with which hyper refused a head, if it did.
    pub(super) const fn refused(&self) -> Option<StatusCode> {
        self.refused
    }

    /// The stream, and what is known of the request that was not understood: its beginning, else what `unread` holds.
    pub(super) fn into_parts(self, unread: &[u8]) -> (Prefixed, RequestLine) {
        // What was pipelined behind an earlier request was not kept from its beginning.
        let kept = self.beginning.get(..self.kept).unwrap_or_default();
        let line = RequestLine::read(kept).or_else(|| RequestLine::read(unread)).unwrap_or_default();
        (self.inner, line)
    }

    fn keep(&mut self, bytes: &[u8]) {
        if let Some(room) = self.beginning.get_mut(self.kept..) {
            let length = room.len().min(bytes.len());
            if let (Some(room), Some(bytes)) = (room.get_mut(..length), bytes.get(..length)) {
                room.copy_from_slice(bytes);
                self.kept = self.kept.saturating_add(length);
            }
        }
    }

    /// Whether bytes to be written are hyper's own; remembers their status.
    fn catches(&mut self, bytes: &[u8]) -> bool {
        if self.refused.is_none() && self.activity.is_settled() {
            let status = bytes.get(9..12).and_then(|digits| StatusCode::from_bytes(digits).ok());
            self.refused = Some(status.unwrap_or(StatusCode::BAD_REQUEST));
        }
        self.kept = if self.refused.is_some() { self.kept } else { 0 };
        self.refused.is_some()
    }
}

impl AsyncRead for Overheard {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        if self.kept < KEPT {
            self.keep(buf.filled().get(before..).unwrap_or_default());
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Overheard {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.catches(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.catches(bytes.first().map_or(&[], |slice| slice)) {
            return Poll::Ready(Ok(bytes.iter().fold(0, |sum: usize, slice| sum.saturating_add(slice.len()))));
        }
        Pin::new(&mut self.inner).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.refused.is_none() {
            ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
            // hyper flushes the stream once its own buffer is empty.
            self.activity.settle();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.refused.is_some() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// As much of a request line as decides the form of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RequestLine {
    /// The path, or its beginning; empty when it is not known.
    pub(super) path: String,
    /// Whether the answer has no body.
    is_head: bool,
}

impl RequestLine {
    /// Reads `METHOD SP path`, after empty lines that a server ignores (RFC 9112 §2.2).
    fn read(bytes: &[u8]) -> Option<Self> {
        let text = bytes.trim_ascii_start();
        let (method, rest) = text.split_at_checked(text.iter().position(|b| *b == b' ')?)?;
        let path = rest.get(1..)?.split(|b| !b.is_ascii_graphic() || *b == b'?').next()?;
        let is_method = !method.is_empty() && method.iter().all(u8::is_ascii_uppercase);
        let path = std::str::from_utf8(path).ok().filter(|path| path.starts_with('/') && is_method)?;
        Some(Self { path: path.to_owned(), is_head: method == b"HEAD" })
    }
}

/// Writes an answer as the last words on a connection of HTTP/1, and closes our side.
pub(super) async fn write(stream: &mut Prefixed, answer: Response, line: &RequestLine) -> io::Result<()> {
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.map_or_else(|_| Bytes::new(), http_body_util::Collected::to_bytes);
    let reason = parts.status.canonical_reason().unwrap_or_default();
    let mut bytes = format!("HTTP/1.1 {} {reason}\r\n", parts.status.as_u16()).into_bytes();
    let mut field = |name: &str, value: &[u8]| {
        for piece in [name.as_bytes(), b": ", value, b"\r\n"] {
            bytes.extend_from_slice(piece);
        }
    };
    for (name, value) in &parts.headers {
        field(name.as_str(), value.as_bytes());
    }
    field(CONTENT_LENGTH.as_str(), body.len().to_string().as_bytes());
    field(CONNECTION.as_str(), b"close");
    bytes.extend_from_slice(b"\r\n");
    if !line.is_head {
        bytes.extend_from_slice(&body);
    }
    stream.write_all(&bytes).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_line_is_read_as_far_as_it_came() {
        let path = |bytes: &[u8]| RequestLine::read(bytes).map(|line| line.path);
        let some = |path: &str| Some(path.to_owned());
        assert_eq!(path(b"POST /oauth2/token HTTP/1.1\r\nHost"), some("/oauth2/token"));
        assert_eq!(path(b"\r\n\r\nGET /a?b=/oauth2/ HTTP/1.1"), some("/a"));
        assert_eq!(path(b"POST /oauth2/tok"), some("/oauth2/tok"));
        assert_eq!(path(b"POST /\xff/oauth2"), some("/"));
        for unknown in [b"".as_slice(), b"POST", b"POST ", b"POST *", b"get /", b"\x16\x03 /", b" /", b"GET http://a/"]
        {
            assert_eq!(path(unknown), None, "{unknown:?}");
        }
        assert!(RequestLine::read(b"HEAD / HTTP/1.1").is_some_and(|line| line.is_head));
    }
}
