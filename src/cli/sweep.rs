//! `jiebei sweep`: from the command line to a result in its folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::args::{OutputFormat, RateArgument, SweepArguments};
use super::progress::{TerminalReporter, pass_name, stop_on_signals};
use super::{Conduct, Exit, Failure, profile as profiles, registry as registries, summary};
use crate::audit::Regulation;
use crate::egress::token::EgressKey;
use crate::egress::witness::access::Access;
use crate::egress::witness::certificate::{self, Identity};
use crate::inventory::Context;
use crate::link::{LinkError, privilege};
use crate::net::{AddressSet, Prefix};
use crate::observe::{Log, VantageId};
use crate::registry::{self, Loaded, Registry};
use crate::result::evidence::{EvidencePlan, Frames};
use crate::result::v1;
use crate::scan::Shard;
use crate::sweep::plan::Plan;
use crate::sweep::profile::{PortList, Profile, Ranking, Secret, SecretRef};
use crate::sweep::record::{Record, RecordError};
use crate::sweep::share::Part;
use crate::sweep::{
    self, Case, EgressOrders, End, Forbidden, Machine, Orders, SweepError, Swept, checkpoint, lock,
    vantage,
};

pub fn run(conduct: &Conduct, arguments: SweepArguments) -> Result<Exit, Failure> {
    if let Some(path) = arguments.replay.clone() {
        return replay(conduct, &arguments, &path);
    }
    let profile = profile(conduct, &arguments)?;
    let loaded = arguments.registry.as_deref().map(|source| registries::load(conduct, source));
    let loaded = loaded.transpose()?;
    let trust = profiles::trusted(conduct, arguments.trust.as_deref())?;
    let signature = profiles::signature_state(conduct, &profile, arguments.trust.as_deref())?;
    let regulation = regulation(conduct, &profile.audit.regulation)?;
    let scope: AddressSet = profile.authorisation.scope.iter().copied().collect();
    let mut stations = if scope.is_empty() {
        Vec::new()
    } else {
        vantage::stations(&arguments.interface, &scope)
            .map_err(|fault| Failure::usage(fault_of_vantage(conduct, &fault)))?
    };
    let registry = loaded.as_ref().map(|loaded| Arc::new(loaded.registry.clone()));
    let started_at = Timestamp::now();
    let mut orders = Orders {
        signature,
        stations: Vec::new(),
        registry_source: loaded.as_ref().map(source_of),
        unit: arguments.unit.clone(),
        io: arguments.io,
        part: part(conduct, arguments.shard, arguments.seed.as_deref())?,
        out: out_folder(&arguments, started_at),
        record: arguments.record.clone(),
        resume: arguments.resume,
        scope_is_targets: loaded.is_none(),
        notices: loaded.as_ref().map(|l| warnings(conduct, l)).unwrap_or_default(),
        registry,
        egress: egress_orders(conduct, &profile)?,
        snmp: communities(conduct, &profile)?,
        profile,
    };
    check_unit(conduct, &orders)?;
    vantage::prefer_registered(&mut stations, &orders.registered_gateways());
    orders.stations = stations;
    let machine = if trust.is_some() { Machine::Trusts } else { Machine::HasNoTrustFile };
    orders
        .may_begin(started_at, machine)
        .map_err(|forbidden| Failure::usage(fault_of_orders(conduct, &forbidden)))?;
    if arguments.dry_run {
        return dry_run(conduct, &orders, arguments.format);
    }
    let stop = stop_on_signals(conduct)?;
    let head = sweep::head(&orders, started_at, conduct.texts.language());
    if !privilege::has_net_raw() {
        conduct.tell(&conduct.say("cli-unprivileged", &[]));
        let mut reporter = TerminalReporter::new(conduct, stop);
        let swept = sweep::unprivileged(&orders, head, &mut reporter);
        reporter.finish();
        let swept = swept.map_err(|fault| Failure::in_part(fault.to_string()))?;
        return finish(conduct, &arguments, &orders, &regulation, swept);
    }
    let registry_json = orders.record.is_some().then(|| loaded.as_ref().map(as_json)).flatten();
    let mut reporter = TerminalReporter::new(conduct, stop);
    let swept = sweep::sweep(&orders, head, registry_json.flatten(), &mut reporter);
    reporter.finish();
    let swept = swept.map_err(|fault| fault_of_sweep(conduct, &fault))?;
    finish(conduct, &arguments, &orders, &regulation, swept)
}

