//! Ways out: what the egress methods brought of each device, before it is held against the registry.
//!
//! A receipt names a probe, and the probe whom it asked: on the link by MAC, else by address. What the
//! receipt says of the way depends on the method. A packet that we steered through a neighbour carries our
//! own source address, an answer in a canary's name that of the host asked: another address at the
//! collector is what a NAT made of it. A relay (proxy, resolver) asks anew, so whatever the collector saw is
//! the address by which it left.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use super::{Device, DeviceKey, in_time};
use crate::net::special::{self, Purpose};
use crate::net::{Family, Mac, Prefix};
use crate::observe::{
    Carrier, Direction, EgressMethod, EgressProbe, EgressReceipt, Fact, Forwarding, Log,
    ObservationId, Passage, SeenBy, VantageId,
};

/// What the egress methods brought of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Egress {
    pub key: DeviceKey,
    /// Its place among the devices, where it is one of them.
    pub device: Option<usize>,
    /// The addresses under which it was asked or spoke.
    pub targets: BTreeSet<IpAddr>,
    /// What it was asked with a token: the method, the canary's family, from where.
    pub asked: BTreeSet<(EgressMethod, Family, VantageId)>,
    /// Probes that came through, in the order of time.
    pub sightings: Vec<Sighting>,
    /// Who answered behind it on the way to a canary, by hop.
    pub ladder: Vec<Rung>,
    /// External addresses that it names.
    pub external: Vec<External>,
    /// Answers that came in through it from beyond the link.
    pub passages: Vec<(Passage, ObservationId)>,
    /// Prefixes that it announces as a default router.
    pub advertised: BTreeMap<Prefix, Vec<ObservationId>>,
    /// Addresses in use that a tunnel's IPv4 end is written in (6to4, Teredo, ISATAP).
    pub embedded: Vec<Embedded>,
}

/// One probe that came through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    pub method: EgressMethod,
    pub carrier: Carrier,
    pub target: IpAddr,
    pub canary: IpAddr,
    pub round: u8,
    pub seen_by: SeenBy,
    pub seen_as: SeenAs,
    /// Routers passed on the way, where both ends of the count are known.
    pub hops: Option<u8>,
    pub vantage: VantageId,
    pub probe: ObservationId,
    pub receipt: ObservationId,
}

/// With which source a probe came to the internet side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeenAs {
    /// Made by a NAT, or a relay's own.
    Address(IpAddr),
    /// The sender's own, as it left.
    Untranslated(IpAddr),
    /// Nobody on the internet side said.
    Unknown,
}

