//! The marks by which tunnels are told whose inside is not for us to read: WireGuard, OpenVPN, IKE (RFC 2408, 7296)
//! with ESP in UDP (RFC 3948), L2TP (RFC 2661, 3931), PPTP (RFC 2637), GRE's fields (RFC 2890), AH (RFC 4302).
//!
//! Each is conservative: a port alone tells nothing, and where a format has no marks (OpenVPN's data) only its
//! handshake counts; of WireGuard's data every field must fit.

use super::cursor::Cursor;
use super::ip::Protocol;

pub const IKE_PORT: u16 = 500;
pub const IKE_NAT_PORT: u16 = 4500;
pub const L2TP_PORT: u16 = 1701;
pub const OPENVPN_PORT: u16 = 1194;
pub const PPTP_PORT: u16 = 1723;

/// Initiation, response and cookie reply have a length each, and three reserved octets that are zero.
#[inline]
pub fn is_wireguard(payload: &[u8]) -> bool {
    matches!(
        (payload, payload.len()),
        ([1, 0, 0, 0, ..], 148) | ([2, 0, 0, 0, ..], 92) | ([3, 0, 0, 0, ..], 64)
    ) || is_wireguard_data(payload)
}

/// Data: an index that is random, a counter below 2^32 in eight octets, a length that is filled up to 16, and a tag
/// that looks random. Twelve octets that must fit, against chance and against formats that are full of zeros.
fn is_wireguard_data(payload: &[u8]) -> bool {
    let [4, 0, 0, 0, rest @ ..] = payload else { return false };
    let Some((index, rest)) = rest.split_first_chunk::<4>() else { return false };
    let Some((counter, rest)) = rest.split_first_chunk::<8>() else { return false };
    let Some(tag) = rest.last_chunk::<16>() else { return false };
    let counter = u64::from_le_bytes(*counter);
    payload.len().is_multiple_of(16)
        && !index.contains(&0)
        && (1..1 << 32).contains(&counter)
        && tag.iter().filter(|octet| **octet == 0).count() < 2
}

/// Whether a datagram came over the port that its protocol has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    ItsPort,
    AnyPort,
}

/// OpenVPN's hard resets, with key id zero and a session id, in their lengths: plain; with a SHA-1, SHA-256 or
/// SHA-512 digest, packet id and time before the acknowledgements (tls-auth); encrypted (tls-crypt); and with the
/// client's own key behind (version 3 of the reset).
#[inline]
pub fn is_openvpn(payload: &[u8], over: Over) -> bool {
    let [head, session @ ..] = payload else { return false };
    // The session id is random, its octets are not all alike.
    let Some((session, behind)) = session.split_first_chunk::<8>() else { return false };
    let [first, ..] = *session;
    if session.iter().all(|octet| *octet == first) {
        return false;
    }
    // What differs between the forms is how many octets stand before the acknowledgements.
    let plain = |from: &[u8], of_server: bool| match (from, of_server) {
        ([0, 0, 0, 0, 0], false) => true,
        ([1, rest @ ..], true) => rest.len() == 4 + 8 + 4 && rest.ends_with(&[0; 4]),
        _ => false,
    };
    let of_server = match head {
        0x38 => false,
        0x40 => true,
        0x50 => return payload.len() > 300 && payload.len() < 1500 && is_time(behind, 4),
        _ => return false,
    };
    if plain(behind, of_server) {
        return true;
    }
    let of_crypt = payload.len() == if of_server { 66 } else { 54 };
    (of_crypt && is_time(behind, 4) && over == Over::ItsPort)
        || [16usize, 20, 32, 64].into_iter().any(|digest| {
            behind.get(digest.saturating_add(8)..).is_some_and(|rest| plain(rest, of_server))
                && (is_time(behind, digest.saturating_add(4)) || over == Over::ItsPort)
        })
}

/// Seconds since 1970 of a day between 2001 and 2038.
fn is_time(bytes: &[u8], place: usize) -> bool {
    bytes
        .get(place..)
        .and_then(|rest| rest.first_chunk())
        .is_some_and(|octets| (1_000_000_000..0x8000_0000).contains(&u32::from_be_bytes(*octets)))
}

/// OpenVPN over TCP stands behind its length.
#[inline]
pub fn is_openvpn_stream(payload: &[u8], over: Over) -> bool {
    let Some((length, packet)) = payload.split_first_chunk() else { return false };
    match packet.split_at_checked(usize::from(u16::from_be_bytes(*length))) {
        Some((packet, _)) => is_openvpn(packet, over),
        None => false,
    }
}

