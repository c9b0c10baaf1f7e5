//! The dissectors: what a frame says, as facts. Pure: no state, no clock, no I/O, no panic.
//!
//! [`walk`] finds its way from the link to every payload, through tags, shims and tunnels; each
//! member of [`ALL`] says what wakes it and reads that payload. A member keeps what it read before
//! a fault; the fault itself becomes an oddity, in words that do not depend on the bytes, so that
//! a flood of broken frames is one fact with a count.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::todo,
        clippy::arithmetic_side_effects
    )
)]

mod arp;
mod dhcp4;
mod dhcp6;
mod eigrp;
mod hsrp;
mod igmp;
mod lldp;
mod mdns;
mod mld;
mod ndp;
mod ospf;
mod passage;
mod pim;
mod rip;
mod speaker;
mod traffic;
mod vrrp;
mod walk;

pub use passage::{Crossing, Side};

use crate::net::Mac;
use crate::observe::{Fact, Source};
use crate::wire::{EtherType, Ip, LinkType, Protocol, Transport, WireError};

/// The word for what a DHCP relay passes on from the clients of its link.
const RELAY: &str = "dhcp-relay";

/// Every dissector, in the order in which they are asked.
pub const ALL: &[&dyn Dissector] = &[
    &traffic::Traffic,
    &passage::Passage,
    &arp::Arp,
    &ndp::Ndp,
    &dhcp4::Dhcp4,
    &dhcp6::Dhcp6,
    &mdns::Mdns,
    &lldp::Lldp,
    &mld::Mld,
    &igmp::Igmp,
    &vrrp::Vrrp,
    &hsrp::Hsrp,
    &ospf::Ospf,
    &rip::Rip,
    &eigrp::Eigrp,
    &pim::Pim,
];

/// One protocol's reader.
pub trait Dissector: Sync {
    /// The protocol's word, in oddities and in the reference.
    fn name(&self) -> &'static str;

    /// By what its facts are said to be learnt; its oddities too.
    fn source(&self) -> Source;

    /// What wakes it. A payload goes to every member that one of its wakes fits.
    fn wakes(&self) -> &'static [Wake];

    /// Takes the facts from a payload. What stops the reader is returned and becomes an oddity.
    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError>;
}

/// Where in a frame a protocol is to be looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    EtherType(EtherType),
    /// Every IP packet, whatever it carries.
    Ip,
    Protocol(Protocol),
    /// ICMPv6 by its type, so that echo does not wake neighbour discovery.
    Icmpv6(u8),
    /// A UDP port at either end.
    Udp(u16),
}

/// A payload and what stood before it.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// The Ethernet addresses; [`Mac::ZERO`] where the link shows none.
    pub source: Mac,
    pub destination: Mac,
    /// The IP header, for what came over IP.
    pub ip: Option<Ip<'a>>,
    /// Source and destination port, for what came over UDP.
    pub ports: Option<(u16, u16)>,
    /// What the woken protocol starts with: behind the UDP header for [`Wake::Udp`].
    pub payload: &'a [u8],
}

impl Packet<'_> {
    /// There is less than the IP header says: by a capture's limit, or by a lie.
    fn is_cut(&self) -> bool {
        self.ip.is_some_and(|ip| ip.cut)
    }
}

/// A TCP segment or a UDP datagram where the walk met it: what streams are put together from.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    pub source: Mac,
    pub ip: Ip<'a>,
    /// The tunnel that it was met in.
    pub encapsulation: Option<&'static str>,
    pub carried: Transport<'a>,
}

/// Where the facts of one frame go.
pub struct Facts<'f> {
    out: &'f mut dyn FnMut(Source, Fact),
    crossings: &'f mut dyn FnMut(Crossing),
    segments: &'f mut dyn FnMut(&Segment<'_>),
    /// The tunnel that the walk is in.
    encapsulation: Option<&'static str>,
}

