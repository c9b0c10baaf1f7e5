//! SOCKS 4 and 5 (RFC 1928): that a proxy is asked and that it serves, and what is spoken through it.
//!
//! Taken: who asks, who serves, with the version. Left: names and passwords of the sub-negotiation (RFC 1929), behind which
//! nothing is read; where a client wants to go. What comes behind the negotiation is another protocol's beginning.

use super::{Head, Reader, Verdict};
use crate::observe::{Fact, Role};
use crate::wire::{Cursor, WireError};

pub(super) struct Socks;

const PORT: u16 = 1080;
/// Methods that a client may offer: the registry has ten.
const MOST_METHODS: u8 = 16;
/// A user's name in version 4, and a host's behind it.
const MOST_TEXT: usize = 256;

impl Reader for Socks {
    fn name(&self) -> &'static str {
        "socks"
    }

    fn read(&self, head: &Head<'_>, said: &mut u32, tell: &mut dyn FnMut(Fact)) -> Verdict {
        let is_its_port = head.has_port(PORT);
        let read = match (head.role(), head.bytes.first()) {
            (_, None) => return Verdict::More(1),
            (Role::Client, Some(5)) => client(head.bytes),
            (Role::Server, Some(5)) => server(head.bytes),
            // The version before has fewer marks: by its port alone.
            (Role::Client, Some(4)) if is_its_port => client_of_4(head.bytes),
            (Role::Server, Some(0)) if is_its_port => server_of_4(head.bytes),
            _ => return Verdict::No,
        };
        let version = if matches!(head.bytes.first(), Some(5)) { "socks5" } else { "socks4" };
        match read {
            Ok(Some(octets)) => {
                if std::mem::replace(said, 1) == 0 {
                    tell(head.spoken(head.role(), version, None));
                }
                Verdict::Anew(octets)
            }
            Ok(None) => Verdict::No,
            // What has begun well may go on; elsewhere than on its port it comes in few pieces.
            Err(WireError::Short { .. }) if head.bytes.len() < 2 * MOST_TEXT => {
                Verdict::More(head.bytes.len().saturating_add(1))
            }
            Err(_) => Verdict::No,
        }
    }
}

/// The offer of methods and the request behind it, in octets; `None` for what is neither.
fn client(bytes: &[u8]) -> Result<Option<usize>, WireError> {
    let mut cursor = Cursor::new("socks", bytes);
    let [_, methods] = cursor.array()?;
    if methods == 0 || methods > MOST_METHODS {
        return Ok(None);
    }
    let offered = cursor.take(usize::from(methods))?;
    if !offered.iter().all(|method| matches!(method, 0..=9 | 0x80..=0xfe)) {
        return Ok(None);
    }
    let [version, command, reserved] = cursor.array()?;
    if version != 5 || !matches!(command, 1..=3) || reserved != 0 {
        return Ok(None);
    }
    behind_address(bytes, cursor)
}

/// The choice of a method, and the answer to the request. Only without sub-negotiation.
fn server(bytes: &[u8]) -> Result<Option<usize>, WireError> {
    let mut cursor = Cursor::new("socks", bytes);
    let [_, method] = cursor.array()?;
    if method != 0 {
        return Ok(None);
    }
    let [version, reply, reserved] = cursor.array()?;
    if version != 5 || reply > 8 || reserved != 0 {
        return Ok(None);
    }
    behind_address(bytes, cursor)
}

/// Where the address and the port that come next end.
fn behind_address(bytes: &[u8], mut cursor: Cursor<'_>) -> Result<Option<usize>, WireError> {
    let octets = match cursor.u8()? {
        1 => 4,
        3 => usize::from(cursor.u8()?),
        4 => 16,
        _ => return Ok(None),
    };
    cursor.skip(octets)?;
    cursor.skip(2)?;
    Ok(Some(bytes.len().saturating_sub(cursor.left())))
}

/// Version 4: command, port, address, a name up to a zero; with an address of 0.0.0.x a host behind it.
fn client_of_4(bytes: &[u8]) -> Result<Option<usize>, WireError> {
    let mut cursor = Cursor::new("socks", bytes);
    let [_, command] = cursor.array()?;
    if !matches!(command, 1 | 2) {
        return Ok(None);
    }
    cursor.skip(2)?;
    let [a, b, c, d] = cursor.array()?;
    let texts = if [a, b, c] == [0; 3] && d != 0 { 2 } else { 1 };
    for _ in 0..texts {
        let mut octets = 0usize;
        while cursor.u8()? != 0 {
            octets = octets.saturating_add(1);
            if octets > MOST_TEXT {
                return Ok(None);
            }
        }
    }
    Ok(Some(bytes.len().saturating_sub(cursor.left())))
}

fn server_of_4(bytes: &[u8]) -> Result<Option<usize>, WireError> {
    let mut cursor = Cursor::new("socks", bytes);
    let [_, reply] = cursor.array()?;
    if !(90..=93).contains(&reply) {
        return Ok(None);
    }
    cursor.skip(6)?;
    Ok(Some(8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_behind_the_negotiation_is_found() {
        let request = [5, 1, 0, 5, 1, 0, 3, 4, b'h', b'o', b's', b't', 0, 80];
        assert_eq!(client(&[&request[..], b"GET /"].concat()), Ok(Some(14)));
        assert_eq!(server(&[5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0]), Ok(Some(12)));
        assert_eq!(client_of_4(&[4, 1, 0, 80, 0, 0, 0, 1, 0, b'h', 0]), Ok(Some(11)));
        assert_eq!(server_of_4(&[0, 90, 0, 80, 10, 0, 0, 1]), Ok(Some(8)));
        // A password follows: nothing is read behind.
        assert_eq!(server(&[5, 2, 1, 0]), Ok(None));
        for length in 0..request.len() {
            assert!(client(&request[..length]).is_err(), "{length}");
        }
    }
}
