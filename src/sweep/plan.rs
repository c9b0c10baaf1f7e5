//! The plan: what a sweep would send, before it sends anything. `--dry-run` prints it.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use super::candidates::{self, Candidates, OnLink, Seeds};
use super::conductor::{
    BETWEEN_WAVES, DISCOVERY_PORTS, EGRESS_UDP_PORTS, EXPLORE_LINGER, EXPLORE_PORTS,
    LISTEN_FOR_DHCP, MOST_CANARIES, MOST_EXPLORED_BY_TCP, ROUNDS, explore_rounds, full_port_areas,
};
use super::orders::Orders;
use super::profile::Method;
use super::reverse_walk;
use super::territory::{self, Area, Reach, Territory};
use crate::egress::{next_hop, spoofed_source};
use crate::link::{self, Io};
use crate::net::Family;
use crate::observe::EgressMethod;
use crate::scan::Linger;
use crate::scope::FRAMES;

/// One pass as it is foreseen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// The pass's word.
    pub pass: &'static str,
    pub interface: String,
    /// Addresses asked at most, after exclusions.
    pub targets: u64,
    /// Questions to each.
    pub questions: u64,
    /// How often a silent one is asked.
    pub rounds: u64,
    /// Frames at most; what is known only on the way (who is alive) is taken as everyone.
    pub packets: u64,
    /// Whether `packets` is such a bound.
    pub bound: bool,
    /// The wait behind the pass, in seconds.
    pub wait: f64,
}

/// A prefix to be asked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedArea {
    pub prefix: String,
    pub interface: String,
    /// The router it is asked through; none on the link.
    pub via: Option<String>,
    /// `full`, `candidates` (IPv6) or `samples` (`explore`).
    pub how: &'static str,
    /// Addresses that may be asked, after exclusions; of an IPv6 prefix only candidates are.
    pub targets: Option<u64>,
    pub excluded: u64,
    /// Of an IPv6 prefix: who proposes how many addresses, from the registry and habit alone. What is heard and what
    /// answers proposes more on the way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<PlannedCandidates>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedCandidates {
    pub source: &'static str,
    pub asked: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    pub profile: String,
    pub scope: Vec<String>,
    pub exclude: Vec<String>,
    pub observe_only: Vec<String>,
    pub risk: u8,
    pub packets_per_second: u32,
    pub per_target: u32,
    /// Unheard addresses of one /24 or /64 behind a router.
    pub per_prefix: u32,
    pub vantages: Vec<String>,
    /// By which means frames would go from each, as the kernel grants it now; none where it grants nothing (no
    /// root) or nothing is sent.
    pub io: Vec<Option<&'static str>>,
    /// Where it asks; prefixes learnt on the way come on top, as far as they lie in the scope.
    pub areas: Vec<PlannedArea>,
    pub steps: Vec<Step>,
    /// At most, for what is known before anything was asked.
    pub packets: u64,
    /// `packets` at the ceiling.
    pub seconds_at_ceiling: f64,
    /// The longest that the sweep waits without sending: the waits behind the passes, what the ceiling
    /// for one address makes it wait, and what is left of the listening.
    pub longest_wait: f64,
    /// Prefixes of the registry or the scope that no vantage leads to.
    pub unreachable: Vec<String>,
    /// Chunks of `explore` beyond the most that are sampled.
    pub left_out: String,
}

