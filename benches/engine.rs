//! The engine's hot loops, one core. Each loop also checks its answers.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use jiebei::link::{LinkError, Transmit};
use jiebei::net::{AddressSet, Mac, Prefix};
use jiebei::observe::{Fact, PortState, VantageId};
use jiebei::scan::probe::{self, Ask, Setup, Template};
use jiebei::scan::{Keys, Order, PortRange, Recogniser, SourcePorts, SweepKey};
use jiebei::scope::ceilings::{Cost, Pace, Room};
use jiebei::scope::{Ceilings, Class, Fence, Guard, Risk, Rules, Submission, Vantage};
use jiebei::wire::tcp::{self, TcpSegment};
use jiebei::wire::{Protocol, build, checksum, icmp};
use jiff::Timestamp;

const V: VantageId = VantageId(0);
const OURS: Mac = Mac([2, 0, 0, 0, 0, 5]);
const THEIRS: Mac = Mac([2, 0, 0, 0, 0, 7]);
const BATCH: u32 = 4096;
const PORTS: SourcePorts = SourcePorts {
    tcp: PortRange { first: 20_000, count: 1024 },
    udp: PortRange { first: 22_000, count: 256 },
};

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn vantage() -> Vantage {
    Vantage {
        id: V,
        mac: OURS,
        addresses: vec![
            (ip("10.0.0.5"), "10.0.0.0/24".parse().expect("a prefix")),
            (ip("fd00::5"), "fd00::/64".parse().expect("a prefix")),
        ],
    }
}

fn recogniser() -> Recogniser {
    Recogniser::new(SweepKey::from_bytes([7; 32]), PORTS, &[vantage()])
}

fn template(name: &str, source: &str, questions: &[u16]) -> Box<dyn Template> {
    let recogniser = recogniser();
    let vantage = vantage();
    let setup = Setup {
        vantage: &vantage,
        source: ip(source),
        keys: recogniser.keys(),
        ports: PORTS,
        questions,
    };
    let probe = probe::named(name).expect("a probe");
    probe.template(&setup).expect("a template")
}

fn target(source: &str, number: u32) -> IpAddr {
    match ip(source) {
        IpAddr::V4(_) => Ipv4Addr::from_bits(0x0a10_0000 | number).into(),
        IpAddr::V6(_) => {
            IpAddr::from((0xfd00_0000_0001u128 << 80 | u128::from(number)).to_be_bytes())
        }
    }
}

fn stamp(c: &mut Criterion) {
    let mut group = c.benchmark_group("stamp");
    group.throughput(Throughput::Elements(u64::from(BATCH)));
    for (label, name, source, question) in [
        ("tcp-syn", "tcp", "10.0.0.5", 443),
        ("tcp-syn-ipv6", "tcp", "fd00::5", 443),
        ("icmp", "icmp", "10.0.0.5", 0),
        ("icmpv6", "icmpv6", "fd00::5", 0),
        ("udp-dns", "udp", "10.0.0.5", 53),
        ("arp", "arp", "10.0.0.5", 0),
    ] {
        let mut template = template(name, source, &[question]);
        let ask = |number| Ask {
            target: target(source, number),
            question,
            next_hop: Some(THEIRS),
            attempt: 0,
            extra: 0,
        };
        // What is stamped is whole: its header's checksum holds, and it is for its target.
        for number in 0..64 {
            let frame = template.stamp(&ask(number)).to_vec();
            if source.starts_with("10.") && name != "arp" {
                assert!(checksum::holds(&frame[14..34]));
                assert_eq!(frame[30..34], (0x0a10_0000u32 | number).to_be_bytes());
            }
        }
        group.bench_function(label, |b| {
            let mut round = 0u32;
            b.iter(|| {
                round = round.wrapping_add(BATCH) & 0xf_ffff;
                let mut sum = 0usize;
                for number in round..round + BATCH {
                    let frame = template.stamp(&ask(number));
                    sum += frame.len() + usize::from(frame[frame.len() - 1]);
                }
                black_box(sum)
            });
        });
    }
    group.finish();
}