/// The egress key and what else is secret, read while it may be.
fn egress_orders(conduct: &Conduct, profile: &Profile) -> Result<EgressOrders, Failure> {
    let refuse = |what: &str, reference: &SecretRef, cause: String| {
        let place = format!("{what} = {reference}");
        let arguments = [("where", place.into()), ("cause", cause.into())];
        Failure::usage(conduct.say("cli-egress-secret", &arguments))
    };
    let text = |what: &str, reference: &SecretRef| {
        let secret =
            reference.resolve().map_err(|fault| refuse(what, reference, fault.to_string()))?;
        Ok::<_, Failure>(String::from_utf8_lossy(secret.reveal()).into_owned())
    };
    let mut orders = EgressOrders::default();
    if let Some(reference) = &profile.egress.key {
        let key = EgressKey::from_hex(&text("egress.key", reference)?)
            .map_err(|fault| refuse("egress.key", reference, fault.to_string()))?;
        orders.key = Some(key);
    }
    if let Some(collector) = &profile.egress.collector {
        let mut access = Access {
            token: None,
            pin: collector.pin,
            identity: None,
            authorities: Vec::new(),
            server: collector.address.ip().to_string(),
        };
        if let Some(reference) = &collector.token {
            access.token = Some(text("egress.collector.token", reference)?.trim().to_owned());
        }
        if let Some(reference) = &collector.identity {
            let what = "egress.collector.identity";
            let pem = text(what, reference)?;
            let identity = Identity::read(&pem, &pem)
                .map_err(|fault| refuse(what, reference, fault.to_string()))?;
            access.identity = Some(identity);
        }
        if let Some(reference) = &collector.authority {
            let what = "egress.collector.authority";
            access.authorities = certificate::authorities(&text(what, reference)?)
                .map_err(|fault| refuse(what, reference, fault.to_string()))?;
        }
        orders.access = Some(Arc::new(access));
    }
    Ok(orders)
}

/// The communities of version 2c that the profile names. Version 3 and version 1 are not spoken yet.
fn communities(conduct: &Conduct, profile: &Profile) -> Result<Vec<Secret>, Failure> {
    let credentials = profile.services.snmp.iter().filter(|credential| credential.version == "2c");
    credentials
        .filter_map(|credential| credential.community.as_ref())
        .map(|reference| {
            reference.resolve().map_err(|fault| {
                let place = format!("services.snmp = {reference}");
                let arguments = [("where", place.into()), ("cause", fault.to_string().into())];
                Failure::usage(conduct.say("cli-snmp-secret", &arguments))
            })
        })
        .collect()
}

/// The registry as one JSON text, for the record.
fn as_json(loaded: &Loaded) -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().ok()?;
    let path = folder.path().join("registry.json");
    registry::convert(loaded, &path).ok()?;
    std::fs::read(&path).ok()
}

/// The part of the scope that this sweep asks; a shard says nothing without a seed that all of them share.
fn part(
    conduct: &Conduct,
    shard: Option<Shard>,
    seed: Option<&str>,
) -> Result<Option<Part>, Failure> {
    match (shard, seed) {
        (None | Some(Shard::WHOLE), _) => Ok(None),
        (Some(_), None) => Err(Failure::usage(conduct.say("cli-shard-without-seed", &[]))),
        (Some(shard), Some(seed)) => Ok(Some(Part { shard, seed: seed.to_owned() })),
    }
}

