//! ARP (RFC 826, 5227): who uses which IPv4 address on this link.
//!
//! Taken: the sender of requests and replies, gratuitous or not, as a binding; and apart from it what was asked or said: probes,
//! announcements, gratuitous replies, requests and who answered them, bounded by the listener. A target that is asked
//! for exists because of that as little as before. Conflicts and flip-flops take more than one packet: the listener tells them.
//! Left: reverse ARP's meaning.

use super::{Dissector, Facts, Packet, Wake};
use crate::net::special;
use crate::observe::{ArpExchange, ArpMessage, Fact, Source};
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
        let read = arp::Arp::read(packet.payload);
        if read.is_err() || read.is_ok_and(|arp| arp.sender_mac != packet.source) {
            facts.put(Source::Traffic, Fact::Sender { mac: packet.source });
        }
        let arp = read?;
        let own = arp.sender == arp.target;
        let message = match arp.operation {
            arp::REQUEST if arp.sender.is_unspecified() => ArpMessage::Probe,
            arp::REQUEST if own => ArpMessage::Announcement,
            arp::REQUEST => ArpMessage::Request,
            arp::REPLY if own => ArpMessage::GratuitousReply,
            arp::REPLY => ArpMessage::Reply,
            other => ArpMessage::Other(other),
        };
        let (ip, target) = (arp.sender.into(), arp.target.into());
        facts.put(
            Source::Arp,
            Fact::ArpExchange(ArpExchange { message, mac: arp.sender_mac, ip, target }),
        );
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

#[cfg(test)]
mod tests {
    use super::super::check::{MACS, OURS, facts, oddities};
    use super::*;
    use crate::net::Mac;
    use crate::wire::build;

    fn frame(operation: u16, sender_mac: Mac, sender: [u8; 4]) -> Vec<u8> {
        let mut frame = Vec::new();
        crate::wire::ethernet::write(&mut frame, Mac::BROADCAST, OURS, EtherType::ARP);
        let target = [10, 20, 1, 7].into();
        let (target_mac, sender) = (Mac::ZERO, sender.into());
        arp::Arp { operation, sender_mac, sender, target_mac, target }.write(&mut frame);
        frame
    }

    #[test]
    fn senders_are_bound_and_probes_are_not() {
        let bound = vec![Fact::Binding { ip: [10, 20, 1, 5].into(), mac: OURS }];
        assert_eq!(facts(&frame(arp::REQUEST, OURS, [10, 20, 1, 5])), bound);
        assert_eq!(facts(&frame(arp::REPLY, OURS, [10, 20, 1, 5])), bound);
        assert_eq!(facts(&build::arp_probe(MACS.source, [10, 20, 1, 7].into())), []);
        assert_eq!(facts(&frame(9, OURS, [10, 20, 1, 5])), []);
    }

    #[test]
    fn what_was_asked_and_said_is_told_apart() {
        let message = |operation, sender: [u8; 4]| {
            let mut told = None;
            super::super::dissect(
                crate::wire::LinkType::ETHERNET,
                &frame(operation, OURS, sender),
                &mut |_, fact| {
                    if let Fact::ArpExchange(exchange) = fact {
                        told = Some(exchange.message);
                    }
                },
            );
            told.unwrap()
        };
        assert_eq!(message(arp::REQUEST, [10, 20, 1, 5]), ArpMessage::Request);
        assert_eq!(message(arp::REQUEST, [0; 4]), ArpMessage::Probe);
        assert_eq!(message(arp::REQUEST, [10, 20, 1, 7]), ArpMessage::Announcement);
        assert_eq!(message(arp::REPLY, [10, 20, 1, 7]), ArpMessage::GratuitousReply);
        assert_eq!(message(9, [10, 20, 1, 5]), ArpMessage::Other(9));
    }

    #[test]
    fn another_mac_in_the_body_is_kept_and_noted() {
        let other = Mac([2, 0, 0, 0, 0, 9]);
        let frame = frame(arp::REPLY, other, [10, 20, 1, 5]);
        assert_eq!(oddities(&frame), ["sender MAC is not the frame's source"]);
        let bound = Fact::Binding { ip: [10, 20, 1, 5].into(), mac: other };
        assert!(facts(&frame).contains(&bound));
    }

    #[test]
    fn a_sender_that_no_station_can_have_binds_nothing() {
        for sender in [[224, 0, 0, 1], [255; 4], [127, 0, 0, 1]] {
            let frame = frame(arp::REPLY, OURS, sender);
            assert_eq!(oddities(&frame), ["sender that no station can have"]);
            assert_eq!(facts(&frame).len(), 1);
        }
    }
}
