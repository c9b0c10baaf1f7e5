//! The discovery protocols of Extreme Networks (EDP) and MikroTik (MNDP), as Wireshark and tcpdump read them.

use std::net::{IpAddr, Ipv4Addr};

use super::cursor::{Cursor, Kept, WireError};
use crate::net::Mac;

/// The UDP port at both ends.
pub const MNDP_PORT: u16 = 5678;
/// VLANs and addresses kept of one message.
const MOST: usize = 256;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edp<'a> {
    /// The device's own MAC.
    pub system: Mac,
    pub name: Option<&'a [u8]>,
    pub slot: Option<u16>,
    pub port: Option<u16>,
    pub software: Option<[u8; 4]>,
    pub vlans: Vec<u16>,
    pub addresses: Vec<Ipv4Addr>,
}

impl<'a> Edp<'a> {
    /// What stands before a fault is kept: the second value is the fault.
    pub fn read(bytes: &'a [u8]) -> Result<Kept<Edp<'a>>, WireError> {
        let mut cursor = Cursor::new("edp", bytes);
        let [version, _] = cursor.array()?;
        if version != 1 {
            return Err(cursor.wrong("unknown version"));
        }
        // Length, checksum, sequence number, and the kind of the identifier, which is a MAC.
        cursor.skip(8)?;
        let mut edp = Edp {
            system: cursor.mac()?,
            name: None,
            slot: None,
            port: None,
            software: None,
            vlans: Vec::new(),
            addresses: Vec::new(),
        };
        let ended = edp.read_tlvs(cursor);
        Ok((edp, ended))
    }

    fn read_tlvs(&mut self, mut cursor: Cursor<'a>) -> Result<(), WireError> {
        while !cursor.is_empty() {
            let [marker, kind] = cursor.array()?;
            if marker != 0x99 {
                return Err(cursor.wrong("TLV without its marker"));
            }
            let Some(length) = usize::from(cursor.u16()?).checked_sub(4) else {
                return Err(cursor.wrong("TLV shorter than its header"));
            };
            let mut value = cursor.part(length)?;
            match kind {
                0 => return Ok(()),
                1 => self.name = Some(value.rest()),
                2 => {
                    // Slot and port are counted from zero.
                    self.slot = Some(value.u16()?.saturating_add(1));
                    self.port = Some(value.u16()?.saturating_add(1));
                    value.skip(8)?;
                    self.software = Some(value.array()?);
                }
                5 => {
                    value.skip(2)?;
                    let vlan = value.u16()?;
                    value.skip(4)?;
                    let address = value.ipv4()?;
                    if self.vlans.len() < MOST {
                        self.vlans.push(vlan);
                        if !address.is_unspecified() {
                            self.addresses.push(address);
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mndp<'a> {
    pub system: Option<Mac>,
    pub identity: Option<&'a [u8]>,
    pub version: Option<&'a [u8]>,
    pub platform: Option<&'a [u8]>,
    pub board: Option<&'a [u8]>,
    pub interface: Option<&'a [u8]>,
    pub addresses: Vec<IpAddr>,
}

impl<'a> Mndp<'a> {
    /// `None` for the four zero octets by which everybody is asked to tell.
    pub fn read(bytes: &'a [u8]) -> Result<Option<Kept<Mndp<'a>>>, WireError> {
        let mut cursor = Cursor::new("mndp", bytes);
        cursor.skip(4)?;
        if cursor.is_empty() {
            return Ok(None);
        }
        let mut mndp = Mndp::default();
        let ended = mndp.read_tlvs(cursor);
        Ok(Some((mndp, ended)))
    }

    fn read_tlvs(&mut self, mut cursor: Cursor<'a>) -> Result<(), WireError> {
        while !cursor.is_empty() {
            let kind = cursor.u16()?;
            let length = usize::from(cursor.u16()?);
            let mut value = cursor.part(length)?;
            match kind {
                1 => self.system = Some(value.mac()?),
                5 => self.identity = Some(value.rest()),
                7 => self.version = Some(value.rest()),
                8 => self.platform = Some(value.rest()),
                12 => self.board = Some(value.rest()),
                16 => self.interface = Some(value.rest()),
                15 if self.addresses.len() < MOST => self.addresses.push(value.ipv6()?.into()),
                17 if self.addresses.len() < MOST => self.addresses.push(value.ipv4()?.into()),
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_mikrotik_says_its_name() {
        let bytes = [
            0, 0, 0, 9, 0, 1, 0, 6, 2, 0, 0, 0, 0, 9, 0, 5, 0, 2, b'r', b'1', 0, 17, 0, 4, 10, 0,
            0, 1,
        ];
        let (mndp, ended) = Mndp::read(&bytes).unwrap().unwrap();
        assert_eq!(ended, Ok(()));
        assert_eq!((mndp.identity, mndp.system), (Some(&b"r1"[..]), Some(Mac([2, 0, 0, 0, 0, 9]))));
        assert_eq!(mndp.addresses, [IpAddr::from([10, 0, 0, 1])]);
        assert_eq!(Mndp::read(&[0; 4]), Ok(None));
    }

    #[test]
    fn an_extreme_says_its_name_and_port() {
        let mut bytes = vec![1, 0, 0, 60, 0, 0, 0, 1, 0, 0, 0, 4, 0x96, 1, 2, 3];
        bytes.extend([0x99, 1, 0, 7, b's', b'w', 0]);
        bytes.extend([0x99, 2, 0, 20, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 7, 2, 0, 5]);
        bytes.extend([0x99, 0, 0, 4]);
        let (edp, ended) = Edp::read(&bytes).unwrap();
        assert_eq!(ended, Ok(()));
        assert_eq!((edp.slot, edp.port, edp.software), (Some(1), Some(5), Some([7, 2, 0, 5])));
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (Edp::read(&octets), Mndp::read(&octets));
            let _ = Edp::read(&[&[1; 16][..], &[0x99, 2], &octets].concat());
        }
    }
}
