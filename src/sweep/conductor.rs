//! The conductor: opens the links, drops its capabilities, then runs pass after pass, each planned from
//! what the ones before it learnt, listening from the first second to the last.
//!
//! The order of the passes goes from the gentlest question to the next: link-wide questions, ghosts,
//! address resolution, echoes, samples of what is to be explored, ports of whoever is there, the
//! forwarding test, hop ladders; then once more for whoever was heard only meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use thiserror::Error;

use super::candidates::{self, Seeds};
use super::checkpoint::{self, State};
use super::intake::{Intake, lock};
use super::link_wide;
use super::orders::Orders;
use super::profile::Method;
use super::record::{self, Recorder};
use super::spool::Spool;
use super::tape::Tape;
use super::territory::{self, Area, Reach, Territory};
use super::vantage::Station;
use crate::link::{self, LinkError, interfaces, privilege};
use crate::net::{AddressSet, Family, Mac, Port, Prefix, Transport};
use crate::observe::{Asked, Fact, Log, Observation, Source, VantageId};
use crate::result::v1;
use crate::scan::{
    self, Checkpoint, Heard, Linger, LiveWorld, NextHops, Outcome, Pass, Progress, Recognised,
    Recogniser, ScanError, SourcePorts, SweepKey, Targets, Watcher, World, probe,
};
use crate::scope::{self, Ceilings, Fence, Guard, Risk, Rules};
use crate::wire::LinkType;

/// How often a silent address is asked by ARP.
pub const ROUNDS: u8 = 3;
/// A router tells that a host beyond it is unreachable when its own address resolution has failed:
/// three tries of a second. RFC 4861 §10; Linux does the same for ARP.
pub const EXPLORE_LINGER: Duration = Duration::from_secs(4);
/// dnsmasq offers after 3.0 s, ISC dhcpd after 1.0 s (measured); a second for the rest.
pub const LISTEN_FOR_DHCP: Duration = Duration::from_secs(5);
/// The ports that find a host behind a router which answers no echo.
pub const DISCOVERY_PORTS: &[u16] = &[22, 80, 443, 445, 3389, 23, 8080, 9100];
/// The ports that samples of `explore` are asked for beside the echo: every host behind a router has one
/// of these open or closed, if it answers TCP at all.
pub const EXPLORE_PORTS: &[u16] = &[443, 22];
/// Chunks of `explore` that are sampled by TCP too; more would double a sweep's time.
pub const MOST_EXPLORED_BY_TCP: usize = 4096;
/// Routed addresses asked for every port although nothing answered from them: the first segments up
/// to this many addresses. Beyond, only who answered an echo or a discovery port is.
const MOST_FULL_PORTS: u128 = 1024;
/// Addresses of one `Asked` that are listed one by one.
const MOST_LISTED: usize = 65_536;
/// Ports that ghosts are asked for.
const GHOST_PORTS: usize = 3;
/// Hop ladders go to one live address of each routed segment, this many segments at most.
const MOST_LADDERS: usize = 64;
/// How often newcomers are asked after the passes.
const NEWCOMER_ROUNDS: usize = 2;
/// Between two savings of an unfinished sweep.
const BETWEEN_SAVES: Duration = Duration::from_secs(10);

/// Who is told how far a sweep is, and may stop it.
pub trait Reporter {
    fn pass(&mut self, pass: &str, interface: &str, targets: u128);
    fn progress(&mut self, progress: &Progress, seen: Seen);
    fn listening(&mut self, left: Duration, seen: Seen);
    fn stopping(&mut self) -> bool;
}

/// What has been seen so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub received: u64,
    pub stations: usize,
    pub answered: usize,
    pub ports: usize,
}

#[derive(Debug, Error)]
pub enum SweepError {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    Netlink(#[from] interfaces::NetlinkError),
    #[error("{path}: {cause}")]
    Io { path: String, cause: io::Error },
    #[error("{0}")]
    Key(#[from] scan::token::KeyError),
    #[error("{0}")]
    Resume(#[from] checkpoint::ResumeError),
    #[error(transparent)]
    Privilege(#[from] privilege::PrivilegeError),
    #[error(transparent)]
    Capture(Box<link::capture::CaptureError>),
}

/// How a sweep ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Complete,
    /// Asked to stop; `--resume` goes on.
    Interrupted,
    /// A link failed in the middle; why.
    Failed(String),
}

/// Everything of a sweep that is judged.
pub struct Swept {
    pub head: v1::Sweep,
    pub log: Log,
    pub tape: Arc<Mutex<Tape>>,
    pub why_not: BTreeMap<(Prefix, VantageId), WhyNot>,
    pub end: End,
    /// Vantages as the inventory wants them.
    pub vantages: Vec<crate::inventory::Vantage>,
}

/// Why something was not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WhyNot {
    NoWay,
    NoGatewayMac,
    GatewayNotAdmitted,
    Passive,
    Unprivileged,
}

impl WhyNot {
    pub const ALL: [WhyNot; 5] = [
        WhyNot::NoWay,
        WhyNot::NoGatewayMac,
        WhyNot::GatewayNotAdmitted,
        WhyNot::Passive,
        WhyNot::Unprivileged,
    ];

    /// The key of its sentence.
    pub const fn key(self) -> &'static str {
        match self {
            WhyNot::NoWay => "sweep-why-not-no-way",
            WhyNot::NoGatewayMac => "sweep-why-not-no-gateway-mac",
            WhyNot::GatewayNotAdmitted => "sweep-why-not-gateway-not-admitted",
            WhyNot::Passive => "sweep-why-not-passive",
            WhyNot::Unprivileged => "sweep-why-not-unprivileged",
        }
    }
}

/// Why the passes ended before their end.
enum Halt {
    Stopped,
    Link(String),
}

/// The areas whose routed addresses are asked for every port, alive or not.
pub fn full_port_areas(territory: &Territory, vantage: VantageId) -> AddressSet {
    let mut all = AddressSet::default();
    let routed = territory
        .full_of(Family::Ipv4)
        .filter(|area| area.vantage == vantage && area.reach != Reach::OnLink);
    for area in routed {
        let with = all.or(&area.targets);
        if with.count() > MOST_FULL_PORTS {
            continue;
        }
        all = with;
    }
    all
}

/// The rules of the fence, from the orders.
fn rules(orders: &Orders) -> Rules {
    let authorisation = &orders.profile.authorisation;
    let window = match (authorisation.not_before, authorisation.not_after) {
        (None, None) => None,
        (from, until) => Some((from.unwrap_or(Timestamp::MIN), until.unwrap_or(Timestamp::MAX))),
    };
    Rules {
        scope: orders.scope(),
        exclude: orders.exclude(),
        observe_only: orders.observe_only(),
        risk: Risk::new(authorisation.risk).unwrap_or(Risk::PASSIVE),
        window,
        canaries: orders.profile.egress.canaries.clone(),
        vantages: orders.stations.iter().map(guarded).collect(),
    }
}

fn guarded(station: &Station) -> scope::Vantage {
    scope::Vantage {
        id: station.id,
        mac: station.mac,
        addresses: station
            .addresses
            .iter()
            .map(|(address, length)| (*address, Prefix::of(*address, *length)))
            .collect(),
    }
}

/// A vantage as the inventory and a replay see it.
pub fn inventoried(
    mac: Option<Mac>,
    interface: &str,
    addresses: &[(IpAddr, u8)],
) -> crate::inventory::Vantage {
    crate::inventory::Vantage {
        interface: interface.to_owned(),
        mac,
        addresses: addresses
            .iter()
            .map(|(address, length)| (*address, Prefix::of(*address, *length)))
            .collect(),
    }
}

pub struct Conductor<'a> {
    orders: &'a Orders,
    reporter: &'a mut dyn Reporter,
    head: v1::Sweep,
    started_at: Timestamp,
    world: LiveWorld,
    recogniser: Recogniser,
    intake: Intake,
    tape: Arc<Mutex<Tape>>,
    territory: Territory,
    state: State,
    why_not: BTreeMap<(Prefix, VantageId), WhyNot>,
    /// What each pass asked to its end: the ground under silence.
    asked: Vec<(VantageId, Asked)>,
    /// Addresses whose ports were asked.
    port_scanned: BTreeSet<IpAddr>,
    echoed: BTreeSet<IpAddr>,
    solicited: BTreeSet<IpAddr>,
    steered: BTreeSet<(VantageId, Mac, Family)>,
    explored: AddressSet,
    learnt: BTreeSet<Prefix>,
    saved: Instant,
    dhcp_until: Duration,
    /// Drawn from the sweep's key: nobody can expect the ghosts.
    seed: u64,
    /// Sockets that keep the kernel from answering datagrams; never read.
    _held: Vec<std::net::UdpSocket>,
}

