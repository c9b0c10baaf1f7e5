//! Ghosts: addresses that nobody should have. What answers for them answers for anything.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::net::{AddressSet, Prefix};

/// How many ghosts a prefix is asked for.
pub const GHOSTS: usize = 3;

/// Addresses of a prefix that nobody should have: inside what may be asked, in no table of the
/// registry, and drawn by the sweep's own key so that nobody can expect them. What answers for all
/// of them answers for anything. Fewer than three in a prefix with hardly any room, and then silence
/// about ghosts proves nothing.
pub fn ghosts(
    prefix: Prefix,
    allowed: &AddressSet,
    known: &BTreeSet<IpAddr>,
    seed: u64,
) -> Vec<IpAddr> {
    let here = AddressSet::of([prefix]).and(allowed);
    let count = here.count();
    // In a small prefix a third of the addresses may well be in use.
    if count < 16 {
        return Vec::new();
    }
    let mut ghosts = Vec::new();
    let mut state = seed ^ prefix.first_number() as u64 ^ u64::from(prefix.length());
    for _ in 0..64 {
        // SplitMix64: all that is asked of it is to be spread.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        // In IPv6 the whole interface identifier is drawn; a product of two halves fills 128 bits.
        let wide = u128::from(mixed) << 64 | u128::from(mixed.rotate_left(29) ^ state);
        let Some(address) = here.nth(wide % count) else { continue };
        if !known.contains(&address) && !ghosts.contains(&address) {
            ghosts.push(address);
        }
        if ghosts.len() == GHOSTS {
            break;
        }
    }
    ghosts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ghosts_are_nobodys_and_inside() {
        let prefix: Prefix = "10.20.1.0/24".parse().unwrap();
        let allowed = AddressSet::of(["10.20.1.128/25".parse().unwrap()]);
        let known = (128..=250).map(|last| IpAddr::from([10, 20, 1, last])).collect();
        let ghosts = ghosts(prefix, &allowed, &known, 7);
        assert_eq!(ghosts.len(), 3);
        assert!(ghosts.iter().all(|ghost| allowed.contains(*ghost) && !known.contains(ghost)));
        let tiny: Prefix = "10.20.1.0/29".parse().unwrap();
        assert!(super::ghosts(tiny, &AddressSet::of([tiny]), &known, 7).is_empty());
    }
}
