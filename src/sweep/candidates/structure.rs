//! Interface identifiers of other prefixes: who numbers one segment numbers the next by the same plan.
//!
//! The commonest first. Left out are those made from a MAC, which is one place's alone, and those that look drawn.

use super::{CandidateSource, Place};

pub(super) struct Structure;

impl CandidateSource for Structure {
    fn name(&self) -> &'static str {
        "structure"
    }

    fn most(&self) -> usize {
        256
    }

    fn propose<'a>(&self, place: &'a Place<'a>) -> Box<dyn Iterator<Item = u128> + 'a> {
        if place.prefix.length() > 64 {
            return Box::new(std::iter::empty());
        }
        place.everywhere(place.seeds.structure.iter().copied())
    }
}