fn recognise(c: &mut Criterion) {
    let recogniser = recogniser();
    let macs = build::Macs { source: THEIRS, destination: OURS };
    let mut syn = template("tcp", "10.0.0.5", &[443]);
    let mut echo = template("icmp", "10.0.0.5", &[0]);
    let mut answers = Vec::new();
    let mut replies = Vec::new();
    let mut forged = Vec::new();
    for number in 0..BATCH {
        let target = target("10.0.0.5", number);
        let ask = Ask { target, question: 443, next_hop: Some(THEIRS), attempt: 0, extra: 0 };
        let sent = syn.stamp(&ask);
        let four =
            |at: usize| u32::from_be_bytes([sent[at], sent[at + 1], sent[at + 2], sent[at + 3]]);
        let segment = |acknowledgement| TcpSegment {
            source: 443,
            destination: (four(34) >> 16) as u16,
            sequence: number,
            acknowledgement,
            flags: tcp::SYN | tcp::ACK,
            window: 65_000,
            options: &[2, 4, 5, 180],
            payload: &[],
        };
        let ours = ip("10.0.0.5");
        let good = segment(four(38).wrapping_add(1));
        let bad = segment(four(38).wrapping_add(2));
        answers.push(build::tcp_segment(macs, target, ours, 60, &good).expect("one family"));
        forged.push(build::tcp_segment(macs, target, ours, 60, &bad).expect("one family"));
        let body = echo.stamp(&ask)[38..].to_vec();
        let mut message = Vec::new();
        icmp::write(&mut message, 0, 0, &body);
        let reply = build::packet(macs, target, ours, Protocol::ICMP, 60, &message);
        replies.push(reply.expect("one family"));
    }
    let mut group = c.benchmark_group("recognise");
    group.throughput(Throughput::Elements(u64::from(BATCH)));
    for (label, frames, expected) in
        [("tcp", &answers, BATCH), ("icmp", &replies, BATCH), ("tcp-forged", &forged, 0)]
    {
        group.bench_function(label, |b| {
            b.iter(|| {
                let mut ours = 0;
                for frame in frames {
                    let recognised = recogniser.recognise(V, frame);
                    if let Some(Fact::Answer { state, .. }) = recognised.map(|r| r.fact) {
                        ours += u32::from(matches!(state, PortState::Open | PortState::Alive));
                    }
                }
                assert_eq!(ours, expected);
            });
        });
    }
    group.finish();
}

fn order(c: &mut Criterion) {
    let keys = Keys::of(&SweepKey::from_bytes([7; 32]));
    let mut group = c.benchmark_group("order");
    group.throughput(Throughput::Elements(u64::from(BATCH)));
    for (label, size) in [("next-16-bits", 1u128 << 16), ("next-worst", (1 << 24) + 1)] {
        let order = Order::new(&keys, 1, size);
        group.bench_function(label, |b| {
            let mut place = 0u64;
            b.iter(|| {
                let mut sum = 0u64;
                for _ in 0..BATCH {
                    place = (place + 1) % size as u64;
                    let number = order.at(place).expect("inside");
                    debug_assert!(u128::from(number) < size);
                    sum = sum.wrapping_add(number);
                }
                black_box(sum)
            });
        });
    }
    group.finish();
}

fn pace(c: &mut Criterion) {
    let mut group = c.benchmark_group("pace");
    group.throughput(Throughput::Elements(u64::from(BATCH)));
    group.bench_function("room-and-sent", |b| {
        b.iter_batched_ref(
            || {
                Pace::new(Ceilings {
                    packets_per_second: 2_000_000,
                    per_target: 40,
                    ..Ceilings::default()
                })
            },
            |pace| {
                let mut went = 0;
                for number in 0..BATCH {
                    let now = Duration::from_micros(u64::from(number));
                    let to = [target("10.0.0.5", number)];
                    if pace.room(now, &Cost::of(&to, 1)) == Room::Now {
                        pace.sent(now, &Cost::of(&to, 1));
                        went += 1;
                    }
                }
                assert_eq!(went, BATCH);
            },
            BatchSize::LargeInput,
        );
    });
    let guard = Guard::new(rules(), Timestamp::UNIX_EPOCH);
    group.bench_function("admit", |b| {
        b.iter(|| {
            let admitted = (0..BATCH)
                .filter(|number| {
                    guard.admit(target("10.0.0.5", *number), V, Class::Ordinary).is_ok()
                })
                .count();
            assert_eq!(admitted, BATCH as usize);
        });
    });
    group.finish();
}

