//! The control group: some hosts that answered, asked again at intervals while the sweep goes on.
//!
//! A sweep that hears nothing cannot tell a network without hosts from one that is gone, or that it has
//! overrun. The control group can: its members did answer, under the same question, in this sweep.
//!
//! - **Thin**: of those asked less than half answer. Somebody on the way loses what is sent: the
//!   [throttle](super::throttle) slows down.
//! - **Silent**, the dead man's switch: nobody of the group answers, and no answer of any kind has come, for
//!   [`SILENCE`]. The network is gone, or we are cut off from it, or it has broken under what it is asked: in
//!   each case a sweep that goes on does harm or is worthless. It stops, and says so.
//!
//! Who is in the group is drawn from all who answered (a reservoir), so that one failing switch is not the
//! whole group. A member is asked once in [`EACH`] at most; who stays away while others answer was switched
//! off, and makes room.

use std::net::IpAddr;
use std::time::Duration;

use crate::net::Mac;
use crate::observe::VantageId;

/// A question that was answered, and how to ask it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    pub vantage: VantageId,
    /// The probe's name.
    pub probe: &'static str,
    pub target: IpAddr,
    pub question: u16,
    /// Of its next hop.
    pub mac: Mac,
}

/// A group that does not answer any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// When the last answer of any kind was heard.
    pub since: Duration,
    /// Members that were asked since and did not answer.
    pub asked: usize,
}

/// Large enough that half of it is no accident.
const MOST_MEMBERS: usize = 32;
/// Fewer hosts than this may all be switched off by one hand.
const LEAST_MEMBERS: usize = 3;
/// Asked together at each interval: a hundredth of the default rate.
const ASKED_AT_ONCE: usize = 8;
const INTERVAL: Duration = Duration::from_secs(1);
/// The least time between two questions to one member.
const EACH: Duration = Duration::from_secs(2);
/// How long an answer may take: as long as a pass waits.
const PATIENCE: Duration = Duration::from_secs(1);
/// No answer for so long, while the group was asked, stops the sweep. At the default rate it is five
/// thousand frames into nothing; shorter, and a spanning tree that settles (RSTP: up to 6 s in old
/// bridges, mostly under 2 s) would stop it. A guess between the two.
pub const SILENCE: Duration = Duration::from_secs(5);
/// Of so many and more a share is told.
const LEAST_ASKED: usize = 4;
/// A member that missed so many questions in a row while others answered leaves the group.
const MOST_MISSED: u8 = 3;

#[derive(Debug, Clone, Copy)]
struct Entry {
    member: Member,
    asked_at: Option<Duration>,
    answered: bool,
    /// Answered in time, at first or when it was asked again. Who never did, a tarpit or a SYN proxy that takes its time, says
    /// nothing by staying away.
    proved: bool,
    missed: u8,
}

#[derive(Debug, Default)]
pub struct Control {
    entries: Vec<Entry>,
    /// Who answered so far, in the group or not.
    seen: u64,
    dice: u64,
    next: usize,
    asked_last: Option<Duration>,
    judged_last: Duration,
    heard_last: Option<Duration>,
    /// When somebody was asked first since an answer was heard last.
    doubt: Option<Duration>,
}

impl Control {
    pub fn new(seed: u64) -> Control {
        Control { dice: seed | 1, ..Control::default() }
    }

    /// An answer of any kind was recognised.
    pub fn heard(&mut self, now: Duration) {
        self.heard_last = Some(self.heard_last.map_or(now, |last| last.max(now)));
        self.doubt = None;
    }

    /// Frames were lost on our side, or others flood the wire: an answer may have been lost among them, so silence is no
    /// silence. Who floods a wire must not be able to stop a sweep by it.
    pub fn missed_some(&mut self) {
        self.doubt = None;
    }

    /// A question was answered for the first time: its host may join. `took` is how long the answer took, where
    /// that was timed.
    pub fn enrol(&mut self, member: Member, took: Option<Duration>) {
        self.seen += 1;
        let proved = took.is_some_and(|took| took <= PATIENCE);
        let fresh = Entry { member, asked_at: None, answered: false, proved, missed: 0 };
        if self.entries.len() < MOST_MEMBERS {
            if self.entries.iter().all(|entry| entry.member.target != member.target) {
                self.entries.push(fresh);
            }
            return;
        }
        // Every one of those seen has the same chance to be in the group.
        let drawn = self.draw() % self.seen;
        if let Some(place) = self.entries.get_mut(drawn as usize) {
            *place = fresh;
        }
    }

