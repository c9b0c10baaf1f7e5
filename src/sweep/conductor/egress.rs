//! Ways out to the internet: the egress methods, each told what it needs and what it lacks.
//!
//! What is steered through neighbours and asked in a canary's name goes frame by frame through the fence, each with
//! a token of its own. Two rounds with fresh tokens go out at once; who showed a sign of forwarding gets a hop ladder. Receipts are
//! fetched before the ladders, which they call for, and at the end.

use std::collections::{HashMap, HashSet};

use super::*;
use crate::egress::token::{EgressKey, MOST_REDRAWN, Token};
use crate::egress::{next_hop, spoofed_source};
use crate::observe::{
    Carrier, EgressAsked, EgressMethod, EgressProbe, EgressReceipt, NotRun, PortState, SeenBy,
};
use crate::scope::{Spoofed, Steered, Submission};

/// Errors are rationed to one a second (measured): so far apart are two questions that one box answers by errors.
pub const BETWEEN_WAVES: Duration = Duration::from_millis(1100);
/// Frames between two looks at what came in: our kernel's resets count against the ceilings.
const BETWEEN_LOOKS: u64 = 16;
/// Canaries of one family that are used.
pub const MOST_CANARIES: usize = 2;
/// Live addresses of one vantage that are asked in a canary's name.
const MOST_SPOOFED: usize = 65_536;
/// How long after the last probe receipts are fetched: a resolver asks again within that time.
pub(super) const AFTER_LAST: Duration = Duration::from_secs(3);

/// What the egress methods have done so far.
pub(super) struct Ways {
    key: EgressKey,
    number: u32,
    tokens: HashSet<Token>,
    /// Neighbours that were steered through to a canary.
    steered: BTreeSet<(EgressMethod, VantageId, Mac, IpAddr)>,
    laddered: BTreeSet<(VantageId, Mac, IpAddr)>,
    spoofed: BTreeSet<IpAddr>,
    answers_noted: HashSet<(VantageId, u32)>,
    /// Whom each method asked.
    pub(super) asked: BTreeMap<(EgressMethod, VantageId), BTreeSet<IpAddr>>,
    /// Why a method asked nobody at a vantage.
    pub(super) not_run: BTreeMap<(EgressMethod, VantageId), NotRun>,
    pub(super) last_sent: Option<Duration>,
    /// Addresses whose UDP ports were asked for the methods that speak.
    pub(super) looked_for: BTreeSet<IpAddr>,
    /// Conversations that were begun: with whom, towards which canary, of what kind.
    pub(super) begun: HashSet<(VantageId, std::net::SocketAddr, Option<IpAddr>, String)>,
}

impl Ways {
    /// Goes on behind what the log holds of an earlier part of the sweep.
    pub(super) fn new(key: EgressKey, sweep: &str, log: &Log) -> Ways {
        let mut ways = Ways {
            number: 0,
            tokens: HashSet::new(),
            steered: BTreeSet::new(),
            laddered: BTreeSet::new(),
            spoofed: BTreeSet::new(),
            answers_noted: HashSet::new(),
            asked: BTreeMap::new(),
            not_run: BTreeMap::new(),
            last_sent: None,
            looked_for: BTreeSet::new(),
            begun: HashSet::new(),
            key,
        };
        for (_, observation) in log.iter() {
            match &observation.fact {
                Fact::EgressProbe(probe) => {
                    ways.number = ways.number.max(probe.number.saturating_add(1));
                    ways.tokens.insert(ways.key.token(sweep, observation.vantage, probe));
                    let asked = (probe.method, observation.vantage);
                    ways.asked.entry(asked).or_default().insert(probe.target);
                }
                Fact::EgressReceipt(receipt) if receipt.seen_by == SeenBy::Answer => {
                    ways.answers_noted.insert((observation.vantage, receipt.probe));
                }
                _ => {}
            }
        }
        ways
    }

