//! Real captures against what tshark says of them.
//!
//! `tests/captures/NAME` is read as `watch --read` does; nothing that `tests/captures/truth/NAME.json`
//! states of the protocols that are listened to may be missing. Where the files are from, and under
//! which licence, stands in `tests/captures/index.csv`. With `JIEBEI_PCAPS` another folder of the
//! same form is read.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use jiebei::link::capture::{Item, Reader};
use jiebei::net::{Mac, Prefix};
use jiebei::observe::{
    DhcpClient, DhcpServer, Fact, Foreign, FrameNumber, LldpNeighbour, Log, RouterAdvertisement,
    RoutingProtocol, RoutingSpeaker, Source, VantageId,
};
use jiebei::passive::{Heard, Listener};
use serde_json::Value;

#[path = "truth/damage.rs"]
mod truth_damage;
#[path = "truth/l2.rs"]
mod truth_l2;
#[path = "truth/names.rs"]
mod truth_names;
#[path = "truth/streams.rs"]
mod truth_streams;
#[path = "truth/table.rs"]
mod truth_table;

fn folder() -> PathBuf {
    match std::env::var_os("JIEBEI_PCAPS") {
        Some(folder) => folder.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures"),
    }
}

fn captures() -> Vec<PathBuf> {
    let mut captures: Vec<PathBuf> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "pcap" || e == "pcapng"))
        .collect();
    captures.sort();
    captures
}

/// Everything a capture says, read to its end or to its damage.
fn listen(capture: &Path) -> (Log, Heard) {
    let (mut log, mut listener) = (Log::default(), Listener::new());
    let mut number = 0;
    let mut reader = match Reader::open(capture) {
        Ok(reader) => reader,
        Err(_) => return (log, listener.heard().clone()),
    };
    while let Some(item) = reader.next() {
        let Ok(item) = item else { break };
        if let Item::Frame(frame) = item {
            number += 1;
            listener.take(
                &mut log,
                VantageId(0),
                frame.at,
                FrameNumber(number),
                frame.link_type,
                frame.bytes,
            );
        }
    }
    (log, listener.heard().clone())
}

/// The facts of a log with their sources; those read inside tunnels taken out.
fn facts(log: &Log) -> Vec<(Source, &Fact)> {
    log.iter()
        .map(|(_, observation)| match &observation.fact {
            Fact::Encapsulated { inner, .. } => (observation.source, &**inner),
            fact => (observation.source, fact),
        })
        .collect()
}

struct Truth(Value);

impl Truth {
    fn of(capture: &Path) -> Truth {
        let name = format!("{}.json", capture.file_name().unwrap().to_str().unwrap());
        let path = capture.parent().unwrap().join("truth").join(name);
        Truth(serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap())
    }

    fn list(&self, key: &str) -> impl Iterator<Item = &Value> {
        self.0[key].as_array().into_iter().flatten()
    }
}

fn text<'a>(entry: &'a Value, key: &str) -> Option<&'a str> {
    entry[key].as_str()
}

fn texts(entry: &Value, key: &str) -> BTreeSet<String> {
    let list = entry[key].as_array().into_iter().flatten();
    list.map(|value| value.as_str().map_or(value.to_string(), str::to_owned)).collect()
}

fn address(entry: &Value, key: &str) -> Option<IpAddr> {
    text(entry, key)?.parse().ok()
}

fn mac(entry: &Value, key: &str) -> Option<Mac> {
    text(entry, key)?.parse().ok()
}

fn number(entry: &Value, key: &str) -> Option<u64> {
    match &entry[key] {
        Value::String(text) => text.parse().ok(),
        value => value.as_u64(),
    }
}

fn set<T: ToString>(values: impl IntoIterator<Item = T>) -> BTreeSet<String> {
    values.into_iter().map(|value| value.to_string()).collect()
}

fn same(foreign: &Option<Foreign>, expected: Option<&str>) -> bool {
    // tshark leaves out what is not UTF-8, and cuts at a zero.
    foreign.as_ref().map(Foreign::raw).unwrap_or_default() == expected.unwrap_or_default()
}

