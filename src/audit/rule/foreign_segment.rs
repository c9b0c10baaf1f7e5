use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Rule;
use crate::audit::finding::Subject;
use crate::audit::findings::{Findings, Found, texts};
use crate::audit::view::{Registered, View, routes};
use crate::inventory::{Device, Role, in_time};
use crate::net::{Prefix, special};
use crate::observe::ObservationId;
use crate::registry::index::Approval;

/// # What it finds
/// An address of another unit's approved segment that is itself on this unit's wire: a station there
/// uses it by ARP or ND.
///
/// # Why it matters
/// Two units' networks are joined below their boundaries, or somebody has taken another's addresses;
/// neither was applied for.
///
/// # Evidence
/// The frames in which the station uses the address.
///
/// # When it stays silent
/// An address behind a router's MAC is merely routed here. So is a router's own far address, which
/// some systems let slip in ARP: a device that routes and has an address of this wire, or is
/// registered to route, is not foreign. An address that this unit itself has registered. Segments that
/// are not valid: they are judged as unregistered or withdrawn.
///
/// # What refutes it
/// That the wire belongs to the other unit (`--unit`), or that the address was forged.
///
/// # Example
/// On unit A's wire a host answers ARP for 10.30.1.9; 10.30.1.0/24 is approved for unit B.
pub(super) struct ForeignSegment;

#[derive(Default)]
struct Gathered {
    addresses: Vec<IpAddr>,
    shown: Vec<ObservationId>,
}

impl Rule for ForeignSegment {
    fn name(&self) -> &'static str {
        "foreign-segment"
    }

    fn check(&self, view: &View<'_>, findings: &mut Findings) {
        let mut gathered: BTreeMap<(&str, Prefix, &str), Gathered> = BTreeMap::new();
        for (place, device) in view.inventory.devices.iter().enumerate() {
            let Some(registered) = view.registered(place) else { continue };
            for binding in device.bindings.iter().filter(|binding| binding.on_link) {
                if special::is_link_local(binding.ip) {
                    continue;
                }
                let Some(wire) = binding.vantages.iter().find_map(|&at| view.wire(at)) else {
                    continue;
                };
                let Some((segment, Approval::Approved)) = view.index.segment(binding.ip) else {
                    continue;
                };
                if segment.unit == wire
                    || is_registered_here(binding.ip, wire, view)
                    || is_far_side(device, registered, wire, view)
                {
                    continue;
                }
                let one = gathered.entry((wire, segment.prefix, &segment.unit)).or_default();
                one.addresses.push(binding.ip);
                one.shown.extend(binding.observations.iter().take(4));
            }
        }
        for ((wire, prefix, owner), one) in gathered {
            let found = Found {
                rule: self.name(),
                key: prefix.to_string(),
                ips: one.addresses.clone(),
                ..Found::default()
            };
            findings.put(
                found
                    .unit(Some(wire))
                    .subject(Subject { prefix: Some(prefix), ..Subject::default() })
                    .detail("addresses", texts(one.addresses.iter().take(32)))
                    .detail("approved_for", owner)
                    .shown_by(&in_time(view.log, one.shown)),
            );
        }
    }
}

fn is_registered_here(ip: IpAddr, wire: &str, view: &View<'_>) -> bool {
    view.index.devices_at(ip).any(|row| row.unit == wire)
        || view.index.assets_at(ip).any(|row| row.unit == wire)
}

/// Whether the address is a router's own on its other side.
fn is_far_side(device: &Device, registered: &Registered<'_>, wire: &str, view: &View<'_>) -> bool {
    if routes(&registered.roles) {
        return true;
    }
    let acts =
        device.roles.contains_key(&Role::Router) || device.roles.contains_key(&Role::Forwards);
    acts && device
        .addresses()
        .any(|ip| view.index.approved_segment(ip).is_some_and(|segment| segment.unit == wire))
}
