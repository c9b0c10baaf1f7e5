//! Multicast DNS (RFC 6762): names that stations announce for themselves.
//!
//! Taken: host names in responses (owners of address records, targets of services, names that
//! reverse records give, and the two-label names of other records), and those that a probe claims.
//! Left: names of services and what their texts say; questions and the known answers in them, which
//! are about others.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Dissector, Facts, Packet, Wake};
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
