//! Low interface identifiers, `::1` to `::ff`: what people number by hand. RFC 7707 §4.1.3.

use super::{CandidateSource, Place};

pub(super) struct LowByte;

impl CandidateSource for LowByte {
    fn name(&self) -> &'static str {
        "low-byte"
    }

    /// Two subnets of a shorter prefix in full, or the lowest numbers of more.
    fn most(&self) -> usize {
        512
    }

    fn propose<'a>(&self, place: &'a Place<'a>) -> Box<dyn Iterator<Item = u128> + 'a> {
        place.everywhere(1..=0xff)
    }
}
