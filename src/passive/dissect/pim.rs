//! PIM (RFC 7761): routers that forward multicast.
//!
//! Taken: who sends messages that stay on the link, and the priority in a hello. Left: registers and
//! candidate announcements, which travel through the network and say nothing about this link.

use super::{Dissector, Facts, Packet, Wake, speaker};
use crate::observe::{Fact, RoutingProtocol, RoutingSpeaker, Source};
use crate::wire::{Protocol, WireError, pim};

pub(super) struct Pim;

impl Dissector for Pim {
    fn name(&self) -> &'static str {
        "pim"
    }

    fn source(&self) -> Source {
        Source::RoutingProtocol
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Protocol(Protocol::PIM)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let Some(ip) = packet.ip else { return Ok(()) };
        let (pim, ended) = pim::Pim::read(packet.payload)?;
        if !speaker::is_from_link(&ip, packet) {
            return Ok(());
        }
        facts.put(
            Source::RoutingProtocol,
            Fact::RoutingSpeaker(RoutingSpeaker {
                priority: pim.priority,
                ..speaker::of(RoutingProtocol::Pim, pim.version, &ip, packet)
            }),
        );
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{facts, packet};
    use super::*;

    #[test]
    fn what_stays_on_the_link_is_told_from_what_travels() {
        let hello = [0x20, 0, 0, 0, 0, 1, 0, 2, 0, 105];
        let frame = packet("10.20.1.1", "224.0.0.13", Protocol::PIM, 1, &hello);
        assert!(matches!(&facts(&frame)[..], [Fact::RoutingSpeaker(_)]));
        let register = [0x21, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(facts(&packet("10.9.0.1", "10.8.0.1", Protocol::PIM, 250, &register)), []);
    }
}
