//! The engine against hosts in memory, by hand-moved time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiebei::link::{LinkError, Transmit};
use jiebei::net::{AddressSet, Mac, Port, Prefix};
use jiebei::observe::{Fact, PortState, VantageId};
use jiebei::scan::{
    Care, Checkpoint, Heard, Linger, NextHops, Outcome, Pass, PortRange, Progress, QuestionOrder,
    Recognised, Recogniser, SourcePorts, SweepKey, Targets, Watcher, World, link_wide, probe, run,
};
use jiebei::scope::frame::{Body, Frame, ICMP, ICMPV6, Packet, TCP, UDP};
use jiebei::scope::{Ceilings, Fence, Guard, Refusal, Risk, Rules, Vantage};
use jiebei::wire::arp::Arp;
use jiebei::wire::tcp::TcpSegment;
use jiebei::wire::{EtherType, Protocol, build, ethernet, icmp, tcp};
use jiff::Timestamp;

const V: VantageId = VantageId(0);
const OURS: Mac = Mac([2, 0, 0, 0, 0, 5]);
const GATEWAY: Mac = Mac([2, 0, 0, 0, 0, 1]);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

fn set(prefixes: &[&str]) -> AddressSet {
    prefixes.iter().copied().map(prefix).collect()
}

fn mac_of(address: IpAddr) -> Mac {
    match address {
        IpAddr::V4(a) => {
            let [_, b, c, d] = a.octets();
            Mac([2, 4, 0, b, c, d])
        }
        IpAddr::V6(a) => {
            let o = a.octets();
            Mac([2, 6, o[7], o[13], o[14], o[15]])
        }
    }
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % bound
    }
}

/// A host: what it answers.
#[derive(Clone, Default)]
struct Host {
    echo: bool,
    open: BTreeSet<Port>,
    /// Answers closed ports, UDP ones as Linux rations them.
    honest: bool,
    /// Frames to its MAC for others: sends time exceeded, passes on.
    forwards: bool,
    /// Tokens of its ICMP errors, and when they were last filled.
    errors: (f64, Duration),
}

/// What happens to frames on their way.
#[derive(Clone, Copy)]
struct Weather {
    loss_percent: u64,
    delay: Duration,
    jitter: Duration,
    duplicate_percent: u64,
}

const FAIR: Weather = Weather {
    loss_percent: 0,
    delay: Duration::from_micros(300),
    jitter: Duration::from_micros(200),
    duplicate_percent: 0,
};

struct Network {
    now: Duration,
    hosts: HashMap<IpAddr, Host>,
    weather: Weather,
    dice: Dice,
    /// To us: when, in which order, what, and whether our own kernel sent it.
    coming: BTreeMap<(Duration, u64), (Vec<u8>, bool)>,
    serial: u64,
    /// Everything that was on the wire from us and our kernel.
    wire: Vec<(Duration, Vec<u8>)>,
}

#[derive(Clone)]
struct Wire(Arc<Mutex<Network>>);

impl Transmit for Wire {
    fn queue(&mut self, frame: &[u8]) -> Result<(), LinkError> {
        let mut network = self.0.lock().unwrap();
        let now = network.now;
        network.wire.push((now, frame.to_vec()));
        network.take(frame);
        Ok(())
    }

    fn flush(&mut self) -> Result<usize, LinkError> {
        Ok(0)
    }

    fn interface(&self) -> &str {
        "sim"
    }
}

impl Network {
    fn lost(&mut self) -> bool {
        self.dice.below(100) < self.weather.loss_percent
    }

    fn deliver(&mut self, frame: Vec<u8>) {
        if self.lost() {
            return;
        }
        let copies = 1 + u64::from(self.dice.below(100) < self.weather.duplicate_percent);
        for _ in 0..copies {
            let jitter = self.weather.jitter.as_micros() as u64 + 1;
            let late = Duration::from_micros(self.dice.below(jitter));
            self.serial += 1;
            let due = self.now + self.weather.delay + late;
            self.coming.insert((due, self.serial), (frame.clone(), false));
        }
    }

    /// A frame of ours arrives at the others.
    fn take(&mut self, bytes: &[u8]) {
        if self.lost() {
            return;
        }
        let frame = Frame::read(bytes).unwrap();
        let macs = |source| build::Macs { source, destination: OURS };
        match frame.body {
            Body::Arp(arp) => {
                let target = IpAddr::V4(arp.target_ip);
                if self.hosts.contains_key(&target) {
                    let mut answer = Vec::new();
                    ethernet::write(&mut answer, OURS, mac_of(target), EtherType::ARP);
                    let reply = Arp {
                        operation: 2,
                        sender_mac: mac_of(target),
                        sender: arp.target_ip,
                        target_mac: OURS,
                        target: arp.sender_ip,
                    };
                    reply.write(&mut answer);
                    self.deliver(answer);
                }
            }
            Body::Ip(packet) => {
                let to = packet.destination;
                if let Some(target) = packet.nd_target() {
                    if self.hosts.contains_key(&IpAddr::V6(target)) {
                        let mac = mac_of(target.into());
                        let mut message = vec![0x60, 0, 0, 0];
                        message.extend_from_slice(&target.octets());
                        message.extend_from_slice(&[2, 1]);
                        message.extend_from_slice(&mac.0);
                        let IpAddr::V6(us) = packet.source else { return };
                        let answer = icmpv6(macs(mac), target, us, 255, 136, 0, &message);
                        self.deliver(answer);
                    }
                    return;
                }
                if to == IpAddr::V6(jiebei::net::special::ALL_NODES) {
                    let all: Vec<IpAddr> = self.hosts.keys().copied().collect();
                    for host in all.into_iter().filter(IpAddr::is_ipv6) {
                        if let Some(reply) = echo_reply(macs(mac_of(host)), &packet, host) {
                            self.deliver(reply);
                        }
                    }
                    return;
                }
                self.routed(&frame, &packet);
            }
            Body::Other(_) => {}
        }
    }

