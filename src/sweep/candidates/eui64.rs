//! EUI-64 twins of stations: heard on the link, registered for the segment, told by its router, or shown by another address.
//! RFC 4291 appendix A.

use super::{CandidateSource, Place};

pub(super) struct Eui64;

impl CandidateSource for Eui64 {
    fn name(&self) -> &'static str {
        "eui64"
    }

    /// A link with more stations than that is hardly one. A guess.
    fn most(&self) -> usize {
        1024
    }

    fn propose<'a>(&self, place: &'a Place<'a>) -> Box<dyn Iterator<Item = u128> + 'a> {
        place.everywhere(place.macs.iter().map(|mac| mac.interface_id()))
    }
}
