//! The Internet checksum (RFC 1071) over headers and over the pseudo-headers of UDP, TCP and ICMPv6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A running ones' complement sum of 16-bit words.
///
/// Sums over parts may be added as long as every part but the last has an even length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum(u64);

impl Sum {
    pub const fn new() -> Sum {
        Sum(0)
    }

    /// The bytes as big-endian words; an odd last byte is padded with zero.
    pub fn bytes(self, bytes: &[u8]) -> Sum {
        let (words, last) = bytes.as_chunks::<2>();
        let mut sum = self.0;
        for word in words {
            sum = sum.wrapping_add(u64::from(u16::from_be_bytes(*word)));
        }
        if let [odd] = last {
            sum = sum.wrapping_add(u64::from(u16::from_be_bytes([*odd, 0])));
        }
        Sum(sum)
    }

    pub const fn word(self, word: u16) -> Sum {
        Sum(self.0.wrapping_add(word as u64))
    }

    pub const fn long(self, long: u32) -> Sum {
        Sum(self.0.wrapping_add((long >> 16) as u64).wrapping_add((long & 0xffff) as u64))
    }

    /// The pseudo-header of RFC 768 and 9293 (IPv4), RFC 8200 §8.1 (IPv6). Addresses of two families
    /// have none; the sum is then left as it is.
    pub fn pseudo(self, source: IpAddr, destination: IpAddr, protocol: u8, length: usize) -> Sum {
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                self.pseudo_v4(source, destination, protocol, length)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                self.pseudo_v6(source, destination, protocol, length)
            }
            _ => self,
        }
    }

    pub fn pseudo_v4(
        self,
        source: Ipv4Addr,
        destination: Ipv4Addr,
        protocol: u8,
        length: usize,
    ) -> Sum {
        self.bytes(&source.octets())
            .bytes(&destination.octets())
            .word(u16::from(protocol))
            .long(u32::try_from(length).unwrap_or(u32::MAX))
    }

    pub fn pseudo_v6(
        self,
        source: Ipv6Addr,
        destination: Ipv6Addr,
        protocol: u8,
        length: usize,
    ) -> Sum {
        self.bytes(&source.octets())
            .bytes(&destination.octets())
            .long(u32::try_from(length).unwrap_or(u32::MAX))
            .word(u16::from(protocol))
    }

    /// The sum folded to 16 bits, not complemented.
    pub const fn folded(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff).wrapping_add(sum >> 16);
        }
        sum as u16
    }

    /// The value for the checksum field.
    pub const fn checksum(self) -> u16 {
        !self.folded()
    }

    /// As [`Sum::checksum`], with zero written as all ones: in UDP zero means "none" (RFC 768).
    pub const fn udp_checksum(self) -> u16 {
        match self.checksum() {
            0 => 0xffff,
            sum => sum,
        }
    }
}

/// The checksum of bytes in which the checksum field is zero.
pub fn of(bytes: &[u8]) -> u16 {
    Sum::new().bytes(bytes).checksum()
}

/// Whether bytes with their checksum in place add up.
pub fn holds(bytes: &[u8]) -> bool {
    Sum::new().bytes(bytes).folded() == 0xffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_1071() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::new().bytes(&bytes).folded(), 0xddf2);
        assert_eq!(of(&bytes), 0x220d);
    }

    #[test]
    fn a_header_with_its_checksum_in_place_adds_up() {
        let mut header =
            [0x45, 0, 0, 0x54, 0, 0, 0x40, 0, 0x40, 1, 0, 0, 10, 20, 1, 5, 10, 20, 1, 7];
        let sum = of(&header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        assert!(holds(&header));
        header[3] ^= 1;
        assert!(!holds(&header));
    }

    #[test]
    fn an_odd_last_byte_counts_as_the_high_one() {
        assert_eq!(of(&[1, 2, 3]), of(&[1, 2, 3, 0]));
        assert_eq!(Sum::new().word(0xffff).udp_checksum(), 0xffff);
    }
}
