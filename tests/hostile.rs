//! Broken bytes: captured frames and capture files changed at random, and random payloads behind
//! headers that are right. Nothing may panic, hang or grow without bound.
//!
//! The seed is fixed, so a failure repeats; `JIEBEI_HOSTILE_SEED` and `JIEBEI_HOSTILE_FRAMES` change it
//! and the number of frames for a longer run, `JIEBEI_PCAPS` reads the captures of another folder.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jiebei::link::capture::{Item, Reader};
use jiebei::net::Mac;
use jiebei::observe::{Fact, FrameNumber, Log, VantageId};
use jiebei::passive::{Listener, dissect};
use jiebei::wire::build::{self, Macs};
use jiebei::wire::{LinkType, Protocol};
use targets::formats::read_all;
use targets::samples::{self, Samples};
use targets::{Thoroughness, check};

#[path = "fuzz/src/targets/mod.rs"]
#[expect(dead_code, unused_imports, reason = "what only the fuzzer needs")]
mod targets;

/// SplitMix64: small, and the same everywhere.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `bound`; zero where the bound is zero.
    fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.next() % bound as u64) as usize }
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most);
        // Headers are full of small numbers: half of the octets are.
        (0..length)
            .map(|_| match self.next() {
                random if random & 1 == 0 => (random >> 32) as u8,
                random => (random >> 32) as u8 & 0x07,
            })
            .collect()
    }

    /// A few changes, of the kinds that found faults in other readers.
    fn change(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(3) {
            let place = self.below(bytes.len());
            match self.below(8) {
                0 => bytes.truncate(place),
                1 | 2 => {
                    if let Some(octet) = bytes.get_mut(place) {
                        *octet ^= 1 << self.below(8);
                    }
                }
                3 => {
                    let lie = [0, 1, 3, 4, 7, 0x7f, 0x80, 0xfe, 0xff][self.below(9)];
                    if let Some(octet) = bytes.get_mut(place) {
                        *octet = lie;
                    }
                }
                4 => {
                    let lie =
                        [[0, 0], [0, 1], [0xff, 0xff], [0x7f, 0xff], [0x80, 0]][self.below(5)];
                    if let Some(word) = bytes.get_mut(place..place + 2) {
                        word.copy_from_slice(&lie);
                    }
                }
                5 => {
                    let length = self.below(64).min(bytes.len() - place);
                    let copy = bytes[place..place + length].to_vec();
                    let at = self.below(bytes.len());
                    bytes.splice(at..at, copy);
                }
                6 => {
                    let length = self.below(32).min(bytes.len() - place);
                    bytes.drain(place..place + length);
                }
                _ => {
                    let random = self.bytes(16);
                    bytes.splice(place..place, random);
                }
            }
        }
    }
}

fn seed() -> u64 {
    std::env::var("JIEBEI_HOSTILE_SEED").map_or(20_261_122, |seed| seed.parse().unwrap())
}

fn number_of_frames() -> usize {
    std::env::var("JIEBEI_HOSTILE_FRAMES").map_or(200_000, |number| number.parse().unwrap())
}

fn captures() -> PathBuf {
    match std::env::var_os("JIEBEI_PCAPS") {
        Some(folder) => folder.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures"),
    }
}

/// A few frames of each capture.
fn corpus() -> Vec<(LinkType, Vec<u8>)> {
    let corpus = Samples::of(&captures()).frames;
    assert!(corpus.len() > 1000, "{}", corpus.len());
    corpus
}

/// The word of a fact, to see which were reached.
fn word(fact: &Fact) -> String {
    let value = serde_json::to_value(fact).unwrap();
    value["fact"].as_str().unwrap().to_owned()
}

