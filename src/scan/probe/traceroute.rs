//! The hop ladder: echoes with rising hop limits. RFC 792 and RFC 4443 time exceeded tell each hop.
//!
//! The questions are the hop limits. Routers ration time exceeded (one a second to one asker on
//! Linux), and the first router answers for every ladder: so the pass staggers the hop limits over its
//! targets, and whoever plans it sets its rate to a few questions a second for each hop.
//!
//! The target's own reply is a hop as well, with `from` the target: it is that many hops away at most.

use std::net::IpAddr;

use super::echo::{self, EchoTemplate, Marks, SALT_KIND, SALT_TRACE};
use super::{Ask, Context, Hears, Probe, Setup, Template, quote};
use crate::observe::{Fact, Source};
use crate::scan::recogniser::{Place, Recognised, Settles};
use crate::scan::source_ports::SourcePorts;
use crate::scan::token::{Identity, Keys};
use crate::scope::Class;
use crate::scope::frame::Frame;

const ID: u8 = 8;
/// Access networks are a few hops deep; the pass may name others, up to 63.
const QUESTIONS: &[u16] = &[1, 2, 3, 4, 5, 6, 7, 8];

pub(super) struct Traceroute;

impl Probe for Traceroute {
    fn name(&self) -> &'static str {
        "traceroute"
    }

    fn source(&self) -> Source {
        Source::Traceroute
    }

    fn class(&self) -> Class {
        Class::Ordinary
    }

    fn speaks_to(&self, _: IpAddr) -> bool {
        true
    }

    fn hears(&self, _: SourcePorts) -> Hears {
        Hears::Icmp
    }

    fn questions(&self) -> &'static [u16] {
        QUESTIONS
    }

    fn template(&self, setup: &Setup<'_>) -> Option<Box<dyn Template>> {
        Some(Box::new(Ladder {
            template: EchoTemplate::new(setup)?,
            keys: setup.keys.clone(),
            identity: Identity {
                probe: ID,
                vantage: setup.vantage.id,
                target: setup.source,
                question: 0,
                extra: 0,
            },
        }))
    }

    fn recognise(&self, context: &Context<'_>, frame: &Frame<'_>) -> Option<Recognised> {
        let reply = echo::reply(context, frame);
        let quote = if reply.is_none() { Some(quote::read(context, frame)?) } else { None };
        let (target, from, seen) = match (&reply, &quote) {
            (Some((packet, seen)), _) => (packet.source, packet.source, *seen),
            (None, Some(quote)) => {
                (quote.packet.destination, quote.from, echo::quoted(&quote.packet)?)
            }
            (None, None) => return None,
        };
        if seen.salt() & SALT_KIND != SALT_TRACE {
            return None;
        }
        let hop_limit = seen.salt() & !SALT_KIND;
        let question = u16::from(hop_limit);
        let token = context.token(ID, target, question, 0);
        if !seen.matches(&Marks::of(token, seen.salt())) {
            return None;
        }
        let fact = match quote.filter(|quote| !quote.is_time_exceeded()) {
            Some(quote) => Fact::IcmpError(quote.error(None)),
            None => Fact::Hop { target, hop_limit, from, mac: frame.source },
        };
        Some(Recognised {
            probe: self.name(),
            source: self.source(),
            fact,
            place: Place::Address { target, question },
            settles: Settles::Yes,
        })
    }
}

struct Ladder {
    template: EchoTemplate,
    keys: Keys,
    identity: Identity,
}

impl Template for Ladder {
    fn stamp(&mut self, ask: &Ask) -> &[u8] {
        let hop_limit = ask.question as u8 & !SALT_KIND;
        let question = u16::from(hop_limit);
        let identity = Identity { target: ask.target, question, ..self.identity };
        let marks = Marks::of(self.keys.token(&identity), SALT_TRACE | hop_limit);
        self.template.stamp(ask.next_hop(), ask.target, hop_limit, marks)
    }
}
