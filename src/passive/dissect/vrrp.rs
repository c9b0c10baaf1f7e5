//! VRRP (RFC 3768, 9568): routers that share addresses.
//!
//! Taken: group, priority and addresses. Left: the password of version 2, timers. Believed only with
//! hop limit 255, which no router lets through. CARP, which looks alike, is not VRRP and is left.

use super::{Dissector, Facts, Packet, Wake, speaker};
use crate::observe::{Fact, RoutingProtocol, RoutingSpeaker, Source};
use crate::wire::vrrp;
use crate::wire::{Protocol, WireError};

pub(super) struct Vrrp;

impl Dissector for Vrrp {
    fn name(&self) -> &'static str {
        "vrrp"
    }

    fn source(&self) -> Source {
        Source::RoutingProtocol
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Protocol(Protocol::VRRP)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let Some(ip) = packet.ip else { return Ok(()) };
        let Some((vrrp, ended)) = vrrp::Vrrp::read(packet.payload, ip.source)? else {
            return Ok(());
        };
        if ip.hop_limit != vrrp::HOP_LIMIT {
            let what = "hop limit that shows a forwarded packet";
            facts.oddity(self.source(), packet.source, self.name(), what);
            return Ok(());
        }
        facts.put(
            Source::RoutingProtocol,
            Fact::RoutingSpeaker(RoutingSpeaker {
                group: Some(u32::from(vrrp.group)),
                priority: Some(vrrp.priority),
                virtual_addresses: vrrp.addresses,
                ..speaker::of(RoutingProtocol::Vrrp, vrrp.version, &ip, packet)
            }),
        );
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{facts, oddities, packet};
    use super::*;

    #[test]
    fn a_router_on_this_link_and_none_from_beyond() {
        let vrrp = [0x31, 7, 100, 1, 0, 100, 0, 0, 10, 20, 1, 1];
        let frame = packet("10.20.1.2", "224.0.0.18", Protocol::VRRP, 255, &vrrp);
        let [Fact::RoutingSpeaker(speaker)] = &facts(&frame)[..] else { panic!() };
        assert_eq!((speaker.group, speaker.priority), (Some(7), Some(100)));
        let frame = packet("10.20.1.2", "224.0.0.18", Protocol::VRRP, 64, &vrrp);
        assert_eq!(oddities(&frame), ["hop limit that shows a forwarded packet"]);
        assert_eq!(facts(&frame).len(), 1);
    }
}
