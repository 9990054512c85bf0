//! What the yardstick says: figures on standard output, reasons on standard error.

/// One line of figures.
#[expect(clippy::print_stdout, reason = "the figures are what the program is for")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// One sentence on what goes on or went wrong.
#[expect(clippy::print_stderr, reason = "progress and failures must not mix with figures")]
pub(crate) fn complain(line: &str) {
    eprintln!("bench: {line}");
}
