//! The fold: facts to devices.
//!
//! Nothing in it depends on the order of the log. It reads the facts three times: for what is known of
//! the links (our own stations, prefixes on link, ghosts), for who stands where on the link, and for
//! the rest, which only then can be told to be a station's own or something behind a router.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use super::build::{Builder, Devices};
use super::{
    Context, DeviceKey, Inventory, Role, behind, coverage, egress, in_time, segment, talk, tunnel,
};
use crate::net::special::{self, Purpose};
use crate::net::{AddressSet, Mac, PrefixMap};
use crate::observe::{
    DhcpServer, Direction, Fact, Forwarding, Log, Observation, ObservationId, PortState, Proposed,
    RoutingSpeaker, Source, VantageId,
};

/// The inventory of a sweep. Pure: the order of the log does not matter.
pub fn fold(log: &Log, context: &Context) -> Inventory {
    let links = Links::read(log, context);
    let stands = Stands::read(log, &links);
    let mut devices = Devices::default();
    let mut heard = BTreeSet::new();
    for (id, observation) in log.iter() {
        put(id, observation, &links, &stands, &mut devices, &mut heard);
    }
    forwarding(log, &links, &stands, &mut devices);
    passing(log, &links, &stands, &mut devices);
    hearsay(log, &stands, &mut devices);
    let devices = devices.finish(log);

    let mut in_use: BTreeMap<IpAddr, Vec<usize>> = BTreeMap::new();
    let mut stations = BTreeMap::new();
    let mut hearing = BTreeSet::new();
    for (place, device) in devices.iter().enumerate() {
        for binding in &device.bindings {
            let users = in_use.entry(binding.ip).or_default();
            if users.last() != Some(&place) {
                users.push(place);
            }
        }
        stations.extend(device.macs.iter().map(|&mac| (mac, place)));
        if device.is_on_link() {
            hearing.extend(&device.vantages);
        }
    }
    for ip in heard.into_iter().chain(links.own_addresses.iter().copied()) {
        in_use.entry(ip).or_default();
    }
    let segments = segment::segments(log, context, &links, &devices, &in_use);
    let coverage = coverage::coverage(log, &links, &devices, &in_use);
    let behind = behind::behind(log, &devices);
    let next_hops = talk::next_hops(log, &stations);
    let talkers = talk::talkers(log, &segments, &links.own_macs);
    let tunnels = tunnel::tunnels(log, &in_use, &links.own_addresses, &links.canaries);
    let egresses = egress::egresses(log, &devices, &in_use, &stations, &links.own_macs);
    Inventory {
        devices,
        segments,
        coverage,
        egresses,
        behind,
        next_hops,
        talkers,
        tunnels,
        in_use,
        stations,
        hearing,
        own: links.own_macs,
        ghosts: links.ghosts,
    }
}

/// What is known of the links before anybody is placed on them.
pub(super) struct Links {
    pub own_macs: BTreeSet<Mac>,
    pub own_addresses: BTreeSet<IpAddr>,
    /// Prefixes whose addresses stand on the vantage's link.
    on_link: HashMap<VantageId, PrefixMap<()>>,
    ghosts: Vec<ObservationId>,
    /// By the prefix they were asked in: the method that answered, and from which MAC.
    ghosts_of: PrefixMap<Vec<(String, Mac)>>,
    ghost_addresses: HashSet<IpAddr>,
    /// Subnet-router anycast addresses that were asked (RFC 4291 §2.6.1): any router of the subnet answers for them.
    anycast: HashSet<IpAddr>,
    /// Those of them that something answered from.
    pub anycast_answered: HashSet<IpAddr>,
    /// (address, MAC) that something else than an answer to our asking shows to belong together.
    attested: HashSet<(IpAddr, Mac)>,
    /// Addresses that a redundancy protocol's speakers share: who lists them.
    pub shared: BTreeMap<IpAddr, BTreeSet<(IpAddr, Mac)>>,
    /// Speakers that send from a shared MAC.
    pub sharers: BTreeMap<Mac, BTreeSet<IpAddr>>,
    /// Addresses of the collector: what answers on the way to them, outside of the scope, is the internet's.
    canaries: HashSet<IpAddr>,
    scope: AddressSet,
}