/// The version octet of an IKE header. On the protocol's own port the exchange may be one that nobody knows, and no initiator be spoken
/// for.
pub fn ike(payload: &[u8], over: Over) -> Option<u8> {
    let mut cursor = Cursor::new("ike", payload);
    let initiator = cursor.array::<8>().ok()?;
    cursor.skip(8).ok()?;
    let [_, version, exchange, flags] = cursor.array().ok()?;
    cursor.skip(4).ok()?;
    let length = cursor.u32().ok()?;
    let fits = match version >> 4 {
        1 | 2 if over == Over::ItsPort => true,
        1 => matches!(exchange, 1..=6 | 32..=34) && flags & 0xf8 == 0,
        2 => matches!(exchange, 34..=44) && flags & 0xc7 == 0,
        _ => false,
    };
    // An IKE message is far below a mebibyte; without a spoken-for initiator there is none.
    (fits && (initiator != [0; 8] || over == Over::ItsPort) && (28..1 << 20).contains(&length))
        .then_some(version)
}

/// On the port of NAT traversal: four zeros and IKE, or the index of a security association.
pub fn ike_or_esp(payload: &[u8]) -> Option<IkeOrEsp> {
    match payload {
        [0, 0, 0, 0, rest @ ..] => ike(rest, Over::AnyPort).map(IkeOrEsp::Ike),
        _ => esp(payload).map(IkeOrEsp::Esp),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IkeOrEsp {
    Ike(u8),
    Esp(u32),
}

/// The index and a sequence number, then at least an authentication tag. Indices below 256 are reserved.
pub fn esp(payload: &[u8]) -> Option<u32> {
    let index = u32::from_be_bytes(*payload.first_chunk()?);
    (index >= 256 && payload.len() >= 8 + 12).then_some(index)
}

/// An L2TP header's version, tunnel and session, and what a data message carries: PPP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct L2tp<'a> {
    pub version: u8,
    pub tunnel: u32,
    pub session: Option<u32>,
    pub ppp: Option<&'a [u8]>,
}

pub fn l2tp(payload: &[u8]) -> Option<L2tp<'_>> {
    let mut cursor = Cursor::new("l2tp", payload);
    let flags = cursor.u16().ok()?;
    let is_control = flags & 0x8000 != 0;
    match flags & 0x000f {
        2 => {
            // Reserved bits are zero, and a control message has its length and sequence numbers.
            if flags & 0x34f0 != 0 || is_control && flags & 0xcb00 != 0xc800 {
                return None;
            }
            if flags & 0x4000 != 0 {
                let length = usize::from(cursor.u16().ok()?);
                if is_control && length < 12 {
                    return None;
                }
            }
            let (tunnel, session) = (cursor.u16().ok()?, cursor.u16().ok()?);
            if flags & 0x0800 != 0 {
                cursor.skip(4).ok()?;
            }
            if flags & 0x0200 != 0 {
                let pad = cursor.u16().ok()?;
                cursor.skip(usize::from(pad)).ok()?;
            }
            let ppp = (!is_control).then_some(cursor.rest());
            if !is_control
                && !matches!(
                    cursor.rest(),
                    [0xff, 3, ..]
                        | [0xc0, 0x21 | 0x23, ..]
                        | [0xc2, 0x23, ..]
                        | [0, 0x21 | 0x57, ..]
                        | [0x21 | 0x57, ..]
                )
            {
                return None;
            }
            Some(L2tp { version: 2, tunnel: tunnel.into(), session: Some(session.into()), ppp })
        }
        3 if is_control && flags & 0x7ff0 == 0x4800 => {
            cursor.skip(2).ok()?;
            Some(L2tp { version: 3, tunnel: cursor.u32().ok()?, session: None, ppp: None })
        }
        _ => None,
    }
}

/// A PPTP control message; what the ends say of themselves when they start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pptp<'a> {
    pub host: Option<&'a [u8]>,
    pub vendor: Option<&'a [u8]>,
}

pub fn pptp(payload: &[u8]) -> Option<Pptp<'_>> {
    let mut cursor = Cursor::new("pptp", payload);
    cursor.skip(2).ok()?;
    let (kind, cookie, message) = (cursor.u16().ok()?, cursor.u32().ok()?, cursor.u16().ok()?);
    if kind != 1 || cookie != 0x1a2b_3c4d || !(1..=15).contains(&message) {
        return None;
    }
    let mut pptp = Pptp { host: None, vendor: None };
    if message <= 2 && cursor.skip(18).is_ok() {
        pptp.host = cursor.take(64).ok().map(until_zero).filter(|text| !text.is_empty());
        pptp.vendor = cursor.take(64).ok().map(until_zero).filter(|text| !text.is_empty());
    }
    Some(pptp)
}

fn until_zero(text: &[u8]) -> &[u8] {
    text.split(|octet| *octet == 0).next().unwrap_or_default()
}

