//! How alike two words are, for a sentence that says what was probably meant.

/// Levenshtein's distance: insertions, deletions and replacements between two texts.
pub fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (count, letter) in (1_usize..).zip(from.bytes()) {
        // `diagonal` and `left` are the cells before this one in the row above and in this row.
        let (mut diagonal, mut left) = (count.saturating_sub(1), count);
        if let Some(first) = row.first_mut() {
            *first = count;
        }
        for (cell, other) in row.iter_mut().skip(1).zip(to.bytes()) {
            let replaced = diagonal.saturating_add(usize::from(letter != other));
            diagonal = *cell;
            left = replaced.min(left.saturating_add(1)).min(cell.saturating_add(1));
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_is_the_number_of_single_letter_changes() {
        for (from, to, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("lisen", "listen", 1),
            ("listenn", "listen", 1),
            ("kitten", "sitting", 3),
            ("saturday", "sunday", 3),
        ] {
            assert_eq!(distance(from, to), expected, "{from} {to}");
        }
    }
}
