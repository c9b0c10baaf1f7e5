//! Segments: prefixes in use, as tight as the evidence supports.
//!
//! A prefix is stated by an interface, a router advertisement, a DHCP mask, a routing protocol. A live
//! address is put to the longest of those and of the registry's prefixes that holds it; where nothing
//! says how far its segment reaches, to its /24 or /64.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::fold::Links;
use super::{Context, Device, in_time};
use crate::net::{Family, Prefix, PrefixMap, special};
use crate::observe::{Fact, Log, ObservationId, RoutingProtocol, VantageId};

/// A prefix in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    pub prefix: Prefix,
    /// The vantages on whose link it is; none: it was reached or named only beyond a router.
    pub on_link: BTreeSet<VantageId>,
    pub gateways: BTreeSet<IpAddr>,
    /// Devices with an address in it.
    pub live: u64,
    /// By what it is known, with what shows it. `Interface` alone is only the vantage's own setting.
    pub sources: BTreeMap<SegmentSource, Vec<ObservationId>>,
}

/// By what a segment is known. The words are the contract's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SegmentSource {
    Interface,
    RouterAdvertisement,
    Dhcp,
    Snmp,
    RoutingProtocol,
    Traceroute,
    LiveAddresses,
}

impl SegmentSource {
    pub const fn word(self) -> &'static str {
        match self {
            SegmentSource::Interface => "interface",
            SegmentSource::RouterAdvertisement => "router-advertisement",
            SegmentSource::Dhcp => "dhcp",
            SegmentSource::Snmp => "snmp",
            SegmentSource::RoutingProtocol => "routing-protocol",
            SegmentSource::Traceroute => "traceroute",
            SegmentSource::LiveAddresses => "live-addresses",
        }
    }
}

#[derive(Default)]
struct Gathered {
    on_link: BTreeSet<VantageId>,
    live: u64,
    sources: BTreeMap<SegmentSource, BTreeSet<ObservationId>>,
}

/// By prefix.
pub(super) fn segments(
    log: &Log,
    context: &Context,
    links: &Links,
    devices: &[Device],
    in_use: &BTreeMap<IpAddr, Vec<usize>>,
) -> Vec<Segment> {
    let mut gathered: BTreeMap<Prefix, Gathered> = BTreeMap::new();
    for (id, observation) in log.iter() {
        for (prefix, source, on_link) in stated(&observation.fact) {
            // What a router tells of its outer side is not ours to judge.
            let told = source == SegmentSource::Snmp;
            if !is_segment(prefix) || told && !context.scope.overlaps(prefix) {
                continue;
            }
            let segment = gathered.entry(prefix).or_default();
            segment.sources.entry(source).or_default().insert(id);
            if on_link {
                segment.on_link.insert(observation.vantage);
            }
        }
    }
    let mut reach: PrefixMap<()> = PrefixMap::new();
    for &prefix in gathered.keys().chain(&context.segments) {
        reach.insert(prefix, ());
    }
    for device in devices {
        let mut of: BTreeSet<Prefix> = BTreeSet::new();
        for binding in &device.bindings {
            if special::is_link_local(binding.ip) {
                continue;
            }
            let known = reach.longest(binding.ip).map(|(prefix, ())| prefix);
            // What stands beyond routers and outside the scope was not asked; it only passed something on
            // or refused it, and is the way to the internet more often than not.
            if !binding.on_link && known.is_none() && !context.scope.contains(binding.ip) {
                continue;
            }
            let prefix = known.unwrap_or_else(|| customary(binding.ip));
            of.insert(prefix);
            let segment = gathered.entry(prefix).or_default();
            let answered = |id: &ObservationId| {
                log.get(*id).is_some_and(|one| matches!(one.fact, Fact::Answer { .. }))
            };
            let source = if binding.on_link || binding.observations.iter().any(answered) {
                SegmentSource::LiveAddresses
            } else {
                SegmentSource::Traceroute
            };
            segment.sources.entry(source).or_default().extend(&binding.observations);
            if binding.on_link {
                segment.on_link.extend(&binding.vantages);
            }
        }
        for prefix in of {
            if let Some(segment) = gathered.get_mut(&prefix) {
                segment.live += 1;
            }
        }
    }
    let gateways = gateways(log, links, devices, in_use, &gathered);
    gathered
        .into_iter()
        .map(|(prefix, segment)| Segment {
            prefix,
            on_link: segment.on_link,
            gateways: gateways.get(&prefix).cloned().unwrap_or_default(),
            live: segment.live,
            sources: segment
                .sources
                .into_iter()
                .map(|(source, shown)| (source, in_time(log, shown)))
                .collect(),
        })
        .collect()
}

