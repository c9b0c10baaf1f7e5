use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Rule;
use crate::audit::finding::Subject;
use crate::audit::findings::{Findings, Found, row, texts};
use crate::audit::view::{Row, View, routes};
use crate::inventory::{Binding, Device};
use crate::net::Mac;
use crate::observe::Source;

/// # What it finds
/// On the link, a registered address that is used by another MAC than the registered one.
///
/// # Why it matters
/// The machine behind an approved address is not the one that was approved: replaced without notice, or
/// somebody hides behind a registered address.
///
/// # Evidence
/// The ARP or ND frames in which the other MAC uses the address, against the row.
///
/// # When it stays silent
/// Rows without a MAC; addresses beyond a router, where only the router's MAC is seen; answers of what
/// answers for any address (proxy ARP); addresses that routers share by VRRP and its like, where a
/// registered router says so; addresses heard only in passing traffic.
///
/// # What refutes it
/// That the asset's card was changed and the row is corrected; or that the frames were forged.
///
/// # Example
/// The row says 10.20.1.10 is 00:1b:21:aa:bb:cc; 02:00:00:00:00:66 answers ARP for it.
pub(super) struct AssetMismatch;

impl Rule for AssetMismatch {
    fn name(&self) -> &'static str {
        "asset-mismatch"
    }

    fn check(&self, view: &View<'_>, findings: &mut Findings) {
        for device in &view.inventory.devices {
            // One finding for each row taken, however many of its addresses.
            let mut taken: BTreeMap<(&str, &str, &str), (Row<'_>, Vec<&Binding>)> = BTreeMap::new();
            for binding in &device.bindings {
                for row in contradicted(device, binding, view) {
                    let key = (row.table(), row.unit(), row.name());
                    taken.entry(key).or_insert((row, Vec::new())).1.push(binding);
                }
            }
            for (registered, bindings) in taken.into_values() {
                findings.extend(found(self.name(), device, registered, &bindings));
            }
        }
    }
}

/// The rows that say another MAC has this address.
pub(super) fn contradicted<'a>(
    device: &Device,
    binding: &Binding,
    view: &View<'a>,
) -> Vec<Row<'a>> {
    let Some(&mac) = device.macs.first() else { return Vec::new() };
    let is_resolved = binding
        .sources
        .iter()
        .any(|source| !matches!(source, Source::Traffic | Source::Icmp | Source::Icmpv6));
    if binding.mac != Some(mac) || !is_resolved || is_shared(binding.ip, mac, view) {
        return Vec::new();
    }
    let rows = || {
        let devices = view.index.devices_at(binding.ip).map(Row::Device);
        devices.chain(view.index.assets_at(binding.ip).map(Row::Asset))
    };
    if rows().any(|row| row.macs().contains(&mac)) {
        return Vec::new();
    }
    rows().filter(|row| row.macs().iter().any(|mac| !mac.is_redundancy())).collect()
}

/// Whether a registered router says that it shares the address, and this is the MAC of one.
fn is_shared(ip: IpAddr, mac: Mac, view: &View<'_>) -> bool {
    view.is_shared_by_registered(ip)
        && view
            .inventory
            .stations
            .get(&mac)
            .and_then(|&place| view.registered(place))
            .is_some_and(|registered| routes(&registered.roles))
}

fn found(
    rule: &'static str,
    device: &Device,
    registered: Row<'_>,
    bindings: &[&Binding],
) -> Option<Found> {
    let ips: Vec<IpAddr> = bindings.iter().map(|binding| binding.ip).collect();
    let ip = crate::audit::view::primary(ips.iter().copied())?;
    let mut found = Found::of_row(rule, registered);
    found.key = format!("{} {}", device.id, found.key);
    found.ips = ips;
    found.macs = device.macs.clone();
    found.device = Some(device.id);
    let found = found
        .subject(Subject { ip: Some(ip), mac: device.macs.first().copied(), ..Subject::default() })
        .detail("registered_as", registered.name())
        .detail("registered_mac", texts(registered.macs()));
    let found = bindings.iter().fold(found, |found, binding| found.shown_by(&binding.observations));
    Some(found.held_against(row(registered)))
}
