//! The headers of tunnels and shims, as far as it takes to reach what they carry: GRE (RFC 2784,
//! 2890, with ERSPAN), VXLAN (RFC 7348), Geneve (RFC 8926), Teredo (RFC 4380), PPPoE (RFC 2516), PPP
//! (RFC 1661), MPLS (RFC 3032), the backbone tag of IEEE 802.1ah and Cisco's metadata tag.

use super::cursor::{Cursor, WireError};
use super::ethernet::EtherType;

pub const VXLAN_PORT: u16 = 4789;
/// What Linux used before the number was assigned, and still does by default.
pub const VXLAN_OLD_PORT: u16 = 8472;
/// VXLAN's generic extension, and MPLS in UDP (RFC 7510).
pub const VXLAN_GPE_PORT: u16 = 4790;
pub const MPLS_PORT: u16 = 6635;
pub const GENEVE_PORT: u16 = 6081;
pub const TEREDO_PORT: u16 = 3544;
pub const GTP_PORT: u16 = 2152;

/// What a tunnel carries, and its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inside<'a> {
    pub tunnel: &'static str,
    /// VNI, TEID or ERSPAN's session, where there is one.
    pub identifier: Option<u32>,
    pub carried: Inner,
    pub payload: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inner {
    /// A whole Ethernet frame.
    Ethernet,
    /// A packet of the family in its first nibble.
    Ip,
    /// PPP from its protocol field on.
    Ppp,
    EtherType(EtherType),
}

/// GRE of version 0, and of version 1 as PPTP uses it (RFC 2637).
pub fn gre(bytes: &[u8]) -> Result<Inside<'_>, WireError> {
    let mut cursor = Cursor::new("gre", bytes);
    let flags = cursor.u16()?;
    let protocol = EtherType(cursor.u16()?);
    let has_sequence = flags & 0x1000 != 0;
    // Checksum with its reserved octets, routing offset with it.
    if flags & 0xc000 != 0 {
        cursor.skip(4)?;
    }
    if flags & 0x2000 != 0 {
        cursor.skip(4)?;
    }
    if has_sequence {
        cursor.skip(4)?;
    }
    if flags & 0x4000 != 0 {
        pass_source_routes(&mut cursor)?;
    }
    let mut identifier = None;
    let (tunnel, carried) = match (flags & 7, protocol) {
        (1, _) => {
            if flags & 0x0080 != 0 {
                cursor.skip(4)?;
            }
            ("pptp", Inner::Ppp)
        }
        (0, EtherType::IPV4 | EtherType::IPV6) => ("gre", Inner::Ip),
        (0, EtherType::TRANSPARENT_BRIDGING) => ("gre", Inner::Ethernet),
        // ERSPAN type I has no header of its own, and no sequence number before it.
        (0, EtherType(0x88be)) => {
            if has_sequence {
                identifier = Some(erspan_session(&mut cursor)?);
                cursor.skip(4)?;
            }
            ("erspan", Inner::Ethernet)
        }
        (0, EtherType(0x22eb)) => {
            identifier = Some(erspan_session(&mut cursor)?);
            let [.., last] = cursor.array::<8>()?;
            if last & 1 != 0 {
                cursor.skip(8)?;
            }
            ("erspan", Inner::Ethernet)
        }
        // Inside GRE the EtherType stands before the tag, not behind it.
        (0, EtherType::METADATA) => {
            let ethertype = EtherType(cursor.u16()?);
            let [_, options] = cursor.array()?;
            cursor.skip(usize::from(options).saturating_mul(4))?;
            ("gre", Inner::EtherType(ethertype))
        }
        (0, ethertype) => ("gre", Inner::EtherType(ethertype)),
        _ => return Err(cursor.wrong("unknown version")),
    };
    Ok(Inside { tunnel, identifier, carried, payload: cursor.rest() })
}

/// The last ten bits of the first word, in both types that have a header.
fn erspan_session(cursor: &mut Cursor<'_>) -> Result<u32, WireError> {
    cursor.skip(2)?;
    Ok(u32::from(cursor.u16()? & 0x03ff))
}

/// The source route entries of RFC 1701; the one of length zero is the last.
fn pass_source_routes(cursor: &mut Cursor<'_>) -> Result<(), WireError> {
    loop {
        let [_, _, _, length] = cursor.array()?;
        if length == 0 {
            return Ok(());
        }
        cursor.skip(usize::from(length))?;
    }
}

pub fn vxlan(bytes: &[u8]) -> Result<Inside<'_>, WireError> {
    let mut cursor = Cursor::new("vxlan", bytes);
    let [flags, _, _, _, a, b, c, reserved] = cursor.array::<8>()?;
    // The flag that the network identifier is there must be set; the last octet must be zero.
    if flags & 0x08 == 0 || reserved != 0 {
        return Err(cursor.wrong("flags of another protocol"));
    }
    let identifier = Some(u32::from_be_bytes([0, a, b, c]));
    Ok(Inside { tunnel: "vxlan", identifier, carried: Inner::Ethernet, payload: cursor.rest() })
}