    /// A member's answer, if it is one.
    pub fn answered(&mut self, now: Duration, probe: &str, target: IpAddr) {
        for entry in &mut self.entries {
            let in_time = entry.asked_at.is_some_and(|at| now.saturating_sub(at) <= PATIENCE);
            if in_time && entry.member.target == target && entry.member.probe == probe {
                (entry.answered, entry.proved) = (true, true);
                entry.missed = 0;
            }
        }
    }

    /// When an answer of any kind was heard last.
    pub fn heard_last(&self) -> Option<Duration> {
        self.heard_last
    }

    /// Whether a group that was asked before has heard nothing since.
    pub fn is_waiting_since(&self, time: Duration) -> bool {
        let is_asked = self.asked_last.is_some() && self.entries.len() >= LEAST_MEMBERS;
        is_asked && self.heard_last.is_some_and(|last| last <= time)
    }

    pub fn members(&self) -> usize {
        self.entries.len()
    }

    /// Whom to ask now; nobody most of the time.
    pub fn due(&mut self, now: Duration, mut ask: impl FnMut(&Member)) {
        // Fewer decide nothing, and asking them is asking for nothing.
        if self.entries.len() < LEAST_MEMBERS {
            return;
        }
        // The first answers are news enough for an interval.
        let last = *self.asked_last.get_or_insert(now);
        if now.saturating_sub(last) < INTERVAL {
            return;
        }
        self.asked_last = Some(now);
        self.doubt.get_or_insert(now);
        let mut asked = 0;
        for _ in 0..self.entries.len() {
            self.next = (self.next + 1) % self.entries.len();
            let Some(entry) = self.entries.get_mut(self.next) else { break };
            if entry.asked_at.is_some_and(|at| now.saturating_sub(at) < EACH) {
                continue;
            }
            (entry.asked_at, entry.answered) = (Some(now), false);
            ask(&entry.member);
            asked += 1;
            if asked == ASKED_AT_ONCE {
                break;
            }
        }
    }

    /// How the group does: whether answers are thin, and whether all is silent.
    pub fn judge(&mut self, now: Duration) -> Judgement {
        if now.saturating_sub(self.judged_last) < INTERVAL {
            return Judgement::NotYet;
        }
        let since = self.judged_last;
        self.judged_last = now;
        // Whoever had the time to answer, and was not counted before.
        let ripe = |at: Duration| now.saturating_sub(at) >= PATIENCE && at + PATIENCE > since;
        let (mut asked, mut answered) = (0, 0);
        for entry in &mut self.entries {
            if entry.asked_at.is_some_and(ripe) {
                asked += usize::from(entry.proved);
                answered += usize::from(entry.answered);
                entry.missed += u8::from(!entry.answered && entry.missed < u8::MAX);
            }
        }
        if let Some(silence) = self.silence(now) {
            return Judgement::Silent(silence);
        }
        if answered > 0 {
            self.entries.retain(|entry| entry.missed < MOST_MISSED);
        }
        if asked >= LEAST_ASKED && answered * 2 < asked {
            return Judgement::Thin;
        }
        match self.doubt {
            Some(doubt) if now.saturating_sub(doubt) >= PATIENCE => Judgement::NotYet,
            _ => Judgement::Well,
        }
    }

    fn silence(&self, now: Duration) -> Option<Silence> {
        let (since, doubt) = (self.heard_last?, self.doubt?);
        if now.saturating_sub(doubt) < SILENCE {
            return None;
        }
        // Asked since the last answer came, and given the time to answer.
        let asked = self.entries.iter().filter(|entry| {
            entry.asked_at.is_some_and(|at| at >= doubt && now.saturating_sub(at) >= PATIENCE)
        });
        let asked = asked.count();
        (asked >= LEAST_MEMBERS).then_some(Silence { since, asked })
    }

    /// Xorshift64*: all that is asked of it is to be spread.
    fn draw(&mut self) -> u64 {
        self.dice ^= self.dice >> 12;
        self.dice ^= self.dice << 25;
        self.dice ^= self.dice >> 27;
        self.dice.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 8
    }
}

