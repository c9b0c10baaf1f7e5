//! Inventory and findings turned into the published result, and the frames that prove it picked.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::evidence::{EvidencePlan, Frames, Wanted};
use super::names;
use super::v1::{
    Behind, Binding, CandidateYield, Coverage, Device, Egress, Evidence, EvidenceKind, Finding,
    Gateway, Identity, NextHop, SCHEMA, Segment, Service, Subject, Sweep, SweepResult, Talker,
    Tunnel, Waiver,
};
use crate::audit::{self, Audit, Calibrated, EgressFound, Proof, Regulation};
use crate::inventory::{self, Context, EgressCoverage, Inventory};
use crate::net::{Port, Prefix, Transport, port};
use crate::observe::{EgressMethod, FrameNumber, Log, ObservationId, VantageId};
use crate::texts::Texts;

/// Frames that one finding or segment may claim. What several hundred frames show, the first ones do.
const MOST_FRAMES: usize = 64;

/// Pieces of evidence that one source of a segment gives.
const PIECES_A_SOURCE: usize = 2;

/// What a result is made from.
pub struct Parts<'a> {
    /// The head, as the conductor knows it.
    pub sweep: Sweep,
    pub inventory: &'a Inventory,
    pub context: &'a Context,
    pub audit: &'a Audit,
    pub log: &'a Log,
    pub regulation: &'a Regulation,
    pub texts: &'a Texts,
    /// What was not done, and why, by prefix and vantage.
    pub why_not: &'a BTreeMap<(Prefix, VantageId), String>,
}

/// The result, and the plan of the capture that its evidence points into.
///
/// A frame that `frames` does not have is not pointed at: its observation then stands as a fact
/// without a packet.
pub fn assemble(parts: Parts<'_>, frames: &mut dyn Frames) -> (SweepResult, EvidencePlan) {
    let mut wanted = Wanted::default();
    for finding in &parts.audit.findings {
        let shows = format!("finding {}", finding.id);
        let mut left = MOST_FRAMES;
        for proof in &finding.evidence {
            let numbers = frames_of(parts.log, proof);
            let numbers = numbers.get(..left).unwrap_or(&numbers);
            left -= numbers.len();
            wanted.want(numbers, &shows);
        }
    }
    for segment in &parts.inventory.segments {
        let shows = format!("segment {}", segment.prefix);
        for proof in proofs(segment) {
            wanted.want(&frames_of(parts.log, &proof), &shows);
        }
    }
    for found in &parts.audit.egresses {
        let shows = format!("egress {}", gateway(found));
        let mut left = MOST_FRAMES;
        for proof in &found.evidence {
            let numbers = frames_of(parts.log, proof);
            let numbers = numbers.get(..left).unwrap_or(&numbers);
            left -= numbers.len();
            wanted.want(numbers, &shows);
        }
    }
    let plan = wanted.plan(frames);

    let result = SweepResult {
        schema: SCHEMA.to_owned(),
        coverage: parts
            .inventory
            .coverage
            .iter()
            .enumerate()
            .map(|(place, row)| coverage(row, parts.audit.calibrated.get(place), &parts))
            .chain(unasked(&parts))
            .collect(),
        devices: parts
            .inventory
            .devices
            .iter()
            .enumerate()
            .map(|(place, found)| {
                let (tunnels, behind) = (tunnels(place, &parts), behind(place, &parts));
                Device { tunnels, behind, ..device(found, parts.audit.devices.get(place)) }
            })
            .collect(),
        segments: parts
            .inventory
            .segments
            .iter()
            .enumerate()
            .map(|(place, found)| Segment {
                talkers: talkers(place, &parts),
                ..segment(found, parts.audit.segments.get(place), &parts, &plan)
            })
            .collect(),
        egresses: parts.audit.egresses.iter().map(|found| egress(found, &parts, &plan)).collect(),
        next_hops: next_hops(&parts),
        findings: parts.audit.findings.iter().map(|found| finding(found, &parts, &plan)).collect(),
        sweep: parts.sweep,
    };
    (result, plan)
}

fn frames_of(log: &Log, proof: &Proof) -> Vec<FrameNumber> {
    let of = |id: &ObservationId| match log.get(*id) {
        Some(observation) => observation.frames.as_slice(),
        None => &[],
    };
    match proof {
        Proof::Observed(id) => of(id).to_vec(),
        Proof::Silence { asked, .. } => asked.iter().flat_map(of).copied().collect(),
        Proof::Row { .. } => Vec::new(),
    }
}

