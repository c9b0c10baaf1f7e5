//! What a running sweep knows: whom it can ask next, and through whom. Drawn from observations as they
//! come in, so an interrupted sweep knows it again from its log.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use crate::net::{Family, Mac, Prefix, special};
use crate::observe::{Fact, Observation, PortState, VantageId};

#[derive(Debug, Clone, Default)]
pub struct Live {
    /// Stations of each link by the address they use.
    pub neighbours: BTreeMap<VantageId, BTreeMap<IpAddr, Mac>>,
    /// Addresses that answered us, on link or beyond.
    pub answered: BTreeSet<IpAddr>,
    /// Every station MAC heard at a vantage.
    pub stations: BTreeMap<VantageId, BTreeSet<Mac>>,
    /// IPv6 addresses heard of: used, advertised, asked for, or at the head of a packet.
    pub heard_ipv6: BTreeSet<Ipv6Addr>,
    /// Routers that ladders, errors and forwarding tests showed.
    pub hops: BTreeSet<Ipv6Addr>,
    /// Who joined which solicited-node group, by the low 24 bits that the group gives away.
    pub joined: BTreeMap<VantageId, BTreeSet<(Mac, u32)>>,
    /// Addresses and MACs out of the neighbour caches of routers.
    pub told: BTreeSet<(IpAddr, Mac)>,
    /// IPv6 addresses that routers told, and those that name servers have a name for.
    pub told_ipv6: BTreeSet<Ipv6Addr>,
    pub named_ipv6: BTreeSet<Ipv6Addr>,
    /// How many addresses a station was heard to try.
    pub tried: BTreeMap<Mac, usize>,
    /// On-link prefixes that router advertisements or DHCP named, by vantage.
    pub on_link: BTreeMap<VantageId, BTreeSet<Prefix>>,
    /// Prefixes named as lying behind a router.
    pub routed: BTreeSet<Prefix>,
    /// Routers by advertisement, with a lifetime: who leads IPv6 out of the link.
    pub ipv6_routers: BTreeMap<VantageId, BTreeSet<IpAddr>>,
    /// Vantages where an MLD querier was heard in this sweep.
    pub queriers: BTreeSet<VantageId>,
    /// Targets that a router named as unreachable beyond it: their prefix exists there.
    pub unreachable: BTreeSet<IpAddr>,
    /// How many ports answered, open or closed.
    pub ports: usize,
}

/// Addresses that one station tries, or whose groups it joins, that are asked for: a host has a few, a router or a machine of
/// containers tens; who tries thousands only crowds the others out. A guess.
const MOST_TRIED: usize = 64;
/// ICMP codes that say: the destination's network is here, the host did not answer. A router without
/// a route says net unreachable (0) instead. RFC 792, RFC 1812 §5.2.7.1.
const HOST_UNREACHABLE: u8 = 1;
/// ICMPv6: address unreachable. RFC 4443 §3.1.
const ADDRESS_UNREACHABLE: u8 = 3;

