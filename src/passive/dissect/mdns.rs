//! Multicast DNS (RFC 6762): names that stations announce for themselves.
//!
//! Taken: host names in responses (owners of address records, targets of services, names that
//! reverse records give, and the two-label names of other records), and those that a probe claims.
//! Left: names of services and what their texts say; questions and the known answers in them, which
//! are about others.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Dissector, Facts, Packet, Wake, speaker};
use crate::observe::{Fact, Foreign, Source};
use crate::wire::WireError;
use crate::wire::dns::{Message, RecordData, Section, reverse};

const PORT: u16 = 5353;
/// Host names taken from one message: a proxy speaks for a few sleepers, a flood for thousands.
const MOST_NAMES: usize = 64;
/// Addresses taken for one name.
const MOST_ADDRESSES: usize = 64;

pub(super) struct Mdns;

impl Dissector for Mdns {
    fn name(&self) -> &'static str {
        "mdns"
    }

    fn source(&self) -> Source {
        Source::Mdns
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Udp(PORT)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let (Some(ip), Some((PORT, _))) = (packet.ip, packet.ports) else { return Ok(()) };
        // RFC 6762 §11: what does not come from this link is to be ignored.
        if !speaker::is_from_link(&ip, packet) {
            return Ok(());
        }
        let message = Message::read(packet.payload)?;
        let (records, ended) = message.records();
        let mut names: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
        for record in records {
            // In a query only the authority section is the sender's own: what it is about to claim.
            if !message.is_response && record.section != Section::Authority {
                continue;
            }
            let (name, address) = match record.data {
                RecordData::A(address) => (record.name, Some(address.into())),
                RecordData::Aaaa(address) => (record.name, Some(address.into())),
                RecordData::Srv { target, .. } => (target, None),
                RecordData::Ptr(target) => match reverse(&record.name) {
                    Some(address) => (target, Some(address)),
                    None => continue,
                },
                RecordData::Other => (record.name, None),
            };
            if !is_host(&name) || (names.len() >= MOST_NAMES && !names.contains_key(&name)) {
                continue;
            }
            let addresses = names.entry(name).or_default();
            if let Some(address) = address
                && addresses.len() < MOST_ADDRESSES
                && !addresses.contains(&address)
            {
                addresses.push(address);
            }
        }
        for (name, mut addresses) in names {
            addresses.sort_unstable();
            facts.put(
                Source::Mdns,
                Fact::Name {
                    mac: packet.source,
                    ip: ip.source,
                    name: Foreign::new(&name),
                    addresses,
                },
            );
        }
        ended
    }
}

/// Two labels, the second `local`, the first no service (RFC 6763 §4.1.2 starts those with `_`).
fn is_host(name: &str) -> bool {
    match name.rsplit_once('.') {
        Some((host, local)) => {
            local.eq_ignore_ascii_case("local")
                && !host.is_empty()
                && !host.starts_with('_')
                && host.replace("\\.", "").chars().all(|c| c != '.')
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{OURS, datagram, facts};
    use super::*;

    /// One record in a section of a message with these flags.
    fn message(flags: u8, section: usize, record: &[u8]) -> Vec<u8> {
        let mut message = vec![0, 0, flags, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        message[section] = 1;
        message.extend_from_slice(record);
        datagram(("10.20.1.9", 5353), ("224.0.0.251", 5353), &message)
    }

    const A: &[u8] = b"\x04desk\x05local\0\0\x01\x80\x01\0\0\0\x78\0\x04\x0a\x14\x01\x09";

    #[test]
    fn names_are_the_senders_own_in_responses_and_probes() {
        let expected = vec![Fact::Name {
            mac: OURS,
            ip: [10, 20, 1, 9].into(),
            name: Foreign::new("desk.local"),
            addresses: vec![[10, 20, 1, 9].into()],
        }];
        assert_eq!(facts(&message(0x84, 7, A)), expected);
        assert_eq!(facts(&message(0x84, 11, A)), expected);
        assert_eq!(facts(&message(0, 9, A)), expected);
        // A known answer in a question is about somebody else.
        assert_eq!(facts(&message(0, 7, A)), []);
    }

    #[test]
    fn names_of_services_are_not_names_of_hosts() {
        for name in
            ["_ipp._tcp.local", "printer._ipp._tcp.local", "local", "desk.example", ".local"]
        {
            assert!(!is_host(name), "{name}");
        }
        assert!(is_host("Bob\\.s desk.local"));
    }
}
