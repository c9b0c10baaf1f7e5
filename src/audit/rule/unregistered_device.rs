use std::collections::HashMap;
use std::net::IpAddr;

use rayon::prelude::*;

use super::Rule;
use crate::audit::finding::Subject;
use crate::audit::findings::{Findings, Found, texts};
use crate::audit::view::{View, routes};
use crate::inventory::{Binding, Device, DeviceKey};
use crate::net::{Mac, Prefix, special};
use crate::observe::Fact;
use crate::registry::model::{Registration, Segment};

/// # What it finds
/// A device with an address on a `closed` segment that matches no asset and no device row: by MAC where
/// the row has one and the device is on the link, else by address.
///
/// # Why it matters
/// On a closed segment every device is an asset that somebody answers for; this one is nobody's.
///
/// # Evidence
/// The frames in which it uses the address or answers from it.
///
/// # When it stays silent
/// Open segments; devices that match a row of any unit, by any of their addresses or MACs, so the
/// temporary IPv6 addresses of a registered asset too; addresses shared by registered routers (VRRP and
/// its like); the one address that a registered router itself has in a segment behind it; addresses that
/// were only claimed; the scanner itself; link-local addresses.
///
/// # What refutes it
/// A row in `assets` or `devices` with its MAC, or with its address where no MAC is stated.
///
/// # Example
/// 10.20.1.66 answers ARP on the closed segment 10.20.1.0/24; no row has its MAC or address.
pub(super) struct UnregisteredDevice;

impl Rule for UnregisteredDevice {
    fn name(&self) -> &'static str {
        "unregistered-device"
    }

    fn check(&self, view: &View<'_>, findings: &mut Findings) {
        let own = router_addresses(view);
        let found: Vec<Found> = view
            .devices()
            .filter(|(_, registered)| registered.rows.is_empty())
            .filter_map(|(device, _)| {
                let closed: Vec<(&Binding, &Segment)> = device
                    .bindings
                    .iter()
                    .filter_map(|binding| Some((binding, closed(device, binding, view, &own)?)))
                    .collect();
                let ip = view.known_by(closed.iter().map(|(binding, _)| binding.ip))?;
                let (binding, segment) = closed.iter().find(|(binding, _)| binding.ip == ip)?;
                Some(found(self.name(), device, binding, segment, view))
            })
            .collect();
        findings.extend(found);
    }
}

fn found(
    rule: &'static str,
    device: &Device,
    binding: &Binding,
    segment: &Segment,
    view: &View<'_>,
) -> Found {
    let mut found = Found::of_device(rule, device)
        .unit(Some(&segment.unit))
        .subject(Subject {
            ip: Some(binding.ip),
            mac: device.macs.first().copied(),
            ..Subject::default()
        })
        .detail("segment", segment.prefix.to_string())
        .detail("addresses", texts(device.addresses()))
        .shown_by(&binding.observations);
    if let Some(vendor) = device.vendor {
        found = found.detail("vendor", vendor);
    }
    if !device.hostnames.is_empty() {
        found = found.detail("hostnames", texts(device.hostnames.iter().map(|name| name.raw())));
    }
    if let Some(via) = binding.via {
        found = found.detail("via", via.to_string());
    }
    // Two methods say more than one: some of what answered from it otherwise.
    let more = device
        .observations
        .iter()
        .filter(|&&id| matches!(view.fact(id), Some(Fact::Answer { ip, .. }) if *ip == binding.ip));
    found.shown_by(more.take(2))
}

/// The closed, approved segment that an address makes its device stand on.
fn closed<'a>(
    device: &Device,
    binding: &Binding,
    view: &View<'a>,
    own: &HashMap<(Mac, Prefix), Vec<IpAddr>>,
) -> Option<&'a Segment> {
    let ip = binding.ip;
    if special::is_link_local(ip) || view.is_shared_by_registered(ip) {
        return None;
    }
    let segment = view.index.approved_segment(ip)?;
    if segment.registration != Some(Registration::Closed) || !segment.prefix.is_host_address(ip) {
        return None;
    }
    match device.key {
        // A foreign address on this wire does not put the device on the foreign segment.
        _ if binding.on_link => {
            let wire = binding.vantages.iter().find_map(|&at| view.wire(at));
            wire.is_none_or(|unit| unit == segment.unit).then_some(segment)
        }
        DeviceKey::Address(_) => {
            let is_routers = binding.via.is_some_and(|via| {
                own.get(&(via, segment.prefix)).is_some_and(|own| own.as_slice() == [ip])
            });
            (!is_routers).then_some(segment)
        }
        DeviceKey::Station(_) => Some(segment),
    }
}

/// Addresses beyond a registered router whose answers came unrouted from it: the router's own. Where
/// there are several in one segment, the router rewrites hop limits and nothing can be told.
fn router_addresses(view: &View<'_>) -> HashMap<(Mac, Prefix), Vec<IpAddr>> {
    let mut own: HashMap<(Mac, Prefix), Vec<IpAddr>> = HashMap::new();
    for device in &view.inventory.devices {
        let DeviceKey::Address(ip) = device.key else { continue };
        let Some(via) = device.binding(ip).and_then(|binding| binding.via) else { continue };
        let is_unrouted = device.observations.iter().any(|&id| {
            matches!(view.fact(id), Some(Fact::Answer { ip: of, hop_limit: 64 | 128 | 255, .. }) if *of == ip)
        });
        if !is_unrouted || !is_registered_router(via, view) {
            continue;
        }
        if let Some(segment) = view.index.approved_segment(ip) {
            own.entry((via, segment.prefix)).or_default().push(ip);
        }
    }
    own
}

fn is_registered_router(mac: Mac, view: &View<'_>) -> bool {
    let by_station = view
        .inventory
        .stations
        .get(&mac)
        .and_then(|&place| view.registered(place))
        .is_some_and(|registered| routes(&registered.roles));
    by_station || view.index.devices_with(mac).any(|row| routes(&row.roles))
}
