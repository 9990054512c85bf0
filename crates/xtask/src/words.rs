//! Words that belong to one place only: engine names, the cryptographic library, connections, marks of unfinished work.

use crate::tree::{SourceFile, code, has_word};

/// Names of database engines and their drivers.
const ENGINES: &[&str] = &["sqlite", "postgres", "rusqlite", "tokio_postgres"];

/// Every engine name in code that is not allowed to know one.
pub(crate) fn engines(files: &[SourceFile]) -> Vec<String> {
    let at_home = |path: &str| {
        // The pages of the error codes are documentation that happens to be kept in a table.
        ["crates/codes/src/", "crates/store/", "crates/testkit/", "crates/xtask/", "crates/server/src/config"]
            .iter()
            .any(|home| path.starts_with(home))
    };
    let outside = files.iter().filter(|f| f.source_of().is_some() && !at_home(&f.path));
    let mut breaches = Vec::new();
    for file in outside {
        for (number, line) in file.shipped() {
            let line = code(line).to_ascii_lowercase();
            if let Some(engine) = ENGINES.iter().find(|engine| line.contains(*engine)) {
                breaches.push(format!("{}:{number}: `{engine}` outside the store; the seam hides it", file.path));
            }
        }
    }
    breaches
}

/// Every mark of unfinished work: work that is left is written down where it is planned, not in the code.
pub(crate) fn marks(files: &[SourceFile]) -> Vec<String> {
    // Put together here, so that this file does not find itself.
    let marks = [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["X", "XX"].concat()];
    let read =
        |f: &&SourceFile| ["rs", "toml", "sql", "sh", "py", "html", "md", "js"].iter().any(|e| f.has_extension(e));
    let vendored = |f: &&SourceFile| f.path.contains("/vendor/") || f.path.contains(".min.");
    let mut breaches = Vec::new();
    for file in files.iter().filter(read).filter(|f| !vendored(f)) {
        for (number, line) in (1_usize..).zip(file.text.lines()) {
            if let Some(mark) = marks.iter().find(|mark| has_word(line, mark)) {
                breaches.push(format!("{}:{number}: {mark}; finish it or take it out", file.path));
            }
        }
    }
    breaches
}

/// Every use of the cryptographic library outside `jose` and the TLS of the server.
pub(crate) fn cryptography(files: &[SourceFile]) -> Vec<String> {
    let library = ["aws", "_lc_rs"].concat();
    // The provider that rustls itself brings along has the same name and is not the library.
    let provider = format!("rustls::crypto::{library}");
    let at_home = |f: &SourceFile| {
        f.path.starts_with("crates/jose/") || (f.path.starts_with("crates/server/src/") && f.path.contains("tls"))
    };
    let mut breaches = Vec::new();
    for file in files.iter().filter(|f| f.has_extension("rs") && !at_home(f)) {
        for (number, line) in file.shipped() {
            if has_word(&code(line).replace(&provider, ""), &library) {
                breaches.push(format!("{}:{number}: `{library}` is named in jose alone", file.path));
            }
        }
    }
    breaches
}

/// Every connection that is opened outside the connectors: others' targets are reached through the guarded one alone.
pub(crate) fn connections(files: &[SourceFile]) -> Vec<String> {
    let openers = ["TcpStream::connect", "TcpSocket::", "hyper::client", "lookup_host", "to_socket_addrs"];
    let at_home = |path: &str| {
        ["crates/server/src/outbound/", "crates/store/src/postgres/", "crates/testkit/", "crates/xtask/"]
            .iter()
            .any(|home| path.starts_with(home))
    };
    let mut breaches = Vec::new();
    for file in files.iter().filter(|f| f.source_of().is_some() && !at_home(&f.path)) {
        for (number, line) in file.shipped() {
            if let Some(opener) = openers.iter().find(|opener| code(line).contains(*opener)) {
                breaches.push(format!("{}:{number}: `{opener}` outside the guarded connector", file.path));
            }
        }
    }
    breaches
}

