//! What is fuzzed, and what must hold for every input.
//!
//! A target reads octets that somebody else wrote, by the way they take in a run. Each dissector and each reader of streams is
//! one by standing in its list (`dissect::ALL`, `streams::reader::ALL`). Shared by the fuzzer (`../main.rs`) and by
//! `tests/hostile.rs`, which runs every input of the corpus and every input that ever failed through its target.

mod check;
mod containers;
mod counted;
mod dissectors;
pub mod formats;
mod others;
pub mod samples;
mod streams;

pub use check::{Thoroughness, check, draw};

use jiebei::observe::{Fact, Source};
use samples::Samples;

/// The longest input of most targets: a frame of Ethernet, with room for what mutation adds.
const LONGEST: usize = 2048;

/// What an input made of itself.
#[derive(Debug, Default, PartialEq)]
pub struct Outcome {
    pub facts: Vec<(Source, Fact)>,
    /// Everything else that was read, as a number.
    pub digest: u64,
    /// What was there to be read, where it is more than the input: a compressed file unfolds.
    pub octets: usize,
}

type Read = Box<dyn Fn(&[u8]) -> Outcome>;
type Seeds = Box<dyn Fn(&Samples) -> Vec<Vec<u8>>>;

pub struct Target {
    pub name: String,
    /// The most octets of an input.
    pub longest: usize,
    pub read: Read,
    /// Whether the same input gives the same again: not where something is remembered from one to the next.
    pub repeats: bool,
    /// Octets that it may hold whatever the input: tables, buffers of readers.
    pub beside: usize,
    /// Inputs to begin with.
    pub seeds: Seeds,
}

impl Target {
    fn new(
        name: &str,
        read: impl Fn(&[u8]) -> Outcome + 'static,
        seeds: impl Fn(&Samples) -> Vec<Vec<u8>> + 'static,
    ) -> Target {
        let (read, seeds) = (Box::new(read), Box::new(seeds));
        Target {
            name: name.to_owned(),
            longest: LONGEST,
            read,
            repeats: true,
            beside: 1 << 20,
            seeds,
        }
    }

    fn longest(self, longest: usize) -> Target {
        Target { longest, ..self }
    }
}

/// Every target. Dissectors first, in their order.
pub fn all() -> Vec<Target> {
    let mut targets = dissectors::targets();
    targets.extend(streams::targets());
    targets.extend(formats::targets());
    targets.extend(containers::targets());
    targets.extend(others::targets());
    targets
}
