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
    pub destination: Option<Mac>,
    pub behind: Behind,
    pub payload: &'a [u8],
}

/// What follows the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behind {
    /// No packet: keep-alives, negotiation, management.
    Nothing,
    Carried(Carried),
    /// A whole Ethernet frame.
    Ethernet,
}

impl Behind {
    const fn ethertype(ethertype: EtherType) -> Behind {
        Behind::Carried(Carried::EtherType(ethertype))
    }

    /// A protocol field that is no EtherType below 0x0600.
    const fn number(protocol: u16) -> Behind {
        match protocol {
            0x0600.. => Behind::ethertype(EtherType(protocol)),
            _ => Behind::Nothing,
        }
    }
}

impl<'a> LinkHeader<'a> {
    const fn without_addresses(behind: Behind, payload: &'a [u8]) -> LinkHeader<'a> {
        LinkHeader { source: None, destination: None, behind, payload }
    }
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
        LinkType::OLD_RAW | LinkType::OLD_RAW_OPENBSD => packet(frame),
        // A direction stands before.
        LinkType::PPP_WITH_DIRECTION | LinkType::PPP_PPPD => skipped(1, frame).and_then(ppp),
        LinkType::CISCO_HDLC_WITH_DIRECTION => skipped(1, frame).and_then(cisco_hdlc),
        LinkType::FRAME_RELAY_WITH_DIRECTION => skipped(1, frame).and_then(frame_relay),
        LinkType::PPPOE => {
            Ok(LinkHeader::without_addresses(Behind::ethertype(EtherType::PPPOE_SESSION), frame))
        }
        LinkType::MPLS => {
            Ok(LinkHeader::without_addresses(Behind::ethertype(EtherType::MPLS), frame))
        }
        LinkType::TOKEN_RING => token_ring(frame),
        LinkType::FDDI => fddi(frame),
        LinkType::IP_OVER_FIBRE_CHANNEL => fibre_channel(frame),
        LinkType::ATM => atm(frame),
        LinkType::WIRELESS => wireless(frame),
        LinkType::WIRELESS_PRISM => skipped(PRISM, frame).and_then(wireless),
        LinkType::WIRELESS_RADIOTAP => radiotap(frame),
        LinkType::WIRELESS_AVS => avs(frame),
        LinkType::ENC => skipped(12, frame).and_then(packet),
        LinkType::PFLOG => pflog(frame),
        LinkType::NETANALYZER => skipped(4, frame).map(whole),
        LinkType::NETANALYZER_TRANSPARENT => skipped(12, frame).map(whole),
        LinkType::MPACKET => skipped(8, frame).map(whole),
        LinkType::JUNIPER_ETHERNET => juniper(frame).map(whole),
        LinkType::JUNIPER_PPP => juniper(frame).and_then(ppp),
        LinkType::JUNIPER_FRAME_RELAY => juniper(frame).and_then(frame_relay),
        LinkType::JUNIPER_CISCO_HDLC => juniper(frame).and_then(cisco_hdlc),
        // Solaris' hook: zones and interfaces, in 24 octets.
        LinkType::IPNET => skipped(24, frame).and_then(packet),
        LinkType::IPOIB => infiniband(frame),
        LinkType::PKTAP => return pktap(frame),
        _ => return None,
    })
}

fn packet(bytes: &[u8]) -> Result<LinkHeader<'_>, WireError> {
    let behind = match bytes.first().map(|first| first >> 4) {
        Some(4) => Behind::ethertype(EtherType::IPV4),
        Some(6) => Behind::ethertype(EtherType::IPV6),
        Some(_) => Behind::Nothing,
        None => return Err(WireError::Short { what: "link", needed: 1, had: 0 }),
    };
    Ok(LinkHeader::without_addresses(behind, bytes))
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
            LinkHeader::without_addresses(Behind::ethertype(ethertype), payload)
        }
        None => LinkHeader::without_addresses(Behind::Nothing, Default::default()),
    })
}

