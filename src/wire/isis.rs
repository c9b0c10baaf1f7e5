//! IS-IS (ISO 10589, RFC 1195, 5301, 5303, 5305, 5308): hellos and link-state advertisements.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::cursor::{Cursor, Kept, WireError};
use super::dhcp4::mask_length;
use crate::net::Prefix;

/// The network layer protocol id that a packet starts with.
pub const NLPID: u8 = 0x83;
/// Entries of each kind kept of one packet.
const MOST: usize = 512;
/// Octets of an area: an address has twenty, of which six are a system's and one a selector. ISO 10589 §7.1.
const MOST_AREA: usize = 13;

pub type SystemId = [u8; 6];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    Hello,
    Advertisement,
    SequenceNumbers,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Isis<'a> {
    pub message: Message,
    /// 1, 2, or 3 for both.
    pub level: u8,
    pub system_id: SystemId,
    /// Of an advertisement: the pseudonode and the fragment.
    pub advertisement: Option<(u8, u8)>,
    pub hostname: Option<&'a [u8]>,
    /// As they stand: authority and format first.
    pub areas: Vec<&'a [u8]>,
    pub addresses: Vec<IpAddr>,
    pub prefixes: Vec<Prefix>,
    pub neighbours: Vec<SystemId>,
}

impl<'a> Isis<'a> {
    /// What stands before a fault is kept: the second value is the fault.
    pub fn read(bytes: &'a [u8]) -> Result<Kept<Isis<'a>>, WireError> {
        let mut cursor = Cursor::new("isis", bytes);
        let [nlpid, header, version, id_length, kind, version_again, _, _] = cursor.array()?;
        if nlpid != NLPID {
            return Err(cursor.wrong("another protocol"));
        }
        if version != 1 || version_again != 1 {
            return Err(cursor.wrong("unknown version"));
        }
        // Zero means six octets, the only length that is in use.
        if !matches!(id_length, 0 | 6) {
            return Err(cursor.wrong("system id of another length"));
        }
        let kind = kind & 0x1f;
        let mut isis = Isis {
            message: Message::Hello,
            level: 0,
            system_id: [0; 6],
            advertisement: None,
            hostname: None,
            areas: Vec::new(),
            addresses: Vec::new(),
            prefixes: Vec::new(),
            neighbours: Vec::new(),
        };
        match kind {
            15..=17 => {
                isis.level = cursor.u8()? & 3;
                isis.system_id = cursor.array()?;
                // Holding time and length, then priority and the designated one, or a circuit id.
                cursor.skip(4)?;
                cursor.skip(if kind == 17 { 1 } else { 8 })?;
            }
            18 | 20 => {
                isis.message = Message::Advertisement;
                isis.level = if kind == 18 { 1 } else { 2 };
                cursor.skip(4)?;
                isis.system_id = cursor.array()?;
                let [pseudonode, fragment] = cursor.array()?;
                isis.advertisement = Some((pseudonode, fragment));
                cursor.skip(7)?;
            }
            24..=27 => {
                isis.message = Message::SequenceNumbers;
                isis.level = if kind & 1 == 0 { 1 } else { 2 };
                cursor.skip(2)?;
                isis.system_id = cursor.array()?;
                cursor.skip(1)?;
                if kind < 26 {
                    cursor.skip(16)?;
                }
            }
            _ => return Err(cursor.wrong("unknown type")),
        }
        if usize::from(header) > bytes.len() {
            return Ok((isis, Err(cursor.wrong("ends early"))));
        }
        let ended = isis.read_tlvs(cursor);
        Ok((isis, ended))
    }

    fn read_tlvs(&mut self, mut cursor: Cursor<'a>) -> Result<(), WireError> {
        let mut fault = Ok(());
        while !cursor.is_empty() {
            let [kind, length] = cursor.array()?;
            let value = cursor.part(usize::from(length))?;
            // Entries of sequence numbers are about other systems' advertisements.
            let read = match kind {
                1 => self.read_areas(value),
                2 => self.read_neighbours(value, 1, 4),
                22 => self.read_wide_neighbours(value, 0),
                222 => self.read_wide_neighbours(value, 2),
                6 => self.read_lan_neighbours(value),
                128 | 130 => self.read_reachability(value),
                132 => self.read_addresses::<4>(value),
                232 => self.read_addresses::<16>(value),
                135 => self.read_wide_reachability(value, 0),
                235 => self.read_wide_reachability(value, 2),
                236 => self.read_ipv6_reachability(value, 0),
                237 => self.read_ipv6_reachability(value, 2),
                137 => {
                    self.hostname = Some(value.rest());
                    Ok(())
                }
                240 => self.read_three_way(value),
                _ => Ok(()),
            };
            fault = read.and(fault);
        }
        fault
    }

    fn read_areas(&mut self, mut value: Cursor<'a>) -> Result<(), WireError> {
        while !value.is_empty() && self.areas.len() < MOST {
            let length = usize::from(value.u8()?);
            if length > MOST_AREA {
                return Err(WireError::Wrong { what: "isis", why: "area that is too long" });
            }
            self.areas.push(value.take(length)?);
        }
        Ok(())
    }

    fn neighbour(&mut self, id: SystemId) {
        if self.neighbours.len() < MOST && !self.neighbours.contains(&id) {
            self.neighbours.push(id);
        }
    }

    /// Narrow metrics: a flag, then four octets of metrics before each id.
    fn read_neighbours(
        &mut self,
        mut value: Cursor<'_>,
        head: usize,
        metrics: usize,
    ) -> Result<(), WireError> {
        value.skip(head)?;
        while !value.is_empty() {
            value.skip(metrics)?;
            let id = value.array()?;
            value.skip(1)?;
            self.neighbour(id);
        }
        Ok(())
    }

    fn read_wide_neighbours(
        &mut self,
        mut value: Cursor<'_>,
        head: usize,
    ) -> Result<(), WireError> {
        value.skip(head)?;
        while !value.is_empty() {
            let id = value.array()?;
            value.skip(4)?;
            let behind = value.u8()?;
            value.skip(usize::from(behind))?;
            self.neighbour(id);
        }
        Ok(())
    }

    /// On a LAN the neighbours are told by their MACs: they are stations, no system ids.
    fn read_lan_neighbours(&mut self, _: Cursor<'_>) -> Result<(), WireError> {
        Ok(())
    }

    fn read_three_way(&mut self, mut value: Cursor<'_>) -> Result<(), WireError> {
        value.skip(1)?;
        if value.left() >= 10 {
            value.skip(4)?;
            let id = value.array()?;
            self.neighbour(id);
        }
        Ok(())
    }

    fn keep(&mut self, prefix: Prefix) {
        if self.prefixes.len() < MOST {
            self.prefixes.push(prefix);
        }
    }

    fn read_reachability(&mut self, mut value: Cursor<'_>) -> Result<(), WireError> {
        while !value.is_empty() {
            value.skip(4)?;
            let (address, mask) = (value.ipv4()?, value.ipv4()?);
            if let Some(length) = mask_length(mask) {
                self.keep(Prefix::of(address.into(), length));
            }
        }
        Ok(())
    }

    fn read_addresses<const N: usize>(&mut self, mut value: Cursor<'_>) -> Result<(), WireError>
    where
        IpAddr: From<[u8; N]>,
    {
        while !value.is_empty() {
            let address = IpAddr::from(value.array::<N>()?);
            if self.addresses.len() < MOST && !self.addresses.contains(&address) {
                self.addresses.push(address);
            }
        }
        Ok(())
    }

    /// RFC 5305 §4: metric, then up or down, sub-TLVs, and the length in six bits.
    fn read_wide_reachability(
        &mut self,
        mut value: Cursor<'_>,
        head: usize,
    ) -> Result<(), WireError> {
        value.skip(head)?;
        while !value.is_empty() {
            value.skip(4)?;
            let control = value.u8()?;
            let length = control & 0x3f;
            if length > 32 {
                return Err(value.wrong("prefix length over 32"));
            }
            let octets = value.take(usize::from(length).div_ceil(8))?;
            let mut address = [0; 4];
            for (to, from) in address.iter_mut().zip(octets) {
                *to = *from;
            }
            if control & 0x40 != 0 {
                let behind = value.u8()?;
                value.skip(usize::from(behind))?;
            }
            self.keep(Prefix::of(Ipv4Addr::from(address).into(), length));
        }
        Ok(())
    }

    /// RFC 5308 §2.
    fn read_ipv6_reachability(
        &mut self,
        mut value: Cursor<'_>,
        head: usize,
    ) -> Result<(), WireError> {
        value.skip(head)?;
        while !value.is_empty() {
            value.skip(4)?;
            let [control, length] = value.array()?;
            if length > 128 {
                return Err(value.wrong("prefix length over 128"));
            }
            let octets = value.take(usize::from(length).div_ceil(8))?;
            let mut address = [0; 16];
            for (to, from) in address.iter_mut().zip(octets) {
                *to = *from;
            }
            if control & 0x20 != 0 {
                let behind = value.u8()?;
                value.skip(usize::from(behind))?;
            }
            self.keep(Prefix::of(Ipv6Addr::from(address).into(), length));
        }
        Ok(())
    }
}

/// A system id as it is written: `1111.1111.1111`.
pub fn written(id: SystemId) -> String {
    let [a, b, c, d, e, f] = id;
    format!("{a:02x}{b:02x}.{c:02x}{d:02x}.{e:02x}{f:02x}")
}

/// An area as it is written: `49.0001`.
pub fn area(octets: &[u8]) -> String {
    let mut text = String::new();
    for (place, octet) in octets.iter().enumerate() {
        if place % 2 == 1 {
            text.push('.');
        }
        text.push_str(&format!("{octet:02x}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hello() -> Vec<u8> {
        let mut bytes = vec![0x83, 20, 1, 0, 17, 1, 0, 0, 3, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11];
        bytes.extend([0, 30, 0, 0, 0]);
        bytes.extend([1, 4, 3, 0x49, 0, 1, 132, 4, 10, 0, 0, 1]);
        bytes
    }

    #[test]
    fn a_hello_names_its_system_and_area() {
        let bytes = hello();
        let (isis, ended) = Isis::read(&bytes).unwrap();
        assert_eq!(ended, Ok(()));
        assert_eq!(written(isis.system_id), "1111.1111.1111");
        assert_eq!(area(isis.areas[0]), "49.0001");
        assert_eq!(isis.addresses, [IpAddr::from([10, 0, 0, 1])]);
        let (cut, ended) = Isis::read(&bytes[..26]).unwrap();
        assert!(ended.is_ok() && cut.addresses.is_empty());
        assert!(Isis::read(&bytes[..18]).is_err());
    }

    #[test]
    fn an_advertisement_names_what_it_reaches() {
        let mut bytes = vec![0x83, 27, 1, 0, 20, 1, 0, 0, 0, 0, 0, 0];
        bytes.extend([0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0, 0, 0, 0, 0, 1, 0, 0, 3]);
        bytes.extend([137, 2, b'R', b'1', 135, 8, 0, 0, 0, 10, 24, 10, 1, 2]);
        bytes.extend([236, 14, 0, 0, 0, 10, 0, 64, 0x20, 1, 0xd, 0xb8, 0, 1, 0, 2]);
        let (isis, ended) = Isis::read(&bytes).unwrap();
        assert_eq!(ended, Ok(()));
        assert_eq!(isis.hostname, Some(&b"R1"[..]));
        let prefixes: Vec<_> = isis.prefixes.iter().map(Prefix::to_string).collect();
        assert_eq!(prefixes, ["10.1.2.0/24", "2001:db8:1:2::/64"]);
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..200), kind in 0u8..40) {
            let _ = Isis::read(&octets);
            let _ = Isis::read(&[&[0x83, 20, 1, 0, kind, 1, 0, 0], &octets[..]].concat());
        }
    }
}
