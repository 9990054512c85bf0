//! What is set, where, and whose work the server is made of.

use askama::Template;

use crate::assets::{self, Notice};
use crate::shell::{Document, Frame, Visit};

/// One thing that is set.
#[derive(Debug, Clone)]
pub struct Fact {
    /// What it is.
    pub label: &'static str,
    /// How it is set.
    pub value: String,
    /// Key of the configuration that decides it; empty when none does.
    pub key: &'static str,
}

/// Facts that belong together.
#[derive(Debug, Clone)]
pub struct Group {
    /// Title.
    pub title: &'static str,
    /// A sentence below it; may be empty.
    pub sentence: &'static str,
    /// The facts.
    pub facts: Vec<Fact>,
}

/// A package that is built in.
#[derive(Debug, Clone, Copy)]
pub struct Package {
    /// Name.
    pub name: &'static str,
    /// Version.
    pub version: &'static str,
    /// SPDX expression.
    pub license: &'static str,
    /// Where it lives; may be empty.
    pub place: &'static str,
}

/// The packages that the binary is made of.
pub fn packages() -> Vec<Package> {
    let package = |line: &'static str| {
        let mut parts = line.split('\t');
        let (name, version, license) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Package { name, version, license, place: parts.next().unwrap_or_default() })
    };
    include_str!("../../notices.txt").lines().filter_map(package).collect()
}

/// The two pages: text, address, whether it is the one that is shown.
type Tabs = [(&'static str, String, bool); 2];

fn tabs(frame: &Frame<'_>, is_notices: bool) -> Tabs {
    let at = |path: &str| format!("{}/settings{path}", frame.root);
    [("Settings", at(""), !is_notices), ("Third-party notices", at("/notices"), is_notices)]
}

#[derive(Template)]
#[template(path = "settings.html")]
struct Page<'a> {
    frame: Frame<'a>,
    tabs: Tabs,
    groups: &'a [Group],
    has_bundle: bool,
}

/// The settings; a bundle for reports is offered where there is one.
pub fn show<'a>(visit: &Visit<'a>, groups: &'a [Group], has_bundle: bool) -> Document {
    let frame = Frame::new(visit, "settings", "Settings");
    Document::of(&Page { tabs: tabs(&frame, false), frame, groups, has_bundle })
}

#[derive(Template)]
#[template(path = "notices.html")]
struct Notices<'a> {
    frame: Frame<'a>,
    tabs: Tabs,
    works: &'static [Notice],
    packages: &'a [Package],
}

/// The notices.
pub fn notices<'a>(visit: &Visit<'a>, packages: &'a [Package]) -> Document {
    let frame = Frame::new(visit, "settings", "Third-party notices");
    Document::of(&Notices { tabs: tabs(&frame, true), frame, works: assets::notices(), packages })
}