/// A link that takes everything and keeps nothing.
struct Nowhere;

impl Transmit for Nowhere {
    fn queue(&mut self, frame: &[u8]) -> Result<(), LinkError> {
        black_box(frame);
        Ok(())
    }

    fn flush(&mut self) -> Result<usize, LinkError> {
        Ok(0)
    }

    fn interface(&self) -> &str {
        "nowhere"
    }
}

/// A million fresh addresses in random order, at a million a second.
fn pace_million(c: &mut Criterion) {
    const ALL: u32 = 1 << 20;
    let keys = Keys::of(&SweepKey::from_bytes([7; 32]));
    let order = Order::new(&keys, 1, u128::from(ALL));
    let targets: Vec<IpAddr> = (0..u64::from(ALL))
        .map(|place| {
            IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + order.at(place).expect("inside") as u32))
        })
        .collect();
    let mut group = c.benchmark_group("pace");
    group.sample_size(10);
    group.throughput(Throughput::Elements(u64::from(ALL)));
    group.bench_function("million-fresh", |b| {
        b.iter_batched_ref(
            || {
                Pace::new(Ceilings {
                    packets_per_second: 10_000_000,
                    per_target: 40,
                    ..Ceilings::default()
                })
            },
            |pace| {
                let mut went = 0;
                for (number, to) in targets.iter().enumerate() {
                    let now = Duration::from_micros(number as u64 / 64 * 64);
                    let to = [*to];
                    if pace.room(now, &Cost::of(&to, 1)) == Room::Now {
                        pace.sent(now, &Cost::of(&to, 1));
                        went += 1;
                    }
                }
                assert!(went > ALL - 10, "{went}");
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
    let frames: Vec<(IpAddr, Vec<u8>)> = {
        let mut template = template("tcp", "10.0.0.5", &[443]);
        targets
            .iter()
            .take(1 << 18)
            .map(|&target| {
                let ask =
                    Ask { target, question: 443, next_hop: Some(THEIRS), attempt: 0, extra: 0 };
                (target, template.stamp(&ask).to_vec())
            })
            .collect()
    };
    let mut group = c.benchmark_group("fence-submit");
    group.sample_size(10);
    group.throughput(Throughput::Elements(frames.len() as u64));
    for (label, ceilings) in [
        (
            "paced",
            Ceilings { packets_per_second: 10_000_000, per_target: 40, ..Ceilings::default() },
        ),
        ("unlimited", Ceilings::unlimited()),
    ] {
        group.bench_function(label, |b| {
            b.iter_batched_ref(
                || {
                    let mut fence =
                        Fence::new(Guard::new(rules(), Timestamp::UNIX_EPOCH), ceilings);
                    fence.add_link(V, Box::new(Nowhere));
                    fence
                },
                |fence| {
                    let mut went = 0;
                    for (number, (target, frame)) in frames.iter().enumerate() {
                        let now = Duration::from_micros(number as u64 / 64 * 64);
                        let Ok(permit) = fence.guard().admit(*target, V, Class::Ordinary) else {
                            continue;
                        };
                        if let Submission::Sent = fence.submit(&permit, frame, now) {
                            went += 1;
                        }
                    }
                    assert!(went > frames.len() * 9 / 10, "{went}");
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn rules() -> Rules {
    let prefix = |text: &str| text.parse::<Prefix>().expect("a prefix");
    Rules {
        scope: AddressSet::of([prefix("10.0.0.0/8"), prefix("fd00::/16")]),
        exclude: AddressSet::of([prefix("10.200.0.0/16"), prefix("10.16.255.0/24")]),
        observe_only: AddressSet::of([prefix("10.201.0.0/16")]),
        risk: Risk::LINK_WIDE,
        window: None,
        canaries: vec![ip("198.51.100.10")],
        collector: None,
        vantages: vec![vantage()],
    }
}

criterion_group!(benches, stamp, recognise, order, pace, pace_million);
criterion_main!(benches);
