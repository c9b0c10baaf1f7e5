//! Every rule's cases: observations and a registry in, findings out. `tests/cases/RULE.toml` holds those
//! that fire and those that nearly fire and must not; what a case lists is all that may be found.
//!
//! An observation is a line: a word and its arguments, `xN` at its end where it was seen N times. `m66`
//! is the MAC 02:00:00:00:00:66, `r10` is 00:1b:21:00:00:10.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use jiebei::audit::{Audit, Finding, Input, Regulation, audit, rule};
use jiebei::inventory::{Context, Inventory, Vantage, fold};
use jiebei::net::{AddressSet, Mac, Port, Prefix};
use jiebei::observe::{
    Asked, DhcpServer, EgressAsked, EgressMethod, EgressProbe, EgressReceipt, ExternalAddress,
    Fact, Foreign, Forwarding, FrameNumber, IcmpError, Log, Observation, Passage, PortState,
    PrefixInformation, RouteInformation, RouterAdvertisement, RoutingProtocol, RoutingSpeaker,
    SeenBy, Source, TcpSyn, VantageId,
};
use jiebei::registry::{Index, ReadOptions, read};
use jiff::Timestamp;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    day: Option<String>,
    #[serde(default)]
    unit: Option<String>,
    #[serde(default)]
    exclude: Vec<String>,
    /// Rows beside those of the base; a row with a key of the base takes its place.
    #[serde(default)]
    registry: BTreeMap<String, Vec<BTreeMap<String, String>>>,
    /// Whether the gateway and the router beyond it are seen, as in most cases.
    #[serde(default = "yes")]
    base: bool,
    observed: String,
    findings: Vec<String>,
}

fn yes() -> bool {
    true
}

/// What is on the wire in most cases: the registered gateway.
const SEEN: &str = "
    bind 10.20.1.1 r01
";

/// The registry that every case starts from: table, key columns, rows.
fn base() -> BTreeMap<String, Vec<BTreeMap<String, String>>> {
    let text = include_str!("cases/base.toml");
    toml::from_str(text).expect("tests/cases/base.toml")
}

fn key(table: &str) -> &'static [&'static str] {
    match table {
        "units" => &["unit"],
        "segments" => &["prefix"],
        "services" => &["ip", "port"],
        "devices" | "assets" | "egresses" => &["unit", "name"],
        "notices" => &["unit", "notice"],
        "waivers" => &["rule", "unit", "subject"],
        other => panic!("no table {other}"),
    }
}

fn registry(case: &Case) -> Index {
    let mut tables = base();
    for (table, rows) in &case.registry {
        let known = tables.entry(table.clone()).or_default();
        for row in rows {
            let same = |other: &BTreeMap<String, String>| {
                key(table).iter().all(|column| other.get(*column) == row.get(*column))
            };
            known.retain(|other| !same(other));
            if row.get("status").map(String::as_str) != Some("gone") {
                known.push(row.clone());
            }
        }
    }
    let day = day(case);
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("registry.json");
    std::fs::write(&path, serde_json::to_vec(&tables).expect("JSON")).expect("written");
    let loaded = match read(path.to_str().expect("UTF-8"), &ReadOptions::on(day)) {
        Ok(loaded) => loaded,
        Err(refused) => panic!("{}: {refused:?}", case.name),
    };
    Index::new(Arc::new(loaded.registry), day)
}

fn day(case: &Case) -> jiff::civil::Date {
    case.day.as_deref().unwrap_or("2026-11-22").parse().expect("a day")
}

fn context(index: &Index) -> Context {
    Context {
        vantages: vec![Vantage {
            interface: "eth1".into(),
            mac: Some(mac("m05")),
            addresses: vec![
                (ip("10.20.1.5"), prefix("10.20.1.0/24")),
                (ip("fd00:a:1::5"), prefix("fd00:a:1::/64")),
            ],
        }],
        segments: index.registry().segments.iter().map(|segment| segment.prefix).collect(),
        scope: AddressSet::of([
            prefix("10.0.0.0/8"),
            prefix("fd00::/16"),
            prefix("203.0.113.0/24"),
        ]),
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|_| panic!("an address: {text}"))
}