fn cisco_hdlc(frame: &[u8]) -> Result<LinkHeader<'_>, WireError> {
    let mut cursor = Cursor::new("cisco-hdlc", frame);
    cursor.skip(2)?;
    let behind = Behind::number(cursor.u16()?);
    Ok(LinkHeader::without_addresses(behind, cursor.rest()))
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
        let behind = match protocol {
            0xcc => Behind::ethertype(EtherType::IPV4),
            0x8e => Behind::ethertype(EtherType::IPV6),
            0x80 => match (cursor.array()?, cursor.u16()?) {
                ([0, 0, 0], protocol) => Behind::number(protocol),
                // Bridged Ethernet, with and without its checksum (RFC 2427 §4.2).
                ([0, 0x80, 0xc2], 1 | 7) => Behind::Ethernet,
                (organisation, protocol) => Behind::Carried(Carried::Snap(organisation, protocol)),
            },
            // The ISO protocols are known by this octet themselves.
            0x81..=0x83 => {
                let at = frame.len().saturating_sub(cursor.left()).saturating_sub(1);
                let payload = frame.get(at..).unwrap_or_default();
                return Ok(LinkHeader::without_addresses(
                    Behind::ethertype(EtherType::OSI),
                    payload,
                ));
            }
            _ => Behind::Nothing,
        };
        return Ok(LinkHeader::without_addresses(behind, cursor.rest()));
    }
    let behind = Behind::number(cursor.u16()?);
    Ok(LinkHeader::without_addresses(behind, cursor.rest()))
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
    let (behind, payload) = match protocol {
        4 => {
            let (carried, payload) = llc(cursor)?;
            (Behind::Carried(carried), payload)
        }
        // Of a GRE device the field is what GRE announces, and Ethernet frames have this number.
        0x6558 => (Behind::Ethernet, cursor.rest()),
        protocol => (Behind::number(protocol), cursor.rest()),
    };
    Ok(LinkHeader { source, destination: None, behind, payload })
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
    Ok(LinkHeader::without_addresses(Behind::Nothing, cursor.rest()))
}

/// The header of a prism card: 144 octets, of which none is needed.
const PRISM: usize = 144;

fn skipped(octets: usize, frame: &[u8]) -> Result<&[u8], WireError> {
    let mut cursor = Cursor::new("link", frame);
    cursor.skip(octets)?;
    Ok(cursor.rest())
}

const fn whole(frame: &[u8]) -> LinkHeader<'_> {
    LinkHeader::without_addresses(Behind::Ethernet, frame)
}

/// Juniper's word before the link's own header: a mark, flags, and with one of them extensions behind their length.
fn juniper(frame: &[u8]) -> Result<&[u8], WireError> {
    let mut cursor = Cursor::new("juniper", frame);
    let [m, g, c, flags] = cursor.array()?;
    if [m, g, c] != *b"MGC" {
        return Err(cursor.wrong("another mark"));
    }
    if flags & 0x80 != 0 {
        let extensions = cursor.u16()?;
        cursor.skip(usize::from(extensions))?;
    }
    // Without a link header the packet's first nibble would have to do.
    if flags & 2 != 0 {
        return Err(cursor.wrong("no link header"));
    }
    Ok(cursor.rest())
}

/// A global routing header of forty octets (which may be empty), then RFC 4391: an EtherType and two octets of nothing.
/// The addresses have twenty octets and are no MACs.
fn infiniband(frame: &[u8]) -> Result<LinkHeader<'_>, WireError> {
    let mut cursor = Cursor::new("infiniband", frame);
    cursor.skip(40)?;
    let behind = Behind::number(cursor.u16()?);
    cursor.skip(2)?;
    Ok(LinkHeader::without_addresses(behind, cursor.rest()))
}