    /// A unicast packet: for a host on the link, or through a gateway or neighbour.
    fn routed(&mut self, frame: &Frame<'_>, packet: &Packet<'_>) {
        let to = packet.destination;
        let mut from = frame.destination;
        let direct = mac_of(to) == frame.destination;
        if !direct {
            let via = self
                .hosts
                .iter()
                .find(|(address, host)| {
                    mac_of(**address) == frame.destination
                        && address.is_ipv4() == to.is_ipv4()
                        && host.forwards
                })
                .map(|(address, _)| *address);
            let gateway = if to.is_ipv4() { ip("10.20.1.1") } else { ip("fd20::1") };
            let router = match via {
                Some(neighbour) => neighbour,
                None if frame.destination == GATEWAY => gateway,
                None => return,
            };
            from = frame.destination;
            // Two hops: the router, a second one, then the host.
            if packet.hop_limit == 1 {
                if let Some(answer) = self.error(router, from, packet, Kind::TimeExceeded) {
                    self.deliver(answer);
                }
                return;
            }
            if packet.hop_limit == 2 && !self.hosts.contains_key(&to) {
                return;
            }
        }
        let Some(host) = self.hosts.get(&to).cloned() else { return };
        let macs = build::Macs { source: from, destination: OURS };
        match packet.protocol {
            ICMP | ICMPV6 if host.echo => {
                if let Some(reply) = echo_reply(macs, packet, to) {
                    self.deliver(reply);
                }
            }
            TCP => {
                let (ours, theirs) = packet.ports().unwrap();
                let sequence = u32::from_be_bytes(packet.payload[4..8].try_into().unwrap());
                let open = host.open.contains(&Port::tcp(theirs));
                if !open && !host.honest {
                    return;
                }
                let flags = if open { tcp::SYN | tcp::ACK } else { tcp::RST | tcp::ACK };
                let answer = TcpSegment {
                    source: theirs,
                    destination: ours,
                    sequence: 77,
                    acknowledgement: sequence.wrapping_add(1),
                    flags,
                    window: 100,
                    options: &[],
                    payload: &[],
                };
                let frame = build::tcp_segment(macs, to, packet.source, 63, &answer).unwrap();
                self.deliver(frame);
            }
            UDP => {
                let (ours, theirs) = packet.ports().unwrap();
                if host.open.contains(&Port::udp(theirs)) {
                    // An echo service of any protocol: good for those whose token comes back in place.
                    let data = &packet.payload[8..];
                    let frame =
                        build::udp_datagram(macs, (to, theirs), (packet.source, ours), 63, data);
                    self.deliver(frame.unwrap());
                } else if host.honest
                    && let Some(answer) = self.error(to, from, packet, Kind::PortUnreachable)
                {
                    self.deliver(answer);
                }
            }
            _ => {}
        }
    }

    /// An ICMP error, if the ration allows: six at once, then one a second.
    fn error(&mut self, by: IpAddr, mac: Mac, about: &Packet<'_>, kind: Kind) -> Option<Vec<u8>> {
        let now = self.now;
        let host = self.hosts.entry(by).or_default();
        let (tokens, filled) = host.errors;
        let tokens = if filled.is_zero() && tokens == 0.0 {
            6.0
        } else {
            (tokens + (now - filled).as_secs_f64()).min(6.0)
        };
        host.errors = (tokens.max(1.0) - 1.0, now);
        if tokens < 1.0 {
            return None;
        }
        let macs = build::Macs { source: mac, destination: OURS };
        let mut body = vec![0; 4];
        match (by, about.source, about.destination) {
            (IpAddr::V4(by), IpAddr::V4(us), IpAddr::V4(to)) => {
                body.extend_from_slice(&quoted_v4(us, to, about));
                let (kind, code) = match kind {
                    Kind::TimeExceeded => (11, 0),
                    Kind::PortUnreachable => (3, 3),
                };
                let mut message = Vec::new();
                icmp::write(&mut message, kind, code, &body);
                build::packet(macs, by.into(), us.into(), Protocol::ICMP, 64, &message)
            }
            (IpAddr::V6(by), IpAddr::V6(us), IpAddr::V6(to)) => {
                let whole = build::packet(
                    macs,
                    us.into(),
                    to.into(),
                    Protocol(about.protocol),
                    1,
                    about.payload,
                );
                let mut quoted = whole?[14..].to_vec();
                quoted[1..4].copy_from_slice(&about.label.to_be_bytes()[1..4]);
                body.extend_from_slice(&quoted);
                let (kind, code) = match kind {
                    Kind::TimeExceeded => (3, 0),
                    Kind::PortUnreachable => (1, 4),
                };
                Some(icmpv6(macs, by, us, 64, kind, code, &body))
            }
            _ => None,
        }
    }
}

