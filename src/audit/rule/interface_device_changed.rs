use std::collections::BTreeSet;
use std::net::IpAddr;

use rayon::prelude::*;
use serde_json::{Map, Value};

use super::Rule;
use crate::audit::finding::{Proof, Subject};
use crate::audit::findings::{Findings, Found, row, texts};
use crate::audit::view::{Row, View, primary};
use crate::inventory::Device;
use crate::net::{Port, Transport, special};
use crate::observe::ObservationId;
use crate::registry::model;

/// # What it finds
/// A registered interface device with its registered identity and another configuration: ports open that
/// its row does not list, ports of its row closed, or on the link other addresses than the row's.
///
/// # Why it matters
/// The configuration of interface devices is not to be changed without consent.
///
/// # Evidence
/// The answers of the ports; for a TCP port that stays silent, what was asked of it.
///
/// # When it stays silent
/// Rows with empty `ports`: nothing is compared; ports that `services` lists for one of its addresses;
/// ports that were not asked, and silent UDP ports; a device whose MAC is another (that is
/// `interface-device-replaced`); answers of what answers for any address.
///
/// # What refutes it
/// A row whose `ports` are as they are now; a change notice explains it.
///
/// # Example
/// The row of gw-1 lists tcp/22; tcp/8080 answers too. `detail.changed.ports.opened` = tcp/8080.
pub(super) struct InterfaceDeviceChanged;

impl Rule for InterfaceDeviceChanged {
    fn name(&self) -> &'static str {
        "interface-device-changed"
    }

    fn check(&self, view: &View<'_>, findings: &mut Findings) {
        let found: Vec<Found> = view
            .index
            .registry()
            .devices
            .par_iter()
            .filter_map(|registered| found(self.name(), registered, view))
            .collect();
        findings.extend(found);
    }
}

fn found(rule: &'static str, registered: &model::Device, view: &View<'_>) -> Option<Found> {
    let row_of = Row::Device(registered);
    let devices = view.matching(row_of);
    if devices.is_empty() {
        return None;
    }
    let mut changed = Map::new();
    let mut evidence: Vec<Proof> = Vec::new();
    let mut at: BTreeSet<IpAddr> = BTreeSet::new();
    if let Some(ports) = ports(registered, &devices, view, &mut evidence, &mut at) {
        changed.insert("ports".to_owned(), ports);
    }
    if let Some(addresses) = addresses(registered, &devices, view, &mut evidence, &mut at) {
        changed.insert("addresses".to_owned(), addresses);
    }
    if changed.is_empty() {
        return None;
    }
    let used: Vec<IpAddr> = devices.iter().flat_map(|device| device.addresses()).collect();
    let own = || used.iter().copied().filter(|ip| registered.ip.contains(ip));
    let ip = primary(own().filter(|ip| at.contains(ip)))
        .or_else(|| primary(own()))
        .or_else(|| primary(used.iter().copied()))?;
    let mut found = Found::of_row(rule, row_of);
    found.ips.extend(used);
    found.ips.sort_unstable();
    found.ips.dedup();
    found.device = devices.first().map(|device| device.id);
    found.evidence = evidence;
    let found = found
        .subject(Subject { ip: Some(ip), ..Subject::default() })
        .detail("registered_as", registered.name.as_str())
        .detail("changed", changed);
    Some(found.held_against(row(row_of)))
}

/// Ports that differ from the row's.
fn ports(
    registered: &model::Device,
    devices: &[&Device],
    view: &View<'_>,
    evidence: &mut Vec<Proof>,
    at: &mut BTreeSet<IpAddr>,
) -> Option<Value> {
    if registered.ports.is_empty() {
        return None;
    }
    let listed = |port: Port| {
        registered.ports.contains(&port)
            || registered.ip.iter().any(|&ip| view.index.service(ip, port).is_some())
    };
    let mut open: BTreeSet<Port> = BTreeSet::new();
    let mut opened: BTreeSet<Port> = BTreeSet::new();
    let few = |shown: &[ObservationId]| -> Vec<Proof> {
        shown.iter().take(2).map(|&id| Proof::Observed(id)).collect()
    };
    for service in devices.iter().flat_map(|device| &device.services) {
        open.insert(service.port);
        let elsewhere = view.index.service(service.ip, service.port).is_some();
        if !listed(service.port) && !elsewhere {
            if opened.insert(service.port) {
                evidence.extend(few(&service.observations));
            }
            at.insert(service.ip);
        }
    }
    let mut closed: BTreeSet<Port> = BTreeSet::new();
    for &port in registered.ports.iter().filter(|port| !open.contains(port)) {
        let refusals: Vec<_> = devices
            .iter()
            .flat_map(|device| &device.closed)
            .filter(|service| service.port == port)
            .collect();
        if let Some(refusal) = refusals.first() {
            closed.insert(port);
            at.insert(refusal.ip);
            evidence.extend(few(&refusal.observations));
        } else if port.transport == Transport::Tcp
            && let Some((ip, asked)) = silent(registered, devices, port, view)
        {
            closed.insert(port);
            at.insert(ip);
            evidence.push(Proof::Silence {
                ip,
                port: Some(port),
                methods: vec!["tcp".to_owned()],
                asked,
            });
        }
    }
    if opened.is_empty() && closed.is_empty() {
        return None;
    }
    Some(serde_json::json!({ "opened": texts(opened), "closed": texts(closed) }))
}

/// A port asked to the end of every registered address in use, without an answer.
fn silent(
    registered: &model::Device,
    devices: &[&Device],
    port: Port,
    view: &View<'_>,
) -> Option<(IpAddr, Vec<ObservationId>)> {
    let used: Vec<IpAddr> = registered
        .ip
        .iter()
        .copied()
        .filter(|&ip| devices.iter().any(|device| device.binding(ip).is_some()))
        .collect();
    let asked: Vec<_> = used.iter().map(|&ip| (ip, view.asking.asked_port(ip, port))).collect();
    let all = !asked.is_empty() && asked.iter().all(|(_, asked)| !asked.is_empty());
    all.then(|| asked.into_iter().next()).flatten()
}

/// Other IPv4 addresses than the row's, where none of the row's is used by anybody.
fn addresses(
    registered: &model::Device,
    devices: &[&Device],
    view: &View<'_>,
    evidence: &mut Vec<Proof>,
    at: &mut BTreeSet<IpAddr>,
) -> Option<Value> {
    let stated: Vec<IpAddr> = registered.ip.iter().copied().filter(IpAddr::is_ipv4).collect();
    if stated.is_empty() || registered.mac.is_empty() || view.is_in_use(&stated, &[]) {
        return None;
    }
    let mut seen = BTreeSet::new();
    for binding in devices.iter().flat_map(|device| &device.bindings) {
        if binding.on_link && binding.ip.is_ipv4() && !special::is_link_local(binding.ip) {
            seen.insert(binding.ip);
            evidence.extend(binding.observations.iter().take(2).map(|&id| Proof::Observed(id)));
        }
    }
    if seen.is_empty() {
        return None;
    }
    at.extend(&seen);
    Some(serde_json::json!({ "registered": texts(&stated), "seen": texts(&seen) }))
}
