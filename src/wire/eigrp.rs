//! EIGRP (RFC 7868): who speaks it, in which autonomous system, and the prefixes in its updates.

use super::cursor::{Cursor, Kept, WireError};
use crate::net::Prefix;

const MOST_ROUTES: usize = 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Eigrp {
    pub version: u8,
    /// 1 update, 3 query, 4 reply, 5 hello.
    pub opcode: u8,
    pub autonomous_system: u16,
    /// Prefixes in the classic TLVs that are said to be reachable.
    pub routes: Vec<Prefix>,
}

impl Eigrp {
    /// Routes before a fault are kept: the second value is the fault.
    pub fn read(bytes: &[u8]) -> Result<Kept<Eigrp>, WireError> {
        let mut cursor = Cursor::new("eigrp", bytes);
        let [version, opcode] = cursor.array()?;
        if version != 2 {
            return Err(cursor.wrong("unknown version"));
        }
        // Checksum, flags, sequence, acknowledgement, virtual router.
        cursor.skip(16)?;
        let autonomous_system = cursor.u16()?;
        let mut eigrp = Eigrp { version, opcode, autonomous_system, routes: Vec::new() };
        let ended = eigrp.read_tlvs(cursor);
        Ok((eigrp, ended))
    }

    fn read_tlvs(&mut self, mut cursor: Cursor<'_>) -> Result<(), WireError> {
        while !cursor.is_empty() && self.routes.len() < MOST_ROUTES {
            let kind = cursor.u16()?;
            let length = usize::from(cursor.u16()?);
            let Some(length) = length.checked_sub(4) else {
                return Err(cursor.wrong("TLV shorter than its header"));
            };
            let value = cursor.part(length)?;
            match kind {
                0x0102 => self.read_route::<4>(value, 0)?,
                0x0103 => self.read_route::<4>(value, 20)?,
                0x0402 => self.read_route::<16>(value, 0)?,
                0x0403 => self.read_route::<16>(value, 20)?,
                0x0602 => self.read_wide(value, 0)?,
                0x0603 => self.read_wide(value, 20)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// The multiprotocol form of named mode (RFC 7868 §6.9): topology, family and router id; a metric with
    /// attributes behind it; then as in the classic form.
    fn read_wide(&mut self, mut value: Cursor<'_>, origin: usize) -> Result<(), WireError> {
        value.skip(2)?;
        let family = value.u16()?;
        value.skip(4)?;
        let attributes = usize::from(value.u8()?).saturating_mul(2);
        // Priority, reliability, load, MTU, hops.
        value.skip(7)?;
        let delay: [u8; 6] = value.array()?;
        // Bandwidth, reserved, flags.
        value.skip(10)?;
        value.skip(attributes)?;
        if delay == [0xff; 6] {
            return Ok(());
        }
        match family {
            1 => {
                value.skip(origin.saturating_add(4))?;
                self.read_destinations::<4>(value)
            }
            2 => {
                value.skip(origin.saturating_add(16))?;
                self.read_destinations::<16>(value)
            }
            // Families of services and of other protocols name no prefix.
            _ => Ok(()),
        }
    }

    /// Next hop, for external routes their origin, the metric, then destinations to the end.
    fn read_route<const N: usize>(
        &mut self,
        mut value: Cursor<'_>,
        origin: usize,
    ) -> Result<(), WireError>
    where
        std::net::IpAddr: From<[u8; N]>,
    {
        value.skip(N)?;
        value.skip(origin)?;
        let delay = value.u32()?;
        value.skip(12)?;
        // All ones: unreachable, a route that is withdrawn.
        if delay == u32::MAX { Ok(()) } else { self.read_destinations::<N>(value) }
    }

    fn read_destinations<const N: usize>(&mut self, mut value: Cursor<'_>) -> Result<(), WireError>
    where
        std::net::IpAddr: From<[u8; N]>,
    {
        while !value.is_empty() && self.routes.len() < MOST_ROUTES {
            let length = value.u8()?;
            let octets = value.take(usize::from(length).div_ceil(8))?;
            if octets.len() > N {
                return Err(value.wrong("prefix longer than an address"));
            }
            let mut address = [0; N];
            for (to, from) in address.iter_mut().zip(octets) {
                *to = *from;
            }
            self.routes.push(Prefix::of(address.into(), length));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_with_an_internal_route() {
        let mut bytes = vec![2, 1];
        bytes.extend_from_slice(&[0; 16]);
        bytes.extend_from_slice(&[0, 100]);
        bytes.extend_from_slice(&[1, 2, 0, 28, 0, 0, 0, 0, 0, 0, 0, 1]);
        bytes.extend_from_slice(&[0; 12]);
        bytes.extend_from_slice(&[24, 10, 30, 1]);
        let (eigrp, ended) = Eigrp::read(&bytes).unwrap();
        assert_eq!(ended, Ok(()));
        assert_eq!((eigrp.autonomous_system, eigrp.opcode), (100, 1));
        assert_eq!(eigrp.routes, ["10.30.1.0/24".parse().unwrap()]);
        for length in 0..bytes.len() {
            let whole = length == 20;
            assert_eq!(matches!(Eigrp::read(&bytes[..length]), Ok((_, Ok(())))), whole);
        }
        let mut wide = bytes[..20].to_vec();
        wide.extend([6, 2, 0, 48, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 255, 1, 0, 5, 0xdc, 0]);
        wide.extend([0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0]);
        wide.extend([24, 10, 30, 2]);
        wide.extend([16, 172, 16, 0][..3].iter());
        wide[23] = 47;
        let (eigrp, ended) = Eigrp::read(&wide).unwrap();
        assert_eq!(ended, Ok(()));
        let expected = ["10.30.2.0/24", "172.16.0.0/16"].map(|prefix| prefix.parse().unwrap());
        assert_eq!(eigrp.routes, expected);
        bytes[23] = 3;
        assert!(Eigrp::read(&bytes).unwrap().1.is_err());
    }
}