fn prefix(text: &str) -> Prefix {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// `m66`, `r10`, `v01` (VRRP for IPv4), or a MAC in full.
fn mac(text: &str) -> Mac {
    let octet = |digits: &str| u8::from_str_radix(digits, 16).expect("two digits");
    match (text.len(), text.split_at(1)) {
        (3, ("m", digits)) => Mac([2, 0, 0, 0, 0, octet(digits)]),
        (3, ("r", digits)) => Mac([0, 0x1b, 0x21, 0, 0, octet(digits)]),
        (3, ("v", digits)) => Mac([0, 0, 0x5e, 0, 1, octet(digits)]),
        (3, ("w", digits)) => Mac([0, 0, 0x5e, 0, 2, octet(digits)]),
        _ => text.parse().unwrap_or_else(|_| panic!("a MAC: {text}")),
    }
}

fn family(ip: IpAddr, ipv4: Source, ipv6: Source) -> Source {
    if ip.is_ipv4() { ipv4 } else { ipv6 }
}

fn source(method: &str) -> Source {
    match method {
        "arp" => Source::Arp,
        "ndp" => Source::Ndp,
        "icmp" => Source::Icmp,
        "icmpv6" => Source::Icmpv6,
        "tcp" => Source::Tcp,
        "udp" => Source::Udp,
        other => panic!("no method {other}"),
    }
}

/// A published word as what it stands for.
fn word<T: serde::de::DeserializeOwned>(text: &str) -> T {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).expect(text)
}

fn of_method(method: EgressMethod) -> Source {
    match method {
        EgressMethod::NextHop | EgressMethod::Ipv6 => Source::NextHop,
        EgressMethod::SpoofedSource => Source::SpoofedSource,
        EgressMethod::Proxy => Source::Proxy,
        EgressMethod::Dns => Source::Dns,
        EgressMethod::PortMapping => Source::PortMapping,
        EgressMethod::Passive => Source::Passive,
    }
}

/// KIND FROM TO MAC
fn tunnel(words: &[&str]) -> Fact {
    let [kind, from, to, by] = words[..] else { panic!("a tunnel: {words:?}") };
    Fact::Tunnel(jiebei::observe::Tunnel {
        kind: word(kind),
        from: ip(from),
        to: ip(to),
        mac: mac(by),
        over: None,
        version: None,
        identifier: None,
        session: None,
        carries: None,
        host: None,
        vendor: None,
    })
}

