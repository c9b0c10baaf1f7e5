//! The way from a frame's first byte to the payloads that dissectors read.
//!
//! Tags and shims that stations of this link put before their packets (802.1Q, 802.1ah, PPPoE, MPLS)
//! are passed. What is inside an IP tunnel is walked too, and its facts are marked: they are true of
//! another wire. Each layer is shorter than the one around it, and there is a limit to their number.

use std::net::IpAddr;

use super::{Facts, Packet, Reading, Wake, tunnels, wake};
use crate::net::Mac;
use crate::observe::{Carriage, Fact, Source, Tunnel, TunnelKind};
use crate::wire::cursor::Cursor;
use crate::wire::ethernet::{self, Carried, EtherType, Ethernet};
use crate::wire::link_header::{self, Behind};
use crate::wire::tcp::{self, TcpSegment};
use crate::wire::tunnel::{self, Inner, Inside};
use crate::wire::udp::Udp;
use crate::wire::{Ip, LinkType, Protocol, Transport, WireError, marks, quic};

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

    /// A payload at this place, over no IP.
    fn packet(self, payload: &[u8]) -> Packet<'_> {
        Packet {
            source: self.source,
            destination: self.destination,
            ip: None,
            ports: None,
            payload,
        }
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
            let place = Place {
                source: header.source.unwrap_or(Mac::ZERO),
                destination: header.destination.unwrap_or(Mac::ZERO),
                ..Place::OUTSIDE
            };
            match header.behind {
                Behind::Carried(what) => {
                    sender(what, header.source, facts);
                    any(what, header.payload, place, facts)
                }
                Behind::Ethernet => ethernet(header.payload, place, facts),
                Behind::Nothing => Reading::Read,
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
    if let Some(vlan) = ethernet.vlan {
        let (mac, inner) = (place.source, ethernet.inner_vlan);
        facts.put(Source::Traffic, Fact::Vlan { mac, vlan, inner });
    }
    sender(ethernet.carried, Some(place.source), facts);
    any(ethernet.carried, ethernet.payload, place, facts);
    Reading::Read
}

/// Whose frame it is. Of packets and of ARP the source is told with their addresses.
fn sender(carried: Carried, mac: Option<Mac>, facts: &mut Facts<'_>) {
    let is_told =
        matches!(carried, Carried::EtherType(EtherType::IPV4 | EtherType::IPV6 | EtherType::ARP));
    // With no address, as loopback interfaces have it, a frame stands for no station in those.
    if let Some(mac) = mac
        && (!is_told || mac == Mac::ZERO)
    {
        facts.put(Source::Traffic, Fact::Sender { mac });
    }
}

/// What stands behind the addresses, whichever way it is announced.
fn any(what: Carried, payload: &[u8], place: Place, facts: &mut Facts<'_>) -> Reading {
    match what {
        Carried::EtherType(ethertype) => return carried(ethertype, payload, place, facts),
        Carried::Llc(point) => {
            wake(&place.packet(payload), facts, |wake| wake == Wake::Llc(point));
        }
        Carried::Snap(organisation, protocol) => {
            wake(&place.packet(payload), facts, |wake| wake == Wake::Snap(organisation, protocol));
        }
    }
    Reading::Read
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
                // No address is told with this MAC, so each is told alone.
                if place.source != Mac::ZERO {
                    facts.put(Source::Traffic, Fact::Sender { mac: place.source });
                }
                if let Some(ip) = Ip::source_of(payload) {
                    facts.put(Source::Traffic, Fact::SourceAddress { ip });
                }
                place.odd(facts, fault.what(), fault.why());
                return Reading::Unreadable;
            }
        }
        EtherType::MPLS | EtherType::MPLS_MULTICAST => labelled(payload, place, facts),
        EtherType::JUMBO_LLC => {
            if let Ok((what, payload)) = ethernet::llc(Cursor::new("llc", payload)) {
                any(what, payload, place, facts);
            }
        }
        EtherType::PPPOE_SESSION => {
            wake(&place.packet(payload), facts, |wake| wake == Wake::EtherType(ethertype));
            if let Ok(session) = tunnel::pppoe_session(payload) {
                ppp(session, place, facts);
            }
        }
        EtherType(tag) if EtherType(tag).is_tag() => tagged(payload, place, facts),
        EtherType::ARISTA => {
            if let Ok((ethertype, behind)) = tunnel::arista(payload) {
                carried(ethertype, behind, place, facts);
            }
        }
        EtherType::MACSEC => {
            if let Ok(Some((ethertype, behind))) = tunnel::macsec(payload) {
                carried(ethertype, behind, place, facts);
            }
        }
        EtherType::SERVICE_HEADER => service(payload, place, facts),
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
            wake(&place.packet(payload), facts, |wake| wake == Wake::EtherType(ethertype));
        }
    }
    Reading::Read
}