/// Every path that exists on one builder's machine only.
pub(crate) fn private_paths(files: &[SourceFile]) -> Vec<String> {
    let needles = [["/wo", "rk/"].concat(), ["../sha", "red"].concat()];
    let mut breaches = Vec::new();
    for file in files {
        for (number, line) in (1_usize..).zip(file.text.lines()) {
            if let Some(needle) = needles.iter().find(|needle| line.contains(*needle)) {
                breaches.push(format!("{}:{number}: `{needle}` leads nowhere on another machine", file.path));
            }
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::file;

    #[test]
    fn an_engine_name_in_the_code_of_a_product_is_refused() {
        assert_eq!(engines(&[file("crates/auth/src/sql.rs", "use rusqlite::Row;\n")]).len(), 1);
        assert_eq!(engines(&[file("crates/api/src/x.rs", "let dsn = \"postgres://\";\n")]).len(), 1);
        assert_eq!(engines(&[file("crates/server/src/main.rs", "open(Engine::SQLite)\n")]).len(), 1);
    }

    #[test]
    fn an_engine_name_is_allowed_in_the_store_configuration_tests_comments_and_docs() {
        let allowed = [
            file("crates/store/src/lib.rs", "use rusqlite::Row;\n"),
            file("crates/server/src/config/mod.rs", "let engine = \"sqlite\";\n"),
            file("crates/auth/tests/it/main.rs", "postgres();\n"),
            file("crates/auth/src/sql.rs", "// SQLite numbers parameters by name.\n"),
            file("crates/auth/src/a.rs", "#[cfg(test)]\nmod tests {\n    postgres();\n}\n"),
            file("crates/codes/src/table.rs", "what: \"PostgreSQL did not answer\",\n"),
            file("docs/operate.md", "PostgreSQL and SQLite\n"),
        ];
        assert_eq!(engines(&allowed), Vec::<String>::new());
    }

    #[test]
    fn a_mark_of_unfinished_work_is_refused() {
        for mark in [["TO", "DO"], ["FIX", "ME"], ["X", "XX"]] {
            let mark = mark.concat();
            assert_eq!(marks(&[file("crates/auth/src/a.rs", &format!("// {mark}: later\n"))]).len(), 1);
            assert!(marks(&[file("crates/auth/src/a.rs", &format!("let a{mark}b = 1;\n"))]).is_empty());
        }
    }

    #[test]
    fn the_cryptographic_library_is_named_in_jose_and_the_tls_of_the_server_alone() {
        let text = format!("use {}::rand;\n", ["aws", "_lc_rs"].concat());
        assert_eq!(cryptography(&[file("crates/auth/src/a.rs", &text)]).len(), 1);
        assert_eq!(cryptography(&[file("crates/server/src/main.rs", &text)]).len(), 1);
        for home in ["crates/jose/src/hash.rs", "crates/server/src/listen/tls.rs", "crates/server/tests/it/tls.rs"] {
            assert!(cryptography(&[file(home, &text)]).is_empty(), "{home}");
        }
        let provider = format!("use rustls::crypto::{}::default_provider;\n", ["aws", "_lc_rs"].concat());
        assert!(cryptography(&[file("crates/store/src/connect.rs", &provider)]).is_empty());
    }

    #[test]
    fn a_connection_is_opened_by_the_connectors_alone() {
        let text = "let tcp = TcpStream::connect(address).await?;\n";
        assert_eq!(connections(&[file("crates/server/src/sender.rs", text)]).len(), 1);
        assert_eq!(connections(&[file("crates/auth/src/a.rs", "use hyper::client::conn::http1;\n")]).len(), 1);
        for home in ["crates/server/src/outbound/guarded.rs", "crates/server/tests/it/tls.rs", "bench/src/client.rs"] {
            assert!(connections(&[file(home, text)]).is_empty(), "{home}");
        }
    }

    #[test]
    fn a_path_of_one_machine_is_refused_in_any_file() {
        for needle in [["/wo", "rk/main"], ["../sha", "red/spec"]] {
            let text = format!("see {}\n", needle.concat());
            assert_eq!(private_paths(&[file("docs/index.md", &text)]).len(), 1);
            assert_eq!(private_paths(&[file(".ci/run", &text)]).len(), 1);
        }
        assert!(private_paths(&[file("docs/index.md", "a network of nodes\n")]).is_empty());
    }
}
