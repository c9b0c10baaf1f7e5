//! Who stands behind an address of the link: several hosts, where its packets do not come from one.
//!
//! **Hop limits.** Systems start from 32, 64, 128 or 255, and each router on the way takes one off. An address that its own station
//! uses on the link has passed none. Packets with its address and its MAC that arrive with 63 were sent by somebody behind it,
//! whom it translates for. [`MOST_HOPS`] routers are looked for: a system that starts from 60 (AIX did) is then nobody's NAT.
//!
//! **Systems.** Two families of systems that open connections from one address (their options, see `passive::streams`), or that its
//! programs name themselves to run on. A machine with two systems shows them too, one after the other.
//!
//! **Clocks.** Timestamps of TCP (RFC 7323) that run apart towards one server. See `passive::clocks`.
//!
//! None is certain: each adds to a score, and what it is made from stands beside it. Numbers of packets (IP-ID) are not counted:
//! current systems draw them at random or count them for each destination.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use super::{Device, in_time};
use crate::net::{Mac, special};
use crate::observe::{Fact, Log, ObservationId, Role};

/// Routers that are believed to stand behind an address. A guess: a NAT behind a NAT is seen, a third is not.
const MOST_HOPS: u8 = 3;
/// Addresses of one family at one MAC from which on it answers for others (proxy ARP) and is not taken to be their only user.
const MANY_ADDRESSES: usize = 4;

/// What each kind of evidence is worth. Guesses, in the order of what else could explain it: nothing known but a NAT; a system
/// exchanged for another; a program that says it runs on another system.
const FORWARDED: u8 = 60;
const FORWARDED_TWICE: u8 = 20;
const CLOCKS: u8 = 35;
const SYSTEMS: u8 = 30;
const PROGRAMS: u8 = 15;
/// Never a certainty.
const MOST_SCORE: u8 = 99;
/// From which on more than one host is told as found.
pub const SEVERAL: u8 = 50;

/// What shows that an address is not used by one host alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// Its place among the devices.
    pub device: usize,
    pub ip: IpAddr,
    pub mac: Mac,
    /// From 1 to 99.
    pub score: u8,
    /// At least so many hosts, the station itself among them where it speaks.
    pub hosts: usize,
    /// Hop limits that its packets arrived with: of itself, and of those whom it forwards for.
    pub own: BTreeSet<u8>,
    pub forwarded: BTreeSet<u8>,
    /// Families of systems by how they open connections.
    pub systems: BTreeSet<String>,
    /// By what programs say.
    pub claimed_systems: BTreeSet<String>,
    /// Clocks that run apart.
    pub clocks: usize,
    pub observations: Vec<ObservationId>,
}

#[derive(Default)]
struct Shown {
    own: BTreeSet<u8>,
    forwarded: BTreeSet<u8>,
    systems: BTreeSet<String>,
    claimed: BTreeSet<String>,
    clocks: usize,
    of_hops: BTreeSet<ObservationId>,
    of_systems: BTreeSet<ObservationId>,
    of_claims: BTreeSet<ObservationId>,
    of_clocks: BTreeSet<ObservationId>,
}

/// Whether a packet with this hop limit comes from its station itself, or from behind it; `None` where it says nothing: hop limits
/// that are chosen (traceroute, multicast).
fn is_own(hop_limit: u8) -> Option<bool> {
    initial(hop_limit).map(|initial| initial == hop_limit)
}

/// What its sender started from, where that is near.
fn initial(hop_limit: u8) -> Option<u8> {
    [64u8, 128, 255]
        .into_iter()
        .find(|initial| initial.checked_sub(hop_limit).is_some_and(|hops| hops <= MOST_HOPS))
}

