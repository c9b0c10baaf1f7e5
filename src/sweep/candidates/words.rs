//! Addresses that spell something in hexadecimal digits. RFC 7707 §4.1.3.

use super::{CandidateSource, Place};

/// As an address spells them. A guess, from what people write on the net.
const WORDS: &str = "cafe beef dead face babe feed c0de f00d abba ace bad b00b d00d dada deaf fade db add fee bee \
    c001 1ee7 1337 666 777 888 8888 6666 1111 1234 aaaa ffff abcd dead:beef cafe:babe dead:cafe cafe:beef cafe:cafe \
    face:b00c face:b00c:0:25de bad:cafe bad:c0de feed:face c0:ffee de:c0de 1234:5678 dead:beef:cafe:babe";
/// A word is counted in the group after it, this far: `::cafe:1`, `::cafe:2`.
const COUNTED: u64 = 2;

pub(super) struct Wordy;

impl CandidateSource for Wordy {
    fn name(&self) -> &'static str {
        "words"
    }

    fn most(&self) -> usize {
        256
    }

    fn propose<'a>(&self, place: &'a Place<'a>) -> Box<dyn Iterator<Item = u128> + 'a> {
        let words = || WORDS.split_whitespace().map(id);
        let short = words().filter(|word| *word <= 0xffff);
        let counted = short.flat_map(|word| (1..=COUNTED).map(move |count| word << 16 | count));
        place.everywhere(words().chain(counted))
    }
}

/// Groups of hexadecimal digits as an interface identifier.
fn id(word: &str) -> u64 {
    word.split(':')
        .fold(0, |id, group| id << 16 | u64::from_str_radix(group, 16).unwrap_or_default())
}
