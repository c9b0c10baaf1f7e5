//! Every kind of network by every probe, in one table: what is found, at what cost, in what time.
//!
//! A quarter of the addresses is inhabited, and each is asked three times at most, at 5,000 packets a second and 256 unheard
//! addresses of a prefix behind a router: a /23 is two of them and all of IPv6 here is one. ARP and neighbour
//! solicitations ask on the link, everything else behind a router. Where the weather loses frames it does so in
//! both directions.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use jiebei::net::{AddressSet, Mac, Port, Prefix};
use jiebei::scan::Targets;

use crate::bench::*;
use crate::network::*;

/// A kind of network.
struct Kind {
    name: &'static str,
    weather: Weather,
    /// The size of the address range, in bits.
    bits: u8,
    /// Which probes it makes a difference to; empty is all.
    probes: &'static [&'static str],
    boxes: fn(Prefix) -> Boxes,
    host: fn() -> Host,
    /// Something answers at every address.
    everywhere: bool,
}

fn open() -> Host {
    Host { open: [Port::tcp(22), Port::udp(53)].into(), ..host() }
}

const PLAIN: Kind = Kind {
    name: "",
    weather: FAIR,
    bits: 9,
    probes: &[],
    boxes: |_| Boxes::default(),
    host: open,
    everywhere: false,
};

const BEYOND: &[&str] = &["icmp", "icmpv6", "tcp", "udp"];

fn kinds() -> Vec<Kind> {
    vec![
        Kind { name: "fair", ..PLAIN },
        Kind { name: "closed ports", probes: &["tcp", "udp"], host, ..PLAIN },
        Kind { name: "1 % lost", weather: Weather { loss: 0.01, ..FAIR }, ..PLAIN },
        Kind { name: "10 % lost", weather: Weather { loss: 0.1, ..FAIR }, ..PLAIN },
        Kind {
            name: "10 % in bursts of 20",
            weather: Weather { bursts: Some(Bursts { begins: 0.0055, ends: 0.05 }), ..FAIR },
            ..PLAIN
        },
        Kind {
            name: "far, 300 ± 200 ms",
            weather: Weather { delay: ms(100), jitter: ms(400), ..FAIR },
            ..PLAIN
        },
        Kind {
            name: "20 % doubled, 20 % overtaken",
            weather: Weather { doubled: 0.2, overtaken: 0.2, ..FAIR },
            ..PLAIN
        },
        Kind {
            name: "a link of 1,000/s, queue 50",
            weather: Weather { narrow: Some(Narrow { per_second: 1000, queue: 50 }), ..FAIR },
            bits: 13,
            probes: &["arp", "icmp", "tcp"],
            ..PLAIN
        },
        Kind {
            name: "echo policed to 200/s",
            probes: &["icmp", "icmpv6"],
            boxes: |_| Boxes { policer: Some(Bucket::new(200.0, 50.0)), ..Boxes::default() },
            ..PLAIN
        },
        Kind {
            name: "errors rationed, 8 addresses a kernel",
            probes: &["udp"],
            boxes: |_| Boxes { shared_bits: 5, ..Boxes::default() },
            host,
            ..PLAIN
        },
        Kind {
            name: "1,024 neighbours, 256 addresses",
            probes: BEYOND,
            bits: 8,
            boxes: |_| Boxes { neighbours: Some(NeighbourTable::new(1024)), ..Boxes::default() },
            ..PLAIN
        },
        Kind {
            name: "1,024 neighbours, 2,048 addresses",
            probes: &["icmp", "icmpv6"],
            bits: 11,
            boxes: |_| Boxes { neighbours: Some(NeighbourTable::new(1024)), ..Boxes::default() },
            ..PLAIN
        },
        Kind {
            name: "a SYN proxy",
            probes: &["tcp"],
            boxes: |range| Boxes { proxies: vec![range], ..Boxes::default() },
            everywhere: true,
            ..PLAIN
        },
        Kind {
            name: "a tarpit",
            probes: &["tcp"],
            boxes: |range| Boxes { tarpits: vec![range], ..Boxes::default() },
            everywhere: true,
            ..PLAIN
        },
        Kind {
            name: "answers from another MAC",
            host: || Host { speaks_from: Some(Mac([0, 0, 0x5e, 0, 1, 7])), ..open() },
            ..PLAIN
        },
        Kind {
            name: "a ring of 64 that takes 1,000/s",
            bits: 12,
            probes: &["arp", "icmp", "tcp"],
            boxes: |_| Boxes { ring: Some(Ring { frames: 64, each: ms(1) }), ..Boxes::default() },
            ..PLAIN
        },
        Kind {
            name: "silent after 2 s",
            bits: 14,
            probes: &["icmp", "tcp"],
            boxes: |_| Boxes {
                silence: Some((ms(2000), Duration::from_secs(1 << 30))),
                ..Boxes::default()
            },
            ..PLAIN
        },
    ]
}

