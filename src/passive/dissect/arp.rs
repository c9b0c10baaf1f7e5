//! ARP (RFC 826, 5227): who uses which IPv4 address on this link.
//!
//! Taken: the sender of requests and replies, gratuitous or not. Left: targets (nobody says that
//! they exist) and probes, whose sender has no address yet.

use super::{Dissector, Facts, Packet, Wake};
use crate::net::special;
use crate::observe::{Fact, Source};
use crate::wire::{EtherType, WireError, arp};

pub(super) struct Arp;

impl Dissector for Arp {
    fn name(&self) -> &'static str {
        "arp"
    }

    fn source(&self) -> Source {
        Source::Arp
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::EtherType(EtherType::ARP)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let arp = arp::Arp::read(packet.payload)?;
        if !matches!(arp.operation, arp::REQUEST | arp::REPLY) {
            return Ok(());
        }
        if packet.source.is_station() && arp.sender_mac != packet.source {
            facts.oddity(Source::Arp, packet.source, "arp", "sender MAC is not the frame's source");
        }
        if arp.sender.is_unspecified() {
            return Ok(());
        }
        if !arp.sender_mac.is_station() || !special::is_host(arp.sender.into()) {
            facts.oddity(Source::Arp, packet.source, "arp", "sender that no station can have");
            return Ok(());
        }
        facts.put(Source::Arp, Fact::Binding { ip: arp.sender.into(), mac: arp.sender_mac });
        Ok(())
    }
}
