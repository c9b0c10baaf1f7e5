//! What the truth files state of the link layer, routing and tunnels, against the facts.

use std::collections::BTreeSet;
use std::net::IpAddr;

use jiebei::net::{Mac, Prefix};
use jiebei::observe::{ArpMessage, Fact, Foreign, RoutingProtocol, Source};
use serde_json::Value;

type Facts<'a> = [(Source, &'a Fact)];
type Check = fn(&Value, &Value, &Facts<'_>) -> bool;

/// Each key with what finds an entry of it: the entry, the whole truth, the facts (those in tunnels taken out).
pub const KEYS: &[(&str, Check)] = &[
    ("stp", stp),
    ("cdp", cdp),
    ("isis", isis),
    ("vlan_ids", vlan),
    ("mpls_labels", labels),
    ("pppoe", pppoe),
    ("tunnels", tunnel),
    ("bgp_open", bgp_open),
    ("ripng", |entry, _, facts| speaks(RoutingProtocol::Rip, entry, facts)),
    ("rip", rip),
    ("eigrp", |entry, _, facts| speaks(RoutingProtocol::Eigrp, entry, facts)),
    ("hsrp", |entry, _, facts| redundancy("hsrp", entry, facts)),
    ("glbp", |entry, _, facts| redundancy("glbp", entry, facts)),
    ("carp", |entry, _, facts| redundancy("carp", entry, facts)),
    ("vrrp", vrrp),
    ("ospf", ospf),
    ("pim", |entry, _, facts| speaks(RoutingProtocol::Pim, entry, facts)),
    ("lldp", lldp),
    ("multicast", multicast),
    ("arp", arp),
    ("ra_routers", router),
    ("hosts", host),
    ("mac_sources", mac_source),
    ("ip_sources", ip_source),
];

/// Entries that cannot be found, with the reason. Capture, key, a part of the entry, why.
pub const EXCEPTIONS: &[(&str, &str, &str, &str)] = &[
    (
        "tcpdump__PIM_register_register-stop.pcap",
        "ip_sources",
        "192.168.20.10",
        "the source of a packet in a register, which is of another wire and not walked",
    ),
    (
        "tcpdump__ikev1_id_ipv6_addr_subnet-oobr.pcap",
        "tunnels",
        "12.251.0.45",
        "a changed frame with an exchange type (16) that IKE has not",
    ),
    (
        "tcpdump__hoobr_ripng_print.pcap",
        "ripng",
        "48.48.48.48",
        "RIPng is spoken over IPv6; this is a changed frame over IPv4",
    ),
];

fn text<'a>(entry: &'a Value, key: &str) -> Option<&'a str> {
    entry[key].as_str()
}

fn ip(entry: &Value, key: &str) -> Option<IpAddr> {
    text(entry, key)?.parse().ok()
}

fn mac(entry: &Value, key: &str) -> Option<Mac> {
    text(entry, key)?.parse().ok()
}

/// A number as tshark writes it: plain, or with 0x.
fn number(entry: &Value, key: &str) -> Option<u64> {
    match &entry[key] {
        Value::String(text) => match text.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok(),
            None => text.parse().ok(),
        },
        value => value.as_u64(),
    }
}

fn texts(entry: &Value, key: &str) -> BTreeSet<String> {
    let list = entry[key].as_array().into_iter().flatten();
    list.map(|value| value.as_str().map_or(value.to_string(), str::to_owned)).collect()
}

/// Where the truth states a number, it is this one.
fn agrees(entry: &Value, key: &str, value: impl Into<u64>) -> bool {
    number(entry, key).is_none_or(|stated| stated == value.into())
}

fn says(entry: &Value, key: &str, value: &Option<Foreign>) -> bool {
    text(entry, key).is_none_or(|stated| value.as_ref().is_some_and(|value| value.raw() == stated))
}

/// tshark's filter kept the first lines, and wrote their ends as spaces.
fn begins(entry: &Value, key: &str, value: &Option<Foreign>) -> bool {
    let flat = |text: &str| text.replace(['\r', '\n'], " ");
    text(entry, key).is_none_or(|stated| {
        value.as_ref().is_some_and(|value| flat(value.raw()).starts_with(flat(stated).trim_end()))
    })
}

