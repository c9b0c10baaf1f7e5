use std::collections::{BTreeMap, BTreeSet};
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
/// The advertisement itself. `detail.hidden_by` says how it is hidden from guards that look at the first header: behind extension
/// headers (RFC 7113), or in fragments (RFC 6980), which are put together again.
///
/// # When it stays silent
/// Devices registered as gateway or router, by MAC or by an address they use (unless the registered MAC is on the wire
/// beside it), and a virtual router that
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
            if !shown.is_empty()
                && !view
                    .registered(place)
                    .is_some_and(|registered| is_registered(device, registered, view))
            {
                findings.extend(found(self.name(), device, &shown, view));
            }
        }
    }
}

/// How its advertisements pass guards that look at the first header only (RFC 7113), with what shows it.
fn hidden(device: &Device, view: &View<'_>) -> BTreeMap<ObservationId, &'static str> {
    let odd = view.log.iter().filter_map(|(id, observation)| {
        let Fact::Oddity { mac: Some(mac), what, .. } = &observation.fact else { return None };
        let word = match what.as_str() {
            "router advertisement behind extension headers" => "extension-headers",
            "neighbour discovery in fragments" => "fragments",
            _ => return None,
        };
        device.macs.contains(mac).then_some((id, word))
    });
    odd.collect()
}

/// By a row with its MAC; or by one with its address, unless the row's own MAC is on the wire too: then somebody else uses the
/// router's address.
fn is_registered(device: &Device, registered: &Registered<'_>, view: &View<'_>) -> bool {
    let announces = |role: &model::Role| matches!(role, model::Role::Gateway | model::Role::Router);
    if !registered.roles.iter().any(announces) {
        return false;
    }
    let bound = device.bindings.iter().filter_map(|binding| binding.mac);
    let mut macs = device.macs.iter().copied().chain(bound);
    if device.macs.is_empty()
        || macs.any(|mac| view.index.devices_with(mac).any(|row| row.roles.iter().any(announces)))
    {
        return true;
    }
    let mut rows = device.addresses().flat_map(|ip| view.index.devices_at(ip));
    rows.any(|row| {
        row.roles.iter().any(announces)
            && !row.mac.iter().any(|mac| view.inventory.stations.contains_key(mac))
    })
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
    let hidden = hidden(device, view);
    if !hidden.is_empty() {
        found = found.detail("hidden_by", texts(hidden.values().collect::<BTreeSet<_>>()));
        for id in hidden.keys() {
            found = found.shown_by([id]);
        }
    }
    // The advertisements name the link-local address alone: what shows the other at the same MAC.
    if !routers.contains(&ip)
        && let Some(binding) = device.binding(ip)
    {
        found = found.shown_by(binding.observations.iter().take(1));
    }
    Some(found)
}
