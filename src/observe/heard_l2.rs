//! What the link layer, routing protocols and tunnels tell a listener beside the older facts.
//!
//! As in every fact, nothing stands here that differs between two sightings of the same thing: no
//! sequence numbers, ages, client ports or timers that run. Identifiers of tunnels and sessions stand
//! here, because they are what is seen; the listener bounds how many of them one pair of ends shows.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Foreign;
use crate::net::{Mac, Prefix};

/// A bridge's word on the tree (IEEE 802.1D, 802.1w, 802.1s, and Cisco's per-VLAN form).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SpanningTree {
    pub mac: Mac,
    /// 0 STP, 2 RSTP, 3 MSTP, 4 SPT.
    pub version: u8,
    pub root: BridgeId,
    /// The sender's cost to the root.
    pub cost: u32,
    pub bridge: BridgeId,
    /// Priority and number of the sender's port, as they stand.
    pub port: u16,
    /// The VLAN of a per-VLAN tree.
    pub vlan: Option<u16>,
    /// MSTP: the region's name, and its regional root.
    pub region: Option<Foreign>,
    pub regional_root: Option<BridgeId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BridgeId {
    /// In steps of 4096 (IEEE 802.1t).
    pub priority: u16,
    /// The system id extension: a VLAN or an instance.
    pub extension: u16,
    pub mac: Mac,
}

/// What a device says of itself by CDP, EDP or MNDP.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeviceAnnouncement {
    /// `cdp`, `edp`, `mndp`.
    pub protocol: String,
    pub mac: Mac,
    pub device: Option<Foreign>,
    pub port: Option<Foreign>,
    pub platform: Option<Foreign>,
    pub software: Option<Foreign>,
    pub addresses: Vec<IpAddr>,
    pub native_vlan: Option<u16>,
    /// VLANs that it names (EDP).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vlans: Vec<u16>,
    pub capabilities: Option<u32>,
    /// VTP management domain.
    pub domain: Option<Foreign>,
    /// The prefixes behind it that it names (CDP's on-demand routing).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<Prefix>,
}

/// One end of an aggregated link (IEEE 802.1AX).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LinkAggregation {
    pub mac: Mac,
    /// `lacp`, `marker`.
    pub protocol: String,
    pub actor: AggregationEnd,
    /// `None` where the sender knows no partner, and in markers.
    pub partner: Option<AggregationEnd>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AggregationEnd {
    pub system: Mac,
    pub priority: u16,
    pub key: u16,
    pub port: u16,
}

/// An intermediate system, by its hello or by an advertisement of its own or of another (ISO 10589, RFC 1195, 5308).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IsisSpeaker {
    /// Who sent the frame; of an advertisement not always who it is about.
    pub mac: Mac,
    /// `hello`, `advertisement`, `sequence-numbers`.
    pub message: String,
    /// 1, 2, or 3 for both.
    pub level: u8,
    /// `1111.1111.1111`.
    pub system_id: String,
    /// The id of the advertisement: `1111.1111.1111.00-00`.
    pub advertisement: Option<String>,
    pub hostname: Option<Foreign>,
    /// `49.0001`.
    pub areas: Vec<String>,
    pub addresses: Vec<IpAddr>,
    pub prefixes: Vec<Prefix>,
    /// System ids of neighbours.
    pub neighbours: Vec<String>,
}

/// A BGP speaker opens a session (RFC 4271, 6793).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BgpOpen {
    pub ip: IpAddr,
    pub peer: IpAddr,
    pub mac: Mac,
    pub version: u8,
    /// The field of two octets: 23456 where the number needs four.
    pub my_as: u16,
    /// By the capability of four octets where there is one.
    pub autonomous_system: u32,
    pub router_id: IpAddr,
    /// Seconds.
    pub hold: u16,
}

/// Who shares an address with whom, in protocols that [`super::RoutingSpeaker`] does not know, and the state
/// that the sender says it is in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Redundancy {
    /// `hsrp`, `glbp`, `carp`.
    pub protocol: String,
    pub version: u8,
    pub ip: IpAddr,
    pub mac: Mac,
    pub group: u32,
    /// The protocol's own number for it.
    pub state: Option<u8>,
    /// In CARP the skew: lower is preferred.
    pub priority: Option<u32>,
    pub virtual_addresses: Vec<IpAddr>,
    pub virtual_macs: Vec<Mac>,
}

