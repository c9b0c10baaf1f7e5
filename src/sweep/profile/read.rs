//! Reading a profile: every fault of the file in one pass, each with its row and column.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use jiff::Timestamp;
use serde::Deserialize;
use toml::Spanned;

use super::ports::{PortList, Ranking};
use super::secret::SecretRef;
use super::{
    Audit, Authorisation, Collector, Discovery, Egress, Hear, Method, Passive, Profile, Rate,
    Services, SnmpCredential,
};
use crate::net::Prefix;
use crate::observe::EgressMethod;
use crate::result::v1::Severity;

/// A profile with faults is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The file's path, or the built-in profile's name.
    pub file: String,
    pub faults: Vec<Fault>,
}

/// One fault, where it stands and what it is. Rows and columns count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub row: usize,
    pub column: usize,
    /// The key it is about, as `table.key`.
    pub key: String,
    pub value: String,
    pub kind: FaultKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// Not TOML, or a value of the wrong type: what the reader says.
    Syntax(String),
    Prefix,
    /// The prefix that was meant.
    HostBits(Prefix),
    Address,
    Ports,
    Instant,
    /// The words there are.
    Word(&'static [&'static str]),
    /// The least and the greatest.
    Range(u64, u64),
    Secret,
    WindowEnds,
    /// Not `https://ADDRESS:PORT`.
    CollectorUrl,
    Pin,
    Zone,
}

impl FaultKind {
    /// The key of its sentence in the texts; the mend's is the same with `-mend`.
    pub fn word(&self) -> &'static str {
        match self {
            FaultKind::Syntax(_) => "profile-fault-syntax",
            FaultKind::Prefix => "profile-fault-prefix",
            FaultKind::HostBits(_) => "profile-fault-host-bits",
            FaultKind::Address => "profile-fault-address",
            FaultKind::Ports => "profile-fault-ports",
            FaultKind::Instant => "profile-fault-instant",
            FaultKind::Word(_) => "profile-fault-word",
            FaultKind::Range(..) => "profile-fault-range",
            FaultKind::Secret => "profile-fault-secret",
            FaultKind::WindowEnds => "profile-fault-window",
            FaultKind::CollectorUrl => "profile-fault-collector-url",
            FaultKind::Pin => "profile-fault-pin",
            FaultKind::Zone => "profile-fault-zone",
        }
    }

    /// What the sentence has to name: the prefix meant, the words there are, the range.
    pub fn argument(&self) -> String {
        match self {
            FaultKind::Syntax(said) => said.clone(),
            FaultKind::HostBits(prefix) => prefix.to_string(),
            FaultKind::Word(words) => words.join(" "),
            FaultKind::Range(least, most) => format!("{least}–{most}"),
            _ => String::new(),
        }
    }
}

const METHODS: &[&str] = &["arp", "ndp", "icmp", "icmpv6", "tcp", "udp"];
const HEAR: &[&str] = &[Hear::Everything.word(), Hear::Openings.word()];
const EGRESS_METHODS: &[&str] = &[
    EgressMethod::NextHop.word(),
    EgressMethod::SpoofedSource.word(),
    EgressMethod::Proxy.word(),
    EgressMethod::Dns.word(),
    EgressMethod::PortMapping.word(),
    EgressMethod::Ipv6.word(),
    EgressMethod::Passive.word(),
];
const SEVERITIES: &[&str] = &["critical", "high", "medium", "low", "info"];
const SNMP_VERSIONS: &[&str] = &["1", "2c", "3"];

/// A profile is some kilobytes; a scope of many units tens of them.
pub const MOST_OCTETS: usize = 1 << 20;