enum Kind {
    TimeExceeded,
    PortUnreachable,
}

/// As an old router quotes: the header and eight octets.
fn quoted_v4(us: Ipv4Addr, to: Ipv4Addr, about: &Packet<'_>) -> Vec<u8> {
    let macs = build::Macs { source: OURS, destination: OURS };
    let frame =
        build::packet(macs, us.into(), to.into(), Protocol(about.protocol), 1, about.payload);
    let mut quoted = frame.unwrap()[14..14 + 20 + 8].to_vec();
    quoted[4..6].copy_from_slice(&(about.label as u16).to_be_bytes());
    quoted
}

fn icmpv6(
    macs: build::Macs,
    from: Ipv6Addr,
    to: Ipv6Addr,
    hop_limit: u8,
    kind: u8,
    code: u8,
    body: &[u8],
) -> Vec<u8> {
    let mut message = Vec::new();
    icmp::write_v6(&mut message, from, to, kind, code, body);
    build::packet(macs, from.into(), to.into(), Protocol::ICMPV6, hop_limit, &message).unwrap()
}

fn echo_reply(macs: build::Macs, packet: &Packet<'_>, from: IpAddr) -> Option<Vec<u8>> {
    let (kind, _) = packet.icmp()?;
    let mut message = Vec::new();
    let body = packet.payload.get(4..)?;
    let protocol = match (kind, from, packet.source) {
        (8, ..) => {
            icmp::write(&mut message, 0, 0, body);
            Protocol::ICMP
        }
        (128, IpAddr::V6(from), IpAddr::V6(to)) => {
            icmp::write_v6(&mut message, from, to, 129, 0, body);
            Protocol::ICMPV6
        }
        _ => return None,
    };
    build::packet(macs, from, packet.source, protocol, 63, &message)
}

/// Hand-moved time: a look at the clock costs 2 µs, waiting goes straight to the next frame.
struct Sim {
    fence: Fence,
    network: Arc<Mutex<Network>>,
}

impl World for Sim {
    fn now(&mut self) -> Duration {
        let mut network = self.network.lock().unwrap();
        network.now += Duration::from_micros(2);
        network.now
    }

    fn fence(&mut self) -> &mut Fence {
        &mut self.fence
    }

    fn receive(
        &mut self,
        patience: Duration,
        take: &mut dyn FnMut(&mut Fence, Heard<'_>),
    ) -> Result<usize, LinkError> {
        let mut ready = Vec::new();
        {
            let mut network = self.network.lock().unwrap();
            let until = network.now + patience;
            let next = network.coming.keys().next().map(|(due, _)| *due);
            network.now =
                next.filter(|due| *due <= until).map_or(until, |due| due.max(network.now));
            let now = network.now;
            while let Some(entry) = network.coming.first_entry().filter(|e| e.key().0 <= now) {
                let (frame, outgoing) = entry.remove();
                // Our kernel resets a SYN-ACK for which it has no socket.
                if let Some(reset) = (!outgoing).then(|| reset_for(&frame)).flatten() {
                    network.wire.push((now, reset.clone()));
                    ready.push((reset, true));
                }
                ready.push((frame, outgoing));
            }
        }
        let now = self.network.lock().unwrap().now;
        for (frame, outgoing) in &ready {
            take(
                &mut self.fence,
                Heard {
                    vantage: V,
                    at: Timestamp::UNIX_EPOCH + now,
                    now,
                    bytes: frame,
                    length: frame.len() as u32,
                    outgoing: *outgoing,
                },
            );
        }
        Ok(ready.len())
    }
}

fn reset_for(frame: &[u8]) -> Option<Vec<u8>> {
    let Frame { body: Body::Ip(packet), source, .. } = Frame::read(frame)? else { return None };
    if packet.protocol != TCP || packet.payload[13] != tcp::SYN | tcp::ACK {
        return None;
    }
    let (theirs, ours) = packet.ports()?;
    let reset = TcpSegment {
        source: ours,
        destination: theirs,
        sequence: 0,
        acknowledgement: 0,
        flags: tcp::RST,
        window: 0,
        options: &[],
        payload: &[],
    };
    let macs = build::Macs { source: OURS, destination: source };
    build::tcp_segment(macs, packet.destination, packet.source, 64, &reset)
}

/// Keeps everything; stops after so many frames, if told to.
#[derive(Default)]
struct Log {
    facts: BTreeMap<Fact, u64>,
    recognised: Vec<Recognised>,
    frames: Vec<Vec<u8>>,
    checkpoints: Vec<Checkpoint>,
    stop_after: Option<u64>,
    batches: u64,
}

impl Watcher for Log {
    fn frame(&mut self, heard: &Heard<'_>, recognised: Option<Recognised>) {
        self.frames.push(heard.bytes.to_vec());
        if let Some(recognised) = recognised {
            *self.facts.entry(recognised.fact.clone()).or_default() += 1;
            self.recognised.push(recognised);
        }
    }