/// A profile with the flags that `sweep` and `scan` have in common.
pub fn adjusted(
    conduct: &Conduct,
    name: Option<&str>,
    scope: &[Prefix],
    exclude: &[Prefix],
    rate: Option<u32>,
    per_target: Option<u32>,
    per_prefix: Option<u32>,
) -> Result<Profile, Failure> {
    let mut profile = match name {
        Some(name) => profiles::load(conduct, name)?,
        None => profiles::gentle(),
    };
    if !scope.is_empty() {
        profile.authorisation.scope = scope.to_vec();
        // What was signed was another scope.
        profile.authorisation.signature = None;
    }
    if !exclude.is_empty() {
        profile.authorisation.exclude.extend(exclude);
        profile.authorisation.signature = None;
    }
    if let Some(rate) = rate {
        profile.rate.packets_per_second = rate;
    }
    if let Some(rate) = per_target {
        profile.rate.per_target = rate;
    }
    if let Some(rate) = per_prefix {
        profile.rate.per_prefix = rate;
    }
    Ok(profile)
}

/// Who asks for no ceiling in a lab wants none for prefixes either, unless one is named.
pub fn per_prefix(rate: Option<RateArgument>, named: Option<RateArgument>) -> Option<u32> {
    named.or(rate.filter(|rate| *rate == RateArgument::Max)).map(RateArgument::number)
}

fn profile(conduct: &Conduct, arguments: &SweepArguments) -> Result<Profile, Failure> {
    let mut profile = adjusted(
        conduct,
        arguments.profile.as_deref(),
        &arguments.scope,
        &arguments.exclude,
        arguments.rate.map(RateArgument::number),
        arguments.per_target.map(RateArgument::number),
        per_prefix(arguments.rate, arguments.per_prefix),
    )?;
    let ports = |flag: &str, text: &str, ranking| {
        PortList::read(text, ranking).map_err(|fault| {
            let what = format!("{flag}: {fault}");
            let mend = conduct.say("profile-fault-ports-mend", &[]);
            Failure::usage(format!("{what} → {mend}"))
        })
    };
    if let Some(text) = &arguments.tcp_ports {
        profile.discovery.tcp_ports = ports("--tcp-ports", text, Ranking::Tcp)?;
    }
    if let Some(text) = &arguments.udp_ports {
        profile.discovery.udp_ports = ports("--udp-ports", text, Ranking::Udp)?;
    }
    if let Some(seconds) = arguments.listen {
        profile.passive.seconds = seconds;
    }
    Ok(profile)
}

/// A regulation by its built-in name or the path of its file.
pub fn regulation(conduct: &Conduct, name: &str) -> Result<Regulation, Failure> {
    if let Some(regulation) = Regulation::built_in(name) {
        return Ok(regulation);
    }
    let refuse = |cause: String| {
        let arguments = [("name", name.to_owned().into()), ("cause", cause.into())];
        Failure::usage(conduct.say("cli-regulation-refused", &arguments))
    };
    /// A regulation's data file has some tens of kilobytes.
    const MOST: u64 = 4 << 20;
    let length = std::fs::metadata(name).map_err(|cause| refuse(cause.to_string()))?.len();
    if length > MOST {
        return Err(refuse(format!("{length} > {MOST}")));
    }
    let text = std::fs::read_to_string(name).map_err(|cause| refuse(cause.to_string()))?;
    Regulation::read(name, &text).map_err(|fault| refuse(fault.to_string()))
}

pub fn source_of(loaded: &Loaded) -> v1::RegistrySource {
    v1::RegistrySource { source: loaded.source.clone(), sha256: loaded.sha256.clone() }
}

