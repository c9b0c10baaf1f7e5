//! Addresses that hold an IPv4 address, in the three ways that people write one. RFC 7707 §4.1.1.

use super::{CandidateSource, Place, spelled};

pub(super) struct Ipv4;

impl CandidateSource for Ipv4 {
    fn name(&self) -> &'static str {
        "ipv4"
    }

    /// Three for each of a /24's hosts.
    fn most(&self) -> usize {
        768
    }

    fn propose<'a>(&self, place: &'a Place<'a>) -> Box<dyn Iterator<Item = u128> + 'a> {
        let ids = place.ipv4.iter().flat_map(|address| {
            // 2001:db8::10:20:1:7: decimal digits read as hexadecimal …
            let words = address.octets().map(|octet| spelled(u64::from(octet)));
            let spelled = words.iter().fold(0, |id, word| id << 16 | word);
            // … 2001:db8::10.20.1.7, as a number; and the last octet alone.
            [spelled, u64::from(address.to_bits()), words[3]]
        });
        place.everywhere(ids)
    }
}
