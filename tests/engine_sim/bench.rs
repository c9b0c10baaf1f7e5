//! Passes in a network in memory, and what must hold after each.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiebei::net::{AddressSet, Port, Prefix};
use jiebei::observe::{Fact, PortState};
use jiebei::scan::{
    Care, Checkpoint, Heard, NextHops, Outcome, Pass, PortRange, Progress, Recognised, Recogniser,
    SourcePorts, SweepKey, Targets, Watcher, probe, run,
};
use jiebei::scope::frame::{Body, Frame};
use jiebei::scope::{Ceilings, Fence, Guard, Risk, Rules, Vantage};
use jiff::Timestamp;

use crate::network::*;

pub fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

pub fn set(prefixes: &[&str]) -> AddressSet {
    prefixes.iter().copied().map(prefix).collect()
}

/// Keeps everything; stops after so many batches, if told to.
pub struct Log {
    pub facts: BTreeMap<Fact, u64>,
    /// The questions that were answered, in order.
    pub answered: Vec<(IpAddr, u16)>,
    /// Every frame, unless that is too many.
    pub frames: Option<Vec<Vec<u8>>>,
    /// With how many questions were answered until then.
    pub checkpoints: Vec<(Checkpoint, usize)>,
    pub stop_after: Option<u64>,
    pub batches: u64,
}

impl Default for Log {
    fn default() -> Log {
        Log {
            facts: BTreeMap::new(),
            answered: Vec::new(),
            frames: Some(Vec::new()),
            checkpoints: Vec::new(),
            stop_after: None,
            batches: 0,
        }
    }
}

impl Watcher for Log {
    fn frame(&mut self, heard: &Heard<'_>, recognised: Option<Recognised>) {
        if let Some(frames) = &mut self.frames {
            frames.push(heard.bytes.to_vec());
        }
        if let Some(recognised) = recognised {
            *self.facts.entry(recognised.fact).or_default() += 1;
        }
    }

    fn answer(&mut self, recognised: &Recognised) {
        if let Fact::Answer { ip, port, .. } = &recognised.fact {
            self.answered.push((*ip, port.map_or(0, |port| port.number)));
        }
    }

    fn progress(&mut self, _: &Progress) {}

    fn checkpoint(&mut self, checkpoint: &Checkpoint) {
        self.checkpoints.push((*checkpoint, self.answered.len()));
    }

    fn stopping(&mut self) -> bool {
        self.batches += 1;
        self.stop_after.is_some_and(|after| self.batches > after)
    }
}

impl Log {
    /// Address, port and state of every answer.
    pub fn answers(&self) -> BTreeSet<(IpAddr, Option<Port>, PortState)> {
        self.facts
            .keys()
            .filter_map(|fact| match fact {
                Fact::Answer { ip, port, state, .. } => Some((*ip, *port, *state)),
                _ => None,
            })
            .collect()
    }

    pub fn found(&self) -> BTreeSet<IpAddr> {
        self.answers().into_iter().map(|(ip, ..)| ip).collect()
    }
}

pub const PORTS: SourcePorts = SourcePorts {
    tcp: PortRange { first: 20_000, count: 1024 },
    udp: PortRange { first: 22_000, count: 256 },
};

pub const CEILINGS: Ceilings =
    Ceilings { packets_per_second: 5000, per_target: 40, per_prefix: 256 };

pub struct Bench {
    pub sim: Sim,
    pub recogniser: Recogniser,
    pub hops: NextHops,
    pub log: Log,
    pub ceilings: Ceilings,
    pub care: Care,
}

impl Bench {
    pub fn new(hosts: Vec<(&str, Host)>, weather: Weather, seed: u64) -> Bench {
        Bench::with(hosts, weather, seed, CEILINGS, |_| {})
    }

    pub fn with(
        hosts: Vec<(&str, Host)>,
        weather: Weather,
        seed: u64,
        ceilings: Ceilings,
        change: impl FnOnce(&mut Rules),
    ) -> Bench {
        let hosts = hosts.into_iter().map(|(address, host)| (ip(address), host)).collect();
        Bench::on_link("10.20.1.0/24", hosts, weather, seed, ceilings, change)
    }

    /// With a link of this IPv4 prefix. Hosts on the link are resolved already.
    pub fn on_link(
        link: &str,
        hosts: Vec<(IpAddr, Host)>,
        weather: Weather,
        seed: u64,
        ceilings: Ceilings,
        change: impl FnOnce(&mut Rules),
    ) -> Bench {
        let vantage = Vantage {
            id: V,
            mac: OURS,
            addresses: vec![
                (ip("10.20.1.5"), prefix(link)),
                (ip("fd20::5"), prefix("fd20::/64")),
                (ip("fe80::5"), prefix("fe80::/64")),
            ],
        };
        let mut rules = Rules {
            scope: set(&["10.20.0.0/16", "10.30.0.0/16", "fd20::/32", "fd30::/32"]),
            exclude: AddressSet::default(),
            observe_only: AddressSet::default(),
            risk: Risk::LINK_WIDE,
            window: None,
            canaries: vec![],
            collector: None,
            vantages: vec![vantage.clone()],
        };
        change(&mut rules);
        let mut hops = NextHops::new();
        hops.gateway(prefix("0.0.0.0/0"), GATEWAY);
        hops.gateway(prefix("::/0"), GATEWAY);
        for on_link in [link, "fd20::/64", "fe80::/64"] {
            hops.on_link(prefix(on_link));
        }
        for (host, _) in &hosts {
            if vantage.on_link(*host).is_some() {
                hops.neighbour(*host, mac_of(*host));
            }
        }
        let network = Arc::new(Mutex::new(Network::new(hosts, weather, seed)));
        let mut fence = Fence::new(Guard::new(rules, Timestamp::UNIX_EPOCH), ceilings);
        fence.add_link(V, Box::new(Wire(network.clone(), Vec::new())));
        let key = SweepKey::from_bytes([seed as u8; 32]);
        Bench {
            sim: Sim { fence, network, troubles: Vec::new(), told: Vec::new() },
            recogniser: Recogniser::new(key, PORTS, &[vantage]),
            hops,
            log: Log::default(),
            ceilings,
            care: Care::new(seed),
        }
    }

