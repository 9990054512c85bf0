//! Colors for code blocks, decided once at build: comments, strings, numbers and a few keywords.
//!
//! Deliberately not a parser of any language: what it does not know stays plain text.

/// HTML of a code block's text, escaped, with `<span class="t-…">` around what it recognizes.
pub(crate) fn html(language: &str, text: &str) -> String {
    let mut out = String::with_capacity(text.len().saturating_mul(2));
    let mut rest = text;
    let mut previous = '\n';
    while !rest.is_empty() {
        let (class, length) = token(language, rest, previous);
        let Some((head, tail)) = rest.split_at_checked(length.max(1)) else { break };
        if class.is_empty() {
            escape(&mut out, head);
        } else {
            out.push_str("<span class=\"t-");
            out.push_str(class);
            out.push_str("\">");
            escape(&mut out, head);
            out.push_str("</span>");
        }
        previous = head.chars().next_back().unwrap_or('\n');
        rest = tail;
    }
    out
}

/// Appends text with the five characters of HTML escaped.
pub(crate) fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
}

/// Class and length in bytes of the token at the start of `rest`; the class of plain text is empty.
fn token(language: &str, rest: &str, previous: char) -> (&'static str, usize) {
    let first = rest.chars().next().unwrap_or('\n');
    let starts_word = !(previous.is_alphanumeric() || matches!(previous, '_' | '-' | '.' | '/'));
    let hash_comments = matches!(language, "sh" | "toml" | "python");
    let slash_comments = matches!(language, "rust" | "js");
    if (hash_comments && first == '#' && previous.is_whitespace()) || (slash_comments && rest.starts_with("//")) {
        return ("c", rest.find('\n').unwrap_or(rest.len()));
    }
    let is_quote = match language {
        "json" | "toml" | "rust" => first == '"',
        "sh" | "js" | "python" => first == '"' || first == '\'',
        _ => false,
    };
    if is_quote {
        let length = quoted(rest, first);
        let is_key = language == "json" && rest.get(length..).is_some_and(|after| after.starts_with(':'));
        return (if is_key { "k" } else { "s" }, length);
    }
    if first.is_alphabetic() || first == '_' {
        let length = run(rest, |c| c.is_alphanumeric() || c == '_');
        let word = rest.get(..length).unwrap_or_default();
        return (if starts_word && keywords(language).contains(&word) { "k" } else { "" }, length);
    }
    if first.is_ascii_digit() && starts_word && matches!(language, "json" | "toml" | "rust" | "js" | "python") {
        return ("n", run(rest, |c| c.is_ascii_digit() || c == '_' || c == '.'));
    }
    ("", first.len_utf8())
}

/// Length of a quoted string with backslash escapes, or of the rest of the line when it does not end.
fn quoted(rest: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            c if c == quote => return at.saturating_add(1),
            _ => {}
        }
    }
    rest.find('\n').unwrap_or(rest.len())
}

fn run(rest: &str, accept: impl Fn(char) -> bool) -> usize {
    rest.find(|c| !accept(c)).unwrap_or(rest.len())
}

fn keywords(language: &str) -> &'static [&'static str] {
    match language {
        "sh" => &["curl", "cargo", "bastionary", "export", "cp", "chmod", "openssl", "kill", "npm", "pip"],
        "json" | "toml" => &["true", "false", "null"],
        "rust" => &[
            "async", "await", "const", "else", "enum", "fn", "for", "if", "impl", "let", "match", "mut", "pub",
            "return", "self", "struct", "true", "false", "use", "where",
        ],
        "js" => {
            &["async", "await", "const", "else", "export", "from", "function", "if", "import", "new", "return", "throw"]
        }
        "python" => &["def", "from", "if", "import", "in", "not", "or", "raise", "return", "None", "True", "False"],
        "http" => &["GET", "POST", "PATCH", "PUT", "DELETE", "HTTP"],
        _ => &[],
    }
}
