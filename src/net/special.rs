//! Special-purpose addresses. Every literal of the code stands here, with its IANA line and RFC.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::prefix::Prefix;

/// All nodes on the link. RFC 4291 §2.7.1.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// All routers on the link. RFC 4291 §2.7.1.
pub const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// All DHCPv6 relay agents and servers on the link. RFC 9915 §7.1.
pub const DHCPV6_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
/// The limited broadcast. RFC 919 §7.
pub const BROADCAST: Ipv4Addr = Ipv4Addr::BROADCAST;

/// What a special range is for, as far as the product treats it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    ThisNetwork,
    Private,
    SharedSpace,
    Loopback,
    LinkLocal,
    Documentation,
    Benchmarking,
    Multicast,
    Reserved,
    UniqueLocal,
    Mapped,
    Translation,
    Teredo,
    SixToFour,
    Discard,
}

/// IANA IPv4 and IPv6 Special-Purpose Address Registries, and the multicast registries' outer prefixes.
/// (first octets, length, purpose); RFC in the comment.
const TABLE: &[(&str, Purpose)] = &[
    ("0.0.0.0/8", Purpose::ThisNetwork),         // RFC 791 §3.2
    ("10.0.0.0/8", Purpose::Private),            // RFC 1918
    ("100.64.0.0/10", Purpose::SharedSpace),     // RFC 6598
    ("127.0.0.0/8", Purpose::Loopback),          // RFC 1122 §3.2.1.3
    ("169.254.0.0/16", Purpose::LinkLocal),      // RFC 3927
    ("172.16.0.0/12", Purpose::Private),         // RFC 1918
    ("192.0.2.0/24", Purpose::Documentation),    // RFC 5737
    ("192.168.0.0/16", Purpose::Private),        // RFC 1918
    ("198.18.0.0/15", Purpose::Benchmarking),    // RFC 2544
    ("198.51.100.0/24", Purpose::Documentation), // RFC 5737
    ("203.0.113.0/24", Purpose::Documentation),  // RFC 5737
    ("224.0.0.0/4", Purpose::Multicast),         // RFC 5771
    ("240.0.0.0/4", Purpose::Reserved),          // RFC 1112 §4
    ("::1/128", Purpose::Loopback),              // RFC 4291
    ("::/128", Purpose::ThisNetwork),            // RFC 4291
    ("::ffff:0:0/96", Purpose::Mapped),          // RFC 4291
    ("64:ff9b::/96", Purpose::Translation),      // RFC 6052
    ("100::/64", Purpose::Discard),              // RFC 6666
    ("2001::/32", Purpose::Teredo),              // RFC 4380
    ("2001:db8::/32", Purpose::Documentation),   // RFC 3849
    ("2002::/16", Purpose::SixToFour),           // RFC 3056
    ("3fff::/20", Purpose::Documentation),       // RFC 9637
    ("fc00::/7", Purpose::UniqueLocal),          // RFC 4193
    ("fe80::/10", Purpose::LinkLocal),           // RFC 4291
    ("ff00::/8", Purpose::Multicast),            // RFC 4291
];

/// The special purpose of an address, by the longest line that holds it; `None` for ordinary unicast.
pub fn purpose(address: IpAddr) -> Option<Purpose> {
    use std::sync::LazyLock;
    static MAP: LazyLock<super::PrefixMap<Purpose>> = LazyLock::new(|| {
        let mut map = super::PrefixMap::new();
        for (prefix, purpose) in TABLE {
            if let Ok(prefix) = prefix.parse::<Prefix>() {
                map.insert(prefix, *purpose);
            }
        }
        map
    });
    MAP.longest(address).map(|(_, purpose)| *purpose)
}

/// The prefix of the IPv6 addresses that every interface gives itself. RFC 4291 §2.5.6.
pub fn link_local_prefix() -> Prefix {
    Prefix::of(IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 64)
}

pub fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// Whether an address can be one host's: not unspecified, loopback, multicast, broadcast or reserved.
pub fn is_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => {
            let first = a.octets()[0];
            first != 0 && first != 127 && first < 224
        }
        IpAddr::V6(a) => !a.is_unspecified() && !a.is_loopback() && !a.is_multicast(),
    }
}

/// The solicited-node multicast group of an address. RFC 4291 §2.7.1.
pub fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let low = address.to_bits() & 0xff_ffff;
    Ipv6Addr::from_bits(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0).to_bits() | low)
}

/// The low 24 bits of an address whose solicited-node group this is.
pub fn solicited(group: Ipv6Addr) -> Option<u32> {
    let low = (group.to_bits() & 0xff_ffff) as u32;
    (group == solicited_node(Ipv6Addr::from_bits(u128::from(low)))).then_some(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_read() {
        for (prefix, purpose_of_line) in TABLE {
            let prefix: Prefix = prefix.parse().expect(prefix);
            assert_eq!(purpose(prefix.last()), Some(*purpose_of_line), "{prefix}");
        }
        assert_eq!(purpose("8.8.8.8".parse().unwrap()), None);
    }

    #[test]
    fn the_solicited_node_group_has_the_low_24_bits() {
        let address: Ipv6Addr = "fe80::2aa:ff:fe28:9c5a".parse().unwrap();
        assert_eq!(solicited_node(address).to_string(), "ff02::1:ff28:9c5a");
        assert_eq!(solicited(solicited_node(address)), Some(0x28_9c5a));
        assert_eq!(solicited("ff02::fb".parse().unwrap()), None);
    }
}
