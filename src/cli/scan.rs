//! `jiebei scan`: one question to every address, and who answered.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, IsTerminal, Read, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::args::{RateArgument, ScanArguments, ScanFormat};
use super::progress::{TerminalReporter, stop_on_signals};
use super::sweep::{adjusted, fault_of_orders, fault_of_sweep, fault_of_vantage, per_prefix};
use super::{Conduct, Exit, Failure, profile as profiles};
use crate::link::{self, Io};
use crate::net::{AddressSet, Prefix};
use crate::observe::{Foreign, PortState};
use crate::scan::{Shard, SweepKey};
use crate::sweep::profile::{Method, PortList, Profile, Ranking, Rate, UNLIMITED};
use crate::sweep::question::{self, Found, Question, Resets, Tally};
use crate::sweep::{End, Machine, may_begin, vantage};

/// A list of a million addresses has some fifteen megabytes.
const MOST_OCTETS: u64 = 64 << 20;

pub fn run(conduct: &Conduct, arguments: ScanArguments) -> Result<Exit, Failure> {
    let listed = arguments.targets.as_deref().map(|path| targets(conduct, path)).transpose()?;
    let mut scope = arguments.scope.clone();
    if arguments.profile.is_none() && scope.is_empty() {
        scope = listed.iter().flat_map(AddressSet::prefixes).collect();
    }
    let number = |rate: Option<RateArgument>| rate.map(RateArgument::number);
    let profile = adjusted(
        conduct,
        arguments.profile.as_deref(),
        &scope,
        &arguments.exclude,
        number(arguments.rate),
        number(arguments.per_target),
        per_prefix(arguments.rate, arguments.per_prefix),
    )?;
    let trust = profiles::trusted(conduct, arguments.trust.as_deref())?;
    let signature = profiles::signature_state(conduct, &profile, arguments.trust.as_deref())?;
    let machine = if trust.is_some() { Machine::Trusts } else { Machine::HasNoTrustFile };
    may_begin(&profile.authorisation, &signature, Timestamp::now(), machine)
        .map_err(|forbidden| Failure::usage(fault_of_orders(conduct, &forbidden)))?;
    let scope: AddressSet = profile.authorisation.scope.iter().copied().collect();
    let stations = vantage::stations(&arguments.interface, &scope)
        .map_err(|fault| Failure::usage(fault_of_vantage(conduct, &fault)))?;
    let ports = ports(conduct, &arguments, &profile)?;
    if arguments.shard.is_some_and(|shard| shard != Shard::WHOLE) && arguments.seed.is_none() {
        return Err(Failure::usage(conduct.say("cli-shard-without-seed", &[])));
    }
    let targets = listed.map_or_else(|| scope.clone(), |listed| listed.and(&scope));
    let question = Question {
        rules: question::rules(&profile.authorisation, &stations),
        stations,
        method: arguments.method,
        ports,
        targets: of_family(&targets, arguments.method),
        rounds: arguments.rounds.clamp(1, MOST_ROUNDS),
        ceilings: question::ceilings(profile.rate),
        shard: arguments.shard.unwrap_or(Shard::WHOLE),
        seed: arguments.seed.as_deref().map(SweepKey::of_text),
        io: arguments.io,
        resets: if arguments.no_reset { Resets::HeldBack } else { Resets::Sent },
        folder: arguments.out.as_deref().filter(|out| *out != Path::new("-")).map(folder_of),
    };
    if arguments.dry_run {
        return dry_run(conduct, &question, profile.rate);
    }
    let mut out = Out::open(arguments.out.as_deref(), arguments.format).map_err(|cause| {
        let path = arguments.out.as_deref().unwrap_or(Path::new("-")).display().to_string();
        let said = [("path", path.into()), ("cause", cause.to_string().into())];
        Failure::in_part(conduct.say("cli-unwritable", &said))
    })?;
    let stop = stop_on_signals(conduct)?;
    let mut reporter = TerminalReporter::new(conduct, stop);
    let shows = |found: &Found| arguments.all || found.state != PortState::Closed;
    let mut shown = 0u64;
    let mut fault = None;
    let asked = question::ask(&question, &mut reporter, &mut |found| {
        if shows(found) && fault.is_none() {
            shown += 1;
            fault = out.put(found).err();
        }
    });
    reporter.finish();
    let (tally, end) = asked.map_err(|fault| fault_of_sweep(conduct, &fault))?;
    let fault = fault.or_else(|| out.finish().err());
    if let Some(cause) = fault.filter(|cause| cause.kind() != io::ErrorKind::BrokenPipe) {
        return Err(Failure::in_part(cause.to_string()));
    }
    Ok(tell(conduct, &question, &tally, shown, &end))
}

/// How often a silent question may be asked: beyond it a network loses more than a scan can mend.
const MOST_ROUNDS: u8 = 10;

