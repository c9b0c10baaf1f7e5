//! When progress and checkpoints are due.

use std::time::Duration;

const BETWEEN_PROGRESS: Duration = Duration::from_millis(250);
const BETWEEN_CHECKPOINTS: Duration = Duration::from_secs(1);

pub(super) struct Reporter {
    pub(super) began: Duration,
    progress: Duration,
    checkpoint: Duration,
}

impl Reporter {
    pub(super) fn new(now: Duration) -> Reporter {
        Reporter { began: now, progress: now, checkpoint: now }
    }

    pub(super) fn progress_is_due(&mut self, now: Duration) -> bool {
        due(&mut self.progress, now, BETWEEN_PROGRESS)
    }

    pub(super) fn checkpoint_is_due(&mut self, now: Duration) -> bool {
        due(&mut self.checkpoint, now, BETWEEN_CHECKPOINTS)
    }
}

fn due(last: &mut Duration, now: Duration, interval: Duration) -> bool {
    let due = now.saturating_sub(*last) >= interval;
    if due {
        *last = now;
    }
    due
}
