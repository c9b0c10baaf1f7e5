//! CARP (OpenBSD, FreeBSD; IP protocol 112, as VRRP): hosts that share an address.
//!
//! Taken: group and skew. Left: counter and digest; the address is not in the packet. Believed only with hop limit 255.

use super::{Dissector, Facts, Packet, Wake};
use crate::observe::{Fact, Redundancy, Source};
use crate::wire::{Protocol, WireError, carp};

pub(super) struct Carp;

impl Dissector for Carp {
    fn name(&self) -> &'static str {
        "carp"
    }

    fn source(&self) -> Source {
        Source::RoutingProtocol
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Protocol(Protocol::VRRP)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let Some(ip) = packet.ip else { return Ok(()) };
        // What is neither is told of as VRRP.
        let Ok(Some(heard)) = carp::Carp::read(packet.payload) else { return Ok(()) };
        if ip.hop_limit != 255 {
            return Ok(());
        }
        facts.put(
            self.source(),
            Fact::Redundancy(Redundancy {
                protocol: self.name().to_owned(),
                version: heard.version,
                ip: ip.source,
                mac: packet.source,
                group: u32::from(heard.group),
                state: None,
                priority: Some(u32::from(heard.skew)),
                virtual_addresses: Vec::new(),
                virtual_macs: Vec::new(),
            }),
        );
        Ok(())
    }
}
