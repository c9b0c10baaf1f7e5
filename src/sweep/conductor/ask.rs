//! Running one pass.

use super::*;

/// How a pass goes, where it is not as its probe asks for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Manner {
    pub linger: Option<Linger>,
    /// The most questions in a second.
    pub rate: Option<u32>,
}

impl Conductor<'_> {
    /// Runs one pass, unless an earlier part of this sweep did.
    #[expect(
        clippy::too_many_arguments,
        reason = "a pass is that many things, named by their types"
    )]
    pub(super) fn run(
        &mut self,
        name: &'static str,
        probe: &'static str,
        station: &Station,
        targets: Targets,
        questions: &[u16],
        rounds: u8,
        linger: Option<Linger>,
    ) -> Result<Outcome, Halt> {
        let manner = Manner { linger, rate: None };
        self.run_in(name, probe, station, targets, questions, rounds, manner)
    }

    /// The same in a manner of its own.
    #[expect(
        clippy::too_many_arguments,
        reason = "a pass is that many things, named by their types"
    )]
    pub(super) fn run_in(
        &mut self,
        name: &'static str,
        probe: &'static str,
        station: &Station,
        targets: Targets,
        questions: &[u16],
        rounds: u8,
        manner: Manner,
    ) -> Result<Outcome, Halt> {
        let targets_count = targets.count();
        let Some(probe) = probe::named(probe).filter(|_| targets_count > 0) else {
            return Ok(Outcome::default());
        };
        let id = pass_id(name, station.id, shape(&targets));
        if self.state.is_done(id) {
            let asked = u64::try_from(targets_count).unwrap_or(u64::MAX);
            return Ok(Outcome { asked, ..Outcome::default() });
        }
        let hops = self.next_hops(station);
        let mut pass = Pass::new(id, station.id, probe, targets, &hops);
        pass.questions = questions.to_vec();
        pass.rounds = rounds;
        if let Some(linger) = manner.linger {
            pass.linger = linger;
        }
        if manner.rate.is_some() {
            pass.rate = manner.rate;
        }
        self.reporter.pass(name, &station.interface, targets_count);
        let answered = self.answered_before(&pass);
        let resume = self.state.checkpoint.take().filter(|checkpoint| checkpoint.pass == id);
        // The record's mark must hold what the engine says at the start of the pass.
        if let Targets::Addresses(set) = &pass.targets {
            if probe.resolution() == probe::Resolution::IsIt {
                self.recogniser.asks_resolution(station.id, set);
            }
            if probe.source() == Source::Udp {
                self.recogniser.asks_udp(station.id, set, &pass.questions);
            }
        }
        self.mark_recogniser();
        let began = Instant::now();
        let mut eye = Eye::new(&mut self.intake, self.reporter);
        let ran = scan::run(
            &pass,
            resume,
            &mut answered.into_iter(),
            &mut self.care,
            &mut self.recogniser,
            &mut self.world,
            &mut eye,
        );
        let (outcome, halt) = match ran {
            Ok(outcome) => {
                let stopped = outcome.interrupted.map(|checkpoint| {
                    self.state.checkpoint = Some(checkpoint);
                    outcome.silent.map_or(Halt::Stopped, Halt::Silent)
                });
                (outcome, stopped)
            }
            Err(ScanError::Link { source, outcome }) => {
                self.state.checkpoint = outcome.interrupted;
                (*outcome, Some(Halt::Link(source.to_string())))
            }
            Err(fault @ ScanError::TooLarge { .. }) => {
                self.head.notices.push(v1::SweepNotice {
                    code: "pass-too-large".into(),
                    text: format!("{name}: {fault}"),
                });
                return Ok(Outcome::default());
            }
            Err(fault) => (Outcome::default(), Some(Halt::Link(fault.to_string()))),
        };
        self.head.passes.push(v1::Pass {
            name: name.to_owned(),
            targets: u64::try_from(targets_count).unwrap_or(u64::MAX),
            packets: outcome.sent,
            answers: outcome.answered,
            seconds: rounded(began.elapsed()),
        });
        self.tell_slowed(name);
        if outcome.too_long > 0 {
            let text = format!("{name}: {}", outcome.too_long);
            self.head.notices.push(v1::SweepNotice { code: "frames-too-long".into(), text });
        }
        if outcome.refused.contains_key(&scope::Refusal::Ceiling) {
            self.head
                .notices
                .push(v1::SweepNotice { code: "ceiling-too-low".into(), text: name.to_owned() });
        }
        if let Some(halt) = halt {
            return Err(halt);
        }
        self.state.done.insert(id);
        self.save_now_and_then();
        Ok(outcome)
    }

    /// Where the sender slowed down, and why: one notice for each pass and reason.
    fn tell_slowed(&mut self, pass: &str) {
        for (trouble, slowed) in self.care.throttle.take_slowed() {
            let word = trouble.word();
            let (times, lowest) = (slowed.times, slowed.lowest);
            self.head.notices.push(v1::SweepNotice {
                code: format!("slowed-{word}"),
                text: format!("{pass}: {times} × ≥ {lowest}/s"),
            });
        }
    }

    /// What the log holds of a pass already, for one that is gone on with.
    pub(super) fn answered_before(&self, pass: &Pass<'_>) -> Vec<(IpAddr, u16)> {
        if self.state.checkpoint.is_none_or(|checkpoint| checkpoint.pass != pass.id) {
            return Vec::new();
        }
        let source = pass.probe.source();
        let answers = self.intake.log.iter().filter(|(_, o)| o.source == source);
        answers
            .filter_map(|(_, observation)| match &observation.fact {
                Fact::Answer { ip, port, .. } => Some((*ip, port.map_or(0, |port| port.number))),
                _ => None,
            })
            .collect()
    }

    /// Tells the record which answers count from here on.
    pub(super) fn mark_recogniser(&mut self) {
        let mut tape = lock(&self.tape);
        if tape.recorder.is_some() {
            let record = self.recogniser.record();
            tape.mark(record);
        }
    }

    /// Asks whole areas by one probe.
    pub(super) fn ask_areas(
        &mut self,
        name: &'static str,
        probe: &'static str,
        station: &Station,
        areas: &[Area],
        rounds: u8,
    ) -> Result<(), Halt> {
        let all = areas.iter().fold(AddressSet::default(), |all, area| all.or(&area.targets));
        if all.is_empty() {
            return Ok(());
        }
        if probe != "arp" {
            self.echoed.extend(all.iter().take(1 << 20));
        }
        let outcome =
            self.run(name, probe, station, Targets::Addresses(all), &[0], rounds, None)?;
        for area in areas {
            let complete = outcome.interrupted.is_none() && outcome.unresolved == 0;
            let share = u64::try_from(area.targets.count()).unwrap_or(u64::MAX);
            let asked = if complete { share } else { share.min(outcome.asked) };
            self.put_asked(
                area.vantage,
                Asked {
                    prefix: area.prefix,
                    method: probe.to_owned(),
                    ports: Vec::new(),
                    asked,
                    excluded: area.excluded,
                    complete: complete && self.all_admitted(area, probe),
                    addresses: Vec::new(),
                    proposed: Vec::new(),
                },
            );
        }
        Ok(())
    }

    /// Fragile addresses get one gentle question: where an area has some, only the first method that
    /// asked can say that everybody was asked.
    pub(super) fn all_admitted(&self, area: &Area, probe: &str) -> bool {
        let fragile = area.targets.and(&self.orders.observe_only());
        fragile.is_empty() || matches!(probe, "arp" | "ndp")
    }
}