fn evidence(proof: &Proof, parts: &Parts<'_>, plan: &EvidencePlan) -> Evidence {
    let packets = plan.places(&frames_of(parts.log, proof));
    let kind = match proof {
        Proof::Observed(_) if packets.is_empty() => EvidenceKind::Observation,
        Proof::Observed(_) => EvidenceKind::Packet,
        Proof::Silence { .. } => EvidenceKind::Silence,
        Proof::Row { .. } => EvidenceKind::Registry,
    };
    Evidence {
        kind,
        summary: audit::say_proof(proof, parts.log, parts.texts),
        file: (!packets.is_empty()).then(|| names::EVIDENCE.to_owned()),
        packets,
    }
}

fn finding(found: &audit::Finding, parts: &Parts<'_>, plan: &EvidencePlan) -> Finding {
    let or_start = |at: Option<Timestamp>| match at {
        Some(at) => at.to_string(),
        None => parts.sweep.started_at.clone(),
    };
    let mut finding = Finding {
        id: found.id.to_string(),
        rule: found.rule.to_owned(),
        severity: found.severity,
        confidence: found.confidence,
        refuted_by: String::new(),
        unit: found.unit.clone(),
        articles: parts
            .regulation
            .rules
            .get(found.rule)
            .map(|rule| rule.articles.clone())
            .unwrap_or_default(),
        title: String::new(),
        remediation: String::new(),
        notice: found.notice.clone(),
        subject: Subject {
            ip: found.subject.ip.map(|ip| ip.to_string()),
            mac: found.subject.mac.map(|mac| mac.to_string()),
            prefix: found.subject.prefix.map(|prefix| prefix.to_string()),
            port: found.subject.port.map(|port| port.to_string()),
        },
        detail: found.detail.clone(),
        evidence: found.evidence.iter().map(|proof| evidence(proof, parts, plan)).collect(),
        first_seen: or_start(found.first_seen),
        last_seen: or_start(found.last_seen),
        status: found.status,
        waiver: found.waiver.as_ref().map(|waiver| Waiver {
            until: waiver.until.map(|day| day.to_string()),
            reason: waiver.reason.clone(),
            approval: waiver.approval.clone(),
        }),
    };
    let sentences = audit::say(&finding, parts.texts, parts.regulation);
    finding.title = sentences.title;
    finding.remediation = sentences.remediation;
    finding.refuted_by = sentences.refuted_by;
    finding
}

/// What shows a segment: the first observations of each source.
fn proofs(segment: &inventory::Segment) -> impl Iterator<Item = Proof> {
    segment
        .sources
        .values()
        .flat_map(|ids| ids.iter().take(PIECES_A_SOURCE))
        .map(|id| Proof::Observed(*id))
}

fn segment(
    found: &inventory::Segment,
    attribution: Option<&audit::Attribution>,
    parts: &Parts<'_>,
    plan: &EvidencePlan,
) -> Segment {
    Segment {
        prefix: found.prefix.to_string(),
        unit: attribution.and_then(|attribution| attribution.unit.clone()),
        registered: attribution.is_some_and(|attribution| attribution.registered_as.is_some()),
        gateways: found.gateways.iter().map(ToString::to_string).collect(),
        live: found.live,
        evidence: proofs(found).map(|proof| evidence(&proof, parts, plan)).collect(),
        sources: found.sources.keys().map(|source| source.word().to_owned()).collect(),
        talkers: Vec::new(),
    }
}

/// Who talks most in a segment. Of a sweep nothing is told: its own questions make the others talk.
fn talkers(place: usize, parts: &Parts<'_>) -> Vec<Talker> {
    let talkers = parts.inventory.talkers.get(place).filter(|_| parts.sweep.packets_sent == 0);
    let talkers = talkers.into_iter().flatten().map(|talker| Talker {
        ip: talker.ip.to_string(),
        mac: talker.mac.to_string(),
        packets: talker.packets,
    });
    talkers.collect()
}

fn next_hops(parts: &Parts<'_>) -> Vec<NextHop> {
    let told = parts.inventory.next_hops.iter().filter(|_| parts.sweep.packets_sent == 0);
    let told = told.map(|hop| {
        let device = hop.device.and_then(|place| parts.inventory.devices.get(place));
        let attribution = hop.device.and_then(|place| parts.audit.devices.get(place));
        let vantage = parts.context.vantages.get(usize::from(hop.vantage.0));
        NextHop {
            interface: vantage.map(|vantage| vantage.interface.clone()).unwrap_or_default(),
            mac: hop.mac.to_string(),
            addresses: device
                .map(|device| device.addresses().map(|ip| ip.to_string()).collect())
                .unwrap_or_default(),
            registered_as: attribution.and_then(|attribution| attribution.registered_as.clone()),
            remotes: hop.remotes as u64,
            outbound: hop.outbound,
            inbound: hop.inbound,
            answered: hop.answered,
            of: hop.of.iter().cloned().collect(),
        }
    });
    told.collect()
}

