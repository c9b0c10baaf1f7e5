//! The inventory held against the registry: pure rules, one file each.
//!
//! A rule sees a [`View`](view::View) and puts down findings; it says what the facts are and what shows
//! them. What is the same for all of them is done after, in `settle`: one fact one finding (the
//! contract's pairs, as data in `suppress`), stable ids, confidence weighed from the evidence, severity
//! from the regulation, waivers and change notices.

mod asking;
mod egress;
mod finding;
mod findings;
mod regulation;
mod remarks;
pub mod rule;
mod say;
mod settle;
mod suppress;
mod view;
mod weigh;

pub use egress::Calibrated;
pub use finding::{Attribution, Audit, EgressFound, Finding, Proof, Subject, Waived};
pub use findings::{Findings, Found};
pub use regulation::{Article, BadRegulation, RULES, Regulation, RuleTexts, Sentence};
pub use remarks::Remark;
pub use rule::Rule;
pub use say::{Sentences, say, say_observation, say_proof, say_remark};
pub use suppress::{PAIRS, Pair, Same};
pub use view::View;

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;

use crate::inventory::{Context, Inventory};
use crate::net::AddressSet;
use crate::observe::Log;
use crate::registry::index::Index;
use crate::result::v1::Severity;

/// What an audit works from.
pub struct Input<'a> {
    pub inventory: &'a Inventory,
    pub log: &'a Log,
    /// The registry on the day the sweep started. Without one there is a map, and no finding.
    pub registry: Option<&'a Index>,
    /// As the inventory was folded with.
    pub context: &'a Context,
    /// `--unit`; else the wire's unit is that of the segment which holds the vantage's address.
    pub unit: Option<String>,
    /// Addresses that were not to be asked: never absent, never missing.
    pub exclude: AddressSet,
    pub regulation: &'a Regulation,
    /// The profile's `[audit] severity`.
    pub severity: BTreeMap<String, Severity>,
}

/// Holds the inventory against the registry. Pure.
pub fn audit(input: &Input<'_>) -> Audit {
    let Some(index) = input.registry else {
        // Held against nothing, a way out is nobody's; the day does not matter.
        let nothing = Index::new(Arc::default(), jiff::civil::Date::ZERO);
        let view = View::new(input, &nothing);
        return Audit {
            findings: Vec::new(),
            egresses: view.ways.iter().map(|way| seen(way, &view)).collect(),
            calibrated: egress::calibration(&view),
            devices: vec![Attribution::default(); input.inventory.devices.len()],
            segments: vec![Attribution::default(); input.inventory.segments.len()],
            unit: input.unit.clone(),
            remarks: remarks::remarks(&view),
        };
    };
    let view = View::new(input, index);
    let found: Vec<Found> = rule::ALL
        .par_iter()
        .flat_map_iter(|rule| {
            let mut findings = Findings::default();
            rule.check(&view, &mut findings);
            findings.into_inner()
        })
        .collect();
    Audit {
        findings: settle::settle(found, input, &view),
        devices: view
            .devices()
            .map(|(device, registered)| Attribution {
                unit: view.unit_of(device, registered).map(str::to_owned),
                registered_as: registered.rows.first().map(|row| row.name().to_owned()),
            })
            .collect(),
        segments: input.inventory.segments.iter().map(|segment| whose(segment, &view)).collect(),
        egresses: view.ways.iter().map(|way| seen(way, &view)).collect(),
        calibrated: egress::calibration(&view),
        unit: view.unit().map(str::to_owned).or_else(|| input.unit.clone()),
        remarks: remarks::remarks(&view),
    }
}

/// A way out as the result lists it.
fn seen(way: &egress::Way<'_>, view: &View<'_>) -> EgressFound {
    EgressFound {
        ip: way.ip,
        mac: way.mac,
        public_addresses: way.public.iter().copied().collect(),
        methods: way.methods.iter().copied().collect(),
        evidence: way
            .evidence
            .iter()
            .filter(|id| view.log.get(**id).is_some())
            .map(|id| Proof::Observed(*id))
            .collect(),
        registered_as: match way.whose {
            egress::Whose::Filed(row) => Some(row.name.clone()),
            _ => None,
        },
    }
}

/// Whose a segment is: who has the approval that covers it, else whose wire it is on.
fn whose(segment: &crate::inventory::Segment, view: &View<'_>) -> Attribution {
    let approved = view.index.approved_covering(segment.prefix);
    let any = || view.index.segments_covering(segment.prefix).next().map(|(row, _)| row);
    let wire = || segment.on_link.iter().find_map(|&vantage| view.wire(vantage));
    let unit = approved.or_else(any).map(|row| row.unit.as_str()).or_else(wire);
    Attribution {
        unit: unit.map(str::to_owned),
        registered_as: approved.map(|row| row.prefix.to_string()),
    }
}
