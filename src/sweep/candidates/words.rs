//! Addresses that spell something in hexadecimal digits. RFC 7707 §4.1.3.

use super::{CandidateSource, Place};

/// Words of one group, and of two.
const WORDS: &[u64] = &[
    0xcafe,
    0xbeef,
    0xdead,
    0xface,
    0xbabe,
    0xfeed,
    0xc0de,
    0xf00d,
    0xabba,
    0xace,
    0xbad,
    0xb00b,
    0xc0de,
    0xd00d,
    0xdada,
    0xdeaf,
    0xfade,
    0xdb,
    0xadd,
    0xfee,
    0xbee,
    0xc001,
    0x1ee7,
    0x1337,
    0x666,
    0x777,
    0x888,
    0x8888,
    0x6666,
    0x1111,
    0x1234,
    0xaaaa,
    0xffff,
    0xabcd,
    0xdead_beef,
    0xcafe_babe,
    0xdead_cafe,
    0xcafe_beef,
    0xcafe_cafe,
    0xface_b00c,
    0xface_b00c_0000_25de,
    0xbad_cafe,
    0xbad_c0de,
    0xfeed_face,
    0xc0ff_ee,
    0xdec0_de,
    0xfee_d,
    0x1234_5678,
    0xdead_beef_cafe_babe,
];
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
        let short = WORDS.iter().filter(|word| **word <= 0xffff);
        let counted = short.flat_map(|word| (1..=COUNTED).map(move |count| word << 16 | count));
        place.everywhere(WORDS.iter().copied().chain(counted))
    }
}
