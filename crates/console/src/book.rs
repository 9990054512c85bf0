//! The book as the build step rendered it.

use std::fmt::Write as _;

/// One chapter.
pub(crate) struct Page {
    /// Last segment of its URL.
    pub(crate) slug: &'static str,
    /// Title in the navigation.
    pub(crate) title: &'static str,
    /// The part that it stands in; empty for the first chapter.
    pub(crate) part: &'static str,
    /// The body, beginning with its `h1`.
    pub(crate) html: &'static str,
    /// The source.
    pub(crate) markdown: &'static str,
    /// Anchor and title of each `h2`.
    pub(crate) sections: &'static [(&'static str, &'static str)],
}

include!(concat!(env!("OUT_DIR"), "/pages.rs"));

impl Page {
    /// The path under which the chapter is served; the first one is the front page.
    pub(crate) fn path(&self) -> String {
        if PAGES.first().is_some_and(|first| first.slug == self.slug) {
            "/docs".to_owned()
        } else {
            format!("/docs/{}", self.slug)
        }
    }
}

/// A chapter and its place in the reading order.
pub(crate) fn page(slug: &str) -> Option<(usize, &'static Page)> {
    PAGES.iter().enumerate().find(|(_, page)| page.slug == slug)
}

/// The list of chapters in the form of `/llms.txt`; each is served as Markdown to `Accept: text/markdown`.
pub(crate) fn index_for_agents() -> String {
    let mut out = String::from(
        "# Bastionary\n\n> Self-hosted OAuth 2 server for machine clients. Send `Accept: text/markdown` to read a page as Markdown; \
         all pages in one are at [/llms-full.txt](/llms-full.txt), the API for machines at \
         [/api/openapi.json](/api/openapi.json).\n",
    );
    let mut part = "";
    for page in PAGES {
        if page.part != part {
            part = page.part;
            let _ = write!(out, "\n## {part}\n");
        }
        let _ = write!(out, "\n- [{}]({})", page.title, page.path());
    }
    out.push('\n');
    out
}

/// All chapters in reading order, one after another.
pub(crate) fn whole_for_agents() -> String {
    PAGES.iter().map(|page| page.markdown.trim_end()).collect::<Vec<_>>().join("\n\n") + "\n"
}