/// An answer to a packet with a small hop limit that was steered through the device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rung {
    pub family: Family,
    pub hop_limit: u8,
    pub from: IpAddr,
    pub said: Said,
    pub round: u8,
    pub observation: ObservationId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Said {
    /// The hop limit was used up there.
    TimeExceeded,
    /// The canary itself answered.
    Arrived,
    /// Another ICMP error.
    Refused,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct External {
    pub address: IpAddr,
    pub protocol: String,
    pub observation: ObservationId,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embedded {
    pub address: IpAddr,
    pub outer: Ipv4Addr,
    pub observations: Vec<ObservationId>,
}

/// All ways out, and the canaries they were looked for with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Egresses {
    /// By key.
    pub of: Vec<Egress>,
    pub canaries: BTreeSet<IpAddr>,
}

impl Sighting {
    /// Whether the collector itself vouches for it.
    pub fn is_receipt(&self) -> bool {
        self.seen_by != SeenBy::Answer
    }

    /// Whether it is a packet of ours that was steered through the device.
    pub fn is_steered(&self) -> bool {
        matches!(self.method, EgressMethod::NextHop | EgressMethod::Ipv6)
    }

    pub fn family(&self) -> Family {
        match self.seen_as {
            SeenAs::Address(observed) | SeenAs::Untranslated(observed) => Family::of(observed),
            SeenAs::Unknown => Family::of(self.canary),
        }
    }
}

/// Gathers them from the log; the order of the log does not matter.
pub(super) fn egresses(
    log: &Log,
    devices: &[Device],
    in_use: &BTreeMap<IpAddr, Vec<usize>>,
    stations: &BTreeMap<Mac, usize>,
    own: &BTreeSet<Mac>,
) -> Egresses {
    let probes = probes(log);
    let canaries: BTreeSet<IpAddr> = probes.values().map(|(_, probe)| probe.canary).collect();
    let mut gathering = Gathering { devices, in_use, stations, of: BTreeMap::new() };
    // Behind a MAC that routers share stands who was asked through it.
    let mut shared: BTreeMap<(Mac, Family), IpAddr> = BTreeMap::new();
    for (_, probe) in probes.values().filter(|(_, probe)| probe.mac.is_redundancy()) {
        let at = shared.entry((probe.mac, Family::of(probe.target))).or_insert(probe.target);
        *at = (*at).min(probe.target);
    }
    let stands_at = |mac: Mac, family: Family| match mac.is_redundancy() {
        true => shared.get(&(mac, family)).copied(),
        false => mac.is_station().then_some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
    };
    for ((vantage, _), (_, probe)) in &probes {
        if !own.contains(&probe.mac) {
            let one = gathering.at(probe.mac, probe.target);
            one.targets.insert(probe.target);
            one.asked.insert((probe.method, Family::of(probe.canary), *vantage));
        }
    }
    for (id, observation) in log.iter() {
        match &observation.fact {
            Fact::EgressReceipt(receipt) => {
                let Some(&(asked, probe)) = probes.get(&(observation.vantage, receipt.probe))
                else {
                    continue;
                };
                if !own.contains(&probe.mac) {
                    let seen = sighting(probe, receipt, observation.vantage, asked, id);
                    gathering.at(probe.mac, probe.target).sightings.push(seen);
                }
            }
            Fact::Forwarding(answer)
                if answer.hop_limit >= 2
                    && canaries.contains(&answer.destination)
                    && !own.contains(&answer.mac) =>
            {
                let family = Family::of(answer.destination);
                if let (Some(rung), Some(at)) = (rung(answer, id), stands_at(answer.mac, family)) {
                    gathering.at(answer.mac, at).ladder.push(rung);
                }
            }
            Fact::ExternalAddress(told) if !own.contains(&told.mac) => {
                let one = gathering.at(told.mac, told.ip);
                one.targets.insert(told.ip);
                if let Some(address) = told.external {
                    one.external.push(External {
                        address,
                        protocol: told.protocol.clone(),
                        observation: id,
                    });
                }
            }
            Fact::Passage(passage)
                if passage.direction == Direction::Answered && !own.contains(&passage.mac) =>
            {
                if let Some(at) = stands_at(passage.mac, Family::of(passage.remote)) {
                    gathering.at(passage.mac, at).passages.push((passage.clone(), id));
                }
            }
            Fact::RouterAdvertisement(ra) if ra.lifetime > 0 && !own.contains(&ra.mac) => {
                let one = gathering.at(ra.mac, ra.router);
                for information in &ra.prefixes {
                    if information.valid_lifetime > 0 {
                        one.advertised.entry(information.prefix).or_default().push(id);
                    }
                }
            }
            _ => {}
        }
    }
    for device in devices {
        for binding in device.bindings.iter().filter(|binding| binding.on_link) {
            if let Some(outer) = embedded(binding.ip) {
                gathering.of(device.key).embedded.push(Embedded {
                    address: binding.ip,
                    outer,
                    observations: binding.observations.clone(),
                });
            }
        }
    }
    let of = gathering.of.into_values().map(|egress| ordered(egress, log)).collect();
    Egresses { of, canaries }
}

/// The probes by vantage and number. A number that stands for two (a log put together from two sweeps)
/// is the one that comes first by time and content.
fn probes(log: &Log) -> BTreeMap<(VantageId, u32), (ObservationId, &EgressProbe)> {
    let asked = log.iter().filter_map(|(id, observation)| match &observation.fact {
        Fact::EgressProbe(_) => Some(id),
        _ => None,
    });
    let mut probes = BTreeMap::new();
    for id in in_time(log, asked) {
        if let Some(observation) = log.get(id)
            && let Fact::EgressProbe(probe) = &observation.fact
        {
            probes.entry((observation.vantage, probe.number)).or_insert((id, probe));
        }
    }
    probes
}

struct Gathering<'a> {
    devices: &'a [Device],
    in_use: &'a BTreeMap<IpAddr, Vec<usize>>,
    stations: &'a BTreeMap<Mac, usize>,
    of: BTreeMap<DeviceKey, Egress>,
}