    fn progress(&mut self, _: &Progress) {}

    fn checkpoint(&mut self, checkpoint: &Checkpoint) {
        self.checkpoints.push(*checkpoint);
    }

    fn stopping(&mut self) -> bool {
        self.batches += 1;
        self.stop_after.is_some_and(|after| self.batches > after)
    }
}

impl Log {
    /// Address, port and state of every answer.
    fn answers(&self) -> BTreeSet<(IpAddr, Option<Port>, PortState)> {
        self.facts
            .keys()
            .filter_map(|fact| match fact {
                Fact::Answer { ip, port, state, .. } => Some((*ip, *port, *state)),
                _ => None,
            })
            .collect()
    }
}

const PORTS: SourcePorts = SourcePorts {
    tcp: PortRange { first: 20_000, count: 1024 },
    udp: PortRange { first: 22_000, count: 256 },
};

struct Bench {
    sim: Sim,
    recogniser: Recogniser,
    hops: NextHops,
    log: Log,
    ceilings: Ceilings,
    care: Care,
}

impl Bench {
    fn new(hosts: Vec<(&str, Host)>, weather: Weather, seed: u64) -> Bench {
        Bench::with(
            hosts,
            weather,
            seed,
            Ceilings { packets_per_second: 5000, per_target: 40, ..Ceilings::default() },
            |_| {},
        )
    }

    fn with(
        hosts: Vec<(&str, Host)>,
        weather: Weather,
        seed: u64,
        ceilings: Ceilings,
        change: impl FnOnce(&mut Rules),
    ) -> Bench {
        let vantage = Vantage {
            id: V,
            mac: OURS,
            addresses: vec![
                (ip("10.20.1.5"), prefix("10.20.1.0/24")),
                (ip("fd20::5"), prefix("fd20::/64")),
                (ip("fe80::5"), prefix("fe80::/64")),
            ],
        };
        let mut rules = Rules {
            scope: set(&["10.20.0.0/16", "fd20::/32"]),
            exclude: AddressSet::default(),
            observe_only: AddressSet::default(),
            risk: Risk::LINK_WIDE,
            window: None,
            canaries: vec![],
            collector: None,
            vantages: vec![vantage.clone()],
        };
        change(&mut rules);
        let network = Arc::new(Mutex::new(Network {
            now: Duration::from_millis(10),
            hosts: hosts.into_iter().map(|(address, host)| (ip(address), host)).collect(),
            weather,
            dice: Dice(seed | 1),
            coming: BTreeMap::new(),
            serial: 0,
            wire: Vec::new(),
        }));
        let mut fence = Fence::new(Guard::new(rules, Timestamp::UNIX_EPOCH), ceilings);
        fence.add_link(V, Box::new(Wire(network.clone())));
        let key = SweepKey::from_bytes([seed as u8; 32]);
        let mut hops = NextHops::new();
        hops.gateway(prefix("0.0.0.0/0"), GATEWAY);
        hops.gateway(prefix("::/0"), GATEWAY);
        for on_link in ["10.20.1.0/24", "fd20::/64", "fe80::/64"] {
            hops.on_link(prefix(on_link));
        }
        let known: Vec<IpAddr> = network.lock().unwrap().hosts.keys().copied().collect();
        for host in known {
            if vantage.on_link(host).is_some() {
                hops.neighbour(host, mac_of(host));
            }
        }
        Bench {
            sim: Sim { fence, network },
            recogniser: Recogniser::new(key, PORTS, &[vantage]),
            hops,
            log: Log::default(),
            ceilings,
            care: Care::new(seed),
        }
    }

