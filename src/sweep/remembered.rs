//! What a long listening remembers: everything that was seen within a window of time.
//!
//! Memory does not grow with time. What was not seen again within the window is forgotten at the next cut, and past
//! [`MOST_REMEMBERED`] facts those that were seen longest ago make room: what is new matters more than what is over.
//! A fact that goes on being seen keeps the time when it was first seen, however long ago. Frames stay as long as a fact that names
//! them does, up to [`MOST_FRAMES`] octets on disk; a fact that comes after that stands without its packets.

use std::io;
use std::time::Duration;

use jiff::Timestamp;

use super::spool::Spool;
use super::vigil::Cut;
use crate::observe::{Log, Observation};
use crate::result::evidence::Frames;

/// Five facts of each of 100,000 stations.
pub const MOST_REMEMBERED: usize = 500_000;
/// Octets of frames on disk.
const MOST_FRAMES: u64 = 1 << 30;

pub struct Remembered {
    pub log: Log,
    pub spool: Spool,
    window: Duration,
    most: usize,
    /// Facts that made room before their time.
    pub crowded_out: u64,
}

impl Remembered {
    pub fn new(window: Duration) -> io::Result<Remembered> {
        Remembered::at_most(window, MOST_REMEMBERED)
    }

    fn at_most(window: Duration, most: usize) -> io::Result<Remembered> {
        let spool = Spool::temporary()?.at_most(MOST_FRAMES);
        Ok(Remembered { log: Log::default(), spool, window, most, crowded_out: 0 })
    }

    /// Takes what is new, until the cut brings it whole.
    pub fn hear(&mut self, news: Vec<Observation>) {
        for observation in news {
            self.log.fold(observation);
        }
    }