    pub fn network(&self) -> MutexGuard<'_, Network> {
        self.sim.network.lock().unwrap()
    }

    pub fn run(
        &mut self,
        name: &str,
        targets: Targets,
        change: impl FnOnce(&mut Pass<'_>),
    ) -> Outcome {
        self.run_from(name, targets, change, None, &[])
    }

    pub fn run_from(
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

    /// Everything that left, ours and our kernel's, by time.
    pub fn wire(&self) -> Vec<(Duration, Vec<u8>)> {
        let mut wire = self.network().wire.clone();
        wire.sort_by_key(|left| left.at);
        wire.into_iter().map(|left| (left.at, left.frame)).collect()
    }

    /// No second on the wire held more than the ceilings, our kernel's frames included.
    pub fn check_ceilings(&self) {
        let Ceilings { packets_per_second, per_target, .. } = self.ceilings;
        let (most, most_at) = self.most_in_a_second(|_| true);
        assert!(most <= packets_per_second, "{most} in a second");
        assert!(most_at <= per_target, "{most_at} to one address in a second");
    }

    /// Our own frames are within the ceilings. Nobody can hold back our kernel's resets to those who answer one
    /// SYN twice, or when nobody expects it any more: of them in all there is this part more at most.
    pub fn check_own_ceilings(&self, resets: f64) {
        let Ceilings { packets_per_second, per_target, .. } = self.ceilings;
        let (most, most_at) = self.most_in_a_second(|left| !left.by_kernel);
        assert!(most <= packets_per_second, "{most} of ours in a second");
        assert!(most_at <= per_target, "{most_at} of ours to one address in a second");
        let (most, _) = self.most_in_a_second(|_| true);
        let allowed = f64::from(packets_per_second) * (1.0 + resets);
        assert!(f64::from(most) <= allowed, "{most} in a second with our kernel's");
    }

    /// The most frames in any second: in all, and to one address.
    fn most_in_a_second(&self, counts: impl Fn(&Left) -> bool) -> (u32, u32) {
        let mut wire = self.network().wire.clone();
        wire.sort_by_key(|left| left.at);
        let second = Duration::from_secs(1);
        let mut last: VecDeque<Duration> = VecDeque::new();
        let mut of: HashMap<IpAddr, VecDeque<Duration>> = HashMap::new();
        let count = |times: &mut VecDeque<Duration>, at: Duration| {
            while times.pop_front_if(|then| *then + second <= at).is_some() {}
            times.push_back(at);
            times.len() as u32
        };
        let (mut most, mut most_at) = (0, 0);
        for left in wire.iter().filter(|left| counts(left)) {
            most = most.max(count(&mut last, left.at));
            if let Some(to) = target_of(&left.frame) {
                most_at = most_at.max(count(of.entry(to).or_default(), left.at));
            }
        }
        (most, most_at)
    }

    /// The ceilings held, and an outside recogniser, made from the record, reads the same facts out of the frames.
    pub fn finish(self) -> Log {
        self.check_ceilings();
        let record = serde_json::to_string(&self.recogniser.record()).unwrap();
        let again = Recogniser::of_record(&serde_json::from_str(&record).unwrap()).unwrap();
        if let Some(frames) = &self.log.frames {
            let mut facts: BTreeMap<Fact, u64> = BTreeMap::new();
            for frame in frames {
                if let Some(recognised) = again.recognise(V, frame) {
                    *facts.entry(recognised.fact).or_default() += 1;
                }
            }
            assert_eq!(facts, self.log.facts, "a replay gives the same facts");
        }
        self.log
    }
}

/// Whom a frame is for, or about.
pub fn target_of(frame: &[u8]) -> Option<IpAddr> {
    match Frame::read(frame)?.body {
        Body::Arp(arp) => Some(arp.target_ip.into()),
        Body::Ip(packet) => Some(packet.nd_target().map_or(packet.destination, IpAddr::V6)),
        Body::Other(_) => None,
    }
}

/// Whom and what a frame of ours asks: a port, or zero.
pub fn question_of(frame: &[u8]) -> Option<(IpAddr, u16)> {
    let target = target_of(frame)?;
    let port = match Frame::read(frame)?.body {
        Body::Ip(packet) => packet.ports().map_or(0, |(_, theirs)| theirs),
        _ => 0,
    };
    Some((target, port))
}

pub fn addresses(prefix: &str) -> Targets {
    Targets::Addresses(set(&[prefix]))
}

pub fn host() -> Host {
    Host { echo: true, honest: true, ..Host::default() }
}

pub fn many(count: u8) -> Vec<(String, Host)> {
    (0..count).map(|last| (format!("10.20.1.{}", 10 + last), host())).collect()
}

pub fn listed(hosts: &[(String, Host)]) -> Vec<(&str, Host)> {
    hosts.iter().map(|(address, host)| (address.as_str(), host.clone())).collect()
}
