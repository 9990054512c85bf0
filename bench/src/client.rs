//! A minimal HTTP/1.1 client: one kept-alive connection, one request at a time, bodies with `Content-Length` only.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A kept-alive connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

/// One answer; the body borrows the connection's buffer.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

impl Answer<'_> {
    /// The answer in words, for failures.
    pub(crate) fn describe(&self) -> String {
        let body = String::from_utf8_lossy(self.body.get(..300).unwrap_or(self.body)).into_owned();
        format!("{} {body}", self.status)
    }
}

impl Connection {
    /// Connects, with Nagle's algorithm off.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 16 * 1024], filled: 0 })
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.filled = 0;
        let (status, body_at, length) = loop {
            if let Some(head) = head(self.buffer.get(..self.filled).unwrap_or_default())? {
                break head;
            }
            self.fill().await?;
        };
        let end = body_at.saturating_add(length);
        while self.filled < end {
            self.fill().await?;
        }
        if self.filled > end {
            bail!("{} bytes follow the answer", self.filled.saturating_sub(end));
        }
        Ok(Answer { status, body: self.buffer.get(body_at..end).unwrap_or_default() })
    }

    async fn fill(&mut self) -> Result<()> {
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.filled.saturating_mul(2), 0);
        }
        let read = self.stream.read(self.buffer.get_mut(self.filled..).unwrap_or_default()).await?;
        if read == 0 {
            bail!("the server closed the connection");
        }
        self.filled = self.filled.saturating_add(read);
        Ok(())
    }
}

/// Status, where the body begins and how long it is; `None` while the head is not complete.
fn head(bytes: &[u8]) -> Result<Option<(u16, usize, usize)>> {
    let Some(end) = find(bytes, b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(bytes.get(..end).unwrap_or_default()).context("a head that is not UTF-8")?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
    let status = status.with_context(|| format!("not a status line: {text}"))?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let length = if status == 204 { Some(0) } else { length };
    Ok(Some((status, end.saturating_add(4), length.context("an answer without Content-Length")?)))
}

/// Where the needle begins.
pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0_usize;
    loop {
        let rest = haystack.get(from..)?;
        let at = rest.iter().position(|byte| *byte == first)?;
        let start = from.saturating_add(at);
        if haystack.get(start..)?.starts_with(needle) {
            return Some(start);
        }
        from = start.saturating_add(1);
    }
}

/// The text of a JSON string member whose value needs no unescaping, as every token of ours.
pub(crate) fn member<'a>(body: &'a [u8], name: &str) -> Option<&'a str> {
    let key = format!("\"{name}\":\"");
    let start = find(body, key.as_bytes())?.saturating_add(key.len());
    let rest = body.get(start..)?;
    let end = rest.iter().position(|byte| *byte == b'"')?;
    std::str::from_utf8(rest.get(..end)?).ok()
}
