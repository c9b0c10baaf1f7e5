//! Addresses that a router has in its neighbour caches and address tables.

use super::{CandidateSource, MOST, Place, Standing};

pub(super) struct Told;

impl CandidateSource for Told {
    fn name(&self) -> &'static str {
        "snmp"
    }

    fn standing(&self) -> Standing {
        Standing::Named
    }

    fn most(&self) -> usize {
        MOST
    }

    fn propose<'a>(&self, place: &'a Place<'a>) -> Box<dyn Iterator<Item = u128> + 'a> {
        Box::new(super::seeds::range(&place.seeds.snmp, place.prefix))
    }
}
