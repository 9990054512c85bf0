//! What stands where a page would: why a request was refused.

use askama::Template;

use crate::shell::Document;

/// Why, in the words of the API.
#[derive(Debug, Clone, Copy)]
pub struct Refusal<'a> {
    /// The status of the answer.
    pub status: u16,
    /// The stable code.
    pub code: &'a str,
    /// What happened and what can be done.
    pub sentence: &'a str,
}

#[derive(Template)]
#[template(path = "refused.html")]
struct Page<'a> {
    title: &'static str,
    nonce: &'static str,
    refusal: &'a Refusal<'a>,
    is_explained: bool,
}

/// The page. It knows no session and needs no script.
pub fn refused(refusal: &Refusal<'_>) -> Document {
    let title = match refusal.status {
        404 => "Not found",
        403 => "Not allowed",
        409 => "Not done",
        429 => "Too many attempts",
        500.. => "Something went wrong",
        _ => "This did not work",
    };
    let is_explained = crate::error_page(refusal.code).is_some();
    Document::of(&Page { title, nonce: "", refusal, is_explained })
}