/// A cell: what a probe finds in a kind of network.
fn row(kind: &Kind, probe: &str, family: Family) -> String {
    let v4 = family == Family::V4;
    let on_link = matches!(probe, "arp" | "ndp");
    let range = match (on_link, v4) {
        (true, true) => prefix("10.20.64.0/18"),
        (true, false) => prefix("fd20::1:0:0/96"),
        (false, true) => prefix("10.30.0.0/16"),
        (false, false) => prefix("fd30::/64"),
    };
    let range = Prefix::of(range.first(), if v4 { 32 } else { 128 } - kind.bits);
    let whole: AddressSet = [range].into_iter().collect();
    // Every row has weather of its own.
    let name = kind.name.bytes().chain(probe.bytes()).chain([u8::from(v4)]);
    let seed = name.fold(0xcbf2_9ce4_8422_2325, |seed: u64, octet| {
        (seed ^ u64::from(octet)).wrapping_mul(0x100_0000_01b3)
    });
    let mut dice = Dice(seed | 1);
    let mut hosts = Vec::new();
    for place in 0..whole.count() {
        if dice.below(4) == 0 {
            hosts.push((whole.nth(place).unwrap(), (kind.host)()));
        }
    }
    let there: BTreeSet<IpAddr> = match kind.everywhere {
        true => (0..whole.count()).filter_map(|place| whole.nth(place)).collect(),
        false => hosts.iter().map(|(address, _)| *address).collect(),
    };
    let mut bench = Bench::on_link("10.20.0.0/16", hosts, kind.weather, seed, CEILINGS, |_| {});
    bench.network().boxes = (kind.boxes)(range);
    let outcome = bench.run(probe, Targets::Addresses(whole.clone()), |pass| {
        pass.rounds = 3;
        match probe {
            "tcp" => pass.questions = vec![22],
            "udp" => pass.questions = vec![53],
            _ => {}
        }
    });
    let slowed = bench.care.throttle.slowed().values().map(|slowed| slowed.lowest).min();
    let (seconds, overflows) = {
        let network = bench.network();
        let overflows = network.boxes.neighbours.as_ref().map(|table| table.overflows);
        (network.now.as_secs_f64(), overflows)
    };
    let log = bench.finish();
    let found = log.found();
    let stray = found.difference(&there).count();
    assert_eq!(stray, 0, "{} by {probe}", kind.name);
    let folded: u64 = log.facts.values().map(|times| times - 1).sum();
    let ended = match (outcome.silent, outcome.interrupted) {
        (Some(_), _) => "silent",
        (None, Some(_)) => "stopped",
        (None, None) => "done",
    };
    let dash = |number: Option<u64>| number.map_or("-".to_string(), |number| number.to_string());
    format!(
        "{:<37} {:<7} {} {:>6} {:>6} {:>6} {:>6} {:>7} {:>7.3} {:>7} {:>8.2} {:>8} {:>9}  {}",
        kind.name,
        probe,
        if v4 { "v4" } else { "v6" },
        whole.count(),
        there.len(),
        found.len(),
        stray,
        outcome.sent,
        outcome.sent as f64 / whole.count() as f64,
        folded,
        seconds,
        dash(slowed.map(u64::from)),
        dash(overflows),
        ended,
    )
}

#[test]
fn every_probe_in_every_kind_of_network() {
    let mut table = format!(
        "{:<37} {:<7} {} {:>6} {:>6} {:>6} {:>6} {:>7} {:>7} {:>7} {:>8} {:>8} {:>9}  {}\n",
        "network",
        "probe",
        "by",
        "asked",
        "there",
        "found",
        "false",
        "sent",
        "an addr",
        "folded",
        "seconds",
        "slowest",
        "overflows",
        "ended"
    );
    for kind in kinds() {
        for (probe, family) in [
            ("arp", Family::V4),
            ("ndp", Family::V6),
            ("icmp", Family::V4),
            ("icmpv6", Family::V6),
            ("tcp", Family::V4),
            ("tcp", Family::V6),
            ("udp", Family::V4),
            ("udp", Family::V6),
        ] {
            // One /64 is asked 256 unheard addresses a second: the wide rows would take minutes.
            let takes_long = family == Family::V6 && probe != "ndp" && kind.bits > 11;
            if !takes_long && (kind.probes.is_empty() || kind.probes.contains(&probe)) {
                writeln!(table, "{}", row(&kind, probe, family)).unwrap();
            }
        }
    }
    insta::with_settings!({ snapshot_path => "../snapshots", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("engine_sim__networks", table);
    });
}

/// The promise in figures: a /16 full of hosts, one frame in a hundred lost in each direction.
#[test]
fn one_percent_lost_costs_a_tenth_more_packets_and_no_host() {
    let everybody: Vec<_> = (0..1u32 << 16)
        .map(|low| (IpAddr::from((0x0a1e_0000u32 | low).to_be_bytes()), host()))
        .collect();
    let weather = Weather { loss: 0.01, ..FAIR };
    let mut bench = Bench::on_link("10.20.1.0/24", everybody, weather, 3, CEILINGS, |_| {});
    bench.log.frames = None;
    let outcome = bench.run("icmp", addresses("10.30.0.0/16"), |pass| pass.rounds = 3);
    let recall = outcome.answered as f64 / 65_536.0;
    let each = outcome.sent as f64 / 65_536.0;
    assert!(recall >= 0.9999 && each <= 1.1, "recall {recall}, {each} packets an address");
    bench.check_ceilings();
}
