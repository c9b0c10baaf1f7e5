//! LLDP (IEEE 802.1AB-2016).

use std::net::IpAddr;

use super::cursor::{Cursor, Kept, WireError};
use crate::net::Mac;

/// TLVs read of one frame: more than any jumbo frame of a real switch has.
const MOST_TLVS: u32 = 512;

/// One LLDPDU, as far as it could be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lldp<'a> {
    pub chassis: Option<Identity<'a>>,
    pub port: Option<Identity<'a>>,
    /// Seconds; zero says that the port goes away.
    pub time_to_live: Option<u16>,
    pub port_description: Option<&'a [u8]>,
    pub system_name: Option<&'a [u8]>,
    pub system_description: Option<&'a [u8]>,
    /// Capabilities that are switched on, bits of table 8-4.
    pub capabilities: u16,
    pub management: Vec<IpAddr>,
}

/// A chassis or port id: what the subtype says the octets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity<'a> {
    pub subtype: u8,
    pub value: IdentityValue<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityValue<'a> {
    Mac(Mac),
    Address(IpAddr),
    Text(&'a [u8]),
}

impl<'a> Lldp<'a> {
    /// TLVs before a fault are kept: the second value is the fault.
    pub fn read(bytes: &'a [u8]) -> Kept<Lldp<'a>> {
        let mut lldp = Lldp::default();
        let ended = lldp.read_tlvs(Cursor::new("lldp", bytes));
        (lldp, ended)
    }

    fn read_tlvs(&mut self, mut cursor: Cursor<'a>) -> Result<(), WireError> {
        let mut fault = Ok(());
        for _ in 0..MOST_TLVS {
            let head = cursor.u16()?;
            let value = cursor.part(usize::from(head & 0x01ff))?;
            let kind = (head >> 9) as u8;
            if kind == 0 {
                let mandatory =
                    self.chassis.is_some() && self.port.is_some() && self.time_to_live.is_some();
                return match fault {
                    Ok(()) if !mandatory => Err(cursor.wrong("mandatory TLV missing")),
                    fault => fault,
                };
            }
            // A TLV that is wrong inside does not spoil the next one.
            fault = self.take(kind, value).and(fault);
        }
        Err(cursor.wrong("too many TLVs"))
    }

    fn take(&mut self, kind: u8, mut value: Cursor<'a>) -> Result<(), WireError> {
        match kind {
            1 => self.chassis = Some(identity(&mut value, 4, 5)?),
            2 => self.port = Some(identity(&mut value, 3, 4)?),
            3 => self.time_to_live = Some(value.u16()?),
            4 => self.port_description = text(value),
            5 => self.system_name = text(value),
            6 => self.system_description = text(value),
            7 => {
                value.skip(2)?;
                self.capabilities = value.u16()?;
            }
            8 => {
                let length = usize::from(value.u8()?);
                let address = value.part(length)?;
                if let Some(address) = network_address(address)?
                    && !self.management.contains(&address)
                {
                    self.management.push(address);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Which subtypes are a MAC and a network address differs between chassis and port.
fn identity<'a>(value: &mut Cursor<'a>, mac: u8, network: u8) -> Result<Identity<'a>, WireError> {
    let subtype = value.u8()?;
    let octets = value.rest();
    let read = if subtype == mac {
        value.mac().map(IdentityValue::Mac)?
    } else if subtype == network {
        match network_address(*value)? {
            Some(address) => IdentityValue::Address(address),
            None => IdentityValue::Text(octets),
        }
    } else {
        IdentityValue::Text(octets)
    };
    Ok(Identity { subtype, value: read })
}

/// An address with its IANA family number before it; families other than IP are `None`.
fn network_address(mut value: Cursor<'_>) -> Result<Option<IpAddr>, WireError> {
    Ok(match value.u8()? {
        1 => Some(value.ipv4()?.into()),
        2 => Some(value.ipv6()?.into()),
        _ => None,
    })
}

fn text(value: Cursor<'_>) -> Option<&[u8]> {
    let mut text = value.rest();
    while let [before @ .., 0] = text {
        text = before;
    }
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tlv(kind: u16, value: &[u8]) -> Vec<u8> {
        [&(kind << 9 | value.len() as u16).to_be_bytes()[..], value].concat()
    }

    fn unit() -> Vec<u8> {
        [
            tlv(1, &[4, 2, 0, 0, 0, 0, 1]),
            tlv(2, &[&[5][..], b"Gi1/0/2"].concat()),
            tlv(3, &[0, 120]),
            tlv(4, b"uplink\0"),
            tlv(5, b"switch"),
            tlv(7, &[0, 0x14, 0, 4]),
            tlv(8, &[5, 1, 10, 20, 1, 2, 2, 0, 0, 0, 1, 0]),
            tlv(127, &[0, 0x80, 0xc2, 1]),
            tlv(0, &[]),
        ]
        .concat()
    }

    #[test]
    fn every_tlv_that_is_taken() {
        let bytes = unit();
        let (lldp, ended) = Lldp::read(&bytes);
        assert_eq!(ended, Ok(()));
        let mac = IdentityValue::Mac(Mac([2, 0, 0, 0, 0, 1]));
        assert_eq!(lldp.chassis, Some(Identity { subtype: 4, value: mac }));
        assert_eq!(lldp.port.unwrap().value, IdentityValue::Text(b"Gi1/0/2"));
        assert_eq!(lldp.port_description, Some(&b"uplink"[..]));
        assert_eq!(lldp.system_name, Some(&b"switch"[..]));
        assert_eq!((lldp.capabilities, lldp.time_to_live), (4, Some(120)));
        assert_eq!(lldp.management, ["10.20.1.2".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn cut_at_every_length_it_keeps_the_tlvs_before() {
        let bytes = unit();
        for length in 0..bytes.len() {
            let (lldp, ended) = Lldp::read(&bytes[..length]);
            assert!(ended.is_err(), "{length}");
            assert_eq!(lldp.chassis.is_some(), length >= 9);
        }
    }

    #[test]
    fn a_tlv_that_lies_spoils_itself_alone() {
        let bytes = [
            tlv(1, &[4, 2, 0]),
            tlv(8, &[200, 1]),
            tlv(2, &[7, b'1']),
            tlv(3, &[0, 0]),
            tlv(0, &[]),
        ]
        .concat();
        let (lldp, ended) = Lldp::read(&bytes);
        assert_eq!((lldp.chassis, lldp.port.unwrap().subtype), (None, 7));
        assert_eq!(ended.unwrap_err().why(), "ends early");
        let (_, ended) = Lldp::read(&tlv(127, &[]).repeat(5000));
        assert_eq!(ended.unwrap_err().why(), "too many TLVs");
        assert_eq!(Lldp::read(&tlv(0, &[])).1.unwrap_err().why(), "mandatory TLV missing");
    }
}
