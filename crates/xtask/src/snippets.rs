//! `cargo xtask proof snippets`: the programs of the console and of the book in the languages that
//! the rest of the suite does without.

use anyhow::Result;

use crate::output::say;
use crate::step;

const LANGUAGES: [&str; 4] = ["go", "java", "php", "ruby"];

/// Programs that run them, and the Debian packages that bring those.
const PROGRAMS: [(&str, &str); 5] =
    [("go", "golang-go"), ("javac", "default-jdk-headless"), ("mvn", "maven"), ("php", "php-cli"), ("ruby", "ruby")];

/// Runs them against a server; what came of it, a line for each language.
pub(crate) fn prove() -> Result<Vec<String>> {
    step::run("cargo", &["build", "--quiet", "-p", "bastionary"], &[])?;
    install()?;
    let mut arguments = vec!["interop/snippets/run.py"];
    arguments.extend(LANGUAGES);
    let printed = step::output("python3", &arguments)?;
    say(printed.trim_end());
    Ok(LANGUAGES.iter().map(|language| finding(&printed, language)).collect())
}

/// Installs what is missing, when root may; what still is missing then is skipped with a message.
fn install() -> Result<()> {
    let is_missing = |program: &str| step::output("sh", &["-c", &format!("command -v {program}")]).is_err();
    let missing: Vec<&str> =
        PROGRAMS.iter().filter(|(program, _)| is_missing(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() || step::output("id", &["-u"])?.trim() != "0" {
        return Ok(());
    }
    say(&format!("installing {}", missing.join(" ")));
    step::run("apt-get", &["update", "-q"], &[])?;
    let install = [["install", "-y", "-q", "--no-install-recommends"].as_slice(), &missing].concat();
    step::run("apt-get", &install, &[("DEBIAN_FRONTEND", "noninteractive")])
}

fn finding(printed: &str, language: &str) -> String {
    let skipped = format!("skipped {language}: ");
    if let Some(why) = printed.lines().find_map(|line| line.strip_prefix(skipped.as_str())) {
        return format!("{language}: not run, {why}");
    }
    let passed = printed.lines().filter(|line| line.starts_with(&format!("ok {language}, "))).count();
    let verified = printed.lines().any(|line| line == format!("ok verify {language}"));
    let and = if verified { ", and the program of the book accepts a good one and no other" } else { "" };
    format!("{language}: {passed} programs of the console got a token{and}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_that_was_not_there_is_said_to_be_missing() {
        let printed = "ok go, a, reveal\nok go, a, overview\nok verify go\nskipped php: php is not installed\nend\n";
        assert_eq!(
            finding(printed, "go"),
            "go: 2 programs of the console got a token, and the program of the book accepts a good one and no other"
        );
        assert_eq!(finding(printed, "php"), "php: not run, php is not installed");
    }
}