    fn run(&mut self, name: &str, targets: Targets, change: impl FnOnce(&mut Pass<'_>)) -> Outcome {
        self.run_from(name, targets, change, None, &[])
    }

    fn run_from(
        &mut self,
        name: &str,
        targets: Targets,
        change: impl FnOnce(&mut Pass<'_>),
        resume: Option<Checkpoint>,
        answered: &[(IpAddr, u16)],
    ) -> Outcome {
        let mut pass = Pass::new(1, V, probe::named(name).unwrap(), targets, &self.hops);
        change(&mut pass);
        let mut answered = answered.iter().copied();
        run(
            &pass,
            resume,
            &mut answered,
            &mut self.care,
            &mut self.recogniser,
            &mut self.sim,
            &mut self.log,
        )
        .unwrap()
    }

    fn wire(&self) -> Vec<(Duration, Vec<u8>)> {
        self.sim.network.lock().unwrap().wire.clone()
    }

    /// No second on the wire held more than the ceilings, and an outside recogniser, made from the
    /// record, reads the same facts out of the frames.
    fn finish(self) -> Log {
        let wire = self.wire();
        let mut first = 0;
        for (place, (at, _)) in wire.iter().enumerate() {
            while wire[first].0 + Duration::from_secs(1) <= *at {
                first += 1;
            }
            let frames = place + 1 - first;
            assert!(frames <= self.ceilings.packets_per_second as usize, "{frames} in a second");
        }
        let mut of: HashMap<IpAddr, Vec<Duration>> = HashMap::new();
        for (at, frame) in &wire {
            let to = match Frame::read(frame).unwrap().body {
                Body::Arp(arp) => arp.target_ip.into(),
                Body::Ip(packet) => packet.destination,
                Body::Other(_) => continue,
            };
            let times = of.entry(to).or_default();
            times.push(*at);
            let last = times.iter().filter(|then| **then + Duration::from_secs(1) > *at).count();
            assert!(last <= self.ceilings.per_target as usize, "{last} to {to} in a second");
        }
        let record = serde_json::to_string(&self.recogniser.record()).unwrap();
        let again = Recogniser::of_record(&serde_json::from_str(&record).unwrap()).unwrap();
        let mut facts: BTreeMap<Fact, u64> = BTreeMap::new();
        for frame in &self.log.frames {
            if let Some(recognised) = again.recognise(V, frame) {
                *facts.entry(recognised.fact).or_default() += 1;
            }
        }
        assert_eq!(facts, self.log.facts, "a replay gives the same facts");
        self.log
    }
}

fn addresses(prefix: &str) -> Targets {
    Targets::Addresses(set(&[prefix]))
}

fn host() -> Host {
    Host { echo: true, honest: true, ..Host::default() }
}

fn many(count: u8) -> Vec<(String, Host)> {
    (0..count).map(|last| (format!("10.20.1.{}", 10 + last), host())).collect()
}

fn listed(hosts: &[(String, Host)]) -> Vec<(&str, Host)> {
    hosts.iter().map(|(address, host)| (address.as_str(), host.clone())).collect()
}

#[test]
fn retries_make_up_for_loss_delay_and_duplicates() {
    let weather = Weather {
        loss_percent: 15,
        delay: Duration::from_millis(30),
        jitter: Duration::from_millis(60),
        duplicate_percent: 20,
    };
    for (name, rounds) in [("arp", 7), ("icmp", 7)] {
        let hosts = many(100);
        let mut bench = Bench::new(listed(&hosts), weather, 11);
        let outcome = bench.run(name, addresses("10.20.1.0/24"), |pass| pass.rounds = rounds);
        assert_eq!(outcome.answered, 100, "{name}");
        // Network, broadcast and our own; the silent ones without a MAC cannot be asked by echo.
        let silent = if name == "arp" { 254 - 1 - 100 } else { 0 };
        assert_eq!(outcome.asked, 100 + silent, "{name}");
        assert!(outcome.sent < 100 * 3 + silent * u64::from(rounds), "{name}: {}", outcome.sent);
        assert_eq!(bench.finish().answers().len(), 100);
    }
}

#[test]
fn open_closed_and_silent_are_told_apart_on_link_and_beyond() {
    let open = Host { open: [Port::tcp(22), Port::tcp(443)].into(), ..host() };
    let filtered = Host { open: [Port::tcp(443)].into(), ..Host::default() };
    let hosts = vec![
        ("10.20.1.10", open.clone()),
        ("10.20.1.11", filtered.clone()),
        ("10.20.7.7", open.clone()),
        ("fd20::10", open.clone()),
        ("fd20:0:0:9::9", filtered),
    ];
    let mut bench = Bench::new(hosts, FAIR, 3);
    for targets in
        [vec!["10.20.1.0/24"], vec!["10.20.7.0/28"], vec!["fd20::10/128", "fd20:0:0:9::9/128"]]
    {
        let targets = Targets::Addresses(set(&targets));
        bench.run("tcp", targets, |pass| {
            pass.questions = vec![22, 80, 443];
            pass.rounds = 2;
        });
    }
    let log = bench.finish();
    let told: Vec<String> = log
        .answers()
        .into_iter()
        .map(|(ip, port, state)| format!("{ip} {} {state:?}", port.unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            "10.20.1.10 tcp/22 Open",
            "10.20.1.10 tcp/80 Closed",
            "10.20.1.10 tcp/443 Open",
            "10.20.1.11 tcp/443 Open",
            "10.20.7.7 tcp/22 Open",
            "10.20.7.7 tcp/80 Closed",
            "10.20.7.7 tcp/443 Open",
            "fd20::10 tcp/22 Open",
            "fd20::10 tcp/80 Closed",
            "fd20::10 tcp/443 Open",
            "fd20:0:0:9::9 tcp/443 Open",
        ]
    );
}

#[test]
fn answers_without_a_token_never_become_facts() {
    let hosts = vec![("10.20.1.10", host()), ("fd20::10", host())];
    let mut bench = Bench::new(hosts, FAIR, 7);
    let mut dice = Dice(99);
    {
        let network = &mut *bench.sim.network.lock().unwrap();
        let macs = build::Macs { source: Mac([2, 9, 9, 9, 9, 9]), destination: OURS };
        for serial in 0..60_000u64 {
            let us: IpAddr = if serial % 5 == 4 { ip("fd20::5") } else { ip("10.20.1.5") };
            let them: IpAddr = match us {
                IpAddr::V4(_) => Ipv4Addr::from_bits(0x0a14_0100 + dice.below(256) as u32).into(),
                IpAddr::V6(_) => ip("fd20::10"),
            };
            let frame = match serial % 6 {
                0 | 4 => {
                    let segment = TcpSegment {
                        source: [22, 80][dice.below(2) as usize],
                        destination: 20_000 + dice.below(1024) as u16,
                        sequence: 1,
                        acknowledgement: dice.below(1 << 32) as u32,
                        flags: [tcp::SYN | tcp::ACK, tcp::RST | tcp::ACK, tcp::RST]
                            [dice.below(3) as usize],
                        window: 1,
                        options: &[],
                        payload: &[],
                    };
                    build::tcp_segment(macs, them, us, 64, &segment)
                }
                1 => {
                    let mut data = vec![dice.below(256) as u8; 16];
                    data[0] = dice.below(256) as u8;
                    let ends = ((them, 53), (us, 22_000 + dice.below(256) as u16));
                    build::udp_datagram(macs, ends.0, ends.1, 64, &data)
                }
                2 => {
                    let mut body = dice.below(1 << 32).to_be_bytes().to_vec();
                    body.extend_from_slice(&dice.below(1 << 40).to_be_bytes());
                    let mut message = Vec::new();
                    match (them, us) {
                        (IpAddr::V6(them), IpAddr::V6(us)) => {
                            icmp::write_v6(&mut message, them, us, 129, 0, &body);
                        }
                        _ => icmp::write(&mut message, 0, 0, &body),
                    }
                    let protocol = if us.is_ipv4() { Protocol::ICMP } else { Protocol::ICMPV6 };
                    build::packet(macs, them, us, protocol, 64, &message)
                }
                3 => {
                    // An error about a packet that we never sent.
                    let (IpAddr::V4(us4), IpAddr::V4(them4)) = (ip("10.20.1.5"), ip("10.20.1.10"))
                    else {
                        unreachable!()
                    };
                    let payload = [dice.below(1 << 48).to_be_bytes(), [0; 8]].concat();
                    let protocol = [ICMP, TCP, UDP][dice.below(3) as usize];
                    let inner = build::packet(
                        macs,
                        us4.into(),
                        them4.into(),
                        Protocol(protocol),
                        1,
                        &payload,
                    );
                    let mut message = Vec::new();
                    let body = [vec![0; 4], inner.unwrap()[14..].to_vec()].concat();
                    icmp::write(&mut message, 3, 3, &body);
                    build::packet(macs, them4.into(), us4.into(), Protocol::ICMP, 64, &message)
                }
                _ => {
                    // ARP for what nobody asked.
                    let mut answer = Vec::new();
                    ethernet::write(&mut answer, OURS, macs.source, EtherType::ARP);
                    let reply = Arp {
                        operation: 2,
                        sender_mac: macs.source,
                        sender: Ipv4Addr::new(10, 20, 3, dice.below(256) as u8),
                        target_mac: OURS,
                        target: Ipv4Addr::new(10, 20, 1, 5),
                    };
                    reply.write(&mut answer);
                    Some(answer)
                }
            };
            let due = Duration::from_millis(11) + Duration::from_micros(10 * serial);
            network.serial += 1;
            let serial = network.serial;
            network.coming.insert((due, serial), (frame.unwrap(), false));
        }
    }
    // Each pass runs in the middle of the storm; a ceiling that makes room for our kernel's resets.
    bench.run("arp", addresses("10.20.1.0/24"), |_| {});
    bench.run("icmp", addresses("10.20.1.10/32"), |_| {});
    bench.run("udp", addresses("10.20.1.10/32"), |pass| pass.questions = vec![53]);
    bench.run("tcp", addresses("10.20.1.10/32"), |pass| pass.questions = vec![22, 80]);
    let until = Duration::from_secs(2);
    jiebei::scan::listen(&bench.recogniser, &mut bench.sim, &mut bench.log, until).unwrap();
    assert!(bench.log.frames.len() >= 60_000, "{}", bench.log.frames.len());
    let told: Vec<_> = bench.log.answers().into_iter().collect();
    let target = ip("10.20.1.10");
    assert_eq!(
        told,
        [
            (target, None, PortState::Alive),
            (target, Some(Port::tcp(22)), PortState::Closed),
            (target, Some(Port::tcp(80)), PortState::Closed),
            (target, Some(Port::udp(53)), PortState::Closed),
        ]
    );
    assert!(bench.log.facts.keys().all(|fact| matches!(fact, Fact::Answer { .. })));
}

#[test]
fn closed_udp_ports_are_found_though_errors_are_rationed() {
    let open = Host { open: [Port::udp(5683), Port::udp(53)].into(), ..host() };
    let mut bench = Bench::new(vec![("10.20.1.10", open), ("fd20::10", host())], FAIR, 4);
    let ports: Vec<u16> = vec![53, 67, 69, 123, 137, 161, 500, 1434, 1900, 3702, 5060, 5683, 9999];
    for target in ["10.20.1.10/32", "fd20::10/128"] {
        let ports = ports.clone();
        bench.run("udp", addresses(target), |pass| {
            pass.questions = ports;
            pass.rounds = 2;
        });
    }
    let log = bench.finish();
    let count = |address: &str, wanted| {
        let all = log.answers();
        all.iter().filter(|(ip, _, state)| *ip == self::ip(address) && *state == wanted).count()
    };
    assert_eq!(count("10.20.1.10", PortState::Open), 2);
    assert_eq!(count("10.20.1.10", PortState::Closed), ports.len() - 2);
    assert_eq!(count("fd20::10", PortState::Closed), ports.len());
}

#[test]
fn the_forwarding_test_tells_forwarders_from_hosts() {
    let forwarder = Host { forwards: true, ..host() };
    let hosts = vec![
        ("10.20.1.10", host()),
        ("10.20.1.11", forwarder.clone()),
        ("fd20::11", forwarder),
        ("10.20.9.9", host()),
        ("fd20:0:0:9::9", host()),
    ];
    let mut bench = Bench::new(hosts, FAIR, 5);
    let guard = bench.sim.fence.guard();
    let steered: Vec<_> =
        [("10.20.1.10", "10.20.9.9"), ("10.20.1.11", "10.20.9.9"), ("fd20::11", "fd20:0:0:9::9")]
            .into_iter()
            .map(|(by, to)| guard.admit_steered(ip(by), mac_of(ip(by)), ip(to), V).unwrap())
            .collect();
    let outcome = bench.run("forwarding", Targets::Steered(steered), |pass| {
        pass.question_order = QuestionOrder::AsGiven;
    });
    assert_eq!((outcome.sent, outcome.answered), (12, 8));
    let log = bench.finish();
    let told: BTreeSet<String> = log
        .facts
        .keys()
        .map(|fact| match fact {
            Fact::Forwarding(f) => {
                format!("{} {}@{} {} {:?}", f.mac, f.hop_limit, f.round, f.from, f.icmp)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        told.into_iter().collect::<Vec<_>>(),
        [
            "02:04:00:14:01:0b 1@1 10.20.1.11 Some((11, 0))",
            "02:04:00:14:01:0b 1@2 10.20.1.11 Some((11, 0))",
            "02:04:00:14:01:0b 2@1 10.20.9.9 None",
            "02:04:00:14:01:0b 2@2 10.20.9.9 None",
            "02:06:00:00:00:11 1@1 fd20::11 Some((3, 0))",
            "02:06:00:00:00:11 1@2 fd20::11 Some((3, 0))",
            "02:06:00:00:00:11 2@1 fd20:0:0:9::9 None",
            "02:06:00:00:00:11 2@2 fd20:0:0:9::9 None",
        ]
    );
}

#[test]
fn a_hop_ladder_names_its_hops_within_the_ration() {
    let mut bench = Bench::new(vec![("10.20.9.9", host())], FAIR, 6);
    bench.run("traceroute", addresses("10.20.9.9/32"), |pass| {
        pass.questions = vec![1, 2, 3];
        pass.rate = Some(5);
    });
    let log = bench.finish();
    let hops: Vec<_> = log
        .facts
        .keys()
        .map(|fact| match fact {
            Fact::Hop { hop_limit, from, .. } => (*hop_limit, from.to_string()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(hops, [(1, "10.20.1.1".into()), (2, "10.20.9.9".into()), (3, "10.20.9.9".into())]);
}

#[test]
fn a_stopped_pass_goes_on_where_it_was_and_repeats_nothing_answered() {
    let hosts = many(120);
    let whole = || addresses("10.20.1.0/24");
    let mut bench = Bench::new(listed(&hosts), FAIR, 8);
    bench.log.stop_after = Some(2);
    let first = bench.run("arp", whole(), |pass| pass.rounds = 2);
    let checkpoint = first.interrupted.expect("it was stopped");
    assert!(first.sent > 0 && first.sent < 250, "{}", first.sent);
    let answered: Vec<_> = bench.log.answers().into_iter().map(|(ip, ..)| (ip, 0)).collect();
    assert_eq!(answered.len() as u64, first.answered);

    bench.log.stop_after = None;
    // Another process goes on: it knows nobody to ask again.
    bench.care = Care::new(8);
    let before = bench.wire().len();
    let second =
        bench.run_from("arp", whole(), |pass| pass.rounds = 2, Some(checkpoint), &answered);
    assert_eq!(second.interrupted, None);
    assert_eq!(first.answered + second.answered, 120);
    assert_eq!(first.asked + second.asked, 253);
    for (_, frame) in &bench.wire()[before..] {
        let Body::Arp(arp) = Frame::read(frame).unwrap().body else { panic!() };
        assert!(!answered.contains(&(arp.target_ip.into(), 0)), "{}", arp.target_ip);
    }
    assert_eq!(bench.finish().answers().len(), 120);
}

#[test]
fn shards_ask_disjoint_parts_that_make_up_the_whole() {
    let hosts = many(100);
    let mut asked = BTreeSet::new();
    let mut frames = 0;
    for index in 0..3 {
        let mut bench = Bench::new(listed(&hosts), FAIR, 9);
        bench.run("tcp", addresses("10.20.1.0/24"), |pass| {
            pass.questions = vec![22, 80];
            pass.shard = jiebei::scan::Shard::new(index, 3).unwrap();
        });
        for (_, frame) in bench.wire() {
            let Body::Ip(packet) = Frame::read(&frame).unwrap().body else { panic!() };
            asked.insert((packet.destination, packet.ports().unwrap().1));
            frames += 1;
        }
    }
    assert_eq!((asked.len(), frames), (200, 200));
}

#[test]
fn excluded_and_fragile_addresses_are_kept_from_harm() {
    let hosts = many(100);
    let ceilings = Ceilings { packets_per_second: 5000, per_target: 40, ..Ceilings::default() };
    let mut bench = Bench::with(listed(&hosts), FAIR, 10, ceilings, |rules| {
        rules.exclude = set(&["10.20.1.10/31"]);
        rules.observe_only = set(&["10.20.1.12/31"]);
    });
    let arp = bench.run("arp", addresses("10.20.1.0/24"), |pass| pass.rounds = 3);
    let icmp = bench.run("icmp", addresses("10.20.1.0/24"), |_| {});
    let tcp = bench.run("tcp", addresses("10.20.1.0/24"), |pass| pass.questions = vec![22]);
    assert_eq!(arp.refused[&Refusal::Excluded], 2);
    assert_eq!(arp.answered, 98);
    assert_eq!(icmp.refused[&Refusal::AlreadyAsked], 2);
    assert_eq!(tcp.refused[&Refusal::ObserveOnly], 2);
    let mut to: BTreeMap<IpAddr, u64> = BTreeMap::new();
    for (_, frame) in bench.wire() {
        let address = match Frame::read(&frame).unwrap().body {
            Body::Arp(arp) => arp.target_ip.into(),
            Body::Ip(packet) => packet.destination,
            Body::Other(_) => panic!(),
        };
        *to.entry(address).or_default() += 1;
    }
    assert_eq!(to.get(&ip("10.20.1.10")).or(to.get(&ip("10.20.1.11"))), None);
    assert_eq!((to[&ip("10.20.1.12")], to[&ip("10.20.1.13")]), (1, 1));
    bench.finish();
}

#[test]
fn a_window_that_closes_ends_the_pass_with_a_checkpoint() {
    let hosts = many(50);
    let ceilings = Ceilings { packets_per_second: 100, per_target: 40, ..Ceilings::default() };
    let mut bench = Bench::with(listed(&hosts), FAIR, 12, ceilings, |rules| {
        let at = |millis| Timestamp::from_millisecond(millis).unwrap();
        rules.window = Some((at(0), at(1_000)));
    });
    let outcome = bench.run("arp", addresses("10.20.1.0/24"), |_| {});
    assert!(outcome.interrupted.is_some());
    assert!(outcome.sent > 50 && outcome.sent <= 100, "{}", outcome.sent);
    let last = bench.wire().last().unwrap().0;
    assert!(last <= Duration::from_secs(1));
}

#[test]
fn everyone_on_the_link_answers_link_wide_questions() {
    let hosts = vec![("fd20::10", host()), ("fd20::11", host())];
    let mut bench = Bench::new(hosts, FAIR, 13);
    let IpAddr::V6(own) = ip("fd20::5") else { unreachable!() };
    let permit = bench.sim.fence.guard().admit_link_wide(V).unwrap();
    for frame in [
        link_wide::echo(&bench.recogniser, V, own).unwrap(),
        link_wide::unknown_option(&bench.recogniser, V, own).unwrap(),
    ] {
        let told = bench.sim.fence.submit(&permit, &frame, Duration::from_millis(10));
        assert!(matches!(told, jiebei::scope::Submission::Sent), "{told:?}");
    }
    let until = Duration::from_secs(1);
    jiebei::scan::listen(&bench.recogniser, &mut bench.sim, &mut bench.log, until).unwrap();
    let addresses: Vec<_> = bench.finish().answers().into_iter().map(|(ip, ..)| ip).collect();
    assert_eq!(addresses, [ip("fd20::10"), ip("fd20::11")]);
}

#[test]
fn one_host_with_many_ports_is_asked_no_faster_than_its_ceiling() {
    let hosts = vec![("10.20.1.10", host()), ("10.20.1.11", Host::default())];
    let mut bench = Bench::new(hosts, FAIR, 14);
    let outcome = bench.run("tcp", Targets::Addresses(set(&["10.20.1.10/31"])), |pass| {
        pass.questions = (1..=200).collect();
    });
    assert_eq!((outcome.sent, outcome.answered), (400, 200));
    let took = bench.sim.network.lock().unwrap().now;
    // Forty a second each; into silence a place is held for the reset.
    assert!(took < Duration::from_secs(9), "{took:?}");
    bench.finish();
}

#[test]
fn a_pass_ends_soon_after_the_last_answer() {
    let hosts = many(100);
    let mut bench = Bench::new(listed(&hosts), FAIR, 15);
    let linger = Linger { least: Duration::from_millis(100), most: Duration::from_secs(5) };
    bench.run("arp", addresses("10.20.1.0/24"), |pass| pass.linger = linger);
    let took = bench.sim.network.lock().unwrap().now;
    assert!(took < Duration::from_millis(400), "{took:?}");
    // All answer: there is nothing to wait for.
    let before = took;
    let targets = AddressSet::of_addresses((10..110).map(|last| ip(&format!("10.20.1.{last}"))));
    bench.run("icmp", Targets::Addresses(targets), |pass| pass.linger = linger);
    let took = bench.sim.network.lock().unwrap().now - before;
    assert!(took < Duration::from_millis(60), "{took:?}");
}
