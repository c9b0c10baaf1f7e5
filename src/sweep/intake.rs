//! The one way in for every frame, live or from a record: kept, recognised, dissected, put down.
//!
//! A replay is the same sweep because it goes through here too, frame by frame in the same order.

use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;

use super::live::Live;
use super::spool::Spool;
use super::tape::Tape;
use crate::net::Mac;
use crate::observe::{FrameNumber, Log, Source, VantageId};
use crate::passive::Listener;
use crate::scan::Recognised;
use crate::wire::LinkType;

pub struct Intake {
    pub log: Log,
    pub live: Live,
    tape: Arc<Mutex<Tape>>,
    listener: Listener,
    /// The vantages' own MACs: what they send is no observation.
    own: Vec<Mac>,
    pub received: u64,
    learnt: usize,
    span: Option<(Timestamp, Timestamp)>,
}

impl Intake {
    /// `log` is empty, or that of the sweep which is gone on with.
    pub fn new(log: Log, tape: Arc<Mutex<Tape>>, own: Vec<Mac>) -> Intake {
        let mut intake = Intake {
            log,
            live: Live::default(),
            tape,
            listener: Listener::new(),
            own,
            received: 0,
            learnt: 0,
            span: None,
        };
        intake.learn();
        intake
    }

    /// The tape, whoever held it last.
    pub fn tape(&self) -> MutexGuard<'_, Tape> {
        lock(&self.tape)
    }

    /// Hands out what was put down and the frames that it names, and begins anew with an empty log and this spool.
    pub fn cut(&mut self, spool: Spool) -> (Log, Spool) {
        let log = std::mem::take(&mut self.log);
        self.listener.begin_anew();
        self.live = Live::default();
        self.learnt = 0;
        let spool = std::mem::replace(&mut lock(&self.tape).spool, spool);
        (log, spool)
    }

    /// A frame that our own side sent.
    pub fn sent(&mut self, vantage: VantageId, at: Timestamp, bytes: &[u8], length: u32) {
        self.tape().sent(vantage, at, bytes, length);
    }

    /// A frame that was heard, with the answer that it is, if it is one.
    pub fn heard(
        &mut self,
        vantage: VantageId,
        at: Timestamp,
        link_type: LinkType,
        bytes: &[u8],
        length: u32,
        recognised: Option<Recognised>,
    ) {
        self.received += 1;
        self.span = Some(self.span.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
        let number = {
            let mut tape = lock(&self.tape);
            tape.heard(vantage, at, bytes, length);
            tape.spool.next_number()
        };
        if self.is_own(bytes) {
            return;
        }
        if let Some(recognised) = recognised {
            self.log.observe(at, vantage, recognised.source, recognised.fact, &[number]);
        }
        self.listener.take(&mut self.log, vantage, at, number, link_type, bytes);
        if self.log.latest_frame() == Some(number) {
            lock(&self.tape).keep(vantage, at, bytes, length);
        }
        self.learn();
    }

    /// The earliest and the latest time of a frame: a file's own times may go backwards.
    pub fn first_at(&self) -> Option<Timestamp> {
        self.span.map(|(first, _)| first)
    }

    pub fn last_at(&self) -> Option<Timestamp> {
        self.span.map(|(_, last)| last)
    }

    /// Frames of link types that no reader knows.
    pub fn skipped(&self) -> u64 {
        self.listener.heard().skipped.values().sum()
    }

    /// Puts down what no frame of the others shows.
    pub fn note(
        &mut self,
        at: Timestamp,
        vantage: VantageId,
        source: Source,
        fact: crate::observe::Fact,
        frames: &[FrameNumber],
    ) {
        self.log.observe(at, vantage, source, fact, frames);
        self.learn();
    }

    /// Another station of the machine's own, or a frame of ours that came back over a mirror port.
    fn is_own(&self, bytes: &[u8]) -> bool {
        let source = bytes.get(6..12).and_then(|octets| octets.try_into().ok()).map(Mac);
        source.is_some_and(|source| self.own.contains(&source))
    }

    fn learn(&mut self) {
        for observation in self.log.since(self.learnt) {
            self.live.learn(observation);
        }
        self.learnt = self.log.len();
    }
}

/// A lock whose holder panicked still guards whole values: each write is finished or was not begun.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
