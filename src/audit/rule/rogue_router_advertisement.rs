use std::collections::BTreeSet;
use std::net::IpAddr;

use super::Rule;
use crate::audit::finding::Subject;
use crate::audit::findings::{Findings, Found, texts};
use crate::audit::view::{Registered, View};
use crate::inventory::{Device, Role};
use crate::observe::{Fact, ObservationId, RouterAdvertisement};
use crate::registry::model;

/// # What it finds
/// A router advertisement sent by a device that is not registered as gateway or router.
///
/// # Why it matters
/// Every host of the wire takes addresses, routes and resolvers from it without asking.
///
/// # Evidence
/// The advertisement itself.
///
/// # When it stays silent
/// Devices registered as gateway or router, by MAC or by an address they use, and a virtual router that
/// their redundancy protocol speaks for.
///
/// # What refutes it
/// A row in `devices` with role gateway or router for its sender.
///
/// # Example
/// A desktop that shares its connection advertises 2001:db8:66::/64.
pub(super) struct RogueRouterAdvertisement;

impl Rule for RogueRouterAdvertisement {
    fn name(&self) -> &'static str {
        "rogue-router-advertisement"
    }

    fn check(&self, view: &View<'_>, findings: &mut Findings) {
        for (place, device) in view.inventory.devices.iter().enumerate() {
            let shown: Vec<(ObservationId, &RouterAdvertisement)> = device
                .roles
                .get(&Role::Router)
                .into_iter()
                .flatten()
                .filter_map(|&id| match view.fact(id)? {
                    Fact::RouterAdvertisement(ra) => Some((id, ra)),
                    _ => None,
                })
                .collect();
            if !shown.is_empty() && !view.registered(place).is_some_and(is_registered) {
                findings.extend(found(self.name(), device, &shown, view));
            }
        }
    }
}

fn is_registered(registered: &Registered<'_>) -> bool {
    registered.roles.iter().any(|role| matches!(role, model::Role::Gateway | model::Role::Router))
}

fn found(
    rule: &'static str,
    device: &Device,
    shown: &[(ObservationId, &RouterAdvertisement)],
    view: &View<'_>,
) -> Option<Found> {
    // An advertisement comes from a link-local address; people know the device by another.
    let routers: BTreeSet<IpAddr> = shown.iter().map(|(_, ra)| ra.router).collect();
    let ip = view.known_by(device.addresses()).or(routers.first().copied())?;
    let mut prefixes: Vec<_> = shown
        .iter()
        .flat_map(|(_, ra)| &ra.prefixes)
        .map(|information| information.prefix)
        .collect();
    let mut routes: Vec<_> =
        shown.iter().flat_map(|(_, ra)| &ra.routes).map(|route| route.prefix).collect();
    let mut resolvers: Vec<_> = shown.iter().flat_map(|(_, ra)| ra.rdnss.clone()).collect();
    prefixes.sort_unstable();
    prefixes.dedup();
    routes.sort_unstable();
    routes.dedup();
    resolvers.sort_unstable();
    resolvers.dedup();
    let lifetime = shown.iter().map(|(_, ra)| ra.lifetime).max().unwrap_or_default();
    let mut found = Found::of_device(rule, device)
        .unit(view.wire_of(device))
        .subject(Subject { ip: Some(ip), mac: device.macs.first().copied(), ..Subject::default() })
        .detail("routers", texts(&routers))
        .detail("prefixes", texts(prefixes.iter().take(32)))
        .detail("lifetime", lifetime);
    if !routes.is_empty() {
        found = found.detail("routes", texts(routes.iter().take(32)));
    }
    if !resolvers.is_empty() {
        found = found.detail("rdnss", texts(resolvers.iter().take(32)));
    }
    found = found.shown_by(shown.iter().map(|(id, _)| id));
    // The advertisements name the link-local address alone: what shows the other at the same MAC.
    if !routers.contains(&ip)
        && let Some(binding) = device.binding(ip)
    {
        found = found.shown_by(binding.observations.iter().take(1));
    }
    Some(found)
}
