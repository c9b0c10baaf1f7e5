//! Pacing on loss: the rate gives way, not the answers.
//!
//! Without trouble there is no limit here, and the ceilings alone decide. At trouble the limit becomes half
//! of what was really sent just before; while it stays quiet the limit grows again by a quarter each
//! [`RAISE`], and is lifted where it has passed the rate at which trouble was met by half. It is the additive
//! increase and multiplicative decrease of TCP (RFC 5681) with a steeper way up, because a sweep is short.
//!
//! Where far more is heard than what was sent can have brought ([`FLOOD`]), it is somebody else's flood, and
//! going slower would help nobody: who floods a wire must not be able to stop a sweep by it. What is lost
//! meanwhile is asked again.
//!
//! A pause is never made good: credit for frames grows with time up to [`BURST`] and no further.

use std::collections::BTreeMap;
use std::time::Duration;

use super::rate_of;

/// Why the sender slows down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trouble {
    /// The receive ring is more than half full.
    RingFull,
    /// The kernel threw frames away because we were too slow.
    Dropped,
    /// Hosts of the control group that answered before do not.
    AnswersThin,
    /// A router says that it is asked too fast (ICMP source quench, RFC 792).
    SourceQuench,
}

impl Trouble {
    pub const ALL: [Trouble; 4] =
        [Trouble::RingFull, Trouble::Dropped, Trouble::AnswersThin, Trouble::SourceQuench];

    pub const fn word(self) -> &'static str {
        match self {
            Trouble::RingFull => "ring-full",
            Trouble::Dropped => "dropped",
            Trouble::AnswersThin => "answers-thin",
            Trouble::SourceQuench => "source-quench",
        }
    }
}

/// How often a trouble slowed the sender, and to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slowed {
    pub times: u64,
    /// The lowest limit it led to, in frames a second.
    pub lowest: u32,
}

/// What was sent is measured over so long. Shorter than the time in which a ring of the default size
/// fills at a million frames a second.
const MEASURE: Duration = Duration::from_millis(50);
/// After a cut the next one waits so long: what is in flight must come in before it is judged.
const BETWEEN_CUTS: Duration = Duration::from_millis(200);
/// So long without trouble raises the limit by a step.
const RAISE: Duration = Duration::from_millis(250);
const STEP: f64 = 1.25;
/// No slower than this, whatever happens: below it the dead man's switch decides, not the throttle.
const LEAST: f64 = 50.0;
/// Frames heard for one sent, above which most of them are no answers: a question brings an answer, a reset
/// and a resolution, seldom more.
const FLOOD: f64 = 8.0;
/// Fewer frames a second than this are no flood, however little was sent: a busy wire must not disarm the throttle and the dead man.
const LEAST_FLOOD: f64 = 10_000.0;
/// A flood counts for so long after it was noticed: its frames come and are thrown away in gusts.
const FLOOD_LASTS: Duration = Duration::from_secs(1);
/// The most time whose frames may go at once.
const BURST: Duration = Duration::from_millis(2);

#[derive(Debug)]
pub struct Throttle {
    limit: Option<f64>,
    /// What was sent when trouble was met last.
    met_at: f64,
    credit: f64,
    credited: Duration,
    counting_since: Duration,
    counted: u64,
    rate: f64,
    heard: u64,
    heard_rate: f64,
    flooded: Option<Duration>,
    cut: Option<Duration>,
    raised: Duration,
    slowed: BTreeMap<Trouble, Slowed>,
}

impl Default for Throttle {
    fn default() -> Throttle {
        Throttle {
            limit: None,
            met_at: 0.0,
            credit: 0.0,
            credited: Duration::ZERO,
            counting_since: Duration::ZERO,
            counted: 0,
            rate: 0.0,
            heard: 0,
            heard_rate: 0.0,
            flooded: None,
            cut: None,
            raised: Duration::ZERO,
            slowed: BTreeMap::new(),
        }
    }
}

impl Throttle {
    /// The limit in frames a second, where there is one.
    pub fn limit(&self) -> Option<f64> {
        self.limit
    }

    /// What slowed the sender so far.
    pub fn slowed(&self) -> &BTreeMap<Trouble, Slowed> {
        &self.slowed
    }

    /// Forgets what it told; the limit stays.
    pub fn take_slowed(&mut self) -> BTreeMap<Trouble, Slowed> {
        std::mem::take(&mut self.slowed)
    }

    /// Trouble was met: the limit becomes half of what was sent.
    pub fn trouble(&mut self, now: Duration, trouble: Trouble) {
        self.measure(now);
        if self.cut.is_some_and(|cut| now.saturating_sub(cut) < BETWEEN_CUTS)
            || self.is_flooded(now)
        {
            return;
        }
        // Just after the start of a pass nothing was measured yet.
        let counting = rate_of(self.counted, now.saturating_sub(self.counting_since).max(MEASURE));
        let sent = self.rate.max(counting);
        let before = self.limit.map_or(sent, |limit| limit.min(sent.max(limit / 2.0)));
        self.met_at = before;
        let limit = (before / 2.0).max(LEAST);
        self.limit = Some(limit);
        self.credit = 0.0;
        self.credited = now;
        (self.cut, self.raised) = (Some(now), now);
        let told = self.slowed.entry(trouble).or_insert(Slowed { times: 0, lowest: u32::MAX });
        told.times += 1;
        told.lowest = told.lowest.min(limit as u32);
    }

    /// How long to wait before the next frame; zero is now.
    pub fn wait(&mut self, now: Duration) -> Duration {
        self.raise(now);
        let Some(limit) = self.limit else { return Duration::ZERO };
        let most = (limit * BURST.as_secs_f64()).max(1.0);
        let gained = now.saturating_sub(self.credited).as_secs_f64() * limit;
        self.credit = (self.credit + gained).min(most);
        self.credited = self.credited.max(now);
        if self.credit >= 1.0 {
            return Duration::ZERO;
        }
        Duration::from_secs_f64((1.0 - self.credit) / limit)
    }