/// What a method cannot ask is no target.
fn of_family(targets: &AddressSet, method: Method) -> AddressSet {
    let speaks = |prefix: &Prefix| match method {
        Method::Arp | Method::Icmp => prefix.is_ipv4(),
        Method::Ndp | Method::Icmpv6 => !prefix.is_ipv4(),
        Method::Tcp | Method::Udp => true,
    };
    targets.prefixes().into_iter().filter(speaks).collect()
}

fn ports(
    conduct: &Conduct,
    arguments: &ScanArguments,
    profile: &Profile,
) -> Result<Vec<u16>, Failure> {
    let (ranking, of_profile) = match arguments.method {
        Method::Tcp => (Ranking::Tcp, &profile.discovery.tcp_ports),
        Method::Udp => (Ranking::Udp, &profile.discovery.udp_ports),
        _ => return Ok(Vec::new()),
    };
    let Some(text) = &arguments.ports else { return Ok(of_profile.0.clone()) };
    let read = PortList::read(text, ranking).map_err(|fault| {
        let mend = conduct.say("profile-fault-ports-mend", &[]);
        Failure::usage(format!("--ports: {fault} → {mend}"))
    });
    read.map(|list| list.0)
}

/// Addresses and prefixes, one a line; what stands behind a `#` is a remark.
fn targets(conduct: &Conduct, path: &Path) -> Result<AddressSet, Failure> {
    let shown = path.display().to_string();
    let refuse = |row: usize, cause: String| {
        let arguments = [
            ("path", shown.clone().into()),
            ("row", row.into()),
            ("value", Foreign::new(&cause).terminal().into()),
        ];
        Failure::usage(conduct.say("cli-targets-refused", &arguments))
    };
    let unreadable = |cause: io::Error| {
        let arguments = [("path", shown.clone().into()), ("cause", cause.to_string().into())];
        Failure::usage(conduct.say("cli-targets-unreadable", &arguments))
    };
    let file: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path).map_err(unreadable)?)
    };
    let mut prefixes = Vec::new();
    let mut reader = BufReader::new(file.take(MOST_OCTETS + 1));
    let (mut line, mut row, mut read) = (String::new(), 0, 0u64);
    loop {
        line.clear();
        row += 1;
        read += match reader.read_line(&mut line) {
            Ok(0) => break,
            Ok(count) => count as u64,
            Err(cause) if cause.kind() == io::ErrorKind::InvalidData => {
                return Err(refuse(row, "UTF-8".to_owned()));
            }
            Err(cause) => return Err(unreadable(cause)),
        };
        if read > MOST_OCTETS {
            return Err(refuse(row, format!("> {MOST_OCTETS}")));
        }
        let text = line.split('#').next().unwrap_or_default().trim();
        if text.is_empty() {
            continue;
        }
        let prefix = text.parse::<IpAddr>().map(Prefix::host).or_else(|_| text.parse::<Prefix>());
        prefixes.push(prefix.map_err(|_| refuse(row, text.chars().take(64).collect()))?);
    }
    Ok(AddressSet::of(prefixes))
}

fn dry_run(conduct: &Conduct, question: &Question, rate: Rate) -> Result<Exit, Failure> {
    let targets = question.targets.minus(&question.rules.exclude).count();
    let questions = question.ports.len().max(1) as u128;
    let packets = question.shard.length(targets.saturating_mul(questions));
    let most = packets.saturating_mul(u128::from(question.rounds));
    let interfaces: Vec<_> = question.stations.iter().map(|s| s.interface.as_str()).collect();
    let io = interfaces.iter().map(|interface| match question.io {
        Some(io) => io.word(),
        None => link::fastest(interface).map_or("?", Io::word),
    });
    let io: Vec<_> = io.collect();
    for (key, value) in [
        ("cli-plan-vantages", interfaces.join(" ")),
        ("cli-plan-io", io.join(" ")),
        ("cli-plan-targets", targets.to_string()),
        ("cli-plan-questions", questions.to_string()),
        ("cli-plan-rounds", question.rounds.to_string()),
        ("cli-plan-shard", question.shard.to_string()),
        ("cli-plan-packets", format!("{packets}–{most}")),
        ("cli-plan-ceilings", shown_ceilings(rate)),
        ("cli-plan-seconds", format!("{:.0}", most as f64 / f64::from(rate.packets_per_second))),
    ] {
        conduct.put(format_args!("{}: {value}", conduct.say(key, &[])))?;
    }
    Ok(Exit::Done)
}

fn shown_ceilings(rate: Rate) -> String {
    let shown = |rate: u32| if rate == UNLIMITED { "max".to_owned() } else { format!("{rate}/s") };
    [rate.packets_per_second, rate.per_target, rate.per_prefix].map(shown).join(", ")
}

