//! Ways out held against the filed egresses: whose each one is.
//!
//! **By address.** What the collector saw come from a filed `public` prefix left by that egress, whoever
//! relayed it and whichever method showed it. An address that a filed gateway shows of itself is that
//! gateway's matter, also where others leave by it.
//!
//! **By ladder.** A packet that was steered through a device passes a filed gateway where one answers behind
//! it; where somebody answers there who is in no table, it does not. Where only the sender's own address
//! was seen (no NAT), the ladder decides.
//!
//! **By what a NAT would have done.** An answer in a canary's name shows no NAT when it keeps the address of
//! who was asked. A UDP request opens a new flow at a NAT, so an untranslated UDP answer did not pass a gateway
//! that translates. An echo or a reset is translated by nobody: it says that there is a way out, not
//! which, unless there is only one or the path is too short to lead through the gateway.
//!
//! Where it cannot be told, nothing is found: an egress that is filed must never be called unregistered.

mod filed;
mod gather;
mod judge;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use self::judge::{Claim, Judge, Verdict};
use super::view::View;
use crate::inventory::egress::Egress;
use crate::inventory::{DeviceKey, EgressCoverage};
use crate::net::special::{self, Purpose};
use crate::net::{Family, Mac, carrier};
use crate::observe::{EgressMethod, ObservationId, VantageId};
use crate::registry::model;
use crate::result::v1::Confidence;

/// Whose a way out is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose<'a> {
    Filed(&'a model::Egress),
    /// Past its `valid_until`.
    Expired(&'a model::Egress),
    /// Led out by its gateway, as an address that is not filed.
    Mismatch(&'a model::Egress),
    Unregistered,
}

/// A way out to the internet.
#[derive(Debug, Clone)]
pub struct Way<'a> {
    pub whose: Whose<'a>,
    /// Who leads out: of a filed egress its gateway, where it was seen.
    pub key: Option<DeviceKey>,
    pub device: Option<usize>,
    pub ip: Option<IpAddr>,
    pub mac: Option<Mac>,
    pub vantage: Option<VantageId>,
    pub public: BTreeSet<IpAddr>,
    pub methods: BTreeSet<EgressMethod>,
    /// In the order of methods and time.
    pub evidence: Vec<ObservationId>,
    /// Who answered behind it, by hop.
    pub hops: Vec<(u8, IpAddr)>,
    /// What all of it is worth at most.
    pub cap: Option<Confidence>,
}

/// Whether silence of a method says anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calibrated {
    Yes,
    No,
    NotRun,
}

impl Calibrated {
    /// As it is published.
    pub const fn word(self) -> &'static str {
        match self {
            Calibrated::Yes => "yes",
            Calibrated::No => "no",
            Calibrated::NotRun => "not-run",
        }
    }
}

impl Way<'_> {
    /// The carriers whose lines the public addresses are on, as far as they are known.
    pub fn networks(&self) -> BTreeSet<&'static str> {
        self.public.iter().filter_map(|&address| carrier::of(address)).collect()
    }
}

/// Whether an address is one of the internet's.
///
/// Decided by the registry and the canaries, for an extranet may use any range inside: never what lies in the
/// scope or in a segment of the registry, on the link or on the host itself; always a canary and a filed
/// public prefix; else what is not set apart for private use. Documentation ranges are public: they stand for
/// the internet in a laboratory.
pub fn is_public(address: IpAddr, view: &View<'_>) -> bool {
    if !special::is_host(address) || special::is_link_local(address) {
        return false;
    }
    let filed = || {
        let mut rows = view.index.registry().egresses.iter();
        rows.any(|row| row.public.iter().any(|prefix| prefix.contains(address)))
    };
    if view.inventory.egresses.canaries.contains(&address) || filed() {
        return true;
    }
    let inside = view.context.scope.contains(address) || view.index.segment(address).is_some();
    !inside
        && !matches!(
            special::purpose(address),
            Some(
                Purpose::Private
                    | Purpose::SharedSpace
                    | Purpose::UniqueLocal
                    | Purpose::Benchmarking
                    | Purpose::Reserved
                    | Purpose::Mapped
                    | Purpose::Translation
                    | Purpose::Discard
            )
        )
}

