//! What a packet costs in instructions, for a profiler that counts them:
//!
//! ```text
//! cargo bench --bench instructions --no-run
//! for op in empty stamp recognise submit silent answered; do
//!     valgrind --tool=callgrind --callgrind-out-file=/dev/null BINARY $op 100000
//! done
//! ```
//!
//! Instructions of an operation are the difference of two counts, divided by that of their numbers.
//! `silent` and `answered` are whole passes in memory: order, admission, stamp, fence, and for the latter
//! the answers, their tokens, and the bits.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiebei::link::{LinkError, Transmit};
use jiebei::net::{AddressSet, Mac};
use jiebei::observe::VantageId;
use jiebei::scan::probe::{self, Ask, Setup};
use jiebei::scan::{
    Care, Heard, NextHops, Pass, PortRange, Progress, Recognised, Recogniser, SourcePorts,
    SweepKey, Targets, Watcher, World,
};
use jiebei::scope::{Ceilings, Class, Fence, Guard, Risk, Rules, Vantage};
use jiebei::wire::build;
use jiebei::wire::tcp::{self, TcpSegment};
use jiff::Timestamp;

const V: VantageId = VantageId(0);
const OURS: Mac = Mac([2, 0, 0, 0, 0, 5]);
const THEIRS: Mac = Mac([2, 0, 0, 0, 0, 7]);
const PORTS: SourcePorts = SourcePorts {
    tcp: PortRange { first: 20_000, count: 1024 },
    udp: PortRange { first: 22_000, count: 256 },
};

fn vantage() -> Vantage {
    Vantage {
        id: V,
        mac: OURS,
        addresses: vec![([10, 0, 0, 5].into(), "10.0.0.0/24".parse().expect("a prefix"))],
    }
}

fn target(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0a10_0000 + number).into()
}

/// Keeps the frames, if anybody wants to answer them.
struct Wire(Option<Kept>);

