//! LLDP (IEEE 802.1AB): what a neighbour says it is.
//!
//! Taken: identity, names, capabilities that are switched on and management addresses. Left: time to
//! live, and what organisations add (VLANs, power, link aggregation).

use std::net::IpAddr;

use super::{Dissector, Facts, Packet, Wake, hex};
use crate::observe::{Fact, Foreign, LldpNeighbour, Source};
use crate::wire::lldp::{self, Identity, IdentityValue};
use crate::wire::{EtherType, WireError};

pub(super) struct Lldp;

impl Dissector for Lldp {
    fn name(&self) -> &'static str {
        "lldp"
    }

    fn source(&self) -> Source {
        Source::Lldp
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::EtherType(EtherType::LLDP)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let (unit, ended) = lldp::Lldp::read(packet.payload);
        // Without both ids it names nobody.
        let (Some(chassis), Some(port)) = (unit.chassis, unit.port) else { return ended };
        let text = |octets: Option<&[u8]>| octets.map(Foreign::from_bytes);
        facts.put(
            Source::Lldp,
            Fact::Lldp(LldpNeighbour {
                mac: packet.source,
                chassis_subtype: chassis.subtype,
                chassis: identity(chassis),
                port_subtype: port.subtype,
                port: identity(port),
                port_description: text(unit.port_description),
                system_name: text(unit.system_name),
                system_description: text(unit.system_description),
                capabilities: unit.capabilities,
                management: unit.management.iter().copied().filter(is_specified).collect(),
            }),
        );
        ended
    }
}

fn is_specified(address: &IpAddr) -> bool {
    !address.is_unspecified()
}

/// Octets that are no text are written in hex.
fn identity(identity: Identity<'_>) -> Foreign {
    match identity.value {
        IdentityValue::Mac(mac) => Foreign::new(&mac.to_string()),
        IdentityValue::Address(address) => Foreign::new(&address.to_string()),
        IdentityValue::Text(octets) => match std::str::from_utf8(octets) {
            Ok(text) => Foreign::new(text.trim_end_matches('\0')),
            Err(_) => Foreign::new(&hex(octets)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{OURS, facts};
    use super::*;

    #[test]
    fn a_neighbour_is_kept_when_the_rest_is_broken() {
        let mut frame = Vec::new();
        let group = crate::net::Mac([1, 0x80, 0xc2, 0, 0, 0x0e]);
        crate::wire::ethernet::write(&mut frame, group, OURS, EtherType::LLDP);
        frame.extend_from_slice(&[2, 3, 7, b'\xff', b'\xfe', 4, 2, 7, b'1', 9, 0xff]);
        let facts = facts(&frame);
        let [Fact::Lldp(neighbour), Fact::Oddity { what, .. }] = &facts[..] else {
            panic!("{facts:?}")
        };
        assert_eq!((neighbour.chassis.raw(), neighbour.port.raw()), ("fffe", "1"));
        assert_eq!(what, "ends early");
    }
}
