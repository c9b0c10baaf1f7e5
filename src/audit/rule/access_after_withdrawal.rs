use std::net::IpAddr;

use super::Rule;
use crate::audit::finding::{Proof, Subject};
use crate::audit::findings::{Findings, Found, texts};
use crate::audit::view::View;
use crate::registry::index::Approval;
use crate::registry::model::Segment;

/// # What it finds
/// Addresses of a withdrawn unit, or of a segment past `valid_until`, that are still live.
///
/// # Why it matters
/// Access that is no longer needed is to be withdrawn; here it goes on without approval.
///
/// # Evidence
/// The answers and frames of the addresses, each of which is in the detail, against the row.
///
/// # When it stays silent
/// Segments that are not valid yet (they are unregistered); addresses that a longer segment of the
/// registry holds; addresses that were only claimed, or heard only in passing traffic.
///
/// # What refutes it
/// An approval that is valid on the day of the sweep.
///
/// # Example
/// 10.20.8.0/24 was approved until 2026-06-30; in November 10.20.8.5 answers.
pub(super) struct AccessAfterWithdrawal;

impl Rule for AccessAfterWithdrawal {
    fn name(&self) -> &'static str {
        "access-after-withdrawal"
    }

    fn check(&self, view: &View<'_>, findings: &mut Findings) {
        for segment in &view.index.registry().segments {
            let approval = view.index.approval(segment);
            if matches!(approval, Approval::Expired | Approval::Withdrawn) {
                findings.extend(found(self.name(), segment, approval, view));
            }
        }
    }
}

fn found(
    rule: &'static str,
    segment: &Segment,
    approval: Approval,
    view: &View<'_>,
) -> Option<Found> {
    let prefix = segment.prefix;
    let live: Vec<IpAddr> = view
        .inventory
        .in_use
        .range(prefix.first()..=prefix.last())
        .filter(|(_, users)| !users.is_empty())
        .map(|(&ip, _)| ip)
        .filter(|&ip| view.index.segment(ip).is_some_and(|(row, _)| row.prefix == prefix))
        .collect();
    if live.is_empty() {
        return None;
    }
    let mut found = Found { rule, key: prefix.to_string(), ips: live.clone(), ..Found::default() }
        .unit(Some(&segment.unit))
        .subject(Subject { prefix: Some(prefix), ..Subject::default() })
        .detail("addresses", texts(live.iter().take(256)))
        .detail("live", live.len() as u64);
    let says = match approval {
        Approval::Withdrawn => {
            found = found.detail("reason", "withdrawn");
            let on = view.index.unit(&segment.unit).and_then(|unit| unit.withdrawn_on);
            if let Some(on) = on {
                found = found.detail("withdrawn_on", on.to_string());
            }
            format!("status withdrawn {}", on.map(|on| on.to_string()).unwrap_or_default())
        }
        _ => {
            found = found.detail("reason", "expired");
            let until = segment.valid_until.map(|until| until.to_string()).unwrap_or_default();
            found = found.detail("valid_until", until.as_str());
            format!("valid_until {until}")
        }
    };
    for &ip in live.iter().take(16) {
        for (_, device) in view.at(ip) {
            if let Some(binding) = device.binding(ip) {
                found = found.shown_by(binding.observations.iter().take(2));
            }
        }
    }
    Some(found.held_against(Proof::Row {
        table: "segments",
        key: format!("{} {prefix}", segment.unit),
        says: says.trim_end().to_owned(),
    }))
}
