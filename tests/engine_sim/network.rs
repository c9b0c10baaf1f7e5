//! A network in memory: hosts, the weather on the way, and boxes.
//!
//! A frame of ours goes through: loss, the narrow link, the router with its neighbour table; a host's answer through loss,
//! delay and doubling; then our kernel (which resets what it has no socket for), and the receive ring.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiebei::link::{LinkError, Transmit};
use jiebei::net::{Mac, Port, Prefix};
use jiebei::observe::VantageId;
use jiebei::scan::{Ear, Heard, World};
use jiebei::scope::Fence;
use jiebei::scope::frame::{Body, Frame, ICMP, ICMPV6, Packet, TCP, UDP};
use jiebei::wire::arp::Arp;
use jiebei::wire::tcp::TcpSegment;
use jiebei::wire::{EtherType, Protocol, build, ethernet, icmp, tcp};
use jiff::Timestamp;

pub const V: VantageId = VantageId(0);
pub const OURS: Mac = Mac([2, 0, 0, 0, 0, 5]);
pub const GATEWAY: Mac = Mac([2, 0, 0, 0, 0, 1]);

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub fn mac_of(address: IpAddr) -> Mac {
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

/// xorshift64*: it need only be spread.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % bound
    }

    fn chance(&mut self, of: f64) -> bool {
        of > 0.0 && (self.below(1_000_000) as f64) < of * 1e6
    }
}

/// A host: what it answers.
#[derive(Clone, Default)]
pub struct Host {
    pub echo: bool,
    pub open: BTreeSet<Port>,
    /// Answers closed ports, UDP ones as Linux rations them.
    pub honest: bool,
    /// Frames to its MAC for others: sends time exceeded, passes on.
    pub forwards: bool,
    /// Its frames come from another MAC than the one it is reached by: a shared router address.
    pub speaks_from: Option<Mac>,
}

/// What happens to frames on their way, in each direction.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Frames lost one by one.
    pub loss: f64,
    /// Frames lost together.
    pub bursts: Option<Bursts>,
    pub delay: Duration,
    pub jitter: Duration,
    pub doubled: f64,
    /// Answers that three milliseconds of others overtake.
    pub overtaken: f64,
    /// The link to the hosts.
    pub narrow: Option<Narrow>,
}

/// Gilbert's model: each frame may begin a burst, each frame in it is lost and may end it.
#[derive(Clone, Copy, Debug)]
pub struct Bursts {
    pub begins: f64,
    pub ends: f64,
}

/// So many frames a second, and a queue whose tail is dropped.
#[derive(Clone, Copy, Debug)]
pub struct Narrow {
    pub per_second: u32,
    pub queue: u32,
}

pub const FAIR: Weather = Weather {
    loss: 0.0,
    bursts: None,
    delay: Duration::from_micros(300),
    jitter: Duration::from_micros(200),
    doubled: 0.0,
    overtaken: 0.0,
    narrow: None,
};

/// A token bucket, full at first.
#[derive(Clone, Copy)]
pub struct Bucket {
    per_second: f64,
    most: f64,
    tokens: f64,
    filled: Duration,
}

impl Bucket {
    pub fn new(per_second: f64, most: f64) -> Bucket {
        Bucket { per_second, most, tokens: most, filled: Duration::ZERO }
    }

    fn take(&mut self, now: Duration) -> bool {
        let gained = now.saturating_sub(self.filled).as_secs_f64() * self.per_second;
        self.tokens = (self.tokens + gained).min(self.most);
        self.filled = now;
        let has = self.tokens >= 1.0;
        self.tokens -= f64::from(u8::from(has));
        has
    }
}

/// Of one Linux kernel: six errors to one asker at once and then one a second (`icmp_ratelimit`, 1 s); fifty to
/// everybody at once and then a thousand a second (`icmp_msgs_burst`, `icmp_msgs_per_sec`).
struct Rations {
    to_us: Bucket,
    to_all: Bucket,
}

impl Default for Rations {
    fn default() -> Rations {
        Rations { to_us: Bucket::new(1.0, 6.0), to_all: Bucket::new(1000.0, 50.0) }
    }
}

/// A router's neighbour table: an address is resolved before a packet is handed to it.
pub struct NeighbourTable {
    most: usize,
    entries: HashMap<IpAddr, Neighbour>,
    incomplete: VecDeque<(Duration, IpAddr)>,
    /// Packets dropped because the table was full.
    pub overflows: u64,
    pub fullest: usize,
}

enum Neighbour {
    Incomplete,
    Reachable { used: Duration },
}

