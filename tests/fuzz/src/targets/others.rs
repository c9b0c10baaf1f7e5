//! What else reads octets of others: registries, profiles, receipts of the collector, observations, evidence, and answers to
//! probes.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Cursor;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use jiebei::egress::receipt;
use jiebei::egress::token::EgressKey;
use jiebei::link::capture::Reader;
use jiebei::net::{AddressSet, Mac, Prefix};
use jiebei::observe::{Fact, Observation, VantageId};
use jiebei::registry::{self, ReadOptions};
use jiebei::result::evidence::EvidenceFile;
use jiebei::result::observations;
use jiebei::scan::{Recogniser, SourcePorts, SweepKey};
use jiebei::scope::Vantage;
use jiebei::sweep::profile;
use jiff::civil::date;

use super::samples::Samples;
use super::{Outcome, Target};

/// Texts are longer than frames.
const LONGEST: usize = 4096;

pub fn targets() -> Vec<Target> {
    let none = |_: &Samples| vec![Vec::new()];
    let frames =
        |samples: &Samples| samples.frames.iter().map(|(_, frame)| frame.clone()).collect();
    let recogniser = recogniser();
    let key = EgressKey::from_bytes([1; 32]);
    vec![
        Target::new("answer", move |input| answer(&recogniser, input), frames),
        Target::new("observations", observed, facts).longest(LONGEST),
        Target::new("evidence", evidence, |samples| samples.files.clone()).longest(LONGEST),
        Target::new("profile", profiled, |_| profiles()).longest(LONGEST),
        Target::new("receipt", move |input| receipts(&key, input), none),
        Target::new("registry-json", |input| registered("json", input), |_| jsons())
            .longest(LONGEST),
        Target::new("registry-csv", |input| registered("csv", input), |_| sheets())
            .longest(LONGEST),
        Target::new("registry-xlsx", |input| registered("xlsx", input), none).longest(1 << 14),
    ]
}

fn number(seen: impl Hash) -> Outcome {
    let mut hasher = DefaultHasher::new();
    seen.hash(&mut hasher);
    Outcome { digest: hasher.finish(), ..Outcome::default() }
}

/// A sweep that has asked everybody everything, so that every answer without a token fits.
fn recogniser() -> Recogniser {
    let prefix = Prefix::of(Ipv4Addr::new(10, 20, 1, 0).into(), 24);
    let addresses = vec![(IpAddr::from([10, 20, 1, 5]), prefix)];
    let vantage = Vantage { id: VantageId(0), mac: Mac([2, 0, 0, 0, 0, 5]), addresses };
    let mut recogniser = Recogniser::new(
        SweepKey::of_text("fuzz"),
        SourcePorts::choose((32_768, 60_999), &[]),
        &[vantage],
    );
    let all: AddressSet = [
        Prefix::of(Ipv4Addr::UNSPECIFIED.into(), 0),
        Prefix::of(std::net::Ipv6Addr::UNSPECIFIED.into(), 0),
    ]
    .into_iter()
    .collect();
    recogniser.asks_resolution(VantageId(0), &all);
    let ports: Vec<u16> = (1..1024).chain([1900, 3702, 5353, 5355]).collect();
    recogniser.asks_udp(VantageId(0), &all, &ports);
    recogniser
}

fn answer(recogniser: &Recogniser, input: &[u8]) -> Outcome {
    let recognised = recogniser.recognise(VantageId(0), input);
    let facts = recognised.into_iter().map(|one| (one.source, one.fact)).collect();
    Outcome { facts, ..Outcome::default() }
}

/// A line of observations as JSON, and a compressed file of them.
fn observed(input: &[u8]) -> Outcome {
    let bounds = observations::Bounds { line: 1 << 16, observations: 1024, total: 1 << 20 };
    let (mut facts, mut digest) = (Vec::new(), 0);
    match serde_json::from_slice::<Observation>(input) {
        Ok(observation) => facts.push((observation.source, observation.fact)),
        Err(_) => digest = u64::from(serde_json::from_slice::<Fact>(input).is_ok()),
    }
    if input.first() == Some(&0x28) {
        digest = observations::read_from(input, "hostile", bounds)
            .map_or(2, |(_, log)| log.len() as u64);
    }
    // A fact of a file may hold texts that no frame made: only that it is written as it was read is checked.
    for (_, fact) in facts.drain(..) {
        let text = serde_json::to_string(&fact).unwrap();
        let back: Fact = serde_json::from_str(&text).unwrap();
        assert_eq!(fact, back);
    }
    Outcome { digest, ..Outcome::default() }
}

