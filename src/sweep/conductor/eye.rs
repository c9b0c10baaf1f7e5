//! The conductor's eye on a running pass.

use super::*;

/// Looks on for the conductor: every frame into the intake, progress to the reporter.
pub(super) struct Eye<'a> {
    pub(super) intake: &'a mut Intake,
    pub(super) reporter: &'a mut dyn Reporter,
    pub(super) until: Option<(Duration, Instant, Duration)>,
    told: Instant,
}

impl<'a> Eye<'a> {
    pub(super) fn new(intake: &'a mut Intake, reporter: &'a mut dyn Reporter) -> Eye<'a> {
        Eye { intake, reporter, until: None, told: Instant::now() }
    }

    fn seen(&self) -> Seen {
        let live = &self.intake.live;
        Seen {
            received: self.intake.received,
            stations: live.stations.values().map(BTreeSet::len).sum(),
            answered: live.answered.len(),
            ports: live.ports,
        }
    }
}

impl Watcher for Eye<'_> {
    fn frame(&mut self, heard: &Heard<'_>, recognised: Option<Recognised>) {
        if heard.outgoing {
            self.intake.sent(heard.vantage, heard.at, heard.bytes, heard.length);
        } else {
            self.intake.heard(
                heard.vantage,
                heard.at,
                LinkType::ETHERNET,
                heard.bytes,
                heard.length,
                recognised,
            );
        }
    }

    fn progress(&mut self, progress: &Progress) {
        let seen = self.seen();
        self.reporter.progress(progress, seen);
    }

    fn checkpoint(&mut self, _: &Checkpoint) {}

    fn stopping(&mut self) -> bool {
        if let Some((_, since, total)) = self.until
            && self.told.elapsed() >= Duration::from_millis(250)
        {
            self.told = Instant::now();
            let seen = self.seen();
            self.reporter.listening(total.saturating_sub(since.elapsed()), seen);
        }
        self.reporter.stopping()
    }
}
