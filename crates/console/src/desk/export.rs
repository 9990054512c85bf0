//! Lists as files: CSV for spreadsheets and JSON for programs, written page by page while they are read.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::Stream;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use serde_json::{Map, Value};

/// Rows of one read.
pub(super) const ROWS: u32 = 200;

/// What the rows are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// RFC 4180, with a head.
    Csv,
    /// One array of objects.
    Json,
}

impl Format {
    /// Reads the value of `format` in an address.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "csv" => Some(Self::Csv),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// The end of the file's name.
    const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }
}

/// Some rows, each with its values in the order of the columns, and where to read on.
pub(super) struct Part<P> {
    pub(super) rows: Vec<Vec<Value>>,
    pub(super) next: Option<P>,
}

/// One read on its way.
pub(super) type Reading<P> = Pin<Box<dyn Future<Output = Result<Part<P>, store::Error>> + Send>>;

/// The file of a list. `read` gives the part that begins at a place. An error on the way breaks the answer off, so that
/// nobody takes a part for the whole.
pub(super) fn file<P: Send + Unpin + 'static>(
    format: Format,
    name: &str,
    columns: &'static [&'static str],
    read: impl Fn(Option<P>) -> Reading<P> + Send + Unpin + 'static,
) -> Response {
    let reading = Some(read(None));
    let body = Body::from_stream(Parts { format, columns, read, reading, written: Written::default() });
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    let kind = match format {
        Format::Csv => "text/csv; charset=utf-8; header=present",
        Format::Json => "application/json",
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}.{}\"", format.extension())) {
        headers.insert(CONTENT_DISPOSITION, value);
    }
    response
}

/// The parts of a file as they are read.
struct Parts<P, R> {
    format: Format,
    columns: &'static [&'static str],
    read: R,
    reading: Option<Reading<P>>,
    written: Written,
}

/// How far a file is.
#[derive(Default)]
struct Written {
    head: bool,
    rows: bool,
}

impl<P: Send + Unpin + 'static, R: Fn(Option<P>) -> Reading<P> + Unpin> Stream for Parts<P, R> {
    type Item = Result<Bytes, store::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(reading) = &mut self.reading else { return Poll::Ready(None) };
        let Poll::Ready(answer) = reading.as_mut().poll(context) else { return Poll::Pending };
        let Part { rows, next } = match answer {
            Ok(part) => part,
            Err(error) => {
                self.reading = None;
                return Poll::Ready(Some(Err(error)));
            }
        };
        let text = match self.format {
            Format::Csv => csv(self.columns, &self.written, &rows),
            Format::Json => json(self.columns, &self.written, &rows, next.is_none()),
        };
        self.written = Written { head: true, rows: self.written.rows || !rows.is_empty() };
        self.reading = next.map(|place| (self.read)(Some(place)));
        Poll::Ready(Some(Ok(Bytes::from(text))))
    }
}

fn csv(columns: &[&str], written: &Written, rows: &[Vec<Value>]) -> String {
    let mut out = String::new();
    if !written.head {
        out.push_str(&columns.join(","));
        out.push_str("\r\n");
    }
    for row in rows {
        let cells: Vec<String> = row.iter().map(cell).collect();
        out.push_str(&cells.join(","));
        out.push_str("\r\n");
    }
    out
}

/// A cell in quotes (RFC 4180 §2). What a spreadsheet would take for a formula is made text by an apostrophe.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => return String::new(),
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    };
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

fn json(columns: &[&str], written: &Written, rows: &[Vec<Value>], is_last: bool) -> String {
    let mut out = String::new();
    if !written.head {
        out.push('[');
    }
    for (place, row) in rows.iter().enumerate() {
        let members: Map<String, Value> =
            columns.iter().zip(row).map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        out.push_str(if !written.rows && place == 0 { "\n" } else { ",\n" });
        out.push_str(&Value::Object(members).to_string());
    }
    if is_last {
        out.push_str("\n]\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_spreadsheet_would_compute_is_text() {
        for (value, expected) in [
            (json!("=1+1"), "\"'=1+1\""),
            (json!("+49"), "\"'+49\""),
            (json!("-2"), "\"'-2\""),
            (json!("@SUM(A1)"), "\"'@SUM(A1)\""),
            (json!("\t=1"), "\"'\t=1\""),
            (json!("\r=1"), "\"'\r=1\""),
            (json!(-2), "\"'-2\""),
            (json!(["=a", "b"]), "\"'=a b\""),
            (json!("a \"b\", c\nd"), "\"a \"\"b\"\", c\nd\""),
            (Value::Null, ""),
        ] {
            assert_eq!(cell(&value), expected);
        }
    }

    #[test]
    fn the_parts_of_an_array_are_one_array() {
        let row = |text: &str| vec![json!(text), Value::Null];
        let written = |head, rows| Written { head, rows };
        let parts = [
            json(&["a", "b"], &written(false, false), &[], false),
            json(&["a", "b"], &written(true, false), &[row("x"), row("y")], false),
            json(&["a", "b"], &written(true, true), &[row("z")], true),
        ];
        let whole: Value = serde_json::from_str(&parts.concat()).unwrap();
        assert_eq!(whole, json!([{"a": "x", "b": null}, {"a": "y", "b": null}, {"a": "z", "b": null}]));
        let empty: Value = serde_json::from_str(&json(&["a"], &written(false, false), &[], true)).unwrap();
        assert_eq!(empty, json!([]));
    }
}
