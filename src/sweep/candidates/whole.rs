//! Every address of a prefix so small that it can be asked in full: a /120 and longer, point-to-point links above all.

use super::{CandidateSource, Place};

const MOST: usize = 256;

pub(super) struct Whole;

impl CandidateSource for Whole {
    fn name(&self) -> &'static str {
        "whole"
    }

    fn most(&self) -> usize {
        MOST
    }

    fn propose<'a>(&self, place: &'a Place<'a>) -> Box<dyn Iterator<Item = u128> + 'a> {
        let prefix = place.prefix;
        if prefix.size() > MOST as u128 {
            return Box::new(std::iter::empty());
        }
        Box::new(prefix.first_number()..=prefix.last_number())
    }
}
