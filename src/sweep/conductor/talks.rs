//! What registered routers tell by SNMP, and which names a server inside of the scope has: by the kernel's sockets, with the
//! fence's leave.
//!
//! A talk is a state that is carried through many conversations, each within the places of one leave, so that a long table
//! costs a device no more at a time than a short one.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;

use super::*;
use crate::scope::{ConversationPermit, Datagrams, Leave, Patience, To, Transport as By, Wanted};
use crate::sweep::profile::Secret;
use crate::sweep::{reverse_walk, snmp_walk, zone_transfer};

/// Talks at once, each with another address.
const AT_ONCE: usize = 8;
/// How long the conductor listens between two looks at what came back.
const BETWEEN: Duration = Duration::from_millis(10);
/// Frames of one conversation: at least, or nothing can be said, and at most. Between them as many as the ceiling gives one
/// address in a second.
const FRAMES: std::ops::RangeInclusive<u32> = 12..=100;
/// Conversations of one talk: with twelve datagrams each more than the bound of rows needs.
const MOST_PARTS: usize = 400;
/// Datagrams looked at after a question; a server sends one.
const MOST_DATAGRAMS: usize = 8;
/// How often a question is asked. Without any answer so far, the talk ends at that.
const TIMES: usize = 2;
/// Registered devices, servers and prefixes that are asked in one sweep. Guesses.
const MOST_ROUTERS: usize = 256;
const MOST_SERVERS: usize = 4;
const MOST_PREFIXES: usize = 64;
/// Addresses of one device that are tried until one speaks.
const MOST_ADDRESSES: usize = 2;

/// A resolver or an agent that has the answer at all has it within a second or two.
const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(2),
    turn: Duration::from_millis(1500),
    whole: Duration::from_secs(12),
};

enum State {
    Snmp { walk: Box<snmp_walk::Walk>, communities: Vec<Secret> },
    Names(Box<reverse_walk::Walk>),
    Transfer { prefix: Prefix, id: u16, done: bool },
}

/// A talk with one address.
struct Talk {
    to: SocketAddr,
    state: State,
    parts: usize,
    answered: bool,
}

impl Talk {
    fn is_over(&self) -> bool {
        let over = match &self.state {
            State::Snmp { walk, communities } => walk.is_over() || communities.is_empty(),
            State::Names(walk) => walk.is_over(),
            State::Transfer { done, .. } => *done,
        };
        over || self.parts >= MOST_PARTS
    }

    fn source(&self) -> Source {
        match self.state {
            State::Snmp { .. } => Source::Snmp,
            State::Names(_) | State::Transfer { .. } => Source::Dns,
        }
    }

    fn by(&self) -> By {
        match self.state {
            State::Transfer { .. } => By::Tcp,
            _ => By::Udp,
        }
    }

    fn question(&mut self) -> Option<Vec<u8>> {
        match &mut self.state {
            State::Snmp { walk, communities } => walk.question(communities.first()?.reveal()),
            State::Names(walk) => walk.question(),
            State::Transfer { .. } => None,
        }
    }

    /// What a datagram told; `None` where it answers nothing.
    fn read(&mut self, octets: &[u8]) -> Option<Vec<Fact>> {
        match &mut self.state {
            State::Snmp { walk, .. } => match walk.read(octets) {
                snmp_walk::Step::Read(facts) => Some(facts),
                snmp_walk::Step::NotOurs => None,
            },
            State::Names(walk) => match walk.read(octets) {
                reverse_walk::Step::Read(facts) => Some(facts),
                reverse_walk::Step::NotOurs => None,
            },
            State::Transfer { .. } => None,
        }
    }

    /// Nobody answered. An agent is silent to a community that it does not know: the next one, if there is one.
    fn unanswered(&mut self) {
        match &mut self.state {
            State::Snmp { communities, .. } if !self.answered && !communities.is_empty() => {
                communities.remove(0);
            }
            State::Snmp { communities, .. } => communities.clear(),
            State::Names(walk) => walk.give_up(),
            State::Transfer { done, .. } => *done = true,
        }
    }

