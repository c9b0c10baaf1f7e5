//! `jiebei watch` on links: what was heard is judged every few seconds, findings are told as they appear, and at each interval a
//! result is written.
//!
//! Frames are read by a thread of their own ([`Vigil`]), so judging holds nothing up; it leaves that thread a core, where there are two.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;

use super::args::{OutputFormat, WatchArguments, WatchFormat};
use super::manager::Manager;
use super::progress::stop_on_signals;
use super::sweep::{
    Destination, Judged, Outcome, fault_of_sweep, judge_with, put, source_of, tell, warnings,
};
use super::{Conduct, Exit, Failure, registry as registries};
use crate::audit::Regulation;
use crate::link::{self, Filter};
use crate::net::Prefix;
use crate::observe::{Foreign, VantageId};
use crate::registry::{Loaded, Registry};
use crate::result::evidence::{EvidencePlan, Frames, NoFrames};
use crate::result::v1::{self, Finding, Severity, Status};
use crate::sweep::vantage::Station;
use crate::sweep::{self, Counters, Cut, End, Handed, Remembered, Vigil, Watching, WhyNot};

/// Between two results, where nothing else is said. A guess: what a killed process may cost.
const INTERVAL: Duration = Duration::from_secs(600);
/// How long is remembered, where nothing else is said: every station of a network shows itself within a day.
const WINDOW: Duration = Duration::from_secs(24 * 3600);
/// How late a signal is noticed.
const TICK: Duration = Duration::from_millis(100);
/// Judging takes no more than one part of so many of a core's time.
const SHARE: u32 = 5;
/// Between two status lines for a terminal, and for the service manager.
const SHOWN: Duration = Duration::from_secs(1);
const REPORTED: Duration = Duration::from_secs(10);
/// Who judges for longer than this does nothing any more: then the watchdog is told nothing. Writing a result of 100,000 devices takes
/// seconds; a guess.
const STUCK: Duration = Duration::from_secs(900);

/// By what is judged, whatever is heard.
pub struct Rules {
    pub regulation: Regulation,
    pub severity: BTreeMap<String, Severity>,
}

/// Whether a judgement points at packets: those of news are still with the thread that listens.
#[derive(Clone, Copy)]
enum Packets {
    Shown,
    LeftOut,
}

/// Whether the thread that judges still does.
#[derive(Default)]
struct Pulse {
    turns: AtomicU64,
}

