//! Routers that hop ladders, errors and forwarding tests showed, and what stands beside them: the other end of a /127
//! (RFC 6164), the next numbers up and down.

use super::{CandidateSource, Place, Standing, interface_id};

/// Beside each router. A guess.
const BESIDE: u128 = 2;

pub(super) struct Hops;

impl CandidateSource for Hops {
    fn name(&self) -> &'static str {
        "hops"
    }

    fn standing(&self) -> Standing {
        Standing::Named
    }

    fn most(&self) -> usize {
        256
    }

    fn propose<'a>(&self, place: &'a Place<'a>) -> Box<dyn Iterator<Item = u128> + 'a> {
        let hops = || super::seeds::range(&place.seeds.hops, place.prefix);
        let beside = hops().flat_map(|hop| {
            let steps =
                (1..=BESIDE).flat_map(move |step| [hop.checked_add(step), hop.checked_sub(step)]);
            std::iter::once(hop ^ 1).chain(steps.flatten())
        });
        // Zero is the routers' anycast address where a prefix is no longer than a /64.
        let is_host = |number: &u128| place.prefix.length() > 64 || interface_id(*number) != 0;
        Box::new(hops().chain(beside).filter(is_host))
    }
}
