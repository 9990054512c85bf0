//! Every stable error code of the server, with what happened, why, and what to do.
//!
//! It is one table for everybody who names a code: the pages of `console`, the API description, and the tests that hold
//! each code to its page. Which error has which code is for the two places where an error becomes an answer.

mod table;
mod usage;

/// Where a code appears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// `error` of an OAuth answer (RFC 6749 §5.2).
    OAuth,
    /// `code` of a problem of the admin API (RFC 9457).
    Admin,
    /// A page of the console.
    Console,
    /// `warnings` of a successful answer.
    Warning,
    /// A reason for which `/readyz` answers 503.
    NotReady,
    /// A reason for which `/readyz` answers `degraded`.
    Degraded,
}

/// What a page says about one code. Words in backquotes are shown as code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorPage {
    /// The stable code.
    pub code: &'static str,
    /// Where it appears.
    pub surface: Surface,
    /// HTTP status that it comes with, where it decides one.
    pub status: Option<u16>,
    /// A headline.
    pub title: &'static str,
    /// What happened, and what did not.
    pub what: &'static str,
    /// The causes.
    pub why: &'static str,
    /// What to do next.
    pub fix: &'static str,
}

/// The page of every stable code.
pub fn error_pages() -> impl Iterator<Item = &'static ErrorPage> {
    table::PAGES.iter().chain(usage::PAGES)
}

/// The page of a code; `None` for a code that does not exist.
pub fn error_page(code: &str) -> Option<&'static ErrorPage> {
    error_pages().find(|page| page.code == code)
}

impl Surface {
    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OAuth => "OAuth endpoints",
            Self::Admin => "Admin API",
            Self::Console => "Console",
            Self::Warning => "Warning",
            Self::NotReady => "Not ready",
            Self::Degraded => "Degraded",
        }
    }
}

impl ErrorPage {
    /// The page as Markdown.
    pub fn markdown(&self) -> String {
        format!(
            "# {}\n\nCode `{}` · {}{}\n\n## What happened\n\n{}\n\n## Why\n\n{}\n\n## What to do\n\n{}\n\n## What it looks like\n\n```\n{}\n```\n",
            self.title,
            self.code,
            self.surface.name(),
            self.status.map(|status| format!(" · HTTP status {status}")).unwrap_or_default(),
            self.what,
            self.why,
            self.fix,
            self.sample()
        )
    }

    /// The code in words, which is the title of a problem.
    fn in_words(&self) -> String {
        let mut words = self.code.replace('_', " ");
        if let Some(first) = words.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        words
    }

    /// The shape of an answer that carries the code.
    pub fn sample(&self) -> String {
        let status = self.status.unwrap_or(201);
        match self.surface {
            Surface::OAuth => format!(
                "HTTP/1.1 {status}\nContent-Type: application/json\n{}\n{{\n  \"error\": \"{code}\",\n  \"error_description\": \"…\",\n  \"error_uri\": \"http://127.0.0.1:8080/errors/{code}\"\n}}",
                match status {
                    401 => "WWW-Authenticate: Basic realm=\"bastionary\"\n",
                    429 | 503 => "Retry-After: 1\n",
                    _ => "",
                },
                code = self.code
            ),
            Surface::Admin => format!(
                "HTTP/1.1 {status}\nContent-Type: application/problem+json\nX-Request-Id: req_…\n\n{{\n  \"type\": \"http://127.0.0.1:8080/errors/{code}\",\n  \"title\": \"{}\",\n  \"status\": {status},\n  \"code\": \"{code}\",\n  \"detail\": \"…\",\n  \"instance\": \"/api/…\",\n  \"request_id\": \"req_…\"\n}}",
                self.in_words(),
                code = self.code
            ),
            Surface::Console => {
                format!("HTTP/1.1 {status}\nContent-Type: text/html; charset=utf-8\n\n{status} · {}", self.code)
            }
            Surface::Warning => {
                format!("{{\n  \"warnings\": [\n    {{ \"code\": \"{}\", \"detail\": \"…\" }}\n  ]\n}}", self.code)
            }
            Surface::NotReady | Surface::Degraded => format!(
                "HTTP/1.1 {status}\nContent-Type: application/json\n\n{{\n  \"status\": \"{}\",\n  \"checks\": [\n    {{ \"code\": \"{}\", \"since\": \"…\", \"runbook\": \"/errors/{}\" }}\n  ]\n}}",
                if self.surface == Surface::NotReady { "not_ready" } else { "degraded" },
                self.code,
                self.code
            ),
        }
    }
}
