use std::net::IpAddr;

use rayon::prelude::*;

use super::Rule;
use crate::audit::finding::{Proof, Subject};
use crate::audit::findings::{Findings, Found, row};
use crate::audit::view::{Row, View};
use crate::inventory::in_time;
use crate::net::Transport;
use crate::observe::ObservationId;
use crate::registry::index::Approval;
use crate::registry::model::{Asset, OnlineStatus, Service};

/// # What it finds
/// A registered online asset (none of its addresses, nor its MAC) or service that was asked and not
/// seen.
///
/// # Why it matters
/// What is no longer used is to be taken out of the books, and what was applied for is to be used.
///
/// # Evidence
/// What was asked, by which methods, without an answer; for a service also its port's refusal.
///
/// # When it stays silent
/// An address or MAC in use anywhere, by anybody; what is excluded or was not asked to the end by a
/// method that would have shown it; what somebody on the way refuses; UDP services that stay silent,
/// for only a refusal says that nothing listens; rows of withdrawn units and segments; services
/// whose filing ran out; the services of an absent asset.
///
/// # What refutes it
/// An answer from it at another time; an outage or move notice explains it.
///
/// # Example
/// Asset printer-3 at 10.20.1.33 did not answer ARP, while 41 others of the segment did.
pub(super) struct RegisteredAssetAbsent;

impl Rule for RegisteredAssetAbsent {
    fn name(&self) -> &'static str {
        "registered-asset-absent"
    }

    fn check(&self, view: &View<'_>, findings: &mut Findings) {
        let registry = view.index.registry();
        let day = view.index.day();
        let assets: Vec<Found> = registry
            .assets
            .par_iter()
            .filter(|asset| asset.status == OnlineStatus::Online)
            .filter_map(|asset| absent_asset(self.name(), asset, view))
            .collect();
        findings.extend(assets);
        let services: Vec<Found> = registry
            .services
            .par_iter()
            .filter(|service| service.status == OnlineStatus::Online)
            .filter(|service| service.valid_until.is_none_or(|until| day <= until))
            .filter_map(|service| absent_service(self.name(), service, view))
            .collect();
        findings.extend(services);
    }
}

fn absent_asset(rule: &'static str, asset: &Asset, view: &View<'_>) -> Option<Found> {
    let row_of = Row::Asset(asset);
    let silences = silences(row_of, view)?;
    let ip = silences.first().map(|(ip, _)| *ip)?;
    let mut found = Found::of_row(rule, row_of)
        .subject(Subject { ip: Some(ip), ..Subject::default() })
        .detail("registered_as", asset.name.as_str());
    if let Some(system) = &asset.system {
        found = found.detail("system", system.as_str());
    }
    found.evidence.extend(silences.into_iter().map(|(_, silence)| silence));
    Some(found.held_against(row(row_of)))
}

/// What was asked in vain of each address of a row; `None` where anything speaks for its being there,
/// or nothing was asked that would have shown it.
pub(super) fn silences(row: Row<'_>, view: &View<'_>) -> Option<Vec<(IpAddr, Proof)>> {
    // Most rows of a province are on wires that this sweep never asked.
    if !row.ips().iter().any(|&ip| view.asking.is_asked(ip))
        || view.is_in_use(row.ips(), row.macs())
        || row.ips().iter().any(|&ip| view.asking.is_excluded(ip))
        || is_withdrawn(row.unit(), row.ips(), view)
    {
        return None;
    }
    let silences: Vec<(IpAddr, Proof)> = row
        .ips()
        .iter()
        .filter_map(|&ip| {
            let silence = view.silence(ip)?;
            let methods = silence.methods.iter().map(|method| (*method).to_owned()).collect();
            let asked = silence.asked.into_iter().collect();
            Some((ip, Proof::Silence { ip, port: None, methods, asked }))
        })
        .collect();
    (!silences.is_empty()).then_some(silences)
}

/// Whether the unit is withdrawn, or every address lies in segments that are.
fn is_withdrawn(unit: &str, ips: &[IpAddr], view: &View<'_>) -> bool {
    let day = view.index.day();
    view.index.unit(unit).is_some_and(|unit| unit.is_withdrawn_on(day))
        || ips.iter().all(|&ip| {
            view.index.segment(ip).is_some_and(|(_, approval)| approval != Approval::Approved)
        })
}

fn absent_service(rule: &'static str, service: &Service, view: &View<'_>) -> Option<Found> {
    let (ip, port) = (service.ip, service.port);
    if !(view.asking.is_asked(ip) || view.is_in_use(&[ip], &[]))
        || view.asking.is_excluded(ip)
        || is_withdrawn(&service.unit, &[ip], view)
    {
        return None;
    }
    let users: Vec<_> = view.at(ip).map(|(_, device)| device).collect();
    let at = |services: &[crate::inventory::Service]| -> Vec<ObservationId> {
        services
            .iter()
            .filter(|open| open.ip == ip && open.port == port)
            .flat_map(|open| open.observations.clone())
            .collect()
    };
    if users.iter().any(|device| !at(&device.services).is_empty()) {
        return None;
    }
    let refused = in_time(view.log, users.iter().flat_map(|device| at(&device.closed)));
    let evidence = if !refused.is_empty() {
        refused.into_iter().take(4).map(Proof::Observed).collect()
    } else if users.is_empty() {
        // Nobody is there at all: what would have shown the host would have shown the service.
        if view.is_in_use(&[ip], &[]) {
            return None;
        }
        let silence = view.silence(ip)?;
        let methods = silence.methods.iter().map(|method| (*method).to_owned()).collect();
        let asked = silence.asked.into_iter().collect();
        vec![Proof::Silence { ip, port: Some(port), methods, asked }]
    } else {
        let asked = view.asking.asked_port(ip, port);
        if asked.is_empty() || port.transport != Transport::Tcp {
            return None;
        }
        vec![Proof::Silence { ip, port: Some(port), methods: vec!["tcp".to_owned()], asked }]
    };
    let mut found =
        Found { rule, key: format!("{ip} {port}"), ips: vec![ip], evidence, ..Found::default() }
            .unit(Some(&service.unit))
            .subject(Subject { ip: Some(ip), port: Some(port), ..Subject::default() });
    if let Some(system) = &service.system {
        found = found.detail("system", system.as_str());
    }
    Some(found.held_against(service_row(service)))
}

/// A row of `services` as a piece of evidence.
pub(super) fn service_row(service: &Service) -> Proof {
    let mut says = Vec::new();
    if let Some(system) = &service.system {
        says.push(format!("system {system}"));
    }
    if service.status == OnlineStatus::Retired {
        says.push("status retired".to_owned());
    }
    if let Some(filing) = &service.filing {
        says.push(format!("filing {filing}"));
    }
    if let Some(until) = service.valid_until {
        says.push(format!("valid_until {until}"));
    }
    Proof::Row {
        table: "services",
        key: format!("{} {}", service.ip, service.port),
        says: says.join("; "),
    }
}
