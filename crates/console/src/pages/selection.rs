//! What is about to happen to the selected clients, and what happened to each.

use askama::Template;

use crate::badge::{self, Badge};
use crate::shell::{Document, Frame, Visit};

/// What is said about one client.
#[derive(Debug, Clone)]
pub enum Told {
    /// What will happen or did; may be empty.
    Words(String),
    /// Why nothing happened.
    Failed(String),
}

/// One of the selected clients.
#[derive(Debug, Clone)]
pub struct Row {
    /// Public id.
    pub client_id: String,
    /// Name for people.
    pub name: String,
    /// `active`, `expired` or `disabled`; `None` for one that is not there.
    pub status: Option<&'static str>,
    /// What is said about it.
    pub told: Told,
}

impl Row {
    /// A client that somebody deleted meanwhile.
    pub(crate) fn gone(client_id: String) -> Self {
        let told = Told::Failed("There is no client with this id any more.".to_owned());
        Self { name: client_id.clone(), client_id, status: None, told }
    }

    /// A client that could not be changed.
    pub(crate) fn failed(client_id: String, name: String, why: &str) -> Self {
        Self { client_id, name, status: None, told: Told::Failed(why.to_owned()) }
    }
}

/// What is asked before the clients are disabled.
#[derive(Debug, Clone)]
pub struct Question {
    /// The action and how many.
    pub title: String,
    /// What will happen, with live numbers.
    pub consequence: String,
}

#[derive(Template)]
#[template(path = "selection.html")]
struct Page<'a> {
    frame: Frame<'a>,
    title: &'a str,
    question: Option<&'a Question>,
    rows: Vec<(&'a Row, Option<Badge>)>,
    action: String,
    next: &'a str,
}

fn page<'a>(
    visit: &Visit<'a>,
    title: &'a str,
    question: Option<&'a Question>,
    rows: &'a [Row],
    next: &'a str,
) -> Document {
    let frame = Frame::new(visit, "identity/clients", title);
    Document::of(&Page {
        action: format!("{}/identity/clients", frame.root),
        rows: rows.iter().map(|row| (row, row.status.map(badge::of))).collect(),
        title,
        question,
        next,
        frame,
    })
}

/// The question; `next` is the list.
pub fn ask<'a>(visit: &Visit<'a>, question: &'a Question, rows: &'a [Row], next: &'a str) -> Document {
    page(visit, &question.title, Some(question), rows, next)
}

/// What happened to each.
pub fn told<'a>(visit: &Visit<'a>, title: &'a str, rows: &'a [Row], next: &'a str) -> Document {
    page(visit, title, None, rows, next)
}