impl Plan {
    pub fn of(orders: &Orders) -> Plan {
        let territory = orders.territory(Vec::new());
        let mut steps = Vec::new();
        let sends = orders.profile.authorisation.risk >= 1;
        let mut left_out = 0;
        if sends {
            for station in &orders.stations {
                let mine = Mine { orders, territory: &territory, station };
                mine.steps(&mut steps, &mut left_out);
            }
            steps.retain(|step| step.packets > 0);
        }
        let authorisation = &orders.profile.authorisation;
        let rate = orders.profile.rate;
        let packets = steps.iter().fold(0u64, |sum, step| sum.saturating_add(step.packets));
        let seconds_at_ceiling = packets as f64 / f64::from(rate.packets_per_second.max(1));
        // One address gets its questions no faster than its own ceiling.
        let per_address: u64 = steps.iter().map(|step| step.questions * step.rounds * 2).sum();
        let by_target = per_address as f64 / f64::from(rate.per_target.max(1));
        let waits: f64 = steps.iter().map(|step| step.wait).sum();
        let listening = f64::from(orders.profile.passive.seconds);
        let texts = |prefixes: &[crate::net::Prefix]| {
            prefixes.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        Plan {
            profile: orders.profile.name.clone(),
            scope: texts(&authorisation.scope),
            exclude: texts(&authorisation.exclude),
            observe_only: texts(&authorisation.observe_only),
            risk: authorisation.risk,
            packets_per_second: rate.packets_per_second,
            per_target: rate.per_target,
            per_prefix: rate.per_prefix,
            vantages: orders.stations.iter().map(|station| station.interface.clone()).collect(),
            io: orders
                .stations
                .iter()
                .map(|s| means(orders, &s.interface).filter(|_| sends))
                .collect(),
            areas: if sends { areas(orders, &territory) } else { Vec::new() },
            packets,
            seconds_at_ceiling,
            longest_wait: (waits + by_target).max(listening),
            steps,
            unreachable: territory.unreachable.iter().map(|u| u.prefix.to_string()).collect(),
            left_out: left_out.to_string(),
        }
    }
}

/// What is proposed for a prefix before anything was asked.
fn foreseen(area: &Area, seeds: &Seeds) -> Candidates {
    let on_link = if area.reach == Reach::OnLink { OnLink::Here } else { OnLink::Beyond };
    let (asked, most) = (BTreeSet::new(), candidates::MOST_AT_FIRST);
    candidates::of(area.prefix, on_link, seeds, &area.targets, &asked, most)
}

fn means(orders: &Orders, interface: &str) -> Option<&'static str> {
    match orders.io {
        Some(io) => Some(io.word()),
        None => link::fastest(interface).ok().map(Io::word),
    }
}

fn areas(orders: &Orders, territory: &Territory) -> Vec<PlannedArea> {
    let seeds = Seeds::of_registry(orders.registry.as_deref()).ready();
    let planned = |area: &Area, how| {
        let station = orders.stations.iter().find(|station| station.id == area.vantage);
        PlannedArea {
            prefix: area.prefix.to_string(),
            interface: station.map(|station| station.interface.clone()).unwrap_or_default(),
            via: match area.reach {
                Reach::OnLink => None,
                Reach::Through(router) => Some(router.to_string()),
            },
            how,
            targets: u64::try_from(area.targets.count()).ok().filter(|_| area.prefix.is_ipv4()),
            excluded: area.excluded,
            candidates: match how {
                "candidates" => foreseen(area, &seeds)
                    .by_source
                    .iter()
                    .map(|(source, of)| PlannedCandidates { source, asked: of.len() as u64 })
                    .collect(),
                _ => Vec::new(),
            },
        }
    };
    let full = territory
        .full
        .iter()
        .map(|area| planned(area, if area.prefix.is_ipv4() { "full" } else { "candidates" }));
    full.chain(territory.explore.iter().map(|area| planned(area, "samples"))).collect()
}

/// On a vantage's link, or behind its routers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    OnLink,
    Beyond,
}

/// Datagrams for the tables of one registered device, as they are foreseen: 400 rows in each of three. A guess.
const SNMP_QUESTIONS: usize = 64;

/// A step of the egress methods.
struct WaysOut {
    pass: &'static str,
    targets: u128,
    questions: usize,
    rounds: u8,
    wait: Duration,
}

/// One vantage's part of the plan.
struct Mine<'a> {
    orders: &'a Orders,
    territory: &'a Territory,
    station: &'a super::vantage::Station,
}

