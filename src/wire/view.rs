//! A frame's headers at one glance, borrowed, without an allocation: for the guard and the engine.

use std::net::{IpAddr, Ipv6Addr};

use super::arp::Arp;
use super::ethernet::{Carried, EtherType, Ethernet};
use super::icmp::Icmp;
use super::ip::{Ip, Protocol};
use super::tcp::TcpSegment;
use super::udp::Udp;
use crate::net::Mac;

/// What can be read of an Ethernet frame without knowing any protocol above transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headers<'a> {
    pub destination: Mac,
    pub source: Mac,
    /// The VLAN of the outermost tag.
    pub vlan: Option<u16>,
    /// `None` for 802.3 frames whose LLC leads to no EtherType.
    pub ethertype: Option<EtherType>,
    pub network: Network<'a>,
}

/// The network layer. What cannot be read is [`Network::Other`], with its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network<'a> {
    Arp(Arp),
    Ip(Ip<'a>, Transport<'a>),
    Other(&'a [u8]),
}

/// The transport layer of a packet that has its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport<'a> {
    Tcp(TcpSegment<'a>),
    Udp(Udp<'a>),
    Icmp(Icmp<'a>),
    Icmpv6(Icmp<'a>),
    /// Another protocol, a later fragment, or a header cut short.
    Other,
}

impl<'a> Headers<'a> {
    /// `None` only for what is no Ethernet frame.
    #[inline]
    pub fn read(frame: &'a [u8]) -> Option<Headers<'a>> {
        let ethernet = Ethernet::read(frame).ok()?;
        let ethertype = match ethernet.carried {
            Carried::EtherType(ethertype) => Some(ethertype),
            _ => None,
        };
        let network = match ethertype {
            Some(EtherType::ARP) => Arp::read(ethernet.payload).ok().map(Network::Arp),
            Some(EtherType::IPV4 | EtherType::IPV6) => Network::ip(ethernet.payload),
            _ => None,
        };
        Some(Headers {
            destination: ethernet.destination,
            source: ethernet.source,
            vlan: ethernet.vlan,
            ethertype,
            network: network.unwrap_or(Network::Other(ethernet.payload)),
        })
    }

    pub const fn ip(&self) -> Option<&Ip<'a>> {
        match &self.network {
            Network::Ip(ip, _) => Some(ip),
            _ => None,
        }
    }

    pub const fn arp(&self) -> Option<&Arp> {
        match &self.network {
            Network::Arp(arp) => Some(arp),
            _ => None,
        }
    }

    pub const fn transport(&self) -> Option<&Transport<'a>> {
        match &self.network {
            Network::Ip(_, transport) => Some(transport),
            _ => None,
        }
    }

    /// The IP destination, or what ARP asks for.
    pub fn destination_ip(&self) -> Option<IpAddr> {
        match &self.network {
            Network::Arp(arp) => Some(arp.target.into()),
            Network::Ip(ip, _) => Some(ip.destination),
            Network::Other(_) => None,
        }
    }

    /// The target of a neighbour solicitation or advertisement.
    pub fn neighbour_target(&self) -> Option<Ipv6Addr> {
        self.transport()?.neighbour_target()
    }
}

impl<'a> Network<'a> {
    /// A packet of either family, as a frame or an ICMP error carries it.
    #[inline]
    pub fn ip(bytes: &'a [u8]) -> Option<Network<'a>> {
        let ip = Ip::read(bytes).ok()?;
        Some(Network::Ip(ip, Transport::of(&ip)))
    }
}

impl<'a> Transport<'a> {
    #[inline]
    pub fn of(ip: &Ip<'a>) -> Transport<'a> {
        if !ip.has_upper_layer() {
            return Transport::Other;
        }
        let read = match (ip.protocol, ip.source) {
            (Protocol::TCP, _) => TcpSegment::read(ip.payload).ok().map(Transport::Tcp),
            (Protocol::UDP, _) => Udp::read(ip.payload).ok().map(Transport::Udp),
            (Protocol::ICMP, IpAddr::V4(_)) => Icmp::read(ip.payload).ok().map(Transport::Icmp),
            (Protocol::ICMPV6, IpAddr::V6(_)) => Icmp::read(ip.payload).ok().map(Transport::Icmpv6),
            _ => None,
        };
        read.unwrap_or(Transport::Other)
    }

    /// Source and destination port.
    pub const fn ports(&self) -> Option<(u16, u16)> {
        match self {
            Transport::Tcp(tcp) => Some((tcp.source, tcp.destination)),
            Transport::Udp(udp) => Some((udp.source, udp.destination)),
            _ => None,
        }
    }

    /// Type and code of either ICMP.
    pub const fn icmp(&self) -> Option<(u8, u8)> {
        match self {
            Transport::Icmp(icmp) | Transport::Icmpv6(icmp) => Some((icmp.icmp_type, icmp.code)),
            _ => None,
        }
    }

    /// The target of a neighbour solicitation or advertisement (RFC 4861 §4.3, §4.4).
    pub fn neighbour_target(&self) -> Option<Ipv6Addr> {
        match self {
            Transport::Icmpv6(Icmp { icmp_type: 135 | 136, body, .. }) => {
                let (_, target) = body.split_at_checked(4)?;
                target.first_chunk::<16>().map(|octets| Ipv6Addr::from(*octets))
            }
            _ => None,
        }
    }
}
