//! Ways out: each found by every method that can find it, as the public address it shows, and none
//! where there is none.
//!
//! What the packets do that this rests on is in `docs/measured-egress.md`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::raised::{Lab, expect_code, privileged};
use crate::swept::{assert_as_planted, read_result, swept};

/// A planted way out: whose, what must have found it, and as what it is seen outside.
struct Way {
    ip: &'static str,
    methods: &'static [&'static str],
    public: &'static [&'static str],
}

const fn way(
    ip: &'static str,
    methods: &'static [&'static str],
    public: &'static [&'static str],
) -> Way {
    Way { ip, methods, public }
}

const WAYS: [Way; 12] = [
    // One daemon answers from the line's own address; what the others answer shows none.
    way("10.96.1.21", &["spoofed-source"], &["203.0.113.21"]),
    way("10.96.1.22", &["spoofed-source"], &["192.0.2.22"]),
    way("10.96.1.23", &["spoofed-source"], &["192.0.2.23"]),
    way("10.96.1.24", &["next-hop"], &["192.0.2.24"]),
    way("10.96.1.25", &["next-hop"], &["192.0.2.25"]),
    way("10.96.1.26", &["proxy"], &["192.0.2.26"]),
    way("10.96.1.27", &["proxy"], &["192.0.2.27"]),
    way("10.96.1.28", &["dns"], &["192.0.2.28"]),
    way("10.96.1.29", &["dns"], &["192.0.2.29"]),
    way("10.96.1.30", &["next-hop", "port-mapping"], &["58.20.96.30"]),
    // It translates nothing: all that is seen outside is the scanner's own address.
    way("10.96.1.31", &["ipv6"], &[]),
    way("fd00:96:1::32", &["next-hop"], &["2001:db8:200::32"]),
];

/// The unit's wire in `coverage`.
const OFFICE: &str = "10.96.1.0/24";

fn words(value: &Value) -> BTreeSet<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn finding<'a>(result: &'a Value, rule: &str, ip: &str) -> Option<&'a Value> {
    let findings = result["findings"].as_array().expect("findings are a list");
    findings.iter().find(|finding| finding["rule"] == rule && finding["subject"]["ip"] == ip)
}

fn assert_found(result: &Value, way: &Way) {
    let found = finding(result, "unregistered-egress", way.ip);
    let found = found.unwrap_or_else(|| panic!("{} leads out and was not found", way.ip));
    let methods = words(&found["detail"]["methods"]);
    for method in way.methods {
        assert!(methods.contains(method), "{}: {method} is missing of {methods:?}", way.ip);
    }
    let public: BTreeSet<&str> = way.public.iter().copied().collect();
    assert_eq!(words(&found["detail"]["public_addresses"]), public, "{}", way.ip);
}

/// The calibration of the IPv4 wire, and why it is no better.
fn calibration<'a>(result: &'a Value, method: &str) -> (&'a str, &'a str) {
    let rows = result["coverage"].as_array().expect("coverage is a list");
    let row = rows.iter().find(|row| row["prefix"] == OFFICE).expect("the wire was asked");
    let word = row["calibrated"][method].as_str().expect("the method is told of");
    (word, row["why_not"].as_str().unwrap_or_default())
}

#[test]
fn every_way_out_is_found_as_the_address_it_shows() {
    if !privileged() {
        return;
    }
    let result = swept("exits").result();
    for way in &WAYS {
        assert_found(&result, way);
    }
    let mismatch = finding(&result, "egress-mismatch", "10.96.1.35").expect("it shows another");
    assert_eq!(words(&mismatch["detail"]["public_addresses"]), BTreeSet::from(["192.0.2.35"]));
    assert_eq!(calibration(&result, "next-hop").0, "yes");
    assert_eq!(calibration(&result, "spoofed-source").0, "yes");
}

