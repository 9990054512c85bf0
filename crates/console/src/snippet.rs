//! Programs that get a token, filled with what a client has; the secret is always read from the environment.

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

const TEMPLATES: &[(&str, &str, &str)] = &[
    ("curl", "curl", include_str!("../snippets/token.sh")),
    ("cli", "CLI", include_str!("../snippets/token.cli")),
    ("node", "Node", include_str!("../snippets/token.mjs")),
    ("python", "Python", include_str!("../snippets/token.py")),
    ("go", "Go", include_str!("../snippets/token.go")),
    ("rust", "Rust", include_str!("../snippets/token.rs")),
    ("java", "Java", include_str!("../snippets/Token.java")),
    ("php", "PHP", include_str!("../snippets/token.php")),
    ("ruby", "Ruby", include_str!("../snippets/token.rb")),
];

/// Language of a fence in the chapter on verifying tokens, key and name.
const VERIFY: [(&str, &str, &str); 3] =
    [("js", "node", "Node"), ("python", "python", "Python"), ("rust", "rust", "Rust")];

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

/// The programs for a client; `scope` is space-separated.
pub(crate) fn token(issuer: &str, client_id: &str, scope: &str) -> Vec<Snippet> {
    // The id and the scopes have no quote and no backslash by their grammars, an issuer is a URL: all three are safe in
    // a literal of every language.
    let fill =
        |text: &str| text.replace("{{issuer}}", issuer).replace("{{client_id}}", client_id).replace("{{scope}}", scope);
    TEMPLATES.iter().map(|(key, name, text)| Snippet { key, name, text: fill(text.trim_end()) }).collect()
}
