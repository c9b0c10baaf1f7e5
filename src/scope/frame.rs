//! A reader of just the headers that decide where a frame goes and whose it is.
//!
//! The fence trusts nobody's builder, so it reads what is really in the frame; the engine reads
//! answers with the same few lines, because they cost nanoseconds. Formats in full are `wire`'s.
//! RFC 826 (ARP), RFC 791 (IPv4), RFC 8200 (IPv6 and its extension headers), RFC 4443 (ICMPv6).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::net::Mac;

pub const ETHERTYPE_IPV4: u16 = 0x0800;
pub const ETHERTYPE_ARP: u16 = 0x0806;
pub const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_QINQ: u16 = 0x88a8;

pub const ICMP: u8 = 1;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMPV6: u8 = 58;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;
/// More extension headers than any honest packet has.
const MOST_EXTENSIONS: usize = 8;

/// An Ethernet frame, as far as it concerns the fence.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    pub destination: Mac,
    pub source: Mac,
    /// Whether VLAN tags stood before the type.
    pub tagged: bool,
    pub body: Body<'a>,
}

#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    Arp(Arp),
    Ip(Packet<'a>),
    /// An EtherType that is neither.
    Other(u16),
}

/// ARP for IPv4 over Ethernet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arp {
    /// 1 asks, 2 answers.
    pub operation: u16,
    pub sender_mac: Mac,
    pub sender_ip: Ipv4Addr,
    pub target_mac: Mac,
    pub target_ip: Ipv4Addr,
}

/// An IP packet behind its extension headers.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub hop_limit: u8,
    /// The upper protocol: behind the extension headers in IPv6.
    pub protocol: u8,
    /// The identification field in IPv4, the flow label in IPv6.
    pub label: u32,
    /// A later fragment: its payload begins in the middle.
    pub fragment: bool,
    /// More fragments follow.
    pub unfinished: bool,
    /// IPv4 options, or an IPv6 routing header: it may go elsewhere than its destination says.
    pub rerouted: bool,
    /// From the upper header on, to the end that the length field gives (or the capture).
    pub payload: &'a [u8],
    /// Whether the payload is shorter than the packet's own length says.
    pub cut: bool,
}

