//! UDP (RFC 768).

use std::net::IpAddr;

use super::checksum::Sum;
use super::cursor::{Cursor, WireError};
use super::ip::Protocol;

pub const HEADER: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Udp<'a> {
    pub source: u16,
    pub destination: u16,
    pub checksum: u16,
    /// As far as it is there.
    pub payload: &'a [u8],
}

impl<'a> Udp<'a> {
    #[inline]
    pub fn read(bytes: &'a [u8]) -> Result<Udp<'a>, WireError> {
        let mut cursor = Cursor::new("udp", bytes);
        let source = cursor.u16()?;
        let destination = cursor.u16()?;
        let stated = usize::from(cursor.u16()?);
        let checksum = cursor.u16()?;
        // Zero stands on jumbograms (RFC 2675).
        let length = match stated {
            0 => cursor.left(),
            stated => match stated.checked_sub(HEADER) {
                Some(length) => length,
                None => return Err(cursor.wrong("length shorter than the header")),
            },
        };
        Ok(Udp { source, destination, checksum, payload: cursor.take_up_to(length) })
    }
}

/// Appends a datagram with its checksum.
pub fn write(
    frame: &mut Vec<u8>,
    (source, source_port): (IpAddr, u16),
    (destination, destination_port): (IpAddr, u16),
    payload: &[u8],
) {
    let length = HEADER.saturating_add(payload.len());
    let mut header = Vec::with_capacity(HEADER);
    header.extend_from_slice(&source_port.to_be_bytes());
    header.extend_from_slice(&destination_port.to_be_bytes());
    header.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    let sum = Sum::new()
        .pseudo(source, destination, Protocol::UDP.0, length)
        .bytes(&header)
        .bytes(payload)
        .udp_checksum();
    frame.extend_from_slice(&header);
    frame.extend_from_slice(&sum.to_be_bytes());
    frame.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for (source, destination) in [("10.0.0.1", "10.0.0.2"), ("fe80::1", "fe80::2")] {
            let ends: [IpAddr; 2] = [source.parse().unwrap(), destination.parse().unwrap()];
            let mut bytes = Vec::new();
            write(&mut bytes, (ends[0], 68), (ends[1], 67), b"abc");
            let read = Udp::read(&bytes).unwrap();
            assert_eq!((read.source, read.destination, read.payload), (68, 67, &b"abc"[..]));
            let sum = Sum::new().pseudo(ends[0], ends[1], 17, bytes.len()).bytes(&bytes);
            assert_eq!(sum.folded(), 0xffff);
            for length in 0..HEADER {
                assert!(Udp::read(&bytes[..length]).is_err());
            }
        }
    }

    #[test]
    fn a_length_that_lies_is_an_error_or_cut() {
        assert!(Udp::read(&[0, 1, 0, 2, 0, 7, 0, 0, 9]).is_err());
        assert_eq!(Udp::read(&[0, 1, 0, 2, 0xff, 0xff, 0, 0, 9]).unwrap().payload, [9]);
        assert_eq!(Udp::read(&[0, 1, 0, 2, 0, 9, 0, 0, 9, 8, 7]).unwrap().payload, [9]);
    }
}