    /// Goes on for as long as the places of a leave last.
    fn go_on(&mut self, permit: ConversationPermit, interface: &str) -> Vec<Fact> {
        let mut facts = Vec::new();
        if let State::Transfer { prefix, id, done } = &mut self.state {
            *done = true;
            if let Ok(mut stream) = permit.connect(interface, PATIENCE) {
                facts = zone_transfer::transfer(&mut stream, self.to.ip(), *prefix, *id);
                self.answered = !facts.is_empty();
            }
            return facts;
        }
        let Ok(mut datagrams) = permit.datagrams(interface, PATIENCE) else {
            self.unanswered();
            return facts;
        };
        while let Some(question) = (!self.is_over()).then(|| self.question()).flatten() {
            match self.ask(&mut datagrams, &question) {
                Ok(Some(told)) => {
                    self.answered = true;
                    facts.extend(told);
                }
                Ok(None) => {
                    self.unanswered();
                    break;
                }
                Err(error) => {
                    // Anything else than the end of the places: it cannot be sent to at all.
                    if error.kind() != io::ErrorKind::QuotaExceeded {
                        self.unanswered();
                    }
                    break;
                }
            }
        }
        facts
    }

    /// Asks once or twice. An error: the leave is used up, and nothing is said of the other side.
    fn ask(&mut self, datagrams: &mut Datagrams, question: &[u8]) -> io::Result<Option<Vec<Fact>>> {
        for _ in 0..TIMES {
            datagrams.send(question)?;
            for _ in 0..MOST_DATAGRAMS {
                match datagrams.receive() {
                    Ok((port, octets)) if port == datagrams.to().port() => {
                        if let Some(facts) = self.read(&octets) {
                            return Ok(Some(facts));
                        }
                    }
                    Ok(_) => {}
                    Err(_) => break,
                }
            }
        }
        Ok(None)
    }
}

