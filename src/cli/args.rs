//! The command line: names here, sentences in the texts (`help-…`).

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::net::Prefix;
use crate::result::v1::Severity;
use crate::scan::Shard;
use crate::sweep::profile::{Hear, Method, UNLIMITED};
use crate::texts::{Language, Texts};

#[derive(Debug, Parser)]
#[command(name = "jiebei", version, arg_required_else_help = true)]
pub struct Arguments {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

/// What works everywhere.
#[derive(Debug, Args)]
pub struct Common {
    #[arg(long, global = true, value_name = "zh|en")]
    pub lang: Option<Language>,
    #[arg(long, short, global = true)]
    pub quiet: bool,
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    #[arg(long, global = true, value_name = "text|json", default_value = "text")]
    pub log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Sweep(SweepArguments),
    Scan(ScanArguments),
    Watch(WatchArguments),
    Audit(AuditArguments),
    Report(ReportArguments),
    Registry(RegistryArguments),
    Profile(ProfileArguments),
    Collector(CollectorArguments),
    Explain(ExplainArguments),
    Completions(CompletionsArguments),
    Man(ManArguments),
}

#[derive(Debug, Args)]
pub struct SweepArguments {
    #[arg(long, value_name = "REG")]
    pub registry: Option<String>,
    #[arg(long, value_name = "P")]
    pub profile: Option<String>,
    #[arg(long, value_name = "IF")]
    pub interface: Vec<String>,
    #[arg(long, value_name = "PREFIX")]
    pub scope: Vec<Prefix>,
    #[arg(long, value_name = "PREFIX")]
    pub exclude: Vec<Prefix>,
    #[arg(long, value_name = "U")]
    pub unit: Option<String>,
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    #[arg(long)]
    pub dry_run: bool,
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    #[arg(long, value_name = "FILE", conflicts_with_all = ["record", "dry_run", "resume", "interface"])]
    pub replay: Option<PathBuf>,
    #[arg(long, conflicts_with_all = ["dry_run"])]
    pub resume: bool,
    #[arg(long, value_name = "json")]
    pub format: Option<OutputFormat>,
    #[arg(long, value_name = "SEVERITY")]
    pub fail_on: Option<Grade>,
    #[arg(long, value_name = "xdp|ring|batch|pnet")]
    pub io: Option<crate::link::Io>,
    #[arg(long, value_name = "PPS|max")]
    pub rate: Option<RateArgument>,
    #[arg(long, value_name = "PPS|max")]
    pub per_target: Option<RateArgument>,
    #[arg(long, value_name = "N|max")]
    pub per_prefix: Option<RateArgument>,
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
    #[arg(long, value_name = "TEXT")]
    pub seed: Option<String>,
    #[arg(long, value_name = "PORTS")]
    pub tcp_ports: Option<String>,
    #[arg(long, value_name = "PORTS")]
    pub udp_ports: Option<String>,
    #[arg(long, value_name = "SECONDS")]
    pub listen: Option<u32>,
    #[arg(long, value_name = "FILE")]
    pub trust: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ScanArguments {
    #[arg(long, value_name = "arp|ndp|icmp|icmpv6|tcp|udp")]
    pub method: Method,
    #[arg(long, value_name = "PORTS")]
    pub ports: Option<String>,
    #[arg(long, value_name = "PREFIX")]
    pub scope: Vec<Prefix>,
    #[arg(long, value_name = "FILE")]
    pub targets: Option<PathBuf>,
    #[arg(long, value_name = "PREFIX")]
    pub exclude: Vec<Prefix>,
    #[arg(long, value_name = "P")]
    pub profile: Option<String>,
    #[arg(long, value_name = "IF")]
    pub interface: Vec<String>,
    #[arg(long, value_name = "PPS|max")]
    pub rate: Option<RateArgument>,
    #[arg(long, value_name = "PPS|max")]
    pub per_target: Option<RateArgument>,
    #[arg(long, value_name = "N|max")]
    pub per_prefix: Option<RateArgument>,
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub rounds: u8,
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
    #[arg(long, value_name = "TEXT")]
    pub seed: Option<String>,
    #[arg(long, value_name = "xdp|ring|batch|pnet")]
    pub io: Option<crate::link::Io>,
    #[arg(long)]
    pub no_reset: bool,
    #[arg(long)]
    pub all: bool,
    #[arg(long)]
    pub dry_run: bool,
    #[arg(long, value_name = "text|csv|json", default_value = "text")]
    pub format: ScanFormat,
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    #[arg(long, value_name = "FILE")]
    pub trust: Option<PathBuf>,
}

/// A ceiling on the command line: a number, or none at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateArgument {
    PerSecond(u32),
    /// For a lab: as fast as it goes.
    Max,
}

impl RateArgument {
    pub fn number(self) -> u32 {
        match self {
            RateArgument::PerSecond(rate) => rate,
            RateArgument::Max => UNLIMITED,
        }
    }
}

impl std::str::FromStr for RateArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<RateArgument, String> {
        if text == "max" {
            return Ok(RateArgument::Max);
        }
        match text.parse() {
            Ok(rate) if rate > 0 => Ok(RateArgument::PerSecond(rate)),
            _ => Err("1 … 4294967295, max".to_owned()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScanFormat {
    Text,
    Csv,
    Json,
}

#[derive(Debug, Args)]
pub struct WatchArguments {
    #[arg(long, value_name = "IF", required_unless_present = "read", conflicts_with = "read")]
    pub interface: Vec<String>,
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub read: Vec<PathBuf>,
    #[arg(long, value_name = "REG")]
    pub registry: Option<String>,
    #[arg(long, value_name = "U")]
    pub unit: Option<String>,
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    #[arg(long, value_name = "P")]
    pub profile: Option<String>,
    #[arg(long, value_name = "SECONDS")]
    pub seconds: Option<u32>,
    #[arg(long, value_name = "10m", value_parser = duration, conflicts_with = "read")]
    pub interval: Option<Duration>,
    #[arg(long, value_name = "24h", value_parser = duration, conflicts_with = "read")]
    pub window: Option<Duration>,
    #[arg(long, value_name = "everything|openings", conflicts_with = "read")]
    pub hear: Option<Hear>,
    #[arg(long, value_name = "json|jsonl")]
    pub format: Option<WatchFormat>,
    #[arg(long, value_name = "SEVERITY")]
    pub fail_on: Option<Grade>,
    #[arg(long, value_name = "xdp|ring|batch|pnet")]
    pub io: Option<crate::link::Io>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WatchFormat {
    /// The result, at the end.
    Json,
    /// Each finding as it appears.
    Jsonl,
}

/// A length of time: a number with `s`, `m`, `h` or `d`, or seconds. Zero is none.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, seconds) = match text.char_indices().last() {
        Some((place, 's')) => (text.get(..place), 1),
        Some((place, 'm')) => (text.get(..place), 60),
        Some((place, 'h')) => (text.get(..place), 3600),
        Some((place, 'd')) => (text.get(..place), 86_400),
        _ => (Some(text), 1),
    };
    number
        .and_then(|number| number.parse::<u32>().ok())
        .filter(|number| *number > 0)
        .map(|number| Duration::from_secs(u64::from(number) * seconds))
        .ok_or_else(|| "10s, 10m, 24h, 7d".to_owned())
}

#[derive(Debug, Args)]
pub struct AuditArguments {
    #[arg(value_name = "RESULT")]
    pub result: PathBuf,
    #[arg(long, value_name = "REG")]
    pub registry: String,
    #[arg(long, value_name = "FILE")]
    pub witness: Option<PathBuf>,
    #[arg(long, value_name = "env:NAME|file:PATH|HEX", requires = "witness")]
    pub key: Option<String>,
    #[arg(long, value_name = "U")]
    pub unit: Option<String>,
    #[arg(long, value_name = "P")]
    pub profile: Option<String>,
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    #[arg(long, value_name = "json")]
    pub format: Option<OutputFormat>,
    #[arg(long, value_name = "SEVERITY")]
    pub fail_on: Option<Grade>,
}

#[derive(Debug, Args)]
pub struct ReportArguments {
    /// A result file, its folder, or `-`.
    #[arg(value_name = "RESULT")]
    pub result: PathBuf,
    #[arg(
        long,
        value_name = "html,xlsx,csv,json,ocsf,md",
        value_delimiter = ',',
        default_value = "html"
    )]
    pub format: Vec<String>,
    #[arg(long, value_name = "DIR|FILE|-")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct RegistryArguments {
    #[command(subcommand)]
    pub command: RegistryCommand,
}

#[derive(Debug, Subcommand)]
pub enum RegistryCommand {
    Check {
        #[arg(value_name = "REG")]
        registry: String,
        #[arg(long, value_name = "json")]
        format: Option<OutputFormat>,
    },
    Convert {
        #[arg(value_name = "REG")]
        registry: String,
        #[arg(value_name = "OUT")]
        out: PathBuf,
    },
    Template {
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct ProfileArguments {
    #[command(subcommand)]
    pub command: ProfileCommand,
}

#[derive(Debug, Subcommand)]
pub enum ProfileCommand {
    List,
    Show {
        #[arg(value_name = "NAME")]
        name: String,
    },
    Check {
        #[arg(value_name = "FILE")]
        file: String,
        #[arg(long, value_name = "FILE")]
        trust: Option<PathBuf>,
    },
    Keygen,
    Sign {
        #[arg(value_name = "FILE")]
        file: String,
        #[arg(long, value_name = "env:NAME|file:PATH")]
        key: String,
    },
}

#[derive(Debug, Args)]
pub struct CollectorArguments {
    #[command(subcommand)]
    pub command: CollectorCommand,
}

#[derive(Debug, Subcommand)]
pub enum CollectorCommand {
    Run(Box<CollectorRun>),
    Keygen {
        #[arg(long)]
        signing: bool,
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    Export(CollectorExport),
}

#[derive(Debug, Args)]
pub struct CollectorRun {
    #[arg(long, value_name = "IF")]
    pub interface: String,
    #[arg(long, value_name = "env:NAME|file:PATH")]
    pub key: String,
    #[arg(long, value_name = "ZONE")]
    pub zone: Option<String>,
    #[arg(long, value_name = "FILE.jsonl")]
    pub log: Option<PathBuf>,
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<std::net::SocketAddr>,
    #[arg(long, value_name = "env:NAME|file:PATH", requires = "listen")]
    pub token: Option<String>,
    #[arg(long, value_name = "PEM", requires = "certificate_key")]
    pub certificate: Option<PathBuf>,
    #[arg(long, value_name = "PEM", requires = "certificate")]
    pub certificate_key: Option<PathBuf>,
    #[arg(long, value_name = "PEM", requires = "listen")]
    pub client_authority: Option<PathBuf>,
    #[arg(long, value_name = "env:NAME|file:PATH")]
    pub signing_key: Option<String>,
    #[arg(long, value_name = "MIB")]
    pub keep: Option<u64>,
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
}

#[derive(Debug, Args)]
pub struct CollectorExport {
    #[arg(long, value_name = "FILE")]
    pub log: PathBuf,
    #[arg(long, value_name = "env:NAME|file:PATH")]
    pub key: String,
    #[arg(long, value_name = "ID")]
    pub sweep: Option<String>,
    #[arg(long, value_name = "TIME", value_parser = super::collector::moment)]
    pub since: Option<jiff::Timestamp>,
    #[arg(long, value_name = "HEX")]
    pub verify_key: Option<String>,
    #[arg(long, value_name = "env:NAME|file:PATH")]
    pub signing_key: Option<String>,
    #[arg(long, value_name = "FILE|-")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ExplainArguments {
    #[arg(value_name = "RULE")]
    pub rule: Option<String>,
}

#[derive(Debug, Args)]
pub struct CompletionsArguments {
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub struct ManArguments {
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    Json,
}

/// A severity on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Grade {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

impl From<Grade> for Severity {
    fn from(grade: Grade) -> Severity {
        match grade {
            Grade::Info => Severity::Info,
            Grade::Low => Severity::Low,
            Grade::Medium => Severity::Medium,
            Grade::High => Severity::High,
            Grade::Critical => Severity::Critical,
        }
    }
}

/// The command line with every sentence in the language of the texts.
pub fn command(texts: &Texts) -> clap::Command {
    let command = localise(Arguments::command(), texts, "jiebei");
    command.disable_help_subcommand(true)
}

/// `help-jiebei-sweep` says what a command does; `help-arg-…` what an argument is, with
/// `help-jiebei-sweep-…` before it where one command means something else by it.
fn localise(mut command: clap::Command, texts: &Texts, path: &str) -> clap::Command {
    if let Some(about) = texts.find(&format!("help-{path}"), &[]) {
        command = command.about(about);
    }
    let options = texts.say("help-heading-options", &[]);
    let arguments = texts.say("help-heading-arguments", &[]);
    command = command
        .help_template(format!(
            "{{about-with-newline}}\n{}: {{usage}}\n\n{{all-args}}{{after-help}}",
            texts.say("help-heading-usage", &[])
        ))
        .subcommand_help_heading(texts.say("help-heading-commands", &[]))
        .disable_help_flag(true)
        .arg(clap::Arg::new("help").short('h').long("help").action(clap::ArgAction::Help));
    if path == "jiebei" {
        command = command.disable_version_flag(true).arg(
            clap::Arg::new("version").short('V').long("version").action(clap::ArgAction::Version),
        );
    }
    command = command.mut_args(|argument| {
        let id = argument.get_id().as_str().replace('_', "-");
        let own = texts.find(&format!("help-{path}-{id}"), &[]);
        let help = own.or_else(|| texts.find(&format!("help-arg-{id}"), &[]));
        let heading = if argument.is_positional() { &arguments } else { &options };
        let takes_value = argument.get_action().takes_values();
        let argument = argument.help_heading(heading.clone()).hide_possible_values(takes_value);
        match help {
            Some(help) => argument.help(help),
            None => argument,
        }
    });
    let names: Vec<String> =
        command.get_subcommands().map(|subcommand| subcommand.get_name().to_owned()).collect();
    for name in names {
        let path = format!("{path}-{name}");
        command = command.mut_subcommand(&name, |subcommand| localise(subcommand, texts, &path));
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_has_a_unit_or_is_in_seconds() {
        let seconds = |text| duration(text).map(|duration| duration.as_secs());
        for (text, expected) in
            [("90", 90), ("5s", 5), ("10m", 600), ("24h", 86_400), ("7d", 604_800)]
        {
            assert_eq!(seconds(text), Ok(expected));
        }
        for text in ["", "0", "m", "-1s", "1w", "1.5h", "十分"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    fn every_sentence(command: &clap::Command, path: &str, missing: &mut Vec<String>) {
        if command.get_about().is_none() {
            missing.push(format!("help-{path}"));
        }
        for argument in command.get_arguments() {
            if argument.get_help().is_none() {
                missing.push(format!("help-arg-{} ({path})", argument.get_id()));
            }
        }
        for subcommand in command.get_subcommands() {
            every_sentence(subcommand, &format!("{path}-{}", subcommand.get_name()), missing);
        }
    }

    #[test]
    fn every_command_and_argument_has_its_sentence_in_both_languages() {
        for language in Language::ALL {
            let mut missing = Vec::new();
            let command = command(&Texts::of(language));
            command.clone().debug_assert();
            every_sentence(&command, "jiebei", &mut missing);
            assert_eq!(missing, Vec::<String>::new(), "{language}");
        }
    }
}
