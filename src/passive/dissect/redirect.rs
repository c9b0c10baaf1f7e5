//! ICMP redirects (RFC 792): a router that tells hosts of a better way. Those of IPv6 are read with neighbour discovery.
//!
//! Taken: the next hop and the destination that is quoted. Left: all other ICMP.

use std::net::{IpAddr, Ipv4Addr};

use super::{Dissector, Facts, Packet, Wake};
use crate::observe::{Fact, Redirect as Heard, Source};
use crate::wire::icmp::{self, Icmp};
use crate::wire::{Protocol, WireError};

pub(super) struct Redirect;

impl Dissector for Redirect {
    fn name(&self) -> &'static str {
        "redirect"
    }

    fn source(&self) -> Source {
        Source::Icmp
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Protocol(Protocol::ICMP)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let Some(ip) = packet.ip else { return Ok(()) };
        if packet.payload.first() != Some(&icmp::REDIRECT) {
            return Ok(());
        }
        let icmp = Icmp::read(packet.payload)?;
        let (Some(next_hop), Some(quoted)) =
            (icmp.body.first_chunk::<4>(), icmp.quoted(Protocol::ICMP))
        else {
            return Ok(());
        };
        let next_hop = IpAddr::V4(Ipv4Addr::from(*next_hop));
        let destination = quoted.destination;
        facts.put(
            Source::Icmp,
            Fact::Redirect(Heard { ip: ip.source, mac: packet.source, next_hop, destination }),
        );
        Ok(())
    }
}
