//! The fold as a whole: the same in any order, and whom it takes for whom.

use std::net::IpAddr;

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::net::Port;
use crate::observe::{
    Asked, DhcpClient, DhcpServer, Fact, Foreign, Forwarding, FrameNumber, IcmpError,
    LldpNeighbour, Log, Observation, PortState, Proposed, RouterAdvertisement, RoutingProtocol,
    RoutingSpeaker, Source,
};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

fn mac(last: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, last])
}

const SHARED: Mac = Mac([0, 0, 0x5e, 0, 1, 7]);

fn context() -> Context {
    Context {
        vantages: vec![Vantage {
            interface: "eth1".into(),
            mac: Some(mac(5)),
            addresses: vec![(ip("10.0.1.5"), prefix("10.0.1.0/24"))],
        }],
        segments: vec![prefix("10.0.1.0/24"), prefix("10.0.2.0/25")],
        scope: AddressSet::of([prefix("10.0.0.0/8")]),
    }
}

fn observations(facts: Vec<(Source, Fact)>) -> Vec<Observation> {
    facts
        .into_iter()
        .enumerate()
        .map(|(number, (source, fact))| {
            let at = Timestamp::from_second(1_000_000 + number as i64).unwrap();
            Observation {
                at,
                last_at: at,
                count: 1,
                vantage: VantageId(0),
                source,
                fact,
                frames: vec![FrameNumber(number as u64 + 1)],
            }
        })
        .collect()
}

fn folded(facts: Vec<(Source, Fact)>) -> Inventory {
    fold(&Log::of(observations(facts)), &context())
}

fn binding(at: &str, of: Mac) -> (Source, Fact) {
    (Source::Arp, Fact::Binding { ip: ip(at), mac: of })
}

fn answer(at: &str, of: Mac, hop_limit: u8, port: Option<u16>) -> (Source, Fact) {
    let (source, state) = match port {
        Some(_) => (Source::Tcp, PortState::Open),
        None => (Source::Icmp, PortState::Alive),
    };
    let port = port.map(Port::tcp);
    (source, Fact::Answer { ip: ip(at), mac: of, port, state, hop_limit })
}

fn speaker(at: &str, of: Mac, shares: &str) -> (Source, Fact) {
    let speaker = RoutingSpeaker {
        protocol: RoutingProtocol::Vrrp,
        version: 3,
        ip: ip(at),
        mac: of,
        router_id: None,
        group: Some(7),
        priority: Some(100),
        virtual_addresses: vec![ip(shares)],
        prefix: None,
        advertised: Vec::new(),
        neighbours: Vec::new(),
    };
    (Source::RoutingProtocol, Fact::RoutingSpeaker(speaker))
}

/// `key: address address …`, one device a line.
fn shown(inventory: &Inventory) -> Vec<String> {
    inventory
        .devices
        .iter()
        .map(|device| {
            let key = match device.key {
                DeviceKey::Station(mac) => mac.to_string(),
                DeviceKey::Address(ip) => ip.to_string(),
            };
            let addresses: Vec<_> = device.addresses().map(|ip| ip.to_string()).collect();
            format!("{key}: {}", addresses.join(" ")).trim_end().to_owned()
        })
        .collect()
}

#[test]
fn one_station_is_one_device_however_many_addresses_it_has() {
    let inventory = folded(vec![
        binding("10.0.1.7", mac(7)),
        (Source::Ndp, Fact::Binding { ip: ip("fd00::7"), mac: mac(7) }),
        (Source::Ndp, Fact::Binding { ip: ip("fe80::7"), mac: mac(7) }),
        binding("10.0.1.8", mac(8)),
        answer("10.0.1.7", mac(7), 64, Some(22)),
    ]);
    assert_eq!(
        shown(&inventory),
        ["02:00:00:00:00:07: 10.0.1.7 fd00::7 fe80::7", "02:00:00:00:00:08: 10.0.1.8"]
    );
    assert_eq!(inventory.devices[0].services.len(), 1);
    assert_eq!(inventory.devices[0].vendor, None);
}

