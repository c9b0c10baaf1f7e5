//! Whole Ethernet frames that a sweep sends, each named after the RFC that gives its form.
//!
//! They are built once and patched or sent as they are; nothing here is on the hot path.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::arp::{self, Arp};
use super::ethernet::{self, EtherType};
use super::icmp;
use super::ip::Protocol;
use super::tcp::TcpSegment;
use super::{ipv4, ipv6, udp};
use crate::net::{Mac, special};

/// The Ethernet source and destination of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Macs {
    pub source: Mac,
    pub destination: Mac,
}

/// An ARP request (RFC 826), broadcast, or unicast to a MAC that is to be confirmed (RFC 1122 §2.3.2.1).
pub fn arp_request(macs: Macs, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let request = Arp {
        operation: arp::REQUEST,
        sender_mac: macs.source,
        sender,
        target_mac: Mac::ZERO,
        target,
    };
    let mut frame = Vec::with_capacity(60);
    ethernet::write(&mut frame, macs.destination, macs.source, EtherType::ARP);
    request.write(&mut frame);
    frame
}

/// An ARP probe: sender address zero, so that no cache learns from it (RFC 5227 §2.1.1).
pub fn arp_probe(source: Mac, target: Ipv4Addr) -> Vec<u8> {
    let macs = Macs { source, destination: Mac::BROADCAST };
    arp_request(macs, Ipv4Addr::UNSPECIFIED, target)
}

/// A neighbour solicitation (RFC 4861 §4.3) to the target's solicited-node group. From the
/// unspecified address it asks as duplicate address detection does, without the link-layer option.
pub fn neighbour_solicitation(source_mac: Mac, source: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    let group = special::solicited_node(target);
    let macs = Macs { source: source_mac, destination: Mac::of_ipv6_group(group) };
    neighbour_solicitation_to(macs, source, group, target)
}

/// A neighbour solicitation to any destination: unicast confirms a cached entry (RFC 4861 §7.3.3).
pub fn neighbour_solicitation_to(
    macs: Macs,
    source: Ipv6Addr,
    destination: Ipv6Addr,
    target: Ipv6Addr,
) -> Vec<u8> {
    let mut body = vec![0; 4];
    body.extend_from_slice(&target.octets());
    with_source_link_layer(&mut body, source, macs.source);
    icmpv6(macs, source, destination, 255, 135, 0, &body)
}

/// A router solicitation to all routers (RFC 4861 §4.1).
pub fn router_solicitation(source_mac: Mac, source: Ipv6Addr) -> Vec<u8> {
    let destination = special::ALL_ROUTERS;
    let macs = Macs { source: source_mac, destination: Mac::of_ipv6_group(destination) };
    let mut body = vec![0; 4];
    with_source_link_layer(&mut body, source, source_mac);
    icmpv6(macs, source, destination, 255, 133, 0, &body)
}

/// The source link-layer address option, which must not go with the unspecified address.
fn with_source_link_layer(body: &mut Vec<u8>, source: Ipv6Addr, mac: Mac) {
    if !source.is_unspecified() {
        body.extend_from_slice(&[1, 1]);
        body.extend_from_slice(&mac.0);
    }
}

/// An ICMP echo request (RFC 792).
pub fn echo_request(
    macs: Macs,
    source: Ipv4Addr,
    destination: Ipv4Addr,
    hop_limit: u8,
    echo: icmp::Echo<'_>,
) -> Vec<u8> {
    let mut message = Vec::with_capacity(64);
    icmp::write(&mut message, icmp::ECHO_REQUEST, 0, &echo_body(echo));
    let mut frame = Vec::with_capacity(98);
    ethernet::write(&mut frame, macs.destination, macs.source, EtherType::IPV4);
    ipv4::write(&mut frame, source, destination, Protocol::ICMP, hop_limit, message.len());
    frame.extend_from_slice(&message);
    frame
}

/// An ICMPv6 echo request (RFC 4443 §4.1); to ff02::1 every node that answers multicast replies.
pub fn echo_request_v6(
    macs: Macs,
    source: Ipv6Addr,
    destination: Ipv6Addr,
    hop_limit: u8,
    echo: icmp::Echo<'_>,
) -> Vec<u8> {
    icmpv6(macs, source, destination, hop_limit, icmp::V6_ECHO_REQUEST, 0, &echo_body(echo))
}

fn echo_body(echo: icmp::Echo<'_>) -> Vec<u8> {
    let mut body = Vec::with_capacity(64);
    body.extend_from_slice(&echo.identifier.to_be_bytes());
    body.extend_from_slice(&echo.sequence.to_be_bytes());
    body.extend_from_slice(echo.data);
    body
}

