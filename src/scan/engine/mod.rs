//! The send and receive loop of a pass.

mod answered;
mod ask;
mod reporter;
mod round_trips;
mod run;
mod trail;

use std::net::IpAddr;
use std::time::Duration;

use thiserror::Error;

use super::care::Care;
use super::pass::{Checkpoint, Outcome, Pass};
use super::recogniser::{Place, Recognised, Recogniser};
use super::world::{Heard, World};
use crate::link::LinkError;
use run::Run;

/// Who looks on: the conductor.
pub trait Watcher {
    /// Every frame that was heard, with the answer that it is, if it is one.
    fn frame(&mut self, heard: &Heard<'_>, recognised: Option<Recognised>);

    /// The first answer to a question of the running pass.
    fn answer(&mut self, _recognised: &Recognised) {}

    /// A few times a second.
    fn progress(&mut self, progress: &Progress);

    /// Where a resume would go on from, about once a second: where the pass stood so long ago that what was asked
    /// until then is answered, or will not be.
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
    #[error("the shard has {size} questions; at most {most}: cut the pass into more shards")]
    TooLarge { size: u128, most: u64 },
    #[error("no such vantage")]
    UnknownVantage,
    /// The link failed in the middle. What was done until then stands.
    #[error("{source}")]
    Link { source: LinkError, outcome: Box<Outcome> },
}

/// A bit for each question: 32 MiB. What is larger goes by shards, each with bits of its own.
pub const MOST_QUESTIONS: u64 = 1 << 28;
/// The longest sleep: how late a stop may be noticed.
const LONGEST_SLEEP: Duration = Duration::from_millis(100);

/// Runs a pass to its end, or until the watcher or the control group stops it.
///
/// `resume` is where an interrupted run of the same pass stood. `answered` are questions that need
/// no asking: what the log of that run already holds. Both are empty in a fresh sweep.
pub fn run(
    pass: &Pass<'_>,
    resume: Option<Checkpoint>,
    answered: &mut dyn Iterator<Item = (IpAddr, u16)>,
    care: &mut Care,
    recogniser: &mut Recogniser,
    world: &mut dyn World,
    watcher: &mut dyn Watcher,
) -> Result<Outcome, ScanError> {
    let mut run = Run::new(pass, recogniser)?;
    for (target, question) in answered {
        run.answered_before(&Place::Address { target, question });
    }
    if let Some(checkpoint) = resume.filter(|checkpoint| checkpoint.pass == pass.id) {
        run.go_on_from(checkpoint);
    }
    run.all(care, recogniser, world, watcher)
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
        hear(recogniser, world, watcher, left.min(LONGEST_SLEEP), &mut |_, _, _| {})?;
    }
}

/// Takes what is waiting; every frame passes the fence's ear and the recogniser. `note` is told each answer
/// and when it was taken from the link.
fn hear(
    recogniser: &Recogniser,
    world: &mut dyn World,
    watcher: &mut dyn Watcher,
    patience: Duration,
    note: &mut dyn FnMut(&mut dyn Watcher, Duration, &Recognised),
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
            note(watcher, heard.now, recognised);
        }
        watcher.frame(&heard, recognised);
    })
}