/// The registry's warnings, kept in the result.
pub fn warnings(conduct: &Conduct, loaded: &Loaded) -> Vec<v1::SweepNotice> {
    /// A registry of a hundred thousand expired rows is told as such, not line by line.
    const MOST: usize = 500;
    let mut notices: Vec<_> = loaded
        .warnings
        .iter()
        .take(MOST)
        .map(|fault| v1::SweepNotice {
            code: format!("registry-{}", fault.kind.word()),
            text: fault.sentence(&conduct.texts),
        })
        .collect();
    let more = loaded.warnings.len().saturating_sub(MOST);
    if more > 0 {
        notices.push(v1::SweepNotice {
            code: "registry-more-warnings".into(),
            text: conduct.say("cli-summary-more", &[("count", more.into())]),
        });
    }
    notices
}

fn check_unit(conduct: &Conduct, orders: &Orders) -> Result<(), Failure> {
    let (Some(unit), Some(registry)) = (&orders.unit, &orders.registry) else { return Ok(()) };
    if registry.units.iter().any(|known| known.unit == *unit) {
        return Ok(());
    }
    let shown = crate::observe::Foreign::new(unit).terminal();
    Err(Failure::usage(conduct.say("cli-unknown-unit", &[("unit", shown.into())])))
}

fn out_folder(arguments: &SweepArguments, started_at: Timestamp) -> PathBuf {
    arguments.out.clone().filter(|out| out != Path::new("-")).unwrap_or_else(|| {
        let local = started_at.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(8)));
        PathBuf::from(format!("jiebei-{}", local.strftime("%Y%m%d-%H%M%S")))
    })
}

fn destination<'a>(arguments: &SweepArguments, out: &'a Path) -> Destination<'a> {
    let to_stdout = arguments.out.as_deref() == Some(Path::new("-"));
    let format = arguments.format.or(to_stdout.then_some(OutputFormat::Json));
    Destination { format, fail_on: arguments.fail_on, out }
}

fn dry_run(
    conduct: &Conduct,
    orders: &Orders,
    format: Option<OutputFormat>,
) -> Result<Exit, Failure> {
    let plan = Plan::of(orders);
    if format == Some(OutputFormat::Json) {
        let text = serde_json::to_string_pretty(&plan)
            .map_err(|fault| Failure::in_part(fault.to_string()))?;
        conduct.put(text)?;
        return Ok(Exit::Done);
    }
    let list = |items: &[String]| {
        if items.is_empty() { "—".to_owned() } else { items.join(" ") }
    };
    for (key, value) in [
        ("cli-plan-profile", plan.profile.clone()),
        ("cli-plan-scope", list(&plan.scope)),
        ("cli-plan-exclude", list(&plan.exclude)),
        ("cli-plan-observe-only", list(&plan.observe_only)),
        ("cli-plan-risk", plan.risk.to_string()),
        ("cli-plan-vantages", list(&plan.vantages)),
        (
            "cli-plan-io",
            list(&plan.io.iter().map(|io| io.unwrap_or("?").to_owned()).collect::<Vec<_>>()),
        ),
        (
            "cli-plan-ceilings",
            format!("{}/s, {}/s, {}/s", plan.packets_per_second, plan.per_target, plan.per_prefix),
        ),
        ("cli-plan-unreachable", list(&plan.unreachable)),
    ] {
        conduct.put(format_args!("{}: {value}", conduct.say(key, &[])))?;
    }
    let table = |columns: &[&str]| {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED);
        let columns = columns.iter().map(|column| conduct.say(&format!("cli-plan-{column}"), &[]));
        table.set_header(columns);
        table
    };
    let mut asked = table(&["prefix", "interface", "via", "how", "targets", "excluded"]);
    for area in &plan.areas {
        asked.add_row([
            area.prefix.clone(),
            area.interface.clone(),
            area.via.clone().unwrap_or_else(|| conduct.say("cli-plan-on-link", &[])),
            conduct.say(&format!("cli-plan-{}", area.how), &[]),
            area.targets.map_or_else(|| "—".to_owned(), |targets| targets.to_string()),
            area.excluded.to_string(),
        ]);
    }
    if !plan.areas.is_empty() {
        conduct.put(asked)?;
    }
    let mut proposed = table(&["prefix", "source", "candidates"]);
    for area in &plan.areas {
        for of in &area.candidates {
            let source = conduct.say(&format!("candidates-{}", of.source), &[]);
            proposed.add_row([area.prefix.clone(), source, of.asked.to_string()]);
        }
    }
    if plan.areas.iter().any(|area| !area.candidates.is_empty()) {
        conduct.put(proposed)?;
    }
    let mut table =
        table(&["pass", "interface", "targets", "questions", "rounds", "packets", "wait"]);
    for step in &plan.steps {
        let bound = if step.bound { "≤ " } else { "" };
        table.add_row([
            pass_name(conduct, step.pass),
            step.interface.clone(),
            format!("{bound}{}", step.targets),
            step.questions.to_string(),
            step.rounds.to_string(),
            format!("{bound}{}", step.packets),
            format!("{:.1} s", step.wait),
        ]);
    }
    conduct.put(table)?;
    let sum = [
        ("packets", plan.packets.to_string().into()),
        ("seconds", format!("{:.0}", plan.seconds_at_ceiling).into()),
        ("wait", format!("{:.0}", plan.longest_wait).into()),
    ];
    conduct.put(conduct.say("cli-plan-sum", &sum))?;
    Ok(Exit::Done)
}