/// An echo request to ff02::1 behind a destination option of type 0x80, which nobody knows.
///
/// The two high bits `10` make every node that reads it answer with a parameter problem, also to a
/// multicast destination (RFC 8200 §4.2), and quote the packet.
pub fn unknown_option(source_mac: Mac, source: Ipv6Addr, echo: icmp::Echo<'_>) -> Vec<u8> {
    let destination = special::ALL_NODES;
    let mut message = Vec::with_capacity(64);
    icmp::write_v6(&mut message, source, destination, icmp::V6_ECHO_REQUEST, 0, &echo_body(echo));
    // The option alone fills the header's eight octets: type, length four, four octets of zero.
    let extension = [Protocol::ICMPV6.0, 0, 0x80, 4, 0, 0, 0, 0];
    let length = message.len().saturating_add(extension.len());
    let mut frame = Vec::with_capacity(118);
    ethernet::write(&mut frame, Mac::of_ipv6_group(destination), source_mac, EtherType::IPV6);
    ipv6::write(&mut frame, source, destination, Protocol::DESTINATION_OPTIONS, 255, length);
    frame.extend_from_slice(&extension);
    frame.extend_from_slice(&message);
    frame
}

/// An MLDv2 general query (RFC 3810 §5.1) with the router alert that it must carry. Hosts report
/// within `response_delay` milliseconds; what the code cannot express is rounded down.
pub fn mld_general_query(source_mac: Mac, source: Ipv6Addr, response_delay: u16) -> Vec<u8> {
    let destination = special::ALL_NODES;
    let mut body = Vec::with_capacity(24);
    body.extend_from_slice(&response_delay.min(32767).to_be_bytes());
    body.extend_from_slice(&[0; 18]);
    // Robustness 2, an interval of 125 s: the defaults of RFC 3810 §9, no source addresses.
    body.extend_from_slice(&[2, 125, 0, 0]);
    let mut message = Vec::with_capacity(28);
    icmp::write_v6(&mut message, source, destination, 130, 0, &body);
    let extension = [Protocol::ICMPV6.0, 0, 5, 2, 0, 0, 1, 0];
    let length = message.len().saturating_add(extension.len());
    let mut frame = Vec::with_capacity(90);
    ethernet::write(&mut frame, Mac::of_ipv6_group(destination), source_mac, EtherType::IPV6);
    ipv6::write(&mut frame, source, destination, Protocol::HOP_BY_HOP, 1, length);
    frame.extend_from_slice(&extension);
    frame.extend_from_slice(&message);
    frame
}

/// A DHCPDISCOVER (RFC 2131 §4.4.1) from the station's own MAC, answered by broadcast.
///
/// Option 61 is the MAC with its hardware type, the same in every sweep, so that a server which
/// holds an address for an offer holds one. Option 55 asks for mask, routers, servers, domain,
/// classless routes (121, 249) and proxy discovery (252): each can show a way out.
pub fn dhcp_discover(source: Mac, transaction: u32) -> Vec<u8> {
    let mut message = vec![1, 1, 6, 0];
    message.extend_from_slice(&transaction.to_be_bytes());
    // No seconds, the broadcast flag, no addresses.
    message.extend_from_slice(&[0, 0, 0x80, 0]);
    message.extend_from_slice(&[0; 16]);
    message.extend_from_slice(&source.0);
    // The rest of chaddr, sname and file.
    message.extend_from_slice(&[0; 10 + 64 + 128]);
    message.extend_from_slice(&[0x63, 0x82, 0x53, 0x63]);
    message.extend_from_slice(&[53, 1, 1, 61, 7, 1]);
    message.extend_from_slice(&source.0);
    message.extend_from_slice(&[57, 2, 0x05, 0xdc]);
    message.extend_from_slice(&[55, 8, 1, 3, 6, 15, 54, 121, 249, 252, 255]);
    // Some relays drop what is shorter than a BOOTP message (RFC 1542 §2.1).
    message.resize(message.len().max(300), 0);
    let macs = Macs { source, destination: Mac::BROADCAST };
    let ends = ((Ipv4Addr::UNSPECIFIED, 68), (Ipv4Addr::BROADCAST, 67));
    udp_v4(macs, ends.0, ends.1, 64, &message)
}