impl Links {
    fn read(log: &Log, context: &Context) -> Links {
        let mut links = Links {
            own_macs: context.vantages.iter().filter_map(|vantage| vantage.mac).collect(),
            own_addresses: BTreeSet::new(),
            on_link: HashMap::new(),
            ghosts: Vec::new(),
            ghosts_of: PrefixMap::new(),
            ghost_addresses: HashSet::new(),
            anycast: HashSet::new(),
            anycast_answered: HashSet::new(),
            attested: HashSet::new(),
            shared: BTreeMap::new(),
            sharers: BTreeMap::new(),
            canaries: HashSet::new(),
            scope: context.scope.clone(),
        };
        for (place, vantage) in context.vantages.iter().enumerate() {
            let on_link = links.on_link.entry(VantageId(place as u16)).or_default();
            for &(address, prefix) in &vantage.addresses {
                on_link.insert(prefix, ());
                links.own_addresses.insert(address);
            }
        }
        let mut ghosts: BTreeSet<ObservationId> = BTreeSet::new();
        for (id, observation) in log.iter() {
            let vantage = observation.vantage;
            let mut on_link = |prefix| {
                links.on_link.entry(vantage).or_default().insert(prefix, ());
            };
            match &observation.fact {
                Fact::Interface { address, prefix, mac } => {
                    on_link(*prefix);
                    links.own_addresses.insert(*address);
                    if mac.is_station() {
                        links.own_macs.insert(*mac);
                    }
                }
                Fact::RouterAdvertisement(ra) => {
                    for information in &ra.prefixes {
                        let used = information.on_link || information.autonomous;
                        if used && information.valid_lifetime > 0 {
                            on_link(information.prefix);
                        }
                    }
                    links.attested.insert((ra.router, ra.mac));
                }
                Fact::DhcpServer(server) => {
                    if let Some(prefix) = server.prefix {
                        on_link(prefix);
                    }
                    links.attested.insert((server.ip, server.mac));
                }
                Fact::RoutingSpeaker(speaker) => {
                    if let Some(prefix) = speaker.prefix {
                        on_link(prefix);
                    }
                    links.attested.insert((speaker.ip, speaker.mac));
                    for &ip in &speaker.virtual_addresses {
                        links.shared.entry(ip).or_default().insert((speaker.ip, speaker.mac));
                    }
                    if speaker.mac.is_redundancy() {
                        links.sharers.entry(speaker.mac).or_default().insert(speaker.ip);
                    }
                }
                Fact::Name { mac, ip, .. }
                | Fact::Querier { ip, mac, .. }
                | Fact::Listener { ip, mac, .. }
                | Fact::Hop { from: ip, mac, .. } => {
                    links.attested.insert((*ip, *mac));
                }
                Fact::IcmpError(error) => {
                    links.attested.insert((error.from, error.mac));
                }
                Fact::Forwarding(answer) => {
                    links.attested.insert((answer.from, answer.answered_by));
                }
                Fact::Asked(asked) => {
                    let anycast =
                        asked.by_proposer().filter(|(by, _)| *by == Proposed::SUBNET_ROUTER);
                    links.anycast.extend(anycast.flat_map(|(_, addresses)| addresses));
                }
                Fact::EgressProbe(probe) => {
                    links.canaries.insert(probe.canary);
                }
                Fact::Ghost { prefix, ip, method, mac } => {
                    ghosts.insert(id);
                    links.ghost_addresses.insert(*ip);
                    links
                        .ghosts_of
                        .get_or_insert_with(*prefix, Vec::new)
                        .push((method.clone(), *mac));
                }
                _ => {}
            }
        }
        links.ghosts = in_time(log, ghosts);
        // Own MACs are known only now.
        let own = &links.own_macs;
        for speakers in links.shared.values_mut() {
            speakers.retain(|(_, mac)| mac.is_station() && !own.contains(mac));
        }
        for (_, observation) in log.iter() {
            if let Fact::Answer { ip, .. } = &observation.fact
                && links.anycast.contains(ip)
            {
                links.anycast_answered.insert(*ip);
            }
        }
        // An answer by another method that was not routed on its way is the station's own, too.
        for (_, observation) in log.iter() {
            if let Fact::Answer { ip, mac, hop_limit, .. } = observation.fact
                && !matches!(observation.source, Source::Arp | Source::Ndp)
                && is_initial(hop_limit)
                && !links.ghost_addresses.contains(&ip)
                && !links.answers_for_anything(ip, mac, observation)
            {
                links.attested.insert((ip, mac));
            }
        }
        links
    }

