//! One file a command. It parses, calls the rooms below, and speaks to people.
//!
//! stdout carries results, stderr carries progress, messages and logs.

mod args;
mod audit;
mod collector;
mod conduct;
mod explain;
mod failure;
mod manager;
mod manual;
mod profile;
mod progress;
mod registry;
mod report;
mod scan;
mod summary;
mod sweep;
mod vigil;
mod watch;
mod witness;

use std::process::ExitCode;

use clap::FromArgMatches;

pub use args::{Arguments, command};
pub use conduct::Conduct;
pub use failure::{Exit, Failure};

use crate::texts::{Language, Texts};

/// Parses the command line, runs the command, prints what failed, and gives the exit code of
/// contract §1.
pub fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    let language = conduct::language(&words);
    let texts = Texts::of(language);
    let matches = command(&texts).get_matches_from(words);
    let arguments = match Arguments::from_arg_matches(&matches) {
        Ok(arguments) => arguments,
        Err(fault) => fault.exit(),
    };
    let conduct = Conduct::new(texts, &arguments.common);
    conduct.start_log();
    let outcome = run(&conduct, arguments.command);
    match outcome {
        Ok(exit) => exit.code(),
        Err(failure) => {
            conduct.complain(&failure);
            failure.exit.code()
        }
    }
}

fn run(conduct: &Conduct, command: args::Command) -> Result<Exit, Failure> {
    use args::Command;
    match command {
        Command::Sweep(arguments) => sweep::run(conduct, arguments),
        Command::Scan(arguments) => scan::run(conduct, arguments),
        Command::Watch(arguments) => watch::run(conduct, arguments),
        Command::Audit(arguments) => audit::run(conduct, arguments),
        Command::Report(arguments) => report::run(conduct, arguments),
        Command::Registry(arguments) => registry::run(conduct, arguments),
        Command::Profile(arguments) => profile::run(conduct, arguments),
        Command::Collector(arguments) => collector::run(conduct, arguments),
        Command::Explain(arguments) => explain::run(conduct, arguments),
        Command::Completions(arguments) => manual::completions(conduct, arguments),
        Command::Man(arguments) => manual::man(conduct, arguments),
    }
}

/// The language that messages fall back to where nothing says otherwise.
pub const FALLBACK: Language = Language::En;