/// How the control group does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It is not time, or somebody's answer is awaited for longer than it should take.
    NotYet,
    /// Nothing that was asked until now is in doubt.
    Well,
    Thin,
    Silent(Silence),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: f64) -> Duration {
        Duration::from_secs_f64(count)
    }

    fn member(last: u8) -> Member {
        Member {
            vantage: VantageId(0),
            probe: "icmp",
            target: [10, 20, 1, last].into(),
            question: 0,
            mac: Mac([2, 0, 0, 0, 0, last]),
        }
    }

    /// Runs for some seconds; `answers` says who answers when. All judgements but `Well`, with their time.
    fn run(
        control: &mut Control,
        until: f64,
        answers: impl Fn(u8, f64) -> bool,
    ) -> Vec<(u64, Judgement)> {
        let mut told = Vec::new();
        for tick in 0..(until * 10.0) as u64 {
            let now = Duration::from_millis(tick * 100);
            let mut asked = Vec::new();
            control.due(now, |member| asked.push(*member));
            for member in asked {
                let IpAddr::V4(target) = member.target else { continue };
                if answers(target.octets()[3], now.as_secs_f64()) {
                    control.heard(now);
                    control.answered(now, member.probe, member.target);
                }
            }
            match control.judge(now) {
                Judgement::Well | Judgement::NotYet => {}
                other => told.push((now.as_secs(), other)),
            }
        }
        told
    }

    #[test]
    fn a_network_that_falls_silent_is_told_after_some_seconds() {
        let mut control = Control::new(7);
        (1..=20).for_each(|last| control.enrol(member(last), None));
        control.heard(Duration::ZERO);
        let told = run(&mut control, 20.0, |_, at| at < 10.0);
        let silent = told.iter().find_map(|(at, judgement)| match judgement {
            Judgement::Silent(silence) => Some((*at, silence.since)),
            _ => None,
        });
        let (at, since) = silent.unwrap();
        assert!((14..=17).contains(&at), "{at}");
        assert!((seconds(8.0)..=seconds(10.0)).contains(&since), "{since:?}");
    }

    #[test]
    fn two_hosts_that_are_switched_off_stop_nothing() {
        let mut control = Control::new(7);
        (1..=2).for_each(|last| control.enrol(member(last), None));
        control.heard(Duration::ZERO);
        assert_eq!(run(&mut control, 30.0, |_, at| at < 5.0), []);
    }

    #[test]
    fn a_group_of_which_most_stay_away_is_thin_and_then_renews_itself() {
        let mut control = Control::new(7);
        (1..=16).for_each(|last| control.enrol(member(last), None));
        control.heard(Duration::ZERO);
        let told = run(&mut control, 8.0, |last, at| at < 4.0 || last % 4 == 0);
        assert!(told.iter().any(|(_, judgement)| *judgement == Judgement::Thin), "{told:?}");
        assert!(told.iter().all(|(_, judgement)| !matches!(judgement, Judgement::Silent(_))));
    }

    #[test]
    fn answers_of_others_keep_the_sweep_going() {
        let mut control = Control::new(7);
        (1..=20).for_each(|last| control.enrol(member(last), None));
        for tick in 0..300u64 {
            let now = Duration::from_millis(tick * 100);
            control.heard(now);
            control.due(now, |_| {});
            assert!(!matches!(control.judge(now), Judgement::Silent(_)));
        }
    }

    #[test]
    fn everybody_has_a_chance_to_be_in_the_group_and_nobody_twice() {
        let mut control = Control::new(99);
        for number in 0..10_000u32 {
            let [_, _, high, low] = number.to_be_bytes();
            control.enrol(Member { target: [10, 20, high, low].into(), ..member(0) }, None);
        }
        assert_eq!(control.members(), MOST_MEMBERS);
        let early = control.entries.iter().filter(|entry| {
            let IpAddr::V4(target) = entry.member.target else { return false };
            target.octets()[2] < 4
        });
        assert!(early.count() < MOST_MEMBERS / 2);
    }

    #[test]
    fn one_member_is_asked_no_more_than_every_other_second() {
        let mut control = Control::new(7);
        (1..=3).for_each(|last| control.enrol(member(last), None));
        let mut times = Vec::new();
        for tick in 0..100u64 {
            let now = Duration::from_millis(tick * 100);
            control.due(now, |asked| {
                if *asked == member(1) {
                    times.push(now);
                }
            });
        }
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= EACH));
        assert!(times.len() >= 4, "{times:?}");
    }
}
