//! What was asked, and so what a silence says.
//!
//! "Not seen" becomes "not there" only for an address that was asked to the end by a method that would
//! have shown it, from a place where others were seen that way: on the link, address resolution, where
//! nobody answers it for anything, and at least one other station was heard; beyond a router, echo and
//! TCP, where something else of the same segment answered, or a router said that the host cannot be
//! reached. What is excluded, or what somebody refuses to let through, is never silent.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use super::Input;
use super::view::View;
use crate::inventory::in_time;
use crate::net::{Family, Mac, Port, Prefix, PrefixMap};
use crate::observe::{Asked, Fact, ObservationId, VantageId};

/// What was asked, by prefix.
pub struct Asking<'a> {
    asked: PrefixMap<Vec<Asking1<'a>>>,
    /// ICMP errors about an address: it cannot be reached, or nothing is let through to it.
    unreachable: HashMap<IpAddr, Vec<ObservationId>>,
    refused: HashSet<IpAddr>,
    refused_ports: HashSet<(IpAddr, Port)>,
    ghosts: PrefixMap<BTreeSet<&'a str>>,
    sharers: HashMap<IpAddr, BTreeSet<(IpAddr, Mac)>>,
    input: &'a Input<'a>,
}

struct Asking1<'a> {
    id: ObservationId,
    vantage: VantageId,
    asked: &'a Asked,
    ports: HashSet<Port>,
    addresses: HashSet<IpAddr>,
}

/// What was asked of an address that did not answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Silence {
    pub methods: BTreeSet<&'static str>,
    /// What says that it was asked, and what else speaks for its absence.
    pub asked: BTreeSet<ObservationId>,
}

impl Asking1<'_> {
    fn is_to_the_end(&self, ip: IpAddr) -> bool {
        match self.addresses.is_empty() {
            true => self.asked.complete,
            false => self.addresses.contains(&ip),
        }
    }
}

