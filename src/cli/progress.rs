//! Progress on a terminal: the pass, how far it is, how fast, what was seen, how long it takes yet.
//! Where stderr is no terminal, passes are log lines.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Conduct, Failure};
use crate::scan::Progress;
use crate::sweep::{Reporter, Seen};

pub struct TerminalReporter<'a> {
    conduct: &'a Conduct,
    bar: ProgressBar,
    pass: String,
    rate: (Instant, u64, f64),
    stop: Arc<AtomicBool>,
    told_stop: bool,
}

impl<'a> TerminalReporter<'a> {
    pub fn new(conduct: &'a Conduct, stop: Arc<AtomicBool>) -> TerminalReporter<'a> {
        let target = if conduct.draws_progress() {
            ProgressDrawTarget::stderr_with_hz(8)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let coloured = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let template = if coloured {
            "{prefix:.bold} {bar:24.cyan/dim} {pos}/{len} {msg}"
        } else {
            "{prefix} {bar:24} {pos}/{len} {msg}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let rate = (Instant::now(), 0, 0.0);
        TerminalReporter { conduct, bar, pass: String::new(), rate, stop, told_stop: false }
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn seen(&self, seen: Seen) -> String {
        self.conduct.say(
            "cli-progress-seen",
            &[
                ("stations", seen.stations.into()),
                ("answered", seen.answered.into()),
                ("ports", seen.ports.into()),
            ],
        )
    }
}

/// The word of a pass in the user's language; the word itself where the texts have none.
pub fn pass_name(conduct: &Conduct, pass: &str) -> String {
    conduct.texts.find(&format!("pass-{pass}"), &[]).unwrap_or_else(|| pass.to_owned())
}

impl Reporter for TerminalReporter<'_> {
    fn pass(&mut self, pass: &str, interface: &str, targets: u128) {
        self.pass = pass_name(self.conduct, pass);
        self.rate = (Instant::now(), 0, 0.0);
        tracing::info!(pass, interface, targets = %targets, "pass");
        self.bar.set_prefix(format!("{} {interface}", self.pass));
        self.bar.set_length(u64::try_from(targets).unwrap_or(u64::MAX).max(1));
        self.bar.set_position(0);
        self.bar.set_message(String::new());
    }

    fn progress(&mut self, progress: &Progress, seen: Seen) {
        let (since, sent, _) = self.rate;
        let took = since.elapsed().as_secs_f64();
        let rate = if took > 0.5 {
            let rate = progress.sent.saturating_sub(sent) as f64 / took;
            self.rate = (Instant::now(), progress.sent, rate);
            rate
        } else {
            self.rate.2
        };
        self.bar.set_length(progress.total.max(1));
        self.bar.set_position(progress.done);
        let left = progress.left.map_or_else(String::new, |left| {
            let seconds = left.as_secs();
            self.conduct.say("cli-progress-left", &[("seconds", seconds.to_string().into())])
        });
        let per_second =
            self.conduct.say("cli-progress-rate", &[("rate", format!("{rate:.0}").into())]);
        self.bar.set_message(format!("{per_second} {} {left}", self.seen(seen)));
    }

    fn listening(&mut self, left: Duration, seen: Seen) {
        let total = self.bar.length().unwrap_or(1).max(left.as_secs()).max(1);
        self.bar.set_length(total);
        self.bar.set_position(total.saturating_sub(left.as_secs()));
        self.bar.set_message(self.seen(seen));
        // For whoever watches memory: scripts/soak.
        let Seen { received, stations, .. } = seen;
        tracing::debug!("tables: heard={received} stations={stations}");
    }

    fn stopping(&mut self) -> bool {
        let stop = self.stop.load(Ordering::Relaxed);
        if stop && !self.told_stop {
            self.told_stop = true;
            self.bar.suspend(|| self.conduct.tell(&self.conduct.say("cli-stopping", &[])));
        }
        stop
    }
}

/// The first Ctrl-C asks to stop, the second ends the program at once.
pub fn stop_on_signals(conduct: &Conduct) -> Result<Arc<AtomicBool>, Failure> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let armed = signal_hook::flag::register_conditional_shutdown(signal, 4, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)));
        if let Err(cause) = armed {
            let arguments = [("cause", cause.to_string().into())];
            return Err(Failure::in_part(conduct.say("cli-signals", &arguments)));
        }
    }
    Ok(stop)
}
