//! The one-packet forwarding test: an echo in a frame to a neighbour's MAC, for an off-link address,
//! with a hop limit of 1 and then of 2.
//!
//! What the answers say (measured on Linux 6.18): time exceeded at 1, or IPv4 network
//! unreachable, shows that forwarding is switched on. Only an answer from beyond, at 2, shows that
//! it forwards; two rounds with fresh tokens make a proof. IPv6 "no route" shows nothing: a host that
//! does not forward says the same. Silence shows nothing either.
//!
//! The neighbour's place in the list of those steered through stands in clear in the identifier,
//! because an answer need not come from the neighbour itself; the token is bound to it.

use std::net::IpAddr;
use std::time::Duration;

use super::echo::{self, EchoTemplate, Marks, SALT_FORWARDING, SALT_KIND};
use super::{Ask, Context, Hears, Probe, Setup, Template, quote};
use crate::observe::{self, Fact, Source};
use crate::scan::recogniser::{Place, Recognised, Settles};
use crate::scan::source_ports::SourcePorts;
use crate::scan::token::{Identity, Keys};
use crate::scope::Class;
use crate::scope::frame::Frame;

const ID: u8 = 7;

/// Two rounds of hop limits 1 and 2.
const QUESTIONS: &[u16] = &[question(1, 1), question(1, 2), question(2, 1), question(2, 2)];

/// A round from 1 to 7 and a hop limit from 1 to 7 as one question; in the salt as well.
pub const fn question(round: u8, hop_limit: u8) -> u16 {
    ((round & 7) as u16) << 3 | (hop_limit & 7) as u16
}

const fn round_of(question: u16) -> u8 {
    (question >> 3) as u8 & 7
}

const fn hop_limit_of(question: u16) -> u8 {
    question as u8 & 7
}

pub(super) struct Forwarding;

impl Probe for Forwarding {
    fn name(&self) -> &'static str {
        "forwarding"
    }

    fn source(&self) -> Source {
        Source::Forwarding
    }

    fn class(&self) -> Class {
        Class::Steered
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

    /// Linux gives one time exceeded a second to one asker, after a first few.
    fn spacing(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn template(&self, setup: &Setup<'_>) -> Option<Box<dyn Template>> {
        Some(Box::new(Steered {
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
        let (destination, from, seen, icmp, settles) = match echo::reply(context, frame) {
            Some((packet, seen)) => (packet.source, packet.source, seen, None, Settles::Yes),
            None => {
                let quote = quote::read(context, frame)?;
                let seen = echo::quoted(&quote.packet)?;
                let icmp = Some((quote.kind, quote.code));
                (quote.packet.destination, quote.from, seen, icmp, Settles::Yes)
            }
        };
        if seen.salt() & SALT_KIND != SALT_FORWARDING {
            return None;
        }
        let question = u16::from(seen.salt() & !SALT_KIND);
        let index = seen.identifier;
        let &(mac, asked) = context.known.steered.get(usize::from(index))?;
        let token = context.token(ID, destination, question, index);
        let marks = Marks::of(token, seen.salt()).with_identifier(index);
        if asked != destination || !seen.matches(&marks) {
            return None;
        }
        Some(Recognised {
            probe: self.name(),
            source: self.source(),
            fact: Fact::Forwarding(observe::Forwarding {
                mac,
                destination,
                hop_limit: hop_limit_of(question),
                round: round_of(question),
                from,
                icmp,
                answered_by: frame.source,
            }),
            place: Place::Steered { index, question },
            settles,
        })
    }
}

struct Steered {
    template: EchoTemplate,
    keys: Keys,
    identity: Identity,
}

impl Template for Steered {
    fn stamp(&mut self, ask: &Ask) -> &[u8] {
        let identity = Identity {
            target: ask.target,
            question: ask.question,
            extra: ask.extra,
            ..self.identity
        };
        let salt = SALT_FORWARDING | ask.question as u8 & !SALT_KIND;
        let marks = Marks::of(self.keys.token(&identity), salt).with_identifier(ask.extra);
        self.template.stamp(ask.next_hop(), ask.target, hop_limit_of(ask.question), marks)
    }
}
