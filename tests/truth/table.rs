//! One table over all that truth files state: key by key what is stated, found, missed, excepted, and missed in captures
//! that are damaged. A key that nothing compares fails.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use jiebei::observe::{Fact, Source};
use serde_json::Value;

use super::{
    Truth, captures, facts, is_binding, is_lldp, is_querier, is_router, is_speaker, listen, text,
    truth_l2, truth_names, truth_streams,
};

type Facts<'a> = [(Source, &'a Fact)];
type Check = fn(&Value, &Value, &Facts<'_>) -> bool;

/// Every key that a truth file may have, as the description of the captures lists them.
const STATED: &[&str] = &[
    "hosts",
    "mac_sources",
    "ip_sources",
    "arp",
    "ra_routers",
    "multicast",
    "dhcp_clients",
    "dhcp_servers",
    "dhcpv6",
    "dns_servers",
    "dns_clients",
    "dns_queries",
    "mdns_queries",
    "llmnr_queries",
    "dns_records",
    "mdns_records",
    "llmnr_records",
    "mdns_responders",
    "llmnr_responders",
    "ssdp",
    "lldp",
    "cdp",
    "stp",
    "nbns",
    "browser",
    "smb",
    "ntlm_servers",
    "ntlm_clients",
    "tls_clients",
    "tls_servers",
    "tls_certificates",
    "http_hosts",
    "http_user_agents",
    "http_servers",
    "ssh",
    "snmp_communities",
    "snmpv3_users",
    "snmp_sysdescr",
    "ospf",
    "vrrp",
    "hsrp",
    "glbp",
    "carp",
    "eigrp",
    "rip",
    "ripng",
    "pim",
    "bgp_open",
    "isis",
    "vlan_ids",
    "mpls_labels",
    "pppoe",
    "tunnels",
    "tcp_listeners",
    "tcp_syn",
    "p0f",
];

/// Keys of which nothing is to be found: the capture itself, what must not be found (which has a test of its own), a remark.
const BESIDE: &[&str] = &["capture", "must_not_report", "lists_cut_at_400"];

/// Compared more closely than the topics do, beside them.
const CLOSELY: &[(&str, Check)] = &[
    ("hosts", |entry, _, facts| facts.iter().any(|fact| is_binding(fact, entry))),
    ("ra_routers", |entry, _, facts| {
        any(facts, |fact| matches!(fact, Fact::RouterAdvertisement(ra) if is_router(ra, entry)))
    }),
    ("lldp", |entry, _, facts| {
        any(facts, |fact| matches!(fact, Fact::Lldp(lldp) if is_lldp(lldp, entry)))
    }),
    ("multicast", |entry, _, facts| any(facts, |fact| is_querier(fact, entry))),
    ("vrrp", |entry, _, facts| speaks("vrrp", entry, facts)),
    ("ospf", |entry, _, facts| speaks("ospf", entry, facts)),
    ("hsrp", |entry, _, facts| speaks("hsrp", entry, facts)),
    ("eigrp", |entry, _, facts| speaks("eigrp", entry, facts)),
    ("rip", |entry, _, facts| speaks("rip", entry, facts)),
    ("pim", |entry, _, facts| speaks("pim", entry, facts)),
    ("mdns_responders", |entry, _, facts| {
        // Some only say that they have nothing else, or repeat what they were asked.
        text(entry, "ip").is_none()
            || entry["names"].as_array().is_none_or(Vec::is_empty)
            || any(
                facts,
                |fact| matches!(fact, Fact::NameRecord(record) if Some(record.ip.to_string().as_str()) == text(entry, "ip")),
            )
    }),
];

fn any(facts: &Facts<'_>, is: impl Fn(&Fact) -> bool) -> bool {
    facts.iter().any(|(_, fact)| is(fact))
}

fn speaks(key: &str, entry: &Value, facts: &Facts<'_>) -> bool {
    // Registers travel through the network: their sender is not on this link.
    (key == "pim" && text(entry, "type") == Some("1"))
        || any(
            facts,
            |fact| matches!(fact, Fact::RoutingSpeaker(speaker) if is_speaker(speaker, key, entry)),
        )
}

fn checks() -> BTreeMap<&'static str, Vec<Check>> {
    let mut checks: BTreeMap<&str, Vec<Check>> = BTreeMap::new();
    let topics = [truth_l2::KEYS, truth_names::KEYS, truth_streams::KEYS, CLOSELY];
    for (key, check) in topics.into_iter().flatten() {
        checks.entry(key).or_default().push(*check);
    }
    checks
}

fn is_excepted(file: &str, key: &str, written: &str) -> bool {
    [truth_l2::EXCEPTIONS, truth_names::EXCEPTIONS, truth_streams::EXCEPTIONS]
        .into_iter()
        .flatten()
        .any(|(in_file, of, part, _)| *in_file == file && *of == key && written.contains(part))
}

#[derive(Default)]
struct Row {
    stated: usize,
    found: usize,
    missed: usize,
    excepted: usize,
    damaged: usize,
}

/// What a reader of a file may take at most, without optimisation: a capture of the public suites has some megabytes.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn everything_that_a_truth_file_states_is_found() {
    let checks = checks();
    let unread: Vec<_> = STATED.iter().filter(|key| !checks.contains_key(**key)).collect();
    assert!(unread.is_empty(), "nothing compares {unread:?}");
    let known: BTreeSet<&str> = STATED.iter().chain(BESIDE).copied().collect();
    let mut table: BTreeMap<&str, Row> = STATED.iter().map(|key| (*key, Row::default())).collect();
    let (mut missing, mut files) = (Vec::new(), 0);
    for capture in captures() {
        files += 1;
        let file = capture.file_name().unwrap().to_str().unwrap().to_owned();
        let Truth(truth) = Truth::of(&capture);
        let new: Vec<_> =
            truth.as_object().unwrap().keys().filter(|key| !known.contains(key.as_str())).collect();
        assert!(new.is_empty(), "{file}: nothing compares {new:?}");
        let about = &truth["capture"];
        let is_damaged = about["malformed_frames"].as_u64() != Some(0)
            || about["file_ends_early_or_damaged"].as_bool() == Some(true);
        let begun = Instant::now();
        let (log, _) = listen(&capture);
        let took = begun.elapsed();
        assert!(took < PATIENCE, "{file} took {took:?}");
        let facts = facts(&log);
        for (key, row) in &mut table {
            for entry in truth[*key].as_array().into_iter().flatten() {
                row.stated += 1;
                let written = entry.to_string();
                let mark = if checks[key].iter().all(|check| check(entry, &truth, &facts)) {
                    row.found += 1;
                    continue;
                } else if is_excepted(&file, key, &written) {
                    row.excepted += 1;
                    "excepted "
                } else if is_damaged {
                    row.damaged += 1;
                    "damaged "
                } else {
                    row.missed += 1;
                    ""
                };
                missing.push((mark, format!("{file}: {key}: {written}")));
            }
        }
    }
    println!("{files} captures");
    println!("key                 stated   found  missed excepted missed in damaged captures");
    for (key, row) in &table {
        let Row { stated, found, missed, excepted, damaged } = row;
        println!("{key:18} {stated:7} {found:7} {missed:7} {excepted:8} {damaged:7}");
    }
    missing.iter().for_each(|(mark, line)| println!("{mark}{line}"));
    let missed: Vec<_> = missing.iter().filter(|(mark, _)| mark.is_empty()).collect();
    assert!(missed.is_empty(), "{} missed", missed.len());
}
