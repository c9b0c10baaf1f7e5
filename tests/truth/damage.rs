//! Captures that are damaged, as the program reads them: it says which file and where, and what stood before is kept.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use jiebei::link::capture::Reader;
use serde_json::Value;

use super::{Truth, captures};

/// An exchange of DHCP: four frames.
fn good() -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
    fs::read(folder.join("tcpdump__dhcp-rfc3004.pcap")).unwrap()
}

/// What `watch --read` says, and how many facts it kept: how it ended, its words, the addresses that it knows.
fn watch(file: &Path, input: Option<&[u8]>) -> (Option<i32>, String, Vec<String>) {
    let out = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_jiebei"));
    command.args(["watch", "--quiet", "--lang", "en", "--read"]).arg(file);
    command.arg("--out").arg(out.path()).stderr(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let given = input.unwrap_or_default().to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&given));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join().unwrap();
    let result: Value = fs::read_to_string(out.path().join("result.json"))
        .map(|text| serde_json::from_str(&text).unwrap())
        .unwrap_or_default();
    let mut addresses: Vec<String> = result["devices"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|device| device["addresses"].as_array().cloned().unwrap_or_default())
        .filter_map(|address| address.as_str().map(str::to_owned))
        .collect();
    addresses.sort();
    (output.status.code(), String::from_utf8(output.stderr).unwrap(), addresses)
}

fn put(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let file = folder.join(name);
    fs::write(&file, bytes).unwrap();
    file
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn damage_is_named_with_its_file_and_place() {
    let (folder, good) = (tempfile::tempdir().unwrap(), good());
    let (_, said, all) = watch(&put(folder.path(), "good.pcap", &good), None);
    assert!(said.is_empty() && !all.is_empty(), "{said}");
    // The fourth frame is cut; three tell the server.
    let cut = &good[..good.len() - 40];
    let mut compressed = gzip(&good);
    compressed.truncate(compressed.len() - 20);
    let zstd = zstd::bulk::compress(cut, 1).unwrap();
    let mut newer = good.clone();
    newer[4] = 9;
    let cases: &[(&str, &[u8], bool)] = &[
        ("cut.pcap", cut, true),
        ("cut.pcap.gz", &gzip(cut), true),
        ("cut-itself.pcap.gz", &compressed, true),
        ("cut.pcap.zst", &zstd, true),
        ("newer.pcap", &newer, false),
        ("header.pcap", &good[..10], false),
        ("empty.pcap", &[], false),
        ("text.pcap", b"no capture at all, but a text", false),
    ];
    for (name, bytes, has_frames) in cases {
        let (code, said, addresses) = watch(&put(folder.path(), name, bytes), None);
        assert!(matches!(code, Some(1 | 2)), "{name}: {code:?} {said}");
        assert!(said.contains(name) && said.contains("at octet "), "{name}: {said}");
        assert_eq!(!addresses.is_empty(), *has_frames, "{name}");
    }
    let (code, said, addresses) = watch(Path::new("-"), Some(cut));
    assert!(code == Some(1) && said.contains("-: at octet ") && !addresses.is_empty(), "{said}");
}

/// Of the folder at hand: where the reader gives up, so does the program, with the same words.
#[test]
fn captures_that_are_known_to_be_damaged() {
    for capture in captures() {
        if Truth::of(&capture).0["capture"]["file_ends_early_or_damaged"] != true {
            continue;
        }
        let fault = match Reader::open(&capture) {
            Err(fault) => Some(fault),
            Ok(mut reader) => loop {
                match reader.next() {
                    None => break None,
                    Some(Err(fault)) => break Some(fault),
                    Some(Ok(_)) => {}
                }
            },
        };
        // Some that tshark refuses are read here: link types that it does not know.
        let Some(fault) = fault else { continue };
        let (code, said, _) = watch(&capture, None);
        let name = capture.file_name().unwrap().to_str().unwrap();
        assert!(matches!(code, Some(1 | 2)), "{name}: {code:?} {said}");
        assert!(said.contains(name) && said.contains("at octet "), "{name}: {said} ({fault:?})");
    }
}

#[test]
fn frames_in_any_order_tell_the_same_addresses() {
    let (folder, good) = (tempfile::tempdir().unwrap(), good());
    let (header, mut rest) = good.split_at(24);
    let mut frames = Vec::new();
    while let Some(length) = rest.get(8..12) {
        let length = 16 + u32::from_le_bytes(length.try_into().unwrap()) as usize;
        frames.push(&rest[..length]);
        rest = &rest[length..];
    }
    frames.reverse();
    let backwards = [header, &frames.concat()].concat();
    let forwards = watch(&put(folder.path(), "forwards.pcap", &good), None);
    assert_eq!(watch(&put(folder.path(), "backwards.pcap", &backwards), None), forwards);
}
