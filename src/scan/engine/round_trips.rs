//! How long answers take, and when none is to be expected any more.

use std::time::Duration;

use crate::scan::pass::Linger;

/// Questions whose time is remembered at once: where one host in sixteen answers, and a sixteenth of a million
/// questions are asked in a round-trip time, these still time hundreds of answers.
const SAMPLES: usize = 8192;
/// A question is remembered until it is answered, or so many times the longest round trip has passed: were it
/// overwritten by the next, only quick answers would ever be timed.
const GIVEN_UP: u32 = 8;
/// At least so long, and at most: while nothing was timed, what a first packet takes over a VPN that wakes up.
const LEAST_GIVEN_UP: Duration = Duration::from_millis(100);
const MOST_GIVEN_UP: Duration = Duration::from_secs(2);
/// So many timed answers are ground enough to expect the rest by them alone.
const MANY: u64 = 256;
/// With so many, the least wait is this part of what it is with few. Of thousands of answers in a pass that
/// came within a millisecond none is left that takes a quarter of a second, unless it is a stray: and a stray
/// is still taken in while the sweep goes on.
const LEAST_SHARE: u32 = 5;

pub(super) struct RoundTrips {
    samples: Vec<(u64, Duration)>,
    /// The longest that was seen.
    longest: Option<Duration>,
    timed: u64,
}

/// No question.
const FREE: u64 = u64::MAX;

impl RoundTrips {
    pub(super) fn new() -> RoundTrips {
        RoundTrips { samples: vec![(FREE, Duration::ZERO); SAMPLES], longest: None, timed: 0 }
    }

    pub(super) fn asked(&mut self, place: u64, now: Duration) {
        let given_up = self.longest.map_or(MOST_GIVEN_UP, |longest| {
            (longest * GIVEN_UP).clamp(LEAST_GIVEN_UP, MOST_GIVEN_UP)
        });
        if let Some(sample) = self.samples.get_mut(place as usize % SAMPLES)
            && (sample.0 == FREE || sample.0 == place || now.saturating_sub(sample.1) > given_up)
        {
            *sample = (place, now);
        }
    }

    /// How long the answer took, where its question was timed.
    pub(super) fn answered(&mut self, place: u64, now: Duration) -> Option<Duration> {
        let sample = self.samples.get_mut(place as usize % SAMPLES);
        let sample = sample.filter(|(of, _)| *of == place)?;
        let took = now.saturating_sub(sample.1);
        self.longest = Some(self.longest.map_or(took, |longest| longest.max(took)));
        self.timed += 1;
        sample.0 = FREE;
        Some(took)
    }

    /// The silence after which no answer is expected any more: three times the longest seen.
    pub(super) fn quiet(&self, linger: Linger) -> Duration {
        let least = if self.timed >= MANY { linger.least / LEAST_SHARE } else { linger.least };
        self.longest
            .map_or(linger.most, |longest| (longest * 3).clamp(least.min(linger.most), linger.most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn slow_answers_are_timed_also_when_questions_follow_fast() {
        let mut rtt = RoundTrips::new();
        let linger = Linger::default();
        assert_eq!(rtt.quiet(linger), linger.most);
        for place in 0..100_000u64 {
            rtt.asked(place, Duration::from_micros(place));
        }
        for place in 0..100_000u64 {
            rtt.answered(place, Duration::from_micros(place) + ms(100));
        }
        assert_eq!(rtt.quiet(linger), ms(300));
        let mut few = RoundTrips::new();
        few.asked(1, ms(0));
        few.answered(1, ms(1));
        assert_eq!(few.quiet(linger), linger.least);
        for place in 0..300 {
            few.asked(place, ms(2));
            few.answered(place, ms(3));
        }
        assert_eq!(few.quiet(linger), linger.least / 5);
    }
}
