//! LACP and its marker (IEEE 802.1AX): links that are aggregated, and between whom.
//!
//! Taken: both ends' system, priority, key and port. Left: states and timers, which change while a bundle settles;
//! operations and maintenance, which share the EtherType.

use super::{Dissector, Facts, Packet, Wake};
use crate::observe::{AggregationEnd, Fact, LinkAggregation, Source};
use crate::wire::slow::{self, End, Message};
use crate::wire::{EtherType, WireError};

pub(super) struct Lacp;

impl Dissector for Lacp {
    fn name(&self) -> &'static str {
        "lacp"
    }

    fn source(&self) -> Source {
        Source::Passive
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::EtherType(EtherType::SLOW_PROTOCOLS)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let (protocol, actor, partner) = match slow::read(packet.payload)? {
            Message::Lacp { actor, partner } => ("lacp", end(actor), partner.map(end)),
            Message::Marker { system, port } => {
                ("marker", AggregationEnd { system, priority: 0, key: 0, port }, None)
            }
            Message::Other(_) => return Ok(()),
        };
        facts.put(
            self.source(),
            Fact::LinkAggregation(LinkAggregation {
                mac: packet.source,
                protocol: protocol.to_owned(),
                actor,
                partner,
            }),
        );
        Ok(())
    }
}

fn end(End { system, priority, key, port }: End) -> AggregationEnd {
    AggregationEnd { system, priority, key, port }
}