    pub(super) fn is_on_link(&self, vantage: VantageId, ip: IpAddr) -> bool {
        special::is_link_local(ip)
            || self.on_link.get(&vantage).is_some_and(|prefixes| prefixes.longest(ip).is_some())
    }

    /// Whether the method that this observation came by also answers, from there, for addresses that
    /// cannot exist.
    fn answers_for_anything(&self, ip: IpAddr, mac: Mac, observation: &Observation) -> bool {
        if self.ghosts_of.is_empty() {
            return false;
        }
        let beyond = !self.is_on_link(observation.vantage, ip);
        let method = observation.source.word();
        self.ghosts_of
            .covering(crate::net::Prefix::host(ip))
            .flat_map(|(_, ghosts)| ghosts)
            .any(|(of, ghost)| of == method && (*ghost == mac || beyond))
    }

    /// Whether an observation of this address at this MAC proves nothing.
    fn is_void(&self, ip: IpAddr, mac: Mac, observation: &Observation) -> bool {
        self.anycast.contains(&ip)
            || self.ghost_addresses.contains(&ip) && !self.attested.contains(&(ip, mac))
            || self.answers_for_anything(ip, mac, observation)
                && !(matches!(observation.source, Source::Arp | Source::Ndp)
                    && self.attested.contains(&(ip, mac))
                    && self.is_on_link(observation.vantage, ip))
    }

    /// Whether a station can have been seen here: not we ourselves, and no group or zero MAC.
    fn is_other(&self, mac: Mac) -> bool {
        mac.is_station() && !self.own_macs.contains(&mac)
    }
}

/// Whether a hop limit looks as it left its sender: the values that systems start from. Zero stands
/// where the answer has none.
fn is_initial(hop_limit: u8) -> bool {
    matches!(hop_limit, 0 | 32 | 64 | 128 | 255)
}

/// Who stands where on the links: for each address the stations that use it.
pub(super) struct Stands {
    stations: HashMap<IpAddr, BTreeSet<Mac>>,
    /// Bound to a MAC that routers share.
    shared: HashMap<IpAddr, BTreeSet<Mac>>,
}

impl Stands {
    fn read(log: &Log, links: &Links) -> Stands {
        let mut stands = Stands { stations: HashMap::new(), shared: HashMap::new() };
        for (_, observation) in log.iter() {
            if let Some((ip, mac)) = standing(observation, links) {
                stands.add(ip, mac);
            }
        }
        // What answered from an address of the link without having been resolved there.
        let mut more = Vec::new();
        for (_, observation) in log.iter() {
            let Some((ip, mac, hop_limit)) = routed(observation, links) else { continue };
            let known = stands.stations.contains_key(&ip) || stands.shared.contains_key(&ip);
            if !known && links.is_on_link(observation.vantage, ip) && is_initial(hop_limit) {
                more.push((ip, mac));
            }
        }
        for (ip, mac) in more {
            stands.add(ip, mac);
        }
        stands
    }

    fn add(&mut self, ip: IpAddr, mac: Mac) {
        let place = if mac.is_redundancy() { &mut self.shared } else { &mut self.stations };
        place.entry(ip).or_default().insert(mac);
    }

