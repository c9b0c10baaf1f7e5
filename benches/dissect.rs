//! How fast frames become facts, in frames a second. Each round also counts the facts.

use std::fs;
use std::hint::black_box;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use jiebei::link::capture::{Item, Reader};
use jiebei::net::Mac;
use jiebei::observe::{FrameNumber, Log, VantageId};
use jiebei::passive::{Listener, dissect};
use jiebei::wire::build::{self, Macs};
use jiebei::wire::tcp::{SYN, TcpSegment};
use jiebei::wire::{Headers, LinkType};
use jiff::Timestamp;

const OURS: Mac = Mac([2, 0, 0, 0, 0, 5]);
const MACS: Macs = Macs { source: OURS, destination: Mac([2, 0, 0, 0, 0, 7]) };

fn count(frame: &[u8]) -> usize {
    let mut facts = 0;
    dissect::dissect(LinkType::ETHERNET, black_box(frame), &mut |_, fact| {
        black_box(fact);
        facts += 1;
    });
    facts
}

fn frames() -> Vec<(&'static str, Vec<u8>)> {
    let (v4, v6): (Ipv4Addr, Ipv6Addr) = ([10, 20, 1, 5].into(), "fe80::5".parse().unwrap());
    let syn = TcpSegment {
        source: 40000,
        destination: 443,
        sequence: 1,
        acknowledgement: 0,
        flags: SYN,
        window: 1024,
        options: &[2, 4, 5, 0xb4],
        payload: &[],
    };
    let mdns = b"\0\0\x84\0\0\0\0\x01\0\0\0\0\x04desk\x05local\0\0\x01\x80\x01\0\0\0\x78\0\x04\x0a\x14\x01\x09";
    let group = Ipv4Addr::new(224, 0, 0, 251).into();
    vec![
        ("arp", build::arp_request(MACS, v4, [10, 20, 1, 7].into())),
        ("ndp", build::neighbour_solicitation(OURS, v6, "fe80::7".parse().unwrap())),
        ("dhcp", build::dhcp_discover(OURS, 7)),
        ("dhcpv6", build::dhcpv6_solicit(OURS, v6, 7)),
        ("mdns", build::udp_datagram(MACS, (v4.into(), 5353), (group, 5353), 255, mdns).unwrap()),
        ("tcp", build::tcp_segment(MACS, v4.into(), [10, 20, 1, 7].into(), 64, &syn).unwrap()),
    ]
}

fn protocols(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("dissect");
    group.throughput(Throughput::Elements(1));
    for (name, frame) in frames() {
        assert!(count(&frame) > 0, "{name}");
        group.bench_function(name, |bencher| bencher.iter(|| count(&frame)));
    }
    let frame = frames().pop().unwrap().1;
    group.bench_function("headers", |bencher| {
        bencher
            .iter(|| Headers::read(black_box(&frame)).and_then(|headers| headers.destination_ip()));
    });
    group.finish();
}

/// All frames of a capture through the listener into a log.
fn capture(criterion: &mut Criterion) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures/mercury__emix.pcap");
    let mut frames: Vec<(LinkType, Timestamp, Vec<u8>)> = Vec::new();
    let mut reader = Reader::new("emix", fs::File::open(path).unwrap()).unwrap();
    while let Some(Ok(item)) = reader.next() {
        if let Item::Frame(frame) = item {
            frames.push((frame.link_type, frame.at, frame.bytes.to_vec()));
        }
    }
    let mut group = criterion.benchmark_group("listen");
    group.throughput(Throughput::Elements(frames.len() as u64));
    group.bench_function("mixed-capture", |bencher| {
        bencher.iter_batched(
            || (Listener::new(), Log::default()),
            |(mut listener, mut log)| {
                for (number, (link_type, at, frame)) in (1..).zip(&frames) {
                    let number = FrameNumber(number);
                    listener.take(&mut log, VantageId(0), *at, number, *link_type, frame);
                }
                assert!(log.len() > 100);
                log
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, protocols, capture);
criterion_main!(benches);
