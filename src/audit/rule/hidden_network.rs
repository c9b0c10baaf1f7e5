use std::collections::BTreeMap;

use super::Rule;
use crate::audit::finding::Subject;
use crate::audit::findings::{Findings, Found, texts};
use crate::audit::view::View;
use crate::inventory::{Behind, SEVERAL};
use crate::registry::model::Role;
use crate::result::v1::Confidence;

/// # What it finds
/// Behind one address of the link several hosts are seen, and the device is not registered with the role nat: its packets arrive
/// with hop limits that show a router behind the address; clocks of TCP timestamps run apart; connections are opened as several
/// systems open them; programs name several systems.
///
/// # Why it matters
/// Hosts behind a translated address are in nobody's table and answer to nobody's rules.
///
/// # Evidence
/// The frames with the address and the station's MAC, each kind of hop limit and of system. What they are worth together is
/// `detail.score`, from 1 to 99: hop limits of forwarded packets are enough alone, the others are not.
///
/// # When it stays silent
/// Devices registered with role nat, by MAC or address. An address that two stations use; packets behind another MAC than the
/// address's own, which a router forwarded; hop limits that somebody chose (traceroute, multicast); a station with many addresses
/// and no packet of its own, which answers for others (proxy ARP).
///
/// # What refutes it
/// That the station sends with such hop limits itself; or a row in `devices` with role nat.
///
/// # Example
/// 10.20.1.65 answers ARP; its packets arrive with hop limits 64, 63 and 127.
pub(super) struct HiddenNetwork;

impl Rule for HiddenNetwork {
    fn name(&self) -> &'static str {
        "hidden-network"
    }

    fn check(&self, view: &View<'_>, findings: &mut Findings) {
        let mut by_device: BTreeMap<usize, Vec<&Behind>> = BTreeMap::new();
        for behind in view.inventory.behind.iter().filter(|behind| behind.score >= SEVERAL) {
            by_device.entry(behind.device).or_default().push(behind);
        }
        for (place, behind) in by_device {
            let is_registered = view
                .registered(place)
                .is_some_and(|registered| registered.roles.contains(&Role::Nat));
            if !is_registered {
                findings.extend(found(self.name(), place, &behind, view));
            }
        }
    }
}

fn found(rule: &'static str, place: usize, behind: &[&Behind], view: &View<'_>) -> Option<Found> {
    let device = view.inventory.devices.get(place)?;
    let ip = view.known_by(behind.iter().map(|one| one.ip))?;
    let mac = behind.iter().find(|one| one.ip == ip).map(|one| one.mac);
    let union = |list: &dyn Fn(&Behind) -> Vec<String>| {
        let mut all: Vec<String> = behind.iter().flat_map(|one| list(one)).collect();
        all.sort();
        all.dedup();
        all
    };
    let hops = |limits: &std::collections::BTreeSet<u8>| -> Vec<String> {
        limits.iter().map(ToString::to_string).collect()
    };
    let score = behind.iter().map(|one| one.score).max().unwrap_or_default();
    let hosts = behind.iter().map(|one| one.hosts).max().unwrap_or_default();
    let clocks = behind.iter().map(|one| one.clocks).max().unwrap_or_default();
    let kinds = |one: &&Behind| {
        let of_hops = !one.forwarded.is_empty();
        [of_hops, one.clocks > 1, one.systems.len() > 1].into_iter().filter(|shown| *shown).count()
    };
    let is_shown_twice = behind.iter().any(|one| kinds(one) > 1);
    let mut found = Found::of_device(rule, device);
    found.cap = Some(if is_shown_twice { Confidence::Corroborated } else { Confidence::Indicated });
    let mut found = found
        .unit(view.wire_of(device))
        .subject(Subject { ip: Some(ip), mac, ..Subject::default() })
        .detail("addresses", texts(behind.iter().map(|one| one.ip)))
        .detail("score", score)
        .detail("hosts", hosts as u64);
    let lists = [
        ("own_hop_limits", union(&|one| hops(&one.own))),
        ("forwarded_hop_limits", union(&|one| hops(&one.forwarded))),
        ("systems", union(&|one| one.systems.iter().cloned().collect())),
        ("claimed_systems", union(&|one| one.claimed_systems.iter().cloned().collect())),
    ];
    for (name, list) in lists {
        if !list.is_empty() {
            found = found.detail(name, texts(list));
        }
    }
    if clocks > 1 {
        found = found.detail("clocks", clocks as u64);
    }
    for one in behind {
        found = found.shown_by(&one.observations);
    }
    // The address's own frames: whose MAC it is.
    if let Some(binding) = device.binding(ip) {
        found = found.shown_by(binding.observations.iter().take(1));
    }
    Some(found)
}
