use std::collections::BTreeSet;
use std::net::IpAddr;

use super::Rule;
use crate::audit::finding::Subject;
use crate::audit::findings::{Findings, Found, texts};
use crate::audit::view::{View, routes};
use crate::inventory::{Device, Role};
use crate::observe::{Fact, ObservationId, RoutingProtocol};

/// # What it finds
/// A device that forwards packets, advertises itself as a router, or speaks a routing or first-hop
/// redundancy protocol (OSPF, VRRP, HSRP, EIGRP, RIP, PIM), and is not registered as gateway, router,
/// firewall, nat or vpn.
///
/// # Why it matters
/// A router nobody approved is a way into or out of the unit that nobody watches.
///
/// # Evidence
/// Its own advertisements; or the forwarding test, one packet for an off-link address sent to its MAC:
/// hop limit 1 used up at it, or in IPv4 'net unreachable', shows that forwarding is switched on
/// (indicated); hop limit 2 answered from beyond it, in two rounds, that it forwards (proved). Heard in
/// passing: packets of private addresses off the link that it brought in, with hop limits that a router
/// has used up in part, and that are answered or come again; neighbour advertisements that say it is a
/// router; redirects (indicated).
///
/// # When it stays silent
/// Devices registered for one of those roles, by MAC or address; IPv6 'no route', which hosts that do
/// not forward send too; an off-link address that is the neighbour's own; what only
/// leads out to public addresses (`unregistered-egress`); errors from somebody else's
/// MAC.
///
/// # What refutes it
/// That forwarding is off and the device answers as a router for another reason; or a row in `devices`.
///
/// # Example
/// A desktop with connection sharing switched on answers hop limit 1 with time exceeded.
pub(super) struct UnregisteredRouter;

impl Rule for UnregisteredRouter {
    fn name(&self) -> &'static str {
        "unregistered-router"
    }

    fn check(&self, view: &View<'_>, findings: &mut Findings) {
        for (place, device) in view.inventory.devices.iter().enumerate() {
            let acts =
                [Role::Router, Role::Forwards].iter().any(|role| device.roles.contains_key(role));
            let is_registered =
                view.registered(place).is_some_and(|registered| routes(&registered.roles));
            if acts && !is_registered {
                findings.put(found(self.name(), device, view));
            }
        }
    }
}

fn found(rule: &'static str, device: &Device, view: &View<'_>) -> Found {
    let shown = |role| device.roles.get(&role).into_iter().flatten();
    let mut shows: BTreeSet<&str> = BTreeSet::new();
    let mut speaks: Vec<ObservationId> = Vec::new();
    let mut kinds = BTreeSet::new();
    for &id in shown(Role::Router) {
        let word = match view.fact(id) {
            Some(Fact::RouterAdvertisement(_)) => "router-advertisement",
            Some(Fact::RoutingSpeaker(speaker)) => protocol(speaker.protocol),
            _ => continue,
        };
        shows.insert(word);
        if kinds.insert(word) || speaks.len() < 4 {
            speaks.push(id);
        }
    }
    let ip = view.known_by(device.addresses());
    let mut found = Found::of_device(rule, device)
        .unit(view.wire_of(device))
        .subject(Subject { ip, mac: device.macs.first().copied(), ..Subject::default() })
        .shown_by(&speaks);
    if !device.forwarding.switched_on.is_empty() || !device.forwarding.beyond.is_empty() {
        let goes_through = !device.forwarding.beyond.is_empty();
        shows.insert("forwarding");
        found = found
            .detail("forwarding", if goes_through { "through" } else { "switched-on" })
            .detail("rounds", device.forwarding.beyond.len() as u64)
            .shown_by(device.forwarding.switched_on.iter().take(2));
        for round in device.forwarding.beyond.values() {
            found = found.shown_by(round.iter().take(2));
        }
    }
    for &id in shown(Role::Forwards) {
        let word = match view.fact(id) {
            Some(Fact::RouterFlag { .. }) => "router-flag",
            Some(Fact::Redirect(_)) => "redirect",
            _ => continue,
        };
        if shows.insert(word) {
            found = found.shown_by([&id]);
        }
    }
    let passing = &device.forwarding.passing;
    if !passing.is_empty() {
        shows.insert("forwarding");
        let beyond: BTreeSet<IpAddr> = passing
            .iter()
            .filter_map(|&id| match view.fact(id) {
                Some(Fact::Passage(passage)) => Some(passage.remote),
                _ => None,
            })
            .collect();
        if device.forwarding.switched_on.is_empty() && device.forwarding.beyond.is_empty() {
            found = found.detail("forwarding", "heard");
        }
        found = found.detail("beyond", texts(beyond.iter().take(32))).shown_by(passing);
    }
    if let Some(binding) = ip.and_then(|ip| device.binding(ip)) {
        found = found.shown_by(binding.observations.iter().take(1));
    }
    found.detail("shows", texts(shows)).detail("addresses", texts(device.addresses()))
}

fn protocol(protocol: RoutingProtocol) -> &'static str {
    match protocol {
        RoutingProtocol::Vrrp => "vrrp",
        RoutingProtocol::Ospf => "ospf",
        RoutingProtocol::Hsrp => "hsrp",
        RoutingProtocol::Eigrp => "eigrp",
        RoutingProtocol::Rip => "rip",
        RoutingProtocol::Pim => "pim",
    }
}
