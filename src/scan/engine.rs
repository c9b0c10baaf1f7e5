//! The send and receive loop of a pass.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use thiserror::Error;

use super::order::Order;
use super::pass::{Checkpoint, Outcome, Pass, Targets};
use super::probe::{Ask, Resolution, Setup, Template};
use super::recogniser::{Place, Recognised, Recogniser, Settles};
use super::world::{Heard, World};
use crate::link::LinkError;
use crate::observe::Source;
use crate::scope::ceilings::Ceiling;
use crate::scope::{Fence, Permit, Refusal, Steered, Submission, Vantage};

/// Who looks on: the conductor.
pub trait Watcher {
    /// Every frame that was heard, with the answer that it is, if it is one.
    fn frame(&mut self, heard: &Heard<'_>, recognised: Option<Recognised>);

    /// A few times a second.
    fn progress(&mut self, progress: &Progress);

    /// Where the pass stands, about once a second: what a resume would go on from.
    fn checkpoint(&mut self, _checkpoint: &Checkpoint) {}

    /// Whether to stop: asked once per batch. What is in flight is still waited for.
    fn stopping(&mut self) -> bool;
}

/// How far a pass is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// From 0.
    pub round: u8,
    pub rounds: u8,
    /// Places of this round that are done, and how many there are.
    pub done: u64,
    pub total: u64,
    pub sent: u64,
    pub answered: u64,
    /// To the end of the last round, at the pace so far. `None` before there is a pace.
    pub left: Option<Duration>,
}

#[derive(Debug, Error)]
pub enum ScanError {
    #[error("the pass has {size} questions; at most {most} in one shard")]
    TooLarge { size: u128, most: u128 },
    #[error("no such vantage")]
    UnknownVantage,
    /// The link failed in the middle. What was done until then stands.
    #[error("{source}")]
    Link { source: LinkError, outcome: Box<Outcome> },
}

/// A bit for each question: 32 MiB.
const MOST_QUESTIONS: u128 = 1 << 28;
/// Frames between two looks at the clock.
const BATCH: usize = 64;
/// Places looked at between two looks at the clock, most of them answered already.
const MOST_PASSED: usize = 4096;
/// Questions put off because their address was asked enough for now.
const MOST_DEFERRED: usize = 4096;
const BETWEEN_PROGRESS: Duration = Duration::from_millis(250);
const BETWEEN_CHECKPOINTS: Duration = Duration::from_secs(1);
/// The longest sleep: how late a stop may be noticed.
const LONGEST_SLEEP: Duration = Duration::from_millis(100);
/// Questions whose time is remembered, to learn how long answers take.
const SAMPLES: usize = 1024;

/// Runs a pass to its end, or until the watcher stops it.
///
/// `resume` is where an interrupted run of the same pass stood. `answered` are questions that need
/// no asking: what the log of that run already holds. Both are empty in a fresh sweep.
pub fn run(
    pass: &Pass<'_>,
    resume: Option<Checkpoint>,
    answered: &mut dyn Iterator<Item = (IpAddr, u16)>,
    recogniser: &mut Recogniser,
    world: &mut dyn World,
    watcher: &mut dyn Watcher,
) -> Result<Outcome, ScanError> {
    let mut run = Run::new(pass, recogniser)?;
    for (target, question) in answered {
        run.settle(&Place::Address { target, question });
    }
    run.outcome.answered = 0;
    if let Some(checkpoint) = resume.filter(|checkpoint| checkpoint.pass == pass.id) {
        run.round = checkpoint.round;
        run.position = checkpoint.position.min(run.length);
    }
    run.all(recogniser, world, watcher)
}

/// Only listens, until a time since the sweep's start or until the watcher stops it.
pub fn listen(
    recogniser: &Recogniser,
    world: &mut dyn World,
    watcher: &mut dyn Watcher,
    until: Duration,
) -> Result<(), LinkError> {
    loop {
        let left = until.saturating_sub(world.now());
        if left.is_zero() || watcher.stopping() {
            return Ok(());
        }
        hear(recogniser, world, watcher, left.min(LONGEST_SLEEP), &mut |_| {})?;
    }
}

