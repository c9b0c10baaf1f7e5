//! Heads of streams: each reader by itself, the whole of them behind segments, and a listener that hears any frames.

use std::cell::RefCell;
use std::net::IpAddr;

use jiebei::net::Mac;
use jiebei::observe::{FrameNumber, Log, Role, Source, VantageId};
use jiebei::passive::Listener;
use jiebei::passive::streams::reader::{self, Head, Reader, Verdict};
use jiebei::wire::build::{self, Macs};
use jiebei::wire::tcp::{self, TcpSegment};
use jiebei::wire::{Ethernet, Ip, LinkType, Protocol};
use jiff::Timestamp;

use super::samples::Samples;
use super::{Outcome, Target};

/// Ports by which a reader tells its protocol, where the first octets say too little.
const PORTS: [u16; 24] = [
    21, 22, 23, 25, 80, 88, 102, 110, 135, 139, 143, 389, 443, 445, 502, 554, 1433, 1723, 1883,
    3306, 3389, 5060, 5432, 9,
];
const CLIENT: (IpAddr, u16) = (IpAddr::V4(std::net::Ipv4Addr::new(10, 20, 1, 5)), 40_000);
const SERVER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 20, 1, 7));
/// As a table keeps of a direction.
const LONGEST: usize = 8192;
/// Turns of one head: as the table makes.
const MOST_TURNS: usize = 64;
/// The tables of a new listener: some 4 MiB for directions of streams alone.
const LISTENER: usize = 16 << 20;
/// Inputs that one listener hears: making one takes longer than most inputs.
const OF_ONE_LISTENER: u64 = 512;

pub fn targets() -> Vec<Target> {
    let mut targets: Vec<Target> = reader::ALL.iter().copied().map(target).collect();
    let remembering = |target| Target { repeats: false, beside: LISTENER, ..target };
    targets.push(remembering(Target::new("streams", conversation, conversations).longest(LONGEST)));
    targets.push(remembering(Target::new("listener", heard, frames)));
    targets
}

/// The first octet of an input chooses the port, the second the role, what was said before and where the head is cut.
fn target(reader: &'static dyn Reader) -> Target {
    let name = format!(
        "stream-{}",
        reader.name().replace(|c: char| !c.is_ascii_alphanumeric(), "-").to_lowercase()
    );
    let seeds = move |samples: &Samples| {
        let mut seeds: Vec<Vec<u8>> = segments(samples)
            .filter(|(shape, payload)| !says_no(reader, &[&[*shape, 0], &payload[..]].concat()))
            .map(|(shape, payload)| [&[shape, 0], &payload[..]].concat())
            .collect();
        seeds.push(vec![0, 0]);
        seeds
    };
    Target::new(&name, move |input| read(reader, input).0, seeds).longest(LONGEST)
}

fn says_no(reader: &dyn Reader, input: &[u8]) -> bool {
    read(reader, input).1 == Verdict::No
}

fn read(reader: &dyn Reader, input: &[u8]) -> (Outcome, Verdict) {
    let mut outcome = Outcome::default();
    let Some((&[shape, how], bytes)) = input.split_first_chunk() else {
        return (outcome, Verdict::No);
    };
    let (port, is_server) = (PORTS[usize::from(shape >> 1) % PORTS.len()], shape & 1 != 0);
    let (from, to) = if is_server { ((SERVER, port), CLIENT) } else { (CLIENT, (SERVER, port)) };
    let role = match how & 3 {
        0 => None,
        1 => Some(Role::Client),
        2 => Some(Role::Server),
        _ => Some(if is_server { Role::Server } else { Role::Client }),
    };
    let mut said = u32::from(how >> 2 & 3);
    let mut tell = |fact| outcome.facts.push((Source::Passive, fact));
    let mut passed = 0;
    let mut first = Verdict::No;
    // A piece first, then all: as segments come.
    let pieces = [bytes.len() * usize::from(how >> 4 & 7) / 8, bytes.len()];
    for (place, end) in pieces.into_iter().enumerate() {
        for turn in 0..MOST_TURNS {
            let Some(bytes) = bytes.get(passed..end).filter(|bytes| !bytes.is_empty()) else {
                break;
            };
            let is_last = how & 128 != 0 && place == 1;
            let verdict =
                reader.read(&Head { bytes, from, to, role, is_last }, &mut said, &mut tell);
            if place == 1 && turn == 0 {
                first = verdict;
            }
            match verdict {
                Verdict::No | Verdict::Done | Verdict::Took(0) => return (outcome, first),
                Verdict::More(_) => break,
                Verdict::Took(took) => passed += took,
                Verdict::Anew(took) => (passed, said) = (passed + took, 0),
            }
        }
    }
    (outcome, first)
}

/// TCP payloads of captures, with the octet that says whose they are.
fn segments(samples: &Samples) -> impl Iterator<Item = (u8, Vec<u8>)> {
    samples.frames.iter().filter_map(|(link_type, frame)| {
        if *link_type != LinkType::ETHERNET {
            return None;
        }
        let ip = Ip::read(Ethernet::read(frame).ok()?.payload).ok()?;
        if ip.protocol != Protocol::TCP {
            return None;
        }
        let segment = TcpSegment::read(ip.payload).ok()?;
        if segment.payload.is_empty() {
            return None;
        }
        let known = |port| PORTS.iter().position(|known| *known == port);
        let (place, is_server) = match (known(segment.source), known(segment.destination)) {
            (Some(place), _) => (place, true),
            (None, Some(place)) => (place, false),
            _ => (PORTS.len() - 1, segment.source < segment.destination),
        };
        Some(((place as u8) << 1 | u8::from(is_server), segment.payload.to_vec()))
    })
}

