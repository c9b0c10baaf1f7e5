//! One question to every address of a set: the engine by itself, under the same fence as a sweep, without
//! inventory and audit. Who answers is told as it comes.
//!
//! What is needed for it is resolved before, by the same engine: the MACs of targets on the link and of the
//! routers on the way that the kernel does not know.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::conductor::{End, Reporter, Seen, SweepError, pass_id, shape, share};
use super::profile::{Authorisation, Method, Rate};
use super::vantage::Station;
use crate::link::owned_table::{OwnedTable, TableError};
use crate::link::{self, Answers, Filter, Io, Outgoing, interfaces, privilege};
use crate::net::{AddressSet, Family, Mac, Port, Prefix};
use crate::observe::{Fact, PortState};
use crate::scan::{
    self, Care, Heard, Linger, LiveWorld, NextHops, Outcome, Pass, PortRange, Progress, Recognised,
    Recogniser, ScanError, Shard, SourcePorts, SweepKey, Targets, Trouble, Watcher, World, probe,
};
use crate::scope::{Ceilings, Fence, Guard, Refusal, Risk, Rules};

/// What is asked, of whom, and how.
pub struct Question {
    pub rules: Rules,
    pub stations: Vec<Station>,
    pub method: Method,
    /// For TCP and UDP.
    pub ports: Vec<u16>,
    pub targets: AddressSet,
    pub rounds: u8,
    pub ceilings: Ceilings,
    pub shard: Shard,
    /// The order of all shards; drawn anew where there is none.
    pub seed: Option<SweepKey>,
    pub io: Option<Io>,
    pub resets: Resets,
    /// Where a file of answers will be put when it is whole: the rights go to whom the folder is.
    pub folder: Option<PathBuf>,
}

/// Whether our kernel resets what SYN-ACKs open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resets {
    Sent,
    /// For a lab: SYN-ACKs to our ports are dropped before the kernel's TCP sees them, and targets keep
    /// half-open connections until they give up. Needs nft.
    HeldBack,
}

/// One answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    pub ip: IpAddr,
    pub port: Option<Port>,
    pub state: PortState,
    /// The Ethernet source of the answer: the router's beyond the link.
    pub mac: Mac,
    /// As it arrived; zero where the answer has none (ARP).
    pub hop_limit: u8,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Frames of ours, and those that our kernel sent because of us.
    pub sent: u64,
    /// Not known without ceilings: then nobody counts.
    pub caused: Option<u64>,
    pub asked: u64,
    pub answered: u64,
    pub refused: BTreeMap<Refusal, u64>,
    /// Not asked because nobody's MAC leads there, or for want of a source address.
    pub unresolved: u64,
    pub sourceless: u64,
    /// Frames that the kernel threw away unread.
    pub dropped: u64,
    pub slowed: BTreeMap<Trouble, scan::care::Slowed>,
    /// By what frames went, and why by nothing faster.
    pub io: Vec<(String, Io, Vec<String>)>,
    pub took: Duration,
}

