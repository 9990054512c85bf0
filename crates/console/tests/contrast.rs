//! The colors: text reads at 4.5:1, borders of controls and the focus ring show at 3:1 (WCAG 2.2), in both themes.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail like the test itself")]

use std::collections::HashMap;

const TOKENS: &str = include_str!("../assets/css/tokens.css");

type Theme = HashMap<&'static str, [f64; 3]>;

fn color(hex: &str) -> [f64; 3] {
    let part = |at: usize| f64::from(u8::from_str_radix(hex.get(at..).unwrap().get(..2).unwrap(), 16).unwrap()) / 255.0;
    [part(0), part(2), part(4)]
}

fn themes() -> [(&'static str, Theme); 2] {
    let pairs: Vec<_> = TOKENS
        .split("--")
        .filter_map(|piece| piece.split_once(": light-dark(#"))
        .map(|(name, rest)| (name, color(rest), color(rest.split_once(", #").unwrap().1)))
        .collect();
    assert!(pairs.len() >= 40, "only {} colors", pairs.len());
    [
        ("light", pairs.iter().map(|(name, light, _)| (*name, *light)).collect()),
        ("dark", pairs.iter().map(|(name, _, dark)| (*name, *dark)).collect()),
    ]
}

fn luminance(color: [f64; 3]) -> f64 {
    let linear = color.map(|c| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) });
    0.2126_f64.mul_add(linear[0], 0.7152_f64.mul_add(linear[1], 0.0722 * linear[2]))
}

fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

fn all_at_least(bar: f64, pairs: impl IntoIterator<Item = (&'static str, &'static str)>) {
    let themes = themes();
    for (text, ground) in pairs {
        for (name, theme) in &themes {
            let ratio = contrast(theme[text], theme[ground]);
            assert!(ratio >= bar, "{name}: {text} on {ground} is {ratio:.2}:1, wanted {bar}:1");
        }
    }
}

fn on(texts: &[&'static str], grounds: &[&'static str]) -> Vec<(&'static str, &'static str)> {
    texts.iter().flat_map(|text| grounds.iter().map(move |ground| (*text, *ground))).collect()
}

const STATUS: [(&str, &str); 5] = [
    ("ok", "ok-ground"),
    ("warn", "warn-ground"),
    ("bad", "bad-ground"),
    ("info", "info-ground"),
    ("violet", "violet-ground"),
];

#[test]
fn text_reads_on_every_ground_that_it_stands_on() {
    all_at_least(13.0, on(&["n11"], &["n0", "n1", "n2"]));
    all_at_least(5.5, on(&["n8"], &["n0", "n1", "n2"]));
    all_at_least(4.5, on(&["n7"], &["n0", "n1"]));
    all_at_least(4.5, on(&["n9", "n10", "a7", "a8", "a9"], &["n0", "n1", "n2"]));
    // Selected rows, the current page, avatars, and text in notices.
    all_at_least(4.5, on(&["n9", "n11", "a7"], &["a0", "a1"]));
    all_at_least(4.5, [("a9", "a2")]);
    all_at_least(4.5, on(&["n11"], &STATUS.map(|(_, ground)| ground)));
}

#[test]
fn status_words_read_on_their_grounds_and_on_the_page() {
    // 5.5:1, rounded to one place.
    all_at_least(5.45, STATUS);
    all_at_least(5.4, on(&STATUS.map(|(text, _)| text), &["n0", "n1", "n2"]));
    // A dangerous button under the pointer turns its colors around.
    all_at_least(4.5, [("n0", "bad")]);
}

#[test]
fn the_words_of_a_primary_button_read_in_all_its_states() {
    // 6.5:1, rounded to one place.
    all_at_least(6.45, [("on-accent", "a7")]);
    all_at_least(4.5, on(&["on-accent"], &["a8", "a9"]));
    // Toasts.
    all_at_least(4.5, [("n0", "n11")]);
}

#[test]
fn the_lines_of_charts_can_be_told_from_the_card() {
    all_at_least(4.4, on(&["s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8"], &["n0", "n1"]));
}

#[test]
fn borders_of_controls_and_the_focus_ring_can_be_seen() {
    all_at_least(3.0, on(&["n6", "a6"], &["n0", "n1"]));
    all_at_least(3.0, [("warn", "n0"), ("bad", "n0")]);
}

#[test]
fn a_raw_color_stands_nowhere_but_in_the_file_of_tokens() {
    let sheets = [
        ("reset", include_str!("../assets/css/reset.css")),
        ("base", include_str!("../assets/css/elements.css")),
        ("layout", include_str!("../assets/css/layout.css")),
        ("components", include_str!("../assets/css/components.css")),
        ("pages", include_str!("../assets/css/pages.css")),
        ("book", include_str!("../assets/css/book.css")),
    ];
    for (name, sheet) in sheets {
        for line in sheet.lines() {
            let values = line.split(':').skip(1).collect::<Vec<_>>().join(":");
            let has_hex = values
                .split('#')
                .skip(1)
                .any(|rest| rest.chars().take_while(char::is_ascii_hexdigit).count() >= 3 && !rest.starts_with("{{"));
            assert!(!has_hex, "{name}: a raw color in `{}`", line.trim());
            for word in ["rgb(", "rgba(", "hsl(", "oklch(", "lab(", " white;", " black;", " red;", " gray;"] {
                assert!(!values.contains(word), "{name}: `{word}` in `{}`", line.trim());
            }
        }
    }
}