/// A prefix as tshark writes it, with host bits and all.
fn prefix(written: &str) -> Option<String> {
    let (address, length) = written.split_once('/')?;
    Some(Prefix::of(address.parse().ok()?, length.parse().ok()?).to_string())
}

fn is_binding(found: &(Source, &Fact), entry: &Value) -> bool {
    let source = match text(entry, "via") {
        Some("arp") => Source::Arp,
        Some("nd") => Source::Ndp,
        Some("dhcp") => Source::Dhcp,
        other => panic!("{other:?}"),
    };
    matches!(found, (from, Fact::Binding { ip, mac: m })
        if *from == source && Some(*ip) == address(entry, "ip") && Some(*m) == mac(entry, "mac"))
}

fn is_router(ra: &RouterAdvertisement, entry: &Value) -> bool {
    let routes: BTreeSet<_> = texts(entry, "routes").iter().filter_map(|p| prefix(p)).collect();
    let prefixes: BTreeSet<_> = texts(entry, "prefixes").iter().filter_map(|p| prefix(p)).collect();
    Some(ra.router) == address(entry, "ip")
        && Some(u64::from(ra.lifetime)) == number(entry, "lifetime")
        && Some(u64::from(ra.managed)) == number(entry, "managed")
        && Some(u64::from(ra.other)) == number(entry, "other")
        && ra.mtu.map(u64::from) == number(entry, "mtu")
        && set(ra.prefixes.iter().map(|p| p.prefix)) == prefixes
        && set(ra.routes.iter().map(|r| r.prefix)) == routes
        && set(&ra.rdnss) == texts(entry, "rdnss")
        && set(ra.dnssl.iter().map(Foreign::raw)) == texts(entry, "dnssl")
}

fn is_server(server: &DhcpServer, entry: &Value) -> bool {
    let word = match text(entry, "msg") {
        Some("2") => "offer",
        Some("5") => "ack",
        Some("6") => "nak",
        other => panic!("{other:?}"),
    };
    let relay = address(entry, "relay").filter(|relay| !relay.is_unspecified());
    let mask = text(entry, "mask")
        .map(|mask| mask.parse().ok().and_then(jiebei::wire::dhcp4::mask_length));
    server.message == word
        && Some(server.ip) == address(entry, "src")
        && server.server_id == address(entry, "server_id")
        && server.relay == relay
        && set(&server.routers).is_superset(&texts(entry, "router"))
        && set(&server.dns) == texts(entry, "dns")
        && same(&server.domain, text(entry, "domain"))
        && (server.prefix.map(Prefix::length) == mask.flatten() || word == "nak")
}

fn is_client(client: &DhcpClient, entry: &Value) -> bool {
    let word = match text(entry, "msg") {
        Some("1") => "discover",
        Some("3") => "request",
        Some("4") => "decline",
        Some("7") => "release",
        Some("8") => "inform",
        other => panic!("{other:?}"),
    };
    let codes = |key: &str| -> Vec<u64> {
        entry[key].as_array().into_iter().flatten().filter_map(Value::as_u64).collect()
    };
    client.message == word
        && Some(client.mac) == mac(entry, "mac")
        && same(&client.hostname, text(entry, "hostname"))
        && same(&client.vendor_class, text(entry, "vendor_class"))
        && same(&client.fqdn, text(entry, "fqdn"))
        && client.client_id.as_deref() == text(entry, "client_id")
        && client.requested == address(entry, "requested_ip")
        && client.parameters.iter().map(|&code| u64::from(code)).eq(codes("option55"))
        && client.options.iter().map(|&code| u64::from(code)).eq(codes("options"))
}