    /// From when on what was seen last is remembered at an instant.
    pub fn since(&self, now: Timestamp) -> Timestamp {
        now.checked_sub(self.window).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Folds in an interval, and forgets what is over.
    pub fn take(&mut self, cut: Cut, now: Timestamp) -> io::Result<()> {
        let Cut { log, spool: mut from, told, .. } = cut;
        for (place, mut observation) in log.into_observations().into_iter().enumerate() {
            // It was counted once when it was news.
            observation.count = observation.count.saturating_sub(u64::from(place < told));
            self.log.fold(observation);
        }
        self.forget(now);
        for (_, observation) in self.log.iter() {
            for number in &observation.frames {
                if !self.spool.has(*number)
                    && let Some(frame) = from.frame(*number)?
                {
                    self.spool.adopt(*number, &frame)?;
                }
            }
        }
        self.tidy()
    }

    fn forget(&mut self, now: Timestamp) {
        let since = self.since(now);
        let over = self.log.iter().filter(|(_, known)| known.last_at < since).count();
        let left = self.log.len() - over;
        if over == 0 && left <= self.most {
            return;
        }
        let mut kept: Vec<_> = std::mem::take(&mut self.log).into_observations();
        kept.retain(|known| known.last_at >= since);
        if kept.len() > self.most {
            // Stable: they stay in the order of first sight.
            let mut times: Vec<_> = kept.iter().map(|known| known.last_at).collect();
            let crowd = kept.len() - self.most;
            let (_, &mut last, _) = times.select_nth_unstable(crowd);
            let before = kept.len();
            let mut equal = before - self.most - kept.iter().filter(|k| k.last_at < last).count();
            kept.retain(|known| {
                let goes = known.last_at == last && equal > 0;
                equal -= usize::from(goes);
                known.last_at >= last && !goes
            });
            self.crowded_out += (before - kept.len()) as u64;
        }
        self.log = Log::of(kept);
    }

    /// Writes the frames that are still named into a new file, when they are less than half of the old one.
    fn tidy(&mut self) -> io::Result<()> {
        let named = self.log.iter().map(|(_, known)| known.frames.len()).sum::<usize>();
        let (kept, _) = self.spool.size();
        if kept <= 2 * named.max(1024) {
            return Ok(());
        }
        let mut spool = Spool::temporary()?.at_most(MOST_FRAMES);
        for (_, observation) in self.log.iter() {
            for number in &observation.frames {
                if !spool.has(*number)
                    && let Some(frame) = self.spool.frame(*number)?
                {
                    spool.adopt(*number, &frame)?;
                }
            }
        }
        self.spool = spool;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::capture::Direction;
    use crate::net::Mac;
    use crate::observe::{Fact, FrameNumber, Source, VantageId};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn fact(station: u16) -> Fact {
        let [a, b] = station.to_be_bytes();
        Fact::Binding { ip: [10, 20, a, b].into(), mac: Mac([2, 0, 0, 0, a, b]) }
    }

    /// An interval in which each of these stations was seen at this second, by a frame each.
    fn cut(first: u64, second: i64, stations: impl IntoIterator<Item = u16>) -> Cut {
        let mut log = Log::default();
        let mut spool = Spool::temporary_from(FrameNumber(first)).unwrap();
        for station in stations {
            let number = spool.next_number();
            log.observe(at(second), VantageId(0), Source::Arp, fact(station), &[number]);
            let bytes = [station as u8; 60];
            spool.keep(at(second), VantageId(0), &bytes, 60, Direction::Inbound).unwrap();
        }
        Cut { log, spool, told: 0, dropped: Vec::new(), fault: None }
    }

    fn stations(remembered: &Remembered) -> Vec<Fact> {
        remembered.log.iter().map(|(_, known)| known.fact.clone()).collect()
    }

    #[test]
    fn what_is_repeated_stays_with_its_first_time_and_the_rest_goes() {
        let mut remembered = Remembered::new(Duration::from_secs(100)).unwrap();
        remembered.take(cut(1, 1000, [1, 2]), at(1000)).unwrap();
        remembered.take(cut(10, 1090, [1]), at(1090)).unwrap();
        assert_eq!(stations(&remembered), [fact(1), fact(2)]);
        remembered.take(cut(20, 1150, [3]), at(1150)).unwrap();
        assert_eq!(stations(&remembered), [fact(1), fact(3)]);
        let (_, first) = remembered.log.iter().next().unwrap();
        assert_eq!((first.at, first.last_at, first.count), (at(1000), at(1090), 2));
        assert_eq!(first.frames, [FrameNumber(1), FrameNumber(10)]);
        let frame = remembered.spool.frame(FrameNumber(10)).unwrap().unwrap();
        assert_eq!((frame.bytes[0], frame.at), (1, at(1090)));
    }

    #[test]
    fn news_are_counted_once() {
        let mut remembered = Remembered::new(Duration::from_secs(100)).unwrap();
        let mut whole = cut(1, 1000, [1, 2]);
        remembered.hear(whole.log.iter().take(1).map(|(_, known)| known.clone()).collect());
        assert_eq!(stations(&remembered), [fact(1)]);
        whole.told = 1;
        remembered.take(whole, at(1000)).unwrap();
        assert!(remembered.log.iter().all(|(_, known)| known.count == 1));
        assert!(remembered.spool.has(FrameNumber(1)));
    }

    #[test]
    fn a_year_of_strangers_takes_no_more_than_an_hour_of_them() {
        let mut remembered = Remembered::at_most(Duration::from_secs(1000), 500).unwrap();
        let mut next = 1;
        for round in 0..300u16 {
            let second = i64::from(round) * 10;
            // A hundred stations that nobody saw before, and one that is always there.
            let strangers = (0..100).map(|one| 1000 + round * 100 + one);
            remembered.take(cut(next, second, strangers.chain([7])), at(second)).unwrap();
            next += 101;
            assert!(remembered.log.len() <= 500);
            let (frames, octets) = remembered.spool.size();
            assert!(frames <= 2 * 1024 + 101 && octets < 300_000, "{frames} {octets}");
        }
        assert!(stations(&remembered).contains(&fact(7)));
        assert_eq!(remembered.crowded_out, 300 * 100 + 1 - 500);
    }
}
