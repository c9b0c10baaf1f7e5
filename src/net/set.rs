//! Sets of addresses as disjoint ranges: what a scope, an exclusion and a pass's targets are.

use std::net::IpAddr;

use super::family::{Family, number};
use super::prefix::Prefix;

/// Sorted, disjoint, non-adjacent inclusive ranges of each family. `nth` makes a set a list without
/// a list in memory: the engine permutes indices and asks for the address behind each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressSet {
    ipv4: Ranges,
    ipv6: Ranges,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Ranges {
    ranges: Vec<(u128, u128)>,
    /// For each range, how many addresses stand before it; saturating.
    before: Vec<u128>,
}

impl Ranges {
    fn from_unsorted(mut ranges: Vec<(u128, u128)>) -> Ranges {
        ranges.sort_unstable();
        let mut merged: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(previous) if first <= previous.1.saturating_add(1) => {
                    previous.1 = previous.1.max(last);
                }
                _ => merged.push((first, last)),
            }
        }
        let mut before = Vec::with_capacity(merged.len());
        let mut total = 0u128;
        for &(first, last) in &merged {
            before.push(total);
            total = total.saturating_add(last - first).saturating_add(1);
        }
        Ranges { ranges: merged, before }
    }

    fn contains(&self, number: u128) -> bool {
        let after = self.ranges.partition_point(|&(first, _)| first <= number);
        after > 0 && self.ranges[after - 1].1 >= number
    }

    fn count(&self) -> u128 {
        match (self.ranges.last(), self.before.last()) {
            (Some((first, last)), Some(before)) => {
                before.saturating_add(last - first).saturating_add(1)
            }
            _ => 0,
        }
    }

    fn nth(&self, index: u128) -> Option<u128> {
        let place = self.before.partition_point(|&before| before <= index).checked_sub(1)?;
        let (first, last) = self.ranges[place];
        let address = first.checked_add(index - self.before[place])?;
        (address <= last).then_some(address)
    }

    fn position(&self, number: u128) -> Option<u128> {
        let place = self.ranges.partition_point(|&(first, _)| first <= number).checked_sub(1)?;
        let (first, last) = self.ranges[place];
        (number <= last).then(|| self.before[place] + (number - first))
    }

    fn minus(&self, other: &Ranges) -> Ranges {
        let mut left = Vec::new();
        let mut cuts = other.ranges.as_slice();
        for &(mut first, last) in &self.ranges {
            while let Some((_, rest)) = cuts.split_first().filter(|((_, end), _)| *end < first) {
                cuts = rest;
            }
            let mut gone = false;
            for &(cut_first, cut_last) in cuts {
                if cut_first > last {
                    break;
                }
                if cut_first > first {
                    left.push((first, cut_first - 1));
                }
                match cut_last.checked_add(1) {
                    Some(next) if next <= last => first = next,
                    _ => {
                        gone = true;
                        break;
                    }
                }
            }
            if !gone {
                left.push((first, last));
            }
        }
        Ranges::from_unsorted(left)
    }

    fn and(&self, other: &Ranges) -> Ranges {
        let mut both = Vec::new();
        let (mut left, mut right) = (self.ranges.as_slice(), other.ranges.as_slice());
        while let (Some((&a, rest_left)), Some((&b, rest_right))) =
            (left.split_first(), right.split_first())
        {
            let (first, last) = (a.0.max(b.0), a.1.min(b.1));
            if first <= last {
                both.push((first, last));
            }
            if a.1 < b.1 {
                left = rest_left;
            } else {
                right = rest_right;
            }
        }
        Ranges::from_unsorted(both)
    }
}

impl AddressSet {
    pub fn of(prefixes: impl IntoIterator<Item = Prefix>) -> AddressSet {
        let (mut ipv4, mut ipv6) = (Vec::new(), Vec::new());
        for prefix in prefixes {
            let range = (prefix.first_number(), prefix.last_number());
            match prefix.family() {
                Family::Ipv4 => ipv4.push(range),
                Family::Ipv6 => ipv6.push(range),
            }
        }
        AddressSet { ipv4: Ranges::from_unsorted(ipv4), ipv6: Ranges::from_unsorted(ipv6) }
    }

    pub fn of_addresses(addresses: impl IntoIterator<Item = IpAddr>) -> AddressSet {
        AddressSet::of(addresses.into_iter().map(Prefix::host))
    }

    fn family(&self, family: Family) -> &Ranges {
        match family {
            Family::Ipv4 => &self.ipv4,
            Family::Ipv6 => &self.ipv6,
        }
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        self.family(Family::of(address)).contains(number(address))
    }

    /// Whether every address of the prefix is in the set.
    pub fn covers(&self, prefix: Prefix) -> bool {
        let rest = AddressSet::of([prefix]).minus(self);
        rest.is_empty()
    }

    pub fn overlaps(&self, prefix: Prefix) -> bool {
        !AddressSet::of([prefix]).and(self).is_empty()
    }

    pub fn minus(&self, other: &AddressSet) -> AddressSet {
        AddressSet { ipv4: self.ipv4.minus(&other.ipv4), ipv6: self.ipv6.minus(&other.ipv6) }
    }

