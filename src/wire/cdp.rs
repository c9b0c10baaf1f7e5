//! Cisco's discovery protocol, versions 1 and 2, as its own documents and tcpdump describe it.

use std::net::IpAddr;

use super::cursor::{Cursor, Kept, WireError};
use crate::net::Prefix;

/// Addresses and prefixes kept of one message.
const MOST: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cdp<'a> {
    pub version: u8,
    pub device: Option<&'a [u8]>,
    pub port: Option<&'a [u8]>,
    pub platform: Option<&'a [u8]>,
    pub software: Option<&'a [u8]>,
    pub domain: Option<&'a [u8]>,
    /// Of the interface and for management.
    pub addresses: Vec<IpAddr>,
    pub prefixes: Vec<Prefix>,
    pub native_vlan: Option<u16>,
    pub capabilities: Option<u32>,
}

impl<'a> Cdp<'a> {
    /// What stands before a fault is kept: the second value is the fault.
    pub fn read(bytes: &'a [u8]) -> Result<Kept<Cdp<'a>>, WireError> {
        let mut cursor = Cursor::new("cdp", bytes);
        let [version, _, _, _] = cursor.array()?;
        if !matches!(version, 1 | 2) {
            return Err(cursor.wrong("unknown version"));
        }
        let mut cdp = Cdp { version, ..Cdp::default() };
        let ended = cdp.read_tlvs(cursor);
        Ok((cdp, ended))
    }

    fn read_tlvs(&mut self, mut cursor: Cursor<'a>) -> Result<(), WireError> {
        while !cursor.is_empty() {
            let kind = cursor.u16()?;
            let Some(length) = usize::from(cursor.u16()?).checked_sub(4) else {
                // Padding of short frames is zeros.
                return if kind == 0 {
                    Ok(())
                } else {
                    Err(cursor.wrong("TLV shorter than its header"))
                };
            };
            let mut value = cursor.part(length)?;
            match kind {
                1 => self.device = Some(value.rest()),
                2 | 0x16 => self.read_addresses(value)?,
                3 => self.port = Some(value.rest()),
                4 => self.capabilities = value.u32().ok(),
                5 => self.software = Some(value.rest()),
                6 => self.platform = Some(value.rest()),
                7 => self.read_prefixes(value),
                9 => self.domain = Some(value.rest()),
                10 => self.native_vlan = value.u16().ok(),
                _ => {}
            }
        }
        Ok(())
    }

    fn read_addresses(&mut self, mut value: Cursor<'_>) -> Result<(), WireError> {
        let count = value.u32()?;
        for _ in 0..count {
            let [_, length] = value.array()?;
            let protocol = value.take(usize::from(length))?;
            let length = usize::from(value.u16()?);
            let mut address = value.part(length)?;
            // NLPID 0xcc is IPv4; SNAP with EtherType 0x86dd is IPv6.
            let address = match protocol {
                [0xcc] => address.ipv4().map(IpAddr::V4),
                [0xaa, 0xaa, 3, 0, 0, 0, 0x86, 0xdd] => address.ipv6().map(IpAddr::V6),
                _ => continue,
            }?;
            if self.addresses.len() < MOST && !self.addresses.contains(&address) {
                self.addresses.push(address);
            }
        }
        Ok(())
    }

    /// On-demand routing: addresses with their lengths. Four octets alone are a default gateway.
    fn read_prefixes(&mut self, mut value: Cursor<'_>) {
        if value.left() == 4 {
            return;
        }
        while let (Ok(address), Ok(length)) = (value.ipv4(), value.u8()) {
            if length <= 32 && self.prefixes.len() < MOST {
                self.prefixes.push(Prefix::of(address.into(), length));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CDP: [u8; 43] = [
        2, 0xb4, 0, 0, 0, 1, 0, 6, b'S', b'1', 0, 2, 0, 17, 0, 0, 0, 1, 1, 1, 0xcc, 0, 4, 192, 168,
        0, 1, 0, 3, 0, 6, b'G', b'0', 0, 0x0a, 0, 6, 0, 1, 0, 9, 0, 4,
    ];

    #[test]
    fn a_device_says_what_it_is() {
        let (cdp, ended) = Cdp::read(&CDP).unwrap();
        assert_eq!(ended, Ok(()));
        assert_eq!((cdp.device, cdp.port), (Some(&b"S1"[..]), Some(&b"G0"[..])));
        assert_eq!(cdp.addresses, [IpAddr::from([192, 168, 0, 1])]);
        assert_eq!(cdp.native_vlan, Some(1));
        let (cut, ended) = Cdp::read(&CDP[..30]).unwrap();
        assert!(ended.is_err() && cut.addresses.len() == 1);
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Cdp::read(&octets);
            let _ = Cdp::read(&[&[2, 0, 0, 0, 0, 2, 0, 90][..], &octets].concat());
        }
    }
}
