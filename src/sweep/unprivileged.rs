//! A sweep without the right to raw sockets: what the machine's own tables know, and TCP connections by
//! the kernel's own sockets through the fenced connector. What it cannot see (ARP, IPv6 on the link,
//! listening, forwarding), the result says; it is never complete.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::conductor::{
    End, MOSTLY, Reporter, Seen, SweepError, Swept, WhyNot, inventoried, rules,
};
use super::intake::{Intake, lock};
use super::orders::Orders;
use super::profile::Method;
use super::spool::Spool;
use super::tape::Tape;
use super::territory::{Area, Reach, Territory};
use super::vantage::Station;
use crate::link::interfaces::{self, Route};
use crate::net::{Family, Port, Prefix};
use crate::observe::{
    Asked, EgressAsked, EgressMethod, Fact, Log, NotRun, PortState, Source, VantageId,
};
use crate::result::v1;
use crate::scan::Progress;
use crate::scope::{Connected, Connector, Guard, Leave};

/// Connections in flight: each waits in a thread of its own.
const WORKERS: usize = 128;
/// Asked of everybody, to find who is there: what is open or closed here answers, and a silent address
/// costs a second for each.
const FIRST_PORTS: &[u16] = &[443, 22, 80];
/// The most addresses that are asked: a silent one costs a worker a second.
const MOST_TARGETS: usize = 4096;

/// The interfaces' addresses, the ways out, the neighbours that the kernel has resolved, and which
/// ports of the territory take a connection.
pub fn unprivileged(
    orders: &Orders,
    mut head: v1::Sweep,
    reporter: &mut dyn Reporter,
) -> Result<Swept, SweepError> {
    let spool =
        Spool::temporary().map_err(|cause| SweepError::Io { path: "spool".into(), cause })?;
    let tape = Arc::new(Mutex::new(Tape::new(spool, [])));
    let own = orders.stations.iter().map(|station| station.mac).collect();
    let mut intake = Intake::new(Log::default(), Arc::clone(&tape), own);
    for station in &orders.stations {
        own_facts(station, &mut intake);
    }
    let territory = orders.territory(Vec::new());
    let routes = interfaces::routes()?;
    let mut why_not: BTreeMap<_, _> = territory
        .full
        .iter()
        .map(|area| ((area.prefix, area.vantage), WhyNot::Unprivileged))
        .collect();
    let asks = orders.uses(Method::Tcp) && orders.profile.authorisation.risk >= 1;
    let mut said = Vec::new();
    if asks {
        let reachable: Vec<&Area> = territory
            .full_of(Family::Ipv4)
            .filter(|area| leads_there(area, orders, &routes))
            .collect();
        let mut talk = Talk::new(orders, reporter);
        talk.ask(&reachable, &mut intake);
        head.packets_sent = talk.connector.made();
        head.passes = std::mem::take(&mut talk.passes);
        said = std::mem::take(&mut talk.said);
        for area in reachable {
            why_not.remove(&(area.prefix, area.vantage));
        }
    }
    // Who was talked to has been resolved by now.
    for station in &orders.stations {
        neighbours(station, &mut intake)?;
    }
    for said in &said {
        put(said, &territory, &mut intake);
    }
    let known = orders.known_addresses();
    for area in territory.full.iter().filter(|area| area.reach != Reach::OnLink) {
        ghosts(area, &said, &known, &mut intake);
    }
    no_ways_out(orders, &territory, &mut intake);
    {
        let mut tape = lock(&tape);
        let flushed = tape.spool.flush();
        tape.note(flushed);
    }
    head.finished_at = Timestamp::now().to_string();
    let text = "CAP_NET_RAW".to_owned();
    head.notices.push(v1::SweepNotice { code: "unprivileged".into(), text });
    Ok(Swept {
        vantages: orders
            .stations
            .iter()
            .map(|s| inventoried(Some(s.mac), &s.interface, &s.addresses))
            .collect(),
        head,
        log: intake.log,
        tape,
        why_not,
        end: End::Failed("CAP_NET_RAW".into()),
    })
}

/// An answer is put down under the MAC that the kernel resolved for it, or for the gateway it came by.
fn put(said: &Said, territory: &Territory, intake: &mut Intake) {
    let state = match said.connected {
        Connected::Open => PortState::Open,
        Connected::Closed => PortState::Closed,
        Connected::Silent => return,
    };
    let area = territory.full.iter().find(|area| area.prefix.contains(said.ip));
    let neighbour = match area.map(|area| area.reach) {
        Some(Reach::Through(gateway)) => gateway,
        Some(Reach::OnLink) | None => said.ip,
    };
    let Some(mac) = intake.live.mac_of(said.vantage, neighbour) else { return };
    let port = Some(Port::tcp(said.port));
    // A socket does not tell the hop limit.
    let fact = Fact::Answer { ip: said.ip, mac, port, state, hop_limit: 0 };
    intake.note(Timestamp::now(), said.vantage, Source::Tcp, fact, &[]);
}

