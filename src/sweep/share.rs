//! The part of a scope that one of several sweeps asks.
//!
//! A scope is cut into blocks, /24s and /64s or larger ones where there would be too many; which sweep a
//! block belongs to is a keyed hash of its first address. So the parts of one scope, one seed and one number of
//! sweeps are disjoint and make up the whole, whatever each of the sweeps finds on its way; and a device's
//! ports are asked by the sweep that found its address. The fence keeps the whole scope: gateways and
//! neighbours on the way may lie in another's part.

use std::net::IpAddr;

use crate::net::{AddressSet, Family, Prefix};
use crate::observe::VantageId;
use crate::scan::token::{Identity, Keys};
use crate::scan::{Shard, SweepKey};

/// Which part, and the text that all the sweeps agree on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Part {
    pub shard: Shard,
    pub seed: String,
}

/// Blocks that a prefix is cut into at most.
const MOST_BITS: u8 = 16;

impl Part {
    /// What of the scope is this part's.
    pub fn of(&self, scope: &AddressSet) -> AddressSet {
        let keys = Keys::of(&SweepKey::of_text(&self.seed));
        let blocks = scope.prefixes().into_iter().flat_map(blocks);
        blocks.filter(|block| self.has(&keys, *block)).collect()
    }

    fn has(&self, keys: &Keys, block: Prefix) -> bool {
        let identity = Identity {
            probe: u8::MAX,
            vantage: VantageId(u16::from(block.length())),
            target: block.first(),
            question: 0,
            extra: 0,
        };
        keys.token(&identity) % u64::from(self.shard.count()) == u64::from(self.shard.index())
    }
}

fn blocks(prefix: Prefix) -> impl Iterator<Item = Prefix> {
    let usual = match prefix.family() {
        Family::Ipv4 => 24,
        Family::Ipv6 => 64,
    };
    let length = usual.min(prefix.length().saturating_add(MOST_BITS)).max(prefix.length());
    let family = prefix.family();
    let step = 1u128.checked_shl(u32::from(family.bits() - length)).unwrap_or(0);
    let count = 1u128 << (length - prefix.length());
    (0..count).map(move |number| {
        let first: IpAddr = family.address(prefix.first_number() + number * step);
        Prefix::of(first, length)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scope() -> impl Strategy<Value = AddressSet> {
        let four = (0u32..64, 8u8..=32).prop_map(|(middle, length)| {
            Prefix::of(IpAddr::from([10, middle as u8, 0, 0]), length)
        });
        let six = (0u16..64, 32u8..=128).prop_map(|(middle, length)| {
            Prefix::of(IpAddr::from([0x2001, 0xdb8, middle, 0, 0, 0, 0, 0]), length)
        });
        proptest::collection::vec(prop_oneof![four, six], 1..6).prop_map(AddressSet::of)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn the_parts_are_disjoint_and_make_up_the_whole(scope in scope(), count in 1u32..5) {
            let mut all = AddressSet::default();
            for index in 0..count {
                let shard = Shard::new(index, count).unwrap();
                let part = Part { shard, seed: "2026-11".to_owned() }.of(&scope);
                prop_assert!(part.and(&all).is_empty());
                all = all.or(&part);
            }
            prop_assert_eq!(all, scope);
        }
    }

    #[test]
    fn the_parts_are_of_about_one_size() {
        let scope = AddressSet::of(["10.0.0.0/12".parse().unwrap()]);
        for index in 0..4 {
            let part = Part { shard: Shard::new(index, 4).unwrap(), seed: "a".to_owned() };
            let share = part.of(&scope).count() as f64 / scope.count() as f64;
            assert!((0.22..0.28).contains(&share), "{share}");
        }
    }
}