/// LLC behind addresses.
fn with_llc<'a>(
    source: Mac,
    destination: Mac,
    cursor: Cursor<'a>,
) -> Result<LinkHeader<'a>, WireError> {
    let (carried, payload) = llc(cursor)?;
    Ok(LinkHeader {
        source: Some(source),
        destination: Some(destination),
        behind: Behind::Carried(carried),
        payload,
    })
}

/// Token ring (IEEE 802.5). A set group bit in the source says that a route follows.
fn token_ring(frame: &[u8]) -> Result<LinkHeader<'_>, WireError> {
    let mut cursor = Cursor::new("token-ring", frame);
    let [_, control] = cursor.array()?;
    let destination = cursor.mac()?;
    let Mac([first, rest @ ..]) = cursor.mac()?;
    let [a, b, c, d, e] = rest;
    let source = Mac([first & 0x7f, a, b, c, d, e]);
    if first & 0x80 != 0 {
        let octets = usize::from(cursor.u16()? >> 8 & 0x1f);
        cursor.skip(octets.saturating_sub(2))?;
    }
    if control & 0xc0 != 0x40 {
        return Ok(LinkHeader::without_addresses(Behind::Nothing, cursor.rest()));
    }
    with_llc(source, destination, cursor)
}

fn fddi(frame: &[u8]) -> Result<LinkHeader<'_>, WireError> {
    let mut cursor = Cursor::new("fddi", frame);
    let control = cursor.u8()?;
    let (destination, source) = (cursor.mac()?, cursor.mac()?);
    if control & 0x30 != 0x10 {
        return Ok(LinkHeader::without_addresses(Behind::Nothing, cursor.rest()));
    }
    with_llc(source, destination, cursor)
}

/// RFC 2625: two octets of network address authority before each MAC.
fn fibre_channel(frame: &[u8]) -> Result<LinkHeader<'_>, WireError> {
    let mut cursor = Cursor::new("fibre-channel", frame);
    cursor.skip(2)?;
    let destination = cursor.mac()?;
    cursor.skip(2)?;
    let source = cursor.mac()?;
    with_llc(source, destination, cursor)
}

/// RFC 2684: LLC, or a bridged frame behind a pad.
fn atm(frame: &[u8]) -> Result<LinkHeader<'_>, WireError> {
    let (carried, payload) = llc(Cursor::new("atm", frame))?;
    if matches!(carried, Carried::Snap([0, 0x80, 0xc2], 1 | 7)) {
        return skipped(2, payload).map(whole);
    }
    Ok(LinkHeader::without_addresses(Behind::Carried(carried), payload))
}

/// Data frames of IEEE 802.11 that are not encrypted. Beacons, control and the rest carry no packet.
fn wireless(frame: &[u8]) -> Result<LinkHeader<'_>, WireError> {
    let mut cursor = Cursor::new("802.11", frame);
    let [kind, flags] = cursor.array()?;
    let nothing = Ok(LinkHeader::without_addresses(Behind::Nothing, Default::default()));
    // Data of version 0; bit 6 of the first octet marks frames without data, 0x40 encryption.
    if kind & 0x0f != 0x08 || kind & 0x40 != 0 || flags & 0x40 != 0 {
        return nothing;
    }
    cursor.skip(2)?;
    let (first, second, third) = (cursor.mac()?, cursor.mac()?, cursor.mac()?);
    cursor.skip(2)?;
    // By the way through the access point: to it, from it, or between two of them.
    let (destination, source) = match flags & 3 {
        0 => (first, second),
        1 => (third, second),
        2 => (first, third),
        _ => (third, cursor.mac()?),
    };
    if kind & 0x80 != 0 {
        // Quality of service, and with the order bit a field of HT.
        let control = cursor.u16()?;
        if flags & 0x80 != 0 {
            cursor.skip(4)?;
        }
        // Several frames in one are left.
        if control >> 8 & 0x80 != 0 {
            return nothing;
        }
    }
    with_llc(source, destination, cursor)
}

