//! ARP for IPv4 over Ethernet (RFC 826), with the probe form of RFC 5227.

use std::net::Ipv4Addr;

use super::cursor::{Cursor, WireError};
use crate::net::Mac;

/// The octets of an ARP packet for IPv4 over Ethernet.
pub const LENGTH: usize = 28;

pub const REQUEST: u16 = 1;
pub const REPLY: u16 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Arp {
    pub operation: u16,
    pub sender_mac: Mac,
    pub sender: Ipv4Addr,
    pub target_mac: Mac,
    pub target: Ipv4Addr,
}

impl Arp {
    /// Other hardware or protocol types are an error: there is no MAC or no IPv4 address to take.
    #[inline]
    pub fn read(bytes: &[u8]) -> Result<Arp, WireError> {
        let mut cursor = Cursor::new("arp", bytes);
        let hardware = cursor.u16()?;
        let protocol = cursor.u16()?;
        let lengths = (cursor.u8()?, cursor.u8()?);
        // 6 is IEEE 802 in old Token Ring bridges and some Cisco gear: the same addresses.
        if !matches!(hardware, 1 | 6) || protocol != 0x0800 {
            return Err(cursor.wrong("not IPv4 over Ethernet"));
        }
        if lengths != (6, 4) {
            return Err(cursor.wrong("address lengths are not those of its types"));
        }
        Ok(Arp {
            operation: cursor.u16()?,
            sender_mac: cursor.mac()?,
            sender: cursor.ipv4()?,
            target_mac: cursor.mac()?,
            target: cursor.ipv4()?,
        })
    }

    pub fn write(&self, frame: &mut Vec<u8>) {
        frame.extend_from_slice(&[0, 1, 8, 0, 6, 4]);
        frame.extend_from_slice(&self.operation.to_be_bytes());
        frame.extend_from_slice(&self.sender_mac.0);
        frame.extend_from_slice(&self.sender.octets());
        frame.extend_from_slice(&self.target_mac.0);
        frame.extend_from_slice(&self.target.octets());
    }

    /// A question by a host that does not use the address yet: sender zero. RFC 5227 §2.1.1.
    pub fn is_probe(&self) -> bool {
        self.operation == REQUEST && self.sender.is_unspecified()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_and_no_shorter() {
        let arp = Arp {
            operation: REPLY,
            sender_mac: Mac([2, 0, 0, 0, 0, 7]),
            sender: Ipv4Addr::new(10, 20, 1, 7),
            target_mac: Mac([2, 0, 0, 0, 0, 5]),
            target: Ipv4Addr::new(10, 20, 1, 5),
        };
        let mut bytes = Vec::new();
        arp.write(&mut bytes);
        assert_eq!(bytes.len(), LENGTH);
        assert_eq!(Arp::read(&bytes), Ok(arp));
        for length in 0..LENGTH {
            assert!(Arp::read(&bytes[..length]).is_err(), "{length}");
        }
        bytes[4] = 8;
        assert_eq!(
            Arp::read(&bytes).unwrap_err().why(),
            "address lengths are not those of its types"
        );
    }
}
