//! OSPF (RFC 2328, 5340): routers, their neighbours and the prefixes that they tell each other.
//!
//! Taken: router id and area of every packet, designated routers and neighbours of a hello, the
//! sender's prefix (version 2), the prefixes in link-state updates. Left: authentication, costs, ages
//! and sequence numbers, which differ every time; virtual links, whose ends are not on this link.

use std::net::IpAddr;

use super::{Dissector, Facts, Packet, Wake, speaker};
use crate::net::Prefix;
use crate::observe::{Fact, RoutingProtocol, RoutingSpeaker, Source};
use crate::wire::{Protocol, WireError, ospf};

pub(super) struct Ospf;

impl Dissector for Ospf {
    fn name(&self) -> &'static str {
        "ospf"
    }

    fn source(&self) -> Source {
        Source::RoutingProtocol
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Protocol(Protocol::OSPF)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let Some(ip) = packet.ip else { return Ok(()) };
        let (ospf, ended) = ospf::Ospf::read(packet.payload)?;
        if !speaker::is_from_link(&ip, packet) {
            return ended;
        }
        let mut speaker = RoutingSpeaker {
            router_id: Some(ospf.router_id.to_string()),
            group: Some(ospf.area),
            advertised: ospf.prefixes,
            ..speaker::of(RoutingProtocol::Ospf, ospf.version, &ip, packet)
        };
        speaker.advertised.sort_unstable();
        speaker.advertised.dedup();
        if let Some(hello) = ospf.hello {
            speaker.priority = Some(hello.priority);
            speaker.prefix = hello.prefix_length.map(|length| Prefix::of(ip.source, length));
            let designated = [hello.designated, hello.backup];
            for neighbour in designated.into_iter().chain(hello.neighbours) {
                let neighbour = IpAddr::V4(neighbour);
                if !neighbour.is_unspecified() && !speaker.neighbours.contains(&neighbour) {
                    speaker.neighbours.push(neighbour);
                }
            }
        }
        facts.put(Source::RoutingProtocol, Fact::RoutingSpeaker(speaker));
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{OURS, facts, packet};
    use super::*;

    const HELLO: [u8; 44] = {
        let mut hello = [0; 44];
        (hello[0], hello[1], hello[3]) = (2, 1, 44);
        (hello[4], hello[7], hello[11]) = (10, 1, 3);
        (hello[24], hello[25], hello[26], hello[31]) = (255, 255, 255, 1);
        (hello[36], hello[37], hello[38], hello[39]) = (10, 20, 1, 1);
        hello
    };

    fn speaker(frame: &[u8]) -> RoutingSpeaker {
        let facts = facts(frame);
        let [Fact::RoutingSpeaker(speaker)] = &facts[..] else { panic!("{facts:?}") };
        speaker.clone()
    }

    #[test]
    fn a_hello_tells_the_prefix_of_the_link() {
        let found = speaker(&packet("10.20.1.2", "224.0.0.5", Protocol::OSPF, 1, &HELLO));
        assert_eq!((found.router_id.as_deref(), found.group), (Some("10.0.0.1"), Some(3)));
        assert_eq!(found.prefix, Some("10.20.1.0/24".parse().unwrap()));
        assert_eq!((found.mac, found.neighbours), (OURS, vec![[10, 20, 1, 1].into()]));
    }

    #[test]
    fn the_ends_of_a_virtual_link_are_not_on_this_link() {
        assert_eq!(facts(&packet("10.9.0.2", "10.20.1.2", Protocol::OSPF, 250, &HELLO)), []);
    }
}
