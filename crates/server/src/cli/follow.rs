//! Following the event stream: read line by line, resumed after the last event when the connection is lost.

use std::time::Duration;

use http::HeaderName;
use serde_json::Value;

use super::remote::Remote;
use crate::failure::{Exit, Failure};
use crate::outbound::encoded;
use crate::terminal;

/// After so long without a byte the connection is lost; the server says something every 15 s.
const SILENCE: Duration = Duration::from_secs(45);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Longest message that is read, in bytes; an event has fewer than 20,000.
const MESSAGE_MAX: usize = 1 << 20;

/// A message of the stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// The id to go on after; empty for a gap.
    pub(crate) id: String,
    /// The type of the event, or `stream.gap`.
    pub(crate) kind: String,
    /// The event, in the bytes of the server.
    pub(crate) data: String,
}

/// Follows the stream, calling `each` for every message. Ends with the first failure of `each`, or when the server
/// refuses.
///
/// # Errors
/// The refusal; that the server could not be reached at first.
pub(crate) async fn follow(
    remote: &Remote,
    types: Option<&str>,
    mut each: impl AsyncFnMut(Told) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let path = types.map_or_else(
        || "/api/events/stream".to_owned(),
        |types| format!("/api/events/stream?types={}", encoded(types)),
    );
    let mut last: Option<String> = None;
    let mut pause = FIRST_PAUSE;
    let mut was_open = false;
    loop {
        let fields = last.iter().map(|id| (HeaderName::from_static("last-event-id"), id.clone())).collect();
        // A new token each time: the old one may be why the stream ended.
        let opened = match remote.session("events:read").await {
            Ok(session) => session.follow(&path, fields).await,
            Err(failure) => Err(failure),
        };
        match opened {
            Ok(mut flow) => {
                (was_open, pause) = (true, FIRST_PAUSE);
                let mut lines = Lines::default();
                while let Some(bytes) = flow.next(SILENCE).await {
                    for told in lines.read(&bytes)? {
                        if !told.id.is_empty() {
                            last = Some(told.id.clone());
                        }
                        each(told).await?;
                    }
                }
                terminal::words("the stream ended; resuming");
            }
            Err(failure) if !was_open || ![Exit::Failed, Exit::Limited].contains(&failure.exit) => return Err(failure),
            Err(failure) => terminal::words(&format!("{}; trying again", failure.what)),
        }
        tokio::time::sleep(pause).await;
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
}

/// The messages of a stream of bytes (WHATWG HTML §9.2.6), as far as this server writes them.
#[derive(Default)]
struct Lines {
    rest: Vec<u8>,
    open: Told,
}

impl Lines {
    fn read(&mut self, bytes: &[u8]) -> Result<Vec<Told>, Failure> {
        let mut done = Vec::new();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(line);
            if self.rest.len().saturating_add(self.open.data.len()) > MESSAGE_MAX {
                return Err(Failure::new("a message of the stream is too long", "no event is", ""));
            }
            let Some(whole) = self.rest.strip_suffix(b"\n") else { continue };
            let text = String::from_utf8_lossy(whole.strip_suffix(b"\r").unwrap_or(whole)).into_owned();
            self.rest.clear();
            if text.is_empty() {
                let told = std::mem::take(&mut self.open);
                if !told.data.is_empty() {
                    done.push(told);
                }
                continue;
            }
            let (name, value) = text.split_once(':').unwrap_or((&text, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match name {
                "id" => value.clone_into(&mut self.open.id),
                "event" => value.clone_into(&mut self.open.kind),
                "data" => self.open.data.push_str(value),
                _ => {}
            }
        }
        Ok(done)
    }
}

/// A line for people about an event.
pub(crate) fn line(told: &Told) -> String {
    let event: Value = serde_json::from_str(&told.data).unwrap_or_default();
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    if told.kind == "stream.gap" {
        return "                      events are missing here: older ones are not kept".to_owned();
    }
    let object = event.get("data").and_then(|data| data.get("id"));
    format!("{:<20}  {:<32}  {}", text(event.get("timestamp")), told.kind, text(object))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_the_same_however_the_bytes_are_cut() {
        let text =
            ":\n\nid: evt_1\nevent: client.created\ndata: {\"a\":1}\n\n:\n\nevent: stream.gap\r\ndata: {}\r\n\r\n";
        let whole = Lines::default().read(text.as_bytes()).unwrap();
        assert_eq!(whole.len(), 2);
        assert_eq!((whole[0].id.as_str(), whole[0].kind.as_str()), ("evt_1", "client.created"));
        assert_eq!(whole[1], Told { id: String::new(), kind: "stream.gap".to_owned(), data: "{}".to_owned() });
        for at in 0..text.len() {
            let mut lines = Lines::default();
            let (left, right) = text.as_bytes().split_at(at);
            let mut cut = lines.read(left).unwrap();
            cut.extend(lines.read(right).unwrap());
            assert_eq!(cut, whole);
        }
    }

    #[test]
    fn a_message_without_an_end_is_given_up() {
        let mut lines = Lines::default();
        let part = vec![b'x'; 65_536];
        let given_up = (0..100).find(|_| lines.read(&part).is_err());
        assert_eq!(given_up, Some(16));
    }
}