/// A tag behind something else than the addresses.
fn tagged(payload: &[u8], place: Place, facts: &mut Facts<'_>) {
    let mut cursor = Cursor::new("vlan", payload);
    let (Ok(tag), Ok(ethertype)) = (cursor.u16(), cursor.u16()) else { return };
    let (mac, vlan) = (place.source, tag & 0x0fff);
    facts.put(Source::Traffic, Fact::Vlan { mac, vlan, inner: None });
    if ethertype >= 0x0600 {
        carried(EtherType(ethertype), cursor.rest(), place, facts);
    }
}

/// What a chain of services passes on (RFC 8300).
fn service(payload: &[u8], place: Place, facts: &mut Facts<'_>) {
    if let Ok(Some((inner, behind))) = tunnel::service_header(payload) {
        inside("nsh", inner, behind, place, facts);
    }
}

fn labelled(payload: &[u8], place: Place, facts: &mut Facts<'_>) {
    let labels = tunnel::labels(payload);
    if !labels.is_empty() {
        facts.put(Source::Traffic, Fact::Labels { mac: place.source, labels });
    }
    // What is carried is not announced: a packet is told by its first nibble, and a pseudowire's
    // control word by a zero there, with a frame behind it.
    match tunnel::mpls(payload) {
        Ok(behind @ [0x40..=0x4f | 0x60..=0x6f, ..]) => {
            if let Err(fault) = ip(behind, place, facts) {
                place.odd(facts, fault.what(), fault.why());
            }
        }
        Ok([0, 0, _, _, behind @ ..])
            if Ethernet::read(behind)
                .is_ok_and(|frame| frame.source.is_station() && is_common(frame.carried)) =>
        {
            inside("pseudowire", Inner::Ethernet, behind, place, facts);
        }
        _ => {}
    }
}

