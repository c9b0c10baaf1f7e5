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

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::view::{Row, View, routes};
use crate::inventory::egress::{Egress, Said, SeenAs, Sighting};
use crate::inventory::{DeviceKey, EgressCoverage};
use crate::net::special::{self, Purpose};
use crate::net::{Family, Mac, Prefix, carrier};
use crate::observe::{EgressMethod, ObservationId, SeenBy, VantageId};
use crate::registry::model::{self, Role};
use crate::result::v1::Confidence;

/// Receipts shown of one method, hops, and facts of the other methods.
const SHOWN: usize = 4;
/// Public addresses that one way out lists at most.
const LISTED: usize = 64;

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

/// A filed egress that has begun, and who its gateway is.
struct Filed<'a> {
    row: &'a model::Egress,
    is_valid: bool,
    addresses: BTreeSet<IpAddr>,
    macs: BTreeSet<Mac>,
    devices: BTreeSet<usize>,
}

/// What one sighting or saying comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
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

struct Claim {
    verdict: Verdict,
    method: EgressMethod,
    /// Zero where the method has no rounds.
    round: u8,
    public: Option<IpAddr>,
    evidence: Vec<ObservationId>,
}

/// A registered gateway that a canary was reached through.
struct Out {
    family: Family,
    vantage: VantageId,
    /// Whether all that came through had another source than ours.
    translates: bool,
    hops: Option<u8>,
}

struct Judge<'v, 'a> {
    view: &'v View<'a>,
    filed: Vec<Filed<'a>>,
    /// For each of the inventory's, the filed egresses that it is the gateway of.
    gateway_of: Vec<Vec<usize>>,
    /// Unfiled public addresses that filed gateways showed of themselves.
    shown: BTreeMap<IpAddr, usize>,
    /// The same of devices that are registered to route, but as no filed egress's gateway.
    routed: BTreeMap<IpAddr, usize>,
    out: Vec<Out>,
    has_receipts: bool,
}

/// Every way out that was found.
pub(super) fn ways<'a>(view: &View<'a>) -> Vec<Way<'a>> {
    let judge = Judge::of(view);
    let all = &view.inventory.egresses.of;
    let mut filed: BTreeMap<(usize, bool), Vec<(usize, Claim)>> = BTreeMap::new();
    let mut ways = Vec::new();
    for (place, egress) in all.iter().enumerate() {
        let mut own = Vec::new();
        for claim in judge.claims(place, egress) {
            match claim.verdict {
                Verdict::Filed(row) => {
                    filed.entry((row, false)).or_default().push((place, claim));
                }
                Verdict::Mismatch(row) => {
                    filed.entry((row, true)).or_default().push((place, claim));
                }
                Verdict::Own | Verdict::Hinted => own.push(claim),
                Verdict::Nothing => {}
            }
        }
        if !own.is_empty() {
            ways.push(judge.own_way(egress, own));
        }
    }
    let mut known: Vec<Way<'a>> = filed
        .into_iter()
        .filter_map(|((row, mismatch), claims)| judge.filed_way(row, mismatch, claims))
        .collect();
    known.extend(ways);
    known
}

impl<'v, 'a> Judge<'v, 'a> {
    fn of(view: &'v View<'a>) -> Judge<'v, 'a> {
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
            has_receipts,
        };
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
    fn by_address(&self, address: IpAddr) -> Option<usize> {
        let holds = |filed: &Filed<'_>| filed.row.public.iter().any(|p| p.contains(address));
        let places = |valid: bool| {
            let mut all = self.filed.iter();
            all.position(|filed| filed.is_valid == valid && holds(filed))
        };
        places(true).or_else(|| places(false))
    }

