//! Addresses that end in the port of what the host serves: `::80`, `::443`, `::53`, spelled in hexadecimal digits and as a
//! number, alone and counted (`::80:1`). RFC 7707 §4.1.2.

use super::{CandidateSource, Place, spelled};

/// What is served on machines that somebody gives an address by hand.
const PORTS: &[u64] = &[
    80, 443, 22, 53, 25, 8080, 8443, 21, 23, 110, 123, 143, 161, 389, 445, 465, 514, 587, 636, 993,
    995, 1433, 1521, 3128, 3306, 3389, 5060, 5432, 6379, 8000, 9100, 9200,
];
/// The first of these are counted too.
const COUNTED: usize = 6;

pub(super) struct PortLike;

impl CandidateSource for PortLike {
    fn name(&self) -> &'static str {
        "port"
    }

    fn most(&self) -> usize {
        256
    }

    fn propose<'a>(&self, place: &'a Place<'a>) -> Box<dyn Iterator<Item = u128> + 'a> {
        let plain = PORTS.iter().flat_map(|port| [spelled(*port), *port]);
        let counted = PORTS.iter().take(COUNTED).flat_map(|port| {
            (1..=2).flat_map(|count| [spelled(*port) << 16 | count, count << 16 | spelled(*port)])
        });
        place.everywhere(plain.chain(counted))
    }
}
