//! The log of a sweep's observations: equal facts fold into one, and it cannot outgrow its limits.

use std::collections::HashMap;

use jiff::Timestamp;

use super::{Fact, FrameNumber, Observation, ObservationId, Source, VantageId};

/// How much a log keeps.
#[derive(Debug, Clone, Copy)]
pub struct LogLimits {
    pub observations: usize,
    /// Frames kept for one observation: the first ones.
    pub frames: usize,
}

/// A /16 with every answer to sixty ports is four million facts; most sweeps have thousands. Four
/// frames show a thing twice, question and answer.
impl Default for LogLimits {
    fn default() -> Self {
        LogLimits { observations: 4_000_000, frames: 4 }
    }
}

/// Observations in the order of first sight.
#[derive(Debug, Default)]
pub struct Log {
    observations: Vec<Observation>,
    places: HashMap<(VantageId, Source, Fact), u32>,
    limits: LogLimits,
    refused: u64,
    latest_frame: Option<FrameNumber>,
}

impl Log {
    pub fn new(limits: LogLimits) -> Log {
        Log { limits, ..Log::default() }
    }

    /// Observations as they were read back; equal ones fold.
    pub fn of(observations: impl IntoIterator<Item = Observation>) -> Log {
        let mut log = Log::default();
        for observation in observations {
            log.put(observation);
        }
        log
    }

    /// Where the fact stands now, and whether it is new. `None` when the log is full and the fact new.
    pub fn observe(
        &mut self,
        at: Timestamp,
        vantage: VantageId,
        source: Source,
        fact: Fact,
        frames: &[FrameNumber],
    ) -> Option<(ObservationId, bool)> {
        self.put(Observation {
            at,
            last_at: at,
            count: 1,
            vantage,
            source,
            fact,
            frames: frames.to_vec(),
        })
    }

    /// Folds in what another log knew.
    pub fn fold(&mut self, observation: Observation) {
        self.put(observation);
    }

    /// What it holds, in the order of first sight.
    pub fn into_observations(self) -> Vec<Observation> {
        self.observations
    }

    fn put(&mut self, mut observation: Observation) -> Option<(ObservationId, bool)> {
        let key = (observation.vantage, observation.source, observation.fact.clone());
        if let Some(&place) = self.places.get(&key) {
            let known = &mut self.observations[place as usize];
            known.at = known.at.min(observation.at);
            known.last_at = known.last_at.max(observation.last_at);
            known.count = known.count.saturating_add(observation.count);
            for frame in observation.frames {
                if known.frames.len() < self.limits.frames && !known.frames.contains(&frame) {
                    known.frames.push(frame);
                    self.latest_frame = self.latest_frame.max(Some(frame));
                }
            }
            return Some((ObservationId(place), false));
        }
        if self.observations.len() >= self.limits.observations {
            self.refused += 1;
            return None;
        }
        let place = self.observations.len() as u32;
        observation.frames.truncate(self.limits.frames);
        self.latest_frame = self.latest_frame.max(observation.frames.last().copied());
        self.observations.push(observation);
        self.places.insert(key, place);
        Some((ObservationId(place), true))
    }

    /// Whether an equal fact is in the log.
    pub fn knows(&self, vantage: VantageId, source: Source, fact: &Fact) -> bool {
        self.places.contains_key(&(vantage, source, fact.clone()))
    }

    pub fn get(&self, id: ObservationId) -> Option<&Observation> {
        self.observations.get(id.0 as usize)
    }

    pub fn iter(&self) -> impl Iterator<Item = (ObservationId, &Observation)> {
        self.observations.iter().enumerate().map(|(place, o)| (ObservationId(place as u32), o))
    }

    pub fn len(&self) -> usize {
        self.observations.len()
    }

    pub fn is_empty(&self) -> bool {
        self.observations.is_empty()
    }

    /// The highest number of a frame that an observation names: who numbers frames as they come asks
    /// so whether the last one has to be kept.
    pub fn latest_frame(&self) -> Option<FrameNumber> {
        self.latest_frame
    }

    /// What was put down from a place on: what is new since the log had this length.
    pub fn since(&self, length: usize) -> &[Observation] {
        self.observations.get(length..).unwrap_or_default()
    }

    /// New facts that were not kept because the log was full.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Mac;

    #[test]
    fn equal_facts_fold_and_a_full_log_counts_what_it_refuses() {
        let mut log = Log::new(LogLimits { observations: 1, frames: 2 });
        let fact = |last: u8| Fact::Binding {
            ip: [10, 0, 0, last].into(),
            mac: Mac([2, 0, 0, 0, 0, last]),
        };
        let at = |second| Timestamp::from_second(second).unwrap();
        for second in [5, 3, 9] {
            log.observe(
                at(second),
                VantageId(0),
                Source::Arp,
                fact(1),
                &[FrameNumber(second as u64)],
            );
        }
        assert_eq!(log.observe(at(1), VantageId(0), Source::Arp, fact(2), &[]), None);
        assert!(log.knows(VantageId(0), Source::Arp, &fact(1)));
        assert!(!log.knows(VantageId(0), Source::Ndp, &fact(1)));
        let (_, only) = log.iter().next().unwrap();
        assert_eq!((only.at, only.last_at, only.count), (at(3), at(9), 3));
        assert_eq!(only.frames, [FrameNumber(5), FrameNumber(3)]);
        assert_eq!((log.len(), log.refused()), (1, 1));
    }
}
