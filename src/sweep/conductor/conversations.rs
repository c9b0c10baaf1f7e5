//! The egress methods that speak: proxies, resolvers and gateways, each in its own protocol, by the kernel's sockets and
//! with the fence's leave.
//!
//! One task is one conversation, in a thread of its own; what it brings back may call for the next. The conductor goes on
//! listening meanwhile, so what the kernel sends is recorded and counted.

use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::mpsc;

use super::egress::source_of;
use super::*;
use crate::egress::proxy::{self, Step};
use crate::egress::token::Token;
use crate::egress::{Outcome as Answer, dns, port_mapping};
use crate::observe::{
    Carrier, EgressMethod, EgressProbe, EgressReceipt, ExternalAddress, NotRun, PortState, SeenBy,
};
use crate::scope::{ConversationPermit, FRAMES, Leave, Patience, To, Transport as By, Wanted};

/// Conversations at once: silent ones wait for seconds, and must not delay the others.
const AT_ONCE: usize = 16;
/// How long the conductor listens between two looks at what came back.
const BETWEEN: Duration = Duration::from_millis(20);
/// Rounds with fresh tokens.
const ROUNDS: u8 = 2;
/// UDP ports that the methods themselves ask whether somebody is there, where the profile does not.
pub const UDP_PORTS: &[(EgressMethod, u16)] = &[
    (EgressMethod::Dns, dns::PORT),
    (EgressMethod::PortMapping, port_mapping::SSDP_PORT),
    (EgressMethod::PortMapping, port_mapping::NAT_PMP_PORT),
];

/// One conversation.
#[derive(Debug, Clone)]
struct Task {
    to: SocketAddr,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Proxy { canary: IpAddr, step: Step, tried: Vec<(Step, Answer)>, round: u8 },
    Dns { carrier: Carrier, round: u8 },
    Search,
    Describe(port_mapping::Location),
    ExternalAddress(port_mapping::Control),
    NatPmp,
    Pcp,
}

/// What a conversation brought back.
#[derive(Debug)]
enum Back {
    Answer(Answer),
    Locations(Vec<port_mapping::Location>),
    Controls(Vec<port_mapping::Control>),
    Told(&'static str, port_mapping::Told),
    Nothing,
}

/// A conversation that is over.
struct Done {
    task: Task,
    probe: Option<(EgressProbe, Token)>,
    back: Back,
}

impl What {
    fn method(&self) -> EgressMethod {
        match self {
            What::Proxy { .. } => EgressMethod::Proxy,
            What::Dns { .. } => EgressMethod::Dns,
            _ => EgressMethod::PortMapping,
        }
    }

    fn by(&self) -> By {
        match self {
            What::Proxy { .. }
            | What::Describe(_)
            | What::ExternalAddress(_)
            | What::Dns { carrier: Carrier::DnsTcp | Carrier::DnsTls, .. } => By::Tcp,
            _ => By::Udp,
        }
    }
}

impl Conductor<'_> {
    /// `proxy`, `dns` and `port-mapping` with whoever looks like it and was not asked before.
    pub(super) fn converse_out(&mut self) -> Result<(), Halt> {
        for station in &self.orders.stations {
            let wanted: Vec<EgressMethod> =
                [EgressMethod::Proxy, EgressMethod::Dns, EgressMethod::PortMapping]
                    .into_iter()
                    .filter(|method| match self.lacks(*method) {
                        Some(why) => {
                            self.ways.did_not(*method, station.id, why);
                            false
                        }
                        None => true,
                    })
                    .collect();
            self.look_for_udp(station, &wanted)?;
            let mut tasks = VecDeque::new();
            for method in wanted {
                let begun = self.tasks(method, station);
                if begun.is_empty() {
                    self.ways.did_not(method, station.id, NotRun::NobodyToAsk);
                }
                tasks.extend(begun);
            }
            self.converse(station, tasks)?;
        }
        Ok(())
    }

