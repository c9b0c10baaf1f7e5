//! The OPEN message of BGP-4 (RFC 4271 §4.2) with the capability for AS numbers of four octets (RFC 6793).

use std::net::Ipv4Addr;

use super::cursor::{Cursor, WireError};

pub const PORT: u16 = 179;
const MARKER: [u8; 16] = [0xff; 16];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    pub version: u8,
    pub my_as: u16,
    /// By the capability where there is one.
    pub autonomous_system: u32,
    pub hold: u16,
    pub router_id: Ipv4Addr,
}

impl Open {
    /// `None` for what starts with no marker or is another message.
    pub fn read(bytes: &[u8]) -> Result<Option<Open>, WireError> {
        let mut cursor = Cursor::new("bgp", bytes);
        if cursor.array::<16>() != Ok(MARKER) {
            return Ok(None);
        }
        let length = usize::from(cursor.u16()?);
        if cursor.u8()? != 1 {
            return Ok(None);
        }
        let Some(body) = length.checked_sub(19) else {
            return Err(cursor.wrong("length shorter than the header"));
        };
        let mut body = Cursor::new("bgp", cursor.take_up_to(body));
        let version = body.u8()?;
        let my_as = body.u16()?;
        let hold = body.u16()?;
        let router_id = body.ipv4()?;
        let octets = usize::from(body.u8()?);
        let parameters = Cursor::new("bgp", body.take_up_to(octets));
        let autonomous_system = four_octets(parameters).unwrap_or(u32::from(my_as));
        Ok(Some(Open { version, my_as, autonomous_system, hold, router_id }))
    }
}

/// Optional parameters of type 2 hold capabilities; capability 65 is the number.
fn four_octets(mut parameters: Cursor<'_>) -> Option<u32> {
    while !parameters.is_empty() {
        let [kind, length] = parameters.array().ok()?;
        let mut value = parameters.part(usize::from(length)).ok()?;
        while kind == 2 && !value.is_empty() {
            let [code, length] = value.array().ok()?;
            let mut capability = value.part(usize::from(length)).ok()?;
            if code == 65 {
                return capability.u32().ok();
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_open_names_its_speaker() {
        let body = [4, 0x5b, 0xa0, 0, 180, 192, 0, 2, 1, 8, 2, 6, 65, 4, 0, 1, 0, 7];
        let bytes = [&MARKER[..], &[0, 37, 1], &body].concat();
        let open = Open::read(&bytes).unwrap().unwrap();
        assert_eq!((open.my_as, open.autonomous_system, open.hold), (23456, 65543, 180));
        assert_eq!(open.router_id, Ipv4Addr::new(192, 0, 2, 1));
        assert!(Open::read(&bytes[..25]).is_err());
        assert_eq!(Open::read(b"GET / HTTP/1.1\r\n\r\n"), Ok(None));
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = Open::read(&octets);
            let _ = Open::read(&[&MARKER[..], &[0, 200, 1], &octets].concat());
        }
    }
}