impl Transmit for Wire {
    fn queue(&mut self, frame: &[u8]) -> Result<(), LinkError> {
        match &self.0 {
            Some(kept) => kept.lock().expect("one thread").push(frame.to_vec()),
            None => {
                black_box(frame);
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<usize, LinkError> {
        Ok(0)
    }

    fn interface(&self) -> &str {
        "memory"
    }
}

fn fence(wire: Wire) -> Fence {
    let rules = Rules {
        scope: AddressSet::of(["10.0.0.0/8".parse().expect("a prefix")]),
        exclude: AddressSet::of(["10.200.0.0/16".parse().expect("a prefix")]),
        observe_only: AddressSet::default(),
        risk: Risk::UNICAST,
        window: None,
        canaries: Vec::new(),
        collector: None,
        vantages: vec![vantage()],
    };
    let mut fence = Fence::new(Guard::new(rules, Timestamp::UNIX_EPOCH), Ceilings::unlimited());
    fence.add_link(V, Box::new(wire));
    fence
}

fn recogniser() -> Recogniser {
    Recogniser::new(SweepKey::from_bytes([7; 32]), PORTS, &[vantage()])
}

fn answer(frame: &[u8]) -> Vec<u8> {
    let four = |at: usize| {
        let octets = frame.get(at..at + 4).and_then(|octets| octets.first_chunk::<4>());
        u32::from_be_bytes(*octets.expect("a whole frame"))
    };
    let macs = build::Macs { source: THEIRS, destination: OURS };
    let segment = TcpSegment {
        source: four(34) as u16,
        destination: (four(34) >> 16) as u16,
        sequence: 77,
        acknowledgement: four(38).wrapping_add(1),
        flags: tcp::SYN | tcp::ACK,
        window: 65_000,
        options: &[2, 4, 5, 180],
        payload: &[],
    };
    let (them, us) = (Ipv4Addr::from_bits(four(30)), Ipv4Addr::from_bits(four(26)));
    build::tcp_segment(macs, them.into(), us.into(), 60, &segment).expect("one family")
}

struct Memory {
    fence: Fence,
    kept: Option<Kept>,
    now: Duration,
}

impl World for Memory {
    fn now(&mut self) -> Duration {
        self.now += Duration::from_micros(60);
        self.now
    }

    fn fence(&mut self) -> &mut Fence {
        &mut self.fence
    }

    fn receive(
        &mut self,
        patience: Duration,
        take: &mut dyn FnMut(&mut Fence, Heard<'_>),
    ) -> Result<usize, LinkError> {
        self.now += patience;
        let Some(kept) = &self.kept else { return Ok(0) };
        let frames = std::mem::take(&mut *kept.lock().expect("one thread"));
        for frame in &frames {
            let bytes = answer(frame);
            let heard = Heard {
                vantage: V,
                at: Timestamp::UNIX_EPOCH,
                now: self.now,
                bytes: &bytes,
                length: bytes.len() as u32,
                outgoing: false,
            };
            take(&mut self.fence, heard);
        }
        Ok(frames.len())
    }
}

struct Nobody;

impl Watcher for Nobody {
    fn frame(&mut self, _: &Heard<'_>, _: Option<Recognised>) {}

    fn progress(&mut self, _: &Progress) {}

    fn stopping(&mut self) -> bool {
        false
    }
}

type Kept = Arc<Mutex<Vec<Vec<u8>>>>;

/// A pass whose frames are answered where they are kept.
fn pass(count: u32, kept: Option<Kept>) -> u64 {
    let mut world = Memory { fence: fence(Wire(kept.clone())), kept, now: Duration::ZERO };
    let mut recogniser = recogniser();
    let mut hops = NextHops::new();
    hops.gateway("0.0.0.0/0".parse().expect("a prefix"), THEIRS);
    let all = AddressSet::of_addresses((0..count).map(target));
    let probe = probe::named("tcp").expect("a probe");
    let mut pass = Pass::new(1, V, probe, Targets::Addresses(all), &hops);
    pass.questions = vec![443];
    let outcome = jiebei::scan::run(
        &pass,
        None,
        &mut std::iter::empty(),
        &mut Care::new(1),
        &mut recogniser,
        &mut world,
        &mut Nobody,
    );
    outcome.expect("nothing fails in memory").answered
}

fn main() {
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with("--"));
    // `cargo bench` without words only shows that it runs.
    let operation = words.next().unwrap_or_else(|| "answered".to_owned());
    let count: u32 = words.next().and_then(|word| word.parse().ok()).unwrap_or(1000);
    let recogniser = recogniser();
    let vantage = vantage();
    let setup = Setup {
        vantage: &vantage,
        source: [10, 0, 0, 5].into(),
        keys: recogniser.keys(),
        ports: PORTS,
        questions: &[443],
    };
    let mut template =
        probe::named("tcp").and_then(|probe| probe.template(&setup)).expect("a template");
    let ask = |number| Ask {
        target: target(number),
        question: 443,
        next_hop: Some(THEIRS),
        attempt: 0,
        extra: 0,
    };
    let done: u64 = match operation.as_str() {
        "empty" => u64::from(count),
        "stamp" => {
            (0..count).map(|number| black_box(template.stamp(&ask(number))).len() as u64).sum()
        }
        "recognise" => {
            let frame = answer(template.stamp(&ask(1)));
            (0..count).filter(|_| recogniser.recognise(V, black_box(&frame)).is_some()).count()
                as u64
        }
        "submit" => {
            let mut fence = fence(Wire(None));
            (0..count)
                .filter(|number| {
                    let permit = fence.guard().admit(target(*number), V, Class::Ordinary);
                    let permit = permit.expect("inside the scope");
                    let frame = template.stamp(&ask(*number));
                    let sent = fence.submit(&permit, frame, Duration::from_micros(1));
                    matches!(sent, jiebei::scope::Submission::Sent)
                })
                .count() as u64
        }
        "silent" => pass(count, None),
        "answered" => pass(count, Some(Kept::default())),
        other => panic!("no operation {other}"),
    };
    println!("{operation} {count}: {done}");
}
