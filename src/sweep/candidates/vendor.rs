//! EUI-64 twins of stations that nobody heard: the same vendor's, with numbers next to those that were. What was bought in
//! one lot is numbered in a row.

use super::{CandidateSource, Place};
use crate::net::Mac;

/// On either side of each station. A guess: a carton holds ten or twenty.
const BESIDE: u32 = 16;
/// The part of a MAC that the vendor numbers.
const NUMBERED: u32 = 0xff_ffff;

pub(super) struct Vendor;

impl CandidateSource for Vendor {
    fn name(&self) -> &'static str {
        "vendor"
    }

    fn most(&self) -> usize {
        512
    }

    fn propose<'a>(&self, place: &'a Place<'a>) -> Box<dyn Iterator<Item = u128> + 'a> {
        let ids = (1..=BESIDE).flat_map(move |step| {
            place.macs.iter().flat_map(move |mac| {
                let [a, b, c, d, e, f] = mac.0;
                let number = u32::from_be_bytes([0, d, e, f]);
                let beside = [number.checked_add(step), number.checked_sub(step)];
                beside.into_iter().flatten().filter(|number| *number <= NUMBERED).map(
                    move |number| {
                        let [_, d, e, f] = number.to_be_bytes();
                        Mac([a, b, c, d, e, f]).interface_id()
                    },
                )
            })
        });
        place.everywhere(ids)
    }
}
