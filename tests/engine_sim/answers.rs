//! What is asked, and what its answers are told as.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use jiebei::net::Port;
use jiebei::observe::{Fact, PortState};
use jiebei::scan::{QuestionOrder, Targets, link_wide};

use crate::bench::*;
use crate::network::*;

#[test]
fn retries_make_up_for_loss_delay_and_duplicates() {
    let weather = Weather { loss: 0.15, delay: ms(30), jitter: ms(60), doubled: 0.2, ..FAIR };
    for (name, rounds) in [("arp", 7), ("icmp", 7)] {
        let hosts = many(100);
        let mut bench = Bench::new(listed(&hosts), weather, 11);
        let outcome = bench.run(name, addresses("10.20.1.0/24"), |pass| pass.rounds = rounds);
        assert_eq!(outcome.answered, 100, "{name}");
        // Network, broadcast and our own; the silent ones without a MAC cannot be asked by echo.
        let silent = if name == "arp" { 254 - 1 - 100 } else { 0 };
        assert_eq!(outcome.asked, 100 + silent, "{name}");
        assert!(outcome.sent < 100 * 3 + silent * u64::from(rounds), "{name}: {}", outcome.sent);
        assert_eq!(bench.finish().answers().len(), 100);
    }
}

#[test]
fn open_closed_and_silent_are_told_apart_on_link_and_beyond() {
    let open = Host { open: [Port::tcp(22), Port::tcp(443)].into(), ..host() };
    let filtered = Host { open: [Port::tcp(443)].into(), ..Host::default() };
    let hosts = vec![
        ("10.20.1.10", open.clone()),
        ("10.20.1.11", filtered.clone()),
        ("10.20.7.7", open.clone()),
        ("fd20::10", open.clone()),
        ("fd20:0:0:9::9", filtered),
    ];
    let mut bench = Bench::new(hosts, FAIR, 3);
    for targets in
        [vec!["10.20.1.0/24"], vec!["10.20.7.0/28"], vec!["fd20::10/128", "fd20:0:0:9::9/128"]]
    {
        let targets = Targets::Addresses(set(&targets));
        bench.run("tcp", targets, |pass| {
            pass.questions = vec![22, 80, 443];
            pass.rounds = 2;
        });
    }
    let log = bench.finish();
    let told: Vec<String> = log
        .answers()
        .into_iter()
        .map(|(ip, port, state)| format!("{ip} {} {state:?}", port.unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            "10.20.1.10 tcp/22 Open",
            "10.20.1.10 tcp/80 Closed",
            "10.20.1.10 tcp/443 Open",
            "10.20.1.11 tcp/443 Open",
            "10.20.7.7 tcp/22 Open",
            "10.20.7.7 tcp/80 Closed",
            "10.20.7.7 tcp/443 Open",
            "fd20::10 tcp/22 Open",
            "fd20::10 tcp/80 Closed",
            "fd20::10 tcp/443 Open",
            "fd20:0:0:9::9 tcp/443 Open",
        ]
    );
}

#[test]
fn closed_udp_ports_are_found_though_errors_are_rationed() {
    let open = Host { open: [Port::udp(5683), Port::udp(53)].into(), ..host() };
    let mut bench = Bench::new(vec![("10.20.1.10", open), ("fd20::10", host())], FAIR, 4);
    let ports: Vec<u16> = vec![53, 67, 69, 123, 137, 161, 500, 1434, 1900, 3702, 5060, 5683, 9999];
    for target in ["10.20.1.10/32", "fd20::10/128"] {
        let ports = ports.clone();
        bench.run("udp", addresses(target), |pass| {
            pass.questions = ports;
            pass.rounds = 2;
        });
    }
    let log = bench.finish();
    let count = |address: &str, wanted| {
        let all = log.answers();
        all.iter()
            .filter(|(ip, _, state)| *ip == crate::network::ip(address) && *state == wanted)
            .count()
    };
    assert_eq!(count("10.20.1.10", PortState::Open), 2);
    assert_eq!(count("10.20.1.10", PortState::Closed), ports.len() - 2);
    assert_eq!(count("fd20::10", PortState::Closed), ports.len());
}

