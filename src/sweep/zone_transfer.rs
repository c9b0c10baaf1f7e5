//! A zone of ip6.arpa whole, where the profile allows to ask for one and the server gives it to anybody: AXFR over a
//! connection. RFC 5936.
//!
//! The zone's name is that of the start of authority that the server names for the prefix. Bounded in octets, messages and
//! names; what came before an end is kept, whatever the end is.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv6Addr};

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};

use super::reverse_walk;
use crate::net::Prefix;
use crate::observe::{Fact, Foreign};

const MOST_OCTETS: usize = 1 << 20;
const MOST_MESSAGES: usize = 512;
const MOST_NAMES: usize = 1024;

/// The names that a server has for addresses of a prefix.
pub fn transfer(
    stream: &mut (impl Read + Write),
    server: IpAddr,
    prefix: Prefix,
    id: u16,
) -> Vec<Fact> {
    let mut facts = Vec::new();
    // Whatever ended it, what was told before stands.
    let _ = ask(stream, server, prefix, id, &mut facts);
    facts
}

fn ask(
    stream: &mut (impl Read + Write),
    server: IpAddr,
    prefix: Prefix,
    id: u16,
    facts: &mut Vec<Fact>,
) -> io::Result<()> {
    let bad = || io::Error::from(io::ErrorKind::InvalidData);
    let top = reverse_walk::name_of(prefix).ok_or_else(bad)?;
    send(stream, id, top.clone(), RecordType::SOA)?;
    let mut left = MOST_OCTETS;
    let told = receive(stream, id, &mut left)?;
    let records = told.answers.iter().chain(&told.authorities);
    let zones = records.filter(|record| record.record_type() == RecordType::SOA);
    // A server that is not told of the prefix names the start of something above ip6.arpa.
    let mut names = zones.map(|record| record.name.clone());
    let zone = names.find(|zone| zone.num_labels() > 2);
    let zone = zone.filter(|zone| zone.zone_of(&top)).ok_or_else(bad)?;
    let id = id.wrapping_add(1);
    send(stream, id, zone, RecordType::AXFR)?;
    let mut starts = 0;
    for _ in 0..MOST_MESSAGES {
        let message = receive(stream, id, &mut left)?;
        if message.metadata.response_code != ResponseCode::NoError || message.answers.is_empty() {
            return Ok(());
        }
        for record in &message.answers {
            starts += usize::from(record.record_type() == RecordType::SOA);
            let RData::PTR(pointer) = &record.data else { continue };
            let Some(ip) = address_of(&record.name) else { continue };
            if prefix.contains(ip) && facts.len() < MOST_NAMES {
                let text = pointer.0.to_ascii();
                let name = Foreign::new(text.trim_end_matches('.'));
                facts.push(Fact::PointerName { by: server, ip, name });
            }
        }
        // It begins and ends with the start of authority.
        if starts >= 2 || facts.len() >= MOST_NAMES {
            return Ok(());
        }
    }
    Ok(())
}

fn send(stream: &mut impl Write, id: u16, name: Name, kind: RecordType) -> io::Result<()> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(name, kind));
    let octets = message.to_vec().map_err(|_| io::ErrorKind::InvalidInput)?;
    let length = u16::try_from(octets.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // One write, or some servers see a message of two octets.
    stream.write_all(&[&length.to_be_bytes()[..], &octets].concat())?;
    stream.flush()
}

fn receive(stream: &mut impl Read, id: u16, left: &mut usize) -> io::Result<Message> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let length = usize::from(u16::from_be_bytes(length));
    *left = left.checked_sub(length).ok_or(io::ErrorKind::QuotaExceeded)?;
    let mut octets = vec![0; length];
    stream.read_exact(&mut octets)?;
    let message = Message::from_vec(&octets).map_err(|_| io::ErrorKind::InvalidData)?;
    let ours = message.metadata.id == id && message.metadata.message_type == MessageType::Response;
    if ours { Ok(message) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// The address whose name under ip6.arpa this is.
fn address_of(name: &Name) -> Option<IpAddr> {
    let text = name.to_ascii().to_ascii_lowercase();
    let digits = text.trim_end_matches('.').strip_suffix(".ip6.arpa")?;
    let nibbles: Vec<u128> = digits
        .split('.')
        .map(|digit| u8::from_str_radix(digit, 16).ok().filter(|_| digit.len() == 1))
        .map(|nibble| nibble.map(u128::from))
        .collect::<Option<_>>()?;
    if nibbles.len() != 32 {
        return None;
    }
    let number = nibbles.iter().rev().fold(0u128, |number, nibble| number << 4 | nibble);
    Some(Ipv6Addr::from_bits(number).into())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use hickory_proto::rr::Record;
    use hickory_proto::rr::rdata::{PTR, SOA};
    use proptest::prelude::*;

    use super::*;

    /// What is said is thrown away, what is heard stands ready.
    struct Told(Cursor<Vec<u8>>);

    impl Read for Told {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl Write for Told {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn message(id: u16, answers: Vec<Record>) -> Vec<u8> {
        let mut message = Message::new(id, MessageType::Response, OpCode::Query);
        answers.into_iter().for_each(|record| {
            message.add_answer(record);
        });
        let octets = message.to_vec().unwrap();
        [&(octets.len() as u16).to_be_bytes()[..], &octets].concat()
    }

    fn told() -> Vec<u8> {
        let prefix: Prefix = "fd00:2::/64".parse().unwrap();
        let zone = reverse_walk::name_of(prefix).unwrap();
        let host = reverse_walk::name_of("fd00:2::7/128".parse().unwrap()).unwrap();
        let other = reverse_walk::name_of("fd00:9::7/128".parse().unwrap()).unwrap();
        let root = Name::from_ascii("ns.example.").unwrap();
        let start = || {
            let soa = SOA::new(root.clone(), root.clone(), 1, 1, 1, 1, 1);
            Record::from_rdata(zone.clone(), 0, RData::SOA(soa))
        };
        let pointer = |of: &Name| {
            let name = Name::from_ascii("host.example.").unwrap();
            Record::from_rdata(of.clone(), 0, RData::PTR(PTR(name)))
        };
        [
            message(7, vec![start()]),
            message(8, vec![start(), pointer(&host)]),
            message(8, vec![pointer(&other), start()]),
        ]
        .concat()
    }

    fn names(octets: Vec<u8>) -> Vec<String> {
        let prefix = "fd00:2::/64".parse().unwrap();
        let mut told = Told(Cursor::new(octets));
        let facts = transfer(&mut told, "10.0.0.53".parse().unwrap(), prefix, 7);
        facts
            .into_iter()
            .map(|fact| match fact {
                Fact::PointerName { ip, name, .. } => format!("{ip} {}", name.raw()),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn the_names_of_the_prefix_are_taken_from_the_zone() {
        assert_eq!(names(told()), ["fd00:2::7 host.example"]);
    }

    #[test]
    fn what_was_told_before_an_end_stands() {
        let whole = told();
        for length in 0..whole.len() {
            assert!(names(whole[..length].to_vec()).len() <= 1);
        }
        assert_eq!(names(whole[..whole.len() - 20].to_vec()).len(), 1);
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(at in 0usize..400, with in any::<u8>()) {
            let mut octets = told();
            if let Some(octet) = octets.get_mut(at) {
                *octet = with;
            }
            let _ = names(octets);
        }
    }
}
