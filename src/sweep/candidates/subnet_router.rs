//! The subnet-router anycast address: the prefix with an interface identifier of zero. RFC 4291 §2.6.1.
//!
//! Only routers answer it. One that answers from the anycast address shows that there is a router, and is no device of that
//! address. Linux answers from the address that it has on our side (measured; `anycast_src_echo_reply` is off), which says
//! nothing new: its address in the prefix is known by SNMP, a name or a habit.

use super::{CandidateSource, OnLink, Place};
use crate::observe::Proposed;

pub(super) struct SubnetRouter;

impl CandidateSource for SubnetRouter {
    fn name(&self) -> &'static str {
        Proposed::SUBNET_ROUTER
    }

    fn most(&self) -> usize {
        64
    }

    fn propose<'a>(&self, place: &'a Place<'a>) -> Box<dyn Iterator<Item = u128> + 'a> {
        // On a longer prefix zero is a host (RFC 6164); on the link routers are heard, and resolving would bind the address
        // to one of them.
        if place.prefix.length() > 64 || place.on_link == OnLink::Here {
            return Box::new(std::iter::empty());
        }
        place.everywhere(std::iter::once(0))
    }
}
