//! The loop of a pass: ask a batch, hear what came, look after the network, again.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use super::answered::Closed;
use super::reporter::Reporter;
use super::round_trips::RoundTrips;
use super::trail::Trail;
use super::{LONGEST_SLEEP, MOST_QUESTIONS, Progress, ScanError, Watcher, hear};
use crate::link::LinkError;
use crate::observe::{Fact, PortState, Source};
use crate::scan::care::control::{Judgement, SILENCE};
use crate::scan::care::{Care, Member, Silence, Trouble};
use crate::scan::order::Order;
use crate::scan::pass::{Checkpoint, Outcome, Pass, Targets};
use crate::scan::probe::{self, Ask, Resolution, Setup, Template};
use crate::scan::recogniser::{Place, Recognised, Recogniser, Settles};
use crate::scan::world::World;
use crate::scope::{Fence, Submission, Vantage};

/// Frames between two looks at the clock.
const BATCH: usize = 64;
/// Places looked at between two looks at the clock where nothing is sent.
const MOST_PASSED: usize = 4096;
/// Silence is told within so long after a pass's last question, or the group cannot tell it.
const LONGEST_DOUBT: Duration = SILENCE.saturating_mul(2);
/// Of a receive ring filled so far, the sender slows down.
const HALF_FULL: f32 = 0.5;

/// Why a round ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RoundEnd {
    Done,
    Stopped,
    Silent(Silence),
}

/// What asking one question came to.
pub(super) enum Asked {
    Sent,
    /// Nothing was to be asked here: answered already, or refused.
    Passed,
    /// Nothing more now.
    Wait(Duration),
    /// Only this address has to wait.
    Defer(Duration),
    /// The window of the authorisation is not open.
    Shut,
    Failed(LinkError),
}

pub(super) struct Run<'p, 'a> {
    pub(super) pass: &'p Pass<'a>,
    pub(super) vantage: Vantage,
    pub(super) order: Order,
    pub(super) hosts: u64,
    /// Places of this shard in one round.
    pub(super) length: u64,
    /// Where in the recogniser's list the steered begin, and how many it took.
    pub(super) steered: (u16, usize),
    pub(super) templates: Vec<(IpAddr, Box<dyn Template>)>,
    /// Answered, or not to be asked.
    pub(super) closed: Closed,
    pub(super) round: u8,
    pub(super) position: u64,
    pub(super) deferred: VecDeque<(Duration, u64)>,
    /// When the next question may go by the pass's own rate.
    pub(super) gate: Duration,
    /// The running cycle over all hosts.
    pub(super) cycle: Option<u64>,
    /// When the last cycle in which anything was asked began.
    pub(super) cycle_began: Option<Duration>,
    pub(super) cycle_asked: Option<u64>,
    /// The number of each question, by the question.
    numbers: Vec<(u16, u64)>,
    pub(super) sent_in_round: u64,
    pub(super) rtt: RoundTrips,
    pub(super) outcome: Outcome,
    trail: Trail,
}

impl<'p, 'a> Run<'p, 'a> {
    pub(super) fn new(
        pass: &'p Pass<'a>,
        recogniser: &mut Recogniser,
    ) -> Result<Run<'p, 'a>, ScanError> {
        let size = pass.size();
        let too_large = ScanError::TooLarge { size: pass.shard.length(size), most: MOST_QUESTIONS };
        let Ok(_) = u64::try_from(size) else { return Err(too_large) };
        let Ok(hosts) = u64::try_from(pass.targets.count()) else { return Err(too_large) };
        let length = u64::try_from(pass.shard.length(size)).unwrap_or(u64::MAX);
        if length > MOST_QUESTIONS {
            return Err(too_large);
        }
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
        let mut numbers: Vec<(u16, u64)> = pass.questions.iter().copied().zip(0..).collect();
        numbers.sort_unstable();
        Ok(Run {
            order: Order::new(recogniser.keys(), pass.id, u128::from(hosts)),
            hosts,
            length,
            steered,
            templates,
            closed: Closed::new(length),
            round: 0,
            position: 0,
            deferred: VecDeque::new(),
            gate: Duration::ZERO,
            cycle: None,
            cycle_began: None,
            cycle_asked: None,
            numbers,
            sent_in_round: 0,
            rtt: RoundTrips::new(),
            outcome: Outcome::default(),
            trail: Trail::new(Checkpoint { pass: pass.id, round: 0, position: 0 }),
            vantage,
            pass,
        })
    }