/// A DHCPv6 SOLICIT (RFC 9915 §18.2.1) for one address and one delegated prefix, without rapid
/// commit, so that nothing is leased. The DUID is the link-layer one: the same in every sweep.
pub fn dhcpv6_solicit(source_mac: Mac, source: Ipv6Addr, transaction: u32) -> Vec<u8> {
    let [_, transaction @ ..] = transaction.to_be_bytes();
    let mut message = vec![1];
    message.extend_from_slice(&transaction);
    message.extend_from_slice(&[0, 1, 0, 10, 0, 3, 0, 1]);
    message.extend_from_slice(&source_mac.0);
    // IA_NA and IA_PD with our last four octets as identity; the servers choose the times.
    let [_, _, identity @ ..] = source_mac.0;
    for association in [3, 25] {
        message.extend_from_slice(&[0, association, 0, 12]);
        message.extend_from_slice(&identity);
        message.extend_from_slice(&[0; 8]);
    }
    // Asked for: DNS servers, domain list. Elapsed time: zero.
    message.extend_from_slice(&[0, 6, 0, 4, 0, 23, 0, 24, 0, 8, 0, 2, 0, 0]);
    let destination = special::DHCPV6_SERVERS;
    let macs = Macs { source: source_mac, destination: Mac::of_ipv6_group(destination) };
    udp_datagram(macs, (source.into(), 546), (destination.into(), 547), 1, &message)
        .unwrap_or_default()
}

fn udp_v4(
    macs: Macs,
    source: (Ipv4Addr, u16),
    destination: (Ipv4Addr, u16),
    hop_limit: u8,
    payload: &[u8],
) -> Vec<u8> {
    udp_datagram(
        macs,
        (source.0.into(), source.1),
        (destination.0.into(), destination.1),
        hop_limit,
        payload,
    )
    .unwrap_or_default()
}

/// A UDP datagram of either family. `None` where the addresses are of two families.
pub fn udp_datagram(
    macs: Macs,
    source: (IpAddr, u16),
    destination: (IpAddr, u16),
    hop_limit: u8,
    payload: &[u8],
) -> Option<Vec<u8>> {
    let mut datagram = Vec::with_capacity(payload.len().saturating_add(udp::HEADER));
    udp::write(&mut datagram, source, destination, payload);
    packet(macs, source.0, destination.0, Protocol::UDP, hop_limit, &datagram)
}

/// A TCP segment of either family. `None` where the addresses are of two families.
pub fn tcp_segment(
    macs: Macs,
    source: IpAddr,
    destination: IpAddr,
    hop_limit: u8,
    segment: &TcpSegment<'_>,
) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(60);
    segment.write(&mut bytes, source, destination);
    packet(macs, source, destination, Protocol::TCP, hop_limit, &bytes)
}

/// A frame with an IP packet around a finished upper layer. `None` where the addresses are of two
/// families.
pub fn packet(
    macs: Macs,
    source: IpAddr,
    destination: IpAddr,
    protocol: Protocol,
    hop_limit: u8,
    payload: &[u8],
) -> Option<Vec<u8>> {
    let mut frame = Vec::with_capacity(payload.len().saturating_add(54));
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            ethernet::write(&mut frame, macs.destination, macs.source, EtherType::IPV4);
            ipv4::write(&mut frame, source, destination, protocol, hop_limit, payload.len());
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            ethernet::write(&mut frame, macs.destination, macs.source, EtherType::IPV6);
            ipv6::write(&mut frame, source, destination, protocol, hop_limit, payload.len());
        }
        _ => return None,
    }
    frame.extend_from_slice(payload);
    Some(frame)
}

fn icmpv6(
    macs: Macs,
    source: Ipv6Addr,
    destination: Ipv6Addr,
    hop_limit: u8,
    icmp_type: u8,
    code: u8,
    body: &[u8],
) -> Vec<u8> {
    let mut message = Vec::with_capacity(64);
    icmp::write_v6(&mut message, source, destination, icmp_type, code, body);
    let mut frame = Vec::with_capacity(118);
    ethernet::write(&mut frame, macs.destination, macs.source, EtherType::IPV6);
    ipv6::write(&mut frame, source, destination, Protocol::ICMPV6, hop_limit, message.len());
    frame.extend_from_slice(&message);
    frame
}

#[cfg(test)]
mod tests {
    use super::super::checksum;
    use super::super::view::{Headers, Network, Transport};
    use super::*;

    const OURS: Mac = Mac([2, 0, 0, 0, 0, 5]);