/// Judges what was swept, writes the folder, and tells.
fn finish(
    conduct: &Conduct,
    arguments: &SweepArguments,
    orders: &Orders,
    regulation: &Regulation,
    swept: Swept,
) -> Result<Exit, Failure> {
    let outcome = conclude(
        conduct,
        swept,
        orders.registry.clone(),
        regulation,
        orders.profile.audit.severity.clone(),
        &orders.out,
    )?;
    if !outcome.end.can_be_resumed() {
        checkpoint::remove(&orders.out);
    }
    tell(conduct, &destination(arguments, &orders.out), &outcome)
}

/// A result and how its sweep ended.
pub struct Outcome {
    pub result: v1::SweepResult,
    pub end: End,
}

/// What is judged: a sweep, a replay, a listening, or a stored result.
pub struct Judged<'a> {
    pub vantages: Vec<crate::inventory::Vantage>,
    pub head: v1::Sweep,
    pub log: &'a Log,
    pub why_not: BTreeMap<(Prefix, VantageId), String>,
    pub end: End,
}

/// Judges what was swept or heard, and writes the folder.
pub fn conclude(
    conduct: &Conduct,
    swept: Swept,
    registry: Option<Arc<Registry>>,
    regulation: &Regulation,
    severity: BTreeMap<String, v1::Severity>,
    out: &Path,
) -> Result<Outcome, Failure> {
    let why_not = swept.why_not.iter();
    let judged = Judged {
        vantages: swept.vantages,
        head: swept.head,
        log: &swept.log,
        why_not: why_not.map(|(place, why)| (*place, conduct.say(why.key(), &[]))).collect(),
        end: swept.end,
    };
    let mut tape = lock(&swept.tape);
    conclude_with(conduct, judged, registry, regulation, severity, &mut tape.spool, out)
}

/// The same, with the frames from wherever they are.
pub fn conclude_with(
    conduct: &Conduct,
    judged: Judged<'_>,
    registry: Option<Arc<Registry>>,
    regulation: &Regulation,
    severity: BTreeMap<String, v1::Severity>,
    frames: &mut dyn Frames,
    out: &Path,
) -> Result<Outcome, Failure> {
    let (log, end) = (judged.log, judged.end.clone());
    let (mut result, plan) = judge_with(conduct, judged, registry, regulation, severity, frames);
    put(conduct, &mut result, &plan, frames, log, out)?;
    Ok(Outcome { result, end })
}

/// Writes the folder of what was judged.
pub fn put(
    conduct: &Conduct,
    result: &mut v1::SweepResult,
    plan: &EvidencePlan,
    frames: &mut dyn Frames,
    log: &Log,
    out: &Path,
) -> Result<(), Failure> {
    sweep::put(out, result, plan, frames, log, &conduct.texts).map_err(|cause| {
        let path = out.display().to_string();
        let arguments = [("path", path.into()), ("cause", cause.to_string().into())];
        Failure::in_part(conduct.say("cli-unwritable", &arguments))
    })
}

