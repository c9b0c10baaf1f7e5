//! `fold/100k`: a log of a hundred thousand devices folded; `audit/100k`: the inventory held against a
//! registry of a million assets. Entries a second; both loops check what came out.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jiebei::audit::{Input, Regulation, audit};
use jiebei::inventory::{Context, Vantage, fold};
use jiebei::net::{AddressSet, Mac, Port, Prefix};
use jiebei::observe::{Asked, Fact, FrameNumber, Log, LogLimits, PortState, Source, VantageId};
use jiebei::registry::Index;
use jiebei::registry::model::{
    Asset, OnlineStatus, Registration, Registry, Segment, Service, Unit, UnitStatus,
};
use jiff::Timestamp;

const DEVICES: u32 = 100_000;
const ASSETS: u32 = 1_000_000;
/// Assets of one unit: each has a /22.
const UNIT: u32 = 1_000;

/// The address of the asset with this number: the units' /22s one after the other.
fn address(number: u32) -> IpAddr {
    let (unit, host) = (number / UNIT, number % UNIT);
    IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + unit * 1024 + host + 1))
}

fn mac(number: u32) -> Mac {
    let [a, b, c, d] = number.to_be_bytes();
    Mac([0x00, 0x1b, a, b, c, d])
}

fn registry() -> Registry {
    let units = ASSETS / UNIT;
    let name = |unit: u32| format!("43{unit:06}");
    Registry {
        units: (0..units)
            .map(|unit| Unit {
                unit: name(unit),
                name: None,
                level: None,
                parent: None,
                status: UnitStatus::Active,
                withdrawn_on: None,
                contact: None,
                phone: None,
            })
            .collect(),
        segments: (0..units)
            .map(|unit| Segment {
                unit: name(unit),
                prefix: Prefix::of(address(unit * UNIT), 22),
                purpose: None,
                vlan: None,
                registration: Some(Registration::Closed),
                approval: None,
                valid_from: None,
                valid_until: None,
            })
            .collect(),
        assets: (0..ASSETS)
            .map(|number| Asset {
                unit: name(number / UNIT),
                name: format!("asset-{number}"),
                ip: vec![address(number)],
                mac: vec![mac(number)],
                kind: None,
                system: None,
                status: OnlineStatus::Online,
                approval: None,
            })
            .collect(),
        services: (0..ASSETS)
            .step_by(10)
            .map(|number| Service {
                unit: name(number / UNIT),
                system: None,
                ip: address(number),
                port: Port::tcp(443),
                filing: None,
                status: OnlineStatus::Online,
                internet_facing: None,
                valid_until: None,
            })
            .collect(),
        ..Registry::default()
    }
}

/// The first hundred units' wires: of a hundred assets one is away, one is another machine, and one has
/// a port that nobody filed.
fn log() -> Log {
    let mut log = Log::new(LogLimits::default());
    let mut number = 0u64;
    let mut put = |source, fact| {
        number += 1;
        let at = Timestamp::from_second(1_795_000_000 + (number / 1000) as i64).unwrap_or_default();
        log.observe(at, VantageId(0), source, fact, &[FrameNumber(number)]);
    };
    for device in (0..DEVICES).filter(|device| device % 100 != 99) {
        let ip = address(device);
        let at = if device % 100 == 50 { mac(ASSETS + device) } else { mac(device) };
        put(Source::Arp, Fact::Binding { ip, mac: at });
        let answer = |port, state| Fact::Answer { ip, mac: at, port, state, hop_limit: 64 };
        put(Source::Icmp, answer(None, PortState::Alive));
        let port = if device % 100 == 7 { Port::tcp(8080) } else { Port::tcp(443) };
        put(Source::Tcp, answer(Some(port), PortState::Open));
    }
    for unit in 0..DEVICES / UNIT {
        let asked = Asked {
            prefix: Prefix::of(address(unit * UNIT), 22),
            method: "arp".to_owned(),
            ports: Vec::new(),
            asked: 1022,
            excluded: 0,
            complete: true,
            addresses: Vec::new(),
            proposed: Vec::new(),
        };
        put(Source::Sweep, Fact::Asked(asked));
    }
    log
}

fn benches(criterion: &mut Criterion) {
    let all: Prefix = Prefix::of(address(0), 8);
    let context = Context {
        vantages: vec![Vantage {
            interface: "eth1".to_owned(),
            mac: None,
            addresses: vec![(IpAddr::from([10, 255, 0, 5]), all)],
        }],
        segments: Vec::new(),
        scope: AddressSet::of([all]),
    };
    let log = log();
    let day = jiff::civil::date(2026, 11, 22);
    let index = Index::new(Arc::new(registry()), day);
    let Some(regulation) = Regulation::built_in("hunan-2026") else { return };

    let mut group = criterion.benchmark_group("fold");
    group.sample_size(10).throughput(Throughput::Elements(u64::from(DEVICES)));
    group.bench_function("100k", |bench| {
        bench.iter(|| {
            let inventory = fold(black_box(&log), &context);
            assert_eq!(inventory.devices.len(), (DEVICES - DEVICES / 100) as usize);
            inventory
        });
    });
    group.finish();

    let inventory = fold(&log, &context);
    let input = Input {
        inventory: &inventory,
        log: &log,
        registry: Some(&index),
        context: &context,
        unit: None,
        exclude: AddressSet::default(),
        regulation: &regulation,
        severity: BTreeMap::new(),
    };
    let mut group = criterion.benchmark_group("audit");
    group.sample_size(10).throughput(Throughput::Elements(u64::from(DEVICES)));
    group.bench_function("100k", |bench| {
        bench.iter(|| {
            let audit = audit(black_box(&input));
            let found = |rule| audit.findings.iter().filter(|one| one.rule == rule).count();
            assert_eq!(found("asset-mismatch"), 1_000);
            assert!(found("registered-asset-absent") >= 1_000);
            audit
        });
    });
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