/// What GRE announces, its key, and its version.
pub fn gre(payload: &[u8]) -> Option<(u16, Option<u32>, u8)> {
    let mut cursor = Cursor::new("gre", payload);
    let (flags, protocol) = (cursor.u16().ok()?, cursor.u16().ok()?);
    let version = (flags & 7) as u8;
    // Reserved bits are zero in version 0; version 1 always has a key, of which half is a length.
    if version > 1 || version == 0 && flags & 0x00f8 != 0 {
        return None;
    }
    if version == 1 {
        return (protocol == 0x880b).then_some((protocol, None, 1));
    }
    if flags & 0xc000 != 0 {
        cursor.skip(4).ok()?;
    }
    let key = if flags & 0x2000 != 0 { Some(cursor.u32().ok()?) } else { None };
    Some((protocol, key, 0))
}

/// The index in a packet's authentication header, which [`super::Ip::read`] passes.
pub fn authentication(packet: &[u8]) -> Option<u32> {
    let first = *packet.first()?;
    let (mut next, mut rest) = match first >> 4 {
        4 => {
            let header = usize::from(first & 0x0f).saturating_mul(4);
            (*packet.get(9)?, packet.get(header..)?)
        }
        6 => (*packet.get(6)?, packet.get(40..)?),
        _ => return None,
    };
    // As many headers as the reader of IPv6 passes.
    for _ in 0..16 {
        let [following, length, ..] = *rest else { return None };
        let words = usize::from(length);
        let octets = match Protocol(next) {
            Protocol::AH => {
                return rest.get(4..)?.first_chunk().map(|octets| u32::from_be_bytes(*octets));
            }
            Protocol::HOP_BY_HOP | Protocol::ROUTING | Protocol::DESTINATION_OPTIONS => {
                words.saturating_add(1).saturating_mul(8)
            }
            Protocol::FRAGMENT => 8,
            _ => return None,
        };
        (next, rest) = (following, rest.get(octets..)?);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn handshakes_are_told_by_form_and_length() {
        let mut initiation = vec![1, 0, 0, 0];
        initiation.resize(148, 7);
        assert!(is_wireguard(&initiation) && !is_wireguard(&initiation[..147]));
        let client = [0x38, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0];
        assert!(is_openvpn(&client, Over::AnyPort));
        assert!(!is_openvpn(&client[..13], Over::ItsPort));
        let mut server = vec![0x40, 9, 2, 3, 4, 5, 6, 7, 8, 1, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        server.extend([0; 4]);
        assert!(is_openvpn(&server, Over::AnyPort));
        assert!(is_openvpn_stream(&[&[0, 14], &client[..]].concat(), Over::AnyPort));
        assert!(!is_openvpn(&[0x38; 14], Over::ItsPort));
    }

    #[test]
    fn associations_by_their_headers() {
        let mut header = vec![1; 8];
        header.extend([0; 8]);
        header.extend([33, 0x20, 34, 8, 0, 0, 0, 0, 0, 0, 0, 28]);
        assert_eq!(ike(&header, Over::AnyPort), Some(0x20));
        // With no initiator it is believed on the port alone.
        let unasked = [&[0; 8], &header[8..]].concat();
        assert_eq!(ike(&unasked, Over::AnyPort), None);
        assert_eq!(ike(&unasked, Over::ItsPort), Some(0x20));
        assert_eq!(ike_or_esp(&[&[0; 4], &header[..]].concat()), Some(IkeOrEsp::Ike(0x20)));
        assert_eq!(ike_or_esp(&[0x55; 40]), Some(IkeOrEsp::Esp(0x5555_5555)));
        assert_eq!(ike_or_esp(&[0xff]), None);
        let control = [0xc8, 2, 0, 12, 0, 7, 0, 0, 0, 0, 0, 0];
        let read = l2tp(&control).unwrap();
        assert_eq!((read.version, read.tunnel, read.session), (2, 7, Some(0)));
        assert_eq!(gre(&[0x20, 0, 0x65, 0x58, 0, 0, 0, 9]), Some((0x6558, Some(9), 0)));
    }

    #[test]
    fn the_authentication_header_stands_before_what_it_protects() {
        let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 51];
        packet.resize(20, 0);
        packet.extend([6, 4, 0, 0, 0, 0, 1, 2]);
        assert_eq!(authentication(&packet), Some(0x102));
        packet[9] = 6;
        assert_eq!(authentication(&packet), None);
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (is_wireguard(&octets), is_openvpn(&octets, Over::ItsPort), is_openvpn_stream(&octets, Over::AnyPort));
            let _ = (ike(&octets, Over::ItsPort), ike_or_esp(&octets), l2tp(&octets), pptp(&octets), gre(&octets));
            let _ = authentication(&octets);
        }
    }
}
