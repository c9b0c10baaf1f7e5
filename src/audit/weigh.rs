//! Confidence, weighed from the evidence.
//!
//! Contract §4: *proved* is shown twice with fresh tokens, or by the packets themselves; *corroborated*
//! by two independent methods; *indicated* by one strong one; *hint* by something weak.

use std::collections::{BTreeMap, BTreeSet};

use super::Proof;
use crate::observe::{EgressMethod, EgressProbe, Fact, Log, Observation};
use crate::result::v1::Confidence;

/// What all pieces together are worth to a rule.
pub(super) fn weigh(rule: &str, evidence: &[Proof], log: &Log) -> Confidence {
    if EGRESS_RULES.contains(&rule) {
        return weigh_egress(evidence, log);
    }
    let mut methods: BTreeSet<&str> = BTreeSet::new();
    let mut rounds: BTreeSet<u8> = BTreeSet::new();
    let mut is_proved = false;
    let has_deed = evidence
        .iter()
        .any(|proof| seen(proof, log).is_some_and(|one| is_the_deed(rule, &one.fact)));
    for proof in evidence {
        match proof {
            Proof::Observed(_) => {
                let Some(observation) = seen(proof, log) else { continue };
                let is_deed = is_the_deed(rule, &observation.fact);
                // That a neighbour is there is not what its deed is proved by.
                if has_deed && !is_deed {
                    continue;
                }
                methods.insert(observation.source.word());
                match &observation.fact {
                    // A packet that came out beyond the neighbour; twice proves it.
                    Fact::Forwarding(answer) => {
                        if is_deed && answer.hop_limit >= 2 {
                            rounds.insert(answer.round);
                        }
                    }
                    // Anybody can write a source address, however often.
                    Fact::Traffic { .. }
                    | Fact::Hop { .. }
                    | Fact::Passage(_)
                    | Fact::RouterFlag { .. }
                    | Fact::Redirect(_) => {}
                    _ => is_proved |= is_deed || observation.count >= 2,
                }
            }
            Proof::Silence { methods: asked, .. } => {
                methods.extend(asked.iter().map(String::as_str));
            }
            Proof::Row { .. } => {}
        }
    }
    match methods.len() {
        _ if is_proved || rounds.len() >= 2 => Confidence::Proved,
        0 => Confidence::Hint,
        1 => Confidence::Indicated,
        _ => Confidence::Corroborated,
    }
}

/// Rules about ways out.
const EGRESS_RULES: &[&str] = &["unregistered-egress", "egress-mismatch", "egress-filing-expired"];

/// Two rounds of one method with fresh tokens prove a way out; each method counts once.
fn weigh_egress(evidence: &[Proof], log: &Log) -> Confidence {
    let mut asked: BTreeMap<u32, &EgressProbe> = BTreeMap::new();
    let mut methods: BTreeSet<EgressMethod> = BTreeSet::new();
    for proof in evidence {
        match seen(proof, log).map(|one| &one.fact) {
            Some(Fact::EgressProbe(probe)) => {
                asked.insert(probe.number, probe);
            }
            Some(Fact::ExternalAddress(_)) => {
                methods.insert(EgressMethod::PortMapping);
            }
            Some(Fact::Passage(_)) => {
                methods.insert(EgressMethod::Passive);
            }
            Some(Fact::RouterAdvertisement(_) | Fact::Binding { .. } | Fact::Answer { .. }) => {
                methods.insert(EgressMethod::Ipv6);
            }
            _ => {}
        }
    }
    let mut rounds: BTreeSet<(EgressMethod, u8)> = BTreeSet::new();
    for proof in evidence {
        if let Some(Fact::EgressReceipt(receipt)) = seen(proof, log).map(|one| &one.fact)
            && let Some(probe) = asked.get(&receipt.probe)
        {
            rounds.insert((probe.method, probe.round));
            methods.insert(probe.method);
        }
    }
    let twice = |method: &EgressMethod| rounds.iter().filter(|(of, _)| of == method).count() >= 2;
    match methods.len() {
        _ if methods.iter().any(twice) => Confidence::Proved,
        0 => Confidence::Hint,
        1 => Confidence::Indicated,
        _ => Confidence::Corroborated,
    }
}

fn seen<'a>(proof: &Proof, log: &'a Log) -> Option<&'a Observation> {
    match proof {
        Proof::Observed(id) => log.get(*id),
        _ => None,
    }
}

/// Whether sending such a packet, or doing what it shows, is what the rule is about: then the packet
/// itself proves it.
fn is_the_deed(rule: &str, fact: &Fact) -> bool {
    match fact {
        Fact::RouterAdvertisement(_) => matches!(
            rule,
            "rogue-router-advertisement" | "unregistered-router" | "unregistered-segment"
        ),
        Fact::DhcpServer(_) => matches!(rule, "rogue-dhcp-server" | "unregistered-segment"),
        Fact::RoutingSpeaker(_) => matches!(rule, "unregistered-router" | "unregistered-segment"),
        Fact::Forwarding(_) | Fact::Passage(_) | Fact::RouterFlag { .. } | Fact::Redirect(_) => {
            rule == "unregistered-router"
        }
        // The open ones are read; of those that are told by their marks the handshake is.
        Fact::Tunnel(_) => rule == "unregistered-tunnel",
        _ => false,
    }
}
