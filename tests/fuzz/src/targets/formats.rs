//! Whole frames of every link type, and every reader of a format that takes octets alone.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{Ipv4Addr, Ipv6Addr};

use jiebei::wire::{self, Headers, LinkType, Protocol, quic, tls};

use super::dissectors::read;
use super::{Outcome, Target};

/// Link types are small numbers: the last that is assigned is 299.
const LINK_TYPES: u16 = 300;

pub fn targets() -> Vec<Target> {
    let frame = |input: &[u8]| {
        let Some((link_type, frame)) = input.split_first_chunk() else { return Outcome::default() };
        let link_type = u16::from_le_bytes(*link_type) % LINK_TYPES;
        read(LinkType(link_type), frame)
    };
    let frames = |samples: &super::Samples| {
        let with_type = |(link_type, frame): &(LinkType, Vec<u8>)| {
            [&link_type.0.to_le_bytes()[..], frame].concat()
        };
        samples.frames.iter().map(with_type).collect()
    };
    let payloads = |samples: &super::Samples| {
        let behind =
            |(_, frame): &(LinkType, Vec<u8>)| frame.get(14..).unwrap_or_default().to_vec();
        samples.frames.iter().map(behind).collect()
    };
    let datagrams = |samples: &super::Samples| {
        let is_initial =
            |(_, frame): &&(LinkType, Vec<u8>)| frame.get(42..).is_some_and(quic::is_initial);
        let datagram =
            |(_, frame): &(LinkType, Vec<u8>)| frame.get(42..).unwrap_or_default().to_vec();
        let found = samples.frames.iter().filter(is_initial).map(datagram);
        found.chain([vec![0xc0, 0, 0, 0, 1, 8]]).collect()
    };
    let hellos = |samples: &super::Samples| {
        let behind =
            |(_, frame): &(LinkType, Vec<u8>)| frame.get(54..).unwrap_or_default().to_vec();
        samples.frames.iter().map(behind).collect()
    };
    vec![
        Target::new("quic-initial", initials, datagrams),
        Target::new(
            "handshakes",
            |input| Outcome { digest: handshakes(input) as u64, ..Outcome::default() },
            hellos,
        )
        .longest(4096),
        Target::new("frame", frame, frames),
        Target::new(
            "wire",
            |input| Outcome { digest: read_all(input), ..Outcome::default() },
            payloads,
        ),
    ]
}

/// What TLS, QUIC and NTLM have in a stream.
fn handshakes(bytes: &[u8]) -> usize {
    let mut octets = 0;
    for message in tls::messages(bytes) {
        let _ = tls::ServerHello::read(message.body);
        octets += tls::ClientHello::read(message.body).map_or(0, |hello| hello.ja4('t').len());
        octets += tls::certificates(message.body).map(<[u8]>::len).sum::<usize>();
    }
    let _ = tls::handshake(bytes);
    let _ = (tls::ClientHello::read(bytes), tls::ServerHello::read(bytes));
    octets += tls::certificates(bytes).map(<[u8]>::len).sum::<usize>();
    let _ = wire::x509::Certificate::read(bytes);
    if let Some(message) = wire::ntlm::find(bytes) {
        let _ = wire::ntlm::Ntlm::read(message);
    }
    octets + quic::crypto(bytes).iter().map(|(_, piece)| piece.len()).sum::<usize>()
}

/// QUIC's first packets, opened where they are what they claim to be.
fn initials(bytes: &[u8]) -> Outcome {
    let mut octets = 0;
    for initial in quic::initials(bytes) {
        for sender in [quic::Sender::Client, quic::Sender::Server] {
            let keys = quic::Keys::new(initial.version, initial.destination_id, sender);
            let frames = keys.and_then(|keys| keys.open(&initial)).unwrap_or_default();
            octets += quic::crypto(&frames).iter().map(|(_, piece)| piece.len()).sum::<usize>();
        }
    }
    Outcome { digest: octets as u64, ..Outcome::default() }
}

