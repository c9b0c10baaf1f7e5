//! Addresses that a name server inside of the scope has a name for.

use super::{CandidateSource, MOST, Place, Standing};

pub(super) struct Named;

impl CandidateSource for Named {
    fn name(&self) -> &'static str {
        "dns"
    }

    fn standing(&self) -> Standing {
        Standing::Named
    }

    fn most(&self) -> usize {
        MOST
    }

    fn propose<'a>(&self, place: &'a Place<'a>) -> Box<dyn Iterator<Item = u128> + 'a> {
        Box::new(super::seeds::range(&place.seeds.dns, place.prefix))
    }
}
