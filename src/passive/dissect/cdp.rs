//! CDP (Cisco's discovery protocol): what a neighbour says it is.
//!
//! Taken: name, port, platform, software, addresses, native VLAN, capabilities, VTP domain, and the prefixes of on-demand
//! routing. Left: power, duplex, trust and what only matters between two switches; the checksum, which many get wrong.

use super::{Dissector, Facts, Packet, Wake};
use crate::observe::{DeviceAnnouncement, Fact, Foreign, Source};
use crate::wire::{EtherType, WireError, cdp};

pub(super) struct Cdp;

impl Dissector for Cdp {
    fn name(&self) -> &'static str {
        "cdp"
    }

    fn source(&self) -> Source {
        Source::Passive
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Snap([0, 0, 0x0c], 0x2000), Wake::EtherType(EtherType::CDP)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let (heard, ended) = cdp::Cdp::read(packet.payload)?;
        let text =
            |octets: Option<&[u8]>| octets.map(|octets| Foreign::from_bytes(without_zeros(octets)));
        if heard.device.is_none() && heard.port.is_none() {
            return ended;
        }
        facts.put(
            self.source(),
            Fact::DeviceAnnouncement(DeviceAnnouncement {
                protocol: self.name().to_owned(),
                mac: packet.source,
                device: text(heard.device),
                port: text(heard.port),
                platform: text(heard.platform),
                software: text(heard.software),
                addresses: heard.addresses,
                native_vlan: heard.native_vlan,
                vlans: Vec::new(),
                capabilities: heard.capabilities,
                domain: text(heard.domain).filter(|domain| !domain.is_empty()),
                prefixes: heard.prefixes,
            }),
        );
        ended
    }
}

/// Some end their texts with zeros.
fn without_zeros(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., 0] = text {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::check::facts;
    use super::*;

    #[test]
    fn a_switch_says_its_name_behind_snap() {
        let mut frame = vec![1, 0, 0x0c, 0xcc, 0xcc, 0xcc, 2, 0, 0, 0, 0, 9, 0, 24];
        frame.extend([0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0]);
        frame.extend([2, 180, 0, 0, 0, 1, 0, 6, b'S', b'1', 0, 3, 0, 6, b'G', 0]);
        let found = facts(&frame);
        let Some(Fact::DeviceAnnouncement(told)) = found.last() else { panic!("{found:?}") };
        assert_eq!(told.device, Some(Foreign::new("S1")));
        assert_eq!(told.port, Some(Foreign::new("G")));
    }
}
