//! PPPoE (RFC 2516): an access concentrator on the link, who asks for one, and who has a session.
//!
//! Taken: every message of discovery with the concentrator's name and services, and the ends of a session. Left: cookies and
//! host tags, which differ every time; what PPP negotiates, passwords among it.

use super::{Dissector, Facts, Packet, Wake};
use crate::observe::{Fact, Foreign, Pppoe as Heard, Source};
use crate::wire::pppoe::{self, Code};
use crate::wire::{EtherType, WireError};

pub(super) struct Pppoe;

impl Dissector for Pppoe {
    fn name(&self) -> &'static str {
        "pppoe"
    }

    fn source(&self) -> Source {
        Source::Passive
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::EtherType(EtherType::PPPOE_DISCOVERY), Wake::EtherType(EtherType::PPPOE_SESSION)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let (heard, ended) = pppoe::Pppoe::read(packet.payload)?;
        let message = match heard.code {
            Code::Session => "session",
            Code::Initiation => "padi",
            Code::Offer => "pado",
            Code::Request => "padr",
            Code::Confirmation => "pads",
            Code::Termination => "padt",
        };
        facts.put(
            self.source(),
            Fact::Pppoe(Heard {
                message: message.to_owned(),
                mac: packet.source,
                peer: packet.destination,
                session: heard.session,
                concentrator: heard.concentrator.map(Foreign::from_bytes),
                services: heard.services.into_iter().map(Foreign::from_bytes).collect(),
            }),
        );
        ended
    }
}
