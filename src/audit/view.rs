//! What a rule may see: the inventory, the registry on the day, and what was asked.

use std::collections::HashMap;
use std::net::IpAddr;

use rayon::prelude::*;

use super::Input;
use super::asking::{Asking, Silence};
use super::egress::Way;
use crate::inventory::{Context, Device, Inventory};
use crate::net::{Mac, special};
use crate::observe::{Fact, Log, ObservationId, VantageId};
use crate::registry::index::{Approval, Index};
use crate::registry::model::{self, Role};

/// The ground that rules stand on.
pub struct View<'a> {
    pub inventory: &'a Inventory,
    pub log: &'a Log,
    pub index: &'a Index,
    pub context: &'a Context,
    /// For each vantage, the unit whose wire it is on.
    wires: Vec<Option<&'a str>>,
    registered: Vec<Registered<'a>>,
    pub asking: Asking<'a>,
    /// Every way out to the internet, and whose it is.
    pub ways: Vec<Way<'a>>,
}

/// A row that stands for a device of the inventory.
#[derive(Debug, Clone, Copy)]
pub enum Row<'a> {
    Asset(&'a model::Asset),
    Device(&'a model::Device),
}

/// What the registry knows of a device of the inventory.
#[derive(Debug, Clone, Default)]
pub struct Registered<'a> {
    /// Rows that it matches: by MAC where the row has one and the device shows its own, else by address.
    pub rows: Vec<Row<'a>>,
    /// Roles of device rows that have its MAC or one of its addresses. A replaced gateway still stands
    /// where a gateway is approved; that it is another is a finding of its own.
    pub roles: Vec<Role>,
}

impl<'a> Row<'a> {
    pub fn unit(self) -> &'a str {
        match self {
            Row::Asset(row) => &row.unit,
            Row::Device(row) => &row.unit,
        }
    }

    pub fn name(self) -> &'a str {
        match self {
            Row::Asset(row) => &row.name,
            Row::Device(row) => &row.name,
        }
    }

    pub fn ips(self) -> &'a [IpAddr] {
        match self {
            Row::Asset(row) => &row.ip,
            Row::Device(row) => &row.ip,
        }
    }

    pub fn macs(self) -> &'a [Mac] {
        match self {
            Row::Asset(row) => &row.mac,
            Row::Device(row) => &row.mac,
        }
    }

    pub fn table(self) -> &'static str {
        match self {
            Row::Asset(_) => "assets",
            Row::Device(_) => "devices",
        }
    }

    /// Whether this row stands for the device.
    fn matches(self, device: &Device) -> bool {
        if self.macs().is_empty() || device.macs.is_empty() {
            device.addresses().any(|ip| self.ips().contains(&ip))
        } else {
            macs(device).any(|mac| self.macs().contains(&mac))
        }
    }
}

/// The MACs a device shows: its own, and shared ones that its addresses are bound to.
fn macs(device: &Device) -> impl Iterator<Item = Mac> {
    device.macs.iter().copied().chain(device.bindings.iter().filter_map(|binding| binding.mac))
}

impl<'a> View<'a> {
    pub(super) fn new(input: &'a Input<'a>, index: &'a Index) -> View<'a> {
        let wires = input
            .context
            .vantages
            .iter()
            .map(|vantage| {
                let addresses = || vantage.addresses.iter().map(|(address, _)| *address);
                input.unit.as_deref().or_else(|| unit_of(index, addresses()))
            })
            .collect();
        let registered =
            input.inventory.devices.par_iter().map(|device| registered(index, device)).collect();
        let mut view = View {
            inventory: input.inventory,
            log: input.log,
            index,
            context: input.context,
            wires,
            registered,
            asking: Asking::new(input),
            ways: Vec::new(),
        };
        view.ways = super::egress::ways(&view);
        view
    }

    /// Every device with what the registry knows of it.
    pub fn devices(
        &self,
    ) -> impl IndexedParallelIterator<Item = (&'a Device, &Registered<'a>)> + '_ {
        self.inventory.devices.par_iter().zip(self.registered.par_iter())
    }

