//! Neighbour solicitations. RFC 4861 §4.3.
//!
//! An advertisement echoes nothing of ours but the target: it counts only if the target was asked, it
//! is solicited, it is for us, and no router passed it on (hop limit 255, §7.1.2).

use std::net::{IpAddr, Ipv6Addr};

use super::patch::{Address, Field, Packet};
use super::{Ask, Context, Hears, Probe, Resolution, Setup, Template, answer};
use crate::net::{Mac, special};
use crate::observe::{PortState, Source};
use crate::scan::recogniser::Recognised;
use crate::scan::source_ports::SourcePorts;
use crate::scope::Class;
use crate::scope::frame::Frame;
use crate::wire::Protocol;

pub(super) struct NeighbourSolicitation;

impl Probe for NeighbourSolicitation {
    fn name(&self) -> &'static str {
        "ndp"
    }

    fn source(&self) -> Source {
        Source::Ndp
    }

    fn class(&self) -> Class {
        Class::Gentle
    }

    fn speaks_to(&self, target: IpAddr) -> bool {
        target.is_ipv6()
    }

    fn hears(&self, _: SourcePorts) -> Hears {
        Hears::Icmp
    }

    fn resolution(&self) -> Resolution {
        Resolution::IsIt
    }

    fn template(&self, setup: &Setup<'_>) -> Option<Box<dyn Template>> {
        if setup.source.is_ipv4() {
            return None;
        }
        let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
        message.extend_from_slice(&[0; 16]);
        message.extend_from_slice(&[1, 1]);
        message.extend_from_slice(&setup.vantage.mac.0);
        let packet = Packet::new(setup.vantage.mac, setup.source, Protocol::ICMPV6, &message, 2)?;
        Some(Box::new(Solicitation(packet)))
    }

    fn recognise(&self, context: &Context<'_>, frame: &Frame<'_>) -> Option<Recognised> {
        let packet = context.packet_for_us(frame)?;
        if packet.icmp() != Some((136, 0)) || packet.hop_limit != 255 {
            return None;
        }
        let target = IpAddr::V6(packet.nd_target()?);
        let solicited = packet.payload.get(4).is_some_and(|flags| flags & 0x40 != 0);
        if !solicited || !context.known.resolved.contains(target) {
            return None;
        }
        Some(answer(self, target, frame, packet.hop_limit, None, PortState::Alive))
    }
}

struct Solicitation(Packet);

impl Template for Solicitation {
    fn stamp(&mut self, ask: &Ask) -> &[u8] {
        let target = match ask.target {
            IpAddr::V6(target) => target,
            IpAddr::V4(_) => Ipv6Addr::UNSPECIFIED,
        };
        let group = special::solicited_node(target);
        let address = Address {
            next_hop: Mac::of_ipv6_group(group),
            target: group.into(),
            hop_limit: 255,
            label: 0,
        };
        let (high, low) = ((target.to_bits() >> 64) as u64, target.to_bits() as u64);
        self.0.stamp(&address, &[Field::Eight(8, high), Field::Eight(16, low)])
    }
}