#[test]
fn beyond_a_router_each_address_is_a_device_and_the_router_stays_itself() {
    let inventory = folded(vec![
        binding("10.0.1.1", mac(1)),
        answer("10.0.2.10", mac(1), 63, None),
        answer("10.0.2.11", mac(1), 64, Some(80)),
    ]);
    assert_eq!(
        shown(&inventory),
        ["02:00:00:00:00:01: 10.0.1.1", "10.0.2.10: 10.0.2.10", "10.0.2.11: 10.0.2.11"]
    );
    let beyond = &inventory.devices[1].bindings[0];
    assert_eq!((beyond.on_link, beyond.mac, beyond.via), (false, None, Some(mac(1))));
}

#[test]
fn a_shared_mac_is_nobody_and_its_address_belongs_to_who_advertises_it() {
    let inventory = folded(vec![
        binding("10.0.1.2", mac(2)),
        binding("10.0.1.3", mac(3)),
        speaker("10.0.1.2", SHARED, "10.0.1.1"),
        binding("10.0.1.1", SHARED),
        answer("10.0.1.1", SHARED, 64, None),
    ]);
    assert_eq!(
        shown(&inventory),
        ["02:00:00:00:00:02: 10.0.1.1 10.0.1.2", "02:00:00:00:00:03: 10.0.1.3"]
    );
    assert!(inventory.devices[0].roles.contains_key(&Role::Router));
    assert_eq!(inventory.devices[0].macs, [mac(2)]);
    // Without an advertisement there is nothing but the address.
    let inventory = folded(vec![binding("10.0.1.1", SHARED)]);
    assert_eq!(shown(&inventory), ["10.0.1.1: 10.0.1.1"]);
    assert!(inventory.devices[0].is_on_link() && inventory.devices[0].macs.is_empty());
}

#[test]
fn who_answers_for_ghosts_makes_no_devices() {
    let inventory = folded(vec![
        binding("10.0.1.1", mac(1)),
        answer("10.0.1.1", mac(1), 64, None),
        (
            Source::Arp,
            Fact::Ghost {
                prefix: prefix("10.0.1.0/24"),
                ip: ip("10.0.1.250"),
                method: "arp".into(),
                mac: mac(1),
            },
        ),
        binding("10.0.1.250", mac(1)),
        binding("10.0.1.20", mac(1)),
        binding("10.0.1.21", mac(1)),
        answer("10.0.1.21", mac(1), 63, None),
        binding("10.0.1.30", mac(30)),
    ]);
    assert_eq!(
        shown(&inventory),
        ["02:00:00:00:00:01: 10.0.1.1", "02:00:00:00:00:1e: 10.0.1.30", "10.0.1.21: 10.0.1.21"]
    );
    assert_eq!(inventory.ghosts.len(), 1);
    assert!(!inventory.in_use.contains_key(&ip("10.0.1.20")));
}

#[test]
fn claims_are_not_addresses_and_traffic_from_beyond_is_no_device() {
    let inventory = folded(vec![
        (
            Source::Mdns,
            Fact::Name {
                mac: mac(7),
                ip: ip("10.0.1.7"),
                name: Foreign::new("printer.local"),
                addresses: vec![ip("10.0.1.7"), ip("172.16.9.9")],
            },
        ),
        (Source::Traffic, Fact::Traffic { ip: ip("198.51.100.1"), mac: mac(1), hop_limit: 50 }),
        (Source::Traffic, Fact::Traffic { ip: ip("10.0.1.9"), mac: mac(9), hop_limit: 64 }),
        (Source::Traffic, Fact::Traffic { ip: ip("10.0.1.5"), mac: mac(5), hop_limit: 64 }),
    ]);
    assert_eq!(shown(&inventory), ["02:00:00:00:00:07: 10.0.1.7", "02:00:00:00:00:09: 10.0.1.9"]);
    let claimed: Vec<_> = inventory.devices[0].claimed.iter().map(|claim| claim.value).collect();
    assert_eq!(claimed, [ip("172.16.9.9")]);
    assert!(inventory.in_use[&ip("198.51.100.1")].is_empty());
    assert!(inventory.hearing.contains(&VantageId(0)));
}

