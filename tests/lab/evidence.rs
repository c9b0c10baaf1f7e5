//! What is kept of a sweep shows what it says: to tshark, to a replay, to another audit.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use ipnetwork::IpNetwork;
use serde_json::Value;

use crate::raised::{expect_code, privileged, scenario_file};
use crate::swept::{assert_as_planted, read_result, swept};

fn jiebei() -> Command {
    let mut jiebei = Command::new(env!("CARGO_BIN_EXE_jiebei"));
    jiebei.env("NO_COLOR", "1");
    jiebei
}

/// The parts that a replay or another audit must give again.
fn lasting<'a>(result: &'a Value, parts: &[&str]) -> BTreeMap<String, &'a Value> {
    parts.iter().map(|part| ((*part).to_owned(), &result[*part])).collect()
}

fn assert_same(one: &Value, other: &Value, parts: &[&str]) {
    for part in parts {
        let (one, other) = (&lasting(one, parts)[*part], &lasting(other, parts)[*part]);
        let pretty = |value| serde_json::to_string_pretty(value).expect("JSON is written");
        assert!(one == other, "{part}, first and then:\n{}\n{}", pretty(*one), pretty(*other));
    }
}

#[test]
fn a_replay_gives_the_same() {
    if !privileged() {
        return;
    }
    for scenario in ["town", "county"] {
        let swept = swept(scenario);
        let again = swept.beside("replayed");
        let output = jiebei()
            .args(["sweep", "--lang", "en", "--replay"])
            .arg(swept.record())
            .arg("--registry")
            .arg(scenario_file(scenario, "registry"))
            .arg("--out")
            .arg(&again)
            .output()
            .expect("the replay runs");
        expect_code(&output, 0);
        let again = read_result(&again.join("result.json"));
        assert_same(&swept.result(), &again, &["devices", "segments", "egresses", "findings"]);
    }
}

#[test]
fn an_audit_gives_the_same_findings() {
    if !privileged() {
        return;
    }
    for scenario in ["town", "county"] {
        let swept = swept(scenario);
        // Of a copy: the audit may write where the result lies.
        let copy = swept.beside("audited");
        copy_folder(&swept.file(""), &copy);
        let output = jiebei()
            .args(["audit", "--lang", "en", "--format", "json"])
            .arg(copy.join("result.json"))
            .arg("--registry")
            .arg(scenario_file(scenario, "registry"))
            .output()
            .expect("the audit runs");
        expect_code(&output, 0);
        let audited: Value = serde_json::from_slice(&output.stdout).expect("the audit writes JSON");
        assert_same(&swept.result(), &audited, &["findings"]);
    }
}

pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder is made");
    for entry in std::fs::read_dir(from).expect("the result's folder is read") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a file is copied");
    }
}

#[test]
fn tshark_finds_each_subject_in_its_packets() {
    if !privileged() {
        return;
    }
    for scenario in ["town", "county"] {
        let swept = swept(scenario);
        let frames = dissected(&swept.file("evidence.pcapng"));
        for finding in swept.result()["findings"].as_array().expect("a list") {
            assert_shown(finding, &frames);
        }
    }
}

/// `evidence.pcapng` as tshark tells it, by frame number.
pub fn dissected(evidence: &Path) -> BTreeMap<u64, String> {
    let mut tshark = Command::new("tshark");
    let output = tshark.arg("-r").arg(evidence).args(["-n", "-V"]).output();
    let output = output.expect("tshark runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let mut frames: BTreeMap<u64, String> = BTreeMap::new();
    // A frame's comments stand before its head.
    let (mut number, mut comments) = (0, None);
    for line in text.lines() {
        if line == "Packet comments" {
            comments = Some(String::new());
        }
        let head = line.strip_prefix("Frame ").and_then(|rest| rest.split_once(':'));
        if let Some(new) = head.and_then(|(number, _)| number.parse().ok()) {
            number = new;
            frames.insert(number, comments.take().unwrap_or_default());
        }
        let of_frame = comments.as_mut().unwrap_or_else(|| frames.entry(number).or_default());
        of_frame.push_str(line);
        of_frame.push('\n');
    }
    frames
}

/// The frames that a finding points at exist, and name its subject; one of them carries its id.
pub fn assert_shown(finding: &Value, frames: &BTreeMap<u64, String>) {
    let subject = &finding["subject"];
    let told = format!("{} {subject}", finding["rule"]);
    let mut shown = String::new();
    for evidence in finding["evidence"].as_array().expect("a list") {
        for number in evidence["packets"].as_array().into_iter().flatten() {
            let number = number.as_u64().expect("a number");
            shown += frames.get(&number).unwrap_or_else(|| panic!("{told}: no frame {number}"));
        }
    }
    if shown.is_empty() {
        // Absence has no packets: then the silence must be told.
        let kinds: Vec<_> = finding["evidence"].as_array().into_iter().flatten().collect();
        assert!(kinds.iter().any(|evidence| evidence["kind"] == "silence"), "{told}: no evidence");
        return;
    }
    let id = finding["id"].as_str().expect("an id");
    assert!(shown.contains(id), "{told}: no comment has its id");
    let named = |key: &str| subject[key].as_str().is_some_and(|text| shown.contains(text));
    let prefix = subject["prefix"].as_str().and_then(|text| text.parse::<IpNetwork>().ok());
    let within = prefix.is_some_and(|prefix| addresses(&shown).any(|ip| prefix.contains(ip)));
    assert!(named("ip") || named("mac") || within, "{told}: its packets do not name it:\n{shown}");
}

fn addresses(text: &str) -> impl Iterator<Item = IpAddr> + '_ {
    let words = text.split(|c: char| !(c.is_ascii_hexdigit() || c == '.' || c == ':'));
    // `10.20.1.7:` ends a sentence, `fd00::` an address.
    words
        .filter_map(|word| word.parse().or_else(|_| word.trim_end_matches([':', '.']).parse()).ok())
}

#[test]
fn names_from_the_wire_are_shown_as_text() {
    if !privileged() {
        return;
    }
    // A host of `county` announces this name by LLDP; the escape after it colours a terminal.
    let name = "<img/src=x/onerror=alert(1)>";
    let swept = swept("county");
    let told = swept.result()["devices"].to_string();
    assert!(told.contains(name), "the name was not heard: {told}");
    let report = std::fs::read_to_string(swept.file("report.html")).expect("the report is text");
    assert!(!report.contains(name) && !report.contains('\u{1b}'));
    assert!(!swept.said.contains('\u{1b}'), "{}", swept.said);
}

#[test]
fn a_sweep_through_the_portable_link_finds_the_same() {
    if !privileged() {
        return;
    }
    let lab = crate::raised::Lab::raise("town");
    let output = lab.sweep("pnet").args(["--io", "pnet"]).output().expect("the sweep runs");
    expect_code(&output, 0);
    assert_as_planted("town", &lab.folder.join("pnet/result.json"), None);
}
