//! Error pages: one for each stable code, rendered from the table of all codes.

use std::fmt::Write as _;

use codes::{ErrorPage, Surface};

use crate::frame::escaped;

const fn badge(surface: Surface) -> &'static str {
    match surface {
        Surface::OAuth | Surface::Admin | Surface::Console | Surface::NotReady => "bad",
        Surface::Warning | Surface::Degraded => "warn",
    }
}

/// The body of the page of a code as HTML.
pub(crate) fn html(page: &ErrorPage) -> String {
    let mut out = format!(
        "<h1>{}</h1>\n<div class=\"badges\"><span class=\"badge\"><code>{}</code></span>\
         <span class=\"badge {}\">{}</span>",
        escaped(page.title),
        page.code,
        badge(page.surface),
        page.surface.name()
    );
    if let Some(status) = page.status {
        let _ = write!(out, "<span class=\"badge\">HTTP status {status}</span>");
    }
    out.push_str("</div>\n");
    for (id, title, text) in [
        ("what-happened", "What happened", page.what),
        ("why", "Why", page.why),
        ("what-to-do", "What to do", page.fix),
    ] {
        let _ = writeln!(out, "<h2 id=\"{id}\">{title}</h2>\n<p>{}</p>", with_code(text));
    }
    let _ = writeln!(
        out,
        "<h2 id=\"what-it-looks-like\">What it looks like</h2>\n<pre class=\"code\" tabindex=\"0\"><code>{}</code></pre>",
        escaped(&page.sample())
    );
    out
}

/// Escaped text in which words between backquotes are code.
fn with_code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, piece) in text.split('`').enumerate() {
        if at % 2 == 1 {
            let _ = write!(out, "<code>{}</code>", escaped(piece));
        } else {
            out.push_str(&escaped(piece));
        }
    }
    out
}
