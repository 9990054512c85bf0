//! The yardstick: floor servers, a load generator, paired sittings and micro-benchmarks.
//!
//! Absolute rates drift between identical runs, so a goal is a ratio of two rates measured in turns in one sitting.

mod arguments;
mod client;
mod events;
mod flood;
mod floor;
mod histogram;
mod load;
mod micro;
mod output;
mod peer;
mod process;
mod sitting;
mod summary;
mod usage;
mod workload;
mod world;

#[cfg(test)]
mod tests;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
bench floor plain|token-es256|token-eddsa [--listen 127.0.0.1:0]
bench load --addr A --kind get|token|refresh|introspect|introspect-once|check|usage [--list FILE] [--path /livez]
           [--bearer TOKEN] [--conns 32] [--rate PER_SECOND] [--seconds 8] [--warmup 1] [--requests N]
bench flood --addr A --id CLIENT [--rate PER_SECOND]
bench sitting [--rounds 5] [--seconds 8] [--clients 10000] [--soak 60] [--server target/release/bastionary]
              [--json FILE]
bench events [--seconds 5] [--count 5000] [--server target/release/bastionary]
bench usage [--rounds 5] [--seconds 5] [--server target/release/bastionary]
bench micro";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(words: &[String]) -> Result<()> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["floor", kind, rest @ ..] => floor::main(floor::Kind::parse(kind)?, &arguments::Arguments::parse(rest)?),
        ["load", rest @ ..] => load::main(&arguments::Arguments::parse(rest)?),
        ["flood", rest @ ..] => flood::main(&arguments::Arguments::parse(rest)?),
        ["sitting", rest @ ..] => sitting::main(&arguments::Arguments::parse(rest)?),
        ["events", rest @ ..] => events::main(&arguments::Arguments::parse(rest)?),
        ["usage", rest @ ..] => usage::main(&arguments::Arguments::parse(rest)?),
        ["micro"] => micro::main(),
        _ => bail!("usage:\n{USAGE}"),
    }
}