/// Every way out that was found.
pub(super) fn ways<'a>(view: &View<'a>) -> Vec<Way<'a>> {
    let judge = Judge::of(view);
    let all = &view.inventory.egresses.of;
    let mut filed: BTreeMap<Verdict, Vec<(usize, Claim)>> = BTreeMap::new();
    let mut ways = Vec::new();
    for (place, egress) in all.iter().enumerate() {
        let mut own = Vec::new();
        for claim in judge.claims(place, egress) {
            match claim.verdict {
                Verdict::Filed(_) | Verdict::Mismatch(_) => {
                    filed.entry(claim.verdict).or_default().push((place, claim));
                }
                Verdict::Own | Verdict::Hinted => own.push(claim),
                Verdict::Nothing => {}
            }
        }
        if !own.is_empty() {
            ways.push(judge.own_way(egress, own));
        }
    }
    // What showed no address went the way of what did.
    let rows: Vec<Verdict> = filed.keys().copied().collect();
    for verdict in rows {
        let Verdict::Mismatch(row) = verdict else { continue };
        let of_row = Verdict::Filed(row);
        let is_nameless =
            |claims: &Vec<(usize, Claim)>| claims.iter().all(|c| c.1.public.is_none());
        if filed.get(&of_row).is_some_and(is_nameless)
            && let Some(nameless) = filed.remove(&of_row)
        {
            filed.entry(verdict).or_default().extend(nameless);
        }
    }
    let mut known: Vec<Way<'a>> = filed
        .into_iter()
        .filter_map(|(verdict, claims)| judge.filed_way(verdict, claims))
        .collect();
    known.extend(ways);
    known
}

/// Whether the silence of `next-hop` and `spoofed-source` says anything, by prefix and vantage: for each row of
/// the inventory's coverage, in its order.
pub(super) fn calibration(view: &View<'_>) -> Vec<BTreeMap<EgressMethod, Calibrated>> {
    let all = &view.inventory.egresses.of;
    let judge = Judge::of(view);
    let is_gateway = |place: usize, egress: &Egress| {
        judge.gateway_of.get(place).is_some_and(|of| !of.is_empty())
            || judge.is_registered_router(egress)
    };
    let came = |row: &crate::inventory::Coverage, method: EgressMethod| {
        all.iter().enumerate().any(|(place, egress)| {
            egress.sightings.iter().filter(|one| one.method == method).any(|one| match method {
                EgressMethod::NextHop => {
                    one.vantage == row.vantage
                        && Family::of(one.canary) == row.prefix.family()
                        && (one.is_receipt() || is_gateway(place, egress))
                }
                _ => one.is_receipt() && row.prefix.contains(one.target),
            })
        })
    };
    view.inventory
        .coverage
        .iter()
        .map(|row| {
            [EgressMethod::NextHop, EgressMethod::SpoofedSource]
                .into_iter()
                .filter_map(|method| {
                    let calibrated = match row.egress.get(&method)? {
                        EgressCoverage::NotRun(_) => Calibrated::NotRun,
                        EgressCoverage::Ran(_) if came(row, method) => Calibrated::Yes,
                        EgressCoverage::Ran(_) => Calibrated::No,
                    };
                    Some((method, calibrated))
                })
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::audit::{Input, Regulation};
    use crate::inventory::{Context, Inventory};
    use crate::net::{AddressSet, Prefix};
    use crate::observe::Log;
    use crate::registry::Index;
    use crate::registry::model::{Egress as Row, Registry, Segment};

    #[test]
    fn what_is_public_is_decided_by_registry_and_canaries() {
        let prefix = |text: &str| text.parse::<Prefix>().unwrap();
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let segment = |text: &str| Segment {
            unit: "A".into(),
            prefix: prefix(text),
            purpose: None,
            vlan: None,
            registration: None,
            approval: None,
            valid_from: None,
            valid_until: None,
        };
        let registry = Registry {
            // The extranet itself uses a range that looks public.
            segments: vec![segment("59.192.0.0/16")],
            egresses: vec![Row {
                unit: "A".into(),
                name: "unified".into(),
                kind: None,
                gateway: None,
                public: vec![prefix("100.64.7.0/24")],
                filing: None,
                valid_from: None,
                valid_until: None,
            }],
            ..Registry::default()
        };
        let index = Index::new(Arc::new(registry), "2026-11-25".parse().unwrap());
        let mut inventory = Inventory::default();
        inventory.egresses.canaries = [ip("10.255.0.10")].into();
        let context =
            Context { scope: AddressSet::of([prefix("10.0.0.0/8")]), ..Context::default() };
        let regulation = Regulation::built_in("hunan-2026").unwrap();
        let log = Log::default();
        let input = Input {
            inventory: &inventory,
            log: &log,
            registry: Some(&index),
            context: &context,
            unit: None,
            exclude: AddressSet::default(),
            regulation: &regulation,
            severity: BTreeMap::new(),
        };
        let view = View::new(&input, &index);
        for (address, public) in [
            ("59.192.3.4", false),
            ("59.193.3.4", true),
            ("10.1.2.3", false),
            ("10.255.0.10", true),
            ("100.64.7.9", true),
            ("100.64.8.9", false),
            ("192.168.1.1", false),
            ("172.16.0.1", false),
            ("198.51.100.10", true),
            ("2001:db8::1", true),
            ("240e::1", true),
            ("fd00::1", false),
            ("fe80::1", false),
            ("ff02::1", false),
            ("127.0.0.1", false),
            ("224.0.0.5", false),
        ] {
            assert_eq!(is_public(ip(address), &view), public, "{address}");
        }
    }
}