#[test]
fn changed_frames_do_no_harm() {
    let corpus = corpus();
    let mut chance = Chance(seed());
    let mut reached: BTreeMap<String, u64> = BTreeMap::new();
    for turn in 0..number_of_frames() {
        let (link_type, frame) = &corpus[chance.below(corpus.len())];
        let mut frame = frame.clone();
        chance.change(&mut frame);
        let began = Instant::now();
        let mut number = 0;
        dissect::dissect(*link_type, &frame, &mut |_, fact| {
            number += 1;
            if turn % 16 == 0 {
                *reached.entry(word(&fact)).or_default() += 1;
            }
        });
        // A hang, not a measurement: machines are busy.
        assert!(began.elapsed() < Duration::from_secs(20), "{link_type} {frame:02x?}");
        assert!(number <= frame.len().max(64), "{number} facts: {frame:02x?}");
    }
    for fact in [
        "binding",
        "traffic",
        "router-advertisement",
        "dhcp-server",
        "dhcp-client",
        "lldp",
        "routing-speaker",
        "name",
        "name-client",
        "name-server",
        "name-query",
        "name-record",
        "netbios-name",
        "browser",
        "ssdp",
        "snmp-speaker",
        "dhcp-told",
        "said",
        "querier",
        "listener",
        "encapsulated",
        "oddity",
    ] {
        assert!(reached.contains_key(fact), "{fact} was never reached: {reached:?}");
    }
}

/// Random payloads behind headers that wake each dissector.
#[test]
fn random_payloads_do_no_harm() {
    let macs = Macs { source: Mac([2, 0, 0, 0, 0, 1]), destination: Mac([1, 0, 0x5e, 0, 0, 1]) };
    let v4 = (Ipv4Addr::new(10, 20, 1, 1), Ipv4Addr::new(224, 0, 0, 1));
    let v6: (Ipv6Addr, Ipv6Addr) = ("fe80::1".parse().unwrap(), "ff02::1".parse().unwrap());
    let ports = [
        53, 67, 68, 69, 123, 137, 138, 161, 500, 514, 520, 521, 546, 547, 1194, 1701, 1812, 1900,
        1985, 2029, 2152, 3222, 3478, 3544, 3702, 4500, 4789, 5060, 5246, 5353, 5355, 5678, 6081,
        8472, 10001, 12223, 37020, 37810, 47808,
    ];
    let protocols = [0, 1, 2, 4, 6, 41, 43, 44, 47, 50, 51, 58, 60, 88, 89, 103, 112];
    let ethertypes = [
        0x0806u16, 0x88cc, 0x8847, 0x8864, 0x88e7, 0x8100, 0x8909, 0x0040, 0x8863, 0x8809, 0x2000,
        0x8870, 0xfefe,
    ];
    let mut chance = Chance(seed());
    for _ in 0..number_of_frames() / 40 {
        let mut payload = chance.bytes(600);
        read_all(&payload);
        let mut frames = Vec::new();
        for port in ports {
            frames.extend(build::udp_datagram(
                macs,
                (v4.0.into(), port),
                (v4.1.into(), port),
                255,
                &payload,
            ));
            frames.extend(build::udp_datagram(
                macs,
                (v6.0.into(), port),
                (v6.1.into(), port),
                255,
                &payload,
            ));
        }
        for protocol in protocols.map(Protocol) {
            frames.extend(build::packet(macs, v4.0.into(), v4.1.into(), protocol, 255, &payload));
            frames.extend(build::packet(macs, v6.0.into(), v6.1.into(), protocol, 255, &payload));
        }
        for ethertype in ethertypes {
            let mut frame = [macs.destination.0, macs.source.0].concat();
            frame.extend_from_slice(&ethertype.to_be_bytes());
            frame.extend_from_slice(&payload);
            frames.push(frame);
        }
        // ICMPv6 types are one octet: aim it.
        if let Some(octet) = payload.first_mut() {
            *octet = 128 + chance.below(18) as u8;
        }
        frames.extend(build::packet(
            macs,
            v6.0.into(),
            v6.1.into(),
            Protocol::ICMPV6,
            255,
            &payload,
        ));
        for frame in frames {
            dissect::dissect(LinkType::ETHERNET, &frame, &mut |_, _| {});
        }
    }
}

