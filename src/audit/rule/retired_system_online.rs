use rayon::prelude::*;

use super::Rule;
use super::registered_asset_absent::service_row;
use crate::audit::finding::Subject;
use crate::audit::findings::{Findings, Found, row};
use crate::audit::view::{Row, View, primary};
use crate::registry::model::{Asset, OnlineStatus, Service};

/// # What it finds
/// A service or an asset marked retired that answers.
///
/// # Why it matters
/// A system that is no longer used is to be taken offline in time; forgotten ones are patched by nobody.
///
/// # Evidence
/// The answer of the port, or the frames of the asset.
///
/// # When it stays silent
/// The port is closed or silent; on the link another MAC than the asset's uses its address (that is
/// `asset-mismatch`); what only answers for any address.
///
/// # What refutes it
/// That the row should say online.
///
/// # Example
/// `services` says 10.20.1.12 tcp/80 is retired; it answers with SYN-ACK.
pub(super) struct RetiredSystemOnline;

impl Rule for RetiredSystemOnline {
    fn name(&self) -> &'static str {
        "retired-system-online"
    }

    fn check(&self, view: &View<'_>, findings: &mut Findings) {
        let registry = view.index.registry();
        let services: Vec<Found> = registry
            .services
            .par_iter()
            .filter(|service| service.status == OnlineStatus::Retired)
            .filter_map(|service| answering(self.name(), service, view))
            .collect();
        findings.extend(services);
        let assets: Vec<Found> = registry
            .assets
            .par_iter()
            .filter(|asset| asset.status == OnlineStatus::Retired)
            .filter_map(|asset| live(self.name(), asset, view))
            .collect();
        findings.extend(assets);
    }
}

/// The service of a row, where its port is open: with what shows it.
pub(super) fn answering(rule: &'static str, service: &Service, view: &View<'_>) -> Option<Found> {
    let (ip, port) = (service.ip, service.port);
    let mut found = Found { rule, key: format!("{ip} {port}"), ips: vec![ip], ..Found::default() };
    for (_, device) in view.at(ip) {
        for open in device.services.iter().filter(|open| open.ip == ip && open.port == port) {
            found = found.shown_by(open.observations.iter().take(4));
            found.device = Some(device.id);
        }
    }
    if found.evidence.is_empty() {
        return None;
    }
    let mut found = found.unit(Some(&service.unit)).subject(Subject {
        ip: Some(ip),
        port: Some(port),
        ..Subject::default()
    });
    if let Some(system) = &service.system {
        found = found.detail("system", system.as_str());
    }
    if let Some(until) = service.valid_until {
        found = found.detail("valid_until", until.to_string());
    }
    Some(found.held_against(service_row(service)))
}

fn live(rule: &'static str, asset: &Asset, view: &View<'_>) -> Option<Found> {
    let row_of = Row::Asset(asset);
    let devices = view.matching(row_of);
    let device = devices.first()?;
    let used = || devices.iter().flat_map(|device| device.addresses());
    let ip = primary(used().filter(|ip| asset.ip.contains(ip))).or_else(|| primary(used()))?;
    let mut found = Found::of_row(rule, row_of)
        .subject(Subject { ip: Some(ip), ..Subject::default() })
        .detail("registered_as", asset.name.as_str());
    found.ips.extend(used());
    found.device = Some(device.id);
    if let Some(system) = &asset.system {
        found = found.detail("system", system.as_str());
    }
    for device in &devices {
        for binding in device.bindings.iter().filter(|binding| binding.ip == ip) {
            found = found.shown_by(binding.observations.iter().take(4));
        }
    }
    Some(found.held_against(row(row_of)))
}
