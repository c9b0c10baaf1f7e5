//! The way from a frame's first byte to the payloads that dissectors read.
//!
//! Tags and shims that stations of this link put before their packets (802.1Q, 802.1ah, PPPoE, MPLS)
//! are passed. What is inside an IP tunnel is walked too, and its facts are marked: they are true of
//! another wire. Each layer is shorter than the one around it, and there is a limit to their number.

use std::net::IpAddr;

use super::{Facts, Packet, Reading, Wake, wake};
use crate::net::Mac;
use crate::observe::Source;
use crate::wire::ethernet::{Carried, EtherType, Ethernet};
use crate::wire::tcp::{self, TcpSegment};
use crate::wire::tunnel::{self, Inner, Inside};
use crate::wire::udp::Udp;
use crate::wire::{Ip, LinkType, Protocol, Transport, WireError, link_header, quic};

/// Frames within packets within frames: deeper than any network that means well.
const MOST_LAYERS: u8 = 8;

/// Where the walk stands: the addresses of the link that it is on, and how deep it is.
#[derive(Debug, Clone, Copy)]
struct Place {
    source: Mac,
    destination: Mac,
    layers: u8,
}

impl Place {
    const OUTSIDE: Place = Place { source: Mac::ZERO, destination: Mac::ZERO, layers: 0 };

    fn deeper(self) -> Place {
        Place { layers: self.layers.saturating_add(1), ..self }
    }

    /// Inside a tunnel the outer link's addresses say nothing.
    fn without_link(self) -> Place {
        Place { layers: self.layers, ..Place::OUTSIDE }
    }

    fn odd(self, facts: &mut Facts<'_>, protocol: &str, what: &str) {
        facts.oddity(Source::Traffic, self.source, protocol, what);
    }
}

pub(super) fn link(link_type: LinkType, frame: &[u8], facts: &mut Facts<'_>) -> Reading {
    if link_type == LinkType::ETHERNET {
        return ethernet(frame, Place::OUTSIDE, facts);
    }
    match link_header::read(link_type, frame) {
        None => Reading::Skipped,
        Some(Err(_)) => Reading::Unreadable,
        Some(Ok(header)) => {
            let source = header.source.unwrap_or(Mac::ZERO);
            let place = Place { source, ..Place::OUTSIDE };
            match header.carried {
                Some(ethertype) => carried(ethertype, header.payload, place, facts),
                None => Reading::Read,
            }
        }
    }
}

fn ethernet(frame: &[u8], place: Place, facts: &mut Facts<'_>) -> Reading {
    let Ok(ethernet) = Ethernet::read(frame) else { return Reading::Unreadable };
    let place =
        Place { source: ethernet.source, destination: ethernet.destination, layers: place.layers };
    if place.source.is_group() {
        facts.oddity(Source::Traffic, Mac::ZERO, "ethernet", "source that is a group");
    }
    match ethernet.carried {
        Carried::EtherType(ethertype) => {
            carried(ethertype, ethernet.payload, place, facts);
            Reading::Read
        }
        Carried::Llc(_) | Carried::Snap(..) => Reading::Read,
    }
}

/// What an EtherType announces, on Ethernet or on another link that borrows the numbers.
fn carried(ethertype: EtherType, payload: &[u8], place: Place, facts: &mut Facts<'_>) -> Reading {
    if place.layers >= MOST_LAYERS {
        place.odd(facts, "frame", "too many layers");
        return Reading::Read;
    }
    let place = place.deeper();
    match ethertype {
        EtherType::IPV4 | EtherType::IPV6 => {
            if let Err(fault) = ip(payload, place, facts) {
                place.odd(facts, fault.what(), fault.why());
                return Reading::Unreadable;
            }
        }
        EtherType::MPLS | EtherType::MPLS_MULTICAST => {
            // What is carried is not announced: a packet is told by its first nibble.
            if let Ok(behind @ [0x40..=0x4f | 0x60..=0x6f, ..]) = tunnel::mpls(payload)
                && let Err(fault) = ip(behind, place, facts)
            {
                place.odd(facts, fault.what(), fault.why());
            }
        }
        EtherType::PPPOE_SESSION => {
            if let Ok(session) = tunnel::pppoe_session(payload) {
                ppp(session, place, facts);
            }
        }
        EtherType::METADATA => {
            if let Ok((ethertype, behind)) = tunnel::metadata(payload) {
                carried(ethertype, behind, place, facts);
            }
        }
        EtherType::BACKBONE => {
            if let Ok(inner) = tunnel::backbone(payload) {
                ethernet(inner, place, facts);
            }
        }
        _ => {
            let packet = Packet {
                source: place.source,
                destination: place.destination,
                ip: None,
                ports: None,
                payload,
            };
            wake(&packet, facts, |wake| wake == Wake::EtherType(ethertype));
        }
    }
    Reading::Read
}

fn ppp(bytes: &[u8], place: Place, facts: &mut Facts<'_>) {
    if let Ok(Some((ethertype, payload))) = tunnel::ppp(bytes) {
        carried(ethertype, payload, place, facts);
    }
}