/// Sets a flag when it goes, however it goes: the listening thread must end with the judging one.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub fn run(
    conduct: &Conduct,
    arguments: &WatchArguments,
    loaded: Option<Loaded>,
    rules: &Rules,
    filter: Filter,
    stations: &[Station],
    out: &Path,
) -> Result<Exit, Failure> {
    let until = arguments.seconds.map(|seconds| Duration::from_secs(u64::from(seconds)));
    let interval = arguments.interval.unwrap_or(INTERVAL);
    // Who says how long to listen wants all of it.
    let window = arguments.window.unwrap_or(WINDOW.max(until.unwrap_or_default()).max(interval));
    if window < interval {
        return Err(Failure::usage(conduct.say("cli-watch-window", &[])));
    }
    let of_manager = |cause: std::io::Error| {
        let arguments = [("cause", cause.to_string().into())];
        Failure::in_part(conduct.say("cli-watch-manager", &arguments))
    };
    let manager = Manager::from_environment().map_err(of_manager)?;
    let mut watchdog = manager.watchdog().map_err(of_manager)?;
    let stop = stop_on_signals(conduct)?;
    let hang_up = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGHUP, Arc::clone(&hang_up)).map_err(
        |cause| {
            let arguments = [("cause", cause.to_string().into())];
            Failure::in_part(conduct.say("cli-signals", &arguments))
        },
    )?;
    let hears_all = filter == Filter::Everything;
    let opened = Vigil::open(stations, arguments.io, filter, out);
    let remembered = opened.and_then(|vigil| {
        let cause = |cause| sweep::SweepError::Io { path: "spool".into(), cause };
        Ok((vigil, Remembered::new(window).map_err(cause)?))
    });
    let (vigil, remembered) = remembered.map_err(|fault| {
        // Removes only what is empty: the folder that was made for this result.
        let _ = std::fs::remove_dir(out);
        fault_of_sweep(conduct, &fault)
    })?;
    let counters = Counters::default();
    let pulse = Pulse::default();
    let mut keeper = Keeper {
        conduct,
        arguments,
        rules,
        stations,
        out,
        vantages: vigil.vantages(),
        source: loaded.as_ref().map(source_of),
        warnings: loaded.as_ref().map(|loaded| warnings(conduct, loaded)).unwrap_or_default(),
        registry: loaded.map(|loaded| Arc::new(loaded.registry)),
        remembered,
        began: Timestamp::now(),
        hears_all,
        dropped: Vec::new(),
        fault: None,
        counters: &counters,
        manager: &manager,
        bar: bar(conduct, stations),
        open: BTreeMap::new(),
        devices: 0,
        news: true,
        judged: None,
        shown: (Instant::now(), 0),
        reported: Instant::now(),
        rate: 0.0,
    };
    // Threads that are made now have no rights any more, as those have that were made before.
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let judges = rayon::ThreadPoolBuilder::new().num_threads(cores.saturating_sub(1).max(1));
    let judges = judges
        .start_handler(|_| link::give_way())
        .build()
        .map_err(|fault| Failure::in_part(fault.to_string()))?;
    let (to, from) = sync_channel(1);
    let outcome = thread::scope(|scope| {
        let _stops = Stops(&stop);
        let (stop, counters, pulse, hang_up) = (&*stop, &counters, &pulse, &*hang_up);
        scope.spawn(move || {
            let watching = Watching { stop, until, interval, counters };
            let (mut turns, mut turned) = (0, Instant::now());
            vigil.listen(&watching, &to, &mut || {
                let now = pulse.turns.load(Ordering::Relaxed);
                if now != turns {
                    (turns, turned) = (now, Instant::now());
                }
                if turned.elapsed() < STUCK {
                    watchdog.alive();
                }
            });
        });
        let keeper = &mut keeper;
        judges.install(move || keeper.keep(from, stop, hang_up, pulse))
    })?;
    let format = (arguments.format == Some(WatchFormat::Json)).then_some(OutputFormat::Json);
    tell(conduct, &Destination { format, fail_on: arguments.fail_on, out }, &outcome)
}

fn bar(conduct: &Conduct, stations: &[Station]) -> ProgressBar {
    let target = if conduct.draws_progress() {
        ProgressDrawTarget::stderr_with_hz(2)
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(None, target);
    if let Ok(style) = ProgressStyle::with_template("{prefix} {msg}") {
        bar.set_style(style);
    }
    let names: Vec<_> = stations.iter().map(|station| station.interface.as_str()).collect();
    bar.set_prefix(format!(
        "{} {}",
        super::progress::pass_name(conduct, "listen"),
        names.join(" ")
    ));
    bar
}

struct Keeper<'a> {
    conduct: &'a Conduct,
    arguments: &'a WatchArguments,
    rules: &'a Rules,
    stations: &'a [Station],
    out: &'a Path,
    vantages: Vec<crate::inventory::Vantage>,
    registry: Option<Arc<Registry>>,
    source: Option<v1::RegistrySource>,
    warnings: Vec<v1::SweepNotice>,
    remembered: Remembered,
    began: Timestamp,
    hears_all: bool,
    dropped: Vec<(String, u64)>,
    fault: Option<String>,
    counters: &'a Counters,
    manager: &'a Manager,
    bar: ProgressBar,
    /// Findings that were told and stand, by id; without their evidence.
    open: BTreeMap<String, Finding>,
    devices: usize,
    /// Whether something was heard since the last judging.
    news: bool,
    /// When it was judged last, and how long that took.
    judged: Option<(Instant, Duration)>,
    shown: (Instant, u64),
    reported: Instant,
    rate: f64,
}

