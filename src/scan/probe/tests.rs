//! Every probe of the list: its frames are whole, and only its own answers are taken.

use std::collections::BTreeSet;

use super::*;
use crate::net::{AddressSet, Prefix};
use crate::observe::VantageId;
use crate::scan::recogniser::Recogniser;
use crate::scan::token::SweepKey;
use crate::wire::checksum::{self, Sum};
use crate::wire::{Protocol, build, icmp};
use proptest::prelude::*;

const OURS: Mac = Mac([2, 0, 0, 0, 0, 5]);
const THEIRS: Mac = Mac([2, 0, 0, 0, 0, 7]);
const PORTS: SourcePorts = SourcePorts {
    tcp: PortRange { first: 20_000, count: 1024 },
    udp: PortRange { first: 22_000, count: 256 },
};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn recogniser() -> Recogniser {
    let vantage = Vantage {
        id: VantageId(3),
        mac: OURS,
        addresses: vec![
            (ip("10.20.1.5"), "10.20.1.0/24".parse().unwrap()),
            (ip("fd20::5"), "fd20::/64".parse().unwrap()),
        ],
    };
    Recogniser::new(SweepKey::from_bytes([5; 32]), PORTS, &[vantage])
}

/// The questions to try a probe with: its own, or every port that has a payload and one without.
fn questions(probe: &dyn Probe) -> Vec<u16> {
    match probe.questions() {
        [] => payload::ALL.iter().map(|payload| payload.port).chain([9]).collect(),
        own => own.to_vec(),
    }
}

fn template(
    probe: &dyn Probe,
    recogniser: &Recogniser,
    source: IpAddr,
) -> Option<Box<dyn Template>> {
    let questions = questions(probe);
    probe.template(&Setup {
        vantage: recogniser.vantage(VantageId(3)).unwrap(),
        source,
        keys: recogniser.keys(),
        ports: PORTS,
        questions: &questions,
    })
}

/// Both checksums of a frame hold.
fn is_whole(frame: &[u8]) -> bool {
    let Some(Frame { body, .. }) = Frame::read(frame) else { return false };
    let Body::Ip(packet) = body else { return true };
    let header = packet.source.is_ipv6() || checksum::holds(&frame[14..34]);
    let pseudo = match packet.protocol {
        crate::scope::frame::ICMP => Sum::new(),
        protocol => {
            Sum::new().pseudo(packet.source, packet.destination, protocol, packet.payload.len())
        }
    };
    header && !packet.cut && pseudo.bytes(packet.payload).folded() == 0xffff
}

proptest! {
    #[test]
    fn stamped_frames_are_whole(bits: u128, question_seed: usize, attempt: u8, extra: u16) {
        let recogniser = recogniser();
        for probe in ALL {
            let questions = questions(*probe);
            for source in [ip("10.20.1.5"), ip("fd20::5")] {
                let target = match source {
                    IpAddr::V4(_) => IpAddr::from((bits as u32).to_be_bytes()),
                    IpAddr::V6(_) => IpAddr::from(bits.to_be_bytes()),
                };
                let Some(mut template) = template(*probe, &recogniser, source) else {
                    prop_assert!(!probe.speaks_to(target));
                    continue;
                };
                let question = questions[question_seed % questions.len()];
                let ask = Ask { target, question, next_hop: Some(THEIRS), attempt, extra };
                // Twice, so that nothing of the first stamping stays behind.
                template.stamp(&Ask { target: source, question: questions[0], ..ask });
                let frame = template.stamp(&ask);
                prop_assert!(is_whole(frame), "{} {target} {question}", probe.name());
                let frame = Frame::read(frame).unwrap();
                prop_assert_eq!(frame.source, OURS);
                if let Body::Ip(packet) = frame.body
                    && probe.resolution() == Resolution::Needs
                {
                    prop_assert_eq!(packet.destination, target);
                    prop_assert_eq!(packet.source, source);
                    prop_assert_eq!(frame.destination, THEIRS);
                }
            }
        }
    }

    #[test]
    fn no_bytes_make_recognising_panic(bytes in proptest::collection::vec(any::<u8>(), 0..160)) {
        let recogniser = recogniser();
        let _ = recogniser.recognise(VantageId(3), &bytes);
        for (ethertype, version) in [(0x0800u16, 0x45u8), (0x86dd, 0x60), (0x0806, 0)] {
            let mut frame = vec![0; 12];
            frame.extend_from_slice(&ethertype.to_be_bytes());
            frame.push(version);
            frame.extend_from_slice(&bytes);
            let _ = recogniser.recognise(VantageId(3), &frame);
        }
    }
}