#[test]
fn filed_egresses_are_told_by_name() {
    if !privileged() {
        return;
    }
    let result = swept("exits").result();
    let egresses = result["egresses"].as_array().expect("egresses are a list");
    let of = |name: &str| -> Vec<&Value> {
        egresses.iter().filter(|egress| egress["registered_as"] == name).collect()
    };
    for (name, public) in [("unified", "203.0.113.10"), ("second line", "203.0.113.33")] {
        let told = of(name);
        assert_eq!(told.len(), 1, "{name}: {told:?}");
        assert!(words(&told[0]["public_addresses"]).contains(public), "{name}");
    }
    let unfiled = egresses.iter().filter(|egress| egress["registered_as"].is_null()).count();
    assert!(unfiled >= WAYS.len(), "{unfiled} ways out that nobody filed");
}

#[test]
fn behind_a_source_guard_a_spoofed_source_shows_nothing() {
    if !privileged() {
        return;
    }
    let swept = swept("exits-guarded");
    let result = swept.result();
    for finding in result["findings"].as_array().expect("findings are a list") {
        let methods = words(&finding["detail"]["methods"]);
        assert!(!methods.contains("spoofed-source"), "{finding:#}");
    }
    let (calibrated, why_not) = calibration(&result, "spoofed-source");
    assert_eq!(calibrated, "no");
    assert!(!why_not.is_empty());
    assert_eq!(calibration(&result, "next-hop").0, "yes");
    // They were sent: the guard is on the far side of the scanner's cable.
    let spoofed =
        swept.witness("scan").count("src host 198.51.100.10 or src host 2001:db8:ffff::10");
    assert!(spoofed > 0);
    let arrived = swept.witness("collector").frames("udp and not port 53 and not port 8443");
    assert!(arrived.iter().all(|frame| !frame.contains("192.0.2.22")), "{arrived:#?}");
}

#[test]
fn a_mirror_port_hears_who_leaves_by_whom_and_nothing_is_sent() {
    if !privileged() {
        return;
    }
    let swept = swept("mirror");
    let result = swept.result();
    let found = finding(&result, "unregistered-egress", "10.97.1.25").expect("it leads out");
    assert_eq!(words(&found["detail"]["methods"]), BTreeSet::from(["passive"]));
    assert_eq!(found["confidence"], "indicated");
    assert_eq!(swept.witness("scan").count("ether src 00:e0:4c:97:01:05"), 0);
}

/// A profile of a raised lab, changed.
fn change_profile(folder: &Path, change: impl Fn(&str) -> String) {
    let path = folder.join("profile.toml");
    let text = fs::read_to_string(&path).expect("a raised lab has its profile");
    let changed = change(&text);
    assert_ne!(text, changed, "the profile has nothing to change");
    fs::write(&path, changed).expect("the lab's folder is writable");
}

#[test]
fn below_risk_3_no_frame_has_a_foreign_source() {
    if !privileged() {
        return;
    }
    let lab = Lab::raise("exits");
    change_profile(&lab.folder, |text| text.replace("risk = 3", "risk = 2"));
    let output = lab.sweep("result").output().expect("the sweep runs");
    expect_code(&output, 0);
    let folder = lab.folder.clone();
    drop(lab);
    let witness = crate::raised::Witness::at(&folder, "scan");
    let own = "ether src 00:e0:4c:96:01:05";
    assert!(witness.count(own) > 500);
    let foreign = format!(
        "(src host 198.51.100.10 or src host 2001:db8:ffff::10) and {own} \
         or {own} and ip and not src host 10.96.1.5 and not src host 0.0.0.0 \
         or {own} and ip6 and not src net fe80::/10 and not src net fd00:96:1::/64 and not src host ::"
    );
    assert_eq!(witness.frames(&foreign), Vec::<String>::new());
    let result = read_result(&folder.join("result/result.json"));
    assert_eq!(calibration(&result, "spoofed-source").0, "not-run");
}

