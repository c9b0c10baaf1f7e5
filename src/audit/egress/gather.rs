//! From what sightings come to, to ways out with their evidence.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::judge::{Claim, Judge, Verdict};
use super::{Way, Whose};
use crate::inventory::DeviceKey;
use crate::inventory::egress::Egress;
use crate::observe::{EgressMethod, ObservationId};
use crate::result::v1::Confidence;

/// Receipts shown of one method, and hops.
const SHOWN: usize = 4;
/// Public addresses that one way out lists at most.
const LISTED: usize = 64;

impl<'a> Judge<'_, 'a> {
    /// The evidence of claims: of each method its rounds first, then more of the same.
    fn gathered(claims: &[&Claim]) -> Vec<ObservationId> {
        let mut shown: Vec<ObservationId> = Vec::new();
        for method in EgressMethod::ALL {
            let of: Vec<&&Claim> = claims.iter().filter(|claim| claim.method == method).collect();
            let mut rounds = BTreeSet::new();
            let (first, more): (Vec<&&Claim>, Vec<&&Claim>) =
                of.into_iter().partition(|claim| rounds.insert((claim.round, claim.public)));
            for claim in first.into_iter().chain(more).take(2 * SHOWN) {
                for id in &claim.evidence {
                    if !shown.contains(id) {
                        shown.push(*id);
                    }
                }
            }
        }
        shown
    }

    pub(super) fn own_way(&self, egress: &Egress, claims: Vec<Claim>) -> Way<'a> {
        let device = egress.device.and_then(|device| self.view.inventory.devices.get(device));
        let ip = device
            .and_then(|device| self.view.known_by(device.addresses()))
            .or_else(|| self.view.known_by(egress.targets.iter().copied()));
        let mac = match egress.key {
            DeviceKey::Station(mac) => Some(mac),
            DeviceKey::Address(_) => device.and_then(|device| device.macs.first().copied()),
        };
        let mut evidence = Self::gathered(&claims.iter().collect::<Vec<_>>());
        // The ladder shows a way only where packets of ours were steered.
        let steered = |claim: &Claim| {
            matches!(claim.method, EgressMethod::NextHop | EgressMethod::Ipv6) && claim.round > 0
        };
        let is_steered = claims.iter().any(steered);
        let mut hops: Vec<(u8, IpAddr)> = Vec::new();
        for rung in egress.ladder.iter().filter(|_| is_steered) {
            if !hops.contains(&(rung.hop_limit, rung.from)) && hops.len() < 2 * SHOWN {
                hops.push((rung.hop_limit, rung.from));
            }
        }
        let rungs = egress.ladder.iter().filter(|_| is_steered).take(SHOWN);
        evidence.extend(rungs.map(|rung| rung.observation));
        Way {
            whose: Whose::Unregistered,
            key: Some(egress.key),
            device: egress.device,
            ip,
            mac,
            vantage: egress
                .sightings
                .first()
                .map(|one| one.vantage)
                .or_else(|| egress.asked.first().map(|(_, _, vantage)| *vantage)),
            public: claims.iter().filter_map(|claim| claim.public).take(LISTED).collect(),
            methods: claims.iter().map(|claim| claim.method).collect(),
            evidence,
            hops,
            cap: cap(&claims),
        }
    }

    /// The way of a filed egress, from everything that led out by it.
    pub(super) fn filed_way(
        &self,
        verdict: Verdict,
        claims: Vec<(usize, Claim)>,
    ) -> Option<Way<'a>> {
        let (Verdict::Filed(row) | Verdict::Mismatch(row)) = verdict else { return None };
        let filed = self.filed.get(row)?;
        let whose = match verdict {
            _ if !filed.is_valid => Whose::Expired(filed.row),
            Verdict::Mismatch(_) => Whose::Mismatch(filed.row),
            _ => Whose::Filed(filed.row),
        };
        let devices = &self.view.inventory.devices;
        let device = filed.devices.first().copied();
        let seen = device.and_then(|device| devices.get(device));
        let ip = filed
            .addresses
            .iter()
            .copied()
            .find(|ip| seen.is_none_or(|seen| seen.binding(*ip).is_some()))
            .or_else(|| seen.and_then(|seen| self.view.known_by(seen.addresses())));
        let mac = seen
            .and_then(|seen| seen.macs.first().copied())
            .or_else(|| filed.macs.first().copied());
        // The gateway's own showing before what others relayed.
        let of_gateway =
            |place: usize| self.gateway_of.get(place).is_some_and(|of| of.contains(&row));
        let mut ordered: Vec<&(usize, Claim)> = claims.iter().collect();
        ordered.sort_by_key(|(place, _)| !of_gateway(*place));
        let only: Vec<&Claim> = ordered.iter().map(|(_, claim)| claim).collect();
        let all = &self.view.inventory.egresses.of;
        let vantage = ordered
            .first()
            .and_then(|(place, _)| all.get(*place)?.sightings.first())
            .map(|one| one.vantage);
        Some(Way {
            whose,
            key: seen.map(|seen| seen.key),
            device,
            ip,
            mac,
            vantage,
            public: only.iter().filter_map(|claim| claim.public).take(LISTED).collect(),
            methods: only.iter().map(|claim| claim.method).collect(),
            evidence: Self::gathered(&only),
            hops: Vec::new(),
            cap: None,
        })
    }
}

/// What claims of a device's own way are worth at most: two rounds of one method that shows it prove it,
/// two methods corroborate one another.
fn cap(claims: &[Claim]) -> Option<Confidence> {
    let mut rounds: BTreeMap<EgressMethod, BTreeSet<u8>> = BTreeMap::new();
    for claim in claims.iter().filter(|claim| claim.verdict == Verdict::Own) {
        rounds.entry(claim.method).or_default().insert(claim.round);
    }
    let methods: BTreeSet<EgressMethod> = claims.iter().map(|claim| claim.method).collect();
    match methods.len() {
        _ if rounds.values().any(|rounds| rounds.len() >= 2) => None,
        0 | 1 => Some(Confidence::Indicated),
        _ => Some(Confidence::Corroborated),
    }
}
