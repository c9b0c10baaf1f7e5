//! The headers of links other than Ethernet, as capture files show them (tcpdump.org/linktypes.html).

use super::cursor::{Cursor, WireError};
use super::ethernet::{Carried, EtherType, llc};
use super::link_type::LinkType;
use super::tunnel;
use crate::net::Mac;

/// What a frame of another link shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkHeader<'a> {
    /// The sender, where the header names one by its MAC.
    pub source: Option<Mac>,
    /// `None` where what is carried is no packet (keep-alives, negotiation).
    pub carried: Option<EtherType>,
    pub payload: &'a [u8],
}

/// Reads the header of a link type. `None` for those that are not known here; Ethernet has its own
/// reader.
pub fn read(link_type: LinkType, frame: &[u8]) -> Option<Result<LinkHeader<'_>, WireError>> {
    Some(match link_type {
        LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 => packet(frame),
        // The family differs between systems and byte orders; the packet's first nibble does not.
        LinkType::NULL | LinkType::LOOP => loopback(frame),
        LinkType::PPP | LinkType::PPP_HDLC => ppp(frame),
        LinkType::CISCO_HDLC => cisco_hdlc(frame),
        LinkType::FRAME_RELAY => frame_relay(frame),
        LinkType::LINUX_SLL => cooked(frame),
        LinkType::LINUX_SLL2 => cooked_v2(frame),
        LinkType::NFLOG => nflog(frame),
        _ => return None,
    })
}

fn packet(bytes: &[u8]) -> Result<LinkHeader<'_>, WireError> {
    let carried = match bytes.first().map(|first| first >> 4) {
        Some(4) => Some(EtherType::IPV4),
        Some(6) => Some(EtherType::IPV6),
        Some(_) => None,
        None => return Err(WireError::Short { what: "link", needed: 1, had: 0 }),
    };
    Ok(LinkHeader { source: None, carried, payload: bytes })
}

fn loopback(frame: &[u8]) -> Result<LinkHeader<'_>, WireError> {
    let mut cursor = Cursor::new("loopback", frame);
    cursor.skip(4)?;
    packet(cursor.rest())
}

fn ppp(frame: &[u8]) -> Result<LinkHeader<'_>, WireError> {
    // Cisco's framing is told by its address octets (LINKTYPE_PPP_HDLC).
    if let [0x0f | 0x8f, 0, ..] = frame {
        return cisco_hdlc(frame);
    }
    Ok(match tunnel::ppp(frame)? {
        Some((ethertype, payload)) => {
            LinkHeader { source: None, carried: Some(ethertype), payload }
        }
        None => LinkHeader { source: None, carried: None, payload: Default::default() },
    })
}

fn cisco_hdlc(frame: &[u8]) -> Result<LinkHeader<'_>, WireError> {
    let mut cursor = Cursor::new("cisco-hdlc", frame);
    cursor.skip(2)?;
    let ethertype = EtherType(cursor.u16()?);
    let carried = (ethertype.0 >= 0x0600).then_some(ethertype);
    Ok(LinkHeader { source: None, carried, payload: cursor.rest() })
}

/// Q.922 addresses of two to four octets, then RFC 2427 encapsulation or Cisco's EtherType.
fn frame_relay(frame: &[u8]) -> Result<LinkHeader<'_>, WireError> {
    let mut cursor = Cursor::new("frame-relay", frame);
    let mut octets = 0u8;
    while cursor.u8()? & 1 == 0 {
        octets = octets.saturating_add(1);
        if octets >= 4 {
            return Err(cursor.wrong("address without end"));
        }
    }
    if let [0x03, ..] = cursor.rest() {
        cursor.skip(1)?;
        let mut protocol = cursor.u8()?;
        if protocol == 0 {
            protocol = cursor.u8()?;
        }
        let carried = match protocol {
            0xcc => Some(EtherType::IPV4),
            0x8e => Some(EtherType::IPV6),
            0x80 => {
                let organisation: [u8; 3] = cursor.array()?;
                let protocol = EtherType(cursor.u16()?);
                (organisation == [0; 3]).then_some(protocol)
            }
            _ => None,
        };
        return Ok(LinkHeader { source: None, carried, payload: cursor.rest() });
    }
    let ethertype = EtherType(cursor.u16()?);
    let carried = (ethertype.0 >= 0x0600).then_some(ethertype);
    Ok(LinkHeader { source: None, carried, payload: cursor.rest() })
}

/// Linux's "any" device, version 1.
fn cooked(frame: &[u8]) -> Result<LinkHeader<'_>, WireError> {
    let mut cursor = Cursor::new("linux-sll", frame);
    cursor.skip(2)?;
    let hardware = cursor.u16()?;
    let length = cursor.u16()?;
    let address: [u8; 8] = cursor.array()?;
    let protocol = cursor.u16()?;
    cooked_payload(hardware, length, address, protocol, cursor)
}