/// Judges, and writes nothing.
pub fn judge_with(
    conduct: &Conduct,
    mut judged: Judged<'_>,
    registry: Option<Arc<Registry>>,
    regulation: &Regulation,
    severity: BTreeMap<String, v1::Severity>,
    frames: &mut dyn Frames,
) -> (v1::SweepResult, EvidencePlan) {
    for notice in &mut judged.head.notices {
        let key = format!("sweep-notice-{}", notice.code);
        let arguments = [("what", notice.text.clone().into())];
        if let Some(text) = conduct.texts.find(&key, &arguments) {
            notice.text = text;
        }
    }
    let started_at: Timestamp = judged.head.started_at.parse().unwrap_or_default();
    let prefixes = |texts: &[String]| -> AddressSet {
        texts.iter().filter_map(|text| text.parse::<Prefix>().ok()).collect()
    };
    let segments = registry.iter().flat_map(|registry| &registry.segments);
    let context = Context {
        vantages: judged.vantages,
        segments: segments.map(|segment| segment.prefix).collect(),
        scope: prefixes(&judged.head.authorisation.scope),
    };
    let case = Case {
        day: sweep::day_of(started_at),
        unit: judged.head.unit.clone().filter(|_| judged.head.unit_given),
        exclude: prefixes(&judged.head.authorisation.exclude),
        sweep: judged.head,
        log: judged.log,
        context,
        registry,
        regulation,
        severity,
        why_not: judged.why_not,
        texts: &conduct.texts,
    };
    sweep::judge(case, frames)
}

/// Where a result goes beside its folder, and what makes it a failure.
pub struct Destination<'a> {
    pub format: Option<OutputFormat>,
    pub fail_on: Option<super::args::Grade>,
    pub out: &'a Path,
}

/// The table, where the report is, and the exit code.
pub fn tell(
    conduct: &Conduct,
    destination: &Destination<'_>,
    outcome: &Outcome,
) -> Result<Exit, Failure> {
    if destination.format == Some(OutputFormat::Json) {
        print_result(&outcome.result)?;
    }
    conduct.tell(&summary::table(conduct, &outcome.result));
    let report = destination.out.join(crate::result::names::REPORT).display().to_string();
    conduct.tell(&conduct.say("cli-report-is", &[("path", report.into())]));
    match &outcome.end {
        End::Failed(why) if !why.is_empty() => {
            // Who only listened has nothing to go on with.
            let key = match outcome.result.sweep.packets_sent {
                0 => "cli-ended-early",
                _ => "cli-sweep-ended-early",
            };
            let said = conduct.say(key, &[("why", why.clone().into())]);
            conduct.complain(&Failure::in_part(said));
        }
        End::Interrupted => conduct.tell(&conduct.say("cli-interrupted", &[])),
        End::Silent { seconds, hosts } => {
            let arguments = [("seconds", (*seconds).into()), ("hosts", (*hosts).into())];
            conduct.complain(&Failure::in_part(conduct.say("cli-silent", &arguments)));
        }
        End::Complete | End::Failed(_) => {}
    }
    Ok(summary::exit(&outcome.result, &outcome.end, destination.fail_on.map(Into::into)))
}

/// The result on stdout; who closed the pipe has read enough.
pub fn print_result(result: &v1::SweepResult) -> Result<(), Failure> {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    let written = crate::result::write_to(result, &mut stdout).and_then(|()| stdout.flush());
    match written {
        Err(fault) if fault.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::in_part(fault.to_string()))
        }
        _ => Ok(()),
    }
}