/// Linux asks three times, a second apart, before it gives an address up.
const GIVEN_UP: Duration = Duration::from_secs(3);
/// A full table gives up who was not needed for so long (`neigh_forced_gc`).
const UNUSED: Duration = Duration::from_secs(5);

impl NeighbourTable {
    /// Linux: `gc_thresh3` is 1,024.
    pub fn new(most: usize) -> NeighbourTable {
        NeighbourTable {
            most,
            entries: HashMap::new(),
            incomplete: VecDeque::new(),
            overflows: 0,
            fullest: 0,
        }
    }

    /// How long until the packet is handed on; `None` if it never is. `answers` is how soon the address
    /// answers the router, if anybody is there.
    fn resolve(
        &mut self,
        now: Duration,
        to: IpAddr,
        answers: Option<Duration>,
    ) -> Option<Duration> {
        while let Some((_, address)) = self.incomplete.pop_front_if(|(until, _)| *until <= now) {
            self.entries.remove(&address);
        }
        match self.entries.get_mut(&to) {
            Some(Neighbour::Reachable { used }) => {
                *used = now;
                return Some(Duration::ZERO);
            }
            Some(Neighbour::Incomplete) => return None,
            None => {}
        }
        if self.entries.len() >= self.most {
            self.entries.retain(|_, entry| match entry {
                Neighbour::Reachable { used } => *used + UNUSED > now,
                Neighbour::Incomplete => true,
            });
        }
        if self.entries.len() >= self.most {
            self.overflows += 1;
            return None;
        }
        let entry = if answers.is_some() {
            Neighbour::Reachable { used: now }
        } else {
            self.incomplete.push_back((now + GIVEN_UP, to));
            Neighbour::Incomplete
        };
        self.entries.insert(to, entry);
        self.fullest = self.fullest.max(self.entries.len());
        answers
    }
}

/// The receive ring, and how long the engine's side takes for each frame in it.
#[derive(Clone, Copy)]
pub struct Ring {
    pub frames: usize,
    pub each: Duration,
}

/// Somebody who sends what looks like answers, at this rate, from a time on.
pub struct Forger {
    pub from: Duration,
    pub every: Duration,
    pub left: u64,
    pub frames: Vec<Vec<u8>>,
    sent: usize,
}

impl Forger {
    pub fn new(frames: Vec<Vec<u8>>, from: Duration, every: Duration, count: u64) -> Forger {
        Forger { from, every, left: count, frames, sent: 0 }
    }
}

/// What stands on the way, beside weather and hosts.
#[derive(Default)]
pub struct Boxes {
    /// Who answers each SYN to each address and port of these, at once.
    pub proxies: Vec<Prefix>,
    /// Who answers each SYN of these late, twice, and once more five times unless it is reset.
    pub tarpits: Vec<Prefix>,
    pub neighbours: Option<NeighbourTable>,
    /// Echo requests that are let through.
    pub policer: Option<Bucket>,
    /// So many low bits of an address do not tell one kernel from another: they share its rations.
    pub shared_bits: u32,
    /// From when on nothing passes, and when it does again.
    pub silence: Option<(Duration, Duration)>,
    pub ring: Option<Ring>,
    pub forger: Option<Forger>,
}

/// A frame on its way to us.
struct Coming {
    frame: Vec<u8>,
    unless_reset: Option<Conversation>,
}

/// Their address and port, and our port.
type Conversation = (IpAddr, u16, u16);

/// A frame that left our machine.
#[derive(Clone)]
pub struct Left {
    pub at: Duration,
    pub frame: Vec<u8>,
    /// Our kernel sent it.
    pub by_kernel: bool,
}

pub struct Network {
    pub now: Duration,
    pub hosts: HashMap<IpAddr, Arc<Host>>,
    pub weather: Weather,
    pub boxes: Boxes,
    dice: Dice,
    in_burst: bool,
    narrow_until: Duration,
    /// What the frame that is being answered took longer to its host than usual.
    later: Duration,
    rations: HashMap<IpAddr, Rations>,
    coming: BTreeMap<(Duration, u64), Coming>,
    serial: u64,
    resets: HashSet<Conversation>,
    /// What our side has not taken yet, and whether our own kernel sent it.
    ring: Vec<(Vec<u8>, bool)>,
    dropped: u64,
    pub dropped_in_all: u64,
    /// Everything that left our machine.
    pub wire: Vec<Left>,
}

#[derive(Clone)]
pub struct Wire(pub Arc<Mutex<Network>>, pub Vec<Vec<u8>>);

