//! Longest-prefix look-up over a table that is built once and read often.

use std::collections::HashMap;
use std::net::IpAddr;

use super::family::Family;
use super::prefix::Prefix;

/// Values by prefix. One hash table for all; a look-up asks once for each length that occurs,
/// longest first. Registries have few distinct lengths (tens at most), so this stays near the cost
/// of a handful of hash look-ups however many prefixes there are.
#[derive(Debug, Clone)]
pub struct PrefixMap<V> {
    values: HashMap<Prefix, V>,
    /// The lengths that occur, longest first, for IPv4 and for IPv6.
    lengths: [Vec<u8>; 2],
}

impl<V> Default for PrefixMap<V> {
    fn default() -> Self {
        PrefixMap { values: HashMap::new(), lengths: [Vec::new(), Vec::new()] }
    }
}

impl<V> PrefixMap<V> {
    pub fn new() -> Self {
        Self::default()
    }

    /// The value that was there before, if any.
    pub fn insert(&mut self, prefix: Prefix, value: V) -> Option<V> {
        let lengths = &mut self.lengths[slot(prefix.family())];
        if let Err(place) = lengths.binary_search_by(|length| prefix.length().cmp(length)) {
            lengths.insert(place, prefix.length());
        }
        self.values.insert(prefix, value)
    }

    pub fn get(&self, prefix: Prefix) -> Option<&V> {
        self.values.get(&prefix)
    }

    pub fn get_or_insert_with(&mut self, prefix: Prefix, value: impl FnOnce() -> V) -> &mut V {
        if !self.values.contains_key(&prefix) {
            self.insert(prefix, value());
        }
        self.values.entry(prefix).or_insert_with(|| unreachable!("inserted above"))
    }

    /// The longest prefix that holds the address.
    pub fn longest(&self, address: IpAddr) -> Option<(Prefix, &V)> {
        self.covering(Prefix::host(address)).next()
    }

    /// Every prefix of the table that covers this one, longest first.
    pub fn covering(&self, prefix: Prefix) -> impl Iterator<Item = (Prefix, &V)> {
        self.lengths[slot(prefix.family())]
            .iter()
            .filter(move |&&length| length <= prefix.length())
            .filter_map(move |&length| {
                self.values.get_key_value(&prefix.widen(length)).map(|(&key, value)| (key, value))
            })
    }

    /// Every entry, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Prefix, &V)> {
        self.values.iter().map(|(&prefix, value)| (prefix, value))
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

fn slot(family: Family) -> usize {
    match family {
        Family::Ipv4 => 0,
        Family::Ipv6 => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_wins_and_the_families_are_apart() {
        let mut map = PrefixMap::new();
        for (prefix, name) in [
            ("10.0.0.0/8", "all"),
            ("10.20.0.0/16", "unit"),
            ("::/0", "v6"),
            ("10.20.1.0/24", "seg"),
        ] {
            map.insert(prefix.parse().unwrap(), name);
        }
        let longest = |text: &str| map.longest(text.parse().unwrap()).map(|(_, name)| *name);
        assert_eq!(longest("10.20.1.7"), Some("seg"));
        assert_eq!(longest("10.20.2.7"), Some("unit"));
        assert_eq!(longest("10.9.9.9"), Some("all"));
        assert_eq!(longest("192.0.2.1"), None);
        assert_eq!(longest("2001:db8::1"), Some("v6"));
        let covering: Vec<_> =
            map.covering("10.20.1.0/25".parse().unwrap()).map(|(_, name)| *name).collect();
        assert_eq!(covering, ["seg", "unit", "all"]);
    }
}
