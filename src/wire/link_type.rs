//! What the first byte of a captured frame is the start of (the LINKTYPE_ registry of tcpdump.org).

use std::fmt;

/// A link type by its number in capture files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkType(pub u32);

impl LinkType {
    /// BSD loopback: the address family in the byte order of the machine that captured.
    pub const NULL: LinkType = LinkType(0);
    pub const ETHERNET: LinkType = LinkType(1);
    pub const PPP: LinkType = LinkType(9);
    /// Raw IP of either family. Numbers 12 and 14 are what some systems wrote for it.
    pub const RAW: LinkType = LinkType(101);
    pub const CISCO_HDLC: LinkType = LinkType(104);
    pub const FRAME_RELAY: LinkType = LinkType(107);
    /// OpenBSD loopback: as [`LinkType::NULL`], big endian.
    pub const LOOP: LinkType = LinkType(108);
    pub const LINUX_SLL: LinkType = LinkType(113);
    pub const IPV4: LinkType = LinkType(228);
    pub const IPV6: LinkType = LinkType(229);
    pub const NFLOG: LinkType = LinkType(239);
    pub const LINUX_SLL2: LinkType = LinkType(276);

    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "null",
            1 => "ethernet",
            9 => "ppp",
            12 | 14 | 101 => "raw-ip",
            104 => "cisco-hdlc",
            107 => "frame-relay",
            108 => "loop",
            113 => "linux-sll",
            228 => "raw-ipv4",
            229 => "raw-ipv6",
            239 => "nflog",
            276 => "linux-sll2",
            _ => return None,
        })
    }
}

/// The name, else the number.
impl fmt::Display for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}
