//! Lines drawn by the server: small ones beside figures, large ones with an axis and a read-out.
//!
//! Coordinates run from 0 to 100 in both directions; the style sheet stretches them.

use std::fmt::Write as _;

use crate::moment::Grouped;

/// A line as two paths.
pub(crate) struct Line {
    /// Name in the legend.
    pub(crate) name: String,
    /// Class that gives the color.
    pub(crate) class: &'static str,
    /// The line.
    pub(crate) path: String,
    /// The ground below it.
    pub(crate) area: String,
    /// What assistive technology says.
    pub(crate) summary: String,
}

/// One value of each line at one time.
pub(crate) struct Column {
    /// The time.
    pub(crate) time: String,
    /// Name and value of each line.
    pub(crate) values: Vec<(String, String)>,
    /// What the read-out says.
    pub(crate) text: String,
    /// Whether it stands in the right half, where the read-out opens to the left.
    pub(crate) is_late: bool,
}

/// A chart with its axis.
pub(crate) struct Chart {
    /// What assistive technology says.
    pub(crate) summary: String,
    /// Labels of the vertical axis, from the top.
    pub(crate) y: Vec<String>,
    /// Labels of the time axis.
    pub(crate) x: Vec<String>,
    /// The lines.
    pub(crate) lines: Vec<Line>,
    /// The columns, from left to right.
    pub(crate) columns: Vec<Column>,
}

/// Name and values of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Series {
    /// Name in the legend.
    pub(crate) name: String,
    /// One value for each time.
    pub(crate) values: Vec<u64>,
}

const CLASSES: [&str; 3] = ["series-1", "series-2", "series-3"];

/// A small line in the color of a series, from 0; its summary says first, last and greatest value.
pub(crate) fn sparkline(name: &str, color: usize, values: &[u64]) -> Line {
    let top = values.iter().copied().max().unwrap_or(0).max(1);
    line(name, CLASSES.get(color).copied().unwrap_or_default(), values, top)
}

/// A chart of up to three series over times of `HH:MM`.
pub(crate) fn chart(what: &str, times: &[String], series: &[Series]) -> Chart {
    let top = round_up(series.iter().flat_map(|s| s.values.iter().copied()).max().unwrap_or(0));
    let lines: Vec<Line> = series.iter().zip(CLASSES).map(|(s, class)| line(&s.name, class, &s.values, top)).collect();
    let half = times.len() / 2;
    let columns = times
        .iter()
        .enumerate()
        .map(|(at, time)| {
            let values: Vec<(String, String)> = series
                .iter()
                .map(|s| (s.name.clone(), Grouped(s.values.get(at).copied().unwrap_or(0)).to_string()))
                .collect();
            let text = values.iter().fold(time.clone(), |text, (name, value)| format!("{text}\n{name}  {value}"));
            Column { time: time.clone(), values, text, is_late: at > half }
        })
        .collect();
    let every = (times.len() / 8).max(1);
    Chart {
        summary: format!("{what}. {}", lines.iter().map(|l| l.summary.as_str()).collect::<Vec<_>>().join(" ")),
        y: [top, top / 2, 0].map(|value| Grouped(value).to_string()).to_vec(),
        x: times.iter().step_by(every).cloned().collect(),
        lines,
        columns,
    }
}

fn line(name: &str, class: &'static str, values: &[u64], top: u64) -> Line {
    let last = values.len().saturating_sub(1).max(1);
    let mut path = String::new();
    for (at, value) in values.iter().enumerate() {
        let letter = if at == 0 { 'M' } else { 'L' };
        let _ = write!(path, "{letter}{} {}", tenths(at as u64, last as u64), tenths(top.saturating_sub(*value), top));
    }
    let area = if path.is_empty() { String::new() } else { format!("{path}L100 100L0 100Z") };
    let (first, end) = (values.first().copied().unwrap_or(0), values.last().copied().unwrap_or(0));
    let most = values.iter().copied().max().unwrap_or(0);
    let summary = format!("{name}: from {first} to {end}, at most {most}.");
    Line { name: name.to_owned(), class, path, area, summary }
}

/// `part` of `whole` on a scale of 100, with one decimal.
fn tenths(part: u64, whole: u64) -> String {
    let scaled = part.saturating_mul(1000).checked_div(whole).unwrap_or(0);
    format!("{}.{}", scaled / 10, scaled % 10)
}

/// The next number of the form 1, 2, 4, 6, 8 times a power of ten, so that the axis has round labels.
fn round_up(most: u64) -> u64 {
    let mut unit = 1_u64;
    while unit.saturating_mul(10) <= most.max(2) {
        unit = unit.saturating_mul(10);
    }
    [2, 4, 6, 8, 10].into_iter().map(|n| unit.saturating_mul(n)).find(|n| *n >= most).unwrap_or(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reaches_from_edge_to_edge_and_its_greatest_value_to_the_top() {
        let line = sparkline("Tokens", 0, &[0, 5, 10]);
        assert_eq!(line.path, "M0.0 100.0L50.0 50.0L100.0 0.0");
        assert_eq!(line.area, "M0.0 100.0L50.0 50.0L100.0 0.0L100 100L0 100Z");
        assert_eq!(line.summary, "Tokens: from 0 to 10, at most 10.");
        assert_eq!(sparkline("Nothing", 0, &[]).path, "");
    }

    #[test]
    fn the_axis_has_round_labels() {
        let shown = [0, 1, 3, 9, 41, 300, 18_402].map(round_up);
        assert_eq!(shown, [2, 2, 4, 10, 60, 400, 20_000]);
    }
}