    fn is_registered_router(&self, egress: &Egress) -> bool {
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

    fn claims(&self, place: usize, egress: &Egress) -> Vec<Claim> {
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
        on_link || self.filed.iter().filter(|filed| filed.is_valid).all(|filed| self.was_out(filed))
    }

    fn was_out(&self, filed: &Filed<'_>) -> bool {
        let all = self.view.inventory.egresses.of.iter();
        all.filter(|egress| egress.device.is_some_and(|device| filed.devices.contains(&device)))
            .flat_map(|egress| &egress.sightings)
            .any(Sighting::is_steered)
    }

    /// Whether no registered gateway can be whose way it is: each that there is in this family was asked and
    /// led nowhere; or none is filed and none was seen.
    fn is_without_registered_way(&self, egress: &Egress, family: Family) -> bool {
        let devices = &self.view.inventory.devices;
        let on_link = egress
            .device
            .and_then(|device| devices.get(device))
            .is_some_and(|device| device.is_on_link());
        let mut gateways: BTreeSet<usize> = self
            .filed
            .iter()
            .filter(|filed| filed.is_valid)
            .flat_map(|filed| filed.devices.iter().copied())
            .collect();
        gateways.extend((0..devices.len()).filter(|&device| {
            let roles = self.view.registered(device).map(|registered| registered.roles.as_slice());
            roles.unwrap_or_default().contains(&Role::Gateway)
        }));
        // A host leaves its link by somebody on it.
        gateways.retain(|&gateway| {
            !on_link || devices.get(gateway).is_some_and(|device| device.is_on_link())
        });
        let asked = |gateway: usize| {
            let mut all = self.view.inventory.egresses.of.iter();
            all.any(|other| {
                other.device == Some(gateway)
                    && other.asked.iter().any(|(method, of, _)| {
                        *of == family
                            && matches!(method, EgressMethod::NextHop | EgressMethod::Ipv6)
                    })
            })
        };
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
        gateways.iter().all(|&gateway| asked(gateway) || on_link && !speaks(gateway)) && !unseen()
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
        let through = egress
            .passages
            .iter()
            .filter(|(passage, _)| is_public(passage.remote, self.view) && !is_ours(passage.local));
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
        let calibrated = || {
            let all = self.view.inventory.egresses.of.iter();
            all.flat_map(|other| &other.sightings).any(|one| {
                one.is_receipt() && (one.is_steered() || Family::of(one.canary) == Family::Ipv6)
            })
        };
        asked && !came && calibrated()
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
        let is_inside = |ip: IpAddr| {
            self.view.index.segment(ip).is_some() || self.view.index.devices_at(ip).next().is_some()
        };
        let leaves = rungs().any(|rung| match rung.said {
            Said::TimeExceeded => !special::is_link_local(rung.from) && !is_inside(rung.from),
            // Nothing stands between it and the canary.
            Said::Arrived => rung.hop_limit == 2,
            Said::Refused => false,
        });
        if leaves { Ladder::Leaves } else { Ladder::Silent }
    }

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

    fn own_way(&self, egress: &Egress, claims: Vec<Claim>) -> Way<'a> {
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

    fn filed_way(
        &self,
        row: usize,
        mismatch: bool,
        claims: Vec<(usize, Claim)>,
    ) -> Option<Way<'a>> {
        let filed = self.filed.get(row)?;
        let whose = match (filed.is_valid, mismatch) {
            (true, false) => Whose::Filed(filed.row),
            (true, true) => Whose::Mismatch(filed.row),
            (false, _) => Whose::Expired(filed.row),
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

/// Whether a packet that was steered through a device passes a filed gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ladder {
    Passes(usize),
    /// Somebody answered behind it who is in no table.
    Leaves,
    Silent,
}

impl<'a> Filed<'a> {
    fn of(row: &'a model::Egress, view: &View<'a>) -> Filed<'a> {
        let day = view.index.day();
        let mut addresses: BTreeSet<IpAddr> = view.index.gateway_addresses(row).collect();
        let mut macs = BTreeSet::new();
        let mut rows: Vec<&model::Device> = Vec::new();
        if let Some(model::GatewayRef::Device(name)) = &row.gateway {
            rows.extend(view.index.device(&row.unit, name));
        }
        for &ip in &addresses.clone() {
            rows.extend(view.index.devices_at(ip));
        }
        let mut devices: BTreeSet<usize> = BTreeSet::new();
        for of in rows {
            addresses.extend(&of.ip);
            macs.extend(&of.mac);
            let seen: BTreeSet<_> =
                view.matching(Row::Device(of)).into_iter().map(|device| device.key).collect();
            let all = &view.inventory.devices;
            devices.extend(
                (0..all.len()).filter(|&place| {
                    all.get(place).is_some_and(|device| seen.contains(&device.key))
                }),
            );
        }
        for &ip in &addresses {
            devices.extend(view.at(ip).map(|(place, _)| place));
        }
        for &place in &devices {
            let device = view.inventory.devices.get(place);
            addresses.extend(device.into_iter().flat_map(|device| device.addresses()));
        }
        Filed { row, is_valid: row.is_valid_on(day), addresses, macs, devices }
    }

    /// Whether an answer from here is its gateway's: an address of it, or one on its outer side.
    fn answers(&self, from: IpAddr) -> bool {
        self.addresses.contains(&from) || self.row.public.iter().any(|prefix| prefix.contains(from))
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
    use crate::net::AddressSet;
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
