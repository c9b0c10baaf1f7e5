//! IPv6 (RFC 8200) and the way through its extension headers.

use std::net::Ipv6Addr;

use super::cursor::{Cursor, WireError};
use super::ip::{Fragment, Ip, Protocol, pass_authentication};

pub const HEADER: usize = 40;

/// A chain longer than this is left where it is; the payload then starts at the next header.
const MOST_EXTENSIONS: usize = 16;

#[inline]
pub fn read(bytes: &[u8]) -> Result<Ip<'_>, WireError> {
    let mut cursor = Cursor::new("ipv6", bytes);
    let first = cursor.u32()?;
    if first >> 28 != 6 {
        return Err(cursor.wrong("another version"));
    }
    let stated = usize::from(cursor.u16()?);
    let [next, hop_limit] = cursor.array()?;
    let source = cursor.ipv6()?;
    let destination = cursor.ipv6()?;
    // Zero stands on jumbograms (RFC 2675) and on frames that the sender's card cuts up later.
    let stated = if stated == 0 { cursor.left() } else { stated };
    let cut = stated > cursor.left();
    let payload = Cursor::new("ipv6", cursor.take_up_to(stated));
    let chain = pass_extensions(Protocol(next), payload);
    Ok(Ip {
        source: source.into(),
        destination: destination.into(),
        hop_limit,
        traffic_class: (first >> 20) as u8,
        identification: 0,
        dont_fragment: false,
        protocol: chain.protocol,
        fragment: chain.fragment,
        has_options: chain.has_options,
        header_length: HEADER.saturating_add(payload.left().saturating_sub(chain.behind.left())),
        payload: chain.behind.rest(),
        cut,
    })
}

struct Chain<'a> {
    protocol: Protocol,
    behind: Cursor<'a>,
    fragment: Option<Fragment>,
    has_options: bool,
}

/// Walks to the upper layer. Where a header is cut or the rest is in another fragment, the walk
/// stops there and the protocol is the header that it stopped at.
fn pass_extensions(first: Protocol, payload: Cursor<'_>) -> Chain<'_> {
    let mut chain = Chain { protocol: first, behind: payload, fragment: None, has_options: false };
    for _ in 0..MOST_EXTENSIONS {
        let mut cursor = chain.behind;
        let next = match chain.protocol {
            Protocol::FRAGMENT => match pass_fragment(&mut cursor) {
                Ok((next, fragment)) => {
                    chain.fragment = Some(fragment);
                    next
                }
                Err(_) => break,
            },
            Protocol::AH => match pass_authentication(&mut cursor) {
                Ok(next) => next,
                Err(_) => break,
            },
            // Mobility, HIP and Shim6 have the shape of RFC 6564 too.
            Protocol::HOP_BY_HOP
            | Protocol::ROUTING
            | Protocol::DESTINATION_OPTIONS
            | Protocol(135 | 139 | 140) => match pass_one(&mut cursor) {
                Ok(next) => next,
                Err(_) => break,
            },
            _ => break,
        };
        chain.has_options |= chain.protocol != Protocol::FRAGMENT;
        chain.protocol = next;
        chain.behind = cursor;
        if matches!(chain.fragment, Some(Fragment { offset: 1.., .. })) {
            break;
        }
    }
    chain
}

fn pass_one(cursor: &mut Cursor<'_>) -> Result<Protocol, WireError> {
    let next = Protocol(cursor.u8()?);
    // In words of eight octets, not counting the first, of which two octets are read.
    let octets = usize::from(cursor.u8()?).saturating_mul(8).saturating_add(6);
    cursor.skip(octets)?;
    Ok(next)
}

fn pass_fragment(cursor: &mut Cursor<'_>) -> Result<(Protocol, Fragment), WireError> {
    let next = Protocol(cursor.u8()?);
    cursor.skip(1)?;
    let place = cursor.u16()?;
    let identification = cursor.u32()?;
    Ok((next, Fragment { offset: place & 0xfff8, more: place & 1 == 1, identification }))
}

/// Appends a header without extension headers.
pub fn write(
    frame: &mut Vec<u8>,
    source: Ipv6Addr,
    destination: Ipv6Addr,
    next_header: Protocol,
    hop_limit: u8,
    payload: usize,
) {
    frame.extend_from_slice(&[0x60, 0, 0, 0]);
    frame.extend_from_slice(&u16::try_from(payload).unwrap_or(u16::MAX).to_be_bytes());
    frame.extend_from_slice(&[next_header.0, hop_limit]);
    frame.extend_from_slice(&source.octets());
    frame.extend_from_slice(&destination.octets());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::special::ALL_NODES;

    fn packet(next: Protocol, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let source = "fe80::1".parse().unwrap();
        write(&mut bytes, source, ALL_NODES, next, 255, payload.len());
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn the_upper_layer_is_found_behind_extension_headers() {
        // Hop-by-hop, destination options of sixteen octets, an atomic fragment, ICMPv6.
        let mut chain = vec![60, 0, 5, 2, 0, 0, 1, 0];
        chain.extend_from_slice(&[44, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        chain.extend_from_slice(&[58, 0, 0, 0, 0, 0, 0, 7]);
        chain.extend_from_slice(&[134, 0, 0xaa]);
        let bytes = packet(Protocol::HOP_BY_HOP, &chain);
        let ip = read(&bytes).unwrap();
        assert_eq!(ip.protocol, Protocol::ICMPV6);
        assert_eq!(ip.payload, [134, 0, 0xaa]);
        assert_eq!(ip.header_length, HEADER + 32);
        assert_eq!(ip.fragment, Some(Fragment { offset: 0, more: false, identification: 7 }));
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).map_or(true, |ip| ip.cut), "{length}");
        }
    }

    #[test]
    fn a_later_fragment_has_no_upper_layer() {
        let bytes = packet(Protocol::FRAGMENT, &[60, 0, 0, 8, 0, 0, 0, 7, 58, 0, 0, 0]);
        let ip = read(&bytes).unwrap();
        assert_eq!(ip.protocol, Protocol::DESTINATION_OPTIONS);
        assert!(!ip.has_upper_layer());
        assert_eq!(ip.payload, [58, 0, 0, 0]);
    }

    #[test]
    fn a_header_that_runs_out_is_where_the_walk_stops() {
        let bytes = packet(Protocol::HOP_BY_HOP, &[58, 9, 0, 0, 0, 0, 0, 0]);
        let ip = read(&bytes).unwrap();
        assert_eq!((ip.protocol, ip.payload.len()), (Protocol::HOP_BY_HOP, 8));
    }
}
