//! The two address families, and the one integer in which both are reckoned.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// An address family. Logic that is one for both is written over [`Family`] and `u128`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    Ipv4,
    Ipv6,
}

impl Family {
    pub const fn of(address: IpAddr) -> Family {
        match address {
            IpAddr::V4(_) => Family::Ipv4,
            IpAddr::V6(_) => Family::Ipv6,
        }
    }

    /// The length of an address in bits: 32 or 128.
    pub const fn bits(self) -> u8 {
        match self {
            Family::Ipv4 => 32,
            Family::Ipv6 => 128,
        }
    }

    /// The highest address of the family as a number.
    pub const fn max(self) -> u128 {
        match self {
            Family::Ipv4 => u32::MAX as u128,
            Family::Ipv6 => u128::MAX,
        }
    }

    /// The address that a number stands for; bits above the family's width are dropped.
    pub const fn address(self, number: u128) -> IpAddr {
        match self {
            Family::Ipv4 => IpAddr::V4(Ipv4Addr::from_bits(number as u32)),
            Family::Ipv6 => IpAddr::V6(Ipv6Addr::from_bits(number)),
        }
    }
}

/// The number of an address within its family.
pub const fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits() as u128,
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::Ipv4 => "ipv4",
            Family::Ipv6 => "ipv6",
        })
    }
}