/// One line of a case.
fn observation(line: &str, number: u64) -> Observation {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    let mut count = 1;
    if let Some(times) = words.last().and_then(|word| word.strip_prefix('x')) {
        count = times.parse().expect("a count");
        words.pop();
    }
    let mut vantage = VantageId(0);
    if let Some(at) = words.last().and_then(|word| word.strip_prefix('@')) {
        vantage = VantageId(at.parse().expect("a vantage"));
        words.pop();
    }
    let w = |place: usize| *words.get(place).unwrap_or_else(|| panic!("too short: {line}"));
    let has = |place: usize| words.get(place).copied();
    let option =
        |name: &str| words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let (source, fact) = match w(0) {
        "bind" => {
            let at = ip(w(1));
            (family(at, Source::Arp, Source::Ndp), Fact::Binding { ip: at, mac: mac(w(2)) })
        }
        "arp" => {
            let at = ip(w(1));
            let answer = Fact::Answer {
                ip: at,
                mac: mac(w(2)),
                port: None,
                state: PortState::Alive,
                hop_limit: 0,
            };
            (family(at, Source::Arp, Source::Ndp), answer)
        }
        "alive" => {
            let at = ip(w(1));
            let hop_limit = has(3).map_or(64, |hops| hops.parse().expect("hops"));
            let answer = Fact::Answer {
                ip: at,
                mac: mac(w(2)),
                port: None,
                state: PortState::Alive,
                hop_limit,
            };
            (family(at, Source::Icmp, Source::Icmpv6), answer)
        }
        state @ ("open" | "closed") => {
            let port: Port = w(3).parse().expect("a port");
            let hop_limit = has(4).map_or(64, |hops| hops.parse().expect("hops"));
            let state = if state == "open" { PortState::Open } else { PortState::Closed };
            let of = if port.to_string().starts_with("tcp") { Source::Tcp } else { Source::Udp };
            let answer =
                Fact::Answer { ip: ip(w(1)), mac: mac(w(2)), port: Some(port), state, hop_limit };
            (of, answer)
        }
        "traffic" => {
            let hop_limit = w(3).parse().expect("hops");
            (Source::Traffic, Fact::Traffic { ip: ip(w(1)), mac: mac(w(2)), hop_limit })
        }
        "ra" => {
            let lifetime = w(3).parse().expect("a lifetime");
            let list = |name: &str| option(name).map(prefix).into_iter();
            let valid = option("valid").map_or(86400, |valid| valid.parse().expect("seconds"));
            let ra = RouterAdvertisement {
                router: ip(w(1)),
                mac: mac(w(2)),
                lifetime,
                managed: false,
                other: false,
                hop_limit: 64,
                mtu: option("mtu").map(|mtu| mtu.parse().expect("octets")),
                preference: 0,
                prefixes: list("prefix")
                    .map(|prefix| PrefixInformation {
                        prefix,
                        on_link: true,
                        autonomous: true,
                        valid_lifetime: valid,
                        preferred_lifetime: valid,
                    })
                    .collect(),
                routes: list("route")
                    .map(|prefix| RouteInformation { prefix, lifetime: 1800, preference: 0 })
                    .collect(),
                rdnss: option("dns").map(ip).into_iter().collect(),
                dnssl: Vec::new(),
                reachable_time: 0,
                retransmission: 0,
                pref64: Vec::new(),
                captive_portal: None,
            };
            (Source::RouterAdvertisement, Fact::RouterAdvertisement(ra))
        }
        "dhcp" => {
            let server = DhcpServer {
                ip: ip(w(1)),
                mac: mac(w(2)),
                message: w(3).to_owned(),
                server_id: option("server").map(ip),
                duid: None,
                relay: option("relay").map(ip),
                prefix: option("prefix").map(prefix),
                routers: option("router").map(ip).into_iter().collect(),
                dns: option("dns").map(ip).into_iter().collect(),
                domain: None,
                delegated: Vec::new(),
            };
            (Source::Dhcp, Fact::DhcpServer(server))
        }
        word @ ("vrrp" | "ospf" | "hsrp" | "rip" | "pim" | "eigrp") => {
            let protocol = match word {
                "vrrp" => RoutingProtocol::Vrrp,
                "ospf" => RoutingProtocol::Ospf,
                "hsrp" => RoutingProtocol::Hsrp,
                "rip" => RoutingProtocol::Rip,
                "pim" => RoutingProtocol::Pim,
                _ => RoutingProtocol::Eigrp,
            };
            let speaker = RoutingSpeaker {
                protocol,
                version: 3,
                ip: ip(w(1)),
                mac: mac(w(2)),
                router_id: None,
                group: None,
                priority: None,
                virtual_addresses: option("shares").map(ip).into_iter().collect(),
                prefix: option("prefix").map(prefix),
                advertised: option("tells").map(prefix).into_iter().collect(),
                neighbours: Vec::new(),
            };
            (Source::RoutingProtocol, Fact::RoutingSpeaker(speaker))
        }
        // forward NEIGHBOUR DESTINATION HOPS ROUND FROM CODE|itself ANSWERED-BY
        "forward" => {
            let icmp = match w(6) {
                "itself" => None,
                code => {
                    let (icmp_type, code) = code.split_once('/').expect("type/code");
                    Some((icmp_type.parse().expect("a type"), code.parse().expect("a code")))
                }
            };
            let answer = Forwarding {
                mac: mac(w(1)),
                destination: ip(w(2)),
                hop_limit: w(3).parse().expect("hops"),
                round: w(4).parse().expect("a round"),
                from: ip(w(5)),
                icmp,
                answered_by: mac(w(7)),
            };
            (Source::Forwarding, Fact::Forwarding(answer))
        }
        // error TARGET FROM MAC CODE [port]
        "error" => {
            let (icmp_type, code) = w(4).split_once('/').expect("type/code");
            let error = IcmpError {
                target: ip(w(1)),
                from: ip(w(2)),
                mac: mac(w(3)),
                icmp_type: icmp_type.parse().expect("a type"),
                code: code.parse().expect("a code"),
                port: has(5).map(|port| port.parse().expect("a port")),
            };
            (family(ip(w(1)), Source::Icmp, Source::Icmpv6), Fact::IcmpError(error))
        }
        "hop" => {
            let hop = Fact::Hop {
                target: ip(w(1)),
                hop_limit: w(2).parse().expect("hops"),
                from: ip(w(3)),
                mac: mac(w(4)),
            };
            (Source::Traceroute, hop)
        }
        "name" => {
            let name = Fact::Name {
                mac: mac(w(2)),
                ip: ip(w(1)),
                name: Foreign::new(w(3)),
                addresses: option("claims").map(ip).into_iter().collect(),
            };
            (Source::Mdns, name)
        }
        "asked" => {
            let asked = Asked {
                prefix: prefix(w(1)),
                method: w(2).to_owned(),
                ports: option("ports")
                    .map(|ports| {
                        ports.split(',').map(|port| port.parse().expect("a port")).collect()
                    })
                    .unwrap_or_default(),
                asked: 254,
                excluded: 0,
                complete: !words.contains(&"broken-off"),
                addresses: option("only")
                    .map(|ips| ips.split(',').map(ip).collect())
                    .unwrap_or_default(),
                proposed: Vec::new(),
            };
            (Source::Sweep, Fact::Asked(asked))
        }
        "ghost" => {
            let ghost = Fact::Ghost {
                prefix: prefix(w(1)),
                ip: ip(w(2)),
                method: w(3).to_owned(),
                mac: mac(w(4)),
            };
            (source(w(3)), ghost)
        }
        "interface" => {
            let interface =
                Fact::Interface { address: ip(w(1)), prefix: prefix(w(2)), mac: mac(w(3)) };
            (Source::Interface, interface)
        }
        // probe NUMBER METHOD CARRIER TARGET MAC [round=] [canary=] [source=] [sent=]
        "probe" => {
            let method = word::<EgressMethod>(w(2));
            let target = ip(w(4));
            let is_ipv4 = option("canary").map_or(target, ip).is_ipv4();
            let canary = option("canary").map_or_else(
                || ip(if is_ipv4 { "198.51.100.10" } else { "2001:db8:ffff::10" }),
                ip,
            );
            let source = match method {
                EgressMethod::SpoofedSource => canary,
                _ => ip(if is_ipv4 { "10.20.1.5" } else { "fd00:a:1::5" }),
            };
            let probe = EgressProbe {
                number: w(1).parse().expect("a number"),
                method,
                carrier: word(w(3)),
                target,
                mac: if w(5) == "-" { Mac::ZERO } else { mac(w(5)) },
                asked_from: option("source").map_or(source, ip),
                canary,
                port: 443,
                hop_limit: option("sent").map_or(64, |sent| sent.parse().expect("hops")),
                round: option("round").map_or(1, |round| round.parse().expect("a round")),
                sent_at: Timestamp::from_second(1_795_000_000).expect("a time"),
                redrawn: 0,
            };
            (of_method(method), Fact::EgressProbe(probe))
        }
        // receipt NUMBER METHOD OBSERVED|- [by=] [hops=]
        "receipt" => {
            let receipt = EgressReceipt {
                probe: w(1).parse().expect("a number"),
                seen_by: option("by").map_or(SeenBy::Collector, word),
                observed: (w(3) != "-").then(|| ip(w(3))),
                observed_port: 40_000,
                hop_limit: option("hops").map_or(0, |hops| hops.parse().expect("hops")),
                seen_at: None,
                entry: Some(number),
                chain: Some("00ff".into()),
            };
            (of_method(word(w(2))), Fact::EgressReceipt(receipt))
        }
        // external TARGET MAC PROTOCOL ADDRESS
        "external" => {
            let told = ExternalAddress {
                ip: ip(w(1)),
                mac: mac(w(2)),
                protocol: w(3).to_owned(),
                external: Some(ip(w(4))),
            };
            (Source::PortMapping, Fact::ExternalAddress(told))
        }
        // passage NEXT-HOP LOCAL REMOTE outbound|inbound|answered
        "passage" => {
            let passage = Passage {
                mac: mac(w(1)),
                local: ip(w(2)),
                remote: ip(w(3)),
                direction: word(w(4)),
                what: "tcp".to_owned(),
            };
            (Source::Passive, Fact::Passage(passage))
        }
        // tunnel KIND FROM TO MAC
        "tunnel" => (Source::Passive, tunnel(&words[1..])),
        // inside TUNNEL tunnel KIND FROM TO MAC
        "inside" => {
            let (encapsulation, inner) = (w(1).to_owned(), Box::new(tunnel(&words[3..])));
            (Source::Passive, Fact::Encapsulated { encapsulation, inner })
        }
        "router-flag" => (Source::Ndp, Fact::RouterFlag { ip: ip(w(1)), mac: mac(w(2)) }),
        // redirect IP MAC NEXT-HOP DESTINATION
        "redirect" => {
            let redirect = jiebei::observe::Redirect {
                ip: ip(w(1)),
                mac: mac(w(2)),
                next_hop: ip(w(3)),
                destination: ip(w(4)),
            };
            (family(ip(w(1)), Source::Icmp, Source::Ndp), Fact::Redirect(redirect))
        }
        "oddity" => {
            let fact = Fact::Oddity {
                mac: Some(mac(w(1))),
                protocol: w(2).to_owned(),
                what: words[3..].join(" "),
            };
            (Source::Ndp, fact)
        }
        "clocks" => {
            let clocks = w(2).parse().expect("a count");
            (Source::Passive, Fact::SeveralClocks { ip: ip(w(1)), clocks })
        }
        // syn IP SYSTEM HOPS
        "syn" => {
            let syn = TcpSyn {
                ip: ip(w(1)),
                role: jiebei::observe::Role::Client,
                hop_limit: w(3).parse().expect("hops"),
                dont_fragment: Some(true),
                window: 64_240,
                signature: "mss=1460".to_owned(),
                system: Some(w(2).to_owned()),
            };
            (Source::Passive, Fact::TcpSyn(syn))
        }
        // egress-asked PREFIX METHOD COUNT|WHY-NOT
        "egress-asked" => {
            let count = w(3).parse().ok();
            let asked = EgressAsked {
                prefix: prefix(w(1)),
                method: word(w(2)),
                asked: count.unwrap_or(0),
                not_run: count.is_none().then(|| word(w(3))),
            };
            (Source::Sweep, Fact::EgressAsked(asked))
        }
        other => panic!("no observation {other}"),
    };
    let at = Timestamp::from_second(1_795_000_000 + number as i64).expect("a time");
    Observation {
        at,
        last_at: at,
        count,
        vantage,
        source,
        fact,
        frames: vec![FrameNumber(number + 1)],
    }
}

