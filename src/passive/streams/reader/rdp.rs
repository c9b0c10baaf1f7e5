//! RDP's connection request and confirm (MS-RDPBCGR §2.2.1.1, X.224), and S7 in the same envelope (RFC 1006; no standard of its own).
//!
//! Taken: the security that an RDP server chose, that a client asks; that S7 is spoken. Left: the cookie, which is a user's name
//! cut short; everything behind. TLS behind it is read as TLS.

use super::{Head, Reader, Verdict};
use crate::observe::{Fact, Role};
use crate::wire::Cursor;

pub(super) struct Rdp;

const REQUEST: u8 = 0xe0;
const CONFIRM: u8 = 0xd0;
const DATA: u8 = 0xf0;
const ISO_TSAP: u16 = 102;
const S7: u8 = 0x32;
/// A connection request has fewer; data of S7 too.
const MOST: usize = 2048;

impl Reader for Rdp {
    fn name(&self) -> &'static str {
        "rdp"
    }

    fn read(&self, head: &Head<'_>, said: &mut u32, tell: &mut dyn FnMut(Fact)) -> Verdict {
        let Some(&[3, 0, high, low]) = head.bytes.first_chunk::<4>() else {
            return match head.bytes {
                [3] | [3, 0] | [3, 0, _] => Verdict::More(4),
                _ => Verdict::No,
            };
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if !(7..=MOST).contains(&length) {
            return Verdict::No;
        }
        let Some(packet) = head.bytes.get(4..length) else { return Verdict::More(length) };
        let mut cursor = Cursor::new("x224", packet);
        let (Ok(_), Ok(kind)) = (cursor.u8(), cursor.u8()) else { return Verdict::No };
        let is_iso = head.has_port(ISO_TSAP);
        match kind & 0xf0 {
            REQUEST | CONFIRM if is_iso => Verdict::Took(length),
            DATA if is_iso => {
                let _ = cursor.u8();
                if cursor.u8() == Ok(S7) {
                    tell(head.spoken(head.role(), "s7", None));
                }
                Verdict::Done
            }
            REQUEST if *said == 0 => {
                *said = 1;
                tell(head.spoken(Role::Client, "rdp", None));
                Verdict::Anew(length)
            }
            CONFIRM if *said == 0 => {
                *said = 1;
                // Destination, source and class stand before.
                let _ = cursor.skip(5);
                let security = match cursor.rest() {
                    // MS-RDPBCGR §2.2.1.2.1.
                    [2, _, 8, 0, chosen, ..] => match chosen {
                        0 => "rdp",
                        1 => "tls",
                        2 => "credssp",
                        4 => "rdstls",
                        8 => "credssp-early",
                        _ => "other",
                    },
                    [3, ..] => "refused",
                    _ => "rdp",
                };
                tell(head.spoken(Role::Server, "rdp", Some(security.as_bytes())));
                Verdict::Anew(length)
            }
            _ => Verdict::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::is_spoken;
    use super::*;

    #[test]
    fn a_server_says_how_it_is_secured_and_a_controller_that_it_is_one() {
        let confirm = b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x02\x1f\x08\0\x02\0\0\0";
        is_spoken(3389, Role::Server, confirm, "rdp", Some("credssp"));
        let request = b"\x03\0\0\x16\x11\xe0\0\0\0\x01\0\xc0\x01\x0a\xc1\x02\x01\0\xc2\x02\x01\x02";
        let setup = b"\x03\0\0\x19\x02\xf0\x80\x32\x01\0\0\0\0\0\x08\0\0\xf0\0\0\x01\0\x01\x01\xe0";
        is_spoken(102, Role::Client, &[&request[..], setup].concat(), "s7", None);
    }
}