fn radiotap(frame: &[u8]) -> Result<LinkHeader<'_>, WireError> {
    let mut cursor = Cursor::new("radiotap", frame);
    cursor.skip(2)?;
    let length = usize::from(u16::from_le_bytes(cursor.array()?));
    let present = u32::from_le_bytes(cursor.array()?);
    let Some(rest) = length.checked_sub(8) else {
        return Err(cursor.wrong("length shorter than the header"));
    };
    let mut fields = cursor.part(rest)?;
    // The flags stand behind the timestamp; further words of presence come before both.
    let mut more = present;
    while more & 0x8000_0000 != 0 {
        more = u32::from_le_bytes(fields.array()?);
    }
    let mut padded = false;
    if present & 1 != 0 {
        let before = rest.saturating_sub(fields.left());
        // Aligned to eight octets, counted from the header's start, which is eight octets before.
        fields.skip(before.wrapping_neg() & 7)?;
        fields.skip(8)?;
    }
    if present & 2 != 0 {
        // 0x20: a pad between the 802.11 header and the payload.
        padded = fields.u8()? & 0x20 != 0;
    }
    if padded {
        return wireless_padded(cursor.rest());
    }
    wireless(cursor.rest())
}

/// Some cards fill the header up to a multiple of four.
fn wireless_padded(frame: &[u8]) -> Result<LinkHeader<'_>, WireError> {
    let [kind, flags, ..] = *frame else { return wireless(frame) };
    let length = 24usize
        .saturating_add(if flags & 3 == 3 { 6 } else { 0 })
        .saturating_add(if kind & 0x80 != 0 { 2 } else { 0 });
    let pad = length.wrapping_neg() & 3;
    let read = wireless(frame)?;
    if pad == 0 || read.behind == Behind::Nothing {
        return Ok(read);
    }
    let mut cursor = Cursor::new("802.11", frame);
    cursor.skip(length.saturating_add(pad))?;
    let (carried, payload) = llc(cursor)?;
    Ok(LinkHeader { behind: Behind::Carried(carried), payload, ..read })
}

/// The header of AVS says its own length.
fn avs(frame: &[u8]) -> Result<LinkHeader<'_>, WireError> {
    let mut cursor = Cursor::new("avs", frame);
    cursor.skip(4)?;
    let length = usize::try_from(cursor.u32()?).unwrap_or(usize::MAX);
    skipped(length, frame).and_then(wireless)
}

/// OpenBSD's packet filter: the header says its length, without the pad to four octets.
fn pflog(frame: &[u8]) -> Result<LinkHeader<'_>, WireError> {
    let length = usize::from(Cursor::new("pflog", frame).u8()?);
    skipped(length.saturating_add(3) & !3, frame).and_then(packet)
}