/// The generic extension (draft-ietf-nvo3-vxlan-gpe): what is carried is stated.
pub fn vxlan_gpe(bytes: &[u8]) -> Result<Inside<'_>, WireError> {
    let mut cursor = Cursor::new("vxlan-gpe", bytes);
    let [flags, _, _, next, a, b, c, _] = cursor.array::<8>()?;
    if flags & 0xc0 != 0 {
        return Err(cursor.wrong("flags of another protocol"));
    }
    // Without the flag there is no identifier, and without the other it is as VXLAN is.
    let identifier = (flags & 0x08 != 0).then_some(u32::from_be_bytes([0, a, b, c]));
    let carried = match (flags & 0x04 != 0, next) {
        (false, _) | (true, 3) => Inner::Ethernet,
        (true, 1 | 2) => Inner::Ip,
        (true, 4) => Inner::EtherType(EtherType::SERVICE_HEADER),
        (true, 5) => Inner::EtherType(EtherType::MPLS),
        _ => return Err(cursor.wrong("unknown protocol inside")),
    };
    Ok(Inside { tunnel: "vxlan", identifier, carried, payload: cursor.rest() })
}

/// RFC 8300 §2: what is behind the base header, the path and the context. `None` for what is not known.
pub fn service_header(bytes: &[u8]) -> Result<Option<(Inner, &[u8])>, WireError> {
    let mut cursor = Cursor::new("nsh", bytes);
    let [version, length, _, next] = cursor.array()?;
    let Some(behind) = usize::from(length & 0x3f).saturating_mul(4).checked_sub(4) else {
        return Err(cursor.wrong("length shorter than the header"));
    };
    if version >> 6 != 0 {
        return Err(cursor.wrong("unknown version"));
    }
    cursor.skip(behind)?;
    let inner = match next {
        1 | 2 => Inner::Ip,
        3 => Inner::Ethernet,
        4 => Inner::EtherType(EtherType::SERVICE_HEADER),
        5 => Inner::EtherType(EtherType::MPLS),
        _ => return Ok(None),
    };
    Ok(Some((inner, cursor.rest())))
}

/// IEEE 802.1AE §9: a frame that is only protected against change. `None` where it is encrypted. The check value
/// stands behind the payload, and goes for its padding.
pub fn macsec(bytes: &[u8]) -> Result<Option<(EtherType, &[u8])>, WireError> {
    let mut cursor = Cursor::new("macsec", bytes);
    let [control, _] = cursor.array()?;
    if control & 0x80 != 0 {
        return Err(cursor.wrong("unknown version"));
    }
    cursor.skip(if control & 0x20 != 0 { 12 } else { 4 })?;
    if control & 0x0c != 0 {
        return Ok(None);
    }
    Ok(Some((EtherType(cursor.u16()?), cursor.rest())))
}

/// A timestamp of 64 or 48 bits, by the last octet of its version.
pub fn arista(bytes: &[u8]) -> Result<(EtherType, &[u8]), WireError> {
    let mut cursor = Cursor::new("arista", bytes);
    match (cursor.u16()?, cursor.array()?) {
        (1, [_, 0x10]) => cursor.skip(8)?,
        (1, [_, 0x20]) => cursor.skip(6)?,
        _ => return Err(cursor.wrong("unknown kind")),
    }
    Ok((EtherType(cursor.u16()?), cursor.rest()))
}

pub fn geneve(bytes: &[u8]) -> Result<Inside<'_>, WireError> {
    let mut cursor = Cursor::new("geneve", bytes);
    let [head, _] = cursor.array()?;
    if head >> 6 != 0 {
        return Err(cursor.wrong("unknown version"));
    }
    let protocol = EtherType(cursor.u16()?);
    let [a, b, c, _] = cursor.array()?;
    let identifier = Some(u32::from_be_bytes([0, a, b, c]));
    cursor.skip(usize::from(head & 0x3f).saturating_mul(4))?;
    let carried = match protocol {
        EtherType::TRANSPARENT_BRIDGING => Inner::Ethernet,
        ethertype => Inner::EtherType(ethertype),
    };
    Ok(Inside { tunnel: "geneve", identifier, carried, payload: cursor.rest() })
}

