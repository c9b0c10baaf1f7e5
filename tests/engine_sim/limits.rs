//! Whom a pass must not ask, how fast it may, and when it ends.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use jiebei::net::AddressSet;
use jiebei::scan::{Linger, Targets};
use jiebei::scope::frame::{Body, Frame};
use jiebei::scope::{Ceilings, Refusal};
use jiff::Timestamp;

use crate::bench::*;
use crate::network::*;

#[test]
fn excluded_and_fragile_addresses_are_kept_from_harm() {
    let hosts = many(100);
    let ceilings = CEILINGS;
    let mut bench = Bench::with(listed(&hosts), FAIR, 10, ceilings, |rules| {
        rules.exclude = set(&["10.20.1.10/31"]);
        rules.observe_only = set(&["10.20.1.12/31"]);
    });
    let arp = bench.run("arp", addresses("10.20.1.0/24"), |pass| pass.rounds = 3);
    let icmp = bench.run("icmp", addresses("10.20.1.0/24"), |_| {});
    let tcp = bench.run("tcp", addresses("10.20.1.0/24"), |pass| pass.questions = vec![22]);
    assert_eq!(arp.refused[&Refusal::Excluded], 2);
    assert_eq!(arp.answered, 98);
    assert_eq!(icmp.refused[&Refusal::AlreadyAsked], 2);
    assert_eq!(tcp.refused[&Refusal::ObserveOnly], 2);
    let mut to: BTreeMap<IpAddr, u64> = BTreeMap::new();
    for (_, frame) in bench.wire() {
        let address = match Frame::read(&frame).unwrap().body {
            Body::Arp(arp) => arp.target_ip.into(),
            Body::Ip(packet) => packet.destination,
            Body::Other(_) => panic!(),
        };
        *to.entry(address).or_default() += 1;
    }
    assert_eq!(to.get(&ip("10.20.1.10")).or(to.get(&ip("10.20.1.11"))), None);
    assert_eq!((to[&ip("10.20.1.12")], to[&ip("10.20.1.13")]), (1, 1));
    bench.finish();
}

#[test]
fn a_window_that_closes_ends_the_pass_with_a_checkpoint() {
    let hosts = many(50);
    let ceilings = Ceilings { packets_per_second: 100, ..CEILINGS };
    let mut bench = Bench::with(listed(&hosts), FAIR, 12, ceilings, |rules| {
        let at = |millis| Timestamp::from_millisecond(millis).unwrap();
        rules.window = Some((at(0), at(1_000)));
    });
    let outcome = bench.run("arp", addresses("10.20.1.0/24"), |_| {});
    assert!(outcome.interrupted.is_some());
    assert!(outcome.sent > 50 && outcome.sent <= 100, "{}", outcome.sent);
    let last = bench.wire().last().unwrap().0;
    assert!(last <= Duration::from_secs(1));
}

#[test]
fn one_host_with_many_ports_is_asked_no_faster_than_its_ceiling() {
    let hosts = vec![("10.20.1.10", host()), ("10.20.1.11", Host::default())];
    let mut bench = Bench::new(hosts, FAIR, 14);
    let outcome = bench.run("tcp", Targets::Addresses(set(&["10.20.1.10/31"])), |pass| {
        pass.questions = (1..=200).collect();
    });
    assert_eq!((outcome.sent, outcome.answered), (400, 200));
    let took = bench.network().now;
    // Forty a second each; into silence a place is held for the reset.
    assert!(took < Duration::from_secs(9), "{took:?}");
    bench.finish();
}

#[test]
fn a_pass_ends_soon_after_the_last_answer() {
    let hosts = many(100);
    let mut bench = Bench::new(listed(&hosts), FAIR, 15);
    let linger = Linger { least: Duration::from_millis(100), most: Duration::from_secs(5) };
    bench.run("arp", addresses("10.20.1.0/24"), |pass| pass.linger = linger);
    let took = bench.network().now;
    assert!(took < Duration::from_millis(400), "{took:?}");
    // All answer: there is nothing to wait for.
    let before = took;
    let targets = AddressSet::of_addresses((10..110).map(|last| ip(&format!("10.20.1.{last}"))));
    bench.run("icmp", Targets::Addresses(targets), |pass| pass.linger = linger);
    let took = bench.network().now - before;
    assert!(took < Duration::from_millis(60), "{took:?}");
}
