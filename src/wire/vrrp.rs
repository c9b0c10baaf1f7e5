//! VRRP versions 2 (RFC 3768) and 3 (RFC 9568), the latter also under IPv6.

use std::net::IpAddr;

use super::cursor::{Cursor, Kept, WireError};

/// The hop limit that an advertisement must arrive with.
pub const HOP_LIMIT: u8 = 255;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vrrp {
    pub version: u8,
    pub group: u8,
    /// 255 owns the addresses, 0 leaves.
    pub priority: u8,
    pub addresses: Vec<IpAddr>,
}

impl Vrrp {
    /// `source` decides the family of the addresses. Addresses before a fault are kept.
    ///
    /// CARP shares protocol number, version and type. It is told by its form, seven words of
    /// counter and digest and nothing behind them, where VRRP has seven addresses and then eight
    /// octets of authentication data: `None`.
    pub fn read(bytes: &[u8], source: IpAddr) -> Result<Option<Kept<Vrrp>>, WireError> {
        let mut cursor = Cursor::new("vrrp", bytes);
        let [head, group, priority, count] = cursor.array()?;
        let (version, kind) = (head >> 4, head & 0x0f);
        if kind != 1 {
            return Err(cursor.wrong("unknown type"));
        }
        if !matches!(version, 2 | 3) {
            return Err(cursor.wrong("unknown version"));
        }
        cursor.skip(4)?;
        if version == 2 && count == 7 && cursor.left() < 28 + 8 {
            return Ok(None);
        }
        let mut addresses = Vec::new();
        let mut ended = Ok(());
        for _ in 0..count {
            let address = match source {
                IpAddr::V4(_) => cursor.ipv4().map(IpAddr::V4),
                IpAddr::V6(_) => cursor.ipv6().map(IpAddr::V6),
            };
            match address {
                Ok(address) => addresses.push(address),
                Err(fault) => {
                    ended = Err(fault);
                    break;
                }
            }
        }
        Ok(Some((Vrrp { version, group, priority, addresses }, ended)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 20, 1, 2));
    const V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

    #[test]
    fn both_versions_and_families() {
        let v2 = [0x21, 51, 200, 1, 0, 1, 0, 0, 10, 20, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        let expected = Vrrp {
            version: 2,
            group: 51,
            priority: 200,
            addresses: vec!["10.20.1.1".parse().unwrap()],
        };
        assert_eq!(Vrrp::read(&v2, V4), Ok(Some((expected, Ok(())))));
        for length in 0..8 {
            assert!(Vrrp::read(&v2[..length], V4).is_err());
        }
        let v3 = [&[0x31, 7, 100, 2, 0, 100, 0, 0][..], &[0xfe; 16], &[0xfd; 16]].concat();
        let (read, ended) = Vrrp::read(&v3, V6).unwrap().unwrap();
        assert_eq!((read.addresses.len(), ended), (2, Ok(())));
        let (read, ended) = Vrrp::read(&v3[..39], V6).unwrap().unwrap();
        assert_eq!((read.addresses.len(), ended.is_err()), (1, true));
    }

    #[test]
    fn carp_is_not_vrrp() {
        let mut carp = vec![0x21, 1, 0, 7, 0, 1, 0xab, 0xcd];
        carp.extend_from_slice(&[0x5a; 28]);
        assert_eq!(Vrrp::read(&carp, V4), Ok(None));
        carp.extend_from_slice(&[0; 8]);
        assert!(Vrrp::read(&carp, V4).unwrap().is_some());
        assert!(Vrrp::read(&[0x22; 20], V4).is_err());
        assert!(Vrrp::read(&[0x41; 20], V4).is_err());
    }
}
