//! Signing keys on a line of time.

use std::fmt::Write as _;

use askama::Template;
use kernel::clock::Timestamp;

use crate::badge::{self, Badge};
use crate::form::{Confirm, Entered, Field};
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
    pub alg: &'static str,
    /// `staged`, `active`, `retiring` or `destroyed`.
    pub state: &'static str,
    /// Whether its private half is still there.
    pub is_live: bool,
    /// Creation and publication.
    pub created_at: Timestamp,
    /// When it began to sign.
    pub promoted_at: Option<Timestamp>,
    /// When a scheduled rotation replaces it.
    pub replace_at: Option<Timestamp>,
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
    replaced: Option<Moment>,
    removal: Option<Moment>,
    short: String,
    /// What the drawing says about it, in words.
    words: String,
    revoke: Option<Confirm>,
    /// Where its scheduled rotation is called off.
    cancel: Option<String>,
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
    address: &'a str,
    jwks: &'a str,
    rotate: Confirm,
    /// Value and words of each key that can be rotated.
    rotated: Vec<(String, String)>,
    at: Field,
    entered: &'a Entered,
}

/// Left and right edge of the time in the drawing, and the height of a row.
const LEFT: i64 = 150;
const RIGHT: i64 = 950;
const ROW: i64 = 32;

/// The first characters of a key's id, by which people tell keys apart.
pub(crate) fn short(kid: &str) -> String {
    kid.chars().take(10).collect()
}

/// What ends with a key.
fn consequence(key: &Key, removal: Option<&Moment>) -> String {
    let signed = match (key.state, removal) {
        ("staged", _) => "It has signed nothing yet.".to_owned(),
        ("active", _) => {
            "It signs now: the next key takes over at once, and every document that it signed counts as inactive."
                .to_owned()
        }
        (_, Some(removal)) => format!(
            "Documents that it signed are in use until it is safe to remove, {}; they count as inactive.",
            removal.relative
        ),
        _ => "Every document that it signed counts as inactive.".to_owned(),
    };
    format!(
        "{signed} Verifiers that hold the key set in a cache trust it for up to 5 minutes more. This cannot be undone."
    )
}

/// The page; `published` is the address of this tenant's key set and the document itself, `entered` a form that came back.
pub fn list<'a>(visit: &Visit<'a>, keys: &'a [Key], published: (&'a str, &'a str), entered: &'a Entered) -> Document {
    let frame = Frame::new(visit, "identity/keys", "Keys");
    let refused = visit.viewer.refused("keys:write");
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
        let (signs, removal) = (key.promoted_at.map(moment), key.remove_after.map(moment));
        let replaced = key.replace_at.map(moment);
        let mut words = format!("{} key {}, {}", key.purpose, key.alg, badge::of(key.state).word);
        for (verb, at) in [("signs since", &signs), ("is replaced", &replaced), ("can be removed", &removal)] {
            if let Some(at) = at {
                let _ = write!(words, ", {verb} {}", at.relative);
            }
        }
        let revoke = Confirm {
            id: format!("revoke-{}", key.kid),
            action: format!("{}/identity/keys/{}/revoke", frame.root, key.kid),
            title: format!("Revoke the key {}…", short(&key.kid)),
            consequence: consequence(key, removal.as_ref()),
            verb: "Revoke key",
            typed: Some(short(&key.kid)),
            refused: refused.clone(),
        };
        Shown {
            badge: badge::of(key.state),
            created: moment(key.created_at),
            signs,
            replaced,
            removal,
            short: short(&key.kid),
            words,
            revoke: (key.is_live && refused.is_none()).then_some(revoke),
            cancel: (key.replace_at.is_some() && refused.is_none())
                .then(|| format!("{}/identity/keys/{}/cancel-rotation", frame.root, key.kid)),
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
        address: published.0,
        jwks: published.1,
        rotated: keys
            .iter()
            .filter(|key| key.state == "active")
            .map(|key| {
                (
                    format!("{} {}", key.purpose, key.alg),
                    format!("{} key, {} ({}…)", key.purpose, key.alg, short(&key.kid)),
                )
            })
            .collect(),
        at: Field::new("at", "Time", "text")
            .optional()
            .hint("For \u{201c}at a time\u{201d}: such as 2027-01-31T03:00:00Z.")
            .autocomplete("off")
            .filled(entered),
        entered,
        rotate: Confirm {
            id: "rotate".to_owned(),
            action: format!("{}/identity/keys/rotate", frame.root),
            title: "Rotate a signing key".to_owned(),
            consequence: "The next key, which is published already, takes its place. What was signed before stays \
                          valid to its end, and the old key stays published until then."
                .to_owned(),
            verb: "Rotate key",
            typed: None,
            refused,
        },
        frame,
    })
}
