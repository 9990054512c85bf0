//! What the tasks say to the person who started them.

/// One line on standard output.
#[expect(clippy::print_stdout, reason = "the one place where a task speaks")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// One sentence on standard error: why the task failed.
#[expect(clippy::print_stderr, reason = "the one place where a task speaks")]
pub(crate) fn complain(line: &str) {
    eprintln!("xtask: {line}");
}
