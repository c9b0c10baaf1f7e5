//! `jiebei.result/1` as it is written (contract §4). Only this module is serialised into
//! `result.json`; inner types change freely, this does not. Its JSON Schema is generated from here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub const SCHEMA: &str = "jiebei.result/1";

/// One sweep's (or listening's) result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SweepResult {
    /// Always `jiebei.result/1`.
    pub schema: String,
    pub sweep: Sweep,
    pub coverage: Vec<Coverage>,
    pub devices: Vec<Device>,
    pub segments: Vec<Segment>,
    pub egresses: Vec<Egress>,
    /// Of a listening alone: by whom packets went to public addresses, and came from there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next_hops: Vec<NextHop>,
    pub findings: Vec<Finding>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sweep {
    /// UUID version 7.
    pub id: String,
    pub profile: String,
    /// RFC 3339, UTC.
    pub started_at: String,
    pub finished_at: String,
    /// False where the sweep ended before everything planned was asked.
    pub complete: bool,
    pub authorisation: Authorisation,
    pub registry: Option<RegistrySource>,
    /// The unit whose wire was swept.
    pub unit: Option<String>,
    /// Whether somebody named the unit; else it is that of the approved segment on each wire.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unit_given: bool,
    pub vantages: Vec<Vantage>,
    pub packets_sent: u64,
    pub packets_received: u64,
    /// Frames the kernel dropped before they were read.
    #[serde(default)]
    pub packets_dropped: u64,
    /// Frames sent, by pass.
    #[serde(default)]
    pub passes: Vec<Pass>,
    pub notices: Vec<SweepNotice>,
    /// The program and version that wrote the result.
    #[serde(default)]
    pub generator: String,
    /// The language of titles and remediations: `zh` or `en`.
    #[serde(default)]
    pub language: String,
    /// The regulation's name: its data file in `profiles/regulations`.
    #[serde(default)]
    pub regulation: Option<String>,
    /// The ceilings that held.
    #[serde(default)]
    pub rate: Option<Rate>,
    /// How ways out were looked for: what it takes to hold a collector's log against this sweep later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<EgressSetup>,
    /// The files that lay beside this one when it was written.
    #[serde(default)]
    pub files: Vec<FileDigest>,
}

/// How ways out were looked for. Never the key itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EgressSetup {
    /// The collector's addresses on the internet side.
    pub canaries: Vec<String>,
    /// The zone whose names lead to the collector.
    pub zone: Option<String>,
    /// Where the egress key was kept: `env:NAME` or `file:PATH`.
    pub key: Option<String>,
    /// What receipts were taken from: the collector's URL, or the file of its log.
    pub witness: Option<String>,
}

/// Ceilings over any window of one second, every frame counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rate {
    pub packets_per_second: u64,
    /// For one address.
    pub per_target: u64,
}

/// A file beside the result: what later shows whether it is still the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileDigest {
    pub name: String,
    pub bytes: u64,
    /// Lower-case hex.
    pub sha256: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pass {
    pub name: String,
    pub targets: u64,
    pub packets: u64,
    pub answers: u64,
    pub seconds: f64,
}

