//! PIM version 2 (RFC 7761): who speaks it, and how it wishes to be chosen.

use super::cursor::{Cursor, Kept, WireError};

pub const HELLO: u8 = 0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pim {
    pub version: u8,
    pub message_type: u8,
    /// The priority for designated router in a hello; the highest octet's worth is kept.
    pub priority: Option<u8>,
}

impl Pim {
    pub fn read(bytes: &[u8]) -> Result<Kept<Pim>, WireError> {
        let mut cursor = Cursor::new("pim", bytes);
        let head = cursor.u8()?;
        if head >> 4 != 2 {
            return Err(cursor.wrong("unknown version"));
        }
        cursor.skip(3)?;
        let mut pim = Pim { version: 2, message_type: head & 0x0f, priority: None };
        let ended = if pim.message_type == HELLO { pim.read_options(cursor) } else { Ok(()) };
        Ok((pim, ended))
    }

    fn read_options(&mut self, mut cursor: Cursor<'_>) -> Result<(), WireError> {
        while !cursor.is_empty() {
            let kind = cursor.u16()?;
            let length = usize::from(cursor.u16()?);
            let mut value = cursor.part(length)?;
            if kind == 19 {
                self.priority = Some(u8::try_from(value.u32()?).unwrap_or(u8::MAX));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_with_a_priority() {
        let bytes = [0x20, 0, 0, 0, 0, 1, 0, 2, 0, 105, 0, 19, 0, 4, 0, 0, 0, 1];
        let expected = Pim { version: 2, message_type: HELLO, priority: Some(1) };
        assert_eq!(Pim::read(&bytes), Ok((expected, Ok(()))));
        for length in 0..bytes.len() {
            let whole = matches!(length, 4 | 10);
            assert_eq!(matches!(Pim::read(&bytes[..length]), Ok((_, Ok(())))), whole);
        }
    }
}
