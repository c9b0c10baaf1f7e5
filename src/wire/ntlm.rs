//! NTLM messages (MS-NLMP §2.2), wherever they stand: the names in them and nothing that a password could be guessed from.

use super::cursor::{Cursor, WireError};

const SIGNATURE: &[u8] = b"NTLMSSP\0";
/// NTLMSSP_NEGOTIATE_UNICODE.
const UNICODE: u32 = 1;
/// Pairs read of a target information.
const MOST_PAIRS: usize = 32;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ntlm {
    Challenge(Challenge),
    Authenticate(Authenticate),
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Challenge {
    pub target: String,
    pub netbios_computer: String,
    pub netbios_domain: String,
    pub dns_computer: String,
    pub dns_domain: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Authenticate {
    pub domain: String,
    pub user: String,
    pub host: String,
}

/// Where the first message in these bytes starts.
pub fn find(bytes: &[u8]) -> Option<&[u8]> {
    let place = bytes.windows(SIGNATURE.len()).position(|window| window == SIGNATURE)?;
    bytes.get(place..)
}

impl Ntlm {
    /// Reads a message that starts here. `None` for a negotiate message, which says nothing.
    pub fn read(bytes: &[u8]) -> Result<Option<Ntlm>, WireError> {
        let mut cursor = Cursor::new("ntlm", bytes);
        if cursor.take(SIGNATURE.len())? != SIGNATURE {
            return Err(cursor.wrong("another signature"));
        }
        match cursor.array().map(u32::from_le_bytes)? {
            2 => {
                let target = field(&mut cursor, bytes)?;
                let flags = cursor.array().map(u32::from_le_bytes)?;
                // The challenge and what is reserved.
                cursor.skip(16)?;
                let mut challenge =
                    Challenge { target: text(target, flags), ..Challenge::default() };
                if let Ok(information) = field(&mut cursor, bytes) {
                    let _ = challenge.pairs(information);
                }
                Ok(Some(Ntlm::Challenge(challenge)))
            }
            3 => {
                cursor.skip(16)?;
                let domain = field(&mut cursor, bytes)?;
                let user = field(&mut cursor, bytes)?;
                let host = field(&mut cursor, bytes)?;
                cursor.skip(8)?;
                // Old clients leave the flags out; then it is as all clients of this century do.
                let flags = cursor.array().map_or(UNICODE, u32::from_le_bytes);
                Ok(Some(Ntlm::Authenticate(Authenticate {
                    domain: text(domain, flags),
                    user: text(user, flags),
                    host: text(host, flags),
                })))
            }
            _ => Ok(None),
        }
    }
}

/// A field's bytes, by its length and its offset in the message.
fn field<'a>(cursor: &mut Cursor<'_>, message: &'a [u8]) -> Result<&'a [u8], WireError> {
    let length = cursor.array().map(u16::from_le_bytes)?;
    cursor.skip(2)?;
    let offset = cursor.array().map(u32::from_le_bytes)?;
    let mut inside = Cursor::new("ntlm", message);
    inside.skip(usize::try_from(offset).unwrap_or(usize::MAX))?;
    inside.take(usize::from(length))
}

fn text(octets: &[u8], flags: u32) -> String {
    let text = match flags & UNICODE {
        0 => String::from_utf8_lossy(octets).into_owned(),
        _ => utf16(octets),
    };
    without_zeros(text)
}

/// Some servers send their names with a zero at the end.
fn without_zeros(mut text: String) -> String {
    text.truncate(text.trim_end_matches('\0').len());
    text
}

/// UTF-16, little endian.
pub fn utf16(octets: &[u8]) -> String {
    let units = octets.chunks_exact(2).map(|pair| match pair {
        [low, high] => u16::from_le_bytes([*low, *high]),
        _ => 0,
    });
    char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect()
}

impl Challenge {
    fn pairs(&mut self, information: &[u8]) -> Result<(), WireError> {
        let mut cursor = Cursor::new("ntlm", information);
        for _ in 0..MOST_PAIRS {
            let kind = cursor.array().map(u16::from_le_bytes)?;
            let length = cursor.array().map(u16::from_le_bytes)?;
            let value = cursor.take(usize::from(length))?;
            let place = match kind {
                0 => break,
                1 => &mut self.netbios_computer,
                2 => &mut self.netbios_domain,
                3 => &mut self.dns_computer,
                4 => &mut self.dns_domain,
                _ => continue,
            };
            *place = without_zeros(utf16(value));
        }
        Ok(())
    }
}

#[cfg(test)]
pub mod check {
    pub fn wide(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    pub fn challenge(computer: &str, domain: &str) -> Vec<u8> {
        let pair = |kind: u16, text: &str| {
            let text = wide(text);
            [&kind.to_le_bytes()[..], &(text.len() as u16).to_le_bytes(), &text].concat()
        };
        let information = [pair(1, computer), pair(2, domain), vec![0; 4]].concat();
        let length = (information.len() as u16).to_le_bytes();
        let mut message = b"NTLMSSP\0\x02\0\0\0\0\0\0\0\x30\0\0\0\x01\0\0\0".to_vec();
        message.extend_from_slice(&[9; 8]);
        message.extend_from_slice(&[0; 8]);
        message.extend_from_slice(&[length, length].concat());
        message.extend_from_slice(&48u32.to_le_bytes());
        message.extend_from_slice(&information);
        message
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_challenge_names_the_server() {
        let message = check::challenge("DC1", "PURP");
        let Some(Ntlm::Challenge(read)) = Ntlm::read(&message).unwrap() else { panic!() };
        assert_eq!((read.netbios_computer.as_str(), read.netbios_domain.as_str()), ("DC1", "PURP"));
        assert_eq!(find(&[&b"xx"[..], &message].concat()), Some(&message[..]));
        for length in 0..message.len() {
            let _ = Ntlm::read(&message[..length]);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(kind in 1u32..4, rest in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = Ntlm::read(&[SIGNATURE, &kind.to_le_bytes(), &rest].concat());
        }
    }
}