    /// Reads a frame back and holds its checksums.
    #[track_caller]
    fn check(frame: &[u8]) -> Headers<'_> {
        let headers = Headers::read(frame).unwrap();
        if let Network::Ip(ip, transport) = &headers.network {
            assert!(!ip.cut);
            assert!(ip.source.is_ipv6() || checksum::holds(&frame[14..34]));
            match transport {
                Transport::Icmp(_) | Transport::Icmpv6(_) => {
                    assert!(icmp::holds(ip.payload, ip.source, ip.destination));
                }
                _ => {
                    let length = ip.payload.len();
                    let sum = checksum::Sum::new()
                        .pseudo(ip.source, ip.destination, ip.protocol.0, length)
                        .bytes(ip.payload);
                    assert_eq!(sum.folded(), 0xffff);
                }
            }
        }
        for length in 0..frame.len() {
            let _ = Headers::read(&frame[..length]);
        }
        headers
    }

    #[test]
    fn an_arp_probe_names_no_sender() {
        let frame = arp_probe(OURS, Ipv4Addr::new(10, 20, 1, 7));
        let headers = check(&frame);
        let arp = headers.arp().unwrap();
        assert!(arp.is_probe());
        assert_eq!(headers.destination, Mac::BROADCAST);
        assert_eq!(headers.destination_ip(), Some([10, 20, 1, 7].into()));
    }

    #[test]
    fn neighbour_and_router_solicitations() {
        let (source, target) = ("fe80::5".parse().unwrap(), "fd00::7".parse().unwrap());
        let frame = neighbour_solicitation(OURS, source, target);
        let headers = check(&frame);
        assert_eq!(headers.neighbour_target(), Some(target));
        assert_eq!(headers.destination.to_string(), "33:33:ff:00:00:07");
        assert_eq!(headers.ip().unwrap().hop_limit, 255);
        let anonymous = neighbour_solicitation(OURS, Ipv6Addr::UNSPECIFIED, target);
        assert_eq!(check(&anonymous).ip().unwrap().payload.len(), 24);
        let frame = router_solicitation(OURS, source);
        assert_eq!(check(&frame).transport().unwrap().icmp(), Some((133, 0)));
    }

    #[test]
    fn echoes_of_both_families_and_the_unknown_option() {
        let echo = icmp::Echo { identifier: 7, sequence: 9, data: b"token" };
        let macs = Macs { source: OURS, destination: Mac([2, 0, 0, 0, 0, 7]) };
        let v4 = echo_request(macs, [10, 0, 0, 5].into(), [10, 0, 0, 7].into(), 64, echo);
        assert_eq!(check(&v4).transport().unwrap().icmp(), Some((8, 0)));
        let source = "fe80::5".parse().unwrap();
        let v6 = echo_request_v6(macs, source, special::ALL_NODES, 255, echo);
        assert_eq!(check(&v6).transport().unwrap().icmp(), Some((128, 0)));
        let option = unknown_option(OURS, source, echo);
        let headers = check(&option);
        assert!(headers.ip().unwrap().has_options);
        assert_eq!(headers.transport().unwrap().icmp(), Some((128, 0)));
    }

    #[test]
    fn a_general_query_has_hop_limit_one_and_a_router_alert() {
        let frame = mld_general_query(OURS, "fe80::5".parse().unwrap(), 1000);
        let headers = check(&frame);
        let ip = headers.ip().unwrap();
        assert_eq!((ip.hop_limit, ip.header_length), (1, 48));
        assert_eq!(ip.payload.len(), 28);
        assert_eq!(headers.transport().unwrap().icmp(), Some((130, 0)));
    }

    #[test]
    fn the_dhcp_questions_go_to_everybody_from_the_client_ports() {
        let frame = dhcp_discover(OURS, 0x0102_0304);
        let headers = check(&frame);
        assert_eq!(headers.transport().unwrap().ports(), Some((68, 67)));
        assert_eq!(headers.destination, Mac::BROADCAST);
        let frame = dhcpv6_solicit(OURS, "fe80::5".parse().unwrap(), 0xff01_0203);
        let headers = check(&frame);
        assert_eq!(headers.transport().unwrap().ports(), Some((546, 547)));
        assert_eq!(headers.destination.to_string(), "33:33:00:01:00:02");
    }

    #[test]
    fn two_families_make_no_packet() {
        let macs = Macs { source: OURS, destination: OURS };
        let ends = ([10, 0, 0, 1].into(), Ipv6Addr::LOCALHOST.into());
        assert_eq!(udp_datagram(macs, (ends.0, 1), (ends.1, 2), 64, b""), None);
    }
}
