//! What each sighting comes to: the filed egress it left by, the device's own way, or nothing that can be told.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::filed::Filed;
use super::is_public;
use crate::audit::view::{View, routes};
use crate::inventory::DeviceKey;
use crate::inventory::egress::{Egress, Rung, Said, SeenAs, Sighting};
use crate::net::special::{self, Purpose};
use crate::net::{Family, Prefix, carrier};
use crate::observe::{EgressMethod, ObservationId, SeenBy, VantageId};
use crate::registry::model::Role;

/// Facts of a method without rounds that are taken at most.
const SHOWN: usize = 4;

/// What one sighting or saying comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// Of the filed egress at this place.
    Filed(usize),
    Mismatch(usize),
    /// The device's own way.
    Own,
    /// The device's own way, but one method alone is not enough to say more than that it looks so.
    Hinted,
    /// It cannot be told, or is told elsewhere.
    Nothing,
}

pub(super) struct Claim {
    pub verdict: Verdict,
    pub method: EgressMethod,
    /// Zero where the method has no rounds.
    pub round: u8,
    pub public: Option<IpAddr>,
    pub evidence: Vec<ObservationId>,
}

/// A registered gateway that a canary was reached through.
pub(super) struct Out {
    pub family: Family,
    pub vantage: VantageId,
    /// Whether all that came through had another source than ours.
    pub translates: bool,
    pub hops: Option<u8>,
}

pub(super) struct Judge<'v, 'a> {
    pub view: &'v View<'a>,
    pub filed: Vec<Filed<'a>>,
    /// For each of the inventory's, the filed egresses that it is the gateway of.
    pub gateway_of: Vec<Vec<usize>>,
    /// Unfiled public addresses that filed gateways showed of themselves.
    pub shown: BTreeMap<IpAddr, usize>,
    /// The same of devices that are registered to route, but as no filed egress's gateway.
    pub routed: BTreeMap<IpAddr, usize>,
    pub out: Vec<Out>,
    /// Who answered behind a registered gateway: at the least hop limit, and of which filed egress it is.
    pub behind: BTreeMap<(Family, IpAddr), (u8, Option<usize>)>,
    /// Devices that may be whose way it is: of valid filed egresses, or registered as gateways.
    pub gateways: BTreeSet<usize>,
    /// Devices that something was steered through to a canary, by its family; and those it came through.
    pub asked: BTreeSet<(usize, Family)>,
    pub came: BTreeSet<usize>,
    /// Whether anything steered, or anything of IPv6, reached the collector.
    pub has_ipv6: bool,
    pub has_receipts: bool,
}

/// Whether a packet that was steered through a device passes a filed gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ladder {
    Passes(usize),
    /// Somebody answered behind it who is in no table.
    Leaves,
    Silent,
}