    pub fn registered(&self, place: usize) -> Option<&Registered<'a>> {
        self.registered.get(place)
    }

    /// Devices that use this address, with their places.
    pub fn at(&self, ip: IpAddr) -> impl Iterator<Item = (usize, &'a Device)> + '_ {
        self.inventory
            .in_use
            .get(&ip)
            .into_iter()
            .flatten()
            .filter_map(|&place| Some((place, self.inventory.devices.get(place)?)))
    }

    /// The devices that a row stands for, found by its MACs and addresses.
    pub fn matching(&self, row: Row<'_>) -> Vec<&'a Device> {
        let by_mac = row.macs().iter().filter_map(|mac| self.inventory.stations.get(mac)).copied();
        let by_ip = row.ips().iter().filter_map(|ip| self.inventory.in_use.get(ip)).flatten();
        let mut places: Vec<usize> = by_mac.chain(by_ip.copied()).collect();
        places.sort_unstable();
        places.dedup();
        places
            .into_iter()
            .filter_map(|place| self.inventory.devices.get(place))
            .filter(|device| row.matches(device))
            .collect()
    }

    /// Whether an address or one of the MACs was seen in use anywhere, by anybody.
    pub fn is_in_use(&self, ips: &[IpAddr], macs: &[Mac]) -> bool {
        ips.iter().any(|ip| self.inventory.in_use.contains_key(ip))
            || macs.iter().any(|mac| {
                self.inventory.stations.contains_key(mac) || self.inventory.own.contains(mac)
            })
    }

    /// The unit of a wire.
    pub fn wire(&self, vantage: VantageId) -> Option<&'a str> {
        self.wires.get(usize::from(vantage.0)).copied().flatten()
    }

    /// The unit on whose wire a device was seen; of what is beyond a router, the unit from whose wire.
    pub fn wire_of(&self, device: &Device) -> Option<&'a str> {
        device.vantages.iter().find_map(|&vantage| self.wire(vantage))
    }

    /// The unit of the sweep as a whole: that of its first wire.
    pub fn unit(&self) -> Option<&'a str> {
        self.wires.iter().find_map(|unit| *unit)
    }

    /// The unit a device belongs to: by its row, its segment, its wire.
    pub fn unit_of(&self, device: &Device, registered: &Registered<'a>) -> Option<&'a str> {
        registered
            .rows
            .first()
            .map(|row| row.unit())
            .or_else(|| unit_of(self.index, device.addresses()))
            .or_else(|| device.is_on_link().then(|| self.wire_of(device)).flatten())
    }

    /// Whether the registry lets a device that speaks from here route: the row of a speaker that lists
    /// this address as shared has a routing role.
    pub fn is_shared_by_registered(&self, ip: IpAddr) -> bool {
        self.asking.sharers(ip).iter().any(|&(speaker, mac)| {
            let by_ip = self.index.devices_at(speaker);
            by_ip.chain(self.index.devices_with(mac)).any(|row| routes(&row.roles))
        })
    }

    /// The address that people know a device by: its own before one that it shares with others.
    pub fn known_by(&self, addresses: impl Iterator<Item = IpAddr>) -> Option<IpAddr> {
        let (shared, own): (Vec<IpAddr>, Vec<IpAddr>) =
            addresses.partition(|&ip| self.asking.is_shared(ip));
        primary(own.into_iter()).or_else(|| primary(shared.into_iter()))
    }

    pub fn fact(&self, id: ObservationId) -> Option<&'a Fact> {
        self.log.get(id).map(|observation| &observation.fact)
    }

    /// What was asked of an address, where its silence says that it is not there.
    pub fn silence(&self, ip: IpAddr) -> Option<Silence> {
        self.asking.silence(ip, self)
    }
}

/// Roles that forward packets.
pub fn routes(roles: &[Role]) -> bool {
    roles.iter().any(|role| {
        matches!(role, Role::Gateway | Role::Router | Role::Firewall | Role::Nat | Role::Vpn)
    })
}

/// The unit whose approved segment holds one of the addresses; else whose segment held it.
fn unit_of(index: &Index, addresses: impl Iterator<Item = IpAddr>) -> Option<&str> {
    let addresses: Vec<IpAddr> = addresses.collect();
    let approved = addresses.iter().find_map(|&ip| index.approved_segment(ip));
    let segment = approved.or_else(|| {
        addresses
            .iter()
            .filter_map(|&ip| index.segment(ip))
            .find(|(_, approval)| *approval != Approval::NotYet)
            .map(|(segment, _)| segment)
    });
    segment.map(|segment| segment.unit.as_str())
}

fn registered<'a>(index: &'a Index, device: &Device) -> Registered<'a> {
    let mut found = Registered::default();
    let mut seen: HashMap<(&str, &str, &str), ()> = HashMap::new();
    let mut put = |row: Row<'a>| {
        if seen.insert((row.table(), row.unit(), row.name()), ()).is_some() {
            return;
        }
        if let Row::Device(row) = row {
            found.roles.extend(&row.roles);
        }
        if row.matches(device) {
            found.rows.push(row);
        }
    };
    for mac in macs(device) {
        index.devices_with(mac).map(Row::Device).for_each(&mut put);
    }
    for ip in device.addresses() {
        index.devices_at(ip).map(Row::Device).for_each(&mut put);
    }
    for mac in macs(device) {
        index.assets_with(mac).map(Row::Asset).for_each(&mut put);
    }
    for ip in device.addresses() {
        index.assets_at(ip).map(Row::Asset).for_each(&mut put);
    }
    found
}

/// The address that people know a device by: IPv4 before IPv6, wide before link-local, and before
/// that which every router of a prefix answers for (RFC 4291 section 2.6.1).
pub fn primary(addresses: impl Iterator<Item = IpAddr>) -> Option<IpAddr> {
    addresses.min_by_key(|&ip| {
        (special::is_link_local(ip), ip.is_ipv6(), is_subnet_router_anycast(ip), ip)
    })
}

fn is_subnet_router_anycast(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ipv6) if ipv6.to_bits().trailing_zeros() >= 64)
}
