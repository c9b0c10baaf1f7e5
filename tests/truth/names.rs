//! What the truth files state of names and of what goes over UDP, key by key.

use jiebei::observe::heard_names::{DhcpTold, NameProtocol};
use jiebei::observe::{Fact, Foreign, Source};
use serde_json::Value;

use super::{address, same, set, text, texts};

type Found<'f> = [(Source, &'f Fact)];
type Key = (&'static str, fn(&Value, &Value, &Found<'_>) -> bool);

/// Each key with what finds an entry of it.
pub const KEYS: &[Key] = &[
    ("dns_clients", |entry, _, found| {
        any(found, |fact| {
            matches!(fact, Fact::NameClient(client)
                if Some(client.ip) == address(entry, "ip") && Some(client.server) == address(entry, "server"))
        })
    }),
    ("dns_servers", |entry, _, found| {
        any(found, |fact| {
            matches!(fact, Fact::NameServer(server)
                if Some(server.ip) == address(entry, "ip")
                    && entry["port"].as_u64() == Some(server.port.into())
                    && text(entry, "transport") == Some(&server.transport))
        })
    }),
    ("dns_queries", |entry, _, found| query(NameProtocol::Dns, entry, found)),
    ("mdns_queries", |entry, _, found| query(NameProtocol::Mdns, entry, found)),
    ("llmnr_queries", |entry, _, found| query(NameProtocol::Llmnr, entry, found)),
    ("dns_records", |entry, _, found| record(NameProtocol::Dns, entry, found)),
    ("mdns_records", |entry, _, found| record(NameProtocol::Mdns, entry, found)),
    ("llmnr_records", |entry, _, found| record(NameProtocol::Llmnr, entry, found)),
    ("mdns_responders", |entry, _, found| responder(NameProtocol::Mdns, entry, found)),
    ("llmnr_responders", |entry, _, found| responder(NameProtocol::Llmnr, entry, found)),
    ("nbns", nbns),
    ("browser", |entry, _, found| {
        let command = text(entry, "command").and_then(|word| word.strip_prefix("0x"));
        let command = command.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        any(found, |fact| {
            matches!(fact, Fact::Browser(browser)
                if Some(browser.ip) == address(entry, "src")
                    && Some(browser.command) == command
                    // tshark has other fields for what some commands name.
                    && (entry["server"].is_null() || same(&browser.server, text(entry, "server")))
                    && text(entry, "source_name")
                        == Some(&format!("{}<{:02x}>", browser.sender.raw(), browser.suffix)))
        })
    }),
    ("ssdp", |entry, _, found| {
        any(found, |fact| {
            let Fact::Ssdp(message) = fact else { return false };
            // tshark has no field for some headers of announcements: nothing is stated then.
            let is = |field: &Option<Foreign>, key| {
                entry[key].is_null() || same(field, text(entry, key))
            };
            Some(message.ip) == address(entry, "src")
                && text(entry, "method") == Some(&message.method)
                && is(&message.server, "server")
                && is(&message.location, "location")
                && is(&message.target, "target")
                && is(&message.usn, "usn")
                && is(&message.user_agent, "user_agent")
        })
    }),
    ("snmp_communities", |entry, _, found| {
        let community = text(entry, "community").unwrap_or_default();
        let digest = ring::digest::digest(&ring::digest::SHA256, community.as_bytes());
        let digits: String = digest.as_ref().iter().map(|octet| format!("{octet:02x}")).collect();
        let version = if text(entry, "version") == Some("0") { "1" } else { "2c" };
        any(found, |fact| {
            matches!(fact, Fact::SnmpSpeaker(speaker)
                if Some(speaker.ip) == address(entry, "src")
                    && Some(speaker.peer) == address(entry, "dst")
                    && speaker.version == version
                    && speaker.community.as_deref() == Some(&format!("sha256:{}", &digits[..16])))
        })
    }),
    ("snmpv3_users", |entry, _, found| {
        any(found, |fact| {
            matches!(fact, Fact::SnmpSpeaker(speaker)
                if Some(speaker.ip) == address(entry, "src")
                    && Some(speaker.peer) == address(entry, "dst")
                    && speaker.engine.as_deref() == text(entry, "engine")
                    && same(&speaker.user, text(entry, "user")))
        })
    }),
    ("snmp_sysdescr", |entry, _, found| {
        any(found, |fact| {
            matches!(fact, Fact::Said(said)
                if said.protocol == "snmp" && Some(said.ip) == address(entry, "ip")
                    && said.details.iter().any(|detail| detail.name == "sysDescr"
                        && Some(detail.value.raw()) == text(entry, "sys_descr")))
        })
    }),
    ("dhcp_servers", |entry, _, found| {
        any(
            found,
            |fact| matches!(fact, Fact::DhcpServer(server) if super::is_server(server, entry)),
        )
    }),
    ("dhcp_clients", |entry, _, found| {
        any(
            found,
            |fact| matches!(fact, Fact::DhcpClient(client) if super::is_client(client, entry)),
        )
    }),
    ("dhcpv6", |entry, _, found| {
        any(found, |fact| super::is_dhcp6(fact, entry)) && dhcp6_told(entry, found)
    }),
];

