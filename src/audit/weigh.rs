//! Confidence, weighed from the evidence.
//!
//! Contract §4: *proved* is shown twice with fresh tokens, or by the packets themselves; *corroborated*
//! by two independent methods; *indicated* by one strong one; *hint* by something weak.

use std::collections::BTreeSet;

use super::Proof;
use crate::observe::{Fact, Log, Observation};
use crate::result::v1::Confidence;

/// What all pieces together are worth.
pub(super) fn weigh(evidence: &[Proof], log: &Log) -> Confidence {
    let mut methods: BTreeSet<&str> = BTreeSet::new();
    let mut rounds: BTreeSet<u8> = BTreeSet::new();
    let mut is_proved = false;
    let tests = evidence.iter().any(|proof| {
        matches!(fact(proof, log), Some(Observation { fact: Fact::Forwarding(_), .. }))
    });
    let speaks = evidence
        .iter()
        .any(|proof| fact(proof, log).is_some_and(|observation| is_the_deed(&observation.fact)));
    for proof in evidence {
        match proof {
            Proof::Observed(_) => {
                let Some(observation) = fact(proof, log) else { continue };
                match &observation.fact {
                    Fact::Forwarding(answer) => {
                        methods.insert("forwarding");
                        if answer.hop_limit >= 2 {
                            rounds.insert(answer.round);
                        }
                    }
                    deed if is_the_deed(deed) => is_proved = true,
                    // That a neighbour is there is not what its forwarding is proved by.
                    _ if tests || speaks => {}
                    Fact::Answer { .. } | Fact::Binding { .. } | Fact::Conflict { .. } => {
                        methods.insert(observation.source.word());
                        is_proved |= observation.count >= 2;
                    }
                    _ => {
                        methods.insert(observation.source.word());
                    }
                }
            }
            Proof::Silence { methods: asked, .. } => {
                methods.extend(asked.iter().map(String::as_str));
            }
            Proof::Row { .. } => {}
        }
    }
    // A packet that came out beyond the neighbour, twice.
    is_proved |= rounds.len() >= 2;
    match methods.len() {
        _ if is_proved => Confidence::Proved,
        0 => Confidence::Hint,
        1 => Confidence::Indicated,
        _ => Confidence::Corroborated,
    }
}

fn fact<'a>(proof: &Proof, log: &'a Log) -> Option<&'a Observation> {
    match proof {
        Proof::Observed(id) => log.get(*id),
        _ => None,
    }
}

/// Whether sending such a packet is what the finding is about: the packet itself proves it.
fn is_the_deed(fact: &Fact) -> bool {
    matches!(fact, Fact::RouterAdvertisement(_) | Fact::DhcpServer(_) | Fact::RoutingSpeaker(_))
}