/// Behind a router where nearly every address takes connections, somebody takes them for all: three that no
/// row of the registry names stand for them.
fn ghosts(area: &Area, said: &[Said], known: &BTreeSet<IpAddr>, intake: &mut Intake) {
    let answered: BTreeSet<IpAddr> =
        said.iter().map(|said| said.ip).filter(|ip| area.targets.contains(*ip)).collect();
    let asked = area.targets.count();
    if asked < 16 || (answered.len() as u128) * 100 < asked * MOSTLY {
        return;
    }
    let Reach::Through(gateway) = area.reach else { return };
    let Some(mac) = intake.live.mac_of(area.vantage, gateway) else { return };
    for ip in answered.into_iter().filter(|ip| !known.contains(ip)).take(3) {
        let fact = Fact::Ghost { prefix: area.prefix, ip, method: "tcp".to_owned(), mac };
        intake.note(Timestamp::now(), area.vantage, Source::Sweep, fact, &[]);
    }
}

/// The egress methods take raw sockets: that they did not run is said, or their silence would be taken for a
/// negative.
fn no_ways_out(orders: &Orders, territory: &Territory, intake: &mut Intake) {
    let at = Timestamp::now();
    for area in &territory.full {
        for method in EgressMethod::ALL {
            let wanted = orders.profile.egress.methods.contains(&method);
            let why = if wanted { NotRun::Unprivileged } else { NotRun::NotWanted };
            let asked = EgressAsked { prefix: area.prefix, method, asked: 0, not_run: Some(why) };
            intake.note(at, area.vantage, Source::Sweep, Fact::EgressAsked(asked), &[]);
        }
    }
}

fn own_facts(station: &Station, intake: &mut Intake) {
    let at = Timestamp::now();
    for &(address, length) in &station.addresses {
        let prefix = Prefix::of(address, length);
        let fact = Fact::Interface { address, prefix, mac: station.mac };
        intake.note(at, station.id, Source::Interface, fact, &[]);
    }
    for &(destination, gateway) in &station.ways {
        if destination.length() == 0 {
            let fact = Fact::Gateway { address: gateway };
            intake.note(at, station.id, Source::Interface, fact, &[]);
        }
    }
}

fn neighbours(station: &Station, intake: &mut Intake) -> Result<(), SweepError> {
    let at = Timestamp::now();
    for neighbour in interfaces::neighbours()?.iter().filter(|n| n.interface == station.index) {
        let Some(mac) = neighbour.mac.filter(|mac| mac.is_station()) else { continue };
        let source = match Family::of(neighbour.ip) {
            Family::Ipv4 => Source::Arp,
            Family::Ipv6 => Source::Ndp,
        };
        intake.note(at, station.id, source, Fact::Binding { ip: neighbour.ip, mac }, &[]);
    }
    Ok(())
}

/// Whether the kernel itself would send to the area by the vantage and the gateway that the plan chose:
/// its sockets go where its routes lead, and nowhere else may anything leave.
fn leads_there(area: &Area, orders: &Orders, routes: &[Route]) -> bool {
    let Some(station) = orders.stations.iter().find(|station| station.id == area.vantage) else {
        return false;
    };
    // A route inside the area could lead elsewhere: then the area is left alone.
    let inside = routes.iter().any(|route| {
        area.prefix.covers(route.destination)
            && route.destination != area.prefix
            && route.interface != station.index
    });
    let best = routes
        .iter()
        .filter(|route| route.destination.covers(area.prefix))
        .max_by_key(|route| (route.destination.length(), std::cmp::Reverse(route.metric)));
    let gateway = match area.reach {
        Reach::OnLink => None,
        Reach::Through(gateway) => Some(gateway),
    };
    !inside && best.is_some_and(|b| b.interface == station.index && b.gateway == gateway)
}

/// Connections, asked in two rounds: a few ports of everybody, then all of whoever answered.
struct Talk<'a> {
    orders: &'a Orders,
    connector: Connector,
    reporter: &'a mut dyn Reporter,
    began: Instant,
    passes: Vec<v1::Pass>,
    /// What answered: put down when the kernel's table tells by which MAC.
    said: Vec<Said>,
}

/// A connection that was made, or not.
struct Said {
    vantage: VantageId,
    ip: IpAddr,
    port: u16,
    connected: Connected,
}

