//! Signing keys on a line of time.

use askama::Template;
use kernel::clock::Timestamp;

use crate::badge::{self, Badge};
use crate::form::Confirm;
use crate::moment::Moment;
use crate::shell::{Document, Frame, Visit};

/// One key.
#[derive(Debug, Clone)]
pub struct Key {
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// `token`, `introspection` or `checkpoint`.
    pub purpose: &'static str,
    /// Its algorithm.
    pub alg: String,
    /// `staged`, `active`, `retiring` or `destroyed`.
    pub state: &'static str,
    /// Creation and publication.
    pub created_at: Timestamp,
    /// When it began to sign.
    pub promoted_at: Option<Timestamp>,
    /// When it stopped.
    pub retired_at: Option<Timestamp>,
    /// When it leaves the JWKS.
    pub remove_after: Option<Timestamp>,
}

struct Shown<'a> {
    key: &'a Key,
    badge: Badge,
    created: Moment,
    signs: Option<Moment>,
    removal: Option<Moment>,
    short: String,
    /// Place of its text and its bars in the drawing.
    y: i64,
    text_y: i64,
    bars: Vec<(&'static str, i64, i64)>,
}

#[derive(Template)]
#[template(path = "keys.html")]
struct Page<'a> {
    frame: Frame<'a>,
    keys: Vec<Shown<'a>>,
    ticks: Vec<(i64, String)>,
    now_x: i64,
    height: i64,
    jwks: String,
    rotate: Confirm,
}

/// Left and right edge of the time in the drawing, and the height of a row.
const LEFT: i64 = 150;
const RIGHT: i64 = 950;
const ROW: i64 = 32;

/// The page; `jwks` is the document of this tenant.
pub fn list(visit: &Visit<'_>, keys: &[Key], jwks: &str) -> Document {
    let frame = Frame::new(visit, "identity/keys", "Keys");
    let starts = keys.iter().map(|key| key.created_at.as_seconds()).min().unwrap_or_else(|| visit.now.as_seconds());
    let ends = keys.iter().filter_map(|key| key.remove_after).map(Timestamp::as_seconds).max();
    let now = visit.now.as_seconds();
    let start = starts.min(now.saturating_sub(86_400));
    let end = ends.unwrap_or(now).max(now.saturating_add(7 * 86_400));
    let length = end.saturating_sub(start).max(1);
    let x = |seconds: i64| {
        let along = seconds.clamp(start, end).saturating_sub(start).saturating_mul(RIGHT - LEFT);
        LEFT.saturating_add(along.checked_div(length).unwrap_or(0))
    };
    let shown = (0_i64..).zip(keys).map(|(at, key)| {
        let y = at.saturating_mul(ROW).saturating_add(28);
        let active_from = key.promoted_at.map(Timestamp::as_seconds);
        let active_to = key.retired_at.map_or(end, Timestamp::as_seconds);
        let mut bars = Vec::new();
        let mut bar = |class, from: i64, to: i64| {
            let (from, to) = (x(from), x(to));
            bars.push((class, from, to.saturating_sub(from).max(2)));
        };
        bar("staged", key.created_at.as_seconds(), active_from.unwrap_or(end));
        if let Some(from) = active_from {
            bar("active", from, active_to);
        }
        if let (Some(from), Some(to)) = (key.retired_at, key.remove_after) {
            bar(if key.state == "destroyed" { "destroyed" } else { "retiring" }, from.as_seconds(), to.as_seconds());
        }
        let moment = |at: Timestamp| Moment::new(at, visit.now);
        Shown {
            badge: badge::of(key.state),
            created: moment(key.created_at),
            signs: key.promoted_at.map(moment),
            removal: key.remove_after.map(moment),
            short: key.kid.chars().take(10).collect(),
            y,
            text_y: y.saturating_add(13),
            bars,
            key,
        }
    });
    let ticks = (0..=4).map(|n| {
        let at = start.saturating_add(length.saturating_mul(n) / 4);
        (x(at), Moment::new(Timestamp::from_seconds(at), visit.now).day().to_owned())
    });
    let rows = i64::try_from(keys.len()).unwrap_or(0);
    Document::of(&Page {
        keys: shown.collect(),
        ticks: ticks.collect(),
        now_x: x(now),
        height: rows.saturating_mul(ROW).saturating_add(56),
        jwks: jwks.to_owned(),
        rotate: Confirm {
            id: "rotate".to_owned(),
            action: format!("{}/identity/keys/rotate", frame.root),
            title: "Rotate the token signing key".to_owned(),
            consequence:
                "A new key is published now and signs as soon as every verifier can have fetched it, in about \
                          6 minutes. Tokens signed before stay valid to their end."
                    .to_owned(),
            verb: "Rotate key",
            typed: None,
            refused: visit.viewer.refused("keys:write"),
        },
        frame,
    })
}
