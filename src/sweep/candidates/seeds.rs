//! What candidates are made from.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{OnLink, interface_id, is_numbered};
use crate::net::{Mac, Prefix};
use crate::registry::Registry;

/// Interface identifiers that are kept as structure: more than any prefix is asked for.
const MOST_STRUCTURE: usize = 1024;

/// IPv4 addresses that are looked at for one prefix: many times what is asked of it.
const MOST_IPV4: usize = 4096;

/// A row of the registry: what belongs to one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub unit: String,
    pub ips: Vec<IpAddr>,
    pub macs: Vec<Mac>,
}

/// What is known by now, from one vantage.
#[derive(Debug, Clone, Default)]
pub struct Seeds {
    pub registered: BTreeSet<Ipv6Addr>,
    /// Used, advertised, resolved, tried or asked for on the wire.
    pub heard: BTreeSet<Ipv6Addr>,
    pub answered: BTreeSet<Ipv6Addr>,
    pub dns: BTreeSet<Ipv6Addr>,
    pub snmp: BTreeSet<Ipv6Addr>,
    pub hops: BTreeSet<Ipv6Addr>,
    /// Stations of the vantage's link.
    pub macs: BTreeSet<Mac>,
    /// Who joined which solicited-node group there, by its low 24 bits.
    pub joined: BTreeSet<(Mac, u32)>,
    /// Addresses and MACs that routers told.
    pub told: BTreeSet<(IpAddr, Mac)>,
    /// IPv4 addresses on the vantage's link, and those that answered from anywhere.
    pub ipv4_here: BTreeSet<Ipv4Addr>,
    pub ipv4: BTreeSet<Ipv4Addr>,
    pub rows: Vec<Row>,
    /// The registry's segments and whose they are.
    pub segments: Vec<(Prefix, String)>,
    pub(super) structure: Vec<u64>,
    /// Interface identifiers by their low 24 bits.
    pub(super) ids: BTreeMap<u64, BTreeSet<u64>>,
}

impl Seeds {
    /// What is known before anything was asked.
    pub fn of_registry(registry: Option<&Registry>) -> Seeds {
        let mut seeds = Seeds::default();
        let Some(registry) = registry else { return seeds };
        let row = |unit: &String, ips: &[IpAddr], macs: &[Mac]| Row {
            unit: unit.clone(),
            ips: ips.to_vec(),
            macs: macs.to_vec(),
        };
        seeds.rows.extend(registry.devices.iter().map(|one| row(&one.unit, &one.ip, &one.mac)));
        seeds.rows.extend(registry.assets.iter().map(|one| row(&one.unit, &one.ip, &one.mac)));
        seeds.rows.extend(registry.services.iter().map(|one| row(&one.unit, &[one.ip], &[])));
        seeds.segments.extend(registry.segments.iter().map(|one| (one.prefix, one.unit.clone())));
        for address in seeds.rows.iter().flat_map(|row| &row.ips) {
            match address {
                IpAddr::V4(address) => seeds.ipv4.insert(*address),
                IpAddr::V6(address) => seeds.registered.insert(*address),
            };
        }
        seeds
    }

    /// Ranks what is looked up for every prefix. Called when all sets are filled.
    pub fn ready(mut self) -> Seeds {
        let answered = self.answered.iter().map(|address| (address, 2));
        let others = [&self.registered, &self.heard, &self.dns, &self.snmp, &self.hops];
        let others = others.into_iter().flatten().map(|address| (address, 1));
        let mut weights: BTreeMap<u64, BTreeMap<u64, usize>> = BTreeMap::new();
        for (address, weight) in answered.chain(others) {
            let number = address.to_bits();
            let id = interface_id(number);
            self.ids.entry(id & 0xff_ffff).or_default().insert(id);
            if is_numbered(id) && !address.is_unicast_link_local() {
                let of = weights.entry(id).or_default().entry((number >> 64) as u64).or_default();
                *of = weight.max(*of);
            }
        }
        // By how many prefixes have it, those that answered twice.
        let mut ranked: Vec<(usize, u64)> =
            weights.into_iter().map(|(id, of)| (of.values().sum(), id)).collect();
        ranked.sort_by_key(|(weight, id)| (std::cmp::Reverse(*weight), *id));
        self.structure = ranked.into_iter().map(|(_, id)| id).take(MOST_STRUCTURE).collect();
        self
    }

