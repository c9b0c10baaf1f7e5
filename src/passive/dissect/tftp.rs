//! TFTP (RFC 1350): who fetches or stores which file where.
//!
//! Taken: requests with the name of the file. Left: modes, options, and all that follows, which goes between other ports.

use super::{Dissector, Facts, Packet, Wake, said};
use crate::observe::heard_names::Detail;
use crate::observe::{Foreign, Source};
use crate::wire::{Cursor, WireError};

pub(super) struct Tftp;

const PORT: u16 = 69;

impl Dissector for Tftp {
    fn name(&self) -> &'static str {
        "tftp"
    }

    fn source(&self) -> Source {
        Source::Heard
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Udp(PORT)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let (Some(ip), Some((_, PORT))) = (packet.ip, packet.ports) else { return Ok(()) };
        let mut cursor = Cursor::new("tftp", packet.payload);
        let role = match cursor.u16()? {
            1 => "read",
            2 => "write",
            _ => return Ok(()),
        };
        let file = cursor.rest().split(|octet| *octet == 0).next().unwrap_or_default();
        if file.is_empty() || file.len() >= cursor.left() {
            return Err(cursor.wrong("file name without an end"));
        }
        let details = vec![Detail::new("file", Foreign::from_bytes(file))];
        facts.say(said(packet, self.name(), role, Some(ip.destination), details));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{datagram, facts, oddities};
    use crate::observe::Fact;

    #[test]
    fn a_request_names_its_file() {
        let frame = datagram(("10.20.1.9", 4000), ("10.20.1.7", 69), b"\0\x01boot.cfg\0octet\0");
        let [Fact::Said(said)] = &facts(&frame)[..] else { panic!() };
        assert_eq!((said.role.as_str(), said.details[0].value.raw()), ("read", "boot.cfg"));
        let frame = datagram(("10.20.1.9", 4000), ("10.20.1.7", 69), b"\0\x01boot.cfg");
        assert_eq!(oddities(&frame), ["file name without an end"]);
    }
}