fn tell(conduct: &Conduct, question: &Question, tally: &Tally, shown: u64, end: &End) -> Exit {
    for (interface, io, why) in &tally.io {
        tracing::info!(interface, %io, "frames go by {io}");
        for why in why {
            conduct.tell(&conduct.say("sweep-notice-io-fallback", &[("what", why.clone().into())]));
        }
    }
    for (trouble, slowed) in &tally.slowed {
        let text = format!("{} × ≥ {}/s", slowed.times, slowed.lowest);
        let key = format!("sweep-notice-slowed-{}", trouble.word());
        conduct.tell(&conduct.say(&key, &[("what", text.into())]));
    }
    for (key, count) in [
        ("cli-scan-unresolved", tally.unresolved),
        ("cli-scan-sourceless", tally.sourceless),
        ("cli-scan-dropped", tally.dropped),
        ("cli-scan-refused", tally.refused.values().sum()),
    ] {
        if count > 0 {
            conduct.tell(&conduct.say(key, &[("count", count.into())]));
        }
    }
    let seconds = tally.took.as_secs_f64();
    let summary = [
        ("shown", shown.into()),
        ("answered", tally.answered.into()),
        ("asked", tally.asked.into()),
        ("sent", tally.sent.into()),
        ("caused", tally.caused.map_or_else(|| "?".to_owned(), |count| count.to_string()).into()),
        ("seconds", format!("{seconds:.2}").into()),
        ("rate", format!("{:.0}", tally.sent as f64 / seconds.max(1e-6)).into()),
    ];
    conduct.tell(&conduct.say("cli-scan-sum", &summary));
    match end {
        End::Complete if tally.asked == 0 && !question.targets.is_empty() => {
            conduct.complain(&Failure::in_part(conduct.say("cli-scan-nobody", &[])));
            Exit::InPart
        }
        End::Complete => Exit::Done,
        End::Interrupted => {
            conduct.tell(&conduct.say("cli-scan-interrupted", &[]));
            Exit::Interrupted
        }
        End::Silent { seconds, hosts } => {
            let arguments = [("seconds", (*seconds).into()), ("hosts", (*hosts).into())];
            conduct.complain(&Failure::in_part(conduct.say("cli-silent", &arguments)));
            Exit::InPart
        }
        End::Failed(why) => {
            let said = conduct.say("cli-sweep-ended-early", &[("why", why.clone().into())]);
            conduct.complain(&Failure::in_part(said));
            Exit::InPart
        }
    }
}

fn folder_of(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_owned()
}

/// Where answers go, a line each. A file appears whole at the end, or not at all.
struct Out {
    to: To,
    format: ScanFormat,
    /// Somebody looks on: lines are shown as they come.
    watched: bool,
}

enum To {
    Stdout(BufWriter<io::Stdout>),
    File(BufWriter<tempfile::NamedTempFile>, PathBuf),
}

impl Out {
    fn open(path: Option<&Path>, format: ScanFormat) -> io::Result<Out> {
        let to = match path.filter(|path| *path != Path::new("-")) {
            None => To::Stdout(BufWriter::with_capacity(1 << 16, io::stdout())),
            Some(path) => {
                let file = tempfile::NamedTempFile::new_in(folder_of(path))?;
                link::privilege::give_to_owner(file.as_file())?;
                To::File(BufWriter::with_capacity(1 << 16, file), path.to_owned())
            }
        };
        let watched = matches!(to, To::Stdout(_)) && io::stdout().is_terminal();
        let mut out = Out { to, format, watched };
        if format == ScanFormat::Csv {
            out.line(format_args!("ip,port,state,mac,hop_limit"))?;
        }
        Ok(out)
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) -> io::Result<()> {
        match &mut self.to {
            To::Stdout(stdout) => {
                stdout.write_fmt(line)?;
                stdout.write_all(b"\n")?;
                if self.watched { stdout.flush() } else { Ok(()) }
            }
            To::File(file, _) => {
                file.write_fmt(line)?;
                file.write_all(b"\n")
            }
        }
    }

    fn put(&mut self, found: &Found) -> io::Result<()> {
        let Found { ip, port, state, mac, hop_limit } = found;
        let state = state.word();
        match (self.format, port) {
            (ScanFormat::Text, None) => self.line(format_args!("{ip}")),
            (ScanFormat::Text, Some(port)) => self.line(format_args!("{ip} {}", port.number)),
            (ScanFormat::Csv, None) => self.line(format_args!("{ip},,{state},{mac},{hop_limit}")),
            (ScanFormat::Csv, Some(port)) => {
                self.line(format_args!("{ip},{port},{state},{mac},{hop_limit}"))
            }
            (ScanFormat::Json, port) => {
                // Addresses, ports and MACs hold nothing that JSON would have to escape.
                let port = port.map_or_else(|| "null".to_owned(), |port| format!("\"{port}\""));
                self.line(format_args!(
                    "{{\"ip\":\"{ip}\",\"port\":{port},\"state\":\"{state}\",\"mac\":\"{mac}\",\"hop_limit\":{hop_limit}}}"
                ))
            }
        }
    }

    fn finish(self) -> io::Result<()> {
        match self.to {
            To::Stdout(mut stdout) => stdout.flush(),
            To::File(file, path) => {
                let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
                file.persist(&path).map(|_| ()).map_err(|fault| fault.error)
            }
        }
    }
}
