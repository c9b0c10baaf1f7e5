//! LLMNR (RFC 4795): names asked for on the link, and who answers to them.
//!
//! Taken: questions, records of answers; the name of an answerer where the answer says that the name has the very address
//! that it comes from, and cannot have come through a router. An answer to a name like `wpad` is kept as a record under who
//! sent it: poisoners answer to everything. Left: times to live.

use super::dns::{put_record, queries};
use super::{Dissector, Facts, Packet, Wake, speaker};
use crate::net::special;
use crate::observe::heard_names::NameProtocol;
use crate::observe::{Fact, Foreign, Source};
use crate::wire::WireError;
use crate::wire::dns::{Message, RecordData};

pub(super) struct Llmnr;

impl Dissector for Llmnr {
    fn name(&self) -> &'static str {
        "llmnr"
    }

    fn source(&self) -> Source {
        Source::Llmnr
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Udp(5355)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let Some(ip) = packet.ip else { return Ok(()) };
        let message = Message::read(packet.payload)?;
        let ((questions, records), ended) = message.sections();
        let asker = if message.is_response { ip.destination } else { ip.source };
        queries(NameProtocol::Llmnr, asker, questions, facts);
        let role = if message.is_response { "answer" } else { "claim" };
        let is_here = speaker::is_from_link(&ip, packet) || special::is_link_local(ip.source);
        for record in &records {
            put_record(Source::Llmnr, NameProtocol::Llmnr, ip.source, role, record, facts);
            let address = match record.data {
                RecordData::A(address) => address.into(),
                RecordData::Aaaa(address) => address.into(),
                _ => continue,
            };
            if message.is_response && is_here && address == ip.source {
                facts.put(
                    Source::Llmnr,
                    Fact::Name {
                        mac: packet.source,
                        ip: ip.source,
                        name: Foreign::new(&record.name),
                        addresses: vec![address],
                    },
                );
            }
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{OURS, datagram, facts};
    use super::*;

    const ANSWER: &[u8] = b"\0\x07\x80\0\0\x01\0\x01\0\0\0\0\x04desk\0\0\x01\0\x01\
        \xc0\x0c\0\x01\0\x01\0\0\0\x1e\0\x04\x0a\x14\x01\x09";

    #[test]
    fn an_answerer_is_named_by_its_own_address_alone() {
        let answer = |from| facts(&datagram((from, 5355), ("10.20.1.7", 4000), ANSWER));
        let own = answer("10.20.1.9");
        assert!(own.contains(&Fact::Name {
            mac: OURS,
            ip: [10, 20, 1, 9].into(),
            name: Foreign::new("desk"),
            addresses: vec![[10, 20, 1, 9].into()],
        }));
        assert_eq!(own.len(), 3);
        assert_eq!(answer("10.20.1.8").len(), 2);
    }
}