fn log(case: &Case) -> Vec<Observation> {
    let base = if case.base { SEEN } else { "" };
    "interface 10.20.1.5 10.20.1.0/24 m05\ninterface fd00:a:1::5 fd00:a:1::/64 m05\n"
        .lines()
        .chain(base.lines())
        .chain(case.observed.lines())
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty())
        .enumerate()
        .map(|(number, line)| observation(line, number as u64))
        .collect()
}

fn run(case: &Case, observed: Vec<Observation>) -> (Log, Inventory, Audit) {
    let index = registry(case);
    let context = context(&index);
    let log = Log::of(observed);
    let inventory = fold(&log, &context);
    let regulation = Regulation::built_in("hunan-2026").expect("built in");
    let audit = audit(&Input {
        inventory: &inventory,
        log: &log,
        registry: Some(&index),
        context: &context,
        unit: case.unit.clone(),
        exclude: case.exclude.iter().map(|text| prefix(text)).collect(),
        regulation: &regulation,
        severity: BTreeMap::new(),
    });
    (log, inventory, audit)
}

/// A finding as a case writes it.
fn line(finding: &Finding) -> String {
    let subject = &finding.subject;
    let mut words =
        vec![finding.rule.to_owned(), format!("@{}", finding.unit.as_deref().unwrap_or("-"))];
    words.extend(subject.ip.map(|ip| ip.to_string()));
    words.extend(subject.mac.map(|mac| mac.to_string()));
    words.extend(subject.prefix.map(|prefix| prefix.to_string()));
    words.extend(subject.port.map(|port| port.to_string()));
    words.push(format!("{:?}", finding.confidence).to_lowercase());
    if finding.waiver.is_some() {
        words.push("waived".to_owned());
    }
    words.extend(finding.notice.as_ref().map(|notice| format!("notice={notice}")));
    words.join(" ")
}

