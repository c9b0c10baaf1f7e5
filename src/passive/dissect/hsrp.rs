//! HSRP (RFC 2281 and version 2): routers that share an address.
//!
//! Taken: group, priority, the shared address, and the state that the sender is in. Left: the password and timers.

use super::{Dissector, Facts, Packet, Wake, speaker};
use crate::observe::{Fact, Redundancy, RoutingProtocol, RoutingSpeaker, Source};
use crate::wire::WireError;
use crate::wire::hsrp;

pub(super) struct Hsrp;

impl Dissector for Hsrp {
    fn name(&self) -> &'static str {
        "hsrp"
    }

    fn source(&self) -> Source {
        Source::RoutingProtocol
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Udp(hsrp::PORT), Wake::Udp(hsrp::PORT_V6)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let Some(ip) = packet.ip else { return Ok(()) };
        // Both ends use the port and the destination is a group; else it is a client's own port.
        let (Some((from, to)), true) = (packet.ports, ip.destination.is_multicast()) else {
            return Ok(());
        };
        if from != to {
            return Ok(());
        }
        let Some(hsrp) = hsrp::Hsrp::read(packet.payload)? else { return Ok(()) };
        let virtual_addresses: Vec<_> = hsrp.virtual_address.into_iter().collect();
        facts.put(
            Source::RoutingProtocol,
            Fact::Redundancy(Redundancy {
                protocol: self.name().to_owned(),
                version: hsrp.version,
                ip: ip.source,
                mac: packet.source,
                group: u32::from(hsrp.group),
                state: Some(hsrp.state),
                priority: Some(hsrp.whole_priority),
                virtual_addresses: virtual_addresses.clone(),
                virtual_macs: Vec::new(),
            }),
        );
        facts.put(
            Source::RoutingProtocol,
            Fact::RoutingSpeaker(RoutingSpeaker {
                group: Some(u32::from(hsrp.group)),
                priority: Some(hsrp.priority),
                virtual_addresses,
                ..speaker::of(RoutingProtocol::Hsrp, hsrp.version, &ip, packet)
            }),
        );
        Ok(())
    }
}
