//! Answers that nobody asked for: forged, mutated, replayed.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use jiebei::net::{Mac, Port};
use jiebei::observe::{Fact, PortState};
use jiebei::scan::{Recogniser, SweepKey, Targets};
use jiebei::scope::frame::{ICMP, TCP, UDP};
use jiebei::wire::arp::Arp;
use jiebei::wire::tcp::TcpSegment;
use jiebei::wire::{EtherType, Protocol, build, ethernet, icmp, tcp};
use proptest::prelude::*;

use crate::bench::*;
use crate::network::*;

/// What looks like answers to every probe, from every address of the link.
fn forged(count: u64, seed: u64) -> Vec<Vec<u8>> {
    let mut dice = Dice(seed);
    let macs = build::Macs { source: Mac([2, 9, 9, 9, 9, 9]), destination: OURS };
    let frame_of = |serial: u64| {
        let us: IpAddr = if serial % 5 == 4 { ip("fd20::5") } else { ip("10.20.1.5") };
        let them: IpAddr = match us {
            IpAddr::V4(_) => Ipv4Addr::from_bits(0x0a14_0100 + dice.below(256) as u32).into(),
            IpAddr::V6(_) => ip("fd20::10"),
        };
        let frame = match serial % 6 {
            0 | 4 => {
                let segment = TcpSegment {
                    source: [22, 80][dice.below(2) as usize],
                    destination: 20_000 + dice.below(1024) as u16,
                    sequence: 1,
                    acknowledgement: dice.below(1 << 32) as u32,
                    flags: [tcp::SYN | tcp::ACK, tcp::RST | tcp::ACK, tcp::RST]
                        [dice.below(3) as usize],
                    window: 1,
                    options: &[],
                    payload: &[],
                };
                build::tcp_segment(macs, them, us, 64, &segment)
            }
            1 => {
                let mut data = vec![dice.below(256) as u8; 16];
                data[0] = dice.below(256) as u8;
                let ends = ((them, 53), (us, 22_000 + dice.below(256) as u16));
                build::udp_datagram(macs, ends.0, ends.1, 64, &data)
            }
            2 => {
                let mut body = dice.below(1 << 32).to_be_bytes().to_vec();
                body.extend_from_slice(&dice.below(1 << 40).to_be_bytes());
                let mut message = Vec::new();
                match (them, us) {
                    (IpAddr::V6(them), IpAddr::V6(us)) => {
                        icmp::write_v6(&mut message, them, us, 129, 0, &body);
                    }
                    _ => icmp::write(&mut message, 0, 0, &body),
                }
                let protocol = if us.is_ipv4() { Protocol::ICMP } else { Protocol::ICMPV6 };
                build::packet(macs, them, us, protocol, 64, &message)
            }
            3 => {
                // An error about a packet that we never sent.
                let (IpAddr::V4(us4), IpAddr::V4(them4)) = (ip("10.20.1.5"), ip("10.20.1.10"))
                else {
                    unreachable!()
                };
                let payload = [dice.below(1 << 48).to_be_bytes(), [0; 8]].concat();
                let protocol = [ICMP, TCP, UDP][dice.below(3) as usize];
                let inner =
                    build::packet(macs, us4.into(), them4.into(), Protocol(protocol), 1, &payload);
                let mut message = Vec::new();
                let body = [vec![0; 4], inner.unwrap()[14..].to_vec()].concat();
                icmp::write(&mut message, 3, 3, &body);
                build::packet(macs, them4.into(), us4.into(), Protocol::ICMP, 64, &message)
            }
            _ if dice.below(2) == 0 => {
                // An advertisement for what nobody asked.
                let target =
                    Ipv6Addr::from_bits(0xfd20 << 112 | u128::from(0x100 + dice.below(256)));
                let mut message = vec![0x60, 0, 0, 0];
                message.extend_from_slice(&target.octets());
                let IpAddr::V6(us) = ip("fd20::5") else { unreachable!() };
                let mut body = Vec::new();
                icmp::write_v6(&mut body, target, us, 136, 0, &message);
                build::packet(macs, target.into(), us.into(), Protocol::ICMPV6, 255, &body)
            }
            _ => {
                // ARP for what nobody asked.
                let mut answer = Vec::new();
                ethernet::write(&mut answer, OURS, macs.source, EtherType::ARP);
                let reply = Arp {
                    operation: 2,
                    sender_mac: macs.source,
                    sender: Ipv4Addr::new(10, 20, 3, dice.below(256) as u8),
                    target_mac: OURS,
                    target: Ipv4Addr::new(10, 20, 1, 5),
                };
                reply.write(&mut answer);
                Some(answer)
            }
        };
        frame.unwrap()
    };
    (0..count).map(frame_of).collect()
}

#[test]
fn a_million_answers_without_a_token_become_no_facts() {
    let hosts = vec![("10.20.1.10", host()), ("fd20::10", host())];
    let mut bench = Bench::new(hosts, FAIR, 7);
    bench.log.frames = None;
    let storm = Forger::new(forged(30_000, 99), ms(11), Duration::from_micros(4), 1_000_000);
    bench.network().boxes.forger = Some(storm);
    // Each pass runs in the middle of the storm.
    bench.run("arp", addresses("10.20.1.0/24"), |_| {});
    bench.run("ndp", addresses("fd20::10/128"), |_| {});
    bench.run("icmp", addresses("10.20.1.10/32"), |_| {});
    bench.run("udp", addresses("10.20.1.10/32"), |pass| pass.questions = vec![53]);
    bench.run("tcp", addresses("10.20.1.10/32"), |pass| pass.questions = vec![22, 80]);
    let until = Duration::from_secs(6);
    jiebei::scan::listen(&bench.recogniser, &mut bench.sim, &mut bench.log, until).unwrap();
    let none = bench.network().boxes.forger.as_ref().unwrap().left;
    assert_eq!(none, 0, "the storm lasted to the end");
    let told: Vec<_> = bench.log.answers().into_iter().collect();
    let target = ip("10.20.1.10");
    assert_eq!(
        told,
        [
            (target, None, PortState::Alive),
            (target, Some(Port::tcp(22)), PortState::Closed),
            (target, Some(Port::tcp(80)), PortState::Closed),
            (target, Some(Port::udp(53)), PortState::Closed),
            (ip("fd20::10"), None, PortState::Alive),
        ]
    );
    assert!(bench.log.facts.keys().all(|fact| matches!(fact, Fact::Answer { .. })));
}

