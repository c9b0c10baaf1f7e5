use rayon::prelude::*;

use super::Rule;
use super::retired_system_online::answering;
use crate::audit::finding::Subject;
use crate::audit::findings::{Findings, Found, row};
use crate::audit::view::{Row, View, primary};
use crate::registry::model::Device;

/// # What it finds
/// A service or a device row that is past `valid_until` and answers.
///
/// # Why it matters
/// A filing holds for its time; what goes on after it is filed no longer.
///
/// # Evidence
/// The answer of the port, or the frames of the device, against the row's date.
///
/// # When it stays silent
/// The last valid day counts as valid; rows without a date; what does not answer.
///
/// # What refutes it
/// A filing that is valid on the day of the sweep.
///
/// # Example
/// `services` says 10.20.1.10 tcp/443 is filed until 2026-09-30; in November it answers.
pub(super) struct FilingExpired;

impl Rule for FilingExpired {
    fn name(&self) -> &'static str {
        "filing-expired"
    }

    fn check(&self, view: &View<'_>, findings: &mut Findings) {
        let registry = view.index.registry();
        let day = view.index.day();
        let has_run_out = |until: Option<jiff::civil::Date>| until.is_some_and(|until| until < day);
        let services: Vec<Found> = registry
            .services
            .par_iter()
            .filter(|service| has_run_out(service.valid_until))
            .filter_map(|service| answering(self.name(), service, view))
            .collect();
        findings.extend(services);
        let devices: Vec<Found> = registry
            .devices
            .par_iter()
            .filter(|device| has_run_out(device.valid_until))
            .filter_map(|device| live(self.name(), device, view))
            .collect();
        findings.extend(devices);
    }
}

fn live(rule: &'static str, registered: &Device, view: &View<'_>) -> Option<Found> {
    let row_of = Row::Device(registered);
    let devices = view.matching(row_of);
    let used = || devices.iter().flat_map(|device| device.addresses());
    let ip = primary(used().filter(|ip| registered.ip.contains(ip))).or_else(|| primary(used()))?;
    let mut found = Found::of_row(rule, row_of)
        .subject(Subject { ip: Some(ip), ..Subject::default() })
        .detail("registered_as", registered.name.as_str());
    if let Some(until) = registered.valid_until {
        found = found.detail("valid_until", until.to_string());
    }
    found.device = devices.first().map(|device| device.id);
    for device in &devices {
        for binding in device.bindings.iter().filter(|binding| binding.ip == ip) {
            found = found.shown_by(binding.observations.iter().take(4));
        }
    }
    Some(found.held_against(row(row_of)))
}
