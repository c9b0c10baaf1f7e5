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
    pub const TOKEN_RING: LinkType = LinkType(6);
    pub const FDDI: LinkType = LinkType(10);
    pub const OLD_RAW: LinkType = LinkType(12);
    pub const OLD_RAW_OPENBSD: LinkType = LinkType(14);
    pub const PPPOE: LinkType = LinkType(51);
    pub const ATM: LinkType = LinkType(100);
    pub const WIRELESS: LinkType = LinkType(105);
    pub const ENC: LinkType = LinkType(109);
    pub const PFLOG: LinkType = LinkType(117);
    pub const WIRELESS_PRISM: LinkType = LinkType(119);
    pub const IP_OVER_FIBRE_CHANNEL: LinkType = LinkType(122);
    pub const WIRELESS_RADIOTAP: LinkType = LinkType(127);
    pub const WIRELESS_AVS: LinkType = LinkType(163);
    pub const PPP_PPPD: LinkType = LinkType(166);
    pub const PPP_WITH_DIRECTION: LinkType = LinkType(204);
    pub const CISCO_HDLC_WITH_DIRECTION: LinkType = LinkType(205);
    pub const FRAME_RELAY_WITH_DIRECTION: LinkType = LinkType(206);
    pub const MPLS: LinkType = LinkType(219);
    pub const NETANALYZER: LinkType = LinkType(240);
    pub const NETANALYZER_TRANSPARENT: LinkType = LinkType(241);
    pub const PKTAP: LinkType = LinkType(258);
    pub const MPACKET: LinkType = LinkType(274);
    pub const JUNIPER_ETHERNET: LinkType = LinkType(178);
    pub const JUNIPER_PPP: LinkType = LinkType(179);
    pub const JUNIPER_FRAME_RELAY: LinkType = LinkType(180);
    pub const JUNIPER_CISCO_HDLC: LinkType = LinkType(181);
    pub const IPNET: LinkType = LinkType(226);
    pub const IPOIB: LinkType = LinkType(242);
    // Counted, not read: they carry no packets of the internet's protocols as they stand.
    pub const USB: LinkType = LinkType(189);
    pub const IEEE802_15_4: LinkType = LinkType(195);
    pub const IEEE802_15_4_NO_FCS: LinkType = LinkType(230);
    pub const USB_PADDED: LinkType = LinkType(220);
    pub const USBPCAP: LinkType = LinkType(249);
    pub const DBUS: LinkType = LinkType(231);
    pub const CAN: LinkType = LinkType(227);
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
            LinkType::TOKEN_RING => "token-ring",
            LinkType::FDDI => "fddi",
            LinkType::OLD_RAW => "raw-12",
            LinkType::OLD_RAW_OPENBSD => "raw-14",
            LinkType::PPPOE => "pppoe",
            LinkType::ATM => "atm-rfc1483",
            LinkType::WIRELESS => "ieee802-11",
            LinkType::ENC => "enc",
            LinkType::PFLOG => "pflog",
            LinkType::WIRELESS_PRISM => "ieee802-11-prism",
            LinkType::IP_OVER_FIBRE_CHANNEL => "ip-over-fc",
            LinkType::WIRELESS_RADIOTAP => "ieee802-11-radiotap",
            LinkType::WIRELESS_AVS => "ieee802-11-avs",
            LinkType::PPP_PPPD => "ppp-pppd",
            LinkType::PPP_WITH_DIRECTION => "ppp-with-direction",
            LinkType::CISCO_HDLC_WITH_DIRECTION => "cisco-hdlc-with-direction",
            LinkType::FRAME_RELAY_WITH_DIRECTION => "frame-relay-with-direction",
            LinkType::MPLS => "mpls",
            LinkType::NETANALYZER => "netanalyzer",
            LinkType::NETANALYZER_TRANSPARENT => "netanalyzer-transparent",
            LinkType::PKTAP => "pktap",
            LinkType::MPACKET => "ethernet-mpacket",
            LinkType::JUNIPER_ETHERNET => "juniper-ethernet",
            LinkType::JUNIPER_PPP => "juniper-ppp",
            LinkType::JUNIPER_FRAME_RELAY => "juniper-frame-relay",
            LinkType::JUNIPER_CISCO_HDLC => "juniper-cisco-hdlc",
            LinkType::IPNET => "ipnet",
            LinkType::IPOIB => "ip-over-infiniband",
            LinkType::USB => "usb-linux",
            LinkType::IEEE802_15_4 => "ieee802-15-4",
            LinkType::IEEE802_15_4_NO_FCS => "ieee802-15-4-nofcs",
            LinkType::USB_PADDED => "usb-linux-mmapped",
            LinkType::USBPCAP => "usbpcap",
            LinkType::DBUS => "dbus",
            LinkType::CAN => "can-socketcan",
            LinkType(number) => return write!(f, "linktype-{number}"),
        };
        f.write_str(word)
    }
}