    pub fn and(&self, other: &AddressSet) -> AddressSet {
        AddressSet { ipv4: self.ipv4.and(&other.ipv4), ipv6: self.ipv6.and(&other.ipv6) }
    }

    pub fn or(&self, other: &AddressSet) -> AddressSet {
        let join = |a: &Ranges, b: &Ranges| {
            Ranges::from_unsorted(a.ranges.iter().chain(&b.ranges).copied().collect())
        };
        AddressSet { ipv4: join(&self.ipv4, &other.ipv4), ipv6: join(&self.ipv6, &other.ipv6) }
    }

    /// How many addresses it holds; saturating.
    pub fn count(&self) -> u128 {
        self.ipv4.count().saturating_add(self.ipv6.count())
    }

    pub fn count_of(&self, family: Family) -> u128 {
        self.family(family).count()
    }

    pub fn is_empty(&self) -> bool {
        self.ipv4.ranges.is_empty() && self.ipv6.ranges.is_empty()
    }

    /// The address at an index, IPv4 first, each family in numeric order.
    pub fn nth(&self, index: u128) -> Option<IpAddr> {
        let ipv4 = self.ipv4.count();
        if index < ipv4 {
            self.ipv4.nth(index).map(|number| Family::Ipv4.address(number))
        } else {
            self.ipv6.nth(index - ipv4).map(|number| Family::Ipv6.address(number))
        }
    }

    /// The index at which `nth` gives this address.
    pub fn position(&self, address: IpAddr) -> Option<u128> {
        match Family::of(address) {
            Family::Ipv4 => self.ipv4.position(number(address)),
            Family::Ipv6 => self
                .ipv6
                .position(number(address))
                .map(|index| index.saturating_add(self.ipv4.count())),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = IpAddr> {
        (0..self.count()).map_while(|index| self.nth(index))
    }

    /// The fewest prefixes that make up the set, in order.
    pub fn prefixes(&self) -> Vec<Prefix> {
        let mut prefixes = Vec::new();
        for family in [Family::Ipv4, Family::Ipv6] {
            for &(first, last) in &self.family(family).ranges {
                cover(family, first, last, &mut prefixes);
            }
        }
        prefixes
    }
}

fn cover(family: Family, mut first: u128, last: u128, prefixes: &mut Vec<Prefix>) {
    loop {
        let aligned = first.trailing_zeros().min(family.bits() as u32);
        let mut bits = aligned;
        // The largest aligned block that does not reach past the end.
        while bits > 0 {
            let size_less_one = if bits == 128 { u128::MAX } else { (1u128 << bits) - 1 };
            if first.checked_add(size_less_one).is_some_and(|end| end <= last) {
                break;
            }
            bits -= 1;
        }
        let prefix = Prefix::of(family.address(first), family.bits() - bits as u8);
        prefixes.push(prefix);
        match prefix.last_number().checked_add(1) {
            Some(next) if next <= last => first = next,
            _ => return,
        }
    }
}

impl FromIterator<Prefix> for AddressSet {
    fn from_iter<I: IntoIterator<Item = Prefix>>(prefixes: I) -> AddressSet {
        AddressSet::of(prefixes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(prefixes: &[&str]) -> AddressSet {
        prefixes.iter().map(|text| text.parse::<Prefix>().unwrap()).collect()
    }

    fn texts(set: &AddressSet) -> Vec<String> {
        set.prefixes().iter().map(Prefix::to_string).collect()
    }

    #[test]
    fn subtraction_leaves_exactly_the_rest() {
        let rest = set(&["10.0.0.0/29", "fd00::/127"]).minus(&set(&["10.0.0.2/31", "fd00::1/128"]));
        assert_eq!(texts(&rest), ["10.0.0.0/31", "10.0.0.4/30", "fd00::/128"]);
        assert_eq!(rest.count(), 7);
        assert_eq!(set(&["0.0.0.0/0"]).minus(&set(&["0.0.0.0/0"])).count(), 0);
        assert_eq!(texts(&set(&["::/0"]).minus(&set(&["8000::/1"]))), ["::/1"]);
    }

    #[test]
    fn nth_and_position_are_inverse() {
        let some = set(&["10.0.0.0/30", "10.0.1.0/31", "fd00::/126"]);
        assert_eq!(some.count(), 10);
        for index in 0..10 {
            let address = some.nth(index).unwrap();
            assert_eq!(some.position(address), Some(index));
            assert!(some.contains(address));
        }
        assert_eq!(some.nth(10), None);
    }

    #[test]
    fn unions_and_intersections() {
        let a = set(&["10.0.0.0/24", "10.0.2.0/24"]);
        let b = set(&["10.0.0.128/25", "10.0.1.0/24"]);
        assert_eq!(texts(&a.and(&b)), ["10.0.0.128/25"]);
        assert_eq!(texts(&a.or(&b)), ["10.0.0.0/23", "10.0.2.0/24"]);
        assert!(a.covers("10.0.2.0/25".parse().unwrap()));
        assert!(!a.covers("10.0.0.0/23".parse().unwrap()));
        assert!(a.overlaps("10.0.0.0/23".parse().unwrap()));
    }
}