    /// A question that an earlier part of the pass was answered.
    pub(super) fn answered_before(&mut self, place: &Place) {
        if let Some(position) = self.position_of(place) {
            self.closed.insert(position);
        }
    }

    pub(super) fn go_on_from(&mut self, checkpoint: Checkpoint) {
        self.round = checkpoint.round;
        self.position = checkpoint.position.min(self.length);
        self.trail = Trail::new(checkpoint);
    }

    pub(super) fn all(
        mut self,
        care: &mut Care,
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
            let ended = self.round(care, recogniser, world, watcher, &mut pace);
            let waited = ended.and_then(|end| self.linger(care, recogniser, world, watcher, end));
            match waited {
                Ok(RoundEnd::Done) => {
                    self.round += 1;
                    self.position = 0;
                }
                Ok(RoundEnd::Stopped) => {
                    // Stopped, but not if nothing was left to ask.
                    let last = self.round + 1 >= self.pass.rounds;
                    if !(last && self.position >= self.length && self.deferred.is_empty()) {
                        self.outcome.interrupted = Some(self.checkpoint());
                    }
                    break;
                }
                Ok(RoundEnd::Silent(silence)) => {
                    self.outcome.silent = Some(silence);
                    self.outcome.interrupted = Some(self.settled_by(silence.since));
                    break;
                }
                Err(source) => {
                    // What was asked of a link that was about to go may be lost: since the last answer, or a while.
                    let now = world.now();
                    let longest = now.saturating_sub(SILENCE);
                    let heard =
                        care.control.heard_last().map_or(longest, |heard| heard.max(longest));
                    self.outcome.interrupted = Some(self.settled_by(heard));
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

    /// Asks what is unanswered of one round.
    fn round(
        &mut self,
        care: &mut Care,
        recogniser: &Recogniser,
        world: &mut dyn World,
        watcher: &mut dyn Watcher,
        pace: &mut Reporter,
    ) -> Result<RoundEnd, LinkError> {
        loop {
            if watcher.stopping() {
                return Ok(RoundEnd::Stopped);
            }
            let now = world.now();
            if let Some(silence) = self.look_after(care, recogniser, world, now) {
                return Ok(RoundEnd::Silent(silence));
            }
            let mut patience = Duration::ZERO;
            let fence = world.fence();
            let mut batch = BATCH;
            for _ in 0..MOST_PASSED {
                let slow = care.throttle.wait(now);
                if !slow.is_zero() {
                    patience = slow.min(LONGEST_SLEEP);
                    break;
                }
                match self.ask_next(fence, now) {
                    Some(Asked::Passed) => {}
                    Some(Asked::Sent) => {
                        care.throttle.sent();
                        batch -= 1;
                        if batch == 0 {
                            break;
                        }
                    }
                    Some(Asked::Wait(wait) | Asked::Defer(wait)) => {
                        patience = wait.min(LONGEST_SLEEP);
                        break;
                    }
                    Some(Asked::Shut) => {
                        self.flush(fence)?;
                        return Ok(RoundEnd::Stopped);
                    }
                    Some(Asked::Failed(error)) => return Err(error),
                    None => {
                        self.flush(fence)?;
                        return Ok(RoundEnd::Done);
                    }
                }
            }
            self.flush(fence)?;
            self.hear(care, recogniser, world, watcher, patience)?;
            if self.nothing_is_open() {
                return Ok(RoundEnd::Done);
            }
            let now = world.now();
            if pace.progress_is_due(now) {
                watcher.progress(&self.progress(now, Some(pace)));
            }
            if pace.checkpoint_is_due(now) {
                watcher.checkpoint(&self.settled_by(now));
            }
        }
    }

    /// Sends what is queued. What does not fit any more, because the MTU shrank, is left out, and counted.
    fn flush(&mut self, fence: &mut Fence) -> Result<(), LinkError> {
        match fence.flush() {
            Err(LinkError::Length { .. }) => {
                self.outcome.too_long += 1;
                Ok(())
            }
            flushed => flushed.map(|_| ()),
        }
    }

    /// Waits for late answers: until none came for some round-trip times.
    fn linger(
        &mut self,
        care: &mut Care,
        recogniser: &Recogniser,
        world: &mut dyn World,
        watcher: &mut dyn Watcher,
        mut ended: RoundEnd,
    ) -> Result<RoundEnd, LinkError> {
        if self.sent_in_round == 0 || matches!(ended, RoundEnd::Silent(_)) {
            return Ok(ended);
        }
        let linger = self.pass.linger;
        let began = world.now();
        let mut last_answer = began;
        let is_last = self.round + 1 >= self.pass.rounds;
        let longest = began + linger.most + LONGEST_DOUBT;
        loop {
            let now = world.now();
            let end = (last_answer + self.rtt.quiet(linger)).min(began + linger.most);
            if self.nothing_is_open() {
                return Ok(ended);
            }
            // What is under way is waited for all the same.
            if ended == RoundEnd::Done && watcher.stopping() {
                ended = RoundEnd::Stopped;
            }
            if now >= end {
                // A pass is not over before somebody was heard after its last question.
                let doubt = is_last && now < longest && care.control.is_waiting_since(began);
                if ended != RoundEnd::Done || !doubt {
                    return Ok(ended);
                }
                if let Some(silence) = self.look_after(care, recogniser, world, now) {
                    return Ok(RoundEnd::Silent(silence));
                }
                self.flush(world.fence())?;
                self.hear(care, recogniser, world, watcher, LONGEST_SLEEP)?;
                continue;
            }
            let answered = self.outcome.answered;
            self.flush(world.fence())?;
            self.hear(care, recogniser, world, watcher, (end - now).min(LONGEST_SLEEP))?;
            if self.outcome.answered > answered {
                last_answer = world.now();
            }
        }
    }

    fn hear(
        &mut self,
        care: &mut Care,
        recogniser: &Recogniser,
        world: &mut dyn World,
        watcher: &mut dyn Watcher,
        patience: Duration,
    ) -> Result<(), LinkError> {
        let name = self.pass.probe.name();
        let heard = hear(recogniser, world, watcher, patience, &mut |watcher, now, recognised| {
            care.control.heard(now);
            if let Fact::IcmpError(error) = &recognised.fact
                && (error.icmp_type, error.from.is_ipv4()) == (SOURCE_QUENCH, true)
            {
                care.throttle.trouble(now, Trouble::SourceQuench);
            }
            if let Place::Address { target, .. } = recognised.place {
                care.control.answered(now, recognised.probe, target);
            }
            if recognised.probe != name || recognised.settles != Settles::Yes {
                return;
            }
            let Some(position) = self.position_of(&recognised.place) else { return };
            let took = self.rtt.answered(position, now);
            if self.closed.insert(position) {
                self.outcome.answered += 1;
                if let Some(member) = self.member(recognised) {
                    care.control.enrol(member, took);
                }
                watcher.answer(recognised);
            }
        })?;
        care.throttle.heard(heard as u64);
        Ok(())
    }

    /// The answer's host as one of the control group, where its question is one that can be asked again
    /// at any time.
    fn member(&self, recognised: &Recognised) -> Option<Member> {
        let Fact::Answer { ip, mac, port, state, .. } = &recognised.fact else { return None };
        // A closed UDP port is told by an ICMP error, which hosts ration.
        let by_error = self.pass.probe.source() == Source::Udp && *state == PortState::Closed;
        let rationed = !self.pass.spacing.is_zero() || by_error;
        let steered = matches!(self.pass.targets, Targets::Steered(_));
        (!rationed && !steered).then(|| Member {
            vantage: self.pass.vantage,
            probe: recognised.probe,
            target: *ip,
            question: port.map_or(0, |port| port.number),
            // As it was asked: its answer may have come by another way, which need not lead back.
            mac: self.pass.next_hops.mac_for(*ip).unwrap_or(*mac),
        })
    }

    /// Slows down where the receiving side is behind, and asks the control group now and then.
    fn look_after(
        &mut self,
        care: &mut Care,
        recogniser: &Recogniser,
        world: &mut dyn World,
        now: Duration,
    ) -> Option<Silence> {
        let ear = world.ear();
        care.throttle.heard(ear.dropped);
        care.throttle.measure(now);
        if ear.dropped > 0 || care.throttle.is_flooded(now) {
            care.control.missed_some();
        }
        if ear.dropped > 0 {
            care.throttle.trouble(now, Trouble::Dropped);
        }
        if ear.fill > HALF_FULL {
            care.throttle.trouble(now, Trouble::RingFull);
        }
        let control = &mut care.control;
        // Were the network to fall silent, what is needed is where the pass stood before the last answer.
        let heard = control.heard_last().unwrap_or(now).max(now.saturating_sub(LONGEST_DOUBT * 2));
        let needed_from = heard.saturating_sub(self.pass.linger.most);
        self.trail.note(now, self.checkpoint(), needed_from);
        let sent = &mut self.outcome.sent;
        control.due(now, |member| {
            *sent += u64::from(ask_member(member, recogniser, world, now));
        });
        match control.judge(now) {
            Judgement::NotYet | Judgement::Well => {}
            Judgement::Thin => care.throttle.trouble(now, Trouble::AnswersThin),
            Judgement::Silent(silence) => return Some(silence),
        }
        None
    }

    /// Whether every question is answered or cannot be asked.
    fn nothing_is_open(&self) -> bool {
        self.closed.count() >= self.length
    }

    /// Where in this shard's order the question stands that an answer belongs to.
    fn position_of(&self, place: &Place) -> Option<u64> {
        let place = match *place {
            Place::Steered { index, question } => {
                Place::Steered { index: index.checked_sub(self.steered.0)?, question }
            }
            other => other,
        };
        let (host, question) = self.pass.locate(&place)?;
        let found = self.numbers.binary_search_by_key(&question, |(question, _)| *question);
        let (_, number) = self.numbers.get(found.ok()?)?;
        let slot = self.order.place_of(host)?;
        let cycle = self.pass.cycle_of(host, *number);
        self.pass.shard.position(cycle * self.hosts + slot)
    }

    /// Where the pass stood when the last was asked whose answer was heard by this time, if it was to be heard at all.
    fn settled_by(&self, time: Duration) -> Checkpoint {
        self.trail.at(time.saturating_sub(self.rtt.quiet(self.pass.linger)))
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

/// RFC 792; deprecated by RFC 6633, which old routers have not read.
const SOURCE_QUENCH: u8 = 4;

/// Asks one of the control group; whether the frame went. A template is made for it alone: a few a second.
fn ask_member(
    member: &Member,
    recogniser: &Recogniser,
    world: &mut dyn World,
    now: Duration,
) -> bool {
    let frame = || {
        let probe = probe::named(member.probe)?;
        let vantage = recogniser.vantage(member.vantage)?;
        let questions = [member.question];
        let setup = Setup {
            vantage,
            source: vantage.source_for(member.target)?,
            keys: recogniser.keys(),
            ports: recogniser.ports(),
            questions: &questions,
        };
        let mut template = probe.template(&setup)?;
        let next_hop = match probe.resolution() {
            Resolution::IsIt => None,
            Resolution::Needs => Some(member.mac),
        };
        let (target, question) = (member.target, member.question);
        let ask = Ask { target, question, next_hop, attempt: 0, extra: 0 };
        Some((probe.class(), template.stamp(&ask).to_vec()))
    };
    let Some((class, frame)) = frame() else { return false };
    let fence = world.fence();
    // A fragile host had its one question.
    match fence.guard().admit(member.target, member.vantage, class) {
        Ok(permit) if !permit.is_fragile() => {
            matches!(fence.submit(&permit, &frame, now), Submission::Sent)
        }
        _ => false,
    }
}