type Text = Spanned<String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProfile {
    #[serde(default)]
    profile: RawHead,
    #[serde(default)]
    authorisation: RawAuthorisation,
    #[serde(default)]
    rate: RawRate,
    #[serde(default)]
    discovery: RawDiscovery,
    #[serde(default)]
    services: RawServices,
    #[serde(default)]
    passive: RawPassive,
    #[serde(default)]
    egress: RawEgress,
    #[serde(default)]
    audit: RawAudit,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawHead {
    name: Option<String>,
    description: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawAuthorisation {
    reference: Option<String>,
    authorised_by: Option<String>,
    #[serde(default)]
    scope: Vec<Text>,
    #[serde(default)]
    exclude: Vec<Text>,
    #[serde(default)]
    observe_only: Vec<Text>,
    risk: Option<Spanned<i64>>,
    not_before: Option<Spanned<toml::Value>>,
    not_after: Option<Spanned<toml::Value>>,
    signature: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawRate {
    packets_per_second: Option<Spanned<i64>>,
    per_target: Option<Spanned<i64>>,
    per_prefix: Option<Spanned<i64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawDiscovery {
    methods: Option<Vec<Text>>,
    tcp_ports: Option<Text>,
    udp_ports: Option<Text>,
    #[serde(default)]
    explore: Vec<Text>,
    #[serde(default)]
    mld_query: bool,
    dhcp: Option<bool>,
    ipv6_dns: Option<bool>,
    #[serde(default)]
    axfr: bool,
    #[serde(default)]
    name_servers: Vec<Text>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawServices {
    identify: Option<bool>,
    #[serde(default)]
    snmp: Vec<RawSnmp>,
    #[serde(default)]
    default_communities: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSnmp {
    version: Text,
    community: Option<Text>,
    user: Option<String>,
    auth: Option<String>,
    auth_key: Option<Text>,
    privacy: Option<String>,
    privacy_key: Option<Text>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawPassive {
    seconds: Option<Spanned<i64>>,
    hear: Option<Text>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawEgress {
    methods: Option<Vec<Text>>,
    #[serde(default)]
    canaries: Vec<Text>,
    canary_zone: Option<Text>,
    key: Option<Text>,
    collector: Option<RawCollector>,
    witness_log: Option<String>,
    #[serde(default)]
    reference: Vec<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCollector {
    url: Text,
    token: Option<Text>,
    pin: Option<Text>,
    identity: Option<Text>,
    authority: Option<Text>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawAudit {
    regulation: Option<String>,
    #[serde(default)]
    severity: BTreeMap<String, Text>,
}

/// The faults of one reading, and where a place of the text stands.
struct Reading<'a> {
    text: &'a str,
    faults: Vec<Fault>,
}

impl Reading<'_> {
    fn fault(&mut self, span: Range<usize>, key: &str, value: &str, kind: FaultKind) {
        let (row, column) = place(self.text, span.start);
        let value = value.chars().take(80).collect();
        self.faults.push(Fault { row, column, key: key.to_owned(), value, kind });
    }

    fn prefixes(&mut self, key: &str, texts: &[Text]) -> Vec<Prefix> {
        let mut prefixes = Vec::new();
        for text in texts {
            match text.get_ref().parse::<Prefix>() {
                Ok(prefix) => prefixes.push(prefix),
                Err(crate::net::prefix::BadPrefix::HostBits { meant, .. }) => {
                    self.fault(text.span(), key, text.get_ref(), FaultKind::HostBits(meant));
                }
                Err(_) => self.fault(text.span(), key, text.get_ref(), FaultKind::Prefix),
            }
        }
        prefixes
    }

    fn addresses(&mut self, key: &str, texts: &[Text]) -> Vec<std::net::IpAddr> {
        let mut addresses = Vec::new();
        for text in texts {
            match text.get_ref().parse() {
                Ok(address) => addresses.push(address),
                Err(_) => self.fault(text.span(), key, text.get_ref(), FaultKind::Address),
            }
        }
        addresses
    }

    fn number(&mut self, key: &str, value: Option<Spanned<i64>>, default: u32, most: u32) -> u32 {
        let least = u32::from(key != "passive.seconds" && key != "authorisation.risk");
        let Some(value) = value else { return default };
        match u32::try_from(*value.get_ref()) {
            Ok(number) if (least..=most).contains(&number) => number,
            _ => {
                let written = value.get_ref().to_string();
                let kind = FaultKind::Range(u64::from(least), u64::from(most));
                self.fault(value.span(), key, &written, kind);
                default
            }
        }
    }

    /// RFC 3339 with an offset; TOML's own date-times and quoted ones alike.
    fn instant(&mut self, key: &str, value: Option<Spanned<toml::Value>>) -> Option<Timestamp> {
        let value = value?;
        let written = match value.get_ref() {
            toml::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        match written.parse::<Timestamp>() {
            Ok(instant) => Some(instant),
            Err(_) => {
                self.fault(value.span(), key, &written, FaultKind::Instant);
                None
            }
        }
    }

    fn ports(
        &mut self,
        key: &str,
        text: Option<Text>,
        default: &str,
        ranking: Ranking,
    ) -> PortList {
        let (written, span) = match &text {
            Some(text) => (text.get_ref().as_str(), text.span()),
            None => (default, 0..0),
        };
        PortList::read(written, ranking).unwrap_or_else(|_| {
            self.fault(span, key, written, FaultKind::Ports);
            PortList::default()
        })
    }

    fn word(&mut self, key: &str, text: &Text, words: &'static [&'static str]) -> Option<usize> {
        let place = words.iter().position(|word| word == text.get_ref());
        if place.is_none() {
            self.fault(text.span(), key, text.get_ref(), FaultKind::Word(words));
        }
        place
    }

    fn collector(&mut self, collector: &RawCollector) -> Option<Collector> {
        let token = self.secret("egress.collector.token", collector.token.as_ref());
        let identity = self.secret("egress.collector.identity", collector.identity.as_ref());
        let authority = self.secret("egress.collector.authority", collector.authority.as_ref());
        let pin = collector.pin.as_ref().and_then(|pin| {
            let read = read_pin(pin.get_ref());
            if read.is_none() {
                self.fault(pin.span(), "egress.collector.pin", pin.get_ref(), FaultKind::Pin);
            }
            read
        });
        let Some(address) = read_url(collector.url.get_ref()) else {
            let url = &collector.url;
            self.fault(url.span(), "egress.collector.url", url.get_ref(), FaultKind::CollectorUrl);
            return None;
        };
        if collector.pin.is_none() && collector.authority.is_none() {
            // By what else would it be known?
            self.fault(collector.url.span(), "egress.collector.pin", "", FaultKind::Pin);
        }
        Some(Collector { address, token, pin, identity, authority })
    }

    /// A name of the DNS, without the dot at its end. RFC 1035 §2.3.4, less room for a token's label.
    fn zone(&mut self, text: &Text) -> Option<String> {
        let zone = text.get_ref().trim_end_matches('.').to_ascii_lowercase();
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|o| o.is_ascii_alphanumeric() || o == b'-' || o == b'_')
        };
        if zone.len() <= 200 && zone.split('.').all(is_label) {
            return Some(zone);
        }
        self.fault(text.span(), "egress.canary_zone", text.get_ref(), FaultKind::Zone);
        None
    }

    /// What stands there may be the secret itself, so it is not repeated.
    fn secret(&mut self, key: &str, text: Option<&Text>) -> Option<SecretRef> {
        let text = text?;
        let reference = SecretRef::of(text.get_ref());
        if reference.is_none() {
            self.fault(text.span(), key, "…", FaultKind::Secret);
        }
        reference
    }
}

/// The address and port of `https://ADDRESS[:PORT]`. Only an address: a name would have to be looked up, by packets
/// that nobody allowed; the certificate is told by its pin.
fn read_url(text: &str) -> Option<std::net::SocketAddr> {
    let place = text.strip_prefix("https://")?.trim_end_matches('/');
    if let Ok(address) = place.parse() {
        return Some(address);
    }
    let bare = place.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(place);
    bare.parse().ok().map(|ip: std::net::IpAddr| std::net::SocketAddr::new(ip, 443))
}

/// SHA-256 as 64 hexadecimal digits, with or without colons, also behind `sha256:`.
fn read_pin(text: &str) -> Option<[u8; 32]> {
    let digits: String = text
        .trim()
        .trim_start_matches("sha256:")
        .trim_start_matches("SHA256:")
        .chars()
        .filter(|c| *c != ':' && *c != ' ')
        .collect();
    let octets = data_encoding::HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()?;
    octets.try_into().ok()
}

/// A ceiling above which nobody's network is swept by mistake; a lab raises it by flag.
const MOST_PER_SECOND: u32 = 10_000_000;
/// A day of listening; `watch` is for longer.
const MOST_LISTENING: u32 = 86_400;
/// The contract's: 'the least listening time'.
const DEFAULT_LISTENING: u32 = 30;

/// Gentle where the profile says nothing.
const DEFAULT_TCP: &str = "top:20";
const DEFAULT_UDP: &str = "53,67,123,137,161,1900,5353";

/// Reads a profile. `file` is its path or name, for the messages and as the name it has without one.
pub fn read(text: &str, file: &str) -> Result<Profile, Refused> {
    let refuse = |faults| Refused { file: file.to_owned(), faults };
    if text.len() > MOST_OCTETS {
        let kind = FaultKind::Range(0, MOST_OCTETS as u64);
        let value = text.len().to_string();
        return Err(refuse(vec![Fault { row: 1, column: 1, key: "file".into(), value, kind }]));
    }
    let raw: RawProfile = toml::from_str(text).map_err(|fault| {
        let span = fault.span().unwrap_or(0..0);
        let (row, column) = place(text, span.start);
        let value = text.get(span).unwrap_or("").lines().next().unwrap_or("");
        let value = value.chars().take(80).collect();
        let kind = FaultKind::Syntax(fault.message().to_owned());
        refuse(vec![Fault { row, column, key: String::new(), value, kind }])
    })?;
    let mut reading = Reading { text, faults: Vec::new() };
    let profile = check(raw, &mut reading, file);
    if reading.faults.is_empty() { Ok(profile) } else { Err(refuse(reading.faults)) }
}

fn check(raw: RawProfile, reading: &mut Reading<'_>, file: &str) -> Profile {
    let RawProfile { profile, authorisation, rate, discovery, services, passive, egress, audit } =
        raw;
    let window_span = authorisation.not_after.as_ref().map(Spanned::span);
    let default_risk = u32::from(Authorisation::DEFAULT_RISK);
    let authorisation = Authorisation {
        reference: authorisation.reference,
        authorised_by: authorisation.authorised_by,
        scope: reading.prefixes("authorisation.scope", &authorisation.scope),
        exclude: reading.prefixes("authorisation.exclude", &authorisation.exclude),
        observe_only: reading.prefixes("authorisation.observe_only", &authorisation.observe_only),
        risk: reading.number("authorisation.risk", authorisation.risk, default_risk, 3) as u8,
        not_before: reading.instant("authorisation.not_before", authorisation.not_before),
        not_after: reading.instant("authorisation.not_after", authorisation.not_after),
        signature: authorisation.signature,
    };
    if let (Some(from), Some(until)) = (authorisation.not_before, authorisation.not_after)
        && until <= from
    {
        let written = until.to_string();
        let span = window_span.unwrap_or(0..0);
        reading.fault(span, "authorisation.not_after", &written, FaultKind::WindowEnds);
    }
    let defaults = Rate::default();
    let rate = Rate {
        packets_per_second: reading.number(
            "rate.packets_per_second",
            rate.packets_per_second,
            defaults.packets_per_second,
            MOST_PER_SECOND,
        ),
        per_target: reading.number(
            "rate.per_target",
            rate.per_target,
            defaults.per_target,
            MOST_PER_SECOND,
        ),
        per_prefix: reading.number(
            "rate.per_prefix",
            rate.per_prefix,
            defaults.per_prefix,
            MOST_PER_SECOND,
        ),
    };
    let methods = match &discovery.methods {
        None => Method::ALL.to_vec(),
        Some(words) => words
            .iter()
            .filter_map(|word| reading.word("discovery.methods", word, METHODS))
            .map(|place| Method::ALL[place])
            .collect(),
    };
    let asks_ipv6 = [Method::Ndp, Method::Icmpv6].iter().any(|method| methods.contains(method));
    let discovery = Discovery {
        methods,
        ipv6_dns: discovery.ipv6_dns.unwrap_or(asks_ipv6),
        axfr: discovery.axfr,
        name_servers: reading.addresses("discovery.name_servers", &discovery.name_servers),
        tcp_ports: reading.ports(
            "discovery.tcp_ports",
            discovery.tcp_ports,
            DEFAULT_TCP,
            Ranking::Tcp,
        ),
        udp_ports: reading.ports(
            "discovery.udp_ports",
            discovery.udp_ports,
            DEFAULT_UDP,
            Ranking::Udp,
        ),
        explore: reading.prefixes("discovery.explore", &discovery.explore),
        mld_query: discovery.mld_query,
        dhcp: discovery.dhcp.unwrap_or(true),
    };
    let mut snmp = Vec::new();
    for credential in &services.snmp {
        let version = reading.word("services.snmp", &credential.version, SNMP_VERSIONS);
        let community = reading.secret("services.snmp", credential.community.as_ref());
        for key in [&credential.auth_key, &credential.privacy_key] {
            reading.secret("services.snmp", key.as_ref());
        }
        let _ = (&credential.user, &credential.auth, &credential.privacy);
        if let Some(version) = version {
            snmp.push(SnmpCredential { version: SNMP_VERSIONS[version].to_owned(), community });
        }
    }
    let services = Services {
        identify: services.identify.unwrap_or(true),
        snmp,
        default_communities: services.default_communities,
    };
    let passive = Passive {
        seconds: reading.number(
            "passive.seconds",
            passive.seconds,
            DEFAULT_LISTENING,
            MOST_LISTENING,
        ),
        hear: passive
            .hear
            .as_ref()
            .and_then(|word| reading.word("passive.hear", word, HEAR))
            .and_then(|place| Hear::ALL.get(place).copied())
            .unwrap_or_default(),
    };
    let collector = egress.collector.as_ref().and_then(|collector| reading.collector(collector));
    let egress_methods = match &egress.methods {
        // What a method lacks it says itself, in `coverage`.
        None => EgressMethod::ALL.to_vec(),
        Some(words) => words
            .iter()
            .filter_map(|word| reading.word("egress.methods", word, EGRESS_METHODS))
            .filter_map(|place| EgressMethod::ALL.get(place).copied())
            .collect(),
    };
    let egress = Egress {
        methods: egress_methods,
        canaries: reading.addresses("egress.canaries", &egress.canaries),
        canary_zone: egress.canary_zone.as_ref().and_then(|zone| reading.zone(zone)),
        collector,
        key: reading.secret("egress.key", egress.key.as_ref()),
        witness_log: egress.witness_log,
        reference: reading.addresses("egress.reference", &egress.reference),
    };
    let mut severity = BTreeMap::new();
    for (rule, word) in &audit.severity {
        if let Some(place) = reading.word("audit.severity", word, SEVERITIES) {
            let grades = [
                Severity::Critical,
                Severity::High,
                Severity::Medium,
                Severity::Low,
                Severity::Info,
            ];
            severity.insert(rule.clone(), grades[place]);
        }
    }
    let regulation = audit.regulation.unwrap_or_else(|| "hunan-2026".to_owned());
    Profile {
        name: profile.name.unwrap_or_else(|| file.to_owned()),
        description: profile.description,
        authorisation,
        rate,
        discovery,
        services,
        passive,
        egress,
        audit: Audit { regulation, severity },
    }
}

/// Row and column of an octet of the text, both from 1, the column in characters.
fn place(text: &str, octet: usize) -> (usize, usize) {
    let before = text.get(..octet).unwrap_or(text);
    let row = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (row, column)
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} {} {:?}", self.row, self.column, self.key, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_named_in_one_pass_with_its_place() {
        let text = "[authorisation]\nscope = [\"10.20.1.5/24\", \"内网\"]\nrisk = 4\n\
                    not_before = 2026-11-22T05:00:00+08:00\nnot_after = \"2026-11-22T01:00:00+08:00\"\n\
                    [rate]\npackets_per_second = 0\nper_prefix = 0\n[discovery]\nmethods = [\"arp\", \"xmas\"]\n\
                    tcp_ports = \"22-1\"\n[egress]\nkey = \"0123456789\"\n[audit]\nseverity = { x = \"bad\" }\n";
        let refused = read(text, "p.toml").unwrap_err();
        let places: Vec<_> = refused
            .faults
            .iter()
            .map(|f| (f.row, f.column, f.key.as_str(), f.kind.word()))
            .collect();
        assert_eq!(
            places,
            [
                (2, 10, "authorisation.scope", "profile-fault-host-bits"),
                (2, 26, "authorisation.scope", "profile-fault-prefix"),
                (3, 8, "authorisation.risk", "profile-fault-range"),
                (5, 13, "authorisation.not_after", "profile-fault-window"),
                (7, 22, "rate.packets_per_second", "profile-fault-range"),
                (8, 14, "rate.per_prefix", "profile-fault-range"),
                (10, 19, "discovery.methods", "profile-fault-word"),
                (11, 13, "discovery.tcp_ports", "profile-fault-ports"),
                (13, 7, "egress.key", "profile-fault-secret"),
                (15, 18, "audit.severity", "profile-fault-word"),
            ]
        );
        assert!(!refused.faults.iter().any(|fault| fault.value.contains("0123456789")));
    }

    #[test]
    fn a_key_that_does_not_exist_is_no_profile() {
        let refused = read("[rate]\npacket_per_second = 5\n", "p.toml").unwrap_err();
        assert_eq!(
            (refused.faults[0].row, refused.faults[0].kind.word()),
            (2, "profile-fault-syntax")
        );
        assert!(read("[rate", "p.toml").is_err());
        assert!(read(&"x".repeat(MOST_OCTETS + 1), "p.toml").is_err());
    }

    #[test]
    fn the_contracts_example_reads() {
        let text = r#"
[profile]
name = "routine"
[authorisation]
reference = "湘数函〔2026〕12号"
scope   = ["10.20.0.0/16", "2408:8000:1::/48"]
exclude = ["10.20.9.0/24"]
observe_only = ["10.20.8.0/24"]
risk = 2
not_before = 2026-11-22T01:00:00+08:00
not_after  = 2026-11-22T05:00:00+08:00
[rate]
packets_per_second = 1000
per_target = 40
[discovery]
methods = ["arp", "ndp", "icmp", "icmpv6", "tcp", "udp"]
tcp_ports = "top:100"
udp_ports = "53,67,123,137,161,1900,5353"
explore = ["10.0.0.0/8"]
[services]
identify = true
snmp = [{ version = "2c", community = "env:SNMP_COMMUNITY" }]
default_communities = ["public"]
[passive]
seconds = 120
[egress]
methods = ["next-hop", "spoofed-source", "proxy", "dns", "port-mapping", "ipv6", "passive"]
canaries = ["198.51.100.10", "2001:db8:ffff::10"]
canary_zone = "w.example.net"
key = "env:JIEBEI_EGRESS_KEY"
collector = { url = "https://198.51.100.10:8443", token = "env:JIEBEI_COLLECTOR_TOKEN", pin = "0f:1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0" }
witness_log = "witness.jsonl"
reference = ["10.20.1.9"]
[audit]
regulation = "hunan-2026"
severity = { risky-service = "high" }
"#;
        let profile = read(text, "x").unwrap();
        assert_eq!(profile.authorisation.not_before.unwrap().to_string(), "2026-11-21T17:00:00Z");
        assert_eq!(profile.discovery.tcp_ports.0.len(), 100);
        assert_eq!(profile.passive.seconds, 120);
    }
}