/// Opens everything, drops the capabilities, and runs the sweep.
pub fn sweep(
    orders: &Orders,
    head: v1::Sweep,
    registry_json: Option<Vec<u8>>,
    reporter: &mut dyn Reporter,
) -> Result<Swept, SweepError> {
    let mut conductor = Conductor::open(orders, head, registry_json, reporter)?;
    let ended = conductor.passes();
    Ok(conductor.close(ended))
}

impl<'a> Conductor<'a> {
    fn open(
        orders: &'a Orders,
        mut head: v1::Sweep,
        registry_json: Option<Vec<u8>>,
        reporter: &'a mut dyn Reporter,
    ) -> Result<Conductor<'a>, SweepError> {
        let at = |path: &std::path::Path| {
            let path = path.display().to_string();
            move |cause| SweepError::Io { path, cause }
        };
        privilege::create_folder(&orders.out).map_err(at(&orders.out))?;
        let digest = checkpoint::digest(orders);
        let mut state = State::fresh(&head, digest);
        let mut log = Log::default();
        let spool_path = checkpoint::spool_path(&orders.out);
        let spool = if orders.resume {
            (state, log) = State::load(&orders.out, digest)?;
            head.id = state.id.clone();
            head.started_at = state.started_at.clone();
            Spool::reopen(&spool_path).map_err(at(&spool_path))?
        } else {
            Spool::create(&spool_path).map_err(at(&spool_path))?
        };
        let _ = std::fs::File::open(&spool_path).and_then(|f| privilege::give_to_owner(&f));
        let mut tape = Tape::new(spool, orders.addresses_of_interest());
        tape.recall(state.questions());

        let started_at = Timestamp::now();
        let began = Instant::now();
        let rules = rules(orders);
        let vantages = rules.vantages.clone();
        let rate = orders.profile.rate;
        let ceilings =
            Ceilings { packets_per_second: rate.packets_per_second, per_target: rate.per_target };
        let mut fence = Fence::new(Guard::new(rules, started_at), ceilings);
        fence.resume(state.fragile.iter().copied());
        let mut receivers = Vec::new();
        let options = link::Options::default();
        for station in &orders.stations {
            let (transmit, receive) = match orders.io {
                Some(io) => link::open(&station.interface, io, &options)?,
                None => {
                    let (halves, io, why) = link::open_or_fall_back(&station.interface, &options)?;
                    if let Some(why) = why {
                        head.notices.push(v1::SweepNotice {
                            code: "io-fallback".into(),
                            text: format!("{}: {io}: {why}", station.interface),
                        });
                    }
                    halves
                }
            };
            fence.add_link(station.id, transmit);
            receivers.push((station.id, receive));
        }
        let recogniser = match &state.recogniser {
            Some(record) => Recogniser::of_record(record)?,
            None => {
                let ports = SourcePorts::of_this_machine();
                Recogniser::new(SweepKey::random()?, ports, &vantages)
            }
        };
        let held = recogniser.ports().hold();
        let record = recogniser.record();
        let seed = record.key.get(..16).and_then(|hex| u64::from_str_radix(hex, 16).ok());
        if let Some(path) = &orders.record {
            let head = record::Head::new(
                head.clone(),
                orders.stations.iter().map(recorded).collect(),
                orders.profile.audit.severity.clone(),
                tape.interest(),
            );
            let recorder = Recorder::create(path, &head, registry_json.as_deref());
            tape.recorder = Some(recorder.map_err(at(path))?);
        }
        privilege::drop_for(&orders.out)?;

