//! What the first byte of a captured frame is the start of: the LINKTYPE_ registry of tcpdump.org.

use std::fmt;

/// A number of the LINKTYPE_ registry; unknown ones are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: an address family of four octets in the writer's byte order.
    pub const NULL: LinkType = LinkType(0);
    pub const ETHERNET: LinkType = LinkType(1);
    pub const PPP: LinkType = LinkType(9);
    pub const PPP_HDLC: LinkType = LinkType(50);
    /// The packet itself, IPv4 or IPv6 by its first nibble.
    pub const RAW: LinkType = LinkType(101);
    pub const CISCO_HDLC: LinkType = LinkType(104);
    pub const FRAME_RELAY: LinkType = LinkType(107);
    /// OpenBSD loopback: as NULL, in network byte order.
    pub const LOOP: LinkType = LinkType(108);
    /// Linux "cooked" v1, from the pseudo-device `any`.
    pub const LINUX_SLL: LinkType = LinkType(113);
    pub const IPV4: LinkType = LinkType(228);
    pub const IPV6: LinkType = LinkType(229);
    pub const NFLOG: LinkType = LinkType(239);
    /// Linux "cooked" v2.
    pub const LINUX_SLL2: LinkType = LinkType(276);
}

impl fmt::Display for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match *self {
            LinkType::NULL => "null",
            LinkType::ETHERNET => "ethernet",
            LinkType::PPP => "ppp",
            LinkType::PPP_HDLC => "ppp-hdlc",
            LinkType::RAW => "raw",
            LinkType::CISCO_HDLC => "cisco-hdlc",
            LinkType::FRAME_RELAY => "frame-relay",
            LinkType::LOOP => "loop",
            LinkType::LINUX_SLL => "linux-sll",
            LinkType::IPV4 => "ipv4",
            LinkType::IPV6 => "ipv6",
            LinkType::NFLOG => "nflog",
            LinkType::LINUX_SLL2 => "linux-sll2",
            LinkType(number) => return write!(f, "linktype-{number}"),
        };
        f.write_str(word)
    }
}
