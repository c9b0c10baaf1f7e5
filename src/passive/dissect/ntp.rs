//! NTP (RFC 5905 §7.3; modes 6 and 7 of RFC 9327 and ntpd): who asks whom for the time, and who gives it.
//!
//! Taken: mode and version, the server asked; of servers and broadcasters the stratum and the reference. Left: times,
//! precisions, keys.

use std::net::Ipv4Addr;

use super::{Dissector, Facts, Packet, Wake, said, text_or_hex};
use crate::observe::heard_names::Detail;
use crate::observe::{Foreign, Source};
use crate::wire::{Cursor, WireError};

pub(super) struct Ntp;

impl Dissector for Ntp {
    fn name(&self) -> &'static str {
        "ntp"
    }

    fn source(&self) -> Source {
        Source::Heard
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Udp(123)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let Some(ip) = packet.ip else { return Ok(()) };
        let mut cursor = Cursor::new("ntp", packet.payload);
        let first = cursor.u8()?;
        let (version, mode) = (first >> 3 & 7, first & 7);
        let role = match mode {
            1 | 2 => "peer",
            3 => "client",
            4 => "server",
            5 => "broadcaster",
            6 | 7 => "control",
            _ => return Ok(()),
        };
        let mut details = vec![Detail::new("version", Foreign::new(&version.to_string()))];
        let stratum = cursor.u8()?;
        if matches!(mode, 1 | 2 | 4 | 5) {
            // Poll, precision, delay and dispersion stand before the reference.
            cursor.skip(10)?;
            let reference: [u8; 4] = cursor.array()?;
            details.push(Detail::new("stratum", Foreign::new(&stratum.to_string())));
            let reference = match (stratum, ip.source.is_ipv4()) {
                // Zero is a kiss of death, one names a clock: both in letters. RFC 5905 §7.3, 7.4.
                (0 | 1, _) => {
                    let end = reference.iter().rposition(|octet| *octet != 0);
                    let letters = end.and_then(|end| reference.get(..=end)).unwrap_or_default();
                    text_or_hex(letters)
                }
                (2..=15, true) => Foreign::new(&Ipv4Addr::from(reference).to_string()),
                // Of IPv6 it is a hash.
                _ => text_or_hex(&[]),
            };
            if !reference.is_empty() {
                details.push(Detail::new("reference", reference));
            }
        }
        let asks = matches!(mode, 1 | 3);
        let peer = asks.then_some(ip.destination);
        facts.say(said(packet, self.name(), role, peer, details));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{datagram, facts};
    use crate::observe::Fact;

    #[test]
    fn clients_and_servers() {
        let said = |first: u8, stratum: u8, reference: &[u8; 4]| {
            let mut message = vec![first, stratum];
            message.resize(12, 0);
            message.extend_from_slice(reference);
            message.resize(48, 0);
            let found = facts(&datagram(("10.20.1.9", 123), ("10.20.1.7", 123), &message));
            let [Fact::Said(said)] = &found[..] else { panic!("{found:?}") };
            let details: Vec<_> = said.details.iter().map(|d| d.value.raw().to_owned()).collect();
            (said.role.clone(), said.peer.is_some(), details.join(" "))
        };
        assert_eq!(said(0x23, 0, &[0; 4]), ("client".into(), true, "4".into()));
        assert_eq!(said(0x24, 1, b"GPS\0"), ("server".into(), false, "4 1 GPS".into()));
        assert_eq!(said(0x1c, 3, &[10, 0, 0, 1]), ("server".into(), false, "3 3 10.0.0.1".into()));
    }
}
