//! NetBIOS name service (RFC 1002 §4.2): names that stations register, ask for and tell.
//!
//! Taken: questions, registrations, refreshes and releases, answers with their addresses, node status answers with every
//! name of the node and its MAC. Whoever registers a name of its own (unique, of a workstation or server, with its own
//! address) to the link's broadcast is a station of that name. Left: names of groups as names of stations; statistics; times
//! to live.

use std::net::IpAddr;

use super::{Dissector, Facts, Packet, Wake};
use crate::observe::heard_names::NetbiosName;
use crate::observe::{Fact, Foreign, Source};
use crate::wire::WireError;
use crate::wire::netbios::{Entry, NameService};

pub(super) struct NetbiosNames;

impl Dissector for NetbiosNames {
    fn name(&self) -> &'static str {
        "netbios-name"
    }

    fn source(&self) -> Source {
        Source::Netbios
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Udp(137)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let Some(ip) = packet.ip else { return Ok(()) };
        let (message, ended) = NameService::read(packet.payload)?;
        let said = word(&message);
        for entry in &message.entries {
            let Some(name) = &entry.name else { continue };
            facts.put(
                Source::Netbios,
                Fact::NetbiosName(NetbiosName {
                    ip: ip.source,
                    mac: packet.source,
                    said: said.to_owned(),
                    name: Foreign::new(&name.text),
                    suffix: name.suffix,
                    group: entry.group,
                    addresses: entry.addresses.iter().map(|&ip| ip.into()).collect(),
                    unit: entry.unit,
                }),
            );
            let registers = matches!(said, "registration" | "refresh");
            if registers && packet.destination.is_group() && is_own(entry, ip.source) {
                facts.put(
                    Source::Netbios,
                    Fact::Name {
                        mac: packet.source,
                        ip: ip.source,
                        name: Foreign::new(&name.text),
                        addresses: vec![ip.source],
                    },
                );
            }
        }
        ended
    }
}

/// Workstation or file server, one station's alone, and the sender's.
fn is_own(entry: &Entry, sender: IpAddr) -> bool {
    entry.name.as_ref().is_some_and(|name| matches!(name.suffix, 0 | 0x20))
        && entry.group == Some(false)
        && entry.addresses.iter().any(|&address| IpAddr::from(address) == sender)
}

fn word(message: &NameService) -> &'static str {
    match (message.opcode, message.is_response, message.is_status) {
        (0, false, true) => "status-query",
        (0, true, true) => "status",
        (0, false, false) => "query",
        (0, true, false) => "query-answer",
        (5 | 15, false, _) => "registration",
        (5 | 15, true, _) => "registration-answer",
        (6, false, _) => "release",
        (6, true, _) => "release-answer",
        (7, ..) => "wait",
        // RFC 1002 has both numbers.
        (8 | 9, false, _) => "refresh",
        (8 | 9, true, _) => "refresh-answer",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{OURS, datagram, facts};
    use super::*;
    use crate::net::Mac;

    fn encoded(name: &[u8; 15], suffix: u8) -> Vec<u8> {
        let octets = name.iter().copied().chain([suffix]);
        let letters = octets.flat_map(|octet| [b'A' + (octet >> 4), b'A' + (octet & 0xf)]);
        [32].into_iter().chain(letters).chain([0]).collect()
    }

    fn registration(group: u8, suffix: u8) -> Vec<u8> {
        let mut message = b"\0\x07\x29\x10\0\x01\0\0\0\0\0\x01".to_vec();
        message.extend(encoded(b"DESK           ", suffix));
        message.extend_from_slice(b"\0\x20\0\x01\xc0\x0c\0\x20\0\x01\0\x04\x93\xe0\0\x06");
        message.extend_from_slice(&[group, 0, 10, 20, 1, 9]);
        let mut frame = datagram(("10.20.1.9", 137), ("10.20.1.255", 137), &message);
        frame[..6].copy_from_slice(&[0xff; 6]);
        frame
    }

    #[test]
    fn who_registers_its_own_name_has_it() {
        let found = facts(&registration(0, 0x20));
        let [Fact::NetbiosName(name), Fact::Name { mac: OURS, name: own, .. }] = &found[..] else {
            panic!("{found:?}")
        };
        assert_eq!(
            (name.name.raw(), name.suffix, name.said.as_str()),
            ("DESK", 0x20, "registration")
        );
        assert_eq!((name.group, own.raw()), (Some(false), "DESK"));
        assert_eq!(name.addresses, [IpAddr::from([10, 20, 1, 9])]);
        assert_eq!(facts(&registration(0x80, 0)).len(), 1);
        assert_eq!(facts(&registration(0, 0x1d)).len(), 1);
    }

    #[test]
    fn a_node_tells_all_its_names() {
        let mut message = b"\0\x07\x84\0\0\0\0\x01\0\0\0\0".to_vec();
        message.extend(encoded(b"*\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 0));
        message.extend_from_slice(b"\0\x21\0\x01\0\0\0\0\0\x2b\x02");
        message.extend_from_slice(b"DESK           \x00\x04\x00WORK           \x00\x84\x00");
        message.extend_from_slice(&OURS.0);
        let found = facts(&datagram(("10.20.1.9", 137), ("10.20.1.7", 137), &message));
        let names: Vec<_> = found
            .iter()
            .map(|fact| match fact {
                Fact::NetbiosName(name) => (name.name.raw(), name.group, name.unit),
                other => panic!("{other:?}"),
            })
            .collect();
        let unit: Option<Mac> = Some(OURS);
        assert_eq!(names, [("DESK", Some(false), unit), ("WORK", Some(true), unit)]);
    }
}