#[test]
fn segments_are_as_tight_as_what_is_known() {
    let inventory = folded(vec![
        (
            Source::Interface,
            Fact::Interface { address: ip("10.0.1.5"), prefix: prefix("10.0.1.0/24"), mac: mac(5) },
        ),
        binding("10.0.1.7", mac(7)),
        binding("192.168.9.1", mac(7)),
        answer("10.0.2.10", mac(7), 63, None),
        answer("10.0.2.200", mac(7), 63, None),
        (Source::Ndp, Fact::Binding { ip: ip("fd00:9::7"), mac: mac(7) }),
        (Source::Ndp, Fact::Binding { ip: ip("fe80::7"), mac: mac(7) }),
    ]);
    let prefixes: Vec<_> = inventory.segments.iter().map(|one| one.prefix.to_string()).collect();
    assert_eq!(
        prefixes,
        ["10.0.1.0/24", "10.0.2.0/24", "10.0.2.0/25", "192.168.9.0/24", "fd00:9::/64"]
    );
    assert_eq!(inventory.segments[0].live, 1);
    assert!(inventory.segments[1].on_link.is_empty());
}

#[test]
fn candidates_are_counted_once_by_who_proposed_them() {
    let asked = |method: &str, of: &[(&str, &[&str])]| {
        let asked = Asked {
            prefix: prefix("fd00:2::/64"),
            method: method.into(),
            ports: Vec::new(),
            asked: of.iter().map(|(_, list)| list.len() as u64).sum(),
            excluded: 0,
            complete: false,
            addresses: of.iter().flat_map(|(_, list)| list.iter().map(|of| ip(of))).collect(),
            proposed: of
                .iter()
                .map(|(by, list)| Proposed { by: (*by).into(), asked: list.len() as u64 })
                .collect(),
        };
        (Source::Sweep, Fact::Asked(asked))
    };
    let answer = |of: &str| {
        let fact = Fact::Answer {
            ip: ip(of),
            mac: mac(1),
            port: None,
            state: PortState::Alive,
            hop_limit: 63,
        };
        (Source::Icmpv6, fact)
    };
    let inventory = folded(vec![
        asked(
            "icmpv6",
            &[("subnet-router", &["fd00:2::"]), ("low-byte", &["fd00:2::1", "fd00:2::2"])],
        ),
        answer("fd00:2::2"),
        answer("fd00:2::"),
        asked("icmpv6", &[("sequential", &["fd00:2::3"])]),
        // Asked again by another method: the same addresses.
        asked("tcp", &[("low-byte", &["fd00:2::1", "fd00:2::2"])]),
    ]);
    let row = inventory.coverage.iter().find(|row| row.prefix == prefix("fd00:2::/64")).unwrap();
    let yields: Vec<(&str, u64, u64)> =
        row.candidates.iter().map(|(by, of)| (by.as_str(), of.asked, of.answered)).collect();
    assert_eq!(yields, [("low-byte", 2, 1), ("sequential", 1, 0), ("subnet-router", 1, 1)]);
    assert_eq!((row.asked, row.answered), (4, 1));
    let addresses: Vec<_> = inventory.devices.iter().flat_map(Device::addresses).collect();
    assert_eq!(addresses, [ip("fd00:2::2")], "anycast is nobody's");
}

#[test]
fn coverage_merges_what_was_asked() {
    let asked = |method: &str, ports: Vec<Port>, complete| {
        let asked = Asked {
            prefix: prefix("10.0.1.0/24"),
            method: method.into(),
            ports,
            asked: 254,
            excluded: 2,
            complete,
            addresses: Vec::new(),
            proposed: Vec::new(),
        };
        (Source::Sweep, Fact::Asked(asked))
    };
    let inventory = folded(vec![
        asked("arp", Vec::new(), false),
        asked("arp", Vec::new(), true),
        asked("tcp", vec![Port::tcp(22)], true),
        asked("tcp", vec![Port::tcp(80)], false),
        binding("10.0.1.7", mac(7)),
    ]);
    let [row] = inventory.coverage.as_slice() else { panic!("{:?}", inventory.coverage) };
    assert_eq!((row.methods["arp"], row.methods["tcp"]), (true, false));
    assert_eq!((row.asked, row.answered, row.excluded, row.ports.len()), (254, 1, 2, 2));
    assert!(!row.is_complete());
}

