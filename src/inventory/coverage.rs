//! What was asked of each prefix, and so what a silence is worth.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::Device;
use super::fold::Links;
use crate::net::{Port, Prefix};
use crate::observe::{EgressMethod, Fact, Log, NotRun, VantageId};

/// What was asked of one prefix from one vantage, by all methods together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    pub prefix: Prefix,
    pub vantage: VantageId,
    /// Each method's word with whether it came to its end with what it was meant to ask.
    pub methods: BTreeMap<String, bool>,
    /// Whether a method asked every address of the prefix to its end.
    pub whole: bool,
    pub ports: BTreeSet<Port>,
    /// Addresses asked by the method that asked most.
    pub asked: u64,
    /// Addresses in use there, seen from this vantage.
    pub answered: u64,
    pub excluded: u64,
    pub ghosts: u64,
    /// By source of candidates: how many it proposed that were asked, and how many of them are in use.
    pub candidates: BTreeMap<String, Yield>,
    /// What each egress method did there. It says nothing of absence.
    pub egress: BTreeMap<EgressMethod, EgressCoverage>,
}

/// What a source of candidates brought in a prefix.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Yield {
    pub asked: u64,
    pub answered: u64,
}

/// What an egress method did in a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EgressCoverage {
    /// It asked so many addresses.
    Ran(u64),
    NotRun(NotRun),
}

impl Coverage {
    /// Whether every address that may be asked was asked to the end: by one method at least all of
    /// them, by the others all that they were meant for.
    pub fn is_complete(&self) -> bool {
        self.whole && self.methods.values().all(|&complete| complete)
    }
}

impl EgressCoverage {
    /// Two askings together: it ran where it ran once.
    fn and(self, other: EgressCoverage) -> EgressCoverage {
        match (self, other) {
            (EgressCoverage::Ran(a), EgressCoverage::Ran(b)) => EgressCoverage::Ran(a.max(b)),
            (ran @ EgressCoverage::Ran(_), _) | (_, ran @ EgressCoverage::Ran(_)) => ran,
            (EgressCoverage::NotRun(a), EgressCoverage::NotRun(b)) => {
                EgressCoverage::NotRun(a.min(b))
            }
        }
    }
}

#[derive(Default)]
struct Gathered {
    /// For each method and what it asked: whether any asking of it came to its end.
    methods: BTreeMap<(String, Vec<Port>), bool>,
    whole: bool,
    asked: u64,
    /// By method: the addresses that are listed, of all its askings together.
    listed: BTreeMap<String, BTreeSet<IpAddr>>,
    proposed: BTreeMap<String, BTreeSet<IpAddr>>,
    excluded: u64,
    ghosts: BTreeSet<IpAddr>,
    egress: BTreeMap<EgressMethod, EgressCoverage>,
}

/// By prefix and vantage.
pub(super) fn coverage(
    log: &Log,
    links: &Links,
    devices: &[Device],
    in_use: &BTreeMap<IpAddr, Vec<usize>>,
) -> Vec<Coverage> {
    let mut gathered: BTreeMap<(Prefix, VantageId), Gathered> = BTreeMap::new();
    for (_, observation) in log.iter() {
        match &observation.fact {
            Fact::Asked(asked) => {
                let one = gathered.entry((asked.prefix, observation.vantage)).or_default();
                let mut ports = asked.ports.clone();
                ports.sort_unstable();
                *one.methods.entry((asked.method.clone(), ports)).or_default() |=
                    asked.complete || !asked.addresses.is_empty();
                one.whole |= asked.complete && asked.addresses.is_empty();
                one.asked = one.asked.max(asked.asked);
                if !asked.addresses.is_empty() {
                    let listed = one.listed.entry(asked.method.clone()).or_default();
                    listed.extend(&asked.addresses);
                }
                for (by, addresses) in asked.by_proposer() {
                    one.proposed.entry(by.to_owned()).or_default().extend(addresses);
                }
                one.excluded = one.excluded.max(asked.excluded);
            }
            Fact::Ghost { prefix, ip, .. } => {
                let one = gathered.entry((*prefix, observation.vantage)).or_default();
                one.ghosts.insert(*ip);
            }
            Fact::EgressAsked(asked) => {
                let one = gathered.entry((asked.prefix, observation.vantage)).or_default();
                let did = match asked.not_run {
                    None => EgressCoverage::Ran(asked.asked),
                    Some(why) => EgressCoverage::NotRun(why),
                };
                let known = one.egress.entry(asked.method).or_insert(did);
                *known = known.and(did);
            }
            _ => {}
        }
    }
    gathered
        .into_iter()
        .map(|((prefix, vantage), one)| {
            let mut methods: BTreeMap<String, bool> = BTreeMap::new();
            let mut ports = BTreeSet::new();
            for ((method, of), complete) in one.methods {
                let whole = methods.entry(method).or_insert(true);
                *whole = *whole && complete;
                ports.extend(of);
            }
            let answered: BTreeSet<IpAddr> = in_use
                .range(prefix.first()..=prefix.last())
                .filter(|(ip, users)| {
                    users.iter().filter_map(|&user| devices.get(user)).any(|device| {
                        device.bindings.iter().any(|binding| {
                            binding.ip == **ip && binding.vantages.contains(&vantage)
                        })
                    })
                })
                .map(|(ip, _)| *ip)
                .collect();
            let candidates = one
                .proposed
                .into_iter()
                .map(|(by, addresses)| {
                    let shared = |ip: &&IpAddr| links.anycast_answered.contains(ip);
                    let there = addresses.intersection(&answered);
                    let there = there.count() + addresses.iter().filter(shared).count();
                    (by, Yield { asked: addresses.len() as u64, answered: there as u64 })
                })
                .collect();
            let listed = one.listed.values().map(BTreeSet::len).max().unwrap_or_default();
            Coverage {
                prefix,
                vantage,
                methods,
                whole: one.whole,
                ports,
                asked: one.asked.max(listed as u64),
                answered: answered.len() as u64,
                candidates,
                excluded: one.excluded,
                ghosts: one.ghosts.len() as u64,
                egress: one.egress,
            }
        })
        .collect()
}