#[test]
fn everyone_on_the_link_answers_link_wide_questions() {
    let hosts = vec![("fd20::10", host()), ("fd20::11", host())];
    let mut bench = Bench::new(hosts, FAIR, 13);
    let IpAddr::V6(own) = ip("fd20::5") else { unreachable!() };
    let permit = bench.sim.fence.guard().admit_link_wide(V).unwrap();
    for frame in [
        link_wide::echo(&bench.recogniser, V, own).unwrap(),
        link_wide::unknown_option(&bench.recogniser, V, own).unwrap(),
    ] {
        let told = bench.sim.fence.submit(&permit, &frame, Duration::from_millis(10));
        assert!(matches!(told, jiebei::scope::Submission::Sent), "{told:?}");
    }
    bench.sim.fence.flush().unwrap();
    let until = Duration::from_secs(1);
    jiebei::scan::listen(&bench.recogniser, &mut bench.sim, &mut bench.log, until).unwrap();
    let addresses: Vec<_> = bench.finish().answers().into_iter().map(|(ip, ..)| ip).collect();
    assert_eq!(addresses, [ip("fd20::10"), ip("fd20::11")]);
}

#[test]
fn the_forwarding_test_tells_forwarders_from_hosts() {
    let forwarder = Host { forwards: true, ..host() };
    let hosts = vec![
        ("10.20.1.10", host()),
        ("10.20.1.11", forwarder.clone()),
        ("fd20::11", forwarder),
        ("10.20.9.9", host()),
        ("fd20:0:0:9::9", host()),
    ];
    let mut bench = Bench::new(hosts, FAIR, 5);
    let guard = bench.sim.fence.guard();
    let steered: Vec<_> =
        [("10.20.1.10", "10.20.9.9"), ("10.20.1.11", "10.20.9.9"), ("fd20::11", "fd20:0:0:9::9")]
            .into_iter()
            .map(|(by, to)| guard.admit_steered(ip(by), mac_of(ip(by)), ip(to), V).unwrap())
            .collect();
    let outcome = bench.run("forwarding", Targets::Steered(steered), |pass| {
        pass.question_order = QuestionOrder::AsGiven;
    });
    assert_eq!((outcome.sent, outcome.answered), (12, 8));
    let log = bench.finish();
    let told: BTreeSet<String> = log
        .facts
        .keys()
        .map(|fact| match fact {
            Fact::Forwarding(f) => {
                format!("{} {}@{} {} {:?}", f.mac, f.hop_limit, f.round, f.from, f.icmp)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        told.into_iter().collect::<Vec<_>>(),
        [
            "02:04:00:14:01:0b 1@1 10.20.1.11 Some((11, 0))",
            "02:04:00:14:01:0b 1@2 10.20.1.11 Some((11, 0))",
            "02:04:00:14:01:0b 2@1 10.20.9.9 None",
            "02:04:00:14:01:0b 2@2 10.20.9.9 None",
            "02:06:00:00:00:11 1@1 fd20::11 Some((3, 0))",
            "02:06:00:00:00:11 1@2 fd20::11 Some((3, 0))",
            "02:06:00:00:00:11 2@1 fd20:0:0:9::9 None",
            "02:06:00:00:00:11 2@2 fd20:0:0:9::9 None",
        ]
    );
}

#[test]
fn a_hop_ladder_names_its_hops_within_the_ration() {
    let mut bench = Bench::new(vec![("10.20.9.9", host())], FAIR, 6);
    bench.run("traceroute", addresses("10.20.9.9/32"), |pass| {
        pass.questions = vec![1, 2, 3];
        pass.rate = Some(5);
    });
    let log = bench.finish();
    let hops: Vec<_> = log
        .facts
        .keys()
        .map(|fact| match fact {
            Fact::Hop { hop_limit, from, .. } => (*hop_limit, from.to_string()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(hops, [(1, "10.20.1.1".into()), (2, "10.20.9.9".into()), (3, "10.20.9.9".into())]);
}
