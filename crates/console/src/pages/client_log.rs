//! What a client asked for and got, newest first, with the reason of each denial.

use kernel::clock::Timestamp;

use crate::badge::{self, Badge};
use crate::form::Paging;
use crate::moment::{Grouped, Moment};
use crate::shell::Visit;

/// One entry of the log.
#[derive(Debug, Clone)]
pub struct Entry {
    /// When; of several equal denials, the first.
    pub at: Timestamp,
    /// The reason's stable name; `None` for an issued token.
    pub denied: Option<String>,
    /// How many equal requests this stands for.
    pub count: u32,
    /// Grant and scopes of an issued token.
    pub issued: Option<(&'static str, String)>,
    /// From which address.
    pub source: Option<String>,
    /// In which request.
    pub request: String,
}

/// One page of the log.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// The entries.
    pub entries: Vec<Entry>,
    /// The filter: `issued`, `refused` or empty for all.
    pub outcome: String,
    /// Rows on a page.
    pub limit: u32,
    /// Whether this is the first page.
    pub is_first: bool,
    /// Cursor of the page after.
    pub next: Option<String>,
}

/// An entry as the page draws it.
pub(crate) struct Line<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) at: Moment,
    pub(crate) badge: Badge,
    pub(crate) sentence: String,
    pub(crate) times: Option<String>,
}

/// The log as the page draws it.
pub(crate) struct Shown<'a> {
    pub(crate) log: &'a Log,
    pub(crate) lines: Vec<Line<'a>>,
    pub(crate) paging: Paging,
}

impl<'a> Shown<'a> {
    /// The log at an address.
    pub(crate) fn new(visit: &Visit<'_>, log: &'a Log, action: String) -> Self {
        let kept: Vec<(String, String)> = Some(log.outcome.clone())
            .filter(|text| !text.is_empty())
            .map(|text| ("outcome".to_owned(), text))
            .into_iter()
            .collect();
        let query = crate::address::query(kept.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let to =
            |cursor: &String| format!("{action}?{query}limit={}&cursor={}", log.limit, crate::address::encoded(cursor));
        let line = |entry: &'a Entry| Line {
            at: Moment::new(entry.at, visit.now),
            badge: badge::of(if entry.denied.is_some() { "denied" } else { "issued" }),
            sentence: match (&entry.denied, &entry.issued) {
                (Some(reason), _) => sentence(reason).to_owned(),
                (None, Some((grant, _))) => format!("Token by {grant}"),
                (None, None) => String::new(),
            },
            times: (entry.count > 1).then(|| format!("{} times within a minute", Grouped(u64::from(entry.count)))),
            entry,
        };
        Self {
            log,
            lines: log.entries.iter().map(line).collect(),
            paging: Paging {
                shown: if log.entries.len() == 1 {
                    "1 entry".to_owned()
                } else {
                    format!("{} entries", log.entries.len())
                },
                limit: log.limit,
                first: (!log.is_first).then(|| format!("{action}?{query}limit={}", log.limit)),
                previous: None,
                next: log.next.as_ref().map(to),
                export: None,
                kept,
                action,
            },
        }
    }
}

/// The reason of a denial in a sentence; an unknown one stays as it is.
fn sentence(reason: &str) -> &str {
    match reason {
        "unknown_client" => "There was no client with this id.",
        "client_disabled" => "The client is disabled.",
        "client_expired" => "The client has ended.",
        "invalid_secret" => "The secret is none of this client’s.",
        "secret_ended" => "The secret has ended, or has not begun yet.",
        "no_secret" => "No secret came with the request.",
        "wrong_auth_method" => "The client authenticates in another way.",
        "too_many_failures" => "Too many wrong secrets from this address.",
        "rate_limit" => "More requests than its rate allows.",
        "rate_limit_monitored" => "Past its rate, which only counts.",
        "source_limit" => "Too many requests from this address.",
        "quota" => "Its quota of tokens is used up.",
        "invalid_scope" => "A scope that nobody knows or that the client does not hold.",
        "invalid_target" => "An audience that nobody knows or that the client may not use.",
        "invalid_grant" => "A refresh token that is spent, ended or of another client.",
        "unauthorized_client" => "A grant that the client may not use.",
        "unsupported_grant_type" => "A grant that this server does not offer.",
        "invalid_request" => "The request was malformed.",
        "insufficient_scope" => "A call of the admin API that its token does not allow.",
        "temporarily_unavailable" => "The server could not answer.",
        other => other,
    }
}