fn is_dhcp6(fact: &Fact, entry: &Value) -> bool {
    let kind = entry["msg"].as_array().and_then(|list| list.last()).and_then(Value::as_u64);
    let word = match kind {
        Some(1) => "solicit",
        Some(2) => "advertise",
        Some(3) => "request",
        Some(4) => "confirm",
        Some(5) => "renew",
        Some(6) => "rebind",
        Some(7) => "reply",
        Some(8) => "release",
        Some(9) => "decline",
        Some(11) => "information-request",
        other => panic!("{other:?}"),
    };
    match fact {
        Fact::DhcpServer(server) => {
            server.message == word
                && Some(server.ip) == address(entry, "src")
                && server.duid.as_deref() == text(entry, "server_duid")
                && set(&server.dns) == texts(entry, "dns")
                && set(&server.delegated) == texts(entry, "prefixes")
        }
        Fact::DhcpClient(client) => {
            let fqdn = text(entry, "fqdn").map(|name| name.trim_end_matches('.'));
            client.message == word
                && client.client_id.as_deref() == text(entry, "client_duid")
                && same(&client.fqdn, fqdn)
                && set(&client.parameters) == texts(entry, "oro")
        }
        _ => false,
    }
}

fn is_lldp(lldp: &LldpNeighbour, entry: &Value) -> bool {
    Some(lldp.mac) == mac(entry, "src")
        && Some(u64::from(lldp.chassis_subtype)) == number(entry, "chassis_subtype")
        && Some(lldp.chassis.raw()) == text(entry, "chassis")
        && Some(u64::from(lldp.port_subtype)) == number(entry, "port_subtype")
        && Some(lldp.port.raw()) == text(entry, "port")
        && same(&lldp.port_description, text(entry, "port_desc"))
        && same(&lldp.system_name, text(entry, "system_name"))
        && same(&lldp.system_description, text(entry, "system_desc"))
        && set(&lldp.management).is_superset(&texts(entry, "management"))
}

fn is_speaker(speaker: &RoutingSpeaker, key: &str, entry: &Value) -> bool {
    let protocol = match key {
        "vrrp" => RoutingProtocol::Vrrp,
        "ospf" => RoutingProtocol::Ospf,
        "hsrp" => RoutingProtocol::Hsrp,
        "eigrp" => RoutingProtocol::Eigrp,
        "rip" => RoutingProtocol::Rip,
        "pim" => RoutingProtocol::Pim,
        other => panic!("{other}"),
    };
    let group = match key {
        "vrrp" => number(entry, "vrid"),
        "ospf" => text(entry, "area")
            .and_then(|area| area.parse::<std::net::Ipv4Addr>().ok())
            .map(|area| u64::from(area.to_bits())),
        "hsrp" => number(entry, "group"),
        "eigrp" => number(entry, "as"),
        _ => None,
    };
    let version = number(entry, "version").unwrap_or(u64::from(speaker.version));
    let named = ["dr", "bdr"].into_iter().filter_map(|key| address(entry, key));
    let virtual_address = text(entry, "virtual_ip").map(str::to_owned);
    let mask = text(entry, "mask").and_then(|mask| mask.parse().ok());
    speaker.protocol == protocol
        && Some(speaker.ip) == address(entry, "src")
        && u64::from(speaker.version) == version
        && speaker.group.map(u64::from) == group
        && speaker.router_id.as_deref() == text(entry, "router_id")
        && number(entry, "priority").is_none_or(|p| speaker.priority.map(u64::from) == Some(p))
        && named.filter(|a| !a.is_unspecified()).all(|a| speaker.neighbours.contains(&a))
        && mask.is_none_or(|mask| {
            speaker.prefix.map(Prefix::length) == jiebei::wire::dhcp4::mask_length(mask)
        })
        && set(&speaker.virtual_addresses)
            .is_superset(&texts(entry, "virtual_ips").into_iter().chain(virtual_address).collect())
}

/// General queries; of MLD those that hosts obey. Everything else in the list counts as found.
fn is_querier(fact: &Fact, entry: &Value) -> bool {
    let source = address(entry, "src");
    let is_general = address(entry, "group").is_some_and(|group| group.is_unspecified());
    let is_obeyed = match (text(entry, "type"), source) {
        (Some("igmp0x11"), _) => is_general,
        (Some("mld130"), Some(IpAddr::V6(source))) => is_general && source.is_unicast_link_local(),
        _ => false,
    };
    !is_obeyed || matches!(fact, Fact::Querier { ip, .. } if Some(*ip) == source)
}

