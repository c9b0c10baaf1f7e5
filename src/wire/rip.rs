//! RIP versions 1 and 2 (RFC 1058, 2453) and RIPng (RFC 2080).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::cursor::{Cursor, Kept, WireError};
use super::dhcp4::mask_length;
use crate::net::Prefix;

/// The UDP port of RIP and of RIPng.
pub const PORT: u16 = 520;
pub const PORT_NG: u16 = 521;
/// A metric that means "not reachable".
const INFINITY: u32 = 16;
/// The family of an entry that authenticates instead of naming a route, and its kind with a digest.
const AUTHENTICATION: u16 = 0xffff;
const KEYED_DIGEST: u16 = 3;
/// Routes kept of one packet; RFC 2453 §4 allows 25, RIPng as many as the link carries.
const MOST_ROUTES: usize = 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rip {
    pub version: u8,
    /// False: a request.
    pub is_response: bool,
    /// Prefixes in a response that are said to be reachable.
    pub routes: Vec<Prefix>,
}

impl Rip {
    /// Routes before a fault are kept: the second value is the fault.
    pub fn read(bytes: &[u8]) -> Result<Kept<Rip>, WireError> {
        let (mut rip, mut cursor) = read_header("rip", bytes)?;
        if !matches!(rip.version, 1 | 2) {
            return Err(cursor.wrong("unknown version"));
        }
        let ended = rip.read_entries(&mut cursor);
        Ok((rip, ended))
    }

    fn read_entries(&mut self, cursor: &mut Cursor<'_>) -> Result<(), WireError> {
        while !cursor.is_empty() && self.routes.len() < MOST_ROUTES {
            let mut entry = cursor.part(20)?;
            let family = entry.u16()?;
            let kind = entry.u16()?;
            if (family, kind) == (AUTHENTICATION, KEYED_DIGEST) {
                // The digest stands behind the entries, in another form; the length of the packet
                // before it is stated. RFC 4822 §2.
                let before = usize::from(entry.u16()?).saturating_sub(4 + 20);
                *cursor = Cursor::new("rip", cursor.take_up_to(before));
                continue;
            }
            let address = entry.ipv4()?;
            let mask = entry.ipv4()?;
            entry.skip(4)?;
            let metric = entry.u32()?;
            // A password stands in an entry of the authentication family: left where it is.
            if !self.is_response || family != 2 || metric >= INFINITY {
                continue;
            }
            let length = match self.version {
                // Multicast and reserved addresses are no networks.
                1 => (address.octets().first() < Some(&224)).then(|| undivided_length(address)),
                _ => mask_length(mask),
            };
            if let Some(length) = length {
                self.routes.push(Prefix::of(address.into(), length));
            }
        }
        Ok(())
    }

    /// RIPng. Routes before a fault are kept: the second value is the fault.
    pub fn read_ng(bytes: &[u8]) -> Result<Kept<Rip>, WireError> {
        let (mut rip, mut cursor) = read_header("ripng", bytes)?;
        if rip.version != 1 {
            return Err(cursor.wrong("unknown version"));
        }
        let ended = rip.read_entries_ng(&mut cursor);
        Ok((rip, ended))
    }

    fn read_entries_ng(&mut self, cursor: &mut Cursor<'_>) -> Result<(), WireError> {
        while !cursor.is_empty() && self.routes.len() < MOST_ROUTES {
            let mut entry = cursor.part(20)?;
            let address: Ipv6Addr = entry.ipv6()?;
            entry.skip(2)?;
            let [length, metric] = entry.array()?;
            // Metric 0xff marks a next hop, not a route.
            if !self.is_response || u32::from(metric) >= INFINITY {
                continue;
            }
            if length > 128 {
                return Err(entry.wrong("prefix length over 128"));
            }
            self.routes.push(Prefix::of(address.into(), length));
        }
        Ok(())
    }
}

