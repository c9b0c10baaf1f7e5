//! A pass: one probe, asked of one set of targets from one vantage.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::care::Silence;
use super::next_hop::NextHops;
use super::order::{Shard, mix};
use super::probe::Probe;
use super::recogniser::Place;
use crate::net::AddressSet;
use crate::observe::VantageId;
use crate::scope::{Refusal, Steered};

/// Whom a pass asks.
#[derive(Debug, Clone)]
pub enum Targets {
    /// Every address of the set that the fence admits. One set is one family: what the probe does not
    /// speak is passed over.
    Addresses(AddressSet),
    /// Neighbours steered through, by permits that the guard made. Their place in the list is in the
    /// token, so the recogniser must be told the same list.
    Steered(Vec<Steered>),
}

impl Targets {
    pub fn count(&self) -> u128 {
        match self {
            Targets::Addresses(set) => set.count(),
            Targets::Steered(list) => list.len() as u128,
        }
    }
}

/// In which order one host's questions come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuestionOrder {
    /// Each host begins at another question: a thousand hosts are not asked one port at once, and in
    /// a hop ladder each router on the way is asked by only some of the frames in flight.
    Staggered,
    /// All hosts are asked the first question first.
    AsGiven,
}

/// How long a round waits for late answers when its last question is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Linger {
    /// Never less, however fast the answers were.
    pub least: Duration,
    /// Never more, however late they were. Also the wait where nothing ever answered.
    pub most: Duration,
}

/// On a link answers come in milliseconds; 250 ms is what a busy printer needs (a guess), a second
/// what a first packet takes over a satellite or a VPN that wakes up.
impl Default for Linger {
    fn default() -> Self {
        Linger { least: Duration::from_millis(250), most: Duration::from_secs(1) }
    }
}

/// One probe × targets × questions, from one vantage.
pub struct Pass<'a> {
    /// Tells this pass from the others of the sweep: it keys the order. Stable over a resume.
    pub id: u64,
    pub vantage: VantageId,
    pub probe: &'static dyn Probe,
    pub targets: Targets,
    /// What is asked of each target: ports, hop limits; [`Probe::questions`] where the probe knows
    /// itself.
    pub questions: Vec<u16>,
    pub question_order: QuestionOrder,
    /// How often a silent question is asked in all.
    pub rounds: u8,
    /// The least time between two questions to one target, for probes whose answers are rationed.
    pub spacing: Duration,
    /// The most questions of this pass in a second; `None` leaves it to the ceilings.
    pub rate: Option<u32>,
    pub linger: Linger,
    pub shard: Shard,
    pub next_hops: &'a NextHops,
}

impl<'a> Pass<'a> {
    /// A pass of one round over everything, at the pace that the probe asks for.
    pub fn new(
        id: u64,
        vantage: VantageId,
        probe: &'static dyn Probe,
        targets: Targets,
        next_hops: &'a NextHops,
    ) -> Pass<'a> {
        Pass {
            id,
            vantage,
            probe,
            targets,
            questions: probe.questions().to_vec(),
            question_order: QuestionOrder::Staggered,
            rounds: 1,
            spacing: probe.spacing(),
            rate: None,
            linger: Linger::default(),
            shard: Shard::WHOLE,
            next_hops,
        }
    }

    /// How many questions the pass has, before exclusions, over all shards.
    pub fn size(&self) -> u128 {
        self.targets.count().saturating_mul(self.questions.len() as u128)
    }

    /// The longest that the waits between and behind the rounds can take together.
    pub fn longest_wait(&self) -> Duration {
        let cycles = self.questions.len().saturating_sub(1) as u32;
        (self.linger.most + self.spacing * cycles) * u32::from(self.rounds)
    }

    /// The number of the host that an answer is about, and which question it answers.
    pub(super) fn locate(&self, place: &Place) -> Option<(u64, u16)> {
        match (place, &self.targets) {
            (Place::Address { target, question }, Targets::Addresses(set)) => {
                Some((u64::try_from(set.position(*target)?).ok()?, *question))
            }
            (Place::Steered { index, question }, Targets::Steered(list)) => {
                (usize::from(*index) < list.len()).then_some((u64::from(*index), *question))
            }
            _ => None,
        }
    }

    /// The cycle in which a host is asked the question of this number: [`Pass::question_of`] backwards.
    pub(super) fn cycle_of(&self, host: u64, number: u64) -> u64 {
        let count = self.questions.len().max(1) as u64;
        match self.question_order {
            QuestionOrder::Staggered => (number + count - mix(host ^ self.id) % count) % count,
            QuestionOrder::AsGiven => number,
        }
    }

    /// The number of the question that a host is asked in this cycle.
    pub(super) fn question_of(&self, host: u64, cycle: u64) -> u64 {
        let count = self.questions.len().max(1) as u64;
        match self.question_order {
            QuestionOrder::Staggered => (cycle + mix(host ^ self.id) % count) % count,
            QuestionOrder::AsGiven => cycle % count,
        }
    }
}

/// Where a pass stood when it was interrupted: enough to go on.
///
/// Nothing is kept of who answered; who resumes tells it again from the observations
/// (`answered` of [`super::engine::run`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub pass: u64,
    /// From 0.
    pub round: u8,
    /// Everything before this place of the round is done.
    pub position: u64,
}

/// What came of a pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Frames that left, retries too.
    pub sent: u64,
    /// Questions that had an answer.
    pub answered: u64,
    /// Questions that were asked at least once.
    pub asked: u64,
    /// Questions that the fence refused, by reason.
    pub refused: BTreeMap<Refusal, u64>,
    /// Questions not asked because nobody's MAC leads there.
    pub unresolved: u64,
    /// Questions not asked because the vantage has no fit source address.
    pub sourceless: u64,
    /// Frames that were longer than the interface's MTU.
    pub too_long: u64,
    /// `None` when the pass came to its end.
    pub interrupted: Option<Checkpoint>,
    /// The network fell silent: why it was interrupted.
    pub silent: Option<Silence>,
}