/// A listener, how many inputs it has heard, and its clock.
struct Ear {
    listener: Listener,
    inputs: u64,
}

thread_local! {
    static EAR: RefCell<Option<Ear>> = const { RefCell::new(None) };
}

/// Lets a listener hear what `tell` has to tell, and gives what a log of its own holds then.
fn listen(input: &[u8], tell: impl FnOnce(&mut dyn FnMut(LinkType, &[u8]), u16)) -> Outcome {
    EAR.with_borrow_mut(|ear| {
        if ear.as_ref().is_none_or(|ear| ear.inputs >= OF_ONE_LISTENER) {
            *ear = Some(Ear { listener: Listener::new(), inputs: 0 });
        }
        let Some(Ear { listener, inputs }) = ear else { return Outcome::default() };
        *inputs += 1;
        let mut log = Log::default();
        let mut octets = input.len();
        let mut frames = 0;
        // A minute later, so that what is told once a minute is told again.
        let at = Timestamp::from_second(1_800_000_000 + *inputs as i64 * 61).unwrap();
        tell(
            &mut |link_type, frame| {
                octets += frame.len();
                frames += 1;
                listener.take(&mut log, VantageId(0), at, FrameNumber(frames), link_type, frame);
            },
            40_000 + *inputs as u16,
        );
        let told =
            log.iter().map(|(_, observation)| (observation.source, observation.fact.clone()));
        Outcome { facts: told.collect(), digest: 0, octets }
    })
}

/// Segments of one connection. Each is two octets and what it carries: whose it is, flags, how far its number is off; how long.
fn conversation(input: &[u8]) -> Outcome {
    let Some((&shape, mut rest)) = input.split_first() else { return Outcome::default() };
    let port = PORTS[usize::from(shape) % PORTS.len()];
    let macs = Macs { source: Mac([2, 0, 0, 0, 0, 1]), destination: Mac([2, 0, 0, 0, 0, 7]) };
    listen(input, |hear, client_port| {
        let mut numbers = [1000u32, u32::MAX - 20];
        while let Some((&[how, length], behind)) = rest.split_first_chunk() {
            // Long ones in steps of 16.
            let length =
                if length < 128 { usize::from(length) } else { usize::from(length - 120) * 16 };
            let (payload, next) = behind.split_at_checked(length).unwrap_or((behind, &[]));
            rest = next;
            let side = usize::from(how & 1);
            let ends = [(CLIENT.0, client_port), (SERVER, port)];
            let (from, to) = (ends[side], ends[1 - side]);
            let flags = match how >> 1 & 7 {
                0 if side == 0 => tcp::SYN,
                0 => tcp::SYN | tcp::ACK,
                1 => tcp::ACK | tcp::FIN,
                2 => tcp::RST,
                _ => tcp::ACK,
            };
            let off = match how >> 4 & 7 {
                0..=3 => 0,
                4 => 100u32,
                5 => 3000,
                6 => 0u32.wrapping_sub(7),
                _ => 1 << 31,
            };
            let segment = TcpSegment {
                source: from.1,
                destination: to.1,
                sequence: numbers[side].wrapping_add(off),
                acknowledgement: numbers[1 - side],
                flags,
                window: 1024,
                options: &[],
                payload,
            };
            numbers[side] =
                numbers[side].wrapping_add(payload.len() as u32 + u32::from(flags & tcp::SYN));
            if let Some(frame) = build::tcp_segment(macs, from.0, to.0, 64, &segment) {
                hear(LinkType::ETHERNET, &frame);
            }
        }
    })
}

fn conversations(samples: &Samples) -> Vec<Vec<u8>> {
    segments(samples)
        .map(|(shape, payload)| {
            let side = shape & 1;
            let mut input = vec![shape / 2, 0, 0, 1, 0];
            for piece in payload.chunks(127) {
                input.extend([side | 6, piece.len() as u8]);
                input.extend(piece);
            }
            input
        })
        .collect()
}

/// Any frames, each behind two octets: its length in steps of eight, and its link type.
fn heard(input: &[u8]) -> Outcome {
    let mut rest = input;
    listen(input, |hear, _| {
        while let Some((&[length, link_type], behind)) = rest.split_first_chunk() {
            let (frame, next) =
                behind.split_at_checked(usize::from(length) * 8).unwrap_or((behind, &[]));
            rest = next;
            // Nearly all is Ethernet.
            let link_type = if link_type < 128 {
                LinkType::ETHERNET
            } else {
                LinkType(u16::from(link_type) * 2)
            };
            hear(link_type, frame);
        }
    })
}

fn frames(samples: &Samples) -> Vec<Vec<u8>> {
    let ethernet = samples
        .frames
        .iter()
        .filter(|(link_type, frame)| *link_type == LinkType::ETHERNET && frame.len() < 250 * 8);
    let framed = ethernet.map(|(_, frame)| {
        let mut padded = frame.clone();
        padded.resize(frame.len().div_ceil(8) * 8, 0);
        [&[(padded.len() / 8) as u8, 0], &padded[..]].concat()
    });
    let framed: Vec<Vec<u8>> = framed.collect();
    let pairs = framed.windows(2).step_by(5).map(|pair| pair.concat());
    let pairs: Vec<Vec<u8>> = pairs.filter(|pair| pair.len() <= super::LONGEST).collect();
    [framed, pairs].concat()
}
