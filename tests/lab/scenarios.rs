//! The scenarios themselves hold together. Takes no root.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use jiebei::audit::rule;
use jiebei::registry::{ReadOptions, read};
use jiebei::sweep::profile;
use jiff::civil::date;

use crate::raised::scenario_file;

fn names() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/scenarios");
    let entries = fs::read_dir(folder).expect("there are scenarios");
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn every_registry_and_profile_is_accepted() {
    for name in names() {
        let registry = scenario_file(&name, "registry");
        let options = ReadOptions::on(date(2026, 11, 22));
        if let Err(refused) = read(registry.to_str().expect("UTF-8"), &options) {
            panic!("{name}: {:#?}", refused.faults);
        }
        let path = scenario_file(&name, "profile.toml");
        let text = fs::read_to_string(&path).expect("a scenario has a profile");
        // The certificate is known when the lab is up.
        let text = text.replace("{pin}", &"0".repeat(64));
        if let Err(refused) = profile::read(&text, "profile.toml") {
            panic!("{name}: {:#?}", refused.faults);
        }
    }
}

#[test]
fn every_rule_is_planted_somewhere() {
    let mut planted = BTreeSet::new();
    for name in names() {
        let expected = fs::read_to_string(scenario_file(&name, "expected.csv")).expect("a list");
        planted.extend(
            expected
                .lines()
                .skip(1)
                .filter_map(|line| line.split_once(',').map(|(rule, _)| rule.to_owned())),
        );
    }
    let rules: BTreeSet<String> = rule::ALL.iter().map(|rule| rule.name().to_owned()).collect();
    assert_eq!(planted, rules);
}