    /// A token that no other probe of the sweep has; the probe says how often it was drawn.
    pub(super) fn draw(
        &mut self,
        sweep: &str,
        vantage: VantageId,
        probe: &mut EgressProbe,
    ) -> Option<Token> {
        while probe.redrawn < MOST_REDRAWN {
            let token = self.key.token(sweep, vantage, probe);
            if self.tokens.insert(token) {
                return Some(token);
            }
            probe.redrawn += 1;
        }
        None
    }

    pub(super) fn key(&self) -> &EgressKey {
        &self.key
    }

    pub(super) fn did(&mut self, method: EgressMethod, vantage: VantageId, target: IpAddr) {
        self.asked.entry((method, vantage)).or_default().insert(target);
    }

    pub(super) fn did_not(&mut self, method: EgressMethod, vantage: VantageId, why: NotRun) {
        self.not_run.entry((method, vantage)).or_insert(why);
    }
}

/// One frame to be sent: everything of its probe but number, time and token.
#[derive(Debug, Clone)]
struct Shot {
    method: EgressMethod,
    carrier: Carrier,
    target: IpAddr,
    mac: Mac,
    source: IpAddr,
    canary: IpAddr,
    port: u16,
    hop_limit: u8,
    round: u8,
    leave: Leave,
}

/// By what leave it goes.
#[derive(Debug, Clone, Copy)]
enum Leave {
    Steered(Steered),
    Spoofed(Spoofed, Mac),
}

