//! EIGRP (RFC 7868): routers and the prefixes that they tell each other.
//!
//! Taken: the autonomous system and reachable prefixes, in the classic TLVs and the wide ones of named mode. Left:
//! authentication, metrics, sequence numbers.

use super::{Dissector, Facts, Packet, Wake, speaker};
use crate::observe::{Fact, RoutingProtocol, RoutingSpeaker, Source};
use crate::wire::{Protocol, WireError, eigrp};

pub(super) struct Eigrp;

impl Dissector for Eigrp {
    fn name(&self) -> &'static str {
        "eigrp"
    }

    fn source(&self) -> Source {
        Source::RoutingProtocol
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Protocol(Protocol::EIGRP)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let Some(ip) = packet.ip else { return Ok(()) };
        let (eigrp, ended) = eigrp::Eigrp::read(packet.payload)?;
        if !speaker::is_from_link(&ip, packet) {
            return ended;
        }
        let mut speaker = RoutingSpeaker {
            group: Some(u32::from(eigrp.autonomous_system)),
            advertised: eigrp.routes,
            ..speaker::of(RoutingProtocol::Eigrp, eigrp.version, &ip, packet)
        };
        speaker.advertised.sort_unstable();
        speaker.advertised.dedup();
        facts.put(Source::RoutingProtocol, Fact::RoutingSpeaker(speaker));
        ended
    }
}
