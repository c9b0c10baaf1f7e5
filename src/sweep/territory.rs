//! Where a sweep asks, and from where: the scope is a fence, not a list of targets (contract §3).
//!
//! Asked in full: the vantages' own IPv4 prefixes and the registry's segments, as far as they lie in
//! the scope. `explore` is sampled, and asked in full only where something answers. IPv6 is asked by
//! candidates. Without a registry a scope given on the command line is itself the targets.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::vantage::Station;
use crate::net::{AddressSet, Family, Prefix};
use crate::observe::VantageId;

/// A prefix to ask, and which of its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Area {
    pub prefix: Prefix,
    pub vantage: VantageId,
    pub reach: Reach,
    /// The addresses that may be asked. For IPv6 what candidates must lie in.
    pub targets: AddressSet,
    /// Addresses of the prefix that are excluded; saturating.
    pub excluded: u64,
}

/// How a prefix is reached from its vantage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    OnLink,
    /// Through this neighbour.
    Through(IpAddr),
}

/// A prefix that no vantage can reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreachable {
    pub prefix: Prefix,
    pub family: Family,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Territory {
    pub full: Vec<Area>,
    /// Sampled: chunks of a /24 or a /64.
    pub explore: Vec<Area>,
    pub unreachable: Vec<Unreachable>,
}

/// What the scope, the registry and the flags say.
#[derive(Debug, Clone, Default)]
pub struct Bounds {
    pub scope: AddressSet,
    pub exclude: AddressSet,
    /// The registry's segments, valid or not: what was withdrawn is asked too.
    pub segments: Vec<Prefix>,
    pub explore: Vec<Prefix>,
    /// Prefixes learnt on the way, on link (router advertisements, DHCP) or behind a router.
    pub learnt: Vec<Prefix>,
    /// Whether the scope itself is the targets: no registry, and `--scope` given.
    pub scope_is_targets: bool,
}

impl Territory {
    pub fn of(bounds: &Bounds, stations: &[Station]) -> Territory {
        let own: AddressSet = AddressSet::of_addresses(
            stations.iter().flat_map(|station| station.addresses.iter().map(|(ip, _)| *ip)),
        );
        let planner = Planner { bounds, stations, own };
        let mut territory = Territory::default();
        let mut done = AddressSet::default();
        for station in stations {
            for prefix in station.prefixes() {
                let wanted = AddressSet::of([prefix]).and(&bounds.scope).minus(&done);
                for part in wanted.prefixes() {
                    // The ends of the link's own prefix are no hosts; those of a part of it may be.
                    let area = planner.area(part, prefix, station.id, Reach::OnLink);
                    territory.full.push(area);
                }
                done = done.or(&wanted);
            }
        }
        let mut wanted: BTreeSet<Prefix> = bounds.segments.iter().copied().collect();
        wanted.extend(&bounds.learnt);
        if bounds.scope_is_targets {
            wanted.extend(bounds.scope.prefixes());
        }
        for prefix in wanted {
            let rest = AddressSet::of([prefix]).and(&bounds.scope).minus(&done);
            for part in rest.prefixes() {
                match planner.way(part) {
                    Some((vantage, reach)) => {
                        territory.full.push(planner.area(part, prefix, vantage, reach));
                    }
                    None => territory
                        .unreachable
                        .push(Unreachable { prefix: part, family: part.family() }),
                }
            }
            done = done.or(&rest);
        }
        for &prefix in &bounds.explore {
            for inside in AddressSet::of([prefix]).and(&bounds.scope).prefixes() {
                let rest = AddressSet::of([inside]).minus(&done);
                if rest.is_empty() {
                    continue;
                }
                match planner.way(inside) {
                    Some((vantage, reach)) => {
                        let mut area = planner.area(inside, inside, vantage, reach);
                        area.targets = area.targets.and(&rest);
                        territory.explore.push(area);
                    }
                    None => territory
                        .unreachable
                        .push(Unreachable { prefix: inside, family: inside.family() }),
                }
                done = done.or(&rest);
            }
        }
        territory
    }

    /// The areas asked in full of one family.
    pub fn full_of(&self, family: Family) -> impl Iterator<Item = &Area> {
        self.full.iter().filter(move |area| area.prefix.family() == family)
    }
}

struct Planner<'a> {
    bounds: &'a Bounds,
    stations: &'a [Station],
    own: AddressSet,
}

impl Planner<'_> {
    /// `around` is the prefix whose first and last address are no hosts.
    fn area(&self, prefix: Prefix, around: Prefix, vantage: VantageId, reach: Reach) -> Area {
        let whole = AddressSet::of([prefix]);
        let mut targets = whole.minus(&self.bounds.exclude).minus(&self.own);
        if around.is_ipv4() && around.length() < 31 {
            targets = targets.minus(&AddressSet::of_addresses([around.first(), around.last()]));
        }
        let excluded = u64::try_from(whole.and(&self.bounds.exclude).count()).unwrap_or(u64::MAX);
        Area { prefix, vantage, reach, targets, excluded }
    }

    /// From where a prefix off the link is reached: by the vantage with the most specific way to it,
    /// through a gateway that is not excluded.
    fn way(&self, prefix: Prefix) -> Option<(VantageId, Reach)> {
        let ways = self.stations.iter().flat_map(|station| {
            station.ways.iter().map(move |(destination, gateway)| (station, destination, gateway))
        });
        ways.filter(|(_, destination, gateway)| {
            destination.covers(prefix) && !self.bounds.exclude.contains(**gateway)
        })
        .max_by_key(|(station, destination, _)| {
            (destination.length(), std::cmp::Reverse(station.id))
        })
        .map(|(station, _, gateway)| (station.id, Reach::Through(*gateway)))
    }
}

