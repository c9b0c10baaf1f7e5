//! Addresses whose solicited-node group a station joined: the group gives the low 24 bits away, and a host joins it for each
//! address, drawn ones too, before it uses one. RFC 4291 §2.7.1, RFC 4862 §5.4.2.
//!
//! The other 40 bits of the interface identifier are those of what the same station has elsewhere, of its MAC, of what is
//! known in the prefix, none at all, or the first octet of an IPv4 address.

use std::collections::BTreeSet;

use super::{CandidateSource, OnLink, Place, interface_id};

const LOW: u64 = 0xff_ffff;

pub(super) struct SolicitedNode;

impl CandidateSource for SolicitedNode {
    fn name(&self) -> &'static str {
        "solicited-node"
    }

    fn most(&self) -> usize {
        512
    }

    fn propose<'a>(&self, place: &'a Place<'a>) -> Box<dyn Iterator<Item = u128> + 'a> {
        if place.on_link == OnLink::Beyond {
            return Box::new(std::iter::empty());
        }
        let known = &place.seeds.ids;
        // The rest of identifiers that are known here, without the drawn: of those nobody else has the rest.
        let rests: BTreeSet<u64> = place
            .seen
            .iter()
            .map(|number| interface_id(*number))
            .filter(|id| !super::looks_drawn(*id))
            .map(|id| id & !LOW)
            .take(16)
            .collect();
        let nets: BTreeSet<u64> = place
            .ipv4
            .iter()
            .take(1024)
            .map(|ip| u64::from(ip.octets()[0]) << 24)
            .take(16)
            .collect();
        let mut ids = Vec::new();
        for &(mac, low) in &place.seeds.joined {
            let low = u64::from(low);
            ids.extend(known.get(&low).into_iter().flatten().copied());
            ids.push(mac.interface_id() & !LOW | low);
            ids.push(low);
            ids.extend(rests.iter().map(|rest| rest | low));
            ids.extend(nets.iter().map(|net| net | low));
        }
        place.everywhere(ids.into_iter())
    }
}
