//! MNDP (MikroTik's neighbour discovery, UDP 5678): what a router says it is.
//!
//! Taken: identity, board, version, interface and addresses. Left: the time it is up, and its licence.

use super::{Dissector, Facts, Packet, Wake};
use crate::observe::{DeviceAnnouncement, Fact, Foreign, Source};
use crate::wire::{WireError, edp};

pub(super) struct Mndp;

impl Dissector for Mndp {
    fn name(&self) -> &'static str {
        "mndp"
    }

    fn source(&self) -> Source {
        Source::Passive
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Udp(edp::MNDP_PORT)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        // Both ends use the port, and it is told to all.
        let (Some(ip), Some((from, to))) = (packet.ip, packet.ports) else { return Ok(()) };
        if from != to || !(packet.destination.is_group() || ip.destination.is_multicast()) {
            return Ok(());
        }
        let Some((heard, ended)) = edp::Mndp::read(packet.payload)? else { return Ok(()) };
        let text = |octets: Option<&[u8]>| octets.map(Foreign::from_bytes);
        let mut addresses = heard.addresses;
        if !addresses.contains(&ip.source) && !ip.source.is_unspecified() {
            addresses.push(ip.source);
        }
        facts.put(
            self.source(),
            Fact::DeviceAnnouncement(DeviceAnnouncement {
                protocol: self.name().to_owned(),
                mac: packet.source,
                device: text(heard.identity),
                port: text(heard.interface),
                platform: text(heard.board.or(heard.platform)),
                software: text(heard.version),
                addresses,
                native_vlan: None,
                vlans: Vec::new(),
                capabilities: None,
                domain: None,
                prefixes: Vec::new(),
            }),
        );
        ended
    }
}