    /// Why a method that speaks cannot run.
    fn lacks(&self, method: EgressMethod) -> Option<NotRun> {
        let egress = &self.orders.profile.egress;
        let needs_collector = method != EgressMethod::PortMapping;
        if !self.wants(method) {
            Some(NotRun::NotWanted)
        } else if self.orders.profile.authorisation.risk < 1 {
            Some(NotRun::Risk)
        } else if needs_collector && egress.canaries.is_empty() {
            Some(NotRun::NoCanary)
        } else if needs_collector && self.orders.egress.key.is_none() {
            Some(NotRun::NoKey)
        } else if method == EgressMethod::Dns && egress.canary_zone.is_none() {
            Some(NotRun::NoZone)
        } else {
            None
        }
    }

    /// Asks the methods' own UDP ports, as far as the profile has not asked them.
    fn look_for_udp(&mut self, station: &Station, wanted: &[EgressMethod]) -> Result<(), Halt> {
        let asked = &self.orders.profile.discovery.udp_ports.0;
        let uses = self.orders.uses(Method::Udp);
        let ports: Vec<u16> = UDP_PORTS
            .iter()
            .filter(|(method, port)| wanted.contains(method) && !(uses && asked.contains(port)))
            .map(|(_, port)| *port)
            .collect();
        let live = self.live(station.id);
        let fresh: Vec<IpAddr> =
            live.iter().filter(|ip| !self.ways.looked_for.contains(ip)).collect();
        if ports.is_empty() || fresh.is_empty() {
            return Ok(());
        }
        self.ways.looked_for.extend(&fresh);
        let targets = Targets::Addresses(AddressSet::of_addresses(fresh.iter().copied()));
        let outcome = self.run("egress-ports", "udp", station, targets, &ports, 2, None)?;
        self.asked_listed(station.id, "udp", &ports, &fresh, &outcome);
        Ok(())
    }

    /// What a method begins with: ports that are open, or addresses that were named as resolvers.
    fn tasks(&mut self, method: EgressMethod, station: &Station) -> Vec<Task> {
        let open = self.open_ports(station.id);
        let zone = self.orders.profile.egress.canary_zone.clone();
        let mut tasks = Vec::new();
        let mut put = |to: SocketAddr, what: What| tasks.push(Task { to, what });
        match method {
            EgressMethod::Proxy => {
                let canaries: Vec<IpAddr> = [Family::Ipv4, Family::Ipv6]
                    .into_iter()
                    .filter_map(|family| self.canaries(family).first().copied())
                    .collect();
                for &(ip, port) in &open {
                    if port.transport != Transport::Tcp {
                        continue;
                    }
                    for &canary in &canaries {
                        let first = proxy::next(port.number, canary, zone.as_deref(), &[]);
                        if let Some(step) = first {
                            let what = What::Proxy { canary, step, tried: Vec::new(), round: 1 };
                            put(SocketAddr::new(ip, port.number), what);
                        }
                    }
                }
            }
            EgressMethod::Dns => {
                let named = self.named_resolvers(station.id);
                let named = named.iter().map(|ip| (*ip, Port::udp(dns::PORT)));
                let all: BTreeSet<(IpAddr, Port)> = open.iter().copied().chain(named).collect();
                for (ip, port) in all {
                    let carrier = match (port.transport, port.number) {
                        (Transport::Udp, dns::PORT) => Carrier::DnsUdp,
                        (Transport::Tcp, dns::PORT) => Carrier::DnsTcp,
                        (Transport::Tcp, dns::TLS_PORT) => Carrier::DnsTls,
                        _ => continue,
                    };
                    put(SocketAddr::new(ip, port.number), What::Dns { carrier, round: 1 });
                }
            }
            _ => {
                for &(ip, port) in &open {
                    let to = SocketAddr::new(ip, port.number);
                    match (port.transport, port.number) {
                        (Transport::Udp, port_mapping::SSDP_PORT) => put(to, What::Search),
                        (Transport::Udp, port_mapping::NAT_PMP_PORT) => {
                            put(to, What::NatPmp);
                            put(to, What::Pcp);
                        }
                        (Transport::Tcp, number) => {
                            let known = port_mapping::WELL_KNOWN.iter();
                            for (_, path) in known.filter(|(known, _)| *known == number) {
                                let path = (*path).to_owned();
                                let location = port_mapping::Location { at: to, path };
                                put(to, What::Describe(location));
                            }
                        }
                        _ => {}
                    }
                }
            }
        }
        let begun = &mut self.ways.begun;
        tasks.retain(|task| {
            let canary = match &task.what {
                What::Proxy { canary, .. } => Some(*canary),
                _ => None,
            };
            let kind = format!("{:?} {:?}", std::mem::discriminant(&task.what), task.what.by());
            begun.insert((station.id, task.to, canary, kind))
        });
        tasks
    }

