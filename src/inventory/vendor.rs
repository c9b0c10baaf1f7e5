//! The organisation a MAC is registered to, by the IEEE's lists.

use crate::net::Mac;

/// The organisation that the MAC's block is registered to: none for MACs assigned locally (random,
/// virtual) and for those that routers share by a redundancy protocol, whatever block they are in.
pub fn vendor(mac: Mac) -> Option<&'static str> {
    if mac.is_local() || mac.is_group() || mac.is_redundancy() {
        return None;
    }
    let digits: String = mac.0.iter().map(|octet| format!("{octet:02X}")).collect();
    oui_data::lookup(&digits).map(|record| record.organization())
}
