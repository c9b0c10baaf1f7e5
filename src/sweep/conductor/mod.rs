//! The conductor: opens the links, drops its capabilities, then runs pass after pass, each planned from
//! what the ones before it learnt, listening from the first second to the last.
//!
//! The order of the passes goes from the gentlest question to the next: link-wide questions, ghosts,
//! address resolution, echoes, samples of what is to be explored, ports of whoever is there, the
//! forwarding test, hop ladders; then once more for whoever was heard only meanwhile.

mod ask;
mod asked;
mod conversations;
mod egress;
mod eye;
mod ghosts;
mod late;
mod open;
mod ports;
mod reach;
mod receipts;
mod resolve;
mod routers;
mod talks;
mod targets;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use thiserror::Error;

pub use conversations::UDP_PORTS as EGRESS_UDP_PORTS;
pub use egress::{BETWEEN_WAVES, MOST_CANARIES};
use eye::Eye;
pub use ghosts::MOSTLY;
pub(super) use open::share;

use super::candidates::{self, Candidates, OnLink, Seeds};
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
use super::witnessed;
use crate::link::{self, LinkError, interfaces, privilege};
use crate::net::{AddressSet, Family, Mac, Port, Prefix, Transport};
use crate::observe::{Asked, Fact, FrameNumber, Log, Observation, Proposed, Source, VantageId};
use crate::result::v1;
use crate::scan::{
    self, Care, Checkpoint, Heard, Linger, LiveWorld, NextHops, Outcome, Pass, Progress,
    Recognised, Recogniser, ScanError, Silence, SourcePorts, SweepKey, Targets, Watcher, World,
    probe,
};
use crate::scope::{self, Ceilings, Fence, Guard, Rules};
use crate::texts::{Language, Texts};
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
/// Between two savings of an unfinished sweep, at least: what is asked meanwhile is asked again if the sweep
/// is killed.
const BETWEEN_SAVES: Duration = Duration::from_secs(2);
/// And this many times as long as the last one took.
const SAVES_SHARE: u32 = 20;

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
    EgressKey(#[from] crate::egress::token::NoRandomness),
    #[error("{0}")]
    Resume(#[from] checkpoint::ResumeError),
    #[error(transparent)]
    Table(#[from] link::owned_table::TableError),
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
    /// Hosts that had answered did not any more, and nothing else did: `--resume` goes on from where they
    /// last did. For how many seconds nothing was heard, and how many hosts were asked meanwhile.
    Silent {
        seconds: u64,
        hosts: usize,
    },
    /// A link failed in the middle; why. When it is back, `--resume` goes on.
    Failed(String),
}

impl End {
    /// Whether `--resume` goes on from here.
    pub fn can_be_resumed(&self) -> bool {
        *self != End::Complete
    }
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

/// Whether link-local addresses are among those of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LinkLocal {
    Too,
    LeftOut,
}

/// Why the passes ended before their end.
enum Halt {
    Stopped,
    /// The network fell silent.
    Silent(Silence),
    Link(String),
}

/// How often a silent sample is asked: in a wide range five samples a chunk are tries enough.
pub const fn explore_rounds(chunks: usize) -> u8 {
    if chunks > MOST_EXPLORED_BY_TCP { 1 } else { 2 }
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
pub fn rules(orders: &Orders) -> Rules {
    let egress = &orders.profile.egress;
    Rules {
        canaries: egress.canaries.clone(),
        collector: egress.collector.as_ref().map(|collector| collector.address),
        ..super::question::rules(&orders.profile.authorisation, &orders.stations)
    }
}

pub(super) fn guarded(station: &Station) -> scope::Vantage {
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
    care: Care,
    intake: Intake,
    tape: Arc<Mutex<Tape>>,
    territory: Territory,
    state: State,
    why_not: BTreeMap<(Prefix, VantageId), WhyNot>,
    /// What each pass asked to its end: the ground under silence.
    asked: Vec<(VantageId, Asked)>,
    /// The ghosts of IPv4 prefixes behind routers: judged at the end, with the whole prefix.
    haunted: Vec<(Area, Vec<IpAddr>)>,
    /// Addresses whose ports were asked.
    port_scanned: BTreeSet<IpAddr>,
    echoed: BTreeSet<IpAddr>,
    solicited: BTreeSet<IpAddr>,
    steered: BTreeSet<(VantageId, Mac, Family)>,
    explored: AddressSet,
    learnt: BTreeSet<Prefix>,
    saved: Instant,
    between_saves: Duration,
    dhcp_until: Duration,
    /// Drawn from the sweep's key: nobody can expect the ghosts.
    seed: u64,
    ways: egress::Ways,
    witness_log: receipts::WitnessLog,
    /// What was wrong with the receipts at the last look: code and text.
    witness_faults: BTreeSet<(String, String)>,
    /// What was wrong with single receipts, by kind.
    witness_remarks: BTreeMap<&'static str, witnessed::Remark>,
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
    fn passes(&mut self) -> Result<(), Halt> {
        self.own_facts();
        let risk = self.orders.profile.authorisation.risk;
        if risk >= 1 {
            if risk >= 2 {
                self.link_wide()?;
            }
            self.resolve()?;
            self.echo()?;
            self.ask_routers()?;
            self.learn("icmpv6-learnt")?;
            self.explore()?;
            self.ports()?;
            self.forwarding()?;
            self.ladders()?;
            self.ask_names()?;
            self.learn("icmpv6-learnt-again")?;
        } else {
            self.explain_passive();
        }
        self.ways_out()?;
        for _ in 0..NEWCOMER_ROUNDS {
            self.listen()?;
            if risk < 1 || !self.newcomers()? {
                break;
            }
            self.ways_out()?;
        }
        self.listen()?;
        self.last_receipts()
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

    fn now(&mut self) -> Timestamp {
        let now = self.world.now();
        self.started_at.checked_add(now).unwrap_or(self.started_at)
    }

    fn save_now_and_then(&mut self) {
        if self.saved.elapsed() >= self.between_saves {
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
        let began = Instant::now();
        let saved = self.state.save(&self.orders.out, &self.intake.log);
        lock(&self.tape).note(saved);
        self.saved = Instant::now();
        self.between_saves = BETWEEN_SAVES.max(began.elapsed() * SAVES_SHARE);
    }

    fn close(mut self, ended: Result<(), Halt>) -> Swept {
        let end = match ended {
            Ok(()) => End::Complete,
            Err(Halt::Stopped) => End::Interrupted,
            Err(Halt::Silent(silence)) => {
                let since = self.world.now().saturating_sub(silence.since);
                End::Silent { seconds: since.as_secs(), hosts: silence.asked }
            }
            Err(Halt::Link(why)) => End::Failed(why),
        };
        if let End::Silent { seconds, hosts } = &end {
            self.head.notices.push(v1::SweepNotice {
                code: "network-silent".into(),
                text: format!("{seconds} s, {hosts}"),
            });
        }
        if end.can_be_resumed() {
            self.save();
        }
        self.confirm_ghosts();
        self.show_questions();
        self.note_egress_asked();
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
        if self.world.most_sweeps() > 1 {
            let text = self.world.most_sweeps().to_string();
            head.notices.push(v1::SweepNotice { code: "ceilings-shared".into(), text });
        }
        for (refusal, count) in &counts.refused {
            head.notices.push(v1::SweepNotice {
                code: "refused".into(),
                text: format!("{refusal}: {count}"),
            });
        }
        for (code, text) in std::mem::take(&mut self.witness_faults) {
            head.notices.push(v1::SweepNotice { code, text });
        }
        let texts = Texts::of(head.language.parse().unwrap_or(Language::Zh));
        for remark in std::mem::take(&mut self.witness_remarks).into_values() {
            head.notices.push(remark.notice(&texts));
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
                let shown_by_no_frame = |o: &&Observation| {
                    matches!(
                        o.source,
                        Source::Sweep
                            | Source::Interface
                            | Source::NextHop
                            | Source::SpoofedSource
                            | Source::Proxy
                            | Source::Dns
                            | Source::PortMapping
                            | Source::Snmp
                    )
                };
                let observations =
                    self.intake.log.iter().map(|(_, o)| o).filter(shown_by_no_frame).cloned();
                let why_not = self.why_not.iter();
                let why_not = why_not.map(|((p, v), why)| (*p, *v, why.key().to_owned()));
                let tail = record::Tail::new(
                    head.clone(),
                    self.recogniser.record(),
                    why_not.collect(),
                    observations.collect(),
                    tape.of_conversations().to_vec(),
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
pub(super) fn pass_id(name: &str, vantage: VantageId, shape: u64) -> u64 {
    // FNV-1a: it only has to tell passes apart.
    let octets = name.bytes().chain(vantage.0.to_le_bytes()).chain(shape.to_le_bytes());
    octets.fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Tells target sets apart: a pass whose targets are others than before is another pass.
pub(super) fn shape(targets: &Targets) -> u64 {
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