/// How people name who leads out.
fn gateway(found: &EgressFound) -> String {
    let ip = found.ip.map(|ip| ip.to_string());
    ip.or_else(|| found.mac.map(|mac| mac.to_string())).unwrap_or_else(|| "-".to_owned())
}

fn egress(found: &EgressFound, parts: &Parts<'_>, plan: &EvidencePlan) -> Egress {
    Egress {
        gateway: Gateway {
            ip: found.ip.map(|ip| ip.to_string()),
            mac: found.mac.map(|mac| mac.to_string()),
        },
        public_addresses: found.public_addresses.iter().map(ToString::to_string).collect(),
        methods: found.methods.iter().map(|method| method.word().to_owned()).collect(),
        evidence: found.evidence.iter().map(|proof| evidence(proof, parts, plan)).collect(),
        registered_as: found.registered_as.clone(),
    }
}

/// Peers that a tunnel of a device is listed with; the observations have all.
const MOST_PEERS: usize = 32;

/// The tunnels that a device sends into, or the device that uses the address which does.
fn tunnels(place: usize, parts: &Parts<'_>) -> Vec<Tunnel> {
    let ends = parts.inventory.tunnels.iter().filter(|end| end.devices.contains(&place));
    ends.flat_map(|end| {
        end.peers.iter().take(MOST_PEERS).map(|peer| Tunnel {
            kind: inventory::tunnel_word(end.kind).to_owned(),
            peer: Some(peer.to_string()),
        })
    })
    .collect()
}

fn behind(place: usize, parts: &Parts<'_>) -> Vec<Behind> {
    let of = parts.inventory.behind.iter().filter(|behind| behind.device == place);
    of.map(|found| Behind {
        ip: found.ip.to_string(),
        mac: found.mac.to_string(),
        score: found.score,
        hosts: found.hosts as u64,
        own_hop_limits: found.own.iter().copied().collect(),
        forwarded_hop_limits: found.forwarded.iter().copied().collect(),
        systems: found.systems.iter().cloned().collect(),
        claimed_systems: found.claimed_systems.iter().cloned().collect(),
        clocks: found.clocks as u64,
    })
    .collect()
}

fn device(found: &inventory::Device, attribution: Option<&audit::Attribution>) -> Device {
    let mut roles: Vec<String> = found.roles.keys().map(|role| role.word().to_owned()).collect();
    roles.dedup();
    Device {
        id: found.id.to_string(),
        unit: attribution.and_then(|attribution| attribution.unit.clone()),
        macs: found.macs.iter().map(ToString::to_string).collect(),
        addresses: found.addresses().map(|ip| ip.to_string()).collect(),
        claimed_addresses: {
            let mut claimed: Vec<_> = found.claimed.iter().map(|claimed| claimed.value).collect();
            claimed.sort_unstable();
            claimed.dedup();
            claimed.iter().map(ToString::to_string).collect()
        },
        hostnames: found.hostnames.iter().map(|name| name.raw().to_owned()).collect(),
        bindings: found
            .bindings
            .iter()
            .map(|binding| Binding {
                ip: binding.ip.to_string(),
                mac: binding.mac.map(|mac| mac.to_string()),
                on_link: binding.on_link,
                via: binding.via.map(|mac| mac.to_string()),
                sources: binding.sources.iter().map(|source| source.word().to_owned()).collect(),
            })
            .collect(),
        identity: Identity::default(),
        vendor: found.vendor.map(str::to_owned),
        kind: None,
        os: None,
        roles,
        registered_as: attribution.and_then(|attribution| attribution.registered_as.clone()),
        services: found
            .services
            .iter()
            .map(|service| Service {
                ip: service.ip.to_string(),
                port: service.port.to_string(),
                name: super::port_names::port_name(service.port).map(str::to_owned),
                product: None,
                version: None,
                banner: None,
                risks: Vec::new(),
                tls: None,
            })
            .collect(),
        tunnels: Vec::new(),
        behind: Vec::new(),
        first_seen: found.first_seen.to_string(),
        last_seen: found.last_seen.to_string(),
        sources: found.sources.iter().map(|source| source.word().to_owned()).collect(),
    }
}