    /// The devices that an address bound to a shared MAC belongs to: who lists it in the redundancy
    /// protocol, else who speaks from that MAC, else the station that has the address, else nothing
    /// but the address.
    fn owners(&self, ip: IpAddr, mac: Mac, links: &Links) -> BTreeSet<DeviceKey> {
        let mut owners = BTreeSet::new();
        for &(speaker, from) in links.shared.get(&ip).into_iter().flatten() {
            owners.insert(self.speaker(speaker, from));
        }
        if owners.is_empty() {
            for &speaker in links.sharers.get(&mac).into_iter().flatten() {
                owners.insert(self.speaker(speaker, mac));
            }
        }
        if owners.is_empty() {
            owners.insert(self.station(ip).map_or(DeviceKey::Address(ip), DeviceKey::Station));
        }
        owners
    }

    /// The device that speaks from an address: its own MAC where it shows it.
    fn speaker(&self, ip: IpAddr, mac: Mac) -> DeviceKey {
        if !mac.is_redundancy() {
            return DeviceKey::Station(mac);
        }
        self.station(ip).map_or(DeviceKey::Address(ip), DeviceKey::Station)
    }

    fn station(&self, ip: IpAddr) -> Option<Mac> {
        self.stations.get(&ip)?.first().copied()
    }

    /// The device that sent from this address on the link.
    fn on_link(&self, ip: IpAddr, mac: Mac, links: &Links) -> BTreeSet<DeviceKey> {
        if mac.is_redundancy() {
            self.owners(ip, mac, links)
        } else {
            BTreeSet::from([DeviceKey::Station(mac)])
        }
    }
}

/// The address and MAC that an observation shows to stand together on the link.
fn standing(observation: &Observation, links: &Links) -> Option<(IpAddr, Mac)> {
    let (ip, mac) = match &observation.fact {
        Fact::Binding { ip, mac }
        | Fact::Conflict { ip, mac }
        | Fact::Querier { ip, mac, .. }
        | Fact::Listener { ip, mac, .. }
        | Fact::Name { ip, mac, .. } => (*ip, *mac),
        Fact::Answer { ip, mac, .. } if matches!(observation.source, Source::Arp | Source::Ndp) => {
            (*ip, *mac)
        }
        Fact::RouterAdvertisement(ra) => (ra.router, ra.mac),
        Fact::RoutingSpeaker(speaker) => (speaker.ip, speaker.mac),
        Fact::DhcpServer(server) if is_local(server, observation.vantage, links) => {
            (server.ip, server.mac)
        }
        _ => return None,
    };
    let shown = links.is_other(mac) && special::is_host(ip) && !links.is_void(ip, mac, observation);
    shown.then_some((ip, mac))
}

/// Whether a DHCP answer was sent by a station of this link: a relay says so itself, an offer without
/// a relay was made to a broadcast. An acknowledgement may be the routed end of a renewal.
pub(super) fn is_local(server: &DhcpServer, vantage: VantageId, links: &Links) -> bool {
    match server.relay {
        Some(relay) => relay == server.ip,
        None => {
            matches!(server.message.as_str(), "offer" | "advertise")
                || links.is_on_link(vantage, server.ip)
        }
    }
}

/// The source address, Ethernet source and hop limit of an observation that only an IP header shows.
fn routed(observation: &Observation, links: &Links) -> Option<(IpAddr, Mac, u8)> {
    let (ip, mac, hop_limit) = match &observation.fact {
        Fact::Answer { ip, mac, hop_limit, .. }
            if !matches!(observation.source, Source::Arp | Source::Ndp) =>
        {
            (*ip, *mac, *hop_limit)
        }
        Fact::Traffic { ip, mac, hop_limit } => (*ip, *mac, *hop_limit),
        // The first hop is the neighbour itself.
        Fact::Hop { from, mac, hop_limit, .. } => (*from, *mac, if *hop_limit > 1 { 1 } else { 0 }),
        Fact::IcmpError(error) => (error.from, error.mac, 0),
        Fact::Forwarding(answer)
            if links.canaries.contains(&answer.destination)
                && !links.scope.contains(answer.from)
                && !special::is_link_local(answer.from) =>
        {
            return None;
        }
        Fact::Forwarding(answer) => (answer.from, answer.answered_by, 0),
        Fact::DhcpServer(server) if !is_local(server, observation.vantage, links) => {
            (server.ip, server.mac, 1)
        }
        _ => return None,
    };
    let shown = links.is_other(mac) && special::is_host(ip) && !links.is_void(ip, mac, observation);
    shown.then_some((ip, mac, hop_limit))
}

