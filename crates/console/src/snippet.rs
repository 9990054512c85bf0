//! Programs that get a token, filled with what a client has. The secret is read from the environment, except on the one
//! page that shows it.

use crate::book;

/// One program.
pub(crate) struct Snippet {
    /// Value of the choice, and class.
    pub(crate) key: &'static str,
    /// Name of the language.
    pub(crate) name: &'static str,
    /// The program.
    pub(crate) text: String,
}

impl Snippet {
    pub(crate) fn id(&self, group: &str) -> String {
        format!("{group}-{}", self.key)
    }
}

/// Writes a text into a literal of a language.
type Literal = fn(&str) -> String;

struct Template {
    key: &'static str,
    name: &'static str,
    text: &'static str,
    scope: Literal,
}

/// Within double quotes where nothing but the quote and the backslash means anything: no scope has either
/// (RFC 6749 §3.3).
fn double(scope: &str) -> String {
    scope.to_owned()
}

/// Within single quotes of a shell, in which even `$` and `!` are only themselves.
fn shell(scope: &str) -> String {
    scope.replace('\'', r"'\''")
}

/// Within single quotes of PHP.
fn php(scope: &str) -> String {
    scope.replace('\'', r"\'")
}

/// Within double quotes of Ruby, where `#` begins an interpolation.
fn ruby(scope: &str) -> String {
    scope.replace('#', r"\#")
}

/// The language of those who have chosen none.
pub(crate) const FIRST: &str = "curl";

const fn template(key: &'static str, name: &'static str, text: &'static str, scope: Literal) -> Template {
    Template { key, name, text, scope }
}

const TEMPLATES: [Template; 9] = [
    template(FIRST, "curl", include_str!("../snippets/token.sh"), shell),
    template("cli", "CLI", include_str!("../snippets/token.cli"), shell),
    template("node", "Node", include_str!("../snippets/token.mjs"), double),
    template("python", "Python", include_str!("../snippets/token.py"), double),
    template("go", "Go", include_str!("../snippets/token.go"), double),
    template("rust", "Rust", include_str!("../snippets/token.rs"), double),
    template("java", "Java", include_str!("../snippets/Token.java"), double),
    template("php", "PHP", include_str!("../snippets/token.php"), php),
    template("ruby", "Ruby", include_str!("../snippets/token.rb"), ruby),
];

/// Whether a text names one of the languages.
pub(crate) fn language(key: &str) -> Option<&'static str> {
    TEMPLATES.iter().map(|template| template.key).find(|known| *known == key)
}

/// The language that a group of programs shows first: the chosen one, when the group has it.
pub(crate) fn shown_first(list: &[Snippet], chosen: &str) -> &'static str {
    let found = list.iter().find(|snippet| snippet.key == chosen).or_else(|| list.first());
    found.map_or(FIRST, |snippet| snippet.key)
}

/// Language of a fence in the chapter on verifying tokens, key and name.
const VERIFY: [(&str, &str, &str); 5] = [
    ("js", "node", "Node"),
    ("python", "python", "Python"),
    ("go", "go", "Go"),
    ("rust", "rust", "Rust"),
    ("java", "java", "Java"),
];

/// The programs that verify tokens of an audience: those of the book, which the suite executes, with other values in them.
pub(crate) fn verify(issuer: &str, audience: &str, alg: &str) -> Vec<Snippet> {
    let chapter = book::page("verify-tokens").map_or("", |(_, page)| page.markdown);
    // An audience may hold a quote or a backslash; each of these languages writes them alike.
    let audience = audience.replace('\\', "\\\\").replace('"', "\\\"");
    let fill = |text: &str| {
        let text = text.replace("http://127.0.0.1:8080", issuer).replace("https://orders.example.com", &audience);
        if alg.is_empty() { text } else { text.replace("ES256", alg) }
    };
    let fence = |language: &str| {
        let (_, rest) = chapter.split_once(&format!("```{language}\n"))?;
        rest.split_once("\n```").map(|(text, _)| fill(text))
    };
    VERIFY.iter().filter_map(|(fenced, key, name)| Some(Snippet { key, name, text: fence(fenced)? })).collect()
}

/// Language of a fence in the chapter on webhooks, key and name; the last one verifies with a public key.
const RECEIVE: [(&str, &str, &str); 4] =
    [("js", "node", "Node"), ("python", "python", "Python"), ("go", "go", "Go"), ("rust", "rust", "Rust")];

/// The programs of the book that receive messages: with the shared secret, or with the public key.
pub(crate) fn receive(has_public_key_alone: bool) -> Vec<Snippet> {
    let chapter = book::page("webhooks").map_or("", |(_, page)| page.markdown);
    let (by_secret, by_key) = chapter.split_once("### With a public key").unwrap_or((chapter, ""));
    let part = if has_public_key_alone { by_key } else { by_secret };
    let fence = |language: &str| {
        let (_, rest) = part.split_once(&format!("```{language}\n"))?;
        rest.split_once("\n```").map(|(text, _)| text.to_owned())
    };
    RECEIVE.iter().filter_map(|(fenced, key, name)| Some(Snippet { key, name, text: fence(fenced)? })).collect()
}

