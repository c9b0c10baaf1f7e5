//! STUN (RFC 8489, and the classic form of RFC 3489 by its port): who asks what it looks like from outside, and what it is told.
//!
//! Taken: client and server; of answers the address that the client appears with, and the server's software. Left: ports,
//! which differ every time, users, relays' allocations.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Dissector, Facts, Packet, Wake, said};
use crate::observe::heard_names::Detail;
use crate::observe::{Foreign, Source};
use crate::wire::{Cursor, WireError};

pub(super) struct Stun;

const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const MOST_ATTRIBUTES: usize = 64;

impl Dissector for Stun {
    fn name(&self) -> &'static str {
        "stun"
    }

    fn source(&self) -> Source {
        Source::Heard
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Datagram(4, &COOKIE), Wake::Udp(3478)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let Some(ip) = packet.ip else { return Ok(()) };
        let mut cursor = Cursor::new("stun", packet.payload);
        let kind = cursor.u16()?;
        let length = usize::from(cursor.u16()?);
        // Transactions of the classic form begin with anything; the length must fit then.
        let mask: [u8; 16] = cursor.array()?;
        if kind >> 14 != 0 || length != cursor.left() {
            return Ok(());
        }
        let mut details = Vec::new();
        let (role, peer) = match kind {
            1 => ("client", Some(ip.destination)),
            0x101 => {
                let _ = read_attributes(&mut cursor, mask, &mut details);
                // It is told to this client what only that one looks like.
                ("server", Some(ip.destination))
            }
            _ => return Ok(()),
        };
        facts.say(said(packet, self.name(), role, peer, details));
        Ok(())
    }
}

fn read_attributes(
    cursor: &mut Cursor<'_>,
    mask: [u8; 16],
    details: &mut Vec<Detail>,
) -> Result<(), WireError> {
    for _ in 0..MOST_ATTRIBUTES {
        if cursor.is_empty() {
            return Ok(());
        }
        let kind = cursor.u16()?;
        let length = usize::from(cursor.u16()?);
        let value = cursor.part(length)?;
        // To a word of four octets. The last one may lack its filling.
        cursor.take_up_to(length.wrapping_neg() & 3);
        let detail = match kind {
            1 => Detail::new("mapped", Foreign::new(&address(value, [0; 16])?.to_string())),
            // The classic form had another number for it: RFC 5389 §15.2.
            0x20 | 0x8020 => {
                Detail::new("mapped", Foreign::new(&address(value, mask)?.to_string()))
            }
            0x8022 => Detail::new("software", Foreign::from_bytes(value.rest())),
            _ => continue,
        };
        if !details.contains(&detail) {
            details.push(detail);
        }
    }
    Ok(())
}

/// RFC 8489 §14.1, 14.2.
fn address(mut value: Cursor<'_>, mask: [u8; 16]) -> Result<IpAddr, WireError> {
    value.skip(1)?;
    let family = value.u8()?;
    value.skip(2)?;
    match family {
        1 => {
            let [a, b, c, d, ..] = mask;
            let address: [u8; 4] = value.array()?;
            let bits = u32::from_be_bytes(address) ^ u32::from_be_bytes([a, b, c, d]);
            Ok(Ipv4Addr::from_bits(bits).into())
        }
        2 => {
            let bits = u128::from_be_bytes(value.array()?) ^ u128::from_be_bytes(mask);
            Ok(Ipv6Addr::from_bits(bits).into())
        }
        _ => Err(value.wrong("unknown family of addresses")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{datagram, facts};
    use crate::observe::Fact;

    #[test]
    fn a_client_is_told_what_it_looks_like() {
        let mut answer =
            b"\x01\x01\0\x0c\x21\x12\xa4\x42abcdefghijkl\0\x20\0\x08\0\x01\x30\x39".to_vec();
        answer.extend_from_slice(&(0xcb00_7109u32 ^ 0x2112_a442).to_be_bytes());
        let frame = datagram(("198.51.100.3", 3479), ("10.20.1.7", 4000), &answer);
        let [Fact::Said(said)] = &facts(&frame)[..] else { panic!() };
        assert_eq!(said.details[0].value.raw(), "203.0.113.9");
        assert_eq!(said.peer, Some([10, 20, 1, 7].into()));
    }
}
