//! Address prefixes of both families.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use super::family::{Family, number};

/// An address and a length, with no bits set behind the length.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix {
    family: Family,
    first: u128,
    length: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadPrefix {
    #[error("not an address prefix: {0:?}")]
    Unreadable(String),
    #[error("{written} has host bits set; the prefix is {meant}")]
    HostBits { written: String, meant: Prefix },
}

impl Prefix {
    /// The prefix of this length that holds the address. A length past the family's width is cut to it.
    pub fn of(address: IpAddr, length: u8) -> Prefix {
        let family = Family::of(address);
        let length = length.min(family.bits());
        Prefix { family, first: number(address) & mask(family, length), length }
    }

    /// The prefix that holds this one address alone.
    pub fn host(address: IpAddr) -> Prefix {
        Prefix::of(address, Family::of(address).bits())
    }

    pub const fn family(self) -> Family {
        self.family
    }

    pub const fn length(self) -> u8 {
        self.length
    }

    pub const fn is_ipv4(self) -> bool {
        matches!(self.family, Family::Ipv4)
    }

    /// The lowest address, all host bits zero.
    pub const fn first(self) -> IpAddr {
        self.family.address(self.first)
    }

    /// The highest address, all host bits one: the directed broadcast in IPv4.
    pub fn last(self) -> IpAddr {
        self.family.address(self.last_number())
    }

    pub const fn first_number(self) -> u128 {
        self.first
    }

    pub fn last_number(self) -> u128 {
        self.first | (self.family.max() & !mask(self.family, self.length))
    }

    /// How many addresses it holds; saturating for `::/0`.
    pub fn size(self) -> u128 {
        (self.last_number() - self.first).saturating_add(1)
    }

    pub fn contains(self, address: IpAddr) -> bool {
        Family::of(address) == self.family
            && number(address) & mask(self.family, self.length) == self.first
    }

    /// Whether every address of `other` is in this prefix (a prefix covers itself).
    pub fn covers(self, other: Prefix) -> bool {
        self.length <= other.length && self.contains(other.first())
    }

    pub fn overlaps(self, other: Prefix) -> bool {
        self.covers(other) || other.covers(self)
    }

    /// The prefix of a shorter length around this one.
    pub fn widen(self, length: u8) -> Prefix {
        Prefix::of(self.first(), length.min(self.length))
    }

    /// The prefixes of a longer length inside this one, in order. Its own self where it is longer already.
    pub fn parts(self, length: u8) -> impl Iterator<Item = Prefix> {
        let length = length.clamp(self.length, self.family.bits());
        let step = 1u128.checked_shl((self.family.bits() - length) as u32);
        let count = 1u128.checked_shl((length - self.length) as u32).unwrap_or(u128::MAX);
        (0..count).map(move |index| Prefix {
            family: self.family,
            first: self.first + index.saturating_mul(step.unwrap_or(0)),
            length,
        })
    }

    /// Whether an address is one a host of this prefix can have: IPv4 prefixes shorter than /31
    /// keep their first and last address for the network and the directed broadcast.
    pub fn is_host_address(self, address: IpAddr) -> bool {
        self.contains(address)
            && (self.family == Family::Ipv6
                || self.length >= 31
                || (address != self.first() && address != self.last()))
    }
}

fn mask(family: Family, length: u8) -> u128 {
    let host_bits = (family.bits() - length) as u32;
    match u128::MAX.checked_shl(host_bits) {
        Some(mask) => mask & family.max(),
        None => 0,
    }
}

/// `10.20.1.0/24`; an address alone is the prefix of that one address. Host bits are refused.
impl FromStr for Prefix {
    type Err = BadPrefix;

    fn from_str(text: &str) -> Result<Prefix, BadPrefix> {
        let unreadable = || BadPrefix::Unreadable(text.chars().take(64).collect());
        let network: IpNetwork = text.trim().parse().map_err(|_| unreadable())?;
        let prefix = Prefix::of(network.ip(), network.prefix());
        if prefix.first() != network.ip() {
            return Err(BadPrefix::HostBits { written: text.trim().to_owned(), meant: prefix });
        }
        Ok(prefix)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first(), self.length)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Prefix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Prefix, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn host_bits_are_refused_with_the_prefix_that_was_meant() {
        assert_eq!(
            "10.20.1.5/24".parse::<Prefix>(),
            Err(BadPrefix::HostBits {
                written: "10.20.1.5/24".into(),
                meant: prefix("10.20.1.0/24")
            })
        );
        assert!("10.20.1.0/33".parse::<Prefix>().is_err());
        assert!("内网".parse::<Prefix>().is_err());
        assert_eq!(prefix("10.1.1.1").length(), 32);
    }

    #[test]
    fn the_ends_of_the_families_do_not_overflow() {
        assert_eq!(prefix("::/0").size(), u128::MAX);
        assert_eq!(prefix("0.0.0.0/0").size(), 1 << 32);
        assert_eq!(prefix("0.0.0.0/0").last().to_string(), "255.255.255.255");
        assert!(prefix("::/0").covers(prefix("ffff::/16")));
        assert!(!prefix("::/0").covers(prefix("10.0.0.0/8")));
    }

    #[test]
    fn parts_tile_the_prefix() {
        let parts: Vec<_> = prefix("10.0.0.0/22").parts(24).map(|p| p.to_string()).collect();
        assert_eq!(parts, ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24"]);
        assert_eq!(prefix("10.0.0.0/25").parts(24).count(), 1);
    }
}
