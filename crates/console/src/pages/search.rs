//! The search over pages, actions and objects: a page of its own, and what the palette shows.

use askama::Template;
use serde_json::{Value, json};

use crate::shell::{Document, Frame, Visit};

/// Something to go to.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its name.
    pub text: String,
    /// What tells it from others of the name.
    pub detail: String,
    /// Absolute path.
    pub href: String,
    /// Symbol of the sprite.
    pub icon: &'static str,
    /// Why the operator may not go there.
    pub refused: Option<String>,
}

/// Items of one kind.
#[derive(Debug, Clone)]
pub struct Group {
    /// Of which kind.
    pub title: &'static str,
    /// The items; a group without any is not made.
    pub items: Vec<Item>,
}

/// What the page needs.
#[derive(Debug, Clone)]
pub struct Search {
    /// What was typed.
    pub q: String,
    /// What begins with it.
    pub groups: Vec<Group>,
}

impl Search {
    /// The same for the palette.
    pub fn to_json(&self) -> Value {
        let item = |item: &Item| json!({"text": item.text, "detail": item.detail, "href": item.href, "icon": item.icon, "refused": item.refused});
        let group =
            |group: &Group| json!({"title": group.title, "items": group.items.iter().map(item).collect::<Vec<_>>()});
        json!({"groups": self.groups.iter().map(group).collect::<Vec<_>>()})
    }
}

#[derive(Template)]
#[template(path = "search.html")]
struct Page<'a> {
    frame: Frame<'a>,
    search: &'a Search,
}

/// The page.
pub fn search<'a>(visit: &Visit<'a>, search: &'a Search) -> Document {
    Document::of(&Page { frame: Frame::new(visit, "search", "Search"), search })
}
