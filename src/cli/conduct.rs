//! How the program behaves at the terminal: language, colour, silence, logs.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};

use super::args::{Common, LogFormat};
use super::failure::Failure;
use crate::texts::{Argument, Language, Texts};

pub struct Conduct {
    pub texts: Texts,
    pub quiet: bool,
    verbose: u8,
    log_format: LogFormat,
}

impl Conduct {
    pub fn new(texts: Texts, common: &Common) -> Conduct {
        Conduct {
            texts,
            quiet: common.quiet,
            verbose: common.verbose,
            log_format: common.log_format,
        }
    }

    pub fn say(&self, key: &str, arguments: &[Argument<'_>]) -> String {
        self.texts.say(key, arguments)
    }

    /// A message for the person at the terminal; nothing under `--quiet`.
    pub fn tell(&self, text: &str) {
        if !self.quiet {
            let _ = writeln!(anstream::stderr(), "{text}");
        }
    }

    /// A remark of a program that runs on its own: in the log where logs are wanted as JSON, else as [`Self::tell`].
    pub fn remark(&self, text: &str) {
        match self.log_format {
            LogFormat::Json => tracing::warn!("{text}"),
            LogFormat::Text => self.tell(text),
        }
    }

    /// A line of what was asked for, on stdout. Who closed the pipe has read enough.
    pub fn put(&self, line: impl std::fmt::Display) -> Result<(), Failure> {
        match writeln!(anstream::stdout(), "{line}") {
            Err(fault) if fault.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Failure::in_part(fault.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// What failed; said under `--quiet` too.
    pub fn complain(&self, failure: &Failure) {
        if self.log_format == LogFormat::Json {
            tracing::error!("{}", failure.paragraph);
        } else {
            let style = anstyle::AnsiColor::Red.on_default().bold();
            let head = self.say("cli-error", &[]);
            let _ = writeln!(anstream::stderr(), "{style}{head}{style:#} {}", failure.paragraph);
        }
    }

    /// Whether progress may be drawn: on a terminal, and not silenced.
    pub fn draws_progress(&self) -> bool {
        !self.quiet && self.log_format == LogFormat::Text && std::io::stderr().is_terminal()
    }

    /// Columns of the terminal, for what is drawn.
    pub fn width(&self) -> usize {
        std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).unwrap_or(100)
    }

    pub fn start_log(&self) {
        let level = match (self.quiet, self.verbose) {
            (true, _) => "error",
            (false, 0) => "warn",
            (false, 1) => "info",
            (false, 2) => "debug",
            (false, _) => "trace",
        };
        let filter = tracing_subscriber::EnvFilter::try_from_env("JIEBEI_LOG")
            .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        // A second start (in tests) finds the log already there.
        let _ = match self.log_format {
            LogFormat::Json => log.json().try_init(),
            LogFormat::Text => {
                let colours = std::io::stderr().is_terminal()
                    && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
                log.with_ansi(colours).try_init()
            }
        };
    }
}

/// `--lang`, then `LC_ALL`, `LC_MESSAGES` and `LANG`. Asked before the command line is parsed, since help
/// and complaints about the command line have a language too.
pub fn language(words: &[OsString]) -> Language {
    let mut words = words.iter().filter_map(|word| word.to_str());
    while let Some(word) = words.next() {
        let value = match word.strip_prefix("--lang") {
            Some("") => words.next(),
            Some(value) => value.strip_prefix('='),
            None => None,
        };
        if let Some(language) = value.and_then(|value| value.parse().ok()) {
            return language;
        }
    }
    ["LC_ALL", "LC_MESSAGES", "LANG"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty())
        .map_or(super::FALLBACK, |locale| Language::of_locale(&locale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_goes_before_the_locale() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert_eq!(language(&words("jiebei --lang zh sweep")), Language::Zh);
        assert_eq!(language(&words("jiebei sweep --lang=en")), Language::En);
    }
}
