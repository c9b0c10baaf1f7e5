//! Addresses, prefixes, MACs, ports and the tables over them: plain values, no I/O, no clock.

pub mod carrier;
pub mod family;
pub mod mac;
pub mod port;
pub mod prefix;
pub mod prefix_map;
pub mod set;
pub mod special;

pub use family::Family;
pub use mac::Mac;
pub use port::{Port, Transport};
pub use prefix::Prefix;
pub use prefix_map::PrefixMap;
pub use set::AddressSet;