fn expected(written: &str) -> String {
    let words = written.split_whitespace().map(|word| {
        let is_short = word.len() == 3
            && word.starts_with(['m', 'r', 'v', 'w'])
            && word[1..].chars().all(|c| c.is_ascii_hexdigit());
        if is_short { mac(word).to_string() } else { word.to_owned() }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn cases() -> Vec<(String, Case)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases");
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).expect("tests/cases") {
        let path = entry.expect("an entry").path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        if stem == "base" || path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a file of cases");
        let file: File = toml::from_str(&text).unwrap_or_else(|error| panic!("{stem}: {error}"));
        all.extend(file.case.into_iter().map(|case| (stem.clone(), case)));
    }
    all.sort_by(|a, b| (&a.0, &a.1.name).cmp(&(&b.0, &b.1.name)));
    all
}

#[test]
fn every_case_gives_its_findings_and_no_other() {
    let mut wrong = String::new();
    for (file, case) in cases() {
        let (_, _, audit) = run(&case, log(&case));
        let found: BTreeSet<String> = audit.findings.iter().map(line).collect();
        let wanted: BTreeSet<String> = case.findings.iter().map(|line| expected(line)).collect();
        if found != wanted || found.len() != audit.findings.len() {
            let missing: Vec<_> = wanted.difference(&found).collect();
            let surplus: Vec<_> = found.difference(&wanted).collect();
            wrong +=
                &format!("{file}: {}\n  missing {missing:#?}\n  surplus {surplus:#?}\n", case.name);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Style §2: a rule's cases that fire, and as many that nearly fire and must not.
#[test]
fn every_rule_has_cases_that_fire_and_that_do_not() {
    for rule in rule::ALL {
        let name = rule.name();
        let own: Vec<_> = cases().into_iter().filter(|(file, _)| file == name).collect();
        let fires = own
            .iter()
            .filter(|(_, case)| case.findings.iter().any(|line| line.starts_with(name)))
            .count();
        assert!(fires >= 2, "{name}: {fires} cases fire");
        assert!(own.len() - fires >= fires, "{name}: {} are silent", own.len() - fires);
    }
}

#[test]
fn the_order_of_the_log_changes_nothing() {
    for (file, case) in cases() {
        let observed = log(&case);
        let (_, _, first) = run(&case, observed.clone());
        let mut reversed = observed.clone();
        reversed.reverse();
        let mut turned = observed;
        let middle = turned.len() / 2;
        turned.rotate_left(middle);
        for other in [reversed, turned] {
            let (_, _, again) = run(&case, other);
            let of = |audit: &Audit| -> Vec<_> {
                audit
                    .findings
                    .iter()
                    .map(|one| {
                        (one.id, line(one), one.detail.clone(), one.first_seen, one.last_seen)
                    })
                    .collect()
            };
            assert_eq!(of(&first), of(&again), "{file}: {}", case.name);
        }
    }
}

/// Ids are those of the night before, also where the device has another address.
#[test]
fn a_finding_keeps_its_id_when_its_device_moves() {
    let case = |at: &str| Case {
        name: "moves".into(),
        day: None,
        unit: None,
        exclude: Vec::new(),
        registry: BTreeMap::new(),
        base: true,
        observed: format!("bind {at} m66\nra fe80::66 m66 1800\ndhcp {at} m66 offer\n"),
        findings: Vec::new(),
    };
    let ids = |at: &str| -> BTreeSet<_> {
        let case = case(at);
        let (_, _, audit) = run(&case, log(&case));
        audit.findings.iter().map(|one| (one.rule, one.id)).collect()
    };
    let here = ids("10.20.1.66");
    assert_eq!(here.len(), 4, "{here:?}");
    assert_eq!(here, ids("10.20.1.77"));
}

#[test]
fn what_is_found_can_be_said_in_both_languages() {
    use jiebei::texts::{Language, Texts};
    for language in Language::ALL {
        let texts = Texts::of(language);
        for (file, case) in cases() {
            let (log, _, audit) = run(&case, log(&case));
            for finding in &audit.findings {
                for proof in &finding.evidence {
                    let said = jiebei::audit::say_proof(proof, &log, &texts);
                    assert!(!said.contains("audit-") && !said.contains('{'), "{file}: {said}");
                }
            }
        }
    }
}

/// What NDPMon and its like alert of beside what the rules find.
#[test]
fn what_a_listening_remarks() {
    use jiebei::audit::say_remark;
    use jiebei::texts::{Language, Texts};
    let remarks = |observed: &str| -> Vec<String> {
        let row = |name: &str, roles: &str, ip: &str| {
            let cells = [("unit", "A"), ("name", name), ("roles", roles), ("ip", ip)];
            cells.map(|(column, cell)| (column.to_owned(), cell.to_owned())).into()
        };
        let devices =
            vec![row("dns-1", "resolver", "10.20.1.53"), row("gw-2", "gateway", "10.20.1.2")];
        let case = Case {
            name: "remarks".into(),
            day: None,
            unit: None,
            exclude: Vec::new(),
            registry: BTreeMap::from([("devices".to_owned(), devices)]),
            base: false,
            observed: observed.to_owned(),
            findings: Vec::new(),
        };
        let (log, _, audit) = run(&case, log(&case));
        let texts = Texts::of(Language::En);
        audit.remarks.iter().map(|remark| say_remark(remark, &log, &texts)).collect()
    };
    // The registered server tells of the registered gateway and resolver, and of others.
    let told =
        remarks("bind 10.20.1.4 r04\ndhcp 10.20.1.4 r04 ack router=10.20.1.1 dns=10.20.1.53\n");
    assert_eq!(told, [""; 0]);
    let told =
        remarks("bind 10.20.1.4 r04\ndhcp 10.20.1.4 r04 ack router=10.20.1.66 dns=9.9.9.9\n");
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(told[0].contains("resolver 9.9.9.9") && told[1].contains("router 10.20.1.66"));
    // What another server tells is a finding as a whole.
    let told =
        remarks("bind 10.20.1.66 m66\ndhcp 10.20.1.66 m66 ack router=10.20.1.66 dns=9.9.9.9\n");
    assert_eq!(told, [""; 0]);
    let told = remarks("bind 10.20.1.1 r01\nra fe80::1 r01 1800 dns=2001:db8::53\n");
    assert!(told[0].contains("resolver 2001:db8::53"), "{told:#?}");
    // Two registered routers that disagree.
    let both = "bind 10.20.1.1 r01\nbind 10.20.1.2 m02\nra fe80::1 r01 1800 mtu=1500\n";
    assert_eq!(remarks(&format!("{both}ra fe80::2 m02 1800 mtu=1500\n")), [""; 0]);
    let told = remarks(&format!("{both}ra fe80::2 m02 1800 mtu=1280\n"));
    assert!(told[0].contains("MTU"), "{told:#?}");
    // What a station does, and not how a frame is broken.
    let told =
        remarks("oddity m66 ndp claims whatever address others try\noddity m66 ndp cut short\n");
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].starts_with(&mac("m66").to_string()));
}

#[test]
fn without_a_registry_there_is_a_map_and_no_finding() {
    let (_, case) = cases().into_iter().next().expect("a case");
    let context = Context::default();
    let log = Log::of(log(&case));
    let inventory = fold(&log, &context);
    let regulation = Regulation::built_in("hunan-2026").expect("built in");
    let audit = audit(&Input {
        inventory: &inventory,
        log: &log,
        registry: None,
        context: &context,
        unit: Some("A".into()),
        exclude: AddressSet::default(),
        regulation: &regulation,
        severity: BTreeMap::new(),
    });
    assert!(audit.findings.is_empty());
    assert_eq!(audit.devices.len(), inventory.devices.len());
    assert!(!inventory.devices.is_empty());
}

/// A rule's page: its doc comment.
fn page(rule: &str) -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/audit/rule");
    let path = format!("{folder}/{}.rs", rule.replace('-', "_"));
    let text = std::fs::read_to_string(&path).expect(&path);
    let lines: Vec<&str> = text.lines().collect();
    let end = lines.iter().position(|line| line.starts_with("pub(super) struct")).expect(&path);
    let start =
        lines[..end].iter().rposition(|line| !line.starts_with("///")).map_or(0, |at| at + 1);
    let bare = |line: &&str| line.trim_start_matches("///").trim_start().to_owned();
    lines[start..end].iter().map(bare).collect()
}

/// The headings of a rule's page, which the reference is made from.
#[test]
fn every_rule_tells_what_its_page_needs() {
    for rule in rule::ALL {
        let page = page(rule.name());
        let headings: Vec<&str> = page.iter().filter_map(|line| line.strip_prefix("# ")).collect();
        assert_eq!(
            headings,
            [
                "What it finds",
                "Why it matters",
                "Evidence",
                "When it stays silent",
                "What refutes it",
                "Example"
            ],
            "{}",
            rule.name()
        );
    }
}

/// The reference of the rules is generated: `JIEBEI_WRITE_DOCS=1` writes it anew.
#[test]
fn the_reference_is_what_the_rules_say() {
    let regulation = Regulation::built_in("hunan-2026").expect("built in");
    let mut reference = String::from(
        "# The rules of the audit\n\nGenerated from the rules' own comments in `src/audit/rule`; articles and \
         severities are those of\n`profiles/regulations/hunan-2026.toml`.\n",
    );
    for rule in rule::ALL {
        let texts = &regulation.rules[rule.name()];
        let severity = format!("{:?}", texts.severity).to_lowercase();
        let articles = texts.articles.join(", ");
        reference += &format!(
            "\n## `{}`\n\n{} · {}\n\nArticles {articles} · {severity}\n",
            rule.name(),
            texts.title.zh,
            texts.title.en
        );
        for line in page(rule.name()) {
            match line.strip_prefix("# ") {
                Some(heading) => reference += &format!("\n### {heading}\n\n"),
                None if line.is_empty() => {}
                None => reference += &format!("{line}\n"),
            }
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/rules.md");
    if std::env::var_os("JIEBEI_WRITE_DOCS").is_some() {
        std::fs::write(path, &reference).expect("written");
    }
    let written = std::fs::read_to_string(path).expect("docs/rules.md");
    assert!(written == reference, "docs/rules.md is out of date: JIEBEI_WRITE_DOCS=1 writes it");
}
