//! No second holds more than the ceilings, and no second after trouble more than the throttle lets through.

use std::net::IpAddr;
use std::time::Duration;

use jiebei::scope::Ceilings;
use proptest::prelude::*;

use crate::bench::*;
use crate::network::*;

fn weather() -> impl Strategy<Value = Weather> {
    let loss = prop_oneof![Just(0.0), 0.0..0.4f64];
    let bursts = proptest::option::of((0.001..0.05f64, 0.02..0.5f64));
    let narrow = proptest::option::of((100u32..3000, 1u32..200));
    let delay = prop_oneof![0u64..5, 0u64..400];
    (loss, bursts, narrow, delay, 0u64..400, 0.0..0.5f64, 0.0..0.5f64).prop_map(
        |(loss, bursts, narrow, delay, jitter, doubled, overtaken)| Weather {
            loss,
            bursts: bursts.map(|(begins, ends)| Bursts { begins, ends }),
            delay: ms(delay),
            jitter: ms(jitter),
            doubled,
            overtaken,
            narrow: narrow.map(|(per_second, queue)| Narrow { per_second, queue }),
        },
    )
}

fn hosts(seed: u64) -> Vec<(IpAddr, Host)> {
    let mut dice = Dice(seed | 1);
    let open = Host { open: [jiebei::net::Port::tcp(22)].into(), ..host() };
    let mut hosts = Vec::new();
    for low in 0..512u32 {
        let kind = match dice.below(4) {
            0 => open.clone(),
            1 => host(),
            _ => continue,
        };
        hosts.push((IpAddr::from((0x0a1e_0000u32 | low).to_be_bytes()), kind));
    }
    hosts
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_second_exceeds_the_ceilings_whatever_the_weather(
        weather in weather(),
        name in prop_oneof![Just("icmp"), Just("tcp"), Just("udp")],
        packets_per_second in prop_oneof![20u32..200, 200u32..3000],
        per_target in 2u32..12,
        ring in proptest::option::of((8usize..300, 10u64..900)),
        mut troubles in proptest::collection::vec(0u64..3000, 0..6),
        seed: u64,
    ) {
        let ceilings = Ceilings { packets_per_second, per_target, ..CEILINGS };
        let mut bench = Bench::on_link("10.20.1.0/24", hosts(seed), weather, seed, ceilings, |_| {});
        bench.network().boxes.ring = ring.map(|(frames, each)| Ring { frames, each: Duration::from_micros(each) });
        troubles.sort_unstable_by(|a, b| b.cmp(a));
        bench.sim.troubles = troubles.into_iter().map(ms).collect();
        let size = if packets_per_second < 200 { 25 } else { 23 };
        let outcome = bench.run(name, addresses(&format!("10.30.0.0/{size}")), |pass| {
            pass.rounds = 2;
            pass.questions = match name {
                "tcp" => vec![22, 80],
                "udp" => vec![53],
                _ => vec![0],
            };
        });
        prop_assert!(outcome.sent > 0);
        // A place is held for one reset, for 0.19 s.
        let once = weather.doubled == 0.0 && ring.is_none() && weather.narrow.is_none();
        if name != "tcp" || once && weather.delay + weather.jitter < ms(150) {
            bench.check_ceilings();
        } else {
            bench.check_own_ceilings(0.1);
        }
    }

    /// A tarpit's resets come when nobody holds a place for them any more.
    #[test]
    fn tarpits_and_proxies_make_no_second_exceed_the_ceilings(tarpit: bool, seed: u64, size in 22u8..26) {
        let ceilings = Ceilings { packets_per_second: 500, ..CEILINGS };
        let mut bench = Bench::on_link("10.20.1.0/24", vec![], FAIR, seed, ceilings, |_| {});
        let range = format!("10.30.0.0/{size}");
        let boxed = vec![prefix(&range)];
        if tarpit {
            bench.network().boxes.tarpits = boxed;
        } else {
            bench.network().boxes.proxies = boxed;
        }
        bench.run("tcp", addresses(&range), |pass| {
            pass.questions = vec![22, 80, 443];
            pass.rounds = 2;
        });
        if tarpit {
            // What is not owed is not counted: two resets for each SYN, and more for the repeated.
            bench.check_own_ceilings(1.0);
        } else {
            bench.check_ceilings();
        }
    }

    /// From a trouble to the next look no more goes than half of what went before.
    #[test]
    fn after_trouble_half_goes_at_most(
        mut troubles in proptest::collection::vec(200u64..4000, 1..5),
        packets_per_second in 300u32..5000,
        seed: u64,
    ) {
        let ceilings = Ceilings { packets_per_second, ..CEILINGS };
        let mut bench = Bench::on_link("10.20.1.0/24", hosts(seed), FAIR, seed, ceilings, |_| {});
        troubles.sort_unstable_by(|a, b| b.cmp(a));
        bench.sim.troubles = troubles.into_iter().map(ms).collect();
        let size = if packets_per_second < 1500 { 21 } else { 19 };
        bench.run("icmp", addresses(&format!("10.30.0.0/{size}")), |_| {});
        let sent: Vec<Duration> = bench.wire().into_iter().map(|(at, _)| at).collect();
        let between = |from: Duration, until: Duration| {
            sent.partition_point(|at| *at < until) - sent.partition_point(|at| *at < from)
        };
        let mut cut: Option<Duration> = None;
        for &at in &bench.sim.told {
            if cut.is_some_and(|cut| at - cut < ms(200)) || at > *sent.last().unwrap() {
                continue;
            }
            cut = Some(at);
            // As the throttle measures: over 50 ms and more.
            let windows = (0..100u64).map(|step| at.saturating_sub(ms(150)) + ms(step));
            let most = windows.map(|from| between(from, from + ms(50))).max().unwrap();
            let limit = (most as f64 * 20.0 / 2.0).max(50.0);
            let went = between(at, at + ms(200)) as f64;
            // A burst of 2 ms, one frame, and a look at the control group.
            prop_assert!(went <= limit * 0.202 + 2.0 + 8.0, "{} of {}", went, limit);
        }
    }
}

/// Where the receiving side cannot follow, the rate gives way and not the answers.
#[test]
fn a_ring_that_overflows_slows_the_sweep_down_until_it_does_not() {
    let everybody: Vec<_> = (0..4096u32)
        .map(|low| (IpAddr::from((0x0a1e_0000u32 | low).to_be_bytes()), host()))
        .collect();
    let mut bench = Bench::on_link("10.20.1.0/24", everybody, FAIR, 4, CEILINGS, |_| {});
    // A thousand answers a second can be taken, of five thousand that come.
    bench.network().boxes.ring = Some(Ring { frames: 256, each: ms(1) });
    let outcome = bench.run("icmp", addresses("10.30.0.0/20"), |pass| pass.rounds = 3);
    let dropped = bench.network().dropped_in_all;
    assert_eq!(outcome.answered, 4096, "{dropped} dropped");
    assert!(dropped < 500, "{dropped}");
    assert!(bench.care.throttle.slowed().values().any(|slowed| slowed.lowest < 3000));
    bench.finish();
}
