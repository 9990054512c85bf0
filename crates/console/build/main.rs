//! Build step: renders the book in `docs/` into HTML and writes the tables of its pages and of the served assets.
//!
//! A broken link, raw HTML or a chapter that is listed but absent fails the build, so that what is served needs no
//! checks. Layout is not decided here; that is `frame`.

mod assets;
mod highlight;
mod operations;
mod render;
mod summary;

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let crate_dir = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(variable("OUT_DIR")?);
    let docs = crate_dir.join("../../docs").canonicalize()?;
    println_cargo(&format!("rerun-if-changed={}", docs.join("SUMMARY.md").display()));
    println_cargo("rerun-if-changed=build");
    println_cargo("rerun-if-changed=assets");
    println_cargo("rerun-if-changed=templates");
    assets::write(&crate_dir.join("assets"), &out)?;
    let api = crate_dir.join("../../openapi/bastionary.json");
    println_cargo(&format!("rerun-if-changed={}", api.display()));
    fs::write(out.join("operations.rs"), operations::table(&fs::read_to_string(api)?)?)?;

    let listed = fs::read_to_string(docs.join("SUMMARY.md"))?;
    let chapters = summary::parse(&listed)?;
    let known: Vec<&str> = chapters.iter().map(|c| c.slug.as_str()).collect();

    let mut table =
        String::from("/// The pages of the book, in reading order.\npub(crate) const PAGES: &[Page] = &[\n");
    for chapter in &chapters {
        let source = docs.join(format!("{}.md", chapter.slug));
        println_cargo(&format!("rerun-if-changed={}", source.display()));
        let markdown = fs::read_to_string(&source).map_err(|e| format!("{}: {e}", source.display()))?;
        let page = render::page(&markdown, &known).map_err(|e| format!("{}: {e}", source.display()))?;
        let html = out.join(format!("{}.html", chapter.slug));
        fs::write(&html, &page.html)?;
        write_row(&mut table, chapter, &page, &html, &source)?;
    }
    table.push_str("];\n");
    fs::write(out.join("pages.rs"), table)?;
    Ok(())
}

fn write_row(
    table: &mut String,
    chapter: &summary::Chapter,
    page: &render::Page,
    html: &Path,
    source: &Path,
) -> Result<(), std::fmt::Error> {
    writeln!(table, "    Page {{")?;
    writeln!(table, "        slug: {:?},", chapter.slug)?;
    writeln!(table, "        title: {:?},", chapter.title)?;
    writeln!(table, "        part: {:?},", chapter.part)?;
    writeln!(table, "        html: include_str!({:?}),", html.display().to_string())?;
    writeln!(table, "        markdown: include_str!({:?}),", source.display().to_string())?;
    writeln!(table, "        sections: &{:?},", page.sections)?;
    writeln!(table, "    }},")
}

#[expect(clippy::disallowed_methods, reason = "cargo hands directories to build scripts by environment variables only")]
fn variable(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|e| format!("{name}: {e}"))
}

#[expect(clippy::print_stdout, reason = "cargo reads the instructions of a build script from its standard output")]
fn println_cargo(instruction: &str) {
    println!("cargo::{instruction}");
}
