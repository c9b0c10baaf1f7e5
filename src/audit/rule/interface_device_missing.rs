use rayon::prelude::*;

use super::Rule;
use super::registered_asset_absent::silences;
use crate::audit::finding::Subject;
use crate::audit::findings::{Findings, Found, row};
use crate::audit::view::{Row, View};
use crate::registry::model;

/// # What it finds
/// A registered interface device that was asked and does not answer at all: none of its addresses, nor
/// its MAC, was seen in use.
///
/// # Why it matters
/// Interface devices are not to be switched off or taken away without consent; the operator's own
/// devices by nobody.
///
/// # Evidence
/// What was asked of each of its addresses, by which methods, without an answer; and what a router says
/// of it.
///
/// # When it stays silent
/// Nothing was asked to the end that would have shown it; an address of it is excluded; something on
/// the way refuses what was asked; nobody else was heard from there; its row has run out, or its unit is
/// withdrawn; the device, or anybody, uses one of its addresses.
///
/// # What refutes it
/// An answer of the device, or that its addresses in the row are wrong; an outage notice explains it.
///
/// # Example
/// fw-1 is registered at 10.20.1.3, the segment was swept by ARP to the end, others answered.
pub(super) struct InterfaceDeviceMissing;

impl Rule for InterfaceDeviceMissing {
    fn name(&self) -> &'static str {
        "interface-device-missing"
    }

    fn check(&self, view: &View<'_>, findings: &mut Findings) {
        let day = view.index.day();
        let found: Vec<Found> = view
            .index
            .registry()
            .devices
            .par_iter()
            .filter(|registered| registered.valid_until.is_none_or(|until| day <= until))
            .filter_map(|registered| found(self.name(), registered, view))
            .collect();
        findings.extend(found);
    }
}

fn found(rule: &'static str, registered: &model::Device, view: &View<'_>) -> Option<Found> {
    let row_of = Row::Device(registered);
    let silences = silences(row_of, view)?;
    let ip = silences.first().map(|(ip, _)| *ip)?;
    let mut found = Found::of_row(rule, row_of)
        .subject(Subject { ip: Some(ip), ..Subject::default() })
        .detail("registered_as", registered.name.as_str());
    if registered.operator_owned == Some(true) {
        found = found.detail("operator_owned", true);
    }
    found.evidence.extend(silences.into_iter().map(|(_, silence)| silence));
    Some(found.held_against(row(row_of)))
}