    /// Addresses of a prefix that somebody named or that answered.
    pub(super) fn within(&self, prefix: Prefix) -> BTreeSet<u128> {
        [&self.registered, &self.heard, &self.answered, &self.dns, &self.snmp, &self.hops]
            .into_iter()
            .flat_map(|set| range(set, prefix))
            .collect()
    }

    /// The units whose segment a prefix is.
    fn units(&self, prefix: Prefix) -> BTreeSet<&str> {
        let of = self.segments.iter().filter(|(segment, _)| segment.overlaps(prefix));
        of.map(|(_, unit)| unit.as_str()).collect()
    }

    /// Registry rows of a prefix: with an address in it, or of its units.
    fn rows_of(&self, prefix: Prefix) -> impl Iterator<Item = &Row> {
        let units = self.units(prefix);
        self.rows.iter().filter(move |row| {
            units.contains(row.unit.as_str()) || row.ips.iter().any(|ip| prefix.contains(*ip))
        })
    }

    /// Stations of a prefix: those of its own addresses first, then the link's, the router's word, the registry's.
    pub(super) fn macs_of(&self, prefix: Prefix, on_link: OnLink, seen: &[u128]) -> Vec<Mac> {
        let mut macs = Vec::new();
        let mut known = BTreeSet::new();
        let units = self.units(prefix);
        let kin: Vec<Prefix> = self
            .segments
            .iter()
            .filter(|(_, unit)| units.contains(unit.as_str()))
            .map(|(segment, _)| *segment)
            .collect();
        let is_kin = |ip: IpAddr| kin.iter().any(|segment| segment.contains(ip));
        let own =
            seen.iter().filter_map(|number| Mac::from_interface_id(Ipv6Addr::from_bits(*number)));
        let here = self.macs.iter().copied().filter(|_| on_link == OnLink::Here);
        // Who has an IPv6 address elsewhere stands there.
        let elsewhere: BTreeSet<Mac> = self
            .told
            .iter()
            .filter(|(ip, _)| ip.is_ipv6() && !prefix.contains(*ip))
            .map(|(_, mac)| *mac)
            .collect();
        let told = self
            .told
            .iter()
            .filter(|(ip, mac)| prefix.contains(*ip) || is_kin(*ip) && !elsewhere.contains(mac))
            .map(|(_, mac)| *mac);
        let registered = self.rows_of(prefix).flat_map(|row| row.macs.iter().copied());
        for mac in own.chain(here).chain(told).chain(registered) {
            if mac.is_station() && !mac.is_redundancy() && known.insert(mac) {
                macs.push(mac);
            }
        }
        macs
    }

    /// IPv4 addresses: of the same machines, of the link or the unit, then all others.
    pub(super) fn ipv4_of(&self, prefix: Prefix, on_link: OnLink) -> Vec<Ipv4Addr> {
        let units = self.units(prefix);
        let kin: Vec<Prefix> = self
            .segments
            .iter()
            .filter(|(segment, unit)| segment.is_ipv4() && units.contains(unit.as_str()))
            .map(|(segment, _)| *segment)
            .collect();
        let rows = self.rows_of(prefix).flat_map(|row| &row.ips).filter_map(|ip| match ip {
            IpAddr::V4(ip) => Some(*ip),
            IpAddr::V6(_) => None,
        });
        let here = self.ipv4_here.iter().copied().filter(|_| on_link == OnLink::Here);
        let near = self
            .ipv4
            .iter()
            .copied()
            .filter(|ip| kin.iter().any(|segment| segment.contains((*ip).into())));
        let mut known = BTreeSet::new();
        let all = rows.chain(here).chain(near).chain(self.ipv4.iter().copied());
        all.filter(|ip| known.insert(*ip)).take(MOST_IPV4).collect()
    }
}

/// The addresses of a set in a prefix, as numbers.
pub(super) fn range(
    set: &BTreeSet<Ipv6Addr>,
    prefix: Prefix,
) -> impl Iterator<Item = u128> + use<'_> {
    let bounds = match (prefix.first(), prefix.last()) {
        (IpAddr::V6(first), IpAddr::V6(last)) => Some(first..=last),
        _ => None,
    };
    bounds.into_iter().flat_map(|bounds| set.range(bounds)).map(|address| address.to_bits())
}
