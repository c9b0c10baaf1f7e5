//! Devices: stations on a link, and addresses beyond routers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::Timestamp;
use uuid::Uuid;

use crate::net::{Mac, Port};
use crate::observe::{Foreign, ObservationId, Source, VantageId};

/// By what a device is the same one tomorrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeviceKey {
    /// A station on a link: its address may change.
    Station(Mac),
    /// Beyond a router, or behind a MAC that several routers share: nothing but the address.
    Address(IpAddr),
}

/// One device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    pub id: Uuid,
    pub key: DeviceKey,
    /// Its own MACs; none beyond a router. Never one that routers share.
    pub macs: Vec<Mac>,
    /// Addresses seen in use by it, in order.
    pub bindings: Vec<Binding>,
    /// Addresses that it or others only named.
    pub claimed: Vec<Claimed<IpAddr>>,
    /// Names from DHCP, LLDP and mDNS.
    pub hostnames: BTreeSet<Foreign>,
    /// The organisation its MAC is registered to.
    pub vendor: Option<&'static str>,
    /// What it was seen to act as, with what shows it.
    pub roles: BTreeMap<Role, Vec<ObservationId>>,
    /// Open ports.
    pub services: Vec<Service>,
    /// Ports that answered that nothing listens, with what shows it.
    pub closed: Vec<Service>,
    pub forwarding: Forwarding,
    pub vantages: BTreeSet<VantageId>,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub sources: BTreeSet<Source>,
    /// Everything that shows the device, in the order of time, as every list of observations here.
    pub observations: Vec<ObservationId>,
}

/// An address in use. Contract: "the device answered from it, or was seen using it".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    pub ip: IpAddr,
    /// The MAC it is bound to on the link, shared ones too; `None` beyond a router.
    pub mac: Option<Mac>,
    pub on_link: bool,
    /// The router's MAC its answers came from, where it is not on a link.
    pub via: Option<Mac>,
    pub vantages: BTreeSet<VantageId>,
    pub sources: BTreeSet<Source>,
    pub observations: Vec<ObservationId>,
}

/// Something that was only said. It merges nothing and proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claimed<T> {
    pub value: T,
    pub observation: ObservationId,
}

/// What a device acts as. The published words are the registry's ([`Role::word`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// It advertises itself as a router or speaks a routing or first-hop redundancy protocol.
    Router,
    /// It answered the forwarding test as a router answers, a packet sent to it came out beyond, or
    /// it brought in packets of others.
    Forwards,
    /// It answered as a DHCP server.
    Dhcp,
}

impl Role {
    pub const fn word(self) -> &'static str {
        match self {
            Role::Router | Role::Forwards => "router",
            Role::Dhcp => "dhcp",
        }
    }
}

/// What the forwarding test brought back of a station.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forwarding {
    /// It used up a hop limit of 1, or had no route to send by: forwarding is switched on.
    pub switched_on: Vec<ObservationId>,
    /// By round: an answer came from beyond it, so the packet went through.
    pub beyond: BTreeMap<u8, Vec<ObservationId>>,
    /// Packets of private addresses off the link came in by it, heard in passing.
    pub passing: Vec<ObservationId>,
}

/// A port of an address, with the answers that show its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub ip: IpAddr,
    pub port: Port,
    pub observations: Vec<ObservationId>,
}

/// The name space of device ids: fixed for ever, so that ids are the same everywhere.
const NAMESPACE: Uuid = Uuid::from_u128(0x6a69_6562_6569_5d64_8e76_6963_6500_0001);

impl DeviceKey {
    /// A UUID of version 5 over the key's text.
    pub fn id(self) -> Uuid {
        let text = match self {
            DeviceKey::Station(mac) => format!("mac:{mac}"),
            DeviceKey::Address(ip) => format!("ip:{ip}"),
        };
        Uuid::new_v5(&NAMESPACE, text.as_bytes())
    }
}

impl Device {
    /// Whether it is itself on a link of ours.
    pub fn is_on_link(&self) -> bool {
        matches!(self.key, DeviceKey::Station(_)) || self.bindings.iter().any(|b| b.on_link)
    }

    /// Its confirmed addresses, each once, in order.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let mut last = None;
        self.bindings
            .iter()
            .map(|binding| binding.ip)
            .filter(move |&ip| last.replace(ip) != Some(ip))
    }

    pub fn binding(&self, ip: IpAddr) -> Option<&Binding> {
        self.bindings.iter().find(|binding| binding.ip == ip)
    }
}
