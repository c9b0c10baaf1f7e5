//! IS-IS (ISO 10589; RFC 1195, 5301, 5305, 5308): routers, their areas and the prefixes that they tell each other.
//!
//! Taken: system ids, areas, addresses, host names, neighbours and prefixes of hellos and link-state advertisements. Left:
//! sequence numbers, lifetimes, metrics, authentication, traffic engineering; ES-IS and CLNP, which share the way here.

use super::{Dissector, Facts, Packet, Wake};
use crate::observe::{Fact, Foreign, IsisSpeaker, Source};
use crate::wire::isis::{self, Message};
use crate::wire::{EtherType, WireError};

pub(super) struct Isis;

impl Dissector for Isis {
    fn name(&self) -> &'static str {
        "isis"
    }

    fn source(&self) -> Source {
        Source::RoutingProtocol
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Llc(0xfe), Wake::EtherType(EtherType::OSI), Wake::EtherType(EtherType::OSI_GRE)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        // Cisco's HDLC pads with one octet.
        let payload = match packet.payload {
            payload @ [isis::NLPID, ..] => payload,
            [_, payload @ ..] if payload.first() == Some(&isis::NLPID) => payload,
            _ => return Ok(()),
        };
        let (mut heard, ended) = isis::Isis::read(payload)?;
        heard.prefixes.sort_unstable();
        heard.prefixes.dedup();
        let system_id = isis::written(heard.system_id);
        let advertisement = (heard.advertisement)
            .map(|(node, fragment)| format!("{system_id}.{node:02x}-{fragment:02x}"));
        let message = match heard.message {
            Message::Hello => "hello",
            Message::Advertisement => "advertisement",
            Message::SequenceNumbers => "sequence-numbers",
        };
        facts.put(
            self.source(),
            Fact::Isis(IsisSpeaker {
                mac: packet.source,
                message: message.to_owned(),
                level: heard.level,
                system_id,
                advertisement,
                hostname: heard.hostname.map(Foreign::from_bytes),
                areas: heard.areas.iter().map(|octets| isis::area(octets)).collect(),
                addresses: heard.addresses,
                prefixes: heard.prefixes,
                neighbours: heard.neighbours.into_iter().map(isis::written).collect(),
            }),
        );
        ended
    }
}