impl Conductor<'_> {
    pub(super) fn wants(&self, method: EgressMethod) -> bool {
        self.orders.profile.egress.methods.contains(&method)
    }

    pub(super) fn canaries(&self, family: Family) -> Vec<IpAddr> {
        let canaries = self.orders.profile.egress.canaries.iter().copied();
        canaries.filter(|canary| Family::of(*canary) == family).take(MOST_CANARIES).collect()
    }

    /// The methods that need no conversation.
    pub(super) fn ways_out(&mut self) -> Result<(), Halt> {
        for station in &self.orders.stations {
            self.steer_out(station, EgressMethod::NextHop)?;
            self.steer_out(station, EgressMethod::Ipv6)?;
            self.ask_in_the_canarys_name(station)?;
        }
        self.converse_out()?;
        self.note_answers();
        self.fetch_receipts()?;
        for station in &self.orders.stations {
            self.ladders_out(station)?;
        }
        Ok(())
    }

    /// `next-hop` through every neighbour, or `ipv6` through who announced a prefix that is not the registry's.
    fn steer_out(&mut self, station: &Station, method: EgressMethod) -> Result<(), Halt> {
        if !self.wants(method) {
            self.ways.did_not(method, station.id, NotRun::NotWanted);
            return Ok(());
        }
        if self.orders.profile.authorisation.risk < 1 {
            self.ways.did_not(method, station.id, NotRun::Risk);
            return Ok(());
        }
        let families: &[Family] = match method {
            EgressMethod::Ipv6 => &[Family::Ipv6],
            _ => &[Family::Ipv4, Family::Ipv6],
        };
        let announcers = self.foreign_announcers(station.id);
        let neighbours: Vec<(Mac, BTreeSet<IpAddr>)> = self
            .neighbours_by_mac(station.id)
            .into_iter()
            .filter(|(mac, _)| method != EgressMethod::Ipv6 || announcers.contains(mac))
            .collect();
        if neighbours.is_empty() {
            self.ways.did_not(method, station.id, NotRun::NobodyToAsk);
            return Ok(());
        }
        let mut reached = false;
        let mut waves: Vec<Vec<Shot>> = vec![Vec::new(); usize::from(next_hop::ROUNDS)];
        for &family in families {
            for canary in self.canaries(family) {
                let Some(source) = self.source_for(station, canary) else {
                    self.ways.did_not(method, station.id, NotRun::NoSource);
                    continue;
                };
                reached = true;
                for (mac, addresses) in &neighbours {
                    let done = (method, station.id, *mac, canary);
                    if self.ways.steered.contains(&done) {
                        continue;
                    }
                    let Some((target, permit)) =
                        self.admit_neighbour(station.id, *mac, addresses, canary)
                    else {
                        continue;
                    };
                    self.ways.steered.insert(done);
                    let shot = |carrier, hop_limit, round| Shot {
                        method,
                        carrier,
                        target,
                        mac: *mac,
                        source,
                        canary,
                        port: next_hop::port(carrier),
                        hop_limit,
                        round,
                        leave: Leave::Steered(permit),
                    };
                    for (round, wave) in (1..).zip(&mut waves) {
                        wave.push(shot(Carrier::IcmpEcho, 1, round));
                        for carrier in next_hop::CARRIERS {
                            wave.push(shot(carrier, next_hop::FULL, round));
                        }
                    }
                }
            }
        }
        if !reached {
            self.ways.did_not(method, station.id, NotRun::NoCanary);
        }
        let name = match method {
            EgressMethod::Ipv6 => "egress-ipv6",
            _ => "egress-next-hop",
        };
        for mut wave in waves {
            // Each canary has a ceiling of its own: by turns they are asked twice as fast.
            wave.sort_by_key(|shot| (shot.mac, shot.hop_limit, shot.carrier, shot.canary));
            self.volley(name, station, wave)?;
        }
        Ok(())
    }

    /// The first address of a neighbour, of the canary's family if it has one, through which it may be steered.
    fn admit_neighbour(
        &mut self,
        vantage: VantageId,
        mac: Mac,
        addresses: &BTreeSet<IpAddr>,
        canary: IpAddr,
    ) -> Option<(IpAddr, Steered)> {
        let mut ordered: Vec<IpAddr> = addresses.iter().copied().collect();
        ordered.sort_by_key(|ip| {
            (Family::of(*ip) != Family::of(canary), crate::net::special::is_link_local(*ip), *ip)
        });
        let guard = self.world.fence().guard();
        // Every address must be one that may be steered through: the MAC is of all of them.
        let scope = self.orders.share();
        let known = ordered
            .iter()
            .filter(|ip| scope.contains(**ip) || crate::net::special::is_link_local(**ip));
        let permits: Result<Vec<_>, _> = known
            .map(|ip| guard.admit_steered(*ip, mac, canary, vantage).map(|permit| (*ip, permit)))
            .collect();
        permits.ok()?.into_iter().next()
    }

    fn source_for(&mut self, station: &Station, destination: IpAddr) -> Option<IpAddr> {
        let guard = self.world.fence().guard();
        guard.vantage(station.id)?.source_for(destination)
    }

    /// The stations of a link with the addresses they use. A MAC that routers share is nobody's own.
    fn neighbours_by_mac(&self, vantage: VantageId) -> BTreeMap<Mac, BTreeSet<IpAddr>> {
        let mut all: BTreeMap<Mac, BTreeSet<IpAddr>> = BTreeMap::new();
        for (ip, mac) in self.intake.live.neighbours.get(&vantage).into_iter().flatten() {
            if !mac.is_redundancy() {
                all.entry(*mac).or_default().insert(*ip);
            }
        }
        all
    }

    /// Who advertised a prefix, or itself as a default router, that no segment of the registry covers.
    fn foreign_announcers(&self, vantage: VantageId) -> BTreeSet<Mac> {
        let segments = AddressSet::of(self.orders.segments());
        let mut found = BTreeSet::new();
        for (_, observation) in self.intake.log.iter() {
            let Fact::RouterAdvertisement(ra) = &observation.fact else { continue };
            if observation.vantage != vantage || ra.lifetime == 0 {
                continue;
            }
            let foreign = ra.prefixes.iter().any(|information| {
                information.valid_lifetime > 0
                    && AddressSet::of([information.prefix]).minus(&segments).count() > 0
            });
            if foreign {
                found.insert(ra.mac);
            }
        }
        found
    }

    /// `spoofed-source`: every live address, by UDP, echo, and a SYN to a port that is known to be closed.
    fn ask_in_the_canarys_name(&mut self, station: &Station) -> Result<(), Halt> {
        let method = EgressMethod::SpoofedSource;
        let lacks = if !self.wants(method) {
            Some(NotRun::NotWanted)
        } else if self.orders.profile.authorisation.risk < 3 {
            Some(NotRun::Risk)
        } else if self.orders.profile.egress.canaries.is_empty() {
            Some(NotRun::NoCanary)
        } else if self.orders.egress.key.is_none() {
            Some(NotRun::NoKey)
        } else {
            None
        };
        if let Some(why) = lacks {
            self.ways.did_not(method, station.id, why);
            return Ok(());
        }
        let live = self.live(station.id);
        let reference = self.orders.profile.egress.reference.iter().copied();
        let targets: BTreeSet<IpAddr> = live
            .iter()
            .take(MOST_SPOOFED)
            .chain(reference)
            .filter(|target| !self.ways.spoofed.contains(target))
            .collect();
        let closed = self.closed_ports(station.id);
        let hops = self.next_hops(station);
        let mut waves: Vec<Vec<Shot>> = vec![Vec::new(); usize::from(spoofed_source::ROUNDS)];
        for target in targets {
            let Some(next_hop) = hops.mac_for(target) else { continue };
            let on_link = self.intake.live.mac_of(station.id, target) == Some(next_hop);
            self.ways.spoofed.insert(target);
            for canary in self.canaries(Family::of(target)) {
                let guard = self.world.fence().guard();
                let Ok(permit) = guard.admit_spoofed(target, canary, station.id) else { continue };
                let shot = |carrier, port, round| Shot {
                    method,
                    carrier,
                    target,
                    mac: if on_link { next_hop } else { Mac::ZERO },
                    source: canary,
                    canary,
                    port,
                    hop_limit: spoofed_source::HOP_LIMIT,
                    round,
                    leave: Leave::Spoofed(permit, next_hop),
                };
                for (round, wave) in (1..).zip(&mut waves) {
                    for &(carrier, port) in spoofed_source::REQUESTS {
                        wave.push(shot(carrier, port, round));
                    }
                    if let Some(&port) = closed.get(&target) {
                        wave.push(shot(Carrier::TcpReset, port, round));
                    }
                }
            }
        }
        if waves.iter().all(Vec::is_empty) {
            self.ways.did_not(method, station.id, NotRun::NobodyToAsk);
            return Ok(());
        }
        for mut wave in waves {
            // One protocol after the other, so that no host gets all of them at once.
            wave.sort_by_key(|shot| (shot.carrier, shot.canary, shot.target));
            self.volley("egress-spoofed-source", station, wave)?;
        }
        Ok(())
    }

    /// A TCP port of each address that answered that nothing listens.
    fn closed_ports(&self, vantage: VantageId) -> BTreeMap<IpAddr, u16> {
        let mut closed = BTreeMap::new();
        for (_, observation) in self.intake.log.iter() {
            if let Fact::Answer { ip, port: Some(port), state: PortState::Closed, .. } =
                &observation.fact
                && observation.vantage == vantage
                && port.transport == Transport::Tcp
            {
                closed.entry(*ip).or_insert(port.number);
            }
        }
        closed
    }

    /// Hop limits counted up, to the canary, through who showed that it leads somewhere.
    fn ladders_out(&mut self, station: &Station) -> Result<(), Halt> {
        let signs = self.signs(station.id);
        let mut waves: Vec<Vec<Shot>> = vec![Vec::new(); usize::from(next_hop::ROUNDS)];
        let neighbours = self.neighbours_by_mac(station.id);
        for (method, mac, canary) in signs {
            let Some(addresses) = neighbours.get(&mac) else { continue };
            if self.ways.laddered.contains(&(station.id, mac, canary)) {
                continue;
            }
            let Some(source) = self.source_for(station, canary) else { continue };
            let Some((target, permit)) = self.admit_neighbour(station.id, mac, addresses, canary)
            else {
                continue;
            };
            self.ways.laddered.insert((station.id, mac, canary));
            for (round, wave) in (1..).zip(&mut waves) {
                wave.extend(next_hop::LADDER.map(|hop_limit| Shot {
                    method,
                    carrier: Carrier::IcmpEcho,
                    target,
                    mac,
                    source,
                    canary,
                    port: 0,
                    hop_limit,
                    round,
                    leave: Leave::Steered(permit),
                }));
            }
        }
        for mut wave in waves {
            wave.sort_by_key(|shot| (shot.hop_limit, shot.canary, shot.mac));
            self.volley("egress-ladder", station, wave)?;
        }
        Ok(())
    }

    /// Neighbours that forwarded towards a canary, or through which something reached it.
    fn signs(&self, vantage: VantageId) -> BTreeSet<(EgressMethod, Mac, IpAddr)> {
        let mut probes = HashMap::new();
        // By whom and where to: through a neighbour that both methods steer through, `next-hop` goes on.
        let mut methods: HashMap<(Mac, IpAddr), EgressMethod> = HashMap::new();
        for (_, observation) in self.intake.log.iter().filter(|(_, o)| o.vantage == vantage) {
            if let Fact::EgressProbe(probe) = &observation.fact
                && matches!(probe.method, EgressMethod::NextHop | EgressMethod::Ipv6)
            {
                let way = (probe.mac, probe.canary);
                probes.insert(probe.number, way);
                let method = methods.entry(way).or_insert(probe.method);
                *method = probe.method.min(*method);
            }
        }
        let mut ways: BTreeSet<(Mac, IpAddr)> = BTreeSet::new();
        for (_, observation) in self.intake.log.iter().filter(|(_, o)| o.vantage == vantage) {
            match &observation.fact {
                Fact::EgressReceipt(receipt) => ways.extend(probes.get(&receipt.probe)),
                Fact::Forwarding(answer) => {
                    ways.insert((answer.mac, answer.destination));
                }
                _ => {}
            }
        }
        let of = |way: (Mac, IpAddr)| methods.get(&way).map(|method| (*method, way.0, way.1));
        ways.into_iter().filter_map(of).collect()
    }

    /// Sends frames one by one through the fence, listening meanwhile and a moment after.
    fn volley(
        &mut self,
        name: &'static str,
        station: &Station,
        shots: Vec<Shot>,
    ) -> Result<(), Halt> {
        if shots.is_empty() {
            return Ok(());
        }
        self.reporter.pass(name, &station.interface, shots.len() as u128);
        let began = Instant::now();
        let (targets, mut sent) = (shots.len() as u64, 0u64);
        let before = self.intake.log.len();
        self.mark_recogniser();
        for shot in shots {
            if self.reporter.stopping() {
                return Err(Halt::Stopped);
            }
            sent += self.shoot(station, &shot)?;
            if sent % BETWEEN_LOOKS == BETWEEN_LOOKS - 1 {
                self.hear_for(Duration::from_millis(1))?;
            }
        }
        self.hear_for(BETWEEN_WAVES)?;
        let answers = self.intake.log.since(before);
        let answers = answers.iter().filter(|o| matches!(o.fact, Fact::Forwarding(_))).count();
        self.head.passes.push(v1::Pass {
            name: name.to_owned(),
            targets,
            packets: sent,
            answers: answers as u64,
            seconds: rounded(began.elapsed()),
        });
        self.save_now_and_then();
        Ok(())
    }

    fn shoot(&mut self, station: &Station, shot: &Shot) -> Result<u64, Halt> {
        let Some((probe, frame)) = self.load(station, shot) else { return Ok(0) };
        loop {
            let now = self.world.now();
            let fence = self.world.fence();
            let submission = match &shot.leave {
                Leave::Steered(permit) => fence.submit(permit, &frame, now),
                Leave::Spoofed(permit, _) => fence.submit(permit, &frame, now),
            };
            match submission {
                Submission::Sent => {
                    fence.flush().map_err(|fault| Halt::Link(fault.to_string()))?;
                    let number = lock(&self.tape).take_sent();
                    self.ways.last_sent = Some(now);
                    self.ways.did(shot.method, station.id, shot.target);
                    let source = source_of(shot.method);
                    let frames: Vec<FrameNumber> = number.into_iter().collect();
                    let at = self.now();
                    self.intake.note(at, station.id, source, Fact::EgressProbe(probe), &frames);
                    return Ok(1);
                }
                Submission::Later(wait, _) => self.hear_for(wait)?,
                Submission::Refused(_) => return Ok(0),
                Submission::Failed(fault) => return Err(Halt::Link(fault.to_string())),
            }
            if self.reporter.stopping() {
                return Err(Halt::Stopped);
            }
        }
    }

    /// Numbers a shot, gives it a token that no other of the sweep has, and builds its frame.
    fn load(&mut self, station: &Station, shot: &Shot) -> Option<(EgressProbe, Vec<u8>)> {
        let mut probe = self.probe(shot.method, shot.carrier, shot.target, shot.canary);
        probe.mac = shot.mac;
        probe.asked_from = shot.source;
        probe.port = shot.port;
        probe.hop_limit = shot.hop_limit;
        probe.round = shot.round;
        loop {
            let token = self.ways.draw(&self.head.id, station.id, &mut probe)?;
            let frame = match &shot.leave {
                Leave::Steered(_) => {
                    let ports = self.recogniser.ports();
                    let (frame, outstanding) = next_hop::frame(&probe, token, station.mac, ports)?;
                    if !self.recogniser.expects(station.id, outstanding) {
                        probe.redrawn += 1;
                        continue;
                    }
                    frame
                }
                Leave::Spoofed(_, next_hop) => {
                    spoofed_source::frame(&probe, token, station.mac, *next_hop)?
                }
            };
            return Some((probe, frame));
        }
    }

    /// A probe with the next number, sent now.
    pub(super) fn probe(
        &mut self,
        method: EgressMethod,
        carrier: Carrier,
        target: IpAddr,
        canary: IpAddr,
    ) -> EgressProbe {
        let number = self.ways.number;
        self.ways.number = self.ways.number.saturating_add(1);
        let now = self.now();
        EgressProbe {
            number,
            method,
            carrier,
            target,
            mac: Mac::ZERO,
            asked_from: target,
            canary,
            port: 0,
            hop_limit: 0,
            round: 1,
            sent_at: Timestamp::from_second(now.as_second()).unwrap_or(now),
            redrawn: 0,
        }
    }

    /// Listens for a while, as long as the sweep is not to stop.
    pub(super) fn hear_for(&mut self, time: Duration) -> Result<(), Halt> {
        let until = self.world.now() + time;
        let mut eye = Eye::new(&mut self.intake, self.reporter);
        let heard = scan::listen(&self.recogniser, &mut self.world, &mut eye, until);
        heard.map_err(|fault| Halt::Link(fault.to_string()))
    }

    /// Probes that something answered from a canary's address: weaker than a receipt, for a proxy on the way may
    /// answer in its name.
    pub(super) fn note_answers(&mut self) {
        let canaries = &self.orders.profile.egress.canaries;
        let mut probes: HashMap<(VantageId, Mac, IpAddr, u8, u8), EgressProbe> = HashMap::new();
        let mut answered = Vec::new();
        for (_, observation) in self.intake.log.iter() {
            match &observation.fact {
                // Of the full packet's carriers the collector's host answers the SYN.
                Fact::EgressProbe(probe)
                    if matches!(probe.method, EgressMethod::NextHop | EgressMethod::Ipv6) =>
                {
                    let key = (
                        observation.vantage,
                        probe.mac,
                        probe.canary,
                        probe.hop_limit,
                        probe.round,
                    );
                    let known = probes.entry(key).or_insert_with(|| probe.clone());
                    if probe.carrier == Carrier::TcpSyn {
                        *known = probe.clone();
                    }
                }
                Fact::Forwarding(answer)
                    if answer.icmp.is_none()
                        && answer.from == answer.destination
                        && canaries.contains(&answer.destination) =>
                {
                    answered.push((observation.vantage, answer.clone(), observation.at));
                }
                _ => {}
            }
        }
        for (vantage, answer, at) in answered {
            let key = (vantage, answer.mac, answer.destination, answer.hop_limit, answer.round);
            let Some(probe) = probes.get(&key) else { continue };
            if !self.ways.answers_noted.insert((vantage, probe.number)) {
                continue;
            }
            let receipt = EgressReceipt {
                probe: probe.number,
                seen_by: SeenBy::Answer,
                observed: None,
                observed_port: 0,
                hop_limit: 0,
                seen_at: None,
                entry: None,
                chain: None,
            };
            let source = source_of(probe.method);
            self.intake.note(at, vantage, source, Fact::EgressReceipt(receipt), &[]);
        }
    }

    /// What each method did in each prefix, and why it did nothing: the ground under every negative.
    pub(super) fn note_egress_asked(&mut self) {
        let at = self.now();
        let mut facts = BTreeSet::new();
        for station in &self.orders.stations {
            let areas = self.territory.full.iter().filter(|area| area.vantage == station.id);
            let prefixes: BTreeSet<(Prefix, bool)> =
                areas.map(|area| (area.prefix, area.reach == Reach::OnLink)).collect();
            for (prefix, on_link) in prefixes {
                for method in EgressMethod::ALL {
                    let key = (method, station.id);
                    let asked = self.ways.asked.get(&key);
                    let by_link = matches!(method, EgressMethod::NextHop | EgressMethod::Ipv6);
                    // A neighbour is steered through whatever its address: it is on the link of each prefix.
                    let asked = asked.into_iter().flatten();
                    let asked = asked.filter(|ip| prefix.contains(**ip) || by_link && on_link);
                    let asked = asked.count() as u64;
                    let not_run = if method == EgressMethod::Passive {
                        (!self.wants(method)).then_some(NotRun::NotWanted)
                    } else if asked > 0 {
                        None
                    } else if by_link && !on_link && self.wants(method) {
                        Some(NotRun::NotOnLink)
                    } else {
                        Some(self.ways.not_run.get(&key).copied().unwrap_or(
                            if self.wants(method) {
                                NotRun::NobodyToAsk
                            } else {
                                NotRun::NotWanted
                            },
                        ))
                    };
                    facts.insert((station.id, EgressAsked { prefix, method, asked, not_run }));
                }
            }
        }
        for (vantage, asked) in facts {
            self.intake.note(at, vantage, Source::Sweep, Fact::EgressAsked(asked), &[]);
        }
    }
}

/// The source of a method's observations. What `ipv6` steers is of that method by its probe.
pub(super) fn source_of(method: EgressMethod) -> Source {
    match method {
        EgressMethod::NextHop | EgressMethod::Ipv6 => Source::NextHop,
        EgressMethod::SpoofedSource => Source::SpoofedSource,
        EgressMethod::Proxy => Source::Proxy,
        EgressMethod::Dns => Source::Dns,
        EgressMethod::PortMapping => Source::PortMapping,
        EgressMethod::Passive => Source::Passive,
    }
}
