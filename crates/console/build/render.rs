//! Markdown of one chapter into HTML that needs neither script nor inline style.

use pulldown_cmark::{CodeBlockKind, CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

use crate::highlight;

/// A rendered chapter.
#[derive(Debug)]
pub(crate) struct Page {
    /// The body, beginning with its `h1`.
    pub(crate) html: String,
    /// Anchor and title of each `h2`, in order.
    pub(crate) sections: Vec<(String, String)>,
}

/// Renders a chapter; `known` are the slugs that links may name.
///
/// # Errors
/// A sentence that names the raw HTML or the link that cannot be served.
pub(crate) fn page(markdown: &str, known: &[&str]) -> Result<Page, String> {
    let mut anchors: Vec<String> = Vec::new();
    let mut sections = Vec::new();
    let mut events: Vec<Event<'_>> = Vec::new();
    let mut parser = Parser::new_ext(markdown, Options::ENABLE_TABLES | Options::ENABLE_GFM);
    while let Some(event) = parser.next() {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                let inner = inside(&mut parser, |end| matches!(end, TagEnd::Heading(_)), known)?;
                let title = plain_text(&inner);
                let anchor = unique(&mut anchors, &slug(&title));
                if level == HeadingLevel::H2 {
                    sections.push((anchor.clone(), title));
                }
                events.push(markup(format!("<{level} id=\"{anchor}\">")));
                events.extend(inner);
                let mark = if level == HeadingLevel::H1 {
                    String::new()
                } else {
                    format!(" <a class=\"anchor\" href=\"#{anchor}\" aria-label=\"Link to this section\">#</a>")
                };
                events.push(markup(format!("{mark}</{level}>\n")));
            }
            Event::Start(Tag::CodeBlock(kind)) => {
                let language = match &kind {
                    CodeBlockKind::Fenced(info) => info.split([' ', ',']).next().unwrap_or_default().to_owned(),
                    CodeBlockKind::Indented => String::new(),
                };
                let inner = inside(&mut parser, |end| matches!(end, TagEnd::CodeBlock), known)?;
                events.push(markup(code_block(&language, &plain_text(&inner))));
            }
            Event::Start(Tag::Table(_)) => {
                let inner = inside(&mut parser, |end| matches!(end, TagEnd::Table), known)?;
                table(&mut events, inner);
            }
            Event::Start(Tag::HtmlBlock) => comment(&mut parser)?,
            other => events.push(checked(other, known)?),
        }
    }
    let mut out = String::new();
    html::push_html(&mut out, events.into_iter());
    Ok(Page { html: out, sections })
}

/// Reads a block of HTML, which may be a comment and nothing else: notes to those who test the book.
fn comment<'a>(parser: &mut impl Iterator<Item = Event<'a>>) -> Result<(), String> {
    let mut raw = String::new();
    for event in parser {
        match event {
            Event::Html(text) | Event::Text(text) => raw.push_str(&text),
            _ => break,
        }
    }
    let text = raw.trim();
    let is_comment = text.starts_with("<!--") && text.find("-->").is_some_and(|at| at.saturating_add(3) == text.len());
    if is_comment { Ok(()) } else { Err(format!("raw HTML is not allowed in the book: {text}")) }
}

/// The events up to the end tag, which is consumed.
fn inside<'a>(
    parser: &mut impl Iterator<Item = Event<'a>>,
    is_end: impl Fn(TagEnd) -> bool,
    known: &[&str],
) -> Result<Vec<Event<'a>>, String> {
    let mut inner = Vec::new();
    for event in parser {
        if let Event::End(end) = &event
            && is_end(*end)
        {
            break;
        }
        inner.push(checked(event, known)?);
    }
    Ok(inner)
}

/// Refuses raw HTML and rewrites links.
fn checked<'a>(event: Event<'a>, known: &[&str]) -> Result<Event<'a>, String> {
    match event {
        Event::Html(raw) | Event::InlineHtml(raw) => Err(format!("raw HTML is not allowed in the book: {raw}")),
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            let dest_url = CowStr::from(served_url(&dest_url, known)?);
            Ok(Event::Start(Tag::Link { link_type, dest_url, title, id }))
        }
        other => Ok(other),
    }
}

