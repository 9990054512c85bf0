//! The table of contents: the part of mdBook's `SUMMARY.md` that the book uses.

/// One chapter of the book.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Chapter {
    /// Title in the navigation.
    pub(crate) title: String,
    /// File name without `.md`, and the last segment of the URL.
    pub(crate) slug: String,
    /// The part that it stands in; empty before the first part title.
    pub(crate) part: String,
}

/// Reads part titles (`# Part`) and chapters (`- [Title](file.md)` or `[Title](file.md)`).
///
/// # Errors
/// A sentence that names the line which is neither, or a chapter listed twice.
pub(crate) fn parse(text: &str) -> Result<Vec<Chapter>, String> {
    let mut part = String::new();
    let mut chapters: Vec<Chapter> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(title) = line.strip_prefix("# ") {
            part = if title == "Summary" { String::new() } else { title.to_owned() };
            continue;
        }
        let entry = line.strip_prefix("- ").unwrap_or(line);
        let chapter = entry
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(".md)"))
            .and_then(|rest| rest.split_once("]("))
            .map(|(title, slug)| Chapter { title: title.to_owned(), slug: slug.to_owned(), part: part.clone() })
            .ok_or_else(|| format!("SUMMARY.md: this line is neither a part title nor a chapter: {line}"))?;
        let is_plain = chapter.slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !is_plain || chapters.iter().any(|c| c.slug == chapter.slug) {
            return Err(format!(
                "SUMMARY.md: `{}` is listed twice, or is not lowercase letters, digits and hyphens",
                chapter.slug
            ));
        }
        chapters.push(chapter);
    }
    Ok(chapters)
}
