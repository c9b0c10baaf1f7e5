//! GLBP (Cisco, UDP 3222): routers that share an address and forward in turn.
//!
//! Taken: group, state, priority, the shared address and the MACs that forward. Left: weights, timers, authentication.

use super::{Dissector, Facts, Packet, Wake};
use crate::observe::{Fact, Redundancy, Source};
use crate::wire::{WireError, glbp};

pub(super) struct Glbp;

impl Dissector for Glbp {
    fn name(&self) -> &'static str {
        "glbp"
    }

    fn source(&self) -> Source {
        Source::RoutingProtocol
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Udp(glbp::PORT)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let (Some(ip), Some((from, to))) = (packet.ip, packet.ports) else { return Ok(()) };
        // Hellos go to a group; what members tell each other goes by unicast, with hop limit 255.
        if from != to || !(ip.destination.is_multicast() || ip.hop_limit == 255) {
            return Ok(());
        }
        let (heard, ended) = glbp::Glbp::read(packet.payload)?;
        facts.put(
            self.source(),
            Fact::Redundancy(Redundancy {
                protocol: self.name().to_owned(),
                version: heard.version,
                ip: ip.source,
                mac: packet.source,
                group: u32::from(heard.group),
                state: heard.state,
                priority: heard.priority.map(u32::from),
                virtual_addresses: heard.addresses,
                virtual_macs: heard.forwarders,
            }),
        );
        ended
    }
}
