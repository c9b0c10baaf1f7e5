//! Where a pass stood a while ago: behind it nothing is under way any more.
//!
//! What was asked just before a process is killed, or a network falls silent, has no answer yet and gets none. So
//! a pass does not go on from where it stood then, but from where it stood an answer's time before.

use std::collections::VecDeque;
use std::time::Duration;

use crate::scan::pass::Checkpoint;

/// Finer is not needed: it is what is asked twice at most.
const STEP: Duration = Duration::from_millis(50);
/// A minute of steps. A longer silence is told long before.
const MOST: usize = 1200;

pub(super) struct Trail {
    /// The first is the eldest that is still needed.
    steps: VecDeque<(Duration, Checkpoint)>,
    began_at: Checkpoint,
}

impl Trail {
    pub(super) fn new(began_at: Checkpoint) -> Trail {
        Trail { steps: VecDeque::new(), began_at }
    }

    /// Where the pass stands now. What lies before `needed_from` but for its last is forgotten.
    pub(super) fn note(&mut self, now: Duration, checkpoint: Checkpoint, needed_from: Duration) {
        while self.steps.get(1).is_some_and(|(at, _)| *at <= needed_from) {
            self.steps.pop_front();
        }
        let due = self.steps.back().is_none_or(|(at, _)| now.saturating_sub(*at) >= STEP);
        if due && self.steps.len() < MOST {
            self.steps.push_back((now, checkpoint));
        }
    }

    /// Where it stood at a time, or before.
    pub(super) fn at(&self, time: Duration) -> Checkpoint {
        let before = self.steps.iter().rev().find(|(at, _)| *at <= time);
        before.map_or(self.began_at, |(_, checkpoint)| *checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_the_last_step_before_a_time_and_forgets_what_is_not_needed() {
        let at = |position| Checkpoint { pass: 1, round: 0, position };
        let ms = Duration::from_millis;
        let mut trail = Trail::new(at(7));
        assert_eq!(trail.at(ms(100)), at(7));
        for step in 0..100u64 {
            trail.note(ms(step * 50), at(100 + step), ms((step * 50).saturating_sub(1000)));
        }
        assert_eq!(trail.at(ms(4950)), at(199));
        assert_eq!(trail.at(ms(4949)), at(198));
        assert_eq!(trail.at(ms(4000)), at(180));
        assert!(trail.steps.len() <= 22);
    }
}