impl Conductor<'_> {
    /// Reads the tables of registered devices, where the profile has a community for them.
    pub(super) fn ask_routers(&mut self) -> Result<(), Halt> {
        if self.orders.snmp.is_empty() {
            return Ok(());
        }
        for station in &self.orders.stations {
            let mut tried: BTreeMap<usize, Vec<IpAddr>> = BTreeMap::new();
            for (place, ip) in self.registered_routers(station.id) {
                tried.entry(place).or_default().push(ip);
            }
            for turn in 0..MOST_ADDRESSES {
                let talks: Vec<Talk> = tried
                    .values()
                    .filter_map(|ips| ips.get(turn).copied())
                    .filter(|ip| !self.spoken_with(station, "snmp", *ip, None))
                    .map(|ip| Talk {
                        to: SocketAddr::new(ip, snmp_walk::PORT),
                        state: State::Snmp {
                            walk: Box::new(snmp_walk::Walk::new(ip, self.seed ^ number_of(ip))),
                            communities: self.orders.snmp.clone(),
                        },
                        parts: 0,
                        answered: false,
                    })
                    .collect();
                for talk in self.talk("snmp", station, talks)? {
                    self.state.done.insert(talk_id(station, "snmp", talk.to.ip(), None));
                    if talk.answered {
                        tried.retain(|_, ips| !ips.contains(&talk.to.ip()));
                    }
                }
            }
        }
        self.learn_routes();
        Ok(())
    }

    /// Addresses of registered devices that answered or were heard and whose MAC is not another's, by the device's place.
    fn registered_routers(&self, vantage: VantageId) -> Vec<(usize, IpAddr)> {
        let Some(registry) = &self.orders.registry else { return Vec::new() };
        let live = self.live(vantage);
        let mut routers = Vec::new();
        for (place, device) in registry.devices.iter().enumerate() {
            let contradicted = device.ip.iter().any(|ip| {
                let seen = self.intake.live.mac_of(vantage, *ip);
                seen.is_some_and(|mac| {
                    !device.mac.is_empty() && !mac.is_redundancy() && !device.mac.contains(&mac)
                })
            });
            if !contradicted {
                let there = device.ip.iter().filter(|ip| live.contains(**ip));
                routers.extend(there.take(MOST_ADDRESSES).map(|ip| (place, *ip)));
            }
            if routers.len() >= MOST_ROUTERS {
                break;
            }
        }
        routers
    }

    /// IPv6 prefixes that routers told, as far as a candidate of theirs may be asked, join the territory.
    fn learn_routes(&mut self) {
        let scope = self.orders.share();
        let mut told = BTreeSet::new();
        for (_, observation) in self.intake.log.iter() {
            let prefix = match &observation.fact {
                Fact::ToldAddress { prefix: Some(prefix), .. } => *prefix,
                Fact::ToldRoute { prefix, .. } => *prefix,
                _ => continue,
            };
            // Shorter ones are summaries, longer ones single hosts and links.
            let is_segment = !prefix.is_ipv4() && (48..=64).contains(&prefix.length());
            if is_segment && scope.covers(prefix) {
                told.insert(prefix);
            }
        }
        let fresh: Vec<Prefix> = told
            .into_iter()
            .filter(|prefix| !self.territory.full.iter().any(|area| area.prefix.covers(*prefix)))
            .take(MOST_PREFIXES)
            .collect();
        if !fresh.is_empty() {
            self.learnt.extend(fresh);
            self.plan_again();
        }
    }

    /// Walks ip6.arpa for the IPv6 prefixes that are asked, with servers inside of the scope.
    pub(super) fn ask_names(&mut self) -> Result<(), Halt> {
        let discovery = &self.orders.profile.discovery;
        if !discovery.ipv6_dns {
            return Ok(());
        }
        for station in &self.orders.stations {
            let mut prefixes: BTreeSet<Prefix> =
                self.routed(Family::Ipv6, station.id).iter().map(|area| area.prefix).collect();
            prefixes.extend(self.on_link_ipv6(station));
            let mut left: BTreeMap<Prefix, usize> = prefixes
                .into_iter()
                .take(MOST_PREFIXES)
                .map(|prefix| (prefix, reverse_walk::MOST_QUESTIONS))
                .collect();
            for server in self.name_servers(station) {
                self.ask_zones(station, server, left.keys().copied().collect())?;
                let talks: Vec<Talk> = left
                    .iter()
                    .filter(|(prefix, left)| {
                        **left > 0 && !self.spoken_with(station, "names", server, Some(**prefix))
                    })
                    .map(|(prefix, left)| {
                        let seed = self.seed ^ prefix.first_number() as u64 ^ number_of(server);
                        let walk = reverse_walk::Walk::new(server, *prefix, seed, *left);
                        Talk {
                            to: SocketAddr::new(server, reverse_walk::PORT),
                            state: State::Names(Box::new(walk)),
                            parts: 0,
                            answered: false,
                        }
                    })
                    .collect();
                for talk in self.talk("names", station, talks)? {
                    let State::Names(walk) = &talk.state else { continue };
                    let prefix = walk.prefix();
                    self.state.done.insert(talk_id(station, "names", server, Some(prefix)));
                    // Who knows of the prefix has said what there is.
                    left.insert(prefix, if walk.is_known { 0 } else { walk.left() });
                }
            }
        }
        Ok(())
    }

    /// Asks a server for its zones whole, where the profile allows it.
    fn ask_zones(
        &mut self,
        station: &Station,
        server: IpAddr,
        prefixes: Vec<Prefix>,
    ) -> Result<(), Halt> {
        if !self.orders.profile.discovery.axfr {
            return Ok(());
        }
        let talks = prefixes
            .into_iter()
            .filter(|prefix| !self.spoken_with(station, "zones", server, Some(*prefix)))
            .map(|prefix| Talk {
                to: SocketAddr::new(server, reverse_walk::PORT),
                state: State::Transfer {
                    prefix,
                    id: (self.seed ^ prefix.first_number() as u64 >> 16) as u16,
                    done: false,
                },
                parts: 0,
                answered: false,
            })
            .collect();
        for talk in self.talk("zones", station, talks)? {
            if let State::Transfer { prefix, .. } = talk.state {
                self.state.done.insert(talk_id(station, "zones", server, Some(prefix)));
            }
        }
        Ok(())
    }

    /// Servers that the profile, DHCP or router advertisements name, and whoever answered on their port.
    fn name_servers(&self, station: &Station) -> Vec<IpAddr> {
        let scope = self.orders.share();
        let mut servers: Vec<IpAddr> = self.orders.profile.discovery.name_servers.clone();
        servers.extend(self.named_resolvers(station.id));
        let open = self.open_ports(station.id);
        let open = open.iter().filter(|(_, port)| *port == Port::udp(reverse_walk::PORT));
        servers.extend(open.map(|(ip, _)| *ip));
        let mut known = BTreeSet::new();
        servers.retain(|ip| scope.contains(*ip) && known.insert(*ip));
        servers.truncate(MOST_SERVERS);
        servers
    }

    fn spoken_with(
        &self,
        station: &Station,
        name: &str,
        with: IpAddr,
        prefix: Option<Prefix>,
    ) -> bool {
        self.state.is_done(talk_id(station, name, with, prefix))
    }

    /// Has all talks to their end.
    fn talk(
        &mut self,
        name: &'static str,
        station: &Station,
        talks: Vec<Talk>,
    ) -> Result<Vec<Talk>, Halt> {
        if talks.is_empty() {
            return Ok(talks);
        }
        self.reporter.pass(name, &station.interface, talks.len() as u128);
        let began = Instant::now();
        let count = talks.len() as u64;
        let mut waiting: VecDeque<Talk> = talks.into();
        let mut over = Vec::new();
        let (tell, told) = mpsc::channel::<(Talk, Vec<Fact>)>();
        // One at a time with one address: it is gentler, and tells whose the frames are.
        let mut running: HashSet<SocketAddr> = HashSet::new();
        while !running.is_empty() || !waiting.is_empty() {
            if self.reporter.stopping() {
                return Err(Halt::Stopped);
            }
            for _ in 0..waiting.len() {
                if running.len() >= AT_ONCE {
                    break;
                }
                let Some(talk) = waiting.pop_front() else { break };
                if talk.is_over() {
                    over.push(talk);
                    continue;
                }
                if running.contains(&talk.to) {
                    waiting.push_back(talk);
                    continue;
                }
                match self.leave_to_talk(station, talk.to, talk.by()) {
                    Leave::Now(permit) => {
                        running.insert(talk.to);
                        lock(&self.tape).begin_conversation((talk.to.ip(), talk.to.port()));
                        begin(talk, permit, station.interface.clone(), tell.clone());
                    }
                    Leave::Later(_) => waiting.push_back(talk),
                    Leave::Refused(_) => over.push(talk),
                }
            }
            self.hear_for(BETWEEN)?;
            while let Ok((talk, facts)) = told.try_recv() {
                running.remove(&talk.to);
                let with = (talk.to.ip(), talk.to.port());
                let frames = lock(&self.tape).end_conversation(with);
                let at = self.now();
                for fact in facts {
                    self.intake.note(at, station.id, talk.source(), fact, &frames);
                }
                // First again, so that one talk ends before another with the same address begins.
                waiting.push_front(talk);
            }
        }
        let answers = over.iter().filter(|talk| talk.answered).count() as u64;
        self.head.passes.push(v1::Pass {
            name: name.to_owned(),
            targets: count,
            // The kernel's frames are counted as they are heard.
            packets: 0,
            answers,
            seconds: rounded(began.elapsed()),
        });
        self.save_now_and_then();
        Ok(over)
    }

    fn leave_to_talk(
        &mut self,
        station: &Station,
        to: SocketAddr,
        transport: By,
    ) -> Leave<ConversationPermit> {
        let mac = self.intake.live.mac_of(station.id, to.ip()).unwrap_or(Mac::ZERO);
        let per_target = self.orders.profile.rate.per_target;
        let frames = per_target.clamp(*FRAMES.start(), *FRAMES.end());
        let now = self.world.now();
        let (whom, vantage) = (To::Target, station.id);
        self.world.fence().converse(&Wanted { to, whom, transport, vantage, mac, frames }, now)
    }
}

/// A part of a talk, in a thread of its own.
fn begin(
    mut talk: Talk,
    permit: ConversationPermit,
    interface: String,
    tell: mpsc::Sender<(Talk, Vec<Fact>)>,
) {
    talk.parts += 1;
    std::thread::spawn(move || {
        let facts = talk.go_on(permit, &interface);
        // Nobody waits any more where the sweep was stopped.
        let _ = tell.send((talk, facts));
    });
}

fn talk_id(station: &Station, name: &str, with: IpAddr, prefix: Option<Prefix>) -> u64 {
    let of = prefix.map_or(0, |prefix| prefix.first_number() as u64 ^ u64::from(prefix.length()));
    pass_id(name, station.id, number_of(with).rotate_left(17) ^ of)
}

fn number_of(ip: IpAddr) -> u64 {
    let number = crate::net::family::number(ip);
    number as u64 ^ (number >> 64) as u64
}