/// What a program is filled with.
pub(crate) struct Values<'a> {
    /// The issuer.
    pub(crate) issuer: &'a str,
    /// The client's public id.
    pub(crate) client_id: &'a str,
    /// Scopes separated by spaces; empty for a client that has none.
    pub(crate) scope: &'a str,
    /// A generated secret; `None` where the program reads it from the environment.
    pub(crate) secret: Option<&'a str>,
}

/// The programs for a client.
///
/// An id has no character that a literal could mistake, nor has an issuer, which is a URL, nor a generated secret.
pub(crate) fn token(values: &Values<'_>) -> Vec<Snippet> {
    let fill = |template: &Template| {
        let text = template.text.trim_end();
        let text = section(text, "scope", !values.scope.is_empty());
        let text = section(&text, "environment", values.secret.is_none());
        section(&text, "shown", values.secret.is_some())
            .replace("{{issuer}}", values.issuer)
            .replace("{{client_id}}", values.client_id)
            .replace("{{secret}}", values.secret.unwrap_or_default())
            // Last: a scope may hold braces, and what it holds is not looked at again.
            .replace("{{scope}}", &(template.scope)(values.scope))
    };
    TEMPLATES.iter().map(|each| Snippet { key: each.key, name: each.name, text: fill(each) }).collect()
}

/// Keeps or leaves out what stands between `{{#name}}` and `{{/name}}`.
fn section(text: &str, name: &str, is_kept: bool) -> String {
    let (begin, end) = (format!("{{{{#{name}}}}}"), format!("{{{{/{name}}}}}"));
    let mut parts = text.split(begin.as_str());
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (inner, rest) = part.split_once(end.as_str()).unwrap_or((part, ""));
        out.push_str(if is_kept { inner } else { "" });
        out.push_str(rest);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(scope: &str, secret: Option<&str>) -> Vec<(&'static str, String)> {
        let values = Values { issuer: "https://id.example", client_id: "worker", scope, secret };
        token(&values).into_iter().map(|snippet| (snippet.key, snippet.text)).collect()
    }

    #[test]
    fn a_program_is_filled_and_reads_the_secret_from_the_environment() {
        for (key, text) in texts("a:read a:write", None) {
            for part in ["https://id.example", "worker", "a:read a:write", "BASTIONARY_CLIENT_SECRET"] {
                assert!(text.contains(part), "{key}: {part}\n{text}");
            }
            assert!(!text.contains("{{"), "{key}: {text}");
        }
    }

    #[test]
    fn where_the_secret_is_shown_it_is_in_the_program() {
        for (key, text) in texts("a:read", Some("bst_cs_shown")) {
            assert_eq!(text.contains("BASTIONARY_CLIENT_SECRET"), key == "cli", "{key}: {text}");
            assert!(text.contains("bst_cs_shown") && !text.contains("{{"), "{key}: {text}");
        }
    }

    #[test]
    fn messages_are_received_with_a_secret_in_four_languages_and_with_a_public_key_in_one() {
        let keys = |list: Vec<Snippet>| list.into_iter().map(|snippet| snippet.key).collect::<Vec<_>>();
        assert_eq!(keys(receive(false)), ["node", "python", "go", "rust"]);
        assert_eq!(keys(receive(true)), ["node"]);
        assert!(receive(false).iter().all(|snippet| !snippet.text.contains("whpk_")));
        assert!(receive(true).iter().all(|snippet| snippet.text.contains("whpk_")));
    }

    #[test]
    fn a_client_without_scopes_asks_for_none() {
        for (key, text) in texts("", None) {
            assert!(!text.contains("scope") && !text.contains("{{"), "{key}: {text}");
        }
    }

    #[test]
    fn a_scope_with_marks_of_the_language_stays_a_text() {
        let of = |wanted: &str| texts("it's:$(id)#{x}", None).into_iter().find(|(key, _)| *key == wanted).unwrap().1;
        assert!(of("curl").contains(r"'scope=it'\''s:$(id)#{x}'"));
        assert!(of("cli").contains(r"'it'\''s:$(id)#{x}'"));
        assert!(of("php").contains(r"'it\'s:$(id)#{x}'"));
        assert!(of("ruby").contains(r#""it's:$(id)\#{x}""#));
        let braces = texts("{{secret}}", Some("bst_cs_shown"));
        assert!(braces.iter().all(|(_, text)| text.contains("{{secret}}")), "a scope is not looked into");
    }
}