fn ip(bytes: &[u8], place: Place, facts: &mut Facts<'_>) -> Result<(), WireError> {
    let ip = Ip::read(bytes)?;
    let packet = Packet {
        source: place.source,
        destination: place.destination,
        ip: Some(ip),
        ports: None,
        payload: ip.payload,
    };
    wake(&packet, facts, |wake| wake == Wake::Ip);
    if !ip.has_upper_layer() {
        return Ok(());
    }
    match (ip.protocol, ip.source) {
        (Protocol::UDP, _) => udp(packet, ip, place, facts),
        (Protocol::TCP, _) => {
            // What carries nothing and opens nothing is no part of a head.
            if let Ok(segment) = TcpSegment::read(ip.payload)
                && (!segment.payload.is_empty() || segment.has(tcp::SYN))
            {
                facts.segment(place.source, ip, Transport::Tcp(segment));
            }
            wake(&packet, facts, |wake| wake == Wake::Protocol(Protocol::TCP));
        }
        (Protocol::ICMPV6, IpAddr::V6(_)) => {
            if let Some(&icmp_type) = ip.payload.first() {
                wake(&packet, facts, |wake| wake == Wake::Icmpv6(icmp_type));
            }
        }
        (Protocol::IPV4, IpAddr::V4(_)) => inside("ipip", Inner::Ip, ip.payload, place, facts),
        (Protocol::IPV4, IpAddr::V6(_)) => inside("4in6", Inner::Ip, ip.payload, place, facts),
        (Protocol::IPV6, IpAddr::V4(_)) => inside("6in4", Inner::Ip, ip.payload, place, facts),
        (Protocol::IPV6, IpAddr::V6(_)) => inside("6in6", Inner::Ip, ip.payload, place, facts),
        (Protocol::GRE, _) => tunnelled(tunnel::gre(ip.payload), place, facts),
        (
            Protocol::HOP_BY_HOP
            | Protocol::ROUTING
            | Protocol::FRAGMENT
            | Protocol::DESTINATION_OPTIONS,
            IpAddr::V6(_),
        ) => {
            // RFC 7112: the first fragment must hold the whole chain. Else a filter sees nothing.
            place.odd(facts, "ipv6", "extension headers that hide the upper layer");
        }
        (protocol, _) => wake(&packet, facts, |wake| wake == Wake::Protocol(protocol)),
    }
    Ok(())
}

fn udp(packet: Packet<'_>, ip: Ip<'_>, place: Place, facts: &mut Facts<'_>) {
    let udp = match Udp::read(ip.payload) {
        Ok(udp) => udp,
        Err(fault) => return place.odd(facts, fault.what(), fault.why()),
    };
    let packet =
        Packet { ports: Some((udp.source, udp.destination)), payload: udp.payload, ..packet };
    wake(
        &packet,
        facts,
        |wake| matches!(wake, Wake::Udp(port) if port == udp.destination || port == udp.source),
    );
    if quic::is_initial(udp.payload) {
        facts.segment(place.source, ip, Transport::Udp(udp));
    }
    // Tunnels are told by their destination port; Teredo by either, for servers answer from it.
    match (udp.destination, udp.source) {
        (tunnel::VXLAN_PORT | tunnel::VXLAN_OLD_PORT, _) => {
            tunnelled(tunnel::vxlan(udp.payload), place, facts);
        }
        (tunnel::GENEVE_PORT, _) => tunnelled(tunnel::geneve(udp.payload), place, facts),
        (tunnel::TEREDO_PORT, _) | (_, tunnel::TEREDO_PORT) => {
            tunnelled(tunnel::teredo(udp.payload), place, facts);
        }
        _ => {}
    }
}

/// A header that cannot be read is no tunnel: other programs use its port.
fn tunnelled(read: Result<Inside<'_>, WireError>, place: Place, facts: &mut Facts<'_>) {
    if let Ok(Inside { tunnel, carried, payload }) = read {
        inside(tunnel, carried, payload, place, facts);
    }
}

fn inside(tunnel: &'static str, inner: Inner, payload: &[u8], place: Place, facts: &mut Facts<'_>) {
    if place.layers >= MOST_LAYERS {
        return place.odd(facts, "frame", "too many layers");
    }
    let place = place.deeper().without_link();
    let mut facts = facts.inside(tunnel);
    match inner {
        Inner::Ethernet => {
            ethernet(payload, place, &mut facts);
        }
        Inner::Ip => {
            // Not a packet: another program on the port, or encrypted.
            let _ = ip(payload, place, &mut facts);
        }
        Inner::Ppp => ppp(payload, place, &mut facts),
        Inner::EtherType(ethertype) => {
            carried(ethertype, payload, place, &mut facts);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{MACS, datagram, facts, oddities, packet};
    use crate::observe::Fact;
    use crate::wire::{Protocol, build};

    #[test]
    fn what_is_inside_a_tunnel_is_marked() {
        let inner = build::arp_request(MACS, [10, 9, 0, 1].into(), [10, 9, 0, 2].into());
        let vxlan = [&[8, 0, 0, 0, 0, 0, 7, 0][..], &inner].concat();
        let frame = datagram(("10.20.1.5", 50000), ("10.20.1.7", 4789), &vxlan);
        let binding = Fact::Binding { ip: [10, 9, 0, 1].into(), mac: MACS.source };
        let inner = Box::new(binding);
        assert_eq!(facts(&frame), [Fact::Encapsulated { encapsulation: "vxlan".into(), inner }]);
    }

    #[test]
    fn a_tower_of_packets_ends() {
        let mut inside = vec![0; 8];
        for _ in 0..40 {
            inside = packet("10.0.0.1", "10.0.0.2", Protocol::IPV4, 9, &inside)[14..].to_vec();
        }
        let frame = packet("10.0.0.1", "10.0.0.2", Protocol::IPV4, 9, &inside);
        let facts = facts(&frame);
        let [Fact::Encapsulated { inner, .. }] = &facts[..] else { panic!("{facts:?}") };
        assert!(matches!(&**inner, Fact::Oddity { what, .. } if what == "too many layers"));
    }

    #[test]
    fn a_packet_cut_by_the_capture_is_not_held_against_its_sender() {
        let frame = build::dhcp_discover(MACS.source, 7);
        assert_eq!(oddities(&frame[..290]), ["cut short"]);
        assert_eq!(oddities(&frame), [""; 0]);
    }
}