/// What a frame is likely to carry where nothing but its form says that it is one.
fn is_common(carried: Carried) -> bool {
    matches!(
        carried,
        Carried::EtherType(EtherType::IPV4 | EtherType::IPV6 | EtherType::ARP | EtherType::LLDP)
            | Carried::Llc(0x42)
    )
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
    if ip.fragment.is_some_and(|fragment| fragment.more || fragment.offset != 0) {
        facts.segment(&packet, ip, Transport::Other);
    }
    if !ip.has_upper_layer() {
        return Ok(());
    }
    if let Some(index) = authenticated(&ip, bytes) {
        tell(
            Tunnel { identifier: Some(index), ..tunnels::of(TunnelKind::Ah, &ip, &packet) },
            facts,
        );
    }
    match (ip.protocol, ip.source) {
        (Protocol::UDP, _) => udp(packet, ip, place, facts),
        (Protocol::TCP, _) => {
            // What carries nothing and opens nothing is no part of a head.
            if let Ok(segment) = TcpSegment::read(ip.payload)
                && (!segment.payload.is_empty() || segment.has(tcp::SYN))
            {
                facts.segment(&packet, ip, Transport::Tcp(segment));
            }
            wake(&packet, facts, |wake| wake == Wake::Protocol(Protocol::TCP));
        }
        (Protocol::ICMPV6, IpAddr::V6(_)) => {
            if let Some(&icmp_type) = ip.payload.first() {
                wake(&packet, facts, |wake| wake == Wake::Icmpv6(icmp_type));
            } else if ip.fragment.is_some() {
                // RFC 7112: what kind of message it is stands in the next fragment.
                place.odd(facts, "ipv6", "extension headers that hide the upper layer");
            }
        }
        (Protocol::IPV4 | Protocol::IPV6, _) => {
            let (kind, word) = match (ip.protocol, ip.source) {
                (Protocol::IPV4, IpAddr::V4(_)) => (TunnelKind::IpIp, "ipip"),
                (Protocol::IPV4, IpAddr::V6(_)) => (TunnelKind::Ip4In6, "4in6"),
                (_, IpAddr::V4(_)) => (TunnelKind::Ip6In4, "6in4"),
                (_, IpAddr::V6(_)) => (TunnelKind::Ip6In6, "6in6"),
            };
            if Ip::read(ip.payload).is_ok() {
                tell(tunnels::of(kind, &ip, &packet), facts);
            }
            inside(word, Inner::Ip, ip.payload, place, facts);
        }
        (Protocol::GRE, _) => gre(packet, ip, place, facts),
        // Segment routing (RFC 8986).
        (Protocol::ETHERNET, IpAddr::V6(_)) => {
            inside("srv6", Inner::Ethernet, ip.payload, place, facts);
        }
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
    wake(&packet, facts, |wake| match wake {
        Wake::Udp(port) => port == udp.destination || port == udp.source,
        Wake::Datagram(at, octets) => {
            udp.payload.get(at..).is_some_and(|payload| payload.starts_with(octets))
        }
        wake => wake == Wake::AnyDatagram,
    });
    if quic::is_initial(udp.payload) {
        facts.segment(&packet, ip, Transport::Udp(udp));
    }
    // Tunnels are told by their destination port; Teredo by either, for servers answer from it.
    let (kind, read) = match (udp.destination, udp.source) {
        (tunnel::VXLAN_PORT | tunnel::VXLAN_OLD_PORT, _) => {
            (TunnelKind::Vxlan, tunnel::vxlan(udp.payload))
        }
        (tunnel::VXLAN_GPE_PORT, _) => (TunnelKind::Vxlan, tunnel::vxlan_gpe(udp.payload)),
        (tunnel::MPLS_PORT, _) => {
            return inside(
                "mpls-in-udp",
                Inner::EtherType(EtherType::MPLS),
                udp.payload,
                place,
                facts,
            );
        }
        (tunnel::GENEVE_PORT, _) => (TunnelKind::Geneve, tunnel::geneve(udp.payload)),
        (tunnel::GTP_PORT, _) => (TunnelKind::Gtp, tunnel::gtp(udp.payload)),
        (tunnel::TEREDO_PORT, _) | (_, tunnel::TEREDO_PORT) => {
            (TunnelKind::Teredo, tunnel::teredo(udp.payload))
        }
        (marks::L2TP_PORT, _) | (_, marks::L2TP_PORT) => {
            if let Some(marks::L2tp { ppp: Some(session), .. }) = marks::l2tp(udp.payload) {
                inside("l2tp", Inner::Ppp, session, place, facts);
            }
            return;
        }
        _ => return,
    };
    // A header that cannot be read is no tunnel: other programs use its port.
    if let Ok(Inside { tunnel, identifier, carried, payload }) = read {
        let ends = tunnels::of(kind, &ip, &packet);
        tell(Tunnel { over: Some(Carriage::Udp), identifier, ..ends }, facts);
        inside(tunnel, carried, payload, place, facts);
    }
}

fn gre(packet: Packet<'_>, ip: Ip<'_>, place: Place, facts: &mut Facts<'_>) {
    let read = tunnel::gre(ip.payload);
    if let Some((carries, key, version)) = marks::gre(ip.payload) {
        let ends = tunnels::of(TunnelKind::Gre, &ip, &packet);
        let carries = Some(carries);
        tell(Tunnel { version: Some(version), identifier: key, carries, ..ends }, facts);
    }
    if let Ok(Inside { tunnel, identifier, carried, payload }) = read {
        if tunnel == "erspan" {
            tell(Tunnel { identifier, ..tunnels::of(TunnelKind::Erspan, &ip, &packet) }, facts);
        }
        inside(tunnel, carried, payload, place, facts);
    }
}

fn tell(tunnel: Tunnel, facts: &mut Facts<'_>) {
    facts.put(Source::Passive, Fact::Tunnel(tunnel));
}

/// The index of the authentication header that the reader of the packet has passed.
fn authenticated(ip: &Ip<'_>, bytes: &[u8]) -> Option<u32> {
    // Only then is there anything to look for: the version 4 protocol octet, or extension headers.
    let may_be = match ip.source {
        IpAddr::V4(_) => bytes.get(9) == Some(&Protocol::AH.0),
        IpAddr::V6(_) => ip.has_options,
    };
    if may_be { marks::authentication(bytes) } else { None }
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
    use crate::observe::{Fact, TunnelKind};
    use crate::wire::{Protocol, build};

    #[test]
    fn what_is_inside_a_tunnel_is_marked() {
        let inner = build::arp_request(MACS, [10, 9, 0, 1].into(), [10, 9, 0, 2].into());
        let vxlan = [&[8, 0, 0, 0, 0, 0, 7, 0][..], &inner].concat();
        let frame = datagram(("10.20.1.5", 50000), ("10.20.1.7", 4789), &vxlan);
        let binding = Fact::Binding { ip: [10, 9, 0, 1].into(), mac: MACS.source };
        let inner = Box::new(binding);
        let told = facts(&frame);
        let [Fact::Tunnel(tunnel), bound] = &told[..] else { panic!("{told:?}") };
        assert_eq!((tunnel.kind, tunnel.identifier), (TunnelKind::Vxlan, Some(7)));
        assert_eq!(*bound, Fact::Encapsulated { encapsulation: "vxlan".into(), inner });
    }

    #[test]
    fn a_tunnel_of_each_open_kind_is_told_with_its_ends() {
        let inner = &packet("10.9.0.1", "10.9.0.2", Protocol::UDP, 9, &[0; 8])[14..];
        let told = |frame: &[u8]| {
            facts(frame).into_iter().find_map(|fact| match fact {
                Fact::Tunnel(tunnel) => Some((tunnel.kind, tunnel.identifier, tunnel.carries)),
                _ => None,
            })
        };
        let over = |protocol, payload: &[u8]| packet("10.0.0.1", "10.0.0.2", protocol, 9, payload);
        let gre = [&[0x20, 0, 8, 0, 0, 0, 0, 9][..], inner].concat();
        let key = (TunnelKind::Gre, Some(9), Some(0x0800));
        assert_eq!(told(&over(Protocol::GRE, &gre)), Some(key));
        assert_eq!(told(&over(Protocol::IPV4, inner)), Some((TunnelKind::IpIp, None, None)));
        assert_eq!(told(&over(Protocol::IPV4, &[7; 20])), None);
        let gtp = [&[0x30, 255, 0, 28, 0, 0, 0, 5][..], inner].concat();
        let frame = datagram(("10.0.0.1", 2152), ("10.0.0.2", 2152), &gtp);
        assert_eq!(told(&frame), Some((TunnelKind::Gtp, Some(5), None)));
        let protected = [&[17, 4, 0, 0, 0, 0, 1, 2][..], &[0; 16], &[0; 8]].concat();
        let association = (TunnelKind::Ah, Some(0x102), None);
        assert_eq!(told(&over(Protocol::AH, &protected)), Some(association));
    }

    #[test]
    fn tags_and_labels_are_told_of_their_station() {
        let inner = &packet("10.9.0.1", "10.9.0.2", Protocol::UDP, 9, &[0; 8])[14..];
        let mut frame = MACS.destination.0.to_vec();
        frame.extend(MACS.source.0);
        frame.extend([0x88, 0xa8, 0, 100, 0x81, 0, 0, 200, 0x88, 0x47]);
        frame.extend([0, 0, 0x10, 64, 0, 0, 0x21, 64]);
        frame.extend(inner);
        let (mac, told) = (MACS.source, facts(&frame));
        assert!(told.contains(&Fact::Vlan { mac, vlan: 100, inner: Some(200) }));
        assert!(told.contains(&Fact::Labels { mac, labels: vec![1, 2] }));
    }

    #[test]
    fn a_tower_of_packets_ends() {
        let mut inside = vec![0; 8];
        for _ in 0..40 {
            inside = packet("10.0.0.1", "10.0.0.2", Protocol::IPV4, 9, &inside)[14..].to_vec();
        }
        let frame = packet("10.0.0.1", "10.0.0.2", Protocol::IPV4, 9, &inside);
        let facts = facts(&frame);
        let Some(Fact::Encapsulated { inner, .. }) = facts.last() else { panic!("{facts:?}") };
        assert!(matches!(&**inner, Fact::Oddity { what, .. } if what == "too many layers"));
        assert!(facts.len() < 12);
    }

    #[test]
    fn a_packet_cut_by_the_capture_is_not_held_against_its_sender() {
        let frame = build::dhcp_discover(MACS.source, 7);
        assert_eq!(oddities(&frame[..290]), ["cut short"]);
        assert_eq!(oddities(&frame), [""; 0]);
    }
}