/// Asks, and tells each answer once. `sink` runs between batches: it should not wait.
pub fn ask(
    question: &Question,
    reporter: &mut dyn Reporter,
    sink: &mut dyn FnMut(&Found),
) -> Result<(Tally, End), SweepError> {
    let started_at = Timestamp::now();
    let began = Instant::now();
    let ports = SourcePorts::of_this_machine();
    let mut recogniser = Recogniser::new(SweepKey::random()?, ports, &question.rules.vantages);
    if let Some(seed) = &question.seed {
        recogniser.order_by(seed);
    }
    let mut fence = Fence::new(Guard::new(question.rules.clone(), started_at), question.ceilings);
    let mut tally = Tally::default();
    let mut receivers = Vec::new();
    // Without ceilings nobody counts what our kernel sends.
    let outgoing = if question.ceilings == Ceilings::unlimited() {
        Outgoing::Ignored
    } else {
        Outgoing::Heard
    };
    let range =
        |range: PortRange| (range.first, range.first.saturating_add(range.count.saturating_sub(1)));
    let addresses = question.stations.iter().flat_map(|s| s.addresses.iter().map(|(ip, _)| *ip));
    let options = link::Options {
        filter: Filter::Answers(Answers {
            tcp: range(ports.tcp),
            udp: range(ports.udp),
            addresses: addresses.collect(),
            outgoing,
        }),
        outgoing,
        promiscuous: false,
        // An answer is short; so is the quote in an error. The rest of a ring is for nothing.
        snap: 512,
        ring: 8 << 20,
        hold: Duration::from_millis(1),
    };
    let sharing = share(&question.stations, question.ceilings).ok().flatten();
    for station in &question.stations {
        let interface = &station.interface;
        let ((transmit, receive), io, passed) = match question.io {
            Some(io) => (link::open(interface, io, &options)?, io, Vec::new()),
            None => link::open_or_fall_back(interface, &options)?,
        };
        let passed = passed.iter().map(|not| format!("{}: {}", not.io, not.why)).collect();
        tally.io.push((interface.clone(), io, passed));
        fence.add_link(station.id, transmit);
        receivers.push((station.id, receive));
    }
    // It goes with the process, however that ends.
    let _deaf = match question.resets {
        Resets::Sent => None,
        Resets::HeldBack => Some(hold_back_resets(ports.tcp, &question.stations)?),
    };
    // Only datagrams would be answered by the kernel with an error.
    let _held = if question.method == Method::Udp { ports.hold() } else { Vec::new() };
    match &question.folder {
        Some(folder) => privilege::drop_for(folder)?,
        None => privilege::drop_all()?,
    }
    let mut world = LiveWorld::new(fence, receivers, began).share(sharing);
    world.watch_over(question.stations.iter().map(Station::standing).collect());
    let mut asking =
        Asking { question, world, care: Care::new(recogniser.seed()), recogniser, tally };
    let end = asking.all(reporter, sink);
    let counts = asking.world.fence().counts().clone();
    let mut tally = asking.tally;
    tally.sent = counts.sent;
    tally.caused = (outgoing == Outgoing::Heard).then_some(counts.caused);
    for (_, dropped) in asking.world.dropped() {
        tally.dropped += dropped.unwrap_or(0);
    }
    tally.slowed = asking.care.throttle.take_slowed();
    tally.took = began.elapsed();
    Ok((tally, end))
}

/// Drops SYN-ACKs to our ports before the kernel's TCP sees them; packet sockets have seen them by then.
fn hold_back_resets(ports: PortRange, stations: &[Station]) -> Result<OwnedTable, TableError> {
    let name = OwnedTable::name_of_this_process();
    let interfaces: Vec<String> =
        stations.iter().map(|station| station.index.to_string()).collect();
    let (first, last) = (ports.first, ports.first.saturating_add(ports.count.saturating_sub(1)));
    let rules = format!(
        "add table inet {name} {{ flags owner; }}\n\
         add chain inet {name} early {{ type filter hook prerouting priority -300; policy accept; }}\n\
         add rule inet {name} early iif {{ {} }} tcp dport {first}-{last} \
         tcp flags & (syn | ack | rst) == (syn | ack) drop\n",
        interfaces.join(", ")
    );
    OwnedTable::raise(&name, &rules, "early", privilege::owner())
}

struct Asking<'q> {
    question: &'q Question,
    world: LiveWorld,
    care: Care,
    recogniser: Recogniser,
    tally: Tally,
}

/// Where a vantage's targets are.
struct Share {
    on_link: AddressSet,
    /// Beyond a router: the whole of what it leads to.
    beyond: Vec<(AddressSet, Prefix, IpAddr)>,
}

impl Share {
    fn all(&self) -> AddressSet {
        self.beyond.iter().fold(self.on_link.clone(), |all, (set, ..)| all.or(set))
    }
}

