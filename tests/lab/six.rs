//! IPv6 hosts behind a router, found without asking 2^64 addresses: each source of candidates has one planted for it.

use std::process::Command;

use serde_json::Value;

use crate::evidence::copy_folder;
use crate::raised::{expect_code, privileged, scenario_file};
use crate::swept::{assert_as_planted, read_result, swept};

const FARM: &str = "fd00:67:0:2::/64";

/// The sources that find a host of the farm, and how many.
const FARMED: &[(&str, u64)] = &[
    ("registry", 1),
    ("low-byte", 1),
    ("eui64", 1),
    ("structure", 1),
    ("sequential", 2),
    ("ipv4", 2),
    ("port", 1),
    ("words", 1),
    ("vendor", 1),
    // The router's own address, and the host that only its cache knows.
    ("snmp", 2),
    ("dns", 1),
];

fn row<'a>(result: &'a Value, prefix: &str) -> &'a Value {
    let rows = result["coverage"].as_array().expect("a list");
    rows.iter().find(|row| row["prefix"] == prefix).unwrap_or_else(|| panic!("{prefix}"))
}

fn yields(row: &Value) -> Vec<(String, u64, u64)> {
    let of = row["candidates"].as_array().expect("candidates");
    let number = |value: &Value| value.as_u64().expect("a count");
    of.iter()
        .map(|of| {
            let source = of["source"].as_str().expect("a word").to_owned();
            (source, number(&of["asked"]), number(&of["answered"]))
        })
        .collect()
}

#[test]
fn each_habit_finds_its_host_and_says_so() {
    if !privileged() {
        return;
    }
    let swept = swept("six");
    let result = swept.result();
    let farm = row(&result, FARM);
    let found = yields(farm);
    for (source, least) in FARMED {
        let of = found.iter().find(|(word, ..)| word == source);
        let answered = of.map_or(0, |(_, _, answered)| *answered);
        assert!(answered >= *least, "{source}: {answered} of {least}; {found:?}");
    }
    // They add up: no address is two sources'.
    let sum: u64 = found.iter().map(|(_, asked, _)| asked).sum();
    assert_eq!(sum, farm["asked"].as_u64().unwrap());
    assert!(sum < 1200, "{sum} addresses asked of {FARM}");
    let answered: u64 = found.iter().map(|(.., answered)| answered).sum();
    assert_eq!(answered, farm["answered"].as_u64().unwrap());
    // Nobody can know of the last one.
    let text = result.to_string();
    assert!(!text.contains("fd00:67:0:2:d2ae:91f0:77ab:1c34"));
    // What no unicast question found on a link with an exclusion.
    for heard in ["fd00:67:0:1:5b1c:77e2:c40d:913a", "fd00:67:0:1::c5:1234"] {
        assert!(text.contains(heard), "{heard}");
    }
    // Names are told of whoever has them; a zone where everybody has one is not believed.
    let names: Vec<&str> = result["devices"]
        .as_array()
        .expect("a list")
        .iter()
        .flat_map(|device| device["hostnames"].as_array().expect("a list"))
        .filter_map(Value::as_str)
        .collect();
    assert!(names.contains(&"drawn.farm.example") && names.contains(&"low.farm.example"));
    assert!(!text.contains("annex.example"));
    let farm = result["segments"].as_array().expect("a list").iter().find(|s| s["prefix"] == FARM);
    assert!(
        farm.expect("a segment")["sources"].as_array().expect("a list").contains(&"snmp".into())
    );
    let sent = result["sweep"]["packets_sent"].as_u64().unwrap();
    assert!(sent <= 7000, "{sent} frames");
    assert_as_planted("six", &swept.file("result.json"), None);
}

#[test]
fn the_plan_names_the_sources_before() {
    if !privileged() {
        return;
    }
    let plan = &swept("six").plan;
    let areas = plan["areas"].as_array().expect("a list");
    let farm = areas.iter().find(|area| area["prefix"] == FARM).expect("the farm is planned");
    let sources: Vec<&str> = farm["candidates"]
        .as_array()
        .expect("candidates")
        .iter()
        .map(|of| of["source"].as_str().unwrap())
        .collect();
    for word in ["registry", "low-byte", "eui64", "structure", "port", "words", "vendor"] {
        assert!(sources.contains(&word), "{word}: {sources:?}");
    }
}

#[test]
fn yields_are_the_same_when_judged_again() {
    if !privileged() {
        return;
    }
    let swept = swept("six");
    let told = swept.result();
    let jiebei = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jiebei"));
        command.env("NO_COLOR", "1").arg(words[0]).args(["--lang", "en"]).args(&words[1..]);
        command
    };
    let replayed = swept.beside("replayed");
    let record = swept.record();
    let registry = scenario_file("six", "registry");
    let mut replay = jiebei(&["sweep", "--replay"]);
    replay.arg(record).arg("--registry").arg(&registry).arg("--out").arg(&replayed);
    let output = replay.output().expect("it runs");
    expect_code(&output, 0);
    let again = read_result(&replayed.join("result.json"));
    assert_eq!(again["coverage"], told["coverage"]);

    let copy = swept.beside("audited");
    copy_folder(&swept.file(""), &copy);
    let mut audit = jiebei(&["audit", "--format", "json"]);
    audit.arg(copy.join("result.json")).arg("--registry").arg(registry);
    let output = audit.output().expect("it runs");
    expect_code(&output, 0);
    let again: Value = serde_json::from_slice(&output.stdout).expect("the audit writes JSON");
    for prefix in [FARM, "fd00:67:0:1::/64", "fd00:67:0:3::b:0/124"] {
        assert_eq!(row(&again, prefix)["candidates"], row(&told, prefix)["candidates"], "{prefix}");
    }
}
