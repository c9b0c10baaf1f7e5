//! A pass that is stopped or killed, and goes on.

use std::collections::BTreeSet;
use std::net::IpAddr;

use jiebei::scan::{Care, Targets};
use jiebei::scope::Ceilings;
use jiebei::scope::frame::{Body, Frame};
use proptest::prelude::*;

use crate::bench::*;
use crate::network::*;

#[test]
fn a_stopped_pass_goes_on_where_it_was_and_repeats_nothing_answered() {
    let hosts = many(120);
    let whole = || addresses("10.20.1.0/24");
    let mut bench = Bench::new(listed(&hosts), FAIR, 8);
    bench.log.stop_after = Some(2);
    let first = bench.run("arp", whole(), |pass| pass.rounds = 2);
    let checkpoint = first.interrupted.expect("it was stopped");
    assert!(first.sent > 0 && first.sent < 250, "{}", first.sent);
    let answered: Vec<_> = bench.log.answers().into_iter().map(|(ip, ..)| (ip, 0)).collect();
    assert_eq!(answered.len() as u64, first.answered);

    bench.log.stop_after = None;
    // Another process goes on: it knows nobody to ask again.
    bench.care = Care::new(8);
    let before = bench.wire().len();
    let second =
        bench.run_from("arp", whole(), |pass| pass.rounds = 2, Some(checkpoint), &answered);
    assert_eq!(second.interrupted, None);
    assert_eq!(first.answered + second.answered, 120);
    assert_eq!(first.asked + second.asked, 253);
    for (_, frame) in &bench.wire()[before..] {
        let Body::Arp(arp) = Frame::read(frame).unwrap().body else { panic!() };
        assert!(!answered.contains(&(arp.target_ip.into(), 0)), "{}", arp.target_ip);
    }
    assert_eq!(bench.finish().answers().len(), 120);
}

/// Every third address of a /22 behind the router.
fn every_third() -> Vec<(IpAddr, Host)> {
    (0..1024u32)
        .step_by(3)
        .map(|low| (IpAddr::from((0x0a1e_0000u32 | low).to_be_bytes()), host()))
        .collect()
}

fn whole() -> Targets {
    addresses("10.30.0.0/22")
}

const SLOW: Ceilings = Ceilings { packets_per_second: 400, ..CEILINGS };

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_pass_stopped_at_any_batch_and_again_finds_the_same(
        first in 1u64..400,
        second in 1u64..400,
        rounds in 1u8..3,
        seed: u8,
    ) {
        let weather = Weather { delay: ms(20), jitter: ms(10), ..FAIR };
        let hosts = every_third();
        let mut bench = Bench::on_link("10.20.1.0/24", hosts.clone(), weather, seed.into(), CEILINGS, |_| {});
        let mut checkpoint = None;
        for stop in [Some(first), Some(second), None] {
            bench.log.stop_after = stop.map(|after| bench.log.batches + after);
            bench.care = Care::new(seed.into());
            let answered = bench.log.answered.clone();
            let before = bench.wire().len();
            let outcome = bench.run_from("icmp", whole(), |pass| pass.rounds = rounds, checkpoint, &answered);
            // The control group is asked again by design; it is drawn from who answers in this run.
            let known: BTreeSet<_> = answered.iter().map(|(ip, _)| *ip).collect();
            for (_, frame) in &bench.wire()[before..] {
                let target = target_of(frame).unwrap();
                prop_assert!(!known.contains(&target), "{} was answered", target);
            }
            checkpoint = outcome.interrupted;
            if checkpoint.is_none() {
                break;
            }
        }
        prop_assert_eq!(checkpoint, None);
        let there: BTreeSet<IpAddr> = hosts.into_iter().map(|(ip, _)| ip).collect();
        prop_assert_eq!(bench.log.answered.len(), there.len());
        prop_assert_eq!(bench.finish().found(), there);
    }

    /// Killed: nobody waits for what is under way, and the last checkpoint that was told is what there is.
    #[test]
    fn a_pass_killed_behind_any_checkpoint_finds_the_same(at: prop::sample::Index, seed: u8) {
        let weather = Weather { delay: ms(150), jitter: ms(100), ..FAIR };
        let hosts = every_third();
        let run = || Bench::on_link("10.20.1.0/24", hosts.clone(), weather, seed.into(), SLOW, |_| {});
        let mut killed = run();
        killed.run("icmp", whole(), |_| {});
        prop_assert!(killed.log.checkpoints.len() >= 2);
        let (checkpoint, count) = *at.get(&killed.log.checkpoints);
        let answered = &killed.log.answered[..count];
        let mut bench = run();
        bench.run_from("icmp", whole(), |_| {}, Some(checkpoint), answered);
        let mut found: BTreeSet<IpAddr> = answered.iter().map(|(ip, _)| *ip).collect();
        found.extend(bench.log.answered.iter().map(|(ip, _)| *ip));
        prop_assert_eq!(found.len(), hosts.len());
    }
}
