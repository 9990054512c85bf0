//! What a registered statement must look like so that it means the same on both engines and stays in its tenant.

use crate::rewrite::{Part, parts};
use crate::stmt::Stmt;

/// Why a statement is refused; `None` when it is good.
pub(crate) fn complaint(stmt: &Stmt) -> Option<&'static str> {
    for part in parts(stmt.sql) {
        if let Part::Code(code) = part
            && let Some(found) = parameter_complaint(code)
        {
            return Some(found);
        }
    }
    let inserts_tenant_first = stmt.sql.trim_start().starts_with("INSERT")
        && stmt.sql.split_once('(').is_some_and(|(_, columns)| columns.trim_start().starts_with("tenant_id"));
    if stmt.across_tenants.is_none() && !stmt.sql.contains("tenant_id = ?1") && !inserts_tenant_first {
        return Some("does not filter by tenant_id = ?1 and gives no reason to look across tenants");
    }
    None
}

fn parameter_complaint(code: &str) -> Option<&'static str> {
    let mut previous = ' ';
    let mut characters = code.chars().peekable();
    while let Some(character) = characters.next() {
        let next = characters.peek().copied().unwrap_or(' ');
        match character {
            '?' if !next.is_ascii_digit() || next == '0' => return Some("has a parameter without a number"),
            // SQLite numbers `$N` by first appearance, PostgreSQL by N
            '$' => return Some("has a parameter written with `$`"),
            '@' if next.is_ascii_alphabetic() => return Some("has a named parameter"),
            ':' if previous != ':' && next.is_ascii_alphabetic() => return Some("has a named parameter"),
            _ => {}
        }
        previous = character;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sql: &'static str) -> Option<&'static str> {
        complaint(&Stmt { name: "T", sql, across_tenants: None, by_key: false })
    }

    #[test]
    fn statements_that_would_differ_between_engines_or_leave_their_tenant_are_refused() {
        assert_eq!(of("SELECT a FROM t WHERE tenant_id = ?1 AND b = ':x $1 ?'"), None);
        assert_eq!(of("INSERT INTO t (tenant_id, a) VALUES (?1, ?2)"), None);
        for bad in [
            "SELECT a FROM t WHERE tenant_id = ?1 AND b = ?",
            "SELECT a FROM t WHERE tenant_id = ?1 AND b = $2",
            "SELECT a FROM t WHERE tenant_id = ?1 AND b = :b",
            "SELECT a FROM t WHERE tenant_id = ?1 AND b = @b",
            "SELECT a FROM t WHERE b = ?1",
            "INSERT INTO t (a, tenant_id) VALUES (?1, ?2)",
        ] {
            assert!(of(bad).is_some(), "{bad}");
        }
        assert!(
            complaint(&Stmt { name: "T", sql: "SELECT a FROM t", across_tenants: Some("why"), by_key: false })
                .is_none()
        );
    }
}
