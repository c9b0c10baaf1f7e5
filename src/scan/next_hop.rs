//! Whose MAC a packet for an address is given to.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::net::{Mac, Prefix, PrefixMap};

/// Neighbours by address, and gateways by prefix. An address on link is reached by its own MAC or
/// not at all; it is never sent to a gateway.
#[derive(Debug, Clone, Default)]
pub struct NextHops {
    ways: PrefixMap<Way>,
    neighbours: HashMap<IpAddr, Mac>,
}

#[derive(Debug, Clone, Copy)]
enum Way {
    OnLink,
    Gateway(Mac),
}

impl NextHops {
    pub fn new() -> NextHops {
        NextHops::default()
    }

    /// Addresses in this prefix are neighbours.
    pub fn on_link(&mut self, prefix: Prefix) {
        self.ways.insert(prefix, Way::OnLink);
    }

    /// Packets for this prefix go to this router. The longest prefix decides.
    pub fn gateway(&mut self, prefix: Prefix, router: Mac) {
        self.ways.insert(prefix, Way::Gateway(router));
    }

    /// This neighbour has this MAC, wherever its address lies.
    pub fn neighbour(&mut self, address: IpAddr, mac: Mac) {
        self.neighbours.insert(address, mac);
    }

    pub fn mac_for(&self, address: IpAddr) -> Option<Mac> {
        match self.ways.longest(address) {
            Some((_, Way::Gateway(router))) => {
                Some(self.neighbours.get(&address).copied().unwrap_or(*router))
            }
            Some((_, Way::OnLink)) | None => self.neighbours.get(&address).copied(),
        }
    }
}