    /// Ports that answered as open, of addresses that may be talked to.
    pub(super) fn open_ports(&self, vantage: VantageId) -> BTreeSet<(IpAddr, Port)> {
        let mut open = BTreeSet::new();
        for (_, observation) in self.intake.log.iter() {
            if let Fact::Answer { ip, port: Some(port), state: PortState::Open, .. } =
                &observation.fact
                && observation.vantage == vantage
            {
                open.insert((*ip, *port));
            }
        }
        open
    }

    /// Resolvers that DHCP or router advertisements name.
    pub(super) fn named_resolvers(&self, vantage: VantageId) -> BTreeSet<IpAddr> {
        let scope = self.orders.share();
        let mut named = BTreeSet::new();
        for (_, observation) in self.intake.log.iter().filter(|(_, o)| o.vantage == vantage) {
            match &observation.fact {
                Fact::DhcpServer(server) => named.extend(&server.dns),
                Fact::RouterAdvertisement(ra) => named.extend(&ra.rdnss),
                _ => {}
            }
        }
        named.retain(|ip| scope.contains(*ip));
        named
    }

    /// Has all conversations, and those that they lead to.
    fn converse(&mut self, station: &Station, mut tasks: VecDeque<Task>) -> Result<(), Halt> {
        if tasks.is_empty() {
            return Ok(());
        }
        self.reporter.pass("egress-conversations", &station.interface, tasks.len() as u128);
        let began = Instant::now();
        let (mut had, mut answers) = (0u64, 0u64);
        let (tell, told) = mpsc::channel::<Done>();
        // One at a time with one port: it is gentler, and tells whose the frames are.
        let mut running: HashSet<SocketAddr> = HashSet::new();
        while !running.is_empty() || !tasks.is_empty() {
            if self.reporter.stopping() {
                return Err(Halt::Stopped);
            }
            let mut waiting = tasks.len();
            while running.len() < AT_ONCE && waiting > 0 {
                waiting -= 1;
                let Some(task) = tasks.pop_front() else { break };
                if running.contains(&task.to) {
                    tasks.push_back(task);
                    continue;
                }
                match self.begin(station, &task) {
                    Leave::Now(permit) => {
                        running.insert(task.to);
                        self.start(station, task, permit, tell.clone());
                        had += 1;
                    }
                    Leave::Later(_) => tasks.push_back(task),
                    Leave::Refused(_) => {}
                }
            }
            self.hear_for(BETWEEN)?;
            while let Ok(done) = told.try_recv() {
                running.remove(&done.task.to);
                answers += u64::from(!matches!(done.back, Back::Nothing));
                tasks.extend(self.over(station, done));
            }
        }
        self.head.passes.push(v1::Pass {
            name: "egress-conversations".to_owned(),
            targets: had,
            // The kernel's frames are counted as they are heard.
            packets: 0,
            answers,
            seconds: rounded(began.elapsed()),
        });
        self.save_now_and_then();
        Ok(())
    }

