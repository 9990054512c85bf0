//! One SQL text for two engines: tokens for types and the clock are expanded and, for PostgreSQL, `?N` becomes `$N`.

/// The engine a text is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

/// Where a text is used: a column's type carries its collation, a CAST's does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// CREATE TABLE and its kin.
    Schema,
    /// SELECT, INSERT, UPDATE, DELETE.
    Statement,
}

/// A stretch of SQL text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// Code, in which parameters and tokens mean something.
    Code(&'a str),
    /// A string literal, quoted identifier or comment.
    Quoted(&'a str),
}

/// Cuts a text into code and what only looks like it.
pub(crate) fn parts(sql: &str) -> Vec<Part<'_>> {
    let mut found = Vec::new();
    let mut rest = sql;
    while !rest.is_empty() {
        let start = rest.char_indices().map(|(at, _)| at).find(|at| opening(rest.get(*at..).unwrap_or("")).is_some());
        let (code, tail) = rest.split_at(start.unwrap_or(rest.len()));
        if !code.is_empty() {
            found.push(Part::Code(code));
        }
        let Some(close) = opening(tail) else { break };
        // the opening mark is one or two ASCII characters, as long as the closing one except for `--`
        let skip = if close == "\n" { 2 } else { close.len() };
        let length = tail
            .get(skip..)
            .and_then(|body| body.find(close))
            .map_or(tail.len(), |at| at.saturating_add(skip).saturating_add(close.len()));
        let (quoted, after) = tail.split_at(length);
        found.push(Part::Quoted(quoted));
        rest = after;
    }
    found
}

/// The mark that closes what the text begins with, when it begins with a literal, a quoted name or a comment.
fn opening(text: &str) -> Option<&'static str> {
    // a doubled quote inside a literal ends it and begins the next, which comes to the same
    [("'", "'"), ("\"", "\""), ("--", "\n"), ("/*", "*/")]
        .into_iter()
        .find_map(|(open, close)| text.starts_with(open).then_some(close))
}

/// The text for an engine.
pub(crate) fn expand(sql: &str, dialect: Dialect, used: Use) -> String {
    let mut out = String::with_capacity(sql.len().saturating_add(32));
    for part in parts(sql) {
        match part {
            Part::Quoted(text) => out.push_str(text),
            Part::Code(text) => expand_code(text, dialect, used, &mut out),
        }
    }
    out
}

fn expand_code(text: &str, dialect: Dialect, used: Use, out: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find(['{', '?']) {
        let (before, tail) = rest.split_at(at);
        out.push_str(before);
        if let Some((token, after)) = token(tail) {
            out.push_str(meaning(token, dialect, used));
            rest = after;
        } else {
            // one ASCII character: `{` of no token, or the `?` of a parameter
            let (mark, after) = tail.split_at(1);
            out.push_str(if mark == "?" && dialect == Dialect::Postgres { "$" } else { mark });
            rest = after;
        }
    }
    out.push_str(rest);
}

fn token(text: &str) -> Option<(&'static str, &str)> {
    ["{id}", "{int}", "{text}", "{bytes}", "{table}", "{now}"]
        .into_iter()
        .find_map(|token| text.strip_prefix(token).map(|after| (token, after)))
}

fn meaning(token: &str, dialect: Dialect, used: Use) -> &'static str {
    match (token, dialect) {
        // the clock at this moment, not at the transaction's begin, in microseconds
        ("{now}", Dialect::Sqlite) => "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
        ("{now}", Dialect::Postgres) => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)",
        ("{int}", Dialect::Sqlite) => "INTEGER",
        ("{int}", Dialect::Postgres) => "BIGINT",
        // bytes decide the order of text on both engines
        ("{text}", Dialect::Postgres) if used == Use::Schema => "TEXT COLLATE \"C\"",
        ("{text}", _) => "TEXT",
        ("{table}", Dialect::Sqlite) => "STRICT",
        ("{table}", Dialect::Postgres) => "",
        (_, Dialect::Sqlite) => "BLOB",
        (_, Dialect::Postgres) => "BYTEA",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn postgres(sql: &str) -> String {
        expand(sql, Dialect::Postgres, Use::Statement)
    }

    #[test]
    fn parameters_keep_their_numbers() {
        assert_eq!(postgres("SELECT ?2, ?1, ?10, ?2"), "SELECT $2, $1, $10, $2");
        assert_eq!(expand("SELECT ?2", Dialect::Sqlite, Use::Statement), "SELECT ?2");
    }

    #[test]
    fn what_only_looks_like_a_parameter_stays() {
        for same in ["SELECT 'a?1''?2'", "SELECT \"a?1\"\"?2\"", "-- ?1\n", "/* ?1 'x */", "SELECT 'open ?1", "'{int}'"]
        {
            assert_eq!(postgres(same), same);
        }
        assert_eq!(
            postgres("SELECT 'é?1' || ?1 -- it's ?1\n, ?2 /* ' */ = ?3"),
            "SELECT 'é?1' || $1 -- it's ?1\n, $2 /* ' */ = $3"
        );
    }

    #[test]
    fn tokens_become_types_and_the_clock() {
        assert!(postgres("a < {now}").starts_with("a < CAST("));
        assert_eq!(postgres("CAST(?1 AS {int}) + CAST(?2 AS {text})"), "CAST($1 AS BIGINT) + CAST($2 AS TEXT)");
        assert_eq!(expand("a {id}, b {text} {x}", Dialect::Postgres, Use::Schema), "a BYTEA, b TEXT COLLATE \"C\" {x}");
        assert_eq!(expand("a {bytes}) {table}", Dialect::Sqlite, Use::Schema), "a BLOB) STRICT");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_cut_without_loss(text in "[?{}'\"a1é*/\\-\n ]{0,40}") {
            let joined: String = parts(&text).into_iter().map(|part| match part { Part::Code(t) | Part::Quoted(t) => t }).collect();
            proptest::prop_assert_eq!(&joined, &text);
            proptest::prop_assert_eq!(expand(&text, Dialect::Sqlite, Use::Statement).len(), text.len());
        }
    }
}
