//! A province's registry: a million assets read, checked and asked, in rows or look-ups a second. Each
//! round also counts what it got.
//!
//! Peak memory: `/usr/bin/time -v` around one of the `load` benches with `--quick`; nothing else here is large.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jiebei::net::Mac;
use jiebei::registry::{self, Index, Loaded, ReadOptions};

const ASSETS: u32 = 1_000_000;
/// Each with a /16 of its own and some 16,000 assets.
const UNITS: u32 = 64;

fn address(number: u32) -> Ipv4Addr {
    let (unit, within) = (number % UNITS, number / UNITS);
    Ipv4Addr::from_bits(0x0a00_0000 | unit << 16 | (within + 256))
}

fn mac(number: u32) -> Mac {
    let [a, b, c, d] = number.to_be_bytes();
    Mac([0x00, 0x1b, a, b, c, d])
}

fn asset(number: u32) -> [String; 8] {
    [
        format!("4301{:02}", number % UNITS),
        format!("终端{number:07}"),
        address(number).to_string(),
        mac(number).to_string(),
        "终端".to_owned(),
        "办公系统".to_owned(),
        "在用".to_owned(),
        "湘数函〔2026〕12号".to_owned(),
    ]
}

const HEADINGS: [&str; 8] =
    ["单位编码", "资产名称", "ip", "mac", "类别", "所属系统", "状态", "批准文号"];

fn small_tables(dir: &Path) {
    let mut units = String::from("unit\n");
    let mut segments = String::from("unit,prefix\n");
    for unit in 0..UNITS {
        units += &format!("4301{unit:02}\n");
        segments += &format!("4301{unit:02},10.{unit}.0.0/16\n");
    }
    fs::write(dir.join("units.csv"), units).expect("written");
    fs::write(dir.join("segments.csv"), segments).expect("written");
}

fn as_csv(dir: &Path) {
    small_tables(dir);
    let mut file = BufWriter::new(File::create(dir.join("assets.csv")).expect("made"));
    writeln!(file, "{}", HEADINGS.join(",")).expect("written");
    for number in 0..ASSETS {
        writeln!(file, "{}", asset(number).join(",")).expect("written");
    }
    file.flush().expect("written");
}

fn read(source: &Path) -> Loaded {
    let today = "2026-11-22".parse().expect("a day");
    let source = source.to_str().expect("a plain path");
    let loaded = registry::read(source, &ReadOptions::on(today))
        .unwrap_or_else(|refused| panic!("{:?}", refused.faults.first()));
    assert_eq!(loaded.registry.assets.len(), ASSETS as usize);
    loaded
}

fn load(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("made");
    let folder = dir.path().join("csv");
    fs::create_dir(&folder).expect("made");
    as_csv(&folder);
    let mut group = c.benchmark_group("registry/load");
    group.throughput(Throughput::Elements(u64::from(ASSETS))).sample_size(10);
    group.bench_function("csv-1m", |b| b.iter(|| read(&folder)));
    if std::env::args().any(|argument| argument.contains("json") || argument.contains("xlsx")) {
        let loaded = read(&folder);
        let json = dir.path().join("registry.json");
        registry::convert(&loaded, &json).expect("written");
        let workbook = dir.path().join("registry.xlsx");
        registry::convert(&loaded, &workbook).expect("written");
        drop(loaded);
        group.bench_function("json-1m", |b| b.iter(|| read(&json)));
        group.bench_function("xlsx-1m", |b| b.iter(|| read(&workbook)));
    }
    group.finish();
}

fn ask(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("made");
    as_csv(dir.path());
    let registry = Arc::new(read(dir.path()).registry);
    let day = "2026-11-22".parse().expect("a day");
    let mut group = c.benchmark_group("registry/index");
    group.sample_size(10);
    group.bench_function("build-1m", |b| b.iter(|| Index::new(Arc::clone(&registry), day)));
    let index = Index::new(registry, day);
    const ASKED: u32 = 100_000;
    group.throughput(Throughput::Elements(u64::from(ASKED)));
    group.bench_function("address+mac+segment", |b| {
        b.iter(|| {
            let mut found = 0u32;
            for step in 0..ASKED {
                // A stride that is prime to the table: no two look-ups are neighbours.
                let number = step.wrapping_mul(611_953) % ASSETS;
                let ip = IpAddr::V4(address(number));
                found += u32::from(index.assets_at(black_box(ip)).count() == 1);
                found += u32::from(index.assets_with(mac(number)).count() == 1);
                found += u32::from(index.approved_segment(ip).is_some());
            }
            assert_eq!(found, 3 * ASKED);
        })
    });
    group.finish();
}

criterion_group!(benches, load, ask);
criterion_main!(benches);
