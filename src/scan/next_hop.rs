//! Whose MAC a packet for an address is given to.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::net::{Mac, Prefix, PrefixMap, special};

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
        // No router passes link-local packets on (RFC 4291 §2.5.6, RFC 3927 §2.7).
        if special::is_link_local(address) {
            return self.neighbours.get(&address).copied();
        }
        match self.ways.longest(address) {
            Some((_, Way::Gateway(router))) => {
                Some(self.neighbours.get(&address).copied().unwrap_or(*router))
            }
            Some((_, Way::OnLink)) | None => self.neighbours.get(&address).copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_reached_themselves_and_the_rest_by_the_longest_prefix() {
        let prefix = |text: &str| text.parse::<Prefix>().unwrap();
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let mac = |last| Mac([2, 0, 0, 0, 0, last]);
        let mut hops = NextHops::new();
        hops.gateway(prefix("0.0.0.0/0"), mac(1));
        hops.gateway(prefix("10.7.0.0/16"), mac(2));
        hops.on_link(prefix("10.20.1.0/24"));
        hops.neighbour(ip("10.20.1.9"), mac(9));
        // A foreign address on this wire.
        hops.neighbour(ip("192.168.0.9"), mac(10));
        for (address, expected) in [
            ("10.20.1.9", Some(mac(9))),
            ("10.20.1.8", None),
            ("10.20.2.8", Some(mac(1))),
            ("10.7.2.8", Some(mac(2))),
            ("192.168.0.9", Some(mac(10))),
            ("169.254.1.1", None),
            ("fe80::1", None),
            ("fd00::1", None),
        ] {
            assert_eq!(hops.mac_for(ip(address)), expected, "{address}");
        }
    }
}