fn read_header<'a>(what: &'static str, bytes: &'a [u8]) -> Result<(Rip, Cursor<'a>), WireError> {
    let mut cursor = Cursor::new(what, bytes);
    let [command, version, _, _] = cursor.array()?;
    if !matches!(command, 1 | 2) {
        return Err(cursor.wrong("neither request nor response"));
    }
    Ok((Rip { version, is_response: command == 2, routes: Vec::new() }, cursor))
}

/// Version 1 has no masks: the class of the address says the length. With bits behind it the address is a part of a network
/// that only its own routers know the mask of; then the octets that are not zero are told.
fn undivided_length(address: Ipv4Addr) -> u8 {
    let [first, ..] = address.octets();
    let length = match first {
        0 => 0,
        1..=127 => 8,
        128..=191 => 16,
        _ => 24,
    };
    [length, 8, 16, 24]
        .into_iter()
        .find(|try_| *try_ >= length && Prefix::of(address.into(), *try_).first() == address)
        .unwrap_or(32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(family: u16, address: [u8; 4], mask: [u8; 4], metric: u8) -> Vec<u8> {
        [&family.to_be_bytes()[..], &[0, 0], &address, &mask, &[0; 4], &[0, 0, 0, metric]].concat()
    }

    #[test]
    fn a_response_of_version_two_with_a_password() {
        let bytes = [
            vec![2, 2, 0, 0],
            entry(0xffff, *b"secr", *b"et\0\0", 0),
            entry(2, [10, 70, 178, 0], [255, 255, 255, 0], 1),
            entry(2, [10, 71, 0, 0], [255, 255, 0, 0], 16),
        ]
        .concat();
        let (rip, ended) = Rip::read(&bytes).unwrap();
        assert_eq!(ended, Ok(()));
        assert_eq!(rip.routes, ["10.70.178.0/24".parse().unwrap()]);
        for length in 0..bytes.len() {
            let whole = length >= 4 && (length - 4) % 20 == 0;
            assert_eq!(matches!(Rip::read(&bytes[..length]), Ok((_, Ok(())))), whole, "{length}");
        }
    }

    #[test]
    fn a_digest_behind_the_entries_is_no_entry() {
        let authentication = [&[0xff, 0xff, 0, 3, 0, 44, 1, 32][..], &[0; 12]].concat();
        let route = entry(2, [10, 70, 178, 0], [255, 255, 255, 0], 1);
        let digest = [&[0xff, 0xff, 0, 1][..], &[0x5a; 32]].concat();
        let bytes = [vec![2, 2, 0, 0], authentication, route, digest].concat();
        let (rip, ended) = Rip::read(&bytes).unwrap();
        assert_eq!((rip.routes.len(), ended), (1, Ok(())));
    }

    #[test]
    fn version_one_goes_by_classes_and_ng_by_lengths() {
        let bytes = [
            vec![2, 1, 0, 0],
            entry(2, [192, 168, 7, 0], [0; 4], 1),
            entry(2, [192, 168, 7, 9], [0; 4], 1),
            entry(2, [10, 70, 178, 0], [0; 4], 1),
        ]
        .concat();
        let (rip, _) = Rip::read(&bytes).unwrap();
        let expected = ["192.168.7.0/24", "192.168.7.9/32", "10.70.178.0/24"];
        assert_eq!(rip.routes, expected.map(|prefix| prefix.parse().unwrap()));
        let route = [&[0xfd; 1][..], &[0; 15], &[0, 0, 48, 1]].concat();
        let next_hop = [&[0xfe; 16][..], &[0, 0, 0, 255]].concat();
        let bytes = [&[2, 1, 0, 0][..], &next_hop, &route].concat();
        let (rip, ended) = Rip::read_ng(&bytes).unwrap();
        assert_eq!((rip.routes, ended), (vec!["fd00::/48".parse().unwrap()], Ok(())));
        for length in 0..bytes.len() {
            let whole = length >= 4 && (length - 4) % 20 == 0;
            assert_eq!(matches!(Rip::read_ng(&bytes[..length]), Ok((_, Ok(())))), whole);
        }
    }
}
