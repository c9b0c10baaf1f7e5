//! From what the rules put down to findings: one fact one finding, ids, weight, waivers, notices.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use rayon::prelude::*;
use uuid::Uuid;

use super::finding::{Finding, Waived};
use super::findings::Found;
use super::suppress::suppress;
use super::view::View;
use super::weigh::weigh;
use super::{Input, Proof, rule};
use crate::net::Mac;
use crate::observe::Log;
use crate::registry::index::{Index, Subject};
use crate::result::v1::{Confidence, Severity, Status};

/// The name space of finding ids: fixed for ever, so that a finding is the same one every night.
const NAMESPACE: Uuid = Uuid::from_u128(0x6a69_6562_6569_5f66_8e69_6e64_696e_0001);

/// Rules whose findings are changes or absences: what a notice for a whole unit can explain. One that
/// names its subject explains whatever is found of it.
const CHANGES_AND_ABSENCES: &[&str] = &[
    "asset-mismatch",
    "interface-device-replaced",
    "interface-device-changed",
    "interface-device-missing",
    "registered-asset-absent",
];

/// Settles what the rules found.
pub(super) fn settle(found: Vec<Found>, input: &Input<'_>, view: &View<'_>) -> Vec<Finding> {
    let places: BTreeMap<&str, usize> =
        rule::ALL.iter().enumerate().map(|(place, rule)| (rule.name(), place)).collect();
    let mut found = suppress(found);
    found.par_sort_by(|a, b| {
        let key = |one: &Found| (places.get(one.rule).copied(), one.subject);
        key(a).cmp(&key(b)).then_with(|| (&a.unit, &a.key).cmp(&(&b.unit, &b.key)))
    });
    let mut at: BTreeMap<Uuid, usize> = BTreeMap::new();
    let mut once: Vec<(Uuid, Found)> = Vec::with_capacity(found.len());
    for one in found {
        let id = id(&one);
        match at.get(&id).and_then(|&place| once.get_mut(place)) {
            // What several methods saw of one thing is one finding with several pieces of evidence.
            Some((_, first)) => {
                for proof in one.evidence {
                    if !first.evidence.contains(&proof) {
                        first.evidence.push(proof);
                    }
                }
                first.ips.extend(one.ips);
                first.macs.extend(one.macs);
                first.cap = first.cap.zip(one.cap).map(|(first, second)| first.max(second));
            }
            None => {
                at.insert(id, once.len());
                once.push((id, one));
            }
        }
    }
    once.into_par_iter().map(|(id, one)| finish(id, one, input, view)).collect()
}

/// From rule, unit and the strongest key of the subject.
fn id(found: &Found) -> Uuid {
    let unit = found.unit.as_deref().unwrap_or_default();
    Uuid::new_v5(&NAMESPACE, format!("{}\n{unit}\n{}", found.rule, found.key).as_bytes())
}

fn finish(id: Uuid, found: Found, input: &Input<'_>, view: &View<'_>) -> Finding {
    let mut ips: Vec<IpAddr> = found.ips;
    // A prefix is more than the addresses seen in it: a waiver for one of them does not excuse it.
    if found.subject.prefix.is_some() {
        ips.clear();
    }
    ips.extend(found.subject.ip.filter(|ip| !ips.contains(ip)));
    let mut macs: Vec<Mac> = found.macs;
    macs.extend(found.subject.mac.filter(|mac| !macs.contains(mac)));
    let about = Subject {
        ips: &ips,
        macs: &macs,
        prefix: found.subject.prefix,
        port: found.subject.port,
        name: found.name.as_deref(),
    };
    let waiver =
        view.index.waiver(found.rule, found.unit.as_deref(), &about).map(|waiver| Waived {
            until: waiver.until,
            reason: waiver.reason.clone(),
            approval: waiver.approval.clone(),
        });
    let notice =
        found.unit.as_deref().and_then(|unit| notice(found.rule, unit, &about, view.index));
    let (first_seen, last_seen) = seen(&found.evidence, input.log);
    Finding {
        id,
        rule: found.rule,
        severity: severity(found.rule, input),
        confidence: weigh(found.rule, &found.evidence, input.log)
            .min(found.cap.unwrap_or(Confidence::Proved)),
        unit: found.unit,
        subject: found.subject,
        detail: found.detail,
        evidence: found.evidence,
        first_seen,
        last_seen,
        status: if waiver.is_some() { Status::Waived } else { Status::Open },
        waiver,
        notice,
    }
}

fn notice(rule: &str, unit: &str, about: &Subject<'_>, index: &Index) -> Option<String> {
    index
        .notices(unit, about)
        .find(|notice| !notice.subject.is_empty() || CHANGES_AND_ABSENCES.contains(&rule))
        .map(|notice| notice.notice.clone())
}

/// The profile's, else the regulation's.
fn severity(rule: &str, input: &Input<'_>) -> Severity {
    let stated = input.severity.get(rule).copied();
    stated
        .or_else(|| input.regulation.rules.get(rule).map(|texts| texts.severity))
        .unwrap_or(Severity::Medium)
}

/// From the first sighting to the last of what shows it.
fn seen(evidence: &[Proof], log: &Log) -> (Option<Timestamp>, Option<Timestamp>) {
    let ids = evidence.iter().flat_map(|proof| match proof {
        Proof::Observed(id) => std::slice::from_ref(id),
        Proof::Silence { asked, .. } => asked.as_slice(),
        Proof::Row { .. } => &[],
    });
    ids.filter_map(|&id| log.get(id)).fold((None, None), |(first, last), observation| {
        let earlier = first.map_or(observation.at, |first: Timestamp| first.min(observation.at));
        let later =
            last.map_or(observation.last_at, |last: Timestamp| last.max(observation.last_at));
        (Some(earlier), Some(later))
    })
}