fn facts(samples: &Samples) -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for (link_type, frame) in samples.frames.iter().step_by(3) {
        let outcome = super::dissectors::read(*link_type, frame);
        seeds.extend(outcome.facts.iter().map(|(_, fact)| serde_json::to_vec(fact).unwrap()));
    }
    seeds.sort_unstable();
    seeds.dedup_by(|a, b| a.iter().take(40).eq(b.iter().take(40)));
    seeds
}

fn evidence(input: &[u8]) -> Outcome {
    let reader = Reader::new("hostile", Cursor::new(input.to_vec()));
    number(reader.is_ok_and(|reader| EvidenceFile::read(reader).is_ok()))
}

fn profiled(input: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(input);
    match profile::read(&text, "hostile.toml") {
        Ok(_) => number(0),
        Err(refused) => number(refused.faults.len()),
    }
}

fn profiles() -> Vec<Vec<u8>> {
    ["inspection", "routine", "fragile", "passive"]
        .into_iter()
        .filter_map(profile::built_in)
        .map(|text| text.as_bytes().to_vec())
        .collect()
}

fn receipts(key: &EgressKey, input: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(input);
    number(receipt::read(key, &text).is_ok())
}

/// The shared memory of the machine, where it has some: files there cost no disk.
fn folder() -> PathBuf {
    let shared = PathBuf::from("/dev/shm");
    let folder = if shared.is_dir() { shared } else { std::env::temp_dir() };
    folder.join(format!("jiebei-fuzz-{}-{:?}", std::process::id(), std::thread::current().id()))
}

/// A registry is a file or a folder: an input is written as one. Of CSV the first octet says of which table it is.
fn registered(ending: &str, input: &[u8]) -> Outcome {
    let folder = folder();
    fs::create_dir_all(&folder).unwrap();
    let (source, written) = match (ending, input.split_first()) {
        ("csv", Some((table, rest))) => {
            let table = TABLES[usize::from(*table) % TABLES.len()];
            (folder.clone(), fs::write(folder.join(format!("{table}.csv")), rest))
        }
        _ => {
            let file = folder.join(format!("registry.{ending}"));
            (file.clone(), fs::write(file, input))
        }
    };
    written.unwrap();
    let read = registry::read(&source.display().to_string(), &ReadOptions::on(date(2026, 11, 25)));
    fs::remove_dir_all(&folder).unwrap();
    match read {
        Ok(loaded) => number((0, loaded.sha256, loaded.warnings.len())),
        Err(refused) => number((1, refused.faults.len())),
    }
}

/// Names of tables by which a file in a folder is known.
const TABLES: &[&str] =
    &["units", "segments", "devices", "egresses", "assets", "services", "notices", "waivers"];

/// What the tests of the registry hold to be faulty, by the place of its table.
fn sheets() -> Vec<Vec<u8>> {
    let sheets: &[(u8, &[u8])] = &[
        (0, include_bytes!("../../../registries/faults/units.csv")),
        (1, include_bytes!("../../../registries/faults/接入网段.csv")),
        (2, include_bytes!("../../../registries/faults/devices.csv")),
        (3, include_bytes!("../../../registries/faults/egresses.csv")),
        (4, include_bytes!("../../../registries/faults/资产.csv")),
        (5, include_bytes!("../../../registries/faults/services.csv")),
        (6, include_bytes!("../../../registries/faults/notices.csv")),
        (7, include_bytes!("../../../registries/faults/waivers.csv")),
    ];
    sheets.iter().map(|(table, sheet)| [&[*table], *sheet].concat()).collect()
}

fn jsons() -> Vec<Vec<u8>> {
    vec![
        include_bytes!("../../../../src/registry/example.en.json").to_vec(),
        b"{\"units\":[{\"name\":\"a\"}]}".to_vec(),
    ]
}