fn cooked_v2(frame: &[u8]) -> Result<LinkHeader<'_>, WireError> {
    let mut cursor = Cursor::new("linux-sll2", frame);
    let protocol = cursor.u16()?;
    cursor.skip(6)?;
    let hardware = cursor.u16()?;
    let [_, length] = cursor.array()?;
    let address: [u8; 8] = cursor.array()?;
    cooked_payload(hardware, u16::from(length), address, protocol, cursor)
}

fn cooked_payload<'a>(
    hardware: u16,
    length: u16,
    [a, b, c, d, e, f, _, _]: [u8; 8],
    protocol: u16,
    cursor: Cursor<'a>,
) -> Result<LinkHeader<'a>, WireError> {
    let source = (hardware == 1 && length == 6).then_some(Mac([a, b, c, d, e, f]));
    // 4 is Linux's word for "802.2 follows"; other low numbers carry nothing known.
    let (carried, payload) = match protocol {
        4 => match llc(cursor)? {
            (Carried::EtherType(ethertype), payload) => (Some(ethertype), payload),
            (_, payload) => (None, payload),
        },
        0x0600.. => (Some(EtherType(protocol)), cursor.rest()),
        _ => (None, cursor.rest()),
    };
    Ok(LinkHeader { source, carried, payload })
}

/// Netfilter's log: attributes in the byte order of the machine that wrote them. The packet is
/// attribute 9.
fn nflog(frame: &[u8]) -> Result<LinkHeader<'_>, WireError> {
    let mut cursor = Cursor::new("nflog", frame);
    cursor.skip(4)?;
    while !cursor.is_empty() {
        let length = cursor.array()?;
        let kind = cursor.array()?;
        let (little, big) = (u16::from_le_bytes(length), u16::from_be_bytes(length));
        // No attribute is as long as a short one read the wrong way round.
        let (length, kind) = match usize::from(little) <= cursor.left().saturating_add(4) {
            true => (little, u16::from_le_bytes(kind)),
            false => (big, u16::from_be_bytes(kind)),
        };
        let Some(length) = usize::from(length).checked_sub(4) else {
            return Err(cursor.wrong("attribute shorter than its header"));
        };
        let value = cursor.take(length)?;
        if kind == 9 {
            return packet(value);
        }
        cursor.take_up_to(length.wrapping_neg() & 3);
    }
    Ok(LinkHeader { source: None, carried: None, payload: cursor.rest() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(link_type: LinkType, header: &[u8], carried: EtherType) -> Option<Mac> {
        let bytes = [header, &[0x45, 0]].concat();
        let read = super::read(link_type, &bytes).unwrap().unwrap();
        assert_eq!((read.carried, read.payload), (Some(carried), &[0x45, 0][..]));
        for length in 0..header.len() {
            let cut = super::read(link_type, &bytes[..length]).unwrap();
            assert!(cut.is_err() || cut.unwrap().payload.is_empty(), "{length}");
        }
        read.source
    }

    #[test]
    fn every_link_leads_to_its_packet() {
        let v4 = EtherType::IPV4;
        check(LinkType::RAW, &[], v4);
        check(LinkType::NULL, &[2, 0, 0, 0], v4);
        check(LinkType::PPP, &[0xff, 3, 0, 0x21], v4);
        check(LinkType::PPP_HDLC, &[0x0f, 0, 8, 0], v4);
        check(LinkType::CISCO_HDLC, &[0x0f, 0, 8, 0], v4);
        check(LinkType::FRAME_RELAY, &[0x18, 0x41, 3, 0xcc], v4);
        check(LinkType::FRAME_RELAY, &[0x18, 0x41, 3, 0, 0x80, 0, 0, 0, 8, 0], v4);
        check(LinkType::FRAME_RELAY, &[0x18, 0x41, 8, 0], v4);
        let mac = check(LinkType::LINUX_SLL, &[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 7, 0, 0, 8, 0], v4);
        assert_eq!(mac, Some(Mac([2, 0, 0, 0, 0, 7])));
        let v2 = [8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 7, 0, 0];
        assert_eq!(check(LinkType::LINUX_SLL2, &v2, v4), mac);
        assert!(super::read(LinkType(231), &[]).is_none());
    }

    #[test]
    fn nflog_in_both_byte_orders() {
        let little = [2, 0, 0, 5, 5, 0, 10, 0, 0, 0, 0, 0, 6, 0, 9, 0, 0x45, 0];
        let big = [2, 0, 0, 5, 0, 5, 0, 10, 0, 0, 0, 0, 0, 6, 0, 9, 0x45, 0];
        for bytes in [little, big] {
            let read = super::read(LinkType::NFLOG, &bytes).unwrap().unwrap();
            assert_eq!((read.carried, read.payload), (Some(EtherType::IPV4), &[0x45, 0][..]));
        }
    }
}
