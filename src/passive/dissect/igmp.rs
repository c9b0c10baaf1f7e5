//! IGMP (RFC 1112, 2236, 9776): who asks, and who listens to which group.
//!
//! Taken: general queries, also from 0.0.0.0 (a snooping switch that stands in for a router, RFC
//! 4541 §2.1.1), groups that a report joins or leaves, and queries for one group. Left: sources.

use std::net::{IpAddr, Ipv4Addr};

use super::{Dissector, Facts, Packet, Wake};
use crate::net::Mac;
use crate::observe::{Fact, GroupMessage, GroupMessageKind, Source};
use crate::wire::igmp::{self, Message};
use crate::wire::{Protocol, WireError};

pub(super) struct Igmp;

impl Dissector for Igmp {
    fn name(&self) -> &'static str {
        "igmp"
    }

    fn source(&self) -> Source {
        Source::Igmp
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Protocol(Protocol::IGMP)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let Some(ip) = packet.ip else { return Ok(()) };
        let (message, ended) = igmp::read(packet.payload)?;
        let (ip, mac) = (ip.source, packet.source);
        match message {
            Message::Query { version, group } if group.is_unspecified() => {
                facts.put(Source::Igmp, Fact::Querier { ip, mac, version });
            }
            Message::Report { joined, left } => {
                for group in joined.iter().filter(|group| group.is_multicast()) {
                    let group = IpAddr::V4(*group);
                    facts.put(Source::Igmp, Fact::Listener { ip, mac, group });
                }
                for group in left {
                    other(facts, ip, mac, group, GroupMessageKind::Leave);
                }
            }
            Message::Query { group, .. } => other(facts, ip, mac, group, GroupMessageKind::Query),
            Message::Leave(group) => other(facts, ip, mac, group, GroupMessageKind::Leave),
            Message::Other(_) => {}
        }
        ended
    }
}

fn other(facts: &mut Facts<'_>, ip: IpAddr, mac: Mac, group: Ipv4Addr, message: GroupMessageKind) {
    if group.is_multicast() {
        let group = IpAddr::V4(group);
        facts.put(Source::Igmp, Fact::GroupMessage(GroupMessage { ip, mac, group, message }));
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{OURS, facts, packet};
    use super::*;

    #[test]
    fn queriers_and_listeners() {
        let query = [0x11, 100, 0, 0, 0, 0, 0, 0];
        let frame = packet("0.0.0.0", "224.0.0.1", Protocol::IGMP, 1, &query);
        let ip = [0, 0, 0, 0].into();
        assert_eq!(facts(&frame), [Fact::Querier { ip, mac: OURS, version: 2 }]);
        let report = [0x16, 0, 0, 0, 224, 0, 0, 251];
        let frame = packet("10.20.1.5", "224.0.0.251", Protocol::IGMP, 1, &report);
        let (ip, group) = ([10, 20, 1, 5].into(), [224, 0, 0, 251].into());
        assert_eq!(facts(&frame), [Fact::Listener { ip, mac: OURS, group }]);
    }
}
