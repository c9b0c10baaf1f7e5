//! LDAP (RFC 4511 §4.2): that it is spoken, and the names in NTLM messages of a bind. Left: who binds, with what, and for what.

use super::{Head, Reader, Verdict};
use crate::observe::{Fact, Role};
use crate::wire::Cursor;

pub(super) struct Ldap;

const MOST: usize = 4096;
const BIND_REQUEST: u8 = 0x60;
const BIND_RESPONSE: u8 = 0x61;
const SEARCH_REQUEST: u8 = 0x63;
const SEARCH_ENTRY: u8 = 0x64;
const EXTENDED_REQUEST: u8 = 0x77;

impl Reader for Ldap {
    fn name(&self) -> &'static str {
        "ldap"
    }

    fn read(&self, head: &Head<'_>, said: &mut u32, tell: &mut dyn FnMut(Fact)) -> Verdict {
        if head.bytes.first() != Some(&0x30) {
            return if *said > 0 { Verdict::Done } else { Verdict::No };
        }
        // Enough for the longest form of the lengths and a message number of four octets.
        if head.bytes.len() < 14 {
            return Verdict::More(14);
        }
        let Some((length, kind)) = envelope(head.bytes) else { return Verdict::No };
        let role = match kind {
            BIND_REQUEST | SEARCH_REQUEST | EXTENDED_REQUEST => Role::Client,
            BIND_RESPONSE | SEARCH_ENTRY => Role::Server,
            _ if *said > 0 => return Verdict::Done,
            _ => return Verdict::No,
        };
        let is_its_port = [389, 3268, 1389].into_iter().any(|port| head.has_port(port));
        if length > MOST || !is_its_port {
            return Verdict::No;
        }
        let Some(message) = head.bytes.get(..length) else { return Verdict::More(length) };
        if std::mem::replace(said, 1) == 0 {
            tell(head.spoken(role, "ldap", None));
        }
        if head.ntlm(message, tell) { Verdict::Done } else { Verdict::Took(length) }
    }
}

/// The whole length of a message and the tag of its operation.
fn envelope(bytes: &[u8]) -> Option<(usize, u8)> {
    let mut cursor = Cursor::new("ldap", bytes);
    cursor.skip(1).ok()?;
    let length = match cursor.u8().ok()? {
        short @ ..=0x7f => usize::from(short),
        0x81 => usize::from(cursor.u8().ok()?),
        0x82 => usize::from(cursor.u16().ok()?),
        0x84 => usize::try_from(cursor.u32().ok()?).ok()?,
        _ => return None,
    };
    let whole = bytes.len().saturating_sub(cursor.left()).saturating_add(length);
    if cursor.u8().ok()? != 2 {
        return None;
    }
    let number = usize::from(cursor.u8().ok()?);
    if !(1..=4).contains(&number) {
        return None;
    }
    cursor.skip(number).ok()?;
    Some((whole, cursor.u8().ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::check::{is_spoken, said};
    use super::*;

    #[test]
    fn a_bind_is_presence() {
        let bind = b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0";
        is_spoken(389, Role::Client, bind, "ldap", None);
        assert!(said(9, Role::Client, bind).is_empty());
    }
}
