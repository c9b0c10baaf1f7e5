//! Which mainland carrier an address is of, by the prefixes in `profiles/carriers`.

use std::net::IpAddr;
use std::sync::LazyLock;

use super::{Prefix, PrefixMap};

/// Each carrier's word and its prefixes, one a line.
const CARRIERS: &[(&str, &str)] = &[
    ("chinanet", include_str!("../../profiles/carriers/chinanet4.txt")),
    ("chinanet", include_str!("../../profiles/carriers/chinanet6.txt")),
    ("unicom", include_str!("../../profiles/carriers/unicom4.txt")),
    ("unicom", include_str!("../../profiles/carriers/unicom6.txt")),
    ("cmcc", include_str!("../../profiles/carriers/cmcc4.txt")),
    ("cmcc", include_str!("../../profiles/carriers/cmcc6.txt")),
    ("cernet", include_str!("../../profiles/carriers/cernet4.txt")),
    ("cernet", include_str!("../../profiles/carriers/cernet6.txt")),
    ("cstnet", include_str!("../../profiles/carriers/cstnet4.txt")),
    ("cstnet", include_str!("../../profiles/carriers/cstnet6.txt")),
    ("drpeng", include_str!("../../profiles/carriers/drpeng4.txt")),
];

/// Some eleven thousand prefixes: under a mebibyte.
static TABLE: LazyLock<PrefixMap<&'static str>> = LazyLock::new(|| {
    let mut table = PrefixMap::new();
    for (carrier, lines) in CARRIERS {
        for prefix in lines.lines().filter_map(|line| line.trim().parse::<Prefix>().ok()) {
            // What two carriers announce is the first one's.
            table.get_or_insert_with(prefix, || *carrier);
        }
    }
    table
});

/// The word of the carrier with the longest prefix that holds the address: `chinanet`, `unicom`, `cmcc`, `cernet`,
/// `cstnet` or `drpeng`. `None` for all others, those abroad and those that the list does not know.
pub fn of(address: IpAddr) -> Option<&'static str> {
    TABLE.longest(address).map(|(_, carrier)| *carrier)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_of_the_carrier_whose_prefix_holds_them() {
        for (address, expected) in [
            ("202.96.128.86", Some("chinanet")),
            ("240e:1::1", Some("chinanet")),
            ("2408:8000::1", Some("unicom")),
            ("2408:8000:1000::1", Some("unicom")),
            ("2409:8000::1", Some("cmcc")),
            ("1.119.1.1", Some("cmcc")),
            ("1.51.7.7", Some("cernet")),
            ("2001:250::1", Some("cernet")),
            // Longer than CERNET's /30.
            ("2001:250:2::1", Some("unicom")),
            ("49.210.0.1", Some("cstnet")),
            ("2001:cc0::1", Some("cstnet")),
            ("115.182.128.1", Some("drpeng")),
            ("10.20.1.1", None),
            ("203.0.113.7", None),
            ("2001:db8::1", None),
            ("fd00::1", None),
        ] {
            assert_eq!(of(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn every_line_is_a_prefix() {
        for (carrier, lines) in CARRIERS {
            for line in lines.lines() {
                assert!(line.trim().parse::<Prefix>().is_ok(), "{carrier}: {line}");
            }
        }
        assert!(TABLE.len() > 10_000, "{}", TABLE.len());
    }
}