/// Puts one observation to the devices it shows.
fn put(
    id: ObservationId,
    observation: &Observation,
    links: &Links,
    stands: &Stands,
    devices: &mut Devices,
    heard: &mut BTreeSet<IpAddr>,
) {
    let mut keys = BTreeSet::new();
    if let Some((ip, mac)) = standing(observation, links) {
        keys = stands.on_link(ip, mac, links);
        for &key in &keys {
            devices.of(key).bind_on_link(ip, mac, id, observation);
        }
    } else if let Some((ip, mac, _)) = routed(observation, links) {
        keys = place(ip, mac, observation, links, stands, devices, id);
        if keys.is_empty() && !links.own_addresses.contains(&ip) {
            heard.insert(ip);
        }
    } else if let Some(ip) = without_mac(observation).filter(|ip| special::is_host(*ip)) {
        let key = stands.station(ip).map_or(DeviceKey::Address(ip), DeviceKey::Station);
        devices.of(key).bind_without_mac(ip, id, observation);
        keys.insert(key);
    }
    for key in keys {
        details(devices.of(key), id, observation, links);
    }
    stations(id, observation, links, devices);
}

/// The address of a station that speaks for itself on a link which shows no MACs.
fn without_mac(observation: &Observation) -> Option<IpAddr> {
    let (ip, mac) = match &observation.fact {
        Fact::RouterAdvertisement(ra) => (ra.router, ra.mac),
        Fact::RoutingSpeaker(speaker) => (speaker.ip, speaker.mac),
        Fact::DhcpServer(server) if server.relay.is_none() => (server.ip, server.mac),
        Fact::Name { ip, mac, .. } => (*ip, *mac),
        _ => return None,
    };
    (mac == Mac::ZERO).then_some(ip)
}

/// Where an IP header's source belongs: to the station that uses it, or beyond the router it came by.
/// Traffic alone makes nothing of what is beyond: anybody can write a source address.
fn place(
    ip: IpAddr,
    mac: Mac,
    observation: &Observation,
    links: &Links,
    stands: &Stands,
    devices: &mut Devices,
    id: ObservationId,
) -> BTreeSet<DeviceKey> {
    if let Some(macs) = stands.stations.get(&ip) {
        let station = if macs.contains(&mac) { Some(mac) } else { macs.first().copied() };
        let Some(station) = station else { return BTreeSet::new() };
        let key = DeviceKey::Station(station);
        devices.of(key).bind_on_link(ip, station, id, observation);
        return BTreeSet::from([key]);
    }
    if let Some(shared) = stands.shared.get(&ip).and_then(|macs| macs.first().copied()) {
        let keys = stands.owners(ip, shared, links);
        for &key in &keys {
            devices.of(key).bind_on_link(ip, shared, id, observation);
        }
        return keys;
    }
    if matches!(observation.fact, Fact::Traffic { .. }) || links.own_addresses.contains(&ip) {
        return BTreeSet::new();
    }
    let key = DeviceKey::Address(ip);
    devices.of(key).bind_beyond(ip, mac, id, observation);
    BTreeSet::from([key])
}

