//! Ethernet II and IEEE 802.3 frames, with 802.1Q and 802.1ad tags, LLC and SNAP.

use std::fmt;

use super::cursor::{Cursor, WireError};
use crate::net::Mac;

/// The octets of an untagged Ethernet header.
pub const HEADER: usize = 14;

/// An EtherType (IEEE 802 numbers); values below 0x0600 are lengths and never stand here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EtherType(pub u16);

impl EtherType {
    pub const IPV4: EtherType = EtherType(0x0800);
    pub const ARP: EtherType = EtherType(0x0806);
    pub const VLAN: EtherType = EtherType(0x8100);
    pub const IPV6: EtherType = EtherType(0x86dd);
    pub const MPLS: EtherType = EtherType(0x8847);
    pub const MPLS_MULTICAST: EtherType = EtherType(0x8848);
    pub const PPPOE_SESSION: EtherType = EtherType(0x8864);
    /// Also CDP behind Cisco's HDLC and GRE, which have no SNAP.
    pub const CDP: EtherType = EtherType(0x2000);
    /// Where 802.3 has no length that is long enough: LLC follows.
    pub const JUMBO_LLC: EtherType = EtherType(0x8870);
    /// The ISO protocols behind Cisco's HDLC, and behind GRE.
    pub const OSI: EtherType = EtherType(0xfefe);
    pub const OSI_GRE: EtherType = EtherType(0x00fe);
    /// IEEE 802.3 annex 57A: LACP and its marker among them.
    pub const SLOW_PROTOCOLS: EtherType = EtherType(0x8809);
    pub const PPPOE_DISCOVERY: EtherType = EtherType(0x8863);
    pub const SERVICE_VLAN: EtherType = EtherType(0x88a8);
    pub const LLDP: EtherType = EtherType(0x88cc);
    /// The I-TAG of IEEE 802.1ah: a whole customer frame inside a provider's.
    pub const BACKBONE: EtherType = EtherType(0x88e7);
    /// IEEE 802.1AE.
    pub const MACSEC: EtherType = EtherType(0x88e5);
    /// Network service header, RFC 8300.
    pub const SERVICE_HEADER: EtherType = EtherType(0x894f);
    /// Arista's, which puts timestamps before the EtherType.
    pub const ARISTA: EtherType = EtherType(0xd28b);
    /// Cisco's security group tag, with another EtherType behind it.
    pub const METADATA: EtherType = EtherType(0x8909);
    pub const TRANSPARENT_BRIDGING: EtherType = EtherType(0x6558);

    /// The tags that only add a VLAN: 802.1Q, 802.1ad, and the older numbers for stacked tags.
    pub const fn is_tag(self) -> bool {
        matches!(self.0, 0x8100 | 0x88a8 | 0x9100 | 0x9200 | 0x9300)
    }
}

impl fmt::Debug for EtherType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:04x}", self.0)
    }
}

/// What follows the addresses and tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Carried {
    EtherType(EtherType),
    /// IEEE 802.2 LLC that is not SNAP, by its destination service access point.
    Llc(u8),
    /// SNAP with an organisation's own protocol numbers. SNAP of organisation zero is an EtherType.
    Snap([u8; 3], u16),
}

/// One frame's header and what it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ethernet<'a> {
    pub destination: Mac,
    pub source: Mac,
    /// The VLAN of the outermost tag; zero is a priority tag.
    pub vlan: Option<u16>,
    /// The VLAN of the tag behind it.
    pub inner_vlan: Option<u16>,
    pub carried: Carried,
    pub payload: &'a [u8],
}

/// More tags than this on one frame are an attempt, not a network.
const MOST_TAGS: u8 = 8;

