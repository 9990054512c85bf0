//! The security mutants: each weakening of a guard must turn its tests red and leave the happy path green.

use anyhow::{Context as _, Result, bail};

use crate::output;
use crate::step;

/// A weakening and the tests that must notice it.
struct Mutant {
    /// Its id, as `kernel::mutant::is` knows it.
    id: &'static str,
    /// What is weakened.
    weakens: &'static str,
    /// The part of a test's path that selects the tests which must fail.
    test: &'static str,
}

const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "C01",
        weakens: "an ended secret still authenticates",
        test: "grants::a_rotated_secret_overlaps_until_its_own_end::embedded",
    },
    Mutant {
        id: "C02",
        weakens: "any text passes for a chosen secret",
        test: "authentication::a_long_secret_counts_to_its_last_character::embedded",
    },
    Mutant {
        id: "C04",
        weakens: "a disabled client still authenticates",
        test: "grants::a_disabled_client_is_refused_and_its_tokens_are_dead_from_the_next_request::embedded",
    },
    Mutant {
        id: "C06",
        weakens: "anyone may introspect any token",
        test: "introspection::only_who_may_see_a_token_sees_it::embedded",
    },
    Mutant {
        id: "J06",
        weakens: "the expiry of a token is not looked at",
        test: "introspection::unknown_expired_and_revoked_tokens_are_exactly_inactive::embedded",
    },
    Mutant {
        id: "L01",
        weakens: "no limit refuses anything",
        test: "authentication::guessing_chosen_secrets_is_limited_and_never_locks_a_generated_one_out::embedded",
    },
    Mutant {
        id: "R03",
        weakens: "reuse outside the window passes for a repeat",
        test: "grants::refresh_rotates_repeats_inside_the_window_and_ends_the_family_on_reuse::embedded",
    },
    Mutant {
        id: "R04",
        weakens: "a refresh token works for another client",
        test: "refresh::a_refresh_token_is_worth_nothing_to_another_client::embedded",
    },
    Mutant {
        id: "S04",
        weakens: "a refresh may widen the scope",
        test: "refresh::a_refresh_narrows_the_scope_never_widens_it_and_keeps_the_grant::embedded",
    },
    Mutant {
        id: "S12",
        weakens: "any scope of the tenant may be requested",
        test: "client_credentials::scopes_keep_their_order_lose_repeats_and_are_compared_byte_by_byte::embedded",
    },
    Mutant {
        id: "S18",
        weakens: "revocations are not looked at",
        test: "grants::revoking_an_access_token_ends_that_token_only::embedded",
    },
];

/// The test that every mutant must leave green: a weakening that breaks the product proves nothing.
const HAPPY: &str = "grants::a_client_gets_a_token_that_says_what_rfc_9068_asks::embedded";

/// Builds the tests once with the weakenings inside, and runs each mutant's tests under it.
pub(crate) fn run() -> Result<()> {
    let _step = step::begin("security mutants");
    let build = ["test", "-p", "api", "--features", "kernel/mutants", "--test", "it", "--no-run"];
    step::run("cargo", &build, &[])?;
    let messages = step::output("cargo", &[build.as_slice(), &["--message-format=json"]].concat())?;
    let tests = executable(&messages).context("cargo named no test executable")?;
    let mut survivors = Vec::new();
    for mutant in MUTANTS {
        if !passes(&tests, mutant.id, HAPPY)? {
            bail!("the mutant {} breaks the happy path, so it proves nothing", mutant.id);
        }
        if passes(&tests, mutant.id, mutant.test)? {
            survivors.push(mutant.id);
        }
        output::say(&format!(
            "{}: {} ({})",
            mutant.id,
            if survivors.contains(&mutant.id) { "SURVIVED" } else { "killed" },
            mutant.weakens
        ));
    }
    if !passes(&tests, "", HAPPY)? {
        bail!("the happy path fails without a mutant");
    }
    output::say(&format!(
        "PROOF mutants: {} of {} killed",
        MUTANTS.len().saturating_sub(survivors.len()),
        MUTANTS.len()
    ));
    if survivors.is_empty() { Ok(()) } else { bail!("these mutants survived: {}", survivors.join(", ")) }
}

/// The test executable that cargo names in its messages.
fn executable(messages: &str) -> Option<String> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|message| message.get("executable")?.as_str().map(str::to_owned))
        .next_back()
}

/// Whether the one test passes under a mutant; an unknown test is an error, not a pass.
fn passes(tests: &str, mutant: &str, test: &str) -> Result<bool> {
    let run = std::process::Command::new(tests).args(["--exact", test]).env("BASTIONARY_MUTANT", mutant).output()?;
    let text = String::from_utf8_lossy(&run.stdout);
    if !text.contains("running 1 test") {
        bail!("there is no test {test}");
    }
    Ok(run.status.success())
}

#[cfg(test)]
mod tests {
    use super::executable;

    #[test]
    fn the_last_executable_of_the_messages_is_the_test() {
        let messages = "{\"reason\":\"compiler-artifact\",\"executable\":null}\nnoise\n{\"executable\":\"/x/it-1\"}\n";
        assert_eq!(executable(messages).as_deref(), Some("/x/it-1"));
        assert_eq!(executable("noise"), None);
    }
}
