//! What must hold for every input of every target: no panic, and none of what is checked here.

use std::fs;
use std::time::{Duration, Instant};

use jiebei::observe::{Fact, Foreign};
use serde_json::Value;

use super::counted::counted;
use super::{Outcome, Target};

/// How much is checked. What costs more than the reading itself is checked for some inputs, chosen by their octets, so that the same
/// input is always treated alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thoroughness {
    Some,
    All,
}

/// Of inputs, where only some are checked to the end.
const ONE_OF: u64 = 16;
/// Octets held at a time for each octet of input, beside what the target has anyway.
const OF_EACH_OCTET: usize = 64;
/// All that was asked for, also what was given back, beside the most that may be held.
const OF_WHAT_IS_HELD: usize = 4;
/// Facts of one frame: one for each of its octets, or as many as a short frame has records for. No dissector comes near.
const FEW_FACTS: usize = 64;
/// Oddities of one frame, whatever it is: each dissector's reading ends with its first, and there are eight layers.
const MOST_ODDITIES: usize = 64;
/// A frame of Ethernet takes some microseconds; anything over this is a loop. A guess, far above what a busy machine takes away.
const LONGEST: Duration =
    if cfg!(panic = "abort") { Duration::from_millis(50) } else { Duration::from_secs(1) };

/// Reads an input and panics where something does not hold.
pub fn check(target: &Target, input: &[u8], thoroughness: Thoroughness) {
    let began = Instant::now();
    let (outcome, allocated) = counted(|| (target.read)(input));
    let took = began.elapsed();
    assert!(took <= LONGEST || fastest(target, input) <= LONGEST, "{}: {took:?}", target.name);
    let octets = input.len().max(outcome.octets);
    let bound = octets * OF_EACH_OCTET + target.beside;
    assert!(allocated.most <= bound, "{}: held {allocated:?} for {octets} octets", target.name);
    let churn = bound * OF_WHAT_IS_HELD;
    assert!(allocated.taken <= churn, "{}: took {allocated:?} for {octets} octets", target.name);
    facts(target, &outcome, octets);
    if thoroughness == Thoroughness::All || draw(input).is_multiple_of(ONE_OF) {
        for (_, fact) in &outcome.facts {
            fact_is_sound(target, fact, octets);
        }
        if target.repeats {
            assert_eq!(outcome, (target.read)(input), "{}: not the same again", target.name);
        }
    }
}

/// The best of three, in time of the processor: other processes may have had the machine.
fn fastest(target: &Target, input: &[u8]) -> Duration {
    let run = |_| {
        let began = processor();
        (target.read)(input);
        processor().saturating_sub(began)
    };
    (0..3).map(run).min().unwrap_or_default()
}

/// For how long this thread ran, to a tick of the kernel.
fn processor() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
}

fn facts(target: &Target, outcome: &Outcome, octets: usize) {
    let number = outcome.facts.len();
    assert!(number <= octets.max(FEW_FACTS), "{}: {number} facts", target.name);
    let oddities = outcome.facts.iter().filter(|(_, fact)| is_oddity(fact)).count();
    assert!(oddities <= MOST_ODDITIES, "{}: {oddities} oddities", target.name);
}

fn is_oddity(fact: &Fact) -> bool {
    match fact {
        Fact::Oddity { .. } => true,
        Fact::Encapsulated { inner, .. } => is_oddity(inner),
        _ => false,
    }
}

/// A fact is written and read back as it is, its texts are bounded and can be shown, its lists are no longer than the frame.
fn fact_is_sound(target: &Target, fact: &Fact, octets: usize) {
    let text = serde_json::to_string(fact).unwrap();
    let bound = octets * OF_EACH_OCTET + (1 << 16);
    assert!(text.len() <= bound, "{}: {} octets of JSON: {fact:?}", target.name, text.len());
    let back: Fact = serde_json::from_str(&text).unwrap_or_else(|fault| panic!("{fault}: {text}"));
    assert_eq!(fact, &back, "{}", target.name);
    sound(target, &serde_json::from_str(&text).unwrap(), octets);
}

fn sound(target: &Target, value: &Value, octets: usize) {
    match value {
        Value::String(text) => {
            // A name of 512 characters may become longer where a protocol's word stands before it.
            assert!(text.chars().count() <= Foreign::MOST + 64, "{}: {text:?}", target.name);
            let shown = Foreign::new(text).terminal();
            assert!(!shown.chars().any(char::is_control), "{}: {shown:?}", target.name);
        }
        Value::Array(values) => {
            assert!(values.len() <= octets, "{}: a list of {}", target.name, values.len());
            values.iter().for_each(|value| sound(target, value, octets));
        }
        Value::Object(fields) => fields.values().for_each(|value| sound(target, value, octets)),
        _ => {}
    }
}

/// A number by the octets, the same in every run (FNV-1a).
pub fn draw(octets: &[u8]) -> u64 {
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(*octet)).wrapping_mul(0x0000_0100_0000_01b3)
    }) >> 20
}