/// What an observation says of the device it was put to.
fn details(device: &mut Builder, id: ObservationId, observation: &Observation, links: &Links) {
    match &observation.fact {
        Fact::Answer { ip, port: Some(port), state, .. } => match state {
            PortState::Open => device.open(*ip, *port, id),
            PortState::Closed => device.closed(*ip, *port, id),
            PortState::Alive => {}
        },
        Fact::RouterAdvertisement(_) => device.role(Role::Router, id),
        Fact::RoutingSpeaker(RoutingSpeaker { virtual_addresses, .. }) => {
            device.role(Role::Router, id);
            for &ip in virtual_addresses {
                device.claim(ip, id);
            }
        }
        Fact::DhcpServer(server) => {
            let answers_itself = server.relay.is_none();
            if answers_itself {
                device.role(Role::Dhcp, id);
                if let Some(ip) = server.server_id {
                    device.claim(ip, id);
                }
            }
        }
        Fact::Name { name, addresses, .. } => {
            device.name(name);
            for &ip in addresses {
                if !links.own_addresses.contains(&ip) {
                    device.claim(ip, id);
                }
            }
        }
        _ => {}
    }
}

/// Facts that show a station by its MAC alone.
fn stations(id: ObservationId, observation: &Observation, links: &Links, devices: &mut Devices) {
    let mac = match &observation.fact {
        Fact::DhcpClient(client) => client.mac,
        Fact::Lldp(neighbour) => neighbour.mac,
        Fact::DeviceAnnouncement(told) => told.mac,
        Fact::Tentative { mac, .. } | Fact::RouterFlag { mac, .. } => *mac,
        // Sent to hosts of the link alone, by whom they use as a router.
        Fact::Redirect(redirect) if links.is_on_link(observation.vantage, redirect.ip) => {
            redirect.mac
        }
        // A station that answers for anything is there all the same; what it answers is not.
        Fact::Binding { mac, .. } | Fact::Answer { mac, .. }
            if matches!(observation.source, Source::Arp | Source::Ndp) =>
        {
            *mac
        }
        _ => return,
    };
    if !links.is_other(mac) || mac.is_redundancy() {
        return;
    }
    let device = devices.of(DeviceKey::Station(mac));
    device.see(id, observation);
    match &observation.fact {
        Fact::DhcpClient(client) => {
            for name in client.hostname.iter().chain(&client.fqdn) {
                device.name(name);
            }
            if let Some(ip) = client.requested {
                device.claim(ip, id);
            }
        }
        Fact::Tentative { ip, .. } => device.claim(*ip, id),
        Fact::RouterFlag { .. } | Fact::Redirect(_) => device.role(Role::Forwards, id),
        Fact::DeviceAnnouncement(told) => {
            if let Some(name) = &told.device {
                device.name(name);
            }
            for &ip in &told.addresses {
                device.claim(ip, id);
            }
        }
        Fact::Lldp(neighbour) => {
            if let Some(name) = &neighbour.system_name {
                device.name(name);
            }
            for &ip in &neighbour.management {
                device.claim(ip, id);
            }
        }
        _ => {}
    }
}

/// What was told of devices that something else has shown: names that a server has for their addresses, addresses that they
/// say they have. It makes no device.
fn hearsay(log: &Log, stands: &Stands, devices: &mut Devices) {
    for (id, observation) in log.iter() {
        let at = match &observation.fact {
            Fact::PointerName { ip, .. } => *ip,
            Fact::ToldAddress { by, .. } => *by,
            _ => continue,
        };
        let key = stands.station(at).map_or(DeviceKey::Address(at), DeviceKey::Station);
        let Some(device) = devices.known(key) else { continue };
        match &observation.fact {
            Fact::PointerName { name, .. } => device.name(name),
            Fact::ToldAddress { ip, .. } if special::is_host(*ip) => device.claim(*ip, id),
            _ => {}
        }
    }
}