/// Rule, subject, methods and public addresses of what was found of ways out.
fn told(result: &Value) -> BTreeSet<String> {
    let findings = result["findings"].as_array().expect("findings are a list");
    findings
        .iter()
        .filter(|finding| finding["rule"].as_str().is_some_and(|rule| rule.contains("egress")))
        .map(|finding| {
            let (subject, detail) = (&finding["subject"], &finding["detail"]);
            format!(
                "{} {} {:?} {:?} {}",
                finding["rule"],
                subject["ip"],
                words(&detail["methods"]),
                words(&detail["public_addresses"]),
                finding["confidence"],
            )
        })
        .collect()
}

#[test]
fn the_collectors_log_tells_what_its_interface_tells() {
    if !privileged() {
        return;
    }
    let lab = Lab::raise("exits");
    expect_code(&lab.sweep("by-interface").output().expect("the sweep runs"), 0);
    let by_interface = told(&read_result(&lab.folder.join("by-interface/result.json")));

    let log = lab.folder.join("witness.jsonl");
    let read_log = format!("witness_log = {:?}", log.display().to_string());
    change_profile(&lab.folder, |text| {
        let lines = text.lines().map(|line| {
            if line.starts_with("collector = ") { read_log.clone() } else { line.to_owned() }
        });
        lines.collect::<Vec<_>>().join("\n")
    });
    expect_code(&lab.sweep("by-log").output().expect("the sweep runs"), 0);
    let by_log = told(&read_result(&lab.folder.join("by-log/result.json")));
    assert_eq!(by_interface, by_log);

    // A sweep that reaches neither, and the log carried to its result afterwards.
    change_profile(&lab.folder, |text| text.replace(&read_log, ""));
    expect_code(&lab.sweep("carried").output().expect("the sweep runs"), 0);
    let mut audit = lab.jiebei("audit");
    audit.arg(lab.folder.join("carried")).arg("--witness").arg(&log);
    audit.arg("--registry").arg(crate::raised::scenario_file("exits", "registry"));
    audit.arg("--key").arg(format!("file:{}", lab.folder.join("egress.key").display()));
    audit.arg("--out").arg(lab.folder.join("audited"));
    expect_code(&audit.output().expect("the audit runs"), 0);
    let carried = told(&read_result(&lab.folder.join("audited/result.json")));
    assert_eq!(by_interface, carried);
}

/// Each finding that was planted and no other, above all no way out where there is none.
#[test]
fn nothing_is_found_that_was_not_planted() {
    if !privileged() {
        return;
    }
    for scenario in ["exits", "exits-guarded", "exits-strict", "mirror"] {
        assert_as_planted(scenario, &swept(scenario).file("result.json"), None);
    }
}

/// The codes of a result's notices about the witness, with their sentences.
fn remarks(result: &Value) -> Vec<(String, String)> {
    let notices = result["sweep"]["notices"].as_array().expect("notices are a list");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = notices.iter().map(|notice| (text(&notice["code"]), text(&notice["text"])));
    all.filter(|(code, _)| code.starts_with("witness-")).collect()
}