/// Every question of every probe, quoted back by an ICMP error of either family, is recognised by
/// that probe alone; with one bit of the token changed, by none.
#[test]
fn a_quote_belongs_to_one_probe_and_a_changed_one_to_none() {
    let mut recogniser = recogniser();
    let permits = steered(&recogniser);
    recogniser.asks_steered(VantageId(3), &permits);
    let mut checked = 0;
    for probe in ALL.iter().filter(|probe| probe.resolution() == Resolution::Needs) {
        for (source, target) in [("10.20.1.5", "10.20.9.9"), ("fd20::5", "fd20:0:0:9::9")] {
            let Some(mut template) = template(*probe, &recogniser, ip(source)) else { continue };
            for question in questions(*probe) {
                let extra = if probe.name() == "forwarding" && source == "fd20::5" { 1 } else { 0 };
                let target = ip(target);
                let ask = Ask { target, question, next_hop: Some(THEIRS), attempt: 0, extra };
                let sent = template.stamp(&ask).to_vec();
                // Eight octets behind the header are the least that is quoted, in IPv6 all of them.
                let header = if target.is_ipv4() { 20 } else { 40 };
                let lengths =
                    if target.is_ipv4() { [14 + header + 8, sent.len()] } else { [sent.len(); 2] };
                for length in lengths {
                    let recognised = recogniser.recognise(VantageId(3), &error(&sent[..length]));
                    let recognised = recognised.unwrap_or_else(|| {
                        panic!("{} {question} to {target} of {length}", probe.name())
                    });
                    assert_eq!(recognised.probe, probe.name());
                    checked += 1;
                }
                for bit in marked_bits(*probe, target) {
                    let mut changed = sent.clone();
                    changed[14 + bit / 8] ^= 1 << (bit % 8);
                    let length = if target.is_ipv4() { 14 + header + 8 } else { sent.len() };
                    let told = recogniser.recognise(VantageId(3), &error(&changed[..length]));
                    assert_eq!(told, None, "{} {question} {target} bit {bit}", probe.name());
                }
            }
        }
    }
    assert!(checked > 100, "{checked}");
}

/// Bits of the packet in which every probe but the port-bearing ones has token: the first octets of
/// the label and the last two of what is always quoted.
fn marked_bits(probe: &dyn Probe, target: IpAddr) -> Vec<usize> {
    let upper = if target.is_ipv4() { 20 } else { 40 };
    match (probe.name(), target) {
        ("tcp", _) => vec![(upper + 4) * 8, (upper + 7) * 8 + 7, upper * 8],
        ("udp", IpAddr::V4(_)) => vec![4 * 8, 5 * 8 + 7, (upper + 1) * 8],
        ("udp", IpAddr::V6(_)) => vec![2 * 8, 3 * 8 + 7, (upper + 1) * 8],
        (_, IpAddr::V4(_)) => vec![4 * 8, 5 * 8 + 7, (upper + 7) * 8, (upper + 4) * 8],
        (_, IpAddr::V6(_)) => vec![(upper + 8) * 8, (upper + 15) * 8 + 7, (upper + 7) * 8],
    }
}

fn steered(recogniser: &Recogniser) -> Vec<crate::scope::Steered> {
    let rules = crate::scope::Rules {
        scope: ["10.20.0.0/16", "fd20::/32"].iter().map(|p| p.parse::<Prefix>().unwrap()).collect(),
        exclude: AddressSet::default(),
        observe_only: AddressSet::default(),
        risk: crate::scope::Risk::UNICAST,
        window: None,
        canaries: Vec::new(),
        collector: None,
        vantages: vec![recogniser.vantage(VantageId(3)).unwrap().clone()],
    };
    let guard = crate::scope::Guard::new(rules, jiff::Timestamp::UNIX_EPOCH);
    [("10.20.1.7", "10.20.9.9"), ("fd20::7", "fd20:0:0:9::9")]
        .map(|(by, to)| guard.admit_steered(ip(by), THEIRS, ip(to), VantageId(3)).unwrap())
        .to_vec()
}

/// Time exceeded about a frame of ours, from some router.
fn error(about: &[u8]) -> Vec<u8> {
    let macs = build::Macs { source: THEIRS, destination: OURS };
    let mut body = vec![0; 4];
    body.extend_from_slice(&about[14..]);
    let mut message = Vec::new();
    if about[12] == 8 {
        icmp::write(&mut message, 11, 0, &body);
        build::packet(macs, ip("10.20.1.1"), ip("10.20.1.5"), Protocol::ICMP, 64, &message).unwrap()
    } else {
        let (IpAddr::V6(from), IpAddr::V6(to)) = (ip("fd20::1"), ip("fd20::5")) else {
            unreachable!()
        };
        icmp::write_v6(&mut message, from, to, 3, 0, &body);
        build::packet(macs, from.into(), to.into(), Protocol::ICMPV6, 64, &message).unwrap()
    }
}

#[test]
fn names_and_numbers_of_probes_are_their_own() {
    let names: BTreeSet<_> = ALL.iter().map(|probe| probe.name()).collect();
    assert_eq!(names.len(), ALL.len());
    assert!(ALL.iter().all(|probe| named(probe.name()).is_some()));
    assert!(named("nothing").is_none());
}
