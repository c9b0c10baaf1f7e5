//! The dead man's switch: a network that falls silent stops the pass, which goes on when it is back.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use jiebei::scan::care::control::SILENCE;
use jiebei::scan::{Care, Targets};
use jiebei::scope::Ceilings;
use proptest::prelude::*;

use crate::bench::*;
use crate::network::*;

/// Every fourth address of 10.30.0.0/20.
fn hosts() -> Vec<(IpAddr, Host)> {
    (0..4096u32)
        .step_by(4)
        .map(|low| (IpAddr::from((0x0a1e_0000u32 | low).to_be_bytes()), host()))
        .collect()
}

fn targets() -> Targets {
    addresses("10.30.0.0/20")
}

/// Over five seconds, and then some.
const PACE: Ceilings = Ceilings { packets_per_second: 300, ..CEILINGS };
const WEATHER: Weather = Weather { delay: ms_const(40), jitter: ms_const(40), ..FAIR };
const FOR_EVER: Duration = Duration::from_secs(1 << 30);

const fn ms_const(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Runs until the network falls silent, then again when it is back. How long after the cut it stopped, and
/// whether everybody was found in the end.
fn cut_and_back(cut: Duration, probe: &str, rounds: u8, seed: u64) -> (Option<Duration>, usize) {
    let hosts = hosts();
    let mut bench = Bench::on_link("10.20.1.0/24", hosts.clone(), WEATHER, seed, PACE, |_| {});
    bench.network().boxes.silence = Some((cut, FOR_EVER));
    let change = |pass: &mut jiebei::scan::Pass<'_>| {
        pass.rounds = rounds;
        if probe == "tcp" {
            pass.questions = vec![22];
        }
    };
    let first = bench.run(probe, targets(), change);
    let stopped = first.silent.map(|silence| {
        let now = bench.network().now;
        assert!(silence.since <= cut + ms(100), "{silence:?}");
        now.saturating_sub(cut)
    });
    bench.network().boxes.silence = None;
    if let Some(checkpoint) = first.interrupted {
        bench.care = Care::new(seed);
        let answered = bench.log.answered.clone();
        let second = bench.run_from(probe, targets(), change, Some(checkpoint), &answered);
        assert_eq!(second.interrupted, None);
    }
    let found: BTreeSet<IpAddr> = bench.log.found();
    (stopped, hosts.len() - found.len())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_pass_stops_soon_after_the_network_fell_silent_and_goes_on_to_find_everybody(
        cut in 1500u64..6500,
        tcp: bool,
        seed in 1u64..1000,
    ) {
        let (stopped, missing) = cut_and_back(ms(cut), if tcp { "tcp" } else { "icmp" }, 1, seed);
        let stopped = stopped.expect("it stops");
        prop_assert!(stopped >= SILENCE - ms(1500) && stopped <= SILENCE + ms(4000), "{:?}", stopped);
        prop_assert_eq!(missing, 0);
    }
}

/// The last seconds of a pass are no time to fall silent unnoticed.
#[test]
fn a_network_that_falls_silent_just_before_the_end_is_told_too() {
    for cut in [11_000, 12_500, 13_000] {
        let (stopped, missing) = cut_and_back(ms(cut), "icmp", 1, 5);
        assert!(stopped.is_some(), "{cut}");
        assert_eq!(missing, 0, "{cut}");
    }
}

#[test]
fn a_network_that_pauses_for_three_seconds_stops_nothing() {
    let mut bench = Bench::on_link("10.20.1.0/24", hosts(), WEATHER, 9, PACE, |_| {});
    bench.network().boxes.silence = Some((ms(4000), ms(7000)));
    let outcome = bench.run("icmp", targets(), |pass| pass.rounds = 2);
    assert_eq!((outcome.silent, outcome.interrupted), (None, None));
    assert_eq!(bench.finish().found().len(), 1024);
}
