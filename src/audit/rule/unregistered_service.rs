use std::collections::BTreeMap;
use std::net::IpAddr;

use rayon::prelude::*;

use super::Rule;
use crate::audit::finding::Subject;
use crate::audit::findings::{Findings, Found, row, texts};
use crate::audit::view::{Registered, Row, View, primary};
use crate::inventory::{Device, Service};
use crate::net::Port;

/// # What it finds
/// An open service on an asset or a device of the registry that neither `services` nor the device's
/// `ports` lists.
///
/// # Why it matters
/// A system is filed before it goes online; this one was not.
///
/// # Evidence
/// The answer of the port (a SYN-ACK with our token in it, or a datagram back).
///
/// # When it stays silent
/// Devices in no table (they are a finding themselves); a port that is listed for one of the device's
/// addresses is listed for all of them; rows that have run out or are retired are listed (they are
/// findings of their own); answers of what answers on any address.
///
/// # What refutes it
/// A row in `services` for this address and port.
///
/// # Example
/// Asset web-1 at 10.20.1.10 is filed with tcp/443; tcp/8080 answers too.
pub(super) struct UnregisteredService;

impl Rule for UnregisteredService {
    fn name(&self) -> &'static str {
        "unregistered-service"
    }

    fn check(&self, view: &View<'_>, findings: &mut Findings) {
        let found: Vec<Found> = view
            .devices()
            .flat_map_iter(|(device, registered)| found(self.name(), device, registered, view))
            .collect();
        findings.extend(found);
    }
}

fn found(
    rule: &'static str,
    device: &Device,
    registered: &Registered<'_>,
    view: &View<'_>,
) -> Vec<Found> {
    let Some(&first) = registered.rows.first() else { return Vec::new() };
    let mut open: BTreeMap<Port, Vec<&Service>> = BTreeMap::new();
    for service in &device.services {
        open.entry(service.port).or_default().push(service);
    }
    open.retain(|&port, _| !is_listed(port, device, registered, view));
    open.into_iter()
        .filter_map(|(port, services)| {
            let is_registered =
                |ip: &IpAddr| registered.rows.iter().any(|row| row.ips().contains(ip));
            let at = || services.iter().map(|service| service.ip);
            let ip = primary(at().filter(is_registered)).or_else(|| primary(at()))?;
            let found = Found {
                rule,
                key: format!("{ip} {port}"),
                ips: at().collect(),
                macs: device.macs.clone(),
                device: Some(device.id),
                name: Some(first.name().to_owned()),
                ..Found::default()
            };
            let found = found
                .unit(Some(first.unit()))
                .subject(Subject { ip: Some(ip), port: Some(port), ..Subject::default() })
                .detail("registered_as", first.name())
                .detail("addresses", texts(at()));
            let found = services
                .iter()
                .fold(found, |found, service| found.shown_by(service.observations.iter().take(2)));
            Some(found.held_against(row(first)))
        })
        .collect()
}

fn is_listed(port: Port, device: &Device, registered: &Registered<'_>, view: &View<'_>) -> bool {
    let by_device = registered.rows.iter().any(|row| match row {
        Row::Device(row) => row.ports.contains(&port),
        Row::Asset(_) => false,
    });
    by_device
        || device
            .addresses()
            .chain(registered.rows.iter().flat_map(|row| row.ips().iter().copied()))
            .any(|ip| view.index.service(ip, port).is_some())
}