/// Inside a tunnel and on links without MACs there is none.
fn from(entry: &Value, key: &str, seen: Mac) -> bool {
    seen == Mac::ZERO || mac(entry, key).is_none_or(|stated| stated == seen)
}

fn stp(entry: &Value, _: &Value, facts: &Facts<'_>) -> bool {
    facts.iter().any(|(_, fact)| {
        matches!(fact, Fact::SpanningTree(tree)
            if from(entry, "src", tree.mac)
                && agrees(entry, "version", tree.version)
                && mac(entry, "root") == Some(tree.root.mac)
                && agrees(entry, "root_prio", tree.root.priority)
                // In MSTP tshark's field is the regional root.
                && [Some(tree.bridge), tree.regional_root].into_iter().flatten().any(|bridge| {
                    mac(entry, "bridge") == Some(bridge.mac)
                        && agrees(entry, "bridge_prio", bridge.priority)
                })
                && agrees(entry, "port", tree.port))
    })
}

fn cdp(entry: &Value, _: &Value, facts: &Facts<'_>) -> bool {
    facts.iter().any(|(_, fact)| {
        matches!(fact, Fact::DeviceAnnouncement(told)
            if told.protocol == "cdp"
                && from(entry, "src", told.mac)
                && says(entry, "device_id", &told.device)
                && says(entry, "port", &told.port)
                && says(entry, "platform", &told.platform)
                && begins(entry, "software", &told.software)
                && told.native_vlan.map(u64::from) == number(entry, "native_vlan")
                && texts(entry, "addresses")
                    .is_subset(&told.addresses.iter().map(IpAddr::to_string).collect()))
    })
}

fn isis(entry: &Value, _: &Value, facts: &Facts<'_>) -> bool {
    facts.iter().any(|(_, fact)| {
        matches!(fact, Fact::Isis(told)
            if from(entry, "src", told.mac)
                && text(entry, "system_id").is_none_or(|id| id == told.system_id)
                && says(entry, "hostname", &told.hostname)
                && text(entry, "lsp").is_none_or(|id| Some(id) == told.advertisement.as_deref()))
    })
}

fn vlan(entry: &Value, _: &Value, facts: &Facts<'_>) -> bool {
    let stated = entry.as_u64();
    facts.iter().any(|(_, fact)| {
        matches!(fact, Fact::Vlan { vlan, inner, .. }
            if stated == Some((*vlan).into()) || stated == inner.map(u64::from))
    })
}

fn labels(entry: &Value, _: &Value, facts: &Facts<'_>) -> bool {
    let stated: Vec<_> = entry.as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
    facts.iter().any(|(_, fact)| {
        matches!(fact, Fact::Labels { labels, .. }
            if labels.iter().copied().map(u64::from).eq(stated.iter().copied()))
    })
}

fn pppoe(entry: &Value, _: &Value, facts: &Facts<'_>) -> bool {
    let message = match number(entry, "code") {
        Some(0x07) => "pado",
        Some(0x09) => "padi",
        Some(0x19) => "padr",
        Some(0x65) => "pads",
        Some(0xa7) => "padt",
        _ => "session",
    };
    facts.iter().any(|(_, fact)| {
        matches!(fact, Fact::Pppoe(told)
            if told.message == message
                && from(entry, "src", told.mac)
                && from(entry, "dst", told.peer)
                && agrees(entry, "session", told.session)
                && says(entry, "ac_name", &told.concentrator)
                && texts(entry, "service")
                    .is_subset(&told.services.iter().map(|s| s.raw().to_owned()).collect()))
    })
}

fn tunnel(entry: &Value, _: &Value, facts: &Facts<'_>) -> bool {
    let identifier = ["vni", "teid", "spi", "key", "spanid", "tunnel"]
        .into_iter()
        .find_map(|key| number(entry, key));
    facts.iter().any(|(_, fact)| {
        matches!(fact, Fact::Tunnel(told)
            if Some(told.kind.word()) == text(entry, "type")
                && Some(told.from) == ip(entry, "src")
                && Some(told.to) == ip(entry, "dst")
                && identifier.is_none_or(|stated| told.identifier.map(u64::from) == Some(stated))
                && number(entry, "version").is_none_or(|v| told.version.map(u64::from) == Some(v))
                && number(entry, "proto").is_none_or(|p| told.carries.map(u64::from) == Some(p))
                && says(entry, "host", &told.host)
                && says(entry, "vendor", &told.vendor))
    })
}

