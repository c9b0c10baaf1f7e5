//! The TCP header (RFC 9293).

use std::net::IpAddr;

use super::checksum::Sum;
use super::cursor::{Cursor, WireError};
use super::ip::Protocol;

/// The octets of a header without options.
pub const HEADER: usize = 20;

pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;
pub const PSH: u8 = 0x08;
pub const ACK: u8 = 0x10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpSegment<'a> {
    pub source: u16,
    pub destination: u16,
    pub sequence: u32,
    pub acknowledgement: u32,
    pub flags: u8,
    pub window: u16,
    /// As far as they are there: an ICMP error may quote eight octets of a segment only.
    pub options: &'a [u8],
    pub payload: &'a [u8],
}

/// Ports and sequence number from the first eight octets, which is all that RFC 792 makes an ICMP
/// error quote.
#[inline]
pub fn quoted_start(bytes: &[u8]) -> Option<(u16, u16, u32)> {
    let mut cursor = Cursor::new("tcp", bytes);
    Some((cursor.u16().ok()?, cursor.u16().ok()?, cursor.u32().ok()?))
}

impl<'a> TcpSegment<'a> {
    #[inline]
    pub fn read(bytes: &'a [u8]) -> Result<TcpSegment<'a>, WireError> {
        let mut cursor = Cursor::new("tcp", bytes);
        let source = cursor.u16()?;
        let destination = cursor.u16()?;
        let sequence = cursor.u32()?;
        let acknowledgement = cursor.u32()?;
        let [offset, flags] = cursor.array()?;
        let window = cursor.u16()?;
        cursor.skip(4)?;
        let Some(options) = usize::from(offset >> 4).saturating_mul(4).checked_sub(HEADER) else {
            return Err(cursor.wrong("header shorter than a header"));
        };
        let options = cursor.take_up_to(options);
        Ok(TcpSegment {
            source,
            destination,
            sequence,
            acknowledgement,
            flags,
            window,
            options,
            payload: cursor.rest(),
        })
    }

    pub const fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// Appends the segment with its checksum. Options are padded to words with end-of-list octets;
    /// more than forty octets of them are left out.
    pub fn write(&self, frame: &mut Vec<u8>, source: IpAddr, destination: IpAddr) {
        let options = self.options.get(..40).unwrap_or(self.options);
        let padding = options.len().wrapping_neg() & 3;
        let words = HEADER.saturating_add(options.len()).saturating_add(padding) / 4;
        let mut segment = Vec::with_capacity(60);
        segment.extend_from_slice(&self.source.to_be_bytes());
        segment.extend_from_slice(&self.destination.to_be_bytes());
        segment.extend_from_slice(&self.sequence.to_be_bytes());
        segment.extend_from_slice(&self.acknowledgement.to_be_bytes());
        segment.extend_from_slice(&[(words as u8) << 4, self.flags]);
        segment.extend_from_slice(&self.window.to_be_bytes());
        let mut behind = vec![0, 0];
        behind.extend_from_slice(options);
        behind.extend_from_slice([0, 0, 0].get(..padding).unwrap_or_default());
        behind.extend_from_slice(self.payload);
        let length = segment.len().saturating_add(2).saturating_add(behind.len());
        let sum = Sum::new()
            .pseudo(source, destination, Protocol::TCP.0, length)
            .bytes(&segment)
            .bytes(&behind)
            .checksum();
        segment.extend_from_slice(&sum.to_be_bytes());
        segment.extend_from_slice(&behind);
        frame.extend_from_slice(&segment);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let segment = TcpSegment {
            source: 40000,
            destination: 443,
            sequence: 0x0102_0304,
            acknowledgement: 0,
            flags: SYN,
            window: 1024,
            options: &[2, 4, 5, 0xb4],
            payload: &[],
        };
        let ends: [IpAddr; 2] = ["fd00::1".parse().unwrap(), "fd00::2".parse().unwrap()];
        let mut bytes = Vec::new();
        segment.write(&mut bytes, ends[0], ends[1]);
        assert_eq!(bytes.len(), 24);
        assert_eq!(TcpSegment::read(&bytes), Ok(segment));
        let sum = Sum::new().pseudo(ends[0], ends[1], 6, bytes.len()).bytes(&bytes);
        assert_eq!(sum.folded(), 0xffff);
        for length in 0..HEADER {
            assert!(TcpSegment::read(&bytes[..length]).is_err());
        }
    }

    #[test]
    fn odd_options_are_padded() {
        let segment = TcpSegment {
            source: 1,
            destination: 2,
            sequence: 0,
            acknowledgement: 0,
            flags: SYN,
            window: 0,
            options: &[3, 3, 7],
            payload: b"x",
        };
        let mut bytes = Vec::new();
        segment.write(&mut bytes, [10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let read = TcpSegment::read(&bytes).unwrap();
        assert_eq!((read.options, read.payload), (&[3, 3, 7, 0][..], &b"x"[..]));
    }
}
