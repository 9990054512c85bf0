//! The colors of the style sheet: text reads at 4.5:1, borders of controls and the focus ring show at 3:1 (WCAG 2.2).
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail like the test itself")]

use std::collections::HashMap;

const STYLE: &str = include_str!("../assets/style.css");

fn tokens(block: &str) -> HashMap<&str, [f64; 3]> {
    let part = |hex: &str, at: usize| {
        f64::from(u8::from_str_radix(hex.get(at..).unwrap().get(..2).unwrap(), 16).unwrap()) / 255.0
    };
    block
        .split("--")
        .filter_map(|piece| piece.split_once(": #"))
        .map(|(name, rest)| (name, [part(rest, 0), part(rest, 2), part(rest, 4)]))
        .collect()
}

fn luminance(color: [f64; 3]) -> f64 {
    let linear = color.map(|c| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) });
    0.2126_f64.mul_add(linear[0], 0.7152_f64.mul_add(linear[1], 0.0722 * linear[2]))
}

fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

fn themes() -> [(&'static str, HashMap<&'static str, [f64; 3]>); 2] {
    let layer = STYLE.split("@layer tokens").nth(1).unwrap().split("@layer base").next().unwrap();
    let (light, dark) = layer.split_once("@media (prefers-color-scheme: dark)").unwrap();
    [("light", tokens(light)), ("dark", tokens(dark))]
}

#[test]
fn both_themes_define_the_same_tokens() {
    let [(_, light), (_, dark)] = themes();
    let names = |theme: &HashMap<&'static str, [f64; 3]>| {
        let mut names: Vec<_> = theme.keys().copied().collect();
        names.sort_unstable();
        names
    };
    assert!(light.len() > 20);
    assert_eq!(names(&light), names(&dark));
}

#[test]
fn every_text_color_reads_on_every_ground_that_it_stands_on() {
    let pairs = ["n8", "n9", "n11", "a7", "a8", "ok", "warn", "bad", "info"]
        .into_iter()
        .flat_map(|text| ["n0", "n1", "n2"].map(|ground| (text, ground)))
        .chain(["ok", "warn", "bad", "info"].into_iter().zip(["ok-ground", "warn-ground", "bad-ground", "info-ground"]))
        .chain([("a7", "a1"), ("n11", "info-ground"), ("n11", "warn-ground"), ("n11", "ok-ground")])
        .chain([("n7", "n0"), ("n7", "n1")]);
    for (text, ground) in pairs {
        for (name, theme) in themes() {
            let ratio = contrast(theme[text], theme[ground]);
            assert!(ratio >= 4.5, "{name}: {text} on {ground} is {ratio:.2}:1");
        }
    }
}

#[test]
fn borders_of_controls_and_the_focus_ring_can_be_seen() {
    for (line, ground) in [("n6", "n0"), ("n6", "n1"), ("a6", "n0"), ("a6", "n1")] {
        for (name, theme) in themes() {
            let ratio = contrast(theme[line], theme[ground]);
            assert!(ratio >= 3.0, "{name}: {line} on {ground} is {ratio:.2}:1");
        }
    }
}