impl<'v, 'a> Judge<'v, 'a> {
    pub(super) fn of(view: &'v View<'a>) -> Judge<'v, 'a> {
        let day = view.index.day();
        let filed: Vec<Filed<'a>> = view
            .index
            .registry()
            .egresses
            .iter()
            .filter(|row| row.valid_from.is_none_or(|from| from <= day))
            .map(|row| Filed::of(row, view))
            .collect();
        let all = &view.inventory.egresses.of;
        let gateway_of: Vec<Vec<usize>> = all
            .iter()
            .map(|egress| {
                let is = |filed: &Filed<'_>| {
                    egress.device.is_some_and(|device| filed.devices.contains(&device))
                        || matches!(egress.key, DeviceKey::Station(mac) if filed.macs.contains(&mac))
                        || egress.targets.iter().any(|ip| filed.addresses.contains(ip))
                };
                let mut of: Vec<usize> =
                    (0..filed.len()).filter(|&row| filed.get(row).is_some_and(is)).collect();
                // What is valid speaks first.
                of.sort_by_key(|&row| filed.get(row).is_none_or(|filed| !filed.is_valid));
                of
            })
            .collect();
        let has_receipts = all
            .iter()
            .flat_map(|egress| &egress.sightings)
            .any(|sighting| sighting.seen_by == SeenBy::Collector);
        let mut judge = Judge {
            view,
            filed,
            gateway_of,
            shown: BTreeMap::new(),
            routed: BTreeMap::new(),
            out: Vec::new(),
            behind: BTreeMap::new(),
            gateways: BTreeSet::new(),
            asked: BTreeSet::new(),
            came: BTreeSet::new(),
            has_ipv6: false,
            has_receipts,
        };
        let valid = judge.filed.iter().filter(|filed| filed.is_valid);
        let mut gateways: BTreeSet<usize> =
            valid.flat_map(|filed| filed.devices.iter().copied()).collect();
        gateways.extend((0..view.inventory.devices.len()).filter(|&device| {
            let registered = view.registered(device);
            registered.is_some_and(|registered| registered.roles.contains(&Role::Gateway))
        }));
        judge.gateways = gateways;
        for egress in all {
            judge.has_ipv6 |= egress.sightings.iter().any(|one| {
                one.is_receipt() && (one.is_steered() || Family::of(one.canary) == Family::Ipv6)
            });
            let Some(device) = egress.device else { continue };
            for (method, family, _) in &egress.asked {
                if matches!(method, EgressMethod::NextHop | EgressMethod::Ipv6) {
                    judge.asked.insert((device, *family));
                }
            }
            if egress.sightings.iter().any(Sighting::is_steered) {
                judge.came.insert(device);
            }
        }
        for (place, egress) in all.iter().enumerate() {
            let gateway = judge.gateway_of.get(place).and_then(|of| of.first()).copied();
            let is_router = judge.is_registered_router(egress);
            let steered = || egress.sightings.iter().filter(|sighting| sighting.is_steered());
            for sighting in steered() {
                if let SeenAs::Address(address) = sighting.seen_as
                    && is_public(address, view)
                    && judge.by_address(address).is_none()
                {
                    match gateway {
                        Some(row) => {
                            judge.shown.entry(address).or_insert(row);
                        }
                        None if is_router => {
                            judge.routed.entry(address).or_insert(place);
                        }
                        None => {}
                    }
                }
            }
            if gateway.is_none() && !is_router {
                continue;
            }
            for rung in egress.ladder.iter().filter(|rung| rung.said == Said::TimeExceeded) {
                let at = (rung.hop_limit, gateway);
                let known = judge.behind.entry((rung.family, rung.from)).or_insert(at);
                // The nearest; where two are as near, the one that is filed.
                *known = std::cmp::min_by_key(*known, at, |(hop, row)| (*hop, row.is_none()));
            }
            let mut by_family: BTreeMap<(Family, VantageId), Vec<&Sighting>> = BTreeMap::new();
            for sighting in steered() {
                let at = (Family::of(sighting.canary), sighting.vantage);
                by_family.entry(at).or_default().push(sighting);
            }
            for ((family, vantage), through) in by_family {
                let hops = through.iter().filter_map(|sighting| sighting.hops).min();
                let mut seen =
                    through.iter().filter(|one| one.seen_as != SeenAs::Unknown).peekable();
                let translates = seen.peek().is_some()
                    && seen.all(|one| matches!(one.seen_as, SeenAs::Address(_)));
                judge.out.push(Out { family, vantage, translates, hops });
            }
        }
        judge
    }

    /// The filed egress in whose public prefix the address lies: a valid one before one that ran out.
    pub(super) fn by_address(&self, address: IpAddr) -> Option<usize> {
        let holds = |filed: &Filed<'_>| filed.row.public.iter().any(|p| p.contains(address));
        let places = |valid: bool| {
            let mut all = self.filed.iter();
            all.position(|filed| filed.is_valid == valid && holds(filed))
        };
        places(true).or_else(|| places(false))
    }

    pub(super) fn is_registered_router(&self, egress: &Egress) -> bool {
        let by_device = egress.device.and_then(|device| self.view.registered(device));
        by_device.is_some_and(|registered| routes(&registered.roles))
            || egress
                .targets
                .iter()
                .flat_map(|&ip| self.view.index.devices_at(ip))
                .any(|row| routes(&row.roles))
    }

    /// A way that leads through a filed gateway, as this address.
    fn through(&self, row: usize, address: Option<IpAddr>) -> Verdict {
        let Some(filed) = self.filed.get(row) else { return Verdict::Nothing };
        match address {
            // What of the address is not stated cannot be wrong.
            Some(_) if filed.is_valid && !filed.row.public.is_empty() => Verdict::Mismatch(row),
            _ => Verdict::Filed(row),
        }
    }

    pub(super) fn claims(&self, place: usize, egress: &Egress) -> Vec<Claim> {
        let mut claims: Vec<Claim> = egress
            .sightings
            .iter()
            .map(|sighting| {
                let public = match sighting.seen_as {
                    SeenAs::Address(address) if is_public(address, self.view) => Some(address),
                    _ => None,
                };
                let verdict = match public {
                    Some(address) => self.named(place, egress, sighting, address),
                    None => self.nameless(place, egress, sighting),
                };
                Claim {
                    verdict,
                    method: sighting.method,
                    round: sighting.round,
                    public,
                    evidence: vec![sighting.probe, sighting.receipt],
                }
            })
            .collect();
        for told in &egress.external {
            if is_public(told.address, self.view) {
                claims.push(self.said(
                    place,
                    EgressMethod::PortMapping,
                    told.address,
                    vec![told.observation],
                ));
            }
        }
        self.passages(place, egress, &mut claims);
        self.advertised(place, egress, &mut claims);
        claims
    }

    /// A way out as a public address that the collector saw.
    fn named(
        &self,
        place: usize,
        egress: &Egress,
        sighting: &Sighting,
        address: IpAddr,
    ) -> Verdict {
        if let Some(row) = self.by_address(address) {
            return Verdict::Filed(row);
        }
        if let Some(&row) = self.gateway_of.get(place).and_then(|of| of.first()) {
            return self.through(row, Some(address));
        }
        if sighting.is_steered()
            && let Ladder::Passes(row) = self.ladder(egress, Family::of(sighting.canary))
        {
            return self.through(row, Some(address));
        }
        if let Some(&row) = self.shown.get(&address) {
            return self.through(row, Some(address));
        }
        if self.routed.get(&address).is_some_and(|&other| other != place) {
            return Verdict::Nothing;
        }
        if sighting.method == EgressMethod::Dns {
            // Who asked the collector may be a resolver out there, to whom the question was handed on by a
            // filed egress: then the device's own packets leave by that.
            if let Some(row) = self.leaves_by(egress, None) {
                return Verdict::Filed(row);
            }
            if !self.out.is_empty() {
                return Verdict::Hinted;
            }
        }
        Verdict::Own
    }

    /// The filed egress by which a host's own new flows leave, where all that were seen do.
    fn leaves_by(&self, egress: &Egress, family: Option<Family>) -> Option<usize> {
        let mut by = None;
        for sighting in &egress.sightings {
            let is_own_flow = sighting.method == EgressMethod::SpoofedSource
                && sighting.carrier.passes_nat()
                && family.is_none_or(|family| Family::of(sighting.canary) == family);
            if !is_own_flow {
                continue;
            }
            let (SeenAs::Address(address) | SeenAs::Untranslated(address)) = sighting.seen_as
            else {
                continue;
            };
            match self.by_address(address).or_else(|| self.shown.get(&address).copied()) {
                Some(row) => by = by.or(Some(row)),
                None if matches!(sighting.seen_as, SeenAs::Address(_)) => return None,
                None => {}
            }
        }
        by
    }

    /// A way out without a public address: whose is it?
    fn nameless(&self, place: usize, egress: &Egress, sighting: &Sighting) -> Verdict {
        let family = Family::of(sighting.canary);
        if !sighting.is_receipt() && !sighting.is_steered() {
            return Verdict::Nothing;
        }
        if sighting.is_steered() {
            if let Some(&row) = self.gateway_of.get(place).and_then(|of| of.first()) {
                return self.through(row, None);
            }
            // Behind a registered router may stand a filed gateway that nobody here has seen.
            let is_unseen = |filed: &Filed<'_>| filed.is_valid && filed.devices.is_empty();
            if self.is_registered_router(egress) && self.filed.iter().any(is_unseen) {
                return Verdict::Nothing;
            }
            match self.ladder(egress, family) {
                Ladder::Passes(row) => return self.through(row, None),
                Ladder::Leaves => {
                    // An answer that the collector knows nothing of can be a proxy's on the way.
                    let doubted =
                        self.has_receipts && !egress.sightings.iter().any(Sighting::is_receipt);
                    let is_answer = !sighting.is_receipt();
                    return if is_answer && doubted { Verdict::Hinted } else { Verdict::Own };
                }
                Ladder::Silent => {}
            }
        }
        if let SeenAs::Address(own) | SeenAs::Untranslated(own) = sighting.seen_as
            && let Some(row) = self.by_address(own)
        {
            return Verdict::Filed(row);
        }
        let out: Vec<&Out> = self.out.iter().filter(|out| out.family == family).collect();
        let least = out
            .iter()
            .map(|out| out.hops.filter(|_| out.vantage == sighting.vantage))
            .min()
            .flatten();
        if sighting.is_steered() {
            // A forwarder in front of a gateway is one hop more than the gateway.
            let is_short = sighting.hops.zip(least).is_some_and(|(own, least)| own <= least);
            return if out.is_empty() || is_short { Verdict::Hinted } else { Verdict::Nothing };
        }
        if let Some(row) = self.leaves_by(egress, Some(family)) {
            return Verdict::Filed(row);
        }
        if self.gateway_of.get(place).is_some_and(|of| !of.is_empty()) {
            return Verdict::Nothing;
        }
        let passes_nat = sighting.carrier.passes_nat();
        if out.is_empty() {
            return match self.is_without_registered_way(egress, family) {
                true if passes_nat => Verdict::Own,
                true => Verdict::Hinted,
                false => Verdict::Nothing,
            };
        }
        if passes_nat && out.iter().all(|out| out.translates) && self.is_near(egress, sighting) {
            return Verdict::Own;
        }
        match sighting.hops.zip(least) {
            Some((own, least)) if own < least => Verdict::Hinted,
            _ => Verdict::Nothing,
        }
    }

    /// Whether the gateways that were asked are those that a host can have: it is on the same link, or every
    /// gateway that is filed was asked and leads out.
    fn is_near(&self, egress: &Egress, sighting: &Sighting) -> bool {
        let device = egress.device.and_then(|device| self.view.inventory.devices.get(device));
        let on_link = device.is_some_and(|device| {
            device.is_on_link() && device.vantages.contains(&sighting.vantage)
        });
        let was_out = |filed: &Filed<'_>| filed.devices.iter().any(|of| self.came.contains(of));
        on_link || self.filed.iter().filter(|filed| filed.is_valid).all(was_out)
    }

    /// Whether no registered gateway can be whose way it is: each that there is in this family was asked and
    /// led nowhere; or none is filed and none was seen.
    fn is_without_registered_way(&self, egress: &Egress, family: Family) -> bool {
        let devices = &self.view.inventory.devices;
        let on_link = egress
            .device
            .and_then(|device| devices.get(device))
            .is_some_and(|device| device.is_on_link());
        // A host leaves its link by somebody on it.
        let mut gateways = self.gateways.iter().copied().filter(|&gateway| {
            !on_link || devices.get(gateway).is_some_and(|device| device.is_on_link())
        });
        let speaks = |gateway: usize| {
            devices.get(gateway).is_some_and(|device| {
                device.addresses().any(|address| Family::of(address) == family)
            })
        };
        let unseen = || {
            let mut valid = self.filed.iter().filter(|filed| filed.is_valid);
            let wire = self.view.unit();
            valid.any(|filed| match filed.addresses.is_empty() {
                true => !on_link || wire == Some(filed.row.unit.as_str()),
                false => !on_link && filed.devices.is_empty(),
            })
        };
        gateways
            .all(|gateway| self.asked.contains(&(gateway, family)) || on_link && !speaks(gateway))
            && !unseen()
    }

    /// What the device says of itself.
    fn said(
        &self,
        place: usize,
        method: EgressMethod,
        address: IpAddr,
        evidence: Vec<ObservationId>,
    ) -> Claim {
        let gateway = self.gateway_of.get(place).and_then(|of| of.first()).copied();
        let row = gateway.or_else(|| self.shown.get(&address).copied());
        let verdict = match (self.by_address(address), row) {
            (Some(row), _) => Verdict::Filed(row),
            (None, Some(row)) => self.through(row, Some(address)),
            (None, None) if self.routed.get(&address).is_some_and(|&other| other != place) => {
                Verdict::Nothing
            }
            (None, None) => Verdict::Hinted,
        };
        Claim { verdict, method, round: 0, public: Some(address), evidence }
    }

    fn passages(&self, place: usize, egress: &Egress, claims: &mut Vec<Claim>) {
        let is_gateway = self.gateway_of.get(place).is_some_and(|of| !of.is_empty());
        if is_gateway || self.is_registered_router(egress) {
            return;
        }
        // What we sent ourselves has tokens, and is judged by them.
        let is_ours = |ip: IpAddr| {
            let mut own = self.view.context.vantages.iter().flat_map(|vantage| &vantage.addresses);
            own.any(|(address, _)| *address == ip)
        };
        // Who stands on the link itself, with whatever address, was spoken with and not gone out to.
        let is_here = |ip: IpAddr| {
            self.view.at(ip).any(|(_, device)| device.binding(ip).is_some_and(|at| at.on_link))
        };
        let through = egress.passages.iter().filter(|(passage, _)| {
            is_public(passage.remote, self.view)
                && !is_ours(passage.local)
                && !is_here(passage.remote)
        });
        for (_, id) in through.take(SHOWN) {
            claims.push(Claim {
                verdict: Verdict::Hinted,
                method: EgressMethod::Passive,
                round: 0,
                public: None,
                evidence: vec![*id],
            });
        }
    }

    /// Prefixes and addresses of IPv6 that lead out by themselves.
    fn advertised(&self, place: usize, egress: &Egress, claims: &mut Vec<Claim>) {
        let outer = |prefix: Prefix| {
            let outer = crate::inventory::egress::embedded(prefix.first())?;
            (special::purpose(prefix.first()) == Some(Purpose::SixToFour))
                .then_some(IpAddr::V4(outer))
        };
        for (&prefix, shown) in &egress.advertised {
            let shown: Vec<ObservationId> = shown.iter().copied().take(SHOWN).collect();
            if self.is_approved(prefix) {
                continue;
            }
            if let Some(outer) = outer(prefix) {
                if is_public(outer, self.view) {
                    claims.push(self.said(place, EgressMethod::Ipv6, outer, shown));
                }
            } else if carrier::of(prefix.first()).is_some() && !self.leads_nowhere(egress) {
                let gateway = self.gateway_of.get(place).and_then(|of| of.first());
                let verdict = match gateway {
                    Some(&row) => self.through(row, None),
                    None => Verdict::Hinted,
                };
                claims.push(Claim {
                    verdict,
                    method: EgressMethod::Ipv6,
                    round: 0,
                    public: None,
                    evidence: shown,
                });
            }
        }
        for embedded in &egress.embedded {
            let address = Prefix::host(embedded.address);
            // Who has such an address from a router's announcement does not make the tunnel.
            let announced = self.view.inventory.egresses.of.iter().any(|other| {
                other.key != egress.key
                    && other.advertised.keys().any(|prefix| prefix.covers(address))
            });
            let outer = IpAddr::V4(embedded.outer);
            if !announced && !self.is_approved(address) && is_public(outer, self.view) {
                let shown = embedded.observations.iter().copied().take(SHOWN).collect();
                claims.push(self.said(place, EgressMethod::Ipv6, outer, shown));
            }
        }
    }

    fn is_approved(&self, prefix: Prefix) -> bool {
        self.view.index.approved_covering(prefix).is_some()
            || self.filed.iter().any(|filed| {
                filed.is_valid && filed.row.public.iter().any(|public| public.covers(prefix))
            })
    }

    /// Whether IPv6 was steered through it to a canary in vain, where others came through.
    fn leads_nowhere(&self, egress: &Egress) -> bool {
        let steered =
            |method: EgressMethod| matches!(method, EgressMethod::NextHop | EgressMethod::Ipv6);
        let asked = egress
            .asked
            .iter()
            .any(|(method, family, _)| steered(*method) && *family == Family::Ipv6);
        let came = egress
            .sightings
            .iter()
            .any(|one| one.is_steered() && Family::of(one.canary) == Family::Ipv6);
        asked && !came && self.has_ipv6
    }

    fn ladder(&self, egress: &Egress, family: Family) -> Ladder {
        let own: BTreeSet<IpAddr> = egress
            .device
            .and_then(|device| self.view.inventory.devices.get(device))
            .map(|device| device.addresses().collect())
            .unwrap_or_default();
        let rungs = || {
            egress.ladder.iter().filter(|rung| rung.family == family && !own.contains(&rung.from))
        };
        let passes = |valid: bool| {
            (0..self.filed.len()).find(|&row| {
                self.filed.get(row).is_some_and(|filed| {
                    filed.is_valid == valid
                        && rungs()
                            .any(|rung| rung.said != Said::Arrived && filed.answers(rung.from))
                })
            })
        };
        if let Some(row) = passes(true).or_else(|| passes(false)) {
            return Ladder::Passes(row);
        }
        // A gateway that answers no hop itself is known by who answers behind it.
        let behind = rungs().find_map(|rung| {
            let &(nearest, row) = self.behind.get(&(family, rung.from))?;
            (rung.hop_limit > nearest).then_some(row)
        });
        match behind {
            Some(Some(row)) => return Ladder::Passes(row),
            Some(None) => return Ladder::Silent,
            None => {}
        }
        let is_inside = |ip: IpAddr| {
            self.view.index.segment(ip).is_some() || self.view.index.devices_at(ip).next().is_some()
        };
        // Hop by hop from the first behind it: a hop that nobody answers could be a filed gateway.
        for hop_limit in 2..=u8::MAX {
            let here: Vec<&Rung> = rungs().filter(|rung| rung.hop_limit == hop_limit).collect();
            let stands = |rung: &&Rung| {
                rung.said == Said::TimeExceeded && !special::is_link_local(rung.from)
            };
            if here.iter().any(|rung| rung.said == Said::Arrived) {
                return Ladder::Leaves;
            }
            if here.iter().filter(|rung| stands(rung)).any(|rung| !is_inside(rung.from)) {
                return Ladder::Leaves;
            }
            if !here.iter().any(stands) {
                return Ladder::Silent;
            }
        }
        Ladder::Silent
    }
}