    fn begin(&mut self, station: &Station, task: &Task) -> Leave<ConversationPermit> {
        let mac = self.intake.live.mac_of(station.id, task.to.ip()).unwrap_or(Mac::ZERO);
        let now = self.world.now();
        self.world.fence().converse(
            &Wanted {
                to: task.to,
                whom: To::Target,
                transport: task.what.by(),
                vantage: station.id,
                mac,
                frames: FRAMES,
            },
            now,
        )
    }

    fn start(
        &mut self,
        station: &Station,
        task: Task,
        permit: ConversationPermit,
        tell: mpsc::Sender<Done>,
    ) {
        let probe = self.probe_of(station, &task, permit.source());
        self.ways.did(task.what.method(), station.id, task.to.ip());
        self.ways.last_sent = Some(self.world.now());
        lock(&self.tape).begin_conversation((task.to.ip(), task.to.port()));
        let interface = station.interface.clone();
        let zone = self.orders.profile.egress.canary_zone.clone();
        std::thread::spawn(move || {
            let token = probe.as_ref().map(|(_, token)| *token);
            let back = speak(&task, permit, &interface, token, zone.as_deref());
            // Nobody waits any more where the sweep was stopped.
            let _ = tell.send(Done { task, probe, back });
        });
    }

    /// The probe of a conversation that carries a token.
    fn probe_of(
        &mut self,
        station: &Station,
        task: &Task,
        source: IpAddr,
    ) -> Option<(EgressProbe, Token)> {
        let method = task.what.method();
        let (carrier, canary, round) = match &task.what {
            What::Proxy { canary, step, round, .. } => (step.carrier, *canary, *round),
            What::Dns { carrier, round } => {
                (*carrier, *self.orders.profile.egress.canaries.first()?, *round)
            }
            _ => return None,
        };
        let mut probe = self.probe(method, carrier, task.to.ip(), canary);
        probe.mac = self.intake.live.mac_of(station.id, task.to.ip()).unwrap_or(Mac::ZERO);
        probe.asked_from = source;
        probe.port = task.to.port();
        probe.round = round;
        let token = self.ways.draw(&self.head.id, station.id, &mut probe)?;
        Some((probe, token))
    }