        let tape = Arc::new(Mutex::new(tape));
        let sending = Arc::clone(&tape);
        fence.on_sent(Box::new(move |vantage, now, bytes| {
            let at = started_at.checked_add(now).unwrap_or(started_at);
            lock(&sending).sent(vantage, at, bytes, bytes.len() as u32);
        }));
        let own = orders.stations.iter().map(|station| station.mac).collect();
        let intake = Intake::new(log, Arc::clone(&tape), own);
        let mut conductor = Conductor {
            territory: orders.territory(Vec::new()),
            orders,
            reporter,
            head,
            started_at,
            world: LiveWorld::new(fence, receivers, began),
            recogniser,
            intake,
            tape,
            state,
            why_not: BTreeMap::new(),
            asked: Vec::new(),
            port_scanned: BTreeSet::new(),
            echoed: BTreeSet::new(),
            solicited: BTreeSet::new(),
            steered: BTreeSet::new(),
            explored: AddressSet::default(),
            learnt: BTreeSet::new(),
            saved: Instant::now(),
            dhcp_until: Duration::ZERO,
            seed: seed.unwrap_or_default(),
            _held: held,
        };
        conductor.recall_asked();
        Ok(conductor)
    }

    /// What an earlier part of this sweep asked, from its log.
    fn recall_asked(&mut self) {
        for (_, observation) in self.intake.log.iter() {
            if let Fact::Asked(asked) = &observation.fact {
                self.asked.push((observation.vantage, asked.clone()));
            }
        }
    }

    fn passes(&mut self) -> Result<(), Halt> {
        self.own_facts();
        let risk = self.orders.profile.authorisation.risk;
        if risk >= 1 {
            if risk >= 2 {
                self.link_wide()?;
            }
            self.resolve()?;
            self.echo()?;
            self.explore()?;
            self.ports()?;
            self.forwarding()?;
            self.ladders()?;
        } else {
            self.explain_passive();
        }
        for _ in 0..NEWCOMER_ROUNDS {
            self.listen()?;
            if risk < 1 || !self.newcomers()? {
                break;
            }
        }
        self.listen()
    }

    /// The vantages' own addresses and ways out, which no frame shows.
    fn own_facts(&mut self) {
        for station in &self.orders.stations {
            for &(address, length) in &station.addresses {
                let prefix = Prefix::of(address, length);
                let fact = Fact::Interface { address, prefix, mac: station.mac };
                self.intake.note(self.started_at, station.id, Source::Interface, fact, &[]);
            }
            for &(destination, gateway) in &station.ways {
                if destination.length() == 0 {
                    let fact = Fact::Gateway { address: gateway };
                    self.intake.note(self.started_at, station.id, Source::Interface, fact, &[]);
                }
            }
        }
        for unreachable in &self.territory.unreachable {
            self.why_not.insert((unreachable.prefix, VantageId(0)), WhyNot::NoWay);
        }
    }

    fn explain_passive(&mut self) {
        for area in &self.territory.full {
            self.why_not.insert((area.prefix, area.vantage), WhyNot::Passive);
        }
    }

    /// Router solicitation, all-nodes echo, an unknown option, and one DHCP question of each version;
    /// an MLDv2 query only where a querier was heard in this sweep and the profile allows it.
    fn link_wide(&mut self) -> Result<(), Halt> {
        for station in &self.orders.stations {
            let mut questions = link_wide::usual(station);
            if self.orders.profile.discovery.dhcp {
                questions.extend(link_wide::dhcp(station));
                self.dhcp_until = self.world.now() + LISTEN_FOR_DHCP;
            }
            self.ask_link_wide(station, "link-wide", &questions)?;
        }
        Ok(())
    }

    fn ask_link_wide(
        &mut self,
        station: &Station,
        name: &'static str,
        questions: &[link_wide::Question],
    ) -> Result<(), Halt> {
        let id = pass_id(name, station.id, 0);
        if self.state.is_done(id) {
            return Ok(());
        }
        self.reporter.pass(name, &station.interface, questions.len() as u128);
        self.mark_recogniser();
        let began = Instant::now();
        let mut eye = Eye::new(&mut self.intake, self.reporter);
        let sent = link_wide::ask(station, questions, &self.recogniser, &mut self.world, &mut eye);
        let sent = sent.map_err(|fault| Halt::Link(fault.to_string()))?;
        self.state.done.insert(id);
        self.head.passes.push(v1::Pass {
            name: name.to_owned(),
            targets: 1,
            packets: sent,
            answers: 0,
            seconds: rounded(began.elapsed()),
        });
        if self.reporter.stopping() { Err(Halt::Stopped) } else { Ok(()) }
    }

    /// Ghosts first, then ARP for the links' own IPv4 prefixes and solicitations for IPv6 candidates.
    fn resolve(&mut self) -> Result<(), Halt> {
        for station in &self.orders.stations {
            if self.orders.uses(Method::Arp) {
                let areas = self.areas(Family::Ipv4, station.id, Reach::OnLink);
                self.ask_ghosts("arp", station, &areas)?;
                self.ask_areas("arp", "arp", station, &areas, ROUNDS)?;
            }
            self.gateways(station)?;
            if self.orders.uses(Method::Ndp) {
                self.solicit(station, "ndp")?;
            }
        }
        Ok(())
    }

    /// The MACs of the gateways that routed areas are reached through.
    fn gateways(&mut self, station: &Station) -> Result<(), Halt> {
        let mut unknown: BTreeSet<IpAddr> = BTreeSet::new();
        for area in self.territory.full.iter().chain(&self.territory.explore) {
            if let Reach::Through(gateway) = area.reach
                && area.vantage == station.id
                && self.intake.live.mac_of(station.id, gateway).is_none()
            {
                unknown.insert(gateway);
            }
        }
        for family in [Family::Ipv4, Family::Ipv6] {
            let (name, probe) = match family {
                Family::Ipv4 => ("gateways", "arp"),
                Family::Ipv6 => ("gateways-ipv6", "ndp"),
            };
            let of_family: Vec<_> =
                unknown.iter().copied().filter(|a| Family::of(*a) == family).collect();
            if !of_family.is_empty() {
                let targets = Targets::Addresses(AddressSet::of_addresses(of_family));
                self.run(name, probe, station, targets, &[0], 2, None)?;
            }
        }
        Ok(())
    }

    fn solicit(&mut self, station: &Station, name: &'static str) -> Result<(), Halt> {
        let mut by_prefix = Vec::new();
        for prefix in self.on_link_ipv6(station) {
            let area = self.ipv6_area(prefix, station.id);
            let candidates: Vec<_> = self
                .candidates(&area)
                .into_iter()
                .filter(|address| !self.solicited.contains(address))
                .collect();
            by_prefix.push((area, candidates));
        }
        // Link-local addresses that were heard, and the EUI-64 twins of the link's stations.
        let link_local =
            Prefix::of(IpAddr::V6("fe80::".parse().unwrap_or(std::net::Ipv6Addr::UNSPECIFIED)), 64);
        let own: BTreeSet<IpAddr> = station.addresses.iter().map(|(address, _)| *address).collect();
        if own.iter().any(|address| link_local.contains(*address)) {
            let exclude = self.orders.exclude();
            let twins: Vec<IpAddr> = self
                .seeds(Some(station.id))
                .macs
                .iter()
                .map(|mac| link_local.first_number() | u128::from(mac.interface_id()))
                .map(|number| Family::Ipv6.address(number))
                .filter(|a| {
                    !own.contains(a) && !exclude.contains(*a) && !self.solicited.contains(a)
                })
                .collect();
            let targets = Targets::Addresses(AddressSet::of_addresses(twins.iter().copied()));
            self.solicited.extend(&twins);
            self.run(join(name, "-link-local"), "ndp", station, targets, &[0], 1, None)?;
        }
        if name == "ndp" {
            let areas: Vec<Area> = by_prefix.iter().map(|(area, _)| area.clone()).collect();
            self.ask_ghosts("ndp", station, &areas)?;
        }
        let all: Vec<IpAddr> = by_prefix.iter().flat_map(|(_, c)| c.iter().copied()).collect();
        self.solicited.extend(&all);
        let targets = Targets::Addresses(AddressSet::of_addresses(all));
        let outcome = self.run(name, "ndp", station, targets, &[0], 2, None)?;
        for (area, candidates) in by_prefix {
            self.asked_by_candidates(&area, "ndp", &[], candidates, &outcome);
        }
        Ok(())
    }

    /// Echoes: to whoever is on the link, and to every address of the routed areas.
    fn echo(&mut self) -> Result<(), Halt> {
        for station in &self.orders.stations {
            if self.orders.uses(Method::Icmp) {
                let live = self.live_on_link(station.id, Family::Ipv4, false);
                self.echo_live("icmp", "icmp", station, live)?;
                let routed = self.routed(Family::Ipv4, station.id);
                self.ask_ghosts("icmp", station, &routed)?;
                self.ask_areas("icmp-routed", "icmp", station, &routed, 2)?;
            }
            if self.orders.uses(Method::Icmpv6) {
                let live = self.live_on_link(station.id, Family::Ipv6, true);
                self.echo_live("icmpv6", "icmpv6", station, live)?;
                self.echo_candidates(station, "icmpv6-routed")?;
            }
        }
        Ok(())
    }

    fn echo_live(
        &mut self,
        name: &'static str,
        probe: &'static str,
        station: &Station,
        live: AddressSet,
    ) -> Result<(), Halt> {
        let fresh: Vec<IpAddr> = live.iter().filter(|a| !self.echoed.contains(a)).collect();
        if fresh.is_empty() {
            return Ok(());
        }
        self.echoed.extend(&fresh);
        let targets = Targets::Addresses(AddressSet::of_addresses(fresh.iter().copied()));
        let outcome = self.run(name, probe, station, targets, &[0], 2, None)?;
        self.asked_listed(station.id, probe, &[], &fresh, &outcome);
        Ok(())
    }

    fn echo_candidates(&mut self, station: &Station, name: &'static str) -> Result<(), Halt> {
        let routed = self.routed(Family::Ipv6, station.id);
        let mut by_area = Vec::new();
        for area in routed {
            let candidates: Vec<_> = self
                .candidates(&area)
                .into_iter()
                .filter(|address| !self.echoed.contains(address))
                .collect();
            by_area.push((area, candidates));
        }
        let all: Vec<IpAddr> = by_area.iter().flat_map(|(_, c)| c.iter().copied()).collect();
        if all.is_empty() {
            return Ok(());
        }
        self.echoed.extend(&all);
        let targets = Targets::Addresses(AddressSet::of_addresses(all));
        let outcome = self.run(name, "icmpv6", station, targets, &[0], 2, None)?;
        for (area, candidates) in by_area {
            self.asked_by_candidates(&area, "icmpv6", &[], candidates, &outcome);
        }
        Ok(())
    }

    /// Samples of `explore`, then in full what answered or what a router said is there.
    fn explore(&mut self) -> Result<(), Halt> {
        for station in &self.orders.stations {
            for family in [Family::Ipv4, Family::Ipv6] {
                let (name, probe, method) = match family {
                    Family::Ipv4 => ("explore", "icmp", Method::Icmp),
                    Family::Ipv6 => ("explore-ipv6", "icmpv6", Method::Icmpv6),
                };
                if !self.orders.uses(method) {
                    continue;
                }
                let habits = territory::habits(self.orders.known_addresses(), 3);
                let (mut chunks, mut areas) = (Vec::new(), Vec::new());
                let explored = self.territory.explore.iter();
                for area in
                    explored.filter(|a| a.vantage == station.id && a.prefix.family() == family)
                {
                    let (sampled, left_out) = territory::samples(area, &habits);
                    if left_out > 0 {
                        self.head.notices.push(v1::SweepNotice {
                            code: "explore-cut".into(),
                            text: format!("{}: {left_out}", area.prefix),
                        });
                    }
                    let count = sampled.iter().map(|(_, addresses)| addresses.len()).sum::<usize>();
                    areas.push((area.clone(), count));
                    chunks.extend(sampled);
                }
                if chunks.is_empty() {
                    continue;
                }
                let samples =
                    AddressSet::of_addresses(chunks.iter().flat_map(|(_, a)| a.iter().copied()));
                let linger = Linger { least: Duration::from_secs(1), most: EXPLORE_LINGER };
                let targets = Targets::Addresses(samples.clone());
                let outcome = self.run(name, probe, station, targets, &[0], 2, Some(linger))?;
                for (area, count) in &areas {
                    self.asked_in_part(area, probe, &[], *count as u64, &outcome);
                }
                if self.orders.uses(Method::Tcp) && chunks.len() <= MOST_EXPLORED_BY_TCP {
                    let name = join(name, "-tcp");
                    let targets = Targets::Addresses(samples);
                    let outcome =
                        self.run(name, "tcp", station, targets, EXPLORE_PORTS, 1, None)?;
                    for (area, count) in &areas {
                        self.asked_in_part(area, "tcp", EXPLORE_PORTS, *count as u64, &outcome);
                    }
                }
                self.explore_in_full(station, &chunks, name, probe)?;
            }
        }
        Ok(())
    }

    fn explore_in_full(
        &mut self,
        station: &Station,
        chunks: &[(Prefix, Vec<IpAddr>)],
        name: &'static str,
        probe: &'static str,
    ) -> Result<(), Halt> {
        let live = &self.intake.live;
        let there: Vec<Prefix> = chunks
            .iter()
            .filter(|(chunk, addresses)| {
                addresses.iter().any(|a| live.answered.contains(a) || live.unreachable.contains(a))
                    && !self.explored.covers(*chunk)
            })
            .map(|(chunk, _)| *chunk)
            .collect();
        if there.is_empty() {
            return Ok(());
        }
        self.explored = self.explored.or(&there.iter().copied().collect());
        self.learnt.extend(&there);
        self.plan_again();
        let areas: Vec<Area> = self
            .territory
            .full
            .iter()
            .filter(|area| {
                area.vantage == station.id && there.iter().any(|chunk| chunk.covers(area.prefix))
            })
            .cloned()
            .collect();
        self.ask_ghosts(probe, station, &areas)?;
        if probe == "icmp" {
            self.ask_areas(join(name, "-full"), probe, station, &areas, 2)
        } else {
            self.echo_candidates(station, join(name, "-full"))
        }
    }

    /// TCP and UDP ports of whoever is there.
    fn ports(&mut self) -> Result<(), Halt> {
        for station in &self.orders.stations {
            if self.orders.uses(Method::Tcp)
                && !self.orders.profile.discovery.tcp_ports.0.is_empty()
            {
                self.discover_by_tcp(station)?;
            }
            let live = self.live(station.id);
            self.scan_ports(station, "", live)?;
        }
        Ok(())
    }

    /// Routed addresses that answered no echo are asked for a few ports.
    fn discover_by_tcp(&mut self, station: &Station) -> Result<(), Halt> {
        let in_full = full_port_areas(&self.territory, station.id);
        let mut silent = AddressSet::default();
        let routed = self.routed(Family::Ipv4, station.id);
        for area in &routed {
            silent = silent.or(&area.targets);
        }
        let answered = AddressSet::of_addresses(self.intake.live.answered.iter().copied());
        let silent = silent.minus(&in_full).minus(&answered);
        if silent.is_empty() {
            return Ok(());
        }
        let targets = Targets::Addresses(silent.clone());
        let outcome =
            self.run("tcp-discovery", "tcp", station, targets, DISCOVERY_PORTS, 1, None)?;
        for area in &routed {
            let count = area.targets.and(&silent).count();
            if count > 0 {
                let count = u64::try_from(count).unwrap_or(u64::MAX);
                self.asked_in_part(area, "tcp", DISCOVERY_PORTS, count, &outcome);
            }
        }
        Ok(())
    }

    fn scan_ports(
        &mut self,
        station: &Station,
        suffix: &'static str,
        live: AddressSet,
    ) -> Result<(), Halt> {
        let tcp = self.orders.profile.discovery.tcp_ports.0.clone();
        let udp = self.orders.profile.discovery.udp_ports.0.clone();
        let fresh: Vec<IpAddr> = live.iter().filter(|a| !self.port_scanned.contains(a)).collect();
        let silent = full_port_areas(&self.territory, station.id);
        let mut everyone = AddressSet::of_addresses(fresh.iter().copied());
        if suffix.is_empty() {
            everyone = everyone.or(&silent);
        }
        if everyone.is_empty() {
            return Ok(());
        }
        self.port_scanned.extend(everyone.iter());
        if self.orders.uses(Method::Tcp) && !tcp.is_empty() {
            let targets = Targets::Addresses(everyone.clone());
            let outcome = self.run(join("tcp", suffix), "tcp", station, targets, &tcp, 2, None)?;
            let all: Vec<IpAddr> = everyone.iter().collect();
            self.asked_listed(station.id, "tcp", &tcp, &all, &outcome);
        }
        if self.orders.uses(Method::Udp) && !udp.is_empty() && !fresh.is_empty() {
            let targets = Targets::Addresses(AddressSet::of_addresses(fresh.iter().copied()));
            let outcome = self.run(join("udp", suffix), "udp", station, targets, &udp, 2, None)?;
            self.asked_listed(station.id, "udp", &udp, &fresh, &outcome);
        }
        Ok(())
    }

    /// A frame to each neighbour's MAC for an off-link address.
    fn forwarding(&mut self) -> Result<(), Halt> {
        for station in &self.orders.stations {
            let mut list = Vec::new();
            let neighbours = self.intake.live.neighbours.get(&station.id);
            let neighbours = neighbours.cloned().unwrap_or_default();
            for family in [Family::Ipv4, Family::Ipv6] {
                let Some(destination) = self.off_link(family) else { continue };
                for (address, mac) in &neighbours {
                    if Family::of(*address) != family
                        || mac.is_redundancy()
                        || self.steered.contains(&(station.id, *mac, family))
                    {
                        continue;
                    }
                    let guard = self.world.fence().guard();
                    if let Ok(permit) = guard.admit_steered(*address, *mac, destination, station.id)
                    {
                        self.steered.insert((station.id, *mac, family));
                        list.push(permit);
                    }
                }
            }
            if list.is_empty() {
                continue;
            }
            let name = if self.state.is_done(pass_id("forwarding", station.id, 0)) {
                "forwarding-again"
            } else {
                "forwarding"
            };
            let Some(probe) = probe::named("forwarding") else { continue };
            let questions = probe.questions().to_vec();
            self.run(name, "forwarding", station, Targets::Steered(list), &questions, 1, None)?;
        }
        Ok(())
    }

    /// An address beyond every link that may be a destination: one that answered, else one of a
    /// routed segment, else any of the scope, else a canary.
    fn off_link(&self, family: Family) -> Option<IpAddr> {
        let on_link = |address: IpAddr| {
            self.orders.stations.iter().any(|station| station.is_on_link(address))
                || self
                    .territory
                    .full
                    .iter()
                    .any(|area| area.reach == Reach::OnLink && area.prefix.contains(address))
        };
        let observe_only = self.orders.observe_only();
        let fits = |address: &IpAddr| {
            Family::of(*address) == family
                && !on_link(*address)
                && !observe_only.contains(*address)
                && !self.orders.exclude().contains(*address)
        };
        let scope = self.orders.scope();
        let answered = self.intake.live.answered.iter().copied().filter(|a| scope.contains(*a));
        let routed = self
            .territory
            .full
            .iter()
            .filter(|area| area.reach != Reach::OnLink)
            .filter_map(|area| area.targets.nth(0));
        let explored = self.territory.explore.iter().filter_map(|area| area.targets.nth(0));
        let rest = scope
            .minus(&self.orders.exclude())
            .minus(&observe_only)
            .minus(&self.orders.stations.iter().flat_map(Station::prefixes).collect());
        let anywhere = rest
            .prefixes()
            .into_iter()
            .filter(|prefix| prefix.family() == family)
            .filter_map(|prefix| AddressSet::of([prefix]).nth(1.min(prefix.size() - 1)));
        let canaries = self.orders.profile.egress.canaries.iter().copied();
        let mut all = answered.chain(routed).chain(explored).chain(anywhere).chain(canaries);
        all.find(fits)
    }

    /// Hop ladders to one live address of each routed segment.
    fn ladders(&mut self) -> Result<(), Halt> {
        for station in &self.orders.stations {
            let mut ends = Vec::new();
            for area in self
                .territory
                .full
                .iter()
                .filter(|area| area.vantage == station.id && area.reach != Reach::OnLink)
            {
                let live = self.intake.live.answered.iter();
                if let Some(end) = live.copied().find(|a| area.targets.contains(*a)) {
                    ends.push(end);
                }
            }
            ends.truncate(MOST_LADDERS);
            if ends.is_empty() {
                continue;
            }
            let Some(probe) = probe::named("traceroute") else { continue };
            let questions = probe.questions().to_vec();
            let targets = Targets::Addresses(AddressSet::of_addresses(ends));
            self.run("hops", "traceroute", station, targets, &questions, 1, None)?;
        }
        Ok(())
    }

    /// Whoever was heard only after its pass; whether there was anybody.
    fn newcomers(&mut self) -> Result<bool, Halt> {
        let sent = self.world.fence().counts().sent;
        for station in &self.orders.stations {
            if self.orders.profile.discovery.mld_query
                && self.orders.profile.authorisation.risk >= 2
                && self.intake.live.queriers.contains(&station.id)
            {
                self.ask_link_wide(station, "mld-query", &link_wide::mld(station))?;
            }
            let heard: BTreeSet<Prefix> = self
                .intake
                .live
                .on_link
                .get(&station.id)
                .into_iter()
                .flatten()
                .copied()
                .filter(|prefix| prefix.is_ipv4())
                .collect();
            let scope = self.orders.scope();
            let fresh: Vec<Prefix> = heard
                .into_iter()
                .filter(|prefix| {
                    scope.overlaps(*prefix)
                        && !self.territory.full.iter().any(|a| a.prefix.covers(*prefix))
                })
                .collect();
            if !fresh.is_empty() && self.orders.uses(Method::Arp) {
                // Prefixes that DHCP or OSPF named as this link's own.
                let areas: Vec<Area> = fresh
                    .into_iter()
                    .flat_map(|prefix| self.learnt_on_link(prefix, station.id))
                    .collect();
                self.territory.full.extend(areas.iter().cloned());
                self.ask_ghosts("arp", station, &areas)?;
                self.ask_areas("arp-learnt", "arp", station, &areas, 2)?;
            }
            if self.orders.uses(Method::Ndp) {
                self.solicit(station, "ndp-again")?;
            }
            if self.orders.uses(Method::Icmp) {
                let live = self.live_on_link(station.id, Family::Ipv4, false);
                self.echo_live("icmp-again", "icmp", station, live)?;
            }
            if self.orders.uses(Method::Icmpv6) {
                let live = self.live_on_link(station.id, Family::Ipv6, true);
                self.echo_live("icmpv6-again", "icmpv6", station, live)?;
            }
            let live = self.live(station.id);
            self.scan_ports(station, "-again", live)?;
        }
        self.forwarding()?;
        Ok(self.world.fence().counts().sent > sent)
    }

    /// Listens to the end of the least listening time, and as long as DHCP servers take to offer.
    fn listen(&mut self) -> Result<(), Halt> {
        let least = Duration::from_secs(u64::from(self.orders.profile.passive.seconds));
        let until = least.max(self.dhcp_until);
        if self.world.now() >= until {
            return Ok(());
        }
        self.reporter.pass("listen", "", 0);
        let mut eye = Eye::new(&mut self.intake, self.reporter);
        eye.until = Some((until, Instant::now(), until.saturating_sub(self.world.now())));
        let heard = scan::listen(&self.recogniser, &mut self.world, &mut eye, until);
        heard.map_err(|fault| Halt::Link(fault.to_string()))?;
        if self.reporter.stopping() { Err(Halt::Stopped) } else { Ok(()) }
    }

    // What is to be asked.

    fn plan_again(&mut self) {
        let on_link: Vec<Area> = self
            .territory
            .full
            .iter()
            .filter(|area| area.reach == Reach::OnLink)
            .cloned()
            .collect();
        let explore = std::mem::take(&mut self.territory.explore);
        self.territory = self.orders.territory(self.learnt.iter().copied().collect());
        self.territory.explore = explore;
        for area in on_link {
            if !self.territory.full.iter().any(|known| known.prefix == area.prefix) {
                self.territory.full.push(area);
            }
        }
    }

    fn areas(&self, family: Family, vantage: VantageId, reach: Reach) -> Vec<Area> {
        let all = self.territory.full_of(family);
        all.filter(|area| area.vantage == vantage && area.reach == reach).cloned().collect()
    }

    fn routed(&self, family: Family, vantage: VantageId) -> Vec<Area> {
        let all = self.territory.full_of(family);
        all.filter(|area| area.vantage == vantage && area.reach != Reach::OnLink).cloned().collect()
    }

    /// The parts of a prefix heard on a link that may be asked there.
    fn learnt_on_link(&self, prefix: Prefix, vantage: VantageId) -> Vec<Area> {
        let inside = AddressSet::of([prefix]).and(&self.orders.scope());
        inside
            .prefixes()
            .into_iter()
            .map(|part| {
                let whole = AddressSet::of([part]);
                let mut targets = whole.minus(&self.orders.exclude());
                if prefix.is_ipv4() && prefix.length() < 31 {
                    targets =
                        targets.minus(&AddressSet::of_addresses([prefix.first(), prefix.last()]));
                }
                let excluded = whole.and(&self.orders.exclude()).count();
                Area {
                    prefix: part,
                    vantage,
                    reach: Reach::OnLink,
                    targets,
                    excluded: u64::try_from(excluded).unwrap_or(u64::MAX),
                }
            })
            .collect()
    }

    fn on_link_ipv6(&self, station: &Station) -> BTreeSet<Prefix> {
        let scope = self.orders.scope();
        let own = station.prefixes().into_iter().filter(|prefix| !prefix.is_ipv4());
        let heard = self.intake.live.on_link.get(&station.id).into_iter().flatten().copied();
        own.chain(heard).filter(|prefix| !prefix.is_ipv4() && scope.overlaps(*prefix)).collect()
    }

    fn ipv6_area(&self, prefix: Prefix, vantage: VantageId) -> Area {
        let whole = AddressSet::of([prefix]);
        let exclude = self.orders.exclude();
        let own = AddressSet::of_addresses(
            self.orders.stations.iter().flat_map(|s| s.addresses.iter().map(|(a, _)| *a)),
        );
        Area {
            prefix,
            vantage,
            reach: Reach::OnLink,
            targets: whole.and(&self.orders.scope()).minus(&exclude).minus(&own),
            excluded: u64::try_from(whole.and(&exclude).count()).unwrap_or(u64::MAX),
        }
    }

    fn seeds(&self, vantage: Option<VantageId>) -> Seeds {
        let live = &self.intake.live;
        let mut seeds = Seeds { ipv6: live.heard_ipv6.clone(), ..Seeds::default() };
        if let Some(vantage) = vantage {
            seeds.macs = live.stations.get(&vantage).cloned().unwrap_or_default();
        }
        let known = self.orders.known_addresses();
        for address in known.iter().chain(&live.answered) {
            match address {
                IpAddr::V4(address) => {
                    seeds.ipv4.insert(*address);
                }
                IpAddr::V6(address) => {
                    seeds.ipv6.insert(*address);
                }
            }
        }
        seeds
    }

    fn candidates(&self, area: &Area) -> Vec<IpAddr> {
        let vantage = (area.reach == Reach::OnLink).then_some(area.vantage);
        candidates::of(area.prefix, &self.seeds(vantage), &area.targets)
    }

    /// Who is on a link: seen using an address of it that may be asked.
    fn live_on_link(&self, vantage: VantageId, family: Family, link_local: bool) -> AddressSet {
        let scope = self.orders.scope();
        let neighbours = self.intake.live.neighbours.get(&vantage);
        AddressSet::of_addresses(neighbours.into_iter().flatten().map(|(ip, _)| *ip).filter(|ip| {
            Family::of(*ip) == family
                && (scope.contains(*ip) || link_local && crate::net::special::is_link_local(*ip))
        }))
        .minus(&self.orders.exclude())
    }

    /// Everybody that a vantage can ask for ports: its link's, and whoever answered through it.
    fn live(&self, vantage: VantageId) -> AddressSet {
        let on_link = self.live_on_link(vantage, Family::Ipv4, false).or(&self.live_on_link(
            vantage,
            Family::Ipv6,
            false,
        ));
        let mut reachable = AddressSet::default();
        for area in self.territory.full.iter().chain(&self.territory.explore) {
            if area.vantage == vantage && area.reach != Reach::OnLink {
                reachable = reachable.or(&area.targets);
            }
        }
        let answered = AddressSet::of_addresses(self.intake.live.answered.iter().copied());
        on_link.or(&answered.and(&reachable))
    }

    fn next_hops(&mut self, station: &Station) -> NextHops {
        let mut hops = NextHops::new();
        for prefix in station.prefixes() {
            hops.on_link(prefix);
        }
        for prefix in self.intake.live.on_link.get(&station.id).into_iter().flatten() {
            hops.on_link(*prefix);
        }
        let known = interfaces::neighbours().unwrap_or_default();
        for area in self.territory.full.iter().chain(&self.territory.explore) {
            if area.vantage != station.id {
                continue;
            }
            match area.reach {
                Reach::OnLink => hops.on_link(area.prefix),
                Reach::Through(gateway) => {
                    let by_kernel = known
                        .iter()
                        .filter(|n| n.ip == gateway && n.interface == station.index)
                        .find_map(|n| n.mac);
                    let mac = self.intake.live.mac_of(station.id, gateway).or(by_kernel);
                    match mac.filter(|_| !self.orders.exclude().contains(gateway)) {
                        Some(mac) => {
                            hops.gateway(area.prefix, mac);
                            self.why_not.remove(&(area.prefix, area.vantage));
                        }
                        None => {
                            let key = (area.prefix, area.vantage);
                            self.why_not.insert(key, WhyNot::NoGatewayMac);
                        }
                    }
                }
            }
        }
        if let Some(neighbours) = self.intake.live.neighbours.get(&station.id) {
            for (address, mac) in neighbours {
                hops.neighbour(*address, *mac);
            }
        }
        hops
    }

    // How it is asked, and what is put down of it.

    /// Asks whole areas by one probe.
    fn ask_areas(
        &mut self,
        name: &'static str,
        probe: &'static str,
        station: &Station,
        areas: &[Area],
        rounds: u8,
    ) -> Result<(), Halt> {
        let all = areas.iter().fold(AddressSet::default(), |all, area| all.or(&area.targets));
        if all.is_empty() {
            return Ok(());
        }
        if probe != "arp" {
            self.echoed.extend(all.iter().take(1 << 20));
        }
        let outcome =
            self.run(name, probe, station, Targets::Addresses(all), &[0], rounds, None)?;
        for area in areas {
            let complete = outcome.interrupted.is_none() && outcome.unresolved == 0;
            let share = u64::try_from(area.targets.count()).unwrap_or(u64::MAX);
            let asked = if complete { share } else { share.min(outcome.asked) };
            self.put_asked(
                area.vantage,
                Asked {
                    prefix: area.prefix,
                    method: probe.to_owned(),
                    ports: Vec::new(),
                    asked,
                    excluded: area.excluded,
                    complete: complete && self.all_admitted(area, probe),
                    addresses: Vec::new(),
                },
            );
        }
        Ok(())
    }

    /// Fragile addresses get one gentle question: where an area has some, only the first method that
    /// asked can say that everybody was asked.
    fn all_admitted(&self, area: &Area, probe: &str) -> bool {
        let fragile = area.targets.and(&self.orders.observe_only());
        fragile.is_empty() || matches!(probe, "arp" | "ndp")
    }

    fn asked_by_candidates(
        &mut self,
        area: &Area,
        probe: &str,
        ports: &[u16],
        candidates: Vec<IpAddr>,
        outcome: &Outcome,
    ) {
        if candidates.is_empty() || outcome.asked == 0 {
            return;
        }
        let done = outcome.interrupted.is_none();
        self.put_asked(
            area.vantage,
            Asked {
                prefix: area.prefix,
                method: probe.to_owned(),
                ports: numbered(probe, ports),
                asked: candidates.len() as u64,
                excluded: area.excluded,
                complete: false,
                addresses: if done { candidates } else { Vec::new() },
            },
        );
    }

    /// A part of an area was asked, of which no address is told one by one.
    fn asked_in_part(
        &mut self,
        area: &Area,
        probe: &str,
        ports: &[u16],
        asked: u64,
        outcome: &Outcome,
    ) {
        if outcome.asked == 0 {
            return;
        }
        self.put_asked(
            area.vantage,
            Asked {
                prefix: area.prefix,
                method: probe.to_owned(),
                ports: numbered(probe, ports),
                asked,
                excluded: area.excluded,
                complete: false,
                addresses: Vec::new(),
            },
        );
    }

    /// Single addresses were asked: they are listed under the areas that hold them.
    fn asked_listed(
        &mut self,
        vantage: VantageId,
        probe: &str,
        ports: &[u16],
        addresses: &[IpAddr],
        outcome: &Outcome,
    ) {
        let fragile = self.orders.observe_only();
        let mut by_prefix: BTreeMap<Prefix, Vec<IpAddr>> = BTreeMap::new();
        let counted = |address: &&IpAddr| {
            !fragile.contains(**address) && !crate::net::special::is_link_local(**address)
        };
        for address in addresses.iter().filter(counted) {
            let area = self
                .territory
                .full
                .iter()
                .find(|area| area.vantage == vantage && area.prefix.contains(*address));
            let prefix = area.map_or_else(
                || Prefix::of(*address, if address.is_ipv4() { 24 } else { 64 }),
                |area| area.prefix,
            );
            by_prefix.entry(prefix).or_default().push(*address);
        }
        for (prefix, mut listed) in by_prefix {
            let area = self.territory.full.iter().find(|area| area.prefix == prefix);
            let excluded = area.map_or(0, |area| area.excluded);
            let asked = listed.len() as u64;
            listed.truncate(MOST_LISTED);
            if outcome.interrupted.is_some() {
                listed.clear();
            }
            self.put_asked(
                vantage,
                Asked {
                    prefix,
                    method: probe.to_owned(),
                    ports: numbered(probe, ports),
                    asked,
                    excluded,
                    complete: false,
                    addresses: listed,
                },
            );
        }
    }

    fn put_asked(&mut self, vantage: VantageId, asked: Asked) {
        self.asked.push((vantage, asked.clone()));
        let at = self.now();
        self.intake.note(at, vantage, Source::Sweep, Fact::Asked(asked), &[]);
    }

    /// Asks each area's ghosts, and puts down those that all answered.
    fn ask_ghosts(
        &mut self,
        probe: &'static str,
        station: &Station,
        areas: &[Area],
    ) -> Result<(), Halt> {
        let mut known = self.orders.known_addresses();
        let live = &self.intake.live;
        known.extend(live.answered.iter().copied());
        known.extend(live.neighbours.values().flat_map(|n| n.keys().copied()));
        let seed = self.seed;
        let ghosts: Vec<(Area, Vec<IpAddr>)> = areas
            .iter()
            .map(|area| {
                let ghosts = candidates::ghosts(area.prefix, &area.targets, &known, seed);
                (area.clone(), ghosts)
            })
            .collect();
        let all = AddressSet::of_addresses(ghosts.iter().flat_map(|(_, g)| g.iter().copied()));
        if all.is_empty() {
            return Ok(());
        }
        let name = match probe {
            "arp" => "ghosts",
            "ndp" => "ghosts-ndp",
            "icmp" => "ghosts-icmp",
            _ => "ghosts-icmpv6",
        };
        let targets = Targets::Addresses(all.clone());
        self.run(name, probe, station, targets, &[0], 2, None)?;
        let mut answering = false;
        for (area, ghosts) in &ghosts {
            answering |= self.judge_ghosts(area, ghosts, probe, probe);
            // A hop ladder ends in an echo like any other.
            if matches!(probe, "icmp" | "icmpv6") {
                self.judge_ghosts(area, ghosts, probe, "traceroute");
            }
        }
        // A firewall may answer every SYN in its hosts' names and keep quiet about echoes; on a link that
        // takes somebody who answers ARP for them first.
        let ports: Vec<u16> =
            self.orders.profile.discovery.tcp_ports.0.iter().copied().take(GHOST_PORTS).collect();
        let beyond = matches!(probe, "icmp" | "icmpv6");
        if self.orders.uses(Method::Tcp) && !ports.is_empty() && (answering || beyond) {
            let targets = Targets::Addresses(all.clone());
            self.run(join(name, "-tcp"), "tcp", station, targets, &ports, 1, None)?;
            for (area, ghosts) in &ghosts {
                answering |= self.judge_ghosts(area, ghosts, "tcp", "tcp");
            }
        }
        let ports: Vec<u16> =
            self.orders.profile.discovery.udp_ports.0.iter().copied().take(1).collect();
        if self.orders.uses(Method::Udp) && !ports.is_empty() && answering {
            let targets = Targets::Addresses(all);
            self.run(join(name, "-udp"), "udp", station, targets, &ports, 1, None)?;
            for (area, ghosts) in &ghosts {
                self.judge_ghosts(area, ghosts, "udp", "udp");
            }
        }
        Ok(())
    }

    /// One answer may be a stranger's; all three from one MAC are somebody who answers for anything.
    /// Puts them down as ghosts of a method, and says whether they were.
    fn judge_ghosts(
        &mut self,
        area: &Area,
        ghosts: &[IpAddr],
        by: &'static str,
        method: &'static str,
    ) -> bool {
        let mut answers = BTreeMap::new();
        for (_, observation) in self.intake.log.iter() {
            if let Fact::Answer { ip, mac, .. } = &observation.fact
                && observation.vantage == area.vantage
                && observation.source.word() == by
                && ghosts.contains(ip)
            {
                answers.entry(*ip).or_insert((*mac, observation.frames.clone()));
            }
        }
        let macs: BTreeSet<Mac> = answers.values().map(|(mac, _)| *mac).collect();
        if answers.len() < ghosts.len() || ghosts.len() < 3 || macs.len() != 1 {
            return false;
        }
        let at = self.now();
        for (ip, (mac, frames)) in answers {
            let fact = Fact::Ghost { prefix: area.prefix, ip, method: method.to_owned(), mac };
            self.intake.note(at, area.vantage, Source::Sweep, fact, &frames);
        }
        true
    }

    /// Runs one pass, unless an earlier part of this sweep did.
    #[expect(
        clippy::too_many_arguments,
        reason = "a pass is that many things, named by their types"
    )]
    fn run(
        &mut self,
        name: &'static str,
        probe: &'static str,
        station: &Station,
        targets: Targets,
        questions: &[u16],
        rounds: u8,
        linger: Option<Linger>,
    ) -> Result<Outcome, Halt> {
        let targets_count = targets.count();
        let Some(probe) = probe::named(probe).filter(|_| targets_count > 0) else {
            return Ok(Outcome::default());
        };
        let id = pass_id(name, station.id, shape(&targets));
        if self.state.is_done(id) {
            let asked = u64::try_from(targets_count).unwrap_or(u64::MAX);
            return Ok(Outcome { asked, ..Outcome::default() });
        }
        let hops = self.next_hops(station);
        let mut pass = Pass::new(id, station.id, probe, targets, &hops);
        pass.questions = questions.to_vec();
        pass.rounds = rounds;
        if let Some(linger) = linger {
            pass.linger = linger;
        }
        self.reporter.pass(name, &station.interface, targets_count);
        let answered = self.answered_before(&pass);
        let resume = self.state.checkpoint.take().filter(|checkpoint| checkpoint.pass == id);
        if let Targets::Addresses(set) = &pass.targets
            && probe.resolution() == probe::Resolution::IsIt
        {
            self.recogniser.asks_resolution(station.id, set);
        }
        self.mark_recogniser();
        let began = Instant::now();
        let mut eye = Eye::new(&mut self.intake, self.reporter);
        let ran = scan::run(
            &pass,
            resume,
            &mut answered.into_iter(),
            &mut self.recogniser,
            &mut self.world,
            &mut eye,
        );
        let (outcome, halt) = match ran {
            Ok(outcome) => {
                let stopped = outcome.interrupted.map(|checkpoint| {
                    self.state.checkpoint = Some(checkpoint);
                    Halt::Stopped
                });
                (outcome, stopped)
            }
            Err(ScanError::Link { source, outcome }) => {
                (*outcome, Some(Halt::Link(source.to_string())))
            }
            Err(fault @ ScanError::TooLarge { .. }) => {
                self.head.notices.push(v1::SweepNotice {
                    code: "pass-too-large".into(),
                    text: format!("{name}: {fault}"),
                });
                return Ok(Outcome::default());
            }
            Err(fault) => (Outcome::default(), Some(Halt::Link(fault.to_string()))),
        };
        self.head.passes.push(v1::Pass {
            name: name.to_owned(),
            targets: u64::try_from(targets_count).unwrap_or(u64::MAX),
            packets: outcome.sent,
            answers: outcome.answered,
            seconds: rounded(began.elapsed()),
        });
        if outcome.refused.contains_key(&scope::Refusal::Ceiling) {
            self.head
                .notices
                .push(v1::SweepNotice { code: "ceiling-too-low".into(), text: name.to_owned() });
        }
        if let Some(halt) = halt {
            return Err(halt);
        }
        self.state.done.insert(id);
        self.save_now_and_then();
        Ok(outcome)
    }

    /// What the log holds of a pass already, for one that is gone on with.
    fn answered_before(&self, pass: &Pass<'_>) -> Vec<(IpAddr, u16)> {
        if self.state.checkpoint.is_none_or(|checkpoint| checkpoint.pass != pass.id) {
            return Vec::new();
        }
        let source = pass.probe.source();
        let answers = self.intake.log.iter().filter(|(_, o)| o.source == source);
        answers
            .filter_map(|(_, observation)| match &observation.fact {
                Fact::Answer { ip, port, .. } => Some((*ip, port.map_or(0, |port| port.number))),
                _ => None,
            })
            .collect()
    }

    /// Tells the record which answers count from here on.
    fn mark_recogniser(&mut self) {
        let mut tape = lock(&self.tape);
        if tape.recorder.is_some() {
            let record = self.recogniser.record();
            tape.mark(record);
        }
    }

    fn now(&mut self) -> Timestamp {
        let now = self.world.now();
        self.started_at.checked_add(now).unwrap_or(self.started_at)
    }

    fn save_now_and_then(&mut self) {
        if self.saved.elapsed() >= BETWEEN_SAVES {
            self.save();
        }
    }

    fn save(&mut self) {
        self.state.recogniser = Some(self.recogniser.record());
        self.state.fragile = self.world.fence().asked_fragile().collect();
        self.state.passes.clone_from(&self.head.passes);
        {
            let mut tape = lock(&self.tape);
            self.state.put_questions(tape.questions());
            let flushed = tape.spool.flush();
            tape.note(flushed);
        }
        let counts = self.world.fence().counts().clone();
        self.state.sent = self.state.sent_before + counts.sent + counts.caused;
        self.state.received = self.state.received_before + self.intake.received;
        let saved = self.state.save(&self.orders.out, &self.intake.log);
        lock(&self.tape).note(saved);
        self.saved = Instant::now();
    }

    fn close(mut self, ended: Result<(), Halt>) -> Swept {
        let end = match ended {
            Ok(()) => End::Complete,
            Err(Halt::Stopped) => End::Interrupted,
            Err(Halt::Link(why)) => End::Failed(why),
        };
        if end == End::Interrupted {
            self.save();
        }
        self.show_questions();
        let counts = self.world.fence().counts().clone();
        let mut head = self.head;
        head.finished_at = Timestamp::now().to_string();
        head.complete = end == End::Complete;
        head.packets_sent = self.state.sent_before + counts.sent + counts.caused;
        head.packets_received = self.state.received_before + self.intake.received;
        if self.orders.resume {
            let mut passes = self.state.passes.clone();
            passes.append(&mut head.passes);
            head.passes = passes;
        }
        for (vantage, dropped) in self.world.dropped() {
            let dropped = dropped.unwrap_or(0);
            head.packets_dropped += dropped;
            if dropped > 0 {
                let station = self.orders.stations.iter().find(|s| s.id == vantage);
                let interface = station.map_or("", |station| station.interface.as_str());
                head.notices.push(v1::SweepNotice {
                    code: "frames-dropped".into(),
                    text: format!("{interface}: {dropped}"),
                });
            }
        }
        for (refusal, count) in &counts.refused {
            head.notices.push(v1::SweepNotice {
                code: "refused".into(),
                text: format!("{refusal}: {count}"),
            });
        }
        if let End::Failed(why) = &end {
            head.notices.push(v1::SweepNotice { code: "link-failed".into(), text: why.clone() });
        }
        if self.intake.log.refused() > 0 {
            head.notices.push(v1::SweepNotice {
                code: "log-full".into(),
                text: self.intake.log.refused().to_string(),
            });
        }
        {
            let mut tape = lock(&self.tape);
            if let Some(fault) = tape.fault() {
                let text = fault.to_string();
                head.notices.push(v1::SweepNotice { code: "tape-failed".into(), text });
            }
            if let Some(recorder) = tape.recorder.take() {
                let shown_by_no_frame =
                    |o: &&Observation| matches!(o.source, Source::Sweep | Source::Interface);
                let observations =
                    self.intake.log.iter().map(|(_, o)| o).filter(shown_by_no_frame).cloned();
                let why_not = self.why_not.iter();
                let why_not = why_not.map(|((p, v), why)| (*p, *v, why.key().to_owned()));
                let tail = record::Tail::new(
                    head.clone(),
                    self.recogniser.record(),
                    why_not.collect(),
                    observations.collect(),
                );
                if let Err(fault) = recorder.finish(tail) {
                    let text = fault.to_string();
                    head.notices.push(v1::SweepNotice { code: "tape-failed".into(), text });
                }
            }
            let flushed = tape.spool.flush();
            tape.note(flushed);
        }
        let stations = &self.orders.stations;
        Swept {
            head,
            log: self.intake.log,
            tape: self.tape,
            why_not: self.why_not,
            end,
            vantages: stations
                .iter()
                .map(|s| inventoried(Some(s.mac), &s.interface, &s.addresses))
                .collect(),
        }
    }

    /// The questions to addresses of interest become evidence of having asked, once for each method
    /// that asked them to the end.
    fn show_questions(&mut self) {
        let questions = lock(&self.tape).questions().clone();
        let at = self.now();
        for ((address, method), frames) in questions {
            let found = self.asked.iter().find(|(_, asked)| {
                asked.method == method
                    && asked.prefix.contains(address)
                    && (asked.complete || asked.addresses.contains(&address))
            });
            let Some((vantage, asked)) = found else { continue };
            let own = Asked { asked: 1, addresses: vec![address], ..asked.clone() };
            self.intake.note(at, *vantage, Source::Sweep, Fact::Asked(own), &frames);
        }
    }
}

