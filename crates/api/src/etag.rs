//! Entity tags of versioned objects, and the preconditions that name them (RFC 9110 §8.8.3, §13.1).

use http::header::{HeaderMap, HeaderName, IF_MATCH, IF_NONE_MATCH};

/// A precondition header outside its grammar: 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("If-Match takes * or a list of entity tags, each in double quotes")]
pub struct NotEntityTags;

/// What `If-Match` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// `*`: the object exists, in any version.
    Any,
    /// One of these strong tags, quotes included; none at all when every given tag was weak (RFC 9110 §13.1.1).
    Tags(Vec<String>),
}

impl IfMatch {
    /// Whether an object of this version meets the precondition.
    pub fn matches(&self, version: i64) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tags.contains(&of(version)),
        }
    }

    /// The one version that can meet the precondition; `None` when every version does.
    ///
    /// Versions only grow, so of several that a caller has seen only the greatest can be the present one. A list
    /// without a tag of this server gives a version that no object has.
    pub fn version(&self) -> Option<i64> {
        match self {
            Self::Any => None,
            Self::Tags(tags) => Some(tags.iter().filter_map(|tag| version_of(tag)).max().unwrap_or(i64::MIN)),
        }
    }
}

/// The strong tag of a version, for example `"v3"` with its quotes.
pub fn of(version: i64) -> String {
    format!("\"v{version}\"")
}

fn version_of(tag: &str) -> Option<i64> {
    let version = tag.strip_prefix("\"v")?.strip_suffix('"')?.parse().ok()?;
    (of(version) == tag).then_some(version)
}

/// The `If-Match` precondition of a request; `None` when there is none.
///
/// # Errors
/// [`NotEntityTags`].
pub fn if_match(headers: &HeaderMap) -> Result<Option<IfMatch>, NotEntityTags> {
    match read(headers, &IF_MATCH)? {
        None => Ok(None),
        Some(Tags::Any) => Ok(Some(IfMatch::Any)),
        Some(Tags::List(tags)) => {
            let strong = tags.into_iter().filter(|(weak, _)| !weak).map(|(_, tag)| tag).collect();
            Ok(Some(IfMatch::Tags(strong)))
        }
    }
}

/// Whether the caller already has this representation, by weak comparison; a header outside the grammar says nothing.
pub fn if_none_match(headers: &HeaderMap, etag: &str) -> bool {
    let opaque = etag.strip_prefix("W/").unwrap_or(etag);
    match read(headers, &IF_NONE_MATCH) {
        Ok(Some(Tags::Any)) => true,
        Ok(Some(Tags::List(tags))) => tags.iter().any(|(_, tag)| tag == opaque),
        Ok(None) | Err(NotEntityTags) => false,
    }
}

enum Tags {
    Any,
    /// Whether each is weak, and its quoted text.
    List(Vec<(bool, String)>),
}

fn read(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>, NotEntityTags> {
    let mut lines = Vec::new();
    for value in headers.get_all(name) {
        // Tags of this server are ASCII; a caller's own obs-text cannot be among them.
        lines.push(value.to_str().map_err(|_| NotEntityTags)?);
    }
    if lines.is_empty() {
        return Ok(None);
    }
    let joined = lines.join(",");
    let mut rest = joined.trim();
    if rest == "*" {
        return Ok(Some(Tags::Any));
    }
    let mut tags = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(',') {
            rest = after.trim_start();
            continue;
        }
        let (weak, quoted) = rest.strip_prefix("W/").map_or((false, rest), |quoted| (true, quoted));
        let inner = quoted.strip_prefix('"').ok_or(NotEntityTags)?;
        let (opaque, after) = inner.split_once('"').ok_or(NotEntityTags)?;
        if !opaque.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(NotEntityTags);
        }
        tags.push((weak, format!("\"{opaque}\"")));
        rest = after.trim_start();
        if !rest.is_empty() && !rest.starts_with(',') {
            return Err(NotEntityTags);
        }
    }
    if tags.is_empty() { Err(NotEntityTags) } else { Ok(Some(Tags::List(tags))) }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(name: &HeaderName, lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        headers
    }

    fn precondition(lines: &[&str]) -> Option<IfMatch> {
        if_match(&headers(&IF_MATCH, lines)).unwrap()
    }

    #[test]
    fn a_strong_tag_matches_its_version_alone() {
        assert_eq!(of(3), "\"v3\"");
        assert_eq!(precondition(&[]), None);
        let wanted = precondition(&["\"v3\""]).unwrap();
        assert!(wanted.matches(3) && !wanted.matches(4) && !wanted.matches(33));
        assert_eq!(wanted.version(), Some(3));
    }

    #[test]
    fn an_asterisk_matches_every_version() {
        let wanted = precondition(&[" * "]).unwrap();
        assert!(wanted.matches(1) && wanted.matches(i64::MAX));
        assert_eq!(wanted.version(), None);
    }

    #[test]
    fn lists_may_span_lines_and_hold_commas_inside_tags() {
        let wanted = precondition(&["\"v1\" , ,\"a,b\"", "\"v7\""]).unwrap();
        assert!(wanted.matches(1) && wanted.matches(7) && !wanted.matches(2));
        assert_eq!(wanted.version(), Some(7));
    }

    #[test]
    fn weak_and_foreign_tags_match_nothing_in_if_match() {
        for line in ["W/\"v3\"", "\"3\"", "\"v03\"", "\"v+3\"", "\"\""] {
            let wanted = precondition(&[line]).unwrap();
            assert!(!wanted.matches(3), "{line}");
            assert_eq!(wanted.version(), Some(i64::MIN), "{line}");
        }
    }

    #[test]
    fn what_is_no_list_of_tags_is_refused() {
        for line in ["", ",", "v3", "\"v3", "\"v3\" \"v4\"", "w/\"v3\"", "*, \"v3\"", "\"v 3\"", "\"é\""] {
            assert_eq!(if_match(&headers(&IF_MATCH, &[line])), Err(NotEntityTags), "{line}");
        }
    }

    #[test]
    fn if_none_match_compares_weakly_and_ignores_what_it_cannot_read() {
        let has = |lines: &[&str], etag: &str| if_none_match(&headers(&IF_NONE_MATCH, lines), etag);
        assert!(has(&["\"v3\""], "\"v3\""));
        assert!(has(&["W/\"v3\""], "\"v3\""));
        assert!(has(&["\"x\", \"v3\""], "W/\"v3\""));
        assert!(has(&["*"], "\"v3\""));
        assert!(!has(&["\"v4\""], "\"v3\""));
        assert!(!has(&["v3"], "v3"));
        assert!(!has(&[], "\"v3\""));
    }

    proptest::proptest! {
        #[test]
        fn any_header_is_read_without_a_panic(bytes: Vec<u8>, text in r#"[W/"v0-9*, é]{0,24}"#) {
            for bytes in [bytes.as_slice(), text.as_bytes()] {
                if let Ok(value) = HeaderValue::from_bytes(bytes) {
                    let mut headers = HeaderMap::new();
                    headers.insert(IF_NONE_MATCH, value.clone());
                    headers.insert(IF_MATCH, value);
                    let _ = if_none_match(&headers, "\"v1\"");
                    let _ = if_match(&headers).map(|wanted| wanted.map(|w| w.version()));
                }
            }
        }

        #[test]
        fn every_version_matches_its_own_tag(version: i64) {
            let wanted = precondition(&[&of(version)]).unwrap();
            proptest::prop_assert!(wanted.matches(version));
            proptest::prop_assert_eq!(wanted.version(), Some(version));
        }
    }
}