impl Asking<'_> {
    fn all(&mut self, reporter: &mut dyn Reporter, sink: &mut dyn FnMut(&Found)) -> End {
        let mut left = self.question.targets.minus(&self.question.rules.exclude);
        for station in &self.question.stations {
            let share = share_of(station, &left);
            let targets = share.all();
            if targets.is_empty() {
                continue;
            }
            left = left.minus(&targets);
            if let Err(end) = self.of_station(station, &share, &targets, reporter, sink) {
                return end;
            }
        }
        // No vantage leads there.
        self.tally.unresolved += u64::try_from(left.count()).unwrap_or(u64::MAX);
        End::Complete
    }

    fn of_station(
        &mut self,
        station: &Station,
        share: &Share,
        targets: &AddressSet,
        reporter: &mut dyn Reporter,
        sink: &mut dyn FnMut(&Found),
    ) -> Result<(), End> {
        let method = self.question.method;
        let mut hops = NextHops::new();
        station.prefixes().into_iter().for_each(|prefix| hops.on_link(prefix));
        if !matches!(method, Method::Arp | Method::Ndp) {
            self.resolve(station, share, &mut hops, reporter)?;
        }
        let questions =
            if self.question.ports.is_empty() { &[0][..] } else { &self.question.ports };
        self.pass(
            method.word(),
            station,
            targets.clone(),
            questions,
            &hops,
            reporter,
            &mut |found| {
                sink(found);
            },
        )
    }

    /// The MACs of what is on the link, and of the routers on the way: from the kernel where it knows them,
    /// else asked.
    fn resolve(
        &mut self,
        station: &Station,
        share: &Share,
        hops: &mut NextHops,
        reporter: &mut dyn Reporter,
    ) -> Result<(), End> {
        let known = interfaces::neighbours().unwrap_or_default();
        let known = known.iter().filter(|neighbour| neighbour.interface == station.index);
        let mut macs: BTreeMap<IpAddr, Mac> =
            known.filter_map(|neighbour| Some((neighbour.ip, neighbour.mac?))).collect();
        let routers: BTreeSet<IpAddr> = share.beyond.iter().map(|(.., router)| *router).collect();
        let unknown = routers.iter().copied().filter(|router| !macs.contains_key(router));
        let known_on_link = AddressSet::of_addresses(
            macs.keys().copied().filter(|address| share.on_link.contains(*address)),
        );
        let unresolved = share.on_link.minus(&known_on_link).or(&AddressSet::of_addresses(unknown));
        for (family, method) in [(Family::Ipv4, Method::Arp), (Family::Ipv6, Method::Ndp)] {
            let of_family: AddressSet =
                unresolved.prefixes().into_iter().filter(|p| p.family() == family).collect();
            if of_family.is_empty() {
                continue;
            }
            let nobody = NextHops::new();
            let mut note = |found: &Found| {
                macs.insert(found.ip, found.mac);
            };
            self.pass(method.word(), station, of_family, &[0], &nobody, reporter, &mut note)?;
        }
        for (_, prefix, router) in &share.beyond {
            if let Some(mac) = macs.get(router) {
                hops.gateway(*prefix, *mac);
            }
        }
        for (address, mac) in macs {
            if share.on_link.contains(address) {
                hops.neighbour(address, mac);
            }
        }
        Ok(())
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "a pass is that many things, named by their types"
    )]
    fn pass(
        &mut self,
        name: &'static str,
        station: &Station,
        targets: AddressSet,
        questions: &[u16],
        hops: &NextHops,
        reporter: &mut dyn Reporter,
        found: &mut dyn FnMut(&Found),
    ) -> Result<(), End> {
        let asked_for = name == self.question.method.word();
        let count = targets.count();
        let targets = Targets::Addresses(targets);
        let Some(probe) = probe::named(name) else { return Ok(()) };
        let id = pass_id(name, station.id, shape(&targets));
        let mut pass = Pass::new(id, station.id, probe, targets, hops);
        pass.questions = questions.to_vec();
        pass.rounds = self.question.rounds.max(1);
        pass.linger = LINGER;
        if asked_for {
            pass.shard = self.question.shard;
        }
        reporter.pass(name, &station.interface, count);
        let mut eye = Eye { reporter, found, received: 0, answered: 0, stop: false };
        let ran = scan::run(
            &pass,
            None,
            &mut std::iter::empty(),
            &mut self.care,
            &mut self.recogniser,
            &mut self.world,
            &mut eye,
        );
        match ran {
            Ok(outcome) => {
                if asked_for {
                    self.add(&outcome);
                }
                match (outcome.silent, outcome.interrupted) {
                    (Some(silence), _) => {
                        let since = self.world.now().saturating_sub(silence.since);
                        Err(End::Silent { seconds: since.as_secs(), hosts: silence.asked })
                    }
                    (None, Some(_)) => Err(End::Interrupted),
                    (None, None) => Ok(()),
                }
            }
            Err(ScanError::Link { source, outcome }) => {
                self.add(&outcome);
                Err(End::Failed(source.to_string()))
            }
            Err(fault) => Err(End::Failed(fault.to_string())),
        }
    }

    fn add(&mut self, outcome: &Outcome) {
        let tally = &mut self.tally;
        tally.asked += outcome.asked;
        tally.answered += outcome.answered;
        tally.unresolved += outcome.unresolved;
        tally.sourceless += outcome.sourceless;
        for (refusal, count) in &outcome.refused {
            *tally.refused.entry(*refusal).or_default() += count;
        }
    }
}

