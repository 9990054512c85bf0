//! SQL that means the same on both engines and stays in its tenant, found without running anything.
//!
//! `store` refuses the same at run time when it prepares every statement; here the breach has a line number, and a
//! list of statements that nobody prepares is seen as well.

use crate::tree::SourceFile;

/// One declaration inside `statements! { … }`.
struct Declared {
    line: usize,
    name: String,
    across: bool,
    /// The text when it is a plain literal; `None` when a macro puts it together.
    sql: Option<String>,
}

/// Every breach in the statements of the crates.
pub(crate) fn check(files: &[SourceFile]) -> Vec<String> {
    let mut breaches = Vec::new();
    for file in files.iter().filter(|f| f.source_of().is_some() && !f.is_test() && !f.path.ends_with("/stmt.rs")) {
        for declared in declarations(&file.text) {
            let Declared { line, name, across, sql } = declared;
            let Some(sql) = sql else { continue };
            if let Some(why) = parameters(&sql) {
                breaches.push(format!("{}:{line}: {name} {why}; write ?1, ?2, …", file.path));
            }
            if !across && !stays_in_tenant(&sql) {
                breaches.push(format!(
                    "{}:{line}: {name} does not filter by `tenant_id = ?1`; if it must not, say across_tenants(\"why\")",
                    file.path
                ));
            }
        }
    }
    breaches
}

fn declarations(text: &str) -> Vec<Declared> {
    let mut found = Vec::new();
    let mut offset = 0_usize;
    while let Some(at) = text.get(offset..).and_then(|rest| rest.find("statements! {")) {
        let start = offset.saturating_add(at).saturating_add("statements! {".len());
        offset = start;
        let before = text.get(..start).unwrap_or_default();
        // A macro named in a comment declares nothing.
        if before.lines().next_back().is_some_and(|line| line.trim_start().starts_with("//")) {
            continue;
        }
        let line = before.matches('\n').count().saturating_add(1);
        found.extend(block(text.get(start..).unwrap_or_default(), line));
    }
    found
}

/// The declarations up to the closing brace of the macro.
fn block(text: &str, first_line: usize) -> Vec<Declared> {
    let mut found = Vec::new();
    let mut line = first_line;
    let mut head = String::new();
    let mut literals = String::new();
    let mut head_line = first_line;
    let mut is_value = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\n' => {
                line = line.saturating_add(1);
                head.push(' ');
            }
            '/' if characters.peek() == Some(&'/') => {
                while characters.peek().is_some_and(|next| *next != '\n') {
                    characters.next();
                }
            }
            '"' => {
                let literal = literal(&mut characters, &mut line);
                if is_value { literals.push_str(&literal) } else { head.push_str("\"\"") }
            }
            '=' if !is_value => is_value = true,
            ';' if is_value => {
                let name = head.split_whitespace().next().unwrap_or_default().to_owned();
                let across = head.contains("across_tenants");
                let sql = (!literals.is_empty()).then(|| std::mem::take(&mut literals));
                found.push(Declared { line: head_line, name, across, sql });
                literals.clear();
                head.clear();
                is_value = false;
            }
            '}' if !is_value => break,
            other if !is_value => {
                if head.trim().is_empty() && !other.is_whitespace() {
                    head_line = line;
                }
                head.push(other);
            }
            _ => {}
        }
    }
    found
}

/// The content of a string literal whose opening quote has been read.
fn literal(characters: &mut std::iter::Peekable<std::str::Chars<'_>>, line: &mut usize) -> String {
    let mut content = String::new();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => match characters.next() {
                Some('\n') => {
                    // An escaped line break swallows the indentation of the next line.
                    *line = line.saturating_add(1);
                    while characters.peek().is_some_and(|next| *next == ' ') {
                        characters.next();
                    }
                }
                Some(escaped) => content.push(escaped),
                None => break,
            },
            '\n' => {
                *line = line.saturating_add(1);
                content.push(' ');
            }
            other => content.push(other),
        }
    }
    content
}

/// Why the parameters of a text are refused; quoted text does not count.
fn parameters(sql: &str) -> Option<&'static str> {
    let mut quote = None;
    let mut previous = ' ';
    let mut characters = sql.chars().peekable();
    while let Some(character) = characters.next() {
        let next = characters.peek().copied().unwrap_or(' ');
        if let Some(open) = quote {
            if character == open {
                quote = None;
            }
            continue;
        }
        match character {
            '\'' | '"' => quote = Some(character),
            '?' if !next.is_ascii_digit() => return Some("has a parameter without a number"),
            '$' if next.is_ascii_digit() => return Some("has a parameter written with `$`"),
            '@' if next.is_ascii_alphabetic() => return Some("has a named parameter"),
            ':' if previous != ':' && next.is_ascii_alphabetic() => return Some("has a named parameter"),
            _ => {}
        }
        previous = character;
    }
    None
}

fn stays_in_tenant(sql: &str) -> bool {
    let inserts_tenant_first = sql.trim_start().starts_with("INSERT")
        && sql.split_once('(').is_some_and(|(_, columns)| columns.trim_start().starts_with("tenant_id"));
    inserts_tenant_first || sql.contains("tenant_id = ?1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::file;

    fn of(declaration: &str) -> Vec<String> {
        check(&[file(
            "crates/auth/src/sql.rs",
            &format!("store::statements! {{\n    /// Why; {{}}.\n    {declaration}\n}}\n"),
        )])
    }

    #[test]
    fn parameters_that_the_engines_number_differently_are_refused() {
        for bad in ["$2", "?", ":name", "@name"] {
            let found = of(&format!("A = \"SELECT a FROM t WHERE tenant_id = ?1 AND b = {bad} AND c = 1\";"));
            assert_eq!(found.len(), 1, "{bad}");
            assert!(found[0].starts_with("crates/auth/src/sql.rs:3: A "), "{found:?}");
        }
        assert!(of("A = \"SELECT '$1 ? :x' FROM t WHERE tenant_id = ?1 AND a = b::text\";").is_empty());
    }

    #[test]
    fn a_statement_that_leaves_its_tenant_says_why() {
        assert_eq!(of("A = \"SELECT a FROM t\";\n    B = \"DELETE FROM t WHERE a = ?1\";").len(), 2);
        assert_eq!(of("A = \"INSERT INTO t (a, tenant_id) VALUES (?1, ?2)\";").len(), 1);
        assert!(of("A across_tenants(\"read once; at start\") = \"SELECT a FROM t\";").is_empty());
        assert!(of("A = \"INSERT INTO t (tenant_id, a) VALUES (?1, ?2)\";").is_empty());
    }

    #[test]
    fn a_text_over_several_lines_is_read_as_one_and_the_next_line_number_is_right() {
        let found = of("A = \"SELECT a FROM t \\\n        WHERE tenant_id = ?1\";\n    B = \"SELECT a FROM t\";");
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("crates/auth/src/sql.rs:5: B "), "{found:?}");
    }

    #[test]
    fn an_example_in_a_comment_declares_nothing() {
        assert!(
            check(&[file("crates/auth/src/a.rs", "//! statements! {\n//!  A = \"SELECT 1\";\n//! }\n")]).is_empty()
        );
    }
}
