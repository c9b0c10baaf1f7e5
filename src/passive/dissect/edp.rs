//! EDP (Extreme Networks' discovery protocol): what a neighbour says it is.
//!
//! Taken: name, slot and port, software version, VLANs and the addresses in them. Left: the rings of EAPS and ESRP.

use std::net::IpAddr;

use super::{Dissector, Facts, Packet, Wake};
use crate::observe::{DeviceAnnouncement, Fact, Foreign, Source};
use crate::wire::{WireError, edp};

pub(super) struct Edp;

impl Dissector for Edp {
    fn name(&self) -> &'static str {
        "edp"
    }

    fn source(&self) -> Source {
        Source::Passive
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Snap([0, 0xe0, 0x2b], 0x00bb)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let (heard, ended) = edp::Edp::read(packet.payload)?;
        let name =
            heard.name.map(|octets| octets.split(|octet| *octet == 0).next().unwrap_or_default());
        let port = heard.slot.zip(heard.port).map(|(slot, port)| format!("{slot}:{port}"));
        let software = heard.software.map(|[a, b, c, d]| format!("{a}.{b}.{c}.{d}"));
        facts.put(
            self.source(),
            Fact::DeviceAnnouncement(DeviceAnnouncement {
                protocol: self.name().to_owned(),
                mac: packet.source,
                device: name.map(Foreign::from_bytes),
                port: port.map(|port| Foreign::new(&port)),
                platform: None,
                software: software.map(|software| Foreign::new(&software)),
                addresses: heard.addresses.into_iter().map(IpAddr::V4).collect(),
                native_vlan: None,
                vlans: heard.vlans,
                capabilities: None,
                domain: None,
                prefixes: Vec::new(),
            }),
        );
        ended
    }
}