/// One question by itself has no later passes in which late answers would still be heard: it waits as
/// long as a sweep's pass does where few answered, and shorter where many did.
const LINGER: Linger = Linger { least: Duration::from_millis(250), most: Duration::from_secs(1) };

/// The targets that a vantage reaches: those of its own prefixes, and those that its routes lead to.
fn share_of(station: &Station, targets: &AddressSet) -> Share {
    let own: AddressSet = station.prefixes().into_iter().collect();
    let mut link_local = AddressSet::of([
        Prefix::of(IpAddr::from([169, 254, 0, 0]), 16),
        Prefix::of(IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, 0]), 64),
    ]);
    link_local = link_local.and(targets);
    let on_link = targets.and(&own).or(&link_local);
    let mut left = targets.minus(&on_link);
    let mut ways = station.ways.clone();
    // The longest prefix decides.
    ways.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.length()));
    let mut beyond = Vec::new();
    for (prefix, router) in ways {
        let there = left.and(&AddressSet::of([prefix]));
        if !there.is_empty() {
            left = left.minus(&there);
            beyond.push((there, prefix, router));
        }
    }
    Share { on_link, beyond }
}

/// Tells answers, and how far it is.
struct Eye<'a> {
    reporter: &'a mut dyn Reporter,
    found: &'a mut dyn FnMut(&Found),
    received: u64,
    answered: usize,
    stop: bool,
}

impl Watcher for Eye<'_> {
    fn frame(&mut self, heard: &Heard<'_>, _: Option<Recognised>) {
        self.received += u64::from(!heard.outgoing);
    }

    fn answer(&mut self, recognised: &Recognised) {
        if let Fact::Answer { ip, mac, port, state, hop_limit } = recognised.fact {
            self.answered += 1;
            (self.found)(&Found { ip, port, state, mac, hop_limit });
        }
    }

    fn progress(&mut self, progress: &Progress) {
        let seen = Seen { received: self.received, stations: 0, answered: self.answered, ports: 0 };
        self.reporter.progress(progress, seen);
    }

    fn stopping(&mut self) -> bool {
        self.stop |= self.reporter.stopping();
        self.stop
    }
}

/// The rules of the fence, from what is authorised.
pub fn rules(authorisation: &Authorisation, stations: &[Station]) -> Rules {
    let window = match (authorisation.not_before, authorisation.not_after) {
        (None, None) => None,
        (from, until) => Some((from.unwrap_or(Timestamp::MIN), until.unwrap_or(Timestamp::MAX))),
    };
    Rules {
        scope: authorisation.scope.iter().copied().collect(),
        exclude: authorisation.exclude.iter().copied().collect(),
        observe_only: authorisation.observe_only.iter().copied().collect(),
        risk: Risk::new(authorisation.risk).unwrap_or(Risk::PASSIVE),
        window,
        canaries: Vec::new(),
        collector: None,
        vantages: stations.iter().map(super::conductor::guarded).collect(),
    }
}

pub fn ceilings(rate: Rate) -> Ceilings {
    Ceilings {
        packets_per_second: rate.packets_per_second,
        per_target: rate.per_target,
        per_prefix: rate.per_prefix,
    }
}
