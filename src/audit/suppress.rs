//! One fact, one finding: the contract's pairs, as data.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use uuid::Uuid;

use super::findings::Found;
use crate::net::{AddressSet, Port, Prefix};

/// Where the left one stands, the right one about the same thing does not.
pub struct Pair {
    pub stands: &'static str,
    pub over: &'static str,
    pub same: Same,
}

/// When two findings are about the same thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Same {
    /// One device, or an address in common.
    Device,
    /// One device or address in common, and the left's port, where it has one.
    Port,
    /// As `Device`, where the left one is about ports.
    ChangedPorts,
    /// A finding without a port over those with one, on an address in common.
    ServicesOf,
    /// The right one's prefix or address lies in the left one's prefix.
    Prefix,
}

const fn pair(stands: &'static str, over: &'static str, same: Same) -> Pair {
    Pair { stands, over, same }
}

/// Contract §5. No others do.
pub const PAIRS: &[Pair] = &[
    pair("egress-filing-expired", "unregistered-egress", Same::Device),
    pair("egress-mismatch", "unregistered-egress", Same::Device),
    pair("access-after-withdrawal", "unregistered-segment", Same::Prefix),
    pair("access-after-withdrawal", "foreign-segment", Same::Prefix),
    pair("access-after-withdrawal", "unregistered-device", Same::Prefix),
    pair("asset-mismatch", "unregistered-device", Same::Device),
    pair("asset-mismatch", "registered-asset-absent", Same::Device),
    pair("interface-device-replaced", "asset-mismatch", Same::Device),
    pair("interface-device-replaced", "unregistered-device", Same::Device),
    pair("interface-device-replaced", "unregistered-service", Same::Device),
    pair("interface-device-changed", "unregistered-service", Same::ChangedPorts),
    pair("interface-device-missing", "registered-asset-absent", Same::Device),
    pair("retired-system-online", "unregistered-service", Same::Port),
    pair("registered-asset-absent", "registered-asset-absent", Same::ServicesOf),
];

/// Findings of one rule, by what they are about.
#[derive(Default)]
struct Stand {
    devices: HashSet<Uuid>,
    ips: HashSet<IpAddr>,
    ports: HashSet<(IpAddr, Port)>,
    device_ports: HashSet<(Uuid, Port)>,
    prefixes: Vec<Prefix>,
    set: AddressSet,
}

impl Stand {
    fn of<'a>(found: impl Iterator<Item = &'a Found>, same: Same) -> Stand {
        let mut stand = Stand::default();
        for found in found {
            if same == Same::ChangedPorts && !is_about_ports(found) {
                continue;
            }
            if same == Same::ServicesOf && found.subject.port.is_some() {
                continue;
            }
            match (same, found.subject.port) {
                (Same::Port, Some(port)) => {
                    stand.ports.extend(found.ips.iter().map(|&ip| (ip, port)));
                    stand.device_ports.extend(found.device.map(|device| (device, port)));
                }
                _ => {
                    stand.devices.extend(found.device);
                    stand.ips.extend(&found.ips);
                }
            }
            stand.prefixes.extend(found.subject.prefix);
        }
        stand.set = AddressSet::of(stand.prefixes.iter().copied());
        stand
    }

    fn holds(&self, found: &Found, same: Same) -> bool {
        let device = || {
            found.device.is_some_and(|device| self.devices.contains(&device))
                || found.ips.iter().any(|ip| self.ips.contains(ip))
        };
        match same {
            Same::Device | Same::ChangedPorts => device(),
            Same::Port => {
                let port = found.subject.port.is_some_and(|port| {
                    found.ips.iter().any(|&ip| self.ports.contains(&(ip, port)))
                        || found
                            .device
                            .is_some_and(|device| self.device_ports.contains(&(device, port)))
                });
                port || device()
            }
            Same::ServicesOf => found.subject.port.is_some() && device(),
            Same::Prefix => match (found.subject.prefix, found.subject.ip) {
                (Some(prefix), _) => {
                    self.prefixes.iter().any(|left| left.covers(prefix))
                        || self.prefixes.iter().any(|left| prefix.covers(*left))
                            && !found.ips.is_empty()
                            && found.ips.iter().all(|&ip| self.set.contains(ip))
                }
                (None, Some(ip)) => self.set.contains(ip),
                (None, None) => false,
            },
        }
    }
}

fn is_about_ports(found: &Found) -> bool {
    found.detail.get("changed").and_then(|changed| changed.get("ports")).is_some()
}

/// Leaves what stands. A finding that is itself suppressed still says that the fact is told.
pub(super) fn suppress(found: Vec<Found>) -> Vec<Found> {
    let mut by_rule: HashMap<&str, Vec<usize>> = HashMap::new();
    for (place, one) in found.iter().enumerate() {
        by_rule.entry(one.rule).or_default().push(place);
    }
    let mut gone: HashSet<usize> = HashSet::new();
    for pair in PAIRS {
        let (Some(left), Some(right)) = (by_rule.get(pair.stands), by_rule.get(pair.over)) else {
            continue;
        };
        let stand = Stand::of(left.iter().filter_map(|&place| found.get(place)), pair.same);
        for &place in right {
            if found.get(place).is_some_and(|one| stand.holds(one, pair.same)) {
                gone.insert(place);
            }
        }
    }
    found
        .into_iter()
        .enumerate()
        .filter(|(place, _)| !gone.contains(place))
        .map(|(_, one)| one)
        .collect()
}