/// The forwarding test, neighbour by neighbour.
///
/// Hop limit 1 used up at the neighbour shows that forwarding is switched on (measured: time exceeded
/// in both families, or in IPv4 'net unreachable' where it has no route; in IPv6 'no route' also comes
/// from hosts that do not forward). An answer from beyond to hop limit 2 shows that the packet went
/// through; an address that answers hop limit 1 itself is the neighbour's own, not beyond it.
fn forwarding(log: &Log, links: &Links, stands: &Stands, devices: &mut Devices) {
    let mut near: HashMap<Mac, BTreeSet<IpAddr>> = HashMap::new();
    for (_, observation) in log.iter() {
        if let Fact::Forwarding(answer) = &observation.fact
            && answer.hop_limit == 1
            && answer.answered_by == answer.mac
        {
            near.entry(answer.mac).or_default().insert(answer.from);
        }
    }
    for (id, observation) in log.iter() {
        let Fact::Forwarding(answer) = &observation.fact else { continue };
        if !links.is_other(answer.mac) {
            continue;
        }
        let keys = if answer.mac.is_redundancy() {
            links
                .sharers
                .get(&answer.mac)
                .into_iter()
                .flatten()
                .map(|&speaker| stands.speaker(speaker, answer.mac))
                .collect()
        } else {
            BTreeSet::from([DeviceKey::Station(answer.mac)])
        };
        for key in keys {
            let device = devices.of(key);
            device.see(id, observation);
            if is_switched_on(answer) {
                device.switched_on(id);
            } else if is_from_beyond(answer)
                && !near.get(&answer.mac).is_some_and(|near| near.contains(&answer.from))
                && !device.has(answer.from)
            {
                device.beyond(answer.round, id);
            }
        }
    }
}

/// Routers that may stand between a private address and the station that brings its packets in. A guess.
const MOST_HOPS_INSIDE: u8 = 16;

/// Who brought in questions or answers of private addresses that are not on the link: their hop limits have passed a router, and the
/// station that sent the frame is it. Of public addresses the egress methods tell; of a station of the link that was heard
/// through another (a router with one arm, proxy ARP) nothing is told.
fn passing(log: &Log, links: &Links, stands: &Stands, devices: &mut Devices) {
    let mut forwarded: HashSet<(VantageId, Mac, IpAddr)> = HashSet::new();
    for (_, observation) in log.iter() {
        if let Fact::Traffic { ip, mac, hop_limit } = observation.fact
            && [64u8, 128, 255].iter().any(|initial| {
                let hops = initial.checked_sub(hop_limit);
                hops.is_some_and(|hops| (1..=MOST_HOPS_INSIDE).contains(&hops))
            })
        {
            forwarded.insert((observation.vantage, mac, ip));
        }
    }
    for (id, observation) in log.iter() {
        let Fact::Passage(passage) = &observation.fact else { continue };
        let (vantage, mac, remote) = (observation.vantage, passage.mac, passage.remote);
        let came_in = match passage.direction {
            Direction::Answered => true,
            // Anybody can write a source address once.
            Direction::Inbound => observation.count >= 2,
            Direction::Outbound => false,
        };
        let is_private = matches!(
            special::purpose(remote),
            Some(Purpose::Private | Purpose::SharedSpace | Purpose::UniqueLocal)
        );
        let is_here = links.is_on_link(vantage, remote)
            || stands.stations.contains_key(&remote)
            || stands.shared.contains_key(&remote);
        if came_in
            && is_private
            && !is_here
            && links.is_other(mac)
            && !mac.is_redundancy()
            && forwarded.contains(&(vantage, mac, remote))
        {
            let device = devices.of(DeviceKey::Station(mac));
            device.see(id, observation);
            device.passing(id);
        }
    }
}

fn is_switched_on(answer: &Forwarding) -> bool {
    answer.hop_limit == 1
        && answer.answered_by == answer.mac
        && match answer.destination {
            IpAddr::V4(_) => matches!(answer.icmp, Some((11, 0) | (3, 0))),
            IpAddr::V6(_) => answer.icmp == Some((3, 0)),
        }
}

/// Whether the hop limit was used up after the neighbour, or the destination itself answered.
fn is_from_beyond(answer: &Forwarding) -> bool {
    answer.hop_limit >= 2
        && match (answer.destination, answer.icmp) {
            (_, None) => answer.from == answer.destination,
            (IpAddr::V4(_), Some(icmp)) => icmp == (11, 0),
            (IpAddr::V6(_), Some(icmp)) => icmp == (3, 0),
        }
}
