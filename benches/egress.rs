//! The collector's hot loop, one core: what a junk packet costs, and one with a token; making a token; and a log held
//! against a sweep's probes. Each loop also checks its answers.

use std::hint::black_box;
use std::net::IpAddr;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jiebei::egress::ledger::{Extent, Ledger};
use jiebei::egress::receipt::{self, GENESIS, Receipt, SCHEMA};
use jiebei::egress::token::{EgressKey, Token};
use jiebei::egress::{field, spoofed_source};
use jiebei::net::Mac;
use jiebei::observe::{Carrier, EgressMethod, EgressProbe, VantageId};
use jiebei::scope::frame::Packet;

const V: VantageId = VantageId(0);
const PACKETS: u64 = 4096;
const ENTRIES: u32 = 10_000;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn probe(number: u32, carrier: Carrier) -> EgressProbe {
    EgressProbe {
        number,
        method: EgressMethod::SpoofedSource,
        carrier,
        target: ip("10.20.1.7"),
        mac: Mac([2, 0, 0, 0, 0, 7]),
        asked_from: ip("198.51.100.10"),
        canary: ip("198.51.100.10"),
        port: 123,
        hop_limit: spoofed_source::HOP_LIMIT,
        round: 1,
        sent_at: "2026-11-25T01:00:00Z".parse().expect("a time"),
        redrawn: 0,
    }
}

/// A datagram of 48 octets as an NTP server answers it, with these eight at its origin timestamp.
fn datagram(number: u64, origin: [u8; 8]) -> Vec<u8> {
    let mut packet =
        vec![0x45, 0, 0, 76, 0, 0, 0, 0, 60, 17, 0, 0, 203, 0, 113, 7, 198, 51, 100, 10];
    packet.extend_from_slice(&[0, 123, 0x9c, 0x40, 0, 56, 0, 0]);
    let mut payload = [0u8; 48];
    payload[0] = 0x24;
    payload[16..24].copy_from_slice(&number.to_be_bytes());
    payload[24..32].copy_from_slice(&origin);
    packet.extend_from_slice(&payload);
    packet
}

fn recognised(key: &EgressKey, packets: &[Vec<u8>]) -> u64 {
    let mut known = 0;
    for packet in packets {
        let Some(packet) = Packet::read_ipv4(packet) else { continue };
        known += u64::from(field::tokens(&packet).into_iter().any(|token| key.recognises(token)));
    }
    known
}

fn benches(criterion: &mut Criterion) {
    let key = EgressKey::from_bytes([7; 32]);
    let mut group = criterion.benchmark_group("egress");
    group.throughput(Throughput::Elements(PACKETS));

    let junk: Vec<Vec<u8>> = (0..PACKETS).map(|n| datagram(n, n.to_be_bytes())).collect();
    group.bench_function("recognise/junk", |bencher| {
        bencher.iter(|| assert_eq!(recognised(&key, black_box(&junk)), 0));
    });
    let valid: Vec<Vec<u8>> = (0..PACKETS)
        .map(|n| {
            let token = key.token("sweep", V, &probe(n as u32, Carrier::Ntp));
            datagram(n, (token.bits as u64).to_be_bytes())
        })
        .collect();
    group.bench_function("recognise/token", |bencher| {
        bencher.iter(|| assert_eq!(recognised(&key, black_box(&valid)), PACKETS));
    });
    group.bench_function("token", |bencher| {
        bencher.iter(|| {
            for number in 0..PACKETS as u32 {
                let token = key.token("sweep", V, &probe(number, Carrier::IcmpEcho));
                assert!(key.is_of_sweep(black_box(token), "sweep"));
            }
        });
    });

    let probes: Vec<EgressProbe> = (0..ENTRIES).map(|n| probe(n, Carrier::IcmpEcho)).collect();
    let (mut log, mut previous) = (String::new(), GENESIS);
    for (n, probe) in (1u64..).zip(&probes) {
        let token: Token = key.token("sweep", V, probe);
        let entry = Receipt {
            schema: SCHEMA.to_owned(),
            n,
            at: probe.sent_at,
            canary: probe.canary,
            observed: ip("203.0.113.7"),
            observed_port: 0,
            port: 0,
            protocol: "icmp".to_owned(),
            hop_limit: 60,
            field: token.field,
            token: token.to_hex(),
            raw: "00".repeat(120),
            relayed: String::new(),
        };
        let (line, chain) =
            receipt::write(&key, &previous, &entry, &mut |_| None).expect("an entry");
        previous = chain;
        log.push_str(&line);
        log.push('\n');
    }
    group.throughput(Throughput::Elements(u64::from(ENTRIES)));
    group.sample_size(20);
    group.bench_function("ledger/10k", |bencher| {
        bencher.iter(|| {
            let ledger = Ledger::new(&key, "sweep", probes.iter().map(|probe| (V, probe)));
            let findings = ledger.check(black_box(&log), Extent::Whole);
            assert_eq!(findings.receipts.len(), ENTRIES as usize);
        });
    });
    group.finish();
}

criterion_group!(egress, benches);
criterion_main!(egress);
