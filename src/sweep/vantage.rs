//! Where a sweep stands: the interfaces it uses, and the ways out of their links.

use std::net::IpAddr;

use thiserror::Error;

use crate::link::interfaces::{self, Interface, NetlinkError, Route};
use crate::link::standing::Standing;
use crate::net::{AddressSet, Mac, Prefix, special};
use crate::observe::VantageId;

/// A vantage as the plan sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Station {
    pub id: VantageId,
    pub interface: String,
    pub index: u32,
    pub mac: Mac,
    /// Usable addresses with the length of their prefix.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Destinations beyond the link and the neighbour that leads there.
    pub ways: Vec<(Prefix, IpAddr)>,
    pub mtu: u32,
}

#[derive(Debug, Error)]
pub enum VantageError {
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    #[error("there is no interface {name}; there are: {known}")]
    Unknown { name: String, known: String },
    #[error("interface {0} is down")]
    Down(String),
    #[error("interface {0} is no Ethernet interface")]
    NotEthernet(String),
    #[error("no interface has an address in the scope; name one with --interface")]
    NoneInScope,
}

impl Station {
    /// The prefixes of the link, without link-local ones, each once.
    pub fn prefixes(&self) -> Vec<Prefix> {
        let mut prefixes: Vec<Prefix> = self
            .addresses
            .iter()
            .filter(|(address, length)| {
                !special::is_link_local(*address)
                    && Prefix::of(*address, *length) != Prefix::host(*address)
            })
            .map(|(address, length)| Prefix::of(*address, *length))
            .collect();
        prefixes.sort();
        prefixes.dedup();
        prefixes
    }

    /// Whether an address is on this link by the interface's own prefixes.
    pub fn is_on_link(&self, address: IpAddr) -> bool {
        special::is_link_local(address)
            || self.prefixes().iter().any(|prefix| prefix.contains(address))
    }

    /// The address to ask from: of the destination's family, in its prefix if there is one.
    pub fn source_for(&self, destination: IpAddr) -> Option<IpAddr> {
        let family = crate::net::Family::of(destination);
        let link_local = special::is_link_local(destination);
        let mut candidates = self
            .addresses
            .iter()
            .filter(|(address, _)| crate::net::Family::of(*address) == family)
            .filter(|(address, _)| {
                special::is_link_local(*address) == link_local || family == crate::net::Family::Ipv4
            });
        let all: Vec<_> = candidates.by_ref().collect();
        all.iter()
            .find(|(address, length)| Prefix::of(*address, *length).contains(destination))
            .or(all.first())
            .map(|(address, _)| *address)
    }

    /// What must go on being so while a sweep runs.
    pub fn standing(&self) -> Standing {
        let addresses = self.addresses.iter().map(|(address, _)| *address).collect();
        Standing::new(&self.interface, self.index, self.mac, addresses)
    }

    pub fn has_address(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|(own, _)| *own == address)
    }
}

/// The interfaces named, or those whose own address lies in the scope, in the kernel's order.
pub fn stations(named: &[String], scope: &AddressSet) -> Result<Vec<Station>, VantageError> {
    let interfaces = interfaces::interfaces()?;
    let routes = interfaces::routes()?;
    let mut chosen = Vec::new();
    if named.is_empty() {
        chosen.extend(interfaces.iter().filter(|interface| {
            interface.up
                && !interface.loopback
                && interface.is_ethernet()
                && interface.addresses.iter().any(|a| scope.contains(a.address))
        }));
        if chosen.is_empty() {
            return Err(VantageError::NoneInScope);
        }
    }
    for name in named {
        let interface =
            interfaces.iter().find(|interface| interface.name == *name).ok_or_else(|| {
                let known: Vec<_> = interfaces.iter().map(|i| i.name.as_str()).collect();
                VantageError::Unknown {
                    name: name.chars().take(32).collect(),
                    known: known.join(" "),
                }
            })?;
        if !interface.up {
            return Err(VantageError::Down(name.clone()));
        }
        if !chosen.iter().any(|other: &&Interface| other.index == interface.index) {
            chosen.push(interface);
        }
    }
    let mut stations = Vec::new();
    for (place, interface) in chosen.into_iter().enumerate() {
        stations.push(station(VantageId(place as u16), interface, &routes)?);
    }
    Ok(stations)
}

fn station(
    id: VantageId,
    interface: &Interface,
    routes: &[Route],
) -> Result<Station, VantageError> {
    let not_ethernet = || VantageError::NotEthernet(interface.name.clone());
    if !interface.is_ethernet() {
        return Err(not_ethernet());
    }
    let ways = routes
        .iter()
        .filter(|route| route.interface == interface.index)
        .filter_map(|route| Some((route.destination, route.gateway?)))
        .collect();
    Ok(Station {
        id,
        interface: interface.name.clone(),
        index: interface.index,
        mac: interface.mac.ok_or_else(not_ethernet)?,
        addresses: interface
            .addresses
            .iter()
            .filter(|address| !address.unusable)
            .map(|address| (address.address, address.length))
            .collect(),
        ways,
        mtu: interface.mtu,
    })
}

/// Puts the registry's gateways before the kernel's: routed prefixes of the scope are reached through
/// the registered gateway of the link, whatever the scanner's own machine is set to.
pub fn prefer_registered(stations: &mut [Station], gateways: &[IpAddr]) {
    for station in stations {
        for family in [crate::net::Family::Ipv4, crate::net::Family::Ipv6] {
            let registered = gateways.iter().copied().find(|gateway| {
                crate::net::Family::of(*gateway) == family
                    && !station.has_address(*gateway)
                    && station.prefixes().iter().any(|prefix| prefix.contains(*gateway))
            });
            let Some(gateway) = registered else { continue };
            let everything = Prefix::of(family.address(0), 0);
            station.ways.retain(|(destination, _)| *destination != everything);
            station.ways.push((everything, gateway));
        }
    }
}