#[test]
fn vendors_are_of_universal_macs_only() {
    assert!(vendor("00:1b:21:00:00:01".parse().unwrap()).is_some());
    assert_eq!(vendor(mac(1)), None);
    assert_eq!(vendor(SHARED), None);
}

#[test]
fn an_address_that_moves_keeps_the_device() {
    let before = folded(vec![binding("10.0.1.7", mac(7))]);
    let after = folded(vec![binding("10.0.1.9", mac(7))]);
    assert_eq!(before.devices[0].id, after.devices[0].id);
    assert_eq!(before.devices[0].id.get_version_num(), 5);
}

/// Few addresses and few MACs, so that they meet.
fn some_ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (0u8..8).prop_map(|last| IpAddr::from([10, 0, 1, last])),
        (0u8..4).prop_map(|last| IpAddr::from([10, 0, 2, last])),
        (0u8..3).prop_map(|last| IpAddr::from([198, 51, 100, last])),
        (0u16..4).prop_map(|last| IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, last])),
        (0u16..4).prop_map(|last| IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, last])),
    ]
}

fn some_mac() -> impl Strategy<Value = Mac> {
    prop_oneof![
        8 => (1u8..8).prop_map(mac),
        2 => Just(SHARED),
        1 => Just(Mac::ZERO),
        1 => Just(Mac::BROADCAST),
    ]
}

fn some_fact() -> impl Strategy<Value = (Source, Fact)> {
    let sources = prop_oneof![
        Just(Source::Arp),
        Just(Source::Ndp),
        Just(Source::Icmp),
        Just(Source::Tcp),
        Just(Source::Udp)
    ];
    let hops = prop_oneof![Just(0u8), Just(63), Just(64), Just(255)];
    (sources, some_ip(), some_mac(), some_ip(), some_mac(), hops, 0u8..18).prop_map(
        |(source, ip, mac, other, by, hop_limit, kind)| match kind {
            0..3 => (source, Fact::Binding { ip, mac }),
            3..6 => {
                let ports = [None, Some(Port::tcp(22)), Some(Port::udp(53))];
                let states = [PortState::Alive, PortState::Open, PortState::Closed];
                let port = ports[usize::from(hop_limit) % 3];
                let state = states[usize::from(kind) % 3];
                (source, Fact::Answer { ip, mac, port, state, hop_limit })
            }
            6 => (Source::Traffic, Fact::Traffic { ip, mac, hop_limit }),
            7 => (Source::Traceroute, Fact::Hop { target: other, hop_limit: 2, from: ip, mac }),
            8 => {
                let error =
                    IcmpError { target: other, port: None, from: ip, mac, icmp_type: 3, code: 1 };
                (Source::Icmp, Fact::IcmpError(error))
            }
            9 | 10 => {
                let answer = Forwarding {
                    mac,
                    destination: other,
                    hop_limit: 1 + kind % 2,
                    round: 1 + hop_limit % 2,
                    from: ip,
                    icmp: Some((11, 0)),
                    answered_by: by,
                };
                (Source::Forwarding, Fact::Forwarding(answer))
            }
            11 => {
                let ra = RouterAdvertisement {
                    router: ip,
                    mac,
                    lifetime: 1800,
                    managed: false,
                    other: false,
                    hop_limit: 64,
                    mtu: None,
                    preference: 0,
                    prefixes: Vec::new(),
                    routes: Vec::new(),
                    rdnss: Vec::new(),
                    dnssl: Vec::new(),
                    reachable_time: 0,
                    retransmission: 0,
                    pref64: Vec::new(),
                    captive_portal: None,
                };
                (Source::RouterAdvertisement, Fact::RouterAdvertisement(ra))
            }
            12 => {
                let server = DhcpServer {
                    ip,
                    mac,
                    server_id: Some(other),
                    duid: None,
                    relay: (hop_limit == 64).then_some(other),
                    message: if hop_limit == 0 { "ack" } else { "offer" }.into(),
                    prefix: ip.is_ipv4().then(|| Prefix::of(ip, 25)),
                    routers: vec![other],
                    dns: Vec::new(),
                    domain: None,
                    delegated: Vec::new(),
                };
                (Source::Dhcp, Fact::DhcpServer(server))
            }
            13 => speaker(&ip.to_string(), mac, &other.to_string()),
            14 => {
                let name =
                    Fact::Name { mac, ip, name: Foreign::new("name"), addresses: vec![other] };
                (Source::Mdns, name)
            }
            15 => {
                let neighbour = LldpNeighbour {
                    mac,
                    chassis_subtype: 4,
                    chassis: Foreign::new("chassis"),
                    port_subtype: 3,
                    port: Foreign::new("port"),
                    port_description: None,
                    system_name: Some(Foreign::new("switch")),
                    system_description: None,
                    capabilities: 4,
                    management: vec![other],
                };
                (Source::Lldp, Fact::Lldp(neighbour))
            }
            16 => {
                let client = DhcpClient {
                    mac,
                    message: "request".into(),
                    hostname: Some(Foreign::new("host")),
                    fqdn: None,
                    vendor_class: None,
                    parameters: Vec::new(),
                    options: Vec::new(),
                    client_id: None,
                    requested: Some(other),
                };
                (Source::Dhcp, Fact::DhcpClient(client))
            }
            _ => {
                let method = source.word().to_owned();
                (source, Fact::Ghost { prefix: Prefix::of(ip, 24), ip, method, mac })
            }
        },
    )
}