impl Gathering<'_> {
    fn of(&mut self, key: DeviceKey) -> &mut Egress {
        let place = match key {
            DeviceKey::Station(mac) => self.stations.get(&mac).copied(),
            DeviceKey::Address(_) => {
                let place = self.devices.binary_search_by_key(&key, |device| device.key);
                place.ok()
            }
        };
        self.of.entry(key).or_insert_with(|| Egress {
            key,
            device: place,
            targets: BTreeSet::new(),
            asked: BTreeSet::new(),
            sightings: Vec::new(),
            ladder: Vec::new(),
            external: Vec::new(),
            passages: Vec::new(),
            advertised: BTreeMap::new(),
            embedded: Vec::new(),
        })
    }

    /// Whom a MAC and an address stand for: the station; behind a MAC that several routers share, or none,
    /// who uses the address.
    fn at(&mut self, mac: Mac, ip: IpAddr) -> &mut Egress {
        let is_own = mac.is_station() && !mac.is_redundancy();
        let user = || self.in_use.get(&ip)?.first().and_then(|&place| self.devices.get(place));
        let key = match is_own {
            true => DeviceKey::Station(mac),
            false => user().map_or(DeviceKey::Address(ip), |device| device.key),
        };
        self.of(key)
    }
}

fn sighting(
    probe: &EgressProbe,
    receipt: &EgressReceipt,
    vantage: VantageId,
    asked: ObservationId,
    id: ObservationId,
) -> Sighting {
    let sender = match probe.method {
        EgressMethod::NextHop | EgressMethod::Ipv6 => Some(probe.asked_from),
        EgressMethod::SpoofedSource => Some(probe.target),
        _ => None,
    };
    let seen_as = match receipt.observed {
        None => SeenAs::Unknown,
        Some(observed) if Some(observed) == sender => SeenAs::Untranslated(observed),
        Some(observed) => SeenAs::Address(observed),
    };
    // An answer's sender starts from a customary value (RFC 1700 and what systems do); we know our own.
    let initial = match probe.method {
        EgressMethod::SpoofedSource => {
            [64, 128, 255].into_iter().find(|&initial| initial >= receipt.hop_limit)
        }
        EgressMethod::NextHop | EgressMethod::Ipv6 => Some(probe.hop_limit),
        _ => None,
    };
    let hops = initial
        .filter(|_| receipt.hop_limit > 0)
        .and_then(|initial| initial.checked_sub(receipt.hop_limit));
    Sighting {
        method: probe.method,
        carrier: probe.carrier,
        target: probe.target,
        canary: probe.canary,
        round: probe.round,
        seen_by: receipt.seen_by,
        seen_as,
        hops,
        vantage,
        probe: asked,
        receipt: id,
    }
}

fn rung(answer: &Forwarding, observation: ObservationId) -> Option<Rung> {
    let said = match (answer.destination, answer.icmp) {
        (_, None) if answer.from == answer.destination => Said::Arrived,
        (_, None) => return None,
        (IpAddr::V4(_), Some((11, 0))) | (IpAddr::V6(_), Some((3, 0))) => Said::TimeExceeded,
        _ => Said::Refused,
    };
    Some(Rung {
        family: Family::of(answer.destination),
        hop_limit: answer.hop_limit,
        from: answer.from,
        said,
        round: answer.round,
        observation,
    })
}

/// The IPv4 address of a tunnel's outer end that an IPv6 address is made from: 6to4 (RFC 3056 §2), Teredo
/// (RFC 4380 §4, written inverted), ISATAP (RFC 5214 §6.1).
pub fn embedded(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(ipv6) = address else { return None };
    let bits = ipv6.to_bits();
    match special::purpose(address) {
        Some(Purpose::SixToFour) => Some(Ipv4Addr::from_bits((bits >> 80) as u32)),
        Some(Purpose::Teredo) => Some(Ipv4Addr::from_bits(!(bits as u32))),
        _ if (bits >> 32) as u32 & !0x0200_0000 == 0x5efe => Some(Ipv4Addr::from_bits(bits as u32)),
        _ => None,
    }
}

fn ordered(mut egress: Egress, log: &Log) -> Egress {
    let time = |id: ObservationId| {
        log.get(id).map(|one| (one.at, one.vantage, one.source, one.fact.clone()))
    };
    egress.sightings.sort_by_cached_key(|one| (time(one.probe), time(one.receipt)));
    egress.ladder.sort_by_cached_key(|one| {
        (one.family, one.hop_limit, one.from, one.said, one.round, time(one.observation))
    });
    egress.external.sort_by_cached_key(|one| time(one.observation));
    egress.passages.sort_by_cached_key(|(_, id)| time(*id));
    for shown in egress.advertised.values_mut() {
        *shown = in_time(log, shown.iter().copied());
    }
    egress.embedded.sort_by_key(|one| one.address);
    egress
}
