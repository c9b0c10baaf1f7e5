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
mod bacnet;
mod bgp;
mod capwap;
mod carp;
mod cdp;
mod dahua;
mod dhcp4;
mod dhcp6;
mod dhcp_told;
mod dns;
mod edp;
mod eigrp;
mod glbp;
mod hsrp;
mod igmp;
mod isis;
mod lacp;
mod lldp;
mod llmnr;
mod mdns;
mod mld;
mod mndp;
mod modbus;
mod ndp;
mod netbios_datagram;
mod netbios_name;
mod ntp;
mod ospf;
mod passage;
mod pim;
mod pppoe;
mod radius;
mod redirect;
mod rip;
mod sadp;
mod sip;
mod snmp;
mod speaker;
mod ssdp;
mod stp;
mod stun;
mod syslog;
mod tftp;
mod traffic;
mod tunnels;
mod ubnt;
mod vrrp;
mod walk;
mod ws_discovery;

pub(super) use dns::of_stream as dns_of_stream;
pub use passage::{Crossing, Side};

use std::net::IpAddr;

use crate::net::Mac;
use crate::observe::heard_names::{Detail, Said};
use crate::observe::{Fact, Foreign, Source};
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
    &dns::Dns,
    &llmnr::Llmnr,
    &netbios_name::NetbiosNames,
    &netbios_datagram::NetbiosDatagrams,
    &ssdp::Ssdp,
    &ws_discovery::WsDiscovery,
    &snmp::Snmp,
    &sip::Sip,
    &ntp::Ntp,
    &tftp::Tftp,
    &syslog::Syslog,
    &radius::Radius,
    &capwap::Capwap,
    &ubnt::Ubnt,
    &sadp::Sadp,
    &dahua::Dahua,
    &bacnet::Bacnet,
    &modbus::Modbus,
    &stun::Stun,
    &lldp::Lldp,
    &mld::Mld,
    &igmp::Igmp,
    &vrrp::Vrrp,
    &hsrp::Hsrp,
    &ospf::Ospf,
    &rip::Rip,
    &eigrp::Eigrp,
    &pim::Pim,
    &stp::Stp,
    &cdp::Cdp,
    &edp::Edp,
    &mndp::Mndp,
    &lacp::Lacp,
    &isis::Isis,
    &bgp::Bgp,
    &glbp::Glbp,
    &carp::Carp,
    &pppoe::Pppoe,
    &redirect::Redirect,
    &tunnels::Tunnels,
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
    /// A datagram of any port, by what stands at a place in it.
    Datagram(usize, &'static [u8]),
    /// Every UDP datagram, for what is told by its form.
    AnyDatagram,
    /// IEEE 802.2 LLC that is not SNAP, by its destination service access point.
    Llc(u8),
    /// SNAP with an organisation's own protocol number.
    Snap([u8; 3], u16),
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

/// A TCP segment, a UDP datagram or a fragment where the walk met it: what streams and packets are put together from.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    pub source: Mac,
    pub destination: Mac,
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
    /// What was [`said`] in a protocol of few words.
    fn say(&mut self, said: Option<Fact>) {
        if let Some(fact) = said {
            self.put(Source::Heard, fact);
        }
    }

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
    fn segment(&mut self, packet: &Packet<'_>, ip: Ip<'_>, carried: Transport<'_>) {
        let Packet { source, destination, .. } = *packet;
        let encapsulation = self.encapsulation;
        (self.segments)(&Segment { source, destination, ip, encapsulation, carried });
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

/// What a station says of itself in few words, of the packet's sender.
fn said(
    packet: &Packet<'_>,
    protocol: &str,
    role: &str,
    peer: Option<IpAddr>,
    details: Vec<Detail>,
) -> Option<Fact> {
    let ip = packet.ip?.source;
    let (protocol, role) = (protocol.to_owned(), role.to_owned());
    Some(Fact::Said(Said { protocol, role, ip, mac: packet.source, peer, details }))
}

/// Octets as text where they are printable, else in hex.
fn text_or_hex(octets: &[u8]) -> Foreign {
    match std::str::from_utf8(octets) {
        Ok(text) if !text.chars().any(char::is_control) => Foreign::new(text),
        _ => Foreign::new(&hex(octets)),
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

    /// What an Ethernet frame says, without the ground that every frame is: whose it is, and what ARP asked.
    pub fn facts(frame: &[u8]) -> Vec<Fact> {
        let mut facts = Vec::new();
        dissect(LinkType::ETHERNET, frame, &mut |_, fact| {
            if !is_ground(&fact) {
                facts.push(fact);
            }
        });
        facts
    }

    fn is_ground(fact: &Fact) -> bool {
        match fact {
            Fact::Traffic { .. }
            | Fact::SourceAddress { .. }
            | Fact::Sender { .. }
            | Fact::ArpExchange(_) => true,
            Fact::Encapsulated { inner, .. } => is_ground(inner),
            _ => false,
        }
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
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Behind every port that wakes somebody, also with the octets first that he looks for.
        #[test]
        fn no_payload_makes_a_dissector_panic(
            payload in proptest::collection::vec(any::<u8>(), 0..200),
            is_sender in any::<bool>(),
        ) {
            for wake in ALL.iter().flat_map(|dissector| dissector.wakes()) {
                let (port, payload) = match wake {
                    Wake::Udp(port) => (*port, payload.clone()),
                    Wake::Datagram(at, octets) => {
                        let mut payload = payload.clone();
                        payload.resize(payload.len().max(*at), 0);
                        payload.splice(*at..*at, octets.iter().copied());
                        (9, payload)
                    }
                    _ => continue,
                };
                let ports = if is_sender { (port, 9) } else { (9, port) };
                check::facts(&check::datagram(("10.20.1.9", ports.0), ("10.20.1.7", ports.1), &payload));
            }
        }
    }

    #[test]
    fn every_dissector_has_a_name_of_its_own_and_something_that_wakes_it() {
        let mut names: Vec<_> = ALL.iter().map(|dissector| dissector.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        assert!(ALL.iter().all(|dissector| !dissector.wakes().is_empty()));
    }
}
