//! Segments: prefixes in use, as tight as the evidence supports.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::net::Prefix;
use crate::observe::{ObservationId, VantageId};

/// A prefix in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    pub prefix: Prefix,
    /// The vantages on whose link it is; none: it was reached or named only beyond a router.
    pub on_link: BTreeSet<VantageId>,
    pub gateways: BTreeSet<IpAddr>,
    /// Devices with an address in it.
    pub live: u64,
    /// By what it is known, with what shows it. `Interface` alone is only the vantage's own setting.
    pub sources: BTreeMap<SegmentSource, Vec<ObservationId>>,
}

/// By what a segment is known. The words are the contract's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SegmentSource {
    Interface,
    RouterAdvertisement,
    Dhcp,
    RoutingProtocol,
    Traceroute,
    LiveAddresses,
}

impl SegmentSource {
    pub const fn word(self) -> &'static str {
        match self {
            SegmentSource::Interface => "interface",
            SegmentSource::RouterAdvertisement => "router-advertisement",
            SegmentSource::Dhcp => "dhcp",
            SegmentSource::RoutingProtocol => "routing-protocol",
            SegmentSource::Traceroute => "traceroute",
            SegmentSource::LiveAddresses => "live-addresses",
        }
    }
}
