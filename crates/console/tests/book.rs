//! The sources of the book, read on their own: `mdbook build docs` must find what they name.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail like the test itself")]

#[path = "../build/highlight.rs"]
mod highlight;
#[path = "../build/render.rs"]
mod render;
#[path = "../build/summary.rs"]
mod summary;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// Documents of the repository that stand beside the book and are not chapters of it.
const NOT_CHAPTERS: [&str; 2] = ["SUMMARY", "proof"];

fn docs() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs"))
}

fn sources() -> BTreeMap<String, String> {
    std::fs::read_dir(docs())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "md"))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(path).unwrap()))
        .filter(|(slug, _)| !NOT_CHAPTERS.contains(&slug.as_str()))
        .collect()
}

fn anchors(markdown: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut title: Option<String> = None;
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Heading { .. }) => title = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                found.insert(render::slug(&title.take().unwrap()));
            }
            Event::Text(text) | Event::Code(text) => {
                if let Some(title) = &mut title {
                    title.push_str(&text);
                }
            }
            _ => {}
        }
    }
    found
}

#[test]
fn the_summary_lists_every_chapter_file_and_no_other() {
    let chapters = summary::parse(&std::fs::read_to_string(docs().join("SUMMARY.md")).unwrap()).unwrap();
    let listed: BTreeSet<_> = chapters.iter().map(|c| c.slug.clone()).collect();
    assert_eq!(listed, sources().into_keys().collect());
}

#[test]
fn every_link_between_chapters_names_a_file_and_a_heading_of_it() {
    let sources = sources();
    let mut checked = 0;
    for (slug, markdown) in &sources {
        for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
            let Event::Start(Tag::Link { dest_url, .. }) = event else { continue };
            if dest_url.starts_with("http") {
                continue;
            }
            if let Some(code) = dest_url.strip_prefix("/errors/") {
                assert!(console::error_page(code).is_some(), "{slug}.md links to {dest_url}");
                continue;
            }
            let (file, fragment) = dest_url.split_once('#').unwrap_or((&dest_url, ""));
            let target = if file.is_empty() { slug } else { file.strip_suffix(".md").unwrap_or(file) };
            let text = sources.get(target).unwrap_or_else(|| panic!("{slug}.md links to {dest_url}"));
            assert!(fragment.is_empty() || anchors(text).contains(fragment), "{slug}.md links to {dest_url}");
            checked += 1;
        }
    }
    assert!(checked > 40, "only {checked} links were found");
}

#[test]
fn every_chapter_begins_with_its_title_and_names_the_language_of_each_code_block() {
    for (slug, markdown) in sources() {
        assert!(markdown.starts_with("# "), "{slug}.md");
        let fences = markdown.lines().filter(|line| line.starts_with("```")).collect::<Vec<_>>();
        for fence in fences.chunks(2) {
            assert!(fence[0].len() > 3 && fence.get(1) == Some(&"```"), "{slug}.md: {fence:?}");
        }
    }
}

#[test]
fn links_to_chapters_become_served_addresses_and_unknown_ones_are_refused() {
    let known = ["introduction", "clients"];
    assert_eq!(render::served_url("clients.md#fields", &known).unwrap(), "/docs/clients#fields");
    assert_eq!(render::served_url("introduction.md", &known).unwrap(), "/docs");
    assert_eq!(render::served_url("/errors/x", &known).unwrap(), "/errors/x");
    assert!(render::served_url("missing.md", &known).is_err());
    assert!(render::served_url("clients", &known).is_err());
}

#[test]
fn raw_html_fails_the_build() {
    assert!(render::page("# A\n\n<b>x</b>\n", &[]).is_err());
    assert!(render::page("# A\n\n<script>x</script>\n", &[]).is_err());
    for hidden in ["<!-- a --><b>x</b>", "<!-- a\n--><script>x</script>", "<!-- a -->\n<b>x</b>"] {
        assert!(render::page(&format!("# A\n\n{hidden}\n"), &[]).is_err(), "{hidden}");
    }
}

#[test]
fn a_comment_is_for_those_who_test_the_book_and_is_not_served() {
    let page = render::page("# A\n\n<!-- not run: it needs a printer -->\n```sh\nlpr\n```\n", &[]).unwrap();
    assert!(page.html.contains("lpr") && !page.html.contains("printer") && !page.html.contains("<!--"));
}

#[test]
fn headings_get_unique_anchors_and_tables_no_inline_style() {
    let page = render::page("# A\n\n## Same\n\n## Same\n\n| a | b |\n|:-:|--:|\n| 1 | 2 |\n", &[]).unwrap();
    assert_eq!(page.sections, [("same".to_owned(), "Same".to_owned()), ("same-1".to_owned(), "Same".to_owned())]);
    assert!(page.html.contains("<h2 id=\"same-1\">") && !page.html.contains("style="));
}

#[test]
fn code_is_escaped_and_colored_without_changing_its_text() {
    let html = highlight::html("sh", "curl -d 'a<b' # why\n");
    assert_eq!(
        html,
        "<span class=\"t-k\">curl</span> -d <span class=\"t-s\">&#39;a&lt;b&#39;</span> <span class=\"t-c\"># why</span>\n"
    );
    for language in ["sh", "json", "rust", "js", "python", "toml", "http", "text", ""] {
        for text in ["\"unterminated", "'", "é\"ü\\", "#", "a\\", "\u{1f600}//", "1.5e", ""] {
            let html = highlight::html(language, text);
            let plain: String = html.split('<').map(|p| p.split_once('>').map_or(p, |(_, rest)| rest)).collect();
            let plain = plain.replace("&quot;", "\"").replace("&#39;", "'").replace("&lt;", "<").replace("&amp;", "&");
            assert_eq!(plain, text, "{language}");
        }
    }
}

#[test]
fn a_summary_line_that_is_no_chapter_is_named() {
    let error = summary::parse("# Summary\n\n- Clients\n").unwrap_err();
    assert!(error.contains("- Clients"), "{error}");
    assert!(summary::parse("- [A](a.md)\n- [B](a.md)\n").is_err());
}

#[test]
fn cells_of_a_table_carry_the_name_of_their_column() {
    let page = render::page("# A\n\n| Key | `b` & c |\n|---|---|\n| 1 | *2* |\n", &[]).unwrap();
    assert!(page.html.contains("<td role=\"cell\" data-label=\"Key\">1</td>"), "{}", page.html);
    assert!(page.html.contains("<td role=\"cell\" data-label=\"b &amp; c\"><em>2</em></td>"), "{}", page.html);
}