impl<'a> Frame<'a> {
    /// `None` for what is too short for the headers it claims to have.
    pub fn read(bytes: &'a [u8]) -> Option<Frame<'a>> {
        let (destination, rest) = bytes.split_first_chunk::<6>()?;
        let (source, rest) = rest.split_first_chunk::<6>()?;
        let (mut ethertype, mut rest) = read_u16(rest)?;
        let mut tagged = false;
        for _ in 0..2 {
            if ethertype != ETHERTYPE_VLAN && ethertype != ETHERTYPE_QINQ {
                break;
            }
            tagged = true;
            let (_, behind) = read_u16(rest)?;
            (ethertype, rest) = read_u16(behind)?;
        }
        let body = match ethertype {
            ETHERTYPE_ARP => Body::Arp(Arp::read(rest)?),
            ETHERTYPE_IPV4 => Body::Ip(Packet::read_ipv4(rest)?),
            ETHERTYPE_IPV6 => Body::Ip(Packet::read_ipv6(rest)?),
            other => Body::Other(other),
        };
        Some(Frame { destination: Mac(*destination), source: Mac(*source), tagged, body })
    }
}

impl Arp {
    fn read(bytes: &[u8]) -> Option<Arp> {
        let (head, rest) = bytes.split_first_chunk::<6>()?;
        if *head != [0, 1, 8, 0, 6, 4] {
            return None;
        }
        let (operation, rest) = read_u16(rest)?;
        let (sender_mac, rest) = rest.split_first_chunk::<6>()?;
        let (sender_ip, rest) = rest.split_first_chunk::<4>()?;
        let (target_mac, rest) = rest.split_first_chunk::<6>()?;
        let target_ip = rest.first_chunk::<4>()?;
        Some(Arp {
            operation,
            sender_mac: Mac(*sender_mac),
            sender_ip: Ipv4Addr::from(*sender_ip),
            target_mac: Mac(*target_mac),
            target_ip: Ipv4Addr::from(*target_ip),
        })
    }
}

impl<'a> Packet<'a> {
    pub fn read_ipv4(bytes: &'a [u8]) -> Option<Packet<'a>> {
        let header = bytes.first_chunk::<20>()?;
        let header_length = usize::from(header[0] & 0x0f) * 4;
        if header[0] >> 4 != 4 || header_length < 20 {
            return None;
        }
        let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let end = total.clamp(header_length, bytes.len().max(header_length));
        let payload = bytes.get(header_length..end)?;
        Some(Packet {
            source: IpAddr::V4(Ipv4Addr::new(header[12], header[13], header[14], header[15])),
            destination: IpAddr::V4(Ipv4Addr::new(header[16], header[17], header[18], header[19])),
            hop_limit: header[8],
            protocol: header[9],
            label: u32::from(u16::from_be_bytes([header[4], header[5]])),
            fragment: u16::from_be_bytes([header[6], header[7]]) & 0x1fff != 0,
            unfinished: header[6] & 0x20 != 0,
            rerouted: header_length > 20,
            payload,
            cut: total > bytes.len(),
        })
    }

    pub fn read_ipv6(bytes: &'a [u8]) -> Option<Packet<'a>> {
        let (header, rest) = bytes.split_first_chunk::<40>()?;
        if header[0] >> 4 != 6 {
            return None;
        }
        let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
        let (source, destination) = (header.get(8..24)?, header.get(24..40)?);
        let mut packet = Packet {
            source: IpAddr::V6(Ipv6Addr::from(*source.first_chunk::<16>()?)),
            destination: IpAddr::V6(Ipv6Addr::from(*destination.first_chunk::<16>()?)),
            hop_limit: header[7],
            protocol: header[6],
            label: u32::from_be_bytes([0, header[1] & 0x0f, header[2], header[3]]),
            fragment: false,
            unfinished: false,
            rerouted: false,
            payload: rest.get(..length).unwrap_or(rest),
            cut: length > rest.len(),
        };
        for _ in 0..MOST_EXTENSIONS {
            match packet.protocol {
                HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => {
                    let [next, units] = *packet.payload.first_chunk::<2>()?;
                    packet.rerouted |= packet.protocol == ROUTING;
                    packet.payload = packet.payload.get((usize::from(units) + 1) * 8..)?;
                    packet.protocol = next;
                }
                FRAGMENT => {
                    let (extension, behind) = packet.payload.split_first_chunk::<8>()?;
                    packet.fragment |= u16::from_be_bytes([extension[2], extension[3]]) & !7 != 0;
                    packet.unfinished |= extension[3] & 1 != 0;
                    packet.payload = behind;
                    packet.protocol = extension[0];
                }
                _ => return Some(packet),
            }
        }
        None
    }

    /// A packet as an ICMP error quotes it: it may end anywhere behind its header.
    pub fn read(bytes: &'a [u8]) -> Option<Packet<'a>> {
        match bytes.first()? >> 4 {
            4 => Packet::read_ipv4(bytes),
            6 => Packet::read_ipv6(bytes),
            _ => None,
        }
    }

    /// Source and destination port of TCP and UDP.
    pub fn ports(&self) -> Option<(u16, u16)> {
        if self.fragment || !matches!(self.protocol, TCP | UDP) {
            return None;
        }
        let [a, b, c, d] = *self.payload.first_chunk::<4>()?;
        Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
    }

    /// Type and code of ICMP in either family.
    pub fn icmp(&self) -> Option<(u8, u8)> {
        let own = match self.destination {
            IpAddr::V4(_) => ICMP,
            IpAddr::V6(_) => ICMPV6,
        };
        if self.fragment || self.protocol != own {
            return None;
        }
        let [kind, code] = *self.payload.first_chunk::<2>()?;
        Some((kind, code))
    }

    /// The target field of a neighbour solicitation (135) or advertisement (136).
    pub fn nd_target(&self) -> Option<Ipv6Addr> {
        match self.icmp()? {
            (135 | 136, 0) if self.protocol == ICMPV6 => {
                let target = self.payload.get(8..24)?;
                Some(Ipv6Addr::from(*target.first_chunk::<16>()?))
            }
            _ => None,
        }
    }

    /// The link-layer address in the ND option of this type (1 source, 2 target). RFC 4861 §4.6.1.
    pub fn nd_link_layer(&self, option: u8) -> Option<Mac> {
        let mut options = self.payload.get(24..)?;
        while let Some(&[kind, units]) = options.first_chunk::<2>() {
            let length = usize::from(units) * 8;
            if length == 0 {
                return None;
            }
            if kind == option && units == 1 {
                let (_, address) = options.split_first_chunk::<2>()?;
                return address.first_chunk::<6>().map(|octets| Mac(*octets));
            }
            options = options.get(length..)?;
        }
        None
    }
}

fn read_u16(bytes: &[u8]) -> Option<(u16, &[u8])> {
    bytes.split_first_chunk::<2>().map(|(two, rest)| (u16::from_be_bytes(*two), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0usize..4) {
            let mut bytes = bytes;
            let ethertype = [ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_ARP, ETHERTYPE_VLAN][kind];
            if let Some(place) = bytes.get_mut(12..14) {
                place.copy_from_slice(&ethertype.to_be_bytes());
            }
            if let Some(version) = bytes.get_mut(14) {
                *version = if kind == 0 { 0x45 } else { 0x60 };
            }
            if let Some(Frame { body: Body::Ip(packet), .. }) = Frame::read(&bytes) {
                let _ = (packet.ports(), packet.icmp(), packet.nd_target(), packet.nd_link_layer(1));
            }
            let _ = Packet::read(&bytes);
        }
    }

    #[test]
    fn an_ipv4_length_past_the_end_is_told_as_cut() {
        let mut bytes = [0u8; 28];
        bytes[0] = 0x45;
        bytes[3] = 60;
        let packet = Packet::read_ipv4(&bytes).unwrap();
        assert!(packet.cut);
        assert_eq!(packet.payload.len(), 8);
    }
}