impl<'a> Ethernet<'a> {
    #[inline]
    pub fn read(frame: &'a [u8]) -> Result<Ethernet<'a>, WireError> {
        let mut cursor = Cursor::new("ethernet", frame);
        let destination = cursor.mac()?;
        let source = cursor.mac()?;
        let mut ethertype = EtherType(cursor.u16()?);
        let (mut vlan, mut inner_vlan) = (None, None);
        let mut tags = 0u8;
        while ethertype.is_tag() {
            tags = tags.saturating_add(1);
            if tags > MOST_TAGS {
                return Err(cursor.wrong("too many tags"));
            }
            let id = cursor.u16()? & 0x0fff;
            if vlan.is_none() {
                vlan = Some(id);
            } else if inner_vlan.is_none() {
                inner_vlan = Some(id);
            }
            ethertype = EtherType(cursor.u16()?);
        }
        let (carried, payload) = carried(ethertype, cursor)?;
        Ok(Ethernet { destination, source, vlan, inner_vlan, carried, payload })
    }
}

/// An EtherType, or a length with LLC behind it.
fn carried<'a>(
    ethertype: EtherType,
    mut cursor: Cursor<'a>,
) -> Result<(Carried, &'a [u8]), WireError> {
    if ethertype.0 >= 0x0600 {
        return Ok((Carried::EtherType(ethertype), cursor.rest()));
    }
    if ethertype.0 > 1500 {
        return Err(cursor.wrong("neither an EtherType nor a length"));
    }
    let length = usize::from(ethertype.0).min(cursor.left());
    llc(cursor.part(length)?)
}

/// LLC, and through SNAP to the EtherType where there is one.
pub fn llc<'a>(mut cursor: Cursor<'a>) -> Result<(Carried, &'a [u8]), WireError> {
    let [dsap, ssap, control] = cursor.array()?;
    if (dsap, ssap, control) != (0xaa, 0xaa, 0x03) {
        return Ok((Carried::Llc(dsap), cursor.rest()));
    }
    let organisation: [u8; 3] = cursor.array()?;
    let protocol = cursor.u16()?;
    let carried = match organisation {
        [0, 0, 0] if protocol >= 0x0600 => Carried::EtherType(EtherType(protocol)),
        _ => Carried::Snap(organisation, protocol),
    };
    Ok((carried, cursor.rest()))
}

/// Appends an untagged Ethernet II header.
pub fn write(frame: &mut Vec<u8>, destination: Mac, source: Mac, ethertype: EtherType) {
    frame.extend_from_slice(&destination.0);
    frame.extend_from_slice(&source.0);
    frame.extend_from_slice(&ethertype.0.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESSES: [u8; 12] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1];

    fn frame(behind: &[u8]) -> Vec<u8> {
        [&ADDRESSES[..], behind].concat()
    }

    #[test]
    fn tags_are_passed_and_kept() {
        let bytes = frame(&[0x88, 0xa8, 0x20, 0x64, 0x81, 0, 0, 0xc8, 0x08, 0x06, 9, 9]);
        let read = Ethernet::read(&bytes).unwrap();
        assert_eq!((read.vlan, read.inner_vlan), (Some(100), Some(200)));
        assert_eq!(read.carried, Carried::EtherType(EtherType::ARP));
        assert_eq!(read.payload, [9, 9]);
        for length in 0..bytes.len() - 2 {
            assert!(Ethernet::read(&bytes[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn snap_leads_to_the_ethertype_and_padding_is_left_out() {
        let bytes = frame(&[0, 10, 0xaa, 0xaa, 3, 0, 0, 0, 0x88, 0xcc, 7, 8, 0, 0, 0]);
        let read = Ethernet::read(&bytes).unwrap();
        assert_eq!(read.carried, Carried::EtherType(EtherType::LLDP));
        assert_eq!(read.payload, [7, 8]);
        let cdp = frame(&[0, 9, 0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0x00, 1]);
        assert_eq!(Ethernet::read(&cdp).unwrap().carried, Carried::Snap([0, 0, 0x0c], 0x2000));
        let stp = frame(&[0, 3, 0x42, 0x42, 3]);
        assert_eq!(Ethernet::read(&stp).unwrap().carried, Carried::Llc(0x42));
    }

    #[test]
    fn a_tower_of_tags_ends() {
        assert!(Ethernet::read(&frame(&[0x81, 0, 0, 1].repeat(200))).is_err());
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut bytes = Vec::new();
        write(&mut bytes, Mac::BROADCAST, Mac([2, 0, 0, 0, 0, 1]), EtherType::IPV6);
        assert_eq!(bytes.len(), HEADER);
        let read = Ethernet::read(&bytes).unwrap();
        assert_eq!((read.destination, read.source), (Mac::BROADCAST, Mac([2, 0, 0, 0, 0, 1])));
        assert_eq!(read.carried, Carried::EtherType(EtherType::IPV6));
    }
}
