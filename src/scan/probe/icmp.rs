//! ICMP echo, IPv4. RFC 792.

use std::net::IpAddr;

use super::echo::{self, EchoTemplate, HOP_LIMIT, Marks, SALT_ECHO};
use super::{Ask, Context, Hears, Probe, Setup, Template, answer, quote};
use crate::observe::{PortState, Source};
use crate::scan::recogniser::Recognised;
use crate::scan::source_ports::SourcePorts;
use crate::scan::token::{Identity, Keys};
use crate::scope::Class;
use crate::scope::frame::Frame;

const ID: u8 = 3;

pub(super) struct IcmpEcho;

impl Probe for IcmpEcho {
    fn name(&self) -> &'static str {
        "icmp"
    }

    fn source(&self) -> Source {
        Source::Icmp
    }

    fn class(&self) -> Class {
        Class::Gentle
    }

    fn speaks_to(&self, target: IpAddr) -> bool {
        target.is_ipv4()
    }

    fn hears(&self, _: SourcePorts) -> Hears {
        Hears::Icmp
    }

    fn template(&self, setup: &Setup<'_>) -> Option<Box<dyn Template>> {
        setup.source.is_ipv4().then(|| stamped(setup, ID)).flatten()
    }

    fn recognise(&self, context: &Context<'_>, frame: &Frame<'_>) -> Option<Recognised> {
        recognise(self, ID, context, frame)
    }
}

/// The template of an echo in either family.
pub(super) fn stamped(setup: &Setup<'_>, probe: u8) -> Option<Box<dyn Template>> {
    Some(Box::new(Echo {
        template: EchoTemplate::new(setup)?,
        keys: setup.keys.clone(),
        identity: Identity {
            probe,
            vantage: setup.vantage.id,
            target: setup.source,
            question: 0,
            extra: 0,
        },
    }))
}

struct Echo {
    template: EchoTemplate,
    keys: Keys,
    identity: Identity,
}

impl Template for Echo {
    fn stamp(&mut self, ask: &Ask) -> &[u8] {
        let token = self.keys.token(&Identity { target: ask.target, ..self.identity });
        let marks = Marks::of(token, SALT_ECHO);
        self.template.stamp(ask.next_hop(), ask.target, HOP_LIMIT, marks)
    }
}

/// A reply from the target itself, or an error that quotes the request.
pub(super) fn recognise(
    probe: &dyn Probe,
    id: u8,
    context: &Context<'_>,
    frame: &Frame<'_>,
) -> Option<Recognised> {
    if let Some((packet, seen)) = echo::reply(context, frame) {
        let ours = |target| Marks::of(context.token(id, target, 0, 0), SALT_ECHO);
        if !probe.speaks_to(packet.source) || !seen.matches(&ours(packet.source)) {
            return None;
        }
        let hop_limit = packet.hop_limit;
        return Some(answer(probe, packet.source, frame, hop_limit, None, PortState::Alive));
    }
    let quote = quote::read(context, frame)?;
    let target = quote.packet.destination;
    let seen = echo::quoted(&quote.packet)?;
    let marks = Marks::of(context.token(id, target, 0, 0), SALT_ECHO);
    (probe.speaks_to(target) && seen.matches(&marks)).then(|| quote.fact(probe, None))
}