impl<'a> Asking<'a> {
    pub(super) fn new(input: &'a Input<'a>) -> Asking<'a> {
        let mut asking = Asking {
            asked: PrefixMap::new(),
            unreachable: HashMap::new(),
            refused: HashSet::new(),
            refused_ports: HashSet::new(),
            ghosts: PrefixMap::new(),
            sharers: HashMap::new(),
            input,
        };
        for (id, observation) in input.log.iter() {
            match &observation.fact {
                Fact::Asked(asked) => {
                    asking.asked.get_or_insert_with(asked.prefix, Vec::new).push(Asking1 {
                        id,
                        vantage: observation.vantage,
                        asked,
                        ports: asked.ports.iter().copied().collect(),
                        addresses: asked.addresses.iter().copied().collect(),
                    });
                }
                Fact::IcmpError(error) => {
                    match meaning(error.target, error.icmp_type, error.code) {
                        Some(Meaning::Unreachable) => {
                            asking.unreachable.entry(error.target).or_default().push(id);
                        }
                        Some(Meaning::Refused) => {
                            match error.port {
                                Some(port) => asking.refused_ports.insert((error.target, port)),
                                None => asking.refused.insert(error.target),
                            };
                        }
                        None => {}
                    }
                }
                Fact::Ghost { prefix, method, .. } => {
                    asking.ghosts.get_or_insert_with(*prefix, BTreeSet::new).insert(method);
                }
                Fact::RoutingSpeaker(speaker) => {
                    for &ip in &speaker.virtual_addresses {
                        asking.sharers.entry(ip).or_default().insert((speaker.ip, speaker.mac));
                    }
                }
                _ => {}
            }
        }
        asking
    }

    /// Who says that it shares this address.
    pub fn sharers(&self, ip: IpAddr) -> Vec<(IpAddr, Mac)> {
        self.sharers.get(&ip).into_iter().flatten().copied().collect()
    }

    /// Whether somebody says that it shares this address.
    pub fn is_shared(&self, ip: IpAddr) -> bool {
        self.sharers.contains_key(&ip)
    }

    /// Whether the address may be asked at all.
    pub fn is_admitted(&self, ip: IpAddr) -> bool {
        let scope = &self.input.context.scope;
        !self.input.exclude.contains(ip) && (scope.is_empty() || scope.contains(ip))
    }

    pub fn is_excluded(&self, ip: IpAddr) -> bool {
        self.input.exclude.contains(ip)
    }

    /// Whether anything was asked where the address lies.
    pub fn is_asked(&self, ip: IpAddr) -> bool {
        self.asked.covering(Prefix::host(ip)).next().is_some()
    }

    fn has_ghosts(&self, ip: IpAddr, method: &str) -> bool {
        self.ghosts.covering(Prefix::host(ip)).any(|(_, methods)| methods.contains(method))
    }

    /// Askings of an address by one method, longest prefix first.
    fn of<'s>(&'s self, ip: IpAddr, method: &'s str) -> impl Iterator<Item = &'s Asking1<'a>> {
        self.asked
            .covering(Prefix::host(ip))
            .flat_map(|(_, asked)| asked)
            .filter(move |one| one.asked.method == method)
    }

    /// What an address was asked to the end by one method, where its answer would have proved something.
    fn done(
        &self,
        ip: IpAddr,
        method: &str,
        from: Option<&BTreeSet<VantageId>>,
    ) -> Vec<ObservationId> {
        if self.has_ghosts(ip, method) {
            return Vec::new();
        }
        self.of(ip, method)
            .filter(|one| from.is_none_or(|vantages| vantages.contains(&one.vantage)))
            .filter(|one| one.is_to_the_end(ip))
            .map(|one| one.id)
            .collect()
    }

    /// Whether a method was begun on the whole of the tightest prefix around the address, and not ended.
    fn is_broken_off(&self, ip: IpAddr, method: &str) -> bool {
        let Some(length) = self.of(ip, method).map(|one| one.asked.prefix.length()).next() else {
            return false;
        };
        self.of(ip, method)
            .filter(|one| one.asked.prefix.length() == length)
            .all(|one| one.addresses.is_empty() && !one.asked.complete)
    }

    pub(super) fn silence(&self, ip: IpAddr, view: &View<'_>) -> Option<Silence> {
        if !self.is_asked(ip) || !self.is_admitted(ip) || self.refused.contains(&ip) {
            return None;
        }
        let (resolution, echo) = match Family::of(ip) {
            Family::Ipv4 => ("arp", "icmp"),
            Family::Ipv6 => ("ndp", "icmpv6"),
        };
        let mut silence = Silence::default();
        let mut add = |method: &'static str, shown: Vec<ObservationId>| {
            if !shown.is_empty() {
                silence.methods.insert(method);
                silence.asked.extend(shown);
            }
        };
        // Only where an address is on the link is its resolution asked.
        let resolved = self.done(ip, resolution, Some(&view.inventory.hearing));
        let is_resolved = !resolved.is_empty();
        add(resolution, resolved);
        add(echo, self.done(ip, echo, None));
        add("tcp", self.done(ip, "tcp", None));
        if let Some(shown) = self.unreachable.get(&ip) {
            silence.asked.extend(in_time(view.log, shown.iter().copied()).iter().take(4));
        }
        if is_resolved {
            return Some(silence);
        }
        let near: BTreeSet<VantageId> = (0u16..)
            .zip(&view.context.vantages)
            .filter(|(_, vantage)| vantage.addresses.iter().any(|(_, on)| on.contains(ip)))
            .map(|(place, _)| VantageId(place))
            .collect();
        if !near.is_empty() && near.is_disjoint(&view.inventory.hearing) {
            return None;
        }
        let asked = silence.methods.contains(echo)
            && (silence.methods.contains("tcp") || !self.is_broken_off(ip, "tcp"));
        let shown = self.unreachable.contains_key(&ip) || self.has_reference(ip, view);
        (asked && shown).then_some(silence)
    }

    /// Whether something else of the address's segment answered.
    fn has_reference(&self, ip: IpAddr, view: &View<'_>) -> bool {
        let segment = view.index.segment(ip).map(|(segment, _)| segment.prefix);
        let around = segment.unwrap_or_else(|| match Family::of(ip) {
            Family::Ipv4 => Prefix::of(ip, 24),
            Family::Ipv6 => Prefix::of(ip, 64),
        });
        view.inventory
            .in_use
            .range(around.first()..=around.last())
            .any(|(&other, users)| other != ip && !users.is_empty())
    }

    /// What says that a TCP port of an address was asked to the end. Silence of UDP says nothing.
    pub fn asked_port(&self, ip: IpAddr, port: Port) -> Vec<ObservationId> {
        let method = match port.transport {
            crate::net::Transport::Tcp => "tcp",
            crate::net::Transport::Udp => return Vec::new(),
        };
        if !self.is_admitted(ip)
            || self.refused.contains(&ip)
            || self.refused_ports.contains(&(ip, port))
            || self.has_ghosts(ip, method)
        {
            return Vec::new();
        }
        self.of(ip, method)
            .filter(|one| one.is_to_the_end(ip) && one.ports.contains(&port))
            .map(|one| one.id)
            .collect()
    }
}

enum Meaning {
    /// A router tried, and the host was not there.
    Unreachable,
    /// Somebody on the way does not let it through, or knows no way: silence says nothing.
    Refused,
}

/// RFC 792, RFC 1812 §5.2.7.1; RFC 4443 §3.1.
fn meaning(target: IpAddr, icmp_type: u8, code: u8) -> Option<Meaning> {
    match (target, icmp_type, code) {
        (IpAddr::V4(_), 3, 1) | (IpAddr::V6(_), 1, 3) => Some(Meaning::Unreachable),
        (IpAddr::V4(_), 3, 0 | 5..=13) | (IpAddr::V6(_), 1, 0 | 1 | 2 | 5 | 6) => {
            Some(Meaning::Refused)
        }
        _ => None,
    }
}