fn bgp_open(entry: &Value, _: &Value, facts: &Facts<'_>) -> bool {
    facts.iter().any(|(_, fact)| {
        matches!(fact, Fact::BgpOpen(told)
            if Some(told.ip) == ip(entry, "src")
                && Some(told.router_id) == ip(entry, "router_id")
                && (agrees(entry, "as", told.my_as) || agrees(entry, "as", told.autonomous_system)))
    })
}

fn speaks(protocol: RoutingProtocol, entry: &Value, facts: &Facts<'_>) -> bool {
    // Registers travel through the network: their sender is not on this link.
    let is_register = protocol == RoutingProtocol::Pim && text(entry, "type") == Some("1");
    is_register
        || facts.iter().any(|(_, fact)| {
            matches!(fact, Fact::RoutingSpeaker(told)
                if told.protocol == protocol
                    && Some(told.ip) == ip(entry, "src")
                    && number(entry, "as").is_none_or(|a| told.group.map(u64::from) == Some(a)))
        })
}

fn rip(entry: &Value, _: &Value, facts: &Facts<'_>) -> bool {
    let routes = texts(entry, "routes");
    facts.iter().any(|(_, fact)| {
        matches!(fact, Fact::RoutingSpeaker(told)
            if told.protocol == RoutingProtocol::Rip
                && Some(told.ip) == ip(entry, "src")
                && agrees(entry, "version", told.version)
                && routes.is_subset(&told.advertised.iter().map(|p| p.first().to_string()).collect()))
    })
}

/// HSRP, GLBP and CARP, whose groups have other names in CARP.
fn redundancy(protocol: &str, entry: &Value, facts: &Facts<'_>) -> bool {
    let either = |key: &str, other: &str| number(entry, key).or_else(|| number(entry, other));
    facts.iter().any(|(_, fact)| {
        matches!(fact, Fact::Redundancy(told)
            if told.protocol == protocol
                && Some(told.ip) == ip(entry, "src")
                && either("group", "vhid").is_none_or(|group| group == u64::from(told.group))
                && agrees(entry, "version", told.version)
                && number(entry, "state").is_none_or(|s| told.state.map(u64::from) == Some(s))
                && either("priority", "advskew").is_none_or(|p| told.priority.map(u64::from) == Some(p))
                && ip(entry, "virtual_ip").is_none_or(|v| told.virtual_addresses.contains(&v)))
    })
}

fn vrrp(entry: &Value, _: &Value, facts: &Facts<'_>) -> bool {
    facts.iter().any(|(_, fact)| {
        matches!(fact, Fact::RoutingSpeaker(told)
            if told.protocol == RoutingProtocol::Vrrp
                && Some(told.ip) == ip(entry, "src")
                && told.group.map(u64::from) == number(entry, "vrid")
                && told.priority.map(u64::from) == number(entry, "priority")
                && texts(entry, "virtual_ips")
                    .is_subset(&told.virtual_addresses.iter().map(IpAddr::to_string).collect()))
    })
}

fn ospf(entry: &Value, _: &Value, facts: &Facts<'_>) -> bool {
    let area = text(entry, "area").and_then(|area| area.parse::<std::net::Ipv4Addr>().ok());
    facts.iter().any(|(_, fact)| {
        matches!(fact, Fact::RoutingSpeaker(told)
            if told.protocol == RoutingProtocol::Ospf
                && Some(told.ip) == ip(entry, "src")
                && agrees(entry, "version", told.version)
                && told.router_id.as_deref() == text(entry, "router_id")
                && told.group == area.map(std::net::Ipv4Addr::to_bits)
                && ["dr", "bdr"].into_iter().filter_map(|key| ip(entry, key))
                    .all(|a| a.is_unspecified() || told.neighbours.contains(&a)))
    })
}

fn lldp(entry: &Value, _: &Value, facts: &Facts<'_>) -> bool {
    facts.iter().any(|(_, fact)| {
        matches!(fact, Fact::Lldp(told)
            if from(entry, "src", told.mac)
                && Some(told.chassis.raw()) == text(entry, "chassis")
                && Some(told.port.raw()) == text(entry, "port")
                && says(entry, "system_name", &told.system_name)
                && says(entry, "system_desc", &told.system_description)
                && says(entry, "port_desc", &told.port_description)
                && texts(entry, "management")
                    .is_subset(&told.management.iter().map(IpAddr::to_string).collect()))
    })
}