/// Gathers them from the log; its order does not matter.
pub(super) fn behind(log: &Log, devices: &[Device]) -> Vec<Behind> {
    // Who uses an address on the link, where it is one station alone.
    let mut users: HashMap<IpAddr, Option<(usize, Mac)>> = HashMap::new();
    for (place, device) in devices.iter().enumerate() {
        for binding in device.bindings.iter().filter(|binding| binding.on_link) {
            let (Some(mac), false) = (binding.mac, special::is_link_local(binding.ip)) else {
                continue;
            };
            users
                .entry(binding.ip)
                .and_modify(|user| *user = None)
                .or_insert((device.macs.first() == Some(&mac)).then_some((place, mac)));
        }
    }
    let mut shown: BTreeMap<IpAddr, Shown> = BTreeMap::new();
    for (id, observation) in log.iter() {
        match &observation.fact {
            Fact::Traffic { ip, mac, hop_limit } => {
                let Some(Some((_, user))) = users.get(ip) else { continue };
                let Some(is_own) = is_own(*hop_limit).filter(|_| user == mac) else { continue };
                let one = shown.entry(*ip).or_default();
                let limits = if is_own { &mut one.own } else { &mut one.forwarded };
                limits.insert(*hop_limit);
                one.of_hops.insert(id);
            }
            Fact::TcpSyn(syn) if syn.role == Role::Client => {
                if let (Some(Some(_)), Some(system)) = (users.get(&syn.ip), &syn.system) {
                    let one = shown.entry(syn.ip).or_default();
                    one.systems.insert(system.clone());
                    one.of_systems.insert(id);
                }
            }
            Fact::UserAgent(agent) => {
                if let (Some(Some(_)), Some(system)) = (users.get(&agent.client), &agent.system) {
                    let one = shown.entry(agent.client).or_default();
                    one.claimed.insert(system.clone());
                    one.of_claims.insert(id);
                }
            }
            Fact::SeveralClocks { ip, clocks } => {
                if let Some(Some(_)) = users.get(ip) {
                    let one = shown.entry(*ip).or_default();
                    one.clocks = one.clocks.max(usize::from(*clocks));
                    one.of_clocks.insert(id);
                }
            }
            _ => {}
        }
    }
    let found = shown.into_iter().filter_map(|(ip, shown)| {
        let (place, mac) = (*users.get(&ip)?)?;
        weigh(ip, mac, place, devices.get(place)?, shown, log)
    });
    found.collect()
}

fn weigh(
    ip: IpAddr,
    mac: Mac,
    place: usize,
    device: &Device,
    shown: Shown,
    log: &Log,
) -> Option<Behind> {
    let mut score = 0u8;
    let mut hosts = 1;
    let mut observations = BTreeSet::new();
    let mut add = |worth: u8, least: usize, of: &BTreeSet<ObservationId>| {
        score = score.saturating_add(worth).min(MOST_SCORE);
        hosts = hosts.max(least);
        observations.extend(in_time(log, of.iter().copied()).into_iter().take(8));
    };
    let addresses = device
        .addresses()
        .filter(|other| other.is_ipv4() == ip.is_ipv4() && !special::is_link_local(*other));
    // Nothing of its own, and many addresses: it answers for those behind it, one host each.
    let is_proxy = shown.own.is_empty() && addresses.count() >= MANY_ADDRESSES;
    if !shown.forwarded.is_empty() && !is_proxy {
        // The station itself, and one behind it. Starts of 64 and 128 are two systems; 255 some have beside another.
        let has = |start: u8| shown.forwarded.iter().any(|&limit| initial(limit) == Some(start));
        let is_several = has(64) && has(128);
        add(FORWARDED, if is_several { 3 } else { 2 }, &shown.of_hops);
        if is_several {
            add(FORWARDED_TWICE, 3, &shown.of_hops);
        }
    }
    if shown.clocks > 1 {
        add(CLOCKS, shown.clocks, &shown.of_clocks);
    }
    if shown.systems.len() > 1 {
        add(SYSTEMS, shown.systems.len(), &shown.of_systems);
    }
    // Android is a Linux to a stack, macOS and iOS are Apple's: names of one system that programs give it are several.
    let claimed: BTreeSet<&str> = shown.claimed.iter().map(|claimed| family(claimed)).collect();
    if claimed.len() > 1 {
        add(PROGRAMS, claimed.len(), &shown.of_claims);
    }
    (score > 0).then(|| Behind {
        device: place,
        ip,
        mac,
        score,
        hosts,
        own: shown.own,
        forwarded: shown.forwarded,
        systems: shown.systems,
        claimed_systems: shown.claimed,
        clocks: shown.clocks,
        observations: in_time(log, observations),
    })
}

fn family(system: &str) -> &str {
    match system {
        "android" | "harmonyos" => "linux",
        "ios" | "macos" => "apple",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hop_limit_is_a_stations_own_or_shows_somebody_behind_it() {
        let told = |limits: &[u8]| limits.iter().map(|limit| is_own(*limit)).collect::<Vec<_>>();
        assert_eq!(told(&[64, 128, 255]), [Some(true); 3]);
        assert_eq!(told(&[63, 61, 127, 125, 254, 252]), [Some(false); 6]);
        // AIX, traceroute, multicast.
        assert_eq!(told(&[60, 1, 30, 124, 200, 0]), [None; 6]);
    }
}
