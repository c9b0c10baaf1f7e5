//! Which IPv6 addresses are asked, since a /64 cannot be swept; and which addresses are ghosts.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::net::{AddressSet, Mac, Prefix};

/// The most candidates of one prefix.
const MOST: usize = 4096;
/// Low interface identifiers, `::1` to `::ff`: what people number by hand.
const LOW: u128 = 0xff;

/// What candidates are made from.
#[derive(Debug, Clone, Default)]
pub struct Seeds {
    /// Stations heard on the link: their EUI-64 twins are asked.
    pub macs: BTreeSet<Mac>,
    /// IPv4 addresses in use or registered: embedded in the interface identifier.
    pub ipv4: BTreeSet<Ipv4Addr>,
    /// IPv6 addresses heard or registered.
    pub ipv6: BTreeSet<Ipv6Addr>,
}

/// The candidates of a prefix that lie in `allowed`: first what is known, then what is likely.
pub fn of(prefix: Prefix, seeds: &Seeds, allowed: &AddressSet) -> Vec<IpAddr> {
    let first = prefix.first_number();
    let mut candidates = Vec::new();
    let mut seen = BTreeSet::new();
    let mut add = |number: u128| {
        let address = IpAddr::V6(Ipv6Addr::from_bits(number));
        if candidates.len() < MOST
            && prefix.contains(address)
            && allowed.contains(address)
            && seen.insert(number)
        {
            candidates.push(address);
        }
    };
    for address in &seeds.ipv6 {
        add(address.to_bits());
    }
    if prefix.is_ipv4() || prefix.length() > 120 {
        (first..=prefix.last_number()).take(256).for_each(add);
        return candidates;
    }
    if prefix.length() <= 64 {
        for mac in &seeds.macs {
            add(first | u128::from(mac.interface_id()));
        }
    }
    (1..=LOW).for_each(|low| add(first | low));
    for address in &seeds.ipv4 {
        // 2001:db8::10.20.1.7, as a number …
        add(first | u128::from(address.to_bits()));
        // … and 2001:db8::10:20:1:7, as people write it: decimal digits read as hexadecimal.
        let words = address
            .octets()
            .map(|octet| u128::from_str_radix(&octet.to_string(), 16).unwrap_or_default());
        add(first | words[0] << 48 | words[1] << 32 | words[2] << 16 | words[3]);
        add(first | words[3]);
    }
    candidates
}

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
    fn likely_addresses_are_among_the_candidates() {
        let prefix: Prefix = "2001:db8:20:1::/64".parse().unwrap();
        let seeds = Seeds {
            macs: ["00:1b:21:aa:bb:cc".parse().unwrap()].into(),
            ipv4: ["10.20.1.7".parse().unwrap()].into(),
            ipv6: ["2001:db8:20:1:dead:beef:1:2".parse().unwrap()].into(),
        };
        let allowed = AddressSet::of([prefix]);
        let candidates = of(prefix, &seeds, &allowed);
        for expected in [
            "2001:db8:20:1:dead:beef:1:2",
            "2001:db8:20:1:21b:21ff:feaa:bbcc",
            "2001:db8:20:1::1",
            "2001:db8:20:1::ff",
            "2001:db8:20:1::a14:107",
            "2001:db8:20:1:10:20:1:7",
        ] {
            assert!(candidates.contains(&expected.parse().unwrap()), "{expected}");
        }
        let fence = AddressSet::of(["2001:db8:20:1::/127".parse().unwrap()]);
        assert_eq!(of(prefix, &seeds, &fence), ["2001:db8:20:1::1".parse::<IpAddr>().unwrap()]);
    }

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
