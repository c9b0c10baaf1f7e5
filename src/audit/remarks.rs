//! What a listening remarks of the link's own protocols: no rule of the contract is broken by it, and somebody should look.
//!
//! What NDPMon and its like alert of beside what the rules find: see docs/listening.md.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::view::{View, routes};
use crate::inventory::in_time;
use crate::net::Mac;
use crate::observe::{Fact, Log, ObservationId, RouterAdvertisement, VantageId};
use crate::registry::model::Role;

/// Remarks of one listening at most.
const MOST: usize = 64;

/// Oddities that say what a station does, in the dissectors' own words; the others say how a frame is broken.
const TOLD: &[&str] = &[
    "address that moved",
    "address that flips between stations",
    "claims whatever address others try",
    "answer that is sent to all",
    "router advertisement with changed parameters",
    "router advertisement behind extension headers",
    "router advertisement from no link-local address",
    "redirect from no link-local address",
    "neighbour discovery in fragments",
    "extension headers that hide the upper layer",
    "hop limit that shows a forwarded packet",
    "link-layer option is not the frame's source",
    "sender MAC is not the frame's source",
    "client MAC is not the frame's source",
    "duplicate address detection that names a link layer",
    "prefix with lifetime zero",
    "prefix preferred for longer than it is valid",
    "prefix for autoconfiguration that is not a /64",
    "root that changed",
    "source that is a group",
    "source address that no station can have",
];

/// One thing to look at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Remark {
    /// An oddity of the log.
    Odd(ObservationId),
    /// A registered server or router tells hosts of a resolver or a router that the registry does not know as one.
    Tells { by: IpAddr, mac: Mac, protocol: &'static str, role: &'static str, address: IpAddr },
    /// Two registered routers of one link advertise different values (RFC 4861 §6.2.7).
    Disagree { one: IpAddr, other: IpAddr, what: &'static str },
}

pub(super) fn remarks(view: &View<'_>) -> Vec<Remark> {
    let mut remarks: Vec<Remark> = odd(view.log);
    let mut told: BTreeSet<(IpAddr, Mac, &'static str, &'static str, IpAddr)> = BTreeSet::new();
    let mut routers: BTreeMap<VantageId, Vec<&RouterAdvertisement>> = BTreeMap::new();
    let has =
        |role: Role| view.index.registry().devices.iter().any(|row| row.roles.contains(&role));
    let is = |ip: IpAddr, known: &dyn Fn(&[Role]) -> bool| {
        view.index.devices_at(ip).any(|row| known(&row.roles))
    };
    let is_resolver = |roles: &[Role]| roles.contains(&Role::Resolver);
    for (_, observation) in view.log.iter() {
        let (mac, wanted) = match &observation.fact {
            Fact::DhcpServer(server) => (server.mac, Role::Dhcp),
            Fact::RouterAdvertisement(ra) => (ra.mac, Role::Router),
            _ => continue,
        };
        // What somebody else tells is a finding as a whole.
        let place = view.inventory.stations.get(&mac);
        let registered = place.and_then(|&place| view.registered(place));
        let is_registered = registered.is_some_and(|known| match wanted {
            Role::Dhcp => known.roles.contains(&Role::Dhcp),
            _ => routes(&known.roles),
        });
        if !is_registered {
            continue;
        }
        match &observation.fact {
            Fact::DhcpServer(server) => {
                for &address in server.routers.iter().filter(|ip| !is(**ip, &routes)) {
                    told.insert((server.ip, mac, "DHCP", "router", address));
                }
                // Where nobody is registered as a resolver, none is another.
                for &address in server.dns.iter().filter(|ip| !is(**ip, &is_resolver)) {
                    if has(Role::Resolver) {
                        told.insert((server.ip, mac, "DHCP", "resolver", address));
                    }
                }
            }
            Fact::RouterAdvertisement(ra) => {
                for &address in ra.rdnss.iter().filter(|ip| !is(**ip, &is_resolver)) {
                    if has(Role::Resolver) {
                        told.insert((ra.router, mac, "RA", "resolver", address));
                    }
                }
                routers.entry(observation.vantage).or_default().push(ra);
            }
            _ => {}
        }
    }
    remarks.extend(told.into_iter().map(|(by, mac, protocol, role, address)| Remark::Tells {
        by,
        mac,
        protocol,
        role,
        address,
    }));
    remarks.extend(routers.into_values().flat_map(disagree));
    remarks.truncate(MOST);
    remarks
}

fn odd(log: &Log) -> Vec<Remark> {
    let told = log.iter().filter_map(|(id, observation)| match &observation.fact {
        Fact::Oddity { what, .. } if TOLD.contains(&what.as_str()) => Some(id),
        _ => None,
    });
    in_time(log, told).into_iter().map(Remark::Odd).collect()
}

/// RFC 4861 §6.2.7: routers of a link should agree, on what they say at all.
fn disagree(mut said: Vec<&RouterAdvertisement>) -> BTreeSet<Remark> {
    let mut found = BTreeSet::new();
    said.sort_unstable();
    said.truncate(MOST);
    for (place, one) in said.iter().enumerate() {
        for other in said.iter().skip(place).filter(|other| other.router != one.router) {
            let both = |a: u32, b: u32| a != 0 && b != 0 && a != b;
            let prefixes = |ra: &RouterAdvertisement, other: &RouterAdvertisement| {
                ra.prefixes.iter().any(|known| {
                    other.prefixes.iter().any(|also| {
                        also.prefix == known.prefix
                            && (also.autonomous, also.on_link) != (known.autonomous, known.on_link)
                    })
                })
            };
            let differ = [
                (both(one.hop_limit.into(), other.hop_limit.into()), "hop limit"),
                ((one.managed, one.other) != (other.managed, other.other), "flags"),
                (both(one.mtu.unwrap_or(0), other.mtu.unwrap_or(0)), "MTU"),
                (both(one.reachable_time, other.reachable_time), "reachable time"),
                (both(one.retransmission, other.retransmission), "retransmission time"),
                (prefixes(one, other), "prefix flags"),
            ];
            for (_, what) in differ.iter().filter(|(differ, _)| *differ) {
                let (one, other) = (one.router.min(other.router), one.router.max(other.router));
                found.insert(Remark::Disagree { one, other, what });
            }
        }
    }
    found
}