impl<'a> Talk<'a> {
    fn new(orders: &'a Orders, reporter: &'a mut dyn Reporter) -> Talk<'a> {
        let guard = Guard::new(rules(orders), Timestamp::now());
        let connector = Connector::new(guard, orders.profile.rate.into());
        Talk {
            orders,
            connector,
            reporter,
            began: Instant::now(),
            passes: Vec::new(),
            said: Vec::new(),
        }
    }

    fn ask(&mut self, areas: &[&Area], intake: &mut Intake) {
        let everyone = areas
            .iter()
            .flat_map(|area| area.targets.iter().map(|ip| (area.vantage, ip)))
            .take(MOST_TARGETS);
        let everyone: Vec<(VantageId, IpAddr)> = everyone.collect();
        self.pass("tcp-discovery", areas, &everyone, FIRST_PORTS, intake);
        let ports = self.orders.profile.discovery.tcp_ports.0.clone();
        let rest: Vec<u16> = ports.into_iter().filter(|port| !FIRST_PORTS.contains(port)).collect();
        let answered: BTreeSet<IpAddr> = self.said.iter().map(|said| said.ip).collect();
        let live: Vec<_> = everyone.into_iter().filter(|(_, ip)| answered.contains(ip)).collect();
        self.pass("tcp", areas, &live, &rest, intake);
    }

    fn pass(
        &mut self,
        name: &'static str,
        areas: &[&Area],
        targets: &[(VantageId, IpAddr)],
        ports: &[u16],
        intake: &mut Intake,
    ) {
        if targets.is_empty() || ports.is_empty() || self.reporter.stopping() {
            return;
        }
        self.reporter.pass(name, "", targets.len() as u128);
        let began = Instant::now();
        let before = self.connector.made();
        let (answers, stopped) = self.connections(targets, ports);
        self.passes.push(v1::Pass {
            name: name.to_owned(),
            targets: targets.len() as u64,
            packets: self.connector.made() - before,
            answers,
            seconds: began.elapsed().as_secs_f64(),
        });
        for area in areas {
            let asked: Vec<IpAddr> =
                targets.iter().map(|(_, ip)| *ip).filter(|ip| area.prefix.contains(*ip)).collect();
            if asked.is_empty() || stopped {
                continue;
            }
            let fact = Fact::Asked(Asked {
                prefix: area.prefix,
                method: "tcp".to_owned(),
                ports: ports.iter().map(|port| Port::tcp(*port)).collect(),
                asked: asked.len() as u64,
                excluded: area.excluded,
                complete: false,
                addresses: asked,
                proposed: Vec::new(),
            });
            intake.note(Timestamp::now(), area.vantage, Source::Sweep, fact, &[]);
        }
    }

    /// How many connections were answered, and whether they were stopped before their end.
    fn connections(&mut self, targets: &[(VantageId, IpAddr)], ports: &[u16]) -> (u64, bool) {
        let total = targets.len() * ports.len();
        let (mut done, mut answers, mut stopped) = (0usize, 0u64, false);
        let mut all = std::mem::take(&mut self.said);
        let (work, take) = mpsc::sync_channel(WORKERS);
        let take = Arc::new(Mutex::new(take));
        let (tell, said) = mpsc::channel::<Said>();
        std::thread::scope(|scope| {
            for _ in 0..WORKERS {
                let (take, tell) = (Arc::clone(&take), tell.clone());
                scope.spawn(move || {
                    loop {
                        let next = lock(&take).recv();
                        let Ok((vantage, permit)) = next else { return };
                        let permit: crate::scope::ConnectPermit = permit;
                        let address = permit.address();
                        let connected = permit.connect();
                        let (ip, port) = (address.ip(), address.port());
                        if tell.send(Said { vantage, ip, port, connected }).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(tell);
            let mut put = |heard: Said| {
                if heard.connected != Connected::Silent {
                    answers += 1;
                    all.push(heard);
                }
            };
            'asking: for port in ports {
                for (vantage, ip) in targets {
                    done += 1;
                    let permit = loop {
                        while let Ok(heard) = said.try_recv() {
                            put(heard);
                        }
                        if self.reporter.stopping() {
                            stopped = true;
                            break 'asking;
                        }
                        let now = self.began.elapsed();
                        match self.connector.leave(*ip, *port, *vantage, now) {
                            Leave::Now(permit) => break Some(permit),
                            Leave::Later(wait) => {
                                std::thread::sleep(wait.min(Duration::from_millis(50)));
                            }
                            Leave::Refused(_) => break None,
                        }
                    };
                    if let Some(permit) = permit
                        && work.send((*vantage, permit)).is_err()
                    {
                        break 'asking;
                    }
                    let seen = Seen { received: 0, stations: 0, answered: 0, ports: done };
                    let progress = Progress {
                        round: 0,
                        rounds: 1,
                        done: done as u64,
                        total: total as u64,
                        sent: self.connector.made(),
                        answered: 0,
                        left: None,
                    };
                    self.reporter.progress(&progress, seen);
                }
            }
            drop(work);
            for heard in said {
                put(heard);
            }
        });
        self.said = all;
        (answers, stopped)
    }
}
