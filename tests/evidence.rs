//! From a log to a result and its evidence capture, with tshark as the witness.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::process::Command;

use jiebei::audit::{Audit, Finding, Proof, Regulation, Subject};
use jiebei::inventory::{self, Context};
use jiebei::link::capture::{Reader, Section};
use jiebei::net::Mac;
use jiebei::observe::{Fact, FrameNumber, Log, Source, VantageId};
use jiebei::result::evidence::{EvidenceFile, Frames, StoredFrame, write};
use jiebei::result::v1::{Confidence, EvidenceKind, Severity, Status, Sweep, SweepResult, Vantage};
use jiebei::result::{Parts, assemble};
use jiebei::texts::{Language, Texts};
use jiff::Timestamp;
use uuid::Uuid;

const STATION: Mac = Mac([0x02, 0, 0, 0, 0, 0x66]);
const COMMUNITY: &[u8] = b"S3cr3tCommunity";

fn arp_reply() -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 5];
    frame.extend(STATION.0);
    frame.extend([0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 2]);
    frame.extend(STATION.0);
    frame.extend([10, 20, 1, 66, 2, 0, 0, 0, 0, 5, 10, 20, 1, 5]);
    frame.resize(60, 0);
    frame
}

/// An answer to an SNMP version 2c get of sysDescr.0 (RFC 3416).
fn snmp_answer() -> Vec<u8> {
    let mut pdu = vec![0xa2, 0x1e, 0x02, 0x04, 1, 2, 3, 4, 0x02, 1, 0, 0x02, 1, 0, 0x30, 0x10];
    pdu.extend([0x30, 0x0e, 6, 8, 0x2b, 6, 1, 2, 1, 1, 1, 0, 4, 2, b'h', b'i']);
    let mut message = vec![0x30, (5 + COMMUNITY.len() + pdu.len()) as u8, 0x02, 1, 1, 0x04];
    message.push(COMMUNITY.len() as u8);
    message.extend(COMMUNITY);
    message.extend(pdu);
    let mut frame = vec![2, 0, 0, 0, 0, 5];
    frame.extend(STATION.0);
    frame.extend([0x08, 0x00, 0x45, 0]);
    frame.extend((28 + message.len() as u16).to_be_bytes());
    frame.extend([0, 0, 0, 0, 64, 17, 0, 0, 10, 20, 1, 66, 10, 20, 1, 5]);
    frame.extend([0, 161, 0x30, 0x39]);
    frame.extend((8 + message.len() as u16).to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(message);
    frame
}

/// Frames 10 (ARP) and 20 (SNMP) of a sweep; 30 was not kept.
struct Spool;

impl Frames for Spool {
    fn has(&mut self, number: FrameNumber) -> bool {
        matches!(number.0, 10 | 20)
    }

    fn frame(&mut self, number: FrameNumber) -> std::io::Result<Option<StoredFrame>> {
        let bytes = match number.0 {
            10 => arp_reply(),
            20 => snmp_answer(),
            _ => return Ok(None),
        };
        Ok(Some(StoredFrame {
            at: Timestamp::new(1_795_000_000, number.0 as i32).expect("a time"),
            vantage: VantageId(0),
            length: bytes.len() as u32,
            bytes,
            outbound: false,
        }))
    }
}

fn made(frames: &mut dyn Frames) -> (SweepResult, Vec<u8>) {
    let at = Timestamp::from_second(1_795_000_000).expect("a time");
    let mut log = Log::default();
    let ip = [10, 20, 1, 66].into();
    let mut see = |source, fact, frame| {
        let frames = [FrameNumber(frame)];
        log.observe(at, VantageId(0), source, fact, &frames).expect("room").0
    };
    let binding = see(Source::Arp, Fact::Binding { ip, mac: STATION }, 10);
    let traffic = see(Source::Traffic, Fact::Traffic { ip, mac: STATION, hop_limit: 64 }, 20);
    let lost = see(Source::Traffic, Fact::Traffic { ip, mac: STATION, hop_limit: 63 }, 30);

    let prefix = "10.20.1.0/24".parse().expect("a prefix");
    let context = Context {
        vantages: vec![inventory::Vantage {
            interface: "eth1".to_owned(),
            mac: Some(Mac([2, 0, 0, 0, 0, 5])),
            addresses: vec![([10, 20, 1, 5].into(), prefix)],
        }],
        ..Context::default()
    };
    let inventory = inventory::fold(&log, &context);
    let audit = Audit {
        findings: vec![Finding {
            id: Uuid::from_u128(7),
            rule: "unregistered-device",
            severity: Severity::Medium,
            confidence: Confidence::Proved,
            unit: None,
            subject: Subject { ip: Some(ip), mac: Some(STATION), ..Subject::default() },
            detail: serde_json::Map::new(),
            evidence: vec![
                Proof::Observed(binding),
                Proof::Observed(traffic),
                Proof::Observed(lost),
                Proof::Row { table: "assets", key: "-".to_owned(), says: String::new() },
            ],
            first_seen: Some(at),
            last_seen: None,
            status: Status::Open,
            waiver: None,
            notice: None,
        }],
        ..Audit::default()
    };
    let vantages = vec![Vantage {
        interface: "eth1".to_owned(),
        mac: Some("02:00:00:00:00:05".to_owned()),
        addresses: vec!["10.20.1.5/24".to_owned()],
        io: None,
    }];
    let sweep = Sweep {
        id: "s".to_owned(),
        profile: "routine".to_owned(),
        started_at: "2026-11-18T18:26:40Z".to_owned(),
        finished_at: "2026-11-18T18:27:40Z".to_owned(),
        complete: true,
        authorisation: Default::default(),
        registry: None,
        unit: None,
        unit_given: false,
        vantages: vantages.clone(),
        packets_sent: 0,
        packets_received: 2,
        packets_dropped: 0,
        passes: Vec::new(),
        notices: Vec::new(),
        generator: "jiebei".to_owned(),
        language: "en".to_owned(),
        regulation: None,
        rate: None,
        egress: None,
        files: Vec::new(),
    };
    let regulation = Regulation::built_in("hunan-2026").expect("a regulation");
    let parts = Parts {
        sweep,
        inventory: &inventory,
        context: &context,
        audit: &audit,
        log: &log,
        regulation: &regulation,
        texts: &Texts::of(Language::En),
        why_not: &BTreeMap::new(),
    };
    let (result, plan) = assemble(parts, frames);
    let mut capture = Vec::new();
    let section = Section { application: "jiebei".to_owned(), comments: Vec::new() };
    write(&plan, frames, &vantages, &section, &mut capture).expect("written");
    (result, capture)
}

#[test]
fn a_finding_points_at_frames_that_are_there() {
    let (result, capture) = made(&mut Spool);
    let finding = &result.findings[0];
    let kinds: Vec<_> = finding.evidence.iter().map(|e| (e.kind, e.packets.clone())).collect();
    assert_eq!(
        kinds,
        [
            (EvidenceKind::Packet, vec![1]),
            (EvidenceKind::Packet, vec![2]),
            (EvidenceKind::Observation, vec![]),
            (EvidenceKind::Registry, vec![]),
        ]
    );
    assert!(finding.evidence.iter().all(|e| !e.summary.is_empty()));
    assert!(!finding.title.is_empty() && !finding.remediation.is_empty());
    assert_eq!(finding.articles, ["20", "22"]);
    assert_eq!(result.devices.len(), 1);
    assert_eq!(result.devices[0].addresses, ["10.20.1.66"]);
    assert!(!capture.windows(COMMUNITY.len()).any(|octets| octets == COMMUNITY));
}

/// A result that is audited again finds its frames in the old capture, under their old numbers.
#[test]
fn an_old_capture_serves_a_second_audit() {
    let (first, capture) = made(&mut Spool);
    let reader = Reader::new("evidence.pcapng", Cursor::new(capture.clone())).expect("a capture");
    let mut frames = EvidenceFile::read(reader).expect("frames");
    let (second, again) = made(&mut frames);
    assert_eq!(first, second);
    assert_eq!(again, capture);
}

#[test]
fn tshark_reads_the_evidence() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("evidence.pcapng");
    let (result, capture) = made(&mut Spool);
    std::fs::write(&file, capture).expect("written");
    let fields =
        ["frame.number", "frame.comment", "frame.interface_name", "eth.src", "snmp.community"];
    let mut command = Command::new("tshark");
    command.arg("-r").arg(&file).args(["-n", "-T", "fields", "-E", "separator=/t"]);
    for field in fields {
        command.args(["-e", field]);
    }
    let Ok(output) = command.output() else {
        println!("not run: tshark is not installed");
        return;
    };
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(rows.len(), 2, "{text}");
    let id = &result.findings[0].id;
    for row in &rows {
        assert!(row[1].contains(&format!("jiebei finding {id}")), "{row:?}");
        assert_eq!(row[2], "eth1");
        assert_eq!(row[3], STATION.to_string());
    }
    assert!(rows[0][1].contains("jiebei frame 10"), "{text}");
    assert_eq!(rows[1][4], "x".repeat(COMMUNITY.len()));
}