#[test]
fn changed_capture_files_do_no_harm() {
    let files: Vec<Vec<u8>> = samples::captures(&captures())
        .iter()
        .map(|path| fs::read(path).unwrap())
        .filter(|bytes| bytes.len() < 20_000)
        .collect();
    let mut chance = Chance(seed());
    let (mut refused, mut frames) = (0, 0);
    for _ in 0..number_of_frames() / 50 {
        let mut file = files[chance.below(files.len())].clone();
        // The damage is at the front more often, where the lengths of the container are.
        if chance.below(2) == 0 {
            let mut front: Vec<u8> = file.drain(..file.len().min(64)).collect();
            chance.change(&mut front);
            file.splice(0..0, front);
        } else {
            chance.change(&mut file);
        }
        let length = file.len();
        let Ok(mut reader) = Reader::new("hostile", io::Cursor::new(file)) else {
            refused += 1;
            continue;
        };
        let (mut items, mut errors) = (0, 0);
        while let Some(item) = reader.next() {
            match item {
                Ok(Item::Frame(frame)) => {
                    assert!(frame.bytes.len() <= length);
                    frames += 1;
                }
                Ok(_) => {}
                Err(_) => errors += 1,
            }
            items += 1;
            assert!(items <= length, "the reader does not move on");
        }
        assert!(errors <= 1, "a reader ends with its first error");
    }
    assert!(refused > 0 && frames > 0);
}

/// A flood of stations, addresses and oddities leaves a listener bounded.
#[test]
fn a_flood_is_withheld() {
    let (mut listener, mut log) = (Listener::new(), Log::default());
    let destination = Mac([2, 0, 0, 0, 0, 9]);
    let macs = Macs { source: Mac([2, 0, 0, 0, 0, 1]), destination };
    for turn in 0..20_000u32 {
        let source = Ipv4Addr::from_bits(0x0b00_0000 + turn);
        let frame = build::udp_datagram(
            macs,
            (source.into(), 9),
            (Ipv4Addr::new(10, 20, 1, 1).into(), 9),
            (turn % 200) as u8 + 1,
            b"",
        )
        .unwrap();
        let number = FrameNumber(u64::from(turn) + 1);
        let at = jiff::Timestamp::UNIX_EPOCH;
        listener.take(&mut log, VantageId(0), at, number, LinkType::ETHERNET, &frame);
    }
    assert_eq!(log.len(), 4096);
    assert_eq!(listener.heard().withheld, 20_000 - 4096);
}

/// What the fuzzer found worth keeping, what ever failed, and what targets begin with: each input through its target.
#[test]
fn every_input_that_was_kept_does_no_harm() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    let names: Vec<String> = targets::all().into_iter().map(|target| target.name).collect();
    let samples = Samples::of(&captures());
    let (next, inputs) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let targets = targets::all();
                while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut kept = (target.seeds)(&samples);
                    let pack = fuzz.join(format!("corpus/{}.pcap.zst", target.name));
                    if pack.exists() {
                        kept.extend(samples::unpack(&pack));
                    }
                    if let Ok(failed) = fs::read_dir(fuzz.join("crashes").join(&target.name)) {
                        kept.extend(failed.map(|file| fs::read(file.unwrap().path()).unwrap()));
                    }
                    assert!(!kept.is_empty(), "{} has no inputs", target.name);
                    for input in &kept {
                        check(target, input, Thoroughness::All);
                    }
                    inputs.fetch_add(kept.len(), Ordering::Relaxed);
                }
            });
        }
    });
    assert!(inputs.into_inner() > names.len());
    // What is kept is kept for somebody.
    for kept in ["corpus", "crashes"] {
        for file in fs::read_dir(fuzz.join(kept)).into_iter().flatten() {
            let file = file.unwrap().file_name().into_string().unwrap();
            let name = file.trim_end_matches(".pcap.zst");
            assert!(
                name == "README.md" || names.iter().any(|known| known == name),
                "{kept}/{file}"
            );
        }
    }
}
