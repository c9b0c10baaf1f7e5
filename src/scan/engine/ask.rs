//! The next question of a pass: which it is, and what the fence says to it.

use std::net::IpAddr;
use std::time::Duration;

use super::run::{Asked, Run};
use crate::link::LinkError;
use crate::scan::pass::Targets;
use crate::scan::probe::{Ask, Resolution};
use crate::scope::ceilings::Ceiling;
use crate::scope::{Fence, Permit, Refusal, Steered, Submission};

/// Questions put off because their address was asked enough for now.
const MOST_DEFERRED: usize = 4096;

impl Run<'_, '_> {
    /// Asks the next question that is due. `None` when the round is done.
    pub(super) fn ask_next(&mut self, fence: &mut Fence, now: Duration) -> Option<Asked> {
        if let Some(&(due, position)) = self.deferred.front() {
            let full = self.deferred.len() >= MOST_DEFERRED;
            if due <= now {
                let asked = self.ask_or_defer(fence, now, position);
                // What has to wait once more stands at the back already; what the sweep's ceiling
                // or a fault held back keeps its place.
                if matches!(asked, Asked::Sent | Asked::Passed) {
                    self.deferred.pop_front();
                }
                return Some(asked);
            }
            if full || self.position >= self.length {
                return Some(Asked::Wait(due - now));
            }
        }
        self.position = self.closed.next_open(self.position, self.length);
        if self.position >= self.length {
            let first = self.deferred.front();
            return first.map(|&(due, _)| Asked::Wait(due.saturating_sub(now)));
        }
        let position = self.position;
        let cycle = self.pass.shard.place(position) / self.hosts.max(1);
        if self.cycle != Some(cycle) {
            let earliest = self.cycle_began.map_or(now, |began| began + self.pass.spacing);
            if earliest > now {
                return Some(Asked::Wait(earliest - now));
            }
            self.cycle = Some(cycle);
        }
        if self.pass.rate.is_some() && self.gate > now {
            return Some(Asked::Wait(self.gate - now));
        }
        match self.ask_or_defer(fence, now, position) {
            wait @ Asked::Wait(_) => Some(wait),
            other => {
                self.position += 1;
                Some(other)
            }
        }
    }

    /// A question whose address has to wait goes to the back, and is done as far as its place is
    /// concerned.
    fn ask_or_defer(&mut self, fence: &mut Fence, now: Duration, position: u64) -> Asked {
        match self.ask(fence, now, position) {
            Asked::Defer(wait) => {
                self.deferred.push_back((now + wait, position));
                Asked::Passed
            }
            Asked::Sent => {
                self.sent_in_round += 1;
                // Every later question of this cycle goes to another host.
                if self.cycle_asked != self.cycle {
                    self.cycle_asked = self.cycle;
                    self.cycle_began = Some(now);
                }
                if let Some(rate) = self.pass.rate {
                    // A pause is not made good: the gate never lies behind now.
                    self.gate = self.gate.max(now) + Duration::from_secs(1) / rate.max(1);
                }
                Asked::Sent
            }
            other => other,
        }
    }

    fn ask(&mut self, fence: &mut Fence, now: Duration, position: u64) -> Asked {
        if self.closed.contains(position) {
            return Asked::Passed;
        }
        let place = self.pass.shard.place(position);
        let hosts = self.hosts.max(1);
        let (cycle, slot) = (place / hosts, place % hosts);
        let Some(host) = self.order.at(slot) else { return Asked::Passed };
        let number = self.pass.question_of(host, cycle);
        let Some(&question) = self.pass.questions.get(number as usize) else {
            return Asked::Passed;
        };
        let submission = match &self.pass.targets {
            Targets::Addresses(set) => {
                let Some(target) = set.nth(u128::from(host)) else { return Asked::Passed };
                if !self.pass.probe.speaks_to(target) {
                    self.closed.insert(position);
                    return Asked::Passed;
                }
                match fence.guard().admit(target, self.pass.vantage, self.pass.probe.class()) {
                    Ok(permit) => {
                        self.submit(fence, now, (&permit).into(), position, target, question, 0)
                    }
                    Err(refusal) => Some(Submission::Refused(refusal)),
                }
            }
            Targets::Steered(list) => {
                let Some(steered) =
                    list.get(host as usize).filter(|_| (host as usize) < self.steered.1)
                else {
                    return Asked::Passed;
                };
                let steered: Steered = *steered;
                let index = self.steered.0.wrapping_add(host as u16);
                let to = steered.destination();
                self.submit(fence, now, (&steered).into(), position, to, question, index)
            }
        };
        match submission {
            None => Asked::Passed,
            Some(Submission::Sent) => {
                self.outcome.sent += 1;
                if self.round == 0 {
                    self.outcome.asked += 1;
                }
                self.rtt.asked(position, now);
                Asked::Sent
            }
            Some(Submission::Later(wait, Ceiling::Sweep)) => Asked::Wait(wait),
            Some(Submission::Later(wait, Ceiling::Target | Ceiling::Prefix)) => Asked::Defer(wait),
            Some(Submission::Refused(refusal)) => self.refused(refusal, position),
            Some(Submission::Failed(LinkError::Length { .. })) => {
                self.outcome.too_long += u64::from(self.closed.insert(position));
                Asked::Passed
            }
            Some(Submission::Failed(error)) => Asked::Failed(error),
        }
    }

    fn refused(&mut self, refusal: Refusal, position: u64) -> Asked {
        if refusal == Refusal::Window {
            *self.outcome.refused.entry(refusal).or_default() += 1;
            return Asked::Shut;
        }
        if self.round == 0 {
            *self.outcome.refused.entry(refusal).or_default() += 1;
            self.closed.insert(position);
        }
        Asked::Passed
    }

    /// Stamps and submits; `None` where no frame could be made, which is counted.
    #[expect(clippy::too_many_arguments, reason = "one question: whom, what, by what leave, when")]
    fn submit(
        &mut self,
        fence: &mut Fence,
        now: Duration,
        permit: Permit<'_>,
        position: u64,
        target: IpAddr,
        question: u16,
        extra: u16,
    ) -> Option<Submission> {
        let next_hop = match (permit, self.pass.probe.resolution()) {
            (Permit::Steered(steered), _) => Some(steered.mac()),
            (_, Resolution::IsIt) => None,
            (_, Resolution::Needs) => match self.pass.next_hops.mac_for(target) {
                Some(mac) => Some(mac),
                None => {
                    self.outcome.unresolved += u64::from(self.closed.insert(position));
                    return None;
                }
            },
        };
        let source = self.vantage.source_for(target);
        let template = self.templates.iter_mut().find(|(own, _)| Some(*own) == source);
        let Some((_, template)) = template else {
            self.outcome.sourceless += u64::from(self.closed.insert(position));
            return None;
        };
        let ask = Ask { target, question, next_hop, attempt: self.round, extra };
        Some(fence.submit(permit, template.stamp(&ask), now))
    }
}
