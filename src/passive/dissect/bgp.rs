//! BGP (RFC 4271): who opens a session with whom.
//!
//! Taken: OPEN messages at the start of a segment: AS, router id, hold time. Left: updates and everything else of a session.

use std::net::IpAddr;

use super::{Dissector, Facts, Packet, Wake};
use crate::observe::{BgpOpen, Fact, Source};
use crate::wire::tcp::{TcpSegment, quoted_start};
use crate::wire::{Protocol, WireError, bgp};

pub(super) struct Bgp;

impl Dissector for Bgp {
    fn name(&self) -> &'static str {
        "bgp"
    }

    fn source(&self) -> Source {
        Source::RoutingProtocol
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Protocol(Protocol::TCP)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let Some(ip) = packet.ip else { return Ok(()) };
        let Some((bgp::PORT, _, _) | (_, bgp::PORT, _)) = quoted_start(packet.payload) else {
            return Ok(());
        };
        let Ok(segment) = TcpSegment::read(packet.payload) else { return Ok(()) };
        let Some(open) = bgp::Open::read(segment.payload)? else { return Ok(()) };
        facts.put(
            self.source(),
            Fact::BgpOpen(BgpOpen {
                ip: ip.source,
                peer: ip.destination,
                mac: packet.source,
                version: open.version,
                my_as: open.my_as,
                autonomous_system: open.autonomous_system,
                router_id: IpAddr::V4(open.router_id),
                hold: open.hold,
            }),
        );
        Ok(())
    }
}