/// Takes what is waiting; every frame passes the fence's ear and the recogniser.
fn hear(
    recogniser: &Recogniser,
    world: &mut dyn World,
    watcher: &mut dyn Watcher,
    patience: Duration,
    note: &mut dyn FnMut(&Recognised),
) -> Result<usize, LinkError> {
    world.receive(patience, &mut |fence, heard| {
        if heard.outgoing {
            fence.account_foreign(heard.now, heard.bytes);
            watcher.frame(&heard, None);
            return;
        }
        fence.hear(heard.bytes);
        let recognised = recogniser.recognise(heard.vantage, heard.bytes);
        if let Some(recognised) = &recognised {
            note(recognised);
        }
        watcher.frame(&heard, recognised);
    })
}

/// One bit for each question of the pass.
struct Answered(Vec<u64>);

impl Answered {
    fn new(questions: u64) -> Answered {
        Answered(vec![0; questions.div_ceil(64) as usize])
    }

    fn contains(&self, index: u64) -> bool {
        self.0.get((index / 64) as usize).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// Whether it is new.
    fn insert(&mut self, index: u64) -> bool {
        let Some(word) = self.0.get_mut((index / 64) as usize) else { return false };
        let bit = 1 << (index % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }
}

/// Whether the round before was stopped: then nobody is asked again whether to stop.
struct Stopped(bool);

/// What asking one question came to.
enum Asked {
    Sent,
    /// Nothing was to be asked here: answered already, or refused.
    Passed,
    /// Nothing more now.
    Wait(Duration),
    /// Only this address has to wait.
    Defer(Duration),
    /// The window of the authorisation is not open.
    Closed,
    Failed(LinkError),
}

struct Run<'p, 'a> {
    pass: &'p Pass<'a>,
    vantage: Vantage,
    order: Order,
    hosts: u64,
    questions: u64,
    /// Places of this shard in one round.
    length: u64,
    /// Where in the recogniser's list the steered begin, and how many it took.
    steered: (u16, usize),
    templates: Vec<(IpAddr, Box<dyn Template>)>,
    answered: Answered,
    round: u8,
    position: u64,
    deferred: VecDeque<(Duration, u64)>,
    /// When the next question may go by the pass's own rate.
    gate: Duration,
    /// The running cycle over all hosts.
    cycle: Option<u64>,
    /// When the last cycle in which anything was asked began.
    cycle_began: Option<Duration>,
    cycle_asked: Option<u64>,
    /// The number of each question.
    numbers: HashMap<u16, u64>,
    /// Questions that need no asking any more, and those that cannot be asked.
    settled: u64,
    unaskable: u64,
    sent_in_round: u64,
    rtt: RoundTrips,
    outcome: Outcome,
}

impl<'p, 'a> Run<'p, 'a> {
    fn new(pass: &'p Pass<'a>, recogniser: &mut Recogniser) -> Result<Run<'p, 'a>, ScanError> {
        let size = pass.size();
        let too_large = ScanError::TooLarge { size, most: MOST_QUESTIONS };
        if size > MOST_QUESTIONS {
            return Err(too_large);
        }
        let Ok(hosts) = u64::try_from(pass.targets.count()) else { return Err(too_large) };
        let Ok(length) = u64::try_from(pass.shard.length(size)) else { return Err(too_large) };
        let vantage = recogniser.vantage(pass.vantage).ok_or(ScanError::UnknownVantage)?.clone();
        let mut steered = (0, 0);
        match &pass.targets {
            Targets::Addresses(set) if pass.probe.resolution() == Resolution::IsIt => {
                recogniser.asks_resolution(pass.vantage, set);
            }
            Targets::Addresses(set) if pass.probe.source() == Source::Udp => {
                recogniser.asks_udp(pass.vantage, set, &pass.questions);
            }
            Targets::Addresses(_) => {}
            Targets::Steered(list) => steered = recogniser.asks_steered(pass.vantage, list),
        }
        let mut templates = Vec::new();
        for (source, _) in &vantage.addresses {
            let setup = Setup {
                vantage: &vantage,
                source: *source,
                keys: recogniser.keys(),
                ports: recogniser.ports(),
                questions: &pass.questions,
            };
            if let Some(template) = pass.probe.template(&setup) {
                templates.push((*source, template));
            }
        }
        Ok(Run {
            order: Order::new(recogniser.keys(), pass.id, u128::from(hosts)),
            hosts,
            questions: pass.questions.len() as u64,
            length,
            steered,
            templates,
            answered: Answered::new(size as u64),
            round: 0,
            position: 0,
            deferred: VecDeque::new(),
            gate: Duration::ZERO,
            cycle: None,
            cycle_began: None,
            cycle_asked: None,
            numbers: pass.questions.iter().copied().zip(0..).collect(),
            settled: 0,
            unaskable: 0,
            sent_in_round: 0,
            rtt: RoundTrips::new(),
            outcome: Outcome::default(),
            vantage,
            pass,
        })
    }

    fn all(
        mut self,
        recogniser: &Recogniser,
        world: &mut dyn World,
        watcher: &mut dyn Watcher,
    ) -> Result<Outcome, ScanError> {
        let mut pace = Reporter::new(world.now());
        while self.round < self.pass.rounds {
            self.gate = world.now();
            pace.began = self.gate;
            self.cycle = None;
            self.cycle_asked = None;
            self.sent_in_round = 0;
            let ended = self.round(recogniser, world, watcher, &mut pace);
            let waited = ended.and_then(|stopped| {
                let rest = self.linger(recogniser, world, watcher, Stopped(stopped));
                rest.map(|stopped_now| stopped || stopped_now)
            });
            match waited {
                Ok(false) => {
                    self.round += 1;
                    self.position = 0;
                }
                Ok(true) => {
                    // Stopped, but not if nothing was left to ask.
                    let last = self.round + 1 >= self.pass.rounds;
                    if !(last && self.position >= self.length && self.deferred.is_empty()) {
                        self.outcome.interrupted = Some(self.checkpoint());
                    }
                    break;
                }
                Err(source) => {
                    self.outcome.interrupted = Some(self.checkpoint());
                    let outcome = Box::new(self.outcome);
                    return Err(ScanError::Link { source, outcome });
                }
            }
            if self.nothing_is_open() {
                break;
            }
        }
        watcher.progress(&self.progress(Duration::ZERO, None));
        Ok(self.outcome)
    }

    /// Asks what is unanswered of one round. True when it was stopped.
    fn round(
        &mut self,
        recogniser: &Recogniser,
        world: &mut dyn World,
        watcher: &mut dyn Watcher,
        pace: &mut Reporter,
    ) -> Result<bool, LinkError> {
        loop {
            if watcher.stopping() {
                return Ok(true);
            }
            let now = world.now();
            let mut patience = Duration::ZERO;
            let fence = world.fence();
            let mut batch = BATCH;
            for _ in 0..MOST_PASSED {
                match self.ask_next(fence, now) {
                    Some(Asked::Passed) => {}
                    Some(Asked::Sent) => {
                        batch -= 1;
                        if batch == 0 {
                            break;
                        }
                    }
                    Some(Asked::Wait(wait) | Asked::Defer(wait)) => {
                        patience = wait.min(LONGEST_SLEEP);
                        break;
                    }
                    Some(Asked::Closed) => {
                        fence.flush()?;
                        return Ok(true);
                    }
                    Some(Asked::Failed(error)) => return Err(error),
                    None => {
                        fence.flush()?;
                        return Ok(false);
                    }
                }
            }
            fence.flush()?;
            self.hear(recogniser, world, watcher, patience)?;
            let now = world.now();
            if pace.progress_is_due(now) {
                watcher.progress(&self.progress(now, Some(pace)));
            }
            if pace.checkpoint_is_due(now) {
                watcher.checkpoint(&self.checkpoint());
            }
        }
    }

    /// Waits for late answers: until none came for some round-trip times. True when it was stopped.
    fn linger(
        &mut self,
        recogniser: &Recogniser,
        world: &mut dyn World,
        watcher: &mut dyn Watcher,
        Stopped(stopped): Stopped,
    ) -> Result<bool, LinkError> {
        if self.sent_in_round == 0 {
            return Ok(stopped);
        }
        let linger = self.pass.linger;
        let began = world.now();
        let mut last_answer = began;
        loop {
            let now = world.now();
            let quiet = self.rtt.quiet(linger.least, linger.most);
            let end = (last_answer + quiet).min(began + linger.most);
            if now >= end || self.nothing_is_open() {
                return Ok(stopped);
            }
            if !stopped && watcher.stopping() {
                return Ok(true);
            }
            let answered = self.outcome.answered;
            world.fence().flush()?;
            self.hear(recogniser, world, watcher, (end - now).min(LONGEST_SLEEP))?;
            if self.outcome.answered > answered {
                last_answer = world.now();
            }
        }
    }

    fn hear(
        &mut self,
        recogniser: &Recogniser,
        world: &mut dyn World,
        watcher: &mut dyn Watcher,
        patience: Duration,
    ) -> Result<(), LinkError> {
        let mut answers = Vec::new();
        let name = self.pass.probe.name();
        hear(recogniser, world, watcher, patience, &mut |recognised| {
            if recognised.probe == name && recognised.settles == Settles::Yes {
                answers.push(recognised.place);
            }
        })?;
        let now = world.now();
        for place in answers {
            if let Some(index) = self.settle(&place) {
                self.rtt.answered(index, now);
            }
        }
        Ok(())
    }

    /// Whether every question is answered or cannot be asked.
    fn nothing_is_open(&self) -> bool {
        self.settled + self.unaskable >= self.length
    }

    /// Marks a question as answered; its index.
    fn settle(&mut self, place: &Place) -> Option<u64> {
        let place = match *place {
            Place::Steered { index, question } => {
                Place::Steered { index: index.checked_sub(self.steered.0)?, question }
            }
            other => other,
        };
        let (host, question) = self.pass.locate(&place)?;
        let index = host * self.questions + self.numbers.get(&question)?;
        if self.answered.insert(index) {
            self.settled += 1;
            self.outcome.answered += 1;
        }
        Some(index)
    }

    /// Asks the next question that is due. `None` when the round is done.
    fn ask_next(&mut self, fence: &mut Fence, now: Duration) -> Option<Asked> {
        if let Some(&(due, position)) = self.deferred.front() {
            let full = self.deferred.len() >= MOST_DEFERRED;
            if due <= now {
                let asked = self.ask_or_defer(fence, now, position);
                // What has to wait once more stands at the back already; what the sweep's ceiling
                // or a fault held back keeps its place.
                if matches!(asked, Asked::Sent | Asked::Passed) {
                    self.deferred.pop_front();
                }
                return Some(asked);
            }
            if full || self.position >= self.length {
                return Some(Asked::Wait(due - now));
            }
        } else if self.position >= self.length {
            return None;
        }
        let position = self.position;
        let place = self.pass.shard.place(u128::from(position));
        let cycle = (place / u128::from(self.hosts.max(1))) as u64;
        if self.cycle != Some(cycle) {
            let earliest = self.cycle_began.map_or(now, |began| began + self.pass.spacing);
            if earliest > now {
                return Some(Asked::Wait(earliest - now));
            }
            self.cycle = Some(cycle);
        }
        if self.pass.rate.is_some() && self.gate > now {
            return Some(Asked::Wait(self.gate - now));
        }
        match self.ask_or_defer(fence, now, position) {
            wait @ Asked::Wait(_) => Some(wait),
            other => {
                self.position += 1;
                Some(other)
            }
        }
    }

    /// A question whose address has to wait goes to the back, and is done as far as its place is
    /// concerned.
    fn ask_or_defer(&mut self, fence: &mut Fence, now: Duration, position: u64) -> Asked {
        match self.ask(fence, now, position) {
            Asked::Defer(wait) => {
                self.deferred.push_back((now + wait, position));
                Asked::Passed
            }
            Asked::Sent => {
                self.sent_in_round += 1;
                // Every later question of this cycle goes to another host.
                if self.cycle_asked != self.cycle {
                    self.cycle_asked = self.cycle;
                    self.cycle_began = Some(now);
                }
                if let Some(rate) = self.pass.rate {
                    // A pause is not made good: the gate never lies behind now.
                    self.gate = self.gate.max(now) + Duration::from_secs(1) / rate.max(1);
                }
                Asked::Sent
            }
            other => other,
        }
    }

    fn ask(&mut self, fence: &mut Fence, now: Duration, position: u64) -> Asked {
        let place = self.pass.shard.place(u128::from(position));
        let hosts = u128::from(self.hosts.max(1));
        let (cycle, slot) = ((place / hosts) as u64, (place % hosts) as u64);
        let Some(host) = self.order.at(slot) else { return Asked::Passed };
        let number = self.pass.question_of(host, cycle);
        let index = host * self.questions + number;
        if self.answered.contains(index) {
            return Asked::Passed;
        }
        let Some(&question) = self.pass.questions.get(number as usize) else {
            return Asked::Passed;
        };
        let submission = match &self.pass.targets {
            Targets::Addresses(set) => {
                let Some(target) = set.nth(u128::from(host)) else { return Asked::Passed };
                if !self.pass.probe.speaks_to(target) {
                    self.unaskable += u64::from(self.round == 0);
                    return Asked::Passed;
                }
                match fence.guard().admit(target, self.pass.vantage, self.pass.probe.class()) {
                    Ok(permit) => self.submit(fence, now, (&permit).into(), target, question, 0),
                    Err(refusal) => Some(Submission::Refused(refusal)),
                }
            }
            Targets::Steered(list) => {
                let Some(steered) =
                    list.get(host as usize).filter(|_| (host as usize) < self.steered.1)
                else {
                    return Asked::Passed;
                };
                let steered: Steered = *steered;
                let index = self.steered.0.wrapping_add(host as u16);
                self.submit(fence, now, (&steered).into(), steered.destination(), question, index)
            }
        };
        match submission {
            None => Asked::Passed,
            Some(Submission::Sent) => {
                self.outcome.sent += 1;
                if self.round == 0 {
                    self.outcome.asked += 1;
                }
                self.rtt.asked(index, now);
                Asked::Sent
            }
            Some(Submission::Later(wait, Ceiling::Sweep)) => Asked::Wait(wait),
            Some(Submission::Later(wait, Ceiling::Target | Ceiling::Prefix)) => Asked::Defer(wait),
            Some(Submission::Refused(refusal)) => self.refused(refusal),
            Some(Submission::Failed(error)) => Asked::Failed(error),
        }
    }

    fn refused(&mut self, refusal: Refusal) -> Asked {
        if refusal == Refusal::Window {
            *self.outcome.refused.entry(refusal).or_default() += 1;
            return Asked::Closed;
        }
        if self.round == 0 {
            *self.outcome.refused.entry(refusal).or_default() += 1;
            self.unaskable += 1;
        }
        Asked::Passed
    }

    /// Stamps and submits; `None` where no frame could be made, which is counted.
    fn submit(
        &mut self,
        fence: &mut Fence,
        now: Duration,
        permit: Permit<'_>,
        target: IpAddr,
        question: u16,
        extra: u16,
    ) -> Option<Submission> {
        let next_hop = match (permit, self.pass.probe.resolution()) {
            (Permit::Steered(steered), _) => Some(steered.mac()),
            (_, Resolution::IsIt) => None,
            (_, Resolution::Needs) => match self.pass.next_hops.mac_for(target) {
                Some(mac) => Some(mac),
                None => {
                    self.outcome.unresolved += u64::from(self.round == 0);
                    self.unaskable += u64::from(self.round == 0);
                    return None;
                }
            },
        };
        let source = self.vantage.source_for(target);
        let template = self.templates.iter_mut().find(|(own, _)| Some(*own) == source);
        let Some((_, template)) = template else {
            self.outcome.sourceless += u64::from(self.round == 0);
            self.unaskable += u64::from(self.round == 0);
            return None;
        };
        let ask = Ask { target, question, next_hop, attempt: self.round, extra };
        Some(fence.submit(permit, template.stamp(&ask), now))
    }

    fn checkpoint(&self) -> Checkpoint {
        // What was put off is not done.
        let deferred = self.deferred.iter().map(|(_, position)| *position).min();
        Checkpoint {
            pass: self.pass.id,
            round: self.round,
            position: deferred.map_or(self.position, |deferred| deferred.min(self.position)),
        }
    }

    fn progress(&self, now: Duration, pace: Option<&Reporter>) -> Progress {
        let rounds_left = u64::from(self.pass.rounds.saturating_sub(self.round + 1));
        let left = pace.and_then(|pace| {
            let done = u32::try_from(self.position).ok().filter(|done| *done > 0)?;
            let open = self.length.saturating_sub(self.outcome.answered);
            let places = self.length.saturating_sub(self.position) + rounds_left * open;
            let each = now.saturating_sub(pace.began) / (done.max(1));
            Some(each.saturating_mul(u32::try_from(places).unwrap_or(u32::MAX)))
        });
        Progress {
            round: self.round,
            rounds: self.pass.rounds,
            done: self.position,
            total: self.length,
            sent: self.outcome.sent,
            answered: self.outcome.answered,
            left,
        }
    }
}

/// When progress and checkpoints are due.
struct Reporter {
    began: Duration,
    progress: Duration,
    checkpoint: Duration,
}

impl Reporter {
    fn new(now: Duration) -> Reporter {
        Reporter { began: now, progress: now, checkpoint: now }
    }

    fn progress_is_due(&mut self, now: Duration) -> bool {
        due(&mut self.progress, now, BETWEEN_PROGRESS)
    }

    fn checkpoint_is_due(&mut self, now: Duration) -> bool {
        due(&mut self.checkpoint, now, BETWEEN_CHECKPOINTS)
    }
}

fn due(last: &mut Duration, now: Duration, interval: Duration) -> bool {
    let due = now.saturating_sub(*last) >= interval;
    if due {
        *last = now;
    }
    due
}

/// How long answers take, learnt from a sample: the latest question in each of a few slots.
struct RoundTrips {
    samples: Vec<(u64, Duration)>,
    /// The longest that was seen.
    longest: Option<Duration>,
}

impl RoundTrips {
    fn new() -> RoundTrips {
        RoundTrips { samples: vec![(u64::MAX, Duration::ZERO); SAMPLES], longest: None }
    }

    fn asked(&mut self, index: u64, now: Duration) {
        if let Some(sample) = self.samples.get_mut(index as usize % SAMPLES) {
            *sample = (index, now);
        }
    }

    fn answered(&mut self, index: u64, now: Duration) {
        let sample = self.samples.get_mut(index as usize % SAMPLES);
        if let Some(sample) = sample.filter(|(of, _)| *of == index) {
            let took = now.saturating_sub(sample.1);
            self.longest = Some(self.longest.map_or(took, |longest| longest.max(took)));
            sample.0 = u64::MAX;
        }
    }

    /// The silence after which no answer is expected any more: three times the longest seen.
    fn quiet(&self, least: Duration, most: Duration) -> Duration {
        self.longest.map_or(most, |longest| (longest * 3).clamp(least.min(most), most))
    }
}