fn recorded(station: &Station) -> record::VantageRecord {
    record::VantageRecord {
        interface: station.interface.clone(),
        mac: Some(station.mac),
        addresses: station.addresses.clone(),
    }
}

fn numbered(probe: &str, ports: &[u16]) -> Vec<Port> {
    let transport = if probe == "udp" { Transport::Udp } else { Transport::Tcp };
    ports.iter().map(|number| Port { transport, number: *number }).collect()
}

/// A pass's number: stable over a resume, different for other targets under the same name.
fn pass_id(name: &str, vantage: VantageId, shape: u64) -> u64 {
    // FNV-1a: it only has to tell passes apart.
    let octets = name.bytes().chain(vantage.0.to_le_bytes()).chain(shape.to_le_bytes());
    octets.fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Tells target sets apart: a pass whose targets are others than before is another pass.
fn shape(targets: &Targets) -> u64 {
    match targets {
        Targets::Addresses(set) => {
            let prefixes = set.prefixes();
            prefixes.iter().fold(prefixes.len() as u64, |hash, prefix| {
                (hash.rotate_left(7) ^ prefix.first_number() as u64 ^ u64::from(prefix.length()))
                    .wrapping_mul(0x0000_0100_0000_01b3)
            })
        }
        Targets::Steered(list) => list.len() as u64,
    }
}

fn rounded(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

/// The names of passes that are made of two words.
fn join(name: &'static str, suffix: &'static str) -> &'static str {
    match (name, suffix) {
        (name, "") => name,
        ("ghosts", "-tcp") => "ghosts-tcp",
        ("ghosts-ndp", "-tcp") => "ghosts-ndp-tcp",
        ("ghosts-icmp", "-tcp") => "ghosts-icmp-tcp",
        ("ghosts-icmpv6", "-tcp") => "ghosts-icmpv6-tcp",
        ("ghosts", "-udp") => "ghosts-udp",
        ("ghosts-ndp", "-udp") => "ghosts-ndp-udp",
        ("ghosts-icmp", "-udp") => "ghosts-icmp-udp",
        ("ghosts-icmpv6", "-udp") => "ghosts-icmpv6-udp",
        ("ndp", "-link-local") => "ndp-link-local",
        ("ndp-again", "-link-local") => "ndp-link-local-again",
        ("explore", "-tcp") => "explore-tcp",
        ("explore-ipv6", "-tcp") => "explore-tcp-ipv6",
        ("explore", "-full") => "explore-full",
        ("explore-ipv6", "-full") => "explore-full-ipv6",
        ("tcp", "-again") => "tcp-again",
        ("udp", "-again") => "udp-again",
        (name, _) => name,
    }
}

/// Looks on for the conductor: every frame into the intake, progress to the reporter.
struct Eye<'a> {
    intake: &'a mut Intake,
    reporter: &'a mut dyn Reporter,
    until: Option<(Duration, Instant, Duration)>,
    told: Instant,
}