/// GTP-U version 1 (3GPP TS 29.281) with a subscriber's packet inside.
pub fn gtp(bytes: &[u8]) -> Result<Inside<'_>, WireError> {
    let mut cursor = Cursor::new("gtp", bytes);
    let [flags, message] = cursor.array()?;
    // Version 1, no GTP', the reserved bit zero; 255 is a packet.
    if flags & 0xf8 != 0x30 || message != 255 {
        return Err(cursor.wrong("no packet of version 1"));
    }
    cursor.skip(2)?;
    let identifier = Some(cursor.u32()?);
    if flags & 7 != 0 {
        let [_, _, _, mut next] = cursor.array()?;
        // Extension headers in words of four octets; the last octet is the next one's type.
        while next != 0 {
            let octets = usize::from(cursor.u8()?).saturating_mul(4);
            let Some(inside) = octets.checked_sub(2) else {
                return Err(cursor.wrong("extension of length zero"));
            };
            cursor.skip(inside)?;
            next = cursor.u8()?;
        }
    }
    match cursor.rest() {
        [first, ..] if matches!(first >> 4, 4 | 6) => {
            Ok(Inside { tunnel: "gtp", identifier, carried: Inner::Ip, payload: cursor.rest() })
        }
        _ => Err(cursor.wrong("no packet inside")),
    }
}

/// Teredo: an IPv6 packet, with authentication and origin before it where the server wants them.
pub fn teredo(bytes: &[u8]) -> Result<Inside<'_>, WireError> {
    let mut cursor = Cursor::new("teredo", bytes);
    while let [0, kind, ..] = cursor.rest() {
        match kind {
            // Client id and authentication value by their lengths, then nonce and confirmation.
            1 => {
                let [_, _, client, value] = cursor.array()?;
                cursor.skip(usize::from(client).saturating_add(usize::from(value)))?;
                cursor.skip(9)?;
            }
            0 => cursor.skip(8)?,
            _ => return Err(cursor.wrong("unknown indication")),
        }
    }
    match cursor.rest() {
        [first, ..] if first >> 4 == 6 => Ok(Inside {
            tunnel: "teredo",
            identifier: None,
            carried: Inner::Ip,
            payload: cursor.rest(),
        }),
        _ => Err(cursor.wrong("no IPv6 packet inside")),
    }
}

/// A PPPoE session frame: PPP from its protocol field on. Discovery has no session data.
pub fn pppoe_session(bytes: &[u8]) -> Result<&[u8], WireError> {
    let mut cursor = Cursor::new("pppoe", bytes);
    let [version, code] = cursor.array()?;
    if version != 0x11 || code != 0 {
        return Err(cursor.wrong("unknown version or code"));
    }
    cursor.skip(2)?;
    let length = usize::from(cursor.u16()?);
    Ok(cursor.take_up_to(length))
}

/// The packet in a PPP frame that starts with its address and control octets or with its protocol.
/// `None` for protocols that carry no packet.
pub fn ppp(bytes: &[u8]) -> Result<Option<(EtherType, &[u8])>, WireError> {
    let mut cursor = Cursor::new("ppp", bytes);
    if let [0xff, 0x03, ..] = cursor.rest() {
        cursor.skip(2)?;
    }
    // A protocol number is odd in its last octet; one octet alone may be sent for 0x00xx.
    let protocol = match cursor.u8()? {
        octet if octet & 1 == 1 => u16::from(octet),
        octet => u16::from_be_bytes([octet, cursor.u8()?]),
    };
    let ethertype = match protocol {
        0x0021 => EtherType::IPV4,
        0x0057 => EtherType::IPV6,
        0x0281 => EtherType::MPLS,
        0x0283 => EtherType::MPLS_MULTICAST,
        0x0023 => EtherType::OSI,
        0x0207 => EtherType::CDP,
        _ => return Ok(None),
    };
    Ok(Some((ethertype, cursor.rest())))
}

/// The labels of a stack, the outermost first. More than [`MOST_LABELS`] are left out.
pub fn labels(bytes: &[u8]) -> Vec<u32> {
    let mut labels = Vec::new();
    let mut cursor = Cursor::new("mpls", bytes);
    while let Ok(entry) = cursor.u32() {
        labels.push(entry >> 12);
        if entry & 0x100 != 0 || labels.len() >= MOST_LABELS {
            break;
        }
    }
    labels
}

/// Deeper stacks than any platform pushes.
const MOST_LABELS: usize = 16;

/// What stands behind a stack of MPLS labels.
pub fn mpls(bytes: &[u8]) -> Result<&[u8], WireError> {
    let mut cursor = Cursor::new("mpls", bytes);
    while cursor.u32()? & 0x100 == 0 {}
    Ok(cursor.rest())
}