    /// A frame went.
    pub fn sent(&mut self) {
        self.counted += 1;
        if self.limit.is_some() {
            self.credit -= 1.0;
        }
    }

    /// Frames were heard, or thrown away by the kernel.
    pub fn heard(&mut self, frames: u64) {
        self.heard += frames;
    }

    /// Told the time once a batch.
    pub fn measure(&mut self, now: Duration) {
        let stretch = now.saturating_sub(self.counting_since);
        if stretch >= MEASURE {
            self.rate = rate_of(self.counted, stretch);
            self.heard_rate = rate_of(self.heard, stretch);
            (self.counting_since, self.counted, self.heard) = (now, 0, 0);
        }
    }

    /// Whether more is heard than what was sent can have brought.
    pub fn is_flooded(&mut self, now: Duration) -> bool {
        let stretch = now.saturating_sub(self.counting_since).max(MEASURE);
        let heard = self.heard_rate.max(rate_of(self.heard, stretch));
        let sent = self.rate.max(rate_of(self.counted, stretch));
        if heard > LEAST_FLOOD.max(FLOOD * sent) {
            self.flooded = Some(now);
        }
        self.flooded.is_some_and(|at| now.saturating_sub(at) < FLOOD_LASTS)
    }

    fn raise(&mut self, now: Duration) {
        let Some(limit) = self.limit else { return };
        if now.saturating_sub(self.raised) < RAISE {
            return;
        }
        self.raised = now;
        let raised = limit * STEP;
        self.limit = (raised < self.met_at * 1.5).then_some(raised);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// Sends as fast as it may from one time to another; how many went.
    fn run(throttle: &mut Throttle, from: Duration, until: Duration, step: Duration) -> u64 {
        let (mut now, mut went) = (from, 0);
        while now < until {
            throttle.measure(now);
            for _ in 0..100 {
                if !throttle.wait(now).is_zero() {
                    break;
                }
                throttle.sent();
                went += 1;
            }
            now += step;
        }
        went
    }

    #[test]
    fn without_trouble_nothing_waits_and_after_it_half_goes() {
        let mut throttle = Throttle::default();
        // A hundred frames each millisecond.
        assert_eq!(run(&mut throttle, ms(0), ms(1000), ms(1)), 100_000);
        throttle.trouble(ms(1000), Trouble::Dropped);
        let limit = throttle.limit().unwrap();
        assert!((45_000.0..55_000.0).contains(&limit), "{limit}");
        let went = run(&mut throttle, ms(1000), ms(1240), ms(1));
        assert!((11_000..13_500).contains(&went), "{went}");
        // A second trouble at once is the same trouble.
        throttle.trouble(ms(1100), Trouble::Dropped);
        assert_eq!(throttle.slowed()[&Trouble::Dropped].times, 1);
        throttle.trouble(ms(1300), Trouble::RingFull);
        assert!(throttle.limit().unwrap() < 0.7 * limit);
    }

    #[test]
    fn a_flood_of_others_slows_nobody_down() {
        let mut throttle = Throttle::default();
        for tick in 0..10 {
            run(&mut throttle, ms(tick * 100), ms(tick * 100 + 100), ms(20));
            throttle.heard(100_000);
            throttle.trouble(ms(tick * 100 + 100), Trouble::Dropped);
        }
        assert_eq!(throttle.limit(), None);
        assert!(throttle.slowed().is_empty());
    }

    #[test]
    fn it_recovers_when_nothing_happens_any_more() {
        let mut throttle = Throttle::default();
        run(&mut throttle, ms(0), ms(500), ms(1));
        throttle.trouble(ms(500), Trouble::AnswersThin);
        run(&mut throttle, ms(500), ms(3000), ms(1));
        assert_eq!(throttle.limit(), None);
    }

    #[test]
    fn a_pause_is_not_made_good() {
        let mut throttle = Throttle::default();
        run(&mut throttle, ms(0), ms(100), ms(1));
        throttle.trouble(ms(100), Trouble::Dropped);
        let limit = throttle.limit().unwrap();
        let mut now = ms(100) + ms(240);
        let mut burst = 0u32;
        while throttle.wait(now).is_zero() {
            throttle.sent();
            burst += 1;
            now += Duration::from_nanos(1);
        }
        assert!(f64::from(burst) <= limit * BURST.as_secs_f64() + 2.0, "{burst} of {limit}");
    }

    proptest! {
        /// Between two cuts no stretch of time holds more than the limit, a burst and what it grew by.
        #[test]
        fn no_window_exceeds_the_limit(steps in proptest::collection::vec(1u64..40_000, 1..300)) {
            let mut throttle = Throttle::default();
            run(&mut throttle, ms(0), ms(100), ms(1));
            throttle.trouble(ms(100), Trouble::Dropped);
            let limit = throttle.limit().unwrap();
            let (mut now, mut sent) = (ms(100), Vec::new());
            for step in steps {
                now += Duration::from_micros(step);
                if now >= ms(100) + RAISE {
                    break;
                }
                while throttle.wait(now).is_zero() {
                    throttle.sent();
                    sent.push(now);
                }
            }
            for (place, from) in sent.iter().enumerate() {
                for (until_place, until) in sent.iter().enumerate().skip(place) {
                    let most = limit * (until.saturating_sub(*from) + BURST).as_secs_f64() + 2.0;
                    prop_assert!((until_place - place + 1) as f64 <= most);
                }
            }
        }
    }
}
