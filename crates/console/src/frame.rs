//! The frame around every page: top bar, navigation, breadcrumb, sections, and the way on.

use std::fmt::Write as _;

use codes::ErrorPage;

use crate::assets::{BOOK_STYLE, MARK};
use crate::book::{PAGES, Page, page as chapter_at};
use crate::errors;

/// What differs from page to page.
struct Content<'a> {
    title: &'a str,
    /// Path of the chapter that the navigation marks; empty for none.
    current: &'a str,
    /// Part or parent between `Docs` and the title: text and address.
    parent: Option<(&'a str, Option<&'a str>)>,
    body: &'a str,
    sections: &'a [(&'a str, &'a str)],
    /// Previous and next chapter, when the page has a place in the reading order.
    around: (Option<&'static Page>, Option<&'static Page>),
}

/// A chapter of the book.
pub(crate) fn chapter(page: &'static Page) -> String {
    let at = chapter_at(page.slug).map_or(0, |(at, _)| at);
    let previous = at.checked_sub(1).and_then(|i| PAGES.get(i));
    let next = at.checked_add(1).and_then(|i| PAGES.get(i));
    document(&Content {
        title: page.title,
        current: &page.path(),
        parent: (!page.part.is_empty()).then_some((page.part, None)),
        body: page.html,
        sections: page.sections,
        around: (previous, next),
    })
}

/// The page of an error code.
pub(crate) fn error(page: &ErrorPage) -> String {
    document(&Content {
        title: page.code,
        current: "/docs/error-codes",
        parent: Some(("Error codes", Some("/docs/error-codes"))),
        body: &errors::html(page),
        sections: &[],
        around: (None, None),
    })
}

/// The page for an address that does not exist.
pub(crate) fn missing() -> String {
    document(&Content {
        title: "Page not found",
        current: "",
        parent: None,
        body: "<h1>Page not found</h1>\n<p>No page of this server has this address. It may have been mistyped, or \
               the page may belong to another version.</p>\n<p>Start at the <a href=\"/docs\">first page of the book</a>, \
               or look the code up in the <a href=\"/docs/error-codes\">index of error codes</a>.</p>\n",
        sections: &[],
        around: (None, None),
    })
}

/// Text with the characters of HTML escaped.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn document(content: &Content<'_>) -> String {
    let title = escaped(content.title);
    let mut out = String::with_capacity(content.body.len().saturating_add(16_384));
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title} – Bastionary docs</title>\n\
         <link rel=\"icon\" type=\"image/svg+xml\" href=\"{MARK}\">\n\
         <link rel=\"stylesheet\" href=\"{BOOK_STYLE}\">\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#content\">Skip to content</a>\n\
         <header class=\"top\"><button class=\"menu\" type=\"button\" popovertarget=\"chapters\">Chapters</button>\
         <a class=\"brand\" href=\"/docs\"><img src=\"{MARK}\" alt=\"\" width=\"20\" height=\"20\">Bastionary</a>\
         <nav class=\"quick\" aria-label=\"Reference\"><a href=\"/docs/api\">API</a><a href=\"/docs/cli\">CLI</a>\
         <a href=\"/docs/error-codes\">Errors</a></nav></header>\n<div class=\"shell\">\n"
    );
    navigation(&mut out, content.current);
    out.push_str("<main id=\"content\">\n");
    breadcrumb(&mut out, content);
    let _ = writeln!(out, "<article>\n{}</article>", content.body);
    way_on(&mut out, content.around);
    let _ = writeln!(
        out,
        "<footer>Bastionary {} · served by this server, works offline</footer>\n</main>",
        env!("CARGO_PKG_VERSION")
    );
    contents(&mut out, content.sections);
    out.push_str("</div>\n</body>\n</html>\n");
    out
}

/// The sidebar; a popover below 1,024 px, where the button of the top bar opens it without script.
fn navigation(out: &mut String, current: &str) {
    out.push_str("<nav class=\"side\" id=\"chapters\" popover aria-label=\"Chapters\">\n<ul>\n");
    let mut part = "";
    for page in PAGES {
        if page.part != part {
            part = page.part;
            let _ = writeln!(out, "</ul>\n<p class=\"part\">{}</p>\n<ul>", escaped(part));
        }
        let path = page.path();
        let mark = if path == current { " aria-current=\"page\"" } else { "" };
        let _ = writeln!(out, "<li><a href=\"{path}\"{mark}>{}</a></li>", escaped(page.title));
    }
    out.push_str("</ul>\n</nav>\n");
}

fn breadcrumb(out: &mut String, content: &Content<'_>) {
    if content.current == "/docs" {
        return;
    }
    out.push_str("<nav class=\"crumbs\" aria-label=\"Breadcrumb\"><ol><li><a href=\"/docs\">Docs</a></li>");
    match content.parent {
        Some((text, Some(address))) => {
            let _ = write!(out, "<li><a href=\"{address}\">{}</a></li>", escaped(text));
        }
        Some((text, None)) => {
            let _ = write!(out, "<li>{}</li>", escaped(text));
        }
        None => {}
    }
    let _ = writeln!(out, "<li aria-current=\"page\">{}</li></ol></nav>", escaped(content.title));
}

fn way_on(out: &mut String, (previous, next): (Option<&'static Page>, Option<&'static Page>)) {
    if previous.is_none() && next.is_none() {
        return;
    }
    out.push_str("<nav class=\"way\" aria-label=\"Previous and next chapter\">");
    for (page, class, word) in [(previous, "previous", "Previous"), (next, "next", "Next")] {
        if let Some(page) = page {
            let _ = write!(
                out,
                "<a class=\"{class}\" rel=\"{}\" href=\"{}\"><small>{word}</small>{}</a>",
                if class == "next" { "next" } else { "prev" },
                page.path(),
                escaped(page.title)
            );
        }
    }
    out.push_str("</nav>\n");
}

fn contents(out: &mut String, sections: &[(&str, &str)]) {
    if sections.len() < 2 {
        return;
    }
    out.push_str("<aside class=\"contents\"><nav aria-labelledby=\"on-this-page\"><p id=\"on-this-page\">On this page</p>\n<ul>\n");
    for (anchor, title) in sections {
        let _ = writeln!(out, "<li><a href=\"#{anchor}\">{}</a></li>", escaped(title));
    }
    out.push_str("</ul>\n</nav></aside>\n");
}
