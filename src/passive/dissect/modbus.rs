//! Modbus over TCP (port 502): that controllers are there, and who speaks to them.
//!
//! Taken: client and server of a segment that begins with a whole application header. Left: units, functions, registers.

use super::dns::tcp_ports;
use super::{Dissector, Facts, Packet, Wake, said};
use crate::observe::Source;
use crate::wire::tcp::TcpSegment;
use crate::wire::{Protocol, WireError};

pub(super) struct Modbus;

const PORT: u16 = 502;

impl Dissector for Modbus {
    fn name(&self) -> &'static str {
        "modbus"
    }

    fn source(&self) -> Source {
        Source::Heard
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Protocol(Protocol::TCP)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let Some(ip) = packet.ip else { return Ok(()) };
        let (role, peer) = match tcp_ports(packet.payload) {
            Some((_, PORT)) => ("client", Some(ip.destination)),
            Some((PORT, _)) => ("server", None),
            _ => return Ok(()),
        };
        let segment = TcpSegment::read(packet.payload)?;
        // Transaction, protocol 0, a length of a unit and what follows: at most 254 octets.
        if let [_, _, 0, 0, 0, 2..=254, _, _, ..] = segment.payload {
            facts.say(said(packet, self.name(), role, peer, Vec::new()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{facts, packet};
    use super::*;
    use crate::observe::Fact;

    #[test]
    fn both_ends_are_known() {
        let segment = |ports: (u16, u16), payload: &[u8]| {
            let mut bytes = [&ports.0.to_be_bytes()[..], &ports.1.to_be_bytes(), &[0; 8]].concat();
            bytes.extend_from_slice(&[0x50, 0x18, 0, 0, 0, 0, 0, 0]);
            bytes.extend_from_slice(payload);
            facts(&packet("10.20.1.9", "10.20.1.7", Protocol::TCP, 64, &bytes))
        };
        let read = [0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 1];
        assert!(
            matches!(&segment((4000, 502), &read)[..], [Fact::Said(said)] if said.role == "client")
        );
        assert!(
            matches!(&segment((502, 4000), &read)[..], [Fact::Said(said)] if said.role == "server")
        );
        assert_eq!(segment((502, 4000), b"HTTP/1.1"), []);
    }
}
