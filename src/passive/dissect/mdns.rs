//! Multicast DNS (RFC 6762) with DNS-SD (RFC 6763): names that stations announce for themselves, and the services that they
//! offer.
//!
//! Taken as the sender's own: host names in responses (owners of address records, targets of services, names that reverse
//! records give, and the two-label names of other records), and those that a probe claims; service instances of responses
//! with their host, port and those texts that name a model, a version or a maker. Taken as told: every record, and every
//! name asked for; the known answers in a question are about others. Left: what else texts say, and names that go
//! (RFC 6762 §10.1), which are told as records alone.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::dns::{put_record, queries};
use super::{Dissector, Facts, Packet, Wake, speaker};
use crate::observe::heard_names::{NameProtocol, ServiceInstance};
use crate::observe::{Fact, Foreign, Source};
use crate::wire::WireError;
use crate::wire::dns::{Message, Record, RecordData, Section, reverse};

const PORT: u16 = 5353;
/// Host names taken from one message: a proxy speaks for a few sleepers, a flood for thousands.
const MOST_NAMES: usize = 64;
/// Addresses taken for one name.
const MOST_ADDRESSES: usize = 64;
/// Service instances taken from one message: a printer offers ten.
const MOST_SERVICES: usize = 64;

/// The keys of texts that say what a device is, in lower case: of printers (Bonjour printing §9), Apple's devices,
/// Chromecast, HomeKit, and cameras. What persons call their devices stands in the names.
const TELLING: &[&str] = &[
    "am",
    "ci",
    "fv",
    "fw",
    "hw",
    "manufacturer",
    "md",
    "mfg",
    "mdl",
    "model",
    "modelname",
    "note",
    "osxvers",
    "product",
    "rpmd",
    "rpvr",
    "srcvers",
    "sw",
    "ty",
    "usb_mdl",
    "usb_mfg",
    "vendor",
    "version",
    "vers",
    "vs",
];

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
        let (Some(ip), Some((port, _))) = (packet.ip, packet.ports) else { return Ok(()) };
        let message = Message::read(packet.payload)?;
        let ((questions, records), ended) = message.sections();
        let asker = if message.is_response { ip.destination } else { ip.source };
        queries(NameProtocol::Mdns, asker, questions, facts);
        for record in &records {
            let role = match (message.is_response, record.section) {
                (true, _) => "answer",
                (false, Section::Authority) => "claim",
                (false, _) => "known-answer",
            };
            put_record(Source::Mdns, NameProtocol::Mdns, ip.source, role, record, facts);
        }
        // RFC 6762 §11: what does not come from this link, or not from the port, is to be ignored.
        if port != PORT || !speaker::is_from_link(&ip, packet) {
            return ended;
        }
        if message.is_response {
            services(packet, ip.source, &records, facts);
        }
        let mut names: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
        for record in records {
            // In a query only the authority section is the sender's own: what it is about to claim.
            let is_own = message.is_response || record.section == Section::Authority;
            if !is_own || (message.is_response && record.time_to_live == 0) {
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
                RecordData::Name(_) | RecordData::Txt(_) | RecordData::Unread => {
                    (record.name, None)
                }
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

/// What the sender offers, as far as this message tells it.
fn services(packet: &Packet<'_>, ip: IpAddr, records: &[Record], facts: &mut Facts<'_>) {
    let mut services: BTreeMap<&str, ServiceInstance> = BTreeMap::new();
    for record in records {
        let is_told = matches!(record.data, RecordData::Srv { .. } | RecordData::Txt(_));
        let has_room = services.len() < MOST_SERVICES || services.contains_key(&*record.name);
        if !is_told || record.time_to_live == 0 || !has_room {
            continue;
        }
        let service = services.entry(&record.name).or_insert_with(|| ServiceInstance {
            ip,
            mac: packet.source,
            instance: Foreign::new(&record.name),
            host: None,
            port: None,
            texts: Vec::new(),
        });
        match &record.data {
            RecordData::Srv { port, target } => {
                (service.host, service.port) = (Some(Foreign::new(target)), Some(*port));
            }
            RecordData::Txt(strings) => {
                let telling = strings.iter().filter(|string| is_telling(string));
                service.texts = telling.map(|string| Foreign::from_bytes(string)).collect();
                service.texts.sort_unstable();
                service.texts.dedup();
            }
            _ => {}
        }
    }
    for service in services.into_values() {
        facts.put(Source::Mdns, Fact::ServiceInstance(service));
    }
}

fn is_telling(text: &[u8]) -> bool {
    let key = text.split(|octet| *octet == b'=').next().unwrap_or_default();
    TELLING.iter().any(|telling| key.eq_ignore_ascii_case(telling.as_bytes()))
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

    fn names(frame: &[u8]) -> Vec<Fact> {
        facts(frame).into_iter().filter(|fact| matches!(fact, Fact::Name { .. })).collect()
    }

    #[test]
    fn names_are_the_senders_own_in_responses_and_probes() {
        let expected = vec![Fact::Name {
            mac: OURS,
            ip: [10, 20, 1, 9].into(),
            name: Foreign::new("desk.local"),
            addresses: vec![[10, 20, 1, 9].into()],
        }];
        assert_eq!(names(&message(0x84, 7, A)), expected);
        assert_eq!(names(&message(0x84, 11, A)), expected);
        assert_eq!(names(&message(0, 9, A)), expected);
        // A known answer in a question is about somebody else.
        assert_eq!(names(&message(0, 7, A)), []);
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

    #[test]
    fn a_service_is_told_with_its_model() {
        let mut record =
            b"\x02P1\x04_ipp\x04_tcp\x05local\0\0\x10\x80\x01\0\0\0\x78\0\x10".to_vec();
        record.extend_from_slice(b"\x05ty=P9\x09adminurl=");
        let found = facts(&message(0x84, 7, &record));
        let services: Vec<_> = found
            .iter()
            .filter_map(|fact| match fact {
                Fact::ServiceInstance(service) => Some(service),
                _ => None,
            })
            .collect();
        let [service] = services[..] else { panic!("{found:?}") };
        assert_eq!(service.instance.raw(), "P1._ipp._tcp.local");
        assert_eq!(service.texts, [Foreign::new("ty=P9")]);
        // As a known answer it is somebody else's.
        let found = facts(&message(0, 7, &record));
        assert!(!found.iter().any(|fact| matches!(fact, Fact::ServiceInstance(_))));
    }
}
