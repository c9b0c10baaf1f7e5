//! OSPF (RFC 2328, 5340): routers, their neighbours and the prefixes that they tell each other.
//!
//! Taken: router id and area of every packet, designated routers and neighbours of a hello, the
//! sender's prefix (version 2), the prefixes in link-state updates. Left: authentication, costs, ages
//! and sequence numbers, which differ every time.

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
