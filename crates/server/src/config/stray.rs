//! Variables with our prefix that are no configuration keys: which are left alone, and which key a stray one meant.

/// What commands that talk to a server read; a shell that has them set may start a server, too.
const OF_COMMANDS: [&str; 5] = ["CA_FILE", "CLIENT_ID", "CLIENT_SECRET", "CLIENT_SECRET_FILE", "TOKEN"];

/// Whether a variable (its name without the prefix) is none of the server's business.
///
/// Kubernetes sets variables for every service of a namespace: one that is called `bastionary`, or begins so, gives
/// `…_SERVICE_HOST`, `…_SERVICE_PORT_<NAME>`, `…_PORT` and `…_PORT_<number>_TCP_ADDR`.
pub(super) fn is_foreign(name: &str, value: &str) -> bool {
    let is_link = |(_, tail): (&str, &str)| tail.starts_with(|c: char| c.is_ascii_digit());
    let is_mutant =
        kernel::mutant::VARIABLE.and_then(|full| full.strip_prefix(crate::environment::PREFIX)) == Some(name);
    is_mutant
        || OF_COMMANDS.contains(&name)
        || name.ends_with("SERVICE_HOST")
        || name.contains("SERVICE_PORT")
        || (name.ends_with("PORT") && value.contains("://"))
        || name.split_once("PORT_").is_some_and(is_link)
}

/// The name that the fewest single-letter changes turn `name` into.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    known.min_by_key(|candidate| kernel::words::distance(name, candidate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_orchestrator_or_a_command_sets_is_left_alone() {
        for (name, value) in [
            ("SERVICE_HOST", "10.0.0.1"),
            ("SERVICE_PORT", "8080"),
            ("SERVICE_PORT_HTTP", "8080"),
            ("PORT", "tcp://10.0.0.1:8080"),
            ("PORT_8080_TCP", "tcp://10.0.0.1:8080"),
            ("PORT_8080_TCP_ADDR", "10.0.0.1"),
            ("METRICS_SERVICE_HOST", "10.0.0.1"),
            ("CLIENT_SECRET", "x"),
        ] {
            assert!(is_foreign(name, value), "{name}");
        }
        for name in ["PORT", "LISTEN_PORT", "CLIENT_SECRETS", "SERVICE"] {
            assert!(!is_foreign(name, "8080"), "{name}");
        }
    }
}
