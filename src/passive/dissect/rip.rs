//! RIP (RFC 1058, 2453) and RIPng (RFC 2080): routers and the prefixes that they know.
//!
//! Taken: who sends from the protocol's port, and reachable prefixes in responses. Left: passwords,
//! metrics, next hops. A request from another port is a question of some tool, and no router; other
//! programs use port 521 too, so RIPng is believed on its own ports, from a link-local address, only.

use std::net::IpAddr;

use super::{Dissector, Facts, Packet, Wake, speaker};
use crate::observe::{Fact, RoutingProtocol, RoutingSpeaker, Source};
use crate::wire::WireError;
use crate::wire::rip;

pub(super) struct Rip;

impl Dissector for Rip {
    fn name(&self) -> &'static str {
        "rip"
    }

    fn source(&self) -> Source {
        Source::RoutingProtocol
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Udp(rip::PORT), Wake::Udp(rip::PORT_NG)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let (Some(ip), Some((from, to))) = (packet.ip, packet.ports) else { return Ok(()) };
        let (rip, ended) = match (ip.source, from, to) {
            (IpAddr::V4(_), rip::PORT, _) => rip::Rip::read(packet.payload)?,
            (IpAddr::V6(source), rip::PORT_NG, rip::PORT_NG) if source.is_unicast_link_local() => {
                rip::Rip::read_ng(packet.payload)?
            }
            _ => return Ok(()),
        };
        // To a neighbour that is named it goes by unicast, with the hop limit the system starts from.
        if !speaker::is_from_link(&ip, packet) && !matches!(ip.hop_limit, 2 | 32 | 64 | 128) {
            return ended;
        }
        let mut speaker = RoutingSpeaker {
            advertised: rip.routes,
            ..speaker::of(RoutingProtocol::Rip, rip.version, &ip, packet)
        };
        speaker.advertised.sort_unstable();
        speaker.advertised.dedup();
        facts.put(Source::RoutingProtocol, Fact::RoutingSpeaker(speaker));
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{datagram, facts};
    use super::*;

    #[test]
    fn a_question_of_a_tool_is_no_router() {
        let request = [&[1, 2, 0, 0][..], &[0; 19], &[16]].concat();
        assert_eq!(facts(&datagram(("10.20.1.9", 40000), ("10.20.1.1", 520), &request)), []);
        let frame = datagram(("10.20.1.1", 520), ("224.0.0.9", 520), &request);
        assert!(matches!(&facts(&frame)[..], [Fact::RoutingSpeaker(_)]));
    }

    #[test]
    fn ng_is_spoken_between_link_local_addresses() {
        let response = [&[2, 1, 0, 0, 0xfd][..], &[0; 15], &[0, 0, 48, 1]].concat();
        let frame = datagram(("fe80::1", 521), ("ff02::9", 521), &response);
        let [Fact::RoutingSpeaker(speaker)] = &facts(&frame)[..] else { panic!() };
        assert_eq!(speaker.advertised, ["fd00::/48".parse().unwrap()]);
        assert_eq!(facts(&datagram(("fd00::1", 521), ("fd00::2", 521), &response)), []);
        assert_eq!(facts(&datagram(("10.0.0.1", 521), ("10.0.0.2", 521), &response)), []);
    }
}