/// Every reader that takes bytes alone. What they read is the number.
pub fn read_all(bytes: &[u8]) -> u64 {
    let mut seen = DefaultHasher::new();
    let mut see = |number: usize| number.hash(&mut seen);
    see(Headers::read(bytes).map_or(0, |headers| {
        usize::from(headers.destination_ip().is_some())
            + usize::from(headers.neighbour_target().is_some())
    }));
    see(usize::from(wire::Network::ip(bytes).is_some()));
    see(usize::from(wire::arp::Arp::read(bytes).is_ok()));
    see(wire::tcp::TcpSegment::read(bytes).map_or(0, |segment| segment.payload.len()));
    see(usize::from(wire::tcp::quoted_start(bytes).is_some()));
    see(wire::udp::Udp::read(bytes).map_or(0, |udp| udp.payload.len()));
    let _ = wire::icmp::Icmp::read(bytes)
        .map(|icmp| (icmp.echo(), icmp.quoted(Protocol::ICMP), icmp.quoted(Protocol::ICMPV6)));
    for icmp_type in 128..=145 {
        see(wire::ndp::read(icmp_type, bytes).map_or(0, |(_, options)| options.count()));
        let _ = wire::mld::read(icmp_type, bytes);
    }
    let _ = wire::igmp::read(bytes);
    let _ = wire::dhcp4::Message::read(bytes).map(|(message, _)| {
        (message.message_type(), message.options.fqdn(), message.options.routes(121))
    });
    let _ = wire::dhcp6::Message::read(bytes).map(|(message, _)| message.duid_mac());
    let _ = wire::dns::Message::read(bytes).map(|message| message.records());
    let _ = wire::dns::names("test", bytes);
    let _ = wire::dns::partial_name("test", bytes);
    let _ = wire::dns::reverse(&String::from_utf8_lossy(bytes));
    let _ = wire::lldp::Lldp::read(bytes);
    let _ = wire::vrrp::Vrrp::read(bytes, Ipv4Addr::LOCALHOST.into());
    let _ = wire::vrrp::Vrrp::read(bytes, Ipv6Addr::LOCALHOST.into());
    let _ = wire::ospf::Ospf::read(bytes);
    let _ = wire::hsrp::Hsrp::read(bytes);
    let _ = wire::rip::Rip::read(bytes);
    let _ = wire::rip::Rip::read_ng(bytes);
    let _ = wire::eigrp::Eigrp::read(bytes);
    let _ = wire::pim::Pim::read(bytes);
    let _ = wire::tunnel::gre(bytes);
    let _ = wire::tunnel::vxlan(bytes);
    let _ = wire::tunnel::geneve(bytes);
    let _ = wire::tunnel::teredo(bytes);
    let _ = wire::tunnel::ppp(bytes);
    let _ = wire::tunnel::pppoe_session(bytes);
    let _ = wire::tunnel::mpls(bytes);
    let _ = wire::tunnel::metadata(bytes);
    let _ = wire::tunnel::backbone(bytes);
    let _ = wire::tunnel::gtp(bytes);
    see(wire::tunnel::labels(bytes).len());
    let _ = wire::bgp::Open::read(bytes);
    let _ = wire::carp::Carp::read(bytes);
    let _ = wire::cdp::Cdp::read(bytes);
    let _ = wire::edp::Edp::read(bytes);
    let _ = wire::edp::Mndp::read(bytes);
    let _ = wire::glbp::Glbp::read(bytes);
    let _ = wire::isis::Isis::read(bytes);
    let _ = wire::pppoe::Pppoe::read(bytes);
    let _ = wire::slow::read(bytes);
    let _ = wire::stp::read(bytes);
    see(usize::from(wire::marks::is_wireguard(bytes)));
    let _ = (
        wire::marks::ike(bytes, wire::marks::Over::ItsPort),
        wire::marks::ike_or_esp(bytes),
        wire::marks::l2tp(bytes),
    );
    let _ = (wire::marks::pptp(bytes), wire::marks::gre(bytes), wire::marks::authentication(bytes));
    let _ = wire::netbios::NameService::read(bytes);
    let _ = wire::netbios::Datagram::read(bytes).map(|datagram| datagram.map(|one| one.browser()));
    let _ = wire::snmp::read(bytes);
    let _ = wire::snmp::hear(bytes);
    see(wire::head::Head::read(bytes).fields().count());
    let mut leaves = 0;
    wire::leaves::leaves(bytes, |_, _, _| leaves += 1);
    see(leaves);
    see(handshakes(bytes));
    for link_type in 0..LINK_TYPES {
        let read = wire::link_header::read(LinkType(link_type), bytes);
        see(read.and_then(Result::ok).map_or(0, |header| header.payload.len()));
    }
    seen.finish()
}
