//! Log lines: to stderr, filtered, as text or JSON, with control characters escaped.
//!
//! Counters and histograms live elsewhere; this is only what people and log collectors read.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::{MakeVisitor, VisitFmt, VisitOutput};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;

use crate::config::LogFormat;

/// Why log lines cannot be written as configured.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `log` is not a filter.
    #[error("`log` = {filter:?} is not a filter ({reason}). Write for example `info` or `info,store=debug`.")]
    Filter {
        /// The value.
        filter: String,
        /// What the parser said.
        reason: String,
    },
    /// A subscriber was installed before.
    #[error("log output was set up twice in one process")]
    Twice,
}

/// Sends log lines of this process to stderr.
///
/// # Errors
/// [`TelemetryError::Filter`] when the filter cannot be parsed, [`TelemetryError::Twice`] on a second call.
pub fn init(filter: &str, format: LogFormat) -> Result<(), TelemetryError> {
    let subscriber = subscriber(filter, format, std::io::stderr)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| TelemetryError::Twice)
}

type Boxed = Box<dyn tracing::Subscriber + Send + Sync>;

fn subscriber<W>(filter: &str, format: LogFormat, writer: W) -> Result<Boxed, TelemetryError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| TelemetryError::Filter { filter: filter.to_owned(), reason: error.to_string() })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(false);
    Ok(match format {
        // JSON escapes control characters by itself (RFC 8259 §7).
        LogFormat::Json => {
            Box::new(builder.json().flatten_event(true).with_current_span(true).with_span_list(false).finish())
        }
        LogFormat::Text => Box::new(builder.fmt_fields(EscapedFields).finish()),
    })
}

/// Writes `name=value` pairs in which a peer's text cannot forge a line or drive a terminal.
struct EscapedFields;

impl<'w> MakeVisitor<Writer<'w>> for EscapedFields {
    type Visitor = EscapedVisitor<'w>;

    fn make_visitor(&self, writer: Writer<'w>) -> Self::Visitor {
        EscapedVisitor { writer, is_first: true, result: Ok(()) }
    }
}

struct EscapedVisitor<'w> {
    writer: Writer<'w>,
    is_first: bool,
    result: fmt::Result,
}

impl EscapedVisitor<'_> {
    fn write(&mut self, name: &str, text: &str) {
        if self.result.is_err() {
            return;
        }
        let gap = if std::mem::take(&mut self.is_first) { "" } else { " " };
        self.result = self.writer.write_str(gap).and_then(|()| {
            if name != "message" {
                write!(self.writer, "{name}=")?;
            }
            write_escaped(&mut self.writer, text)
        });
    }
}

impl Visit for EscapedVisitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.write(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.write(field.name(), &format!("{value:?}"));
    }
}

impl VisitOutput<fmt::Result> for EscapedVisitor<'_> {
    fn finish(self) -> fmt::Result {
        self.result
    }
}

impl VisitFmt for EscapedVisitor<'_> {
    fn writer(&mut self) -> &mut dyn fmt::Write {
        &mut self.writer
    }
}

/// Control characters, line separators and direction overrides become `\u{…}`.
fn write_escaped(writer: &mut Writer<'_>, text: &str) -> fmt::Result {
    for character in text.chars() {
        let is_unsafe = character.is_control()
            || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if is_unsafe {
            write!(writer, "{}", character.escape_unicode())?;
        } else {
            writer.write_char(character)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, write: impl FnOnce()) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = subscriber("info", format, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, write);
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_peer_cannot_forge_a_log_line() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let text = logged(format, || {
                tracing::info!(agent = "a\r\n2026 ERROR forged\u{1b}[31m", "request {}", "x\ny");
            });
            assert_eq!(text.trim_end_matches('\n').lines().count(), 1, "{text}");
            assert!(!text.contains('\u{1b}') && !text.contains('\r'), "{text}");
            assert!(text.contains("forged"), "{text}");
        }
    }

    #[test]
    fn the_filter_decides_and_a_wrong_one_is_named() {
        assert_eq!(logged(LogFormat::Text, || tracing::debug!("hidden")), "");
        let error = subscriber("store=loud", LogFormat::Text, io::sink).err().unwrap().to_string();
        assert!(error.contains("store=loud") && error.contains("info,store=debug"), "{error}");
    }
}