fn any(found: &Found<'_>, is: impl Fn(&Fact) -> bool) -> bool {
    found.iter().any(|(_, fact)| is(fact))
}

/// tshark writes dots in labels as they are, and no dot at the end.
fn is_name(name: &Foreign, expected: &str) -> bool {
    let expected = if expected == "<Root>" { "" } else { expected };
    name.raw().replace('\\', "") == expected.replace('\\', "")
}

fn query(protocol: NameProtocol, entry: &Value, found: &Found<'_>) -> bool {
    let name = entry.as_str().unwrap_or_default();
    any(
        found,
        |fact| matches!(fact, Fact::NameQuery(query) if query.protocol == protocol && is_name(&query.name, name)),
    )
}

fn record(protocol: NameProtocol, entry: &Value, found: &Found<'_>) -> bool {
    let value = text(entry, "value").unwrap_or_default();
    any(found, |fact| {
        let Fact::NameRecord(record) = fact else { return false };
        record.protocol == protocol
            && is_name(&record.name, text(entry, "name").unwrap_or_default())
            && Some(record.record_type.as_str()) == text(entry, "type")
            && record.value.as_ref().is_some_and(|told| is_name(told, value))
    })
}

/// Every name that a responder told has a record under its address.
fn responder(protocol: NameProtocol, entry: &Value, found: &Found<'_>) -> bool {
    texts(entry, "names").iter().all(|name| {
        any(found, |fact| {
            matches!(fact, Fact::NameRecord(record)
                if record.protocol == protocol && Some(record.ip) == address(entry, "ip")
                    && is_name(&record.name, name))
        })
    })
}

fn nbns(entry: &Value, _: &Value, found: &Found<'_>) -> bool {
    let words: &[&str] = match (text(entry, "opcode"), text(entry, "response")) {
        (Some("0"), Some("0")) => &["query", "status-query"],
        (Some("0"), _) => &["query-answer", "status"],
        (Some("5" | "15"), Some("0")) => &["registration"],
        (Some("5" | "15"), _) => &["registration-answer"],
        (Some("6"), Some("0")) => &["release"],
        (Some("6"), _) => &["release-answer"],
        (Some("7"), _) => &["wait"],
        (Some("8" | "9"), Some("0")) => &["refresh"],
        (Some("8" | "9"), _) => &["refresh-answer"],
        _ => &["other"],
    };
    texts(entry, "names").iter().all(|name| {
        any(found, |fact| {
            let Fact::NetbiosName(told) = fact else { return false };
            // Who answers whoever asks for everybody's state is told with the names that it has.
            let is_any = name.starts_with("*<00>") && told.said == "status";
            Some(told.ip) == address(entry, "src")
                && words.contains(&told.said.as_str())
                && (is_any || *name == format!("{}<{:02x}>", told.name.raw(), told.suffix))
                && set(&told.addresses).is_superset(&texts(entry, "addresses"))
        })
    })
}

/// Addresses, prefixes and the vendor's number stand in a fact beside.
fn dhcp6_told(entry: &Value, found: &Found<'_>) -> bool {
    let (addresses, prefixes) = (texts(entry, "addresses"), texts(entry, "prefixes"));
    let enterprise = text(entry, "vendor_enterprise");
    let is = |told: &DhcpTold| {
        told.version == 6
            && Some(told.ip) == address(entry, "src")
            && set(&told.addresses) == addresses
            && set(&told.delegated) == prefixes
            && enterprise.is_none_or(|number| {
                told.options
                    .iter()
                    .any(|one| one.name == "vendor-enterprise" && one.value.raw() == number)
            })
    };
    (addresses.is_empty() && prefixes.is_empty() && enterprise.is_none())
        || any(found, |fact| matches!(fact, Fact::DhcpTold(told) if is(told)))
}

/// What tshark states and the bytes do not, or what is left on purpose: capture, key, a part of the entry, why.
pub const EXCEPTIONS: &[(&str, &str, &str, &str)] = &[];
