//! IP headers (RFC 791, 8200): which source addresses are on the wire, behind which MAC.
//!
//! Taken: unicast sources with their hop limit as it arrived. Left: destinations, whom nobody has
//! heard, and what is inside tunnels. Noted: sources that no station may have.

use super::{Dissector, Facts, Packet, Wake};
use crate::net::special;
use crate::observe::{Fact, Source};
use crate::wire::WireError;

pub(super) struct Traffic;

impl Dissector for Traffic {
    fn name(&self) -> &'static str {
        "ip"
    }

    fn source(&self) -> Source {
        Source::Traffic
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Ip]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let Some(ip) = packet.ip else { return Ok(()) };
        if facts.encapsulation.is_some() || !packet.source.is_station() {
            return Ok(());
        }
        if ip.source.is_unspecified() {
            return Ok(());
        }
        if !special::is_host(ip.source) {
            facts.oddity(
                Source::Traffic,
                packet.source,
                self.name(),
                "source address that no station can have",
            );
            return Ok(());
        }
        facts.put(
            Source::Traffic,
            Fact::Traffic { ip: ip.source, mac: packet.source, hop_limit: ip.hop_limit },
        );
        Ok(())
    }
}
