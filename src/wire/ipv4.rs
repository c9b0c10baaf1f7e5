//! IPv4 (RFC 791).

use std::net::Ipv4Addr;

use super::checksum;
use super::cursor::{Cursor, WireError};
use super::ip::{Fragment, Ip, Protocol, pass_authentication};

/// The octets of a header without options.
pub const HEADER: usize = 20;

#[inline]
pub fn read(bytes: &[u8]) -> Result<Ip<'_>, WireError> {
    let mut cursor = Cursor::new("ipv4", bytes);
    let [version, traffic_class] = cursor.array()?;
    if version >> 4 != 4 {
        return Err(cursor.wrong("another version"));
    }
    let Some(options) = usize::from(version & 0x0f).saturating_mul(4).checked_sub(HEADER) else {
        return Err(cursor.wrong("header shorter than a header"));
    };
    let total = usize::from(cursor.u16()?);
    let identification = cursor.u16()?;
    let flags = cursor.u16()?;
    let [hop_limit, protocol] = cursor.array()?;
    cursor.skip(2)?;
    let source = cursor.ipv4()?;
    let destination = cursor.ipv4()?;
    cursor.skip(options)?;
    let mut header_length = HEADER.saturating_add(options);
    // Zero stands on frames that the sender's card cuts up later.
    let stated = match total {
        0 => cursor.left(),
        total => match total.checked_sub(header_length) {
            Some(stated) => stated,
            None => return Err(cursor.wrong("total length shorter than the header")),
        },
    };
    let cut = stated > cursor.left();
    let mut payload = Cursor::new("ipv4", cursor.take_up_to(stated));
    let offset = (flags & 0x1fff).saturating_mul(8);
    let more = flags & 0x2000 != 0;
    let fragment = (more || offset != 0).then_some(Fragment {
        offset,
        more,
        identification: u32::from(identification),
    });
    let mut protocol = Protocol(protocol);
    if protocol == Protocol::AH && offset == 0 {
        let mut behind = payload;
        if let Ok(next) = pass_authentication(&mut behind) {
            header_length =
                header_length.saturating_add(payload.left().saturating_sub(behind.left()));
            protocol = next;
            payload = behind;
        }
    }
    Ok(Ip {
        source: source.into(),
        destination: destination.into(),
        hop_limit,
        traffic_class,
        identification,
        dont_fragment: flags & 0x4000 != 0,
        protocol,
        fragment,
        has_options: options > 0,
        header_length,
        payload: payload.rest(),
        cut,
    })
}

/// Appends a header without options, "don't fragment" set, checksum in place. A payload too long for
/// the field is cut in the length alone: no caller builds one.
pub fn write(
    frame: &mut Vec<u8>,
    source: Ipv4Addr,
    destination: Ipv4Addr,
    protocol: Protocol,
    hop_limit: u8,
    payload: usize,
) {
    let total = u16::try_from(HEADER.saturating_add(payload)).unwrap_or(u16::MAX);
    let mut header = Vec::with_capacity(HEADER);
    header.extend_from_slice(&[0x45, 0]);
    header.extend_from_slice(&total.to_be_bytes());
    header.extend_from_slice(&[0, 0, 0x40, 0, hop_limit, protocol.0]);
    let behind = [source.octets(), destination.octets()].concat();
    let sum = checksum::Sum::new().bytes(&header).bytes(&behind).checksum();
    header.extend_from_slice(&sum.to_be_bytes());
    header.extend_from_slice(&behind);
    frame.extend_from_slice(&header);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet() -> Vec<u8> {
        let mut bytes = Vec::new();
        let (source, destination) = (Ipv4Addr::new(10, 20, 1, 5), Ipv4Addr::new(10, 20, 1, 7));
        write(&mut bytes, source, destination, Protocol::UDP, 64, 4);
        bytes.extend_from_slice(&[1, 2, 3, 4]);
        bytes
    }

    #[test]
    fn what_is_written_reads_back_without_padding() {
        let mut bytes = packet();
        assert!(checksum::holds(&bytes[..HEADER]));
        bytes.extend_from_slice(&[0; 18]);
        let read = read(&bytes).unwrap();
        assert_eq!((read.source.to_string(), read.hop_limit), ("10.20.1.5".into(), 64));
        assert_eq!((read.payload, read.cut, read.fragment), (&[1, 2, 3, 4][..], false, None));
    }

    #[test]
    fn cut_at_every_length_it_is_an_error_or_says_so() {
        let bytes = packet();
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).map_or(true, |read| read.cut), "{length}");
        }
    }

    #[test]
    fn options_and_fragments_are_seen() {
        let mut bytes = packet();
        bytes[0] = 0x46;
        bytes[3] += 4;
        bytes.splice(20..20, [0x94, 4, 0, 0]);
        bytes[6..8].copy_from_slice(&[0x20, 0x05]);
        let read = read(&bytes).unwrap();
        assert!(read.has_options);
        assert_eq!(read.header_length, 24);
        assert_eq!(read.fragment, Some(Fragment { offset: 40, more: true, identification: 0 }));
        assert!(!read.has_upper_layer());
        bytes[0] = 0x44;
        assert_eq!(super::read(&bytes).unwrap_err().why(), "header shorter than a header");
    }
}