fn replay(conduct: &Conduct, arguments: &SweepArguments, path: &Path) -> Result<Exit, Failure> {
    let refuse = |fault: RecordError| {
        Failure::usage(conduct.say("cli-record-refused", &[("cause", fault.to_string().into())]))
    };
    let record = Record::open(path).map_err(refuse)?;
    let registry = match (&arguments.registry, &record.registry, &record.head.sweep.registry) {
        (Some(source), ..) => Some(registries::load(conduct, source)?),
        (None, Some(kept), _) => Some(kept_registry(conduct, kept)?),
        (None, None, Some(source)) => Some(registries::load(conduct, &source.source)?),
        (None, None, None) => None,
    };
    let mut swept = sweep::replay(&record).map_err(refuse)?;
    if let (Some(loaded), Some(_)) = (&registry, &arguments.registry) {
        swept.head.registry = Some(source_of(loaded));
    }
    if let Some(unit) = &arguments.unit {
        swept.head.unit = Some(unit.clone());
        swept.head.unit_given = true;
    }
    swept.head.language = conduct.texts.language().word().to_owned();
    let name = swept.head.regulation.clone().unwrap_or_default();
    let regulation = regulation(conduct, &name)?;
    let started_at: Timestamp = swept.head.started_at.parse().unwrap_or_default();
    let out = out_folder(arguments, started_at);
    let registry = registry.map(|loaded| Arc::new(loaded.registry));
    let severity = record.head.severity.clone();
    let outcome = conclude(conduct, swept, registry, &regulation, severity, &out)?;
    tell(conduct, &destination(arguments, &out), &outcome)
}

/// The registry that a record keeps, read as any other JSON registry is.
fn kept_registry(conduct: &Conduct, kept: &[u8]) -> Result<Loaded, Failure> {
    let unwritable = |cause: std::io::Error| Failure::in_part(cause.to_string());
    let folder = tempfile::tempdir().map_err(unwritable)?;
    let path = folder.path().join("registry.json");
    std::fs::write(&path, kept).map_err(unwritable)?;
    registries::load(conduct, &path.display().to_string())
}

pub fn fault_of_vantage(conduct: &Conduct, fault: &vantage::VantageError) -> String {
    use vantage::VantageError as Fault;
    match fault {
        Fault::Netlink(cause) => cause.to_string(),
        Fault::Unknown { name, known } => {
            let shown = crate::observe::Foreign::new(name).terminal();
            let arguments = [("name", shown.into()), ("known", known.clone().into())];
            conduct.say("cli-interface-unknown", &arguments)
        }
        Fault::Down(name) => conduct.say("cli-interface-down", &[("name", name.clone().into())]),
        Fault::NotEthernet(name) => {
            conduct.say("cli-interface-not-ethernet", &[("name", name.clone().into())])
        }
        Fault::NoneInScope => conduct.say("cli-interface-none", &[]),
    }
}

pub fn fault_of_orders(conduct: &Conduct, forbidden: &Forbidden) -> String {
    let shown = |at: &Timestamp| {
        at.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(8)))
            .strftime("%Y-%m-%d %H:%M:%S +08:00")
            .to_string()
    };
    match forbidden {
        Forbidden::NoScope => conduct.say("cli-no-scope", &[]),
        Forbidden::NotYet { from } => conduct.say("cli-not-yet", &[("from", shown(from).into())]),
        Forbidden::Over { until } => conduct.say("cli-over", &[("until", shown(until).into())]),
        Forbidden::Unsigned => conduct.say("cli-unsigned", &[]),
        Forbidden::BadSignature => conduct.say("sweep-signature-invalid", &[]),
    }
}

pub fn fault_of_sweep(conduct: &Conduct, fault: &SweepError) -> Failure {
    match fault {
        SweepError::Resume(fault) => Failure::usage(
            conduct.say("cli-resume-refused", &[("cause", fault.to_string().into())]),
        ),
        SweepError::Link(LinkError::Denied { .. }) => {
            Failure::in_part(conduct.say("cli-denied", &[]))
        }
        fault => Failure::in_part(fault.to_string()),
    }
}