impl Transmit for Wire {
    /// As a real link: what is queued leaves with a full batch or a flush, and not before.
    fn queue(&mut self, frame: &[u8]) -> Result<(), LinkError> {
        self.1.push(frame.to_vec());
        if self.1.len() >= 64 {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<usize, LinkError> {
        let mut network = self.0.lock().unwrap();
        let at = network.now;
        let queued = std::mem::take(&mut self.1);
        for frame in &queued {
            network.wire.push(Left { at, frame: frame.clone(), by_kernel: false });
            network.take(frame);
        }
        Ok(queued.len())
    }

    fn interface(&self) -> &str {
        "sim"
    }
}

impl Network {
    pub fn new(hosts: Vec<(IpAddr, Host)>, weather: Weather, seed: u64) -> Network {
        Network {
            now: ms(10),
            hosts: hosts.into_iter().map(|(address, host)| (address, Arc::new(host))).collect(),
            weather,
            boxes: Boxes::default(),
            dice: Dice(seed | 1),
            in_burst: false,
            narrow_until: Duration::ZERO,
            later: Duration::ZERO,
            rations: HashMap::new(),
            coming: BTreeMap::new(),
            serial: 0,
            resets: HashSet::new(),
            ring: Vec::new(),
            dropped: 0,
            dropped_in_all: 0,
            wire: Vec::new(),
        }
    }

    fn lost(&mut self) -> bool {
        if let Some(bursts) = self.weather.bursts {
            let turns = if self.in_burst { bursts.ends } else { bursts.begins };
            self.in_burst ^= self.dice.chance(turns);
            if self.in_burst {
                return true;
            }
        }
        self.dice.chance(self.weather.loss)
    }

    fn is_silent(&self, at: Duration) -> bool {
        self.boxes.silence.is_some_and(|(from, until)| from <= at && at < until)
    }

    fn deliver(&mut self, frame: Vec<u8>) {
        self.deliver_late(frame, Duration::ZERO, None);
    }

    fn deliver_late(&mut self, frame: Vec<u8>, late: Duration, unless_reset: Option<Conversation>) {
        if self.lost() {
            return;
        }
        let copies = 1 + u64::from(self.dice.chance(self.weather.doubled));
        for _ in 0..copies {
            let jitter = self.weather.jitter.as_micros() as u64 + 1;
            let mut due = self.now + self.later + self.weather.delay + late;
            due += Duration::from_micros(self.dice.below(jitter));
            if self.dice.chance(self.weather.overtaken) {
                due += ms(3);
            }
            self.serial += 1;
            let coming = Coming { frame: frame.clone(), unless_reset };
            self.coming.insert((due, self.serial), coming);
        }
    }

    /// A frame of ours arrives at the others.
    fn take(&mut self, bytes: &[u8]) {
        if self.is_silent(self.now) || self.lost() {
            return;
        }
        self.later = Duration::ZERO;
        if let Some(narrow) = self.weather.narrow {
            let each = Duration::from_secs(1) / narrow.per_second;
            let begins = self.narrow_until.max(self.now);
            if begins - self.now > each * narrow.queue {
                return;
            }
            self.narrow_until = begins + each;
            self.later = self.narrow_until - self.now;
        }
        let frame = Frame::read(bytes).unwrap();
        match frame.body {
            Body::Arp(arp) => {
                let target = IpAddr::V4(arp.target_ip);
                if let Some(host) = self.hosts.get(&target) {
                    let mac = host.speaks_from.unwrap_or(mac_of(target));
                    let mut answer = Vec::new();
                    ethernet::write(&mut answer, OURS, mac, EtherType::ARP);
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
            Body::Ip(packet) => self.take_packet(&frame, &packet),
            Body::Other(_) => {}
        }
    }

    fn take_packet(&mut self, frame: &Frame<'_>, packet: &Packet<'_>) {
        let macs = |source| build::Macs { source, destination: OURS };
        let to = packet.destination;
        if let Some(target) = packet.nd_target() {
            if let Some(host) = self.hosts.get(&IpAddr::V6(target)) {
                let mac = mac_of(target.into());
                let mut message = vec![0x60, 0, 0, 0];
                message.extend_from_slice(&target.octets());
                message.extend_from_slice(&[2, 1]);
                message.extend_from_slice(&mac.0);
                let IpAddr::V6(us) = packet.source else { return };
                let source = host.speaks_from.unwrap_or(mac);
                let answer = icmpv6(macs(source), target, us, 255, 136, 0, &message);
                self.deliver(answer);
            }
            return;
        }
        if to == IpAddr::V6(jiebei::net::special::ALL_NODES) {
            let mut all: Vec<IpAddr> = self.hosts.keys().copied().collect();
            all.sort_unstable();
            for host in all.into_iter().filter(IpAddr::is_ipv6) {
                if let Some(reply) = echo_reply(macs(mac_of(host)), packet, host) {
                    self.deliver(reply);
                }
            }
            return;
        }
        self.routed(frame, packet);
    }

    /// A unicast packet: for a host on the link, or through a gateway or neighbour.
    fn routed(&mut self, frame: &Frame<'_>, packet: &Packet<'_>) {
        let to = packet.destination;
        if mac_of(to) != frame.destination && !self.passed_on(frame, packet) {
            return;
        }
        let holds = |prefixes: &[Prefix]| prefixes.iter().any(|prefix| prefix.contains(to));
        if packet.protocol == TCP && holds(&self.boxes.tarpits) {
            self.hold_in_tarpit(frame.destination, packet);
            return;
        }
        if packet.protocol == TCP && holds(&self.boxes.proxies) {
            let macs = build::Macs { source: frame.destination, destination: OURS };
            self.deliver(segment_for(macs, packet, tcp::SYN | tcp::ACK));
            return;
        }
        let Some(host) = self.hosts.get(&to).cloned() else { return };
        let source = host.speaks_from.unwrap_or(frame.destination);
        let macs = build::Macs { source, destination: OURS };
        match packet.protocol {
            ICMP | ICMPV6 if host.echo => {
                let now = self.now;
                if self.boxes.policer.as_mut().is_some_and(|policer| !policer.take(now)) {
                    return;
                }
                if let Some(reply) = echo_reply(macs, packet, to) {
                    self.deliver(reply);
                }
            }
            TCP => {
                let open = host.open.contains(&Port::tcp(packet.ports().unwrap().1));
                if open || host.honest {
                    let flags = if open { tcp::SYN | tcp::ACK } else { tcp::RST | tcp::ACK };
                    self.deliver(segment_for(macs, packet, flags));
                }
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
                    && let Some(answer) = self.error(to, source, packet, Kind::PortUnreachable)
                {
                    self.deliver(answer);
                }
            }
            _ => {}
        }
    }

    /// A packet that is given to somebody else than its destination: whether it gets there.
    fn passed_on(&mut self, frame: &Frame<'_>, packet: &Packet<'_>) -> bool {
        let to = packet.destination;
        let router = if frame.destination == GATEWAY {
            if to.is_ipv4() { ip("10.20.1.1") } else { ip("fd20::1") }
        } else {
            let forwards = |(address, host): &(&IpAddr, &Arc<Host>)| {
                host.forwards
                    && mac_of(**address) == frame.destination
                    && address.is_ipv4() == to.is_ipv4()
            };
            let Some((address, _)) = self.hosts.iter().find(forwards) else { return false };
            *address
        };
        // Two hops: the router, then the host.
        if packet.hop_limit == 1 {
            if let Some(answer) = self.error(router, frame.destination, packet, Kind::TimeExceeded)
            {
                self.deliver(answer);
            }
            return false;
        }
        let holds = |prefixes: &[Prefix]| prefixes.iter().any(|prefix| prefix.contains(to));
        let is_there = self.hosts.contains_key(&to)
            || holds(&self.boxes.proxies)
            || holds(&self.boxes.tarpits);
        let answers = is_there.then_some(ms(1));
        if let Some(neighbours) = &mut self.boxes.neighbours {
            let Some(took) = neighbours.resolve(self.now + self.later, to, answers) else {
                return false;
            };
            self.later += took;
        }
        is_there
    }

    fn hold_in_tarpit(&mut self, mac: Mac, packet: &Packet<'_>) {
        let macs = build::Macs { source: mac, destination: OURS };
        let answer = segment_for(macs, packet, tcp::SYN | tcp::ACK);
        let (ours, theirs) = packet.ports().unwrap();
        let conversation = Some((packet.destination, theirs, ours));
        let late = ms(self.dice.below(3000));
        self.deliver_late(answer.clone(), late, None);
        self.deliver_late(answer.clone(), late, None);
        // Linux's waits: 1, 3, 7, 15 and 31 s after the first.
        for again in [1, 3, 7, 15, 31] {
            self.deliver_late(answer.clone(), late + ms(1000 * again), conversation);
        }
    }

    /// An ICMP error, if the rations allow.
    fn error(&mut self, by: IpAddr, mac: Mac, about: &Packet<'_>, kind: Kind) -> Option<Vec<u8>> {
        let rations = self.rations.entry(kernel_of(by, self.boxes.shared_bits)).or_default();
        if !rations.to_all.take(self.now) || !rations.to_us.take(self.now) {
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

    /// When the next frame comes.
    fn next(&self) -> Option<Duration> {
        let forger = self.boxes.forger.as_ref().filter(|forger| forger.left > 0);
        let coming = self.coming.keys().next().map(|(due, _)| *due);
        coming.into_iter().chain(forger.map(|forger| forger.from)).min()
    }

    /// Everything that is due comes to our kernel, and into the ring.
    fn arrive(&mut self) {
        let now = self.now;
        while let Some(forger) = &mut self.boxes.forger
            && forger.left > 0
            && forger.from <= now
        {
            let (due, frame) = (forger.from, forger.frames[forger.sent].clone());
            forger.sent = (forger.sent + 1) % forger.frames.len();
            forger.left -= 1;
            forger.from += forger.every;
            self.serial += 1;
            self.coming.insert((due, self.serial), Coming { frame, unless_reset: None });
            if self.coming.len() > 10_000 {
                break;
            }
        }
        while let Some(entry) = self.coming.first_entry().filter(|entry| entry.key().0 <= now) {
            let (at, coming) = (entry.key().0, entry.remove());
            let reset = |conversation| self.resets.contains(&conversation);
            if self.is_silent(at) || coming.unless_reset.is_some_and(reset) {
                continue;
            }
            // Our kernel resets a SYN-ACK for which it has no socket, whether we take it or not.
            if let Some((conversation, reset)) = reset_for(&coming.frame) {
                self.wire.push(Left { at, frame: reset.clone(), by_kernel: true });
                self.resets.insert(conversation);
                self.keep((reset, true));
            }
            self.keep((coming.frame, false));
        }
    }

    fn keep(&mut self, heard: (Vec<u8>, bool)) {
        if self.boxes.ring.is_some_and(|ring| self.ring.len() >= ring.frames) {
            self.dropped += 1;
            self.dropped_in_all += 1;
        } else {
            self.ring.push(heard);
        }
    }
}

enum Kind {
    TimeExceeded,
    PortUnreachable,
}

/// Whose rations an address shares.
fn kernel_of(address: IpAddr, bits: u32) -> IpAddr {
    match address {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() >> bits << bits).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> bits << bits).into(),
    }
}

/// The answer to a SYN.
fn segment_for(macs: build::Macs, packet: &Packet<'_>, flags: u8) -> Vec<u8> {
    let (ours, theirs) = packet.ports().unwrap();
    let sequence = u32::from_be_bytes(packet.payload[4..8].try_into().unwrap());
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
    build::tcp_segment(macs, packet.destination, packet.source, 63, &answer).unwrap()
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

fn reset_for(frame: &[u8]) -> Option<(Conversation, Vec<u8>)> {
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
    let reset = build::tcp_segment(macs, packet.destination, packet.source, 64, &reset)?;
    Some(((packet.source, theirs, ours), reset))
}

/// Hand-moved time: a look at the clock costs 2 µs, waiting goes straight to the next frame.
pub struct Sim {
    pub fence: Fence,
    pub network: Arc<Mutex<Network>>,
    /// When the receiving side says that it lost a frame, the next time last.
    pub troubles: Vec<Duration>,
    /// When it said so.
    pub told: Vec<Duration>,
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

    fn ear(&mut self) -> Ear {
        let mut network = self.network.lock().unwrap();
        network.arrive();
        let fill =
            network.boxes.ring.map_or(0.0, |ring| network.ring.len() as f32 / ring.frames as f32);
        let mut dropped = std::mem::take(&mut network.dropped);
        if self.troubles.pop_if(|at| *at <= network.now).is_some() {
            dropped += 1;
        }
        if dropped > 0 {
            self.told.push(network.now);
        }
        Ear { dropped, fill }
    }

    fn receive(
        &mut self,
        patience: Duration,
        take: &mut dyn FnMut(&mut Fence, Heard<'_>),
    ) -> Result<usize, LinkError> {
        let (ready, now) = {
            let network = &mut *self.network.lock().unwrap();
            network.arrive();
            if network.ring.is_empty() {
                let until = network.now + patience;
                let next = network.next().filter(|due| *due <= until);
                network.now = next.map_or(until, |due| due.max(network.now));
                network.arrive();
            }
            let (ready, now) = (std::mem::take(&mut network.ring), network.now);
            if let Some(ring) = network.boxes.ring {
                network.now += ring.each * ready.len() as u32;
            }
            (ready, now)
        };
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