/// A remark of the sweep about itself: a stable word, and the sentence in the sweep's language.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SweepNotice {
    pub code: String,
    pub text: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Authorisation {
    pub reference: Option<String>,
    pub authorised_by: Option<String>,
    pub scope: Vec<String>,
    pub exclude: Vec<String>,
    pub observe_only: Vec<String>,
    pub risk: u8,
    pub not_before: Option<String>,
    pub not_after: Option<String>,
    /// `valid`, `absent`, or why it does not hold.
    pub signature: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RegistrySource {
    pub source: String,
    /// Of the files read, in the order of their names.
    pub sha256: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Vantage {
    pub interface: String,
    pub mac: Option<String>,
    /// `address/length`.
    pub addresses: Vec<String>,
    /// By which means frames went: `xdp`, `ring`, `batch` or `pnet`. Absent where none were sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Coverage {
    pub prefix: String,
    pub vantage: String,
    pub methods: Vec<String>,
    /// `tcp/22,80,8000-8010 udp/161`.
    pub ports: String,
    pub asked: u64,
    pub answered: u64,
    pub excluded: u64,
    pub ghosts: u64,
    /// Egress method to `yes`, `no` or `not-run`.
    pub calibrated: std::collections::BTreeMap<String, String>,
    pub why_not: Option<String>,
    /// Of an IPv6 prefix, which is not asked in full: who proposed the addresses that were asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<CandidateYield>,
    /// Whether every address that may be asked was asked to the end.
    #[serde(default)]
    pub complete: bool,
}

/// What one source of candidates brought. An address that several propose is the likeliest one's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CandidateYield {
    /// `registry`, `heard`, `low-byte`, `eui64` …
    pub source: String,
    pub asked: u64,
    /// Of those asked: in use.
    pub answered: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Device {
    /// Stable from sweep to sweep as long as the device's strongest key is.
    pub id: String,
    pub unit: Option<String>,
    pub macs: Vec<String>,
    /// Confirmed: the device answered from them, or was seen using them.
    pub addresses: Vec<String>,
    /// Only named by it or by others; they never merge two devices.
    pub claimed_addresses: Vec<String>,
    pub hostnames: Vec<String>,
    pub bindings: Vec<Binding>,
    pub identity: Identity,
    pub vendor: Option<String>,
    pub kind: Option<String>,
    pub os: Option<String>,
    pub roles: Vec<String>,
    pub registered_as: Option<String>,
    pub services: Vec<Service>,
    pub tunnels: Vec<Tunnel>,
    /// Addresses of it that more than one host may use, with what speaks for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub behind: Vec<Behind>,
    pub first_seen: String,
    pub last_seen: String,
    pub sources: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Binding {
    pub ip: String,
    pub mac: Option<String>,
    pub on_link: bool,
    /// The router through which an off-link address was reached.
    pub via: Option<String>,
    pub sources: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Identity {
    pub ssh_host_key: Option<String>,
    pub serial: Option<String>,
    pub snmp_sysobjectid: Option<String>,
    pub snmp_engine_id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Service {
    pub ip: String,
    /// `tcp/443`.
    pub port: String,
    pub name: Option<String>,
    pub product: Option<String>,
    pub version: Option<String>,
    pub banner: Option<String>,
    pub risks: Vec<String>,
    pub tls: Option<Tls>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tls {
    pub subject: String,
    pub sha256: String,
    pub not_after: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tunnel {
    pub kind: String,
    pub peer: Option<String>,
}

/// Who sent how many packets, as far as they were heard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Talker {
    pub ip: String,
    pub mac: String,
    pub packets: u64,
}

/// A neighbour by which packets went to public addresses or came from there, as far as they were heard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NextHop {
    pub interface: String,
    pub mac: String,
    /// Its addresses on the link, and its row of the registry.
    pub addresses: Vec<String>,
    pub registered_as: Option<String>,
    /// Public addresses on the other side: at least so many.
    pub remotes: u64,
    /// Questions that went out, questions that came in, answers that came back.
    pub outbound: u64,
    pub inbound: u64,
    pub answered: u64,
    /// `tcp`, `udp`, `icmp`, `dns`, `ntp`, `connectivity-check`.
    pub of: Vec<String>,
}

/// What speaks for several hosts behind one address. Never a certainty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Behind {
    pub ip: String,
    pub mac: String,
    /// From 1 to 99. From 50 on it is a finding, unless the device is registered with role nat.
    pub score: u8,
    /// At least so many, the device itself among them.
    pub hosts: u64,
    /// With which hop limits its own packets arrive, and those of hosts behind it.
    pub own_hop_limits: Vec<u8>,
    pub forwarded_hop_limits: Vec<u8>,
    /// Families of systems by how connections are opened, and by what programs say.
    pub systems: Vec<String>,
    pub claimed_systems: Vec<String>,
    /// Clocks of TCP timestamps that run apart.
    pub clocks: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Segment {
    pub prefix: String,
    pub unit: Option<String>,
    pub registered: bool,
    pub gateways: Vec<String>,
    /// Devices seen with an address in it.
    pub live: u64,
    pub evidence: Vec<Evidence>,
    pub sources: Vec<String>,
    /// Of a listening alone: who sends most of those in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub talkers: Vec<Talker>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Egress {
    pub gateway: Gateway,
    pub public_addresses: Vec<String>,
    pub methods: Vec<String>,
    pub evidence: Vec<Evidence>,
    pub registered_as: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gateway {
    pub ip: Option<String>,
    pub mac: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Stable from sweep to sweep.
    pub id: String,
    pub rule: String,
    pub severity: Severity,
    pub confidence: Confidence,
    /// What would show this finding to be wrong.
    pub refuted_by: String,
    pub unit: Option<String>,
    pub articles: Vec<String>,
    pub title: String,
    pub remediation: String,
    /// The change notice that explains it, if one does.
    pub notice: Option<String>,
    pub subject: Subject,
    pub detail: Map<String, Value>,
    pub evidence: Vec<Evidence>,
    pub first_seen: String,
    pub last_seen: String,
    pub status: Status,
    pub waiver: Option<Waiver>,
}

#[derive(
    Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Subject {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Waiver {
    pub until: Option<String>,
    pub reason: Option<String>,
    pub approval: Option<String>,
}

/// What shows it. `packet`: frames of a capture beside the result. `silence`: what was asked and
/// not answered. `registry`: the row it was held against. `observation`: a fact no frame shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    pub kind: EvidenceKind,
    pub summary: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Frame numbers in `file`, from 1, as Wireshark counts them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packets: Vec<u64>,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum EvidenceKind {
    Packet,
    Silence,
    Registry,
    Observation,
}

/// From the least to the gravest, so that `max` is the gravest.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

/// From the weakest to the strongest.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Weak: a vendor name, a banner.
    Hint,
    /// One strong method.
    Indicated,
    /// Two independent methods.
    Corroborated,
    /// Shown twice with fresh tokens, or by the packets themselves.
    Proved,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Open,
    Acknowledged,
    Waived,
    Resolved,
}

impl Severity {
    /// As it is published.
    pub const fn word(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

impl Confidence {
    /// As it is published.
    pub const fn word(self) -> &'static str {
        match self {
            Confidence::Hint => "hint",
            Confidence::Indicated => "indicated",
            Confidence::Corroborated => "corroborated",
            Confidence::Proved => "proved",
        }
    }
}

impl Status {
    /// As it is published.
    pub const fn word(self) -> &'static str {
        match self {
            Status::Open => "open",
            Status::Acknowledged => "acknowledged",
            Status::Waived => "waived",
            Status::Resolved => "resolved",
        }
    }
}