fn coverage(
    row: &inventory::Coverage,
    calibrated: Option<&BTreeMap<EgressMethod, Calibrated>>,
    parts: &Parts<'_>,
) -> Coverage {
    let vantage = parts.context.vantages.get(usize::from(row.vantage.0));
    Coverage {
        prefix: row.prefix.to_string(),
        vantage: vantage.map(|vantage| vantage.interface.clone()).unwrap_or_default(),
        methods: row
            .methods
            .keys()
            .cloned()
            .chain(
                row.egress
                    .iter()
                    .filter(|(_, did)| matches!(did, EgressCoverage::Ran(_)))
                    .map(|(method, _)| method.word().to_owned()),
            )
            .collect(),
        ports: ports(row.ports.iter().copied()),
        asked: row.asked,
        answered: row.answered,
        excluded: row.excluded,
        ghosts: row.ghosts,
        calibrated: calibrated
            .into_iter()
            .flatten()
            .map(|(method, calibrated)| (method.word().to_owned(), calibrated.word().to_owned()))
            .collect(),
        why_not: why_not(row, calibrated, parts),
        candidates: row
            .candidates
            .iter()
            .map(|(source, found)| CandidateYield {
                source: source.clone(),
                asked: found.asked,
                answered: found.answered,
            })
            .collect(),
        complete: row.is_complete(),
    }
}

/// A row for each prefix of which it is known why nothing of it was asked. On its own link a vantage listened all the same.
fn unasked<'a>(parts: &'a Parts<'_>) -> impl Iterator<Item = Coverage> + 'a {
    let has_row = |prefix, vantage| {
        parts.inventory.coverage.iter().any(|row| (row.prefix, row.vantage) == (prefix, vantage))
    };
    let rows = parts.why_not.iter();
    rows.filter(move |((prefix, vantage), _)| !has_row(*prefix, *vantage)).map(
        |((prefix, vantage), why)| {
            let stands = parts.context.vantages.get(usize::from(vantage.0));
            let is_on_link =
                stands.is_some_and(|at| at.addresses.iter().any(|(_, own)| own == prefix));
            let in_use = parts.inventory.in_use.keys();
            Coverage {
                prefix: prefix.to_string(),
                vantage: stands.map(|at| at.interface.clone()).unwrap_or_default(),
                methods: is_on_link
                    .then(|| EgressMethod::Passive.word().to_owned())
                    .into_iter()
                    .collect(),
                ports: String::new(),
                asked: 0,
                answered: in_use.filter(|ip| prefix.contains(**ip)).count() as u64,
                excluded: 0,
                ghosts: 0,
                calibrated: BTreeMap::new(),
                why_not: Some(why.clone()),
                candidates: Vec::new(),
                complete: false,
            }
        },
    )
}

/// What was not done and why: one line for the prefix, and one for each egress method, which its word begins.
fn why_not(
    row: &inventory::Coverage,
    calibrated: Option<&BTreeMap<EgressMethod, Calibrated>>,
    parts: &Parts<'_>,
) -> Option<String> {
    let mut lines: Vec<String> = Vec::new();
    lines.extend(parts.why_not.get(&(row.prefix, row.vantage)).cloned());
    for (method, did) in &row.egress {
        let is_void = calibrated.and_then(|of| of.get(method)) == Some(&Calibrated::No);
        let key = match did {
            EgressCoverage::NotRun(why) => format!("sweep-egress-not-run-{}", why.word()),
            EgressCoverage::Ran(_) if is_void => format!("sweep-egress-void-{}", method.word()),
            EgressCoverage::Ran(_) => continue,
        };
        lines.push(format!("{}: {}", method.word(), parts.texts.say(&key, &[])));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// The part of a row's `why_not` that egress methods did not write: theirs is found anew by who judges anew.
pub fn why_not_of_prefix(written: &str) -> Option<String> {
    let is_of_method = |line: &&str| {
        let word = line.split(": ").next().unwrap_or_default();
        EgressMethod::ALL.iter().any(|method| method.word() == word)
    };
    let kept: Vec<&str> = written.lines().filter(|line| !is_of_method(line)).collect();
    (!kept.is_empty()).then(|| kept.join("\n"))
}

/// `tcp/22,80,8000-8010 udp/161`.
fn ports(ports: impl Iterator<Item = Port>) -> String {
    let mut by_transport: BTreeMap<Transport, Vec<u16>> = BTreeMap::new();
    for port in ports {
        by_transport.entry(port.transport).or_default().push(port.number);
    }
    let lists: Vec<String> = by_transport
        .into_iter()
        .map(|(transport, numbers)| format!("{transport}/{}", port::ranges(&numbers)))
        .collect();
    lists.join(" ")
}
