//! Addresses that some table of the registry names.

use super::{CandidateSource, MOST, Place, Standing};

pub(super) struct Registered;

impl CandidateSource for Registered {
    fn name(&self) -> &'static str {
        "registry"
    }

    fn standing(&self) -> Standing {
        Standing::Named
    }

    fn most(&self) -> usize {
        MOST
    }

    fn propose<'a>(&self, place: &'a Place<'a>) -> Box<dyn Iterator<Item = u128> + 'a> {
        Box::new(super::seeds::range(&place.seeds.registered, place.prefix))
    }
}