impl Live {
    pub fn learn(&mut self, observation: &Observation) {
        let vantage = observation.vantage;
        match &observation.fact {
            Fact::Binding { ip, mac } => self.neighbour(vantage, *ip, *mac),
            Fact::Answer { ip, mac, port, state, .. } => {
                self.answered.insert(*ip);
                self.ports += usize::from(port.is_some());
                if *state == PortState::Alive {
                    self.station(vantage, *mac);
                }
                if special::is_link_local(*ip) {
                    self.neighbour(vantage, *ip, *mac);
                }
            }
            Fact::Hop { from, .. } => self.hop(*from),
            Fact::Forwarding(answer) => self.hop(answer.from),
            Fact::IcmpError(error) => {
                if error.from != error.target {
                    self.hop(error.from);
                }
                let beyond = error.from != error.target;
                let here = match Family::of(error.from) {
                    Family::Ipv4 => (error.icmp_type, error.code) == (3, HOST_UNREACHABLE),
                    Family::Ipv6 => (error.icmp_type, error.code) == (1, ADDRESS_UNREACHABLE),
                };
                if beyond && here {
                    self.unreachable.insert(error.target);
                }
            }
            Fact::RouterAdvertisement(advertisement) => {
                self.neighbour(vantage, advertisement.router, advertisement.mac);
                if advertisement.lifetime > 0 {
                    self.ipv6_routers.entry(vantage).or_default().insert(advertisement.router);
                }
                for prefix in advertisement.prefixes.iter().filter(|p| p.on_link) {
                    self.on_link.entry(vantage).or_default().insert(prefix.prefix);
                }
                self.routed.extend(advertisement.routes.iter().map(|route| route.prefix));
            }
            Fact::DhcpServer(server) => {
                // A relay's answer tells of this link too: it is given to a client here.
                if let Some(prefix) = server.prefix {
                    self.on_link.entry(vantage).or_default().insert(prefix);
                }
            }
            Fact::RoutingSpeaker(speaker) => {
                self.station(vantage, speaker.mac);
                if let Some(prefix) = speaker.prefix {
                    self.on_link.entry(vantage).or_default().insert(prefix);
                }
                self.routed.extend(&speaker.advertised);
            }
            // One of IGMP says nothing about IPv6.
            Fact::Querier { ip: IpAddr::V6(_), .. } => {
                self.queriers.insert(vantage);
            }
            Fact::Lldp(neighbour) => self.station(vantage, neighbour.mac),
            Fact::DeviceAnnouncement(told) => self.station(vantage, told.mac),
            Fact::DhcpClient(client) => {
                self.station(vantage, client.mac);
                self.heard(client.requested);
            }
            Fact::Encapsulated { inner, .. } => {
                // Of a client behind a relay only the address is of use here.
                if let Fact::DhcpClient(client) = &**inner {
                    self.heard(client.requested);
                }
            }
            Fact::Listener { mac, group: IpAddr::V6(group), .. } if mac.is_station() => {
                let of = self.joined.entry(vantage).or_default();
                if let Some(low) = special::solicited(*group)
                    && of.range((*mac, 0)..=(*mac, u32::MAX)).count() < MOST_TRIED
                {
                    of.insert((*mac, low));
                }
            }
            Fact::ToldNeighbour { ip, mac, .. } => {
                self.told.insert((*ip, *mac));
                if let IpAddr::V6(ip) = ip {
                    self.told_ipv6.insert(*ip);
                }
            }
            Fact::ToldAddress { ip: IpAddr::V6(ip), .. } => {
                self.told_ipv6.insert(*ip);
            }
            Fact::PointerName { ip: IpAddr::V6(ip), .. } => {
                self.named_ipv6.insert(*ip);
            }
            Fact::Tentative { ip: IpAddr::V6(ip), mac } => {
                self.station(vantage, *mac);
                let of = self.tried.entry(*mac).or_default();
                if *of < MOST_TRIED && self.heard_ipv6.insert(*ip) {
                    *of += 1;
                }
            }
            Fact::Traffic { ip: IpAddr::V6(ip), mac, .. } if ip.is_unicast_link_local() => {
                self.neighbour(vantage, (*ip).into(), *mac);
            }
            Fact::Traffic { ip, .. } => self.heard(Some(*ip)),
            _ => {}
        }
    }

    fn heard(&mut self, ip: Option<IpAddr>) {
        if let Some(IpAddr::V6(ip)) = ip.filter(|ip| special::is_host(*ip)) {
            self.heard_ipv6.insert(ip);
        }
    }

    fn hop(&mut self, ip: IpAddr) {
        if let IpAddr::V6(ip) = ip
            && special::is_host(ip.into())
            && !ip.is_unicast_link_local()
        {
            self.hops.insert(ip);
        }
    }

    fn neighbour(&mut self, vantage: VantageId, ip: IpAddr, mac: Mac) {
        if !mac.is_station() || !special::is_host(ip) {
            return;
        }
        self.station(vantage, mac);
        self.neighbours.entry(vantage).or_default().insert(ip, mac);
        if let IpAddr::V6(ip) = ip {
            self.heard_ipv6.insert(ip);
        }
    }

    fn station(&mut self, vantage: VantageId, mac: Mac) {
        if mac.is_station() && !mac.is_redundancy() {
            self.stations.entry(vantage).or_default().insert(mac);
        }
    }

    pub fn mac_of(&self, vantage: VantageId, ip: IpAddr) -> Option<Mac> {
        self.neighbours.get(&vantage)?.get(&ip).copied()
    }
}
