//! Observations: small typed facts, each with its time, vantage, source and the frames that show it.
//!
//! Everything above this room works from observations alone, so a sweep can be recomputed from
//! `observations.jsonl.zst` without a network. A fact carries nothing that differs between two
//! sightings of the same thing (no time, no token, no checksum): equal facts fold into one
//! observation with a count, which is what bounds the log of a long listening.

mod egress;
mod fact;
mod foreign;
mod heard_l2;
pub mod heard_names;
mod heard_streams;
mod log;

pub use egress::{
    Carrier, Direction, EgressAsked, EgressMethod, EgressProbe, EgressReceipt, ExternalAddress,
    NotRun, Passage, SeenBy,
};
pub use fact::{
    Asked, DhcpClient, DhcpServer, Fact, Forwarding, IcmpError, LldpNeighbour, PortState,
    PrefixInformation, Proposed, RouteInformation, RouterAdvertisement, RoutingProtocol,
    RoutingSpeaker,
};
pub use foreign::{Foreign, defuse_cell};
pub use heard_l2::{
    AggregationEnd, ArpExchange, ArpMessage, BgpOpen, BridgeId, Carriage, DeviceAnnouncement,
    GroupMessage, GroupMessageKind, IsisSpeaker, LinkAggregation, Pppoe, Redirect, Redundancy,
    SpanningTree, Tunnel, TunnelKind,
};
pub use heard_streams::{
    HttpHost, NtlmClient, NtlmServer, Role, SeenCertificate, SmbSpeaker, SpokenService, TcpSyn,
    TlsCertificates, TlsClient, TlsServer, UserAgent,
};
pub use log::{Log, LogLimits};

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The place of a vantage in the sweep's list of vantages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct VantageId(pub u16);

/// The number of a frame in the sweep's own capture, from 1 in the order of sight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FrameNumber(pub u64);

/// The place of an observation in its [`Log`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObservationId(pub u32);

/// By what a fact was learnt. The words are published in `sources` and `methods` of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    Interface,
    Arp,
    Ndp,
    Icmp,
    Icmpv6,
    Tcp,
    Udp,
    RouterAdvertisement,
    Dhcp,
    Dhcpv6,
    Lldp,
    RoutingProtocol,
    Mdns,
    Llmnr,
    Netbios,
    /// What stations say of themselves, by a protocol that the fact names.
    Heard,
    Mld,
    Igmp,
    Traceroute,
    /// The one-packet forwarding test: a frame to a neighbour's MAC for an off-link address.
    Forwarding,
    /// Addresses seen in IP headers on the wire.
    Traffic,
    /// The egress methods, each under its own word.
    NextHop,
    SpoofedSource,
    Proxy,
    Dns,
    PortMapping,
    Passive,
    /// What a registered device tells by SNMP.
    Snmp,
    /// What the sweep itself did: what it asked, how far it came.
    Sweep,
}

impl Source {
    pub const fn word(self) -> &'static str {
        match self {
            Source::Interface => "interface",
            Source::Arp => "arp",
            Source::Ndp => "ndp",
            Source::Icmp => "icmp",
            Source::Icmpv6 => "icmpv6",
            Source::Tcp => "tcp",
            Source::Udp => "udp",
            Source::RouterAdvertisement => "router-advertisement",
            Source::Dhcp => "dhcp",
            Source::Dhcpv6 => "dhcpv6",
            Source::Lldp => "lldp",
            Source::RoutingProtocol => "routing-protocol",
            Source::Mdns => "mdns",
            Source::Llmnr => "llmnr",
            Source::Netbios => "netbios",
            Source::Heard => "heard",
            Source::Mld => "mld",
            Source::Igmp => "igmp",
            Source::Traceroute => "traceroute",
            Source::Forwarding => "forwarding",
            Source::Traffic => "traffic",
            Source::NextHop => "next-hop",
            Source::SpoofedSource => "spoofed-source",
            Source::Proxy => "proxy",
            Source::Dns => "dns",
            Source::PortMapping => "port-mapping",
            Source::Passive => "passive",
            Source::Snmp => "snmp",
            Source::Sweep => "sweep",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One fact seen from one vantage, from its first sighting to its last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    pub at: Timestamp,
    /// The last sighting of an equal fact; `at` where it was seen once.
    pub last_at: Timestamp,
    /// How often an equal fact was seen.
    pub count: u64,
    pub vantage: VantageId,
    pub source: Source,
    #[serde(flatten)]
    pub fact: Fact,
    /// The frames that show it: the first few, in order. Empty for what no frame shows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frames: Vec<FrameNumber>,
}