/// PPPoE (RFC 2516): discovery, and who has a session with whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pppoe {
    /// `padi`, `pado`, `padr`, `pads`, `padt`, `session`.
    pub message: String,
    pub mac: Mac,
    pub peer: Mac,
    /// Zero before there is one.
    pub session: u16,
    pub concentrator: Option<Foreign>,
    pub services: Vec<Foreign>,
}

/// The word for a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TunnelKind {
    #[serde(rename = "gre")]
    Gre,
    #[serde(rename = "erspan")]
    Erspan,
    #[serde(rename = "ipip")]
    IpIp,
    #[serde(rename = "4in6")]
    Ip4In6,
    #[serde(rename = "6in4")]
    Ip6In4,
    #[serde(rename = "6in6")]
    Ip6In6,
    #[serde(rename = "teredo")]
    Teredo,
    #[serde(rename = "vxlan")]
    Vxlan,
    #[serde(rename = "geneve")]
    Geneve,
    #[serde(rename = "wireguard")]
    WireGuard,
    #[serde(rename = "openvpn")]
    OpenVpn,
    #[serde(rename = "ike")]
    Ike,
    #[serde(rename = "ipsec-esp")]
    Esp,
    #[serde(rename = "ipsec-ah")]
    Ah,
    #[serde(rename = "l2tp")]
    L2tp,
    #[serde(rename = "pptp")]
    Pptp,
    #[serde(rename = "gtp")]
    Gtp,
}

impl TunnelKind {
    pub const fn word(self) -> &'static str {
        match self {
            TunnelKind::Gre => "gre",
            TunnelKind::Erspan => "erspan",
            TunnelKind::IpIp => "ipip",
            TunnelKind::Ip4In6 => "4in6",
            TunnelKind::Ip6In4 => "6in4",
            TunnelKind::Ip6In6 => "6in6",
            TunnelKind::Teredo => "teredo",
            TunnelKind::Vxlan => "vxlan",
            TunnelKind::Geneve => "geneve",
            TunnelKind::WireGuard => "wireguard",
            TunnelKind::OpenVpn => "openvpn",
            TunnelKind::Ike => "ike",
            TunnelKind::Esp => "ipsec-esp",
            TunnelKind::Ah => "ipsec-ah",
            TunnelKind::L2tp => "l2tp",
            TunnelKind::Pptp => "pptp",
            TunnelKind::Gtp => "gtp",
        }
    }
}

/// A tunnel ends at two addresses.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tunnel {
    pub kind: TunnelKind,
    pub from: IpAddr,
    pub to: IpAddr,
    pub mac: Mac,
    /// `udp` or `tcp`, where it does not stand on IP itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Carriage>,
    /// As it stands in the first octet of IKE (0x10, 0x20); the plain number elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u8>,
    /// What tells it from others between the same ends: VNI, TEID, SPI, GRE's key, ERSPAN's session, L2TP's tunnel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<u32>,
    /// L2TP's session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<u32>,
    /// The EtherType that GRE announces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carries: Option<u16>,
    /// What an end says of itself (PPTP).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Foreign>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<Foreign>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Carriage {
    Udp,
    Tcp,
}

/// What an ARP packet asks or says. RFC 826, 5227.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ArpExchange {
    pub message: ArpMessage,
    /// The field in the packet; a lie shows in the frame's own oddity.
    pub mac: Mac,
    pub ip: IpAddr,
    pub target: IpAddr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArpMessage {
    Request,
    Reply,
    /// Sender zero: asks before it uses the address.
    Probe,
    /// A request for its own address.
    Announcement,
    /// A reply about its own address.
    GratuitousReply,
    /// Reverse and inverse ARP, by their operation.
    Other(u16),
}

/// A group message that is no join and no general query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GroupMessage {
    pub ip: IpAddr,
    pub mac: Mac,
    pub group: IpAddr,
    pub message: GroupMessageKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupMessageKind {
    Query,
    Leave,
    /// From an address that hosts and bridges do not obey.
    Disobeyed,
}

/// A router told a host of a better way (RFC 792, RFC 4861 §4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Redirect {
    pub ip: IpAddr,
    pub mac: Mac,
    /// Whom to send to instead.
    pub next_hop: IpAddr,
    pub destination: IpAddr,
}
