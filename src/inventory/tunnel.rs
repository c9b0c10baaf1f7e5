//! Tunnels by their ends.
//!
//! Whoever sends packets of a tunnel ends it. Whom they go to does so when he sends some himself: anybody can be sent to. What is
//! inside a tunnel ends elsewhere, and is not looked at.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;

use super::in_time;
use crate::net::Mac;
use crate::observe::{Fact, Log, ObservationId, TunnelKind, VantageId};

/// Tunnels of one kind that an address sends into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TunnelEnd {
    pub ip: IpAddr,
    pub kind: TunnelKind,
    pub peers: BTreeSet<IpAddr>,
    /// The Ethernet sources: the device itself, or the router that it is behind.
    pub macs: BTreeSet<Mac>,
    /// Devices that use the address, by place.
    pub devices: Vec<usize>,
    pub vantages: BTreeSet<VantageId>,
    pub observations: Vec<ObservationId>,
}

/// The contract's word: IKE sets up what ESP and AH carry, and the three are one tunnel.
pub const fn word(kind: TunnelKind) -> &'static str {
    match kind {
        TunnelKind::Ike | TunnelKind::Esp | TunnelKind::Ah => "ipsec",
        kind => kind.word(),
    }
}

pub(super) fn tunnels(
    log: &Log,
    in_use: &BTreeMap<IpAddr, Vec<usize>>,
    own: &BTreeSet<IpAddr>,
    canaries: &HashSet<IpAddr>,
) -> Vec<TunnelEnd> {
    let mut ends: BTreeMap<(IpAddr, &'static str), (TunnelEnd, BTreeSet<ObservationId>)> =
        BTreeMap::new();
    for (id, observation) in log.iter() {
        let Fact::Tunnel(tunnel) = &observation.fact else { continue };
        // What answers a question of ours answers a question, and is no tunnel.
        let is_ours = |ip| own.contains(ip) || canaries.contains(ip);
        if is_ours(&tunnel.from) || is_ours(&tunnel.to) {
            continue;
        }
        let devices = || in_use.get(&tunnel.from).cloned().unwrap_or_default();
        let end = |kind| TunnelEnd {
            ip: tunnel.from,
            kind,
            peers: BTreeSet::new(),
            macs: BTreeSet::new(),
            devices: devices(),
            vantages: BTreeSet::new(),
            observations: Vec::new(),
        };
        let key = (tunnel.from, word(tunnel.kind));
        let (one, shown) = ends.entry(key).or_insert_with(|| (end(tunnel.kind), BTreeSet::new()));
        one.kind = one.kind.min(tunnel.kind);
        one.peers.insert(tunnel.to);
        if tunnel.mac.is_station() {
            one.macs.insert(tunnel.mac);
        }
        one.vantages.insert(observation.vantage);
        shown.insert(id);
    }
    ends.into_values()
        .map(|(end, shown)| TunnelEnd { observations: in_time(log, shown), ..end })
        .collect()
}
