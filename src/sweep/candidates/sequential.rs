//! Numbers in a row: leases of a DHCPv6 server, machines that one script numbered.
//!
//! From what is seen in the prefix: what lies in narrow gaps, the next numbers on both sides, and where three stand at one
//! distance, more at that distance. Where nothing is seen, the first of the pools that manuals begin with.

use super::{CandidateSource, Place, interface_id, is_numbered};

/// A gap so wide between two that were seen is filled.
const GAP: u128 = 256;
/// On both sides of each. With two rounds of learning a run is followed for three times as far.
const BESIDE: u128 = 16;
/// Distances that count as a step, and how many of them on each side.
const STEPS: std::ops::RangeInclusive<u128> = 2..=0x1_0000;
const MORE_STEPS: u128 = 8;
/// Where pools begin in the manuals of dnsmasq, ISC dhcpd, Kea, and of routers.
const POOLS: &[u64] =
    &[0x100, 0x1000, 0x200, 0x2000, 0x1_0000, 0xf000, 0x500, 0x1_0001, 0x1000_0000, 0x1_0000_0000];
const OF_EACH_POOL: u64 = 4;

pub(super) struct Sequential;

impl CandidateSource for Sequential {
    fn name(&self) -> &'static str {
        "sequential"
    }

    fn most(&self) -> usize {
        768
    }

    fn propose<'a>(&self, place: &'a Place<'a>) -> Box<dyn Iterator<Item = u128> + 'a> {
        let seen: Vec<u128> = place
            .seen
            .iter()
            .copied()
            .filter(|number| is_numbered(interface_id(*number)))
            .collect();
        let mut numbers = Vec::new();
        for pair in seen.windows(2) {
            if let [low, high] = pair
                && high - low <= GAP
            {
                numbers.extend(low + 1..*high);
            }
        }
        for row in seen.windows(3) {
            if let [first, second, third] = row
                && second - first == third - second
                && STEPS.contains(&(second - first))
            {
                let step = second - first;
                for more in (1..=MORE_STEPS).map(|more| more * step) {
                    numbers.extend(third.checked_add(more));
                    numbers.extend(first.checked_sub(more));
                }
            }
        }
        for step in 1..=BESIDE {
            for number in &seen {
                numbers.extend(number.checked_add(step));
                numbers.extend(number.checked_sub(step));
            }
        }
        let pools = POOLS.iter().flat_map(|start| (0..OF_EACH_POOL).map(move |step| start + step));
        Box::new(numbers.into_iter().chain(place.everywhere(pools)))
    }
}