/// Apple's header before frames of any link. `None` where that link is not known.
fn pktap(frame: &[u8]) -> Option<Result<LinkHeader<'_>, WireError>> {
    let mut cursor = Cursor::new("pktap", frame);
    let mut field = || cursor.array().map(u32::from_le_bytes);
    let (length, _, dlt) = match (field(), field(), field()) {
        (Ok(length), Ok(kind), Ok(dlt)) => (length, kind, dlt),
        (Err(fault), ..) | (_, Err(fault), _) | (.., Err(fault)) => return Some(Err(fault)),
    };
    let inner = match skipped(usize::try_from(length).unwrap_or(usize::MAX), frame) {
        Ok(inner) => inner,
        Err(fault) => return Some(Err(fault)),
    };
    match LinkType(u16::try_from(dlt).ok()?) {
        LinkType::ETHERNET => Some(Ok(whole(inner))),
        LinkType::PKTAP => None,
        link_type => read(link_type, inner),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_other_makers_put_before_their_links() {
        let frame = [&[2; 12][..], &[8, 0]].concat();
        let juniper = [&b"MGC\x80\0\x04"[..], &[1; 4], &frame].concat();
        let read = super::read(LinkType::JUNIPER_ETHERNET, &juniper).unwrap().unwrap();
        assert_eq!((read.behind, read.payload), (Behind::Ethernet, &frame[..]));
        assert!(super::read(LinkType::JUNIPER_ETHERNET, b"MGC\x02").unwrap().is_err());
        check(LinkType::IPNET, &[0; 24], EtherType::IPV4);
        check(LinkType::IPOIB, &[&[0; 40][..], &[8, 0, 0, 0]].concat(), EtherType::IPV4);
    }

    #[track_caller]
    fn check(link_type: LinkType, header: &[u8], carried: EtherType) -> Option<Mac> {
        let bytes = [header, &[0x45, 0]].concat();
        let read = super::read(link_type, &bytes).unwrap().unwrap();
        assert_eq!((read.behind, read.payload), (Behind::ethertype(carried), &[0x45, 0][..]));
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
    fn wireless_data_leads_to_its_packet() {
        let v4 = EtherType::IPV4;
        let mut data = vec![0x88, 1, 0, 0, 9, 9, 9, 9, 9, 9, 2, 0, 0, 0, 0, 7, 2, 0, 0, 0, 0, 8];
        data.extend([0, 0, 0, 0, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0]);
        let station = Some(Mac([2, 0, 0, 0, 0, 7]));
        assert_eq!(check(LinkType::WIRELESS, &data, v4), station);
        let tap = [&[0, 0, 8, 0, 0, 0, 0, 0][..], &data].concat();
        assert_eq!(check(LinkType::WIRELESS_RADIOTAP, &tap, v4), station);
        let flagged = [0, 0, 18, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let tap = [&flagged[..], &data].concat();
        assert_eq!(check(LinkType::WIRELESS_RADIOTAP, &tap, v4), station);
        let beacon = super::read(LinkType::WIRELESS, &[0x80, 0, 0, 0]).unwrap().unwrap();
        assert_eq!(beacon.behind, Behind::Nothing);
    }

    #[test]
    fn rarer_links_lead_to_their_packets() {
        let v4 = EtherType::IPV4;
        let mut pflog = vec![61, 2, 0, 0];
        pflog.resize(64, 0);
        check(LinkType::PFLOG, &pflog, v4);
        let mut pktap = vec![16, 0, 0, 0, 1, 0, 0, 0, 101, 0, 0, 0, 0, 0, 0, 0];
        check(LinkType::PKTAP, &pktap, v4);
        pktap[8..10].copy_from_slice(&258u16.to_le_bytes());
        assert!(super::read(LinkType::PKTAP, &pktap).is_none());
        check(LinkType::PPP_PPPD, &[0, 0xff, 3, 0, 0x21], v4);
        check(LinkType::ATM, &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], v4);
        let mut fddi = vec![0x50];
        fddi.extend([2, 0, 0, 0, 0, 8, 2, 0, 0, 0, 0, 7, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0]);
        assert_eq!(check(LinkType::FDDI, &fddi, v4), Some(Mac([2, 0, 0, 0, 0, 7])));
    }

    proptest::proptest! {
        #[test]
        fn no_octets_make_it_panic(
            octets in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
            link_type in 0u16..300,
        ) {
            let _ = super::read(LinkType(link_type), &octets);
        }
    }

    #[test]
    fn nflog_in_both_byte_orders() {
        let little = [2, 0, 0, 5, 5, 0, 10, 0, 0, 0, 0, 0, 6, 0, 9, 0, 0x45, 0];
        let big = [2, 0, 0, 5, 0, 5, 0, 10, 0, 0, 0, 0, 0, 6, 0, 9, 0x45, 0];
        for bytes in [little, big] {
            let read = super::read(LinkType::NFLOG, &bytes).unwrap().unwrap();
            let v4 = Behind::ethertype(EtherType::IPV4);
            assert_eq!((read.behind, read.payload), (v4, &[0x45, 0][..]));
        }
    }
}