/// A sweep of everything over a few hosts, and its bench, with every frame that was an answer.
fn real_answers(seed: u64) -> (Bench, Vec<Vec<u8>>) {
    let open = Host { open: [Port::tcp(22), Port::udp(53)].into(), ..host() };
    let low = |low: u32, v4: u32| IpAddr::from((v4 | low).to_be_bytes());
    let mut hosts = Vec::new();
    for last in 0..16u32 {
        let kind = if last % 2 == 0 { open.clone() } else { host() };
        hosts.push((low(16 + last, 0x0a14_0100), kind.clone()));
        hosts.push((low(last, 0x0a1e_0000), kind.clone()));
        hosts.push((ip(&format!("fd20::{:x}", 16 + last)), kind.clone()));
        hosts.push((ip(&format!("fd30::{last:x}")), kind));
    }
    let mut bench = Bench::on_link("10.20.1.0/24", hosts, FAIR, seed, CEILINGS, |_| {});
    for (name, questions) in [
        ("arp", vec![0]),
        ("ndp", vec![0]),
        ("icmp", vec![0]),
        ("icmpv6", vec![0]),
        ("tcp", vec![22, 80]),
        ("udp", vec![53]),
    ] {
        for prefixes in [["10.20.1.16/28", "10.30.0.0/28"], ["fd20::10/124", "fd30::/124"]] {
            // Resolution is asked on the link alone.
            let prefixes =
                if matches!(name, "arp" | "ndp") { &prefixes[..1] } else { &prefixes[..] };
            bench.run(name, Targets::Addresses(set(prefixes)), |pass| {
                pass.questions = questions.clone()
            });
        }
    }
    let frames = bench.log.frames.clone().unwrap();
    let answers = frames.into_iter().filter(|frame| bench.recogniser.recognise(V, frame).is_some());
    let answers = answers.collect();
    (bench, answers)
}

fn told(recogniser: &Recogniser, frame: &[u8]) -> Option<(&'static str, IpAddr, Option<Port>)> {
    let recognised = recogniser.recognise(V, frame)?;
    match recognised.fact {
        Fact::Answer { ip, port, .. } => Some((recognised.probe, ip, port)),
        // Who reports an error is what the error says; whom it is about is in the token.
        Fact::IcmpError(error) => Some((recognised.probe, error.target, error.port)),
        other => panic!("{other:?}"),
    }
}

fn echoes_no_token(probe: &str) -> bool {
    matches!(probe, "arp" | "ndp")
}

/// Whatever bit of an answer is turned, it is the same answer or none.
#[test]
fn no_turned_bit_makes_an_answer_of_somebody_else() {
    let (bench, answers) = real_answers(21);
    assert!(answers.len() > 200, "{}", answers.len());
    let probes: BTreeSet<_> =
        answers.iter().map(|frame| told(&bench.recogniser, frame).unwrap().0).collect();
    assert_eq!(probes.len(), 6, "{probes:?}");
    let (mut none, mut same) = (0, 0);
    for frame in &answers {
        let was = told(&bench.recogniser, frame).unwrap();
        if echoes_no_token(was.0) {
            continue;
        }
        for bit in 0..frame.len() * 8 {
            let mut turned = frame.clone();
            turned[bit / 8] ^= 1 << (bit % 8);
            match told(&bench.recogniser, &turned) {
                None => none += 1,
                Some(now) => {
                    assert_eq!(now, was, "bit {bit} of {frame:02x?}");
                    same += 1;
                }
            }
        }
    }
    assert!(none > 10_000 && same > 10_000, "{none} {same}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    /// Of another sweep, in another's name, or from another port.
    #[test]
    fn answers_of_another_key_or_another_target_settle_nothing(seed in 1u64..200) {
        let (bench, answers) = real_answers(seed);
        let vantage = bench.recogniser.vantage(V).unwrap().clone();
        let mut other = Recogniser::new(SweepKey::from_bytes([0xee; 32]), PORTS, &[vantage]);
        let all = set(&["10.20.1.0/24", "10.30.0.0/24", "fd20::/120", "fd30::/120"]);
        other.asks_resolution(V, &all);
        other.asks_udp(V, &all, &[53]);
        for frame in &answers {
            let (probe, ip, _) = told(&bench.recogniser, frame).unwrap();
            if echoes_no_token(probe) {
                continue;
            }
            prop_assert_eq!(told(&other, frame), None, "{} of {}", probe, ip);
            // The last octet of whom it is from, or whom the quoted packet was for.
            let places = if ip.is_ipv4() { [14 + 15, 14 + 20 + 8 + 19] } else { [14 + 23, 14 + 40 + 8 + 39] };
            for step in 1..16u8 {
                let mut moved = frame.clone();
                for place in places {
                    if let Some(octet) = moved.get_mut(place) {
                        *octet = *octet & 0xf0 | (*octet + step) & 0x0f;
                    }
                }
                prop_assert_eq!(told(&bench.recogniser, &moved), None, "{} of {} by {}", probe, ip, step);
            }
        }
    }
}
