//! Addresses heard on the wire: used, advertised, resolved, asked for by a DHCP client, or tried by duplicate
//! address detection, which a host does before it ever uses one.

use super::{CandidateSource, MOST, Place, Standing};

pub(super) struct Heard;

impl CandidateSource for Heard {
    fn name(&self) -> &'static str {
        "heard"
    }

    fn standing(&self) -> Standing {
        Standing::Named
    }

    fn most(&self) -> usize {
        MOST
    }

    fn propose<'a>(&self, place: &'a Place<'a>) -> Box<dyn Iterator<Item = u128> + 'a> {
        Box::new(super::seeds::range(&place.seeds.heard, place.prefix))
    }
}