impl Mine<'_> {
    fn areas(&self, family: Family, place: Place) -> impl Iterator<Item = &Area> {
        let id = self.station.id;
        self.territory.full_of(family).filter(move |area| {
            area.vantage == id && (area.reach == Reach::OnLink) == (place == Place::OnLink)
        })
    }

    fn steps(&self, steps: &mut Vec<Step>, left_out: &mut u128) {
        let orders = self.orders;
        let add = |steps: &mut Vec<Step>,
                   pass,
                   targets: u128,
                   questions: usize,
                   rounds: u8,
                   wait: Duration,
                   bound| {
            let targets = u64::try_from(targets).unwrap_or(u64::MAX);
            let questions = questions as u64;
            let rounds = u64::from(rounds);
            steps.push(Step {
                pass,
                interface: self.station.interface.clone(),
                targets,
                questions,
                rounds,
                packets: targets.saturating_mul(questions).saturating_mul(rounds),
                bound,
                wait: wait.as_secs_f64(),
            });
        };
        let linger = |rounds: u8| Linger::default().most * u32::from(rounds);
        let count = |areas: &mut dyn Iterator<Item = &Area>| -> u128 {
            areas.fold(0u128, |sum, area| sum.saturating_add(area.targets.count()))
        };
        if orders.profile.authorisation.risk >= 2 {
            let dhcp = if orders.profile.discovery.dhcp { 2 } else { 0 };
            add(steps, "link-wide", 1, 5 + dhcp, 1, LISTEN_FOR_DHCP, false);
        }
        let on_link = count(&mut self.areas(Family::Ipv4, Place::OnLink));
        let routed = count(&mut self.areas(Family::Ipv4, Place::Beyond));
        let candidates_on_link = self.candidates(Place::OnLink);
        let candidates_routed = self.candidates(Place::Beyond);
        if orders.uses(Method::Arp) && on_link > 0 {
            add(
                steps,
                "ghosts",
                3 * self.areas(Family::Ipv4, Place::OnLink).count() as u128,
                1,
                2,
                linger(2),
                false,
            );
            add(steps, "arp", on_link, 1, ROUNDS, linger(ROUNDS), false);
        }
        if orders.uses(Method::Ndp) {
            add(steps, "ndp", candidates_on_link, 1, 2, linger(2), true);
        }
        if orders.uses(Method::Icmp) {
            add(steps, "icmp", on_link.saturating_add(routed), 1, 2, linger(2), true);
        }
        if !orders.snmp.is_empty() {
            let devices = orders.registry.as_ref().map_or(0, |registry| registry.devices.len());
            add(steps, "snmp", devices as u128, SNMP_QUESTIONS, 1, Duration::ZERO, true);
        }
        if orders.uses(Method::Icmpv6) {
            let all = candidates_on_link.saturating_add(candidates_routed);
            let paced = |candidates: u128, rounds: u8| {
                let questions = candidates as f64 * f64::from(rounds);
                // The clock's steps make it slower: 177 a second were measured.
                Duration::from_secs_f64(questions * 1.5 / f64::from(candidates::A_SECOND))
            };
            let wait = linger(2) + paced(candidates_routed, 2);
            add(steps, "icmpv6", all, 1, 2, wait, true);
            // At most: nobody knows what the first answers teach.
            let areas = self.areas(Family::Ipv6, Place::Beyond).count();
            let learnt = (areas * candidates::MOST_LEARNT) as u128;
            let rounds = candidates::LEARNING_ROUNDS as u8;
            let wait = linger(2 * rounds) + paced(learnt, 2 * rounds);
            add(steps, "icmpv6-learnt", learnt, rounds.into(), 2, wait, true);
        }
        let (mut chunks, mut samples) = (0usize, 0u128);
        for area in self.territory.explore.iter().filter(|area| area.vantage == self.station.id) {
            let (sampled, rest) = territory::samples(area, &[]);
            chunks += sampled.len();
            samples += sampled.iter().map(|(_, addresses)| addresses.len() as u128).sum::<u128>();
            *left_out += rest;
        }
        if orders.uses(Method::Icmp) || orders.uses(Method::Icmpv6) {
            let rounds = explore_rounds(chunks);
            let wait = EXPLORE_LINGER * u32::from(rounds);
            add(steps, "explore", samples, 1, rounds, wait, false);
        }
        let tcp = &orders.profile.discovery.tcp_ports.0;
        if orders.uses(Method::Tcp) && !tcp.is_empty() {
            if chunks <= MOST_EXPLORED_BY_TCP && samples > 0 {
                add(steps, "explore-tcp", samples, EXPLORE_PORTS.len(), 1, linger(1), false);
            }
            let in_full = full_port_areas(self.territory, self.station.id);
            if routed > in_full.count() {
                add(
                    steps,
                    "tcp-discovery",
                    routed - in_full.count(),
                    DISCOVERY_PORTS.len(),
                    1,
                    linger(1),
                    true,
                );
            }
            // A SYN that is answered costs a reset too.
            add(
                steps,
                "tcp",
                on_link.saturating_add(in_full.count()).saturating_add(candidates_on_link),
                tcp.len(),
                2,
                linger(2),
                true,
            );
        }
        let udp = &orders.profile.discovery.udp_ports.0;
        if orders.uses(Method::Udp) && !udp.is_empty() {
            let all = on_link.saturating_add(routed).saturating_add(candidates_on_link);
            add(steps, "udp", all, udp.len(), 2, linger(2), true);
        }
        add(steps, "forwarding", on_link.saturating_add(candidates_on_link), 2, 2, linger(2), true);
        if routed > 0 {
            let segments = self.areas(Family::Ipv4, Place::Beyond).count() as u128;
            add(steps, "hops", segments, 8, 1, linger(1), true);
        }
        let areas = self.areas(Family::Ipv6, Place::OnLink).count()
            + self.areas(Family::Ipv6, Place::Beyond).count();
        if orders.profile.discovery.ipv6_dns && areas > 0 {
            let questions = areas * reverse_walk::MOST_QUESTIONS;
            add(steps, "names", 1, questions, 1, Duration::ZERO, true);
        }
        let on_link = on_link.saturating_add(candidates_on_link);
        let everyone = on_link.saturating_add(routed).saturating_add(candidates_routed);
        for step in self.ways_out(on_link, everyone) {
            add(steps, step.pass, step.targets, step.questions, step.rounds, step.wait, true);
        }
    }

    /// The egress methods' frames, at most: who is alive is known only on the way. One canary is a destination like
    /// any other, so its own ceiling makes them wait.
    fn ways_out(&self, on_link: u128, everyone: u128) -> Vec<WaysOut> {
        let orders = self.orders;
        let egress = &orders.profile.egress;
        let canaries = egress.canaries.len().min(2 * MOST_CANARIES) as u128;
        let wants = |method| egress.methods.contains(&method);
        let mut steps = Vec::new();
        let mut step = |pass, targets: u128, questions: usize, rounds: u8, waves: u8| {
            let wait = BETWEEN_WAVES * u32::from(waves);
            steps.push(WaysOut { pass, targets, questions, rounds, wait });
        };
        let carriers = next_hop::CARRIERS.len() + 1;
        if wants(EgressMethod::NextHop) || wants(EgressMethod::Ipv6) {
            let (targets, rounds) = (on_link.saturating_mul(canaries), next_hop::ROUNDS);
            step("egress-next-hop", targets, carriers, rounds, rounds);
            step("egress-ladder", targets, next_hop::LADDER.count(), rounds, rounds);
        }
        if wants(EgressMethod::SpoofedSource)
            && orders.profile.authorisation.risk >= 3
            && egress.key.is_some()
        {
            let per_family = canaries.div_ceil(2);
            let questions = spoofed_source::REQUESTS.len() + 1;
            let rounds = spoofed_source::ROUNDS;
            let targets = everyone.saturating_mul(per_family);
            step("egress-spoofed-source", targets, questions, rounds, rounds);
        }
        // Who speaks what is known only on the way: of everybody at most one conversation is foreseen.
        let needs = [EgressMethod::Proxy, EgressMethod::Dns];
        let speaks = wants(EgressMethod::PortMapping)
            || needs.iter().any(|method| wants(*method)) && canaries > 0 && egress.key.is_some();
        if speaks {
            step("egress-ports", everyone, EGRESS_UDP_PORTS.len(), 2, 0);
            step("egress-conversations", everyone, FRAMES as usize, 1, 0);
        }
        steps
    }

    fn candidates(&self, place: Place) -> u128 {
        let seeds = Seeds::of_registry(self.orders.registry.as_deref()).ready();
        let areas = self.areas(Family::Ipv6, place);
        areas.map(|area| foreseen(area, &seeds).count() as u128).sum()
    }
}
