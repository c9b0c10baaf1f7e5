//! PPPoE (RFC 2516): discovery with its tags, and the header of a session.

use super::cursor::{Cursor, Kept, WireError};

/// Services kept of one message.
const MOST: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    Session,
    Offer,
    Initiation,
    Request,
    Confirmation,
    Termination,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pppoe<'a> {
    pub code: Code,
    pub session: u16,
    pub concentrator: Option<&'a [u8]>,
    pub services: Vec<&'a [u8]>,
}

impl<'a> Pppoe<'a> {
    /// What stands before a fault is kept: the second value is the fault.
    pub fn read(bytes: &'a [u8]) -> Result<Kept<Pppoe<'a>>, WireError> {
        let mut cursor = Cursor::new("pppoe", bytes);
        let [version, code] = cursor.array()?;
        if version != 0x11 {
            return Err(cursor.wrong("unknown version"));
        }
        let code = match code {
            0x00 => Code::Session,
            0x07 => Code::Offer,
            0x09 => Code::Initiation,
            0x19 => Code::Request,
            0x65 => Code::Confirmation,
            0xa7 => Code::Termination,
            _ => return Err(cursor.wrong("unknown code")),
        };
        let session = cursor.u16()?;
        let length = usize::from(cursor.u16()?);
        let mut pppoe = Pppoe { code, session, concentrator: None, services: Vec::new() };
        let ended = match code {
            Code::Session => Ok(()),
            _ => pppoe.read_tags(Cursor::new("pppoe", cursor.take_up_to(length))),
        };
        Ok((pppoe, ended))
    }

    fn read_tags(&mut self, mut cursor: Cursor<'a>) -> Result<(), WireError> {
        while !cursor.is_empty() {
            let kind = cursor.u16()?;
            let length = usize::from(cursor.u16()?);
            let value = cursor.take(length)?;
            match kind {
                0 => return Ok(()),
                0x0101 if !value.is_empty() && self.services.len() < MOST => {
                    self.services.push(value);
                }
                0x0102 => self.concentrator = Some(value),
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
    fn a_concentrator_offers_itself() {
        let bytes = [0x11, 7, 0, 0, 0, 12, 1, 1, 0, 0, 1, 2, 0, 4, b'B', b'R', b'A', b'S'];
        let (pppoe, ended) = Pppoe::read(&bytes).unwrap();
        assert_eq!(ended, Ok(()));
        assert_eq!((pppoe.code, pppoe.concentrator), (Code::Offer, Some(&b"BRAS"[..])));
        assert!(pppoe.services.is_empty());
        assert!(Pppoe::read(&bytes[..5]).is_err());
        assert!(Pppoe::read(&bytes[..16]).unwrap().1.is_err());
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = Pppoe::read(&octets);
            let _ = Pppoe::read(&[&[0x11, 7, 0, 0, 0, 90], &octets[..]].concat());
        }
    }
}
