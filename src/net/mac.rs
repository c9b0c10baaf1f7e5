//! MAC addresses (IEEE 802 EUI-48) and what their bits say.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// A six-octet MAC address in transmission order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not a MAC address: {0:?}")]
pub struct BadMac(pub String);

impl Mac {
    pub const BROADCAST: Mac = Mac([0xff; 6]);
    pub const ZERO: Mac = Mac([0; 6]);

    /// The group bit (I/G): multicast or broadcast, never the address of a station.
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// The U/L bit: assigned locally (random, virtual), so no vendor can be read from it.
    pub const fn is_local(self) -> bool {
        self.0[0] & 2 == 2
    }

    /// A MAC that several routers share by a first-hop redundancy protocol: VRRP (RFC 9568 §7.3,
    /// IPv4 `00-00-5E-00-01-xx`, IPv6 `00-00-5E-00-02-xx`), HSRP v1 and v2, GLBP.
    pub const fn is_redundancy(self) -> bool {
        matches!(
            self.0,
            [0x00, 0x00, 0x5e, 0x00, 0x01 | 0x02, _]
                | [0x00, 0x00, 0x0c, 0x07, 0xac, _]
                | [0x00, 0x00, 0x0c, 0x9f, 0xf0..=0xff, _]
                | [0x00, 0x05, 0x73, 0xa0..=0xaf, _, _]
                | [0x00, 0x07, 0xb4, 0x00..=0x03, _, _]
        )
    }

    /// A unicast address that one station can have: neither group nor all zero.
    pub const fn is_station(self) -> bool {
        !self.is_group() && !matches!(self.0, [0, 0, 0, 0, 0, 0])
    }

    /// The first three octets, by which vendors are registered (MA-L).
    pub const fn oui(self) -> [u8; 3] {
        [self.0[0], self.0[1], self.0[2]]
    }

    /// The modified EUI-64 interface identifier (RFC 4291 appendix A).
    pub const fn interface_id(self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f])
    }

    /// The MAC that an interface identifier was made from, if it has the EUI-64 shape.
    pub const fn from_interface_id(address: Ipv6Addr) -> Option<Mac> {
        let octets = address.octets();
        if octets[11] != 0xff || octets[12] != 0xfe {
            return None;
        }
        Some(Mac([octets[8] ^ 2, octets[9], octets[10], octets[13], octets[14], octets[15]]))
    }

    /// The Ethernet address of an IPv6 multicast group (RFC 2464 §7).
    pub const fn of_ipv6_group(group: Ipv6Addr) -> Mac {
        let o = group.octets();
        Mac([0x33, 0x33, o[12], o[13], o[14], o[15]])
    }
}

/// Colons, dashes, dots (`aabb.ccdd.eeff`) or nothing between the digits.
impl FromStr for Mac {
    type Err = BadMac;

    fn from_str(text: &str) -> Result<Mac, BadMac> {
        let bad = || BadMac(text.chars().take(64).collect());
        let text = text.trim();
        let groups: &[usize] = match text.len() {
            12 => &[12],
            14 => &[4, 4, 4],
            17 => &[2; 6],
            _ => return Err(bad()),
        };
        let mut digits = Vec::with_capacity(12);
        let mut parts = text.split([':', '-', '.']);
        for &length in groups {
            let part = parts.next().ok_or_else(bad)?;
            if part.len() != length {
                return Err(bad());
            }
            for c in part.chars() {
                digits.push(c.to_digit(16).ok_or_else(bad)? as u8);
            }
        }
        if parts.next().is_some() {
            return Err(bad());
        }
        let mut octets = [0; 6];
        for (octet, pair) in octets.iter_mut().zip(digits.chunks_exact(2)) {
            *octet = pair[0] << 4 | pair[1];
        }
        Ok(Mac(octets))
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Mac {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mac {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Mac, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_customary_form() {
        let expected = Mac([0, 0x1b, 0x21, 0xaa, 0xbb, 0xcc]);
        for text in [
            "00:1b:21:aa:bb:cc",
            "00-1B-21-AA-BB-CC",
            "001b.21aa.bbcc",
            "001b21aabbcc",
            " 00:1b:21:aa:bb:cc ",
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for text in ["", "00:1b:21:aa:bb", "00:1b:21:aa:bb:cg", "00:1b:21:aa:bb:c", "界碑界碑"]
        {
            assert!(text.parse::<Mac>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_interface_id_goes_back_to_its_mac() {
        let mac: Mac = "00:1b:21:aa:bb:cc".parse().unwrap();
        let address = Ipv6Addr::from_bits(0xfe80 << 112 | mac.interface_id() as u128);
        assert_eq!(address.to_string(), "fe80::21b:21ff:feaa:bbcc");
        assert_eq!(Mac::from_interface_id(address), Some(mac));
        assert_eq!(Mac::from_interface_id(Ipv6Addr::LOCALHOST), None);
    }
}