fn multicast(entry: &Value, _: &Value, facts: &Facts<'_>) -> bool {
    let (source, stated) = (ip(entry, "src"), ip(entry, "group"));
    // Traces name no group.
    if matches!(text(entry, "type"), Some("igmp0x1e" | "igmp0x1f"))
        && stated.is_some_and(|group| group.is_unspecified())
    {
        return true;
    }
    facts.iter().any(|(_, fact)| match fact {
        Fact::Querier { ip, .. } => {
            Some(*ip) == source && stated.is_none_or(|group| group.is_unspecified())
        }
        Fact::Listener { ip, group, .. } => Some(*ip) == source && stated == Some(*group),
        Fact::GroupMessage(told) => Some(told.ip) == source && stated == Some(told.group),
        _ => false,
    })
}

fn arp(entry: &Value, _: &Value, facts: &Facts<'_>) -> bool {
    let operation = number(entry, "op");
    facts.iter().any(|(_, fact)| {
        matches!(fact, Fact::ArpExchange(told)
        if Some(told.mac) == mac(entry, "sender_mac")
            && Some(told.ip) == ip(entry, "sender_ip")
            && Some(told.target) == ip(entry, "target_ip")
            && operation == Some(match told.message {
                ArpMessage::Request | ArpMessage::Probe | ArpMessage::Announcement => 1,
                ArpMessage::Reply | ArpMessage::GratuitousReply => 2,
                ArpMessage::Other(other) => other.into(),
            }))
    })
}

/// A prefix as tshark writes it, with host bits and all.
fn prefixes(entry: &Value, key: &str) -> BTreeSet<String> {
    let read = |written: &String| {
        let (address, length) = written.split_once('/')?;
        Some(Prefix::of(address.parse().ok()?, length.parse().ok()?).to_string())
    };
    texts(entry, key).iter().filter_map(read).collect()
}

fn router(entry: &Value, _: &Value, facts: &Facts<'_>) -> bool {
    facts.iter().any(|(_, fact)| {
        matches!(fact, Fact::RouterAdvertisement(ra)
            if Some(ra.router) == ip(entry, "ip")
                && from(entry, "mac", ra.mac)
                && agrees(entry, "lifetime", ra.lifetime)
                && agrees(entry, "managed", ra.managed)
                && agrees(entry, "other", ra.other)
                && ra.mtu.map(u64::from) == number(entry, "mtu")
                && prefixes(entry, "prefixes")
                    == ra.prefixes.iter().map(|p| p.prefix.to_string()).collect()
                && prefixes(entry, "routes") == ra.routes.iter().map(|r| r.prefix.to_string()).collect()
                && texts(entry, "rdnss") == ra.rdnss.iter().map(IpAddr::to_string).collect()
                && texts(entry, "dnssl") == ra.dnssl.iter().map(|d| d.raw().to_owned()).collect())
    })
}

fn host(entry: &Value, _: &Value, facts: &Facts<'_>) -> bool {
    let source = match text(entry, "via") {
        Some("arp") => Source::Arp,
        Some("nd") => Source::Ndp,
        _ => Source::Dhcp,
    };
    facts.iter().any(|(from, fact)| {
        matches!(fact, Fact::Binding { ip: bound, mac: by }
            if *from == source && Some(*bound) == ip(entry, "ip") && Some(*by) == mac(entry, "mac"))
    })
}

fn mac_source(entry: &Value, _: &Value, facts: &Facts<'_>) -> bool {
    let stated: Option<Mac> = entry.as_str().and_then(|text| text.parse().ok());
    facts.iter().any(|(_, fact)| match fact {
        Fact::Sender { mac } | Fact::Traffic { mac, .. } | Fact::Binding { mac, .. } => {
            Some(*mac) == stated
        }
        Fact::ArpExchange(told) => Some(told.mac) == stated,
        _ => false,
    })
}

fn ip_source(entry: &Value, _: &Value, facts: &Facts<'_>) -> bool {
    let stated: Option<IpAddr> = entry.as_str().and_then(|text| text.parse().ok());
    facts.iter().any(|(_, fact)| match fact {
        Fact::SourceAddress { ip } | Fact::Traffic { ip, .. } => Some(*ip) == stated,
        _ => false,
    })
}
