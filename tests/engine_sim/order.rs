//! The order of a pass, through the whole engine: each question once, in shards too.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jiebei::net::AddressSet;
use jiebei::scan::{QuestionOrder, Recogniser, Shard, SweepKey, Targets};
use jiebei::scope::frame::{Body, Frame};
use proptest::prelude::*;

use crate::bench::*;
use crate::network::*;

#[test]
fn shards_ask_disjoint_parts_that_make_up_the_whole() {
    let hosts = many(100);
    let mut asked = BTreeSet::new();
    let mut frames = 0;
    for index in 0..3 {
        let mut bench = Bench::new(listed(&hosts), FAIR, 9);
        bench.run("tcp", addresses("10.20.1.0/24"), |pass| {
            pass.questions = vec![22, 80];
            pass.shard = jiebei::scan::Shard::new(index, 3).unwrap();
        });
        for (_, frame) in bench.wire() {
            let Body::Ip(packet) = Frame::read(&frame).unwrap().body else { panic!() };
            asked.insert((packet.destination, packet.ports().unwrap().1));
            frames += 1;
        }
    }
    assert_eq!((asked.len(), frames), (200, 200));
}

/// Behind the router, where nobody's MAC has to be known.
fn somewhere(family: Family, low: u16) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::from_bits(0x0a1e_0000 | u32::from(low)).into(),
        Family::V6 => Ipv6Addr::from_bits(0xfd30_0000 << 96 | u128::from(low)).into(),
    }
}

/// A set out of odd pieces, its exclusions, and questions.
fn a_pass() -> impl Strategy<Value = (AddressSet, AddressSet, Vec<u16>)> {
    let pieces = proptest::collection::vec((any::<u16>(), 0u8..7), 1..4);
    let without = proptest::collection::vec((any::<prop::sample::Index>(), 0u8..4), 0..4);
    let questions = proptest::collection::btree_set(1u16..1000, 1..7);
    (prop_oneof![Just(Family::V4), Just(Family::V6)], pieces, without, questions).prop_map(
        |(family, pieces, without, questions)| {
            let width = if family == Family::V4 { 32 } else { 128 };
            let piece = |low, bits| jiebei::net::Prefix::of(somewhere(family, low), width - bits);
            let whole: AddressSet = pieces.iter().map(|(low, bits)| piece(*low, *bits)).collect();
            let exclude = without
                .iter()
                .filter_map(|(index, bits)| {
                    let member = whole.nth(index.index(whole.count() as usize) as u128)?;
                    Some(jiebei::net::Prefix::of(member, width - bits))
                })
                .collect();
            (whole, exclude, questions.into_iter().collect())
        },
    )
}

fn members(set: &AddressSet) -> Vec<IpAddr> {
    (0..set.count()).filter_map(|place| set.nth(place)).collect()
}

fn times_asked(bench: &Bench) -> BTreeMap<(IpAddr, u16), u32> {
    let mut times = BTreeMap::new();
    for (_, frame) in bench.wire() {
        *times.entry(question_of(&frame).unwrap()).or_default() += 1;
    }
    times
}

fn expected(
    whole: &AddressSet,
    exclude: &AddressSet,
    questions: &[u16],
) -> BTreeSet<(IpAddr, u16)> {
    let asked = members(whole).into_iter().filter(|member| !exclude.contains(*member));
    asked.flat_map(|member| questions.iter().map(move |question| (member, *question))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_whole_pass_asks_each_question_once(
        (whole, exclude, questions) in a_pass(),
        seed: u8,
        staggered: bool,
    ) {
        let mut bench = Bench::on_link("10.20.1.0/24", vec![], FAIR, seed.into(), CEILINGS, |rules| {
            rules.exclude = exclude.clone();
        });
        let outcome = bench.run("tcp", Targets::Addresses(whole.clone()), |pass| {
            pass.questions = questions.clone();
            if !staggered {
                pass.question_order = QuestionOrder::AsGiven;
            }
        });
        let times = times_asked(&bench);
        prop_assert!(times.values().all(|times| *times == 1));
        let expected = expected(&whole, &exclude, &questions);
        prop_assert_eq!(outcome.sent, expected.len() as u64);
        prop_assert_eq!(times.into_keys().collect::<BTreeSet<_>>(), expected);
    }

    /// Machines with keys of their own, that agree on nothing but a seed.
    #[test]
    fn shards_by_a_seed_are_disjoint_and_make_up_the_whole(
        (whole, exclude, questions) in a_pass(),
        count in 1u32..6,
        probe_is_icmp: bool,
    ) {
        let mut asked = BTreeSet::new();
        let name = if probe_is_icmp { "icmp" } else { "tcp" };
        let questions = if probe_is_icmp { vec![0] } else { questions };
        for index in 0..count {
            let mut bench = Bench::on_link("10.20.1.0/24", vec![], FAIR, 7, CEILINGS, |rules| {
                rules.exclude = exclude.clone();
            });
            let own_key = SweepKey::from_bytes([index as u8 + 1; 32]);
            let vantage = bench.recogniser.vantage(V).unwrap().clone();
            bench.recogniser = Recogniser::new(own_key, PORTS, &[vantage]);
            bench.recogniser.order_by(&SweepKey::of_text("seed"));
            let name = if name == "icmp" && whole.nth(0).unwrap().is_ipv6() { "icmpv6" } else { name };
            bench.run(name, Targets::Addresses(whole.clone()), |pass| {
                pass.questions = questions.clone();
                pass.shard = Shard::new(index, count).unwrap();
            });
            for (_, frame) in bench.wire() {
                let Body::Ip(packet) = Frame::read(&frame).unwrap().body else { panic!() };
                let port = packet.ports().map_or(0, |(_, theirs)| theirs);
                let port = if probe_is_icmp { 0 } else { port };
                prop_assert!(asked.insert((packet.destination, port)), "asked by two");
            }
        }
        prop_assert_eq!(asked, expected(&whole, &exclude, &questions));
    }

    #[test]
    fn a_steered_pass_goes_by_each_neighbour_to_each_destination_once(
        neighbours in proptest::collection::btree_set(10u8..250, 1..20),
        destinations in proptest::collection::btree_set(any::<u16>(), 1..4),
        ladder: bool,
        shards in 1u32..4,
    ) {
        let mut times: BTreeMap<_, u32> = BTreeMap::new();
        for index in 0..shards {
            let mut bench = Bench::new(vec![], FAIR, 3);
            let guard = bench.sim.fence.guard();
            let mut steered = Vec::new();
            for last in &neighbours {
                let by = IpAddr::from([10, 20, 1, *last]);
                for low in &destinations {
                    steered.push(guard.admit_steered(by, mac_of(by), somewhere(Family::V4, *low), V).unwrap());
                }
            }
            let name = "forwarding";
            bench.run(name, Targets::Steered(steered), |pass| {
                pass.shard = Shard::new(index, shards).unwrap();
                if ladder {
                    pass.question_order = QuestionOrder::AsGiven;
                }
            });
            for (_, frame) in bench.wire() {
                let read = Frame::read(&frame).unwrap();
                let Body::Ip(packet) = read.body else { panic!() };
                let marks = packet.payload[4..8].to_vec();
                *times.entry((read.destination, packet.destination, packet.hop_limit, marks)).or_default() += 1;
            }
        }
        prop_assert!(times.values().all(|times| *times == 1));
        // Two hop limits, two rounds of each.
        prop_assert_eq!(times.len(), neighbours.len() * destinations.len() * 4);
    }
}