/// The EtherType and payload behind Cisco's metadata tag (TrustSec, EtherType 0x8909).
pub fn metadata(bytes: &[u8]) -> Result<(EtherType, &[u8]), WireError> {
    let mut cursor = Cursor::new("cisco-metadata", bytes);
    let [version, options] = cursor.array()?;
    if version != 1 {
        return Err(cursor.wrong("unknown version"));
    }
    cursor.skip(usize::from(options).saturating_mul(4))?;
    Ok((EtherType(cursor.u16()?), cursor.rest()))
}

/// The customer's frame behind the service tag of a provider backbone bridge.
pub fn backbone(bytes: &[u8]) -> Result<&[u8], WireError> {
    let mut cursor = Cursor::new("802.1ah", bytes);
    cursor.skip(4)?;
    Ok(cursor.rest())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(read: fn(&[u8]) -> Result<Inside<'_>, WireError>, header: &[u8], inner: Inner) {
        let bytes = [header, &[0x60, 9]].concat();
        let inside = read(&bytes).unwrap();
        assert_eq!((inside.carried, inside.payload), (inner, &[0x60, 9][..]));
        for length in 0..header.len() {
            assert!(read(&bytes[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn shims_say_what_is_behind_them() {
        let packet = [0x45, 0];
        let open = [&[0x20, 0, 0, 0, 0, 1][..], &[7; 8], &[8, 0], &packet].concat();
        assert_eq!(macsec(&open), Ok(Some((EtherType::IPV4, &packet[..]))));
        let sealed = [&[0x2c, 0, 0, 0, 0, 1][..], &[7; 10]].concat();
        assert_eq!(macsec(&sealed), Ok(None));
        let short = [&[0, 1, 0, 0x10][..], &[0; 8], &[8, 0], &packet].concat();
        assert_eq!(arista(&short), Ok((EtherType::IPV4, &packet[..])));
        let chain = [&[0, 6, 1, 1, 0, 0, 7, 0xff][..], &[0; 16], &packet].concat();
        assert_eq!(service_header(&chain), Ok(Some((Inner::Ip, &packet[..]))));
        let inside = vxlan_gpe(&[0x0c, 0, 0, 1, 0, 0, 9, 0, 0x45, 0]).unwrap();
        assert_eq!((inside.identifier, inside.carried), (Some(9), Inner::Ip));
        for length in 0..short.len() - 2 {
            assert!(arista(&short[..length]).is_err(), "{length}");
        }
        for length in 0..chain.len() - 2 {
            assert!(service_header(&chain[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn headers_are_passed() {
        check(gre, &[0, 0, 8, 0], Inner::Ip);
        check(gre, &[0xb0, 0, 0x65, 0x58, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], Inner::Ethernet);
        let tagged = [0, 0, 0x89, 0x09, 8, 0, 1, 1, 0, 1, 0, 0];
        check(gre, &tagged, Inner::EtherType(EtherType::IPV4));
        check(gre, &[0x30, 0x81, 0x88, 0x0b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], Inner::Ppp);
        let erspan = [0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0, 0, 0, 0, 0, 0, 0];
        check(gre, &erspan, Inner::Ethernet);
        check(vxlan, &[8, 0, 0, 0, 0, 0, 7, 0], Inner::Ethernet);
        check(geneve, &[1, 0, 0x65, 0x58, 0, 0, 7, 0, 0, 0, 0, 0], Inner::Ethernet);
        check(teredo, &[0, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0], Inner::Ip);
        check(teredo, &[0, 0, 1, 2, 3, 4, 5, 6], Inner::Ip);
    }

    #[test]
    fn ppp_in_all_its_forms() {
        assert_eq!(ppp(&[0xff, 3, 0, 0x21, 7]), Ok(Some((EtherType::IPV4, &[7][..]))));
        assert_eq!(ppp(&[0x57, 7]), Ok(Some((EtherType::IPV6, &[7][..]))));
        assert_eq!(ppp(&[0xc0, 0x21, 7]), Ok(None));
        assert!(ppp(&[0]).is_err());
        assert_eq!(pppoe_session(&[0x11, 0, 0, 1, 0, 2, 0, 0x21, 9]), Ok(&[0, 0x21][..]));
        assert!(pppoe_session(&[0x11, 9, 0, 1, 0, 0]).is_err());
    }

    #[test]
    fn labels_end_at_the_bottom_of_the_stack() {
        assert_eq!(mpls(&[0, 0, 0x10, 64, 0, 0, 0x21, 64, 0x45]), Ok(&[0x45][..]));
        assert!(mpls(&[0, 0, 0x10, 64].repeat(3)).is_err());
        assert_eq!(metadata(&[1, 1, 0, 1, 0, 7, 8, 0, 9]), Ok((EtherType::IPV4, &[9][..])));
        assert!(metadata(&[1, 2, 0, 1, 0, 7, 8, 0]).is_err());
        assert_eq!(backbone(&[0, 0, 0, 1, 9]), Ok(&[9][..]));
    }
}
