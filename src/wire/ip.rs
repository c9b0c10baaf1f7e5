//! What IPv4 and IPv6 headers have in common, once their options are passed.

use std::fmt;
use std::net::IpAddr;

use super::cursor::{Cursor, WireError};
use super::{ipv4, ipv6};

/// An IP protocol number (IPv6: next header).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Protocol(pub u8);

impl Protocol {
    pub const HOP_BY_HOP: Protocol = Protocol(0);
    pub const ICMP: Protocol = Protocol(1);
    pub const IGMP: Protocol = Protocol(2);
    pub const IPV4: Protocol = Protocol(4);
    pub const TCP: Protocol = Protocol(6);
    pub const UDP: Protocol = Protocol(17);
    pub const IPV6: Protocol = Protocol(41);
    pub const ROUTING: Protocol = Protocol(43);
    pub const FRAGMENT: Protocol = Protocol(44);
    pub const GRE: Protocol = Protocol(47);
    pub const ESP: Protocol = Protocol(50);
    pub const AH: Protocol = Protocol(51);
    pub const ICMPV6: Protocol = Protocol(58);
    pub const NONE: Protocol = Protocol(59);
    pub const DESTINATION_OPTIONS: Protocol = Protocol(60);
    pub const EIGRP: Protocol = Protocol(88);
    pub const OSPF: Protocol = Protocol(89);
    pub const ETHERNET: Protocol = Protocol(143);
    pub const PIM: Protocol = Protocol(103);
    pub const VRRP: Protocol = Protocol(112);
}

impl fmt::Debug for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Which piece of a fragmented packet a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fragment {
    /// In octets. Only the fragment at zero has the upper-layer header.
    pub offset: u16,
    pub more: bool,
    pub identification: u32,
}

/// A packet of either family, read to its upper layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ip<'a> {
    pub source: IpAddr,
    pub destination: IpAddr,
    /// TTL in IPv4.
    pub hop_limit: u8,
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// IPv4 only; zero in IPv6.
    pub identification: u16,
    /// IPv4 only; unset in IPv6, whose routers never fragment.
    pub dont_fragment: bool,
    /// The upper layer, behind every extension header that could be read.
    pub protocol: Protocol,
    /// Set for every packet with a fragment header or offset, also an atomic one (RFC 6946).
    pub fragment: Option<Fragment>,
    /// Whether there are IPv4 options or IPv6 extension headers other than the fragment header.
    pub has_options: bool,
    /// How many octets of the header, with its options, stand before the payload.
    pub header_length: usize,
    /// The upper layer as far as it is there, without the link's padding.
    pub payload: &'a [u8],
    /// The header says there is more than there is: a capture's limit, a quote, or a lie.
    pub cut: bool,
}

impl<'a> Ip<'a> {
    /// The version is taken from the first nibble.
    #[inline]
    pub fn read(bytes: &'a [u8]) -> Result<Ip<'a>, WireError> {
        match bytes.first().map(|first| first >> 4) {
            Some(4) => ipv4::read(bytes),
            Some(6) => ipv6::read(bytes),
            Some(_) => Err(WireError::Wrong { what: "ip", why: "unknown version" }),
            None => Err(WireError::Short { what: "ip", needed: 1, had: 0 }),
        }
    }

    /// The source in a header that cannot be read to its end.
    pub fn source_of(bytes: &[u8]) -> Option<IpAddr> {
        let mut cursor = Cursor::new("ip", bytes);
        match bytes.first().map(|first| (first >> 4, first & 0x0f)) {
            Some((4, 5..)) => {
                cursor.skip(12).ok()?;
                let source = cursor.ipv4().ok()?;
                cursor.skip(4).ok()?;
                Some(source.into())
            }
            Some((6, _)) => {
                cursor.skip(8).ok()?;
                Some(cursor.ipv6().ok()?.into())
            }
            _ => None,
        }
    }

    /// Whether the payload starts with the upper layer's header.
    pub const fn has_upper_layer(&self) -> bool {
        !matches!(self.fragment, Some(Fragment { offset: 1.., .. }))
    }
}

/// Passes one authentication header (RFC 4302): what it protects is still readable.
pub(super) fn pass_authentication(cursor: &mut Cursor<'_>) -> Result<Protocol, WireError> {
    let next = Protocol(cursor.u8()?);
    // In words of four octets, minus two, of which two octets are read.
    let octets = usize::from(cursor.u8()?).saturating_add(2).saturating_mul(4).saturating_sub(2);
    cursor.skip(octets)?;
    Ok(next)
}