/// The last numbers of addresses that people give first: gateways at either end, then round ones.
const CUSTOMARY: &[u128] = &[1, 254, 2, 10, 100];

/// How many chunks of one sweep are sampled at most: the /24s of a /8.
pub const MOST_CHUNKS: usize = 65_536;

/// The samples of an explored area: a few addresses of each /24 or /64, those that are customary and
/// those that the registry's own addresses end in. The second value tells how many chunks were left
/// out because there are more than [`MOST_CHUNKS`].
pub fn samples(area: &Area, habits: &[u128]) -> (Vec<(Prefix, Vec<IpAddr>)>, u128) {
    let length = match area.prefix.family() {
        Family::Ipv4 => 24,
        Family::Ipv6 => 64,
    };
    let length = length.max(area.prefix.length());
    let total = 1u128.checked_shl(u32::from(length - area.prefix.length())).unwrap_or(u128::MAX);
    let mut chunks = Vec::new();
    for chunk in area.prefix.parts(length).take(MOST_CHUNKS) {
        let mut addresses = Vec::new();
        for last in CUSTOMARY.iter().chain(habits) {
            let Some(number) = chunk.first_number().checked_add(*last) else { continue };
            let address = chunk.family().address(number);
            if chunk.contains(address)
                && area.targets.contains(address)
                && !addresses.contains(&address)
            {
                addresses.push(address);
            }
        }
        if !addresses.is_empty() {
            chunks.push((chunk, addresses));
        }
    }
    (chunks, total.saturating_sub(MOST_CHUNKS as u128))
}

/// The numbers that the given addresses most often end in (the last octet in IPv4, the last 16 bits
/// in IPv6), most frequent first.
pub fn habits(addresses: impl IntoIterator<Item = IpAddr>, most: usize) -> Vec<u128> {
    let mut counts = std::collections::BTreeMap::<u128, usize>::new();
    for address in addresses {
        let last = match address {
            IpAddr::V4(address) => u128::from(address.octets()[3]),
            IpAddr::V6(address) => u128::from(address.segments()[7]),
        };
        *counts.entry(last).or_default() += 1;
    }
    let mut ranked: Vec<_> = counts.into_iter().collect();
    ranked.sort_by_key(|(last, count)| (std::cmp::Reverse(*count), *last));
    ranked.into_iter().map(|(last, _)| last).take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Mac;

    fn station() -> Station {
        Station {
            id: VantageId(0),
            interface: "eth1".into(),
            index: 2,
            mac: Mac([2, 0, 0, 0, 0, 5]),
            addresses: vec![("10.20.1.5".parse().unwrap(), 24)],
            ways: vec![("0.0.0.0/0".parse().unwrap(), "10.20.1.1".parse().unwrap())],
            mtu: 1500,
        }
    }

    fn prefixes(texts: &[&str]) -> Vec<Prefix> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_scope_is_a_fence_and_not_a_list() {
        let bounds = Bounds {
            scope: prefixes(&["10.20.0.0/16"]).into_iter().collect(),
            exclude: prefixes(&["10.20.1.64/26"]).into_iter().collect(),
            segments: prefixes(&["10.20.2.0/24", "10.30.0.0/24"]),
            explore: prefixes(&["10.20.0.0/20"]),
            ..Bounds::default()
        };
        let territory = Territory::of(&bounds, &[station()]);
        let full: Vec<_> = territory
            .full
            .iter()
            .map(|area| (area.prefix.to_string(), area.reach, area.targets.count(), area.excluded))
            .collect();
        let gateway = Reach::Through("10.20.1.1".parse().unwrap());
        assert_eq!(
            full,
            [
                // 256, less 64 excluded, the two ends and ourselves.
                ("10.20.1.0/24".to_owned(), Reach::OnLink, 189, 64),
                ("10.20.2.0/24".to_owned(), gateway, 254, 0),
            ]
        );
        let [explored] = territory.explore.as_slice() else { panic!("one area") };
        let ends = 2;
        assert_eq!(
            explored.targets.count(),
            4096 - 512 - ends,
            "what is asked in full is not sampled too"
        );
    }

    #[test]
    fn without_a_gateway_what_lies_beyond_is_said_to_be_unreachable() {
        let mut lonely = station();
        lonely.ways.clear();
        let bounds = Bounds {
            scope: prefixes(&["10.20.0.0/16"]).into_iter().collect(),
            segments: prefixes(&["10.20.2.0/24"]),
            ..Bounds::default()
        };
        let territory = Territory::of(&bounds, &[lonely]);
        assert_eq!(territory.unreachable.len(), 1);
    }

    #[test]
    fn samples_are_a_few_addresses_of_each_chunk() {
        let bounds = Bounds {
            scope: prefixes(&["10.20.0.0/16"]).into_iter().collect(),
            explore: prefixes(&["10.20.8.0/22"]),
            ..Bounds::default()
        };
        let territory = Territory::of(&bounds, &[station()]);
        let (chunks, left_out) = samples(&territory.explore[0], &[77]);
        assert_eq!((chunks.len(), left_out), (4, 0));
        let texts: Vec<_> = chunks[1].1.iter().map(IpAddr::to_string).collect();
        assert_eq!(
            texts,
            ["10.20.9.1", "10.20.9.254", "10.20.9.2", "10.20.9.10", "10.20.9.100", "10.20.9.77"]
        );
    }
}