impl Facts<'_> {
    pub fn put(&mut self, source: Source, fact: Fact) {
        let fact = match self.encapsulation {
            Some(encapsulation) => Fact::Encapsulated {
                encapsulation: encapsulation.to_owned(),
                inner: Box::new(fact),
            },
            None => fact,
        };
        (self.out)(source, fact);
    }

    /// A question or an answer that may cross the edge of the link. What is in a tunnel does not.
    fn crossing(&mut self, crossing: Crossing) {
        (self.crossings)(crossing);
    }

    /// What may be the start of a stream, or may stand near it.
    fn segment(&mut self, source: Mac, ip: Ip<'_>, carried: Transport<'_>) {
        let encapsulation = self.encapsulation;
        (self.segments)(&Segment { source, ip, encapsulation, carried });
    }

    /// Something that lies about itself. `what` never depends on the bytes.
    pub fn oddity(&mut self, source: Source, mac: Mac, protocol: &str, what: &str) {
        let mac = mac.is_station().then_some(mac);
        self.put(
            source,
            Fact::Oddity { mac, protocol: protocol.to_owned(), what: what.to_owned() },
        );
    }

    /// A tunnel's inside: what is put through the result is marked as being in it.
    fn inside<'s>(&'s mut self, encapsulation: &'static str) -> Facts<'s> {
        let Facts { out, crossings, segments, .. } = self;
        Facts {
            out: &mut **out,
            crossings: &mut **crossings,
            segments: &mut **segments,
            encapsulation: Some(encapsulation),
        }
    }
}

/// How far a frame could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// To the protocols that are known, or to one that is not.
    Read,
    /// Not even the first header.
    Unreadable,
    /// A link type that no reader knows.
    Skipped,
}

/// Every fact that one frame shows.
pub fn dissect(link_type: LinkType, frame: &[u8], out: &mut dyn FnMut(Source, Fact)) -> Reading {
    dissect_with_crossings(link_type, frame, out, &mut |_| ())
}

/// The same, and what may be a question across the edge of the link or an answer to one: whether it is takes more
/// than one frame to tell.
pub fn dissect_with_crossings(
    link_type: LinkType,
    frame: &[u8],
    out: &mut dyn FnMut(Source, Fact),
    crossings: &mut dyn FnMut(Crossing),
) -> Reading {
    dissect_with_streams(link_type, frame, out, crossings, &mut |_| ())
}

/// The same, and what streams are put together from, of this link and of the tunnels on it.
pub fn dissect_with_streams(
    link_type: LinkType,
    frame: &[u8],
    out: &mut dyn FnMut(Source, Fact),
    crossings: &mut dyn FnMut(Crossing),
    segments: &mut dyn FnMut(&Segment<'_>),
) -> Reading {
    walk::link(link_type, frame, &mut Facts { out, crossings, segments, encapsulation: None })
}

/// Wakes the members that `fits` chooses.
fn wake(packet: &Packet<'_>, facts: &mut Facts<'_>, fits: impl Fn(Wake) -> bool) {
    for dissector in ALL {
        if dissector.wakes().iter().any(|&wake| fits(wake))
            && let Err(fault) = dissector.read(packet, facts)
        {
            // What a capture's limit cut off says nothing about the sender.
            let what = if packet.is_cut() { "cut short" } else { fault.why() };
            facts.oddity(dissector.source(), packet.source, dissector.name(), what);
        }
    }
}

/// Octets as two digits each.
fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod check {
    use super::*;
    use crate::wire::build::{self, Macs};

    pub const OURS: Mac = Mac([2, 0, 0, 0, 0, 5]);
    pub const MACS: Macs = Macs { source: OURS, destination: Mac([2, 0, 0, 0, 0, 7]) };

    /// What an Ethernet frame says, without the traffic that every IP packet is.
    pub fn facts(frame: &[u8]) -> Vec<Fact> {
        let mut facts = Vec::new();
        dissect(LinkType::ETHERNET, frame, &mut |_, fact| {
            if !matches!(fact, Fact::Traffic { .. }) {
                facts.push(fact);
            }
        });
        facts
    }

    /// What the oddities of a frame say.
    pub fn oddities(frame: &[u8]) -> Vec<String> {
        facts(frame)
            .into_iter()
            .filter_map(|fact| match fact {
                Fact::Oddity { what, .. } => Some(what),
                _ => None,
            })
            .collect()
    }

    /// A packet from one address to another.
    pub fn packet(
        source: &str,
        destination: &str,
        protocol: Protocol,
        hop_limit: u8,
        payload: &[u8],
    ) -> Vec<u8> {
        let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
        build::packet(MACS, source, destination, protocol, hop_limit, payload).unwrap()
    }

    pub fn datagram(source: (&str, u16), destination: (&str, u16), payload: &[u8]) -> Vec<u8> {
        let source = (source.0.parse().unwrap(), source.1);
        let destination = (destination.0.parse().unwrap(), destination.1);
        build::udp_datagram(MACS, source, destination, 255, payload).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dissector_has_a_name_of_its_own_and_something_that_wakes_it() {
        let mut names: Vec<_> = ALL.iter().map(|dissector| dissector.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        assert!(ALL.iter().all(|dissector| !dissector.wakes().is_empty()));
    }
}
