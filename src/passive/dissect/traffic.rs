//! IP headers (RFC 791, 8200): which source addresses are on the wire, behind which MAC.
//!
//! Taken: unicast sources with their hop limit as it arrived; where no MAC stands beside the source (raw IP, inside a tunnel) or
//! none can have it, the address alone. Left: destinations, whom nobody has heard. Noted: sources that no station may have.

use super::{Dissector, Facts, Packet, Wake};
use crate::net::{Mac, special};
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
        let unheard = |facts: &mut Facts<'_>| {
            facts.put(Source::Traffic, Fact::SourceAddress { ip: ip.source });
            if packet.source != Mac::ZERO {
                facts.put(Source::Traffic, Fact::Sender { mac: packet.source });
            }
        };
        if facts.encapsulation.is_some() || !packet.source.is_station() {
            unheard(facts);
            return Ok(());
        }
        if ip.source.is_unspecified() {
            unheard(facts);
            return Ok(());
        }
        if !special::is_host(ip.source) {
            facts.oddity(
                Source::Traffic,
                packet.source,
                self.name(),
                "source address that no station can have",
            );
            unheard(facts);
            return Ok(());
        }
        facts.put(
            Source::Traffic,
            Fact::Traffic { ip: ip.source, mac: packet.source, hop_limit: ip.hop_limit },
        );
        Ok(())
    }
}