/// The prefixes that a fact states, and whether as its link's own.
fn stated(fact: &Fact) -> Vec<(Prefix, SegmentSource, bool)> {
    match fact {
        Fact::Interface { prefix, .. } => vec![(*prefix, SegmentSource::Interface, true)],
        Fact::RouterAdvertisement(ra) => {
            let own = ra
                .prefixes
                .iter()
                .filter(|information| information.valid_lifetime > 0)
                .filter(|information| information.on_link || information.autonomous)
                .map(|information| (information.prefix, SegmentSource::RouterAdvertisement, true));
            let routes = ra
                .routes
                .iter()
                .filter(|route| route.lifetime > 0)
                .map(|route| (route.prefix, SegmentSource::RouterAdvertisement, false));
            own.chain(routes).collect()
        }
        Fact::DhcpServer(server) => {
            let own = server.prefix.map(|prefix| (prefix, SegmentSource::Dhcp, true));
            let delegated =
                server.delegated.iter().map(|&prefix| (prefix, SegmentSource::Dhcp, false));
            own.into_iter().chain(delegated).collect()
        }
        Fact::ToldAddress { prefix, .. } => {
            prefix.iter().map(|prefix| (*prefix, SegmentSource::Snmp, false)).collect()
        }
        Fact::RoutingSpeaker(speaker) => {
            let own = speaker.prefix.map(|prefix| (prefix, SegmentSource::RoutingProtocol, true));
            let told = speaker
                .advertised
                .iter()
                .map(|&prefix| (prefix, SegmentSource::RoutingProtocol, false));
            own.into_iter().chain(told).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether a stated prefix is a segment: not everything, not one host, not the link itself.
fn is_segment(prefix: Prefix) -> bool {
    prefix.length() > 0
        && prefix.length() < prefix.family().bits()
        && !special::is_link_local(prefix.first())
        && special::is_host(prefix.last())
}

/// The prefix around an address where nothing says how far its segment reaches.
fn customary(ip: IpAddr) -> Prefix {
    match Family::of(ip) {
        Family::Ipv4 => Prefix::of(ip, 24),
        Family::Ipv6 => Prefix::of(ip, 64),
    }
}

/// Who leads out of each segment, as far as it was said or seen.
fn gateways(
    log: &Log,
    links: &Links,
    devices: &[Device],
    in_use: &BTreeMap<IpAddr, Vec<usize>>,
    segments: &BTreeMap<Prefix, Gathered>,
) -> BTreeMap<Prefix, BTreeSet<IpAddr>> {
    let mut reach: PrefixMap<()> = PrefixMap::new();
    for &prefix in segments.keys() {
        reach.insert(prefix, ());
    }
    let mut gateways: BTreeMap<Prefix, BTreeSet<IpAddr>> = BTreeMap::new();
    let mut put = |ip: IpAddr| {
        if let Some((prefix, ())) = reach.longest(ip) {
            gateways.entry(prefix).or_default().insert(ip);
        }
    };
    let mut by_link_local: Vec<(Prefix, IpAddr)> = Vec::new();
    for (_, observation) in log.iter() {
        match &observation.fact {
            Fact::Gateway { address } => put(*address),
            Fact::DhcpServer(server) => server.routers.iter().copied().for_each(&mut put),
            // Where a ladder ends, the target itself answers.
            Fact::Hop { from, target, .. } if from != target => put(*from),
            Fact::RoutingSpeaker(speaker) => match speaker.protocol {
                RoutingProtocol::Vrrp | RoutingProtocol::Hsrp => {
                    speaker.virtual_addresses.iter().copied().for_each(&mut put);
                }
                _ => put(speaker.ip),
            },
            Fact::RouterAdvertisement(ra)
                if ra.lifetime > 0 && !links.own_macs.contains(&ra.mac) =>
            {
                for information in &ra.prefixes {
                    let prefix = information.prefix;
                    let own: Vec<IpAddr> = in_use
                        .get(&ra.router)
                        .into_iter()
                        .flatten()
                        .filter_map(|&place| devices.get(place))
                        .flat_map(Device::addresses)
                        .filter(|&ip| prefix.contains(ip))
                        .collect();
                    if own.is_empty() {
                        by_link_local.push((prefix, ra.router));
                    }
                    own.into_iter().for_each(&mut put);
                }
            }
            _ => {}
        }
    }
    for (prefix, router) in by_link_local {
        if segments.contains_key(&prefix) {
            gateways.entry(prefix).or_default().insert(router);
        }
    }
    gateways
}