impl<'a> Eye<'a> {
    fn new(intake: &'a mut Intake, reporter: &'a mut dyn Reporter) -> Eye<'a> {
        Eye { intake, reporter, until: None, told: Instant::now() }
    }

    fn seen(&self) -> Seen {
        let live = &self.intake.live;
        Seen {
            received: self.intake.received,
            stations: live.stations.values().map(BTreeSet::len).sum(),
            answered: live.answered.len(),
            ports: live.ports,
        }
    }
}

impl Watcher for Eye<'_> {
    fn frame(&mut self, heard: &Heard<'_>, recognised: Option<Recognised>) {
        if heard.outgoing {
            self.intake.sent(heard.vantage, heard.at, heard.bytes, heard.length);
        } else {
            self.intake.heard(
                heard.vantage,
                heard.at,
                LinkType::ETHERNET,
                heard.bytes,
                heard.length,
                recognised,
            );
        }
    }

    fn progress(&mut self, progress: &Progress) {
        let seen = self.seen();
        self.reporter.progress(progress, seen);
    }

    fn checkpoint(&mut self, _: &Checkpoint) {}

    fn stopping(&mut self) -> bool {
        if let Some((_, since, total)) = self.until
            && self.told.elapsed() >= Duration::from_millis(250)
        {
            self.told = Instant::now();
            let seen = self.seen();
            self.reporter.listening(total.saturating_sub(since.elapsed()), seen);
        }
        self.reporter.stopping()
    }
}