    /// Puts down what a conversation brought, and says which ones follow.
    fn over(&mut self, station: &Station, done: Done) -> Vec<Task> {
        let Done { task, probe, back } = done;
        let frames = lock(&self.tape).end_conversation((task.to.ip(), task.to.port()));
        let at = self.now();
        let source = source_of(task.what.method());
        let mut proved = false;
        if let Some((probe, token)) = probe {
            let number = probe.number;
            let fact = Fact::EgressProbe(probe);
            self.intake.note(at, station.id, source, fact, &frames);
            if let Back::Answer(Answer::Answered(texts)) = &back {
                let key = self.ways.key();
                let observed = texts.iter().find_map(|t| key.read_answer(token, t.as_bytes()));
                if let Some(observed) = observed {
                    proved = true;
                    let receipt = EgressReceipt {
                        probe: number,
                        seen_by: SeenBy::ProvedAnswer,
                        observed: Some(observed),
                        observed_port: 0,
                        hop_limit: 0,
                        seen_at: None,
                        entry: None,
                        chain: None,
                    };
                    let fact = Fact::EgressReceipt(receipt);
                    self.intake.note(at, station.id, source, fact, &frames);
                }
            }
        }
        let next = |what| Task { to: task.to, what };
        match (task.what.clone(), back) {
            (What::Proxy { canary, step, mut tried, round }, Back::Answer(answer)) => {
                if proved {
                    let again = What::Proxy { canary, step, tried, round: round + 1 };
                    return if round < ROUNDS { vec![next(again)] } else { Vec::new() };
                }
                if round > 1 {
                    return Vec::new();
                }
                // What is not the collector's text came from somebody else: the proxy did not do it.
                let unproved = match answer {
                    Answer::Answered(_) => Answer::Refused(200),
                    other => other,
                };
                tried.push((step, unproved));
                let zone = self.orders.profile.egress.canary_zone.clone();
                proxy::next(task.to.port(), canary, zone.as_deref(), &tried)
                    .map(|step| next(What::Proxy { canary, step, tried, round: 1 }))
                    .into_iter()
                    .collect()
            }
            // A name may be looked up without an answer coming back here: the second round is for the collector.
            (What::Dns { carrier, round }, Back::Answer(answer)) => {
                let speaks = !matches!(answer, Answer::Silent | Answer::Other);
                let again = What::Dns { carrier, round: round + 1 };
                if speaks && round < ROUNDS { vec![next(again)] } else { Vec::new() }
            }
            (What::Search, Back::Locations(locations)) => locations
                .into_iter()
                .map(|location| Task { to: location.at, what: What::Describe(location) })
                .collect(),
            (What::Describe(_), Back::Controls(controls)) => controls
                .into_iter()
                .map(|control| Task {
                    to: control.location.at,
                    what: What::ExternalAddress(control),
                })
                .collect(),
            (_, Back::Told(protocol, told)) => {
                let ip = task.to.ip();
                let external = match told {
                    port_mapping::Told::Address(address) => Some(address),
                    port_mapping::Told::NoAddress => None,
                };
                let mac = self.intake.live.mac_of(station.id, ip).unwrap_or(Mac::ZERO);
                let protocol = protocol.to_owned();
                let fact = Fact::ExternalAddress(ExternalAddress { ip, mac, protocol, external });
                self.intake.note(at, station.id, source, fact, &frames);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }
}

/// Has the conversation, in its own thread. What fails brings nothing back.
fn speak(
    task: &Task,
    permit: ConversationPermit,
    interface: &str,
    token: Option<Token>,
    zone: Option<&str>,
) -> Back {
    let patience = Patience::default();
    match (&task.what, token) {
        (What::Proxy { canary, step, .. }, Some(token)) => {
            let Ok(stream) = permit.connect(interface, patience) else { return Back::Nothing };
            let request = proxy::Request { step: *step, canary: *canary, zone, token };
            Back::Answer(proxy::ask(stream, &request))
        }
        (What::Dns { carrier, .. }, Some(token)) => {
            let Some(question) = zone.and_then(|zone| dns::Question::new(token, zone).ok()) else {
                return Back::Nothing;
            };
            if *carrier == Carrier::DnsUdp {
                let Ok(mut datagrams) = permit.datagrams(interface, patience) else {
                    return Back::Nothing;
                };
                return Back::Answer(dns::ask_by_udp(&mut datagrams, &question));
            }
            let Ok(stream) = permit.connect(interface, patience) else { return Back::Nothing };
            Back::Answer(match carrier {
                Carrier::DnsTls => dns::ask_by_tls(stream, task.to.ip(), &question),
                _ => dns::ask_by_tcp(stream, &question),
            })
        }
        (What::Describe(location), _) => match permit.connect(interface, patience) {
            Ok(stream) => Back::Controls(port_mapping::describe(stream, location)),
            Err(_) => Back::Nothing,
        },
        (What::ExternalAddress(control), _) => match permit.connect(interface, patience) {
            Ok(stream) => {
                told(port_mapping::UPNP_IGD, port_mapping::external_address(stream, control))
            }
            Err(_) => Back::Nothing,
        },
        (What::Search | What::NatPmp | What::Pcp, _) => {
            let Ok(mut datagrams) = permit.datagrams(interface, patience) else {
                return Back::Nothing;
            };
            match &task.what {
                What::Search => {
                    port_mapping::search(&mut datagrams).map_or(Back::Nothing, Back::Locations)
                }
                What::NatPmp => told(port_mapping::NAT_PMP, port_mapping::nat_pmp(&mut datagrams)),
                _ => told(port_mapping::PCP, port_mapping::pcp(&mut datagrams)),
            }
        }
        _ => Back::Nothing,
    }
}

fn told(protocol: &'static str, told: Option<port_mapping::Told>) -> Back {
    told.map_or(Back::Nothing, |told| Back::Told(protocol, told))
}
