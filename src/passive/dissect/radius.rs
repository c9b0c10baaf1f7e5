//! RADIUS (RFC 2865, 2866, 5176): which access servers ask which RADIUS server.
//!
//! Taken: of requests the access server's address, identifier and port type, and what its ports are called by; the server
//! that answers. Left: users, passwords, stations, everything that authenticates.

use super::{Dissector, Facts, Packet, Wake, said};
use crate::observe::heard_names::Detail;
use crate::observe::{Foreign, Source};
use crate::wire::{Cursor, WireError};

pub(super) struct Radius;

const ACCESS_SERVER: &str = "access-server";
/// Attributes looked at: 4096 octets (RFC 2865 §3) hold more of them only where they are empty.
const MOST_ATTRIBUTES: usize = 256;

impl Dissector for Radius {
    fn name(&self) -> &'static str {
        "radius"
    }

    fn source(&self) -> Source {
        Source::Heard
    }

    fn wakes(&self) -> &'static [Wake] {
        &[
            Wake::Udp(1812),
            Wake::Udp(1813),
            // As they were before RFC 2865, and what one vendor uses for changes of authorization.
            Wake::Udp(1645),
            Wake::Udp(1646),
            Wake::Udp(1700),
            Wake::Udp(3799),
        ]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let Some(ip) = packet.ip else { return Ok(()) };
        let mut cursor = Cursor::new("radius", packet.payload);
        let code = cursor.u8()?;
        cursor.skip(1)?;
        let length = usize::from(cursor.u16()?);
        let (role, peer) = match code {
            1 | 4 => (ACCESS_SERVER, Some(ip.destination)),
            2 | 3 | 5 | 11 => ("server", None),
            // Disconnect and change of authorization go the other way.
            40 | 43 => ("server", Some(ip.destination)),
            41 | 42 | 44 | 45 => (ACCESS_SERVER, None),
            _ => return Ok(()),
        };
        let Some(length) = length.checked_sub(20) else {
            return Err(cursor.wrong("length shorter than the header"));
        };
        cursor.skip(16)?;
        let mut attributes = Cursor::new("radius", cursor.take_up_to(length));
        let mut details = Vec::new();
        let ended = read_attributes(&mut attributes, role, &mut details);
        facts.say(said(packet, self.name(), role, peer, details));
        ended
    }
}

fn read_attributes(
    cursor: &mut Cursor<'_>,
    role: &str,
    details: &mut Vec<Detail>,
) -> Result<(), WireError> {
    for _ in 0..MOST_ATTRIBUTES {
        if cursor.is_empty() {
            return Ok(());
        }
        let kind = cursor.u8()?;
        let length = usize::from(cursor.u8()?);
        let Some(length) = length.checked_sub(2) else {
            return Err(cursor.wrong("attribute shorter than its header"));
        };
        let mut value = cursor.part(length)?;
        if role != ACCESS_SERVER {
            continue;
        }
        let detail = match kind {
            4 => Detail::new("nas-address", Foreign::new(&value.ipv4()?.to_string())),
            95 => Detail::new("nas-address", Foreign::new(&value.ipv6()?.to_string())),
            32 => Detail::new("nas-identifier", Foreign::from_bytes(value.rest())),
            61 => Detail::new("nas-port-type", Foreign::new(&value.u32()?.to_string())),
            // An access point's MAC and its network's name (RFC 3580 §3.20).
            30 => Detail::new("called-station", Foreign::from_bytes(value.rest())),
            _ => continue,
        };
        if !details.contains(&detail) {
            details.push(detail);
        }
    }
    Err(cursor.wrong("too many attributes"))
}

#[cfg(test)]
mod tests {
    use super::super::check::{datagram, facts};
    use crate::observe::Fact;

    #[test]
    fn an_access_server_is_known_and_its_users_are_not() {
        let mut message = vec![1, 7, 0, 41];
        message.resize(20, 0x5a);
        message.extend_from_slice(b"\x01\x05bob\x02\x05xyz\x20\x05nas");
        message.extend_from_slice(&[4, 6, 10, 20, 1, 9]);
        let found = facts(&datagram(("10.20.1.9", 4000), ("10.20.1.7", 1812), &message));
        let [Fact::Said(said)] = &found[..] else { panic!("{found:?}") };
        assert_eq!(said.role, "access-server");
        let told: Vec<_> = said.details.iter().map(|d| d.value.raw()).collect();
        assert_eq!(told, ["nas", "10.20.1.9"]);
        assert!(!format!("{found:?}").contains("bob"));
    }
}