/// The inventory with each observation under the name of its time, which no order changes.
fn canonical(observed: Vec<Observation>) -> String {
    let log = Log::of(observed);
    let inventory = fold(&log, &context());
    let text = format!("{inventory:#?}");
    let mut parts = text.split("ObservationId(\n");
    let mut named = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (number, rest) = part.split_once(',').unwrap();
        let id = ObservationId(number.trim().parse().unwrap());
        named += &format!("{} {:?}", log.get(id).unwrap().at, log.get(id).unwrap().fact);
        named += rest;
    }
    named
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_the_log_does_not_matter(
        facts in prop::collection::vec(some_fact(), 1..40),
        seed in any::<u64>(),
    ) {
        let first = observations(facts);
        let mut other = first.clone();
        // A shuffle that needs no more than the seed: sort by a hash of place and seed.
        other.sort_by_key(|one| {
            (one.at.as_second() as u64).wrapping_mul(seed | 1).rotate_left(17)
        });
        prop_assert_eq!(canonical(first), canonical(other));
    }

    #[test]
    fn own_and_shared_macs_are_never_devices(facts in prop::collection::vec(some_fact(), 1..40)) {
        let inventory = folded(facts);
        for device in &inventory.devices {
            for of in &device.macs {
                prop_assert!(of.is_station() && !of.is_redundancy() && *of != mac(5));
            }
        }
        for place in inventory.in_use.values().flatten() {
            prop_assert!(*place < inventory.devices.len());
        }
    }
}

/// What answers on the way to the collector, outside of the scope, is the internet's and no device of the unit; a
/// router inside is one.
#[test]
fn hops_of_the_internet_are_no_devices() {
    let canary = ip("198.51.100.10");
    let probe = crate::observe::EgressProbe::sample(0, crate::observe::Carrier::IcmpEcho);
    let hop = |hop_limit: u8, from: &str| {
        let answer = Forwarding {
            mac: mac(1),
            destination: canary,
            hop_limit,
            round: 1,
            from: ip(from),
            icmp: Some((11, 0)),
            answered_by: mac(1),
        };
        (Source::Forwarding, Fact::Forwarding(answer))
    };
    let facts = vec![
        (Source::Arp, Fact::Binding { ip: ip("10.0.1.1"), mac: mac(1) }),
        (Source::NextHop, Fact::EgressProbe(probe)),
        hop(2, "10.0.9.1"),
        hop(3, "203.0.113.1"),
        hop(4, "198.51.100.10"),
    ];
    let inventory = fold(&Log::of(observations(facts)), &context());
    let known: Vec<IpAddr> =
        inventory.devices.iter().flat_map(|device| device.addresses()).collect();
    assert_eq!(known, [ip("10.0.1.1"), ip("10.0.9.1")]);
}
