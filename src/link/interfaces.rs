//! Interfaces, addresses, routes and neighbours, as the kernel has them at this moment.

use std::net::IpAddr;

use crate::net::{Mac, Prefix};

pub use super::netlink::NetlinkError;

/// A network interface and its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    pub index: u32,
    pub name: String,
    /// ARPHRD_*: 1 is Ethernet, 772 loopback.
    pub hardware: u16,
    pub mac: Option<Mac>,
    /// The largest packet (layer 3), in octets.
    pub mtu: u32,
    /// Set up by the administrator (IFF_UP).
    pub up: bool,
    /// Has a carrier too (IFF_RUNNING).
    pub running: bool,
    pub loopback: bool,
    /// Addresses with the length of their prefix, in the kernel's order.
    pub addresses: Vec<InterfaceAddress>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterfaceAddress {
    pub address: IpAddr,
    /// The length of the on-link prefix.
    pub length: u8,
    /// Not usable as a source: tentative, or found to be a duplicate (RFC 4862 §5.4).
    pub unusable: bool,
    /// A temporary (privacy) address of RFC 8981, or a secondary IPv4 address.
    pub secondary: bool,
}

impl InterfaceAddress {
    pub fn prefix(self) -> Prefix {
        Prefix::of(self.address, self.length)
    }
}

impl Interface {
    pub fn is_ethernet(&self) -> bool {
        self.hardware == libc::ARPHRD_ETHER
    }
}

/// A unicast route of the main table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// `0.0.0.0/0` or `::/0` for a default route.
    pub destination: Prefix,
    /// `None` on the link itself.
    pub gateway: Option<IpAddr>,
    /// The index of the outgoing interface.
    pub interface: u32,
    /// The preferred source address, where the route names one.
    pub source: Option<IpAddr>,
    /// Lower is preferred.
    pub metric: u32,
}

/// An entry of the neighbour tables (ARP and NDP).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    pub ip: IpAddr,
    /// `None` while it is not resolved.
    pub mac: Option<Mac>,
    pub interface: u32,
    pub state: NeighbourState,
    /// The kernel takes it for a router (NTF_ROUTER).
    pub router: bool,
}

/// NUD_* of `linux/neighbour.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeighbourState {
    Incomplete,
    Reachable,
    Stale,
    Delay,
    Probe,
    Failed,
    Noarp,
    Permanent,
    Unknown(u16),
}

/// All interfaces with their addresses, by index.
pub fn interfaces() -> Result<Vec<Interface>, NetlinkError> {
    super::netlink::interfaces()
}

/// The unicast routes of the main table, both families.
pub fn routes() -> Result<Vec<Route>, NetlinkError> {
    super::netlink::routes()
}

/// The neighbour tables of both families.
pub fn neighbours() -> Result<Vec<Neighbour>, NetlinkError> {
    super::netlink::neighbours()
}
