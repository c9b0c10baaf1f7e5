use rayon::prelude::*;

use super::Rule;
use super::asset_mismatch::contradicted;
use crate::audit::finding::Subject;
use crate::audit::findings::{Findings, Found, row, texts};
use crate::audit::view::{Row, View, primary};
use crate::inventory::{Binding, Device};
use crate::registry::model;

/// # What it finds
/// A registered interface device whose address, on the link, is used by another MAC only.
///
/// # Why it matters
/// Interface devices are not to be changed without consent; this one is another machine.
///
/// # Evidence
/// The ARP or ND frames in which the other MAC uses the address, against the row.
///
/// # When it stays silent
/// Rows without a MAC; devices beyond a router; the registered MAC still answers at one of the row's
/// addresses (then somebody else uses the address beside it, which is `asset-mismatch`); MACs and
/// addresses that registered routers share; answers of what answers for any address.
///
/// # What refutes it
/// That a card was changed with consent and the row is corrected; a change notice explains it.
///
/// # Example
/// The row says gw-1 is 00:1b:21:aa:bb:cc at 10.20.1.1; now 02:00:00:00:00:99 answers there.
pub(super) struct InterfaceDeviceReplaced;

impl Rule for InterfaceDeviceReplaced {
    fn name(&self) -> &'static str {
        "interface-device-replaced"
    }

    fn check(&self, view: &View<'_>, findings: &mut Findings) {
        let found: Vec<Found> = view
            .index
            .registry()
            .devices
            .par_iter()
            .filter(|registered| !registered.mac.is_empty())
            .filter_map(|registered| found(self.name(), registered, view))
            .collect();
        findings.extend(found);
    }
}

fn found(rule: &'static str, registered: &model::Device, view: &View<'_>) -> Option<Found> {
    let mut others: Vec<(&Device, &Binding)> = Vec::new();
    for &ip in &registered.ip {
        for (_, device) in view.at(ip) {
            for binding in device.bindings.iter().filter(|binding| binding.ip == ip) {
                if binding.mac.is_some_and(|mac| registered.mac.contains(&mac)) {
                    return None;
                }
                let contradicts = contradicted(device, binding, view)
                    .iter()
                    .any(|row| matches!(row, Row::Device(row) if std::ptr::eq(*row, registered)));
                if contradicts {
                    others.push((device, binding));
                }
            }
        }
    }
    let ip = primary(others.iter().map(|(_, binding)| binding.ip))?;
    let (device, _) = others.iter().find(|(_, binding)| binding.ip == ip)?;
    let mut macs: Vec<_> = others.iter().flat_map(|(device, _)| &device.macs).collect();
    macs.sort_unstable();
    macs.dedup();
    let mut found = Found::of_row(rule, Row::Device(registered));
    found.ips = registered.ip.to_vec();
    found.macs.extend(macs.iter().copied());
    found.device = Some(device.id);
    let changed = serde_json::json!({
        "mac": { "registered": texts(&registered.mac), "seen": texts(&macs) }
    });
    let found = found
        .subject(Subject { ip: Some(ip), mac: device.macs.first().copied(), ..Subject::default() })
        .detail("registered_as", registered.name.as_str())
        .detail("changed", changed);
    let found =
        others.iter().fold(found, |found, (_, binding)| found.shown_by(&binding.observations));
    Some(found.held_against(row(Row::Device(registered))))
}