impl Keeper<'_> {
    fn keep(
        &mut self,
        from: Receiver<Handed>,
        stop: &AtomicBool,
        hang_up: &AtomicBool,
        pulse: &Pulse,
    ) -> Result<Outcome, Failure> {
        self.manager.ready(&self.status());
        let mut is_stopping = false;
        loop {
            pulse.turns.fetch_add(1, Ordering::Relaxed);
            match from.recv_timeout(TICK) {
                Ok(Handed::News(news)) => {
                    self.remembered.hear(news);
                    self.news = true;
                }
                Ok(Handed::Cut(cut)) => {
                    self.take(*cut);
                    // A disk that is full today may have room tomorrow.
                    if let Err(failure) = self.conclude(&End::Complete) {
                        self.bar.suspend(|| self.conduct.complain(&failure));
                    }
                }
                Ok(Handed::End(cut, end)) => {
                    self.manager.stopping();
                    self.take(*cut);
                    let result = self.conclude(&end);
                    self.bar.finish_and_clear();
                    return Ok(Outcome { result: result?, end });
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.bar.finish_and_clear();
                    return Err(Failure::in_part(self.conduct.say("cli-watch-deaf", &[])));
                }
            }
            if stop.load(Ordering::Relaxed) && !is_stopping {
                is_stopping = true;
                self.bar
                    .suspend(|| self.conduct.tell(&self.conduct.say("cli-watch-stopping", &[])));
                continue;
            }
            if hang_up.swap(false, Ordering::Relaxed) {
                self.reload();
            }
            let is_due =
                self.judged.is_none_or(|(at, took)| at.elapsed() >= took.saturating_mul(SHARE));
            if self.news && is_due && !is_stopping {
                self.judge()?;
            }
            self.show();
        }
    }

    fn take(&mut self, cut: Cut) {
        self.dropped.clone_from(&cut.dropped);
        if let Some(fault) = &cut.fault {
            self.fault = Some(fault.clone());
        }
        if let Err(fault) = self.remembered.take(cut, Timestamp::now()) {
            self.fault = Some(fault.to_string());
        }
    }

    /// The head of what is remembered now. Each result has an id of its own: no two differ under one.
    fn head(&self, end: &End) -> v1::Sweep {
        let now = Timestamp::now();
        let mut head = sweep::watch_head(
            self.stations,
            self.arguments.unit.clone(),
            self.source.clone(),
            self.warnings.clone(),
            self.conduct.texts.language(),
        );
        head.regulation = Some(self.rules.regulation.name.clone());
        head.started_at = self.began.max(self.remembered.since(now)).to_string();
        head.finished_at = now.to_string();
        head.complete = *end == End::Complete;
        head.packets_received = self.counters.frames.load(Ordering::Relaxed);
        head.packets_dropped = self.dropped.iter().map(|(_, dropped)| dropped).sum();
        let mut note = |code: &str, text: String| {
            head.notices.push(v1::SweepNotice { code: code.to_owned(), text });
        };
        for (interface, dropped) in self.dropped.iter().filter(|(_, dropped)| *dropped > 0) {
            note("frames-dropped", format!("{interface}: {dropped}"));
        }
        if !self.hears_all {
            note("heard-openings", String::new());
        }
        if self.remembered.crowded_out > 0 {
            note("crowded-out", self.remembered.crowded_out.to_string());
        }
        if let Some(fault) = &self.fault {
            note("tape-failed", fault.clone());
        }
        if let End::Failed(why) = end {
            note("link-failed", why.clone());
        }
        head
    }

    /// Of each link: that it was only listened to, and what was not heard.
    fn why_not(&self) -> BTreeMap<(Prefix, VantageId), String> {
        let mut rows = BTreeMap::new();
        for station in self.stations {
            let mut why = vec![self.conduct.say(WhyNot::Passive.key(), &[])];
            let dropped = self.dropped.iter().find(|(name, _)| *name == station.interface);
            if let Some((_, dropped)) = dropped.filter(|(_, dropped)| *dropped > 0) {
                let what = [("what", dropped.to_string().into())];
                why.push(self.conduct.say("sweep-notice-frames-dropped", &what));
            }
            if !self.hears_all {
                why.push(self.conduct.say("sweep-notice-heard-openings", &[("what", "".into())]));
            }
            for prefix in station.prefixes() {
                rows.insert((prefix, station.id), why.join("\n"));
            }
        }
        rows
    }

    /// Judges what is remembered. A finding that stands keeps the time when it was first seen, also where what showed it then is forgotten.
    fn verdict(&mut self, end: &End, frames: Packets) -> (v1::SweepResult, EvidencePlan) {
        let judged = Judged {
            vantages: self.vantages.clone(),
            head: self.head(end),
            log: &self.remembered.log,
            why_not: self.why_not(),
            end: end.clone(),
        };
        let (registry, severity) = (self.registry.clone(), self.rules.severity.clone());
        let frames: &mut dyn Frames = match frames {
            Packets::Shown => &mut self.remembered.spool,
            Packets::LeftOut => &mut NoFrames,
        };
        let regulation = &self.rules.regulation;
        let (mut result, plan) =
            judge_with(self.conduct, judged, registry, regulation, severity, frames);
        for finding in &mut result.findings {
            let instant = |text: &str| text.parse::<Timestamp>().ok();
            if let Some(known) = self.open.get(&finding.id)
                && instant(&known.first_seen) < instant(&finding.first_seen)
            {
                finding.first_seen.clone_from(&known.first_seen);
            }
        }
        (result, plan)
    }

    /// Judges what was heard so far, and tells what is new.
    fn judge(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        let (result, _) = self.verdict(&End::Complete, Packets::LeftOut);
        self.judged(&result, began)
    }

    /// Judges, and writes the folder.
    fn conclude(&mut self, end: &End) -> Result<v1::SweepResult, Failure> {
        let began = Instant::now();
        let (mut result, plan) = self.verdict(end, Packets::Shown);
        let Remembered { log, spool, .. } = &mut self.remembered;
        let written = put(self.conduct, &mut result, &plan, spool, log, self.out);
        self.judged(&result, began)?;
        written.map(|()| result)
    }

    fn judged(&mut self, result: &v1::SweepResult, began: Instant) -> Result<(), Failure> {
        let took = began.elapsed();
        self.devices = result.devices.len();
        self.news = false;
        let told = self.announce(&result.findings);
        self.judged = Some((Instant::now(), took));
        tracing::debug!(
            devices = self.devices,
            findings = result.findings.len(),
            observations = self.remembered.log.len(),
            milliseconds = took.as_millis() as u64,
            "judged"
        );
        told
    }

    /// Tells each finding once when it appears, and once when it is over.
    fn announce(&mut self, findings: &[Finding]) -> Result<(), Failure> {
        let standing: BTreeMap<&str, &Finding> =
            findings.iter().map(|finding| (finding.id.as_str(), finding)).collect();
        let (stay, over) = std::mem::take(&mut self.open)
            .into_iter()
            .partition(|(id, _)| standing.contains_key(id.as_str()));
        self.open = stay;
        let over: BTreeMap<String, Finding> = over;
        for mut finding in over.into_values() {
            finding.status = Status::Resolved;
            self.say(&finding)?;
        }
        for finding in findings {
            if !self.open.contains_key(&finding.id) {
                self.say(finding)?;
                let kept = Finding { evidence: Vec::new(), ..finding.clone() };
                self.open.insert(finding.id.clone(), kept);
            }
        }
        Ok(())
    }

    fn say(&self, finding: &Finding) -> Result<(), Failure> {
        if self.arguments.format == Some(WatchFormat::Jsonl) {
            return self.bar.suspend(|| put_line(self.conduct, finding));
        }
        if self.arguments.format.is_none() {
            let line = sentence(self.conduct, finding);
            self.bar.suspend(|| self.conduct.remark(&line));
        }
        Ok(())
    }

    /// Reads the registry again. One that is refused changes nothing.
    fn reload(&mut self) {
        let Some(source) = &self.arguments.registry else {
            let said = self.conduct.say("cli-watch-no-registry", &[]);
            self.bar.suspend(|| self.conduct.remark(&said));
            return;
        };
        self.manager.reloading();
        let loaded = self.bar.suspend(|| registries::load(self.conduct, source));
        let status = match loaded {
            Ok(loaded) => {
                self.source = Some(source_of(&loaded));
                self.warnings = warnings(self.conduct, &loaded);
                self.registry = Some(Arc::new(loaded.registry));
                (self.news, self.judged) = (true, None);
                let said = self.conduct.say("cli-watch-reloaded", &[]);
                self.bar.suspend(|| self.conduct.remark(&said));
                said
            }
            Err(failure) => {
                let cause = [("cause", failure.paragraph.into())];
                let kept = Failure::usage(self.conduct.say("cli-watch-registry-kept", &cause));
                self.bar.suspend(|| self.conduct.complain(&kept));
                self.conduct.say("cli-watch-registry-old", &[])
            }
        };
        self.manager.ready(&status);
    }

    fn status(&self) -> String {
        self.conduct.say(
            "cli-watch-status",
            &[
                ("rate", format!("{:.0}", self.rate).into()),
                ("frames", self.counters.frames.load(Ordering::Relaxed).to_string().into()),
                ("devices", self.devices.into()),
                ("findings", self.open.len().into()),
                ("dropped", self.counters.dropped.load(Ordering::Relaxed).to_string().into()),
                ("memory", resident().to_string().into()),
            ],
        )
    }

    fn show(&mut self) {
        let (at, before) = self.shown;
        let took = at.elapsed();
        if took < SHOWN {
            return;
        }
        let frames = self.counters.frames.load(Ordering::Relaxed);
        self.rate = frames.saturating_sub(before) as f64 / took.as_secs_f64();
        self.shown = (Instant::now(), frames);
        let status = self.status();
        if self.reported.elapsed() >= REPORTED {
            self.reported = Instant::now();
            self.manager.status(&status);
        }
        self.bar.set_message(status);
        self.bar.tick();
    }
}

/// A finding as one line of JSON on stdout: as the result has it.
pub fn put_line(conduct: &Conduct, finding: &Finding) -> Result<(), Failure> {
    let line =
        serde_json::to_string(finding).map_err(|fault| Failure::in_part(fault.to_string()))?;
    conduct.put(line)
}

fn sentence(conduct: &Conduct, finding: &Finding) -> String {
    let subject = &finding.subject;
    let parts = [&subject.prefix, &subject.ip, &subject.port, &subject.mac];
    let parts: Vec<_> = parts.into_iter().flatten().map(String::as_str).collect();
    let key = match finding.status {
        Status::Resolved => "cli-watch-over",
        Status::Open | Status::Acknowledged | Status::Waived => "cli-watch-finding",
    };
    conduct.say(
        key,
        &[
            ("severity", finding.severity.word().into()),
            ("subject", Foreign::new(&parts.join(" ")).terminal().into()),
            ("title", Foreign::new(&finding.title).terminal().into()),
            ("rule", finding.rule.clone().into()),
            ("confidence", finding.confidence.word().into()),
            ("status", finding.status.word().into()),
        ],
    )
}

/// Our memory in MB, by proc(5).
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0).saturating_mul(1024) / 1_000_000
}