fn receipts(folder: &Path) -> usize {
    let kept = fs::File::open(folder.join("observations.jsonl.zst")).expect("observations");
    let text = zstd::decode_all(kept).expect("observations are whole");
    let text = String::from_utf8(text).expect("observations are text");
    text.lines().filter(|line| line.contains(r#""seen_by":"collector""#)).count()
}

/// A collector that is down, is another, or does not let us in; a log under another key, changed, cut or
/// with a line that is none: each is told by its own word, none is a receipt, none stops the sweep.
#[test]
fn a_collector_that_fails_or_lies_is_told_and_stops_nothing() {
    if !privileged() {
        return;
    }
    let lab = Lab::raise("exits");
    // Steering alone, and little else: what is looked at is the collector.
    change_profile(&lab.folder, |text| {
        text.replace("seconds = 10", "seconds = 1")
            .replace(r#"methods = ["next-hop", "spoofed-source", "proxy", "dns", "port-mapping", "ipv6", "passive"]"#, r#"methods = ["next-hop"]"#)
            .replace(r#"methods = ["arp", "ndp", "icmp", "icmpv6", "tcp", "udp"]"#, r#"methods = ["arp", "icmp"]"#)
    });
    let good = fs::read_to_string(lab.folder.join("profile.toml")).expect("the profile");
    fs::write(lab.folder.join("other.token"), "00".repeat(32)).expect("a file");
    fs::write(lab.folder.join("other.key"), "11".repeat(32)).expect("a file");
    let log = lab.folder.join("witness.jsonl");
    let sweep = |name: &str, text: &str| {
        fs::write(lab.folder.join("profile.toml"), text).expect("the lab's folder is writable");
        expect_code(&lab.sweep(name).output().expect("the sweep runs"), 0);
        let folder = lab.folder.join(name);
        (read_result(&folder.join("result.json")), receipts(&folder))
    };

    let (result, seen) = sweep("good", &good);
    assert!(seen > 20, "{seen} receipts");
    assert_eq!(remarks(&result), []);

    let cases = [
        ("down", good.replace(":8443", ":8444"), "witness-unreachable"),
        ("stranger", good.replace("collector.token", "other.token"), "witness-denied"),
        (
            "impostor",
            good.lines()
                .map(|line| match line.split_once("pin = ") {
                    Some((head, _)) => format!("{head}pin = \"{}\" }}\n", "ab".repeat(32)),
                    None => format!("{line}\n"),
                })
                .collect(),
            "witness-certificate",
        ),
        (
            "other-key",
            good.lines()
                .map(|line| match line.starts_with("collector = ") {
                    true => format!("witness_log = {:?}\n", log.display().to_string()),
                    false => format!("{line}\n"),
                })
                .collect::<String>()
                .replace("egress.key", "other.key"),
            "witness-other-key",
        ),
    ];
    for (name, profile, expected) in cases {
        assert_ne!(profile, good, "{name}");
        let (result, seen) = sweep(name, &profile);
        let told: Vec<String> = remarks(&result).into_iter().map(|(code, _)| code).collect();
        assert_eq!(told, [expected], "{name}");
        assert_eq!(seen, 0, "{name}");
        assert_eq!(result["sweep"]["complete"], true, "{name}");
    }

    // Carried, and tampered with on the way.
    let carried = fs::read_to_string(&log).expect("the collector's log");
    let first = carried.lines().next().expect("an entry");
    let address = first.split("\"observed\":\"").nth(1).and_then(|rest| rest.split('"').next());
    let changed = carried.replacen(address.expect("an address"), "203.0.113.77", 1);
    let with_noise = format!("{carried}not an entry\n");
    let lines = carried.lines().count() as u64;
    let cut = &carried[..carried.len() - 40];
    let doubled = format!("{carried}{}\n", first);
    for (name, text, expected, line) in [
        ("changed", changed.as_str(), "witness-forged", 1),
        ("noise", with_noise.as_str(), "witness-malformed", lines + 1),
        ("cut", cut, "witness-truncated", lines),
        ("doubled", doubled.as_str(), "witness-replayed", lines + 1),
    ] {
        let file = lab.folder.join(format!("{name}.jsonl"));
        fs::write(&file, text).expect("the lab's folder is writable");
        let mut audit = lab.jiebei("audit");
        audit.arg(lab.folder.join("good")).arg("--witness").arg(&file);
        audit.arg("--registry").arg(crate::raised::scenario_file("exits", "registry"));
        audit.arg("--key").arg(format!("file:{}", lab.folder.join("egress.key").display()));
        audit.arg("--out").arg(lab.folder.join(format!("audited-{name}")));
        expect_code(&audit.output().expect("the audit runs"), 0);
        let audited = read_result(&lab.folder.join(format!("audited-{name}/result.json")));
        let told = remarks(&audited);
        let of = told.iter().find(|(code, _)| code == expected);
        let (_, sentence) = of.unwrap_or_else(|| panic!("{name}: {told:?}"));
        assert!(sentence.contains(&line.to_string()), "{name}: {sentence}");
        let shown = audited.to_string();
        assert!(!shown.contains("203.0.113.77"), "{name}");
    }
}
