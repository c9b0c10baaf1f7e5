//! The prefixes of Chinese carriers, as far as an address in them says whose line it is on.

use std::net::IpAddr;

use super::{Prefix, PrefixMap};

/// Prefix and carrier.
const TABLE: &[(&str, &str)] =
    &[("240e::/18", "chinanet"), ("2408:8000::/20", "unicom"), ("2409:8000::/20", "cmcc")];

/// The carrier whose prefix holds the address.
pub fn of(address: IpAddr) -> Option<&'static str> {
    use std::sync::LazyLock;
    static MAP: LazyLock<PrefixMap<&'static str>> = LazyLock::new(|| {
        let mut map = PrefixMap::new();
        for (prefix, carrier) in TABLE {
            if let Ok(prefix) = prefix.parse::<Prefix>() {
                map.insert(prefix, *carrier);
            }
        }
        map
    });
    MAP.longest(address).map(|(_, carrier)| *carrier)
}