/// Captures of which the truth says that ports or first bytes suggest what is not there.
#[test]
fn what_is_not_there_is_not_reported() {
    for capture in captures() {
        let (log, _) = listen(&capture);
        for entry in Truth::of(&capture).list("must_not_report") {
            let kind = text(entry, "kind").unwrap();
            let is_reported = facts(&log).iter().any(|(_, fact)| match (kind, fact) {
                ("vrrp", Fact::RoutingSpeaker(s)) => s.protocol == RoutingProtocol::Vrrp,
                ("ripng", Fact::RoutingSpeaker(s)) => s.protocol == RoutingProtocol::Rip,
                (kind, Fact::Tunnel(tunnel)) => {
                    kind.strip_prefix("tunnel:") == Some(tunnel.kind.word())
                }
                ("carp" | "hsrp" | "glbp", Fact::Redundancy(told)) => told.protocol == kind,
                ("ospf", Fact::RoutingSpeaker(s)) => s.protocol == RoutingProtocol::Ospf,
                ("hsrp", Fact::RoutingSpeaker(s)) => s.protocol == RoutingProtocol::Hsrp,
                ("eigrp", Fact::RoutingSpeaker(s)) => s.protocol == RoutingProtocol::Eigrp,
                ("rip", Fact::RoutingSpeaker(s)) => s.protocol == RoutingProtocol::Rip,
                ("pim", Fact::RoutingSpeaker(s)) => s.protocol == RoutingProtocol::Pim,
                (kind, Fact::Spoken(spoken)) => kind == spoken.protocol,
                (kind, Fact::Said(said)) => kind == said.protocol,
                _ => false,
            });
            assert!(!is_reported, "{}: {kind}", capture.display());
        }
    }
}

/// Small captures whose observations are kept as text, and what each shows.
const SHOWN: &[(&str, &str)] = &[
    ("libpcap__carp.pcap", "CARP, which shares VRRP's number and is not VRRP"),
    ("lldpd__8023bt.pcap", "LLDP of a switch with a long description"),
    ("suricata-verify__ipv6-malformed-fragments-31_frag-31.pcap", "IPv6 fragments that lie"),
    ("tcpdump__802.1ad_QinQ.pcap", "ARP behind two VLAN tags"),
    ("tcpdump__EIGRP_ipv6.pcap", "EIGRP for IPv6"),
    ("tcpdump__OSPFv3_multipoint_adjacencies.pcap", "OSPFv3 over frame relay"),
    ("tcpdump__dcb_ets.pcap", "LLDP, listener reports and a DHCP client"),
    ("tcpdump__dhcp-rfc3004.pcap", "a DHCP exchange from discover to acknowledgement"),
    ("tcpdump__dhcpv6-ia-pd.pcap", "DHCPv6 prefix delegation"),
    ("tcpdump__icmpv6.pcap", "a router advertisement with DNS options, and a querier"),
    ("tcpdump__lldp-infinite-loop-1.pcap", "LLDP that made a reader loop"),
    ("tcpdump__ospf6_decode_v3_asan.pcap", "OSPFv3 with lengths that lie"),
    ("tcpdump__ripv2_auth.pcap", "RIP with a password, which is not kept"),
    ("zeek__pbb.pcap", "provider backbone bridges: VRRP, OSPF and ARP inside"),
    ("zeek__pppoe.pcap", "a router advertisement and DHCPv6 in a PPPoE session"),
    ("zeek__teredo_bubble_with_payload.pcap", "a router advertisement inside Teredo"),
];

#[test]
fn observations_of_small_captures() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
    for (name, shows) in SHOWN {
        let (log, heard) = listen(&folder.join(name));
        let mut shown = format!(
            "{} frames, {} unreadable, {} skipped\n",
            heard.frames,
            heard.unreadable,
            heard.skipped.values().sum::<u64>()
        );
        for (_, observation) in log.iter() {
            let frames: Vec<_> = observation.frames.iter().map(|n| n.0.to_string()).collect();
            let fact = serde_json::to_string(&observation.fact).unwrap();
            shown += &format!(
                "{} x{} [{}] {fact}\n",
                observation.source,
                observation.count,
                frames.join(" ")
            );
        }
        insta::with_settings!({ description => *shows, omit_expression => true }, {
            insta::assert_snapshot!(*name, shown);
        });
    }
}