/// The URL under which a link of the source is served: `concepts.md#client` is `/docs/concepts#client`.
///
/// # Errors
/// A sentence that names the link when its chapter is not in the book.
pub(crate) fn served_url(link: &str, known: &[&str]) -> Result<String, String> {
    let is_served = ["https://", "http://", "/", "#"].iter().any(|start| link.starts_with(start));
    if is_served {
        return Ok(link.to_owned());
    }
    let (file, fragment) = link.split_once('#').map_or((link, None), |(file, fragment)| (file, Some(fragment)));
    let slug = file.strip_suffix(".md").filter(|slug| known.contains(slug));
    let slug = slug.ok_or_else(|| format!("the link `{link}` names no chapter of SUMMARY.md"))?;
    let path = if known.first() == Some(&slug) { "/docs".to_owned() } else { format!("/docs/{slug}") };
    Ok(fragment.map_or(path.clone(), |fragment| format!("{path}#{fragment}")))
}

/// The anchor of a heading: lowercase letters and digits, other runs as one hyphen.
pub(crate) fn slug(title: &str) -> String {
    let mut out = String::new();
    for c in title.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() || c == '_' {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('-') && (c.is_whitespace() || c == '-') {
            out.push('-');
        }
    }
    out.trim_end_matches('-').to_owned()
}

fn unique(anchors: &mut Vec<String>, wanted: &str) -> String {
    let mut anchor = wanted.to_owned();
    let mut number = 1_u32;
    while anchors.contains(&anchor) {
        anchor = format!("{wanted}-{number}");
        number = number.saturating_add(1);
    }
    anchors.push(anchor.clone());
    anchor
}

/// A table whose cells carry the name of their column, so that narrow screens can show a row as a card.
///
/// The roles keep the table's meaning for assistive technology where its display changes; alignments are left out,
/// because they would become `style` attributes, which the content security policy refuses.
fn table<'a>(out: &mut Vec<Event<'a>>, inner: Vec<Event<'a>>) {
    out.push(markup(
        "<div class=\"table\" role=\"group\" aria-label=\"Table\" tabindex=\"0\">\n<table role=\"table\">\n".to_owned(),
    ));
    let mut names: Vec<String> = Vec::new();
    let mut column = 0_usize;
    let mut is_head = false;
    for event in inner {
        let html = match event {
            Event::Start(Tag::TableHead) => {
                is_head = true;
                "<thead role=\"rowgroup\"><tr role=\"row\">".to_owned()
            }
            Event::End(TagEnd::TableHead) => {
                is_head = false;
                "</tr></thead>\n<tbody role=\"rowgroup\">\n".to_owned()
            }
            Event::Start(Tag::TableRow) => {
                column = 0;
                "<tr role=\"row\">".to_owned()
            }
            Event::End(TagEnd::TableRow) => "</tr>\n".to_owned(),
            Event::Start(Tag::TableCell) if is_head => {
                names.push(String::new());
                "<th role=\"columnheader\" scope=\"col\">".to_owned()
            }
            Event::Start(Tag::TableCell) => {
                let mut label = String::new();
                highlight::escape(&mut label, names.get(column).map_or("", String::as_str));
                column = column.saturating_add(1);
                format!("<td role=\"cell\" data-label=\"{label}\">")
            }
            Event::End(TagEnd::TableCell) => if is_head { "</th>" } else { "</td>" }.to_owned(),
            other => {
                if let (true, Event::Text(text) | Event::Code(text), Some(name)) = (is_head, &other, names.last_mut()) {
                    name.push_str(text);
                }
                out.push(other);
                continue;
            }
        };
        out.push(markup(html));
    }
    out.push(markup("</tbody>\n</table>\n</div>\n".to_owned()));
}

fn plain_text(events: &[Event<'_>]) -> String {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Text(text) | Event::Code(text) => Some(text.as_ref()),
            _ => None,
        })
        .collect()
}

fn code_block(language: &str, text: &str) -> String {
    let shown = if language.is_empty() { "text" } else { language };
    format!(
        "<pre class=\"code\" tabindex=\"0\" data-language=\"{shown}\"><code class=\"language-{shown}\">{}</code></pre>\n",
        highlight::html(language, text)
    )
}

fn markup(html: String) -> Event<'static> {
    Event::Html(CowStr::from(html))
}
