//! What the observations of a sweep add up to: devices, segments, coverage. A pure fold: the same
//! log in any order gives the same inventory.
//!
//! **What is a device.** On a link, a station: one MAC that is a station's own. Not an address (they
//! move), not a name (they are claimed), and not a MAC that routers share by a first-hop redundancy
//! protocol: such a MAC is nobody's own, its addresses belong to whoever advertises them. A random MAC
//! is a station's own as long as it lasts; it has no vendor. Beyond a router there is nothing but the
//! address: each is a device of its own, bound with the router's MAC only as `via`, never merged
//! into the router.
//!
//! **What is proved of an address.** [`Binding`]: it was seen in use. [`Claimed`]: somebody named it;
//! claims never merge, and raise nothing by themselves. What also answers for addresses that cannot
//! exist (a [`Ghost`](crate::observe::Fact::Ghost)) has proved nothing by that method there.

mod behind;
mod build;
mod coverage;
mod device;
pub mod egress;
mod fold;
mod segment;
mod talk;
#[cfg(test)]
mod tests;
mod tunnel;
mod vendor;

pub use behind::{Behind, SEVERAL};
pub use coverage::{Coverage, EgressCoverage, Yield};
pub use device::{Binding, Claimed, Device, DeviceKey, Forwarding, Role, Service};
pub use egress::Egresses;
pub use fold::fold;
pub use segment::{Segment, SegmentSource};
pub use talk::{NextHop, Talker};
pub use tunnel::{TunnelEnd, word as tunnel_word};
pub use vendor::vendor;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::net::{AddressSet, Mac, Prefix};
use crate::observe::{Log, ObservationId, VantageId};

/// Observations in the order of time; where that is equal, of what they say. So the first few of them are
/// the same few however the log came to be ordered.
pub fn in_time(
    log: &Log,
    observations: impl IntoIterator<Item = ObservationId>,
) -> Vec<ObservationId> {
    let mut ordered: Vec<ObservationId> = observations.into_iter().collect();
    let key =
        |id: &ObservationId| log.get(*id).map(|one| (one.at, one.vantage, one.source, &one.fact));
    ordered.sort_by(|a, b| key(a).cmp(&key(b)));
    ordered
}

/// What the fold knows beside the log.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// The sweep's vantages: a [`VantageId`] is a place in this list.
    pub vantages: Vec<Vantage>,
    /// Every prefix of the registry's segments, of any validity: they tell how far a live address's
    /// segment reaches.
    pub segments: Vec<Prefix>,
    /// What the sweep was allowed to ask; empty where nothing was asked.
    pub scope: AddressSet,
}

/// A place a scanner stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vantage {
    pub interface: String,
    pub mac: Option<Mac>,
    /// Each address with the prefix it is on.
    pub addresses: Vec<(IpAddr, Prefix)>,
}

/// What a sweep's observations add up to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// By key: stations in the order of their MACs, then what is beyond routers by address. The
    /// vantages themselves are not among them.
    pub devices: Vec<Device>,
    /// By prefix.
    pub segments: Vec<Segment>,
    /// By prefix and vantage.
    pub coverage: Vec<Coverage>,
    /// What the egress methods brought.
    pub egresses: Egresses,
    /// Addresses that more than one host may use.
    pub behind: Vec<Behind>,
    /// By whom packets went to public addresses, and came from there.
    pub next_hops: Vec<NextHop>,
    /// For each segment, who sends most in it.
    pub talkers: Vec<Vec<Talker>>,
    /// Tunnels that stations send into, by who ends them here.
    pub tunnels: Vec<TunnelEnd>,
    /// Every address in use, with those of its devices; one heard only in traffic has none.
    pub in_use: BTreeMap<IpAddr, Vec<usize>>,
    /// Every station MAC seen on a link, with its device.
    pub stations: BTreeMap<Mac, usize>,
    /// Vantages that heard at least one other station. A silence on any other says nothing.
    pub hearing: BTreeSet<VantageId>,
    /// The vantages' own MACs.
    pub own: BTreeSet<Mac>,
    /// Answers that prove nothing, for they also come for addresses that cannot exist.
    pub ghosts: Vec<ObservationId>,
}
